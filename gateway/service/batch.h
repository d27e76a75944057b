/* batch.h — one action on 1 to 100 assets, with grouped results (metastudio-api.md A7).
 *
 * Each asset is a step of its own: what is refused for one stops no other. Results are grouped: all that
 * succeeded, then one group for each code, with the message of its first asset.
 *
 * Threads: any.
 */
#ifndef MS_SERVICE_BATCH_H
#define MS_SERVICE_BATCH_H

#include "service/share.h"

#define MS_BATCH_MAX 100

/* The API's action, and the event of the life cycle that it is; COUNT: it is none. */
#define MS_BATCH_ACTIONS(X)                                                                        \
    X(DELETE, DELETE) X(DELETE_FORCE, FORCE_DELETE) X(RESTORE, RESTORE) X(UNACTIVE, DEACTIVATE)    \
    X(ACTIVE, ACTIVATE) X(SHARE, COUNT) X(UNSHARE, COUNT)
enum ms_batch_action {
#define MS_BATCH_ENUM(name, event) MS_BATCH_##name,
    MS_BATCH_ACTIONS(MS_BATCH_ENUM)
#undef MS_BATCH_ENUM
        MS_BATCH_ACTION_COUNT
};
/* Exactly the API's names. Errors: MS_INVALID, naming them. */
MS_NODISCARD enum ms_code ms_batch_action_parse(const char *name, enum ms_batch_action *ret_action,
                                                struct ms_error *reterr);

struct ms_batch_group {
    enum ms_code code;     /* MS_OK: these succeeded */
    struct ms_error error; /* of the first one */
    struct ms_asset_id ids[MS_BATCH_MAX];
    size_t n;
};
struct ms_batch_result {
    struct ms_batch_group group[MS_BATCH_MAX]; /* successes first, then in the order in which they came */
    size_t n;
};
/* share: SHARE: with whom, and until when; UNSHARE: from whom, NULL or no tenant: from all; its asset is not
 * looked at, and neither is it by other actions.
 * Errors: MS_INVALID no id, or more than 100; else MS_OK, whatever became of each. */
MS_NODISCARD enum ms_code ms_batch(struct ms_svc *svc, const struct ms_ctx *ctx,
                                   enum ms_batch_action action, const struct ms_asset_id *ids,
                                   size_t n, const struct ms_share *share,
                                   struct ms_batch_result *ret_result, struct ms_error *reterr);

#endif
