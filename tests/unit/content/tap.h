/* tap.h — an object store in front of another one that a test can hold, fail, touch and count.
 *
 * Every rule is for one operation. Threads: any; rules are set while nothing is in flight or under no race that
 * matters to the test.
 */
#ifndef MS_TESTS_CONTENT_TAP_H
#define MS_TESTS_CONTENT_TAP_H

#include "object/object.h"

struct tap_rule {
    bool hold;            /* requests wait for tap_release */
    unsigned fail_next;   /* so many end with fail_code without reaching the store */
    unsigned lose_next;   /* so many reach the store, but end with fail_code */
    enum ms_code fail_code;
    void (*before)(void *priv, struct ms_obj_request *request); /* on its way to the store */
    void (*after)(void *priv, struct ms_obj_request *request);  /* on its way back */
    void *priv;
};
struct tap_entry {
    enum ms_obj_op op;
    uint32_t part_no;
    uint64_t offset, length;
};
#define TAP_LOG 4096
struct tap {
    struct ms_obj obj; /* first: this is what the code under test gets */
    struct ms_obj *inner;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct tap_rule rule[MS_OBJ_OP_COUNT];
    struct tap_call *held; /* oldest first */
    unsigned held_n[MS_OBJ_OP_COUNT], count[MS_OBJ_OP_COUNT], done_n[MS_OBJ_OP_COUNT];
    unsigned in_flight, in_flight_peak;
    struct tap_entry log[TAP_LOG];
    size_t log_n;
};

/* inner stays the caller's. */
void tap_init(struct tap *tap, struct ms_obj *inner);
void tap_fini(struct tap *tap);
/* Wait until n requests of an operation are held, or have come back since tap_init. */
void tap_wait_held(struct tap *tap, enum ms_obj_op op, unsigned n);
void tap_wait_done(struct tap *tap, enum ms_obj_op op, unsigned n);
/* Stop holding, and let all held ones go. */
void tap_release(struct tap *tap, enum ms_obj_op op);
/* How often a part was sent. */
unsigned tap_sent(struct tap *tap, uint32_t part_no);

#endif
