#include "cli/request_text.h"

enum { OPT_REASON };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    return ms_request_run_decide(cli, false, cli->given[OPT_REASON], reterr);
}

const struct ms_cmd ms_cmd_request_refuse = {
    .name = "request refuse",
    .args = "REQUEST",
    .summary = "refuse an unfreeze request",
    .help = "For administrators. The request stays in the list with its answer, and the audit log "
            "has both; the tenant may\n"
            "ask again.\n\nExample:\n"
            "  msasset request refuse 0123456789abcdef0123456789abcdef --reason 'no licence'\n",
    .opts = {{"reason", 0, "TEXT", "kept with the request, shown to the tenant"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
