#include "cli/quota_text.h"

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_quota_info info;
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE, reterr);
    if (code == MS_OK)
        code = ms_tenant_find(cli->svc, cli->args[0], &cli->tenant, reterr);
    cli->ctx.tenant = (struct ms_tenant_id){cli->tenant.id};
    if (code == MS_OK)
        code = ms_tenant_quota(cli->svc, &cli->ctx, &info, reterr);
    if (code != MS_OK)
        return code;
    if (cli->json)
        return ms_out_json(ms_quota_json(&info), reterr);
    const struct ms_tenant_record *t = &info.tenant;
    ms_out_pair("name", "%s", t->name);
    ms_out_pair("id", "%s", ms_id_text(t->id).s);
    ms_out_pair("made", "%s", ms_out_time(t->created).s);
    ms_warning why;
    bool frozen = ms_tenant_mask(t, info.now).holds != 0;
    ms_tenant_why(t, info.now, why);
    ms_out_pair("state", "%s%s%s", frozen ? "frozen" : "normal", why[0] ? ": " : "", why);
    ms_out_pair("bin", "%lld days", (long long)(t->retention_ms / MS_DAY_MS));
    ms_out_pair("files", "uid %u, gid %u, umask %03o", t->uid, t->gid, t->umask);
    ms_out_pair("finished", "%s", t->start_unactived ? "UNACTIVED" : "ACTIVED");
    ms_quota_print(&info);
    return MS_OK;
}

const struct ms_cmd ms_cmd_tenant_show = {
    .name = "tenant show",
    .args = "NAME|ID",
    .summary = "show a tenant's settings and usage",
    .help =
        "Settings, state, quota and what is used of it.\n\nExample:\n  msasset tenant show media\n",
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
