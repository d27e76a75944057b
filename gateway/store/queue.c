/* queue.c — who commits: the thread that asks when nobody else is at it, or the store's own thread.
 *
 * Handing an operation over and waiting for the answer costs two switches of threads, on a fast disk a good part of the
 * commit itself. So who asks and may wait leads: it takes what is queued as one batch, its own operation in it, commits
 * and answers all of them. While somebody leads, others only queue; what they queued is the next batch. Nobody leads
 * more than one batch, because his own answer waits for it: what is queued by then is the thread's, which also has
 * what was handed over without waiting (ms_store_submit), and the duties of every ten seconds.
 *
 * No wake-up is lost: who queues puts the request first and then looks whether somebody leads; who leads steps down
 * first and then looks whether something is queued; the thread says that it sleeps first and then looks. All of these
 * are sequentially consistent, so one of the two sees the other. */
#include "store/internal.h"

#include "base/assert.h"

#include <sched.h>
#include <stdio.h>

enum leading { NOBODY_LEADS, SOMEBODY_LEADS, THREAD_WAITS };

/* The store whose batch this thread runs now: in it done() may submit more, and nobody may wait. */
static _Thread_local const struct ms_store *here;

static void wake_thread(struct ms_store *store) {
    if (atomic_exchange(&store->queue.asleep, 0))
        ms_futex_wake(&store->queue.asleep, false);
}

/* ---- the queue ------------------------------------------------------------------------------- */

static bool is_queued(const struct ms_store *store) {
    return atomic_load(&store->queue.pushed) || atomic_load(&store->queue.left);
}

static void push(struct ms_store *store, struct ms_write_request *request) {
    struct ms_write_request *head = atomic_load_explicit(&store->queue.pushed, memory_order_relaxed);

    MS_ASSERT(store->queue.started); /* not on a store that was opened read-only */
    MS_ASSERT(*store->same_process); /* a child must exec */
    MS_ASSERT(request->write.fn);
    request->error.code = MS_OK;
    request->seeded = false;
    do
        request->next = head;
    while (!atomic_compare_exchange_weak(&store->queue.pushed, &head, request));
}

struct ms_write_request *ms_queue_take(struct ms_store *store) {
    struct ms_write_request *r = store->w.ready, *pushed;

    if (!r) {
        pushed = atomic_load_explicit(&store->queue.pushed, memory_order_relaxed)
                     ? atomic_exchange(&store->queue.pushed, NULL)
                     : NULL;
        while (pushed) {
            struct ms_write_request *next = pushed->next;

            pushed->next = r;
            r = pushed;
            pushed = next;
        }
    }
    if (r)
        store->w.ready = r->next;
    return r;
}

void ms_queue_complete(struct ms_write_request *request, enum ms_code code) {
    request->code = code;
    if (code == MS_OK)
        request->error.code = MS_OK;
    request->done(request);
}

/* ---- leading --------------------------------------------------------------------------------- */

static bool try_lead(struct ms_store *store) {
    uint32_t nobody = NOBODY_LEADS;

    return atomic_compare_exchange_strong(&store->queue.leading, &nobody, SOMEBODY_LEADS);
}

/* The thread's: who asks never waits to lead. */
static void lead(struct ms_store *store) {
    if (try_lead(store))
        return;
    while (atomic_exchange(&store->queue.leading, THREAD_WAITS) != NOBODY_LEADS)
        ms_futex_wait(&store->queue.leading, THREAD_WAITS, -1);
}

static void step_down(struct ms_store *store) {
    atomic_store(&store->queue.left, store->w.ready != NULL);
    if (atomic_exchange(&store->queue.leading, NOBODY_LEADS) == THREAD_WAITS)
        ms_futex_wake(&store->queue.leading, false);
}

/* LMDB's lock is not fair: another process that waited for it at the end of our last batch goes first. */
static void let_others_go(struct ms_store *store) {
    int64_t ns = store->w.pause_until_ns ? store->w.pause_until_ns - ms_store_mono(store) : 0;

    store->w.pause_until_ns = 0;
    if (ns > 0)
        ms_clock_sleep_ns(ns < MS_STORE_PAUSE_NS ? ns : MS_STORE_PAUSE_NS);
}

/* False: nothing was queued. */
static bool run_one(struct ms_store *store) {
    struct ms_write_request *first;
    const struct ms_store *before = here;

    let_others_go(store);
    first = ms_queue_take(store);
    if (!first)
        return false;
    here = store;
    ms_writer_run(store, first);
    here = before;
    if (ms_page_others_wait(store))
        store->w.pause_until_ns = ms_store_mono(store) + MS_STORE_PAUSE_NS;
    return true;
}

/* Lead one batch, unless somebody else does: he will see what is queued. */
static void lead_one(struct ms_store *store) {
    if (!try_lead(store))
        return;
    run_one(store);
    step_down(store);
    if (is_queued(store))
        wake_thread(store);
}

void ms_store_submit(struct ms_store *store, struct ms_write_request *request) {
    atomic_fetch_add(&store->queue.submitting, 1);
    push(store, request);
    if (here != store)
        wake_thread(store);
    atomic_fetch_sub(&store->queue.submitting, 1); /* the last touch of the store: see ms_writer_stop */
}

void ms_store_submit_here(struct ms_store *store, struct ms_write_request *request) {
    if (here == store || ms_store_in_read(store)) { /* growing the map would wait for that read for ever */
        ms_store_submit(store, request);
        return;
    }
    atomic_fetch_add(&store->queue.submitting, 1);
    push(store, request);
    lead_one(store);
    atomic_fetch_sub(&store->queue.submitting, 1);
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct waiting_write {
    struct ms_write_request request;
    _Atomic uint32_t done;
};

static void note_done(struct ms_write_request *request) {
    struct waiting_write *w = (struct waiting_write *)(void *)request;

    atomic_store(&w->done, 1); /* the caller may be gone from here on */
}

/* All who wait, with one call to the kernel: most of them belong to the batch that is through. */
void ms_queue_wake_callers(struct ms_store *store) {
    atomic_fetch_add(&store->queue.finished, 1);
    if (atomic_load(&store->queue.waiting) > 0)
        ms_futex_wake(&store->queue.finished, false);
}

static void wait_for(struct ms_store *store, struct waiting_write *w) {
    atomic_fetch_add(&store->queue.waiting, 1);
    for (;;) {
        uint32_t finished = atomic_load(&store->queue.finished);

        if (atomic_load(&w->done))
            break;
        ms_futex_wait(&store->queue.finished, finished, -1);
        if (!atomic_load(&w->done))
            lead_one(store); /* the batch that is through was another one */
    }
    atomic_fetch_sub(&store->queue.waiting, 1);
}

enum ms_code ms_store_write(struct ms_store *store, const struct ms_write *write,
                            struct ms_error *reterr) {
    struct waiting_write w;

    if (store->options.read_only)
        return ms_fail(reterr, MS_READ_ONLY, "%s was opened read-only", store->dir);
    MS_ASSERT(!ms_store_in_read(store)); /* map growth would wait for that read for ever */
    MS_ASSERT(here != store);            /* from done(): it would wait for itself */
    w.request.write = *write;
    w.request.done = note_done;
    atomic_init(&w.done, 0);
    push(store, &w.request);
    lead_one(store);
    if (!atomic_load(&w.done))
        wait_for(store, &w);
    if (w.request.code != MS_OK && reterr)
        *reterr = w.request.error;
    return w.request.code;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static int64_t tick_in_ns(const struct ms_store *store) {
    return atomic_load(&store->queue.ticked_ns) + MS_STORE_TICK_NS - ms_store_mono(store);
}

static bool is_tick_due(const struct ms_store *store) {
    return atomic_load(&store->queue.tick) || tick_in_ns(store) <= 0;
}

static void tick(struct ms_store *store) {
    unsigned long_reads;
    char text[24];
    int dead = 0;

    atomic_store(&store->queue.tick, 0);
    atomic_store(&store->queue.ticked_ns, ms_store_mono(store));
    mdb_reader_check(store->env, &dead);
    ms_page_sweep(store);
    store->w.trim_age = true;
    long_reads = ms_store_long_reads(store);
    if (long_reads > 0) {
        snprintf(text, sizeof text, "%u", long_reads);
        ms_log_event(store->options.log, MS_LOG_WARN, "store.long_reads", "dir", store->dir, "open",
                     text, (char *)NULL);
    }
}

/* Sleep until something is left to the thread, or a tick is due. */
static void rest(struct ms_store *store) {
    int64_t ns = tick_in_ns(store);

    atomic_store(&store->queue.asleep, 1);
    if (!is_queued(store) && !atomic_load(&store->queue.closing) &&
        !atomic_load(&store->queue.tick))
        ms_futex_wait(&store->queue.asleep, 1, ns > 0 && ns < MS_STORE_TICK_NS ? ns : MS_STORE_TICK_NS);
    atomic_store(&store->queue.asleep, 0);
}

static void *thread_main(void *arg) {
    struct ms_store *store = arg;

    for (;;) {
        bool closing = atomic_load(&store->queue.closing), ran;

        if (!closing && !is_queued(store) && !is_tick_due(store)) {
            rest(store);
            continue;
        }
        lead(store);
        ran = run_one(store);
        if (is_tick_due(store))
            tick(store);
        step_down(store);
        if (!ran && closing)
            return NULL;
    }
}

enum ms_code ms_writer_start(struct ms_store *store, struct ms_error *reterr) {
    atomic_store(&store->queue.ticked_ns, ms_store_mono(store));
    store->queue.started = true;
    if (pthread_create(&store->queue.thread, NULL, thread_main, store) != 0) {
        store->queue.started = false;
        return ms_fail(reterr, MS_NO_MEMORY, "no thread for writing to %s", store->dir);
    }
    return MS_OK;
}

void ms_writer_stop(struct ms_store *store) {
    if (!store->queue.started)
        return;
    atomic_store(&store->queue.closing, 1);
    wake_thread(store);
    pthread_join(store->queue.thread, NULL);
    while (atomic_load(&store->queue.submitting) > 0)
        sched_yield(); /* its request is done, and whoever saw that closes; it only has to leave */
    store->queue.started = false;
}

void ms_writer_tick(struct ms_store *store) {
    atomic_store(&store->queue.tick, 1);
    wake_thread(store);
}
