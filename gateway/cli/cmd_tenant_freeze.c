#include "cli/mounts_text.h"
#include "cli/out.h"

enum { OPT_REASON };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    const char *reason = cli->given[OPT_REASON];
    if (!reason || !reason[0] || strlen(reason) > MS_REASON_MAX)
        return ms_fail(reterr, MS_USAGE, "a freeze needs --reason, of 1 to %d bytes", MS_REASON_MAX);
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE, reterr));
    MS_TRY(ms_tenant_find(cli->svc, cli->args[0], &cli->tenant, reterr));
    cli->ctx.tenant = (struct ms_tenant_id){cli->tenant.id};
    MS_TRY(ms_tenant_hold(cli->svc, &cli->ctx, MS_HOLD_ADMIN, true, reason, reterr));
    if (!cli->quiet && !cli->json)
        printf("Tenant %s is frozen.\n", cli->tenant.name);
    json_t *result = cli->json ? json_pack("{s:s,s:b}", "name", cli->tenant.name, "frozen", 1) : NULL;
    ms_mounts_tell(cli, result);
    return cli->json ? ms_out_json(result, reterr) : MS_OK;
}

const struct ms_cmd ms_cmd_tenant_freeze = {
    .name = "tenant freeze",
    .args = "NAME|ID",
    .summary = "block a tenant as a whole",
    .help = "Every asset of it shows BLOCK at once, in the recycle bin DELETING; listing, showing "
            "and deleting work,\n"
            "everything else is refused. No asset is changed: lifting it gives each exactly what it "
            "had. Metering goes on;\n"
            "retention in the bin stops, and starts again in full afterwards. Open handles and\n"
            "mappings are shut as by msasset freeze, with the same warning.\n\nExample:\n"
            "  msasset tenant freeze media --reason 'court order 12/26'\n",
    .opts = {{"reason", 0, "TEXT", "reason, shown to the tenant"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
