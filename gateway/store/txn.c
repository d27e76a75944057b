/* txn.c — what an operation or a read can do: get, put, delete, scan, dates, numbers, random bytes.
 *
 * Keys and values are copied before LMDB sees them as arguments: a caller may hand in a key that it got from a scan,
 * which lies on a page that LMDB moves while it writes. */
#include "store/internal.h"

#include "base/assert.h"

#include <stdarg.h>

enum ms_code ms_txn_stick(struct ms_txn *txn, struct ms_error *reterr, enum ms_code code,
                          const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    ms_vfail(&txn->failure, code, fmt, ap);
    va_end(ap);
    if (reterr)
        *reterr = txn->failure;
    return code;
}

static enum ms_code stick_mdb(struct ms_txn *txn, struct ms_error *reterr, int rc,
                              const char *what) {
    ms_store_fail(txn->store, &txn->failure, rc, what);
    if (reterr)
        *reterr = txn->failure;
    return txn->failure.code;
}

static enum ms_code usable(struct ms_txn *txn, struct ms_error *reterr) {
    if (txn->failure.code != MS_OK) {
        if (reterr)
            *reterr = txn->failure;
        return txn->failure.code;
    }
    if (!txn->op && ms_store_mono(txn->store) - txn->begun_ns > MS_STORE_READ_NS)
        return ms_txn_stick(
            txn, reterr, MS_STALE,
            "a read of the metadata has been open for more than 1 s; it must begin anew");
    return MS_OK;
}

static enum ms_code check_key(struct ms_view key, struct ms_error *reterr) {
    if (key.n == 0 || key.n > MS_KEY_MAX)
        return ms_fail(reterr, MS_RANGE, "a key has %zu bytes; 1 to %d are possible", key.n,
                       MS_KEY_MAX);
    return MS_OK;
}

enum ms_code ms_txn_get(struct ms_txn *txn, struct ms_view key, struct ms_view *ret_value,
                        struct ms_error *reterr) {
    MDB_val k = ms_val_of(key), v;
    enum ms_code code = usable(txn, reterr);
    int rc;

    if (code == MS_OK)
        code = check_key(key, reterr);
    if (code != MS_OK)
        return code;
    rc = mdb_get(txn->mdb, txn->store->dbi, &k, &v);
    if (rc == MDB_NOTFOUND)
        return ms_fail(reterr, MS_NOT_FOUND, "no such record");
    if (rc != 0)
        return stick_mdb(txn, reterr, rc, "reading a record");
    return ms_envelope_open(key, ms_view_of_val(v), ret_value, reterr);
}

bool ms_txn_has(struct ms_txn *txn, struct ms_view key) {
    MDB_val k = ms_val_of(key), v;
    struct ms_view value;
    int rc;

    if (usable(txn, NULL) != MS_OK)
        return false;
    if (check_key(key, &txn->failure) != MS_OK)
        return false;
    rc = mdb_get(txn->mdb, txn->store->dbi, &k, &v);
    if (rc == MDB_NOTFOUND)
        return false;
    if (rc != 0) {
        stick_mdb(txn, NULL, rc, "reading a record");
        return false;
    }
    return ms_envelope_open(key, ms_view_of_val(v), &value, &txn->failure) == MS_OK;
}

/* ---- writes ---------------------------------------------------------------------------------- */

static enum ms_code wrote(struct ms_txn *txn, int rc, size_t bytes, const char *what,
                          struct ms_error *reterr) {
    struct ms_store_op *op = txn->op;

    txn->generation++;
    op->writes++;
    op->bytes +=
        bytes +
        txn->store->page_bytes; /* the leaf; branches are shared by most writes of a batch */
    if (rc != 0)
        return stick_mdb(txn, reterr, rc, what);
    if (op->bytes > MS_STORE_OP_BYTES)
        return ms_txn_stick(
            txn, reterr, MS_RANGE,
            "one operation writes more than %zu MiB in %u records; split it into several",
            MS_STORE_OP_BYTES >> 20, op->writes);
    return MS_OK;
}

enum ms_code ms_txn_put_any(struct ms_txn *txn, struct ms_view key, struct ms_view value,
                            struct ms_error *reterr) {
    struct ms_store *store = txn->store;
    enum ms_code code = usable(txn, reterr);
    MDB_val k, v;
    int rc;

    MS_ASSERT(txn->op);
    if (code != MS_OK)
        return code;
    if (check_key(key, NULL) != MS_OK || value.n > MS_VALUE_MAX)
        return ms_txn_stick(
            txn, reterr, MS_RANGE,
            "a record of %zu bytes under a key of %zu bytes; %d and 1 to %d are possible", value.n,
            key.n, MS_VALUE_MAX, MS_KEY_MAX);
    memcpy(store->w.key, key.p, key.n);
    k = (MDB_val){key.n, store->w.key};
    v = (MDB_val){ms_envelope_wrap(store->w.value, ms_view_of(store->w.key, key.n), value),
                  store->w.value};
    rc = mdb_put(txn->mdb, store->dbi, &k, &v, 0);
    return wrote(txn, rc, v.mv_size, "writing a record", reterr);
}

enum ms_code ms_txn_del_any(struct ms_txn *txn, struct ms_view key, struct ms_error *reterr) {
    struct ms_store *store = txn->store;
    enum ms_code code = usable(txn, reterr);
    MDB_val k;
    int rc;

    MS_ASSERT(txn->op);
    if (code != MS_OK)
        return code;
    if (check_key(key, NULL) != MS_OK)
        return ms_txn_stick(txn, reterr, MS_RANGE, "a key has %zu bytes; 1 to %d are possible",
                            key.n, MS_KEY_MAX);
    memcpy(store->w.key, key.p, key.n);
    k = (MDB_val){key.n, store->w.key};
    rc = mdb_del(txn->mdb, store->dbi, &k, NULL);
    if (rc == MDB_NOTFOUND)
        return MS_OK;
    return wrote(txn, rc, 0, "deleting a record", reterr);
}

/* The store's own rows are no one's business: the first byte of a table is never 0. */
static void must_not_be_ours(struct ms_view key) {
    MS_ASSERT(key.n == 0 || ((const uint8_t *)key.p)[0] != 0x00);
}

enum ms_code ms_txn_put(struct ms_txn *txn, struct ms_view key, struct ms_view value,
                        struct ms_error *reterr) {
    must_not_be_ours(key);
    return ms_txn_put_any(txn, key, value, reterr);
}

enum ms_code ms_txn_del(struct ms_txn *txn, struct ms_view key, struct ms_error *reterr) {
    must_not_be_ours(key);
    return ms_txn_del_any(txn, key, reterr);
}

struct ms_instant ms_txn_instant(struct ms_txn *txn) {
    MS_ASSERT(txn->op);
    txn->op->instant_given = true;
    return txn->op->instant;
}

void ms_txn_not_before(struct ms_txn *txn, struct ms_instant at) {
    MS_ASSERT(txn->op);
    if (!ms_instant_before(txn->op->instant, at))
        return;
    MS_ASSERT(
        !txn->op->instant_given); /* something is dated already: all tenants are named first */
    txn->op->instant = at;
}

enum ms_code ms_txn_feed(struct ms_txn *txn, struct ms_view change, struct ms_error *reterr) {
    return ms_feed_append(txn, change, reterr);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static struct ms_store_number *number_named(struct ms_store *store, const char *name) {
    struct ms_store_number *n = store->w.numbers;

    MS_ASSERT(name[0] && strlen(name) < sizeof n->name && strcmp(name, "fence") != 0);
    for (unsigned i = 0; i < MS_STORE_NUMBERS; i++) {
        if (!n[i].name[0])
            memcpy(n[i].name, name, strlen(name));
        if (strcmp(n[i].name, name) == 0)
            return &n[i];
    }
    MS_ASSERT(!"more counters than MS_STORE_NUMBERS");
    return NULL;
}

enum ms_code ms_txn_number(struct ms_txn *txn, const char *name, uint64_t *ret_n,
                           struct ms_error *reterr) {
    struct ms_store_op *op = txn->op;
    enum ms_code code = usable(txn, reterr);
    struct ms_store_number *number;
    uint64_t *taken;

    MS_ASSERT(op);
    if (code != MS_OK)
        return code;
    number = number_named(txn->store, name);
    taken = &op->taken[number - txn->store->w.numbers];
    if (number->next == number->end) {
        /* A lease taken here would roll back with the operation; the batch takes it and runs this again. */
        number->want = *taken * 2 > MS_STORE_LEASE ? *taken * 2 : MS_STORE_LEASE;
        op->lease = number;
        return ms_txn_stick(txn, reterr, MS_CONFLICT, "the numbers of '%s' in hand are used up",
                            name);
    }
    ++*taken;
    *ret_n = number->next++;
    return MS_OK;
}

/* ---- random bytes: ChaCha20 under a key that the operation keeps ----------------------------- */

static uint32_t rotl(uint32_t x, int k) { return x << k | x >> (32 - k); }

static void quarter(uint32_t *s, int a, int b, int c, int d) {
    s[a] += s[b], s[d] = rotl(s[d] ^ s[a], 16);
    s[c] += s[d], s[b] = rotl(s[b] ^ s[c], 12);
    s[a] += s[b], s[d] = rotl(s[d] ^ s[a], 8);
    s[c] += s[d], s[b] = rotl(s[b] ^ s[c], 7);
}

static void chacha20(const uint32_t key[8], uint64_t block, uint8_t ret_bytes[64]) {
    uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, s[16];

    memcpy(in + 4, key, 32);
    in[12] = (uint32_t)block;
    in[13] = (uint32_t)(block >> 32);
    memcpy(s, in, sizeof s);
    for (int i = 0; i < 10; i++) {
        for (int j = 0; j < 4; j++) /* columns */
            quarter(s, j, j + 4, j + 8, j + 12);
        for (int j = 0; j < 4; j++) /* diagonals */
            quarter(s, j, (j + 1) % 4 + 4, (j + 2) % 4 + 8, (j + 3) % 4 + 12);
    }
    for (int i = 0; i < 16; i++) {
        uint32_t v = s[i] + in[i];

        memcpy(ret_bytes + 4 * i, &v, 4);
    }
}

void ms_txn_random(struct ms_txn *txn, void *bytes, size_t n) {
    struct ms_store_op *op = txn->op;
    struct ms_write_request *request;
    uint8_t *at = bytes;

    MS_ASSERT(op);
    request = op->request;
    if (!request->seeded)
        ms_random_fill(txn->store->options.random, request->seed, sizeof request->seed);
    request->seeded = true;
    while (n > 0) {
        size_t part;

        if (op->random_left == 0) {
            chacha20(request->seed, op->random_block++, op->random);
            op->random_left = sizeof op->random;
        }
        part = n < op->random_left ? n : op->random_left;
        memcpy(at, op->random + sizeof op->random - op->random_left, part);
        op->random_left -= (unsigned)part;
        at += part;
        n -= part;
    }
}

/* ---- scans ----------------------------------------------------------------------------------- */

static int compare(const void *a, size_t an, const void *b, size_t bn) {
    int c = memcmp(a, b, an < bn ? an : bn);

    return c ? c : (an > bn) - (an < bn);
}

void ms_scan_begin_any(struct ms_scan *scan, struct ms_txn *txn, struct ms_view from,
                       struct ms_view to) {
    MS_ASSERT(from.n <= MS_KEY_MAX);
    MS_ASSERT(to.n <= MS_KEY_MAX);
    scan->txn = txn;
    scan->from_len = from.n;
    scan->to_len = to.n;
    scan->last_len = 0;
    scan->backwards = scan->started = scan->ended = false;
    scan->cursor = NULL;
    scan->cursor_generation = 0;
    if (from.n)
        memcpy(scan->from, from.p, from.n);
    if (to.n)
        memcpy(scan->to, to.p, to.n);
}

void ms_scan_begin(struct ms_scan *scan, struct ms_txn *txn, struct ms_view from,
                   struct ms_view to) {
    static const uint8_t first = 0x01;

    if (from.n == 0)
        from = ms_view_of(&first, 1);
    must_not_be_ours(from);
    ms_scan_begin_any(scan, txn, from, to);
}

void ms_scan_prefix(struct ms_scan *scan, struct ms_txn *txn, struct ms_view prefix) {
    ms_scan_begin(scan, txn, prefix, prefix);
    /* The end is the prefix with its last byte that can grow grown; none means to the end of all. */
    while (scan->to_len > 0 && scan->to[scan->to_len - 1] == 0xff)
        scan->to_len--;
    if (scan->to_len > 0)
        scan->to[scan->to_len - 1]++;
}

void ms_scan_backwards(struct ms_scan *scan) {
    MS_ASSERT(!scan->started);
    scan->backwards = true;
}

void ms_scan_end(struct ms_scan *scan) {
    if (!scan->cursor)
        return;
    mdb_cursor_close(scan->cursor);
    scan->cursor = NULL;
    scan->txn->scans--;
}

/* Stand on the first key of the scan, or behind the last one that it gave. */
static int seek(struct ms_scan *scan, MDB_val *k, MDB_val *v) {
    MDB_cursor *c = scan->cursor;
    int rc;

    if (!scan->started && !scan->backwards) {
        *k = (MDB_val){scan->from_len, scan->from};
        return mdb_cursor_get(c, k, v, MDB_SET_RANGE);
    }
    if (!scan->started && scan->to_len == 0)
        return mdb_cursor_get(c, k, v, MDB_LAST);
    if (scan->started)
        *k = (MDB_val){scan->last_len, scan->last};
    else
        *k = (MDB_val){scan->to_len, scan->to};
    rc = mdb_cursor_get(c, k, v, MDB_SET_RANGE);
    if (scan->backwards)
        return rc == 0              ? mdb_cursor_get(c, k, v, MDB_PREV)
               : rc == MDB_NOTFOUND ? mdb_cursor_get(c, k, v, MDB_LAST)
                                    : rc;
    if (rc == 0 && compare(k->mv_data, k->mv_size, scan->last, scan->last_len) == 0)
        rc = mdb_cursor_get(c, k, v, MDB_NEXT);
    return rc;
}

static int step(struct ms_scan *scan, MDB_val *k, MDB_val *v) {
    MDB_cursor *c = NULL;
    int rc;

    if (scan->cursor && scan->cursor_generation == scan->txn->generation)
        return mdb_cursor_get(scan->cursor, k, v, scan->backwards ? MDB_PREV : MDB_NEXT);
    /* A cursor that saw a write is not moved on but replaced: LMDB 0.9.24 has had bugs there. */
    ms_scan_end(scan);
    rc = mdb_cursor_open(scan->txn->mdb, scan->txn->store->dbi, &c);
    if (rc != 0)
        return rc;
    scan->cursor = c;
    scan->cursor_generation = scan->txn->generation;
    scan->txn->scans++;
    return seek(scan, k, v);
}

static bool beyond(const struct ms_scan *scan, const MDB_val *k) {
    if (scan->backwards)
        return compare(k->mv_data, k->mv_size, scan->from, scan->from_len) < 0;
    return scan->to_len > 0 && compare(k->mv_data, k->mv_size, scan->to, scan->to_len) >= 0;
}

enum ms_code ms_scan_next(struct ms_scan *scan, struct ms_view *ret_key, struct ms_view *ret_value,
                          struct ms_error *reterr) {
    struct ms_txn *txn = scan->txn;
    enum ms_code code = usable(txn, reterr);
    struct ms_view value;
    MDB_val k, v;
    int rc;

    if (code != MS_OK)
        return code;
    rc = scan->ended ? MDB_NOTFOUND : step(scan, &k, &v);
    if (rc == MDB_NOTFOUND || (rc == 0 && beyond(scan, &k))) {
        scan->ended = true;
        return ms_fail(reterr, MS_NOT_FOUND, "no more records");
    }
    if (rc == 0 && (k.mv_size == 0 || k.mv_size > MS_KEY_MAX))
        rc = MDB_CORRUPTED;
    if (rc != 0)
        return stick_mdb(txn, reterr, rc, "walking records");
    memcpy(scan->last, k.mv_data, k.mv_size);
    scan->last_len = k.mv_size;
    scan->started = true;
    code =
        ms_envelope_open(ms_view_of(scan->last, scan->last_len), ms_view_of_val(v), &value, reterr);
    if (ret_key)
        *ret_key = ms_view_of(scan->last, scan->last_len);
    if (code == MS_OK && ret_value)
        *ret_value = value;
    return code;
}
