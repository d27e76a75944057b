/* days.h — the closed days of one tenant in little memory, in order, without gaps.
 *
 * A bill is printed tenant by tenant but comes about day by day over all tenants, and nothing may
 * be printed before the last line of a history is known to be right. Days that are alike, as those
 * are on which nothing happened, take no room; others a few dozen bytes.
 *
 * Lifecycle: {0} -> ms_days_add() -> ms_days_next() from an ms_days_at of {0} -> ms_days_fini().
 * Threads: belongs to its caller.
 */
#ifndef MS_QUOTA_DAYS_H
#define MS_QUOTA_DAYS_H

#include "quota/meter.h"

struct ms_days {
    struct ms_instant first; /* midnight of the first one */
    size_t n;
    struct ms_buf runs; /* all but the last run */
    struct ms_day last; /* the last run: this day ... */
    uint64_t last_n;    /* ... so many times */
};
void ms_days_fini(struct ms_days *days);
/* The day after the last one. Errors: MS_NO_MEMORY, MS_RANGE more than 4 GiB. */
MS_NODISCARD enum ms_code ms_days_add(struct ms_days *days, const struct ms_day *day,
                                      struct ms_error *reterr);

/* A place in it. */
struct ms_days_at {
    size_t n;      /* days handed out */
    size_t offset; /* in runs, of the next run */
    struct ms_day day;
    uint64_t left; /* of the run that day stands for */
};
/* False behind the last one. */
bool ms_days_next(const struct ms_days *days, struct ms_days_at *at, struct ms_day *ret_day);

#endif
