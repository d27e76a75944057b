#include "support/test.h"

#include "base/config.h"
#include "support/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned refusals;

/* The call may do without (a message that cannot be made longer), but never claim success for
 * nothing. */
static void assert_no_memory(enum ms_code code) {
    refusals++;
    assert_int_equal(code, MS_NO_MEMORY);
    assert_int_equal(test_err.code, MS_NO_MEMORY);
    assert_true(test_err.message[0] != '\0');
}

static void a_buffer_stays_as_it_was_when_memory_ends(void **state) {
    (void)state;
    for (unsigned n = 1; n == 1 || ms_test_alloc_failed(); n++) {
        struct ms_buf buf = {0};
        enum ms_code code;

        assert_ok(ms_buf_add(&buf, "before", 6, &test_err));
        ms_test_alloc_fail_at(n);
        code = ms_buf_addf(&buf, &test_err, "%0500d", 7);
        if (ms_test_alloc_stop()) {
            assert_no_memory(code);
            assert_string_equal((char *)buf.data, "before");
            assert_int_equal(buf.len, 6);
        } else {
            assert_int_equal(code, MS_OK);
            assert_int_equal(buf.len, 506);
        }
        ms_buf_fini(&buf);
    }
}

static void a_configuration_starts_whole_or_not_at_all(void **state) {
    (void)state;
    for (unsigned n = 1; n == 1 || ms_test_alloc_failed(); n++) {
        struct ms_config config;
        enum ms_code code;

        ms_test_alloc_fail_at(n);
        code = ms_config_init(&config, &test_err);
        if (ms_test_alloc_stop())
            assert_no_memory(code);
        else
            assert_int_equal(code, MS_OK);
        ms_config_fini(&config);
    }
}

static int make_dir(void **state) {
    *state = ms_test_tmpdir_new();
    return 0;
}

static int remove_dir(void **state) {
    ms_test_tmpdir_remove(*state);
    return 0;
}

static void loading_a_configuration_fails_cleanly_at_every_allocation(void **state) {
    static const char text[] = "tenant = acme\nstore = /srv/assets\nengine_threads = 3\n";
    char *path = ms_test_path(*state, "config");
    char *environment[] = {(char *)"MSASSET_CACHE_DIR=/srv/cache", NULL};

    ms_test_write_file(path, text, strlen(text));
    for (unsigned n = 1; n == 1 || ms_test_alloc_failed(); n++) {
        struct ms_config_sources sources = {.file = path, .environment = environment};
        struct ms_config config;
        enum ms_code code;

        assert_ok(ms_config_init(&config, &test_err));
        ms_test_alloc_fail_at(n);
        code = ms_config_load(&config, &sources, &test_err);
        /* fopen() that finds no memory could not read the file; fgets() reads on without a buffer.
         */
        if (ms_test_alloc_stop() && (code == MS_NO_INPUT || code == MS_OK))
            refusals++;
        else if (ms_test_alloc_failed())
            assert_no_memory(code);
        else
            assert_int_equal(code, MS_OK);
        if (code == MS_OK) {
            assert_string_equal(ms_config_text(&config, MS_CONFIG_TENANT), "acme");
            assert_string_equal(ms_config_text(&config, MS_CONFIG_CACHE_DIR), "/srv/cache");
        }
        ms_config_fini(&config);
    }
    free(path);
}

static void a_refused_value_fails_cleanly_at_every_allocation(void **state) {
    (void)state;
    for (unsigned n = 1; n == 1 || ms_test_alloc_failed(); n++) {
        const struct ms_config_place place = {MS_CONFIG_FROM_FLAG, "--progress"};
        struct ms_config config;
        enum ms_code code;

        assert_ok(ms_config_init(&config, &test_err));
        ms_test_alloc_fail_at(n);
        code = ms_config_set(&config, MS_CONFIG_PROGRESS, &place, "often", &test_err);
        if (ms_test_alloc_stop())
            assert_no_memory(code);
        else
            assert_int_equal(code, MS_USAGE);
        ms_config_fini(&config);
    }
}

static void the_torture_refused_something(void **state) {
    (void)state;
    if (ms_test_alloc_works())
        assert_true(refusals >= 10);
    print_message("%u allocations refused\n", refusals);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_stays_as_it_was_when_memory_ends),
        cmocka_unit_test(a_configuration_starts_whole_or_not_at_all),
        cmocka_unit_test_setup_teardown(loading_a_configuration_fails_cleanly_at_every_allocation,
                                        make_dir, remove_dir),
        cmocka_unit_test(a_refused_value_fails_cleanly_at_every_allocation),
        cmocka_unit_test(the_torture_refused_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
