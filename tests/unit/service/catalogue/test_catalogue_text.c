#include "support/test.h"

#include "content/hash.h"
#include "sample_records.h"
#include "service/catalogue_text.h"

#include <stdlib.h>
#include <string.h>

static struct ms_buf buf = MS_BUF_MAX(1 << 20);

static struct ms_view line_of(const struct ms_buf *b) { return ms_view_of(b->data, b->len - 1); }

/* ---- records ----------------------------------------------------------------------------- */

/* Through a line and back, a record encodes to the same bytes. */
#define CHECK_RECORD(name, FIELDS)                                                                 \
    static void check_##name(struct sample_source *s) {                                            \
        static struct ms_##name##_record was, is;                                                  \
        static uint8_t a[MS_RECORD_BYTES_MAX], b[MS_RECORD_BYTES_MAX];                             \
        struct ms_writer wa = ms_writer_on(a, sizeof a), wb = ms_writer_on(b, sizeof b);           \
        struct ms_line l;                                                                          \
        json_t *json;                                                                              \
        sample_##name(s, &was);                                                                    \
        ms_buf_clear(&buf);                                                                        \
        ms_line_begin(&l, &buf, "test");                                                           \
        ms_line_##name(&l, #name, &was);                                                           \
        assert_ok(ms_line_end(&l, &test_err));                                                     \
        assert_null(memchr(buf.data, '\n', buf.len - 1));                                          \
        assert_ok(ms_line_parse(line_of(&buf), &json, &test_err));                                 \
        assert_ok(ms_json_##name(json_object_get(json, #name), &is, &test_err));                   \
        json_decref(json);                                                                         \
        ms_##name##_encode(&was, &wa);                                                             \
        ms_##name##_encode(&is, &wb);                                                              \
        assert_int_equal(wa.len, wb.len);                                                          \
        assert_memory_equal(a, b, wa.len);                                                         \
    }
MS_LINE_RECORDS(CHECK_RECORD)

static void records_come_back(void **state) {
    struct sample_source s = {.state = ms_test_seed()};
    (void)state;
    for (unsigned i = ms_test_rounds(300); i > 0; i--) {
        s.small = i % 2;
#define RUN_CHECK(name, FIELDS) check_##name(&s);
        MS_LINE_RECORDS(RUN_CHECK)
#undef RUN_CHECK
    }
}

/* ---- damage ------------------------------------------------------------------------------ */

static void a_line(void) {
    struct ms_line l;
    ms_buf_clear(&buf);
    ms_line_begin(&l, &buf, "inode");
    ms_line_number(&l, "ino", 12345);
    ms_line_text(&l, "name", ms_view_str("quote \" slash \\ and \x01"));
    ms_line_text(&l, "raw", ms_view_of("\xff\xfe", 2));
    ms_line_number(&l, "large", UINT64_MAX);
    assert_ok(ms_line_end(&l, &test_err));
}

static void texts_and_numbers(void **state) {
    json_t *json;
    char text[64];
    size_t n;
    (void)state;
    a_line();
    assert_ok(ms_line_parse(line_of(&buf), &json, &test_err));
    assert_int_equal(ms_json_number(json, "ino"), 12345);
    assert_true(ms_json_number(json, "large") == UINT64_MAX);
    assert_true(ms_json_bytes(json, "name", text, sizeof text - 1, &n));
    assert_string_equal(text, "quote \" slash \\ and \x01");
    assert_true(ms_json_bytes(json, "raw", text, sizeof text - 1, &n));
    assert_int_equal(n, 2);
    assert_memory_equal(text, "\xff\xfe", 2);
    assert_false(ms_json_bytes(json, "name", text, 5, &n));
    json_decref(json);
}

static void every_flipped_bit_and_every_cut_shows(void **state) {
    json_t *json;
    (void)state;
    a_line();
    size_t n = buf.len - 1;
    for (size_t i = 0; i < 8 * n; i++) {
        buf.data[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_code(ms_line_parse(line_of(&buf), &json, &test_err), MS_CORRUPT);
        buf.data[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t i = 0; i < n; i++)
        assert_code(ms_line_parse(ms_view_of(buf.data, i), &json, &test_err), MS_CORRUPT);
    assert_ok(ms_line_parse(line_of(&buf), &json, &test_err));
    json_decref(json);
}

/* A line that somebody made: the sum is right, what it says is not. */
static void check_refused(const char *text) {
    struct ms_asset_record asset;
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    assert_code(ms_json_asset(json, &asset, &test_err), MS_CORRUPT);
    json_decref(json);
}

#define ID "\"id\":\"00000000000000000000000000000001\""

static void values_out_of_range_are_refused(void **state) {
    (void)state;
    check_refused("{}");
    check_refused("[]");
    check_refused("{" ID ",\"type\":99}");
    check_refused("{" ID ",\"type\":-1}");
    check_refused("{" ID ",\"type\":256}");
    check_refused("{" ID ",\"type\":\"x\"}");
    check_refused("{" ID ",\"rest\":200}");
    check_refused("{" ID ",\"name\":7}");
    check_refused("{" ID ",\"ino\":\"18446744073709551616\"}");
    check_refused("{" ID ",\"scheduled_count\":3}");
    check_refused("{" ID ",\"scheduled_count\":200,\"scheduled\":[]}");
    check_refused("{\"id\":\"0001\"}");
    check_refused("{" ID ",\"main_file\":\"zz\"}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back),
        cmocka_unit_test(texts_and_numbers),
        cmocka_unit_test(every_flipped_bit_and_every_cut_shows),
        cmocka_unit_test(values_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
