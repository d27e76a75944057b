#include "lifecycle/lifecycle.h"

#include "base/assert.h"
#include "lifecycle/place.h"
#include "model/limits.h"

static const char *const event_names[] = {
#define MS_LC_EVENT(name, guards) #name,
#include "lifecycle/states.def"
};
static const char *const due_names[] = {
#define MS_LC_DUE(name) #name,
#include "lifecycle/states.def"
};
static const char *const rule_names[] = {
#define MS_LC_RULE(name, text) #name,
#include "lifecycle/states.def"
};
static const char *const rule_texts[] = {
#define MS_LC_RULE(name, text) text,
#include "lifecycle/states.def"
};

const char *ms_event_name(enum ms_event e) {
    MS_ASSERT(e < MS_EVENT_COUNT);
    return event_names[e];
}

const char *ms_due_name(enum ms_due_kind k) {
    MS_ASSERT(k < MS_DUE_COUNT);
    return due_names[k];
}

const char *ms_lc_rule_name(enum ms_lc_rule rule) {
    MS_ASSERT(rule < MS_LC_RULE_COUNT);
    return rule_names[rule];
}

const char *ms_lc_rule_text(enum ms_lc_rule rule) {
    MS_ASSERT(rule < MS_LC_RULE_COUNT);
    return rule_texts[rule];
}

struct ms_life ms_lc_create(struct ms_instant created, bool api_upload) {
    struct ms_life life = {.rest = MS_STATE_CREATING, .created = created};
    MS_ASSERT(created.ms > 0);
    if (api_upload)
        life.confirm_due = ms_instant_add_ms(created, MS_UPLOAD_DUE_MS);
    return life;
}

void ms_lc_end(struct ms_life *life) {
    *life = (struct ms_life){.rest = MS_STATE_DELETED, .created = life->created};
}

/* ---- may it happen? -------------------------------------------------------------------------- */

static bool announced_too_soon(const struct ms_lc_facts *f) {
    return f->origin == MS_ORIGIN_SYSTEM && f->at.ms < ms_instant_add_months(f->now, 3).ms;
}

/* Nothing that an unfreeze lifts, though this hold is there. */
static bool only_package(const struct ms_life *l) { return l->holds == MS_HOLD_PACKAGE; }

static bool is_broken(enum ms_lc_rule rule, const struct ms_life *l, const struct ms_lc_facts *f) {
    switch (rule) {
    case MS_LC_DELETED:
        return l->rest == MS_STATE_DELETED;
    case MS_LC_TENANT_FROZEN:
        return f->mask.holds != 0;
    case MS_LC_AUTO_RENEW:
        return l->auto_renew;
    case MS_LC_ADMIN_ONLY:
        return !f->actor_admin;
    case MS_LC_SYSTEM_ASSET:
        return f->origin == MS_ORIGIN_SYSTEM && !f->actor_admin;
    case MS_LC_FROZEN:
        return l->holds != 0;
    case MS_LC_BINNED:
        return l->binned;
    case MS_LC_NOT_BINNED:
        return !l->binned;
    case MS_LC_BLOCKED:
        return l->binned && l->last == MS_LAST_FROZEN;
    case MS_LC_HOLD_PACKAGE:
        return only_package(l);
    case MS_LC_HOLD_ARREARS:
        return l->holds == 0 && (f->mask.holds & MS_HOLD_ARREARS);
    case MS_LC_NOT_FROZEN:
        return l->holds == 0;
    case MS_LC_IN_REVIEW:
        return l->in_review;
    case MS_LC_PAST:
        return f->at.ms <= f->now.ms;
    case MS_LC_TOO_SOON:
        return announced_too_soon(f);
    case MS_LC_FULL:
        return l->scheduled_count == MS_SCHEDULED_MAX;
    case MS_LC_ALLOWED: /* these three are no guards */
    case MS_LC_STATE:
    case MS_LC_NOT_DUE:
    case MS_LC_RULE_COUNT:
        break;
    }
    ms_assert_failed("a guard", __FILE__, __LINE__, __func__);
}

static bool fits(const struct ms_lc_row *row, const struct ms_life *l,
                 const struct ms_lc_facts *f) {
    switch ((enum ms_lc_if)row->when) {
    case MS_IF_ANY:
        return true;
    case MS_IF_API:
        return l->confirm_due.ms != 0;
    case MS_IF_HELD:
        return l->in_review;
    case MS_IF_PRESET:
        return f->origin == MS_ORIGIN_SYSTEM;
    case MS_IF_RENEWING:
        return l->auto_renew;
    case MS_IF_BINNED:
        return l->binned;
    case MS_IF_DELETING:
        return l->last == MS_LAST_BINNED;
    case MS_IF_BIN_OFF:
        return f->retention_ms == 0;
    }
    ms_assert_failed("a condition", __FILE__, __LINE__, __func__);
}

static const struct ms_lc_row *find_row(const struct ms_life *l, enum ms_event event,
                                        enum ms_due_kind due, const struct ms_lc_facts *f) {
    unsigned place = 1u << ms_lc_place(l);
    for (size_t i = 0; i < ms_lc_row_count; i++) {
        const struct ms_lc_row *row = &ms_lc_rows[i];
        if (row->event == event && row->due == due && (row->places & place) && fits(row, l, f))
            return row;
    }
    return NULL;
}

/* The first broken rule; having no row counts as STATE. */
static enum ms_lc_rule first_broken(const struct ms_life *l, enum ms_event event,
                                    const struct ms_lc_facts *f, const struct ms_lc_row *row) {
    for (unsigned rule = MS_LC_ALLOWED + 1; rule < MS_LC_RULE_COUNT; rule++) {
        if (rule == MS_LC_STATE && !row)
            return MS_LC_STATE;
        if ((ms_lc_guards[event] >> rule & 1) && is_broken((enum ms_lc_rule)rule, l, f))
            return (enum ms_lc_rule)rule;
    }
    return MS_LC_ALLOWED;
}

/* ---- what becomes of it ---------------------------------------------------------------------- */

static void settle_main(struct ms_life *l, enum ms_state rest, bool sealed, bool in_review) {
    l->rest = (uint8_t)rest;
    l->fail = MS_FAIL_NONE;
    l->sealed = sealed;
    l->in_review = in_review;
    l->confirm_due = (struct ms_instant){0};
}

static void move(struct ms_life *l, const struct ms_lc_row *row, const struct ms_lc_facts *f) {
    if (row->to == MS_TO_SAME)
        return;
    l->takedown_due = (struct ms_instant){0};
    switch ((enum ms_lc_to)row->to) {
    case MS_TO_REVIEWING:
        settle_main(l, MS_STATE_CREATING, true, true);
        break;
    case MS_TO_READY:
        settle_main(l, f->activate ? MS_STATE_ACTIVED : MS_STATE_UNACTIVED, true, false);
        break;
    case MS_TO_FAILED:
        settle_main(l, MS_STATE_FAILED,
                    row->fail != MS_FAIL_TIMEOUT && row->fail != MS_FAIL_MISMATCH, false);
        l->fail = row->fail;
        break;
    case MS_TO_UNACTIVED:
        l->rest = MS_STATE_UNACTIVED;
        break;
    case MS_TO_ACTIVED:
        l->rest = MS_STATE_ACTIVED;
        break;
    case MS_TO_WAITING_DELETE:
        l->rest = MS_STATE_WAITING_DELETE;
        l->takedown_due = f->at;
        break;
    case MS_TO_DELETED:
        ms_lc_end(l);
        break;
    case MS_TO_SAME:
        break;
    }
}

static void hold(struct ms_life *l, uint8_t holds) {
    l->holds |= holds;
    l->last = MS_LAST_FROZEN;
}

static void bin(struct ms_life *l, struct ms_instant at, int64_t retention_ms) {
    l->binned = 1;
    l->last = MS_LAST_BINNED;
    l->binned_at = at;
    l->retention_ms = retention_ms;
    l->purge_floor = (struct ms_instant){0};
}

static void unbin(struct ms_life *l) {
    l->binned = 0;
    l->last = l->holds ? MS_LAST_FROZEN : MS_LAST_NONE;
    l->binned_at = l->purge_floor = (struct ms_instant){0};
    l->retention_ms = 0;
}

static void lift_admin(struct ms_life *l) {
    l->holds &= (uint8_t) ~(MS_HOLD_ADMIN | MS_HOLD_SCHEDULED);
    if (l->holds == 0)
        unbin(l);
}

/* What held a deadline off ends behind the start of a tenant freeze, even in the same millisecond:
 * else the deadline would count as due before the freeze, which stops it. */
static struct ms_instant end_of_hold_off(const struct ms_lc_facts *f, struct ms_instant at) {
    return ms_instant_max(at, ms_instant_add_ms(f->mask.since, 1));
}

static void lift_package(struct ms_life *l, const struct ms_lc_facts *f, struct ms_instant at) {
    bool frozen = l->holds != 0;
    l->holds &= (uint8_t)~MS_HOLD_PACKAGE;
    if (!frozen || l->holds)
        return;
    if (!l->binned)
        l->last = MS_LAST_NONE;
    if (!l->binned || l->last == MS_LAST_BINNED)
        return;
    bin(l, at, l->retention_ms); /* DELETING shows again */
    if (l->retention_ms == 0)
        l->purge_floor = end_of_hold_off(f, at);
}

static void renew_off(struct ms_life *l, const struct ms_lc_facts *f, struct ms_instant at) {
    if (l->auto_renew && l->binned)
        l->purge_floor = end_of_hold_off(f, at);
    l->auto_renew = 0;
}

static void drop_op(struct ms_life *l) {
    MS_ASSERT(l->scheduled_count > 0);
    l->scheduled_count--;
    for (size_t i = 0; i < l->scheduled_count; i++)
        l->scheduled[i] = l->scheduled[i + 1];
    l->scheduled[l->scheduled_count] = (struct ms_scheduled){0};
}

static void drop_ops(struct ms_life *l) {
    while (l->scheduled_count > 0)
        drop_op(l);
}

static void add_op(struct ms_life *l, struct ms_scheduled op) {
    size_t i = 0;
    while (i < l->scheduled_count &&
           (l->scheduled[i].at.ms < op.at.ms ||
            (l->scheduled[i].at.ms == op.at.ms && l->scheduled[i].op < op.op)))
        i++;
    if (i < l->scheduled_count && l->scheduled[i].at.ms == op.at.ms && l->scheduled[i].op == op.op)
        return;
    MS_ASSERT(l->scheduled_count < MS_SCHEDULED_MAX);
    for (size_t k = l->scheduled_count++; k > i; k--)
        l->scheduled[k] = l->scheduled[k - 1];
    l->scheduled[i] = op;
}

static void do_schedule(struct ms_life *l, unsigned does, const struct ms_lc_facts *f) {
    if (does & MS_DO_DROP_OP)
        drop_op(l);
    if (does & MS_DO_DROP_OPS)
        drop_ops(l);
    if (does & MS_DO_ADD_OP)
        add_op(l, (struct ms_scheduled){f->at, f->scheduled_op});
}

static void do_holds(struct ms_life *l, unsigned does, const struct ms_lc_facts *f,
                     struct ms_instant at) {
    if (does & MS_DO_HOLD_ADMIN)
        hold(l, MS_HOLD_ADMIN);
    if (does & MS_DO_HOLD_SCHEDULED)
        hold(l, MS_HOLD_SCHEDULED);
    if (does & MS_DO_HOLD_PACKAGE)
        hold(l, MS_HOLD_PACKAGE);
    if (does & MS_DO_LIFT_ADMIN)
        lift_admin(l);
    if (does & MS_DO_LIFT_PACKAGE)
        lift_package(l, f, at);
}

static void do_rest(struct ms_life *l, unsigned does, const struct ms_lc_facts *f,
                    struct ms_instant at) {
    if (does & MS_DO_HOLD_EDIT)
        l->in_review = 1;
    if (does & MS_DO_VERDICT)
        l->in_review = 0;
    if (does & MS_DO_BIN)
        bin(l, at, f->retention_ms);
    if (does & MS_DO_RESTORE)
        unbin(l);
    if (does & MS_DO_RENEW_ON)
        l->auto_renew = 1;
    if (does & MS_DO_RENEW_OFF)
        renew_off(l, f, at);
    if (does & MS_DO_RAISE_DUE)
        l->confirm_due = ms_instant_max(l->confirm_due, end_of_hold_off(f, at));
}

static bool has_bytes(const struct ms_life *l) {
    enum ms_lc_place place = ms_lc_place(l);
    return place != MS_PLACE_FAILED_FREED && place != MS_PLACE_DELETED;
}

/* What follows from the change itself. */
static uint32_t effects_of(const struct ms_life *from, const struct ms_life *to) {
    const struct ms_mask none = {0};
    bool gone = to->rest == MS_STATE_DELETED;
    uint32_t effects = 0;
    if (has_bytes(from) && !has_bytes(to))
        effects |= MS_EFFECT_FREE_BYTES;
    if (gone && from->rest != MS_STATE_DELETED)
        effects |= MS_EFFECT_PURGE;
    if (!from->binned && to->binned)
        effects |= MS_EFFECT_BIN;
    if (from->binned && !to->binned && !gone)
        effects |= MS_EFFECT_UNBIN;
    if (ms_lc_shown(from, none) != ms_lc_shown(to, none) ||
        ms_lc_rights(from, none) != ms_lc_rights(to, none))
        effects |= MS_EFFECT_INVALIDATE;
    if (from->scheduled_count > to->scheduled_count)
        effects |= MS_EFFECT_DROP_SCHEDULE;
    return effects;
}

static struct ms_lc_verdict take(const struct ms_life *life, const struct ms_lc_row *row,
                                 const struct ms_lc_facts *facts, struct ms_instant at) {
    struct ms_lc_verdict v = {MS_LC_ALLOWED, *life, row->effects, at};
    do_schedule(&v.next, row->does, facts);
    do_holds(&v.next, row->does, facts, at);
    do_rest(&v.next, row->does, facts, at);
    move(&v.next, row, facts);
    v.effects |= effects_of(life, &v.next);
    MS_ASSERT(!ms_life_broken(&v.next));
    return v;
}

static bool facts_are_valid(const struct ms_lc_facts *f, enum ms_event event) {
    bool wants = event == MS_EVENT_SCHEDULE || event == MS_EVENT_ANNOUNCE;
    return f->now.ms > 0 && f->now.ms <= MS_INSTANT_MAX && f->retention_ms >= 0 &&
           f->retention_ms <= MS_RETENTION_MS_MAX && f->origin < MS_ORIGIN_COUNT &&
           (!wants || (f->at.ms >= 0 && f->at.ms <= MS_INSTANT_MAX)) &&
           (event != MS_EVENT_SCHEDULE || f->scheduled_op == MS_SCHEDULED_BLOCK ||
            f->scheduled_op == MS_SCHEDULED_DELETE);
}

struct ms_lc_verdict ms_lc_step(const struct ms_life *life, enum ms_event event,
                                const struct ms_lc_facts *facts) {
    MS_ASSERT(event < MS_EVENT_COUNT);
    MS_ASSERT(facts_are_valid(facts, event));
    MS_ASSERT(!ms_life_broken(life));
    struct ms_lc_verdict refused = {MS_LC_NOT_DUE, *life, 0, facts->now};
    struct ms_lc_due due = ms_lc_due(life, facts->mask, facts->held_off);
    bool overdue = due.at.ms <= facts->now.ms;
    bool expire = event == MS_EVENT_EXPIRE;

    MS_ASSERT(expire || !overdue);
    if (expire && !overdue)
        return refused;
    const struct ms_lc_row *row = find_row(life, event, expire ? due.kind : MS_DUE_NONE, facts);
    MS_ASSERT(row || !expire);
    refused.rule = first_broken(life, event, facts, row);
    if (refused.rule != MS_LC_ALLOWED)
        return refused;
    return take(life, row, facts, expire ? due.at : facts->now);
}

struct ms_life ms_lc_effective(const struct ms_life *life, const struct ms_lc_facts *facts,
                               void (*each)(void *priv, const struct ms_life *before,
                                            const struct ms_lc_verdict *step,
                                            enum ms_due_kind kind),
                               void *priv) {
    struct ms_life now = *life;
    /* upload, take-down, every scheduled operation and purge: each comes once */
    for (unsigned left = 3 + MS_SCHEDULED_MAX;; left--) {
        struct ms_lc_due due = ms_lc_due(&now, facts->mask, facts->held_off);
        if (due.at.ms > facts->now.ms)
            return now;
        MS_ASSERT(left > 0);
        struct ms_lc_verdict step = ms_lc_step(&now, MS_EVENT_EXPIRE, facts);
        MS_ASSERT(step.rule == MS_LC_ALLOWED);
        if (each)
            each(priv, &now, &step, due.kind);
        now = step.next;
    }
}
