/* The rows of assets below a folder follow what was done to the folder in one step. */
#include "service/tree_rows.h"

#include <sys/stat.h>

#define INODES_A_COMMIT 64 /* each walks to the root: keeps a commit within a few milliseconds */

struct settled {
    bool finished, worked;
};

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

static enum ms_code settle_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    struct ms_tree t;
    struct settled *settled = out;
    struct ms_treeop_record op;
    struct ms_inode_record inode;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    enum ms_code code = first_op(&t, &op, NULL);
    if (code != MS_OK)
        return code == MS_NOT_FOUND ? MS_OK
                                    : ms_fail(reterr, code, "tree operations cannot be read");
    settled->worked = true;
    for (unsigned n = 0; n < INODES_A_COMMIT; n++) {
        code = next_inode(&t, op.cursor, &inode, NULL);
        if (code == MS_NOT_FOUND) {
            settled->finished = true;
            return ms_row_del(txn, ms_key_treeop(t.id, (struct ms_treeop_id){op.id}), reterr);
        }
        if (code != MS_OK)
            return ms_fail(reterr, code, "an inode cannot be read");
        op.cursor = inode.ino;
        MS_TRY(retype(&t, op.ino, &inode, reterr));
    }
    return ms_row_put_treeop(txn, ms_key_treeop(t.id, (struct ms_treeop_id){op.id}), &op, reterr);
}

enum ms_code ms_tree_settle(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t *ret_done,
                            struct ms_error *reterr) {
    struct settled settled;
    uint64_t done = 0;
    do {
        MS_TRY(ms_tree_write(svc, ctx, settle_op, NULL, &settled, sizeof settled, reterr));
        done += settled.finished;
    } while (settled.worked);
    *ret_done = done;
    return MS_OK;
}
