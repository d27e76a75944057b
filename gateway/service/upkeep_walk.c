/* Bounded walks over tables, and the small things that every kind of upkeep needs. */
#include "service/upkeep_walk.h"

#include "service/tree_rows.h"

#include <stdlib.h>

#define ROWS_A_READ 512
#define STALE_MAX 8                /* reads in a row that come to nothing */
#define READ_NS INT64_C(100000000) /* well below the second after which a read is refused */

/* ---- walks ----------------------------------------------------------------------------------- */

/* The smallest key behind all that begin with prefix. */
static struct ms_key behind(struct ms_key prefix) {
    while (prefix.len > 0 && prefix.bytes[prefix.len - 1] == 0xff)
        prefix.len--;
    MS_ASSERT(prefix.len > 0);
    prefix.bytes[prefix.len - 1]++;
    return prefix;
}

static void begin_scan(const struct ms_walk *w, struct ms_txn *txn, struct ms_scan *scan) {
    struct ms_key to = behind(w->prefix);
    struct ms_view from =
        w->last_len > 0 ? ms_view_of(w->last, w->last_len) : ms_key_view(&w->prefix);
    ms_scan_begin(scan, txn, from, ms_key_view(&to));
}

/* The next key begins behind this one. */
static void remember(struct ms_walk *w, struct ms_view key) {
    MS_ASSERT(key.n < sizeof w->last);
    memcpy(w->last, key.p, key.n);
    w->last[key.n] = 0;
    w->last_len = key.n + 1;
}

void ms_walk_skip_to(struct ms_walk *w, struct ms_view key) {
    MS_ASSERT(key.n > 0 && key.n < sizeof w->last);
    memcpy(w->last, key.p, key.n);
    w->last_len = key.n;
}

/* Where the walk stands, to go back there. */
struct mark {
    uint8_t last[MS_KEY_MAX + 1];
    size_t len;
};

static struct mark mark_of(const struct ms_walk *w) {
    struct mark m = {.len = w->last_len};
    memcpy(m.last, w->last, w->last_len);
    return m;
}

/* One row. *ret_moved: each wants to go on elsewhere, so the scan must begin anew. */
static enum ms_code step(struct ms_walk *w, struct ms_scan *scan, bool *ret_moved,
                         struct ms_error *reterr) {
    struct ms_view key = {NULL, 0}, value;
    struct ms_error err = {0};
    struct mark before = mark_of(w);
    enum ms_code code = ms_scan_next(scan, &key, &value, &err);
    if (code == MS_CORRUPT && key.p && w->damaged) {
        remember(w, key);
        w->damaged(w->priv, key, &err);
        return MS_OK;
    }
    if (code != MS_OK) {
        if (reterr)
            *reterr = err;
        return code;
    }
    remember(w, key);
    code = w->each(w->priv, scan->txn, key, value, reterr);
    *ret_moved = w->last_len != key.n + 1 || memcmp(w->last, key.p, key.n) != 0;
    MS_ASSERT(code != MS_NOT_FOUND); /* that is the end of a walk */
    if (code == MS_OK) {
        w->stale = 0;
    } else if (code == MS_STALE) {
        memcpy(w->last, before.last, before.len);
        w->last_len = before.len;
    }
    return code;
}

/* rows 0: no bounds. */
static enum ms_code walk(struct ms_walk *w, struct ms_txn *txn, const struct ms_clock *clock,
                         unsigned rows, struct ms_error *reterr) {
    int64_t begun = clock ? ms_clock_mono_ns(clock) : 0;
    enum ms_code code = MS_OK;
    unsigned n = 0;
    while (code == MS_OK && (rows == 0 || n < rows)) {
        struct ms_scan scan;
        bool moved = false;
        begin_scan(w, txn, &scan);
        while (code == MS_OK && !moved && (rows == 0 || n++ < rows)) {
            code = step(w, &scan, &moved, reterr);
            if (clock && ms_clock_mono_ns(clock) - begun > READ_NS)
                n = rows;
        }
        ms_scan_end(&scan);
    }
    w->ended = code == MS_NOT_FOUND;
    return w->ended ? MS_OK : code;
}

enum ms_code ms_walk_some(struct ms_svc *svc, struct ms_walk *w, struct ms_error *reterr) {
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(svc->store, &txn, reterr));
    enum ms_code code = walk(w, txn, svc->clock, ROWS_A_READ, reterr);
    ms_read_end(txn);
    return code == MS_STALE && ++w->stale < STALE_MAX ? MS_OK : code;
}

enum ms_code ms_walk_in(struct ms_txn *txn, struct ms_walk *w, struct ms_error *reterr) {
    return walk(w, txn, NULL, 0, reterr);
}

enum ms_code ms_walk_all(struct ms_svc *svc, struct ms_walk *w, struct ms_error *reterr) {
    while (!w->ended)
        MS_TRY(ms_walk_some(svc, w, reterr));
    return MS_OK;
}

/* ---- keys ------------------------------------------------------------------------------------ */

uint64_t ms_key_u64_at(struct ms_view key, size_t at) {
    if (key.n < at + 8)
        return 0;
    struct ms_reader r = ms_reader_on(ms_view_of((const uint8_t *)key.p + at, 8));
    return ms_read_u64(&r);
}

struct ms_id ms_key_id_at(struct ms_view key, size_t at) {
    struct ms_id id = {{0}};
    if (key.n >= at + MS_ID_BYTES)
        memcpy(id.b, (const uint8_t *)key.p + at, MS_ID_BYTES);
    return id;
}

/* ---- tenants --------------------------------------------------------------------------------- */

static enum ms_code tenant_behind(struct ms_txn *txn, struct ms_tenant_id after,
                                  struct ms_tenant_record *ret_tenant, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_tenants(), from = prefix, to = behind(prefix);
    struct ms_scan scan;
    struct ms_view key = {NULL, 0}, value;
    if (!ms_tenant_id_is_none(after)) {
        from = ms_key_tenant(after);
        MS_ASSERT(from.len < sizeof from.bytes);
        from.bytes[from.len++] = 0;
    }
    ms_scan_begin(&scan, txn, ms_key_view(&from), ms_key_view(&to));
    enum ms_code code = ms_scan_next(&scan, &key, &value, reterr);
    if (code == MS_OK)
        code = ms_tenant_decode(value, ret_tenant, reterr);
    if (code == MS_CORRUPT && key.p)
        ret_tenant->id = ms_key_id_at(key, 1);
    else if (code == MS_CORRUPT) /* a page: nothing behind it can be reached */
        code = MS_IO;
    ms_scan_end(&scan);
    return code;
}

enum ms_code ms_tenant_behind(struct ms_svc *svc, struct ms_tenant_id after,
                              struct ms_tenant_record *ret_tenant, struct ms_error *reterr) {
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(svc->store, &txn, reterr));
    enum ms_code code = tenant_behind(txn, after, ret_tenant, reterr);
    ms_read_end(txn);
    return code;
}

/* ---- numbers --------------------------------------------------------------------------------- */

void ms_numbers_fini(struct ms_numbers *numbers) {
    free(numbers->at);
    *numbers = (struct ms_numbers){NULL, 0, 0};
}

enum ms_code ms_numbers_add(struct ms_numbers *numbers, uint64_t number, struct ms_error *reterr) {
    if (numbers->n == numbers->cap) {
        size_t cap = numbers->cap ? numbers->cap * 2 : 256;
        uint64_t *at = reallocarray(numbers->at, cap, sizeof *at);
        if (!at)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu numbers", cap);
        numbers->at = at;
        numbers->cap = cap;
    }
    numbers->at[numbers->n++] = number;
    return MS_OK;
}

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void ms_numbers_sort(struct ms_numbers *numbers) {
    if (numbers->n > 0)
        qsort(numbers->at, numbers->n, sizeof *numbers->at, by_number);
}

size_t ms_numbers_seek(const struct ms_numbers *numbers, uint64_t number) {
    size_t from = 0, to = numbers->n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (numbers->at[middle] < number)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}
