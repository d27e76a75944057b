#include "cli/package_text.h"
#include "service/asset.h"

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_package_record p;
    struct ms_package_id id;
    struct ms_asset_info info;
    MS_TRY(ms_package_arg(cli->args[0], &id, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_asset_find(cli->svc, &cli->ctx, cli->args[1], &info, reterr));
    MS_TRY(ms_package_bind(cli->svc, &cli->ctx, id, (struct ms_asset_id){info.asset.id}, &p, reterr));
    return ms_package_print(cli, &p, 1, true, reterr);
}

const struct ms_cmd ms_cmd_package_bind = {
    .name = "package bind",
    .args = "PACKAGE ASSET",
    .summary = "take a unit of a package for a model or voice that has none",
    .help = "Models and voices take one when they are registered, of the valid package that ends "
            "first; this is for those that\n"
            "came without: copies, transferred ones. ASSET is a path or an id. MODELING_2D serves "
            "HUMAN_MODEL_2D assets,\n"
            "VOICE_CLONE VOICE_MODEL assets. The unit never comes back, also not when the asset is "
            "deleted. From now on the\n"
            "asset follows its package: see package buy.\n",
    .args_min = 2,
    .args_max = 2,
    .run = run,
};
