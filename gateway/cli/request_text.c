#include "cli/request_text.h"

json_t *ms_request_json(const struct ms_request_record *r) {
    bool whole = ms_asset_id_is_none((struct ms_asset_id){r->asset});
    bool waits = r->state == MS_REQUEST_WAITING;
    return json_pack("{s:s,s:s?,s:s,s:s,s:s,s:o,s:s?,s:o,s:s?}", "request_id", ms_id_text(r->id).s,
                     "asset_id", whole ? NULL : ms_id_text(r->asset).s, "state",
                     ms_request_state_name(r->state), "text", r->text, "who", r->who,
                     "create_time", ms_out_json_time(r->at), "decided_by",
                     waits ? NULL : r->decided_by, "decide_time",
                     ms_out_json_time(r->decided_at), "answer", waits ? NULL : r->answer);
}

enum ms_code ms_request_tell(struct ms_cli *cli, const struct ms_request_record *request,
                             struct ms_error *reterr) {
    if (cli->json)
        return ms_out_json(ms_request_json(request), reterr);
    if (!cli->quiet)
        printf("%s  %s\n", ms_id_text(request->id).s, ms_request_state_name(request->state));
    return MS_OK;
}

enum ms_code ms_request_run_decide(struct ms_cli *cli, bool grant, const char *answer,
                                   struct ms_error *reterr) {
    struct ms_request_record request;
    struct ms_request_id id;
    MS_TRY(ms_id_parse(cli->args[0], &id.id, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_request_decide(cli->svc, &cli->ctx, id, grant, answer ? answer : "", &request, reterr));
    return ms_request_tell(cli, &request, reterr);
}
