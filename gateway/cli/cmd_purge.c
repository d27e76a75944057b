#include "cli/binned.h"
#include "service/bin.h"

enum { OPT_ALL };

struct purge {
    struct ms_cli *cli;
    uint64_t bytes, assets;
};

static enum ms_code purge_one(struct purge *p, struct ms_asset_id id, uint64_t bytes,
                              struct ms_error *reterr) {
    struct ms_asset_info info;
    struct ms_asset_event event = {.id = id, .event = MS_EVENT_FORCE_DELETE, .why = "purge"};
    enum ms_code code = ms_asset_apply(p->cli->svc, &p->cli->ctx, &event, &info, reterr);
    if (code == MS_OK) {
        p->bytes += bytes;
        p->assets++;
    }
    return code;
}

static bool go_on(void *priv, uint64_t assets) {
    (void)priv, (void)assets;
    return !ms_cli_stopped();
}

static enum ms_code purge_all(struct purge *p, struct ms_error *reterr) {
    const struct ms_bin_empty options = {.progress = go_on};
    struct ms_bin_emptied emptied;
    MS_TRY(ms_bin_empty(p->cli->svc, &p->cli->ctx, &options, &emptied, reterr));
    p->assets = emptied.assets;
    p->bytes = emptied.bytes;
    return MS_OK;
}

static enum ms_code purge_named(struct purge *p, struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    for (int i = 0; i < p->cli->args_n && code == MS_OK; i++) {
        struct ms_asset_id id;
        struct ms_asset_info info;
        code = ms_binned_find(p->cli, p->cli->args[i], &id, reterr);
        if (code == MS_OK)
            code = ms_asset_get(p->cli->svc, &p->cli->ctx, id, &info, reterr);
        if (code == MS_OK && !info.asset.binned)
            code = ms_fail(reterr, MS_WRONG_STATE,
                           "asset %s is %s, not in the recycle bin: msasset rm --force",
                           ms_id_text(id.id).s, ms_state_name(info.state));
        if (code == MS_OK)
            code = purge_one(p, id, info.asset.bytes, reterr);
    }
    return code;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct purge p = {.cli = cli};
    bool all = cli->given[OPT_ALL] != NULL;
    if (all == (cli->args_n > 0))
        return ms_fail(reterr, MS_USAGE,
                       "name assets of the recycle bin, or say --all for all of it");
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr);
    if (code == MS_OK)
        code = ms_cli_confirm(cli, reterr, "Delete %s for good?",
                              all ? "everything in the recycle bin" : "this");
    if (code == MS_OK)
        code = all ? purge_all(&p, reterr) : purge_named(&p, reterr);
    if (code != MS_OK)
        return code;
    if (cli->json)
        return ms_out_json(json_pack("{s:I,s:I}", "assets", (json_int_t)p.assets, "freed_bytes",
                                     (json_int_t)p.bytes),
                           reterr);
    if (!cli->quiet)
        printf("Deleted %llu assets for good, %s freed.\n", (unsigned long long)p.assets,
               ms_out_size(p.bytes).s);
    return MS_OK;
}

const struct ms_cmd ms_cmd_purge = {
    .name = "purge",
    .args = "[PATH|ID...]",
    .summary = "delete for good what lies in the recycle bin",
    .help = "Takes the path where an asset was, or its id. The space is free for the quota at "
            "once; the bytes leave the\n"
            "object store with the next msasset gc after its grace.\n\nExamples:\n  msasset purge "
            "videos/old.mp4 --yes\n"
            "  msasset purge --all\n",
    .opts = {{"all", 0, NULL, "everything in the recycle bin"}},
    .args_min = 0,
    .args_max = -1,
    .destructive = true,
    .run = run,
};
