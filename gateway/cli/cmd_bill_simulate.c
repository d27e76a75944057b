#include "cli/bill_common.h"
#include "cli/bill_text.h"
#include "cli/out.h"

#include "quota/simulate.h"

#include <stdlib.h>
#include <unistd.h>

enum { OPT_HISTORY, OPT_RATES, OPT_DAYS };

static void free_line(char **line) { free(*line); }
static void free_simulation(struct ms_simulation **s) { ms_simulation_free(*s); }

static enum ms_code read_history(const char *path, struct ms_simulation *s,
                                 struct ms_error *reterr) {
    MS_AUTO(ms_cli_close_input) FILE *file = NULL;
    MS_AUTO(free_line) char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    enum ms_code code = ms_cli_open_input(path, &file, reterr);
    while (code == MS_OK && (n = getline(&line, &cap, file)) >= 0) {
        code = ms_simulation_line(s, line, (size_t)n, reterr);
        if (code == MS_OK && ms_cli_stopped())
            code = ms_fail(reterr, MS_CANCELLED, "stopped by a signal");
    }
    if (code == MS_OK && !feof(file))
        code = ms_fail_errno(reterr, errno, "%s cannot be read", path);
    return code == MS_OK ? ms_simulation_finish(s, reterr) : code;
}

static enum ms_code simulate(struct ms_cli *cli, const struct ms_rates *rates,
                             struct ms_error *reterr) {
    MS_AUTO(free_simulation) struct ms_simulation *s = NULL;
    enum ms_code code = ms_simulation_new(rates, &s, reterr);
    if (code == MS_OK)
        code = read_history(cli->given[OPT_HISTORY], s, reterr);
    if (code != MS_OK)
        return code;
    struct ms_bill_text text = {.rates = rates, .to = stdout, .days = cli->given[OPT_DAYS] != NULL};
    struct ms_bill_sink sink = cli->json ? ms_bill_json_sink(&text) : ms_bill_table_sink(&text);
    code = ms_simulation_report(s, &sink, reterr);
    return ms_bill_text_end(&text, code, reterr);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    const char *history = cli->given[OPT_HISTORY], *file = cli->given[OPT_RATES];
    struct ms_rates rates = {0};
    if (!history || !file)
        return ms_fail(reterr, MS_USAGE,
                       "usage: msasset bill simulate --history FILE --rates FILE [options]; "
                       "msasset help bill simulate tells more");
    if (strcmp(history, "-") == 0 && strcmp(file, "-") == 0)
        return ms_fail(reterr, MS_USAGE,
                       "only one of --history and --rates can be standard input (-)");
    enum ms_code code = ms_cli_rates_read(file, &rates, reterr);
    if (code == MS_OK)
        code = simulate(cli, &rates, reterr);
    ms_rates_fini(&rates);
    return code;
}

const struct ms_cmd ms_cmd_bill_simulate = {
    .name = "bill simulate",
    .args = "",
    .summary = "compute the bill of a written history",
    .help = "Reads a history, one JSON object per line in order of time, and a file of rate cards, "
            "and prints what the\nnightly run would bill: the same computation, on no store. It "
            "answers what a year of something would cost,\nand lets anyone check a bill. Both "
            "formats: msasset-bill(5). A FILE of - is standard input.\n\n"
            "With --json: of each tenant a line per closed day, then one per month; all numbers "
            "are texts, exact to the\nbyte-millisecond and the millionth of the currency. A wrong "
            "history or rate card ends in exit status 2,\nwith the line and the rule, and prints "
            "nothing else.\n\nExample:\n"
            "  msasset bill simulate --history year.jsonl --rates rates.json\n",
    .opts = {{"history", 0, "FILE", "what happened, one event per line"},
             {"rates", 0, "FILE", "rate cards"},
             {"days", 0, NULL, "print a line per day too (tables only)"}},
    .run = run,
};
