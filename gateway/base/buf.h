/* buf.h — growing bytes with a hard maximum, and non-owning views.
 *
 * struct ms_buf b = MS_BUF_MAX(n); owns its bytes: MS_AUTO(ms_buf_fini). {0} means a maximum of
 * MS_BUF_MAX_DEFAULT. A NUL stands behind the bytes whenever data is not NULL, so text may be read
 * as a C string.
 */
#ifndef MS_BASE_BUF_H
#define MS_BASE_BUF_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ms_view {
    const void *p; /* may be NULL when n is 0 */
    size_t n;
};
static inline struct ms_view ms_view_of(const void *p, size_t n) { return (struct ms_view){p, n}; }
static inline struct ms_view ms_view_str(const char *s) { return (struct ms_view){s, strlen(s)}; }
static inline bool ms_view_equal(struct ms_view a, struct ms_view b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

#define MS_BUF_MAX_DEFAULT ((size_t)1 << 20)
#define MS_BUF_MAX(n)                                                                              \
    { NULL, 0, 0, (n) }

struct ms_buf {
    uint8_t *data;
    size_t len, cap, max;
};

void ms_buf_fini(struct ms_buf *buf);  /* leaves {0} with the same max */
void ms_buf_clear(struct ms_buf *buf); /* keeps the memory */
static inline struct ms_view ms_buf_view(const struct ms_buf *b) {
    return ms_view_of(b->data, b->len);
}

/* Each leaves the buffer as it was on failure. Errors: MS_RANGE beyond max, MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_buf_reserve(struct ms_buf *buf, size_t more, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_buf_add(struct ms_buf *buf, const void *p, size_t n,
                                     struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_buf_addf(struct ms_buf *buf, struct ms_error *reterr, const char *fmt,
                                      ...) MS_PRINTF(3, 4);
#endif
