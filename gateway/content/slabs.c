#include "content/slabs.h"

#include "base/assert.h"
#include "content/budget.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HEAD_BYTES                                                                                 \
    ((size_t)4096) /* before the bytes: the slab's record, so that none needs malloc */
#define STEP_BYTES ((size_t)64 << 10) /* in which high grows */

struct ms_slabs {
    pthread_mutex_t mutex;
    struct ms_budget *budget; /* NULL: bytes_max is all there is to know */
    uint64_t share_max;       /* bytes_max is never more */
    struct {
        uint64_t bytes_max;
        uint64_t granted; /* by the budget */
        uint64_t touched; /* of all slabs */
        uint64_t used;    /* of those that are held */
        uint64_t idle;    /* the least that was touched and free in this period */
        int64_t period_ns; /* when it began; 0: none has */
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
    pool->share_max = UINT64_MAX;
    return pool;
}

void ms_slabs_free(struct ms_slabs *pool) {
    if (!pool)
        return;
    if (pool->budget)
        ms_budget_remove_slabs(pool->budget);
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
    pool->locked.bytes_max = bytes_max < pool->share_max ? bytes_max : pool->share_max;
    pthread_mutex_unlock(&pool->mutex);
}

void ms_slabs_join(struct ms_slabs *pool, struct ms_budget *budget, uint64_t share_max) {
    pthread_mutex_lock(&pool->mutex);
    MS_ASSERT(!pool->budget && pool->locked.touched == 0);
    pool->budget = budget;
    pool->share_max = share_max;
    if (pool->locked.bytes_max > share_max)
        pool->locked.bytes_max = share_max;
    pthread_mutex_unlock(&pool->mutex);
}

/* ---- under the lock -------------------------------------------------------------------------- */

static uint64_t touchable_locked(const struct ms_slabs *pool) {
    return pool->budget && pool->locked.granted < pool->locked.bytes_max ? pool->locked.granted
                                                                         : pool->locked.bytes_max;
}

/* What is free must have been so all the time to count as idle. */
static void note_idle_locked(struct ms_slabs *pool) {
    uint64_t idle = pool->locked.touched - pool->locked.used;

    if (idle < pool->locked.idle)
        pool->locked.idle = idle;
}

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
    uint64_t max = touchable_locked(pool);
    struct ms_slab *slab = pool->locked.free;

    for (; slab && pool->locked.touched + bytes > max; slab = slab->next) {
        if (slab->high == 0 || madvise(slab->bytes, slab->high, MADV_DONTNEED) != 0)
            continue;
        pool->locked.touched -= slab->high;
        slab->high = 0;
    }
    return pool->locked.touched + bytes <= max;
}

/* More of the budget, if need be; the lock is given up meanwhile. Whoever is refused has to do with
 * what there is. */
static void ask_locked(struct ms_slabs *pool, size_t bytes) {
    while (pool->locked.touched + bytes > touchable_locked(pool) &&
           touchable_locked(pool) < pool->locked.bytes_max) {
        uint64_t got;

        pthread_mutex_unlock(&pool->mutex);
        got = ms_budget_take(pool->budget, MS_SLABS_GRANT);
        pthread_mutex_lock(&pool->mutex);
        pool->locked.granted += got;
        if (got == 0)
            return;
    }
}

/* ---- use ------------------------------------------------------------------------------------- */

struct ms_slab *ms_slab_take(struct ms_slabs *pool, bool small) {
    struct ms_slab *slab = NULL;

    pthread_mutex_lock(&pool->mutex);
    if (pool->locked.used < pool->locked.bytes_max)
        slab = pop_locked(pool, small); /* what it has touched is counted already */
    if (!slab) {
        ask_locked(pool, STEP_BYTES);
        slab = make_room_locked(pool, STEP_BYTES) ? new_slab_locked(pool) : NULL;
    }
    if (slab) {
        atomic_store(&slab->refs, 1);
        slab->may_rest = false;
        pool->locked.used += slab->high;
        note_idle_locked(pool);
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
    ask_locked(pool, want - slab->high);
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

/* ---- giving back ----------------------------------------------------------------------------- */

/* Take free slabs out with so many touched bytes, those with most first. */
static struct ms_slab *take_idle_locked(struct ms_slabs *pool, uint64_t bytes) {
    struct ms_slab *list = NULL, *slab;

    while (bytes > 0 && (slab = pop_locked(pool, false)) != NULL) {
        bytes -= slab->high < bytes ? slab->high : bytes;
        slab->next = list;
        list = slab;
    }
    return list;
}

/* Returns the bytes that are no longer touched. The last slab keeps what was not asked for. */
static uint64_t drop_pages(struct ms_slab *list, uint64_t bytes) {
    uint64_t dropped = 0;

    for (; list && dropped < bytes; list = list->next) {
        size_t n = list->high < bytes - dropped ? list->high : (size_t)(bytes - dropped);

        if (madvise(list->bytes + list->high - n, n, MADV_DONTNEED) != 0)
            continue;
        list->high -= n;
        dropped += n;
    }
    return dropped;
}

static void put_back_locked(struct ms_slabs *pool, struct ms_slab *list) {
    while (list) {
        struct ms_slab *next = list->next;

        list->next = pool->locked.free;
        pool->locked.free = list;
        list = next;
    }
}

/* What is granted and will not be needed soon: all but whole grants over what is touched. */
static uint64_t ungrant_locked(struct ms_slabs *pool) {
    uint64_t keep = (pool->locked.touched + MS_SLABS_GRANT - 1) / MS_SLABS_GRANT * MS_SLABS_GRANT,
             back = pool->locked.granted > keep ? pool->locked.granted - keep : 0;

    pool->locked.granted -= back;
    return back;
}

uint64_t ms_slabs_return(struct ms_slabs *pool, int64_t now_ns) {
    struct ms_slab *list;
    uint64_t idle, back;

    pthread_mutex_lock(&pool->mutex);
    if (pool->locked.period_ns && now_ns - pool->locked.period_ns < MS_SLABS_IDLE_NS) {
        pthread_mutex_unlock(&pool->mutex);
        return 0;
    }
    idle = pool->locked.period_ns ? pool->locked.idle / STEP_BYTES * STEP_BYTES : 0;
    list = take_idle_locked(pool, idle);
    pthread_mutex_unlock(&pool->mutex);
    idle = drop_pages(list, idle);
    pthread_mutex_lock(&pool->mutex);
    put_back_locked(pool, list);
    pool->locked.touched -= idle;
    pool->locked.idle = pool->locked.touched - pool->locked.used;
    pool->locked.period_ns = now_ns;
    back = ungrant_locked(pool);
    pthread_mutex_unlock(&pool->mutex);
    return back;
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

uint64_t ms_slabs_touched(struct ms_slabs *pool) {
    uint64_t touched;

    pthread_mutex_lock(&pool->mutex);
    touched = pool->locked.touched;
    pthread_mutex_unlock(&pool->mutex);
    return touched;
}
