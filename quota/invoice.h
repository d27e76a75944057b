/* invoice.h — closed days to lines, lines to statements (bill.md section 4).
 *
 * Month-to-date rating: the line of a day is what the month costs up to and including that day,
 * less what it cost up to the day before. Lines add up to the month exactly, and rounding never
 * drifts.
 *
 * Lifecycle: ms_rating_begin() -> ms_rating_day() for each day in order, with ms_rating_statement()
 * whenever the month so far is wanted. The struct is all state: the nightly run keeps it with the
 * tenant from one night to the next.
 * Invariants: 1 the items of a statement, each priced from the month's quantity, and the totals of
 * its days have the same sum (asserted). 2 A line is never negative.
 * Threads: pure; rates are shared read-only.
 */
#ifndef MS_QUOTA_INVOICE_H
#define MS_QUOTA_INVOICE_H

#include "quota/meter.h"
#include "quota/price.h"

/* Micros of one day. */
struct ms_line {
    ms_u128 storage, video, package, total;
};
/* A month of one tenant, or the part of it that is closed. */
struct ms_statement {
    struct ms_instant month; /* its first instant */
    unsigned days;           /* closed ones */
    ms_u128 excess;          /* byte-milliseconds */
    ms_u128 video_hundredths, video_paid_hundredths;
    ms_u128 storage, video, package, total; /* micros */
};
struct ms_rating {
    const struct ms_rates *rates; /* borrowed */
    struct ms_statement month;    /* so far; days 0 before the first */
};

void ms_rating_begin(struct ms_rating *rating, const struct ms_rates *rates);
/* Rate a closed day; days come in order, those of another month begin a new statement. */
void ms_rating_day(struct ms_rating *rating, const struct ms_day *day, struct ms_line *ret_line);
/* The month so far, with its totals computed the other way and compared. */
struct ms_statement ms_rating_statement(const struct ms_rating *rating);

/* GB-months with 9 digits behind the point, cut off, for people: "12.345678901". */
struct ms_u128_text ms_gb_months_text(ms_u128 byte_ms, struct ms_instant month);

#endif
