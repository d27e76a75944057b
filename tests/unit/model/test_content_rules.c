#include "support/test.h"

#include "base/scope.h"
#include "model/content_rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Facts of a content that breaks no rule at all under any of the suffixes that may hold it. */
static struct ms_facts_record video_facts(const char *container, const char *codec) {
    struct ms_facts_record f = {.width = 1920,
                                .height = 1080,
                                .rate_num = 30,
                                .rate_den = 1,
                                .duration_ms = 1800000,
                                .yuv420 = 1,
                                .video_tracks = 1,
                                .audio_tracks = 1,
                                .channels = 2,
                                .sample_rate = 48000};

    snprintf(f.container, sizeof f.container, "%s", container);
    snprintf(f.video_codec, sizeof f.video_codec, "%s", codec);
    snprintf(f.pixel_format, sizeof f.pixel_format, "yuv420p");
    snprintf(f.audio_codec, sizeof f.audio_codec, "aac");
    return f;
}

static struct ms_facts_record image_facts(const char *container) {
    struct ms_facts_record f = video_facts(container, container);

    f.audio_tracks = f.channels = f.rate_num = f.rate_den = f.sample_rate = 0;
    f.duration_ms = 0;
    f.yuv420 = 0;
    return f;
}

static struct ms_facts_record sound_facts(const char *container, uint32_t channels) {
    struct ms_facts_record f = video_facts(container, "");

    f.width = f.height = f.rate_num = f.rate_den = f.video_tracks = 0;
    f.channels = channels;
    f.pixel_format[0] = '\0';
    f.yuv420 = 0;
    return f;
}

static struct ms_facts_record deck_facts(const char *container, uint32_t slides) {
    struct ms_facts_record f = {.slides = slides};

    snprintf(f.container, sizeof f.container, "%s", container);
    return f;
}

/* ---- judging in the tests' words ------------------------------------------------------------- */

static struct ms_limits limits;
static struct ms_use_verdict verdict;

static struct ms_content content_of(const struct ms_facts_record *f, const char *suffix,
                                    uint64_t size) {
    static char name[32];

    snprintf(name, sizeof name, "x.%s", suffix);
    return (struct ms_content){f, name, ms_asset_type_of_name(name, MS_SPECIAL_NONE, false), size};
}

static enum ms_usable use_of(const struct ms_facts_record *f, const char *suffix, uint64_t size,
                             enum ms_use use) {
    struct ms_content content = content_of(f, suffix, size);

    ms_content_use(&limits, &content, use, &verdict);
    return verdict.usable;
}

static enum ms_code accept(const struct ms_facts_record *f, const char *suffix) {
    struct ms_content content = content_of(f, suffix, 1000);

    test_err = (struct ms_error){0};
    return ms_content_accept(&limits, &content, &test_err);
}

static bool is_in(const char *words, const char *word) {
    char text[128], want[40];

    snprintf(text, sizeof text, " %s ", words);
    snprintf(want, sizeof want, " %s ", word);
    return strstr(text, want) != NULL;
}

#define FOR_EACH(word, list)                                                                       \
    for (size_t word##_i = 0; word##_i < MS_ARRAY_LEN(list); word##_i++)                           \
        for (const char *word = list[word##_i]; word; word = NULL)

/* ---- the second table of section 4, written down a second time ------------------------------- */

static const char *const video_suffixes[] = {"mp4", "m4v", "mkv", "mov", "flv",
                                             "3gp", "wmv", "avi", "webm"};
static const char *const codecs[] = {"av1",  "vp8",  "vp9",    "h264",  "hevc",   "mpeg4",
                                     "wmv2", "h263", "prores", "mjpeg", "theora", "flv1",
                                     "h26",  "264",  "",       "AV1"};

static const char *container_of(const char *suffix) {
    if (is_in("mp4 m4v mov 3gp m4a", suffix))
        return "mov";
    if (strcmp(suffix, "mkv") == 0)
        return "matroska";
    if (strcmp(suffix, "wmv") == 0)
        return "asf";
    return is_in("jpg jpeg", suffix) ? "jpeg" : suffix;
}

static bool production_takes(const char *suffix, const char *codec) {
    if (is_in("vp8 vp9", codec))
        return strcmp(suffix, "webm") == 0;
    if (strcmp(codec, "av1") == 0)
        return strcmp(suffix, "webm") != 0;
    return strcmp(codec, "h264") == 0 || strcmp(codec, "hevc") == 0;
}

static bool live_takes(const char *suffix, const char *codec) {
    return strcmp(suffix, "webm") != 0 &&
           (strcmp(codec, "av1") == 0 || strcmp(codec, "h264") == 0 || strcmp(codec, "hevc") == 0);
}

static void video_suffix_and_codec_decide_as_the_table_says(void **state) {
    (void)state;
    FOR_EACH(suffix, video_suffixes) {
        FOR_EACH(codec, codecs) {
            struct ms_facts_record f = video_facts(container_of(suffix), codec);

            assert_int_equal(use_of(&f, suffix, 1000, MS_USE_PRODUCTION),
                             production_takes(suffix, codec) ? MS_USABLE_YES : MS_USABLE_NO);
            assert_int_equal(use_of(&f, suffix, 1000, MS_USE_LIVE),
                             live_takes(suffix, codec) ? MS_USABLE_YES : MS_USABLE_NO);
            assert_int_equal(use_of(&f, suffix, 1000, MS_USE_PREVIEW),
                             is_in("flv 3gp wmv avi", suffix) ? MS_USABLE_NO : MS_USABLE_YES);
            assert_int_equal(verdict.rules >> MS_USE_CHROME & 1,
                             strcmp(codec, "av1") == 0 || strcmp(codec, "hevc") == 0);
        }
    }
}

/* Each limit at -1, 0 and +1. change: of the facts, or of the size; rule: what it may break. */
struct edge {
    uint64_t size;
    uint32_t width, height, rate_num, rate_den;
    uint64_t ms;
    bool production, live;
    enum ms_use_rule rule;
};
#define GB UINT64_C(1073741824)
static const struct edge edges[] = {
    {GB - 1, 1920, 1080, 30, 1, 1800000, true, true, MS_USE_VIDEO_BYTES},
    {GB, 1920, 1080, 30, 1, 1800000, false, false, MS_USE_VIDEO_BYTES},
    {GB + 1, 1920, 1080, 30, 1, 1800000, false, false, MS_USE_VIDEO_BYTES},
    {1, 1919, 1080, 30, 1, 0, true, true, MS_USE_SIDES},
    {1, 1921, 1080, 30, 1, 0, false, false, MS_USE_SIDES},
    {1, 1920, 1079, 30, 1, 0, true, true, MS_USE_SIDES},
    {1, 1920, 1081, 30, 1, 0, false, false, MS_USE_SIDES},
    {1, 1080, 1920, 30, 1, 0, true, true, MS_USE_SIDES},
    {1, 1081, 1920, 30, 1, 0, false, false, MS_USE_SIDES},
    {1, 1080, 1921, 30, 1, 0, false, false, MS_USE_SIDES},
    {1, 1080, 1080, 30, 1, 0, true, true, MS_USE_SIDES},
    {1, 1081, 1081, 30, 1, 0, false, false, MS_USE_SIDES},
    {1, 0, 0, 30, 1, 0, false, false, MS_USE_SIDES},
    {1, 16, 16, 30000, 1001, 0, true, true, MS_USE_RATE},
    {1, 16, 16, 29999, 1000, 0, true, true, MS_USE_RATE},
    {1, 16, 16, 30001, 1000, 0, false, false, MS_USE_RATE},
    {1, 16, 16, 60000, 1001, 0, false, false, MS_USE_RATE},
    {1, 16, 16, UINT32_MAX, 143165577, 0, true, true, MS_USE_RATE},   /* 30 less a little, */
    {1, 16, 16, UINT32_MAX, 143165576, 0, false, false, MS_USE_RATE}, /* and a little more */
    {1, 16, 16, 0, 0, 0, false, false, MS_USE_RATE},
    {1, 16, 16, 30, 1, 1799999, true, true, MS_USE_LENGTH},
    {1, 16, 16, 30, 1, 1800001, false, true, MS_USE_LENGTH},
};

static void each_limit_of_a_video_holds_at_it_and_not_beyond(void **state) {
    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(edges); i++) {
        const struct edge *e = &edges[i];
        struct ms_facts_record f = video_facts("mov", "h264");

        f.width = e->width;
        f.height = e->height;
        f.rate_num = e->rate_num;
        f.rate_den = e->rate_den;
        f.duration_ms = e->ms;
        assert_null(ms_facts_broken(&f));
        assert_int_equal(use_of(&f, "mp4", e->size, MS_USE_PRODUCTION),
                         e->production ? MS_USABLE_YES : MS_USABLE_NO);
        assert_int_equal(verdict.rules, e->production ? 0 : 1u << e->rule);
        assert_int_equal(e->production, verdict.text[0] == '\0');
        assert_int_equal(use_of(&f, "mp4", e->size, MS_USE_LIVE),
                         e->live ? MS_USABLE_YES : MS_USABLE_NO);
        assert_int_equal(verdict.rules, e->live ? 0 : 1u << e->rule);
        assert_int_equal(use_of(&f, "mp4", e->size, MS_USE_PREVIEW), MS_USABLE_YES);
        assert_int_equal(accept(&f, "mp4"), MS_OK); /* no material limit fails an asset */
    }
}

static void pixels_and_alpha_matter_where_the_table_says(void **state) {
    (void)state;
    FOR_EACH(suffix, video_suffixes) {
        bool webm = strcmp(suffix, "webm") == 0, mov = strcmp(suffix, "mov") == 0;

        for (unsigned bits = 0; bits < 4; bits++) {
            struct ms_facts_record f = video_facts(container_of(suffix), webm ? "vp9" : "h264");

            f.alpha = bits & 1;
            f.yuv420 = bits >> 1;
            assert_int_equal(use_of(&f, suffix, 9, MS_USE_PRODUCTION),
                             mov && f.alpha ? MS_USABLE_NOT_YET : MS_USABLE_YES);
            assert_int_equal(use_of(&f, suffix, 9, MS_USE_LIVE),
                             f.alpha || !f.yuv420 || webm ? MS_USABLE_NO : MS_USABLE_YES);
            assert_int_equal(verdict.rules >> MS_USE_CHROMA & 1, !f.yuv420);
            assert_int_equal(verdict.rules >> MS_USE_ALPHA & 1, f.alpha);
        }
    }
}

/* A MOV with alpha is not judged by what it is itself: 4K ProRes must wait for its WebM. */
static void a_mov_with_alpha_waits_for_its_webm(void **state) {
    struct ms_facts_record f = video_facts("mov", "prores");

    (void)state;
    f.alpha = 1;
    f.width = 7680;
    assert_int_equal(use_of(&f, "mov", 9, MS_USE_PRODUCTION), MS_USABLE_NOT_YET);
    assert_int_equal(verdict.rules, 1u << MS_USE_MOV_ALPHA);
    assert_int_equal(use_of(&f, "mp4", 9, MS_USE_PRODUCTION), MS_USABLE_NO);
}

static void sound_and_images_are_usable_as_the_table_says(void **state) {
    static const char *const sounds[] = {"mp3", "m4a", "wav"};
    static const char *const images[] = {"png", "jpg", "jpeg", "bmp", "gif"};
    const uint64_t edge = UINT64_C(500) << 20;

    (void)state;
    FOR_EACH(suffix, sounds) {
        for (uint32_t channels = 1; channels <= 3; channels++) {
            struct ms_facts_record f = sound_facts(container_of(suffix), channels);

            for (enum ms_use use = 0; use < MS_USE_COUNT; use++) {
                bool limited = use != MS_USE_PREVIEW;

                assert_int_equal(use_of(&f, suffix, edge - 1, use), MS_USABLE_YES);
                assert_int_equal(verdict.rules, limited && channels > 1 ? 1u << MS_USE_MONO : 0);
                assert_int_equal(use_of(&f, suffix, edge, use),
                                 limited ? MS_USABLE_NO : MS_USABLE_YES);
            }
        }
    }
    FOR_EACH(suffix, images) {
        struct ms_facts_record f = image_facts(container_of(suffix)), large = f;
        bool production = !is_in("bmp gif", suffix), live = strcmp(suffix, "gif") != 0;

        large.height = 1081;
        assert_int_equal(use_of(&f, suffix, edge - 1, MS_USE_PRODUCTION),
                         production ? MS_USABLE_YES : MS_USABLE_NO);
        assert_int_equal(use_of(&f, suffix, edge - 1, MS_USE_LIVE),
                         live ? MS_USABLE_YES : MS_USABLE_NO);
        assert_int_equal(use_of(&f, suffix, edge, MS_USE_LIVE), MS_USABLE_NO);
        assert_int_equal(use_of(&large, suffix, 1, MS_USE_LIVE), MS_USABLE_NO);
        assert_int_equal(use_of(&large, suffix, 1, MS_USE_PRODUCTION), MS_USABLE_NO);
        assert_int_equal(use_of(&large, suffix, 1, MS_USE_PREVIEW), MS_USABLE_YES);
    }
}

static void what_is_not_probed_is_accepted_and_usable_nowhere_yet(void **state) {
    struct ms_facts_record crashed = ms_facts_without(MS_FACTS_GIVEN_UP, "killed by signal 11\n");

    (void)state;
    assert_null(ms_facts_broken(&crashed));
    assert_int_equal(accept(NULL, "mp4"), MS_OK);
    assert_int_equal(accept(&crashed, "mp4"), MS_WRONG_KIND);
    assert_non_null(strstr(test_err.message, "signal 11"));
    for (enum ms_use use = 0; use < MS_USE_COUNT; use++) {
        assert_int_equal(use_of(NULL, "mp4", 1, use), MS_USABLE_NOT_YET);
        assert_int_equal(use_of(&crashed, "mp4", 1, use), MS_USABLE_NO);
        assert_non_null(strstr(verdict.text, "signal 11"));
        assert_int_equal(use_of(NULL, "txt", 1, use), MS_USABLE_NO_MATTER);
        assert_int_equal(use_of(NULL, "pdf", 1, use), MS_USABLE_NO_MATTER);
    }
}

/* ---- what fails an asset --------------------------------------------------------------------- */

static const char *const every_suffix[] = {"mp4", "m4v",  "mkv", "mov", "flv",  "3gp", "wmv",
                                           "avi", "webm", "png", "jpg", "jpeg", "bmp", "gif",
                                           "mp3", "m4a",  "wav", "ppt", "pptx", "pdf"};

/* What the content of a suffix looks like. */
static struct ms_facts_record facts_for(const char *suffix) {
    if (is_in("mp3 m4a wav", suffix))
        return sound_facts(container_of(suffix), 1);
    if (is_in("ppt pptx pdf", suffix))
        return deck_facts(container_of(suffix), 100);
    if (is_in("png jpg jpeg bmp gif", suffix))
        return image_facts(container_of(suffix));
    return video_facts(container_of(suffix), "h264");
}

static bool is_sound(const char *suffix) { return is_in("mp3 m4a wav", suffix); }

/* Content of every suffix under every suffix: it holds when both stand for the same thing. */
static void every_content_under_every_suffix(void **state) {
    (void)state;
    FOR_EACH(suffix, every_suffix) {
        FOR_EACH(content, every_suffix) {
            struct ms_facts_record f = facts_for(content);
            bool same = strcmp(container_of(suffix), container_of(content)) == 0 &&
                        is_sound(suffix) == is_sound(content);

            assert_int_equal(accept(&f, suffix), same ? MS_OK : MS_WRONG_KIND);
            assert_int_equal(same, test_err.message[0] == '\0');
        }
    }
}

static void tracks_that_must_be_there_are_and_others_are_not(void **state) {
    struct ms_facts_record f;

    (void)state;
    FOR_EACH(suffix, every_suffix) {
        bool picture = !is_in("mp3 m4a wav ppt pptx pdf", suffix);
        bool video = picture && !is_in("png jpg jpeg bmp gif", suffix);

        f = facts_for(suffix);
        f.video_tracks = !f.video_tracks;
        assert_int_equal(accept(&f, suffix), MS_WRONG_KIND);
        assert_non_null(strstr(test_err.message, "video track"));
        f = facts_for(suffix);
        f.audio_tracks = !f.audio_tracks;
        assert_int_equal(accept(&f, suffix), video ? MS_OK : MS_WRONG_KIND);
        f = facts_for(suffix);
        f.encrypted = 1;
        assert_int_equal(accept(&f, suffix), MS_WRONG_KIND);
        assert_non_null(strstr(test_err.message, "encrypted"));
    }
}

static void a_deck_has_at_most_the_slides_that_the_limit_says(void **state) {
    static const char *const decks[] = {"ppt", "pptx", "pdf"};

    (void)state;
    FOR_EACH(suffix, decks) {
        for (uint32_t slides = 0; slides < 300; slides++) {
            struct ms_facts_record f = deck_facts(suffix, slides);

            assert_int_equal(accept(&f, suffix), slides <= 100 ? MS_OK : MS_TOO_LARGE);
        }
        limits.of[MS_LIMIT_SLIDES] = 7;
        struct ms_facts_record f = deck_facts(suffix, 8);
        assert_int_equal(accept(&f, suffix), MS_TOO_LARGE);
        assert_non_null(strstr(test_err.message, "8 slides; it may have 7"));
        limits = ms_limits_default();
    }
}

/* Models, scenes and files take anything: no fact is asked about. */
static void types_without_suffixes_are_not_judged(void **state) {
    struct ms_facts_record f = ms_facts_without(MS_FACTS_UNREADABLE, "damaged");

    (void)state;
    for (enum ms_asset_type t = 0; t < MS_TYPE_COUNT; t++) {
        struct ms_content content = {&f, "x.mp4", t, 1};

        assert_int_equal(ms_content_is_probed(t), !ms_asset_type_takes_any(t));
        assert_int_equal(ms_content_accept(&limits, &content, &test_err),
                         ms_content_is_probed(t) ? MS_WRONG_KIND : MS_OK);
    }
}

/* All rules at once: each is told with what was found, and nothing runs over. */
static void every_broken_rule_is_told_with_value_and_limit(void **state) {
    struct ms_facts_record f = video_facts("mov", "mpeg2video");

    (void)state;
    f.width = 3840;
    f.height = 2160;
    f.rate_num = 60000;
    f.rate_den = 1001;
    f.duration_ms = 3600001;
    f.yuv420 = 0;
    f.alpha = 1;
    memset(f.pixel_format, 'p', MS_FACTS_WORD_MAX);
    assert_int_equal(use_of(&f, "mp4", 2 * GB, MS_USE_PRODUCTION), MS_USABLE_NO);
    assert_string_equal(
        verdict.text,
        "video codec mpeg2video (takes av1 vp8 vp9 h264 hevc); 3840x2160 (at most 1920x1080); "
        "59.941 frames a second (at most 30); 2147483648 bytes (fewer than 1073741824); "
        "3600.001 s long (at most 1800.000 s)");
    assert_int_equal(use_of(&f, "webm", UINT64_MAX, MS_USE_LIVE), MS_USABLE_NO);
    assert_true(strlen(verdict.text) < MS_USE_TEXT_MAX);
    assert_non_null(strstr(verdict.text, "suffix .webm (takes mp4 m4v"));
    assert_non_null(strstr(verdict.text, "it has an alpha channel"));
    f = video_facts("mov", "h264");
    f.rate_num = 30001;
    f.rate_den = 1000;
    (void)use_of(&f, "mp4", 1, MS_USE_LIVE);
    assert_string_equal(verdict.text, "30.001 frames a second (at most 30)");
}

static void limits_are_those_that_are_given(void **state) {
    struct ms_facts_record f = video_facts("mov", "h264");

    (void)state;
    limits.of[MS_LIMIT_LONG_SIDE] = 3840;
    limits.of[MS_LIMIT_SHORT_SIDE] = 2160;
    f.width = 3840;
    f.height = 2160;
    assert_int_equal(use_of(&f, "mp4", 1, MS_USE_LIVE), MS_USABLE_YES);
    limits.of[MS_LIMIT_FRAME_RATE] = 29;
    assert_int_equal(use_of(&f, "mp4", 1, MS_USE_LIVE), MS_USABLE_NO);
    limits = ms_limits_default();
}

static void facts_of_a_liar_are_told_by_their_invariants(void **state) {
    struct ms_facts_record good = video_facts("mov", "h264"), f;

    (void)state;
    assert_null(ms_facts_broken(&good));
#define LIE(change)                                                                                \
    f = good;                                                                                      \
    change;                                                                                        \
    assert_non_null(ms_facts_broken(&f));
    LIE(f.outcome = MS_FACTS_OUTCOME_COUNT)
    LIE(f.outcome = MS_FACTS_UNREADABLE)
    LIE(f.reason[0] = 'x')
    LIE(f.container[0] = '\n')
    LIE(f.video_codec[0] = ' ')
    LIE(f.audio_codec[0] = '"')
    LIE(f.pixel_format[0] = (char)0xc3)
    LIE(f.width = MS_FACTS_SIDE_MAX + 1)
    LIE(f.height = UINT32_MAX)
    LIE(f.rate_den = 0)
    LIE(f.duration_ms = UINT64_MAX)
    LIE(f.alpha = 2)
    LIE(f.yuv420 = 255)
    LIE(f.encrypted = 2)
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(video_suffix_and_codec_decide_as_the_table_says),
        cmocka_unit_test(each_limit_of_a_video_holds_at_it_and_not_beyond),
        cmocka_unit_test(pixels_and_alpha_matter_where_the_table_says),
        cmocka_unit_test(a_mov_with_alpha_waits_for_its_webm),
        cmocka_unit_test(sound_and_images_are_usable_as_the_table_says),
        cmocka_unit_test(what_is_not_probed_is_accepted_and_usable_nowhere_yet),
        cmocka_unit_test(every_content_under_every_suffix),
        cmocka_unit_test(tracks_that_must_be_there_are_and_others_are_not),
        cmocka_unit_test(a_deck_has_at_most_the_slides_that_the_limit_says),
        cmocka_unit_test(types_without_suffixes_are_not_judged),
        cmocka_unit_test(every_broken_rule_is_told_with_value_and_limit),
        cmocka_unit_test(limits_are_those_that_are_given),
        cmocka_unit_test(facts_of_a_liar_are_told_by_their_invariants),
    };

    limits = ms_limits_default();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
