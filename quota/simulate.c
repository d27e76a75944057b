/* Lines, time, report. What an event means stands in simulate_event.c. */
#include "quota/simulate.h"

#include "base/assert.h"
#include "quota/simulate_impl.h"

#include <inttypes.h>
#include <stdlib.h>

enum ms_code ms_simulation_new(const struct ms_rates *rates, struct ms_simulation **ret_simulation,
                               struct ms_error *reterr) {
    struct ms_simulation *s = calloc(1, sizeof *s);
    if (!s)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a simulation");
    s->rates = rates;
    *ret_simulation = s;
    return MS_OK;
}

void ms_simulation_free(struct ms_simulation *s) {
    if (!s)
        return;
    for (uint32_t i = 0; i < s->tenant_names.n; i++)
        ms_days_fini(&s->tenants[i].days);
    ms_json_fini(&s->json);
    ms_names_fini(&s->tenant_names);
    ms_names_fini(&s->asset_names);
    ms_names_fini(&s->package_ids);
    ms_names_fini(&s->package_names);
    free(s->tenants);
    free(s->assets);
    free(s->packages);
    free(s->due);
    free(s->draw);
    free(s);
}

enum ms_code ms_simulation_grow(void **array, size_t *cap, size_t n, size_t size,
                                struct ms_error *reterr) {
    if (n < *cap)
        return MS_OK;
    size_t more = *cap ? *cap * 2 : 16;
    void *p = realloc(*array, more * size);
    if (!p)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu times %zu bytes", more, size);
    *array = p;
    *cap = more;
    return MS_OK;
}

/* ---- what time brings about: a binary heap -----------------------------------------------------
 */

static bool is_before(const struct ms_simulation *s, size_t a, size_t b) {
    return ms_instant_before(s->due[a].at, s->due[b].at);
}

static void swap(struct ms_simulation *s, size_t a, size_t b) {
    struct due kept = s->due[a];
    s->due[a] = s->due[b];
    s->due[b] = kept;
}

enum ms_code ms_simulation_add_due(struct ms_simulation *s, struct due due,
                                   struct ms_error *reterr) {
    enum ms_code code =
        ms_simulation_grow((void **)&s->due, &s->due_cap, s->due_n, sizeof *s->due, reterr);
    if (code != MS_OK)
        return code;
    size_t i = s->due_n++;
    s->due[i] = due;
    for (; i > 0 && is_before(s, i, (i - 1) / 2); i = (i - 1) / 2)
        swap(s, i, (i - 1) / 2);
    return MS_OK;
}

static struct due take_due(struct ms_simulation *s) {
    struct due first = s->due[0];
    s->due[0] = s->due[--s->due_n];
    for (size_t i = 0, child; (child = 2 * i + 1) < s->due_n; i = child) {
        if (child + 1 < s->due_n && is_before(s, child + 1, child))
            child++;
        if (!is_before(s, child, i))
            break;
        swap(s, child, i);
    }
    return first;
}

enum ms_code ms_simulation_advance(struct ms_simulation *s, struct tenant *tenant,
                                   struct ms_instant at, struct ms_error *reterr) {
    struct ms_day day;
    (void)s;
    while (ms_meter_day_end(&tenant->meter).ms <= at.ms) {
        ms_meter_close_day(&tenant->meter, &day);
        enum ms_code code = ms_days_add(&tenant->days, &day, reterr);
        if (code != MS_OK)
            return code;
    }
    ms_meter_advance(&tenant->meter, at);
    return MS_OK;
}

static enum ms_code term_over(struct ms_simulation *s, struct due due, struct ms_error *reterr) {
    struct package *p = &s->packages[due.what];
    struct tenant *t = &s->tenants[p->owner];
    enum ms_code code = ms_simulation_advance(s, t, due.at, reterr);
    if (code != MS_OK)
        return code;
    MS_ASSERT(ms_terms_due(&p->terms).ms == due.at.ms);
    if (ms_terms_pass(&p->terms)) {
        ms_simulation_term(s, p, due.at);
        due.at = ms_terms_due(&p->terms);
        return ms_simulation_add_due(s, due, reterr);
    }
    if (p->kind == MS_PACKAGE_ASSET_MANAGER) {
        t->capacity -= p->amount;
        ms_meter_allow(&t->meter, due.at, t->free_bytes + t->capacity);
    }
    return MS_OK;
}

static enum ms_code video_counts(struct ms_simulation *s, struct due due, struct ms_error *reterr) {
    const struct asset *a = &s->assets[due.what];
    if (a->owner == NOBODY)
        return MS_OK;
    struct ms_ledger_record event = {
        .at = due.at,
        .class_before = MS_CLASS_PRODUCED_FREE,
        .bytes_before = a->bytes,
        .class_after = MS_CLASS_PRODUCED,
        .bytes_after = a->bytes,
    };
    struct tenant *t = &s->tenants[a->owner];
    enum ms_code code = ms_simulation_advance(s, t, due.at, reterr);
    if (code != MS_OK)
        return code;
    enum ms_usage_fault fault = ms_meter_apply(&t->meter, &event);
    MS_ASSERT(fault == MS_USAGE_FINE);
    return MS_OK;
}

/* All that is due at or before at, in order. */
static enum ms_code pass_time(struct ms_simulation *s, struct ms_instant at,
                              struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    while (code == MS_OK && s->due_n > 0 && s->due[0].at.ms <= at.ms) {
        struct due due = take_due(s);
        code = due.package ? term_over(s, due, reterr) : video_counts(s, due, reterr);
    }
    return code;
}

/* ---- lines -------------------------------------------------------------------------------------
 */

static enum ms_code end(struct ms_simulation *s, struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    s->ended = true;
    for (uint32_t i = 0; i < s->tenant_names.n && code == MS_OK; i++)
        code = ms_simulation_advance(s, &s->tenants[i], s->now, reterr);
    return code;
}

static enum ms_code take_line(struct ms_simulation *s, const char *line, size_t n,
                              struct ms_error *reterr) {
    struct ms_history_event event;
    char now[MS_RFC3339_MS_LEN + 1];
    enum ms_code code = ms_history_parse(&s->json, line, n, &event, reterr);
    if (code != MS_OK)
        return code;
    if (s->ended)
        return ms_fail(reterr, MS_BILL_INPUT, "a \"%s\" follows \"end\", which must be the last",
                       ms_history_do_name(event.what));
    ms_instant_format_ms(s->now, now);
    if (ms_instant_before(event.at, s->now))
        return ms_fail(reterr, MS_BILL_INPUT,
                       "\"at\" is %s: lines must be in order of time, and the one before is at %s",
                       ms_json_written(&s->json, "at").s, now);
    code = pass_time(s, event.at, reterr);
    s->now = event.at;
    if (code == MS_OK)
        code =
            event.what == MS_HISTORY_END ? end(s, reterr) : ms_simulation_event(s, &event, reterr);
    return code;
}

enum ms_code ms_simulation_line(struct ms_simulation *s, const char *line, size_t n,
                                struct ms_error *reterr) {
    struct ms_error why = {0};
    s->line++;
    if (ms_history_is_blank(line, n))
        return MS_OK;
    enum ms_code code = take_line(s, line, n, &why);
    return code == MS_OK ? MS_OK
                         : ms_fail(reterr, code, "line %" PRIu64 ": %s", s->line, why.message);
}

enum ms_code ms_simulation_finish(struct ms_simulation *s, struct ms_error *reterr) {
    if (s->ended)
        return MS_OK;
    return ms_fail(reterr, MS_BILL_INPUT,
                   "line %" PRIu64
                   ": this is where the history stops, but \"end\" must be the last",
                   s->line ? s->line : 1);
}

/* ---- report ------------------------------------------------------------------------------------
 */

struct statements {
    struct ms_statement *s;
    size_t n, cap;
};

static enum ms_code add_statement(struct statements *all, const struct ms_rating *rating,
                                  struct ms_error *reterr) {
    enum ms_code code =
        ms_simulation_grow((void **)&all->s, &all->cap, all->n, sizeof *all->s, reterr);
    if (code == MS_OK)
        all->s[all->n++] = ms_rating_statement(rating);
    return code;
}

static enum ms_code stopped(struct ms_error *reterr) {
    return ms_fail(reterr, MS_CANCELLED, "the bill was not taken to its end");
}

static enum ms_code report_days(const struct ms_simulation *s, const struct tenant *tenant,
                                const struct ms_bill_sink *sink, struct statements *months,
                                struct ms_error *reterr) {
    struct ms_rating rating;
    struct ms_days_at place = {0};
    struct ms_day day;
    struct ms_line line;
    enum ms_code code = MS_OK;
    ms_rating_begin(&rating, s->rates);
    while (code == MS_OK && ms_days_next(&tenant->days, &place, &day)) {
        if (rating.month.days > 0 &&
            ms_instant_month_start(day.midnight).ms != rating.month.month.ms)
            code = add_statement(months, &rating, reterr);
        ms_rating_day(&rating, &day, &line);
        if (code == MS_OK && !sink->day(sink->to, &day, &line))
            code = stopped(reterr);
    }
    if (code == MS_OK && rating.month.days > 0)
        code = add_statement(months, &rating, reterr);
    return code;
}

enum ms_code ms_simulation_report(const struct ms_simulation *s, const struct ms_bill_sink *sink,
                                  struct ms_error *reterr) {
    struct statements months = {0};
    enum ms_code code = MS_OK;
    MS_ASSERT(s->ended);
    for (uint32_t i = 0; i < s->tenant_names.n && code == MS_OK; i++) {
        months.n = 0;
        if (!sink->tenant(sink->to, ms_names_text(&s->tenant_names, i)))
            code = stopped(reterr);
        if (code == MS_OK)
            code = report_days(s, &s->tenants[i], sink, &months, reterr);
        for (size_t k = 0; k < months.n && code == MS_OK; k++)
            if (!sink->month(sink->to, &months.s[k]))
                code = stopped(reterr);
    }
    free(months.s);
    return code;
}
