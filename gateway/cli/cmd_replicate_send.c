#include "cli/replica_blob.h"
#include "service/replicate.h"

#include <unistd.h>

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf blob = {0};
    struct ms_progress progress;
    MS_TRY(ms_cli_replica_blob(cli->args[0], &blob, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    ms_progress_begin(&progress, cli, "replicate");
    const struct ms_replicate_send send = {.blob = ms_buf_view(&blob),
                                           .fd = STDOUT_FILENO,
                                           .progress = ms_progress_update,
                                           .priv = &progress};
    enum ms_code code = ms_replicate_send(cli->svc, &cli->ctx, &send, reterr);
    ms_progress_end(&progress);
    return code;
}

const struct ms_cmd ms_cmd_replicate_send = {
    .name = "replicate send",
    .args = "BLOB",
    .summary = "write the bytes of a blob's files to stdout, for replicate pull --from",
    .help = "For an object store that signs no URLs, such as a folder, or that the other gateway cannot reach:\n"
            "the files of the blob, one behind the other, each block compared with its checksum. BLOB is a file\n"
            "from msasset replicate info on this gateway, \"-\" is stdin. State and rights are asked again while\n"
            "it runs: a freeze ends it. What arrives is compared with the hashes under the blob's seal.\n\n"
            "Example:\n"
            "  msasset replicate send film.blob | ssh other msasset replicate pull film.blob --from -\n",
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
