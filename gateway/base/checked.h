/* checked.h — arithmetic that reports overflow: true means the result did not fit and *ret is not
 * to be used. */
#ifndef MS_BASE_CHECKED_H
#define MS_BASE_CHECKED_H

#include "base/scope.h"

#include <stdbool.h>
#include <stdint.h>

MS_NODISCARD static inline bool ms_add_u64(uint64_t a, uint64_t b, uint64_t *ret) {
    return __builtin_add_overflow(a, b, ret);
}
MS_NODISCARD static inline bool ms_sub_u64(uint64_t a, uint64_t b, uint64_t *ret) {
    return __builtin_sub_overflow(a, b, ret);
}
MS_NODISCARD static inline bool ms_mul_u64(uint64_t a, uint64_t b, uint64_t *ret) {
    return __builtin_mul_overflow(a, b, ret);
}
MS_NODISCARD static inline bool ms_add_i64(int64_t a, int64_t b, int64_t *ret) {
    return __builtin_add_overflow(a, b, ret);
}

#endif
