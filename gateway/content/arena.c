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

/* A unit; next, prev and order count where a free run begins. */
struct unit {
    uint32_t next, prev;
    uint8_t order;
    bool is_free;
    bool touched; /* every unit's own */
};

struct ms_arena {
    uint8_t *mapping, *bytes; /* bytes: aligned to a huge page */
    size_t mapped, unit;
    uint32_t units, used;
    uint32_t first[ORDERS]; /* free runs of 2^order units */
    struct unit info[];
};

static void push(struct ms_arena *a, uint32_t at, unsigned order) {
    struct unit *u = &a->info[at];

    *u = (struct unit){.next = a->first[order],
                       .prev = NONE,
                       .order = (uint8_t)order,
                       .is_free = true,
                       .touched = u->touched};
    if (u->next != NONE)
        a->info[u->next].prev = at;
    a->first[order] = at;
}

static void pull(struct ms_arena *a, uint32_t at) {
    struct unit *u = &a->info[at];

    if (u->prev != NONE)
        a->info[u->prev].next = u->next;
    else
        a->first[u->order] = u->next;
    if (u->next != NONE)
        a->info[u->next].prev = u->prev;
    u->is_free = false;
}

/* A free run of 2^order units, aligned to that; it joins its buddy as long as that is free. */
static void free_run(struct ms_arena *a, uint32_t at, unsigned order) {
    for (;; order++) {
        uint32_t buddy = at ^ (UINT32_C(1) << order);

        if (order + 1 >= ORDERS || buddy >= a->units || !a->info[buddy].is_free ||
            a->info[buddy].order != order)
            break;
        pull(a, buddy);
        at = at < buddy ? at : buddy;
    }
    push(a, at, order);
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

void *ms_arena_take(struct ms_arena *a, size_t bytes) {
    unsigned order = 0, found;
    uint32_t n, at;

    MS_ASSERT(bytes > 0);
    if (bytes > (size_t)a->units * a->unit)
        return NULL;
    n = units_of(a, bytes);
    while (UINT32_C(1) << order < n)
        order++;
    for (found = order; found < ORDERS && a->first[found] == NONE;)
        found++;
    if (found == ORDERS)
        return NULL;
    at = a->first[found];
    pull(a, at);
    free_units(a, at + n, (UINT32_C(1) << found) - n);
    a->used += n;
    SHOW(a->bytes + (size_t)at * a->unit, bytes);
    return a->bytes + (size_t)at * a->unit;
}

void ms_arena_give(struct ms_arena *a, void *run, size_t bytes) {
    size_t offset = (size_t)((uint8_t *)run - a->bytes);
    uint32_t n = units_of(a, bytes);

    MS_ASSERT(offset % a->unit == 0);
    MS_ASSERT(n > 0 && n <= a->used && offset / a->unit + n <= a->units);
    HIDE(run, bytes);
    a->used -= n;
    free_units(a, (uint32_t)(offset / a->unit), n);
}

bool ms_arena_is_new(struct ms_arena *a, const void *run, size_t bytes) {
    size_t at = (size_t)((const uint8_t *)run - a->bytes) / a->unit;
    bool is_new = false;

    for (uint32_t i = 0; i < units_of(a, bytes); i++) {
        is_new |= !a->info[at + i].touched;
        a->info[at + i].touched = true;
    }
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
    a->units = units;
    a->mapped = units * unit + HUGE_PAGE;
    a->mapping = mmap(NULL, a->mapped, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (a->mapping == MAP_FAILED) {
        free(a);
        return ms_fail_errno(reterr, ENOMEM, "no memory for a cache of %llu bytes",
                             (unsigned long long)bytes);
    }
    a->bytes = (uint8_t *)(((uintptr_t)a->mapping + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
    HIDE(a->bytes, units * unit);
    for (unsigned i = 0; i < ORDERS; i++)
        a->first[i] = NONE;
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
