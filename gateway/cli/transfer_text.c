#include "cli/transfer_text.h"

json_t *ms_transfer_json(const struct ms_transfer_record *j) {
    bool back = !ms_transfer_id_is_none((struct ms_transfer_id){j->back_of});
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:b,s:s,s:s,s:o,s:o,s:o}", "job_id",
                     ms_id_text(j->id).s, "transfer_type", back ? "TRANSFER_BACK" : "TRANSFER_OUT",
                     "state", ms_transfer_state_name(j->state), "src_project_id",
                     ms_id_text(j->src).s, "dest_project_id", ms_id_text(j->dest).s, "assets",
                     (json_int_t)j->assets, "is_need_billing", j->billing, "memo", j->memo, "reason",
                     j->reason, "start_time", ms_out_json_time(j->start), "finish_time",
                     ms_out_json_time(j->finish), "expire_time", ms_out_json_time(j->expire));
}

enum ms_code ms_transfer_tell(struct ms_cli *cli, const struct ms_transfer_record *job,
                              struct ms_error *reterr) {
    if (cli->json)
        return ms_out_json(ms_transfer_json(job), reterr);
    if (!cli->quiet)
        printf("%s  %s\n", ms_id_text(job->id).s, ms_transfer_state_name(job->state));
    return MS_OK;
}

enum ms_code ms_transfer_run_end(struct ms_cli *cli, enum ms_transfer_state how, const char *reason,
                                 struct ms_error *reterr) {
    struct ms_transfer_record job;
    struct ms_transfer_id id;
    MS_TRY(ms_id_parse(cli->args[0], &id.id, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_transfer_end(cli->svc, &cli->ctx, id, how, reason, &job, reterr));
    return ms_transfer_tell(cli, &job, reterr);
}
