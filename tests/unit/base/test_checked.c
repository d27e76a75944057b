#include "support/test.h"

#include "base/checked.h"

static void overflow_is_reported_at_the_edge_and_not_before(void **state) {
    uint64_t u;
    int64_t i;

    (void)state;
    assert_false(ms_add_u64(UINT64_MAX - 1, 1, &u));
    assert_true(u == UINT64_MAX);
    assert_true(ms_add_u64(UINT64_MAX, 1, &u));
    assert_false(ms_sub_u64(5, 5, &u));
    assert_true(u == 0);
    assert_true(ms_sub_u64(5, 6, &u));
    assert_false(ms_mul_u64(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &u));
    assert_true(ms_mul_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &u));
    assert_false(ms_add_i64(INT64_MAX, INT64_MIN, &i));
    assert_int_equal(i, -1);
    assert_true(ms_add_i64(INT64_MAX, 1, &i));
    assert_true(ms_add_i64(INT64_MIN, -1, &i));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overflow_is_reported_at_the_edge_and_not_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
