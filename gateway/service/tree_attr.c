/* Attributes: mode, owner, times, link targets, and what the whole tree has left. */
#include "service/tenant.h"
#include "service/tree_rows.h"

#include <inttypes.h>
#include <sys/stat.h>

/* ---- setattr --------------------------------------------------------------------------------- */

static bool is_time(const struct timespec *ts) {
    return ts->tv_nsec >= 0 && ts->tv_nsec < 1000000000;
}

static enum ms_code check_set(const struct ms_setattr *set, struct ms_error *reterr) {
    if ((set->which & MS_ATTR_MODE) && (set->mode & ~07777u))
        return ms_fail(reterr, MS_INVALID, "mode 0%o has more than permission bits", set->mode);
    if (((set->which & MS_ATTR_ATIME) && !is_time(&set->atime)) ||
        ((set->which & MS_ATTR_MTIME) && !is_time(&set->mtime)) ||
        ((set->which & MS_ATTR_CTIME) && !is_time(&set->ctime)))
        return ms_fail(reterr, MS_INVALID, "a time has nanoseconds outside 0..999999999");
    return MS_OK;
}

/* A change of owner takes set-user-id, and set-group-id of what a group may run, as the kernel does
 * on its own file systems. */
static void set_owner(const struct ms_setattr *set, struct ms_inode_record *inode) {
    if (set->which & MS_ATTR_UID)
        inode->uid = set->uid;
    if (set->which & MS_ATTR_GID)
        inode->gid = set->gid;
    if (!(set->which & (MS_ATTR_UID | MS_ATTR_GID)) || (set->which & MS_ATTR_MODE) ||
        !S_ISREG(inode->mode))
        return;
    inode->mode &= ~(uint32_t)S_ISUID;
    if (inode->mode & S_IXGRP)
        inode->mode &= ~(uint32_t)S_ISGID;
}

static void set_times(const struct ms_tree *t, const struct ms_setattr *set,
                      struct ms_inode_record *inode) {
    ms_tree_touch(t, inode, MS_TOUCH_CTIME);
    if (set->which & MS_ATTR_ATIME) {
        inode->atime_s = set->atime.tv_sec;
        inode->atime_ns = (uint32_t)set->atime.tv_nsec;
    }
    if (set->which & MS_ATTR_MTIME) {
        inode->mtime_s = set->mtime.tv_sec;
        inode->mtime_ns = (uint32_t)set->mtime.tv_nsec;
    }
    if (set->which & MS_ATTR_CTIME) {
        inode->ctime_s = set->ctime.tv_sec;
        inode->ctime_ns = (uint32_t)set->ctime.tv_nsec;
    }
}

/* chmod, chown, utimens and xattrs follow the rename column of product.md 3.6. */
static enum ms_code may_change(const struct ms_tree *t, const struct ms_inode_record *inode,
                               const char *what, struct ms_tree_asset *ret_asset,
                               bool *ret_has_asset, struct ms_error *reterr) {
    bool gone;
    *ret_has_asset = ms_inode_has_asset(inode);
    MS_TRY(ms_tree_thawed(t, what, reterr));
    if (!*ret_has_asset)
        return MS_OK;
    MS_TRY(ms_tree_asset(t, inode, ret_asset, &gone, reterr));
    if (gone)
        return ms_tree_is_gone(ret_asset, what, reterr);
    return ms_tree_may(t, ret_asset, MS_RIGHT_RENAME, what, reterr);
}

static enum ms_code setattr_op(struct ms_txn *txn, const void *in, void *out,
                               struct ms_error *reterr) {
    struct ms_tree t;
    const struct ms_setattr *set = ((const struct ms_tree_call *)in)->args;
    struct ms_inode_record inode;
    struct ms_tree_asset asset;
    bool has_asset;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_tree_inode(&t, set->ino, &inode, reterr));
    MS_TRY(may_change(&t, &inode, "changing attributes", &asset, &has_asset, reterr));
    if (set->which & MS_ATTR_MODE)
        inode.mode = (inode.mode & S_IFMT) | set->mode;
    set_owner(set, &inode);
    set_times(&t, set, &inode);
    MS_TRY(ms_tree_put(&t, &inode, reterr));
    ms_tree_fill(&t, &inode, has_asset ? &asset : NULL, out);
    return ms_tree_feed_inode(&t, inode.ino, reterr);
}

enum ms_code ms_tree_setattr(struct ms_svc *svc, const struct ms_ctx *ctx,
                             const struct ms_setattr *set, struct ms_node *ret_node,
                             struct ms_error *reterr) {
    struct ms_node node;
    MS_TRY(check_set(set, reterr));
    MS_TRY(ms_tree_write(svc, ctx, setattr_op, set, &node, sizeof node, reterr));
    *ret_node = node;
    return MS_OK;
}

/* ---- readlink -------------------------------------------------------------------------------- */

static enum ms_code readlink_in(const struct ms_tree *t, uint64_t ino,
                                char ret_target[MS_SYMLINK_BYTES_MAX + 1],
                                struct ms_error *reterr) {
    struct ms_inode_record inode;
    struct ms_view text;
    struct ms_key key = ms_key_symlink(t->id, ino);
    MS_TRY(ms_tree_inode(t, ino, &inode, reterr));
    if (!S_ISLNK(inode.mode))
        return ms_fail(reterr, MS_INVALID, "inode %" PRIu64 " is not a symbolic link", ino);
    MS_TRY(ms_txn_get(t->txn, ms_key_view(&key), &text, reterr));
    if (text.n == 0 || text.n > MS_SYMLINK_BYTES_MAX)
        return ms_fail(reterr, MS_CORRUPT, "the target of symbolic link %" PRIu64 " has %zu bytes",
                       ino, text.n);
    memcpy(ret_target, text.p, text.n);
    ret_target[text.n] = '\0';
    return MS_OK;
}

enum ms_code ms_tree_readlink(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                              char ret_target[MS_SYMLINK_BYTES_MAX + 1], struct ms_error *reterr) {
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = readlink_in(&t, ino, ret_target, reterr);
    ms_tree_read_end(&t);
    return code;
}

/* ---- statfs ---------------------------------------------------------------------------------- */

#define INODES_TOTAL (UINT64_C(1) << 40) /* numbers are 64 bits: the disk ends first */

enum ms_code ms_tree_statfs(struct ms_svc *svc, const struct ms_ctx *ctx,
                            struct ms_statfs *ret_statfs, struct ms_error *reterr) {
    struct ms_quota_info info;
    MS_TRY(ms_tenant_quota(svc, ctx, &info, reterr));
    *ret_statfs = (struct ms_statfs){
        .total_bytes = info.allowance,
        .free_bytes = info.left,
        .inodes = INODES_TOTAL,
        .inodes_free = INODES_TOTAL - info.usage.inodes,
    };
    return MS_OK;
}
