#include "support/test.h"

#include "base/time.h"

#include <string.h>
#include <time.h>

static const char *text_of(struct ms_instant t) {
    static char text[MS_RFC3339_MS_LEN + 1];

    ms_instant_format_ms(t, text);
    return text;
}

static struct ms_instant at(const char *text) {
    struct ms_instant t = {-1};

    assert_ok(ms_instant_parse(text, &t, &test_err));
    return t;
}

/* The C library's calendar is the second opinion on every day of the whole range. */
static void every_day_of_the_range_agrees_with_gmtime(void **state) {
    (void)state;
    for (int64_t day = 0; day <= MS_INSTANT_MAX / MS_DAY_MS; day++) {
        time_t s = (time_t)(day * 86400 + day % 86400);
        struct ms_civil c = ms_instant_civil(ms_instant_of((int64_t)s * 1000 + day % 1000));
        struct tm tm;

        assert_non_null(gmtime_r(&s, &tm));
        if (c.year != tm.tm_year + 1900 || c.month != tm.tm_mon + 1 || c.day != tm.tm_mday ||
            c.hour != tm.tm_hour || c.minute != tm.tm_min || c.second != tm.tm_sec ||
            c.ms != (int)(day % 1000) || !ms_civil_is_valid(c) ||
            ms_civil_instant(c).ms != (int64_t)s * 1000 + day % 1000)
            fail_msg("day %ld comes out wrong", (long)day);
    }
}

static void leap_years_are_the_gregorian_ones(void **state) {
    (void)state;
    assert_int_equal(ms_days_in_month(2023, 2), 28);
    assert_int_equal(ms_days_in_month(2024, 2), 29);
    assert_int_equal(ms_days_in_month(2000, 2), 29);
    assert_int_equal(ms_days_in_month(2100, 2), 28);
    assert_int_equal(ms_days_in_month(2400, 2), 29);
}

/* All days of nine years, which hold leap years and a century that is none, by all spans up to two
 * years. */
static void adding_months_keeps_the_day_or_clamps_it(void **state) {
    const int64_t of_day = 23 * MS_HOUR_MS + 59 * MS_MINUTE_MS + 59 * MS_SECOND_MS + 999;

    (void)state;
    for (int year = 2096; year <= 2104; year++) {
        int64_t first = ms_civil_instant((struct ms_civil){.year = year, .month = 1, .day = 1}).ms;
        int64_t last =
            ms_civil_instant((struct ms_civil){.year = year + 1, .month = 1, .day = 1}).ms;

        for (int64_t ms = first; ms < last; ms += MS_DAY_MS) {
            struct ms_civil c = ms_instant_civil(ms_instant_of(ms));

            for (int months = 0; months <= 24; months++) {
                struct ms_instant got = ms_instant_add_months(ms_instant_of(ms + of_day), months);
                int month = (c.month - 1 + months) % 12 + 1;
                int in_year = year + (c.month - 1 + months) / 12;
                int most = ms_days_in_month(in_year, month);
                struct ms_civil want = {.year = in_year,
                                        .month = month,
                                        .day = c.day < most ? c.day : most,
                                        .hour = 23,
                                        .minute = 59,
                                        .second = 59,
                                        .ms = 999};

                assert_int_equal(got.ms, ms_civil_instant(want).ms);
            }
        }
    }
}

static void known_month_sums(void **state) {
    static const struct {
        const char *from;
        int months;
        const char *to;
    } rows[] = {
        {"2025-08-31T10:00:00.001Z", 6, "2026-02-28T10:00:00.001Z"},
        {"2027-08-31T10:00:00.000Z", 6, "2028-02-29T10:00:00.000Z"},
        {"2026-01-31T00:00:00.000Z", 1, "2026-02-28T00:00:00.000Z"},
        {"2026-01-31T00:00:00.000Z", 2, "2026-03-31T00:00:00.000Z"},
        {"2024-02-29T12:00:00.000Z", 12, "2025-02-28T12:00:00.000Z"},
        {"2024-02-29T12:00:00.000Z", 48, "2028-02-29T12:00:00.000Z"},
        {"2026-12-01T00:00:00.000Z", 1, "2027-01-01T00:00:00.000Z"},
        {"2026-05-05T05:05:05.005Z", 0, "2026-05-05T05:05:05.005Z"},
        {"9999-12-01T00:00:00.000Z", 1, "9999-12-31T23:59:59.999Z"},
    };

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        assert_string_equal(text_of(ms_instant_add_months(at(rows[i].from), rows[i].months)),
                            rows[i].to);
}

static void days_and_months_start_at_midnight_utc(void **state) {
    (void)state;
    assert_string_equal(text_of(ms_instant_day_start(at("2026-02-28T23:59:59.999Z"))),
                        "2026-02-28T00:00:00.000Z");
    assert_string_equal(text_of(ms_instant_day_start(at("2026-02-28T00:00:00.000Z"))),
                        "2026-02-28T00:00:00.000Z");
    assert_string_equal(text_of(ms_instant_month_start(at("2026-02-28T23:59:59.999Z"))),
                        "2026-02-01T00:00:00.000Z");
    assert_string_equal(text_of(ms_instant_month_start(at("2026-02-01T00:00:00.000Z"))),
                        "2026-02-01T00:00:00.000Z");
}

static void the_accepted_forms_come_back_as_written(void **state) {
    static const char *const rows[] = {
        "1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.001Z", "2024-02-29T23:59:59.999Z",
        "2026-11-26T13:30:00.500Z", "9999-12-31T23:59:59.999Z",
    };
    char text[MS_RFC3339_S_LEN + 1];

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        assert_string_equal(text_of(at(rows[i])), rows[i]);
        ms_instant_format_s(at(rows[i]), text);
        assert_int_equal(strlen(text), MS_RFC3339_S_LEN);
        assert_memory_equal(text, rows[i], MS_RFC3339_S_LEN - 1);
        assert_int_equal(at(text).ms, at(rows[i]).ms / 1000 * 1000);
    }
}

static void other_forms_of_time_are_refused(void **state) {
    static const char *const rows[] = {
        "",
        "Z",
        "2026",
        "2026-01-31",
        "2026-01-31T00:00:00",
        "2026-01-31T00:00:00+00:00",
        "2026-01-31t00:00:00Z",
        "2026-01-31T00:00:00z",
        "2026-01-31 00:00:00Z",
        "2026-01-31T00:00Z",
        "2026-1-31T00:00:00Z",
        "2026-01-31T00:00:00.0Z",
        "2026-01-31T00:00:00.00Z",
        "2026-01-31T00:00:00.0000Z",
        "2026-01-31T00:00:00.Z",
        "2026-01-31T00:00:00,000Z",
        " 2026-01-31T00:00:00Z",
        "2026-01-31T00:00:00Z ",
        "2026-01-31T00:00:00ZZ",
        "+026-01-31T00:00:00Z",
        "-026-01-31T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T23:60:00Z",
        "2026-01-31T23:59:60Z",
        "2026-00-10T00:00:00Z",
        "2026-13-10T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "12026-01-31T00:00:00Z",
        "2026-01-31T00:00:00.000",
        "0x26-01-31T00:00:00Z",
    };

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct ms_instant t = {42};

        assert_code(ms_instant_parse(rows[i], &t, &test_err), MS_INVALID);
        assert_int_equal(t.ms, 42);
    }
}

static void instants_outside_the_range_are_shown_at_its_ends(void **state) {
    (void)state;
    assert_string_equal(text_of(ms_instant_of(-1)), "1970-01-01T00:00:00.000Z");
    assert_string_equal(text_of(ms_instant_of(INT64_MIN)), "1970-01-01T00:00:00.000Z");
    assert_string_equal(text_of(ms_instant_of(INT64_MAX)), "9999-12-31T23:59:59.999Z");
}

static void durations_are_whole_numbers_with_a_unit(void **state) {
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"0", 0},
        {"0ms", 0},
        {"1", 1000},
        {"1500ms", 1500},
        {"90s", 90000},
        {"15m", 900000},
        {"24h", 86400000},
        {"7d", 604800000},
        {"007d", 604800000},
        {"36525d", INT64_C(36525) * 86400000},
    };
    static const char *const bad[] = {
        "",
        "s",
        "-1s",
        "+1s",
        " 1s",
        "1 s",
        "1s ",
        "1.5s",
        "1S",
        "1min",
        "1w",
        "1y",
        "1e3",
        "0x10",
        "36526d",
        "3155760001",
        "99999999999999999999999ms",
        "18446744073709551616",
        "1ms1s",
        "inf",
    };

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(good); i++) {
        int64_t ms = -1;

        assert_ok(ms_duration_parse(good[i].text, &ms, &test_err));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        int64_t ms = 42;

        assert_code(ms_duration_parse(bad[i], &ms, &test_err), MS_INVALID);
        assert_int_equal(ms, 42);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_of_the_range_agrees_with_gmtime),
        cmocka_unit_test(leap_years_are_the_gregorian_ones),
        cmocka_unit_test(adding_months_keeps_the_day_or_clamps_it),
        cmocka_unit_test(known_month_sums),
        cmocka_unit_test(days_and_months_start_at_midnight_utc),
        cmocka_unit_test(the_accepted_forms_come_back_as_written),
        cmocka_unit_test(other_forms_of_time_are_refused),
        cmocka_unit_test(instants_outside_the_range_are_shown_at_its_ends),
        cmocka_unit_test(durations_are_whole_numbers_with_a_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
