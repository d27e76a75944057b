#include "quota/names.h"

#include "base/assert.h"

#include <stdlib.h>
#include <xxhash.h>

void ms_names_fini(struct ms_names *names) {
    ms_buf_fini(&names->texts);
    free(names->ends);
    free(names->slots);
    *names = (struct ms_names){0};
}

struct ms_view ms_names_text(const struct ms_names *names, uint32_t i) {
    MS_ASSERT(i < names->n);
    uint64_t start = i > 0 ? names->ends[i - 1] : 0;
    return ms_view_of(names->texts.data + start, names->ends[i] - start);
}

/* The slot that holds the text, or the empty one where it belongs. */
static uint32_t slot_of(const struct ms_names *names, struct ms_view text) {
    uint32_t mask = names->slots_n - 1;
    uint32_t i = (uint32_t)XXH3_64bits(text.n ? text.p : "", text.n) & mask;
    while (names->slots[i] != MS_NAMES_NONE &&
           !ms_view_equal(ms_names_text(names, names->slots[i]), text))
        i = (i + 1) & mask;
    return i;
}

uint32_t ms_names_find(const struct ms_names *names, struct ms_view text) {
    return names->slots_n ? names->slots[slot_of(names, text)] : MS_NAMES_NONE;
}

/* Twice the slots; the texts find their new places. */
static bool grow_slots(struct ms_names *names) {
    uint32_t n = names->slots_n ? names->slots_n * 2 : 64;
    uint32_t *slots = malloc(n * sizeof *slots);
    if (!slots)
        return false;
    memset(slots, 0xff, n * sizeof *slots);
    free(names->slots);
    names->slots = slots;
    names->slots_n = n;
    for (uint32_t i = 0; i < names->n; i++)
        slots[slot_of(names, ms_names_text(names, i))] = i;
    return true;
}

static bool grow_ends(struct ms_names *names) {
    uint32_t cap = names->cap ? names->cap * 2 : 32;
    uint64_t *ends = realloc(names->ends, cap * sizeof *ends);
    if (!ends)
        return false;
    names->ends = ends;
    names->cap = cap;
    return true;
}

enum ms_code ms_names_add(struct ms_names *names, struct ms_view text, uint32_t *ret_i,
                          struct ms_error *reterr) {
    uint32_t known = ms_names_find(names, text);
    if (known != MS_NAMES_NONE) {
        *ret_i = known;
        return MS_OK;
    }
    if (names->n >= UINT32_C(1) << 30)
        return ms_fail(reterr, MS_RANGE, "more than 2^30 names");
    names->texts.max = SIZE_MAX - 1;
    enum ms_code code = ms_buf_reserve(&names->texts, text.n, reterr);
    if (code != MS_OK)
        return code;
    if ((names->n == names->cap && !grow_ends(names)) ||
        (names->n >= names->slots_n / 2 && !grow_slots(names)))
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for %u names", names->n + 1);
    code = ms_buf_add(&names->texts, text.p, text.n, reterr);
    MS_ASSERT(code == MS_OK); /* reserved */
    names->ends[names->n] = names->texts.len;
    uint32_t slot = slot_of(names, text);
    names->slots[slot] = names->n;
    *ret_i = names->n++;
    return MS_OK;
}
