/* wrap.h — what the wrappers share: a call that goes down to the wrapped store and comes up again.
 *
 * A wrapper never touches the request of its caller before the end: it sends a request of its own, so each layer
 * has its own timer and state. A call waits (back-off, delay, gate) on its timer: whoever cancels the timer, or
 * sees it fire, owns the call. That is the whole locking of a call.
 *
 * Adding a wrapper: embed struct ms_wrap first, struct ms_wrap_call first in the call if it needs more; begin,
 * then down or wait; in reply change inner.code and inner.error at will, then end.
 */
#ifndef MS_OBJECT_WRAP_H
#define MS_OBJECT_WRAP_H

#include "object/driver.h"

struct ms_wrap {
    struct ms_obj obj; /* obj.inner is what is wrapped */
    pthread_mutex_t mutex;
};

struct ms_wrap_call {
    struct ms_obj_request inner; /* what goes down: a copy of the caller's input */
    struct ms_obj_request *outer;
    struct ms_wrap *wrap;
    void (*reply)(struct ms_wrap_call *call);  /* inner is done */
    void (*wake)(struct ms_wrap_call *call);   /* the wait is over */
    void (*unwait)(struct ms_wrap_call *call); /* or NULL: a cancel ends the wait, before the end */
    void (*fini)(struct ms_wrap_call *call);   /* or NULL: before its memory goes */
    struct ms_timer timer;
    int refs; /* atomic: its own life, and each cancel that looks at it */
};

void ms_wrap_init(struct ms_wrap *wrap, const struct ms_obj_ops *ops, struct ms_obj *inner);
/* ops->cancel of every wrapper. */
void ms_wrap_cancel(struct ms_obj *obj, struct ms_obj_request *request);
/* For a cancel of one's own: request and call are marked as cancelled, and the call that the request is in is returned
 * with a reference for the caller; NULL: none. */
struct ms_wrap_call *ms_wrap_mark_cancelled(struct ms_obj *obj, struct ms_obj_request *request);
/* Close what is wrapped; the wrapper's memory stays. */
void ms_wrap_fini(struct ms_wrap *wrap);

/* size: of the struct that begins with a ms_wrap_call. NULL: the request has ended already (refused by
 * ms_obj_check(), or no memory). */
void *ms_wrap_begin(struct ms_wrap *wrap, struct ms_obj_request *outer, size_t size,
                    void (*reply)(struct ms_wrap_call *call));
void ms_wrap_down(struct ms_wrap_call *call);
/* wake comes in ns, unless a cancel ends the call. The caller does not touch the call any more. */
void ms_wrap_wait(struct ms_wrap_call *call, int64_t ns, void (*wake)(struct ms_wrap_call *call));
/* The two halves of that, for a wait that others must find: arm under their lock, then look for a cancel that
 * came before. The caller holds a reference. */
void ms_wrap_arm(struct ms_wrap_call *call, int64_t ns, void (*wake)(struct ms_wrap_call *call));
void ms_wrap_end_if_cancelled(struct ms_wrap_call *call);
/* True when the wait is over and the call belongs to whoever asked. */
bool ms_wrap_unwait(struct ms_wrap_call *call);
void ms_wrap_ref(struct ms_wrap_call *call);
void ms_wrap_unref(struct ms_wrap_call *call);

/* The results of inner become the caller's; the last touch. */
void ms_wrap_end(struct ms_wrap_call *call);
void ms_wrap_end_with(struct ms_wrap_call *call, enum ms_code code, const char *fmt, ...)
    MS_PRINTF(3, 4);

/* Each takes over inner, also on failure. */
MS_NODISCARD enum ms_code ms_wrap_retry(const struct ms_obj_options *options, struct ms_obj *inner,
                                        struct ms_obj **ret_obj, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_wrap_verify(const struct ms_obj_options *options, struct ms_obj *inner,
                                         struct ms_obj **ret_obj, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_wrap_trace(const struct ms_obj_options *options, struct ms_obj *inner,
                                        struct ms_obj **ret_obj, struct ms_error *reterr);
/* Around a store that was not asked whose it is: options.ret_unchecked says so, and turns false with the first change
 * that finds the marker of options.store_id; before that, changes end with MS_FOREIGN, or with what the store says. */
#define MS_OBJ_MARKER_MAX 256
size_t ms_obj_marker_text(struct ms_id store_id, char ret_text[MS_OBJ_MARKER_MAX]); /* open.c; its length */
MS_NODISCARD enum ms_code ms_wrap_owner(const struct ms_obj_options *options, struct ms_obj *inner,
                                        struct ms_obj **ret_obj, struct ms_error *reterr);
/* Errors: MS_CONFIG the script cannot be read. */
MS_NODISCARD enum ms_code ms_wrap_fault(const struct ms_obj_options *options, struct ms_obj *inner,
                                        struct ms_obj **ret_obj, struct ms_error *reterr);

#endif
