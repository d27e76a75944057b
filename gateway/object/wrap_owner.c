/* wrap_owner.c — a store that could not be asked whose it is when it was opened: nothing is changed in it before it
 * has said so. Reads go through.
 *
 * Each change asks for the marker first, until one has found the right one; nobody waits on a thread. A store that
 * is still down answers the question as it would have answered the change.
 */
#include "base/assert.h"
#include "object/wrap.h"

#include <stdlib.h>

#define ASK_MS 30000 /* with all its tries */

struct owner {
    struct ms_wrap wrap;
    struct ms_id store_id;
    bool *unchecked; /* atomic */
};
struct owner_call {
    struct ms_wrap_call call;
    struct ms_obj_request ask;
    char own[MS_OBJ_MARKER_MAX], found[MS_OBJ_MARKER_MAX];
    int asking; /* atomic */
};

static bool changes(enum ms_obj_op op) {
    switch (op) {
    case MS_OBJ_GET:
    case MS_OBJ_HEAD:
    case MS_OBJ_LIST:
    case MS_OBJ_MP_LIST:
    case MS_OBJ_MP_PARTS:
        return false;
    case MS_OBJ_PUT:
    case MS_OBJ_DELETE:
    case MS_OBJ_MP_CREATE:
    case MS_OBJ_MP_PUT:
    case MS_OBJ_MP_COMPLETE:
    case MS_OBJ_MP_ABORT:
    case MS_OBJ_COPY:
    case MS_OBJ_MP_COPY:
    case MS_OBJ_DELETE_MANY:
    case MS_OBJ_OP_COUNT:
        break;
    }
    return true;
}

static bool is_ours(const struct owner_call *c) {
    return c->ask.code == MS_OK && c->ask.ret_size == c->ask.length &&
           memcmp(c->found, c->own, c->ask.length) == 0;
}

static void answered(struct ms_obj_request *ask) {
    struct owner_call *c = ask->priv;
    struct owner *o = MS_CONTAINER_OF(c->call.wrap, struct owner, wrap);
    enum ms_code code = ask->code;

    __atomic_store_n(&c->asking, 0, __ATOMIC_SEQ_CST);
    if (is_ours(c)) {
        __atomic_store_n(o->unchecked, false, __ATOMIC_SEQ_CST);
        if (!ms_obj_is_cancelled(&c->call.inner)) {
            ms_wrap_down(&c->call);
            return;
        }
        code = MS_CANCELLED;
    }
    if (code == MS_OK || code == MS_NOT_FOUND || code == MS_RANGE)
        ms_wrap_end_with(&c->call, MS_FOREIGN,
                         "the object store was away when this process began, and what is there now is not the one "
                         "of %s: its " MS_OBJ_MARKER_KEY " says something else, or is not there (is its disk mounted?)",
                         ms_id_text(o->store_id).s);
    else if (code == MS_CANCELLED)
        ms_wrap_end_with(&c->call, code, "%s was cancelled", ms_obj_op_name(c->call.inner.op));
    else
        ms_wrap_end_with(&c->call, code, "%s", ask->error.message);
}

static void owner_submit(struct ms_obj *obj, struct ms_obj_request *request) {
    struct owner *o = MS_CONTAINER_OF(MS_CONTAINER_OF(obj, struct ms_wrap, obj), struct owner, wrap);
    struct owner_call *c = ms_wrap_begin(&o->wrap, request, sizeof *c, ms_wrap_end);

    if (!c)
        return;
    if (!changes(c->call.inner.op) || !__atomic_load_n(o->unchecked, __ATOMIC_SEQ_CST)) {
        ms_wrap_down(&c->call);
        return;
    }
    c->ask = (struct ms_obj_request){.op = MS_OBJ_GET,
                                     .key = MS_OBJ_MARKER_KEY,
                                     .length = ms_obj_marker_text(o->store_id, c->own),
                                     .into = c->found,
                                     .fresh = true,
                                     .timeout_ms = ASK_MS,
                                     .done = answered,
                                     .priv = c};
    __atomic_store_n(&c->asking, 1, __ATOMIC_SEQ_CST);
    ms_obj_submit(obj->inner, &c->ask);
}

/* As ms_wrap_cancel, but to the request that is out. One that moves on just now sees the cancel itself. */
static void owner_cancel(struct ms_obj *obj, struct ms_obj_request *request) {
    struct ms_wrap_call *call = ms_wrap_mark_cancelled(obj, request);

    if (!call)
        return;
    struct owner_call *c = MS_CONTAINER_OF(call, struct owner_call, call);
    if (__atomic_load_n(&c->asking, __ATOMIC_SEQ_CST))
        ms_obj_cancel(obj->inner, &c->ask);
    else
        ms_obj_cancel(obj->inner, &call->inner);
    ms_wrap_unref(call);
}

static void owner_close(struct ms_obj *obj) {
    struct ms_wrap *wrap = MS_CONTAINER_OF(obj, struct ms_wrap, obj);

    ms_wrap_fini(wrap);
    free(MS_CONTAINER_OF(wrap, struct owner, wrap));
}

static const struct ms_obj_ops *owner_ops(void) {
    static const struct ms_obj_ops ops = {"owner", owner_submit, owner_cancel, owner_close};

    return &ops;
}

enum ms_code ms_wrap_owner(const struct ms_obj_options *options, struct ms_obj *inner,
                           struct ms_obj **ret_obj, struct ms_error *reterr) {
    struct owner *o = calloc(1, sizeof *o);

    if (!o) {
        ms_obj_close(inner);
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an object store");
    }
    ms_wrap_init(&o->wrap, owner_ops(), inner);
    o->store_id = options->store_id;
    o->unchecked = options->ret_unchecked;
    *ret_obj = &o->wrap.obj;
    return MS_OK;
}
