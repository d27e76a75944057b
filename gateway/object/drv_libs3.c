/* drv_libs3.c — stores that want Signature V2, through the library libs3.
 *
 * Debian's libs3 2.0 signs V2 only and has no multipart, no part copy and no DeleteObjects: those are not declared,
 * so uploads begin at close or fsync. Its calls run on the engine's pool, each with a context of its own that is
 * driven here, so that deadlines and cancels are kept. The URL is that of the driver s3 (s3_place.h) with the scheme
 * libs3; V2 knows no region and no payload hash, and the library takes no file of certificates.
 *
 * The library does not tell the size of the whole object with a range, so GET looks first and then reads on the
 * condition that the ETag is still that one. All metadata of an object has 1 KiB, declared as meta_bytes_max.
 */
#include "base/assert.h"
#include "object/drv_s3.h"

#include <inttypes.h>
#include <libs3.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>

#define PUT_BYTES_MAX (5 * MS_GB)
#define META_BYTES_MAX 1024
#define META_PREFIX "x-amz-meta-"
#define GET_TRIES 5
#define POLL_MAX_MS 50

struct libs3 {
    struct ms_job_obj job;
    struct ms_s3_place place;
    struct ms_s3_keys keys;
    S3BucketContext bucket;
    bool initialized;
};

/* What the library's callbacks leave of one call. */
struct reply {
    struct ms_obj_request *request;
    struct ms_error *reterr;
    enum ms_code code; /* of ours, inside a callback */
    bool done;
    S3Status status;
    char message[200];
    char etag[MS_ETAG_MAX + 3]; /* with its quotes */
    uint64_t size, got;
    struct ms_buf headers; /* content type and metadata, as lines of HTTP */
    struct ms_body_reader body;
    struct ms_view chunk;
    const struct libs3 *libs3; /* LIST */
    bool truncated;
    char last[MS_S3_KEY_MAX];
};

static struct libs3 *libs3_of(struct ms_obj *obj) {
    return MS_CONTAINER_OF(MS_CONTAINER_OF(obj, struct ms_job_obj, obj), struct libs3, job);
}

static void full_key(const struct libs3 *l, const char *key, char *ret_key, size_t size) {
    (void)snprintf(ret_key, size, "%s%s", l->place.prefix, key ? key : "");
}

static void reply_fini(struct reply *p) {
    ms_buf_fini(&p->headers);
    ms_body_fini(&p->body);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static enum ms_code code_of(S3Status status) {
    const char *name = S3_get_status_name(status);

    if (status == S3StatusHttpErrorNotFound)
        return MS_NOT_FOUND;
    if (status == S3StatusHttpErrorForbidden || status == S3StatusServerFailedVerification)
        return MS_DENIED;
    if (status == S3StatusHttpErrorBadRequest)
        return MS_INVALID;
    if (status == S3StatusMetaDataHeadersTooLong || status == S3StatusHeadersTooLong)
        return MS_TOO_LARGE;
    if (status == S3StatusOutOfMemory)
        return MS_NO_MEMORY;
    if (status == S3StatusXmlParseFailure || status == S3StatusXmlDocumentTooLarge)
        return MS_PROTOCOL;
    if (status == S3StatusErrorUnknown || status == S3StatusHttpErrorUnknown ||
        status == S3StatusHttpErrorConflict || S3_status_is_retryable(status))
        return MS_UNAVAILABLE;
    if (strncmp(name, "Error", 5) == 0)
        return ms_s3_code_of(0, name + 5);
    return MS_IO;
}

static enum ms_code judge(const struct reply *p, struct ms_error *reterr) {
    const struct ms_obj_request *r = p->request;

    if (p->code != MS_OK)
        return p->code;
    if (p->status == S3StatusOK)
        return MS_OK;
    return ms_fail(reterr, code_of(p->status), "the object store refused %s of %s: %s%s%s",
                   ms_obj_op_name(r->op), r->key ? r->key : "(all)", S3_get_status_name(p->status),
                   p->message[0] ? ": " : "", p->message);
}

/* ---- the library's callbacks ----------------------------------------------------------------- */

static void add_header(struct reply *p, const char *name, const char *value) {
    if (p->code == MS_OK && value)
        p->code = ms_buf_addf(&p->headers, p->reterr, "%s: %s\n", name, value);
}

static S3Status on_properties(const S3ResponseProperties *properties, void *priv) {
    struct reply *p = priv;
    char name[128];

    (void)snprintf(p->etag, sizeof p->etag, "%s", properties->eTag ? properties->eTag : "");
    p->size = properties->contentLength;
    add_header(p, "content-type", properties->contentType);
    for (int i = 0; i < properties->metaDataCount; i++) {
        (void)snprintf(name, sizeof name, META_PREFIX "%s", properties->metaData[i].name);
        add_header(p, name, properties->metaData[i].value);
    }
    return p->code == MS_OK ? S3StatusOK : S3StatusAbortedByCallback;
}

static void on_complete(S3Status status, const S3ErrorDetails *details, void *priv) {
    struct reply *p = priv;

    p->status = status;
    p->done = true;
    if (details && details->message)
        (void)snprintf(p->message, sizeof p->message, "%s", details->message);
}

static int on_put(int size, char *buffer, void *priv) {
    struct reply *p = priv;
    size_t n;

    if (p->chunk.n == 0)
        p->code = ms_body_next(&p->body, &p->chunk, p->reterr);
    if (p->code != MS_OK)
        return -1;
    n = (size_t)size < p->chunk.n ? (size_t)size : p->chunk.n;
    memcpy(buffer, p->chunk.p, n);
    p->chunk = ms_view_of((const char *)p->chunk.p + n, p->chunk.n - n);
    return (int)n;
}

static S3Status on_get(int size, const char *buffer, void *priv) {
    struct reply *p = priv;
    size_t n = (size_t)size;

    if (n > p->request->length - p->got) {
        p->code = ms_fail(p->reterr, MS_PROTOCOL,
                          "the store sends more than the %" PRIu64 " bytes that "
                          "were asked for",
                          p->request->length);
        return S3StatusAbortedByCallback;
    }
    memcpy((char *)p->request->into + p->got, buffer, n);
    p->got += n;
    return S3StatusOK;
}

static void take_object(struct reply *p, const S3ListBucketContent *c) {
    struct ms_obj_request *r = p->request;
    const char *prefix = p->libs3->place.prefix, *key;
    struct ms_obj_entry *e;

    (void)snprintf(p->last, sizeof p->last, "%s", c->key);
    if (strncmp(c->key, prefix, strlen(prefix)) != 0)
        return;
    key = c->key + strlen(prefix);
    if (!*key || strlen(key) > MS_OBJECT_KEY_MAX ||
        (r->key && strncmp(key, r->key, strlen(r->key)) != 0) ||
        (r->after && strcmp(key, r->after) <= 0))
        return;
    if (r->ret_n == r->list_max) {
        r->ret_more = true;
        return;
    }
    e = &r->ret_entries[r->ret_n++];
    (void)snprintf(e->key, sizeof e->key, "%s", key);
    e->size = c->size;
    e->modified = ms_instant_of(c->lastModified * 1000);
    (void)snprintf(e->etag, sizeof e->etag, "%.*s", MS_ETAG_MAX, c->eTag ? c->eTag : "");
    ms_s3_unquote(e->etag);
}

static S3Status on_list(int truncated, const char *next, int n, const S3ListBucketContent *contents,
                        int prefixes_n, const char **prefixes, void *priv) {
    struct reply *p = priv;

    (void)next, (void)prefixes_n, (void)prefixes;
    p->truncated = truncated != 0;
    for (int i = 0; i < n; i++)
        take_object(p, &contents[i]);
    return S3StatusOK;
}

static S3ResponseHandler response_handler(void) {
    return (S3ResponseHandler){.propertiesCallback = on_properties,
                               .completeCallback = on_complete};
}

/* ---- driving one call ------------------------------------------------------------------------ */

/* The library counts its users, and dates its requests with gmtime(), as if there were one thread. What is begun
 * under this lock does not wait for the store. */
static pthread_mutex_t *library_mutex(void) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

    return &mutex;
}
static void lock_library(void) { pthread_mutex_lock(library_mutex()); }
static void unlock_library(void) { pthread_mutex_unlock(library_mutex()); }

static void wait_for_sockets(S3RequestContext *context) {
    int64_t timeout_ms = S3_get_request_context_timeout(context);
    struct timeval tv = {0};
    fd_set reads, writes, excepts;
    int max = -1;

    if (timeout_ms < 0 || timeout_ms > POLL_MAX_MS)
        timeout_ms = POLL_MAX_MS;
    tv.tv_usec = (suseconds_t)(timeout_ms * 1000);
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    FD_ZERO(&excepts);
    if (S3_get_request_context_fdsets(context, &reads, &writes, &excepts, &max) != S3StatusOK)
        max = -1;
    if (max < 0 && tv.tv_usec > 2000)
        tv.tv_usec = 2000; /* resolving, or a number beyond FD_SETSIZE */
    (void)select(max + 1, &reads, &writes, &excepts, &tv);
}

/* The context goes: what still ran in it ends as interrupted. */
static enum ms_code drive(S3RequestContext *context, struct reply *p) {
    enum ms_code code = MS_OK;
    int left = 1;

    while (!p->done && code == MS_OK) {
        if (S3_runonce_request_context(context, &left) != S3StatusOK)
            code = ms_fail(p->reterr, MS_IO, "the object store cannot be talked to");
        if (p->done || code != MS_OK)
            break;
        code = ms_job_go_on(p->request, p->reterr);
        if (code == MS_OK)
            wait_for_sockets(context);
    }
    S3_destroy_request_context(context);
    return code != MS_OK ? code : judge(p, p->reterr);
}

static enum ms_code new_context(S3RequestContext **ret_context, struct ms_error *reterr) {
    if (S3_create_request_context(ret_context) == S3StatusOK)
        return MS_OK;
    return ms_fail(reterr, MS_NO_MEMORY, "no memory for a request");
}

/* ---- operations ------------------------------------------------------------------------------ */

/* The headers of the driver s3, without their prefix. */
static int meta_pairs(const struct ms_s3_call *headers, S3NameValue ret_pairs[MS_S3_PARAMS_MAX]) {
    int n = 0;

    for (size_t i = 0; i < headers->header_n; i++)
        if (strncmp(headers->header[i].name, META_PREFIX, strlen(META_PREFIX)) == 0)
            ret_pairs[n++] = (S3NameValue){headers->header[i].name + strlen(META_PREFIX),
                                           headers->header[i].value};
    return n;
}

static enum ms_code look(struct libs3 *l, struct reply *p) {
    S3ResponseHandler handler = response_handler();
    S3RequestContext *context = NULL;
    char key[MS_S3_KEY_MAX];
    enum ms_code code = new_context(&context, p->reterr);

    if (code != MS_OK)
        return code;
    full_key(l, p->request->key, key, sizeof key);
    lock_library();
    S3_head_object(&l->bucket, key, context, &handler, p);
    unlock_library();
    return drive(context, p);
}

/* The library takes the end of "100 Continue" for the end of all headers, and so misses the ETag behind it. */
static enum ms_code etag_of_put(struct libs3 *l, struct ms_obj_request *r,
                                struct ms_error *reterr) {
    MS_AUTO(reply_fini) struct reply p = {.request = r, .reterr = reterr};
    enum ms_code code = look(l, &p);

    ms_s3_unquote(p.etag);
    if (code == MS_OK)
        (void)snprintf(r->ret_etag, sizeof r->ret_etag, "%.*s", MS_ETAG_MAX, p.etag);
    return code;
}

static enum ms_code libs3_put(struct ms_obj *obj, struct ms_obj_request *r,
                              struct ms_error *reterr) {
    MS_AUTO(reply_fini)
    struct reply p = {.request = r, .reterr = reterr, .body = {.body = &r->body}};
    struct libs3 *l = libs3_of(obj);
    MS_AUTO(ms_s3_call_fini) struct ms_s3_call headers = {0};
    S3NameValue pairs[MS_S3_PARAMS_MAX];
    S3PutObjectHandler handler = {response_handler(), on_put};
    S3PutProperties properties = {.expires = -1, .metaData = pairs};
    S3RequestContext *context = NULL;
    char key[MS_S3_KEY_MAX];
    enum ms_code code = ms_s3_meta_to_headers(&headers, r->meta, reterr);

    if (code == MS_OK)
        code = new_context(&context, reterr);
    if (code != MS_OK)
        return code;
    full_key(l, r->key, key, sizeof key);
    properties.contentType = headers.header[0].value;
    properties.metaDataCount = meta_pairs(&headers, pairs);
    lock_library();
    S3_put_object(&l->bucket, key, r->body.length, &properties, context, &handler, &p);
    unlock_library();
    code = drive(context, &p);
    return code == MS_OK ? etag_of_put(l, r, reterr) : code;
}

static enum ms_code libs3_head(struct ms_obj *obj, struct ms_obj_request *r,
                               struct ms_error *reterr) {
    MS_AUTO(reply_fini) struct reply p = {.request = r, .reterr = reterr};
    struct ms_s3_transfer headers = {0};
    enum ms_code code = look(libs3_of(obj), &p);

    if (code != MS_OK)
        return code;
    r->ret_size = p.size;
    ms_s3_unquote(p.etag);
    (void)snprintf(r->ret_etag, sizeof r->ret_etag, "%.*s", MS_ETAG_MAX, p.etag);
    headers.reply_headers = p.headers;
    return ms_s3_meta_of_headers(&headers, &r->ret_meta, reterr);
}

static enum ms_code read_range(struct libs3 *l, struct ms_obj_request *r, const char *etag,
                               struct ms_error *reterr) {
    MS_AUTO(reply_fini) struct reply p = {.request = r, .reterr = reterr};
    S3GetConditions conditions = {
        .ifModifiedSince = -1, .ifNotModifiedSince = -1, .ifMatchETag = etag};
    S3GetObjectHandler handler = {response_handler(), on_get};
    S3RequestContext *context = NULL;
    char key[MS_S3_KEY_MAX];
    enum ms_code code = new_context(&context, reterr);

    if (code != MS_OK)
        return code;
    full_key(l, r->key, key, sizeof key);
    lock_library();
    S3_get_object(&l->bucket, key, &conditions, r->offset, r->length, context, &handler, &p);
    unlock_library();
    code = drive(context, &p);
    if (code == MS_OK && p.got != r->length)
        code = ms_fail(reterr, MS_IO, "the store sent %" PRIu64 " of %" PRIu64 " bytes of %s",
                       p.got, r->length, r->key);
    return code;
}

static enum ms_code get_once(struct libs3 *l, struct ms_obj_request *r, struct ms_error *reterr) {
    MS_AUTO(reply_fini) struct reply p = {.request = r, .reterr = reterr};
    enum ms_code code = look(l, &p);

    if (code != MS_OK)
        return code;
    if (r->offset > p.size || r->length > p.size - r->offset)
        return ms_fail(reterr, MS_RANGE, "bytes %" PRIu64 "+%" PRIu64 " of %s, which has %" PRIu64,
                       r->offset, r->length, r->key, p.size);
    code = r->length > 0 ? read_range(l, r, p.etag, reterr) : MS_OK;
    if (code != MS_OK)
        return code;
    r->ret_n = (size_t)r->length;
    r->ret_size = p.size;
    ms_s3_unquote(p.etag);
    (void)snprintf(r->ret_etag, sizeof r->ret_etag, "%.*s", MS_ETAG_MAX, p.etag);
    return MS_OK;
}

static enum ms_code libs3_get(struct ms_obj *obj, struct ms_obj_request *r,
                              struct ms_error *reterr) {
    enum ms_code code = MS_OK;

    for (int i = 0; i < GET_TRIES; i++) {
        code = get_once(libs3_of(obj), r, reterr);
        if (code != MS_EXISTS) /* the condition: replaced between the two steps */
            return code;
    }
    return ms_fail(reterr, MS_UNAVAILABLE, "%s is replaced faster than it can be read", r->key);
}

static enum ms_code libs3_delete(struct ms_obj *obj, struct ms_obj_request *r,
                                 struct ms_error *reterr) {
    MS_AUTO(reply_fini) struct reply p = {.request = r, .reterr = reterr};
    S3ResponseHandler handler = response_handler();
    S3RequestContext *context = NULL;
    char key[MS_S3_KEY_MAX];
    enum ms_code code = new_context(&context, reterr);

    if (code != MS_OK)
        return code;
    full_key(libs3_of(obj), r->key, key, sizeof key);
    lock_library();
    S3_delete_object(&libs3_of(obj)->bucket, key, context, &handler, &p);
    unlock_library();
    code = drive(context, &p);
    return code == MS_NOT_FOUND ? MS_OK : code;
}

static enum ms_code list_page(struct libs3 *l, struct ms_obj_request *r, char marker[MS_S3_KEY_MAX],
                              bool *ret_end, struct ms_error *reterr) {
    MS_AUTO(reply_fini) struct reply p = {.request = r, .reterr = reterr, .libs3 = l};
    S3ListBucketHandler handler = {response_handler(), on_list};
    S3RequestContext *context = NULL;
    char prefix[MS_S3_KEY_MAX];
    size_t want = r->list_max - r->ret_n + 1;
    enum ms_code code = new_context(&context, reterr);

    if (code != MS_OK)
        return code;
    full_key(l, r->key, prefix, sizeof prefix);
    ms_s3_whole_characters(prefix);
    lock_library();
    S3_list_bucket(&l->bucket, prefix, *marker ? marker : NULL, NULL,
                   want < 1000 ? (int)want : 1000, context, &handler, &p);
    unlock_library();
    code = drive(context, &p);
    if (code != MS_OK)
        return code;
    *ret_end = r->ret_more || !p.truncated;
    if (!*ret_end)
        code = ms_s3_check_token(marker, p.last, reterr);
    (void)snprintf(marker, MS_S3_KEY_MAX, "%s", p.last);
    return code;
}

static enum ms_code libs3_list(struct ms_obj *obj, struct ms_obj_request *r,
                               struct ms_error *reterr) {
    struct libs3 *l = libs3_of(obj);
    char marker[MS_S3_KEY_MAX] = "";
    bool is_end = false;
    enum ms_code code = MS_OK;

    r->ret_entries = calloc(r->list_max, sizeof *r->ret_entries);
    if (!r->ret_entries)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of %zu objects", r->list_max);
    if (r->after && *r->after)
        full_key(l, r->after, marker, sizeof marker);
    while (code == MS_OK && !is_end) {
        code = ms_job_go_on(r, reterr);
        if (code == MS_OK)
            code = list_page(l, r, marker, &is_end, reterr);
    }
    return code;
}

/* ---- life ------------------------------------------------------------------------------------ */

static S3Status start_library(bool start) {
    S3Status status = S3StatusOK;

    lock_library();
    if (start)
        status = S3_initialize("msasset", S3_INIT_ALL, "s3.amazonaws.com");
    else
        S3_deinitialize();
    unlock_library();
    return status;
}

static void libs3_close(struct ms_obj *obj) {
    struct libs3 *l = libs3_of(obj);

    if (l->initialized)
        (void)start_library(false);
    ms_s3_keys_fini(&l->keys);
    free(l);
}

static const struct ms_obj_ops *libs3_ops(void) {
    static const struct ms_obj_ops ops = {
        .name = "libs3", .submit = ms_job_submit, .cancel = ms_job_cancel, .close = libs3_close};

    return &ops;
}

static const struct ms_job_obj *libs3_job(void) {
    static const struct ms_job_obj job = {
        .obj = {.caps = {.put_bytes_max = PUT_BYTES_MAX, .meta_bytes_max = META_BYTES_MAX}},
        .run = {[MS_OBJ_PUT] = libs3_put,
                [MS_OBJ_GET] = libs3_get,
                [MS_OBJ_HEAD] = libs3_head,
                [MS_OBJ_DELETE] = libs3_delete,
                [MS_OBJ_LIST] = libs3_list},
    };

    return &job;
}

static enum ms_code start(struct libs3 *l, struct ms_error *reterr) {
    S3Status status = start_library(true);

    l->initialized = status == S3StatusOK;
    if (!l->initialized)
        return ms_fail(reterr, MS_NO_MEMORY, "libs3 cannot start: %s", S3_get_status_name(status));
    xmlInitParser();
    if (l->keys.token[0])
        return ms_fail(reterr, MS_CONFIG, "object store: libs3 takes no session token; use s3://");
    l->bucket = (S3BucketContext){
        .hostName = l->place.host,
        .bucketName = l->place.bucket,
        .protocol = l->place.https ? S3ProtocolHTTPS : S3ProtocolHTTP,
        .uriStyle = l->place.path_style ? S3UriStylePath : S3UriStyleVirtualHost,
        .accessKeyId = l->keys.id,
        .secretAccessKey = l->keys.secret.text,
    };
    return MS_OK;
}

enum ms_code ms_drv_libs3_open(const struct ms_obj_options *options, const char *address,
                               struct ms_obj **ret_obj, struct ms_error *reterr) {
    struct libs3 *l = calloc(1, sizeof *l);
    enum ms_code code;

    if (!l)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an object store");
    l->job = *libs3_job();
    l->job.obj.ops = libs3_ops();
    l->job.obj.engine = options->engine;
    code = ms_s3_place_parse("libs3", address, &l->place, reterr);
    if (code == MS_OK)
        code = ms_s3_keys_load(&l->place, &l->keys, reterr);
    if (code == MS_OK)
        code = start(l, reterr);
    if (code != MS_OK) {
        libs3_close(&l->job.obj);
        return code;
    }
    *ret_obj = &l->job.obj;
    return MS_OK;
}
