#include "support/test.h"

#include "content/tap.h"
#include "content/upload.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP MS_PART_GRAIN /* of the first parts */
#define LOG2 18u
#define BLOCK (UINT64_C(1) << LOG2)
#define MAX (3 * STEP + 2 * MS_MB)
#define KEY "t/videos/1.mp4"

/* What a call brought, copied: the result is the upload's. */
struct outcome {
    struct ms_latch latch;
    enum ms_code code;
    struct ms_error error;
    bool has_result;
    struct ms_upload_result result; /* its pointers are not to be followed */
    char upload_id[MS_UPLOAD_ID_MAX + 1], etag[MS_ETAG_MAX + 1];
    struct ms_obj_part part[8];
    struct ms_hashes hashes;
};

struct fixture {
    char *dir;
    struct ms_engine *engine;
    struct ms_obj *store;
    struct tap tap;
    struct ms_cache *cache;
    struct ms_journal *journal;
    struct ms_stage *stage;
    struct ms_upload *upload;
    struct ms_source base;
    struct ms_random_seeded random;
    uint8_t *bytes, *got; /* what the file should hold; what the object holds */
    uint64_t size;
    struct outcome outcome;
    atomic_uint hooks;
    atomic_uint types_asked;
};

/* ---- fixture -------------------------------------------------------------------------------- */

static void close_store(struct fixture *f) {
    ms_upload_free(MS_TAKE(f->upload));
    ms_cache_free(MS_TAKE(f->cache));
    ms_stage_close(MS_TAKE(f->stage));
    ms_engine_free(MS_TAKE(f->engine));
    if (f->store)
        tap_fini(&f->tap);
    ms_obj_close(MS_TAKE(f->store));
    ms_hashes_fini(&f->base.hashes);
    f->base = (struct ms_source){0};
}

static void open_store(struct fixture *f, const char *kind) {
    struct ms_obj_options options = {.random = ms_random_system(), .create = true};
    char url[512];

    close_store(f);
    assert_ok(ms_engine_new(4, &f->engine, &test_err));
    snprintf(url, sizeof url, "%s%s%s", kind, strcmp(kind, "dir:") == 0 ? f->dir : "",
             strcmp(kind, "dir:") == 0 ? "/store" : "");
    options.url = url;
    options.engine = f->engine;
    assert_ok(ms_obj_open(&options, &f->store, &test_err));
    tap_init(&f->tap, f->store);
    assert_ok(ms_cache_new(&f->tap.obj, NULL, 32 * MS_MB, &f->cache, &test_err));
}

static void ask_type(void *priv, struct ms_stage *stage, char ret_type[MS_UPLOAD_TYPE_MAX + 1]) {
    struct fixture *f = priv;
    char head[1];

    if (ms_stage_read(stage, 0, head, 1, NULL) == MS_OK)
        snprintf(ret_type, MS_UPLOAD_TYPE_MAX + 1, "video/mp4");
    atomic_fetch_add(&f->types_asked, 1);
}

/* A new upload; keeps the stage when there is one. */
static void new_upload(struct fixture *f) {
    struct ms_upload_options options = {
        .obj = &f->tap.obj,
        .cache = f->cache,
        .base = f->base.size > 0 ? &f->base : NULL,
        .key = KEY,
        .block_log2 = LOG2,
        .meta = {.content_type = "x/y", .pair = {{"asset", "a1"}}, .pairs = 1},
        .content_type = ask_type,
        .content_type_priv = f,
    };

    ms_upload_free(MS_TAKE(f->upload));
    if (!f->stage) {
        assert_ok(ms_stage_open(f->journal, &f->stage, &test_err));
        f->size = 0;
    }
    options.stage = f->stage;
    assert_ok(ms_upload_new(&options, &f->upload, &test_err));
}

static void start_with(struct fixture *f, const char *kind) {
    open_store(f, kind);
    new_upload(f);
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    char *journal;

    *state = f;
    f->dir = ms_test_tmpdir_new();
    journal = ms_test_path(f->dir, "journal");
    assert_ok(ms_journal_open(journal, 256 * MS_MB, &f->journal, &test_err));
    free(journal);
    f->bytes = calloc(1, MAX);
    f->got = malloc(MAX);
    ms_random_seeded_init(&f->random, 11);
    start_with(f, "mem:");
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;

    close_store(f);
    ms_journal_close(f->journal);
    ms_random_seeded_fini(&f->random);
    ms_hashes_fini(&f->outcome.hashes);
    free(f->bytes);
    free(f->got);
    ms_test_tmpdir_remove(f->dir);
    free(f);
    return 0;
}

/* ---- changing the file ---------------------------------------------------------------------- */

static void write_quietly(struct fixture *f, uint64_t offset, uint64_t n) {
    if (offset > f->size)
        memset(f->bytes + f->size, 0, offset - f->size);
    ms_random_fill(&f->random.random, f->bytes + offset, n);
    f->size = offset + n > f->size ? offset + n : f->size;
    assert_ok(ms_stage_write(f->stage, offset, f->bytes + offset, n, &test_err));
}

static void write_at(struct fixture *f, uint64_t offset, uint64_t n) {
    write_quietly(f, offset, n);
    ms_upload_written(f->upload, offset, n);
}

static void write_all(struct fixture *f, uint64_t size) {
    for (uint64_t at = 0; at < size; at += MS_MB)
        write_at(f, at, size - at < MS_MB ? size - at : MS_MB);
}

static void truncate_to(struct fixture *f, uint64_t size) {
    if (size > f->size)
        memset(f->bytes + f->size, 0, size - f->size);
    f->size = size;
    assert_ok(ms_stage_truncate(f->stage, size, &test_err));
}

/* ---- calling -------------------------------------------------------------------------------- */

typedef void call_fn(struct ms_upload *upload, ms_upload_done_fn *done, void *priv);

static void called_back(void *priv, enum ms_code code, const struct ms_error *err,
                        const struct ms_upload_result *result) {
    struct outcome *o = priv;

    o->code = code;
    if (err)
        o->error = *err;
    o->has_result = result != NULL;
    if (result) {
        o->result = *result;
        snprintf(o->upload_id, sizeof o->upload_id, "%s", result->upload_id);
        snprintf(o->etag, sizeof o->etag, "%s", result->etag);
        for (size_t i = 0; i < result->parts_n && i < MS_ARRAY_LEN(o->part); i++)
            o->part[i] = result->parts[i];
        if (result->hashes && ms_hashes_resize(&o->hashes, result->hashes->count, NULL) == MS_OK)
            memcpy(o->hashes.hash, result->hashes->hash, o->hashes.count * sizeof(uint64_t));
    }
    ms_latch_open(&o->latch);
}

static void begin(struct fixture *f, struct outcome *o, call_fn *call) {
    struct ms_hashes keep = o->hashes;

    *o = (struct outcome){.hashes = keep};
    ms_latch_init(&o->latch);
    call(f->upload, called_back, o);
}

static enum ms_code end(struct outcome *o, struct ms_error *reterr) {
    ms_latch_wait(&o->latch);
    if (o->code)
        *reterr = o->error;
    return o->code;
}

static enum ms_code run(struct fixture *f, call_fn *call, struct ms_error *reterr) {
    begin(f, &f->outcome, call);
    return end(&f->outcome, reterr);
}

static uint64_t fetch(struct fixture *f, const char *key, enum ms_code *ret_code, char *ret_etag) {
    struct ms_obj_request head = {.op = MS_OBJ_HEAD, .key = key};
    struct ms_obj_request get = {.op = MS_OBJ_GET, .key = key, .into = f->got};

    *ret_code = ms_obj_run(f->store, &head, NULL);
    ms_buf_fini(&head.ret_meta);
    if (*ret_code)
        return 0;
    assert_true(head.ret_size > 0 && head.ret_size <= MAX);
    get.length = head.ret_size;
    assert_ok(ms_obj_run(f->store, &get, &test_err));
    if (ret_etag)
        snprintf(ret_etag, MS_ETAG_MAX + 1, "%s", head.ret_etag);
    return head.ret_size;
}

static size_t uploads_open(struct fixture *f) {
    struct ms_obj_request list = {.op = MS_OBJ_MP_LIST, .list_max = 100};

    assert_ok(ms_obj_run(f->store, &list, &test_err));
    free(list.ret_entries);
    return list.ret_n;
}

static bool exists(struct fixture *f, const char *key) {
    enum ms_code code;

    fetch(f, key, &code, NULL);
    assert_true(code == MS_OK || code == MS_NOT_FOUND);
    return code == MS_OK;
}

static void remove_object(struct fixture *f) {
    struct ms_obj_request r = {.op = MS_OBJ_DELETE, .key = KEY};

    assert_ok(ms_obj_run(f->store, &r, &test_err));
}

/* The object is what the outcome says of it: size, ETag, hashes and root. Its bytes are in f->got.
 */
static void object_is_as_told(struct fixture *f) {
    const struct outcome *o = &f->outcome;
    char etag[MS_ETAG_MAX + 1];
    struct ms_hashes h = {0};
    uint8_t root[16];
    enum ms_code code;
    uint64_t size = fetch(f, KEY, &code, etag);

    assert_int_equal(code, MS_OK);
    assert_int_equal(size, o->result.size);
    assert_string_equal(etag, o->etag);
    assert_ok(ms_hashes_resize(&h, ms_block_count(size, LOG2), &test_err));
    for (uint64_t i = 0; i < h.count; i++)
        h.hash[i] =
            ms_block_hash(f->got + i * BLOCK, size - i * BLOCK < BLOCK ? size - i * BLOCK : BLOCK);
    assert_int_equal(o->hashes.count, h.count);
    assert_memory_equal(o->hashes.hash, h.hash, h.count * sizeof h.hash[0]);
    ms_hashes_root(&h, size, root);
    assert_memory_equal(root, o->result.root, 16);
    ms_hashes_fini(&h);
}

static void finish_and_compare(struct fixture *f) {
    assert_ok(run(f, ms_upload_finish, &test_err));
    object_is_as_told(f);
    assert_int_equal(f->outcome.result.size, f->size);
    assert_memory_equal(f->got, f->bytes, f->size);
    assert_int_equal(f->outcome.result.generation, ms_stage_generation(f->stage));
    if (f->store->caps.multipart)
        assert_int_equal(uploads_open(f), 0);
    assert_false(exists(f, KEY ".fsync"));
}

/* ---- sizes ---------------------------------------------------------------------------------- */

static const uint64_t sizes[] = {1,        BLOCK - 1, BLOCK,    BLOCK + 1, MS_MB,        MS_MB + 1,
                                 STEP - 1, STEP,      STEP + 1, 2 * STEP,  2 * STEP + 1, 3 * STEP};

static void every_size_around_the_boundaries_arrives(struct fixture *f, const char *kind) {
    for (size_t i = 0; i < MS_ARRAY_LEN(sizes); i++) {
        start_with(f, kind);
        write_all(f, sizes[i]);
        finish_and_compare(f);
        remove_object(f);
        start_with(f, kind); /* the same with a sync before */
        write_all(f, sizes[i]);
        assert_ok(run(f, ms_upload_sync, &test_err));
        assert_int_equal(f->outcome.result.size, sizes[i]);
        assert_false(exists(f, KEY));
        finish_and_compare(f);
        remove_object(f);
    }
}

static void every_size_around_the_boundaries_arrives_in_parts(void **state) {
    every_size_around_the_boundaries_arrives(*state, "mem:");
}
static void every_size_around_the_boundaries_arrives_without_parts(void **state) {
    every_size_around_the_boundaries_arrives(*state, "mem:plain");
}
static void every_size_around_the_boundaries_arrives_in_a_folder(void **state) {
    every_size_around_the_boundaries_arrives(*state, "dir:");
}

static void a_file_of_one_part_is_one_put(void **state) {
    struct fixture *f = *state;

    write_all(f, STEP);
    finish_and_compare(f);
    assert_int_equal(f->tap.count[MS_OBJ_PUT], 1);
    assert_int_equal(f->tap.log_n, 1);
    assert_string_equal(f->outcome.upload_id, "");
    assert_int_equal(f->outcome.result.parts_n, 0);
}

static void size_zero_has_no_object(void **state) {
    struct fixture *f = *state;

    write_all(f, 2 * STEP + 5);
    assert_ok(run(f, ms_upload_sync, &test_err));
    assert_int_equal(uploads_open(f), 1);
    truncate_to(f, 0);
    assert_ok(run(f, ms_upload_sync, &test_err));
    assert_int_equal(f->outcome.result.parts_n, 0);
    assert_ok(run(f, ms_upload_finish, &test_err));
    assert_int_equal(f->outcome.result.size, 0);
    assert_int_equal(f->outcome.hashes.count, 0);
    assert_string_equal(f->outcome.etag, "");
    assert_false(exists(f, KEY));
    assert_int_equal(uploads_open(f), 0);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_size_around_the_boundaries_arrives_in_parts),
        TEST(every_size_around_the_boundaries_arrives_without_parts),
        TEST(every_size_around_the_boundaries_arrives_in_a_folder),
        TEST(a_file_of_one_part_is_one_put),
        TEST(size_zero_has_no_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
