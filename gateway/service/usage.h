/* usage.h — what a tenant's bytes are made of: by class, by type, the largest assets; and for one asset why
 * it counts or does not (product.md section 5, bill.md section 2).
 *
 * Counters (struct ms_quota_info) say how much, exactly and at once. What they are made of is counted over the
 * assets in as many short reads as that takes, in memory that does not grow with them; so on a tenant that is
 * at work the sums of types may lie beside the counters by what changed meanwhile. Everything is as it is at
 * one instant, swept or not.
 *
 * Threads: any; one call uses the calling thread only.
 */
#ifndef MS_SERVICE_USAGE_H
#define MS_SERVICE_USAGE_H

#include "quota/quota.h"
#include "service/asset.h"
#include "service/tenant.h"

#include <jansson.h>

/* Bytes are those of committed files. Frozen: by a hold of the asset's own, not by its tenant's. */
struct ms_usage_sum {
    uint64_t assets, files, bytes;
    uint64_t frozen_assets, frozen_bytes;
    uint64_t binned_assets, binned_bytes;
};
struct ms_usage_asset {
    struct ms_asset_id id;
    uint64_t bytes;
    uint8_t type, class;
    enum ms_state state;
    char name[MS_ASSET_NAME_BYTES_MAX + 1];
};
#define MS_USAGE_TOP_MAX 1000u
struct ms_usage_report {
    struct ms_quota_info quota;
    struct ms_usage_sum all, type[MS_TYPE_COUNT], class[MS_CLASS_COUNT];
    struct ms_usage_asset *top; /* the largest ones, largest first; owned */
    size_t top_n;
};
/*   top_max     0..MS_USAGE_TOP_MAX
 *   looked_at   assets so far; false: stop, with MS_CANCELLED; may be NULL
 *   ret_report  ms_usage_report_fini(), also after a failure */
struct ms_usage_options {
    size_t top_max;
    bool (*looked_at)(void *priv, uint64_t assets);
    void *priv;
};
MS_NODISCARD enum ms_code ms_usage_report(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          const struct ms_usage_options *options,
                                          struct ms_usage_report *ret_report,
                                          struct ms_error *reterr);
void ms_usage_report_fini(struct ms_usage_report *report);
/* The members of ms_show_quota, and "types", "classes", "frozen", "top" beside them. */
json_t *ms_usage_report_json(const struct ms_usage_report *report);

/* One asset. */
struct ms_usage_why {
    struct ms_asset_info info;
    struct ms_quota_info quota;  /* of its tenant */
    enum ms_class class;
    bool metered;
    struct ms_instant since;     /* it is in this class, with bytes; none: it has none */
    struct ms_instant until;     /* time changes the class or deletes it then; none: nothing does */
    bool until_deleted;          /* until is the end of its retention */
    uint64_t bytes, main_bytes;  /* all its committed files; its MAIN's version (info.version) */
    uint64_t reserved;           /* of declared files of it */
    char why[512];               /* why it counts or does not, in words */
};
/* Walks the tenant's ledger for `since`: seconds for millions of rows, memory flat. Errors: MS_NOT_FOUND. */
MS_NODISCARD enum ms_code ms_usage_explain(struct ms_svc *svc, const struct ms_ctx *ctx,
                                           const char *path_or_id, struct ms_usage_why *ret_why,
                                           struct ms_error *reterr);
json_t *ms_usage_why_json(const struct ms_usage_why *why);

#endif
