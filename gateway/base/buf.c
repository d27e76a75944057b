#include "base/buf.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

static size_t max_of(const struct ms_buf *buf) { return buf->max ? buf->max : MS_BUF_MAX_DEFAULT; }

void ms_buf_fini(struct ms_buf *buf) {
    free(buf->data);
    *buf = (struct ms_buf)MS_BUF_MAX(buf->max);
}

void ms_buf_clear(struct ms_buf *buf) {
    buf->len = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

enum ms_code ms_buf_reserve(struct ms_buf *buf, size_t more, struct ms_error *reterr) {
    size_t max = max_of(buf), cap;
    uint8_t *data;

    MS_ASSERT(buf->len <= max);
    if (more > max - buf->len)
        return ms_fail(reterr, MS_RANGE, "%zu bytes and %zu more pass the limit of %zu bytes",
                       buf->len, more, max);
    if (buf->data && buf->len + more <= buf->cap)
        return MS_OK;
    cap = buf->cap > max / 2 ? max : buf->cap * 2; /* doubling keeps adding byte by byte linear */
    if (cap < buf->len + more)
        cap = buf->len + more;
    if (cap < 64)
        cap = max < 64 ? max : 64;
    data = realloc(buf->data, cap + 1);
    if (!data)
        return ms_fail(reterr, MS_NO_MEMORY, "out of memory for %zu bytes", cap + 1);
    data[buf->len] = '\0';
    buf->data = data;
    buf->cap = cap;
    return MS_OK;
}

enum ms_code ms_buf_add(struct ms_buf *buf, const void *p, size_t n, struct ms_error *reterr) {
    enum ms_code code = ms_buf_reserve(buf, n, reterr);

    if (code != MS_OK || n == 0)
        return code;
    memcpy(buf->data + buf->len, p, n);
    buf->len += n;
    buf->data[buf->len] = '\0';
    return MS_OK;
}

static enum ms_code add_v(struct ms_buf *buf, struct ms_error *reterr, const char *fmt,
                          va_list ap) {
    va_list again;
    enum ms_code code;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        return ms_fail(reterr, MS_INTERNAL, "text cannot be formatted as '%s'", fmt);
    code = ms_buf_reserve(buf, (size_t)n, reterr);
    if (code != MS_OK)
        return code;
    vsnprintf((char *)buf->data + buf->len, (size_t)n + 1, fmt, ap);
    buf->len += (size_t)n;
    return MS_OK;
}

enum ms_code ms_buf_addf(struct ms_buf *buf, struct ms_error *reterr, const char *fmt, ...) {
    enum ms_code code;
    va_list ap;

    va_start(ap, fmt);
    code = add_v(buf, reterr, fmt, ap);
    va_end(ap);
    return code;
}
