#include "cli/apply.h"

static enum ms_code each(struct ms_cli *cli, const char *arg, json_t *results,
                         struct ms_error *reterr) {
    struct ms_asset_event event = {.event = MS_EVENT_ACTIVATE};
    return ms_apply_one(cli, arg, &event, results, reterr);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    return ms_apply_all(cli, each, reterr);
}

const struct ms_cmd ms_cmd_activate = {
    .name = "activate",
    .args = "PATH|ID...",
    .summary = "make finished assets usable again",
    .help = "UNACTIVED assets become ACTIVED: they may be used in production.\n\nExample:\n"
            "  msasset activate videos/a.mp4\n",
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
