#include "cli/transfer_text.h"

#include <stdlib.h>

enum { OPT_ALL };

static bool is_wanted(const struct ms_cli *cli, const struct ms_transfer_record *j) {
    return cli->given[OPT_ALL] || j->state == MS_TRANSFER_PROCESSING;
}

static void print(const struct ms_cli *cli, const struct ms_transfer_record *list, size_t n) {
    static const char *const heads[] = {"JOB",   "ROLE", "STATE",   ">ASSETS",
                                        "MADE",  "ENDS", "REASON", NULL};
    struct ms_table *table = ms_table_new(heads);
    for (size_t i = 0; i < n; i++) {
        const struct ms_transfer_record *j = &list[i];
        bool sends = ms_tenant_id_equal((struct ms_tenant_id){j->src}, cli->ctx.tenant);
        bool runs = j->state == MS_TRANSFER_PROCESSING;
        struct ms_id_text id = ms_id_text(j->id);
        struct ms_out_text assets = ms_out_exact(j->assets), made = ms_out_time(j->start),
                           ends = ms_out_time(runs ? j->expire : j->finish);
        if (is_wanted(cli, j))
            ms_table_row(table, (const char *const[]){id.s, sends ? "sender" : "receiver",
                                                      ms_transfer_state_name(j->state), assets.s,
                                                      made.s, ends.s, runs ? j->memo : j->reason});
    }
    ms_table_print(table, stdout);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_transfer_record *list = NULL;
    size_t n = 0;
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT | MS_NEED_READ_ONLY, reterr));
    MS_TRY(ms_transfer_list(cli->svc, &cli->ctx, &list, &n, reterr));
    json_t *array = cli->json ? json_array() : NULL;
    for (size_t i = 0; array && i < n; i++)
        if (is_wanted(cli, &list[i]))
            ms_out_add(array, ms_transfer_json(&list[i]));
    if (!cli->json)
        print(cli, list, n);
    free(list);
    return cli->json ? ms_out_json(array, reterr) : MS_OK;
}

const struct ms_cmd ms_cmd_transfer_ls = {
    .name = "transfer ls",
    .args = "",
    .summary = "list what a tenant sends and receives",
    .help = "Transfers that wait to be accepted, oldest first.\n",
    .opts = {{"all", 'a', NULL, "those that are over too"}},
    .run = run,
};
