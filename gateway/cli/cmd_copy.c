#include "cli/apply.h"
#include "service/copy.h"

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_asset_info info;
    struct ms_asset_id id;
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_apply_find(cli, cli->args[0], &id, reterr));
    MS_TRY(ms_asset_copy(cli->svc, &cli->ctx, id, cli->args[1], &info, reterr));
    if (cli->json)
        return ms_out_json(ms_out_asset_json(&info), reterr);
    if (!cli->quiet)
        printf("%s  %s\n", info.path, ms_id_text(info.asset.id).s);
    return MS_OK;
}

const struct ms_cmd ms_cmd_copy = {
    .name = "copy",
    .args = "PATH|ID NEWPATH",
    .summary = "copy an asset without moving its bytes",
    .help = "The copy is an asset of its own, counted in full; both name the same objects in the "
            "store. It keeps its source's\n"
            "origin and instant of creation: that of a produced video counts from when its source "
            "does, and cannot be changed\n"
            "either. What is frozen, in the recycle bin, in review or failed is not copied; models "
            "and voices are copied by\n"
            "administrators only, and take no unit of a package.\n\n"
            "Example:\n"
            "  msasset copy videos/a.mp4 videos/b.mp4\n",
    .args_min = 2,
    .args_max = 2,
    .run = run,
};
