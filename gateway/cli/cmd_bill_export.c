#include "cli/bill_common.h"
#include "cli/out.h"

#include "service/bill_export.h"

#include <errno.h>

enum { OPT_FORMAT, OPT_FROM, OPT_TO, OPT_PROVIDER };

static bool write_rows(void *priv, const void *p, size_t n) {
    (void)priv;
    return fwrite(p, 1, n, stdout) == n && !ms_cli_stopped();
}

static enum ms_code options_of(struct ms_cli *cli, struct ms_bill_export *e,
                               struct ms_error *reterr) {
    const char *format = cli->given[OPT_FORMAT] ? cli->given[OPT_FORMAT] : "csv";
    enum ms_code code = MS_OK;
    e->provider = cli->given[OPT_PROVIDER] ? cli->given[OPT_PROVIDER] : "msasset";
    if (!ms_bill_format_parse(format, &e->format))
        return ms_fail(reterr, MS_USAGE, "--format is csv, json or focus, not \"%.64s\"", format);
    if (e->provider[0] == '\0')
        return ms_fail(reterr, MS_USAGE, "--provider is not empty: FOCUS wants a name there");
    if (cli->given[OPT_FROM])
        code = ms_cli_day(cli->given[OPT_FROM], &e->from, reterr);
    if (code == MS_OK && cli->given[OPT_TO])
        code = ms_cli_day(cli->given[OPT_TO], &e->to, reterr);
    if (cli->given[OPT_TO])
        e->to = ms_instant_add_ms(e->to, MS_DAY_MS);
    return code;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_bill_export e = {.write = write_rows};
    uint64_t rows;
    enum ms_code code = options_of(cli, &e, reterr);
    if (code == MS_OK)
        code = ms_cli_open(cli, MS_NEED_STORE | MS_NEED_READ_ONLY, reterr);
    if (code == MS_OK)
        code = ms_cli_tenant_or_all(cli, &e.tenant, reterr);
    if (code == MS_OK)
        code = ms_bill_export(cli->svc, &e, &rows, reterr);
    if (fflush(stdout) != 0 || ferror(stdout))
        return ms_fail(reterr, MS_CANT_CREATE, "the export cannot be written: %s", strerror(errno));
    return code;
}

const struct ms_cmd ms_cmd_bill_export = {
    .name = "bill export",
    .args = "",
    .summary = "write closed days for other programs",
    .help = "A row per line of the bill, to standard output: storage above the allowance and within "
            "it, bytes that are not\n"
            "metered, minutes of produced video, fees, adjustments. csv and json have the exact "
            "integers (byte-milliseconds,\n"
            "hundredths of a minute, millionths of the currency); focus is CSV with the columns of "
            "the FinOps Open Cost and\n"
            "Usage Specification 1.2, where GiB are powers of two and all four costs are the same. "
            "Without --tenant on the\n"
            "command line: every tenant.\n\n"
            "Example:\n"
            "  msasset bill export --format focus --from 2026-01-01 --to 2026-01-31 >january.csv\n",
    .opts = {{"format", 0, "NAME", "csv, json or focus; default: csv"},
             {"from", 0, "DATE", "the first day"},
             {"to", 0, "DATE", "the last day"},
             {"provider", 0, "NAME", "focus: who bills; default: msasset"}},
    .run = run,
};
