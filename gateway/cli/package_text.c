#include "cli/package_text.h"

#include "quota/price.h"

#include <inttypes.h>
#include <string.h>

/* Days that are begun, so that the last one is still "1 day". */
static int64_t days_until(struct ms_instant at, struct ms_instant now) {
    return at.ms <= now.ms ? 0 : (at.ms - now.ms + MS_DAY_MS - 1) / MS_DAY_MS;
}

static struct ms_instant end_of(const struct ms_package_record *p) {
    struct ms_terms terms = ms_package_terms(p);
    return ms_terms_end(&terms);
}

struct ms_out_text ms_package_says(const struct ms_package_record *p, struct ms_instant now) {
    struct ms_out_text t = {""};
    int64_t days = days_until(p->state == MS_PACKAGE_VALID ? end_of(p) : ms_package_due(p), now);
    const char *s = days == 1 ? "" : "s";
    switch ((enum ms_package_state)p->state) {
    case MS_PACKAGE_VALID:
        if (p->months == 0)
            (void)snprintf(t.s, sizeof t.s, "valid");
        else
            (void)snprintf(t.s, sizeof t.s, "%s in %" PRId64 " day%s",
                           p->auto_renew ? "renewing" : "expiring", days, s);
        break;
    case MS_PACKAGE_GRACE:
        (void)snprintf(t.s, sizeof t.s, "expired, frozen in %" PRId64 " day%s", days, s);
        break;
    case MS_PACKAGE_HELD:
        (void)snprintf(t.s, sizeof t.s, "frozen (retention period)");
        break;
    case MS_PACKAGE_ENDED:
    case MS_PACKAGE_STATE_COUNT:
        (void)snprintf(t.s, sizeof t.s, "deleted");
        break;
    }
    return t;
}

/* "12.57", "3", or bytes. */
static struct ms_out_text amount_text(const struct ms_package_record *p, uint64_t n) {
    struct ms_out_text t;
    if (p->kind == MS_PACKAGE_ASSET_MANAGER)
        return ms_out_size(n);
    if (p->kind == MS_PACKAGE_VIDEO_MINUTES)
        (void)snprintf(t.s, sizeof t.s, "%" PRIu64 ".%02" PRIu64 " min", n / 100, n % 100);
    else
        (void)snprintf(t.s, sizeof t.s, "%" PRIu64, n);
    return t;
}

static json_t *time_or_null(struct ms_instant at) {
    return at.ms == INT64_MAX ? json_null() : ms_out_json_time(at);
}

json_t *ms_package_json(const struct ms_package_record *p, struct ms_instant now) {
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:b,s:I,s:I,s:I,s:i,s:o,s:o,s:o,s:s}", "package_id",
                     ms_id_text(p->id).s, "order_id", p->order, "name", p->name, "kind",
                     ms_package_kind_name(p->kind), "source", ms_package_source_name(p->source),
                     "state", ms_package_state_name(p->state), "paid", (int)p->paid, "auto_renew",
                     (int)p->auto_renew, "amount", (json_int_t)p->amount, "used",
                     (json_int_t)p->used, "left", (json_int_t)ms_package_left(p), "months",
                     (int)p->months, "begins", ms_out_json_time(p->first), "ends",
                     time_or_null(end_of(p)), "next_change", time_or_null(ms_package_due(p)),
                     "says", ms_package_says(p, now).s);
}

static void row(struct ms_table *table, const struct ms_package_record *p, struct ms_instant now) {
    char end[MS_RFC3339_S_LEN + 1] = "";
    if (p->months > 0)
        ms_instant_format_s(end_of(p), end);
    ms_table_row(table, (const char *const[]){ms_id_text(p->id).s, p->name,
                                              ms_package_kind_name(p->kind),
                                              amount_text(p, p->amount).s,
                                              p->kind == MS_PACKAGE_ASSET_MANAGER
                                                  ? ""
                                                  : amount_text(p, ms_package_left(p)).s,
                                              end, p->auto_renew ? "on" : "off",
                                              ms_package_says(p, now).s});
}

enum ms_code ms_package_print(struct ms_cli *cli, const struct ms_package_record *list, size_t n,
                              bool one, struct ms_error *reterr) {
    static const char *const heads[] = {"PACKAGE", "NAME", "KIND",       ">AMOUNT",
                                        ">LEFT",   "ENDS", "AUTO-RENEW", "STATE",   NULL};
    struct ms_instant now = ms_clock_now(cli->svc->clock);
    if (cli->json && one)
        return ms_out_json(ms_package_json(list, now), reterr);
    if (cli->json) {
        json_t *all = json_array();
        for (size_t i = 0; i < n; i++)
            ms_out_add(all, ms_package_json(&list[i], now));
        return ms_out_json(all, reterr);
    }
    if (one && cli->quiet)
        return MS_OK;
    struct ms_table *table = ms_table_new(heads);
    for (size_t i = 0; i < n; i++)
        row(table, &list[i], now);
    ms_table_print(table, stdout);
    return MS_OK;
}

enum ms_code ms_package_arg(const char *text, struct ms_package_id *ret_id,
                            struct ms_error *reterr) {
    if (ms_id_parse(text, &ret_id->id, NULL) == MS_OK)
        return MS_OK;
    return ms_fail(reterr, MS_USAGE, "\"%.64s\" is no id of a package: see msasset package ls", text);
}

enum ms_code ms_package_number(const char *text, const char *flag, uint32_t without,
                               uint32_t *ret_n, struct ms_error *reterr) {
    char *end = NULL;
    *ret_n = without;
    if (!text)
        return MS_OK;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno || end == text || *end || n > UINT32_MAX || text[0] == '-')
        return ms_fail(reterr, MS_USAGE, "%s wants a whole number, not \"%.64s\"", flag, text);
    *ret_n = (uint32_t)n;
    return MS_OK;
}

/* Bytes, minutes with two decimals, or units. */
static enum ms_code amount_of(const char *text, uint8_t kind, uint64_t *ret_amount,
                              struct ms_error *reterr) {
    uint64_t nano, one = kind == MS_PACKAGE_VIDEO_MINUTES ? MS_NANO / 100 : MS_NANO;
    if (!text)
        return ms_fail(reterr, MS_USAGE, "--amount is needed");
    if (kind == MS_PACKAGE_ASSET_MANAGER)
        return ms_bytes_parse(text, ret_amount, reterr);
    if (!ms_decimal_parse(text, strlen(text), &nano) || nano % one != 0)
        return ms_fail(reterr, MS_USAGE,
                       "--amount is a size, minutes with at most two decimals, or a number of units, "
                       "not \"%.64s\"",
                       text);
    *ret_amount = nano / one;
    return MS_OK;
}

enum ms_code ms_package_order_of(struct ms_cli *cli, struct ms_package_order *o,
                                 struct ms_error *reterr) {
    const char *kind = cli->given[MS_PACKAGE_OPT_KIND];
    o->name = cli->args[0];
    o->order = cli->given[MS_PACKAGE_OPT_ORDER];
    if (!o->order)
        return ms_fail(reterr, MS_USAGE, "--order is needed: the same id again changes nothing more");
    if (!kind || !ms_package_kind_parse(kind, &o->kind))
        return ms_fail(reterr, MS_USAGE,
                       "--kind is ASSET_MANAGER, VIDEO_MINUTES, MODELING_2D or VOICE_CLONE");
    MS_TRY(amount_of(cli->given[MS_PACKAGE_OPT_AMOUNT], o->kind, &o->amount, reterr));
    MS_TRY(ms_package_number(cli->given[MS_PACKAGE_OPT_MONTHS], "--months", 1, &o->months, reterr));
    return ms_package_number(cli->given[MS_PACKAGE_OPT_TERMS], "--terms", 1, &o->terms, reterr);
}
