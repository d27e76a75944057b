#include "cli/package_text.h"
#include "quota/price.h"

enum { OPT_ORDER, OPT_KIND, OPT_AMOUNT, OPT_MONTHS, OPT_TERMS, OPT_SP };

/* Bytes, minutes with two decimals, or units. */
static enum ms_code amount_of(const char *text, uint8_t kind, uint64_t *ret_amount,
                              struct ms_error *reterr) {
    uint64_t nano, one = kind == MS_PACKAGE_VIDEO_MINUTES ? MS_NANO / 100 : MS_NANO;
    if (!text)
        return ms_fail(reterr, MS_USAGE, "--amount is needed");
    if (kind == MS_PACKAGE_ASSET_MANAGER)
        return ms_bytes_parse(text, ret_amount, reterr);
    if (!ms_decimal_parse(text, strlen(text), &nano) || nano % one != 0)
        return ms_fail(reterr, MS_USAGE,
                       "--amount is a size, minutes with at most two decimals, or a number of units, "
                       "not \"%.64s\"",
                       text);
    *ret_amount = nano / one;
    return MS_OK;
}

static enum ms_code order_of(struct ms_cli *cli, struct ms_package_order *o,
                             struct ms_error *reterr) {
    const char *kind = cli->given[OPT_KIND];
    o->name = cli->args[0];
    o->order = cli->given[OPT_ORDER];
    if (!o->order)
        return ms_fail(reterr, MS_USAGE, "--order is needed: the same id again changes nothing more");
    if (cli->given[OPT_SP])
        o->source = MS_PACKAGE_SP_ALLOCATED;
    if (!kind || !ms_package_kind_parse(kind, &o->kind))
        return ms_fail(reterr, MS_USAGE,
                       "--kind is ASSET_MANAGER, VIDEO_MINUTES, MODELING_2D or VOICE_CLONE");
    MS_TRY(amount_of(cli->given[OPT_AMOUNT], o->kind, &o->amount, reterr));
    MS_TRY(ms_package_number(cli->given[OPT_MONTHS], "--months", 1, &o->months, reterr));
    return ms_package_number(cli->given[OPT_TERMS], "--terms", 1, &o->terms, reterr);
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_package_order order = {.source = MS_PACKAGE_ADMIN_ALLOCATED, .free = true};
    struct ms_package_record p;
    MS_TRY(order_of(cli, &order, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_package_buy(cli->svc, &cli->ctx, &order, &p, reterr));
    return ms_package_print(cli, &p, 1, true, reterr);
}

const struct ms_cmd ms_cmd_package_allocate = {
    .name = "package allocate",
    .args = "NAME",
    .summary = "give a tenant a package without a charge",
    .help = "As package buy, but no term of it is charged, now or when it is renewed.\n\nExample:\n"
            "  msasset package allocate voices --kind VOICE_CLONE --amount 5 --months 12 --order "
            "gift-1 --tenant media\n",
    .opts = {{"order", 0, "ID", "the buyer's id of this order; needed"},
             {"kind", 0, "KIND", "ASSET_MANAGER, VIDEO_MINUTES, MODELING_2D or VOICE_CLONE; needed"},
             {"amount", 0, "N", "a size, minutes for each term, or units; needed"},
             {"months", 0, "N", "of one term; 0: no end; default: 1"},
             {"terms", 0, "N", "how many terms; default: 1"},
             {"sp", 0, NULL, "allocated by a service provider, not by an administrator"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
