#include "cli/replica_blob.h"
#include "service/catalogue.h"
#include "service/replicate.h"

#include <fcntl.h>
#include <unistd.h>

enum { OPT_FROM };

static enum ms_code open_stream(const char *from, int *ret_fd, struct ms_error *reterr) {
    *ret_fd = strcmp(from, "-") == 0 ? STDIN_FILENO : open(from, O_RDONLY | O_CLOEXEC);
    if (*ret_fd < 0)
        return ms_fail(reterr, MS_NO_INPUT, "%s cannot be read: %s", from, strerror(errno));
    return MS_OK;
}

static enum ms_code pull(struct ms_cli *cli, struct ms_view blob, int from, struct ms_error *reterr) {
    struct ms_asset_info info;
    struct ms_progress progress;
    ms_progress_begin(&progress, cli, "replicate");
    const struct ms_replicate_pull what = {
        .blob = blob, .from = from, .progress = ms_progress_update, .priv = &progress};
    enum ms_code code = ms_replicate_pull(cli->svc, &cli->ctx, &what, &info, reterr);
    ms_progress_end(&progress);
    if (code != MS_OK)
        return code;
    ms_catalogue_tend(cli->svc);
    if (cli->json)
        return ms_out_json(ms_out_asset_json(&info), reterr);
    if (!cli->quiet)
        printf("%s  %s  %s\n", info.path, ms_id_text(info.asset.id).s, ms_state_name(info.state));
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf blob = {0};
    const char *from = cli->given[OPT_FROM];
    int fd = -1;
    if (from && strcmp(from, "-") == 0 && strcmp(cli->args[0], "-") == 0)
        return ms_fail(reterr, MS_USAGE, "BLOB and --from cannot both be stdin");
    MS_TRY(ms_cli_replica_blob(cli->args[0], &blob, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    if (from)
        MS_TRY(open_stream(from, &fd, reterr));
    enum ms_code code = pull(cli, ms_buf_view(&blob), fd, reterr);
    if (fd > STDIN_FILENO)
        close(fd);
    return code;
}

const struct ms_cmd ms_cmd_replicate_pull = {
    .name = "replicate pull",
    .args = "BLOB",
    .summary = "copy an asset of another gateway by the blob that it made",
    .help = "BLOB is a file with what msasset replicate info printed there, \"-\" is stdin. The bytes come by the\n"
            "URLs in it, or with --from from what msasset replicate send writes there. The copy is an asset of\n"
            "its own in its type's folder, counted in full, checked and reviewed as an upload; its bytes are\n"
            "compared with the root hash under the seal when they come and again when the object store has them.\n"
            "What fails leaves nothing; what is killed leaves an asset in CREATING that fails after 24 hours. A\n"
            "blob may be pulled again until it expires: each time makes another copy. Models and voices:\n"
            "administrators only.\n\n"
            "Exit status 77: the seal does not hold, or its key is not in replication_keys; 75: it expired; 6:\n"
            "quota; 65: other bytes than told, or a rule for contents.\n\n"
            "Examples:\n"
            "  msasset replicate pull film.blob\n"
            "  msasset replicate pull film.blob --from film.bytes\n",
    .opts = {{"from", 0, "FILE", "the stream of replicate send; \"-\": stdin"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
