/* file.h — open files: one live image per inode and process, from the first write to the seal.
 *
 * A file is *unsealed* from creation, truncation or first write until its seal (design.md section
 * 5). All handles of one process share one image: a stage over the base version. Other processes
 * see the old version until the seal.
 *   - write and truncate go to the local stage and to the quota lease, never to the store;
 *   - sync: parts are durable in the store and the part list is committed; not visible elsewhere,
 * not judged;
 *   - flush (close of any descriptor): on a sealed file nothing; while another handle of this
 * process may write, what sync does; otherwise it judges (suffix, content by libmagic, size limit)
 * and seals;
 *   - a refused new file is sealed as FAILED with its bytes and its reason, and flush returns the
 * error; a refused overwrite is flush's error but stays with the open file until the last handle,
 * then it is dropped;
 *   - an empty new file is a finished COMMON_FILE of size 0 without an object, not judged.
 * One seal = one commit: version, object, hashes, inode, asset (life cycle, type), file, ledger,
 * usage, lease, intent.
 *
 * Threads: any. Reads, sync, flush and release are asynchronous: done comes once, on any thread,
 * maybe before the call returns; write and truncate may touch the local disk and wait for one
 * commit (a lease), not for the store.
 */
#ifndef MS_SERVICE_FILE_H
#define MS_SERVICE_FILE_H

#include "service/tree.h"

#include <sys/uio.h>

struct ms_image_read;
struct ms_file;   /* the live image */
struct ms_handle; /* one open(): a share of it */

struct ms_open {
    uint64_t ino;
    bool read, write, append, truncate;
};
/* Errors: MS_NOT_READABLE, MS_WRONG_STATE by the life cycle (product.md 3.6), MS_NOT_FOUND,
 * MS_IS_DIR. */
MS_NODISCARD enum ms_code ms_file_open(struct ms_svc *svc, const struct ms_ctx *ctx,
                                       const struct ms_open *open, struct ms_handle **ret_handle,
                                       struct ms_error *reterr);
/* ms_tree_make of a regular file and the handle on it, open for read and write as asked. */
MS_NODISCARD enum ms_code ms_file_create(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         const struct ms_make *make, const struct ms_open *open,
                                         struct ms_node *ret_node, struct ms_handle **ret_handle,
                                         struct ms_error *reterr);

struct ms_file_io {
    void (*done)(struct ms_file_io *io);
    void *priv;
    enum ms_code code;
    struct ms_error error;
    size_t n; /* read: bytes given; less than asked at the end of the file only */
};
/* into stays until done. */
void ms_file_read(struct ms_handle *handle, uint64_t offset, size_t length, void *into,
                  struct ms_file_io *io);

/* A read without a copy: the bytes stay where they came from the store, and are the caller's to
 * look at from done with MS_OK until ms_file_return(), which must come soon: they are part of the
 * memory that all reads share. A failed read lends nothing. What is not sealed, and what spans too
 * much, is copied into memory of its own. */
#define MS_FILE_LENT_MAX 8
struct ms_file_lent {
    struct ms_file_io io;
    struct iovec iov[MS_FILE_LENT_MAX]; /* io.n bytes in all */
    size_t iov_n;
    struct ms_image_read *read; /* the service's */
};
/* done and priv of lent->io are the caller's to set. */
void ms_file_lend(struct ms_handle *handle, uint64_t offset, size_t length,
                  struct ms_file_lent *lent);
void ms_file_return(struct ms_file_lent *lent);
/* *ret_n may be less than n: cut short at the quota or size limit; the next write then fails
 * (MS_QUOTA, MS_TOO_LARGE). An append handle writes at the end, whatever offset says. */
MS_NODISCARD enum ms_code ms_file_write(struct ms_handle *handle, uint64_t offset, const void *p,
                                        size_t n, size_t *ret_n, struct ms_error *reterr);
/* After a write. True: the writer is far ahead of the store, and done comes when that has caught up or
 * two seconds are over; answer it then. False: done does not come. */
bool ms_file_pace(struct ms_handle *handle, struct ms_file_io *io);
/* A page that was changed through a map: to its offset, also with an append handle. */
MS_NODISCARD enum ms_code ms_file_write_back(struct ms_handle *handle, uint64_t offset,
                                             const void *p, size_t n, size_t *ret_n,
                                             struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_file_truncate(struct ms_svc *svc, const struct ms_ctx *ctx,
                                           uint64_t ino, struct ms_handle *handle_or_null,
                                           uint64_t size, struct ms_error *reterr);
/* Without a handle: opened, truncated and sealed before it returns, so this form waits for the
 * store. */
/* The same without waiting; done comes once the file is sealed again. */
void ms_file_truncate_start(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                            uint64_t size, struct ms_file_io *io);
/* mode 0: grow; KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE as fallocate(2). Errors: MS_QUOTA (nothing
 * taken), MS_UNSUPPORTED. */
MS_NODISCARD enum ms_code ms_file_allocate(struct ms_handle *handle, int mode, uint64_t offset,
                                           uint64_t length, struct ms_error *reterr);
void ms_file_sync(struct ms_handle *handle, struct ms_file_io *io);
void ms_file_flush(struct ms_handle *handle, struct ms_file_io *io);
/* What was written and is not sealed shall not be: unless somebody goes on writing, a close that is
 * sending ends with MS_CANCELLED, and the last release drops everything (a new file vanishes) and
 * says so too. Too late for what is being committed. */
void ms_file_abandon(struct ms_handle *handle);
/* How many bytes of what is written the store has already; *ret_busy: it is being sent more. */
uint64_t ms_file_sent(struct ms_handle *handle, bool *ret_busy);
/* The handle is gone when done comes. The last one of a still unsealed file judges and seals or
 * drops it. */
void ms_file_release(struct ms_handle *handle, struct ms_file_io *io);

/* The blocking form, for commands and tests: ms_file_flush(handle, ms_file_wait_begin(&w));
 * ms_file_wait_end(&w, ..). */
struct ms_file_wait {
    struct ms_file_io io;
    struct ms_latch latch;
};
struct ms_file_io *ms_file_wait_begin(struct ms_file_wait *wait);
MS_NODISCARD enum ms_code ms_file_wait_end(struct ms_file_wait *wait, size_t *ret_n_or_null,
                                           struct ms_error *reterr);

/* Which inode, and which generation of it the handle's bytes are: a seal by this process moves it
 * on, so that a mount can keep its node and page cache. */
uint64_t ms_file_ino(const struct ms_handle *handle);
uint64_t ms_file_generation(const struct ms_handle *handle);
/* Size of what this handle sees: of an old version too. */
uint64_t ms_file_size(struct ms_handle *handle);

/* What this process sees now: live size, times and generation over the record. False: nothing is live here, ask
 * the tree. */
bool ms_file_overlay(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_node *node);
/* setattr on an unsealed live file is kept and folded into the seal (commit budget): true when it
 * was taken. */
bool ms_file_setattr(struct ms_svc *svc, const struct ms_ctx *ctx, const struct ms_setattr *set,
                     struct ms_node *ret_node);
/* How many handles of this process are on the inode; for keep_open. */
unsigned ms_file_handles(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino);
/* The inode lost its last name while open: at the last close it is dropped, not sealed. */
void ms_file_orphaned(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino);
/* From the feed: may no longer be read; reads in flight end, later ones are refused until it is
 * allowed again. False: not all could be asked (no memory), and those that could not
 * are as they were. */
bool ms_file_revalidate(struct ms_svc *svc, struct ms_tenant_id tenant, uint64_t ino_or_0);
/* The same for everything that has, or had, the bytes of this asset: inodes without a name too (ms_tree_part). */
void ms_file_revalidate_asset(struct ms_svc *svc, struct ms_tenant_id tenant, struct ms_asset_id asset);
/* The inodes that a handle of this process is on and whose bytes are, or were, this asset's. The caller's: free(). One
 * may come twice. NULL: no memory. */
uint64_t *ms_file_inodes(struct ms_svc *svc, struct ms_tenant_id tenant, struct ms_asset_id asset, size_t *ret_n);
/* From the feed: give back what leases of this tenant do not use. */
void ms_file_recall(struct ms_svc *svc, struct ms_tenant_id tenant);

/* What became of bytes that were written and not sealed, for whoever keeps copies of what handles
 * read. */
enum ms_file_fate {
    MS_FILE_SEALED,  /* as generation `to`, with the very bytes that handles have read as `from` */
    MS_FILE_REBASED, /* another process was faster: they lie on generation `to` now, not on `from` */
    MS_FILE_DROPPED, /* they are gone; if it was sealed once, generation `from` shows again */
    MS_FILE_RESTS    /* comes behind SEALED: what others have done since shows from now on */
};
struct ms_file_event {
    struct ms_tenant_id tenant;
    uint64_t ino, from, to;
    enum ms_file_fate fate;
};
/* One watcher; NULL ends it, and afterwards fn is not called any more. fn is called on a thread of
 * the engine, before the close that did it is answered; it may wait for nothing and call nothing
 * here. */
typedef void ms_file_watch_fn(void *priv, const struct ms_file_event *event);
void ms_files_watch(struct ms_svc *svc, ms_file_watch_fn *fn, void *priv);

/* ms_svc_open and ms_svc_close call these. */
MS_NODISCARD enum ms_code ms_files_new(struct ms_svc *svc, struct ms_files **ret_files,
                                       struct ms_error *reterr);
void ms_files_free(struct ms_files *files);

#endif
