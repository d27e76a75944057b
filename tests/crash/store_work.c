#include "store_work.h"

#include "base/codec.h"

#include <inttypes.h>
#include <stdio.h>

static size_t make_key(char kind, uint64_t n, uint8_t key[16]) {
    struct ms_writer w = ms_writer_on(key, 16);

    ms_write_u8(&w, (uint8_t)kind);
    ms_write_u64(&w, n);
    return w.len;
}

static struct ms_view key_view(char kind, uint64_t n, uint8_t key[16]) {
    return ms_view_of(key, make_key(kind, n, key));
}

/* A length and bytes that follow from slot, generation and kind. Some values need pages of their own. */
static size_t make_content(char kind, unsigned slot, uint64_t generation, uint8_t *bytes) {
    uint64_t x = (slot + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ generation * UINT64_C(0xbf58476d1ce4e5b9) ^ (uint64_t)kind;
    size_t n = x % 16 == 0 ? x % WORK_VALUE_MAX : x % 200;

    for (size_t i = 0; i < n; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        bytes[i] = (uint8_t)x;
    }
    return n;
}

/* A slot is emptied now and then. */
static bool is_full_at(unsigned slot, uint64_t generation) { return (generation + slot) % 5 != 0; }

static enum ms_code check_content(struct ms_txn *txn, char kind, unsigned slot, const struct work_slot *s,
                                  struct ms_error *reterr) {
    uint8_t key[16], want[WORK_VALUE_MAX];
    struct ms_view v;
    enum ms_code code = ms_txn_get(txn, key_view(kind, slot, key), &v, reterr);

    if (code == MS_NOT_FOUND && !s->full)
        return MS_OK;
    if (code == MS_OK && s->full && v.n == make_content(kind, slot, s->generation, want) &&
        memcmp(v.p, want, v.n) == 0)
        return MS_OK;
    return ms_fail(reterr, MS_CORRUPT, "slot %u at generation %" PRIu64 ": %c is not what it should be (%s)", slot,
                   s->generation, kind, ms_code_name(code));
}

enum ms_code work_read(struct ms_txn *txn, unsigned slot, struct work_slot *ret_slot, struct ms_error *reterr) {
    struct work_slot s = {0, false};
    struct ms_reader r;
    struct ms_view v;
    uint8_t key[16];
    enum ms_code code = ms_txn_get(txn, key_view('g', slot, key), &v, reterr);

    if (code == MS_OK) {
        r = ms_reader_on(v);
        s.generation = ms_read_u64(&r);
        s.full = ms_read_u8(&r) == 1;
        if (!ms_reader_done(&r) || s.full != is_full_at(slot, s.generation))
            return ms_fail(reterr, MS_CORRUPT, "slot %u makes no sense", slot);
    } else if (code != MS_NOT_FOUND) {
        return code;
    }
    code = check_content(txn, 'a', slot, &s, reterr);
    if (code == MS_OK)
        code = check_content(txn, 'b', slot, &s, reterr);
    if (code == MS_OK)
        *ret_slot = s;
    return code;
}

static enum ms_code read_sum(struct ms_txn *txn, uint64_t *ret_sum, struct ms_error *reterr) {
    struct ms_reader r;
    struct ms_view v;
    uint8_t key[16];
    enum ms_code code = ms_txn_get(txn, key_view('s', 0, key), &v, reterr);

    *ret_sum = 0;
    if (code == MS_NOT_FOUND)
        return MS_OK;
    if (code != MS_OK)
        return code;
    r = ms_reader_on(v);
    *ret_sum = ms_read_u64(&r);
    return ms_reader_done(&r) ? MS_OK : ms_fail(reterr, MS_CORRUPT, "the sum makes no sense");
}

/* How many numbers were given, and that none was given twice: they are the keys. */
static enum ms_code count_numbers(struct ms_txn *txn, uint64_t *ret_n, struct ms_error *reterr) {
    struct ms_scan scan;
    enum ms_code code;

    *ret_n = 0;
    ms_scan_prefix(&scan, txn, ms_view_str("n"));
    while ((code = ms_scan_next(&scan, NULL, NULL, reterr)) == MS_OK)
        ++*ret_n;
    ms_scan_end(&scan);
    return code == MS_NOT_FOUND ? MS_OK : code;
}

static enum ms_code read_all(struct ms_txn *txn, struct work_slot slots[WORK_SLOTS], struct ms_error *reterr) {
    uint64_t sum = 0, numbers = 0, want = 0;
    enum ms_code code = MS_OK;

    for (unsigned i = 0; i < WORK_SLOTS && code == MS_OK; i++) {
        code = work_read(txn, i, &slots[i], reterr);
        want += code == MS_OK ? slots[i].generation : 0;
    }
    if (code == MS_OK)
        code = read_sum(txn, &sum, reterr);
    if (code == MS_OK)
        code = count_numbers(txn, &numbers, reterr);
    if (code == MS_OK && (sum != want || numbers != want))
        return ms_fail(reterr, MS_CORRUPT, "%" PRIu64 " operations by the slots, %" PRIu64 " by the sum, %" PRIu64
                                           " by the numbers", want, sum, numbers);
    return code;
}

enum ms_code work_read_all(struct ms_store *store, struct work_slot ret_slots[WORK_SLOTS], struct ms_error *reterr) {
    struct ms_error err = {0};
    struct ms_txn *txn;
    enum ms_code code = ms_read_begin(store, &txn, reterr);

    if (code != MS_OK)
        return code;
    code = read_all(txn, ret_slots, &err);
    ms_read_end(txn);
    return code == MS_OK ? MS_OK : ms_fail(reterr, code, "%s", err.message);
}

/* ---- the operation ----------------------------------------------------------------------------------------------- */

static enum ms_code put_content(struct ms_txn *txn, char kind, unsigned slot, const struct work_slot *s,
                                struct ms_error *reterr) {
    uint8_t key[16], bytes[WORK_VALUE_MAX];

    if (!s->full)
        return ms_txn_del(txn, key_view(kind, slot, key), reterr);
    return ms_txn_put(txn, key_view(kind, slot, key),
                      ms_view_of(bytes, make_content(kind, slot, s->generation, bytes)), reterr);
}

static enum ms_code put_counts(struct ms_txn *txn, unsigned slot, const struct work_slot *s, struct ms_error *reterr) {
    uint8_t key[16], bytes[16];
    struct ms_writer w = ms_writer_on(bytes, sizeof bytes);
    uint64_t sum = 0, number = 0;
    enum ms_code code;

    ms_write_u64(&w, s->generation);
    ms_write_u8(&w, s->full);
    code = ms_txn_put(txn, key_view('g', slot, key), ms_writer_view(&w), reterr);
    if (code == MS_OK)
        code = ms_txn_number(txn, "work", &number, reterr);
    if (code == MS_OK && ms_txn_has(txn, key_view('n', number, key)))
        return ms_fail(reterr, MS_CORRUPT, "the number %" PRIu64 " was given twice", number);
    if (code == MS_OK)
        code = ms_txn_put(txn, key_view('n', number, key), ms_writer_view(&w), reterr);
    if (code == MS_OK)
        code = read_sum(txn, &sum, NULL);
    w = ms_writer_on(bytes, sizeof bytes);
    ms_write_u64(&w, sum + 1);
    if (code == MS_OK)
        code = ms_txn_put(txn, key_view('s', 0, key), ms_writer_view(&w), reterr);
    return code == MS_OK ? ms_txn_feed(txn, ms_writer_view(&w), reterr) : code;
}

static enum ms_code work_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const unsigned *slot = in;
    uint64_t *ret_generation = out;
    struct ms_error err = {0};
    struct work_slot s;
    enum ms_code code = work_read(txn, *slot, &s, &err);

    if (code != MS_OK)
        return ms_fail(reterr, code, "%s", err.message);
    s.generation++;
    s.full = is_full_at(*slot, s.generation);
    code = put_content(txn, 'a', *slot, &s, reterr);
    if (code == MS_OK)
        code = put_content(txn, 'b', *slot, &s, reterr);
    if (code == MS_OK)
        code = put_counts(txn, *slot, &s, reterr);
    *ret_generation = s.generation;
    return code;
}

enum ms_code work_write(struct ms_store *store, unsigned slot, uint64_t *ret_generation, struct ms_error *reterr) {
    return ms_store_write(store,
                          &(struct ms_write){.fn = work_op, .in = &slot, .out = ret_generation,
                                             .out_size = sizeof *ret_generation},
                          reterr);
}
