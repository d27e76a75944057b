#include "cli/package_text.h"

enum { OPT_SP = MS_PACKAGE_OPT_OWN };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_package_order order = {
        .source = cli->given[OPT_SP] ? MS_PACKAGE_SP_ALLOCATED : MS_PACKAGE_ADMIN_ALLOCATED,
        .free = true};
    struct ms_package_record p;
    MS_TRY(ms_package_order_of(cli, &order, reterr));
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
