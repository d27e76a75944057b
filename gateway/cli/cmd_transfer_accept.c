#include "cli/transfer_text.h"

enum { OPT_REASON };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    return ms_transfer_run_end(cli, MS_TRANSFER_ACCEPT, cli->given[OPT_REASON], reterr);
}

const struct ms_cmd ms_cmd_transfer_accept = {
    .name = "transfer accept",
    .args = "JOB",
    .summary = "take over what another tenant offers",
    .help = "All assets of the job become this tenant's in one step, as UNACTIVED, in the folders of their "
            "types. When\n"
            "something does not hold any more (state, freeze, quota) the job is FAIL with the reason and "
            "nothing moves.\n\nExample:\n"
            "  msasset transfer accept 0123456789abcdef0123456789abcdef\n",
    .opts = {{"reason", 0, "TEXT", "kept with the job"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
