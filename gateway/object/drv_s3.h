/* drv_s3.h — inside the driver s3: a store, a call to it, and the operations of each kind.
 *
 * Each operation runs on a thread of the engine's pool: it hashes and signs there, hands the transfer to the one
 * curl-multi thread and waits for it. So the pool bounds how many transfers run at once, and hashing never stands
 * in the way of the sockets. The URL is described in s3_place.h.
 *
 * Metadata: S3 forgets the order of its metadata, folds runs of blanks and may drop empty values. So each pair is a
 * header x-amz-meta-<key>, readable for every tool, and one more header names the keys in their order; a '*' behind
 * a name says that its value is percent-encoded.
 */
#ifndef MS_OBJECT_DRV_S3_H
#define MS_OBJECT_DRV_S3_H

#include "object/s3_http.h"
#include "object/s3_place.h"
#include "object/s3_xml.h"

struct ms_s3 {
    struct ms_job_obj job;
    struct ms_s3_place place;
    struct ms_s3_keys keys;
    struct ms_s3_http *http;
};

struct ms_s3_call {
    struct ms_s3 *s3;
    struct ms_obj_request *request;
    const char *method;
    const char *key; /* without the prefix; NULL: the bucket */
    struct ms_s3_param query[MS_S3_PARAMS_MAX], header[MS_S3_PARAMS_MAX];
    size_t query_n, header_n;
    const struct ms_obj_body *body;
    void *into;
    uint64_t into_n;
    int64_t first_byte_ms;
    bool changes; /* what it asks for changes the store */
    bool replies; /* a good answer is XML, read into reply */

    struct ms_s3_transfer transfer;
    struct ms_s3_reply reply;
};

/* Names and values are borrowed until the call has run. */
void ms_s3_call_init(struct ms_s3_call *call, struct ms_obj *obj, struct ms_obj_request *request,
                     const char *method, const char *key);
void ms_s3_call_query(struct ms_s3_call *call, const char *name, const char *value);
void ms_s3_call_header(struct ms_s3_call *call, const char *name, const char *value);
/* Sign, send, and judge the answer: MS_OK is a 2xx without an error in it. May be run once.
 * Errors: those of ms_s3_http_run(); ms_s3_code_of() with the store's own words. */
MS_NODISCARD enum ms_code ms_s3_call_run(struct ms_s3_call *call, struct ms_error *reterr);
void ms_s3_call_fini(struct ms_s3_call *call);
/* The ETag header of the answer, unquoted; "" when there is none. */
void ms_s3_call_etag(const struct ms_s3_call *call, char ret_etag[MS_ETAG_MAX + 1]);
/* "<prefix><key>". */
void ms_s3_full_key(const struct ms_s3 *s3, const char *key, char *ret_key, size_t size);
#define MS_S3_KEY_MAX (sizeof((struct ms_s3_place *)0)->prefix + MS_OBJECT_KEY_MAX)
/* The value of x-amz-copy-source. */
MS_NODISCARD enum ms_code ms_s3_copy_source(const struct ms_s3 *s3, const char *key, struct ms_buf *buf,
                                            struct ms_error *reterr);

/* Metadata as headers of the call; buf owns their text until the call has run. */
MS_NODISCARD enum ms_code ms_s3_meta_to_headers(struct ms_s3_call *call, const struct ms_obj_meta *meta,
                                                struct ms_buf *buf, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_s3_meta_of_headers(const struct ms_s3_transfer *transfer,
                                                struct ms_buf *ret_text, struct ms_error *reterr);

ms_job_fn ms_s3_head, ms_s3_list, ms_s3_mp_create, ms_s3_mp_put, ms_s3_mp_copy, ms_s3_mp_complete,
    ms_s3_mp_abort, ms_s3_mp_list, ms_s3_mp_parts;

static inline struct ms_s3 *ms_s3_of(struct ms_obj *obj) {
    return MS_CONTAINER_OF(MS_CONTAINER_OF(obj, struct ms_job_obj, obj), struct ms_s3, job);
}

#endif
