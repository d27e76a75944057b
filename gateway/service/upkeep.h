/* upkeep.h — what keeps a store whole: sweep, recover, gc, fsck.
 *
 * Each works in bounded steps, may be killed anywhere and started again, and runs beside live
 * mounts and beside itself in other processes. None waits for the object store inside a
 * transaction.
 *
 * Threads: any; one call uses the calling thread only.
 */
#ifndef MS_SERVICE_UPKEEP_H
#define MS_SERVICE_UPKEEP_H

#include "service/service.h"

/* ---- sweep ----------------------------------------------------------------------------------- */

/* Apply what is due at the clock's now, tenant by tenant, at most 64 assets a commit, and let tree
 * operations be finished. An asset, package or tenant whose rows are damaged is left alone and named in
 * the error; everything else is done nevertheless, and *ret_result says what, with damaged > 0 (it is 0
 * after any other failure). Errors: MS_CONFLICT the clock stands more than 5 minutes
 * behind the last commit: nothing is done and the log has an alarm. */
struct ms_sweep_result {
    uint64_t applied; /* assets that changed, those below included */
    uint64_t failed_uploads, purged;
    uint64_t put_off; /* due rows moved, because a tenant's freeze has moved the deadline */
    uint64_t tree_operations;
    uint64_t cancelled_files; /* declared and not confirmed in time */
    uint64_t ended_shares;    /* whose time was over (share.h) */
    uint64_t unpaid;          /* packages whose renewal waits for an answer (payment.h) */
    uint64_t damaged;         /* assets, packages and tenants that were left alone */
    uint64_t removed_uploads; /* of ended declarations, from the store (not by ms_sweep_tenant) */
    struct ms_instant next; /* there may be work then; none: nothing is known */
};
MS_NODISCARD enum ms_code ms_sweep(struct ms_svc *svc, struct ms_sweep_result *ret_result,
                                   struct ms_error *reterr);
/* The same for one tenant. Errors: also MS_NO_TENANT. */
MS_NODISCARD enum ms_code ms_sweep_tenant(struct ms_svc *svc, struct ms_tenant_id tenant,
                                          struct ms_sweep_result *ret_result,
                                          struct ms_error *reterr);
/* The same, for who waits: folders on their way into the bin (treeop.h) stay on it unless the retention of
 * what they hold is over. Before a quota is refused for good. */
MS_NODISCARD enum ms_code ms_sweep_deadlines(struct ms_svc *svc, struct ms_tenant_id tenant,
                                             struct ms_sweep_result *ret_result,
                                             struct ms_error *reterr);
/* Ask the payment command about every renewal that waits (payment.h), and sweep the tenants of these.
 * The two above do not: call this behind ms_sweep when it says unpaid > 0. Takes up to payment_timeout
 * for each. tenant: none: all. asking: NULL, or that of several calls in a row. Errors: of ms_sweep_tenant;
 * MS_CANCELLED. */
struct ms_asking;
MS_NODISCARD enum ms_code ms_sweep_payments(struct ms_svc *svc, struct ms_tenant_id tenant,
                                            struct ms_asking *asking,
                                            struct ms_sweep_result *ret_result,
                                            struct ms_error *reterr);

/* ---- recover --------------------------------------------------------------------------------- */

/* Settle what dead processes left: complete fsynced uploads from their part lists and seal them
 * through the same commit as a live file, drop never-synced files, release leases, forget orphans,
 * remove journals. Exactly one process adopts each dead one; when that one dies too, the next
 * goes on.
 *   lost      listed parts that the store does not have any more; logged with inode and key. The
 *             file is then as after a crash without the fsync.
 *   deferred  fsynced files that may not be sealed now (frozen, or no quota): kept for later.
 * Errors: of the object store, when all that could be settled has been; call again. */
struct ms_recover_result {
    uint64_t processes, completed, dropped, leases, orphans, lost, deferred;
};
MS_NODISCARD enum ms_code ms_recover(struct ms_svc *svc, struct ms_recover_result *ret_result,
                                     struct ms_error *reterr);
/* Only dead processes that left nothing in the object store: rows alone, so it is fit for opening
 * a store. Costs one look at the registry when nobody died. */
MS_NODISCARD enum ms_code ms_recover_quick(struct ms_svc *svc, struct ms_recover_result *ret_result,
                                           struct ms_error *reterr);

/* ---- gc -------------------------------------------------------------------------------------- */

/* Delete objects behind tombstones older than grace_ms, abort multiparts and delete objects that no
 * row knows, older than the grace (0: whatever the store had before the rows were read). Only keys
 * of msasset's own making are ever deleted. dry_run: count only.
 *
 * A stray's age is by the object store's clock on both sides: a small object of now is put, listed
 * and deleted again (a dry run goes by the host's clock, and so does a store that is full). Memory: 8 bytes for
 * each object that rows know, and one page of a list; the list itself lies in a nameless file.
 *
 * An object that may not be deleted (a legal hold) or cannot be now keeps its tombstone and is named in the error;
 * everything else is done nevertheless, and *ret_result says what, with left > 0 (after any other failure it is
 * untouched). Many such in a row end it. */
struct ms_gc_options {
    int64_t grace_ms;
    bool dry_run;
    /* done: objects and uploads looked at or removed so far; false: stop, with MS_CANCELLED and
     * what was done in the result. May be NULL. */
    bool (*progress)(void *priv, uint64_t done);
    void *priv;
};
struct ms_gc_result {
    uint64_t tombstones; /* that wait for their grace */
    uint64_t deleted, deleted_bytes;
    uint64_t uploads_aborted, uploads_bytes; /* bytes of their parts */
    uint64_t strays_deleted, strays_bytes;
    uint64_t left; /* objects and uploads that could not be deleted */
};
MS_NODISCARD enum ms_code ms_gc_with(struct ms_svc *svc, const struct ms_gc_options *options,
                                     struct ms_gc_result *ret_result, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_gc(struct ms_svc *svc, int64_t grace_ms, bool dry_run,
                                struct ms_gc_result *ret_result, struct ms_error *reterr);

/* ---- fsck ------------------------------------------------------------------------------------ */

/* Compare rows with each other, counters with their recomputation, chains with their hashes; store:
 * rows with a LIST (missing, of another size or ETag, unknown); deep: every block of every object
 * with its hash, or of sample_percent of the objects, others each time the seed is another.
 * finding: a broken invariant. pending: something a dead process left and recover or gc will settle.
 * An object whose bytes the store does not give is a finding, and the rest is read; eight in a row that fail with
 * anything but "not there" or "damaged", or such failures and not one byte read, end it with the store's error.
 * Repairs nothing. On a live store, what differs only because somebody is at work is looked at again
 * before it is reported. */
struct ms_fsck_options {
    bool store, deep;
    unsigned sample_percent; /* deep; 0: all */
    uint64_t sample_seed;
    void (*finding)(void *priv, const char *invariant, const char *text);
    void (*pending)(void *priv, const char *kind, const char *text);
    bool (*progress)(void *priv, uint64_t done, uint64_t total); /* deep: bytes; false: stop */
    bool (*listed)(void *priv, uint64_t objects); /* store: looked at so far; false: stop */
    void *priv;
};
struct ms_fsck_result {
    uint64_t tenants, inodes, assets, objects, bytes_read, findings, pending;
};
/* Stopped (MS_CANCELLED), it gives in the result what was checked until then. */
MS_NODISCARD enum ms_code ms_fsck(struct ms_svc *svc, const struct ms_fsck_options *options,
                                  struct ms_fsck_result *ret_result, struct ms_error *reterr);

#endif
