/* slabs.h — memory for staged bytes: pieces of one part's length, reused, under one hard limit.
 *
 * Pages of the kernel's cache are new for each file and cost more to get, to clear and to throw away
 * than the copy into them; a slab that was used before costs the copy only. A slab is an address
 * range of 8 MiB of which the first `high` bytes have been touched: only those count against the
 * limit, so thousands of small files fit. Behind high it reads as zeros; before it, as whatever its
 * last user left.
 *
 * In a budget (content/budget.h) what may be touched is asked for, MS_SLABS_GRANT at a time; what was
 * not needed for MS_SLABS_IDLE_NS goes back when the others want it, and no sooner: a page that comes
 * back costs up to 10 us on a virtual machine, and a writer's slabs are free between two parts.
 *
 * A slab is shared by counting: who holds the only reference may change it, who sees another one
 * must leave the bytes alone (and copy them). Threads: any.
 */
#ifndef MS_CONTENT_SLABS_H
#define MS_CONTENT_SLABS_H

#include "model/limits.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MS_SLAB_BYTES ((size_t)8 << 20)
#define MS_SLABS_MAX 4096 /* address ranges of a pool */
#define MS_SLABS_GRANT ((uint64_t)8 << 20)
#define MS_SLABS_IDLE_NS INT64_C(5000000000)

struct ms_slabs;
struct ms_slab {
    uint8_t *bytes; /* aligned to pages; MS_SLAB_BYTES */
    size_t high;    /* the holder's, under the pool's lock to change */
    atomic_uint refs;
    struct ms_slabs *pool;
    struct ms_slab *next; /* free ones */
    bool may_rest;        /* the holder's: it can go to the disk before others; false when taken */
};

/* NULL: no memory. bytes_max 0: never gives any. */
struct ms_slabs *ms_slabs_new(uint64_t bytes_max);
void ms_slabs_free(struct ms_slabs *pool); /* needs: every slab was given back; NULL is fine */
void ms_slabs_limit(struct ms_slabs *pool, uint64_t bytes_max); /* for those to come */
/* The budget's: ask it for memory from now on; bytes_max is share_max at most. Needs: nothing was taken
 * yet. */
struct ms_budget;
void ms_slabs_join(struct ms_slabs *pool, struct ms_budget *budget, uint64_t share_max);
/* The budget's call, no lock of the pool held: drop the pages of free slabs as far as they lay idle
 * for a whole period, from one such call to the next one that is MS_SLABS_IDLE_NS later. Returns
 * what is no longer granted. */
uint64_t ms_slabs_return(struct ms_slabs *pool, int64_t now_ns);

/* One with a reference; NULL: the limit is reached. small: little of it will be used. */
struct ms_slab *ms_slab_take(struct ms_slabs *pool, bool small);
/* Let the first end bytes be used. Needs: the only reference. False: the limit is reached. */
bool ms_slab_reach(struct ms_slab *slab, size_t end);
struct ms_slab *ms_slab_ref(struct ms_slab *slab);
void ms_slab_unref(struct ms_slab *slab); /* NULL is fine */
static inline bool ms_slab_is_shared(struct ms_slab *slab) {
    return atomic_load_explicit(&slab->refs, memory_order_acquire) > 1;
}
/* Zeros for [from, to), without touching what was never touched. Needs: the only reference. */
void ms_slab_zero(struct ms_slab *slab, size_t from, size_t to);

uint64_t ms_slabs_max(struct ms_slabs *pool);
uint64_t ms_slabs_used(struct ms_slabs *pool);    /* touched bytes of slabs that are held */
uint64_t ms_slabs_touched(struct ms_slabs *pool); /* of all */

#endif
