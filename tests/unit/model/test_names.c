#include "support/test.h"

#include "model/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME (MS_NAME_BYTES_MAX + 1)

/* Legal names and their NFC; NULL: the name itself. */
static const struct {
    const char *name, *nfc;
} legal[] = {
    {"a", NULL},
    {"A", NULL},
    {"movie.mp4", NULL},
    {".hidden", NULL},
    {"...", NULL},
    {"..a", NULL},
    {"a..", NULL},
    {". ", NULL},
    {" .", NULL},
    {" ", NULL},
    {"   ", NULL},
    {" leading", NULL},
    {"trailing ", NULL},
    {"a b", NULL},
    {"-rf", NULL},
    {"--help", NULL},
    {"~", NULL},
    {"*", NULL},
    {"?<>|\":;&$`'!#%{}[]()^=+,@", NULL},
    {"back\\slash", NULL},
    {"C:\\x", NULL},
    {"CON", NULL},
    {"%2F", NULL},
    {".trash", NULL},      /* reserved at a tenant's root, by the tree */
    {"\xc2\xa0", NULL},    /* U+00A0: first behind C1; a blank that stays itself under NFC */
    {"caf\xc3\xa9", NULL}, /* precomposed */
    {"cafe\xcc\x81", "caf\xc3\xa9"}, /* decomposed */
    {"\xe2\x84\xab", "\xc3\x85"},    /* U+212B angstrom sign */
    {"A\xcc\x8a", "\xc3\x85"},
    {"\xe2\x84\xa6", "\xce\xa9"},                             /* U+2126 ohm sign */
    {"\xe2\x84\xaa", "K"},                                    /* U+212A kelvin sign */
    {"\xcd\xbe", ";"},                                        /* U+037E Greek question mark */
    {"\xe1\xbf\xaf", "`"},                                    /* U+1FEF */
    {"e\xcc\xa3\xcc\x87", "\xe1\xba\xb9\xcc\x87"},            /* marks in canonical order */
    {"e\xcc\x87\xcc\xa3", "\xe1\xba\xb9\xcc\x87"},            /* and out of it */
    {"s\xcc\xa3\xcc\x87", "\xe1\xb9\xa9"},                    /* both compose */
    {"\xe1\xba\x9b\xcc\xa3", "\xe1\xba\x9b\xcc\xa3"},         /* U+1E9B U+0323, UAX 15 */
    {"\xe1\x84\x80\xe1\x85\xa1", "\xea\xb0\x80"},             /* Hangul L V */
    {"\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81"}, /* L V T */
    {"\xea\xb0\x80\xe1\x86\xa8", "\xea\xb0\x81"},             /* LV T */
    {"\xea\xb0\x81", NULL},
    {"\xed\x9e\xa3", NULL},                       /* the last syllable */
    {"\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc"}, /* U+0958: excluded from composition, grows */
    {"\xef\xac\x9d", "\xd7\x99\xd6\xb4"},         /* U+FB1D */
    {"\xef\xa8\x8e", NULL},           /* U+FA0E: a compatibility ideograph that is none */
    {"\xef\xa4\x80", "\xe8\xb1\x88"}, /* U+F900 */
    {"\xef\xac\x81", NULL},           /* U+FB01 fi: compatibility only, NFC leaves it */
    {"\xc2\xb2", NULL},               /* U+00B2 superscript two */
    {"\xcc\x81", NULL},               /* a mark alone */
    {"\xc4\xb0", NULL},               /* U+0130: no case folding */
    {"stra\xc3\x9f"
     "e",
     NULL},
    {"\xe6\x98\xa0\xe7\x94\xbb", NULL},
    {"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", NULL}, /* right-to-left letters are fine */
    {"\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7", NULL},
    {"\xe2\x80\x8e", NULL},     /* U+200E: a mark, no override */
    {"\xe2\x80\x8f", NULL},     /* U+200F */
    {"\xd8\x9c", NULL},         /* U+061C */
    {"\xe2\x80\xa9", NULL},     /* U+2029, in front of the overrides */
    {"\xe2\x80\xaf", NULL},     /* U+202F, behind them */
    {"\xe2\x81\xa5", NULL},     /* U+2065, in front of the isolates */
    {"\xe2\x81\xaa", NULL},     /* U+206A, behind them */
    {"\xe2\x80\x8b", NULL},     /* U+200B */
    {"\xef\xbb\xbf", NULL},     /* U+FEFF */
    {"\xef\xbf\xbd", NULL},     /* U+FFFD */
    {"\xef\xbf\xbf", NULL},     /* U+FFFF: no character, but UTF-8 */
    {"\xee\x80\x80", NULL},     /* private use */
    {"\xed\x9f\xbf", NULL},     /* U+D7FF, in front of the surrogates */
    {"\xf0\x90\x80\x80", NULL}, /* U+10000 */
    {"\xf4\x8f\xbf\xbf", NULL}, /* U+10FFFF */
    {"\xf0\x9f\x98\x80", NULL},
    {"\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7",
     NULL},                                                   /* joined family */
    {"\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa", NULL},               /* flag */
    {"\xf0\x9d\x85\x9e", "\xf0\x9d\x85\x97\xf0\x9d\x85\xa5"}, /* U+1D15E grows */
    {"\x7e", NULL},
    {"\x21", NULL},
};

/* Names that are refused, and what the message must say. */
static const struct {
    const char *name, *says;
} refused[] = {
    {"", "at least one character"},
    {".", "\".\""},
    {"..", "\"..\""},
    {"/", "U+002F"},
    {"a/b", "character 2 (byte 2)"},
    {"a/", "separates folders"},
    {"/a", "character 1 (byte 1)"},
    {"\x01", "U+0001"},
    {"a\tb", "U+0009"},
    {"a\nb", "control characters"},
    {"\r", "U+000D"},
    {"\x1b[31m", "U+001B"},
    {"\x1f", "U+001F"},
    {"\x7f", "U+007F"},
    {"\xc2\x80", "U+0080"},
    {"x\xc2\x85", "character 2 (byte 2)"},
    {"\xc2\x9f", "U+009F"},
    {"\xe2\x80\xaa", "U+202A"},
    {"\xe2\x80\xab", "U+202B"},
    {"\xe2\x80\xac", "U+202C"},
    {"\xe2\x80\xad", "U+202D"},
    {"\xe2\x80\xae", "bidirectional"},
    {"\xe2\x81\xa6", "U+2066"},
    {"\xe2\x81\xa7", "U+2067"},
    {"\xe2\x81\xa8", "U+2068"},
    {"\xe2\x81\xa9", "U+2069"},
    {"caf\xc3\xa9\xe2\x80\xaegpj.exe", "character 5 (byte 6)"},
    {"\x80", "0x80 at byte 1"}, /* continuation without a head */
    {"\xbf", "not valid UTF-8"},
    {"a\xc3", "0xc3 at byte 2"}, /* cut */
    {"\xe2\x82", "0xe2"},
    {"\xf0\x9f\x98", "0xf0"},
    {"\xc3(", "0xc3"}, /* head without continuation */
    {"\xe2(\xa1", "0xe2"},
    {"\xe2\x82(", "0xe2"},
    {"\xf0(\x8c\xbc", "0xf0"},
    {"\xf0\x90(\xbc", "0xf0"},
    {"\xf0\x28\x8c\x28", "0xf0"},
    {"\xc0\x80", "0xc0"}, /* overlong NUL */
    {"\xc0\xaf", "0xc0"}, /* overlong '/' */
    {"\xc1\xbf", "0xc1"},
    {"\xe0\x80\xaf", "0xe0"},
    {"\xe0\x9f\xbf", "0xe0"},
    {"\xf0\x80\x80\xaf", "0xf0"},
    {"\xf0\x8f\xbf\xbf", "0xf0"},
    {"\xed\xa0\x80", "0xed"}, /* surrogates */
    {"\xed\xbf\xbf", "0xed"},
    {"\xed\xa0\xbd\xed\xb8\x80", "0xed"},
    {"\xf4\x90\x80\x80", "0xf4"}, /* beyond U+10FFFF */
    {"\xf5\x80\x80\x80", "0xf5"},
    {"\xf8\x88\x80\x80\x80", "0xf8"}, /* five and six bytes */
    {"\xfc\x84\x80\x80\x80\x80", "0xfc"},
    {"\xfe", "0xfe"},
    {"\xff", "0xff"},
    {"good\xff", "byte 5"},
    {"na\xefve", "0xef at byte 3"}, /* Latin-1 */
};

static void legal_names_have_their_normal_form(void **state) {
    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(legal); i++) {
        char nfc[NAME], again[NAME];

        assert_ok(ms_name_check(legal[i].name, nfc, &test_err));
        assert_string_equal(nfc, legal[i].nfc ? legal[i].nfc : legal[i].name);
        assert_ok(ms_name_check(nfc, again, &test_err));
        assert_string_equal(again, nfc);
    }
}

static void a_refused_name_is_told_the_rule_and_the_place(void **state) {
    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(refused); i++) {
        char nfc[NAME] = "untouched";

        assert_code(ms_name_check(refused[i].name, nfc, &test_err), MS_BAD_NAME);
        if (!strstr(test_err.message, refused[i].says))
            fail_msg("\"%s\" does not say \"%s\"", test_err.message, refused[i].says);
        for (const char *p = test_err.message; *p;
             p++) /* the message cannot do what the name could not */
            assert_true((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f);
        assert_string_equal(nfc, "untouched");
    }
}

static const char *repeated(const char *text, size_t times, const char *tail) {
    static char out[4096];
    size_t n = strlen(text);

    for (size_t i = 0; i < times; i++)
        memcpy(out + i * n, text, n);
    strcpy(out + times * n, tail);
    return out;
}

static void a_name_has_at_most_255_bytes_and_so_has_its_normal_form(void **state) {
    char nfc[NAME];

    (void)state;
    assert_ok(ms_name_check(repeated("x", 255, ""), nfc, &test_err));
    assert_int_equal(strlen(nfc), 255);
    assert_code(ms_name_check(repeated("x", 256, ""), nfc, &test_err), MS_NAME_TOO_LONG);
    assert_non_null(strstr(test_err.message, "256 bytes, the limit is 255"));
    assert_code(ms_name_check(repeated("x", 4000, ""), nfc, &test_err), MS_NAME_TOO_LONG);
    assert_ok(ms_name_check(repeated("\xe6\x98\xa0", 85, ""), nfc, &test_err));
    assert_code(ms_name_check(repeated("\xe6\x98\xa0", 85, "x"), nfc, &test_err), MS_NAME_TOO_LONG);
    /* U+0958 takes 3 bytes as given and 6 in NFC. */
    assert_ok(ms_name_check(repeated("\xe0\xa5\x98", 42, ""), nfc, &test_err));
    assert_int_equal(strlen(nfc), 252);
    assert_code(ms_name_check(repeated("\xe0\xa5\x98", 43, ""), nfc, &test_err), MS_NAME_TOO_LONG);
    assert_non_null(strstr(test_err.message, "NFC) has 258 bytes"));
    /* The longest growth of all: U+1D160 has 4 bytes and three code points. */
    assert_code(ms_name_check(repeated("\xf0\x9d\x85\xa0", 63, ""), nfc, &test_err),
                MS_NAME_TOO_LONG);
    /* A spelling that is too long is refused, though its NFC would fit. */
    assert_code(ms_name_check(repeated("e\xcc\x81", 86, ""), nfc, &test_err), MS_NAME_TOO_LONG);
}

static void every_byte_string_is_judged_without_harm(void **state) {
    struct ms_random_seeded rnd;

    (void)state;
    ms_random_seeded_init(&rnd, ms_test_seed());
    for (unsigned i = 0; i < ms_test_rounds(20000); i++) {
        char text[600], nfc[NAME], name[NAME];
        size_t n = ms_random_below(&rnd.random, i % 8 ? 12 : sizeof(text) - 1);

        for (size_t at = 0; at < n; at++)
            text[at] = (char)(1 + ms_random_below(&rnd.random, 255));
        text[n] = '\0';
        if (ms_name_check(text, nfc, NULL) == MS_OK)
            assert_in_range(strlen(nfc), 1, 255);
        ms_name_from_text(text, name);
        assert_ok(ms_name_check(name, nfc, &test_err));
    }
    ms_random_seeded_fini(&rnd);
}

static void ascii_is_told_from_the_rest(void **state) {
    (void)state;
    assert_true(ms_name_is_ascii(""));
    assert_true(ms_name_is_ascii("movie.mp4~"));
    assert_false(ms_name_is_ascii("caf\xc3\xa9"));
    assert_false(ms_name_is_ascii("\x80"));
}

static void any_text_makes_a_legal_name(void **state) {
    static const struct {
        const char *text, *name;
    } rows[] = {
        {"movie.mp4", "movie.mp4"},
        {"", "_"},
        {".", "_"},
        {"..", "__"},
        {"...", "..."},
        {"/", "_"},
        {"a/b/c.mp4", "a_b_c.mp4"},
        {"../../etc/passwd", ".._.._etc_passwd"},
        {"a\nb\tc", "a_b_c"},
        {"x\xe2\x80\xaegpj.exe", "x_gpj.exe"},
        {"x\xff\xfe.png", "x__.png"},
        {"x.p\xffg", "x.p_g"},
        {"x./", "x._"},
        {"\xc3", "_"},
        {"caf\xc3\xa9.jpg", "caf\xc3\xa9.jpg"},
        {"cafe\xcc\x81.jpg", "cafe\xcc\x81.jpg"}, /* the spelling stays */
        {"\xc2\x9f", "_"},
        {" ", " "},
    };

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        char name[NAME], nfc[NAME];

        ms_name_from_text(rows[i].text, name);
        assert_string_equal(name, rows[i].name);
        assert_ok(ms_name_check(name, nfc, &test_err));
    }
}

static void a_long_text_is_cut_before_its_suffix_and_at_a_character(void **state) {
    char name[NAME], nfc[NAME];

    (void)state;
    ms_name_from_text(repeated("x", 255, ""), name);
    assert_int_equal(strlen(name), 255);
    ms_name_from_text(repeated("x", 251, ".mp4"), name);
    assert_string_equal(name, repeated("x", 251, ".mp4"));
    ms_name_from_text(repeated("x", 252, ".mp4"), name);
    assert_string_equal(name, repeated("x", 251, ".mp4"));
    ms_name_from_text(repeated("x", 1016, ".mp4"), name);
    assert_string_equal(name, repeated("x", 251, ".mp4"));
    ms_name_from_text(repeated("x", 3000, ".mp4"), name);
    assert_string_equal(name, repeated("x", 251, ".mp4"));
    ms_name_from_text(repeated("\xe6\x98\xa0", 100, ".mp4"),
                      name); /* 83 of 3 bytes, 2 bytes left */
    assert_string_equal(name, repeated("\xe6\x98\xa0", 83, ".mp4"));
    ms_name_from_text(repeated("e\xcc\x81", 100, ""), name);
    assert_string_equal(name, repeated("e\xcc\x81", 85, ""));
    ms_name_from_text(repeated("e\xcc\x81", 100, "."), name); /* no suffix behind the dot */
    assert_string_equal(name, repeated("e\xcc\x81", 85, ""));
    ms_name_from_text(repeated("e\xcc\x81", 100, ".c"),
                      name); /* 253 = 84 x 3 + 1: no bare e is left */
    assert_string_equal(name, repeated("e\xcc\x81", 84, ".c"));
    /* 251 bytes: 13 families of 18 bytes, the next one is not torn at a joiner. */
    ms_name_from_text(
        repeated("\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7", 20,
                 ".mp4"),
        name);
    assert_string_equal(
        name, repeated("\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7",
                       13, ".mp4"));
    /* One letter with too many marks is cut between two of them. */
    ms_name_from_text(repeated("\xcc\x81", 400, ".mp4"), name);
    assert_string_equal(name, repeated("\xcc\x81", 125, ".mp4"));
    /* What grows in NFC is cut until that fits too. */
    ms_name_from_text(repeated("\xe0\xa5\x98", 80, ".png"), name);
    assert_string_equal(name, repeated("\xe0\xa5\x98", 41, ".png"));
    assert_ok(ms_name_check(name, nfc, &test_err));
}

static void a_taken_name_gets_a_number_before_its_suffix(void **state) {
    static const struct {
        const char *name;
        unsigned n;
        const char *numbered;
    } rows[] = {
        {"movie.mp4", 2, "movie (2).mp4"},
        {"movie.mp4", 10, "movie (10).mp4"},
        {"movie (2).mp4", 2, "movie (2) (2).mp4"},
        {"movie", 2, "movie (2)"},
        {".bashrc", 3, ".bashrc (3)"},
        {"a.tar.gz", 2, "a.tar (2).gz"},
        {"a.", 2, "a. (2)"},
        {"...", 2, "... (2)"},
        {"a.sixteen_letters_", 2, "a.sixteen_letters_ (2)"},
        {"x", 4294967295u, "x (4294967295)"},
        {"caf\xc3\xa9.JPG", 2, "caf\xc3\xa9 (2).JPG"},
    };
    char name[NAME];

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        ms_name_numbered(rows[i].name, rows[i].n, name);
        assert_string_equal(name, rows[i].numbered);
    }
    ms_name_numbered(repeated("x", 251, ".mp4"), 2, name);
    assert_string_equal(name, repeated("x", 247, " (2).mp4"));
    ms_name_numbered(repeated("x", 255, ""), 4294967295u, name);
    assert_string_equal(name, repeated("x", 242, " (4294967295)"));
    ms_name_numbered(repeated("\xe6\x98\xa0", 85, ""), 2, name); /* 251 left: 83 of 3 bytes */
    assert_string_equal(name, repeated("\xe6\x98\xa0", 83, " (2)"));
    ms_name_numbered(repeated("\xe0\xa5\x98", 42, ""), 2, name); /* 252 bytes in NFC */
    assert_string_equal(name, repeated("\xe0\xa5\x98", 41, " (2)"));
}

static void numbers_make_different_names_that_are_all_legal(void **state) {
    char before[NAME] = "", name[NAME], nfc[NAME];

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(legal); i++)
        for (unsigned n = 2; n < 120; n++) {
            ms_name_numbered(legal[i].name, n, name);
            assert_ok(ms_name_check(name, nfc, &test_err));
            assert_string_not_equal(nfc, before);
            strcpy(before, nfc);
        }
}

static void a_suffix_stands_behind_the_last_dot_in_lower_case(void **state) {
    static const struct {
        const char *name, *suffix, *key;
    } rows[] = {
        {"movie.mp4", "mp4", "mp4"},
        {"MOVIE.MP4", "mp4", "mp4"},
        {"a.b.Png", "png", "png"},
        {".mp4", "", "bin"},
        {".a.mp4", "mp4", "mp4"},
        {"..mp4", "mp4", "mp4"},
        {"mp4", "", "bin"},
        {"a.", "", "bin"},
        {"a..", "", "bin"},
        {"", "", "bin"},
        {".", "", "bin"},
        {"a.123456789012345", "123456789012345", "123456789012345"},
        {"a.1234567890123456", "", "bin"},
        {"a.m4a ", "m4a ", "bin"},
        {"a.tar-gz", "tar-gz", "bin"},
        {"a.\xc3\x89", "\xc3\x89", "bin"}, /* only ASCII is folded */
        {"a.7z", "7z", "7z"},
        {"a.p/g", "p/g", "bin"},
    };

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        char suffix[16];

        ms_name_suffix(rows[i].name, suffix);
        assert_string_equal(suffix, rows[i].suffix);
        ms_name_key_suffix(rows[i].name, suffix);
        assert_string_equal(suffix, rows[i].key);
    }
}

static void tenants_have_plain_names(void **state) {
    static const char *const good[] = {"a", "0", "acme", "acme-2", "a.b_c-d", "a..", "a-", "9"};
    static const char *const bad[] = {"",    "A",   "Acme",        "-a",     ".a",
                                      "_a",  ".",   "..",          ".trash", "a b",
                                      "a/b", "a\n", "caf\xc3\xa9", "a:b",    "*"};

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(good); i++)
        assert_ok(ms_tenant_name_check(good[i], &test_err));
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++)
        assert_code(ms_tenant_name_check(bad[i], &test_err), MS_BAD_NAME);
    assert_code(ms_tenant_name_check("ab/c", &test_err), MS_BAD_NAME);
    assert_non_null(strstr(test_err.message, "0x2f at byte 3"));
    assert_ok(ms_tenant_name_check(repeated("a", 64, ""), &test_err));
    assert_code(ms_tenant_name_check(repeated("a", 65, ""), &test_err), MS_NAME_TOO_LONG);
}

static void a_line_is_text_without_control_characters(void **state) {
    (void)state;
    assert_int_equal(ms_line_check("the memo", "", 3, &test_err), MS_OK);
    assert_int_equal(ms_line_check("the memo", "a/b", 3, &test_err), MS_OK);
    assert_int_equal(ms_line_check("the memo", "a/bc", 3, &test_err), MS_RANGE);
    assert_non_null(strstr(test_err.message, "the memo has 4 bytes; at most 3"));
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const char *text = refused[i].name;
        bool only_a_name = strchr(text, '/') || strcmp(text, "") == 0 || strcmp(text, ".") == 0 ||
                           strcmp(text, "..") == 0 || strlen(text) > 200;
        char reason[MS_REASON_MAX + 1];
        if (only_a_name)
            continue;
        assert_int_equal(ms_line_check("the memo", text, 300, &test_err), MS_INVALID);
        assert_non_null(strstr(test_err.message, "the memo"));
        ms_reason_cut(text, reason);
        assert_int_equal(ms_line_check("the memo", reason, 300, &test_err), MS_OK);
        assert_non_null(strchr(reason, '_'));
    }
}

static void a_reason_is_cut_at_a_character(void **state) {
    char text[MS_REASON_MAX + 3], reason[MS_REASON_MAX + 1];
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text + MS_REASON_MAX - 1, "\xc3\xa9", 3);
    ms_reason_cut(text, reason);
    assert_int_equal(strlen(reason), MS_REASON_MAX - 1);
    ms_reason_cut("two\nlines", reason);
    assert_string_equal(reason, "two_lines");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legal_names_have_their_normal_form),
        cmocka_unit_test(a_refused_name_is_told_the_rule_and_the_place),
        cmocka_unit_test(a_name_has_at_most_255_bytes_and_so_has_its_normal_form),
        cmocka_unit_test(every_byte_string_is_judged_without_harm),
        cmocka_unit_test(ascii_is_told_from_the_rest),
        cmocka_unit_test(any_text_makes_a_legal_name),
        cmocka_unit_test(a_long_text_is_cut_before_its_suffix_and_at_a_character),
        cmocka_unit_test(a_taken_name_gets_a_number_before_its_suffix),
        cmocka_unit_test(numbers_make_different_names_that_are_all_legal),
        cmocka_unit_test(a_suffix_stands_behind_the_last_dot_in_lower_case),
        cmocka_unit_test(tenants_have_plain_names),
        cmocka_unit_test(a_line_is_text_without_control_characters),
        cmocka_unit_test(a_reason_is_cut_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
