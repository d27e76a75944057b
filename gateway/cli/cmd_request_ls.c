#include "cli/request_text.h"

#include <stdlib.h>

enum { OPT_ALL };

static bool is_wanted(const struct ms_cli *cli, const struct ms_request_record *r) {
    return cli->given[OPT_ALL] || r->state == MS_REQUEST_WAITING;
}

static void print(const struct ms_cli *cli, const struct ms_request_record *list, size_t n) {
    static const char *const heads[] = {"REQUEST", "ASSET", "STATE", "MADE", "BY", "TEXT", NULL};
    struct ms_table *table = ms_table_new(heads);
    for (size_t i = 0; i < n; i++) {
        const struct ms_request_record *r = &list[i];
        struct ms_id_text id = ms_id_text(r->id), asset = ms_id_text(r->asset);
        struct ms_out_text made = ms_out_time(r->at);
        bool whole = ms_asset_id_is_none((struct ms_asset_id){r->asset});
        if (is_wanted(cli, r))
            ms_table_row(table, (const char *const[]){id.s, whole ? "(the tenant)" : asset.s,
                                                      ms_request_state_name(r->state), made.s,
                                                      r->who, r->text});
    }
    ms_table_print(table, stdout);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_request_record *list = NULL;
    size_t n = 0;
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT | MS_NEED_READ_ONLY, reterr));
    MS_TRY(ms_request_list(cli->svc, &cli->ctx, &list, &n, reterr));
    json_t *array = cli->json ? json_array() : NULL;
    for (size_t i = 0; array && i < n; i++)
        if (is_wanted(cli, &list[i]))
            ms_out_add(array, ms_request_json(&list[i]));
    if (!cli->json)
        print(cli, list, n);
    free(list);
    return cli->json ? ms_out_json(array, reterr) : MS_OK;
}

const struct ms_cmd ms_cmd_request_ls = {
    .name = "request ls",
    .args = "",
    .summary = "list the unfreeze requests of a tenant",
    .help = "Those that wait for a decision, oldest first.\n",
    .opts = {{"all", 'a', NULL, "decided ones too"}},
    .run = run,
};
