#include "support/test.h"

#include "content/media.h"
#include "content/media_correct.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ms_media *media;

static int load(void **state) {
    (void)state;
    assert_ok(ms_media_new(&media, &test_err));
    return 0;
}

static int unload(void **state) {
    (void)state;
    ms_media_free(media);
    ms_media_free(NULL);
    return 0;
}

/* Bytes that libmagic 5.44 does not know, and what they are. Text up to n, zeros behind it up
 * to 64. */
#define B(text) text, sizeof(text) - 1
static const struct {
    const char *bytes;
    size_t n;
    const char *type;
} rows[] = {
    {B("\0\0\0\x14"
       "ftypXAVC\0\0\0\0mp42"),
     "video/mp4"},
    {B("\0\0\0\x14"
       "ftypMSNV\0\0\0\0isom"),
     "video/mp4"}, /* libmagic: sound */
    {B("\0\0\0\x14"
       "ftypf4v \0\0\0\0isom"),
     "video/mp4"},
    {B("\0\0\0\x10"
       "ftypcmfc\0\0\0\0"),
     "video/mp4"},
    {B("\0\0\0\x14"
       "ftyptest\0\0\0\0mp41"),
     "video/mp4"}, /* by the compatible brand */
    {B("\0\0\0\x18"
       "ftyptest\0\0\0\0what3gp5"),
     "video/3gpp"},
    {B("\0\0\0\x14"
       "ftyptest\0\0\0\0qt  "),
     "video/quicktime"},
    {B("\0\0\0\x14"
       "ftyptest\0\0\0\0M4A "),
     "audio/x-m4a"},
    {B("\0\0\0\x10"
       "ftyptest\0\0\0\0mp41"),
     "application/octet-stream"}, /* behind the box */
    {B("\0\0\0\x14"
       "ftypcrx \0\0\0\1isom"),
     "application/octet-stream"}, /* a raw photo */
    {B("\0\0\0\x14"
       "ftyptest\0\0\0\0what"),
     "application/octet-stream"},
    {B("\0\0\0\x08"
       "wide\0\0\0\x10mdat"),
     "video/quicktime"},
    {B("\0\0\0\x08"
       "free\0\0\0\x08skip\0\0\1\0moov"),
     "video/quicktime"},
    {B("\0\0\0\x10"
       "uuid12345678\0\0\0\x10mdat"),
     "video/quicktime"},
    {B("\0\0\0\x09"
       "free?\0\0\0\x10moof"),
     "application/octet-stream"},
    {B("\0\0\0\x07"
       "free\0\0\0\x10mdat"),
     "application/octet-stream"}, /* too short for its head */
    {B("\0\0\0\0"
       "free\0\0\0\x10mdat"),
     "application/octet-stream"},
    {B("\x7f\xff\xff\xff"
       "free\0\0\0\x10mdat"),
     "application/octet-stream"},
    {B("\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x0f\x42\x82\x01\0\0\0\0\0\0\4webm"), "video/webm"},
    {B("\x1a\x45\xdf\xa3\x93\x42\x82\x01\0\0\0\0\0\0\x08matroska"), "video/x-matroska"},
    {B("\x1a\x45\xdf\xa3\x93\x42\x86\x81\1\x42\x82\x20\0\x08matroska"), "video/x-matroska"},
    {B("\x1a\x45\xdf\xa3\x93\x42\x82\x40\x05other\x42"), "application/octet-stream"},
    {B("\x1a\x45\xdf\xa3\x93\x42\x82\x4f\xffwebm"), "application/octet-stream"},
    {B("\x1a\x45\xdf\xa3\0\0"), "application/octet-stream"},
    {B("RF64\xff\xff\xff\xffWAVEds64\x1c\1\2"), "audio/x-wav"},
    {B("BW64\xff\xff\xff\xffWAVEds64\x1c\1\2"), "audio/x-wav"},
    {B("RF64\xff\xff\xff\xffOTHR\1\2\3"), "application/octet-stream"},
    {B("\1\2\3\4%PDF-1.4\n"), "application/pdf"},
    {B("\1\2\3\4%PDF-x.4\n"), "application/octet-stream"},
    {B("ID3\4\0\0\0\x7f\x7f\x7f"
       "APIC"),
     "audio/mpeg"}, /* a picture longer than what is seen */
    {B("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "application/x-ole-storage"},
};

static void known_mistakes_of_libmagic_are_corrected(void **state) {
    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        char type[MS_MEDIA_TYPE_MAX + 1];
        uint8_t bytes[64] = {0};

        memcpy(bytes, rows[i].bytes, rows[i].n);
        assert_string_equal(ms_media_correct(bytes, sizeof(bytes), "application/octet-stream"),
                            rows[i].type);
        assert_ok(ms_media_identify(media, bytes, sizeof(bytes), type, &test_err));
        if (strcmp(type, rows[i].type) != 0)
            fail_msg("row %zu: %s instead of %s", i, type, rows[i].type);
    }
}

static void what_libmagic_knows_is_left_alone(void **state) {
    static const char *const types[] = {"text/plain", "video/mp4",       "image/png",
                                        "audio/mpeg", "video/quicktime", "application/pdf",
                                        "x"};
    uint8_t bytes[64] = "\0\0\0\x14"
                        "ftypXAVC\0\0\0\0mp42";

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(types); i++)
        assert_ptr_equal(ms_media_correct(bytes, sizeof(bytes), types[i]), types[i]);
}

/* One frame of MPEG 1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes. */
static size_t add_frame(uint8_t *p) {
    memset(p, 0x55, 417);
    memcpy(p, "\xff\xfb\x90\x00", 4);
    return 417;
}

static const char *type_of_frames(size_t lead, uint8_t fill, unsigned frames, size_t tail) {
    static uint8_t p[32768];
    size_t n = lead;

    memset(p, fill, sizeof(p));
    for (unsigned i = 0; i < frames; i++)
        n += add_frame(p + n);
    return ms_media_correct(p, n + tail, "application/octet-stream");
}

static void layer_iii_is_found_behind_other_bytes(void **state) {
    (void)state;
    assert_string_equal(type_of_frames(417, 0, 2, 0), "audio/mpeg"); /* zeros, then frames */
    assert_string_equal(type_of_frames(20000, 0, 2, 0), "audio/mpeg");
    assert_string_equal(type_of_frames(100, 7, 4, 0), "audio/mpeg"); /* cut in the middle */
    assert_string_equal(type_of_frames(100, 7, 4, 100), "audio/mpeg");
    assert_string_equal(type_of_frames(4095, 7, 4, 100), "audio/mpeg");
    assert_string_equal(type_of_frames(100, 7, 3, 100), "application/octet-stream");
    assert_string_equal(type_of_frames(4096, 7, 8, 100), "application/octet-stream");
    assert_string_equal(type_of_frames(100, 0xff, 4, 0), "audio/mpeg");
    assert_string_equal(type_of_frames(5000, 0xff, 0, 0), "application/octet-stream");
    assert_string_equal(type_of_frames(5000, 0, 0, 0), "application/octet-stream");
}

static void an_empty_file_is_called_empty(void **state) {
    char type[MS_MEDIA_TYPE_MAX + 1];

    (void)state;
    assert_ok(ms_media_identify(media, "x", 0, type, &test_err));
    assert_string_equal(type, "inode/x-empty");
    assert_ok(ms_media_identify(media, NULL, 0, type, &test_err));
    assert_string_equal(type, "inode/x-empty");
}

static void only_the_first_bytes_count(void **state) {
    char a[MS_MEDIA_TYPE_MAX + 1], b[MS_MEDIA_TYPE_MAX + 1];
    uint8_t *bytes = malloc(2 * MS_MEDIA_BYTES);

    (void)state;
    memset(bytes, 'a', MS_MEDIA_BYTES);
    memset(bytes + MS_MEDIA_BYTES, 0, MS_MEDIA_BYTES);
    assert_ok(ms_media_identify(media, bytes, MS_MEDIA_BYTES, a, &test_err));
    assert_ok(ms_media_identify(media, bytes, 2 * MS_MEDIA_BYTES, b, &test_err));
    assert_string_equal(a, "text/plain");
    assert_string_equal(b, a);
    free(bytes);
}

/* Starts that lead into each rule, with anything behind them, cut anywhere: in memory of exactly
 * that size. */
static void hostile_bytes_never_do_harm(void **state) {
    static const char *const starts[] = {"",
                                         "\x1a\x45\xdf\xa3",
                                         "PK\3\4",
                                         "ID3\4",
                                         "RF64",
                                         "\xff\xfb",
                                         "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
                                         "%PDF-"};
    static const char *const boxes[] = {"ftyp", "free", "wide", "moov", "uuid"};
    struct ms_random_seeded rnd;

    (void)state;
    ms_random_seeded_init(&rnd, ms_test_seed());
    for (unsigned i = 0; i < ms_test_rounds(20000); i++) {
        size_t n = 1 + ms_random_below(&rnd.random, i % 16 ? 200 : 5000);
        const char *start = starts[ms_random_below(&rnd.random, MS_ARRAY_LEN(starts))];
        uint8_t *p = malloc(n);

        ms_random_fill(&rnd.random, p, n);
        memcpy(p, start, n < strlen(start) ? n : strlen(start));
        if (!*start && n >= 8)
            memcpy(p + 4, boxes[ms_random_below(&rnd.random, MS_ARRAY_LEN(boxes))], 4);
        for (size_t at = 0; i % 2 && at < n; at += 1 + ms_random_below(&rnd.random, 4))
            p[at] &= 3; /* small lengths lead further */
        memcpy(p, start, n < strlen(start) ? n : strlen(start));
        assert_non_null(strchr(ms_media_correct(p, n, "application/octet-stream"), '/'));
        assert_non_null(strchr(ms_media_correct(p, n, "application/x-ole-storage"), '/'));
        assert_non_null(strchr(ms_media_correct(p, n, "audio/mp4"), '/'));
        free(p);
    }
    ms_random_seeded_fini(&rnd);
}

/* What begins with nothing known is not searched: a signature far behind does not make it anything. */
static void nothing_in_the_beginning_is_nothing(void **state) {
    static uint8_t bytes[64 * 1024];
    char type[MS_MEDIA_TYPE_MAX + 1];

    (void)state;
    memcpy(bytes + 32769, "CD001", 5); /* libmagic calls that an image of a compact disc */
    assert_ok(ms_media_identify(media, bytes, sizeof(bytes), type, &test_err));
    assert_string_equal(type, "application/octet-stream");
}

static void *identify_often(void *wrong) {
    static const uint8_t png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0";
    char type[MS_MEDIA_TYPE_MAX + 1];

    for (unsigned i = 0; i < 100; i++) {
        if (ms_media_identify(media, png, sizeof(png), type, NULL) != MS_OK ||
            strcmp(type, "image/png") != 0)
            ++*(unsigned *)wrong;
        if (ms_media_identify(media, "a text\n", 7, type, NULL) != MS_OK ||
            strcmp(type, "text/plain") != 0)
            ++*(unsigned *)wrong;
    }
    return NULL;
}

static void any_thread_may_ask(void **state) {
    pthread_t threads[4];
    unsigned wrong[4] = {0};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, identify_often, &wrong[i]), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(wrong[0] + wrong[1] + wrong[2] + wrong[3], 0);
}

/* The database is found by libmagic's own variable; without it there is a clear refusal. */
static void a_missing_database_is_told(void **state) {
    struct ms_media *other = NULL;

    (void)state;
    assert_int_equal(setenv("MAGIC", "/nonexistent/magic", 1), 0);
    assert_code(ms_media_new(&other, &test_err), MS_CONFIG);
    assert_non_null(strstr(test_err.message, "install libmagic-mgc"));
    assert_null(other);
    assert_int_equal(unsetenv("MAGIC"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_mistakes_of_libmagic_are_corrected),
        cmocka_unit_test(what_libmagic_knows_is_left_alone),
        cmocka_unit_test(layer_iii_is_found_behind_other_bytes),
        cmocka_unit_test(an_empty_file_is_called_empty),
        cmocka_unit_test(only_the_first_bytes_count),
        cmocka_unit_test(nothing_in_the_beginning_is_nothing),
        cmocka_unit_test(hostile_bytes_never_do_harm),
        cmocka_unit_test(any_thread_may_ask),
        cmocka_unit_test(a_missing_database_is_told),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
