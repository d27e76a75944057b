/* What time and renewals do to a package: every state at every instant that matters. */
#include "support/test.h"

#include "model/asset_type.h"
#include "quota/package.h"

#include <string.h>

#define START ms_instant_of(INT64_C(1769817600000) + 5 * MS_HOUR_MS) /* 2026-01-31 05:00 */
#define GRACE (15 * MS_DAY_MS)

static struct ms_package_record package(uint8_t kind, uint32_t months, uint32_t terms) {
    struct ms_package_record p = {.kind = kind, .amount = 100};
    assert_ok(ms_package_begin(&p, START, months, terms, &test_err));
    return p;
}

static struct ms_instant months(unsigned n) { return ms_instant_add_months(START, (int)n); }

/* The record at an instant. */
static struct ms_package_record at(struct ms_package_record p, struct ms_instant when) {
    while (ms_package_due(&p).ms <= when.ms)
        (void)ms_package_pass(&p, true);
    return p;
}

static void terms_are_counted_from_the_first_start(void **state) {
    (void)state;
    struct ms_package_record p = package(MS_PACKAGE_ASSET_MANAGER, 1, 3);
    for (unsigned n = 1; n <= 3; n++) {
        assert_int_equal(ms_package_due(&p).ms, months(n).ms); /* 28 Feb, 31 Mar, 30 Apr */
        assert_int_equal(ms_package_pass(&p, true),
                         n < 3 ? MS_PACKAGE_TERM_BEGINS : MS_PACKAGE_EXPIRES);
    }
    assert_int_equal(p.state, MS_PACKAGE_GRACE);
    assert_int_equal(p.ended.ms, months(3).ms);
}

static void each_step_comes_at_its_instant_and_not_before(void **state) {
    (void)state;
    const struct {
        struct ms_instant at;
        uint8_t before, from;
    } table[] = {
        {months(1), MS_PACKAGE_VALID, MS_PACKAGE_GRACE},
        {ms_instant_add_ms(months(1), GRACE), MS_PACKAGE_GRACE, MS_PACKAGE_HELD},
        {ms_instant_add_ms(months(1), 2 * GRACE), MS_PACKAGE_HELD, MS_PACKAGE_ENDED},
    };
    struct ms_package_record p = package(MS_PACKAGE_VOICE_CLONE, 1, 1);
    for (size_t i = 0; i < MS_ARRAY_LEN(table); i++) {
        assert_int_equal(at(p, ms_instant_add_ms(table[i].at, -1)).state, table[i].before);
        assert_int_equal(at(p, table[i].at).state, table[i].from);
        assert_int_equal(at(p, ms_instant_add_ms(table[i].at, 1)).state, table[i].from);
    }
    p = at(p, months(12));
    assert_int_equal(ms_package_due(&p).ms, INT64_MAX);
}

static void what_renews_itself_gets_a_term_unless_something_speaks_against_it(void **state) {
    (void)state;
    struct ms_package_record p = package(MS_PACKAGE_VIDEO_MINUTES, 1, 1);
    p.auto_renew = 1;
    p.used = 70;
    assert_int_equal(ms_package_pass(&p, true), MS_PACKAGE_RENEWS);
    assert_int_equal(p.bought, 2);
    assert_int_equal(p.used, 0); /* minutes are for each term */
    assert_int_equal(ms_package_due(&p).ms, months(2).ms);
    assert_int_equal(ms_package_pass(&p, false), MS_PACKAGE_EXPIRES);
    assert_int_equal(p.auto_renew, 0);
    assert_int_equal(ms_package_left(&p), 0);
}

static void a_package_without_end_has_none(void **state) {
    (void)state;
    struct ms_package_record p = package(MS_PACKAGE_MODELING_2D, 0, 1);
    struct ms_package_renewal r;
    assert_int_equal(ms_package_due(&p).ms, INT64_MAX);
    assert_code(ms_package_renew(&p, START, 1, &r, &test_err), MS_WRONG_STATE);
}

/* A renewal in every state: what becomes of it. */
static void a_renewal_fits_the_state_that_it_finds(void **state) {
    (void)state;
    const struct {
        struct ms_instant when, due;
        bool allowed, late, lift;
        uint32_t bought;
    } table[] = {
        {ms_instant_add_ms(months(1), -1), months(1), true, false, false, 2},
        {months(1), months(2), true, true, false, 2},
        {ms_instant_add_ms(months(1), GRACE - 1), months(2), true, true, false, 2},
        {ms_instant_add_ms(months(1), GRACE), months(2), true, true, true, 2},
        {ms_instant_add_ms(months(1), 2 * GRACE - 1), months(2), true, true, true, 2},
        {ms_instant_add_ms(months(1), 2 * GRACE), months(1), false, false, false, 1},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(table); i++) {
        struct ms_package_record p = at(package(MS_PACKAGE_VOICE_CLONE, 1, 1), table[i].when);
        struct ms_package_record before = p;
        struct ms_package_renewal r = {0};
        enum ms_code code = ms_package_renew(&p, table[i].when, 1, &r, &test_err);
        assert_int_equal(code, table[i].allowed ? MS_OK : MS_WRONG_STATE);
        assert_int_equal(p.bought, table[i].bought);
        if (!table[i].allowed) {
            assert_memory_equal(&p, &before, sizeof p);
            continue;
        }
        assert_int_equal(r.late, table[i].late);
        assert_int_equal(r.lift, table[i].lift);
        assert_int_equal(p.state, MS_PACKAGE_VALID);
        assert_int_equal(ms_package_due(&p).ms, table[i].due.ms);
    }
}

static void units_stay_used_and_are_left_only_while_it_is_valid(void **state) {
    (void)state;
    struct ms_package_record p = package(MS_PACKAGE_VOICE_CLONE, 1, 2);
    p.used = 40;
    assert_int_equal(ms_package_left(&p), 60);
    p = at(p, months(1));
    assert_int_equal(ms_package_left(&p), 60);
    p = at(p, months(2));
    assert_int_equal(ms_package_left(&p), 0);
}

static void ranges_are_kept(void **state) {
    (void)state;
    struct ms_package_record p = {0};
    static const struct {
        uint32_t months, terms;
        enum ms_code code;
    } table[] = {{0, 1, MS_OK},      {0, 2, MS_RANGE}, {MS_TERM_MONTHS_MAX, 1, MS_OK},
                 {1, 0, MS_RANGE},   {1, MS_TERMS_MAX, MS_OK},
                 {1, MS_TERMS_MAX + 1, MS_RANGE}, {MS_TERM_MONTHS_MAX + 1, 1, MS_RANGE},
                 {MS_TERM_MONTHS_MAX, MS_TERMS_MAX, MS_RANGE}};
    for (size_t i = 0; i < MS_ARRAY_LEN(table); i++)
        assert_int_equal(
            ms_package_begin(&p, START, table[i].months, table[i].terms, &test_err), table[i].code);
}

static void units_serve_their_types(void **state) {
    (void)state;
    for (uint8_t k = 0; k < MS_PACKAGE_KIND_COUNT; k++)
        for (uint8_t t = 0; t < MS_TYPE_COUNT; t++)
            assert_int_equal(ms_package_fits(k, t),
                             (k == MS_PACKAGE_MODELING_2D && t == MS_TYPE_HUMAN_MODEL_2D) ||
                                 (k == MS_PACKAGE_VOICE_CLONE && t == MS_TYPE_VOICE_MODEL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_are_counted_from_the_first_start),
        cmocka_unit_test(each_step_comes_at_its_instant_and_not_before),
        cmocka_unit_test(what_renews_itself_gets_a_term_unless_something_speaks_against_it),
        cmocka_unit_test(a_package_without_end_has_none),
        cmocka_unit_test(a_renewal_fits_the_state_that_it_finds),
        cmocka_unit_test(units_stay_used_and_are_left_only_while_it_is_valid),
        cmocka_unit_test(ranges_are_kept),
        cmocka_unit_test(units_serve_their_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
