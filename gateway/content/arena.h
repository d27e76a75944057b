/* arena.h — the memory of a cache: one mapping of fixed size, given out in contiguous runs.
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
/* NULL: there is no run of that length (1 or more bytes). Cost: O(log). */
void *ms_arena_take(struct ms_arena *arena, size_t bytes);
void ms_arena_give(struct ms_arena *arena, void *run, size_t bytes);
/* Whether some of a run that was taken was never used before; and once: its pages are made at one
 * go, without a fault for each (0.8 CPU-seconds per GiB by faults). The second may be called without
 * the lock, by whoever has the run; where the kernel cannot, the faults do it. */
bool ms_arena_is_new(struct ms_arena *arena, const void *run, size_t bytes);
void ms_arena_touch(void *run, size_t bytes);
uint64_t ms_arena_used(const struct ms_arena *arena); /* bytes, in whole units */

#endif
