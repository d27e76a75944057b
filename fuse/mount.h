/* mount.h — one tenant as a file system: session, threads, and what all operations share.
 *
 * Low-level API: each operation is decode, one service call, exactly one reply. Policy lives in
 * service/; here are the kernel's needs: nodeids, timeouts, invalidation. libfuse threads do
 * metadata; read, fsync, flush and release are answered from the engine's callbacks, so a close()
 * that waits for the store holds no thread (design.md section 4).
 *
 * Threads: libfuse's workers, the feed's, the invalidation threads. struct ms_mount is shared by
 * all; what needs a lock lies in struct ms_nodes and struct ms_inval.
 */
#ifndef MS_FUSE_MOUNT_H
#define MS_FUSE_MOUNT_H

#define FUSE_USE_VERSION 314
#include "service/file.h"
#include "service/tree.h"

#include <fuse_lowlevel.h>

struct ms_nodes;
struct ms_inval;
struct ms_vtree;
struct ms_signals;

struct ms_mount {
    struct ms_svc *svc;
    struct ms_ctx ctx; /* tenant and principal of the mount; copied and completed per request */
    uint64_t root_ino;
    struct fuse_session *session;
    struct ms_nodes *nodes;
    struct ms_inval *inval;
    struct ms_vtree *vtree;
    struct ms_signals *signals;
    struct ms_engine
        *slow; /* calls that may wait for the store without a handle: truncate by name */
    struct ms_follower *follower;
    bool read_only;
    struct {
        pthread_mutex_t mutex;
        struct ms_open_file *first; /* handles that the kernel has not released */
        int calls;                  /* requests that a callback will answer */
        pthread_cond_t none_left;
    } locked;
};

struct ms_mount_options {
    const char *dir;          /* mountpoint */
    const char *tenant;       /* name or id */
    const char *who;          /* principal, for the audit log */
    const char *fuse_options; /* further -o options for the kernel, comma-separated; may be NULL */
    bool read_only, allow_other, debug;
    unsigned threads; /* of libfuse; 0: 8 */
};

/* Blocks the signals that end a mount, for this thread and those that it starts: call it before
 * ms_svc_open(), for any thread of the process may get a signal. */
void ms_signals_block(void);
/* Mount, call ready once the file system answers, serve until it is unmounted or a signal comes,
 * and seal or drop what is still open. svc stays the caller's. Errors: MS_NO_TENANT, MS_INVALID
 * options, MS_NOT_PERMITTED, MS_IO. */
MS_NODISCARD enum ms_code ms_mount_run(struct ms_svc *svc, const struct ms_mount_options *options,
                                       void (*ready)(void *priv), void *priv,
                                       struct ms_error *reterr);

/* ---- shared by the operations
 * --------------------------------------------------------------------------------- */

/* Context of one request: caller's uid and gid, now. */
struct ms_ctx ms_mount_ctx(struct ms_mount *mount, fuse_req_t req);
static inline struct ms_mount *ms_mount_of(fuse_req_t req) { return fuse_req_userdata(req); }
/* Requests that a callback answers hold the session: count them in and out; unmounting waits for
 * the last. */
void ms_calls_add(struct ms_mount *mount, int n);
void ms_calls_wait(struct ms_mount *mount);
/* Reply with the errno of a failure; failures of the store or of ourselves are logged here, once.
 */
void ms_reply_failure(fuse_req_t req, const char *op, enum ms_code code,
                      const struct ms_error *err);
/* The same for what waits for the object store (read, flush, fsync): what it refuses is logged too, and is EIO. */
void ms_reply_data_failure(fuse_req_t req, const char *op, enum ms_code code,
                           const struct ms_error *err);

extern const struct fuse_lowlevel_ops ms_fuse_ops;

#define MS_OP_TREE                                                                                 \
    void ms_op_lookup(fuse_req_t, fuse_ino_t, const char *);                                       \
    void ms_op_forget(fuse_req_t, fuse_ino_t, uint64_t);                                           \
    void ms_op_forget_multi(fuse_req_t, size_t, struct fuse_forget_data *);                        \
    void ms_op_getattr(fuse_req_t, fuse_ino_t, struct fuse_file_info *);                           \
    void ms_op_setattr(fuse_req_t, fuse_ino_t, struct stat *, int, struct fuse_file_info *);       \
    void ms_op_readlink(fuse_req_t, fuse_ino_t);                                                   \
    void ms_op_mknod(fuse_req_t, fuse_ino_t, const char *, mode_t, dev_t);                         \
    void ms_op_mkdir(fuse_req_t, fuse_ino_t, const char *, mode_t);                                \
    void ms_op_unlink(fuse_req_t, fuse_ino_t, const char *);                                       \
    void ms_op_rmdir(fuse_req_t, fuse_ino_t, const char *);                                        \
    void ms_op_symlink(fuse_req_t, const char *, fuse_ino_t, const char *);                        \
    void ms_op_rename(fuse_req_t, fuse_ino_t, const char *, fuse_ino_t, const char *, unsigned);   \
    void ms_op_link(fuse_req_t, fuse_ino_t, fuse_ino_t, const char *);                             \
    void ms_op_statfs(fuse_req_t, fuse_ino_t);
MS_OP_TREE

void ms_op_open(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void ms_op_create(fuse_req_t, fuse_ino_t, const char *, mode_t, struct fuse_file_info *);
void ms_op_read(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void ms_op_write(fuse_req_t, fuse_ino_t, const char *, size_t, off_t, struct fuse_file_info *);
void ms_op_flush(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void ms_op_release(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void ms_op_fsync(fuse_req_t, fuse_ino_t, int, struct fuse_file_info *);
void ms_op_fallocate(fuse_req_t, fuse_ino_t, int, off_t, off_t, struct fuse_file_info *);
void ms_op_opendir(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void ms_op_readdir(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void ms_op_readdirplus(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void ms_op_releasedir(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void ms_op_fsyncdir(fuse_req_t, fuse_ino_t, int, struct fuse_file_info *);
void ms_op_setxattr(fuse_req_t, fuse_ino_t, const char *, const char *, size_t, int);
void ms_op_getxattr(fuse_req_t, fuse_ino_t, const char *, size_t);
void ms_op_listxattr(fuse_req_t, fuse_ino_t, size_t);
void ms_op_removexattr(fuse_req_t, fuse_ino_t, const char *);

/* One open(): the service's handle, and its place in the list that unmounting empties. */
struct ms_open_file {
    struct ms_handle *handle; /* NULL: an open text of .msasset/ (fuse/virtual.h) */
    struct ms_mount *mount;
    uint64_t ino, nodeid;
    struct ms_open_file *prev, *next;
};
/* Size of what handles of a nodeid see, when one is open: an old version's nodeid must not be told
 * the new size, or the kernel would show its readers zeros behind their bytes. */
bool ms_open_files_size(struct ms_mount *mount, uint64_t nodeid, uint64_t *ret_size);
/* The list of what is open, for unmounting. */
void ms_open_files_add(struct ms_open_file *file);
void ms_open_files_remove(struct ms_open_file *file);
/* Release every handle that the kernel left behind; waits for each. */
void ms_open_files_release_all(struct ms_mount *mount);

#endif
