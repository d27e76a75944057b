/* quota.h — what counts, and what may still be written: pure functions (product.md section 5,
 * bill.md section 2, design.md section 6).
 *
 * Nothing here reads a store or a clock. A decision is a verdict with its numbers and cannot fail;
 * only the service turns a refusal into MS_QUOTA or MS_TOO_LARGE. Counters are never clamped: a
 * change that would take one below zero or past its range is reported and not applied.
 *
 * Threads: pure.
 */
#ifndef MS_QUOTA_QUOTA_H
#define MS_QUOTA_QUOTA_H

#include "base/time.h"
#include "model/asset_type.h"
#include "model/life.h"
#include "model/record.h"

/* ---- classes of bytes (bill.md section 2) ---------------------------------------------------- */

/* EXCLUDED and PRODUCED_FREE are not metered. */
#define MS_CLASSES(X) X(STANDARD) X(PRODUCED_FREE) X(PRODUCED) X(EXCLUDED)
enum ms_class {
#define MS_CLASS_ENUM(n) MS_CLASS_##n,
    MS_CLASSES(MS_CLASS_ENUM)
#undef MS_CLASS_ENUM
        MS_CLASS_COUNT
};
const char *ms_class_name(enum ms_class c); /* "produced_free" */

#define MS_PRODUCED_FREE_MONTHS 6
/* origin: enum ms_origin; type: enum ms_asset_type; created: of the asset, kept by copies and
 * transfers. */
enum ms_class ms_class_of(uint8_t origin, uint8_t type, struct ms_instant created,
                          struct ms_instant at);
bool ms_class_is_metered(enum ms_class c);
/* When the class changes by itself: the instant at which a produced video starts to count; none
 * otherwise. */
struct ms_instant ms_class_changes_at(uint8_t origin, uint8_t type, struct ms_instant created);

/* ---- what is left ---------------------------------------------------------------------------- */

#define MS_USAGE_BYTES_MAX ((uint64_t)INT64_MAX) /* of one tenant, all classes together */

struct ms_quota_state {
    uint64_t allowance; /* free quota + capacity of every valid package */
    uint64_t metered;   /* standard + produced */
    uint64_t reserved;  /* promised to uploads and open files, not committed yet */
};
/* max(0, allowance - metered - reserved). Metered may lie above the allowance: by time (six months,
 * an expired package) or a changed setting; then nothing is left. */
uint64_t ms_quota_left(struct ms_quota_state state);
/* max(0, metered - allowance): what is rated. */
uint64_t ms_quota_excess(struct ms_quota_state state);

/* ---- may a file grow? ------------------------------------------------------------------------ */

/* One growth of a file. */
struct ms_quota_wish {
    uint64_t size_before, size_after; /* bytes of the file */
    uint64_t base_bytes; /* committed bytes that this file replaces: they are metered already; 0 for
                            a new MAIN that will wait for review (it counts beside the old one) */
    uint64_t leased;     /* reserved for this file and counted in the tenant's reserved */
    uint64_t left;       /* of the tenant: ms_quota_left() */
    uint64_t bytes_max;  /* of its type */
};
enum ms_quota_rule {
    MS_QUOTA_ALLOWED,
    MS_QUOTA_CUT_BY_SIZE,  /* cut short at the limit of its type; the next growth is TOO_LARGE */
    MS_QUOTA_CUT_BY_QUOTA, /* cut short at the quota; the next growth is EXCEEDED */
    MS_QUOTA_TOO_LARGE,    /* EFBIG */
    MS_QUOTA_EXCEEDED,     /* EDQUOT */
};
struct ms_quota_verdict {
    enum ms_quota_rule rule; /* size limits are tested before the quota */
    uint64_t size_granted;   /* the file may grow to this; size_before when refused */
    uint64_t lease_more;     /* to reserve before that; never more than left */
    uint64_t over_by;        /* bytes above the limit that refused or cut */
};
/* A write is cut short at the first limit that it meets. Callers that must have all or nothing
 * (truncate, fallocate, a declared file) take a cut for a refusal and reserve nothing.
 * lease_more is what the growth needs, and at least the lease ahead of min(64 MiB, left / 16), so
 * that a writer does not ask at every write; 0 while what is leased covers the growth. */
struct ms_quota_verdict ms_quota_decide(const struct ms_quota_wish *wish);

/* What an overwrite reserves: max(0, new - old). */
uint64_t ms_quota_overwrite_needs(uint64_t old_bytes, uint64_t new_bytes);
uint64_t ms_quota_lease_ahead(uint64_t left); /* min(64 MiB, left / 16) */

/* ---- counters as the fold of events ---------------------------------------------------------- */

enum ms_usage_fault {
    MS_USAGE_FINE,
    MS_USAGE_UNKNOWN_CLASS, /* of the event */
    MS_USAGE_NEGATIVE,      /* a class would fall below zero: an event is missing or told twice */
    MS_USAGE_OVERFLOW,      /* the tenant would pass MS_USAGE_BYTES_MAX */
};
/* Move one ledger event's bytes from its class before to its class after. usage is untouched unless
 * MS_USAGE_FINE. Counters other than the four classes are not touched. */
enum ms_usage_fault ms_usage_apply(struct ms_usage_record *usage,
                                   const struct ms_ledger_record *event);
const char *ms_usage_fault_text(enum ms_usage_fault fault);

/* standard + produced, the sum of all classes; a record never holds more than MS_USAGE_BYTES_MAX
 * (ms_usage_apply), a damaged one gives UINT64_MAX. */
uint64_t ms_usage_metered(const struct ms_usage_record *usage);
uint64_t ms_usage_bytes(const struct ms_usage_record *usage);

#endif
