#include "cli/out.h"
#include "service/upkeep.h"

enum { OPT_GRACE, OPT_DRY_RUN };

static bool progress(void *priv, uint64_t done) { return ms_progress_number(priv, done); }

static enum ms_code print(const struct ms_cli *cli, const struct ms_gc_result *r, bool dry_run,
                          struct ms_error *reterr) {
    if (cli->json)
        return ms_out_json(
            json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:b}", "tombstones",
                      (json_int_t)r->tombstones, "deleted", (json_int_t)r->deleted,
                      "deleted_bytes", (json_int_t)r->deleted_bytes, "uploads_aborted",
                      (json_int_t)r->uploads_aborted, "uploads_bytes",
                      (json_int_t)r->uploads_bytes, "strays_deleted",
                      (json_int_t)r->strays_deleted, "strays_bytes", (json_int_t)r->strays_bytes,
                      "left", (json_int_t)r->left, "dry_run", dry_run),
            reterr);
    if (!cli->quiet)
        printf("%s%llu objects deleted (%s), %llu unfinished uploads aborted (%s), %llu unknown "
               "objects deleted (%s); %llu wait for their grace\n",
               dry_run ? "Would be: " : "", (unsigned long long)r->deleted,
               ms_out_size(r->deleted_bytes).s, (unsigned long long)r->uploads_aborted,
               ms_out_size(r->uploads_bytes).s, (unsigned long long)r->strays_deleted,
               ms_out_size(r->strays_bytes).s, (unsigned long long)r->tombstones);
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_gc_result r = {0};
    struct ms_progress bar;
    struct ms_gc_options options = {
        .grace_ms = ms_config_duration_ms(&cli->config, MS_CONFIG_GC_GRACE),
        .dry_run = cli->given[OPT_DRY_RUN] != NULL,
        .progress = progress,
        .priv = &bar};
    enum ms_code code = MS_OK;
    if (cli->given[OPT_GRACE])
        code = ms_duration_parse(cli->given[OPT_GRACE], &options.grace_ms, reterr);
    if (code == MS_OK)
        code = ms_cli_open(cli, MS_NEED_STORE, reterr);
    if (code != MS_OK)
        return code;
    ms_progress_begin(&bar, cli, "objects looked at");
    code = ms_gc_with(cli->svc, &options, &r, reterr);
    ms_progress_end(&bar);
    if (code != MS_OK && code != MS_CANCELLED && r.left == 0)
        return code;
    enum ms_code printed = print(cli, &r, options.dry_run, code == MS_OK ? reterr : NULL);
    return code == MS_OK ? printed : code;
}

const struct ms_cmd ms_cmd_gc = {
    .name = "gc",
    .args = "",
    .summary = "delete objects that nothing refers to",
    .help = "Objects of assets deleted for good and of replaced versions, unfinished uploads and "
            "objects that no record\n"
            "knows, each once it is older than the grace (1 hour), so that a reader of another "
            "process is never cut off.\nWhat the store does not let go of is named, and left for the next time.\n",
    .opts = {{"grace", 0, "TIME", "e.g. 0s, 1h"}, {"dry-run", 'n', NULL, "count only"}},
    .run = run,
};
