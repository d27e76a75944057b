/* replicate_part.h — between replicate.c, the gateway that gives, and replicate_pull.c, the one that takes. Private. */
#ifndef MS_SERVICE_REPLICATE_PART_H
#define MS_SERVICE_REPLICATE_PART_H

#include "service/replica.h"
#include "service/replicate.h"

/* The blob's seal and expiry checked, and what it says. *ret_replica: ms_replica_fini() by the caller. */
MS_NODISCARD enum ms_code ms_replicate_open(struct ms_svc *svc, struct ms_view blob,
                                            struct ms_replica *ret_replica,
                                            struct ms_error *reterr);

/* Bytes of all its files. */
static inline uint64_t ms_replica_bytes(const struct ms_replica *replica) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < replica->n; i++)
        bytes += replica->files[i].size; /* at most MS_FILES_MAX times MS_FILE_BYTES_MAX */
    return bytes;
}

/* Whether the caller wants to go on. Errors: MS_CANCELLED. */
MS_NODISCARD static inline enum ms_code
ms_replicate_goes_on(bool (*progress)(void *, uint64_t, uint64_t), void *priv, uint64_t done,
                     uint64_t total, struct ms_error *reterr) {
    if (!progress || progress(priv, done, total))
        return MS_OK;
    return ms_fail(reterr, MS_CANCELLED, "cancelled after %llu of %llu bytes",
                   (unsigned long long)done, (unsigned long long)total);
}

#endif
