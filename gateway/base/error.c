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

/* Not the table turned round: several rows share an errno, and what the machine means is not always
 * what the row that owns the number means. EDQUOT of the journal's disk is our lack of space, not
 * the tenant's quota. */
enum ms_code ms_code_from_errno(int err) {
    switch (err) {
    case ENOENT:
        return MS_NOT_FOUND;
    case EEXIST:
        return MS_EXISTS;
    case ENOTEMPTY:
        return MS_NOT_EMPTY;
    case ENOTDIR:
        return MS_NOT_DIR;
    case EISDIR:
        return MS_IS_DIR;
    case EXDEV:
        return MS_CROSS;
    case EMLINK:
        return MS_LINKS;
    case EINVAL:
    case ELOOP:
    case EDOM:
        return MS_INVALID;
    case EILSEQ:
        return MS_BAD_NAME;
    case ENAMETOOLONG:
        return MS_NAME_TOO_LONG;
    case ERANGE:
    case EOVERFLOW:
        return MS_RANGE;
    case EMEDIUMTYPE:
        return MS_WRONG_KIND;
    case EFBIG:
    case E2BIG:
    case EMSGSIZE:
        return MS_TOO_LARGE;
    case ENODATA:
        return MS_NO_ATTR;
    case EACCES:
        return MS_DENIED;
    case EPERM:
        return MS_NOT_PERMITTED;
    case EROFS:
        return MS_READ_ONLY;
    case EBUSY:
    case ETXTBSY:
    case EADDRINUSE:
        return MS_BUSY;
    case ENOSPC:
    case EDQUOT:
        return MS_NO_SPACE;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOLCK:
        return MS_NO_MEMORY;
    case EAGAIN:
        return MS_THROTTLED;
    case ETIMEDOUT:
        return MS_TIMEOUT;
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case ENOTCONN:
        return MS_UNAVAILABLE;
    case EINTR:
    case ECANCELED:
        return MS_CANCELLED;
    case ESTALE:
        return MS_STALE;
    case EOPNOTSUPP:
    case ENOSYS:
        return MS_UNSUPPORTED;
    case EPROTO:
        return MS_PROTOCOL;
    default:
        return MS_IO;
    }
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

enum ms_code ms_fail(struct ms_error *reterr, enum ms_code code, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    ms_vfail(reterr, code, fmt, ap);
    va_end(ap);
    return code;
}

enum ms_code ms_fail_errno(struct ms_error *reterr, int err, const char *fmt, ...) {
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
