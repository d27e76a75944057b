#include "cli/out.h"
#include "service/review.h"

enum { OPT_NAME, OPT_DESCRIPTION };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_asset_edit edit = {.name = cli->given[OPT_NAME],
                                 .description = cli->given[OPT_DESCRIPTION]};
    struct ms_asset_info info;
    bool held;
    if (!edit.name && !edit.description)
        return ms_fail(reterr, MS_USAGE, "--name or --description says what changes");
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_asset_find(cli->svc, &cli->ctx, cli->args[0], &info, reterr));
    edit.id.id = info.asset.id;
    MS_TRY(ms_asset_edit(cli->svc, &cli->ctx, &edit, &held, reterr));
    if (cli->json)
        return ms_out_json(json_pack("{s:s,s:b}", "asset_id", ms_id_text(info.asset.id).s, "held",
                                     held),
                           reterr);
    if (!cli->quiet && held)
        printf("held aside until it is reviewed\n");
    return MS_OK;
}

const struct ms_cmd ms_cmd_asset_edit = {
    .name = "asset edit",
    .args = "PATH|ID",
    .summary = "change an asset's title or description",
    .help = "The path stays, and renames leave the title alone from now on. Where uploads are "
            "reviewed, the new texts of\n"
            "a finished asset are held aside until they pass; a further edit replaces them; a reject "
            "drops them.\n\nExample:\n"
            "  msasset asset edit videos/film.mp4 --name 'The other film'\n",
    .opts = {{"name", 0, "TEXT", "at most 256 characters"},
             {"description", 0, "TEXT", "at most 4096 characters"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
