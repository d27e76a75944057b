/* budget.h — one limit for the memory of file data: what readers keep and what writers stage.
 *
 * Two limits beside each other would add up: a mount that has read a lot and then writes would hold
 * both. Here staged bytes come first, because a writer that finds no memory goes by way of the disk:
 * what the slabs are granted comes off what the cache may hold, and is granted only when the cache has
 * dropped it, pages and all. When the cache finds no room, slabs that lay idle give their pages back
 * (content/slabs.h says when). So at any instant
 *
 *   memory that the cache has touched + memory that the slabs have touched <= bytes_max
 *
 * The slabs get MS_STAGE_MEMORY_BYTES or half of the budget, whichever is less; so the cache keeps at
 * least the rest, and reads go on whatever is being written.
 *
 * Outside of it: bookkeeping, stacks, what transfers and the kernel's requests need (bounded by their
 * numbers: object/s3_http.h, fuse/mount.c), and the metadata store's pages, which are the system's.
 *
 * Threads: any. Its lock is taken before that of the slabs and that of the cache, so neither calls it
 * with its own lock held. Lifecycle: new, then cache and slabs join before their first use; they
 * leave it when they are freed; then free.
 */
#ifndef MS_CONTENT_BUDGET_H
#define MS_CONTENT_BUDGET_H

#include "base/error.h"

#include <stdint.h>

struct ms_budget;
struct ms_cache;
struct ms_slabs;

/* bytes_max > 0. Errors: MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_budget_new(uint64_t bytes_max, struct ms_budget **ret_budget,
                                        struct ms_error *reterr);
void ms_budget_free(struct ms_budget *budget); /* needs: both have left. NULL is fine */
/* One of each. The cache's own limit is the budget's; the slabs' becomes their share. */
void ms_budget_add_cache(struct ms_budget *budget, struct ms_cache *cache);
void ms_budget_add_slabs(struct ms_budget *budget, struct ms_slabs *slabs);
void ms_budget_remove_cache(struct ms_budget *budget);
void ms_budget_remove_slabs(struct ms_budget *budget);

/* For the slabs: up to so many bytes more. Returns how many were granted; 0: they have their share, or
 * what the cache holds is in use. Cost: that of dropping these pages. */
uint64_t ms_budget_take(struct ms_budget *budget, uint64_t bytes);
/* For the cache: have what the slabs can spare. */
void ms_budget_wish(struct ms_budget *budget, int64_t now_ns);

struct ms_budget_stats {
    uint64_t bytes_max, staged_max;
    uint64_t granted;       /* to the slabs */
    uint64_t cache, staged; /* touched */
};
void ms_budget_stats(struct ms_budget *budget, struct ms_budget_stats *ret_stats);

#endif
