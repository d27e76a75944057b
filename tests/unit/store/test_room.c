/* Room: a map that grows, one that may not, a batch that is taken apart, and readers that are in the way. */
#include "store_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)

struct bulk {
    unsigned first, n;
    size_t bytes;
};

static enum ms_code bulk_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct bulk *b = in;
    static const uint8_t zeros[MS_VALUE_MAX];

    (void)out;
    for (unsigned i = 0; i < b->n; i++) {
        char key[16];
        enum ms_code code;

        snprintf(key, sizeof key, "k%08u", b->first + i);
        code = ms_txn_put(txn, ms_view_str(key), ms_view_of(zeros, b->bytes), reterr);
        if (code != MS_OK)
            return code;
    }
    return MS_OK;
}

static enum ms_code bulk(struct ms_store *store, unsigned first, unsigned n, size_t bytes, struct ms_error *reterr) {
    struct bulk b = {first, n, bytes};

    return ms_store_write(store, &(struct ms_write){.fn = bulk_op, .in = &b}, reterr);
}

static void a_full_map_grows(void **state) {
    struct store_test *t = *state;
    struct ms_store_stats s;
    char *text;

    t->options.map_bytes = MIB;
    store_test_open(t);
    for (unsigned i = 0; i < 100; i++)
        assert_ok(bulk(t->store, i * 4, 4, 16000, &test_err));
    assert_ok(bulk(t->store, 10000, 100, 100000, &test_err)); /* several doublings in one operation */
    ms_store_stats(t->store, &s);
    assert_true(s.map_grown >= 4);
    assert_true(s.map_bytes >= 16 * MIB);
    assert_ok(ms_store_check(t->store, NULL, NULL, &test_err));
    store_test_close(t);
    store_test_open(t); /* with the small map again: LMDB maps at least what is used */
    text = store_test_get(t->store, "k00010099");
    assert_non_null(text);
    free(text);
}

struct reader {
    struct ms_store *store;
    _Atomic unsigned *stop;
    unsigned reads, bad;
};

static void *read_until_stopped(void *arg) {
    struct reader *r = arg;

    while (!atomic_load(r->stop)) {
        char *text = store_test_get(r->store, "k00000000");

        r->bad += !text;
        r->reads++;
        free(text);
    }
    return NULL;
}

static void the_map_grows_while_eight_threads_read(void **state) {
    struct store_test *t = *state;
    _Atomic unsigned stop = 0;
    struct reader readers[8];
    struct ms_store_stats s;
    pthread_t ids[8];

    t->options.map_bytes = MIB;
    store_test_open(t);
    assert_ok(bulk(t->store, 0, 1, 100, &test_err));
    for (unsigned i = 0; i < 8; i++) {
        readers[i] = (struct reader){.store = t->store, .stop = &stop};
        assert_int_equal(pthread_create(&ids[i], NULL, read_until_stopped, &readers[i]), 0);
    }
    for (unsigned i = 1; i <= 40; i++)
        assert_ok(bulk(t->store, i * 10, 10, 30000, &test_err));
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < 8; i++) {
        pthread_join(ids[i], NULL);
        assert_int_equal(readers[i].bad, 0);
        assert_true(readers[i].reads > 0);
    }
    ms_store_stats(t->store, &s);
    assert_true(s.map_grown >= 3);
}

struct queued {
    struct ms_write_request request;
    struct bulk bulk;
    _Atomic unsigned *done;
};

static void count_done(struct ms_write_request *request) {
    struct queued *q = request->priv;

    atomic_fetch_add(q->done, 1);
}

static void a_batch_without_room_is_taken_apart_and_loses_nothing(void **state) {
    struct store_test *t = *state;
    struct queued *q = calloc(400, sizeof *q);
    struct ms_store_stats s;
    _Atomic unsigned done = 0;

    t->options.map_bytes = MIB;
    store_test_open(t);
    for (unsigned i = 0; i < 400; i++) {
        q[i] = (struct queued){.bulk = {i, 1, 8000}, .done = &done};
        q[i].request = (struct ms_write_request){
            .write = {.fn = bulk_op, .in = &q[i].bulk}, .done = count_done, .priv = &q[i]};
        ms_store_submit(t->store, &q[i].request);
    }
    while (atomic_load(&done) < 400)
        ms_clock_sleep_ns(100000);
    for (unsigned i = 0; i < 400; i++)
        assert_int_equal(q[i].request.code, MS_OK);
    ms_store_stats(t->store, &s);
    assert_true(s.batches_taken_apart >= 1);
    assert_true(s.map_grown >= 1);
    assert_true(s.entries >= 400);
    free(q);
}

static void a_log_line_counts(struct ms_log *log, enum ms_log_level level, const char *line) {
    (void)level;
    *(unsigned *)log->priv += strstr(line, "store.room") != NULL;
}

/* Rule 6: alarm at 70 %, creations refused at 85 %, deletes allowed; and a map that was full once is not full. */
static void a_map_at_its_limit_alarms_refuses_and_still_deletes(void **state) {
    struct store_test *t = *state;
    unsigned alarms = 0, n = 0;
    struct ms_log log = {a_log_line_counts, MS_LOG_WARN, &alarms};
    struct ms_store_stats s;
    enum ms_code code = MS_OK;
    char key[16];

    t->options.map_bytes = t->options.map_bytes_max = 4 * MIB;
    t->options.log = &log;
    store_test_open(t);
    while (code == MS_OK && n < 2000) {
        ms_clock_fake_advance(&t->clock, 2000);
        code = bulk(t->store, n++, 1, 3000, &test_err);
    }
    assert_int_equal(code, MS_NO_SPACE);
    assert_int_equal(alarms, 1);
    assert_non_null(strstr(test_err.message, "85"));
    ms_store_stats(t->store, &s);
    assert_true(s.used_bytes > 3 * MIB && s.used_bytes <= 4 * MIB);
    for (unsigned i = 0; i + 1 < n; i++) {
        snprintf(key, sizeof key, "k%08u", i);
        assert_ok(store_test_del(t->store, key, &test_err));
    }
    ms_clock_fake_advance(&t->clock, 2000);
    assert_ok(bulk(t->store, 0, 10, 3000, &test_err));
    assert_ok(ms_store_check(t->store, NULL, NULL, &test_err));
}

static void one_operation_larger_than_the_map_says_so(void **state) {
    struct store_test *t = *state;

    t->options.map_bytes = t->options.map_bytes_max = 4 * MIB;
    store_test_open(t);
    assert_code(bulk(t->store, 0, 60, 100000, &test_err), MS_NO_SPACE);
    assert_non_null(strstr(test_err.message, "4194304"));
    assert_ok(bulk(t->store, 0, 1, 100, &test_err));
}

static void an_operation_that_writes_too_much_is_refused(void **state) {
    struct store_test *t = *state;

    store_test_open(t);
    assert_code(bulk(t->store, 0, 1100, 125000, &test_err), MS_RANGE);
    assert_non_null(strstr(test_err.message, "128 MiB"));
    assert_null(store_test_get(t->store, "k00000000"));
}

/* ---- rule 6 over four processes --------------------------------------------------------------------------------- */

#define PROCESSES 4

static int grow_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct ms_store *store = NULL;

    if (ms_store_open(o, &store, NULL) != MS_OK)
        return 1;
    for (unsigned i = 0; i < n; i++)
        if (bulk(store, place * 1000000 + i, 1, 4000 + i * 50 % 9000, NULL) != MS_OK)
            return 2;
    if (ms_store_check(store, NULL, NULL, NULL) != MS_OK)
        return 3;
    ms_store_close(store);
    return 0;
}

static void four_processes_grow_one_map_and_lose_nothing(void **state) {
    struct store_test *t = *state;
    unsigned n = ms_test_rounds(250);
    int pids[PROCESSES];
    struct ms_store_stats s;

    t->options.map_bytes = MIB;
    for (unsigned i = 0; i < PROCESSES; i++)
        pids[i] = store_test_start(t, "grow", i, n);
    for (unsigned i = 0; i < PROCESSES; i++)
        assert_int_equal(store_test_wait(pids[i]), 0);
    store_test_open(t);
    for (unsigned i = 0; i < PROCESSES; i++)
        for (unsigned j = 0; j < n; j++) {
            char key[16], *value;

            snprintf(key, sizeof key, "k%08u", i * 1000000 + j);
            value = store_test_get(t->store, key);
            assert_non_null(value);
            free(value);
        }
    ms_store_stats(t->store, &s);
    assert_true(s.used_bytes > (uint64_t)PROCESSES * n * 4000); /* hence beyond the first map */
}

/* ---- rule 5: a reader that was killed --------------------------------------------------------------------------- */

static int die_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct ms_store *store = NULL;
    struct ms_txn *txn;

    (void)place, (void)n;
    if (ms_store_open(o, &store, NULL) != MS_OK || ms_read_begin(store, &txn, NULL) != MS_OK)
        return 1;
    raise(SIGKILL);
    return 2;
}

/* Keep LMDB's lock file in use, or the next opener resets it and the test proves nothing. */
static int hold_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct ms_store *store = NULL;

    (void)place, (void)n;
    if (ms_store_open(o, &store, NULL) != MS_OK)
        return 1;
    store_test_make_flag(o->dir, "held");
    for (;;)
        pause();
}

static int count_reader(const char *line, void *ctx) {
    char pid[32], thread[64], txn[64];

    if (sscanf(line, "%31s %63s %63s", pid, thread, txn) == 3 && pid[0] != 'p' && strcmp(txn, "-") != 0)
        ++*(unsigned *)ctx;
    return 0;
}

static unsigned readers_with_txn(MDB_env *env) {
    unsigned n = 0;

    mdb_reader_list(env, count_reader, &n);
    return n;
}

static void the_slot_of_a_killed_reader_is_cleared_at_open_at_ticks_and_when_room_is_needed(void **state) {
    struct store_test *t = *state;
    int holder = store_test_start(t, "hold", 0, 0);

    assert_true(store_test_await_flag(t->store_dir, "held"));
    assert_int_equal(store_test_run(t, "die", 0, 0), -SIGKILL);
    store_test_open(t);
    assert_int_equal(readers_with_txn(t->store->env), 0); /* cleared at open */
    assert_int_equal(store_test_run(t, "die", 0, 0), -SIGKILL);
    assert_int_equal(readers_with_txn(t->store->env), 1);
    ms_clock_fake_advance(&t->clock, 11000);
    ms_writer_tick(t->store);
    for (unsigned i = 0; i < 60000 && readers_with_txn(t->store->env) > 0; i++)
        ms_clock_sleep_ns(1000000);
    assert_int_equal(readers_with_txn(t->store->env), 0);
    store_test_close(t);
    t->options.map_bytes = t->options.map_bytes_max = 4 * MIB;
    store_test_open(t);
    assert_int_equal(store_test_run(t, "die", 0, 0), -SIGKILL);
    assert_int_equal(readers_with_txn(t->store->env), 1);
    for (unsigned i = 0; i < 100; i++) /* overwritten again and again: only dead readers keep the old pages */
        assert_ok(bulk(t->store, 0, 4, 16000, &test_err));
    assert_int_equal(readers_with_txn(t->store->env), 0);
    kill(holder, SIGKILL);
    assert_int_equal(store_test_wait(holder), -SIGKILL);
}

static void a_full_reader_table_is_an_error_not_a_hang(void **state) {
    struct store_test *t = *state;
    MDB_txn *txns[1024] = {NULL};
    struct ms_txn *txn;
    unsigned n = 0;

    t->options.readers_max = 16;
    store_test_open(t);
    ms_store_thread_gone(pthread_getspecific(t->store->thread_key)); /* as if this thread had not read yet */
    pthread_setspecific(t->store->thread_key, NULL);
    while (n < 1024 && mdb_txn_begin(t->store->env, NULL, MDB_RDONLY, &txns[n]) == 0)
        n++;
    assert_true(n > 0 && n < 1024);
    assert_code(ms_read_begin(t->store, &txn, &test_err), MS_NO_MEMORY);
    while (n > 0)
        mdb_txn_abort(txns[--n]);
    assert_ok(ms_read_begin(t->store, &txn, &test_err));
    ms_read_end(txn);
}

static const struct store_test_child children[] = {
    {"grow", grow_child}, {"die", die_child}, {"hold", hold_child}, {NULL, NULL}};

int main(int argc, char **argv) {
    int status;

#define T(f) cmocka_unit_test_setup_teardown(f, store_test_setup_folder, store_test_teardown)
    const struct CMUnitTest tests[] = {
        T(a_full_map_grows),
        T(the_map_grows_while_eight_threads_read),
        T(a_batch_without_room_is_taken_apart_and_loses_nothing),
        T(a_map_at_its_limit_alarms_refuses_and_still_deletes),
        T(one_operation_larger_than_the_map_says_so),
        T(an_operation_that_writes_too_much_is_refused),
        T(four_processes_grow_one_map_and_lose_nothing),
        T(the_slot_of_a_killed_reader_is_cleared_at_open_at_ticks_and_when_room_is_needed),
        T(a_full_reader_table_is_an_error_not_a_hang),
    };

    if (store_test_main(argc, argv, children, &status))
        return status;
    return cmocka_run_group_tests_name("store room", tests, NULL, NULL);
}
