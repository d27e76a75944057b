#include "fake.h"

#include "object/wrap.h"

struct lines {
    struct ms_log log;
    char text[8][1024];
    size_t n;
};

static void keep_line(struct ms_log *log, enum ms_log_level level, const char *line) {
    struct lines *lines = MS_CONTAINER_OF(log, struct lines, log);

    (void)level;
    if (lines->n < 8)
        snprintf(lines->text[lines->n++], 1024, "%s", line);
}

static enum ms_code answer(struct fake *fake, struct ms_obj_request *r) {
    (void)fake;
    return strcmp(r->key, "bad") == 0 ? MS_UNAVAILABLE : MS_OK;
}

static void each_call_is_one_line(void **state) {
    struct lines lines = {.log = {.write = keep_line, .level = MS_LOG_DEBUG}};
    struct ms_obj_options o = {.log = &lines.log};
    struct ms_engine *engine = engine_new(1);
    struct ms_obj_request good = put_request("a b", "12345"), bad = {.op = MS_OBJ_HEAD, .key = "bad"};
    struct ms_obj *obj = NULL;
    struct fake fake;

    (void)state;
    fake_init(&fake, engine);
    fake.answer = answer;
    assert_ok(ms_wrap_trace(&o, &fake.obj, &obj, &test_err));
    assert_ok(ms_obj_run(obj, &good, &test_err));
    assert_code(ms_obj_run(obj, &bad, &test_err), MS_UNAVAILABLE);
    ms_obj_close(obj);
    ms_engine_free(engine);
    assert_int_equal(lines.n, 2);
    assert_non_null(strstr(lines.text[0], "op=PUT key=\"a b\""));
    assert_non_null(strstr(lines.text[0], "bytes=5 us="));
    assert_non_null(strstr(lines.text[1], "op=HEAD key=bad"));
    assert_non_null(strstr(lines.text[1], "UNAVAILABLE"));
    assert_non_null(strstr(lines.text[1], "the fake says so"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_is_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
