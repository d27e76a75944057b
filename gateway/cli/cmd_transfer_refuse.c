#include "cli/transfer_text.h"

enum { OPT_REASON };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    return ms_transfer_run_end(cli, MS_TRANSFER_REJECT, cli->given[OPT_REASON], reterr);
}

const struct ms_cmd ms_cmd_transfer_refuse = {
    .name = "transfer refuse",
    .args = "JOB",
    .summary = "refuse what another tenant offers",
    .help = "The job is REJECT; the assets stay the sender's.\n\nExample:\n"
            "  msasset transfer refuse 0123456789abcdef0123456789abcdef\n",
    .opts = {{"reason", 0, "TEXT", "kept with the job, shown to the sender"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
