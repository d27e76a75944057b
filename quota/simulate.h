/* simulate.h — a history in, the bill out (bill.md section 5). Touches no store, no file, no clock.
 *
 * This is the driver; the arithmetic is that of the nightly run: meter.h, terms.h, price.h,
 * invoice.h. It knows what a history says (who owns what) and brings about what time does: videos
 * that start to count, terms that begin and end, midnights.
 *
 * Memory: what is known of tenants, assets and packages (a few dozen bytes each, deleted assets
 * too, for their ids are never used again), and closed days as days.h keeps them; nothing else
 * grows with the number of events.
 *
 * Lifecycle: ms_simulation_new() -> ms_simulation_line() for each line -> ms_simulation_finish() ->
 * ms_simulation_report() -> ms_simulation_free(). After a failure: only free.
 * Invariants: 1 a tenant's counters are the sum over its assets. 2 all that is due at or before the
 * last event's instant has happened. 3 a tenant's meter is not ahead of that instant. Threads:
 * belongs to its caller.
 */
#ifndef MS_QUOTA_SIMULATE_H
#define MS_QUOTA_SIMULATE_H

#include "quota/invoice.h"

struct ms_simulation;

/* rates: borrowed until free. */
MS_NODISCARD enum ms_code ms_simulation_new(const struct ms_rates *rates,
                                            struct ms_simulation **ret_simulation,
                                            struct ms_error *reterr);
void ms_simulation_free(struct ms_simulation *simulation);

/* The next line of the history, with or without its newline; blank ones are counted and ignored.
 * Errors: MS_BILL_INPUT "line N: " and what is wrong with it; MS_NO_MEMORY, MS_RANGE. */
MS_NODISCARD enum ms_code ms_simulation_line(struct ms_simulation *simulation, const char *line,
                                             size_t n, struct ms_error *reterr);
/* No more lines. Errors: MS_BILL_INPUT the last one was not "end". */
MS_NODISCARD enum ms_code ms_simulation_finish(struct ms_simulation *simulation,
                                               struct ms_error *reterr);

/* Who takes the bill: tenants in order of first appearance; of each its closed days in order, then
 * its statements. A tenant without a closed day is told too. False ends the report. */
struct ms_bill_sink {
    bool (*tenant)(void *to, struct ms_view name);
    bool (*day)(void *to, const struct ms_day *day, const struct ms_line *line);
    bool (*month)(void *to, const struct ms_statement *statement);
    void *to;
};
/* Errors: MS_CANCELLED the sink said so; MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_simulation_report(const struct ms_simulation *simulation,
                                               const struct ms_bill_sink *sink,
                                               struct ms_error *reterr);

#endif
