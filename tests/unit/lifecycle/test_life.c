/* The invariants of a stored life and of a tenant's mask: each is broken once, alone. */
#include "story.h"

#include <string.h>

static struct ms_life actived_in_bin(void) {
    struct story s = story_actived();
    story_schedule(&s, MS_DAY_MS, MS_SCHEDULED_BLOCK);
    story_schedule(&s, 2 * MS_DAY_MS, MS_SCHEDULED_DELETE);
    admin_does(&s, FREEZE);
    does(&s, DELETE);
    assert_null(ms_life_broken(&s.life));
    return s.life;
}

#define breaks(life, change, part)                                                                 \
    do {                                                                                           \
        struct ms_life l = (life);                                                                 \
        change;                                                                                    \
        const char *text = ms_life_broken(&l);                                                     \
        if (!text || !strstr(text, part))                                                          \
            fail_msg("%s: got %s", #change, text ? text : "valid");                                \
    } while (0)

static void every_member_out_of_range_is_found(void **state) {
    (void)state;
    struct ms_life good = actived_in_bin();
    breaks(good, l.rest = MS_STATE_BLOCK, "resting state");
    breaks(good, l.holds |= MS_HOLD_ARREARS, "hold");
    breaks(good, l.last = 3, "out of range");
    breaks(good, l.fail = MS_FAIL_COUNT, "out of range");
    breaks(good, l.binned = 2, "flag");
    breaks(good, l.sealed = 2, "flag");
    breaks(good, l.in_review = 255, "flag");
    breaks(good, l.auto_renew = 2, "flag");
    breaks(good, l.created.ms = -1, "instant");
    breaks(good, l.confirm_due.ms = MS_INSTANT_MAX + 1, "instant");
    breaks(good, l.binned_at.ms = INT64_MAX, "instant");
    breaks(good, l.purge_floor.ms = -5, "instant");
    breaks(good, l.takedown_due.ms = INT64_MIN, "instant");
    breaks(good, l.retention_ms = -1, "retention");
    breaks(good, l.retention_ms = MS_RETENTION_MS_MAX + 1, "retention");
}

static void resting_state_failure_and_bytes_must_agree(void **state) {
    (void)state;
    struct ms_life good = actived_in_bin();
    breaks(good, l.fail = MS_FAIL_CONTENT, "failure");
    breaks(good, l.rest = MS_STATE_FAILED, "failure");
    breaks(good, (l.rest = MS_STATE_FAILED, l.fail = MS_FAIL_TIMEOUT), "frees");
    breaks(good, (l.rest = MS_STATE_FAILED, l.fail = MS_FAIL_CONTENT, l.sealed = 0), "keeps");
    breaks(good, l.rest = MS_STATE_CREATING, "verdict");
    breaks(good, l.sealed = 0, "sealed MAIN");
    breaks(good, (l.rest = MS_STATE_FAILED, l.fail = MS_FAIL_CONTENT, l.in_review = 1),
           "not in review");
    breaks(good, l.confirm_due.ms = NOW, "upload deadline");
    breaks(good, l.takedown_due.ms = NOW, "announced date");
    breaks(good, l.rest = MS_STATE_WAITING_DELETE, "announced date");
}

static void holds_bin_and_what_came_last_must_agree(void **state) {
    (void)state;
    struct ms_life good = actived_in_bin(), free = story_actived().life;
    breaks(good, l.last = MS_LAST_NONE, "came last is noted");
    breaks(free, l.last = MS_LAST_BINNED, "came last is noted");
    breaks(good, (l.last = MS_LAST_FROZEN, l.holds = 0), "no hold");
    breaks(good, l.binned = 0, "not in the bin");
    breaks(good, l.binned_at.ms = 0, "start");
    breaks(free, l.binned_at.ms = NOW, "start");
    breaks(free, l.retention_ms = 1, "outside the bin");
    breaks(free, l.purge_floor.ms = NOW, "outside the bin");
    breaks(free, l.rest = MS_STATE_DELETED, "nothing left");
}

static void scheduled_operations_must_be_in_order_and_counted(void **state) {
    (void)state;
    struct ms_life good = actived_in_bin();
    breaks(good, l.scheduled_count = MS_SCHEDULED_MAX + 1, "more than ten");
    breaks(good, l.scheduled_count = 1, "out of range");
    breaks(good, l.scheduled_count = 3, "out of range");
    breaks(good, l.scheduled[0].op = 3, "out of range");
    breaks(good, l.scheduled[1].at.ms = 0, "out of range");
    breaks(good, l.scheduled[1].at.ms = -1, "out of range");
    breaks(good, l.scheduled[1].at.ms = l.scheduled[0].at.ms - 1, "not in order");
    breaks(good, l.scheduled[1] = l.scheduled[0], "not in order");
}

#define breaks_mask(mask, change, part)                                                            \
    do {                                                                                           \
        struct ms_mask m = (mask);                                                                 \
        change;                                                                                    \
        const char *text = ms_mask_broken(&m);                                                     \
        if (!text || !strstr(text, part))                                                          \
            fail_msg("%s: got %s", #change, text ? text : "valid");                                \
    } while (0)

static void a_mask_has_its_instants_in_order(void **state) {
    (void)state;
    const struct ms_mask none = {0};
    struct ms_mask on = ms_lc_mask_freeze(none, MS_HOLD_ADMIN, AT(NOW));
    struct ms_mask off = ms_lc_mask_lift(on, MS_HOLD_ADMIN, AT(NOW + 5));
    struct ms_mask again = ms_lc_mask_freeze(off, MS_HOLD_ARREARS, AT(NOW + 5));
    assert_null(ms_mask_broken(&none));
    assert_null(ms_mask_broken(&on));
    assert_null(ms_mask_broken(&off));
    assert_null(ms_mask_broken(&again));
    assert_int_equal(again.lifted_before.ms, NOW + 5);
    breaks_mask(on, m.holds = MS_HOLD_PACKAGE, "hold");
    breaks_mask(on, m.since.ms = -1, "instant");
    breaks_mask(on, m.since.ms = 0, "no start");
    breaks_mask(on, m.lifted_at.ms = NOW, "end");
    breaks_mask(off, m.lifted_at.ms = 0, "end");
    breaks_mask(off, m.lifted_at.ms = NOW - 1, "before it starts");
    breaks_mask(again, m.lifted_before.ms = NOW + 6, "before the one before");
}

static void the_mask_of_a_past_deadline_is_the_one_it_came_under(void **state) {
    (void)state;
    struct ms_mask first = ms_lc_mask_freeze((struct ms_mask){0}, MS_HOLD_ARREARS, AT(NOW + 10));
    struct ms_mask off = ms_lc_mask_lift(first, MS_HOLD_ARREARS, AT(NOW + 20));
    struct ms_mask again = ms_lc_mask_freeze(off, MS_HOLD_ADMIN, AT(NOW + 30));
    struct ms_mask off_again = ms_lc_mask_lift(again, MS_HOLD_ADMIN, AT(NOW + 40));
    const struct {
        const struct ms_mask *mask;
        int after;
        bool frozen;
    } table[] = {
        {&first, 9, false},     {&first, 10, false},    {&first, 11, true},
        {&off, 10, false},      {&off, 11, true},       {&off, 20, true},
        {&off, 21, false},      {&again, 20, true},     {&again, 21, false},
        {&again, 30, false},    {&again, 31, true},     {&off_again, 20, true},
        {&off_again, 30, false}, {&off_again, 31, true}, {&off_again, 40, true},
        {&off_again, 41, false},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(table); i++) {
        struct ms_mask was = ms_lc_mask_at(*table[i].mask, AT(NOW + table[i].after));
        if ((was.holds != 0) != table[i].frozen || ms_mask_broken(&was))
            fail_msg("row %zu: %d after", i, table[i].after);
    }
    struct ms_mask never = ms_lc_mask_at((struct ms_mask){0}, AT(NOW));
    assert_int_equal(never.holds, 0);
}

static void every_state_and_origin_is_found_by_its_name_and_nothing_else_is(void **state) {
    (void)state;
    enum ms_state s = MS_STATE_COUNT;
    enum ms_origin o = MS_ORIGIN_COUNT;
    for (unsigned i = 0; i < MS_STATE_COUNT; i++) {
        assert_true(ms_state_parse(ms_state_name((enum ms_state)i), &s));
        assert_int_equal(s, i);
    }
    for (unsigned i = 0; i < MS_ORIGIN_COUNT; i++) {
        assert_true(ms_origin_parse(ms_origin_name((enum ms_origin)i), &o));
        assert_int_equal(o, i);
    }
    assert_false(ms_state_parse("active", &s));
    assert_false(ms_state_parse("", &s));
    assert_false(ms_origin_parse("system", &o));
    assert_string_equal(ms_fail_name(MS_FAIL_AUTOMATIC_REVIEW_REJECT), "AUTOMATIC_REVIEW_REJECT");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_out_of_range_is_found),
        cmocka_unit_test(resting_state_failure_and_bytes_must_agree),
        cmocka_unit_test(holds_bin_and_what_came_last_must_agree),
        cmocka_unit_test(scheduled_operations_must_be_in_order_and_counted),
        cmocka_unit_test(a_mask_has_its_instants_in_order),
        cmocka_unit_test(the_mask_of_a_past_deadline_is_the_one_it_came_under),
        cmocka_unit_test(every_state_and_origin_is_found_by_its_name_and_nothing_else_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
