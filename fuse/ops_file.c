/* ops_file.c — open files. Reads, fsync, flush and release are answered from the service's
 * callbacks, so no thread of libfuse waits for the store. */
#include "fuse/attr.h"
#include "fuse/node.h"
#include "fuse/virtual.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct ms_open_file *file_of(struct fuse_file_info *fi) {
    return (struct ms_open_file *)(uintptr_t)fi->fh;
}

static struct ms_open_file *open_file_new(struct ms_mount *mount) {
    struct ms_open_file *file = calloc(1, sizeof *file);
    if (file)
        file->mount = mount;
    return file;
}

void ms_open_files_add(struct ms_open_file *file) {
    struct ms_mount *mount = file->mount;
    pthread_mutex_lock(&mount->locked.mutex);
    file->next = mount->locked.first;
    if (file->next)
        file->next->prev = file;
    mount->locked.first = file;
    pthread_mutex_unlock(&mount->locked.mutex);
}

void ms_open_files_remove(struct ms_open_file *file) {
    struct ms_mount *mount = file->mount;
    pthread_mutex_lock(&mount->locked.mutex);
    if (file->prev)
        file->prev->next = file->next;
    else
        mount->locked.first = file->next;
    if (file->next)
        file->next->prev = file->prev;
    pthread_mutex_unlock(&mount->locked.mutex);
}

static struct ms_open open_of(uint64_t ino, int flags) {
    int how = flags & O_ACCMODE;
    return (struct ms_open){
        .ino = ino,
        .read = how != O_WRONLY,
        .write = how != O_RDONLY,
        .append = flags & O_APPEND,
        .truncate = flags & O_TRUNC,
    };
}

/* Pages stay: a change of bytes by others comes with a fresh nodeid. */
static void give(struct ms_open_file *file, uint64_t ino, uint64_t nodeid,
                 struct fuse_file_info *fi) {
    file->ino = ino;
    file->nodeid = nodeid;
    fi->fh = (uintptr_t)file;
    fi->keep_cache = 1;
    ms_open_files_add(file);
}

bool ms_open_files_size(struct ms_mount *mount, uint64_t nodeid, uint64_t *ret_size) {
    bool found = false;
    pthread_mutex_lock(&mount->locked.mutex);
    for (struct ms_open_file *f = mount->locked.first; f && !found; f = f->next)
        if (f->nodeid == nodeid) {
            *ret_size = ms_file_size(f->handle);
            found = true;
        }
    pthread_mutex_unlock(&mount->locked.mutex);
    return found;
}

static void drop_open(struct ms_open_file *file, fuse_ino_t nodeid) {
    struct fuse_file_info fi = {.fh = (uintptr_t)file};
    ms_op_release(NULL, nodeid, &fi);
}

/* Another process may have sealed new bytes since the kernel looked the name up. */
static enum ms_code fit(struct ms_open_file *file, uint64_t nodeid, struct fuse_file_info *fi,
                        struct ms_error *reterr) {
    uint64_t generation = ms_file_generation(file->handle);
    if (ms_virtual_is(nodeid)) { /* of this the kernel keeps nothing */
        fi->direct_io = 1;
        fi->keep_cache = 0;
        return MS_OK;
    }
    enum ms_node_fit fit = ms_nodes_fit(file->mount->nodes, nodeid, generation);
    fi->direct_io = fit == MS_NODE_GO_ROUND;
    if (fit == MS_NODE_LOOK_AGAIN)
        return ms_fail(reterr, MS_STALE, "inode %llu has newer bytes: look it up again",
                       (unsigned long long)file->ino);
    return MS_OK;
}

/* Cut only behind the check: what did not fit is opened again. */
static enum ms_code open_file(struct ms_open_file *file, const struct ms_ctx *ctx, uint64_t nodeid,
                              struct ms_open *how, struct fuse_file_info *fi,
                              struct ms_error *reterr) {
    struct ms_mount *mount = file->mount;
    bool truncate = how->truncate;
    how->write |= truncate;
    how->truncate = false;
    enum ms_code code = ms_file_open(mount->svc, ctx, how, &file->handle, reterr);
    if (code != MS_OK) {
        free(file);
        return code;
    }
    give(file, how->ino, nodeid, fi);
    code = fit(file, nodeid, fi, reterr);
    if (code == MS_OK && truncate)
        code = ms_file_truncate(mount->svc, ctx, how->ino, file->handle, 0, reterr);
    if (code != MS_OK)
        drop_open(file, nodeid);
    return code;
}

void ms_op_open(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    struct ms_open how = open_of(0, fi->flags);
    if (!ms_virtual_is(nodeid))
        how.ino = ms_nodes_ino(mount->nodes, nodeid);
    else if (ms_virtual_open(req, nodeid, fi, &how.ino))
        return;
    struct ms_open_file *file = open_file_new(mount);
    if (!file || how.ino == 0) {
        (void)fuse_reply_err(req, file ? ESTALE : ENOMEM);
        free(file);
        return;
    }
    enum ms_code code = open_file(file, &ctx, nodeid, &how, fi, &err);
    if (code != MS_OK)
        ms_reply_failure(req, "open", code, &err);
    else if (fuse_reply_open(req, fi) == -ENOENT)
        drop_open(file, nodeid); /* interrupted: the kernel will not release it */
}

/* A name that another mount made since the kernel's lookup is no error for who would have opened
 * it: the kernel looks it up and opens it, with its check of permissions. */
static enum ms_code create(struct ms_mount *mount, const struct ms_ctx *ctx, struct ms_make *make,
                           int flags, struct ms_node *ret_node, struct ms_handle **ret_handle,
                           struct ms_error *reterr) {
    struct ms_open how = open_of(0, flags);
    enum ms_code code = ms_file_create(mount->svc, ctx, make, &how, ret_node, ret_handle, reterr);
    if (code == MS_EXISTS && !(flags & O_EXCL))
        return ms_fail(reterr, MS_STALE, "\"%s\" was made meanwhile", make->name);
    return code;
}

void ms_op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                  struct fuse_file_info *fi) {
    struct ms_mount *mount = ms_mount_of(req);
    struct ms_ctx ctx = ms_mount_ctx(mount, req);
    struct ms_error err = {0};
    struct ms_node node;
    struct fuse_entry_param entry;
    struct ms_make how = {.parent = ms_nodes_ino(mount->nodes, parent),
                          .name = name,
                          .mode = (mode & 07777u) | S_IFREG,
                          .uid = ctx.uid,
                          .gid = ctx.gid};
    if (ms_virtual_names(parent, name)) {
        ms_virtual_refuse(req, parent, "create", "making a file");
        return;
    }
    struct ms_open_file *file = open_file_new(mount);
    if (!file || how.parent == 0) {
        (void)fuse_reply_err(req, file ? ESTALE : ENOMEM);
        free(file);
        return;
    }
    enum ms_code code = create(mount, &ctx, &how, fi->flags, &node, &file->handle, &err);
    if (code != MS_OK) {
        free(file);
        ms_reply_failure(req, "create", code, &err);
        return;
    }
    give(file, node.inode.ino, 0, fi);
    (void)ms_file_overlay(mount->svc, &ctx, &node);
    node.inode.generation = ms_file_generation(file->handle);
    code = ms_entry_fill(mount, parent, name, &node, true, &entry, &err);
    if (code == MS_OK)
        file->nodeid = entry.ino;
    if (code == MS_OK && fuse_reply_create(req, &entry, fi) != -ENOENT)
        return;
    if (code == MS_OK)
        ms_nodes_forget(mount->nodes, entry.ino, 1);
    else
        ms_reply_failure(req, "create", code, &err);
    ms_op_release(NULL, parent, fi);
}

/* ---- calls that end later
 * ------------------------------------------------------------------------------------- */

struct call {
    struct ms_file_io io;
    fuse_req_t req; /* NULL: nobody waits (release of a handle that the kernel never got) */
    struct ms_mount *mount;
    struct ms_open_file *file;
    const char *op;
    struct ms_latch *latch; /* unmounting waits on it */
    size_t written;         /* write */
};

static struct call *call_new(fuse_req_t req, struct fuse_file_info *fi, const char *op,
                             void (*done)(struct ms_file_io *)) {
    struct call *call = calloc(1, sizeof *call);
    if (!call) {
        if (req)
            (void)fuse_reply_err(req, ENOMEM);
        return NULL;
    }
    call->io.done = done;
    call->req = req;
    call->file = file_of(fi);
    call->op = op;
    call->mount = call->file->mount;
    ms_calls_add(call->mount, 1);
    return call;
}

static void call_free(struct call *call) {
    struct ms_mount *mount = call->mount;
    free(call);
    ms_calls_add(mount, -1);
}

/* A read: the kernel copies from where the bytes came from the store. */
struct read_call {
    struct ms_file_lent lent;
    fuse_req_t req;
    struct ms_mount *mount;
};

static void read_done(struct ms_file_io *io) {
    struct ms_file_lent *lent = MS_CONTAINER_OF(io, struct ms_file_lent, io);
    struct read_call *call = MS_CONTAINER_OF(lent, struct read_call, lent);
    struct ms_mount *mount = call->mount;
    if (io->code != MS_OK) {
        ms_reply_data_failure(call->req, "read", io->code, &io->error);
    } else {
        (void)fuse_reply_iov(call->req, lent->iov, (int)lent->iov_n);
        ms_file_return(lent);
    }
    free(call);
    ms_calls_add(mount, -1);
}

void ms_op_read(fuse_req_t req, fuse_ino_t nodeid, size_t size, off_t offset,
                struct fuse_file_info *fi) {
    if (ms_virtual_is(nodeid) && ms_virtual_read(req, size, offset, fi))
        return;
    struct read_call *call = calloc(1, sizeof *call);
    if (!call) {
        (void)fuse_reply_err(req, ENOMEM);
        return;
    }
    call->req = req;
    call->lent.io.done = read_done;
    call->mount = file_of(fi)->mount;
    ms_calls_add(call->mount, 1);
    ms_file_lend(file_of(fi)->handle, (uint64_t)offset, size, &call->lent);
}

static void write_done(struct ms_file_io *io) {
    struct call *call = MS_CONTAINER_OF(io, struct call, io);
    (void)fuse_reply_write(call->req, call->written);
    call_free(call);
}

/* The bytes are taken. Who writes much faster than the store takes them is told so a little later. */
static void answer_write(fuse_req_t req, struct fuse_file_info *fi, size_t n) {
    struct call *call = calloc(1, sizeof *call);
    if (call) {
        call->io.done = write_done;
        call->req = req;
        call->file = file_of(fi);
        call->written = n;
        call->mount = call->file->mount;
        ms_calls_add(call->mount, 1);
        if (ms_file_pace(call->file->handle, &call->io))
            return;
        call_free(call);
    }
    (void)fuse_reply_write(req, n);
}

void ms_op_write(fuse_req_t req, fuse_ino_t nodeid, const char *data, size_t size, off_t offset,
                 struct fuse_file_info *fi) {
    (void)nodeid;
    struct ms_error err = {0};
    size_t n = 0;
    struct ms_handle *handle = file_of(fi)->handle;
    /* Pages of a map come through any handle that may write, one that appends too. */
    enum ms_code code = fi->writepage
                            ? ms_file_write_back(handle, (uint64_t)offset, data, size, &n, &err)
                            : ms_file_write(handle, (uint64_t)offset, data, size, &n, &err);
    if (code != MS_OK)
        ms_reply_failure(req, "write", code, &err);
    else
        answer_write(req, fi, n);
}

static void simple_done(struct ms_file_io *io) {
    struct call *call = MS_CONTAINER_OF(io, struct call, io);
    if (io->code != MS_OK)
        ms_reply_data_failure(call->req, call->op, io->code, &io->error);
    else
        (void)fuse_reply_err(call->req, 0);
    call_free(call);
}

void ms_op_flush(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi) {
    if (ms_virtual_is(nodeid) && ms_virtual_sync(req, fi))
        return;
    struct call *call = call_new(req, fi, "flush", simple_done);
    if (call)
        ms_file_flush(call->file->handle, &call->io);
}

void ms_op_fsync(fuse_req_t req, fuse_ino_t nodeid, int datasync, struct fuse_file_info *fi) {
    (void)datasync;
    if (ms_virtual_is(nodeid) && ms_virtual_sync(req, fi))
        return;
    struct call *call = call_new(req, fi, "fsync", simple_done);
    if (call)
        ms_file_sync(call->file->handle, &call->io);
}

static void release_done(struct ms_file_io *io) {
    struct call *call = MS_CONTAINER_OF(io, struct call, io);
    struct ms_open_file *file = call->file;
    /* The kernel drops what release returns: whoever closed last has had the error from flush. */
    if (io->code != MS_OK)
        ms_log_failure(file->mount->svc->log, MS_LOG_WARN, "release", &io->error, NULL);
    if (call->req)
        (void)fuse_reply_err(call->req, 0);
    struct ms_latch *latch = call->latch;
    free(file);
    call_free(call);
    if (latch)
        ms_latch_open(latch);
}

void ms_op_release(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi) {
    if (ms_virtual_is(nodeid) && ms_virtual_release(req, fi))
        return;
    struct call *call = call_new(req, fi, "release", release_done);
    if (!call)
        return; /* the handle stays in the list: unmounting releases it */
    ms_open_files_remove(call->file);
    ms_file_release(call->file->handle, &call->io);
}

void ms_open_files_release_all(struct ms_mount *mount) {
    struct ms_open_file *file;
    while ((file = mount->locked.first) != NULL) {
        struct fuse_file_info fi = {.fh = (uintptr_t)file};
        struct ms_latch latch;
        if (ms_virtual_drop(file))
            continue;
        struct call *call = call_new(NULL, &fi, "release", release_done);
        if (!call)
            return;
        ms_latch_init(&latch);
        call->latch = &latch;
        ms_open_files_remove(file);
        ms_file_release(file->handle, &call->io);
        ms_latch_wait(&latch);
    }
}

void ms_op_fallocate(fuse_req_t req, fuse_ino_t nodeid, int mode, off_t offset, off_t length,
                     struct fuse_file_info *fi) {
    (void)nodeid;
    struct ms_error err = {0};
    enum ms_code code =
        ms_file_allocate(file_of(fi)->handle, mode, (uint64_t)offset, (uint64_t)length, &err);
    if (code != MS_OK)
        ms_reply_failure(req, "fallocate", code, &err);
    else
        (void)fuse_reply_err(req, 0);
}
