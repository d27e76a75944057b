#include "cli/bill_common.h"
#include "cli/out.h"

#include "service/bill.h"

#include <inttypes.h>

enum { OPT_RATES, OPT_THROUGH, OPT_RELEASE, OPT_DRY_RUN };

struct notes {
    struct ms_cli *cli;
    json_t *list;
    struct ms_progress progress;
};

static void note(void *priv, const char *tenant, const char *text) {
    struct notes *notes = priv;
    if (notes->cli->json)
        ms_out_add(notes->list, json_pack("{s:s,s:s}", "tenant", tenant, "text", text));
    else
        fprintf(stderr, "msasset: tenant %s: %s\n", tenant, text);
}

static bool progress(void *priv, uint64_t done) {
    return ms_progress_count(&((struct notes *)priv)->progress, done);
}

static enum ms_code print(const struct notes *notes, const struct ms_bill_result *r,
                          const struct ms_rates *rates, struct ms_error *reterr) {
    bool dry = notes->cli->given[OPT_DRY_RUN] != NULL;
    if (notes->cli->json)
        return ms_out_json(json_pack("{s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:s,s:O}", "dry_run", dry,
                                     "tenants", (json_int_t)r->tenants, "days", (json_int_t)r->days,
                                     "events", (json_int_t)r->events, "due", (json_int_t)r->due,
                                     "parked", (json_int_t)r->parked, "warnings",
                                     (json_int_t)r->warnings, "total_micros",
                                     ms_u128_text(r->micros).s, "currency",
                                     ms_currency_name(rates->currency), "notes", notes->list),
                           reterr);
    if (!notes->cli->quiet)
        printf("%" PRIu64 " tenants: %" PRIu64 " days %s with %" PRIu64
               " ledger events, %s %s in all; %" PRIu64 " %s; %" PRIu64 " warnings, %" PRIu64
               " tenants parked\n",
               r->tenants, r->days, dry ? "would be closed" : "closed", r->events,
               ms_currency_text(rates->currency, r->micros).s, ms_currency_name(rates->currency),
               r->due,
               dry ? "deadlines would be applied first, which are in no sum" : "assets were due",
               r->warnings, r->parked);
    return MS_OK;
}

static enum ms_code release(struct ms_cli *cli, const char *name, struct ms_error *reterr) {
    enum ms_code code = ms_tenant_find(cli->svc, name, &cli->tenant, reterr);
    if (code != MS_OK)
        return code;
    cli->ctx.tenant = (struct ms_tenant_id){cli->tenant.id};
    return ms_bill_release(cli->svc, &cli->ctx, reterr);
}

static enum ms_code through(struct ms_cli *cli, struct ms_bill_options *options,
                            struct ms_error *reterr) {
    if (!cli->given[OPT_THROUGH])
        return MS_OK;
    enum ms_code code = ms_cli_day(cli->given[OPT_THROUGH], &options->through, reterr);
    options->through = ms_instant_add_ms(options->through, MS_DAY_MS);
    return code;
}

static enum ms_code run_with(struct ms_cli *cli, const struct ms_rates *rates,
                             struct ms_error *reterr) {
    struct notes notes = {.cli = cli};
    struct ms_bill_options options = {
        .rates = rates, .progress = progress, .note = note, .priv = &notes};
    options.dry = cli->given[OPT_DRY_RUN] != NULL;
    struct ms_bill_result r = {0};
    struct ms_error err;
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE, reterr);
    if (code == MS_OK && cli->given[OPT_RELEASE])
        code = release(cli, cli->given[OPT_RELEASE], reterr);
    if (code == MS_OK)
        code = ms_cli_tenant_or_all(cli, &options.tenant, reterr);
    if (code == MS_OK)
        code = through(cli, &options, reterr);
    if (code != MS_OK)
        return code;
    notes.list = json_array();
    ms_progress_begin(&notes.progress, cli, "tenants");
    code = ms_bill_run(cli->svc, &options, &r, reterr);
    ms_progress_end(&notes.progress);
    /* what was closed before a failure is told too */
    enum ms_code printed = MS_OK;
    if (code == MS_OK || r.days > 0)
        printed = print(&notes, &r, rates, code == MS_OK ? reterr : &err);
    json_decref(notes.list);
    if (code == MS_OK)
        code = printed;
    if (code == MS_OK && r.parked)
        code = ms_fail(reterr, MS_CORRUPT,
                       "%" PRIu64 " tenants are parked: their numbers contradict each other", r.parked);
    return code;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_rates rates;
    if (cli->given[OPT_DRY_RUN] && cli->given[OPT_RELEASE])
        return ms_fail(reterr, MS_USAGE, "--dry-run writes nothing: --release %s goes without it",
                       cli->given[OPT_RELEASE]);
    enum ms_code code = ms_cli_rates(cli, cli->given[OPT_RATES], &rates, reterr);
    if (code == MS_OK)
        code = run_with(cli, &rates, reterr);
    ms_rates_fini(&rates);
    return code;
}

const struct ms_cmd ms_cmd_bill_run = {
    .name = "bill run",
    .args = "",
    .summary = "close the days that are over",
    .help = "For every tenant and every UTC day that is over and not closed: applies what was due "
            "before its end, then\n"
            "closes it, once. Meant for cron, some time after midnight UTC; missed nights are "
            "caught up, a second run\n"
            "changes nothing, a killed one is taken up by the next. Without --tenant on the "
            "command line: every tenant.\n\n"
            "A tenant whose numbers contradict each other is parked: no day of it is closed until "
            "--release TENANT, the\n"
            "others go on, and the exit status is 74. A storage line above ten times the median "
            "of the tenant's last 30\n"
            "that were not zero is a warning on stderr. A rate card that has priced closed days "
            "cannot be changed: add\n"
            "one that is valid from a later month. Format of the cards: msasset-bill(5).\n\n"
            "Behind all others come the tenants of which a package would renew itself: "
            "payment_command (msasset.conf) is\n"
            "asked. Without an answer no day from that term's end on is closed, and the exit status "
            "is 75: run it again.\n\n"
            "With --dry-run nothing is written and nobody asked: deadlines that have come are "
            "counted, the sum is what the\n"
            "ledger says without them, and a note names the days that would stay open.\n\n"
            "Example:\n"
            "  msasset bill run --rates /etc/msasset/rates.json\n",
    .opts = {{"rates", 0, "FILE", "rate cards; default: bill_rates of the configuration"},
             {"through", 0, "DATE", "the last day to close, 2026-01-31; default: yesterday"},
             {"release", 0, "TENANT", "try this parked tenant again"},
             {"dry-run", 'n', NULL, "say what would be closed, and write nothing"}},
    .run = run,
};
