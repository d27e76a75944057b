#include "cli/package_text.h"

enum { OPT_ORDER, OPT_TERMS };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_package_record p;
    struct ms_package_id id;
    uint32_t terms;
    if (!cli->given[OPT_ORDER])
        return ms_fail(reterr, MS_USAGE, "--order is needed: the same id again changes nothing more");
    MS_TRY(ms_package_arg(cli->args[0], &id, reterr));
    MS_TRY(ms_package_number(cli->given[OPT_TERMS], "--terms", 1, &terms, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_package_renew_by(cli->svc, &cli->ctx, id, cli->given[OPT_ORDER], terms, &p, reterr));
    return ms_package_print(cli, &p, 1, true, reterr);
}

const struct ms_cmd ms_cmd_package_renew = {
    .name = "package renew",
    .args = "PACKAGE",
    .summary = "add terms to a package, in time or late",
    .help = "In time, the terms follow the last one. Late, those that are wholly over are skipped, "
            "and fee, capacity and minutes\n"
            "of the one that runs begin now; what was frozen because the package ran out works "
            "again, and nothing else is lifted.\n"
            "Once the retention period is over a package cannot be renewed.\n",
    .opts = {{"order", 0, "ID", "the buyer's id of this order; needed"},
             {"terms", 0, "N", "how many; default: 1"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
