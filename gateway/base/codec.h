/* codec.h — bounded big-endian reader and writer with a sticky error.
 *
 * Integers are big-endian so that keys sort as numbers. The first failure sticks: later calls do
 * nothing and reads give zero, so a record is written and read as prose and checked once at the
 * end. Text is a u16 length followed by that many bytes without NUL.
 */
#ifndef MS_BASE_CODEC_H
#define MS_BASE_CODEC_H

#include "base/buf.h"
#include "base/id.h"
#include "base/time.h"

struct ms_writer {
    uint8_t *p;
    size_t cap, len;
    bool failed; /* did not fit, or a text was longer than its maximum */
};
static inline struct ms_writer ms_writer_on(void *p, size_t cap) {
    return (struct ms_writer){(uint8_t *)p, cap, 0, false};
}
void ms_write_u8(struct ms_writer *w, uint8_t v);
void ms_write_u16(struct ms_writer *w, uint16_t v);
void ms_write_u32(struct ms_writer *w, uint32_t v);
void ms_write_u64(struct ms_writer *w, uint64_t v);
void ms_write_i64(struct ms_writer *w, int64_t v); /* sign bit flipped: sorts as a number */
void ms_write_bytes(struct ms_writer *w, const void *p, size_t n);
void ms_write_str(struct ms_writer *w, const char *s, size_t max); /* max without the NUL */
static inline struct ms_view ms_writer_view(const struct ms_writer *w) {
    return ms_view_of(w->p, w->len);
}

struct ms_reader {
    const uint8_t *p;
    size_t n, at;
    bool failed; /* ended early, or a value outside its range */
};
static inline struct ms_reader ms_reader_on(struct ms_view v) {
    return (struct ms_reader){(const uint8_t *)v.p, v.n, 0, false};
}
uint8_t ms_read_u8(struct ms_reader *r);
uint16_t ms_read_u16(struct ms_reader *r);
uint32_t ms_read_u32(struct ms_reader *r);
uint64_t ms_read_u64(struct ms_reader *r);
int64_t ms_read_i64(struct ms_reader *r);
void ms_read_bytes(struct ms_reader *r, void *ret_p, size_t n);
/* Copies text of at most max bytes into ret_s[max + 1]; fails on embedded NUL. */
void ms_read_str(struct ms_reader *r, char *ret_s, size_t max);
static inline size_t ms_reader_left(const struct ms_reader *r) {
    return r->failed ? 0 : r->n - r->at;
}
/* True when nothing failed and every byte was read. */
static inline bool ms_reader_done(const struct ms_reader *r) { return !r->failed && r->at == r->n; }

#endif
