#include "service/tables.h"

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
        return ms_txn_put(txn, ms_key_view(&key), ms_writer_view(&w), reterr);                     \
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
    return ms_txn_del(txn, ms_key_view(&key), reterr);
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
