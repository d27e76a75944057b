/* Looking: by name, by path, by listing. */
#include "service/treeop.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

/* ---- one inode ------------------------------------------------------------------------------- */

static enum ms_code node_of(const struct ms_tree *t, uint64_t ino, struct ms_node *ret_node,
                            struct ms_error *reterr) {
    struct ms_inode_record inode;
    MS_TRY(ms_tree_inode(t, ino, &inode, reterr));
    if (!ms_inode_has_asset(&inode)) {
        ms_tree_fill(t, &inode, NULL, ret_node);
        return MS_OK;
    }
    struct ms_tree_asset asset;
    bool gone;
    MS_TRY(ms_tree_asset(t, &inode, &asset, &gone, reterr));
    ms_tree_fill(t, &inode, &asset, ret_node);
    return MS_OK;
}

enum ms_code ms_tree_node(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                          struct ms_node *ret_node, struct ms_error *reterr) {
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = node_of(&t, ino, ret_node, reterr);
    ms_tree_read_end(&t);
    return code;
}

static void fill_found(const struct ms_tree *t, const struct ms_found *f,
                       struct ms_node *ret_node) {
    ms_tree_fill(t, &f->inode, f->has_asset ? &f->asset : NULL, ret_node);
    memcpy(ret_node->spelling, f->name.spelling, sizeof ret_node->spelling);
    ret_node->seq = f->name.seq;
}

static enum ms_code lookup(const struct ms_tree *t, uint64_t parent, const char *name,
                           struct ms_node *ret_node, struct ms_error *reterr) {
    struct ms_found f;
    MS_TRY(ms_tree_find(t, parent, name, &f, reterr));
    MS_TRY(ms_tree_must_exist(t, parent, name, &f, reterr));
    fill_found(t, &f, ret_node);
    return MS_OK;
}

enum ms_code ms_tree_lookup(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t parent,
                            const char *name, struct ms_node *ret_node, struct ms_error *reterr) {
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = lookup(&t, parent, name, ret_node, reterr);
    ms_tree_read_end(&t);
    return code;
}

/* ---- paths ----------------------------------------------------------------------------------- */

/* Take the next component off *path. False at the end. Errors: MS_NAME_TOO_LONG. */
static enum ms_code next_component(const char **path, char ret_name[MS_NAME_BYTES_MAX + 1],
                                   bool *ret_more, struct ms_error *reterr) {
    const char *p = *path + strspn(*path, "/");
    size_t n = strcspn(p, "/");
    if (n > MS_NAME_BYTES_MAX)
        return ms_fail(reterr, MS_NAME_TOO_LONG,
                       "a name in the path has %zu bytes; at most %d are allowed", n,
                       MS_NAME_BYTES_MAX);
    memcpy(ret_name, p, n);
    ret_name[n] = '\0';
    *path = p + n;
    *ret_more = n > 0;
    return MS_OK;
}

static bool is_last(const char *rest) { return rest[strspn(rest, "/")] == '\0'; }

static enum ms_code not_found_in_path(const char *path, const char *rest, struct ms_error *reterr) {
    return ms_fail(reterr, MS_NOT_FOUND, "there is no \"%.*s\"", (int)(rest - path), path);
}

/* Follow the path from the root, up to its end or, for stop_before_last, to the folder that holds
 * the last component. *ret_name is that component, "" for the root. */
static enum ms_code walk(const struct ms_tree *t, const char *path, bool stop_before_last,
                         struct ms_node *ret_node, char ret_name[MS_NAME_BYTES_MAX + 1],
                         struct ms_error *reterr) {
    struct ms_node node;
    const char *rest = path;
    MS_TRY(node_of(t, t->tenant.root_ino, &node, reterr));
    ret_name[0] = '\0';
    for (;;) {
        const char *before = rest;
        bool more = false;
        MS_TRY(next_component(&rest, ret_name, &more, reterr));
        if (!more && *before == '/' && before != path && !S_ISDIR(node.inode.mode))
            return ms_fail(reterr, MS_NOT_DIR, "\"%s\" ends with a slash but is not a folder",
                           path);
        if (!more || (stop_before_last && is_last(rest)))
            break;
        if (!S_ISDIR(node.inode.mode))
            return ms_fail(reterr, MS_NOT_DIR, "\"%.*s\" is not a folder", (int)(before - path),
                           path);
        enum ms_code code = lookup(t, node.inode.ino, ret_name, &node, reterr);
        if (code == MS_NOT_FOUND)
            return not_found_in_path(path, rest, reterr);
        if (code != MS_OK)
            return code;
    }
    *ret_node = node;
    return MS_OK;
}

enum ms_code ms_tree_walk(struct ms_svc *svc, const struct ms_ctx *ctx, const char *path,
                          struct ms_node *ret_node, struct ms_error *reterr) {
    struct ms_tree t;
    char name[MS_NAME_BYTES_MAX + 1];
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = walk(&t, path, false, ret_node, name, reterr);
    ms_tree_read_end(&t);
    return code;
}

enum ms_code ms_tree_walk_parent(struct ms_svc *svc, const struct ms_ctx *ctx, const char *path,
                                 struct ms_node *ret_parent, char ret_name[MS_NAME_BYTES_MAX + 1],
                                 struct ms_error *reterr) {
    struct ms_tree t;
    struct ms_node node;
    char name[MS_NAME_BYTES_MAX + 1];
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = walk(&t, path, true, &node, name, reterr);
    ms_tree_read_end(&t);
    if (code != MS_OK)
        return code;
    if (!name[0])
        return ms_fail(reterr, MS_BAD_NAME, "\"%s\" is the root: it names nothing in a folder",
                       path);
    if (!S_ISDIR(node.inode.mode))
        return ms_fail(reterr, MS_NOT_DIR, "what is above \"%s\" is not a folder", path);
    *ret_parent = node;
    memcpy(ret_name, name, sizeof name);
    return MS_OK;
}

enum ms_code ms_tree_path(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                          struct ms_buf *ret_path, struct ms_error *reterr) {
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = ms_tree_path_of(&t, ino, ret_path, reterr);
    ms_tree_read_end(&t);
    return code;
}

/* ---- listing --------------------------------------------------------------------------------- */

static enum ms_code list_one(const struct ms_tree *t, uint64_t dir, const char *nfc,
                             struct ms_node *ret_node, bool *ret_shown, struct ms_error *reterr) {
    struct ms_found f = {.found = true};
    struct ms_key key = ms_key_name(t->id, dir, nfc);
    bool gone = false;
    MS_TRY(ms_row_get_name(t->txn, key, &f.name, reterr));
    MS_TRY(ms_tree_inode(t, f.name.ino, &f.inode, reterr));
    if (ms_inode_has_asset(&f.inode)) {
        MS_TRY(ms_tree_asset(t, &f.inode, &f.asset, &gone, reterr));
        f.has_asset = true;
    }
    if (!gone)
        fill_found(t, &f, ret_node);
    *ret_shown = !gone;
    return MS_OK;
}

static enum ms_code list(const struct ms_tree *t, uint64_t dir, uint64_t after_seq,
                         struct ms_node *ret_nodes, size_t max, size_t *ret_n,
                         struct ms_error *reterr) {
    struct ms_scan scan;
    struct ms_key from = ms_key_entry(t->id, dir, after_seq + 1);
    struct ms_key to = ms_key_entries_of(t->id, dir + 1);
    struct ms_view key;
    struct ms_entry_record entry;
    enum ms_code code = MS_OK;
    size_t n = 0;
    ms_scan_begin(&scan, t->txn, ms_key_view(&from), ms_key_view(&to));
    while (n < max && (code = ms_row_next_entry(&scan, &key, &entry, reterr)) == MS_OK) {
        bool shown;
        if ((code = list_one(t, dir, entry.nfc, &ret_nodes[n], &shown, reterr)) != MS_OK)
            break;
        n += shown;
    }
    ms_scan_end(&scan);
    code = ms_absent_is_fine(code, reterr);
    if (code == MS_OK)
        *ret_n = n;
    return code;
}

enum ms_code ms_tree_list(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t dir,
                          uint64_t after_seq, struct ms_node *ret_nodes, size_t max, size_t *ret_n,
                          struct ms_error *reterr) {
    struct ms_tree t;
    struct ms_inode_record inode;
    bool attached = false;
    *ret_n = 0;
    if (after_seq == UINT64_MAX)
        return MS_OK;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = ms_tree_inode(&t, dir, &inode, reterr);
    if (code == MS_OK && !S_ISDIR(inode.mode))
        code = ms_fail(reterr, MS_NOT_DIR, "inode %" PRIu64 " is not a folder", dir);
    if (code == MS_OK)
        code = ms_treeop_attached(&t, dir, &attached, reterr);
    if (code == MS_OK && attached)
        code = list(&t, dir, after_seq, ret_nodes, max, ret_n, reterr);
    ms_tree_read_end(&t);
    return code;
}
