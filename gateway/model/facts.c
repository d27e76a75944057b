#include "model/facts.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

static bool is_flag(uint8_t v) { return v <= 1; }

/* Words reach commands and reports as they are. */
static bool is_word(const char *word) {
    for (; *word; word++)
        if (*word <= ' ' || *word > '~' || *word == '"' || *word == '\\')
            return false;
    return true;
}

static bool is_text(const char *text) {
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

const char *ms_facts_broken(const struct ms_facts_record *f) {
    if (f->outcome >= MS_FACTS_OUTCOME_COUNT)
        return "there is no such outcome of a probe";
    if ((f->outcome == MS_FACTS_READ) != (f->reason[0] == '\0') || !is_text(f->reason))
        return "a probe that did not read has a reason in plain text, and no other has one";
    if (!is_word(f->container) || !is_word(f->video_codec) || !is_word(f->audio_codec) ||
        !is_word(f->pixel_format))
        return "a container, codec or pixel format is no plain word";
    if (f->width > MS_FACTS_SIDE_MAX || f->height > MS_FACTS_SIDE_MAX)
        return "a picture is larger than any may be";
    if (f->rate_den == 0 && f->rate_num != 0)
        return "a frame rate is divided by nothing";
    if (f->duration_ms > (uint64_t)MS_FACTS_DURATION_MS_MAX)
        return "it is longer than ten years";
    return is_flag(f->alpha) && is_flag(f->yuv420) && is_flag(f->encrypted)
               ? NULL
               : "a flag is neither 0 nor 1";
}

struct ms_facts_record ms_facts_without(enum ms_facts_outcome outcome, const char *reason) {
    struct ms_facts_record facts;

    MS_ASSERT(outcome == MS_FACTS_UNREADABLE || outcome == MS_FACTS_GIVEN_UP);
    memset(&facts, 0, sizeof facts);
    facts.outcome = (uint8_t)outcome;
    (void)snprintf(facts.reason, sizeof facts.reason, "%s", reason[0] ? reason : "unknown");
    for (char *at = facts.reason; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    return facts;
}

const char *ms_facts_outcome_name(enum ms_facts_outcome outcome) {
    static const char *const names[] = {"read", "unreadable", "given_up"};

    MS_ASSERT((unsigned)outcome < MS_FACTS_OUTCOME_COUNT);
    return names[outcome];
}
