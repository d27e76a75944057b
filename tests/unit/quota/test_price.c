/* Prices, tiers, the rounding rule, month-to-date lines and statements. */
#include "support/test.h"

#include "model/limits.h"
#include "quota/invoice.h"

#include <string.h>

#define FEB_2026 (28 * MS_DAY_MS)

static void same(ms_u128 got, ms_u128 want) {
    if (got != want)
        fail_msg("%s instead of %s", ms_u128_text(got).s, ms_u128_text(want).s);
}

static uint64_t nano(const char *text) {
    uint64_t n = 0;
    assert_true(ms_decimal_parse(text, strlen(text), &n));
    return n;
}

static struct ms_instant instant(const char *text) {
    struct ms_instant t = {0};
    assert_ok(ms_instant_parse(text, &t, &test_err));
    return t;
}

static void numbers_are_printed_to_the_last_digit(void **state) {
    (void)state;
    assert_string_equal(ms_u128_text(0).s, "0");
    assert_string_equal(ms_u128_text(UINT64_MAX).s, "18446744073709551615");
    assert_string_equal(ms_u128_text(~(ms_u128)0).s, "340282366920938463463374607431768211455");
    /* powers of ten, and one less */
    char text[64] = "1";
    ms_u128 power = 1;
    for (size_t digits = 1; digits <= 38; digits++, power *= 10) {
        assert_string_equal(ms_u128_text(power).s, text);
        text[digits] = '0';
        text[digits + 1] = '\0';
        char nines[64] = "";
        memset(nines, '9', digits);
        if (digits < 38)
            assert_string_equal(ms_u128_text(power * 10 - 1).s, nines);
    }
}

static void halves_are_rounded_up_and_nothing_overflows(void **state) {
    (void)state;
    const ms_u128 most = ~(ms_u128)0;
    for (uint64_t d = 1; d < 60; d++)
        for (uint64_t n = 0; n < 600; n++)
            same(ms_round_half_up(n, d), (2 * n + d) / (2 * d));
    same(ms_round_half_up(most, 1), most);
    same(ms_round_half_up(most, most), 1);
    same(ms_round_half_up(most / 2, most), 0); /* just below the half */
    same(ms_round_half_up(most / 2 + 1, most), 1);
    same(ms_round_half_up(most / 2, most - 1), 1); /* the half itself */
}

static void decimals_have_1_to_9_digits_on_either_side(void **state) {
    (void)state;
    static const char *const bad[] = {"",    ".",     "1.",  ".5", "1234567890", "1.0123456789",
                                      "-1",  "+1",    " 1",  "1 ", "1e3",        "0x1",
                                      "1,5", "1.2.3", "1..", "٣",  "1.a",        "NaN"};
    uint64_t n = 77;
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++)
        assert_false(ms_decimal_parse(bad[i], strlen(bad[i]), &n));
    assert_false(ms_decimal_parse("1\0002", 3, &n));
    assert_int_equal(n, 77);
    assert_int_equal(nano("0"), 0);
    assert_int_equal(nano("007"), 7 * MS_NANO);
    assert_int_equal(nano("0.02"), 20000000);
    assert_int_equal(nano("0.000000001"), 1);
    assert_int_equal(nano("3.50"), 3500000000);
    assert_int_equal(nano("999999999.999999999"), 999999999999999999);
}

static void each_currency_has_its_minor_unit(void **state) {
    (void)state;
    static const struct {
        const char *currency;
        uint64_t micros;
        const char *text;
    } rows[] = {
        {"CNY", 0, "0.00"},        {"CNY", 4999, "0.00"},      {"CNY", 5000, "0.01"},
        {"USD", 1234567, "1.23"},  {"EUR", 1235000, "1.24"},   {"EUR", 999995000, "1000.00"},
        {"JPY", 0, "0"},           {"JPY", 499999, "0"},       {"JPY", 500000, "1"},
        {"JPY", 123456789, "123"}, {"CNY", 12000000, "12.00"}, {"CNY", 10050000, "10.05"},
    };
    enum ms_currency c = MS_CURRENCY_COUNT;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        assert_true(ms_currency_parse(rows[i].currency, &c));
        assert_string_equal(ms_currency_name(c), rows[i].currency);
        assert_string_equal(ms_currency_text(c, rows[i].micros).s, rows[i].text);
    }
    for (const char **bad = (const char *[]){"", "cny", "GBP", "CNYX", NULL}; *bad; bad++)
        assert_false(ms_currency_parse(*bad, &c));
}

/* Three tiers: 1.00 up to 10 GB-months, 0.50 up to 100, 0.25 above. */
static struct ms_tier three[] = {
    {10 * MS_NANO, MS_NANO}, {100 * MS_NANO, MS_NANO / 2}, {MS_TIER_OPEN, MS_NANO / 4}};
static const struct ms_card card = {.tiers = three, .tiers_n = 3, .minute_nano = 3500000000};

static void each_tier_prices_the_part_inside_it(void **state) {
    (void)state;
    const ms_u128 unit = (ms_u128)MS_GB * FEB_2026;
    static const struct {
        uint64_t gb_months;
        uint64_t micros;
    } rows[] = {{0, 0},         {1, 1000000},    {9, 9000000},    {10, 10000000},   {11, 10500000},
                {99, 54500000}, {100, 55000000}, {101, 55250000}, {1000, 280000000}};
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        same(ms_price_storage(&card, rows[i].gb_months * unit, FEB_2026), rows[i].micros);
    same(ms_price_storage(NULL, unit, FEB_2026), 0);
    same(ms_price_storage(&(struct ms_card){0}, unit, FEB_2026), 0);
}

/* One byte-millisecond on either side of the smallest amount that rounds up. */
static void storage_is_rounded_half_up_to_the_micro(void **state) {
    (void)state;
    for (int days = 28; days <= 31; days++) {
        ms_u128 unit = (ms_u128)MS_GB * (ms_u128)(days * MS_DAY_MS);
        /* At 1.00 a GB-month the smallest amounts of one and of three halves of a micro */
        ms_u128 one = (unit + 1999999) / 2000000, three_halves = (3 * unit + 1999999) / 2000000;
        same(ms_price_storage(&card, one, days * MS_DAY_MS), 1);
        same(ms_price_storage(&card, one - 1, days * MS_DAY_MS), 0);
        same(ms_price_storage(&card, three_halves, days * MS_DAY_MS), 2);
        same(ms_price_storage(&card, three_halves - 1, days * MS_DAY_MS), 1);
    }
}

/* Against the definition computed with fractions brought to one denominator; small enough for it.
 */
static void random_amounts_have_the_price_of_the_definition(void **state) {
    (void)state;
    struct ms_random_seeded random;
    ms_random_seeded_init(&random, ms_test_seed());
    for (unsigned i = 0; i < ms_test_rounds(20000); i++) {
        uint64_t p[3], up[2], days = 28 + ms_random_below(&random.random, 4);
        for (size_t k = 0; k < 3; k++)
            p[k] = ms_random_below(&random.random, 1000);
        up[0] = 1 + ms_random_below(&random.random, 50);
        up[1] = up[0] + 1 + ms_random_below(&random.random, 50);
        struct ms_tier tiers[] = {
            {up[0] * MS_NANO, p[0]}, {up[1] * MS_NANO, p[1]}, {MS_TIER_OPEN, p[2]}};
        struct ms_card c = {.tiers = tiers, .tiers_n = 3};
        ms_u128 unit = (ms_u128)MS_GB * (ms_u128)((int64_t)days * MS_DAY_MS);
        ms_u128 q = unit * ms_random_below(&random.random, 150) +
                    unit / 1000 * ms_random_below(&random.random, 1000);
        ms_u128 low = q < up[0] * unit ? q : up[0] * unit;
        ms_u128 middle = (q < up[1] * unit ? q : up[1] * unit) - low;
        ms_u128 high = q - low - middle; /* nano-prices x byte-ms: micros are 1000 x unit of them */
        ms_u128 sum = low * p[0] + middle * p[1] + high * p[2];
        same(ms_price_storage(&c, q, (int64_t)days * MS_DAY_MS),
             (2 * sum + 1000 * unit) / (2000 * unit));
    }
    ms_random_seeded_fini(&random);
}

static void the_largest_amounts_fit(void **state) {
    (void)state;
    struct ms_tier dearest[] = {{999999999999999999, 999999999999999999},
                                {MS_TIER_OPEN, 999999999999999999}};
    struct ms_card c = {.tiers = dearest, .tiers_n = 2, .minute_nano = 999999999999999999};
    ms_u128 most = (ms_u128)INT64_MAX * (ms_u128)(31 * MS_DAY_MS);
    /* 2^33 GB-months less a byte's worth, at all but 10^9 each */
    assert_string_equal(ms_u128_text(ms_price_storage(&c, most, 31 * MS_DAY_MS)).s,
                        "8589934591999999990478743");
    assert_string_equal(ms_u128_text(ms_price_video(&c, MS_HUNDREDTHS_MAX - 1)).s,
                        "48357032784585166939889997215414833012");
}

static void minutes_are_priced_by_the_hundredth(void **state) {
    (void)state;
    same(ms_price_video(&card, 0), 0);
    same(ms_price_video(&card, 1257), 43995000);
    same(ms_price_video(NULL, 1257), 0);
    struct ms_card half = {.minute_nano = 50000}; /* a hundredth of a minute is half a micro */
    for (uint64_t h = 0; h < 300000; h += 7)
        same(ms_price_video(&half, h), (h + 1) / 2);
}

static void a_package_is_rounded_on_its_own(void **state) {
    (void)state;
    char name[] = "am-100g";
    struct ms_package_price p = {name, 7, 1900000000};
    struct ms_card c = {.packages = &p, .packages_n = 1};
    same(ms_price_package(&c, ms_view_str("am-100g")), 1900000);
    same(ms_price_package(&c, ms_view_str("am-100")), 0);
    same(ms_price_package(&c, ms_view_str("am-100gb")), 0);
    same(ms_price_package(NULL, ms_view_str("am-100g")), 0);
    p.price_nano = 499;
    same(ms_price_package(&c, ms_view_str("am-100g")), 0);
    p.price_nano = 500;
    same(ms_price_package(&c, ms_view_str("am-100g")), 1);
}

static struct ms_rates two_cards(struct ms_card cards[2]) {
    cards[0].from = instant("2026-02-01T00:00:00.000Z");
    cards[1].from = instant("2026-04-01T00:00:00.000Z");
    return (struct ms_rates){.cards = cards, .cards_n = 2};
}

static void a_card_is_in_force_from_its_month_until_the_next_card(void **state) {
    (void)state;
    struct ms_card cards[2] = {card, card};
    struct ms_rates rates = two_cards(cards);
    static const struct {
        const char *at;
        int card;
    } rows[] = {{"2026-01-31T23:59:59.999Z", -1},
                {"2026-02-01T00:00:00.000Z", 0},
                {"2026-03-31T23:59:59.999Z", 0},
                {"2026-04-01T00:00:00.000Z", 1},
                {"2099-01-01T00:00:00.000Z", 1}};
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        assert_ptr_equal(ms_rates_card(&rates, instant(rows[i].at)),
                         rows[i].card < 0 ? NULL : &cards[rows[i].card]);
}

/* A year of days with the same odd excess: no line is off by more than one micro from its
 * neighbours, and each month's lines add up to the month's price. */
static void lines_add_up_to_the_month_and_do_not_drift(void **state) {
    (void)state;
    struct ms_card cards[2] = {card, card};
    struct ms_rates rates = two_cards(cards);
    struct ms_rating rating;
    struct ms_line line;
    ms_u128 sum = 0;
    ms_rating_begin(&rating, &rates);
    struct ms_day day = {.midnight = instant("2026-01-15T00:00:00.000Z"), .excess = 12345678901};
    for (int i = 0; i < 365; i++, day.midnight.ms += MS_DAY_MS) {
        ms_rating_day(&rating, &day, &line);
        struct ms_statement s = ms_rating_statement(&rating);
        sum = s.days == 1 ? line.total : sum + line.total;
        same(s.total, sum);
        same(s.storage,
             ms_price_storage(ms_rates_card(&rates, s.month), s.excess, ms_month_ms(s.month)));
        if (day.midnight.ms < cards[0].from.ms)
            same(line.total, 0);
    }
}

static void a_month_has_its_items(void **state) {
    (void)state;
    struct ms_card cards[2] = {card, card};
    struct ms_rates rates = two_cards(cards);
    struct ms_rating rating;
    struct ms_line line;
    ms_rating_begin(&rating, &rates);
    struct ms_day day = {.midnight = instant("2026-02-28T00:00:00.000Z"),
                         .excess = (ms_u128)MS_GB * FEB_2026,
                         .video_hundredths = 2000,
                         .video_paid_hundredths = 1257,
                         .package_micros = 1900000};
    ms_rating_day(&rating, &day, &line);
    same(line.storage, 1000000);
    same(line.video, 43995000);
    same(line.package, 1900000);
    same(line.total, 46895000);
    assert_string_equal(ms_gb_months_text(day.excess, day.midnight).s, "1.000000000");
    assert_string_equal(ms_gb_months_text(day.excess / 3, day.midnight).s, "0.333333333");
    day.midnight.ms += MS_DAY_MS;
    ms_rating_day(&rating, &day, &line);
    struct ms_statement s = ms_rating_statement(&rating);
    assert_int_equal(s.days, 1);
    assert_int_equal(s.month.ms, instant("2026-03-01T00:00:00.000Z").ms);
    same(s.storage, 903226); /* 28 / 31 */
    same(s.video_hundredths, 2000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_printed_to_the_last_digit),
        cmocka_unit_test(halves_are_rounded_up_and_nothing_overflows),
        cmocka_unit_test(decimals_have_1_to_9_digits_on_either_side),
        cmocka_unit_test(each_currency_has_its_minor_unit),
        cmocka_unit_test(each_tier_prices_the_part_inside_it),
        cmocka_unit_test(storage_is_rounded_half_up_to_the_micro),
        cmocka_unit_test(random_amounts_have_the_price_of_the_definition),
        cmocka_unit_test(the_largest_amounts_fit),
        cmocka_unit_test(minutes_are_priced_by_the_hundredth),
        cmocka_unit_test(a_package_is_rounded_on_its_own),
        cmocka_unit_test(a_card_is_in_force_from_its_month_until_the_next_card),
        cmocka_unit_test(lines_add_up_to_the_month_and_do_not_drift),
        cmocka_unit_test(a_month_has_its_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
