/* store.c — open and close, and the figures of a store. */
#include "store/internal.h"

#include "base/assert.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAP_BYTES ((uint64_t)64 << 30)
#define MAP_BYTES_MAX ((uint64_t)1 << 40)
#define READERS_MAX 512
#define FEED_ROWS_MAX 16384
#define FEED_AGE_MS (10 * MS_MINUTE_MS)

/* The data file shrank or cannot be read: whatever was half read must not be used. */
static void on_sigbus(int sig) {
    static const char text[] =
        "msasset: SIGBUS: a mapped file was truncated or cannot be read; stopping at once "
        "(exit 70). Check the disk and run fsck.\n";

    (void)sig;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(70);
    _exit(70);
}

static void catch_sigbus(void) {
    struct sigaction sa = {.sa_handler = on_sigbus};

    sigemptyset(&sa.sa_mask);
    sigaction(SIGBUS, &sa, NULL);
}

static void set_defaults(struct ms_store_options *o) {
    if (o->map_bytes == 0)
        o->map_bytes = MAP_BYTES;
    if (o->map_bytes_max == 0)
        o->map_bytes_max = MAP_BYTES_MAX;
    if (o->map_bytes_max < o->map_bytes)
        o->map_bytes_max = o->map_bytes;
    if (o->readers_max == 0)
        o->readers_max = READERS_MAX;
    if (o->feed_rows_max == 0)
        o->feed_rows_max = FEED_ROWS_MAX;
    if (o->feed_age_ms == 0)
        o->feed_age_ms = FEED_AGE_MS;
}

static enum ms_code store_new(const struct ms_store_options *options, struct ms_store **ret_store,
                              struct ms_error *reterr) {
    struct ms_store *s = calloc(1, sizeof *s);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (s) {
        s->options = *options;
        s->dir = strdup(options->dir);
        s->label = strdup(options->label ? options->label : "");
        s->dir_fd = s->run_fd = s->run_file = -1;
        pthread_mutex_init(&s->map_mutex, NULL);
        pthread_mutex_init(&s->threads.mutex, NULL);
        pthread_mutex_init(&s->answered.mutex, NULL);
        pthread_cond_init(&s->threads.grown, NULL);
        s->has_key = pthread_key_create(&s->thread_key, ms_store_thread_gone) == 0;
        s->same_process = page;
    }
    if (!s || !s->dir || !s->label || !s->has_key || page == MAP_FAILED ||
        madvise(page, 4096, MADV_WIPEONFORK) != 0) {
        if (s)
            ms_store_close(s);
        else if (page != MAP_FAILED)
            munmap(page, 4096);
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for opening %s", options->dir);
    }
    *(uint32_t *)page = 1;
    set_defaults(&s->options);
    s->options.dir = s->dir;
    s->options.label = s->label;
    *ret_store = s;
    return MS_OK;
}

static enum ms_code open_env(struct ms_store *store, struct ms_error *reterr) {
    char *path = NULL;
    enum ms_code code;
    int dead;

    if (asprintf(&path, "%s/meta", store->dir) < 0)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for opening %s", store->dir);
    code = ms_store_env_open(store, path, store->options.read_only, reterr);
    free(path);
    if (code == MS_OK)
        mdb_reader_check(store->env, &dead); /* slots of processes that were killed */
    return code;
}

/* Under the lock on the folder. */
static enum ms_code open_locked(struct ms_store *store, struct ms_error *reterr) {
    enum ms_code code = ms_process_begin(store, reterr);

    if (store->options.read_only && (code == MS_READ_ONLY || code == MS_DENIED))
        code = MS_OK; /* a copy on a read-only disk: nobody writes there */
    if (code == MS_OK && !store->options.read_only)
        code = ms_folder_reserve(store, reterr);
    if (code == MS_OK)
        code = open_env(store, reterr);
    if (code == MS_OK)
        code = ms_store_header_check(store, reterr);
    if (code != MS_OK || store->options.read_only)
        return code;
    ms_process_sweep(store);
    code = ms_page_open(store, reterr);
    if (code == MS_OK)
        ms_page_claim(store);
    return code;
}

static enum ms_code nothing_op(struct ms_txn *txn, const void *in, void *out,
                               struct ms_error *reterr) {
    (void)txn, (void)in, (void)out, (void)reterr;
    return MS_OK;
}

/* The first batch of a process registers it. On a full disk reads must still be possible, and deletes may be: then
 * the first write that succeeds registers. */
static enum ms_code register_now(struct ms_store *store, struct ms_error *reterr) {
    struct ms_error err = {0};
    enum ms_code code =
        ms_store_write(store, &(struct ms_write){.fn = nothing_op, .frees = true}, &err);

    if (code == MS_NO_SPACE) {
        ms_log_failure(store->options.log, MS_LOG_WARN, "store.register", &err, (char *)NULL);
        return MS_OK;
    }
    return code == MS_OK ? MS_OK : ms_fail(reterr, code, "%s", err.message);
}

enum ms_code ms_store_open(const struct ms_store_options *options, struct ms_store **ret_store,
                           struct ms_error *reterr) {
    struct ms_store *store = NULL;
    struct ms_error err = {0};
    enum ms_code code;

    MS_ASSERT(options->dir && options->clock && options->random);
    code = store_new(options, &store, reterr);
    if (code != MS_OK)
        return code;
    catch_sigbus();
    store->instance = ms_instance_id_new(options->random);
    store->started = ms_clock_now(options->clock);
    code = ms_folder_open(store, &err);
    if (code == MS_OK) {
        code = open_locked(store, &err);
        ms_folder_unlock(store->dir_fd);
    }
    if (code == MS_OK && !options->read_only)
        code = ms_writer_start(store, &err);
    if (code == MS_OK && !options->read_only)
        code = register_now(store, &err);
    if (code != MS_OK) {
        ms_store_close(store);
        return ms_fail(reterr, code, "%s", err.message);
    }
    *ret_store = store;
    return MS_OK;
}

void ms_store_stay_registered(struct ms_store *store) { atomic_store(&store->stays, 1); }

static void close_env(struct ms_store *store) {
    bool locked;

    if (!store->env)
        return;
    locked = store->dir_fd >= 0 && ms_folder_lock(store->dir, store->dir_fd, NULL) == MS_OK;
    mdb_env_close(store->env);
    if (locked)
        ms_folder_unlock(store->dir_fd);
}

void ms_store_close(struct ms_store *store) {
    if (!store)
        return;
    MS_ASSERT(atomic_load(&store->followers) == 0);
    if (store->queue.started && atomic_load(&store->fence) != 0 && !atomic_load(&store->stays) &&
        ms_process_leave(store, NULL) != MS_OK)
        ms_log_event(store->options.log, MS_LOG_DEBUG, "store.left_registered", "dir", store->dir,
                     (char *)NULL);
    ms_writer_stop(store);
    if (store->has_key)
        pthread_key_delete(store->thread_key);
    ms_store_threads_fini(store);
    ms_page_close(store);
    close_env(store);
    ms_process_end(store);
    if (store->dir_fd >= 0)
        close(store->dir_fd);
    if (store->same_process && store->same_process != MAP_FAILED)
        munmap((void *)(uintptr_t)store->same_process, 4096);
    pthread_cond_destroy(&store->threads.grown);
    pthread_mutex_destroy(&store->threads.mutex);
    pthread_mutex_destroy(&store->answered.mutex);
    pthread_mutex_destroy(&store->map_mutex);
    free(store->label);
    free(store->dir);
    free(store);
}

struct ms_instance_id ms_store_instance(const struct ms_store *store) {
    return store->instance;
}
struct ms_id ms_store_id(const struct ms_store *store) {
    return store->id;
}
uint64_t ms_store_fence(const struct ms_store *store) { return atomic_load(&store->fence); }

void ms_store_stats(struct ms_store *store, struct ms_store_stats *ret_stats) {
    struct ms_store_stats s = {0};
    struct ms_txn *txn;
    MDB_envinfo info;
    MDB_stat stat;

    s.commits = atomic_load(&store->commits);
    s.operations = atomic_load(&store->operations);
    s.batches_taken_apart = atomic_load(&store->taken_apart);
    s.batches_run_again = atomic_load(&store->run_again);
    s.map_grown = atomic_load(&store->map_grown);
    if (ms_read_begin(store, &txn, NULL) ==
        MS_OK) { /* while a read is open, the map stays where it is */
        if (mdb_env_info(store->env, &info) == 0 && mdb_env_stat(store->env, &stat) == 0) {
            s.map_bytes = info.me_mapsize;
            s.used_bytes = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
            s.entries = stat.ms_entries;
            s.readers = info.me_numreaders;
            s.readers_max = info.me_maxreaders;
        }
        ms_read_end(txn);
    }
    *ret_stats = s;
}
