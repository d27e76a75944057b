/* Deadlines: when, and how the tenant's mask moves them. */
#include "base/assert.h"
#include "lifecycle/lifecycle.h"
#include "model/limits.h"

#define NEVER INT64_MAX

static int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

/* The due instant of a deadline that the mask stops: `before` without the last freeze, `after`
 * counted from its end. What was due when the freeze began has happened, whether or not a sweep has
 * seen it. */
static int64_t through_mask(int64_t before, int64_t after, const struct ms_mask *mask) {
    if (mask->since.ms == 0 || before <= mask->since.ms)
        return before;
    return mask->holds ? NEVER : after;
}

/* A deadline of 24 h that a freeze extends to 24 h after its end, and an open handle to the
 * handle's. */
static int64_t upload_due(int64_t declared, const struct ms_mask *mask, int64_t held_off) {
    int64_t before = max(declared, held_off);
    if (mask->lifted_before.ms != 0)
        before = max(before, mask->lifted_before.ms + MS_UPLOAD_DUE_MS);
    return through_mask(before, max(before, mask->lifted_at.ms + MS_UPLOAD_DUE_MS), mask);
}

/* Retention runs in full from its start or the end of the last freeze; an auto-renewing package
 * only holds it off. */
static int64_t purge_due(const struct ms_life *life, const struct ms_mask *mask) {
    int64_t start = max(life->binned_at.ms, mask->lifted_before.ms);
    int64_t restart = max(start, mask->lifted_at.ms);
    int64_t floor = life->purge_floor.ms;
    return through_mask(max(start + life->retention_ms, floor),
                        max(restart + life->retention_ms, floor), mask);
}

struct ms_instant ms_lc_purge_due(const struct ms_life *life, struct ms_mask mask) {
    MS_ASSERT(!ms_mask_broken(&mask));
    if (life->rest == MS_STATE_DELETED || life->last != MS_LAST_BINNED || life->auto_renew)
        return (struct ms_instant){NEVER};
    return (struct ms_instant){purge_due(life, &mask)};
}

/* At one instant the kind that is asked first fires first: the order of states.def. */
static void earlier(struct ms_lc_due *due, enum ms_due_kind kind, int64_t at) {
    if (at < due->at.ms)
        *due = (struct ms_lc_due){kind, {at}};
}

struct ms_lc_due ms_lc_due(const struct ms_life *life, struct ms_mask mask,
                           struct ms_instant held_off) {
    struct ms_lc_due due = {MS_DUE_NONE, {NEVER}};
    MS_ASSERT(!ms_mask_broken(&mask));
    if (life->rest == MS_STATE_DELETED)
        return due;
    if (life->confirm_due.ms != 0)
        earlier(&due, MS_DUE_UPLOAD, upload_due(life->confirm_due.ms, &mask, held_off.ms));
    earlier(&due, MS_DUE_PURGE, ms_lc_purge_due(life, mask).ms);
    if (life->takedown_due.ms != 0)
        earlier(&due, MS_DUE_TAKEDOWN, life->takedown_due.ms);
    if (life->scheduled_count > 0)
        earlier(&due,
                life->scheduled[0].op == MS_SCHEDULED_BLOCK ? MS_DUE_SCHEDULED_BLOCK
                                                            : MS_DUE_SCHEDULED_DELETE,
                life->scheduled[0].at.ms);
    return due;
}

struct ms_instant ms_lc_file_due(const struct ms_life *life, struct ms_instant declared_due,
                                 struct ms_mask mask, struct ms_instant held_off) {
    MS_ASSERT(!ms_mask_broken(&mask));
    if (life->rest == MS_STATE_DELETED)
        return (struct ms_instant){NEVER};
    if (life->rest != MS_STATE_CREATING)
        return ms_instant_max(declared_due, held_off);
    return (struct ms_instant){upload_due(declared_due.ms, &mask, held_off.ms)};
}

struct ms_mask ms_lc_mask_freeze(struct ms_mask mask, uint8_t hold, struct ms_instant at) {
    MS_ASSERT(hold == MS_HOLD_ADMIN || hold == MS_HOLD_ARREARS);
    MS_ASSERT(at.ms > 0 && at.ms >= mask.since.ms && at.ms >= mask.lifted_at.ms);
    if (mask.holds == 0) {
        mask.lifted_before = mask.lifted_at;
        mask.lifted_at = (struct ms_instant){0};
        mask.since = at;
    }
    mask.holds |= hold;
    MS_ASSERT(!ms_mask_broken(&mask));
    return mask;
}

struct ms_mask ms_lc_mask_lift(struct ms_mask mask, uint8_t hold, struct ms_instant at) {
    MS_ASSERT(hold == MS_HOLD_ADMIN || hold == MS_HOLD_ARREARS);
    MS_ASSERT(at.ms >= mask.since.ms);
    if (!(mask.holds & hold))
        return mask;
    mask.holds &= (uint8_t)~hold;
    if (mask.holds == 0)
        mask.lifted_at = at;
    MS_ASSERT(!ms_mask_broken(&mask));
    return mask;
}

struct ms_mask ms_lc_mask_at(struct ms_mask mask, struct ms_instant due) {
    bool last = mask.since.ms != 0 && due.ms > mask.since.ms;
    bool frozen = last ? mask.holds != 0 || due.ms <= mask.lifted_at.ms
                       : mask.lifted_before.ms != 0 && due.ms <= mask.lifted_before.ms;
    MS_ASSERT(!ms_mask_broken(&mask));
    if (!frozen)
        return (struct ms_mask){0};
    /* which hold it was is not remembered, and shows nowhere */
    return (struct ms_mask){.holds = mask.holds ? mask.holds : MS_HOLD_ADMIN, .since = mask.since};
}
