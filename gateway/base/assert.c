#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void ms_assert_failed(const char *expr, const char *file, int line, const char *func) {
    char text[512];
    int n = snprintf(text, sizeof text, "msasset: %s:%d: %s: assertion failed: %s\n", file, line,
                     func, expr);

    if (n > 0) {
        size_t len = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;

        /* The process ends either way: there is nobody to tell that stderr is closed. */
        if (write(STDERR_FILENO, text, len) < 0)
            abort();
    }
    abort();
}
