/* wrap_trace.c — one line a call, for -v and for tests. */
#include "base/assert.h"
#include "object/wrap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct trace {
    struct ms_wrap wrap;
    struct ms_log *log;
};

struct trace_call {
    struct ms_wrap_call call;
    int64_t begun_ns;
};

static int64_t mono_ns(void) { return ms_clock_mono_ns(ms_clock_system()); }

static uint64_t bytes_of(const struct ms_obj_request *r) {
    return r->op == MS_OBJ_GET || r->op == MS_OBJ_MP_COPY ? r->length : r->body.length;
}

static void on_reply(struct ms_wrap_call *call) {
    struct trace *t = MS_CONTAINER_OF(call->wrap, struct trace, wrap);
    const struct trace_call *c = MS_CONTAINER_OF(call, struct trace_call, call);
    const struct ms_obj_request *r = &call->inner;
    char bytes[24], us[24], part[16];

    snprintf(bytes, sizeof bytes, "%" PRIu64, bytes_of(r));
    snprintf(us, sizeof us, "%" PRId64, (mono_ns() - c->begun_ns) / 1000);
    snprintf(part, sizeof part, "%" PRIu32, r->part_no);
    if (r->code == MS_OK)
        ms_log_event(t->log, MS_LOG_DEBUG, "object", "op", ms_obj_op_name(r->op), "key",
                     r->key ? r->key : "", "part", part, "bytes", bytes, "us", us, NULL);
    else
        ms_log_failure(t->log, MS_LOG_DEBUG, "object", &r->error, "op", ms_obj_op_name(r->op),
                       "key", r->key ? r->key : "", "part", part, "bytes", bytes, "us", us, NULL);
    ms_wrap_end(call);
}

static void trace_submit(struct ms_obj *obj, struct ms_obj_request *request) {
    struct ms_wrap *wrap = MS_CONTAINER_OF(obj, struct ms_wrap, obj);
    struct trace_call *c = ms_wrap_begin(wrap, request, sizeof *c, on_reply);

    if (!c)
        return;
    c->begun_ns = mono_ns();
    ms_wrap_down(&c->call);
}

static void trace_close(struct ms_obj *obj) {
    struct ms_wrap *wrap = MS_CONTAINER_OF(obj, struct ms_wrap, obj);

    ms_wrap_fini(wrap);
    free(MS_CONTAINER_OF(wrap, struct trace, wrap));
}

static const struct ms_obj_ops *trace_ops(void) {
    static const struct ms_obj_ops ops = {"trace", trace_submit, ms_wrap_cancel, trace_close};

    return &ops;
}

enum ms_code ms_wrap_trace(const struct ms_obj_options *options, struct ms_obj *inner,
                           struct ms_obj **ret_obj, struct ms_error *reterr) {
    struct trace *t = calloc(1, sizeof *t);

    if (!t) {
        ms_obj_close(inner);
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an object store");
    }
    ms_wrap_init(&t->wrap, trace_ops(), inner);
    t->log = options->log;
    *ret_obj = &t->wrap.obj;
    return MS_OK;
}
