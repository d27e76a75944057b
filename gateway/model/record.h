/* record.h — the records of the metadata store as plain structs, with their codecs.
 *
 * struct ms_<name>_record, ms_<name>_encode(), ms_<name>_decode() for every row of records.def.
 * A value is a version byte and the fields in order. Decode copies out and never trusts: wrong
 * version, short, long, text with NUL or a broken invariant give MS_CORRUPT. Encode of a record
 * that breaks its invariant is our own fault.
 *
 * Threads: pure.
 */
#ifndef MS_MODEL_RECORD_H
#define MS_MODEL_RECORD_H

#include "base/codec.h"
#include "model/life.h"
#include "model/limits.h"
#include "model/records.def"

#define MS_DECL_u8(m, max) uint8_t m;
#define MS_DECL_u16(m, max) uint16_t m;
#define MS_DECL_u32(m, max) uint32_t m;
#define MS_DECL_u64(m, max) uint64_t m;
#define MS_DECL_i64(m, max) int64_t m;
#define MS_DECL_instant(m, max) struct ms_instant m;
#define MS_DECL_id(m, max) struct ms_id m;
#define MS_DECL_hash16(m, max) uint8_t m[16];
#define MS_DECL_hash32(m, max) uint8_t m[32];
#define MS_DECL_str(m, max) char m[(max) + 1];
#define MS_DECL_hashes(m, max) uint64_t m[max];
#define MS_DECL_schedule(m, max) struct ms_scheduled m[max];
#define MS_DECL_since(version, max)
#define MS_DECL_FIELD(kind, m, max) MS_DECL_##kind(m, max)

#define MS_RECORD_DECLARE(name, ver, FIELDS)                                                       \
    struct ms_##name##_record {                                                                    \
        FIELDS(MS_DECL_FIELD)                                                                      \
    };                                                                                             \
    /* Writes into w, sticky on overflow. */                                                       \
    void ms_##name##_encode(const struct ms_##name##_record *record, struct ms_writer *w);         \
    /* As an older version had it: without the fields that came later. */                          \
    void ms_##name##_encode_as(const struct ms_##name##_record *record, unsigned version,          \
                               struct ms_writer *w);                                               \
    MS_NODISCARD enum ms_code ms_##name##_decode(                                                  \
        struct ms_view value, struct ms_##name##_record *ret_record, struct ms_error *reterr);
MS_RECORDS(MS_RECORD_DECLARE)

/* An encoded value of any record fits this. */
#define MS_RECORD_BYTES_MAX (24 * 1024)

/* Of an asset: a composited video that has no bytes yet, or whose minutes are metered. */
enum ms_produced { MS_NOT_PRODUCED, MS_PRODUCING, MS_PRODUCED };

/* The life cycle's facts of an asset record, and back. */
struct ms_life ms_asset_life(const struct ms_asset_record *asset);
void ms_asset_set_life(struct ms_asset_record *asset, const struct ms_life *life);

#endif
