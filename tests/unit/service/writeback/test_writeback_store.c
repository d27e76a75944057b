/* What is acknowledged from the local disk: visible, readable, uploaded once, kept until then. */
#include "near.h"

#include "file/peer.h"
#include "service/asset.h"
#include "service/writeback_part.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LARGE (20 * MIB + 12345)

static uint8_t *some_bytes(size_t n, uint64_t seed) {
    uint8_t *p = malloc(n);
    struct ms_random_seeded random;

    assert_non_null(p);
    ms_random_seeded_init(&random, seed);
    fill_random(&random.random, p, n);
    return p;
}

static struct world *writeback_world(void **state) {
    struct world *w = *state;

    w->svc->writeback = true;
    return w;
}

static struct ms_object_record object_of(struct world *w, const char *path) {
    struct behind b;

    look_behind(w, path, &b);
    return b.object;
}

static bool in_store(struct world *w, const char *key) {
    struct ms_obj_request head = {.op = MS_OBJ_HEAD, .key = key};
    struct ms_error err;
    enum ms_code code = ms_obj_run(w->svc->obj, &head, &err);

    assert_true(code == MS_OK || code == MS_NOT_FOUND);
    ms_buf_fini(&head.ret_meta);
    return code == MS_OK;
}

static void close_needs_no_store_and_the_upload_follows(void **state) {
    struct world *w = writeback_world(state);
    uint8_t *p = some_bytes(LARGE, 1);

    write_file(w, "/files/small.bin", p, 100000);
    write_file(w, "/files/large.bin", p, LARGE);
    assert_int_equal(atomic_load(&w->gate.requests), 0);
    struct ms_object_record large = object_of(w, "/files/large.bin");
    assert_false(ms_instant_is_none(large.local));
    assert_false(in_store(w, large.key));
    struct ms_pending_sum sum = pending_of_svc(w->svc);
    assert_int_equal(sum.files, 2);
    assert_int_equal(sum.bytes, LARGE + 100000);
    assert_false(sum.moving);
    assert_int_equal(near_files(w), 2);
    check_file(w, "/files/large.bin", p, LARGE);
    check_clean(w->svc);

    assert_ok(drain(w, false, &test_err));
    assert_int_equal(pending_of_svc(w->svc).files, 0);
    assert_int_equal(near_files(w), 0);
    assert_true(ms_instant_is_none(object_of(w, "/files/large.bin").local));
    assert_true(in_store(w, large.key));
    world_reopen(w); /* nothing in the cache */
    check_file(w, "/files/small.bin", p, 100000);
    check_file(w, "/files/large.bin", p, LARGE);
    check_all_settled(w);
    free(p);
}

/* Acknowledgements every pause_us until the first file is in the store. */
static void write_until_the_first_arrives(struct world *w, unsigned pause_us) {
    uint8_t *p = some_bytes(1000, 2);
    int64_t until = ms_clock_mono_ns(ms_clock_system()) + INT64_C(60000000000);
    unsigned n = 0;

    assert_ok(ms_writeback_start(w->svc, &test_err));
    write_file(w, "/files/first.bin", p, 1000);
    struct ms_object_record first = object_of(w, "/files/first.bin");
    for (char path[32]; !in_store(w, first.key); n++) {
        assert_true(ms_clock_mono_ns(ms_clock_system()) < until);
        (void)snprintf(path, sizeof path, "/files/%u.bin", n);
        write_file(w, path, p, 1000);
        usleep(pause_us);
    }
    assert_ok(drain(w, false, &test_err));
    check_all_settled(w);
    free(p);
}

/* Uploads wait for the end of a burst, but a burst without end does not keep them. */
static void who_writes_without_end_does_not_keep_the_store_waiting(void **state) {
    write_until_the_first_arrives(writeback_world(state), 0);
}

/* Pauses that just end a burst do not begin the wait anew. */
static void who_writes_ten_files_a_second_does_not_either(void **state) {
    struct world *w = writeback_world(state);
    uint8_t *p = some_bytes(1000, 3);

    for (unsigned i = 0; i < 40; i++) { /* a queue that is full: nothing wakes anybody */
        char path[32];

        (void)snprintf(path, sizeof path, "/files/before-%u.bin", i);
        write_file(w, path, p, 1000);
    }
    free(p);
    write_until_the_first_arrives(w, 100500);
}

/* Type and birth facts are the same as of an upload that went straight to the store. */
static void the_object_has_the_birth_facts_of_any_other(void **state) {
    struct world *w = writeback_world(state);
    uint8_t png[200];
    struct ms_obj_request head = {.op = MS_OBJ_HEAD};
    char key[MS_OBJECT_KEY_MAX + 1];

    fill_like(png, sizeof png, "png");
    write_file(w, "/files/a picture.png", png, sizeof png);
    assert_ok(drain(w, false, &test_err));
    memcpy(key, object_of(w, "/files/a picture.png").key, sizeof key);
    head.key = key;
    assert_ok(ms_obj_run(w->svc->obj, &head, &test_err));
    const char *meta = (const char *)head.ret_meta.data;
    assert_non_null(strstr(meta, "content-type=image/png\n"));
    assert_non_null(strstr(meta, "name=a%20picture.png\n"));
    assert_non_null(strstr(meta, "tenant="));
    ms_buf_fini(&head.ret_meta);
}

static void what_is_deleted_before_is_never_uploaded(void **state) {
    struct world *w = writeback_world(state);
    uint8_t *p = some_bytes(300000, 2);

    write_file(w, "/files/gone.bin", p, 300000);
    write_file(w, "/files/kept.bin", p, 1000);
    struct ms_handle *h = open_file(w, "/files/kept.bin", 't'); /* an overwrite: the old bytes go */
    put_bytes(h, 0, p + 7, 2000);
    seal_file(h);
    unlink_path(w, "/files/gone.bin");
    assert_int_equal(pending_of_svc(w->svc).files, 1);
    assert_ok(drain(w, false, &test_err));
    assert_int_equal(atomic_load(&w->gate.puts), 1);
    check_file(w, "/files/kept.bin", p + 7, 2000);
    check_all_settled(w);
    assert_int_equal(near_files(w), 0);
    free(p);
}

static void damage(struct world *w, const char *key, off_t at) {
    char path[4096], name[MS_OBJECT_KEY_MAX + 1];

    snprintf(name, sizeof name, "%s", key);
    *strchr(name, '/') = '+';
    snprintf(path, sizeof path, "%s/writeback/%s", w->dir, name);
    int fd = open(path, O_RDWR);
    uint8_t byte;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void damaged_bytes_are_kept_and_reported_and_not_uploaded(void **state) {
    struct world *w = writeback_world(state);
    uint8_t *p = some_bytes(LARGE, 3);

    write_file(w, "/files/a.bin", p, LARGE);
    write_file(w, "/files/b.bin", p, 5000);
    struct ms_object_record a = object_of(w, "/files/a.bin");
    damage(w, a.key, (off_t)(11 * MIB));
    struct ms_error err = {0};
    assert_int_equal(drain(w, false, &err), MS_CORRUPT);
    assert_non_null(strstr(err.message, "not what was acknowledged"));
    struct ms_pending_sum sum = pending_of_svc(w->svc);
    assert_int_equal(sum.files, 1);
    assert_int_equal(sum.failing, 1);
    assert_int_equal(sum.failure.code, MS_CORRUPT);
    assert_false(in_store(w, a.key));
    damage(w, a.key, (off_t)(11 * MIB)); /* the bit comes back */
    assert_ok(drain(w, true, &test_err));
    check_file(w, "/files/a.bin", p, LARGE);
    check_all_settled(w);
    free(p);
}

static void a_store_that_is_down_is_tried_until_it_is_up(void **state) {
    struct world *w = writeback_world(state);
    uint8_t *p = some_bytes(9 * MIB, 4);
    struct ms_error err = {0};

    gate_refuse(w, MS_UNAVAILABLE);
    for (unsigned i = 0; i < 20; i++) {
        char path[64];

        snprintf(path, sizeof path, "/files/%u.bin", i);
        write_file(w, path, p + i, i % 5 == 0 ? 9 * MIB - i : 4000 + i);
    }
    assert_int_equal(drain(w, false, &err), MS_UNAVAILABLE);
    assert_non_null(strstr(err.message, "the gate refuses"));
    assert_int_equal(pending_of_svc(w->svc).files, 20);
    gate_refuse(w, MS_OK);
    assert_ok(drain(w, true, &test_err));
    assert_int_equal(near_files(w), 0);
    check_all_settled(w);
    free(p);
}

struct lane {
    struct ms_sender *sender;
    struct ms_local_record row;
    pthread_t thread;
    enum ms_code code;
    atomic_bool ended;
};

static void *send_one(void *arg) {
    struct lane *lane = arg;
    char etag[MS_ETAG_MAX + 1];
    struct ms_error err;
    bool skip;

    lane->code = ms_send_object(lane->sender, &lane->row, etag, &skip, &err);
    atomic_store(&lane->ended, true);
    return NULL;
}

static bool take_row(void *priv, const struct ms_local_record *row) {
    struct lane **next = priv;

    (*next)++->row = *row;
    return true;
}

/* Objects of several parts, and memory left for one part in all, as when every lane of the mover has
 * a part on its way and wants the next one. Nothing fails here when they wait for each other, so they
 * are cut short after half a minute. */
static void large_files_do_not_wait_for_each_others_memory(void **state) {
    struct world *w = writeback_world(state);
    const size_t size = 2 * MS_SENDER_PART_BYTES + 5;
    uint8_t *p = some_bytes(size, 9);
    struct ms_sender sender;
    struct lane lane[2] = {{.sender = &sender}, {.sender = &sender}}, *next = lane;
    struct ms_pending_sum sum;

    write_file(w, "/files/a.bin", p, size);
    write_file(w, "/files/b.bin", p, size);
    assert_ok(ms_pending(w->svc, take_row, &next, &sum, &test_err));
    assert_int_equal(sum.files, 2);
    ms_sender_init(&sender, w->svc);
    sender.memory = MS_SENDER_MEMORY_MAX - MS_SENDER_PART_BYTES;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&lane[i].thread, NULL, send_one, &lane[i]), 0);
    for (unsigned i = 0; i < 3000 && !(atomic_load(&lane[0].ended) && atomic_load(&lane[1].ended)); i++)
        usleep(10000);
    ms_sender_stop(&sender);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_join(lane[i].thread, NULL), 0);
    sender.memory -= MS_SENDER_MEMORY_MAX - MS_SENDER_PART_BYTES;
    ms_sender_fini(&sender);
    assert_int_equal(lane[0].code, MS_OK);
    assert_int_equal(lane[1].code, MS_OK);
    assert_int_equal(atomic_load(&w->gate.parts), 6);
    assert_ok(drain(w, false, &test_err));
    check_all_settled(w);
    free(p);
}

static void a_frozen_tenant_keeps_nothing_from_being_uploaded(void **state) {
    struct world *w = writeback_world(state);
    uint8_t *p = some_bytes(1000, 5);

    write_file(w, "/files/a.bin", p, 1000);
    assert_ok(ms_tenant_hold(w->svc, &w->admin, MS_HOLD_ADMIN, true, "a reason", &test_err));
    ms_clock_fake_advance(&w->clock, INT64_C(30) * 24 * 3600 * 1000);
    assert_ok(drain(w, false, &test_err));
    assert_int_equal(atomic_load(&w->gate.puts), 1);
    free(p);
}

/* The file goes from the folder while it is being read. */
static void a_reader_goes_on_in_the_store(void **state) {
    struct world *w = writeback_world(state);
    uint8_t *p = some_bytes(LARGE, 6);

    write_file(w, "/files/film.bin", p, LARGE);
    struct ms_handle *h = open_file(w, "/files/film.bin", 'r');
    check_bytes(h, 0, p, 1000, false);
    assert_ok(drain(w, false, &test_err));
    assert_int_equal(near_files(w), 0);
    check_bytes(h, 12 * MIB, p + 12 * MIB, 2 * MIB, false);
    assert_ok(release_file(h, &test_err));
    free(p);
}

static void every_process_reads_what_one_has_acknowledged(void **state) {
    struct world *w = writeback_world(state);
    uint8_t *p = some_bytes(MIB, 7);

    peer_start(w);
    write_file(w, "/files/a.bin", p, MIB);
    peer_open(w, 1, "/files/a.bin", 'r', MS_OK);
    for (size_t at = 0; at < MIB; at += MIB / 4)
        peer_check(w, 1, at, p + at, 4000, false);
    peer_release(w, 1, MS_OK);
    peer_open(w, 1, "/files/a.bin", 'w', MS_OK); /* it patches, written through to the store */
    peer_put(w, 1, MIB / 2, "patched", 7, MS_OK);
    peer_seal(w, 1);
    memcpy(p + MIB / 2, "patched", 7);
    check_file(w, "/files/a.bin", p, MIB);
    assert_int_equal(pending_of_svc(w->svc).files, 0);
    peer_stop(w);
    check_all_settled(w);
    free(p);
}

static void a_patch_over_bytes_of_the_store_is_acknowledged_whole(void **state) {
    struct world *w = *state;
    uint8_t *p = some_bytes(LARGE + 4, 8);

    write_file(w, "/files/a.bin", p, LARGE);
    w->svc->writeback = true;
    struct ms_handle *h = open_file(w, "/files/a.bin", 'w');
    put_bytes(h, 10 * MIB, "patched", 7);
    memcpy(p + 10 * MIB, "patched", 7);
    assert_ok(sync_file(h, &test_err));
    put_bytes(h, 3, "again", 5);
    memcpy(p + 3, "again", 5);
    seal_file(h);
    assert_int_equal(pending_of_svc(w->svc).files, 1);
    check_file(w, "/files/a.bin", p, LARGE);
    gate_refuse(w, MS_UNAVAILABLE); /* and its next patch needs no store at all */
    h = open_file(w, "/files/a.bin", 'w');
    put_bytes(h, LARGE, "more", 4);
    seal_file(h);
    gate_refuse(w, MS_OK);
    memcpy(p + LARGE, "more", 4);
    assert_ok(drain(w, false, &test_err));
    check_file(w, "/files/a.bin", p, LARGE + 4);
    check_all_settled(w);
    free(p);
}

static void an_fsync_is_kept_by_recovery_without_the_store(void **state) {
    struct world *w = *state;
    struct child_plan plan = {.work = "sync", .path = "/files/kept.bin", .writeback = true};
    struct child_running running = child_start(w, &plan);

    child_await(&running, 's');
    child_kill(&running);
    (void)child_wait(&running);
    gate_refuse(w, MS_UNAVAILABLE);
    struct ms_recover_result result;
    struct ms_error err = {0};
    assert_int_equal(ms_recover(w->svc, &result, &err), MS_UNAVAILABLE); /* sealed, not uploaded */
    check_synced(w, "/files/kept.bin");
    assert_int_equal(pending_of_svc(w->svc).files, 1);
    gate_refuse(w, MS_OK);
    (void)recover_now(w);
    assert_int_equal(pending_of_svc(w->svc).files, 0);
    check_synced(w, "/files/kept.bin");
    check_all_settled(w);
}

static void fsck_misses_a_local_file(void **state) {
    struct world *w = writeback_world(state);

    write_file(w, "/files/a.bin", "some bytes", 10);
    struct ms_object_record object = object_of(w, "/files/a.bin");
    assert_int_equal(count_rows(w->svc, ms_key_locals()), 1);
    ms_near_remove(w->svc, object.key);
    struct said said;
    run_fsck(w->svc, true, false, &said);
    assert_int_equal(said.findings, 1);
    assert_string_equal(said.finding[0].name, "store");
}

static enum ms_code lose_local_row(struct ms_txn *txn, const void *arg, struct ms_error *reterr) {
    const struct ms_object_record *object = arg;

    return ms_local_end(txn, object, reterr);
}

static enum ms_code forget_local(struct ms_txn *txn, const void *arg, struct ms_error *reterr) {
    struct ms_object_record object = *(const struct ms_object_record *)arg;

    object.local = (struct ms_instant){0};
    return ms_row_put_object(txn, ms_key_object((struct ms_object_id){object.id}), &object, reterr);
}

static void fsck_knows_i10(void **state) {
    struct world *w = writeback_world(state);

    write_file(w, "/files/a.bin", "some bytes", 10);
    struct ms_object_record object = object_of(w, "/files/a.bin");
    struct rows *rows = rows_of(w->svc);
    change_rows(w->svc, lose_local_row, &object);
    check_found(w->svc, "without its row in LOCAL", "I10");
    rows_restore(w->svc, rows);
    change_rows(w->svc, forget_local, &object);
    check_found(w->svc, "with a row too many", "I10");
    rows_restore(w->svc, rows);
    rows_free(rows);
    check_clean(w->svc);
}

int main(int argc, char **argv) {
    peer_main(argc, argv);
    child_main(argc, argv, story_works, story_works_n);
#define ON_DIR(test) cmocka_unit_test_setup_teardown(test, world_setup_dir, world_teardown)
    const struct CMUnitTest tests[] = {
        ON_DIR(close_needs_no_store_and_the_upload_follows),
        ON_DIR(who_writes_without_end_does_not_keep_the_store_waiting),
        ON_DIR(who_writes_ten_files_a_second_does_not_either),
        ON_DIR(the_object_has_the_birth_facts_of_any_other),
        ON_DIR(what_is_deleted_before_is_never_uploaded),
        ON_DIR(damaged_bytes_are_kept_and_reported_and_not_uploaded),
        ON_DIR(a_store_that_is_down_is_tried_until_it_is_up),
        ON_DIR(large_files_do_not_wait_for_each_others_memory),
        ON_DIR(a_frozen_tenant_keeps_nothing_from_being_uploaded),
        ON_DIR(a_reader_goes_on_in_the_store),
        ON_DIR(every_process_reads_what_one_has_acknowledged),
        ON_DIR(a_patch_over_bytes_of_the_store_is_acknowledged_whole),
        ON_DIR(an_fsync_is_kept_by_recovery_without_the_store),
        ON_DIR(fsck_misses_a_local_file),
        ON_DIR(fsck_knows_i10),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
