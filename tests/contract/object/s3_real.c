/* s3_real.c — what a real Ceph RGW says to the driver s3 when something is wrong, and over TLS; run by ceph.sh. */
#include "support/test.h"

#include "object/drv_s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct rig {
    struct ms_engine *engine;
    struct ms_obj *obj;
    char url[1024];
};

static const char *need(const char *name) {
    const char *value = getenv(name);

    if (!value || !*value) {
        print_message("%s is not set: run by tests/support/ceph.sh\n", name);
        abort();
    }
    return value;
}

static int setup(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);

    *state = rig;
    return ms_engine_new(2, &rig->engine, &test_err) != MS_OK;
}

static int teardown(void **state) {
    struct rig *rig = *state;

    ms_obj_close(rig->obj);
    ms_engine_free(rig->engine);
    free(rig);
    setenv("AWS_ACCESS_KEY_ID", "testkey", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "testsecret", 1);
    return 0;
}

static enum ms_code open_store(struct rig *rig, const char *bucket, const char *endpoint, const char *options) {
    struct ms_obj_options o = {.url = rig->url, .engine = rig->engine, .random = ms_random_system()};

    ms_obj_close(MS_TAKE(rig->obj));
    snprintf(rig->url, sizeof rig->url, "s3://%s/real-%d?endpoint=%s%s", bucket, (int)getpid(), endpoint, options);
    return ms_drv_s3_open(&o, rig->url + 3, &rig->obj, &test_err);
}

static enum ms_code put(struct rig *rig, const char *text) {
    struct ms_obj_request r = {
        .op = MS_OBJ_PUT, .key = "k", .body = {.memory = ms_view_str(text), .length = strlen(text)}};

    return ms_obj_run(rig->obj, &r, &test_err);
}

static enum ms_code simple(struct rig *rig, enum ms_obj_op op) {
    struct ms_obj_request r = {.op = op, .key = "k", .list_max = 10};
    enum ms_code code;

    if (op == MS_OBJ_LIST)
        r.key = NULL;
    code = ms_obj_run(rig->obj, &r, &test_err);
    ms_obj_drop_results(&r);
    ms_buf_fini(&r.ret_meta);
    return code;
}

/* There and back again, and away. */
static void assert_works(struct rig *rig) {
    char into[5] = "";
    struct ms_obj_request get = {.op = MS_OBJ_GET, .key = "k", .into = into, .length = 5};

    assert_ok(put(rig, "bytes"));
    assert_ok(ms_obj_run(rig->obj, &get, &test_err));
    assert_memory_equal(into, "bytes", 5);
    assert_ok(simple(rig, MS_OBJ_HEAD));
    assert_ok(simple(rig, MS_OBJ_LIST));
    assert_ok(simple(rig, MS_OBJ_DELETE));
    assert_code(simple(rig, MS_OBJ_HEAD), MS_NOT_FOUND);
}

static void assert_told(const char *part) {
    if (!strstr(test_err.message, part))
        print_message("'%s' is not in: %s\n", part, test_err.message);
    assert_non_null(strstr(test_err.message, part));
}

static void tls_with_a_certificate_that_is_named(void **state) {
    struct rig *rig = *state;
    char options[512];

    snprintf(options, sizeof options, "&ca=%s", need("MS_CEPH_CA"));
    assert_ok(open_store(rig, "ms-tests", need("MS_CEPH_TLS_ENDPOINT"), options));
    assert_works(rig);
}

static void tls_with_a_certificate_that_is_not_trusted_is_refused(void **state) {
    struct rig *rig = *state;

    assert_ok(open_store(rig, "ms-tests", need("MS_CEPH_TLS_ENDPOINT"), ""));
    for (int i = 0; i < 7; i++) { /* the reason is never hidden behind "cannot be reached" */
        assert_code(put(rig, "x"), MS_DENIED);
        assert_told("certificate");
        assert_told("ca=");
    }
}

static void tls_to_another_name_is_refused(void **state) {
    struct rig *rig = *state;
    char endpoint[128], options[512];
    const char *port = strrchr(need("MS_CEPH_TLS_ENDPOINT"), ':');

    snprintf(endpoint, sizeof endpoint, "https://other.localhost%s", port);
    snprintf(options, sizeof options, "&ca=%s", need("MS_CEPH_CA"));
    assert_ok(open_store(rig, "ms-tests", endpoint, options));
    assert_code(put(rig, "x"), MS_DENIED);
    assert_told("other.localhost");
}

static void tls_to_a_port_without_it_is_unavailable(void **state) {
    struct rig *rig = *state;
    char endpoint[128];

    snprintf(endpoint, sizeof endpoint, "https://127.0.0.1%s", strrchr(need("MS_CEPH_ENDPOINT"), ':'));
    assert_ok(open_store(rig, "ms-tests", endpoint, ""));
    assert_code(put(rig, "x"), MS_UNAVAILABLE);
}

/* "ms-tests.localhost": libcurl itself knows where that is. */
static void the_bucket_may_stand_in_the_name_of_the_host(void **state) {
    struct rig *rig = *state;
    char endpoint[128], options[512];

    snprintf(endpoint, sizeof endpoint, "http://localhost%s", strrchr(need("MS_CEPH_ENDPOINT"), ':'));
    assert_ok(open_store(rig, "ms-tests", endpoint, "&style=virtual"));
    assert_works(rig);
    snprintf(endpoint, sizeof endpoint, "https://localhost%s", strrchr(need("MS_CEPH_TLS_ENDPOINT"), ':'));
    snprintf(options, sizeof options, "&style=virtual&ca=%s", need("MS_CEPH_CA"));
    assert_ok(open_store(rig, "ms-tests", endpoint, options));
    assert_works(rig);
}

static void wrong_keys_are_named(void **state) {
    struct rig *rig = *state;

    setenv("AWS_SECRET_ACCESS_KEY", "wrong", 1);
    assert_ok(open_store(rig, "ms-tests", need("MS_CEPH_ENDPOINT"), ""));
    assert_code(put(rig, "x"), MS_DENIED);
    assert_told("SignatureDoesNotMatch");
    assert_code(simple(rig, MS_OBJ_HEAD), MS_DENIED);
    assert_told("SignatureDoesNotMatch");
    setenv("AWS_ACCESS_KEY_ID", "nobody", 1);
    assert_ok(open_store(rig, "ms-tests", need("MS_CEPH_ENDPOINT"), ""));
    assert_code(put(rig, "x"), MS_DENIED);
    assert_told("InvalidAccessKeyId");
}

static void a_bucket_that_is_missing_is_named(void **state) {
    struct rig *rig = *state;
    struct ms_obj_options o = {.url = rig->url, .engine = rig->engine, .random = ms_random_system(), .tries_max = 1};
    struct ms_obj *obj = NULL;

    assert_ok(open_store(rig, "no-such-bucket", need("MS_CEPH_ENDPOINT"), ""));
    assert_code(put(rig, "x"), MS_CONFIG);
    assert_told("NoSuchBucket");
    assert_told("no-such-bucket must be made first");
    /* Opening a store says so too, and not that a marker is missing. */
    memset(&o.store_id, 7, sizeof o.store_id);
    assert_code(ms_obj_open(&o, &obj, &test_err), MS_CONFIG);
    assert_told("no-such-bucket must be made first");
}

static void a_clock_that_is_off_is_corrected(void **state) {
    static const int64_t offs_ms[] = {20 * 60000, -20 * 60000, INT64_C(86400000) * 3};
    struct rig *rig = *state;

    for (size_t i = 0; i < MS_ARRAY_LEN(offs_ms); i++) {
        int64_t left;

        assert_ok(open_store(rig, "ms-tests", need("MS_CEPH_ENDPOINT"), ""));
        __atomic_store_n(&ms_s3_of(rig->obj)->skew_ms, offs_ms[i], __ATOMIC_SEQ_CST);
        assert_works(rig);
        left = __atomic_load_n(&ms_s3_of(rig->obj)->skew_ms, __ATOMIC_SEQ_CST);
        assert_true(llabs(left) < 60000);
        /* Where the first to meet it has no body. */
        __atomic_store_n(&ms_s3_of(rig->obj)->skew_ms, offs_ms[i], __ATOMIC_SEQ_CST);
        assert_code(simple(rig, MS_OBJ_HEAD), MS_NOT_FOUND);
    }
}

static void nobody_there(void **state) {
    struct rig *rig = *state;

    assert_ok(open_store(rig, "ms-tests", "http://127.0.0.1:1", ""));
    assert_code(put(rig, "x"), MS_UNAVAILABLE);
    assert_told("127.0.0.1");
    assert_ok(open_store(rig, "ms-tests", "http://no-such-name.invalid", ""));
    assert_code(put(rig, "x"), MS_UNAVAILABLE);
    assert_told("no-such-name.invalid");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
        CASE(tls_with_a_certificate_that_is_named),
        CASE(tls_with_a_certificate_that_is_not_trusted_is_refused),
        CASE(tls_to_another_name_is_refused),
        CASE(tls_to_a_port_without_it_is_unavailable),
        CASE(the_bucket_may_stand_in_the_name_of_the_host),
        CASE(wrong_keys_are_named),
        CASE(a_bucket_that_is_missing_is_named),
        CASE(a_clock_that_is_off_is_corrected),
        CASE(nobody_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
