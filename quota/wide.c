#include "quota/wide.h"

#include "base/assert.h"

#include <string.h>

struct ms_u128_text ms_u128_text(ms_u128 n) {
    struct ms_u128_text t;
    char *at = t.s + sizeof t.s - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + (int)(n % 10));
        n /= 10;
    } while (n > 0);
    memmove(t.s, at, (size_t)(t.s + sizeof t.s - at));
    return t;
}

ms_u128 ms_round_half_up(ms_u128 numerator, ms_u128 denominator) {
    MS_ASSERT(denominator != 0);
    ms_u128 rest = numerator % denominator;
    return numerator / denominator + (rest >= denominator - rest);
}
