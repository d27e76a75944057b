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

/* Bytes that no two blocks share; quick, because a sanitizer makes each step dear. */
static void fill(struct fixture *f, uint64_t offset, uint64_t n) {
    uint64_t x = ms_random_u64(&f->random.random) | 1;

    for (uint64_t i = 0; i < n; i += 8, x = x * UINT64_C(6364136223846793005) + 1442695040888963407)
        memcpy(f->bytes + offset + i, &x, n - i < 8 ? n - i : 8);
}

static void write_quietly(struct fixture *f, uint64_t offset, uint64_t n) {
    if (offset > f->size)
        memset(f->bytes + f->size, 0, offset - f->size);
    fill(f, offset, n);
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
        if (result->hashes && result->hashes->count > 0 &&
            ms_hashes_resize(&o->hashes, result->hashes->count, NULL) == MS_OK)
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
    if (f->size == 0) {
        assert_false(exists(f, KEY));
        return;
    }
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

/* ---- while the writer still writes ---- */

static void parts_go_out_while_the_writer_writes_and_part_1_is_held_back(void **state) {
    struct fixture *f = *state;

    write_all(f, 3 * STEP);
    tap_wait_done(&f->tap, MS_OBJ_MP_PUT, 2);
    assert_int_equal(tap_sent(&f->tap, 1), 0);
    write_at(f, 4, 4); /* as every MP4 does at its end */
    finish_and_compare(f);
    for (uint32_t part = 1; part <= 3; part++)
        assert_int_equal(tap_sent(&f->tap, part), 1);
    assert_int_equal(f->tap.count[MS_OBJ_MP_CREATE], 1);
    assert_int_equal(f->tap.count[MS_OBJ_MP_COMPLETE], 1);
    assert_int_equal(f->outcome.result.parts_n, 3);
}

static void a_part_that_is_touched_later_is_sent_again_once(void **state) {
    struct fixture *f = *state;

    write_all(f, 3 * STEP + 9);
    tap_wait_done(&f->tap, MS_OBJ_MP_PUT, 2);
    write_at(f, STEP + 5, 3);
    write_at(f, STEP + 100, 3);
    finish_and_compare(f);
    assert_int_equal(tap_sent(&f->tap, 1), 1);
    assert_int_equal(tap_sent(&f->tap, 2), 2);
    assert_int_equal(tap_sent(&f->tap, 3), 1);
    assert_int_equal(tap_sent(&f->tap, 4), 1);
}

static void no_more_parts_are_in_flight_than_agreed(void **state) {
    struct fixture *f = *state;

    f->tap.rule[MS_OBJ_MP_PUT].hold = true;
    write_all(f, 3 * STEP + 2 * MS_MB);
    tap_wait_held(&f->tap, MS_OBJ_MP_PUT, 2);
    begin(f, &f->outcome, ms_upload_finish);
    tap_wait_held(&f->tap, MS_OBJ_MP_PUT, 4);
    tap_release(&f->tap, MS_OBJ_MP_PUT);
    assert_ok(end(&f->outcome, &test_err));
    object_is_as_told(f);
    assert_int_equal(f->tap.in_flight_peak, 4);
}

static void a_file_that_was_made_as_a_hole_is_sent_once_it_is_written(void **state) {
    struct fixture *f = *state;

    truncate_to(f, 3 * STEP);
    write_at(f, 2 * STEP, STEP / 2); /* half of part 3 */
    write_at(f, STEP, STEP);
    tap_wait_done(&f->tap, MS_OBJ_MP_PUT, 1);
    assert_int_equal(tap_sent(&f->tap, 2), 1);
    assert_int_equal(tap_sent(&f->tap, 3), 0);
    finish_and_compare(f);
    assert_int_equal(tap_sent(&f->tap, 2), 1);
}

static void the_type_is_asked_for_once_when_the_object_is_born(void **state) {
    static const uint64_t both[] = {10, STEP + 10};
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        struct ms_obj_request head = {.op = MS_OBJ_HEAD, .key = KEY};

        start_with(f, "mem:");
        atomic_store(&f->types_asked, 0);
        write_all(f, both[i]);
        assert_int_equal(f->types_asked, 0);
        finish_and_compare(f);
        assert_int_equal(f->types_asked, 1);
        assert_ok(ms_obj_run(f->store, &head, &test_err));
        assert_string_equal((char *)head.ret_meta.data, "content-type=video/mp4\nasset=a1\n");
        ms_buf_fini(&head.ret_meta);
    }
}

/* ---- writes that meet a send ---- */

struct hook {
    struct fixture *f;
    uint32_t part_no;
    unsigned times, failed;
    uint8_t *before; /* the part as it was the last time, or NULL */
};

/* On an engine thread: no assertion here. */
static void touch_part(void *priv, struct ms_obj_request *r) {
    struct hook *h = priv;
    struct fixture *f = h->f;
    uint64_t at = STEP * (h->part_no - 1) + 100;

    if (r->part_no != h->part_no || atomic_fetch_add(&f->hooks, 1) >= h->times)
        return;
    if (h->before)
        memcpy(h->before, f->bytes + STEP * (h->part_no - 1), STEP);
    for (uint64_t i = 0; i < 2 * BLOCK; i += 1000)
        f->bytes[at + i] ^= 0xff;
    h->failed += ms_stage_write(f->stage, at, f->bytes + at, 2 * BLOCK, NULL) != MS_OK;
}

static void hook(struct fixture *f, struct hook *h) {
    h->f = f;
    f->tap.rule[MS_OBJ_MP_PUT].before = touch_part;
    f->tap.rule[MS_OBJ_MP_PUT].priv = h;
}

static void a_part_that_is_touched_on_its_way_is_sent_again(void **state) {
    struct fixture *f = *state;
    struct hook h = {.part_no = 2, .times = 1};

    ms_journal_limit_memory(f->journal, 0); /* a body in memory does not change */
    hook(f, &h);
    write_quietly(f, 0, 2 * STEP + 10);
    assert_ok(run(f, ms_upload_finish, &test_err));
    object_is_as_told(f);
    assert_memory_equal(f->got, f->bytes, f->size);
    assert_int_equal(tap_sent(&f->tap, 2), 2);
    assert_int_equal(tap_sent(&f->tap, 1), 1);
    assert_int_equal(h.failed, 0);
    assert_true(f->outcome.result.generation < ms_stage_generation(f->stage)); /* there is more */
}

static void a_writer_that_never_rests_cannot_keep_a_close_from_ending(void **state) {
    struct fixture *f = *state;
    struct hook h = {.part_no = 2, .times = UINT32_MAX, .before = malloc(STEP)};

    ms_journal_limit_memory(f->journal, 0);
    hook(f, &h);
    write_quietly(f, 0, 2 * STEP + 10);
    assert_ok(run(f, ms_upload_finish, &test_err));
    object_is_as_told(f);
    assert_int_equal(tap_sent(&f->tap, 2), 4); /* the fourth from a frozen copy */
    assert_memory_equal(f->got, f->bytes, STEP);
    assert_memory_equal(f->got + STEP, h.before, STEP);
    assert_memory_equal(f->got + 2 * STEP, f->bytes + 2 * STEP, 10);
    free(h.before);
}

/* In memory the body is what it was when it set out: there is nothing to send again. */
static void a_part_in_memory_is_sent_once_whatever_happens_to_it_meanwhile(void **state) {
    struct fixture *f = *state;
    struct hook h = {.part_no = 2, .times = UINT32_MAX, .before = malloc(STEP)};

    hook(f, &h);
    write_quietly(f, 0, 2 * STEP + 10);
    assert_ok(run(f, ms_upload_finish, &test_err));
    object_is_as_told(f);
    assert_int_equal(tap_sent(&f->tap, 2), 1);
    assert_memory_equal(f->got + STEP, h.before, STEP);
    assert_int_equal(h.failed, 0);
    assert_true(f->outcome.result.generation < ms_stage_generation(f->stage));
    free(h.before);
}

static void a_sync_takes_bytes_as_they_come_and_the_finish_does_not(void **state) {
    struct fixture *f = *state;
    struct hook h = {.part_no = 2, .times = 1};

    ms_journal_limit_memory(f->journal, 0); /* a body in memory does not change */
    hook(f, &h);
    write_quietly(f, 0, 2 * STEP + 10);
    assert_ok(run(f, ms_upload_sync, &test_err)); /* what was written before it is there */
    assert_int_equal(tap_sent(&f->tap, 2), 1);
    finish_and_compare(f);
    assert_int_equal(tap_sent(&f->tap, 2), 2);
}

static void cut_file(void *priv, struct ms_obj_request *r) {
    struct hook *h = priv;

    if (r->part_no == h->part_no && atomic_fetch_add(&h->f->hooks, 1) < h->times)
        h->failed += ms_stage_truncate(h->f->stage, STEP + 20, NULL) != MS_OK;
}

static void a_file_that_is_cut_under_a_send_is_sent_as_it_became(void **state) {
    static const char *const kinds[] = {"mem:", "dir:"};
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        struct hook h = {.part_no = 2, .times = 1};

        ms_journal_limit_memory(f->journal, 0);
        start_with(f, kinds[i]);
        atomic_store(&f->hooks, 0);
        hook(f, &h);
        f->tap.rule[MS_OBJ_MP_PUT].before = cut_file;
        write_quietly(f, 0, 3 * STEP);
        assert_ok(run(f, ms_upload_finish, &test_err));
        assert_int_equal(f->outcome.result.size, STEP + 20);
        object_is_as_told(f);
        assert_memory_equal(f->got, f->bytes, STEP + 20);
        assert_int_equal(uploads_open(f), 0);
    }
}

/* One writer numbers its writes; each slot of the file holds the number of its last one. */
#define SLOTS 64u
struct numbering {
    struct fixture *f;
    atomic_bool stop;
    uint64_t writes; /* after the join */
    unsigned failed;
    pthread_t thread;
};
static uint64_t slot_at(uint64_t slot) { return slot * (3 * STEP / SLOTS) + 4000; }

static void *write_numbers(void *arg) {
    struct numbering *n = arg;

    for (uint64_t i = 1; !atomic_load(&n->stop); i++) {
        n->failed += ms_stage_write(n->f->stage, slot_at(i % SLOTS), &i, sizeof i, NULL) != MS_OK;
        ms_upload_written(n->f->upload, slot_at(i % SLOTS), sizeof i);
        n->writes = i;
        if (i % 64 == 0)
            ms_clock_sleep_ns(1000000);
    }
    return NULL;
}

/* Everything up to the generation that the result names is in the object, and nothing is half in.
 */
static unsigned numbers_missing(struct fixture *f, uint64_t writes_covered, uint64_t writes) {
    unsigned missing = 0;

    for (uint64_t slot = 0; slot < SLOTS; slot++) {
        uint64_t last = writes_covered - (writes_covered - slot) % SLOTS, got;

        memcpy(&got, f->got + slot_at(slot), sizeof got);
        if (writes_covered < SLOTS)
            continue;
        missing += got < last || got > writes || got % SLOTS != slot;
    }
    return missing;
}

static void a_writer_beside_syncs_and_a_finish_loses_nothing(void **state) {
    static const char *const kinds[] = {"mem:", "mem:plain"};
    struct fixture *f = *state;

    for (unsigned round = 0; round < 2 * ms_test_rounds(3); round++) {
        struct numbering n = {.f = f};
        uint64_t before;

        start_with(f, kinds[round % 2]);
        write_all(f, 3 * STEP);
        before = ms_stage_generation(f->stage);
        assert_int_equal(pthread_create(&n.thread, NULL, write_numbers, &n), 0);
        ms_clock_sleep_ns(2000000);
        for (unsigned i = 0; i < round % 3; i++)
            assert_ok(run(f, ms_upload_sync, &test_err));
        assert_ok(run(f, ms_upload_finish, &test_err));
        atomic_store(&n.stop, true);
        pthread_join(n.thread, NULL);
        object_is_as_told(f);
        assert_int_equal(n.failed, 0);
        assert_int_equal(numbers_missing(f, f->outcome.result.generation - before, n.writes), 0);
        remove_object(f);
        new_upload(f); /* and what it wrote since is in the next one */
        assert_ok(run(f, ms_upload_finish, &test_err));
        object_is_as_told(f);
        assert_int_equal(numbers_missing(f, n.writes, n.writes), 0);
    }
}

/* ---- sync ---- */

static void store_has_the_list(struct fixture *f) {
    struct ms_obj_request r = {
        .op = MS_OBJ_MP_PARTS, .key = KEY, .upload_id = f->outcome.upload_id};

    assert_ok(ms_obj_run(f->store, &r, &test_err));
    assert_int_equal(r.ret_n, f->outcome.result.parts_n);
    for (size_t i = 0; i < r.ret_n; i++) {
        assert_int_equal(r.ret_parts[i].part_no, i + 1);
        assert_int_equal(f->outcome.part[i].part_no, i + 1);
        assert_int_equal(r.ret_parts[i].size, f->outcome.part[i].size);
        assert_string_equal(r.ret_parts[i].etag, f->outcome.part[i].etag);
    }
    free(r.ret_parts);
}

static void a_sync_lists_what_the_store_has_and_a_second_one_sends_nothing(void **state) {
    struct fixture *f = *state;

    write_all(f, 2 * STEP + 5);
    assert_ok(run(f, ms_upload_sync, &test_err));
    assert_int_equal(f->outcome.result.parts_n, 3);
    assert_int_equal(f->outcome.result.size, 2 * STEP + 5);
    assert_int_equal(f->outcome.result.generation, ms_stage_generation(f->stage));
    assert_int_equal(f->outcome.part[2].size, 5);
    store_has_the_list(f);
    assert_ok(run(f, ms_upload_sync, &test_err));
    assert_int_equal(f->tap.count[MS_OBJ_MP_PUT], 3);
    write_at(f, 2 * STEP + 5, 10); /* the tail grows */
    assert_ok(run(f, ms_upload_sync, &test_err));
    assert_int_equal(f->tap.count[MS_OBJ_MP_PUT], 4);
    assert_int_equal(f->outcome.part[2].size, 15);
    store_has_the_list(f);
    finish_and_compare(f);
    assert_int_equal(f->tap.count[MS_OBJ_MP_PUT], 4);
}

static void a_small_file_is_synced_as_part_1(void **state) {
    struct fixture *f = *state;

    write_all(f, 10);
    assert_ok(run(f, ms_upload_sync, &test_err));
    assert_int_equal(f->outcome.result.parts_n, 1);
    store_has_the_list(f);
    assert_false(exists(f, KEY));
    finish_and_compare(f);
    assert_int_equal(f->tap.count[MS_OBJ_PUT], 0);
}

static void without_parts_a_sync_stands_under_its_own_key_until_the_finish(void **state) {
    struct fixture *f = *state;
    enum ms_code code;
    char etag[MS_ETAG_MAX + 1];

    start_with(f, "mem:plain");
    write_all(f, STEP + 7);
    assert_ok(run(f, ms_upload_sync, &test_err));
    assert_string_equal(f->outcome.upload_id, "");
    assert_int_equal(f->outcome.result.parts_n, 0);
    assert_int_equal(fetch(f, KEY ".fsync", &code, etag), STEP + 7);
    assert_memory_equal(f->got, f->bytes, STEP + 7);
    assert_string_equal(etag, f->outcome.etag);
    assert_ok(run(f, ms_upload_sync, &test_err));
    assert_int_equal(f->tap.count[MS_OBJ_PUT], 1);
    write_at(f, 0, 1);
    assert_ok(run(f, ms_upload_sync, &test_err));
    assert_int_equal(f->tap.count[MS_OBJ_PUT], 2);
    finish_and_compare(f);
}

static void a_listed_part_is_never_sent_again_shorter(void **state) {
    struct fixture *f = *state;
    char listed_id[MS_UPLOAD_ID_MAX + 1];
    struct ms_obj_request r = {.op = MS_OBJ_MP_PARTS, .key = KEY, .upload_id = listed_id};

    write_all(f, 2 * STEP + 100);
    assert_ok(run(f, ms_upload_sync, &test_err));
    memcpy(listed_id, f->outcome.upload_id, sizeof listed_id);
    truncate_to(f, 2 * STEP + 50);
    f->tap.rule[MS_OBJ_MP_COMPLETE].hold = true;
    begin(f, &f->outcome, ms_upload_finish);
    tap_wait_held(&f->tap, MS_OBJ_MP_COMPLETE, 1);
    assert_ok(ms_obj_run(f->store, &r, &test_err)); /* a crash now finds what was listed */
    assert_int_equal(r.ret_n, 3);
    assert_int_equal(r.ret_parts[2].size, 100);
    free(r.ret_parts);
    assert_int_equal(uploads_open(f), 2);
    tap_release(&f->tap, MS_OBJ_MP_COMPLETE);
    assert_ok(end(&f->outcome, &test_err));
    object_is_as_told(f);
    assert_memory_equal(f->got, f->bytes, 2 * STEP + 50);
    assert_string_not_equal(f->outcome.upload_id, listed_id);
    assert_int_equal(uploads_open(f), 0);
}

static void a_file_with_fewer_parts_than_were_sent_takes_another_upload(void **state) {
    struct fixture *f = *state;

    write_all(f, 2 * STEP + 100);
    assert_ok(run(f, ms_upload_sync, &test_err));
    truncate_to(f, 2 * STEP);
    finish_and_compare(f);
    assert_int_equal(f->tap.count[MS_OBJ_MP_CREATE], 2);
    assert_int_equal(f->tap.count[MS_OBJ_MP_PUT], 5);
    assert_int_equal(f->outcome.result.parts_n, 2);
    assert_int_equal(uploads_open(f), 0);
}

/* ---- failures ---- */

static void fail_next(struct fixture *f, enum ms_obj_op op, unsigned times, enum ms_code code) {
    f->tap.rule[op].fail_next = times;
    f->tap.rule[op].fail_code = code;
}

static void a_failed_call_may_be_repeated_and_sends_only_what_is_missing(void **state) {
    static const enum ms_obj_op ops[] = {MS_OBJ_MP_CREATE, MS_OBJ_MP_PUT, MS_OBJ_MP_COMPLETE};
    static call_fn *const calls[] = {ms_upload_sync, ms_upload_finish};
    struct fixture *f = *state;

    for (size_t i = 0; i < MS_ARRAY_LEN(ops); i++)
        for (size_t j = 0; j < MS_ARRAY_LEN(calls); j++) {
            if (ops[i] == MS_OBJ_MP_COMPLETE && calls[j] == ms_upload_sync)
                continue;
            start_with(f, "mem:");
            write_quietly(f, 0, 2 * STEP + 1);
            fail_next(f, ops[i], 1, MS_UNAVAILABLE);
            test_err = (struct ms_error){0};
            assert_int_equal(run(f, calls[j], &test_err), MS_UNAVAILABLE);
            assert_string_equal(test_err.message, "the test wants it");
            assert_false(f->outcome.has_result);
            assert_false(exists(f, KEY));
            assert_ok(run(f, calls[j], &test_err));
            finish_and_compare(f);
            assert_int_equal(f->tap.count[MS_OBJ_MP_PUT], ops[i] == MS_OBJ_MP_PUT ? 4 : 3);
        }
}

static void a_failure_ahead_is_nobodys_error(void **state) {
    struct fixture *f = *state;

    fail_next(f, MS_OBJ_MP_PUT, 1, MS_UNAVAILABLE);
    write_all(f, 2 * STEP);
    tap_wait_done(&f->tap, MS_OBJ_MP_PUT, 1);
    finish_and_compare(f);
    start_with(f, "mem:");
    fail_next(f, MS_OBJ_MP_CREATE, 1, MS_UNAVAILABLE);
    write_all(f, 2 * STEP);
    tap_wait_done(&f->tap, MS_OBJ_MP_CREATE, 1);
    finish_and_compare(f);
}

static void a_lost_reply_of_the_completion_is_asked_for_again(void **state) {
    struct fixture *f = *state;

    for (int touch = 0; touch < 2; touch++) {
        start_with(f, "mem:");
        write_all(f, 2 * STEP + 1);
        f->tap.rule[MS_OBJ_MP_COMPLETE].lose_next = 1;
        f->tap.rule[MS_OBJ_MP_COMPLETE].fail_code = MS_TIMEOUT;
        assert_code(run(f, ms_upload_finish, &test_err), MS_TIMEOUT);
        assert_true(exists(f, KEY));
        if (touch) /* the old upload id is no good any more: all parts go once more */
            write_at(f, STEP + 3, 5);
        finish_and_compare(f);
        assert_int_equal(f->tap.count[MS_OBJ_MP_CREATE], touch ? 2 : 1);
    }
}

static void a_lost_reply_of_a_put_is_put_again(void **state) {
    struct fixture *f = *state;

    start_with(f, "mem:plain");
    write_all(f, STEP + 1);
    f->tap.rule[MS_OBJ_PUT].lose_next = 1;
    f->tap.rule[MS_OBJ_PUT].fail_code = MS_TIMEOUT;
    assert_code(run(f, ms_upload_finish, &test_err), MS_TIMEOUT);
    finish_and_compare(f);
}

/* An older send of part 1 that arrives after the newer one: the store has other bytes than were
 * named. */
static void late_duplicate(void *priv, struct ms_obj_request *r) {
    struct hook *h = priv;
    struct ms_obj_request put = {.op = MS_OBJ_MP_PUT,
                                 .key = KEY,
                                 .upload_id = r->upload_id,
                                 .part_no = 1,
                                 .body = {.memory = {h->f->got, STEP}, .length = STEP}};

    if (atomic_fetch_add(&h->f->hooks, 1) < h->times)
        h->failed += ms_obj_run(h->f->store, &put, NULL) != MS_OK;
}

static void a_part_that_the_store_replaced_is_sent_again(void **state) {
    struct fixture *f = *state;
    struct hook h = {.f = f, .times = 1};

    memset(f->got, 1, STEP);
    f->tap.rule[MS_OBJ_MP_COMPLETE].before = late_duplicate;
    f->tap.rule[MS_OBJ_MP_COMPLETE].priv = &h;
    write_all(f, 2 * STEP + 1);
    finish_and_compare(f);
    assert_int_equal(h.failed, 0);
    assert_int_equal(f->tap.count[MS_OBJ_MP_COMPLETE], 2);
    assert_int_equal(f->tap.count[MS_OBJ_MP_CREATE], 1);
}

static void an_upload_that_the_store_lost_is_begun_anew(void **state) {
    struct fixture *f = *state;
    struct ms_obj_request abort = {
        .op = MS_OBJ_MP_ABORT, .key = KEY, .upload_id = f->outcome.upload_id};

    write_all(f, 2 * STEP + 1);
    assert_ok(run(f, ms_upload_sync, &test_err));
    assert_ok(ms_obj_run(f->store, &abort, &test_err));
    finish_and_compare(f);
    start_with(f, "mem:");
    fail_next(f, MS_OBJ_MP_PUT, UINT32_MAX, MS_NOT_FOUND);
    write_all(f, 2 * STEP + 1);
    assert_code(run(f, ms_upload_finish, &test_err), MS_UNAVAILABLE);
    fail_next(f, MS_OBJ_MP_PUT, 0, MS_OK);
    finish_and_compare(f);
}

static void forget_etag(void *priv, struct ms_obj_request *r) {
    (void)priv;
    r->ret_etag[0] = '\0';
}

static void an_etag_that_the_completion_does_not_tell_is_asked_for(void **state) {
    struct fixture *f = *state;

    f->tap.rule[MS_OBJ_MP_COMPLETE].after = forget_etag;
    fail_next(f, MS_OBJ_HEAD, 1, MS_UNAVAILABLE);
    write_all(f, STEP + 1);
    assert_code(run(f, ms_upload_finish, &test_err), MS_UNAVAILABLE);
    finish_and_compare(f);
    assert_int_equal(f->tap.count[MS_OBJ_HEAD], 2);
    assert_int_equal(f->tap.count[MS_OBJ_MP_PUT], 2);
}

static void a_file_larger_than_one_put_is_refused_where_there_are_no_parts(void **state) {
    struct fixture *f = *state;

    open_store(f, "mem:plain");
    f->tap.obj.caps.put_bytes_max = STEP;
    new_upload(f);
    write_all(f, STEP + 1);
    assert_code(run(f, ms_upload_finish, &test_err), MS_TOO_LARGE);
    truncate_to(f, STEP);
    finish_and_compare(f);
}

static void keys_and_blocks_that_cannot_work_are_refused(void **state) {
    struct fixture *f = *state;
    char key[MS_OBJECT_KEY_MAX + 1];
    struct ms_upload_options o = {
        .obj = &f->tap.obj, .stage = f->stage, .key = key, .block_log2 = LOG2};
    struct ms_upload *u;

    memset(key, 'k', sizeof key);
    key[MS_OBJECT_KEY_MAX - 5] = '\0';
    assert_code(ms_upload_new(&o, &u, &test_err), MS_INVALID);
    key[MS_OBJECT_KEY_MAX - 6] = '\0';
    o.block_log2 = 24;
    assert_code(ms_upload_new(&o, &u, &test_err), MS_INVALID);
    o.block_log2 = 23;
    assert_ok(ms_upload_new(&o, &u, &test_err));
    ms_upload_free(u);
}

/* ---- drop ---- */

static void a_drop_ends_what_is_in_flight_and_leaves_nothing(void **state) {
    struct fixture *f = *state;
    struct outcome drop = {0};

    write_all(f, 3 * STEP);
    assert_ok(run(f, ms_upload_sync, &test_err));
    write_at(f, 0, 1);
    write_at(f, STEP, 1);
    f->tap.rule[MS_OBJ_MP_PUT].hold = true;
    begin(f, &f->outcome, ms_upload_finish);
    tap_wait_held(&f->tap, MS_OBJ_MP_PUT, 2);
    begin(f, &drop, ms_upload_drop);
    assert_code(end(&f->outcome, &test_err), MS_CANCELLED);
    assert_ok(end(&drop, &test_err));
    assert_int_equal(uploads_open(f), 0);
    assert_false(exists(f, KEY));
    assert_code(run(f, ms_upload_sync, &test_err), MS_CANCELLED);
    assert_code(run(f, ms_upload_finish, &test_err), MS_CANCELLED);
    assert_ok(run(f, ms_upload_drop, &test_err));
}

static void a_drop_at_any_moment_leaves_nothing_or_the_finished_object(void **state) {
    static const char *const kinds[] = {"mem:", "mem:plain", "dir:"};
    struct fixture *f = *state;
    uint64_t seed = ms_test_seed();
    struct ms_random_seeded random;

    ms_random_seeded_init(&random, seed);
    for (unsigned round = 0; round < 3 * ms_test_rounds(10); round++) {
        struct outcome drop = {0};

        start_with(f, kinds[round % 3]);
        write_all(f, ms_random_below(&random.random, 3) * STEP + 77);
        begin(f, &f->outcome, round % 2 ? ms_upload_finish : ms_upload_sync);
        ms_clock_sleep_ns((int64_t)ms_random_below(&random.random, 20000000));
        begin(f, &drop, ms_upload_drop);
        ms_latch_wait(&f->outcome.latch);
        assert_ok(end(&drop, &test_err));
        assert_true(f->outcome.code == MS_OK || f->outcome.code == MS_CANCELLED);
        assert_false(exists(f, KEY ".fsync"));
        if (f->store->caps.multipart)
            assert_int_equal(uploads_open(f), 0);
        if (round % 2 && f->outcome.code == MS_OK)
            object_is_as_told(f);
        if (round % 2)
            remove_object(f);
    }
    ms_random_seeded_fini(&random);
}

static void an_upload_may_be_left_alone_after_a_sync(void **state) {
    struct fixture *f = *state;

    write_all(f, 2 * STEP);
    assert_ok(run(f, ms_upload_sync, &test_err));
    write_at(f, 2 * STEP, STEP); /* part 3 is on its way */
    ms_upload_free(MS_TAKE(f->upload));
    f->outcome.result.parts_n = f->tap.done_n[MS_OBJ_MP_PUT];
    assert_int_equal(f->outcome.result.parts_n, 3);
    assert_int_equal(uploads_open(f), 1);
}

static void calls_wait_for_each_other_and_a_second_finish_agrees(void **state) {
    struct fixture *f = *state;
    struct outcome o[4] = {{{{{0}}}}};

    write_all(f, 2 * STEP + 1);
    f->tap.rule[MS_OBJ_MP_PUT].hold = true;
    begin(f, &o[0], ms_upload_sync);
    begin(f, &o[1], ms_upload_sync);
    begin(f, &o[2], ms_upload_finish);
    begin(f, &o[3], ms_upload_finish);
    tap_release(&f->tap, MS_OBJ_MP_PUT);
    for (size_t i = 0; i < 4; i++)
        assert_ok(end(&o[i], &test_err));
    assert_memory_equal(o[2].result.root, o[3].result.root, 16);
    assert_int_equal(f->tap.count[MS_OBJ_MP_COMPLETE], 1);
    ms_hashes_fini(&o[2].hashes);
    ms_hashes_fini(&o[3].hashes);
    write_quietly(f, 0, 1);
    assert_code(run(f, ms_upload_finish, &test_err), MS_CONFLICT);
}

/* ---- patches of a base version ---- */

#define BASE_KEY "t/base"
#define BASE_SIZE (2 * STEP + 3 * MS_MB + 11)

/* A stage that rests on a stored version; f->bytes is what it holds. */
static void rest_on_base(struct fixture *f, const char *kind) {
    struct ms_obj_request put = {.op = MS_OBJ_PUT,
                                 .key = BASE_KEY,
                                 .body = {.memory = {f->bytes, BASE_SIZE}, .length = BASE_SIZE}};

    open_store(f, kind);
    fill(f, 0, BASE_SIZE);
    assert_ok(ms_obj_run(f->store, &put, &test_err));
    f->base = (struct ms_source){.object = ms_object_id_new(ms_random_system()),
                                 .key = BASE_KEY,
                                 .size = BASE_SIZE,
                                 .block_log2 = LOG2};
    assert_ok(ms_hashes_resize(&f->base.hashes, ms_block_count(BASE_SIZE, LOG2), &test_err));
    for (uint64_t i = 0, at = 0; i < f->base.hashes.count; i++, at += BLOCK)
        f->base.hashes.hash[i] =
            ms_block_hash(f->bytes + at, BASE_SIZE - at < BLOCK ? BASE_SIZE - at : BLOCK);
    assert_ok(ms_stage_open(f->journal, &f->stage, &test_err));
    assert_ok(ms_stage_set_base(f->stage, BASE_SIZE, &test_err));
    f->size = BASE_SIZE;
    new_upload(f);
}

static void a_patch_arrives_with_the_rest_of_its_base(void **state) {
    static const char *const kinds[] = {"mem:", "mem:plain", "dir:"};
    struct fixture *f = *state;

    for (size_t i = 0; i < 3; i++) {
        rest_on_base(f, kinds[i]);
        write_at(f, 0, 1);
        write_at(f, STEP - 1, 2);
        write_at(f, BASE_SIZE - 3, 10);
        assert_int_equal(ms_journal_bytes(f->journal), 4 * 4096);
        finish_and_compare(f);
        assert_int_equal(ms_journal_bytes(f->journal),
                         4 * 4096); /* what was fetched is gone again */
        remove_object(f);
        rest_on_base(f, kinds[i]); /* cut, and grown again with zeros */
        truncate_to(f, STEP + 17);
        truncate_to(f, STEP + 3 * MS_MB);
        write_at(f, STEP + 2 * MS_MB, 5);
        assert_ok(run(f, ms_upload_sync, &test_err));
        finish_and_compare(f);
        remove_object(f);
        rest_on_base(f, kinds[i]); /* as it is */
        finish_and_compare(f);
        remove_object(f);
    }
}

static void a_part_of_base_that_is_touched_again_is_fetched_again(void **state) {
    struct fixture *f = *state;

    rest_on_base(f, "mem:");
    write_at(f, STEP + 5, 5);
    assert_ok(run(f, ms_upload_sync, &test_err));
    write_at(f, STEP + 5000, 5);
    finish_and_compare(f);
    assert_int_equal(tap_sent(&f->tap, 2), 2);
    assert_int_equal(tap_sent(&f->tap, 1), 0); /* copied */
}

/* What goes over the wire for a patch is the part that it touches. */
static void parts_that_nobody_wrote_into_are_copied_by_the_store(void **state) {
    static const char *const kinds[] = {"mem:", "dir:"};
    struct fixture *f = *state;

    for (size_t i = 0; i < MS_ARRAY_LEN(kinds); i++) {
        rest_on_base(f, kinds[i]);
        write_at(f, STEP + MS_MB, 3);
        assert_ok(run(f, ms_upload_sync, &test_err)); /* a list with copied parts */
        assert_int_equal(f->tap.count[MS_OBJ_MP_COPY], 2);
        assert_int_equal(f->tap.count[MS_OBJ_MP_PUT], 1);
        for (size_t part = 0; part < 3; part++)
            assert_true(f->outcome.part[part].size > 0 && f->outcome.part[part].etag[0]);
        finish_and_compare(f);
        assert_int_equal(f->tap.count[MS_OBJ_MP_COPY], 2); /* the finish needs no other */
        assert_int_equal(f->tap.count[MS_OBJ_MP_PUT], 1);
        remove_object(f);
    }
}

/* The last block is another one than the base's: its hash cannot be inherited. */
static void the_part_where_a_base_was_cut_goes_by_bytes(void **state) {
    struct fixture *f = *state;

    rest_on_base(f, "mem:");
    truncate_to(f, 2 * STEP + BLOCK + 5);
    finish_and_compare(f);
    assert_int_equal(f->tap.count[MS_OBJ_MP_COPY], 2);
    assert_int_equal(tap_sent(&f->tap, 3), 1);
}

static void a_copy_that_the_store_refuses_goes_by_bytes(void **state) {
    struct fixture *f = *state;

    rest_on_base(f, "mem:");
    write_at(f, STEP + MS_MB, 3);
    fail_next(f, MS_OBJ_MP_COPY, 1000, MS_UNSUPPORTED);
    finish_and_compare(f);
    for (uint32_t part = 1; part <= 3; part++)
        assert_int_equal(tap_sent(&f->tap, part), 1);
    assert_int_equal(f->tap.count[MS_OBJ_MP_CREATE], 1);
    remove_object(f);
    rest_on_base(f, "mem:"); /* a store that is away is no reason to send them all */
    write_at(f, STEP + MS_MB, 3);
    fail_next(f, MS_OBJ_MP_COPY, 1, MS_UNAVAILABLE);
    assert_code(run(f, ms_upload_finish, &test_err), MS_UNAVAILABLE);
    finish_and_compare(f);
    assert_int_equal(tap_sent(&f->tap, 1) + tap_sent(&f->tap, 3), 0);
}

static void a_copied_part_that_is_touched_on_its_way_is_sent(void **state) {
    struct fixture *f = *state;
    struct hook h = {.f = f, .part_no = 3, .times = 1};

    rest_on_base(f, "mem:");
    f->tap.rule[MS_OBJ_MP_COPY].before = touch_part;
    f->tap.rule[MS_OBJ_MP_COPY].priv = &h;
    assert_ok(run(f, ms_upload_finish, &test_err));
    object_is_as_told(f);
    assert_memory_equal(f->got, f->bytes, f->size);
    assert_int_equal(tap_sent(&f->tap, 3), 1);
    assert_int_equal(f->tap.count[MS_OBJ_MP_COPY], 3);
    assert_int_equal(h.failed, 0);
}

/* ---- any patch, against an array of bytes ---- */

static void step_of_patch(struct fixture *f, struct ms_random *random) {
    static const uint64_t memory[] = {0, 9 * MS_MB, 17 * MS_MB, MS_STAGE_MEMORY_BYTES};
    uint64_t at = ms_random_below(random, f->size ? f->size : 1);
    uint64_t n = 1 + ms_random_below(random, ms_random_below(random, 3) ? 5000 : 3 * MS_MB);

    switch (ms_random_below(random, 8)) {
    case 0:
        truncate_to(f, ms_random_below(random, 2) ? at : (f->size + n < MAX ? f->size + n : at));
        ms_upload_written(f->upload, at, 0);
        break;
    case 1:
        ms_journal_limit_memory(f->journal, memory[ms_random_below(random, MS_ARRAY_LEN(memory))]);
        break;
    case 2:
        assert_ok(run(f, ms_upload_sync, &test_err));
        assert_int_equal(f->outcome.result.size, f->size);
        break;
    case 3:
        ms_stage_rest(f->stage, at, STEP);
        break;
    case 4:
    default:
        at = ms_random_below(random, 3) ? at : f->size;
        write_at(f, at, at + n <= MAX ? n : MAX - at);
    }
}

/* Calls fail now and then, and are repeated. */
static void finish_at_last(struct fixture *f) {
    enum ms_code code = MS_UNAVAILABLE;

    for (int tries = 0; code == MS_UNAVAILABLE && tries < 10; tries++)
        code = run(f, ms_upload_finish, &test_err);
    assert_int_equal(code, MS_OK);
    finish_and_compare(f); /* once more: it is what it is */
}

static void any_patch_arrives(struct fixture *f, const char *kind, unsigned rounds) {
    struct ms_random_seeded random;
    uint64_t seed = ms_test_seed();
    unsigned copies = 0;

    for (unsigned round = 0; round < rounds; round++) {
        ms_random_seeded_init(&random, seed + round);
        rest_on_base(f, kind);
        for (uint64_t i = ms_random_below(&random.random, 8); i > 0; i--)
            step_of_patch(f, &random.random);
        if (ms_random_below(&random.random, 3) == 0)
            fail_next(f, MS_OBJ_MP_COPY, 1,
                      ms_random_below(&random.random, 2) ? MS_NOT_FOUND : MS_UNAVAILABLE);
        if (ms_random_below(&random.random, 3) == 0)
            fail_next(f, MS_OBJ_MP_PUT, 1, MS_UNAVAILABLE);
        finish_at_last(f);
        copies += f->tap.count[MS_OBJ_MP_COPY];
        if (f->size > 0)
            remove_object(f);
        ms_random_seeded_fini(&random);
    }
    assert_true(copies > 0 || rounds < 4);
}

static void any_patch_arrives_in_memory(void **state) {
    any_patch_arrives(*state, "mem:", ms_test_rounds(12));
}
static void any_patch_arrives_in_a_folder(void **state) {
    any_patch_arrives(*state, "dir:", ms_test_rounds(8));
}
/* Against a store that is given by its URL. */
static void any_patch_arrives_there(void **state) {
    any_patch_arrives(*state, getenv("MS_TEST_STORE"), ms_test_rounds(12));
}

static void a_damaged_base_fails_the_finish_and_completes_nothing(void **state) {
    struct fixture *f = *state;
    struct ms_obj_request put = {.op = MS_OBJ_PUT, .key = BASE_KEY};

    rest_on_base(f, "mem:");
    write_at(f, 0, 1); /* so that its part's other bytes are fetched */
    f->bytes[MS_MB + 5] ^= 1;
    put.body = (struct ms_obj_body){.memory = {f->bytes, BASE_SIZE}, .length = BASE_SIZE};
    assert_ok(ms_obj_run(f->store, &put, &test_err));
    assert_code(run(f, ms_upload_finish, &test_err), MS_CORRUPT);
    assert_false(exists(f, KEY));
    assert_ok(run(f, ms_upload_drop, &test_err));
    assert_int_equal(uploads_open(f), 0);
}

static void a_staging_area_with_room_for_one_part_is_enough_for_a_patch(void **state) {
    struct fixture *f = *state;
    char *dir = ms_test_path(f->dir, "small");
    struct ms_journal *usual = f->journal;

    for (uint64_t room = STEP + MS_MB; room > 0; room = room > STEP ? STEP - MS_MB : 0) {
        close_store(f);
        assert_ok(ms_journal_open(dir, room, &f->journal, &test_err));
        rest_on_base(f, "mem:");
        write_at(f, 0, 1);
        if (room > STEP)
            finish_and_compare(f);
        else
            assert_code(run(f, ms_upload_finish, &test_err), MS_NO_SPACE);
        assert_ok(run(f, ms_upload_drop, &test_err));
        close_store(f);
        ms_journal_close(f->journal);
    }
    f->journal = usual;
    free(dir);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_size_around_the_boundaries_arrives_in_parts),
        TEST(every_size_around_the_boundaries_arrives_without_parts),
        TEST(every_size_around_the_boundaries_arrives_in_a_folder),
        TEST(a_file_of_one_part_is_one_put),
        TEST(size_zero_has_no_object),
        TEST(parts_go_out_while_the_writer_writes_and_part_1_is_held_back),
        TEST(a_part_that_is_touched_later_is_sent_again_once),
        TEST(no_more_parts_are_in_flight_than_agreed),
        TEST(a_file_that_was_made_as_a_hole_is_sent_once_it_is_written),
        TEST(the_type_is_asked_for_once_when_the_object_is_born),
        TEST(a_part_that_is_touched_on_its_way_is_sent_again),
        TEST(a_writer_that_never_rests_cannot_keep_a_close_from_ending),
        TEST(a_part_in_memory_is_sent_once_whatever_happens_to_it_meanwhile),
        TEST(a_sync_takes_bytes_as_they_come_and_the_finish_does_not),
        TEST(a_file_that_is_cut_under_a_send_is_sent_as_it_became),
        TEST(a_writer_beside_syncs_and_a_finish_loses_nothing),
        TEST(a_sync_lists_what_the_store_has_and_a_second_one_sends_nothing),
        TEST(a_small_file_is_synced_as_part_1),
        TEST(without_parts_a_sync_stands_under_its_own_key_until_the_finish),
        TEST(a_listed_part_is_never_sent_again_shorter),
        TEST(a_file_with_fewer_parts_than_were_sent_takes_another_upload),
        TEST(a_failed_call_may_be_repeated_and_sends_only_what_is_missing),
        TEST(a_failure_ahead_is_nobodys_error),
        TEST(a_lost_reply_of_the_completion_is_asked_for_again),
        TEST(a_lost_reply_of_a_put_is_put_again),
        TEST(a_part_that_the_store_replaced_is_sent_again),
        TEST(an_upload_that_the_store_lost_is_begun_anew),
        TEST(an_etag_that_the_completion_does_not_tell_is_asked_for),
        TEST(a_file_larger_than_one_put_is_refused_where_there_are_no_parts),
        TEST(keys_and_blocks_that_cannot_work_are_refused),
        TEST(a_drop_ends_what_is_in_flight_and_leaves_nothing),
        TEST(a_drop_at_any_moment_leaves_nothing_or_the_finished_object),
        TEST(an_upload_may_be_left_alone_after_a_sync),
        TEST(calls_wait_for_each_other_and_a_second_finish_agrees),
        TEST(a_patch_arrives_with_the_rest_of_its_base),
        TEST(a_part_of_base_that_is_touched_again_is_fetched_again),
        TEST(parts_that_nobody_wrote_into_are_copied_by_the_store),
        TEST(the_part_where_a_base_was_cut_goes_by_bytes),
        TEST(a_copy_that_the_store_refuses_goes_by_bytes),
        TEST(a_copied_part_that_is_touched_on_its_way_is_sent),
        TEST(any_patch_arrives_in_memory),
        TEST(any_patch_arrives_in_a_folder),
        TEST(a_damaged_base_fails_the_finish_and_completes_nothing),
        TEST(a_staging_area_with_room_for_one_part_is_enough_for_a_patch),
    };
    const struct CMUnitTest there[] = {TEST(any_patch_arrives_there)};

    return getenv("MS_TEST_STORE") ? cmocka_run_group_tests(there, NULL, NULL)
                                   : cmocka_run_group_tests(tests, NULL, NULL);
}
