#include "cli/request_text.h"

enum { OPT_REASON };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    return ms_request_run_decide(cli, true, cli->given[OPT_REASON], reterr);
}

const struct ms_cmd ms_cmd_request_grant = {
    .name = "request grant",
    .args = "REQUEST",
    .summary = "grant an unfreeze request",
    .help = "For administrators. The unfreeze happens in the same step, as msasset unfreeze does "
            "it.\n\nExample:\n"
            "  msasset request grant 0123456789abcdef0123456789abcdef --reason 'licence seen'\n",
    .opts = {{"reason", 0, "TEXT", "kept with the request"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
