/* drv_s3_list.c — LIST, MP_LIST and MP_PARTS: the store's pages put together to ours. */
#include "object/drv_s3.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool begins(const char *s, const char *with) { return strncmp(s, with, strlen(with)) == 0; }

/* Without the store's prefix; NULL: a key that is none of ours (too long, or outside). */
static const char *own_key(const struct ms_s3 *s3, const struct ms_s3_reply *reply, char *key) {
    if (!key)
        return NULL;
    if (reply->url_encoded)
        ms_s3_url_decode(key);
    if (!begins(key, s3->place.prefix))
        return NULL;
    key += strlen(s3->place.prefix);
    return *key && strlen(key) <= MS_OBJECT_KEY_MAX ? key : NULL;
}

static enum ms_code alloc_entries(struct ms_obj_request *r, size_t n, struct ms_error *reterr) {
    r->ret_entries = calloc(n, sizeof *r->ret_entries);
    return r->ret_entries ? MS_OK
                          : ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of %zu objects", n);
}

static enum ms_code take_token(char **token, char *next, struct ms_error *reterr) {
    enum ms_code code = ms_s3_check_token(*token, next, reterr);

    if (code != MS_OK)
        return code;
    free(*token);
    *token = strdup(next);
    return *token ? MS_OK : ms_fail(reterr, MS_NO_MEMORY, "no memory for a list");
}

/* ---- LIST ------------------------------------------------------------------------------------ */

static void add_object(struct ms_obj_request *r, const char *key, const struct ms_s3_item *item) {
    struct ms_obj_entry *e = &r->ret_entries[r->ret_n++];

    (void)snprintf(e->key, sizeof e->key, "%s", key);
    e->size = item->size;
    e->modified = item->modified;
    (void)snprintf(e->etag, sizeof e->etag, "%.*s", MS_ETAG_MAX, item->etag ? item->etag : "");
    ms_s3_unquote(e->etag);
}

/* One page of the store: full, and more, when an object does not fit in any more. */
static void take_objects(const struct ms_s3_call *c, struct ms_obj_request *r) {
    for (size_t i = 0; i < c->reply.items_n; i++) {
        const struct ms_s3_item *item = &c->reply.items[i];
        const char *key = own_key(c->s3, &c->reply, item->key);

        /* A store that takes the end of start-after for a part of the list would go round and round. */
        if (!key || (r->key && !begins(key, r->key)) || (r->after && strcmp(key, r->after) <= 0))
            continue;
        if (r->ret_n == r->list_max) {
            r->ret_more = true;
            return;
        }
        add_object(r, key, item);
    }
}

static enum ms_code ask_page(struct ms_s3_op *op, struct ms_error *reterr);

static enum ms_code take_page(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    struct ms_obj_request *r = op->request;

    if (code != MS_OK)
        return code;
    take_objects(&op->call, r);
    if (r->ret_more || !op->call.reply.truncated)
        return MS_OK;
    op->ask = ask_page;
    return take_token(&op->marker[0], op->call.reply.token, reterr);
}

static enum ms_code ask_page(struct ms_s3_op *op, struct ms_error *reterr) {
    const struct ms_obj_request *r = op->request;
    struct ms_s3_call *c = ms_s3_op_call(op, "GET", NULL, take_page);
    char prefix[MS_S3_KEY_MAX], after[MS_S3_KEY_MAX], max[24];
    size_t want = r->list_max - r->ret_n + 1;

    (void)reterr;
    c->replies = true;
    ms_s3_full_key(c->s3, r->key, prefix, sizeof prefix);
    ms_s3_whole_characters(prefix);
    ms_s3_full_key(c->s3, r->after, after, sizeof after);
    (void)snprintf(max, sizeof max, "%zu", want < 1000 ? want : 1000);
    ms_s3_call_query(c, "list-type", "2");
    ms_s3_call_query(c, "encoding-type", "url");
    ms_s3_call_query(c, "max-keys", max);
    ms_s3_call_query(c, "prefix", prefix);
    if (op->marker[0])
        ms_s3_call_query(c, "continuation-token", op->marker[0]);
    else if (r->after && *r->after)
        ms_s3_call_query(c, "start-after", after);
    return MS_OK;
}

enum ms_code ms_s3_list(struct ms_s3_op *op, struct ms_error *reterr) {
    enum ms_code code = alloc_entries(op->request, op->request->list_max, reterr);

    return code == MS_OK ? ask_page(op, reterr) : code;
}

/* ---- MP_LIST ----
 *
 * Stores order the uploads of one key by time, ours come by id: so all of them are looked at from the start, and the
 * first list_max behind the place asked for are kept, sorted. Open uploads are few: hundreds, not millions. */

static int by_key_and_id(const struct ms_obj_entry *a, const char *key, const char *id) {
    int order = strcmp(a->key, key);

    return order ? order : strcmp(a->upload_id, id);
}

static bool is_behind(const struct ms_obj_request *r, const char *key, const char *id) {
    int order = r->after ? strcmp(key, r->after) : 1;

    return order > 0 || (order == 0 && r->upload_id && strcmp(id, r->upload_id) > 0);
}

static void keep_upload(struct ms_obj_request *r, const char *key, const struct ms_s3_item *item) {
    struct ms_obj_entry *e = r->ret_entries;
    size_t at = r->ret_n;

    while (at > 0 && by_key_and_id(&e[at - 1], key, item->upload_id) > 0)
        at--;
    r->ret_more = r->ret_more || r->ret_n == r->list_max;
    if (at == r->list_max)
        return;
    r->ret_n += r->ret_n < r->list_max;
    memmove(&e[at + 1], &e[at], (r->ret_n - 1 - at) * sizeof *e);
    e[at] = (struct ms_obj_entry){.modified = item->modified};
    (void)snprintf(e[at].key, sizeof e[at].key, "%s", key);
    (void)snprintf(e[at].upload_id, sizeof e[at].upload_id, "%s", item->upload_id);
}

static void take_uploads(const struct ms_s3_call *c, struct ms_obj_request *r) {
    for (size_t i = 0; i < c->reply.items_n; i++) {
        const struct ms_s3_item *item = &c->reply.items[i];
        const char *key = own_key(c->s3, &c->reply, item->key);

        if (key && item->upload_id && *item->upload_id &&
            strlen(item->upload_id) <= MS_UPLOAD_ID_MAX && (!r->key || begins(key, r->key)) &&
            is_behind(r, key, item->upload_id))
            keep_upload(r, key, item);
    }
}

static enum ms_code ask_uploads(struct ms_s3_op *op, struct ms_error *reterr);

static enum ms_code take_uploads_page(struct ms_s3_op *op, enum ms_code code,
                                      struct ms_error *reterr) {
    struct ms_s3_reply *reply = &op->call.reply;
    char **key = &op->marker[0], **id = &op->marker[1];

    if (code != MS_OK)
        return code;
    take_uploads(&op->call, op->request);
    if (!reply->truncated)
        return MS_OK;
    op->ask = ask_uploads;
    if (reply->url_encoded && reply->key_marker)
        ms_s3_url_decode(reply->key_marker);
    /* One of the two must have moved. */
    if (*key && reply->key_marker && strcmp(*key, reply->key_marker) == 0)
        return take_token(id, reply->upload_marker, reterr);
    code = take_token(key, reply->key_marker, reterr);
    free(*id);
    *id = reply->upload_marker ? MS_TAKE(reply->upload_marker) : NULL;
    return code;
}

static enum ms_code ask_uploads(struct ms_s3_op *op, struct ms_error *reterr) {
    struct ms_s3_call *c = ms_s3_op_call(op, "GET", NULL, take_uploads_page);
    char prefix[MS_S3_KEY_MAX];

    (void)reterr;
    c->replies = true;
    ms_s3_full_key(c->s3, op->request->key, prefix, sizeof prefix);
    ms_s3_whole_characters(prefix);
    ms_s3_call_query(c, "uploads", "");
    ms_s3_call_query(c, "encoding-type", "url");
    ms_s3_call_query(c, "prefix", prefix);
    if (op->marker[0])
        ms_s3_call_query(c, "key-marker", op->marker[0]);
    if (op->marker[1])
        ms_s3_call_query(c, "upload-id-marker", op->marker[1]);
    return MS_OK;
}

enum ms_code ms_s3_mp_list(struct ms_s3_op *op, struct ms_error *reterr) {
    enum ms_code code = alloc_entries(op->request, op->request->list_max + 1, reterr);

    return code == MS_OK ? ask_uploads(op, reterr) : code;
}

/* ---- MP_PARTS -------------------------------------------------------------------------------- */

static enum ms_code take_parts(struct ms_s3_op *op, struct ms_error *reterr) {
    const struct ms_s3_reply *reply = &op->call.reply;
    size_t n = op->parts_n + reply->items_n;
    struct ms_obj_part *parts;

    if (n > MS_PARTS_MAX)
        return ms_fail(reterr, MS_PROTOCOL, "the store lists more than %d parts of %s",
                       MS_PARTS_MAX, op->request->key);
    parts = realloc(op->parts, (n + 1) * sizeof *parts);
    if (!parts)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of %zu parts", n);
    op->parts = parts;
    for (size_t i = 0; i < reply->items_n; i++) {
        const struct ms_s3_item *item = &reply->items[i];
        struct ms_obj_part *part = &parts[op->parts_n++];

        *part = (struct ms_obj_part){.part_no = item->part_no, .size = item->size};
        (void)snprintf(part->etag, sizeof part->etag, "%.*s", MS_ETAG_MAX,
                       item->etag ? item->etag : "");
        ms_s3_unquote(part->etag);
    }
    return MS_OK;
}

static enum ms_code take_parts_page(struct ms_s3_op *op, enum ms_code code,
                                    struct ms_error *reterr) {
    if (code == MS_OK)
        code = take_parts(op, reterr);
    if (code == MS_OK && op->call.reply.truncated) {
        op->ask = ms_s3_ask_parts;
        return take_token(&op->marker[0], op->call.reply.part_marker, reterr);
    }
    return op->parts_then(op, code, reterr);
}

enum ms_code ms_s3_ask_parts(struct ms_s3_op *op, struct ms_error *reterr) {
    struct ms_s3_call *c = ms_s3_op_call(op, "GET", op->request->key, take_parts_page);

    (void)reterr;
    c->replies = true;
    ms_s3_call_query(c, "uploadId", op->request->upload_id);
    if (op->marker[0])
        ms_s3_call_query(c, "part-number-marker", op->marker[0]);
    return MS_OK;
}

static enum ms_code give_parts(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    struct ms_obj_request *r = op->request;

    (void)reterr;
    if (code != MS_OK)
        return code;
    r->ret_parts = MS_TAKE(op->parts);
    r->ret_n = op->parts_n;
    return MS_OK;
}

enum ms_code ms_s3_mp_parts(struct ms_s3_op *op, struct ms_error *reterr) {
    op->parts_then = give_parts;
    return ms_s3_ask_parts(op, reterr);
}
