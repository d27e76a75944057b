/* alloc.h — the N-th allocation of this thread fails: torture for every "out of memory" branch.
 *
 * Linked by tests that ask for it (LINK ms_test_alloc). malloc, calloc, realloc and what the C
 * library makes of them (strdup, asprintf, fopen) are counted. Under a sanitizer, which has an
 * allocator of its own, nothing fails: MS_TEST_TORTURE then runs its call once, untouched.
 */
#ifndef MS_TESTS_SUPPORT_ALLOC_H
#define MS_TESTS_SUPPORT_ALLOC_H

#include <stdbool.h>

/* Count from now on and refuse the n-th allocation (from 1) and no other. */
void ms_test_alloc_fail_at(unsigned n);
/* Stop counting. True when one was refused. */
bool ms_test_alloc_stop(void);
/* Whether the last count refused one. */
bool ms_test_alloc_failed(void);
/* Refuse every allocation of all threads but the caller's, until it is called with false. */
void ms_test_alloc_starve_others(bool on);
/* Whether this build can refuse any. */
bool ms_test_alloc_works(void);

/* Run a call with its n-th allocation refused, for each n: it says so with a message, or does without; what it made
 * is UNDOne before the next. Needs support/test.h. */
#define MS_TEST_TORTURE(call, undo)                                                                \
    for (unsigned n = 1; n == 1 || ms_test_alloc_failed(); n++) {                                  \
        enum ms_code code;                                                                         \
                                                                                                   \
        test_err = (struct ms_error){0};                                                           \
        ms_test_alloc_fail_at(n);                                                                  \
        code = (call);                                                                             \
        if (ms_test_alloc_stop())                                                                  \
            assert_true(code == MS_NO_MEMORY || code == MS_OK);                                    \
        else                                                                                       \
            assert_int_equal(code, MS_OK);                                                         \
        if (code == MS_OK) {                                                                       \
            undo;                                                                                  \
        } else {                                                                                   \
            assert_true(test_err.message[0]);                                                      \
        }                                                                                          \
    }

#endif
