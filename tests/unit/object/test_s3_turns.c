/* test_s3_turns.c — who gets the next connection, and when a store is left alone. */
#include "support/test.h"

#include "object/s3_breaker.h"
#include "object/s3_turns.h"

#define MS INT64_C(1000000)

/* ---- turns ---- */

static const bool both[] = {true, true}, small_only[] = {true, false}, big_only[] = {false, true},
                  none[] = {false, false};

static unsigned begin_all(struct ms_s3_turns *t, const bool waits[MS_S3_CLASSES]) {
    unsigned n = 0;

    while (ms_s3_turns_next(t, waits) != MS_S3_CLASSES)
        n++;
    return n;
}

static void one_class_leaves_the_share_of_the_other(void **state) {
    struct ms_s3_turns t;

    (void)state;
    ms_s3_turns_init(&t, 64);
    assert_int_equal(begin_all(&t, big_only), 48);
    assert_int_equal(ms_s3_turns_next(&t, small_only), MS_S3_SMALL); /* behind any number of big ones */
    assert_int_equal(begin_all(&t, small_only), 15);
    assert_int_equal(begin_all(&t, both), 0);
    ms_s3_turns_end(&t, MS_S3_SMALL);
    assert_int_equal(ms_s3_turns_next(&t, big_only), MS_S3_CLASSES); /* the share stays free */
    assert_int_equal(ms_s3_turns_next(&t, none), MS_S3_CLASSES);
}

static void both_take_turns(void **state) {
    struct ms_s3_turns t;
    enum ms_s3_class last, now;

    (void)state;
    ms_s3_turns_init(&t, 8);
    last = ms_s3_turns_next(&t, both);
    for (int i = 0; i < 3; i++, last = now) {
        now = ms_s3_turns_next(&t, both);
        assert_int_not_equal(now, last);
    }
}

static void any_number_of_connections_is_used_and_never_passed(void **state) {
    (void)state;
    for (unsigned max = 1; max <= 100; max++) {
        struct ms_s3_turns t;

        ms_s3_turns_init(&t, max);
        assert_int_equal(begin_all(&t, both), max);
        assert_int_equal(t.running[MS_S3_SMALL] + t.running[MS_S3_BIG], max);
        if (max >= 2)
            assert_true(t.running[MS_S3_SMALL] > 0 && t.running[MS_S3_BIG] > 0);
    }
}

static void with_one_connection_both_still_take_turns(void **state) {
    struct ms_s3_turns t;
    enum ms_s3_class first;

    (void)state;
    ms_s3_turns_init(&t, 1);
    first = ms_s3_turns_next(&t, both);
    assert_int_equal(ms_s3_turns_next(&t, both), MS_S3_CLASSES);
    ms_s3_turns_end(&t, first);
    assert_int_not_equal(ms_s3_turns_next(&t, both), first);
}

/* ---- breaker ---- */

struct rig {
    struct ms_s3_breaker b;
    bool probe;
    int64_t wait_ms;
};

static int setup(void **state) {
    static struct rig rig;

    rig = (struct rig){0};
    ms_s3_breaker_init(&rig.b);
    *state = &rig;
    return 0;
}

static int teardown(void **state) {
    ms_s3_breaker_fini(&((struct rig *)*state)->b);
    return 0;
}

static bool enter(struct rig *r, int64_t now_ms) {
    return ms_s3_breaker_enter(&r->b, now_ms * MS, &r->probe, &r->wait_ms);
}

static void fail_n(struct rig *r, int64_t now_ms, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        assert_true(enter(r, now_ms));
        ms_s3_breaker_leave(&r->b, now_ms * MS, r->probe, MS_S3_UNREACHED);
    }
}

static void it_opens_after_so_many_failures_in_a_row(void **state) {
    struct rig *r = *state;

    fail_n(r, 0, MS_S3_BREAKER_FAILURES - 1);
    assert_true(enter(r, 0));
    ms_s3_breaker_leave(&r->b, 0, r->probe, MS_S3_REACHED); /* ends the row */
    fail_n(r, 0, MS_S3_BREAKER_FAILURES - 1);
    assert_true(enter(r, 0));
    ms_s3_breaker_leave(&r->b, 0, r->probe, MS_S3_UNKNOWN); /* does not count */
    fail_n(r, 0, 1);
    assert_false(enter(r, 0));
    assert_int_equal(r->wait_ms, MS_S3_BREAKER_FIRST_MS + 1);
    assert_false(enter(r, MS_S3_BREAKER_FIRST_MS - 1));
    assert_int_equal(r->wait_ms, 2);
}

static void one_probes_and_lets_all_in(void **state) {
    struct rig *r = *state;

    fail_n(r, 0, MS_S3_BREAKER_FAILURES);
    assert_true(enter(r, MS_S3_BREAKER_FIRST_MS));
    assert_true(r->probe);
    assert_false(enter(r, MS_S3_BREAKER_FIRST_MS)); /* while the probe is out */
    assert_true(r->wait_ms > 0);
    ms_s3_breaker_leave(&r->b, MS_S3_BREAKER_FIRST_MS * MS, true, MS_S3_REACHED);
    for (int i = 0; i < 10; i++)
        assert_true(enter(r, MS_S3_BREAKER_FIRST_MS) && !r->probe);
}

static void the_pause_doubles_to_a_bound(void **state) {
    struct rig *r = *state;
    int64_t now = 0, want = MS_S3_BREAKER_FIRST_MS;

    fail_n(r, 0, MS_S3_BREAKER_FAILURES);
    for (int i = 0; i < 8; i++) {
        assert_false(enter(r, now + want - 1));
        now += want;
        assert_true(enter(r, now) && r->probe);
        ms_s3_breaker_leave(&r->b, now * MS, true, MS_S3_UNREACHED);
        want = 2 * want < MS_S3_BREAKER_MAX_MS ? 2 * want : MS_S3_BREAKER_MAX_MS;
    }
}

static void a_probe_that_hangs_does_not_keep_others_back(void **state) {
    struct rig *r = *state;
    int64_t now = MS_S3_BREAKER_FIRST_MS;

    fail_n(r, 0, MS_S3_BREAKER_FAILURES);
    assert_true(enter(r, now));
    assert_true(enter(r, now + 10000) && r->probe);
    /* One that ends without an outcome makes room for the next. */
    ms_s3_breaker_leave(&r->b, (now + 10000) * MS, true, MS_S3_UNKNOWN);
    assert_true(enter(r, now + 10000) && r->probe);
}

static void those_that_went_before_do_not_lengthen_the_pause(void **state) {
    struct rig *r = *state;

    for (int i = 0; i < 100; i++)
        assert_true(enter(r, 0));
    for (int i = 0; i < 100; i++)
        ms_s3_breaker_leave(&r->b, 10 * MS, false, MS_S3_UNREACHED);
    assert_true(enter(r, 10 + MS_S3_BREAKER_FIRST_MS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_class_leaves_the_share_of_the_other),
        cmocka_unit_test(both_take_turns),
        cmocka_unit_test(any_number_of_connections_is_used_and_never_passed),
        cmocka_unit_test(with_one_connection_both_still_take_turns),
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
        CASE(it_opens_after_so_many_failures_in_a_row),
        CASE(one_probes_and_lets_all_in),
        CASE(the_pause_doubles_to_a_bound),
        CASE(a_probe_that_hangs_does_not_keep_others_back),
        CASE(those_that_went_before_do_not_lengthen_the_pause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
