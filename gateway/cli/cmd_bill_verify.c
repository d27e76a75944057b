#include "cli/bill_common.h"
#include "cli/out.h"

#include "service/bill.h"

#include <inttypes.h>

enum { OPT_RATES };

struct report {
    struct ms_cli *cli;
    json_t *findings;
};

static void finding(void *priv, const char *text) {
    struct report *r = priv;
    if (r->cli->json)
        ms_out_add(r->findings, json_string(text));
    else
        printf("finding: %s\n", text);
}

static enum ms_code print(const struct report *r, const struct ms_bill_check *c,
                          struct ms_error *reterr) {
    if (r->cli->json)
        return ms_out_json(json_pack("{s:I,s:I,s:I,s:O}", "tenants", (json_int_t)c->tenants, "days",
                                     (json_int_t)c->days, "events", (json_int_t)c->events,
                                     "findings", r->findings),
                           reterr);
    printf("%" PRIu64 " tenants, %" PRIu64 " closed days, %" PRIu64
           " ledger events computed anew: findings %" PRIu64 "\n",
           c->tenants, c->days, c->events, c->findings);
    return MS_OK;
}

static enum ms_code verify(struct ms_cli *cli, const struct ms_rates *rates,
                           struct ms_error *reterr) {
    struct report report = {.cli = cli};
    struct ms_bill_check check = {0};
    struct ms_tenant_id tenant;
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE | MS_NEED_READ_ONLY, reterr);
    if (code == MS_OK)
        code = ms_cli_tenant_or_all(cli, &tenant, reterr);
    if (code != MS_OK)
        return code;
    report.findings = json_array();
    code = ms_bill_verify(cli->svc, rates, tenant, finding, &report, &check, reterr);
    if (code == MS_OK)
        code = print(&report, &check, reterr);
    json_decref(report.findings);
    if (code == MS_OK && check.findings)
        code = ms_fail(reterr, MS_CORRUPT, "%" PRIu64 " differences; nothing was changed",
                       check.findings);
    return code;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_rates rates;
    enum ms_code code = ms_cli_rates(cli, cli->given[OPT_RATES], &rates, reterr);
    if (code == MS_OK)
        code = verify(cli, &rates, reterr);
    ms_rates_fini(&rates);
    return code;
}

const struct ms_cmd ms_cmd_bill_verify = {
    .name = "bill verify",
    .args = "",
    .summary = "compute every closed day anew and compare",
    .help = "Three ways to the same numbers: the sum over assets, the fold of the ledger, and the "
            "closed days, whose chain\n"
            "of hashes is followed too. Prints each difference (exit status 74) and repairs "
            "nothing. Lines are compared\n"
            "for months whose rate card is the one that priced them. Without --tenant on the "
            "command line: every tenant.\n",
    .opts = {{"rates", 0, "FILE", "rate cards; default: bill_rates of the configuration"}},
    .run = run,
};
