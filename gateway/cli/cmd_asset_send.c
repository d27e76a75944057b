#include "cli/parcel.h"

#include <unistd.h>

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_progress progress;
    struct ms_send send = {.progress = ms_progress_update, .priv = &progress};
    MS_TRY(ms_cli_file_id(cli->args[0], &send.file, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_cli_open_upload(cli->args[1], &send.fd, reterr));
    ms_progress_begin(&progress, cli, cli->args[1]);
    enum ms_code code = ms_file_send(cli->svc, &cli->ctx, &send, reterr);
    ms_progress_end(&progress);
    close(send.fd);
    return code;
}

const struct ms_cmd ms_cmd_asset_send = {
    .name = "asset send",
    .args = "FILE-ID FILE",
    .summary = "send the bytes of a declared file",
    .help = "They go into the upload that \"asset file\" opened, as a PUT to its URLs would. It may "
            "be repeated until the\n"
            "file is confirmed.\n\nExample:\n  msasset asset send "
            "0123456789abcdef0123456789abcdef film.mp4\n",
    .args_min = 2,
    .args_max = 2,
    .run = run,
};
