#include "cli/apply.h"
#include "cli/transfer_text.h"

enum { OPT_TO, OPT_MEMO, OPT_BACK, OPT_ACCEPT, OPT_ACTIVE, OPT_BILLING };

static enum ms_code options_of(struct ms_cli *cli, struct ms_transfer_create *c,
                               struct ms_error *reterr) {
    struct ms_tenant_record dest;
    MS_TRY(ms_tenant_find(cli->svc, cli->given[OPT_TO], &dest, reterr));
    c->dest = (struct ms_tenant_id){dest.id};
    if (cli->given[OPT_BACK])
        MS_TRY(ms_id_parse(cli->given[OPT_BACK], &c->back_of.id, reterr));
    c->memo = cli->given[OPT_MEMO];
    c->auto_accept = cli->given[OPT_ACCEPT] != NULL;
    c->activate = cli->given[OPT_ACTIVE] != NULL;
    c->billing = cli->given[OPT_BILLING] != NULL;
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_asset_id ids[MS_TRANSFER_ASSETS_MAX];
    struct ms_transfer_create create = {.assets = ids, .n = (size_t)cli->args_n};
    struct ms_transfer_record job;
    if (!cli->given[OPT_TO])
        return ms_fail(reterr, MS_USAGE, "say with --to which tenant is to have them");
    if (cli->args_n > MS_TRANSFER_ASSETS_MAX)
        return ms_fail(reterr, MS_USAGE, "a transfer has at most %d assets", MS_TRANSFER_ASSETS_MAX);
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(options_of(cli, &create, reterr));
    for (int i = 0; i < cli->args_n; i++)
        MS_TRY(ms_apply_find(cli, cli->args[i], &ids[i], reterr));
    MS_TRY(ms_transfer_create(cli->svc, &cli->ctx, &create, &job, reterr));
    return ms_transfer_tell(cli, &job, reterr);
}

const struct ms_cmd ms_cmd_transfer_create = {
    .name = "transfer create",
    .args = "PATH|ID...",
    .summary = "offer assets to another tenant",
    .help = "Models and voices, at most 100 at a time, by tenants that msasset transfer allow names, "
            "or by an administrator.\n"
            "The receiver accepts within 7 days; until then they stay the sender's. All of them go, "
            "or none: what is frozen,\n"
            "deleted or too big for the receiver's quota by then ends the transfer as FAIL. No bytes "
            "move. Scheduled\n"
            "operations are dropped. What an accepted transfer brought can go back with --back. With --billing each\n"
            "model or voice takes a unit of a valid package of the receiver's, which sees what is required and\n"
            "confirms it (transfer accept); together with --accept it is deducted at once.\n\n"
            "Examples:\n  msasset transfer create models/anna.bin --to studio --memo 'as agreed'\n"
            "  msasset transfer create models/anna.bin --to media --back JOB\n",
    .opts = {{"to", 0, "TENANT", "who receives them"},
             {"memo", 0, "TEXT", "for the receiver"},
             {"back", 0, "JOB", "the accepted transfer that brought them"},
             {"accept", 0, NULL, "administrators: accepted in the same step"},
             {"active", 0, NULL, "administrators: ACTIVED at the receiver, not UNACTIVED"},
             {"billing", 0, NULL, "the receiver pays a unit of its packages for each model or voice"}},
    .args_min = 1,
    .args_max = -1,
    .run = run,
};
