#include "cli/apply.h"
#include "cli/share_text.h"
#include "service/batch.h"

#include <stdlib.h>
#include <string.h>

enum { OPT_WITH, OPT_DAYS, OPT_UNTIL };

/* Whom SHARE and UNSHARE are about. */
struct sharing {
    struct ms_tenant_id tenants[MS_SHARE_TENANTS_MAX];
    struct ms_share share;
};

/* --with a,b,c: cut in place. */
static enum ms_code with_of(struct ms_cli *cli, char *text, struct sharing *s, struct ms_error *reterr) {
    char *names[MS_SHARE_TENANTS_MAX], *rest = text;
    size_t n = 0;
    for (char *name; (name = strsep(&rest, ",")) != NULL;) {
        if (n == MS_SHARE_TENANTS_MAX)
            return ms_fail(reterr, MS_USAGE, "an asset is shared with at most %d tenants",
                           MS_SHARE_TENANTS_MAX);
        names[n++] = name;
    }
    s->share.n = n;
    return ms_share_tenants_given(cli, names, n, s->tenants, reterr);
}

static enum ms_code sharing_of(struct ms_cli *cli, enum ms_batch_action action, struct sharing *s,
                               struct ms_error *reterr) {
    const char *with = cli->given[OPT_WITH];
    bool shares = action == MS_BATCH_SHARE;
    *s = (struct sharing){.share = {.n = 0}};
    s->share.receivers = s->tenants;
    if (shares != (with != NULL) && action != MS_BATCH_UNSHARE)
        return ms_fail(reterr, MS_USAGE, shares ? "SHARE needs --with: say which tenants may read them"
                                                : "--with is for SHARE and UNSHARE");
    if (!shares && (cli->given[OPT_DAYS] || cli->given[OPT_UNTIL]))
        return ms_fail(reterr, MS_USAGE, "--days and --until are for SHARE");
    MS_TRY(ms_share_end_given(cli, cli->given[OPT_DAYS], cli->given[OPT_UNTIL], &s->share.until, reterr));
    if (!with)
        return MS_OK;
    char *text = strdup(with);
    if (!text)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the names of tenants");
    enum ms_code code = with_of(cli, text, s, reterr);
    free(text);
    return code;
}

/* What there is none of: another group that failed, named as it was given. */
struct absent {
    const char *args[MS_BATCH_MAX];
    size_t n;
    struct ms_error error; /* of the first one */
};

static json_t *failed(json_t *ids, enum ms_code code, const struct ms_error *error) {
    return json_pack("{s:s,s:o,s:{s:s,s:s}}", "ret_status", "FAILED", "asset_ids", ids,
                     "error_info", "error_code", ms_code_name(code), "error_msg", error->message);
}

static json_t *json_of(const struct ms_batch_group *g) {
    json_t *ids = json_array();
    for (size_t i = 0; i < g->n; i++)
        ms_out_add(ids, json_string(ms_id_text(g->ids[i].id).s));
    return g->code == MS_OK ? json_pack("{s:s,s:o}", "ret_status", "SUCCESS", "asset_ids", ids)
                            : failed(ids, g->code, &g->error);
}

static json_t *json_of_absent(const struct absent *a) {
    json_t *args = json_array();
    for (size_t i = 0; i < a->n; i++)
        ms_out_add(args, json_string(a->args[i]));
    return failed(args, MS_NOT_FOUND, &a->error);
}

static void print(enum ms_code code, size_t n, const struct ms_error *error) {
    if (code == MS_OK)
        printf("SUCCESS  %zu\n", n);
    else
        printf("FAILED   %zu  %s: %s\n", n, ms_code_name(code), error->message);
}

/* The exit status is that of a command whose single parts failed. */
static enum ms_code tell(struct ms_cli *cli, const struct ms_batch_result *r,
                         const struct absent *absent, struct ms_error *reterr) {
    json_t *results = cli->json ? json_array() : NULL;
    for (size_t i = 0; i < r->n; i++) {
        if (results)
            ms_out_add(results, json_of(&r->group[i]));
        else if (!cli->quiet)
            print(r->group[i].code, r->group[i].n, &r->group[i].error);
    }
    if (absent->n && results)
        ms_out_add(results, json_of_absent(absent));
    else if (absent->n && !cli->quiet)
        print(MS_NOT_FOUND, absent->n, &absent->error);
    if (cli->json)
        MS_TRY(ms_out_json(json_pack("{s:o}", "results", results), reterr));
    bool all = r->n == 1 && r->group[0].code == MS_OK && absent->n == 0;
    return all ? MS_OK : MS_CLI_SOME_FAILED;
}

static enum ms_code find_all(struct ms_cli *cli, struct ms_asset_id *ids, size_t *ret_n,
                             struct absent *absent, struct ms_error *reterr) {
    *ret_n = 0;
    *absent = (struct absent){.n = 0};
    for (int i = 1; i < cli->args_n; i++) {
        struct ms_error err = {0};
        enum ms_code code = ms_apply_find(cli, cli->args[i], &ids[*ret_n], &err);
        if (code != MS_OK && code != MS_NOT_FOUND) {
            *reterr = err;
            return code;
        }
        if (code == MS_OK) {
            ++*ret_n;
            continue;
        }
        if (absent->n == 0)
            absent->error = err;
        absent->args[absent->n++] = cli->args[i];
    }
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_asset_id ids[MS_BATCH_MAX];
    struct absent absent;
    size_t found;
    enum ms_batch_action action;
    struct sharing sharing;
    int n = cli->args_n - 1;
    MS_TRY(ms_batch_action_parse(cli->args[0], &action, reterr));
    if (n > MS_BATCH_MAX)
        return ms_fail(reterr, MS_USAGE, "a batch has at most %d assets", MS_BATCH_MAX);
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(sharing_of(cli, action, &sharing, reterr));
    if (action == MS_BATCH_DELETE_FORCE)
        MS_TRY(ms_cli_confirm(cli, reterr, "Delete %d assets for good?", n));
    MS_TRY(find_all(cli, ids, &found, &absent, reterr));
    struct ms_batch_result *result = calloc(1, sizeof *result);
    if (!result)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the results of a batch");
    enum ms_code code =
        found ? ms_batch(cli->svc, &cli->ctx, action, ids, found, &sharing.share, result, reterr)
              : MS_OK;
    if (code == MS_OK)
        code = tell(cli, result, &absent, reterr);
    free(result);
    return code;
}

const struct ms_cmd ms_cmd_batch = {
    .name = "batch",
    .args = "ACTION PATH|ID...",
    .summary = "one action on up to 100 assets, with grouped results",
    .help = "ACTION is DELETE, DELETE_FORCE, RESTORE, UNACTIVE, ACTIVE, SHARE (--with) or UNSHARE. What is "
            "refused for one asset\n"
            "stops no other; all that succeeded are one result, and so are all that failed with the same "
            "error. Exit status 1\n"
            "when any failed.\n\nExamples:\n"
            "  msasset batch RESTORE videos/a.mp4 videos/b.mp4 --json\n"
            "  msasset batch SHARE videos/a.mp4 videos/b.mp4 --with studio,agency\n",
    .opts = {{"with", 0, "TENANT,...", "SHARE: who may read them; UNSHARE: who not (without it: nobody)"},
             {"days", 0, "N", "SHARE: until the end of the day in N days; 30"},
             {"until", 0, "DATE", "SHARE: until the end of this day"}},
    .args_min = 2,
    .args_max = -1,
    .destructive = true,
    .run = run,
};
