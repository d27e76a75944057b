#include "content/slabs.h"

#include "base/assert.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HEAD_BYTES                                                                                 \
    ((size_t)4096) /* before the bytes: the slab's record, so that none needs malloc */
#define STEP_BYTES ((size_t)64 << 10) /* in which high grows */

struct ms_slabs {
    pthread_mutex_t mutex;
    struct {
        uint64_t bytes_max;
        uint64_t touched; /* of all slabs */
        uint64_t used;    /* of those that are held */
        struct ms_slab *free;
        unsigned slabs;
    } locked;
};

struct ms_slabs *ms_slabs_new(uint64_t bytes_max) {
    struct ms_slabs *pool = calloc(1, sizeof *pool);

    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->mutex, NULL);
    pool->locked.bytes_max = bytes_max;
    return pool;
}

void ms_slabs_free(struct ms_slabs *pool) {
    if (!pool)
        return;
    while (pool->locked.free) {
        struct ms_slab *slab = pool->locked.free;

        pool->locked.free = slab->next;
        pool->locked.slabs--;
        munmap(slab->bytes - HEAD_BYTES, HEAD_BYTES + MS_SLAB_BYTES);
    }
    MS_ASSERT(pool->locked.slabs == 0 && pool->locked.used == 0);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

void ms_slabs_limit(struct ms_slabs *pool, uint64_t bytes_max) {
    pthread_mutex_lock(&pool->mutex);
    pool->locked.bytes_max = bytes_max;
    pthread_mutex_unlock(&pool->mutex);
}

/* ---- under the lock -------------------------------------------------------------------------- */

static struct ms_slab *new_slab_locked(struct ms_slabs *pool) {
    struct ms_slab *slab;
    uint8_t *p;

    if (pool->locked.slabs == MS_SLABS_MAX)
        return NULL;
    p = mmap(NULL, HEAD_BYTES + MS_SLAB_BYTES, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    slab = (struct ms_slab *)(void *)p;
    slab->bytes = p + HEAD_BYTES;
    slab->pool = pool;
    pool->locked.slabs++;
    return slab;
}

/* The free one that fits best: of little use, the one with the fewest pages; else the most. */
static struct ms_slab *pop_locked(struct ms_slabs *pool, bool small) {
    struct ms_slab **best = &pool->locked.free, *slab;

    if (!*best)
        return NULL;
    for (struct ms_slab **at = &(*best)->next; *at; at = &(*at)->next)
        if (small ? (*at)->high < (*best)->high : (*at)->high > (*best)->high)
            best = at;
    slab = *best;
    *best = slab->next;
    return slab;
}

/* Pages of free slabs go until so many more may be touched. */
static bool make_room_locked(struct ms_slabs *pool, size_t bytes) {
    struct ms_slab *slab = pool->locked.free;

    for (; slab && pool->locked.touched + bytes > pool->locked.bytes_max; slab = slab->next) {
        if (slab->high == 0 || madvise(slab->bytes, slab->high, MADV_DONTNEED) != 0)
            continue;
        pool->locked.touched -= slab->high;
        slab->high = 0;
    }
    return pool->locked.touched + bytes <= pool->locked.bytes_max;
}

/* ---- use ------------------------------------------------------------------------------------- */

struct ms_slab *ms_slab_take(struct ms_slabs *pool, bool small) {
    struct ms_slab *slab = NULL;

    pthread_mutex_lock(&pool->mutex);
    if (pool->locked.used < pool->locked.bytes_max)
        slab = pop_locked(pool, small); /* what it has touched is counted already */
    if (!slab && make_room_locked(pool, STEP_BYTES))
        slab = new_slab_locked(pool);
    if (slab) {
        atomic_store(&slab->refs, 1);
        slab->may_rest = false;
        pool->locked.used += slab->high;
    }
    pthread_mutex_unlock(&pool->mutex);
    return slab;
}

bool ms_slab_reach(struct ms_slab *slab, size_t end) {
    struct ms_slabs *pool = slab->pool;
    size_t want = (end + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
    bool ok;

    MS_ASSERT(end <= MS_SLAB_BYTES);
    if (want <= slab->high)
        return true;
    pthread_mutex_lock(&pool->mutex);
    ok = make_room_locked(pool, want - slab->high);
    if (ok) {
        pool->locked.touched += want - slab->high;
        pool->locked.used += want - slab->high;
        slab->high = want;
    }
    pthread_mutex_unlock(&pool->mutex);
    return ok;
}

struct ms_slab *ms_slab_ref(struct ms_slab *slab) {
    atomic_fetch_add(&slab->refs, 1);
    return slab;
}

void ms_slab_unref(struct ms_slab *slab) {
    struct ms_slabs *pool;

    if (!slab || atomic_fetch_sub(&slab->refs, 1) != 1)
        return;
    pool = slab->pool;
    pthread_mutex_lock(&pool->mutex);
    pool->locked.used -= slab->high;
    slab->next = pool->locked.free;
    pool->locked.free = slab;
    pthread_mutex_unlock(&pool->mutex);
}

void ms_slab_zero(struct ms_slab *slab, size_t from, size_t to) {
    if (to > slab->high)
        to = slab->high;
    if (from < to)
        memset(slab->bytes + from, 0, to - from);
}

uint64_t ms_slabs_max(struct ms_slabs *pool) {
    uint64_t max;

    pthread_mutex_lock(&pool->mutex);
    max = pool->locked.bytes_max;
    pthread_mutex_unlock(&pool->mutex);
    return max;
}

uint64_t ms_slabs_used(struct ms_slabs *pool) {
    uint64_t used;

    pthread_mutex_lock(&pool->mutex);
    used = pool->locked.used;
    pthread_mutex_unlock(&pool->mutex);
    return used;
}
