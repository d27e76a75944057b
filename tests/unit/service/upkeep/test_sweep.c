#include "child.h"

#include "lifecycle/lifecycle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY MS_DAY_MS
#define RETENTION MS_BIN_RETENTION_MS

static struct ms_instant now_of(const struct world *w) { return ms_clock_now(&w->clock.clock); }

static struct ms_sweep_result sweep_now(struct world *w) {
    struct ms_sweep_result result;
    assert_ok(ms_sweep(w->svc, &result, &test_err));
    return result;
}

static void advance(struct world *w, int64_t ms) { ms_clock_fake_advance(&w->clock, ms); }

static struct ms_asset_id make_asset(struct world *w, const char *path) {
    struct behind b;
    write_file(w, path, "some bytes", 10);
    look_behind(w, path, &b);
    return (struct ms_asset_id){b.asset.id};
}

static struct ms_asset_id bin_asset(struct world *w, const char *path) {
    struct ms_asset_id id = make_asset(w, path);
    advance(w, 2 * MS_BIN_BYPASS_AGE_MS);
    unlink_path(w, path);
    return id;
}

/* The record as it is stored; false when it is gone. */
static bool stored(struct world *w, struct ms_asset_id id, struct ms_asset_record *ret_asset) {
    struct ms_txn *txn;
    assert_ok(ms_read_begin(w->svc->store, &txn, &test_err));
    enum ms_code code = ms_row_get_asset(txn, ms_key_asset(w->ctx.tenant, id), ret_asset, NULL);
    ms_read_end(txn);
    assert_true(code == MS_OK || code == MS_NOT_FOUND);
    return code == MS_OK;
}

static struct ms_audit_record last_audit(struct world *w) {
    struct ms_key prefix = ms_key_audits_of(w->ctx.tenant);
    struct ms_audit_record row;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    assert_ok(ms_read_begin(w->svc->store, &txn, &test_err));
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    ms_scan_backwards(&scan);
    assert_ok(ms_row_next_audit(&scan, &key, &row, &test_err));
    ms_scan_end(&scan);
    ms_read_end(txn);
    return row;
}

/* ---- to the millisecond ------------------------------------------------------------------ */

static void a_binned_asset_is_purged_at_its_due_instant_not_before(void **state) {
    struct world *w = *state;
    struct ms_asset_record a;
    struct ms_asset_id id = bin_asset(w, "/files/a.txt");
    struct ms_instant due = ms_instant_add_ms(now_of(w), RETENTION);
    struct ms_sweep_result r;
    advance(w, RETENTION - 1);
    r = sweep_now(w);
    assert_int_equal(r.applied, 0);
    assert_int_equal(r.next.ms, due.ms);
    assert_true(stored(w, id, &a));
    advance(w, 1);
    r = sweep_now(w);
    assert_int_equal(r.applied, 1);
    assert_int_equal(r.purged, 1);
    assert_int_equal(r.next.ms, 0);
    assert_false(stored(w, id, &a));
    struct ms_audit_record row = last_audit(w);
    assert_int_equal(row.at.ms, due.ms);
    assert_int_equal(row.event, MS_EVENT_EXPIRE);
    assert_int_equal(row.to, MS_STATE_DELETED);
    check_clean(w->svc);
    assert_int_equal(sweep_now(w).applied, 0);
}

static void a_late_sweep_dates_with_the_due_instant(void **state) {
    struct world *w = *state;
    (void)bin_asset(w, "/files/a.txt");
    struct ms_instant due = ms_instant_add_ms(now_of(w), RETENTION);
    advance(w, RETENTION + 30 * DAY);
    assert_int_equal(sweep_now(w).purged, 1);
    assert_int_equal(last_audit(w).at.ms, due.ms);
    check_clean(w->svc);
}

static void scheduled_operations_fire_once_and_in_order(void **state) {
    struct world *w = *state;
    struct ms_asset_record a;
    struct ms_asset_id id = make_asset(w, "/files/a.txt");
    struct ms_instant block = ms_instant_add_ms(now_of(w), 1000);
    struct ms_instant bin = ms_instant_add_ms(now_of(w), 2000);
    struct ms_sweep_result r;
    apply_event(w, id, MS_EVENT_SCHEDULE, block, MS_SCHEDULED_BLOCK);
    apply_event(w, id, MS_EVENT_SCHEDULE, bin, MS_SCHEDULED_DELETE);
    advance(w, 999);
    r = sweep_now(w);
    assert_int_equal(r.applied, 0);
    assert_int_equal(r.next.ms, block.ms);
    advance(w, 1);
    r = sweep_now(w);
    assert_int_equal(r.applied, 1);
    assert_int_equal(r.next.ms, bin.ms);
    assert_true(stored(w, id, &a));
    assert_int_equal(a.holds, MS_HOLD_SCHEDULED);
    advance(w, 1000);
    r = sweep_now(w);
    assert_int_equal(r.applied, 1);
    assert_true(stored(w, id, &a));
    assert_true(a.binned);
    assert_int_equal(a.binned_at.ms, bin.ms);
    assert_int_equal(r.next.ms, bin.ms + RETENTION);
    check_clean(w->svc);
}

/* One sweep applies all that has come of one asset, each at its own instant. */
static void everything_overdue_of_one_asset_goes_in_one_step(void **state) {
    struct world *w = *state;
    struct ms_asset_record a;
    struct ms_asset_id id = make_asset(w, "/files/a.txt");
    struct ms_instant bin = ms_instant_add_ms(now_of(w), 2000);
    apply_event(w, id, MS_EVENT_SCHEDULE, ms_instant_add_ms(now_of(w), 1000), MS_SCHEDULED_BLOCK);
    apply_event(w, id, MS_EVENT_SCHEDULE, bin, MS_SCHEDULED_DELETE);
    advance(w, 2000 + RETENTION);
    struct ms_sweep_result r = sweep_now(w);
    assert_int_equal(r.applied, 1);
    assert_int_equal(r.purged, 1);
    assert_false(stored(w, id, &a));
    assert_int_equal(last_audit(w).at.ms, bin.ms + RETENTION);
    check_clean(w->svc);
}

static enum ms_code put_api_asset(struct ms_txn *txn, const void *arg, struct ms_error *e) {
    const struct world *w = arg;
    struct ms_asset_record a = {.origin = MS_ORIGIN_UPLOADED};
    struct ms_tenant_record tenant;
    enum ms_code code = ms_change_begin(txn, w->ctx.tenant, &tenant, e);
    struct ms_life life = ms_lc_create(ms_txn_instant(txn), true);
    memset(&a.id, 0x11, sizeof a.id);
    ms_asset_set_life(&a, &life);
    return code == MS_OK ? ms_change_new_asset(txn, w->ctx.tenant, "api", &a, e) : code;
}

static void an_upload_that_is_not_confirmed_fails_after_24_hours(void **state) {
    struct world *w = *state;
    struct ms_asset_record a;
    struct ms_asset_id id;
    struct ms_sweep_result r;
    change_rows(w->svc, put_api_asset, w);
    memset(&id, 0x11, sizeof id);
    advance(w, MS_UPLOAD_DUE_MS - 1);
    assert_int_equal(sweep_now(w).applied, 0);
    advance(w, 1);
    r = sweep_now(w);
    assert_int_equal(r.applied, 1);
    assert_int_equal(r.failed_uploads, 1);
    assert_int_equal(r.purged, 0);
    assert_true(stored(w, id, &a));
    assert_int_equal(a.rest, MS_STATE_FAILED);
    assert_int_equal(a.fail, MS_FAIL_TIMEOUT);
    check_clean(w->svc);
}

static void an_announced_take_down_comes(void **state) {
    struct world *w = *state;
    struct ms_asset_record a;
    struct ms_asset_id id = make_asset(w, "/files/a.txt");
    struct ms_instant at = ms_instant_add_ms(now_of(w), 10 * DAY);
    apply_event(w, id, MS_EVENT_ANNOUNCE, at, 0);
    advance(w, 10 * DAY - 1);
    assert_int_equal(sweep_now(w).applied, 0);
    advance(w, 1);
    assert_int_equal(sweep_now(w).applied, 1);
    assert_true(stored(w, id, &a));
    assert_true(a.binned);
    assert_int_equal(a.rest, MS_STATE_UNACTIVED);
    check_clean(w->svc);
}

/* ---- a tenant's freeze ------------------------------------------------------------------- */

static void freeze(struct world *w, bool on) {
    assert_ok(ms_tenant_hold(w->svc, &w->admin, MS_HOLD_ADMIN, on, "why", &test_err));
}

static void a_freeze_puts_retention_off_and_the_sweep_goes_past_it(void **state) {
    struct world *w = *state;
    struct ms_asset_record a;
    struct ms_asset_id id = bin_asset(w, "/files/a.txt");
    struct ms_sweep_result r;
    advance(w, RETENTION - 10);
    freeze(w, true);
    advance(w, 100);
    r = sweep_now(w);
    assert_int_equal(r.applied, 0);
    assert_int_equal(r.put_off, 1);
    assert_true(r.next.ms > now_of(w).ms); /* as if the freeze ended now */
    check_clean(w->svc);
    assert_int_equal(sweep_now(w).put_off, 0);
    advance(w, 3 * DAY);
    freeze(w, false);
    struct ms_instant due = ms_instant_add_ms(now_of(w), RETENTION);
    for (int i = 0; i < 3; i++) { /* earlier rows are moved until they are right */
        r = sweep_now(w);
        assert_int_equal(r.applied, 0);
        check_findings(w->svc);
        if (r.next.ms == due.ms)
            break;
        ms_clock_fake_set(&w->clock, r.next);
    }
    r = sweep_now(w);
    assert_int_equal(r.next.ms, due.ms);
    ms_clock_fake_set(&w->clock, ms_instant_add_ms(due, -1));
    assert_int_equal(sweep_now(w).purged, 0);
    assert_true(stored(w, id, &a));
    ms_clock_fake_set(&w->clock, due);
    assert_int_equal(sweep_now(w).purged, 1);
    check_clean(w->svc);
}

static void what_was_due_before_the_freeze_is_applied_during_it(void **state) {
    struct world *w = *state;
    struct ms_asset_record a;
    struct ms_asset_id id = bin_asset(w, "/files/a.txt");
    advance(w, RETENTION);
    freeze(w, true);
    assert_int_equal(sweep_now(w).purged, 1);
    assert_false(stored(w, id, &a));
    check_clean(w->svc);
}

/* The mask remembers one freeze: the next may begin only when nothing waits from before it. */
static void freezes_can_follow_each_other(void **state) {
    struct world *w = *state;
    (void)bin_asset(w, "/files/a.txt");
    for (unsigned i = 0; i < 5; i++) {
        freeze(w, true);
        advance(w, RETENTION + DAY);
        (void)sweep_now(w);
        check_findings(w->svc);
        freeze(w, false);
        advance(w, RETENTION - DAY);
        assert_int_equal(sweep_now(w).purged, 0);
        check_findings(w->svc);
    }
    advance(w, DAY);
    assert_int_equal(sweep_now(w).purged, 1);
    check_clean(w->svc);
}

/* ---- clocks, tenants, damage ------------------------------------------------------------- */

static void a_clock_that_runs_back_stops_the_sweep(void **state) {
    struct world *w = *state;
    struct ms_sweep_result r = {.applied = 77};
    (void)bin_asset(w, "/files/a.txt");
    struct ms_instant last = now_of(w);
    ms_clock_fake_set(&w->clock, ms_instant_add_ms(last, -5 * MS_MINUTE_MS));
    assert_ok(ms_sweep(w->svc, &r, &test_err));
    r.applied = 77;
    ms_clock_fake_set(&w->clock, ms_instant_add_ms(last, -5 * MS_MINUTE_MS - 1));
    assert_code(ms_sweep(w->svc, &r, &test_err), MS_CONFLICT);
    assert_int_equal(r.applied, 0);
    assert_code(ms_sweep_tenant(w->svc, w->ctx.tenant, &r, &test_err), MS_CONFLICT);
    assert_int_equal(r.applied + r.damaged, 0);
    ms_clock_fake_set(&w->clock, last);
}

static void every_tenant_is_swept_and_one_alone_when_asked(void **state) {
    struct world *w = *state;
    struct ms_tenant_record other;
    struct ms_tenant_options options = {.name = "t2", .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_ctx first = w->ctx;
    struct ms_sweep_result r;
    assert_ok(ms_tenant_add(w->svc, "root@test", &options, &other, &test_err));
    (void)bin_asset(w, "/files/a.txt");
    w->ctx.tenant = (struct ms_tenant_id){other.id};
    (void)bin_asset(w, "/files/b.txt");
    advance(w, RETENTION);
    assert_ok(ms_sweep_tenant(w->svc, w->ctx.tenant, &r, &test_err));
    assert_int_equal(r.purged, 1);
    w->ctx = first;
    assert_int_equal(sweep_now(w).purged, 1);
    check_clean(w->svc);
    memset(&w->ctx.tenant, 0xee, sizeof w->ctx.tenant);
    assert_code(ms_sweep_tenant(w->svc, w->ctx.tenant, &r, &test_err), MS_NO_TENANT);
    w->ctx = first;
}

static enum ms_code lose_bin_row(struct ms_txn *txn, const void *arg, struct ms_error *e) {
    const struct world *w = arg;
    struct ms_key prefix = ms_key_bins_of(w->ctx.tenant);
    struct ms_scan scan;
    struct ms_view key, value;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    enum ms_code code = ms_scan_next(&scan, &key, &value, e);
    if (code == MS_OK)
        code = ms_txn_del(txn, key, e);
    ms_scan_end(&scan);
    return code;
}

static void a_damaged_asset_keeps_no_other_from_being_swept(void **state) {
    struct world *w = *state;
    struct ms_sweep_result r;
    for (unsigned i = 0; i < 5; i++) {
        char path[32];
        snprintf(path, sizeof path, "/files/%u.txt", i);
        (void)bin_asset(w, path);
    }
    change_rows(w->svc, lose_bin_row, w);
    advance(w, RETENTION + DAY);
    enum ms_code code = ms_sweep(w->svc, &r, &test_err);
    assert_int_not_equal(code, MS_OK);
    assert_non_null(strstr(test_err.message, "fsck"));
    assert_int_equal(count_rows(w->svc, ms_key_assets_of(w->ctx.tenant)), 1);
    assert_int_not_equal(ms_sweep(w->svc, &r, &test_err), MS_OK); /* and it comes to an end */
}

static enum ms_code garble_tenant(struct ms_txn *txn, const void *arg, struct ms_error *e) {
    const struct ms_tenant_id *id = arg;
    struct ms_key key = ms_key_tenant(*id);
    return ms_txn_put(txn, ms_key_view(&key), ms_view_str("\x7f nonsense"), e);
}

static void a_damaged_tenant_keeps_no_other_from_being_swept(void **state) {
    struct world *w = *state;
    struct ms_sweep_result r;
    struct ms_tenant_id low, high;
    memset(&low, 0x00, sizeof low);
    low.id.b[15] = 1;
    memset(&high, 0xff, sizeof high);
    (void)bin_asset(w, "/files/a.txt");
    change_rows(w->svc, garble_tenant, &low);
    change_rows(w->svc, garble_tenant, &high);
    advance(w, RETENTION);
    assert_code(ms_sweep(w->svc, &r, &test_err), MS_CORRUPT);
    assert_int_equal(count_rows(w->svc, ms_key_assets_of(w->ctx.tenant)), 0);
    check_found(w->svc, "two tenants", "record");
}

/* ---- many, and many sweepers ------------------------------------------------------------- */

static void sweep_in_child(struct child *c) {
    struct ms_sweep_result result;
    struct ms_error err = {0};
    child_says('g');
    if (ms_sweep(c->svc, &result, &err) != MS_OK) {
        fprintf(stderr, "child: %s\n", err.message);
        _exit(9);
    }
    child_says('d');
}

static const struct child_work works[] = {{"sweep", sweep_in_child}};

struct many {
    const struct world *w;
    unsigned from, n;
};

static enum ms_code bin_one(struct ms_txn *txn, const struct many *m, unsigned i,
                            struct ms_error *e) {
    struct ms_asset_record a = {.origin = MS_ORIGIN_UPLOADED};
    struct ms_tenant_id t = m->w->ctx.tenant;
    struct ms_lc_facts facts = {
        .now = ms_txn_instant(txn), .activate = 1, .retention_ms = RETENTION};
    struct ms_life life = ms_lc_create(facts.now, false);
    snprintf((char *)a.id.b, sizeof a.id.b, "asset %u", i);
    ms_asset_set_life(&a, &life);
    enum ms_code code = ms_change_new_asset(txn, t, "test", &a, e);
    for (unsigned k = 0; code == MS_OK && k < 2; k++) {
        enum ms_event event = k ? MS_EVENT_DELETE : MS_EVENT_CONFIRM;
        struct ms_lc_verdict v = ms_lc_step(&life, event, &facts);
        life = v.next;
        if (k)
            code = ms_change_bin(txn, t, "test", &a, v.at, NULL, e);
        if (code == MS_OK)
            code = ms_change_life(txn, t, "test", &a, &life, event, v.at, "", e);
    }
    return code;
}

static enum ms_code bin_some(struct ms_txn *txn, const void *arg, struct ms_error *e) {
    const struct many *m = arg;
    struct ms_tenant_record tenant;
    enum ms_code code = ms_change_begin(txn, m->w->ctx.tenant, &tenant, e);
    for (unsigned i = 0; code == MS_OK && i < m->n; i++)
        code = bin_one(txn, m, m->from + i, e);
    return code;
}

/* All due at the same time; without a place in the tree. */
static void bin_many(struct world *w, unsigned n) {
    for (unsigned i = 0; i < n; i += 100)
        change_rows(w->svc, bin_some, &(struct many){w, i, n - i < 100 ? n - i : 100});
}

static void more_than_a_commit_takes(void **state) {
    struct world *w = *state;
    unsigned n = 600;
    bin_many(w, n);
    advance(w, RETENTION);
    uint64_t commits = commits_of(w->svc);
    assert_int_equal(sweep_now(w).purged, n);
    assert_true(commits_of(w->svc) - commits >= 3);
    check_clean(w->svc);
    assert_int_equal(count_rows(w->svc, ms_key_dues_of(w->ctx.tenant)), 0);
}

struct sweeper {
    struct world *w;
    pthread_t thread;
    enum ms_code code;
    struct ms_sweep_result result;
};

static void *sweep_thread(void *priv) {
    struct sweeper *s = priv;
    s->code = ms_sweep(s->w->svc, &s->result, NULL);
    return NULL;
}

static void several_sweepers_apply_each_once(void **state) {
    struct world *w = *state;
    struct sweeper s[4];
    struct child_running running[2];
    unsigned n = ms_test_rounds(400) + 100;
    uint64_t purged = 0;
    bin_many(w, n);
    advance(w, RETENTION);
    for (unsigned i = 0; i < 2; i++)
        running[i] = child_start(w, &(struct child_plan){.work = "sweep"});
    for (unsigned i = 0; i < 4; i++) {
        s[i] = (struct sweeper){.w = w};
        assert_int_equal(pthread_create(&s[i].thread, NULL, sweep_thread, &s[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(s[i].thread, NULL);
        assert_int_equal(s[i].code, MS_OK);
        purged += s[i].result.purged;
    }
    for (unsigned i = 0; i < 2; i++)
        assert_false(child_wait(&running[i]).killed);
    assert_true(purged <= n);
    assert_int_equal(count_rows(w->svc, ms_key_assets_of(w->ctx.tenant)), 0);
    check_clean(w->svc);
}

static void a_sweeper_killed_at_any_time(void **state) {
    struct world *w = *state;
    unsigned rounds = ms_test_rounds(12), kills = 0;
    for (unsigned i = 0; i < rounds; i++) {
        bin_many(w, 150);
        advance(w, RETENTION);
        struct child_plan plan = {.work = "sweep"};
        struct child_running running = child_start(w, &plan);
        child_await(&running, 'g');
        usleep(500 * i);
        child_kill(&running);
        kills += child_wait(&running).killed;
        check_findings(w->svc);
        (void)sweep_now(w);
        assert_int_equal(count_rows(w->svc, ms_key_assets_of(w->ctx.tenant)), 0);
        struct ms_recover_result r;
        assert_ok(ms_recover(w->svc, &r, &test_err));
        check_clean(w->svc);
    }
    print_message("killed %u sweepers\n", kills);
}

int main(int argc, char **argv) {
    child_main(argc, argv, works, MS_ARRAY_LEN(works));
#define ON_DIR(test) cmocka_unit_test_setup_teardown(test, world_setup_dir, world_teardown)
#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_setup_mem, world_teardown)
    const struct CMUnitTest tests[] = {
        IN_MEMORY(a_binned_asset_is_purged_at_its_due_instant_not_before),
        IN_MEMORY(a_late_sweep_dates_with_the_due_instant),
        IN_MEMORY(scheduled_operations_fire_once_and_in_order),
        IN_MEMORY(everything_overdue_of_one_asset_goes_in_one_step),
        IN_MEMORY(an_upload_that_is_not_confirmed_fails_after_24_hours),
        IN_MEMORY(an_announced_take_down_comes),
        IN_MEMORY(a_freeze_puts_retention_off_and_the_sweep_goes_past_it),
        IN_MEMORY(what_was_due_before_the_freeze_is_applied_during_it),
        IN_MEMORY(freezes_can_follow_each_other),
        IN_MEMORY(a_clock_that_runs_back_stops_the_sweep),
        IN_MEMORY(every_tenant_is_swept_and_one_alone_when_asked),
        IN_MEMORY(a_damaged_asset_keeps_no_other_from_being_swept),
        IN_MEMORY(a_damaged_tenant_keeps_no_other_from_being_swept),
        IN_MEMORY(more_than_a_commit_takes),
        ON_DIR(several_sweepers_apply_each_once),
        ON_DIR(a_sweeper_killed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
