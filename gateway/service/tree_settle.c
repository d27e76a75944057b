/* The rows of assets below a folder follow what was done to the folder in one step. */
#include "service/treeop.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#define INODES_A_COMMIT 64 /* each walks to the root: keeps a commit within a few milliseconds */
#define ENTRIES_A_COMMIT 32 /* each writes a dozen rows of its asset: likewise */

struct settled {
    bool finished, worked;
};

/* ---- another type folder --------------------------------------------------------------------- */

/* Whether the file lies below the folder, and below which type folder that is. */
static enum ms_code where(const struct ms_tree *t, uint64_t ino, uint64_t folder,
                          char ret_name[MS_NAME_BYTES_MAX + 1], struct ms_place *ret_place,
                          struct ms_error *reterr) {
    uint64_t parent;
    ret_place->below = false;
    enum ms_code code = ms_change_first_place(t->txn, t->id, ino, &parent, ret_name, NULL);
    if (code == MS_NOT_FOUND) /* in the bin */
        return MS_OK;
    if (code != MS_OK)
        return ms_fail(reterr, code, "the place of a file cannot be read");
    return ms_tree_place(t, parent, folder, ret_place, reterr);
}

static enum ms_code retype(const struct ms_tree *t, uint64_t folder,
                           const struct ms_inode_record *inode, struct ms_error *reterr) {
    struct ms_place place;
    struct ms_tree_asset asset;
    struct ms_judged judged;
    char name[MS_NAME_BYTES_MAX + 1];
    bool gone;
    if (!ms_inode_has_asset(inode) || inode->nlink == 0)
        return MS_OK;
    MS_TRY(where(t, inode->ino, folder, name, &place, reterr));
    if (!place.below)
        return MS_OK;
    MS_TRY(ms_tree_asset(t, inode, &asset, &gone, reterr));
    if (gone || ms_tree_judge(t, inode, &asset, name, name, place.top, &judged, NULL) != MS_OK)
        return MS_OK; /* what does not fit keeps its type: the move is done */
    judged.fits_now = false;
    return ms_tree_follow(t, &asset, name, &judged, reterr);
}

static enum ms_code next_inode(const struct ms_tree *t, uint64_t after,
                               struct ms_inode_record *ret_inode, struct ms_error *reterr) {
    struct ms_scan scan;
    struct ms_view key;
    struct ms_key from = ms_key_inode(t->id, after + 1), to = ms_key_inode(t->id, UINT64_MAX);
    ms_scan_begin(&scan, t->txn, ms_key_view(&from), ms_key_view(&to));
    enum ms_code code = ms_row_next_inode(&scan, &key, ret_inode, reterr);
    ms_scan_end(&scan);
    return code;
}

static enum ms_code settle_retype(const struct ms_tree *t, struct ms_treeop_record *op, bool *ret_end,
                                  struct ms_error *reterr) {
    struct ms_inode_record inode;
    *ret_end = false;
    for (unsigned n = 0; n < INODES_A_COMMIT; n++) {
        enum ms_code code = next_inode(t, op->cursor, &inode, NULL);
        if (code == MS_NOT_FOUND) {
            *ret_end = true;
            return ms_row_del(t->txn, ms_key_treeop(t->id, (struct ms_treeop_id){op->id}), reterr);
        }
        if (code != MS_OK)
            return ms_fail(reterr, code, "an inode cannot be read");
        op->cursor = inode.ino;
        MS_TRY(retype(t, op->ino, &inode, reterr));
    }
    return MS_OK;
}

/* ---- folders in the bin ---------------------------------------------------------------------- */

/* The first entry of a folder. */
static enum ms_code first_entry(const struct ms_tree *t, uint64_t dir, struct ms_found *ret_found,
                                struct ms_error *reterr) {
    struct ms_key prefix = ms_key_entries_of(t->id, dir);
    struct ms_entry_record entry;
    struct ms_scan scan;
    struct ms_view key;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    enum ms_code code = ms_row_next_entry(&scan, &key, &entry, reterr);
    ms_scan_end(&scan);
    ret_found->found = code == MS_OK;
    ret_found->has_asset = false;
    if (code != MS_OK)
        return ms_absent_is_fine(code, reterr);
    (void)snprintf(ret_found->nfc, sizeof ret_found->nfc, "%s", entry.nfc);
    MS_TRY(ms_row_get_name(t->txn, ms_key_name(t->id, dir, entry.nfc), &ret_found->name, reterr));
    return ms_tree_inode(t, ret_found->name.ino, &ret_found->inode, reterr);
}

/* The name goes, and with the last one what has no asset. A removed folder has no links to count. */
static enum ms_code drop_name(const struct ms_tree *t, uint64_t dir, struct ms_found *f,
                              struct ms_error *reterr) {
    struct ms_inode_record in;
    struct ms_gone gone;
    bool is_dir = S_ISDIR(f->inode.mode);
    MS_TRY(ms_tree_inode(t, dir, &in, reterr));
    MS_TRY(ms_tree_name_del(t, &in, f, reterr));
    if (is_dir && in.nlink > 0)
        ms_tree_subdirs(&in, -1);
    else if (is_dir && --in.subdirs == 0)
        in.height = 0;
    MS_TRY(ms_tree_put(t, &in, reterr));
    return is_dir ? ms_tree_dir_lost(t, dir, f, false, &gone, reterr)
                  : ms_tree_lost(t, dir, f, false, &gone, reterr);
}

/* To load an asset that the operation took is to apply it: its names are gone then. */
static enum ms_code settle_file(const struct ms_tree *t, uint64_t dir, struct ms_found *f,
                                struct ms_error *reterr) {
    struct ms_key name = ms_key_name(t->id, dir, f->nfc);
    bool gone = false;
    if (ms_inode_has_asset(&f->inode))
        MS_TRY(ms_tree_asset(t, &f->inode, &f->asset, &gone, reterr));
    if (!gone) {
        f->has_asset = ms_inode_has_asset(&f->inode);
        return drop_name(t, dir, f, reterr);
    }
    return ms_txn_has(t->txn, ms_key_view(&name))
               ? ms_fail(reterr, MS_CORRUPT, "\"%s\" has a name and lies in the bin: run msasset fsck",
                         f->name.spelling)
               : MS_OK;
}

/* One entry goes, the deepest first. *ret_end: there is none any more. */
static enum ms_code settle_entry(const struct ms_tree *t, struct ms_treeop_record *op, bool *ret_end,
                                 struct ms_error *reterr) {
    struct ms_found f, next;
    uint64_t dir = op->ino;
    *ret_end = false;
    MS_TRY(first_entry(t, dir, &f, reterr));
    if (!f.found) {
        *ret_end = true;
        return MS_OK;
    }
    for (unsigned down = 0; S_ISDIR(f.inode.mode); down++) {
        if (down > MS_DEPTH_MAX)
            return ms_fail(reterr, MS_CORRUPT, "folder %" PRIu64 " contains itself: run msasset fsck",
                           op->ino);
        MS_TRY(first_entry(t, f.inode.ino, &next, reterr));
        if (!next.found)
            return drop_name(t, dir, &f, reterr);
        dir = f.inode.ino;
        f = next;
    }
    op->cursor++;
    return settle_file(t, dir, &f, reterr);
}

static enum ms_code settle_bin(struct ms_tree *t, struct ms_treeop_record *op, bool *ret_end,
                               struct ms_error *reterr) {
    *ret_end = false;
    for (unsigned n = 0; n < ENTRIES_A_COMMIT && !*ret_end; n++)
        MS_TRY(settle_entry(t, op, ret_end, reterr));
    return *ret_end ? ms_treeop_close(t, op, reterr) : MS_OK;
}

/* ---- whatever waits -------------------------------------------------------------------------- */

/* The first operation that waits. */
static enum ms_code first_op(const struct ms_tree *t, struct ms_treeop_record *ret_op,
                             struct ms_error *reterr) {
    struct ms_scan scan;
    struct ms_view key;
    struct ms_key prefix = ms_key_treeops_of(t->id);
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    enum ms_code code = ms_row_next_treeop(&scan, &key, ret_op, reterr);
    ms_scan_end(&scan);
    return code;
}

static enum ms_code settle_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    struct ms_tree t;
    struct settled *settled = out;
    struct ms_treeop_record op;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    enum ms_code code = first_op(&t, &op, NULL);
    if (code != MS_OK)
        return code == MS_NOT_FOUND ? MS_OK
                                    : ms_fail(reterr, code, "tree operations cannot be read");
    settled->worked = true;
    MS_TRY(op.kind == MS_TREEOP_BIN ? settle_bin(&t, &op, &settled->finished, reterr)
                                    : settle_retype(&t, &op, &settled->finished, reterr));
    return settled->finished
               ? MS_OK
               : ms_row_put_treeop(txn, ms_key_treeop(t.id, (struct ms_treeop_id){op.id}), &op, reterr);
}

/* It goes on when the store is so full that others are refused: what is in the bin can be emptied. */
static enum ms_code settle_once(struct ms_svc *svc, const struct ms_ctx *ctx, struct settled *ret_settled,
                                struct ms_error *reterr) {
    return ms_tree_write_freeing(svc, ctx, settle_op, NULL, ret_settled, sizeof *ret_settled, reterr);
}

enum ms_code ms_tree_settle_some(struct ms_svc *svc, const struct ms_ctx *ctx, bool *ret_more,
                                 struct ms_error *reterr) {
    struct settled settled;
    MS_TRY(settle_once(svc, ctx, &settled, reterr));
    *ret_more = settled.worked;
    return MS_OK;
}

enum ms_code ms_tree_settle(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t *ret_done,
                            struct ms_error *reterr) {
    struct settled settled;
    uint64_t done = 0;
    do {
        MS_TRY(settle_once(svc, ctx, &settled, reterr));
        done += settled.finished;
    } while (settled.worked);
    *ret_done = done;
    return MS_OK;
}
