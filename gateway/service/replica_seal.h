/* replica_seal.h — the seal of a replication blob: AES-128-GCM under a key that two gateways share.
 *
 * A blob travels through people's hands and holds URLs that give bytes away, so it is secret and cannot be altered:
 * who has no key can neither read it nor make one, and a header (asset, key id, expiry) that was changed breaks the
 * seal, because it is authenticated with it. The format is the API's (metastudio-api.md 1.9): one JSON object
 *
 *   {"asset_id": "...", "asset_info": base64(ciphertext, then the tag of 16 bytes),
 *    "encryption_info": {"algorithm": "AES128_GCM", "iv": base64(12 bytes), "key_id": "..."}, "expire_time": seconds}
 *
 * The nonce is 96 random bits for each blob (NIST SP 800-38D, 8.2.2): a key is to be replaced before 2^32 blobs were
 * sealed with it. Keys lie in a file, one a line, "<id> <32 hex digits>"; "#" begins a comment. The first one seals,
 * all of them open: so a key is replaced by putting the new one behind the old one on both sides, then before it.
 *
 * Threads: any; a struct ms_replica_keys belongs to its caller. No key is ever in a message, a log or an answer.
 */
#ifndef MS_SERVICE_REPLICA_SEAL_H
#define MS_SERVICE_REPLICA_SEAL_H

#include "base/buf.h"
#include "base/id.h"
#include "base/random.h"
#include "base/time.h"

#define MS_REPLICA_KEY_BYTES 16
#define MS_REPLICA_KEY_ID_MAX 128        /* API: key_id */
#define MS_REPLICA_KEYS_MAX 16           /* of one file */
#define MS_REPLICA_INFO_CHARS_MAX 100000 /* API: asset_info */
/* What fits under the seal: base64 makes 4 characters of 3 bytes, and the tag takes 16. */
#define MS_REPLICA_PLAIN_MAX (MS_REPLICA_INFO_CHARS_MAX / 4 * 3 - 16)
#define MS_REPLICA_BLOB_MAX ((size_t)128 << 10) /* of the text as a whole: more is refused unread */

struct ms_replica_keys {
    size_t n;
    struct {
        char id[MS_REPLICA_KEY_ID_MAX + 1]; /* printable ASCII without blanks */
        uint8_t key[MS_REPLICA_KEY_BYTES];
    } key[MS_REPLICA_KEYS_MAX];
};
void ms_replica_keys_fini(struct ms_replica_keys *keys); /* wipes them */

/* Bytes that nobody else is to see: zeroed, then freed. */
void ms_replica_wipe(struct ms_buf *buf);

/* From the text of a file; where is how messages call it. Errors: MS_CONFIG, naming the line. */
MS_NODISCARD enum ms_code ms_replica_keys_parse(struct ms_view text, const char *where,
                                                struct ms_replica_keys *ret_keys,
                                                struct ms_error *reterr);
/* From a regular file that nobody but its owner may read or write. Errors: MS_CONFIG, as above, or others may read it,
 * or path is empty: none is configured; MS_NO_INPUT it cannot be read. */
MS_NODISCARD enum ms_code ms_replica_keys_load(const char *path, struct ms_replica_keys *ret_keys,
                                               struct ms_error *reterr);

/* What stands outside the seal and is authenticated by it. */
struct ms_replica_head {
    struct ms_asset_id asset;
    struct ms_instant expires; /* whole seconds */
};

/* The text, without a line feed, is added to *ret_blob. Errors: MS_RANGE more than MS_REPLICA_PLAIN_MAX bytes;
 * MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_replica_seal(const struct ms_replica_keys *keys,
                                          struct ms_random *random,
                                          const struct ms_replica_head *head, struct ms_view plain,
                                          struct ms_buf *ret_blob, struct ms_error *reterr);
/* Checks form, then seal, then expiry: what an unsealed blob claims is not acted on. *ret_plain is empty before, and
 * on failure. Errors: MS_INVALID it is no blob, naming the member; MS_UNSUPPORTED another algorithm; MS_DENIED
 * sealed with a key that keys has not, or altered; MS_STALE expired at or before now. */
MS_NODISCARD enum ms_code ms_replica_unseal(const struct ms_replica_keys *keys,
                                            struct ms_instant now, struct ms_view blob,
                                            struct ms_replica_head *ret_head,
                                            struct ms_buf *ret_plain, struct ms_error *reterr);

#endif
