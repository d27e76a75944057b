#include "object/wrap_disk_set.h"

#include <string.h>
#include <xxhash.h>

#define FREQ_MAX 3

/* ---- which set ------------------------------------------------------------------------------- */

static uint64_t hash_of(const struct ms_disk_id *id) { return XXH3_64bits(id, sizeof *id); }

/* Jump consistent hash (Lamping and Veach, 2014), in integers: when n sets become m, only the share
 * |n - m| / max(n, m) of the blocks belongs elsewhere. */
uint32_t ms_disk_set_of(const struct ms_disk_id *id, uint32_t sets) {
    uint64_t h = hash_of(id), at = 0, next = 0;

    MS_ASSERT(sets >= 1);
    while (next < sets) {
        at = next;
        h = h * UINT64_C(2862933555777941757) + 1;
        next = ((at + 1) << 31) / ((h >> 33) + 1);
    }
    return (uint32_t)at;
}

/* ---- entries --------------------------------------------------------------------------------- */

static uint64_t check_of(const struct ms_disk_entry *e, uint32_t set, int way, uint64_t salt) {
    uint64_t place = (uint64_t)set * MS_DISK_WAYS + (uint64_t)way;

    return XXH3_64bits_withSeed((const char *)e + sizeof e->check, sizeof *e - sizeof e->check,
                                salt ^ place * UINT64_C(0x9e3779b97f4a7c15));
}

static bool is_whole(const struct ms_disk_page *page, int way, uint32_t set, uint64_t salt) {
    const struct ms_disk_entry *e = &page->way[way];

    if (e->kind != MS_DISK_IS_SMALL && e->kind != MS_DISK_IS_MAIN)
        return false;
    return e->length > 0 && e->length <= MS_DISK_BLOCK && e->check == check_of(e, set, way, salt);
}

int ms_disk_find(const struct ms_disk_page *page, uint32_t set, uint64_t salt,
                 const struct ms_disk_id *id) {
    for (int way = 0; way < MS_DISK_WAYS; way++)
        if (memcmp(&page->way[way].id, id, sizeof *id) == 0 && is_whole(page, way, set, salt))
            return way;
    return -1;
}

void ms_disk_free_way(struct ms_disk_page *page, int way) {
    MS_ASSERT(way >= 0 && way < MS_DISK_WAYS);
    page->way[way] = (struct ms_disk_entry){0};
}

void ms_disk_clean(struct ms_disk_page *page, uint32_t set, uint64_t salt) {
    for (int way = 0; way < MS_DISK_WAYS; way++)
        if (!is_whole(page, way, set, salt))
            ms_disk_free_way(page, way);
}

void ms_disk_seal(struct ms_disk_entry *entry, uint32_t set, int way, uint64_t salt) {
    entry->check = check_of(entry, set, way, salt);
}

/* ---- reads ----------------------------------------------------------------------------------- */

static uint8_t freq_of(const struct ms_disk_memory *m, int way) {
    return __atomic_load_n(&m->freq[way], __ATOMIC_RELAXED);
}

static void set_freq(struct ms_disk_memory *m, int way, uint8_t freq) {
    if (freq_of(m, way) != MS_DISK_BAD)
        __atomic_store_n(&m->freq[way], freq, __ATOMIC_RELAXED);
}

/* Two at once may count as one. */
void ms_disk_count_read(struct ms_disk_memory *memory, int way) {
    uint8_t freq = freq_of(memory, way);

    if (freq < FREQ_MAX)
        set_freq(memory, way, (uint8_t)(freq + 1));
}

void ms_disk_set_bad(struct ms_disk_memory *memory, int way) {
    __atomic_store_n(&memory->freq[way], MS_DISK_BAD, __ATOMIC_RELAXED);
}

/* ---- who goes -------------------------------------------------------------------------------- */

static uint32_t ghost_of(const struct ms_disk_id *id) { return (uint32_t)(hash_of(id) >> 32) | 1; }

static bool take_ghost(struct ms_disk_memory *m, const struct ms_disk_id *id) {
    uint32_t ghost = ghost_of(id);

    for (int i = 0; i < MS_DISK_WAYS; i++) {
        if (m->ghost[i] == ghost) {
            m->ghost[i] = 0;
            return true;
        }
    }
    return false;
}

static void leave_ghost(struct ms_disk_memory *m, const struct ms_disk_id *id) {
    m->ghost[m->ghost_at] = ghost_of(id);
    m->ghost_at = (uint8_t)((m->ghost_at + 1) % MS_DISK_WAYS);
}

/* Oldest of its kind, or -1. */
static int oldest(const struct ms_disk_page *page, const struct ms_disk_memory *m,
                  enum ms_disk_kind kind, int *ret_n) {
    int found = -1, n = 0;

    for (int way = 0; way < MS_DISK_WAYS; way++) {
        if (page->way[way].kind != kind || freq_of(m, way) == MS_DISK_BAD)
            continue;
        n++;
        if (found < 0 || page->way[way].born_ms < page->way[found].born_ms)
            found = way;
    }
    *ret_n = n;
    return found;
}

/* To the young end of the main queue. Entries of one millisecond keep an order all the same: it
 * goes behind all others. */
static void requeue(struct ms_disk_page *page, int way, uint64_t now_ms, uint32_t set,
                    uint64_t salt) {
    struct ms_disk_entry *e = &page->way[way];
    uint64_t last = now_ms;

    for (int i = 0; i < MS_DISK_WAYS; i++)
        if (page->way[i].kind == MS_DISK_IS_MAIN && page->way[i].born_ms >= last)
            last = page->way[i].born_ms + 1;
    e->kind = MS_DISK_IS_MAIN;
    e->born_ms = last;
    ms_disk_seal(e, set, way, salt);
}

int ms_disk_give_up(struct ms_disk_page *page, struct ms_disk_memory *memory, uint64_t now_ms,
                    uint32_t set, uint64_t salt) {
    /* Each turn frees one, makes one main, or takes a read from one: it ends. */
    for (;;) {
        int smalls, mains;
        int small = oldest(page, memory, MS_DISK_IS_SMALL, &smalls);
        int first = oldest(page, memory, MS_DISK_IS_MAIN, &mains);
        bool from_small = small >= 0 && (smalls > MS_DISK_SMALL || first < 0);
        int way = from_small ? small : first;
        uint8_t freq;

        if (way < 0)
            return -1;
        freq = freq_of(memory, way);
        if (freq == 0) {
            if (from_small)
                leave_ghost(memory, &page->way[way].id);
            ms_disk_free_way(page, way);
            return way;
        }
        set_freq(memory, way, from_small ? 0 : (uint8_t)(freq - 1));
        requeue(page, way, now_ms, set, salt);
    }
}

int ms_disk_place(struct ms_disk_page *page, struct ms_disk_memory *memory,
                  const struct ms_disk_id *id, uint64_t now_ms, uint32_t set, uint64_t salt,
                  enum ms_disk_kind *ret_kind, bool *ret_was_used) {
    int way = 0;

    *ret_kind = take_ghost(memory, id) ? MS_DISK_IS_MAIN : MS_DISK_IS_SMALL;
    while (way < MS_DISK_WAYS &&
           (page->way[way].kind != MS_DISK_FREE || freq_of(memory, way) == MS_DISK_BAD))
        way++;
    *ret_was_used = way == MS_DISK_WAYS;
    if (way == MS_DISK_WAYS)
        way = ms_disk_give_up(page, memory, now_ms, set, salt);
    if (way >= 0)
        set_freq(memory, way, 0);
    return way;
}
