#include "content/arena.h"

#include "base/assert.h"

#include <stdlib.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define HIDE(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define SHOW(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define HIDE(p, n) ((void)(p), (void)(n))
#define SHOW(p, n) ((void)(p), (void)(n))
#endif

#define UNIT_LEAST ((size_t)4096)
#define UNITS_MAX ((uint64_t)1 << 16)
#define ORDERS 32
#define NONE UINT32_MAX
#define HUGE_PAGE ((size_t)2 << 20)

/* A unit; next, prev, order and touched_n count where a free run begins. */
struct unit {
    uint32_t next, prev;
    uint32_t touched_n; /* units of the run */
    uint8_t order;
    bool is_free;
    bool touched; /* every unit's own */
    bool is_new;  /* where a run begins that is taken: some of it was not touched */
};

struct ms_arena {
    uint8_t *mapping, *bytes; /* bytes: aligned to a huge page */
    size_t mapped, unit;
    uint32_t units, used, touched, limit;
    uint32_t first[2][ORDERS]; /* free runs of 2^order units: [1] some of it touched, [0] nothing */
    struct unit info[];
};

static uint32_t count_touched(const struct ms_arena *a, uint32_t at, uint32_t n) {
    uint32_t count = 0;

    for (uint32_t i = 0; i < n; i++)
        count += a->info[at + i].touched;
    return count;
}

static void push(struct ms_arena *a, uint32_t at, unsigned order, uint32_t touched_n) {
    struct unit *u = &a->info[at];
    uint32_t *first = &a->first[touched_n > 0][order];

    *u = (struct unit){.next = *first,
                       .prev = NONE,
                       .touched_n = touched_n,
                       .order = (uint8_t)order,
                       .is_free = true,
                       .touched = u->touched};
    if (u->next != NONE)
        a->info[u->next].prev = at;
    *first = at;
}

static void pull(struct ms_arena *a, uint32_t at) {
    struct unit *u = &a->info[at];

    if (u->prev != NONE)
        a->info[u->prev].next = u->next;
    else
        a->first[u->touched_n > 0][u->order] = u->next;
    if (u->next != NONE)
        a->info[u->next].prev = u->prev;
    u->is_free = false;
}

/* A free run of 2^order units, aligned to that; it joins its buddy as long as that is free. */
static void free_run(struct ms_arena *a, uint32_t at, unsigned order) {
    uint32_t touched_n = count_touched(a, at, UINT32_C(1) << order);

    for (;; order++) {
        uint32_t buddy = at ^ (UINT32_C(1) << order);

        if (order + 1 >= ORDERS || buddy >= a->units || !a->info[buddy].is_free ||
            a->info[buddy].order != order)
            break;
        touched_n += a->info[buddy].touched_n;
        pull(a, buddy);
        at = at < buddy ? at : buddy;
    }
    push(a, at, order, touched_n);
}

/* Any run of units, as the aligned powers of two that it consists of. */
static void free_units(struct ms_arena *a, uint32_t at, uint32_t n) {
    while (n > 0) {
        unsigned order = 0;

        while (order + 1 < ORDERS && (at & ((UINT32_C(2) << order) - 1)) == 0 &&
               UINT32_C(2) << order <= n)
            order++;
        free_run(a, at, order);
        at += UINT32_C(1) << order;
        n -= UINT32_C(1) << order;
    }
}

static uint32_t units_of(const struct ms_arena *a, size_t bytes) {
    return (uint32_t)((bytes + a->unit - 1) / a->unit);
}

static void *address_of(const struct ms_arena *a, uint32_t at) {
    return a->bytes + (size_t)at * a->unit;
}

static uint32_t at_of(const struct ms_arena *a, const void *run) {
    size_t offset = (size_t)((const uint8_t *)run - a->bytes);

    MS_ASSERT(offset % a->unit == 0 && offset / a->unit < a->units);
    return (uint32_t)(offset / a->unit);
}

/* The smallest that is long enough, of the touched ones if there are any. NONE: there is none. */
static uint32_t find(const struct ms_arena *a, unsigned order) {
    for (int touched = 1; touched >= 0; touched--)
        for (unsigned o = order; o < ORDERS; o++)
            if (a->first[touched][o] != NONE)
                return a->first[touched][o];
    return NONE;
}

/* 2^order units of a longer run that was pulled: each time the half of which more is touched. */
static uint32_t narrow(struct ms_arena *a, uint32_t at, unsigned order) {
    uint32_t touched_n = a->info[at].touched_n;

    for (unsigned o = a->info[at].order; o > order; o--) {
        uint32_t half = UINT32_C(1) << (o - 1), low = touched_n;

        if (touched_n == 2 * half)
            low = half;
        else if (touched_n > 0)
            low = count_touched(a, at, half);
        if (low >= touched_n - low) {
            push(a, at + half, o - 1, touched_n - low);
            touched_n = low;
        } else {
            push(a, at, o - 1, low);
            at += half;
            touched_n -= low;
        }
    }
    return at;
}

/* ---- pages ----------------------------------------------------------------------------------- */

bool ms_arena_drop(void *run, size_t bytes) { return madvise(run, bytes, MADV_DONTNEED) == 0; }

static void forget(struct ms_arena *a, uint32_t at, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        a->touched -= a->info[at + i].touched;
        a->info[at + i].touched = false;
    }
}

/* Drop pages of free runs, the short ones first, until n more units may be touched. */
static bool make_touchable(struct ms_arena *a, uint32_t n) {
    for (unsigned order = 0; order < ORDERS && a->touched + n > a->limit; order++)
        while (a->first[1][order] != NONE && a->touched + n > a->limit) {
            uint32_t at = a->first[1][order], units = UINT32_C(1) << order;

            if (!ms_arena_drop(address_of(a, at), units * a->unit))
                return false;
            pull(a, at);
            forget(a, at, units);
            free_run(a, at, order);
        }
    return a->touched + n <= a->limit;
}

static unsigned order_of(uint32_t units) {
    unsigned order = 0;

    while (UINT32_C(1) << order < units)
        order++;
    return order;
}

size_t ms_arena_spare(struct ms_arena *a, void **ret_run) {
    unsigned enough = a->touched > a->limit ? order_of(a->touched - a->limit) : 0;

    for (unsigned order = ORDERS; order-- > 0 && a->touched > a->limit;) {
        uint32_t at = a->first[1][order];

        if (at == NONE)
            continue;
        pull(a, at);
        if (order > enough) {
            at = narrow(a, at, enough);
            order = enough;
        }
        *ret_run = address_of(a, at);
        return ((size_t)1 << order) * a->unit;
    }
    return 0;
}

void ms_arena_give_spare(struct ms_arena *a, void *run, size_t bytes, bool dropped) {
    uint32_t at = at_of(a, run), n = units_of(a, bytes);

    if (dropped)
        forget(a, at, n);
    free_units(a, at, n);
}

void ms_arena_limit(struct ms_arena *a, uint64_t bytes) {
    a->limit = bytes / a->unit < a->units ? (uint32_t)(bytes / a->unit) : a->units;
}

/* ---- use ------------------------------------------------------------------------------------- */

void *ms_arena_take(struct ms_arena *a, size_t bytes) {
    uint32_t n, at, new_n;
    unsigned order;

    MS_ASSERT(bytes > 0);
    if (bytes > (size_t)a->limit * a->unit)
        return NULL;
    n = units_of(a, bytes);
    if (a->used + n > a->limit)
        return NULL;
    order = order_of(n);
    at = find(a, order);
    if (at == NONE)
        return NULL;
    pull(a, at);
    at = narrow(a, at, order);
    free_units(a, at + n, (UINT32_C(1) << order) - n);
    new_n = n - count_touched(a, at, n);
    if (new_n > 0 && !make_touchable(a, new_n)) {
        free_units(a, at, n);
        return NULL;
    }
    a->used += n;
    a->touched += new_n;
    for (uint32_t i = 0; i < n && new_n > 0; i++)
        a->info[at + i].touched = true;
    a->info[at].is_new = new_n > 0;
    SHOW(address_of(a, at), bytes);
    return address_of(a, at);
}

void ms_arena_give(struct ms_arena *a, void *run, size_t bytes) {
    uint32_t at = at_of(a, run), n = units_of(a, bytes);

    MS_ASSERT(n > 0 && n <= a->used && at + n <= a->units);
    HIDE(run, bytes);
    a->used -= n;
    free_units(a, at, n);
}

bool ms_arena_is_new(struct ms_arena *a, const void *run) {
    struct unit *u = &a->info[at_of(a, run)];
    bool is_new = u->is_new;

    u->is_new = false;
    return is_new;
}

void ms_arena_touch(void *run, size_t bytes) {
#ifdef MADV_POPULATE_WRITE
    (void)madvise(run, (bytes + UNIT_LEAST - 1) / UNIT_LEAST * UNIT_LEAST, MADV_POPULATE_WRITE);
#else
    (void)run;
    (void)bytes;
#endif
}

uint64_t ms_arena_used(const struct ms_arena *a) { return (uint64_t)a->used * a->unit; }

uint64_t ms_arena_touched(const struct ms_arena *a) { return (uint64_t)a->touched * a->unit; }

enum ms_code ms_arena_new(uint64_t bytes, struct ms_arena **ret_arena, struct ms_error *reterr) {
    size_t unit = UNIT_LEAST;
    struct ms_arena *a;
    uint32_t units;

    while (bytes / unit > UNITS_MAX)
        unit *= 2;
    units = (uint32_t)(bytes / unit);
    a = calloc(1, sizeof *a + units * sizeof a->info[0]);
    if (!a)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a cache");
    a->unit = unit;
    a->units = a->limit = units;
    a->mapped = units * unit + HUGE_PAGE;
    a->mapping = mmap(NULL, a->mapped, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (a->mapping == MAP_FAILED) {
        free(a);
        return ms_fail_errno(reterr, ENOMEM, "no memory for a cache of %llu bytes",
                             (unsigned long long)bytes);
    }
    a->bytes = (uint8_t *)(((uintptr_t)a->mapping + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
    /* A page that counts for one unit must not come with 511 others. */
    (void)madvise(a->bytes, units * unit, MADV_NOHUGEPAGE);
    HIDE(a->bytes, units * unit);
    for (unsigned i = 0; i < ORDERS; i++)
        a->first[0][i] = a->first[1][i] = NONE;
    free_units(a, 0, units);
    *ret_arena = a;
    return MS_OK;
}

void ms_arena_free(struct ms_arena *a) {
    if (!a)
        return;
    SHOW(a->bytes, (size_t)a->units * a->unit);
    munmap(a->mapping, a->mapped);
    free(a);
}
