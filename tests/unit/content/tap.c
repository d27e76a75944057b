#include "content/tap.h"

#include <stdlib.h>

struct tap_call {
    struct tap *tap;
    struct ms_obj_request *request;
    struct tap_call *next;
    void (*done)(struct ms_obj_request *request);
    void *priv;
    bool lose;
};

static struct tap *tap_of(struct ms_obj *obj) { return (struct tap *)obj; }

static void come_back(struct ms_obj_request *r) {
    struct tap_call *c = r->priv;
    struct tap *tap = c->tap;
    struct tap_rule rule;

    pthread_mutex_lock(&tap->mutex);
    rule = tap->rule[r->op];
    pthread_mutex_unlock(&tap->mutex);
    if (rule.after)
        rule.after(rule.priv, r);
    if (c->lose)
        r->code = ms_fail(&r->error, rule.fail_code, "the reply was lost");
    r->done = c->done;
    r->priv = c->priv;
    free(c);
    pthread_mutex_lock(&tap->mutex);
    tap->in_flight--;
    tap->done_n[r->op]++;
    pthread_cond_broadcast(&tap->changed);
    pthread_mutex_unlock(&tap->mutex);
    r->done(r);
}

static void go_on(struct tap_call *c) {
    struct tap *tap = c->tap;
    struct tap_rule *rule = &tap->rule[c->request->op];
    struct tap_rule now;
    bool fail;

    pthread_mutex_lock(&tap->mutex);
    fail = rule->fail_next > 0;
    if (fail)
        rule->fail_next--;
    else if (rule->lose_next > 0) {
        rule->lose_next--;
        c->lose = true;
    }
    now = *rule;
    pthread_mutex_unlock(&tap->mutex);
    if (now.before)
        now.before(now.priv, c->request);
    if (fail) {
        c->request->code = ms_fail(&c->request->error, now.fail_code, "the test wants it");
        come_back(c->request);
    } else {
        ms_obj_submit(tap->inner, c->request);
    }
}

static void submit(struct ms_obj *obj, struct ms_obj_request *r) {
    struct tap *tap = tap_of(obj);
    struct tap_call *c = calloc(1, sizeof *c), **at;
    bool hold;

    *c = (struct tap_call){.tap = tap, .request = r, .done = r->done, .priv = r->priv};
    r->done = come_back;
    r->priv = c;
    pthread_mutex_lock(&tap->mutex);
    tap->count[r->op]++;
    if (++tap->in_flight > tap->in_flight_peak)
        tap->in_flight_peak = tap->in_flight;
    if (tap->log_n < TAP_LOG)
        tap->log[tap->log_n++] =
            (struct tap_entry){r->op, r->part_no, r->op == MS_OBJ_GET ? r->offset : r->part_offset,
                               r->op == MS_OBJ_GET ? r->length : r->body.length};
    hold = tap->rule[r->op].hold;
    if (hold) {
        for (at = &tap->held; *at; at = &(*at)->next)
            ;
        *at = c;
        tap->held_n[r->op]++;
        pthread_cond_broadcast(&tap->changed);
    }
    pthread_mutex_unlock(&tap->mutex);
    if (!hold)
        go_on(c);
}

/* Take a request out of those that are held. */
static struct tap_call *take(struct tap *tap, struct ms_obj_request *r) {
    struct tap_call **at = &tap->held, *c;

    while (*at && (*at)->request != r)
        at = &(*at)->next;
    c = *at;
    if (c) {
        *at = c->next;
        tap->held_n[r->op]--;
    }
    return c;
}

static void cancel(struct ms_obj *obj, struct ms_obj_request *r) {
    struct tap *tap = tap_of(obj);
    struct tap_call *c;

    pthread_mutex_lock(&tap->mutex);
    c = take(tap, r);
    pthread_mutex_unlock(&tap->mutex);
    if (!c) {
        ms_obj_cancel(tap->inner, r);
        return;
    }
    r->code = ms_fail(&r->error, MS_CANCELLED, "cancelled while held");
    come_back(r);
}

static void close_tap(struct ms_obj *obj) { (void)obj; }

void tap_init(struct tap *tap, struct ms_obj *inner) {
    static const struct ms_obj_ops ops = {
        .name = "tap", .submit = submit, .cancel = cancel, .close = close_tap};

    *tap = (struct tap){.obj = {&ops, inner->caps, inner->engine}, .inner = inner};
    pthread_mutex_init(&tap->mutex, NULL);
    pthread_cond_init(&tap->changed, NULL);
}

void tap_fini(struct tap *tap) {
    pthread_cond_destroy(&tap->changed);
    pthread_mutex_destroy(&tap->mutex);
}

void tap_wait_held(struct tap *tap, enum ms_obj_op op, unsigned n) {
    pthread_mutex_lock(&tap->mutex);
    while (tap->held_n[op] < n)
        pthread_cond_wait(&tap->changed, &tap->mutex);
    pthread_mutex_unlock(&tap->mutex);
}

void tap_wait_done(struct tap *tap, enum ms_obj_op op, unsigned n) {
    pthread_mutex_lock(&tap->mutex);
    while (tap->done_n[op] < n)
        pthread_cond_wait(&tap->changed, &tap->mutex);
    pthread_mutex_unlock(&tap->mutex);
}

void tap_release(struct tap *tap, enum ms_obj_op op) {
    struct tap_call *c, **at;

    for (;;) {
        pthread_mutex_lock(&tap->mutex);
        tap->rule[op].hold = false;
        for (at = &tap->held; *at && (*at)->request->op != op; at = &(*at)->next)
            ;
        c = *at ? take(tap, (*at)->request) : NULL;
        pthread_mutex_unlock(&tap->mutex);
        if (!c)
            return;
        go_on(c);
    }
}

unsigned tap_sent(struct tap *tap, uint32_t part_no) {
    unsigned n = 0;

    pthread_mutex_lock(&tap->mutex);
    for (size_t i = 0; i < tap->log_n; i++)
        n += tap->log[i].op == MS_OBJ_MP_PUT && tap->log[i].part_no == part_no;
    pthread_mutex_unlock(&tap->mutex);
    return n;
}
