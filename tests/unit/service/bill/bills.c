#include "bills.h"

#include "quota/simulate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char bill_cards[] =
    "{\"currency\":\"CNY\",\"cards\":["
    "{\"valid_from\":\"2026-01\",\"storage\":[{\"up_to_gb_months\":\"3\",\"price\":\"0.37\"},"
    "{\"price\":\"0.123456789\"}],\"video_minute\":\"3.5\"},"
    "{\"valid_from\":\"2026-03\",\"storage\":[{\"price\":\"0.5\"}],\"video_minute\":\"2.25\","
    "\"packages\":{\"p0\":\"1.9\",\"p1\":\"7.000001\"}},"
    "{\"valid_from\":\"2026-07\",\"storage\":[{\"price\":\"0.5\"}],\"packages\":{\"p1\":\"11\"}},"
    "{\"valid_from\":\"2027-02\",\"storage\":[{\"up_to_gb_months\":\"0.5\",\"price\":\"0.2\"},"
    "{\"up_to_gb_months\":\"4\",\"price\":\"0.333333333\"},{\"price\":\"0.1\"}],"
    "\"video_minute\":\"0.000001\",\"packages\":{\"p0\":\"2\",\"p2\":\"0.0000005\"}}]}";

struct ms_rates bill_rates(const char *text) {
    struct ms_rates rates;
    assert_ok(ms_rates_parse(text, strlen(text), &rates, &test_err));
    return rates;
}

struct ms_ctx bill_admin(const struct fx *f) {
    struct ms_ctx ctx = f->ctx;
    ctx.admin = true;
    return ctx;
}

static void print_parking(void *priv, const char *tenant, const char *text) {
    (void)priv;
    if (strncmp(text, "parked", 6) == 0)
        print_error("%s: %s\n", tenant, text);
}

struct ms_bill_result bill_run(struct fx *f, const struct ms_rates *rates, struct ms_instant through) {
    struct ms_bill_options options = {.rates = rates, .through = through, .note = print_parking};
    struct ms_bill_result result;
    assert_ok(ms_bill_run(&f->svc, &options, &result, &test_err));
    return result;
}

/* ---- closed ---------------------------------------------------------------------------------- */

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

struct bill bill_closed(struct fx *f, struct ms_tenant_id tenant) {
    struct bill bill = {.n = 0};
    assert_ok(ms_bill_days(&f->svc, tenant, (struct ms_instant){0}, (struct ms_instant){0},
                           closed_day, &bill, &test_err));
    return bill;
}

/* ---- simulated ------------------------------------------------------------------------------- */

#define TENANTS_MAX 8

struct simulated {
    struct bill bills[TENANTS_MAX];
    size_t n;
};

static bool feed(void *priv, const struct ms_history_event *event) {
    MS_AUTO(ms_buf_fini) struct ms_buf line = {0};
    assert_ok(ms_history_format(event, &line, &test_err));
    assert_ok(ms_simulation_line(priv, (const char *)line.data, line.len, &test_err));
    return true;
}

static bool sim_tenant(void *to, struct ms_view name) {
    struct simulated *s = to;
    assert_true(s->n < TENANTS_MAX);
    (void)snprintf(s->bills[s->n++].tenant, sizeof s->bills[0].tenant, "%.*s", (int)name.n,
                   (const char *)name.p);
    return true;
}
static bool sim_day(void *to, const struct ms_day *day, const struct ms_line *line) {
    struct simulated *s = to;
    add_day(&s->bills[s->n - 1], &(struct ms_bill_day){.day = *day, .line = *line});
    return true;
}
static bool sim_month(void *to, const struct ms_statement *statement) {
    (void)to, (void)statement;
    return true;
}

static void simulate(struct fx *f, const struct ms_rates *rates, struct ms_tenant_id tenant,
                     struct simulated *ret_simulated) {
    struct ms_simulation *s;
    struct ms_bill_sink sink = {sim_tenant, sim_day, sim_month, ret_simulated};
    assert_ok(ms_simulation_new(rates, &s, &test_err));
    assert_ok(ms_bill_history(&f->svc, tenant, feed, s, &test_err));
    assert_ok(ms_simulation_finish(s, &test_err));
    assert_ok(ms_simulation_report(s, &sink, &test_err));
    ms_simulation_free(s);
}

static void simulated_fini(struct simulated *s) {
    for (size_t i = 0; i < s->n; i++)
        free(s->bills[i].days);
}

/* ---- compared -------------------------------------------------------------------------------- */

static void same_day(const struct ms_bill_day *a, const struct ms_bill_day *b) {
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

/* The days of one tenant; simulate may know of a day more, that nobody has closed yet. */
static size_t same_bill(struct fx *f, struct ms_tenant_id id, const char *name,
                        const struct simulated *simulated) {
    struct bill closed = bill_closed(f, id);
    const struct bill *other = NULL;
    size_t n = closed.n;
    for (size_t i = 0; i < simulated->n; i++)
        if (strcmp(simulated->bills[i].tenant, name) == 0)
            other = &simulated->bills[i];
    assert_non_null(other);
    assert_true(other->n >= n);
    for (size_t i = 0; i < n; i++)
        same_day(&closed.days[i], &other->days[i]);
    free(closed.days);
    return n;
}

static void print_finding(void *priv, const char *text) {
    (void)priv;
    print_error("finding: %s\n", text);
}

uint64_t bill_findings(struct fx *f, const struct ms_rates *rates) {
    struct ms_bill_check check;
    assert_ok(ms_bill_verify(&f->svc, rates, (struct ms_tenant_id){{{0}}}, print_finding, NULL,
                             &check, &test_err));
    return check.findings;
}

size_t bills_agree(struct fx *f, const struct ms_rates *rates) {
    struct simulated all = {.n = 0};
    struct ms_tenant_record *tenants;
    size_t n, days = 0;
    assert_ok(ms_tenant_list(&f->svc, &tenants, &n, &test_err));
    simulate(f, rates, (struct ms_tenant_id){{{0}}}, &all);
    for (size_t i = 0; i < n; i++) {
        struct simulated alone = {.n = 0};
        struct ms_tenant_id id = {tenants[i].id};
        simulate(f, rates, id, &alone);
        days += same_bill(f, id, tenants[i].name, &alone);
        (void)same_bill(f, id, tenants[i].name, &all);
        simulated_fini(&alone);
    }
    simulated_fini(&all);
    free(tenants);
    assert_int_equal(bill_findings(f, rates), 0);
    return days;
}
