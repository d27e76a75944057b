/* drv_s3.h — inside the driver s3: a store, an operation, a call to the store, and the steps of each kind.
 *
 * An operation is a state machine: `ask` prepares a call, `take` judges its answer and ends the operation, or names
 * the next `ask`. Between the two no thread waits for it. Signing is quick and happens wherever the operation stands;
 * the SHA-256 of a body that is more than a few KiB is made on the engine's pool; bytes move on the thread of HTTP
 * (s3_http.h); answers are judged, and `done` is called, on the pool, so that a slow caller stalls no socket.
 * The URL is described in s3_place.h.
 *
 * Metadata: S3 forgets the order of its metadata, folds runs of blanks and may drop empty values. So each pair is a
 * header x-amz-meta-<key>, readable for every tool, and one more header names the keys in their order; a '*' behind
 * a name says that its value is percent-encoded.
 */
#ifndef MS_OBJECT_DRV_S3_H
#define MS_OBJECT_DRV_S3_H

#include "object/s3_breaker.h"
#include "object/s3_http.h"
#include "object/s3_place.h"
#include "object/s3_xml.h"

struct ms_s3 {
    struct ms_obj obj;
    struct ms_s3_place place;
    struct ms_s3_keys keys;
    struct ms_s3_http *http;
    struct ms_s3_breaker breaker;
    int64_t skew_ms; /* atomic: what the store's clock is ahead of ours, once it refused a call for that */
};
static inline struct ms_s3 *ms_s3_of(struct ms_obj *obj) {
    return MS_CONTAINER_OF(obj, struct ms_s3, obj);
}

/* ---- a call: drv_s3_call.c ------------------------------------------------------------------- */

struct ms_s3_call {
    const struct ms_s3 *s3;
    struct ms_obj_request *request;
    const char *method;
    const char *key; /* without the prefix; NULL: the bucket */
    struct ms_s3_param query[MS_S3_PARAMS_MAX], header[MS_S3_PARAMS_MAX]; /* owned texts */
    size_t query_n, header_n;
    bool no_memory; /* for one of these */
    const struct ms_obj_body *body;
    struct ms_obj_body own_body; /* for an answer to be made of text: body = &own_body */
    struct ms_buf xml;
    void *into;
    uint64_t into_n;
    int64_t first_byte_ms;
    bool changes; /* what it asks for changes the store */
    bool replies; /* a good answer is XML, read into reply */

    char payload[MS_S3_SHA256_TEXT + 1]; /* "": not known yet */
    struct ms_instant signed_at;         /* by our clock, not corrected */
    struct ms_buf url;
    struct ms_s3_transfer transfer;
    struct ms_s3_reply reply;
    bool is_skewed; /* refused because of the clock */
};

void ms_s3_call_init(struct ms_s3_call *call, const struct ms_s3 *s3, struct ms_obj_request *request,
                     const char *method, const char *key);
void ms_s3_call_fini(struct ms_s3_call *call);
/* Names and values are copied. */
void ms_s3_call_query(struct ms_s3_call *call, const char *name, const char *value);
void ms_s3_call_header(struct ms_s3_call *call, const char *name, const char *value);
/* The body is call->xml. */
void ms_s3_call_xml_body(struct ms_s3_call *call);
/* Fill payload: MS_OK; or, where that takes longer than a thread of a front end has, ask for the pool with
 * *ret_slow and do nothing. Errors: those of ms_body_next(); MS_CANCELLED, MS_TIMEOUT. */
MS_NODISCARD enum ms_code ms_s3_call_hash(struct ms_s3_call *call, bool may_be_slow, int64_t deadline_ns,
                                          bool *ret_slow, struct ms_error *reterr);
/* Make url and headers of the transfer, dated now by the store's clock as far as it is known. May be repeated. */
MS_NODISCARD enum ms_code ms_s3_call_sign(struct ms_s3_call *call, struct ms_error *reterr);
/* Judge the answer: MS_OK is a 2xx without an error in it; reply holds what it said.
 * Errors: those of the transfer; ms_s3_code_of() with the store's own words. */
MS_NODISCARD enum ms_code ms_s3_call_judge(struct ms_s3_call *call, struct ms_error *reterr);
/* When the answer asks for patience: for how long, else 0. */
int64_t ms_s3_call_retry_after_ms(const struct ms_s3_call *call);
/* The store's clock less ours, as its answer says; false: it does not say. */
bool ms_s3_call_skew_ms(const struct ms_s3_call *call, int64_t *ret_ms);
/* The ETag header of the answer, unquoted; "" when there is none. */
void ms_s3_call_etag(const struct ms_s3_call *call, char ret_etag[MS_ETAG_MAX + 1]);
/* "<prefix><key>". */
void ms_s3_full_key(const struct ms_s3 *s3, const char *key, char *ret_key, size_t size);
#define MS_S3_KEY_MAX (sizeof((struct ms_s3_place *)0)->prefix + MS_OBJECT_KEY_MAX)
/* Host and path of a key, NULL: of the bucket. */
#define MS_S3_HOST_MAX (sizeof((struct ms_s3_place *)0)->host + sizeof((struct ms_s3_place *)0)->bucket + 1)
#define MS_S3_PATH_MAX (MS_S3_KEY_MAX + sizeof((struct ms_s3_place *)0)->bucket + 2)
void ms_s3_host_and_path(const struct ms_s3 *s3, const char *key, char ret_host[MS_S3_HOST_MAX],
                         char ret_path[MS_S3_PATH_MAX]);
/* Now, by the store's clock as far as it is known. */
struct ms_instant ms_s3_now(const struct ms_s3 *s3);

/* Metadata as headers of the call. */
MS_NODISCARD enum ms_code ms_s3_meta_to_headers(struct ms_s3_call *call, const struct ms_obj_meta *meta,
                                                struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_s3_meta_of_headers(const struct ms_s3_transfer *transfer,
                                                struct ms_buf *ret_text, struct ms_error *reterr);

/* ---- an operation: drv_s3_op.c --------------------------------------------------------------- */

struct ms_s3_op;
/* Prepare op->call (begun with ms_s3_op_call()) and set op->take. Not MS_OK: the operation ends. */
typedef enum ms_code ms_s3_ask_fn(struct ms_s3_op *op, struct ms_error *reterr);
/* code is what ms_s3_call_judge() said, with reterr filled. What is returned ends the operation, unless op->ask was
 * set and it is MS_OK: then another call follows. */
typedef enum ms_code ms_s3_take_fn(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr);

/* An object that is looked at before or behind something else. */
struct ms_s3_look {
    const char *key;
    ms_s3_take_fn *then; /* gets the outcome, with the results below */
    uint64_t size;
    char etag[MS_ETAG_MAX + 1];
    struct ms_buf meta;
    enum ms_code refused; /* while a list is asked why */
};

struct ms_s3_op {
    struct ms_s3 *s3;
    struct ms_obj_request *request;
    struct ms_task task; /* the way of an answer to the pool */
    int64_t deadline_ns;
    ms_s3_ask_fn *ask;
    ms_s3_take_fn *take;
    struct ms_s3_call call;
    struct ms_error error;
    bool is_probe;       /* of the breaker */
    bool skew_corrected; /* once in an operation */

    struct ms_s3_look look;
    char *marker[2]; /* of the next page */
    struct ms_obj_part *parts; /* what the store has of an upload: ms_s3_ask_parts() */
    size_t parts_n;
    ms_s3_take_fn *parts_then; /* gets the outcome when all pages are there */
};

void ms_s3_submit(struct ms_obj *obj, struct ms_obj_request *request);
void ms_s3_cancel(struct ms_obj *obj, struct ms_obj_request *request);
/* Begin a call of the operation, and forget the one before. */
struct ms_s3_call *ms_s3_op_call(struct ms_s3_op *op, const char *method, const char *key,
                                 ms_s3_take_fn *take);
/* op->ask becomes a look at key, then `then`. */
void ms_s3_op_look(struct ms_s3_op *op, const char *key, ms_s3_take_fn *then);

/* The first step of each kind; NULL where it is not declared. */
ms_s3_ask_fn *ms_s3_first_step(enum ms_obj_op op);
ms_s3_ask_fn ms_s3_list, ms_s3_mp_create, ms_s3_mp_put, ms_s3_mp_copy, ms_s3_mp_complete,
    ms_s3_mp_abort, ms_s3_mp_list, ms_s3_mp_parts;
/* Read the parts of the request's upload into op->parts, then op->parts_then. */
ms_s3_ask_fn ms_s3_ask_parts;
/* The value of x-amz-copy-source as a header of the call. */
MS_NODISCARD enum ms_code ms_s3_copy_source(struct ms_s3_call *call, const char *key,
                                            struct ms_error *reterr);
/* ret_etag of the request from the XML of the answer. */
void ms_s3_etag_of_reply(struct ms_s3_op *op);

#endif
