/* drv_s3_call.c — one signed request and the judgement of its answer; metadata as headers. */
#include "base/assert.h"
#include "object/drv_s3.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define META_PREFIX "x-amz-meta-"
/* Longer than a key may be (32), so no pair can have this name. */
#define META_NAMES META_PREFIX "msasset-names-of-all-pairs-in-order"
#define URL_MAX ((size_t)8 << 10)

#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum ms_code code_ = (call);                                                               \
        if (code_ != MS_OK)                                                                        \
            return code_;                                                                          \
    } while (0)

void ms_s3_call_init(struct ms_s3_call *call, struct ms_obj *obj, struct ms_obj_request *request,
                     const char *method, const char *key) {
    *call =
        (struct ms_s3_call){.s3 = ms_s3_of(obj), .request = request, .method = method, .key = key};
    call->changes = strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
}

void ms_s3_call_query(struct ms_s3_call *call, const char *name, const char *value) {
    MS_ASSERT(call->query_n < MS_S3_PARAMS_MAX);
    call->query[call->query_n++] = (struct ms_s3_param){name, value};
}

void ms_s3_call_header(struct ms_s3_call *call, const char *name, const char *value) {
    MS_ASSERT(call->header_n < MS_S3_PARAMS_MAX);
    call->header[call->header_n++] = (struct ms_s3_param){name, value};
}

void ms_s3_call_fini(struct ms_s3_call *call) {
    ms_s3_transfer_fini(&call->transfer);
    ms_s3_reply_fini(&call->reply);
}

void ms_s3_call_etag(const struct ms_s3_call *call, char ret_etag[MS_ETAG_MAX + 1]) {
    char text[MS_ETAG_MAX + 3] = "";

    if (!ms_s3_header(&call->transfer, "etag", text, sizeof text))
        text[0] = '\0';
    ms_s3_unquote(text);
    (void)snprintf(ret_etag, MS_ETAG_MAX + 1, "%.*s", MS_ETAG_MAX, text);
}

void ms_s3_full_key(const struct ms_s3 *s3, const char *key, char *ret_key, size_t size) {
    (void)snprintf(ret_key, size, "%s%s", s3->place.prefix, key ? key : "");
}

enum ms_code ms_s3_copy_source(const struct ms_s3 *s3, const char *key, struct ms_buf *buf,
                               struct ms_error *reterr) {
    char full[MS_S3_KEY_MAX];

    ms_s3_full_key(s3, key, full, sizeof full);
    TRY(ms_buf_addf(buf, reterr, "/%s/", s3->place.bucket));
    return ms_s3_encode(buf, full, true, reterr);
}

/* ---- sending --------------------------------------------------------------------------------- */

static enum ms_code hash_body(const struct ms_obj_body *body, char ret_text[MS_S3_SHA256_TEXT + 1],
                              struct ms_error *reterr) {
    MS_AUTO(ms_body_fini) struct ms_body_reader reader = {.body = body};
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    struct ms_view bytes = {0};
    enum ms_code code = MS_OK;

    if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
        code = ms_fail(reterr, MS_NO_MEMORY, "no memory to hash a body");
    while (code == MS_OK) {
        code = ms_body_next(&reader, &bytes, reterr);
        if (code != MS_OK || bytes.n == 0)
            break;
        MS_ASSERT(EVP_DigestUpdate(md, bytes.p, bytes.n) == 1);
    }
    if (code == MS_OK)
        MS_ASSERT(EVP_DigestFinal_ex(md, digest, NULL) == 1);
    EVP_MD_CTX_free(md);
    for (size_t i = 0; code == MS_OK && i < MS_S3_SHA256_TEXT / 2; i++)
        (void)snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
    return code;
}

static enum ms_code payload_of(const struct ms_s3_call *c, char ret_text[MS_S3_SHA256_TEXT + 1],
                               struct ms_error *reterr) {
    if (!c->body || c->body->length == 0) {
        ms_s3_sha256_text(ms_view_of(NULL, 0), ret_text);
        return MS_OK;
    }
    if (c->s3->place.sign_payload)
        return hash_body(c->body, ret_text, reterr);
    (void)snprintf(ret_text, MS_S3_SHA256_TEXT + 1, "%s", MS_S3_UNSIGNED);
    return MS_OK;
}

static void host_and_path(const struct ms_s3_call *c, char *ret_host, size_t host_size,
                          char *ret_path, size_t path_size) {
    const struct ms_s3_place *place = &c->s3->place;
    char key[MS_S3_KEY_MAX] = "";

    if (c->key)
        ms_s3_full_key(c->s3, c->key, key, sizeof key);
    if (place->path_style) {
        (void)snprintf(ret_host, host_size, "%s", place->host);
        (void)snprintf(ret_path, path_size, "/%s%s%s", place->bucket, c->key ? "/" : "", key);
    } else {
        (void)snprintf(ret_host, host_size, "%s.%s", place->bucket, place->host);
        (void)snprintf(ret_path, path_size, "/%s", key);
    }
}

static enum ms_code make_url(const struct ms_s3_call *c, const char *host, const char *path,
                             struct ms_buf *url, struct ms_error *reterr) {
    TRY(ms_buf_addf(url, reterr, "%s://%s", c->s3->place.https ? "https" : "http", host));
    TRY(ms_s3_encode(url, path, true, reterr));
    if (c->query_n == 0)
        return MS_OK;
    TRY(ms_buf_add(url, "?", 1, reterr));
    return ms_s3_query(url, c->query, c->query_n, reterr);
}

static enum ms_code add_line(struct curl_slist **list, const char *name, const char *value,
                             struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf line = MS_BUF_MAX((size_t)16 << 10);
    struct curl_slist *longer;

    /* "name;" is curl's way to send an empty value. */
    if (*value)
        TRY(ms_buf_addf(&line, reterr, "%s: %s", name, value));
    else
        TRY(ms_buf_addf(&line, reterr, "%s;", name));
    longer = curl_slist_append(*list, (const char *)line.data);
    if (!longer)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the headers of a request");
    *list = longer;
    return MS_OK;
}

static enum ms_code sign(struct ms_s3_call *c, const char *host, const char *path,
                         struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf authorization = MS_BUF_MAX((size_t)16 << 10);
    char date[17], payload[MS_S3_SHA256_TEXT + 1];
    struct ms_s3_sign s = {.method = c->method,
                           .path = path,
                           .query = c->query,
                           .query_n = c->query_n,
                           .payload = payload,
                           .region = c->s3->place.region,
                           .service = "s3",
                           .now = ms_clock_kernel_now(), /* the store compares it with its own */
                           .keys = &c->s3->keys};

    TRY(payload_of(c, payload, reterr));
    ms_s3_date(s.now, date);
    ms_s3_call_header(c, "x-amz-date", date);
    ms_s3_call_header(c, "x-amz-content-sha256", payload);
    if (s.keys->token[0])
        ms_s3_call_header(c, "x-amz-security-token", s.keys->token);
    for (size_t i = 0; i < c->header_n; i++)
        TRY(add_line(&c->transfer.headers, c->header[i].name, c->header[i].value, reterr));
    ms_s3_call_header(c, "host", host); /* curl sends it by itself */
    s.headers = c->header;
    s.headers_n = c->header_n;
    TRY(ms_s3_authorization(&s, &authorization, reterr));
    TRY(add_line(&c->transfer.headers, "Authorization", (const char *)authorization.data, reterr));
    c->header_n = 0; /* date and payload are ours */
    /* No round trip before a body. */
    c->transfer.headers = curl_slist_append(c->transfer.headers, "Expect:");
    return MS_OK;
}

/* ---- judging --------------------------------------------------------------------------------- */

static enum ms_code fail_as_told(const struct ms_s3_call *c, const struct ms_s3_reply *reply,
                                 struct ms_error *reterr) {
    long status = c->transfer.status;
    enum ms_code code = ms_s3_code_of(status, reply->code);

    return ms_fail(reterr, code, "the object store refused %s of %s: %s%s%.200s (HTTP %ld)%s%.40s",
                   ms_obj_op_name(c->request->op), c->key ? c->key : c->s3->place.bucket,
                   reply->code ? reply->code : "without a reason",
                   reply->message && *reply->message ? ": " : "",
                   reply->message ? reply->message : "", status,
                   reply->region ? "; its region is " : "", reply->region ? reply->region : "");
}

static enum ms_code judge(struct ms_s3_call *c, struct ms_error *reterr) {
    struct ms_s3_transfer *t = &c->transfer;
    bool is_good = t->status >= 200 && t->status < 300;
    struct ms_s3_reply none = {0};

    if (is_good && !c->replies)
        return MS_OK;
    if (is_good)
        TRY(ms_s3_xml_parse(ms_buf_view(&t->reply), &c->reply, reterr));
    /* A proxy's page of HTML must not hide the status. */
    else if (t->reply.len == 0 || ms_s3_xml_parse(ms_buf_view(&t->reply), &c->reply, NULL) != MS_OK)
        return fail_as_told(c, &none, reterr);
    if (!is_good || strcmp(c->reply.root, "Error") == 0)
        return fail_as_told(c, &c->reply, reterr);
    return MS_OK;
}

enum ms_code ms_s3_call_run(struct ms_s3_call *call, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf url = MS_BUF_MAX(URL_MAX);
    struct ms_s3_transfer *t = &call->transfer;
    char host[sizeof call->s3->place.host + sizeof call->s3->place.bucket + 1];
    char path[MS_S3_KEY_MAX + sizeof call->s3->place.bucket + 2];

    static const struct ms_obj_body empty = {
        .fd = -1}; /* says "Content-Length: 0", which RGW wants */

    MS_ASSERT(!t->headers);
    host_and_path(call, host, sizeof host, path, sizeof path);
    TRY(make_url(call, host, path, &url, reterr));
    TRY(sign(call, host, path, reterr));
    t->method = call->method;
    t->url = (const char *)url.data;
    t->body = call->body                                             ? call->body
              : call->changes && strcmp(call->method, "DELETE") != 0 ? &empty
                                                                     : NULL;
    t->into = call->into;
    t->into_n = call->into_n;
    t->request = call->request;
    t->deadline_mono_ns = call->request->timer.due_mono_ns;
    t->first_byte_ms = call->first_byte_ms;
    t->changes = call->changes;
    TRY(ms_s3_http_run(call->s3->http, t, reterr));
    return judge(call, reterr);
}

/* ---- metadata -------------------------------------------------------------------------------- */

static bool is_plain(const char *value) {
    size_t n = strlen(value);

    return n > 0 && value[0] != ' ' && value[n - 1] != ' ' && !strstr(value, "  ");
}

enum ms_code ms_s3_meta_to_headers(struct ms_s3_call *call, const struct ms_obj_meta *meta,
                                   struct ms_buf *buf, struct ms_error *reterr) {
    size_t at[2 * MS_OBJ_META_MAX + 1];

    ms_s3_call_header(call, "content-type",
                      meta && meta->content_type ? meta->content_type : "application/octet-stream");
    if (!meta || meta->pairs == 0)
        return MS_OK;
    /* The buffer may move while it grows: first the text, then the pointers. */
    for (size_t i = 0; i < meta->pairs; i++) {
        at[2 * i] = buf->len;
        TRY(ms_buf_addf(buf, reterr, META_PREFIX "%s", meta->pair[i].key));
        TRY(ms_buf_add(buf, "", 1, reterr));
        at[2 * i + 1] = buf->len;
        if (is_plain(meta->pair[i].value))
            TRY(ms_buf_addf(buf, reterr, "%s", meta->pair[i].value));
        else
            TRY(ms_s3_encode(buf, meta->pair[i].value, false, reterr));
        TRY(ms_buf_add(buf, "", 1, reterr));
    }
    at[2 * meta->pairs] = buf->len;
    for (size_t i = 0; i < meta->pairs; i++)
        TRY(ms_buf_addf(buf, reterr, "%s%s%s", i ? " " : "", meta->pair[i].key,
                        is_plain(meta->pair[i].value) ? "" : "*"));
    for (size_t i = 0; i < meta->pairs; i++)
        if (meta->pair[i].value[0])
            ms_s3_call_header(call, (const char *)buf->data + at[2 * i],
                              (const char *)buf->data + at[2 * i + 1]);
    ms_s3_call_header(call, META_NAMES, (const char *)buf->data + at[2 * meta->pairs]);
    return MS_OK;
}

static enum ms_code add_pair(const struct ms_s3_transfer *t, const char *key, bool is_encoded,
                             struct ms_buf *ret_text, struct ms_error *reterr) {
    char name[sizeof META_PREFIX + 64], value[4 * 1024];

    (void)snprintf(name, sizeof name, META_PREFIX "%s", key);
    if (!ms_s3_header(t, name, value, sizeof value))
        value[0] = '\0'; /* empty ones are not sent */
    if (is_encoded)
        ms_s3_url_decode(value);
    return ms_buf_addf(ret_text, reterr, "%s=%s\n", key, value);
}

enum ms_code ms_s3_meta_of_headers(const struct ms_s3_transfer *transfer, struct ms_buf *ret_text,
                                   struct ms_error *reterr) {
    char type[1100], names[64 * MS_OBJ_META_MAX], key[64];

    if (!ms_s3_header(transfer, "content-type", type, sizeof type))
        (void)snprintf(type, sizeof type, "application/octet-stream");
    TRY(ms_buf_addf(ret_text, reterr, "content-type=%s\n", type));
    if (!ms_s3_header(transfer, META_NAMES, names, sizeof names))
        return MS_OK; /* an object of another program */
    for (const char *p = names; *p; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        bool is_encoded = n > 0 && p[n - 1] == '*';

        (void)snprintf(key, sizeof key, "%.*s", (int)(n - is_encoded), p);
        TRY(add_pair(transfer, key, is_encoded, ret_text, reterr));
        p += n;
    }
    return MS_OK;
}
