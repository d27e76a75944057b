#include "cli/cmd.h"
#include "service/review.h"

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    bool on = strcmp(cli->args[0], "on") == 0;
    if (!on && strcmp(cli->args[0], "off") != 0)
        return ms_fail(reterr, MS_USAGE, "say on or off, not \"%.40s\"", cli->args[0]);
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    return ms_review_set(cli->svc, &cli->ctx, on, reterr);
}

const struct ms_cmd ms_cmd_review_set = {
    .name = "review set",
    .args = "on|off",
    .summary = "review a tenant's uploads and edits, or exempt it",
    .help = "For administrators. From now on; what waits goes on waiting. New tenants are exempt.\n\n"
            "Example:\n  msasset review set on --tenant media\n",
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
