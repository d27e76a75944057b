/* review_text.h — cases of the review queue, found and shown. */
#ifndef MS_CLI_REVIEW_TEXT_H
#define MS_CLI_REVIEW_TEXT_H

#include "cli/out.h"
#include "service/review.h"

json_t *ms_cli_review_json(const struct ms_review_case *c);
/* An asset by path or id. */
MS_NODISCARD enum ms_code ms_cli_review_asset(struct ms_cli *cli, const char *arg,
                                              struct ms_asset_id *ret_id, struct ms_error *reterr);
/* Of approve and reject. */
#define MS_CLI_SEEN_HELP                                                                           \
    "the case as it was looked at, its \"since\": refused when it was edited since then"
/* A person's verdict on each argument; seen: that instant, or NULL. */
MS_NODISCARD enum ms_code ms_cli_review_decide(struct ms_cli *cli, const char *arg,
                                               enum ms_verdict verdict, const char *reason,
                                               const char *seen, json_t *results,
                                               struct ms_error *reterr);

#endif
