/* driver.h — what the drivers and wrappers of this folder share; not for users of object.h.
 *
 * A driver whose work blocks (mem, dir) is a table of functions, one per operation: struct ms_job_obj gives it the
 * queue, the deadline and the cancelling. A driver with an event loop of its own uses the first half only.
 */
#ifndef MS_OBJECT_DRIVER_H
#define MS_OBJECT_DRIVER_H

#include "object/object.h"

const char *ms_obj_op_name(enum ms_obj_op op); /* "MP_PUT" */

/* O10. Errors: MS_INVALID with the rule. */
MS_NODISCARD enum ms_code ms_obj_key_check(const char *key, struct ms_error *reterr);
/* Everything that can be refused without asking the store: undeclared operations, keys, ranges, metadata.
 * Errors: MS_UNSUPPORTED, MS_INVALID, MS_TOO_LARGE. */
MS_NODISCARD enum ms_code ms_obj_check(const struct ms_obj *obj, const struct ms_obj_request *request,
                                       struct ms_error *reterr);
/* Empty the results of a request, whatever they held (entries and parts are freed); _drop_ keeps code and error. */
void ms_obj_clear_results(struct ms_obj_request *request);
void ms_obj_drop_results(struct ms_obj_request *request);
/* As the last touch: the code (the error is cleared for MS_OK), then done. */
void ms_obj_finish(struct ms_obj_request *request, enum ms_code code);
/* The time an operation gets when the caller names none: a minute, and a second for each MiB that it moves. */
int64_t ms_obj_timeout_ms(const struct ms_obj_request *request);
static inline bool ms_obj_is_cancelled(const struct ms_obj_request *request) {
    return __atomic_load_n(&request->cancelled, __ATOMIC_SEQ_CST) != 0;
}

/* Metadata as it is kept: "content-type=...\n", then a line for each pair; also what HEAD gives. */
MS_NODISCARD enum ms_code ms_obj_meta_text(const struct ms_obj_meta *meta, struct ms_buf *buf,
                                           struct ms_error *reterr);
/* ETag of a finished upload: one hash over the parts' ETags, and their number. */
void ms_obj_etag_of_parts(const struct ms_obj_part *parts, size_t n, char ret_etag[MS_ETAG_MAX + 1]);

/* ---- drivers whose work blocks --------------------------------------------------------------- */

typedef enum ms_code ms_job_fn(struct ms_obj *obj, struct ms_obj_request *request,
                               struct ms_error *reterr);
struct ms_job_obj {
    struct ms_obj obj;
    ms_job_fn *run[MS_OBJ_OP_COUNT]; /* NULL where the capability is not declared */
};
void ms_job_submit(struct ms_obj *obj, struct ms_obj_request *request);
void ms_job_cancel(struct ms_obj *obj, struct ms_obj_request *request);
/* Between two steps of a long job. Errors: MS_CANCELLED, MS_TIMEOUT. */
MS_NODISCARD enum ms_code ms_job_go_on(const struct ms_obj_request *request, struct ms_error *reterr);

/* The bytes of a body in steps of at most 1 MiB. */
#define MS_BODY_STEP ((size_t)1 << 20)
struct ms_body_reader {
    const struct ms_obj_body *body;
    uint64_t at;
    void *buffer; /* for a file */
};
/* A view of the next bytes, valid until the next call; n is 0 at the end.
 * Errors: MS_IO, MS_MISMATCH when the file ends early, MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_body_next(struct ms_body_reader *reader, struct ms_view *ret_bytes,
                                       struct ms_error *reterr);
void ms_body_fini(struct ms_body_reader *reader);

/* ---- opening --------------------------------------------------------------------------------- */

/* ms_drv_<name>_open() of each driver; address is what stands behind "<name>:". No marker, no wrappers. */
typedef enum ms_code ms_drv_open_fn(const struct ms_obj_options *options, const char *address,
                                    struct ms_obj **ret_obj, struct ms_error *reterr);
#define MS_DRIVER(name) ms_drv_open_fn ms_drv_##name##_open;
#include "object/drivers.def"
#undef MS_DRIVER

#endif
