/* error.h — one vocabulary of failures for every front end.
 *
 * A fallible function returns enum ms_code and, when reterr is not NULL, fills it with the code and
 * a one-line message made where the facts are: what was refused, by which rule, with the numbers,
 * and what to do. Callers pass it up unchanged or convert it once. Foreign codes (LMDB, curl, S3
 * XML, errno) are translated in the layer that includes them. errno leaves the program in fuse/
 * only.
 *
 * Threads: an ms_error belongs to its caller; nothing here is shared.
 * See: gateway/README.md "Errors", msasset(1) EXIT STATUS (compared with this table by a test).
 */
#ifndef MS_BASE_ERROR_H
#define MS_BASE_ERROR_H

#include "base/scope.h"

#include <errno.h>
#include <stdarg.h>

/* name, errno for FUSE, HTTP status, process exit code (sysexits.h where one fits), text */
#define MS_CODES(X)                                                                                \
    X(OK, 0, 200, 0, "success")                                                                    \
    X(USAGE, EINVAL, 400, 64, "wrong usage")                                                       \
    X(INVALID, EINVAL, 400, 65, "invalid value")                                                   \
    X(BAD_NAME, EILSEQ, 400, 65, "name not allowed")                                               \
    X(NAME_TOO_LONG, ENAMETOOLONG, 400, 65, "name too long")                                       \
    X(RANGE, ERANGE, 400, 65, "value out of range")                                                \
    X(WRONG_KIND, EMEDIUMTYPE, 400, 65, "content of the wrong kind")                               \
    X(TOO_LARGE, EFBIG, 413, 65, "larger than the limit")                                          \
    X(MISMATCH, EINVAL, 400, 65, "not what was declared")                                          \
    X(REVIEW, EACCES, 403, 65, "rejected by review")                                               \
    X(BILL_INPUT, EINVAL, 400, 2, "history or rate card wrong") /* bill.md section 5 wants 2 */       \
    X(NOT_FOUND, ENOENT, 404, 4, "not found")                                                      \
    X(NO_ATTR, ENODATA, 404, 4, "no such attribute")                                               \
    X(NO_TENANT, ENOENT, 404, 67, "no such tenant or user")                                        \
    X(NO_INPUT, ENOENT, 400, 66, "input cannot be read")                                           \
    X(CANT_CREATE, EIO, 500, 73, "output cannot be written")                                       \
    X(EXISTS, EEXIST, 409, 5, "exists already")                                                    \
    X(NOT_EMPTY, ENOTEMPTY, 409, 5, "folder not empty")                                            \
    X(NOT_DIR, ENOTDIR, 400, 5, "not a folder")                                                    \
    X(IS_DIR, EISDIR, 400, 5, "is a folder")                                                       \
    X(LOOP, EINVAL, 409, 5, "folder would contain itself")                                         \
    X(LINKS, EMLINK, 409, 5, "too many links")                                                     \
    X(CROSS, EXDEV, 400, 5, "crosses a tenant or the recycle bin")                                 \
    X(WRONG_STATE, EPERM, 409, 5, "refused in this state")                                         \
    X(BUSY, EBUSY, 409, 5, "in use or reserved")                                                   \
    X(QUOTA, EDQUOT, 403, 6, "quota exceeded")                                                     \
    X(NOT_READABLE, EACCES, 403, 77, "not readable in this state")                                 \
    X(DENIED, EACCES, 403, 77, "permission denied")                                                \
    X(NOT_PERMITTED, EPERM, 403, 77, "operation not permitted")                                    \
    X(READ_ONLY, EROFS, 403, 77, "read-only")                                                      \
    X(CORRUPT, EIO, 500, 74, "data damaged")                                                       \
    X(IO, EIO, 500, 74, "input/output error")                                                      \
    X(NO_SPACE, ENOSPC, 507, 74, "no space left")                                                  \
    X(NO_MEMORY, ENOMEM, 503, 71, "out of memory or another resource")                             \
    X(UNAVAILABLE, EIO, 503, 69, "store unreachable")                                              \
    X(TIMEOUT, ETIMEDOUT, 504, 75, "deadline passed")                                              \
    X(THROTTLED, EAGAIN, 429, 75, "too many requests")                                             \
    X(CONFLICT, EAGAIN, 409, 75, "changed meanwhile")                                              \
    X(CANCELLED, EINTR, 499, 130, "cancelled")                                                     \
    X(STALE, ESTALE, 410, 75, "no longer there")                                                   \
    X(FENCED, EIO, 500, 75, "another process took over")                                           \
    X(UNSUPPORTED, EOPNOTSUPP, 501, 70, "not supported")                                           \
    X(PROTOCOL, EIO, 502, 76, "answer not understood")                                             \
    X(CONFIG, EINVAL, 500, 78, "configuration wrong")                                              \
    X(NEWER_FORMAT, EIO, 500, 78, "made by a newer msasset")                                       \
    X(FOREIGN, EIO, 500, 78, "belongs to another program or store")                                \
    X(PANIC, EIO, 500, 70, "metadata store unusable until restart")                                \
    X(INTERNAL, EIO, 500, 70, "internal error")

enum ms_code {
#define MS_CODE_ENUM(name, err, http, exit_code, text) MS_##name,
    MS_CODES(MS_CODE_ENUM)
#undef MS_CODE_ENUM
        MS_CODE_COUNT
};

#define MS_ERROR_MESSAGE_MAX 400

/* {0} is "no error". The message is UTF-8, never empty when code is not MS_OK, cut at a char. */
struct ms_error {
    enum ms_code code;
    char message[MS_ERROR_MESSAGE_MAX];
};

/* ms_fail(reterr, code, fmt, ...): fill *reterr (may be NULL) and be code, so that failing is one
 * statement. code is not MS_OK.
 * ms_fail_errno(reterr, err, fmt, ...): the same with the code that fits a system error number, and
 * ": <strerror>" appended.
 * Macros, so that the optimiser knows that they never are MS_OK: else it warns wherever an
 * out-parameter, which is written on success only, is read after a call that it could inline. */
#define ms_fail(reterr, code, ...) MS_NOT_OK(ms_error_fill((reterr), (code), __VA_ARGS__))
#define ms_fail_errno(reterr, err, ...) MS_NOT_OK(ms_error_fill_errno((reterr), (err), __VA_ARGS__))

#define MS_NOT_OK(call)                                                                            \
    __extension__({                                                                                \
        enum ms_code ms_not_ok_ = (call);                                                          \
        if (ms_not_ok_ == MS_OK)                                                                   \
            __builtin_unreachable();                                                               \
        ms_not_ok_;                                                                                \
    })

/* Pass a failure up unchanged. */
#define MS_TRY(call)                                                                               \
    do {                                                                                           \
        enum ms_code try_code_ = (call);                                                           \
        if (try_code_ != MS_OK)                                                                    \
            return try_code_;                                                                      \
    } while (0)

enum ms_code ms_error_fill(struct ms_error *reterr, enum ms_code code, const char *fmt, ...)
    MS_PRINTF(3, 4);
enum ms_code ms_error_fill_errno(struct ms_error *reterr, int err, const char *fmt, ...)
    MS_PRINTF(3, 4);
enum ms_code ms_vfail(struct ms_error *reterr, enum ms_code code, const char *fmt, va_list ap)
    MS_PRINTF(3, 0);

/* The code for a system error number; MS_IO for one that has no row. */
enum ms_code ms_code_from_errno(int err);

const char *ms_code_name(enum ms_code code); /* "QUOTA" */
const char *ms_code_text(enum ms_code code); /* "quota exceeded" */
int ms_code_errno(enum ms_code code);        /* EDQUOT */
int ms_code_http(enum ms_code code);         /* 403 */
int ms_code_exit(enum ms_code code);         /* 6 */

#endif
