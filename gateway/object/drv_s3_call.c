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
#define HASH_AT_ONCE_MAX ((uint64_t)16 << 10)
#define RETRY_AFTER_S_MAX 20

#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum ms_code code_ = (call);                                                               \
        if (code_ != MS_OK)                                                                        \
            return code_;                                                                          \
    } while (0)

void ms_s3_call_init(struct ms_s3_call *call, const struct ms_s3 *s3, struct ms_obj_request *request,
                     const char *method, const char *key) {
    *call = (struct ms_s3_call){.s3 = s3, .request = request, .method = method, .key = key};
    call->changes = strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
    call->xml.max = MS_S3_REPLY_MAX;
    call->url.max = URL_MAX;
}

static void add_param(struct ms_s3_call *call, struct ms_s3_param *list, size_t *n, const char *name,
                      const char *value) {
    char *own_name = strdup(name), *own_value = strdup(value);

    MS_ASSERT(*n < MS_S3_PARAMS_MAX);
    if (!own_name || !own_value) {
        free(own_name);
        free(own_value);
        call->no_memory = true;
        return;
    }
    list[(*n)++] = (struct ms_s3_param){own_name, own_value};
}

void ms_s3_call_query(struct ms_s3_call *call, const char *name, const char *value) {
    add_param(call, call->query, &call->query_n, name, value);
}

void ms_s3_call_header(struct ms_s3_call *call, const char *name, const char *value) {
    add_param(call, call->header, &call->header_n, name, value);
}

void ms_s3_call_xml_body(struct ms_s3_call *call) {
    call->own_body = (struct ms_obj_body){.memory = ms_buf_view(&call->xml), .length = call->xml.len};
    call->body = &call->own_body;
}

static void free_params(struct ms_s3_param *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free((char *)(uintptr_t)list[i].name);
        free((char *)(uintptr_t)list[i].value);
    }
}

void ms_s3_call_fini(struct ms_s3_call *call) {
    free_params(call->query, call->query_n);
    free_params(call->header, call->header_n);
    call->query_n = call->header_n = 0;
    ms_buf_fini(&call->xml);
    ms_buf_fini(&call->url);
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

enum ms_code ms_s3_copy_source(struct ms_s3_call *call, const char *key, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf text = {0};
    char full[MS_S3_KEY_MAX];

    ms_s3_full_key(call->s3, key, full, sizeof full);
    TRY(ms_buf_addf(&text, reterr, "/%s/", call->s3->place.bucket));
    TRY(ms_s3_encode(&text, full, true, reterr));
    ms_s3_call_header(call, "x-amz-copy-source", (const char *)text.data);
    return MS_OK;
}

struct ms_instant ms_s3_now(const struct ms_s3 *s3) {
    return ms_instant_add_ms(ms_clock_kernel_now(), __atomic_load_n(&s3->skew_ms, __ATOMIC_SEQ_CST));
}

/* ---- the payload's hash ---------------------------------------------------------------------- */

static enum ms_code go_on(const struct ms_s3_call *c, int64_t deadline_ns, struct ms_error *reterr) {
    const char *name = ms_obj_op_name(c->request->op);

    if (ms_obj_is_cancelled(c->request))
        return ms_fail(reterr, MS_CANCELLED, "%s was cancelled", name);
    if (ms_clock_mono_ns(ms_clock_system()) >= deadline_ns)
        return ms_fail(reterr, MS_TIMEOUT, "%s was not done in its time", name);
    return MS_OK;
}

static enum ms_code update(EVP_MD_CTX *md, const struct ms_s3_call *c, int64_t deadline_ns,
                           struct ms_error *reterr) {
    MS_AUTO(ms_body_fini) struct ms_body_reader reader = {.body = c->body};
    struct ms_view bytes = {0};

    for (;;) {
        TRY(go_on(c, deadline_ns, reterr));
        TRY(ms_body_next(&reader, &bytes, reterr));
        if (bytes.n == 0)
            return MS_OK;
        MS_ASSERT(EVP_DigestUpdate(md, bytes.p, bytes.n) == 1);
    }
}

static enum ms_code hash_body(struct ms_s3_call *c, int64_t deadline_ns, struct ms_error *reterr) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    enum ms_code code = MS_OK;

    if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
        code = ms_fail(reterr, MS_NO_MEMORY, "no memory to hash a body");
    if (code == MS_OK)
        code = update(md, c, deadline_ns, reterr);
    if (code == MS_OK)
        MS_ASSERT(EVP_DigestFinal_ex(md, digest, NULL) == 1);
    EVP_MD_CTX_free(md);
    for (size_t i = 0; code == MS_OK && i < MS_S3_SHA256_TEXT / 2; i++)
        (void)snprintf(c->payload + 2 * i, 3, "%02x", digest[i]);
    return code;
}

enum ms_code ms_s3_call_hash(struct ms_s3_call *call, bool may_be_slow, int64_t deadline_ns,
                             bool *ret_slow, struct ms_error *reterr) {
    struct ms_s3_call *c = call;

    *ret_slow = false;
    if (!c->body || c->body->length == 0) {
        ms_s3_sha256_text(ms_view_of(NULL, 0), c->payload);
    } else if (!c->s3->place.sign_payload) {
        (void)snprintf(c->payload, sizeof c->payload, "%s", MS_S3_UNSIGNED);
    } else if (!may_be_slow && (!c->body->memory.p || c->body->length > HASH_AT_ONCE_MAX)) {
        *ret_slow = true;
    } else {
        return hash_body(c, deadline_ns, reterr);
    }
    return MS_OK;
}

/* ---- signing --------------------------------------------------------------------------------- */

void ms_s3_host_and_path(const struct ms_s3 *s3, const char *key, char ret_host[MS_S3_HOST_MAX],
                         char ret_path[MS_S3_PATH_MAX]) {
    const struct ms_s3_place *place = &s3->place;
    char full[MS_S3_KEY_MAX] = "";

    if (key)
        ms_s3_full_key(s3, key, full, sizeof full);
    if (place->path_style) {
        (void)snprintf(ret_host, MS_S3_HOST_MAX, "%s", place->host);
        (void)snprintf(ret_path, MS_S3_PATH_MAX, "/%s%s%s", place->bucket, key ? "/" : "", full);
    } else {
        (void)snprintf(ret_host, MS_S3_HOST_MAX, "%s.%s", place->bucket, place->host);
        (void)snprintf(ret_path, MS_S3_PATH_MAX, "/%s", full);
    }
}

static enum ms_code make_url(struct ms_s3_call *c, const char *host, const char *path,
                             struct ms_error *reterr) {
    ms_buf_clear(&c->url);
    TRY(ms_buf_addf(&c->url, reterr, "%s://%s", c->s3->place.https ? "https" : "http", host));
    TRY(ms_s3_encode(&c->url, path, true, reterr));
    if (c->query_n == 0)
        return MS_OK;
    TRY(ms_buf_add(&c->url, "?", 1, reterr));
    return ms_s3_query(&c->url, c->query, c->query_n, reterr);
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

static enum ms_code add_headers(struct ms_s3_call *c, const struct ms_s3_sign *s,
                                struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf authorization = MS_BUF_MAX((size_t)16 << 10);
    struct curl_slist **list = &c->transfer.headers, *longer;

    curl_slist_free_all(MS_TAKE(*list));
    TRY(ms_s3_authorization(s, &authorization, reterr));
    for (size_t i = 0; i < s->headers_n; i++)
        if (strcmp(s->headers[i].name, "host") != 0) /* curl sends it by itself */
            TRY(add_line(list, s->headers[i].name, s->headers[i].value, reterr));
    TRY(add_line(list, "Authorization", (const char *)authorization.data, reterr));
    longer = curl_slist_append(*list, "Expect:"); /* no round trip before a body */
    if (!longer)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the headers of a request");
    *list = longer;
    return MS_OK;
}

static void fill_transfer(struct ms_s3_call *c) {
    /* Says "Content-Length: 0", which RGW wants. */
    static const struct ms_obj_body empty = {.fd = -1};
    struct ms_s3_transfer *t = &c->transfer;
    bool is_bare = !c->changes || strcmp(c->method, "DELETE") == 0;

    t->method = c->method;
    t->url = (const char *)c->url.data;
    t->body = c->body ? c->body : is_bare ? NULL : &empty;
    t->into = c->into;
    t->into_n = c->into_n;
    t->first_byte_ms = c->first_byte_ms;
    t->changes = c->changes;
}

enum ms_code ms_s3_call_sign(struct ms_s3_call *call, struct ms_error *reterr) {
    struct ms_s3_call *c = call;
    char host[MS_S3_HOST_MAX], path[MS_S3_PATH_MAX], date[17];
    struct ms_s3_param headers[MS_S3_PARAMS_MAX];
    struct ms_s3_sign s = {.method = c->method,
                           .path = path,
                           .query = c->query,
                           .query_n = c->query_n,
                           .headers = headers,
                           .headers_n = c->header_n,
                           .payload = c->payload,
                           .region = c->s3->place.region,
                           .service = "s3",
                           .now = ms_s3_now(c->s3),
                           .keys = &c->s3->keys};

    MS_ASSERT(c->payload[0]);
    MS_ASSERT(c->header_n + 4 <= MS_S3_PARAMS_MAX);
    if (c->no_memory)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the headers of a request");
    c->signed_at = ms_clock_kernel_now();
    ms_s3_host_and_path(c->s3, c->key, host, path);
    TRY(make_url(c, host, path, reterr));
    ms_s3_date(s.now, date);
    memcpy(headers, c->header, c->header_n * sizeof *headers);
    headers[s.headers_n++] = (struct ms_s3_param){"x-amz-date", date};
    headers[s.headers_n++] = (struct ms_s3_param){"x-amz-content-sha256", c->payload};
    if (s.keys->token[0])
        headers[s.headers_n++] = (struct ms_s3_param){"x-amz-security-token", s.keys->token};
    headers[s.headers_n++] = (struct ms_s3_param){"host", host};
    TRY(add_headers(c, &s, reterr));
    fill_transfer(c);
    return MS_OK;
}

/* ---- judging --------------------------------------------------------------------------------- */

/* Of an answer without a reason (HEAD): that the clocks are apart is seen from its date. */
#define SKEW_SEEN_MS (5 * MS_MINUTE_MS)

bool ms_s3_call_skew_ms(const struct ms_s3_call *call, int64_t *ret_ms) {
    char text[64];
    time_t date;

    if (!ms_s3_header(&call->transfer, "date", text, sizeof text))
        return false;
    date = curl_getdate(text, NULL);
    if (date <= 0)
        return false;
    *ret_ms = (int64_t)date * 1000 - call->signed_at.ms;
    return true;
}

static bool is_skewed(const struct ms_s3_call *c, const char *code) {
    int64_t ahead_ms, known_ms = __atomic_load_n(&c->s3->skew_ms, __ATOMIC_SEQ_CST);

    if (c->transfer.status != 403 && c->transfer.status != 400)
        return false;
    if (code)
        return strcmp(code, "RequestTimeTooSkewed") == 0;
    return ms_s3_call_skew_ms(c, &ahead_ms) && llabs(ahead_ms - known_ms) > SKEW_SEEN_MS;
}

int64_t ms_s3_call_retry_after_ms(const struct ms_s3_call *call) {
    char text[64], *end;
    unsigned long long s;
    int64_t ahead_ms, ms;
    time_t date;

    if (call->transfer.status < 400 ||
        !ms_s3_header(&call->transfer, "retry-after", text, sizeof text))
        return 0;
    if (text[0] >= '0' && text[0] <= '9') {
        s = strtoull(text, &end, 10);
        return *end ? 0 : s > RETRY_AFTER_S_MAX ? RETRY_AFTER_S_MAX * 1000 : (int64_t)s * 1000;
    }
    date = curl_getdate(text, NULL);
    if (date <= 0 || !ms_s3_call_skew_ms(call, &ahead_ms))
        return 0;
    ms = (int64_t)date * 1000 - call->signed_at.ms - ahead_ms;
    return ms < 0 ? 0 : ms > RETRY_AFTER_S_MAX * 1000 ? RETRY_AFTER_S_MAX * 1000 : ms;
}

/* What helps, for the refusals that an operator can mend. */
static void add_hint(const struct ms_s3_call *c, const struct ms_s3_reply *reply, char *ret_text,
                     size_t size) {
    char ours[MS_RFC3339_S_LEN + 1], theirs[64] = "", region[64] = "";
    const char *code = reply->code ? reply->code : "";

    ret_text[0] = '\0';
    if (c->is_skewed) {
        ms_instant_format_s(c->signed_at, ours);
        if (!ms_s3_header(&c->transfer, "date", theirs, sizeof theirs))
            (void)snprintf(theirs, sizeof theirs, "nothing");
        (void)snprintf(ret_text, size, "; the store's clock says %s, this machine's %s: set it", theirs,
                       ours);
        return;
    }
    (void)ms_s3_header(&c->transfer, "x-amz-bucket-region", region, sizeof region);
    if (reply->region)
        (void)snprintf(region, sizeof region, "%.63s", reply->region);
    if (region[0] && strcmp(region, c->s3->place.region) != 0)
        (void)snprintf(ret_text, size, "; the bucket is in the region %s, and region= says %s", region,
                       c->s3->place.region);
    else if (strcmp(code, "NoSuchBucket") == 0)
        (void)snprintf(ret_text, size, "; the bucket %s must be made first", c->s3->place.bucket);
    else if (ms_s3_code_of(c->transfer.status, reply->code) == MS_UNSUPPORTED &&
             c->request->upload_id == NULL && c->request->op == MS_OBJ_MP_CREATE)
        (void)snprintf(ret_text, size, "; give multipart=no in the URL of a store without uploads in parts");
}

static enum ms_code fail_as_told(struct ms_s3_call *c, const struct ms_s3_reply *reply,
                                 struct ms_error *reterr) {
    long status = c->transfer.status;
    char hint[160];

    c->is_skewed = is_skewed(c, reply->code);
    add_hint(c, reply, hint, sizeof hint);
    return ms_fail(reterr, c->is_skewed ? MS_DENIED : ms_s3_code_of(status, reply->code),
                   "the object store refused %s of %.100s: %.60s%s%.140s (HTTP %ld)%s",
                   ms_obj_op_name(c->request->op), c->key ? c->key : c->s3->place.bucket,
                   reply->code      ? reply->code
                   : c->is_skewed   ? "the clocks differ"
                                    : "without a reason",
                   reply->message && *reply->message ? ": " : "",
                   reply->message ? reply->message : "", status, hint);
}

enum ms_code ms_s3_call_judge(struct ms_s3_call *call, struct ms_error *reterr) {
    struct ms_s3_call *c = call;
    struct ms_s3_transfer *t = &c->transfer;
    bool is_good = t->status >= 200 && t->status < 300;
    struct ms_s3_reply none = {0};

    c->is_skewed = false;
    ms_s3_reply_fini(&c->reply);
    if (t->code != MS_OK) {
        if (reterr)
            *reterr = t->error;
        return t->code;
    }
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

/* ---- metadata -------------------------------------------------------------------------------- */

static bool is_plain(const char *value) {
    size_t n = strlen(value);

    return n > 0 && value[0] != ' ' && value[n - 1] != ' ' && !strstr(value, "  ");
}

enum ms_code ms_s3_meta_to_headers(struct ms_s3_call *call, const struct ms_obj_meta *meta,
                                   struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf names = {0};

    ms_s3_call_header(call, "content-type",
                      meta && meta->content_type ? meta->content_type : "application/octet-stream");
    if (!meta || meta->pairs == 0)
        return MS_OK;
    for (size_t i = 0; i < meta->pairs; i++) {
        MS_AUTO(ms_buf_fini) struct ms_buf value = {0};
        char name[sizeof META_PREFIX + 64];
        bool plain = is_plain(meta->pair[i].value);

        TRY(ms_buf_addf(&names, reterr, "%s%s%s", i ? " " : "", meta->pair[i].key, plain ? "" : "*"));
        if (!meta->pair[i].value[0])
            continue;
        (void)snprintf(name, sizeof name, META_PREFIX "%s", meta->pair[i].key);
        if (plain)
            TRY(ms_buf_addf(&value, reterr, "%s", meta->pair[i].value));
        else
            TRY(ms_s3_encode(&value, meta->pair[i].value, false, reterr));
        ms_s3_call_header(call, name, (const char *)value.data);
    }
    ms_s3_call_header(call, META_NAMES, (const char *)names.data);
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
