#include "support/test.h"

#include "content/upload.h"
#include "support/alloc.h"

#include <stdlib.h>
#include <string.h>

/* Every allocation of every call that has any fails once: the call says so and changes nothing. */

#define PAGE 4096u

struct fixture {
    char *dir, *journal_dir;
    struct ms_journal *journal;
    struct ms_stage *stage;
    struct ms_engine *engine;
    struct ms_obj *store;
    struct ms_cache *cache;
    struct ms_source source;
    uint8_t bytes[4 * PAGE];
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    struct ms_obj_options options = {.url = "mem:", .random = ms_random_system(), .create = true};
    struct ms_obj_request put = {.op = MS_OBJ_PUT, .key = "k"};

    *state = f;
    f->dir = ms_test_tmpdir_new();
    f->journal_dir = ms_test_path(f->dir, "journal");
    assert_ok(ms_journal_open(f->journal_dir, 64 * MS_MB, &f->journal, &test_err));
    assert_ok(ms_stage_open(f->journal, &f->stage, &test_err));
    assert_ok(ms_engine_new(2, &f->engine, &test_err));
    options.engine = f->engine;
    assert_ok(ms_obj_open(&options, &f->store, &test_err));
    assert_ok(ms_cache_new(f->store, NULL, MS_MB, &f->cache, &test_err));
    memset(f->bytes, 5, sizeof f->bytes);
    put.body =
        (struct ms_obj_body){.memory = {f->bytes, sizeof f->bytes}, .length = sizeof f->bytes};
    assert_ok(ms_obj_run(f->store, &put, &test_err));
    f->source = (struct ms_source){.object = ms_object_id_new(ms_random_system()),
                                   .key = "k",
                                   .size = sizeof f->bytes,
                                   .block_log2 = 12};
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;

    ms_cache_free(f->cache);
    ms_engine_free(f->engine);
    ms_obj_close(f->store);
    ms_stage_close(f->stage);
    ms_journal_close(f->journal);
    free(f->journal_dir);
    ms_test_tmpdir_remove(f->dir);
    free(f);
    return 0;
}

static void what_opens_something_fails_cleanly(void **state) {
    struct fixture *f = *state;
    char *dir = ms_test_path(f->dir, "other");
    struct ms_journal *journal;
    struct ms_stage *stage;
    struct ms_cache *cache;
    struct ms_upload *upload;
    struct ms_upload_options o = {
        .obj = f->store,
        .stage = f->stage,
        .key = "k",
        .block_log2 = 18,
        .meta = {.content_type = "a/b", .pair = {{"a", "b"}, {"c", "d"}}, .pairs = 2}};

    MS_TEST_TORTURE(ms_journal_open(dir, 1, &journal, &test_err), ms_journal_close(journal));
    MS_TEST_TORTURE(ms_stage_open(f->journal, &stage, &test_err), ms_stage_close(stage));
    MS_TEST_TORTURE(ms_cache_new(f->store, NULL, MS_MB, &cache, &test_err), ms_cache_free(cache));
    MS_TEST_TORTURE(ms_upload_new(&o, &upload, &test_err), ms_upload_free(upload));
    free(dir);
}

/* Islands, so that the map needs more and more leaves, in a fresh stage. */
static enum ms_code write_islands(struct fixture *f, unsigned refuse) {
    enum ms_code code = MS_OK;
    uint64_t i;

    ms_stage_close(MS_TAKE(f->stage));
    assert_ok(ms_stage_open(f->journal, &f->stage, &test_err));
    test_err = (struct ms_error){0};
    ms_test_alloc_fail_at(refuse);
    for (i = 0; !code && i < 3000; i++)
        code = ms_stage_write(f->stage, i * 2 * PAGE, f->bytes, 1, &test_err);
    ms_test_alloc_stop();
    i -= code != MS_OK;
    assert_int_equal(ms_stage_size(f->stage), i > 0 ? (i - 1) * 2 * PAGE + 1 : 0);
    assert_int_equal(ms_stage_generation(f->stage), i);
    assert_int_equal(ms_journal_bytes(f->journal), i * PAGE);
    return code;
}

static void a_write_without_memory_changes_nothing(void **state) {
    struct fixture *f = *state;

    for (unsigned n = 1; n == 1 || ms_test_alloc_failed(); n++) {
        enum ms_code code = write_islands(f, n);

        assert_int_equal(code, ms_test_alloc_failed() ? MS_NO_MEMORY : MS_OK);
    }
}

static void read_done(struct ms_read *read) { ms_latch_open(read->priv); }

static void a_read_without_memory_fails_and_the_next_one_works(void **state) {
    struct fixture *f = *state;
    uint8_t got[sizeof f->bytes];

    for (unsigned n = 1; n == 1 || ms_test_alloc_failed(); n++) {
        struct ms_latch latch;
        struct ms_read read = {.source = &f->source,
                               .length = sizeof f->bytes,
                               .into = got,
                               .done = read_done,
                               .priv = &latch};

        ms_cache_free(MS_TAKE(f->cache));
        assert_ok(ms_cache_new(f->store, NULL, MS_MB, &f->cache, &test_err));
        ms_latch_init(&latch);
        ms_test_alloc_fail_at(n);
        ms_read_start(f->cache, &read);
        ms_test_alloc_stop();
        ms_latch_wait(&latch);
        assert_int_equal(read.code, ms_test_alloc_failed() ? MS_NO_MEMORY : MS_OK);
        assert_int_equal(ms_read_run(f->cache, &f->source, 0, sizeof got, got, &test_err), MS_OK);
        assert_memory_equal(got, f->bytes, sizeof got);
    }
}

/* ---- on the engine's thread ----------------------------------------------------------------- */

struct order {
    struct ms_task task;
    struct ms_latch latch;
    unsigned refuse; /* 0: stop */
    bool failed;
};

static void obey(struct ms_task *task) {
    struct order *o = MS_CONTAINER_OF(task, struct order, task);

    if (o->refuse)
        ms_test_alloc_fail_at(o->refuse);
    else
        o->failed = ms_test_alloc_stop();
    ms_latch_open(&o->latch);
}

/* Counting is a matter of each thread; the engine has one here. */
static bool on_engine(struct fixture *f, unsigned refuse) {
    struct order o = {.task = {.run = obey}, .refuse = refuse};

    ms_latch_init(&o.latch);
    ms_engine_post(f->engine, &o.task);
    ms_latch_wait(&o.latch);
    return o.failed;
}

struct outcome {
    struct ms_latch latch;
    enum ms_code code;
    uint64_t size;
};

static void called_back(void *priv, enum ms_code code, const struct ms_error *err,
                        const struct ms_upload_result *result) {
    struct outcome *o = priv;

    (void)err;
    o->code = code;
    o->size = result ? result->size : 0;
    ms_latch_open(&o->latch);
}

static enum ms_code call(struct ms_upload *upload,
                         void (*fn)(struct ms_upload *, ms_upload_done_fn *, void *)) {
    struct outcome o = {.code = MS_OK};

    ms_latch_init(&o.latch);
    fn(upload, called_back, &o);
    ms_latch_wait(&o.latch);
    return o.code;
}

#define PATCH_AT (MS_PART_GRAIN + 2 * MS_MB)

static void object_is_right(struct fixture *f) {
    uint8_t *got = malloc(PATCH_AT + 1), *want = calloc(1, PATCH_AT + 1);
    struct ms_obj_request r = {
        .op = MS_OBJ_GET, .key = "patched", .length = PATCH_AT + 1, .into = got};

    memcpy(want, f->bytes, sizeof f->bytes);
    want[PATCH_AT] = 'x';
    assert_ok(ms_obj_run(f->store, &r, &test_err));
    assert_int_equal(r.ret_size, PATCH_AT + 1);
    assert_memory_equal(got, want, PATCH_AT + 1);
    free(got);
    free(want);
}

/* A patch of two parts: fill, hash, send, complete. True when an allocation was refused. */
static bool patch(struct fixture *f, bool sync_first, unsigned refuse) {
    struct ms_upload_options o = {
        .obj = f->store, .cache = f->cache, .base = &f->source, .key = "patched", .block_log2 = 18};
    struct ms_upload *upload;
    enum ms_code code;
    bool refused;

    ms_stage_close(MS_TAKE(f->stage));
    assert_ok(ms_stage_open(f->journal, &f->stage, &test_err));
    assert_ok(ms_stage_set_base(f->stage, f->source.size, &test_err));
    assert_ok(ms_stage_write(f->stage, PATCH_AT, "x", 1, &test_err));
    o.stage = f->stage;
    assert_ok(ms_upload_new(&o, &upload, &test_err));
    on_engine(f, refuse);
    code = call(upload, sync_first ? ms_upload_sync : ms_upload_finish);
    assert_true(code == MS_OK || code == MS_NO_MEMORY);
    refused = on_engine(f, 0);
    assert_int_equal(call(upload, ms_upload_finish), MS_OK);
    ms_upload_free(upload);
    object_is_right(f);
    return refused;
}

static void an_upload_without_memory_fails_and_may_be_repeated(void **state) {
    struct fixture *f = *state;

    ms_cache_free(MS_TAKE(f->cache));
    ms_obj_close(MS_TAKE(f->store));
    ms_engine_free(MS_TAKE(f->engine));
    assert_ok(ms_engine_new(1, &f->engine, &test_err));
    {
        struct ms_obj_options options = {
            .url = "mem:", .random = ms_random_system(), .create = true, .engine = f->engine};
        struct ms_obj_request put = {
            .op = MS_OBJ_PUT,
            .key = "k",
            .body = {.memory = {f->bytes, sizeof f->bytes}, .length = sizeof f->bytes}};

        assert_ok(ms_obj_open(&options, &f->store, &test_err));
        assert_ok(ms_obj_run(f->store, &put, &test_err));
    }
    assert_ok(ms_cache_new(f->store, NULL, MS_MB, &f->cache, &test_err));
    for (int sync_first = 0; sync_first < 2; sync_first++) {
        unsigned n = 0;

        while (patch(f, sync_first, ++n))
            ;
        print_message("%u allocations refused\n", n - 1);
    }
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_opens_something_fails_cleanly),
        TEST(a_write_without_memory_changes_nothing),
        TEST(a_read_without_memory_fails_and_the_next_one_works),
        TEST(an_upload_without_memory_fails_and_may_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
