/* Closed days, what stands behind them, the ledger as a history, and the check of it all. */
#include "service/bill_part.h"

#include "service/chain.h"
#include "service/tenant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS_A_READ 512u

/* ---- closed days ----------------------------------------------------------------------------- */

struct days {
    struct ms_key from, to;
    struct ms_day_record rows[ROWS_A_READ];
    unsigned n;
};

static enum ms_code days_in(struct ms_txn *txn, struct days *d, struct ms_error *reterr) {
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code = MS_OK;
    ms_scan_begin(&scan, txn, ms_key_view(&d->from), ms_key_view(&d->to));
    for (d->n = 0; d->n < ROWS_A_READ;) {
        code = ms_row_next_day(&scan, &key, &d->rows[d->n], reterr);
        if (code != MS_OK)
            break;
        d->n++;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

typedef bool each_day_fn(void *priv, const struct ms_day_record *row);

/* In as many reads as it takes; fn is called outside of them. */
static enum ms_code each_day(struct ms_svc *svc, struct ms_tenant_id tenant, struct ms_instant from,
                             struct ms_instant to, each_day_fn *fn, void *priv,
                             struct ms_error *reterr) {
    struct days *d = malloc(sizeof *d);
    enum ms_code code;
    if (!d)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for closed days");
    d->from = ms_key_day(tenant, ms_instant_is_none(from) ? ms_instant_of(INT64_MIN) : from);
    d->to = ms_key_day(tenant, ms_instant_is_none(to) ? ms_instant_of(INT64_MAX) : to);
    do {
        struct ms_txn *txn;
        code = ms_read_begin(svc->store, &txn, reterr);
        if (code != MS_OK)
            break;
        code = days_in(txn, d, reterr);
        ms_read_end(txn);
        for (unsigned i = 0; i < d->n && code == MS_OK; i++)
            if (!fn(priv, &d->rows[i])) {
                free(d);
                return MS_OK;
            }
        if (d->n > 0)
            d->from = ms_key_day(tenant, ms_instant_add_ms(d->rows[d->n - 1].midnight, 1));
    } while (code == MS_OK && d->n == ROWS_A_READ);
    free(d);
    return code;
}

struct give {
    ms_bill_day_fn *fn;
    void *priv;
};

static bool give_day(void *priv, const struct ms_day_record *row) {
    const struct give *g = priv;
    struct ms_bill_day day;
    ms_bill_day_of_row(row, &day);
    return g->fn(g->priv, &day);
}

enum ms_code ms_bill_days(struct ms_svc *svc, struct ms_tenant_id tenant, struct ms_instant from,
                          struct ms_instant to, ms_bill_day_fn *fn, void *priv,
                          struct ms_error *reterr) {
    struct give g = {fn, priv};
    return each_day(svc, tenant, from, to, give_day, &g, reterr);
}

enum ms_code ms_bill_currency(struct ms_svc *svc, enum ms_currency *ret_currency,
                              struct ms_error *reterr) {
    struct ms_key prefix = ms_key_ratemonths();
    struct ms_ratemonth_record row = {.currency = MS_CURRENCY_CNY};
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(svc->store, &txn, reterr));
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    enum ms_code code = ms_row_next_ratemonth(&scan, &key, &row, reterr);
    ms_scan_end(&scan);
    ms_read_end(txn);
    *ret_currency = (enum ms_currency)row.currency;
    if (row.currency >= MS_CURRENCY_COUNT)
        return ms_fail(reterr, MS_CORRUPT, "a month was priced in currency %u", row.currency);
    return ms_absent_is_fine(code, reterr);
}

/* ---- rows by their numbers ------------------------------------------------------------------- */

static enum ms_code ledger_row(struct ms_svc *svc, struct ms_tenant_id tenant, uint64_t seq,
                               struct ms_ledger_record *ret_row, struct ms_error *reterr) {
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(svc->store, &txn, reterr));
    enum ms_code code = ms_row_get_ledger(txn, ms_key_ledger(tenant, seq), ret_row, reterr);
    ms_read_end(txn);
    return code;
}

/* ---- explain --------------------------------------------------------------------------------- */

static bool give_step(const struct ms_bill_books *books, const struct ms_ledger_record *row,
                      ms_bill_step_fn *fn, void *priv) {
    struct ms_bill_step step = {
        .row = *row, .usage = books->meter.usage, .allowance = books->meter.allowance};
    return fn(priv, &step);
}

static void take_until(struct ms_bill_books *b, struct ms_instant until, char *why) {
    struct ms_day day;
    for (;;) {
        struct ms_instant end = ms_meter_day_end(&b->meter);
        while (b->next < b->end && b->next->at.ms < end.ms && b->next->at.ms < until.ms)
            if (!ms_bill_books_take(b, why))
                return;
        if (end.ms > until.ms)
            return;
        ms_meter_close_day(&b->meter, &day);
    }
}

static enum ms_code explain(struct ms_svc *svc, struct ms_bill_books *b, struct ms_tenant_id tenant,
                            struct ms_instant day, ms_bill_step_fn *fn, void *priv,
                            struct ms_error *reterr) {
    char why[MS_BILL_WHY_MAX] = "";
    struct ms_ledger_record row = {.at = ms_instant_max(day, b->meter.at)};
    take_until(b, day, why);
    bool more = why[0] == '\0' && give_step(b, &row, fn, priv);
    while (more && b->next < b->end) {
        MS_TRY(ledger_row(svc, tenant, b->next->seq, &row, reterr));
        more = ms_bill_books_take(b, why) && give_step(b, &row, fn, priv);
    }
    return why[0] == '\0' ? MS_OK : ms_fail(reterr, MS_CORRUPT, "%s", why);
}

enum ms_code ms_bill_explain(struct ms_svc *svc, struct ms_tenant_id id, struct ms_instant day,
                             ms_bill_step_fn *fn, void *priv, struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    struct ms_bill_books books;
    struct ms_bill_stretch s = {.tenant = id, .from = 1};
    struct ms_account_record first;
    static const struct ms_rates none;
    char text[MS_RFC3339_MS_LEN + 1];
    day = ms_instant_day_start(day);
    MS_TRY(ms_tenant_get(svc, id, &tenant, reterr));
    ms_instant_format_ms(tenant.created, text);
    if (day.ms < ms_instant_day_start(tenant.created).ms)
        return ms_fail(reterr, MS_RANGE, "tenant %s began at %s", tenant.name, text);
    if (day.ms > ms_clock_now(svc->clock).ms)
        return ms_fail(reterr, MS_RANGE, "that day has not begun");
    s.until = ms_instant_add_ms(day, MS_DAY_MS);
    first = ms_bill_account_of(&tenant);
    enum ms_code code = ms_bill_stretch_read(svc, &s, reterr);
    if (code == MS_OK) {
        ms_bill_books_open(&books, &tenant, &first, &none, &s);
        code = explain(svc, &books, id, day, fn, priv, reterr);
    }
    ms_bill_stretch_fini(&s);
    return code;
}

/* ---- verify ---------------------------------------------------------------------------------- */

struct check {
    struct ms_svc *svc;
    const struct ms_rates *rates;
    void (*finding)(void *priv, const char *text);
    void *priv;
    struct ms_bill_check result;
    /* of one tenant */
    struct ms_tenant_record tenant;
    struct ms_bill_books books;
    struct ms_account_record account;
    uint64_t days;
    uint8_t head[32];
    struct ms_usage_record assets; /* their sum by class */
    bool broken;
};

static void found(struct check *c, const char *fmt, ...) MS_PRINTF(2, 3);
static void found(struct check *c, const char *fmt, ...) {
    char text[512];
    va_list ap;
    int n = snprintf(text, sizeof text, "tenant %s: ", c->tenant.name);
    va_start(ap, fmt);
    (void)vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
    va_end(ap);
    c->result.findings++;
    c->finding(c->priv, text);
}

static bool same_counts(const struct ms_bill_day *a, const struct ms_bill_day *b) {
    return memcmp(a->day.bytes, b->day.bytes, sizeof a->day.bytes) == 0 &&
           a->day.allowance == b->day.allowance && a->day.excess == b->day.excess &&
           a->day.video_hundredths == b->day.video_hundredths &&
           a->day.video_paid_hundredths == b->day.video_paid_hundredths && a->events == b->events;
}

static bool same_lines(const struct ms_bill_day *a, const struct ms_bill_day *b) {
    return a->line.storage == b->line.storage && a->line.video == b->line.video &&
           a->line.package == b->line.package;
}

static void check_chain(struct check *c, const struct ms_day_record *row, const char *day) {
    if (row->seq != c->days + 1)
        found(c, "the closed day %.10s is number %" PRIu64 ", it should be %" PRIu64, day, row->seq,
              c->days + 1);
    if (memcmp(row->previous, c->head, sizeof c->head) != 0)
        found(c, "the closed day %.10s does not name the hash of the one before it", day);
    c->days = row->seq;
    ms_chain_hash_day(row, c->head);
}

static bool check_day(void *priv, const struct ms_day_record *row) {
    struct check *c = priv;
    struct ms_day_record again;
    struct ms_bill_day is, should;
    char day[MS_RFC3339_S_LEN + 1], why[MS_BILL_WHY_MAX];
    ms_instant_format_s(row->midnight, day);
    check_chain(c, row, day);
    c->result.days++;
    if (c->broken)
        return true;
    if (row->midnight.ms != c->books.meter.day.midnight.ms) {
        found(c, "there is no closed day where %.10s follows", day);
        c->broken = true;
        return true;
    }
    if (!ms_bill_books_close(&c->books, &again, why)) {
        found(c, "%.10s cannot be computed anew: %s", day, why);
        c->broken = true;
        return true;
    }
    c->result.events += again.events;
    ms_bill_day_of_row(row, &is);
    ms_bill_day_of_row(&again, &should);
    if (!same_counts(&is, &should))
        found(c, "the counts of %.10s are not what the ledger says", day);
    if (memcmp(row->card, again.card, sizeof row->card) == 0 && !same_lines(&is, &should))
        found(c, "the lines of %.10s are not what its counts cost", day);
    return true;
}

static void check_account(struct check *c) {
    struct ms_account_record again = c->account;
    ms_bill_books_store(&c->books, &again);
    if (c->account.days != c->days || memcmp(c->account.head, c->head, sizeof c->head) != 0)
        found(c, "its account ends with day %" PRIu64 ", the closed days end with %" PRIu64 "%s",
              c->account.days, c->days, c->account.days == c->days ? " with another hash" : "");
    if (c->broken || c->days == 0)
        return;
    if (again.closed_until.ms != c->account.closed_until.ms ||
        c->tenant.closed_until.ms != c->account.closed_until.ms)
        found(c, "its account, its record and its closed days end at different midnights");
    if (again.standard != c->account.standard || again.produced != c->account.produced ||
        again.produced_free != c->account.produced_free ||
        again.excluded != c->account.excluded || again.allowance != c->account.allowance ||
        again.capacity != c->account.capacity)
        found(c, "the bytes or the allowance in its account are not what the ledger says");
}

static enum ms_code add_asset(void *priv, struct ms_txn *txn, struct ms_view key,
                              struct ms_view value, struct ms_error *reterr) {
    struct check *c = priv;
    struct ms_asset_record asset;
    (void)txn, (void)key;
    MS_TRY(ms_asset_decode(value, &asset, reterr));
    struct ms_ledger_record move = {.class_before = asset.counted,
                                    .class_after = asset.counted,
                                    .bytes_after = asset.bytes};
    enum ms_usage_fault fault = ms_usage_apply(&c->assets, &move);
    return fault == MS_USAGE_FINE ? MS_OK
                                  : ms_fail(reterr, MS_CORRUPT, "asset %s: %s",
                                            ms_id_text(asset.id).s, ms_usage_fault_text(fault));
}

static bool same_classes(const struct ms_usage_record *a, const struct ms_usage_record *b) {
    return a->standard == b->standard && a->produced_free == b->produced_free &&
           a->produced == b->produced && a->excluded == b->excluded;
}

static enum ms_code counters_of(struct check *c, struct ms_usage_record *ret_usage,
                                struct ms_error *reterr) {
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(c->svc->store, &txn, reterr));
    enum ms_code code =
        ms_row_get_usage(txn, ms_key_usage((struct ms_tenant_id){c->tenant.id}), ret_usage, reterr);
    ms_read_end(txn);
    return code;
}

/* Assets and counters cannot be seen at one instant when there are many: a difference is looked at
 * again before it is said. */
static enum ms_code check_assets(struct check *c, struct ms_error *reterr) {
    struct ms_usage_record before, after;
    struct ms_tenant_id id = {c->tenant.id};
    for (unsigned tries = 0; tries < 5; tries++) {
        struct ms_walk walk = {.prefix = ms_key_assets_of(id), .each = add_asset, .priv = c};
        c->assets = (struct ms_usage_record){0};
        MS_TRY(counters_of(c, &before, reterr));
        MS_TRY(ms_walk_all(c->svc, &walk, reterr));
        MS_TRY(counters_of(c, &after, reterr));
        if (same_classes(&after, &c->assets))
            return MS_OK;
        if (same_classes(&before, &after))
            break;
    }
    found(c, "its counters are not the sum over its assets: run msasset fsck");
    return MS_OK;
}

static enum ms_code account_of(struct check *c, struct ms_error *reterr) {
    struct ms_txn *txn;
    struct ms_key key = ms_key_tenant((struct ms_tenant_id){c->tenant.id});
    MS_TRY(ms_read_begin(c->svc->store, &txn, reterr));
    enum ms_code code = ms_row_get_tenant(txn, key, &c->tenant, reterr);
    if (code == MS_OK)
        code = ms_bill_account(txn, &c->tenant, &c->account, reterr);
    ms_read_end(txn);
    return code;
}

struct adjusted {
    struct check *check;
    uint64_t n, end; /* rows from end on came while we looked */
    uint8_t head[32];
};

static bool check_adjustment(void *priv, const struct ms_adjust_record *row) {
    struct adjusted *a = priv;
    if (row->seq >= a->end)
        return false;
    if (row->seq != a->n + 1 || memcmp(row->previous, a->head, sizeof a->head) != 0)
        found(a->check, "adjustment %" PRIu64 " does not continue the one before it", row->seq);
    a->n = row->seq;
    ms_chain_hash_adjust(row, a->head);
    return true;
}

static enum ms_code check_adjustments(struct check *c, struct ms_error *reterr) {
    struct adjusted a = {.check = c};
    struct ms_tenant_id id = {c->tenant.id};
    struct ms_chain_record head = {.seq = 1};
    struct ms_txn *txn;
    bool there;
    MS_TRY(ms_read_begin(c->svc->store, &txn, reterr));
    enum ms_code code = ms_row_get_chain(txn, ms_key_chain(id, 'J'), &head, reterr);
    ms_read_end(txn);
    there = code == MS_OK;
    MS_TRY(ms_absent_is_fine(code, reterr));
    a.end = there ? head.seq : UINT64_MAX;
    MS_TRY(ms_bill_adjustments(c->svc, id, (struct ms_instant){0}, (struct ms_instant){0},
                               check_adjustment, &a, reterr));
    if (there && (head.seq != a.n + 1 || memcmp(head.head, a.head, sizeof a.head) != 0))
        found(c, "its adjustments end with %" PRIu64 ", the head of their chain says %" PRIu64 "%s",
              a.n, head.seq - 1, head.seq == a.n + 1 ? " with another hash" : "");
    return MS_OK;
}

static enum ms_code check_tenant(struct check *c, struct ms_error *reterr) {
    struct ms_account_record first = ms_bill_account_of(&c->tenant);
    struct ms_bill_stretch s = {.tenant = {c->tenant.id}, .from = 1};
    char why[MS_BILL_WHY_MAX];
    MS_TRY(account_of(c, reterr));
    c->days = 0;
    c->broken = false;
    memset(c->head, 0, sizeof c->head);
    s.until = ms_instant_max(c->account.closed_until, ms_instant_of(1));
    enum ms_code code = ms_bill_stretch_read(c->svc, &s, reterr);
    if (code == MS_OK && !ms_bill_stretch_adds_up(&s, why))
        found(c, "%s", why);
    ms_bill_books_open(&c->books, &c->tenant, &first, c->rates, &s);
    if (code == MS_OK)
        code = each_day(c->svc, s.tenant, (struct ms_instant){0}, c->account.closed_until,
                        check_day, c, reterr);
    if (code == MS_OK)
        check_account(c);
    ms_bill_stretch_fini(&s);
    c->result.tenants++;
    if (code == MS_OK)
        code = check_adjustments(c, reterr);
    return code == MS_OK ? check_assets(c, reterr) : code;
}

enum ms_code ms_bill_verify(struct ms_svc *svc, const struct ms_rates *rates,
                            struct ms_tenant_id tenant,
                            void (*finding)(void *priv, const char *text), void *priv,
                            struct ms_bill_check *ret_check, struct ms_error *reterr) {
    struct check *c = calloc(1, sizeof *c);
    struct ms_tenant_id id = {{{0}}};
    struct ms_error err = {0};
    enum ms_code code;
    if (!c)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to verify the bill");
    *c = (struct check){.svc = svc, .rates = rates, .finding = finding, .priv = priv};
    if (!ms_tenant_id_is_none(tenant)) {
        code = ms_tenant_get(svc, tenant, &c->tenant, &err);
        if (code == MS_OK)
            code = check_tenant(c, &err);
    } else {
        while ((code = ms_tenant_behind(svc, id, &c->tenant, &err)) == MS_OK) {
            id = (struct ms_tenant_id){c->tenant.id};
            if ((code = check_tenant(c, &err)) != MS_OK)
                break;
        }
        code = code == MS_NOT_FOUND ? MS_OK : code;
    }
    *ret_check = c->result;
    free(c);
    return ms_pass_up(code, &err, reterr);
}
