/* Review: product.md 3.4, and reviewers that never answer, answer nonsense, or die. */
#include "confirm/parcel.h"

#include "service/review.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int setup(void **state) {
    struct world *w = world_new(false, 0);
    *state = w;
    assert_ok(ms_review_set(w->svc, &w->admin, true, &test_err));
    return 0;
}

static struct ms_asset_id bring(struct world *w, const char *name) {
    struct parcel p;
    parcel_init(&p, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, name);
    struct ms_confirmed done = bring_parcel(w, id, &p);
    assert_int_equal(done.state, MS_STATE_CREATING);
    assert_int_equal(done.file_state, MS_FILE_UPLOADED);
    parcel_fini(&p);
    return id;
}

static struct ms_reviewed run(struct world *w) {
    struct ms_reviewed r = {.passed = 0};
    assert_ok(ms_review_run(w->svc, w->ctx.tenant, &r, &test_err));
    return r;
}

static void words(struct world *w, const char *text) {
    char *path = ms_test_path(w->tmp, "words");
    ms_test_write_file(path, text, strlen(text));
    (void)snprintf(w->svc->review_words, sizeof w->svc->review_words, "%s", path);
    free(path);
}

/* A reviewer that is this script. */
static void program(struct world *w, const char *script) {
    char *path = ms_test_path(w->tmp, "reviewer"), text[1024];
    (void)snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
    ms_test_write_file(path, text, strlen(text));
    assert_int_equal(chmod(path, 0700), 0);
    (void)snprintf(w->svc->review_command, sizeof w->svc->review_command, "%s", path);
    free(path);
}

static enum ms_code decide(struct world *w, const struct ms_ctx *ctx, struct ms_asset_id id,
                           enum ms_verdict verdict, const char *reason, struct ms_error *reterr) {
    const struct ms_review_decide d = {.asset = id, .verdict = verdict, .reason = reason};
    return ms_review_decide(w->svc, ctx, &d, reterr);
}

static enum ms_file_state main_state(struct world *w, struct ms_asset_id id) {
    return (enum ms_file_state)info_of(w, id).main.state;
}

/* ---- new assets -------------------------------------------------------------------------- */

static void words_reject_and_what_they_do_not_hold_passes(void **state) {
    struct world *w = *state;
    words(w, "Badword\n禁词\n");
    struct ms_asset_id bad = bring(w, "a BADWORD here"), good = bring(w, "goodwords");
    struct ms_reviewed r = run(w);
    assert_int_equal(r.rejected, 1);
    assert_int_equal(r.passed, 1);
    struct ms_asset_info info = info_of(w, bad);
    assert_int_equal(info.state, MS_STATE_FAILED);
    assert_int_equal(info.asset.fail, MS_FAIL_AUTOMATIC_REVIEW_REJECT);
    assert_string_equal(info.asset.reason, "the title holds \"Badword\"");
    assert_int_equal(info.asset.bytes, 1000); /* kept and counted */
    assert_int_equal(main_state(w, bad), MS_FILE_FAILED);
    assert_int_equal(info_of(w, good).state, MS_STATE_ACTIVED);
    assert_int_equal(main_state(w, good), MS_FILE_CREATED);
    check_clean(w->svc);
}

static void without_words_and_program_a_person_must_look(void **state) {
    struct world *w = *state;
    struct ms_review_case c;
    struct ms_asset_id id = bring(w, "one"), other = bring(w, "two");
    assert_int_equal(run(w).human, 2);
    assert_int_equal(run(w).human, 0);
    assert_int_equal(main_state(w, id), MS_FILE_REVIEW);
    assert_ok(ms_review_get(w->svc, &w->ctx, id, &c, &test_err));
    assert_true(c.row.human);
    assert_false(c.edit);
    assert_code(decide(w, &w->ctx, id, MS_VERDICT_PASS, "", &test_err), MS_WRONG_STATE);
    assert_ok(decide(w, &w->admin, id, MS_VERDICT_PASS, "", &test_err));
    assert_int_equal(info_of(w, id).state, MS_STATE_ACTIVED);
    assert_code(decide(w, &w->admin, id, MS_VERDICT_PASS, "", &test_err), MS_NOT_FOUND);
    assert_ok(decide(w, &w->admin, other, MS_VERDICT_REJECT, "not ours", &test_err));
    assert_int_equal(info_of(w, other).asset.fail, MS_FAIL_MANUAL_REVIEW_REJECT);
    assert_string_equal(info_of(w, other).asset.reason, "not ours");
    check_clean(w->svc);
}

static void what_waits_is_read_by_its_owner_and_used_by_nobody(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = bring(w, "one");
    struct ms_asset_info info = info_of(w, id);
    assert_string_equal(info.path, "/videos/f.mp4");
    struct ms_handle *h = open_file(w, info.path, 'r');
    assert_ok(release_file(h, &test_err));
    struct ms_life life = ms_asset_life(&info.asset);
    uint32_t rights = ms_lc_rights(&life, (struct ms_mask){.holds = 0});
    assert_int_equal(rights & (MS_RIGHT_SHARE | MS_RIGHT_TRANSFER | MS_RIGHT_USE | MS_RIGHT_WRITE),
                     0);
    ms_clock_fake_advance(&w->clock, 30 * MS_DAY_MS); /* a verdict has no deadline */
    (void)sweep_world(w);
    assert_int_equal(info_of(w, id).state, MS_STATE_CREATING);
    check_clean(w->svc);
}

static void an_exempted_tenant_is_not_reviewed(void **state) {
    struct world *w = *state;
    struct parcel p;
    assert_code(ms_review_set(w->svc, &w->ctx, false, &test_err), MS_DENIED);
    assert_ok(ms_review_set(w->svc, &w->admin, false, &test_err));
    parcel_init(&p, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "x");
    assert_int_equal(bring_parcel(w, id, &p).state, MS_STATE_ACTIVED);
    parcel_fini(&p);
}

static void an_asset_that_goes_takes_its_case_along(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = bring(w, "one");
    apply_event(w, id, MS_EVENT_FORCE_DELETE, (struct ms_instant){0}, 0);
    assert_int_equal(count_rows(w->svc, ms_key_reviews_of(w->ctx.tenant)), 0);
    assert_int_equal(run(w).human, 0);
    check_findings(w->svc);
}

/* ---- the program ------------------------------------------------------------------------- */

static void the_program_gets_the_case_and_its_exit_status_is_the_verdict(void **state) {
    struct world *w = *state;
    program(w, "q=$(cat); case $q in *'\"asset_name\": \"pass\"'*) exit 0;; "
               "*'\"asset_name\": \"reject\"'*) echo 'not this'; echo more; exit 1;; "
               "*) echo look; exit 2;; esac");
    struct ms_asset_id pass = bring(w, "pass"), reject = bring(w, "reject"), human = bring(w, "x");
    struct ms_reviewed r = run(w);
    assert_int_equal(r.passed, 1);
    assert_int_equal(r.rejected, 1);
    assert_int_equal(r.human, 1);
    assert_int_equal(info_of(w, pass).state, MS_STATE_ACTIVED);
    assert_int_equal(info_of(w, reject).asset.fail, MS_FAIL_AUTOMATIC_REVIEW_REJECT);
    assert_string_equal(info_of(w, reject).asset.reason, "not this");
    assert_int_equal(main_state(w, human), MS_FILE_REVIEW);
    check_clean(w->svc);
}

static void a_reviewer_without_a_verdict_is_asked_again_and_nothing_goes_live(void **state) {
    struct world *w = *state;
    static const char *const bad[] = {"exit 3", "kill -9 $$", "exec /nowhere/at/all"};
    struct ms_asset_id id = bring(w, "one");
    struct ms_review_case c;
    int64_t wait = MS_MINUTE_MS;
    for (unsigned i = 0; i < 8; i++, wait *= 2) {
        wait = wait < MS_HOUR_MS ? wait : MS_HOUR_MS;
        if (i < MS_ARRAY_LEN(bad))
            program(w, bad[i]);
        else
            (void)snprintf(w->svc->review_command, sizeof w->svc->review_command, "/nowhere");
        assert_int_equal(run(w).unanswered, 1);
        assert_int_equal(run(w).unanswered, 0); /* not before its time */
        assert_ok(ms_review_get(w->svc, &w->ctx, id, &c, &test_err));
        assert_int_equal(c.row.retry_at.ms, ms_clock_now(&w->clock.clock).ms + wait);
        assert_string_not_equal(c.row.note, "");
        assert_int_equal(info_of(w, id).state, MS_STATE_CREATING);
        ms_clock_fake_advance(&w->clock, wait);
    }
    program(w, "exit 0");
    assert_int_equal(run(w).passed, 1);
    check_clean(w->svc);
}

/* Three cases that the reviewer dies of come first in order of id, every night. */
static void cases_that_never_get_an_answer_starve_no_other(void **state) {
    struct world *w = *state;
    struct ms_asset_id bad[6], good;
    program(w, "q=$(cat); case $q in *'\"asset_name\": \"bad\"'*) kill -9 $$;; *) exit 0;; esac");
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++)
        bad[i] = bring(w, "bad");
    assert_int_equal(run(w).unanswered, 3);
    assert_int_equal(run(w).unanswered, 3); /* the other three: now all have been asked about once */
    for (unsigned night = 0; night < 4; night++) {
        struct ms_review_case c;
        uint32_t tries[2] = {0}; /* of those of this night, of the others */
        ms_clock_fake_advance(&w->clock, MS_DAY_MS);
        good = bring(w, "good");
        struct ms_reviewed r = run(w);
        assert_int_equal(r.passed, 1);
        assert_int_equal(r.unanswered, 3);
        assert_int_equal(info_of(w, good).state, MS_STATE_ACTIVED);
        for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
            assert_ok(ms_review_get(w->svc, &w->ctx, bad[i], &c, &test_err));
            tries[c.row.retry_at.ms < ms_clock_now(&w->clock.clock).ms] += c.row.tries;
        }
        assert_int_equal(tries[0] + tries[1], 6 + 3 * (night + 1)); /* they take turns: 3 a night, half of them */
        assert_int_equal(tries[0] >= tries[1] ? tries[0] - tries[1] : 0, night % 2 == 0 ? 3 : 0);
    }
    program(w, "exit 0");
    ms_clock_fake_advance(&w->clock, MS_DAY_MS);
    assert_int_equal(run(w).passed, 6);
    check_clean(w->svc);
}

/* It never answers, whether its output stays open or not; its children end with it. */
static void a_reviewer_that_never_answers_is_stopped(void **state) {
    struct world *w = *state;
    static const char *const slow[] = {"sleep 1000", "exec >/dev/null; sleep 1000 & wait"};
    (void)bring(w, "one");
    w->svc->review_timeout_ms = 50;
    for (unsigned i = 0; i < MS_ARRAY_LEN(slow); i++) {
        program(w, slow[i]);
        assert_int_equal(run(w).unanswered, 1);
        ms_clock_fake_advance(&w->clock, MS_HOUR_MS);
    }
    check_clean(w->svc);
}

static void a_list_that_is_missing_keeps_every_case(void **state) {
    struct world *w = *state;
    struct ms_reviewed r;
    struct ms_asset_id id = bring(w, "one");
    (void)snprintf(w->svc->review_words, sizeof w->svc->review_words, "%s/none", w->tmp);
    assert_code(ms_review_run(w->svc, w->ctx.tenant, &r, &test_err), MS_NO_INPUT);
    assert_code(ms_review_run_all(w->svc, &r, &test_err), MS_NO_INPUT);
    assert_int_equal(info_of(w, id).state, MS_STATE_CREATING);
    words(w, "other\n");
    assert_ok(ms_review_run_all(w->svc, &r, &test_err));
    assert_int_equal(r.passed, 1);
    assert_int_equal(info_of(w, id).state, MS_STATE_ACTIVED);
}

/* ---- edits ------------------------------------------------------------------------------- */

static bool edit(struct world *w, struct ms_asset_id id, const char *name, const char *text) {
    const struct ms_asset_edit e = {.id = id, .name = name, .description = text};
    bool held;
    assert_ok(ms_asset_edit(w->svc, &w->ctx, &e, &held, &test_err));
    return held;
}

static void an_edit_of_a_finished_asset_is_held_until_it_passes(void **state) {
    struct world *w = *state;
    struct ms_review_case c;
    struct ms_asset_id id = bring(w, "old");
    assert_ok(decide(w, &w->admin, id, MS_VERDICT_PASS, "", &test_err));
    assert_true(edit(w, id, "new", NULL));
    assert_string_equal(info_of(w, id).asset.name, "old");
    assert_int_equal(info_of(w, id).state, MS_STATE_ACTIVED);
    assert_true(edit(w, id, "newer", "text")); /* replaces the held one */
    assert_ok(ms_review_get(w->svc, &w->ctx, id, &c, &test_err));
    assert_true(c.edit);
    assert_string_equal(c.row.name, "newer");
    assert_string_equal(c.row.description, "text");
    check_clean(w->svc);
    assert_ok(decide(w, &w->admin, id, MS_VERDICT_PASS, "", &test_err));
    assert_string_equal(info_of(w, id).asset.name, "newer");
    assert_string_equal(info_of(w, id).asset.description, "text");
    assert_int_equal(info_of(w, id).state, MS_STATE_ACTIVED);
    check_clean(w->svc);
}

static void a_rejected_edit_is_dropped_with_its_reason_and_changes_no_state(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = bring(w, "old");
    assert_ok(decide(w, &w->admin, id, MS_VERDICT_PASS, "", &test_err));
    words(w, "badword\n");
    assert_true(edit(w, id, "badword", NULL));
    assert_int_equal(run(w).rejected, 1);
    struct ms_asset_info info = info_of(w, id);
    assert_string_equal(info.asset.name, "old");
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    assert_string_equal(info.asset.reason,
                        "an edit was rejected: the title holds \"badword\"");
    check_clean(w->svc);
}

/* What the machine saw is not what is there any more. */
static void a_verdict_on_an_older_text_counts_for_nothing(void **state) {
    struct world *w = *state;
    struct ms_review_case c;
    struct ms_asset_id id = bring(w, "old");
    assert_ok(ms_review_get(w->svc, &w->ctx, id, &c, &test_err));
    assert_false(edit(w, id, "badword", NULL)); /* it is new: nothing has to be held */
    const struct ms_review_decide d = {.asset = id,
                                       .verdict = MS_VERDICT_PASS,
                                       .machine = true,
                                       .since = c.row.since};
    assert_code(ms_review_decide(w->svc, &w->admin, &d, &test_err), MS_CONFLICT);
    assert_int_equal(info_of(w, id).state, MS_STATE_CREATING);
    words(w, "badword\n");
    assert_int_equal(run(w).rejected, 1);
    check_clean(w->svc);
}

/* What is in review and edited is a new case: asked at once, and among the new ones. */
static void an_edit_of_what_was_asked_in_vain_begins_anew(void **state) {
    struct world *w = *state;
    struct ms_review_case c;
    program(w, "exit 3");
    struct ms_asset_id id = bring(w, "one");
    assert_int_equal(run(w).unanswered, 1);
    assert_false(edit(w, id, "two", NULL)); /* not held: it is not finished */
    assert_ok(ms_review_get(w->svc, &w->ctx, id, &c, &test_err));
    assert_int_equal(c.row.tries, 0);
    assert_int_equal(run(w).unanswered, 1);
    assert_ok(ms_review_get(w->svc, &w->ctx, id, &c, &test_err));
    assert_int_equal(c.row.retry_at.ms, ms_clock_now(&w->clock.clock).ms + MS_MINUTE_MS);
}

static void an_edit_without_review_is_made_at_once(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = bring(w, "old");
    assert_ok(decide(w, &w->admin, id, MS_VERDICT_PASS, "", &test_err));
    assert_ok(ms_review_set(w->svc, &w->admin, false, &test_err));
    assert_false(edit(w, id, "new", "text"));
    assert_string_equal(info_of(w, id).asset.name, "new");
    apply_event(w, id, MS_EVENT_FREEZE, (struct ms_instant){0}, 0);
    const struct ms_asset_edit e = {.id = id, .name = "x"};
    bool held;
    assert_code(ms_asset_edit(w->svc, &w->ctx, &e, &held, &test_err), MS_WRONG_STATE);
    check_clean(w->svc);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(words_reject_and_what_they_do_not_hold_passes),
        TEST(without_words_and_program_a_person_must_look),
        TEST(what_waits_is_read_by_its_owner_and_used_by_nobody),
        TEST(an_exempted_tenant_is_not_reviewed),
        TEST(an_asset_that_goes_takes_its_case_along),
        TEST(the_program_gets_the_case_and_its_exit_status_is_the_verdict),
        TEST(a_reviewer_without_a_verdict_is_asked_again_and_nothing_goes_live),
        TEST(cases_that_never_get_an_answer_starve_no_other),
        TEST(a_reviewer_that_never_answers_is_stopped),
        TEST(a_list_that_is_missing_keeps_every_case),
        TEST(an_edit_of_a_finished_asset_is_held_until_it_passes),
        TEST(a_rejected_edit_is_dropped_with_its_reason_and_changes_no_state),
        TEST(a_verdict_on_an_older_text_counts_for_nothing),
        TEST(an_edit_of_what_was_asked_in_vain_begins_anew),
        TEST(an_edit_without_review_is_made_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
