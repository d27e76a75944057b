#include "support/test.h"

#include "base/id.h"

static void text_and_id_are_inverse(void **state) {
    struct ms_random_seeded r;

    (void)state;
    ms_random_seeded_init(&r, ms_test_seed());
    for (int i = 0; i < 1000; i++) {
        struct ms_id id = ms_id_new(&r.random), back;
        struct ms_id_text text = ms_id_text(id);

        assert_int_equal(strlen(text.s), MS_ID_TEXT_LEN);
        assert_int_equal(strspn(text.s, "0123456789abcdef"), MS_ID_TEXT_LEN);
        assert_ok(ms_id_parse(text.s, &back, &test_err));
        assert_memory_equal(back.b, id.b, MS_ID_BYTES);
    }
    ms_random_seeded_fini(&r);
}

static void accepted_spellings_mean_the_same(void **state) {
    static const char *const rows[] = {
        "0123456789abcdef0123456789abcdef",
        "0123456789ABCDEF0123456789ABCDEF",
        "01234567-89ab-cdef-0123-456789abcdef",
        "01234567-89AB-cdef-0123-456789abcdef",
    };

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct ms_id id;

        assert_ok(ms_id_parse(rows[i], &id, &test_err));
        assert_string_equal(ms_id_text(id).s, "0123456789abcdef0123456789abcdef");
    }
}

static void everything_else_is_refused(void **state) {
    static const char *const rows[] = {
        "",
        "0",
        "0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdef0",
        "0123456789abcdef0123456789abcdeg",
        "g123456789abcdef0123456789abcdef",
        " 123456789abcdef0123456789abcdef",
        "0x23456789abcdef0123456789abcdef",
        "{01234567-89ab-cdef-0123-456789abcdef}",
        "01234567-89ab-cdef-0123456789abcdef",
        "0123456789ab-cdef-0123-456789abcdef",
        "-01234567-89ab-cdef-0123-456789abcde",
        "01234567--9ab-cdef-0123-456789abcdef",
        "01234567-89ab-cdef-0123-456789abcde-",
        "0123456789abcdef-0123456789abcdef",
        "\xef\xbc\x90"
        "123456789abcdef0123456789abc",
    };

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct ms_id id = {{1}};

        assert_code(ms_id_parse(rows[i], &id, &test_err), MS_INVALID);
        assert_int_equal(id.b[0], 1);
    }
}

/* A generator that gives all zeros once: the id "none" must not come out of it. */
struct bad_random {
    struct ms_random random;
    int calls;
};

static void fill_zero_once(struct ms_random *random, void *bytes, size_t n) {
    struct bad_random *bad = MS_CONTAINER_OF(random, struct bad_random, random);

    memset(bytes, 0, n);
    if (bad->calls++ > 0)
        *(uint8_t *)bytes = 1;
}

static void a_new_id_is_never_none(void **state) {
    struct bad_random bad = {{fill_zero_once}, 0};
    struct ms_asset_id id = ms_asset_id_new(&bad.random);

    (void)state;
    assert_int_equal(bad.calls, 2);
    assert_false(ms_asset_id_is_none(id));
    assert_true(ms_asset_id_is_none((struct ms_asset_id){0}));
    assert_true(ms_asset_id_equal(id, id));
    assert_false(ms_asset_id_equal(id, (struct ms_asset_id){0}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_id_are_inverse),
        cmocka_unit_test(accepted_spellings_mean_the_same),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(a_new_id_is_never_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
