#include "cli/bill_common.h"
#include "cli/out.h"

#include "service/bill.h"
#include "service/change.h"

#include <inttypes.h>

struct steps {
    struct ms_cli *cli;
    struct ms_table *table;
    json_t *list;
};

static bool is_of_package(const struct ms_ledger_record *row) {
    return row->seq && !ms_package_id_is_none((struct ms_package_id){row->package});
}
static bool is_of_asset(const struct ms_ledger_record *row) {
    return row->seq && row->why != MS_WHY_SETTINGS && !is_of_package(row);
}

static json_t *json_step(const struct ms_bill_step *s) {
    const struct ms_ledger_record *row = &s->row;
    json_t *o = json_pack("{s:o,s:I,s:s,s:I,s:I,s:I,s:I,s:I}", "at", ms_out_json_time(row->at),
                          "seq", (json_int_t)row->seq, "why",
                          row->seq ? ms_why_name((enum ms_why)row->why) : "begin", "standard",
                          (json_int_t)s->usage.standard, "produced_free",
                          (json_int_t)s->usage.produced_free, "produced",
                          (json_int_t)s->usage.produced, "excluded", (json_int_t)s->usage.excluded,
                          "allowance", (json_int_t)s->allowance);
    if (o && is_of_package(row)) {
        ms_out_set(o, "package_id", json_string(ms_id_text(row->package).s));
        ms_out_set(o, "fee", json_boolean(row->fee));
        ms_out_set(o, "terms", json_integer((json_int_t)row->terms));
    }
    if (o && is_of_asset(row)) {
        ms_out_set(o, "asset_id", json_string(ms_id_text(row->asset).s));
        ms_out_set(o, "class", json_string(ms_class_name((enum ms_class)row->class_after)));
        ms_out_set(o, "bytes_before", json_integer((json_int_t)row->bytes_before));
        ms_out_set(o, "bytes_after", json_integer((json_int_t)row->bytes_after));
    }
    if (o && row->why == MS_WHY_PRODUCE) {
        ms_out_set(o, "seconds", json_integer((json_int_t)row->seconds));
        ms_out_set(o, "video_hundredths", json_integer((json_int_t)row->hundredths));
        ms_out_set(o, "video_paid_hundredths", json_integer((json_int_t)row->paid_hundredths));
    }
    return o;
}

/* All minutes of a produced video, and of them those that no package held. */
static void minutes_text(const struct ms_ledger_record *row, char ret_text[64]) {
    ret_text[0] = '\0';
    if (row->why == MS_WHY_PRODUCE)
        (void)snprintf(ret_text, 64, "%" PRIu64 ".%02" PRIu64 " (%" PRIu64 ".%02" PRIu64 " paid)",
                       row->hundredths / 100, row->hundredths % 100, row->paid_hundredths / 100,
                       row->paid_hundredths % 100);
}

static bool step(void *priv, const struct ms_bill_step *s) {
    struct steps *to = priv;
    const struct ms_ledger_record *row = &s->row;
    uint64_t metered = ms_usage_metered(&s->usage);
    uint64_t excess = metered > s->allowance ? metered - s->allowance : 0;
    bool asset = is_of_asset(row), package = is_of_package(row);
    char seq[24], at[MS_RFC3339_MS_LEN + 1], minutes[64];
    if (to->cli->json)
        return json_array_append_new(to->list, json_step(s)) == 0 && !ms_cli_stopped();
    (void)snprintf(seq, sizeof seq, "%" PRIu64, row->seq);
    ms_instant_format_ms(row->at, at);
    minutes_text(row, minutes);
    ms_table_row(to->table,
                 (const char *const[]){
                     at, row->seq ? seq : "", row->seq ? ms_why_name((enum ms_why)row->why) : "begin",
                     asset     ? ms_id_text(row->asset).s
                     : package ? ms_id_text(row->package).s
                               : "",
                     asset ? ms_class_name((enum ms_class)row->class_after) : "",
                     asset ? ms_out_exact(row->bytes_before).s : "",
                     asset ? ms_out_exact(row->bytes_after).s : "", ms_out_exact(metered).s,
                     ms_out_exact(s->allowance).s, ms_out_exact(excess).s, minutes});
    return !ms_cli_stopped();
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    static const char *const heads[] = {"INSTANT", ">EVENT",   "WHY",        "WHAT",
                                        "CLASS",   ">BEFORE",  ">AFTER",     ">METERED",
                                        ">ALLOWED", ">EXCESS", ">MINUTES",   NULL};
    struct steps steps = {.cli = cli};
    struct ms_instant day;
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE | MS_NEED_READ_ONLY, reterr);
    if (code == MS_OK)
        code = ms_tenant_find(cli->svc, cli->args[0], &cli->tenant, reterr);
    if (code == MS_OK)
        code = ms_cli_day(cli->args[1], &day, reterr);
    if (code != MS_OK)
        return code;
    if (cli->json)
        steps.list = json_array();
    else
        steps.table = ms_table_new(heads);
    code = ms_bill_explain(cli->svc, (struct ms_tenant_id){cli->tenant.id}, day, step, &steps,
                           reterr);
    if (cli->json) {
        if (code == MS_OK)
            return ms_out_json(steps.list, reterr);
        json_decref(steps.list);
        return code;
    }
    if (code == MS_OK)
        ms_table_print(steps.table, stdout);
    else
        ms_table_drop(steps.table);
    return code;
}

const struct ms_cmd ms_cmd_bill_explain = {
    .name = "bill explain",
    .args = "TENANT DATE",
    .summary = "show what stands behind the lines of a day",
    .help = "Lists, in the order of their instants, the ledger events of a UTC day, and from each "
            "instant on what is metered,\n"
            "what is allowed and what is in excess. Each holds until the next line, the last one "
            "until midnight: the\n"
            "integrals of the day are these numbers times their milliseconds. A produced video has "
            "its minutes, and in brackets\n"
            "those that no package held. Open days can be looked at too.\n\n"
            "Example:\n"
            "  msasset bill explain media 2026-01-31\n",
    .args_min = 2,
    .args_max = 2,
    .run = run,
};
