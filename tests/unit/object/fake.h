/* fake.h — a store that answers as it is told, and helpers for requests that run while the test looks on. */
#ifndef MS_TESTS_OBJECT_FAKE_H
#define MS_TESTS_OBJECT_FAKE_H

#include "support/test.h"

#include "object/driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake {
    struct ms_obj obj;
    /* Fills the results and returns the code; error is filled by the fake. NULL: MS_OK. */
    enum ms_code (*answer)(struct fake *fake, struct ms_obj_request *request);
    int calls; /* atomic */
    int closed;
    void *priv;
    int64_t last_timeout_ms; /* atomic */
};
static inline int fake_calls(const struct fake *fake) {
    return __atomic_load_n(&fake->calls, __ATOMIC_SEQ_CST);
}
/* Its close() only counts: the test owns the memory. All capabilities. */
void fake_init(struct fake *fake, struct ms_engine *engine);

/* A request that runs in the background. */
struct run {
    struct ms_obj_request r;
    struct ms_latch latch;
};
void run_start(struct run *run, struct ms_obj *obj); /* r is filled */
enum ms_code run_wait(struct run *run);

struct ms_engine *engine_new(unsigned threads);

static inline struct ms_obj_request put_request(const char *key, const char *text) {
    return (struct ms_obj_request){
        .op = MS_OBJ_PUT,
        .key = key,
        .body = {.memory = ms_view_str(text), .length = strlen(text)}};
}

#endif
