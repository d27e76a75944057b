/* day_chart.h — what was stored on each day, as bars: of closed days, for bill show and usage. */
#ifndef MS_CLI_DAY_CHART_H
#define MS_CLI_DAY_CHART_H

#include "service/bill.h"

/* Bytes on average over a day: of a class, of all of them, and what was allowed. */
uint64_t ms_day_mean(ms_u128 byte_ms);
uint64_t ms_day_stored(const struct ms_bill_day *day);
/* On stdout; a mark stands at what was allowed. */
void ms_day_chart(const struct ms_bill_day *days, size_t n);

#endif
