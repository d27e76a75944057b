/* unlink, rmdir, and the end of orphans. */
#include "service/tree_rows.h"

#include <inttypes.h>
#include <sys/stat.h>

struct unlink_args {
    uint64_t parent;
    const char *name;
    bool keep_open;
};

/* ---- an editor's backup ---------------------------------------------------------------------- */

#define BACKUP_MS (60 * MS_SECOND_MS)

/* vim: `x` is renamed to `x~`, a new `x` is written, `x~` is unlinked. The new x is found when it
 * may take over. */
static enum ms_code find_successor(const struct ms_tree *t, const struct ms_found *f,
                                   uint64_t parent, struct ms_found *ret_next,
                                   struct ms_error *reterr) {
    const struct ms_inode_record *old = &f->inode;
    ret_next->found = false;
    if (!f->has_asset || old->nlink != 1 || !old->was[0] || old->was_parent != parent ||
        t->now.ms - old->was_at.ms >= BACKUP_MS)
        return MS_OK;
    MS_TRY(ms_tree_find(t, parent, old->was, ret_next, reterr));
    ret_next->found = ret_next->found && ret_next->has_asset && ret_next->inode.ino != old->ino &&
                      ret_next->asset.rec.created.ms >= old->was_at.ms &&
                      ms_tree_may_take_over(t, &f->asset, &ret_next->asset, &ret_next->inode);
    return MS_OK;
}

/* The asset goes on behind the new x; what is left of the old one is an inode without name and
 * asset. */
static enum ms_code hand_over(const struct ms_tree *t, struct ms_found *f, struct ms_found *next,
                              bool keep_open, struct ms_gone *ret_gone, struct ms_error *reterr) {
    struct ms_judged judged = {.type = (enum ms_asset_type)next->asset.rec.type};
    ms_tree_part(&f->inode, &f->asset, MS_PART_REPLACED);
    MS_TRY(ms_tree_take_over(t, &f->asset, &next->asset, &next->inode, next->name.spelling, &judged,
                             reterr));
    MS_TRY(ms_tree_put(t, &next->inode, reterr));
    MS_TRY(ms_tree_feed_inode(t, next->inode.ino, reterr));
    f->has_asset = false;
    ret_gone->taken_over = true;
    MS_ASSERT(f->inode.nlink == 1);
    f->inode.nlink = 0;
    ms_tree_touch(t, &f->inode, MS_TOUCH_CTIME);
    return ms_tree_let_go(t, &f->inode, keep_open, ret_gone, reterr);
}

/* ---- unlink ---------------------------------------------------------------------------------- */

static enum ms_code unlink_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    struct ms_tree t;
    const struct unlink_args *args = ((const struct ms_tree_call *)in)->args;
    struct ms_gone *gone = out;
    struct ms_found f, next;
    struct ms_inode_record dir;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_tree_find(&t, args->parent, args->name, &f, reterr));
    MS_TRY(ms_tree_must_exist(&t, args->parent, args->name, &f, reterr));
    if (S_ISDIR(f.inode.mode))
        return ms_fail(reterr, MS_IS_DIR, "\"%s\" is a folder: use rmdir", args->name);
    MS_TRY(find_successor(&t, &f, args->parent, &next, reterr));
    MS_TRY(ms_tree_dir(&t, args->parent, &dir, reterr));
    MS_TRY(ms_tree_name_del(&t, &dir, &f, reterr));
    MS_TRY(ms_tree_put(&t, &dir, reterr));
    if (!next.found)
        return ms_tree_lost(&t, args->parent, &f, args->keep_open, gone, reterr);
    *gone = (struct ms_gone){.ino = f.inode.ino, .entry_parent = args->parent};
    return hand_over(&t, &f, &next, args->keep_open, gone, reterr);
}

enum ms_code ms_tree_unlink(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t parent,
                            const char *name, bool keep_open, struct ms_gone *ret_gone,
                            struct ms_error *reterr) {
    struct unlink_args args = {parent, name, keep_open};
    struct ms_gone gone;
    MS_TRY(ms_tree_write_freeing(svc, ctx, unlink_op, &args, &gone, sizeof gone, reterr));
    *ret_gone = gone;
    return MS_OK;
}

/* ---- rmdir ----------------------------------------------------------------------------------- */

enum ms_code ms_tree_empty(const struct ms_tree *t, const struct ms_found *dir,
                           struct ms_error *reterr) {
    struct ms_scan scan;
    struct ms_key prefix = ms_key_entries_of(t->id, dir->inode.ino);
    struct ms_view key;
    struct ms_entry_record entry;
    enum ms_code code;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_entry(&scan, &key, &entry, reterr)) == MS_OK) {
        struct ms_found inside; /* what is overdue vanishes by being looked at */
        if ((code = ms_tree_find(t, dir->inode.ino, entry.nfc, &inside, reterr)) != MS_OK)
            break;
        if (inside.found) {
            code = ms_fail(reterr, MS_NOT_EMPTY, "folder \"%s\" is not empty: it has \"%s\"",
                           dir->name.spelling, inside.name.spelling);
            break;
        }
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_tree_dir_lost(const struct ms_tree *t, uint64_t parent, struct ms_found *found,
                              bool keep_open, struct ms_gone *ret_gone, struct ms_error *reterr) {
    struct ms_inode_record fresh; /* emptying it may have counted bin entries in it */
    MS_TRY(ms_tree_inode(t, found->inode.ino, &fresh, reterr));
    found->inode = fresh;
    if (fresh.binned > 0) {
        struct ms_key key = ms_key_symlink(t->id, fresh.ino);
        MS_TRY(ms_txn_put(t->txn, ms_key_view(&key), ms_view_str(found->name.spelling), reterr));
        MS_TRY(ms_tree_bin_count(t->txn, t->id, parent, true, reterr));
    } else {
        found->inode.parent = 0;
    }
    return ms_tree_lost(t, parent, found, keep_open, ret_gone, reterr);
}

enum ms_code ms_tree_find_folder(const struct ms_tree *t, uint64_t parent, const char *name, const char *what,
                                 struct ms_found *ret_found, struct ms_error *reterr) {
    MS_TRY(ms_tree_find(t, parent, name, ret_found, reterr));
    MS_TRY(ms_tree_must_exist(t, parent, name, ret_found, reterr));
    if (!S_ISDIR(ret_found->inode.mode))
        return ms_fail(reterr, MS_NOT_DIR, "\"%s\" is not a folder", name);
    if (ret_found->inode.special != MS_SPECIAL_NONE)
        return ms_fail(reterr, MS_BUSY, "\"%s\" is a folder of every tenant: it cannot be %s", name, what);
    return MS_OK;
}

enum ms_code ms_tree_folder_unname(const struct ms_tree *t, uint64_t parent, struct ms_found *found,
                                   struct ms_error *reterr) {
    struct ms_inode_record dir;
    MS_TRY(ms_tree_dir(t, parent, &dir, reterr));
    MS_TRY(ms_tree_name_del(t, &dir, found, reterr));
    ms_tree_subdirs(&dir, -1);
    return ms_tree_put(t, &dir, reterr);
}

static enum ms_code rmdir_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    struct ms_tree t;
    const struct unlink_args *args = ((const struct ms_tree_call *)in)->args;
    struct ms_found f;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_tree_find_folder(&t, args->parent, args->name, "removed", &f, reterr));
    MS_TRY(ms_tree_empty(&t, &f, reterr));
    MS_TRY(ms_tree_folder_unname(&t, args->parent, &f, reterr));
    return ms_tree_dir_lost(&t, args->parent, &f, args->keep_open, out, reterr);
}

enum ms_code ms_tree_rmdir(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t parent,
                           const char *name, bool keep_open, struct ms_gone *ret_gone,
                           struct ms_error *reterr) {
    struct unlink_args args = {parent, name, keep_open};
    struct ms_gone gone;
    MS_TRY(ms_tree_write_freeing(svc, ctx, rmdir_op, &args, &gone, sizeof gone, reterr));
    *ret_gone = gone;
    return MS_OK;
}

/* ---- the end of an orphan -------------------------------------------------------------------- */

/* A file made without a name has an asset of its own still. */
static enum ms_code purge_unnamed(const struct ms_tree *t, const struct ms_inode_record *inode,
                                  struct ms_error *reterr) {
    struct ms_tree_asset asset;
    bool gone;
    MS_TRY(ms_tree_asset(t, inode, &asset, &gone, reterr));
    if (asset.life.rest == MS_STATE_DELETED)
        return MS_OK;
    asset.rec.ino = 0;
    return ms_change_purge(t->txn, t->id, t->who, &asset.rec, MS_EVENT_FORCE_DELETE, t->now,
                           "never named", reterr);
}

static enum ms_code forget_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    struct ms_tree t;
    const uint64_t *ino = ((const struct ms_tree_call *)in)->args;
    struct ms_inode_record inode;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    enum ms_code code = ms_row_get_inode(txn, ms_key_inode(t.id, *ino), &inode, NULL);
    if (code == MS_NOT_FOUND || (code == MS_OK && !inode.orphan))
        return MS_OK;
    if (code != MS_OK)
        return ms_fail(reterr, code, "inode %" PRIu64 " cannot be read", *ino);
    if (ms_inode_has_asset(&inode))
        MS_TRY(purge_unnamed(&t, &inode, reterr));
    if (inode.binned == 0)
        return ms_change_inode_drop(txn, t.id, *ino, reterr);
    inode.orphan = 0;
    memset(&inode.opener, 0, sizeof inode.opener);
    MS_TRY(ms_row_del(txn, ms_key_orphan(t.id, *ino), reterr));
    return ms_tree_put(&t, &inode, reterr);
}

enum ms_code ms_tree_forget(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                            struct ms_error *reterr) {
    return ms_tree_write_freeing(svc, ctx, forget_op, &ino, NULL, 0, reterr);
}
