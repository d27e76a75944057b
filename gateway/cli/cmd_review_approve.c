#include "cli/review_text.h"

static enum ms_code each(struct ms_cli *cli, const char *arg, json_t *results,
                         struct ms_error *reterr) {
    return ms_cli_review_decide(cli, arg, MS_VERDICT_PASS, "", results, reterr);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    return ms_cli_each(cli, each, reterr);
}

const struct ms_cmd ms_cmd_review_approve = {
    .name = "review approve",
    .args = "PATH|ID...",
    .summary = "let what waits for review pass",
    .help = "For administrators. A new asset becomes ACTIVED (by the tenant's setting UNACTIVED), a "
            "held edit its text.\n\nExample:\n  msasset review approve videos/film.mp4\n",
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
