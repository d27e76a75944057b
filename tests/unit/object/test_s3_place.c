/* test_s3_place.c — the URL of an S3 store, and where its keys come from. */
#include "support/test.h"

#include "base/scope.h"
#include "object/s3_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void a_bucket_alone_is_at_aws(void **state) {
    struct ms_s3_place p;

    (void)state;
    assert_ok(ms_s3_place_parse("s3", "//bucket", &p, &test_err));
    assert_true(p.https && !p.path_style && !p.sign_payload);
    assert_string_equal(p.host, "s3.us-east-1.amazonaws.com");
    assert_string_equal(p.bucket, "bucket");
    assert_string_equal(p.prefix, "");
    assert_string_equal(p.region, "us-east-1");
}

static void an_endpoint_brings_path_style_and_http_signed_bodies(void **state) {
    struct ms_s3_place p;

    (void)state;
    assert_ok(ms_s3_place_parse("s3", "//b.c-1/a/b//?endpoint=http://[::1]:7480&region=eu-2&ca=/a%20b", &p, &test_err));
    assert_true(!p.https && p.path_style && p.sign_payload);
    assert_string_equal(p.host, "[::1]:7480");
    assert_string_equal(p.bucket, "b.c-1");
    assert_string_equal(p.prefix, "a/b/");
    assert_string_equal(p.region, "eu-2");
    assert_string_equal(p.ca_file, "/a b");
    assert_ok(ms_s3_place_parse("s3", "//bucket?endpoint=http://h&style=virtual&payload=unsigned", &p, &test_err));
    assert_true(!p.path_style && !p.sign_payload);
    assert_true(p.multipart && p.connections_max == 0);
    assert_ok(ms_s3_place_parse("s3", "//192x168?connections=1024&multipart=no", &p, &test_err));
    assert_true(!p.multipart && p.connections_max == 1024);
    assert_ok(ms_s3_place_parse("s3", "//bucket?keys=/home/a+b/%2bkeys", &p, &test_err));
    assert_string_equal(p.keys_file, "/home/a+b/+keys");
}

static void other_urls_are_refused(void **state) {
    static const char *const bad[] = {
        "", "bucket", "/bucket", "//", "//ab", "//-bucket", "//.bucket", "//Bucket", "//bucket?x=1",
        "//bucket?endpoint", "//bucket?endpoint=h:80", "//bucket?endpoint=ftp://h", "//bucket?endpoint=http://",
        "//bucket?endpoint=http://h/path", "//bucket?endpoint=http://user@h", "//bucket?style=other",
        "//bucket-", "//bucket.", "//buc..ket", "//buc.-ket", "//buc-.ket", "//192.168.1.1", "//bucket?connections=0",
        "//bucket?connections=1025", "//bucket?connections=", "//bucket?connections=-1", "//bucket?connections=1x",
        "//bucket?connections=99999999999999999999", "//bucket?multipart=maybe",
        "//bucket?payload=md5", "//bucket?keys=relative", "//bucket?region=EU", "//bucket?ca=x"};
    struct ms_s3_place p;

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        enum ms_code code = ms_s3_place_parse("s3", bad[i], &p, &test_err);

        if (code != MS_CONFIG)
            print_message("accepted: %s\n", bad[i]);
        assert_int_equal(code, MS_CONFIG);
    }
}

static void keys_come_from_a_closed_file(void **state) {
    static const char text[] = "id-1\nsecret/2\n";
    char *tmpdir = ms_test_tmpdir_new(), *path = ms_test_path(tmpdir, "keys");
    struct ms_s3_place p = {0};
    struct ms_s3_keys keys;

    (void)state;
    ms_test_write_file(path, text, sizeof text - 1);
    snprintf(p.keys_file, sizeof p.keys_file, "%s", path);
    assert_int_equal(chmod(path, 0644), 0);
    assert_code(ms_s3_keys_load(&p, &keys, &test_err), MS_CONFIG);
    assert_null(strstr(test_err.message, "secret/2"));
    assert_int_equal(chmod(path, 0600), 0);
    assert_ok(ms_s3_keys_load(&p, &keys, &test_err));
    assert_string_equal(keys.id, "id-1");
    assert_string_equal(keys.secret.text, "secret/2");
    assert_string_equal(keys.token, "");
    ms_s3_keys_fini(&keys);
    assert_string_equal(keys.secret.text, "");
    free(path);
    ms_test_tmpdir_remove(tmpdir);
}

static void without_a_file_they_come_from_the_environment(void **state) {
    struct ms_s3_place p = {0};
    struct ms_s3_keys keys;

    (void)state;
    setenv("AWS_ACCESS_KEY_ID", "id", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    setenv("AWS_SESSION_TOKEN", "token", 1);
    assert_ok(ms_s3_keys_load(&p, &keys, &test_err));
    assert_string_equal(keys.id, "id");
    assert_string_equal(keys.token, "token");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    assert_code(ms_s3_keys_load(&p, &keys, &test_err), MS_CONFIG);
    assert_non_null(strstr(test_err.message, "AWS_SECRET_ACCESS_KEY"));
}

static void only_a_character_that_is_not_whole_is_cut(void **state) {
    static const struct {
        const char *text, *want;
    } rows[] = {{"", ""}, {"a/", "a/"}, {"\xc3\xa4", "\xc3\xa4"}, {"a\xc3", "a"}, {"a\xe6\x98", "a"},
                {"\xe6\x98\xa0", "\xe6\x98\xa0"}, {"\xf0\x9f\x98", ""}, {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"}};
    char text[16];

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        snprintf(text, sizeof text, "%s", rows[i].text);
        ms_s3_whole_characters(text);
        assert_string_equal(text, rows[i].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_alone_is_at_aws),
        cmocka_unit_test(an_endpoint_brings_path_style_and_http_signed_bodies),
        cmocka_unit_test(other_urls_are_refused),
        cmocka_unit_test(keys_come_from_a_closed_file),
        cmocka_unit_test(without_a_file_they_come_from_the_environment),
        cmocka_unit_test(only_a_character_that_is_not_whole_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
