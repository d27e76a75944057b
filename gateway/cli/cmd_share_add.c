#include "cli/apply.h"
#include "cli/share_text.h"

enum { OPT_DAYS, OPT_UNTIL };

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_tenant_id tenants[MS_SHARE_TENANTS_MAX];
    struct ms_share share = {.receivers = tenants, .n = (size_t)cli->args_n - 1};
    struct ms_instant until;
    char end[MS_RFC3339_S_LEN + 1];
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_share_end_given(cli, cli->given[OPT_DAYS], cli->given[OPT_UNTIL], &share.until, reterr));
    MS_TRY(ms_apply_find(cli, cli->args[0], &share.asset, reterr));
    MS_TRY(ms_share_tenants_given(cli, cli->args + 1, share.n, tenants, reterr));
    MS_TRY(ms_share_add(cli->svc, &cli->ctx, &share, &until, reterr));
    ms_instant_format_s(ms_share_shown_end(until), end);
    if (cli->json)
        return ms_out_json(json_pack("{s:s,s:s,s:s}", "asset_id", ms_id_text(share.asset.id).s, "shared_type",
                                     "SHARED", "expire_time", end),
                           reterr);
    if (!cli->quiet)
        printf("%s  shared until %s\n", cli->args[0], ms_share_end_text(until).s);
    return MS_OK;
}

const struct ms_cmd ms_cmd_share_add = {
    .name = "share add",
    .args = "PATH|ID TENANT...",
    .summary = "let other tenants read an asset",
    .help = "They may look at it and read it (msasset show, get and ls with --shared), and nothing else. A share "
            "ends with a\n"
            "day, UTC: after 30 days unless said otherwise. It counts while the asset is ACTIVED or "
            "WAITING_DELETE and neither\n"
            "tenant is frozen; the bytes of models and voices are nobody's to read, and what waits for review is "
            "shown to its\n"
            "owner only. Sharing again changes the end. At most 100 tenants for an asset: all that are named, or "
            "none. Shares\n"
            "go with the asset when it is transferred or deleted for good; a copy has none.\n\nExamples:\n"
            "  msasset share add videos/film.mp4 studio agency\n"
            "  msasset share add videos/film.mp4 studio --until 2026-12-31\n",
    .opts = {{"days", 0, "N", "until the end of the day in N days"},
             {"until", 0, "DATE", "until the end of this day: 2026-12-31"}},
    .args_min = 2,
    .args_max = 1 + MS_SHARE_TENANTS_MAX,
    .run = run,
};
