#include "cli/share_text.h"

#include "content/hash.h"

#include <stdlib.h>
#include <sys/stat.h>

enum { OPT_LONG, OPT_BIN, OPT_ALL, OPT_SHARED };
#define PAGE 64u
#define SHOWN_BYTES (4096 + MS_NAME_BYTES_MAX + 2) /* a path of the command line, "/", a name */

struct listing {
    struct ms_cli *cli;
    struct ms_table *table;
    json_t *array;
    bool detail;
};

static void add_asset(struct listing *l, const struct ms_asset_info *info, const char *name) {
    if (l->cli->json) {
        ms_out_add(l->array, ms_out_asset_json(info));
        return;
    }
    char root[33] = "-";
    if (info->version.hashed)
        ms_root_format(info->version.root, root);
    struct ms_out_text size = ms_out_size(info->size), changed = ms_out_time(info->asset.updated);
    struct ms_id_text id = ms_id_text(info->asset.id);
    ms_table_row(l->table, (const char *const[]){ms_asset_type_name(info->asset.type),
                                                 ms_state_name(info->state), size.s, changed.s,
                                                 name, l->detail ? id.s : NULL, root});
}

/* As it is found again: its owner, and its name. */
static void add_shared(void *priv, const struct ms_shared_info *info) {
    struct listing *l = priv;
    if (!info->readable)
        return;
    if (l->cli->json) {
        ms_out_add(l->array, ms_shared_json(info));
        return;
    }
    char root[33], name[MS_TENANT_NAME_MAX + 1 + MS_ASSET_NAME_BYTES_MAX + 1];
    struct ms_out_text size = ms_out_size(info->main.size), changed = ms_out_time(info->asset.updated);
    struct ms_id_text id = ms_id_text(info->asset.id);
    ms_shared_root(info, root);
    (void)snprintf(name, sizeof name, "%s/%s", info->owner, info->asset.name);
    ms_table_row(l->table,
                 (const char *const[]){ms_asset_type_name(info->asset.type), ms_state_name(info->state), size.s,
                                       changed.s, name, l->detail ? id.s : NULL, root});
}

static const char *kind_of(uint32_t mode) {
    return S_ISDIR(mode)    ? "folder"
           : S_ISLNK(mode)  ? "link"
           : S_ISFIFO(mode) ? "fifo"
           : S_ISSOCK(mode) ? "socket"
                            : "device";
}

static void add_plain(struct listing *l, const struct ms_node *node, const char *shown) {
    if (l->cli->json) {
        ms_out_add(l->array, json_pack("{s:s,s:s}", "name", node->spelling, "kind",
                                      kind_of(node->inode.mode)));
        return;
    }
    char name[SHOWN_BYTES + 1];
    (void)snprintf(name, sizeof name, "%s%s", shown, S_ISDIR(node->inode.mode) ? "/" : "");
    struct ms_out_text changed = ms_out_time(ms_instant_of(node->inode.mtime_s * 1000));
    ms_table_row(l->table, (const char *const[]){kind_of(node->inode.mode), "-", "-", changed.s,
                                                 name, l->detail ? "-" : NULL, "-"});
}

static enum ms_code add_node(struct listing *l, const struct ms_node *node, const char *shown,
                             struct ms_error *reterr) {
    struct ms_asset_info info;
    if (!node->has_asset) {
        add_plain(l, node, shown);
        return MS_OK;
    }
    struct ms_asset_id id = {node->inode.asset};
    enum ms_code code = ms_asset_get(l->cli->svc, &l->cli->ctx, id, &info, reterr);
    if (code == MS_NOT_FOUND)
        return MS_OK; /* gone since the folder was read */
    if (code == MS_OK)
        add_asset(l, &info, shown);
    return code;
}

/* PREFIX, unless "", goes before each name: with several folders a bare one does not say in which it is. */
static enum ms_code list_folder(struct listing *l, const struct ms_node *dir, const char *prefix,
                                struct ms_error *reterr) {
    size_t len = strlen(prefix);
    const char *slash = len && prefix[len - 1] != '/' ? "/" : "";
    struct ms_node *page = calloc(PAGE, sizeof *page);
    if (!page)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a page of the folder");
    uint64_t after = 0;
    size_t n = PAGE;
    enum ms_code code = MS_OK;
    while (code == MS_OK && n == PAGE) {
        code =
            ms_tree_list(l->cli->svc, &l->cli->ctx, dir->inode.ino, after, page, PAGE, &n, reterr);
        for (size_t i = 0; code == MS_OK && i < n; i++) {
            char shown[SHOWN_BYTES];
            (void)snprintf(shown, sizeof shown, "%s%s%s", prefix, slash, page[i].spelling);
            code = add_node(l, &page[i], shown, reterr);
            after = page[i].seq;
        }
    }
    free(page);
    return code;
}

static enum ms_code list_assets(struct listing *l, uint32_t states, struct ms_error *reterr) {
    struct ms_asset_info *page = calloc(PAGE, sizeof *page);
    if (!page)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a page of assets");
    struct ms_asset_id after = {{{0}}};
    size_t n = PAGE;
    enum ms_code code = MS_OK;
    while (code == MS_OK && n == PAGE) {
        code = ms_asset_list(l->cli->svc, &l->cli->ctx, after, states, page, PAGE, &n, reterr);
        for (size_t i = 0; code == MS_OK && i < n; i++) {
            add_asset(l, &page[i], page[i].path[0] ? page[i].path : page[i].asset.name);
            after = (struct ms_asset_id){page[i].asset.id};
        }
    }
    free(page);
    return code;
}

static enum ms_code list_path(struct listing *l, const char *path, bool several,
                              struct ms_error *reterr) {
    struct ms_node node;
    enum ms_code code = ms_tree_walk(l->cli->svc, &l->cli->ctx, path, &node, reterr);
    if (code != MS_OK)
        return code;
    if (S_ISDIR(node.inode.mode))
        return list_folder(l, &node, several ? path : "", reterr);
    return add_node(l, &node, several ? path : node.spelling, reterr);
}

static enum ms_code list_paths(struct listing *l, struct ms_error *reterr) {
    int n = l->cli->args_n;
    enum ms_code code = n ? MS_OK : list_path(l, "/", false, reterr);
    for (int i = 0; code == MS_OK && i < n; i++)
        code = list_path(l, l->cli->args[i], n > 1, reterr);
    return code;
}

/* What concerns all that was listed. */
static void warn(struct ms_cli *cli) {
    ms_warning text;
    ms_tenant_warning(&cli->tenant, ms_clock_now(cli->svc->clock), text);
    if (text[0])
        fprintf(stderr, "msasset: warning: %s\n", text);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    static const char *const heads[] = {"TYPE", "STATE", ">SIZE", "CHANGED", "NAME", NULL};
    static const char *const long_heads[] = {"TYPE", "STATE", ">SIZE", "CHANGED",
                                             "NAME", "ID",    "ROOT",  NULL};
    struct listing l = {.cli = cli, .detail = cli->given[OPT_LONG]};
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr);
    if (code != MS_OK)
        return code;
    l.array = json_array();
    l.table = ms_table_new(l.detail ? long_heads : heads);
    if (cli->given[OPT_SHARED])
        code = ms_shared_each(cli, add_shared, &l, reterr);
    else if (cli->given[OPT_BIN])
        code = list_assets(&l, 1u << MS_STATE_DELETING, reterr);
    else if (cli->given[OPT_ALL])
        code = list_assets(&l, 0, reterr);
    else
        code = list_paths(&l, reterr);
    if (cli->json || code != MS_OK)
        ms_table_drop(l.table);
    else
        ms_table_print(l.table, stdout);
    if (code == MS_OK && !cli->json && !cli->quiet)
        warn(cli);
    if (code == MS_OK && cli->json)
        return ms_out_json(l.array, reterr);
    json_decref(l.array);
    return code;
}

const struct ms_cmd ms_cmd_ls = {
    .name = "ls",
    .args = "[PATH...]",
    .summary = "list folders, the recycle bin or every asset",
    .help = "Type, state, size, last change and name. -l adds the asset's id and its root hash "
            "(msasset hash FILE\n"
            "computes the same for a local file).\n\nExamples:\n  msasset ls videos -l\n  msasset "
            "ls --bin\n",
    .opts = {{"long", 'l', NULL, "show id and root hash too"},
             {"bin", 0, NULL, "list the recycle bin"},
             {"all", 'a', NULL, "list every asset, wherever it is, but those deleted for good"},
             {"shared", 's', NULL, "list what others share with the tenant and it may read now"}},
    .args_min = 0,
    .args_max = -1,
    .run = run,
};
