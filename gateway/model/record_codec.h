/* record_codec.h — from a field list of records.def to an encoder and a decoder; for record.c and
 * its test only.
 *
 * MS_RECORD_CODEC(name, version, FIELDS) defines ms_<name>_encode() and ms_<name>_decode(). It
 * needs struct ms_<name>_record and a function broken_<name>(record) that gives NULL or the text of
 * a broken invariant. "since" in a field list stands before the fields that a later version
 * brought: F(since, 2, 0).
 */
#ifndef MS_MODEL_RECORD_CODEC_H
#define MS_MODEL_RECORD_CODEC_H

#include "base/assert.h"
#include "model/record.h"

#define MS_WRITE_u8(m, max) ms_write_u8(w, record->m);
#define MS_WRITE_u16(m, max) ms_write_u16(w, record->m);
#define MS_WRITE_u32(m, max) ms_write_u32(w, record->m);
#define MS_WRITE_u64(m, max) ms_write_u64(w, record->m);
#define MS_WRITE_i64(m, max) ms_write_i64(w, record->m);
#define MS_WRITE_instant(m, max) ms_write_i64(w, record->m.ms);
#define MS_WRITE_id(m, max) ms_write_bytes(w, record->m.b, MS_ID_BYTES);
#define MS_WRITE_hash16(m, max) ms_write_bytes(w, record->m, 16);
#define MS_WRITE_hash32(m, max) ms_write_bytes(w, record->m, 32);
#define MS_WRITE_str(m, max) ms_write_str(w, record->m, max);
#define MS_WRITE_hashes(m, max) ms_record_write_hashes(w, record->m, record->count, max);
#define MS_WRITE_schedule(m, max) ms_record_write_schedule(w, record->m, record->m##_count, max);
#define MS_WRITE_since(since, max)                                                                 \
    if (version < (since))                                                                         \
        return;
#define MS_WRITE_FIELD(kind, m, max) MS_WRITE_##kind(m, max)

#define MS_READ_u8(m, max) record->m = ms_read_u8(r);
#define MS_READ_u16(m, max) record->m = ms_read_u16(r);
#define MS_READ_u32(m, max) record->m = ms_read_u32(r);
#define MS_READ_u64(m, max) record->m = ms_read_u64(r);
#define MS_READ_i64(m, max) record->m = ms_read_i64(r);
#define MS_READ_instant(m, max) record->m.ms = ms_read_i64(r);
#define MS_READ_id(m, max) ms_read_bytes(r, record->m.b, MS_ID_BYTES);
#define MS_READ_hash16(m, max) ms_read_bytes(r, record->m, 16);
#define MS_READ_hash32(m, max) ms_read_bytes(r, record->m, 32);
#define MS_READ_str(m, max) ms_read_str(r, record->m, max);
#define MS_READ_hashes(m, max) ms_record_read_hashes(r, record->m, record->count, max);
#define MS_READ_schedule(m, max) ms_record_read_schedule(r, record->m, record->m##_count, max);
#define MS_READ_since(since, max)                                                                  \
    if (version < (since))                                                                         \
        return;
#define MS_READ_FIELD(kind, m, max) MS_READ_##kind(m, max)

#define MS_BYTES_u8(max) 1
#define MS_BYTES_u16(max) 2
#define MS_BYTES_u32(max) 4
#define MS_BYTES_u64(max) 8
#define MS_BYTES_i64(max) 8
#define MS_BYTES_instant(max) 8
#define MS_BYTES_id(max) MS_ID_BYTES
#define MS_BYTES_hash16(max) 16
#define MS_BYTES_hash32(max) 32
#define MS_BYTES_str(max) (2 + (max))
#define MS_BYTES_hashes(max) (8 * (max))
#define MS_BYTES_schedule(max) (9 * (max))
#define MS_BYTES_since(max) 0
#define MS_BYTES_FIELD(kind, m, max) +MS_BYTES_##kind(max)

/* Only as many as count says are stored; the decoded rest is zero. */
void ms_record_write_hashes(struct ms_writer *w, const uint64_t *hash, size_t count, size_t max);
void ms_record_read_hashes(struct ms_reader *r, uint64_t *ret_hash, size_t count, size_t max);
void ms_record_write_schedule(struct ms_writer *w, const struct ms_scheduled *row, size_t count,
                              size_t max);
void ms_record_read_schedule(struct ms_reader *r, struct ms_scheduled *ret_row, size_t count,
                             size_t max);

/* What of a codec does not depend on the record. broken is NULL or the invariant's text. */
void ms_record_own(const char *broken, const char *name);
MS_NODISCARD enum ms_code ms_record_version(struct ms_reader *r, const char *name, unsigned newest,
                                            unsigned *ret_version, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_record_check(const struct ms_reader *r, const char *name,
                                          const char *broken, struct ms_error *reterr);

#define MS_RECORD_CODEC(name, newest, FIELDS)                                                      \
    MS_STATIC_ASSERT(1 FIELDS(MS_BYTES_FIELD) <= MS_RECORD_BYTES_MAX, "a " #name " must fit");     \
    static void write_##name(struct ms_writer *w, unsigned version,                                \
                             const struct ms_##name##_record *record) {                            \
        (void)version;                                                                             \
        FIELDS(MS_WRITE_FIELD)                                                                     \
    }                                                                                              \
    void ms_##name##_encode_as(const struct ms_##name##_record *record, unsigned version,          \
                               struct ms_writer *w) {                                              \
        MS_ASSERT(version >= 1 && version <= (newest));                                            \
        ms_record_own(broken_##name(record), #name);                                               \
        ms_write_u8(w, (uint8_t)version);                                                          \
        write_##name(w, version, record);                                                          \
    }                                                                                              \
    void ms_##name##_encode(const struct ms_##name##_record *record, struct ms_writer *w) {        \
        ms_##name##_encode_as(record, newest, w);                                                  \
    }                                                                                              \
    static void read_##name(struct ms_reader *r, unsigned version,                                 \
                            struct ms_##name##_record *record) {                                   \
        (void)version;                                                                             \
        FIELDS(MS_READ_FIELD)                                                                      \
    }                                                                                              \
    enum ms_code ms_##name##_decode(struct ms_view value, struct ms_##name##_record *ret_record,   \
                                    struct ms_error *reterr) {                                     \
        struct ms_##name##_record record;                                                          \
        struct ms_reader r = ms_reader_on(value);                                                  \
        unsigned version = 0;                                                                      \
        enum ms_code code = ms_record_version(&r, #name, newest, &version, reterr);                \
        if (code != MS_OK)                                                                         \
            return code;                                                                           \
        memset(&record, 0, sizeof(record));                                                        \
        read_##name(&r, version, &record);                                                         \
        code = ms_record_check(&r, #name, ms_reader_done(&r) ? broken_##name(&record) : NULL,      \
                               reterr);                                                            \
        if (code == MS_OK)                                                                         \
            *ret_record = record;                                                                  \
        return code;                                                                               \
    }

#endif
