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
/* Records "k000" to "k<n-1>" with the value "x", in one operation. */
enum ms_code store_test_put_many(struct ms_store *store, unsigned n, struct ms_error *reterr);
char *store_test_get(struct ms_store *store, const char *key);
/* The records from "k" on, as "k1=v1 k2=v2", on the heap. */
char *store_test_dump(struct ms_store *store, bool backwards);

/* Other processes: the test program itself, started anew (a child of a process with a store must exec). What it runs
 * is named in a table that main() gives to store_test_main(). */
struct store_test_child {
    const char *name;
    int (*fn)(struct ms_store_options *options, unsigned place, unsigned n); /* its result is the exit status */
};
/* In main(): true when this is such a child, with its exit status. */
bool store_test_main(int argc, char **argv, const struct store_test_child *children, int *ret_status);
/* Start one on the same folder with the same map sizes; the clock and randomness are the machine's. */
int store_test_start(const struct store_test *t, const char *name, unsigned place, unsigned n);
/* Its exit status, or -signal. */
int store_test_wait(int pid);
int store_test_run(const struct store_test *t, const char *name, unsigned place, unsigned n);

/* Wait until a file "<dir>/<name>" is there; false after a minute. make_flag() makes it. */
bool store_test_await_flag(const char *store_dir, const char *name);
void store_test_make_flag(const char *store_dir, const char *name);

#endif
