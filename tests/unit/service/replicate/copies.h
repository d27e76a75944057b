/* copies.h — one gateway that gives, for tests of copies between gateways: an asset with a cover, its blob, its
 * bytes. */
#ifndef MS_TESTS_SERVICE_COPIES_H
#define MS_TESTS_SERVICE_COPIES_H

#include "confirm/parcel.h"

#include "service/replicate.h"

#define COPIES_BYTES ((size_t)9 * MS_MB) /* of MAIN: two parts */

/* Both gateways have the key. */
void copies_keys(struct world *w);
struct copies {
    struct ms_asset_id asset;
    struct parcel main, cover;
    struct ms_buf blob;
    char *stream; /* path of what ms_replicate_send wrote */
};
/* Of w's tenant; the files lie in its folder. copies_fini. */
void copies_make(struct world *w, struct copies *c);
void copies_fini(struct copies *c);
/* By the stream. */
enum ms_code copies_pull(struct ms_svc *svc, const struct ms_ctx *ctx, const char *dir,
                         struct ms_asset_info *ret_info, struct ms_error *reterr);
/* What came is what was there: texts, files, bytes. */
void copies_same(struct world *w, const struct copies *c, const struct ms_asset_info *info);

#endif
