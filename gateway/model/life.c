#include "model/life.h"

#include "base/assert.h"

#include <string.h>

static const char *const state_names[] = {
#define STATE_NAME(n) #n,
    MS_STATES(STATE_NAME)};
static const char *const fail_names[] = {
#define FAIL_NAME(n) #n,
    MS_FAILS(FAIL_NAME)};
static const char *const origin_names[] = {
#define ORIGIN_NAME(n) #n,
    MS_ORIGINS(ORIGIN_NAME)};

const char *ms_state_name(enum ms_state s) {
    MS_ASSERT(s < MS_STATE_COUNT);
    return state_names[s];
}

bool ms_state_is_finished(enum ms_state rest) {
    return rest == MS_STATE_UNACTIVED || rest == MS_STATE_ACTIVED || rest == MS_STATE_WAITING_DELETE;
}

const char *ms_fail_name(enum ms_fail_type f) {
    MS_ASSERT(f < MS_FAIL_COUNT);
    return fail_names[f];
}

const char *ms_origin_name(enum ms_origin o) {
    MS_ASSERT(o < MS_ORIGIN_COUNT);
    return origin_names[o];
}

const char *ms_hold_words(unsigned holds) {
    return holds & MS_HOLD_ADMIN       ? "frozen by an administrator"
           : holds & MS_HOLD_PACKAGE   ? "frozen because its package ended"
           : holds & MS_HOLD_SCHEDULED ? "blocked by a scheduled operation"
           : holds & MS_HOLD_ARREARS   ? "frozen for arrears"
                                       : "";
}

/* The index of name, or count. */
static size_t find_name(const char *const *names, size_t count, const char *name) {
    size_t i = 0;
    while (i < count && strcmp(names[i], name) != 0)
        i++;
    return i;
}

bool ms_state_parse(const char *name, enum ms_state *ret_state) {
    size_t i = find_name(state_names, MS_STATE_COUNT, name);
    if (i == MS_STATE_COUNT)
        return false;
    *ret_state = (enum ms_state)i;
    return true;
}

bool ms_origin_parse(const char *name, enum ms_origin *ret_origin) {
    size_t i = find_name(origin_names, MS_ORIGIN_COUNT, name);
    if (i == MS_ORIGIN_COUNT)
        return false;
    *ret_origin = (enum ms_origin)i;
    return true;
}

static bool in_range(struct ms_instant t) { return t.ms >= 0 && t.ms <= MS_INSTANT_MAX; }

static const char *ranges_broken(const struct ms_life *l) {
    if (l->rest >= MS_REST_COUNT)
        return "the resting state is none of the six";
    if (l->holds & ~MS_ASSET_HOLDS)
        return "an asset has a hold that assets do not have";
    if (l->last > MS_LAST_BINNED || l->fail >= MS_FAIL_COUNT)
        return "last or fail is out of range";
    if (l->binned > 1 || l->sealed > 1 || l->in_review > 1 || l->auto_renew > 1)
        return "a flag is neither 0 nor 1";
    if (!in_range(l->created) || !in_range(l->confirm_due) || !in_range(l->binned_at) ||
        !in_range(l->purge_floor) || !in_range(l->takedown_due))
        return "an instant is out of range";
    if (l->retention_ms < 0 || l->retention_ms > MS_RETENTION_MS_MAX)
        return "the retention is out of range";
    return NULL;
}

/* Resting state, failure and the bytes of MAIN agree. */
static const char *rest_broken(const struct ms_life *l) {
    bool freed = l->fail == MS_FAIL_TIMEOUT || l->fail == MS_FAIL_MISMATCH;
    if ((l->rest == MS_STATE_FAILED) != (l->fail != MS_FAIL_NONE))
        return "only a FAILED asset has a failure, and it has one";
    if (l->rest == MS_STATE_FAILED && l->sealed == freed)
        return "a failure by time-out or mismatch frees the bytes, another one keeps them";
    if (l->rest == MS_STATE_CREATING && l->sealed != l->in_review)
        return "a CREATING asset with a sealed MAIN waits for a verdict, and only then";
    if (l->rest >= MS_STATE_UNACTIVED && l->rest <= MS_STATE_WAITING_DELETE && !l->sealed)
        return "a finished asset has a sealed MAIN";
    if (l->in_review && (l->rest == MS_STATE_FAILED || l->rest == MS_STATE_DELETED))
        return "a failed or deleted asset is not in review";
    if (l->confirm_due.ms != 0 && (l->rest != MS_STATE_CREATING || l->sealed))
        return "only an unconfirmed upload has an upload deadline";
    if ((l->rest == MS_STATE_WAITING_DELETE) != (l->takedown_due.ms != 0))
        return "only WAITING_DELETE has an announced date, and it has one";
    return NULL;
}

/* The two facts beside the resting state, and the note of which came last. */
static const char *facts_broken(const struct ms_life *l) {
    if ((l->last == MS_LAST_NONE) != (l->holds == 0 && !l->binned))
        return "what came last is noted while the asset is frozen or binned, and only then";
    if (l->last == MS_LAST_FROZEN && l->holds == 0)
        return "frozen came last, but there is no hold";
    if (l->last == MS_LAST_BINNED && !l->binned)
        return "binned came last, but the asset is not in the bin";
    if ((l->binned_at.ms != 0) != (l->binned == 1))
        return "retention has a start in the bin, and only there";
    if (!l->binned && (l->retention_ms != 0 || l->purge_floor.ms != 0))
        return "retention has a length outside the bin";
    if (l->rest == MS_STATE_DELETED &&
        (l->holds || l->binned || l->sealed || l->auto_renew || l->scheduled_count))
        return "a deleted asset has nothing left";
    return NULL;
}

static bool scheduled_before(const struct ms_scheduled *a, const struct ms_scheduled *b) {
    return a->at.ms != b->at.ms ? a->at.ms < b->at.ms : a->op < b->op;
}

static const char *scheduled_broken(const struct ms_life *l) {
    if (l->scheduled_count > MS_SCHEDULED_MAX)
        return "more than ten scheduled operations";
    for (size_t i = 0; i < MS_SCHEDULED_MAX; i++) {
        const struct ms_scheduled *s = &l->scheduled[i];
        bool used = i < l->scheduled_count;
        if (used != (s->op != MS_SCHEDULED_NONE) || s->op > MS_SCHEDULED_DELETE ||
            used != (s->at.ms != 0) || !in_range(s->at))
            return "a scheduled operation is out of range";
        if (used && i > 0 && !scheduled_before(s - 1, s))
            return "scheduled operations are not in order";
    }
    return NULL;
}

const char *ms_life_broken(const struct ms_life *life) {
    const char *broken = ranges_broken(life);
    if (!broken)
        broken = rest_broken(life);
    if (!broken)
        broken = facts_broken(life);
    if (!broken)
        broken = scheduled_broken(life);
    return broken;
}

const char *ms_mask_broken(const struct ms_mask *m) {
    if (m->holds & ~MS_TENANT_HOLDS)
        return "a tenant has a hold that tenants do not have";
    if (!in_range(m->since) || !in_range(m->lifted_at) || !in_range(m->lifted_before))
        return "an instant is out of range";
    if (m->since.ms == 0 && (m->holds || m->lifted_at.ms != 0 || m->lifted_before.ms != 0))
        return "a tenant freeze has no start";
    if (m->since.ms != 0 && (m->holds == 0) != (m->lifted_at.ms != 0))
        return "a tenant freeze has an end once it has no hold, and only then";
    if (m->lifted_at.ms != 0 && m->lifted_at.ms < m->since.ms)
        return "a tenant freeze ends before it starts";
    if (m->lifted_before.ms > m->since.ms)
        return "a tenant freeze starts before the one before it ends";
    return NULL;
}
