#include "cli/review_text.h"

enum { OPT_REASON, OPT_SEEN };

static enum ms_code each(struct ms_cli *cli, const char *arg, json_t *results,
                         struct ms_error *reterr) {
    return ms_cli_review_decide(cli, arg, MS_VERDICT_REJECT, cli->given[OPT_REASON],
                                cli->given[OPT_SEEN], results, reterr);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    if (!cli->given[OPT_REASON])
        return ms_fail(reterr, MS_USAGE, "--reason says why: the owner is told");
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    return ms_cli_each(cli, each, reterr);
}

const struct ms_cmd ms_cmd_review_reject = {
    .name = "review reject",
    .args = "PATH|ID...",
    .summary = "reject what waits for review",
    .help = "For administrators. A new asset is FAILED with MANUAL_REVIEW_REJECT and the reason; its "
            "bytes are kept and\n"
            "counted, and nobody reads them. A held edit is dropped, and changes no state.\n\n"
            "Example:\n  msasset review reject videos/film.mp4 --reason 'not ours to show'\n",
    .opts = {{"reason", 0, "TEXT", "told to the owner, and in the audit log"},
             {"seen", 0, "TIME", MS_CLI_SEEN_HELP}},
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
