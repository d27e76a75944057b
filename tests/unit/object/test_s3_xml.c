/* test_s3_xml.c — replies of S3 as stores send them, and as a hostile one would. */
#include "support/test.h"

#include "base/scope.h"
#include "object/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum ms_code parse(const char *xml, struct ms_s3_reply *ret_reply) {
    return ms_s3_xml_parse(ms_view_str(xml), ret_reply, &test_err);
}

static void a_list_tells_its_objects(void **state) {
    struct ms_s3_reply r = {0};

    (void)state;
    assert_ok(parse("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
                    "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
                    "<NextContinuationToken>t&amp;1</NextContinuationToken>"
                    "<Contents><Key>a%20b</Key><LastModified>2026-01-31T00:00:00.000Z</LastModified>"
                    "<ETag>&quot;abc&quot;</ETag><Size>9223372036854775807</Size><Unknown><Key>x</Key></Unknown>"
                    "</Contents><Contents><Key>c</Key><Size>0</Size></Contents></ListBucketResult>", &r));
    assert_string_equal(r.root, "ListBucketResult");
    assert_true(r.truncated && r.url_encoded);
    assert_string_equal(r.token, "t&1");
    assert_int_equal(r.items_n, 2);
    assert_string_equal(r.items[0].key, "a%20b");
    assert_string_equal(r.items[0].etag, "\"abc\"");
    assert_int_equal(r.items[0].size, INT64_MAX);
    assert_int_equal(r.items[0].modified.ms, INT64_C(1769817600000));
    assert_string_equal(r.items[1].key, "c");
    ms_s3_reply_fini(&r);
}

static void many_items_are_kept(void **state) {
    struct ms_buf xml = MS_BUF_MAX(MS_S3_XML_BYTES_MAX);
    struct ms_s3_reply r = {0};

    (void)state;
    assert_ok(ms_buf_addf(&xml, &test_err, "<R>"));
    for (int i = 0; i < 1000; i++)
        assert_ok(ms_buf_addf(&xml, &test_err, "<Part><PartNumber>%d</PartNumber><Size>%d</Size></Part>", i + 1, i));
    assert_ok(ms_buf_addf(&xml, &test_err, "</R>"));
    assert_ok(ms_s3_xml_parse(ms_buf_view(&xml), &r, &test_err));
    assert_int_equal(r.items_n, 1000);
    for (uint32_t i = 0; i < 1000; i++)
        assert_true(r.items[i].part_no == i + 1 && r.items[i].size == i);
    ms_s3_reply_fini(&r);
    ms_buf_fini(&xml);
}

static void an_error_behind_blanks_is_an_error(void **state) {
    struct ms_s3_reply r = {0};

    (void)state;
    assert_ok(parse("  \r\n \n<?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>try &lt;again&gt;"
                    "</Message><Region>eu-1</Region></Error>", &r));
    assert_string_equal(r.root, "Error");
    assert_string_equal(r.code, "InternalError");
    assert_string_equal(r.message, "try <again>");
    assert_string_equal(r.region, "eu-1");
    ms_s3_reply_fini(&r);
}

static void hostile_replies_are_refused(void **state) {
    static const char *const bad[] = {
        "", " ", "x", "<", "<a>", "<a></b>", "<a>&none;</a>", "<a></a><b></b>", "<a>\xff</a>", "<a>\x01</a>",
        "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
        "<!DOCTYPE a [<!ENTITY l \"l\"><!ENTITY m \"&l;&l;&l;&l;&l;&l;\">]><Error><Code>&m;</Code></Error>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        "<!DOCTYPE a [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><Error><Message>&f;</Message></Error>",
        "<R><Contents><Size>-1</Size></Contents></R>", "<R><Contents><Size>9223372036854775808</Size></Contents></R>",
        "<R><Contents><Size></Size></Contents></R>", "<R><Contents><Size>1x</Size></Contents></R>",
        "<R><Part><PartNumber>4294967296</PartNumber></Part></R>",
        "<R><Contents><LastModified>yesterday</LastModified></Contents></R>",
        "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a></a></a></a></a></a>"
        "</a></a></a>",
        "<html><body>502<br></body></html>"};

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        struct ms_s3_reply r = {.items_n = 77};
        enum ms_code code = parse(bad[i], &r);

        if (code != MS_PROTOCOL)
            print_message("accepted: %s\n", bad[i]);
        assert_int_equal(code, MS_PROTOCOL);
        assert_int_equal(r.items_n, 77);
    }
}

static void sixteen_elements_deep_is_allowed(void **state) {
    struct ms_s3_reply r = {0};

    (void)state;
    assert_ok(parse("<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a></a></a></a>"
                    "</a></a></a></a>", &r));
    ms_s3_reply_fini(&r);
}

static void replies_and_texts_that_are_too_long_are_refused(void **state) {
    char *xml = malloc(MS_S3_XML_BYTES_MAX + 2);
    struct ms_s3_reply r = {0};

    (void)state;
    memset(xml, ' ', MS_S3_XML_BYTES_MAX + 1);
    memcpy(xml, "<R>", 3);
    memcpy(xml + MS_S3_XML_BYTES_MAX - 3, "</R>", 4);
    assert_int_equal(ms_s3_xml_parse(ms_view_of(xml, MS_S3_XML_BYTES_MAX + 1), &r, &test_err), MS_PROTOCOL);
    memset(xml, 'x', 20000);
    memcpy(xml, "<R><Code>", 9);
    memcpy(xml + 20000, "</Code></R>", 12);
    assert_code(parse(xml, &r), MS_PROTOCOL);
    free(xml);
}

static void every_cut_of_a_reply_is_refused(void **state) {
    static const char whole[] = "<R><Contents><Key>k</Key><Size>12</Size></Contents></R>";

    (void)state;
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        struct ms_s3_reply r = {0};

        assert_int_equal(ms_s3_xml_parse(ms_view_of(whole, n), &r, &test_err), MS_PROTOCOL);
    }
}

static void a_page_must_lead_on(void **state) {
    (void)state;
    assert_ok(ms_s3_check_token(NULL, "a", &test_err));
    assert_ok(ms_s3_check_token("a", "b", &test_err));
    assert_code(ms_s3_check_token("a", "a", &test_err), MS_PROTOCOL);
    assert_code(ms_s3_check_token("a", "", &test_err), MS_PROTOCOL);
    assert_code(ms_s3_check_token(NULL, NULL, &test_err), MS_PROTOCOL);
}

static void codes_of_s3_are_ours(void **state) {
    static const struct {
        long status;
        const char *code;
        enum ms_code want;
    } rows[] = {
        {404, "NoSuchKey", MS_NOT_FOUND},
        {404, "NoSuchUpload", MS_NOT_FOUND},
        {404, "NoSuchBucket", MS_CONFIG},
        {404, NULL, MS_NOT_FOUND},
        {403, "RequestTimeTooSkewed", MS_DENIED},
        {403, "SignatureDoesNotMatch", MS_DENIED},
        {403, "InvalidAccessKeyId", MS_DENIED},
        {403, "QuotaExceeded", MS_NO_SPACE},
        {507, NULL, MS_NO_SPACE},
        {400, "AuthorizationHeaderMalformed", MS_CONFIG},
        {301, "PermanentRedirect", MS_CONFIG},
        {307, NULL, MS_CONFIG},
        {503, "SlowDown", MS_THROTTLED},
        {429, NULL, MS_THROTTLED},
        {503, NULL, MS_UNAVAILABLE},
        {500, "UnknownError", MS_UNAVAILABLE},
        {200, "InternalError", MS_UNAVAILABLE},
        {200, "Whatever", MS_UNAVAILABLE},
        {400, "BadDigest", MS_IO},
        {400, "RequestTimeout", MS_TIMEOUT},
        {416, NULL, MS_RANGE},
        {412, NULL, MS_EXISTS},
        {400, "InvalidPart", MS_CONFLICT},
        {400, "Whatever", MS_INVALID},
        {501, NULL, MS_UNSUPPORTED},
        {408, NULL, MS_TIMEOUT},
        {425, NULL, MS_UNAVAILABLE},
        {100, NULL, MS_PROTOCOL},
    };

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        assert_int_equal(ms_s3_code_of(rows[i].status, rows[i].code), rows[i].want);
}

static void texts_are_escaped_decoded_and_unquoted(void **state) {
    char url[] = "a%20b+c%2Bd%zz%00%4", etag[] = "\"abc\"", bare[] = "abc", quote[] = "\"";
    struct ms_buf buf = {0};

    (void)state;
    assert_ok(ms_s3_xml_escape(&buf, "<a&b>'\"\t\xc3\xa4", &test_err));
    assert_string_equal((char *)buf.data, "&#60;a&#38;b&#62;&#39;&#34;&#9;\xc3\xa4");
    ms_buf_fini(&buf);
    ms_s3_url_decode(url);
    assert_string_equal(url, "a b c+d%zz%00%4");
    ms_s3_unquote(etag);
    assert_string_equal(etag, "abc");
    ms_s3_unquote(bare);
    assert_string_equal(bare, "abc");
    ms_s3_unquote(quote);
    assert_string_equal(quote, "\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_tells_its_objects),
        cmocka_unit_test(many_items_are_kept),
        cmocka_unit_test(an_error_behind_blanks_is_an_error),
        cmocka_unit_test(hostile_replies_are_refused),
        cmocka_unit_test(sixteen_elements_deep_is_allowed),
        cmocka_unit_test(replies_and_texts_that_are_too_long_are_refused),
        cmocka_unit_test(every_cut_of_a_reply_is_refused),
        cmocka_unit_test(a_page_must_lead_on),
        cmocka_unit_test(codes_of_s3_are_ours),
        cmocka_unit_test(texts_are_escaped_decoded_and_unquoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
