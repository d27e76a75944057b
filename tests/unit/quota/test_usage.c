/* What counts, since when, and the counters as the fold of the ledger. */
#include "support/test.h"

#include "quota/quota.h"

#include <string.h>

static struct ms_instant instant(const char *text) {
    struct ms_instant t = {0};
    assert_ok(ms_instant_parse(text, &t, &test_err));
    return t;
}

/* ---- classes (bill.md section 2) --------------------------------------------------------------
 */

static void every_origin_and_type_has_the_class_of_the_bill(void **state) {
    (void)state;
    struct ms_instant made = instant("2026-01-15T10:00:00.000Z");
    struct ms_instant soon = instant("2026-07-15T09:59:59.999Z"),
                      late = instant("2026-07-15T10:00:00.000Z");
    unsigned cells = 0;
    for (uint8_t type = 0; type < MS_TYPE_COUNT; type++) {
        const char *name = ms_asset_type_name((enum ms_asset_type)type);
        bool model = !strcmp(name, "HUMAN_MODEL_2D") || !strcmp(name, "HUMAN_MODEL") ||
                     !strcmp(name, "VOICE_MODEL");
        bool video = !strcmp(name, "VIDEO");
        const char *at_first = model ? "excluded" : video ? "produced_free" : "standard";
        const char *later = model ? "excluded" : video ? "produced" : "standard";
        for (int i = 0; i < 2; i++, cells += 3) {
            struct ms_instant at = i ? late : soon;
            assert_string_equal(ms_class_name(ms_class_of(MS_ORIGIN_UPLOADED, type, made, at)),
                                "standard");
            assert_string_equal(ms_class_name(ms_class_of(MS_ORIGIN_SYSTEM, type, made, at)),
                                "excluded");
            assert_string_equal(ms_class_name(ms_class_of(MS_ORIGIN_CUSTOMIZED, type, made, at)),
                                i ? later : at_first);
        }
    }
    print_message("class cells: %u\n", cells);
}

static void standard_and_produced_are_metered_the_others_are_not(void **state) {
    (void)state;
    assert_true(ms_class_is_metered(MS_CLASS_STANDARD));
    assert_true(ms_class_is_metered(MS_CLASS_PRODUCED));
    assert_false(ms_class_is_metered(MS_CLASS_PRODUCED_FREE));
    assert_false(ms_class_is_metered(MS_CLASS_EXCLUDED));
}

static void a_produced_video_starts_to_count_six_calendar_months_after_its_creation(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"2026-01-15T10:00:00.000Z", "2026-07-15T10:00:00.000Z"},
        {"2025-08-31T23:59:59.999Z", "2026-02-28T23:59:59.999Z"},
        {"2027-08-31T00:00:00.000Z", "2028-02-29T00:00:00.000Z"},
        {"2023-08-29T12:00:00.001Z", "2024-02-29T12:00:00.001Z"},
        {"2026-03-31T00:00:00.000Z", "2026-09-30T00:00:00.000Z"},
        {"2026-07-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"},
        {"2099-08-30T00:00:00.000Z", "2100-02-28T00:00:00.000Z"},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++) {
        struct ms_instant made = instant(cases[i][0]), counts = instant(cases[i][1]);
        assert_int_equal(ms_class_changes_at(MS_ORIGIN_CUSTOMIZED, MS_TYPE_VIDEO, made).ms,
                         counts.ms);
        for (int64_t around = -1; around <= 1; around++)
            assert_int_equal(ms_class_of(MS_ORIGIN_CUSTOMIZED, MS_TYPE_VIDEO, made,
                                         ms_instant_add_ms(counts, around)),
                             around < 0 ? MS_CLASS_PRODUCED_FREE : MS_CLASS_PRODUCED);
    }
}

static void no_other_class_changes_by_itself(void **state) {
    (void)state;
    struct ms_instant made = instant("2026-01-15T10:00:00.000Z");
    for (uint8_t origin = 0; origin < MS_ORIGIN_COUNT; origin++)
        for (uint8_t type = 0; type < MS_TYPE_COUNT; type++)
            if (origin != MS_ORIGIN_CUSTOMIZED || type != MS_TYPE_VIDEO)
                assert_true(ms_instant_is_none(ms_class_changes_at(origin, type, made)));
}

/* ---- fold ---------------------------------------------------------------------------------------
 */

static struct ms_ledger_record event(uint8_t from, uint64_t taken, uint8_t to, uint64_t given) {
    return (struct ms_ledger_record){
        .class_before = from, .bytes_before = taken, .class_after = to, .bytes_after = given};
}

static void an_event_moves_bytes_from_class_to_class(void **state) {
    (void)state;
    struct ms_usage_record u = {.reserved = 7, .assets = 3};
    struct ms_ledger_record born = event(MS_CLASS_PRODUCED_FREE, 0, MS_CLASS_PRODUCED_FREE, 100);
    struct ms_ledger_record counts = event(MS_CLASS_PRODUCED_FREE, 100, MS_CLASS_PRODUCED, 100);
    struct ms_ledger_record grows = event(MS_CLASS_PRODUCED, 100, MS_CLASS_PRODUCED, 130);
    assert_int_equal(ms_usage_apply(&u, &born), MS_USAGE_FINE);
    assert_int_equal(ms_usage_metered(&u), 0);
    assert_int_equal(ms_usage_bytes(&u), 100);
    assert_int_equal(ms_usage_apply(&u, &counts), MS_USAGE_FINE);
    assert_int_equal(ms_usage_metered(&u), 100);
    assert_int_equal(ms_usage_apply(&u, &grows), MS_USAGE_FINE);
    assert_int_equal(u.produced, 130);
    assert_int_equal(u.reserved, 7);
    assert_int_equal(u.assets, 3);
}

static void refuses(struct ms_usage_record before, struct ms_ledger_record e,
                    enum ms_usage_fault fault) {
    struct ms_usage_record u = before;
    assert_int_equal(ms_usage_apply(&u, &e), fault);
    assert_memory_equal(&u, &before, sizeof u);
    assert_true(strlen(ms_usage_fault_text(fault)) > 10);
}

static void what_does_not_add_up_is_reported_and_not_applied(void **state) {
    (void)state;
    struct ms_usage_record u = {.standard = 10, .produced = 5};
    refuses(u, event(MS_CLASS_STANDARD, 11, MS_CLASS_STANDARD, 12), MS_USAGE_NEGATIVE);
    refuses(u, event(MS_CLASS_EXCLUDED, 1, MS_CLASS_STANDARD, 1), MS_USAGE_NEGATIVE);
    refuses(u, event(MS_CLASS_COUNT, 0, MS_CLASS_STANDARD, 1), MS_USAGE_UNKNOWN_CLASS);
    refuses(u, event(MS_CLASS_STANDARD, 0, 255, 1), MS_USAGE_UNKNOWN_CLASS);
    refuses(u, event(MS_CLASS_STANDARD, 0, MS_CLASS_STANDARD, UINT64_MAX), MS_USAGE_OVERFLOW);
    refuses(u, event(MS_CLASS_EXCLUDED, 0, MS_CLASS_EXCLUDED, MS_USAGE_BYTES_MAX - 14),
            MS_USAGE_OVERFLOW);
    struct ms_ledger_record last =
        event(MS_CLASS_EXCLUDED, 0, MS_CLASS_EXCLUDED, MS_USAGE_BYTES_MAX - 15);
    assert_int_equal(ms_usage_apply(&u, &last), MS_USAGE_FINE);
    assert_int_equal(ms_usage_bytes(&u), MS_USAGE_BYTES_MAX);
}

static void a_damaged_record_gives_the_largest_sum_and_not_a_small_one(void **state) {
    (void)state;
    struct ms_usage_record u = {.standard = UINT64_MAX, .produced = 2};
    assert_true(ms_usage_metered(&u) == UINT64_MAX);
    assert_true(ms_usage_bytes(&u) == UINT64_MAX);
}

/* Forty assets change size and class at random; the fold must equal the sum over them at every
 * step. */
static void the_fold_of_the_events_equals_the_sum_over_the_assets(void **state) {
    (void)state;
    struct ms_random_seeded random;
    struct ms_usage_record fold = {0};
    struct {
        uint8_t class;
        uint64_t bytes;
    } asset[40] = {0};
    ms_random_seeded_init(&random, ms_test_seed());
    for (int i = 0; i < 20000; i++) {
        size_t a = ms_random_below(&random.random, 40);
        uint8_t class = (uint8_t)ms_random_below(&random.random, MS_CLASS_COUNT);
        uint64_t bytes =
            ms_random_below(&random.random, 3) ? ms_random_below(&random.random, 500 * MS_GB) : 0;
        struct ms_ledger_record e = event(asset[a].class, asset[a].bytes, class, bytes);
        assert_int_equal(ms_usage_apply(&fold, &e), MS_USAGE_FINE);
        asset[a].class = class;
        asset[a].bytes = bytes;
        uint64_t sum[MS_CLASS_COUNT] = {0};
        for (size_t k = 0; k < 40; k++)
            sum[asset[k].class] += asset[k].bytes;
        assert_true(fold.standard == sum[MS_CLASS_STANDARD] &&
                    fold.produced == sum[MS_CLASS_PRODUCED] &&
                    fold.produced_free == sum[MS_CLASS_PRODUCED_FREE] &&
                    fold.excluded == sum[MS_CLASS_EXCLUDED]);
    }
    ms_random_seeded_fini(&random);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_origin_and_type_has_the_class_of_the_bill),
        cmocka_unit_test(standard_and_produced_are_metered_the_others_are_not),
        cmocka_unit_test(a_produced_video_starts_to_count_six_calendar_months_after_its_creation),
        cmocka_unit_test(no_other_class_changes_by_itself),
        cmocka_unit_test(an_event_moves_bytes_from_class_to_class),
        cmocka_unit_test(what_does_not_add_up_is_reported_and_not_applied),
        cmocka_unit_test(a_damaged_record_gives_the_largest_sum_and_not_a_small_one),
        cmocka_unit_test(the_fold_of_the_events_equals_the_sum_over_the_assets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
