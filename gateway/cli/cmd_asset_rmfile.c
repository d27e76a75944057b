#include "cli/parcel.h"

static enum ms_code each(struct ms_cli *cli, const char *arg, json_t *results,
                         struct ms_error *reterr) {
    struct ms_file_id file;
    MS_TRY(ms_cli_file_id(arg, &file, reterr));
    MS_TRY(ms_file_remove(cli->svc, &cli->ctx, file, reterr));
    if (cli->json)
        ms_out_add(results, json_string(arg));
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    return ms_cli_each(cli, each, reterr);
}

const struct ms_cmd ms_cmd_asset_rmfile = {
    .name = "asset rmfile",
    .args = "FILE-ID...",
    .summary = "remove files other than MAIN from their assets",
    .help = "Declared through the API or \"asset file\"; their bytes go. MAIN goes with its asset "
            "only.\n\nExample:\n"
            "  msasset asset rmfile 0123456789abcdef0123456789abcdef\n",
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
