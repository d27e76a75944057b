#include "cli/out.h"
#include "service/bin.h"

enum { OPT_RETENTION, OPT_BYPASS };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    const char *keep = cli->given[OPT_RETENTION], *bypass = cli->given[OPT_BYPASS];
    int64_t retention_ms = -1;
    if (!keep && !bypass)
        return ms_fail(reterr, MS_USAGE, "say what is to be set: --retention or --bypass");
    if (keep)
        MS_TRY(ms_duration_parse(keep, &retention_ms, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_bin_set(cli->svc, &cli->ctx, retention_ms, bypass, reterr));
    MS_TRY(ms_tenant_get(cli->svc, cli->ctx.tenant, &cli->tenant, reterr));
    if (cli->json)
        return ms_out_json(json_pack("{s:I,s:s}", "retention_ms",
                                     (json_int_t)cli->tenant.retention_ms, "bypass",
                                     cli->tenant.bin_bypass),
                           reterr);
    if (!cli->quiet)
        printf("The bin of %s keeps %s; bypassed by: %s\n", cli->tenant.name,
               ms_out_duration(cli->tenant.retention_ms).s,
               cli->tenant.bin_bypass[0] ? cli->tenant.bin_bypass : "nothing");
    return MS_OK;
}

const struct ms_cmd ms_cmd_bin_set = {
    .name = "bin set",
    .args = "",
    .summary = "set how long the recycle bin keeps, and what bypasses it",
    .help = "For administrators. The retention is that of later deletions; what lies in the bin keeps "
            "its own. 0 switches\n"
            "the bin off: every deletion is for good. Names that match a pattern are deleted for good "
            "by their last rm, as\n"
            "all files younger than 60 s are; deletion by id, and what is frozen, still goes to the "
            "bin.\n\nExamples:\n"
            "  msasset bin set --retention 30d\n  msasset bin set --bypass '*.tmp,*~'\n",
    .opts = {{"retention", 0, "DURATION", "7d, 12h; 0: off"},
             {"bypass", 0, "PATTERNS", "shell patterns of names, commas between; '': none"}},
    .run = run,
};
