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

static enum ms_code s3_put(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    MS_AUTO(ms_s3_call_fini) struct ms_s3_call c = {0};
    MS_AUTO(ms_buf_fini) struct ms_buf meta = {0};
    enum ms_code code;

    ms_s3_call_init(&c, obj, r, "PUT", r->key);
    c.body = &r->body;
    code = ms_s3_meta_to_headers(&c, r->meta, &meta, reterr);
    if (code == MS_OK)
        code = ms_s3_call_run(&c, reterr);
    if (code == MS_OK)
        ms_s3_call_etag(&c, r->ret_etag);
    return code;
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

/* No range of HTTP is empty. */
static enum ms_code get_nothing(struct ms_obj *obj, struct ms_obj_request *r,
                                struct ms_error *reterr) {
    enum ms_code code = ms_s3_head(obj, r, reterr);

    ms_buf_fini(&r->ret_meta); /* no result of a GET */
    if (code == MS_OK && r->offset > r->ret_size)
        code = fail_range(r, r->ret_size, reterr);
    return code;
}

static enum ms_code s3_get(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    MS_AUTO(ms_s3_call_fini) struct ms_s3_call c = {0};
    char range[64];
    enum ms_code code;

    if (r->length == 0)
        return get_nothing(obj, r, reterr);
    ms_s3_call_init(&c, obj, r, "GET", r->key);
    c.into = r->into;
    c.into_n = r->length;
    (void)snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, r->offset,
                   r->offset + r->length - 1);
    ms_s3_call_header(&c, "range", range);
    code = ms_s3_call_run(&c, reterr);
    return code == MS_OK ? judge_get(&c, reterr) : code;
}

/* HEAD has no body, so a refusal comes without its reason: a list asks for it. */
static enum ms_code ask_why(struct ms_obj *obj, struct ms_obj_request *r, enum ms_code code,
                            struct ms_error *reterr) {
    MS_AUTO(ms_s3_call_fini) struct ms_s3_call c = {0};
    struct ms_error why = {0};
    enum ms_code found;

    ms_s3_call_init(&c, obj, r, "GET", NULL);
    ms_s3_call_query(&c, "list-type", "2");
    ms_s3_call_query(&c, "max-keys", "1");
    found = ms_s3_call_run(&c, &why);
    if (found != MS_OK && c.transfer.status != 0)
        return ms_fail(reterr, found, "%s", why.message);
    return code;
}

enum ms_code ms_s3_head(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    MS_AUTO(ms_s3_call_fini) struct ms_s3_call c = {0};
    char length[32] = "";
    const char *p = length;
    enum ms_code code;

    ms_s3_call_init(&c, obj, r, "HEAD", r->key);
    code = ms_s3_call_run(&c, reterr);
    if (code == MS_DENIED || code == MS_CONFIG || code == MS_INVALID)
        return ask_why(obj, r, code, reterr);
    if (code != MS_OK)
        return code;
    if (!ms_s3_header(&c.transfer, "content-length", length, sizeof length) ||
        !read_digits(&p, &r->ret_size) || *p)
        return ms_fail(reterr, MS_PROTOCOL, "the store says that %s has '%s' bytes", r->key,
                       length);
    ms_s3_call_etag(&c, r->ret_etag);
    return ms_s3_meta_of_headers(&c.transfer, &r->ret_meta, reterr);
}

static enum ms_code s3_delete(struct ms_obj *obj, struct ms_obj_request *r,
                              struct ms_error *reterr) {
    MS_AUTO(ms_s3_call_fini) struct ms_s3_call c = {0};
    enum ms_code code;

    ms_s3_call_init(&c, obj, r, "DELETE", r->key);
    code = ms_s3_call_run(&c, reterr);
    return code == MS_NOT_FOUND ? MS_OK : code;
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

static enum ms_code s3_delete_many(struct ms_obj *obj, struct ms_obj_request *r,
                                   struct ms_error *reterr) {
    MS_AUTO(ms_s3_call_fini) struct ms_s3_call c = {0};
    MS_AUTO(ms_buf_fini) struct ms_buf xml = MS_BUF_MAX(MS_S3_REPLY_MAX);
    struct ms_obj_body body;
    char md5[32];
    enum ms_code code;

    ms_s3_call_init(&c, obj, r, "POST", NULL);
    code = add_keys(c.s3, r, &xml, reterr);
    if (code != MS_OK)
        return code;
    body = (struct ms_obj_body){.memory = ms_buf_view(&xml), .length = xml.len};
    md5_text(body.memory, md5);
    c.body = &body;
    c.replies = true;
    ms_s3_call_query(&c, "delete", "");
    ms_s3_call_header(&c, "content-md5", md5);
    ms_s3_call_header(&c, "content-type", "application/xml");
    code = ms_s3_call_run(&c, reterr);
    for (size_t i = 0; i < c.reply.items_n && code == MS_OK; i++) {
        const struct ms_s3_item *item = &c.reply.items[i];

        if (item->code && ms_s3_code_of(200, item->code) != MS_NOT_FOUND)
            code = ms_fail(reterr, ms_s3_code_of(200, item->code),
                           "the object store did not delete %s: "
                           "%s: %.200s",
                           item->key ? item->key : "(a key)", item->code,
                           item->message ? item->message : "");
    }
    return code;
}

/* ---- COPY ------------------------------------------------------------------------------------ */

static enum ms_code s3_copy(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    MS_AUTO(ms_s3_call_fini) struct ms_s3_call c = {0};
    MS_AUTO(ms_buf_fini) struct ms_buf source = {0};
    enum ms_code code;

    ms_s3_call_init(&c, obj, r, "PUT", r->key);
    c.replies = true;
    c.first_byte_ms = COPY_FIRST_BYTE_MS;
    code = ms_s3_copy_source(c.s3, r->source_key, &source, reterr);
    if (code != MS_OK)
        return code;
    ms_s3_call_header(&c, "x-amz-copy-source", (const char *)source.data);
    code = ms_s3_call_run(&c, reterr);
    if (code != MS_OK)
        return code;
    (void)snprintf(r->ret_etag, sizeof r->ret_etag, "%s", c.reply.etag ? c.reply.etag : "");
    ms_s3_unquote(r->ret_etag);
    return MS_OK;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void s3_cancel(struct ms_obj *obj, struct ms_obj_request *request) {
    ms_job_cancel(obj, request);
    ms_s3_http_poke(ms_s3_of(obj)->http);
}

static void s3_close(struct ms_obj *obj) {
    struct ms_s3 *s3 = ms_s3_of(obj);

    ms_s3_http_free(s3->http);
    ms_s3_keys_fini(&s3->keys);
    free(s3);
}

static const struct ms_obj_ops *s3_ops(void) {
    static const struct ms_obj_ops ops = {
        .name = "s3", .submit = ms_job_submit, .cancel = s3_cancel, .close = s3_close};

    return &ops;
}

static const struct ms_job_obj *s3_job(void) {
    static const struct ms_job_obj job = {
        .obj = {.caps = {.multipart = true,
                         .part_copy = true,
                         .copy = true,
                         .batch_delete = true,
                         .put_bytes_max = PUT_BYTES_MAX,
                         .part_bytes_min = PART_BYTES_MIN}},
        .run = {[MS_OBJ_PUT] = s3_put,
                [MS_OBJ_GET] = s3_get,
                [MS_OBJ_HEAD] = ms_s3_head,
                [MS_OBJ_DELETE] = s3_delete,
                [MS_OBJ_LIST] = ms_s3_list,
                [MS_OBJ_MP_CREATE] = ms_s3_mp_create,
                [MS_OBJ_MP_PUT] = ms_s3_mp_put,
                [MS_OBJ_MP_COMPLETE] = ms_s3_mp_complete,
                [MS_OBJ_MP_ABORT] = ms_s3_mp_abort,
                [MS_OBJ_MP_LIST] = ms_s3_mp_list,
                [MS_OBJ_MP_PARTS] = ms_s3_mp_parts,
                [MS_OBJ_COPY] = s3_copy,
                [MS_OBJ_MP_COPY] = ms_s3_mp_copy,
                [MS_OBJ_DELETE_MANY] = s3_delete_many},
    };

    return &job;
}

enum ms_code ms_drv_s3_open(const struct ms_obj_options *options, const char *address,
                            struct ms_obj **ret_obj, struct ms_error *reterr) {
    const struct ms_s3_limits limits = ms_s3_limits_default();
    struct ms_s3 *s3 = calloc(1, sizeof *s3);
    enum ms_code code;

    if (!s3)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an object store");
    xmlInitParser(); /* before there are threads that parse; may be repeated */
    s3->job = *s3_job();
    s3->job.obj.ops = s3_ops();
    s3->job.obj.engine = options->engine;
    code = ms_s3_place_parse("s3", address, &s3->place, reterr);
    if (code == MS_OK)
        code = ms_s3_keys_load(&s3->place, &s3->keys, reterr);
    if (code == MS_OK)
        code = ms_s3_http_new(&limits, s3->place.ca_file, &s3->http, reterr);
    if (code != MS_OK) {
        s3_close(&s3->job.obj);
        return code;
    }
    *ret_obj = &s3->job.obj;
    return MS_OK;
}
