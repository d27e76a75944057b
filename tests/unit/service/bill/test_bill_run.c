/* The nightly run against bill simulate: what really happened, told as a history, costs what the
 * closed days say. And what a run must withstand: others at work, changed cards, numbers that
 * contradict each other. */
#include "unit/service/tree/fixture.h"

#include "quota/rates.h"
#include "quota/simulate.h"
#include "service/bill.h"
#include "service/chain.h"
#include "service/package.h"
#include "service/upkeep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char cards[] =
    "{\"currency\":\"CNY\",\"cards\":["
    "{\"valid_from\":\"2026-01\",\"storage\":[{\"up_to_gb_months\":\"3\",\"price\":\"0.37\"},"
    "{\"price\":\"0.123456789\"}],\"video_minute\":\"3.5\"},"
    "{\"valid_from\":\"2026-03\",\"storage\":[{\"price\":\"0.5\"}],\"video_minute\":\"2.25\","
    "\"packages\":{\"p0\":\"1.9\",\"p1\":\"7.000001\"}},"
    "{\"valid_from\":\"2026-07\",\"storage\":[{\"price\":\"0.5\"}],\"packages\":{\"p1\":\"11\"}}]}";

static struct ms_rates rates_of(const char *text) {
    struct ms_rates rates;
    assert_ok(ms_rates_parse(text, strlen(text), &rates, &test_err));
    return rates;
}

static void print_parking(void *priv, const char *tenant, const char *text) {
    (void)priv;
    if (strncmp(text, "parked", 6) == 0)
        print_error("%s: %s\n", tenant, text);
}

static struct ms_bill_result run_with(struct fx *f, const struct ms_rates *rates) {
    struct ms_bill_options options = {.rates = rates, .note = print_parking};
    struct ms_bill_result result;
    assert_ok(ms_bill_run(&f->svc, &options, &result, &test_err));
    return result;
}

static void run_to(struct fx *f, int64_t ms) {
    int64_t now = ms_clock_now(&f->clock.clock).ms;
    fx_advance(f, ms - now % ms);
}
static void next_day(struct fx *f) { run_to(f, MS_DAY_MS); }

static struct ms_ctx admin(const struct fx *f) {
    struct ms_ctx ctx = f->ctx;
    ctx.admin = true;
    return ctx;
}

/* ---- both bills ------------------------------------------------------------------------------ */

struct bill {
    struct ms_bill_day *days;
    size_t n, cap;
};

static void add_day(struct bill *bill, const struct ms_bill_day *day) {
    if (bill->n == bill->cap) {
        bill->cap = bill->cap ? 2 * bill->cap : 64;
        bill->days = realloc(bill->days, bill->cap * sizeof *bill->days);
        assert_non_null(bill->days);
    }
    bill->days[bill->n++] = *day;
}

static bool closed_day(void *priv, const struct ms_bill_day *day) {
    add_day(priv, day);
    return true;
}

static struct bill closed_bill(struct fx *f) {
    struct bill bill = {0};
    assert_ok(ms_bill_days(&f->svc, f->ctx.tenant, (struct ms_instant){0}, (struct ms_instant){0},
                           closed_day, &bill, &test_err));
    return bill;
}

static bool feed(void *priv, const struct ms_history_event *event) {
    MS_AUTO(ms_buf_fini) struct ms_buf line = {0};
    assert_ok(ms_history_format(event, &line, &test_err));
    assert_ok(ms_simulation_line(priv, (const char *)line.data, line.len, &test_err));
    return true;
}

static bool sim_tenant(void *to, struct ms_view name) {
    (void)to;
    assert_int_equal(name.n, 2);
    assert_memory_equal(name.p, "t1", 2);
    return true;
}
static bool sim_day(void *to, const struct ms_day *day, const struct ms_line *line) {
    add_day(to, &(struct ms_bill_day){.day = *day, .line = *line});
    return true;
}
static bool sim_month(void *to, const struct ms_statement *statement) {
    (void)to, (void)statement;
    return true;
}

static struct bill simulated_bill(struct fx *f, const struct ms_rates *rates) {
    struct ms_simulation *s;
    struct bill bill = {0};
    struct ms_bill_sink sink = {sim_tenant, sim_day, sim_month, &bill};
    assert_ok(ms_simulation_new(rates, &s, &test_err));
    assert_ok(ms_bill_history(&f->svc, f->ctx.tenant, feed, s, &test_err));
    assert_ok(ms_simulation_finish(s, &test_err));
    assert_ok(ms_simulation_report(s, &sink, &test_err));
    ms_simulation_free(s);
    return bill;
}

static void print_finding(void *priv, const char *text) {
    (void)priv;
    print_error("finding: %s\n", text);
}

static uint64_t findings(struct fx *f, const struct ms_rates *rates) {
    struct ms_bill_check check;
    assert_ok(ms_bill_verify(&f->svc, rates, (struct ms_tenant_id){{{0}}}, print_finding, NULL,
                             &check, &test_err));
    return check.findings;
}

static void agree(struct fx *f, const struct ms_rates *rates) {
    struct bill closed = closed_bill(f), simulated = simulated_bill(f, rates);
    assert_true(simulated.n >= closed.n);
    for (size_t i = 0; i < closed.n; i++) {
        const struct ms_bill_day *a = &closed.days[i], *b = &simulated.days[i];
        assert_int_equal(a->day.midnight.ms, b->day.midnight.ms);
        assert_memory_equal(a->day.bytes, b->day.bytes, sizeof a->day.bytes);
        assert_true(a->day.allowance == b->day.allowance);
        assert_true(a->day.excess == b->day.excess);
        assert_true(a->day.video_hundredths == b->day.video_hundredths);
        assert_true(a->day.video_paid_hundredths == b->day.video_paid_hundredths);
        assert_true(a->line.video == b->line.video);
        assert_true(a->line.package == b->line.package);
        assert_true(a->line.storage == b->line.storage);
        assert_true(a->line.total == b->line.total);
    }
    assert_int_equal(findings(f, rates), 0);
    free(closed.days);
    free(simulated.days);
}

/* ---- one story ------------------------------------------------------------------------------- */

static void a_day_is_closed_once_and_costs_what_it_held(void **state) {
    struct fx *f = *state;
    struct ms_rates rates = rates_of(cards);
    struct ms_bill_result r = run_with(f, &rates);
    assert_int_equal(r.days, 0); /* the first day is not over */
    fx_advance(f, 6 * MS_HOUR_MS);
    (void)fx_file(f, f->root, "a.mp4", 6 * MS_GB, "video/mp4");
    next_day(f);
    r = run_with(f, &rates);
    assert_int_equal(r.days, 1);
    assert_int_equal(r.events, 2); /* the tenant's settings, the file */
    struct bill bill = closed_bill(f);
    assert_int_equal(bill.n, 1);
    const struct ms_bill_day *d = &bill.days[0];
    assert_true(d->day.bytes[MS_CLASS_STANDARD] == (ms_u128)(6 * MS_GB) * (18 * MS_HOUR_MS));
    assert_true(d->day.allowance == (ms_u128)(5 * MS_GB) * MS_DAY_MS);
    assert_true(d->day.excess == (ms_u128)MS_GB * (18 * MS_HOUR_MS));
    /* 18 h of 744 h: 0.024193548... GB-months at 0.37 */
    assert_true(d->line.storage == 8952);
    free(bill.days);
    assert_int_equal(run_with(f, &rates).days, 0);
    agree(f, &rates);
    ms_rates_fini(&rates);
}

static void missed_nights_are_caught_up_with_what_was_due_in_them(void **state) {
    struct fx *f = *state;
    struct ms_rates rates = rates_of(cards);
    (void)fx_file(f, f->root, "a.mp4", 7 * MS_GB, "video/mp4");
    fx_advance(f, MS_HOUR_MS);
    (void)fx_unlink(f, f->root, "a.mp4", false); /* older than 60 s: seven days in the bin */
    fx_advance(f, 40 * MS_DAY_MS);
    struct ms_bill_result r = run_with(f, &rates);
    assert_int_equal(r.days, 40);
    assert_int_equal(r.due, 1);
    struct bill bill = closed_bill(f);
    assert_true(bill.days[6].day.bytes[MS_CLASS_STANDARD] == (ms_u128)(7 * MS_GB) * MS_DAY_MS);
    assert_true(bill.days[7].day.bytes[MS_CLASS_STANDARD] == (ms_u128)(7 * MS_GB) * MS_HOUR_MS);
    assert_true(bill.days[8].day.bytes[MS_CLASS_STANDARD] == 0);
    free(bill.days);
    agree(f, &rates);
    ms_rates_fini(&rates);
}

/* A deadline of the 8th that is applied on the 10th, behind an event of that day: the run that closes
 * the 9th takes it, the next one does not take it again. */
static void what_was_applied_late_is_taken_once(void **state) {
    struct fx *f = *state;
    struct ms_rates rates = rates_of(cards);
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
    agree(f, &rates);
    ms_rates_fini(&rates);
}

static void a_card_that_has_priced_days_cannot_change(void **state) {
    struct fx *f = *state;
    struct ms_rates rates = rates_of(cards);
    struct ms_rates other = rates_of("{\"currency\":\"CNY\",\"cards\":[{\"valid_from\":\"2026-01\","
                                     "\"storage\":[{\"price\":\"0.1\"}]}]}");
    struct ms_rates later = rates_of(
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
    struct ms_ctx ctx = admin(f);
    assert_ok(ms_tenant_set_pay_per_use(&f->svc, &ctx, true, &test_err));
}

static ms_u128 counted(const struct bill *bill, size_t day, enum ms_class class) {
    return bill->days[day].day.bytes[class];
}

static void minutes_are_charged_on_their_day_and_bytes_count_after_six_months(void **state) {
    struct fx *f = *state;
    struct ms_rates rates = rates_of(cards);
    const ms_u128 bytes = 6 * MS_GB;
    pay_per_use(f);
    fx_advance(f, 30 * MS_DAY_MS + 6 * MS_HOUR_MS); /* 31 January, 06:00: free until 31 July 06:00 */
    (void)fx_produce(f, f->root, "v.mp4", 6 * MS_GB, 754);
    fx_advance(f, 90 * MS_DAY_MS);
    (void)run_with(f, &rates);
    struct bill closed = closed_bill(f);
    assert_true(closed.days[30].day.video_hundredths == 1257);
    assert_true(closed.days[30].day.video_paid_hundredths == 1257);
    assert_true(closed.days[30].line.video == 43995000); /* 12.57 minutes at 3.5 */
    assert_true(counted(&closed, 30, MS_CLASS_PRODUCED_FREE) == bytes * 18 * MS_HOUR_MS);
    free(closed.days);
    fx_advance(f, 120 * MS_DAY_MS); /* nobody sweeps meanwhile */
    (void)run_with(f, &rates);
    closed = closed_bill(f);
    const size_t july31 = 211;
    assert_true(counted(&closed, july31, MS_CLASS_PRODUCED_FREE) == bytes * 6 * MS_HOUR_MS);
    assert_true(counted(&closed, july31, MS_CLASS_PRODUCED) == bytes * 18 * MS_HOUR_MS);
    assert_true(closed.days[july31].day.excess == (ms_u128)MS_GB * 18 * MS_HOUR_MS);
    free(closed.days);
    agree(f, &rates);
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
    struct ms_ctx ctx = admin(f);
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
    struct ms_rates rates = rates_of(cards);
    (void)fx_file(f, f->root, "a.mp4", 9 * MS_GB, "video/mp4");
    fx_advance(f, 4 * MS_DAY_MS);
    (void)run_with(f, &rates);
    assert_int_equal(findings(f, &rates), 0);
    assert_ok(ms_store_write(f->svc.store, &write, &test_err));
    assert_int_equal(findings(f, &rates), 2); /* its line, and the chain behind it */
    drift(f);
    assert_int_equal(findings(f, &rates), 4); /* against the ledger, against the assets */
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
    struct ms_rates rates = rates_of(cards);
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
    struct ms_ctx ctx = admin(f);
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

/* ---- random histories ------------------------------------------------------------------------ */

struct story {
    struct fx *f;
    struct ms_random_seeded random;
    char names[12][16];
    bool there[12];
    unsigned made, orders;
};

static uint64_t below(struct story *s, uint64_t n) { return ms_random_below(&s->random.random, n); }

static void write_one(struct story *s, unsigned i) {
    uint64_t size = below(s, 8) == 0 ? 0 : 1 + below(s, 3 * MS_GB);
    if (!s->there[i]) {
        (void)snprintf(s->names[i], sizeof s->names[i], "f%u.mp4", s->made++);
        (void)fx_file(s->f, s->f->root, s->names[i], 1 + size, "video/mp4");
        s->there[i] = true;
        return;
    }
    fx_seal(s->f, fx_ino(s->f, s->names[i]), size, "video/mp4", false);
}

static void produce_one(struct story *s, unsigned i) {
    if (s->there[i])
        return;
    (void)snprintf(s->names[i], sizeof s->names[i], "v%u.mp4", s->made++);
    (void)fx_produce(s->f, s->f->root, s->names[i], 1 + below(s, 2 * MS_GB), below(s, 7200));
    s->there[i] = true;
}

/* ---- packages in a story ---- */

static void buy_one(struct story *s) {
    static const uint32_t months[] = {0, 1, 1, 2, 3, 12};
    struct ms_ctx ctx = admin(s->f);
    struct ms_package_record p;
    char order[32], name[8];
    struct ms_package_order o = {.order = order, .name = name};
    o.months = months[below(s, MS_ARRAY_LEN(months))];
    o.terms = o.months == 0 ? 1 : 1 + (uint32_t)below(s, 3);
    o.kind = (uint8_t)below(s, MS_PACKAGE_KIND_COUNT);
    o.free = below(s, 4) == 0;
    o.auto_renew = o.months > 0 && below(s, 4) == 0;
    o.amount = 1 + below(s, o.kind == MS_PACKAGE_ASSET_MANAGER ? 2 * MS_GB : 20000);
    (void)snprintf(order, sizeof order, "o%u", s->orders++);
    (void)snprintf(name, sizeof name, "p%u", (unsigned)below(s, 3));
    assert_ok(ms_package_buy(&s->f->svc, &ctx, &o, &p, &test_err));
    if (below(s, 3) == 0) { /* the same order again */
        struct ms_package_record again;
        assert_ok(ms_package_buy(&s->f->svc, &ctx, &o, &again, &test_err));
        assert_memory_equal(again.id.b, p.id.b, MS_ID_BYTES);
    }
}

static void change_one(struct story *s) {
    struct ms_ctx ctx = admin(s->f);
    struct ms_package_record *list, p;
    size_t n;
    char order[32];
    assert_ok(ms_package_list(&s->f->svc, &ctx, &list, &n, &test_err));
    if (n > 0) {
        struct ms_package_record *old = &list[below(s, n)];
        struct ms_package_id id = {old->id};
        bool may = old->state != MS_PACKAGE_ENDED && old->months > 0;
        (void)snprintf(order, sizeof order, "o%u", s->orders++);
        enum ms_code code = ms_package_renew_by(&s->f->svc, &ctx, id, order,
                                                1 + (uint32_t)below(s, 2), &p, &test_err);
        assert_int_equal(code, may ? MS_OK : MS_WRONG_STATE);
        if (may && below(s, 3) == 0)
            assert_ok(ms_package_set_auto_renew(&s->f->svc, &ctx, id, !p.auto_renew, &p, &test_err));
    }
    free(list);
}

/* What the counter adds to the free quota is what valid packages hold, swept or not. */
static void capacity_is_of_valid_packages(struct fx *f) {
    struct ms_package_record *list;
    uint64_t capacity = 0;
    size_t n;
    assert_ok(ms_package_list(&f->svc, &f->ctx, &list, &n, &test_err));
    for (size_t i = 0; i < n; i++)
        if (list[i].kind == MS_PACKAGE_ASSET_MANAGER && ms_package_is_valid(&list[i]))
            capacity += list[i].amount;
    free(list);
    assert_int_equal(fx_usage(f).extra_allowance, capacity);
}

static void step(struct story *s, const struct ms_rates *rates) {
    struct ms_ctx ctx = admin(s->f);
    unsigned i = (unsigned)below(s, 12);
    switch (below(s, 16)) {
    case 0:
        run_to(s->f, MS_DAY_MS); /* exactly midnight */
        break;
    case 1:
    case 2:
        fx_advance(s->f, (int64_t)below(s, 30 * MS_HOUR_MS));
        break;
    case 3:
        fx_advance(s->f, 1 + (int64_t)below(s, 100));
        break;
    case 4:
        (void)run_with(s->f, rates);
        break;
    case 5:
        assert_ok(ms_tenant_set_quota(&s->f->svc, &ctx, below(s, 12 * MS_GB), &test_err));
        break;
    case 6:
    case 7:
        if (s->there[i])
            (void)fx_unlink(s->f, s->f->root, s->names[i], false);
        s->there[i] = false;
        break;
    case 8:
        produce_one(s, i);
        break;
    case 9:
        if (below(s, 3) == 0)
            buy_one(s);
        break;
    case 11:
        fx_advance(s->f, (int64_t)below(s, 40 * MS_DAY_MS)); /* nobody sweeps meanwhile */
        break;
    case 10:
        if (below(s, 3) == 0)
            change_one(s);
        capacity_is_of_valid_packages(s->f);
        break;
    default:
        write_one(s, i);
        break;
    }
}

static void random_stories_cost_what_their_history_says(void **state) {
    struct story s = {.f = *state};
    struct ms_rates rates = rates_of(cards);
    ms_random_seeded_init(&s.random, ms_test_seed());
    pay_per_use(s.f);
    for (unsigned i = 0; i < ms_test_rounds(3000); i++)
        step(&s, &rates);
    next_day(s.f);
    assert_int_equal(run_with(s.f, &rates).parked, 0); /* else nothing would be compared */
    assert_int_equal(run_with(s.f, &rates).days, 0);
    agree(s.f, &rates);
    ms_random_seeded_fini(&s.random);
    ms_rates_fini(&rates);
}

FX_TESTS(FX(a_day_is_closed_once_and_costs_what_it_held),
         FX(missed_nights_are_caught_up_with_what_was_due_in_them),
         FX(what_was_applied_late_is_taken_once),
         FX(a_card_that_has_priced_days_cannot_change),
         FX(minutes_are_charged_on_their_day_and_bytes_count_after_six_months),
         FX(a_tenant_whose_numbers_contradict_each_other_is_parked_and_the_others_go_on),
         FX(a_day_that_was_changed_afterwards_is_found),
         FX(a_storage_line_above_ten_times_the_median_is_told),
         FX(what_stands_behind_a_day_can_be_seen),
         FX(random_stories_cost_what_their_history_says))
