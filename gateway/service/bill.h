/* bill.h — the nightly bill: ledger rows in, closed days out (bill.md; product.md section 5).
 *
 * A day of a tenant is closed once: its ledger rows go through the meter (quota/meter.h) and the
 * rating (quota/invoice.h), and the result is a day row that never changes, chained by hash to the
 * one before it. Between two runs the tenant's account keeps where the meter and the month stand,
 * so a day costs what happened in it, however many assets there are.
 *
 * What is due before a midnight is applied before the day is closed: the run sweeps each tenant
 * first, and the closing commit refuses while a due row lies before it. Facts are dated inside
 * their commits, not before the last closed midnight (ms_change_begin), so no closed day ever gets
 * an event.
 *
 * A run plans in reads and closes in one commit a tenant and month: killed anywhere, it has closed
 * whole days and nothing else, and the next run goes on. Two runs do not overlap: the first holds a
 * lock on <dir>/bill.lock until it ends or dies. Were it not so, they would still be safe: the
 * second commit finds the account moved and plans anew.
 *
 * Parking: a tenant whose numbers contradict each other (an event that would take a class below
 * zero, or out of a closed day; counters that are not the fold of the ledger) is closed no further
 * until ms_bill_release(); its account says why, and the others go on.
 *
 * Threads: any; one call uses the calling thread only.
 */
#ifndef MS_SERVICE_BILL_H
#define MS_SERVICE_BILL_H

#include "quota/history.h"
#include "quota/invoice.h"
#include "service/ctx.h"
#include "service/service.h"

/* ---- the run --------------------------------------------------------------------------------- */

struct ms_bill_options {
    const struct ms_rates *rates; /* borrowed; no cards: everything costs nothing */
    struct ms_instant through;    /* days that end at or before it; none: now */
    struct ms_tenant_id tenant;   /* none: every tenant */
    /* Write nothing: result says what a run would close as things stand. due counts the deadlines
     * that it would apply first; what they change is in no sum. A note says which days would stay open
     * and why: parked, or a renewal that waits for the payment command, which is not asked. Needs no
     * lock, and a read-only store will do. */
    bool dry;
    /* Tenants done so far; false: stop, with MS_CANCELLED and what is closed stays closed. May be
     * NULL, as note. */
    bool (*progress)(void *priv, uint64_t done);
    /* What a person should look at: a parked tenant, a storage line above ten times the median of
     * its last 30 that were not zero. */
    void (*note)(void *priv, const char *tenant, const char *text);
    void *priv;
};
struct ms_bill_result {
    uint64_t tenants, days, events; /* looked at; closed; ledger rows in them */
    uint64_t due;                   /* assets that the sweep before it changed */
    uint64_t parked, warnings;      /* tenants that are parked now; lines that are suspiciously high */
    ms_u128 micros;                 /* of all lines closed now */
};
/* Errors: MS_BUSY another run is at work; MS_CONFLICT a card that has priced days was changed,
 * or the clock is behind; MS_RANGE through lies ahead of the clock; MS_NO_TENANT; MS_CANCELLED; MS_TIMEOUT
 * days wait for the payment command;
 * what a tenant's own rows say, when everybody else has been closed. */
MS_NODISCARD enum ms_code ms_bill_run(struct ms_svc *svc, const struct ms_bill_options *options,
                                      struct ms_bill_result *ret_result, struct ms_error *reterr);
/* Let the next run try a parked tenant again. Errors: MS_WRONG_STATE it is not parked. */
MS_NODISCARD enum ms_code ms_bill_release(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          struct ms_error *reterr);

/* ---- closed days ----------------------------------------------------------------------------- */

struct ms_bill_day {
    struct ms_day day;
    struct ms_line line;
    struct ms_instant closed_at;
    uint64_t seq, events;
};
/* Called outside any transaction; false: no more. */
typedef bool ms_bill_day_fn(void *priv, const struct ms_bill_day *day);
/* Closed days of [from, to) in order; none and none: all. Errors: MS_CORRUPT. */
MS_NODISCARD enum ms_code ms_bill_days(struct ms_svc *svc, struct ms_tenant_id tenant,
                                       struct ms_instant from, struct ms_instant to,
                                       ms_bill_day_fn *fn, void *priv, struct ms_error *reterr);

/* Of the cards that priced closed days; CNY while there are none. */
MS_NODISCARD enum ms_code ms_bill_currency(struct ms_svc *svc, enum ms_currency *ret_currency,
                                           struct ms_error *reterr);

/* ---- adjustments ----------------------------------------------------------------------------- */

/* What a person adds to a bill. It is a line of the day on which it is entered, which is open; what
 * it corrects stays as it was. */
struct ms_bill_adjustment {
    bool credit;           /* the amount is given back */
    uint64_t micros;       /* not 0 */
    struct ms_instant day; /* a closed day that it corrects; none */
    const char *reason;    /* 1..MS_REASON_MAX bytes */
};
/* Errors: MS_DENIED not an administrator; MS_INVALID no amount or reason; MS_RANGE that day is not
 * closed. */
MS_NODISCARD enum ms_code ms_bill_adjust(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         const struct ms_bill_adjustment *adjustment,
                                         struct ms_adjust_record *ret_row,
                                         struct ms_error *reterr);
/* Called outside any transaction; false: no more. */
typedef bool ms_bill_adjust_fn(void *priv, const struct ms_adjust_record *row);
/* Entered in [from, to), in order; none and none: all. */
MS_NODISCARD enum ms_code ms_bill_adjustments(struct ms_svc *svc, struct ms_tenant_id tenant,
                                              struct ms_instant from, struct ms_instant to,
                                              ms_bill_adjust_fn *fn, void *priv,
                                              struct ms_error *reterr);

/* ---- checking -------------------------------------------------------------------------------- */

struct ms_bill_check {
    uint64_t tenants, days, events, findings;
};
/* Compute every closed day anew from the ledger, and compare: with the day rows and their chain,
 * with the account, with the counters, and the counters with the sum over assets; and the chain of
 * adjustments. Repairs nothing.
 *   tenant   none: every one     finding  one difference, as text
 * Lines are compared only for months whose card in rates is the one that priced them. */
MS_NODISCARD enum ms_code ms_bill_verify(struct ms_svc *svc, const struct ms_rates *rates,
                                         struct ms_tenant_id tenant,
                                         void (*finding)(void *priv, const char *text), void *priv,
                                         struct ms_bill_check *ret_check, struct ms_error *reterr);

/* What really happened, from the beginning, as events of a history (quota/history.h) in order of
 * instant, then of commit; the last is "end": at the last closed midnight, or the last event if
 * that is later. Texts of an event live until fn returns.   tenant  none: all of them together */
typedef bool ms_bill_event_fn(void *priv, const struct ms_history_event *event);
MS_NODISCARD enum ms_code ms_bill_history(struct ms_svc *svc, struct ms_tenant_id tenant,
                                          ms_bill_event_fn *fn, void *priv,
                                          struct ms_error *reterr);

/* One ledger row of a day in order of effect, and what holds from its instant on. */
struct ms_bill_step {
    struct ms_ledger_record row;
    struct ms_usage_record usage; /* the four classes */
    uint64_t allowance;
};
typedef bool ms_bill_step_fn(void *priv, const struct ms_bill_step *step);
/* What stands behind the lines of a day, closed or not: first what holds at its beginning (a step
 * whose row has no seq), then its rows. Errors: MS_RANGE the day lies before the tenant or ahead of
 * the clock. */
MS_NODISCARD enum ms_code ms_bill_explain(struct ms_svc *svc, struct ms_tenant_id tenant,
                                          struct ms_instant day, ms_bill_step_fn *fn, void *priv,
                                          struct ms_error *reterr);

#endif
