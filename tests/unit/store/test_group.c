/* Group commit: many operations share a commit, each fails alone, and what each costs in commits. */
#include "store_test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 16
#define EACH 60

static enum ms_code add_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const char *key = in;
    uint64_t *ret_sum = out, sum = 0;
    struct ms_view v;
    enum ms_code code = ms_txn_get(txn, ms_view_str(key), &v, NULL);

    if (code == MS_OK && v.n == sizeof sum)
        memcpy(&sum, v.p, sizeof sum);
    else if (code != MS_NOT_FOUND)
        return ms_fail(reterr, MS_CORRUPT, "%zu bytes", v.n);
    *ret_sum = ++sum;
    return ms_txn_put(txn, ms_view_str(key), ms_view_of(&sum, sizeof sum), reterr);
}

static enum ms_code put_and_fail_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    enum ms_code code = ms_txn_put(txn, ms_view_str(in), ms_view_str("must not stay"), reterr);

    (void)out;
    return code == MS_OK ? ms_fail(reterr, MS_WRONG_STATE, "no") : code;
}

struct worker {
    struct ms_store *store;
    unsigned bad, first;
};

static void *worker_main(void *arg) {
    struct worker *w = arg;
    struct ms_error err;

    for (unsigned i = 0; i < EACH; i++) {
        uint64_t sum = 0;
        struct ms_write add = {.fn = add_op, .in = "sum", .out = &sum, .out_size = sizeof sum};
        struct ms_write fail = {.fn = put_and_fail_op, .in = "half"};

        if (ms_store_write(w->store, &add, &err) != MS_OK || sum == 0)
            w->bad++;
        if (ms_store_write(w->store, &fail, &err) != MS_WRONG_STATE || strcmp(err.message, "no") != 0)
            w->bad++;
    }
    return NULL;
}

static void operations_of_many_threads_share_commits_and_fail_alone(void **state) {
    struct store_test *t = *state;
    struct worker workers[THREADS];
    struct ms_store_stats before, after;
    pthread_t ids[THREADS];
    uint64_t sum = 0;

    ms_store_stats(t->store, &before);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = t->store};
        assert_int_equal(pthread_create(&ids[i], NULL, worker_main, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(ids[i], NULL);
        assert_int_equal(workers[i].bad, 0);
    }
    ms_store_stats(t->store, &after);
    assert_ok(ms_store_write(t->store, &(struct ms_write){.fn = add_op, .in = "sum", .out = &sum, .out_size = 8},
                             &test_err));
    assert_int_equal(sum, THREADS * EACH + 1);
    assert_null(store_test_get(t->store, "half"));
    assert_int_equal(after.operations - before.operations, 2 * THREADS * EACH);
    assert_true(after.commits - before.commits < THREADS * EACH);
}

struct queued {
    struct ms_write_request request;
    uint64_t sum;
    _Atomic unsigned *done;
    unsigned place;
};

static void count_done(struct ms_write_request *request) {
    struct queued *q = request->priv;

    q->place = atomic_load(q->done); /* one batch after the other, one thread at a time */
    atomic_fetch_add(q->done, 1);
}

static void submitted_operations_run_in_order_and_answer_once(void **state) {
    struct store_test *t = *state;
    struct queued *q = calloc(1000, sizeof *q);
    struct ms_store_stats before, after;
    _Atomic unsigned done = 0;

    ms_store_stats(t->store, &before);
    for (unsigned i = 0; i < 1000; i++) {
        q[i].done = &done;
        q[i].request = (struct ms_write_request){
            .write = {.fn = add_op, .in = "sum", .out = &q[i].sum, .out_size = 8}, .done = count_done, .priv = &q[i]};
        ms_store_submit(t->store, &q[i].request);
    }
    while (atomic_load(&done) < 1000)
        ms_clock_sleep_ns(100000);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(q[i].request.code, MS_OK);
        assert_int_equal(q[i].sum, i + 1);
        assert_int_equal(q[i].place, i);
    }
    ms_store_stats(t->store, &after);
    assert_true(after.commits - before.commits < 500);
    assert_true(after.commits - before.commits >= 4); /* 256 at most in one */
    free(q);
}

struct mixer {
    struct ms_store *store;
    unsigned bad, here;
};

struct mixed {
    struct ms_write_request request;
    uint64_t sum;
    pthread_t by;
    _Atomic unsigned done;
};

static void mixed_done(struct ms_write_request *request) {
    struct mixed *m = request->priv;

    m->by = pthread_self();
    atomic_store(&m->done, 1);
}

/* Every way to write, in turn. */
static void *mix(void *arg) {
    struct mixer *w = arg;

    for (unsigned i = 0; i < EACH; i++) {
        struct mixed m = {.request = {.write = {.fn = add_op, .in = "sum"}}};
        struct ms_error err;

        m.request.write.out = &m.sum;
        m.request.write.out_size = sizeof m.sum;
        m.request.done = mixed_done;
        m.request.priv = &m;
        if (i % 3 == 0) {
            w->bad += ms_store_write(w->store, &m.request.write, &err) != MS_OK;
            continue;
        }
        if (i % 3 == 1)
            ms_store_submit(w->store, &m.request);
        else
            ms_store_submit_here(w->store, &m.request);
        while (!atomic_load(&m.done))
            sched_yield();
        w->bad += m.request.code != MS_OK;
        w->here += pthread_equal(m.by, pthread_self()) != 0;
    }
    return NULL;
}

static void whoever_leads_nobody_is_forgotten(void **state) {
    struct store_test *t = *state;
    struct mixer mixers[THREADS];
    pthread_t ids[THREADS];
    uint64_t sum = 0;

    for (unsigned i = 0; i < THREADS; i++) {
        mixers[i] = (struct mixer){.store = t->store};
        assert_int_equal(pthread_create(&ids[i], NULL, mix, &mixers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(ids[i], NULL);
        assert_int_equal(mixers[i].bad, 0);
    }
    assert_ok(ms_store_write(t->store, &(struct ms_write){.fn = add_op, .in = "sum", .out = &sum, .out_size = 8},
                             &test_err));
    assert_int_equal(sum, THREADS * EACH + 1);
}

/* Alone, a thread that may wait commits itself; inside a read it must not. */
static void a_thread_alone_commits_itself(void **state) {
    struct store_test *t = *state;
    struct mixer w = {.store = t->store};
    struct mixed m = {.request = {.write = {.fn = add_op, .in = "sum", .out = &m.sum, .out_size = 8}}};
    struct ms_txn *txn;

    mix(&w);
    assert_int_equal(w.bad, 0);
    assert_true(w.here > 0);
    m.request.done = mixed_done;
    m.request.priv = &m;
    assert_ok(ms_read_begin(t->store, &txn, &test_err));
    ms_store_submit_here(t->store, &m.request);
    while (!atomic_load(&m.done))
        sched_yield();
    ms_read_end(txn);
    assert_false(pthread_equal(m.by, pthread_self()));
    assert_int_equal(m.sum, EACH + 1);
}

static void closing_waits_for_what_is_queued(void **state) {
    struct store_test *t = *state;
    struct queued q[50];
    _Atomic unsigned done = 0;
    char *text;

    for (unsigned i = 0; i < 50; i++) {
        q[i] = (struct queued){.done = &done};
        q[i].request = (struct ms_write_request){
            .write = {.fn = add_op, .in = "sum", .out = &q[i].sum, .out_size = 8}, .done = count_done, .priv = &q[i]};
        ms_store_submit(t->store, &q[i].request);
    }
    store_test_close(t);
    assert_int_equal(atomic_load(&done), 50);
    store_test_open(t);
    text = store_test_get(t->store, "sum");
    assert_int_equal(text[0], 50);
    free(text);
}

static enum ms_code refuse_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    (void)txn, (void)in, (void)out;
    return ms_fail(reterr, MS_WRONG_STATE, "no");
}

/* Submit good operations with one of another kind in their midst; how often a batch had to run again. */
static uint64_t mixed_in(struct store_test *t, ms_write_fn *odd) {
    struct queued q[41];
    struct ms_store_stats before, after;
    _Atomic unsigned done = 0;

    ms_store_stats(t->store, &before);
    for (unsigned i = 0; i < 41; i++) {
        q[i] = (struct queued){.done = &done};
        q[i].request = (struct ms_write_request){
            .write = {.fn = add_op, .in = "sum", .out = &q[i].sum, .out_size = 8}, .done = count_done, .priv = &q[i]};
        if (i == 20)
            q[i].request.write = (struct ms_write){.fn = odd, .in = "half"};
        ms_store_submit(t->store, &q[i].request);
    }
    while (atomic_load(&done) < 41)
        ms_clock_sleep_ns(100000);
    for (unsigned i = 0; i < 41; i++)
        assert_int_equal(q[i].request.code, i == 20 ? MS_WRONG_STATE : MS_OK);
    assert_int_equal(q[40].sum - q[0].sum, 39);
    assert_null(store_test_get(t->store, "half"));
    ms_store_stats(t->store, &after);
    return after.batches_run_again - before.batches_run_again;
}

static void a_batch_runs_again_only_for_who_failed_behind_a_write(void **state) {
    struct store_test *t = *state;

    assert_int_equal(mixed_in(t, refuse_op), 0);
    assert_int_equal(mixed_in(t, put_and_fail_op), 1);
}

struct leaver {
    struct store_test *t;
    struct queued queued;
};

static void *submit_and_leave(void *arg) {
    struct leaver *l = arg;

    ms_store_submit(l->t->store, &l->queued.request);
    return NULL;
}

/* Who learns that the operation is done may close while the thread that asked for it is still on its way out. */
static void the_store_may_close_when_the_last_operation_is_done(void **state) {
    struct store_test *t = *state;

    for (unsigned i = 0; i < 100; i++) {
        _Atomic unsigned done = 0;
        struct leaver l = {.t = t, .queued = {.done = &done}};
        pthread_t id;

        l.queued.request = (struct ms_write_request){
            .write = {.fn = add_op, .in = "sum", .out = &l.queued.sum, .out_size = 8},
            .done = count_done,
            .priv = &l.queued};
        assert_int_equal(pthread_create(&id, NULL, submit_and_leave, &l), 0);
        while (atomic_load(&done) < 1)
            sched_yield();
        store_test_close(t);
        assert_int_equal(pthread_join(id, NULL), 0);
        assert_int_equal(l.queued.sum, i + 1);
        store_test_open(t);
    }
}

static enum ms_code only_look_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    (void)in, (void)out, (void)reterr;
    (void)ms_txn_has(txn, ms_view_str("sum"));
    (void)ms_txn_instant(txn);
    return ms_txn_del(txn, ms_view_str("not there"), reterr);
}

static enum ms_code numbered_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    enum ms_code code = ms_txn_number(txn, "n", out, reterr);

    (void)in;
    return code == MS_OK ? ms_txn_put(txn, ms_view_str("k"), ms_view_str("v"), reterr) : code;
}

static uint64_t commits_of(struct ms_store *store, const struct ms_write *write) {
    struct ms_store_stats before, after;

    ms_store_stats(store, &before);
    assert_ok(ms_store_write(store, write, &test_err));
    ms_store_stats(store, &after);
    return after.commits - before.commits;
}

static void the_commit_budget_is_one_per_change_and_none_without(void **state) {
    struct store_test *t = *state;
    uint64_t n = 0;
    struct ms_write number = {.fn = numbered_op, .out = &n, .out_size = sizeof n};

    assert_int_equal(commits_of(t->store, &(struct ms_write){.fn = add_op, .in = "sum", .out = &n, .out_size = 8}), 1);
    assert_int_equal(commits_of(t->store, &(struct ms_write){.fn = only_look_op}), 0);
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(commits_of(t->store, &number), 1); /* a lease of numbers rides along */
    assert_int_equal(n, 300);
}

struct impure {
    _Atomic unsigned runs;
    uint8_t random[2][16];
    uint64_t number[2];
    struct ms_instant instant[2];
};

static enum ms_code impure_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    struct impure *p = (struct impure *)(uintptr_t)in;
    unsigned run = atomic_fetch_add(&p->runs, 1) % 2;

    (void)out;
    ms_txn_random(txn, p->random[run], sizeof p->random[run]);
    p->instant[run] = ms_txn_instant(txn);
    return ms_txn_number(txn, "pure", &p->number[run], reterr);
}

static void debug_builds_run_each_operation_twice_with_the_same_results(void **state) {
    struct store_test *t = *state;
    struct impure p = {0};
    struct ms_write w = {.fn = impure_op, .in = &p};

    assert_ok(ms_store_write(t->store, &w, &test_err)); /* leases numbers, hence runs more often */
    atomic_store(&p.runs, 0);
    assert_ok(ms_store_write(t->store, &w, &test_err));
#ifdef NDEBUG
    assert_int_equal(atomic_load(&p.runs), 1);
#else
    assert_int_equal(atomic_load(&p.runs), 2);
    assert_memory_equal(p.random[0], p.random[1], sizeof p.random[0]);
    assert_int_equal(p.number[0], p.number[1]);
    assert_int_equal(p.instant[0].ms, p.instant[1].ms);
#endif
    assert_int_equal(p.number[0], 2);
}

static void *read_a_lot(void *arg) {
    struct worker *w = arg;

    for (unsigned i = 0; i < 2000; i++) {
        struct ms_txn *txn;
        struct ms_view v;
        uint64_t sum;

        if (ms_read_begin(w->store, &txn, NULL) != MS_OK || ms_txn_get(txn, ms_view_str("sum"), &v, NULL) != MS_OK) {
            w->bad++;
            continue;
        }
        memcpy(&sum, v.p, sizeof sum);
        if (sum < w->first) /* what was seen stays seen */
            w->bad++;
        w->first = (unsigned)sum;
        ms_read_end(txn);
    }
    return NULL;
}

static void readers_see_whole_commits_in_order(void **state) {
    struct store_test *t = *state;
    struct worker workers[4];
    pthread_t ids[4];
    uint64_t sum;
    struct ms_write add = {.fn = add_op, .in = "sum", .out = &sum, .out_size = sizeof sum};

    assert_ok(ms_store_write(t->store, &add, &test_err));
    for (unsigned i = 0; i < 4; i++) {
        workers[i] = (struct worker){.store = t->store};
        assert_int_equal(pthread_create(&ids[i], NULL, read_a_lot, &workers[i]), 0);
    }
    for (unsigned i = 0; i < 200; i++)
        assert_ok(ms_store_write(t->store, &add, &test_err));
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(ids[i], NULL);
        assert_int_equal(workers[i].bad, 0);
    }
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, store_test_setup, store_test_teardown)
    const struct CMUnitTest tests[] = {
        T(operations_of_many_threads_share_commits_and_fail_alone),
        T(submitted_operations_run_in_order_and_answer_once),
        T(whoever_leads_nobody_is_forgotten),
        T(a_thread_alone_commits_itself),
        T(a_batch_runs_again_only_for_who_failed_behind_a_write),
        T(the_store_may_close_when_the_last_operation_is_done),
        T(closing_waits_for_what_is_queued),
        T(the_commit_budget_is_one_per_change_and_none_without),
        T(debug_builds_run_each_operation_twice_with_the_same_results),
        T(readers_see_whole_commits_in_order),
    };

    return cmocka_run_group_tests_name("store group commit", tests, NULL, NULL);
}
