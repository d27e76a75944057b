#include "fuse/attr.h"

#include "fuse/node.h"

#define BLOCK_SIZE 262144 /* one hashed block: what cp and friends should read at a time */

void ms_attr_fill(const struct ms_node *node, struct stat *ret_st) {
    const struct ms_inode_record *i = &node->inode;
    /* What lies in the recycle bin has a name in .trash/, and a file without one could not be
     * opened by it. */
    bool binned = node->has_asset && i->nlink == 0 && !i->orphan;
    *ret_st = (struct stat){
        .st_ino = i->ino,
        .st_mode = i->mode,
        .st_nlink = binned ? 1 : i->nlink,
        .st_uid = i->uid,
        .st_gid = i->gid,
        .st_rdev = (dev_t)i->rdev,
        .st_size = (off_t)i->size,
        .st_blksize = BLOCK_SIZE,
        .st_blocks = (blkcnt_t)((i->size + 511) / 512),
        .st_atim = {i->atime_s, (long)i->atime_ns},
        .st_mtim = {i->mtime_s, (long)i->mtime_ns},
        .st_ctim = {i->ctime_s, (long)i->ctime_ns},
    };
}

enum ms_code ms_entry_fill(struct ms_mount *mount, uint64_t parent_nodeid, const char *name,
                           const struct ms_node *node, bool live,
                           struct fuse_entry_param *ret_entry, struct ms_error *reterr) {
    struct ms_node_key key = {node->inode.ino, node->inode.generation, live};
    bool exact = node->spelling[0] == 0 || strcmp(node->spelling, name) == 0;
    struct fuse_entry_param e = {.attr_timeout = MS_TIMEOUT_S,
                                 .entry_timeout = exact ? MS_TIMEOUT_S : 0.0};
    e.ino = ms_nodes_lookup(mount->nodes, &key, parent_nodeid, name);
    if (e.ino == 0)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a node of \"%s\"", name);
    ms_attr_fill(node, &e.attr);
    *ret_entry = e;
    return MS_OK;
}

void ms_reply_entry(fuse_req_t req, const char *op, uint64_t parent_nodeid, const char *name,
                    struct ms_node *node) {
    struct ms_mount *mount = ms_mount_of(req);
    bool live = ms_file_overlay(mount->svc, &mount->ctx, node);
    struct fuse_entry_param entry;
    struct ms_error err = {0};
    enum ms_code code = ms_entry_fill(mount, parent_nodeid, name, node, live, &entry, &err);
    if (code != MS_OK) {
        ms_reply_failure(req, op, code, &err);
        return;
    }
    if (fuse_reply_entry(req, &entry) == -ENOENT)
        ms_nodes_forget(mount->nodes, entry.ino, 1); /* interrupted: the kernel never saw it */
}
