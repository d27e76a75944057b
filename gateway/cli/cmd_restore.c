#include "cli/binned.h"

enum { OPT_TO };

static enum ms_code each(struct ms_cli *cli, const char *arg, json_t *results,
                         struct ms_error *reterr) {
    struct ms_asset_info info;
    struct ms_asset_event event = {
        .event = MS_EVENT_RESTORE, .why = "", .restore_to = cli->given[OPT_TO]};
    enum ms_code code = ms_binned_find(cli, arg, &event.id, reterr);
    if (code == MS_OK)
        code = ms_asset_apply(cli->svc, &cli->ctx, &event, &info, reterr);
    if (code != MS_OK)
        return code;
    if (cli->json)
        ms_out_add(results, ms_out_asset_json(&info));
    else if (!cli->quiet)
        printf("%s  %s\n", info.path, ms_state_name(info.state));
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr);
    if (code == MS_OK && cli->given[OPT_TO] && cli->args_n > 1)
        code =
            ms_fail(reterr, MS_USAGE, "--to names one path: restore one asset at a time with it");
    return code == MS_OK ? ms_cli_each(cli, each, reterr) : code;
}

const struct ms_cmd ms_cmd_restore = {
    .name = "restore",
    .args = "PATH|ID...",
    .summary = "bring assets back from the recycle bin",
    .help = "An asset returns to where it was, in the state it had; missing folders are made "
            "again. When that name is\n"
            "taken, --to names another path. A frozen asset comes back frozen.\n\nExamples:\n"
            "  msasset restore videos/old.mp4\n  msasset restore 0123456789abcdef0123456789abcdef "
            "--to videos/o2.mp4\n",
    .opts = {{"to", 0, "PATH", "restore to this path instead"}},
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
