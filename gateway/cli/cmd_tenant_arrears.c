#include "cli/quota_text.h"

#include "service/arrears.h"

#include <string.h>

enum { OPT_REASON };

static enum ms_code switch_of(const char *text, bool *ret_on, struct ms_error *reterr) {
    *ret_on = strcmp(text, "on") == 0;
    if (*ret_on || strcmp(text, "off") == 0)
        return MS_OK;
    return ms_fail(reterr, MS_USAGE, "arrears are switched on or off, not \"%.64s\"", text);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_quota_info info;
    ms_warning text;
    bool on;
    MS_TRY(switch_of(cli->args[1], &on, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE, reterr));
    MS_TRY(ms_tenant_find(cli->svc, cli->args[0], &cli->tenant, reterr));
    cli->ctx.tenant = (struct ms_tenant_id){cli->tenant.id};
    MS_TRY(ms_tenant_set_arrears(cli->svc, &cli->ctx, on, cli->given[OPT_REASON], &cli->tenant,
                                 reterr));
    MS_TRY(ms_tenant_quota(cli->svc, &cli->ctx, &info, reterr));
    if (cli->json)
        return ms_out_json(ms_quota_json(&info), reterr);
    ms_tenant_warning(&info.tenant, info.now, text);
    if (!cli->quiet)
        printf("Tenant %s: %s.\n", info.tenant.name, text[0] ? text : "no payment is missing");
    return MS_OK;
}

const struct ms_cmd ms_cmd_tenant_arrears = {
    .name = "tenant arrears",
    .args = "NAME|ID on|off",
    .summary = "say that a tenant's payment is missing, or was made",
    .help =
        "on starts 15 days of grace, in which all works and every interface shows a warning with "
        "dates. After them the\n"
        "tenant is frozen as a whole (hold ARREARS); after 15 days more every asset of it is "
        "deleted for good, at that\n"
        "instant, swept or not. The tenant itself, its ledger, closed days and audit log stay. A "
        "package whose term ends\n"
        "meanwhile does not renew itself; neither allowance nor fees of running terms change.\n\n"
        "off ends all that, and lifts that hold and no other: what an administrator or a package "
        "has frozen stays frozen.\n"
        "Nothing that was deleted comes back. What it is already changes nothing.\n\n"
        "Examples:\n"
        "  msasset tenant arrears media on --reason 'invoice 4711'\n"
        "  msasset tenant arrears media off\n",
    .opts = {{"reason", 0, "TEXT", "for the audit log"}},
    .args_min = 2,
    .args_max = 2,
    .run = run,
};
