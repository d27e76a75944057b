/* time.h — instants and calendar arithmetic, UTC, in milliseconds.
 *
 * The bill is exact to the byte-millisecond, so time is an integer and has a type of its own. Days
 * and months are UTC calendar units; every interval is half-open (bill.md section 1). Range: years
 * 1970 to 9999.
 */
#ifndef MS_BASE_TIME_H
#define MS_BASE_TIME_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ms_instant {
    int64_t ms; /* since 1970-01-01T00:00:00.000Z; 0 in a record means "none" where its comment says
                   so */
};

#define MS_SECOND_MS INT64_C(1000)
#define MS_MINUTE_MS (60 * MS_SECOND_MS)
#define MS_HOUR_MS (60 * MS_MINUTE_MS)
#define MS_DAY_MS (24 * MS_HOUR_MS)
#define MS_INSTANT_MAX INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

static inline struct ms_instant ms_instant_of(int64_t ms) { return (struct ms_instant){ms}; }
static inline bool ms_instant_is_none(struct ms_instant t) { return t.ms == 0; }
static inline bool ms_instant_before(struct ms_instant a, struct ms_instant b) {
    return a.ms < b.ms;
}
static inline struct ms_instant ms_instant_max(struct ms_instant a, struct ms_instant b) {
    return a.ms >= b.ms ? a : b;
}
static inline struct ms_instant ms_instant_min(struct ms_instant a, struct ms_instant b) {
    return a.ms <= b.ms ? a : b;
}
static inline struct ms_instant ms_instant_add_ms(struct ms_instant t, int64_t ms) {
    return (struct ms_instant){t.ms + ms};
}

struct ms_civil {
    int year, month, day; /* 1970..9999, 1..12, 1..31 */
    int hour, minute, second, ms;
};

struct ms_civil ms_instant_civil(struct ms_instant t);
/* Needs valid members (ms_civil_is_valid). */
struct ms_instant ms_civil_instant(struct ms_civil c);
bool ms_civil_is_valid(struct ms_civil c);
int ms_days_in_month(int year, int month);

/* Same day of month and time of day n calendar months later, the day clamped to the target month's
 * last day (31 Aug + 6 = 28 or 29 Feb). Always add from the first instant: the clamp does not undo
 * itself. n >= 0. */
struct ms_instant ms_instant_add_months(struct ms_instant t, int months);

struct ms_instant ms_instant_day_start(struct ms_instant t);
struct ms_instant ms_instant_month_start(struct ms_instant t);

#define MS_RFC3339_MS_LEN 24 /* 2026-01-31T00:00:00.000Z */
#define MS_RFC3339_S_LEN 20  /* 2026-01-31T00:00:00Z, the API's form: milliseconds cut off */

void ms_instant_format_ms(struct ms_instant t, char ret_text[MS_RFC3339_MS_LEN + 1]);
void ms_instant_format_s(struct ms_instant t, char ret_text[MS_RFC3339_S_LEN + 1]);

/* Accepts exactly the two forms above, nothing else. Errors: MS_INVALID. */
MS_NODISCARD enum ms_code ms_instant_parse(const char *text, struct ms_instant *ret_t,
                                           struct ms_error *reterr);

/* "90s", "15m", "24h", "7d", "1500ms" or a bare number of seconds; 0 .. 100 years. Errors:
 * MS_INVALID. */
MS_NODISCARD enum ms_code ms_duration_parse(const char *text, int64_t *ret_ms,
                                            struct ms_error *reterr);

#endif
