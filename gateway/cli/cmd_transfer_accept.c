#include "cli/transfer_text.h"
#include "quota/package.h"

#include <inttypes.h>

enum { OPT_REASON, OPT_CONFIRM };

/* "1 unit of VOICE_CLONE (3 left)", a line each. */
static void print_needs(const struct ms_transfer_needs *needs, const char *job) {
    for (size_t i = 0; i < needs->n; i++)
        printf("needs %" PRIu64 " %s of %s: %" PRIu64 " left\n", needs->need[i].units,
               needs->need[i].units == 1 ? "unit" : "units",
               ms_package_kind_name(needs->need[i].kind), needs->need[i].left);
    printf("Nothing has moved: msasset transfer accept --confirm %s does it, and deducts %s.\n", job,
           needs->n > 0 ? "that" : "nothing");
}

static json_t *needs_json(const struct ms_transfer_needs *needs) {
    json_t *list = json_array();
    for (size_t i = 0; i < needs->n; i++) {
        json_t *o = json_object();
        ms_out_set(o, "resource_type", json_string(ms_package_kind_name(needs->need[i].kind)));
        ms_out_set(o, "resource_nums", ms_out_json_u64(needs->need[i].units));
        ms_out_set(o, "left", ms_out_json_u64(needs->need[i].left));
        ms_out_add(list, o);
    }
    return list;
}

/* The first step of a billed job: what the second deducts. */
static enum ms_code tell_needs(struct ms_cli *cli, const struct ms_transfer_record *job,
                               struct ms_error *reterr) {
    struct ms_transfer_needs needs;
    MS_TRY(ms_transfer_required(cli->svc, &cli->ctx, (struct ms_transfer_id){job->id}, &needs,
                                reterr));
    if (cli->json) {
        json_t *o = ms_transfer_json(job);
        ms_out_set(o, "required_resources", needs_json(&needs));
        return ms_out_json(o, reterr);
    }
    MS_TRY(ms_transfer_tell(cli, job, reterr));
    if (!cli->quiet)
        print_needs(&needs, ms_id_text(job->id).s);
    return MS_OK;
}

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    const char *reason = cli->given[OPT_REASON];
    struct ms_transfer_record job;
    struct ms_transfer_id id;
    MS_TRY(ms_id_parse(cli->args[0], &id.id, reterr));
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    if (cli->given[OPT_CONFIRM])
        MS_TRY(ms_transfer_confirm(cli->svc, &cli->ctx, id, reason, &job, reterr));
    else
        MS_TRY(ms_transfer_end(cli->svc, &cli->ctx, id, MS_TRANSFER_ACCEPT, reason, &job, reterr));
    return job.state == MS_TRANSFER_PROCESSING ? tell_needs(cli, &job, reterr)
                                               : ms_transfer_tell(cli, &job, reterr);
}

const struct ms_cmd ms_cmd_transfer_accept = {
    .name = "transfer accept",
    .args = "JOB",
    .summary = "take over what another tenant offers",
    .help = "All assets of the job become this tenant's in one step, as UNACTIVED, in the folders of their "
            "types. When\n"
            "something does not hold any more (state, freeze, quota) the job is FAIL with the reason and "
            "nothing moves.\n\n"
            "A billed job (transfer create --billing) takes units of this tenant's packages, one for each model or\n"
            "voice, as registering them does, and is accepted in two steps: without --confirm nothing moves, the job\n"
            "stays PROCESSING, and what is required is shown beside what is left; with --confirm the assets move and\n"
            "the units are deducted at once. Refused while units are missing; the job waits on until it expires.\n\n"
            "Examples:\n"
            "  msasset transfer accept 0123456789abcdef0123456789abcdef\n"
            "  msasset transfer accept 0123456789abcdef0123456789abcdef --confirm\n",
    .opts = {{"reason", 0, "TEXT", "kept with the job"},
             {"confirm", 0, NULL, "of a billed job: move, and deduct the units"}},
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
