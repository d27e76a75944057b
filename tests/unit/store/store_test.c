#include "store_test.h"

#include <errno.h>
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

int store_test_child_start(int (*fn)(void *arg), void *arg) {
    pid_t pid = fork();

    if (pid == 0)
        _exit(fn(arg));
    return pid;
}

int store_test_child_wait(int pid) {
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1000;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int store_test_child(int (*fn)(void *arg), void *arg) {
    return store_test_child_wait(store_test_child_start(fn, arg));
}
