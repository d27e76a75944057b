#include "cli/apply.h"
#include "cli/request_text.h"

enum { OPT_TEXT };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_asset_id asset = {{{0}}};
    struct ms_request_record request;
    if (!cli->given[OPT_TEXT])
        return ms_fail(reterr, MS_USAGE, "a request needs --text: say why it should be unfrozen");
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    if (cli->args_n > 0)
        MS_TRY(ms_apply_find(cli, cli->args[0], &asset, reterr));
    MS_TRY(ms_request_add(cli->svc, &cli->ctx, asset, cli->given[OPT_TEXT], &request, reterr));
    return ms_request_tell(cli, &request, reterr);
}

const struct ms_cmd ms_cmd_request_add = {
    .name = "request add",
    .args = "[PATH|ID]",
    .summary = "ask an administrator for an unfreeze",
    .help = "About one asset, or without one about the freeze of the tenant as a whole. One request "
            "at a time waits for the\n"
            "same. What is frozen because a package ran out needs its renewal, what is frozen because "
            "a payment is missing\n"
            "needs that: such a request is refused.\n\nExample:\n"
            "  msasset request add videos/a.mp4 --text 'we hold the licence, number 17'\n",
    .opts = {{"text", 0, "TEXT", "why, at most 1024 bytes"}},
    .args_min = 0,
    .args_max = 1,
    .run = run,
};
