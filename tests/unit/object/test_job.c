/* Queue, deadline and cancelling of drivers whose work blocks. */
#include "fake.h"

#include <fcntl.h>
#include <unistd.h>

struct slow {
    struct ms_job_obj job;
    struct ms_latch began, go;
    int ran;
};

/* Runs until it is let go, then looks at the clock as a driver does between two steps. */
static enum ms_code run_slow(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    struct slow *slow = MS_CONTAINER_OF(obj, struct slow, job.obj);

    __atomic_add_fetch(&slow->ran, 1, __ATOMIC_SEQ_CST);
    ms_latch_open(&slow->began);
    ms_latch_wait(&slow->go);
    return ms_job_go_on(r, reterr);
}

static enum ms_code run_list(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    (void)obj;
    r->ret_entries = calloc(1, sizeof *r->ret_entries);
    r->ret_n = 1;
    return ms_fail(reterr, MS_IO, "after it allocated");
}

static void slow_init(struct slow *slow) {
    static const struct ms_obj_ops ops = {"slow", ms_job_submit, ms_job_cancel, NULL};

    *slow = (struct slow){.job = {.obj = {.ops = &ops, .caps = {.put_bytes_max = 1000}}}};
    slow->job.obj.engine = engine_new(1);
    slow->job.run[MS_OBJ_DELETE] = run_slow;
    slow->job.run[MS_OBJ_LIST] = run_list;
    ms_latch_init(&slow->began);
    ms_latch_init(&slow->go);
}

static void a_queued_request_ends_at_its_deadline(void **state) {
    struct run first = {.r = {.op = MS_OBJ_DELETE, .key = "a"}};
    struct run second = {.r = {.op = MS_OBJ_DELETE, .key = "b", .timeout_ms = 20}};
    struct slow slow;

    (void)state;
    slow_init(&slow);
    run_start(&first, &slow.job.obj);
    ms_latch_wait(&slow.began);
    run_start(&second, &slow.job.obj);
    assert_int_equal(run_wait(&second), MS_TIMEOUT); /* while the only thread is busy */
    assert_non_null(strstr(second.r.error.message, "20 ms"));
    ms_latch_open(&slow.go);
    assert_int_equal(run_wait(&first), MS_OK);
    ms_engine_free(slow.job.obj.engine);
    assert_int_equal(slow.ran, 1);
}

static void a_running_request_ends_at_the_next_step_behind_its_deadline(void **state) {
    struct run run = {.r = {.op = MS_OBJ_DELETE, .key = "a", .timeout_ms = 5}};
    struct slow slow;

    (void)state;
    slow_init(&slow);
    run_start(&run, &slow.job.obj);
    ms_latch_wait(&slow.began);
    ms_clock_sleep_ns(20 * 1000000);
    ms_latch_open(&slow.go);
    assert_int_equal(run_wait(&run), MS_TIMEOUT);
    ms_engine_free(slow.job.obj.engine);
}

static void a_queued_request_is_cancelled_at_once(void **state) {
    struct run first = {.r = {.op = MS_OBJ_DELETE, .key = "a"}};
    struct run second = {.r = {.op = MS_OBJ_DELETE, .key = "b"}};
    struct slow slow;

    (void)state;
    slow_init(&slow);
    run_start(&first, &slow.job.obj);
    ms_latch_wait(&slow.began);
    run_start(&second, &slow.job.obj);
    ms_obj_cancel(&slow.job.obj, &second.r);
    assert_int_equal(run_wait(&second), MS_CANCELLED);
    ms_latch_open(&slow.go);
    assert_int_equal(run_wait(&first), MS_OK);
    ms_engine_free(slow.job.obj.engine);
    assert_int_equal(slow.ran, 1);
}

static void a_running_request_is_cancelled_at_its_next_step(void **state) {
    struct run run = {.r = {.op = MS_OBJ_DELETE, .key = "a"}};
    struct slow slow;

    (void)state;
    slow_init(&slow);
    run_start(&run, &slow.job.obj);
    ms_latch_wait(&slow.began);
    ms_obj_cancel(&slow.job.obj, &run.r);
    ms_latch_open(&slow.go);
    assert_int_equal(run_wait(&run), MS_CANCELLED);
    ms_engine_free(slow.job.obj.engine);
}

static void a_failure_leaves_no_results_behind(void **state) {
    struct ms_obj_request r = {.op = MS_OBJ_LIST, .list_max = 1};
    struct slow slow;

    (void)state;
    slow_init(&slow);
    assert_code(ms_obj_run(&slow.job.obj, &r, &test_err), MS_IO);
    assert_null(r.ret_entries);
    assert_int_equal(r.ret_n, 0);
    ms_engine_free(slow.job.obj.engine);
}

/* Deadlines that pass while the work ends: nobody may touch the request afterwards (seen by the sanitizers). */
static void deadlines_and_ends_may_meet(void **state) {
    struct ms_engine *engine = engine_new(2);
    struct ms_random_seeded random;
    struct ms_obj_options o = {.url = "mem:", .engine = engine};
    struct ms_obj *obj = NULL;
    unsigned ok = 0, late = 0;

    (void)state;
    ms_random_seeded_init(&random, 1);
    o.random = &random.random;
    assert_ok(ms_obj_open(&o, &obj, &test_err));
    for (int i = 0; i < 300; i++) {
        struct run *runs = calloc(8, sizeof *runs);

        for (int j = 0; j < 8; j++) {
            runs[j].r = put_request("k", "x");
            runs[j].r.timeout_ms = 1;
            run_start(&runs[j], obj);
        }
        for (int j = 0; j < 8; j++) {
            enum ms_code code = run_wait(&runs[j]);

            ok += code == MS_OK;
            late += code == MS_TIMEOUT;
        }
        free(runs);
    }
    ms_obj_close(obj);
    ms_engine_free(engine);
    ms_random_seeded_fini(&random);
    assert_int_equal(ok + late, 300 * 8);
}

/* ---- bodies ---- */

static void a_body_comes_in_steps_of_a_mebibyte(void **state) {
    static unsigned char bytes[2 * MS_BODY_STEP + 5];
    struct ms_obj_body body = {.memory = {bytes, sizeof bytes}, .length = sizeof bytes};
    struct ms_body_reader reader = {.body = &body};
    struct ms_view view;

    (void)state;
    assert_ok(ms_body_next(&reader, &view, &test_err));
    assert_int_equal(view.n, MS_BODY_STEP);
    assert_ok(ms_body_next(&reader, &view, &test_err));
    assert_ptr_equal(view.p, bytes + MS_BODY_STEP);
    assert_ok(ms_body_next(&reader, &view, &test_err));
    assert_int_equal(view.n, 5);
    assert_ok(ms_body_next(&reader, &view, &test_err));
    assert_int_equal(view.n, 0);
    ms_body_fini(&reader);
}

static void a_body_of_a_bad_descriptor_is_an_error(void **state) {
    struct ms_obj_body body = {.fd = -1, .length = 10};
    struct ms_body_reader reader = {.body = &body};
    struct ms_view view;

    (void)state;
    assert_true(ms_body_next(&reader, &view, &test_err) != MS_OK);
    ms_body_fini(&reader);
}

/* ---- defaults ---- */

static void the_time_grows_with_the_bytes(void **state) {
    struct ms_obj_request r = {.op = MS_OBJ_PUT};

    (void)state;
    assert_int_equal(ms_obj_timeout_ms(&r), 60000);
    r.body.length = 5 * MS_GB;
    assert_int_equal(ms_obj_timeout_ms(&r), 60000 + 5 * 1024 * 1000);
    r = (struct ms_obj_request){.op = MS_OBJ_GET, .length = 128 * MS_MB};
    assert_int_equal(ms_obj_timeout_ms(&r), 60000 + 128 * 1000);
    r.timeout_ms = 7;
    assert_int_equal(ms_obj_timeout_ms(&r), 7);
    r = (struct ms_obj_request){.op = MS_OBJ_MP_COMPLETE};
    assert_int_equal(ms_obj_timeout_ms(&r), 15 * 60000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queued_request_ends_at_its_deadline),
        cmocka_unit_test(a_running_request_ends_at_the_next_step_behind_its_deadline),
        cmocka_unit_test(a_queued_request_is_cancelled_at_once),
        cmocka_unit_test(a_running_request_is_cancelled_at_its_next_step),
        cmocka_unit_test(a_failure_leaves_no_results_behind),
        cmocka_unit_test(deadlines_and_ends_may_meet),
        cmocka_unit_test(a_body_comes_in_steps_of_a_mebibyte),
        cmocka_unit_test(a_body_of_a_bad_descriptor_is_an_error),
        cmocka_unit_test(the_time_grows_with_the_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
