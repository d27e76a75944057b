#include "cli/out.h"
#include "service/review.h"

#include <inttypes.h>

static enum ms_code run(struct ms_cli *cli, struct ms_error *reterr) {
    struct ms_reviewed r;
    MS_TRY(ms_cli_open(cli, MS_NEED_STORE | MS_NEED_TENANT, reterr));
    MS_TRY(ms_review_run(cli->svc, cli->ctx.tenant, &r, reterr));
    if (cli->json)
        return ms_out_json(json_pack("{s:I,s:I,s:I,s:I}", "passed", (json_int_t)r.passed,
                                     "rejected", (json_int_t)r.rejected, "human",
                                     (json_int_t)r.human, "unanswered", (json_int_t)r.unanswered),
                           reterr);
    if (!cli->quiet)
        printf("%" PRIu64 " passed, %" PRIu64 " rejected, %" PRIu64 " for a person, %" PRIu64
               " without an answer\n",
               r.passed, r.rejected, r.human, r.unanswered);
    return MS_OK;
}

const struct ms_cmd ms_cmd_review_run = {
    .name = "review run",
    .args = "",
    .summary = "ask the machine about what waits for it",
    .help = "The list of words (review_words in msasset.conf), then the program (review_command), then "
            "the URL\n"
            "(review_webhook; how it is asked: msasset.conf(5)). \"sweep\" does it for all tenants. Who does "
            "not answer is\n"
            "asked again after a minute, then later and later, at most after an hour.\n\nExample:\n"
            "  MSASSET_REVIEW_WORDS=/etc/msasset/words msasset review run\n",
    .run = run,
};
