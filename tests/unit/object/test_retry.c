#include "fake.h"

#include "object/wrap.h"

struct rig {
    struct ms_engine *engine;
    struct ms_random_seeded random;
    struct fake fake;
    struct ms_obj *obj;
};

static int rig_new(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct ms_obj_options o = {.tries_max = 4};

    rig->engine = engine_new(2);
    ms_random_seeded_init(&rig->random, 3);
    o.random = &rig->random.random;
    fake_init(&rig->fake, rig->engine);
    *state = rig;
    return ms_wrap_retry(&o, &rig->fake.obj, &rig->obj, NULL) != MS_OK;
}

static int rig_free(void **state) {
    struct rig *rig = *state;

    ms_obj_close(rig->obj);
    ms_engine_free(rig->engine);
    ms_random_seeded_fini(&rig->random);
    free(rig);
    return 0;
}

/* priv: how often it fails first, and how. */
struct plan {
    int failures;
    enum ms_code code;
};

static enum ms_code fail_first(struct fake *fake, struct ms_obj_request *r) {
    const struct plan *plan = fake->priv;

    if (fake_calls(fake) <= plan->failures)
        return plan->code;
    snprintf(r->ret_etag, sizeof r->ret_etag, "etag");
    return MS_OK;
}

static enum ms_code put(struct rig *rig, int failures, enum ms_code code) {
    struct plan plan = {failures, code};
    struct ms_obj_request r = put_request("k", "x");
    enum ms_code got;

    rig->fake.calls = 0;
    rig->fake.answer = fail_first;
    rig->fake.priv = &plan;
    got = ms_obj_run(rig->obj, &r, &test_err);
    if (got == MS_OK)
        assert_string_equal(r.ret_etag, "etag");
    return got;
}

static void what_may_pass_is_tried_again(void **state) {
    static const enum ms_code codes[] = {MS_UNAVAILABLE, MS_TIMEOUT, MS_THROTTLED, MS_IO,
                                          MS_PROTOCOL};
    struct rig *rig = *state;

    for (size_t i = 0; i < MS_ARRAY_LEN(codes); i++) {
        assert_int_equal(put(rig, 2, codes[i]), MS_OK);
        assert_int_equal(fake_calls(&rig->fake), 3);
    }
}

static void nothing_else_is_tried_again(void **state) {
    struct rig *rig = *state;

    for (unsigned code = MS_OK + 1; code < MS_CODE_COUNT; code++) {
        if (code == MS_UNAVAILABLE || code == MS_TIMEOUT || code == MS_THROTTLED || code == MS_IO ||
            code == MS_PROTOCOL)
            continue;
        assert_int_equal(put(rig, 1, code), code);
        assert_int_equal(fake_calls(&rig->fake), 1);
    }
}

static void tries_are_bounded_and_counted(void **state) {
    struct rig *rig = *state;

    assert_int_equal(put(rig, 100, MS_UNAVAILABLE), MS_UNAVAILABLE);
    assert_int_equal(fake_calls(&rig->fake), 4);
    assert_non_null(strstr(test_err.message, "the fake says so (4 tries"));
    /* What makes no sense may be damage on the way, or the store's way. */
    assert_int_equal(put(rig, 100, MS_PROTOCOL), MS_PROTOCOL);
    assert_int_equal(fake_calls(&rig->fake), 3);
    assert_non_null(strstr(test_err.message, "the fake says so (3 tries"));
}

static void a_deadline_leaves_no_time_for_pauses_beyond_it(void **state) {
    struct rig *rig = *state;
    struct plan plan = {100, MS_UNAVAILABLE};
    struct ms_obj_request r = put_request("k", "x");

    rig->fake.answer = fail_first;
    rig->fake.priv = &plan;
    r.timeout_ms = 1;
    assert_code(ms_obj_run(rig->obj, &r, &test_err), MS_UNAVAILABLE);
    assert_true(fake_calls(&rig->fake) <= 4);
}

static void each_try_gets_what_is_left_of_the_time(void **state) {
    struct rig *rig = *state;
    struct plan plan = {1, MS_UNAVAILABLE};
    struct ms_obj_request r = put_request("k", "x");

    rig->fake.answer = fail_first;
    rig->fake.priv = &plan;
    r.timeout_ms = 60000;
    assert_ok(ms_obj_run(rig->obj, &r, &test_err));
    assert_int_equal(fake_calls(&rig->fake), 2);
    assert_true(rig->fake.last_timeout_ms > 0 && rig->fake.last_timeout_ms <= 60000);
}

static enum ms_code ask_for_patience(struct fake *fake, struct ms_obj_request *r) {
    const int64_t *ms = fake->priv;

    if (fake_calls(fake) > 1)
        return MS_OK;
    r->ret_retry_after_ms = *ms;
    return MS_THROTTLED;
}

static int64_t patience(struct rig *rig, int64_t ms, int64_t timeout_ms, enum ms_code want) {
    struct ms_obj_request r = put_request("k", "x");
    int64_t began = ms_clock_mono_ns(ms_clock_system());

    rig->fake.calls = 0;
    rig->fake.answer = ask_for_patience;
    rig->fake.priv = &ms;
    r.timeout_ms = timeout_ms;
    assert_code(ms_obj_run(rig->obj, &r, &test_err), want);
    return (ms_clock_mono_ns(ms_clock_system()) - began) / 1000000;
}

static void a_store_that_asks_for_patience_gets_it(void **state) {
    struct rig *rig = *state;

    assert_true(patience(rig, 700, 0, MS_OK) >= 700);
    assert_int_equal(fake_calls(&rig->fake), 2);
    /* More than there is time for: it ends at once, and says why. */
    (void)patience(rig, 600000, 15000, MS_THROTTLED);
    assert_int_equal(fake_calls(&rig->fake), 1);
    assert_true(rig->fake.last_timeout_ms == 15000);
}

static void a_pause_ends_when_it_is_cancelled(void **state) {
    struct rig *rig = *state;
    struct plan plan = {1000, MS_UNAVAILABLE};
    unsigned cancelled = 0, other = 0;
    enum ms_code code;
    struct run run;

    rig->fake.answer = fail_first;
    rig->fake.priv = &plan;
    for (int i = 0; i < 20; i++) {
        run = (struct run){.r = put_request("k", "x")};
        run_start(&run, rig->obj);
        ms_obj_cancel(rig->obj, &run.r);
        code = run_wait(&run);
        cancelled += code == MS_CANCELLED;
        other += code != MS_CANCELLED && code != MS_UNAVAILABLE; /* all tries may be over by then */
    }
    assert_int_equal(other, 0);
    assert_true(cancelled > 0);
}

/* 100 retries, and about two a second more: a store that is down costs one try each then. */
static void a_store_that_is_down_uses_the_budget_up(void **state) {
    struct rig *rig = *state;
    struct plan plan = {1000000, MS_UNAVAILABLE};
    struct run *runs = calloc(200, sizeof *runs);
    int64_t began = ms_clock_mono_ns(ms_clock_system()), steps;
    unsigned refused = 0;

    rig->fake.answer = fail_first;
    rig->fake.priv = &plan;
    for (size_t i = 0; i < 200; i++) {
        runs[i].r = put_request("k", "x");
        run_start(&runs[i], rig->obj);
    }
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(run_wait(&runs[i]), MS_UNAVAILABLE);
        refused += strstr(runs[i].r.error.message, "too many calls fail") != NULL;
    }
    free(runs);
    /* A fifth of a retry comes back with each 100 ms. */
    steps = (ms_clock_mono_ns(ms_clock_system()) - began) / 100000000;
    assert_true(fake_calls(&rig->fake) <= 200 + 100 + steps / 5 + 1);
    assert_true(refused > 0 || steps > 500);
    /* And a success is still one. */
    assert_int_equal(put(rig, 0, MS_OK), MS_OK);
}

static void closing_closes_what_is_wrapped(void **state) {
    struct ms_engine *engine = engine_new(1);
    struct ms_obj_options o = {.random = ms_random_system()};
    struct ms_obj *obj = NULL;
    struct fake fake;

    (void)state;
    fake_init(&fake, engine);
    assert_ok(ms_wrap_retry(&o, &fake.obj, &obj, &test_err));
    ms_obj_close(obj);
    assert_int_equal(fake.closed, 1);
    ms_engine_free(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_may_pass_is_tried_again, rig_new, rig_free),
        cmocka_unit_test_setup_teardown(nothing_else_is_tried_again, rig_new, rig_free),
        cmocka_unit_test_setup_teardown(tries_are_bounded_and_counted, rig_new, rig_free),
        cmocka_unit_test_setup_teardown(a_deadline_leaves_no_time_for_pauses_beyond_it, rig_new,
                                        rig_free),
        cmocka_unit_test_setup_teardown(each_try_gets_what_is_left_of_the_time, rig_new, rig_free),
        cmocka_unit_test_setup_teardown(a_store_that_asks_for_patience_gets_it, rig_new, rig_free),
        cmocka_unit_test_setup_teardown(a_pause_ends_when_it_is_cancelled, rig_new, rig_free),
        cmocka_unit_test_setup_teardown(a_store_that_is_down_uses_the_budget_up, rig_new, rig_free),
        cmocka_unit_test(closing_closes_what_is_wrapped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
