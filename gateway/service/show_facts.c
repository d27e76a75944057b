/* Facts of a content and what follows from them, as JSON. */
#include "service/show.h"

#include <inttypes.h>
#include <stdio.h>

static json_t *word_or_null(const char *word) { return word[0] ? json_string(word) : json_null(); }
static json_t *number_or_null(uint64_t n) { return n ? ms_show_u64(n) : json_null(); }

void ms_facts_rate(const struct ms_facts_record *f, char ret_text[33]) {
    if (f->rate_den == 0)
        ret_text[0] = '\0';
    else if (f->rate_den == 1)
        (void)snprintf(ret_text, 33, "%" PRIu32, f->rate_num);
    else
        (void)snprintf(ret_text, 33, "%" PRIu32 "/%" PRIu32, f->rate_num, f->rate_den);
}

json_t *ms_show_facts(const struct ms_facts_record *f) {
    struct ms_show s = ms_show_begin();
    char rate[33];

    ms_facts_rate(f, rate);
    ms_show_set(&s, "outcome", json_string(ms_facts_outcome_name(f->outcome)));
    ms_show_set(&s, "reason", word_or_null(f->reason));
    ms_show_set(&s, "container", word_or_null(f->container));
    ms_show_set(&s, "video_tracks", ms_show_u64(f->video_tracks));
    ms_show_set(&s, "video_codec", word_or_null(f->video_codec));
    ms_show_set(&s, "width", number_or_null(f->width));
    ms_show_set(&s, "height", number_or_null(f->height));
    ms_show_set(&s, "frame_rate", word_or_null(rate));
    ms_show_set(&s, "pixel_format", word_or_null(f->pixel_format));
    ms_show_set(&s, "alpha", json_boolean(f->alpha));
    ms_show_set(&s, "video_bit_rate", number_or_null(f->video_bit_rate));
    ms_show_set(&s, "audio_tracks", ms_show_u64(f->audio_tracks));
    ms_show_set(&s, "audio_codec", word_or_null(f->audio_codec));
    ms_show_set(&s, "audio_channels", number_or_null(f->channels));
    ms_show_set(&s, "sample_rate", number_or_null(f->sample_rate));
    ms_show_set(&s, "audio_bit_rate", number_or_null(f->audio_bit_rate));
    ms_show_set(&s, "duration_ms", number_or_null(f->duration_ms));
    ms_show_set(&s, "page_count", number_or_null(f->slides));
    ms_show_set(&s, "encrypted", json_boolean(f->encrypted));
    return ms_show_end(&s);
}

static json_t *show_use(const struct ms_limits *limits, const struct ms_content *content,
                        enum ms_use use) {
    struct ms_use_verdict verdict;
    struct ms_show s;

    ms_content_use(limits, content, use, &verdict);
    if (verdict.usable == MS_USABLE_NO_MATTER)
        return json_null();
    s = ms_show_begin();
    ms_show_set(&s, "usable", json_string(ms_usable_name(verdict.usable)));
    ms_show_set(&s, "reason", word_or_null(verdict.text));
    return ms_show_end(&s);
}

json_t *ms_show_uses(const struct ms_limits *limits, const struct ms_content *content) {
    struct ms_show s = ms_show_begin();

    for (enum ms_use use = 0; use < MS_USE_COUNT; use++)
        ms_show_set(&s, ms_use_name(use), show_use(limits, content, use));
    return ms_show_end(&s);
}

/* ---- as the API has them --------------------------------------------------------------------- */

static json_t *kilobits(uint64_t bits) { return number_or_null(bits / 1000); }

static json_t *seconds(uint64_t ms) { return ms ? ms_show_u64((ms + 500) / 1000) : json_null(); }

static json_t *mode(const struct ms_facts_record *f) {
    if (f->width == 0 || f->height == 0)
        return json_null();
    return json_string(f->width >= f->height ? "Horizontal" : "Vertical");
}

static void show_sound(struct ms_show *s, const struct ms_facts_record *f) {
    ms_show_set(s, "duration", seconds(f->duration_ms));
    ms_show_set(s, "audio_codec", word_or_null(f->audio_codec));
    ms_show_set(s, "audio_bit_rate", kilobits(f->audio_bit_rate));
    ms_show_set(s, "audio_channels", number_or_null(f->channels));
    ms_show_set(s, "sample", number_or_null(f->sample_rate));
}

static void show_picture(struct ms_show *s, const struct ms_facts_record *f, const char *codec) {
    char rate[33];

    ms_facts_rate(f, rate);
    ms_show_set(s, codec, word_or_null(f->video_codec));
    ms_show_set(s, "width", number_or_null(f->width));
    ms_show_set(s, "height", number_or_null(f->height));
    ms_show_set(s, "frame_rate", word_or_null(rate));
    ms_show_set(s, "mode", mode(f));
}

static void show_image(struct ms_show *s, const struct ms_asset_info *info) {
    show_picture(s, &info->facts, "codec");
    ms_show_set(s, "size", ms_show_u64(info->size));
    ms_show_set(s, "duration", seconds(info->facts.duration_ms));
}

static void show_video(struct ms_show *s, const struct ms_facts_record *f) {
    show_picture(s, f, "video_codec");
    ms_show_set(s, "video_bit_rate", kilobits(f->video_bit_rate));
    show_sound(s, f);
}

void ms_show_meta(struct ms_show *show, const struct ms_asset_info *info) {
    const struct ms_facts_record *f = &info->facts;
    enum ms_asset_type type = (enum ms_asset_type)info->asset.type;
    struct ms_show s;

    if (!info->probed || !ms_content_is_probed(type))
        return;
    s = ms_show_begin();
    if (info->webm.state != MS_DERIVED_NONE)
        ms_show_set(&s, "video_transcoding_status", json_string(ms_derived_state_name(info->webm.state)));
    if (info->pages.state != MS_DERIVED_NONE)
        ms_show_set(&s, "ppt_analysis_status", json_string(ms_derived_state_name(info->pages.state)));
    if (type == MS_TYPE_VIDEO)
        show_video(&s, f);
    else if (type == MS_TYPE_IMAGE)
        show_image(&s, info);
    else if (type == MS_TYPE_PPT)
        ms_show_set(&s, "page_count", number_or_null(f->slides));
    else
        show_sound(&s, f);
    ms_show_set(&s, "error_info", word_or_null(f->reason[0]            ? f->reason
                                               : info->webm.reason[0] ? info->webm.reason
                                                                      : info->pages.reason));
    ms_show_set(show,
                type == MS_TYPE_VIDEO   ? "video_meta"
                : type == MS_TYPE_IMAGE ? "image_meta"
                : type == MS_TYPE_PPT   ? "ppt_meta"
                                        : "audio_meta",
                ms_show_end(&s));
}
