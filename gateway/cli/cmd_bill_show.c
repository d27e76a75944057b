#include "cli/bill_common.h"
#include "cli/bill_text.h"
#include "cli/day_chart.h"
#include "cli/out.h"

#include "service/bill.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { OPT_FROM, OPT_TO, OPT_DAYS, OPT_CHART };

struct showing {
    struct ms_cli *cli;
    struct ms_bill_sink sink;
    struct ms_statement month; /* days 0: none begun */
    struct ms_bill_day *days;  /* for the chart */
    size_t n, cap;
    bool no_memory, stopped;
};

static bool end_month(struct showing *s) {
    bool more = s->month.days == 0 || s->sink.month(s->sink.to, &s->month);
    s->month = (struct ms_statement){0};
    return more;
}

static void add_to_month(struct ms_statement *m, const struct ms_bill_day *d) {
    m->month = ms_instant_month_start(d->day.midnight);
    m->days++;
    m->excess += d->day.excess;
    m->video_hundredths += d->day.video_hundredths;
    m->video_paid_hundredths += d->day.video_paid_hundredths;
    m->storage += d->line.storage;
    m->video += d->line.video;
    m->package += d->line.package;
    m->total += d->line.total;
}

static bool keep(struct showing *s, const struct ms_bill_day *day) {
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 64;
        struct ms_bill_day *days = realloc(s->days, cap * sizeof *days);
        s->no_memory = days == NULL;
        if (!days)
            return false;
        s->days = days;
        s->cap = cap;
    }
    s->days[s->n++] = *day;
    return true;
}

/* JSON has all days before the months, tables take both as they come. */
static bool take(void *priv, const struct ms_bill_day *day) {
    struct showing *s = priv;
    return keep(s, day) && s->sink.day(s->sink.to, &day->day, &day->line);
}

static bool months(struct showing *s) {
    for (size_t i = 0; i < s->n; i++) {
        if (s->month.days > 0 &&
            s->month.month.ms != ms_instant_month_start(s->days[i].day.midnight).ms && !end_month(s))
            return false;
        add_to_month(&s->month, &s->days[i]);
    }
    return end_month(s);
}

/* ---- adjustments ----------------------------------------------------------------------------- */

struct adjustments {
    const struct ms_cli *cli;
    struct ms_table *table;
};

static bool take_adjustment(void *priv, const struct ms_adjust_record *row) {
    static const char *const heads[] = {"ADJUSTED", "OF DAY", ">AMOUNT", "WHO", "WHY", NULL};
    struct adjustments *a = priv;
    char at[MS_RFC3339_S_LEN + 1], day[MS_RFC3339_S_LEN + 1] = "";
    if (a->cli->json) {
        json_t *o = ms_cli_adjustment_json(a->cli->tenant.name, row);
        bool written = o && json_dumpf(o, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF;
        json_decref(o);
        return written;
    }
    if (!a->table)
        a->table = ms_table_new(heads);
    ms_instant_format_s(row->at, at);
    if (!ms_instant_is_none(row->day))
        ms_instant_format_s(row->day, day);
    day[strcspn(day, "T")] = '\0';
    ms_table_row(a->table, (const char *const[]){at, day, ms_cli_adjustment_amount(row).s, row->who,
                                                 row->reason});
    return true;
}

static enum ms_code show_adjustments(const struct ms_cli *cli, struct ms_instant from,
                                     struct ms_instant to, struct ms_error *reterr) {
    struct adjustments a = {.cli = cli};
    enum ms_code code = ms_bill_adjustments(cli->svc, (struct ms_tenant_id){cli->tenant.id}, from,
                                            to, take_adjustment, &a, reterr);
    if (a.table) {
        putchar('\n');
        ms_table_print(a.table, stdout);
    }
    return code;
}

/* ---- the command ----------------------------------------------------------------------------- */

static enum ms_code range(struct ms_cli *cli, struct ms_instant *ret_from,
                          struct ms_instant *ret_to, struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    *ret_from = *ret_to = (struct ms_instant){0};
    if (cli->given[OPT_FROM])
        code = ms_cli_day(cli->given[OPT_FROM], ret_from, reterr);
    if (code == MS_OK && cli->given[OPT_TO])
        code = ms_cli_day(cli->given[OPT_TO], ret_to, reterr);
    if (cli->given[OPT_TO])
        *ret_to = ms_instant_add_ms(*ret_to, MS_DAY_MS);
    return code;
}

static enum ms_code show(struct showing *s, struct ms_bill_text *text, struct ms_error *reterr) {
    struct ms_cli *cli = s->cli;
    struct ms_instant from, to;
    enum ms_code code = range(cli, &from, &to, reterr);
    if (code != MS_OK)
        return code;
    bool more = s->sink.tenant(s->sink.to, ms_view_str(cli->tenant.name));
    code = ms_bill_days(cli->svc, (struct ms_tenant_id){cli->tenant.id}, from, to, take, s, reterr);
    if (code == MS_OK && more)
        (void)months(s);
    if (code == MS_OK && s->no_memory)
        code = ms_fail(reterr, MS_NO_MEMORY, "no memory for the bill");
    code = ms_bill_text_end(text, code, reterr);
    if (code == MS_OK)
        code = show_adjustments(cli, from, to, reterr);
    if (code == MS_OK && !cli->json && s->n > 0 &&
        (cli->given[OPT_CHART] || (isatty(STDOUT_FILENO) && s->n > 1)))
        ms_day_chart(s->days, s->n);
    return code;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_rates rates = {0};
    struct ms_bill_text text = {.rates = &rates, .to = stdout, .days = cli->given[OPT_DAYS] != NULL};
    struct showing s = {.cli = cli};
    enum ms_code code =
        ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT | MS_NEED_READ_ONLY, reterr);
    if (code == MS_OK)
        code = ms_bill_currency(cli->svc, &rates.currency, reterr);
    if (code != MS_OK)
        return code;
    s.sink = cli->json ? ms_bill_json_sink(&text) : ms_bill_table_sink(&text);
    code = show(&s, &text, reterr);
    free(s.days);
    return code;
}

const struct ms_cmd ms_cmd_bill_show = {
    .name = "bill show",
    .args = "",
    .summary = "show what closed days cost a tenant",
    .help = "A line per month, and with --days one per closed day; on a terminal a chart of what "
            "was stored on each day, with\n"
            "a mark at what was allowed. Only closed days are shown: see bill run. --json gives "
            "the lines of bill simulate,\n"
            "exact to the byte-millisecond and the millionth of the currency. Behind them come the "
            "adjustments that were entered in\n"
            "that time (bill adjust); no sum above holds them.\n\n"
            "Example:\n"
            "  msasset bill show --tenant media --from 2026-01-01 --to 2026-01-31 --days\n",
    .opts = {{"from", 0, "DATE", "the first day"},
             {"to", 0, "DATE", "the last day"},
             {"days", 0, NULL, "a line per day too (tables only)"},
             {"chart", 0, NULL, "the chart although this is no terminal"}},
    .run = run,
};
