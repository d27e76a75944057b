/* The promises of product.md sections 3.1 to 3.6, one story each. */
#include "story.h"

#include <string.h>

#define HOUR MS_HOUR_MS
#define DAY MS_DAY_MS

/* ---- creation, confirmation, failure ------------------------------------------------------- */

static void a_new_asset_is_creating(void **state) {
    (void)state;
    struct story s = story_upload();
    shows(&s, CREATING);
    assert_int_equal(s.life.confirm_due.ms, NOW + DAY);
    struct ms_life mounted = ms_lc_create(AT(NOW), false);
    assert_int_equal(mounted.confirm_due.ms, 0);
    assert_null(ms_life_broken(&mounted));
}

static void a_confirmed_upload_is_actived_or_unactived_as_the_tenant_has_set(void **state) {
    (void)state;
    struct story s = story_upload();
    does(&s, CONFIRM);
    shows(&s, ACTIVED);
    s = story_upload();
    s.f.activate = 0;
    does(&s, CONFIRM);
    shows(&s, UNACTIVED);
}

static void a_confirmed_upload_has_no_deadline_any_more(void **state) {
    (void)state;
    struct story s = story_actived();
    assert_int_equal(ms_lc_due(&s.life, s.f.mask, AT(0)).kind, MS_DUE_NONE);
    story_pass(&s, 400 * DAY);
    shows(&s, ACTIVED);
}

static void confirming_twice_is_refused(void **state) {
    (void)state;
    struct story s = story_actived();
    refused(&s, CONFIRM, STATE);
    refused(&s, CONFIRM_REVIEW, STATE);
    refused(&s, MISMATCH, STATE);
    refused(&s, CONTENT_FAIL, STATE);
}

static void an_upload_not_confirmed_in_24_hours_fails_and_its_bytes_are_freed(void **state) {
    (void)state;
    struct story s = story_upload();
    story_pass(&s, 30 * HOUR);
    fails_as(&s, TIMEOUT);
    assert_true(s.effects & MS_EFFECT_FREE_BYTES);
    assert_int_equal(s.dated.ms, NOW + DAY);
    refused(&s, CONFIRM, STATE);
}

static void what_is_not_as_declared_fails_as_mismatch_and_its_bytes_are_freed(void **state) {
    (void)state;
    struct story s = story_upload();
    does(&s, MISMATCH);
    fails_as(&s, MISMATCH);
    assert_true(s.effects & MS_EFFECT_FREE_BYTES);
    assert_int_equal(ms_lc_rights(&s.life, s.f.mask), MS_RIGHT_DELETE);
}

static void content_that_breaks_a_rule_fails_and_its_bytes_are_kept(void **state) {
    (void)state;
    struct story s = story_upload();
    does(&s, CONTENT_FAIL);
    fails_as(&s, CONTENT);
    assert_false(s.effects & MS_EFFECT_FREE_BYTES);
    assert_int_equal(s.life.sealed, 1);
}

static void a_new_main_for_content_that_failed_is_checked_as_at_creation(void **state) {
    (void)state;
    struct story s = story_upload();
    does(&s, CONTENT_FAIL);
    does(&s, CONTENT_FAIL); /* still wrong */
    fails_as(&s, CONTENT);
    struct story reviewed = s;
    does(&s, CONFIRM);
    shows(&s, ACTIVED);
    does(&reviewed, CONFIRM_REVIEW);
    shows(&reviewed, CREATING);
    admin_does(&reviewed, REVIEW_PASS);
    shows(&reviewed, ACTIVED);
}

static void other_failures_take_no_new_main(void **state) {
    (void)state;
    struct story s = story_upload();
    does(&s, MISMATCH);
    refused(&s, CONFIRM, STATE);
    s = story_upload();
    does(&s, CONFIRM_REVIEW);
    admin_does(&s, REVIEW_REJECT_MANUAL);
    refused(&s, CONFIRM, STATE);
}

/* ---- review -------------------------------------------------------------------------------- */

static void in_review_an_asset_shows_creating_until_the_verdict(void **state) {
    (void)state;
    struct story s = story_upload();
    does(&s, CONFIRM_REVIEW);
    shows(&s, CREATING);
    refused(&s, REVIEW_PASS, ADMIN_ONLY);
    admin_does(&s, REVIEW_PASS);
    shows(&s, ACTIVED);
}

static void a_reviewer_that_never_answers_leaves_the_asset_in_review(void **state) {
    (void)state;
    struct story s = story_upload();
    does(&s, CONFIRM_REVIEW);
    story_pass(&s, 1000 * DAY);
    shows(&s, CREATING);
    assert_int_equal(s.life.in_review, 1);
}

static void a_reject_fails_the_asset_with_its_kind_and_keeps_the_bytes(void **state) {
    (void)state;
    struct story machine = story_upload(), person = story_upload(), prober = story_upload();
    does(&machine, CONFIRM_REVIEW);
    admin_does(&machine, REVIEW_REJECT_AUTO);
    fails_as(&machine, AUTOMATIC_REVIEW_REJECT);
    assert_false(machine.effects & MS_EFFECT_FREE_BYTES);
    does(&person, CONFIRM_REVIEW);
    admin_does(&person, REVIEW_REJECT_MANUAL);
    fails_as(&person, MANUAL_REVIEW_REJECT);
    does(&prober, CONFIRM_REVIEW);
    admin_does(&prober, PROBE_FAIL);
    fails_as(&prober, CONTENT);
}

static void a_verdict_without_a_review_is_refused(void **state) {
    (void)state;
    struct story s = story_upload();
    admin_refused(&s, REVIEW_PASS, STATE);
    does(&s, CONFIRM);
    admin_refused(&s, REVIEW_PASS, STATE);
    admin_refused(&s, REVIEW_REJECT_AUTO, STATE);
    admin_refused(&s, PROBE_FAIL, STATE);
}

static void a_held_edit_changes_no_state_whatever_the_verdict(void **state) {
    (void)state;
    static const enum ms_event verdicts[] = {MS_EVENT_REVIEW_PASS, MS_EVENT_REVIEW_REJECT_AUTO,
                                             MS_EVENT_REVIEW_REJECT_MANUAL, MS_EVENT_PROBE_FAIL};
    for (size_t i = 0; i < MS_ARRAY_LEN(verdicts); i++) {
        struct story s = story_actived();
        does(&s, EDIT_REVIEW);
        shows(&s, ACTIVED);
        does(&s, EDIT_REVIEW); /* a further edit replaces the held one */
        assert_int_equal(story_admin_try(&s, verdicts[i]), MS_LC_ALLOWED);
        shows(&s, ACTIVED);
        assert_int_equal(s.life.in_review, 0);
        assert_int_equal(s.effects, i == 0 ? MS_EFFECT_HELD_LIVE | MS_EFFECT_INVALIDATE
                                           : MS_EFFECT_HELD_DROP | MS_EFFECT_INVALIDATE);
    }
}

static void a_verdict_changes_the_state_underneath_a_freeze_and_the_bin(void **state) {
    (void)state;
    struct story s = story_upload();
    does(&s, CONFIRM_REVIEW);
    admin_does(&s, FREEZE);
    does(&s, DELETE);
    admin_does(&s, REVIEW_PASS);
    shows(&s, DELETING);
    does(&s, RESTORE);
    shows(&s, BLOCK);
    admin_does(&s, UNFREEZE);
    shows(&s, ACTIVED);
}

/* ---- activate, announce -------------------------------------------------------------------- */

static void activate_and_deactivate_go_back_and_forth(void **state) {
    (void)state;
    struct story s = story_actived();
    does(&s, DEACTIVATE);
    shows(&s, UNACTIVED);
    does(&s, DEACTIVATE);
    shows(&s, UNACTIVED);
    does(&s, ACTIVATE);
    shows(&s, ACTIVED);
    struct story creating = story_upload();
    refused(&creating, ACTIVATE, STATE);
}

static void an_announced_asset_stays_usable_until_it_is_withdrawn_or_its_date_comes(void **state) {
    (void)state;
    struct story s = story_actived();
    s.f.at = AT(NOW + DAY);
    refused(&s, ANNOUNCE, ADMIN_ONLY);
    story_announce(&s, DAY);
    shows(&s, WAITING_DELETE);
    assert_true(ms_lc_rights(&s.life, s.f.mask) & MS_RIGHT_USE);
    admin_refused(&s, ANNOUNCE, STATE);
    refused(&s, DEACTIVATE, STATE);
    refused(&s, TRANSFER, STATE);
    refused(&s, WITHDRAW, ADMIN_ONLY);
    admin_does(&s, WITHDRAW);
    shows(&s, ACTIVED);
    story_pass(&s, 2 * DAY);
    shows(&s, ACTIVED);
}

static void the_announced_date_bins_an_asset_as_unactived(void **state) {
    (void)state;
    struct story s = story_actived();
    story_announce(&s, DAY);
    story_pass(&s, 3 * DAY);
    shows(&s, DELETING);
    assert_true(s.effects & MS_EFFECT_BIN);
    assert_int_equal(s.life.binned_at.ms, NOW + DAY);
    does(&s, RESTORE);
    shows(&s, UNACTIVED);
}

static void the_announced_date_deletes_a_preset(void **state) {
    (void)state;
    struct story s = story_actived();
    s.f.origin = MS_ORIGIN_SYSTEM;
    story_announce(&s, 100 * DAY);
    story_pass(&s, 101 * DAY);
    shows(&s, DELETED);
    assert_int_equal(s.dated.ms, NOW + 100 * DAY);
}

static void the_announced_date_of_a_binned_asset_does_not_start_retention_anew(void **state) {
    (void)state;
    struct story s = story_actived();
    story_announce(&s, 3 * DAY);
    does(&s, DELETE);
    shows(&s, DELETING);
    story_pass(&s, 4 * DAY);
    shows(&s, DELETING);
    assert_int_equal(s.life.rest, MS_STATE_UNACTIVED);
    assert_int_equal(s.life.binned_at.ms, NOW);
}

static void
the_announced_date_of_an_asset_frozen_in_the_bin_leaves_the_freeze_in_front(void **state) {
    (void)state;
    struct story s = story_actived();
    story_announce(&s, 3 * DAY);
    does(&s, DELETE);
    admin_does(&s, FREEZE);
    story_pass(&s, 90 * DAY);
    shows(&s, BLOCK);
    admin_does(&s, UNFREEZE);
    shows(&s, UNACTIVED);
}

static void presets_are_announced_three_calendar_months_ahead_others_at_any_time(void **state) {
    (void)state;
    struct story s = story_actived();
    s.f.origin = MS_ORIGIN_SYSTEM;
    int64_t first = ms_instant_add_months(s.f.now, 3).ms;
    s.f.at = AT(first - 1);
    admin_refused(&s, ANNOUNCE, TOO_SOON);
    s.f.at = AT(first);
    admin_does(&s, ANNOUNCE);
    s = story_actived();
    s.f.at = AT(NOW);
    admin_refused(&s, ANNOUNCE, PAST);
    s.f.at = AT(NOW + 1);
    admin_does(&s, ANNOUNCE);
}

/* ---- bin ----------------------------------------------------------------------------------- */

static void delete_moves_to_the_bin_and_restore_brings_back_what_was(void **state) {
    (void)state;
    struct story s = story_actived();
    does(&s, DEACTIVATE);
    does(&s, DELETE);
    shows(&s, DELETING);
    assert_true(s.effects & MS_EFFECT_BIN);
    assert_true(s.effects & MS_EFFECT_INVALIDATE);
    does(&s, RESTORE);
    shows(&s, UNACTIVED);
    assert_true(s.effects & MS_EFFECT_UNBIN);
}

static void every_state_but_deleted_can_be_deleted(void **state) {
    (void)state;
    static const enum ms_event ways[] = {MS_EVENT_CONFIRM, MS_EVENT_CONFIRM_REVIEW,
                                         MS_EVENT_MISMATCH, MS_EVENT_CONTENT_FAIL};
    struct story s = story_upload();
    does(&s, DELETE);
    shows(&s, DELETING);
    for (size_t i = 0; i < MS_ARRAY_LEN(ways); i++) {
        s = story_upload();
        assert_int_equal(story_try(&s, ways[i]), MS_LC_ALLOWED);
        enum ms_state before = story_shows(&s);
        does(&s, DELETE);
        shows(&s, DELETING);
        does(&s, RESTORE);
        assert_int_equal(story_shows(&s), before);
    }
    does(&s, FORCE_DELETE);
    refused(&s, DELETE, DELETED);
}

static void deleting_again_changes_nothing(void **state) {
    (void)state;
    struct story s = story_actived();
    does(&s, DELETE);
    story_pass(&s, 6 * DAY);
    does(&s, DELETE);
    assert_int_equal(s.effects, 0);
    assert_int_equal(s.life.binned_at.ms, NOW);
    story_pass(&s, DAY);
    shows(&s, DELETED);
}

static void retention_is_fixed_at_deletion(void **state) {
    (void)state;
    struct story s = story_actived();
    s.f.retention_ms = 3 * DAY;
    does(&s, DELETE);
    s.f.retention_ms = 30 * DAY;
    story_pass(&s, 3 * DAY);
    shows(&s, DELETED);
    assert_true(s.effects & MS_EFFECT_PURGE);
    assert_true(s.effects & MS_EFFECT_FREE_BYTES);
}

static void with_the_bin_off_delete_is_for_good(void **state) {
    (void)state;
    struct story s = story_actived();
    s.f.retention_ms = 0;
    does(&s, DELETE);
    shows(&s, DELETED);
    assert_true(s.effects & MS_EFFECT_PURGE);
    assert_false(s.effects & MS_EFFECT_BIN);
}

static void an_upload_in_the_bin_still_fails_after_24_hours(void **state) {
    (void)state;
    struct story s = story_upload();
    does(&s, DELETE);
    story_pass(&s, 25 * HOUR);
    shows(&s, DELETING);
    assert_true(s.effects & MS_EFFECT_FREE_BYTES);
    does(&s, RESTORE);
    fails_as(&s, TIMEOUT);
}

static void force_delete_is_for_good_from_anywhere_and_once(void **state) {
    (void)state;
    struct story s = story_actived();
    admin_does(&s, FREEZE);
    does(&s, DELETE);
    does(&s, FORCE_DELETE);
    shows(&s, DELETED);
    assert_true(s.effects & MS_EFFECT_PURGE);
    does(&s, FORCE_DELETE);
    assert_int_equal(s.effects, 0);
}

static void nothing_happens_to_a_deleted_asset(void **state) {
    (void)state;
    struct story s = story_actived();
    does(&s, FORCE_DELETE);
    struct ms_life gone = s.life;
    s.f.at = AT(NOW + DAY);
    s.f.scheduled_op = MS_SCHEDULED_BLOCK;
    for (unsigned e = 0; e < MS_EVENT_COUNT; e++) {
        enum ms_lc_rule rule = story_admin_try(&s, (enum ms_event)e);
        if (e == MS_EVENT_FORCE_DELETE || e == MS_EVENT_TERMINATE)
            assert_int_equal(rule, MS_LC_ALLOWED);
        else if (e == MS_EVENT_EXPIRE)
            assert_int_equal(rule, MS_LC_NOT_DUE);
        else if (e == MS_EVENT_RESTORE)
            assert_int_equal(rule, MS_LC_DELETED);
        else
            assert_int_equal(rule, MS_LC_DELETED);
        assert_true(lives_equal(&s.life, &gone));
    }
    assert_int_equal(ms_lc_rights(&s.life, s.f.mask), 0);
}

/* ---- freeze -------------------------------------------------------------------------------- */

static void a_freeze_shows_block_and_an_unfreeze_brings_back_what_was(void **state) {
    (void)state;
    struct story s = story_actived();
    story_announce(&s, 30 * DAY);
    refused(&s, FREEZE, ADMIN_ONLY);
    admin_does(&s, FREEZE);
    shows(&s, BLOCK);
    assert_true(s.effects & MS_EFFECT_INVALIDATE);
    refused(&s, UNFREEZE, ADMIN_ONLY);
    admin_does(&s, UNFREEZE);
    shows(&s, WAITING_DELETE);
    admin_refused(&s, UNFREEZE, NOT_FROZEN);
}

static void changes_are_refused_while_frozen_or_binned(void **state) {
    (void)state;
    static const enum ms_event edits[] = {
        MS_EVENT_CONFIRM,     MS_EVENT_CONFIRM_REVIEW, MS_EVENT_MISMATCH,   MS_EVENT_CONTENT_FAIL,
        MS_EVENT_EDIT_REVIEW, MS_EVENT_ACTIVATE,       MS_EVENT_DEACTIVATE, MS_EVENT_ANNOUNCE,
        MS_EVENT_WITHDRAW,    MS_EVENT_SCHEDULE,       MS_EVENT_UNSCHEDULE, MS_EVENT_TRANSFER};
    for (size_t i = 0; i < MS_ARRAY_LEN(edits); i++) {
        struct story s = i < 4 ? story_upload() : story_actived();
        s.f.at = AT(NOW + DAY);
        s.f.scheduled_op = MS_SCHEDULED_BLOCK;
        admin_does(&s, FREEZE);
        assert_int_equal(story_admin_try(&s, edits[i]), MS_LC_FROZEN);
        does(&s, DELETE);
        assert_int_equal(story_admin_try(&s, edits[i]), MS_LC_FROZEN);
        admin_does(&s, UNFREEZE);
        does(&s, DELETE);
        assert_int_equal(story_admin_try(&s, edits[i]), MS_LC_BINNED);
    }
}

static void delete_and_restore_never_lift_a_freeze(void **state) {
    (void)state;
    struct story s = story_actived();
    admin_does(&s, FREEZE);
    does(&s, DELETE);
    shows(&s, DELETING);
    assert_false(ms_lc_rights(&s.life, s.f.mask) & MS_RIGHT_READ);
    assert_int_equal(ms_lc_why(&s.life, s.f.mask, MS_RIGHT_READ), MS_LC_FROZEN);
    does(&s, RESTORE);
    shows(&s, BLOCK);
}

static void a_frozen_asset_that_was_deleted_is_purged_like_any_other(void **state) {
    (void)state;
    struct story s = story_actived();
    admin_does(&s, FREEZE);
    does(&s, DELETE);
    story_pass(&s, 7 * DAY);
    shows(&s, DELETED);
}

static void an_asset_frozen_in_the_bin_is_not_purged(void **state) {
    (void)state;
    struct story s = story_actived();
    does(&s, DELETE);
    admin_does(&s, FREEZE);
    shows(&s, BLOCK);
    refused(&s, RESTORE, BLOCKED);
    story_pass(&s, 700 * DAY);
    shows(&s, BLOCK);
}

static void an_unfreeze_takes_out_of_the_bin_too(void **state) {
    (void)state;
    struct story s = story_actived();
    does(&s, DELETE);
    admin_does(&s, FREEZE);
    story_pass(&s, 30 * DAY);
    admin_does(&s, UNFREEZE);
    shows(&s, ACTIVED);
    assert_true(s.effects & MS_EFFECT_UNBIN);
    s = story_actived(); /* the other order: deleted after the freeze */
    admin_does(&s, FREEZE);
    does(&s, DELETE);
    admin_does(&s, UNFREEZE);
    shows(&s, ACTIVED);
}

static void deleting_an_asset_frozen_in_the_bin_starts_retention_anew(void **state) {
    (void)state;
    struct story s = story_actived();
    does(&s, DELETE);
    story_pass(&s, 5 * DAY);
    admin_does(&s, FREEZE);
    story_pass(&s, 30 * DAY);
    s.f.retention_ms = 2 * DAY;
    does(&s, DELETE);
    shows(&s, DELETING);
    assert_int_equal(s.life.binned_at.ms, s.f.now.ms);
    story_pass(&s, 2 * DAY - 1);
    shows(&s, DELETING);
    story_pass(&s, 1);
    shows(&s, DELETED);
}

static void a_second_freeze_over_the_bin_blocks_again(void **state) {
    (void)state;
    struct story s = story_actived();
    admin_does(&s, FREEZE);
    does(&s, DELETE);
    admin_does(&s, FREEZE);
    shows(&s, BLOCK);
    story_pass(&s, 30 * DAY);
    shows(&s, BLOCK);
}

static void an_unfreeze_against_a_package_names_renewal(void **state) {
    (void)state;
    struct story s = story_actived();
    admin_does(&s, PACKAGE_HOLD);
    shows(&s, BLOCK);
    admin_refused(&s, UNFREEZE, HOLD_PACKAGE);
    assert_non_null(strstr(ms_lc_rule_text(MS_LC_HOLD_PACKAGE), "renew"));
    admin_does(&s, PACKAGE_RENEW);
    shows(&s, ACTIVED);
}

static void an_unfreeze_against_arrears_names_payment(void **state) {
    (void)state;
    struct story s = story_actived();
    story_freeze_tenant(&s, MS_HOLD_ARREARS);
    admin_refused(&s, UNFREEZE, HOLD_ARREARS);
    assert_non_null(strstr(ms_lc_rule_text(MS_LC_HOLD_ARREARS), "pay"));
}

/* Package, complaint and arrears at once: every order of setting and of lifting. */
static void set_cause(struct story *s, int cause) {
    if (cause == 0)
        admin_does(s, FREEZE);
    else if (cause == 1)
        admin_does(s, PACKAGE_HOLD);
    else
        story_freeze_tenant(s, MS_HOLD_ARREARS);
}

static void lift_cause(struct story *s, int cause) {
    if (cause == 0)
        admin_does(s, UNFREEZE);
    else if (cause == 1)
        admin_does(s, PACKAGE_RENEW);
    else
        story_lift_tenant(s, MS_HOLD_ARREARS);
}

static void each_hold_is_lifted_only_by_its_own_cause(void **state) {
    (void)state;
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int set = 0; set < 6; set++)
        for (int lift = 0; lift < 6; lift++) {
            struct story s = story_actived();
            for (int i = 0; i < 3; i++) {
                story_pass(&s, HOUR);
                set_cause(&s, orders[set][i]);
                shows(&s, BLOCK);
            }
            for (int i = 0; i < 3; i++) {
                shows(&s, BLOCK);
                story_pass(&s, HOUR);
                lift_cause(&s, orders[lift][i]);
            }
            shows(&s, ACTIVED);
        }
}

static void an_unfreeze_with_a_package_hold_left_stays_frozen_and_binned(void **state) {
    (void)state;
    struct story s = story_actived();
    admin_does(&s, FREEZE);
    does(&s, DELETE);
    admin_does(&s, PACKAGE_HOLD);
    admin_does(&s, UNFREEZE);
    shows(&s, BLOCK);
    assert_int_equal(s.life.binned, 1);
    assert_int_equal(s.life.holds, MS_HOLD_PACKAGE);
}

static void a_renewal_takes_nothing_out_of_the_bin(void **state) {
    (void)state;
    struct story s = story_actived();
    admin_does(&s, PACKAGE_HOLD);
    does(&s, DELETE); /* DELETING shows all along: retention just goes on */
    story_pass(&s, 3 * DAY);
    admin_does(&s, PACKAGE_RENEW);
    shows(&s, DELETING);
    assert_int_equal(s.life.binned_at.ms, NOW);
}

static void a_renewal_under_which_deleting_shows_again_starts_retention_anew(void **state) {
    (void)state;
    struct story s = story_actived();
    does(&s, DELETE);
    admin_does(&s, PACKAGE_HOLD);
    shows(&s, BLOCK);
    story_pass(&s, 20 * DAY);
    admin_does(&s, PACKAGE_RENEW);
    shows(&s, DELETING);
    assert_int_equal(s.life.binned_at.ms, NOW + 20 * DAY);
    story_pass(&s, 7 * DAY - 1);
    shows(&s, DELETING);
    story_pass(&s, 1);
    shows(&s, DELETED);
}

static void a_renewal_without_a_hold_changes_nothing(void **state) {
    (void)state;
    struct story s = story_actived();
    admin_does(&s, PACKAGE_RENEW);
    assert_int_equal(s.effects, 0);
    admin_does(&s, FREEZE);
    admin_does(&s, PACKAGE_RENEW);
    shows(&s, BLOCK);
}

static void the_end_of_a_packages_retention_deletes_even_what_renews(void **state) {
    (void)state;
    struct story s = story_actived();
    does(&s, AUTO_RENEW_ON);
    refused(&s, TERMINATE, ADMIN_ONLY);
    admin_does(&s, TERMINATE);
    shows(&s, DELETED);
}

/* ---- auto-renewing packages ---------------------------------------------------------------- */

static void an_asset_of_an_auto_renewing_package_cannot_be_deleted_in_any_way(void **state) {
    (void)state;
    struct story s = story_actived();
    does(&s, AUTO_RENEW_ON);
    refused(&s, DELETE, AUTO_RENEW);
    refused(&s, FORCE_DELETE, AUTO_RENEW);
    refused(&s, TRANSFER, AUTO_RENEW);
    admin_refused(&s, FORCE_DELETE, AUTO_RENEW);
    assert_false(ms_lc_rights(&s.life, s.f.mask) & (MS_RIGHT_DELETE | MS_RIGHT_TRANSFER));
    does(&s, AUTO_RENEW_OFF);
    does(&s, DELETE);
}

static void a_scheduled_deletion_of_it_is_refused_recorded_and_removed(void **state) {
    (void)state;
    struct story s = story_actived();
    story_schedule(&s, DAY, MS_SCHEDULED_DELETE);
    does(&s, AUTO_RENEW_ON);
    story_pass(&s, 2 * DAY);
    shows(&s, ACTIVED);
    assert_int_equal(s.effects, MS_EFFECT_DROP_SCHEDULE | MS_EFFECT_SCHEDULE_REFUSED);
    assert_int_equal(s.dated.ms, NOW + DAY);
    assert_int_equal(s.life.scheduled_count, 0);
}

static void a_scheduled_block_of_it_fires(void **state) {
    (void)state;
    struct story s = story_actived();
    story_schedule(&s, DAY, MS_SCHEDULED_BLOCK);
    does(&s, AUTO_RENEW_ON);
    story_pass(&s, DAY);
    shows(&s, BLOCK);
}

static void retention_waits_for_an_auto_renewing_package(void **state) {
    (void)state;
    struct story s = story_actived();
    does(&s, DELETE);
    does(&s, AUTO_RENEW_ON);
    story_pass(&s, 30 * DAY);
    shows(&s, DELETING);
    does(&s, AUTO_RENEW_OFF);
    story_look(&s);
    shows(&s, DELETED);
    assert_int_equal(s.dated.ms, NOW + 30 * DAY); /* not in the past */
    s = story_actived();
    does(&s, DELETE);
    does(&s, AUTO_RENEW_ON);
    story_pass(&s, DAY);
    does(&s, AUTO_RENEW_OFF);
    story_pass(&s, 6 * DAY - 1);
    shows(&s, DELETING);
    story_pass(&s, 1);
    shows(&s, DELETED);
}

static void a_take_down_of_it_waits_in_the_bin_even_if_the_bin_is_off(void **state) {
    (void)state;
    struct story s = story_actived();
    s.f.retention_ms = 0;
    story_announce(&s, DAY);
    does(&s, AUTO_RENEW_ON);
    story_pass(&s, 30 * DAY);
    shows(&s, DELETING);
    does(&s, AUTO_RENEW_OFF);
    story_look(&s);
    shows(&s, DELETED);
}

/* ---- scheduled operations ------------------------------------------------------------------ */

static void a_scheduled_block_fires_once_with_a_hold_of_its_own(void **state) {
    (void)state;
    struct story s = story_actived();
    story_schedule(&s, DAY, MS_SCHEDULED_BLOCK);
    story_pass(&s, 2 * DAY);
    shows(&s, BLOCK);
    assert_int_equal(s.life.holds, MS_HOLD_SCHEDULED);
    assert_int_equal(s.dated.ms, NOW + DAY);
    assert_true(s.effects & MS_EFFECT_DROP_SCHEDULE);
    admin_does(&s, UNFREEZE);
    story_pass(&s, 30 * DAY);
    shows(&s, ACTIVED);
}

static void a_scheduled_deletion_bins_dated_with_its_instant(void **state) {
    (void)state;
    struct story s = story_actived();
    story_schedule(&s, DAY, MS_SCHEDULED_DELETE);
    story_pass(&s, 3 * DAY);
    shows(&s, DELETING);
    assert_int_equal(s.life.binned_at.ms, NOW + DAY);
    story_pass(&s, 5 * DAY);
    shows(&s, DELETED);
    assert_int_equal(s.dated.ms, NOW + 8 * DAY);
}

static void all_scheduled_operations_count_swept_or_not(void **state) {
    (void)state;
    struct story s = story_actived();
    story_schedule(&s, 3 * DAY, MS_SCHEDULED_DELETE);
    story_schedule(&s, DAY, MS_SCHEDULED_BLOCK);
    story_schedule(&s, 2 * DAY, MS_SCHEDULED_DELETE);
    story_schedule(&s, DAY, MS_SCHEDULED_BLOCK); /* the same again is one */
    assert_int_equal(s.life.scheduled_count, 3);
    story_pass(&s, 4 * DAY);
    shows(&s, DELETING);
    assert_int_equal(s.life.binned_at.ms, NOW + 2 * DAY);
    assert_int_equal(s.life.holds, MS_HOLD_SCHEDULED);
    story_pass(&s, 5 * DAY);
    shows(&s, DELETED);
}

static void at_one_instant_a_block_comes_before_a_deletion(void **state) {
    (void)state;
    struct story s = story_actived();
    story_schedule(&s, DAY, MS_SCHEDULED_DELETE);
    story_schedule(&s, DAY, MS_SCHEDULED_BLOCK);
    story_pass(&s, DAY);
    shows(&s, DELETING);
    does(&s, RESTORE);
    shows(&s, BLOCK);
}

static void a_scheduled_instant_must_lie_ahead(void **state) {
    (void)state;
    struct story s = story_actived();
    s.f.scheduled_op = MS_SCHEDULED_DELETE;
    s.f.at = AT(NOW - 1);
    refused(&s, SCHEDULE, PAST);
    s.f.at = AT(NOW);
    refused(&s, SCHEDULE, PAST);
    s.f.at = AT(NOW + 1);
    does(&s, SCHEDULE);
    does(&s, UNSCHEDULE);
    assert_true(s.effects & MS_EFFECT_DROP_SCHEDULE);
    story_pass(&s, DAY);
    shows(&s, ACTIVED);
}

static void an_eleventh_scheduled_operation_is_refused(void **state) {
    (void)state;
    struct story s = story_actived();
    for (int i = 1; i <= MS_SCHEDULED_MAX; i++)
        story_schedule(&s, i * DAY, MS_SCHEDULED_BLOCK);
    s.f.at = AT(NOW + 100 * DAY);
    refused(&s, SCHEDULE, FULL);
}

static void a_scheduled_deletion_of_what_is_frozen_in_the_bin_deletes_it_again(void **state) {
    (void)state;
    struct story s = story_actived();
    story_schedule(&s, 2 * DAY, MS_SCHEDULED_DELETE);
    does(&s, DELETE);
    story_pass(&s, DAY);
    admin_does(&s, FREEZE);
    story_pass(&s, DAY);
    shows(&s, DELETING);
    assert_int_equal(s.life.binned_at.ms, NOW + 2 * DAY);
}

static void a_scheduled_block_over_the_bin_stops_the_purge(void **state) {
    (void)state;
    struct story s = story_actived();
    story_schedule(&s, 2 * DAY, MS_SCHEDULED_BLOCK);
    does(&s, DELETE);
    story_pass(&s, 100 * DAY);
    shows(&s, BLOCK);
}

/* ---- tenant freeze ------------------------------------------------------------------------- */

static void under_a_tenant_freeze_every_asset_shows_block_or_deleting(void **state) {
    (void)state;
    struct story live = story_actived(), binned = story_actived(), blocked = story_actived();
    does(&binned, DELETE);
    does(&blocked, DELETE);
    admin_does(&blocked, FREEZE);
    struct ms_mask mask = ms_lc_mask_freeze((struct ms_mask){0}, MS_HOLD_ADMIN, AT(NOW));
    live.f.mask = binned.f.mask = blocked.f.mask = mask;
    shows(&live, BLOCK);
    shows(&binned, DELETING);
    shows(&blocked, DELETING);
    assert_int_equal(ms_lc_rights(&live.life, mask), MS_RIGHT_DELETE);
    assert_int_equal(ms_lc_rights(&binned.life, mask), MS_RIGHT_DELETE);
    assert_int_equal(ms_lc_rights_shared(&live.life, mask), 0);
    assert_int_equal(ms_lc_why(&binned.life, mask, MS_RIGHT_RENAME), MS_LC_TENANT_FROZEN);
}

static void lifting_a_tenant_freeze_gives_each_asset_exactly_what_it_had(void **state) {
    (void)state;
    struct story s = story_actived();
    does(&s, DELETE);
    admin_does(&s, FREEZE);
    struct ms_life before = s.life;
    story_freeze_tenant(&s, MS_HOLD_ADMIN);
    story_pass(&s, 40 * DAY);
    story_lift_tenant(&s, MS_HOLD_ADMIN);
    story_look(&s);
    assert_true(lives_equal(&before, &s.life));
    shows(&s, BLOCK);
}

static void under_a_tenant_freeze_only_delete_works_for_the_tenant(void **state) {
    (void)state;
    for (unsigned e = MS_EVENT_EXPIRE + 1; e < MS_EVENT_COUNT; e++) {
        struct story s = e <= MS_EVENT_CONTENT_FAIL ? story_upload() : story_actived();
        s.f.at = AT(NOW + DAY);
        s.f.scheduled_op = MS_SCHEDULED_BLOCK;
        if (e == MS_EVENT_RESTORE)
            does(&s, DELETE);
        story_freeze_tenant(&s, MS_HOLD_ADMIN);
        enum ms_lc_rule rule = story_try(&s, (enum ms_event)e);
        switch (e) {
        case MS_EVENT_DELETE:
        case MS_EVENT_FORCE_DELETE:
        case MS_EVENT_AUTO_RENEW_ON:
        case MS_EVENT_AUTO_RENEW_OFF: /* of the package, not of the asset */
        case MS_EVENT_HELD_OFF:       /* a report, no wish */
            assert_int_equal(rule, MS_LC_ALLOWED);
            break;
        default:
            assert_true(rule == MS_LC_TENANT_FROZEN || rule == MS_LC_ADMIN_ONLY);
        }
    }
}

static void under_a_tenant_freeze_verdicts_freezes_and_dates_go_on_underneath(void **state) {
    (void)state;
    struct story s = story_upload();
    does(&s, CONFIRM_REVIEW);
    story_schedule(&s, 0 + DAY, MS_SCHEDULED_BLOCK);
    story_freeze_tenant(&s, MS_HOLD_ARREARS);
    admin_does(&s, REVIEW_PASS);
    story_pass(&s, 2 * DAY);
    story_lift_tenant(&s, MS_HOLD_ARREARS);
    shows(&s, BLOCK);
    admin_does(&s, UNFREEZE);
    shows(&s, ACTIVED);
}

static void a_delete_under_a_tenant_freeze_is_kept_and_its_retention_runs_afterwards(void **state) {
    (void)state;
    struct story s = story_actived();
    story_freeze_tenant(&s, MS_HOLD_ADMIN);
    does(&s, DELETE);
    shows(&s, DELETING);
    story_pass(&s, 100 * DAY);
    story_lift_tenant(&s, MS_HOLD_ADMIN);
    story_pass(&s, 7 * DAY - 1);
    shows(&s, DELETING);
    story_pass(&s, 1);
    shows(&s, DELETED);
}

static void
a_delete_under_a_tenant_freeze_of_what_was_frozen_in_the_bin_is_a_delete_again(void **state) {
    (void)state;
    struct story s = story_actived();
    does(&s, DELETE);
    admin_does(&s, FREEZE);
    story_freeze_tenant(&s, MS_HOLD_ADMIN);
    does(&s, DELETE);
    story_lift_tenant(&s, MS_HOLD_ADMIN);
    shows(&s, DELETING);
}

static void two_holds_on_a_tenant_are_one_freeze_until_both_are_lifted(void **state) {
    (void)state;
    struct story s = story_actived();
    story_freeze_tenant(&s, MS_HOLD_ADMIN);
    story_pass(&s, HOUR);
    story_freeze_tenant(&s, MS_HOLD_ARREARS);
    story_lift_tenant(&s, MS_HOLD_ADMIN);
    shows(&s, BLOCK);
    assert_int_equal(s.f.mask.since.ms, NOW);
    story_pass(&s, HOUR);
    story_lift_tenant(&s, MS_HOLD_ADMIN); /* is not there any more: nothing */
    shows(&s, BLOCK);
    story_lift_tenant(&s, MS_HOLD_ARREARS);
    shows(&s, ACTIVED);
    assert_int_equal(s.f.mask.lifted_at.ms, NOW + 2 * HOUR);
}

/* ---- transfer, presets, files -------------------------------------------------------------- */

static void a_transfer_gives_the_receiver_an_unactived_asset_or_an_actived_one(void **state) {
    (void)state;
    struct story s = story_actived();
    story_schedule(&s, DAY, MS_SCHEDULED_DELETE);
    s.f.activate = 0;
    does(&s, TRANSFER);
    shows(&s, UNACTIVED);
    assert_int_equal(s.life.scheduled_count, 0);
    s.f.activate = 1;
    does(&s, TRANSFER);
    shows(&s, ACTIVED);
}

static void a_transfer_is_refused_unless_the_asset_is_finished_and_free(void **state) {
    (void)state;
    struct story s = story_upload();
    refused(&s, TRANSFER, STATE);
    does(&s, CONFIRM_REVIEW);
    refused(&s, TRANSFER, STATE);
    s = story_actived();
    does(&s, EDIT_REVIEW);
    refused(&s, TRANSFER, IN_REVIEW);
}

static void presets_are_read_only_for_everyone_but_administrators(void **state) {
    (void)state;
    for (unsigned e = MS_EVENT_EXPIRE + 1; e < MS_EVENT_COUNT; e++) {
        struct story s = e <= MS_EVENT_CONTENT_FAIL ? story_upload() : story_actived();
        if (e == MS_EVENT_AUTO_RENEW_ON || e == MS_EVENT_AUTO_RENEW_OFF || e == MS_EVENT_HELD_OFF)
            continue;
        s.f.at = AT(NOW + DAY);
        s.f.scheduled_op = MS_SCHEDULED_BLOCK;
        s.f.origin = MS_ORIGIN_SYSTEM;
        enum ms_lc_rule rule = story_try(&s, (enum ms_event)e);
        assert_true(rule == MS_LC_SYSTEM_ASSET || rule == MS_LC_ADMIN_ONLY);
    }
    struct story s = story_actived();
    s.f.origin = MS_ORIGIN_SYSTEM;
    admin_does(&s, DEACTIVATE);
    admin_does(&s, FORCE_DELETE);
}

static void shared_readers_read_only_what_is_actived_or_announced(void **state) {
    (void)state;
    struct story s = story_actived();
    assert_int_equal(ms_lc_rights_shared(&s.life, s.f.mask), MS_RIGHT_READ);
    does(&s, DEACTIVATE);
    assert_int_equal(ms_lc_rights_shared(&s.life, s.f.mask), 0);
    does(&s, ACTIVATE);
    story_announce(&s, DAY);
    assert_int_equal(ms_lc_rights_shared(&s.life, s.f.mask), MS_RIGHT_READ);
    admin_does(&s, FREEZE);
    assert_int_equal(ms_lc_rights_shared(&s.life, s.f.mask), 0);
}

static void every_name_of_the_table_has_a_text(void **state) {
    (void)state;
    for (unsigned e = 0; e < MS_EVENT_COUNT; e++)
        assert_true(strlen(ms_event_name((enum ms_event)e)) > 0);
    for (unsigned k = 0; k < MS_DUE_COUNT; k++)
        assert_true(strlen(ms_due_name((enum ms_due_kind)k)) > 0);
    for (unsigned r = 0; r < MS_LC_RULE_COUNT; r++) {
        assert_true(strlen(ms_lc_rule_name((enum ms_lc_rule)r)) > 0);
        assert_true(strlen(ms_lc_rule_text((enum ms_lc_rule)r)) > 5);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_asset_is_creating),
        cmocka_unit_test(a_confirmed_upload_is_actived_or_unactived_as_the_tenant_has_set),
        cmocka_unit_test(a_confirmed_upload_has_no_deadline_any_more),
        cmocka_unit_test(confirming_twice_is_refused),
        cmocka_unit_test(an_upload_not_confirmed_in_24_hours_fails_and_its_bytes_are_freed),
        cmocka_unit_test(what_is_not_as_declared_fails_as_mismatch_and_its_bytes_are_freed),
        cmocka_unit_test(content_that_breaks_a_rule_fails_and_its_bytes_are_kept),
        cmocka_unit_test(a_new_main_for_content_that_failed_is_checked_as_at_creation),
        cmocka_unit_test(other_failures_take_no_new_main),
        cmocka_unit_test(in_review_an_asset_shows_creating_until_the_verdict),
        cmocka_unit_test(a_reviewer_that_never_answers_leaves_the_asset_in_review),
        cmocka_unit_test(a_reject_fails_the_asset_with_its_kind_and_keeps_the_bytes),
        cmocka_unit_test(a_verdict_without_a_review_is_refused),
        cmocka_unit_test(a_held_edit_changes_no_state_whatever_the_verdict),
        cmocka_unit_test(a_verdict_changes_the_state_underneath_a_freeze_and_the_bin),
        cmocka_unit_test(activate_and_deactivate_go_back_and_forth),
        cmocka_unit_test(an_announced_asset_stays_usable_until_it_is_withdrawn_or_its_date_comes),
        cmocka_unit_test(the_announced_date_bins_an_asset_as_unactived),
        cmocka_unit_test(the_announced_date_deletes_a_preset),
        cmocka_unit_test(the_announced_date_of_a_binned_asset_does_not_start_retention_anew),
        cmocka_unit_test(
            the_announced_date_of_an_asset_frozen_in_the_bin_leaves_the_freeze_in_front),
        cmocka_unit_test(presets_are_announced_three_calendar_months_ahead_others_at_any_time),
        cmocka_unit_test(delete_moves_to_the_bin_and_restore_brings_back_what_was),
        cmocka_unit_test(every_state_but_deleted_can_be_deleted),
        cmocka_unit_test(deleting_again_changes_nothing),
        cmocka_unit_test(retention_is_fixed_at_deletion),
        cmocka_unit_test(with_the_bin_off_delete_is_for_good),
        cmocka_unit_test(an_upload_in_the_bin_still_fails_after_24_hours),
        cmocka_unit_test(force_delete_is_for_good_from_anywhere_and_once),
        cmocka_unit_test(nothing_happens_to_a_deleted_asset),
        cmocka_unit_test(a_freeze_shows_block_and_an_unfreeze_brings_back_what_was),
        cmocka_unit_test(changes_are_refused_while_frozen_or_binned),
        cmocka_unit_test(delete_and_restore_never_lift_a_freeze),
        cmocka_unit_test(a_frozen_asset_that_was_deleted_is_purged_like_any_other),
        cmocka_unit_test(an_asset_frozen_in_the_bin_is_not_purged),
        cmocka_unit_test(an_unfreeze_takes_out_of_the_bin_too),
        cmocka_unit_test(deleting_an_asset_frozen_in_the_bin_starts_retention_anew),
        cmocka_unit_test(a_second_freeze_over_the_bin_blocks_again),
        cmocka_unit_test(an_unfreeze_against_a_package_names_renewal),
        cmocka_unit_test(an_unfreeze_against_arrears_names_payment),
        cmocka_unit_test(each_hold_is_lifted_only_by_its_own_cause),
        cmocka_unit_test(an_unfreeze_with_a_package_hold_left_stays_frozen_and_binned),
        cmocka_unit_test(a_renewal_takes_nothing_out_of_the_bin),
        cmocka_unit_test(a_renewal_under_which_deleting_shows_again_starts_retention_anew),
        cmocka_unit_test(a_renewal_without_a_hold_changes_nothing),
        cmocka_unit_test(the_end_of_a_packages_retention_deletes_even_what_renews),
        cmocka_unit_test(an_asset_of_an_auto_renewing_package_cannot_be_deleted_in_any_way),
        cmocka_unit_test(a_scheduled_deletion_of_it_is_refused_recorded_and_removed),
        cmocka_unit_test(a_scheduled_block_of_it_fires),
        cmocka_unit_test(retention_waits_for_an_auto_renewing_package),
        cmocka_unit_test(a_take_down_of_it_waits_in_the_bin_even_if_the_bin_is_off),
        cmocka_unit_test(a_scheduled_block_fires_once_with_a_hold_of_its_own),
        cmocka_unit_test(a_scheduled_deletion_bins_dated_with_its_instant),
        cmocka_unit_test(all_scheduled_operations_count_swept_or_not),
        cmocka_unit_test(at_one_instant_a_block_comes_before_a_deletion),
        cmocka_unit_test(a_scheduled_instant_must_lie_ahead),
        cmocka_unit_test(an_eleventh_scheduled_operation_is_refused),
        cmocka_unit_test(a_scheduled_deletion_of_what_is_frozen_in_the_bin_deletes_it_again),
        cmocka_unit_test(a_scheduled_block_over_the_bin_stops_the_purge),
        cmocka_unit_test(under_a_tenant_freeze_every_asset_shows_block_or_deleting),
        cmocka_unit_test(lifting_a_tenant_freeze_gives_each_asset_exactly_what_it_had),
        cmocka_unit_test(under_a_tenant_freeze_only_delete_works_for_the_tenant),
        cmocka_unit_test(under_a_tenant_freeze_verdicts_freezes_and_dates_go_on_underneath),
        cmocka_unit_test(a_delete_under_a_tenant_freeze_is_kept_and_its_retention_runs_afterwards),
        cmocka_unit_test(
            a_delete_under_a_tenant_freeze_of_what_was_frozen_in_the_bin_is_a_delete_again),
        cmocka_unit_test(two_holds_on_a_tenant_are_one_freeze_until_both_are_lifted),
        cmocka_unit_test(a_transfer_gives_the_receiver_an_unactived_asset_or_an_actived_one),
        cmocka_unit_test(a_transfer_is_refused_unless_the_asset_is_finished_and_free),
        cmocka_unit_test(presets_are_read_only_for_everyone_but_administrators),
        cmocka_unit_test(shared_readers_read_only_what_is_actived_or_announced),
        cmocka_unit_test(every_name_of_the_table_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
