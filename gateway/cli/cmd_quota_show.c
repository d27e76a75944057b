#include "cli/quota_text.h"

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_quota_info info;
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr);
    if (code == MS_OK)
        code = ms_tenant_quota(cli->svc, &cli->ctx, &info, reterr);
    if (code != MS_OK)
        return code;
    if (cli->json)
        return ms_out_json(ms_quota_json(&info), reterr);
    ms_out_pair("tenant", "%s", info.tenant.name);
    ms_quota_print(&info);
    return MS_OK;
}

const struct ms_cmd ms_cmd_quota_show = {
    .name = "quota show",
    .args = "",
    .summary = "show what a tenant may store, and what is used of it",
    .help = "Exact to the byte at this instant: used is what committed files hold, reserved what "
            "files that are\n"
            "being written may still take. Frozen and binned assets count until they are deleted "
            "for good.\n",
    .run = run,
};
