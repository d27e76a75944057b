/* quota.h — what counts, and what may still be written: pure functions (product.md section 5, bill.md section 2).
 *
 * Nothing here reads a store or a clock. A decision is a verdict with its numbers and cannot fail; only the service
 * turns a refusal into MS_QUOTA or MS_TOO_LARGE. Counters are never clamped: drift is reported.
 */
#ifndef MS_QUOTA_QUOTA_H
#define MS_QUOTA_QUOTA_H

#include "base/time.h"
#include "model/asset_type.h"
#include "model/life.h"

/* bill.md section 2. EXCLUDED and PRODUCED_FREE are not metered. */
#define MS_CLASSES(X) X(STANDARD) X(PRODUCED_FREE) X(PRODUCED) X(EXCLUDED)
enum ms_class {
#define MS_CLASS_ENUM(n) MS_CLASS_##n,
    MS_CLASSES(MS_CLASS_ENUM)
#undef MS_CLASS_ENUM
        MS_CLASS_COUNT
};
const char *ms_class_name(enum ms_class c); /* "produced_free" */

#define MS_PRODUCED_FREE_MONTHS 6
/* origin: enum ms_origin; type: enum ms_asset_type; created: of the asset, kept by copies and transfers. */
enum ms_class ms_class_of(uint8_t origin, uint8_t type, struct ms_instant created, struct ms_instant at);
bool ms_class_is_metered(enum ms_class c);
/* When the class changes by itself: the instant at which a produced video starts to count; none otherwise. */
struct ms_instant ms_class_changes_at(uint8_t origin, uint8_t type, struct ms_instant created);

/* One growth of a file from old_end to new_end, of which `held` bytes are leased already. */
struct ms_quota_wish {
    uint64_t size_before, size_after; /* bytes of the file */
    uint64_t base_bytes;   /* committed bytes that this file replaces: they are metered already */
    uint64_t leased;       /* reserved for this file and counted in the tenant's reserved */
    uint64_t left;         /* of the tenant: allowance - metered - reserved */
    uint64_t bytes_max;    /* of its type */
};
enum ms_quota_rule { MS_QUOTA_ALLOWED, MS_QUOTA_CUT_BY_SIZE, MS_QUOTA_CUT_BY_QUOTA, MS_QUOTA_TOO_LARGE, MS_QUOTA_EXCEEDED };
struct ms_quota_verdict {
    enum ms_quota_rule rule; /* size limits are tested before the quota */
    uint64_t size_granted;   /* the file may grow to this; size_before when refused */
    uint64_t lease_more;     /* to reserve before that: what the growth needs, plus min(64 MiB, left / 16) ahead */
    uint64_t over_by;        /* bytes above the limit that refused or cut */
};
struct ms_quota_verdict ms_quota_decide(const struct ms_quota_wish *wish);

/* What an overwrite reserves: max(0, new - old). */
uint64_t ms_quota_overwrite_needs(uint64_t old_bytes, uint64_t new_bytes);
uint64_t ms_quota_lease_ahead(uint64_t left); /* min(64 MiB, left / 16) */

#endif
