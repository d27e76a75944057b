#include "cli/apply.h"

static enum ms_code each(struct ms_cli *cli, const char *arg, json_t *results,
                         struct ms_error *reterr) {
    struct ms_asset_event event = {.event = MS_EVENT_UNSCHEDULE};
    return ms_apply_one(cli, arg, &event, results, reterr);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    return ms_apply_all(cli, each, reterr);
}

const struct ms_cmd ms_cmd_schedule_clear = {
    .name = "schedule clear",
    .args = "PATH|ID...",
    .summary = "drop the scheduled operations of assets",
    .help = "All that are still to come.\n\nExample:\n"
            "  msasset schedule clear videos/a.mp4\n",
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
