/* far_list.c — LIST, both versions: prefix, delimiter, where to begin, how many. */
#include "far_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS_MAX 1000u

struct listing {
    struct far_conn *c;
    char prefix[FAR_TEXT_MAX], delimiter[8], after[FAR_TEXT_MAX];
    bool v2, url;
    uint64_t keys_max, keys;
    char last[FAR_TEXT_MAX]; /* key or common prefix that was named last */
};

static void ask(struct listing *l) {
    const struct far_request *r = &l->c->request;
    char text[64];

    l->v2 = far_query(r, "list-type", text, sizeof text) && strcmp(text, "2") == 0;
    l->url = far_query(r, "encoding-type", text, sizeof text) && strcmp(text, "url") == 0;
    l->keys_max = KEYS_MAX;
    if (far_query(r, "max-keys", text, sizeof text) && far_number(text, KEYS_MAX) < KEYS_MAX)
        l->keys_max = far_number(text, KEYS_MAX);
    (void)far_query(r, "prefix", l->prefix, sizeof l->prefix);
    (void)far_query(r, "delimiter", l->delimiter, sizeof l->delimiter);
    if (!far_query(r, "continuation-token", l->after, sizeof l->after) &&
        !far_query(r, "start-after", l->after, sizeof l->after))
        (void)far_query(r, "marker", l->after, sizeof l->after);
}

static void name_key(struct listing *l, const struct far_object *o) {
    struct ms_buf *body = &l->c->body;
    char date[FAR_DATE];

    far_date(o->modified, false, date);
    far_text(body, "<Contents><Key>");
    far_text_escaped(body, o->key, l->url);
    far_text(body,
             "</Key><LastModified>%s</LastModified><ETag>\"%s\"</ETag><Size>%" PRIu64 "</Size>"
             "<StorageClass>STANDARD</StorageClass></Contents>",
             date, o->etag, o->bytes);
    (void)snprintf(l->last, sizeof l->last, "%s", o->key);
}

static void name_prefix(struct listing *l, const char *key, size_t n) {
    struct ms_buf *body = &l->c->body;

    (void)snprintf(l->last, sizeof l->last, "%.*s", (int)n, key);
    far_text(body, "<CommonPrefixes><Prefix>");
    far_text_escaped(body, l->last, l->url);
    far_text(body, "</Prefix></CommonPrefixes>");
}

/* Behind everything that begins with this. */
static size_t place_behind(const struct far_bucket *b, const char *prefix) {
    char key[FAR_TEXT_MAX + 4];

    (void)snprintf(key, sizeof key, "%s\xff\xff", prefix);
    return far_place(b, key);
}

/* true: there is more than was named. */
static bool name_all(struct listing *l, const struct far_bucket *b) {
    size_t prefix_n = strlen(l->prefix), delimiter_n = strlen(l->delimiter),
           after_n = strlen(l->after);
    size_t i = far_place(b, strcmp(l->after, l->prefix) > 0 ? l->after : l->prefix);

    if (i < b->objects_n && strcmp(b->objects[i]->key, l->after) == 0)
        i++;
    if (delimiter_n && after_n > prefix_n &&
        strcmp(l->after + after_n - delimiter_n, l->delimiter) == 0)
        i = place_behind(b, l->after);
    while (i < b->objects_n && strncmp(b->objects[i]->key, l->prefix, prefix_n) == 0) {
        const struct far_object *o = b->objects[i];
        const char *cut = delimiter_n ? strstr(o->key + prefix_n, l->delimiter) : NULL;

        if (l->keys == l->keys_max)
            return true;
        l->keys++;
        if (cut) {
            name_prefix(l, o->key, (size_t)(cut - o->key) + delimiter_n);
            i = place_behind(b, l->last);
        } else {
            name_key(l, o);
            i++;
        }
    }
    return false;
}

void far_list(struct far_conn *c, struct far_bucket *b, struct far_answer *a) {
    struct listing l = {.c = c};
    struct ms_buf *body = &c->body;
    bool more;

    ask(&l);
    a->status = 200;
    far_text(body,
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult "
             "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>%s</Name><Prefix>",
             b->name);
    far_text_escaped(body, l.prefix, l.url);
    far_text(body, "</Prefix>");
    more = name_all(&l, b);
    far_text(body,
             "<MaxKeys>%" PRIu64 "</MaxKeys><KeyCount>%" PRIu64
             "</KeyCount><IsTruncated>%s</IsTruncated>",
             l.keys_max, l.keys, more ? "true" : "false");
    if (l.url)
        far_text(body, "<EncodingType>url</EncodingType>");
    if (more) {
        /* A token goes back as it came; a marker is encoded like a key. */
        far_text(body, l.v2 ? "<NextContinuationToken>" : "<NextMarker>");
        far_text_escaped(body, l.last, !l.v2 && l.url);
        far_text(body, l.v2 ? "</NextContinuationToken>" : "</NextMarker>");
    }
    far_text(body, "</ListBucketResult>");
}

void far_list_uploads(struct far_conn *c, struct far_bucket *b) {
    char prefix[FAR_TEXT_MAX] = "";

    (void)far_query(&c->request, "prefix", prefix, sizeof prefix);
    far_text(
        &c->body,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListMultipartUploadsResult><Bucket>%s</Bucket>",
        b->name);
    for (size_t i = 0; i < b->uploads_n; i++) {
        if (strncmp(b->uploads[i]->key, prefix, strlen(prefix)) != 0)
            continue;
        far_text(&c->body, "<Upload><Key>");
        far_text_escaped(&c->body, b->uploads[i]->key, false);
        far_text(
            &c->body,
            "</Key><UploadId>%s</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>",
            b->uploads[i]->id);
    }
    far_text(&c->body, "<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>");
}
