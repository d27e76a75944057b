#include "child.h"

#include "service/file_image.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOUR MS_GC_GRACE_MS
#define MIB ((size_t)1 << 20)

static struct ms_gc_result gc_now(struct world *w, int64_t grace_ms, bool dry_run) {
    struct ms_gc_result result;
    assert_ok(ms_gc(w->svc, grace_ms, dry_run, &result, &test_err));
    return result;
}

static bool in_store(struct world *w, const char *key) {
    struct ms_obj_request head = {.op = MS_OBJ_HEAD, .key = key};
    enum ms_code code = ms_obj_run(w->svc->obj, &head, NULL);
    ms_buf_fini(&head.ret_meta);
    assert_true(code == MS_OK || code == MS_NOT_FOUND);
    return code == MS_OK;
}

static size_t tombstones(struct world *w) { return count_rows(w->svc, ms_key_tombs()); }

/* A file of 1000 bytes that is deleted for good at once; its key. */
static void make_tombstone(struct world *w, const char *path, char ret_key[MS_OBJECT_KEY_MAX + 1]) {
    static const uint8_t bytes[1000];
    struct behind b;
    write_file(w, path, bytes, sizeof bytes);
    look_behind(w, path, &b);
    memcpy(ret_key, b.object.key, sizeof b.object.key);
    unlink_path(w, path);
}

static const char ours[] =
    "00112233445566778899aabbccddeeff/ffeeddccbbaa99887766554433221100.7.mp4";

/* ---- tombstones -------------------------------------------------------------------------- */

static void a_tombstone_waits_for_its_grace_to_the_millisecond(void **state) {
    struct world *w = *state;
    char key[MS_OBJECT_KEY_MAX + 1];
    struct ms_gc_result r;
    make_tombstone(w, "/files/a.bin", key);
    assert_int_equal(tombstones(w), 1);
    r = gc_now(w, HOUR, false);
    assert_int_equal(r.tombstones, 1);
    assert_int_equal(r.deleted, 0);
    ms_clock_fake_advance(&w->clock, HOUR - 1);
    r = gc_now(w, HOUR, false);
    assert_int_equal(r.deleted, 0);
    assert_true(in_store(w, key));
    ms_clock_fake_advance(&w->clock, 1);
    r = gc_now(w, HOUR, true); /* only counted */
    assert_int_equal(r.deleted, 1);
    assert_int_equal(r.deleted_bytes, 1000);
    assert_true(in_store(w, key));
    r = gc_now(w, HOUR, false);
    assert_int_equal(r.tombstones, 0);
    assert_int_equal(r.deleted, 1);
    assert_int_equal(r.deleted_bytes, 1000);
    assert_false(in_store(w, key));
    assert_int_equal(tombstones(w), 0);
    assert_int_equal(count_rows(w->svc, (struct ms_key){.bytes = {'H'}, .len = 1}), 0);
    check_clean(w->svc);
}

static void many_tombstones_go_in_batches(void **state) {
    struct world *w = *state;
    char key[MS_OBJECT_KEY_MAX + 1];
    unsigned n = ms_test_rounds(600);
    for (unsigned i = 0; i < n; i++)
        make_tombstone(w, "/files/a.bin", key);
    struct ms_gc_result r = gc_now(w, 0, false);
    assert_int_equal(r.deleted, n);
    assert_int_equal(tombstones(w), 0);
    check_clean(w->svc);
}

static void one_by_one_where_the_store_cannot_do_more(void **state) {
    struct world *w = *state;
    char key[3][MS_OBJECT_KEY_MAX + 1];
    w->svc->obj->caps.batch_delete = false;
    for (unsigned i = 0; i < 3; i++)
        make_tombstone(w, "/files/a.bin", key[i]);
    assert_int_equal(gc_now(w, 0, false).deleted, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_false(in_store(w, key[i]));
    check_clean(w->svc);
}

static void a_delete_that_fails_is_tried_again(void **state) {
    struct world *w = *state;
    char key[MS_OBJECT_KEY_MAX + 1];
    struct ms_gc_result r = {.deleted = 77};
    struct ms_tombstone_record tomb;
    struct ms_key prefix = ms_key_tombs();
    struct ms_scan scan;
    struct ms_view k;
    struct ms_txn *txn;
    make_tombstone(w, "/files/a.bin", key);
    gate_refuse(w, MS_UNAVAILABLE);
    assert_code(ms_gc(w->svc, 0, false, &r, &test_err), MS_UNAVAILABLE);
    assert_int_equal(r.deleted, 77);
    gate_refuse(w, MS_OK);
    assert_ok(ms_read_begin(w->svc->store, &txn, &test_err));
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    assert_ok(ms_row_next_tombstone(&scan, &k, &tomb, &test_err));
    ms_scan_end(&scan);
    ms_read_end(txn);
    assert_true(ms_instance_id_is_none((struct ms_instance_id){tomb.deleter})); /* given back */
    assert_int_equal(gc_now(w, 0, false).deleted, 1);
    check_clean(w->svc);
}

/* Under a legal hold, say: the others go, in this batch and behind it, and so do uploads and strays. */
static void check_one_that_stays(struct world *w, enum ms_code code) {
    char key[4][MS_OBJECT_KEY_MAX + 1];
    struct ms_obj_request mp = {.op = MS_OBJ_MP_CREATE, .key = ours};
    struct ms_obj_request put = {
        .op = MS_OBJ_PUT, .key = ours, .body = {.memory = ms_view_str("stray"), .length = 5}};
    for (unsigned run = 0; run < 2; run++) {
        struct ms_gc_result r = {0};
        for (unsigned i = run; i < 4; i++)
            make_tombstone(w, "/files/a.bin", key[i]);
        assert_ok(ms_obj_run(w->svc->obj, &put, &test_err));
        assert_ok(ms_obj_run(w->svc->obj, &mp, &test_err));
        gate_refuse_key(w, MS_OBJ_OP_COUNT, key[0], code);
        assert_code(ms_gc(w->svc, 0, false, &r, &test_err), code);
        assert_non_null(strstr(test_err.message, "1 objects or unfinished uploads could not be deleted"));
        assert_int_equal(r.left, 1);
        assert_int_equal(r.deleted, 3);
        assert_int_equal(r.strays_deleted, 1);
        assert_int_equal(r.uploads_aborted, 1);
        gate_refuse(w, MS_OK);
        assert_true(in_store(w, key[0]));
        assert_int_equal(tombstones(w), 1);
    }
    assert_int_equal(gc_now(w, 0, false).deleted, 1);
    check_clean(w->svc);
}

static void one_that_may_not_be_deleted_keeps_nobody(void **state) {
    struct world *w = *state;
    check_one_that_stays(w, MS_DENIED);
    check_one_that_stays(w, MS_UNAVAILABLE);
    w->svc->obj->caps.batch_delete = false;
    check_one_that_stays(w, MS_DENIED);
}

/* A store that is down is not asked for every object. */
static void a_store_that_deletes_nothing_is_left_alone(void **state) {
    struct world *w = *state;
    char key[MS_OBJECT_KEY_MAX + 1];
    struct ms_gc_result r;
    for (unsigned i = 0; i < 30; i++)
        make_tombstone(w, "/files/a.bin", key);
    gate_refuse(w, MS_UNAVAILABLE);
    unsigned before = atomic_load(&w->gate.requests);
    assert_code(ms_gc(w->svc, 0, false, &r, &test_err), MS_UNAVAILABLE);
    assert_int_equal(atomic_load(&w->gate.requests) - before, 1 + 8);
    gate_refuse(w, MS_OK);
    assert_int_equal(gc_now(w, 0, false).deleted, 30);
    check_clean(w->svc);
}

/* A stray that stays among others, in a batch and one by one. */
static void a_stray_that_may_not_be_deleted_keeps_nobody(void **state) {
    struct world *w = *state;
    for (unsigned batch = 0; batch < 2; batch++) {
        struct ms_gc_result r = {0};
        w->svc->obj->caps.batch_delete = batch == 0;
        for (unsigned i = 0; i < 5; i++) {
            char key[100];
            snprintf(key, sizeof key, "00112233445566778899aabbccddeeff/ffeeddccbbaa998877665544332211%02x.1.mp4", i);
            struct ms_obj_request put = {
                .op = MS_OBJ_PUT, .key = key, .body = {.memory = ms_view_str("stray"), .length = 5}};
            assert_ok(ms_obj_run(w->svc->obj, &put, &test_err));
        }
        gate_refuse_key(w, MS_OBJ_OP_COUNT, "00112233445566778899aabbccddeeff/ffeeddccbbaa99887766554433221102",
                        MS_DENIED);
        assert_code(ms_gc(w->svc, 0, false, &r, &test_err), MS_DENIED);
        assert_int_equal(r.strays_deleted, 4);
        assert_int_equal(r.strays_bytes, 20);
        assert_int_equal(r.left, 1);
        gate_refuse(w, MS_OK);
        assert_int_equal(gc_now(w, 0, false).strays_deleted, 1);
    }
}

/* ---- several deleters -------------------------------------------------------------------- */

static void gc_in_child(struct child *c) {
    struct ms_gc_result result;
    struct ms_error err = {0};
    child_says('g');
    if (ms_gc(c->svc, 0, false, &result, &err) != MS_OK) {
        fprintf(stderr, "child: %s\n", err.message);
        _exit(9);
    }
    child_says('d');
}

static const struct child_work works[] = {{"gc", gc_in_child}};

static void a_deleter_killed_at_every_request(void **state) {
    struct world *w = *state;
    unsigned kills = 0;
    for (unsigned after = 0; after < 2; after++) {
        struct child_end end = {.killed = true};
        for (unsigned at = 1; end.killed; at++) {
            char key[2][MS_OBJECT_KEY_MAX + 1];
            make_tombstone(w, "/files/a.bin", key[0]);
            make_tombstone(w, "/files/b.bin", key[1]);
            struct child_plan plan = {.work = "gc", .kill_at = at, .after = after};
            end = child_run(w, &plan);
            kills += end.killed;
            check_findings(w->svc);
            (void)gc_now(w, 0, false); /* takes over what the dead one has claimed */
            assert_false(in_store(w, key[0]));
            assert_false(in_store(w, key[1]));
            assert_int_equal(tombstones(w), 0);
            struct ms_recover_result r;
            assert_ok(ms_recover(w->svc, &r, &test_err));
            check_clean(w->svc);
        }
    }
    print_message("gc killed at %u points\n", kills);
    assert_true(kills >= 4);
}

static void several_deleters_delete_each_once(void **state) {
    struct world *w = *state;
    struct child_running running[3];
    char key[MS_OBJECT_KEY_MAX + 1];
    unsigned n = ms_test_rounds(120);
    for (unsigned i = 0; i < n; i++)
        make_tombstone(w, "/files/a.bin", key);
    for (unsigned i = 0; i < 3; i++)
        running[i] = child_start(w, &(struct child_plan){.work = "gc"});
    (void)gc_now(w, 0, false);
    for (unsigned i = 0; i < 3; i++)
        assert_false(child_wait(&running[i]).killed);
    (void)gc_now(w, 0, false);
    assert_int_equal(tombstones(w), 0);
    check_clean(w->svc);
}

/* ---- strays ------------------------------------------------------------------------------ */

static void put(struct world *w, const char *key) {
    struct ms_obj_request r = {
        .op = MS_OBJ_PUT, .key = key, .body = {.memory = ms_view_str("stray"), .length = 5}};
    assert_ok(ms_obj_run(w->svc->obj, &r, &test_err));
}

static void strays_of_our_making_go_and_nothing_else(void **state) {
    struct world *w = *state;
    static const char *const others[] = {
        "holiday/beach.jpg",
        "00112233445566778899aabbccddeeff/notes.txt",
        "00112233445566778899AABBCCDDEEFF/ffeeddccbbaa99887766554433221100.1.mp4",
        "00112233445566778899aabbccddeeff/ffeeddccbbaa99887766554433221100.1.mp4.bak",
        ".catalogue/00112233445566778899aabbccddeeff",
    };
    struct ms_obj_request mp = {.op = MS_OBJ_MP_CREATE, .key = ours};
    struct ms_gc_result r;
    fill_world(w);
    (void)gc_now(w, 0, false);
    for (size_t i = 0; i < MS_ARRAY_LEN(others); i++)
        put(w, others[i]);
    put(w, ours);
    put(w, "00112233445566778899aabbccddeeff/ffeeddccbbaa99887766554433221100.8.mp4.fsync");
    assert_ok(ms_obj_run(w->svc->obj, &mp, &test_err));
    r = gc_now(w, 0, true);
    assert_int_equal(r.strays_deleted, 2);
    assert_int_equal(r.uploads_aborted, 1);
    assert_true(in_store(w, ours));
    r = gc_now(w, 0, false);
    assert_int_equal(r.strays_deleted, 2);
    assert_int_equal(r.uploads_aborted, 1);
    assert_int_equal(r.deleted, 0);
    assert_false(in_store(w, ours));
    for (size_t i = 0; i < MS_ARRAY_LEN(others); i++)
        assert_true(in_store(w, others[i]));
    check_clean(w->svc);
    assert_int_equal(gc_now(w, 0, false).strays_deleted, 0);
}

static void make_old(struct world *w, const char *key, int64_t age_ms) {
    char path[5000];
    int64_t ms = ms_clock_kernel_now().ms - age_ms;
    struct timespec at[2] = {{.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};
    at[1] = at[0];
    snprintf(path, sizeof path, "%s/objects/%s", w->dir, key);
    assert_int_equal(utimensat(AT_FDCWD, path, at, 0), 0);
}

/* The store's own clock dates them, and tells what is now: whatever the host's clock says. */
static void a_young_stray_is_left_alone(void **state) {
    struct world *w = *state;
    put(w, ours);
    ms_clock_fake_set(&w->clock, ms_instant_add_ms(ms_clock_kernel_now(), 400 * MS_DAY_MS));
    make_old(w, ours, HOUR - 5 * MS_MINUTE_MS);
    assert_int_equal(gc_now(w, HOUR, false).strays_deleted, 0);
    assert_true(in_store(w, ours));
    ms_clock_fake_set(&w->clock, ms_instant_of(1000));
    assert_int_equal(gc_now(w, HOUR, false).strays_deleted, 0);
    make_old(w, ours, HOUR + 5 * MS_MINUTE_MS);
    struct ms_gc_result r = gc_now(w, HOUR, false);
    assert_int_equal(r.strays_deleted, 1);
    assert_int_equal(r.strays_bytes, 5);
    assert_false(in_store(w, ours));
}

/* Nothing can be put, and what fills it goes nevertheless. */
static void a_full_store_is_made_room_on(void **state) {
    struct world *w = *state;
    struct ms_gc_result r;
    put(w, ours);
    make_old(w, ours, HOUR + 5 * MS_MINUTE_MS);
    ms_clock_fake_set(&w->clock, ms_clock_kernel_now());
    gate_refuse_key(w, MS_OBJ_PUT, "", MS_NO_SPACE);
    r = gc_now(w, HOUR, false);
    assert_int_equal(r.strays_deleted, 1);
    assert_false(in_store(w, ours));
    gate_refuse_key(w, MS_OBJ_PUT, "", MS_DENIED); /* another failure says nothing of the age */
    assert_code(ms_gc(w->svc, HOUR, false, &r, &test_err), MS_DENIED);
}

/* Of one that was killed between the two: it goes once it is old, and no young one of a live process does. */
static void the_objects_that_tell_the_time_do_not_stay(void **state) {
    static const char old[] = ".catalogue/clock-00112233445566778899aabbccddeeff";
    static const char young[] = ".catalogue/clock-ffeeddccbbaa99887766554433221100";
    struct world *w = *state;
    put(w, old);
    put(w, young);
    make_old(w, old, HOUR + 5 * MS_MINUTE_MS);
    gate_refuse_key(w, MS_OBJ_DELETE, ".catalogue/clock-", MS_DENIED);
    struct ms_gc_result r = {0};
    assert_code(ms_gc(w->svc, HOUR, false, &r, &test_err), MS_DENIED);
    assert_int_equal(r.left, 1); /* its own is young */
    gate_refuse(w, MS_OK);
    (void)gc_now(w, HOUR, true);
    assert_true(in_store(w, old));
    assert_int_equal(gc_now(w, HOUR, false).strays_deleted, 0);
    assert_false(in_store(w, old));
    assert_true(in_store(w, young));
    (void)gc_now(w, 0, false);
    assert_false(in_store(w, young));
}

static void many_strays_go_in_batches(void **state) {
    struct world *w = *state;
    unsigned n = 600;
    fill_world(w);
    (void)gc_now(w, 0, false);
    for (unsigned i = 0; i < n; i++) {
        char key[100];
        snprintf(key, sizeof key, "00112233445566778899aabbccddeeff/ffeeddccbbaa9988776655443322%04x.1.mp4",
                 i);
        put(w, key);
    }
    unsigned before = atomic_load(&w->gate.requests);
    struct ms_gc_result r = gc_now(w, 0, false);
    assert_int_equal(r.strays_deleted, n);
    assert_int_equal(r.strays_bytes, 5 * n);
    assert_in_range(atomic_load(&w->gate.requests) - before, 4, 20);
    check_clean(w->svc);
}

static bool stop_soon(void *priv, uint64_t done) {
    unsigned *left = priv;
    (void)done;
    return (*left)-- > 1;
}

static void stopped_and_begun_again(void **state) {
    struct world *w = *state;
    char key[MS_OBJECT_KEY_MAX + 1];
    enum ms_code code = MS_CANCELLED;
    for (unsigned i = 0; i < 20; i++)
        make_tombstone(w, "/files/a.bin", key);
    put(w, ours);
    for (unsigned at = 1; code == MS_CANCELLED; at++) {
        unsigned left = at;
        struct ms_gc_result r;
        struct ms_gc_options options = {.progress = stop_soon, .priv = &left};
        code = ms_gc_with(w->svc, &options, &r, &test_err);
        assert_true(code == MS_OK || code == MS_CANCELLED);
        check_findings(w->svc);
    }
    assert_false(in_store(w, ours));
    check_clean(w->svc);
}

/* ---- what is alive ----------------------------------------------------------------------- */

static void an_upload_under_way_loses_nothing(void **state) {
    struct world *w = *state;
    uint8_t *bytes = malloc(20 * MIB);
    struct ms_gc_result r;
    struct ms_handle *h = make_file(w, "/files/film.bin");
    for (size_t i = 0; i < 20 * MIB; i++)
        bytes[i] = (uint8_t)(i * 31 + (i >> 9));
    for (size_t at = 0; at < 20 * MIB; at += MIB)
        put_bytes(h, at, bytes + at, MIB);
    r = gc_now(w, 0, false);
    assert_int_equal(r.uploads_aborted, 0);
    assert_ok(sync_file(h, &test_err));
    r = gc_now(w, 0, false);
    assert_int_equal(r.uploads_aborted, 0);
    assert_int_equal(r.strays_deleted, 0);
    put_bytes(h, 5, bytes + 5, 10);
    r = gc_now(w, 0, false);
    seal_file(h);
    r = gc_now(w, 0, false);
    assert_int_equal(r.strays_deleted, 0);
    check_file(w, "/files/film.bin", bytes, 20 * MIB);
    check_clean(w->svc);
    free(bytes);
}

struct collector {
    struct world *w;
    atomic_bool stop;
    atomic_uint runs, failed;
};

static void *collect_all_the_time(void *priv) {
    struct collector *c = priv;
    while (!atomic_load(&c->stop)) {
        struct ms_gc_result r;
        if (ms_gc(c->w->svc, 0, false, &r, NULL) != MS_OK)
            atomic_fetch_add(&c->failed, 1);
        atomic_fetch_add(&c->runs, 1);
    }
    return NULL;
}

/* A store that keeps the answer of a PUT to itself until it is told to give it, and calls a
 * function when a LIST is answered. */
struct late {
    struct ms_obj obj;
    struct ms_obj *inner;
    pthread_mutex_t mutex;
    bool hold;
    struct ms_obj_request *held;
    void (*done)(struct ms_obj_request *request);
    void (*listed)(void *priv);
    void *priv;
};

static void late_give(struct late *l) {
    pthread_mutex_lock(&l->mutex);
    struct ms_obj_request *held = MS_TAKE(l->held);
    l->hold = false;
    pthread_mutex_unlock(&l->mutex);
    if (held)
        l->done(held);
}

static void late_wait(struct late *l) {
    for (bool held = false; !held; usleep(1000)) {
        pthread_mutex_lock(&l->mutex);
        held = l->held != NULL;
        pthread_mutex_unlock(&l->mutex);
    }
}

static struct late *the_late; /* an answer has no other way to its wrapper */

static void late_answer(struct ms_obj_request *request) {
    struct late *l = the_late;
    pthread_mutex_lock(&l->mutex);
    bool hold = l->hold;
    if (hold)
        l->held = request;
    pthread_mutex_unlock(&l->mutex);
    if (!hold)
        l->done(request);
}

static void late_submit(struct ms_obj *obj, struct ms_obj_request *request) {
    struct late *l = MS_CONTAINER_OF(obj, struct late, obj);
    if (request->op == MS_OBJ_PUT && l->hold) {
        l->done = request->done;
        request->done = late_answer;
    }
    ms_obj_submit(l->inner, request);
}

/* Blocks; for the service that gc is given. */
static void listing_submit(struct ms_obj *obj, struct ms_obj_request *request) {
    struct late *l = MS_CONTAINER_OF(obj, struct late, obj);
    void (*done)(struct ms_obj_request *) = request->done;
    void *priv = request->priv;
    if (ms_obj_run(l->inner, request, NULL) == MS_OK && request->op == MS_OBJ_LIST && l->listed)
        l->listed(l->priv);
    request->done = done;
    request->priv = priv;
    done(request);
}

static void late_cancel(struct ms_obj *obj, struct ms_obj_request *request) {
    (void)obj, (void)request;
}
static void late_close(struct ms_obj *obj) { (void)obj; }
static const struct ms_obj_ops late_ops = {"late", late_submit, late_cancel, late_close};
static const struct ms_obj_ops listing_ops = {"listing", listing_submit, late_cancel, late_close};

struct between {
    struct late *late;
    struct ms_file_wait wait;
    bool listed, waited;
};

/* The first list has been made: now the answer comes and the file is sealed, before gc reads the rows. */
static void seal_now(void *priv) {
    struct between *b = priv;
    if (b->listed)
        return;
    b->listed = true;
    late_give(b->late);
    b->waited = ms_file_wait_end(&b->wait, NULL, NULL) == MS_OK;
}

static void an_object_between_its_upload_and_its_commit_is_kept(void **state) {
    struct world *w = *state;
    static const uint8_t bytes[5000] = {1, 2, 3};
    struct ms_obj *own = w->svc->obj;
    struct late late = {.inner = own, .hold = true}, listing = {.inner = own};
    struct between between = {.late = &late};
    struct ms_svc svc = *w->svc; /* the service of gc */
    struct ms_gc_result r;
    the_late = &late;
    pthread_mutex_init(&late.mutex, NULL);
    late.obj = (struct ms_obj){&late_ops, own->caps, own->engine};
    listing.obj = (struct ms_obj){&listing_ops, own->caps, own->engine};
    listing.listed = seal_now;
    listing.priv = &between;
    w->svc->obj = &late.obj;
    struct ms_handle *h = make_file(w, "/files/held.bin");
    put_bytes(h, 0, bytes, sizeof bytes);
    ms_file_flush(h, ms_file_wait_begin(&between.wait));
    late_wait(&late); /* the object is there, its row is not */
    assert_ok(ms_gc(&svc, 0, false, &r, &test_err));
    assert_int_equal(r.strays_deleted + r.uploads_aborted, 0);
    svc.obj = &listing.obj;
    assert_ok(ms_gc(&svc, 0, false, &r, &test_err));
    assert_true(between.listed && between.waited);
    assert_int_equal(r.strays_deleted + r.uploads_aborted, 0);
    w->svc->obj = own;
    assert_ok(release_file(h, &test_err));
    check_file(w, "/files/held.bin", bytes, sizeof bytes);
    check_clean(w->svc);
    pthread_mutex_destroy(&late.mutex);
}

static void files_are_written_while_gc_runs_without_grace(void **state) {
    struct world *w = *state;
    struct collector c = {.w = w};
    unsigned rounds = ms_test_rounds(60);
    uint8_t *bytes = malloc(9 * MIB);
    pthread_t thread;
    for (size_t i = 0; i < 9 * MIB; i++)
        bytes[i] = (uint8_t)(i * 13 + (i >> 11));
    assert_int_equal(pthread_create(&thread, NULL, collect_all_the_time, &c), 0);
    for (unsigned i = 0; i < rounds; i++) {
        char path[64];
        size_t n = i % 5 == 0 ? 9 * MIB : 1 + i * 997;
        snprintf(path, sizeof path, "/files/f%u.bin", i % 7);
        if (i >= 7)
            unlink_path(w, path);
        write_file(w, path, bytes, n);
        check_file(w, path, bytes, n);
    }
    atomic_store(&c.stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&c.failed), 0);
    print_message("gc ran %u times beside %u files\n", atomic_load(&c.runs), rounds);
    (void)gc_now(w, 0, false);
    check_clean(w->svc);
    free(bytes);
}

int main(int argc, char **argv) {
    child_main(argc, argv, works, MS_ARRAY_LEN(works));
#define ON_DIR(test) cmocka_unit_test_setup_teardown(test, world_setup_dir, world_teardown)
#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_setup_mem, world_teardown)
    const struct CMUnitTest tests[] = {
        ON_DIR(a_tombstone_waits_for_its_grace_to_the_millisecond),
        IN_MEMORY(many_tombstones_go_in_batches),
        IN_MEMORY(one_by_one_where_the_store_cannot_do_more),
        IN_MEMORY(a_delete_that_fails_is_tried_again),
        IN_MEMORY(one_that_may_not_be_deleted_keeps_nobody),
        IN_MEMORY(a_store_that_deletes_nothing_is_left_alone),
        IN_MEMORY(a_stray_that_may_not_be_deleted_keeps_nobody),
        ON_DIR(a_deleter_killed_at_every_request),
        ON_DIR(several_deleters_delete_each_once),
        ON_DIR(strays_of_our_making_go_and_nothing_else),
        ON_DIR(a_young_stray_is_left_alone),
        ON_DIR(a_full_store_is_made_room_on),
        ON_DIR(the_objects_that_tell_the_time_do_not_stay),
        ON_DIR(many_strays_go_in_batches),
        ON_DIR(stopped_and_begun_again),
        ON_DIR(an_upload_under_way_loses_nothing),
        ON_DIR(an_object_between_its_upload_and_its_commit_is_kept),
        ON_DIR(files_are_written_while_gc_runs_without_grace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
