/* Every refusal of a history with its line, rule and value; reading and writing lines; no memory.
 */
#include "bill_story.h"

#include "quota/history.h"
#include "quota/names.h"
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#define AT "2026-01-31T00:00:00.000Z"
#define LATER "2026-02-01T00:00:00.000Z"
#define T AT "','do':'tenant','tenant':'t'}"
#define U AT "','do':'tenant','tenant':'u'}"
#define PUT(members) AT "','do':'put','tenant':'t','asset':'a'," members "}"
#define A PUT("'type':'IMAGE','origin':'UPLOADED','bytes':5")
#define CUSTOM                                                                                     \
    PUT("'type':'VIDEO','origin':'CUSTOMIZED','bytes':5,'created':'2026-01-01T00:00:00.000Z'")
#define PACK(kind, amount, months, terms)                                                          \
    AT "','do':'package','tenant':'t','package':'p','name':'n','kind':'" kind "','amount':" amount \
       ",'months':" months ",'terms':" terms "}"
#define P PACK("ASSET_MANAGER", "5", "1", "1")
#define END LATER "','do':'end'}"
#define BIG "9223372036854775807"

static const struct {
    const char *lines[8];
    unsigned line;
    const char *says;
} refused[] = {
    /* no JSON object */
    {{T, "{", END}, 2, "this is no JSON: "},
    {{T, "[]", END}, 2, "this is no JSON object: []"},
    {{T, "nonsense", END}, 2, "nonsense"},
    {{T, END " {}"}, 2, "this is no JSON"},
    {{"{'at':'" AT "','at':'" AT "','do':'end'}"}, 1, "twice"},
    {{"{'at':'\xff'}"}, 1, "this is no JSON"},
    /* unknown do; missing or mistyped members */
    {{T, AT "','do':'steal','tenant':'t'}", END}, 2, "\"do\" is \"steal\""},
    {{T, AT "'}", END}, 2, "\"do\" is missing"},
    {{T, AT "','do':7}", END}, 2, "\"do\" is 7"},
    {{"{'do':'end'}"}, 1, "\"at\" is missing"},
    {{AT "','do':'tenant'}", END}, 1, "\"tenant\" is missing: \"tenant\" must have it"},
    {{T, PUT("'type':'IMAGE','origin':'UPLOADED'"), END}, 2, "\"bytes\" is missing: \"put\""},
    {{T, PUT("'type':7,'origin':'UPLOADED','bytes':1"), END}, 2, "\"type\" is 7"},
    {{T, PUT("'type':'image','origin':'UPLOADED','bytes':1"), END}, 2, "\"type\" is \"image\""},
    {{T, PUT("'type':'IMAGE','origin':'FOUND','bytes':1"), END}, 2, "\"origin\" is \"FOUND\""},
    {{T, PUT("'type':'IMAGE','origin':'UPLOADED','bytes':'1'"), END}, 2, "\"bytes\" is \"1\""},
    {{T, PUT("'type':'IMAGE','origin':'UPLOADED','bytes':1,'created':null"), END}, 2, "is null"},
    {{AT "','do':'tenant','tenant':'t','free_bytes':null}", END}, 1, "\"free_bytes\" is null"},
    {{AT "','do':'tenant','tenant':'t','pay_per_use':1}", END}, 1, "\"pay_per_use\" is 1"},
    {{T, A, AT "','do':'trash','tenant':'t'}", END}, 3, "\"asset\" is missing: \"trash\""},
    {{T, A, AT "','do':'transfer','tenant':'t','asset':'a'}", END}, 3, "\"to\" is missing"},
    {{T, A, AT "','do':'transfer','tenant':'t','asset':'a','to':1}", END}, 3, "\"to\" is 1"},
    {{T, PACK("GOLD", "5", "1", "1"), END}, 2, "\"kind\" is \"GOLD\""},
    {{T, AT "','do':'renew','tenant':'t','package':'p'}", END}, 2, "\"terms\" is missing"},
    /* instants */
    {{"2026-01-31T00:00:00Z','do':'end'}"}, 1, "\"at\" is \"2026-01-31T00:00:00Z\""},
    {{"2026-02-29T00:00:00.000Z','do':'end'}"}, 1, "2026-02-29"},
    {{"2026-01-31T24:00:00.000Z','do':'end'}"}, 1, "T24:00"},
    {{"2026-01-31T23:59:60.000Z','do':'end'}"}, 1, "23:59:60"},
    {{"1969-12-31T23:59:59.999Z','do':'end'}"}, 1, "1969"},
    {{"2026-01-31T00:00:00.000+00:00','do':'end'}"}, 1, "+00:00"},
    {{"{'at':1769817600000,'do':'end'}"}, 1, "\"at\" is 1769817600000"},
    {{T, "2026-01-30T23:59:59.999Z','do':'end'}"}, 2, "the one before is at " AT},
    /* numbers */
    {{T, PUT("'type':'IMAGE','origin':'UPLOADED','bytes':-1"), END}, 2, "\"bytes\" is -1"},
    {{T, PUT("'type':'IMAGE','origin':'UPLOADED','bytes':1.0"), END}, 2, "\"bytes\" is 1.0"},
    {{T, PUT("'type':'IMAGE','origin':'UPLOADED','bytes':1e3"), END}, 2, "\"bytes\" is 1e3"},
    {{T, PUT("'type':'IMAGE','origin':'UPLOADED','bytes':9223372036854775808"), END},
     2,
     "\"bytes\" is 9223372036854775808: it must be a whole number from 0 to 9223372036854775807"},
    {{T, PUT("'type':'IMAGE','origin':'UPLOADED', 'x':1e999,'bytes' : 1e999 "), END},
     2,
     "\"bytes\" is 1e999"},
    {{AT "','do':'tenant','tenant':'t','free_bytes':-1}", END}, 1, "\"free_bytes\" is -1"},
    {{T, AT "','do':'produce','tenant':'t','asset':'a','seconds':0.5,'bytes':1}", END}, 2, "0.5"},
    {{T, PACK("ASSET_MANAGER", "-5", "1", "1"), END}, 2, "\"amount\" is -5"},
    {{T, PACK("ASSET_MANAGER", "5", "121", "1"), END}, 2, "\"months\" is 121"},
    {{T, PACK("ASSET_MANAGER", "5", "1", "0"), END}, 2, "\"terms\" is 0"},
    {{T, PACK("ASSET_MANAGER", "5", "1", "1201"), END}, 2, "\"terms\" is 1201"},
    {{T, P, AT "','do':'renew','tenant':'t','package':'p','terms':0}", END}, 3, "\"terms\" is 0"},
    /* packages without end, terms after the year 9999 */
    {{T, PACK("ASSET_MANAGER", "5", "0", "2"), END}, 2, "\"terms\" is 2: it must be 1"},
    {{T, PACK("ASSET_MANAGER", "5", "0", "1"),
      AT "','do':'renew','tenant':'t','package':'p','terms':1}", END},
     3,
     "without end"},
    {{T, PACK("ASSET_MANAGER", "5", "120", "798"), END}, 2, "year 9999"},
    {{T, PACK("ASSET_MANAGER", "5", "120", "797"),
      AT "','do':'renew','tenant':'t','package':'p','terms':1}", END},
     3,
     "year 9999"},
    /* bytes or allowance above 2^63 - 1 */
    {{T, A, AT "','do':'produce','tenant':'t','asset':'v','seconds':1,'bytes':" BIG "}", END},
     3,
     "2^63 - 1 bytes"},
    {{T, U, A, AT "','do':'produce','tenant':'u','asset':'v','seconds':1,'bytes':" BIG "}",
      AT "','do':'transfer','tenant':'t','asset':'a','to':'u'}", END},
     5,
     "tenant \"u\" would have"},
    {{T, PACK("ASSET_MANAGER", BIG, "1", "1"), END}, 2, "allowance of tenant \"t\" is"},
    {{T, P, AT "','do':'tenant','tenant':'t','free_bytes':" BIG "}", END}, 3, "allowance"},
    /* tenants, ids, owners */
    {{A, END}, 1, "tenant \"t\" is unknown"},
    {{T, AT "','do':'trash','tenant':'t','asset':'a'}", END}, 2, "asset \"a\" is unknown"},
    {{T, AT "','do':'delete','tenant':'t','asset':'a'}", END}, 2, "asset \"a\" is unknown"},
    {{T, AT "','do':'renew','tenant':'t','package':'p','terms':1}", END},
     2,
     "package \"p\" is unknown"},
    {{T, A, AT "','do':'delete','tenant':'t','asset':'a'}", A, END}, 4, "was deleted"},
    {{T, A, AT "','do':'delete','tenant':'t','asset':'a'}",
      AT "','do':'freeze','tenant':'t','asset':'a'}", END},
     4,
     "was deleted"},
    {{T, A, AT "','do':'produce','tenant':'t','asset':'a','seconds':1,'bytes':1}", END},
     3,
     "asset \"a\" is known"},
    {{T, P, P, END}, 3, "package \"p\" is known"},
    {{T, U, A, AT "','do':'unfreeze','tenant':'u','asset':'a'}", END}, 4, "but of \"t\""},
    {{T, U, A,
      AT "','do':'put','tenant':'u','asset':'a','type':'IMAGE','origin':'UPLOADED','bytes':1}",
      END},
     4,
     "asset \"a\" is not of tenant \"u\" but of \"t\""},
    {{T, U, P, AT "','do':'renew','tenant':'u','package':'p','terms':1}", END},
     4,
     "package \"p\" is not of tenant \"u\" but of \"t\""},
    {{T, A, AT "','do':'transfer','tenant':'t','asset':'a','to':null}",
      AT "','do':'trash','tenant':'t','asset':'a'}", END},
     4,
     "it left"},
    /* what stays */
    {{T, A, PUT("'type':'IMAGE','origin':'SYSTEM','bytes':5"), END}, 3, "it was UPLOADED at first"},
    {{T, CUSTOM, PUT("'type':'IMAGE','origin':'CUSTOMIZED','bytes':5"), END}, 3, "stays VIDEO"},
    {{T, PUT("'type':'IMAGE','origin':'UPLOADED','bytes':5,'created':'2026-01-31T00:00:00.001Z'"),
      END},
     2,
     "\"created\" is \"2026-01-31T00:00:00.001Z\": it must be at or before \"at\""},
    {{T, CUSTOM, CUSTOM, END}, 3, "given again: it stays 2026-01-01T00:00:00.000Z"},
    {{T, A, PUT("'type':'IMAGE','origin':'UPLOADED','bytes':5,'created':'" AT "'"), END},
     3,
     "given again"},
    {{T, CUSTOM, AT "','do':'transfer','tenant':'t','asset':'a','to':null}",
      PUT("'type':'VIDEO','origin':'CUSTOMIZED','bytes':5"), END},
     4,
     "its first \"created\", 2026-01-01"},
    /* transfers */
    {{T, A, AT "','do':'transfer','tenant':'t','asset':'a','to':'t'}", END}, 3, "to itself"},
    {{T, A, AT "','do':'transfer','tenant':'t','asset':'a','to':'w'}", END},
     3,
     "tenant \"w\" is unknown"},
    /* the end */
    {{T, A}, 2, "\"end\" must be the last"},
    {{NULL}, 1, "\"end\" must be the last"},
    {{"", "  ", NULL}, 2, "\"end\" must be the last"},
    {{T, END, "", END}, 4, "follows \"end\""},
    {{T, END, A}, 3, "a \"put\" follows \"end\""},
};

static void every_refusal_names_line_rule_and_value(void **state) {
    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(refused); i++) {
        struct story told;
        char place[32];
        enum ms_code code = story_tell(&told, NULL, refused[i].lines);
        int n = snprintf(place, sizeof place, "line %u: ", refused[i].line);
        if (code != MS_BILL_INPUT || strncmp(told.err.message, place, (size_t)n) != 0 ||
            !strstr(told.err.message, refused[i].says))
            fail_msg("row %zu: code %s, message \"%s\" instead of \"%s...%s\"", i,
                     ms_code_name(code), told.err.message, place, refused[i].says);
        story_end(&told);
    }
    print_message("refusals: %zu\n", MS_ARRAY_LEN(refused));
}

static void what_the_rules_do_not_ask_for_is_taken(void **state) {
    (void)state;
    static const char *const rows[][8] = {
        {T, PUT("'type':'IMAGE','origin':'UPLOADED','bytes':-0,'seconds':-1,'to':[]"), END, NULL},
        {T,
         PUT("'type':'IMAGE','origin':'UPLOADED','bytes':5,'x':123456789012345678901,'y':1e999,"
             "'z':'\\u0000'"),
         END, NULL},
        {T, A, PUT("'type':'AUDIO','origin':'UPLOADED','bytes':" BIG), END, NULL},
        {T, AT "','do':'freeze','tenant':'t','asset':'a'}", NULL}, /* see below */
        {AT "','do':'tenant','tenant':''}", END "\r\n", NULL},
        {T, CUSTOM, AT "','do':'transfer','tenant':'t','asset':'a','to':null}", CUSTOM, END, NULL},
        {T, A, AT "','do':'transfer','tenant':'t','asset':'a','to':null}", A, END, NULL},
        {T, A, P,
         AT "','do':'package','tenant':'t','package':'a','name':'','kind':'VOICE_CLONE',"
            "'amount':0,'months':120,'terms':797}",
         END, NULL},
        {AT "','do':'tenant','tenant':'t','free_bytes':" BIG "}", END, NULL},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct story told;
        assert_int_equal(story_tell(&told, NULL, rows[i]), i == 3 ? MS_BILL_INPUT : MS_OK);
        story_end(&told);
    }
}

static void a_line_comes_back_as_it_was_written(void **state) {
    (void)state;
    static const char *const lines[] = {
        "{\"at\":\"" AT "\",\"do\":\"tenant\",\"tenant\":\"t\"}\n",
        "{\"at\":\"" AT "\",\"do\":\"tenant\",\"tenant\":\"t1\",\"free_bytes\":5368709120,"
        "\"pay_per_use\":true}\n",
        "{\"at\":\"" AT "\",\"do\":\"put\",\"tenant\":\"t1\",\"asset\":\"\u00e4 \\\"\\n\","
        "\"type\":\"VIDEO\",\"origin\":\"UPLOADED\",\"bytes\":734003200}\n",
        "{\"at\":\"" AT "\",\"do\":\"put\",\"tenant\":\"t1\",\"asset\":\"a\",\"type\":\"IMAGE\","
        "\"origin\":\"SYSTEM\",\"bytes\":" BIG ",\"created\":\"1970-01-01T00:00:00.000Z\"}\n",
        "{\"at\":\"" AT "\",\"do\":\"produce\",\"tenant\":\"t1\",\"asset\":\"v1\",\"seconds\":754,"
        "\"bytes\":91234567}\n",
        "{\"at\":\"" AT "\",\"do\":\"unfreeze\",\"tenant\":\"t1\",\"asset\":\"a1\"}\n",
        "{\"at\":\"" AT "\",\"do\":\"transfer\",\"tenant\":\"t1\",\"asset\":\"a1\",\"to\":null}\n",
        "{\"at\":\"" AT
        "\",\"do\":\"transfer\",\"tenant\":\"t1\",\"asset\":\"a1\",\"to\":\"t2\"}\n",
        "{\"at\":\"" AT "\",\"do\":\"package\",\"tenant\":\"t1\",\"package\":\"p1\",\"name\":"
        "\"am-100g\",\"kind\":\"ASSET_MANAGER\",\"amount\":107374182400,\"months\":1,\"terms\":12,"
        "\"paid\":true}\n",
        "{\"at\":\"" AT "\",\"do\":\"renew\",\"tenant\":\"t1\",\"package\":\"p1\",\"terms\":1}\n",
        "{\"at\":\"" AT "\",\"do\":\"end\"}\n",
    };
    struct ms_json json = {0};
    for (size_t i = 0; i < MS_ARRAY_LEN(lines); i++) {
        struct ms_history_event event;
        struct ms_buf buf = {0};
        assert_ok(ms_history_parse(&json, lines[i], strlen(lines[i]), &event, &test_err));
        assert_ok(ms_history_format(&event, &buf, &test_err));
        assert_string_equal((const char *)buf.data, lines[i]);
        ms_buf_fini(&buf);
    }
    ms_json_fini(&json);
}

static void names_are_numbered_in_order_of_appearance(void **state) {
    (void)state;
    struct ms_names names = {0};
    char text[32];
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 5000; i++) {
            uint32_t got = 77;
            int n = snprintf(text, sizeof text, "%s%u", i % 2 ? "a" : "", i / 2);
            if (i == 0)
                n = 0;
            if (round == 0)
                assert_int_equal(ms_names_find(&names, ms_view_of(text, (size_t)n)), MS_NAMES_NONE);
            assert_ok(ms_names_add(&names, ms_view_of(text, (size_t)n), &got, &test_err));
            assert_int_equal(got, i);
            struct ms_view back = ms_names_text(&names, i);
            assert_int_equal(back.n, n);
            assert_memory_equal(back.p, text, back.n);
        }
    assert_int_equal(names.n, 5000);
    ms_names_fini(&names);
}

/* Every allocation refused once: the story fails, or does without, and nothing leaks. jansson takes
 * some for faults of the text, which is why msasset stops when jansson gets none. */
static void no_memory_is_reported_and_nothing_leaks(void **state) {
    (void)state;
    static const char card[] = "{\"currency\":\"CNY\",\"cards\":[{\"valid_from\":\"2026-01\","
                               "\"storage\":[{\"price\":\"1\"}],\"packages\":{\"n\":\"1\"}}]}";
    static const char *const lines[] = {
        "{\"at\":\"" AT "\",\"do\":\"tenant\",\"tenant\":\"t\",\"x\":1e999}",
        "{\"at\":\"" AT "\",\"do\":\"package\",\"tenant\":\"t\",\"package\":\"p\",\"name\":\"n\","
        "\"kind\":\"VIDEO_MINUTES\",\"amount\":5,\"months\":1,\"terms\":2}",
        "{\"at\":\"" AT "\",\"do\":\"produce\",\"tenant\":\"t\",\"asset\":\"v\",\"seconds\":7,"
        "\"bytes\":5}",
        "{\"at\":\"2027-02-03T00:00:00.000Z\",\"do\":\"end\"}",
    };
    unsigned refusals = 0;
    for (unsigned n = 1; n == 1 || ms_test_alloc_failed(); n++) {
        struct ms_rates rates = {0};
        struct ms_simulation *s = NULL;
        test_err = (struct ms_error){0};
        ms_test_alloc_fail_at(n);
        enum ms_code code = ms_rates_parse(card, sizeof card - 1, &rates, &test_err);
        if (code == MS_OK)
            code = ms_simulation_new(&rates, &s, &test_err);
        for (size_t i = 0; i < MS_ARRAY_LEN(lines) && code == MS_OK; i++)
            code = ms_simulation_line(s, lines[i], strlen(lines[i]), &test_err);
        refusals += ms_test_alloc_stop();
        if (code != MS_OK && code != MS_NO_MEMORY && code != MS_BILL_INPUT)
            fail_msg("allocation %u: %s, %s", n, ms_code_name(code), test_err.message);
        ms_simulation_free(s);
        ms_rates_fini(&rates);
    }
    print_message("allocations refused: %u\n", refusals);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_refusal_names_line_rule_and_value),
        cmocka_unit_test(what_the_rules_do_not_ask_for_is_taken),
        cmocka_unit_test(a_line_comes_back_as_it_was_written),
        cmocka_unit_test(names_are_numbered_in_order_of_appearance),
        cmocka_unit_test(no_memory_is_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
