#include "support/test.h"

#include "content/parts.h"

/* The steps added up one by one. */
static uint64_t plain_step(uint32_t no) {
    return no <= 4000 ? 8 * MS_MB : no <= 7000 ? 32 * MS_MB : 128 * MS_MB;
}

static void ten_thousand_parts_hold_exactly_500_gb(void **state) {
    uint64_t offset = 0;

    (void)state;
    for (uint32_t no = 1; no <= MS_PARTS_MAX; no++) {
        struct ms_part_range part = ms_part_no(no);
        uint64_t inside[] = {offset, offset + 1, offset + plain_step(no) / 2,
                             offset + plain_step(no) - 1};

        assert_int_equal(part.part_no, no);
        assert_int_equal(part.offset, offset);
        assert_int_equal(part.length, plain_step(no));
        assert_int_equal(part.offset % MS_PART_GRAIN, 0);
        for (size_t i = 0; i < MS_ARRAY_LEN(inside); i++) {
            struct ms_part_range at = ms_part_at(inside[i]);

            assert_int_equal(at.part_no, no);
            assert_int_equal(at.offset, offset);
            assert_int_equal(at.length, part.length);
        }
        assert_int_equal(ms_part_count(offset), no - 1);
        assert_int_equal(ms_part_count(offset + 1), no);
        assert_int_equal(ms_part_count(offset + part.length), no);
        offset += part.length;
    }
    assert_int_equal(offset, MS_FILE_BYTES_MAX);
}

static void every_part_but_the_last_is_large_enough_for_s3(void **state) {
    (void)state;
    for (uint32_t no = 1; no <= MS_PARTS_MAX; no++)
        assert_true(ms_part_no(no).length >= 5 * MS_MB && ms_part_no(no).length <= 5 * MS_GB);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_parts_hold_exactly_500_gb),
        cmocka_unit_test(every_part_but_the_last_is_large_enough_for_s3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
