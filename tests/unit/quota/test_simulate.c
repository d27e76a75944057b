/* Stories whose bill is worked out by hand: one rule of bill.md each. */
#include "bill_story.h"

#include "model/limits.h"

#define DAY MS_DAY_MS
#define HOUR MS_HOUR_MS
#define CARD                                                                                       \
    "{'currency':'CNY','cards':[{'valid_from':'2026-01','storage':[{'price':'1'}],"                \
    "'video_minute':'3.50','packages':{'cap':'1.90','min':'2'}},"                                  \
    "{'valid_from':'2026-03','packages':{'cap':'5'}}]}"
#define TELL(...)                                                                                  \
    assert_int_equal(story_tell(&told, CARD, (const char *const[]){__VA_ARGS__, NULL}), MS_OK)

static struct story told;

static int forget(void **state) {
    (void)state;
    story_end(&told);
    return 0;
}

static const struct ms_day *day(size_t tenant, size_t i) {
    assert_in_range(i, 0, told.bill[tenant].days - 1);
    return &told.bill[tenant].day[i];
}
static const struct ms_line *line(size_t tenant, size_t i) {
    assert_in_range(i, 0, told.bill[tenant].days - 1);
    return &told.bill[tenant].line[i];
}

static void only_days_that_end_by_the_end_are_closed(void **state) {
    (void)state;
    TELL("2026-01-30T12:00:00.000Z','do':'tenant','tenant':'t','free_bytes':10}",
         "2026-02-01T23:59:59.999Z','do':'end'}");
    assert_int_equal(told.bill[0].days, 2);
    assert_int_equal(told.bill[0].months, 1);
    assert_number(day(0, 0)->allowance, 10 * DAY / 2);
    assert_number(day(0, 1)->allowance, 10 * DAY);
    story_end(&told);
    TELL("2026-01-30T12:00:00.000Z','do':'tenant','tenant':'t'}",
         "2026-02-02T00:00:00.000Z','do':'end'}");
    assert_int_equal(told.bill[0].days, 3);
    assert_int_equal(told.bill[0].months, 2);
    assert_number(day(0, 2)->allowance, (ms_u128)5 * MS_GB * DAY);
    story_end(&told);
    TELL("2026-01-30T12:00:00.000Z','do':'tenant','tenant':'t'}",
         "2026-01-30T23:59:59.999Z','do':'end'}");
    assert_int_equal(told.bill[0].days, 0);
    assert_int_equal(told.bill[0].months, 0);
}

static void a_produced_video_counts_after_six_months_clamped(void **state) {
    (void)state;
    TELL("2025-08-31T06:00:00.000Z','do':'tenant','tenant':'t','free_bytes':0}",
         "2025-08-31T06:00:00.000Z','do':'produce','tenant':'t','asset':'v','seconds':0,'bytes':7}",
         "2026-03-02T00:00:00.000Z','do':'end'}");
    size_t feb28 = 181;
    assert_number(day(0, 0)->bytes[MS_CLASS_PRODUCED_FREE], 7 * 18 * HOUR);
    assert_number(day(0, feb28 - 1)->bytes[MS_CLASS_PRODUCED_FREE], 7 * DAY);
    assert_number(day(0, feb28)->bytes[MS_CLASS_PRODUCED_FREE], 7 * 6 * HOUR);
    assert_number(day(0, feb28)->bytes[MS_CLASS_PRODUCED], 7 * 18 * HOUR);
    assert_number(day(0, feb28)->excess, 7 * 18 * HOUR);
    assert_number(day(0, feb28 + 1)->bytes[MS_CLASS_PRODUCED], 7 * DAY);
}

static void a_copy_is_as_old_as_its_source(void **state) {
    (void)state;
    TELL("2026-02-01T00:00:00.000Z','do':'tenant','tenant':'t','free_bytes':0}",
         "2026-02-01T00:00:00.000Z','do':'put','tenant':'t','asset':'a','type':'VIDEO',"
         "'origin':'CUSTOMIZED','bytes':5,'created':'2025-08-01T12:00:00.000Z'}",
         "2026-02-01T00:00:00.000Z','do':'put','tenant':'t','asset':'b','type':'VIDEO',"
         "'origin':'CUSTOMIZED','bytes':7,'created':'2025-08-01T00:00:00.000Z'}",
         "2026-02-02T00:00:00.000Z','do':'end'}");
    assert_number(day(0, 0)->bytes[MS_CLASS_PRODUCED_FREE], 5 * DAY / 2);
    assert_number(day(0, 0)->bytes[MS_CLASS_PRODUCED], 5 * DAY / 2 + 7 * DAY);
}

static void models_of_the_platform_and_presets_are_excluded(void **state) {
    (void)state;
    TELL("2026-02-01T00:00:00.000Z','do':'tenant','tenant':'t','free_bytes':0}",
         "2026-02-01T00:00:00.000Z','do':'put','tenant':'t','asset':'a','type':'VOICE_MODEL',"
         "'origin':'CUSTOMIZED','bytes':1}",
         "2026-02-01T00:00:00.000Z','do':'put','tenant':'t','asset':'b','type':'VOICE_MODEL',"
         "'origin':'UPLOADED','bytes':2}",
         "2026-02-01T00:00:00.000Z','do':'put','tenant':'t','asset':'c','type':'IMAGE',"
         "'origin':'CUSTOMIZED','bytes':4}",
         "2026-02-01T00:00:00.000Z','do':'put','tenant':'t','asset':'d','type':'VIDEO',"
         "'origin':'SYSTEM','bytes':8}",
         "2026-02-02T00:00:00.000Z','do':'end'}");
    assert_number(day(0, 0)->bytes[MS_CLASS_EXCLUDED], 9 * DAY);
    assert_number(day(0, 0)->bytes[MS_CLASS_STANDARD], 6 * DAY);
}

static void only_delete_takes_bytes_away(void **state) {
    (void)state;
    TELL("2026-02-01T00:00:00.000Z','do':'tenant','tenant':'t','free_bytes':0}",
         "2026-02-01T00:00:00.000Z','do':'put','tenant':'t','asset':'a','type':'IMAGE',"
         "'origin':'UPLOADED','bytes':3}",
         "2026-02-01T01:00:00.000Z','do':'trash','tenant':'t','asset':'a'}",
         "2026-02-01T02:00:00.000Z','do':'freeze','tenant':'t','asset':'a'}",
         "2026-02-01T03:00:00.000Z','do':'unfreeze','tenant':'t','asset':'a'}",
         "2026-02-01T04:00:00.000Z','do':'restore','tenant':'t','asset':'a'}",
         "2026-02-01T05:00:00.000Z','do':'put','tenant':'t','asset':'a','type':'AUDIO',"
         "'origin':'UPLOADED','bytes':10}",
         "2026-02-01T06:00:00.000Z','do':'delete','tenant':'t','asset':'a'}",
         "2026-02-02T00:00:00.000Z','do':'end'}");
    assert_number(day(0, 0)->bytes[MS_CLASS_STANDARD], 5 * 3 * HOUR + 10 * HOUR);
}

static void a_transfer_has_neither_gap_nor_overlap(void **state) {
    (void)state;
    TELL("2026-02-01T00:00:00.000Z','do':'tenant','tenant':'t','free_bytes':0}",
         "2026-02-01T00:00:00.000Z','do':'tenant','tenant':'u','free_bytes':0}",
         "2026-02-01T00:00:00.000Z','do':'put','tenant':'t','asset':'a','type':'VIDEO',"
         "'origin':'CUSTOMIZED','bytes':3,'created':'2025-08-01T06:00:00.000Z'}",
         "2026-02-01T05:00:00.000Z','do':'transfer','tenant':'t','asset':'a','to':'u'}",
         "2026-02-01T07:00:00.000Z','do':'transfer','tenant':'u','asset':'a','to':null}",
         "2026-02-01T08:00:00.000Z','do':'put','tenant':'t','asset':'a','type':'VIDEO',"
         "'origin':'CUSTOMIZED','bytes':4,'created':'2025-08-01T06:00:00.000Z'}",
         "2026-02-02T00:00:00.000Z','do':'end'}");
    assert_number(day(0, 0)->bytes[MS_CLASS_PRODUCED_FREE], 3 * 5 * HOUR);
    assert_number(day(1, 0)->bytes[MS_CLASS_PRODUCED_FREE], 3 * HOUR);
    assert_number(day(1, 0)->bytes[MS_CLASS_PRODUCED], 3 * HOUR);
    assert_number(day(0, 0)->bytes[MS_CLASS_PRODUCED], 4 * 16 * HOUR);
}

static void an_asset_that_was_away_while_it_came_to_count_returns_counted(void **state) {
    (void)state;
    TELL("2026-02-01T00:00:00.000Z','do':'tenant','tenant':'t','free_bytes':0}",
         "2026-02-01T00:00:00.000Z','do':'put','tenant':'t','asset':'a','type':'VIDEO',"
         "'origin':'CUSTOMIZED','bytes':3,'created':'2025-08-01T06:00:00.000Z'}",
         "2026-02-01T05:00:00.000Z','do':'transfer','tenant':'t','asset':'a','to':null}",
         "2026-02-01T07:00:00.000Z','do':'put','tenant':'t','asset':'a','type':'VIDEO',"
         "'origin':'CUSTOMIZED','bytes':3,'created':'2025-08-01T06:00:00.000Z'}",
         "2026-02-02T00:00:00.000Z','do':'end'}");
    assert_number(day(0, 0)->bytes[MS_CLASS_PRODUCED_FREE], 3 * 5 * HOUR);
    assert_number(day(0, 0)->bytes[MS_CLASS_PRODUCED], 3 * 17 * HOUR);
}

/* ---- packages ----------------------------------------------------------------------------------
 */

static void a_package_begins_and_ends_inside_a_day(void **state) {
    (void)state;
    TELL("2026-01-31T00:00:00.000Z','do':'tenant','tenant':'t','free_bytes':0}",
         "2026-01-31T00:00:00.000Z','do':'put','tenant':'t','asset':'a','type':'IMAGE',"
         "'origin':'UPLOADED','bytes':100}",
         "2026-01-31T18:00:00.000Z','do':'package','tenant':'t','package':'p','name':'cap',"
         "'kind':'ASSET_MANAGER','amount':60,'months':1,'terms':2}",
         "2026-04-02T00:00:00.000Z','do':'end'}");
    size_t feb28 = 28, mar31 = 59;
    assert_number(day(0, 0)->allowance, 60 * 6 * HOUR);
    assert_number(day(0, 0)->excess, 100 * 18 * HOUR + 40 * 6 * HOUR);
    assert_number(line(0, 0)->package, 1900000);
    assert_number(day(0, feb28)->allowance, 60 * DAY); /* the second term follows without a gap */
    assert_number(line(0, feb28)->package, 1900000);
    assert_number(line(0, feb28 - 1)->package, 0);
    assert_number(day(0, mar31)->allowance, 60 * 18 * HOUR);
    assert_number(day(0, mar31 + 1)->allowance, 0);
    assert_number(line(0, mar31)->package, 0);
}

static void a_late_renewal_counts_and_costs_from_its_payment(void **state) {
    (void)state;
    TELL("2026-01-31T00:00:00.000Z','do':'tenant','tenant':'t','free_bytes':0}",
         "2026-01-31T00:00:00.000Z','do':'package','tenant':'t','package':'p','name':'cap',"
         "'kind':'ASSET_MANAGER','amount':60,'months':1,'terms':1}",
         "2026-04-15T06:00:00.000Z','do':'renew','tenant':'t','package':'p','terms':2}",
         "2026-06-02T00:00:00.000Z','do':'end'}");
    size_t feb27 = 27, apr15 = 74, apr30 = 89, may31 = 120;
    assert_number(day(0, feb27)->allowance, 60 * DAY);
    assert_number(day(0, feb27 + 1)->allowance, 0);
    assert_number(day(0, apr15 - 1)->allowance, 0);
    assert_number(day(0, apr15)->allowance, 60 * 18 * HOUR);
    assert_number(line(0, apr15)->package, 5000000); /* the price of the payment */
    assert_number(line(0, apr30)->package, 5000000);
    assert_number(day(0, may31 - 1)->allowance, 60 * DAY);
    assert_number(day(0, may31)->allowance, 0);
    assert_int_equal(told.bill[0].months, 6);
    for (size_t i = 0; i < 6; i++)
        assert_number(told.bill[0].month[i].package, i == 0 ? 1900000 : i == 3 ? 10000000 : 0);
}

static void a_renewal_in_time_waits_for_the_end_and_its_price(void **state) {
    (void)state;
    TELL("2026-01-31T00:00:00.000Z','do':'tenant','tenant':'t','free_bytes':0}",
         "2026-01-31T00:00:00.000Z','do':'package','tenant':'t','package':'p','name':'cap',"
         "'kind':'ASSET_MANAGER','amount':60,'months':2,'terms':1}",
         "2026-02-01T00:00:00.000Z','do':'renew','tenant':'t','package':'p','terms':1}",
         "2026-04-02T00:00:00.000Z','do':'end'}");
    size_t mar31 = 59;
    assert_number(line(0, 0)->package, 1900000);
    assert_number(line(0, 1)->package, 0);
    assert_number(line(0, mar31)->package, 5000000);
    assert_number(day(0, mar31)->allowance, 60 * DAY);
}

static void allocated_packages_cost_nothing_and_their_renewals_neither(void **state) {
    (void)state;
    TELL("2026-01-31T00:00:00.000Z','do':'tenant','tenant':'t','free_bytes':0}",
         "2026-01-31T00:00:00.000Z','do':'package','tenant':'t','package':'p','name':'cap',"
         "'kind':'ASSET_MANAGER','amount':60,'months':1,'terms':1,'paid':false}",
         "2026-01-31T00:00:00.000Z','do':'package','tenant':'t','package':'q','name':'cap',"
         "'kind':'MODELING_2D','amount':1,'months':0,'terms':1}",
         "2026-01-31T00:00:00.000Z','do':'renew','tenant':'t','package':'p','terms':1}",
         "2026-05-01T00:00:00.000Z','do':'end'}");
    assert_number(told.bill[0].month[0].package, 1900000);
    assert_number(told.bill[0].month[1].package, 0);
    assert_number(day(0, 40)->allowance, 60 * DAY);
    assert_number(day(0, 60)->allowance, 0);
}

#define PACK(id, kind, amount, months, terms)                                                      \
    "'do':'package','tenant':'t','package':'" id "','name':'min','kind':'" kind                    \
    "','amount':" amount ",'months':" months ",'terms':" terms "}"
#define VIDEO(id, seconds)                                                                         \
    "'do':'produce','tenant':'t','asset':'" id "','seconds':" seconds ",'bytes':0}"

static void minutes_come_from_packages_first_and_lapse_with_their_term(void **state) {
    (void)state;
    TELL("2026-02-01T00:00:00.000Z','do':'tenant','tenant':'t','pay_per_use':true}",
         "2026-02-01T00:00:00.000Z'," PACK("m0", "VIDEO_MINUTES", "100", "0", "1"),
         "2026-02-01T00:00:00.000Z'," PACK("m2", "VIDEO_MINUTES", "50", "1", "2"),
         "2026-02-01T00:00:00.000Z'," PACK("m1", "VIDEO_MINUTES", "30", "2", "1"),
         "2026-02-01T00:00:00.000Z'," PACK("v", "VOICE_CLONE", "1000", "1", "1"),
         "2026-02-02T00:00:00.000Z'," VIDEO("a", "30"), /* 50: m1 30, m2 20 */
         "2026-02-03T00:00:00.000Z'," VIDEO("b", "12"), /* 20: m2 */
         "2026-03-01T00:00:00.000Z'," VIDEO("c", "36"), /* 60: m2's new 50, m0 10 */
         "2026-03-02T00:00:00.000Z'," VIDEO("d", "90"), /* 150: m0 90, paid 60 */
         "2026-04-01T00:00:00.000Z'," VIDEO("e", "6"),  /* 10 paid: m1, m2 are over */
         "2026-04-02T00:00:00.000Z','do':'end'}");
    assert_number(day(0, 1)->video_hundredths, 50);
    assert_number(day(0, 1)->video_paid_hundredths, 0);
    assert_number(day(0, 28)->video_hundredths, 60);
    assert_number(day(0, 28)->video_paid_hundredths, 0);
    assert_number(day(0, 29)->video_hundredths, 150);
    assert_number(day(0, 29)->video_paid_hundredths, 60);
    assert_number(day(0, 59)->video_paid_hundredths, 10);
    assert_number(told.bill[0].month[0].package, 4 * 2000000);
}

static void a_package_renewed_in_time_is_used_later(void **state) {
    (void)state;
    TELL("2026-02-01T00:00:00.000Z','do':'tenant','tenant':'t'}",
         "2026-02-01T00:00:00.000Z'," PACK("a", "VIDEO_MINUTES", "100", "1", "1"),
         "2026-02-02T00:00:00.000Z'," PACK("b", "VIDEO_MINUTES", "100", "1", "1"),
         "2026-02-03T00:00:00.000Z','do':'renew','tenant':'t','package':'a','terms':1}",
         "2026-02-03T00:00:00.000Z'," VIDEO("v", "60"),  /* 100: b, which now ends first */
         "2026-02-28T00:00:00.000Z'," VIDEO("w", "120"), /* 200: a 100, paid 100 */
         "2026-03-01T00:00:00.000Z'," VIDEO("x", "60"),  /* 100: a's second term */
         "2026-03-02T00:00:00.000Z','do':'end'}");
    assert_number(day(0, 2)->video_paid_hundredths, 0);
    assert_number(day(0, 27)->video_paid_hundredths, 100);
    assert_number(day(0, 28)->video_paid_hundredths, 0);
}

static void events_of_one_instant_apply_in_file_order(void **state) {
    (void)state;
    TELL("2026-02-01T00:00:00.000Z','do':'tenant','tenant':'t'}",
         "2026-02-01T00:00:00.000Z'," VIDEO("v", "60"),
         "2026-02-01T00:00:00.000Z'," PACK("a", "VIDEO_MINUTES", "100", "1", "1"),
         "2026-02-01T00:00:00.000Z'," VIDEO("w", "60"),
         "2026-03-01T00:00:00.000Z'," VIDEO("x", "6"), /* the package ended at this instant */
         "2026-03-02T00:00:00.000Z','do':'end'}");
    assert_number(day(0, 0)->video_paid_hundredths, 100);
    assert_number(day(0, 28)->video_paid_hundredths, 10);
}

static void a_setting_counts_from_its_instant_and_absent_members_stay(void **state) {
    (void)state;
    TELL("2026-02-01T00:00:00.000Z','do':'tenant','tenant':'t','free_bytes':10}",
         "2026-02-01T06:00:00.000Z','do':'tenant','tenant':'t','pay_per_use':true}",
         "2026-02-01T12:00:00.000Z','do':'tenant','tenant':'t','free_bytes':0}",
         "2026-02-02T00:00:00.000Z','do':'end'}");
    assert_number(day(0, 0)->allowance, 10 * 12 * HOUR);
}

static void a_history_without_tenants_has_an_empty_bill(void **state) {
    (void)state;
    TELL("", " \t\r\n", "1970-01-01T00:00:00.000Z','do':'end','note':[{}]}", "");
    assert_int_equal(told.tenants, 0);
}

static void the_last_day_of_the_calendar_is_billed_like_any_other(void **state) {
    (void)state;
    TELL("9999-12-29T12:00:00.000Z','do':'tenant','tenant':'t','free_bytes':1}",
         "9999-12-29T12:00:00.000Z','do':'produce','tenant':'t','asset':'v','seconds':1,'bytes':5}",
         "9999-12-31T23:59:59.999Z','do':'put','tenant':'t','asset':'v','type':'VIDEO',"
         "'origin':'CUSTOMIZED','bytes':6}",
         "9999-12-31T23:59:59.999Z','do':'end'}");
    assert_int_equal(told.bill[0].days, 2);
    assert_number(day(0, 1)->bytes[MS_CLASS_PRODUCED_FREE], 5 * DAY);
}

int main(void) {
#define STORY(f) cmocka_unit_test_teardown(f, forget)
    const struct CMUnitTest tests[] = {
        STORY(only_days_that_end_by_the_end_are_closed),
        STORY(a_produced_video_counts_after_six_months_clamped),
        STORY(a_copy_is_as_old_as_its_source),
        STORY(models_of_the_platform_and_presets_are_excluded),
        STORY(only_delete_takes_bytes_away),
        STORY(a_transfer_has_neither_gap_nor_overlap),
        STORY(an_asset_that_was_away_while_it_came_to_count_returns_counted),
        STORY(a_package_begins_and_ends_inside_a_day),
        STORY(a_late_renewal_counts_and_costs_from_its_payment),
        STORY(a_renewal_in_time_waits_for_the_end_and_its_price),
        STORY(allocated_packages_cost_nothing_and_their_renewals_neither),
        STORY(minutes_come_from_packages_first_and_lapse_with_their_term),
        STORY(a_package_renewed_in_time_is_used_later),
        STORY(events_of_one_instant_apply_in_file_order),
        STORY(a_setting_counts_from_its_instant_and_absent_members_stay),
        STORY(a_history_without_tenants_has_an_empty_bill),
        STORY(the_last_day_of_the_calendar_is_billed_like_any_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
