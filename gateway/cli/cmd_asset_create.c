#include "cli/parcel.h"

enum { OPT_TYPE, OPT_DESCRIPTION, OPT_TAGS, OPT_APP_USER, OPT_ORIGIN };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_asset_new make = {.name = cli->args[0],
                                .description = cli->given[OPT_DESCRIPTION],
                                .tags = cli->given[OPT_TAGS],
                                .app_user_id = cli->given[OPT_APP_USER]};
    struct ms_asset_id id;
    if (!cli->given[OPT_TYPE])
        return ms_fail(reterr, MS_USAGE, "--type names the asset's type, e.g. VIDEO");
    MS_TRY(ms_cli_type(cli->given[OPT_TYPE], &make.type, reterr));
    if (cli->given[OPT_ORIGIN] && !ms_origin_parse(cli->given[OPT_ORIGIN], &make.origin))
        return ms_fail(reterr, MS_USAGE, "--origin is UPLOADED, CUSTOMIZED or SYSTEM");
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_asset_create(cli->svc, &cli->ctx, &make, &id, reterr));
    if (cli->json)
        return ms_out_json(json_pack("{s:s}", "asset_id", ms_id_text(id.id).s), reterr);
    printf("%s\n", ms_id_text(id.id).s);
    return MS_OK;
}

const struct ms_cmd ms_cmd_asset_create = {
    .name = "asset create",
    .args = "NAME",
    .summary = "create an asset whose files are uploaded later",
    .help = "It shows CREATING. Declare its MAIN file with \"asset file\" and confirm it within 24 "
            "hours, or the asset\n"
            "is FAILED. A HUMAN_MODEL_2D or VOICE_MODEL (administrators only) takes a unit of a valid "
            "package when its MAIN is\n"
            "confirmed, and is bound to it: without one it is refused (see package buy); presets take "
            "none. Prints the new id.\n\nExample:\n"
            "  msasset asset create 'The film' --type VIDEO --tags news\n",
    .opts = {{"type", 0, "TYPE", "asset type, e.g. VIDEO, COMMON_FILE"},
             {"description", 0, "TEXT", "at most 4096 characters"},
             {"tags", 0, "LIST", "comma-separated, at most 50"},
             {"app-user", 0, "ID", "end user of a third-party application"},
             {"origin", 0, "NAME", "CUSTOMIZED or SYSTEM: administrators only"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
