#include "cli/transfer_text.h"

enum { OPT_ANY, OPT_OFF };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    bool any = cli->given[OPT_ANY] != NULL, off = cli->given[OPT_OFF] != NULL;
    enum ms_may_transfer may = off   ? MS_MAY_TRANSFER_NOT
                               : any ? MS_MAY_TRANSFER_ANY
                                     : MS_MAY_TRANSFER_MODELS;
    if (any && off)
        return ms_fail(reterr, MS_USAGE, "say --any-type or --off, not both");
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE, reterr));
    MS_TRY(ms_tenant_find(cli->svc, cli->args[0], &cli->tenant, reterr));
    cli->ctx.tenant = (struct ms_tenant_id){cli->tenant.id};
    MS_TRY(ms_transfer_allow(cli->svc, &cli->ctx, may, reterr));
    if (cli->json)
        return ms_out_json(json_pack("{s:s,s:s}", "name", cli->tenant.name, "may_transfer",
                                     off ? "NOTHING" : any ? "ANY" : "MODELS"),
                           reterr);
    if (!cli->quiet)
        printf("Tenant %s may transfer %s.\n", cli->tenant.name,
               off   ? "nothing"
               : any ? "assets of any type"
                     : "models and voices");
    return MS_OK;
}

const struct ms_cmd ms_cmd_transfer_allow = {
    .name = "transfer allow",
    .args = "TENANT",
    .summary = "let a tenant send assets to others",
    .help = "For administrators: the allow-list of senders. Models and voices only, unless "
            "--any-type.\n\nExample:\n"
            "  msasset transfer allow media\n",
    .opts = {{"any-type", 0, NULL, "assets of any type"}, {"off", 0, NULL, "off the list"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
