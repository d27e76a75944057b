#include "cli/out.h"
#include "service/upkeep.h"

static enum ms_code print(const struct ms_cli *cli, const struct ms_recover_result *r,
                          struct ms_error *reterr) {
    if (cli->json)
        return ms_out_json(
            json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "processes", (json_int_t)r->processes,
                      "completed", (json_int_t)r->completed, "dropped", (json_int_t)r->dropped,
                      "leases", (json_int_t)r->leases, "orphans", (json_int_t)r->orphans, "lost",
                      (json_int_t)r->lost, "deferred", (json_int_t)r->deferred),
            reterr);
    if (!cli->quiet)
        printf("%llu dead processes settled: %llu fsynced files completed, %llu unfinished files "
               "dropped, %llu leases "
               "and %llu orphans released\n",
               (unsigned long long)r->processes, (unsigned long long)r->completed,
               (unsigned long long)r->dropped, (unsigned long long)r->leases,
               (unsigned long long)r->orphans);
    if (!cli->quiet && r->deferred)
        printf("%llu fsynced files wait: frozen, or without quota; run it again afterwards\n",
               (unsigned long long)r->deferred);
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_recover_result r = {0};
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE, reterr);
    if (code == MS_OK)
        code = ms_recover(cli->svc, &r, reterr);
    if (code == MS_OK)
        code = print(cli, &r, reterr);
    if (code == MS_OK && r.lost)
        code = ms_fail(reterr, MS_CORRUPT,
                       "%llu fsynced files could not be completed: the object store has lost their "
                       "parts; the log names them",
                       (unsigned long long)r.lost);
    return code;
}

const struct ms_cmd ms_cmd_recover = {
    .name = "recover",
    .args = "",
    .summary = "settle what killed processes left behind",
    .help = "Files that were fsynced are completed from what the store holds; files that were "
            "neither closed nor fsynced\n"
            "vanish, as on any file system after a crash. Running processes are not touched. What is "
            "acknowledged from the\n"
            "local disk (writeback) is uploaded, unless a mount is at it.\n",
    .run = run,
};
