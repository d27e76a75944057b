#include "cli/apply.h"
#include "cli/share_text.h"

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_tenant_id tenants[MS_SHARE_TENANTS_MAX];
    struct ms_share share = {.receivers = tenants, .n = (size_t)cli->args_n - 1};
    size_t n;
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_apply_find(cli, cli->args[0], &share.asset, reterr));
    MS_TRY(ms_share_tenants_given(cli, cli->args + 1, share.n, tenants, reterr));
    MS_TRY(ms_share_remove(cli->svc, &cli->ctx, &share, &n, reterr));
    if (cli->json)
        return ms_out_json(json_pack("{s:s,s:I}", "asset_id", ms_id_text(share.asset.id).s, "withdrawn",
                                     (json_int_t)n),
                           reterr);
    if (!cli->quiet)
        printf("%s  withdrawn from %zu tenant%s\n", cli->args[0], n, n == 1 ? "" : "s");
    return MS_OK;
}

const struct ms_cmd ms_cmd_share_rm = {
    .name = "share rm",
    .args = "PATH|ID [TENANT...]",
    .summary = "withdraw an asset from tenants that may read it",
    .help = "From the tenants that are named, or from all. Who reads it at that moment gets no further piece of "
            "it. Also of\n"
            "what is frozen or in the recycle bin.\n\nExample:\n  msasset share rm videos/film.mp4 agency\n",
    .args_min = 1,
    .args_max = 1 + MS_SHARE_TENANTS_MAX,
    .run = run,
};
