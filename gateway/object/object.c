#define XXH_STATIC_LINKING_ONLY /* the state may stand on the stack */
#include "object/driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define COMPONENT_MAX 255
#define LIST_MAX 1000
#define META_KEY_MAX 32
#define META_VALUE_MAX 1024

const char *ms_obj_op_name(enum ms_obj_op op) {
    static const char *const names[] = {
#define NAME(n) #n,
        MS_OBJ_OPS(NAME)
#undef NAME
    };

    MS_ASSERT(op < MS_OBJ_OP_COUNT);
    return names[op];
}

void ms_obj_close(struct ms_obj *obj) {
    if (obj)
        obj->ops->close(obj);
}

static void open_latch(struct ms_obj_request *request) { ms_latch_open(request->priv); }

enum ms_code ms_obj_run(struct ms_obj *obj, struct ms_obj_request *request,
                        struct ms_error *reterr) {
    struct ms_latch latch;

    ms_latch_init(&latch);
    request->done = open_latch;
    request->priv = &latch;
    ms_obj_submit(obj, request);
    ms_latch_wait(&latch);
    request->done = NULL;
    request->priv = NULL;
    if (request->code != MS_OK && reterr)
        *reterr = request->error;
    return request->code;
}

/* ---- results --------------------------------------------------------------------------------- */

void ms_obj_clear_results(struct ms_obj_request *request) {
    request->code = MS_OK;
    request->error = (struct ms_error){0};
    request->ret_retry_after_ms = 0;
    ms_obj_drop_results(request);
}

void ms_obj_drop_results(struct ms_obj_request *request) {
    free(request->ret_entries);
    free(request->ret_parts);
    request->ret_entries = NULL;
    request->ret_parts = NULL;
    request->ret_etag[0] = '\0';
    request->ret_upload_id[0] = '\0';
    request->ret_size = 0;
    request->ret_n = 0;
    request->ret_more = false;
    ms_buf_clear(&request->ret_meta);
}

void ms_obj_finish(struct ms_obj_request *request, enum ms_code code) {
    MS_ASSERT(request->done);
    request->code = code;
    if (code == MS_OK)
        request->error = (struct ms_error){0};
    else
        MS_ASSERT(request->error.code == code);
    request->done(request);
}

int64_t ms_obj_timeout_ms(const struct ms_obj_request *request) {
    uint64_t moved = request->body.length;

    if (request->timeout_ms > 0)
        return request->timeout_ms;
    if (request->op == MS_OBJ_GET || request->op == MS_OBJ_MP_COPY)
        moved = request->length;
    else if (request->op == MS_OBJ_COPY || request->op == MS_OBJ_MP_COMPLETE)
        moved = 14 * 60 * MS_MB; /* the store itself moves or checks an unknown number of bytes */
    return MS_MINUTE_MS + (int64_t)(moved / MS_MB) * MS_SECOND_MS;
}

/* ---- what can be refused at once ------------------------------------------------------------- */

static enum ms_code check_component(const char *p, size_t n, const char *key,
                                    struct ms_error *reterr) {
    if (n == 0)
        return ms_fail(reterr, MS_INVALID, "object key '%s' has an empty component", key);
    if (n > COMPONENT_MAX)
        return ms_fail(reterr, MS_INVALID,
                       "object key has a component of %zu bytes; the most is %d", n, COMPONENT_MAX);
    if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
        return ms_fail(reterr, MS_INVALID, "object key '%s' has a component '.' or '..'", key);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
            return ms_fail(reterr, MS_INVALID, "object key has the control character 0x%02x",
                           (unsigned char)p[i]);
    return MS_OK;
}

static bool begins(const char *s, const char *with) { return strncmp(s, with, strlen(with)) == 0; }

static bool is_utf8(const unsigned char *p) {
    unsigned more, min;
    uint32_t c;

    while (*p) {
        c = *p++;
        more = c < 0x80                ? 0
               : c >= 0xc2 && c < 0xe0 ? 1
               : c >= 0xe0 && c < 0xf0 ? 2
               : c >= 0xf0 && c < 0xf5 ? 3
                                       : 4;
        if (more == 4)
            return false;
        min = more == 2 ? 0x800 : more == 3 ? 0x10000 : 0;
        c &= more ? 0x3fu >> more : 0x7f;
        for (; more; more--, p++) {
            if ((*p & 0xc0) != 0x80)
                return false;
            c = c << 6 | (*p & 0x3f);
        }
        if (c < min || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            return false;
    }
    return true;
}

enum ms_code ms_obj_key_check(const char *key, struct ms_error *reterr) {
    const char *p = key, *end;
    enum ms_code code;
    size_t n;

    if (!key || !*key)
        return ms_fail(reterr, MS_INVALID, "object key is empty");
    n = strlen(key);
    if (n > MS_OBJECT_KEY_MAX)
        return ms_fail(reterr, MS_INVALID, "object key has %zu bytes; the most is %d", n,
                       MS_OBJECT_KEY_MAX);
    if (!is_utf8((const unsigned char *)key))
        return ms_fail(reterr, MS_INVALID, "object key is not valid UTF-8");
    if (begins(key, ".uploads") || begins(key, ".sidecar"))
        return ms_fail(reterr, MS_INVALID, "object key '%s' begins with a name kept for the driver",
                       key);
    for (;; p = end + 1) {
        end = strchrnul(p, '/');
        code = check_component(p, (size_t)(end - p), key, reterr);
        if (code != MS_OK || !*end)
            return code;
    }
}

static bool is_declared(const struct ms_obj *obj, enum ms_obj_op op) {
    switch (op) {
    case MS_OBJ_PUT:
    case MS_OBJ_GET:
    case MS_OBJ_HEAD:
    case MS_OBJ_DELETE:
    case MS_OBJ_LIST:
        return true;
    case MS_OBJ_MP_CREATE:
    case MS_OBJ_MP_PUT:
    case MS_OBJ_MP_COMPLETE:
    case MS_OBJ_MP_ABORT:
    case MS_OBJ_MP_LIST:
    case MS_OBJ_MP_PARTS:
        return obj->caps.multipart;
    case MS_OBJ_COPY:
        return obj->caps.copy;
    case MS_OBJ_MP_COPY:
        return obj->caps.part_copy;
    case MS_OBJ_DELETE_MANY:
        return obj->caps.batch_delete;
    case MS_OBJ_OP_COUNT:
        break;
    }
    return false;
}

static bool is_printable(const char *s, size_t max) {
    size_t n = strnlen(s, max + 1);

    if (n > max)
        return false;
    for (size_t i = 0; i < n; i++)
        if (s[i] < 0x20 || s[i] > 0x7e)
            return false;
    return true;
}

static bool is_meta_key(const char *s) {
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return n >= 1 && n <= META_KEY_MAX && s[n] == '\0' && strcmp(s, "content-type") != 0;
}

static enum ms_code check_meta_bytes(const struct ms_obj *obj, const struct ms_obj_meta *meta,
                                     struct ms_error *reterr) {
    size_t n = 0;

    for (size_t i = 0; i < meta->pairs; i++)
        n += strlen(meta->pair[i].key) + strlen(meta->pair[i].value);
    if (obj->caps.meta_bytes_max == 0 || n <= obj->caps.meta_bytes_max)
        return MS_OK;
    return ms_fail(reterr, MS_TOO_LARGE, "%zu bytes of metadata; this store takes at most %zu", n,
                   obj->caps.meta_bytes_max);
}

static enum ms_code check_meta(const struct ms_obj *obj, const struct ms_obj_meta *meta,
                               struct ms_error *reterr) {
    if (!meta)
        return MS_OK;
    if (meta->pairs > MS_OBJ_META_MAX)
        return ms_fail(reterr, MS_INVALID, "%zu metadata pairs; the most is %d", meta->pairs,
                       MS_OBJ_META_MAX);
    if (meta->content_type && !is_printable(meta->content_type, META_VALUE_MAX))
        return ms_fail(reterr, MS_INVALID,
                       "the content type is not printable ASCII of at most "
                       "%d bytes",
                       META_VALUE_MAX);
    for (size_t i = 0; i < meta->pairs; i++) {
        if (!is_meta_key(meta->pair[i].key))
            return ms_fail(reterr, MS_INVALID, "metadata key %zu is not [a-z0-9-]{1,%d}", i,
                           META_KEY_MAX);
        if (!is_printable(meta->pair[i].value, META_VALUE_MAX))
            return ms_fail(reterr, MS_INVALID,
                           "the value of metadata key %s is not printable "
                           "ASCII of at most %d bytes",
                           meta->pair[i].key, META_VALUE_MAX);
    }
    return check_meta_bytes(obj, meta, reterr);
}

static enum ms_code check_range(uint64_t offset, uint64_t length, struct ms_error *reterr) {
    if (offset > INT64_MAX || length > INT64_MAX - offset)
        return ms_fail(reterr, MS_INVALID,
                       "offset %" PRIu64 " and length %" PRIu64 " pass the end of numbers", offset,
                       length);
    return MS_OK;
}

static enum ms_code check_list(const struct ms_obj_request *r, struct ms_error *reterr) {
    if (r->list_max < 1 || r->list_max > LIST_MAX)
        return ms_fail(reterr, MS_INVALID, "list_max is %zu; 1 to %d are allowed", r->list_max,
                       LIST_MAX);
    if ((r->key && strlen(r->key) > MS_OBJECT_KEY_MAX) ||
        (r->after && strlen(r->after) > MS_OBJECT_KEY_MAX))
        return ms_fail(reterr, MS_INVALID, "prefix or after has more than %d bytes",
                       MS_OBJECT_KEY_MAX);
    return MS_OK;
}

static enum ms_code check_upload(const struct ms_obj_request *r, struct ms_error *reterr) {
    if (!r->upload_id || !*r->upload_id || strlen(r->upload_id) > MS_UPLOAD_ID_MAX)
        return ms_fail(reterr, MS_INVALID, "the upload id has not 1 to %d bytes", MS_UPLOAD_ID_MAX);
    return MS_OK;
}

static enum ms_code check_body(const struct ms_obj *obj, const struct ms_obj_request *r,
                               struct ms_error *reterr) {
    if (r->body.memory.p && r->body.memory.n != r->body.length)
        return ms_fail(reterr, MS_INVALID, "the body has %zu bytes and a length of %" PRIu64,
                       r->body.memory.n, r->body.length);
    if (r->body.length > obj->caps.put_bytes_max)
        return ms_fail(reterr, MS_TOO_LARGE,
                       "%s of %" PRIu64 " bytes; this store takes at most "
                       "%" PRIu64 " at once",
                       ms_obj_op_name(r->op), r->body.length, obj->caps.put_bytes_max);
    return check_range(r->body.fd_offset, r->body.length, reterr);
}

static enum ms_code check_part(const struct ms_obj_request *r, uint64_t length,
                               struct ms_error *reterr) {
    enum ms_code code = check_upload(r, reterr);

    if (code != MS_OK)
        return code;
    if (r->part_no < 1 || r->part_no > MS_PARTS_MAX)
        return ms_fail(reterr, MS_INVALID, "part number %" PRIu32 "; 1 to %d are allowed",
                       r->part_no, MS_PARTS_MAX);
    return check_range(r->part_offset, length, reterr);
}

static enum ms_code check_parts(const struct ms_obj_request *r, struct ms_error *reterr) {
    uint64_t total = 0;

    if (r->parts_n < 1 || r->parts_n > MS_PARTS_MAX)
        return ms_fail(reterr, MS_INVALID, "%zu parts; 1 to %d are allowed", r->parts_n,
                       MS_PARTS_MAX);
    for (size_t i = 0; i < r->parts_n; i++) {
        if (r->parts[i].part_no < 1 || r->parts[i].part_no > MS_PARTS_MAX ||
            (i > 0 && r->parts[i].part_no <= r->parts[i - 1].part_no))
            return ms_fail(reterr, MS_INVALID,
                           "part %zu of %zu has number %" PRIu32 ": numbers "
                           "must ascend from 1 to %d",
                           i + 1, r->parts_n, r->parts[i].part_no, MS_PARTS_MAX);
        if (check_range(total, r->parts[i].size, reterr) != MS_OK)
            return MS_INVALID;
        total += r->parts[i].size;
    }
    return check_upload(r, reterr);
}

static enum ms_code check_keys(const struct ms_obj_request *r, struct ms_error *reterr) {
    if (r->keys_n < 1 || r->keys_n > LIST_MAX)
        return ms_fail(reterr, MS_INVALID, "%zu keys; 1 to %d are allowed", r->keys_n, LIST_MAX);
    for (size_t i = 0; i < r->keys_n; i++)
        if (ms_obj_key_check(r->keys[i], reterr) != MS_OK)
            return MS_INVALID;
    return MS_OK;
}

/* What stands beside the key. */
static enum ms_code check_rest(const struct ms_obj *obj, const struct ms_obj_request *r,
                               struct ms_error *reterr) {
    enum ms_code code = MS_OK;

    switch (r->op) {
    case MS_OBJ_PUT:
        code = check_body(obj, r, reterr);
        return code != MS_OK ? code : check_meta(obj, r->meta, reterr);
    case MS_OBJ_GET:
        MS_ASSERT(r->into || r->length == 0);
        return check_range(r->offset, r->length, reterr);
    case MS_OBJ_MP_CREATE:
        return check_meta(obj, r->meta, reterr);
    case MS_OBJ_MP_PUT:
        code = check_body(obj, r, reterr);
        return code != MS_OK ? code : check_part(r, r->body.length, reterr);
    case MS_OBJ_MP_COMPLETE:
        return check_parts(r, reterr);
    case MS_OBJ_MP_ABORT:
    case MS_OBJ_MP_PARTS:
        return check_upload(r, reterr);
    case MS_OBJ_COPY:
        return ms_obj_key_check(r->source_key, reterr);
    case MS_OBJ_MP_COPY:
        code = ms_obj_key_check(r->source_key, reterr);
        if (code == MS_OK)
            code = check_range(r->offset, r->length, reterr);
        return code != MS_OK ? code : check_part(r, r->length, reterr);
    case MS_OBJ_HEAD:
    case MS_OBJ_DELETE:
    case MS_OBJ_LIST:
    case MS_OBJ_MP_LIST:
    case MS_OBJ_DELETE_MANY:
    case MS_OBJ_OP_COUNT:
        break;
    }
    return MS_OK;
}

enum ms_code ms_obj_check(const struct ms_obj *obj, const struct ms_obj_request *request,
                          struct ms_error *reterr) {
    const struct ms_obj *driver = obj;
    enum ms_code code;

    while (driver->inner)
        driver = driver->inner;
    if (!is_declared(obj, request->op))
        return ms_fail(reterr, MS_UNSUPPORTED, "the object store '%s' has no %s", driver->ops->name,
                       request->op < MS_OBJ_OP_COUNT ? ms_obj_op_name(request->op)
                                                     : "such operation");
    if (request->op == MS_OBJ_LIST || request->op == MS_OBJ_MP_LIST)
        return check_list(request, reterr);
    if (request->op == MS_OBJ_DELETE_MANY)
        return check_keys(request, reterr);
    code = ms_obj_key_check(request->key, reterr);
    return code != MS_OK ? code : check_rest(obj, request, reterr);
}

/* ---- presigned URLs -------------------------------------------------------------------------- */

/* 16 bytes in base64. */
static bool is_md5(const char *s) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    return strlen(s) == 24 && strspn(s, digits) == 22 && strcmp(s + 22, "==") == 0;
}

static enum ms_code check_presigned_part(const struct ms_obj *obj, const struct ms_obj_presign *p,
                                         struct ms_error *reterr) {
    const struct ms_obj_request r = {.op = MS_OBJ_MP_PUT,
                                     .key = p->key,
                                     .upload_id = p->upload_id,
                                     .part_no = p->part_no,
                                     .body = {.length = p->content_length}};

    if (p->content_md5 && !is_md5(p->content_md5))
        return ms_fail(reterr, MS_INVALID, "content-md5 '%.40s' is not 16 bytes in base64",
                       p->content_md5);
    if (p->content_type && (!*p->content_type || !is_printable(p->content_type, META_VALUE_MAX)))
        return ms_fail(reterr, MS_INVALID, "the content type is not printable ASCII of 1 to %d bytes",
                       META_VALUE_MAX);
    return check_rest(obj, &r, reterr);
}

enum ms_code ms_obj_presign(struct ms_obj *obj, const struct ms_obj_presign *what,
                            struct ms_buf *ret_url, struct ms_buf *ret_headers,
                            struct ms_error *reterr) {
    bool is_get = what->op == MS_OBJ_GET;
    enum ms_code code;

    while (obj->inner)
        obj = obj->inner;
    if (is_get ? !obj->caps.presign_get : what->op != MS_OBJ_MP_PUT || !obj->caps.presign_put)
        return ms_fail(reterr, MS_UNSUPPORTED, "the object store '%s' has no presigned %s",
                       obj->ops->name,
                       what->op < MS_OBJ_OP_COUNT ? ms_obj_op_name(what->op) : "such operation");
    if (what->expires_s < 1 || what->expires_s > MS_OBJ_PRESIGN_S_MAX)
        return ms_fail(reterr, MS_INVALID, "a presigned URL for %" PRId64 " s; 1 to %d are allowed",
                       what->expires_s, MS_OBJ_PRESIGN_S_MAX);
    code = ms_obj_key_check(what->key, reterr);
    if (code == MS_OK && !is_get)
        code = check_presigned_part(obj, what, reterr);
    if (code != MS_OK)
        return code;
    MS_ASSERT(obj->ops->presign);
    ms_buf_clear(ret_url);
    ms_buf_clear(ret_headers);
    return obj->ops->presign(obj, what, ret_url, ret_headers, reterr);
}

/* ---- metadata and ETags ---------------------------------------------------------------------- */

enum ms_code ms_obj_meta_text(const struct ms_obj_meta *meta, struct ms_buf *buf,
                              struct ms_error *reterr) {
    const char *type = meta && meta->content_type ? meta->content_type : "application/octet-stream";
    enum ms_code code = ms_buf_addf(buf, reterr, "content-type=%s\n", type);

    for (size_t i = 0; meta && i < meta->pairs && code == MS_OK; i++)
        code = ms_buf_addf(buf, reterr, "%s=%s\n", meta->pair[i].key, meta->pair[i].value);
    return code;
}

void ms_obj_etag_of_parts(const struct ms_obj_part *parts, size_t n,
                          char ret_etag[MS_ETAG_MAX + 1]) {
    XXH3_state_t state;
    XXH128_hash_t hash;

    XXH3_128bits_reset(&state);
    for (size_t i = 0; i < n; i++)
        XXH3_128bits_update(&state, parts[i].etag, strlen(parts[i].etag) + 1);
    hash = XXH3_128bits_digest(&state);
    snprintf(ret_etag, MS_ETAG_MAX + 1, "%016" PRIx64 "%016" PRIx64 "-%zu", hash.high64, hash.low64,
             n);
}
