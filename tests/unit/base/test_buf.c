#include "support/test.h"

#include "base/buf.h"

#include <stdio.h>

static void bytes_come_out_as_they_went_in(void **state) {
    struct ms_buf buf = {0};

    (void)state;
    for (int i = 0; i < 10000; i++)
        assert_ok(ms_buf_add(&buf, &(uint8_t){(uint8_t)i}, 1, &test_err));
    assert_int_equal(buf.len, 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(buf.data[i], (uint8_t)i);
    assert_int_equal(buf.data[buf.len], 0);
    ms_buf_fini(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.len, 0);
    ms_buf_fini(&buf);
}

static void the_maximum_is_exact_and_a_refusal_changes_nothing(void **state) {
    (void)state;
    for (size_t max = 1; max <= 200; max++) {
        struct ms_buf buf = MS_BUF_MAX(max);
        char bytes[201];

        memset(bytes, 'x', sizeof bytes);
        assert_code(ms_buf_add(&buf, bytes, max + 1, &test_err), MS_RANGE);
        assert_int_equal(buf.len, 0);
        assert_ok(ms_buf_add(&buf, bytes, max, &test_err));
        assert_code(ms_buf_add(&buf, bytes, 1, &test_err), MS_RANGE);
        assert_code(ms_buf_addf(&buf, &test_err, "%d", 1), MS_RANGE);
        assert_code(ms_buf_reserve(&buf, SIZE_MAX, &test_err), MS_RANGE);
        assert_ok(ms_buf_add(&buf, NULL, 0, &test_err));
        assert_ok(ms_buf_addf(&buf, &test_err, "%s", ""));
        assert_int_equal(buf.len, max);
        assert_memory_equal(buf.data, bytes, max);
        assert_int_equal(strlen((char *)buf.data), max);
        ms_buf_fini(&buf);
        assert_int_equal(buf.max, max);
    }
}

static void no_maximum_means_one_mebibyte(void **state) {
    struct ms_buf buf = {0};

    (void)state;
    assert_ok(ms_buf_reserve(&buf, MS_BUF_MAX_DEFAULT, &test_err));
    assert_code(ms_buf_reserve(&buf, MS_BUF_MAX_DEFAULT + 1, &test_err), MS_RANGE);
    ms_buf_fini(&buf);
}

static void formatted_text_is_appended_whole(void **state) {
    struct ms_buf buf = {0};
    char want[5000] = "";

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_ok(ms_buf_addf(&buf, &test_err, "%d,", i));
        snprintf(want + strlen(want), sizeof want - strlen(want), "%d,", i);
    }
    assert_string_equal((char *)buf.data, want);
    ms_buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    assert_string_equal((char *)buf.data, "");
    assert_ok(ms_buf_addf(&buf, &test_err, "%s", "again"));
    assert_string_equal((char *)buf.data, "again");
    ms_buf_fini(&buf);
}

static void clearing_an_empty_buffer_is_nothing(void **state) {
    struct ms_buf buf = {0};

    (void)state;
    ms_buf_clear(&buf);
    assert_null(buf.data);
    assert_int_equal(ms_buf_view(&buf).n, 0);
}

static void views_are_equal_by_their_bytes(void **state) {
    (void)state;
    assert_true(ms_view_equal(ms_view_str("abc"), ms_view_of("abcd", 3)));
    assert_false(ms_view_equal(ms_view_str("abc"), ms_view_str("abd")));
    assert_false(ms_view_equal(ms_view_str("abc"), ms_view_str("abcd")));
    assert_true(ms_view_equal(ms_view_of(NULL, 0), ms_view_str("")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_as_they_went_in),
        cmocka_unit_test(the_maximum_is_exact_and_a_refusal_changes_nothing),
        cmocka_unit_test(no_maximum_means_one_mebibyte),
        cmocka_unit_test(formatted_text_is_appended_whole),
        cmocka_unit_test(clearing_an_empty_buffer_is_nothing),
        cmocka_unit_test(views_are_equal_by_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
