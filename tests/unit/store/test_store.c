/* What one process sees of a store: records, scans, operations, dates, numbers. */
#include "store_test.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void assert_dump(struct ms_store *store, bool backwards, const char *want) {
    char *text = store_test_dump(store, backwards);

    assert_string_equal(text, want);
    free(text);
}

static void a_record_is_there_after_a_write_and_after_opening_again(void **state) {
    struct store_test *t = *state;
    char *text;

    assert_ok(store_test_put(t->store, "k1", "one", &test_err));
    text = store_test_get(t->store, "k1");
    assert_string_equal(text, "one");
    free(text);
    store_test_close(t);
    t->options.create = false;
    store_test_open(t);
    text = store_test_get(t->store, "k1");
    assert_string_equal(text, "one");
    free(text);
    assert_ok(store_test_del(t->store, "k1", &test_err));
    assert_ok(store_test_del(t->store, "k1", &test_err));
    assert_null(store_test_get(t->store, "k1"));
}

static void scans_go_both_ways_within_their_bounds(void **state) {
    struct store_test *t = *state;

    for (int i = 9; i >= 1; i--) {
        char key[8], value[8];

        snprintf(key, sizeof key, "k%d", i);
        snprintf(value, sizeof value, "%d", i * i);
        assert_ok(store_test_put(t->store, key, value, &test_err));
    }
    assert_ok(store_test_put(t->store, "j", "before", &test_err));
    assert_ok(store_test_put(t->store, "l", "behind", &test_err));
    assert_dump(t->store, false, "k1=1 k2=4 k3=9 k4=16 k5=25 k6=36 k7=49 k8=64 k9=81");
    assert_dump(t->store, true, "k9=81 k8=64 k7=49 k6=36 k5=25 k4=16 k3=9 k2=4 k1=1");
}

static void a_scan_does_not_reach_the_stores_own_rows(void **state) {
    struct store_test *t = *state;
    struct ms_scan scan;
    struct ms_txn *txn;

    for (int backwards = 0; backwards < 2; backwards++) {
        assert_ok(ms_read_begin(t->store, &txn, &test_err));
        ms_scan_begin(&scan, txn, ms_view_of(NULL, 0), ms_view_of(NULL, 0));
        if (backwards)
            ms_scan_backwards(&scan);
        assert_code(ms_scan_next(&scan, NULL, NULL, &test_err), MS_NOT_FOUND);
        assert_code(ms_scan_next(&scan, NULL, NULL, &test_err), MS_NOT_FOUND);
        ms_scan_end(&scan);
        ms_scan_end(&scan);
        ms_read_end(txn);
    }
}

/* Delete every second record while scanning, and put one that the scan has yet to meet. */
static enum ms_code thin_out_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const bool *backwards = in;
    unsigned *seen = out;
    struct ms_view key, value;
    struct ms_scan scan;
    enum ms_code code;

    ms_scan_prefix(&scan, txn, ms_view_str("k"));
    if (*backwards)
        ms_scan_backwards(&scan);
    while ((code = ms_scan_next(&scan, &key, &value, NULL)) == MS_OK) {
        if (++*seen % 2 == 0)
            code = ms_txn_del(txn, key, reterr); /* the scan's own key */
        if (code == MS_OK && *seen == 1)
            code = ms_txn_put(txn, ms_view_str("k500x"), value, reterr);
        if (code != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return code == MS_NOT_FOUND ? MS_OK : code;
}

static void deleting_while_scanning_goes_on_behind_the_last_key(void **state) {
    struct store_test *t = *state;

    for (int backwards = 0; backwards < 2; backwards++) {
        bool b = backwards;
        unsigned seen = 0, left = 0;
        char *text;

        assert_ok(store_test_put_many(t->store, 1000, &test_err));
        assert_ok(store_test_del(t->store, "k500x", &test_err));
        assert_ok(ms_store_write(t->store,
                                 &(struct ms_write){.fn = thin_out_op, .in = &b, .out = &seen, .out_size = sizeof seen},
                                 &test_err));
        assert_int_equal(seen, 1001);
        text = store_test_dump(t->store, false);
        for (const char *at = text; (at = strchr(at, 'k')); at++)
            left++;
        free(text);
        assert_int_equal(left, 501);
    }
}

static enum ms_code fail_late_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    enum ms_code code = ms_txn_put(txn, ms_view_str("k-half"), ms_view_str("x"), reterr);

    (void)in, (void)out;
    if (code != MS_OK)
        return code;
    return ms_fail(reterr, MS_QUOTA, "too much");
}

static void a_failing_operation_leaves_nothing(void **state) {
    struct store_test *t = *state;

    assert_code(ms_store_write(t->store, &(struct ms_write){.fn = fail_late_op}, &test_err), MS_QUOTA);
    assert_string_equal(test_err.message, "too much");
    assert_null(store_test_get(t->store, "k-half"));
}

static enum ms_code swallow_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    static const char long_key[MS_KEY_MAX + 1] = {'k'};

    (void)in, (void)out, (void)reterr;
    if (ms_txn_put(txn, ms_view_of(long_key, sizeof long_key), ms_view_str("x"), NULL) == MS_OK)
        return MS_INTERNAL;
    if (ms_txn_put(txn, ms_view_str("k1"), ms_view_str("x"), NULL) == MS_OK)
        return MS_INTERNAL;
    return MS_OK;
}

static void the_first_write_error_sticks(void **state) {
    struct store_test *t = *state;

    assert_code(ms_store_write(t->store, &(struct ms_write){.fn = swallow_op}, &test_err), MS_RANGE);
    assert_null(store_test_get(t->store, "k1"));
}

struct dated {
    struct ms_instant first, again;
    uint64_t n[3];
    uint8_t random[200];
};

static enum ms_code dated_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct ms_instant *not_before = in;
    struct dated *d = out;
    enum ms_code code = MS_OK;

    ms_txn_not_before(txn, *not_before);
    d->first = ms_txn_instant(txn);
    ms_txn_random(txn, d->random, 3);
    ms_txn_random(txn, d->random + 3, sizeof d->random - 3);
    for (unsigned i = 0; i < 3 && code == MS_OK; i++)
        code = ms_txn_number(txn, i < 2 ? "one" : "two", &d->n[i], reterr);
    d->again = ms_txn_instant(txn);
    return code == MS_OK ? ms_txn_put(txn, ms_view_str("k"), ms_view_str("v"), reterr) : code;
}

static struct dated dated(struct ms_store *store, int64_t not_before) {
    struct dated d;
    struct ms_instant at = {not_before};

    assert_ok(ms_store_write(store, &(struct ms_write){.fn = dated_op, .in = &at, .out = &d, .out_size = sizeof d},
                             &test_err));
    assert_int_equal(d.first.ms, d.again.ms);
    return d;
}

static void instants_never_go_back(void **state) {
    struct store_test *t = *state;
    const int64_t start = t->clock.clock.now(&t->clock.clock).ms;

    assert_int_equal(dated(t->store, 0).first.ms, start);
    ms_clock_fake_set(&t->clock, ms_instant_of(start - 5000));
    assert_int_equal(dated(t->store, 0).first.ms, start);
    assert_int_equal(dated(t->store, start + 10).first.ms, start + 10);
    assert_int_equal(dated(t->store, 0).first.ms, start + 10);
    store_test_close(t);
    store_test_open(t);
    assert_int_equal(dated(t->store, 0).first.ms, start + 10);
    ms_clock_fake_set(&t->clock, ms_instant_of(start + 11));
    assert_int_equal(dated(t->store, 0).first.ms, start + 11);
    store_test_close(t);
    ms_clock_fake_set(&t->clock, ms_instant_of(0));
    t->options.dir = t->dir; /* not empty: another store, made in a year without a clock */
    t->options.dir = ms_test_path(t->dir, "other");
    store_test_open(t);
    free((char *)(uintptr_t)t->options.dir);
    assert_true(dated(t->store, 0).first.ms > 0);
}

static void numbers_are_never_given_twice(void **state) {
    struct store_test *t = *state;
    uint64_t last = 0;

    for (unsigned i = 0; i < 600; i++) {
        struct dated d = dated(t->store, 0);

        if (i == 0)
            assert_int_equal(d.n[0], 1);
        assert_true(d.n[0] > last);
        assert_true(d.n[1] > d.n[0]);
        assert_int_equal(d.n[2], i + 1);
        last = d.n[1];
    }
    store_test_close(t);
    store_test_open(t);
    assert_true(dated(t->store, 0).n[0] > last);
}

static enum ms_code many_numbers_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    uint64_t *ret_sum = out, last = 0, n = 0;

    (void)in;
    for (unsigned i = 0; i < 5000; i++) {
        enum ms_code code = ms_txn_number(txn, "many", &n, reterr);

        if (code != MS_OK)
            return code;
        if (n <= last)
            return ms_fail(reterr, MS_INTERNAL, "%u after %u", (unsigned)n, (unsigned)last);
        last = n;
    }
    *ret_sum = last;
    return MS_OK;
}

static void an_operation_may_take_more_numbers_than_a_lease_holds(void **state) {
    struct store_test *t = *state;
    uint64_t last = 0;

    assert_ok(ms_store_write(t->store, &(struct ms_write){.fn = many_numbers_op, .out = &last, .out_size = sizeof last},
                             &test_err));
    assert_true(last >= 5000);
}

static void random_bytes_are_new_for_each_operation(void **state) {
    struct store_test *t = *state;
    struct dated a = dated(t->store, 0), b = dated(t->store, 0);

    assert_memory_not_equal(a.random, b.random, sizeof a.random);
    assert_memory_not_equal(a.random, a.random + 64, 64);
}

static void a_read_has_a_cap_of_one_second(void **state) {
    struct store_test *t = *state;
    struct ms_txn *txn;
    struct ms_view v;

    assert_ok(store_test_put(t->store, "k1", "one", &test_err));
    assert_ok(ms_read_begin(t->store, &txn, &test_err));
    ms_clock_fake_advance(&t->clock, 1000);
    assert_ok(ms_txn_get(txn, ms_view_str("k1"), &v, &test_err));
    ms_clock_fake_advance(&t->clock, 1);
    assert_code(ms_txn_get(txn, ms_view_str("k1"), &v, &test_err), MS_STALE);
    assert_false(ms_txn_has(txn, ms_view_str("k1")));
    ms_read_end(txn);
    assert_ok(ms_read_begin(t->store, &txn, &test_err));
    assert_true(ms_txn_has(txn, ms_view_str("k1")));
    assert_false(ms_txn_has(txn, ms_view_str("k2")));
    ms_read_end(txn);
}

static void an_operation_of_another_fencing_number_fails(void **state) {
    struct store_test *t = *state;
    struct ms_write w = {.fn = fail_late_op, .fence = ms_store_fence(t->store) + 1};

    assert_true(ms_store_fence(t->store) > 0);
    assert_code(ms_store_write(t->store, &w, &test_err), MS_FENCED);
    w.fence--;
    assert_code(ms_store_write(t->store, &w, &test_err), MS_QUOTA);
}

static void check_finds_nothing_in_a_sound_store(void **state) {
    struct store_test *t = *state;

    assert_ok(store_test_put_many(t->store, 3000, &test_err));
    assert_ok(ms_store_check(t->store, NULL, NULL, &test_err));
}

static void a_copy_is_a_store(void **state) {
    struct store_test *t = *state;
    char *to = ms_test_path(t->dir, "copy"), *text;

    assert_ok(store_test_put_many(t->store, 300, &test_err));
    assert_code(ms_store_copy(t->store, t->dir, &test_err), MS_NOT_EMPTY);
    assert_code(ms_store_copy(t->store, to, &test_err), MS_NOT_FOUND);
    assert_int_equal(mkdir(to, 0700), 0);
    assert_ok(ms_store_copy(t->store, to, &test_err));
    store_test_close(t);
    t->options.dir = to;
    t->options.create = false;
    store_test_open(t);
    free(to);
    text = store_test_get(t->store, "k299");
    assert_string_equal(text, "x");
    free(text);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, store_test_setup, store_test_teardown)
    const struct CMUnitTest tests[] = {
        T(a_record_is_there_after_a_write_and_after_opening_again),
        T(scans_go_both_ways_within_their_bounds),
        T(a_scan_does_not_reach_the_stores_own_rows),
        T(deleting_while_scanning_goes_on_behind_the_last_key),
        T(a_failing_operation_leaves_nothing),
        T(the_first_write_error_sticks),
        T(instants_never_go_back),
        T(numbers_are_never_given_twice),
        T(an_operation_may_take_more_numbers_than_a_lease_holds),
        T(random_bytes_are_new_for_each_operation),
        T(a_read_has_a_cap_of_one_second),
        T(an_operation_of_another_fencing_number_fails),
        T(check_finds_nothing_in_a_sound_store),
        T(a_copy_is_a_store),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
