#include "store_test.h"

#include <errno.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int store_test_setup_folder(void **state) {
    struct store_test *t = calloc(1, sizeof *t);

    t->dir = ms_test_tmpdir_new();
    t->store_dir = ms_test_path(t->dir, "s");
    ms_clock_fake_init(&t->clock, ms_instant_of(INT64_C(1767225600000)));
    ms_random_seeded_init(&t->random, (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)t);
    t->options = (struct ms_store_options){
        .dir = t->store_dir,
        .clock = &t->clock.clock,
        .random = &t->random.random,
        .map_bytes = (uint64_t)64 << 20,
        .map_bytes_max = (uint64_t)1 << 30,
        .create = true,
        .label = "test",
    };
    *state = t;
    return 0;
}

int store_test_setup(void **state) {
    store_test_setup_folder(state);
    store_test_open(*state);
    return 0;
}

int store_test_teardown(void **state) {
    struct store_test *t = *state;

    ms_store_close(t->store);
    ms_random_seeded_fini(&t->random);
    free(t->store_dir);
    ms_test_tmpdir_remove(t->dir);
    free(t);
    return 0;
}

void store_test_open(struct store_test *t) { assert_ok(ms_store_open(&t->options, &t->store, &test_err)); }

void store_test_close(struct store_test *t) {
    ms_store_close(t->store);
    t->store = NULL;
}

struct pair {
    const char *key, *value;
};

static enum ms_code put_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct pair *p = in;

    (void)out;
    return ms_txn_put(txn, ms_view_str(p->key), ms_view_str(p->value), reterr);
}

static enum ms_code del_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct pair *p = in;

    (void)out;
    return ms_txn_del(txn, ms_view_str(p->key), reterr);
}

enum ms_code store_test_put(struct ms_store *store, const char *key, const char *value, struct ms_error *reterr) {
    struct pair p = {key, value};

    return ms_store_write(store, &(struct ms_write){.fn = put_op, .in = &p}, reterr);
}

static enum ms_code put_many_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const unsigned *n = in;
    enum ms_code code = MS_OK;

    (void)out;
    for (unsigned i = 0; i < *n && code == MS_OK; i++) {
        char key[16];

        snprintf(key, sizeof key, "k%03u", i);
        code = ms_txn_put(txn, ms_view_str(key), ms_view_str("x"), reterr);
    }
    return code;
}

enum ms_code store_test_put_many(struct ms_store *store, unsigned n, struct ms_error *reterr) {
    return ms_store_write(store, &(struct ms_write){.fn = put_many_op, .in = &n}, reterr);
}

enum ms_code store_test_del(struct ms_store *store, const char *key, struct ms_error *reterr) {
    struct pair p = {key, NULL};

    return ms_store_write(store, &(struct ms_write){.fn = del_op, .in = &p, .frees = true}, reterr);
}

char *store_test_get(struct ms_store *store, const char *key) {
    struct ms_txn *txn = NULL;
    struct ms_view v;
    char *text = NULL;
    enum ms_code code;

    if (ms_read_begin(store, &txn, NULL) != MS_OK)
        return NULL;
    code = ms_txn_get(txn, ms_view_str(key), &v, NULL);
    if (code == MS_OK)
        text = strndup(v.p, v.n);
    ms_read_end(txn);
    return text;
}

char *store_test_dump(struct ms_store *store, bool backwards) {
    struct ms_view key, value;
    struct ms_txn *txn = NULL;
    struct ms_scan scan;
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    if (ms_read_begin(store, &txn, NULL) == MS_OK) {
        ms_scan_prefix(&scan, txn, ms_view_str("k"));
        if (backwards)
            ms_scan_backwards(&scan);
        while (ms_scan_next(&scan, &key, &value, NULL) == MS_OK)
            fprintf(f, "%s%.*s=%.*s", ftell(f) ? " " : "", (int)key.n, (const char *)key.p, (int)value.n,
                    (const char *)value.p);
        ms_scan_end(&scan);
        ms_read_end(txn);
    }
    fclose(f);
    return text;
}

bool store_test_main(int argc, char **argv, const struct store_test_child *children, int *ret_status) {
    struct ms_store_options o = {.clock = ms_clock_system(), .random = ms_random_system(), .label = "child"};

    if (argc != 7)
        return false;
    o.dir = argv[2];
    o.map_bytes = strtoull(argv[3], NULL, 10);
    o.map_bytes_max = strtoull(argv[4], NULL, 10);
    o.create = true;
    for (; children->name; children++)
        if (strcmp(children->name, argv[1]) == 0) {
            *ret_status = children->fn(&o, (unsigned)strtoul(argv[5], NULL, 10), (unsigned)strtoul(argv[6], NULL, 10));
            return true;
        }
    *ret_status = 99;
    return true;
}

int store_test_start(const struct store_test *t, const char *name, unsigned place, unsigned n) {
    char map[24], max[24], place_text[16], n_text[16];
    char program[] = "store-test-child";
    char *argv[] = {program, (char *)(uintptr_t)name, t->store_dir, map, max, place_text, n_text, NULL};
    pid_t pid;

    snprintf(map, sizeof map, "%" PRIu64, t->options.map_bytes);
    snprintf(max, sizeof max, "%" PRIu64, t->options.map_bytes_max);
    snprintf(place_text, sizeof place_text, "%u", place);
    snprintf(n_text, sizeof n_text, "%u", n);
    if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) != 0)
        return -1;
    return pid;
}

int store_test_wait(int pid) {
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1000;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int store_test_run(const struct store_test *t, const char *name, unsigned place, unsigned n) {
    return store_test_wait(store_test_start(t, name, place, n));
}

bool store_test_await_flag(const char *store_dir, const char *name) {
    char path[4096];

    snprintf(path, sizeof path, "%s.%s", store_dir, name);
    for (unsigned i = 0; i < 60000; i++) {
        if (access(path, F_OK) == 0)
            return true;
        ms_clock_sleep_ns(1000000);
    }
    return false;
}

void store_test_make_flag(const char *store_dir, const char *name) {
    char path[4096];

    snprintf(path, sizeof path, "%s.%s", store_dir, name);
    ms_test_write_file(path, "", 0);
}
