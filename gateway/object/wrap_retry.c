/* wrap_retry.c — bounded back-off for what may work the next time.
 *
 * Every operation of object.h may be repeated, so only the code decides: the store could not be reached, was too
 * slow, asked for patience, or the transport broke. An answer that makes no sense may be one that was damaged on
 * its way (http has no checksum of its own), and is asked for again, but not as often: a store may be like that.
 * The pause is random between 0 and a bound that doubles ("full jitter": clients of a store that comes back do not
 * arrive together). A store that says how long it wants to be left alone is left alone for that long, within
 * PAUSE_MAX_MS, and a random bit more. A budget shared by all calls ends retrying when most calls fail: then a
 * store that is down costs one try, not five.
 */
#include "base/assert.h"
#include "object/wrap.h"

#include <inttypes.h>
#include <stdlib.h>

#define NS_PER_MS INT64_C(1000000)
#define TRIES_DEFAULT 5
#define TRIES_PROTOCOL 3u
#define PAUSE_FIRST_MS UINT64_C(100)
#define PAUSE_MAX_MS UINT64_C(20000)
/* A retry costs 5, a success gives 1 back, and so do 100 ms: 100 retries at once, 2 a second for ever. */
#define BUDGET_MAX 500
#define RETRY_COST 5
#define REFILL_NS (100 * NS_PER_MS)

struct retry {
    struct ms_wrap wrap;
    struct ms_random *random;
    unsigned tries_max;
    struct {
        int64_t budget;
        int64_t refilled_ns;
    } locked; /* by wrap.mutex */
};

struct retry_call {
    struct ms_wrap_call call;
    unsigned tries;
    int64_t deadline_ns; /* 0: each try has the driver's own */
};

static int64_t mono_ns(void) { return ms_clock_mono_ns(ms_clock_system()); }

/* ---- budget ---------------------------------------------------------------------------------- */

static void refill_locked(struct retry *r, int64_t more) {
    int64_t now = mono_ns(), steps = (now - r->locked.refilled_ns) / REFILL_NS;

    r->locked.refilled_ns += steps * REFILL_NS;
    r->locked.budget += steps + more;
    if (r->locked.budget > BUDGET_MAX)
        r->locked.budget = BUDGET_MAX;
}

static void give_back(struct retry *r) {
    pthread_mutex_lock(&r->wrap.mutex);
    refill_locked(r, 1);
    pthread_mutex_unlock(&r->wrap.mutex);
}

static bool take(struct retry *r) {
    bool enough;

    pthread_mutex_lock(&r->wrap.mutex);
    refill_locked(r, 0);
    enough = r->locked.budget >= RETRY_COST;
    if (enough)
        r->locked.budget -= RETRY_COST;
    pthread_mutex_unlock(&r->wrap.mutex);
    return enough;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* How often in all a call that ends with this is sent; 0: this is its end. */
static unsigned tries_of(const struct retry *r, enum ms_code code) {
    if (code == MS_PROTOCOL)
        return r->tries_max < TRIES_PROTOCOL ? r->tries_max : TRIES_PROTOCOL;
    return code == MS_UNAVAILABLE || code == MS_TIMEOUT || code == MS_THROTTLED || code == MS_IO ? r->tries_max : 0;
}

static uint64_t pause_max_ms(unsigned tries) {
    MS_ASSERT(tries >= 1);
    return tries > 8 ? PAUSE_MAX_MS : PAUSE_FIRST_MS << (tries - 1);
}

static int64_t pause_ns_of(struct retry *r, const struct retry_call *c) {
    uint64_t most = pause_max_ms(c->tries);
    uint64_t asked = c->call.inner.ret_retry_after_ms > 0 ? (uint64_t)c->call.inner.ret_retry_after_ms : 0;

    if (asked > PAUSE_MAX_MS)
        asked = PAUSE_MAX_MS;
    return (int64_t)(asked + ms_random_below(r->random, most + 1)) * NS_PER_MS;
}

static void again(struct ms_wrap_call *call) {
    struct retry_call *c = MS_CONTAINER_OF(call, struct retry_call, call);
    int64_t left_ms = (c->deadline_ns - mono_ns()) / NS_PER_MS;

    if (c->deadline_ns != 0)
        call->inner.timeout_ms = left_ms > 0 ? left_ms : 1;
    ms_wrap_down(call);
}

static void note_tries(struct retry_call *c, const char *why) {
    struct ms_obj_request *r = &c->call.inner;
    struct ms_error last = r->error;

    if (c->tries > 1)
        (void)ms_fail(&r->error, last.code, "%s (%u tries, %s)", last.message, c->tries, why);
}

static void on_reply(struct ms_wrap_call *call) {
    struct retry_call *c = MS_CONTAINER_OF(call, struct retry_call, call);
    struct retry *r = MS_CONTAINER_OF(call->wrap, struct retry, wrap);
    int64_t pause_ns;

    c->tries++;
    if (call->inner.code == MS_OK)
        give_back(r);
    unsigned most = tries_of(r, call->inner.code);
    if (most == 0) {
        ms_wrap_end(call);
        return;
    }
    if (ms_obj_is_cancelled(&call->inner)) {
        ms_wrap_end_with(call, MS_CANCELLED, "%s was cancelled", ms_obj_op_name(call->inner.op));
        return;
    }
    pause_ns = pause_ns_of(r, c);
    if (c->tries >= most) {
        note_tries(c, "no more are allowed");
        ms_wrap_end(call);
    } else if (c->deadline_ns != 0 && mono_ns() + pause_ns >= c->deadline_ns) {
        note_tries(c, "no time is left for another");
        ms_wrap_end(call);
    } else if (!take(r)) {
        note_tries(c, "too many calls fail to try them again");
        ms_wrap_end(call);
    } else {
        ms_wrap_wait(call, pause_ns, again);
    }
}

static void retry_submit(struct ms_obj *obj, struct ms_obj_request *request) {
    struct ms_wrap *wrap = MS_CONTAINER_OF(obj, struct ms_wrap, obj);
    struct retry_call *c = ms_wrap_begin(wrap, request, sizeof *c, on_reply);

    if (!c)
        return;
    if (request->timeout_ms > 0)
        c->deadline_ns = mono_ns() + request->timeout_ms * NS_PER_MS;
    ms_wrap_down(&c->call);
}

static void retry_close(struct ms_obj *obj) {
    struct ms_wrap *wrap = MS_CONTAINER_OF(obj, struct ms_wrap, obj);

    ms_wrap_fini(wrap);
    free(MS_CONTAINER_OF(wrap, struct retry, wrap));
}

static const struct ms_obj_ops *retry_ops(void) {
    static const struct ms_obj_ops ops = {"retry", retry_submit, ms_wrap_cancel, retry_close};

    return &ops;
}

enum ms_code ms_wrap_retry(const struct ms_obj_options *options, struct ms_obj *inner,
                           struct ms_obj **ret_obj, struct ms_error *reterr) {
    struct retry *r = calloc(1, sizeof *r);

    if (!r) {
        ms_obj_close(inner);
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an object store");
    }
    ms_wrap_init(&r->wrap, retry_ops(), inner);
    r->random = options->random;
    r->tries_max = options->tries_max ? options->tries_max : TRIES_DEFAULT;
    r->locked.budget = BUDGET_MAX;
    r->locked.refilled_ns = mono_ns();
    *ret_obj = &r->wrap.obj;
    return MS_OK;
}
