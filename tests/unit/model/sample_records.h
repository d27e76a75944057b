/* sample_records.h — valid records with random contents, and records as text. For the test of the
 * codecs. */
#ifndef MS_TESTS_MODEL_SAMPLE_RECORDS_H
#define MS_TESTS_MODEL_SAMPLE_RECORDS_H

#include "base/buf.h"
#include "model/record.h"

/* splitmix64: the golden file must not change when the generator of base does. */
struct sample_source {
    uint64_t state;
    bool small; /* short texts and few array members, for records that people read */
};
uint64_t sample_u64(struct sample_source *s);
uint64_t sample_below(struct sample_source *s, uint64_t bound);

#define SAMPLE_DECLARE(name, version, FIELDS)                                                      \
    void sample_##name(struct sample_source *s, struct ms_##name##_record *ret_record);            \
    void raw_##name(const struct ms_##name##_record *record, struct ms_writer *w);
MS_RECORDS(SAMPLE_DECLARE)

/* One row per record, without types. raw encodes without looking at invariants. */
struct sample_kind {
    const char *name;
    unsigned version;
    size_t size;
    void (*sample)(struct sample_source *s, void *ret_record);
    void (*raw)(const void *record, struct ms_writer *w);
    void (*encode)(const void *record, struct ms_writer *w);
    enum ms_code (*decode)(struct ms_view value, void *ret_record, struct ms_error *reterr);
    bool (*equal)(const void *a, const void *b);
    void (*print)(const void *record, struct ms_buf *out); /* one line "member value" per field */
};
extern const struct sample_kind sample_kinds[];
extern const size_t sample_kinds_n;

#endif
