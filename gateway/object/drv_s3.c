/* drv_s3.c — S3 with Signature V4: whole objects, and opening. See drv_s3.h. */
#include "object/drv_s3.h"

#include "base/assert.h"

#include <inttypes.h>
#include <libxml/parser.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define PUT_BYTES_MAX (5 * MS_GB)
#define PART_BYTES_MIN (5 * MS_MB)
#define COPY_FIRST_BYTE_MS (120 * MS_SECOND_MS)

/* ---- PUT, GET, DELETE ------------------------------------------------------------------------ */

static enum ms_code take_put(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    (void)reterr;
    if (code == MS_OK)
        ms_s3_call_etag(&op->call, op->request->ret_etag);
    return code;
}

static enum ms_code ask_put(struct ms_s3_op *op, struct ms_error *reterr) {
    struct ms_obj_request *r = op->request;
    struct ms_s3_call *c = ms_s3_op_call(op, "PUT", r->key, take_put);

    c->body = &r->body;
    return ms_s3_meta_to_headers(c, r->meta, reterr);
}

static enum ms_code fail_range(const struct ms_obj_request *r, uint64_t size,
                               struct ms_error *reterr) {
    return ms_fail(reterr, MS_RANGE, "bytes %" PRIu64 "+%" PRIu64 " of %s, which has %" PRIu64,
                   r->offset, r->length, r->key, size);
}

static bool read_digits(const char **at, uint64_t *ret_n) {
    const char *p = *at;
    char *end;

    if (*p < '0' || *p > '9' || strlen(p) > 64)
        return false;
    *ret_n = strtoull(p, &end, 10);
    *at = end;
    return *ret_n <= INT64_MAX;
}

/* "bytes 0-9/100": the first byte and the size of the whole. */
static bool read_content_range(const char *p, uint64_t *ret_first, uint64_t *ret_size) {
    uint64_t last;

    if (strncmp(p, "bytes ", 6) != 0)
        return false;
    p += 6;
    return read_digits(&p, ret_first) && *p++ == '-' && read_digits(&p, &last) && *p++ == '/' &&
           read_digits(&p, ret_size) && *p == '\0' && last >= *ret_first && last < *ret_size;
}

static enum ms_code judge_get(struct ms_s3_call *c, struct ms_error *reterr) {
    struct ms_obj_request *r = c->request;
    struct ms_s3_transfer *t = &c->transfer;
    uint64_t first = 0, size = t->got;
    char range[128] = "";

    /* A store that knows no ranges sends the whole object, with 200. */
    if (t->status == 206 && (!ms_s3_header(t, "content-range", range, sizeof range) ||
                             !read_content_range(range, &first, &size)))
        return ms_fail(reterr, MS_PROTOCOL, "the store sends a part of %s and says '%s' of it",
                       r->key, range);
    if (first != r->offset)
        return ms_fail(reterr, MS_PROTOCOL,
                       "the store sends %s from %" PRIu64 "; asked for was %" PRIu64, r->key, first,
                       r->offset);
    if (r->length > size - r->offset)
        return fail_range(r, size, reterr);
    if (t->got != r->length)
        return ms_fail(reterr, MS_IO, "the store sent %" PRIu64 " of %" PRIu64 " bytes of %s",
                       t->got, r->length, r->key);
    r->ret_n = (size_t)t->got;
    r->ret_size = size;
    ms_s3_call_etag(c, r->ret_etag);
    return MS_OK;
}

static enum ms_code take_get(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    return code == MS_OK ? judge_get(&op->call, reterr) : code;
}

static enum ms_code take_nothing(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    struct ms_obj_request *r = op->request;

    if (code != MS_OK)
        return code;
    if (r->offset > op->look.size)
        return fail_range(r, op->look.size, reterr);
    r->ret_size = op->look.size;
    memcpy(r->ret_etag, op->look.etag, sizeof r->ret_etag);
    return MS_OK;
}

static enum ms_code ask_range(struct ms_s3_op *op, struct ms_error *reterr) {
    struct ms_obj_request *r = op->request;
    struct ms_s3_call *c = ms_s3_op_call(op, "GET", r->key, take_get);
    char range[64];

    (void)reterr;
    c->into = r->into;
    c->into_n = r->length;
    (void)snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, r->offset,
                   r->offset + r->length - 1);
    ms_s3_call_header(c, "range", range);
    return MS_OK;
}

/* The first step of a kind may be a look at an object; the call to that is its own step. */
static enum ms_code look_first(struct ms_s3_op *op, const char *key, ms_s3_take_fn *then,
                               struct ms_error *reterr) {
    ms_s3_op_look(op, key, then);
    return MS_TAKE(op->ask)(op, reterr);
}

/* No range of HTTP is empty. */
static enum ms_code ask_get(struct ms_s3_op *op, struct ms_error *reterr) {
    if (op->request->length > 0)
        return ask_range(op, reterr);
    return look_first(op, op->request->key, take_nothing, reterr);
}

static enum ms_code take_head(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    struct ms_obj_request *r = op->request;

    (void)reterr;
    if (code != MS_OK)
        return code;
    r->ret_size = op->look.size;
    memcpy(r->ret_etag, op->look.etag, sizeof r->ret_etag);
    ms_buf_fini(&r->ret_meta);
    r->ret_meta = op->look.meta;
    op->look.meta = (struct ms_buf){0};
    return MS_OK;
}

static enum ms_code ask_head(struct ms_s3_op *op, struct ms_error *reterr) {
    return look_first(op, op->request->key, take_head, reterr);
}

static enum ms_code take_gone(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    (void)op;
    (void)reterr;
    return code == MS_NOT_FOUND ? MS_OK : code;
}

static enum ms_code ask_delete(struct ms_s3_op *op, struct ms_error *reterr) {
    (void)reterr;
    ms_s3_op_call(op, "DELETE", op->request->key, take_gone);
    return MS_OK;
}

/* ---- DELETE_MANY ----------------------------------------------------------------------------- */

static enum ms_code add_keys(const struct ms_s3 *s3, const struct ms_obj_request *r,
                             struct ms_buf *xml, struct ms_error *reterr) {
    char key[MS_S3_KEY_MAX];
    enum ms_code code = ms_buf_addf(xml, reterr, "<Delete><Quiet>true</Quiet>");

    for (size_t i = 0; i < r->keys_n && code == MS_OK; i++) {
        ms_s3_full_key(s3, r->keys[i], key, sizeof key);
        code = ms_buf_addf(xml, reterr, "<Object><Key>");
        if (code == MS_OK)
            code = ms_s3_xml_escape(xml, key, reterr);
        if (code == MS_OK)
            code = ms_buf_addf(xml, reterr, "</Key></Object>");
    }
    return code == MS_OK ? ms_buf_addf(xml, reterr, "</Delete>") : code;
}

static void md5_text(struct ms_view bytes, char ret_text[32]) {
    unsigned char digest[EVP_MAX_MD_SIZE];

    MS_ASSERT(EVP_Digest(bytes.p, bytes.n, digest, NULL, EVP_md5(), NULL) == 1);
    EVP_EncodeBlock((unsigned char *)ret_text, digest, 16);
}

static enum ms_code take_delete_many(struct ms_s3_op *op, enum ms_code code,
                                     struct ms_error *reterr) {
    const struct ms_s3_reply *reply = &op->call.reply;

    for (size_t i = 0; i < reply->items_n && code == MS_OK; i++) {
        const struct ms_s3_item *item = &reply->items[i];

        if (item->code && ms_s3_code_of(200, item->code) != MS_NOT_FOUND)
            code = ms_fail(reterr, ms_s3_code_of(200, item->code),
                           "the object store did not delete %.100s: %s: %.200s",
                           item->key ? item->key : "(a key)", item->code,
                           item->message ? item->message : "");
    }
    return code;
}

static enum ms_code ask_delete_many(struct ms_s3_op *op, struct ms_error *reterr) {
    struct ms_s3_call *c = ms_s3_op_call(op, "POST", NULL, take_delete_many);
    char md5[32];
    enum ms_code code = add_keys(op->s3, op->request, &c->xml, reterr);

    if (code != MS_OK)
        return code;
    ms_s3_call_xml_body(c);
    md5_text(c->own_body.memory, md5);
    c->replies = true;
    ms_s3_call_query(c, "delete", "");
    ms_s3_call_header(c, "content-md5", md5);
    ms_s3_call_header(c, "content-type", "application/xml");
    return MS_OK;
}

/* ---- COPY ------------------------------------------------------------------------------------ */

void ms_s3_etag_of_reply(struct ms_s3_op *op) {
    struct ms_obj_request *r = op->request;
    const char *etag = op->call.reply.etag;

    (void)snprintf(r->ret_etag, sizeof r->ret_etag, "%.*s", MS_ETAG_MAX, etag ? etag : "");
    ms_s3_unquote(r->ret_etag);
}

static enum ms_code take_copy(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    (void)reterr;
    if (code == MS_OK)
        ms_s3_etag_of_reply(op);
    return code;
}

static enum ms_code ask_copy(struct ms_s3_op *op, struct ms_error *reterr) {
    struct ms_s3_call *c = ms_s3_op_call(op, "PUT", op->request->key, take_copy);

    c->replies = true;
    c->first_byte_ms = COPY_FIRST_BYTE_MS;
    return ms_s3_copy_source(c, op->request->source_key, reterr);
}

/* ---- presigned URLs -------------------------------------------------------------------------- */

#define PRESIGN_HEADERS_MAX 4

static size_t part_headers(const struct ms_obj_presign *p, char length[24],
                           struct ms_s3_param ret_headers[PRESIGN_HEADERS_MAX]) {
    size_t n = 0;

    (void)snprintf(length, 24, "%" PRIu64, p->content_length);
    if (!p->any_length)
        ret_headers[n++] = (struct ms_s3_param){"content-length", length};
    if (p->content_md5)
        ret_headers[n++] = (struct ms_s3_param){"content-md5", p->content_md5};
    if (p->content_type)
        ret_headers[n++] = (struct ms_s3_param){"content-type", p->content_type};
    return n;
}

static enum ms_code presigned_url(const struct ms_s3 *s3, const struct ms_s3_sign *s,
                                  const char *host, unsigned expires_s, struct ms_buf *ret_url,
                                  struct ms_error *reterr) {
    enum ms_code code =
        ms_buf_addf(ret_url, reterr, "%s://%s", s3->place.https ? "https" : "http", host);

    if (code == MS_OK)
        code = ms_s3_encode(ret_url, s->path, true, reterr);
    if (code == MS_OK)
        code = ms_buf_add(ret_url, "?", 1, reterr);
    return code == MS_OK ? ms_s3_presign(s, expires_s, ret_url, reterr) : code;
}

static enum ms_code s3_presign(struct ms_obj *obj, const struct ms_obj_presign *what,
                               struct ms_buf *ret_url, struct ms_buf *ret_headers,
                               struct ms_error *reterr) {
    const struct ms_s3 *s3 = ms_s3_of(obj);
    char host[MS_S3_HOST_MAX], path[MS_S3_PATH_MAX], part_no[16], length[24];
    struct ms_s3_param headers[PRESIGN_HEADERS_MAX];
    const struct ms_s3_param query[] = {{"partNumber", part_no}, {"uploadId", what->upload_id}};
    bool is_part = what->op == MS_OBJ_MP_PUT;
    size_t n = is_part ? part_headers(what, length, headers) : 0;
    struct ms_s3_sign s = {.method = is_part ? "PUT" : "GET",
                           .path = path,
                           .query = query,
                           .query_n = is_part ? MS_ARRAY_LEN(query) : 0,
                           .headers = headers,
                           .headers_n = n + 1,
                           .payload = MS_S3_UNSIGNED,
                           .region = s3->place.region,
                           .service = "s3",
                           .now = ms_s3_now(s3),
                           .keys = &s3->keys};
    enum ms_code code = MS_OK;

    ms_s3_host_and_path(s3, what->key, host, path);
    (void)snprintf(part_no, sizeof part_no, "%" PRIu32, what->part_no);
    for (size_t i = 0; i < n && code == MS_OK; i++)
        code = ms_buf_addf(ret_headers, reterr, "%s: %s\n", headers[i].name, headers[i].value);
    headers[n] = (struct ms_s3_param){"host", host};
    if (code == MS_OK)
        code = presigned_url(s3, &s, host, (unsigned)what->expires_s, ret_url, reterr);
    return code;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void s3_close(struct ms_obj *obj) {
    struct ms_s3 *s3 = ms_s3_of(obj);

    ms_s3_http_free(s3->http);
    ms_s3_breaker_fini(&s3->breaker);
    ms_s3_keys_fini(&s3->keys);
    free(s3);
}

static const struct ms_obj_ops *s3_ops(void) {
    static const struct ms_obj_ops ops = {.name = "s3",
                                          .submit = ms_s3_submit,
                                          .cancel = ms_s3_cancel,
                                          .close = s3_close,
                                          .presign = s3_presign};

    return &ops;
}

static struct ms_obj_caps caps_of(const struct ms_s3_place *place) {
    return (struct ms_obj_caps){.multipart = place->multipart,
                                .part_copy = place->multipart,
                                .copy = true,
                                .batch_delete = true,
                                .presign_get = true,
                                .presign_put = place->multipart,
                                .put_bytes_max = PUT_BYTES_MAX,
                                .part_bytes_min = PART_BYTES_MIN};
}

ms_s3_ask_fn *ms_s3_first_step(enum ms_obj_op op) {
    static ms_s3_ask_fn *const steps[MS_OBJ_OP_COUNT] = {
        [MS_OBJ_PUT] = ask_put,
        [MS_OBJ_GET] = ask_get,
        [MS_OBJ_HEAD] = ask_head,
        [MS_OBJ_DELETE] = ask_delete,
        [MS_OBJ_LIST] = ms_s3_list,
        [MS_OBJ_MP_CREATE] = ms_s3_mp_create,
        [MS_OBJ_MP_PUT] = ms_s3_mp_put,
        [MS_OBJ_MP_COMPLETE] = ms_s3_mp_complete,
        [MS_OBJ_MP_ABORT] = ms_s3_mp_abort,
        [MS_OBJ_MP_LIST] = ms_s3_mp_list,
        [MS_OBJ_MP_PARTS] = ms_s3_mp_parts,
        [MS_OBJ_COPY] = ask_copy,
        [MS_OBJ_MP_COPY] = ms_s3_mp_copy,
        [MS_OBJ_DELETE_MANY] = ask_delete_many,
    };

    MS_ASSERT(op < MS_OBJ_OP_COUNT);
    MS_ASSERT(steps[op]);
    return steps[op];
}

enum ms_code ms_drv_s3_open(const struct ms_obj_options *options, const char *address,
                            struct ms_obj **ret_obj, struct ms_error *reterr) {
    struct ms_s3_limits limits = ms_s3_limits_default();
    struct ms_s3 *s3 = calloc(1, sizeof *s3);
    enum ms_code code;

    if (!s3)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an object store");
    xmlInitParser(); /* before there are threads that parse; may be repeated */
    s3->obj = (struct ms_obj){.ops = s3_ops(), .engine = options->engine};
    ms_s3_breaker_init(&s3->breaker);
    code = ms_s3_place_parse("s3", address, &s3->place, reterr);
    if (code == MS_OK)
        code = ms_s3_keys_load(&s3->place, &s3->keys, reterr);
    if (code == MS_OK) {
        s3->obj.caps = caps_of(&s3->place);
        if (s3->place.connections_max > 0)
            limits.connections_max = s3->place.connections_max;
        code = ms_s3_http_new(&limits, s3->place.ca_file, &s3->http, reterr);
    }
    if (code != MS_OK) {
        s3_close(&s3->obj);
        return code;
    }
    *ret_obj = &s3->obj;
    return MS_OK;
}
