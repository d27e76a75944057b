/* drv_s3_op.c — the life of an operation: prepared, hashed, sent, judged, and on to its next call. See drv_s3.h. */
#include "object/drv_s3.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_MS INT64_C(1000000)

static int64_t mono_ns(void) { return ms_clock_mono_ns(ms_clock_system()); }

static void op_free(struct ms_s3_op *op) {
    ms_s3_call_fini(&op->call);
    ms_buf_fini(&op->look.meta);
    free(op->marker[0]);
    free(op->marker[1]);
    free(op->parts);
    free(op);
}

/* The last touch. */
static void end(struct ms_s3_op *op, enum ms_code code) {
    struct ms_obj_request *r = op->request;

    if (code != MS_OK) {
        ms_obj_drop_results(r);
        r->error = op->error;
    }
    op_free(op);
    ms_obj_finish(r, code);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void on_answer(struct ms_task *task);

static void on_done(struct ms_s3_transfer *transfer) {
    struct ms_s3_op *op = MS_CONTAINER_OF(transfer, struct ms_s3_op, call.transfer);

    op->task.run = on_answer;
    ms_engine_post(op->s3->obj.engine, &op->task);
}

/* Bytes of an object: how long they take, only the line can tell. Who names a time means it. */
static bool may_last(const struct ms_obj_request *r) {
    return r->timeout_ms <= 0 &&
           (r->op == MS_OBJ_PUT || r->op == MS_OBJ_MP_PUT || r->op == MS_OBJ_GET);
}

static enum ms_code send_off(struct ms_s3_op *op) {
    struct ms_s3_transfer *t = &op->call.transfer;
    int64_t wait_ms = 0;
    enum ms_code code = ms_s3_call_sign(&op->call, &op->error);

    if (code != MS_OK)
        return code;
    if (!ms_s3_breaker_enter(&op->s3->breaker, mono_ns(), &op->is_probe, &wait_ms)) {
        op->request->ret_retry_after_ms = wait_ms;
        return ms_fail(&op->error, MS_UNAVAILABLE,
                       "the object store at %s could not be reached %d times in a row; it is tried "
                       "again in %" PRId64 " ms",
                       op->s3->place.host, MS_S3_BREAKER_FAILURES, wait_ms);
    }
    t->request = op->request;
    t->deadline_mono_ns = op->deadline_ns;
    t->may_last = may_last(op->request);
    t->on_done = on_done;
    ms_s3_http_start(op->s3->http, t);
    return MS_OK;
}

static void hash_and_send(struct ms_task *task) {
    struct ms_obj_request *r = MS_CONTAINER_OF(task, struct ms_obj_request, task);
    struct ms_s3_op *op = r->drv;
    bool slow = false;
    enum ms_code code = ms_s3_call_hash(&op->call, true, op->deadline_ns, &slow, &op->error);

    if (code == MS_OK)
        code = send_off(op);
    if (code != MS_OK)
        end(op, code);
}

/* The request's own task, so that a cancel can find it in the queue; one that came before it was there is seen by
 * the task itself. */
static void hash_on_pool(struct ms_s3_op *op) {
    op->request->task = (struct ms_task){.run = hash_and_send};
    ms_engine_post(op->s3->obj.engine, &op->request->task);
}

static enum ms_code check_time(const struct ms_s3_op *op, struct ms_error *reterr) {
    const struct ms_obj_request *r = op->request;

    if (ms_obj_is_cancelled(r))
        return ms_fail(reterr, MS_CANCELLED, "%s was cancelled", ms_obj_op_name(r->op));
    if (mono_ns() < op->deadline_ns)
        return MS_OK;
    return ms_fail(reterr, MS_TIMEOUT, "%s of %s was not done within %" PRId64 " ms",
                   ms_obj_op_name(r->op), r->key ? r->key : "(all)", ms_obj_timeout_ms(r));
}

/* op->ask is set. The operation may have ended, and be gone, on return. */
static void step(struct ms_s3_op *op, bool is_on_pool) {
    ms_s3_ask_fn *ask = MS_TAKE(op->ask);
    bool slow = false;
    enum ms_code code = check_time(op, &op->error);

    if (code == MS_OK)
        code = ask(op, &op->error);
    if (code == MS_OK)
        code = ms_s3_call_hash(&op->call, is_on_pool, op->deadline_ns, &slow, &op->error);
    if (code == MS_OK && slow) {
        hash_on_pool(op);
        return;
    }
    if (code == MS_OK)
        code = send_off(op);
    if (code != MS_OK)
        end(op, code);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void leave_breaker(struct ms_s3_op *op) {
    const struct ms_s3_transfer *t = &op->call.transfer;
    bool is_unclear = t->code == MS_CANCELLED || t->code == MS_TIMEOUT;
    enum ms_s3_reach reach = MS_S3_UNKNOWN;

    if (t->is_unreached)
        reach = MS_S3_UNREACHED;
    else if (t->status != 0 || t->sent_ns != 0 || !is_unclear)
        reach = MS_S3_REACHED;
    ms_s3_breaker_leave(&op->s3->breaker, mono_ns(), op->is_probe, reach);
    op->is_probe = false;
}

/* The store's clock and ours differ by more than it forgives: sign by its clock from now on, and once more. */
static bool correct_skew(struct ms_s3_op *op) {
    int64_t ahead_ms;

    if (!op->call.is_skewed || op->skew_corrected ||
        !ms_s3_call_skew_ms(&op->call, &ahead_ms))
        return false;
    op->skew_corrected = true;
    __atomic_store_n(&op->s3->skew_ms, ahead_ms, __ATOMIC_SEQ_CST);
    return true;
}

static void on_answer(struct ms_task *task) {
    struct ms_s3_op *op = MS_CONTAINER_OF(task, struct ms_s3_op, task);
    enum ms_code code = ms_s3_call_judge(&op->call, &op->error);

    leave_breaker(op);
    if (code != MS_OK && correct_skew(op)) {
        code = send_off(op);
        if (code != MS_OK)
            end(op, code);
        return;
    }
    if (code != MS_OK)
        op->request->ret_retry_after_ms = ms_s3_call_retry_after_ms(&op->call);
    code = op->take(op, code, &op->error);
    if (code == MS_OK && op->ask)
        step(op, true);
    else
        end(op, code);
}

/* ---- looking --------------------------------------------------------------------------------- */

static enum ms_code take_reason(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    /* The list may be allowed where the object is not. */
    if (code == MS_OK)
        code = ms_fail(reterr, op->look.refused, "the object store refused HEAD of %s", op->look.key);
    return op->look.then(op, code, reterr);
}

/* HEAD has no body, so a refusal comes without its reason: a list asks for it. */
static enum ms_code ask_reason(struct ms_s3_op *op, struct ms_error *reterr) {
    struct ms_s3_call *c = ms_s3_op_call(op, "GET", NULL, take_reason);

    (void)reterr;
    ms_s3_call_query(c, "list-type", "2");
    ms_s3_call_query(c, "max-keys", "1");
    return MS_OK;
}

static enum ms_code take_look(struct ms_s3_op *op, enum ms_code code, struct ms_error *reterr) {
    struct ms_s3_transfer *t = &op->call.transfer;
    char length[32] = "", *end = NULL;

    if (code == MS_DENIED || code == MS_CONFIG || code == MS_INVALID) {
        op->look.refused = code;
        op->ask = t->status != 0 ? ask_reason : NULL;
        return op->ask ? MS_OK : op->look.then(op, code, reterr);
    }
    if (code == MS_OK) {
        if (!ms_s3_header(t, "content-length", length, sizeof length) || length[0] < '0' ||
            length[0] > '9' || (op->look.size = strtoull(length, &end, 10)) > INT64_MAX || *end)
            code = ms_fail(reterr, MS_PROTOCOL, "the store says that %s has '%s' bytes",
                           op->look.key, length);
        ms_s3_call_etag(&op->call, op->look.etag);
    }
    if (code == MS_OK)
        code = ms_s3_meta_of_headers(t, &op->look.meta, reterr);
    return op->look.then(op, code, reterr);
}

static enum ms_code ask_look(struct ms_s3_op *op, struct ms_error *reterr) {
    (void)reterr;
    ms_buf_clear(&op->look.meta);
    ms_s3_op_call(op, "HEAD", op->look.key, take_look);
    return MS_OK;
}

void ms_s3_op_look(struct ms_s3_op *op, const char *key, ms_s3_take_fn *then) {
    op->look.key = key;
    op->look.then = then;
    op->ask = ask_look;
}

/* ---- beginning ------------------------------------------------------------------------------- */

struct ms_s3_call *ms_s3_op_call(struct ms_s3_op *op, const char *method, const char *key,
                                 ms_s3_take_fn *take) {
    ms_s3_call_fini(&op->call);
    ms_s3_call_init(&op->call, op->s3, op->request, method, key);
    op->take = take;
    return &op->call;
}

void ms_s3_submit(struct ms_obj *obj, struct ms_obj_request *request) {
    struct ms_obj_request *r = request;
    struct ms_s3_op *op = NULL;
    enum ms_code code;

    ms_obj_clear_results(r);
    code = ms_obj_check(obj, r, &r->error);
    if (code == MS_OK && ms_obj_is_cancelled(r))
        code = ms_fail(&r->error, MS_CANCELLED, "%s was cancelled", ms_obj_op_name(r->op));
    if (code == MS_OK) {
        op = calloc(1, sizeof *op);
        if (!op)
            code = ms_fail(&r->error, MS_NO_MEMORY, "no memory for a %s", ms_obj_op_name(r->op));
    }
    if (!op) {
        ms_obj_finish(r, code);
        return;
    }
    op->s3 = ms_s3_of(obj);
    op->request = r;
    op->deadline_ns = mono_ns() + ms_obj_timeout_ms(r) * NS_PER_MS;
    op->ask = ms_s3_first_step(r->op);
    r->drv = op;
    r->task = (struct ms_task){0};
    step(op, false);
}

void ms_s3_cancel(struct ms_obj *obj, struct ms_obj_request *request) {
    struct ms_s3_op *op;

    __atomic_store_n(&request->cancelled, 1, __ATOMIC_SEQ_CST);
    if (!ms_engine_withdraw(obj->engine, &request->task)) {
        ms_s3_http_poke(ms_s3_of(obj)->http);
        return;
    }
    op = request->drv;
    end(op, ms_fail(&op->error, MS_CANCELLED, "%s was cancelled", ms_obj_op_name(request->op)));
}
