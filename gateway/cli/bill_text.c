#include "cli/bill_text.h"

#include <inttypes.h>
#include <stdlib.h>

struct date {
    char s[MS_RFC3339_S_LEN + 1];
};

/* "2026-01-31", or "2026-01" when that is all that is wanted. */
static struct date date_of(struct ms_instant at, size_t len) {
    struct date d;
    ms_instant_format_s(at, d.s);
    d.s[len] = '\0';
    return d;
}
#define DAY_LEN 10
#define MONTH_LEN 7

/* ---- JSON --------------------------------------------------------------------------------------
 */

/* Stops the report when the output does not take any more, or a signal came. */
static bool go_on(const struct ms_bill_text *text) {
    return !ferror(text->to) && !text->no_memory && !ms_cli_stopped();
}

static bool json_tenant(void *to, struct ms_view name) {
    struct ms_bill_text *text = to;
    json_t *string = json_stringn(name.p, name.n);
    free(text->tenant);
    text->tenant = json_dumps(string, JSON_ENCODE_ANY);
    json_decref(string);
    text->no_memory = text->tenant == NULL;
    return go_on(text);
}

static void json_number(FILE *to, const char *member, ms_u128 n) {
    fputs(",\"", to);
    fputs(member, to);
    fputs("\":\"", to);
    fputs(ms_u128_text(n).s, to);
    fputc('"', to);
}

static bool json_day(void *to, const struct ms_day *day, const struct ms_line *line) {
    struct ms_bill_text *text = to;
    fprintf(text->to, "{\"tenant\":%s,\"day\":\"%s\"", text->tenant,
            date_of(day->midnight, DAY_LEN).s);
    for (enum ms_class c = 0; c < MS_CLASS_COUNT; c++)
        json_number(text->to, ms_class_name(c), day->bytes[c]);
    json_number(text->to, "allowance", day->allowance);
    json_number(text->to, "excess", day->excess);
    json_number(text->to, "video_hundredths", day->video_hundredths);
    json_number(text->to, "video_paid_hundredths", day->video_paid_hundredths);
    json_number(text->to, "storage_micros", line->storage);
    json_number(text->to, "video_micros", line->video);
    json_number(text->to, "package_micros", line->package);
    json_number(text->to, "total_micros", line->total);
    fputs("}\n", text->to);
    return go_on(text);
}

static bool json_month(void *to, const struct ms_statement *s) {
    struct ms_bill_text *text = to;
    fprintf(text->to,
            "{\"tenant\":%s,\"month\":\"%s\",\"total_micros\":\"%s\",\"total\":\"%s\","
            "\"currency\":\"%s\"}\n",
            text->tenant, date_of(s->month, MONTH_LEN).s, ms_u128_text(s->total).s,
            ms_currency_text(text->rates->currency, s->total).s,
            ms_currency_name(text->rates->currency));
    return go_on(text);
}

struct ms_bill_sink ms_bill_json_sink(struct ms_bill_text *text) {
    return (struct ms_bill_sink){json_tenant, json_day, json_month, text};
}

/* ---- tables ------------------------------------------------------------------------------------
 */

/* A number of 10^-digits as decimal text: micros with 6 digits, hundredths with 2. */
static struct ms_u128_text decimal(ms_u128 n, unsigned digits) {
    struct ms_u128_text t;
    unsigned one = 1;
    for (unsigned i = 0; i < digits; i++)
        one *= 10;
    (void)snprintf(t.s, sizeof t.s, "%.28s.%0*u", ms_u128_text(n / one).s, (int)digits,
                   (unsigned)(n % one));
    return t;
}

static void print_tables(struct ms_bill_text *text) {
    if (!text->tenant)
        return;
    fprintf(text->to, "Tenant %s, %s\n", text->tenant, ms_currency_name(text->rates->currency));
    if (text->of_days) {
        ms_table_print(text->of_days, text->to);
        fputc('\n', text->to);
    }
    ms_table_print(text->of_months, text->to);
    free(text->tenant);
    text->tenant = NULL;
    text->of_days = text->of_months = NULL;
}

static bool table_tenant(void *to, struct ms_view name) {
    static const char *const days[] = {
        "DAY",    ">GB-MONTHS STORED", ">EXCESS", ">VIDEO MIN", ">OF THESE PAID", ">STORAGE",
        ">VIDEO", ">PACKAGES",         ">TOTAL",  NULL};
    static const char *const months[] = {
        "MONTH",    ">DAYS",  ">EXCESS GB-MONTHS", ">VIDEO MIN", ">OF THESE PAID",
        ">STORAGE", ">VIDEO", ">PACKAGES",         ">TOTAL",     NULL};
    struct ms_bill_text *text = to;
    bool first = text->tenant == NULL;
    print_tables(text);
    text->tenant = strndup(name.p, name.n);
    text->no_memory = text->tenant == NULL;
    if (text->no_memory)
        return false;
    if (!first)
        fputc('\n', text->to);
    text->of_days = text->days ? ms_table_new(days) : NULL;
    text->of_months = ms_table_new(months);
    return go_on(text);
}

static bool table_day(void *to, const struct ms_day *day, const struct ms_line *line) {
    struct ms_bill_text *text = to;
    ms_u128 stored = 0;
    for (size_t c = 0; c < MS_CLASS_COUNT; c++)
        stored += day->bytes[c];
    if (text->of_days)
        ms_table_row(text->of_days,
                     (const char *const[]){date_of(day->midnight, DAY_LEN).s,
                                           ms_gb_months_text(stored, day->midnight).s,
                                           ms_gb_months_text(day->excess, day->midnight).s,
                                           decimal(day->video_hundredths, 2).s,
                                           decimal(day->video_paid_hundredths, 2).s,
                                           decimal(line->storage, 6).s, decimal(line->video, 6).s,
                                           decimal(line->package, 6).s, decimal(line->total, 6).s});
    return go_on(text);
}

static bool table_month(void *to, const struct ms_statement *s) {
    struct ms_bill_text *text = to;
    char days[16];
    (void)snprintf(days, sizeof days, "%u", s->days);
    ms_table_row(text->of_months,
                 (const char *const[]){
                     date_of(s->month, MONTH_LEN).s, days, ms_gb_months_text(s->excess, s->month).s,
                     decimal(s->video_hundredths, 2).s, decimal(s->video_paid_hundredths, 2).s,
                     decimal(s->storage, 6).s, decimal(s->video, 6).s, decimal(s->package, 6).s,
                     ms_currency_text(text->rates->currency, s->total).s});
    return go_on(text);
}

struct ms_bill_sink ms_bill_table_sink(struct ms_bill_text *text) {
    return (struct ms_bill_sink){table_tenant, table_day, table_month, text};
}

enum ms_code ms_bill_text_end(struct ms_bill_text *text, enum ms_code code,
                              struct ms_error *reterr) {
    bool no_memory = text->no_memory;
    if (code == MS_OK && text->of_months)
        print_tables(text);
    if (text->of_days)
        ms_table_drop(text->of_days);
    if (text->of_months)
        ms_table_drop(text->of_months);
    free(text->tenant);
    *text = (struct ms_bill_text){.rates = text->rates, .to = text->to};
    if (ms_cli_stopped())
        return ms_fail(reterr, MS_CANCELLED, "stopped by a signal");
    if (no_memory)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the bill");
    if (fflush(text->to) != 0 || ferror(text->to))
        return ms_fail(reterr, MS_CANT_CREATE, "the bill cannot be written: %s", strerror(errno));
    return code;
}
