/* scope.h — attributes that make ownership and checking visible.
 *
 * MS_AUTO(f) frees a variable on every way out of its block by calling f(&variable); MS_TAKE(x)
 * moves a pointer out of such a variable. A failed cmocka assertion jumps over these handlers, so
 * tests keep their resources in fixtures.
 */
#ifndef MS_BASE_SCOPE_H
#define MS_BASE_SCOPE_H

/* clang warns about scope guards that are never read: hence "unused". */
#define MS_AUTO(fn) __attribute__((cleanup(fn), unused))

/* Move a pointer out of *x: the expression is its value, *x is NULL afterwards. */
#define MS_TAKE(x)                                                                                 \
    __extension__({                                                                                \
        __typeof__(x) ms_take_ = (x);                                                              \
        (x) = NULL;                                                                                \
        ms_take_;                                                                                  \
    })

#define MS_NODISCARD __attribute__((warn_unused_result))
#define MS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define MS_UNUSED __attribute__((unused))

#define MS_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MS_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
