#include "object/wrap_disk.h"

#include "base/assert.h"
#include "object/wrap_disk_part.h"

#include <stdlib.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S (1000 * NS_PER_MS)
#define POOL_THREADS 4
#define TICK_NS NS_PER_S
#define RETRY_MS 30000
#define HANGS_NS (2 * NS_PER_S)
#define FULL_NS (5 * NS_PER_S)
#define FULL_SAID_NS (3600 * NS_PER_S)
#define FAILURES_MAX 8   /* of the disk, then the cache is off for a while */
#define FILLS_MAX 64     /* 16 MiB wait for the disk at most */
#define KEYS_MAX 1000000 /* while the cache is off, and so nothing of them is served */

struct ms_disk_fill {
    struct ms_disk_fill *next;
    struct ms_disk_id id;
    uint64_t size, drops;
    size_t length;
    char bytes[MS_DISK_BLOCK];
};

static int64_t mono_ns(void) { return ms_clock_mono_ns(ms_clock_system()); }

/* ---- on and off ------------------------------------------------------------------------------ */

static bool is_fatal(enum ms_code code) {
    return code == MS_FOREIGN || code == MS_NEWER_FORMAT || code == MS_RANGE ||
           code == MS_NO_MEMORY;
}

static int64_t retry_ns(const struct ms_disk *d) {
    return (d->options.retry_ms ? d->options.retry_ms : RETRY_MS) * NS_PER_MS;
}

/* Said once for each reason in a row. */
static void say_off(struct ms_disk *d, const struct ms_error *err) {
    bool is_news;

    pthread_mutex_lock(&d->wrap.mutex);
    is_news = d->locked.off_code != err->code;
    d->locked.off_code = err->code;
    d->locked.retry_ns = mono_ns() + retry_ns(d);
    pthread_mutex_unlock(&d->wrap.mutex);
    if (is_news)
        ms_log_failure(d->options.log, MS_LOG_WARN, "disk_cache_off", err, "dir", d->options.dir,
                       NULL);
}

static void turn_off(struct ms_disk *d, struct ms_disk_files *files, const struct ms_error *err) {
    bool is_it;

    pthread_mutex_lock(&d->wrap.mutex);
    is_it = d->locked.files == files;
    if (is_it)
        d->locked.files = NULL;
    pthread_mutex_unlock(&d->wrap.mutex);
    if (!is_it)
        return;
    say_off(d, err);
    ms_disk_files_unref(files);
}

/* Errors: as ms_disk_files_open(). */
static enum ms_code turn_on(struct ms_disk *d, struct ms_error *reterr) {
    struct ms_disk_files *files = NULL;
    enum ms_code before, code = ms_disk_files_open(&d->options, &files, reterr);

    if (code != MS_OK)
        return code;
    pthread_mutex_lock(&d->wrap.mutex);
    before = d->locked.off_code;
    d->locked.off_code = MS_OK;
    d->locked.failures = 0;
    d->locked.files = files;
    pthread_mutex_unlock(&d->wrap.mutex);
    if (before != MS_OK)
        ms_log_event(d->options.log, MS_LOG_WARN, "disk_cache_on", "dir", d->options.dir, NULL);
    return MS_OK;
}

static void say_full(struct ms_disk *d, const struct ms_error *err) {
    int64_t now = mono_ns();
    bool is_news;

    pthread_mutex_lock(&d->wrap.mutex);
    d->locked.full_until_ns = now + FULL_NS;
    is_news = now >= d->locked.full_said_ns;
    if (is_news)
        d->locked.full_said_ns = now + FULL_SAID_NS;
    pthread_mutex_unlock(&d->wrap.mutex);
    if (is_news)
        ms_log_failure(d->options.log, MS_LOG_WARN, "disk_cache_full", err, "dir", d->options.dir,
                       NULL);
}

void ms_disk_failed(struct ms_disk *d, struct ms_disk_files *files, const struct ms_error *err) {
    bool too_much;

    if (err->code == MS_NO_SPACE) {
        say_full(d, err);
        return;
    }
    pthread_mutex_lock(&d->wrap.mutex);
    if (err->code == MS_CORRUPT) {
        d->locked.stats.corrupt++;
        too_much = false;
    } else {
        d->locked.stats.errors++;
        d->locked.failures += d->locked.files == files;
        too_much = d->locked.failures >= FAILURES_MAX || err->code == MS_STALE;
    }
    pthread_mutex_unlock(&d->wrap.mutex);
    if (too_much)
        turn_off(d, files, err);
}

/* ---- who is at the disk ---------------------------------------------------------------------- */

static void list_remove_locked(struct ms_disk *d, struct ms_disk_turn *turn) {
    *(turn->older ? &turn->older->newer : &d->locked.oldest) = turn->newer;
    *(turn->newer ? &turn->newer->older : &d->locked.newest) = turn->older;
    turn->older = turn->newer = NULL;
}

static void list_add_locked(struct ms_disk *d, struct ms_disk_turn *turn) {
    turn->older = d->locked.newest;
    turn->newer = NULL;
    *(turn->older ? &turn->older->newer : &d->locked.oldest) = turn;
    d->locked.newest = turn;
}

static struct ms_disk_files *files_of(struct ms_disk *d) {
    struct ms_disk_files *files;

    pthread_mutex_lock(&d->wrap.mutex);
    files = d->locked.files;
    if (files)
        ms_disk_files_ref(files);
    pthread_mutex_unlock(&d->wrap.mutex);
    return files;
}

void ms_disk_join(struct ms_disk *d, struct ms_disk_turn *turn, uint64_t *ret_drops) {
    pthread_mutex_lock(&d->wrap.mutex);
    turn->files = d->locked.hangs ? NULL : d->locked.files;
    *ret_drops = d->locked.drops;
    if (turn->files) {
        ms_disk_files_ref(turn->files);
        list_add_locked(d, turn);
    } else {
        d->locked.stats.bypassed++;
    }
    pthread_mutex_unlock(&d->wrap.mutex);
}

void ms_disk_begin(struct ms_disk *d, struct ms_disk_turn *turn) {
    int64_t now = mono_ns();

    pthread_mutex_lock(&d->wrap.mutex);
    turn->since_ns = now;
    pthread_mutex_unlock(&d->wrap.mutex);
}

void ms_disk_leave(struct ms_disk *d, struct ms_disk_turn *turn) {
    struct ms_disk_files *files = MS_TAKE(turn->files);

    pthread_mutex_lock(&d->wrap.mutex);
    list_remove_locked(d, turn);
    pthread_mutex_unlock(&d->wrap.mutex);
    ms_disk_files_unref(files);
}

/* A turn that began long ago and has not ended says that the disk hangs. */
static bool hangs_locked(const struct ms_disk *d, int64_t now) {
    for (const struct ms_disk_turn *t = d->locked.oldest; t; t = t->newer)
        if (t->since_ns != 0 && now - t->since_ns > HANGS_NS)
            return true;
    return false;
}

/* Those that wait behind the ones that hang, as a list through newer. */
static struct ms_disk_turn *rescue_locked(struct ms_disk *d) {
    struct ms_disk_turn *saved = NULL, *next;

    for (struct ms_disk_turn *t = d->locked.oldest; t; t = next) {
        next = t->newer;
        if (t->since_ns != 0 || !ms_disk_get_rescue(d, t))
            continue;
        list_remove_locked(d, t);
        t->newer = saved;
        saved = t;
        d->locked.stats.bypassed++;
    }
    return saved;
}

static void go_around(struct ms_disk_turn *saved) {
    while (saved) {
        struct ms_disk_turn *next = saved->newer;

        ms_disk_files_unref(MS_TAKE(saved->files));
        ms_disk_get_go_on(saved);
        saved = next;
    }
}

/* ---- what is to be written and dropped ------------------------------------------------------- */

static void write_locked(struct ms_disk *d) {
    if (d->locked.writing)
        return;
    d->locked.writing = true;
    ms_engine_post(d->pool, &d->write_task);
}

static struct ms_disk_fill *fill_new_locked(struct ms_disk *d, uint64_t drops) {
    struct ms_disk_fill *fill = d->locked.spare;

    if (d->locked.fills == FILLS_MAX || drops != d->locked.drops || !d->locked.files ||
        (d->locked.full_until_ns && mono_ns() < d->locked.full_until_ns)) {
        d->locked.stats.skipped++;
        return NULL;
    }
    if (fill) {
        d->locked.spare = fill->next;
        d->locked.spares--;
    } else {
        fill = malloc(sizeof *fill);
    }
    d->locked.fills += fill != NULL;
    return fill;
}

void ms_disk_fill(struct ms_disk *d, const struct ms_disk_id *id, uint64_t size, const void *bytes,
                  size_t length, uint64_t drops) {
    struct ms_disk_fill *fill;

    MS_ASSERT(length <= MS_DISK_BLOCK);
    pthread_mutex_lock(&d->wrap.mutex);
    fill = fill_new_locked(d, drops);
    pthread_mutex_unlock(&d->wrap.mutex);
    if (!fill)
        return;
    fill->next = NULL;
    fill->id = *id;
    fill->size = size;
    fill->drops = drops;
    fill->length = length;
    memcpy(fill->bytes, bytes, length);
    pthread_mutex_lock(&d->wrap.mutex);
    *d->locked.last = fill;
    d->locked.last = &fill->next;
    write_locked(d);
    pthread_mutex_unlock(&d->wrap.mutex);
}

void ms_disk_drop(struct ms_disk *d, const char *const *keys, size_t n) {
    pthread_mutex_lock(&d->wrap.mutex);
    for (size_t i = 0; i < n; i++) {
        if (d->locked.keys_n == d->locked.keys_cap && d->locked.keys_cap < KEYS_MAX) {
            size_t cap = d->locked.keys_cap ? d->locked.keys_cap * 2 : 64;
            void *more = realloc(d->locked.keys, cap * sizeof *d->locked.keys);

            if (more) {
                d->locked.keys = more;
                d->locked.keys_cap = cap;
            }
        }
        if (d->locked.keys_n < d->locked.keys_cap)
            ms_disk_key_hash(d->options.store_id, keys[i], d->locked.keys[d->locked.keys_n++]);
    }
    d->locked.drops++;
    if (d->locked.files)
        write_locked(d);
    pthread_mutex_unlock(&d->wrap.mutex);
}

/* Taken out of the queue; NULL: there is none. */
static struct ms_disk_fill *next_fill_locked(struct ms_disk *d, bool *ret_is_late) {
    struct ms_disk_fill *fill = d->locked.first;

    if (!fill)
        return NULL;
    d->locked.first = fill->next;
    if (!fill->next)
        d->locked.last = &d->locked.first;
    *ret_is_late = fill->drops != d->locked.drops; /* its key may be among the dropped */
    return fill;
}

static void write_fill(struct ms_disk *d, struct ms_disk_fill *fill, bool is_late) {
    struct ms_disk_files *files = is_late ? NULL : files_of(d);
    struct ms_error err;
    enum ms_code code = MS_UNAVAILABLE;

    if (files)
        code = ms_disk_files_store(files, &fill->id, fill->size, fill->bytes, fill->length, &err);
    if (files && code != MS_OK)
        ms_disk_failed(d, files, &err);
    ms_disk_files_unref(files);
    pthread_mutex_lock(&d->wrap.mutex);
    d->locked.stats.stored += code == MS_OK;
    d->locked.stats.skipped += code != MS_OK;
    d->locked.fills--;
    fill->next = d->locked.spare;
    d->locked.spare = fill;
    d->locked.spares++;
    pthread_mutex_unlock(&d->wrap.mutex);
}

/* Drop before write: a fill of a dropped key is late by then. */
static void write_all(struct ms_task *task) {
    struct ms_disk *d = MS_CONTAINER_OF(task, struct ms_disk, write_task);

    for (;;) {
        struct ms_disk_files *files = files_of(d);
        uint64_t(*keys)[2] = NULL;
        struct ms_disk_fill *fill = NULL;
        bool is_late = false;
        size_t keys_n = 0;

        pthread_mutex_lock(&d->wrap.mutex);
        if (files && d->locked.keys_n > 0) {
            keys = MS_TAKE(d->locked.keys);
            keys_n = d->locked.keys_n;
            d->locked.keys_n = d->locked.keys_cap = 0;
        } else {
            fill = next_fill_locked(d, &is_late);
        }
        if (!keys && !fill) {
            d->locked.writing = false;
            pthread_cond_broadcast(&d->idle);
        }
        pthread_mutex_unlock(&d->wrap.mutex);
        if (keys)
            ms_disk_files_drop_keys(files, keys, keys_n);
        free(keys);
        ms_disk_files_unref(files);
        if (fill)
            write_fill(d, fill, is_late);
        else if (!keys)
            return;
    }
}

static void free_list(struct ms_disk_fill *fill) {
    while (fill) {
        struct ms_disk_fill *next = fill->next;

        free(fill);
        fill = next;
    }
}

/* An eighth of what no one needs, each second. */
static void free_some_spares(struct ms_disk *d) {
    struct ms_disk_fill *some = NULL;

    pthread_mutex_lock(&d->wrap.mutex);
    for (size_t n = d->locked.writing ? 0 : FILLS_MAX / 8; n > 0 && d->locked.spare; n--) {
        struct ms_disk_fill *fill = d->locked.spare;

        d->locked.spare = fill->next;
        d->locked.spares--;
        fill->next = some;
        some = fill;
    }
    pthread_mutex_unlock(&d->wrap.mutex);
    free_list(some);
}

/* ---- once a second --------------------------------------------------------------------------- */

static void try_again(struct ms_disk *d) {
    struct ms_error err;
    bool is_time;

    pthread_mutex_lock(&d->wrap.mutex);
    is_time = !d->locked.files && mono_ns() >= d->locked.retry_ns;
    pthread_mutex_unlock(&d->wrap.mutex);
    if (!is_time)
        return;
    if (turn_on(d, &err) != MS_OK) {
        say_off(d, &err);
        return;
    }
    pthread_mutex_lock(&d->wrap.mutex);
    if (d->locked.keys_n > 0)
        write_locked(d);
    pthread_mutex_unlock(&d->wrap.mutex);
}

static void tend(struct ms_task *task) {
    struct ms_disk *d = MS_CONTAINER_OF(task, struct ms_disk, tend_task);
    struct ms_disk_files *files = files_of(d);
    struct ms_error err;

    if (!files) {
        try_again(d);
    } else if (ms_disk_files_check(files, &err) != MS_OK) {
        turn_off(d, files, &err);
    } else {
        ms_disk_files_shrink(files);
        ms_disk_files_age(files);
    }
    ms_disk_files_unref(files);
    free_some_spares(d);
    pthread_mutex_lock(&d->wrap.mutex);
    d->locked.tending = false;
    pthread_mutex_unlock(&d->wrap.mutex);
}

static void on_tick(struct ms_timer *timer) {
    struct ms_disk *d = MS_CONTAINER_OF(timer, struct ms_disk, tick);
    struct ms_disk_turn *saved = NULL;
    bool hung, hangs;

    pthread_mutex_lock(&d->wrap.mutex);
    if (d->locked.closing) {
        pthread_mutex_unlock(&d->wrap.mutex);
        return;
    }
    hung = d->locked.hangs;
    hangs = d->locked.hangs = hangs_locked(d, mono_ns());
    if (hangs)
        saved = rescue_locked(d);
    if (!d->locked.tending) {
        d->locked.tending = true;
        ms_engine_post(d->pool, &d->tend_task);
    }
    ms_engine_after(d->pool, &d->tick, TICK_NS);
    pthread_mutex_unlock(&d->wrap.mutex);
    if (hangs != hung)
        ms_log_event(d->options.log, MS_LOG_WARN, hangs ? "disk_cache_hangs" : "disk_cache_answers",
                     "dir", d->options.dir, NULL);
    go_around(saved);
}

/* ---- the wrapper ----------------------------------------------------------------------------- */

static struct ms_disk *disk_of(struct ms_obj *obj) {
    return MS_CONTAINER_OF(MS_CONTAINER_OF(obj, struct ms_wrap, obj), struct ms_disk, wrap);
}

static void on_deleted(struct ms_wrap_call *call) {
    struct ms_disk *d = MS_CONTAINER_OF(call->wrap, struct ms_disk, wrap);
    const struct ms_obj_request *r = &call->inner;

    /* Also when it failed: the store may have done it. */
    if (r->op == MS_OBJ_DELETE)
        ms_disk_drop(d, &r->key, 1);
    else
        ms_disk_drop(d, r->keys, r->keys_n);
    ms_wrap_end(call);
}

static void disk_submit(struct ms_obj *obj, struct ms_obj_request *request) {
    struct ms_disk *d = disk_of(obj);
    struct ms_wrap_call *call;

    if (request->op == MS_OBJ_GET) {
        ms_disk_get(d, request);
    } else if (request->op == MS_OBJ_DELETE || request->op == MS_OBJ_DELETE_MANY) {
        call = ms_wrap_begin(&d->wrap, request, sizeof *call, on_deleted);
        if (call)
            ms_wrap_down(call);
    } else {
        ms_obj_submit(obj->inner, request);
    }
}

static void disk_cancel(struct ms_obj *obj, struct ms_obj_request *request) {
    if (request->op == MS_OBJ_GET)
        ms_disk_get_cancel(disk_of(obj), request);
    else if (request->op == MS_OBJ_DELETE || request->op == MS_OBJ_DELETE_MANY)
        ms_wrap_cancel(obj, request);
    else
        ms_obj_cancel(obj->inner, request);
}

static void disk_free(struct ms_disk *d) {
    if (d->pool) {
        pthread_mutex_lock(&d->wrap.mutex);
        d->locked.closing = true;
        pthread_mutex_unlock(&d->wrap.mutex);
        (void)ms_engine_cancel(d->pool, &d->tick);
        ms_engine_free(d->pool); /* what was to be written is */
    }
    MS_ASSERT(!d->locked.oldest);
    MS_ASSERT(!d->locked.first);
    ms_disk_files_unref(d->locked.files);
    free_list(d->locked.spare);
    free(d->locked.keys);
    pthread_cond_destroy(&d->idle);
    ms_wrap_fini(&d->wrap);
    free((void *)d->options.dir);
    free(d);
}

static void disk_close(struct ms_obj *obj) { disk_free(disk_of(obj)); }

static const struct ms_obj_ops *disk_ops(void) {
    static const struct ms_obj_ops ops = {"disk", disk_submit, disk_cancel, disk_close};

    return &ops;
}

static enum ms_code start(struct ms_disk *d, struct ms_error *reterr) {
    struct ms_error err;
    enum ms_code code;

    if (!d->options.dir)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a disk cache");
    code = turn_on(d, &err);
    if (is_fatal(code)) {
        if (reterr)
            *reterr = err;
        return code;
    }
    if (code != MS_OK)
        say_off(d, &err);
    MS_TRY(ms_engine_new(POOL_THREADS, &d->pool, reterr));
    ms_engine_after(d->pool, &d->tick, TICK_NS);
    return MS_OK;
}

enum ms_code ms_wrap_disk(const struct ms_disk_options *options, struct ms_obj *inner,
                          struct ms_obj **ret_obj, struct ms_error *reterr) {
    struct ms_disk *d = calloc(1, sizeof *d);
    enum ms_code code;

    if (!d) {
        ms_obj_close(inner);
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a disk cache");
    }
    ms_wrap_init(&d->wrap, disk_ops(), inner);
    pthread_cond_init(&d->idle, NULL);
    d->options = *options;
    d->options.dir = strdup(options->dir);
    d->tick.fire = on_tick;
    d->tend_task.run = tend;
    d->write_task.run = write_all;
    d->locked.last = &d->locked.first;
    code = start(d, reterr);
    if (code != MS_OK) {
        disk_free(d);
        return code;
    }
    *ret_obj = &d->wrap.obj;
    return MS_OK;
}

/* ---- figures --------------------------------------------------------------------------------- */

struct ms_obj *ms_obj_disk_of(struct ms_obj *obj) {
    while (obj && obj->ops != disk_ops())
        obj = obj->inner;
    return obj;
}

void ms_disk_settle(struct ms_obj *disk) {
    struct ms_disk *d = disk_of(disk);

    pthread_mutex_lock(&d->wrap.mutex);
    while (d->locked.writing)
        pthread_cond_wait(&d->idle, &d->wrap.mutex);
    pthread_mutex_unlock(&d->wrap.mutex);
}

void ms_disk_count(struct ms_disk *d, uint64_t hits, uint64_t hit_bytes, uint64_t misses) {
    pthread_mutex_lock(&d->wrap.mutex);
    d->locked.stats.hits += hits;
    d->locked.stats.hit_bytes += hit_bytes;
    d->locked.stats.misses += misses;
    pthread_mutex_unlock(&d->wrap.mutex);
}

void ms_disk_stats(struct ms_obj *disk, struct ms_disk_stats *ret_stats) {
    struct ms_disk *d = disk_of(disk);
    struct ms_disk_files *files = files_of(d);

    pthread_mutex_lock(&d->wrap.mutex);
    *ret_stats = d->locked.stats;
    pthread_mutex_unlock(&d->wrap.mutex);
    ret_stats->on = files != NULL;
    ret_stats->bytes = files ? ms_disk_files_bytes(files) : 0;
    ret_stats->bytes_max = d->options.bytes_max;
    ms_disk_files_unref(files);
}
