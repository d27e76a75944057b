#include "cli/out.h"
#include "service/audit.h"

#include <inttypes.h>

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_audit_verdict v;
    struct ms_progress progress;
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    ms_progress_begin(&progress, cli, "rows");
    enum ms_code code =
        ms_audit_verify(cli->svc, &cli->ctx, ms_progress_number, &progress, &v, reterr);
    ms_progress_end(&progress);
    if (code != MS_OK)
        return code;
    if (cli->json)
        MS_TRY(ms_out_json(json_pack("{s:I,s:b,s:o,s:s?}", "rows", (json_int_t)v.rows, "whole",
                                     !v.broken, "first_broken",
                                     v.broken ? json_integer((json_int_t)v.seq) : json_null(),
                                     "why", v.broken ? v.why : NULL),
                           reterr));
    else if (!cli->quiet && !v.broken)
        printf("%" PRIu64 " rows, each continues the one before it\n", v.rows);
    if (!v.broken)
        return MS_OK;
    return ms_fail(reterr, MS_CORRUPT, "the audit log is broken at row %" PRIu64 ": %s", v.seq,
                   v.why);
}

const struct ms_cmd ms_cmd_audit_verify = {
    .name = "audit verify",
    .args = "",
    .summary = "check the chain of the audit log",
    .help = "Every row names the SHA-256 of the one before it. The first row that does not fit is "
            "named (exit status 74):\n"
            "it, or the one before it, was changed, or rows are missing.\n\nExample:\n"
            "  msasset audit verify --tenant media\n",
    .run = run,
};
