/* wide.h — unsigned 128-bit integers: byte-milliseconds of a month and micros of money pass 64
 * bits.
 *
 * Ranges are stated where numbers come from (a tenant's bytes are below 2^63, a month has fewer
 * than 2^32 milliseconds, a price fewer than 2^60 nanos), so that products are known to fit.
 *
 * Threads: pure.
 */
#ifndef MS_QUOTA_WIDE_H
#define MS_QUOTA_WIDE_H

#include "base/scope.h"

#include <stdint.h>

typedef unsigned __int128 ms_u128;

/* For messages and output: decimal text with the life of the full expression. */
struct ms_u128_text {
    char s[40];
};
struct ms_u128_text ms_u128_text(ms_u128 n);

/* THE rounding rule of the bill, and the only place where it rounds: half up, which is away from
 * zero, as nothing here is negative.   denominator  not 0; any numerator, nothing overflows. */
ms_u128 ms_round_half_up(ms_u128 numerator, ms_u128 denominator);

#endif
