#include "cli/out.h"
#include "service/bin.h"

enum { OPT_OLDER };

static bool go_on(void *priv, uint64_t assets) {
    (void)priv, (void)assets;
    return !ms_cli_stopped();
}

static enum ms_code tell(struct ms_cli *cli, const struct ms_bin_emptied *e,
                         struct ms_error *reterr) {
    if (cli->json)
        return ms_out_json(json_pack("{s:I,s:I,s:I}", "assets", (json_int_t)e->assets,
                                     "freed_bytes", (json_int_t)e->bytes, "kept",
                                     (json_int_t)e->kept),
                           reterr);
    if (cli->quiet)
        return MS_OK;
    printf("Deleted %llu assets for good, %s freed.\n", (unsigned long long)e->assets,
           ms_out_size(e->bytes).s);
    if (e->kept)
        printf("%llu are kept: frozen in the bin, or bound to a package that renews itself.\n",
               (unsigned long long)e->kept);
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_bin_empty options = {.progress = go_on};
    struct ms_bin_emptied emptied;
    if (cli->given[OPT_OLDER])
        MS_TRY(ms_duration_parse(cli->given[OPT_OLDER], &options.older_ms, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_cli_confirm(cli, reterr, "Delete everything in the recycle bin of %s for good?",
                          cli->tenant.name));
    MS_TRY(ms_bin_empty(cli->svc, &cli->ctx, &options, &emptied, reterr));
    return tell(cli, &emptied, reterr);
}

const struct ms_cmd ms_cmd_bin_empty = {
    .name = "bin empty",
    .args = "",
    .summary = "delete for good all that lies in the recycle bin",
    .help = "Shows how much space came free. The quota has it at once; the bytes leave the object "
            "store with the next\n"
            "msasset gc after its grace. What was frozen in the bin stays.\n\nExample:\n"
            "  msasset bin empty --older 3d --yes\n",
    .opts = {{"older", 0, "DURATION", "only what was deleted so long ago"}},
    .destructive = true,
    .run = run,
};
