/* arena.h — the memory of a cache: one mapping of fixed size, given out in contiguous runs.
 *
 * A unit counts as touched from when it is first given out until its page is dropped. Neither what
 * is used nor what is touched gets over the limit, which may change while it is in use: see
 * ms_arena_limit(). What was touched is given out before what was not.
 *
 * malloc() is not for this: what 64 readers leave behind in its arenas counts as ours, a large
 * block comes from the kernel each time and is zeroed page by page (0.2 CPU-seconds per GiB), and
 * the sum has no limit. Here the limit is the mapping. Buddies: a run lies in a naturally aligned
 * power of two, its unused end goes back; neighbours join at once.
 *
 * Not thread-safe: under the cache's lock.
 */
#ifndef MS_CONTENT_ARENA_H
#define MS_CONTENT_ARENA_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ms_arena;

/* bytes > 0, rounded down to whole units of at least 4 KiB (more above 256 MiB); fewer than one
 * unit: nothing can be taken. Untouched memory costs nothing. Errors: MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_arena_new(uint64_t bytes, struct ms_arena **ret_arena,
                                       struct ms_error *reterr);
void ms_arena_free(struct ms_arena *arena); /* NULL is fine; what was taken is gone */
/* NULL: there is no run of that length (1 or more bytes) within the limit. Cost: O(log), and a look
 * at each unit of a run of which some was touched; rarely (the touched runs are too short) pages are
 * dropped. */
void *ms_arena_take(struct ms_arena *arena, size_t bytes);
void ms_arena_give(struct ms_arena *arena, void *run, size_t bytes);
/* Whether pages of a run that was taken are not there, asked once for each take; then they are made
 * at one go, without a fault for each (0.8 CPU-seconds per GiB by faults). The second may be called
 * without the lock, by whoever has the run; where the kernel cannot, the faults do it. */
bool ms_arena_is_new(struct ms_arena *arena, const void *run);
void ms_arena_touch(void *run, size_t bytes);
uint64_t ms_arena_used(const struct ms_arena *arena);    /* bytes, in whole units */
uint64_t ms_arena_touched(const struct ms_arena *arena); /* likewise; used and free */

/* How much may be used, and touched, from now on; more than the mapping is the mapping. What is
 * beyond it already stays until it is given back and dropped. */
void ms_arena_limit(struct ms_arena *arena, uint64_t bytes);
/* Memory goes back to the system in three steps, so that the second needs no lock: take out a free
 * run that is touched while there is more than the limit (0: none), drop its pages, put it back. */
size_t ms_arena_spare(struct ms_arena *arena, void **ret_run);
MS_NODISCARD bool ms_arena_drop(void *run, size_t bytes); /* false: the pages stay */
void ms_arena_give_spare(struct ms_arena *arena, void *run, size_t bytes, bool dropped);

#endif
