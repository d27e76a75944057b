#include "quota/quota.h"

#include "base/assert.h"
#include "base/checked.h"
#include "model/limits.h"

static uint64_t min(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t max(uint64_t a, uint64_t b) { return a > b ? a : b; }
/* What a has above b. */
static uint64_t above(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

/* Limits that cannot be reached are as good as the largest number. */
static uint64_t add(uint64_t a, uint64_t b) {
    uint64_t sum;
    return ms_add_u64(a, b, &sum) ? UINT64_MAX : sum;
}

uint64_t ms_quota_left(struct ms_quota_state s) {
    return above(s.allowance, add(s.metered, s.reserved));
}

uint64_t ms_quota_excess(struct ms_quota_state s) { return above(s.metered, s.allowance); }

uint64_t ms_quota_overwrite_needs(uint64_t old_bytes, uint64_t new_bytes) {
    return above(new_bytes, old_bytes);
}

uint64_t ms_quota_lease_ahead(uint64_t left) { return min(MS_LEASE_BYTES_MAX, left / 16); }

static struct ms_quota_verdict refuse(const struct ms_quota_wish *w, enum ms_quota_rule rule,
                                      uint64_t limit) {
    return (struct ms_quota_verdict){
        .rule = rule, .size_granted = w->size_before, .over_by = w->size_after - limit};
}

struct ms_quota_verdict ms_quota_decide(const struct ms_quota_wish *w) {
    /* The largest size that lease and quota cover. */
    uint64_t covered = add(add(w->base_bytes, w->leased), w->left);
    struct ms_quota_verdict v = {MS_QUOTA_ALLOWED, w->size_after, 0, 0};
    if (w->size_after <= w->size_before) /* shrinking needs nothing, whatever the limits say */
        return v;
    if (w->size_before >= w->bytes_max)
        return refuse(w, MS_QUOTA_TOO_LARGE, w->bytes_max);
    if (w->size_after > w->bytes_max) {
        v.rule = MS_QUOTA_CUT_BY_SIZE;
        v.size_granted = w->bytes_max;
        v.over_by = w->size_after - w->bytes_max;
    }
    if (w->size_before >= covered)
        return refuse(w, MS_QUOTA_EXCEEDED, covered);
    if (v.size_granted > covered) {
        v.rule = MS_QUOTA_CUT_BY_QUOTA;
        v.size_granted = covered;
        v.over_by = w->size_after - covered;
    }
    uint64_t needs = above(v.size_granted, add(w->base_bytes, w->leased));
    if (needs > 0)
        v.lease_more = max(needs, ms_quota_lease_ahead(w->left));
    MS_ASSERT(v.lease_more <= w->left);
    return v;
}
