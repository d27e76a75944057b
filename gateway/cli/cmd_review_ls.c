#include "cli/review_text.h"

#define PAGE 64

enum { OPT_ALL };

static void add_row(struct ms_table *table, const struct ms_review_case *c) {
    struct ms_id_text id = ms_id_text(c->row.asset);
    struct ms_out_text since = ms_out_time(c->row.since);
    const char *const cells[] = {id.s,
                                 c->edit ? "edit" : "new",
                                 c->row.human ? "a person" : "the machine",
                                 since.s,
                                 c->row.has_name ? c->row.name : c->asset.name,
                                 c->row.note};
    ms_table_row(table, cells);
}

static enum ms_code list(struct ms_cli *cli, struct ms_review_case *cases, json_t *results,
                         struct ms_table *table, struct ms_error *reterr) {
    struct ms_asset_id after = {{{0}}};
    for (size_t n = PAGE; n == PAGE;) {
        MS_TRY(ms_review_list(cli->svc, &cli->ctx, after, cases, PAGE, &n, reterr));
        for (size_t i = 0; i < n; i++) {
            after.id = cases[i].row.asset;
            if (!cases[i].row.human && !cli->given[OPT_ALL])
                continue;
            add_row(table, &cases[i]);
            ms_out_add(results, ms_cli_review_json(&cases[i]));
        }
    }
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    static const char *const heads[] = {"ASSET", "WHAT", "WAITS FOR", "SINCE", "NAME", "NOTE", NULL};
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    struct ms_review_case *cases = calloc(PAGE, sizeof *cases);
    if (!cases)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the queue");
    json_t *results = json_array();
    struct ms_table *table = ms_table_new(heads);
    enum ms_code code = list(cli, cases, results, table, reterr);
    free(cases);
    if (code == MS_OK && cli->json)
        code = ms_out_json(json_incref(results), reterr);
    if (code == MS_OK && !cli->json)
        ms_table_print(table, stdout);
    else
        ms_table_drop(table);
    json_decref(results);
    return code;
}

const struct ms_cmd ms_cmd_review_ls = {
    .name = "review ls",
    .args = "",
    .summary = "list what waits for a person's verdict",
    .help = "New assets, which show CREATING until then, and edits of finished ones, which are held "
            "aside.\n\nExample:\n  msasset review ls --all --json\n",
    .opts = {{"all", 'a', NULL, "also what waits for the machine"}},
    .run = run,
};
