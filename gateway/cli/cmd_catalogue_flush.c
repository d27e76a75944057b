#include "cli/out.h"
#include "service/catalogue.h"

enum { OPT_SNAPSHOT };

static bool progress(void *priv, uint64_t lines) { return ms_progress_number(priv, lines); }

static enum ms_code print(const struct ms_cli *cli, const struct ms_catalogue_result *r,
                          uint64_t marks, struct ms_error *reterr) {
    if (cli->json)
        return ms_out_json(
            json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "tenants", (json_int_t)r->tenants,
                      "segments", (json_int_t)r->segments, "snapshots", (json_int_t)r->snapshots,
                      "lines", (json_int_t)r->lines, "bytes", (json_int_t)r->bytes, "deleted",
                      (json_int_t)r->deleted, "busy", (json_int_t)r->busy, "marked",
                      (json_int_t)marks),
            reterr);
    if (cli->quiet)
        return MS_OK;
    printf("%llu facts of %llu tenants in %llu segments (%s), %llu snapshots, %llu old segments "
           "deleted\n",
           (unsigned long long)r->lines, (unsigned long long)r->tenants,
           (unsigned long long)r->segments, ms_out_size(r->bytes).s,
           (unsigned long long)r->snapshots, (unsigned long long)r->deleted);
    if (r->busy)
        printf("%llu tenants are being written by another process\n", (unsigned long long)r->busy);
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_catalogue_result result = {0};
    struct ms_progress bar;
    uint64_t marks = 0;
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE, reterr);
    if (code != MS_OK)
        return code;
    ms_progress_begin(&bar, cli, "facts");
    struct ms_catalogue_options options = {
        .snapshot = cli->given[OPT_SNAPSHOT] != NULL, .progress = progress, .priv = &bar};
    code = ms_catalogue_flush(cli->svc, &options, &result, reterr);
    ms_progress_end(&bar);
    if (code == MS_OK)
        code = ms_catalogue_marks(cli->svc, 1000000, &marks, reterr);
    return code == MS_OK ? print(cli, &result, marks, reterr) : code;
}

const struct ms_cmd ms_cmd_catalogue_flush = {
    .name = "catalogue flush",
    .args = "",
    .summary = "write what changed to the catalogue beside the objects",
    .help = "The object store holds, below .catalogue/, what objects cannot tell of themselves: "
            "names, folders, states,\n"
            "tags, hashes. From it and the objects msasset rebuild makes a lost store again. Mounts "
            "write it every minute,\n"
            "put and sweep at their end when the last time is a minute ago; this command writes "
            "what is left.\n"
            "Changes never wait for it, and a kill loses none: they stay marked until they are "
            "written.\n",
    .opts = {{"snapshot", 0, NULL, "everything anew; what was written before is deleted"}},
    .run = run,
};
