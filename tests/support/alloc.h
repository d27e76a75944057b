/* alloc.h — the N-th allocation of this thread fails: torture for every "out of memory" branch.
 *
 * Linked by tests that ask for it (LINK ms_test_alloc). malloc, calloc, realloc and what the C
 * library makes of them (strdup, asprintf, fopen) are counted. Under a sanitizer, which has an
 * allocator of its own, nothing fails: the loop below then runs its body once, untouched.
 *
 *   for (unsigned n = 1; n == 1 || ms_test_alloc_failed(); n++) {
 *       ms_test_alloc_fail_at(n);
 *       code = ms_x_do(..., &test_err);
 *       if (ms_test_alloc_stop())
 *           ... code is MS_NO_MEMORY, or the call did without; nothing was changed, nothing leaks
 *   }
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
/* Whether this build can refuse any. */
bool ms_test_alloc_works(void);

#endif
