/* Every life x every event x every fact, against the reference. */
#include "support/test.h"

#include "base/assert.h"
#include "lives.h"
#include "reference.h"

#include <stdio.h>

/* A sanitizer makes each cell five to twenty times dearer; it sees every seventh life, and the one
 * that looks for races in a single thread still fewer. */
#if defined(__SANITIZE_THREAD__)
#define STRIDE 29
#elif defined(__SANITIZE_ADDRESS__)
#define STRIDE 7
#else
#define STRIDE 1
#endif

struct tally {
    uint64_t lives, cells, allowed, refused, changed, rights;
    unsigned wrong;
};

static void wrong(struct tally *t, const char *what, const struct ms_life *from,
                  enum ms_event event, const struct ms_lc_facts *f, const struct ms_life *got,
                  const struct ms_life *want) {
    if (t->wrong++ >= 10)
        return;
    print_message("%s: %s, mask %u origin %u admin %u retention %d at %+lld ms\n  from %s\n  got  "
                  "%s\n  want %s\n",
                  what, ms_event_name(event), f->mask.holds, f->origin, f->actor_admin,
                  f->retention_ms != 0, (long long)(f->at.ms - f->now.ms), lives_text(from),
                  lives_text(got), lives_text(want));
}

static uint32_t effects_of(const struct ref_answer *a) {
    return (a->bytes_freed ? MS_EFFECT_FREE_BYTES : 0) | (a->gone ? MS_EFFECT_PURGE : 0) |
           (a->into_bin ? MS_EFFECT_BIN : 0) | (a->out_of_bin ? MS_EFFECT_UNBIN : 0) |
           (a->op_dropped ? MS_EFFECT_DROP_SCHEDULE : 0) |
           (a->op_refused ? MS_EFFECT_SCHEDULE_REFUSED : 0) |
           (a->edit_live ? MS_EFFECT_HELD_LIVE : 0) | (a->edit_dropped ? MS_EFFECT_HELD_DROP : 0);
}

static bool shows_or_allows_more_or_less(const struct ms_life *a, const struct ms_life *b) {
    for (enum ms_right r = MS_RIGHT_READ; r <= MS_RIGHT_USE; r <<= 1)
        if (ref_may(a, false, r) != ref_may(b, false, r))
            return true;
    return ref_shown(a, false) != ref_shown(b, false);
}

/* One step from a life with nothing overdue (EXPIRE: any life). */
static struct ms_life one_step(struct tally *t, const struct ms_life *from, enum ms_event event,
                               const struct ms_lc_facts *f) {
    struct ms_lc_verdict got = ms_lc_step(from, event, f);
    struct ref_answer want = ref_step(from, event, f);
    t->cells++;
    if ((got.rule == MS_LC_ALLOWED) != want.allowed)
        wrong(t, ms_lc_rule_name(got.rule), from, event, f, &got.next, &want.next);
    else if (!lives_equal(&got.next, &want.next))
        wrong(t, "next life", from, event, f, &got.next, &want.next);
    else if ((got.effects & ~(uint32_t)MS_EFFECT_INVALIDATE) != effects_of(&want))
        wrong(t, "effects", from, event, f, &got.next, &want.next);
    else if (got.at.ms != want.dated.ms)
        wrong(t, "instant", from, event, f, &got.next, &want.next);
    else if (ms_lc_shown(&got.next, f->mask) != ref_shown(&want.next, f->mask.holds != 0))
        wrong(t, "shown state", from, event, f, &got.next, &want.next);
    else if (ms_life_broken(&got.next))
        wrong(t, ms_life_broken(&got.next), from, event, f, &got.next, &want.next);
    else if (!(got.effects & MS_EFFECT_INVALIDATE) && !lives_equal(from, &got.next) &&
             shows_or_allows_more_or_less(from, &got.next))
        wrong(t, "no invalidation", from, event, f, &got.next, &want.next);
    t->allowed += want.allowed;
    t->refused += !want.allowed;
    t->changed += !lives_equal(from, &got.next);
    return got.next;
}

/* Deadline after deadline, each a cell; what is left must be the effective life. */
static void expire(struct tally *t, const struct ms_life *from, const struct ms_lc_facts *f) {
    struct ms_life life = *from;
    enum ms_due_kind kind;
    int left = 4 + MS_SCHEDULED_MAX; /* a table that goes in circles fails instead of hanging */
    do {
        struct ms_lc_due due = ms_lc_due(&life, f->mask, f->held_off);
        if (due.at.ms != ref_deadline(&life, f, &kind) || due.kind != kind)
            wrong(t, "deadline", from, MS_EVENT_EXPIRE, f, &life, &life);
        life = one_step(t, &life, MS_EVENT_EXPIRE, f);
    } while (ref_deadline(&life, f, &kind) <= f->now.ms && --left > 0);
    struct ms_life effective = ms_lc_effective(from, f, NULL, NULL);
    if (!lives_equal(&effective, &life))
        wrong(t, "effective", from, MS_EVENT_EXPIRE, f, &effective, &life);
}

/* What the caller wants or has set, beside mask, origin and actor. */
static const struct wish {
    uint8_t activate;
    int64_t retention_ms, at, held_off;
    uint8_t op;
} wishes[] = {
    {1, 7 * MS_DAY_MS, NOW - 1, 0, MS_SCHEDULED_BLOCK},
    {0, 0, NOW, INT64_MAX, MS_SCHEDULED_DELETE},
    {1, 0, NOW + 1, NOW, MS_SCHEDULED_DELETE},
    {0, MS_DAY_MS, NOW + MS_HOUR_MS, NOW - MS_HOUR_MS, MS_SCHEDULED_BLOCK},
    {0, 0, NOW + 92 * MS_DAY_MS - 1, 0, MS_SCHEDULED_DELETE}, /* three months less a millisecond */
    {1, 1, NOW + 92 * MS_DAY_MS, NOW + 1, MS_SCHEDULED_BLOCK},
};

static bool depends_on_wish(enum ms_event e) {
    return e == MS_EVENT_CONFIRM || e == MS_EVENT_REVIEW_PASS || e == MS_EVENT_TRANSFER ||
           e == MS_EVENT_DELETE || e == MS_EVENT_SCHEDULE || e == MS_EVENT_ANNOUNCE ||
           e == MS_EVENT_EXPIRE || e == MS_EVENT_HELD_OFF;
}

static void with_wishes(struct tally *t, const struct ms_life *life, enum ms_event e,
                        struct ms_lc_facts f) {
    size_t count = sizeof wishes / sizeof wishes[0];
    size_t first = depends_on_wish(e) ? 0 : t->cells % count;
    size_t end = depends_on_wish(e) ? count : first + 1;
    for (size_t i = first; i < end; i++) {
        f.activate = wishes[i].activate;
        f.retention_ms = wishes[i].retention_ms;
        f.at = AT(wishes[i].at);
        f.held_off = AT(wishes[i].held_off);
        f.scheduled_op = wishes[i].op;
        if (e == MS_EVENT_EXPIRE)
            expire(t, life, &f);
        else
            (void)one_step(t, life, e, &f);
    }
}

static void events(struct tally *t, const struct ms_life *life, struct ms_lc_facts f) {
    for (unsigned e = MS_EVENT_EXPIRE + 1; e < MS_EVENT_COUNT; e++)
        with_wishes(t, life, (enum ms_event)e, f);
}

static void each_life(void *priv, const struct ms_life *life) {
    struct tally *t = priv;
    struct ms_lc_facts f = {.now = AT(NOW)};
    enum ms_due_kind kind;
    /* What is overdue is applied before any other event: such lives are for EXPIRE alone. A mask
     * only delays. */
    bool overdue = ref_deadline(life, &f, &kind) <= NOW;
    if (t->lives++ % STRIDE != 0)
        return;
    for (unsigned mask = 0; mask < LIVES_MASKS; mask++) {
        f.mask = lives_mask(mask);
        for (f.origin = 0; f.origin < MS_ORIGIN_COUNT; f.origin++)
            for (f.actor_admin = 0; f.actor_admin < 2; f.actor_admin++) {
                if (!overdue && lives_mask_matters(mask))
                    events(t, life, f);
                if (f.actor_admin == mask % 2) /* time has no actor */
                    with_wishes(t, life, MS_EVENT_EXPIRE, f);
            }
    }
}

MS_STATIC_ASSERT(MS_EVENT_EXPIRE == 0, "events() goes through all the others");

static void every_life_event_and_fact_has_the_outcome_of_the_reference(void **state) {
    (void)state;
    struct tally t = {0};
    uint64_t lives = lives_each(each_life, &t);
    print_message("lives %llu (every %d.), cells %llu: allowed %llu, refused %llu, changing %llu\n",
                  (unsigned long long)lives, STRIDE, (unsigned long long)t.cells,
                  (unsigned long long)t.allowed, (unsigned long long)t.refused,
                  (unsigned long long)t.changed);
    assert_int_equal(t.wrong, 0);
    assert_true(t.cells > 5000000 / STRIDE);
}

static void compare_rights(void *priv, const struct ms_life *life) {
    struct tally *t = priv;
    struct ms_lc_facts f = {.now = AT(NOW)};
    for (unsigned mask = 0; mask < LIVES_MASKS; mask++) {
        f.mask = lives_mask(mask);
        for (enum ms_right r = MS_RIGHT_READ; r <= MS_RIGHT_USE; r <<= 1) {
            bool got = (ms_lc_rights(life, f.mask) & r) != 0;
            bool why = ms_lc_why(life, f.mask, r) == MS_LC_ALLOWED;
            t->rights++;
            if (got != ref_may(life, f.mask.holds != 0, r) || got != why)
                wrong(t, "right", life, MS_EVENT_EXPIRE, &f, life, life);
        }
        enum ms_state shown = ref_shown(life, f.mask.holds != 0);
        uint32_t shared = shown == MS_STATE_ACTIVED || shown == MS_STATE_WAITING_DELETE
                              ? (uint32_t)MS_RIGHT_READ
                              : 0;
        if (ms_lc_rights_shared(life, f.mask) != shared)
            wrong(t, "shared right", life, MS_EVENT_EXPIRE, &f, life, life);
    }
}

static void every_life_and_mask_gives_the_rights_of_the_reference(void **state) {
    (void)state;
    struct tally t = {0};
    (void)lives_each(compare_rights, &t);
    print_message("rights compared: %llu\n", (unsigned long long)t.rights);
    assert_int_equal(t.wrong, 0);
}

static void check_valid(void *priv, const struct ms_life *life) {
    (void)priv;
    assert_null(ms_life_broken(life));
}

static void every_life_and_mask_of_the_matrix_is_valid(void **state) {
    (void)state;
    (void)lives_each(check_valid, NULL);
    for (unsigned i = 0; i < LIVES_MASKS; i++) {
        struct ms_mask m = lives_mask(i);
        assert_null(ms_mask_broken(&m));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_life_and_mask_of_the_matrix_is_valid),
        cmocka_unit_test(every_life_event_and_fact_has_the_outcome_of_the_reference),
        cmocka_unit_test(every_life_and_mask_gives_the_rights_of_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
