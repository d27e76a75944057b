#include "quota/wide.h"

#include "base/assert.h"

#include <string.h>

/* 18 digits at a time: dividing 128 bits is slow, and a bill prints a dozen numbers a line. */
struct ms_u128_text ms_u128_text(ms_u128 n) {
    const uint64_t chunk = UINT64_C(1000000000000000000);
    struct ms_u128_text t;
    char *at = t.s + sizeof t.s - 1;
    *at = '\0';
    while (n > 0 || *at == '\0') {
        uint64_t low = (uint64_t)(n > UINT64_MAX ? n % chunk : (uint64_t)n % chunk);
        n = n > UINT64_MAX ? n / chunk : (uint64_t)n / chunk;
        for (unsigned i = 0; i < 18 && (low > 0 || n > 0 || i == 0); i++, low /= 10)
            *--at = (char)('0' + (int)(low % 10));
    }
    memmove(t.s, at, (size_t)(t.s + sizeof t.s - at));
    return t;
}

ms_u128 ms_round_half_up(ms_u128 numerator, ms_u128 denominator) {
    MS_ASSERT(denominator != 0);
    ms_u128 rest = numerator % denominator;
    return numerator / denominator + (rest >= denominator - rest);
}
