#include "object/s3_sign.h"

#include "base/assert.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define DIGEST_BYTES 32
#define SCRATCH_MAX ((size_t)64 << 10)

#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum ms_code code_ = (call);                                                               \
        if (code_ != MS_OK)                                                                        \
            return code_;                                                                          \
    } while (0)

void ms_s3_keys_fini(struct ms_s3_keys *keys) { OPENSSL_cleanse(keys, sizeof *keys); }

void ms_s3_date(struct ms_instant now, char ret_text[17]) {
    struct ms_civil c = ms_instant_civil(now);
    char text[64];

    (void)snprintf(text, sizeof text, "%04d%02d%02dT%02d%02d%02dZ", c.year, c.month, c.day, c.hour,
                   c.minute, c.second);
    memcpy(ret_text, text, 16);
    ret_text[16] = '\0';
}

static void hex(const unsigned char *bytes, size_t n, char *ret_text) {
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_text[2 * n] = '\0';
}

void ms_s3_sha256_text(struct ms_view bytes, char ret_text[MS_S3_SHA256_TEXT + 1]) {
    unsigned char digest[DIGEST_BYTES];

    MS_ASSERT(EVP_Digest(bytes.n ? bytes.p : "", bytes.n, digest, NULL, EVP_sha256(), NULL) == 1);
    hex(digest, sizeof digest, ret_text);
}

static void hmac(const void *key, size_t key_n, const void *text, size_t n,
                 unsigned char ret_digest[DIGEST_BYTES]) {
    MS_ASSERT(HMAC(EVP_sha256(), key, (int)key_n, text, n, ret_digest, NULL) != NULL);
}

/* ---- encoding -------------------------------------------------------------------------------- */

static bool is_unreserved(unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

enum ms_code ms_s3_encode(struct ms_buf *buf, const char *text, bool keep_slash,
                          struct ms_error *reterr) {
    static const char digits[] = "0123456789ABCDEF";
    char code[3] = "%";

    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (is_unreserved(*p) || (keep_slash && *p == '/')) {
            TRY(ms_buf_add(buf, p, 1, reterr));
            continue;
        }
        code[1] = digits[*p >> 4];
        code[2] = digits[*p & 15];
        TRY(ms_buf_add(buf, code, 3, reterr));
    }
    return MS_OK;
}

struct pair {
    struct ms_buf name, value;
};
struct pairs {
    struct pair pair[MS_S3_PARAMS_MAX];
    size_t n;
};

static void pairs_fini(struct pairs *p) {
    for (size_t i = 0; i < p->n; i++) {
        ms_buf_fini(&p->pair[i].name);
        ms_buf_fini(&p->pair[i].value);
    }
}

static const char *text_of(const struct ms_buf *buf) {
    return buf->data ? (const char *)buf->data : "";
}

static int by_name_and_value(const void *a, const void *b) {
    const struct pair *x = a, *y = b;
    int order = strcmp(text_of(&x->name), text_of(&y->name));

    return order ? order : strcmp(text_of(&x->value), text_of(&y->value));
}

static enum ms_code check_count(size_t n, struct ms_error *reterr) {
    if (n <= MS_S3_PARAMS_MAX)
        return MS_OK;
    return ms_fail(reterr, MS_RANGE, "%zu parameters to sign; the most is %d", n, MS_S3_PARAMS_MAX);
}

enum ms_code ms_s3_query(struct ms_buf *buf, const struct ms_s3_param *query, size_t n,
                         struct ms_error *reterr) {
    MS_AUTO(pairs_fini) struct pairs p = {0};

    TRY(check_count(n, reterr));
    for (size_t i = 0; i < n; i++) {
        p.n++;
        TRY(ms_s3_encode(&p.pair[i].name, query[i].name, false, reterr));
        TRY(ms_s3_encode(&p.pair[i].value, query[i].value, false, reterr));
    }
    qsort(p.pair, p.n, sizeof *p.pair, by_name_and_value);
    for (size_t i = 0; i < n; i++)
        TRY(ms_buf_addf(buf, reterr, "%s%s=%s", i ? "&" : "", text_of(&p.pair[i].name),
                        text_of(&p.pair[i].value)));
    return MS_OK;
}

/* ---- the canonical request ------------------------------------------------------------------- */

static enum ms_code add_lower(struct ms_buf *buf, const char *text, struct ms_error *reterr) {
    char c;

    for (; *text; text++) {
        c = (char)tolower((unsigned char)*text);
        TRY(ms_buf_add(buf, &c, 1, reterr));
    }
    return MS_OK;
}

/* Without blanks at the ends, and each run of blanks as one. */
static enum ms_code add_trimmed(struct ms_buf *buf, const char *text, struct ms_error *reterr) {
    bool any = false;

    while (*text) {
        size_t blanks = strspn(text, " \t"), n = strcspn(text + blanks, " \t");

        if (n > 0) {
            if (any && blanks > 0)
                TRY(ms_buf_add(buf, " ", 1, reterr));
            TRY(ms_buf_add(buf, text + blanks, n, reterr));
            any = true;
        }
        text += blanks + n;
    }
    return MS_OK;
}

/* Equal names become one line, their values in the order given. */
static enum ms_code canonical_headers(const struct ms_s3_sign *s, struct pairs *p,
                                      struct ms_error *reterr) {
    TRY(check_count(s->headers_n, reterr));
    for (size_t i = 0; i < s->headers_n; i++) {
        struct ms_buf name = {0};
        size_t at = 0;
        enum ms_code code = add_lower(&name, s->headers[i].name, reterr);

        while (code == MS_OK && at < p->n &&
               strcmp(text_of(&p->pair[at].name), text_of(&name)) != 0)
            at++;
        if (code == MS_OK && at < p->n) {
            code = ms_buf_add(&p->pair[at].value, ",", 1, reterr);
            ms_buf_fini(&name);
        } else {
            p->pair[p->n++] = (struct pair){.name = name};
        }
        TRY(code);
        TRY(add_trimmed(&p->pair[at].value, s->headers[i].value, reterr));
    }
    qsort(p->pair, p->n, sizeof *p->pair, by_name_and_value);
    return MS_OK;
}

static enum ms_code add_names(const struct pairs *p, struct ms_buf *buf, struct ms_error *reterr) {
    for (size_t i = 0; i < p->n; i++)
        TRY(ms_buf_addf(buf, reterr, "%s%s", i ? ";" : "", text_of(&p->pair[i].name)));
    return MS_OK;
}

enum ms_code ms_s3_canonical(const struct ms_s3_sign *s, struct ms_buf *buf,
                             struct ms_error *reterr) {
    MS_AUTO(pairs_fini) struct pairs headers = {0};

    TRY(canonical_headers(s, &headers, reterr));
    TRY(ms_buf_addf(buf, reterr, "%s\n", s->method));
    TRY(ms_s3_encode(buf, s->path, true, reterr));
    TRY(ms_buf_add(buf, "\n", 1, reterr));
    TRY(ms_s3_query(buf, s->query, s->query_n, reterr));
    TRY(ms_buf_add(buf, "\n", 1, reterr));
    for (size_t i = 0; i < headers.n; i++)
        TRY(ms_buf_addf(buf, reterr, "%s:%s\n", text_of(&headers.pair[i].name),
                        text_of(&headers.pair[i].value)));
    TRY(ms_buf_add(buf, "\n", 1, reterr));
    TRY(add_names(&headers, buf, reterr));
    return ms_buf_addf(buf, reterr, "\n%s", s->payload);
}

/* ---- signing --------------------------------------------------------------------------------- */

static void scope_of(const struct ms_s3_sign *s, const char *date, char *ret_text, size_t size) {
    (void)snprintf(ret_text, size, "%.8s/%s/%s/aws4_request", date, s->region, s->service);
}

static void derive_key(const struct ms_s3_sign *s, const char *date,
                       unsigned char key[DIGEST_BYTES]) {
    char first[sizeof s->keys->secret.text + 4];
    int n = snprintf(first, sizeof first, "AWS4%s", s->keys->secret.text);

    hmac(first, (size_t)n, date, 8, key);
    hmac(key, DIGEST_BYTES, s->region, strlen(s->region), key);
    hmac(key, DIGEST_BYTES, s->service, strlen(s->service), key);
    hmac(key, DIGEST_BYTES, "aws4_request", strlen("aws4_request"), key);
    OPENSSL_cleanse(first, sizeof first);
}

static enum ms_code sign(const struct ms_s3_sign *s, char ret_signature[MS_S3_SHA256_TEXT + 1],
                         struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf canonical = MS_BUF_MAX(SCRATCH_MAX);
    MS_AUTO(ms_buf_fini) struct ms_buf text = {0};
    char date[17], scope[256], hash[MS_S3_SHA256_TEXT + 1];
    unsigned char key[DIGEST_BYTES], mac[DIGEST_BYTES];

    TRY(ms_s3_canonical(s, &canonical, reterr));
    ms_s3_date(s->now, date);
    scope_of(s, date, scope, sizeof scope);
    ms_s3_sha256_text(ms_buf_view(&canonical), hash);
    TRY(ms_buf_addf(&text, reterr, ALGORITHM "\n%s\n%s\n%s", date, scope, hash));
    derive_key(s, date, key);
    hmac(key, sizeof key, text.data, text.len, mac);
    OPENSSL_cleanse(key, sizeof key);
    hex(mac, sizeof mac, ret_signature);
    return MS_OK;
}

static enum ms_code signed_names(const struct ms_s3_sign *s, struct ms_buf *buf,
                                 struct ms_error *reterr) {
    MS_AUTO(pairs_fini) struct pairs headers = {0};

    TRY(canonical_headers(s, &headers, reterr));
    return add_names(&headers, buf, reterr);
}

enum ms_code ms_s3_authorization(const struct ms_s3_sign *s, struct ms_buf *buf,
                                 struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf names = {0};
    char date[17], scope[256], signature[MS_S3_SHA256_TEXT + 1];

    TRY(sign(s, signature, reterr));
    TRY(signed_names(s, &names, reterr));
    ms_s3_date(s->now, date);
    scope_of(s, date, scope, sizeof scope);
    return ms_buf_addf(buf, reterr, ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s",
                       s->keys->id, scope, text_of(&names), signature);
}

enum ms_code ms_s3_presign(const struct ms_s3_sign *s, unsigned expires_s, struct ms_buf *buf,
                           struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf names = {0};
    struct ms_s3_param query[MS_S3_PARAMS_MAX];
    struct ms_s3_sign with = *s;
    char date[17], scope[256], credential[sizeof s->keys->id + sizeof scope + 1], expires[16];
    char signature[MS_S3_SHA256_TEXT + 1];

    if (expires_s < 1 || expires_s > MS_S3_PRESIGN_S_MAX)
        return ms_fail(reterr, MS_INVALID, "a presigned URL for %u seconds; 1 to %d are allowed",
                       expires_s, MS_S3_PRESIGN_S_MAX);
    TRY(check_count(s->query_n + 6, reterr));
    TRY(signed_names(s, &names, reterr));
    ms_s3_date(s->now, date);
    scope_of(s, date, scope, sizeof scope);
    (void)snprintf(credential, sizeof credential, "%s/%s", s->keys->id, scope);
    (void)snprintf(expires, sizeof expires, "%u", expires_s);
    for (size_t i = 0; i < s->query_n; i++)
        query[i] = s->query[i];
    with.query = query;
    query[with.query_n++] = (struct ms_s3_param){"X-Amz-Algorithm", ALGORITHM};
    query[with.query_n++] = (struct ms_s3_param){"X-Amz-Credential", credential};
    query[with.query_n++] = (struct ms_s3_param){"X-Amz-Date", date};
    query[with.query_n++] = (struct ms_s3_param){"X-Amz-Expires", expires};
    query[with.query_n++] = (struct ms_s3_param){"X-Amz-SignedHeaders", text_of(&names)};
    if (s->keys->token[0])
        query[with.query_n++] = (struct ms_s3_param){"X-Amz-Security-Token", s->keys->token};
    TRY(sign(&with, signature, reterr));
    TRY(ms_s3_query(buf, with.query, with.query_n, reterr));
    return ms_buf_addf(buf, reterr, "&X-Amz-Signature=%s", signature);
}
