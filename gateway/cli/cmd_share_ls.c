#include "cli/apply.h"
#include "cli/share_text.h"

#include <stdlib.h>

enum { OPT_BY_ME, OPT_WITH_ME };

#define PAGE 32u

struct listing {
    struct ms_table *table; /* or */
    json_t *array;
};

static void add_row(struct listing *l, const char *role, const char *tenant, const struct ms_share_record *share,
                    const char *name, bool readable) {
    struct ms_id_text id = ms_id_text(share->asset);
    struct ms_out_text end = ms_share_end_text(share->until);
    ms_table_row(l->table,
                 (const char *const[]){role, tenant, end.s, readable ? "yes" : "no", name, id.s});
}

static void add_mine(struct listing *l, const struct ms_share_info *info) {
    if (l->array)
        ms_out_add(l->array, ms_share_json(info));
    else
        add_row(l, "SHARER", info->receiver, &info->share, info->name, info->readable);
}

static void add_others(void *priv, const struct ms_shared_info *info) {
    struct listing *l = priv;
    if (l->array)
        ms_out_add(l->array, ms_shared_json(info));
    else
        add_row(l, "SHAREE", info->owner, &info->share, info->readable ? info->asset.name : "-", info->readable);
}

static enum ms_code by_me(struct ms_cli *cli, struct listing *l, struct ms_asset_id asset,
                          struct ms_error *reterr) {
    struct ms_share_info *page = calloc(PAGE, sizeof *page);
    struct ms_share_record after = {.since = {0}};
    enum ms_code code = MS_OK;
    size_t n = PAGE;
    if (!page)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a page of shares");
    while (code == MS_OK && n == PAGE) {
        code = ms_share_list(cli->svc, &cli->ctx, asset, &after, page, PAGE, &n, reterr);
        for (size_t i = 0; code == MS_OK && i < n; i++) {
            add_mine(l, &page[i]);
            after = page[i].share;
        }
    }
    free(page);
    return code;
}

static enum ms_code list(struct ms_cli *cli, struct listing *l, struct ms_error *reterr) {
    bool mine = cli->given[OPT_BY_ME] || cli->args_n > 0, others = cli->given[OPT_WITH_ME];
    struct ms_asset_id asset = {{{0}}};
    if (cli->args_n > 0)
        MS_TRY(ms_apply_find(cli, cli->args[0], &asset, reterr));
    if (mine || !others)
        MS_TRY(by_me(cli, l, asset, reterr));
    if (others || !mine)
        MS_TRY(ms_shared_each(cli, add_others, l, reterr));
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    static const char *const heads[] = {"ROLE", "TENANT", "UNTIL", "READABLE", "NAME", "ASSET", NULL};
    struct listing l = {.table = NULL};
    if (cli->args_n > 0 && cli->given[OPT_WITH_ME])
        return ms_fail(reterr, MS_USAGE, "an asset of your own is listed --by-me");
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT | MS_NEED_READ_ONLY, reterr));
    if (cli->json)
        l.array = json_array();
    else
        l.table = ms_table_new(heads);
    enum ms_code code = list(cli, &l, reterr);
    if (code != MS_OK) {
        json_decref(l.array);
        if (l.table)
            ms_table_drop(l.table);
        return code;
    }
    if (cli->json)
        return ms_out_json(l.array, reterr);
    ms_table_print(l.table, stdout);
    return MS_OK;
}

const struct ms_cmd ms_cmd_share_ls = {
    .name = "share ls",
    .args = "[PATH|ID]",
    .summary = "list what is shared by a tenant, and with it",
    .help = "TENANT is the other one, UNTIL the last second. READABLE says whether the receiver may read it now: "
            "not while\n"
            "the asset is anything but ACTIVED or WAITING_DELETE, or one of both tenants is frozen. With a path, "
            "whom that\n"
            "asset is shared with.\n\nExamples:\n  msasset share ls videos/film.mp4\n"
            "  msasset share ls --with-me --json\n",
    .opts = {{"by-me", 0, NULL, "what the tenant shares with others"},
             {"with-me", 0, NULL, "what others share with the tenant"}},
    .args_min = 0,
    .args_max = 1,
    .run = run,
};
