/* s3_sign.h — AWS Signature Version 4, as S3 wants it: the header form and the presigned-URL form.
 *
 * Our own, because libcurl 7.88 leaves the payload header unsigned and sorts queries wrongly. Paths are encoded
 * once and never normalised (S3's rule; the other services differ). Checked against AWS's published vectors.
 * Pure: no clock, no I/O. Secrets stay in struct ms_secret and are wiped from the stack after use. Threads: any.
 */
#ifndef MS_OBJECT_S3_SIGN_H
#define MS_OBJECT_S3_SIGN_H

#include "base/buf.h"
#include "base/log.h"
#include "base/time.h"

#define MS_S3_PARAMS_MAX 24
#define MS_S3_TOKEN_MAX 4096
#define MS_S3_SHA256_TEXT 64
#define MS_S3_UNSIGNED "UNSIGNED-PAYLOAD"
#define MS_S3_PRESIGN_S_MAX (7 * 24 * 3600)

struct ms_s3_keys {
    char id[129];
    struct ms_secret secret;
    char token[MS_S3_TOKEN_MAX + 1]; /* of temporary keys; "" else */
};
void ms_s3_keys_fini(struct ms_s3_keys *keys);

struct ms_s3_param {
    const char *name, *value; /* not encoded; value "" of a bare name */
};

/* Everything is borrowed. Headers: those to sign, host among them, in any order and case. */
struct ms_s3_sign {
    const char *method;
    const char *path; /* begins with '/', not encoded */
    const struct ms_s3_param *query, *headers;
    size_t query_n, headers_n; /* at most MS_S3_PARAMS_MAX each */
    const char *payload;       /* SHA-256 of the body in hex, or MS_S3_UNSIGNED */
    const char *region, *service;
    struct ms_instant now;
    const struct ms_s3_keys *keys;
};

/* "20130524T000000Z", the value of x-amz-date. */
void ms_s3_date(struct ms_instant now, char ret_text[17]);
void ms_s3_sha256_text(struct ms_view bytes, char ret_text[MS_S3_SHA256_TEXT + 1]);

/* Percent-encoding of everything but A-Z a-z 0-9 - . _ ~, and '/' where keep_slash. */
MS_NODISCARD enum ms_code ms_s3_encode(struct ms_buf *buf, const char *text, bool keep_slash,
                                       struct ms_error *reterr);
/* "a=1&b=" sorted and encoded: what is signed is what is sent. */
MS_NODISCARD enum ms_code ms_s3_query(struct ms_buf *buf, const struct ms_s3_param *query, size_t n,
                                      struct ms_error *reterr);
/* The canonical request; for tests and for telling why a store refused a signature. */
MS_NODISCARD enum ms_code ms_s3_canonical(const struct ms_s3_sign *s, struct ms_buf *buf,
                                          struct ms_error *reterr);
/* The value of the header Authorization. */
MS_NODISCARD enum ms_code ms_s3_authorization(const struct ms_s3_sign *s, struct ms_buf *buf,
                                              struct ms_error *reterr);
/* The whole query of a presigned URL, signature included, valid for 1..MS_S3_PRESIGN_S_MAX seconds.
 * Errors: MS_INVALID the time; MS_RANGE too many parameters. */
MS_NODISCARD enum ms_code ms_s3_presign(const struct ms_s3_sign *s, unsigned expires_s,
                                        struct ms_buf *buf, struct ms_error *reterr);

#endif
