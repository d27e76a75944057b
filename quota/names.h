/* names.h — texts numbered in order of first appearance: 0, 1, 2, ...
 *
 * A history names tenants, assets and packages by texts of any length and never uses one twice;
 * with numbers for them, what is known of each stands in plain arrays. Nothing is ever removed.
 *
 * Lifecycle: {0} -> ms_names_add() -> ms_names_fini().   Threads: belongs to its caller.
 */
#ifndef MS_QUOTA_NAMES_H
#define MS_QUOTA_NAMES_H

#include "base/buf.h"

#define MS_NAMES_NONE UINT32_MAX

struct ms_names {
    struct ms_buf texts;
    uint64_t *ends;      /* of each text */
    uint32_t *slots;     /* a hash table of numbers */
    uint32_t n, slots_n; /* slots_n: a power of two, or 0 */
    uint32_t cap;
};
void ms_names_fini(struct ms_names *names);

/* MS_NAMES_NONE when it is not there. */
uint32_t ms_names_find(const struct ms_names *names, struct ms_view text);
/* The number of the text, new or known; it is new when *ret_i == n of before.
 * Errors: MS_NO_MEMORY; MS_RANGE more than 2^30 texts. */
MS_NODISCARD enum ms_code ms_names_add(struct ms_names *names, struct ms_view text, uint32_t *ret_i,
                                       struct ms_error *reterr);
struct ms_view ms_names_text(const struct ms_names *names,
                             uint32_t i); /* until the next one is added */

#endif
