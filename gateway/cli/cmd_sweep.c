#include "cli/derive.h"
#include "service/catalogue.h"
#include "service/payment.h"
#include "service/review.h"
#include "service/upkeep.h"

#define DERIVE_PAUSE_MS (10 * MS_MINUTE_MS)

static bool stopped(void *priv) {
    (void)priv;
    return ms_cli_stopped();
}

/* What needs an answer comes last: a program that hangs delays nothing else. */
static enum ms_code pay(struct ms_cli *cli, struct ms_sweep_result *r, struct ms_error *reterr) {
    struct ms_asking asking = {.stopped = stopped};
    struct ms_sweep_result paid;
    if (r->unpaid == 0)
        return MS_OK;
    enum ms_code code =
        ms_sweep_payments(cli->svc, (struct ms_tenant_id){{{0}}}, &asking, &paid, reterr);
    if (code != MS_OK && paid.damaged == 0)
        return code;
    r->applied += paid.applied;
    r->failed_uploads += paid.failed_uploads;
    r->purged += paid.purged;
    r->cancelled_files += paid.cancelled_files;
    r->ended_shares += paid.ended_shares;
    r->unpaid = paid.unpaid;
    if (!ms_instant_is_none(paid.next) &&
        (ms_instant_is_none(r->next) || paid.next.ms < r->next.ms))
        r->next = paid.next;
    return code;
}

/* A reviewer that is down makes no sweep fail: its cases wait. */
static void review(struct ms_cli *cli) {
    struct ms_reviewed reviewed;
    struct ms_error err;
    if (ms_review_run_all(cli->svc, &reviewed, &err) != MS_OK)
        ms_log_failure(&cli->log, MS_LOG_WARN, "not-reviewed", &err, NULL);
}

/* Behind all else, for it may take long: another sweep does not wait for it. It looks at every asset, so not every
 * time. What it cannot do waits for the next one and makes no sweep fail. */
static void derive(struct ms_cli *cli, struct ms_derive_result *made) {
    struct ms_error err = {0};
    *made = (struct ms_derive_result){.looked = 0};
    if (!ms_config_bool(&cli->config, MS_CONFIG_DERIVE_IN_SWEEP))
        return;
    enum ms_code code = ms_cli_derive(cli, false, DERIVE_PAUSE_MS, made, &err);
    if (code == MS_OK)
        code = ms_cli_derive_put_off(made, &err);
    if (code != MS_OK && code != MS_CANCELLED)
        ms_log_failure(&cli->log, MS_LOG_WARN, "not-derived", &err, NULL);
}

static enum ms_code print(const struct ms_cli *cli, const struct ms_sweep_result *r,
                          const struct ms_derive_result *made, struct ms_error *reterr) {
    if (cli->json)
        return ms_out_json(
            json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "applied", (json_int_t)r->applied,
                      "failed_uploads", (json_int_t)r->failed_uploads, "cancelled_files",
                      (json_int_t)r->cancelled_files, "ended_shares", (json_int_t)r->ended_shares,
                      "purged", (json_int_t)r->purged, "unpaid", (json_int_t)r->unpaid, "damaged",
                      (json_int_t)r->damaged, "derived", (json_int_t)made->made,
                      "derivations_failed", (json_int_t)made->failed, "next_time",
                      ms_out_json_time(r->next)),
            reterr);
    if (!cli->quiet)
        printf("%llu due: %llu uploads failed, %llu assets deleted for good; next due %s\n",
               (unsigned long long)r->applied, (unsigned long long)r->failed_uploads,
               (unsigned long long)r->purged, ms_out_time(r->next).s);
    if (!cli->quiet && made->made + made->failed > 0)
        printf("Derived: made %llu, failed %llu\n", (unsigned long long)made->made, (unsigned long long)made->failed);
    if (r->unpaid > 0)
        fprintf(
            stderr,
            "msasset: warning: the payment command has not answered for %llu packages: they are "
            "asked for again\n",
            (unsigned long long)r->unpaid);
    return MS_OK;
}

/* What is damaged keeps nothing else from being done, and is the error in the end. */
static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_sweep_result r = {0};
    struct ms_derive_result made;
    struct ms_error err = {0};
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE, reterr));
    enum ms_code swept = ms_sweep(cli->svc, &r, reterr);
    if (swept != MS_OK && r.damaged == 0)
        return swept;
    review(cli);
    enum ms_code paid = pay(cli, &r, &err);
    derive(cli, &made);
    ms_catalogue_tend(cli->svc);
    enum ms_code printed = print(cli, &r, &made, swept == MS_OK && paid == MS_OK ? reterr : NULL);
    if (swept == MS_OK && paid != MS_OK && reterr)
        *reterr = err;
    return swept != MS_OK ? swept : paid != MS_OK ? paid : printed;
}

const struct ms_cmd ms_cmd_sweep = {
    .name = "sweep",
    .args = "",
    .summary = "apply what time has brought about",
    .help =
        "Uploads without a file after 24 hours, the end of bin retention, announced and "
        "scheduled dates, packages and\n"
        "arrears. Nobody sees a difference between swept and not swept, except that space is "
        "freed. "
        "payment_command (see\n"
        "msasset.conf) is asked about packages that renew themselves, and the machine about what "
        "waits for review. In the\n"
        "end covers, WebMs and pages are made as \"derive run\" makes them (derive_in_sweep). Meant for cron;\n"
        "several at once are safe.\n",
    .run = run,
};
