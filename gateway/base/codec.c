#include "base/codec.h"

#include "base/assert.h"

/* The next n bytes to write, or NULL when they do not fit: then the writer has failed for good. */
static uint8_t *room(struct ms_writer *w, size_t n) {
    uint8_t *at;

    MS_ASSERT(w->len <= w->cap);
    if (w->failed || n > w->cap - w->len) {
        w->failed = true;
        return NULL;
    }
    at = w->p + w->len;
    w->len += n;
    return at;
}

static void write_be(struct ms_writer *w, uint64_t v, size_t n) {
    uint8_t *at = room(w, n);

    if (!at)
        return;
    for (size_t i = n; i-- > 0; v >>= 8)
        at[i] = (uint8_t)v;
}

void ms_write_u8(struct ms_writer *w, uint8_t v) { write_be(w, v, 1); }
void ms_write_u16(struct ms_writer *w, uint16_t v) { write_be(w, v, 2); }
void ms_write_u32(struct ms_writer *w, uint32_t v) { write_be(w, v, 4); }
void ms_write_u64(struct ms_writer *w, uint64_t v) { write_be(w, v, 8); }

void ms_write_i64(struct ms_writer *w, int64_t v) {
    write_be(w, (uint64_t)v ^ (UINT64_C(1) << 63), 8);
}

void ms_write_bytes(struct ms_writer *w, const void *p, size_t n) {
    uint8_t *at = room(w, n);

    if (at && n > 0)
        memcpy(at, p, n);
}

void ms_write_str(struct ms_writer *w, const char *s, size_t max) {
    size_t n = strnlen(s, max + 1);

    MS_ASSERT(max <= UINT16_MAX);
    if (n > max) {
        w->failed = true;
        return;
    }
    ms_write_u16(w, (uint16_t)n);
    ms_write_bytes(w, s, n);
}

/* The next n bytes to read, or NULL when there are fewer: then the reader has failed for good. */
static const uint8_t *take(struct ms_reader *r, size_t n) {
    const uint8_t *at;

    MS_ASSERT(r->at <= r->n);
    if (r->failed || n > r->n - r->at) {
        r->failed = true;
        return NULL;
    }
    at = r->p + r->at;
    r->at += n;
    return at;
}

static uint64_t read_be(struct ms_reader *r, size_t n) {
    const uint8_t *at = take(r, n);
    uint64_t v = 0;

    for (size_t i = 0; at && i < n; i++)
        v = v << 8 | at[i];
    return v;
}

uint8_t ms_read_u8(struct ms_reader *r) { return (uint8_t)read_be(r, 1); }
uint16_t ms_read_u16(struct ms_reader *r) { return (uint16_t)read_be(r, 2); }
uint32_t ms_read_u32(struct ms_reader *r) { return (uint32_t)read_be(r, 4); }
uint64_t ms_read_u64(struct ms_reader *r) { return read_be(r, 8); }

int64_t ms_read_i64(struct ms_reader *r) {
    uint64_t v = read_be(r, 8);

    return r->failed ? 0 : (int64_t)(v ^ (UINT64_C(1) << 63));
}

void ms_read_bytes(struct ms_reader *r, void *ret_p, size_t n) {
    const uint8_t *at = take(r, n);

    if (n == 0)
        return;
    if (at)
        memcpy(ret_p, at, n);
    else
        memset(ret_p, 0, n);
}

void ms_read_str(struct ms_reader *r, char *ret_s, size_t max) {
    size_t n = ms_read_u16(r);
    const uint8_t *at;

    ret_s[0] = '\0';
    if (n > max)
        r->failed = true;
    at = take(r, n);
    if (!at || n == 0)
        return;
    if (memchr(at, '\0', n)) {
        r->failed = true;
        return;
    }
    memcpy(ret_s, at, n);
    ret_s[n] = '\0';
}
