/* Hard links. */
#include "service/tree_rows.h"

#include <inttypes.h>
#include <sys/stat.h>

struct link_args {
    uint64_t ino, new_parent;
    const char *new_name;
};

static enum ms_code check_link(const struct ms_inode_record *inode, struct ms_error *reterr) {
    if (S_ISDIR(inode->mode))
        return ms_fail(reterr, MS_NOT_PERMITTED, "a folder has one name: hard links are for files");
    if (inode->nlink >= MS_LINKS_MAX)
        return ms_fail(reterr, MS_LINKS, "the file has %" PRIu32 " names; at most %d are allowed",
                       inode->nlink, MS_LINKS_MAX);
    /* One without a name that has an asset was made so (O_TMPFILE), or it lies in the bin. */
    if (inode->nlink == 0 && !ms_inode_has_asset(inode))
        return ms_fail(reterr, MS_NOT_FOUND, "the file was deleted: it cannot get a name again");
    return MS_OK;
}

/* A name that the content does not fit is refused, as by rename. Type and asset's name stay those
 * of the first name; only a file made without a name gets both now. */
static enum ms_code judge_link(const struct ms_tree *t, const struct ms_inode_record *inode,
                               const char *name, enum ms_special top, struct ms_tree_asset *asset,
                               struct ms_error *reterr) {
    bool gone;
    struct ms_judged judged;
    MS_TRY(ms_tree_asset(t, inode, asset, &gone, reterr));
    if (gone)
        return ms_tree_is_gone(asset, "link", reterr);
    MS_TRY(ms_tree_may(t, asset, MS_RIGHT_RENAME, "link", reterr));
    MS_TRY(ms_tree_judge(t, inode, asset, asset->rec.name, name, top, &judged, reterr));
    return inode->nlink == 0 ? ms_tree_follow(t, asset, name, &judged, reterr) : MS_OK;
}

static enum ms_code link_in(const struct ms_tree *t, const struct link_args *in,
                            const struct ms_found *f, struct ms_node *ret_node,
                            struct ms_error *reterr) {
    struct ms_inode_record dir, inode;
    struct ms_tree_asset asset;
    struct ms_place place;
    MS_TRY(ms_tree_inode(t, in->ino, &inode, reterr));
    MS_TRY(check_link(&inode, reterr));
    bool has_asset = ms_inode_has_asset(&inode);
    MS_TRY(ms_tree_place(t, in->new_parent, 0, &place, reterr));
    MS_TRY(ms_tree_writable(t, place.top, reterr));
    if (has_asset)
        MS_TRY(judge_link(t, &inode, in->new_name, place.top, &asset, reterr));
    MS_TRY(ms_tree_dir(t, in->new_parent, &dir, reterr));
    inode.nlink++;
    inode.orphan = 0;
    ms_tree_touch(t, &inode, MS_TOUCH_CTIME);
    MS_TRY(ms_tree_name_add(t, &dir, f->nfc, in->new_name, &inode, reterr));
    MS_TRY(ms_tree_put(t, &dir, reterr));
    MS_TRY(ms_tree_put(t, &inode, reterr));
    ms_tree_fill(t, &inode, has_asset ? &asset : NULL, ret_node);
    ret_node->seq = dir.next_seq - 1;
    return ms_tree_feed_inode(t, inode.ino, reterr);
}

static enum ms_code link_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    struct ms_tree t;
    const struct link_args *args = ((const struct ms_tree_call *)in)->args;
    struct ms_found f;
    struct ms_node *node = out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_tree_thawed(&t, "link", reterr));
    MS_TRY(ms_tree_find(&t, args->new_parent, args->new_name, &f, reterr));
    MS_TRY(ms_tree_must_not_exist(args->new_name, &f, reterr));
    MS_TRY(link_in(&t, args, &f, node, reterr));
    memcpy(node->spelling, args->new_name, strlen(args->new_name) + 1);
    return MS_OK;
}

enum ms_code ms_tree_link(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                          uint64_t new_parent, const char *new_name, struct ms_node *ret_node,
                          struct ms_error *reterr) {
    struct link_args args = {ino, new_parent, new_name};
    struct ms_node node;
    MS_TRY(ms_tree_write(svc, ctx, link_op, &args, &node, sizeof node, reterr));
    *ret_node = node;
    return MS_OK;
}
