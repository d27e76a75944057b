#include "cli/out.h"

enum { OPT_REASON };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE, reterr));
    MS_TRY(ms_tenant_find(cli->svc, cli->args[0], &cli->tenant, reterr));
    cli->ctx.tenant = (struct ms_tenant_id){cli->tenant.id};
    MS_TRY(ms_tenant_hold(cli->svc, &cli->ctx, MS_HOLD_ADMIN, false, cli->given[OPT_REASON], reterr));
    MS_TRY(ms_tenant_get(cli->svc, cli->ctx.tenant, &cli->tenant, reterr));
    bool frozen = ms_tenant_mask(&cli->tenant, ms_clock_now(cli->svc->clock)).holds != 0;
    if (!cli->quiet && !cli->json)
        printf("Tenant %s is %s.\n", cli->tenant.name,
               frozen ? "still frozen: a payment is missing" : "not frozen");
    return cli->json
               ? ms_out_json(json_pack("{s:s,s:b}", "name", cli->tenant.name, "frozen", frozen),
                             reterr)
               : MS_OK;
}

const struct ms_cmd ms_cmd_tenant_unfreeze = {
    .name = "tenant unfreeze",
    .args = "NAME|ID",
    .summary = "lift the freeze of a tenant",
    .help =
        "Lifts what msasset tenant freeze did. A freeze because a payment is missing is lifted by\n"
        "msasset tenant arrears NAME off.\n\nExample:\n  msasset tenant unfreeze media\n",
    .opts = {{"reason", 0, "TEXT", "for the audit log"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
