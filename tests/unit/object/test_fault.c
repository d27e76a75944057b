#include "fake.h"

#include "object/wrap.h"
#include "object/wrap_fault.h"

#include <pthread.h>
#include <unistd.h>

struct rig {
    struct ms_engine *engine;
    struct fake fake;
    struct ms_obj *obj;
};

static int rig_new(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct ms_obj_options o = {.faults = ""};

    rig->engine = engine_new(2);
    fake_init(&rig->fake, rig->engine);
    *state = rig;
    return ms_wrap_fault(&o, &rig->fake.obj, &rig->obj, NULL) != MS_OK;
}

static int rig_free(void **state) {
    struct rig *rig = *state;

    ms_obj_close(rig->obj);
    ms_engine_free(rig->engine);
    free(rig);
    return 0;
}

static enum ms_code script(struct rig *rig, const char *text) {
    rig->fake.calls = 0;
    return ms_fault_script(rig->obj, text, &test_err);
}

static enum ms_code put(struct rig *rig) {
    struct ms_obj_request r = put_request("k", "x");

    return ms_obj_run(rig->obj, &r, &test_err);
}

static enum ms_code head(struct rig *rig) {
    struct ms_obj_request r = {.op = MS_OBJ_HEAD, .key = "k"};

    return ms_obj_run(rig->obj, &r, &test_err);
}

/* ---- scripts ---- */

static void scripts_of_the_manual_can_be_read(void **state) {
    static const char *const good[] = {
        "",
        " , ,, ",
        "PUT:2:fail-before,GET:*:delay=500ms,MP_PUT:3:fail-after,GET:1:short,GET:1:flip,*:5%:fail-before seed=7",
        "seed=0",
        "*:*:fail-before=THROTTLED",
        "LIST:3+:hang",
        "DELETE_MANY:2-4:fail-after=IO",
        "MP_COMPLETE:1:hold=/tmp/a-gate",
        "PUT:0%:hang GET:100%:flip",
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(good); i++)
        assert_ok(script(*state, good[i]));
}

static void what_cannot_be_read_is_named(void **state) {
    static const char *const bad[] = {
        "PUT", "PUT:1", "PUT:1:", "PUT::fail-before", "POST:1:fail-before", "put:1:hang",
        "PUT:0:hang", "PUT:x:hang", "PUT:1x:hang", "PUT:5-4:hang", "PUT:0-4:hang", "PUT:-4:hang",
        "PUT:101%:hang", "PUT:%:hang", "PUT:+:hang", "PUT:1:explode", "PUT:1:hang=1",
        "PUT:1:fail-before=", "PUT:1:fail-before=OK", "PUT:1:fail-before=NOTHING", "PUT:1:delay",
        "PUT:1:delay=", "PUT:1:delay=soon", "PUT:1:hold", "PUT:1:hold=relative", "PUT:1:short=1",
        "seed=", "seed=x", "PUT:99999999999999999999:hang", "PUT:1:hang;GET:1:hang"};

    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        struct ms_error err = {0};

        assert_int_equal(ms_fault_script(((struct rig *)*state)->obj, bad[i], &err), MS_CONFIG);
        assert_non_null(strstr(err.message, bad[i]));
    }
}

static void a_bad_script_leaves_the_old_one(void **state) {
    struct rig *rig = *state;

    assert_ok(script(rig, "PUT:*:fail-before"));
    assert_code(script(rig, "nonsense"), MS_CONFIG);
    assert_int_equal(put(rig), MS_UNAVAILABLE);
}

/* ---- which calls ---- */

static void the_nth_call_is_meant(void **state) {
    struct rig *rig = *state;

    assert_ok(script(rig, "PUT:2:fail-before"));
    assert_int_equal(head(rig), MS_OK); /* another operation does not count */
    assert_int_equal(put(rig), MS_OK);
    assert_int_equal(put(rig), MS_UNAVAILABLE);
    assert_int_equal(put(rig), MS_OK);
    assert_int_equal(ms_fault_calls(rig->obj, MS_OBJ_PUT), 3);
    assert_int_equal(ms_fault_calls(rig->obj, MS_OBJ_OP_COUNT), 4);
    assert_int_equal(fake_calls(&rig->fake), 3);
}

static void ranges_of_calls_are_meant(void **state) {
    struct rig *rig = *state;
    static const enum ms_code want[] = {MS_OK, MS_IO, MS_IO, MS_OK, MS_THROTTLED, MS_THROTTLED};

    assert_ok(script(rig, "PUT:2-3:fail-before=IO,PUT:5+:fail-before=THROTTLED"));
    for (size_t i = 0; i < MS_ARRAY_LEN(want); i++)
        assert_int_equal(put(rig), want[i]);
}

static void a_star_counts_all_operations(void **state) {
    struct rig *rig = *state;

    assert_ok(script(rig, "*:2:fail-before"));
    assert_int_equal(put(rig), MS_OK);
    assert_int_equal(head(rig), MS_UNAVAILABLE);
    assert_int_equal(head(rig), MS_OK);
}

static unsigned failures_of_1000(struct rig *rig, const char *text) {
    unsigned failed = 0;

    assert_ok(script(rig, text));
    for (int i = 0; i < 1000; i++)
        failed += put(rig) != MS_OK;
    return failed;
}

static void a_part_of_the_calls_is_the_same_for_the_same_seed(void **state) {
    struct rig *rig = *state;
    unsigned a = failures_of_1000(rig, "PUT:20%:fail-before seed=7");

    assert_in_range(a, 120, 280);
    assert_int_equal(failures_of_1000(rig, "seed=7,PUT:20%:fail-before"), a);
    assert_int_equal(failures_of_1000(rig, "PUT:0%:fail-before"), 0);
    assert_int_equal(failures_of_1000(rig, "PUT:100%:fail-before"), 1000);
}

/* ---- actions ---- */

static void before_and_after_differ_in_what_the_store_saw(void **state) {
    struct rig *rig = *state;

    assert_ok(script(rig, "PUT:1:fail-before,PUT:2:fail-after=TIMEOUT"));
    assert_int_equal(put(rig), MS_UNAVAILABLE);
    assert_int_equal(fake_calls(&rig->fake), 0);
    assert_int_equal(put(rig), MS_TIMEOUT);
    assert_int_equal(fake_calls(&rig->fake), 1);
}

static void a_delay_comes_first(void **state) {
    struct rig *rig = *state;
    int64_t begun = ms_clock_mono_ns(ms_clock_system());

    assert_ok(script(rig, "PUT:*:delay=20ms,PUT:*:delay=15ms,PUT:*:fail-before"));
    assert_int_equal(put(rig), MS_UNAVAILABLE);
    assert_true(ms_clock_mono_ns(ms_clock_system()) - begun >= 35 * 1000000);
}

static void a_delay_ends_at_the_deadline(void **state) {
    struct rig *rig = *state;
    struct ms_obj_request r = put_request("k", "x");

    assert_ok(script(rig, "PUT:*:delay=1h"));
    r.timeout_ms = 10;
    assert_code(ms_obj_run(rig->obj, &r, &test_err), MS_TIMEOUT);
    assert_int_equal(fake_calls(&rig->fake), 0);
}

static void hanging_ends_by_deadline_or_cancel(void **state) {
    struct rig *rig = *state;
    struct run late = {.r = put_request("k", "x")}, cancelled = {.r = put_request("k", "x")};

    assert_ok(script(rig, "PUT:*:hang"));
    late.r.timeout_ms = 10;
    run_start(&late, rig->obj);
    run_start(&cancelled, rig->obj);
    assert_int_equal(run_wait(&late), MS_TIMEOUT);
    ms_obj_cancel(rig->obj, &cancelled.r);
    assert_int_equal(run_wait(&cancelled), MS_CANCELLED);
    assert_int_equal(fake_calls(&rig->fake), 0);
}

static enum ms_code give_sevens(struct fake *fake, struct ms_obj_request *r) {
    (void)fake;
    memset(r->into, 7, r->length);
    r->ret_n = r->length;
    r->ret_size = r->length;
    return MS_OK;
}

static void short_says_how_short(void **state) {
    struct rig *rig = *state;
    unsigned char into[100];
    struct ms_obj_request r = {.op = MS_OBJ_GET, .key = "k", .into = into, .length = 100};

    rig->fake.answer = give_sevens;
    assert_ok(script(rig, "GET:1:short"));
    assert_ok(ms_obj_run(rig->obj, &r, &test_err));
    assert_int_equal(r.ret_n, 50);
    assert_ok(ms_obj_run(rig->obj, &r, &test_err));
    assert_int_equal(r.ret_n, 100);
}

static void flip_changes_one_bit_and_says_nothing(void **state) {
    struct rig *rig = *state;
    unsigned char into[100];
    struct ms_obj_request r = {.op = MS_OBJ_GET, .key = "k", .into = into, .length = 100};
    unsigned bits = 0;

    rig->fake.answer = give_sevens;
    assert_ok(script(rig, "GET:1:flip"));
    assert_ok(ms_obj_run(rig->obj, &r, &test_err));
    assert_int_equal(r.ret_n, 100);
    for (size_t i = 0; i < 100; i++)
        bits += (unsigned)__builtin_popcount(into[i] ^ 7u);
    assert_int_equal(bits, 1);
}

/* ---- gates ---- */

static void a_gate_holds_until_it_opens(void **state) {
    struct rig *rig = *state;
    struct run runs[12];

    ms_fault_gate(rig->obj, MS_OBJ_PUT, true);
    for (int i = 0; i < 12; i++) {
        runs[i] = (struct run){.r = put_request("k", "x")};
        run_start(&runs[i], rig->obj);
    }
    ms_fault_wait_held(rig->obj, 12);
    assert_int_equal(ms_fault_held(rig->obj), 12);
    assert_int_equal(fake_calls(&rig->fake), 0);
    assert_int_equal(head(rig), MS_OK); /* others pass */
    ms_fault_gate(rig->obj, MS_OBJ_PUT, false);
    for (int i = 0; i < 12; i++)
        assert_int_equal(run_wait(&runs[i]), MS_OK);
    assert_int_equal(ms_fault_held(rig->obj), 0);
    assert_int_equal(put(rig), MS_OK);
}

static void opening_one_gate_leaves_the_others_closed(void **state) {
    struct rig *rig = *state;
    struct run a = {.r = put_request("k", "x")}, b = {.r = {.op = MS_OBJ_HEAD, .key = "k"}};

    ms_fault_gate(rig->obj, MS_OBJ_OP_COUNT, true);
    run_start(&a, rig->obj);
    run_start(&b, rig->obj);
    ms_fault_wait_held(rig->obj, 2);
    ms_fault_gate(rig->obj, MS_OBJ_PUT, false);
    assert_int_equal(run_wait(&a), MS_OK);
    assert_int_equal(ms_fault_held(rig->obj), 1);
    ms_fault_gate(rig->obj, MS_OBJ_OP_COUNT, false);
    assert_int_equal(run_wait(&b), MS_OK);
}

static void a_held_request_ends_by_deadline_or_cancel(void **state) {
    struct rig *rig = *state;
    struct run late = {.r = put_request("k", "x")}, cancelled = {.r = put_request("k", "x")};

    ms_fault_gate(rig->obj, MS_OBJ_PUT, true);
    late.r.timeout_ms = 10;
    run_start(&late, rig->obj);
    run_start(&cancelled, rig->obj);
    ms_fault_wait_held(rig->obj, 1);
    ms_obj_cancel(rig->obj, &cancelled.r);
    assert_int_equal(run_wait(&cancelled), MS_CANCELLED);
    assert_int_equal(run_wait(&late), MS_TIMEOUT);
    assert_int_equal(ms_fault_held(rig->obj), 0);
    ms_fault_gate(rig->obj, MS_OBJ_PUT, false);
}

static void a_request_that_was_cancelled_before_is_not_held(void **state) {
    struct rig *rig = *state;
    struct ms_obj_request r = put_request("k", "x");

    ms_fault_gate(rig->obj, MS_OBJ_PUT, true);
    r.cancelled = 1;
    assert_code(ms_obj_run(rig->obj, &r, &test_err), MS_CANCELLED);
    assert_int_equal(ms_fault_held(rig->obj), 0);
}

static void a_file_is_a_gate_for_other_processes(void **state) {
    struct rig *rig = *state;
    char *dir = ms_test_tmpdir_new(), *path = ms_test_path(dir, "gate"), text[512];
    struct run held = {.r = put_request("k", "x")}, late = {.r = put_request("k", "x")};

    snprintf(text, sizeof text, "PUT:*:hold=%s", path);
    assert_ok(script(rig, text));
    assert_int_equal(put(rig), MS_OK); /* no such file */
    ms_test_write_file(path, "", 0);
    run_start(&held, rig->obj);
    late.r.timeout_ms = 30;
    run_start(&late, rig->obj);
    assert_int_equal(run_wait(&late), MS_TIMEOUT);
    assert_int_equal(fake_calls(&rig->fake), 1);
    unlink(path);
    assert_int_equal(run_wait(&held), MS_OK);
    free(path);
    ms_test_tmpdir_remove(dir);
}

/* Gates that open and close while requests come, are cancelled and run into deadlines: each ends once. */
struct opener {
    struct ms_obj *obj;
    int stop;
};

static void *open_and_close(void *arg) {
    struct opener *o = arg;

    while (!__atomic_load_n(&o->stop, __ATOMIC_SEQ_CST)) {
        ms_fault_gate(o->obj, MS_OBJ_PUT, true);
        ms_clock_sleep_ns(200000);
        ms_fault_gate(o->obj, MS_OBJ_PUT, false);
    }
    return NULL;
}

static void gates_cancels_and_deadlines_may_meet(void **state) {
    struct rig *rig = *state;
    struct opener opener = {.obj = rig->obj};
    pthread_t thread;
    unsigned odd = 0;

    assert_int_equal(pthread_create(&thread, NULL, open_and_close, &opener), 0);
    for (int round = 0; round < 100; round++) {
        struct run *runs = calloc(16, sizeof *runs);

        for (int i = 0; i < 16; i++) {
            runs[i].r = put_request("k", "x");
            runs[i].r.timeout_ms = i % 3 == 0 ? 1 : 0;
            run_start(&runs[i], rig->obj);
        }
        for (int i = 1; i < 16; i += 3)
            ms_obj_cancel(rig->obj, &runs[i].r);
        for (int i = 0; i < 16; i++) {
            enum ms_code code = run_wait(&runs[i]);

            odd += code != MS_OK && code != MS_TIMEOUT && code != MS_CANCELLED;
        }
        free(runs);
    }
    __atomic_store_n(&opener.stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(thread, NULL);
    assert_int_equal(odd, 0);
    assert_int_equal(ms_fault_held(rig->obj), 0);
}

static void the_wrapper_is_found_inside_others(void **state) {
    struct ms_engine *engine = engine_new(1);
    struct ms_obj_options o = {
        .url = "mem:", .engine = engine, .random = ms_random_system(), .trace = true};
    struct ms_obj *obj = NULL;

    (void)state;
    assert_ok(ms_obj_open(&o, &obj, &test_err));
    assert_null(ms_obj_fault_of(obj));
    ms_obj_close(obj);
    o.faults = "";
    assert_ok(ms_obj_open(&o, &obj, &test_err));
    assert_non_null(ms_obj_fault_of(obj));
    ms_obj_close(obj);
    o.faults = "no script";
    assert_code(ms_obj_open(&o, &obj, &test_err), MS_CONFIG);
    ms_engine_free(engine);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_new, rig_free)
    const struct CMUnitTest tests[] = {
        T(scripts_of_the_manual_can_be_read),
        T(what_cannot_be_read_is_named),
        T(a_bad_script_leaves_the_old_one),
        T(the_nth_call_is_meant),
        T(ranges_of_calls_are_meant),
        T(a_star_counts_all_operations),
        T(a_part_of_the_calls_is_the_same_for_the_same_seed),
        T(before_and_after_differ_in_what_the_store_saw),
        T(a_delay_comes_first),
        T(a_delay_ends_at_the_deadline),
        T(hanging_ends_by_deadline_or_cancel),
        T(short_says_how_short),
        T(flip_changes_one_bit_and_says_nothing),
        T(a_gate_holds_until_it_opens),
        T(opening_one_gate_leaves_the_others_closed),
        T(a_held_request_ends_by_deadline_or_cancel),
        T(a_request_that_was_cancelled_before_is_not_held),
        T(a_file_is_a_gate_for_other_processes),
        T(gates_cancels_and_deadlines_may_meet),
        T(the_wrapper_is_found_inside_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
