#include "support/test.h"

#include "base/codec.h"

/* One of everything; its length. */
static size_t write_all(struct ms_writer *w) {
    ms_write_u8(w, 0x01);
    ms_write_u16(w, 0x0203);
    ms_write_u32(w, 0x04050607);
    ms_write_u64(w, UINT64_C(0x08090a0b0c0d0e0f));
    ms_write_i64(w, -2);
    ms_write_bytes(w, "xyz", 3);
    ms_write_str(w, "hello", 5);
    return w->len;
}

static void read_all(struct ms_reader *r) {
    char text[6], bytes[3];

    ms_read_u8(r);
    ms_read_u16(r);
    ms_read_u32(r);
    ms_read_u64(r);
    ms_read_i64(r);
    ms_read_bytes(r, bytes, 3);
    ms_read_str(r, text, 5);
}

static void integers_are_big_endian(void **state) {
    static const uint8_t want[] = {1,    2,   3,   4,   5,    6,    7,    8,    9,    10,   11,
                                   12,   13,  14,  15,  0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xfe, 'x', 'y', 'z', 0,    5,    'h',  'e',  'l',  'l',  'o'};
    uint8_t p[64];
    struct ms_writer w = ms_writer_on(p, sizeof p);

    (void)state;
    assert_int_equal(write_all(&w), sizeof want);
    assert_memory_equal(p, want, sizeof want);
    assert_int_equal(ms_writer_view(&w).n, sizeof want);
}

static void what_was_written_is_read(void **state) {
    uint8_t p[64];
    struct ms_writer w = ms_writer_on(p, sizeof p);
    struct ms_reader r;
    char text[9], bytes[3];

    (void)state;
    write_all(&w);
    r = ms_reader_on(ms_writer_view(&w));
    assert_int_equal(ms_read_u8(&r), 0x01);
    assert_int_equal(ms_read_u16(&r), 0x0203);
    assert_int_equal(ms_read_u32(&r), 0x04050607);
    assert_true(ms_read_u64(&r) == UINT64_C(0x08090a0b0c0d0e0f));
    assert_int_equal(ms_read_i64(&r), -2);
    ms_read_bytes(&r, bytes, 3);
    assert_memory_equal(bytes, "xyz", 3);
    assert_false(ms_reader_done(&r));
    assert_int_equal(ms_reader_left(&r), 7);
    ms_read_str(&r, text, 8);
    assert_string_equal(text, "hello");
    assert_true(ms_reader_done(&r));
}

static void a_writer_stops_at_every_capacity_for_good(void **state) {
    uint8_t p[64];
    struct ms_writer w = ms_writer_on(p, sizeof p);
    size_t full = write_all(&w);

    (void)state;
    for (size_t cap = 0; cap <= full; cap++) {
        size_t len;

        memset(p, 0xee, sizeof p);
        w = ms_writer_on(p, cap);
        len = write_all(&w);
        assert_int_equal(w.failed, cap < full);
        assert_true(len <= cap);
        for (size_t i = cap; i < sizeof p; i++)
            assert_int_equal(p[i], 0xee);
        if (!w.failed)
            continue;
        ms_write_bytes(&w, NULL, 0); /* would fit, but the first failure sticks */
        assert_true(w.failed);
        assert_int_equal(w.len, len);
    }
}

static void a_reader_stops_at_every_length_for_good(void **state) {
    uint8_t p[64];
    struct ms_writer w = ms_writer_on(p, sizeof p);
    size_t full = write_all(&w);

    (void)state;
    for (size_t n = 0; n <= full; n++) {
        struct ms_reader r = ms_reader_on(ms_view_of(p, n));

        read_all(&r);
        assert_int_equal(r.failed, n < full);
        assert_int_equal(ms_reader_done(&r), n == full);
        assert_true(r.at <= n);
        assert_int_equal(ms_reader_left(&r), 0);
    }
}

static void a_failed_reader_gives_zeros(void **state) {
    static const uint8_t p[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct ms_reader r = ms_reader_on(ms_view_of(p, sizeof p));
    uint8_t bytes[4] = {1, 1, 1, 1};
    char text[5] = "abcd";

    (void)state;
    r.failed = true;
    assert_int_equal(ms_read_u8(&r), 0);
    assert_int_equal(ms_read_u16(&r), 0);
    assert_int_equal(ms_read_u32(&r), 0);
    assert_int_equal(ms_read_u64(&r), 0);
    assert_int_equal(ms_read_i64(&r), 0);
    ms_read_bytes(&r, bytes, 4);
    assert_memory_equal(bytes, (uint8_t[4]){0}, 4);
    ms_read_str(&r, text, 4);
    assert_string_equal(text, "");
    assert_int_equal(r.at, 0);
}

static void signed_numbers_sort_as_bytes(void **state) {
    static const int64_t rows[] = {INT64_MIN, INT64_MIN + 1, -256, -1, 0, 1, 255, 256, INT64_MAX};
    uint8_t before[8], now[8];

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct ms_writer w = ms_writer_on(now, sizeof now);
        struct ms_reader r;

        ms_write_i64(&w, rows[i]);
        r = ms_reader_on(ms_writer_view(&w));
        assert_true(ms_read_i64(&r) == rows[i]);
        if (i > 0)
            assert_true(memcmp(before, now, sizeof now) < 0);
        memcpy(before, now, sizeof now);
    }
}

static void text_is_bounded_on_both_sides(void **state) {
    uint8_t p[64];

    (void)state;
    for (size_t len = 0; len <= 10; len++) {
        for (size_t max = 0; max <= 10; max++) {
            struct ms_writer w = ms_writer_on(p, sizeof p);
            struct ms_reader r;
            char text[16];

            memset(text, 't', sizeof text);
            text[len] = '\0';
            ms_write_str(&w, text, max);
            assert_int_equal(w.failed, len > max);
            assert_int_equal(w.len, len > max ? 0 : len + 2);

            w = ms_writer_on(p, sizeof p);
            ms_write_str(&w, text, 10);
            memset(text, 0xee, sizeof text);
            r = ms_reader_on(ms_writer_view(&w));
            ms_read_str(&r, text, max);
            assert_int_equal(r.failed, len > max);
            assert_int_equal(strlen(text), len > max ? 0 : len);
            assert_int_equal((uint8_t)text[max + 1], 0xee);
        }
    }
}

static void text_with_a_nul_inside_is_damage(void **state) {
    static const uint8_t p[] = {0, 3, 'a', 0, 'b'};
    struct ms_reader r = ms_reader_on(ms_view_of(p, sizeof p));
    char text[8] = "before";

    (void)state;
    ms_read_str(&r, text, 7);
    assert_true(r.failed);
    assert_string_equal(text, "");
}

static void an_empty_record_is_done_at_once(void **state) {
    struct ms_reader r = ms_reader_on(ms_view_of(NULL, 0));

    (void)state;
    assert_true(ms_reader_done(&r));
    ms_read_bytes(&r, NULL, 0);
    assert_true(ms_reader_done(&r));
    ms_read_u8(&r);
    assert_false(ms_reader_done(&r));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_big_endian),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(a_writer_stops_at_every_capacity_for_good),
        cmocka_unit_test(a_reader_stops_at_every_length_for_good),
        cmocka_unit_test(a_failed_reader_gives_zeros),
        cmocka_unit_test(signed_numbers_sort_as_bytes),
        cmocka_unit_test(text_is_bounded_on_both_sides),
        cmocka_unit_test(text_with_a_nul_inside_is_damage),
        cmocka_unit_test(an_empty_record_is_done_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
