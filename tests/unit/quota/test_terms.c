/* Terms of packages: clamped month ends, renewals in time and late; minutes of video. */
#include "support/test.h"

#include "quota/terms.h"

#include <string.h>

static struct ms_instant instant(const char *text) {
    struct ms_instant t = {0};
    assert_ok(ms_instant_parse(text, &t, &test_err));
    return t;
}

static void is_at(struct ms_instant t, const char *want) {
    char text[MS_RFC3339_MS_LEN + 1];
    ms_instant_format_ms(t, text);
    assert_string_equal(text, want);
}

static struct ms_terms begun(const char *at, uint32_t months, uint32_t terms) {
    struct ms_terms t = {0};
    assert_ok(ms_terms_begin(instant(at), months, terms, &t, &test_err));
    return t;
}

static void each_term_is_counted_from_the_first_start(void **state) {
    (void)state;
    static const struct {
        const char *start;
        uint32_t months;
        const char *ends[6];
    } rows[] = {
        {"2026-01-31T00:00:00.000Z",
         1,
         {"2026-02-28T00:00:00.000Z", "2026-03-31T00:00:00.000Z", "2026-04-30T00:00:00.000Z",
          "2026-05-31T00:00:00.000Z", "2026-06-30T00:00:00.000Z", "2026-07-31T00:00:00.000Z"}},
        {"2027-12-30T23:59:59.999Z",
         2,
         {"2028-02-29T23:59:59.999Z", "2028-04-30T23:59:59.999Z", "2028-06-30T23:59:59.999Z",
          "2028-08-30T23:59:59.999Z", "2028-10-30T23:59:59.999Z", "2028-12-30T23:59:59.999Z"}},
        {"2024-02-29T12:00:00.000Z",
         12,
         {"2025-02-28T12:00:00.000Z", "2026-02-28T12:00:00.000Z", "2027-02-28T12:00:00.000Z",
          "2028-02-29T12:00:00.000Z", "2029-02-28T12:00:00.000Z", "2030-02-28T12:00:00.000Z"}},
        {"2099-08-31T00:00:00.001Z",
         6,
         {"2100-02-28T00:00:00.001Z", "2100-08-31T00:00:00.001Z", "2101-02-28T00:00:00.001Z",
          "2101-08-31T00:00:00.001Z", "2102-02-28T00:00:00.001Z", "2102-08-31T00:00:00.001Z"}},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct ms_terms t = begun(rows[i].start, rows[i].months, 6);
        is_at(ms_terms_end(&t), rows[i].ends[5]);
        for (int k = 0; k < 6; k++) {
            is_at(ms_terms_due(&t), rows[i].ends[k]);
            assert_int_equal(ms_terms_pass(&t), k < 5);
        }
        assert_int_equal(ms_terms_due(&t).ms, MS_TERMS_NO_END.ms);
    }
}

static void a_package_of_no_months_never_ends(void **state) {
    (void)state;
    struct ms_terms t = begun("2026-01-31T00:00:00.000Z", 0, 1);
    bool late = false;
    assert_int_equal(ms_terms_end(&t).ms, MS_TERMS_NO_END.ms);
    assert_int_equal(ms_terms_due(&t).ms, MS_TERMS_NO_END.ms);
    assert_code(ms_terms_renew(&t, instant("2026-02-01T00:00:00.000Z"), 1, &late, &test_err),
                MS_WRONG_STATE);
}

static void a_renewal_in_time_is_put_behind_the_last_term(void **state) {
    (void)state;
    struct ms_terms t = begun("2026-01-31T00:00:00.000Z", 1, 1);
    bool late = true;
    assert_ok(ms_terms_renew(&t, instant("2026-02-27T23:59:59.999Z"), 2, &late, &test_err));
    assert_false(late);
    is_at(ms_terms_due(&t), "2026-02-28T00:00:00.000Z");
    is_at(ms_terms_end(&t), "2026-04-30T00:00:00.000Z");
    assert_true(ms_terms_pass(&t));
    is_at(ms_terms_due(&t), "2026-03-31T00:00:00.000Z");
}

static void a_late_renewal_skips_what_has_wholly_passed(void **state) {
    (void)state;
    static const struct {
        const char *paid, *due, *end;
    } rows[] = {
        {"2026-02-28T00:00:00.000Z", "2026-03-31T00:00:00.000Z", "2026-04-30T00:00:00.000Z"},
        {"2026-02-28T00:00:00.001Z", "2026-03-31T00:00:00.000Z", "2026-04-30T00:00:00.000Z"},
        {"2026-03-30T23:59:59.999Z", "2026-03-31T00:00:00.000Z", "2026-04-30T00:00:00.000Z"},
        {"2026-03-31T00:00:00.000Z", "2026-04-30T00:00:00.000Z", "2026-05-31T00:00:00.000Z"},
        {"2028-02-28T23:59:59.999Z", "2028-02-29T00:00:00.000Z", "2028-03-31T00:00:00.000Z"},
        {"2028-02-29T00:00:00.000Z", "2028-03-31T00:00:00.000Z", "2028-04-30T00:00:00.000Z"},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct ms_terms t = begun("2026-01-31T00:00:00.000Z", 1, 1);
        bool late = false;
        assert_false(ms_terms_pass(&t));
        assert_ok(ms_terms_renew(&t, instant(rows[i].paid), 2, &late, &test_err));
        assert_true(late && t.running);
        is_at(ms_terms_due(&t), rows[i].due);
        is_at(ms_terms_end(&t), rows[i].end);
        assert_true(ms_terms_pass(&t));
        assert_false(ms_terms_pass(&t));
    }
}

static void no_term_ends_after_the_year_9999(void **state) {
    (void)state;
    struct ms_terms t = {0}, before;
    bool late;
    assert_ok(ms_terms_begin(instant("9999-11-30T23:59:59.999Z"), 1, 1, &t, &test_err));
    is_at(ms_terms_end(&t), "9999-12-30T23:59:59.999Z");
    before = t;
    assert_code(ms_terms_renew(&t, instant("9999-12-01T00:00:00.000Z"), 1, &late, &test_err),
                MS_RANGE);
    assert_memory_equal(&t, &before, sizeof t);
    assert_false(ms_terms_pass(&t));
    assert_code(ms_terms_renew(&t, instant("9999-12-31T00:00:00.000Z"), 1, &late, &test_err),
                MS_RANGE);
    assert_code(ms_terms_begin(instant("9999-12-01T00:00:00.000Z"), 1, 1, &t, &test_err), MS_RANGE);
    assert_code(ms_terms_begin(instant("1970-01-01T00:00:00.000Z"), 120, 1200, &t, &test_err),
                MS_RANGE);
    assert_ok(ms_terms_begin(instant("1970-01-01T00:00:00.000Z"), 120, 802, &t, &test_err));
    is_at(ms_terms_end(&t), "9990-01-01T00:00:00.000Z");
    assert_code(ms_terms_begin(instant("1970-01-01T00:00:00.000Z"), 120, 803, &t, &test_err),
                MS_RANGE);
    assert_ok(ms_terms_begin(instant("9999-12-31T23:59:59.999Z"), 0, 1, &t, &test_err));
}

/* Every day of four years as a start: term k and k + 1 meet, in every month, and none is empty. */
static void terms_meet_whatever_the_start(void **state) {
    (void)state;
    unsigned terms = 0;
    for (int64_t day = 19723; day < 19723 + 1461; day++) { /* from 2024-01-01 */
        struct ms_terms t;
        struct ms_instant at = {day * MS_DAY_MS + day % 1000};
        assert_ok(ms_terms_begin(at, 1, 30, &t, &test_err));
        struct ms_instant start = t.first;
        do {
            struct ms_instant end = ms_terms_due(&t);
            assert_in_range(end.ms - start.ms, 28 * MS_DAY_MS, 31 * MS_DAY_MS);
            assert_int_equal(end.ms, ms_instant_add_months(at, (int)t.current + 1).ms);
            start = end;
            terms++;
        } while (ms_terms_pass(&t));
    }
    print_message("terms: %u\n", terms);
}

/* ---- minutes -----------------------------------------------------------------------------------
 */

static void seconds_become_hundredths_half_up(void **state) {
    (void)state;
    static const uint64_t rows[][2] = {{0, 0},   {1, 2},    {2, 3},      {3, 5},      {30, 50},
                                       {59, 98}, {60, 100}, {754, 1257}, {3600, 6000}};
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        assert_true(ms_minutes_of_seconds(rows[i][0]) == rows[i][1]);
    for (uint64_t s = 0; s < 100000; s++)
        assert_true(ms_minutes_of_seconds(s) == (s * 100 * 2 + 60) / 120);
    assert_string_equal(ms_u128_text(ms_minutes_of_seconds(INT64_MAX)).s, "15372286728091293012");
}

static struct ms_minutes pack(int64_t end, const char *id, uint64_t left) {
    return (struct ms_minutes){{end}, id, strlen(id), left, 0};
}

static void the_package_that_ends_first_is_used_first_then_the_lower_id(void **state) {
    (void)state;
    struct ms_minutes p[] = {
        pack(INT64_MAX, "a", 50), pack(900, "pb", 10), pack(900, "p", 10),
        pack(900, "pa", 10),      pack(100, "z", 10),  pack(900, "p\xc3\xa4", 10),
    };
    assert_true(ms_minutes_draw(p, 6, 0) == 0);
    assert_true(ms_minutes_draw(p, 6, 45) == 0);
    static const char *const order[] = {"z", "p", "pa", "pb", "p\xc3\xa4", "a"};
    static const uint64_t left[] = {0, 0, 0, 0, 5, 50};
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(p[i].id, order[i]);
        assert_int_equal(p[i].left, left[i]);
    }
    assert_true(ms_minutes_draw(p, 6, 100) == 45);
    assert_int_equal(p[5].left, 0);
    assert_true(ms_minutes_draw(p, 6, 7) == 7);
    assert_true(ms_minutes_draw(NULL, 0, 7) == 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_term_is_counted_from_the_first_start),
        cmocka_unit_test(a_package_of_no_months_never_ends),
        cmocka_unit_test(a_renewal_in_time_is_put_behind_the_last_term),
        cmocka_unit_test(a_late_renewal_skips_what_has_wholly_passed),
        cmocka_unit_test(no_term_ends_after_the_year_9999),
        cmocka_unit_test(terms_meet_whatever_the_start),
        cmocka_unit_test(seconds_become_hundredths_half_up),
        cmocka_unit_test(the_package_that_ends_first_is_used_first_then_the_lower_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
