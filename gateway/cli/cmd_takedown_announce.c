#include "cli/apply.h"

enum { OPT_AT };

static enum ms_code each(struct ms_cli *cli, const char *arg, json_t *results,
                         struct ms_error *reterr) {
    struct ms_asset_event event = {.event = MS_EVENT_ANNOUNCE};
    MS_TRY(ms_apply_instant(cli, "--at", cli->given[OPT_AT], &event.at, reterr));
    return ms_apply_one(cli, arg, &event, results, reterr);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    return ms_apply_all(cli, each, reterr);
}

const struct ms_cmd ms_cmd_takedown_announce = {
    .name = "takedown announce",
    .args = "PATH|ID...",
    .summary = "say when assets will be taken down",
    .help = "For administrators. Until that instant the asset shows WAITING_DELETE and can be read, "
            "used and shared, not\n"
            "written or transferred. Then it goes to the recycle bin; a preset asset is deleted for "
            "good, and its date lies\n"
            "three calendar months ahead or more.\n\nExample:\n"
            "  msasset takedown announce videos/a.mp4 --at 2027-01-01T00:00:00Z\n",
    .opts = {{"at", 0, "INSTANT", "RFC 3339, or +90d from now on"}},
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
