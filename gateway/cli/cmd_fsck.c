#include "cli/out.h"
#include "service/upkeep.h"

#include <inttypes.h>
#include <stdlib.h>

enum { OPT_STORE, OPT_DEEP, OPT_SAMPLE };

struct report {
    struct ms_cli *cli;
    json_t *findings, *pending;
};

static void finding(void *priv, const char *invariant, const char *text) {
    struct report *r = priv;
    if (r->cli->json)
        ms_out_add(r->findings, json_pack("{s:s,s:s}", "invariant", invariant, "text", text));
    else
        printf("finding %s: %s\n", invariant, text);
}

static void pending(void *priv, const char *kind, const char *text) {
    struct report *r = priv;
    if (r->cli->json)
        ms_out_add(r->pending, json_pack("{s:s,s:s}", "kind", kind, "text", text));
    else if (r->cli->verbose)
        printf("pending %s: %s\n", kind, text);
}

struct both {
    struct report report;
    struct ms_progress progress;
};

static void both_finding(void *priv, const char *invariant, const char *text) {
    finding(&((struct both *)priv)->report, invariant, text);
}

static void both_pending(void *priv, const char *kind, const char *text) {
    pending(&((struct both *)priv)->report, kind, text);
}

static bool both_progress(void *priv, uint64_t done, uint64_t total) {
    return ms_progress_update(&((struct both *)priv)->progress, done, total);
}

static bool both_listed(void *priv, uint64_t objects) {
    struct both *both = priv;
    both->progress.label = "objects compared";
    return ms_progress_number(&both->progress, objects);
}

static enum ms_code print(struct report *report, const struct ms_fsck_result *r,
                          struct ms_error *reterr) {
    if (report->cli->json)
        return ms_out_json(
            json_pack("{s:I,s:I,s:I,s:I,s:I,s:o,s:o}", "tenants", (json_int_t)r->tenants, "inodes",
                      (json_int_t)r->inodes, "assets", (json_int_t)r->assets, "objects",
                      (json_int_t)r->objects, "bytes_read", (json_int_t)r->bytes_read, "findings",
                      report->findings, "pending", report->pending),
            reterr);
    json_decref(report->findings);
    json_decref(report->pending);
    printf("%" PRIu64 " tenants, %" PRIu64 " inodes, %" PRIu64 " assets, %" PRIu64
           " objects checked",
           r->tenants, r->inodes, r->assets, r->objects);
    if (r->bytes_read)
        printf(", %s read", ms_out_size(r->bytes_read).s);
    printf("\nfindings %" PRIu64 ", pending %" PRIu64 "%s\n", r->findings, r->pending,
           r->pending ? " (msasset recover and msasset gc settle these)" : "");
    return MS_OK;
}

static enum ms_code sample_of(const struct ms_cli *cli, unsigned *ret_percent,
                              struct ms_error *reterr) {
    const char *text = cli->given[OPT_SAMPLE];
    char *end = NULL;
    unsigned long n = text ? strtoul(text, &end, 10) : 100;
    if (text && (end == text || *end || n < 1 || n > 100))
        return ms_fail(reterr, MS_USAGE, "--sample takes 1 to 100 percent, not \"%s\"", text);
    *ret_percent = (unsigned)n;
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct both both = {.report = {.cli = cli}};
    struct ms_fsck_result result = {0};
    unsigned percent = 100;
    enum ms_code code = sample_of(cli, &percent, reterr);
    if (code == MS_OK)
        code = ms_cli_open(cli, MS_NEED_STORE, reterr);
    if (code != MS_OK)
        return code;
    both.report.findings = json_array();
    both.report.pending = json_array();
    ms_progress_begin(&both.progress, cli, "fsck");
    struct ms_fsck_options options = {.store = cli->given[OPT_STORE] || cli->given[OPT_DEEP],
                                      .deep = cli->given[OPT_DEEP] || cli->given[OPT_SAMPLE],
                                      .sample_percent = percent,
                                      .sample_seed = ms_random_u64(ms_random_system()),
                                      .finding = both_finding,
                                      .pending = both_pending,
                                      .progress = both_progress,
                                      .listed = both_listed,
                                      .priv = &both};
    code = ms_fsck(cli->svc, &options, &result, reterr);
    ms_progress_end(&both.progress);
    if (code == MS_CANCELLED) { /* what was checked until then is worth saying */
        (void)print(&both.report, &result, NULL);
        return code;
    }
    if (code == MS_OK)
        code = print(&both.report, &result, reterr);
    if (code == MS_OK && result.findings)
        code = ms_fail(reterr, MS_CORRUPT, "%" PRIu64 " invariants are broken; nothing was changed",
                       result.findings);
    return code;
}

const struct ms_cmd ms_cmd_fsck = {
    .name = "fsck",
    .args = "",
    .summary = "check that the store is whole",
    .help = "Recomputes every counter, follows every reference and checks both hash chains of each "
            "tenant. Findings are\n"
            "broken invariants (exit status 74); pending is what killed processes left and recover "
            "or gc will settle.\n"
            "Repairs nothing. --store-list compares with the object store's list, --deep reads "
            "every block of every object.\n"
            "Stopped by a signal, it tells what it has checked until then.\n",
    .opts = {{"store-list", 0, NULL, "compare with the object store"},
             {"deep", 0, NULL, "read and verify every byte too"},
             {"sample", 0, "PERCENT", "of the objects only, others each time; implies --deep"}},
    .run = run,
};
