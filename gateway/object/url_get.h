/* url_get.h — the bytes behind a URL of somebody else's store: a GET that another gateway has signed.
 *
 * The drivers talk to one store, whose keys they have; this talks to whichever host the URL names, with no keys at all.
 * http and https only, no redirects, no proxy: the signature names the host. An answer of another length than was
 * promised is an error, so a hostile store cannot send for ever, and one that is slower than STALL is given up. What
 * breaks off goes on where it stopped (Range); several failures in a row without a byte between them end it. The URL is
 * a secret: no message and no log has more of it than its host.
 *
 * Threads: any but the engine's; blocks.
 */
#ifndef MS_OBJECT_URL_GET_H
#define MS_OBJECT_URL_GET_H

#include "object/engine.h"

#include <stddef.h>
#include <stdint.h>

#define MS_URL_MAX 8192
#define MS_URL_HOST_MAX 256

struct ms_url_get {
    const char *url;
    uint64_t size;            /* at least 1; of all of it */
    struct ms_engine *engine; /* its timer, for the pauses */
    unsigned tries_max;       /* failures in a row; 0: 5 */
    /* Bytes in order. Another code than MS_OK ends the transfer, and is its result. */
    enum ms_code (*take)(void *priv, const void *p, size_t n, struct ms_error *reterr);
    void *priv;
};
/* Exactly size bytes have been taken. Errors: MS_INVALID no URL of http or https; MS_UNAVAILABLE; MS_TIMEOUT;
 * MS_DENIED refused by the store (403: it expired, or the certificate is not trusted); MS_NOT_FOUND; MS_MISMATCH
 * another length; MS_PROTOCOL; what take says. */
MS_NODISCARD enum ms_code ms_url_get(const struct ms_url_get *get, struct ms_error *reterr);
/* What a message may say of a URL: its host, without user, password, path and query. MS_INVALID as above. */
MS_NODISCARD enum ms_code ms_url_host(const char *url, char ret_host[MS_URL_HOST_MAX],
                                      struct ms_error *reterr);

#endif
