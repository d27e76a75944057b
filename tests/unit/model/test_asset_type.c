#include "support/test.h"

#include "model/asset_type.h"
#include "model/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* The table of product.md section 4, written down a second time. */
static const struct listed {
    const char *suffixes; /* blank in front of and behind each */
    enum ms_asset_type type;
    uint64_t bytes_max;
} listing[] = {
    {" mp4 m4v mkv mov flv 3gp wmv avi webm ", MS_TYPE_VIDEO, UINT64_C(5368709120)},
    {" png jpg jpeg bmp gif ", MS_TYPE_IMAGE, 52428800},
    {" mp3 m4a wav ", MS_TYPE_AUDIO, 104857600},
    {" ppt pptx pdf ", MS_TYPE_PPT, 104857600},
};
static const char every_suffix[] =
    "mp4 m4v mkv mov flv 3gp wmv avi webm png jpg jpeg bmp gif mp3 m4a wav ppt pptx pdf "
    "txt part tmp glb fbx zip mp mp44 m4 jpe tiff webp aac flac ogg doc docx xlsx pps ppsx ts h264 "
    "x mp4~ 123 veryverylongsuff \xc3\xa9";

/* What a folder makes of a suffix that section 4 does not list. */
static const enum ms_asset_type unlisted[MS_SPECIAL_COUNT] = {
    [MS_SPECIAL_NONE] = MS_TYPE_COMMON_FILE,          [MS_SPECIAL_ROOT] = MS_TYPE_COMMON_FILE,
    [MS_SPECIAL_VIDEOS] = MS_TYPE_COMMON_FILE,        [MS_SPECIAL_IMAGES] = MS_TYPE_COMMON_FILE,
    [MS_SPECIAL_AUDIO] = MS_TYPE_COMMON_FILE,         [MS_SPECIAL_MUSIC] = MS_TYPE_COMMON_FILE,
    [MS_SPECIAL_PRESENTATIONS] = MS_TYPE_COMMON_FILE, [MS_SPECIAL_MODELS] = MS_TYPE_HUMAN_MODEL_2D,
    [MS_SPECIAL_VOICES] = MS_TYPE_VOICE_MODEL,        [MS_SPECIAL_SCENES] = MS_TYPE_SCENE,
    [MS_SPECIAL_ANIMATIONS] = MS_TYPE_ANIMATION,      [MS_SPECIAL_MATERIALS] = MS_TYPE_MATERIAL,
    [MS_SPECIAL_FILES] = MS_TYPE_COMMON_FILE,
};

static const struct listed *listed_of(const char *suffix) {
    char word[32];

    snprintf(word, sizeof(word), " %s ", suffix);
    for (size_t i = 0; i < MS_ARRAY_LEN(listing); i++)
        if (strstr(listing[i].suffixes, word))
            return &listing[i];
    return NULL;
}

static enum ms_asset_type expected(const char *suffix, enum ms_special folder) {
    const struct listed *l = listed_of(suffix);

    if (!l)
        return unlisted[folder];
    return l->type == MS_TYPE_AUDIO && folder == MS_SPECIAL_MUSIC ? MS_TYPE_MUSIC : l->type;
}

/* Call each for every suffix above; NUL-terminated, at most 31 bytes. */
static void for_each_suffix(void (*each)(const char *suffix)) {
    char word[32];

    for (const char *at = every_suffix; *at; at += strspn(at, " ")) {
        snprintf(word, sizeof(word), "%.*s", (int)strcspn(at, " "), at);
        each(word);
        at += strlen(word);
    }
    each("");
}

static void upper(char *s) {
    for (; *s; s++)
        *s = (char)toupper((unsigned char)*s);
}

static void check_names(const char *suffix) {
    static const char *const stems[] = {"a",   "film.2024", ".hidden", "\xe6\x98\xa0\xe7\x94\xbb",
                                        "a b", ".."};

    for (enum ms_special folder = 0; folder < MS_SPECIAL_COUNT; folder++)
        for (size_t i = 0; i < MS_ARRAY_LEN(stems); i++) {
            char name[64];

            snprintf(name, sizeof(name), "%s.%s", stems[i], suffix);
            assert_int_equal(ms_asset_type_of_name(name, folder, false), expected(suffix, folder));
            assert_int_equal(ms_asset_type_of_name(name, folder, true), MS_TYPE_COMMON_FILE);
            upper(name);
            assert_int_equal(ms_asset_type_of_name(name, folder, false), expected(suffix, folder));
            name[strlen(stems[i]) + 1] = (char)tolower((unsigned char)name[strlen(stems[i]) + 1]);
            assert_int_equal(ms_asset_type_of_name(name, folder, false), expected(suffix, folder));
        }
}

static void the_suffix_decides_and_the_folder_where_that_leaves_a_choice(void **state) {
    (void)state;
    for_each_suffix(check_names);
}

static void a_name_without_suffix_has_the_type_of_its_folder(void **state) {
    static const char *const names[] = {"mp4",
                                        "README",
                                        ".mp4",
                                        ".png",
                                        "movie.",
                                        "mp4.",
                                        "movie.mp4.part",
                                        "movie.mp4 ",
                                        "movie mp4",
                                        ".movie.mp4.Xa3b2c",
                                        "a.veryverylongsuff.x"};

    (void)state;
    for (enum ms_special folder = 0; folder < MS_SPECIAL_COUNT; folder++)
        for (size_t i = 0; i < MS_ARRAY_LEN(names); i++)
            assert_int_equal(ms_asset_type_of_name(names[i], folder, false), unlisted[folder]);
}

static void types_without_suffixes_may_grow_to_500_gb_in_a_mount(void **state) {
    (void)state;
    for (enum ms_asset_type t = 0; t < MS_TYPE_COUNT; t++) {
        enum ms_asset_type as = t == MS_TYPE_MUSIC ? MS_TYPE_AUDIO : t;
        const struct listed *l = NULL;

        for (size_t i = 0; i < MS_ARRAY_LEN(listing); i++)
            if (listing[i].type == as)
                l = &listing[i];
        assert_int_equal(ms_asset_type_takes_any(t), !l);
        assert_int_equal(ms_asset_type_bytes_max(t, false),
                         l ? l->bytes_max : UINT64_C(5368709120));
        assert_int_equal(ms_asset_type_bytes_max(t, true),
                         l ? l->bytes_max : UINT64_C(536870912000));
    }
}

static void every_type_has_its_folder_and_models_are_told_apart(void **state) {
    static const struct {
        enum ms_asset_type type;
        const char *name, *folder;
        bool model;
    } rows[] = {
        {MS_TYPE_HUMAN_MODEL, "HUMAN_MODEL", "models", true},
        {MS_TYPE_VOICE_MODEL, "VOICE_MODEL", "voices", true},
        {MS_TYPE_SCENE, "SCENE", "scenes", false},
        {MS_TYPE_ANIMATION, "ANIMATION", "animations", false},
        {MS_TYPE_VIDEO, "VIDEO", "videos", false},
        {MS_TYPE_IMAGE, "IMAGE", "images", false},
        {MS_TYPE_PPT, "PPT", "presentations", false},
        {MS_TYPE_MATERIAL, "MATERIAL", "materials", false},
        {MS_TYPE_NORMAL_MODEL, "NORMAL_MODEL", "models", true},
        {MS_TYPE_COMMON_FILE, "COMMON_FILE", "files", false},
        {MS_TYPE_HUMAN_MODEL_2D, "HUMAN_MODEL_2D", "models", true},
        {MS_TYPE_BUSINESS_CARD_TEMPLET, "BUSINESS_CARD_TEMPLET", "materials", false},
        {MS_TYPE_MUSIC, "MUSIC", "music", false},
        {MS_TYPE_AUDIO, "AUDIO", "audio", false},
    };
    enum ms_asset_type t = MS_TYPE_COUNT;

    (void)state;
    assert_int_equal(MS_ARRAY_LEN(rows), MS_TYPE_COUNT);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        enum ms_special folder = ms_asset_type_folder(rows[i].type);

        assert_string_equal(ms_asset_type_name(rows[i].type), rows[i].name);
        assert_ok(ms_asset_type_parse(rows[i].name, &t, &test_err));
        assert_int_equal(t, rows[i].type);
        assert_string_equal(ms_special_name(folder), rows[i].folder);
        assert_int_equal(ms_asset_type_is_model(rows[i].type), rows[i].model);
        assert_int_equal(ms_special_tenant_writes(folder), !rows[i].model);
    }
}

static void an_unknown_type_is_named_in_the_refusal(void **state) {
    static const char *const texts[] = {"",       "video", "VIDEO ",       "VIDE",
                                        "VIDEOS", "MODEL", "MS_TYPE_VIDEO"};
    enum ms_asset_type t = MS_TYPE_PPT;

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(texts); i++) {
        assert_code(ms_asset_type_parse(texts[i], &t, &test_err), MS_INVALID);
        assert_non_null(strstr(test_err.message, texts[i]));
        assert_int_equal(t, MS_TYPE_PPT);
    }
}

static void folders_categories_and_file_states_have_names(void **state) {
    (void)state;
    assert_string_equal(ms_special_name(MS_SPECIAL_NONE), "");
    assert_string_equal(ms_special_name(MS_SPECIAL_ROOT), "");
    assert_string_equal(ms_special_name(MS_SPECIAL_FILES), "files");
    assert_true(ms_special_tenant_writes(MS_SPECIAL_NONE));
    assert_true(ms_special_tenant_writes(MS_SPECIAL_ROOT));
    assert_string_equal(ms_category_name(MS_CATEGORY_MAIN), "MAIN");
    assert_string_equal(ms_category_name(MS_CATEGORY_PACKAGE), "PACKAGE");
    assert_string_equal(ms_file_state_name(MS_FILE_CREATING), "CREATING");
    assert_string_equal(ms_file_state_name(MS_FILE_BLOCK), "BLOCK");
}

/* Which content goes with which suffix: rows are what libmagic says, columns suffixes. */
static const struct content {
    const char *media_type;
    const char *suffixes;
} contents[] = {
    {"video/mp4", " mp4 m4v mov 3gp m4a "},
    {"video/x-m4v", " mp4 m4v mov 3gp "},
    {"video/quicktime", " mp4 m4v mov 3gp "},
    {"video/3gpp", " mp4 m4v mov 3gp "},
    {"video/3gpp2", " mp4 m4v mov 3gp "},
    {"video/x-matroska", " mkv "},
    {"video/webm", " webm "},
    {"video/x-flv", " flv "},
    {"video/x-ms-asf", " wmv "},
    {"video/x-ms-wmv", " wmv "},
    {"video/x-msvideo", " avi "},
    {"video/mpeg", " "},
    {"image/png", " png "},
    {"image/jpeg", " jpg jpeg "},
    {"image/bmp", " bmp "},
    {"image/x-ms-bmp", " bmp "},
    {"image/gif", " gif "},
    {"image/webp", " "},
    {"image/svg+xml", " "},
    {"audio/mpeg", " mp3 "},
    {"audio/x-m4a", " m4a "},
    {"audio/mp4", " m4a "},
    {"audio/x-wav", " wav "},
    {"audio/ogg", " "},
    {"application/vnd.ms-powerpoint", " ppt "},
    {"application/x-ole-storage", " ppt "},
    {"application/msword", " "},
    {"application/vnd.openxmlformats-officedocument.presentationml.presentation", " pptx "},
    {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", " "},
    {"application/vnd.openxmlformats-officedocument", " pptx "},
    {"application/zip", " "},
    {"application/encrypted", " "},
    {"application/pdf", " pdf "},
    {"application/octet-stream", " "},
    {"application/x-dosexec", " "},
    {"text/plain", " "},
    {"text/x-c", " "},
    {"inode/x-empty", " "},
    {"video", " "},
    {"mp4", " "},
    {"video/mp", " "},
    {" ", " "},
    {"", " "},
};

static void check_contents(const char *suffix) {
    char word[32];

    snprintf(word, sizeof(word), " %s ", suffix);
    for (enum ms_asset_type t = 0; t < MS_TYPE_COUNT; t++)
        for (size_t i = 0; i < MS_ARRAY_LEN(contents); i++) {
            const struct listed *l = listed_of(suffix);
            bool takes = l && (l->type == t || (l->type == MS_TYPE_AUDIO && t == MS_TYPE_MUSIC));
            bool fits = ms_asset_type_takes_any(t) || (takes && strstr(contents[i].suffixes, word));

            assert_code(ms_asset_type_fits(t, suffix, contents[i].media_type, &test_err),
                        fits ? MS_OK : MS_WRONG_KIND);
        }
}

static void content_must_fit_the_suffix_and_the_suffix_the_type(void **state) {
    (void)state;
    for_each_suffix(check_contents);
}

static void a_refusal_of_content_says_what_was_found_and_what_is_wanted(void **state) {
    (void)state;
    assert_code(ms_asset_type_fits(MS_TYPE_VIDEO, "mp4", "text/plain", &test_err), MS_WRONG_KIND);
    assert_string_equal(test_err.message,
                        "the content is text/plain, but a .mp4 must be video/mp4; "
                        "give it the suffix of its content");
    assert_code(ms_asset_type_fits(MS_TYPE_IMAGE, "jpg", "", &test_err), MS_WRONG_KIND);
    assert_non_null(
        strstr(test_err.message, "the content is unknown, but a .jpg must be image/jpeg"));
    assert_code(ms_asset_type_fits(MS_TYPE_PPT, "key", "application/zip", &test_err),
                MS_WRONG_KIND);
    assert_string_equal(test_err.message,
                        "PPT takes the suffixes ppt pptx pdf, not \"key\"; rename it "
                        "or choose another type");
}

static void the_content_type_is_what_was_found_or_what_the_suffix_says(void **state) {
    static const struct {
        const char *media_type, *suffix, *want;
    } rows[] = {
        {"video/mp4", "mp4", "video/mp4"},
        {"video/x-ms-asf", "wmv", "video/x-ms-wmv"},
        {"audio/x-wav", "wav", "audio/wav"},
        {"audio/x-m4a", "m4a", "audio/mp4"},
        {"video/mp4", "m4a", "audio/mp4"},
        {"image/x-ms-bmp", "bmp", "image/bmp"},
        {"application/x-ole-storage", "ppt", "application/vnd.ms-powerpoint"},
        {"application/octet-stream", "mp3", "audio/mpeg"},
        {"image/png", "jpg", "image/png"}, /* what it is, whatever it is called */
        {"image/png", "txt", "image/png"},
        {"image/png", "", "image/png"},
        {"text/plain", "mp4", "text/plain"},
        {"text/plain", "txt", "text/plain"},
        {"text/plain", "csv", "text/csv"},
        {"text/csv", "txt", "text/plain"},
        {"text/x-c", "md", "text/markdown"},
        {"text/x-c", "c", "text/x-c"},
        {"text/html", "", "text/html"},
        {"text/plain", "md", "text/markdown"},
        {"text/plain", "c", "text/plain"},
        {"text/plain", "", "text/plain"},
        {"application/zip", "usdz", "model/vnd.usdz+zip"},
        {"application/zip", "cbz", "application/zip"},
        {"application/octet-stream", "glb", "model/gltf-binary"},
        {"application/octet-stream", "qqq", "application/octet-stream"},
        {"inode/x-empty", "txt", "text/plain"},
        {"inode/x-empty", "qqq", "application/octet-stream"},
        {"", "", "application/octet-stream"},
        {"", "json", "application/json"},
    };

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        assert_string_equal(ms_content_type(rows[i].media_type, rows[i].suffix), rows[i].want);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_suffix_decides_and_the_folder_where_that_leaves_a_choice),
        cmocka_unit_test(a_name_without_suffix_has_the_type_of_its_folder),
        cmocka_unit_test(types_without_suffixes_may_grow_to_500_gb_in_a_mount),
        cmocka_unit_test(every_type_has_its_folder_and_models_are_told_apart),
        cmocka_unit_test(an_unknown_type_is_named_in_the_refusal),
        cmocka_unit_test(folders_categories_and_file_states_have_names),
        cmocka_unit_test(content_must_fit_the_suffix_and_the_suffix_the_type),
        cmocka_unit_test(a_refusal_of_content_says_what_was_found_and_what_is_wanted),
        cmocka_unit_test(the_content_type_is_what_was_found_or_what_the_suffix_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
