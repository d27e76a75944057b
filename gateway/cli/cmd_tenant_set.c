#include "cli/cmd.h"

enum { OPT_FINISHED };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    const char *finished = cli->given[OPT_FINISHED];
    bool unactived = finished && strcmp(finished, "UNACTIVED") == 0;
    if (!finished)
        return ms_fail(reterr, MS_USAGE, "nothing to set: give --finished");
    if (!unactived && strcmp(finished, "ACTIVED") != 0)
        return ms_fail(reterr, MS_USAGE, "--finished is ACTIVED or UNACTIVED, not \"%.40s\"", finished);
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE, reterr));
    MS_TRY(ms_tenant_find(cli->svc, cli->args[0], &cli->tenant, reterr));
    cli->ctx.tenant = (struct ms_tenant_id){cli->tenant.id};
    return ms_tenant_set_start(cli->svc, &cli->ctx, unactived, reterr);
}

const struct ms_cmd ms_cmd_tenant_set = {
    .name = "tenant set",
    .args = "NAME|ID",
    .summary = "change a tenant's settings",
    .help = "What an asset becomes when its upload is confirmed, its file closed or its review passed: ACTIVED, "
            "at first; or\n"
            "UNACTIVED, until msasset activate. From now on; what is there stays as it is.\n\n"
            "Example:\n  msasset tenant set media --finished UNACTIVED\n",
    .opts = {{"finished", 0, "STATE", "ACTIVED or UNACTIVED"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
