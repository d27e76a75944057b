/* writeback.h — acknowledged from the local disk, uploaded in the background.
 *
 * In writeback mode (struct ms_svc_options.writeback) an open file is uploaded as ever, but into the
 * *near store*: a second object store, plain files in <dir>/writeback/, one for all processes of the
 * host, under the keys that the objects will have in the store. The seal then says in the object's
 * row (`local`) and in a row of LOCAL that the bytes are here and not there. From that commit on the
 * version is sealed, confirmed and readable by every process of the host.
 *
 * A *mover* brings such objects to the store: one process at a time, the one that holds a lock on
 * <dir>/writeback/.mover, which dies with it. Each object is read back from the local disk and every
 * block is compared with its hash before it goes out; what differs is reported, kept and never
 * uploaded. Then one commit makes it an object of the store, and only then its local file goes.
 *
 *   sealed --claimed by the mover--> read, compared, sent --commit--> stored --unlink--> done
 *      |                                   |
 *      | last reference goes               failure: the row says why and when to try again,
 *      v                                   for ever
 *   tombstone, as any object; the row of LOCAL goes with it, so it is not uploaded any more
 *
 * Killed anywhere: before the seal, nothing was acknowledged and gc removes the file; between the
 * upload and the commit, the next mover puts the same bytes under the same key; between the commit
 * and the unlink, gc removes the file. A tenant's freeze stops nothing here: acknowledged is
 * acknowledged. A lost local disk loses what is pending.
 *
 * Readers go through svc->reads: the near store when it has the key, else the store. A file that
 * goes between the two looks is in the store by then.
 *
 * Invariant I10: an object's `local` is not none exactly when LOCAL has the row of that instant and
 * object.
 * Threads: any. Lock order: the mover's lock is innermost but for the engine's and the store's
 * queues.
 */
#ifndef MS_SERVICE_WRITEBACK_H
#define MS_SERVICE_WRITEBACK_H

#include "service/service.h"
#include "service/tables.h"

/* ---- the near store -------------------------------------------------------------------------- */

/* Opens svc->near and svc->reads; makes the folder unless the store is open read-only (then near
 * may be NULL, and reads is the store). Errors: MS_IO, MS_DENIED. */
MS_NODISCARD enum ms_code ms_near_open(struct ms_svc *svc, struct ms_error *reterr);
void ms_near_close(struct ms_svc *svc);
/* Where the mode is on and the disk has room for so many bytes more; else the file is written
 * through to the store. */
bool ms_near_takes(struct ms_svc *svc, uint64_t size);
/* Not durable: a file that comes back after a power cut is known to no row, and gc removes it. */
void ms_near_remove(struct ms_svc *svc, const char *key);
/* The file itself, for reading. Errors: MS_NOT_FOUND. */
MS_NODISCARD enum ms_code ms_near_open_file(struct ms_svc *svc, const char *key, int *ret_fd,
                                            uint64_t *ret_size, struct ms_error *reterr);

/* ---- rows, inside write operations ----------------------------------------------------------- */

/* A seal: object->local is set, its row in LOCAL written; the object's row is the caller's. */
MS_NODISCARD enum ms_code ms_local_begin(struct ms_txn *txn, struct ms_object_record *object,
                                         struct ms_tenant_id tenant, uint64_t ino,
                                         struct ms_error *reterr);
/* Its last reference went: nothing is left to upload. */
MS_NODISCARD enum ms_code ms_local_end(struct ms_txn *txn, const struct ms_object_record *object,
                                       struct ms_error *reterr);

/* ---- the mover ------------------------------------------------------------------------------- */

/* From now on this process uploads what is pending, whoever acknowledged it, whenever no other
 * process does. Errors: MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_writeback_start(struct ms_svc *svc, struct ms_error *reterr);
/* Something was sealed. Cheap; also without a mover. */
void ms_writeback_wake(struct ms_svc *svc);
/* Waits for nothing but the end of the requests in flight, which are cancelled. */
void ms_writeback_stop(struct ms_svc *svc);

/* Upload in this process until nothing is pending, or what is left has failed since the beginning.
 * The mover is started for that when there is none. Errors: the last failure when something is
 * left; MS_CANCELLED. */
struct ms_pending_sum;
struct ms_drain {
    bool for_ever; /* failures are tried again */
    bool others;   /* wait for another process that is at it too; else leave it to that one */
    bool (*go_on)(void *priv, const struct ms_pending_sum *left); /* several times a second, or NULL */
    void *priv;
};
MS_NODISCARD enum ms_code ms_writeback_drain(struct ms_svc *svc, const struct ms_drain *how,
                                             struct ms_error *reterr);

/* ---- looking --------------------------------------------------------------------------------- */

struct ms_pending_sum {
    uint64_t files, bytes;
    uint64_t failing;          /* of files: whose last try failed */
    struct ms_instant oldest;  /* none: nothing is pending */
    bool moving;               /* a process is at it */
    uint64_t bytes_per_s;      /* of that process, lately; 0: unknown */
    struct ms_error failure;   /* of the latest failing one */
};
/* each may be NULL; false from it ends the walk, and the sum is then of what was seen. */
MS_NODISCARD enum ms_code ms_pending(struct ms_svc *svc,
                                     bool (*each)(void *priv, const struct ms_local_record *row),
                                     void *priv, struct ms_pending_sum *ret_sum,
                                     struct ms_error *reterr);

/* Files of the near store that no row knows, and unfinished uploads of dead processes, older than
 * `before` (none: whatever their age). remove false: only count. */
MS_NODISCARD enum ms_code ms_near_sweep(struct ms_svc *svc, struct ms_instant before, bool remove,
                                        void (*found)(void *priv, const char *key), void *priv,
                                        uint64_t *ret_n, struct ms_error *reterr);

#endif
