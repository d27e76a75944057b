/* script.h — which request of the fault proxy meets which fault: a script, a seed, and a number for every request.
 *
 * A script is rules with commas or blanks between them, the same form as in gateway/object/wrap_fault.h:
 *     OP:WHICH:ACTION[=VALUE]
 * OP     PUT GET HEAD DELETE LIST MP_CREATE MP_PUT MP_COMPLETE MP_ABORT MP_LIST MP_PARTS COPY MP_COPY DELETE_MANY
 *        OTHER, or *
 * WHICH  * every request, N the Nth of that OP (from 1), N+ from the Nth on, N-M, P% a part of them at random
 * ACTION as in FAULT_ACTIONS below
 * Delays that fit a request add up; of the other actions the first one that fits is taken.
 *
 * What the Nth request of an operation meets depends on seed, operation and N alone, so a run can be repeated although
 * threads race. Pure; threads: any, on a script of their own.
 */
#ifndef MS_TESTS_FAULT_SCRIPT_H
#define MS_TESTS_FAULT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAULT_OPS(X)                                                                               \
    X(PUT)                                                                                         \
    X(GET)                                                                                         \
    X(HEAD)                                                                                        \
    X(DELETE)                                                                                      \
    X(LIST)                                                                                        \
    X(MP_CREATE)                                                                                   \
    X(MP_PUT)                                                                                      \
    X(MP_COMPLETE)                                                                                 \
    X(MP_ABORT)                                                                                    \
    X(MP_LIST)                                                                                     \
    X(MP_PARTS)                                                                                    \
    X(COPY)                                                                                        \
    X(MP_COPY)                                                                                     \
    X(DELETE_MANY)                                                                                 \
    X(OTHER)
enum fault_op {
#define FAULT_OP_ENUM(n) FAULT_##n,
    FAULT_OPS(FAULT_OP_ENUM)
#undef FAULT_OP_ENUM
        FAULT_OP_COUNT
};

#define FAULT_ACTIONS(X)                                                                           \
    X(NONE, "none")                  /* goes through: shields a request from the rules behind it */ \
    X(SLOWDOWN, "slowdown")          /* 503 SlowDown; with VALUE: and Retry-After of so many seconds */ \
    X(ERROR, "error")                /* 500 InternalError; VALUE: another status */                \
    X(REFUSE, "refuse")              /* 403 AccessDenied */                                        \
    X(RESET, "reset")                /* the connection is reset before the store sees anything */  \
    X(RESET_REQUEST, "reset-request") /* ... in the middle of the request */                       \
    X(RESET_ANSWER, "reset-answer")  /* ... in the middle of the answer */                         \
    X(LOST, "lost")                  /* the store does it; the answer never comes: a reset */      \
    X(TRUNCATE, "truncate")          /* the answer ends early, by an orderly close */              \
    X(FLIP, "flip")                  /* one bit of the answer's body is another one */             \
    X(FLIP_REQUEST, "flip-request")  /* one bit of the request's body */                           \
    X(HANG, "hang")                  /* taken, never answered: a reset after VALUE ms, 0: when the script changes */ \
    X(MUTE, "mute")                  /* the store does it; then as hang */                         \
    X(TRICKLE, "trickle")            /* the answer comes at VALUE bytes a second */                \
    X(DELAY, "delay")                /* VALUE ms later */
enum fault_action {
#define FAULT_ACTION_ENUM(n, text) FAULT_DO_##n,
    FAULT_ACTIONS(FAULT_ACTION_ENUM)
#undef FAULT_ACTION_ENUM
        FAULT_ACTION_COUNT
};
const char *fault_op_name(enum fault_op op);
const char *fault_action_name(enum fault_action action);

struct fault_rule {
    enum fault_op op;      /* FAULT_OP_COUNT: all */
    unsigned percent;      /* 0: by number */
    uint64_t first, last;
    enum fault_action action;
    uint64_t value;
};
#define FAULT_RULES_MAX 32
struct fault_script {
    struct fault_rule rule[FAULT_RULES_MAX];
    size_t n;
};

/* What a request meets. where: random, for whoever needs a place in a body. */
struct fault_plan {
    enum fault_action action;
    uint64_t value, delay_ms, where;
};

/* false, with the reason in ret_why: a rule cannot be read; *ret_script is untouched. */
bool fault_script_parse(const char *text, struct fault_script *ret_script, char *ret_why, size_t why_size);
/* nth: of its operation, from 1. */
struct fault_plan fault_script_plan(const struct fault_script *script, uint64_t seed, enum fault_op op, uint64_t nth);

/* Which operation of S3 a request is: path style. copies: it has x-amz-copy-source. */
enum fault_op fault_op_of(const char *method, const char *target, bool copies);

#endif
