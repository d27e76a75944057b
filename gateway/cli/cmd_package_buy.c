#include "cli/package_text.h"

enum { OPT_AUTO_RENEW = MS_PACKAGE_OPT_OWN };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_package_order order = {.source = MS_PACKAGE_PURCHASED,
                                     .auto_renew = cli->given[OPT_AUTO_RENEW] != NULL};
    struct ms_package_record p;
    MS_TRY(ms_package_order_of(cli, &order, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_package_buy(cli->svc, &cli->ctx, &order, &p, reterr));
    return ms_package_print(cli, &p, 1, true, reterr);
}

const struct ms_cmd ms_cmd_package_buy = {
    .name = "package buy",
    .args = "NAME",
    .summary = "buy a package for a tenant",
    .help = "NAME is the rate card's: each term costs the price of package NAME at its start. ASSET_MANAGER adds "
            "its size to the free\n"
            "quota while it is valid; VIDEO_MINUTES holds minutes of produced video for each term; "
            "MODELING_2D and VOICE_CLONE hold\n"
            "units, which registering a model or voice takes. The same order id again buys nothing "
            "more and prints what it\n"
            "bought. At the end of its last term a package is frozen: what is bound to it works for "
            "15 days more, is frozen\n"
            "for 15 days, and is deleted then, unless it is renewed before. A package cannot be "
            "unsubscribed; auto-renew can be\n"
            "switched off.\n\nExample:\n"
            "  msasset package buy am-100g --kind ASSET_MANAGER --amount 100G --terms 12 --order "
            "2026-00017 --tenant media\n",
    .opts = {{"order", 0, "ID", "the buyer's id of this order; needed"},
             {"kind", 0, "KIND", "ASSET_MANAGER, VIDEO_MINUTES, MODELING_2D or VOICE_CLONE; needed"},
             {"amount", 0, "N", "a size, minutes for each term, or units; needed"},
             {"months", 0, "N", "of one term; 0: no end; default: 1"},
             {"terms", 0, "N", "how many terms; default: 1"},
             {"auto-renew", 0, NULL, "a further term whenever the last one ends"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
