#include "support/test.h"

#include "fault/script.h"

#include <string.h>

static struct fault_script parsed(const char *text) {
    struct fault_script script;
    char why[256] = "";

    if (!fault_script_parse(text, &script, why, sizeof why))
        fail_msg("%s", why);
    return script;
}

static enum fault_action action(const struct fault_script *script, enum fault_op op, uint64_t nth) {
    return fault_script_plan(script, 1, op, nth).action;
}

static void rules_fit_by_operation_and_number(void **state) {
    struct fault_script script = parsed("PUT:2:reset, MP_PUT:3+:lost\nGET:2-3:flip,*:7:slowdown=2");

    (void)state;
    assert_int_equal(script.n, 4);
    assert_int_equal(action(&script, FAULT_PUT, 1), FAULT_DO_NONE);
    assert_int_equal(action(&script, FAULT_PUT, 2), FAULT_DO_RESET);
    assert_int_equal(action(&script, FAULT_MP_PUT, 2), FAULT_DO_NONE);
    assert_int_equal(action(&script, FAULT_MP_PUT, 9), FAULT_DO_LOST);
    assert_int_equal(action(&script, FAULT_GET, 3), FAULT_DO_FLIP);
    assert_int_equal(action(&script, FAULT_GET, 4), FAULT_DO_NONE);
    assert_int_equal(action(&script, FAULT_HEAD, 7), FAULT_DO_SLOWDOWN);
    assert_int_equal(fault_script_plan(&script, 1, FAULT_HEAD, 7).value, 2);
}

static void delays_add_up_and_the_first_other_action_counts(void **state) {
    struct fault_script script = parsed("*:*:delay=30,GET:*:delay=12,GET:*:truncate,*:*:reset");
    struct fault_plan plan = fault_script_plan(&script, 1, FAULT_GET, 1);

    (void)state;
    assert_int_equal(plan.delay_ms, 42);
    assert_int_equal(plan.action, FAULT_DO_TRUNCATE);
    script = parsed("GET:*:none,*:*:reset");
    assert_int_equal(action(&script, FAULT_GET, 1), FAULT_DO_NONE);
    assert_int_equal(action(&script, FAULT_PUT, 1), FAULT_DO_RESET);
}

static void a_percentage_is_about_that_part_and_the_same_for_the_same_seed(void **state) {
    struct fault_script script = parsed("*:20%:reset");
    unsigned resets = 0, other_seed = 0;

    (void)state;
    for (uint64_t nth = 1; nth <= 10000; nth++) {
        struct fault_plan plan = fault_script_plan(&script, 5, FAULT_PUT, nth);
        struct fault_plan again = fault_script_plan(&script, 5, FAULT_PUT, nth);

        assert_int_equal(plan.action, again.action);
        assert_int_equal(plan.where, again.where);
        resets += plan.action == FAULT_DO_RESET;
        other_seed += plan.action != fault_script_plan(&script, 6, FAULT_PUT, nth).action;
    }
    assert_in_range(resets, 1800, 2200);
    assert_in_range(other_seed, 2500, 4000);
}

static void what_cannot_be_read_is_named_and_changes_nothing(void **state) {
    static const char *const bad[] = {
        "PUT", "PUT:1", "PUT:1:nonsense", "NOPE:1:reset", "PUT:0:reset", "PUT:3-2:reset", "PUT:101%:reset",
        "PUT:0%:reset", "PUT:x:reset", "PUT:1:reset=", "PUT:1:reset=x", "PUT:1x:reset", "GET:*:trickle",
    };
    char why[256];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct fault_script script = parsed("*:*:lost");

        if (fault_script_parse(bad[i], &script, why, sizeof why))
            fail_msg("%s was read", bad[i]);
        assert_non_null(strstr(why, bad[i]));
        assert_int_equal(script.n, 1);
    }
    assert_int_equal(parsed("").n, 0);
}

static void requests_are_known_by_method_and_target(void **state) {
    static const struct {
        const char *method, *target;
        bool copies;
        enum fault_op op;
    } rows[] = {
        {"PUT", "/b/k", false, FAULT_PUT},
        {"PUT", "/b/k", true, FAULT_COPY},
        {"GET", "/b/k/uploads", false, FAULT_GET},
        {"HEAD", "/b/k", false, FAULT_HEAD},
        {"DELETE", "/b/k", false, FAULT_DELETE},
        {"GET", "/b?list-type=2&prefix=uploads", false, FAULT_LIST},
        {"GET", "/b/?prefix=x", false, FAULT_LIST},
        {"GET", "/b?prefix=x&uploads=", false, FAULT_MP_LIST},
        {"POST", "/b?delete=", false, FAULT_DELETE_MANY},
        {"POST", "/b/k?uploads=", false, FAULT_MP_CREATE},
        {"PUT", "/b/k?partNumber=1&uploadId=2", false, FAULT_MP_PUT},
        {"PUT", "/b/k?partNumber=1&uploadId=2", true, FAULT_MP_COPY},
        {"POST", "/b/k?uploadId=2", false, FAULT_MP_COMPLETE},
        {"DELETE", "/b/k?uploadId=2", false, FAULT_MP_ABORT},
        {"GET", "/b/k?uploadId=2&max-parts=7", false, FAULT_MP_PARTS},
        {"HEAD", "/b", false, FAULT_OTHER},
        {"PUT", "/b", false, FAULT_OTHER},
        {"OPTIONS", "*", false, FAULT_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (fault_op_of(rows[i].method, rows[i].target, rows[i].copies) != rows[i].op)
            fail_msg("%s %s is not %s", rows[i].method, rows[i].target, fault_op_name(rows[i].op));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_fit_by_operation_and_number),
        cmocka_unit_test(delays_add_up_and_the_first_other_action_counts),
        cmocka_unit_test(a_percentage_is_about_that_part_and_the_same_for_the_same_seed),
        cmocka_unit_test(what_cannot_be_read_is_named_and_changes_nothing),
        cmocka_unit_test(requests_are_known_by_method_and_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
