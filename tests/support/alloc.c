#include "support/alloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

static _Thread_local struct {
    unsigned left; /* allocations until the refused one; 0: not counting */
    bool failed;
} count;

static atomic_bool starving;
static _Thread_local bool fed;

void ms_test_alloc_starve_others(bool on) {
    fed = on;
    atomic_store(&starving, on);
}

void ms_test_alloc_fail_at(unsigned n) {
    count.failed = false;
    count.left = n;
}

bool ms_test_alloc_stop(void) {
    count.left = 0;
    return count.failed;
}

bool ms_test_alloc_failed(void) { return count.failed; }

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)

bool ms_test_alloc_works(void) { return false; }

#else

bool ms_test_alloc_works(void) { return true; }

/* glibc's own, under the names that it keeps for programs which replace the public ones. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);

static bool refused(void) {
    if (atomic_load_explicit(&starving, memory_order_relaxed) && !fed) {
        errno = ENOMEM;
        return true;
    }
    if (count.left == 0 || --count.left > 0)
        return false;
    count.failed = true;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t n) { return refused() ? NULL : __libc_malloc(n); }
void *calloc(size_t members, size_t n) { return refused() ? NULL : __libc_calloc(members, n); }
void *realloc(void *p, size_t n) { return refused() ? NULL : __libc_realloc(p, n); }

#endif
