#include "cli/apply.h"
#include "service/batch.h"

#include <stdlib.h>

static json_t *json_of(const struct ms_batch_group *g) {
    json_t *ids = json_array();
    for (size_t i = 0; i < g->n; i++)
        (void)json_array_append_new(ids, json_string(ms_id_text(g->ids[i].id).s));
    if (g->code == MS_OK)
        return json_pack("{s:s,s:o}", "ret_status", "SUCCESS", "asset_ids", ids);
    return json_pack("{s:s,s:o,s:{s:s,s:s}}", "ret_status", "FAILED", "asset_ids", ids,
                     "error_info", "error_code", ms_code_name(g->code), "error_msg",
                     g->error.message);
}

static void print(const struct ms_batch_group *g) {
    if (g->code == MS_OK)
        printf("SUCCESS  %zu\n", g->n);
    else
        printf("FAILED   %zu  %s: %s\n", g->n, ms_code_name(g->code), g->error.message);
}

/* The exit status is that of a command whose single parts failed. */
static enum ms_code tell(struct ms_cli *cli, const struct ms_batch_result *r,
                         struct ms_error *reterr) {
    json_t *results = cli->json ? json_array() : NULL;
    for (size_t i = 0; i < r->n; i++) {
        if (results)
            (void)json_array_append_new(results, json_of(&r->group[i]));
        else if (!cli->quiet)
            print(&r->group[i]);
    }
    if (cli->json)
        MS_TRY(ms_out_json(json_pack("{s:o}", "results", results), reterr));
    bool all = r->n == 1 && r->group[0].code == MS_OK;
    return all ? MS_OK : MS_CLI_SOME_FAILED;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_asset_id ids[MS_BATCH_MAX];
    enum ms_batch_action action;
    int n = cli->args_n - 1;
    MS_TRY(ms_batch_action_parse(cli->args[0], &action, reterr));
    if (n > MS_BATCH_MAX)
        return ms_fail(reterr, MS_USAGE, "a batch has at most %d assets", MS_BATCH_MAX);
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    if (action == MS_BATCH_DELETE_FORCE)
        MS_TRY(ms_cli_confirm(cli, reterr, "Delete %d assets for good?", n));
    for (int i = 0; i < n; i++)
        MS_TRY(ms_apply_find(cli, cli->args[1 + i], &ids[i], reterr));
    struct ms_batch_result *result = calloc(1, sizeof *result);
    if (!result)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the results of a batch");
    enum ms_code code =
        ms_batch(cli->svc, &cli->ctx, action, ids, (size_t)n, result, reterr);
    if (code == MS_OK)
        code = tell(cli, result, reterr);
    free(result);
    return code;
}

const struct ms_cmd ms_cmd_batch = {
    .name = "batch",
    .args = "ACTION PATH|ID...",
    .summary = "one action on up to 100 assets, with grouped results",
    .help = "ACTION is DELETE, DELETE_FORCE, RESTORE, UNACTIVE or ACTIVE. What is refused for one "
            "asset stops no other; all that\n"
            "succeeded are one result, and so are all that failed with the same error. Exit status 1 "
            "when any failed.\n\nExample:\n"
            "  msasset batch RESTORE videos/a.mp4 videos/b.mp4 --json\n",
    .args_min = 2,
    .args_max = -1,
    .destructive = true,
    .run = run,
};
