#include "service/tables.h"

/* ---- marks ----------------------------------------------------------------------------------- */

/* What the catalogue in the object store tells (service/catalogue.h). A version never changes: one
 * that goes before it was told need not be told any more. */
static bool is_told(uint8_t table, bool gone) {
    return table == 'T' || table == 'I' || table == 'A' || (table == 'V' && !gone);
}

/* In the transaction of the change itself, so that no kill can lose it. The value is new each
 * time: whoever told the row removes the mark only if it is still the one that he saw. */
static enum ms_code mark(struct ms_txn *txn, const struct ms_key *key, bool gone,
                         struct ms_error *reterr) {
    uint8_t token[8];
    struct ms_key of = *key;
    if (of.bytes[0] == 'i') /* a case stands in its asset's line, and has the same key but for the table */
        of.bytes[0] = 'A';
    if (is_told(of.bytes[0], gone)) {
        struct ms_key k = ms_key_mark(&of);
        ms_txn_random(txn, token, sizeof token);
        return ms_txn_put(txn, ms_key_view(&k), ms_view_of(token, sizeof token), reterr);
    }
    if (key->bytes[0] == 'V') {
        struct ms_key k = ms_key_mark(key);
        return ms_txn_del(txn, ms_key_view(&k), reterr);
    }
    return MS_OK;
}

enum ms_code ms_row_mark_dead(struct ms_txn *txn, struct ms_tenant_id tenant,
                              struct ms_object_id object, struct ms_error *reterr) {
    struct ms_key key = ms_key_of_dead(tenant, object), k = ms_key_mark(&key);
    uint8_t token[8];
    ms_txn_random(txn, token, sizeof token);
    return ms_txn_put(txn, ms_key_view(&k), ms_view_of(token, sizeof token), reterr);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* Every row of every record goes through these two, so encode and decode cannot be forgotten
 * anywhere. */

#define MS_ROW_DEFINE(name, ver, FIELDS)                                                           \
    enum ms_code ms_row_get_##name(struct ms_txn *txn, struct ms_key key,                          \
                                   struct ms_##name##_record *ret_record,                          \
                                   struct ms_error *reterr) {                                      \
        struct ms_view value;                                                                      \
        enum ms_code code = ms_txn_get(txn, ms_key_view(&key), &value, reterr);                    \
        if (code == MS_NOT_FOUND)                                                                  \
            return ms_fail(reterr, code, "there is no such %s", #name);                            \
        if (code != MS_OK)                                                                         \
            return code;                                                                           \
        return ms_##name##_decode(value, ret_record, reterr);                                      \
    }                                                                                              \
    enum ms_code ms_row_put_##name(struct ms_txn *txn, struct ms_key key,                          \
                                   const struct ms_##name##_record *record,                        \
                                   struct ms_error *reterr) {                                      \
        uint8_t bytes[MS_RECORD_BYTES_MAX];                                                        \
        struct ms_writer w = ms_writer_on(bytes, sizeof bytes);                                    \
        ms_##name##_encode(record, &w);                                                            \
        if (w.failed)                                                                              \
            return ms_fail(reterr, MS_INTERNAL, "a %s record does not encode", #name);             \
        enum ms_code code = ms_txn_put(txn, ms_key_view(&key), ms_writer_view(&w), reterr);        \
        return code == MS_OK ? mark(txn, &key, false, reterr) : code;                              \
    }                                                                                              \
    enum ms_code ms_row_next_##name(struct ms_scan *scan, struct ms_view *ret_key,                 \
                                    struct ms_##name##_record *ret_record,                         \
                                    struct ms_error *reterr) {                                     \
        struct ms_view value;                                                                      \
        enum ms_code code = ms_scan_next(scan, ret_key, &value, reterr);                           \
        if (code != MS_OK)                                                                         \
            return code;                                                                           \
        return ms_##name##_decode(value, ret_record, reterr);                                      \
    }
MS_RECORDS(MS_ROW_DEFINE)

enum ms_code ms_row_del(struct ms_txn *txn, struct ms_key key, struct ms_error *reterr) {
    enum ms_code code = ms_txn_del(txn, ms_key_view(&key), reterr);
    return code == MS_OK ? mark(txn, &key, true, reterr) : code;
}

enum ms_code ms_row_get_id(struct ms_txn *txn, struct ms_key key, struct ms_id *ret_id,
                           struct ms_error *reterr) {
    struct ms_view value;
    enum ms_code code = ms_txn_get(txn, ms_key_view(&key), &value, reterr);
    if (code != MS_OK)
        return code;
    if (value.n != MS_ID_BYTES)
        return ms_fail(reterr, MS_CORRUPT, "an id row holds %zu bytes instead of %d", value.n,
                       MS_ID_BYTES);
    memcpy(ret_id->b, value.p, MS_ID_BYTES);
    return MS_OK;
}

enum ms_code ms_row_put_id(struct ms_txn *txn, struct ms_key key, struct ms_id id,
                           struct ms_error *reterr) {
    return ms_txn_put(txn, ms_key_view(&key), ms_view_of(id.b, MS_ID_BYTES), reterr);
}
