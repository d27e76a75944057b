/* wrap_fault.c — see wrap_fault.h. */
#include "object/wrap_fault.h"

#include "base/assert.h"
#include "object/wrap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NS_PER_MS INT64_C(1000000)
#define RULES_MAX 64
#define RULE_TEXT_MAX 512
#define HOLD_POLL_NS (20 * NS_PER_MS)

enum action { FAIL_BEFORE, FAIL_AFTER, DELAY, HANG, HOLD, SHORT, FLIP };

struct rule {
    enum ms_obj_op op;  /* MS_OBJ_OP_COUNT: all */
    uint64_t from, to;  /* calls, from 1 */
    uint32_t per_mille; /* 1000: not random */
    enum action action;
    enum ms_code code;
    int64_t delay_ms;
    char path[256];
};

struct script {
    int refs; /* by the mutex: calls that wait look at their rules */
    size_t n;
    uint64_t seed;
    struct rule rule[RULES_MAX];
};

struct fault_call {
    struct ms_wrap_call call;
    struct script *script;
    const struct rule *act; /* the one that ends or changes it, or NULL */
    const struct rule *hold[RULES_MAX];
    size_t holds;
    int64_t delay_ms, deadline_ns;
    uint64_t random;
    struct fault_call *prev, *next; /* among the held */
};

struct fault {
    struct ms_wrap wrap;
    pthread_cond_t held_more;
    struct {
        struct script *script;
        struct ms_random_seeded random;
        uint64_t calls[MS_OBJ_OP_COUNT + 1];
        bool closed[MS_OBJ_OP_COUNT];
        struct fault_call *held;
        size_t held_n;
    } locked; /* by wrap.mutex */
};

static struct fault *fault_of(struct ms_obj *obj) {
    return MS_CONTAINER_OF(obj, struct fault, wrap.obj);
}
static struct fault_call *call_of(struct ms_wrap_call *call) {
    return MS_CONTAINER_OF(call, struct fault_call, call);
}
static int64_t mono_ns(void) { return ms_clock_mono_ns(ms_clock_system()); }

/* ---- the script ------------------------------------------------------------------------------ */

static bool is_word(const char *p, size_t n, const char *word) {
    return strlen(word) == n && strncmp(p, word, n) == 0;
}

static bool parse_number(const char *p, size_t n, uint64_t *ret_v) {
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9' || v > UINT64_MAX / 10 - 1)
            return false;
        v = v * 10 + (uint64_t)(p[i] - '0');
    }
    *ret_v = v;
    return n > 0;
}

static bool parse_op(const char *p, size_t n, enum ms_obj_op *ret_op) {
    for (unsigned op = 0; op < MS_OBJ_OP_COUNT; op++)
        if (is_word(p, n, ms_obj_op_name(op))) {
            *ret_op = op;
            return true;
        }
    *ret_op = MS_OBJ_OP_COUNT;
    return is_word(p, n, "*");
}

static bool parse_which(const char *p, size_t n, struct rule *rule) {
    const char *dash = memchr(p, '-', n);
    uint64_t percent;

    rule->from = 1;
    rule->to = UINT64_MAX;
    rule->per_mille = 1000;
    if (is_word(p, n, "*"))
        return true;
    if (n > 1 && p[n - 1] == '%') {
        if (!parse_number(p, n - 1, &percent) || percent > 100)
            return false;
        rule->per_mille = (uint32_t)percent * 10;
        return true;
    }
    if (n > 1 && p[n - 1] == '+')
        return parse_number(p, n - 1, &rule->from) && rule->from >= 1;
    if (dash)
        return parse_number(p, (size_t)(dash - p), &rule->from) && rule->from >= 1 &&
               parse_number(dash + 1, n - (size_t)(dash - p) - 1, &rule->to) &&
               rule->to >= rule->from;
    rule->to = 0;
    if (!parse_number(p, n, &rule->from) || rule->from < 1)
        return false;
    rule->to = rule->from;
    return true;
}

static bool parse_code(const char *text, enum ms_code *ret_code) {
    for (unsigned code = MS_OK + 1; code < MS_CODE_COUNT; code++)
        if (strcmp(text, ms_code_name(code)) == 0) {
            *ret_code = code;
            return true;
        }
    return false;
}

static bool parse_action(const char *p, struct rule *rule) {
    static const struct {
        const char *word;
        enum action action;
    } words[] = {{"fail-before", FAIL_BEFORE},
                 {"fail-after", FAIL_AFTER},
                 {"delay", DELAY},
                 {"hang", HANG},
                 {"hold", HOLD},
                 {"short", SHORT},
                 {"flip", FLIP}};
    const char *equals = strchrnul(p, '='), *value = *equals ? equals + 1 : NULL;
    size_t i = 0;

    while (i < MS_ARRAY_LEN(words) && !is_word(p, (size_t)(equals - p), words[i].word))
        i++;
    if (i == MS_ARRAY_LEN(words))
        return false;
    rule->action = words[i].action;
    rule->code = MS_UNAVAILABLE;
    switch (rule->action) {
    case FAIL_BEFORE:
    case FAIL_AFTER:
        return !value || parse_code(value, &rule->code);
    case DELAY:
        return value && ms_duration_parse(value, &rule->delay_ms, NULL) == MS_OK;
    case HOLD:
        return value && value[0] == '/' &&
               snprintf(rule->path, sizeof rule->path, "%s", value) < (int)sizeof rule->path;
    case HANG:
    case SHORT:
    case FLIP:
        break;
    }
    return !value;
}

/* "seed=N" or "OP:WHICH:ACTION". */
static bool parse_rule(const char *text, struct script *script) {
    const char *first = strchr(text, ':'), *second = first ? strchr(first + 1, ':') : NULL;
    struct rule *rule = &script->rule[script->n];

    if (strncmp(text, "seed=", 5) == 0)
        return parse_number(text + 5, strlen(text + 5), &script->seed);
    if (!second || script->n == RULES_MAX)
        return false;
    if (!parse_op(text, (size_t)(first - text), &rule->op) ||
        !parse_which(first + 1, (size_t)(second - first) - 1, rule) ||
        !parse_action(second + 1, rule))
        return false;
    script->n++;
    return true;
}

static enum ms_code parse_script(const char *text, struct script *script, struct ms_error *reterr) {
    char rule[RULE_TEXT_MAX];
    size_t n;

    for (const char *p = text; *p; p += n) {
        p += strspn(p, ", \t\n");
        n = strcspn(p, ", \t\n");
        if (n == 0)
            break;
        if (snprintf(rule, sizeof rule, "%.*s", (int)n, p) >= (int)sizeof rule ||
            !parse_rule(rule, script))
            return ms_fail(reterr, MS_CONFIG,
                           "fault rule '%s' cannot be read: OP:WHICH:ACTION is "
                           "wanted, as in PUT:2:fail-before",
                           rule);
    }
    return MS_OK;
}

static enum ms_code script_new(const char *text, struct script **ret_script,
                               struct ms_error *reterr) {
    struct script *script = calloc(1, sizeof *script);
    enum ms_code code;

    if (!script)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a fault script");
    script->refs = 1;
    script->seed = 1;
    code = parse_script(text, script, reterr);
    if (code != MS_OK) {
        free(script);
        return code;
    }
    *ret_script = script;
    return MS_OK;
}

static void script_put_locked(struct script *script) {
    if (script && --script->refs == 0)
        free(script);
}

/* ---- what happens to a call ------------------------------------------------------------------ */

static bool fits_locked(struct fault *f, const struct rule *rule, enum ms_obj_op op) {
    uint64_t n = f->locked.calls[rule->op == MS_OBJ_OP_COUNT ? MS_OBJ_OP_COUNT : op];

    if (rule->op != MS_OBJ_OP_COUNT && rule->op != op)
        return false;
    if (n < rule->from || n > rule->to)
        return false;
    return rule->per_mille == 1000 ||
           ms_random_below(&f->locked.random.random, 1000) < rule->per_mille;
}

static void plan_locked(struct fault *f, struct fault_call *c) {
    enum ms_obj_op op = c->call.inner.op;
    const struct rule *rule;

    f->locked.calls[op]++;
    f->locked.calls[MS_OBJ_OP_COUNT]++;
    c->script = f->locked.script;
    c->script->refs++;
    c->random = ms_random_u64(&f->locked.random.random);
    for (size_t i = 0; i < c->script->n; i++) {
        rule = &c->script->rule[i];
        if (!fits_locked(f, rule, op))
            continue;
        if (rule->action == DELAY)
            c->delay_ms += rule->delay_ms;
        else if (rule->action == HOLD)
            c->hold[c->holds++] = rule;
        else if (!c->act)
            c->act = rule;
    }
}

static void end(struct fault_call *c) {
    struct fault *f = MS_CONTAINER_OF(c->call.wrap, struct fault, wrap);

    pthread_mutex_lock(&f->wrap.mutex);
    script_put_locked(c->script);
    pthread_mutex_unlock(&f->wrap.mutex);
    ms_wrap_end(&c->call);
}

static void end_with(struct fault_call *c, enum ms_code code, const char *why) {
    struct ms_obj_request *r = &c->call.inner;

    r->code = ms_fail(&r->error, code, "%s of %s: %s", ms_obj_op_name(r->op),
                      r->key ? r->key : "(all)", why);
    end(c);
}

static void end_late(struct ms_wrap_call *call) {
    end_with(call_of(call), MS_TIMEOUT, "the deadline passed");
}

static void flip_bit(const struct fault_call *c) {
    const struct ms_obj_request *r = &c->call.inner;

    if (r->op == MS_OBJ_GET && r->length > 0)
        ((unsigned char *)r->into)[c->random % r->length] ^=
            (unsigned char)(1u << (c->random >> 61));
}

static void cut_short(const struct fault_call *c, struct ms_obj_request *r) {
    if (r->op != MS_OBJ_GET || r->length == 0)
        return;
    r->ret_n = r->length / 2;
    memset((char *)r->into + r->ret_n, (int)(c->random & 0xff), r->length - r->ret_n);
}

static void on_reply(struct ms_wrap_call *call) {
    struct fault_call *c = call_of(call);

    if (c->act && call->inner.code == MS_OK) {
        if (c->act->action == FAIL_AFTER) {
            end_with(c, c->act->code, "made to fail, after it was done");
            return;
        }
        if (c->act->action == SHORT)
            cut_short(c, &call->inner);
        if (c->act->action == FLIP)
            flip_bit(c);
    }
    end(c);
}

static int64_t left_ns(const struct fault_call *c) {
    int64_t left = c->deadline_ns - mono_ns();

    return left > 0 ? left : 0;
}

static void go_down(struct ms_wrap_call *call) {
    struct fault_call *c = call_of(call);

    if (c->act && c->act->action == FAIL_BEFORE) {
        end_with(c, c->act->code, "made to fail, before it was done");
    } else if (left_ns(c) == 0) {
        end_late(call);
    } else if (c->act && c->act->action == HANG) {
        ms_wrap_wait(call, left_ns(c), end_late);
    } else {
        if (call->inner.timeout_ms > 0)
            call->inner.timeout_ms = left_ns(c) / NS_PER_MS + 1;
        ms_wrap_down(call);
    }
}

static void delay(struct fault_call *c) {
    int64_t ns = c->delay_ms * NS_PER_MS;

    if (ns == 0)
        go_down(&c->call);
    else if (ns >= left_ns(c))
        ms_wrap_wait(&c->call, left_ns(c), end_late);
    else
        ms_wrap_wait(&c->call, ns, go_down);
}

static bool is_held_by_file(const struct fault_call *c) {
    for (size_t i = 0; i < c->holds; i++)
        if (access(c->hold[i]->path, F_OK) == 0)
            return true;
    return false;
}

static void look_at_files(struct ms_wrap_call *call) {
    struct fault_call *c = call_of(call);

    if (!is_held_by_file(c))
        delay(c);
    else if (left_ns(c) == 0)
        end_late(call);
    else
        ms_wrap_wait(call, left_ns(c) < HOLD_POLL_NS ? left_ns(c) : HOLD_POLL_NS, look_at_files);
}

/* ---- gates ----------------------------------------------------------------------------------- */

static void hold_locked(struct fault *f, struct fault_call *c) {
    c->next = f->locked.held;
    if (c->next)
        c->next->prev = c;
    f->locked.held = c;
    f->locked.held_n++;
    pthread_cond_broadcast(&f->held_more);
}

static bool is_held_locked(const struct fault *f, const struct fault_call *c) {
    return c->prev || f->locked.held == c;
}

static void unhold_locked(struct fault *f, struct fault_call *c) {
    if (!is_held_locked(f, c))
        return;
    if (c->prev)
        c->prev->next = c->next;
    else
        f->locked.held = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->prev = c->next = NULL;
    f->locked.held_n--;
}

static void on_unwait(struct ms_wrap_call *call) {
    struct fault_call *c = call_of(call);
    struct fault *f = MS_CONTAINER_OF(call->wrap, struct fault, wrap);

    pthread_mutex_lock(&f->wrap.mutex);
    unhold_locked(f, c);
    script_put_locked(c->script);
    pthread_mutex_unlock(&f->wrap.mutex);
}

static void end_held(struct ms_wrap_call *call) {
    struct fault *f = MS_CONTAINER_OF(call->wrap, struct fault, wrap);

    pthread_mutex_lock(&f->wrap.mutex);
    unhold_locked(f, call_of(call));
    pthread_mutex_unlock(&f->wrap.mutex);
    end_late(call);
}

static void fault_submit(struct ms_obj *obj, struct ms_obj_request *request) {
    struct fault *f = fault_of(obj);
    struct fault_call *c = ms_wrap_begin(&f->wrap, request, sizeof *c, on_reply);
    bool held;

    if (!c)
        return;
    c->deadline_ns = mono_ns() + ms_obj_timeout_ms(request) * NS_PER_MS;
    c->call.unwait = on_unwait;
    ms_wrap_ref(&c->call);
    pthread_mutex_lock(&f->wrap.mutex);
    plan_locked(f, c);
    held = f->locked.closed[c->call.inner.op];
    if (held) {
        ms_wrap_arm(&c->call, left_ns(c), end_held);
        hold_locked(f, c);
    }
    pthread_mutex_unlock(&f->wrap.mutex);
    if (held)
        ms_wrap_end_if_cancelled(&c->call);
    else
        look_at_files(&c->call);
    ms_wrap_unref(&c->call);
}

/* Those whose timer we win are ours; the others are about to end. */
static struct fault_call *take_released_locked(struct fault *f) {
    struct fault_call *c, *next, *released = NULL;

    for (c = f->locked.held; c; c = next) {
        next = c->next;
        if (f->locked.closed[c->call.inner.op] || !ms_wrap_unwait(&c->call))
            continue;
        unhold_locked(f, c);
        c->next = released;
        released = c;
    }
    return released;
}

void ms_fault_gate(struct ms_obj *fault, enum ms_obj_op op, bool closed) {
    struct fault *f = fault_of(fault);
    struct fault_call *c, *next;

    pthread_mutex_lock(&f->wrap.mutex);
    for (unsigned i = 0; i < MS_OBJ_OP_COUNT; i++)
        if (op == MS_OBJ_OP_COUNT || op == i)
            f->locked.closed[i] = closed;
    c = take_released_locked(f);
    pthread_mutex_unlock(&f->wrap.mutex);
    for (; c; c = next) {
        next = c->next;
        c->next = NULL;
        look_at_files(&c->call);
    }
}

size_t ms_fault_held(struct ms_obj *fault) {
    struct fault *f = fault_of(fault);
    size_t n;

    pthread_mutex_lock(&f->wrap.mutex);
    n = f->locked.held_n;
    pthread_mutex_unlock(&f->wrap.mutex);
    return n;
}

void ms_fault_wait_held(struct ms_obj *fault, size_t n) {
    struct fault *f = fault_of(fault);

    pthread_mutex_lock(&f->wrap.mutex);
    while (f->locked.held_n < n)
        pthread_cond_wait(&f->held_more, &f->wrap.mutex);
    pthread_mutex_unlock(&f->wrap.mutex);
}

uint64_t ms_fault_calls(struct ms_obj *fault, enum ms_obj_op op) {
    struct fault *f = fault_of(fault);
    uint64_t n;

    pthread_mutex_lock(&f->wrap.mutex);
    n = f->locked.calls[op];
    pthread_mutex_unlock(&f->wrap.mutex);
    return n;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void use_script_locked(struct fault *f, struct script *script) {
    script_put_locked(f->locked.script);
    f->locked.script = script;
    ms_random_seeded_fini(&f->locked.random);
    ms_random_seeded_init(&f->locked.random, script->seed);
    memset(f->locked.calls, 0, sizeof f->locked.calls);
}

enum ms_code ms_fault_script(struct ms_obj *fault, const char *script, struct ms_error *reterr) {
    struct fault *f = fault_of(fault);
    struct script *parsed = NULL;
    enum ms_code code = script_new(script, &parsed, reterr);

    if (code != MS_OK)
        return code;
    pthread_mutex_lock(&f->wrap.mutex);
    use_script_locked(f, parsed);
    pthread_mutex_unlock(&f->wrap.mutex);
    return MS_OK;
}

static void fault_close(struct ms_obj *obj) {
    struct fault *f = fault_of(obj);

    MS_ASSERT(f->locked.held_n == 0);
    script_put_locked(f->locked.script);
    ms_random_seeded_fini(&f->locked.random);
    pthread_cond_destroy(&f->held_more);
    ms_wrap_fini(&f->wrap);
    free(f);
}

static const struct ms_obj_ops *fault_ops(void) {
    static const struct ms_obj_ops ops = {"fault", fault_submit, ms_wrap_cancel, fault_close};

    return &ops;
}

struct ms_obj *ms_obj_fault_of(struct ms_obj *obj) {
    while (obj && obj->ops != fault_ops())
        obj = obj->inner;
    return obj;
}

enum ms_code ms_wrap_fault(const struct ms_obj_options *options, struct ms_obj *inner,
                           struct ms_obj **ret_obj, struct ms_error *reterr) {
    struct script *script = NULL;
    enum ms_code code = script_new(options->faults, &script, reterr);
    struct fault *f = code == MS_OK ? calloc(1, sizeof *f) : NULL;

    if (code == MS_OK && !f)
        code = ms_fail(reterr, MS_NO_MEMORY, "no memory for an object store");
    if (code != MS_OK) {
        free(script);
        ms_obj_close(inner);
        return code;
    }
    ms_wrap_init(&f->wrap, fault_ops(), inner);
    pthread_cond_init(&f->held_more, NULL);
    ms_random_seeded_init(&f->locked.random, script->seed);
    f->locked.script = script;
    *ret_obj = &f->wrap.obj;
    return MS_OK;
}
