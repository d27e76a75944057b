#include "support/test.h"

#include "base/config.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct fixture {
    struct ms_config config;
    char *dir, *system_file, *user_file;
    char xdg[300];
    char *environment[16];
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    char *sub;

    assert_non_null(f);
    *state = f;
    assert_ok(ms_config_init(&f->config, &test_err));
    f->dir = ms_test_tmpdir_new();
    sub = ms_test_path(f->dir, "msasset");
    assert_int_equal(mkdir(sub, 0700), 0);
    f->user_file = ms_test_path(sub, "config");
    free(sub);
    f->system_file = ms_test_path(f->dir, "system.conf");
    snprintf(f->xdg, sizeof f->xdg, "XDG_CONFIG_HOME=%s", f->dir);
    f->environment[0] = f->xdg;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;

    ms_config_fini(&f->config);
    ms_test_tmpdir_remove(f->dir);
    free(f->system_file);
    free(f->user_file);
    free(f);
    return 0;
}

static void write_text(const char *path, const char *text) {
    ms_test_write_file(path, text, strlen(text));
}

static enum ms_code load(struct fixture *f) {
    return ms_config_load(
        &f->config,
        &(struct ms_config_sources){.system_file = f->system_file, .environment = f->environment},
        &test_err);
}

static enum ms_code set(struct fixture *f, enum ms_config_key key, const char *text) {
    return ms_config_set(&f->config, key, &(struct ms_config_place){MS_CONFIG_FROM_FLAG, "--flag"},
                         text, &test_err);
}

static const char *shown(struct fixture *f, enum ms_config_key key) {
    static char text[4096];
    MS_AUTO(ms_buf_fini) struct ms_buf buf = {0};

    assert_ok(ms_config_format(&f->config, key, &buf, &test_err));
    snprintf(text, sizeof text, "%s", buf.data ? (char *)buf.data : "");
    return text;
}

static void every_key_has_a_whole_row_and_its_default(void **state) {
    struct fixture *f = *state;

    for (int i = 0; i < MS_CONFIG_KEY_COUNT; i++) {
        const struct ms_config_row *row = ms_config_row((enum ms_config_key)i);
        MS_AUTO(ms_buf_fini) struct ms_buf range = {0};

        assert_int_equal(row->key, i);
        assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->name));
        assert_memory_equal(row->env, "MSASSET_", 8);
        for (size_t k = 0; row->name[k]; k++)
            assert_int_equal(row->env[8 + k] | (row->name[k] == '_' ? 0 : 0x20), row->name[k]);
        assert_int_equal(strlen(row->env), strlen(row->name) + 8);
        assert_true(row->least <= row->most);
        assert_int_equal(row->choices != NULL, row->type == MS_CONFIG_CHOICE);
        assert_true(strlen(row->help) > 10);
        assert_ptr_equal(ms_config_find(row->name), row);
        assert_string_equal(shown(f, row->key), row->initial);
        assert_string_equal(ms_config_where(&f->config, row->key), "default");
        assert_int_equal(ms_config_origin(&f->config, row->key), MS_CONFIG_FROM_DEFAULT);
        assert_ok(ms_config_format_range(row->key, &range, &test_err));
        assert_true(range.len > 0);
    }
    assert_null(ms_config_find("nothing"));
    assert_null(ms_config_find("stor"));
    assert_null(ms_config_find("stores"));
    assert_null(ms_config_find(""));
    assert_non_null(ms_config_find("journal-bytes-max"));
}

static void what_is_shown_can_be_set_again(void **state) {
    struct fixture *f = *state;

    for (int i = 0; i < MS_CONFIG_KEY_COUNT; i++) {
        char before[4096];

        snprintf(before, sizeof before, "%s", shown(f, (enum ms_config_key)i));
        assert_ok(set(f, (enum ms_config_key)i, before));
        assert_string_equal(shown(f, (enum ms_config_key)i), before);
        assert_string_equal(ms_config_where(&f->config, (enum ms_config_key)i), "--flag");
    }
}

static void defaults_have_their_types(void **state) {
    const struct ms_config *c = &((struct fixture *)*state)->config;

    assert_true(ms_config_bytes(c, MS_CONFIG_FREE_QUOTA_BYTES) == UINT64_C(5368709120));
    assert_true(ms_config_bytes(c, MS_CONFIG_MAP_BYTES) == UINT64_C(64) << 30);
    assert_int_equal(ms_config_duration_ms(c, MS_CONFIG_BIN_RETENTION), 7 * 86400 * 1000);
    assert_int_equal(ms_config_duration_ms(c, MS_CONFIG_GC_GRACE), 3600 * 1000);
    assert_int_equal(ms_config_int(c, MS_CONFIG_ENGINE_THREADS), 16);
    assert_string_equal(ms_config_text(c, MS_CONFIG_CACHE_DIR), "");
    assert_int_equal(ms_config_choice(c, MS_CONFIG_LOG_LEVEL), MS_LOG_WARN);
    assert_false(ms_config_bool(c, MS_CONFIG_TRACE));
}

static void log_levels_stand_in_the_order_of_log_h(void **state) {
    static const char *const words[] = {"error", "warn", "info", "debug"};
    struct fixture *f = *state;

    for (unsigned i = 0; i < MS_ARRAY_LEN(words); i++) {
        assert_ok(set(f, MS_CONFIG_LOG_LEVEL, words[i]));
        assert_int_equal(ms_config_choice(&f->config, MS_CONFIG_LOG_LEVEL), i);
    }
    assert_int_equal(MS_LOG_ERROR, 0);
    assert_int_equal(MS_LOG_DEBUG, 3);
}

static void sizes_are_powers_of_two(void **state) {
    static const struct {
        const char *text;
        uint64_t bytes;
        const char *shown;
    } good[] = {
        {"0", 0, "0"},
        {"1", 1, "1"},
        {"1023", 1023, "1023"},
        {"1K", 1024, "1K"},
        {"1k", 1024, "1K"},
        {"1KB", 1024, "1K"},
        {"1KiB", 1024, "1K"},
        {"1kib", 1024, "1K"},
        {"1536K", 1536 << 10, "1536K"},
        {"64M", 64 << 20, "64M"},
        {"1024M", 1 << 30, "1G"},
        {"5G", UINT64_C(5) << 30, "5G"},
        {"2TiB", UINT64_C(2) << 40, "2T"},
        {"16383P", UINT64_C(16383) << 50, "16383P"},
        {"18446744073709551615", UINT64_MAX, "18446744073709551615"},
    };
    static const char *const bad[] = {
        "",
        "K",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1 K",
        "1.5G",
        "1,5G",
        "0x10",
        "1KK",
        "1Ki",
        "1KiBB",
        "1i",
        "1B",
        "1X",
        "1E",
        "1GB/s",
        "18446744073709551616",
        "16384P",
        "99999999999T",
        "G1",
        "ten",
    };

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(good); i++) {
        uint64_t bytes = 42;
        char text[24];

        assert_ok(ms_bytes_parse(good[i].text, &bytes, &test_err));
        assert_true(bytes == good[i].bytes);
        ms_bytes_format(bytes, text);
        assert_string_equal(text, good[i].shown);
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        uint64_t bytes = 42;

        assert_code(ms_bytes_parse(bad[i], &bytes, &test_err), MS_INVALID);
        assert_true(bytes == 42);
    }
}

static void values_are_judged_by_type_and_range(void **state) {
    static const struct {
        enum ms_config_key key;
        const char *text, *shown; /* shown NULL: refused */
    } rows[] = {
        {MS_CONFIG_MAP_BYTES, "16M", "16M"},
        {MS_CONFIG_MAP_BYTES, "16777215", NULL},
        {MS_CONFIG_MAP_BYTES, "16T", "16T"},
        {MS_CONFIG_MAP_BYTES, "17592186044417", NULL},
        {MS_CONFIG_MAP_BYTES, "many", NULL},
        {MS_CONFIG_ENGINE_THREADS, "1", "1"},
        {MS_CONFIG_ENGINE_THREADS, "256", "256"},
        {MS_CONFIG_ENGINE_THREADS, "0", NULL},
        {MS_CONFIG_ENGINE_THREADS, "257", NULL},
        {MS_CONFIG_ENGINE_THREADS, "8 ", NULL},
        {MS_CONFIG_ENGINE_THREADS, "-8", NULL},
        {MS_CONFIG_ENGINE_THREADS, "", NULL},
        {MS_CONFIG_ENGINE_THREADS, "99999999999999999999", NULL},
        {MS_CONFIG_GC_GRACE, "90s", "90s"},
        {MS_CONFIG_GC_GRACE, "120s", "2m"},
        {MS_CONFIG_GC_GRACE, "48h", "2d"},
        {MS_CONFIG_GC_GRACE, "1500ms", "1500ms"},
        {MS_CONFIG_GC_GRACE, "999ms", NULL},
        {MS_CONFIG_GC_GRACE, "366d", NULL},
        {MS_CONFIG_BIN_RETENTION, "0", "0s"},
        {MS_CONFIG_TRACE, "yes", "yes"},
        {MS_CONFIG_TRACE, "true", "yes"},
        {MS_CONFIG_TRACE, "on", "yes"},
        {MS_CONFIG_TRACE, "1", "yes"},
        {MS_CONFIG_TRACE, "no", "no"},
        {MS_CONFIG_TRACE, "false", "no"},
        {MS_CONFIG_TRACE, "off", "no"},
        {MS_CONFIG_TRACE, "0", "no"},
        {MS_CONFIG_TRACE, "2", NULL},
        {MS_CONFIG_TRACE, "Yes", NULL},
        {MS_CONFIG_TRACE, "", NULL},
        {MS_CONFIG_PROGRESS, "never", "never"},
        {MS_CONFIG_PROGRESS, "neve", NULL},
        {MS_CONFIG_PROGRESS, "auto|always", NULL},
        {MS_CONFIG_PROGRESS, "", NULL},
        {MS_CONFIG_STORE, "/srv/assets", "/srv/assets"},
        {MS_CONFIG_STORE, "", ""},
        {MS_CONFIG_STORE, "srv", NULL},
        {MS_CONFIG_STORE, "/a\nb", NULL},
        {MS_CONFIG_TENANT, "acme", "acme"},
        {MS_CONFIG_TENANT, "0123456789012345678901234567890123456789012345678901234567890123",
         "0123456789012345678901234567890123456789012345678901234567890123"},
        {MS_CONFIG_TENANT, "01234567890123456789012345678901234567890123456789012345678901234",
         NULL},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        char before[4096];

        snprintf(before, sizeof before, "%s", shown(*state, rows[i].key));
        if (rows[i].shown) {
            assert_ok(set(*state, rows[i].key, rows[i].text));
            assert_string_equal(shown(*state, rows[i].key), rows[i].shown);
        } else {
            assert_code(set(*state, rows[i].key, rows[i].text), MS_USAGE);
            assert_string_equal(shown(*state, rows[i].key), before);
        }
    }
}

static void a_refusal_names_place_key_value_and_range(void **state) {
    struct fixture *f = *state;
    char want[1024];

    assert_code(set(f, MS_CONFIG_ENGINE_THREADS, "300"), MS_USAGE);
    assert_string_equal(test_err.message,
                        "--flag: engine_threads = '300' is not allowed: 1 to 256");
    assert_code(set(f, MS_CONFIG_PROGRESS, "often"), MS_USAGE);
    assert_string_equal(test_err.message,
                        "--flag: progress = 'often' is not allowed: auto, always or never");
    write_text(f->user_file, "# mine\n\nmap_bytes = 1M\n");
    assert_code(load(f), MS_CONFIG);
    snprintf(want, sizeof want, "%s:3: map_bytes = '1M' is not allowed: 16M to 16T", f->user_file);
    assert_string_equal(test_err.message, want);
    write_text(f->user_file, "");
    f->environment[1] = (char *)"MSASSET_GC_GRACE=soon";
    assert_code(load(f), MS_CONFIG);
    assert_string_equal(test_err.message,
                        "MSASSET_GC_GRACE: gc_grace = 'soon' is not allowed: 1s to 365d");
}

/* All 16 combinations of the four places; the highest one that is there wins, whatever the order of
 * calls. */
static void flags_rule_over_environment_over_files_over_defaults(void **state) {
    struct fixture *f = *state;

    for (unsigned mask = 0; mask < 32; mask++) {
        enum ms_config_origin want = MS_CONFIG_FROM_DEFAULT;
        unsigned number = 16;

        for (unsigned i = 0; i < 4; i++) {
            if (mask >> i & 1) {
                want = (enum ms_config_origin)(MS_CONFIG_FROM_SYSTEM_FILE + i);
                number = i + 1;
            }
        }
        ms_config_fini(&f->config);
        assert_ok(ms_config_init(&f->config, &test_err));
        write_text(f->system_file, mask & 1 ? "engine_threads = 1\n" : "");
        write_text(f->user_file, mask & 2 ? "engine-threads = 2\n" : "");
        f->environment[1] = mask & 4 ? (char *)"MSASSET_ENGINE_THREADS=3" : NULL;
        if ((mask & 8) && (mask & 16))
            assert_ok(set(f, MS_CONFIG_ENGINE_THREADS, "4"));
        assert_ok(load(f));
        if ((mask & 8) && !(mask & 16))
            assert_ok(set(f, MS_CONFIG_ENGINE_THREADS, "4"));
        assert_int_equal(ms_config_int(&f->config, MS_CONFIG_ENGINE_THREADS), number);
        assert_int_equal(ms_config_origin(&f->config, MS_CONFIG_ENGINE_THREADS), want);
    }
}

static void a_value_knows_the_line_it_came_from(void **state) {
    struct fixture *f = *state;
    char want[400];

    write_text(f->user_file, "; a\n# b\ntenant = acme ; c\n   \nlog_level: debug\r\n");
    assert_ok(load(f));
    assert_string_equal(ms_config_text(&f->config, MS_CONFIG_TENANT), "acme");
    snprintf(want, sizeof want, "%s:3", f->user_file);
    assert_string_equal(ms_config_where(&f->config, MS_CONFIG_TENANT), want);
    snprintf(want, sizeof want, "%s:5", f->user_file);
    assert_string_equal(ms_config_where(&f->config, MS_CONFIG_LOG_LEVEL), want);
    assert_int_equal(ms_config_choice(&f->config, MS_CONFIG_LOG_LEVEL), MS_LOG_DEBUG);
}

static void a_bad_file_is_refused_with_its_line(void **state) {
    struct fixture *f = *state;
    char long_line[400] = "tenant = ";
    const struct {
        const char *text;
        unsigned line;
        const char *says;
    } rows[] = {
        {"tenant = a\nspeed = 3\n", 2, "unknown key 'speed' (value '3')"},
        {"[store]\ntenant = a\n", 2, "[store]"},
        {"tenant = a\n\ntenant = b\n", 3, "tenant is set already on line 1"},
        {"tenant = a\n  log_level = info\n", 2, "set already on line 1"},
        {"tenant = a\njust words\n", 2, "key = value"},
        {"= 3\n", 1, "unknown key ''"},
        {"tenant = a\nengine_threads = 0\nspeed = 3\n", 2, "1 to 256"},
        {"just words\nspeed = 3\n", 2, "unknown key"},
        {long_line, 1, "longer than"},
    };

    memset(long_line + 9, 'x', sizeof long_line - 10);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        char where[300];

        write_text(f->user_file, rows[i].text);
        assert_code(load(f), MS_CONFIG);
        snprintf(where, sizeof where, "%s:%u: ", f->user_file, rows[i].line);
        assert_memory_equal(test_err.message, where, strlen(where));
        if (!strstr(test_err.message, rows[i].says))
            fail_msg("'%s' does not say '%s'", test_err.message, rows[i].says);
    }
    ms_test_write_file(f->user_file, "tenant = a\0b\n", 13);
    assert_code(load(f), MS_CONFIG);
}

static void an_unknown_variable_is_refused_and_others_are_not_ours(void **state) {
    struct fixture *f = *state;

    f->environment[1] = (char *)"MSASSET_SPEED=3";
    assert_code(load(f), MS_CONFIG);
    assert_non_null(strstr(test_err.message, "MSASSET_SPEED"));
    f->environment[1] = (char *)"MSASSET=/usr/bin/msasset";
    f->environment[2] = (char *)"MSASSETS_X=1";
    f->environment[3] = (char *)"PATH=/bin";
    assert_ok(load(f));
}

static void a_named_file_stands_in_for_the_others_and_must_exist(void **state) {
    struct fixture *f = *state;
    struct ms_config_sources sources = {.system_file = f->system_file,
                                        .environment = f->environment};
    char *named = ms_test_path(f->dir, "named"), *absent = ms_test_path(f->dir, "absent");
    char variable[400];

    write_text(f->system_file, "engine_threads = 1\n");
    write_text(f->user_file, "retry_tries = 2\n");
    write_text(named, "tenant = named\n");
    sources.file = named;
    assert_ok(ms_config_load(&f->config, &sources, &test_err));
    assert_string_equal(ms_config_text(&f->config, MS_CONFIG_TENANT), "named");
    assert_int_equal(ms_config_int(&f->config, MS_CONFIG_ENGINE_THREADS), 16);
    assert_int_equal(ms_config_int(&f->config, MS_CONFIG_RETRY_TRIES), 5);

    sources.file = absent;
    assert_code(ms_config_load(&f->config, &sources, &test_err), MS_NO_INPUT);
    sources.file = f->dir; /* a folder opens, but does not read */
    assert_int_not_equal(ms_config_load(&f->config, &sources, &test_err), MS_OK);
    assert_non_null(strstr(test_err.message, f->dir));

    sources.file = NULL;
    snprintf(variable, sizeof variable, "MSASSET_CONFIG=%s", absent);
    f->environment[1] = variable;
    assert_code(ms_config_load(&f->config, &sources, &test_err), MS_NO_INPUT);
    snprintf(variable, sizeof variable, "MSASSET_CONFIG=%s", named);
    assert_ok(ms_config_load(&f->config, &sources, &test_err));
    free(named);
    free(absent);
}

static void the_users_file_is_found_below_home(void **state) {
    struct fixture *f = *state;
    char *config_dir = ms_test_path(f->dir, ".config");
    char *dir = ms_test_path(config_dir, "msasset"), *file = ms_test_path(dir, "config");
    char home[300];

    assert_int_equal(mkdir(config_dir, 0700), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    write_text(file, "tenant = home\n");
    snprintf(home, sizeof home, "HOME=%s", f->dir);
    f->environment[0] = (char *)"XDG_CONFIG_HOME=relative"; /* to be ignored */
    f->environment[1] = home;
    assert_ok(load(f));
    assert_string_equal(ms_config_text(&f->config, MS_CONFIG_TENANT), "home");
    free(config_dir);
    free(dir);
    free(file);
}

static void no_files_at_all_leave_the_defaults(void **state) {
    struct fixture *f = *state;

    f->environment[0] = NULL;
    assert_ok(load(f));
    for (int i = 0; i < MS_CONFIG_KEY_COUNT; i++)
        assert_int_equal(ms_config_origin(&f->config, (enum ms_config_key)i),
                         MS_CONFIG_FROM_DEFAULT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_key_has_a_whole_row_and_its_default),
        TEST(what_is_shown_can_be_set_again),
        TEST(defaults_have_their_types),
        TEST(log_levels_stand_in_the_order_of_log_h),
        TEST(sizes_are_powers_of_two),
        TEST(values_are_judged_by_type_and_range),
        TEST(a_refusal_names_place_key_value_and_range),
        TEST(flags_rule_over_environment_over_files_over_defaults),
        TEST(a_value_knows_the_line_it_came_from),
        TEST(a_bad_file_is_refused_with_its_line),
        TEST(an_unknown_variable_is_refused_and_others_are_not_ours),
        TEST(a_named_file_stands_in_for_the_others_and_must_exist),
        TEST(the_users_file_is_found_below_home),
        TEST(no_files_at_all_leave_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
