/* The nightly run: plan a stretch of days of one tenant in reads, close them in one commit. */
#include "service/bill_part.h"

#include "service/chain.h"
#include "service/payment.h"
#include "service/tenant.h"
#include "service/upkeep.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DAYS_A_COMMIT 31
#define TRIES 8          /* plans that somebody else's commit has overtaken */
#define LINES_LOOKED_AT 30
#define LINE_SUSPICIOUS 10 /* times the median of those */
#define WHO "msasset"

struct plan {
    struct ms_tenant_id tenant;
    struct ms_account_record before, after;
    struct ms_instant until;
    struct ms_day_record days[DAYS_A_COMMIT];
    unsigned n;
    uint64_t ledger_next; /* rows from here on were not seen: none may be before until */
    uint8_t currency;
    bool park;
    char why[MS_BILL_WHY_MAX];
};

struct run {
    struct ms_svc *svc;
    const struct ms_bill_options *o;
    struct ms_rates none;
    const struct ms_rates *rates;
    struct ms_instant through;
    struct ms_bill_result result;
    uint64_t failed;         /* tenants */
    struct ms_numbers waiting; /* those whose next day waits for the payment command: ids, two numbers each */
    bool pays;               /* it is their turn, behind all others */
    struct ms_asking asking;
    struct ms_instant limit; /* of this tenant: through, or the day in which a renewal waits */
    struct ms_error first;
    struct plan plan;
    ms_u128 lines[LINES_LOOKED_AT]; /* storage lines of the tenant that were not zero, the last ones */
    unsigned lines_n;
};

/* ---- warnings -------------------------------------------------------------------------------- */

static void note(struct run *run, const char *tenant, const char *text) {
    ms_log_event(run->svc->log, MS_LOG_WARN, "bill.note", "tenant", tenant, "text", text,
                 (char *)NULL);
    if (run->o->note)
        run->o->note(run->o->priv, tenant, text);
}

static int by_size(const void *x, const void *y) {
    const ms_u128 *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

static ms_u128 median(const struct run *run) {
    ms_u128 sorted[LINES_LOOKED_AT];
    memcpy(sorted, run->lines, run->lines_n * sizeof sorted[0]);
    qsort(sorted, run->lines_n, sizeof sorted[0], by_size);
    return sorted[(run->lines_n - 1) / 2];
}

static void add_line(struct run *run, ms_u128 micros) {
    if (micros == 0)
        return;
    if (run->lines_n == LINES_LOOKED_AT)
        memmove(run->lines, run->lines + 1, --run->lines_n * sizeof run->lines[0]);
    run->lines[run->lines_n++] = micros;
}

/* Looked at in the order of days: a line is compared with those before it. */
static void judge_lines(struct run *run, const char *tenant) {
    const struct plan *p = &run->plan;
    char day[MS_RFC3339_S_LEN + 1], text[512];
    for (unsigned i = 0; i < p->n; i++) {
        struct ms_bill_day d;
        ms_bill_day_of_row(&p->days[i], &d);
        if (run->lines_n > 0 && d.line.storage > LINE_SUSPICIOUS * median(run)) {
            ms_instant_format_s(d.day.midnight, day);
            (void)snprintf(text, sizeof text,
                           "the storage line of %.10s, %s micros, is above %d times the median of "
                           "the last %u, %s: look at msasset bill explain %s %.10s",
                           day, ms_u128_text(d.line.storage).s, LINE_SUSPICIOUS, run->lines_n,
                           ms_u128_text(median(run)).s, tenant, day);
            note(run, tenant, text);
            run->result.warnings++;
        }
        add_line(run, d.line.storage);
    }
}

/* The last storage lines before the account's end, newest first in the table. */
static enum ms_code load_lines_in(struct run *run, struct ms_txn *txn, struct ms_tenant_id tenant,
                                  struct ms_error *reterr) {
    struct ms_key from = ms_key_days_of(tenant);
    struct ms_key to = ms_key_day(tenant, ms_instant_of(INT64_MAX));
    struct ms_day_record row;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code = MS_OK;
    ms_u128 found[LINES_LOOKED_AT];
    unsigned n = 0;
    ms_scan_begin(&scan, txn, ms_key_view(&from), ms_key_view(&to));
    ms_scan_backwards(&scan);
    for (unsigned i = 0; i < 12 * LINES_LOOKED_AT && n < LINES_LOOKED_AT && code == MS_OK; i++) {
        struct ms_bill_day d;
        code = ms_row_next_day(&scan, &key, &row, reterr);
        if (code != MS_OK)
            break;
        ms_bill_day_of_row(&row, &d);
        if (d.line.storage > 0)
            found[n++] = d.line.storage;
    }
    ms_scan_end(&scan);
    for (run->lines_n = 0; n > 0;)
        run->lines[run->lines_n++] = found[--n];
    return ms_absent_is_fine(code, reterr);
}

/* ---- plan ------------------------------------------------------------------------------------ */

static enum ms_code look(struct run *run, struct ms_tenant_id id, struct ms_tenant_record *tenant,
                         struct ms_account_record *account, struct ms_error *reterr) {
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(run->svc->store, &txn, reterr));
    enum ms_code code = ms_row_get_tenant(txn, ms_key_tenant(id), tenant, reterr);
    if (code == MS_OK)
        code = ms_bill_account(txn, tenant, account, reterr);
    if (code == MS_OK && run->lines_n == 0 && account->days > 0)
        code = load_lines_in(run, txn, id, reterr);
    ms_read_end(txn);
    return code;
}

static void park(struct plan *p, const char *why) {
    p->park = true;
    p->n = 0;
    p->after = p->before;
    p->after.parked = 1;
    (void)snprintf(p->after.parked_why, sizeof p->after.parked_why, "%s", why);
}

static void close_days(struct plan *p, struct ms_bill_books *books) {
    struct ms_account_record *after = &p->after;
    while (books->meter.day.midnight.ms < p->until.ms) {
        struct ms_day_record *row = &p->days[p->n];
        if (!ms_bill_books_close(books, row, p->why)) {
            park(p, p->why);
            return;
        }
        row->seq = ++after->days;
        memcpy(row->previous, after->head, sizeof row->previous);
        p->n++;
        /* closed_at is the commit's: the chain is made there */
    }
    ms_bill_books_store(books, after);
}

/* The days that follow p->before and can be closed: nothing (n 0) when there are none. */
static enum ms_code plan_days(struct run *run, const struct ms_tenant_record *tenant,
                              struct ms_error *reterr) {
    struct plan *p = &run->plan;
    struct ms_bill_stretch s = {.tenant = p->tenant};
    struct ms_bill_books books;
    p->after = p->before;
    struct ms_instant from = ms_instant_day_start(ms_bill_books_from(tenant, &p->before));
    p->until = ms_instant_min(run->limit, ms_instant_add_ms(from, DAYS_A_COMMIT * MS_DAY_MS));
    if (p->before.parked || p->until.ms < from.ms + MS_DAY_MS)
        return MS_OK;
    s.until = p->until;
    s.from = p->before.ledger_seq;
    s.since = p->before.closed_until;
    s.seen = p->before.ledger_seen;
    s.fold = (struct ms_usage_record){.standard = p->before.standard,
                                      .produced_free = p->before.produced_free,
                                      .produced = p->before.produced,
                                      .excluded = p->before.excluded};
    enum ms_code code = ms_bill_stretch_read(run->svc, &s, reterr);
    if (code == MS_OK) {
        ms_bill_books_open(&books, tenant, &p->before, run->rates, &s);
        p->ledger_next = s.next;
        p->after.ledger_seq = s.beyond;
        p->after.ledger_seen = s.next;
        if (ms_bill_stretch_adds_up(&s, p->why))
            close_days(p, &books);
        else
            park(p, p->why);
    }
    ms_bill_stretch_fini(&s);
    return code;
}

static void plan_begin(struct run *run, struct ms_tenant_id id) {
    run->plan = (struct plan){.tenant = id, .currency = (uint8_t)run->rates->currency};
}

static enum ms_code make_plan(struct run *run, struct ms_tenant_id id,
                              struct ms_tenant_record *tenant, struct ms_error *reterr) {
    plan_begin(run, id);
    MS_TRY(look(run, id, tenant, &run->plan.before, reterr));
    return plan_days(run, tenant, reterr);
}

/* ---- commit ---------------------------------------------------------------------------------- */

struct closed {
    bool overtaken; /* plan anew */
    bool due;       /* sweep first: */
    struct ms_instant first_due;
};

static enum ms_code is_overtaken(struct ms_txn *txn, const struct plan *p, bool *ret_is,
                                 struct ms_error *reterr) {
    struct ms_key from = ms_key_ledger(p->tenant, p->ledger_next);
    struct ms_key to = ms_key_ledger(p->tenant, UINT64_MAX);
    struct ms_ledger_record row;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    *ret_is = false;
    ms_scan_begin(&scan, txn, ms_key_view(&from), ms_key_view(&to));
    while (!*ret_is && (code = ms_row_next_ledger(&scan, &key, &row, reterr)) == MS_OK)
        *ret_is = row.at.ms < p->until.ms;
    ms_scan_end(&scan);
    return *ret_is ? MS_OK : ms_absent_is_fine(code, reterr);
}

static enum ms_code has_due(struct ms_txn *txn, const struct plan *p, struct closed *ret,
                            struct ms_error *reterr) {
    struct ms_key from = ms_key_dues_of(p->tenant);
    struct ms_key to = ms_key_due(p->tenant, p->until, 0, (struct ms_id){{0}});
    struct ms_scan scan;
    struct ms_view key, value;
    struct ms_tenant_id tenant;
    struct ms_id id;
    uint8_t kind;
    ms_scan_begin(&scan, txn, ms_key_view(&from), ms_key_view(&to));
    enum ms_code code = ms_scan_next(&scan, &key, &value, reterr);
    if (code == MS_OK)
        code = ms_key_split_due(key, &tenant, &ret->first_due, &kind, &id, reterr);
    ms_scan_end(&scan);
    return ms_allow_absent(code, &ret->due);
}

/* The card of a month that has closed days is settled. */
static enum ms_code settle_card(struct ms_txn *txn, const struct plan *p, struct ms_instant month,
                                const uint8_t card[32], struct ms_error *reterr) {
    struct ms_ratemonth_record row;
    char text[MS_RFC3339_S_LEN + 1];
    bool there;
    MS_TRY(ms_allow_absent(ms_row_get_ratemonth(txn, ms_key_ratemonth(month), &row, reterr), &there));
    if (!there) {
        row = (struct ms_ratemonth_record){.month = month, .currency = p->currency};
        memcpy(row.card, card, sizeof row.card);
        return ms_row_put_ratemonth(txn, ms_key_ratemonth(month), &row, reterr);
    }
    if (memcmp(row.card, card, sizeof row.card) == 0)
        return MS_OK;
    ms_instant_format_s(month, text);
    return ms_fail(reterr, MS_CONFLICT,
                   "the rate card in force in %.7s has priced closed days and cannot be changed: "
                   "give a card that is valid from a later month",
                   text);
}

static enum ms_code close_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const struct plan *p = in;
    struct closed *ret = out;
    struct ms_tenant_record tenant;
    struct ms_account_record account;
    MS_TRY(ms_change_begin(txn, p->tenant, &tenant, reterr));
    MS_TRY(ms_bill_account(txn, &tenant, &account, reterr));
    if (account.days != p->before.days || account.parked != p->before.parked) {
        ret->overtaken = true;
        return MS_OK;
    }
    account = p->after;
    if (p->park)
        return ms_row_put_account(txn, ms_key_account(p->tenant), &account, reterr);
    MS_TRY(is_overtaken(txn, p, &ret->overtaken, reterr));
    MS_TRY(has_due(txn, p, ret, reterr));
    if (ret->overtaken || ret->due)
        return MS_OK;
    ms_txn_not_before(txn, p->until);
    memcpy(account.head, p->before.head, sizeof account.head);
    for (unsigned i = 0; i < p->n; i++) {
        struct ms_day_record row = p->days[i];
        struct ms_instant month = ms_instant_month_start(row.midnight);
        if (i == 0 || month.ms == row.midnight.ms)
            MS_TRY(settle_card(txn, p, month, row.card, reterr));
        row.closed_at = ms_txn_instant(txn);
        memcpy(row.previous, account.head, sizeof row.previous);
        MS_TRY(ms_row_put_day(txn, ms_key_day(p->tenant, row.midnight), &row, reterr));
        ms_chain_hash_day(&row, account.head);
    }
    tenant.closed_until = p->until;
    MS_TRY(ms_row_put_tenant(txn, ms_key_tenant(p->tenant), &tenant, reterr));
    return ms_row_put_account(txn, ms_key_account(p->tenant), &account, reterr);
}

static enum ms_code commit(struct run *run, struct closed *ret_closed, struct ms_error *reterr) {
    struct ms_write write = {.fn = close_op,
                             .in = &run->plan,
                             .out = ret_closed,
                             .out_size = sizeof *ret_closed,
                             .fence = ms_store_fence(run->svc->store)};
    return ms_store_write(run->svc->store, &write, reterr);
}

/* ---- one tenant ------------------------------------------------------------------------------ */

static void count(struct run *run) {
    const struct plan *p = &run->plan;
    for (unsigned i = 0; i < p->n; i++) {
        struct ms_bill_day d;
        ms_bill_day_of_row(&p->days[i], &d);
        run->result.days++;
        run->result.events += d.events;
        run->result.micros += d.line.total;
    }
}

/* *ret_waits: nothing could be applied, because renewals are not paid yet. */
static enum ms_code sweep(struct run *run, struct ms_tenant_id id, bool *ret_waits,
                          struct ms_error *reterr) {
    struct ms_sweep_result swept = {0};
    MS_TRY(ms_sweep_tenant(run->svc, id, &swept, reterr));
    run->result.due += swept.applied;
    *ret_waits = swept.unpaid > 0 && swept.applied + swept.put_off == 0;
    return MS_OK;
}

static enum ms_code remember(struct run *run, const struct ms_tenant_record *tenant,
                             struct ms_error *reterr) {
    uint64_t half[2];
    memcpy(half, tenant->id.b, sizeof half);
    MS_TRY(ms_numbers_add(&run->waiting, half[0], reterr));
    return ms_numbers_add(&run->waiting, half[1], reterr);
}

/* The first time a tenant waits until all others are closed. */
static enum ms_code unanswered(struct run *run, const struct ms_tenant_record *tenant,
                               struct ms_error *reterr) {
    if (!run->pays)
        return remember(run, tenant, reterr);
    if (!ms_asking_is_last(&run->asking, (struct ms_tenant_id){tenant->id}))
        return MS_OK; /* some of its packages have their turn in the second round */
    return ms_fail(reterr, MS_TIMEOUT,
                   "tenant %s: the payment command has not answered for a package whose term is "
                   "over: no further day is closed until it has",
                   tenant->name);
}

/* One commit's worth. *ret_more: there may be further days. */
static enum ms_code close_some(struct run *run, struct ms_tenant_id id, bool *ret_more,
                               struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    char text[512];
    *ret_more = false;
    for (unsigned tries = 0; tries < TRIES; tries++) {
        struct closed closed;
        MS_TRY(make_plan(run, id, &tenant, reterr));
        if (run->plan.n == 0 && !run->plan.park)
            return run->limit.ms < run->through.ms ? unanswered(run, &tenant, reterr) : MS_OK;
        MS_TRY(commit(run, &closed, reterr));
        bool waits = false;
        if (closed.due)
            MS_TRY(sweep(run, id, &waits, reterr));
        if (waits)
            run->limit = ms_instant_min(run->limit, ms_instant_day_start(closed.first_due));
        if (closed.due || closed.overtaken)
            continue;
        if (run->plan.park) {
            (void)snprintf(text, sizeof text, "parked, no day is closed until bill run --release %s: %s",
                           tenant.name, run->plan.why);
            note(run, tenant.name, text);
            return MS_OK;
        }
        judge_lines(run, tenant.name);
        count(run);
        *ret_more = run->plan.until.ms < run->through.ms;
        return MS_OK;
    }
    return ms_fail(reterr, MS_CONFLICT,
                   "tenant %s is changed by others all the time, or has deadlines that cannot be "
                   "applied: run msasset sweep, then bill run again",
                   tenant.name);
}

/* ---- only looked at --------------------------------------------------------------------------- */

/* Deadlines that a run would see to first: those that have come by now. */
static enum ms_code count_due(struct run *run, struct ms_tenant_id id, struct ms_error *reterr) {
    struct ms_instant past = ms_instant_add_ms(ms_clock_now(run->svc->clock), 1);
    struct ms_key from = ms_key_dues_of(id);
    struct ms_key to = ms_key_due(id, past, 0, (struct ms_id){{0}});
    struct ms_scan scan;
    struct ms_view key, value;
    struct ms_txn *txn;
    enum ms_code code;
    MS_TRY(ms_read_begin(run->svc->store, &txn, reterr));
    ms_scan_begin(&scan, txn, ms_key_view(&from), ms_key_view(&to));
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK)
        run->result.due++;
    ms_scan_end(&scan);
    ms_read_end(txn);
    return ms_absent_is_fine(code, reterr);
}

static struct ms_instant open_from(const struct ms_tenant_record *tenant,
                                   const struct ms_account_record *account) {
    return ms_instant_day_start(ms_bill_books_from(tenant, account));
}

static void note_open(struct run *run, const char *name, struct ms_instant from, const char *why) {
    char text[512], day[MS_RFC3339_S_LEN + 1];
    ms_instant_format_s(from, day);
    (void)snprintf(text, sizeof text, "no day from %.10s on would be closed: %s", day, why);
    note(run, name, text);
}

static void note_parked(struct run *run, const struct ms_tenant_record *tenant,
                        const struct ms_account_record *account, const char *why) {
    char text[MS_BILL_WHY_MAX + 64];
    (void)snprintf(text, sizeof text, "%s %s", account->parked ? "it is parked:" : "it would be parked:",
                   why);
    note_open(run, tenant->name, open_from(tenant, account), text);
    run->result.parked++;
}

/* The day in which a renewal waits stays open until the payment command has answered. */
static enum ms_code limit_by_waiting(struct run *run, struct ms_tenant_id id,
                                     struct ms_error *reterr) {
    struct ms_instant since;
    MS_TRY(ms_payments_waiting_since(run->svc, id, ms_clock_now(run->svc->clock), &since, reterr));
    if (since.ms < run->limit.ms)
        run->limit = ms_instant_day_start(since);
    return MS_OK;
}

/* Each plan goes on where the one before it would have left the account. */
static enum ms_code look_at_tenant(struct run *run, const struct ms_tenant_record *tenant,
                                   struct ms_error *reterr) {
    struct ms_tenant_id id = {tenant->id};
    struct ms_tenant_record seen;
    struct plan *p = &run->plan;
    MS_TRY(count_due(run, id, reterr));
    MS_TRY(limit_by_waiting(run, id, reterr));
    MS_TRY(make_plan(run, id, &seen, reterr));
    while (p->n > 0) {
        struct ms_account_record after = p->after;
        judge_lines(run, seen.name);
        count(run);
        plan_begin(run, id);
        p->before = after;
        MS_TRY(plan_days(run, &seen, reterr));
    }
    if (p->park || p->before.parked)
        note_parked(run, &seen, &p->before, p->park ? p->why : p->before.parked_why);
    else if (run->limit.ms < run->through.ms)
        note_open(run, seen.name, run->limit,
                  "a renewal waits for the payment command, which a run would ask");
    return MS_OK;
}

/* ---- one of them ------------------------------------------------------------------------------ */

static bool is_stopped(void *priv) {
    const struct run *run = priv;
    return run->o->progress && !run->o->progress(run->o->priv, run->result.tenants);
}

/* *ret_more: there are days of this tenant that have waited. Somebody else may have had the answer since. */
static enum ms_code pay(struct run *run, struct ms_tenant_id id, bool *ret_more,
                        struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    struct ms_sweep_result swept = {0};
    struct ms_paid paid;
    MS_TRY(look(run, id, &tenant, &run->plan.before, reterr));
    MS_TRY(ms_payments_settle(run->svc, id, ms_clock_now(run->svc->clock), NULL, &paid, reterr));
    *ret_more = !run->plan.before.parked && tenant.closed_until.ms < run->through.ms;
    if (!*ret_more || paid.waiting == 0)
        return MS_OK;
    MS_TRY(ms_sweep_payments(run->svc, id, &run->asking, &swept, reterr));
    run->result.due += swept.applied;
    return MS_OK;
}

static enum ms_code run_tenant(struct run *run, const struct ms_tenant_record *tenant,
                               struct ms_error *reterr) {
    struct ms_tenant_id id = {tenant->id};
    struct ms_tenant_record seen;
    bool more = true, waits; /* the latter matters only when a day does */
    run->lines_n = 0;
    run->limit = run->through;
    run->result.tenants += !run->pays;
    if (run->o->dry)
        return look_at_tenant(run, tenant, reterr);
    MS_TRY(run->pays ? pay(run, id, &more, reterr) : sweep(run, id, &waits, reterr));
    if (!more)
        return MS_OK;
    while (more)
        MS_TRY(close_some(run, id, &more, reterr));
    MS_TRY(look(run, id, &seen, &run->plan.before, reterr));
    run->result.parked += run->plan.before.parked;
    return MS_OK;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static bool is_of_tenant(enum ms_code code) {
    return code == MS_CORRUPT || code == MS_NOT_FOUND || code == MS_RANGE || code == MS_INTERNAL ||
           code == MS_TIMEOUT;
}

static enum ms_code note_failure(struct run *run, const char *name, enum ms_code code,
                                 const struct ms_error *err, struct ms_error *reterr) {
    if (!is_of_tenant(code))
        return ms_pass_up(code, err, reterr);
    note(run, name, err->message);
    if (run->failed++ == 0)
        run->first = *err;
    return MS_OK;
}

static enum ms_code run_noted(struct run *run, struct ms_tenant_id id,
                              const struct ms_tenant_record *tenant, struct ms_error *reterr) {
    struct ms_error err = {0};
    enum ms_code code = run_tenant(run, tenant, &err);
    return code == MS_OK ? MS_OK : note_failure(run, ms_id_text(id.id).s, code, &err, reterr);
}

static enum ms_code go_on(struct run *run, struct ms_error *reterr) {
    return is_stopped(run) ? ms_fail(reterr, MS_CANCELLED, "stopped; what is closed stays closed")
                           : MS_OK;
}

/* ---- many at once ----------------------------------------------------------------------------- */

/* Plans of tenants of which nothing is due are handed to the store together: one sync for all that wait
 * at the same time, where each alone would cost one. What does not go as planned is done again singly. */
#define SLOTS 32u

struct slot {
    struct ms_tenant_record tenant;
    struct plan plan;
    ms_u128 lines[LINES_LOOKED_AT];
    unsigned lines_n;
    struct closed closed;
    struct ms_write_request request;
};

struct batch {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    unsigned n, committed; /* committed: under mutex */
    struct slot slot[SLOTS];
};

/* On the thread that commits: this one, or another that writes. */
static void slot_done(struct ms_write_request *request) {
    struct batch *b = request->priv;
    pthread_mutex_lock(&b->mutex);
    b->committed++;
    pthread_cond_signal(&b->done);
    pthread_mutex_unlock(&b->mutex);
}

static void wait_for_all(struct batch *b) {
    pthread_mutex_lock(&b->mutex);
    while (b->committed < b->n)
        pthread_cond_wait(&b->done, &b->mutex);
    pthread_mutex_unlock(&b->mutex);
}

static bool went_well(const struct slot *slot) {
    return slot->request.code == MS_OK && !slot->closed.due && !slot->closed.overtaken;
}

static void count_slot(struct run *run, const struct slot *slot) {
    if (!went_well(slot))
        return;
    run->plan = slot->plan;
    count(run);
}

/* As it was planned; further days, and whatever else there is, as for one alone. */
static enum ms_code finish_slot(struct run *run, struct slot *slot, struct ms_error *reterr) {
    struct ms_tenant_id id = {slot->tenant.id};
    const struct ms_write_request *r = &slot->request;
    if (r->code == MS_CONFLICT || r->code == MS_FENCED)
        return ms_pass_up(r->code, &r->error, reterr);
    if (!went_well(slot))
        return run_noted(run, id, &slot->tenant, reterr);
    count_slot(run, slot);
    run->lines_n = slot->lines_n;
    memcpy(run->lines, slot->lines, sizeof run->lines);
    judge_lines(run, slot->tenant.name);
    if (slot->plan.until.ms < run->through.ms)
        return run_noted(run, id, &slot->tenant, reterr);
    run->result.tenants++;
    return MS_OK;
}

static enum ms_code finish_batch(struct run *run, struct batch *b, struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    wait_for_all(b);
    for (unsigned i = 0; i < b->n && code == MS_OK; i++)
        code = finish_slot(run, &b->slot[i], reterr);
    b->n = b->committed = 0;
    return code;
}

static enum ms_code has_come(struct run *run, struct ms_tenant_id id, bool *ret_has,
                             struct ms_error *reterr) {
    struct ms_key from = ms_key_dues_of(id);
    struct ms_key to = ms_key_due(id, ms_instant_add_ms(ms_clock_now(run->svc->clock), 1), 0,
                                  (struct ms_id){{0}});
    struct ms_scan scan;
    struct ms_view key, value;
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(run->svc->store, &txn, reterr));
    ms_scan_begin(&scan, txn, ms_key_view(&from), ms_key_view(&to));
    enum ms_code code = ms_scan_next(&scan, &key, &value, reterr);
    ms_scan_end(&scan);
    ms_read_end(txn);
    *ret_has = code == MS_OK;
    return ms_absent_is_fine(code, reterr);
}

static void submit(struct run *run, struct batch *b, const struct ms_tenant_record *tenant) {
    struct slot *slot = &b->slot[b->n++];
    slot->tenant = *tenant;
    slot->plan = run->plan;
    slot->lines_n = run->lines_n;
    memcpy(slot->lines, run->lines, sizeof slot->lines);
    slot->request = (struct ms_write_request){.write = {.fn = close_op,
                                                        .in = &slot->plan,
                                                        .out = &slot->closed,
                                                        .out_size = sizeof slot->closed,
                                                        .fence = ms_store_fence(run->svc->store)},
                                              .done = slot_done,
                                              .priv = b};
    ms_store_submit(run->svc->store, &slot->request);
}

/* *ret_taken false: it is one to be done alone: something of it is due, it is parked, or there is nothing
 * to close. */
static enum ms_code take_slot(struct run *run, struct batch *b,
                              const struct ms_tenant_record *tenant, bool *ret_taken,
                              struct ms_error *reterr) {
    struct ms_tenant_id id = {tenant->id};
    struct ms_tenant_record seen;
    struct ms_error err = {0};
    bool due;
    *ret_taken = false;
    if (run->o->dry)
        return MS_OK;
    MS_TRY(has_come(run, id, &due, reterr));
    if (due)
        return MS_OK;
    run->lines_n = 0;
    run->limit = run->through;
    if (make_plan(run, id, &seen, &err) != MS_OK || run->plan.n == 0 || run->plan.park)
        return MS_OK;
    submit(run, b, tenant);
    *ret_taken = true;
    return b->n == SLOTS ? finish_batch(run, b, reterr) : MS_OK;
}

static enum ms_code run_one_of(struct run *run, struct batch *b, struct ms_tenant_id id,
                               const struct ms_tenant_record *tenant, struct ms_error *reterr) {
    bool taken;
    MS_TRY(take_slot(run, b, tenant, &taken, reterr));
    if (taken)
        return MS_OK;
    return run_noted(run, id, tenant, reterr);
}

static enum ms_code run_each_with(struct run *run, struct batch *b, struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    struct ms_tenant_id id = {{{0}}};
    struct ms_error err = {0};
    enum ms_code code;
    while ((code = ms_tenant_behind(run->svc, id, &tenant, &err)) == MS_OK || code == MS_CORRUPT) {
        id = (struct ms_tenant_id){tenant.id};
        if (code == MS_OK)
            MS_TRY(run_one_of(run, b, id, &tenant, reterr));
        else
            MS_TRY(note_failure(run, ms_id_text(id.id).s, code, &err, reterr));
        MS_TRY(go_on(run, reterr));
    }
    return code == MS_NOT_FOUND ? finish_batch(run, b, reterr) : ms_pass_up(code, &err, reterr);
}

static enum ms_code run_each(struct run *run, struct ms_error *reterr) {
    struct batch *b = calloc(1, sizeof *b);
    if (!b)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to close days of %u tenants at once", SLOTS);
    (void)pthread_mutex_init(&b->mutex, NULL);
    (void)pthread_cond_init(&b->done, NULL);
    enum ms_code code = run_each_with(run, b, reterr);
    wait_for_all(b); /* stopped: what was handed over is the writer's until then, and closed */
    for (unsigned i = 0; code != MS_OK && i < b->n; i++)
        count_slot(run, &b->slot[i]);
    (void)pthread_cond_destroy(&b->done);
    (void)pthread_mutex_destroy(&b->mutex);
    free(b);
    return code;
}

static enum ms_code run_round(struct run *run, struct ms_error *reterr) {
    for (size_t i = 0; i + 1 < run->waiting.n; i += 2) {
        struct ms_tenant_record tenant;
        struct ms_tenant_id id;
        memcpy(id.id.b, &run->waiting.at[i], MS_ID_BYTES);
        if (!ms_asking_concerns(&run->asking, id))
            continue;
        MS_TRY(ms_tenant_get(run->svc, id, &tenant, reterr));
        if (ms_tenant_id_is_none(run->o->tenant))
            MS_TRY(run_noted(run, id, &tenant, reterr));
        else
            MS_TRY(run_tenant(run, &tenant, reterr));
    }
    return MS_OK;
}

/* A program that hangs keeps no day of a tenant open that does not wait for it. A run for one tenant asks all its
 * packages in one round: where the run over all stopped is no concern of it. */
static enum ms_code run_waiting(struct run *run, struct ms_error *reterr) {
    run->pays = true;
    run->asking = (struct ms_asking){.stopped = is_stopped, .priv = run};
    if (!ms_tenant_id_is_none(run->o->tenant))
        return run_round(run, reterr);
    ms_asking_begin(run->svc, &run->asking);
    enum ms_code code = run_round(run, reterr);
    if (code == MS_OK && ms_asking_again(&run->asking))
        code = run_round(run, reterr);
    ms_asking_end(run->svc, &run->asking);
    return code;
}

/* Every month with closed days, against the card that would price it now. */
static enum ms_code check_cards(struct run *run, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_ratemonths();
    struct ms_ratemonth_record row;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    char text[MS_RFC3339_S_LEN + 1];
    uint8_t card[32];
    MS_TRY(ms_read_begin(run->svc->store, &txn, reterr));
    enum ms_code code;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while ((code = ms_row_next_ratemonth(&scan, &key, &row, reterr)) == MS_OK) {
        ms_bill_card_hash(run->rates, row.month, card);
        if (memcmp(card, row.card, sizeof card) == 0)
            continue;
        ms_instant_format_s(row.month, text);
        code = ms_fail(reterr, MS_CONFLICT,
                       "the rate card in force in %.7s has priced closed days and cannot be "
                       "changed: give back that card, and another one that is valid from a later "
                       "month",
                       text);
        break;
    }
    ms_scan_end(&scan);
    ms_read_end(txn);
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code begin(struct run *run, struct ms_error *reterr) {
    struct ms_instant now = ms_clock_now(run->svc->clock);
    run->rates = run->o->rates ? run->o->rates : &run->none;
    run->through = ms_instant_day_start(ms_instant_is_none(run->o->through) ? now : run->o->through);
    if (run->svc->read_only && !run->o->dry)
        return ms_fail(reterr, MS_READ_ONLY, "the store %s is open read-only: no day is closed",
                       run->svc->dir);
    if (run->through.ms > now.ms) {
        char text[MS_RFC3339_S_LEN + 1];
        ms_instant_format_s(ms_instant_add_ms(run->through, -MS_DAY_MS), text);
        return ms_fail(reterr, MS_RANGE,
                       "%.10s is not over: a day is closed after its midnight (UTC)", text);
    }
    return check_cards(run, reterr);
}

static enum ms_code lock_runs(struct ms_svc *svc, int *ret_fd, struct ms_error *reterr) {
    struct ms_error err = {0};
    enum ms_code code = ms_svc_lock(svc, "bill.lock", ret_fd, &err);
    if (code != MS_BUSY)
        return ms_pass_up(code, &err, reterr);
    return ms_fail(reterr, MS_BUSY,
                   "another bill run is at work (%.200s): what it closes need not be closed "
                   "again; run this one when it has ended",
                   err.message);
}

static enum ms_code run_locked(struct run *run, struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    MS_TRY(begin(run, reterr));
    if (ms_tenant_id_is_none(run->o->tenant)) {
        MS_TRY(run_each(run, reterr));
    } else {
        MS_TRY(ms_tenant_get(run->svc, run->o->tenant, &tenant, reterr));
        MS_TRY(run_tenant(run, &tenant, reterr));
    }
    return run_waiting(run, reterr);
}

enum ms_code ms_bill_run(struct ms_svc *svc, const struct ms_bill_options *options,
                         struct ms_bill_result *ret_result, struct ms_error *reterr) {
    struct run *run = calloc(1, sizeof *run); /* too large for a stack */
    enum ms_code code = MS_OK;
    int lock = -1;
    if (!run)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the bill");
    run->svc = svc;
    run->o = options;
    if (!svc->read_only && !options->dry)
        code = lock_runs(svc, &lock, reterr);
    if (code == MS_OK)
        code = run_locked(run, reterr);
    if (lock >= 0)
        close(lock);
    *ret_result = run->result;
    if (code == MS_OK && run->failed > 0)
        code = ms_fail(reterr, run->first.code,
                       "%" PRIu64 " tenants could not be closed; first: %.250s", run->failed,
                       run->first.message);
    ms_numbers_fini(&run->waiting);
    free(run);
    return code;
}

/* ---- release --------------------------------------------------------------------------------- */

static enum ms_code release_op(struct ms_txn *txn, const void *in, void *out,
                               struct ms_error *reterr) {
    const struct ms_tenant_id *id = in;
    struct ms_tenant_record tenant;
    struct ms_account_record account;
    (void)out;
    MS_TRY(ms_change_begin(txn, *id, &tenant, reterr));
    MS_TRY(ms_bill_account(txn, &tenant, &account, reterr));
    if (!account.parked)
        return ms_fail(reterr, MS_WRONG_STATE, "the bill of tenant %s is not parked", tenant.name);
    account.parked = 0;
    account.parked_why[0] = '\0';
    return ms_row_put_account(txn, ms_key_account(*id), &account, reterr);
}

enum ms_code ms_bill_release(struct ms_svc *svc, const struct ms_ctx *ctx,
                             struct ms_error *reterr) {
    struct ms_write write = {
        .fn = release_op, .in = &ctx->tenant, .fence = ms_store_fence(svc->store)};
    if (!ctx->admin)
        return ms_fail(reterr, MS_DENIED, "releasing a bill is refused to %s: only an "
                                          "administrator may do this",
                       ctx->who);
    return ms_store_write(svc->store, &write, reterr);
}
