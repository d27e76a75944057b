#include "cli/out.h"
#include "service/upkeep.h"

enum { OPT_GRACE, OPT_DRY_RUN };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_gc_result r = {0};
    int64_t grace_ms = ms_config_duration_ms(&cli->config, MS_CONFIG_GC_GRACE);
    enum ms_code code = MS_OK;
    if (cli->given[OPT_GRACE])
        code = ms_duration_parse(cli->given[OPT_GRACE], &grace_ms, reterr);
    if (code == MS_OK)
        code = ms_cli_open(cli, MS_NEED_STORE, reterr);
    if (code == MS_OK)
        code = ms_gc(cli->svc, grace_ms, cli->given[OPT_DRY_RUN], &r, reterr);
    if (code != MS_OK)
        return code;
    if (cli->json)
        return ms_out_json(json_pack("{s:I,s:I,s:I,s:I,s:I}", "tombstones",
                                     (json_int_t)r.tombstones, "deleted", (json_int_t)r.deleted,
                                     "deleted_bytes", (json_int_t)r.deleted_bytes,
                                     "uploads_aborted", (json_int_t)r.uploads_aborted,
                                     "strays_deleted", (json_int_t)r.strays_deleted),
                           reterr);
    if (!cli->quiet)
        printf("%llu objects deleted (%s), %llu unfinished uploads aborted, %llu unknown objects "
               "deleted; %llu wait for "
               "their grace\n",
               (unsigned long long)r.deleted, ms_out_size(r.deleted_bytes).s,
               (unsigned long long)r.uploads_aborted, (unsigned long long)r.strays_deleted,
               (unsigned long long)r.tombstones);
    return MS_OK;
}

const struct ms_cmd ms_cmd_gc = {
    .name = "gc",
    .args = "",
    .summary = "delete objects that nothing refers to",
    .help = "Objects of assets deleted for good and of replaced versions, unfinished uploads and "
            "objects that no record\n"
            "knows, each once it is older than the grace (1 hour), so that a reader of another "
            "process is never cut off.\n",
    .opts = {{"grace", 0, "TIME", "e.g. 0s, 1h"}, {"dry-run", 'n', NULL, "count only"}},
    .run = run,
};
