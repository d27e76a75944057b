#include "cli/transfer_text.h"

enum { OPT_REASON };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    return ms_transfer_run_end(cli, MS_TRANSFER_CANCEL, cli->given[OPT_REASON], reterr);
}

const struct ms_cmd ms_cmd_transfer_cancel = {
    .name = "transfer cancel",
    .args = "JOB",
    .summary = "take an offer back",
    .help = "By the sender, before it was accepted. The job is CANCEL.\n\nExample:\n"
            "  msasset transfer cancel 0123456789abcdef0123456789abcdef\n",
    .opts = {{"reason", 0, "TEXT", "kept with the job"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
