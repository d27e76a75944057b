#include "cli/apply.h"

enum { OPT_BLOCK, OPT_DELETE, OPT_AT };

static enum ms_code each(struct ms_cli *cli, const char *arg, json_t *results,
                         struct ms_error *reterr) {
    struct ms_asset_event event = {.event = MS_EVENT_SCHEDULE,
                                   .scheduled_op = cli->given[OPT_BLOCK] ? MS_SCHEDULED_BLOCK
                                                                         : MS_SCHEDULED_DELETE};
    MS_TRY(ms_apply_instant(cli, "--at", cli->given[OPT_AT], &event.at, reterr));
    return ms_apply_one(cli, arg, &event, results, reterr);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    if (!cli->given[OPT_BLOCK] == !cli->given[OPT_DELETE])
        return ms_fail(reterr, MS_USAGE, "say what is to happen: --block or --delete");
    return ms_apply_all(cli, each, reterr);
}

const struct ms_cmd ms_cmd_schedule_add = {
    .name = "schedule add",
    .args = "PATH|ID...",
    .summary = "let assets be blocked or deleted at an instant",
    .help = "At that instant the asset is frozen, or goes to the recycle bin; then the operation is "
            "used up. An asset has at\n"
            "most ten; a past instant is refused. msasset show lists them, msasset schedule clear "
            "drops them.\n\nExample:\n"
            "  msasset schedule add videos/a.mp4 --delete --at +30d\n",
    .opts = {{"block", 0, NULL, "freeze it then"},
             {"delete", 0, NULL, "to the recycle bin then"},
             {"at", 0, "INSTANT", "RFC 3339, or +30d from now on"}},
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
