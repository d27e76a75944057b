/* May a file grow? Every small case against a writer that asks for one byte at a time. */
#include "support/test.h"

#include "quota/quota.h"

#include <inttypes.h>
#include <stdio.h>

struct outcome {
    uint64_t reached;
    bool stopped_by_size, stopped_by_quota;
};

/* product.md section 5: "the write that would pass the limit is cut short at it"; EFBIG before
 * EDQUOT. */
static struct outcome write_bytewise(const struct ms_quota_wish *w) {
    struct outcome o = {.reached = w->size_before};
    uint64_t leased = w->leased, left = w->left;
    uint64_t used = w->size_before > w->base_bytes ? w->size_before - w->base_bytes : 0;
    while (o.reached < w->size_after) {
        if (o.reached >= w->bytes_max) {
            o.stopped_by_size = true;
            break;
        }
        bool costs = o.reached >= w->base_bytes; /* bytes of the old version are metered already */
        for (; used + costs > leased && left > 0; left--) /* also what was not leased so far */
            leased++;
        if (used + costs > leased) {
            o.stopped_by_quota = true;
            break;
        }
        used += costs;
        o.reached++;
    }
    return o;
}

static enum ms_quota_rule rule_of(const struct ms_quota_wish *w, struct outcome o) {
    bool nothing = o.reached == w->size_before;
    if (o.stopped_by_size)
        return nothing ? MS_QUOTA_TOO_LARGE : MS_QUOTA_CUT_BY_SIZE;
    if (o.stopped_by_quota)
        return nothing ? MS_QUOTA_EXCEEDED : MS_QUOTA_CUT_BY_QUOTA;
    return MS_QUOTA_ALLOWED;
}

static const char *text_of(const struct ms_quota_wish *w) {
    static char text[160];
    (void)snprintf(text, sizeof text,
                   "%" PRIu64 " -> %" PRIu64 " base %" PRIu64 " leased %" PRIu64 " left %" PRIu64
                   " max %" PRIu64,
                   w->size_before, w->size_after, w->base_bytes, w->leased, w->left, w->bytes_max);
    return text;
}

static uint64_t least_lease(const struct ms_quota_wish *w, uint64_t size) {
    uint64_t costs = size > w->base_bytes ? size - w->base_bytes : 0;
    return costs > w->leased ? costs - w->leased : 0;
}

static void check(const struct ms_quota_wish *w) {
    struct ms_quota_verdict v = ms_quota_decide(w);
    struct outcome o = write_bytewise(w);
    bool shrinks = w->size_after <= w->size_before;
    uint64_t size = shrinks ? w->size_after : o.reached;
    uint64_t needs = shrinks || o.reached == w->size_before ? 0 : least_lease(w, size);
    if (v.rule != rule_of(w, o) || v.size_granted != size)
        fail_msg("%s: rule %d instead of %d, granted %" PRIu64 " instead of %" PRIu64, text_of(w),
                 v.rule, rule_of(w, o), v.size_granted, size);
    if (v.lease_more < needs || v.lease_more > w->left || (needs == 0) != (v.lease_more == 0))
        fail_msg("%s: leases %" PRIu64 ", needs %" PRIu64, text_of(w), v.lease_more, needs);
    if ((v.over_by == 0) != (v.rule == MS_QUOTA_ALLOWED))
        fail_msg("%s: over by %" PRIu64, text_of(w), v.over_by);
}

static void every_small_growth_is_decided_as_by_a_writer_of_single_bytes(void **state) {
    (void)state;
    struct ms_quota_wish w;
    unsigned cells = 0;
    for (w.size_before = 0; w.size_before <= 6; w.size_before++)
        for (w.size_after = 0; w.size_after <= 7; w.size_after++)
            for (w.base_bytes = 0; w.base_bytes <= 7; w.base_bytes++)
                for (w.leased = 0; w.leased <= 5; w.leased++)
                    for (w.left = 0; w.left <= 6; w.left++)
                        for (w.bytes_max = 0; w.bytes_max <= 8; w.bytes_max++, cells++)
                            check(&w);
    print_message("growth cells: %u\n", cells);
}

static void growths_of_some_hundred_bytes_lease_ahead_and_never_more_than_is_left(void **state) {
    (void)state;
    struct ms_random_seeded random;
    ms_random_seeded_init(&random, ms_test_seed());
    for (int i = 0; i < 100000; i++) {
        struct ms_quota_wish w = {
            .size_before = ms_random_below(&random.random, 300),
            .size_after = ms_random_below(&random.random, 400),
            .base_bytes = ms_random_below(&random.random, 300),
            .leased = ms_random_below(&random.random, 200),
            .left = ms_random_below(&random.random, 400),
            .bytes_max = ms_random_below(&random.random, 500),
        };
        check(&w);
        struct ms_quota_verdict v = ms_quota_decide(&w);
        if (v.lease_more > 0)
            assert_true(v.lease_more >= w.left / 16);
    }
    ms_random_seeded_fini(&random);
}

static void growing_step_by_step_ends_exactly_at_the_quota(void **state) {
    (void)state;
    uint64_t allowance = 5 * MS_GB, reserved = 0, size = 0;
    unsigned steps = 0;
    for (;; steps++) {
        struct ms_quota_state q = {allowance, MS_GB, reserved};
        struct ms_quota_wish w = {.size_before = size,
                                  .size_after = size + 7 * MS_MB + 13,
                                  .leased = reserved,
                                  .left = ms_quota_left(q),
                                  .bytes_max = UINT64_MAX};
        struct ms_quota_verdict v = ms_quota_decide(&w);
        assert_true(v.lease_more <= MS_LEASE_BYTES_MAX);
        reserved += v.lease_more;
        size = v.size_granted;
        if (v.rule == MS_QUOTA_EXCEEDED)
            break;
        if (v.rule == MS_QUOTA_CUT_BY_QUOTA)
            assert_int_equal(size, 4 * MS_GB);
    }
    assert_int_equal(size, 4 * MS_GB);
    assert_int_equal(reserved, 4 * MS_GB);
    assert_true(steps > 500);
}

static void the_largest_numbers_do_not_overflow(void **state) {
    (void)state;
    static const uint64_t big[] = {0, 1, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
    for (size_t i = 0; i < 5 * 5 * 5 * 5; i++) {
        struct ms_quota_wish w = {.size_before = big[i % 5],
                                  .size_after = UINT64_MAX,
                                  .base_bytes = big[i / 5 % 5],
                                  .leased = big[i / 25 % 5],
                                  .left = big[i / 125 % 5],
                                  .bytes_max = UINT64_MAX};
        struct ms_quota_verdict v = ms_quota_decide(&w);
        assert_true(v.size_granted >= w.size_before);
        assert_true(v.lease_more <= w.left);
    }
}

static void a_file_over_both_limits_is_too_large_before_it_is_over_quota(void **state) {
    (void)state;
    struct ms_quota_wish w = {
        .size_before = 10, .size_after = 20, .left = 0, .leased = 10, .bytes_max = 10};
    assert_int_equal(ms_quota_decide(&w).rule, MS_QUOTA_TOO_LARGE);
    w.bytes_max = 11;
    assert_int_equal(ms_quota_decide(&w).rule, MS_QUOTA_EXCEEDED);
}

static void a_refusal_tells_by_how_many_bytes(void **state) {
    (void)state;
    struct ms_quota_wish w = {
        .size_before = 100, .size_after = 250, .leased = 100, .left = 40, .bytes_max = 1000};
    struct ms_quota_verdict v = ms_quota_decide(&w);
    assert_int_equal(v.rule, MS_QUOTA_CUT_BY_QUOTA);
    assert_int_equal(v.size_granted, 140);
    assert_int_equal(v.over_by, 110);
    w.bytes_max = 120;
    v = ms_quota_decide(&w);
    assert_int_equal(v.rule, MS_QUOTA_CUT_BY_SIZE);
    assert_int_equal(v.size_granted, 120);
    assert_int_equal(v.over_by, 130);
}

static void an_overwrite_reserves_what_is_new(void **state) {
    (void)state;
    assert_int_equal(ms_quota_overwrite_needs(100, 130), 30);
    assert_int_equal(ms_quota_overwrite_needs(100, 100), 0);
    assert_int_equal(ms_quota_overwrite_needs(130, 100), 0);
    assert_int_equal(ms_quota_overwrite_needs(0, UINT64_MAX), UINT64_MAX);
}

static void a_lease_ahead_is_a_sixteenth_of_what_is_left_and_64_mib_at_most(void **state) {
    (void)state;
    assert_int_equal(ms_quota_lease_ahead(0), 0);
    assert_int_equal(ms_quota_lease_ahead(15), 0);
    assert_int_equal(ms_quota_lease_ahead(16), 1);
    assert_int_equal(ms_quota_lease_ahead(MS_GB), 64 * MS_MB);
    assert_int_equal(ms_quota_lease_ahead(MS_GB - 16), 64 * MS_MB - 1);
    assert_int_equal(ms_quota_lease_ahead(UINT64_MAX), 64 * MS_MB);
}

static void nothing_is_left_when_time_has_passed_the_allowance(void **state) {
    (void)state;
    struct ms_quota_state s = {.allowance = 100, .metered = 60, .reserved = 30};
    assert_int_equal(ms_quota_left(s), 10);
    assert_int_equal(ms_quota_excess(s), 0);
    s.reserved = 40;
    assert_int_equal(ms_quota_left(s), 0);
    s.metered = 130;
    assert_int_equal(ms_quota_left(s), 0);
    assert_int_equal(ms_quota_excess(s), 30);
    s = (struct ms_quota_state){UINT64_MAX, UINT64_MAX, UINT64_MAX};
    assert_int_equal(ms_quota_left(s), 0);
    assert_int_equal(ms_quota_excess(s), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_small_growth_is_decided_as_by_a_writer_of_single_bytes),
        cmocka_unit_test(growths_of_some_hundred_bytes_lease_ahead_and_never_more_than_is_left),
        cmocka_unit_test(growing_step_by_step_ends_exactly_at_the_quota),
        cmocka_unit_test(the_largest_numbers_do_not_overflow),
        cmocka_unit_test(a_file_over_both_limits_is_too_large_before_it_is_over_quota),
        cmocka_unit_test(a_refusal_tells_by_how_many_bytes),
        cmocka_unit_test(an_overwrite_reserves_what_is_new),
        cmocka_unit_test(a_lease_ahead_is_a_sixteenth_of_what_is_left_and_64_mib_at_most),
        cmocka_unit_test(nothing_is_left_when_time_has_passed_the_allowance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
