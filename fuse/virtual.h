/* virtual.h — .trash/ and .msasset/ in the root of a mount: decoding and replies; what is in them
 * and what an operation on them means stands in service/vtree.h.
 *
 * The number of a virtual thing is its nodeid (bit 63 is set, which no nodeid of the node table
 * has), so these nodes are counted by the service and not by fuse/node.h. The kernel keeps nothing
 * of them: entry and attribute timeouts are 0, bytes go round its page cache. Files in .trash/ are
 * real and have nodeids like any other; only their names there are not kept.
 */
#ifndef MS_FUSE_VIRTUAL_H
#define MS_FUSE_VIRTUAL_H

#include "fuse/mount.h"
#include "service/vtree.h"

static inline bool ms_virtual_is(fuse_ino_t nodeid) { return ms_vtree_is(nodeid); }
/* Whether an operation on this name is for the functions below. */
static inline bool ms_virtual_names(fuse_ino_t parent, const char *name) {
    return ms_virtual_is(parent) || (parent == FUSE_ROOT_ID && ms_vtree_is_reserved(name));
}

/* Each answers the request. */
void ms_virtual_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void ms_virtual_getattr(fuse_req_t req, fuse_ino_t nodeid, const struct fuse_file_info *fi);
void ms_virtual_readdir(fuse_req_t req, fuse_ino_t nodeid, size_t size, off_t offset, bool plus);
void ms_virtual_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void ms_virtual_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void ms_virtual_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                       const char *new_name, unsigned flags);
/* Whatever else. op: for the log, what: "making a file". */
void ms_virtual_refuse(fuse_req_t req, fuse_ino_t nodeid, const char *op, const char *what);
void ms_virtual_getxattr(fuse_req_t req);
void ms_virtual_listxattr(fuse_req_t req, size_t size);

/* Open a virtual file: true when the request is answered; else *ret_ino is the inode whose bytes it
 * shows, to be opened. */
bool ms_virtual_open(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi,
                     uint64_t *ret_ino);
/* Of an open text; false, and nothing done: the handle is one of a real file. */
bool ms_virtual_read(fuse_req_t req, size_t size, off_t offset, const struct fuse_file_info *fi);
bool ms_virtual_sync(fuse_req_t req, const struct fuse_file_info *fi);
bool ms_virtual_release(fuse_req_t req, const struct fuse_file_info *fi);

/* When the kernel left it behind. */
bool ms_virtual_drop(struct ms_open_file *file);

/* Add an entry to a listing; 0 when it does not fit. plus: one lookup of a real file is counted; of
 * a virtual number the service has counted it. */
size_t ms_virtual_add(fuse_req_t req, fuse_ino_t parent, const struct ms_node *node, bool plus,
                      char *at, size_t left);

#endif
