#include "support/test.h"

#include <stdio.h>
#include <string.h>

static void a_failure_without_text_says_what_its_code_means(void **state) {
    struct ms_error err = {0};

    (void)state;
    assert_int_equal(ms_fail(&err, MS_QUOTA, "%s", ""), MS_QUOTA);
    assert_string_equal(err.message, "quota exceeded");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_without_text_says_what_its_code_means),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
