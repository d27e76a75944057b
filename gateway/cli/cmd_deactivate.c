#include "cli/apply.h"

static enum ms_code each(struct ms_cli *cli, const char *arg, json_t *results,
                         struct ms_error *reterr) {
    struct ms_asset_event event = {.event = MS_EVENT_DEACTIVATE};
    return ms_apply_one(cli, arg, &event, results, reterr);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    return ms_apply_all(cli, each, reterr);
}

const struct ms_cmd ms_cmd_deactivate = {
    .name = "deactivate",
    .args = "PATH|ID...",
    .summary = "take finished assets out of use",
    .help = "ACTIVED assets become UNACTIVED: everything but use in production goes on.\n\nExample:\n"
            "  msasset deactivate videos/a.mp4\n",
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
