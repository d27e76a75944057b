/* The blob of a replication: keys, seal and text, by every bit and every cut. Pure. */
#include "support/test.h"

#include "service/replica.h"
#include "service/replica_seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_A "00112233445566778899aabbccddeeff"
#define KEY_B "FFEEDDCCBBAA99887766554433221100"

static const struct ms_instant now = {1772323200000};
static const struct ms_instant later = {1772326800000};

static struct ms_replica_keys keys_of(const char *text) {
    struct ms_replica_keys keys;
    assert_ok(ms_replica_keys_parse(ms_view_str(text), "keys", &keys, &test_err));
    return keys;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void keys_are_lines_of_an_id_and_32_digits(void **state) {
    (void)state;
    struct ms_replica_keys keys =
        keys_of("# ours\n\n  one \t" KEY_A "  # the first\r\n2 " KEY_B);
    assert_int_equal(keys.n, 2);
    assert_string_equal(keys.key[0].id, "one");
    assert_string_equal(keys.key[1].id, "2");
    assert_int_equal(keys.key[0].key[1], 0x11);
    assert_int_equal(keys.key[1].key[0], 0xff);
    ms_replica_keys_fini(&keys);
    assert_int_equal(keys.n, 0);
}

static void a_line_that_is_no_key_is_named_and_not_repeated(void **state) {
    static const char *const bad[] = {
        "", "# none\n", "one\n", "one 0011\n", "one " KEY_A "00\n", "one " KEY_A " more\n",
        "one 0g112233445566778899aabbccddeeff\n", "one " KEY_A "\none " KEY_B "\n",
        "\xc3\xa9 " KEY_A "\n"};
    struct ms_replica_keys keys;
    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        assert_code(ms_replica_keys_parse(ms_view_str(bad[i]), "keys", &keys, &test_err), MS_CONFIG);
        assert_null(strstr(test_err.message, "0011"));
    }
    struct ms_buf many = MS_BUF_MAX(4096);
    for (unsigned i = 0; i <= MS_REPLICA_KEYS_MAX; i++)
        assert_ok(ms_buf_addf(&many, &test_err, "k%u " KEY_A "\n", i));
    assert_code(ms_replica_keys_parse(ms_buf_view(&many), "keys", &keys, &test_err), MS_CONFIG);
    assert_non_null(strstr(test_err.message, "more than 16"));
    ms_buf_fini(&many);
}

static void a_key_file_is_the_owners_alone(void **state) {
    char *dir = ms_test_tmpdir_new(), *path = ms_test_path(dir, "keys");
    struct ms_replica_keys keys;
    (void)state;
    ms_test_write_file(path, "k " KEY_A "\n", strlen("k " KEY_A "\n"));
    static const struct {
        mode_t mode;
        enum ms_code want;
    } cases[] = {{0600, MS_OK}, {0400, MS_OK}, {0640, MS_CONFIG}, {0604, MS_CONFIG}, {0620, MS_CONFIG}};
    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++) {
        assert_int_equal(chmod(path, cases[i].mode), 0);
        assert_code(ms_replica_keys_load(path, &keys, &test_err), cases[i].want);
    }
    assert_code(ms_replica_keys_load("", &keys, &test_err), MS_CONFIG);
    assert_code(ms_replica_keys_load(dir, &keys, &test_err), MS_CONFIG);
    assert_int_equal(unlink(path), 0);
    assert_code(ms_replica_keys_load(path, &keys, &test_err), MS_NO_INPUT);
    assert_int_equal(mkfifo(path, 0600), 0); /* it is not waited for */
    assert_code(ms_replica_keys_load(path, &keys, &test_err), MS_CONFIG);
    free(path);
    ms_test_tmpdir_remove(dir);
}

/* ---- seal ------------------------------------------------------------------------------------ */

static struct ms_buf sealed(const char *keys_text, const char *plain) {
    struct ms_replica_keys keys = keys_of(keys_text);
    const struct ms_replica_head head = {.asset = {{{1, 2, 3}}}, .expires = later};
    struct ms_buf blob = {0};
    assert_ok(ms_replica_seal(&keys, ms_random_system(), &head, ms_view_str(plain), &blob,
                              &test_err));
    return blob;
}

static enum ms_code unseal(const char *keys_text, struct ms_instant at, struct ms_view blob,
                           struct ms_buf *ret_plain, struct ms_error *reterr) {
    struct ms_replica_keys keys = keys_of(keys_text);
    struct ms_replica_head head;
    *ret_plain = (struct ms_buf){0};
    enum ms_code code = ms_replica_unseal(&keys, at, blob, &head, ret_plain, reterr);
    if (code == MS_OK) {
        assert_int_equal(head.asset.id.b[2], 3);
        assert_int_equal(head.expires.ms, later.ms);
    } else
        assert_int_equal(ret_plain->len, 0);
    return code;
}

static void what_was_sealed_is_opened_with_the_key_of_its_id(void **state) {
    struct ms_buf blob = sealed("a " KEY_A, "some words"), plain;
    (void)state;
    assert_ok(unseal("b " KEY_B "\na " KEY_A, now, ms_buf_view(&blob), &plain, &test_err));
    assert_string_equal(plain.data, "some words");
    ms_buf_fini(&plain);
    assert_code(unseal("b " KEY_B, now, ms_buf_view(&blob), &plain, &test_err), MS_DENIED);
    ms_buf_fini(&plain);
    assert_code(unseal("a " KEY_B, now, ms_buf_view(&blob), &plain, &test_err), MS_DENIED);
    ms_buf_fini(&plain);
    ms_buf_fini(&blob);
}

static void it_is_good_until_its_expiry_and_not_at_it(void **state) {
    struct ms_buf blob = sealed("a " KEY_A, "x"), plain;
    (void)state;
    for (int d = -1; d <= 1; d++) {
        assert_code(unseal("a " KEY_A, (struct ms_instant){later.ms + d}, ms_buf_view(&blob), &plain,
                           &test_err),
                    d < 0 ? MS_OK : MS_STALE);
        ms_buf_fini(&plain);
    }
    ms_buf_fini(&blob);
}

static void the_same_is_never_sealed_alike_twice(void **state) {
    struct ms_buf one = sealed("a " KEY_A, "x"), two = sealed("a " KEY_A, "x");
    const char *iv = strstr((const char *)one.data, "\"iv\":\"");
    (void)state;
    assert_non_null(iv);
    assert_null(strstr((const char *)two.data, iv));
    ms_buf_fini(&one);
    ms_buf_fini(&two);
}

/* Every character changed to every other of base64, and to what is none: refused, or (a space more) the same text. */
static void no_character_may_differ(void **state) {
    static const char others[] = "AZaz09+/=\"{}:, 1e-\n\x01";
    struct ms_buf blob = sealed("a " KEY_A, "a text of some length"), plain;
    unsigned changed = 0;
    (void)state;
    for (size_t i = 0; i < blob.len; i++)
        for (size_t o = 0; o < sizeof others; o++) {
            uint8_t was = blob.data[i];
            if (was == (uint8_t)others[o])
                continue;
            blob.data[i] = (uint8_t)others[o];
            enum ms_code code = unseal("a " KEY_A, now, ms_buf_view(&blob), &plain, NULL);
            changed += code != MS_OK;
            assert_true(code == MS_INVALID || code == MS_DENIED || code == MS_UNSUPPORTED);
            ms_buf_fini(&plain);
            blob.data[i] = was;
        }
    assert_true(changed > 1000);
    ms_buf_fini(&blob);
}

static void no_cut_is_taken_and_no_tail(void **state) {
    struct ms_buf blob = sealed("a " KEY_A, "a text"), plain;
    (void)state;
    for (size_t n = 0; n < blob.len; n++) {
        assert_code(unseal("a " KEY_A, now, ms_view_of(blob.data, n), &plain, &test_err), MS_INVALID);
        ms_buf_fini(&plain);
    }
    assert_ok(ms_buf_add(&blob, "x", 1, &test_err));
    assert_code(unseal("a " KEY_A, now, ms_buf_view(&blob), &plain, &test_err), MS_INVALID);
    ms_buf_fini(&plain);
    ms_buf_fini(&blob);
}

static void sizes_end_at_what_the_api_takes(void **state) {
    struct ms_replica_keys keys = keys_of("a " KEY_A);
    const struct ms_replica_head head = {.asset = {{{1, 2, 3}}}, .expires = later};
    struct ms_buf blob = {0}, plain;
    char *text = malloc(MS_REPLICA_PLAIN_MAX + 2);
    (void)state;
    assert_non_null(text);
    memset(text, 'x', MS_REPLICA_PLAIN_MAX + 1);
    assert_code(ms_replica_seal(&keys, ms_random_system(), &head,
                                ms_view_of(text, MS_REPLICA_PLAIN_MAX + 1), &blob, &test_err),
                MS_RANGE);
    assert_ok(ms_replica_seal(&keys, ms_random_system(), &head,
                              ms_view_of(text, MS_REPLICA_PLAIN_MAX), &blob, &test_err));
    assert_ok(unseal("a " KEY_A, now, ms_buf_view(&blob), &plain, &test_err));
    assert_int_equal(plain.len, MS_REPLICA_PLAIN_MAX);
    ms_buf_fini(&plain);
    ms_buf_fini(&blob);
    free(text);
    char *huge = calloc(1, MS_REPLICA_BLOB_MAX + 1);
    assert_non_null(huge);
    assert_code(unseal("a " KEY_A, now, ms_view_of(huge, MS_REPLICA_BLOB_MAX + 1), &plain, &test_err),
                MS_INVALID);
    ms_buf_fini(&plain);
    free(huge);
}

/* ---- text ------------------------------------------------------------------------------------ */

static const char told[] =
    "{\"version\":1,\"store\":\"00000000000000000000000000000001\","
    "\"tenant\":\"00000000000000000000000000000002\",\"asset\":\"00000000000000000000000000000003\","
    "\"type\":\"VIDEO\",\"origin\":\"UPLOADED\",\"name\":\"f\",\"description\":\"d\",\"tags\":\"a,b\","
    "\"files\":[{\"file\":\"00000000000000000000000000000004\",\"file_version\":"
    "\"00000000000000000000000000000005\",\"category\":\"COVER\",\"name\":\"c.png\",\"size\":9,"
    "\"block_log2\":18,\"root\":\"00000000000000000000000000000006\"},"
    "{\"file\":\"00000000000000000000000000000007\",\"file_version\":"
    "\"00000000000000000000000000000008\",\"category\":\"MAIN\",\"name\":\"f.mp4\",\"size\":10,"
    "\"block_log2\":18,\"root\":\"00000000000000000000000000000009\",\"md5\":"
    "\"0000000000000000000000000000000a\",\"url\":\"https://h/x\"}]}";

static void what_is_told_is_what_is_read(void **state) {
    struct ms_replica r;
    struct ms_buf again = {0};
    (void)state;
    assert_ok(ms_replica_read(ms_view_str(told), &r, &test_err));
    assert_int_equal(r.n, 2);
    assert_int_equal(r.type, MS_TYPE_VIDEO);
    assert_int_equal(r.files[0].category, MS_CATEGORY_COVER);
    assert_false(r.files[0].has_md5);
    assert_null(r.files[0].url);
    assert_int_equal(r.files[1].size, 10);
    assert_int_equal(r.files[1].md5[15], 10);
    assert_string_equal(r.files[1].url, "https://h/x");
    assert_string_equal(r.tags, "a,b");
    assert_ok(ms_replica_tell(&r, &again, &test_err));
    assert_string_equal(again.data, told);
    ms_buf_fini(&again);
    ms_replica_fini(&r);
}

/* The text with one piece replaced. */
static enum ms_code read_with(const char *was, const char *is) {
    struct ms_replica r = {.n = 0};
    char text[4096];
    const char *at = strstr(told, was);
    assert_non_null(at);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - told), told, is, at + strlen(was));
    enum ms_code code = ms_replica_read(ms_view_str(text), &r, &test_err);
    ms_replica_fini(&r);
    return code;
}

static void a_sealed_text_is_not_believed_for_that(void **state) {
    static const struct {
        const char *was, *is;
        enum ms_code want;
    } cases[] = {
        {"\"version\":1", "\"version\":2", MS_UNSUPPORTED},
        {"\"version\":1,", "", MS_INVALID},
        {"\"VIDEO\"", "\"FILM\"", MS_INVALID},
        {"\"UPLOADED\"", "\"FOUND\"", MS_INVALID},
        {"\"tags\":\"a,b\"", "\"tags\":7", MS_INVALID},
        {"\"name\":\"f\"", "\"name\":\"f\\u0000g\"", MS_INVALID},
        {"\"COVER\"", "\"TEMPORARY\"", MS_INVALID},
        {"\"COVER\"", "\"MAIN\"", MS_INVALID},
        {"\"MAIN\"", "\"OTHER\"", MS_INVALID},
        {"\"size\":9", "\"size\":0", MS_INVALID},
        {"\"size\":9", "\"size\":-1", MS_INVALID},
        {"\"size\":9", "\"size\":536870912001", MS_INVALID},
        {"\"size\":9", "\"size\":536870912000", MS_OK},
        {"\"block_log2\":18", "\"block_log2\":11", MS_INVALID},
        {"\"block_log2\":18", "\"block_log2\":25", MS_INVALID},
        {"00000000000000000000000000000006", "06", MS_INVALID},
        {"\"md5\":\"0000000000000000000000000000000a\"", "\"md5\":1", MS_INVALID},
        {"\"https://h/x\"", "[]", MS_INVALID},
        {"\"store\"", "\"shop\"", MS_INVALID},
        {"\"files\":[", "\"files\":[[],", MS_INVALID},
        {"\"description\":\"d\"", "\"description\":\"d\",\"later\":{}", MS_OK}, /* a newer member */
    };
    char *text, *at;
    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++)
        if (read_with(cases[i].was, cases[i].is) != cases[i].want)
            fail_msg("%s instead of %s: %s", cases[i].is, cases[i].was, test_err.message);
    /* lengths: one more than a record holds */
    text = malloc(sizeof told + 5000);
    assert_non_null(text);
    for (size_t n = 4096; n <= 4097; n++) {
        struct ms_replica r = {.n = 0};
        at = strstr(told, "\"d\"");
        size_t head = (size_t)(at - told) + 1;
        memcpy(text, told, head);
        memset(text + head, 'd', n);
        memcpy(text + head + n, at + 2, strlen(at + 2) + 1);
        assert_code(ms_replica_read(ms_view_str(text), &r, &test_err), n == 4096 ? MS_OK : MS_INVALID);
        ms_replica_fini(&r);
    }
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_lines_of_an_id_and_32_digits),
        cmocka_unit_test(a_line_that_is_no_key_is_named_and_not_repeated),
        cmocka_unit_test(a_key_file_is_the_owners_alone),
        cmocka_unit_test(what_was_sealed_is_opened_with_the_key_of_its_id),
        cmocka_unit_test(it_is_good_until_its_expiry_and_not_at_it),
        cmocka_unit_test(the_same_is_never_sealed_alike_twice),
        cmocka_unit_test(no_character_may_differ),
        cmocka_unit_test(no_cut_is_taken_and_no_tail),
        cmocka_unit_test(sizes_end_at_what_the_api_takes),
        cmocka_unit_test(what_is_told_is_what_is_read),
        cmocka_unit_test(a_sealed_text_is_not_believed_for_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
