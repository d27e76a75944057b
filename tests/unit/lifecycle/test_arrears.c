/* Arrears: stages at their instants, and the same life whether or not anybody has swept. */
#include "support/test.h"

#include "lifecycle/arrears.h"
#include "lives.h"

#include <string.h>

#define GRACE MS_ARREARS_GRACE_MS
#define END (MS_ARREARS_GRACE_MS + MS_ARREARS_RETENTION_MS)

static struct ms_arrears since(int64_t at, enum ms_arrears_stage stage) {
    return (struct ms_arrears){AT(at), (uint8_t)stage};
}

static void stages_hold_from_their_instant_on(void **state) {
    (void)state;
    static const struct {
        int64_t after;
        enum ms_arrears_stage stage;
        int64_t next;
    } table[] = {
        {-1, MS_ARREARS_GRACE, GRACE},          {0, MS_ARREARS_GRACE, GRACE},
        {1, MS_ARREARS_GRACE, GRACE},           {GRACE - 1, MS_ARREARS_GRACE, GRACE},
        {GRACE, MS_ARREARS_HELD, END},          {GRACE + 1, MS_ARREARS_HELD, END},
        {END - 1, MS_ARREARS_HELD, END},        {END, MS_ARREARS_ENDED, INT64_MAX},
        {END + 1, MS_ARREARS_ENDED, INT64_MAX},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(table); i++)
        for (unsigned known = MS_ARREARS_GRACE; known < MS_ARREARS_COUNT; known++) {
            struct ms_arrears a = since(NOW, (enum ms_arrears_stage)known);
            struct ms_instant at = AT(NOW + table[i].after);
            int64_t next = table[i].next == INT64_MAX ? INT64_MAX : NOW + table[i].next;
            assert_int_equal(ms_arrears_at(a, at), table[i].stage);
            assert_int_equal(ms_arrears_next(a, at).ms, next);
        }
}

static void nobody_in_arrears_is_never_held(void **state) {
    (void)state;
    const struct ms_arrears none = {0};
    const struct ms_mask mask = {0};
    assert_int_equal(ms_arrears_at(none, AT(NOW)), MS_ARREARS_NONE);
    assert_int_equal(ms_arrears_due(none).ms, INT64_MAX);
    assert_int_equal(ms_arrears_next(none, AT(NOW)).ms, INT64_MAX);
    assert_int_equal(ms_arrears_mask(none, mask, AT(NOW)).holds, 0);
    assert_int_equal(ms_arrears_mask_at(none, mask, AT(NOW)).holds, 0);
}

static void the_record_learns_of_each_stage_once(void **state) {
    (void)state;
    assert_int_equal(ms_arrears_due(since(NOW, MS_ARREARS_GRACE)).ms, NOW + GRACE);
    assert_int_equal(ms_arrears_due(since(NOW, MS_ARREARS_HELD)).ms, NOW + END);
    assert_int_equal(ms_arrears_due(since(NOW, MS_ARREARS_ENDED)).ms, INT64_MAX);
}

static void what_cannot_be_is_named(void **state) {
    (void)state;
    for (unsigned stage = 0; stage <= MS_ARREARS_COUNT; stage++)
        for (int has = 0; has < 2; has++)
            for (unsigned holds = 0; holds < 16; holds++) {
                struct ms_arrears a = since(has ? NOW : 0, (enum ms_arrears_stage)stage);
                bool fine = stage < MS_ARREARS_COUNT && has == (stage != MS_ARREARS_NONE) &&
                            (stage < MS_ARREARS_HELD || (holds & MS_HOLD_ARREARS));
                assert_int_equal(!ms_arrears_broken(a, (uint8_t)holds), fine);
            }
    assert_string_equal(ms_arrears_stage_name(MS_ARREARS_ENDED), "ENDED");
    assert_string_equal(ms_arrears_stage_name(MS_ARREARS_COUNT), "?");
}

/* ---- the mask -------------------------------------------------------------------------------- */

/* What a record has that learned of the hold at its instant. */
static struct ms_mask recorded(struct ms_mask mask, int64_t hold_at) {
    return ms_lc_mask_freeze(mask, MS_HOLD_ARREARS, AT(hold_at));
}

static void a_hold_that_nobody_has_recorded_is_seen(void **state) {
    (void)state;
    for (unsigned i = 0; i < LIVES_MASKS; i++) {
        struct ms_mask mask = lives_mask(i), held = recorded(mask, NOW + GRACE), seen;
        struct ms_arrears a = since(NOW, MS_ARREARS_GRACE), knows = since(NOW, MS_ARREARS_HELD);
        seen = ms_arrears_mask(a, mask, AT(NOW + GRACE - 1));
        assert_memory_equal(&seen, &mask, sizeof mask);
        for (int after = 0; after < 2; after++) {
            seen = ms_arrears_mask(a, mask, AT(NOW + GRACE + after));
            assert_memory_equal(&seen, &held, sizeof held);
            seen = ms_arrears_mask(knows, held, AT(NOW + GRACE + after));
            assert_memory_equal(&seen, &held, sizeof held);
        }
    }
}

static void a_row_about_a_deadline_goes_by_the_mask_of_its_instant(void **state) {
    (void)state;
    for (unsigned i = 0; i < LIVES_MASKS; i++) {
        struct ms_mask mask = lives_mask(i), held = recorded(mask, NOW + GRACE);
        struct ms_arrears a = since(NOW, MS_ARREARS_GRACE), knows = since(NOW, MS_ARREARS_HELD);
        for (int64_t d = -1; d <= 1; d++) {
            struct ms_instant due = AT(NOW + GRACE + d);
            bool frozen = mask.holds != 0 || d > 0;
            assert_int_equal(ms_arrears_mask_at(a, mask, due).holds != 0, frozen);
            assert_int_equal(ms_arrears_mask_at(knows, held, due).holds != 0, frozen);
        }
    }
}

/* ---- lives: swept or not --------------------------------------------------------------------- */

static const int64_t looks[] = {
    0, 1, GRACE - 1, GRACE, GRACE + 1, GRACE + MS_DAY_MS, END - 1, END, END + 1, END + MS_DAY_MS};

struct cell {
    struct ms_mask mask;
    int64_t since;
    uint64_t n;
};

/* A sweep at `at`: what is due is applied, the record learns of the stage. */
static void sweep(struct ms_arrears *a, struct ms_mask *mask, struct ms_life *life, int64_t at) {
    struct ms_lc_facts f = {.mask = *mask, .now = AT(at), .retention_ms = MS_DAY_MS};
    enum ms_arrears_stage stage = ms_arrears_at(*a, AT(at));
    *life = ms_arrears_life(*a, life, &f, NULL, NULL);
    *mask = ms_arrears_mask(*a, *mask, AT(at));
    a->stage = (uint8_t)stage;
}

static void check_life(void *priv, const struct ms_life *life) {
    struct cell *c = priv;
    for (size_t k = 0; k < MS_ARRAY_LEN(looks); k++) {
        struct ms_arrears never = since(c->since, MS_ARREARS_GRACE), each = never;
        struct ms_mask never_mask = c->mask, each_mask = c->mask;
        struct ms_life unswept = *life, swept = *life;
        for (size_t i = 0; i <= k; i++)
            sweep(&each, &each_mask, &swept, c->since + looks[i]);
        sweep(&never, &never_mask, &unswept, c->since + looks[k]);
        if (!lives_equal(&swept, &unswept))
            fail_msg("after %lld ms: swept %s, not swept %s", (long long)looks[k],
                     lives_text(&swept), lives_text(&unswept));
        assert_int_equal(unswept.rest == MS_STATE_DELETED || looks[k] < END, 1);
        c->n++;
    }
}

static void every_life_is_the_same_swept_or_not(void **state) {
    (void)state;
    struct cell c = {.n = 0};
    for (unsigned i = 0; i < LIVES_MASKS; i++) {
        c.mask = lives_mask(i);
        c.since = NOW;
        (void)lives_each(check_life, &c);
        c.since = NOW - GRACE; /* the hold comes at NOW, where the deadlines of these lives lie */
        if (c.mask.since.ms <= NOW && c.mask.lifted_at.ms <= NOW)
            (void)lives_each(check_life, &c);
    }
    assert_true(c.n > 1000000);
}

static void count_step(void *priv, const struct ms_life *before, const struct ms_lc_verdict *step,
                       enum ms_due_kind kind) {
    (void)before, (void)step, (void)kind;
    (*(unsigned *)priv)++;
}

static void a_deadline_at_the_end_comes_before_it_and_the_end_is_not_told(void **state) {
    (void)state;
    struct ms_arrears a = since(NOW, MS_ARREARS_GRACE);
    struct ms_life life = ms_lc_create(AT(NOW - MS_DAY_MS), false);
    life.rest = MS_STATE_ACTIVED;
    life.sealed = 1;
    life.scheduled_count = 1;
    for (int64_t d = -1; d <= 1; d++) {
        struct ms_lc_facts f = {.now = AT(NOW + END + 5), .retention_ms = MS_DAY_MS};
        unsigned told = 0;
        life.scheduled[0] = (struct ms_scheduled){AT(NOW + END + d), MS_SCHEDULED_BLOCK};
        assert_int_equal(ms_arrears_life(a, &life, &f, count_step, &told).rest, MS_STATE_DELETED);
        assert_int_equal(told, d <= 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_hold_from_their_instant_on),
        cmocka_unit_test(nobody_in_arrears_is_never_held),
        cmocka_unit_test(the_record_learns_of_each_stage_once),
        cmocka_unit_test(what_cannot_be_is_named),
        cmocka_unit_test(a_hold_that_nobody_has_recorded_is_seen),
        cmocka_unit_test(a_row_about_a_deadline_goes_by_the_mask_of_its_instant),
        cmocka_unit_test(every_life_is_the_same_swept_or_not),
        cmocka_unit_test(a_deadline_at_the_end_comes_before_it_and_the_end_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
