/* wrap_verify.c — what a store says is checked before anybody believes it.
 *
 * Lengths, ETags that must be there, order and range of lists. A finished upload is looked at once more: some
 * stores answer MP_COMPLETE before they know, or without an ETag (RGW), so HEAD decides. The bytes themselves are
 * judged by their block hashes, above the store.
 */
#include "base/assert.h"
#include "object/wrap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct verify_call {
    struct ms_wrap_call call;
    bool completed; /* inner is the HEAD behind an MP_COMPLETE */
};

static bool is_etag(const char *s) {
    size_t n = strnlen(s, MS_ETAG_MAX + 1);

    if (n == 0 || n > MS_ETAG_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (s[i] <= 0x20 || s[i] > 0x7e)
            return false;
    return true;
}

/* MS_IO: the transport may have cut it, and the next try may be whole. */
static enum ms_code check_get(const struct ms_obj_request *r, struct ms_error *reterr) {
    if (r->ret_n != r->length)
        return ms_fail(reterr, MS_IO, "the store gave %zu of %" PRIu64 " bytes of %s", r->ret_n,
                       r->length, r->key);
    if (r->ret_size < r->offset || r->ret_size - r->offset < r->length)
        return ms_fail(reterr, MS_PROTOCOL,
                       "the store gave bytes %" PRIu64 "+%" PRIu64 " of %s and "
                       "says that it has %" PRIu64,
                       r->offset, r->length, r->key, r->ret_size);
    return MS_OK;
}

static enum ms_code check_etag(const struct ms_obj_request *r, struct ms_error *reterr) {
    if (is_etag(r->ret_etag))
        return MS_OK;
    return ms_fail(reterr, MS_PROTOCOL, "the store gave no usable ETag for %s of %s",
                   ms_obj_op_name(r->op), r->key);
}

static enum ms_code check_head(const struct ms_obj_request *r, struct ms_error *reterr) {
    if (!r->ret_meta.data || strncmp((const char *)r->ret_meta.data, "content-type=", 13) != 0)
        return ms_fail(reterr, MS_PROTOCOL, "the store gave no content type for %s", r->key);
    return check_etag(r, reterr);
}

static enum ms_code check_upload_id(const struct ms_obj_request *r, struct ms_error *reterr) {
    if (r->ret_upload_id[0])
        return MS_OK;
    return ms_fail(reterr, MS_PROTOCOL, "the store gave no upload id for %s", r->key);
}

static bool is_behind(const char *key, const char *id, const char *after, const char *after_id) {
    int order = strcmp(key, after);

    return order > 0 || (order == 0 && after_id && strcmp(id, after_id) > 0);
}

static enum ms_code check_list(const struct ms_obj_request *r, struct ms_error *reterr) {
    bool uploads = r->op == MS_OBJ_MP_LIST;
    const char *after = r->after, *after_id = uploads ? r->upload_id : NULL;
    const struct ms_obj_entry *e;

    if (r->ret_n > r->list_max || (r->ret_n == 0 && r->ret_more))
        return ms_fail(reterr, MS_PROTOCOL, "the store listed %zu of at most %zu%s", r->ret_n,
                       r->list_max, r->ret_more ? " and says that there are more" : "");
    for (size_t i = 0; i < r->ret_n; i++) {
        e = &r->ret_entries[i];
        if (r->key && strncmp(e->key, r->key, strlen(r->key)) != 0)
            return ms_fail(reterr, MS_PROTOCOL, "the store listed '%s' for the prefix '%s'", e->key,
                           r->key);
        if (after && !is_behind(e->key, e->upload_id, after, after_id))
            return ms_fail(reterr, MS_PROTOCOL, "the store listed '%s' behind '%s'", e->key, after);
        if (uploads && !e->upload_id[0])
            return ms_fail(reterr, MS_PROTOCOL, "the store listed an upload of '%s' without an id",
                           e->key);
        after = e->key;
        after_id = uploads ? e->upload_id : NULL;
    }
    return MS_OK;
}

static enum ms_code check_parts(const struct ms_obj_request *r, struct ms_error *reterr) {
    uint32_t before = 0;

    for (size_t i = 0; i < r->ret_n; i++) {
        if (r->ret_parts[i].part_no <= before || r->ret_parts[i].part_no > MS_PARTS_MAX ||
            !is_etag(r->ret_parts[i].etag))
            return ms_fail(reterr, MS_PROTOCOL,
                           "the store listed part %" PRIu32 " behind part "
                           "%" PRIu32 " with ETag '%s'",
                           r->ret_parts[i].part_no, before, r->ret_parts[i].etag);
        before = r->ret_parts[i].part_no;
    }
    return MS_OK;
}

static enum ms_code check(const struct ms_obj_request *r, struct ms_error *reterr) {
    switch (r->op) {
    case MS_OBJ_GET:
        return check_get(r, reterr);
    case MS_OBJ_HEAD:
        return check_head(r, reterr);
    case MS_OBJ_PUT:
    case MS_OBJ_MP_PUT:
    case MS_OBJ_COPY:
    case MS_OBJ_MP_COPY:
        return check_etag(r, reterr);
    case MS_OBJ_MP_CREATE:
        return check_upload_id(r, reterr);
    case MS_OBJ_LIST:
    case MS_OBJ_MP_LIST:
        return check_list(r, reterr);
    case MS_OBJ_MP_PARTS:
        return check_parts(r, reterr);
    case MS_OBJ_DELETE:
    case MS_OBJ_DELETE_MANY:
    case MS_OBJ_MP_COMPLETE:
    case MS_OBJ_MP_ABORT:
    case MS_OBJ_OP_COUNT:
        break;
    }
    return MS_OK;
}

static uint64_t size_of_parts(const struct ms_obj_request *r) {
    uint64_t total = 0;

    for (size_t i = 0; i < r->parts_n; i++)
        total += r->parts[i].size;
    return total;
}

/* The HEAD behind an MP_COMPLETE. That it is not there or has another size is nothing that a retry mends. */
static void judge_completed(struct ms_wrap_call *call) {
    struct ms_obj_request *r = &call->inner;
    uint64_t want = size_of_parts(call->outer);

    if (r->code == MS_NOT_FOUND)
        r->code = ms_fail(&r->error, MS_CORRUPT,
                          "the store completed the upload of %s and has no "
                          "such object",
                          r->key);
    else if (r->code == MS_OK && r->ret_size != want)
        r->code = ms_fail(&r->error, MS_CORRUPT,
                          "the store completed %s with %" PRIu64 " bytes; the "
                          "parts have %" PRIu64,
                          r->key, r->ret_size, want);
    else if (r->code == MS_OK)
        r->code = check_etag(r, &r->error);
    ms_buf_fini(&r->ret_meta);
    ms_wrap_end(call);
}

static void on_reply(struct ms_wrap_call *call) {
    struct verify_call *c = MS_CONTAINER_OF(call, struct verify_call, call);

    if (c->completed) {
        judge_completed(call);
    } else if (call->inner.code == MS_OK && call->inner.op == MS_OBJ_MP_COMPLETE) {
        c->completed = true;
        call->inner.op = MS_OBJ_HEAD;
        ms_wrap_down(call);
    } else {
        if (call->inner.code == MS_OK)
            call->inner.code = check(&call->inner, &call->inner.error);
        ms_wrap_end(call);
    }
}

static void verify_submit(struct ms_obj *obj, struct ms_obj_request *request) {
    struct ms_wrap *wrap = MS_CONTAINER_OF(obj, struct ms_wrap, obj);
    struct verify_call *c = ms_wrap_begin(wrap, request, sizeof *c, on_reply);

    if (c)
        ms_wrap_down(&c->call);
}

static void verify_close(struct ms_obj *obj) {
    struct ms_wrap *wrap = MS_CONTAINER_OF(obj, struct ms_wrap, obj);

    ms_wrap_fini(wrap);
    free(wrap);
}

static const struct ms_obj_ops *verify_ops(void) {
    static const struct ms_obj_ops ops = {"verify", verify_submit, ms_wrap_cancel, verify_close};

    return &ops;
}

enum ms_code ms_wrap_verify(const struct ms_obj_options *options, struct ms_obj *inner,
                            struct ms_obj **ret_obj, struct ms_error *reterr) {
    struct ms_wrap *wrap = calloc(1, sizeof *wrap);

    (void)options;
    if (!wrap) {
        ms_obj_close(inner);
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an object store");
    }
    ms_wrap_init(wrap, verify_ops(), inner);
    *ret_obj = &wrap->obj;
    return MS_OK;
}
