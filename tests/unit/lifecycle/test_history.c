/* Random histories: whether and when a sweep runs makes no difference, and the outcome is that of a
 * model that ticks. */
#include "clockwork.h"
#include "story.h"

#include <stdio.h>

#define HOUR MS_HOUR_MS
#define START (NOW - 12 * HOUR)

/* The same asset, swept at every hour, at random hours, and never: only writes apply what is
 * overdue. */
enum { EAGER, SOMETIMES, NEVER, SWEEPS };

struct history {
    struct ms_random *random;
    uint64_t seed;
    struct story s[SWEEPS];
    struct clockwork model;
    bool handle_open;
    unsigned events, refused, comparisons, forced;
    char log[16384]; /* the last history's events, for the message of a difference */
    size_t log_len;
};

static uint64_t below(struct history *h, uint64_t n) { return ms_random_below(h->random, n); }

static void note(struct history *h, const char *what, int arg) {
    if (h->log_len < sizeof h->log - 96)
        h->log_len += (size_t)snprintf(h->log + h->log_len, 96, "%dh %s %d (%s)\n", h->model.hour,
                                       what, arg, ms_state_name(cw_shows(&h->model)));
}

static void differ(struct history *h, const char *what, const struct ms_life *a,
                   const struct ms_life *b) {
    (void)fputs(h->log, stderr);
    print_message("  %s\n  %s\n", lives_text(a), lives_text(b));
    print_message("  model: %s, in bin %d, block over it %d, left %d, takedown %dh, ops %d, upload "
                  "%dh, renews %d, "
                  "tenant frozen %d\n",
                  ms_state_name(h->model.rest), h->model.in_bin, h->model.block_over_bin,
                  h->model.left, h->model.takedown_hour, h->model.ops, h->model.upload_hour,
                  h->model.renews, h->model.tenant_frozen);
    fail_msg("seed %llu: %s", (unsigned long long)h->seed, what);
}

static struct ms_life now_of(const struct story *s) {
    return ms_lc_effective(&s->life, &s->f, NULL, NULL);
}

static void compare(struct history *h) {
    struct ms_life seen = now_of(&h->s[EAGER]);
    const struct clockwork *m = &h->model;
    uint8_t holds =
        (uint8_t)((m->admin ? MS_HOLD_ADMIN : 0) | (m->scheduled ? MS_HOLD_SCHEDULED : 0) |
                  (m->package ? MS_HOLD_PACKAGE : 0));
    h->comparisons++;
    for (int i = SOMETIMES; i < SWEEPS; i++) {
        struct ms_life other = now_of(&h->s[i]);
        if (!lives_equal(&seen, &other))
            differ(h, i == NEVER ? "swept or never" : "swept or sometimes", &seen, &other);
    }
    if (ms_lc_shown(&seen, h->s[EAGER].f.mask) != cw_shows(m) || seen.rest != m->rest ||
        seen.binned != m->in_bin || seen.holds != holds || seen.scheduled_count != m->ops)
        differ(h, "the model", &seen, &seen);
}

static void one_event(struct history *h, enum ms_event event) {
    int after = (int)below(h, 200) - 20;
    bool deletes = below(h, 2);
    bool model = cw_event(&h->model, event, h->model.hour + after, deletes);
    note(h, ms_event_name(event), after);
    h->events++;
    h->refused += !model;
    for (int i = 0; i < SWEEPS; i++) {
        struct story *s = &h->s[i];
        s->f.at = ms_instant_add_ms(s->f.now, after * HOUR);
        s->f.scheduled_op = deletes ? MS_SCHEDULED_DELETE : MS_SCHEDULED_BLOCK;
        bool happened = story_admin_try(s, event) == MS_LC_ALLOWED;
        if (happened != model)
            differ(h, "allowed", &s->life, &h->s[EAGER].life);
    }
}

/* The contract of ms_lc_mask_freeze: before a freeze begins, what was due when the last one began
 * is applied. */
static void settle_before_freeze(struct history *h, struct story *s) {
    struct ms_mask m = s->f.mask;
    if (m.holds == 0 && m.since.ms != 0 &&
        ms_lc_due(&s->life, m, s->f.held_off).at.ms <= m.since.ms) {
        story_look(s);
        h->forced++;
    }
}

static void toggle_tenant(struct history *h) {
    uint8_t hold = below(h, 2) ? MS_HOLD_ADMIN : MS_HOLD_ARREARS;
    bool lift = (h->s[EAGER].f.mask.holds & hold) != 0;
    /* the model's clock has no milliseconds in which a freeze without length could be told from its
     * instant */
    if (lift && h->s[EAGER].f.mask.since.ms == h->s[EAGER].f.now.ms)
        return;
    for (int i = 0; i < SWEEPS; i++) {
        settle_before_freeze(h, &h->s[i]);
        if (lift)
            story_lift_tenant(&h->s[i], hold);
        else
            story_freeze_tenant(&h->s[i], hold);
    }
    note(h, lift ? "tenant lifts" : "tenant freezes", hold);
    bool frozen = h->s[EAGER].f.mask.holds != 0;
    if (frozen && !h->model.tenant_frozen)
        cw_freeze_tenant(&h->model);
    else if (!frozen && h->model.tenant_frozen)
        cw_lift_tenant(&h->model);
}

static void toggle_handle(struct history *h) {
    if (now_of(&h->s[EAGER]).rest != MS_STATE_CREATING)
        return;
    h->handle_open = !h->handle_open;
    note(h, "handle", h->handle_open);
    if (h->handle_open)
        h->model.handle_open = true;
    for (int i = 0; i < SWEEPS; i++) {
        if (h->handle_open) {
            h->s[i].f.held_off = AT(INT64_MAX);
        } else {
            does(&h->s[i], HELD_OFF);
            h->s[i].f.held_off = AT(0);
        }
    }
    if (!h->handle_open)
        cw_close_handle(&h->model);
}

/* The contract of facts.retention_ms: what is due is applied before the tenant's setting changes.
 */
static void change_setting(struct history *h) {
    static const int hours[] = {0, 1, 24, 72, 168};
    int hour = hours[below(h, MS_ARRAY_LEN(hours))];
    note(h, "retention", hour);
    h->model.tenant_retention = hour;
    for (int i = 0; i < SWEEPS; i++) {
        story_look(&h->s[i]);
        h->s[i].f.retention_ms = hour * HOUR;
    }
}

static void something(struct history *h) {
    static const enum ms_event events[] = {
        MS_EVENT_CONFIRM,        MS_EVENT_DELETE,        MS_EVENT_DELETE,
        MS_EVENT_RESTORE,        MS_EVENT_FREEZE,        MS_EVENT_UNFREEZE,
        MS_EVENT_PACKAGE_HOLD,   MS_EVENT_PACKAGE_RENEW, MS_EVENT_AUTO_RENEW_ON,
        MS_EVENT_AUTO_RENEW_OFF, MS_EVENT_SCHEDULE,      MS_EVENT_SCHEDULE,
        MS_EVENT_ANNOUNCE};
    uint64_t n = below(h, MS_ARRAY_LEN(events) + 5);
    if (n < MS_ARRAY_LEN(events))
        one_event(h, events[n]);
    else if (n < MS_ARRAY_LEN(events) + 3)
        toggle_tenant(h);
    else if (n < MS_ARRAY_LEN(events) + 4)
        toggle_handle(h);
    else
        change_setting(h);
}

static void tick(struct history *h) {
    cw_tick(&h->model);
    for (int i = 0; i < SWEEPS; i++)
        h->s[i].f.now.ms += HOUR;
    story_look(&h->s[EAGER]);
    if (below(h, 40) == 0)
        story_look(&h->s[SOMETIMES]);
}

static void live_one(struct history *h, unsigned hours) {
    h->log_len = 0;
    h->handle_open = false;
    cw_create(&h->model, 72);
    for (int i = 0; i < SWEEPS; i++)
        h->s[i] = (struct story){.life = ms_lc_create(AT(START), true),
                                 .f = {.now = AT(START), .activate = 1, .retention_ms = 72 * HOUR}};
    uint64_t calm =
        2 + below(h, 60); /* some histories are busy, in some much time passes between events */
    for (unsigned hour = 0; hour < hours && h->model.rest != MS_STATE_DELETED; hour++) {
        tick(h);
        for (uint64_t more = below(h, calm) == 0 ? 1 + below(h, 3) : 0; more > 0; more--)
            something(h);
        if (below(h, 8) == 0)
            compare(h);
    }
    compare(h);
}

static void swept_often_sometimes_or_never_the_life_is_that_of_the_ticking_model(void **state) {
    (void)state;
    static struct history h;
    struct ms_random_seeded random;
    h.seed = ms_test_seed();
    ms_random_seeded_init(&random, h.seed);
    h.random = &random.random;
    unsigned rounds = ms_test_rounds(4000);
    for (unsigned i = 0; i < rounds; i++)
        live_one(&h, 24 * 90);
    ms_random_seeded_fini(&random);
    print_message(
        "histories %u, events %u (refused %u), comparisons %u, settled before a freeze %u\n",
        rounds, h.events, h.refused, h.comparisons, h.forced);
}

/* ---- any events at any milliseconds: invariants and sweeps, no model ----------------------- */

static void random_wish(struct history *h, struct ms_lc_facts *f) {
    f->origin = (uint8_t)below(h, MS_ORIGIN_COUNT);
    f->activate = (uint8_t)below(h, 2);
    f->at = ms_instant_add_ms(f->now, (int64_t)below(h, 200 * (uint64_t)MS_DAY_MS) - MS_DAY_MS);
    f->scheduled_op = below(h, 2) ? MS_SCHEDULED_BLOCK : MS_SCHEDULED_DELETE;
}

static void wild_event(struct history *h) {
    struct ms_lc_facts wish = h->s[EAGER].f;
    uint8_t origin = wish.origin;
    enum ms_event event = (enum ms_event)(MS_EVENT_EXPIRE + 1 + below(h, MS_EVENT_COUNT - 1));
    if (event == MS_EVENT_FORCE_DELETE || event == MS_EVENT_TERMINATE || event == MS_EVENT_HELD_OFF)
        return;
    random_wish(h, &wish);
    wish.origin = origin; /* an asset keeps its origin */
    for (int i = 0; i < SWEEPS; i++) {
        struct story *s = &h->s[i];
        s->f.activate = wish.activate;
        s->f.at = wish.at;
        s->f.scheduled_op = wish.scheduled_op;
        (void)story_admin_try(s, event);
        assert_null(ms_life_broken(&s->life));
        if (!lives_equal(&s->life, &h->s[EAGER].life))
            differ(h, ms_event_name(event), &s->life, &h->s[EAGER].life);
    }
    note(h, ms_event_name(event), 0);
    h->events++;
}

static void live_wildly(struct history *h) {
    struct story first = story_upload();
    random_wish(h, &first.f);
    h->log_len = 0;
    for (int i = 0; i < SWEEPS; i++)
        h->s[i] = first;
    for (int step = 0; step < 60 && h->s[EAGER].life.rest != MS_STATE_DELETED; step++) {
        int64_t pass =
            (int64_t)below(h, below(h, 4) ? (uint64_t)MS_DAY_MS : 12 * (uint64_t)MS_DAY_MS);
        for (int i = 0; i < SWEEPS; i++)
            h->s[i].f.now.ms += pass;
        story_look(&h->s[EAGER]);
        if (below(h, 3) == 0)
            story_look(&h->s[SOMETIMES]);
        if (below(h, 6) == 0)
            toggle_tenant(h);
        else if (below(h, 3))
            wild_event(h);
        struct ms_life a = now_of(&h->s[EAGER]), b = now_of(&h->s[NEVER]),
                       c = now_of(&h->s[SOMETIMES]);
        h->comparisons++;
        if (!lives_equal(&a, &b) || !lives_equal(&a, &c))
            differ(h, "swept or not", &a, &b);
    }
}

static void any_events_at_any_instants_keep_every_invariant_and_need_no_sweep(void **state) {
    (void)state;
    static struct history h;
    struct ms_random_seeded random;
    h.seed = ms_test_seed();
    ms_random_seeded_init(&random, h.seed);
    h.random = &random.random;
    unsigned rounds = ms_test_rounds(20000);
    for (unsigned i = 0; i < rounds; i++)
        live_wildly(&h);
    ms_random_seeded_fini(&random);
    print_message("histories %u, events %u, comparisons %u\n", rounds, h.events, h.comparisons);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(swept_often_sometimes_or_never_the_life_is_that_of_the_ticking_model),
        cmocka_unit_test(any_events_at_any_instants_keep_every_invariant_and_need_no_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
