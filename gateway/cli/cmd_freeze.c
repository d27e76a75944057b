#include "cli/apply.h"
#include "cli/mounts_text.h"

enum { OPT_CODE, OPT_REASON };

static enum ms_code each(struct ms_cli *cli, const char *arg, json_t *results,
                         struct ms_error *reterr) {
    struct ms_asset_event event = {.event = MS_EVENT_FREEZE,
                                   .reason_code = cli->given[OPT_CODE],
                                   .why = cli->given[OPT_REASON]};
    return ms_apply_one(cli, arg, &event, results, reterr);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    for (unsigned i = OPT_CODE; i <= OPT_REASON; i++)
        if (!cli->given[i] || !cli->given[i][0] || strlen(cli->given[i]) > MS_REASON_MAX)
            return ms_fail(reterr, MS_USAGE,
                           "a freeze needs --reason-code and --reason, each of 1 to %d bytes",
                           MS_REASON_MAX);
    enum ms_code code = ms_apply_all(cli, each, reterr);
    if (code == MS_OK || code == MS_CLI_SOME_FAILED) /* some may be frozen though others failed */
        ms_mounts_tell(cli, NULL);
    return code;
}

const struct ms_cmd ms_cmd_freeze = {
    .name = "freeze",
    .args = "PATH|ID...",
    .summary = "block assets: nobody reads or changes them",
    .help = "For administrators, after a complaint. The asset shows BLOCK with code and reason; it "
            "can be listed, shown and\n"
            "deleted, and nothing else. The command ends when every mount of this host has shut the "
            "handles and mappings\n"
            "that are open there, and prints how long that took (mostly some ms). One that has not "
            "answered within 2 s is\n"
            "named in a warning: the asset is frozen, but what is open there may be read until it "
            "answers.\n"
            "Deleting and restoring lifts no freeze. What is frozen in the recycle bin is not "
            "purged before it is\n"
            "unfrozen or deleted again.\n\nExample:\n"
            "  msasset freeze videos/a.mp4 --reason-code COPYRIGHT --reason 'complaint 4711'\n",
    .opts = {{"reason-code", 0, "CODE", "short code, kept with the asset"},
             {"reason", 0, "TEXT", "reason, shown to the tenant"}},
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
