/* A store that fails, hangs or comes back: nothing that was acknowledged is lost, nothing else
 * waits for it. */
#include "world.h"

#include "service/file_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BIG (40 * 1024 * 1024)
static uint8_t *big;

static int fill_big(void **state) {
    struct ms_random_seeded random;

    (void)state;
    big = malloc(BIG);
    assert_non_null(big);
    ms_random_seeded_init(&random, 7);
    ms_random_fill(&random.random, big, BIG);
    ms_random_seeded_fini(&random);
    return 0;
}

static int free_big(void **state) {
    (void)state;
    free(big);
    return 0;
}

static void a_close_that_the_store_fails_can_be_repeated(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");

    put_bytes(a, 0, "precious", 8);
    gate_refuse(w, MS_UNAVAILABLE);
    assert_code(flush_file(a, &test_err), MS_UNAVAILABLE);
    assert_code(sync_file(a, &test_err), MS_UNAVAILABLE);
    gate_refuse(w, MS_OK);
    assert_ok(flush_file(a, &test_err));
    assert_ok(release_file(a, &test_err));
    check_file(w, "/files/a", "precious", 8);
    check_settled(w);
}

static void a_new_file_whose_close_failed_vanishes(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");
    struct ms_node node;

    put_bytes(a, 0, "unlucky", 7);
    gate_refuse(w, MS_UNAVAILABLE);
    assert_code(flush_file(a, &test_err), MS_UNAVAILABLE);
    assert_code(release_file(a, &test_err), MS_UNAVAILABLE);
    gate_refuse(w, MS_OK);
    assert_code(ms_tree_walk(w->svc, &w->ctx, "/files/a", &node, &test_err), MS_NOT_FOUND);
    check_settled(w);
}

static void an_overwrite_whose_close_failed_leaves_the_old_version(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    write_file(w, "/files/a", "old", 3);
    a = open_file(w, "/files/a", 't');
    put_bytes(a, 0, "newer", 5);
    gate_refuse(w, MS_UNAVAILABLE);
    assert_code(release_file(a, &test_err), MS_UNAVAILABLE);
    gate_refuse(w, MS_OK);
    check_file(w, "/files/a", "old", 3);
    check_settled(w);
}

static void what_fsync_promised_survives_a_failed_close(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");

    put_bytes(a, 0, "promised", 8);
    assert_ok(sync_file(a, &test_err));
    put_bytes(a, 8, " and more", 9);
    gate_refuse(w, MS_UNAVAILABLE);
    assert_code(release_file(a, &test_err), MS_UNAVAILABLE);
    gate_refuse(w, MS_OK);
    a = open_file(w, "/files/a", 'w'); /* goes on where it stood */
    check_bytes(a, 0, "promised and more", 17, true);
    seal_file(a);
    check_file(w, "/files/a", "promised and more", 17);
    check_settled(w);
}

static void what_fsync_promised_is_sealed_by_itself_when_the_store_is_back(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");
    struct ms_node node = {.inode = {.unsealed = 1}};

    w->svc->files->retry_ms = 20;
    put_bytes(a, 0, "promised", 8);
    assert_ok(sync_file(a, &test_err));
    put_bytes(a, 8, " and more", 9);
    gate_refuse(w, MS_UNAVAILABLE);
    assert_code(release_file(a, &test_err), MS_UNAVAILABLE);
    usleep(100000); /* tries that fail */
    gate_refuse(w, MS_OK);
    while (node.inode.unsealed) {
        usleep(1000);
        assert_ok(ms_tree_walk(w->svc, &w->ctx, "/files/a", &node, &test_err));
    }
    check_file(w, "/files/a", "promised and more", 17);
    check_settled(w);
}

static void a_promise_that_cannot_be_kept_yet_does_not_keep_the_service_from_ending(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    for (unsigned i = 0; i < 4; i++) {
        char path[32];

        w->svc->files->retry_ms = i % 2 ? 1 : 10000; /* a timer that runs, one that waits */
        (void)snprintf(path, sizeof path, "/files/f%u", i);
        a = make_file(w, path);
        put_bytes(a, 0, "promised", 8);
        assert_ok(sync_file(a, &test_err));
        gate_refuse(w, MS_UNAVAILABLE);
        assert_code(release_file(a, &test_err), MS_UNAVAILABLE);
        gate_refuse(w, MS_OK);
        gate_refuse(w, i == 3 ? MS_UNAVAILABLE : MS_OK);
    }
}

static void large_files_are_sent_while_they_are_written(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/big");

    gate_hold(w);
    for (size_t at = 0; at < BIG; at += MS_MB)
        put_bytes(a, at, big + at, MS_MB);
    gate_wait(w, 1); /* the upload has begun before anybody closes */
    gate_release(w);
    put_bytes(a, 0, big + 1, 100); /* as an MP4 muxer patches its head */
    memmove(big, big + 1, 100);
    seal_file(a);
    check_file(w, "/files/big", big, BIG);
    assert_true(atomic_load(&w->gate.parts) >= 5);
    check_settled(w);
}

static bool write_paced(struct ms_handle *a, size_t at, struct ms_file_io *io) {
    put_bytes(a, at, big + at, MS_MB);
    return ms_file_pace(a, io);
}

/* It is told a little later, and not again as long as nothing gets away. */
static void a_writer_far_ahead_of_the_store_waits_but_not_for_a_store_that_is_away(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/big");
    struct ms_file_wait wait;
    size_t at = 0;
    bool paced = false;
    unsigned again = 0;

    ms_journal_limit_memory(w->svc->journal, 24 * MS_MB);
    gate_hold(w);
    for (; at < 17 * MS_MB; at += MS_MB)
        put_bytes(a, at, big + at, MS_MB);
    gate_wait(w, 1);
    for (; !paced && at < BIG / 2 + 10 * MS_MB; at += MS_MB)
        paced = write_paced(a, at, ms_file_wait_begin(&wait));
    assert_true(paced);
    assert_ok(ms_file_wait_end(&wait, NULL, &test_err)); /* although the store holds still */
    for (; at < BIG; at += MS_MB) {
        if (!write_paced(a, at, ms_file_wait_begin(&wait)))
            continue;
        assert_ok(ms_file_wait_end(&wait, NULL, &test_err));
        again++;
    }
    assert_in_range(again, 0, 2); /* a part may just have begun to go when it was looked at */
    assert_true(ms_journal_memory(w->svc->journal) <= 24 * MS_MB);
    gate_release(w);
    seal_file(a);
    check_file(w, "/files/big", big, BIG);
    assert_int_equal(ms_journal_memory(w->svc->journal), 0);
    check_settled(w);
}

static void a_small_patch_of_a_large_file_is_sealed(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    write_file(w, "/files/big", big, BIG);
    a = open_file(w, "/files/big", 'w');
    memcpy(big + BIG / 2, "PATCH", 5);
    put_bytes(a, BIG / 2, "PATCH", 5);
    assert_ok(sync_file(a, &test_err));
    check_bytes(a, BIG / 2 - 10, big + BIG / 2 - 10, 100, false);
    seal_file(a);
    check_file(w, "/files/big", big, BIG);
    check_settled(w);
}

static void a_write_while_a_close_is_sending_is_not_lost(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");
    struct ms_file_wait wait;

    put_bytes(a, 0, "first", 5);
    gate_hold(w);
    ms_file_flush(a, ms_file_wait_begin(&wait));
    gate_wait(w, 1);
    put_bytes(a, 5, " second",
              7); /* a duplicate of the descriptor goes on; it does not wait for the store */
    check_bytes(a, 0, "first second", 12, true);
    gate_release(w);
    assert_ok(ms_file_wait_end(&wait, NULL, &test_err));
    assert_ok(release_file(a, &test_err));
    check_file(w, "/files/a", "first second", 12);
    check_settled(w);
}

static void a_dozen_hanging_closes_hold_nobody_else_up(void **state) {
    struct world *w = *state;
    struct ms_handle *handle[12], *quick;
    struct ms_file_wait wait[12];
    struct ms_node node;

    write_file(w, "/files/other", "cached", 6);
    check_file(w, "/files/other", "cached", 6);
    for (unsigned i = 0; i < 12; i++) {
        char path[32];

        (void)snprintf(path, sizeof path, "/files/f%u", i);
        handle[i] = make_file(w, path);
        put_bytes(handle[i], 0, "x", 1);
    }
    gate_hold(w);
    for (unsigned i = 0; i < 12; i++)
        ms_file_flush(handle[i], ms_file_wait_begin(&wait[i]));
    gate_wait(w, 12);
    /* This thread goes on: looking up, making, writing and reading need no store. */
    assert_ok(ms_tree_walk(w->svc, &w->ctx, "/files/other", &node, &test_err));
    check_file(w, "/files/other", "cached", 6);
    quick = make_file(w, "/files/quick");
    put_bytes(quick, 0, "y", 1);
    check_bytes(quick, 0, "y", 1, true);
    assert_int_equal(gate_held(w), 12);
    gate_release(w);
    for (unsigned i = 0; i < 12; i++) {
        assert_ok(ms_file_wait_end(&wait[i], NULL, &test_err));
        assert_ok(release_file(handle[i], &test_err));
    }
    seal_file(quick);
    check_settled(w);
}

static void reads_of_a_patch_need_no_store(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");

    put_bytes(a, 0, "here", 4);
    gate_refuse(w, MS_UNAVAILABLE);
    check_bytes(a, 0, "here", 4, true);
    gate_refuse(w, MS_OK);
    seal_file(a);
}

static void a_read_that_the_store_fails_says_so_and_works_again(void **state) {
    struct world *w = *state;
    struct ms_handle *a;
    uint8_t byte;
    size_t n;

    write_file(w, "/files/a", "far", 3);
    a = open_file(w, "/files/a", 'r');
    gate_refuse(w, MS_UNAVAILABLE);
    assert_code(read_file(a, 0, 1, &byte, &n, &test_err), MS_UNAVAILABLE);
    gate_refuse(w, MS_OK);
    check_bytes(a, 0, "far", 3, true);
    assert_ok(release_file(a, &test_err));
}

/* However many they are. */
static void a_freeze_ends_reads_that_wait_for_the_store(void **state) {
    struct world *w = *state;
    struct ms_file_wait wait[150];
    struct ms_handle *a;
    uint8_t bytes[MS_ARRAY_LEN(wait)][3];

    write_file(w, "/files/a", "far", 3);
    a = open_file(w, "/files/a", 'r');
    gate_hold(w);
    for (unsigned i = 0; i < MS_ARRAY_LEN(wait); i++)
        ms_file_read(a, 0, 3, bytes[i], ms_file_wait_begin(&wait[i]));
    gate_wait(w, 1);
    assert_ok(ms_tenant_hold(w->svc, &w->admin, MS_HOLD_ADMIN, true, "a complaint", &test_err));
    ms_file_revalidate(w->svc, w->ctx.tenant, ms_file_ino(a));
    for (unsigned i = 0; i < MS_ARRAY_LEN(wait); i++)
        assert_code(ms_file_wait_end(&wait[i], NULL, &test_err),
                    MS_NOT_READABLE); /* the store still hangs */
    assert_int_equal(gate_held(w), 1);
    gate_release(w);
    assert_ok(release_file(a, &test_err));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_mem, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_close_that_the_store_fails_can_be_repeated),
        TEST(a_new_file_whose_close_failed_vanishes),
        TEST(an_overwrite_whose_close_failed_leaves_the_old_version),
        TEST(what_fsync_promised_survives_a_failed_close),
        TEST(what_fsync_promised_is_sealed_by_itself_when_the_store_is_back),
        TEST(a_promise_that_cannot_be_kept_yet_does_not_keep_the_service_from_ending),
        TEST(large_files_are_sent_while_they_are_written),
        TEST(a_writer_far_ahead_of_the_store_waits_but_not_for_a_store_that_is_away),
        TEST(a_small_patch_of_a_large_file_is_sealed),
        TEST(a_write_while_a_close_is_sending_is_not_lost),
        TEST(a_dozen_hanging_closes_hold_nobody_else_up),
        TEST(reads_of_a_patch_need_no_store),
        TEST(a_read_that_the_store_fails_says_so_and_works_again),
        TEST(a_freeze_ends_reads_that_wait_for_the_store),
    };
    return cmocka_run_group_tests(tests, fill_big, free_big);
}
