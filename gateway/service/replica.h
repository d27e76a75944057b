/* replica.h — what one gateway tells another of an asset, so that it can make a copy: the text under the seal.
 *
 * Pure: struct <-> JSON of version 1. The other side is believed only as far as the seal says that it has our key:
 * every text, number and enumeration is checked as if it came from a stranger, because a gateway may be older,
 * newer, or wrong.
 *
 * Threads: any.
 */
#ifndef MS_SERVICE_REPLICA_H
#define MS_SERVICE_REPLICA_H

#include "base/buf.h"
#include "base/id.h"
#include "model/asset_type.h"
#include "model/life.h"
#include "model/limits.h"
#include "object/url_get.h"

struct ms_replica_file {
    struct ms_file_id id;         /* at the source, as is version */
    struct ms_version_id version;
    enum ms_category category;    /* not TEMPORARY */
    char name[MS_FILE_NAME_BYTES_MAX + 1];
    uint64_t size;                /* 1..MS_FILE_BYTES_MAX */
    uint8_t block_log2, root[16]; /* design.md section 2 */
    bool has_md5;
    uint8_t md5[16];
    char *url;                    /* where its bytes are, while the blob is good; NULL: the source's store signs none */
};

struct ms_replica {
    struct ms_id store; /* the source's */
    struct ms_tenant_id tenant;
    struct ms_asset_id asset;
    enum ms_asset_type type;
    enum ms_origin origin;
    char name[MS_ASSET_NAME_BYTES_MAX + 1], description[4096 + 1], tags[8192 + 1];
    size_t n; /* 1..MS_FILES_MAX; the last one is MAIN, and only that */
    struct ms_replica_file *files;
};
void ms_replica_fini(struct ms_replica *replica); /* {0} is fine; URLs are wiped */

/* Appended. Errors: MS_NO_MEMORY; MS_RANGE the buffer's maximum. */
MS_NODISCARD enum ms_code ms_replica_tell(const struct ms_replica *replica, struct ms_buf *buf,
                                          struct ms_error *reterr);
/* *ret_replica: ms_replica_fini() by the caller. Errors: MS_UNSUPPORTED another version; MS_INVALID, naming the
 * member; MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_replica_read(struct ms_view text, struct ms_replica *ret_replica,
                                          struct ms_error *reterr);

#endif
