/* A day's integrals against the sum over every millisecond, and its edges. */
#include "support/test.h"

#include "quota/days.h"
#include "quota/meter.h"

#include <string.h>

#define DAY MS_DAY_MS

static struct ms_instant instant(const char *text) {
    struct ms_instant t = {0};
    assert_ok(ms_instant_parse(text, &t, &test_err));
    return t;
}

static void same(ms_u128 got, ms_u128 want) {
    if (got != want)
        fail_msg("%s instead of %s", ms_u128_text(got).s, ms_u128_text(want).s);
}

static void move(struct ms_meter *meter, int64_t at, uint8_t from, uint64_t taken, uint8_t to,
                 uint64_t given) {
    struct ms_ledger_record e = {.at = {at},
                                 .class_before = from,
                                 .bytes_before = taken,
                                 .class_after = to,
                                 .bytes_after = given};
    assert_int_equal(ms_meter_apply(meter, &e), MS_USAGE_FINE);
}
static void put(struct ms_meter *meter, int64_t at, uint8_t class, uint64_t before,
                uint64_t after) {
    move(meter, at, class, before, class, after);
}

static void a_day_without_changes_counts_its_86_400_000_ms(void **state) {
    (void)state;
    struct ms_meter m;
    struct ms_day day;
    int64_t start = instant("2026-02-28T00:00:00.000Z").ms;
    ms_meter_begin(&m, ms_instant_of(start));
    put(&m, start, MS_CLASS_STANDARD, 0, 7);
    put(&m, start, MS_CLASS_PRODUCED, 0, 5);
    put(&m, start, MS_CLASS_PRODUCED_FREE, 0, 3);
    put(&m, start, MS_CLASS_EXCLUDED, 0, 2);
    ms_meter_allow(&m, ms_instant_of(start), 10);
    ms_meter_close_day(&m, &day);
    same(day.bytes[MS_CLASS_STANDARD], 7 * DAY);
    same(day.bytes[MS_CLASS_PRODUCED], 5 * DAY);
    same(day.bytes[MS_CLASS_PRODUCED_FREE], 3 * DAY);
    same(day.bytes[MS_CLASS_EXCLUDED], 2 * DAY);
    same(day.allowance, 10 * DAY);
    same(day.excess, 2 * DAY);
    assert_int_equal(day.midnight.ms, start);
    assert_int_equal(m.day.midnight.ms, start + DAY);
}

static void the_first_day_begins_at_the_tenants_first_instant(void **state) {
    (void)state;
    struct ms_meter m;
    struct ms_day day;
    ms_meter_begin(&m, instant("2024-02-29T23:59:59.999Z"));
    ms_meter_allow(&m, m.at, 1000);
    ms_meter_close_day(&m, &day);
    same(day.allowance, 1000);
    assert_int_equal(day.midnight.ms, instant("2024-02-29T00:00:00.000Z").ms);
    ms_meter_close_day(&m, &day);
    same(day.allowance, 1000 * DAY);
    assert_int_equal(day.midnight.ms, instant("2024-03-01T00:00:00.000Z").ms);
}

/* Edges of an interval: the first millisecond counts, the last one does not. */
static void what_begins_at_midnight_counts_on_the_new_day_only(void **state) {
    (void)state;
    for (int64_t beside = -1; beside <= 1; beside++) {
        struct ms_meter m;
        struct ms_day day[3];
        int64_t start = instant("2026-12-31T00:00:00.000Z").ms, at = start + DAY + beside;
        ms_meter_begin(&m, ms_instant_of(start));
        if (beside >= 0)
            ms_meter_close_day(&m, &day[0]);
        put(&m, at, MS_CLASS_STANDARD, 0, 1);
        if (beside < 0)
            ms_meter_close_day(&m, &day[0]);
        put(&m, at + 5, MS_CLASS_STANDARD, 1, 0);
        ms_meter_close_day(&m, &day[1]);
        same(day[0].bytes[MS_CLASS_STANDARD], beside < 0 ? 1 : 0);
        same(day[1].bytes[MS_CLASS_STANDARD], beside < 0 ? 4 : 5);
    }
}

static void an_idle_hour_does_not_pay_for_a_full_one(void **state) {
    (void)state;
    struct ms_meter m;
    struct ms_day day;
    int64_t start = instant("2026-07-01T00:00:00.000Z").ms;
    ms_meter_begin(&m, ms_instant_of(start));
    ms_meter_allow(&m, ms_instant_of(start), 100);
    put(&m, start, MS_CLASS_STANDARD, 0, 150);
    put(&m, start + 1000, MS_CLASS_STANDARD, 150, 0);
    ms_meter_allow(&m, ms_instant_of(start + 2000), 0);
    put(&m, start + 2500, MS_CLASS_PRODUCED, 0, 1);
    ms_meter_close_day(&m, &day);
    same(day.excess, 50 * 1000 + (DAY - 2500));
    same(day.allowance, 100 * 2000);
}

static void the_largest_tenant_of_the_longest_day_fits(void **state) {
    (void)state;
    struct ms_meter m;
    struct ms_day day;
    int64_t start = instant("9999-12-30T00:00:00.000Z").ms;
    ms_meter_begin(&m, ms_instant_of(start));
    put(&m, start, MS_CLASS_STANDARD, 0, MS_USAGE_BYTES_MAX);
    ms_meter_close_day(&m, &day);
    assert_string_equal(ms_u128_text(day.excess).s, "796899343984252629724800000");
}

static void a_change_that_does_not_add_up_is_reported(void **state) {
    (void)state;
    struct ms_meter m;
    ms_meter_begin(&m, ms_instant_of(0));
    struct ms_ledger_record e = {.at = {5}, .bytes_before = 1};
    assert_int_equal(ms_meter_apply(&m, &e), MS_USAGE_NEGATIVE);
    e = (struct ms_ledger_record){.at = {5}, .bytes_after = UINT64_C(1) << 63};
    assert_int_equal(ms_meter_apply(&m, &e), MS_USAGE_OVERFLOW);
    assert_int_equal(ms_usage_bytes(&m.usage), 0);
}

static void sums_of_a_day_start_anew_on_the_next(void **state) {
    (void)state;
    struct ms_meter m;
    struct ms_day day;
    ms_meter_begin(&m, ms_instant_of(0));
    ms_meter_add_video(&m, 1257, 257);
    ms_meter_add_video(&m, 3, 0);
    ms_meter_add_fee(&m, 1900000);
    ms_meter_close_day(&m, &day);
    same(day.video_hundredths, 1260);
    same(day.video_paid_hundredths, 257);
    same(day.package_micros, 1900000);
    ms_meter_close_day(&m, &day);
    same(day.video_hundredths + day.video_paid_hundredths + day.package_micros, 0);
}

/* Thousands of random changes on the scale of single milliseconds, against a sum over each of them.
 */
static void integrals_equal_the_sum_over_every_millisecond(void **state) {
    (void)state;
    struct ms_random_seeded random;
    ms_random_seeded_init(&random, ms_test_seed());
    for (unsigned round = 0; round < ms_test_rounds(40); round++) {
        struct ms_meter m;
        struct ms_day day;
        uint64_t bytes[MS_CLASS_COUNT] = {0}, allowance = 0;
        ms_u128 sum[MS_CLASS_COUNT] = {0}, allowed = 0, excess = 0;
        ms_meter_begin(&m, ms_instant_of(DAY - 2000)); /* a day of two seconds */
        for (int64_t t = DAY - 2000; t < DAY; t++) {
            while (ms_random_below(&random.random, 3) == 0) {
                uint8_t c = (uint8_t)ms_random_below(&random.random, MS_CLASS_COUNT);
                uint64_t to = ms_random_below(&random.random, 1000);
                if (ms_random_below(&random.random, 5) == 0)
                    ms_meter_allow(&m, ms_instant_of(t), allowance = to * 2);
                else
                    put(&m, t, c, bytes[c], to), bytes[c] = to;
            }
            uint64_t metered = bytes[MS_CLASS_STANDARD] + bytes[MS_CLASS_PRODUCED];
            for (size_t c = 0; c < MS_CLASS_COUNT; c++)
                sum[c] += bytes[c];
            allowed += allowance;
            excess += metered > allowance ? metered - allowance : 0;
        }
        ms_meter_close_day(&m, &day);
        assert_memory_equal(day.bytes, sum, sizeof sum);
        same(day.allowance, allowed);
        same(day.excess, excess);
    }
    ms_random_seeded_fini(&random);
}

static ms_u128 random_number(struct ms_random *random) {
    ms_u128 n = ms_random_below(random, 4) ? ms_random_below(random, 3) : UINT64_MAX;
    return n << ms_random_below(random, 64);
}

static void closed_days_come_back_as_they_were_kept(void **state) {
    (void)state;
    struct ms_random_seeded random;
    struct ms_days days = {0};
    struct ms_days_at at = {0}, again = {0};
    struct ms_day kept[500] = {0}, got;
    ms_random_seeded_init(&random, ms_test_seed());
    for (size_t i = 0; i < MS_ARRAY_LEN(kept); i++) {
        if (i > 0)
            kept[i] = kept[i - 1];
        kept[i].midnight = ms_instant_of((int64_t)(i + 20000) * DAY);
        ms_u128 *number[] = {&kept[i].bytes[0],         &kept[i].bytes[3],
                             &kept[i].allowance,        &kept[i].excess,
                             &kept[i].video_hundredths, &kept[i].video_paid_hundredths,
                             &kept[i].package_micros};
        if (ms_random_below(&random.random, 3) == 0)
            *number[ms_random_below(&random.random, 7)] = random_number(&random.random);
        assert_ok(ms_days_add(&days, &kept[i], &test_err));
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(kept); i++) {
        assert_true(ms_days_next(&days, &at, &got));
        assert_memory_equal(got.bytes, kept[i].bytes, sizeof got.bytes);
        assert_int_equal(got.midnight.ms, kept[i].midnight.ms);
        same(got.allowance, kept[i].allowance);
        same(got.excess, kept[i].excess);
        same(got.video_hundredths, kept[i].video_hundredths);
        same(got.video_paid_hundredths, kept[i].video_paid_hundredths);
        same(got.package_micros, kept[i].package_micros);
    }
    assert_false(ms_days_next(&days, &at, &got));
    assert_true(ms_days_next(&days, &again, &got));
    assert_int_equal(got.midnight.ms, kept[0].midnight.ms);
    ms_days_fini(&days);
    ms_random_seeded_fini(&random);
}

static void days_that_are_alike_take_no_room(void **state) {
    (void)state;
    struct ms_days days = {0};
    struct ms_day day = {.allowance = 5, .midnight = {0}};
    for (int i = 0; i < 10000; i++, day.midnight.ms += DAY)
        assert_ok(ms_days_add(&days, &day, &test_err));
    assert_int_equal(days.runs.len, 0);
    day.excess = 1;
    assert_ok(ms_days_add(&days, &day, &test_err));
    assert_in_range(days.runs.len, 1, 20);
    ms_days_fini(&days);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_without_changes_counts_its_86_400_000_ms),
        cmocka_unit_test(the_first_day_begins_at_the_tenants_first_instant),
        cmocka_unit_test(what_begins_at_midnight_counts_on_the_new_day_only),
        cmocka_unit_test(an_idle_hour_does_not_pay_for_a_full_one),
        cmocka_unit_test(the_largest_tenant_of_the_longest_day_fits),
        cmocka_unit_test(a_change_that_does_not_add_up_is_reported),
        cmocka_unit_test(sums_of_a_day_start_anew_on_the_next),
        cmocka_unit_test(integrals_equal_the_sum_over_every_millisecond),
        cmocka_unit_test(closed_days_come_back_as_they_were_kept),
        cmocka_unit_test(days_that_are_alike_take_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
