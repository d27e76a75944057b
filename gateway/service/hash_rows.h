/* hash_rows.h — the block hashes of an object (design.md section 2), MS_HASHES_PER_ROW to a row.
 *
 * Threads: a transaction belongs to one thread.
 */
#ifndef MS_SERVICE_HASH_ROWS_H
#define MS_SERVICE_HASH_ROWS_H

#include "content/hash.h"
#include "service/tables.h"

/* Write all hashes of an object. Errors: those of a write (store.h). */
MS_NODISCARD enum ms_code ms_hash_rows_put(struct ms_txn *txn, struct ms_object_id object,
                                           const struct ms_hashes *hashes, struct ms_error *reterr);
/* Read N hashes, from that of block FIRST on. Errors: MS_NOT_FOUND without a row, MS_CORRUPT with too short a one. */
MS_NODISCARD enum ms_code ms_hash_rows_get(struct ms_txn *txn, struct ms_object_id object,
                                           uint64_t first, uint64_t n, uint64_t *ret_hash,
                                           struct ms_error *reterr);

#endif
