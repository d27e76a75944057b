/* far_ops.c — the operations of S3 that file systems ask for, on objects and buckets, and their texts. */
#include "far_store.h"

#include <ctype.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Larger bodies get no MD5: it would cost more than all the rest. */
#define MD5_BYTES_MAX ((uint64_t)1 << 20)

/* ---- texts ------------------------------------------------------------------------------------ */

void far_text(struct ms_buf *buf, const char *format, ...) {
    char text[4096];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf->max = (size_t)64 << 20;
    if (n < 0 || (size_t)n >= sizeof text || ms_buf_add(buf, text, (size_t)n, NULL) != MS_OK)
        abort();
}

void far_text_escaped(struct ms_buf *buf, const char *text, bool url) {
    for (const char *p = text; *p; p++) {
        unsigned char b = (unsigned char)*p;

        if (url ? isalnum(b) || strchr("-._~/", b) : b >= 0x20 && !strchr("<>&\"'", b))
            far_text(buf, "%c", b);
        else
            far_text(buf, url ? "%%%02X" : "&#%d;", b);
    }
}

void far_date(time_t t, bool http, char text[FAR_DATE]) {
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;

    if (!gmtime_r(&t, &tm))
        abort();
    if (http)
        (void)snprintf(text, FAR_DATE, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday],
                       tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                       tm.tm_sec);
    else
        (void)snprintf(text, FAR_DATE, "%04d-%02d-%02dT%02d:%02d:%02d.000Z", tm.tm_year + 1900,
                       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static int digit(char c) {
    const char *digits = "0123456789abcdef", *at = strchr(digits, tolower((unsigned char)c));

    return c && at ? (int)(at - digits) : -1;
}

void far_url_decode(char *text) {
    char *to = text;

    for (const char *p = text; *p; p++)
        if (*p == '%' && digit(p[1]) >= 0 && digit(p[2]) >= 0) {
            *to++ = (char)(digit(p[1]) * 16 + digit(p[2]));
            p += 2;
        } else {
            *to++ = *p;
        }
    *to = '\0';
}

bool far_query(const struct far_request *r, const char *name, char *to, size_t size) {
    size_t n = strlen(name);

    for (const char *p = r->query; p && *p; p += strcspn(p, "&"), p += *p == '&') {
        size_t length = strcspn(p, "&");

        if (strncmp(p, name, n) != 0 || (p[n] != '=' && n != length))
            continue;
        (void)snprintf(to, size, "%.*s", n == length ? 0 : (int)(length - n - 1), p + n + 1);
        for (char *plus = to; (plus = strchr(plus, '+'));)
            *plus = ' ';
        far_url_decode(to);
        return true;
    }
    return false;
}

uint64_t far_number(const char *text, uint64_t otherwise) {
    char *end;
    uint64_t n = strtoull(text, &end, 10);

    return end == text ? otherwise : n;
}

bool far_range(const char *text, uint64_t size, uint64_t *ret_at, uint64_t *ret_bytes) {
    uint64_t first, last = size - 1;
    char *end;

    if (strncmp(text, "bytes=", 6) != 0 || size == 0)
        return false;
    text += 6;
    if (*text == '-') {
        uint64_t n = far_number(text + 1, 0);

        first = n < size ? size - n : 0;
    } else {
        first = strtoull(text, &end, 10);
        if (end == text || *end != '-')
            return false;
        last = far_number(end + 1, last);
    }
    if (last >= size)
        last = size - 1;
    if (first > last)
        return false;
    *ret_at = first;
    *ret_bytes = last - first + 1;
    return true;
}

void far_error(struct far_conn *c, struct far_answer *a, int status, const char *code) {
    a->status = status;
    ms_buf_clear(&c->body);
    far_text(&c->body,
             "<?xml version=\"1.0\" "
             "encoding=\"UTF-8\"?><Error><Code>%s</Code><Message>%s</Message></Error>",
             code, code);
}

/* ---- ETags ------------------------------------------------------------------------------------ */

static bool etag_of_md5(const char *base64, char etag[FAR_ETAG_MAX]) {
    unsigned char bytes[64];

    if (strlen(base64) != 24 || EVP_DecodeBlock(bytes, (const unsigned char *)base64, 24) != 18)
        return false;
    for (int i = 0; i < 16; i++)
        (void)snprintf(etag + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

/* The MD5 where the client said it or the body is small; else something that no client takes for one. */
void far_etag(struct far_conn *c, const struct far_blob *blob, char etag[FAR_ETAG_MAX]) {
    unsigned char md5[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx;

    if (etag_of_md5(c->request.content_md5, etag))
        return;
    if (blob->bytes > MD5_BYTES_MAX || !(ctx = EVP_MD_CTX_new())) {
        (void)snprintf(etag, FAR_ETAG_MAX, "%016" PRIx64 "%016" PRIx64 "-1", blob->at, blob->bytes);
        return;
    }
    EVP_DigestInit_ex(ctx, EVP_md5(), NULL);
    for (uint64_t at = 0; at < blob->bytes;) {
        size_t n = blob->bytes - at < FAR_PIECE ? (size_t)(blob->bytes - at) : FAR_PIECE;

        if (pread(c->store->data.memory, c->piece, n, (off_t)(blob->at + at)) != (ssize_t)n)
            abort();
        EVP_DigestUpdate(ctx, c->piece, n);
        at += n;
    }
    EVP_DigestFinal_ex(ctx, md5, NULL);
    EVP_MD_CTX_free(ctx);
    for (int i = 0; i < 16; i++)
        (void)snprintf(etag + 2 * i, 3, "%02x", md5[i]);
}

/* ---- objects ---------------------------------------------------------------------------------- */

static struct far_object *find(struct far_conn *c, const char *bucket, const char *key) {
    struct far_data *d = &c->store->data;
    struct far_object *o = NULL;

    pthread_mutex_lock(&d->lock);
    struct far_bucket *b = far_bucket_find(d, bucket);
    if (b)
        o = far_find(b, key);
    if (o)
        atomic_fetch_add(&o->refs, 1);
    pthread_mutex_unlock(&d->lock);
    return o;
}

static void get(struct far_conn *c, struct far_answer *a) {
    struct far_object *o = find(c, c->request.bucket, c->request.key);

    if (!o) {
        far_error(c, a, 404, "NoSuchKey");
        return;
    }
    a->status = 200;
    a->bytes = o->bytes;
    if (c->request.range[0]) {
        if (!far_range(c->request.range, o->bytes, &a->at, &a->bytes)) {
            far_object_unref(&c->store->data, o);
            far_error(c, a, 416, "InvalidRange");
            return;
        }
        a->partial = true;
        a->status = 206;
    }
    a->object = o;
}

/* Into the bucket, unless the client forbids to replace. */
static void put_object(struct far_conn *c, struct far_answer *a, struct far_object *o) {
    struct far_data *d = &c->store->data;
    struct far_object *old = o;
    const char *code = "NoSuchBucket";
    int status = 404;

    pthread_mutex_lock(&d->lock);
    struct far_bucket *b = far_bucket_find(d, c->request.bucket);
    if (b && c->request.if_none_match[0] && far_find(b, c->request.key)) {
        status = 412;
        code = "PreconditionFailed";
    } else if (b) {
        status = 200;
        (void)snprintf(a->extra, sizeof a->extra, "ETag: \"%s\"\r\n", o->etag);
        old = far_put(b, o);
    }
    pthread_mutex_unlock(&d->lock);
    far_object_unref(d, old);
    a->status = status;
    if (status != 200)
        far_error(c, a, status, code);
}

struct far_object *far_copy_source(struct far_conn *c, struct far_answer *a) {
    char *text = c->request.copy_source + (c->request.copy_source[0] == '/'), *slash;
    struct far_object *o;

    far_url_decode(text);
    slash = strchr(text, '/');
    if (slash)
        *slash = '\0';
    o = slash ? find(c, text, slash + 1) : NULL;
    if (!o)
        far_error(c, a, 404, "NoSuchKey");
    return o;
}

static void copy(struct far_conn *c, struct far_answer *a) {
    struct far_object *from = far_copy_source(c, a), *o;
    char date[FAR_DATE];

    if (!from)
        return;
    o = far_object_new(c->request.key,
                       c->request.copy_replaces ? c->request.headers : from->headers,
                       from->extents_n);
    far_object_add_range(o, from, 0, from->bytes);
    (void)snprintf(o->etag, sizeof o->etag, "%s", from->etag);
    far_date(o->modified, false, date);
    far_text(&c->body,
             "<?xml version=\"1.0\" "
             "encoding=\"UTF-8\"?><CopyObjectResult><LastModified>%s</LastModified><ETag>\"%s\""
             "</ETag></CopyObjectResult>",
             date, o->etag);
    far_object_unref(&c->store->data, from);
    put_object(c, a, o);
}

static bool put(struct far_conn *c, struct far_answer *a) {
    bool lost;
    struct far_blob *blob = far_conn_receive(c, &lost);
    struct far_object *o;

    if (!blob)
        return false;
    o = far_object_new(c->request.key, c->request.headers, 1);
    far_object_add(o, blob, 0, blob->bytes);
    far_etag(c, blob, o->etag);
    far_blob_unref(&c->store->data, blob);
    put_object(c, a, o);
    return true;
}

static void delete_key(struct far_conn *c, const char *key) {
    struct far_data *d = &c->store->data;
    struct far_object *old = NULL;

    pthread_mutex_lock(&d->lock);
    struct far_bucket *b = far_bucket_find(d, c->request.bucket);
    if (b)
        old = far_remove(b, key);
    pthread_mutex_unlock(&d->lock);
    far_object_unref(d, old);
}

static void xml_decode(char *text) {
    static const struct {
        const char *name, *is;
    } entities[] = {
        {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&apos;", "'"}};
    char *to = text;

    for (char *p = text; *p;) {
        size_t n = 1;
        char is = *p;

        for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++)
            if (strncmp(p, entities[i].name, strlen(entities[i].name)) == 0) {
                n = strlen(entities[i].name);
                is = entities[i].is[0];
            }
        if (p[0] == '&' && p[1] == '#' && n == 1) {
            is = (char)strtoul(p + 2 + (p[2] == 'x'), NULL, p[2] == 'x' ? 16 : 10);
            n = strcspn(p, ";") + 1;
        }
        *to++ = is;
        p += n;
    }
    *to = '\0';
}

static void delete_many(struct far_conn *c, struct far_answer *a) {
    struct ms_buf asked = c->body;
    char *p = (char *)asked.data, *end;

    c->body = (struct ms_buf){0};
    far_text(&c->body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><DeleteResult>");
    while (p && (p = strstr(p, "<Key>")) && (end = strstr(p, "</Key>"))) {
        p += 5;
        *end = '\0';
        xml_decode(p);
        delete_key(c, p);
        far_text(&c->body, "<Deleted><Key>");
        far_text_escaped(&c->body, p, false);
        far_text(&c->body, "</Key></Deleted>");
        p = end + 1;
    }
    far_text(&c->body, "</DeleteResult>");
    ms_buf_fini(&asked);
    a->status = 200;
}

/* ---- what is asked for ------------------------------------------------------------------------ */

static void serve_service(struct far_conn *c, struct far_answer *a) {
    struct far_data *d = &c->store->data;

    a->status = 200;
    far_text(&c->body, "<?xml version=\"1.0\" "
                       "encoding=\"UTF-8\"?><ListAllMyBucketsResult><Owner><ID>far</ID></Owner>"
                       "<Buckets>");
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->buckets_n; i++)
        far_text(
            &c->body,
            "<Bucket><Name>%s</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>",
            d->buckets[i].name);
    pthread_mutex_unlock(&d->lock);
    far_text(&c->body, "</Buckets></ListAllMyBucketsResult>");
}

static void serve_bucket(struct far_conn *c, struct far_answer *a) {
    struct far_data *d = &c->store->data;
    const char *method = c->request.method;
    char value[8];

    a->status = 200;
    pthread_mutex_lock(&d->lock);
    struct far_bucket *b = strcmp(method, "PUT") == 0 ? far_bucket_make(d, c->request.bucket)
                                                      : far_bucket_find(d, c->request.bucket);
    if (strcmp(method, "POST") == 0) {
        /* below */
    } else if (!b) {
        far_error(c, a, 404, "NoSuchBucket");
    } else if (strcmp(method, "PUT") == 0) {
        ms_buf_clear(&c->body);
    } else if (strcmp(method, "DELETE") == 0) {
        a->status = 204;
    } else if (strcmp(method, "HEAD") != 0) {
        if (far_query(&c->request, "location", value, sizeof value))
            far_text(&c->body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><LocationConstraint/>");
        else if (far_query(&c->request, "uploads", value, sizeof value))
            far_list_uploads(c, b);
        else if (far_query(&c->request, "versioning", value, sizeof value))
            far_text(&c->body,
                     "<?xml version=\"1.0\" encoding=\"UTF-8\"?><VersioningConfiguration/>");
        else
            far_list(c, b, a);
    }
    pthread_mutex_unlock(&d->lock);
    if (strcmp(method, "POST") == 0)
        delete_many(c, a);
}

/* false: the connection is lost. */
static bool serve_put(struct far_conn *c, struct far_answer *a) {
    char value[8];

    if (c->request.refuses_body) {
        far_error(c, a, 501, "NotImplemented");
        c->request.closes = true;
        return true;
    }
    if (far_query(&c->request, "uploadId", value, sizeof value))
        return far_upload_part(c, a);
    if (c->request.copy_source[0]) {
        copy(c, a);
        return true;
    }
    return put(c, a);
}

static bool serve_object(struct far_conn *c, struct far_answer *a) {
    const char *method = c->request.method;
    char value[8];
    bool parts = far_query(&c->request, "uploadId", value, sizeof value);

    if (strcmp(method, "PUT") == 0)
        return serve_put(c, a);
    if (strcmp(method, "POST") == 0 && parts)
        far_upload_complete(c, a);
    else if (strcmp(method, "POST") == 0 && far_query(&c->request, "uploads", value, sizeof value))
        far_upload_begin(c, a);
    else if (strcmp(method, "DELETE") == 0 && parts)
        far_upload_abort(c, a);
    else if (strcmp(method, "GET") == 0 && parts)
        far_upload_list(c, a);
    else if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        get(c, a);
    else if (strcmp(method, "DELETE") == 0) {
        delete_key(c, c->request.key);
        a->status = 204;
    } else
        far_error(c, a, 501, "NotImplemented");
    return true;
}

bool far_serve(struct far_conn *c) {
    struct far_answer a = {.head_only = strcmp(c->request.method, "HEAD") == 0};

    if (!c->request.has_keys) {
        far_error(c, &a, 403, "AccessDenied");
        c->request.closes = c->request.body_bytes > 0;
    } else if (!c->request.bucket[0]) {
        serve_service(c, &a);
    } else if (!c->request.key[0]) {
        serve_bucket(c, &a);
    } else if (!serve_object(c, &a)) {
        return false;
    }
    return far_conn_answer(c, &a);
}
