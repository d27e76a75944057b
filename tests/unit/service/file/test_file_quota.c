/* The quota on the write path: exact to the byte, whoever writes. */
#include "peer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint8_t bytes[256 * 1024];

static int setup_small(void **state) {
    *state = world_new(true, 1000000);
    return 0;
}

static int setup_small_dir(void **state) {
    *state = world_new(false, 1000000);
    return 0;
}

static void the_write_that_passes_the_quota_is_cut_short_and_the_next_one_fails(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");
    size_t n = 0;

    put_bytes(a, 0, bytes, 250000);
    put_bytes(a, 250000, bytes, 250000);
    put_bytes(a, 500000, bytes, 250000);
    assert_ok(ms_file_write(a, 750000, bytes, 260000, &n, &test_err));
    assert_int_equal(n, 250000);
    assert_code(ms_file_write(a, 1000000, bytes, 1, &n, &test_err), MS_QUOTA);
    assert_non_null(strstr(test_err.message, "1000000"));
    put_bytes(a, 999999, "x", 1); /* within what there is */
    seal_file(a);
    assert_int_equal(quota_of(w).metered, 1000000);
    assert_int_equal(quota_of(w).left, 0);
    check_settled(w);
}

static void a_hole_counts_and_is_not_cut(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");
    size_t n = 0;

    assert_code(ms_file_write(a, 1000000, bytes, 10, &n, &test_err), MS_QUOTA);
    assert_ok(ms_file_write(a, 999990, bytes, 20, &n, &test_err));
    assert_int_equal(n, 10);
    seal_file(a);
    check_settled(w);
}

static void truncate_and_allocate_take_all_or_nothing(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");

    put_bytes(a, 0, bytes, 1000);
    assert_code(ms_file_truncate(w->svc, &w->ctx, ms_file_ino(a), a, 1000001, &test_err), MS_QUOTA);
    assert_code(ms_file_allocate(a, 0, 1000, 999001, &test_err), MS_QUOTA);
    check_bytes(a, 0, bytes, 1000, true);
    assert_ok(ms_file_allocate(a, 0, 1000, 999000, &test_err));
    seal_file(a);
    assert_int_equal(quota_of(w).metered, 1000000);
    check_settled(w);
}

static void an_overwrite_reserves_only_its_growth(void **state) {
    struct world *w = *state;
    struct ms_handle *a;
    size_t n;

    write_file(w, "/files/a", bytes, 200000);
    assert_ok(ms_tenant_set_quota(w->svc, &w->admin, 250000, &test_err));
    a = open_file(w, "/files/a", 't');
    assert_ok(ms_file_write(a, 0, bytes, 260000, &n, &test_err));
    assert_int_equal(n, 250000);
    assert_int_equal(quota_of(w).reserved, 50000);
    seal_file(a);
    assert_int_equal(quota_of(w).metered, 250000);
    check_settled(w);
}

static void a_lease_that_is_not_used_is_recalled_before_a_refusal(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a"), *b = make_file(w, "/files/b");
    size_t n;

    put_bytes(a, 0, bytes, 10);
    assert_true(quota_of(w).reserved > 10); /* both lease ahead */
    for (uint64_t at = 0; at < 999990; at += n)
        assert_ok(ms_file_write(b, at, bytes, sizeof bytes, &n, &test_err));
    assert_code(ms_file_write(b, 999990, bytes, 1, &n, &test_err), MS_QUOTA);
    assert_code(ms_file_write(a, 10, bytes, 1, &n, &test_err), MS_QUOTA);
    seal_file(a);
    seal_file(b);
    assert_int_equal(quota_of(w).metered, 1000000);
    check_settled(w);
}

static void what_is_given_up_can_be_written_by_others(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a"), *b = make_file(w, "/files/b");
    size_t n;

    for (uint64_t at = 0; at < 1000000; at += n)
        assert_ok(ms_file_write(a, at, bytes, sizeof bytes, &n, &test_err));
    assert_code(ms_file_write(b, 0, bytes, 1, &n, &test_err), MS_QUOTA);
    assert_ok(ms_file_truncate(w->svc, &w->ctx, ms_file_ino(a), a, 400000, &test_err));
    for (uint64_t at = 0; at < 600000; at += n)
        assert_ok(ms_file_write(b, at, bytes, sizeof bytes, &n, &test_err));
    ms_file_abandon(a);
    assert_code(release_file(a, &test_err), MS_CANCELLED);
    put_bytes(b, 600000, bytes, 100000);
    seal_file(b);
    assert_int_equal(quota_of(w).metered, 700000);
    check_settled(w);
}

static void an_empty_file_can_be_made_when_the_quota_is_used_up(void **state) {
    struct world *w = *state;

    assert_ok(ms_tenant_set_quota(w->svc, &w->admin, 0, &test_err));
    write_file(w, "/files/a", "", 0);
    check_settled(w);
}

/* ---- many writers ------------------------------------------------------------------------ */

struct writer {
    struct ms_handle *handle;
    pthread_t thread;
    unsigned seed;
    uint64_t size;
    struct ms_error err;
    enum ms_code code;
};

/* Sizes differ so that they meet the limit at odd places. */
static void *write_on(void *arg) {
    struct writer *me = arg;

    me->code = fill_until_refused(me->handle, me->size, me->seed, &me->size, &me->err);
    return NULL;
}

#define WRITERS 8

static uint64_t run_writers(struct writer *writers, unsigned count) {
    uint64_t sum = 0;

    for (unsigned i = 0; i < count; i++)
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
    for (unsigned i = 0; i < count; i++)
        pthread_join(writers[i].thread, NULL);
    for (unsigned i = 0; i < count; i++) {
        if (writers[i].code != MS_QUOTA)
            fail_msg("writer %u ended with %s: %s", i, ms_code_name(writers[i].code),
                     writers[i].err.message);
        sum += writers[i].size;
    }
    return sum;
}

static void eight_threads_share_a_quota_to_the_byte(void **state) {
    struct world *w = *state;
    struct writer writers[WRITERS] = {{0}};
    unsigned seed = (unsigned)ms_test_seed();

    for (unsigned i = 0; i < WRITERS; i++) {
        char path[32];

        (void)snprintf(path, sizeof path, "/files/f%u", i);
        writers[i].handle = make_file(w, path);
        writers[i].seed = seed + i;
    }
    assert_int_equal(run_writers(writers, WRITERS), 1000000);
    for (unsigned i = 0; i < WRITERS; i++)
        seal_file(writers[i].handle);
    assert_int_equal(quota_of(w).metered, 1000000);
    check_settled(w);
}

/* A recall that is answered late may leave something over, but nobody is ever let past the limit.
 */
static void two_processes_share_a_quota(void **state) {
    struct world *w = *state;
    struct ms_follower *follower = follow_feed(w->svc);
    struct writer writers[2] = {{0}};
    unsigned seed = (unsigned)ms_test_seed();
    uint64_t sum;

    for (unsigned i = 0; i < 3; i++) {
        char path[32];

        (void)snprintf(path, sizeof path, "/files/f%u", i);
        write_file(w, path, "x", 1);
        if (i == 2)
            peer_open(w, 0, path, 'w', MS_OK);
        else
            writers[i] =
                (struct writer){.handle = open_file(w, path, 'w'), .size = 1, .seed = seed + i};
    }
    peer_fill_begin(w, 0, 1, seed + 2);
    sum = run_writers(writers, 2);
    sum += peer_fill_end(w);
    peer_seal(w, 0);
    for (unsigned i = 0; i < 2; i++)
        seal_file(writers[i].handle);
    ms_store_unfollow(follower);
    assert_true(sum <= 1000000);
    assert_int_equal(quota_of(w).metered, sum);
    print_message("accepted %" PRIu64 " of 1000000\n", sum);
    check_settled(w);
}

int main(int argc, char **argv) {
    peer_main(argc, argv);
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_small, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_write_that_passes_the_quota_is_cut_short_and_the_next_one_fails),
        TEST(a_hole_counts_and_is_not_cut),
        TEST(truncate_and_allocate_take_all_or_nothing),
        TEST(an_overwrite_reserves_only_its_growth),
        TEST(a_lease_that_is_not_used_is_recalled_before_a_refusal),
        TEST(what_is_given_up_can_be_written_by_others),
        TEST(an_empty_file_can_be_made_when_the_quota_is_used_up),
        TEST(eight_threads_share_a_quota_to_the_byte),
        cmocka_unit_test_setup_teardown(two_processes_share_a_quota, setup_small_dir,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
