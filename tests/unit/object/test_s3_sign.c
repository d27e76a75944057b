/* test_s3_sign.c — the signer against AWS's published vectors. */
#include "support/test.h"

#include "base/scope.h"
#include "object/s3_sign.h"

#include <stdio.h>
#include <string.h>

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SUITE_SCOPE "20150830/us-east-1/service/aws4_request"

static const struct ms_s3_keys suite_keys = {.id = "AKIDEXAMPLE",
                                             .secret = {"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}};
static const struct ms_s3_keys s3_keys = {.id = "AKIAIOSFODNN7EXAMPLE",
                                          .secret = {"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}};

static struct ms_instant at(int year, int month, int day, int hour, int minute) {
    return ms_civil_instant((struct ms_civil){year, month, day, hour, minute, 0, 0});
}

/* AWS's Signature Version 4 test suite: service "service", 2015-08-30T12:36:00Z. */
struct vector {
    const char *name, *method, *path;
    struct ms_s3_param query[4], header[6];
    const char *body, *signed_names, *signature;
};
static const struct vector suite[] = {
    {"get-vanilla", "GET", "/", {{0}}, {{0}}, "", "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-query-order-key-case", "GET", "/", {{"Param2", "value2"}, {"Param1", "value1"}}, {{0}}, "",
     "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-unreserved", "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", {{0}}, {{0}},
     "", "host;x-amz-date", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8", "GET", "/\u1234", {{0}}, {{0}}, "", "host;x-amz-date",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-header-key-duplicate", "GET", "/", {{0}},
     {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}, "",
     "host;my-header1;x-amz-date", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-trim", "GET", "/", {{0}}, {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}, "",
     "host;my-header1;my-header2;x-amz-date", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"post-vanilla", "POST", "/", {{0}}, {{0}}, "", "host;x-amz-date",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-vanilla-query", "POST", "/", {{"Param1", "value1"}}, {{0}}, "", "host;x-amz-date",
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"post-x-www-form-urlencoded", "POST", "/", {{0}}, {{"Content-Type", "application/x-www-form-urlencoded"}},
     "Param1=value1", "content-type;host;x-amz-date",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
};

static void run_vector(const struct vector *v, struct ms_buf *ret) {
    struct ms_s3_param header[8] = {{"Host", "example.amazonaws.com"}, {"X-Amz-Date", "20150830T123600Z"}};
    char hash[MS_S3_SHA256_TEXT + 1];
    struct ms_s3_sign s = {.method = v->method, .path = v->path, .query = v->query, .headers = header,
                           .headers_n = 2, .payload = hash, .region = "us-east-1", .service = "service",
                           .now = at(2015, 8, 30, 12, 36), .keys = &suite_keys};

    ms_s3_sha256_text(ms_view_str(v->body), hash);
    while (s.query_n < 4 && v->query[s.query_n].name)
        s.query_n++;
    for (size_t i = 0; i < 6 && v->header[i].name; i++)
        header[s.headers_n++] = v->header[i];
    assert_ok(ms_s3_authorization(&s, ret, &test_err));
}

static void the_vectors_of_the_public_suite_hold(void **state) {
    char want[512];

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(suite); i++) {
        struct ms_buf got = {0};

        run_vector(&suite[i], &got);
        snprintf(want, sizeof want, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" SUITE_SCOPE ", SignedHeaders=%s, "
                 "Signature=%s", suite[i].signed_names, suite[i].signature);
        if (strcmp((char *)got.data, want) != 0)
            print_message("vector %s:\n  %s\n  %s\n", suite[i].name, (char *)got.data, want);
        assert_string_equal((char *)got.data, want);
        ms_buf_fini(&got);
    }
}

/* The examples of Amazon S3's own documentation: bucket examplebucket, 2013-05-24T00:00:00Z. */
struct example {
    const char *name, *method, *path;
    struct ms_s3_param query[3], header[5];
    const char *payload, *signature;
};
static const struct example examples[] = {
    {"GET object", "GET", "/test.txt", {{0}}, {{"Range", "bytes=0-9"}}, EMPTY_SHA256,
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"PUT object", "PUT", "/test$file.text", {{0}},
     {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
     "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"GET bucket lifecycle", "GET", "/", {{"lifecycle", ""}}, {{0}}, EMPTY_SHA256,
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"GET bucket (list objects)", "GET", "/", {{"max-keys", "2"}, {"prefix", "J"}}, {{0}}, EMPTY_SHA256,
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static void the_examples_of_s3_hold(void **state) {
    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(examples); i++) {
        const struct example *e = &examples[i];
        struct ms_s3_param header[8] = {{"host", "examplebucket.s3.amazonaws.com"},
                                        {"x-amz-date", "20130524T000000Z"},
                                        {"x-amz-content-sha256", e->payload}};
        struct ms_s3_sign s = {.method = e->method, .path = e->path, .query = e->query, .headers = header,
                               .headers_n = 3, .payload = e->payload, .region = "us-east-1", .service = "s3",
                               .now = at(2013, 5, 24, 0, 0), .keys = &s3_keys};
        struct ms_buf got = {0};
        const char *signature;

        while (s.query_n < 3 && e->query[s.query_n].name)
            s.query_n++;
        for (size_t j = 0; j < 5 && e->header[j].name; j++)
            header[s.headers_n++] = e->header[j];
        assert_ok(ms_s3_authorization(&s, &got, &test_err));
        signature = strstr((char *)got.data, "Signature=");
        assert_non_null(signature);
        if (strcmp(signature + 10, e->signature) != 0)
            print_message("example %s\n", e->name);
        assert_string_equal(signature + 10, e->signature);
        ms_buf_fini(&got);
    }
}

static struct ms_s3_sign presign_example(const struct ms_s3_param *host) {
    return (struct ms_s3_sign){.method = "GET", .path = "/test.txt", .headers = host, .headers_n = 1,
                               .payload = MS_S3_UNSIGNED, .region = "us-east-1", .service = "s3",
                               .now = at(2013, 5, 24, 0, 0), .keys = &s3_keys};
}

static void the_presigned_example_of_s3_holds(void **state) {
    const struct ms_s3_param host = {"host", "examplebucket.s3.amazonaws.com"};
    struct ms_s3_sign s = presign_example(&host);
    struct ms_buf got = {0};

    (void)state;
    assert_ok(ms_s3_presign(&s, 86400, &got, &test_err));
    assert_string_equal((char *)got.data,
                        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
                        "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
                        "X-Amz-SignedHeaders=host&X-Amz-Signature="
                        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    ms_buf_fini(&got);
}

static void a_presigned_url_lives_one_second_to_seven_days(void **state) {
    const struct ms_s3_param host = {"host", "h"};
    struct ms_s3_sign s = presign_example(&host);
    struct ms_buf got = {0};

    (void)state;
    assert_code(ms_s3_presign(&s, 0, &got, &test_err), MS_INVALID);
    assert_code(ms_s3_presign(&s, MS_S3_PRESIGN_S_MAX + 1, &got, &test_err), MS_INVALID);
    assert_ok(ms_s3_presign(&s, MS_S3_PRESIGN_S_MAX, &got, &test_err));
    ms_buf_fini(&got);
}

static void queries_are_sorted_by_encoded_name_then_value(void **state) {
    const struct ms_s3_param query[] = {{"b", "2"}, {"a", "z y"}, {"B", ""}, {"a", "/+"}, {"\xc3\xa4", "%"}};
    struct ms_buf got = {0};

    (void)state;
    assert_ok(ms_s3_query(&got, query, MS_ARRAY_LEN(query), &test_err));
    assert_string_equal((char *)got.data, "%C3%A4=%25&B=&a=%2F%2B&a=z%20y&b=2");
    ms_buf_fini(&got);
}

static void paths_are_encoded_once_and_not_normalised(void **state) {
    struct ms_buf got = {0};

    (void)state;
    assert_ok(ms_s3_encode(&got, "/a b/../%2e//c+d", true, &test_err));
    assert_string_equal((char *)got.data, "/a%20b/../%252e//c%2Bd");
    ms_buf_fini(&got);
}

static void too_many_parameters_are_refused(void **state) {
    struct ms_s3_param many[MS_S3_PARAMS_MAX + 1];
    struct ms_buf got = {0};

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(many); i++)
        many[i] = (struct ms_s3_param){"a", "b"};
    assert_code(ms_s3_query(&got, many, MS_ARRAY_LEN(many), &test_err), MS_RANGE);
    ms_buf_fini(&got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_public_suite_hold),
        cmocka_unit_test(the_examples_of_s3_hold),
        cmocka_unit_test(the_presigned_example_of_s3_holds),
        cmocka_unit_test(a_presigned_url_lives_one_second_to_seven_days),
        cmocka_unit_test(queries_are_sorted_by_encoded_name_then_value),
        cmocka_unit_test(paths_are_encoded_once_and_not_normalised),
        cmocka_unit_test(too_many_parameters_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
