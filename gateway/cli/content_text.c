#include "cli/content_text.h"

#include "cli/out.h"
#include "service/show.h"

#include <inttypes.h>

static void print_picture(const struct ms_facts_record *f) {
    char rate[33];

    ms_facts_rate(f, rate);
    ms_out_pair("picture", "%s, %" PRIu32 "x%" PRIu32 "%s%s%s%s%s", f->video_codec, f->width,
                f->height, rate[0] ? ", " : "", rate, rate[0] ? " frames a second" : "",
                f->pixel_format[0] ? ", " : "", f->pixel_format);
    if (f->alpha)
        ms_out_pair("alpha", "yes");
}

static void print_sound(const struct ms_facts_record *f) {
    ms_out_pair("sound", "%s, %" PRIu32 " Hz, %" PRIu32 " channel%s", f->audio_codec,
                f->sample_rate, f->channels, f->channels == 1 ? "" : "s");
}

static void print_facts(const struct ms_facts_record *f) {
    if (f->outcome != MS_FACTS_READ) {
        ms_out_pair("content", "%s: %s", ms_facts_outcome_name(f->outcome), f->reason);
        return;
    }
    ms_out_pair("content", "%s%s", f->container, f->encrypted ? ", encrypted" : "");
    if (f->video_tracks > 0)
        print_picture(f);
    if (f->audio_tracks > 0)
        print_sound(f);
    if (f->duration_ms > 0)
        ms_out_pair("length", "%" PRIu64 ".%03" PRIu64 " s", f->duration_ms / 1000,
                    f->duration_ms % 1000);
    if (f->slides > 0)
        ms_out_pair("slides", "%" PRIu32, f->slides);
}

static void print_use(const struct ms_limits *limits, const struct ms_content *content,
                      enum ms_use use, const char *label) {
    struct ms_use_verdict v;

    ms_content_use(limits, content, use, &v);
    if (v.usable == MS_USABLE_YES)
        ms_out_pair(label, "yes%s%s", v.text[0] ? "; " : "", v.text);
    else if (v.usable != MS_USABLE_NO_MATTER)
        ms_out_pair(label, "not usable%s: %s", v.usable == MS_USABLE_NOT_YET ? " yet" : "", v.text);
}

void ms_content_print(const struct ms_limits *limits, const struct ms_content *content) {
    if (!ms_content_is_probed(content->type))
        return;
    if (content->facts)
        print_facts(content->facts);
    else
        ms_out_pair("content", "not examined");
    print_use(limits, content, MS_USE_PRODUCTION, "production");
    print_use(limits, content, MS_USE_LIVE, "livestream");
    print_use(limits, content, MS_USE_PREVIEW, "preview");
}
