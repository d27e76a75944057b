/* Several processes on one store: the registry, taking over, fencing, and sums that must come out. */
#include "store_test.h"

#include "base/codec.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- children -------------------------------------------------------------------------------------------------- */

static int stay_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct ms_store *store = NULL;
    char name[32];

    (void)n;
    o->label = "stay";
    if (ms_store_open(o, &store, NULL) != MS_OK)
        return 1;
    snprintf(name, sizeof name, "up%u", place);
    store_test_make_flag(o->dir, name);
    for (;;)
        pause();
}

/* Write until another process took over; 7 when that was said so. */
static int fenced_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct ms_store *store = NULL;
    enum ms_code code = MS_OK;

    (void)place, (void)n;
    if (ms_store_open(o, &store, NULL) != MS_OK)
        return 1;
    store_test_make_flag(o->dir, "up0");
    for (unsigned i = 0; i < 60000 && code == MS_OK; i++) {
        code = store_test_put(store, "k-fenced", "x", NULL);
        ms_clock_sleep_ns(1000000);
    }
    if (code == MS_FENCED)
        code = store_test_put(store, "k-late", "x", NULL);
    ms_store_close(store);
    return code == MS_FENCED ? 7 : 2;
}

/* The first dead process of the list. */
static bool find_dead(struct ms_store *store, struct ms_instance_id *ret_id) {
    struct ms_process_info *list = NULL;
    bool found = false;
    size_t n = 0;

    if (ms_store_processes(store, &list, &n, NULL) != MS_OK)
        return false;
    for (size_t i = 0; i < n && !found; i++)
        if (!list[i].alive) {
            *ret_id = list[i].instance;
            found = true;
        }
    free(list);
    return found;
}

/* Race for the dead process: 10 won, 11 lost. Stays until the other one is done too. */
static int adopt_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct ms_store *store = NULL;
    struct ms_instance_id dead;
    char name[32];
    enum ms_code code;

    if (ms_store_open(o, &store, NULL) != MS_OK)
        return 1;
    if (!find_dead(store, &dead))
        return 2;
    snprintf(name, sizeof name, "ready%u-%u", n, place);
    store_test_make_flag(o->dir, name);
    snprintf(name, sizeof name, "ready%u-%u", n, 1 - place);
    if (!store_test_await_flag(o->dir, name))
        return 3;
    code = ms_store_adopt(store, dead, NULL);
    snprintf(name, sizeof name, "done%u-%u", n, place);
    store_test_make_flag(o->dir, name);
    snprintf(name, sizeof name, "done%u-%u", n, 1 - place);
    if (!store_test_await_flag(o->dir, name))
        return 4;
    if (code == MS_OK && ms_store_forget(store, dead, NULL) != MS_OK)
        return 5;
    ms_store_close(store);
    return code == MS_OK ? 10 : code == MS_BUSY ? 11 : 6;
}

/* Take over and die without settling. */
static int adopt_and_die_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct ms_store *store = NULL;
    struct ms_instance_id dead;

    (void)place, (void)n;
    if (ms_store_open(o, &store, NULL) != MS_OK || !find_dead(store, &dead) ||
        ms_store_adopt(store, dead, NULL) != MS_OK)
        return 1;
    raise(SIGKILL);
    return 2;
}

/* ---- the registry ---------------------------------------------------------------------------------------------- */

static int start_staying(struct store_test *t, unsigned place) {
    char name[32];
    int pid = store_test_start(t, "stay", place, 0);

    snprintf(name, sizeof name, "up%u", place);
    assert_true(store_test_await_flag(t->store_dir, name));
    return pid;
}

static void stop_child(int pid) {
    kill(pid, SIGKILL);
    assert_int_equal(store_test_wait(pid), -SIGKILL);
}

static unsigned files_in(const char *dir, const char *name) {
    char *path = ms_test_path(dir, name);
    DIR *d = opendir(path);
    unsigned n = 0;
    struct dirent *e;

    free(path);
    assert_non_null(d);
    while ((e = readdir(d)))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static const struct ms_process_info *info_of(const struct ms_process_info *list, size_t n, const char *label) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].label, label) == 0)
            return &list[i];
    return NULL;
}

static void live_and_dead_processes_are_listed(void **state) {
    struct store_test *t = *state;
    struct ms_process_info *list = NULL;
    size_t n = 0;
    int pid = start_staying(t, 0);

    store_test_open(t);
    assert_ok(ms_store_processes(t->store, &list, &n, &test_err));
    assert_int_equal(n, 2);
    assert_int_equal(info_of(list, n, "test")->pid, getpid());
    assert_true(info_of(list, n, "test")->alive);
    assert_true(ms_instance_id_equal(info_of(list, n, "test")->instance, ms_store_instance(t->store)));
    assert_int_equal(info_of(list, n, "stay")->pid, pid);
    assert_true(info_of(list, n, "stay")->alive);
    free(list);
    stop_child(pid);
    assert_ok(ms_store_processes(t->store, &list, &n, &test_err));
    assert_int_equal(n, 2);
    assert_false(info_of(list, n, "stay")->alive);
    assert_true(info_of(list, n, "test")->alive);
    free(list);
}

static void closing_leaves_the_registry(void **state) {
    struct store_test *t = *state;
    struct ms_process_info *list = NULL;
    struct ms_instance_id first;
    size_t n = 0;

    store_test_open(t);
    first = ms_store_instance(t->store);
    assert_int_equal(files_in(t->store_dir, "run"), 1);
    store_test_close(t);
    assert_int_equal(files_in(t->store_dir, "run"), 0);
    store_test_open(t);
    assert_ok(ms_store_processes(t->store, &list, &n, &test_err));
    assert_int_equal(n, 1);
    assert_false(ms_instance_id_equal(list[0].instance, first));
    free(list);
}

static void a_run_file_without_a_row_is_swept_at_the_next_open(void **state) {
    struct store_test *t = *state;
    char *path;

    store_test_open(t);
    store_test_close(t);
    path = ms_test_path(t->store_dir, "run/0123456789abcdef0123456789abcdef");
    ms_test_write_file(path, "x", 1);
    free(path);
    path = ms_test_path(t->store_dir, "run/.0123456789abcdef0123456789abcdef");
    ms_test_write_file(path, "x", 1);
    free(path);
    store_test_open(t);
    assert_int_equal(files_in(t->store_dir, "run"), 1);
}

static void the_slot_of_a_dead_waiter_is_swept(void **state) {
    struct store_test *t = *state;
    struct ms_store_waiter *slot;

    store_test_open(t);
    slot = &t->store->page->waiters[MS_STORE_WAITERS - 1];
    atomic_store(&slot->tag, 42);
    atomic_store(&slot->waiting, 1);
    assert_true(ms_page_others_wait(t->store));
    assert_ok(store_test_put(t->store, "k", "a pause, no hang", &test_err));
    ms_page_sweep(t->store);
    assert_false(ms_page_others_wait(t->store));
    assert_int_not_equal(atomic_load(&t->store->waiter->tag), 0);
}

/* ---- taking over ----------------------------------------------------------------------------------------------- */

static void the_dead_are_adopted_and_forgotten_the_living_are_not(void **state) {
    struct store_test *t = *state;
    struct ms_process_info *list = NULL;
    struct ms_instance_id dead;
    size_t n = 0;
    int pid = start_staying(t, 0);

    store_test_open(t);
    assert_false(find_dead(t->store, &dead));
    assert_ok(ms_store_processes(t->store, &list, &n, &test_err));
    dead = info_of(list, n, "stay")->instance;
    free(list);
    assert_code(ms_store_adopt(t->store, dead, &test_err), MS_BUSY);
    assert_code(ms_store_forget(t->store, dead, &test_err), MS_BUSY);
    stop_child(pid);
    assert_code(ms_store_forget(t->store, dead, &test_err), MS_BUSY); /* adopt first */
    assert_ok(ms_store_adopt(t->store, dead, &test_err));
    assert_ok(ms_store_adopt(t->store, dead, &test_err)); /* a recovery that was interrupted asks again */
    assert_ok(ms_store_forget(t->store, dead, &test_err));
    assert_ok(ms_store_forget(t->store, dead, &test_err));
    assert_code(ms_store_adopt(t->store, dead, &test_err), MS_NOT_FOUND);
    assert_int_equal(files_in(t->store_dir, "run"), 1);
}

static void exactly_one_of_two_processes_adopts(void **state) {
    struct store_test *t = *state;
    unsigned rounds = ms_test_rounds(8);

    for (unsigned i = 0; i < rounds; i++) {
        int pids[2], results[2];

        stop_child(start_staying(t, i));
        for (unsigned j = 0; j < 2; j++)
            pids[j] = store_test_start(t, "adopt", j, i);
        for (unsigned j = 0; j < 2; j++)
            results[j] = store_test_wait(pids[j]);
        assert_int_equal(results[0] + results[1], 21);
        assert_int_equal(abs(results[0] - results[1]), 1);
    }
}

static void who_died_while_settling_is_taken_over_from_in_turn(void **state) {
    struct store_test *t = *state;
    struct ms_process_info *list = NULL;
    size_t n = 0;

    stop_child(start_staying(t, 0));
    assert_int_equal(store_test_run(t, "adopt-and-die", 0, 0), -SIGKILL);
    store_test_open(t);
    assert_ok(ms_store_processes(t->store, &list, &n, &test_err));
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++)
        if (!list[i].alive) {
            assert_ok(ms_store_adopt(t->store, list[i].instance, &test_err));
            assert_ok(ms_store_forget(t->store, list[i].instance, &test_err));
        }
    free(list);
    assert_ok(ms_store_processes(t->store, &list, &n, &test_err));
    assert_int_equal(n, 1);
    free(list);
}

/* A process that looks dead, because somebody removed its run file, but is not. */
static void a_late_commit_of_a_process_that_was_taken_over_fails(void **state) {
    struct store_test *t = *state;
    int pid = store_test_start(t, "fenced", 0, 0);
    struct ms_process_info *list = NULL;
    char *path, name[64], id[MS_ID_TEXT_LEN + 1];
    size_t n = 0;

    assert_true(store_test_await_flag(t->store_dir, "up0"));
    store_test_open(t);
    assert_ok(ms_store_processes(t->store, &list, &n, &test_err));
    ms_id_format(info_of(list, n, "child")->instance.id, id);
    snprintf(name, sizeof name, "run/%s", id);
    path = ms_test_path(t->store_dir, name);
    assert_int_equal(unlink(path), 0);
    free(path);
    assert_ok(ms_store_adopt(t->store, info_of(list, n, "child")->instance, &test_err));
    free(list);
    assert_int_equal(store_test_wait(pid), 7);
    assert_null(store_test_get(t->store, "k-late"));
}

static void fencing_numbers_are_new_for_each_process(void **state) {
    struct store_test *t = *state;
    uint64_t last = 0;

    for (unsigned i = 0; i < 5; i++) {
        store_test_open(t);
        assert_true(ms_store_fence(t->store) > last);
        last = ms_store_fence(t->store);
        store_test_close(t);
    }
}

/* ---- sums ------------------------------------------------------------------------------------------------------ */

#define PROCESSES 4
#define THREADS 4

/* Count up, and note under the count when that was. */
static enum ms_code count_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    uint8_t key[9] = {'c'}, value[8];
    struct ms_writer w = ms_writer_on(key + 1, 8), at = ms_writer_on(value, 8);
    struct ms_view v;
    uint64_t sum = 0;
    enum ms_code code = ms_txn_get(txn, ms_view_str("sum"), &v, NULL);

    (void)in, (void)out;
    if (code == MS_OK)
        memcpy(&sum, v.p, sizeof sum);
    sum++;
    ms_write_u64(&w, sum);
    ms_write_u64(&at, (uint64_t)ms_txn_instant(txn).ms);
    code = ms_txn_put(txn, ms_view_str("sum"), ms_view_of(&sum, sizeof sum), reterr);
    return code == MS_OK ? ms_txn_put(txn, ms_view_of(key, 9), ms_view_of(value, 8), reterr) : code;
}

struct counter {
    struct ms_store *store;
    unsigned n, bad;
};

static void *count_main(void *arg) {
    struct counter *c = arg;

    for (unsigned i = 0; i < c->n; i++)
        c->bad += ms_store_write(c->store, &(struct ms_write){.fn = count_op}, NULL) != MS_OK;
    return NULL;
}

static int count_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct counter counters[THREADS];
    pthread_t ids[THREADS];
    struct ms_store *store = NULL;
    unsigned bad = 0;

    (void)place;
    if (ms_store_open(o, &store, NULL) != MS_OK)
        return 1;
    for (unsigned i = 0; i < THREADS; i++) {
        counters[i] = (struct counter){store, n, 0};
        if (pthread_create(&ids[i], NULL, count_main, &counters[i]) != 0)
            return 2;
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(ids[i], NULL);
        bad += counters[i].bad;
    }
    ms_store_close(store);
    return bad ? 3 : 0;
}

static void four_processes_of_four_threads_count_to_the_sum(void **state) {
    struct store_test *t = *state;
    unsigned n = ms_test_rounds(50), seen = 0;
    uint64_t last = 0, at;
    int pids[PROCESSES];
    struct ms_view v;
    struct ms_txn *txn;
    struct ms_scan scan;

    for (unsigned i = 0; i < PROCESSES; i++)
        pids[i] = store_test_start(t, "count", i, n);
    for (unsigned i = 0; i < PROCESSES; i++)
        assert_int_equal(store_test_wait(pids[i]), 0);
    store_test_open(t);
    assert_ok(ms_read_begin(t->store, &txn, &test_err));
    ms_scan_prefix(&scan, txn, ms_view_str("c"));
    while (ms_scan_next(&scan, NULL, &v, NULL) == MS_OK) {
        struct ms_reader r = ms_reader_on(v);

        at = ms_read_u64(&r);
        assert_true(at >= last);
        last = at;
        seen++;
    }
    ms_scan_end(&scan);
    ms_read_end(txn);
    assert_int_equal(seen, PROCESSES * THREADS * n);
}

static int killed_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct counter counter = {.n = 1000000};
    char name[32];

    (void)n;
    if (ms_store_open(o, &counter.store, NULL) != MS_OK)
        return 1;
    snprintf(name, sizeof name, "counting%u", place);
    store_test_make_flag(o->dir, name);
    count_main(&counter);
    return 2;
}

static void a_writer_killed_in_a_transaction_leaves_the_lock_to_the_next(void **state) {
    struct store_test *t = *state;

    store_test_open(t);
    for (unsigned i = 0; i < 10; i++) {
        int pid = store_test_start(t, "killed", i, 0);
        char name[32];

        snprintf(name, sizeof name, "counting%u", i);
        assert_true(store_test_await_flag(t->store_dir, name));
        ms_clock_sleep_ns((int64_t)ms_random_below(&t->random.random, 20000000));
        stop_child(pid);
        assert_ok(store_test_put(t->store, "k", "v", &test_err));
        assert_ok(ms_store_check(t->store, NULL, NULL, &test_err));
    }
}

static const struct store_test_child children[] = {
    {"stay", stay_child},   {"fenced", fenced_child}, {"adopt", adopt_child}, {"adopt-and-die", adopt_and_die_child},
    {"count", count_child}, {"killed", killed_child}, {NULL, NULL},
};

int main(int argc, char **argv) {
#define T(f) cmocka_unit_test_setup_teardown(f, store_test_setup_folder, store_test_teardown)
    const struct CMUnitTest tests[] = {
        T(live_and_dead_processes_are_listed),
        T(closing_leaves_the_registry),
        T(a_run_file_without_a_row_is_swept_at_the_next_open),
        T(the_slot_of_a_dead_waiter_is_swept),
        T(the_dead_are_adopted_and_forgotten_the_living_are_not),
        T(exactly_one_of_two_processes_adopts),
        T(who_died_while_settling_is_taken_over_from_in_turn),
        T(a_late_commit_of_a_process_that_was_taken_over_fails),
        T(fencing_numbers_are_new_for_each_process),
        T(four_processes_of_four_threads_count_to_the_sum),
        T(a_writer_killed_in_a_transaction_leaves_the_lock_to_the_next),
    };
    int status;

    if (store_test_main(argc, argv, children, &status))
        return status;
    return cmocka_run_group_tests_name("store processes", tests, NULL, NULL);
}
