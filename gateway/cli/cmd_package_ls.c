#include "cli/package_text.h"

#include <stdlib.h>

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_package_record *list = NULL;
    size_t n = 0;
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT | MS_NEED_READ_ONLY, reterr));
    MS_TRY(ms_package_list(cli->svc, &cli->ctx, &list, &n, reterr));
    enum ms_code code = ms_package_print(cli, list, n, false, reterr);
    free(list);
    return code;
}

const struct ms_cmd ms_cmd_package_ls = {
    .name = "package ls",
    .args = "",
    .summary = "list a tenant's packages",
    .help = "As they are at this instant, whether or not a sweep has run: what is left, when they "
            "end, and what comes next:\n"
            "\"expiring in N days\", \"frozen (retention period)\".\n",
    .run = run,
};
