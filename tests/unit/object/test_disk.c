/* The disk cache around the mem driver: answers against the truth while its files are cut, flipped, put back, removed
 * and held, and its size after each step. */
#include "fake.h"

#include "object/wrap.h"
#include "object/wrap_disk.h"
#include "object/wrap_disk_files.h"
#include "object/wrap_fault.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK MS_DISK_BLOCK
#define MIB ((size_t)1 << 20)
#define CACHE_BYTES (36 * MIB) /* two sets: 128 blocks */

struct rig {
    struct ms_engine *engine;
    struct ms_random_seeded random;
    struct ms_obj *store; /* mem, with a fault wrapper; not closed by the cache */
    struct ms_obj *obj;   /* the cache; NULL: closed */
    struct ms_disk_options options;
    struct ms_log log;
    char *tmp, *dir;
    pthread_mutex_t mutex; /* of what follows */
    char said[4096];
    int err[MS_DISK_BLOCK_WRITE + 1]; /* errno for a call of that kind */
    bool hold[MS_DISK_BLOCK_WRITE + 1];
    unsigned io[MS_DISK_BLOCK_WRITE + 1];
};

/* ---- a store that outlives the caches around it ---- */

struct keep {
    struct ms_obj obj;
};
static void keep_submit(struct ms_obj *obj, struct ms_obj_request *r) { ms_obj_submit(obj->inner, r); }
static void keep_cancel(struct ms_obj *obj, struct ms_obj_request *r) { ms_obj_cancel(obj->inner, r); }
static void keep_close(struct ms_obj *obj) { free(MS_CONTAINER_OF(obj, struct keep, obj)); }

static struct ms_obj *keep_new(struct ms_obj *inner) {
    static const struct ms_obj_ops ops = {"keep", keep_submit, keep_cancel, keep_close};
    struct keep *k = calloc(1, sizeof *k);

    k->obj = *inner;
    k->obj.ops = &ops;
    k->obj.inner = inner;
    return &k->obj;
}

/* ---- rig ---- */

static void on_log(struct ms_log *log, enum ms_log_level level, const char *line) {
    struct rig *rig = log->priv;

    (void)level;
    pthread_mutex_lock(&rig->mutex);
    size_t n = strlen(rig->said);
    snprintf(rig->said + n, sizeof rig->said - n, "%s\n", line);
    pthread_mutex_unlock(&rig->mutex);
}

static unsigned said(struct rig *rig, const char *word) {
    unsigned n = 0;

    pthread_mutex_lock(&rig->mutex);
    for (const char *p = rig->said; (p = strstr(p, word)); p++)
        n++;
    pthread_mutex_unlock(&rig->mutex);
    return n;
}

static void pause_ms(long ms) {
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

static int on_io(void *priv, enum ms_disk_io io) {
    struct rig *rig = priv;
    int err;

    pthread_mutex_lock(&rig->mutex);
    rig->io[io]++;
    while (rig->hold[io]) {
        pthread_mutex_unlock(&rig->mutex);
        pause_ms(5);
        pthread_mutex_lock(&rig->mutex);
    }
    err = rig->err[io];
    pthread_mutex_unlock(&rig->mutex);
    return err;
}

static void fail_io(struct rig *rig, enum ms_disk_io io, int err, bool hold) {
    pthread_mutex_lock(&rig->mutex);
    rig->err[io] = err;
    rig->hold[io] = hold;
    pthread_mutex_unlock(&rig->mutex);
}

static void cache_open(struct rig *rig) {
    assert_ok(ms_wrap_disk(&rig->options, keep_new(rig->store), &rig->obj, &test_err));
}
static void cache_close(struct rig *rig) { ms_obj_close(MS_TAKE(rig->obj)); }

static int rig_new(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct ms_obj_options o = {.url = "mem:", .faults = "", .tries_max = 1, .create = true};

    rig->engine = engine_new(4);
    ms_random_seeded_init(&rig->random, ms_test_seed());
    o.engine = rig->engine;
    o.random = &rig->random.random;
    pthread_mutex_init(&rig->mutex, NULL);
    rig->log = (struct ms_log){.write = on_log, .level = MS_LOG_WARN, .priv = rig};
    rig->tmp = ms_test_tmpdir_new();
    rig->dir = ms_test_path(rig->tmp, "cache");
    rig->options = (struct ms_disk_options){.dir = rig->dir,
                                            .bytes_max = CACHE_BYTES,
                                            .store_id = {{1, 2, 3}},
                                            .log = &rig->log,
                                            .reserve_bytes = MIB,
                                            .retry_ms = 100,
                                            .fault = on_io,
                                            .priv = rig};
    *state = rig;
    if (ms_obj_open(&o, &rig->store, NULL) != MS_OK)
        return 1;
    cache_open(rig);
    return 0;
}

static int rig_free(void **state) {
    struct rig *rig = *state;

    for (unsigned io = 0; io <= MS_DISK_BLOCK_WRITE; io++)
        fail_io(rig, io, 0, false);
    ms_obj_close(rig->obj);
    ms_obj_close(rig->store);
    ms_engine_free(rig->engine);
    ms_random_seeded_fini(&rig->random);
    ms_test_tmpdir_remove(rig->tmp);
    pthread_mutex_destroy(&rig->mutex);
    free(rig->dir);
    free(rig);
    return 0;
}

static uint64_t below(struct rig *rig, uint64_t n) { return ms_random_below(&rig->random.random, n); }

/* ---- objects ---- */

struct object {
    char key[32];
    size_t size;
    uint8_t *bytes;
    bool gone;
};

static struct object object_new(struct rig *rig, unsigned no, size_t size) {
    struct object o = {.size = size, .bytes = malloc(size ? size : 1)};
    struct ms_obj_meta meta = {0};
    struct ms_obj_request put = {.op = MS_OBJ_PUT, .key = o.key, .meta = &meta};

    snprintf(o.key, sizeof o.key, "media/o%u", no);
    ms_random_fill(&rig->random.random, o.bytes, size);
    put.body = (struct ms_obj_body){.memory = ms_view_of(o.bytes, size), .length = size};
    assert_ok(ms_obj_run(rig->obj ? rig->obj : rig->store, &put, &test_err));
    return o;
}

static enum ms_code get(struct rig *rig, const struct object *o, size_t offset, size_t length,
                        bool fresh) {
    uint8_t *into = malloc(length ? length : 1);
    struct ms_obj_request r = {.op = MS_OBJ_GET,
                               .key = o->key,
                               .offset = offset,
                               .length = length,
                               .fresh = fresh,
                               .into = into};
    enum ms_code code = ms_obj_run(rig->obj, &r, &test_err);

    if (code == MS_OK) {
        assert_int_equal(r.ret_n, length);
        assert_int_equal(r.ret_size, o->size);
        assert_memory_equal(into, o->bytes + offset, length);
    }
    free(into);
    return code;
}

static enum ms_code get_all(struct rig *rig, const struct object *o) {
    return get(rig, o, 0, o->size, false);
}

static void settle(struct rig *rig) { ms_disk_settle(rig->obj); }

static void script(struct rig *rig, const char *text) {
    assert_ok(ms_fault_script(ms_obj_fault_of(rig->store), text, &test_err));
}

static uint64_t store_gets(struct rig *rig) {
    return ms_fault_calls(ms_obj_fault_of(rig->store), MS_OBJ_GET);
}

static struct ms_disk_stats stats(struct rig *rig) {
    struct ms_disk_stats s;

    ms_disk_stats(rig->obj, &s);
    return s;
}

/* What the folder takes of the disk, by its files. */
static uint64_t taken(struct rig *rig) {
    static const char *const names[] = {"", "msasset.cache", "index", "blocks"};
    uint64_t bytes = 0;
    struct stat st;

    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++) {
        char *path = ms_test_path(rig->dir, names[i]);

        if (stat(path, &st) == 0)
            bytes += (uint64_t)st.st_blocks * 512;
        free(path);
    }
    return bytes;
}

#define comes(condition)                                                                           \
    do {                                                                                           \
        for (int i_ = 0; !(condition) && i_ < 6000; i_++)                                          \
            pause_ms(10);                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

/* ---- tests ---- */

static void a_second_read_does_not_ask_the_store(void **state) {
    struct rig *rig = *state;
    struct object o = object_new(rig, 1, 5 * MIB + 1234);
    uint64_t gets;

    assert_ok(get_all(rig, &o));
    settle(rig);
    gets = store_gets(rig);
    assert_int_equal(gets, 1);
    assert_ok(get_all(rig, &o));
    assert_ok(get(rig, &o, 3 * BLOCK, 2 * BLOCK, false));
    assert_ok(get(rig, &o, o.size - 100, 100, false));
    assert_ok(get(rig, &o, 1, 2, false));
    assert_ok(get(rig, &o, BLOCK - 7, BLOCK + 14, false));
    assert_int_equal(store_gets(rig), gets);
    assert_int_equal(stats(rig).stored, 21);
    assert_int_equal(stats(rig).corrupt, 0);
    /* The store down: that does not matter. And what is there stays when the process ends. */
    script(rig, "GET:*:fail-before");
    assert_ok(get_all(rig, &o));
    cache_close(rig);
    cache_open(rig);
    assert_ok(get_all(rig, &o));
    assert_int_equal(stats(rig).hits, 21);
    free(o.bytes);
}

static void only_what_is_missing_is_fetched_and_all_at_once(void **state) {
    struct rig *rig = *state;
    struct object o = object_new(rig, 1, 16 * BLOCK);
    struct run runs = {0};

    assert_ok(get(rig, &o, 4 * BLOCK, BLOCK, false));
    assert_ok(get(rig, &o, 9 * BLOCK, 2 * BLOCK, false));
    settle(rig);
    script(rig, "");
    ms_fault_gate(ms_obj_fault_of(rig->store), MS_OBJ_GET, true);
    runs.r = (struct ms_obj_request){
        .op = MS_OBJ_GET, .key = o.key, .length = o.size, .into = malloc(o.size)};
    run_start(&runs, rig->obj);
    ms_fault_wait_held(ms_obj_fault_of(rig->store), 3); /* 0-3, 5-8, 11-15 */
    ms_fault_gate(ms_obj_fault_of(rig->store), MS_OBJ_GET, false);
    assert_int_equal(run_wait(&runs), MS_OK);
    assert_memory_equal(runs.r.into, o.bytes, o.size);
    assert_int_equal(runs.r.ret_n, o.size);
    assert_int_equal(store_gets(rig), 3);
    settle(rig);
    assert_ok(get_all(rig, &o));
    assert_int_equal(store_gets(rig), 3);
    free(runs.r.into);
    free(o.bytes);
}

static void one_failing_piece_fails_the_read(void **state) {
    struct rig *rig = *state;
    struct object o = object_new(rig, 1, 8 * BLOCK);

    assert_ok(get(rig, &o, 4 * BLOCK, BLOCK, false));
    settle(rig);
    script(rig, "GET:2:fail-before=DENIED");
    assert_code(get_all(rig, &o), MS_DENIED);
    assert_ok(get_all(rig, &o));
    /* Beyond the end is the store's to refuse. */
    o.bytes = realloc(o.bytes, 9 * BLOCK);
    assert_int_not_equal(get(rig, &o, 4 * BLOCK, 4 * BLOCK + 1, false), MS_OK);
    settle(rig);
    assert_int_not_equal(get(rig, &o, 0, 8 * BLOCK + 1, false), MS_OK);
    free(o.bytes);
}

static void a_cancelled_read_ends(void **state) {
    struct rig *rig = *state;
    struct object o = object_new(rig, 1, 8 * BLOCK);

    for (int warm = 0; warm < 2; warm++) {
        struct run run = {.r = {.op = MS_OBJ_GET, .key = o.key, .length = o.size}};

        run.r.into = malloc(o.size);
        ms_fault_gate(ms_obj_fault_of(rig->store), MS_OBJ_GET, true);
        run_start(&run, rig->obj);
        ms_fault_wait_held(ms_obj_fault_of(rig->store), warm ? 2 : 1);
        ms_obj_cancel(rig->obj, &run.r);
        assert_int_equal(run_wait(&run), MS_CANCELLED);
        ms_fault_gate(ms_obj_fault_of(rig->store), MS_OBJ_GET, false);
        free(run.r.into);
        assert_ok(get(rig, &o, 4 * BLOCK, BLOCK, false));
        settle(rig);
    }
    free(o.bytes);
}

static void flip(struct rig *rig, const char *name, uint64_t at) {
    char *path = ms_test_path(rig->dir, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte = 0;

    assert_true(fd >= 0);
    assert_true(pread(fd, &byte, 1, (off_t)at) >= 0);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
    free(path);
}

static void wrong_bytes_are_never_served(void **state) {
    struct rig *rig = *state;
    struct object o = object_new(rig, 1, 32 * BLOCK);

    assert_ok(get_all(rig, &o));
    settle(rig);
    for (uint64_t place = 0; place < 2 * MS_DISK_WAYS; place++)
        flip(rig, "blocks", place * BLOCK + below(rig, BLOCK));
    assert_ok(get_all(rig, &o));
    assert_int_equal(stats(rig).corrupt, 32);
    settle(rig);
    assert_ok(get_all(rig, &o)); /* mended */
    assert_int_equal(stats(rig).corrupt, 32);
    assert_int_equal(stats(rig).hits, 32);
    assert_true(stats(rig).on);
    free(o.bytes);
}

static void fresh_goes_to_the_store_and_replaces_what_was_cached(void **state) {
    struct rig *rig = *state;
    struct object o = object_new(rig, 1, 4 * BLOCK);
    uint64_t gets;

    /* The store sends a wrong bit: the cache cannot know, the reader does. */
    script(rig, "GET:1:flip");
    uint8_t *into = malloc(o.size);
    struct ms_obj_request r = {.op = MS_OBJ_GET, .key = o.key, .length = o.size, .into = into};
    assert_ok(ms_obj_run(rig->obj, &r, &test_err));
    assert_memory_not_equal(into, o.bytes, o.size);
    settle(rig);
    gets = store_gets(rig);
    assert_ok(get(rig, &o, 0, o.size, true));
    assert_int_equal(store_gets(rig), gets + 1);
    settle(rig);
    assert_ok(get_all(rig, &o));
    assert_int_equal(store_gets(rig), gets + 1);
    free(into);
    free(o.bytes);
}

static void a_deleted_key_leaves_no_bytes(void **state) {
    struct rig *rig = *state;
    struct object a = object_new(rig, 1, 20 * BLOCK), b = object_new(rig, 2, 20 * BLOCK);
    const char *keys[] = {a.key};
    struct ms_obj_request many = {.op = MS_OBJ_DELETE_MANY, .keys = keys, .keys_n = 1};
    struct ms_obj_request one = {.op = MS_OBJ_DELETE, .key = b.key};
    uint64_t full;

    assert_ok(get_all(rig, &a));
    assert_ok(get_all(rig, &b));
    settle(rig);
    full = taken(rig);
    assert_ok(ms_obj_run(rig->obj, &many, &test_err));
    settle(rig);
    assert_in_range(taken(rig), full - 20 * BLOCK, full - 19 * BLOCK);
    assert_code(get_all(rig, &a), MS_NOT_FOUND);
    assert_ok(get_all(rig, &b));
    assert_int_equal(stats(rig).hits, 20);
    assert_ok(ms_obj_run(rig->obj, &one, &test_err));
    settle(rig);
    assert_code(get_all(rig, &b), MS_NOT_FOUND);
    char *path = ms_test_path(rig->dir, "blocks");
    size_t n;
    char *bytes = ms_test_read_file(path, &n);
    for (size_t i = 0; i < n; i++)
        if (bytes[i])
            fail_msg("a byte of a deleted object is left at %zu", i);
    free(bytes);
    free(path);
    free(a.bytes);
    free(b.bytes);
}

static void a_film_does_not_cost_the_hot_objects(void **state) {
    struct rig *rig = *state;
    struct object hot[10], film = object_new(rig, 99, 80 * MIB); /* 320 blocks: 2.5 times the cache */
    uint64_t before;

    for (unsigned i = 0; i < 10; i++)
        hot[i] = object_new(rig, i, 8 * BLOCK);
    for (int turn = 0; turn < 3; turn++)
        for (unsigned i = 0; i < 10; i++) {
            assert_ok(get_all(rig, &hot[i]));
            settle(rig);
        }
    for (size_t at = 0; at < film.size; at += 8 * BLOCK) {
        assert_ok(get(rig, &film, at, 8 * BLOCK, false));
        settle(rig);
        assert_true(taken(rig) <= CACHE_BYTES);
    }
    before = stats(rig).hits;
    for (unsigned i = 0; i < 10; i++) {
        assert_ok(get_all(rig, &hot[i]));
        free(hot[i].bytes);
    }
    /* 80 hot blocks in 2 sets of 64: all fit unless 64 and more fell into one set (3.6 sigma). */
    assert_in_range(stats(rig).hits - before, 70, 80);
    free(film.bytes);
}

/* ---- trouble ---- */

static void only_one_has_the_folder_and_the_next_takes_over(void **state) {
    struct rig *rig = *state;
    struct object o = object_new(rig, 1, 4 * BLOCK);
    struct ms_obj *first = MS_TAKE(rig->obj);

    cache_open(rig);
    assert_int_equal(said(rig, "disk_cache_off"), 1);
    assert_int_equal(said(rig, "another mount uses the disk cache"), 1);
    assert_false(stats(rig).on);
    assert_ok(get_all(rig, &o));
    pause_ms(1500); /* it has tried again, and said nothing */
    assert_int_equal(said(rig, "disk_cache"), 1);
    ms_obj_close(first);
    comes(stats(rig).on);
    assert_int_equal(said(rig, "disk_cache_on"), 1);
    assert_ok(get_all(rig, &o));
    settle(rig);
    assert_ok(get_all(rig, &o));
    assert_int_equal(stats(rig).hits, 4);
    free(o.bytes);
}

static enum ms_code open_again(struct rig *rig) {
    struct ms_obj *obj = NULL;
    enum ms_code code = ms_wrap_disk(&rig->options, keep_new(rig->store), &obj, &test_err);

    ms_obj_close(obj);
    return code;
}

static void a_folder_of_others_is_refused(void **state) {
    struct rig *rig = *state;
    char *other = ms_test_path(rig->dir, "thesis.txt"), *marker = ms_test_path(rig->dir, "msasset.cache");

    cache_close(rig);
    rig->options.store_id.b[0] = 9;
    assert_code(open_again(rig), MS_FOREIGN);
    assert_non_null(strstr(test_err.message, "another store"));
    rig->options.store_id.b[0] = 1;
    assert_code(open_again(rig), MS_OK);
    ms_test_write_file(other, "x", 1);
    assert_code(open_again(rig), MS_FOREIGN);
    assert_non_null(strstr(test_err.message, "thesis.txt"));
    assert_int_equal(unlink(other), 0);
    ms_test_write_file(marker, "mine", 4);
    assert_code(open_again(rig), MS_FOREIGN);
    ms_test_write_file(marker, "", 0); /* a cut while it was made */
    assert_code(open_again(rig), MS_OK);
    rig->options.bytes_max = MIB;
    assert_code(open_again(rig), MS_RANGE);
    free(other);
    free(marker);
}

static void another_format_is_emptied_and_a_newer_one_refused(void **state) {
    struct rig *rig = *state;
    struct object o = object_new(rig, 1, 8 * BLOCK);
    char *marker = ms_test_path(rig->dir, "msasset.cache");
    size_t n;

    assert_ok(get_all(rig, &o));
    cache_close(rig);
    char *text = ms_test_read_file(marker, &n), *format = strstr(text, "format 1");
    assert_non_null(format);
    format[7] = '0';
    ms_test_write_file(marker, text, n);
    cache_open(rig);
    assert_ok(get_all(rig, &o));
    assert_int_equal(stats(rig).hits, 0);
    cache_close(rig);
    format[7] = '2';
    ms_test_write_file(marker, text, n);
    assert_code(open_again(rig), MS_NEWER_FORMAT);
    free(text);
    free(marker);
    free(o.bytes);
}

static void modes_are_for_the_owner_only(void **state) {
    struct rig *rig = *state;
    static const char *const names[] = {"msasset.cache", "index", "blocks"};
    struct stat st;

    assert_int_equal(stat(rig->dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++) {
        char *path = ms_test_path(rig->dir, names[i]);

        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        free(path);
    }
}

static void a_removed_folder_is_made_again(void **state) {
    struct rig *rig = *state;
    struct object o = object_new(rig, 1, 8 * BLOCK);

    assert_ok(get_all(rig, &o));
    settle(rig);
    ms_test_tmpdir_remove(strdup(rig->dir));
    assert_ok(get_all(rig, &o));
    comes(said(rig, "disk_cache_on") == 1);
    assert_int_equal(said(rig, "disk_cache_off"), 1);
    assert_int_equal(said(rig, "was removed"), 1);
    assert_ok(get_all(rig, &o));
    settle(rig);
    assert_true(taken(rig) >= 8 * BLOCK);
    free(o.bytes);
}

static void a_failing_disk_is_left_alone_for_a_while(void **state) {
    struct rig *rig = *state;
    struct object o = object_new(rig, 1, 16 * BLOCK);
    static const enum ms_disk_io kinds[] = {MS_DISK_INDEX_READ, MS_DISK_INDEX_WRITE,
                                            MS_DISK_BLOCK_READ, MS_DISK_BLOCK_WRITE};

    for (size_t i = 0; i < MS_ARRAY_LEN(kinds); i++) {
        assert_ok(get_all(rig, &o));
        settle(rig);
        unsigned before = said(rig, "disk_cache_off"), back = said(rig, "disk_cache_on");
        fail_io(rig, MS_DISK_OPEN, EIO, false);
        fail_io(rig, kinds[i], EIO, false);
        for (int n = 0; stats(rig).on && n < 100; n++) {
            assert_ok(get(rig, &o, 0, o.size, kinds[i] != MS_DISK_BLOCK_READ));
            settle(rig);
        }
        assert_false(stats(rig).on);
        assert_int_equal(said(rig, "disk_cache_off"), before + 1);
        for (int n = 0; n < 20; n++)
            assert_ok(get_all(rig, &o));
        pause_ms(1200); /* tried again, in vain and in silence */
        assert_int_equal(said(rig, "disk_cache_off"), before + 1);
        fail_io(rig, kinds[i], 0, false);
        fail_io(rig, MS_DISK_OPEN, 0, false);
        comes(said(rig, "disk_cache_on") == back + 1);
    }
    assert_ok(get_all(rig, &o));
    free(o.bytes);
}

static void a_full_disk_stops_the_writing_only(void **state) {
    struct rig *rig = *state;
    struct object a = object_new(rig, 1, 8 * BLOCK), b = object_new(rig, 2, 8 * BLOCK);

    assert_ok(get_all(rig, &a));
    settle(rig);
    fail_io(rig, MS_DISK_BLOCK_WRITE, ENOSPC, false);
    for (int n = 0; n < 10; n++) {
        assert_ok(get_all(rig, &b));
        settle(rig);
    }
    assert_int_equal(said(rig, "disk_cache_full"), 1);
    assert_true(stats(rig).on);
    assert_ok(get_all(rig, &a));
    assert_int_equal(stats(rig).hits, 8);
    free(a.bytes);
    free(b.bytes);
}

static void others_that_fill_the_disk_get_it(void **state) {
    struct rig *rig = *state;
    struct object a = object_new(rig, 1, 40 * BLOCK);

    assert_ok(get_all(rig, &a));
    settle(rig);
    assert_true(taken(rig) >= 40 * BLOCK);
    cache_close(rig);
    rig->options.reserve_bytes = UINT64_C(1) << 60; /* as if nothing were free */
    cache_open(rig);
    comes(taken(rig) < BLOCK);
    assert_ok(get_all(rig, &a));
    settle(rig);
    assert_true(taken(rig) < BLOCK);
    assert_int_equal(said(rig, "disk_cache_full"), 1);
    free(a.bytes);
}

static void a_hanging_disk_is_gone_around(void **state) {
    struct rig *rig = *state;
    struct object o = object_new(rig, 1, 8 * BLOCK), p = object_new(rig, 2, 2 * BLOCK);
    enum { N = 12 };
    struct run run[N] = {0};

    assert_ok(get_all(rig, &o));
    settle(rig);
    fail_io(rig, MS_DISK_BLOCK_READ, 0, true);
    for (int i = 0; i < N; i++) {
        run[i].r = (struct ms_obj_request){.op = MS_OBJ_GET, .key = o.key, .length = BLOCK};
        run[i].r.into = malloc(BLOCK);
        run_start(&run[i], rig->obj);
    }
    comes(said(rig, "disk_cache_hangs") == 1);
    /* Those that wait behind the first ones get their bytes from the store, and so do new ones. */
    comes(store_gets(rig) >= 1 + N - 4);
    assert_ok(get_all(rig, &o));
    assert_ok(get_all(rig, &p));
    fail_io(rig, MS_DISK_BLOCK_READ, 0, false);
    for (int i = 0; i < N; i++) {
        assert_int_equal(run_wait(&run[i]), MS_OK);
        assert_memory_equal(run[i].r.into, o.bytes, BLOCK);
        free(run[i].r.into);
    }
    comes(said(rig, "disk_cache_answers") == 1);
    uint64_t gets = store_gets(rig);
    assert_ok(get_all(rig, &o));
    assert_int_equal(store_gets(rig), gets);
    free(o.bytes);
    free(p.bytes);
}

static void a_slow_disk_delays_no_read(void **state) {
    struct rig *rig = *state;
    struct object o = object_new(rig, 1, 100 * BLOCK);

    fail_io(rig, MS_DISK_BLOCK_WRITE, 0, true);
    assert_ok(get_all(rig, &o)); /* nothing is written, and it comes */
    assert_int_equal(stats(rig).stored, 0);
    assert_in_range(stats(rig).skipped, 100 - 64, 100);
    fail_io(rig, MS_DISK_BLOCK_WRITE, 0, false);
    settle(rig);
    assert_in_range(stats(rig).stored, 63, 64);
    free(o.bytes);
}

static void a_cache_of_another_size_keeps_what_it_can(void **state) {
    struct rig *rig = *state;
    struct object o = object_new(rig, 1, 60 * BLOCK);
    char *blocks = ms_test_path(rig->dir, "blocks");
    struct stat st;

    assert_ok(get_all(rig, &o));
    settle(rig);
    cache_close(rig);
    rig->options.bytes_max = 18 * MIB; /* one set */
    cache_open(rig);
    assert_true(taken(rig) <= 18 * MIB);
    assert_int_equal(stat(blocks, &st), 0);
    assert_int_equal(st.st_size, 64 * BLOCK);
    assert_ok(get_all(rig, &o));
    assert_in_range(stats(rig).hits, 15, 45);
    settle(rig);
    cache_close(rig);
    rig->options.bytes_max = CACHE_BYTES;
    cache_open(rig);
    assert_ok(get_all(rig, &o));
    assert_in_range(stats(rig).hits, 15, 45);
    free(blocks);
    free(o.bytes);
}

/* ---- the model ---- */

enum { OBJECTS = 12 };

struct model {
    struct rig *rig;
    struct object o[OBJECTS];
    char *old_index; /* of some time ago */
    size_t old_index_n;
};

static void put_back_old_index(struct model *m) {
    char *path = ms_test_path(m->rig->dir, "index");

    if (access(path, F_OK) != 0) { /* the folder was removed */
        free(path);
        return;
    }
    if (m->old_index)
        ms_test_write_file(path, m->old_index, m->old_index_n);
    free(m->old_index);
    m->old_index = ms_test_read_file(path, &m->old_index_n);
    free(path);
}

static void harm_files(struct model *m) {
    static const char *const names[] = {"index", "blocks"};
    struct rig *rig = m->rig;
    uint64_t which = below(rig, 2);
    char *path = ms_test_path(rig->dir, names[which]);
    struct stat st;

    if (stat(path, &st) == 0 && st.st_size > 0) {
        if (below(rig, 4) == 0)
            assert_int_equal(truncate(path, (off_t)below(rig, (uint64_t)st.st_size)), 0);
        for (int i = 0; i < 64; i++)
            flip(rig, names[which], below(rig, (uint64_t)st.st_size));
    }
    free(path);
}

static void close_and_open(struct model *m) {
    struct rig *rig = m->rig;

    if (below(rig, 2))
        settle(rig);
    cache_close(rig);
    if (below(rig, 2)) /* a power cut: the index is older than the blocks */
        put_back_old_index(m);
    if (below(rig, 3) == 0)
        harm_files(m);
    rig->options.bytes_max = below(rig, 4) == 0 ? 18 * MIB : CACHE_BYTES;
    cache_open(rig);
}

static void random_get(struct model *m) {
    struct rig *rig = m->rig;
    const struct object *o = &m->o[below(rig, OBJECTS)];
    size_t from = (size_t)below(rig, o->size), n = 1 + (size_t)below(rig, o->size - from);
    enum ms_code code;

    if (below(rig, 4) > 0) { /* as the reader asks */
        from -= from % BLOCK;
        n = (n / BLOCK + 1) * BLOCK;
        n = n < o->size - from ? n : o->size - from;
    }
    code = get(rig, o, from, n, below(rig, 16) == 0);
    if (code != (o->gone ? MS_NOT_FOUND : MS_OK) && !o->gone)
        fail_msg("GET: %s", test_err.message);
}

static void replace_object(struct model *m) {
    struct rig *rig = m->rig;
    uint64_t i = below(rig, OBJECTS);
    struct ms_obj_request r = {.op = MS_OBJ_DELETE, .key = m->o[i].key};

    assert_ok(ms_obj_run(rig->obj, &r, &test_err));
    settle(rig);
    assert_code(get_all(rig, &m->o[i]), MS_NOT_FOUND);
    free(m->o[i].bytes);
    m->o[i] = object_new(rig, 1000 + (unsigned)below(rig, 1000000), 1 + (size_t)below(rig, 6 * MIB));
}

static void step(struct model *m) {
    struct rig *rig = m->rig;
    uint64_t dice = below(rig, 100);

    if (dice < 80)
        random_get(m);
    else if (dice < 85)
        close_and_open(m);
    else if (dice < 90)
        harm_files(m);
    else if (dice < 92 && access(rig->dir, F_OK) == 0)
        ms_test_tmpdir_remove(strdup(rig->dir));
    else if (dice < 95)
        replace_object(m);
    else
        settle(rig);
    assert_true(taken(rig) <= rig->options.bytes_max);
    assert_true(stats(rig).bytes <= rig->options.bytes_max);
}

static void whatever_happens_to_the_files_the_bytes_are_right(void **state) {
    struct model m = {.rig = *state};

    for (unsigned i = 0; i < OBJECTS; i++)
        m.o[i] = object_new(m.rig, i, 1 + (size_t)below(m.rig, 6 * MIB));
    for (unsigned n = ms_test_rounds(800); n > 0; n--)
        step(&m);
    for (unsigned i = 0; i < OBJECTS; i++) {
        assert_ok(get_all(m.rig, &m.o[i]));
        free(m.o[i].bytes);
    }
    free(m.old_index);
}

/* Many at once, while the disk fails now and then. */
static void many_readers_at_once(void **state) {
    struct rig *rig = *state;
    struct object o[4];
    enum { N = 16 };

    for (unsigned i = 0; i < 4; i++)
        o[i] = object_new(rig, i, 60 * BLOCK - 77);
    for (unsigned turn = ms_test_rounds(30); turn > 0; turn--) {
        struct run run[N] = {0};

        fail_io(rig, MS_DISK_BLOCK_WRITE, below(rig, 4) == 0 ? ENOSPC : 0, false);
        fail_io(rig, MS_DISK_BLOCK_READ, below(rig, 8) == 0 ? EIO : 0, false);
        for (int i = 0; i < N; i++) {
            const struct object *x = &o[below(rig, 4)];
            uint64_t from = below(rig, 60) * BLOCK, n = (1 + below(rig, 32)) * BLOCK;

            run[i].r = (struct ms_obj_request){.op = MS_OBJ_GET, .key = x->key, .offset = from};
            run[i].r.length = n < x->size - from ? n : x->size - from;
            run[i].r.into = malloc(run[i].r.length);
            run[i].r.fresh = below(rig, 10) == 0;
            run[i].r.meta = (const void *)x;
            run_start(&run[i], rig->obj);
            if (below(rig, 10) == 0)
                ms_obj_cancel(rig->obj, &run[i].r);
        }
        for (int i = 0; i < N; i++) {
            const struct object *x = (const void *)run[i].r.meta;
            enum ms_code code = run_wait(&run[i]);

            assert_true(code == MS_OK || (code == MS_CANCELLED && run[i].r.cancelled));
            if (code == MS_OK)
                assert_memory_equal(run[i].r.into, x->bytes + run[i].r.offset, run[i].r.length);
            free(run[i].r.into);
        }
        assert_true(taken(rig) <= CACHE_BYTES);
    }
    for (unsigned i = 0; i < 4; i++)
        free(o[i].bytes);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_new, rig_free)
    const struct CMUnitTest tests[] = {
        TEST(a_second_read_does_not_ask_the_store),
        TEST(only_what_is_missing_is_fetched_and_all_at_once),
        TEST(one_failing_piece_fails_the_read),
        TEST(a_cancelled_read_ends),
        TEST(wrong_bytes_are_never_served),
        TEST(fresh_goes_to_the_store_and_replaces_what_was_cached),
        TEST(a_deleted_key_leaves_no_bytes),
        TEST(a_film_does_not_cost_the_hot_objects),
        TEST(only_one_has_the_folder_and_the_next_takes_over),
        TEST(a_folder_of_others_is_refused),
        TEST(another_format_is_emptied_and_a_newer_one_refused),
        TEST(modes_are_for_the_owner_only),
        TEST(a_removed_folder_is_made_again),
        TEST(a_failing_disk_is_left_alone_for_a_while),
        TEST(a_full_disk_stops_the_writing_only),
        TEST(others_that_fill_the_disk_get_it),
        TEST(a_hanging_disk_is_gone_around),
        TEST(a_slow_disk_delays_no_read),
        TEST(a_cache_of_another_size_keeps_what_it_can),
        TEST(whatever_happens_to_the_files_the_bytes_are_right),
        TEST(many_readers_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
