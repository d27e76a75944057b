#include "lifecycle/arrears.h"

#include "base/assert.h"

#define NEVER ((struct ms_instant){INT64_MAX})

const char *ms_arrears_stage_name(enum ms_arrears_stage stage) {
    static const char *const names[] = {
#define NAME(n) #n,
        MS_ARREARS_STAGES(NAME)
#undef NAME
    };
    return (unsigned)stage < MS_ARREARS_COUNT ? names[stage] : "?";
}

const char *ms_arrears_broken(struct ms_arrears a, uint8_t holds) {
    if (a.stage >= MS_ARREARS_COUNT)
        return "the stage of its arrears is out of range";
    if (ms_instant_is_none(a.since) != (a.stage == MS_ARREARS_NONE))
        return "it is in arrears without an instant, or the other way round";
    if (a.stage >= MS_ARREARS_HELD && !(holds & MS_HOLD_ARREARS))
        return "the grace period of its arrears is over without a hold";
    return NULL;
}

struct ms_instant ms_arrears_hold_at(struct ms_arrears a) {
    return a.stage == MS_ARREARS_NONE ? NEVER : ms_instant_add_ms(a.since, MS_ARREARS_GRACE_MS);
}

struct ms_instant ms_arrears_end_at(struct ms_arrears a) {
    return a.stage == MS_ARREARS_NONE
               ? NEVER
               : ms_instant_add_ms(a.since, MS_ARREARS_GRACE_MS + MS_ARREARS_RETENTION_MS);
}

enum ms_arrears_stage ms_arrears_at(struct ms_arrears a, struct ms_instant now) {
    if (a.stage == MS_ARREARS_NONE)
        return MS_ARREARS_NONE;
    if (now.ms < ms_arrears_hold_at(a).ms)
        return MS_ARREARS_GRACE;
    return now.ms < ms_arrears_end_at(a).ms ? MS_ARREARS_HELD : MS_ARREARS_ENDED;
}

struct ms_instant ms_arrears_due(struct ms_arrears a) {
    if (a.stage == MS_ARREARS_GRACE)
        return ms_arrears_hold_at(a);
    return a.stage == MS_ARREARS_HELD ? ms_arrears_end_at(a) : NEVER;
}

struct ms_instant ms_arrears_next(struct ms_arrears a, struct ms_instant now) {
    if (now.ms < ms_arrears_hold_at(a).ms)
        return ms_arrears_hold_at(a);
    return now.ms < ms_arrears_end_at(a).ms ? ms_arrears_end_at(a) : NEVER;
}

/* The hold has come, and the record does not know. */
static bool hold_waits(struct ms_arrears a, struct ms_instant now) {
    return a.stage == MS_ARREARS_GRACE && now.ms >= ms_arrears_hold_at(a).ms;
}

struct ms_mask ms_arrears_mask(struct ms_arrears a, struct ms_mask mask, struct ms_instant now) {
    MS_ASSERT(a.stage < MS_ARREARS_COUNT);
    return hold_waits(a, now) ? ms_lc_mask_freeze(mask, MS_HOLD_ARREARS, ms_arrears_hold_at(a))
                              : mask;
}

struct ms_mask ms_arrears_mask_at(struct ms_arrears a, struct ms_mask mask, struct ms_instant due) {
    bool behind = a.stage == MS_ARREARS_GRACE && due.ms > ms_arrears_hold_at(a).ms;
    return behind ? ms_arrears_mask(a, mask, due) : ms_lc_mask_at(mask, due);
}

struct ms_life
ms_arrears_life(struct ms_arrears a, const struct ms_life *life, const struct ms_lc_facts *facts,
                void (*each)(void *priv, const struct ms_life *before,
                             const struct ms_lc_verdict *step, enum ms_due_kind kind),
                void *priv) {
    struct ms_lc_facts then = *facts;
    struct ms_life now = *life;
    if (hold_waits(a, facts->now)) {
        then.now = ms_arrears_hold_at(a);
        now = ms_lc_effective(&now, &then, each, priv);
        then.mask = ms_arrears_mask(a, facts->mask, facts->now);
    }
    bool ended = ms_arrears_at(a, facts->now) == MS_ARREARS_ENDED;
    then.now = ended ? ms_arrears_end_at(a) : facts->now;
    now = ms_lc_effective(&now, &then, each, priv);
    if (!ended || now.rest == MS_STATE_DELETED)
        return now;
    then.actor_admin = 1;
    return ms_lc_step(&now, MS_EVENT_TERMINATE, &then).next;
}
