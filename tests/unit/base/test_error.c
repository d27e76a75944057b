#include "support/test.h"

#include <stdio.h>
#include <string.h>

/* The table once more, by hand: what the manual promises must not change by a slip in error.h. */
static const struct {
    enum ms_code code;
    const char *name;
    int err, http, exit_code;
} promised[] = {
    {MS_OK, "OK", 0, 200, 0},
    {MS_USAGE, "USAGE", EINVAL, 400, 64},
    {MS_INVALID, "INVALID", EINVAL, 400, 65},
    {MS_BAD_NAME, "BAD_NAME", EILSEQ, 400, 65},
    {MS_NAME_TOO_LONG, "NAME_TOO_LONG", ENAMETOOLONG, 400, 65},
    {MS_RANGE, "RANGE", ERANGE, 400, 65},
    {MS_WRONG_KIND, "WRONG_KIND", EMEDIUMTYPE, 400, 65},
    {MS_TOO_LARGE, "TOO_LARGE", EFBIG, 413, 65},
    {MS_MISMATCH, "MISMATCH", EINVAL, 400, 65},
    {MS_REVIEW, "REVIEW", EACCES, 403, 65},
    {MS_BILL_INPUT, "BILL_INPUT", EINVAL, 400, 2},
    {MS_NOT_FOUND, "NOT_FOUND", ENOENT, 404, 4},
    {MS_NO_ATTR, "NO_ATTR", ENODATA, 404, 4},
    {MS_NO_TENANT, "NO_TENANT", ENOENT, 404, 67},
    {MS_NO_INPUT, "NO_INPUT", ENOENT, 400, 66},
    {MS_CANT_CREATE, "CANT_CREATE", EIO, 500, 73},
    {MS_EXISTS, "EXISTS", EEXIST, 409, 5},
    {MS_NOT_EMPTY, "NOT_EMPTY", ENOTEMPTY, 409, 5},
    {MS_NOT_DIR, "NOT_DIR", ENOTDIR, 400, 5},
    {MS_IS_DIR, "IS_DIR", EISDIR, 400, 5},
    {MS_LOOP, "LOOP", EINVAL, 409, 5},
    {MS_LINKS, "LINKS", EMLINK, 409, 5},
    {MS_CROSS, "CROSS", EXDEV, 400, 5},
    {MS_WRONG_STATE, "WRONG_STATE", EPERM, 409, 5},
    {MS_BUSY, "BUSY", EBUSY, 409, 5},
    {MS_QUOTA, "QUOTA", EDQUOT, 403, 6},
    {MS_NOT_READABLE, "NOT_READABLE", EACCES, 403, 77},
    {MS_DENIED, "DENIED", EACCES, 403, 77},
    {MS_NOT_PERMITTED, "NOT_PERMITTED", EPERM, 403, 77},
    {MS_READ_ONLY, "READ_ONLY", EROFS, 403, 77},
    {MS_CORRUPT, "CORRUPT", EIO, 500, 74},
    {MS_IO, "IO", EIO, 500, 74},
    {MS_NO_SPACE, "NO_SPACE", ENOSPC, 507, 74},
    {MS_NO_MEMORY, "NO_MEMORY", ENOMEM, 503, 71},
    {MS_UNAVAILABLE, "UNAVAILABLE", EIO, 503, 69},
    {MS_TIMEOUT, "TIMEOUT", ETIMEDOUT, 504, 75},
    {MS_THROTTLED, "THROTTLED", EAGAIN, 429, 75},
    {MS_CONFLICT, "CONFLICT", EAGAIN, 409, 75},
    {MS_CANCELLED, "CANCELLED", EINTR, 499, 130},
    {MS_STALE, "STALE", ESTALE, 410, 75},
    {MS_FENCED, "FENCED", EIO, 500, 75},
    {MS_UNSUPPORTED, "UNSUPPORTED", EOPNOTSUPP, 501, 70},
    {MS_PROTOCOL, "PROTOCOL", EIO, 502, 76},
    {MS_CONFIG, "CONFIG", EINVAL, 500, 78},
    {MS_NEWER_FORMAT, "NEWER_FORMAT", EIO, 500, 78},
    {MS_FOREIGN, "FOREIGN", EIO, 500, 78},
    {MS_PANIC, "PANIC", EIO, 500, 70},
    {MS_INTERNAL, "INTERNAL", EIO, 500, 70},
};

static void every_code_has_its_promised_mappings(void **state) {
    (void)state;
    assert_int_equal(MS_ARRAY_LEN(promised), MS_CODE_COUNT);
    for (size_t i = 0; i < MS_ARRAY_LEN(promised); i++) {
        assert_int_equal(promised[i].code, i);
        assert_string_equal(ms_code_name(promised[i].code), promised[i].name);
        assert_int_equal(ms_code_errno(promised[i].code), promised[i].err);
        assert_int_equal(ms_code_http(promised[i].code), promised[i].http);
        assert_int_equal(ms_code_exit(promised[i].code), promised[i].exit_code);
        assert_true(ms_code_text(promised[i].code)[0] != '\0');
    }
}

static void only_success_looks_like_success(void **state) {
    (void)state;
    for (int code = 1; code < MS_CODE_COUNT; code++) {
        assert_int_not_equal(ms_code_errno((enum ms_code)code), 0);
        assert_true(ms_code_http((enum ms_code)code) >= 400);
        assert_in_range(ms_code_exit((enum ms_code)code), 1, 255);
    }
}

static void a_system_error_keeps_its_number_on_the_way_back(void **state) {
    (void)state;
    /* EDQUOT of a disk is no space for us. */
    for (int code = 1; code < MS_CODE_COUNT; code++) {
        int err = ms_code_errno((enum ms_code)code);

        if (err != EDQUOT)
            assert_int_equal(ms_code_errno(ms_code_from_errno(err)), err);
    }
    assert_int_equal(ms_code_from_errno(EDQUOT), MS_NO_SPACE);
}

static void no_system_error_becomes_success(void **state) {
    (void)state;
    for (int err = -1; err < 200; err++)
        assert_int_not_equal(ms_code_from_errno(err), MS_OK);
    assert_int_equal(ms_code_from_errno(0), MS_IO);
    assert_int_equal(ms_code_from_errno(EIO), MS_IO);
    assert_int_equal(ms_code_from_errno(EMFILE), MS_NO_MEMORY);
    assert_int_equal(ms_code_from_errno(ECONNREFUSED), MS_UNAVAILABLE);
    assert_int_equal(ms_code_from_errno(EWOULDBLOCK), MS_THROTTLED);
}

static void failing_fills_code_and_message(void **state) {
    struct ms_error err = {0};

    (void)state;
    assert_int_equal(ms_fail(&err, MS_QUOTA, "tenant %s is %d bytes over", "t", 7), MS_QUOTA);
    assert_int_equal(err.code, MS_QUOTA);
    assert_string_equal(err.message, "tenant t is 7 bytes over");
    assert_int_equal(ms_fail(NULL, MS_IO, "nobody %s", "asks"), MS_IO);
}

static void a_failure_without_text_says_what_its_code_means(void **state) {
    struct ms_error err = {0};

    (void)state;
    assert_int_equal(ms_fail(&err, MS_QUOTA, "%s", ""), MS_QUOTA);
    assert_string_equal(err.message, "quota exceeded");
}

static void a_system_failure_appends_the_systems_text(void **state) {
    struct ms_error err = {0};

    (void)state;
    assert_int_equal(ms_fail_errno(&err, ENOENT, "cannot open %s", "/x"), MS_NOT_FOUND);
    assert_string_equal(err.message, "cannot open /x: No such file or directory");
    assert_int_equal(ms_fail_errno(NULL, ENOSPC, "%s", "x"), MS_NO_SPACE);
}

static int is_whole_utf8(const char *s) {
    for (size_t n; *s; s += n) {
        unsigned char c = (unsigned char)*s;

        n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
        for (size_t i = 1; i < n; i++) {
            if (((unsigned char)s[i] & 0xc0) != 0x80)
                return 0;
        }
    }
    return 1;
}

/* Every phase of every character length against the cut. */
static void a_long_message_is_cut_at_a_character(void **state) {
    static const char *const chars[] = {"a", "\xc3\xa4", "\xe8\xb5\x84", "\xf0\x9f\x8e\xac"};

    (void)state;
    for (size_t k = 0; k < MS_ARRAY_LEN(chars); k++) {
        for (size_t shift = 0; shift < 4; shift++) {
            char text[1024] = {0};
            struct ms_error err = {0};

            memset(text, 'x', shift);
            while (strlen(text) < 900)
                strncat(text, chars[k], sizeof text - strlen(text) - 1);
            ms_fail(&err, MS_INVALID, "%s", text);
            assert_true(strlen(err.message) > MS_ERROR_MESSAGE_MAX - 5);
            assert_true(strlen(err.message) < MS_ERROR_MESSAGE_MAX);
            assert_true(is_whole_utf8(err.message));
            assert_memory_equal(err.message, text, strlen(err.message));
        }
    }
}

static void the_longest_message_that_fits_is_whole(void **state) {
    char text[MS_ERROR_MESSAGE_MAX + 1];
    struct ms_error err = {0};

    (void)state;
    memset(text, 'y', sizeof text);
    text[MS_ERROR_MESSAGE_MAX - 1] = '\0';
    ms_fail(&err, MS_INVALID, "%s", text);
    assert_string_equal(err.message, text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_promised_mappings),
        cmocka_unit_test(only_success_looks_like_success),
        cmocka_unit_test(a_system_error_keeps_its_number_on_the_way_back),
        cmocka_unit_test(no_system_error_becomes_success),
        cmocka_unit_test(failing_fills_code_and_message),
        cmocka_unit_test(a_failure_without_text_says_what_its_code_means),
        cmocka_unit_test(a_system_failure_appends_the_systems_text),
        cmocka_unit_test(a_long_message_is_cut_at_a_character),
        cmocka_unit_test(the_longest_message_that_fits_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
