/* share_part.h — what share.c and shared.c share. Private to them. */
#ifndef MS_SERVICE_SHARE_PART_H
#define MS_SERVICE_SHARE_PART_H

#include "service/share.h"
#include "service/tree_rows.h"

/* Whether a tenant that the asset is shared with may look at it now. owner, receiver: views of the same
 * transaction. Errors: MS_WRONG_STATE one of the two is frozen; MS_NOT_READABLE by the asset's state. */
MS_NODISCARD enum ms_code ms_share_may_read(const struct ms_tree *owner, const struct ms_tree *receiver,
                                            const struct ms_tree_asset *asset, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_share_tenant_name(const struct ms_tree *t, struct ms_tenant_id id,
                                               char ret_name[MS_TENANT_NAME_MAX + 1],
                                               struct ms_error *reterr);

#endif
