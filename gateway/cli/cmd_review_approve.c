#include "cli/review_text.h"

enum { OPT_SEEN };

static enum ms_code each(struct ms_cli *cli, const char *arg, json_t *results,
                         struct ms_error *reterr) {
    return ms_cli_review_decide(cli, arg, MS_VERDICT_PASS, "", cli->given[OPT_SEEN], results, reterr);
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
            "held edit its text. The owner\n"
            "may go on editing while you look: with --seen only what you have seen passes.\n\nExample:\n"
            "  msasset review approve videos/film.mp4 --seen 2026-03-01T12:00:00.000Z\n",
    .opts = {{"seen", 0, "TIME", MS_CLI_SEEN_HELP}},
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
