/* bill_story.h — a history told in a test, and the bill that comes of it. */
#ifndef MS_TESTS_QUOTA_BILL_STORY_H
#define MS_TESTS_QUOTA_BILL_STORY_H

#include "support/test.h"

#include "quota/rates.h"
#include "quota/simulate.h"

#define STORY_DAYS_MAX 1200
#define STORY_MONTHS_MAX 64

/* One tenant's bill. */
struct bill {
    struct ms_day day[STORY_DAYS_MAX];
    struct ms_line line[STORY_DAYS_MAX];
    struct ms_statement month[STORY_MONTHS_MAX];
    size_t days, months;
};

/* Lines, ended by NULL, with ' for "; a line that begins with a date stands for {"at":"date"
 * followed by the rest: "2026-01-31T00:00:00.000Z','do':'end'}". */
struct story {
    struct ms_rates rates;
    struct ms_simulation *simulation;
    struct bill *bill; /* of the tenants in order */
    size_t tenants;
    struct ms_error err;
};
/* The code of the first line that is refused, with its message in story->err; else MS_OK and the
 * bill. */
enum ms_code story_tell(struct story *story, const char *rates, const char *const *lines);
void story_end(struct story *story);

void same_number(ms_u128 got, ms_u128 want, const char *what, int line);
#define assert_number(got, want) same_number((got), (want), #got, __LINE__)

#endif
