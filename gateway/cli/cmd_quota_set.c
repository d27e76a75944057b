#include "cli/quota_text.h"

enum { OPT_FREE, OPT_PAY_PER_USE };

static enum ms_code switch_of(const char *text, bool *ret_on, struct ms_error *reterr) {
    *ret_on = strcmp(text, "on") == 0;
    if (*ret_on || strcmp(text, "off") == 0)
        return MS_OK;
    return ms_fail(reterr, MS_USAGE, "--pay-per-use is on or off, not \"%.64s\"", text);
}

static enum ms_code set(struct ms_cli *cli, struct ms_error *reterr) {
    const char *free_text = cli->given[OPT_FREE], *pay = cli->given[OPT_PAY_PER_USE];
    uint64_t free_bytes = 0;
    bool on = false;
    enum ms_code code = MS_OK;
    if (!free_text && !pay)
        return ms_fail(reterr, MS_USAGE, "nothing to set: give --free, --pay-per-use, or both");
    if (free_text)
        code = ms_bytes_parse(free_text, &free_bytes, reterr);
    if (code == MS_OK && pay)
        code = switch_of(pay, &on, reterr);
    if (code == MS_OK && free_text)
        code = ms_tenant_set_quota(cli->svc, &cli->ctx, free_bytes, reterr);
    if (code == MS_OK && pay)
        code = ms_tenant_set_pay_per_use(cli->svc, &cli->ctx, on, reterr);
    return code;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_quota_info info;
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr);
    if (code == MS_OK)
        code = set(cli, reterr);
    if (code == MS_OK)
        code = ms_tenant_quota(cli->svc, &cli->ctx, &info, reterr);
    if (code != MS_OK)
        return code;
    if (cli->json)
        return ms_out_json(ms_quota_json(&info), reterr);
    if (!cli->quiet)
        ms_quota_print(&info);
    return MS_OK;
}

const struct ms_cmd ms_cmd_quota_set = {
    .name = "quota set",
    .args = "",
    .summary = "set a tenant's free quota and pay-per-use",
    .help = "Both hold from this instant on, and are rows of the ledger: the bill knows since when. "
            "A quota below what is\n"
            "stored deletes nothing: it blocks new bytes and meters the excess. Pay-per-use, off at "
            "first, concerns produced\n"
            "video: on, minutes beyond the packages are metered at the rate card; off, they are "
            "refused.\n\n"
            "Example:\n"
            "  msasset quota set --free 20G --pay-per-use on --tenant media\n",
    .opts = {{"free", 0, "SIZE", "free quota, e.g. 5G"},
             {"pay-per-use", 0, "on|off", "meter minutes beyond the packages, or refuse them"}},
    .run = run,
};
