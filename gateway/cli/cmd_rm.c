#include "cli/out.h"

#include <stdlib.h>
#include <sys/stat.h>

enum { OPT_RECURSIVE, OPT_FORCE };

static void note(struct ms_cli *cli, json_t *results, const char *what, const char *done) {
    if (cli->json)
        ms_out_add(results, json_pack("{s:s,s:s}", "removed", what, "how", done));
    else if (!cli->quiet)
        printf("%s: %s\n", what, done);
}

static enum ms_code apply(struct ms_cli *cli, struct ms_asset_id id, enum ms_event event,
                          struct ms_error *reterr) {
    struct ms_asset_info info;
    struct ms_asset_event e = {.id = id, .event = event, .why = ""};
    return ms_asset_apply(cli->svc, &cli->ctx, &e, &info, reterr);
}

static enum ms_code remove_tree(struct ms_cli *cli, uint64_t parent, const struct ms_node *node,
                                const char *name, struct ms_error *reterr);

/* Contents first. Each page is read from the start again, because what was there is gone. */
static enum ms_code empty_folder(struct ms_cli *cli, const struct ms_node *dir,
                                 struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    size_t n = 1;
    struct ms_node *page = calloc(16, sizeof *page);
    if (!page)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a page of the folder");
    while (code == MS_OK && n > 0) {
        code = ms_tree_list(cli->svc, &cli->ctx, dir->inode.ino, 0, page, 16, &n, reterr);
        for (size_t i = 0; code == MS_OK && i < n; i++)
            code = remove_tree(cli, dir->inode.ino, &page[i], page[i].spelling, reterr);
    }
    free(page);
    return code;
}

static enum ms_code remove_tree(struct ms_cli *cli, uint64_t parent, const struct ms_node *node,
                                const char *name, struct ms_error *reterr) {
    struct ms_gone gone;
    if (ms_cli_stopped())
        return ms_fail(reterr, MS_CANCELLED,
                       "stopped by a signal; what is gone is in the recycle bin");
    if (S_ISDIR(node->inode.mode)) {
        enum ms_code code = empty_folder(cli, node, reterr);
        return code == MS_OK
                   ? ms_tree_rmdir(cli->svc, &cli->ctx, parent, name, false, &gone, reterr)
                   : code;
    }
    struct ms_asset_id id = {node->inode.asset};
    if (node->has_asset && node->inode.nlink == 1)
        return apply(cli, id, cli->given[OPT_FORCE] ? MS_EVENT_FORCE_DELETE : MS_EVENT_DELETE,
                     reterr);
    return ms_tree_unlink(cli->svc, &cli->ctx, parent, name, false, &gone, reterr);
}

/* The folder is in the bin: its assets' rows follow here, or, stopped, with a sweep. */
static enum ms_code follow(struct ms_cli *cli, struct ms_error *reterr) {
    bool more = true;
    while (more && !ms_cli_stopped())
        MS_TRY(ms_tree_settle_some(cli->svc, &cli->ctx, &more, reterr));
    return more ? ms_fail(reterr, MS_CANCELLED,
                          "stopped by a signal; the folder is in the recycle bin, a mount or msasset "
                          "sweep writes what is left to write about its assets")
                : MS_OK;
}

static enum ms_code remove_folder(struct ms_cli *cli, uint64_t parent, const struct ms_node *node,
                                  const char *name, struct ms_error *reterr) {
    struct ms_error err = {0};
    uint64_t ino;
    enum ms_code code = MS_UNSUPPORTED;
    if (!cli->given[OPT_FORCE])
        code = ms_tree_bin(cli->svc, &cli->ctx, parent, name, &ino, &err);
    if (code == MS_OK)
        return follow(cli, reterr);
    if (code == MS_UNSUPPORTED) /* for good */
        return remove_tree(cli, parent, node, name, reterr);
    *reterr = err;
    return code;
}

static enum ms_code remove_path(struct ms_cli *cli, const char *path, struct ms_error *reterr) {
    struct ms_node parent, node;
    char name[MS_NAME_BYTES_MAX + 1];
    enum ms_code code = ms_tree_walk_parent(cli->svc, &cli->ctx, path, &parent, name, reterr);
    if (code == MS_OK)
        code = ms_tree_lookup(cli->svc, &cli->ctx, parent.inode.ino, name, &node, reterr);
    if (code != MS_OK)
        return code;
    if (S_ISDIR(node.inode.mode) && !cli->given[OPT_RECURSIVE])
        return ms_fail(reterr, MS_IS_DIR, "\"%s\" is a folder: say --recursive", path);
    return S_ISDIR(node.inode.mode) ? remove_folder(cli, parent.inode.ino, &node, name, reterr)
                                    : remove_tree(cli, parent.inode.ino, &node, name, reterr);
}

static enum ms_code each(struct ms_cli *cli, const char *arg, json_t *results,
                         struct ms_error *reterr) {
    struct ms_asset_id id;
    enum ms_code code;
    bool for_good = cli->given[OPT_FORCE] != NULL;
    if (strlen(arg) == MS_ID_TEXT_LEN && ms_id_parse(arg, &id.id, NULL) == MS_OK)
        code = apply(cli, id, for_good ? MS_EVENT_FORCE_DELETE : MS_EVENT_DELETE, reterr);
    else
        code = remove_path(cli, arg, reterr);
    if (code == MS_OK)
        note(cli, results, arg, for_good ? "deleted for good" : "in the recycle bin");
    return code;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr);
    if (code == MS_OK && cli->given[OPT_FORCE])
        code = ms_cli_confirm(cli, reterr, "Delete %d item(s) for good?", cli->args_n);
    return code == MS_OK ? ms_cli_each(cli, each, reterr) : code;
}

const struct ms_cmd ms_cmd_rm = {
    .name = "rm",
    .args = "PATH|ID...",
    .summary = "move assets to the recycle bin",
    .help = "What is deleted stays in the recycle bin for the tenant's retention (7 days) and "
            "counts against the quota\n"
            "until then; msasset restore brings it back. A name beside other hard links of the "
            "same file just goes.\n"
            "--force deletes for good, at once.\n"
            "A folder goes as a whole, at once, with all that it holds; what has to be written about "
            "each asset follows.\nStopped meanwhile, it is in the bin all the same: a mount or "
            "msasset sweep goes on. One asset in it that is\nbound to a package that renews itself "
            "keeps the folder.\n\nExamples:\n  msasset rm videos/old.mp4\n"
            "  msasset rm -r videos/drafts\n",
    .opts = {{"recursive", 'r', NULL, "folders with all they hold"},
             {"force", 'f', NULL, "delete for good, not to the bin"}},
    .args_min = 1,
    .args_max = -1,
    .destructive = true,
    .run = run,
};
