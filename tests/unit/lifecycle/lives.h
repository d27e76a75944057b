/* lives.h — every kind of valid life around one instant, and comparison of lives; shared by the
 * tests of lifecycle/. */
#ifndef MS_TESTS_LIFECYCLE_LIVES_H
#define MS_TESTS_LIFECYCLE_LIVES_H

#include "lifecycle/lifecycle.h"

#define NOW INT64_C(1778846400000) /* 2026-05-15T12:00:00.000Z */

#define AT(t) ((struct ms_instant){(t)})

/* Calls each once for every valid combination of resting state, review, holds, bin, what came last,
 * auto-renew, scheduled operations, and deadlines before, at and after NOW. Returns how many. */
uint64_t lives_each(void (*each)(void *priv, const struct ms_life *life), void *priv);

/* The tenant masks worth a cell: never, by each hold and both, lifted, lifted twice. */
struct ms_mask lives_mask(unsigned i);
#define LIVES_MASKS 7
/* To events other than EXPIRE: of the lifted ones only that which ended, and began, near NOW. */
static inline bool lives_mask_matters(unsigned i) { return i != 4 && i != 6; }

bool lives_equal(const struct ms_life *a, const struct ms_life *b);
/* For messages; valid until the next call but three. */
const char *lives_text(const struct ms_life *life);

#endif
