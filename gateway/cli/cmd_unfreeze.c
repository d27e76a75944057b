#include "cli/apply.h"

enum { OPT_REASON };

static enum ms_code each(struct ms_cli *cli, const char *arg, json_t *results,
                         struct ms_error *reterr) {
    struct ms_asset_event event = {.event = MS_EVENT_UNFREEZE, .why = cli->given[OPT_REASON]};
    return ms_apply_one(cli, arg, &event, results, reterr);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    return ms_apply_all(cli, each, reterr);
}

const struct ms_cmd ms_cmd_unfreeze = {
    .name = "unfreeze",
    .args = "PATH|ID...",
    .summary = "lift the freeze of assets",
    .help = "For administrators. Lifts what an administrator or a scheduled operation froze; the "
            "asset gets the state that\n"
            "it had before, and when it lay in the recycle bin it comes back to where it was (or "
            "beside it, with \" (2)\").\n"
            "A freeze because a package ran out is lifted by renewing that.\n\nExample:\n"
            "  msasset unfreeze videos/a.mp4 --reason 'complaint withdrawn'\n",
    .opts = {{"reason", 0, "TEXT", "for the audit log"}},
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
