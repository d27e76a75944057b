#include "cli/out.h"
#include "service/catalogue.h"
#include "service/review.h"
#include "service/upkeep.h"

/* What needs an answer comes last: a program that hangs delays nothing else. */
static enum ms_code pay(struct ms_cli *cli, struct ms_sweep_result *r, struct ms_error *reterr) {
    struct ms_sweep_result paid;
    if (r->unpaid == 0)
        return MS_OK;
    MS_TRY(ms_sweep_payments(cli->svc, (struct ms_tenant_id){{{0}}}, &paid, reterr));
    r->applied += paid.applied;
    r->failed_uploads += paid.failed_uploads;
    r->purged += paid.purged;
    r->cancelled_files += paid.cancelled_files;
    r->unpaid = paid.unpaid;
    if (!ms_instant_is_none(paid.next) &&
        (ms_instant_is_none(r->next) || paid.next.ms < r->next.ms))
        r->next = paid.next;
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_sweep_result r = {0};
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE, reterr);
    if (code == MS_OK)
        code = ms_sweep(cli->svc, &r, reterr);
    if (code != MS_OK)
        return code;
    struct ms_reviewed reviewed;
    struct ms_error err; /* a reviewer that is down makes no sweep fail: its cases wait */
    if (ms_review_run_all(cli->svc, &reviewed, &err) != MS_OK)
        ms_log_failure(&cli->log, MS_LOG_WARN, "not-reviewed", &err, NULL);
    code = pay(cli, &r, reterr);
    ms_catalogue_tend(cli->svc);
    if (code != MS_OK)
        return code;
    if (cli->json)
        return ms_out_json(json_pack("{s:I,s:I,s:I,s:I,s:I,s:o}", "applied", (json_int_t)r.applied,
                                     "failed_uploads", (json_int_t)r.failed_uploads,
                                     "cancelled_files", (json_int_t)r.cancelled_files, "purged",
                                     (json_int_t)r.purged, "unpaid", (json_int_t)r.unpaid,
                                     "next_time", ms_out_json_time(r.next)),
                           reterr);
    if (!cli->quiet)
        printf("%llu due: %llu uploads failed, %llu assets deleted for good; next due %s\n",
               (unsigned long long)r.applied, (unsigned long long)r.failed_uploads,
               (unsigned long long)r.purged, ms_out_time(r.next).s);
    if (r.unpaid > 0)
        fprintf(
            stderr,
            "msasset: warning: the payment command has not answered for %llu packages: they are "
            "asked for again\n",
            (unsigned long long)r.unpaid);
    return MS_OK;
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
        "waits for review. Meant\n"
        "for cron; several at once are safe.\n",
    .run = run,
};
