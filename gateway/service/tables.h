/* tables.h — typed rows: ms_row_get_<record>(), ms_row_put_<record>() over store and model for
 * every record.
 *
 * Get: MS_NOT_FOUND with a message that names the record; MS_CORRUPT. Put encodes, so a broken
 * invariant stops here.
 */
#ifndef MS_SERVICE_TABLES_H
#define MS_SERVICE_TABLES_H

#include "model/keys.h"
#include "model/record.h"
#include "store/store.h"

#define MS_ROW_DECLARE(name, ver, FIELDS)                                                          \
    MS_NODISCARD enum ms_code ms_row_get_##name(struct ms_txn *txn, struct ms_key key,             \
                                                struct ms_##name##_record *ret_record,             \
                                                struct ms_error *reterr);                          \
    MS_NODISCARD enum ms_code ms_row_put_##name(struct ms_txn *txn, struct ms_key key,             \
                                                const struct ms_##name##_record *record,           \
                                                struct ms_error *reterr);
MS_RECORDS(MS_ROW_DECLARE)

MS_NODISCARD enum ms_code ms_row_del(struct ms_txn *txn, struct ms_key key,
                                     struct ms_error *reterr);
/* For the catalogue: the object is dead, which its row cannot say, having no tenant in its key. */
MS_NODISCARD enum ms_code ms_row_mark_dead(struct ms_txn *txn, struct ms_tenant_id tenant,
                                           struct ms_object_id object, struct ms_error *reterr);
/* Rows that hold one id (TNAME, AOWNER, BINASSET, ORPHAN). */
MS_NODISCARD enum ms_code ms_row_get_id(struct ms_txn *txn, struct ms_key key, struct ms_id *ret_id,
                                        struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_row_put_id(struct ms_txn *txn, struct ms_key key, struct ms_id id,
                                        struct ms_error *reterr);

/* Scan a prefix of typed rows: for (ms_scan_prefix(..); ms_row_next_x(&scan, &key, &rec, err) ==
 * MS_OK;) */
#define MS_ROW_NEXT_DECLARE(name, ver, FIELDS)                                                     \
    MS_NODISCARD enum ms_code ms_row_next_##name(struct ms_scan *scan, struct ms_view *ret_key,    \
                                                 struct ms_##name##_record *ret_record,            \
                                                 struct ms_error *reterr);
MS_RECORDS(MS_ROW_NEXT_DECLARE)

#endif
