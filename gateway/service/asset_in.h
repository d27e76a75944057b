/* asset_in.h — life-cycle events of one asset as a step of somebody's transaction. Not for front ends.
 *
 * Whoever calls these tells open files afterwards, outside the transaction: ms_file_revalidate().
 */
#ifndef MS_SERVICE_ASSET_IN_H
#define MS_SERVICE_ASSET_IN_H

#include "service/asset.h"
#include "service/tree_rows.h"

/* With what is overdue considered, or (write) applied; in the bin too. Errors: MS_NOT_FOUND there is
 * none, or its time has come. */
MS_NODISCARD enum ms_code ms_asset_find_in(const struct ms_tree *t, struct ms_asset_id id,
                                           struct ms_tree_asset *ret_asset,
                                           struct ms_error *reterr);

/* Whether it may be copied (product.md 3.6), inside its tenant or to another gateway; what: "copy". Errors:
 * MS_WRONG_STATE and MS_NOT_READABLE by the life cycle; MS_NOT_PERMITTED a model. */
MS_NODISCARD enum ms_code ms_asset_may_copy(const struct ms_tree *t,
                                            const struct ms_tree_asset *source, const char *what,
                                            struct ms_error *reterr);

struct ms_asset_applied {
    struct ms_asset_record asset; /* as it is afterwards, or was when it went */
    bool purged;
};
/* ms_asset_apply() inside a transaction. *ret_applied is zeroed by the caller. */
MS_NODISCARD enum ms_code ms_asset_apply_in(const struct ms_tree *t,
                                            const struct ms_asset_event *event,
                                            struct ms_asset_applied *ret_applied,
                                            struct ms_error *reterr);

/* Store the tenant's record; followers forget all they know of it. */
MS_NODISCARD enum ms_code ms_tenant_put(const struct ms_tree *t, struct ms_error *reterr);
/* An audit row about a setting of the tenant: what, from and to; none when nothing changes. */
MS_NODISCARD enum ms_code ms_tenant_note_setting(const struct ms_tree *t, const char *what, uint64_t from, uint64_t to,
                                                 struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_tenant_admin_only(const struct ms_ctx *ctx, const char *what,
                                               struct ms_error *reterr);

/* ms_tenant_hold() inside a transaction; t->tenant is changed too. */
MS_NODISCARD enum ms_code ms_tenant_hold_in(struct ms_tree *t, enum ms_hold hold, bool on,
                                            const char *reason, struct ms_error *reterr);

/* The freeze that a waiting request asks to lift was lifted without it: it is granted by who did that, so that it
 * cannot lift a later one. An asset of none: the tenant's. */
MS_NODISCARD enum ms_code ms_request_answered(const struct ms_tree *t, struct ms_asset_id asset,
                                              struct ms_error *reterr);

#endif
