/* replicate.h — copy of an asset to another gateway (product.md 3.5, metastudio-api.md 1.9).
 *
 *   A: ms_replicate_info  -> a blob, sealed (replica_seal.h) and good for a while
 *   B: ms_replicate_pull  <- the blob; the bytes from A's store, by the URLs in it
 *
 * Where A's store signs no URLs (a folder), or B cannot reach it, the bytes come as a stream that ms_replicate_send
 * on A writes and ms_replicate_pull reads: the files of the blob one behind the other, in its order, and nothing
 * else. The stream needs no frame and no trust of its own: sizes and root hashes lie under the seal. No path of A's
 * is told.
 *
 * What B makes is an asset of its own: new ids, created now, counted in full, in its type's folder, with name,
 * description, tags and every confirmed file. It comes into being as any upload does (confirm.h): create, declare with
 * size and MD5 (which reserves), send, confirm, MAIN last. So B's quota, content rules and review hold; no file is
 * sealed whose root hash, made of what B's own store gives back, differs from A's; and whoever is killed in the middle
 * leaves an asset in CREATING that is in no folder, fails by TIMEOUT after 24 h, and whose bytes are then freed. What
 * fails otherwise leaves nothing: the asset is deleted for good.
 *
 * Choices where the specification is silent:
 *  - What may be copied may be replicated (3.6, "share, copy"): not what is frozen, binned, in review, failed or
 *    unfinished. Models and voices: administrators only, on both sides; they are CUSTOMIZED there and take a unit.
 *    Anything else is the receiver's own (UPLOADED, created now): what another gateway says of origin and age is not
 *    believed, or it could give away free months of produced videos. app_user_id is not told: end users are another
 *    platform's.
 *  - A blob may be pulled as often as one likes until it expires; each time makes another copy, as copying twice does.
 *  - A freeze at A stops ms_replicate_info and ms_replicate_send at once; URLs that were told before go on until the
 *    blob expires, which is why that is an hour unless said otherwise.
 *  - Files without bytes and versions without hashes (a rebuild that has not ended) are refused by name.
 *
 * Threads: any. Network and disk: never inside a transaction.
 */
#ifndef MS_SERVICE_REPLICATE_H
#define MS_SERVICE_REPLICATE_H

#include "service/asset.h"

#define MS_REPLICATE_VALID_MS (INT64_C(3600) * 1000) /* unless said otherwise */
#define MS_REPLICATE_VALID_MS_MIN (INT64_C(60) * 1000)
#define MS_REPLICATE_VALID_MS_MAX (INT64_C(24) * 3600 * 1000)

/* The blob is added to *ret_blob. valid_ms: in whole seconds; 0: MS_REPLICATE_VALID_MS. Errors: MS_CONFIG no key;
 * MS_RANGE valid_ms, or too many files; MS_NOT_FOUND; MS_WRONG_STATE by the life cycle; MS_NOT_PERMITTED a model;
 * MS_UNAVAILABLE a file without hashes; MS_UNSUPPORTED a file without bytes. */
MS_NODISCARD enum ms_code ms_replicate_info(struct ms_svc *svc, const struct ms_ctx *ctx,
                                            struct ms_asset_id asset, int64_t valid_ms,
                                            struct ms_buf *ret_blob, struct ms_error *reterr);

struct ms_replicate_send {
    struct ms_view blob;
    int fd; /* written to, from where it stands */
    bool (*progress)(void *priv, uint64_t done, uint64_t total); /* NULL; false cancels */
    void *priv;
};
/* Every block is compared with its hash first. Errors: those of ms_replica_unseal(); MS_FOREIGN another store's or
 * tenant's blob; MS_CONFLICT a file was replaced since; those of ms_replicate_info(); MS_CANT_CREATE. */
MS_NODISCARD enum ms_code ms_replicate_send(struct ms_svc *svc, const struct ms_ctx *ctx,
                                            const struct ms_replicate_send *send,
                                            struct ms_error *reterr);

struct ms_replicate_pull {
    struct ms_view blob;
    int from; /* the stream; -1: the URLs of the blob */
    bool (*progress)(void *priv, uint64_t done, uint64_t total); /* bytes come; NULL; false cancels */
    void *priv;
};
/* Each file lies in a nameless file of the journal folder until B's store has it. Errors: those of
 * ms_replica_unseal() and ms_replica_read(); MS_NOT_PERMITTED a model; MS_QUOTA; MS_WRONG_STATE the tenant is frozen;
 * MS_MISMATCH other bytes than told, before or in B's store; MS_WRONG_KIND, MS_TOO_LARGE by B's rules; MS_NO_SPACE;
 * those of ms_url_get(); MS_NO_INPUT the stream ends early. */
MS_NODISCARD enum ms_code ms_replicate_pull(struct ms_svc *svc, const struct ms_ctx *ctx,
                                            const struct ms_replicate_pull *pull,
                                            struct ms_asset_info *ret_info,
                                            struct ms_error *reterr);

#endif
