#include "object/wrap.h"

#include "base/assert.h"

#include <stdlib.h>

void ms_wrap_init(struct ms_wrap *wrap, const struct ms_obj_ops *ops, struct ms_obj *inner) {
    wrap->obj =
        (struct ms_obj){.ops = ops, .caps = inner->caps, .engine = inner->engine, .inner = inner};
    pthread_mutex_init(&wrap->mutex, NULL);
}

void ms_wrap_fini(struct ms_wrap *wrap) {
    ms_obj_close(wrap->obj.inner);
    pthread_mutex_destroy(&wrap->mutex);
}

void ms_wrap_ref(struct ms_wrap_call *call) {
    __atomic_add_fetch(&call->refs, 1, __ATOMIC_RELAXED);
}

void ms_wrap_unref(struct ms_wrap_call *call) {
    if (__atomic_sub_fetch(&call->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (call->fini)
        call->fini(call);
    ms_obj_drop_results(&call->inner);
    ms_buf_fini(&call->inner.ret_meta);
    free(call);
}

/* ---- down ------------------------------------------------------------------------------------ */

static void on_reply(struct ms_obj_request *inner) {
    struct ms_wrap_call *call = inner->priv;

    call->reply(call);
}

static void copy_input(struct ms_obj_request *to, const struct ms_obj_request *from) {
    *to = (struct ms_obj_request){.op = from->op,
                                  .key = from->key,
                                  .upload_id = from->upload_id,
                                  .source_key = from->source_key,
                                  .part_no = from->part_no,
                                  .part_offset = from->part_offset,
                                  .offset = from->offset,
                                  .length = from->length,
                                  .body = from->body,
                                  .into = from->into,
                                  .fresh = from->fresh,
                                  .meta = from->meta,
                                  .parts = from->parts,
                                  .keys = from->keys,
                                  .parts_n = from->parts_n,
                                  .keys_n = from->keys_n,
                                  .after = from->after,
                                  .list_max = from->list_max,
                                  .timeout_ms = from->timeout_ms,
                                  .ret_meta = MS_BUF_MAX(from->ret_meta.max)};
}

void *ms_wrap_begin(struct ms_wrap *wrap, struct ms_obj_request *outer, size_t size,
                    void (*reply)(struct ms_wrap_call *call)) {
    struct ms_wrap_call *call = NULL;
    enum ms_code code;

    MS_ASSERT(size >= sizeof *call);
    ms_obj_clear_results(outer);
    /* Here already: what the contract refuses is nothing to retry, to trace or to make fail. */
    code = ms_obj_check(&wrap->obj, outer, &outer->error);
    if (code == MS_OK)
        call = calloc(1, size);
    if (code == MS_OK && !call)
        code =
            ms_fail(&outer->error, MS_NO_MEMORY, "no memory for a %s", ms_obj_op_name(outer->op));
    if (code != MS_OK) {
        ms_obj_finish(outer, code);
        return NULL;
    }
    copy_input(&call->inner, outer);
    call->inner.done = on_reply;
    call->inner.priv = call;
    call->outer = outer;
    call->wrap = wrap;
    call->reply = reply;
    call->refs = 1;
    pthread_mutex_lock(&wrap->mutex);
    outer->drv = call;
    pthread_mutex_unlock(&wrap->mutex);
    /* Behind drv: a cancel sees the call, or we see the cancel. */
    if (ms_obj_is_cancelled(outer))
        __atomic_store_n(&call->inner.cancelled, 1, __ATOMIC_SEQ_CST);
    return call;
}

void ms_wrap_down(struct ms_wrap_call *call) { ms_obj_submit(call->wrap->obj.inner, &call->inner); }

/* ---- up -------------------------------------------------------------------------------------- */

static void move_results(struct ms_obj_request *to, struct ms_obj_request *from) {
    memcpy(to->ret_etag, from->ret_etag, sizeof to->ret_etag);
    memcpy(to->ret_upload_id, from->ret_upload_id, sizeof to->ret_upload_id);
    to->ret_size = from->ret_size;
    to->ret_entries = MS_TAKE(from->ret_entries);
    to->ret_parts = MS_TAKE(from->ret_parts);
    to->ret_n = from->ret_n;
    to->ret_more = from->ret_more;
    if (from->ret_meta.data) {
        ms_buf_fini(&to->ret_meta);
        to->ret_meta = from->ret_meta;
        from->ret_meta = (struct ms_buf)MS_BUF_MAX(from->ret_meta.max);
    }
}

void ms_wrap_end(struct ms_wrap_call *call) {
    struct ms_obj_request *outer = call->outer;
    enum ms_code code = call->inner.code;

    if (code == MS_OK)
        move_results(outer, &call->inner);
    else
        outer->error = call->inner.error;
    outer->ret_retry_after_ms = call->inner.ret_retry_after_ms;
    pthread_mutex_lock(&call->wrap->mutex);
    outer->drv = NULL;
    pthread_mutex_unlock(&call->wrap->mutex);
    ms_obj_finish(outer, code);
    ms_wrap_unref(call);
}

void ms_wrap_end_with(struct ms_wrap_call *call, enum ms_code code, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    call->inner.code = ms_vfail(&call->inner.error, code, fmt, ap);
    va_end(ap);
    ms_wrap_end(call);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void on_timer(struct ms_timer *timer) {
    struct ms_wrap_call *call = MS_CONTAINER_OF(timer, struct ms_wrap_call, timer);

    call->wake(call);
}

void ms_wrap_arm(struct ms_wrap_call *call, int64_t ns, void (*wake)(struct ms_wrap_call *call)) {
    call->wake = wake;
    call->timer = (struct ms_timer){.fire = on_timer};
    ms_engine_after(call->wrap->obj.engine, &call->timer, ns);
}

bool ms_wrap_unwait(struct ms_wrap_call *call) {
    return ms_engine_cancel(call->wrap->obj.engine, &call->timer);
}

static void end_wait_as_cancelled(struct ms_wrap_call *call) {
    if (call->unwait)
        call->unwait(call);
    ms_wrap_end_with(call, MS_CANCELLED, "%s was cancelled", ms_obj_op_name(call->inner.op));
}

void ms_wrap_end_if_cancelled(struct ms_wrap_call *call) {
    if (ms_obj_is_cancelled(&call->inner) && ms_wrap_unwait(call))
        end_wait_as_cancelled(call);
}

void ms_wrap_wait(struct ms_wrap_call *call, int64_t ns, void (*wake)(struct ms_wrap_call *call)) {
    ms_wrap_ref(call);
    ms_wrap_arm(call, ns, wake);
    ms_wrap_end_if_cancelled(call);
    ms_wrap_unref(call);
}

struct ms_wrap_call *ms_wrap_mark_cancelled(struct ms_obj *obj, struct ms_obj_request *request) {
    struct ms_wrap *wrap = MS_CONTAINER_OF(obj, struct ms_wrap, obj);
    struct ms_wrap_call *call;

    __atomic_store_n(&request->cancelled, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&wrap->mutex);
    call = request->drv;
    if (call)
        ms_wrap_ref(call);
    pthread_mutex_unlock(&wrap->mutex);
    if (call)
        __atomic_store_n(&call->inner.cancelled, 1, __ATOMIC_SEQ_CST);
    return call;
}

void ms_wrap_cancel(struct ms_obj *obj, struct ms_obj_request *request) {
    struct ms_wrap_call *call = ms_wrap_mark_cancelled(obj, request);

    if (!call)
        return;
    if (ms_wrap_unwait(call))
        end_wait_as_cancelled(call);
    else
        ms_obj_cancel(obj->inner, &call->inner);
    ms_wrap_unref(call);
}
