/* Every kind of deadline, in every way it can be moved, one millisecond before, at and after its
 * instant. */
#include "story.h"

#define HOUR MS_HOUR_MS
#define DAY MS_DAY_MS
#define WEEK (7 * MS_DAY_MS)

/* ---- ways to get a deadline: each leaves the story waiting and returns the due instant ----- */

static int64_t upload(struct story *s) {
    *s = story_upload();
    return NOW + DAY;
}

static int64_t upload_with_a_handle_closed_later(struct story *s) {
    *s = story_upload();
    s->f.held_off = AT(NOW + 30 * HOUR);
    return NOW + 30 * HOUR;
}

static int64_t upload_with_a_handle_closed_before(struct story *s) {
    *s = story_upload();
    s->f.held_off = AT(NOW + 3 * HOUR);
    return NOW + DAY;
}

static int64_t upload_whose_hold_off_was_recorded(struct story *s) {
    *s = story_upload();
    s->f.held_off = AT(INT64_MAX);
    story_pass(s, 50 * HOUR);
    does(s, HELD_OFF);
    s->f.held_off = AT(0);
    return NOW + 50 * HOUR;
}

static int64_t upload_after_a_tenant_freeze(struct story *s) {
    *s = story_upload();
    story_pass(s, 10 * HOUR);
    story_freeze_tenant(s, MS_HOLD_ADMIN);
    story_pass(s, 100 * HOUR);
    story_lift_tenant(s, MS_HOLD_ADMIN);
    return NOW + 110 * HOUR + DAY;
}

static int64_t upload_after_a_short_tenant_freeze(struct story *s) {
    *s = story_upload();
    story_freeze_tenant(s, MS_HOLD_ADMIN);
    s->f.now.ms += HOUR;
    story_lift_tenant(s, MS_HOLD_ADMIN);
    return NOW + HOUR + DAY; /* at least 24 h */
}

static int64_t upload_after_two_tenant_freezes(struct story *s) {
    (void)upload_after_a_tenant_freeze(s);
    story_pass(s, 23 * HOUR);
    story_freeze_tenant(s, MS_HOLD_ARREARS);
    story_pass(s, 5 * HOUR);
    story_lift_tenant(s, MS_HOLD_ARREARS);
    return NOW + 138 * HOUR + DAY;
}

static int64_t upload_made_after_a_tenant_freeze(struct story *s) {
    *s = story_upload();
    s->f.mask = (struct ms_mask){.since = {NOW - WEEK}, .lifted_at = {NOW - 1}};
    return NOW + DAY;
}

static int64_t upload_in_the_bin(struct story *s) {
    *s = story_upload();
    does(s, DELETE);
    return NOW + DAY;
}

static int64_t upload_of_a_frozen_asset(struct story *s) {
    *s = story_upload();
    admin_does(s, FREEZE);
    return NOW + DAY;
}

static int64_t retention(struct story *s) {
    *s = story_actived();
    does(s, DELETE);
    return NOW + WEEK;
}

static int64_t retention_of_one_millisecond(struct story *s) {
    *s = story_actived();
    s->f.retention_ms = 1;
    does(s, DELETE);
    return NOW + 1;
}

static int64_t retention_of_the_longest_setting(struct story *s) {
    *s = story_actived();
    s->f.retention_ms = MS_RETENTION_MS_MAX;
    does(s, DELETE);
    return NOW + MS_RETENTION_MS_MAX;
}

static int64_t retention_after_restore_and_delete(struct story *s) {
    (void)retention(s);
    story_pass(s, 5 * DAY);
    does(s, RESTORE);
    story_pass(s, HOUR);
    does(s, DELETE);
    return NOW + 5 * DAY + HOUR + WEEK;
}

static int64_t retention_of_a_frozen_asset_deleted_again(struct story *s) {
    (void)retention(s);
    admin_does(s, FREEZE);
    story_pass(s, 40 * DAY);
    does(s, DELETE);
    return NOW + 47 * DAY;
}

static int64_t retention_under_a_freeze_that_came_first(struct story *s) {
    *s = story_actived();
    admin_does(s, FREEZE);
    does(s, DELETE);
    return NOW + WEEK;
}

static int64_t retention_after_renewal(struct story *s) {
    (void)retention(s);
    admin_does(s, PACKAGE_HOLD);
    story_pass(s, 20 * DAY);
    admin_does(s, PACKAGE_RENEW);
    return NOW + 27 * DAY;
}

static int64_t retention_after_a_tenant_freeze(struct story *s) {
    (void)retention(s);
    story_pass(s, 6 * DAY);
    story_freeze_tenant(s, MS_HOLD_ADMIN);
    story_pass(s, 100 * DAY);
    story_lift_tenant(s, MS_HOLD_ADMIN);
    return NOW + 106 * DAY + WEEK;
}

static int64_t retention_after_two_tenant_freezes(struct story *s) {
    (void)retention_after_a_tenant_freeze(s);
    story_pass(s, 5 * DAY);
    story_freeze_tenant(s, MS_HOLD_ARREARS);
    story_pass(s, DAY);
    story_lift_tenant(s, MS_HOLD_ARREARS);
    return NOW + 112 * DAY + WEEK;
}

static int64_t retention_that_began_under_a_tenant_freeze(struct story *s) {
    *s = story_actived();
    story_freeze_tenant(s, MS_HOLD_ADMIN);
    story_pass(s, DAY);
    does(s, DELETE);
    story_pass(s, DAY);
    story_lift_tenant(s, MS_HOLD_ADMIN);
    return NOW + 2 * DAY + WEEK;
}

static int64_t retention_that_began_after_a_tenant_freeze(struct story *s) {
    *s = story_actived();
    story_freeze_tenant(s, MS_HOLD_ADMIN);
    story_pass(s, DAY);
    story_lift_tenant(s, MS_HOLD_ADMIN);
    story_pass(s, DAY);
    does(s, DELETE);
    return NOW + 2 * DAY + WEEK;
}

static int64_t retention_that_no_package_renews_any_more(struct story *s) {
    (void)retention(s);
    does(s, AUTO_RENEW_ON);
    story_pass(s, 3 * DAY);
    does(s, AUTO_RENEW_OFF);
    return NOW + WEEK;
}

static int64_t the_announced_date(struct story *s) {
    *s = story_actived();
    story_announce(s, 30 * DAY);
    return NOW + 30 * DAY;
}

static int64_t the_announced_date_under_a_tenant_freeze(struct story *s) {
    *s = story_actived();
    story_announce(s, 3 * DAY);
    story_freeze_tenant(s, MS_HOLD_ADMIN);
    return NOW + 3 * DAY;
}

static int64_t the_announced_date_of_a_preset(struct story *s) {
    *s = story_actived();
    s->f.origin = MS_ORIGIN_SYSTEM;
    story_announce(s, 92 * DAY);
    return NOW + 92 * DAY;
}

static int64_t a_scheduled_block(struct story *s) {
    *s = story_actived();
    story_schedule(s, DAY, MS_SCHEDULED_BLOCK);
    return NOW + DAY;
}

static int64_t a_scheduled_deletion(struct story *s) {
    *s = story_actived();
    story_schedule(s, 400 * DAY, MS_SCHEDULED_DELETE);
    return NOW + 400 * DAY;
}

static int64_t a_scheduled_deletion_without_a_bin(struct story *s) {
    (void)a_scheduled_deletion(s);
    s->f.retention_ms = 0;
    return NOW + 400 * DAY;
}

static int64_t a_scheduled_deletion_under_a_tenant_freeze(struct story *s) {
    (void)a_scheduled_deletion(s);
    story_freeze_tenant(s, MS_HOLD_ADMIN);
    return NOW + 400 * DAY;
}

/* clang-format off */
static const struct due_case {
    const char *name;
    int64_t (*make)(struct story *s);
    enum ms_due_kind kind;
    enum ms_state before, after; /* without the tenant's mask */
} cases[] = {
#define CASE(make, kind, before, after)                                                            \
    {#make, make, MS_DUE_##kind, MS_STATE_##before, MS_STATE_##after}
    CASE(upload, UPLOAD, CREATING, FAILED),
    CASE(upload_with_a_handle_closed_later, UPLOAD, CREATING, FAILED),
    CASE(upload_with_a_handle_closed_before, UPLOAD, CREATING, FAILED),
    CASE(upload_whose_hold_off_was_recorded, UPLOAD, CREATING, FAILED),
    CASE(upload_after_a_tenant_freeze, UPLOAD, CREATING, FAILED),
    CASE(upload_after_a_short_tenant_freeze, UPLOAD, CREATING, FAILED),
    CASE(upload_after_two_tenant_freezes, UPLOAD, CREATING, FAILED),
    CASE(upload_made_after_a_tenant_freeze, UPLOAD, CREATING, FAILED),
    CASE(upload_in_the_bin, UPLOAD, DELETING, DELETING),
    CASE(upload_of_a_frozen_asset, UPLOAD, BLOCK, BLOCK),
    CASE(retention, PURGE, DELETING, DELETED),
    CASE(retention_of_one_millisecond, PURGE, DELETING, DELETED),
    CASE(retention_of_the_longest_setting, PURGE, DELETING, DELETED),
    CASE(retention_after_restore_and_delete, PURGE, DELETING, DELETED),
    CASE(retention_of_a_frozen_asset_deleted_again, PURGE, DELETING, DELETED),
    CASE(retention_under_a_freeze_that_came_first, PURGE, DELETING, DELETED),
    CASE(retention_after_renewal, PURGE, DELETING, DELETED),
    CASE(retention_after_a_tenant_freeze, PURGE, DELETING, DELETED),
    CASE(retention_after_two_tenant_freezes, PURGE, DELETING, DELETED),
    CASE(retention_that_began_under_a_tenant_freeze, PURGE, DELETING, DELETED),
    CASE(retention_that_began_after_a_tenant_freeze, PURGE, DELETING, DELETED),
    CASE(retention_that_no_package_renews_any_more, PURGE, DELETING, DELETED),
    CASE(the_announced_date, TAKEDOWN, WAITING_DELETE, DELETING),
    CASE(the_announced_date_under_a_tenant_freeze, TAKEDOWN, WAITING_DELETE, DELETING),
    CASE(the_announced_date_of_a_preset, TAKEDOWN, WAITING_DELETE, DELETED),
    CASE(a_scheduled_block, SCHEDULED_BLOCK, ACTIVED, BLOCK),
    CASE(a_scheduled_deletion, SCHEDULED_DELETE, ACTIVED, DELETING),
    CASE(a_scheduled_deletion_without_a_bin, SCHEDULED_DELETE, ACTIVED, DELETED),
    CASE(a_scheduled_deletion_under_a_tenant_freeze, SCHEDULED_DELETE, ACTIVED, DELETING),
};
/* clang-format on */

static void check_case(const struct due_case *c, int64_t around) {
    struct story s;
    int64_t due = c->make(&s);
    struct ms_lc_due got = ms_lc_due(&s.life, s.f.mask, s.f.held_off);
    assert_int_equal(got.kind, c->kind);
    assert_int_equal(got.at.ms, due);
    s.f.now = AT(due + around);
    bool fires = around >= 0;
    struct ms_lc_verdict step = ms_lc_step(&s.life, MS_EVENT_EXPIRE, &s.f);
    assert_int_equal(step.rule, fires ? MS_LC_ALLOWED : MS_LC_NOT_DUE);
    struct ms_life life = ms_lc_effective(&s.life, &s.f, NULL, NULL);
    const struct ms_mask none = {0};
    assert_int_equal(ms_lc_shown(&life, none), fires ? c->after : c->before);
    assert_true(lives_equal(&life, fires ? &step.next : &s.life));
    assert_int_equal(step.at.ms, fires ? due : s.f.now.ms);
}

static void every_deadline_fires_at_its_instant_and_not_a_millisecond_before(void **state) {
    (void)state;
    unsigned cells = 0;
    bool seen[MS_DUE_COUNT] = {[MS_DUE_NONE] = true};
    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++)
        for (int64_t around = -1; around <= 1; around++, cells++) {
            seen[cases[i].kind] = true;
            check_case(&cases[i], around);
        }
    for (unsigned k = 0; k < MS_DUE_COUNT; k++)
        assert_true(seen[k]);
    print_message("deadline cells: %u\n", cells);
}

/* ---- what does not fire -------------------------------------------------------------------- */

static void an_open_handle_holds_the_upload_deadline_off_for_ever(void **state) {
    (void)state;
    struct story s = story_upload();
    s.f.held_off = AT(INT64_MAX);
    assert_int_equal(ms_lc_due(&s.life, s.f.mask, s.f.held_off).kind, MS_DUE_NONE);
    story_pass(&s, 400 * DAY);
    shows(&s, CREATING);
}

static void a_file_made_in_a_mount_has_no_upload_deadline(void **state) {
    (void)state;
    struct ms_life life = ms_lc_create(AT(NOW), false);
    assert_int_equal(ms_lc_due(&life, (struct ms_mask){0}, AT(0)).kind, MS_DUE_NONE);
}

static void while_a_tenant_is_frozen_nothing_is_purged_and_no_upload_fails(void **state) {
    (void)state;
    struct story up = story_upload(), bin;
    (void)retention(&bin);
    story_freeze_tenant(&up, MS_HOLD_ARREARS);
    story_freeze_tenant(&bin, MS_HOLD_ARREARS);
    assert_int_equal(ms_lc_due(&up.life, up.f.mask, AT(0)).at.ms, INT64_MAX);
    assert_int_equal(ms_lc_due(&bin.life, bin.f.mask, AT(0)).kind, MS_DUE_NONE);
    story_pass(&up, 900 * DAY);
    story_pass(&bin, 900 * DAY);
    assert_int_equal(up.life.rest, MS_STATE_CREATING);
    shows(&bin, DELETING);
}

/* ---- around the start of a tenant freeze, unswept ------------------------------------------ */

/* The record is not touched between deletion and the look; the mask began `after_due` from the
 * deadline. */
static enum ms_state look_under_and_after_mask(int64_t after_due, bool lifted) {
    struct story s;
    int64_t due = retention(&s);
    s.f.mask = ms_lc_mask_freeze(s.f.mask, MS_HOLD_ADMIN, AT(due + after_due));
    s.f.now = AT(due + after_due + 3 * DAY);
    if (lifted)
        s.f.mask = ms_lc_mask_lift(s.f.mask, MS_HOLD_ADMIN, s.f.now);
    story_look(&s);
    return story_shows(&s);
}

static void what_was_due_when_a_tenant_freeze_began_has_happened_swept_or_not(void **state) {
    (void)state;
    for (int lifted = 0; lifted < 2; lifted++) {
        assert_int_equal(look_under_and_after_mask(-1, lifted), MS_STATE_DELETING);
        assert_int_equal(look_under_and_after_mask(0, lifted), MS_STATE_DELETED);
        assert_int_equal(look_under_and_after_mask(1, lifted), MS_STATE_DELETED);
    }
}

static void an_upload_that_was_overdue_when_a_tenant_freeze_began_has_failed(void **state) {
    (void)state;
    for (int64_t around = -1; around <= 1; around++) {
        struct story s = story_upload();
        s.f.mask = ms_lc_mask_freeze(s.f.mask, MS_HOLD_ADMIN, AT(NOW + DAY + around));
        s.f.now = AT(NOW + 2 * DAY);
        story_look(&s);
        assert_int_equal(s.life.rest, around < 0 ? MS_STATE_CREATING : MS_STATE_FAILED);
    }
}

static void the_freeze_before_the_last_one_still_counts(void **state) {
    (void)state;
    struct story s; /* never looked at in between */
    (void)retention(&s);
    s.f.mask = ms_lc_mask_freeze(s.f.mask, MS_HOLD_ADMIN, AT(NOW + 6 * DAY));
    s.f.mask = ms_lc_mask_lift(s.f.mask, MS_HOLD_ADMIN, AT(NOW + 10 * DAY));
    s.f.mask = ms_lc_mask_freeze(s.f.mask, MS_HOLD_ADMIN, AT(NOW + 16 * DAY));
    s.f.now = AT(NOW + 18 * DAY);
    story_look(&s);
    shows(&s, DELETING); /* 10 + 7 days lie in the second freeze */
    s.f.mask = ms_lc_mask_lift(s.f.mask, MS_HOLD_ADMIN, s.f.now);
    assert_int_equal(ms_lc_due(&s.life, s.f.mask, AT(0)).at.ms, NOW + 25 * DAY);
}

static void a_wait_that_ends_in_the_millisecond_of_a_tenant_freeze_ends_under_it(void **state) {
    (void)state;
    struct story bin, up = story_upload();
    (void)retention(&bin);
    does(&bin, AUTO_RENEW_ON);
    story_pass(&bin, 30 * DAY);
    story_freeze_tenant(&bin, MS_HOLD_ADMIN);
    does(&bin, AUTO_RENEW_OFF);
    story_pass(&bin, DAY);
    shows(&bin, DELETING);
    up.f.held_off = AT(INT64_MAX);
    story_pass(&up, 30 * DAY);
    story_freeze_tenant(&up, MS_HOLD_ADMIN);
    does(&up, HELD_OFF);
    up.f.held_off = AT(0);
    story_pass(&up, DAY);
    assert_int_equal(up.life.rest, MS_STATE_CREATING);
}

/* ---- what a user sees at the instant ------------------------------------------------------- */

static void
restore_at_the_end_of_retention_is_refused_and_a_millisecond_before_it_is_not(void **state) {
    (void)state;
    for (int64_t around = -1; around <= 1; around++) {
        struct story s;
        s.f.now = AT(retention(&s) + around);
        assert_int_equal(story_try(&s, MS_EVENT_RESTORE),
                         around < 0 ? MS_LC_ALLOWED : MS_LC_DELETED);
    }
}

static void a_confirmation_at_24_hours_is_refused_and_a_millisecond_before_it_is_not(void **state) {
    (void)state;
    for (int64_t around = -1; around <= 1; around++) {
        struct story s;
        s.f.now = AT(upload(&s) + around);
        assert_int_equal(story_try(&s, MS_EVENT_CONFIRM), around < 0 ? MS_LC_ALLOWED : MS_LC_STATE);
    }
}

static void a_withdrawal_at_the_announced_date_is_too_late(void **state) {
    (void)state;
    for (int64_t around = -1; around <= 1; around++) {
        struct story s;
        s.f.now = AT(the_announced_date(&s) + around);
        assert_int_equal(story_admin_try(&s, MS_EVENT_WITHDRAW),
                         around < 0 ? MS_LC_ALLOWED : MS_LC_BINNED);
    }
}

static void a_freeze_at_the_end_of_retention_is_too_late(void **state) {
    (void)state;
    for (int64_t around = -1; around <= 1; around++) {
        struct story s;
        s.f.now = AT(retention(&s) + around);
        assert_int_equal(story_admin_try(&s, MS_EVENT_FREEZE),
                         around < 0 ? MS_LC_ALLOWED : MS_LC_DELETED);
    }
}

static void at_one_instant_the_purge_comes_before_a_scheduled_block(void **state) {
    (void)state;
    struct story s = story_actived();
    story_schedule(&s, WEEK, MS_SCHEDULED_BLOCK);
    does(&s, DELETE);
    story_pass(&s, WEEK);
    shows(&s, DELETED);
}

static void at_one_instant_the_announced_date_comes_before_a_scheduled_block(void **state) {
    (void)state;
    struct story s = story_actived();
    story_schedule(&s, WEEK, MS_SCHEDULED_BLOCK);
    story_announce(&s, WEEK);
    story_pass(&s, WEEK);
    shows(&s, BLOCK);
    assert_int_equal(s.life.binned, 1);
}

/* ---- files beside MAIN --------------------------------------------------------------------- */

static void a_file_is_cancelled_24_hours_after_its_declaration(void **state) {
    (void)state;
    struct story s = story_actived();
    const struct ms_mask frozen = {.holds = MS_HOLD_ADMIN, .since = {NOW - HOUR}};
    struct ms_instant due = AT(NOW + DAY);
    assert_int_equal(ms_lc_file_due(&s.life, due, s.f.mask, AT(0)).ms, due.ms);
    assert_int_equal(ms_lc_file_due(&s.life, due, frozen, AT(0)).ms, due.ms);
    assert_int_equal(ms_lc_file_due(&s.life, due, s.f.mask, AT(NOW + 2 * DAY)).ms, NOW + 2 * DAY);
    assert_int_equal(ms_lc_file_due(&s.life, due, s.f.mask, AT(INT64_MAX)).ms, INT64_MAX);
}

static void files_of_an_asset_in_creation_get_the_time_that_a_tenant_freeze_gives_it(void **state) {
    (void)state;
    struct story s = story_upload();
    struct ms_instant due = AT(NOW + DAY);
    story_freeze_tenant(&s, MS_HOLD_ADMIN);
    assert_int_equal(ms_lc_file_due(&s.life, due, s.f.mask, AT(0)).ms, INT64_MAX);
    story_pass(&s, 9 * DAY);
    story_lift_tenant(&s, MS_HOLD_ADMIN);
    assert_int_equal(ms_lc_file_due(&s.life, due, s.f.mask, AT(0)).ms, NOW + 10 * DAY);
    does(&s, FORCE_DELETE);
    assert_int_equal(ms_lc_file_due(&s.life, due, s.f.mask, AT(0)).ms, INT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_deadline_fires_at_its_instant_and_not_a_millisecond_before),
        cmocka_unit_test(an_open_handle_holds_the_upload_deadline_off_for_ever),
        cmocka_unit_test(a_file_made_in_a_mount_has_no_upload_deadline),
        cmocka_unit_test(while_a_tenant_is_frozen_nothing_is_purged_and_no_upload_fails),
        cmocka_unit_test(what_was_due_when_a_tenant_freeze_began_has_happened_swept_or_not),
        cmocka_unit_test(an_upload_that_was_overdue_when_a_tenant_freeze_began_has_failed),
        cmocka_unit_test(the_freeze_before_the_last_one_still_counts),
        cmocka_unit_test(a_wait_that_ends_in_the_millisecond_of_a_tenant_freeze_ends_under_it),
        cmocka_unit_test(
            restore_at_the_end_of_retention_is_refused_and_a_millisecond_before_it_is_not),
        cmocka_unit_test(a_confirmation_at_24_hours_is_refused_and_a_millisecond_before_it_is_not),
        cmocka_unit_test(a_withdrawal_at_the_announced_date_is_too_late),
        cmocka_unit_test(a_freeze_at_the_end_of_retention_is_too_late),
        cmocka_unit_test(at_one_instant_the_purge_comes_before_a_scheduled_block),
        cmocka_unit_test(at_one_instant_the_announced_date_comes_before_a_scheduled_block),
        cmocka_unit_test(a_file_is_cancelled_24_hours_after_its_declaration),
        cmocka_unit_test(files_of_an_asset_in_creation_get_the_time_that_a_tenant_freeze_gives_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
