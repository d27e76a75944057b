#include "fake.h"

static void fake_submit(struct ms_obj *obj, struct ms_obj_request *request) {
    struct fake *fake = MS_CONTAINER_OF(obj, struct fake, obj);
    enum ms_code code = MS_OK;

    ms_obj_clear_results(request);
    __atomic_store_n(&fake->last_timeout_ms, request->timeout_ms, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&fake->calls, 1, __ATOMIC_SEQ_CST);
    if (fake->answer)
        code = fake->answer(fake, request);
    if (code != MS_OK)
        (void)ms_fail(&request->error, code, "the fake says so");
    ms_obj_finish(request, code);
}

static void fake_cancel(struct ms_obj *obj, struct ms_obj_request *request) {
    (void)obj;
    __atomic_store_n(&request->cancelled, 1, __ATOMIC_SEQ_CST);
}

static void fake_close(struct ms_obj *obj) { MS_CONTAINER_OF(obj, struct fake, obj)->closed++; }

void fake_init(struct fake *fake, struct ms_engine *engine) {
    static const struct ms_obj_ops ops = {"fake", fake_submit, fake_cancel, fake_close};

    *fake = (struct fake){.obj = {.ops = &ops,
                                  .engine = engine,
                                  .caps = {.multipart = true,
                                           .part_copy = true,
                                           .copy = true,
                                           .batch_delete = true,
                                           .put_bytes_max = MS_GB}}};
}

static void open_latch(struct ms_obj_request *request) { ms_latch_open(request->priv); }

void run_start(struct run *run, struct ms_obj *obj) {
    ms_latch_init(&run->latch);
    run->r.done = open_latch;
    run->r.priv = &run->latch;
    ms_obj_submit(obj, &run->r);
}

enum ms_code run_wait(struct run *run) {
    ms_latch_wait(&run->latch);
    return run->r.code;
}

struct ms_engine *engine_new(unsigned threads) {
    struct ms_engine *engine = NULL;

    assert_ok(ms_engine_new(threads, &engine, &test_err));
    return engine;
}
