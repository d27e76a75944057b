#include "reference.h"

#include <string.h>

struct asset {
    enum ms_state r;
    enum ms_fail_type failure;
    bool confirmed, verdict_outstanding, renews;
    bool hold_admin, hold_scheduled, hold_package;
    bool in_bin, bin_came_last, freeze_came_last;
    int64_t born, confirm_until, retention_from, retention, waited_until, announced;
    struct ms_scheduled op[MS_SCHEDULED_MAX];
    int ops;
    bool refused_op, edit_live, edit_dropped;
};

static struct asset open_up(const struct ms_life *l) {
    struct asset a = {0};
    a.r = (enum ms_state)l->rest;
    a.failure = (enum ms_fail_type)l->fail;
    a.confirmed = l->sealed;
    a.verdict_outstanding = l->in_review;
    a.renews = l->auto_renew;
    a.hold_admin = (l->holds & MS_HOLD_ADMIN) != 0;
    a.hold_scheduled = (l->holds & MS_HOLD_SCHEDULED) != 0;
    a.hold_package = (l->holds & MS_HOLD_PACKAGE) != 0;
    a.in_bin = l->binned;
    a.bin_came_last = l->last == MS_LAST_BINNED;
    a.freeze_came_last = l->last == MS_LAST_FROZEN;
    a.born = l->created.ms;
    a.confirm_until = l->confirm_due.ms;
    a.retention_from = l->binned_at.ms;
    a.retention = l->retention_ms;
    a.waited_until = l->purge_floor.ms;
    a.announced = l->takedown_due.ms;
    a.ops = l->scheduled_count;
    memcpy(a.op, l->scheduled, sizeof a.op);
    return a;
}

static struct ms_life close_up(const struct asset *a) {
    struct ms_life l;
    memset(&l, 0, sizeof l);
    l.rest = (uint8_t)a->r;
    l.fail = (uint8_t)a->failure;
    l.sealed = a->confirmed;
    l.in_review = a->verdict_outstanding;
    l.auto_renew = a->renews;
    l.holds = (uint8_t)((a->hold_admin ? MS_HOLD_ADMIN : 0) |
                        (a->hold_scheduled ? MS_HOLD_SCHEDULED : 0) |
                        (a->hold_package ? MS_HOLD_PACKAGE : 0));
    l.binned = a->in_bin;
    l.last = a->bin_came_last      ? MS_LAST_BINNED
             : a->freeze_came_last ? MS_LAST_FROZEN
                                   : MS_LAST_NONE;
    l.created.ms = a->born;
    l.confirm_due.ms = a->confirm_until;
    l.binned_at.ms = a->retention_from;
    l.retention_ms = a->retention;
    l.purge_floor.ms = a->waited_until;
    l.takedown_due.ms = a->announced;
    l.scheduled_count = (uint8_t)a->ops;
    memcpy(l.scheduled, a->op, sizeof l.scheduled);
    return l;
}

/* ---- 3.1 ----------------------------------------------------------------------------------- */

/* "frozen while any is left" */
static bool frozen(const struct asset *a) {
    return a->hold_admin || a->hold_scheduled || a->hold_package;
}

/* "DELETED if R is; else, of frozen (BLOCK) and binned (DELETING), the one that came last; else R"
 */
static enum ms_state shows(const struct asset *a) {
    if (a->r == MS_STATE_DELETED)
        return MS_STATE_DELETED;
    if (frozen(a) && a->in_bin)
        return a->freeze_came_last ? MS_STATE_BLOCK : MS_STATE_DELETING;
    if (frozen(a))
        return MS_STATE_BLOCK;
    if (a->in_bin)
        return MS_STATE_DELETING;
    return a->r;
}

/* "While it lasts every asset shows BLOCK, in the bin DELETING" */
enum ms_state ref_shown(const struct ms_life *life, bool tenant_frozen) {
    struct asset a = open_up(life);
    if (tenant_frozen && a.r != MS_STATE_DELETED)
        return a.in_bin ? MS_STATE_DELETING : MS_STATE_BLOCK;
    return shows(&a);
}

/* "Every hold that is set makes frozen the one that came last" */
static void freeze_comes_last(struct asset *a) {
    a->freeze_came_last = true;
    a->bin_came_last = false;
}

static void leave_bin(struct asset *a) {
    a->in_bin = false;
    a->bin_came_last = false;
    a->freeze_came_last = frozen(a);
    a->retention_from = a->retention = a->waited_until = 0;
}

static void enter_bin(struct asset *a, int64_t at, int64_t retention) {
    a->in_bin = true;
    a->bin_came_last = true;
    a->freeze_came_last = false;
    a->retention_from = at;
    a->retention = retention;
    a->waited_until = 0;
}

static void delete_for_good(struct asset *a) {
    int64_t born = a->born;
    bool refused = a->refused_op;
    memset(a, 0, sizeof *a);
    a->r = MS_STATE_DELETED;
    a->born = born;
    a->refused_op = refused;
}

/* ---- who ----------------------------------------------------------------------------------- */

/* "preset, read-only for everyone": whoever is no administrator */
static bool preset_for_this_actor(const struct ms_lc_facts *f) {
    return f->origin == MS_ORIGIN_SYSTEM && f->actor_admin == 0;
}

static bool tenant_frozen(const struct ms_lc_facts *f) { return f->mask.holds != 0; }

/* "confirm, activate, deactivate, edit, share, copy and transfer are refused while the asset is
 * frozen or binned", and under a tenant freeze all but list, show and delete */
static bool owner_may_change(const struct asset *a, const struct ms_lc_facts *f) {
    if (a->r == MS_STATE_DELETED)
        return false;
    if (tenant_frozen(f) || preset_for_this_actor(f))
        return false;
    return !frozen(a) && !a->in_bin;
}

/* ---- 3.2, row by row ----------------------------------------------------------------------- */

/* "MAIN confirmed": CREATING; and "FAILED by content: checked as at creation" */
static bool waits_for_main(const struct asset *a) {
    if (a->r == MS_STATE_CREATING)
        return !a->confirmed;
    return a->r == MS_STATE_FAILED && a->failure == MS_FAIL_CONTENT;
}

static void becomes_usable(struct asset *a, const struct ms_lc_facts *f) {
    a->r = f->activate ? MS_STATE_ACTIVED : MS_STATE_UNACTIVED;
    a->failure = MS_FAIL_NONE;
    a->confirmed = true;
    a->verdict_outstanding = false;
    a->confirm_until = 0;
}

static void fails(struct asset *a, enum ms_fail_type why) {
    a->r = MS_STATE_FAILED;
    a->failure = why;
    a->verdict_outstanding = false;
    a->confirm_until = 0;
    /* "its bytes are freed" or "bytes kept and counted" */
    a->confirmed = why != MS_FAIL_TIMEOUT && why != MS_FAIL_MISMATCH;
}

static bool confirm(struct asset *a, const struct ms_lc_facts *f) {
    if (!owner_may_change(a, f) || !waits_for_main(a))
        return false;
    becomes_usable(a, f);
    return true;
}

/* "In review an asset shows CREATING" */
static bool confirm_with_review(struct asset *a, const struct ms_lc_facts *f) {
    if (!owner_may_change(a, f) || !waits_for_main(a))
        return false;
    a->r = MS_STATE_CREATING;
    a->failure = MS_FAIL_NONE;
    a->confirmed = a->verdict_outstanding = true;
    a->confirm_until = 0;
    return true;
}

static bool mismatch(struct asset *a, const struct ms_lc_facts *f) {
    if (!owner_may_change(a, f) || a->r != MS_STATE_CREATING || a->confirmed)
        return false;
    fails(a, MS_FAIL_MISMATCH);
    return true;
}

static bool content_breaks_rule(struct asset *a, const struct ms_lc_facts *f) {
    if (!owner_may_change(a, f) || !waits_for_main(a))
        return false;
    fails(a, MS_FAIL_CONTENT);
    return true;
}

/* "R may change underneath (24 h, probe, review verdicts)": freezes and the bin do not matter. "a
 * reject drops it [the held edit] and changes no state" */
static bool verdict(struct asset *a, const struct ms_lc_facts *f, enum ms_fail_type reject) {
    if (!f->actor_admin || a->r == MS_STATE_DELETED || !a->verdict_outstanding)
        return false;
    if (a->r == MS_STATE_CREATING) {
        if (reject == MS_FAIL_NONE)
            becomes_usable(a, f);
        else
            fails(a, reject);
        return true;
    }
    a->verdict_outstanding = false;
    a->edit_live = reject == MS_FAIL_NONE;
    a->edit_dropped = reject != MS_FAIL_NONE;
    return true;
}

static bool finished(const struct asset *a) {
    return a->r == MS_STATE_UNACTIVED || a->r == MS_STATE_ACTIVED ||
           a->r == MS_STATE_WAITING_DELETE;
}

static bool edit_needs_review(struct asset *a, const struct ms_lc_facts *f) {
    if (!owner_may_change(a, f) || !finished(a))
        return false;
    a->verdict_outstanding = true;
    return true;
}

static bool set_active(struct asset *a, const struct ms_lc_facts *f, bool active) {
    if (!owner_may_change(a, f))
        return false;
    if (a->r != MS_STATE_UNACTIVED && a->r != MS_STATE_ACTIVED)
        return false;
    a->r = active ? MS_STATE_ACTIVED : MS_STATE_UNACTIVED;
    return true;
}

static int64_t three_months_later(int64_t t) {
    return ms_instant_add_months(ms_instant_of(t), 3).ms;
}

/* "administrator; date, for presets >= 3 months ahead" */
static bool announce(struct asset *a, const struct ms_lc_facts *f) {
    if (!f->actor_admin || !owner_may_change(a, f) || a->r != MS_STATE_ACTIVED)
        return false;
    if (f->at.ms <= f->now.ms)
        return false;
    if (f->origin == MS_ORIGIN_SYSTEM && f->at.ms < three_months_later(f->now.ms))
        return false;
    a->r = MS_STATE_WAITING_DELETE;
    a->announced = f->at.ms;
    return true;
}

static bool withdraw(struct asset *a, const struct ms_lc_facts *f) {
    if (!f->actor_admin || !owner_may_change(a, f) || a->r != MS_STATE_WAITING_DELETE)
        return false;
    a->r = MS_STATE_ACTIVED;
    a->announced = 0;
    return true;
}

/* "DELETED for SYSTEM assets, else binned with R = UNACTIVED" */
static void announced_date(struct asset *a, const struct ms_lc_facts *f, int64_t at) {
    if (f->origin == MS_ORIGIN_SYSTEM) {
        delete_for_good(a);
        return;
    }
    a->r = MS_STATE_UNACTIVED;
    a->announced = 0;
    if (a->in_bin)
        return;
    /* without a bin there is nothing to be put in; but retention of an auto-renewing package's
     * asset waits */
    if (f->retention_ms == 0 && !a->renews)
        delete_for_good(a);
    else
        enter_bin(a, at, f->retention_ms);
}

/* "any but DELETED, frozen ones too: binned; retention starts. Again while DELETING: nothing. While
 * BLOCK shows over a binned asset: DELETING shows again, retention starts anew" */
static void goes_to_bin(struct asset *a, const struct ms_lc_facts *f, int64_t at) {
    if (shows(a) == MS_STATE_DELETING)
        return;
    if (f->retention_ms == 0)
        delete_for_good(a);
    else
        enter_bin(a, at, f->retention_ms);
}

/* "An asset bound to an auto-renewing package can't be deleted in any way" */
static bool owner_deletes(struct asset *a, const struct ms_lc_facts *f, bool force) {
    if (preset_for_this_actor(f) || a->renews)
        return false;
    if (force) {
        delete_for_good(a);
        return true;
    }
    if (a->r == MS_STATE_DELETED)
        return false;
    goes_to_bin(a, f, f->now.ms);
    return true;
}

/* "restore: DELETING; a frozen asset comes back frozen" */
static bool restore(struct asset *a, const struct ms_lc_facts *f) {
    if (tenant_frozen(f) || preset_for_this_actor(f) || shows(a) != MS_STATE_DELETING)
        return false;
    leave_bin(a);
    return true;
}

static bool freeze(struct asset *a, const struct ms_lc_facts *f) {
    if (!f->actor_admin || a->r == MS_STATE_DELETED)
        return false;
    a->hold_admin = true;
    freeze_comes_last(a);
    return true;
}

/* "- ADMIN, - SCHEDULED; with no hold left the asset is not frozen and not binned"; "an unfreeze
 * request against PACKAGE or ARREARS is refused" */
static bool unfreeze(struct asset *a, const struct ms_lc_facts *f) {
    if (!f->actor_admin || a->r == MS_STATE_DELETED)
        return false;
    if (!a->hold_admin && !a->hold_scheduled)
        return false;
    a->hold_admin = a->hold_scheduled = false;
    if (!frozen(a))
        leave_bin(a);
    return true;
}

static bool package_runs_out(struct asset *a, const struct ms_lc_facts *f) {
    if (!f->actor_admin || a->r == MS_STATE_DELETED)
        return false;
    a->hold_package = true;
    freeze_comes_last(a);
    return true;
}

/* "retention in the bin stops" from the first instant of a tenant freeze on: what happens in that
 * same millisecond, but after its beginning, can't end a wait before it */
static int64_t end_of_wait(const struct ms_lc_facts *f) {
    return f->mask.since.ms == f->now.ms ? f->now.ms + 1 : f->now.ms;
}

/* "A hold lifted by renewal or payment takes nothing out of the bin; if DELETING shows again,
 * retention starts anew" */
static bool package_renewed(struct asset *a, const struct ms_lc_facts *f) {
    if (!f->actor_admin || a->r == MS_STATE_DELETED)
        return false;
    enum ms_state before = shows(a);
    a->hold_package = false;
    if (frozen(a))
        return true;
    a->freeze_came_last = false;
    a->bin_came_last = a->in_bin;
    if (before == MS_STATE_BLOCK && shows(a) == MS_STATE_DELETING)
        enter_bin(a, f->now.ms, a->retention);
    if (before == MS_STATE_BLOCK && a->in_bin && a->retention == 0)
        a->waited_until = end_of_wait(f);
    return true;
}

static bool auto_renew(struct asset *a, const struct ms_lc_facts *f, bool on) {
    if (a->r == MS_STATE_DELETED)
        return false;
    if (a->renews && !on && a->in_bin)
        a->waited_until = end_of_wait(f);
    a->renews = on;
    return true;
}

static bool earlier_op(const struct ms_scheduled *a, const struct ms_scheduled *b) {
    return a->at.ms < b->at.ms || (a->at.ms == b->at.ms && a->op < b->op);
}

/* "a past time is refused"; API: at most ten */
static bool schedule(struct asset *a, const struct ms_lc_facts *f) {
    struct ms_scheduled op = {f->at, f->scheduled_op};
    if (!owner_may_change(a, f) || f->at.ms <= f->now.ms || a->ops == MS_SCHEDULED_MAX)
        return false;
    for (int i = 0; i < a->ops; i++)
        if (!earlier_op(&a->op[i], &op) && !earlier_op(&op, &a->op[i]))
            return true;
    int at = a->ops++;
    a->op[at] = op;
    for (; at > 0 && earlier_op(&a->op[at], &a->op[at - 1]); at--) {
        struct ms_scheduled swap = a->op[at];
        a->op[at] = a->op[at - 1];
        a->op[at - 1] = swap;
    }
    return true;
}

static bool unschedule(struct asset *a, const struct ms_lc_facts *f) {
    if (!owner_may_change(a, f))
        return false;
    memset(a->op, 0, sizeof a->op);
    a->ops = 0;
    return true;
}

/* "ACTIVED, UNACTIVED, not frozen, not binned: receiver's: UNACTIVED, or ACTIVED with auto_active";
 * scheduled operations are dropped; refused until auto-renew is off */
static bool transfer(struct asset *a, const struct ms_lc_facts *f) {
    if (!owner_may_change(a, f) || a->renews || a->verdict_outstanding)
        return false;
    if (a->r != MS_STATE_ACTIVED && a->r != MS_STATE_UNACTIVED)
        return false;
    memset(a->op, 0, sizeof a->op);
    a->ops = 0;
    becomes_usable(a, f);
    return true;
}

static bool upload_was_held_off(struct asset *a, const struct ms_lc_facts *f) {
    if (a->r == MS_STATE_DELETED)
        return false;
    if (a->confirm_until != 0 && a->confirm_until < end_of_wait(f))
        a->confirm_until = end_of_wait(f);
    return true;
}

/* "after the retention period package and bound assets are DELETED" */
static bool terminate(struct asset *a, const struct ms_lc_facts *f) {
    if (!f->actor_admin)
        return false;
    delete_for_good(a);
    return true;
}

/* ---- 3.3: deadlines ------------------------------------------------------------------------ */

static int64_t later(int64_t a, int64_t b) { return a < b ? b : a; }

#define DAY INT64_C(86400000)

/* 24 h after creation; an open handle holds it off; "a CREATING asset gets at least 24 h after" a
 * tenant freeze */
static int64_t upload_deadline(const struct asset *a, const struct ms_lc_facts *f) {
    if (a->r != MS_STATE_CREATING || a->confirmed || a->confirm_until == 0)
        return INT64_MAX;
    int64_t t = later(a->confirm_until, f->held_off.ms);
    if (f->mask.lifted_before.ms)
        t = later(t, f->mask.lifted_before.ms + DAY);
    bool ever_frozen = f->mask.since.ms != 0;
    if (ever_frozen && t > f->mask.since.ms) {
        if (tenant_frozen(f))
            return INT64_MAX;
        t = later(t, f->mask.lifted_at.ms + DAY);
    }
    return t;
}

/* "retention in the bin stops and starts again in full afterwards"; BLOCK over the bin is not
 * purged; "retention waits" while a package renews itself */
static int64_t end_of_retention(const struct asset *a, const struct ms_lc_facts *f) {
    if (shows(a) != MS_STATE_DELETING || a->renews)
        return INT64_MAX;
    int64_t from = a->retention_from;
    if (f->mask.lifted_before.ms > from)
        from = f->mask.lifted_before.ms;
    int64_t t = later(from + a->retention, a->waited_until);
    bool ever_frozen = f->mask.since.ms != 0;
    if (!ever_frozen || t <= f->mask.since.ms)
        return t;
    if (tenant_frozen(f))
        return INT64_MAX;
    if (f->mask.lifted_at.ms > from)
        from = f->mask.lifted_at.ms;
    return later(from + a->retention, a->waited_until);
}

int64_t ref_deadline(const struct ms_life *life, const struct ms_lc_facts *f,
                     enum ms_due_kind *ret_kind) {
    struct asset a = open_up(life);
    int64_t takedown = a.r == MS_STATE_WAITING_DELETE ? a.announced : INT64_MAX;
    int64_t op = a.ops ? a.op[0].at.ms : INT64_MAX;
    int64_t upload = upload_deadline(&a, f), purge = end_of_retention(&a, f);
    int64_t first = INT64_MAX;
    *ret_kind = MS_DUE_NONE;
    /* asked in reverse, so that of equal ones the one that stands first in states.def wins */
    if (op < INT64_MAX) {
        first = op;
        *ret_kind =
            a.op[0].op == MS_SCHEDULED_BLOCK ? MS_DUE_SCHEDULED_BLOCK : MS_DUE_SCHEDULED_DELETE;
    }
    if (takedown < INT64_MAX && takedown <= first) {
        first = takedown;
        *ret_kind = MS_DUE_TAKEDOWN;
    }
    if (purge < INT64_MAX && purge <= first) {
        first = purge;
        *ret_kind = MS_DUE_PURGE;
    }
    if (upload < INT64_MAX && upload <= first) {
        first = upload;
        *ret_kind = MS_DUE_UPLOAD;
    }
    return first;
}

static void forget_first_op(struct asset *a) {
    a->ops--;
    memmove(a->op, a->op + 1, (size_t)a->ops * sizeof a->op[0]);
    memset(&a->op[a->ops], 0, sizeof a->op[0]);
}

/* "fires once and is removed"; "a scheduled deletion is recorded as refused" for an auto-renewing
 * package's asset */
static void scheduled_operation(struct asset *a, const struct ms_lc_facts *f, int64_t at) {
    uint8_t op = a->op[0].op;
    forget_first_op(a);
    if (op == MS_SCHEDULED_BLOCK) {
        a->hold_scheduled = true;
        freeze_comes_last(a);
    } else if (a->renews) {
        a->refused_op = true;
    } else {
        goes_to_bin(a, f, at);
    }
}

static bool deadline_comes(struct asset *a, const struct ms_life *life, const struct ms_lc_facts *f,
                           int64_t *ret_at) {
    enum ms_due_kind kind;
    int64_t at = ref_deadline(life, f, &kind);
    if (kind == MS_DUE_NONE || at > f->now.ms) /* "rules fire at now >= due" */
        return false;
    *ret_at = at; /* "dated with the due instant" */
    if (kind == MS_DUE_UPLOAD)
        fails(a, MS_FAIL_TIMEOUT);
    else if (kind == MS_DUE_PURGE)
        delete_for_good(a);
    else if (kind == MS_DUE_TAKEDOWN)
        announced_date(a, f, at);
    else
        scheduled_operation(a, f, at);
    return true;
}

/* ---- one event ----------------------------------------------------------------------------- */

static bool happens(struct asset *a, enum ms_event event, const struct ms_life *life,
                    const struct ms_lc_facts *f, int64_t *ret_at) {
    switch (event) {
    case MS_EVENT_CONFIRM:
        return confirm(a, f);
    case MS_EVENT_CONFIRM_REVIEW:
        return confirm_with_review(a, f);
    case MS_EVENT_MISMATCH:
        return mismatch(a, f);
    case MS_EVENT_CONTENT_FAIL:
        return content_breaks_rule(a, f);
    case MS_EVENT_PROBE_FAIL:
        return verdict(a, f, MS_FAIL_CONTENT);
    case MS_EVENT_REVIEW_PASS:
        return verdict(a, f, MS_FAIL_NONE);
    case MS_EVENT_REVIEW_REJECT_AUTO:
        return verdict(a, f, MS_FAIL_AUTOMATIC_REVIEW_REJECT);
    case MS_EVENT_REVIEW_REJECT_MANUAL:
        return verdict(a, f, MS_FAIL_MANUAL_REVIEW_REJECT);
    case MS_EVENT_EDIT_REVIEW:
        return edit_needs_review(a, f);
    case MS_EVENT_ACTIVATE:
        return set_active(a, f, true);
    case MS_EVENT_DEACTIVATE:
        return set_active(a, f, false);
    case MS_EVENT_ANNOUNCE:
        return announce(a, f);
    case MS_EVENT_WITHDRAW:
        return withdraw(a, f);
    case MS_EVENT_DELETE:
        return owner_deletes(a, f, false);
    case MS_EVENT_RESTORE:
        return restore(a, f);
    case MS_EVENT_FORCE_DELETE:
        return owner_deletes(a, f, true);
    case MS_EVENT_FREEZE:
        return freeze(a, f);
    case MS_EVENT_UNFREEZE:
        return unfreeze(a, f);
    case MS_EVENT_PACKAGE_HOLD:
        return package_runs_out(a, f);
    case MS_EVENT_PACKAGE_RENEW:
        return package_renewed(a, f);
    case MS_EVENT_AUTO_RENEW_ON:
        return auto_renew(a, f, true);
    case MS_EVENT_AUTO_RENEW_OFF:
        return auto_renew(a, f, false);
    case MS_EVENT_SCHEDULE:
        return schedule(a, f);
    case MS_EVENT_UNSCHEDULE:
        return unschedule(a, f);
    case MS_EVENT_TRANSFER:
        return transfer(a, f);
    case MS_EVENT_HELD_OFF:
        return upload_was_held_off(a, f);
    case MS_EVENT_TERMINATE:
        return terminate(a, f);
    case MS_EVENT_EXPIRE:
        return deadline_comes(a, life, f, ret_at);
    case MS_EVENT_COUNT:
        break;
    }
    return false;
}

static bool keeps_bytes(const struct asset *a) {
    if (a->r == MS_STATE_DELETED)
        return false;
    return !(a->r == MS_STATE_FAILED &&
             (a->failure == MS_FAIL_TIMEOUT || a->failure == MS_FAIL_MISMATCH));
}

struct ref_answer ref_step(const struct ms_life *life, enum ms_event event,
                           const struct ms_lc_facts *facts) {
    struct asset before = open_up(life), after = before;
    struct ref_answer answer = {.dated = facts->now};
    answer.allowed = happens(&after, event, life, facts, &answer.dated.ms);
    if (!answer.allowed) {
        answer.next = *life;
        return answer;
    }
    answer.next = close_up(&after);
    answer.bytes_freed = keeps_bytes(&before) && !keeps_bytes(&after);
    answer.gone = before.r != MS_STATE_DELETED && after.r == MS_STATE_DELETED;
    answer.into_bin = !before.in_bin && after.in_bin;
    answer.out_of_bin = before.in_bin && !after.in_bin && !answer.gone;
    answer.op_dropped = before.ops > after.ops;
    answer.op_refused = after.refused_op;
    answer.edit_live = after.edit_live;
    answer.edit_dropped = after.edit_dropped;
    return answer;
}

/* ---- 3.6, cell by cell --------------------------------------------------------------------- */

static const char *row_of(const struct asset *a, enum ms_state shown) {
    /*                                             R    W    N    D    S    T    U  (N: rename) */
    switch (shown) {
    case MS_STATE_CREATING:
        return a->confirmed ? "R-ND---" : "RWND---";
    case MS_STATE_UNACTIVED:
        return "RWNDST-";
    case MS_STATE_ACTIVED:
        return "RWNDSTU";
    case MS_STATE_WAITING_DELETE:
        return "R-NDS-U";
    case MS_STATE_FAILED:
        return a->failure == MS_FAIL_CONTENT ? "RWND---" : "---D---";
    case MS_STATE_BLOCK:
        return "---D---";
    case MS_STATE_DELETING:
        return "R-ND---";
    case MS_STATE_DELETED:
    case MS_STATE_COUNT:
        break;
    }
    return "-------";
}

bool ref_may(const struct ms_life *life, bool under_mask, enum ms_right right) {
    struct asset a = open_up(life);
    enum ms_state shown = ref_shown(life, under_mask);
    unsigned column = 0;
    while ((1u << column) != (unsigned)right)
        column++;
    bool yes = row_of(&a, shown)[column] != '-';
    if (under_mask &&
        right != MS_RIGHT_DELETE) /* "List, show and delete work, everything else is refused" */
        return false;
    if (frozen(&a) && right == MS_RIGHT_READ)
        return false;
    /* nor is the bin a way round a rejection: "FAILED by review: read no" */
    if (right == MS_RIGHT_READ && a.r == MS_STATE_FAILED && a.failure != MS_FAIL_CONTENT)
        return false;
    if (a.renews && (right == MS_RIGHT_DELETE || right == MS_RIGHT_TRANSFER))
        return false;
    if (a.verdict_outstanding && right == MS_RIGHT_TRANSFER)
        return false;
    return yes;
}
