/* rows.c — the store's own rows, on whichever transaction the caller has open. */
#include "store/internal.h"

#include "base/assert.h"
#include "base/codec.h"

struct ms_store_key ms_store_key(enum ms_store_row row) {
    return (struct ms_store_key){{0x00, (uint8_t)row}, 2};
}

static struct ms_store_key key_with(enum ms_store_row row, const void *p, size_t n) {
    struct ms_store_key k = ms_store_key(row);

    MS_ASSERT(n <= sizeof k.bytes - 2);
    memcpy(k.bytes + 2, p, n);
    k.len += n;
    return k;
}

struct ms_store_key ms_store_key_name(enum ms_store_row row, const char *name) {
    return key_with(row, name, strlen(name));
}

struct ms_store_key ms_store_key_id(enum ms_store_row row, struct ms_id id) {
    return key_with(row, id.b, sizeof id.b);
}

struct ms_store_key ms_store_key_seq(enum ms_store_row row, uint64_t seq) {
    uint8_t b[8];
    struct ms_writer w = ms_writer_on(b, sizeof b);

    ms_write_u64(&w, seq);
    return key_with(row, b, sizeof b);
}

enum ms_code ms_store_row_get(struct ms_store *store, MDB_txn *mdb, const struct ms_store_key *key,
                              struct ms_view *ret_value, struct ms_error *reterr) {
    MDB_val k = ms_val_of(ms_store_key_view(key)), v;
    int rc = mdb_get(mdb, store->dbi, &k, &v);

    if (rc != 0)
        return ms_store_fail(store, reterr, rc, "reading a row of the store");
    return ms_envelope_open(ms_store_key_view(key), ms_view_of_val(v), ret_value, reterr);
}

enum ms_code ms_store_row_put(struct ms_store *store, MDB_txn *mdb, const struct ms_store_key *key,
                              struct ms_view value, struct ms_error *reterr) {
    uint8_t bytes[2048 + MS_ENVELOPE_BYTES];
    MDB_val k = ms_val_of(ms_store_key_view(key)), v;
    int rc;

    MS_ASSERT(value.n <= 2048);
    v = (MDB_val){ms_envelope_wrap(bytes, ms_store_key_view(key), value), bytes};
    rc = mdb_put(mdb, store->dbi, &k, &v, 0);
    if (rc != 0)
        return ms_store_fail(store, reterr, rc, "writing a row of the store");
    return MS_OK;
}

enum ms_code ms_store_row_state_get(struct ms_store *store, MDB_txn *mdb,
                                    struct ms_store_state *ret_state, struct ms_error *reterr) {
    struct ms_store_key key = ms_store_key(MS_ROW_STATE);
    struct ms_store_state state;
    struct ms_reader r;
    struct ms_view v;
    enum ms_code code = ms_store_row_get(store, mdb, &key, &v, reterr);

    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, MS_CORRUPT, "the state row of %s is missing; run fsck", store->dir);
    if (code != MS_OK)
        return code;
    r = ms_reader_on(v);
    state.last = ms_instant_of(ms_read_i64(&r));
    state.feed_first = ms_read_u64(&r);
    state.feed_next = ms_read_u64(&r);
    if (!ms_reader_done(&r) || state.last.ms < 0 || state.feed_first > state.feed_next)
        return ms_fail(reterr, MS_CORRUPT, "the state row of %s makes no sense; run fsck",
                       store->dir);
    *ret_state = state;
    return MS_OK;
}

enum ms_code ms_store_row_state_put(struct ms_store *store, MDB_txn *mdb,
                                    const struct ms_store_state *state, struct ms_error *reterr) {
    struct ms_store_key key = ms_store_key(MS_ROW_STATE);
    uint8_t b[24];
    struct ms_writer w = ms_writer_on(b, sizeof b);

    ms_write_i64(&w, state->last.ms);
    ms_write_u64(&w, state->feed_first);
    ms_write_u64(&w, state->feed_next);
    MS_ASSERT(!w.failed && w.len == sizeof b);
    return ms_store_row_put(store, mdb, &key, ms_writer_view(&w), reterr);
}

enum ms_code ms_store_row_count_up(struct ms_store *store, MDB_txn *mdb, const char *name,
                                   uint64_t by, uint64_t *ret_first, struct ms_error *reterr) {
    struct ms_store_key key = ms_store_key_name(MS_ROW_NUMBER, name);
    uint8_t b[8];
    struct ms_writer w = ms_writer_on(b, sizeof b);
    uint64_t first = 1;
    struct ms_error err = {0};
    struct ms_view v;
    enum ms_code code = ms_store_row_get(store, mdb, &key, &v, &err);

    if (code == MS_OK) {
        struct ms_reader r = ms_reader_on(v);

        first = ms_read_u64(&r);
        if (!ms_reader_done(&r) || first == 0 || first > UINT64_MAX - by)
            return ms_fail(reterr, MS_CORRUPT, "the counter '%s' of %s makes no sense; run fsck",
                           name, store->dir);
    } else if (code != MS_NOT_FOUND) {
        return ms_fail(reterr, code, "%s", err.message);
    }
    ms_write_u64(&w, first + by);
    code = ms_store_row_put(store, mdb, &key, ms_writer_view(&w), reterr);
    if (code == MS_OK)
        *ret_first = first;
    return code;
}
