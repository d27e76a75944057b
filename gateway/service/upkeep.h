/* upkeep.h — what keeps a store whole: sweep, recover, gc, fsck. Each works in bounded steps and may be killed. */
#ifndef MS_SERVICE_UPKEEP_H
#define MS_SERVICE_UPKEEP_H

#include "service/service.h"

/* Apply what is due at the clock's now, tenant by tenant, at most 256 assets a commit; safe beside other sweepers.
 * Errors: MS_CONFLICT the clock stands more than 5 minutes behind the last commit: nothing is done. */
struct ms_sweep_result {
    uint64_t applied, failed_uploads, purged;
    struct ms_instant next; /* when there is work again; none: nothing is known */
};
MS_NODISCARD enum ms_code ms_sweep(struct ms_svc *svc, struct ms_sweep_result *ret_result, struct ms_error *reterr);

/* Settle what dead processes left: complete fsynced uploads from their part lists, drop never-synced files, release
 * leases, forget orphans, remove journals. Exactly one process adopts each. */
struct ms_recover_result {
    uint64_t processes, completed, dropped, leases, orphans;
};
MS_NODISCARD enum ms_code ms_recover(struct ms_svc *svc, struct ms_recover_result *ret_result, struct ms_error *reterr);

/* Delete objects behind tombstones older than grace_ms, abort multiparts and delete objects no row knows, older
 * than the grace. dry_run: count only. */
struct ms_gc_result {
    uint64_t tombstones, deleted, deleted_bytes, uploads_aborted, strays_deleted;
};
MS_NODISCARD enum ms_code ms_gc(struct ms_svc *svc, int64_t grace_ms, bool dry_run, struct ms_gc_result *ret_result,
                                struct ms_error *reterr);

/* Compare rows with each other, counters with their recomputation, chains with their hashes; store: rows with a
 * LIST; deep: every block of every object with its hash. finding: a broken invariant. pending: something a dead
 * process left and recover or gc will settle. Repairs nothing. */
struct ms_fsck_options {
    bool store, deep;
    void (*finding)(void *priv, const char *invariant, const char *text);
    void (*pending)(void *priv, const char *kind, const char *text);
    bool (*progress)(void *priv, uint64_t done, uint64_t total);
    void *priv;
};
struct ms_fsck_result {
    uint64_t tenants, inodes, assets, objects, bytes_read, findings, pending;
};
MS_NODISCARD enum ms_code ms_fsck(struct ms_svc *svc, const struct ms_fsck_options *options,
                                  struct ms_fsck_result *ret_result, struct ms_error *reterr);

#endif
