#include "cli/bill_common.h"
#include "cli/day_chart.h"
#include "cli/quota_text.h"

#include "quota/quota.h"
#include "service/usage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { OPT_FROM, OPT_TO, OPT_DAYS, OPT_TOP, OPT_CHART };
#define TOP_USUAL 10
#define DAYS_USUAL 30

/* ---- days ------------------------------------------------------------------------------------ */

/* Closed days, and today: as it stands now, taken for a whole day. */
struct days {
    struct ms_bill_day *list;
    size_t n, cap;
    bool no_memory;
};

static bool keep(void *priv, const struct ms_bill_day *day) {
    struct days *d = priv;
    if (d->n == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 64;
        struct ms_bill_day *list = realloc(d->list, cap * sizeof *list);
        d->no_memory = list == NULL;
        if (!list)
            return false;
        d->list = list;
        d->cap = cap;
    }
    d->list[d->n++] = *day;
    return true;
}

static struct ms_bill_day today(const struct ms_quota_info *q) {
    const struct ms_usage_record *u = &q->usage;
    const uint64_t bytes[MS_CLASS_COUNT] = {[MS_CLASS_STANDARD] = u->standard,
                                            [MS_CLASS_PRODUCED_FREE] = u->produced_free,
                                            [MS_CLASS_PRODUCED] = u->produced,
                                            [MS_CLASS_EXCLUDED] = u->excluded};
    struct ms_bill_day d = {.day.midnight = ms_instant_day_start(q->now)};
    struct ms_quota_state state = {.allowance = q->allowance, .metered = q->metered};
    for (size_t c = 0; c < MS_CLASS_COUNT; c++)
        d.day.bytes[c] = (ms_u128)bytes[c] * MS_DAY_MS;
    d.day.allowance = (ms_u128)q->allowance * MS_DAY_MS;
    d.day.excess = (ms_u128)ms_quota_excess(state) * MS_DAY_MS;
    return d;
}

static enum ms_code range(struct ms_cli *cli, struct ms_instant now, struct ms_instant *ret_from,
                          struct ms_instant *ret_to, struct ms_error *reterr) {
    *ret_from = ms_instant_add_ms(ms_instant_day_start(now), -DAYS_USUAL * MS_DAY_MS);
    *ret_to = ms_instant_add_ms(ms_instant_day_start(now), MS_DAY_MS);
    if (cli->given[OPT_FROM])
        MS_TRY(ms_cli_day(cli->given[OPT_FROM], ret_from, reterr));
    if (cli->given[OPT_TO]) {
        MS_TRY(ms_cli_day(cli->given[OPT_TO], ret_to, reterr));
        *ret_to = ms_instant_add_ms(*ret_to, MS_DAY_MS);
    }
    return ret_from->ms < ret_to->ms
               ? MS_OK
               : ms_fail(reterr, MS_USAGE, "--from %s lies behind --to %s",
                         cli->given[OPT_FROM] ? cli->given[OPT_FROM] : "(30 days ago)",
                         cli->given[OPT_TO] ? cli->given[OPT_TO] : "(today)");
}

static enum ms_code load_days(struct ms_cli *cli, const struct ms_quota_info *q, struct days *days,
                              struct ms_error *reterr) {
    struct ms_instant from, to;
    MS_TRY(range(cli, q->now, &from, &to, reterr));
    MS_TRY(ms_bill_days(cli->svc, cli->ctx.tenant, from, to, keep, days, reterr));
    const struct ms_bill_day open = today(q);
    if (!days->no_memory && open.day.midnight.ms >= from.ms && open.day.midnight.ms < to.ms)
        (void)keep(days, &open);
    return days->no_memory ? ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu days", days->n)
                           : MS_OK;
}

static bool is_open(const struct ms_bill_day *d) { return d->seq == 0; }

/* ---- for people ------------------------------------------------------------------------------ */

static void print_classes(const struct ms_usage_report *r) {
    static const char *const heads[] = {"CLASS", "COUNTS", ">ASSETS", ">FILES", ">BYTES", ">SIZE",
                                        NULL};
    struct ms_table *table = ms_table_new(heads);
    for (size_t c = 0; c < MS_CLASS_COUNT; c++) {
        const struct ms_usage_sum *s = &r->class[c];
        char assets[24], files[24];
        (void)snprintf(assets, sizeof assets, "%" PRIu64, s->assets);
        (void)snprintf(files, sizeof files, "%" PRIu64, s->files);
        ms_table_row(table, (const char *const[]){ms_class_name((enum ms_class)c),
                                                  ms_class_is_metered((enum ms_class)c) ? "yes" : "no",
                                                  assets, files, ms_out_exact(s->bytes).s,
                                                  ms_out_size(s->bytes).s});
    }
    ms_table_print(table, stdout);
}

static void print_types(const struct ms_usage_report *r) {
    static const char *const heads[] = {"TYPE",  ">ASSETS", ">FILES",  ">BYTES",
                                        ">SIZE", ">FROZEN", ">IN BIN", NULL};
    struct ms_table *table = ms_table_new(heads);
    for (size_t i = 0; i <= MS_TYPE_COUNT; i++) {
        const struct ms_usage_sum *s = i < MS_TYPE_COUNT ? &r->type[i] : &r->all;
        char assets[24], files[24];
        (void)snprintf(assets, sizeof assets, "%" PRIu64, s->assets);
        (void)snprintf(files, sizeof files, "%" PRIu64, s->files);
        if (i < MS_TYPE_COUNT && s->assets == 0)
            continue;
        ms_table_row(table, (const char *const[]){
                                i < MS_TYPE_COUNT ? ms_asset_type_name((enum ms_asset_type)i) : "all",
                                assets, files, ms_out_exact(s->bytes).s, ms_out_size(s->bytes).s,
                                ms_out_size(s->frozen_bytes).s, ms_out_size(s->binned_bytes).s});
    }
    ms_table_print(table, stdout);
}

static void print_top(const struct ms_usage_report *r) {
    static const char *const heads[] = {"LARGEST", "TYPE", "STATE", "CLASS", ">BYTES", ">SIZE",
                                        "NAME",    NULL};
    struct ms_table *table = ms_table_new(heads);
    for (size_t i = 0; i < r->top_n; i++) {
        const struct ms_usage_asset *a = &r->top[i];
        ms_table_row(table, (const char *const[]){ms_id_text(a->id.id).s,
                                                  ms_asset_type_name((enum ms_asset_type)a->type),
                                                  ms_state_name(a->state),
                                                  ms_class_name((enum ms_class)a->class),
                                                  ms_out_exact(a->bytes).s, ms_out_size(a->bytes).s,
                                                  a->name});
    }
    ms_table_print(table, stdout);
}

static void print_days(const struct days *days) {
    static const char *const heads[] = {"DAY (MEANS)", ">STANDARD", ">PRODUCED", ">PRODUCED, FREE",
                                        ">NOT COUNTED", ">ALLOWED", ">EXCESS", NULL};
    struct ms_table *table = ms_table_new(heads);
    for (size_t i = 0; i < days->n; i++) {
        const struct ms_day *d = &days->list[i].day;
        char text[MS_RFC3339_S_LEN + 1], day[32];
        ms_instant_format_s(d->midnight, text);
        (void)snprintf(day, sizeof day, "%.10s%s", text, is_open(&days->list[i]) ? " (now)" : "");
        ms_table_row(table, (const char *const[]){
                                day, ms_out_size(ms_day_mean(d->bytes[MS_CLASS_STANDARD])).s,
                                ms_out_size(ms_day_mean(d->bytes[MS_CLASS_PRODUCED])).s,
                                ms_out_size(ms_day_mean(d->bytes[MS_CLASS_PRODUCED_FREE])).s,
                                ms_out_size(ms_day_mean(d->bytes[MS_CLASS_EXCLUDED])).s,
                                ms_out_size(ms_day_mean(d->allowance)).s,
                                ms_out_size(ms_day_mean(d->excess)).s});
    }
    ms_table_print(table, stdout);
}

static void print(const struct ms_cli *cli, const struct ms_usage_report *r,
                  const struct days *days) {
    ms_out_pair("tenant", "%s", r->quota.tenant.name);
    ms_quota_print(&r->quota);
    ms_out_pair("frozen", "%19s bytes  %" PRIu64 " assets (counted while they last)",
                ms_out_exact(r->all.frozen_bytes).s, r->all.frozen_assets);
    printf("\n");
    print_classes(r);
    printf("\n");
    print_types(r);
    if (r->top_n > 0) {
        printf("\n");
        print_top(r);
    }
    if (cli->given[OPT_DAYS]) {
        printf("\n");
        print_days(days);
    }
    if (cli->given[OPT_CHART] || (isatty(STDOUT_FILENO) && days->n > 1))
        ms_day_chart(days->list, days->n);
}

/* ---- for programs ---------------------------------------------------------------------------- */

static json_t *day_json(const struct ms_bill_day *d) {
    char text[MS_RFC3339_S_LEN + 1];
    ms_instant_format_s(d->day.midnight, text);
    text[10] = '\0';
    json_t *o = json_pack("{s:s,s:b}", "day", text, "closed", (int)!is_open(d));
    for (size_t c = 0; c < MS_CLASS_COUNT && o; c++)
        ms_out_set(o, ms_class_name((enum ms_class)c), ms_out_json_u64(ms_day_mean(d->day.bytes[c])));
    if (o) {
        ms_out_set(o, "allowance", ms_out_json_u64(ms_day_mean(d->day.allowance)));
        ms_out_set(o, "excess", ms_out_json_u64(ms_day_mean(d->day.excess)));
    }
    return o;
}

static enum ms_code print_json(const struct ms_usage_report *r, const struct days *days,
                               struct ms_error *reterr) {
    json_t *o = ms_usage_report_json(r), *list = json_array();
    bool whole = o && list;
    for (size_t i = 0; i < days->n && whole; i++)
        whole = json_array_append_new(list, day_json(&days->list[i])) == 0;
    whole = whole && json_object_set(o, "days_mean_bytes", list) == 0;
    json_decref(list);
    if (whole)
        return ms_out_json(o, reterr);
    json_decref(o);
    return ms_fail(reterr, MS_NO_MEMORY, "no memory for a JSON text");
}

/* ---- the command ----------------------------------------------------------------------------- */

static enum ms_code top_of(const struct ms_cli *cli, size_t *ret_top, struct ms_error *reterr) {
    const char *text = cli->given[OPT_TOP];
    char *end;
    *ret_top = TOP_USUAL;
    if (!text)
        return MS_OK;
    unsigned long n = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || n > MS_USAGE_TOP_MAX)
        return ms_fail(reterr, MS_USAGE, "--top is a number from 0 to %u, not \"%.64s\"",
                       MS_USAGE_TOP_MAX, text);
    *ret_top = n;
    return MS_OK;
}

static enum ms_code show(struct ms_cli *cli, struct ms_usage_report *r, struct days *days,
                         struct ms_error *reterr) {
    struct ms_progress progress;
    struct ms_usage_options options = {.looked_at = ms_progress_number, .priv = &progress};
    MS_TRY(top_of(cli, &options.top_max, reterr));
    ms_progress_begin(&progress, cli, "assets");
    enum ms_code code = ms_usage_report(cli->svc, &cli->ctx, &options, r, reterr);
    ms_progress_end(&progress);
    if (code == MS_OK)
        code = load_days(cli, &r->quota, days, reterr);
    if (code != MS_OK)
        return code;
    if (cli->json)
        return print_json(r, days, reterr);
    print(cli, r, days);
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_usage_report report = {.top = NULL};
    struct days days = {.list = NULL};
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT | MS_NEED_READ_ONLY, reterr));
    enum ms_code code = show(cli, &report, &days, reterr);
    ms_usage_report_fini(&report);
    free(days.list);
    return code;
}

const struct ms_cmd ms_cmd_usage = {
    .name = "usage",
    .args = "",
    .summary = "show what a tenant stores: by class, by type, the largest assets, over time",
    .help = "Quota and usage are exact at this instant, swept or not. What they are made of is "
            "counted over all assets, which\n"
            "takes seconds for a million; on a tenant that is at work its sums may lie beside those "
            "of the quota. Over time:\n"
            "the mean of each closed day (see bill run), and today as it stands now; the last 30 "
            "days unless --from and --to\n"
            "say otherwise; as bars on a terminal. Why a single asset counts or does not: quota "
            "explain.\n\n"
            "Example:\n"
            "  msasset usage --tenant media --from 2026-01-01 --to 2026-01-31 --days --top 20\n",
    .opts = {{"from", 0, "DATE", "the first day"},
             {"to", 0, "DATE", "the last day"},
             {"days", 0, NULL, "a line per day too (tables only)"},
             {"top", 0, "N", "so many of the largest assets, 0 to 1000 (default: 10)"},
             {"chart", 0, NULL, "the bars although this is no terminal"}},
    .run = run,
};
