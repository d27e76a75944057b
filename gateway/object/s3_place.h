/* s3_place.h — which bucket, where, and with which keys: the URL of the drivers s3 and libs3.
 *
 *   s3://BUCKET[/PREFIX][?NAME=VALUE&...]
 *     endpoint=http[s]://HOST[:PORT]  default: https://s3.REGION.amazonaws.com
 *     region=NAME                     default: us-east-1; what the signature names
 *     style=path|virtual              bucket in the path or in the host's name; default: path with an endpoint
 *     payload=sha256|unsigned         what guards a body on its way: its SHA-256 in the signature (0.75 CPU-s per
 *                                     GiB), or only TLS; default: sha256 over http, unsigned over https
 *     connections=1..1024             transfers at once; default: 64
 *     multipart=yes|no                no: of a store without uploads in parts; objects of at most 5 GB then
 *     ca=/ABS/FILE                    certificates to trust instead of the system's
 *     keys=/ABS/FILE                  two or three lines: key id, secret, session token; the file must be the
 *                                     user's own and closed to others (mode 0600 or less)
 *
 * Without keys=, the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. Keys never stand in
 * the URL, which is kept in the store and shown. Threads: any.
 */
#ifndef MS_OBJECT_S3_PLACE_H
#define MS_OBJECT_S3_PLACE_H

#include "object/s3_sign.h"

struct ms_s3_place {
    bool https, path_style, sign_payload, multipart;
    unsigned connections_max; /* 0: the default */
    char host[256]; /* "127.0.0.1:7480"; without the bucket */
    char bucket[64];
    char prefix[257]; /* "" or ends with '/' */
    char region[64];
    char ca_file[512], keys_file[512];
};

/* address: what stands behind "s3:". Errors: MS_CONFIG with the rule. */
MS_NODISCARD enum ms_code ms_s3_place_parse(const char *scheme, const char *address,
                                            struct ms_s3_place *ret_place, struct ms_error *reterr);
/* Errors: MS_CONFIG none given, or a file that others can read; errno's code. */
MS_NODISCARD enum ms_code ms_s3_keys_load(const struct ms_s3_place *place, struct ms_s3_keys *ret_keys,
                                          struct ms_error *reterr);

/* Cut a last character that is not whole: our prefixes may end within one, a store's may not. What the store then
 * lists besides is passed over. */
void ms_s3_whole_characters(char *text);

#endif
