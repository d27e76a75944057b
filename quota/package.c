#include "quota/package.h"

#include "base/assert.h"
#include "model/asset_type.h"

#include <string.h>

#define NEVER ((struct ms_instant){INT64_MAX})

#define NAME(n) #n,
static const char *const kinds[] = {MS_PACKAGE_KINDS(NAME)};
static const char *const sources[] = {MS_PACKAGE_SOURCES(NAME)};
static const char *const states[] = {MS_PACKAGE_STATES(NAME)};
#undef NAME

const char *ms_package_kind_name(uint8_t kind) {
    return kind < MS_PACKAGE_KIND_COUNT ? kinds[kind] : "?";
}
const char *ms_package_source_name(uint8_t source) {
    return source < MS_PACKAGE_SOURCE_COUNT ? sources[source] : "?";
}
const char *ms_package_state_name(uint8_t state) {
    return state < MS_PACKAGE_STATE_COUNT ? states[state] : "?";
}

bool ms_package_kind_parse(const char *text, uint8_t *ret_kind) {
    for (uint8_t i = 0; i < MS_PACKAGE_KIND_COUNT; i++) {
        if (strcmp(text, kinds[i]) != 0)
            continue;
        *ret_kind = i;
        return true;
    }
    return false;
}

struct ms_terms ms_package_terms(const struct ms_package_record *p) {
    return (struct ms_terms){.first = p->first,
                             .months = p->months,
                             .bought = p->bought,
                             .current = p->current,
                             .running = p->running};
}

static void set_terms(struct ms_package_record *p, const struct ms_terms *t) {
    p->first = t->first;
    p->months = t->months;
    p->bought = t->bought;
    p->current = t->current;
    p->running = t->running;
}

enum ms_code ms_package_begin(struct ms_package_record *p, struct ms_instant at, uint32_t months,
                              uint32_t terms, struct ms_error *reterr) {
    struct ms_terms t;
    if (months > MS_TERM_MONTHS_MAX || terms < 1 || terms > MS_TERMS_MAX)
        return ms_fail(reterr, MS_RANGE,
                       "a package has terms of 0 to %d months, and 1 to %d of them, not %u of %u",
                       MS_TERM_MONTHS_MAX, MS_TERMS_MAX, terms, months);
    if (months == 0 && terms != 1)
        return ms_fail(reterr, MS_RANGE, "a package without end has one term, not %u", terms);
    enum ms_code code = ms_terms_begin(at, months, terms, &t, reterr);
    if (code != MS_OK)
        return code;
    set_terms(p, &t);
    p->state = MS_PACKAGE_VALID;
    p->used = 0;
    p->ended = (struct ms_instant){0};
    return MS_OK;
}

struct ms_instant ms_package_due(const struct ms_package_record *p) {
    struct ms_terms t = ms_package_terms(p);
    switch ((enum ms_package_state)p->state) {
    case MS_PACKAGE_VALID:
        return ms_terms_due(&t);
    case MS_PACKAGE_GRACE:
        return ms_instant_add_ms(p->ended, MS_PACKAGE_GRACE_MS);
    case MS_PACKAGE_HELD:
        return ms_instant_add_ms(p->ended, MS_PACKAGE_GRACE_MS + MS_PACKAGE_RETENTION_MS);
    case MS_PACKAGE_ENDED:
    case MS_PACKAGE_STATE_COUNT:
        break;
    }
    return NEVER;
}

/* New minutes for a new term; units stay used. */
static void refill(struct ms_package_record *p) {
    if (p->kind == MS_PACKAGE_VIDEO_MINUTES)
        p->used = 0;
}

static enum ms_package_step term_over(struct ms_package_record *p, bool may_renew) {
    struct ms_terms t = ms_package_terms(p);
    struct ms_instant at = ms_terms_due(&t);
    bool next = ms_terms_pass(&t), late;
    enum ms_package_step step = MS_PACKAGE_TERM_BEGINS;
    if (!next && p->auto_renew && may_renew && ms_terms_renew(&t, at, 1, &late, NULL) == MS_OK)
        step = MS_PACKAGE_RENEWS;
    else if (!next)
        step = MS_PACKAGE_EXPIRES;
    set_terms(p, &t);
    refill(p);
    if (step != MS_PACKAGE_EXPIRES)
        return step;
    p->state = MS_PACKAGE_GRACE;
    p->ended = at;
    p->auto_renew = 0;
    return step;
}

enum ms_package_step ms_package_pass(struct ms_package_record *p, bool may_renew) {
    MS_ASSERT(ms_package_due(p).ms != INT64_MAX);
    if (p->state == MS_PACKAGE_VALID)
        return term_over(p, may_renew);
    p->state++;
    return p->state == MS_PACKAGE_HELD ? MS_PACKAGE_HOLDS : MS_PACKAGE_ENDS;
}

enum ms_code ms_package_renew(struct ms_package_record *p, struct ms_instant at, uint32_t terms,
                              struct ms_package_renewal *ret_renewal, struct ms_error *reterr) {
    struct ms_terms t = ms_package_terms(p);
    struct ms_package_renewal renewal = {.lift = p->state == MS_PACKAGE_HELD};
    if (p->state == MS_PACKAGE_ENDED)
        return ms_fail(reterr, MS_WRONG_STATE,
                       "the package ran out, and its retention period is over: buy another one");
    if (terms < 1 || terms > MS_TERMS_MAX)
        return ms_fail(reterr, MS_RANGE, "a renewal adds 1 to %d terms, not %u", MS_TERMS_MAX,
                       terms);
    enum ms_code code = ms_terms_renew(&t, at, terms, &renewal.late, reterr);
    if (code != MS_OK)
        return code;
    set_terms(p, &t);
    if (renewal.late)
        refill(p);
    p->state = MS_PACKAGE_VALID;
    p->ended = (struct ms_instant){0};
    *ret_renewal = renewal;
    return MS_OK;
}

uint64_t ms_package_left(const struct ms_package_record *p) {
    return ms_package_is_valid(p) && p->used < p->amount ? p->amount - p->used : 0;
}

bool ms_package_fits(uint8_t kind, uint8_t asset_type) {
    if (kind == MS_PACKAGE_MODELING_2D)
        return asset_type == MS_TYPE_HUMAN_MODEL_2D;
    return kind == MS_PACKAGE_VOICE_CLONE && asset_type == MS_TYPE_VOICE_MODEL;
}
