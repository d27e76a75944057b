/* A run is how often, then the numbers of the day, each in groups of seven bits, lowest first; all
 * but the last group have the eighth bit set. */
#include "quota/days.h"

#include "base/assert.h"

#define NUMBERS (MS_CLASS_COUNT + 5)
#define NUMBER_MAX 19 /* bytes of 128 bits in sevens */
#define RUNS_MAX ((size_t)4 << 30)

void ms_days_fini(struct ms_days *days) {
    ms_buf_fini(&days->runs);
    *days = (struct ms_days){0};
}

static void numbers_of(const struct ms_day *day, ms_u128 n[NUMBERS]) {
    memcpy(n, day->bytes, sizeof day->bytes);
    n += MS_CLASS_COUNT;
    *n++ = day->allowance;
    *n++ = day->excess;
    *n++ = day->video_hundredths;
    *n++ = day->video_paid_hundredths;
    *n = day->package_micros;
}

static void set_numbers(struct ms_day *day, const ms_u128 n[NUMBERS]) {
    memcpy(day->bytes, n, sizeof day->bytes);
    n += MS_CLASS_COUNT;
    day->allowance = *n++;
    day->excess = *n++;
    day->video_hundredths = *n++;
    day->video_paid_hundredths = *n++;
    day->package_micros = *n;
}

static bool alike(const struct ms_day *a, const struct ms_day *b) {
    ms_u128 of_a[NUMBERS], of_b[NUMBERS];
    numbers_of(a, of_a);
    numbers_of(b, of_b);
    return memcmp(of_a, of_b, sizeof of_a) == 0;
}

static uint8_t *put(uint8_t *at, ms_u128 n) {
    for (; n >= 0x80; n >>= 7)
        *at++ = (uint8_t)(0x80 | (n & 0x7f));
    *at++ = (uint8_t)n;
    return at;
}

static const uint8_t *get(const uint8_t *at, ms_u128 *ret_n) {
    unsigned shift = 0;
    for (*ret_n = 0; *at & 0x80; at++, shift += 7)
        *ret_n |= (ms_u128)(*at & 0x7f) << shift;
    *ret_n |= (ms_u128)*at << shift;
    return at + 1;
}

static enum ms_code put_run(struct ms_days *days, struct ms_error *reterr) {
    uint8_t bytes[(NUMBERS + 1) * NUMBER_MAX], *end = put(bytes, days->last_n);
    ms_u128 n[NUMBERS];
    numbers_of(&days->last, n);
    for (size_t i = 0; i < NUMBERS; i++)
        end = put(end, n[i]);
    days->runs.max = RUNS_MAX;
    return ms_buf_add(&days->runs, bytes, (size_t)(end - bytes), reterr);
}

enum ms_code ms_days_add(struct ms_days *days, const struct ms_day *day, struct ms_error *reterr) {
    if (days->n == 0)
        days->first = day->midnight;
    MS_ASSERT(day->midnight.ms == days->first.ms + (int64_t)days->n * MS_DAY_MS);
    if (days->last_n > 0 && !alike(&days->last, day)) {
        enum ms_code code = put_run(days, reterr);
        if (code != MS_OK)
            return code;
        days->last_n = 0;
    }
    if (days->last_n == 0)
        days->last = *day;
    days->last_n++;
    days->n++;
    return MS_OK;
}

static void next_run(const struct ms_days *days, struct ms_days_at *at) {
    const uint8_t *p;
    ms_u128 n[NUMBERS], times;
    if (at->offset == days->runs.len) {
        at->day = days->last;
        at->left = days->last_n;
        return;
    }
    p = get(days->runs.data + at->offset, &times);
    for (size_t i = 0; i < NUMBERS; i++)
        p = get(p, &n[i]);
    set_numbers(&at->day, n);
    at->left = (uint64_t)times;
    at->offset = (size_t)(p - days->runs.data);
}

bool ms_days_next(const struct ms_days *days, struct ms_days_at *at, struct ms_day *ret_day) {
    if (at->n == days->n)
        return false;
    if (at->left == 0)
        next_run(days, at);
    *ret_day = at->day;
    ret_day->midnight = ms_instant_add_ms(days->first, (int64_t)at->n * MS_DAY_MS);
    at->left--;
    at->n++;
    return true;
}
