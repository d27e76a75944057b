/* produce.h — composited videos: what the platform made for a tenant, and its minutes (product.md
 * section 5, bill.md sections 2 and 4).
 *
 * A produced video is an asset of origin CUSTOMIZED. It comes into being in one commit, its seal:
 * bytes, instant of creation, and minutes, in one ledger row. Its bytes are no part of the quota for
 * six calendar months from there (a due row ends that); its minutes are charged whatever becomes of
 * it. Minutes that no package holds are pay-per-use; where that is off the video is refused whole:
 * nothing is produced and nothing charged.
 */
#ifndef MS_SERVICE_PRODUCE_H
#define MS_SERVICE_PRODUCE_H

#include "service/asset.h"

struct ms_tree;

struct ms_produce {
    int fd;           /* a regular file */
    const char *path; /* new; the name's suffix is that of a video */
    uint32_t mode;
    struct timespec mtime; /* 0: now */
    uint64_t duration_ms;  /* becomes whole seconds here, half up */
    bool (*progress)(void *priv, uint64_t done, uint64_t total); /* as of ms_put */
    void *priv;
};
/* Errors: MS_DENIED not an administrator or service principal; MS_QUOTA pay-per-use is off and the
 * packages do not hold the minutes; MS_EXISTS; MS_WRONG_KIND, MS_TOO_LARGE its content is no video's;
 * those of ms_asset_put. */
MS_NODISCARD enum ms_code ms_produce(struct ms_svc *svc, const struct ms_ctx *ctx,
                                     const struct ms_produce *produce,
                                     struct ms_asset_info *ret_info, struct ms_error *reterr);

/* The seal of an asset that is PRODUCING: its bytes and minutes. Errors: MS_QUOTA as above,
 * MS_INVALID it is empty. */
MS_NODISCARD enum ms_code ms_produce_settle(const struct ms_tree *t, struct ms_asset_record *asset,
                                            uint64_t bytes, struct ms_error *reterr);

#endif
