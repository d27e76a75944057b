#include "cli/review_text.h"

json_t *ms_cli_review_json(const struct ms_review_case *c) {
    return json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:o,s:b,s:b,s:s?,s:s?,s:s?,s:I,s:o}", "asset_id",
        ms_id_text(c->row.asset).s, "asset_type",
        ms_asset_type_name((enum ms_asset_type)c->asset.type), "asset_state",
        ms_state_name(c->state), "asset_name", c->asset.name, "asset_description",
        c->asset.description, "since_time", ms_out_json_time(c->row.since), "edit", c->edit,
        "human", c->row.human != 0, "held_name", c->row.has_name ? c->row.name : NULL,
        "held_description", c->row.has_description ? c->row.description : NULL, "note",
        c->row.note[0] ? c->row.note : NULL, "tries", (json_int_t)c->row.tries, "retry_time",
        ms_out_json_time(c->row.retry_at));
}

enum ms_code ms_cli_review_asset(struct ms_cli *cli, const char *arg, struct ms_asset_id *ret_id,
                                 struct ms_error *reterr) {
    struct ms_asset_info info;
    MS_TRY(ms_asset_find(cli->svc, &cli->ctx, arg, &info, reterr));
    ret_id->id = info.asset.id;
    return MS_OK;
}

enum ms_code ms_cli_review_decide(struct ms_cli *cli, const char *arg, enum ms_verdict verdict,
                                  const char *reason, const char *seen, json_t *results,
                                  struct ms_error *reterr) {
    struct ms_review_decide decide = {.verdict = verdict, .reason = reason};
    struct ms_asset_info info;
    if (seen)
        MS_TRY(ms_instant_parse(seen, &decide.since, reterr));
    MS_TRY(ms_cli_review_asset(cli, arg, &decide.asset, reterr));
    MS_TRY(ms_review_decide(cli->svc, &cli->ctx, &decide, reterr));
    MS_TRY(ms_asset_get(cli->svc, &cli->ctx, decide.asset, &info, reterr));
    if (cli->json)
        ms_out_add(results, ms_out_asset_json(&info));
    else if (!cli->quiet)
        printf("%s  %s\n", ms_id_text(info.asset.id).s, ms_state_name(info.state));
    return MS_OK;
}
