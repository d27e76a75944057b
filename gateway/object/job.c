/* job.c — blocking work of a driver on the engine's pool, with queue, deadline and cancelling. */
#include "base/assert.h"
#include "object/driver.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define NS_PER_MS INT64_C(1000000)

/* The deadline's timer may be on its way while the work ends. Each says so, and the second one calls done: until
 * then the request must stay. */
static void say_done_as_second(struct ms_obj_request *r) {
    if (__atomic_exchange_n(&r->turn, 1, __ATOMIC_SEQ_CST) == 1)
        ms_obj_finish(r, r->code);
}

static void settle(struct ms_obj_request *r, enum ms_code code) {
    struct ms_obj *obj = r->drv;

    r->code = code;
    if (ms_engine_cancel(obj->engine, &r->timer))
        ms_obj_finish(r, code);
    else
        say_done_as_second(r);
}

static enum ms_code fail_timeout(const struct ms_obj_request *r, struct ms_error *reterr) {
    return ms_fail(reterr, MS_TIMEOUT, "%s of %s was not done within %" PRId64 " ms",
                   ms_obj_op_name(r->op), r->key ? r->key : "(all)", ms_obj_timeout_ms(r));
}

static void on_deadline(struct ms_timer *timer) {
    struct ms_obj_request *r = MS_CONTAINER_OF(timer, struct ms_obj_request, timer);
    struct ms_obj *obj = r->drv;

    if (ms_engine_withdraw(obj->engine, &r->task))
        ms_obj_finish(r, fail_timeout(r, &r->error));
    else
        say_done_as_second(r); /* it runs, and looks at the clock itself */
}

enum ms_code ms_job_go_on(const struct ms_obj_request *request, struct ms_error *reterr) {
    if (ms_obj_is_cancelled(request))
        return ms_fail(reterr, MS_CANCELLED, "%s was cancelled", ms_obj_op_name(request->op));
    if (ms_clock_mono_ns(ms_clock_system()) >= request->timer.due_mono_ns)
        return fail_timeout(request, reterr);
    return MS_OK;
}

static void run_task(struct ms_task *task) {
    struct ms_obj_request *r = MS_CONTAINER_OF(task, struct ms_obj_request, task);
    struct ms_job_obj *job = r->drv;
    enum ms_code code = ms_job_go_on(r, &r->error);

    if (code == MS_OK)
        code = job->run[r->op](&job->obj, r, &r->error);
    if (code != MS_OK)
        ms_obj_drop_results(r);
    settle(r, code);
}

void ms_job_submit(struct ms_obj *obj, struct ms_obj_request *request) {
    enum ms_code code;

    ms_obj_clear_results(request);
    code = ms_obj_check(obj, request, &request->error);
    if (code == MS_OK && ms_obj_is_cancelled(request))
        code =
            ms_fail(&request->error, MS_CANCELLED, "%s was cancelled", ms_obj_op_name(request->op));
    if (code != MS_OK) {
        ms_obj_finish(request, code);
        return;
    }
    request->drv = obj;
    request->turn = 0;
    request->task = (struct ms_task){.run = run_task};
    request->timer = (struct ms_timer){.fire = on_deadline};
    ms_engine_after(obj->engine, &request->timer, ms_obj_timeout_ms(request) * NS_PER_MS);
    ms_engine_post(obj->engine, &request->task);
}

void ms_job_cancel(struct ms_obj *obj, struct ms_obj_request *request) {
    __atomic_store_n(&request->cancelled, 1, __ATOMIC_SEQ_CST);
    if (ms_engine_withdraw(obj->engine, &request->task))
        settle(request, ms_fail(&request->error, MS_CANCELLED, "%s was cancelled",
                                ms_obj_op_name(request->op)));
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static enum ms_code read_step(struct ms_body_reader *reader, size_t want, struct ms_error *reterr) {
    const struct ms_obj_body *body = reader->body;
    size_t got = 0;
    ssize_t n;

    while (got < want) {
        n = pread(body->fd, (char *)reader->buffer + got, want - got,
                  (off_t)(body->fd_offset + reader->at + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ms_fail_errno(reterr, errno, "cannot read the bytes to send at offset %" PRIu64,
                                 body->fd_offset + reader->at + got);
        if (n == 0)
            return ms_fail(reterr, MS_MISMATCH,
                           "the file to send ends at %" PRIu64 " of %" PRIu64 " bytes",
                           reader->at + got, body->length);
        got += (size_t)n;
    }
    return MS_OK;
}

enum ms_code ms_body_next(struct ms_body_reader *reader, struct ms_view *ret_bytes,
                          struct ms_error *reterr) {
    uint64_t left = reader->body->length - reader->at;
    size_t n = left < MS_BODY_STEP ? (size_t)left : MS_BODY_STEP;
    enum ms_code code;

    MS_ASSERT(reader->at <= reader->body->length);
    if (n == 0) {
        *ret_bytes = ms_view_of(NULL, 0);
        return MS_OK;
    }
    if (reader->body->memory.p) {
        *ret_bytes = ms_view_of((const char *)reader->body->memory.p + reader->at, n);
        reader->at += n;
        return MS_OK;
    }
    if (!reader->buffer)
        reader->buffer = malloc(n); /* the first step is the longest */
    if (!reader->buffer)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu bytes to send", n);
    code = read_step(reader, n, reterr);
    if (code != MS_OK)
        return code;
    *ret_bytes = ms_view_of(reader->buffer, n);
    reader->at += n;
    return MS_OK;
}

void ms_body_fini(struct ms_body_reader *reader) {
    free(reader->buffer);
    reader->buffer = NULL;
}
