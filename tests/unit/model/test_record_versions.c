/* How a record grows: a sample of version 3 reads what versions 1 and 2 wrote. */
#include "support/test.h"

#include "model/record_codec.h"

#include <string.h>

#define MS_OLD1_FIELDS(F) F(u8, kind, 0) F(str, text, 10)
#define MS_OLD2_FIELDS(F) MS_OLD1_FIELDS(F) F(since, 2, 0) F(u64, size, 0)
#define MS_GROWN_FIELDS(F) MS_OLD2_FIELDS(F) F(since, 3, 0) F(str, tail, 5) F(id, id, 0)
#define SAMPLES(R)                                                                                 \
    R(old1, 1, MS_OLD1_FIELDS) R(old2, 2, MS_OLD2_FIELDS) R(grown, 3, MS_GROWN_FIELDS)

SAMPLES(MS_RECORD_DECLARE)

static const char *broken_old1(const struct ms_old1_record *r) { return r->kind ? NULL : "kind"; }
static const char *broken_old2(const struct ms_old2_record *r) { return r->kind ? NULL : "kind"; }
static const char *broken_grown(const struct ms_grown_record *r) { return r->kind ? NULL : "kind"; }

SAMPLES(MS_RECORD_CODEC)

static const struct ms_id no_id;

static void a_record_of_version_1_has_zero_for_later_fields(void **state) {
    struct ms_old1_record old = {7, "seven"};
    struct ms_grown_record r;
    uint8_t bytes[64];
    struct ms_writer w = ms_writer_on(bytes, sizeof(bytes));

    (void)state;
    ms_old1_encode(&old, &w);
    assert_ok(ms_grown_decode(ms_writer_view(&w), &r, &test_err));
    assert_int_equal(r.kind, 7);
    assert_string_equal(r.text, "seven");
    assert_int_equal(r.size, 0);
    assert_string_equal(r.tail, "");
    assert_memory_equal(&r.id, &no_id, sizeof(no_id));
}

static void a_record_of_version_2_keeps_what_it_had(void **state) {
    struct ms_old2_record old = {7, "seven", 1234567890123};
    struct ms_grown_record r;
    uint8_t bytes[64];
    struct ms_writer w = ms_writer_on(bytes, sizeof(bytes));

    (void)state;
    ms_old2_encode(&old, &w);
    assert_ok(ms_grown_decode(ms_writer_view(&w), &r, &test_err));
    assert_int_equal(r.size, 1234567890123);
    assert_string_equal(r.tail, "");
}

static void an_older_program_refuses_a_newer_record(void **state) {
    struct ms_grown_record r = {.kind = 7};
    struct ms_old2_record old;
    uint8_t bytes[64];
    struct ms_writer w = ms_writer_on(bytes, sizeof(bytes));

    (void)state;
    ms_grown_encode(&r, &w);
    assert_code(ms_old2_decode(ms_writer_view(&w), &old, &test_err), MS_CORRUPT);
    assert_non_null(strstr(test_err.message, "version 3, known are 1 to 2"));
}

static void bytes_of_a_later_field_in_an_older_version_are_too_many(void **state) {
    struct ms_old2_record old = {7, "seven", 5};
    struct ms_grown_record r;
    uint8_t bytes[64];
    struct ms_writer w = ms_writer_on(bytes, sizeof(bytes));

    (void)state;
    ms_old2_encode(&old, &w);
    bytes[0] = 1;
    assert_code(ms_grown_decode(ms_writer_view(&w), &r, &test_err), MS_CORRUPT);
    assert_non_null(strstr(test_err.message, "8 bytes too many"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_of_version_1_has_zero_for_later_fields),
        cmocka_unit_test(a_record_of_version_2_keeps_what_it_had),
        cmocka_unit_test(an_older_program_refuses_a_newer_record),
        cmocka_unit_test(bytes_of_a_later_field_in_an_older_version_are_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
