/* far_uploads.c — objects in parts: begin, part (sent or copied), list, complete, abort. */
#include "far_store.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* With the lock. NULL: there is no such upload, which is the answer then. */
static struct far_upload *find(struct far_conn *c, struct far_answer *a,
                               struct far_bucket **ret_bucket) {
    struct far_bucket *b = far_bucket_find(&c->store->data, c->request.bucket);
    struct far_upload *u = NULL;
    char id[64];

    if (b && far_query(&c->request, "uploadId", id, sizeof id))
        u = far_upload_find(b, id, c->request.key);
    if (!u)
        far_error(c, a, 404, "NoSuchUpload");
    *ret_bucket = b;
    return u;
}

void far_upload_begin(struct far_conn *c, struct far_answer *a) {
    struct far_data *d = &c->store->data;

    ms_buf_clear(&c->body);
    pthread_mutex_lock(&d->lock);
    struct far_bucket *b = far_bucket_find(d, c->request.bucket);
    if (b) {
        struct far_upload *u = far_upload_make(d, b, c->request.key, c->request.headers);

        a->status = 200;
        far_text(&c->body,
                 "<?xml version=\"1.0\" "
                 "encoding=\"UTF-8\"?><InitiateMultipartUploadResult><Bucket>%s</Bucket><Key>",
                 b->name);
        far_text_escaped(&c->body, u->key, false);
        far_text(&c->body, "</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>", u->id);
    } else {
        far_error(c, a, 404, "NoSuchBucket");
    }
    pthread_mutex_unlock(&d->lock);
}

/* Takes the part over. */
static void keep_part(struct far_conn *c, struct far_answer *a, struct far_object *part) {
    struct far_data *d = &c->store->data;
    struct far_object *old = part;
    struct far_bucket *b;
    char text[16] = "";
    uint64_t number;

    (void)far_query(&c->request, "partNumber", text, sizeof text);
    number = far_number(text, 0);
    pthread_mutex_lock(&d->lock);
    struct far_upload *u = find(c, a, &b);
    if (u && number >= 1 && number <= FAR_PARTS_MAX) {
        old = u->parts[number];
        u->parts[number] = part;
    } else if (u) {
        far_error(c, a, 400, "InvalidArgument");
    }
    pthread_mutex_unlock(&d->lock);
    far_object_unref(d, old);
}

static void copy_part(struct far_conn *c, struct far_answer *a) {
    struct far_object *from = far_copy_source(c, a), *part;
    uint64_t at = 0, bytes;
    char date[FAR_DATE];

    if (!from)
        return;
    bytes = from->bytes;
    if (c->request.copy_range[0] && !far_range(c->request.copy_range, from->bytes, &at, &bytes)) {
        far_error(c, a, 416, "InvalidRange");
    } else {
        part = far_object_new(c->request.key, "", from->extents_n);
        far_object_add_range(part, from, at, bytes);
        (void)snprintf(part->etag, sizeof part->etag, "%016" PRIx64 "%016" PRIx64 "-1", at, bytes);
        far_date(part->modified, false, date);
        a->status = 200;
        far_text(&c->body,
                 "<?xml version=\"1.0\" "
                 "encoding=\"UTF-8\"?><CopyPartResult><LastModified>%s</LastModified>"
                 "<ETag>\"%s\"</ETag></CopyPartResult>",
                 date, part->etag);
        keep_part(c, a, part);
    }
    far_object_unref(&c->store->data, from);
}

bool far_upload_part(struct far_conn *c, struct far_answer *a) {
    struct far_object *part;
    struct far_blob *blob;
    bool lost;

    if (c->request.copy_source[0]) {
        copy_part(c, a);
        return true;
    }
    blob = far_conn_receive(c, &lost);
    if (!blob)
        return false;
    part = far_object_new(c->request.key, "", 1);
    far_object_add(part, blob, 0, blob->bytes);
    far_etag(c, blob, part->etag);
    far_blob_unref(&c->store->data, blob);
    a->status = 200;
    (void)snprintf(a->extra, sizeof a->extra, "ETag: \"%s\"\r\n", part->etag);
    keep_part(c, a, part);
    return true;
}

/* As S3 does it: the MD5 of the parts' MD5s, which some clients compare; where a part has none, a mark of our own. */
static void etag_of_parts(const struct far_object *const *parts, unsigned n, const char *id,
                          char etag[FAR_ETAG_MAX]) {
    struct ms_buf md5s = {0};
    unsigned char bytes[16], md5[EVP_MAX_MD_SIZE];
    unsigned i = 0;
    bool ok = true;

    for (; ok && i < n; i++)
        ok = OPENSSL_hexstr2buf_ex(bytes, sizeof bytes, NULL, parts[i]->etag, '\0') == 1 &&
             ms_buf_add(&md5s, bytes, sizeof bytes, NULL) == MS_OK;
    if (ok && EVP_Digest(md5s.data, md5s.len, md5, NULL, EVP_md5(), NULL) == 1)
        for (i = 0; i < 16; i++)
            (void)snprintf(etag + 2 * i, 3, "%02x", md5[i]);
    else
        (void)snprintf(etag, FAR_ETAG_MAX, "%s", id);
    (void)snprintf(etag + strlen(etag), FAR_ETAG_MAX - strlen(etag), "-%u", n);
    ms_buf_fini(&md5s);
}

/* The object that the named parts make; NULL: one of them is not there. */
static struct far_object *join(const struct far_upload *u, const char *asked) {
    const struct far_object *parts[FAR_PARTS_MAX];
    unsigned extents = 0, n = 0;
    struct far_object *o;

    while (asked && n < FAR_PARTS_MAX && (asked = strstr(asked, "<PartNumber>"))) {
        uint64_t number = far_number(asked += strlen("<PartNumber>"), 0);

        parts[n] = number >= 1 && number <= FAR_PARTS_MAX ? u->parts[number] : NULL;
        if (!parts[n])
            return NULL;
        extents += parts[n++]->extents_n;
    }
    o = far_object_new(u->key, u->headers, extents);
    for (unsigned i = 0; i < n; i++)
        far_object_add_range(o, parts[i], 0, parts[i]->bytes);
    etag_of_parts(parts, n, u->id, o->etag);
    return o;
}

void far_upload_complete(struct far_conn *c, struct far_answer *a) {
    struct far_data *d = &c->store->data;
    struct far_object *o = NULL, *old = NULL;
    struct ms_buf asked = c->body;
    struct far_bucket *b;

    c->body = (struct ms_buf){0};
    pthread_mutex_lock(&d->lock);
    struct far_upload *u = find(c, a, &b);
    if (u && (o = join(u, (const char *)asked.data))) {
        a->status = 200;
        far_text(&c->body,
                 "<?xml version=\"1.0\" "
                 "encoding=\"UTF-8\"?><CompleteMultipartUploadResult><Bucket>%s</Bucket><Key>",
                 b->name);
        far_text_escaped(&c->body, u->key, false);
        far_text(&c->body, "</Key><ETag>\"%s\"</ETag></CompleteMultipartUploadResult>", o->etag);
        old = far_put(b, o);
        far_upload_take(b, u);
    } else if (u) {
        far_error(c, a, 400, "InvalidPart");
        u = NULL;
    }
    pthread_mutex_unlock(&d->lock);
    far_object_unref(d, old);
    if (u)
        far_upload_free(d, u);
    ms_buf_fini(&asked);
}

void far_upload_abort(struct far_conn *c, struct far_answer *a) {
    struct far_data *d = &c->store->data;
    struct far_bucket *b;

    pthread_mutex_lock(&d->lock);
    struct far_upload *u = find(c, a, &b);
    if (u)
        far_upload_take(b, u);
    pthread_mutex_unlock(&d->lock);
    if (!u)
        return;
    far_upload_free(d, u);
    a->status = 204;
}

void far_upload_list(struct far_conn *c, struct far_answer *a) {
    struct far_data *d = &c->store->data;
    struct far_bucket *b;

    pthread_mutex_lock(&d->lock);
    struct far_upload *u = find(c, a, &b);
    if (u) {
        a->status = 200;
        far_text(
            &c->body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListPartsResult><UploadId>%s</UploadId>",
            u->id);
        for (unsigned i = 1; i <= FAR_PARTS_MAX; i++)
            if (u->parts[i])
                far_text(&c->body,
                         "<Part><PartNumber>%u</PartNumber><ETag>\"%s\"</ETag><Size>%" PRIu64
                         "</Size></Part>",
                         i, u->parts[i]->etag, u->parts[i]->bytes);
        far_text(&c->body, "<IsTruncated>false</IsTruncated></ListPartsResult>");
    }
    pthread_mutex_unlock(&d->lock);
}
