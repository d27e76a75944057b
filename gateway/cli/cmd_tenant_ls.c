#include "cli/out.h"

#include <stdlib.h>

static const char *state_of(const struct ms_tenant_record *t, struct ms_instant now) {
    if (ms_arrears_at(ms_tenant_arrears(t), now) == MS_ARREARS_ENDED)
        return "frozen, assets deleted";
    if (ms_tenant_mask(t, now).holds)
        return "frozen";
    return ms_arrears_at(ms_tenant_arrears(t), now) ? "payment missing" : "normal";
}

static json_t *json_of(const struct ms_tenant_record *t, struct ms_instant now) {
    return json_pack("{s:s,s:s,s:I,s:o,s:s}", "tenant_id", ms_id_text(t->id).s, "name", t->name,
                     "free_bytes", (json_int_t)t->free_bytes, "create_time",
                     ms_out_json_time(t->created), "state", state_of(t, now));
}

static void print(const struct ms_tenant_record *list, size_t n, struct ms_instant now) {
    static const char *const heads[] = {"NAME", "ID", ">QUOTA", "MADE", "STATE", NULL};
    struct ms_table *table = ms_table_new(heads);
    for (size_t i = 0; i < n; i++) {
        struct ms_id_text id = ms_id_text(list[i].id);
        struct ms_out_text quota = ms_out_size(list[i].free_bytes),
                           made = ms_out_time(list[i].created);
        ms_table_row(table, (const char *const[]){list[i].name, id.s, quota.s, made.s,
                                                  state_of(&list[i], now)});
    }
    ms_table_print(table, stdout);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_tenant_record *list = NULL;
    size_t n = 0;
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE, reterr);
    if (code == MS_OK)
        code = ms_tenant_list(cli->svc, &list, &n, reterr);
    if (code != MS_OK)
        return code;
    if (cli->json) {
        json_t *array = json_array();
        for (size_t i = 0; i < n; i++)
            ms_out_add(array, json_of(&list[i], ms_clock_now(cli->svc->clock)));
        code = ms_out_json(array, reterr);
    } else {
        print(list, n, ms_clock_now(cli->svc->clock));
    }
    free(list);
    return code;
}

const struct ms_cmd ms_cmd_tenant_ls = {
    .name = "tenant ls",
    .args = "",
    .summary = "list tenants",
    .help = "One line a tenant: name, id, free quota, when it was made, whether it is frozen or a "
            "payment is "
            "missing.\n",
    .run = run,
};
