/* copy.h — a copy of an asset inside its tenant, without moving bytes (product.md 2 and 3.5).
 *
 * The copy is an asset of its own: new ids, created now, counted in full; its versions name the same
 * objects, which are reference-counted. Every confirmed file is copied. The copy of what the platform
 * produced is the tenant's own (UPLOADED), so that it can be changed; a model stays one, and only
 * administrators copy it. Holds, shares, scheduled operations and reviews are not copied, and what is
 * frozen, binned or not finished is not copied at all.
 *
 * Threads: any.
 */
#ifndef MS_SERVICE_COPY_H
#define MS_SERVICE_COPY_H

#include "service/asset.h"

/* path: in a folder that exists, a name that is free. Errors: MS_WRONG_STATE by the life cycle;
 * MS_NOT_PERMITTED a model, or a folder of the platform; MS_QUOTA with the numbers; MS_EXISTS,
 * MS_WRONG_KIND, MS_TOO_LARGE by the new name; MS_NOT_FOUND. */
MS_NODISCARD enum ms_code ms_asset_copy(struct ms_svc *svc, const struct ms_ctx *ctx,
                                        struct ms_asset_id id, const char *path,
                                        struct ms_asset_info *ret_info, struct ms_error *reterr);

#endif
