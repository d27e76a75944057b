/* ops_tree.c — names and attributes: each operation one service call, each call one commit at most.
 */
#include "fuse/attr.h"
#include "fuse/node.h"
#include "fuse/virtual.h"
#include "model/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* The inode behind a nodeid, or the reply that it is gone. */
static bool ino_of(fuse_req_t req, fuse_ino_t nodeid, uint64_t *ret_ino) {
    *ret_ino = ms_nodes_ino(ms_mount_of(req)->nodes, nodeid);
    if (*ret_ino == 0)
        (void)fuse_reply_err(req, ESTALE);
    return *ret_ino != 0;
}

/* A name that is not there is remembered too, where no other spelling could be the same name. In
 * the root only for a moment: when rows of the feed were lost, all that is known below a folder is
 * dropped with its name, and the root has none. */
static void reply_absent(fuse_req_t req, fuse_ino_t parent, const char *name) {
    if (!ms_name_is_ascii(name)) {
        (void)fuse_reply_err(req, ENOENT);
        return;
    }
    struct fuse_entry_param e = {.entry_timeout = parent == FUSE_ROOT_ID ? 1.0 : MS_TIMEOUT_S};
    (void)fuse_reply_entry(req, &e);
}

void ms_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    struct ms_node node;
    uint64_t dir;
    if (ms_virtual_names(parent, name)) {
        ms_virtual_lookup(req, parent, name);
        return;
    }
    if (!ino_of(req, parent, &dir))
        return;
    enum ms_code code = ms_tree_lookup(mount->svc, &ctx, dir, name, &node, &err);
    if (code == MS_NOT_FOUND)
        reply_absent(req, parent, name);
    else if (code != MS_OK)
        ms_reply_failure(req, "lookup", code, &err);
    else
        ms_reply_entry(req, "lookup", parent, name, &node);
}

static void forget(struct ms_mount *mount, fuse_ino_t nodeid, uint64_t lookups) {
    if (ms_virtual_is(nodeid))
        ms_vtree_forget(mount->vtree, nodeid, lookups);
    else
        ms_nodes_forget(mount->nodes, nodeid, lookups);
}

void ms_op_forget(fuse_req_t req, fuse_ino_t nodeid, uint64_t lookups) {
    forget(ms_mount_of(req), nodeid, lookups);
    fuse_reply_none(req);
}

void ms_op_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *forgets) {
    for (size_t i = 0; i < n; i++)
        forget(ms_mount_of(req), forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

static void reply_attr(fuse_req_t req, fuse_ino_t nodeid, struct ms_node *node) {
    struct ms_mount *mount = ms_mount_of(req);
    (void)ms_file_overlay(mount->svc, &mount->ctx, node);
    if (S_ISREG(node->inode.mode) &&
        node->inode.generation != ms_nodes_generation(mount->nodes, nodeid))
        (void)ms_open_files_size(mount, nodeid, &node->inode.size);
    struct stat st;
    ms_attr_fill(node, &st);
    (void)fuse_reply_attr(req, &st, MS_TIMEOUT_S);
}

void ms_op_getattr(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    struct ms_node node;
    uint64_t ino;
    if (ms_virtual_is(nodeid)) {
        ms_virtual_getattr(req, nodeid, fi);
        return;
    }
    if (!ino_of(req, nodeid, &ino))
        return;
    enum ms_code code = ms_tree_node(mount->svc, &ctx, ino, &node, &err);
    if (code != MS_OK)
        ms_reply_failure(req, "getattr", code, &err);
    else
        reply_attr(req, nodeid, &node);
}

static void time_of(int to_set, int now_flag, const struct timespec *asked, struct timespec now,
                    struct timespec *ret) {
    *ret = (to_set & now_flag) ? now : *asked;
}

/* The kernel's attribute request in the service's terms; size is not among them. */
static struct ms_setattr setattr_of(struct ms_mount *mount, uint64_t ino, const struct stat *st,
                                    int to_set) {
    struct ms_setattr set = {.ino = ino};
    struct timespec now = ms_clock_timespec(mount->svc->clock);
    if (to_set & FUSE_SET_ATTR_MODE)
        set.which |= MS_ATTR_MODE;
    if (to_set & FUSE_SET_ATTR_UID)
        set.which |= MS_ATTR_UID;
    if (to_set & FUSE_SET_ATTR_GID)
        set.which |= MS_ATTR_GID;
    if (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW))
        set.which |= MS_ATTR_ATIME;
    if (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW))
        set.which |= MS_ATTR_MTIME;
    set.mode = st->st_mode & 07777;
    set.uid = st->st_uid;
    set.gid = st->st_gid;
    time_of(to_set, FUSE_SET_ATTR_ATIME_NOW, &st->st_atim, now, &set.atime);
    time_of(to_set, FUSE_SET_ATTR_MTIME_NOW, &st->st_mtim, now, &set.mtime);
    return set;
}

struct setattr_call {
    struct ms_task task;
    fuse_req_t req;
    fuse_ino_t nodeid;
    uint64_t ino, size;
    struct ms_handle *handle;
    struct ms_setattr set;
    bool resize;
};

static void setattr_finish(struct setattr_call *call) {
    struct ms_mount *mount = ms_mount_of(call->req);
    struct ms_ctx ctx = ms_mount_ctx(mount, call->req);
    struct ms_error err = {0};
    struct ms_node node;
    enum ms_code code = MS_OK;
    if (call->resize)
        code = ms_file_truncate(mount->svc, &ctx, call->ino, call->handle, call->size, &err);
    if (code == MS_OK && call->set.which && !ms_file_setattr(mount->svc, &ctx, &call->set, &node))
        code = ms_tree_setattr(mount->svc, &ctx, &call->set, &node, &err);
    if (code == MS_OK)
        code = ms_tree_node(mount->svc, &ctx, call->ino, &node, &err);
    if (code != MS_OK)
        ms_reply_failure(call->req, "setattr", code, &err);
    else
        reply_attr(call->req, call->nodeid, &node);
}

static void setattr_run(struct ms_task *task) {
    struct setattr_call *call = MS_CONTAINER_OF(task, struct setattr_call, task);
    setattr_finish(call);
    free(call);
}

void ms_op_setattr(fuse_req_t req, fuse_ino_t nodeid, struct stat *st, int to_set,
                   struct fuse_file_info *fi) {
    struct ms_mount *mount = ms_mount_of(req);
    uint64_t ino;
    if (ms_virtual_is(nodeid)) {
        ms_virtual_refuse(req, nodeid, "setattr", "changing attributes");
        return;
    }
    if (!ino_of(req, nodeid, &ino))
        return;
    struct setattr_call call = {
        .req = req, .nodeid = nodeid, .ino = ino, .size = (uint64_t)st->st_size};
    call.resize = to_set & FUSE_SET_ATTR_SIZE;
    if (fi)
        call.handle = ((struct ms_open_file *)(uintptr_t)fi->fh)->handle;
    call.set = setattr_of(mount, ino, st, to_set);
    if (!call.resize || call.handle) {
        setattr_finish(&call);
        return;
    }
    /* By name a new size is sealed before the reply: that waits for the store, so not on this
     * thread. */
    struct setattr_call *later = malloc(sizeof *later);
    if (!later) {
        (void)fuse_reply_err(req, ENOMEM);
        return;
    }
    *later = call;
    later->task = (struct ms_task){.run = setattr_run};
    ms_engine_post(mount->slow, &later->task);
}

void ms_op_readlink(fuse_req_t req, fuse_ino_t nodeid) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    char target[MS_SYMLINK_BYTES_MAX + 1];
    uint64_t ino;
    if (!ino_of(req, nodeid, &ino))
        return;
    enum ms_code code = ms_tree_readlink(mount->svc, &ctx, ino, target, &err);
    if (code != MS_OK)
        ms_reply_failure(req, "readlink", code, &err);
    else
        (void)fuse_reply_readlink(req, target);
}

/* mknod, mkdir and symlink: everything but a regular file that is opened at once. */
static void make(fuse_req_t req, const char *op, fuse_ino_t parent, struct ms_make *make) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    struct ms_made made;
    if (ms_virtual_names(parent, make->name)) {
        ms_virtual_refuse(req, parent, op, "making something");
        return;
    }
    if (!ino_of(req, parent, &make->parent))
        return;
    make->uid = ctx.uid;
    make->gid = ctx.gid;
    enum ms_code code = ms_tree_make(mount->svc, &ctx, make, &made, &err);
    if (code != MS_OK)
        ms_reply_failure(req, op, code, &err);
    else
        ms_reply_entry(req, op, parent, make->name, &made.node);
}

/* mknod of a regular file: made and closed at once, so it is an empty sealed file and not one that
 * nobody has open. */
static void make_empty_file(fuse_req_t req, fuse_ino_t parent, struct ms_make *how);

void ms_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev) {
    struct ms_make how = {.name = name, .mode = mode, .rdev = rdev};
    if (S_ISREG(mode) || (mode & S_IFMT) == 0)
        make_empty_file(req, parent, &how);
    else
        make(req, "mknod", parent, &how);
}

void ms_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode) {
    struct ms_make how = {.name = name, .mode = (mode & 07777u) | S_IFDIR};
    make(req, "mkdir", parent, &how);
}

void ms_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name) {
    struct ms_make how = {.name = name, .mode = 0777 | S_IFLNK, .target = target};
    make(req, "symlink", parent, &how);
}

struct empty_call {
    struct ms_file_io io;
    fuse_req_t req;
    fuse_ino_t parent;
    struct ms_handle *handle;
    struct ms_node node;
    bool flushed;
    char name[MS_NAME_BYTES_MAX + 1];
};

static void empty_done(struct ms_file_io *io) {
    struct empty_call *call = MS_CONTAINER_OF(io, struct empty_call, io);
    struct ms_mount *mount = ms_mount_of(call->req);
    if (!call->flushed && io->code == MS_OK) {
        call->flushed = true;
        ms_file_release(call->handle, &call->io);
        return;
    }
    struct ms_error err = io->error;
    enum ms_code code = io->code;
    if (code == MS_OK)
        code = ms_tree_node(mount->svc, &mount->ctx, call->node.inode.ino, &call->node, &err);
    if (code != MS_OK)
        ms_reply_failure(call->req, "mknod", code, &err);
    else
        ms_reply_entry(call->req, "mknod", call->parent, call->name, &call->node);
    free(call);
    ms_calls_add(mount, -1);
}

static void make_empty_file(fuse_req_t req, fuse_ino_t parent, struct ms_make *how) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    if (ms_virtual_names(parent, how->name)) {
        ms_virtual_refuse(req, parent, "mknod", "making a file");
        return;
    }
    if (!ino_of(req, parent, &how->parent))
        return;
    struct empty_call *call = calloc(1, sizeof *call);
    if (!call) {
        (void)fuse_reply_err(req, ENOMEM);
        return;
    }
    *call = (struct empty_call){.io = {.done = empty_done}, .req = req, .parent = parent};
    how->mode = (how->mode & 07777u) | S_IFREG;
    how->uid = ctx.uid;
    how->gid = ctx.gid;
    struct ms_open open = {.write = true};
    enum ms_code code =
        ms_file_create(mount->svc, &ctx, how, &open, &call->node, &call->handle, &err);
    if (code != MS_OK) {
        ms_reply_failure(req, "mknod", code, &err);
        free(call);
        return;
    }
    (void)snprintf(call->name, sizeof call->name, "%s", how->name);
    ms_calls_add(mount, 1);
    ms_file_flush(call->handle, &call->io);
}

/* A name went: open handles of what it named go on as an orphan's. */
static void after_gone(struct ms_mount *mount, const struct ms_gone *gone) {
    if (gone->ino != 0 && gone->kept)
        ms_file_orphaned(mount->svc, &mount->ctx, gone->ino);
}

/* Whether the name is open in this mount, so that its inode must outlive its last name. */
static bool is_open(struct ms_mount *mount, const struct ms_ctx *ctx, uint64_t dir,
                    const char *name) {
    struct ms_node node;
    if (ms_tree_lookup(mount->svc, ctx, dir, name, &node, NULL) != MS_OK)
        return false;
    return ms_file_handles(mount->svc, ctx, node.inode.ino) > 0;
}

typedef enum ms_code remove_fn(struct ms_svc *, const struct ms_ctx *, uint64_t, const char *, bool,
                               struct ms_gone *, struct ms_error *);

static void remove_name(fuse_req_t req, const char *op, fuse_ino_t parent, const char *name,
                        remove_fn *fn) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    struct ms_gone gone = {0};
    uint64_t dir;
    if (!ino_of(req, parent, &dir))
        return;
    bool keep = is_open(mount, &ctx, dir, name);
    enum ms_code code = fn(mount->svc, &ctx, dir, name, keep, &gone, &err);
    if (code != MS_OK) {
        ms_reply_failure(req, op, code, &err);
        return;
    }
    ms_nodes_unnamed(mount->nodes, gone.ino, parent, name);
    after_gone(mount, &gone);
    (void)fuse_reply_err(req, 0);
}

void ms_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name) {
    if (ms_virtual_names(parent, name))
        ms_virtual_unlink(req, parent, name);
    else
        remove_name(req, "unlink", parent, name, ms_tree_unlink);
}

void ms_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name) {
    if (ms_virtual_names(parent, name))
        ms_virtual_rmdir(req, parent, name);
    else
        remove_name(req, "rmdir", parent, name, ms_tree_rmdir);
}

void ms_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                  const char *new_name, unsigned flags) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    struct ms_gone gone = {0};
    struct ms_node node;
    struct ms_rename how = {.name = name, .new_name = new_name};
    if (ms_virtual_names(parent, name) || ms_virtual_names(new_parent, new_name)) {
        ms_virtual_rename(req, parent, name, new_parent, new_name, flags);
        return;
    }
    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) {
        (void)fuse_reply_err(req, EINVAL);
        return;
    }
    if (!ino_of(req, parent, &how.parent) || !ino_of(req, new_parent, &how.new_parent))
        return;
    how.no_replace = flags & RENAME_NOREPLACE;
    how.exchange = flags & RENAME_EXCHANGE;
    how.keep_open = is_open(mount, &ctx, how.new_parent, new_name);
    enum ms_code code = ms_tree_rename(mount->svc, &ctx, &how, &node, &gone, &err);
    if (code != MS_OK) {
        ms_reply_failure(req, "rename", code, &err);
        return;
    }
    if (!how.exchange)
        ms_nodes_unnamed(mount->nodes, node.inode.ino, parent, name);
    ms_nodes_named(mount->nodes, node.inode.ino, new_parent, new_name);
    after_gone(mount, &gone);
    (void)fuse_reply_err(req, 0);
}

void ms_op_link(fuse_req_t req, fuse_ino_t nodeid, fuse_ino_t new_parent, const char *new_name) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    struct ms_node node;
    uint64_t ino, dir;
    if (ms_virtual_names(new_parent, new_name) || ms_virtual_is(nodeid)) {
        ms_virtual_refuse(req, ms_virtual_is(nodeid) ? nodeid : new_parent, "link", "linking");
        return;
    }
    if (!ino_of(req, nodeid, &ino) || !ino_of(req, new_parent, &dir))
        return;
    enum ms_code code = ms_tree_link(mount->svc, &ctx, ino, dir, new_name, &node, &err);
    if (code != MS_OK)
        ms_reply_failure(req, "link", code, &err);
    else
        ms_reply_entry(req, "link", new_parent, new_name, &node);
}

void ms_op_statfs(fuse_req_t req, fuse_ino_t nodeid) {
    (void)nodeid;
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    struct ms_statfs fs;
    enum ms_code code = ms_tree_statfs(mount->svc, &ctx, &fs, &err);
    if (code != MS_OK) {
        ms_reply_failure(req, "statfs", code, &err);
        return;
    }
    const uint64_t unit = 4096;
    struct statvfs st = {.f_bsize = unit, .f_frsize = unit, .f_namemax = MS_NAME_BYTES_MAX};
    st.f_blocks = fs.total_bytes / unit;
    st.f_bfree = st.f_bavail = fs.free_bytes / unit;
    st.f_files = fs.inodes + fs.inodes_free;
    st.f_ffree = st.f_favail = fs.inodes_free;
    (void)fuse_reply_statfs(req, &st);
}
