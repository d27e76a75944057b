#include "cli/out.h"
#include "service/catalogue.h"
#include "service/review.h"
#include "service/upkeep.h"

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
    ms_catalogue_tend(cli->svc);
    if (cli->json)
        return ms_out_json(json_pack("{s:I,s:I,s:I,s:I,s:o}", "applied", (json_int_t)r.applied,
                                     "failed_uploads", (json_int_t)r.failed_uploads,
                                     "cancelled_files", (json_int_t)r.cancelled_files, "purged",
                                     (json_int_t)r.purged, "next_time", ms_out_json_time(r.next)),
                           reterr);
    if (!cli->quiet)
        printf("%llu due: %llu uploads failed, %llu assets deleted for good; next due %s\n",
               (unsigned long long)r.applied, (unsigned long long)r.failed_uploads,
               (unsigned long long)r.purged, ms_out_time(r.next).s);
    return MS_OK;
}

const struct ms_cmd ms_cmd_sweep = {
    .name = "sweep",
    .args = "",
    .summary = "apply what time has brought about",
    .help = "Uploads without a file after 24 hours, the end of bin retention, announced and "
            "scheduled dates. Nobody sees a\n"
            "difference between swept and not swept, except that space is freed. Then the machine is "
            "asked about what waits\n"
            "for review. Meant for cron; several at once are safe.\n",
    .run = run,
};
