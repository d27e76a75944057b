/* Rate cards: what is read, and every refusal with its place. */
#include "bill_story.h"

#include <string.h>

static struct ms_rates parsed(const char *text) {
    struct ms_rates rates = {0};
    assert_ok(ms_rates_parse(text, strlen(text), &rates, &test_err));
    return rates;
}

static void the_specifications_card_is_read(void **state) {
    (void)state;
    struct ms_rates r = parsed(
        "{\"currency\":\"CNY\",\"cards\":[{\"valid_from\":\"2026-01\",\"storage\":[{"
        "\"up_to_gb_months\":\"100\",\"price\":\"0.02\"},{\"price\":\"0.015\"}],\"video_minute\":"
        "\"3.50\",\"packages\":{\"am-100g\":\"1.90\"}}]}");
    assert_int_equal(r.currency, MS_CURRENCY_CNY);
    assert_int_equal(r.cards_n, 1);
    const struct ms_card *c = &r.cards[0];
    assert_int_equal(c->from.ms, INT64_C(1767225600000));
    assert_int_equal(c->tiers_n, 2);
    assert_int_equal(c->tiers[0].up_to_nano, 100 * MS_NANO);
    assert_int_equal(c->tiers[0].price_nano, 20000000);
    assert_true(c->tiers[1].up_to_nano == MS_TIER_OPEN);
    assert_int_equal(c->tiers[1].price_nano, 15000000);
    assert_int_equal(c->minute_nano, 3500000000);
    assert_int_equal(c->packages_n, 1);
    assert_string_equal(c->packages[0].name, "am-100g");
    assert_int_equal(c->packages[0].price_nano, 1900000000);
    ms_rates_fini(&r);
}

static void cards_come_in_any_order_and_may_name_little(void **state) {
    (void)state;
    struct ms_rates r =
        parsed("{\"currency\":\"JPY\",\"note\":1e999,\"cards\":[{\"valid_from\":\"2027-02\"},{"
               "\"valid_from\":"
               "\"1970-01\",\"x\":[]},{\"valid_from\":\"2026-12\",\"packages\":{}}]}");
    assert_int_equal(r.cards_n, 3);
    for (size_t i = 1; i < 3; i++)
        assert_true(r.cards[i - 1].from.ms < r.cards[i].from.ms);
    assert_int_equal(r.cards[0].from.ms, 0);
    ms_rates_fini(&r);
    r = parsed("{\"currency\":\"USD\",\"cards\":[]}");
    assert_null(ms_rates_card(&r, ms_instant_of(0)));
    ms_rates_fini(&r);
}

#define CARD(members)                                                                              \
    "{'currency':'CNY','cards':[{'valid_from':'2026-01'},{'valid_from':'2026-02'," members "}]}"
static const struct {
    const char *text, *says;
} refused[] = {
    {"", "no JSON"},
    {"[]", "no JSON object"},
    {"{'cards':[]}", "currency is missing: it must be one of CNY, USD, EUR, JPY"},
    {"{'currency':'GBP','cards':[]}", "currency is \"GBP\""},
    {"{'currency':'CNY\\u0000','cards':[]}", "currency is \"CNY"},
    {"{'currency':'CNY'}", "cards is missing"},
    {"{'currency':'CNY','cards':{}}", "cards is {}"},
    {"{'currency':'CNY','cards':[7]}", "cards[0] is 7"},
    {"{'currency':'CNY','cards':[{}]}", "cards[0].valid_from is missing"},
    {"{'currency':'CNY','cards':[{'valid_from':'2026-13'}]}", "valid_from is \"2026-13\""},
    {"{'currency':'CNY','cards':[{'valid_from':'2026-1'}]}", "valid_from is \"2026-1\""},
    {"{'currency':'CNY','cards':[{'valid_from':'1969-12'}]}", "valid_from is \"1969-12\""},
    {"{'currency':'CNY','cards':[{'valid_from':'2026-01-01'}]}", "a month between"},
    {"{'currency':'CNY','cards':[{'valid_from':'2026-01'},{'valid_from':'2026-01'}]}",
     "cards[1].valid_from is \"2026-01\": it must be a month that no other card has"},
    {"{'currency':'CNY','cards':[{'valid_from':'2026-01','valid_from':'2026-02'}]}", "twice"},
    {CARD("'video_minute':'3.'"), "cards[1].video_minute is \"3.\": it must be 1 to 9 digits"},
    {CARD("'video_minute':3.5"), "cards[1].video_minute is 3.5"},
    {CARD("'video_minute':null"), "cards[1].video_minute is null"},
    {CARD("'video_minute':'-1'"), "cards[1].video_minute is \"-1\""},
    {CARD("'video_minute':'1234567890'"), "video_minute is \"1234567890\""},
    {CARD("'video_minute':'0.0000000001'"), "video_minute is \"0.0000000001\""},
    {CARD("'packages':[]"), "cards[1].packages is []"},
    {CARD("'packages':{'a':1}"), "cards[1].packages.a is 1"},
    {CARD("'packages':{'a':'1','b':''}"), "cards[1].packages.b is \"\""},
    {CARD("'storage':{}"), "cards[1].storage is {}"},
    {CARD("'storage':[]"), "cards[1].storage is []: it must be a list of tiers, the last one open"},
    {CARD("'storage':['1']"), "cards[1].storage[0] is \"1\""},
    {CARD("'storage':[{}]"), "cards[1].storage[0].price is missing"},
    {CARD("'storage':[{'price':'x'}]"), "cards[1].storage[0].price is \"x\""},
    {CARD("'storage':[{'up_to_gb_months':'5','price':'1'}]"),
     "cards[1].storage[0].up_to_gb_months is \"5\": it must be absent: the last tier is open"},
    {CARD("'storage':[{'price':'1'},{'price':'2'}]"), "storage[0].up_to_gb_months is missing"},
    {CARD("'storage':[{'up_to_gb_months':'1,5','price':'1'},{'price':'2'}]"), "is \"1,5\""},
    {CARD("'storage':[{'up_to_gb_months':'5','price':'1'},{'up_to_gb_months':'5.0','price':'1'},"
          "{'price':'2'}]"),
     "cards[1].storage[1].up_to_gb_months is \"5.0\": it must be above the bound"},
};

static void every_refusal_names_its_place(void **state) {
    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(refused); i++) {
        struct ms_rates rates = {0};
        char text[1024];
        size_t n = strlen(refused[i].text);
        for (size_t k = 0; k <= n; k++)
            text[k] = refused[i].text[k] == '\'' ? '"' : refused[i].text[k];
        test_err = (struct ms_error){0};
        enum ms_code code = ms_rates_parse(text, n, &rates, &test_err);
        if (code != MS_BILL_INPUT || strncmp(test_err.message, "rate card: ", 11) != 0 ||
            !strstr(test_err.message, refused[i].says))
            fail_msg("row %zu: code %s, message \"%s\" instead of \"%s\"", i, ms_code_name(code),
                     test_err.message, refused[i].says);
        assert_null(rates.cards);
    }
    print_message("refusals: %zu\n", MS_ARRAY_LEN(refused));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_specifications_card_is_read),
        cmocka_unit_test(cards_come_in_any_order_and_may_name_little),
        cmocka_unit_test(every_refusal_names_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
