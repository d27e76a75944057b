#include "content/runs.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define LEAF_MAX 256

/* A change: offset << 2 | the kind from there on. */
struct ms_runs_leaf {
    size_t n;
    uint64_t at[LEAF_MAX];
};
struct ms_runs_top {
    uint64_t first; /* = leaf->at[0] */
    struct ms_runs_leaf *leaf;
};

/* A change's place. leaf == leaves: behind the last one. */
struct place {
    size_t leaf, i;
};

static uint64_t pack(uint64_t offset, unsigned kind) { return offset << 2 | kind; }
static uint64_t offset_of(uint64_t at) { return at >> 2; }
static unsigned kind_of(uint64_t at) { return at & 3; }

void ms_runs_fini(struct ms_runs *runs) {
    for (size_t i = 0; i < runs->leaves; i++)
        free(runs->top[i].leaf);
    free(runs->top);
    for (size_t i = 0; i < MS_RUNS_SPARE; i++)
        free(runs->spare[i]);
    *runs = (struct ms_runs){0};
}

enum ms_code ms_runs_reserve(struct ms_runs *runs, struct ms_error *reterr) {
    if (runs->cap - runs->leaves < MS_RUNS_SPARE) {
        size_t cap = runs->cap ? runs->cap * 2 : 2 * MS_RUNS_SPARE;
        struct ms_runs_top *top = realloc(runs->top, cap * sizeof *top);

        if (!top)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for a file in more than %zu pieces",
                           runs->leaves * LEAF_MAX);
        runs->top = top;
        runs->cap = cap;
    }
    for (size_t i = 0; i < MS_RUNS_SPARE; i++) {
        if (!runs->spare[i])
            runs->spare[i] = malloc(sizeof *runs->spare[i]);
        if (!runs->spare[i])
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for a file in more than %zu pieces",
                           runs->leaves * LEAF_MAX);
    }
    return MS_OK;
}

static struct ms_runs_leaf *take_spare(struct ms_runs *runs) {
    for (size_t i = 0; i < MS_RUNS_SPARE; i++) {
        struct ms_runs_leaf *leaf = runs->spare[i];

        if (!leaf)
            continue;
        runs->spare[i] = NULL;
        leaf->n = 0;
        return leaf;
    }
    ms_assert_failed("ms_runs_reserve was called", __FILE__, __LINE__, __func__);
}

static void insert_leaf(struct ms_runs *runs, size_t at, struct ms_runs_leaf *leaf) {
    MS_ASSERT(runs->leaves < runs->cap);
    memmove(runs->top + at + 1, runs->top + at, (runs->leaves - at) * sizeof *runs->top);
    runs->top[at].leaf = leaf;
    runs->leaves++;
}

static void remove_leaf(struct ms_runs *runs, size_t at) {
    free(runs->top[at].leaf);
    runs->leaves--;
    memmove(runs->top + at, runs->top + at + 1, (runs->leaves - at) * sizeof *runs->top);
}

/* How many leaves begin below the packed value; most questions are about the end of the file. */
static size_t leaves_below(const struct ms_runs *runs, uint64_t packed) {
    size_t low = 0, high = runs->leaves;

    if (high > 0 && runs->top[high - 1].first < packed)
        return high;
    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (runs->top[mid].first < packed)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The first change at or behind offset. */
static struct place place_of(const struct ms_runs *runs, uint64_t offset) {
    uint64_t packed = pack(offset, 0);
    size_t leaf = leaves_below(runs, packed);
    const struct ms_runs_leaf *l;
    size_t low = 0, high;

    if (leaf == 0)
        return (struct place){0, 0};
    l = runs->top[leaf - 1].leaf;
    high = l->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (l->at[mid] < packed)
            low = mid + 1;
        else
            high = mid;
    }
    return low == l->n ? (struct place){leaf, 0} : (struct place){leaf - 1, low};
}

/* The kind just before a place. */
static unsigned kind_before(const struct ms_runs *runs, struct place p) {
    const struct ms_runs_leaf *l;

    if (p.i > 0)
        return kind_of(runs->top[p.leaf].leaf->at[p.i - 1]);
    if (p.leaf == 0)
        return 0;
    l = runs->top[p.leaf - 1].leaf;
    return kind_of(l->at[l->n - 1]);
}

static bool change_at(const struct ms_runs *runs, struct place p, uint64_t *ret_at) {
    if (p.leaf == runs->leaves)
        return false;
    *ret_at = runs->top[p.leaf].leaf->at[p.i];
    return true;
}

struct ms_run ms_runs_at(const struct ms_runs *runs, uint64_t offset) {
    struct place p = place_of(runs, offset + 1); /* the first change behind offset ends its run */
    struct ms_run run = {0, MS_RUNS_END, kind_before(runs, p)};
    uint64_t at;

    MS_ASSERT(offset < MS_RUNS_END);
    if (change_at(runs, p, &at))
        run.to = offset_of(at);
    if (p.i > 0) {
        run.from = offset_of(runs->top[p.leaf].leaf->at[p.i - 1]);
    } else if (p.leaf > 0) {
        const struct ms_runs_leaf *l = runs->top[p.leaf - 1].leaf;

        run.from = offset_of(l->at[l->n - 1]);
    }
    return run;
}

/* Two leaves that together fill less than half of one become one: many erasures leave no litter. */
static void join(struct ms_runs *runs, size_t leaf) {
    struct ms_runs_leaf *a, *b;

    if (leaf + 1 >= runs->leaves)
        return;
    a = runs->top[leaf].leaf;
    b = runs->top[leaf + 1].leaf;
    if (a->n + b->n > LEAF_MAX / 2)
        return;
    memcpy(a->at + a->n, b->at, b->n * sizeof *a->at);
    a->n += b->n;
    remove_leaf(runs, leaf + 1);
}

/* Forget the changes in [from, to]. */
static void erase(struct ms_runs *runs, uint64_t from, uint64_t to) {
    struct place p = place_of(runs, from);

    while (p.leaf < runs->leaves) {
        struct ms_runs_leaf *l = runs->top[p.leaf].leaf;
        size_t end = p.i;

        while (end < l->n && offset_of(l->at[end]) <= to)
            end++;
        if (end == p.i)
            break;
        memmove(l->at + p.i, l->at + end, (l->n - end) * sizeof *l->at);
        l->n -= end - p.i;
        if (l->n == 0) {
            remove_leaf(runs, p.leaf);
            continue;
        }
        runs->top[p.leaf].first = l->at[0];
        if (p.i < l->n)
            break;
        p = (struct place){p.leaf + 1, 0};
    }
    if (p.leaf > 0)
        join(runs, p.leaf - 1);
    if (p.leaf < runs->leaves)
        join(runs, p.leaf);
}

/* A full leaf makes room: at the end of all by a new leaf, so that appends leave full ones; else in
 * halves. */
static struct place make_room(struct ms_runs *runs, struct place p) {
    struct ms_runs_leaf *l = runs->top[p.leaf].leaf, *next = take_spare(runs);
    size_t keep = p.leaf + 1 == runs->leaves && p.i == LEAF_MAX ? LEAF_MAX : LEAF_MAX / 2;

    next->n = l->n - keep;
    memcpy(next->at, l->at + keep, next->n * sizeof *l->at);
    l->n = keep;
    insert_leaf(runs, p.leaf + 1, next);
    if (next->n > 0)
        runs->top[p.leaf + 1].first = next->at[0];
    return p.i >= keep && (p.i > keep || keep == LEAF_MAX) ? (struct place){p.leaf + 1, p.i - keep}
                                                           : p;
}

static void insert(struct ms_runs *runs, uint64_t packed) {
    struct place p = place_of(runs, offset_of(packed));
    struct ms_runs_leaf *l;

    if (p.i == 0 && p.leaf > 0) /* behind the last one of the leaf before */
        p = (struct place){p.leaf - 1, runs->top[p.leaf - 1].leaf->n};
    if (runs->leaves == 0)
        insert_leaf(runs, 0, take_spare(runs));
    if (runs->top[p.leaf].leaf->n == LEAF_MAX)
        p = make_room(runs, p);
    l = runs->top[p.leaf].leaf;
    memmove(l->at + p.i + 1, l->at + p.i, (l->n - p.i) * sizeof *l->at);
    l->at[p.i] = packed;
    l->n++;
    runs->top[p.leaf].first = l->at[0];
}

void ms_runs_set(struct ms_runs *runs, uint64_t from, uint64_t to, unsigned kind) {
    unsigned before, after;

    MS_ASSERT(from < to && to <= MS_RUNS_END);
    MS_ASSERT(kind <= 3);
    before = kind_before(runs, place_of(runs, from));
    after = to == MS_RUNS_END ? kind : ms_runs_at(runs, to).kind;
    erase(runs, from, to);
    if (before != kind)
        insert(runs, pack(from, kind));
    if (after != kind)
        insert(runs, pack(to, after));
}

bool ms_runs_is_valid(const struct ms_runs *runs) {
    unsigned kind = 0;
    uint64_t last = 0;
    bool first = true;

    for (size_t i = 0; i < runs->leaves; i++) {
        const struct ms_runs_leaf *l = runs->top[i].leaf;

        if (l->n == 0 || l->n > LEAF_MAX || runs->top[i].first != l->at[0])
            return false;
        for (size_t j = 0; j < l->n; j++) {
            if (kind_of(l->at[j]) == kind || (!first && offset_of(l->at[j]) <= last))
                return false;
            kind = kind_of(l->at[j]);
            last = offset_of(l->at[j]);
            first = false;
        }
    }
    return runs->leaves <= runs->cap;
}

size_t ms_runs_changes(const struct ms_runs *runs) {
    size_t n = 0;

    for (size_t i = 0; i < runs->leaves; i++)
        n += runs->top[i].leaf->n;
    return n;
}
