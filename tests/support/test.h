/* test.h — what every unit test includes first: cmocka in the order it needs, and a few helpers.
 *
 * A failed assertion jumps out of the test and skips cleanup handlers, so resources live in
 * fixtures. Assertions are for the main thread only: other threads count what went wrong and the
 * main thread asserts the count.
 */
#ifndef MS_TESTS_SUPPORT_TEST_H
#define MS_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/random.h"

/* Where a call under assert_ok() or assert_code() leaves its error: assert_ok(ms_x(y, &test_err)).
 */
static MS_UNUSED struct ms_error test_err;

/* The call returns MS_OK, or its code and message are printed. */
#define assert_ok(call) assert_code(call, MS_OK)

/* The call returns that code; a failure also has a message, unless it was not asked for one. */
#define assert_code(call, want)                                                                    \
    do {                                                                                           \
        test_err = (struct ms_error){0};                                                           \
        ms_test_check_code((call), (want), &test_err, #call, __FILE__, __LINE__);                  \
    } while (0)

void ms_test_check_code(enum ms_code got, enum ms_code want, const struct ms_error *err,
                        const char *call, const char *file, int line);

/* A new empty folder below $TMPDIR or /tmp; to be given to ms_test_tmpdir_remove(). Fails the test.
 */
char *ms_test_tmpdir_new(void);
/* Remove it with everything in it and free the path; NULL is nothing. */
void ms_test_tmpdir_remove(char *path);
/* "dir/name" on the heap. */
char *ms_test_path(const char *dir, const char *name);

/* A whole file: written anew; read with a NUL behind it (*ret_len may be NULL), to be freed. */
void ms_test_write_file(const char *path, const void *bytes, size_t len);
char *ms_test_read_file(const char *path, size_t *ret_len);

/* MS_TEST_SEED when it is set, else a random seed; printed either way so that a run can be
 * repeated. */
uint64_t ms_test_seed(void);

/* MS_TEST_ROUNDS when set, else usual, or a few of it where a sanitizer makes each round dear: for
 * loops whose length is a matter of patience. At least 1. */
unsigned ms_test_rounds(unsigned usual);

#endif
