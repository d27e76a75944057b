/* bin.h — a tenant's recycle bin as a whole: its list, emptying it, its settings (product.md section 6).
 *
 * One asset goes in and out by ms_asset_apply() and the tree; as folders the bin is service/vtree.h.
 *
 * Threads: any.
 */
#ifndef MS_SERVICE_BIN_H
#define MS_SERVICE_BIN_H

#include "service/asset.h"

struct ms_bin_entry {
    struct ms_bin_id id;
    struct ms_asset_id asset;
    enum ms_state state;     /* DELETING, or BLOCK: frozen while it lay there, so retention waits */
    struct ms_instant at;    /* when it was deleted */
    struct ms_instant until; /* purged then; none: not while it is as it is */
    uint64_t bytes;
    char who[MS_WHO_MAX + 1];
    char path[8192]; /* where it was; "" when it was nowhere */
};
/* A folder that went in as a whole (ms_tree_bin), and whose assets' rows are not all written yet: those that
 * are not are in no list of entries. */
struct ms_bin_folder {
    struct ms_instant at;
    uint64_t assets; /* that are in the list already */
    char who[MS_WHO_MAX + 1];
    char path[8192]; /* where it was */
};
/* All of them, in no order; the caller's: free(). */
MS_NODISCARD enum ms_code ms_bin_folders(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         struct ms_bin_folder **ret_folders, size_t *ret_n,
                                         struct ms_error *reterr);
/* In the order of ids behind `after`, bounded pages; *ret_n below max: the end. Deadlines that
 * have come are applied first where that can be done; folders on their way are not waited for. */
MS_NODISCARD enum ms_code ms_bin_list(struct ms_svc *svc, const struct ms_ctx *ctx,
                                      struct ms_bin_id after, struct ms_bin_entry *ret_entries,
                                      size_t max, size_t *ret_n, struct ms_error *reterr);

struct ms_bin_empty {
    int64_t older_ms; /* only what was deleted so long ago; 0: all */
    bool (*progress)(void *priv, uint64_t assets); /* may be NULL; false stops behind a commit */
    void *priv;
};
struct ms_bin_emptied {
    uint64_t assets, bytes; /* gone, and what the quota has back */
    uint64_t kept;          /* frozen in the bin, or bound to a package that renews itself */
};
/* Delete for good what shows DELETING, at most 64 assets a commit. The bytes leave the object store by
 * gc. Stopped (MS_CANCELLED), it gives in the result what went until then. */
MS_NODISCARD enum ms_code ms_bin_empty(struct ms_svc *svc, const struct ms_ctx *ctx,
                                       const struct ms_bin_empty *options,
                                       struct ms_bin_emptied *ret_emptied, struct ms_error *reterr);

/* retention_ms: of later deletions; 0: the bin is off; -1: as it is. bypass: patterns of names
 * (fnmatch(3), commas between) whose last rm deletes for good; NULL: as it is. What is due of the tenant
 * is applied before. Errors: MS_DENIED not an administrator; MS_RANGE. */
MS_NODISCARD enum ms_code ms_bin_set(struct ms_svc *svc, const struct ms_ctx *ctx,
                                     int64_t retention_ms, const char *bypass,
                                     struct ms_error *reterr);

/* Whether a name is one of those that bypass the bin. */
bool ms_bin_bypassed(const struct ms_tenant_record *tenant, const char *name);

#endif
