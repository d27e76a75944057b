#include "content/budget.h"

#include "base/assert.h"
#include "content/reader.h"
#include "content/slabs.h"
#include "content/stage.h"

#include <pthread.h>
#include <stdlib.h>

struct ms_budget {
    uint64_t bytes_max, staged_max;
    pthread_mutex_t mutex;
    struct {
        struct ms_cache *cache;
        struct ms_slabs *slabs;
        uint64_t granted; /* <= staged_max */
    } locked;
};

enum ms_code ms_budget_new(uint64_t bytes_max, struct ms_budget **ret_budget,
                           struct ms_error *reterr) {
    struct ms_budget *b = calloc(1, sizeof *b);

    MS_ASSERT(bytes_max > 0);
    if (!b)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to keep account of memory");
    b->bytes_max = bytes_max;
    b->staged_max = bytes_max / 2 < MS_STAGE_MEMORY_BYTES ? bytes_max / 2 : MS_STAGE_MEMORY_BYTES;
    pthread_mutex_init(&b->mutex, NULL);
    *ret_budget = b;
    return MS_OK;
}

void ms_budget_free(struct ms_budget *b) {
    if (!b)
        return;
    MS_ASSERT(!b->locked.cache && !b->locked.slabs);
    pthread_mutex_destroy(&b->mutex);
    free(b);
}

void ms_budget_add_cache(struct ms_budget *b, struct ms_cache *cache) {
    ms_cache_join(cache, b, b->bytes_max - b->staged_max);
    pthread_mutex_lock(&b->mutex);
    MS_ASSERT(!b->locked.cache && b->locked.granted == 0);
    b->locked.cache = cache;
    pthread_mutex_unlock(&b->mutex);
}

void ms_budget_add_slabs(struct ms_budget *b, struct ms_slabs *slabs) {
    ms_slabs_join(slabs, b, b->staged_max);
    pthread_mutex_lock(&b->mutex);
    MS_ASSERT(!b->locked.slabs);
    b->locked.slabs = slabs;
    pthread_mutex_unlock(&b->mutex);
}

void ms_budget_remove_cache(struct ms_budget *b) {
    pthread_mutex_lock(&b->mutex);
    b->locked.cache = NULL;
    pthread_mutex_unlock(&b->mutex);
}

void ms_budget_remove_slabs(struct ms_budget *b) {
    pthread_mutex_lock(&b->mutex);
    b->locked.slabs = NULL;
    b->locked.granted = 0;
    pthread_mutex_unlock(&b->mutex);
}

/* Under the lock all the time: whatever is granted or returned, and the limit that goes with it, are
 * one step. */
uint64_t ms_budget_take(struct ms_budget *b, uint64_t bytes) {
    uint64_t granted;

    pthread_mutex_lock(&b->mutex);
    granted = b->locked.granted;
    if (bytes > b->staged_max - granted)
        bytes = b->staged_max - granted;
    /* Refused, the cache keeps the lower limit: what is let go of is not filled again before the slabs
     * ask the next time, or the cache does. */
    if (b->locked.cache && !ms_cache_limit(b->locked.cache, b->bytes_max - granted - bytes))
        bytes = 0;
    b->locked.granted += bytes;
    pthread_mutex_unlock(&b->mutex);
    return bytes;
}

void ms_budget_wish(struct ms_budget *b, int64_t now_ns) {
    pthread_mutex_lock(&b->mutex);
    if (b->locked.slabs)
        b->locked.granted -= ms_slabs_return(b->locked.slabs, now_ns);
    if (b->locked.cache)
        (void)ms_cache_limit(b->locked.cache, b->bytes_max - b->locked.granted);
    pthread_mutex_unlock(&b->mutex);
}

void ms_budget_stats(struct ms_budget *b, struct ms_budget_stats *ret_stats) {
    struct ms_cache_stats cache = {0};

    pthread_mutex_lock(&b->mutex);
    *ret_stats = (struct ms_budget_stats){.bytes_max = b->bytes_max,
                                          .staged_max = b->staged_max,
                                          .granted = b->locked.granted};
    if (b->locked.cache)
        ms_cache_stats(b->locked.cache, &cache);
    if (b->locked.slabs)
        ret_stats->staged = ms_slabs_touched(b->locked.slabs);
    ret_stats->cache = cache.touched;
    pthread_mutex_unlock(&b->mutex);
}
