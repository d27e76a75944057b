/* copy.h — a copy of an asset inside its tenant, without moving bytes (product.md 2 and 3.5).
 *
 * The copy is an asset of its own: new ids, counted in full; its versions name the same objects, which
 * are reference-counted. Every confirmed file is copied. It keeps its source's origin and instant of
 * creation (bill.md section 2: else a copy every six months would be free for ever), so the copy of a
 * produced video counts from when its source does, and is not the tenant's to change either; its minutes
 * are not metered again. Models are copied by administrators only, and take no unit of a package. Holds,
 * shares, scheduled operations and reviews are not copied, and what is frozen, binned or not finished is
 * not copied at all.
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
