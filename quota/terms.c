#include "quota/terms.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LAST_MONTH (9999 * 12 + 11)

/* Whether first + so many terms still lies in the year 9999 or before. */
static bool in_range(struct ms_instant first, uint32_t months, uint64_t terms) {
    struct ms_civil c = ms_instant_civil(first);
    uint64_t index = (uint64_t)c.year * 12 + (uint64_t)c.month - 1;
    return index + months * terms <= LAST_MONTH;
}

static struct ms_instant bound(const struct ms_terms *t, uint32_t ordinal) {
    MS_ASSERT(t->months > 0);
    MS_ASSERT(in_range(t->first, t->months, ordinal));
    return ms_instant_add_months(t->first, (int)(t->months * ordinal));
}

static enum ms_code too_far(const struct ms_terms *t, uint64_t terms, struct ms_error *reterr) {
    return ms_fail(reterr, MS_RANGE,
                   "term %" PRIu64 " of %u months each would end after the year 9999", terms,
                   t->months);
}

enum ms_code ms_terms_begin(struct ms_instant at, uint32_t months, uint32_t terms,
                            struct ms_terms *ret_terms, struct ms_error *reterr) {
    struct ms_terms t = {.first = at, .months = months, .bought = terms, .running = true};
    MS_ASSERT(terms >= 1 && (months > 0 || terms == 1));
    if (!in_range(at, months, terms))
        return too_far(&t, terms, reterr);
    *ret_terms = t;
    return MS_OK;
}

enum ms_code ms_terms_renew(struct ms_terms *terms, struct ms_instant at, uint32_t more,
                            bool *ret_late, struct ms_error *reterr) {
    struct ms_terms t = *terms;
    if (t.months == 0)
        return ms_fail(reterr, MS_WRONG_STATE, "a package without end has no term to add");
    MS_ASSERT(!t.running || ms_instant_before(at, ms_terms_due(&t)));
    if (!t.running)
        while (in_range(t.first, t.months, (uint64_t)t.bought + 1) &&
               bound(&t, t.bought + 1).ms <= at.ms)
            t.bought++; /* wholly passed */
    if (!in_range(t.first, t.months, (uint64_t)t.bought + more))
        return too_far(&t, (uint64_t)t.bought + more, reterr);
    *ret_late = !t.running;
    if (!t.running)
        t.current = t.bought;
    t.running = true;
    t.bought += more;
    MS_ASSERT(ms_instant_before(at, ms_terms_due(&t)));
    *terms = t;
    return MS_OK;
}

struct ms_instant ms_terms_end(const struct ms_terms *t) {
    return t->months == 0 ? MS_TERMS_NO_END : bound(t, t->bought);
}

struct ms_instant ms_terms_due(const struct ms_terms *t) {
    return t->months == 0 || !t->running ? MS_TERMS_NO_END : bound(t, t->current + 1);
}

bool ms_terms_pass(struct ms_terms *t) {
    MS_ASSERT(t->running && t->months > 0);
    MS_ASSERT(t->current < t->bought);
    if (t->current + 1 < t->bought)
        t->current++;
    else
        t->running = false;
    return t->running;
}

/* ---- minutes -----------------------------------------------------------------------------------
 */

ms_u128 ms_minutes_of_seconds(uint64_t seconds) {
    return ms_round_half_up((ms_u128)seconds * 100, 60);
}

static int by_end(const void *left, const void *right) {
    const struct ms_minutes *a = left, *b = right;
    if (a->end.ms != b->end.ms)
        return a->end.ms < b->end.ms ? -1 : 1;
    size_t common = a->id_len < b->id_len ? a->id_len : b->id_len;
    int order = common ? memcmp(a->id, b->id, common) : 0;
    return order ? order : (a->id_len > b->id_len) - (a->id_len < b->id_len);
}

ms_u128 ms_minutes_draw(struct ms_minutes *packs, size_t n, ms_u128 hundredths) {
    if (n > 1)
        qsort(packs, n, sizeof *packs, by_end);
    for (size_t i = 0; i < n && hundredths > 0; i++) {
        uint64_t taken = hundredths < packs[i].left ? (uint64_t)hundredths : packs[i].left;
        packs[i].left -= taken;
        hundredths -= taken;
    }
    return hundredths;
}
