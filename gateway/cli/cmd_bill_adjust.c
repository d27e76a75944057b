#include "cli/bill_common.h"
#include "cli/out.h"

#include "service/bill.h"

#include <inttypes.h>

enum { OPT_REASON, OPT_DAY };

/* "-12.50", at most six digits behind the point. */
static enum ms_code amount_of(const char *text, struct ms_bill_adjustment *a,
                              struct ms_error *reterr) {
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    uint64_t nano;
    if (!ms_decimal_parse(digits, strlen(digits), &nano) || nano % (MS_NANO / MS_MICRO) != 0)
        return ms_fail(reterr, MS_USAGE,
                       "an amount is at most 9 digits, a point and 6 digits, with or without a sign, "
                       "not \"%.64s\"",
                       text);
    a->credit = text[0] == '-';
    a->micros = nano / (MS_NANO / MS_MICRO);
    return MS_OK;
}

static enum ms_code adjustment_of(struct ms_cli *cli, struct ms_bill_adjustment *a,
                                  struct ms_error *reterr) {
    enum ms_code code = amount_of(cli->args[1], a, reterr);
    a->reason = cli->given[OPT_REASON];
    if (code == MS_OK && !a->reason)
        code = ms_fail(reterr, MS_USAGE, "--reason is needed: who reads the bill must see why");
    if (code == MS_OK && cli->given[OPT_DAY])
        code = ms_cli_day(cli->given[OPT_DAY], &a->day, reterr);
    return code;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_bill_adjustment a = {0};
    struct ms_adjust_record row;
    enum ms_code code = adjustment_of(cli, &a, reterr);
    if (code == MS_OK)
        code = ms_cli_open(cli, MS_NEED_STORE, reterr);
    if (code == MS_OK)
        code = ms_tenant_find(cli->svc, cli->args[0], &cli->tenant, reterr);
    cli->ctx.tenant = (struct ms_tenant_id){cli->tenant.id};
    if (code == MS_OK)
        code = ms_bill_adjust(cli->svc, &cli->ctx, &a, &row, reterr);
    if (code != MS_OK)
        return code;
    if (cli->json)
        return ms_out_json(ms_cli_adjustment_json(cli->tenant.name, &row), reterr);
    if (!cli->quiet)
        printf("Adjustment %" PRIu64 " of tenant %s: %s %s\n", row.seq, cli->tenant.name,
               ms_cli_adjustment_amount(&row).s, ms_currency_name((enum ms_currency)row.currency));
    return MS_OK;
}

const struct ms_cmd ms_cmd_bill_adjust = {
    .name = "bill adjust",
    .args = "TENANT AMOUNT",
    .summary = "add a line to a tenant's bill, with its reason",
    .help = "AMOUNT is of the bill's currency; one with a minus is given back (write -- before it). A "
            "closed day never changes: the\n"
            "line belongs to the day on which it is entered, says who entered it and why, and "
            "which closed day it corrects.\n"
            "bill show and bill export list such lines beside the days.\n\n"
            "Example:\n"
            "  msasset bill adjust --reason \"outage\" --day 2026-01-31 media -- -12.50\n",
    .opts = {{"reason", 0, "TEXT", "why; needed"},
             {"day", 0, "DATE", "the closed day that it corrects"}},
    .args_min = 2,
    .args_max = 2,
    .run = run,
};
