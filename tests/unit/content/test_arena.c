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
    assert_true(ms_arena_is_new(a, p, 2 * UNIT - 1));
    ms_arena_touch(p, 2 * UNIT - 1);
    assert_false(ms_arena_is_new(a, p, 2 * UNIT - 1));
    assert_int_equal(p[2 * UNIT - 2], 0);
    ms_arena_give(a, p, 2 * UNIT - 1);
    q = ms_arena_take(a, 3 * UNIT);
    assert_ptr_equal(q, p);
    assert_true(ms_arena_is_new(a, q, 3 * UNIT));
    assert_false(ms_arena_is_new(a, q, 3 * UNIT));
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_can_be_taken_and_not_a_byte_more),
        cmocka_unit_test(neighbours_join_so_that_the_whole_comes_back),
        cmocka_unit_test(the_end_that_a_run_does_not_need_is_for_others),
        cmocka_unit_test(memory_is_new_until_it_was_used),
        cmocka_unit_test(runs_of_any_length_never_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
