#include "base/error.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

static const struct row {
    const char *name;
    const char *text;
    int err;
    int http;
    int exit_code;
} rows[MS_CODE_COUNT] = {
#define MS_CODE_ROW(name, err, http, exit_code, text) {#name, text, err, http, exit_code},
    MS_CODES(MS_CODE_ROW)
#undef MS_CODE_ROW
};

static const struct row *row_of(enum ms_code code) {
    MS_ASSERT((unsigned)code < MS_CODE_COUNT);
    return &rows[code];
}

const char *ms_code_name(enum ms_code code) { return row_of(code)->name; }
const char *ms_code_text(enum ms_code code) { return row_of(code)->text; }
int ms_code_errno(enum ms_code code) { return row_of(code)->err; }
int ms_code_http(enum ms_code code) { return row_of(code)->http; }
int ms_code_exit(enum ms_code code) { return row_of(code)->exit_code; }

/* Not MS_CODES turned round: several rows share an errno, and what the machine means is not always
 * what the row that owns the number means. EDQUOT of the journal's disk is our lack of space, not
 * the tenant's quota. */
static const struct {
    int err;
    enum ms_code code;
} system_errors[] = {
    {ENOENT, MS_NOT_FOUND},
    {EEXIST, MS_EXISTS},
    {ENOTEMPTY, MS_NOT_EMPTY},
    {ENOTDIR, MS_NOT_DIR},
    {EISDIR, MS_IS_DIR},
    {EXDEV, MS_CROSS},
    {EMLINK, MS_LINKS},
    {EINVAL, MS_INVALID},
    {ELOOP, MS_INVALID},
    {EDOM, MS_INVALID},
    {EILSEQ, MS_BAD_NAME},
    {ENAMETOOLONG, MS_NAME_TOO_LONG},
    {ERANGE, MS_RANGE},
    {EOVERFLOW, MS_RANGE},
    {EMEDIUMTYPE, MS_WRONG_KIND},
    {EFBIG, MS_TOO_LARGE},
    {E2BIG, MS_TOO_LARGE},
    {EMSGSIZE, MS_TOO_LARGE},
    {ENODATA, MS_NO_ATTR},
    {EACCES, MS_DENIED},
    {EPERM, MS_NOT_PERMITTED},
    {EROFS, MS_READ_ONLY},
    {EBUSY, MS_BUSY},
    {ETXTBSY, MS_BUSY},
    {EADDRINUSE, MS_BUSY},
    {ENOSPC, MS_NO_SPACE},
    {EDQUOT, MS_NO_SPACE},
    {ENOMEM, MS_NO_MEMORY},
    {EMFILE, MS_NO_MEMORY},
    {ENFILE, MS_NO_MEMORY},
    {ENOBUFS, MS_NO_MEMORY},
    {ENOLCK, MS_NO_MEMORY},
    {EAGAIN, MS_THROTTLED},
    {ETIMEDOUT, MS_TIMEOUT},
    {ECONNREFUSED, MS_UNAVAILABLE},
    {ECONNRESET, MS_UNAVAILABLE},
    {ECONNABORTED, MS_UNAVAILABLE},
    {EHOSTUNREACH, MS_UNAVAILABLE},
    {ENETUNREACH, MS_UNAVAILABLE},
    {ENETDOWN, MS_UNAVAILABLE},
    {EHOSTDOWN, MS_UNAVAILABLE},
    {ENOTCONN, MS_UNAVAILABLE},
    {EINTR, MS_CANCELLED},
    {ECANCELED, MS_CANCELLED},
    {ESTALE, MS_STALE},
    {EOPNOTSUPP, MS_UNSUPPORTED},
    {ENOSYS, MS_UNSUPPORTED},
    {EPROTO, MS_PROTOCOL},
};

enum ms_code ms_code_from_errno(int err) {
    for (size_t i = 0; i < MS_ARRAY_LEN(system_errors); i++) {
        if (system_errors[i].err == err)
            return system_errors[i].code;
    }
    return MS_IO;
}

/* Cut text of at least max bytes to fewer than max without leaving half a character. */
static void cut_at_character(char *text, size_t max) {
    size_t n = max - 1;

    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    text[n] = '\0';
}

/* The message is printed into one byte more than it may have, so that the byte after the cut is
 * known. */
static void set_message(struct ms_error *err, const char *fmt, va_list ap, const char *tail) {
    char text[MS_ERROR_MESSAGE_MAX + 1];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    size_t len = n < 0 ? 0 : (size_t)n;

    if (tail && len < sizeof text) {
        n = snprintf(text + len, sizeof text - len, ": %s", tail);
        len += n < 0 ? 0 : (size_t)n;
    }
    if (len >= MS_ERROR_MESSAGE_MAX)
        cut_at_character(text, MS_ERROR_MESSAGE_MAX);
    else if (len == 0)
        snprintf(text, sizeof text, "%s", ms_code_text(err->code));
    memcpy(err->message, text, strlen(text) + 1);
}

enum ms_code ms_vfail(struct ms_error *reterr, enum ms_code code, const char *fmt, va_list ap) {
    MS_ASSERT(code != MS_OK);
    MS_ASSERT((unsigned)code < MS_CODE_COUNT);
    if (reterr) {
        reterr->code = code;
        set_message(reterr, fmt, ap, NULL);
    }
    return code;
}

enum ms_code ms_error_fill(struct ms_error *reterr, enum ms_code code, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    ms_vfail(reterr, code, fmt, ap);
    va_end(ap);
    return code;
}

enum ms_code ms_error_fill_errno(struct ms_error *reterr, int err, const char *fmt, ...) {
    enum ms_code code = ms_code_from_errno(err);
    char buf[128];
    va_list ap;

    if (!reterr)
        return code;
    reterr->code = code;
    va_start(ap, fmt);
    set_message(reterr, fmt, ap, strerror_r(err, buf, sizeof buf)); /* the GNU one: returns text */
    va_end(ap);
    return code;
}
