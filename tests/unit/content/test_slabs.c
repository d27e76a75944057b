#include "support/test.h"

#include "content/budget.h"
#include "content/slabs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define PAGE ((size_t)4096)
#define AT INT64_C(1000000000000) /* some instant */

/* Bytes of it that the system has given memory for. */
static size_t resident(const struct ms_slab *slab) {
    static unsigned char pages[MS_SLAB_BYTES / PAGE];
    size_t n = 0;

    assert_int_equal(mincore(slab->bytes, MS_SLAB_BYTES, pages), 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(pages); i++)
        n += pages[i] & 1;
    return n * PAGE;
}

static struct ms_slab *filled(struct ms_slabs *pool, size_t bytes) {
    struct ms_slab *slab = ms_slab_take(pool, false);

    assert_non_null(slab);
    assert_true(ms_slab_reach(slab, bytes));
    memset(slab->bytes, 7, slab->high);
    return slab;
}

static uint64_t granted(struct ms_budget *budget) {
    struct ms_budget_stats stats;

    ms_budget_stats(budget, &stats);
    assert_true(stats.staged <= stats.granted);
    assert_true(stats.granted <= stats.staged_max);
    return stats.granted;
}

static void the_limit_is_for_touched_bytes_of_all_slabs(void **state) {
    struct ms_slabs *pool = ms_slabs_new(MIB);
    struct ms_slab *a, *b;

    (void)state;
    a = filled(pool, 512 * KIB);
    b = filled(pool, 512 * KIB);
    assert_false(ms_slab_reach(a, 512 * KIB + 1));
    assert_null(ms_slab_take(pool, true));
    assert_int_equal(ms_slabs_used(pool), MIB);
    ms_slab_unref(b); /* its pages are there, and nobody's */
    assert_int_equal(ms_slabs_used(pool), 512 * KIB);
    assert_int_equal(ms_slabs_touched(pool), MIB);
    assert_true(ms_slab_reach(a, MIB));
    assert_int_equal(ms_slabs_touched(pool), MIB);
    ms_slab_unref(a);
    ms_slabs_free(pool);
}

/* A budget of its own: 3 grants and 1 MiB are the slabs' half. */
struct fixture {
    struct ms_budget *budget;
    struct ms_slabs *pool;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);

    assert_ok(ms_budget_new(2 * (3 * MS_SLABS_GRANT + MIB), &f->budget, &test_err));
    f->pool = ms_slabs_new(UINT64_MAX);
    ms_budget_add_slabs(f->budget, f->pool);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;

    ms_slabs_free(f->pool);
    ms_budget_free(f->budget);
    free(f);
    return 0;
}

static void a_budget_is_asked_as_it_is_needed_and_gives_no_more_than_half(void **state) {
    struct fixture *f = *state;
    struct ms_slab *slab[4];

    assert_int_equal(granted(f->budget), 0);
    slab[0] = filled(f->pool, 1);
    assert_int_equal(granted(f->budget), MS_SLABS_GRANT);
    assert_int_equal(ms_slabs_touched(f->pool), 64 * KIB);
    for (unsigned i = 1; i < 4; i++)
        slab[i] = filled(f->pool, i < 3 ? MS_SLAB_BYTES : MIB);
    assert_int_equal(granted(f->budget), 3 * MS_SLABS_GRANT);
    assert_true(ms_slab_reach(slab[0], MS_SLAB_BYTES));
    assert_int_equal(granted(f->budget), 3 * MS_SLABS_GRANT + MIB);
    assert_false(ms_slab_reach(slab[3], MIB + 1));
    assert_null(ms_slab_take(f->pool, true));
    for (unsigned i = 0; i < 4; i++)
        ms_slab_unref(slab[i]);
}

static void what_lies_idle_for_a_whole_period_is_returned_pages_and_all(void **state) {
    struct fixture *f = *state;
    struct ms_slab *a = filled(f->pool, MS_SLAB_BYTES), *b = filled(f->pool, MS_SLAB_BYTES);

    ms_slab_unref(a);
    ms_slab_unref(b);
    ms_budget_wish(f->budget, AT); /* the first period begins */
    assert_int_equal(granted(f->budget), 2 * MS_SLABS_GRANT);
    ms_budget_wish(f->budget, AT + MS_SLABS_IDLE_NS - 1);
    assert_int_equal(granted(f->budget), 2 * MS_SLABS_GRANT);
    assert_int_equal(resident(a) + resident(b), 2 * MS_SLAB_BYTES);
    ms_budget_wish(f->budget, AT + MS_SLABS_IDLE_NS);
    assert_int_equal(granted(f->budget), 0);
    assert_int_equal(ms_slabs_touched(f->pool), 0);
    assert_int_equal(resident(a) + resident(b), 0);
    a = filled(f->pool, MIB); /* and can be had again */
    assert_int_equal(granted(f->budget), MS_SLABS_GRANT);
    ms_slab_unref(a);
}

/* Slabs are free between two parts. A writer who goes on must find its pages where they were. */
static void what_was_needed_once_in_a_period_is_not_idle(void **state) {
    struct fixture *f = *state;
    struct ms_slab *a = filled(f->pool, MS_SLAB_BYTES), *b = filled(f->pool, MS_SLAB_BYTES);

    ms_slab_unref(a);
    ms_slab_unref(b);
    ms_budget_wish(f->budget, AT);
    a = ms_slab_take(f->pool, false); /* one of the two, for a moment */
    assert_int_equal(a->high, MS_SLAB_BYTES);
    ms_slab_unref(a);
    ms_budget_wish(f->budget, AT + MS_SLABS_IDLE_NS);
    assert_int_equal(ms_slabs_touched(f->pool), MS_SLAB_BYTES);
    assert_int_equal(granted(f->budget), MS_SLABS_GRANT);
    ms_budget_wish(f->budget, AT + 2 * MS_SLABS_IDLE_NS); /* and not once in this one */
    assert_int_equal(granted(f->budget), 0);
}

static void only_so_much_goes_as_was_idle(void **state) {
    struct fixture *f = *state;
    struct ms_slab *a = filled(f->pool, MS_SLAB_BYTES);

    ms_slab_unref(a);
    ms_budget_wish(f->budget, AT);
    a = ms_slab_take(f->pool, false);
    ms_slab_unref(a);
    a = filled(f->pool, MS_SLAB_BYTES); /* held when the next period begins */
    ms_slab_unref(filled(f->pool, 3 * MIB));
    ms_budget_wish(f->budget, AT + MS_SLABS_IDLE_NS);
    ms_budget_wish(f->budget, AT + 2 * MS_SLABS_IDLE_NS);
    assert_int_equal(ms_slabs_touched(f->pool), MS_SLAB_BYTES);
    assert_int_equal(a->high, MS_SLAB_BYTES);
    assert_int_equal(a->bytes[MS_SLAB_BYTES - 1], 7);
    assert_int_equal(resident(a), MS_SLAB_BYTES);
    ms_slab_unref(a);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_is_for_touched_bytes_of_all_slabs),
        TEST(a_budget_is_asked_as_it_is_needed_and_gives_no_more_than_half),
        TEST(what_lies_idle_for_a_whole_period_is_returned_pages_and_all),
        TEST(what_was_needed_once_in_a_period_is_not_idle),
        TEST(only_so_much_goes_as_was_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
