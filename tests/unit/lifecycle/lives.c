#include "lives.h"

#include <inttypes.h>
#include <stdio.h>

#define HOUR MS_HOUR_MS
#define DAY MS_DAY_MS

struct walk {
    void (*each)(void *priv, const struct ms_life *life);
    void *priv;
    uint64_t count;
};

static void give(struct walk *w, const struct ms_life *l) {
    w->count++;
    w->each(w->priv, l);
}

static void schedule(struct ms_life *l, int64_t at, uint8_t op) {
    l->scheduled[l->scheduled_count++] = (struct ms_scheduled){AT(at), op};
}

static void with_schedules(struct walk *w, const struct ms_life *l) {
    static const struct {
        int64_t at;
        uint8_t op;
    } one[] = {{HOUR, MS_SCHEDULED_BLOCK},
               {HOUR, MS_SCHEDULED_DELETE},
               {-HOUR, MS_SCHEDULED_BLOCK},
               {-HOUR, MS_SCHEDULED_DELETE},
               {0, MS_SCHEDULED_DELETE}};
    give(w, l);
    for (size_t i = 0; i < sizeof one / sizeof one[0]; i++) {
        struct ms_life s = *l;
        schedule(&s, NOW + one[i].at, one[i].op);
        give(w, &s);
    }
    struct ms_life full = *l;
    for (int i = 0; i < MS_SCHEDULED_MAX; i++)
        schedule(&full, NOW + HOUR + i / 2 * HOUR,
                 i % 2 ? MS_SCHEDULED_DELETE : MS_SCHEDULED_BLOCK);
    give(w, &full);
    for (int i = 0; i < MS_SCHEDULED_MAX; i++) /* four of them have come */
        full.scheduled[i].at.ms -= 2 * HOUR;
    give(w, &full);
}

static void with_renewal(struct walk *w, const struct ms_life *l) {
    struct ms_life r = *l;
    for (r.auto_renew = 0; r.auto_renew < 2; r.auto_renew++)
        with_schedules(w, &r);
}

/* Retention that ends later, ended, ends now, was held off by an auto-renewing package, has no
 * length. */
static void with_retention(struct walk *w, const struct ms_life *l) {
    static const struct {
        int64_t since, retention, floor;
    } bins[] = {{DAY, 7 * DAY, 0},
                {8 * DAY, 7 * DAY, 0},
                {7 * DAY, 7 * DAY, 0},
                {9 * DAY, 7 * DAY, HOUR},
                {HOUR, 0, 0}};
    for (size_t i = 0; i < sizeof bins / sizeof bins[0]; i++) {
        struct ms_life b = *l;
        b.binned = 1;
        b.binned_at = AT(NOW - bins[i].since);
        b.retention_ms = bins[i].retention;
        b.purge_floor = AT(bins[i].floor ? NOW - bins[i].floor : 0);
        with_renewal(w, &b);
    }
}

static void with_holds_and_bin(struct walk *w, const struct ms_life *l) {
    for (uint8_t holds = 0; holds <= MS_ASSET_HOLDS; holds++) {
        struct ms_life h = *l;
        h.holds = holds;
        h.last = holds ? MS_LAST_FROZEN : MS_LAST_NONE;
        with_renewal(w, &h);
        if (holds)
            with_retention(w, &h);
        h.last = MS_LAST_BINNED;
        with_retention(w, &h);
    }
}

static void creating(struct walk *w) {
    static const int64_t dues[] = {HOUR, -HOUR, 0};
    struct ms_life l = {.rest = MS_STATE_CREATING, .created = AT(NOW - 23 * HOUR)};
    with_holds_and_bin(w, &l);
    for (size_t i = 0; i < sizeof dues / sizeof dues[0]; i++) {
        l.confirm_due = AT(NOW + dues[i]);
        with_holds_and_bin(w, &l);
    }
    l.confirm_due = AT(0);
    l.sealed = l.in_review = 1;
    with_holds_and_bin(w, &l);
}

static void failed(struct walk *w) {
    struct ms_life l = {.rest = MS_STATE_FAILED, .created = AT(NOW - 90 * DAY)};
    for (l.fail = MS_FAIL_TIMEOUT; l.fail < MS_FAIL_COUNT; l.fail++) {
        l.sealed = l.fail != MS_FAIL_TIMEOUT && l.fail != MS_FAIL_MISMATCH;
        with_holds_and_bin(w, &l);
    }
}

static void finished(struct walk *w) {
    static const int64_t dates[] = {HOUR, -HOUR, 0};
    for (uint8_t review = 0; review < 2; review++) {
        struct ms_life l = {.sealed = 1, .in_review = review, .created = AT(NOW - 90 * DAY)};
        l.rest = MS_STATE_UNACTIVED;
        with_holds_and_bin(w, &l);
        l.rest = MS_STATE_ACTIVED;
        with_holds_and_bin(w, &l);
        l.rest = MS_STATE_WAITING_DELETE;
        for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
            l.takedown_due = AT(NOW + dates[i]);
            with_holds_and_bin(w, &l);
        }
    }
}

uint64_t lives_each(void (*each)(void *priv, const struct ms_life *life), void *priv) {
    struct walk w = {each, priv, 0};
    struct ms_life deleted = {.rest = MS_STATE_DELETED, .created = AT(NOW - 90 * DAY)};
    creating(&w);
    failed(&w);
    finished(&w);
    give(&w, &deleted);
    return w.count;
}

struct ms_mask lives_mask(unsigned i) {
    static const struct ms_mask masks[LIVES_MASKS] = {
        {0},
        {.holds = MS_HOLD_ADMIN, .since = {NOW - 30 * MS_MINUTE_MS}},
        {.holds = MS_HOLD_ARREARS, .since = {NOW - 10 * DAY}, .lifted_before = {NOW - 20 * DAY}},
        {.holds = MS_TENANT_HOLDS, .since = {NOW}},
        {.since = {NOW - 10 * DAY}, .lifted_at = {NOW - 2 * HOUR}},
        {.since = {NOW - 2 * HOUR}, .lifted_at = {NOW}, .lifted_before = {NOW - 2 * DAY}},
        {.since = {NOW - 200 * DAY},
         .lifted_at = {NOW - 199 * DAY},
         .lifted_before = {NOW - 300 * DAY}},
    };
    return masks[i];
}

static bool same_ops(const struct ms_life *a, const struct ms_life *b) {
    for (size_t i = 0; i < MS_SCHEDULED_MAX; i++)
        if (a->scheduled[i].at.ms != b->scheduled[i].at.ms ||
            a->scheduled[i].op != b->scheduled[i].op)
            return false;
    return a->scheduled_count == b->scheduled_count;
}

bool lives_equal(const struct ms_life *a, const struct ms_life *b) {
    return a->rest == b->rest && a->holds == b->holds && a->binned == b->binned &&
           a->last == b->last && a->fail == b->fail && a->sealed == b->sealed &&
           a->in_review == b->in_review && a->auto_renew == b->auto_renew &&
           a->created.ms == b->created.ms && a->confirm_due.ms == b->confirm_due.ms &&
           a->binned_at.ms == b->binned_at.ms && a->retention_ms == b->retention_ms &&
           a->purge_floor.ms == b->purge_floor.ms && a->takedown_due.ms == b->takedown_due.ms &&
           same_ops(a, b);
}

const char *lives_text(const struct ms_life *l) {
    static char texts[4][400];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    int n =
        snprintf(text, sizeof texts[0],
                 "%s%s%s%s%s holds=%u bin=%u last=%u at=%+" PRId64 "h ret=%" PRId64
                 "h floor=%+" PRId64 "h confirm=%+" PRId64 "h takedown=%+" PRId64 "h ops=%u",
                 ms_state_name((enum ms_state)l->rest), l->sealed ? " sealed" : "",
                 l->in_review ? " review" : "", l->auto_renew ? " renews" : "",
                 l->fail ? ms_fail_name((enum ms_fail_type)l->fail) : "", l->holds, l->binned,
                 l->last, l->binned_at.ms ? (l->binned_at.ms - NOW) / HOUR : 0,
                 l->retention_ms / HOUR, l->purge_floor.ms ? (l->purge_floor.ms - NOW) / HOUR : 0,
                 l->confirm_due.ms ? (l->confirm_due.ms - NOW) / HOUR : 0,
                 l->takedown_due.ms ? (l->takedown_due.ms - NOW) / HOUR : 0, l->scheduled_count);
    for (int i = 0; i < l->scheduled_count && n < (int)sizeof texts[0]; i++)
        n += snprintf(text + n, sizeof texts[0] - (size_t)n, " %s%+" PRId64 "h",
                      l->scheduled[i].op == MS_SCHEDULED_BLOCK ? "B" : "D",
                      (l->scheduled[i].at.ms - NOW) / HOUR);
    return text;
}
