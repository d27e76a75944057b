/* The quota on the write path: exact to the byte, whoever writes. */
#include "peer.h"

#include "service/upkeep.h"

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

/* ---- many processes ---------------------------------------------------------------------- */

#define PROCESSES 8
#define MANY_QUOTA (UINT64_C(16) * MS_MB + 12345)

static unsigned seconds = 2;

struct crowd {
    struct world peer[PROCESSES]; /* dir, ctx, clock and the process */
    struct peer_churned now[PROCESSES];
    char path[PROCESSES][32];
};

static int setup_many(void **state) {
    *state = world_new(false, MANY_QUOTA);
    return 0;
}

static void gather(struct crowd *c, struct world *w) {
    for (unsigned i = 0; i < PROCESSES; i++) {
        struct world *p = &c->peer[i];

        *p = (struct world){.dir = w->dir, .ctx = w->ctx};
        ms_clock_fake_init(&p->clock, ms_clock_now(&w->clock.clock));
        (void)snprintf(c->path[i], sizeof c->path[i], "/files/f%u", i);
        write_file(w, c->path[i], "x", 1);
        peer_open(p, 0, c->path[i], 'w', MS_OK);
    }
}

/* While they are at it, nothing that anybody sees is ever above the limit. */
static void churn_all(struct crowd *c, struct world *w, uint64_t seed) {
    const struct ms_clock *clock = ms_clock_system();
    int64_t until = ms_clock_now(clock).ms + (int64_t)seconds * 1000;
    uint64_t looks = 0, accepted = 0, refused = 0;

    for (unsigned i = 0; i < PROCESSES; i++)
        peer_churn_begin(&c->peer[i], 0, 1, seed + i, seconds * 1000);
    for (; ms_clock_now(clock).ms < until; looks++) {
        struct ms_quota_info q = quota_of(w);

        assert_true(q.metered + q.reserved <= MANY_QUOTA);
        usleep(2000);
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        c->now[i] = peer_churn_end(&c->peer[i]);
        accepted += c->now[i].accepted;
        refused += c->now[i].refused;
    }
    print_message("%u s: %" PRIu64 " bytes accepted, %" PRIu64 " writes refused, looked at %" PRIu64
                  " times\n",
                  seconds, accepted, refused, looks);
    assert_true(refused > 0);
}

/* Each until it is refused, all at once. */
static uint64_t fill_once(struct crowd *c, uint64_t seed) {
    uint64_t sum = 0;

    for (unsigned i = 0; i < PROCESSES; i++)
        peer_fill_begin(&c->peer[i], 0, c->now[i].size, seed + i);
    for (unsigned i = 0; i < PROCESSES; i++)
        sum += c->now[i].size = peer_fill_end(&c->peer[i]);
    assert_true(sum <= MANY_QUOTA);
    return sum;
}

/* A recall that is answered late leaves something for the next try; then nobody gets a byte more. */
static uint64_t fill_all(struct crowd *c, uint64_t seed) {
    uint64_t sum = 0;

    for (unsigned tries = 0; sum < MANY_QUOTA && tries < 50; tries++)
        sum = fill_once(c, seed);
    assert_int_equal(fill_once(c, seed), sum);
    return sum;
}

static void check_size(struct world *w, const char *path, uint64_t size) {
    struct ms_node node;

    assert_ok(ms_tree_walk(w->svc, &w->ctx, path, &node, &test_err));
    assert_int_equal(node.inode.size, size);
}

/* The even ones are killed with what they hold open, the odd ones close their files. */
static uint64_t kill_half(struct crowd *c, struct world *w) {
    struct ms_recover_result recovered;
    struct ms_sweep_result swept;
    uint64_t sum = 0;

    for (unsigned i = 0; i < PROCESSES; i += 2)
        peer_kill(&c->peer[i]);
    for (unsigned i = 1; i < PROCESSES; i += 2) {
        peer_seal(&c->peer[i], 0);
        peer_stop(&c->peer[i]);
    }
    assert_ok(ms_recover(w->svc, &recovered, &test_err));
    assert_ok(ms_sweep(w->svc, &swept, &test_err));
    assert_int_equal(recovered.processes, PROCESSES / 2);
    for (unsigned i = 0; i < PROCESSES; i++) {
        uint64_t size = i % 2 ? c->now[i].size : c->now[i].sealed;

        check_size(w, c->path[i], size);
        sum += size;
    }
    return sum;
}

static void eight_processes_share_a_quota_to_the_byte_and_half_of_them_die(void **state) {
    static struct crowd c;
    struct world *w = *state;
    uint64_t seed = ms_test_seed(), sum, size;
    struct ms_handle *h;
    struct ms_error err = {0};

    gather(&c, w);
    churn_all(&c, w, seed);
    assert_int_equal(fill_all(&c, seed), MANY_QUOTA);
    assert_int_equal(quota_of(w).metered + quota_of(w).reserved, MANY_QUOTA);
    sum = kill_half(&c, w);
    assert_int_equal(quota_of(w).metered, sum);
    assert_int_equal(quota_of(w).reserved, 0);
    check_settled(w);
    h = make_file(w, "/files/rest"); /* and what they held is there for others, to the byte */
    assert_int_equal(fill_until_refused(h, 0, seed, &size, &err), MS_QUOTA);
    seal_file(h);
    assert_int_equal(sum + size, MANY_QUOTA);
    assert_int_equal(quota_of(w).metered, MANY_QUOTA);
    check_settled(w);
}

/* service_file_quota [SECONDS]: how long eight processes write at once */
int main(int argc, char **argv) {
    peer_main(argc, argv);
    if (argc > 1)
        seconds = (unsigned)strtoul(argv[1], NULL, 10);
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
        cmocka_unit_test_setup_teardown(
            eight_processes_share_a_quota_to_the_byte_and_half_of_them_die, setup_many,
            world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
