/* The nightly run against bill simulate: what really happened, told as a history, costs what the
 * closed days say. And what a run must withstand: others at work, changed cards, numbers that
 * contradict each other. */
#include "bills.h"

#include "service/chain.h"
#include "service/package.h"
#include "service/upkeep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ms_bill_result run_with(struct fx *f, const struct ms_rates *rates) {
    return bill_run(f, rates, (struct ms_instant){0});
}

static void run_to(struct fx *f, int64_t ms) {
    int64_t now = ms_clock_now(&f->clock.clock).ms;
    fx_advance(f, ms - now % ms);
}
static void next_day(struct fx *f) { run_to(f, MS_DAY_MS); }

/* ---- one story ------------------------------------------------------------------------------- */

static void a_day_is_closed_once_and_costs_what_it_held(void **state) {
    struct fx *f = *state;
    struct ms_rates rates = bill_rates(bill_cards);
    struct ms_bill_result r = run_with(f, &rates);
    assert_int_equal(r.days, 0); /* the first day is not over */
    fx_advance(f, 6 * MS_HOUR_MS);
    (void)fx_file(f, f->root, "a.mp4", 6 * MS_GB, "video/mp4");
    next_day(f);
    r = run_with(f, &rates);
    assert_int_equal(r.days, 1);
    assert_int_equal(r.events, 2); /* the tenant's settings, the file */
    struct bill bill = bill_closed(f, f->ctx.tenant);
    assert_int_equal(bill.n, 1);
    const struct ms_bill_day *d = &bill.days[0];
    assert_true(d->day.bytes[MS_CLASS_STANDARD] == (ms_u128)(6 * MS_GB) * (18 * MS_HOUR_MS));
    assert_true(d->day.allowance == (ms_u128)(5 * MS_GB) * MS_DAY_MS);
    assert_true(d->day.excess == (ms_u128)MS_GB * (18 * MS_HOUR_MS));
    /* 18 h of 744 h: 0.024193548... GB-months at 0.37 */
    assert_true(d->line.storage == 8952);
    free(bill.days);
    assert_int_equal(run_with(f, &rates).days, 0);
    bills_agree(f, &rates);
    ms_rates_fini(&rates);
}

static void missed_nights_are_caught_up_with_what_was_due_in_them(void **state) {
    struct fx *f = *state;
    struct ms_rates rates = bill_rates(bill_cards);
    (void)fx_file(f, f->root, "a.mp4", 7 * MS_GB, "video/mp4");
    fx_advance(f, MS_HOUR_MS);
    (void)fx_unlink(f, f->root, "a.mp4", false); /* older than 60 s: seven days in the bin */
    fx_advance(f, 40 * MS_DAY_MS);
    struct ms_bill_result r = run_with(f, &rates);
    assert_int_equal(r.days, 40);
    assert_int_equal(r.due, 1);
    struct bill bill = bill_closed(f, f->ctx.tenant);
    assert_true(bill.days[6].day.bytes[MS_CLASS_STANDARD] == (ms_u128)(7 * MS_GB) * MS_DAY_MS);
    assert_true(bill.days[7].day.bytes[MS_CLASS_STANDARD] == (ms_u128)(7 * MS_GB) * MS_HOUR_MS);
    assert_true(bill.days[8].day.bytes[MS_CLASS_STANDARD] == 0);
    free(bill.days);
    bills_agree(f, &rates);
    ms_rates_fini(&rates);
}

/* A deadline of the 8th that is applied on the 10th, behind an event of that day: the run that closes
 * the 9th takes it, the next one does not take it again. */
static void what_was_applied_late_is_taken_once(void **state) {
    struct fx *f = *state;
    struct ms_rates rates = bill_rates(bill_cards);
    struct ms_sweep_result swept;
    (void)fx_file(f, f->root, "a.mp4", 7 * MS_GB, "video/mp4");
    fx_advance(f, MS_HOUR_MS);
    (void)fx_unlink(f, f->root, "a.mp4", false);
    fx_advance(f, 9 * MS_DAY_MS);
    (void)fx_file(f, f->root, "b.mp4", MS_GB, "video/mp4");
    assert_ok(ms_sweep(&f->svc, &swept, &test_err));
    assert_int_equal(swept.purged, 1);
    assert_int_equal(run_with(f, &rates).days, 9);
    fx_advance(f, MS_DAY_MS);
    struct ms_bill_result r = run_with(f, &rates);
    assert_int_equal(r.parked, 0);
    assert_int_equal(r.days, 1);
    bills_agree(f, &rates);
    ms_rates_fini(&rates);
}

static void drift(struct fx *f);

static uint64_t commits(struct fx *f) {
    struct ms_store_stats stats;
    ms_store_stats(f->svc.store, &stats);
    return stats.commits;
}

static void a_dry_run_says_what_a_run_would_close_and_writes_nothing(void **state) {
    struct fx *f = *state;
    struct ms_rates rates = bill_rates(bill_cards);
    struct ms_bill_options options = {.rates = &rates, .dry = true};
    struct ms_bill_result dry, again, r;
    (void)fx_file(f, f->root, "a.mp4", 9 * MS_GB, "video/mp4");
    fx_advance(f, 70 * MS_DAY_MS); /* more than one commit's worth of days */
    uint64_t before = commits(f);
    assert_ok(ms_bill_run(&f->svc, &options, &dry, &test_err));
    f->svc.read_only = true;
    assert_ok(ms_bill_run(&f->svc, &options, &again, &test_err));
    f->svc.read_only = false;
    assert_int_equal(commits(f), before);
    assert_memory_equal(&dry, &again, sizeof dry);
    r = run_with(f, &rates);
    assert_int_equal(dry.days, 70);
    assert_int_equal(r.days, 70);
    assert_int_equal(dry.events, r.events);
    assert_true(dry.micros > 0 && dry.micros == r.micros);
    (void)fx_unlink(f, f->root, "a.mp4", false);
    fx_advance(f, 9 * MS_DAY_MS);
    assert_ok(ms_bill_run(&f->svc, &options, &dry, &test_err));
    assert_int_equal(dry.due, 1); /* counted, not applied: the sum is that of nine full days */
    r = run_with(f, &rates);
    assert_int_equal(r.days, dry.days);
    assert_int_equal(r.due, 1);
    assert_true(r.micros < dry.micros);
    drift(f);
    next_day(f);
    assert_ok(ms_bill_run(&f->svc, &options, &dry, &test_err));
    assert_int_equal(dry.parked, 1);
    assert_int_equal(dry.days, 0);
    drift(f); /* mended, and nothing was parked */
    assert_int_equal(run_with(f, &rates).days, 1);
    ms_rates_fini(&rates);
}

static void a_second_run_and_a_tenant_without_deadlines_cost_no_commit(void **state) {
    struct fx *f = *state;
    (void)fx_file(f, f->root, "a.mp4", MS_GB, "video/mp4");
    next_day(f);
    uint64_t before = commits(f);
    assert_int_equal(run_with(f, NULL).days, 1);
    assert_int_equal(commits(f), before + 1);
    assert_int_equal(run_with(f, NULL).days, 0);
    assert_int_equal(commits(f), before + 1);
}

static void a_clock_behind_the_last_commit_closes_nothing(void **state) {
    struct fx *f = *state;
    struct ms_bill_options options = {0};
    struct ms_bill_result r;
    next_day(f);
    (void)fx_file(f, f->root, "a.mp4", MS_GB, "video/mp4");
    int64_t now = ms_clock_now(&f->clock.clock).ms;
    ms_clock_fake_set(&f->clock, ms_instant_of(now - 5 * MS_MINUTE_MS - 1));
    uint64_t before = commits(f);
    assert_code(ms_bill_run(&f->svc, &options, &r, &test_err), MS_CONFLICT);
    assert_int_equal(commits(f), before);
    options.dry = true; /* has nothing to spoil */
    assert_ok(ms_bill_run(&f->svc, &options, &r, &test_err));
    ms_clock_fake_set(&f->clock, ms_instant_of(now));
    assert_int_equal(run_with(f, NULL).days, 1);
}

static void a_card_that_has_priced_days_cannot_change(void **state) {
    struct fx *f = *state;
    struct ms_rates rates = bill_rates(bill_cards);
    struct ms_rates other = bill_rates("{\"currency\":\"CNY\",\"cards\":[{\"valid_from\":\"2026-01\","
                                     "\"storage\":[{\"price\":\"0.1\"}]}]}");
    struct ms_rates later = bill_rates(
        "{\"currency\":\"CNY\",\"cards\":[{\"valid_from\":\"2026-02\",\"video_minute\":\"1\"},"
        "{\"valid_from\":\"2026-01\",\"video_minute\":\"3.5\",\"storage\":["
        "{\"up_to_gb_months\":\"3\",\"price\":\"0.37\"},{\"price\":\"0.123456789\"}]}]}");
    struct ms_bill_options options = {.rates = &other};
    struct ms_bill_result r;
    next_day(f);
    assert_int_equal(run_with(f, &rates).days, 1);
    next_day(f);
    assert_code(ms_bill_run(&f->svc, &options, &r, &test_err), MS_CONFLICT);
    assert_non_null(strstr(test_err.message, "2026-01"));
    assert_int_equal(r.days, 0);
    options.rates = NULL; /* no card at all is another card too */
    assert_code(ms_bill_run(&f->svc, &options, &r, &test_err), MS_CONFLICT);
    assert_int_equal(run_with(f, &later).days, 1);
    ms_rates_fini(&rates);
    ms_rates_fini(&other);
    ms_rates_fini(&later);
}

/* ---- produced videos ------------------------------------------------------------------------- */

static void pay_per_use(struct fx *f) {
    struct ms_ctx ctx = bill_admin(f);
    assert_ok(ms_tenant_set_pay_per_use(&f->svc, &ctx, true, &test_err));
}

static ms_u128 counted(const struct bill *bill, size_t day, enum ms_class class) {
    return bill->days[day].day.bytes[class];
}

static void minutes_are_charged_on_their_day_and_bytes_count_after_six_months(void **state) {
    struct fx *f = *state;
    struct ms_rates rates = bill_rates(bill_cards);
    const ms_u128 bytes = 6 * MS_GB;
    pay_per_use(f);
    fx_advance(f, 30 * MS_DAY_MS + 6 * MS_HOUR_MS); /* 31 January, 06:00: free until 31 July 06:00 */
    (void)fx_produce(f, f->root, "v.mp4", 6 * MS_GB, 754);
    fx_advance(f, 90 * MS_DAY_MS);
    (void)run_with(f, &rates);
    struct bill closed = bill_closed(f, f->ctx.tenant);
    assert_true(closed.days[30].day.video_hundredths == 1257);
    assert_true(closed.days[30].day.video_paid_hundredths == 1257);
    assert_true(closed.days[30].line.video == 43995000); /* 12.57 minutes at 3.5 */
    assert_true(counted(&closed, 30, MS_CLASS_PRODUCED_FREE) == bytes * 18 * MS_HOUR_MS);
    free(closed.days);
    fx_advance(f, 120 * MS_DAY_MS); /* nobody sweeps meanwhile */
    (void)run_with(f, &rates);
    closed = bill_closed(f, f->ctx.tenant);
    const size_t july31 = 211;
    assert_true(counted(&closed, july31, MS_CLASS_PRODUCED_FREE) == bytes * 6 * MS_HOUR_MS);
    assert_true(counted(&closed, july31, MS_CLASS_PRODUCED) == bytes * 18 * MS_HOUR_MS);
    assert_true(closed.days[july31].day.excess == (ms_u128)MS_GB * 18 * MS_HOUR_MS);
    free(closed.days);
    bills_agree(f, &rates);
    ms_rates_fini(&rates);
}

/* ---- contradictions -------------------------------------------------------------------------- */

static enum ms_code drift_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const struct ms_tenant_id *id = in;
    struct ms_usage_record usage;
    (void)out;
    MS_TRY(ms_row_get_usage(txn, ms_key_usage(*id), &usage, reterr));
    usage.standard ^= 1;
    return ms_row_put_usage(txn, ms_key_usage(*id), &usage, reterr);
}

static void drift(struct fx *f) {
    struct ms_write write = {.fn = drift_op, .in = &f->ctx.tenant};
    assert_ok(ms_store_write(f->svc.store, &write, &test_err));
}

static void count_note(void *priv, const char *tenant, const char *text) {
    assert_string_equal(tenant, "t1");
    assert_non_null(strstr(text, "standard"));
    ++*(unsigned *)priv;
}

static void a_tenant_whose_numbers_contradict_each_other_is_parked_and_the_others_go_on(void **state) {
    struct fx *f = *state;
    struct ms_tenant_options o = {.name = "t2", .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record t2;
    struct ms_ctx ctx = bill_admin(f);
    unsigned notes = 0;
    struct ms_bill_options options = {.note = count_note, .priv = &notes};
    struct ms_bill_result r;
    assert_ok(ms_tenant_add(&f->svc, "root@cli", &o, &t2, &test_err));
    (void)fx_file(f, f->root, "a.mp4", MS_GB, "video/mp4");
    drift(f);
    next_day(f);
    assert_ok(ms_bill_run(&f->svc, &options, &r, &test_err));
    assert_int_equal(r.days, 1);
    assert_int_equal(r.parked, 1);
    assert_int_equal(notes, 1);
    drift(f); /* mended */
    next_day(f);
    r = run_with(f, NULL);
    assert_int_equal(r.days, 1); /* t2's; who was parked waits for a person */
    assert_int_equal(r.parked, 1);
    assert_code(ms_bill_release(&f->svc, &f->ctx, &test_err), MS_DENIED);
    assert_ok(ms_bill_release(&f->svc, &ctx, &test_err));
    assert_code(ms_bill_release(&f->svc, &ctx, &test_err), MS_WRONG_STATE);
    r = run_with(f, NULL);
    assert_int_equal(r.days, 2);
    assert_int_equal(r.parked, 0);
}

static enum ms_code tamper_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct ms_tenant_id *id = in;
    struct ms_key key = ms_key_day(*id, ms_instant_of(INT64_C(1767225600000) + MS_DAY_MS));
    struct ms_day_record row;
    (void)out;
    MS_TRY(ms_row_get_day(txn, key, &row, reterr));
    row.storage_micros_lo++;
    return ms_row_put_day(txn, key, &row, reterr);
}

static void a_day_that_was_changed_afterwards_is_found(void **state) {
    struct fx *f = *state;
    struct ms_write write = {.fn = tamper_op, .in = &f->ctx.tenant};
    struct ms_rates rates = bill_rates(bill_cards);
    (void)fx_file(f, f->root, "a.mp4", 9 * MS_GB, "video/mp4");
    fx_advance(f, 4 * MS_DAY_MS);
    (void)run_with(f, &rates);
    assert_int_equal(bill_findings(f, &rates), 0);
    assert_ok(ms_store_write(f->svc.store, &write, &test_err));
    assert_int_equal(bill_findings(f, &rates), 2); /* its line, and the chain behind it */
    drift(f);
    assert_int_equal(bill_findings(f, &rates), 4); /* against the ledger, against the assets */
    drift(f);
    ms_rates_fini(&rates);
}

/* ---- a line that a person should look at ----------------------------------------------------- */

static void count_any(void *priv, const char *tenant, const char *text) {
    (void)tenant;
    assert_non_null(strstr(text, "median"));
    ++*(unsigned *)priv;
}

static void a_storage_line_above_ten_times_the_median_is_told(void **state) {
    struct fx *f = *state;
    struct ms_rates rates = bill_rates(bill_cards);
    unsigned notes = 0;
    struct ms_bill_options options = {.rates = &rates, .note = count_any, .priv = &notes};
    struct ms_bill_result r;
    (void)fx_file(f, f->root, "a.mp4", 5 * MS_GB + 200 * MS_MB, "video/mp4");
    for (unsigned i = 0; i < 5; i++) {
        next_day(f);
        assert_ok(ms_bill_run(&f->svc, &options, &r, &test_err));
    }
    assert_int_equal(notes, 0);
    (void)fx_file(f, f->root, "b.mp4", 4 * MS_GB, "video/mp4");
    next_day(f);
    assert_ok(ms_bill_run(&f->svc, &options, &r, &test_err));
    assert_int_equal(notes, 1);
    assert_int_equal(r.warnings, 1);
    ms_rates_fini(&rates);
}

/* ---- explain --------------------------------------------------------------------------------- */

struct steps {
    unsigned n;
    uint64_t standard, allowance;
};

static bool count_step(void *priv, const struct ms_bill_step *step) {
    struct steps *s = priv;
    if (s->n == 0)
        assert_int_equal(step->row.seq, 0);
    s->n++;
    s->standard = step->usage.standard;
    s->allowance = step->allowance;
    return true;
}

static void what_stands_behind_a_day_can_be_seen(void **state) {
    struct fx *f = *state;
    struct ms_ctx ctx = bill_admin(f);
    struct steps s = {0};
    struct ms_instant first = ms_clock_now(&f->clock.clock);
    (void)fx_file(f, f->root, "a.mp4", MS_GB, "video/mp4");
    next_day(f);
    (void)fx_file(f, f->root, "b.mp4", 2 * MS_GB, "video/mp4");
    assert_ok(ms_tenant_set_quota(&f->svc, &ctx, 7 * MS_GB, &test_err));
    assert_ok(ms_bill_explain(&f->svc, f->ctx.tenant, first, count_step, &s, &test_err));
    assert_int_equal(s.n, 3); /* the beginning, settings, a.mp4 */
    assert_int_equal(s.standard, MS_GB);
    s = (struct steps){0};
    assert_ok(ms_bill_explain(&f->svc, f->ctx.tenant, ms_clock_now(&f->clock.clock), count_step, &s,
                              &test_err));
    assert_int_equal(s.n, 3);
    assert_int_equal(s.standard, 3 * MS_GB);
    assert_int_equal(s.allowance, 7 * MS_GB);
    assert_code(ms_bill_explain(&f->svc, f->ctx.tenant, ms_instant_add_ms(first, -MS_DAY_MS),
                                count_step, &s, &test_err),
                MS_RANGE);
}

FX_TESTS(FX(a_day_is_closed_once_and_costs_what_it_held),
         FX(missed_nights_are_caught_up_with_what_was_due_in_them),
         FX(what_was_applied_late_is_taken_once),
         FX(a_dry_run_says_what_a_run_would_close_and_writes_nothing),
         FX(a_second_run_and_a_tenant_without_deadlines_cost_no_commit),
         FX(a_clock_behind_the_last_commit_closes_nothing),
         FX(a_card_that_has_priced_days_cannot_change),
         FX(minutes_are_charged_on_their_day_and_bytes_count_after_six_months),
         FX(a_tenant_whose_numbers_contradict_each_other_is_parked_and_the_others_go_on),
         FX(a_day_that_was_changed_afterwards_is_found),
         FX(a_storage_line_above_ten_times_the_median_is_told),
         FX(what_stands_behind_a_day_can_be_seen))
