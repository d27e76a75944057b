#include "support/test.h"

#include "base/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A sink that keeps the last line. */
struct kept {
    struct ms_log log;
    unsigned lines;
    enum ms_log_level level;
    char text[8192];
};

static void keep(struct ms_log *log, enum ms_log_level level, const char *line) {
    struct kept *kept = log->priv;

    kept->lines++;
    kept->level = level;
    assert_true(strlen(line) < sizeof kept->text);
    memcpy(kept->text, line, strlen(line) + 1);
}

static void kept_init(struct kept *kept, enum ms_log_level level) {
    *kept = (struct kept){.log = {keep, level, NULL}};
    kept->log.priv = kept;
}

static void a_line_is_level_event_and_pairs(void **state) {
    struct kept kept;

    (void)state;
    kept_init(&kept, MS_LOG_INFO);
    ms_log_event(&kept.log, MS_LOG_WARN, "map_filling", "used", "70", "path", "/a b", NULL);
    assert_string_equal(kept.text, "warn map_filling used=70 path=\"/a b\"");
    ms_log_event(&kept.log, MS_LOG_INFO, "start", NULL);
    assert_string_equal(kept.text, "info start");
    assert_int_equal(kept.level, MS_LOG_INFO);
    assert_int_equal(kept.lines, 2);
}

static void lines_above_the_level_are_dropped(void **state) {
    (void)state;
    for (int most = MS_LOG_ERROR; most <= MS_LOG_DEBUG; most++) {
        for (int level = MS_LOG_ERROR; level <= MS_LOG_DEBUG; level++) {
            struct kept kept;

            kept_init(&kept, (enum ms_log_level)most);
            ms_log_event(&kept.log, (enum ms_log_level)level, "e", NULL);
            assert_int_equal(kept.lines, level <= most);
        }
    }
    ms_log_event(NULL, MS_LOG_ERROR, "nobody", "listens", "1", NULL);
}

static void a_failure_carries_code_and_message(void **state) {
    struct ms_error err = {0};
    struct kept kept;

    (void)state;
    kept_init(&kept, MS_LOG_INFO);
    ms_fail(&err, MS_QUOTA, "5 bytes over the \"free\" quota");
    ms_log_failure(&kept.log, MS_LOG_ERROR, "request", &err, "tenant", "acme", NULL);
    assert_string_equal(kept.text, "error request tenant=acme code=QUOTA "
                                   "msg=\"5 bytes over the \\\"free\\\" quota\"");
    kept_init(&kept, MS_LOG_ERROR);
    ms_log_failure(&kept.log, MS_LOG_DEBUG, "request", &err, NULL);
    assert_int_equal(kept.lines, 0);
}

static void hostile_values_cannot_forge_or_disturb_a_line(void **state) {
    static const struct {
        const char *value, *shown;
    } rows[] = {
        {"plain", "plain"},
        {"", "\"\""},
        {NULL, "-"},
        {"a=b", "\"a=b\""},
        {"a\nerror forged", "\"a\\nerror forged\""},
        {"a\tb", "\"a\\tb\""},
        {"a\rb", "a\\x0db"},
        {"\x1b[31m", "\\x1b[31m"},
        {"\x7f", "\\x7f"},
        {"back\\slash", "\"back\\\\slash\""},
        {"quo\"te", "\"quo\\\"te\""},
        {"\xc3\xa4\xe8\xb5\x84\xf0\x9f\x8e\xac", "\xc3\xa4\xe8\xb5\x84\xf0\x9f\x8e\xac"},
        {"\xc2\x9b", "\\x9b"},             /* C1: a terminal's CSI */
        {"\xc2\x85", "\\x85"},             /* NEL */
        {"\xe2\x80\xa8", "\\u2028"},       /* line separator */
        {"\xe2\x80\xaegpj", "\\u202egpj"}, /* right-to-left override */
        {"\xe2\x80\xaa", "\\u202a"},
        {"\xe2\x81\xa6", "\\u2066"},
        {"\xe2\x81\xa9", "\\u2069"},
        {"\xe2\x80\x8f", "\\u200f"},
        {"\xd8\x9c", "\\u061c"},
        {"\xef\xbb\xbf", "\\ufeff"},
        {"\xff", "\\xff"},                   /* no UTF-8 at all */
        {"\x80", "\\x80"},                   /* a continuation alone */
        {"\xc0\xaf", "\\xc0\\xaf"},          /* overlong */
        {"\xe0\x80\x8a", "\\xe0\\x80\\x8a"}, /* overlong line feed */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
        {"ab\xe8\xb5", "ab\\xe8\\xb5"}, /* ends inside a character */
    };

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        char want[128] = "info e k=";
        struct kept kept;

        kept_init(&kept, MS_LOG_INFO);
        ms_log_event(&kept.log, MS_LOG_INFO, "e", "k", rows[i].value, NULL);
        strncat(want, rows[i].shown, sizeof want - strlen(want) - 1);
        assert_string_equal(kept.text, want);
    }
}

static void no_control_byte_gets_through(void **state) {
    (void)state;
    for (int c = 1; c < 256; c++) {
        char value[] = {'a', (char)c, 'b', '\0'};
        struct kept kept;

        kept_init(&kept, MS_LOG_INFO);
        ms_log_event(&kept.log, MS_LOG_INFO, "e", "k", value, NULL);
        for (const unsigned char *s = (const unsigned char *)kept.text; *s; s++)
            assert_in_range(*s, 0x20, 0x7e);
    }
}

static void a_line_that_is_too_long_is_cut_and_says_so(void **state) {
    struct kept kept;
    char value[6000];

    (void)state;
    memset(value, '\n', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    kept_init(&kept, MS_LOG_INFO);
    ms_log_event(&kept.log, MS_LOG_INFO, "e", "k", value, "later", "1", NULL);
    assert_true(strlen(kept.text) < 4096);
    assert_true(strlen(kept.text) > 4000);
    assert_string_equal(kept.text + strlen(kept.text) - 5, "\\n...");
}

static int make_dir(void **state) {
    *state = ms_test_tmpdir_new();
    return 0;
}

static int remove_dir(void **state) {
    ms_test_tmpdir_remove(*state);
    return 0;
}

static void a_descriptor_gets_whole_lines_with_priorities(void **state) {
    char *path = ms_test_path(*state, "log");
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct ms_log log;
    char *text;

    assert_true(fd >= 0);
    ms_log_init_fd(&log, fd, MS_LOG_DEBUG, false);
    ms_log_event(&log, MS_LOG_WARN, "plain", NULL);
    ms_log_init_fd(&log, fd, MS_LOG_DEBUG, true);
    for (int level = MS_LOG_ERROR; level <= MS_LOG_DEBUG; level++)
        ms_log_event(&log, (enum ms_log_level)level, "e", NULL);
    close(fd);
    text = ms_test_read_file(path, NULL);
    assert_string_equal(text, "warn plain\n<3>error e\n<4>warn e\n<6>info e\n<7>debug e\n");
    free(text);
    free(path);
}

static void a_secret_is_wiped(void **state) {
    struct ms_secret secret = {"key"};

    (void)state;
    ms_secret_fini(&secret);
    for (size_t i = 0; i < sizeof secret.text; i++)
        assert_int_equal(secret.text[i], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_level_event_and_pairs),
        cmocka_unit_test(lines_above_the_level_are_dropped),
        cmocka_unit_test(a_failure_carries_code_and_message),
        cmocka_unit_test(hostile_values_cannot_forge_or_disturb_a_line),
        cmocka_unit_test(no_control_byte_gets_through),
        cmocka_unit_test(a_line_that_is_too_long_is_cut_and_says_so),
        cmocka_unit_test_setup_teardown(a_descriptor_gets_whole_lines_with_priorities, make_dir,
                                        remove_dir),
        cmocka_unit_test(a_secret_is_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
