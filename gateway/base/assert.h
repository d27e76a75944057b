/* assert.h — checks of our own logic.
 *
 * MS_ASSERT stays on in every build: it is better to stop than to go on wrong with somebody's data.
 * MS_CHECK is for whole-structure checks that cost time; it exists in debug builds only.
 * Data from disk, network or users is never asserted: it yields MS_CORRUPT or MS_INVALID.
 */
#ifndef MS_BASE_ASSERT_H
#define MS_BASE_ASSERT_H

#include <assert.h>

/* Print the expression and its place on stderr with write(2), then abort(). */
_Noreturn void ms_assert_failed(const char *expr, const char *file, int line, const char *func);

#define MS_ASSERT(e) ((e) ? (void)0 : ms_assert_failed(#e, __FILE__, __LINE__, __func__))

#ifdef NDEBUG
#define MS_CHECK(e) ((void)0)
#else
#define MS_CHECK(e) MS_ASSERT(e)
#endif

#define MS_STATIC_ASSERT(e, text) _Static_assert(e, text)

#endif
