/* read.c — read transactions, and the map that they look through.
 *
 * A thread keeps its LMDB transaction and renews it, which takes no lock. LMDB wants no transaction open in the
 * process while the map is changed; so each thread raises a flag of its own before it reads, and whoever changes
 * the map raises `resizing` and waits until all flags are down. */
#include "store/internal.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdlib.h>

#define DRAIN_PAUSE_NS INT64_C(50000)

/* ---- threads --------------------------------------------------------------------------------- */

static void thread_free(struct ms_store_thread *t) {
    if (t->txn.mdb)
        mdb_txn_abort(t->txn.mdb);
    free(t);
}

void ms_store_thread_gone(void *thread) {
    struct ms_store_thread *t = thread;
    struct ms_store *store = t->txn.store;

    MS_ASSERT(!atomic_load(&t->active));
    pthread_mutex_lock(&store->threads.mutex);
    if (t->prev)
        t->prev->next = t->next;
    else
        store->threads.first = t->next;
    if (t->next)
        t->next->prev = t->prev;
    pthread_mutex_unlock(&store->threads.mutex);
    thread_free(t);
}

void ms_store_threads_fini(struct ms_store *store) {
    struct ms_store_thread *t = store->threads.first, *next;

    for (; t; t = next) {
        MS_ASSERT(!atomic_load(&t->active));
        next = t->next;
        thread_free(t);
    }
    store->threads.first = NULL;
}

static enum ms_code thread_new(struct ms_store *store, struct ms_store_thread **ret_t,
                               struct ms_error *reterr) {
    struct ms_store_thread *t = calloc(1, sizeof *t);

    if (!t || pthread_setspecific(store->thread_key, t) != 0) {
        free(t);
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a read of %s", store->dir);
    }
    t->txn.store = store;
    pthread_mutex_lock(&store->threads.mutex);
    t->next = store->threads.first;
    if (t->next)
        t->next->prev = t;
    store->threads.first = t;
    pthread_mutex_unlock(&store->threads.mutex);
    *ret_t = t;
    return MS_OK;
}

bool ms_store_in_read(struct ms_store *store) {
    struct ms_store_thread *t = pthread_getspecific(store->thread_key);

    return t && atomic_load_explicit(&t->active, memory_order_relaxed);
}

/* ---- the map --------------------------------------------------------------------------------- */

static void gate_enter(struct ms_store *store, struct ms_store_thread *t) {
    for (;;) {
        atomic_store(&t->active, 1);
        if (!atomic_load(&store->resizing))
            return;
        atomic_store(&t->active, 0);
        pthread_mutex_lock(&store->threads.mutex);
        while (atomic_load(&store->resizing))
            pthread_cond_wait(&store->threads.grown, &store->threads.mutex);
        pthread_mutex_unlock(&store->threads.mutex);
    }
}

static bool any_active(struct ms_store *store) {
    bool any = false;

    pthread_mutex_lock(&store->threads.mutex);
    for (struct ms_store_thread *t = store->threads.first; t && !any; t = t->next)
        any = atomic_load(&t->active);
    pthread_mutex_unlock(&store->threads.mutex);
    return any;
}

/* Needs map_mutex and no transaction of this thread. bytes 0: what another process made it. */
static enum ms_code change_map(struct ms_store *store, uint64_t bytes, struct ms_error *reterr) {
    MDB_envinfo info;
    int rc;

    atomic_store(&store->resizing, 1);
    while (any_active(store))
        ms_clock_sleep_ns(DRAIN_PAUSE_NS);
    rc = mdb_env_set_mapsize(store->env, bytes);
    if (rc == 0 && mdb_env_info(store->env, &info) == 0)
        atomic_store(&store->map_bytes, info.me_mapsize);
    if (rc != 0)
        atomic_store(&store->panic, 1); /* the old map is gone */
    pthread_mutex_lock(&store->threads.mutex);
    atomic_store(&store->resizing, 0);
    pthread_cond_broadcast(&store->threads.grown);
    pthread_mutex_unlock(&store->threads.mutex);
    if (rc != 0)
        return ms_fail(reterr, MS_PANIC,
                       "cannot map %" PRIu64 " bytes of %s/meta/data.mdb: %s; restart this program",
                       bytes, store->dir, mdb_strerror(rc));
    return MS_OK;
}

enum ms_code ms_map_follow(struct ms_store *store, struct ms_error *reterr) {
    enum ms_code code;

    pthread_mutex_lock(&store->map_mutex);
    code = change_map(store, 0, reterr);
    pthread_mutex_unlock(&store->map_mutex);
    return code;
}

enum ms_code ms_map_grow(struct ms_store *store, struct ms_error *reterr) {
    uint64_t now = atomic_load(&store->map_bytes), max = store->options.map_bytes_max;
    uint64_t bytes = now > max / 2 ? max : now * 2;
    enum ms_code code;

    if (now >= max)
        return ms_fail(reterr, MS_NO_SPACE,
                       "the metadata of %s has reached its limit of %" PRIu64
                       " bytes; delete something or raise the "
                       "limit",
                       store->dir, max);
    pthread_mutex_lock(&store->map_mutex);
    code = change_map(store, bytes, reterr);
    pthread_mutex_unlock(&store->map_mutex);
    if (code == MS_OK)
        atomic_fetch_add(&store->map_grown, 1);
    return code;
}

/* ---- reads ----------------------------------------------------------------------------------- */

static enum ms_code panic(struct ms_store *store, struct ms_error *reterr) {
    return ms_fail(reterr, MS_PANIC,
                   "the metadata of %s is not used any more because writing it failed; restart "
                   "this program",
                   store->dir);
}

/* One try: 0 or LMDB's result, with the flag down again. */
static int begin_once(struct ms_store *store, struct ms_store_thread *t) {
    int rc;

    gate_enter(store, t);
    if (t->txn.mdb)
        rc = mdb_txn_renew(t->txn.mdb);
    else
        rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &t->txn.mdb);
    if (rc != 0)
        atomic_store(&t->active, 0);
    return rc;
}

static enum ms_code begin(struct ms_store *store, struct ms_store_thread *t,
                          struct ms_error *reterr) {
    int rc = begin_once(store, t), dead;

    for (unsigned tries = 0; rc == MDB_MAP_RESIZED && tries < 16; tries++) {
        enum ms_code code = ms_map_follow(store, reterr);

        if (code != MS_OK)
            return code;
        rc = begin_once(store, t);
    }
    if (rc == MDB_READERS_FULL && mdb_reader_check(store->env, &dead) == 0)
        rc = begin_once(store, t);
    return rc == 0 ? MS_OK : ms_store_fail(store, reterr, rc, "beginning a read");
}

enum ms_code ms_read_begin(struct ms_store *store, struct ms_txn **ret_txn,
                           struct ms_error *reterr) {
    struct ms_store_thread *t = pthread_getspecific(store->thread_key);
    enum ms_code code;

    MS_ASSERT(*store->same_process); /* a child must exec */
    if (atomic_load_explicit(&store->panic, memory_order_relaxed))
        return panic(store, reterr);
    if (!t) {
        code = thread_new(store, &t, reterr);
        if (code != MS_OK)
            return code;
    }
    MS_ASSERT(!atomic_load_explicit(&t->active, memory_order_relaxed));
    code = begin(store, t, reterr);
    if (code != MS_OK)
        return code;
    __atomic_store_n(&t->txn.begun_ns, ms_store_mono(store),
                     __ATOMIC_RELAXED); /* see ms_store_long_reads() */
    t->txn.failure.code = MS_OK;
    t->txn.scans = 0;
    *ret_txn = &t->txn;
    return MS_OK;
}

void ms_read_end(struct ms_txn *txn) {
    struct ms_store_thread *t;

    if (!txn)
        return;
    MS_ASSERT(!txn->op);
    MS_ASSERT(txn->scans == 0);
    t = MS_CONTAINER_OF(txn, struct ms_store_thread, txn);
    MS_ASSERT(atomic_load_explicit(&t->active, memory_order_relaxed));
    mdb_txn_reset(txn->mdb);
    atomic_store(&t->active, 0);
}

unsigned ms_store_long_reads(struct ms_store *store) {
    int64_t now = ms_store_mono(store);
    unsigned n = 0;

    pthread_mutex_lock(&store->threads.mutex);
    for (struct ms_store_thread *t = store->threads.first; t; t = t->next)
        n += atomic_load(&t->active) &&
             now - __atomic_load_n(&t->txn.begun_ns, __ATOMIC_RELAXED) > MS_STORE_READ_NS;
    pthread_mutex_unlock(&store->threads.mutex);
    return n;
}
