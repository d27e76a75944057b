#include "base/time.h"

#include "base/assert.h"
#include "base/checked.h"

#include <stdio.h>
#include <string.h>

#define DURATION_MAX_MS (INT64_C(36525) * MS_DAY_MS) /* 100 years */

static int64_t clamped(int64_t ms) {
    return ms < 0 ? 0 : ms > MS_INSTANT_MAX ? MS_INSTANT_MAX : ms;
}

static bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

int ms_days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    MS_ASSERT(month >= 1 && month <= 12);
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days since 1970-01-01. Years are counted from March, so that the leap day comes last and the
 * lengths of the months before a given one are (153 m + 2) / 5; 400 years are an era of 146 097
 * days. */
static int64_t days_from_civil(int year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400;
    int64_t year_of_era = y - era * 400;
    int64_t shifted_month = (month + 9) % 12;
    int64_t day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, struct ms_civil *c) {
    int64_t z = days + 719468;
    int64_t era = z / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;

    c->day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    c->month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    c->year = (int)(year_of_era + era * 400 + (c->month <= 2));
}

struct ms_civil ms_instant_civil(struct ms_instant t) {
    int64_t ms = clamped(t.ms);
    int64_t of_day = ms % MS_DAY_MS;
    struct ms_civil c = {0};

    civil_from_days(ms / MS_DAY_MS, &c);
    c.hour = (int)(of_day / MS_HOUR_MS);
    c.minute = (int)(of_day % MS_HOUR_MS / MS_MINUTE_MS);
    c.second = (int)(of_day % MS_MINUTE_MS / MS_SECOND_MS);
    c.ms = (int)(of_day % MS_SECOND_MS);
    return c;
}

bool ms_civil_is_valid(struct ms_civil c) {
    return c.year >= 1970 && c.year <= 9999 && c.month >= 1 && c.month <= 12 && c.day >= 1 &&
           c.day <= ms_days_in_month(c.year, c.month) && c.hour >= 0 && c.hour <= 23 &&
           c.minute >= 0 && c.minute <= 59 && c.second >= 0 && c.second <= 59 && c.ms >= 0 &&
           c.ms <= 999;
}

struct ms_instant ms_civil_instant(struct ms_civil c) {
    MS_ASSERT(ms_civil_is_valid(c));
    return ms_instant_of(days_from_civil(c.year, c.month, c.day) * MS_DAY_MS + c.hour * MS_HOUR_MS +
                         c.minute * MS_MINUTE_MS + c.second * MS_SECOND_MS + c.ms);
}

struct ms_instant ms_instant_add_months(struct ms_instant t, int months) {
    struct ms_civil c = ms_instant_civil(t);
    int64_t index = (int64_t)c.year * 12 + (c.month - 1) + months;
    int days;

    MS_ASSERT(months >= 0);
    if (index / 12 > 9999)
        return ms_instant_of(MS_INSTANT_MAX);
    c.year = (int)(index / 12);
    c.month = (int)(index % 12) + 1;
    days = ms_days_in_month(c.year, c.month);
    if (c.day > days)
        c.day = days;
    return ms_civil_instant(c);
}

struct ms_instant ms_instant_day_start(struct ms_instant t) {
    int64_t ms = clamped(t.ms);

    return ms_instant_of(ms - ms % MS_DAY_MS);
}

struct ms_instant ms_instant_month_start(struct ms_instant t) {
    struct ms_civil c = ms_instant_civil(t);

    return ms_civil_instant((struct ms_civil){.year = c.year, .month = c.month, .day = 1});
}

/* Decimal digits by hand: the compiler does not know that a year has four and would warn. */
static char *put_digits(char *at, int value, int width) {
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + width;
}

static char *put_to_seconds(char *at, struct ms_civil c) {
    at = put_digits(at, c.year, 4);
    *at++ = '-';
    at = put_digits(at, c.month, 2);
    *at++ = '-';
    at = put_digits(at, c.day, 2);
    *at++ = 'T';
    at = put_digits(at, c.hour, 2);
    *at++ = ':';
    at = put_digits(at, c.minute, 2);
    *at++ = ':';
    return put_digits(at, c.second, 2);
}

void ms_instant_format_ms(struct ms_instant t, char ret_text[MS_RFC3339_MS_LEN + 1]) {
    struct ms_civil c = ms_instant_civil(t);
    char *at = put_to_seconds(ret_text, c);

    *at++ = '.';
    at = put_digits(at, c.ms, 3);
    *at++ = 'Z';
    *at = '\0';
}

void ms_instant_format_s(struct ms_instant t, char ret_text[MS_RFC3339_S_LEN + 1]) {
    char *at = put_to_seconds(ret_text, ms_instant_civil(t));

    *at++ = 'Z';
    *at = '\0';
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Text against a pattern in which 9 stands for any digit and everything else for itself. */
static bool matches(const char *text, const char *pattern) {
    for (; *pattern; text++, pattern++) {
        if (*pattern == '9' ? !is_digit(*text) : *text != *pattern)
            return false;
    }
    return *text == '\0';
}

static int digits(const char *at, int width) {
    int value = 0;

    for (int i = 0; i < width; i++)
        value = value * 10 + (at[i] - '0');
    return value;
}

enum ms_code ms_instant_parse(const char *text, struct ms_instant *ret_t, struct ms_error *reterr) {
    bool with_ms = matches(text, "9999-99-99T99:99:99.999Z");
    struct ms_civil c;

    if (!with_ms && !matches(text, "9999-99-99T99:99:99Z"))
        return ms_fail(reterr, MS_INVALID,
                       "'%.40s' is not a time of the form 2026-01-31T00:00:00Z or "
                       "2026-01-31T00:00:00.000Z",
                       text);
    c = (struct ms_civil){.year = digits(text, 4),
                          .month = digits(text + 5, 2),
                          .day = digits(text + 8, 2),
                          .hour = digits(text + 11, 2),
                          .minute = digits(text + 14, 2),
                          .second = digits(text + 17, 2),
                          .ms = with_ms ? digits(text + 20, 3) : 0};
    if (!ms_civil_is_valid(c))
        return ms_fail(reterr, MS_INVALID,
                       "'%s' is not an instant between 1970-01-01T00:00:00Z and "
                       "9999-12-31T23:59:59Z",
                       text);
    *ret_t = ms_civil_instant(c);
    return MS_OK;
}

static bool unit_ms(const char *unit, int64_t *ret_ms) {
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"", MS_SECOND_MS},  {"ms", 1},         {"s", MS_SECOND_MS},
                 {"m", MS_MINUTE_MS}, {"h", MS_HOUR_MS}, {"d", MS_DAY_MS}};

    for (size_t i = 0; i < MS_ARRAY_LEN(units); i++) {
        if (strcmp(unit, units[i].name) == 0) {
            *ret_ms = units[i].ms;
            return true;
        }
    }
    return false;
}

enum ms_code ms_duration_parse(const char *text, int64_t *ret_ms, struct ms_error *reterr) {
    const char *at = text;
    int64_t value = 0, unit;

    while (is_digit(*at) && value <= DURATION_MAX_MS)
        value = value * 10 + (*at++ - '0');
    if (at == text || !unit_ms(at, &unit))
        return ms_fail(reterr, MS_INVALID,
                       "'%.40s' is not a duration: write a whole number with ms, s, m, h or d, as "
                       "in 90s or 24h",
                       text);
    if (value > DURATION_MAX_MS / unit)
        return ms_fail(reterr, MS_INVALID, "'%.40s' is longer than 100 years (36525d)", text);
    *ret_ms = value * unit;
    return MS_OK;
}
