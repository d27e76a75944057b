#include "cli/out.h"

#include "cli/content_text.h"
#include "cli/share_text.h"
#include "content/hash.h"

enum { OPT_SHARED };

/* What waits for review beside what everyone else sees. */
static void print_pending(const struct ms_asset_info *info) {
    const struct ms_review_record *p = &info->pending;
    ms_out_pair("in review", "since %s, by %s", ms_out_time(p->since).s,
                p->human ? "a person" : "the machine");
    if (!ms_version_id_is_none((struct ms_version_id){p->held}))
        ms_out_pair("held", "a new MAIN of %s bytes; the live one has %s",
                    ms_out_exact(p->held_bytes).s, ms_out_exact(info->main.size).s);
    if (p->has_name)
        ms_out_pair("held", "the name \"%s\"", p->name);
    if (p->has_description)
        ms_out_pair("held", "the description \"%s\"", p->description);
}

static void print(const struct ms_asset_info *info) {
    const struct ms_asset_record *a = &info->asset;
    char root[33] = "-";
    if (info->version.hashed)
        ms_root_format(info->version.root, root);
    ms_out_pair("asset", "%s", ms_id_text(a->id).s);
    ms_out_pair("name", "%s", a->name);
    ms_out_pair("path", "%s", info->path[0] ? info->path : "-");
    ms_out_pair("type", "%s", ms_asset_type_name(a->type));
    ms_out_pair("state", "%s", ms_state_name(info->state));
    ms_out_pair("origin", "%s", ms_origin_name(a->origin));
    ms_out_pair("size", "%s bytes (%s)", ms_out_exact(info->size).s, ms_out_size(info->size).s);
    ms_out_pair("media type", "%s", info->main.media_type[0] ? info->main.media_type : "-");
    ms_out_pair("root", "%s", root);
    const struct ms_content content = ms_asset_content(info);
    ms_content_print(&info->limits, &content);
    if (a->fail)
        ms_out_pair("failed", "%s", ms_fail_name(a->fail));
    if (a->holds)
        ms_out_pair("held", "%s", ms_hold_words(a->holds));
    if (a->reason_code[0] || a->reason[0])
        ms_out_pair("reason", "%s%s%s", a->reason_code, a->reason_code[0] ? ": " : "", a->reason);
    if (info->waits)
        print_pending(info);
    if (info->warning[0])
        ms_out_pair("warning", "%s", info->warning);
    for (unsigned i = 0; i < a->scheduled_count; i++)
        ms_out_pair("scheduled", "%s at %s",
                    a->scheduled[i].op == MS_SCHEDULED_BLOCK ? "BLOCK" : "DELETE",
                    ms_out_time(a->scheduled[i].at).s);
    if (a->takedown_due.ms != 0)
        ms_out_pair("taken down", "at %s", ms_out_time(a->takedown_due).s);
    if (a->tags[0])
        ms_out_pair("tags", "%s", a->tags);
    ms_out_pair("made", "%s", ms_out_time(a->created).s);
    ms_out_pair("changed", "%s", ms_out_time(a->updated).s);
    if (a->binned)
        ms_out_pair("in the bin", "since %s, until %s", ms_out_time(a->binned_at).s,
                    ms_out_time(ms_instant_add_ms(a->binned_at, a->retention_ms)).s);
}

static void print_shared(const struct ms_shared_info *info) {
    const struct ms_asset_record *a = &info->asset;
    char root[33];
    ms_shared_root(info, root);
    ms_out_pair("asset", "%s", ms_id_text(a->id).s);
    ms_out_pair("name", "%s", a->name);
    ms_out_pair("shared", "by %s, until %s", info->owner, ms_share_end_text(info->share.until).s);
    ms_out_pair("type", "%s", ms_asset_type_name(a->type));
    ms_out_pair("state", "%s", ms_state_name(info->state));
    ms_out_pair("size", "%s bytes (%s)", ms_out_exact(info->main.size).s, ms_out_size(info->main.size).s);
    ms_out_pair("media type", "%s", info->main.media_type[0] ? info->main.media_type : "-");
    ms_out_pair("root", "%s", root);
    if (a->description[0])
        ms_out_pair("description", "%s", a->description);
    if (a->tags[0])
        ms_out_pair("tags", "%s", a->tags);
    ms_out_pair("made", "%s", ms_out_time(a->created).s);
    ms_out_pair("changed", "%s", ms_out_time(a->updated).s);
}

static enum ms_code show_shared(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_shared_info info;
    MS_TRY(ms_shared_find(cli->svc, &cli->ctx, cli->args[0], &info, reterr));
    if (cli->json)
        return ms_out_json(ms_shared_json(&info), reterr);
    print_shared(&info);
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_asset_info info;
    enum ms_code code = ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr);
    if (code == MS_OK && cli->given[OPT_SHARED])
        return show_shared(cli, reterr);
    if (code == MS_OK)
        code = ms_asset_find(cli->svc, &cli->ctx, cli->args[0], &info, reterr);
    if (code != MS_OK)
        return code;
    if (cli->json)
        return ms_out_json(ms_out_asset_json(&info), reterr);
    print(&info);
    return MS_OK;
}

const struct ms_cmd ms_cmd_show = {
    .name = "show",
    .args = "PATH|ID",
    .summary = "show all about one asset",
    .help = "State, type, size, root hash, times and reasons. In the recycle bin the path is where "
            "it was.\n\n"
            "With --shared, what another tenant shares with this one: an id, or TENANT/NAME, its owner and its "
            "name.\n\n"
            "Examples:\n  msasset show videos/film.mp4 --json\n  msasset show --shared media/film.mp4\n",
    .opts = {{"shared", 's', NULL, "what is shared with the tenant"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
