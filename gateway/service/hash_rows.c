#include "service/hash_rows.h"

#include "base/id.h"

#include <inttypes.h>
#include <string.h>

static struct ms_key row_of(struct ms_object_id object, uint64_t block) {
    return ms_key_hashes(object, (uint32_t)(block / MS_HASHES_PER_ROW));
}

enum ms_code ms_hash_rows_put(struct ms_txn *txn, struct ms_object_id object,
                              const struct ms_hashes *hashes, struct ms_error *reterr) {
    for (uint64_t at = 0; at < hashes->count; at += MS_HASHES_PER_ROW) {
        uint64_t left = hashes->count - at;
        struct ms_hashes_record row = {
            .count = (uint16_t)(left < MS_HASHES_PER_ROW ? left : MS_HASHES_PER_ROW)};
        memcpy(row.hash, hashes->hash + at, row.count * sizeof row.hash[0]);
        MS_TRY(ms_row_put_hashes(txn, row_of(object, at), &row, reterr));
    }
    return MS_OK;
}

enum ms_code ms_hash_rows_get(struct ms_txn *txn, struct ms_object_id object, uint64_t first,
                              uint64_t n, uint64_t *ret_hash, struct ms_error *reterr) {
    for (uint64_t i = 0; i < n;) {
        struct ms_hashes_record row;
        uint64_t at = (first + i) % MS_HASHES_PER_ROW, take = MS_HASHES_PER_ROW - at;
        if (take > n - i)
            take = n - i;
        MS_TRY(ms_row_get_hashes(txn, row_of(object, first + i), &row, reterr));
        if (row.count < at + take)
            return ms_fail(reterr, MS_CORRUPT,
                           "object %s has %u block hashes in a row that needs %" PRIu64,
                           ms_id_text(object.id).s, row.count, at + take);
        memcpy(ret_hash + i, row.hash + at, take * sizeof *ret_hash);
        i += take;
    }
    return MS_OK;
}
