#include "base/fd.h"

#include <unistd.h>

#define PIECE_BYTES ((size_t)64 << 10)

enum ms_code ms_fd_read_all(int fd, struct ms_buf *buf, struct ms_error *reterr) {
    size_t max = buf->max ? buf->max : MS_BUF_MAX_DEFAULT;
    for (;;) {
        size_t left = max - buf->len;
        size_t want = left < PIECE_BYTES ? left : PIECE_BYTES;
        char beyond;
        if (left > 0)
            MS_TRY(ms_buf_reserve(buf, want, reterr));
        ssize_t n = left > 0 ? read(fd, buf->data + buf->len, want) : read(fd, &beyond, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ms_fail_errno(reterr, errno, "cannot read the file");
        if (n == 0)
            return MS_OK;
        if (left == 0)
            return ms_fail(reterr, MS_RANGE, "the file has more than %zu bytes", max);
        buf->len += (size_t)n;
        buf->data[buf->len] = '\0';
    }
}

enum ms_code ms_fd_read(int fd, void *into, size_t n, struct ms_error *reterr) {
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, (char *)into + at, n - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ms_fail_errno(reterr, errno, "cannot read the input");
        if (got == 0)
            return ms_fail(reterr, MS_NO_INPUT, "the input ends %zu bytes too early", n - at);
        at += (size_t)got;
    }
    return MS_OK;
}

enum ms_code ms_fd_write(int fd, const void *p, size_t n, struct ms_error *reterr) {
    for (size_t at = 0; at < n;) {
        ssize_t w = write(fd, (const char *)p + at, n - at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return ms_fail(reterr, MS_CANT_CREATE, "cannot write the output: %s", strerror(errno));
        at += (size_t)w;
    }
    return MS_OK;
}
