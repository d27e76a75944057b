#include "cli/apply.h"
#include "service/replicate.h"

enum { OPT_VALID };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf blob = {0};
    struct ms_asset_id id;
    int64_t valid_ms = 0;
    if (cli->given[OPT_VALID])
        MS_TRY(ms_duration_parse(cli->given[OPT_VALID], &valid_ms, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_apply_find(cli, cli->args[0], &id, reterr));
    MS_TRY(ms_replicate_info(cli->svc, &cli->ctx, id, valid_ms, &blob, reterr));
    printf("%s\n", (const char *)blob.data);
    return MS_OK;
}

const struct ms_cmd ms_cmd_replicate_info = {
    .name = "replicate info",
    .args = "PATH|ID",
    .summary = "make the sealed blob by which another gateway copies an asset",
    .help = "Prints one line of JSON for msasset replicate pull on the other gateway: what is to be told of the\n"
            "asset and its files, and URLs of their bytes where the object store signs some, sealed with\n"
            "AES-128-GCM under the first key of replication_keys (msasset.conf(5)), which both gateways need.\n"
            "Whoever has that key and the blob has the bytes, until it expires; a freeze stops URLs that were\n"
            "told before only then. What is frozen, in the recycle bin, in review, failed or empty is not told;\n"
            "models and voices: administrators only.\n\n"
            "Examples:\n"
            "  msasset replicate info videos/film.mp4 >film.blob\n"
            "  msasset replicate info videos/film.mp4 --valid 10m | ssh other msasset replicate pull -\n",
    .opts = {{"valid", 0, "DURATION", "how long it is good: 1m to 24h; 1h otherwise"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
