/* bill_part.h — inside the bill: ledger rows of a stretch of time, and the books that they move.
 *
 * Threads: everything belongs to its caller.
 */
#ifndef MS_SERVICE_BILL_PART_H
#define MS_SERVICE_BILL_PART_H

#include "service/bill.h"
#include "service/change.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"

#define MS_BILL_WHY_MAX (MS_REASON_MAX + 1)

/* A ledger row as far as the bill needs it: small, because a busy day has a million. */
struct ms_bill_event {
    struct ms_instant at;
    uint64_t seq;
    uint64_t bytes_before, bytes_after; /* of SETTINGS bytes_after is the free quota */
    uint8_t class_before, class_after, why;
    uint32_t more; /* of PRODUCE and of packages: its place in the stretch's `more` */
};
/* What some rows say beside bytes. */
struct ms_bill_more {
    uint64_t hundredths, paid_hundredths;   /* of a minute */
    uint64_t capacity_more, capacity_less;
    char fee[MS_PACKAGE_NAME_MAX + 1]; /* a term of this package begins; "" none that is charged */
};

/* What the ledger says between two instants. Rows are in commit order, and what time brought about
 * is dated earlier than its neighbours, so rows of the next day may stand among them. */
struct ms_bill_stretch {
    struct ms_tenant_id tenant;
    struct ms_instant until;
    struct ms_bill_event *events; /* at < until, by instant, then commit order; owned */
    size_t n, cap;
    struct ms_bill_more *more; /* owned */
    size_t more_n, more_cap;
    uint64_t from;   /* in: the first row to look at */
    /* in: rows before `seen` that are dated before `since` were taken by the stretch before: they
     * stand behind rows of this one, for time brought them about and somebody applied it later */
    struct ms_instant since;
    uint64_t seen;
    uint64_t beyond; /* the first row that is not before until: where the next stretch begins */
    uint64_t next;   /* no row from here on was looked at */
    struct ms_usage_record fold;  /* in: classes before `from`; out: with every row looked at */
    struct ms_usage_record usage; /* the counters when the last row was looked at */
    char fault[MS_BILL_WHY_MAX];     /* a row that cannot be: the first one, "" none */
};
MS_NODISCARD enum ms_code ms_bill_stretch_read(struct ms_svc *svc, struct ms_bill_stretch *stretch,
                                               struct ms_error *reterr);
void ms_bill_stretch_fini(struct ms_bill_stretch *stretch);
/* The counters are not what the rows add up to: false, with the numbers. */
bool ms_bill_stretch_adds_up(const struct ms_bill_stretch *stretch, char ret_why[MS_BILL_WHY_MAX]);

/* ---- the books: the account as meter and rating ---------------------------------------------- */

struct ms_bill_books {
    struct ms_meter meter;
    struct ms_rating rating;
    const struct ms_bill_event *next, *end;
    const struct ms_bill_more *more; /* of the stretch, as the events */
    uint64_t capacity;               /* of valid packages: a part of the meter's allowance */
};
/* The account of a tenant of which no day is closed. */
struct ms_account_record ms_bill_account_of(const struct ms_tenant_record *tenant);
/* The end of the last closed day, or the tenant's first instant. */
struct ms_instant ms_bill_books_from(const struct ms_tenant_record *tenant,
                                     const struct ms_account_record *account);
void ms_bill_books_open(struct ms_bill_books *books, const struct ms_tenant_record *tenant,
                        const struct ms_account_record *account, const struct ms_rates *rates,
                        const struct ms_bill_stretch *stretch);
/* Take one event. False: it cannot be, and why. */
bool ms_bill_books_take(struct ms_bill_books *books, char ret_why[MS_BILL_WHY_MAX]);
/* Take the events of the open day, close it and rate it: the row, but for its chain and instant. */
bool ms_bill_books_close(struct ms_bill_books *books, struct ms_day_record *ret_row,
                         char ret_why[MS_BILL_WHY_MAX]);
/* Where the books stand goes into the account, but for its chain. */
void ms_bill_books_store(const struct ms_bill_books *books, struct ms_account_record *account);

/* ---- rows ------------------------------------------------------------------------------------ */

void ms_bill_day_of_row(const struct ms_day_record *row, struct ms_bill_day *ret_day);
/* SHA-256 of what a card says, in one form; zeros of no card. */
void ms_bill_card_hash(const struct ms_rates *rates, struct ms_instant month, uint8_t ret_hash[32]);
bool ms_bill_is_of_package(uint8_t why);
/* The account row, or that of a tenant without closed days. */
MS_NODISCARD enum ms_code ms_bill_account(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                          struct ms_account_record *ret_account,
                                          struct ms_error *reterr);

#endif
