/* catalogue_text.h — one line of the catalogue in the object store: written, and read back with
 * distrust.
 *
 * A line is a JSON object whose last member "sum" is the XXH3-64, 16 hex digits, of the line's bytes
 * before `,"sum"`: a flipped bit or a cut loses that line and no other. Members that are 0, empty or
 * none are left out. Records are written field by field under the names of model/records.def;
 * instants are milliseconds since 1970, ids and hashes lower-case hex. Bytes that are not UTF-8
 * stand as hex under "<name>_hex". gateway/README.md, "Catalogue", is the page for readers.
 *
 * Threads: pure.
 */
#ifndef MS_SERVICE_CATALOGUE_TEXT_H
#define MS_SERVICE_CATALOGUE_TEXT_H

#include "base/buf.h"
#include "model/record.h"

#include <jansson.h>

/* ---- writing --------------------------------------------------------------------------------- */

/* A line at the end of a buffer. The first failure sticks; ms_line_end() tells it, and then nothing
 * of the line is there. */
struct ms_line {
    struct ms_buf *buf;
    size_t begin;
    bool comma;
    enum ms_code code;
};
void ms_line_begin(struct ms_line *l, struct ms_buf *buf, const char *kind); /* {"kind":kind */
void ms_line_number(struct ms_line *l, const char *name, uint64_t n); /* left out when 0 */
void ms_line_text(struct ms_line *l, const char *name, struct ms_view text); /* left out when "" */
void ms_line_hex(struct ms_line *l, const char *name, const void *p, size_t n);
void ms_line_id(struct ms_line *l, const char *name, struct ms_id id); /* left out when none */
/* what: '[' or '{'. name NULL: an element of an array. */
void ms_line_open(struct ms_line *l, const char *name, char what);
void ms_line_close(struct ms_line *l, char what); /* ']' or '}' */
MS_NODISCARD enum ms_code ms_line_end(struct ms_line *l, struct ms_error *reterr);

/* ---- reading --------------------------------------------------------------------------------- */

/* line: without its newline. *ret_object is the caller's: json_decref(). Errors: MS_CORRUPT the sum
 * is wrong, or it is no object of JSON. */
MS_NODISCARD enum ms_code ms_line_parse(struct ms_view line, json_t **ret_object,
                                        struct ms_error *reterr);
static inline void ms_json_drop(json_t **object) { json_decref(*object); }
/* "" or 0 or none when it is missing or something else. */
const char *ms_json_text(const json_t *object, const char *name);
uint64_t ms_json_number(const json_t *object, const char *name);
struct ms_id ms_json_id(const json_t *object, const char *name);
/* What ms_line_text() wrote. False when it is not there or longer than max; ret_text[max + 1]. */
bool ms_json_bytes(const json_t *object, const char *name, char *ret_text, size_t max,
                   size_t *ret_n);
/* Pairs of hex digits, exactly n bytes. */
bool ms_hex_parse(const char *hex, void *ret_p, size_t n);

/* ---- records --------------------------------------------------------------------------------- */

/* Those that stand in lines. */
#define MS_LINE_RECORDS(R)                                                                         \
    R(tenant, MS_TENANT_FIELDS) R(asset, MS_ASSET_FIELDS) R(file, MS_FILE_FIELDS)                  \
    R(version, MS_VERSION_FIELDS) R(object, MS_OBJECT_FIELDS) R(inode, MS_INODE_FIELDS)            \
    R(bin, MS_BIN_FIELDS) R(review, MS_REVIEW_FIELDS)

/* Write: an object member (name NULL: an element). Read: MS_CORRUPT when a value is of another kind,
 * out of range, or breaks the record's invariant: what was read is as good as a decoded row. */
#define MS_LINE_RECORD_DECLARE(name, FIELDS)                                                       \
    void ms_line_##name(struct ms_line *l, const char *member,                                     \
                        const struct ms_##name##_record *record);                                  \
    MS_NODISCARD enum ms_code ms_json_##name(                                                      \
        const json_t *object, struct ms_##name##_record *ret_record, struct ms_error *reterr);
MS_LINE_RECORDS(MS_LINE_RECORD_DECLARE)

#endif
