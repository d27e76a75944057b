/* Many threads on one file and on many files: each byte is what its owner wrote last. */
#include "world.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define THREADS 4
#define STRIPE 40000

struct worker {
    struct world *w;
    pthread_t thread;
    struct ms_random_seeded random;
    uint64_t ino;
    unsigned index, rounds;
    struct ms_handle *handle;
    uint8_t mine[STRIPE];
    char wrong[500]; /* what went wrong, for the main thread */
};

static void *fault(struct worker *me, const char *what, enum ms_code code,
                   const struct ms_error *err) {
    if (!me->wrong[0])
        (void)snprintf(me->wrong, sizeof me->wrong, "%s: %s %.300s", what, ms_code_name(code),
                       code ? err->message : "");
    return NULL;
}

static bool reopen(struct worker *me) {
    const struct ms_open open = {.ino = me->ino, .read = true, .write = true};
    struct ms_error err;
    enum ms_code code = release_file(me->handle, &err);

    if (code == MS_OK)
        code = ms_file_open(me->w->svc, &me->w->ctx, &open, &me->handle, &err);
    if (code != MS_OK)
        fault(me, "reopen", code, &err);
    return code == MS_OK;
}

/* Each thread owns one stripe; writes of the others never touch it. */
static bool write_stripe(struct worker *me) {
    uint64_t at = ms_random_below(&me->random.random, STRIPE), n;
    struct ms_error err;
    size_t done = 0;
    enum ms_code code;

    n = 1 + ms_random_below(&me->random.random, STRIPE - at);
    ms_random_fill(&me->random.random, me->mine + at, n);
    code =
        ms_file_write(me->handle, me->index * (uint64_t)STRIPE + at, me->mine + at, n, &done, &err);
    if (code != MS_OK || done != n)
        fault(me, "write", code, &err);
    return code == MS_OK && done == n;
}

static bool read_stripe(struct worker *me) {
    static _Thread_local uint8_t got[STRIPE];
    struct ms_error err;
    size_t n = 0;
    enum ms_code code = read_file(me->handle, me->index * (uint64_t)STRIPE, STRIPE, got, &n, &err);

    if (code != MS_OK || n != STRIPE || memcmp(got, me->mine, STRIPE) != 0)
        fault(me, "read other bytes than were written", code, &err);
    return !me->wrong[0];
}

static bool settle(struct worker *me, bool flush) {
    struct ms_error err;
    enum ms_code code = flush ? flush_file(me->handle, &err) : sync_file(me->handle, &err);

    if (code != MS_OK)
        fault(me, flush ? "flush" : "sync", code, &err);
    return code == MS_OK;
}

static void *work(void *arg) {
    struct worker *me = arg;

    for (unsigned i = 0; i < me->rounds && !me->wrong[0]; i++) {
        switch (ms_random_below(&me->random.random, 10)) {
        case 0:
            settle(me, false);
            break;
        case 1:
        case 2:
            settle(me, true);
            break;
        case 3:
            reopen(me);
            break;
        case 4:
        case 5:
            read_stripe(me);
            break;
        default:
            write_stripe(me);
            break;
        }
    }
    return NULL;
}

static struct worker *new_workers(struct world *w, unsigned rounds) {
    struct worker *workers = calloc(THREADS, sizeof *workers);
    uint64_t seed = ms_test_seed();

    assert_non_null(workers);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].w = w;
        workers[i].index = i;
        workers[i].rounds = rounds;
        ms_random_seeded_init(&workers[i].random, seed + i);
    }
    return workers;
}

static void run_all(struct worker *workers, void *(*run)(void *)) {
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (unsigned i = 0; i < THREADS; i++)
        if (workers[i].wrong[0])
            fail_msg("thread %u: %s", i, workers[i].wrong);
}

static void writers_of_one_file_keep_their_own_bytes(void **state) {
    struct world *w = *state;
    struct worker *workers = new_workers(w, ms_test_rounds(300));
    static uint8_t whole[THREADS * STRIPE];

    write_file(w, "/files/x", whole, sizeof whole);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].handle = open_file(w, "/files/x", 'w');
        workers[i].ino = ms_file_ino(workers[i].handle);
    }
    run_all(workers, work);
    for (unsigned i = 0; i < THREADS; i++) {
        memcpy(whole + i * STRIPE, workers[i].mine, STRIPE);
        seal_file(workers[i].handle);
        ms_random_seeded_fini(&workers[i].random);
    }
    check_file(w, "/files/x", whole, sizeof whole);
    check_settled(w);
    free(workers);
}

/* Opens, closes, truncations and looks at a handful of files from everywhere: nothing to compare,
 * everything to survive. */
static void *mingle(void *arg) {
    struct worker *me = arg;
    struct world *w = me->w;

    for (unsigned i = 0; i < me->rounds && !me->wrong[0]; i++) {
        struct ms_open open = {.ino = me->ino + ms_random_below(&me->random.random, 3),
                               .read = true};
        struct ms_node node = {.inode = {.ino = open.ino}};
        struct ms_error err = {0};
        enum ms_code code;
        size_t n = 0;

        open.write = ms_random_below(&me->random.random, 3) > 0;
        open.truncate = open.write && ms_random_below(&me->random.random, 3) == 0;
        open.append = open.write && ms_random_below(&me->random.random, 3) == 0;
        code = ms_file_open(w->svc, &w->ctx, &open, &me->handle, &err);
        if (code != MS_OK)
            return fault(me, "open", code, &err);
        (void)ms_file_overlay(w->svc, &w->ctx, &node);
        if (open.write)
            code = ms_file_write(me->handle, ms_random_below(&me->random.random, 5000), me->mine,
                                 1 + ms_random_below(&me->random.random, 5000), &n, &err);
        if (code == MS_OK && ms_random_below(&me->random.random, 4) == 0)
            code = ms_file_truncate(w->svc, &w->ctx, open.ino, NULL,
                                    ms_random_below(&me->random.random, 9000), &err);
        if (code == MS_OK && ms_random_below(&me->random.random, 2) == 0)
            code = flush_file(me->handle, &err);
        if (code != MS_OK)
            return fault(me, "use", code, &err);
        code = release_file(me->handle, &err);
        if (code != MS_OK)
            return fault(me, "release", code, &err);
        if (ms_random_below(&me->random.random, 8) == 0)
            ms_file_recall(w->svc, w->ctx.tenant);
        if (ms_random_below(&me->random.random, 8) == 0)
            ms_file_revalidate(w->svc, w->ctx.tenant, open.ino);
    }
    return NULL;
}

static void many_threads_open_write_and_close_the_same_files(void **state) {
    struct world *w = *state;
    struct worker *workers = new_workers(w, ms_test_rounds(200));

    write_file(w, "/files/0", "0", 1);
    write_file(w, "/files/1", "1", 1);
    write_file(w, "/files/2", "2", 1);
    for (unsigned i = 0; i < THREADS; i++)
        workers[i].ino = ino_of(w, "/files/0");
    assert_int_equal(ino_of(w, "/files/2"), workers[0].ino + 2);
    run_all(workers, mingle);
    for (unsigned i = 0; i < THREADS; i++)
        ms_random_seeded_fini(&workers[i].random);
    check_settled(w);
    free(workers);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_mem, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(writers_of_one_file_keep_their_own_bytes),
        TEST(many_threads_open_write_and_close_the_same_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
