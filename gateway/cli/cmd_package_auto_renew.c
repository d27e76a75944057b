#include "cli/package_text.h"

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_package_record p;
    struct ms_package_id id;
    bool on = strcmp(cli->args[1], "on") == 0;
    if (!on && strcmp(cli->args[1], "off") != 0)
        return ms_fail(reterr, MS_USAGE, "auto-renew is on or off, not \"%.64s\"", cli->args[1]);
    MS_TRY(ms_package_arg(cli->args[0], &id, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_package_set_auto_renew(cli->svc, &cli->ctx, id, on, &p, reterr));
    return ms_package_print(cli, &p, 1, true, reterr);
}

const struct ms_cmd ms_cmd_package_auto_renew = {
    .name = "package auto-renew",
    .args = "PACKAGE on|off",
    .summary = "let a package renew itself, or not",
    .help = "On: whenever its last term ends it gets another one, which is charged. While it is on, "
            "what is bound to the package\n"
            "cannot be deleted in any way. Off: terms already bought run on, and nothing is paid "
            "back.\n",
    .args_min = 2,
    .args_max = 2,
    .run = run,
};
