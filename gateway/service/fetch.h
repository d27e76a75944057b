/* fetch.h — the bytes of a sealed version to a descriptor, for what the tree has no path to: files beside MAIN, and
 * what another tenant shares. MAIN in the tree is read through file.h (ms_asset_fetch()), which sees what is being
 * written.
 *
 * Threads: any; blocks.
 */
#ifndef MS_SERVICE_FETCH_H
#define MS_SERVICE_FETCH_H

#include "content/reader.h"
#include "service/asset.h"

struct ms_fetch {
    struct ms_svc *svc;
    const struct ms_get *get; /* its id is not looked at */
    /* Whether it may be read now: asked before each piece of 1 MiB, for a freeze ends it. The first time *source is to
     * be loaded (a source of 0 bytes stays as it is), then it is NULL. No transaction is left open. */
    enum ms_code (*may)(void *of, struct ms_source *source, struct ms_error *reterr);
    void *of;
};
/* Errors: what may() says; MS_CORRUPT; MS_CANCELLED; those of the store and of the descriptor. */
MS_NODISCARD enum ms_code ms_fetch(const struct ms_fetch *fetch, struct ms_error *reterr);

/* A file other than MAIN of an asset of the tenant: cover, page, sample. Errors: as above; MS_NOT_FOUND no such file;
 * MS_INVALID it is MAIN; MS_WRONG_STATE it has no bytes (yet, or any more); MS_NOT_READABLE by product.md 3.6. */
MS_NODISCARD enum ms_code ms_file_fetch(struct ms_svc *svc, const struct ms_ctx *ctx,
                                        struct ms_file_id file, const struct ms_get *get,
                                        struct ms_error *reterr);

#endif
