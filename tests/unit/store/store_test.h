/* store_test.h — a store in a folder of its own, and operations that most tests need. */
#ifndef MS_TESTS_UNIT_STORE_H
#define MS_TESTS_UNIT_STORE_H

#include "support/test.h"

#include "store/internal.h"

#include <stdbool.h>

struct store_test {
    char *dir; /* a temporary folder; the store is made in "<dir>/s" */
    char *store_dir;
    struct ms_clock_fake clock;
    struct ms_random_seeded random;
    struct ms_store_options options;
    struct ms_store *store;
};

/* Fixtures: the folder only, or with an open store. *state is the struct store_test. */
int store_test_setup_folder(void **state);
int store_test_setup(void **state);
int store_test_teardown(void **state);

void store_test_open(struct store_test *t);
void store_test_close(struct store_test *t);

/* One put, delete or get by text. A get gives a copy on the heap, NULL when absent. */
enum ms_code store_test_put(struct ms_store *store, const char *key, const char *value, struct ms_error *reterr);
enum ms_code store_test_del(struct ms_store *store, const char *key, struct ms_error *reterr);
char *store_test_get(struct ms_store *store, const char *key);
/* The records from "k" on, as "k1=v1 k2=v2", on the heap. */
char *store_test_dump(struct ms_store *store, bool backwards);

/* Run fn(arg) in a child that never had a store; its result is the child's exit status, -signal when killed.
 * To be called before the test opens its own. */
int store_test_child(int (*fn)(void *arg), void *arg);
int store_test_child_start(int (*fn)(void *arg), void *arg);
int store_test_child_wait(int pid);

#endif
