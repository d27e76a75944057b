/* writer.c — group commit: whoever leads (queue.c) writes what all threads of the process ask for.
 *
 * A durable commit costs a disk flush; two hundred operations share one. A batch takes what is queued and what comes
 * meanwhile, and never waits for more. An operation fails alone: one that has written nothing leaves nothing to roll
 * back, and nearly all that fail are of that kind, so operations run in the batch's own transaction. When one fails
 * behind its first write the batch is dropped and runs again with each operation in a nested transaction, which costs
 * a copy of every page that it touches. When LMDB runs out of room inside a batch, nobody can say which operation it
 * was: the batch is dropped and its operations run one by one, growing the map where that helps. */
#include "store/internal.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#define ALONE_TRIES 64
#define MEASURE_NS INT64_C(1000000000)
#define MEASURE_BATCHES 16
#define FULL_DISK_BYTES ((uint64_t)16 << 20)

enum run {
    RUN_DONE,  /* request->code says how */
    RUN_APART, /* no room in this batch */
    RUN_SPOILT, /* the batch has rows of an operation that failed: again, nested */
};

/* ---- one batch ------------------------------------------------------------------------------- */

static int begin_top(struct ms_store *store, MDB_txn **ret_top) {
    int rc;

    if (store->waiter)
        atomic_store_explicit(&store->waiter->waiting, 1, memory_order_relaxed);
    rc = mdb_txn_begin(store->env, NULL, 0, ret_top);
    if (store->waiter)
        atomic_store_explicit(&store->waiter->waiting, 0, memory_order_relaxed);
    return rc;
}

static enum ms_code load_batch(struct ms_store *store, struct ms_store_batch *b,
                               struct ms_error *reterr) {
    enum ms_code code;

    b->registering = !store->w.registered;
    if (b->registering)
        code = ms_process_register(store, b->top, &b->fence, reterr);
    else
        code = ms_process_check(store, b->top, reterr);
    if (code == MS_OK)
        code = ms_store_row_state_get(store, b->top, &b->state, reterr);
    b->begun = b->state;
    b->dirty = b->registering;
    return code;
}

static void batch_abort(struct ms_store *store, struct ms_store_batch *b) {
    mdb_txn_abort(b->top);
    b->top = NULL;
    pthread_mutex_unlock(&store->map_mutex);
    for (unsigned i = 0; i < MS_STORE_NUMBERS; i++) {
        struct ms_store_number *n = &store->w.numbers[i];

        if (n->fresh)
            n->next = n->end =
                0; /* the lease is gone; its numbers may be leased again, nobody has seen them */
        n->fresh = false;
    }
}

static enum ms_code batch_begin(struct ms_store *store, struct ms_store_batch *b, bool nested,
                                struct ms_error *reterr) {
    enum ms_code code;
    int rc;

    if (atomic_load(&store->panic))
        return ms_fail(reterr, MS_PANIC,
                       "nothing is written to %s any more because a write failed; restart this "
                       "program",
                       store->dir);
    if (atomic_load(&store->fenced))
        return ms_fail(reterr, MS_FENCED, "another process took over from this one; restart it");
    b->n = 0;
    b->bytes = 0;
    b->nested = nested;
    store->w.no_room = 0;
    for (unsigned tries = 0;; tries++) {
        pthread_mutex_lock(&store->map_mutex);
        rc = begin_top(store, &b->top);
        if (rc == 0)
            break;
        pthread_mutex_unlock(&store->map_mutex);
        if (rc != MDB_MAP_RESIZED || tries == 16)
            return ms_store_fail(store, reterr, rc, "beginning a write");
        code = ms_map_follow(store, reterr);
        if (code != MS_OK)
            return code;
    }
    b->begun_ns = ms_store_mono(store);
    code = load_batch(store, b, reterr);
    if (code != MS_OK)
        batch_abort(store, b);
    return code;
}

static bool disk_is_full(struct ms_store *store) {
    struct statvfs fs;

    return fstatvfs(store->dir_fd, &fs) == 0 &&
           (uint64_t)fs.f_bavail * fs.f_frsize < FULL_DISK_BYTES;
}

/* After a commit that failed: whether the environment may be used on. LMDB itself goes on after a failed flush,
 * but a kernel that reported one may have dropped the pages and call the next flush good. */
static enum ms_code commit_failed(struct ms_store *store, int rc, struct ms_error *reterr) {
    if (rc < 0 || rc == ENOSPC || rc == EDQUOT || rc == EFBIG || rc == ENOMEM)
        return ms_store_fail(store, reterr, rc, "committing");
    if (rc == EIO && disk_is_full(store)) /* LMDB's word for a write that was cut short */
        return ms_store_fail(store, reterr, ENOSPC, "committing");
    atomic_store(&store->panic, 1);
    ms_fail(reterr, MS_PANIC,
            "writing %s/meta/data.mdb failed (%s); whether the last changes are on disk is not "
            "known, and nothing more is read or written: check the disk, then restart this "
            "program",
            store->dir, mdb_strerror(rc));
    ms_log_failure(store->options.log, MS_LOG_ERROR, "store.panic", reterr, (char *)NULL);
    return MS_PANIC;
}

static enum ms_code batch_commit(struct ms_store *store, struct ms_store_batch *b,
                                 struct ms_error *reterr) {
    bool fed = b->state.feed_next != b->begun.feed_next;
    enum ms_code code = MS_OK;
    int rc;

    if (!b->dirty) {
        batch_abort(store, b); /* nothing was changed, so nothing needs the disk */
        return MS_OK;
    }
    if (fed || store->w.trim_age)
        code = ms_feed_trim(store, b, reterr);
    if (code == MS_OK &&
        (fed || b->state.last.ms != b->begun.last.ms || b->state.feed_first != b->begun.feed_first))
        code = ms_store_row_state_put(store, b->top, &b->state, reterr);
    if (code != MS_OK) {
        batch_abort(store, b);
        return code;
    }
    rc = mdb_txn_commit(b->top);
    if (rc != 0) {
        code = commit_failed(store, rc, reterr);
        b->top = NULL; /* mdb_txn_abort(NULL) is fine */
        batch_abort(store, b);
        return code;
    }
    pthread_mutex_unlock(&store->map_mutex);
    for (unsigned i = 0; i < MS_STORE_NUMBERS; i++)
        store->w.numbers[i].fresh = false;
    if (b->registering) {
        atomic_store(&store->fence, b->fence);
        store->w.registered = true;
    }
    atomic_fetch_add_explicit(&store->commits, 1, memory_order_relaxed);
    if (fed)
        ms_page_tell_others(store);
    return MS_OK;
}

/* ---- one operation --------------------------------------------------------------------------- */

static void op_prepare(struct ms_store *store, struct ms_write_request *request,
                       struct ms_instant instant) {
    struct ms_store_batch *b = &store->w.batch;

    store->w.op = (struct ms_store_op){.request = request, .state = b->state, .instant = instant};
    store->w.txn = (struct ms_txn){.store = store, .op = &store->w.op};
    if (request->write.out)
        memset(request->write.out, 0, request->write.out_size);
}

/* Run the function in the batch's transaction, or in a nested one, which stays open when this returns true. */
static bool op_call(struct ms_store *store, bool nested, enum ms_code *ret_code) {
    struct ms_txn *txn = &store->w.txn;
    struct ms_write_request *request = store->w.op.request;
    const struct ms_write *w = &request->write;
    int rc = 0;

    txn->mdb = store->w.batch.top;
    if (nested)
        rc = mdb_txn_begin(store->env, store->w.batch.top, 0, &txn->mdb);
    if (rc != 0) {
        *ret_code = ms_store_fail(store, &request->error, rc, "beginning an operation");
        return false;
    }
    request->error.code = MS_OK;
    if (w->fence != 0 && w->fence != atomic_load(&store->fence))
        *ret_code =
            ms_fail(&request->error, MS_FENCED,
                    "this was begun under number %" PRIu64 ", this process now has %" PRIu64,
                    w->fence, atomic_load(&store->fence));
    else
        *ret_code = w->fn(txn, w->in, w->out, &request->error);
    MS_ASSERT(txn->scans == 0);
    if (*ret_code == MS_OK && txn->failure.code != MS_OK) {
        request->error = txn->failure;
        *ret_code = txn->failure.code;
    }
    if (*ret_code != MS_OK && request->error.code != *ret_code)
        ms_fail(&request->error, *ret_code, "%s", ms_code_text(*ret_code));
    return true;
}

/* The run that found its numbers used up is thrown away, and with it what it took of others. */
static void give_back(struct ms_store *store) {
    for (unsigned i = 0; i < MS_STORE_NUMBERS; i++)
        if (&store->w.numbers[i] != store->w.op.lease)
            store->w.numbers[i].next -= store->w.op.taken[i];
}

static enum ms_code lease(struct ms_store *store, struct ms_store_number *number,
                          struct ms_error *reterr) {
    struct ms_store_batch *b = &store->w.batch;
    uint64_t first;
    enum ms_code code =
        ms_store_row_count_up(store, b->top, number->name, number->want, &first, reterr);

    if (code != MS_OK)
        return code;
    number->next = first;
    number->end = first + number->want;
    number->fresh = true;
    b->dirty = true;
    return MS_OK;
}

#ifndef NDEBUG
/* Run it once for nothing, so that an operation that cannot run twice is found by whoever writes it. */
static void op_rehearse(struct ms_store *store, struct ms_write_request *request,
                        struct ms_instant instant) {
    struct ms_store_number numbers[MS_STORE_NUMBERS];
    enum ms_code code;

    memcpy(numbers, store->w.numbers, sizeof numbers);
    op_prepare(store, request, instant);
    if (op_call(store, true, &code))
        mdb_txn_abort(store->w.txn.mdb);
    store->w.no_room = 0;
    for (unsigned i = 0; i < MS_STORE_NUMBERS; i++) {
        store->w.numbers[i].next = numbers[i].next;
        store->w.numbers[i].end = numbers[i].end;
    }
}
#endif

static void op_accept(struct ms_store *store) {
    struct ms_store_batch *b = &store->w.batch;
    struct ms_store_op *op = &store->w.op;

    b->dirty |= op->writes > 0;
    b->bytes += op->bytes;
    b->state = op->state;
    if (op->writes > 0)
        b->state.last = ms_instant_max(b->state.last, op->instant);
}

static bool refused_for_room(struct ms_store *store, struct ms_write_request *request) {
    unsigned percent = atomic_load_explicit(&store->room, memory_order_relaxed);
    unsigned limit = request->write.frees ? MS_STORE_FULL_PERCENT : MS_STORE_REFUSE_PERCENT;

    if (ms_room_refuses(store, &request->write, &request->error)) {
        request->code = MS_NO_SPACE;
        return true;
    }
    if (percent < limit)
        return false;
    request->code = ms_fail(&request->error, MS_NO_SPACE,
                            "the metadata of %s uses %u %% of its limit of %" PRIu64
                            " bytes; above %u %% nothing new "
                            "is taken in: delete something or raise the limit",
                            store->dir, percent, store->options.map_bytes_max, limit);
    return true;
}

/* An error of LMDB's own may have spoilt its transaction too. */
static bool has_spoilt(const struct ms_store *store) {
    return store->w.op.writes > 0 || (store->w.txn.failure.code != MS_OK && !store->w.op.lease);
}

static enum run op_run(struct ms_store *store, struct ms_write_request *request) {
    struct ms_store_batch *b = &store->w.batch;
    struct ms_instant instant = ms_instant_max(ms_clock_now(store->options.clock), b->state.last);

    if (refused_for_room(store, request))
        return RUN_DONE;
#ifndef NDEBUG
    op_rehearse(store, request, instant);
#endif
    for (;;) {
        struct ms_store_op *op = &store->w.op;
        bool open;
        int rc;

        op_prepare(store, request, instant);
        open = op_call(store, b->nested, &request->code);
        if (open && request->code == MS_OK && !op->lease && !store->w.no_room) {
            rc = b->nested ? mdb_txn_commit(store->w.txn.mdb) : 0;
            if (rc == 0) {
                op_accept(store);
                return RUN_DONE;
            }
            request->code = ms_store_fail(store, &request->error, rc, "ending an operation");
            return RUN_APART; /* LMDB may have spoilt the whole batch */
        }
        if (open && b->nested)
            mdb_txn_abort(store->w.txn.mdb);
        if (store->w.no_room)
            return RUN_APART;
        if (!b->nested && has_spoilt(store))
            return RUN_SPOILT;
        if (!op->lease)
            return RUN_DONE;
        give_back(store);
        request->code = lease(store, op->lease, &request->error);
        if (request->code != MS_OK)
            return RUN_APART;
    }
}

/* ---- batches apart --------------------------------------------------------------------------- */

/* Find room for one operation that had none: pages of dead readers first, then a larger map. */
static enum ms_code make_room(struct ms_store *store, struct ms_error *reterr) {
    int dead = 0;

    if (mdb_reader_check(store->env, &dead) == 0 && dead > 0)
        return MS_OK;
    return ms_map_grow(store, reterr);
}

static enum ms_code try_alone(struct ms_store *store, struct ms_write_request *request) {
    struct ms_store_batch *b = &store->w.batch;
    enum ms_code code = batch_begin(store, b, true, &request->error);

    if (code != MS_OK)
        return code;
    if (op_run(store, request) == RUN_APART && request->code == MS_OK)
        request->code = ms_fail(&request->error, MS_NO_SPACE, "no room for this operation");
    if (request->code != MS_OK) {
        batch_abort(store, b);
        return request->code;
    }
    return batch_commit(store, b, &request->error);
}

static void run_alone(struct ms_store *store, struct ms_write_request *request) {
    enum ms_code code = MS_OK;

    for (unsigned tries = 0; tries < ALONE_TRIES; tries++) {
        code = try_alone(store, request);
        if (code == MS_OK || store->w.no_room != MDB_MAP_FULL)
            break;
        code = make_room(store, &request->error);
        if (code != MS_OK)
            break;
        code = ms_fail(&request->error, MS_NO_SPACE,
                       "no room for this operation in a map of %" PRIu64 " bytes",
                       atomic_load(&store->map_bytes));
    }
    atomic_fetch_add_explicit(&store->operations, 1, memory_order_relaxed);
    ms_queue_complete(request, code);
    ms_queue_wake_callers(store);
}

static void run_apart(struct ms_store *store) {
    struct ms_store_batch *b = &store->w.batch;
    unsigned n = b->n;
    struct ms_write_request *requests[MS_STORE_BATCH_OPS];

    memcpy(requests, b->requests, n * sizeof requests[0]);
    if (n > 1)
        atomic_fetch_add(&store->taken_apart, 1);
    for (unsigned i = 0; i < n; i++)
        run_alone(store, requests[i]);
}

/* ---- a batch whole --------------------------------------------------------------------------- */

static bool is_full(struct ms_store *store) {
    struct ms_store_batch *b = &store->w.batch;

    return b->n == MS_STORE_BATCH_OPS || b->bytes >= MS_STORE_BATCH_BYTES ||
           ms_store_mono(store) - b->begun_ns >= MS_STORE_BATCH_NS;
}

static void fail_all(struct ms_store *store, struct ms_write_request *first,
                     const struct ms_error *err) {
    for (struct ms_write_request *r = first; r; r = ms_queue_take(store)) {
        r->error = *err;
        ms_queue_complete(r, err->code);
    }
    ms_queue_wake_callers(store);
}

/* Each operation that failed alone keeps its own result. */
static void publish(struct ms_store *store, enum ms_code code, const struct ms_error *err) {
    struct ms_store_batch *b = &store->w.batch;

    atomic_fetch_add_explicit(&store->operations, b->n, memory_order_relaxed);
    for (unsigned i = 0; i < b->n; i++) {
        struct ms_write_request *r = b->requests[i];

        if (code != MS_OK && r->code == MS_OK) {
            r->error = *err;
            r->code = code;
        }
        ms_queue_complete(r, r->code);
    }
    ms_queue_wake_callers(store);
}

static enum ms_code begin_with_room(struct ms_store *store, bool nested, struct ms_error *reterr) {
    enum ms_code code = batch_begin(store, &store->w.batch, nested, reterr);

    if (code == MS_NO_SPACE && store->w.no_room == MDB_MAP_FULL) {
        code = make_room(store, reterr);
        if (code == MS_OK)
            code = batch_begin(store, &store->w.batch, nested, reterr);
    }
    return code;
}

static void end_batch(struct ms_store *store) {
    struct ms_store_batch *b = &store->w.batch;
    struct ms_error err = {0};
    enum ms_code code = batch_commit(store, b, &err);

    if (store->w.no_room || (b->n > 1 && (code == MS_NO_SPACE || code == MS_NO_MEMORY)))
        run_apart(store);
    else
        publish(store, code, &err);
}

/* What a spoilt batch had taken, each in a transaction of its own. */
static void run_again(struct ms_store *store) {
    struct ms_store_batch *b = &store->w.batch;
    unsigned n = b->n;
    struct ms_error err = {0};
    enum ms_code code = begin_with_room(store, true, &err);

    b->n = n; /* the requests are still there */
    atomic_fetch_add_explicit(&store->run_again, 1, memory_order_relaxed);
    for (unsigned i = 0; i < n; i++)
        b->requests[i]->code = MS_OK;
    if (code != MS_OK) {
        publish(store, code, &err);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        if (op_run(store, b->requests[i]) == RUN_APART) {
            batch_abort(store, b);
            run_apart(store);
            return;
        }
    end_batch(store);
}

static void run_batch(struct ms_store *store, struct ms_write_request *request) {
    struct ms_store_batch *b = &store->w.batch;
    struct ms_error err = {0};
    enum ms_code code = begin_with_room(store, false, &err);

    if (code != MS_OK) {
        fail_all(store, request, &err);
        return;
    }
    for (; request; request = is_full(store) ? NULL : ms_queue_take(store)) {
        enum run run;

        b->requests[b->n++] = request;
        run = op_run(store, request);
        if (run == RUN_DONE)
            continue;
        batch_abort(store, b);
        if (run == RUN_SPOILT)
            run_again(store);
        else
            run_apart(store);
        return;
    }
    end_batch(store);
}

static void alarm_room(struct ms_store *store, unsigned percent) {
    char text[24];

    if (percent >= MS_STORE_ALARM_PERCENT && !store->w.alarmed) {
        snprintf(text, sizeof text, "%u", percent);
        ms_log_event(store->options.log, MS_LOG_WARN, "store.room", "dir", store->dir, "percent",
                     text, (char *)NULL);
    }
    store->w.alarmed = percent >= MS_STORE_ALARM_PERCENT;
}

/* How full the map is, without the pages that LMDB has on its free list: only they tell a full map from one that
 * was full once. Done only when the file is large, and now and then. */
static void measure(struct ms_store *store) {
    uint64_t max = store->options.map_bytes_max, used, limit = max / 100 * MS_STORE_ALARM_PERCENT;
    int64_t now = ms_store_mono(store);
    MDB_envinfo info;
    unsigned percent;

    if (mdb_env_info(store->env, &info) != 0)
        return;
    used = ((uint64_t)info.me_last_pgno + 1) * store->page_bytes;
    if (used < limit)
        return;
    if (atomic_load(&store->room) != 0 && now - store->w.measured_ns < MEASURE_NS &&
        ++store->w.batches_since_measure < MEASURE_BATCHES)
        return;
    store->w.measured_ns = now;
    store->w.batches_since_measure = 0;
    atomic_store(&store->free_bytes, ms_room_free_bytes(store));
    used -= atomic_load(&store->free_bytes) < used ? atomic_load(&store->free_bytes) : used;
    percent = (unsigned)(used / (max / 100));
    atomic_store(&store->room, percent > 0 ? percent : 1);
    alarm_room(store, percent);
}

void ms_writer_run(struct ms_store *store, struct ms_write_request *first) {
    measure(store);
    ms_room_keep(store);
    run_batch(store, first);
}
