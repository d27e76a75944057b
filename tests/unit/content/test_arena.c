#include "support/test.h"

#include "content/arena.h"

#include <stdlib.h>
#include <string.h>

#define UNIT 4096u

static void all_of_it_can_be_taken_and_not_a_byte_more(void **state) {
    static const uint64_t sizes[] = {UNIT, 3 * UNIT, 7 * UNIT + 5, 64 * UNIT, 100 * UNIT};
    struct ms_arena *a;

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(sizes); i++) {
        uint64_t units = sizes[i] / UNIT;
        uint8_t *unit[100];

        assert_ok(ms_arena_new(sizes[i], &a, &test_err));
        for (uint64_t n = 0; n < units; n++) {
            unit[n] = ms_arena_take(a, n % 2 ? UNIT : 1);
            assert_non_null(unit[n]);
            memset(unit[n], (int)n, n % 2 ? UNIT : 1);
        }
        assert_null(ms_arena_take(a, 1));
        assert_int_equal(ms_arena_used(a), units * UNIT);
        for (uint64_t n = 0; n < units; n++) {
            assert_int_equal(unit[n][0], n);
            ms_arena_give(a, unit[n], n % 2 ? UNIT : 1);
        }
        assert_int_equal(ms_arena_used(a), 0);
        ms_arena_free(a);
    }
    assert_ok(ms_arena_new(UNIT - 1, &a, &test_err));
    assert_null(ms_arena_take(a, 1));
    ms_arena_free(a);
    ms_arena_free(NULL);
}

static void neighbours_join_so_that_the_whole_comes_back(void **state) {
    struct ms_arena *a;
    void *part[16], *whole;

    (void)state;
    assert_ok(ms_arena_new(16 * UNIT, &a, &test_err));
    for (size_t i = 0; i < 16; i++)
        part[i] = ms_arena_take(a, UNIT);
    for (size_t i = 0; i < 16; i += 2)
        ms_arena_give(a, part[i], UNIT);
    assert_null(ms_arena_take(a, 2 * UNIT)); /* half is free, and none of it beside another */
    for (size_t i = 1; i < 16; i += 2)
        ms_arena_give(a, part[i], UNIT);
    whole = ms_arena_take(a, 16 * UNIT);
    assert_non_null(whole);
    ms_arena_give(a, whole, 16 * UNIT);
    assert_null(ms_arena_take(a, 16 * UNIT + 1));
    ms_arena_free(a);
}

static void the_end_that_a_run_does_not_need_is_for_others(void **state) {
    struct ms_arena *a;
    void *five, *three;

    (void)state;
    assert_ok(ms_arena_new(8 * UNIT, &a, &test_err));
    five = ms_arena_take(a, 5 * UNIT);
    assert_int_equal(ms_arena_used(a), 5 * UNIT);
    three = ms_arena_take(a, 2 * UNIT);
    assert_non_null(three);
    assert_non_null(ms_arena_take(a, UNIT));
    assert_null(ms_arena_take(a, 1));
    ms_arena_give(a, five, 5 * UNIT);
    assert_non_null(ms_arena_take(a, 4 * UNIT));
    ms_arena_free(a);
}

static void memory_is_new_until_it_was_used(void **state) {
    struct ms_arena *a;
    uint8_t *p, *q;

    (void)state;
    assert_ok(ms_arena_new(8 * UNIT, &a, &test_err));
    p = ms_arena_take(a, 2 * UNIT - 1);
    assert_true(ms_arena_is_new(a, p));
    ms_arena_touch(p, 2 * UNIT - 1);
    assert_false(ms_arena_is_new(a, p));
    assert_int_equal(p[2 * UNIT - 2], 0);
    ms_arena_give(a, p, 2 * UNIT - 1);
    q = ms_arena_take(a, 3 * UNIT);
    assert_ptr_equal(q, p);
    assert_true(ms_arena_is_new(a, q));
    assert_false(ms_arena_is_new(a, q));
    ms_arena_free(a);
}

struct run {
    uint8_t *p;
    size_t n;
    uint8_t mark;
};

static void check_and_give(struct ms_arena *a, struct run *run) {
    assert_int_equal(run->p[0], run->mark);
    assert_int_equal(run->p[run->n - 1], run->mark);
    ms_arena_give(a, run->p, run->n);
    run->p = NULL;
}

static void runs_of_any_length_never_overlap(void **state) {
    struct ms_random_seeded random;
    struct run run[64] = {{0}};
    struct ms_arena *a;
    uint64_t held = 0;

    (void)state;
    ms_random_seeded_init(&random, ms_test_seed());
    assert_ok(ms_arena_new(301 * UNIT, &a, &test_err));
    for (unsigned i = 0; i < 20000; i++) {
        struct run *r = &run[ms_random_below(&random.random, 64)];

        if (r->p) {
            held -= (r->n + UNIT - 1) / UNIT;
            check_and_give(a, r);
        } else {
            r->n = 1 + (size_t)ms_random_below(&random.random, 20 * UNIT);
            r->mark = (uint8_t)i;
            r->p = ms_arena_take(a, r->n);
            if (!r->p)
                continue;
            held += (r->n + UNIT - 1) / UNIT;
            memset(r->p, r->mark, r->n);
        }
        assert_int_equal(ms_arena_used(a), held * UNIT);
    }
    for (size_t i = 0; i < 64; i++)
        if (run[i].p)
            check_and_give(a, &run[i]);
    assert_non_null(ms_arena_take(a, 256 * UNIT));
    assert_non_null(ms_arena_take(a, 32 * UNIT));
    ms_arena_free(a);
    ms_random_seeded_fini(&random);
}

/* ---- the limit ------------------------------------------------------------------------------ */

static void give_to_the_system(struct ms_arena *a) {
    void *run;
    size_t n;

    while ((n = ms_arena_spare(a, &run)) > 0) {
        bool dropped = ms_arena_drop(run, n);

        ms_arena_give_spare(a, run, n, dropped);
        assert_true(dropped);
    }
}

static void what_was_touched_is_given_out_first(void **state) {
    struct ms_arena *a;
    uint8_t *first, *second;

    (void)state;
    assert_ok(ms_arena_new(64 * UNIT, &a, &test_err));
    first = ms_arena_take(a, 8 * UNIT);
    second = ms_arena_take(a, 4 * UNIT);
    ms_arena_give(a, first, 8 * UNIT);
    assert_int_equal(ms_arena_touched(a), 12 * UNIT);
    assert_ptr_equal(ms_arena_take(a, 8 * UNIT), first);
    ms_arena_give(a, first, 8 * UNIT);
    ms_arena_give(a, second, 4 * UNIT); /* 12 of a run of 64 */
    for (unsigned i = 0; i < 12; i++)
        assert_non_null(ms_arena_take(a, UNIT));
    assert_int_equal(ms_arena_touched(a), 12 * UNIT);
    assert_non_null(ms_arena_take(a, UNIT));
    assert_int_equal(ms_arena_touched(a), 13 * UNIT);
    ms_arena_free(a);
}

static void the_limit_holds_for_what_is_used_and_for_what_is_touched(void **state) {
    struct ms_arena *a;
    uint8_t *p, *q;

    (void)state;
    assert_ok(ms_arena_new(16 * UNIT, &a, &test_err));
    p = ms_arena_take(a, 8 * UNIT);
    memset(p, 7, 8 * UNIT);
    ms_arena_limit(a, 4 * UNIT);
    assert_null(ms_arena_take(a, 1));
    give_to_the_system(a); /* nothing is free */
    assert_int_equal(ms_arena_touched(a), 8 * UNIT);
    ms_arena_give(a, p, 8 * UNIT);
    assert_int_equal(ms_arena_touched(a), 8 * UNIT);
    give_to_the_system(a); /* no more than is necessary */
    assert_int_equal(ms_arena_touched(a), 4 * UNIT);
    assert_null(ms_arena_take(a, 4 * UNIT + 1));
    p = ms_arena_take(a, 4 * UNIT);
    assert_non_null(p);
    assert_false(ms_arena_is_new(a, p)); /* what was left */
    assert_int_equal(p[0], 7);
    assert_int_equal(ms_arena_touched(a), 4 * UNIT);
    ms_arena_limit(a, UINT64_MAX);
    q = ms_arena_take(a, 4 * UNIT);
    assert_true(ms_arena_is_new(a, q)); /* what had gone is zeros */
    for (size_t i = 0; i < 4 * UNIT; i++)
        assert_int_equal(q[i], 0);
    ms_arena_free(a);
}

/* Four single units are touched and free, and no two of them beside each other. */
static void pages_go_when_the_touched_runs_are_too_short(void **state) {
    struct ms_arena *a;
    uint8_t *unit[8];

    (void)state;
    assert_ok(ms_arena_new(16 * UNIT, &a, &test_err));
    for (unsigned i = 0; i < 8; i++)
        unit[i] = ms_arena_take(a, UNIT);
    for (unsigned i = 0; i < 8; i += 2)
        ms_arena_give(a, unit[i], UNIT);
    ms_arena_limit(a, 8 * UNIT);
    assert_non_null(ms_arena_take(a, 4 * UNIT));
    assert_int_equal(ms_arena_touched(a), 8 * UNIT);
    assert_null(ms_arena_take(a, 1));
    ms_arena_free(a);
}

static void limits_that_come_and_go_are_kept(void **state) {
    struct ms_random_seeded random;
    struct run run[64] = {{0}};
    uint64_t limit = 301 * UNIT;
    struct ms_arena *a;

    (void)state;
    ms_random_seeded_init(&random, ms_test_seed());
    assert_ok(ms_arena_new(301 * UNIT, &a, &test_err));
    for (unsigned i = 0; i < 20000; i++) {
        struct run *r = &run[ms_random_below(&random.random, 64)];
        uint64_t touched = ms_arena_touched(a), used = ms_arena_used(a);

        if (i % 50 == 0) {
            limit = ms_random_below(&random.random, 302) * UNIT;
            ms_arena_limit(a, limit);
        } else if (i % 50 == 1) {
            give_to_the_system(a);
            assert_true(ms_arena_touched(a) <= (used > limit ? used : limit));
        } else if (r->p) {
            check_and_give(a, r);
        } else {
            r->n = 1 + (size_t)ms_random_below(&random.random, 20 * UNIT);
            r->mark = (uint8_t)i;
            r->p = ms_arena_take(a, r->n);
            if (r->p) {
                assert_true(ms_arena_used(a) <= limit);
                memset(r->p, r->mark, r->n);
            }
            assert_true(ms_arena_touched(a) <= (touched > limit ? touched : limit));
        }
        assert_true(ms_arena_used(a) <= ms_arena_touched(a));
    }
    for (size_t i = 0; i < 64; i++)
        if (run[i].p)
            check_and_give(a, &run[i]);
    ms_arena_limit(a, 0);
    give_to_the_system(a);
    assert_int_equal(ms_arena_touched(a), 0);
    ms_arena_limit(a, UINT64_MAX);
    assert_non_null(ms_arena_take(a, 256 * UNIT));
    assert_non_null(ms_arena_take(a, 32 * UNIT));
    ms_arena_free(a);
    ms_random_seeded_fini(&random);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_can_be_taken_and_not_a_byte_more),
        cmocka_unit_test(neighbours_join_so_that_the_whole_comes_back),
        cmocka_unit_test(the_end_that_a_run_does_not_need_is_for_others),
        cmocka_unit_test(memory_is_new_until_it_was_used),
        cmocka_unit_test(runs_of_any_length_never_overlap),
        cmocka_unit_test(what_was_touched_is_given_out_first),
        cmocka_unit_test(the_limit_holds_for_what_is_used_and_for_what_is_touched),
        cmocka_unit_test(pages_go_when_the_touched_runs_are_too_short),
        cmocka_unit_test(limits_that_come_and_go_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
