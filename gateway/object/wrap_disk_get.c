/* wrap_disk_get.c — one GET: which blocks are on the disk, the missing runs by GETs at once, the
 * others by reads.
 *
 *   submit -> [pool] look up -> nothing there:   one GET for all of it
 *                                                -> [engine] copy for the cache -> done
 *                            -> some are there:  GETs for the missing runs, reads of the others;
 *                                                those that are wrong get a GET each;
 *                                                the last one to end -> [engine] copy -> done
 *                            -> all are there:   read -> done
 *   The disk is off or hangs: one GET for all of it, and nothing else.
 */
#include "base/assert.h"
#include "object/wrap_disk_part.h"

#include <stdlib.h>

/* Larger ones go around the cache. */
#define GET_BYTES_MAX (256 * MS_MB)

struct get_run {
    struct get_run *next;
    struct get *get;
    struct ms_obj_request request;
};

struct get {
    struct ms_wrap_call call; /* its inner request goes down when all of it is wanted, and has the results */
    struct ms_disk_turn turn;
    struct ms_task task;
    struct get_run *runs; /* grows under wrap.mutex */
    int whole;            /* atomic: the inner request goes down */
    int pending;          /* atomic: runs, and the reading of what is there */
    uint64_t key[2];
    uint64_t drops;
    uint64_t first; /* block */
    size_t blocks;  /* 0: not for the cache */
    bool failed;    /* under wrap.mutex */
    struct ms_disk_found found[]; /* by block; way -1: not there */
};

static struct ms_disk *disk_of(struct get *g) {
    return MS_CONTAINER_OF(g->call.wrap, struct ms_disk, wrap);
}

static struct ms_disk_id id_of(const struct get *g, uint64_t block) {
    return (struct ms_disk_id){{g->key[0], g->key[1]}, block};
}

static void get_fini(struct ms_wrap_call *call) {
    struct get *g = MS_CONTAINER_OF(call, struct get, call);

    while (g->runs) {
        struct get_run *run = g->runs;

        g->runs = run->next;
        ms_obj_drop_results(&run->request);
        free(run);
    }
}

/* ---- into the cache -------------------------------------------------------------------------- */

/* The blocks that an answer has whole. */
static void fill_from(struct get *g, const struct ms_obj_request *r) {
    uint64_t end = r->offset + r->length, size = r->ret_size;
    uint64_t block = (r->offset + MS_DISK_BLOCK - 1) / MS_DISK_BLOCK;

    for (; block * MS_DISK_BLOCK < end; block++) {
        uint64_t from = block * MS_DISK_BLOCK, to = from + MS_DISK_BLOCK;
        struct ms_disk_id id = id_of(g, block);

        to = to < size ? to : size;
        if (to > end || to <= from)
            break;
        ms_disk_fill(disk_of(g), &id, size, (const char *)r->into + (from - r->offset),
                     (size_t)(to - from), g->drops);
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

static void end_whole(struct ms_task *task) {
    struct get *g = MS_CONTAINER_OF(task, struct get, task);

    fill_from(g, &g->call.inner);
    ms_wrap_end(&g->call);
}

/* Copying is not for the driver's thread, which may serve all transfers. */
static void on_whole(struct ms_wrap_call *call) {
    struct get *g = MS_CONTAINER_OF(call, struct get, call);

    if (call->inner.code != MS_OK || g->blocks == 0) {
        ms_wrap_end(call);
        return;
    }
    g->task = (struct ms_task){.run = end_whole};
    ms_engine_post(call->wrap->obj.engine, &g->task);
}

static void go_whole(struct get *g) {
    __atomic_store_n(&g->whole, 1, __ATOMIC_SEQ_CST);
    ms_wrap_down(&g->call);
}

static void end_pieces(struct get *g) {
    struct ms_obj_request *r = &g->call.inner;

    for (const struct get_run *run = g->runs; !g->failed && run; run = run->next)
        fill_from(g, &run->request);
    if (!g->failed)
        r->ret_n = (size_t)r->length;
    ms_wrap_end(&g->call);
}

static void end_pieces_task(struct ms_task *task) {
    end_pieces(MS_CONTAINER_OF(task, struct get, task));
}

static bool is_last(struct get *g) {
    return __atomic_sub_fetch(&g->pending, 1, __ATOMIC_ACQ_REL) == 0;
}

static void fail_locked(struct get *g, const struct ms_error *err) {
    if (g->failed)
        return;
    g->failed = true;
    g->call.inner.error = *err;
    g->call.inner.code = err->code;
}

static void on_run(struct ms_obj_request *request) {
    struct get_run *run = MS_CONTAINER_OF(request, struct get_run, request);
    struct get *g = run->get;

    pthread_mutex_lock(&g->call.wrap->mutex);
    if (request->code != MS_OK)
        fail_locked(g, &request->error);
    else
        g->call.inner.ret_size = request->ret_size;
    pthread_mutex_unlock(&g->call.wrap->mutex);
    if (!is_last(g))
        return;
    g->task = (struct ms_task){.run = end_pieces_task};
    ms_engine_post(g->call.wrap->obj.engine, &g->task);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

/* What the request wants of a block: *ret_from and *ret_to in the object. */
static void range_of(const struct get *g, uint64_t block, uint64_t blocks, uint64_t *ret_from,
                     uint64_t *ret_to) {
    const struct ms_obj_request *r = &g->call.inner;
    uint64_t from = block * MS_DISK_BLOCK, to = (block + blocks) * MS_DISK_BLOCK;

    *ret_from = from > r->offset ? from : r->offset;
    *ret_to = to < r->offset + r->length ? to : r->offset + r->length;
}

static void fetch(struct get *g, uint64_t block, uint64_t blocks) {
    const struct ms_obj_request *r = &g->call.inner;
    struct get_run *run = calloc(1, sizeof *run);
    struct ms_error err;
    uint64_t from, to;

    if (!run)
        (void)ms_fail(&err, MS_NO_MEMORY, "no memory for a GET of %s", r->key);
    pthread_mutex_lock(&g->call.wrap->mutex);
    if (run) {
        run->next = g->runs;
        g->runs = run;
    } else {
        fail_locked(g, &err);
    }
    pthread_mutex_unlock(&g->call.wrap->mutex);
    if (!run)
        return;
    range_of(g, block, blocks, &from, &to);
    run->get = g;
    run->request.op = MS_OBJ_GET;
    run->request.key = r->key;
    run->request.offset = from;
    run->request.length = to - from;
    run->request.into = (char *)r->into + (from - r->offset);
    run->request.timeout_ms = r->timeout_ms;
    run->request.fresh = r->fresh;
    run->request.done = on_run;
    __atomic_add_fetch(&g->pending, 1, __ATOMIC_RELAXED);
    /* Behind the list: a cancel sees the run, or we see the cancel. */
    if (ms_obj_is_cancelled(r))
        __atomic_store_n(&run->request.cancelled, 1, __ATOMIC_SEQ_CST);
    ms_obj_submit(g->call.wrap->obj.inner, &run->request);
}

static void fetch_missing(struct get *g) {
    for (size_t i = 0, n; i < g->blocks; i += n) {
        for (n = 0; i + n < g->blocks && g->found[i + n].way < 0; n++)
            ;
        if (n > 0)
            fetch(g, g->first + i, n);
        else
            n = 1;
    }
}

/* False: it is to be fetched. */
static bool read_block(struct get *g, size_t i, size_t *ret_bytes) {
    const struct ms_obj_request *r = &g->call.inner;
    struct ms_error err;
    uint64_t from, to, start = (g->first + i) * MS_DISK_BLOCK;
    enum ms_code code;

    range_of(g, g->first + i, 1, &from, &to);
    code = ms_disk_files_read(g->turn.files, &g->found[i], (size_t)(from - start),
                              (size_t)(to - from), (char *)r->into + (from - r->offset), &err);
    if (code != MS_OK && code != MS_NOT_FOUND)
        ms_disk_failed(disk_of(g), g->turn.files, &err);
    *ret_bytes = (size_t)(to - from);
    return code == MS_OK;
}

/* Some are there. pending is 1 for us. */
static void read_and_fetch(struct get *g) {
    uint64_t hits = 0, hit_bytes = 0;
    size_t n;

    fetch_missing(g);
    for (size_t i = 0; i < g->blocks && !ms_obj_is_cancelled(&g->call.inner); i++) {
        if (g->found[i].way < 0)
            continue;
        if (read_block(g, i, &n)) {
            hits++;
            hit_bytes += n;
        } else {
            fetch(g, g->first + i, 1);
        }
    }
    ms_disk_count(disk_of(g), hits, hit_bytes, g->blocks - hits);
    ms_disk_leave(disk_of(g), &g->turn);
    if (ms_obj_is_cancelled(&g->call.inner)) {
        struct ms_error err;

        (void)ms_fail(&err, MS_CANCELLED, "GET was cancelled");
        pthread_mutex_lock(&g->call.wrap->mutex);
        fail_locked(g, &err);
        pthread_mutex_unlock(&g->call.wrap->mutex);
    }
    if (is_last(g))
        end_pieces(g);
}

/* ---- look up --------------------------------------------------------------------------------- */

/* The block has all that is wanted of it, and the object all of the request: else the store shall
 * say what is wrong. */
static bool is_enough(const struct get *g, uint64_t block, const struct ms_disk_entry *e) {
    uint64_t from, to;

    range_of(g, block, 1, &from, &to);
    return to - block * MS_DISK_BLOCK <= e->length &&
           g->call.inner.offset + g->call.inner.length <= e->size;
}

/* How many are there. */
static size_t look_up(struct get *g) {
    size_t there = 0;

    for (size_t i = 0; i < g->blocks; i++) {
        struct ms_disk_id id = id_of(g, g->first + i);
        struct ms_error err;
        enum ms_code code;

        if (g->call.inner.fresh)
            code = ms_disk_files_drop(g->turn.files, &id, &err);
        else
            code = ms_disk_files_find(g->turn.files, &id, &g->found[i], &err);
        if (code != MS_OK && code != MS_NOT_FOUND)
            ms_disk_failed(disk_of(g), g->turn.files, &err);
        if (g->call.inner.fresh || code != MS_OK ||
            !is_enough(g, g->first + i, &g->found[i].entry)) {
            g->found[i].way = -1;
            continue;
        }
        g->call.inner.ret_size = g->found[i].entry.size;
        there++;
    }
    return there;
}

static void on_pool(struct ms_task *task) {
    struct get *g = MS_CONTAINER_OF(task, struct get, task);

    ms_disk_begin(disk_of(g), &g->turn);
    g->pending = 1;
    if (look_up(g) > 0) {
        read_and_fetch(g);
        return;
    }
    ms_disk_count(disk_of(g), 0, 0, g->blocks);
    ms_disk_leave(disk_of(g), &g->turn);
    go_whole(g);
}

/* ---- from outside ---------------------------------------------------------------------------- */

static size_t blocks_of(const struct ms_obj_request *r) {
    if (r->length == 0 || r->length > GET_BYTES_MAX || r->offset > UINT64_MAX - r->length)
        return 0;
    return (size_t)((r->offset + r->length - 1) / MS_DISK_BLOCK - r->offset / MS_DISK_BLOCK + 1);
}

void ms_disk_get(struct ms_disk *d, struct ms_obj_request *request) {
    size_t blocks = blocks_of(request);
    struct get *g =
        ms_wrap_begin(&d->wrap, request, sizeof *g + blocks * sizeof g->found[0], on_whole);

    if (!g)
        return;
    g->call.fini = get_fini;
    g->blocks = blocks;
    g->first = request->offset / MS_DISK_BLOCK;
    ms_disk_key_hash(d->options.store_id, request->key, g->key);
    g->task = (struct ms_task){.run = on_pool};
    if (blocks > 0)
        ms_disk_join(d, &g->turn, &g->drops);
    if (!g->turn.files) {
        g->blocks = 0;
        go_whole(g);
        return;
    }
    ms_engine_post(d->pool, &g->task);
}

bool ms_disk_get_rescue(struct ms_disk *d, struct ms_disk_turn *turn) {
    struct get *g = MS_CONTAINER_OF(turn, struct get, turn);

    return ms_engine_withdraw(d->pool, &g->task);
}

void ms_disk_get_go_on(struct ms_disk_turn *turn) {
    struct get *g = MS_CONTAINER_OF(turn, struct get, turn);

    g->blocks = 0;
    go_whole(g);
}

void ms_disk_get_cancel(struct ms_disk *d, struct ms_obj_request *request) {
    struct ms_wrap_call *call;
    struct get_run *run = NULL;
    struct get *g;

    __atomic_store_n(&request->cancelled, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&d->wrap.mutex);
    call = request->drv;
    if (call) {
        ms_wrap_ref(call);
        __atomic_store_n(&call->inner.cancelled, 1, __ATOMIC_SEQ_CST);
        run = MS_CONTAINER_OF(call, struct get, call)->runs;
    }
    pthread_mutex_unlock(&d->wrap.mutex);
    if (!call)
        return;
    g = MS_CONTAINER_OF(call, struct get, call);
    for (; run; run = run->next)
        ms_obj_cancel(d->wrap.obj.inner, &run->request);
    if (__atomic_load_n(&g->whole, __ATOMIC_SEQ_CST))
        ms_obj_cancel(d->wrap.obj.inner, &call->inner);
    ms_wrap_unref(call);
}
