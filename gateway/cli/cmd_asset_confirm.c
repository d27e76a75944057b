#include "cli/parcel.h"
#include "service/catalogue.h"

enum { OPT_FAILED, OPT_CANCELLED };

static enum ms_code each(struct ms_cli *cli, const char *arg, json_t *results,
                         struct ms_error *reterr) {
    struct ms_progress progress;
    struct ms_confirmed confirmed;
    struct ms_confirm confirm = {.as = cli->given[OPT_FAILED]      ? MS_CONFIRM_FAILED
                                       : cli->given[OPT_CANCELLED] ? MS_CONFIRM_CANCELLED
                                                                   : MS_CONFIRM_CREATED,
                                 .progress = ms_progress_update,
                                 .priv = &progress};
    MS_TRY(ms_cli_file_id(arg, &confirm.file, reterr));
    ms_progress_begin(&progress, cli, arg);
    enum ms_code code = ms_file_confirm(cli->svc, &cli->ctx, &confirm, &confirmed, reterr);
    ms_progress_end(&progress);
    return code == MS_OK ? ms_cli_confirmed(cli, &confirmed, results, reterr) : code;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    if (cli->given[OPT_FAILED] && cli->given[OPT_CANCELLED])
        return ms_fail(reterr, MS_USAGE, "--failed and --cancelled exclude each other");
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    enum ms_code code = ms_cli_each(cli, each, reterr);
    ms_catalogue_tend(cli->svc);
    return code;
}

const struct ms_cmd ms_cmd_asset_confirm = {
    .name = "asset confirm",
    .args = "FILE-ID...",
    .summary = "confirm that a declared file was uploaded, failed or was cancelled",
    .help = "The bytes are joined, read once, and compared with the declared size and MD5; MAIN is "
            "judged by the rules\n"
            "for its type. Then the asset is ACTIVED and appears in its type's folder, or it is "
            "FAILED with the\n"
            "reason (exit status 65): MISMATCH frees its bytes, a broken rule keeps them. "
            "Confirming what was never\n"
            "sent is refused (exit status 4) and changes nothing.\n\nExample:\n"
            "  msasset asset confirm 0123456789abcdef0123456789abcdef\n",
    .opts = {{"failed", 0, NULL, "the upload failed: its bytes and its reservation go"},
             {"cancelled", 0, NULL, "it was cancelled: likewise"}},
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
