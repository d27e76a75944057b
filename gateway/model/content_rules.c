#include "model/content_rules.h"

#include "base/scope.h"
#include "model/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct ms_limits ms_limits_default(void) {
#define INITIAL(ID, name, least, most, initial, help) initial,
    return (struct ms_limits){{MS_LIMIT_ROWS(INITIAL)}};
}

static uint64_t limit_of(const struct ms_limits *limits, enum ms_limit limit) {
    return limits && limits->of[limit] ? limits->of[limit] : ms_limits_default().of[limit];
}

bool ms_content_is_probed(enum ms_asset_type t) {
    return t == MS_TYPE_VIDEO || t == MS_TYPE_IMAGE || t == MS_TYPE_AUDIO || t == MS_TYPE_MUSIC ||
           t == MS_TYPE_PPT;
}

const char *ms_use_name(enum ms_use use) {
#define NAME(n, name) name,
    static const char *const names[] = {MS_USES(NAME)};

    MS_ASSERT((unsigned)use < MS_USE_COUNT);
    return names[use];
}

const char *ms_usable_name(enum ms_usable usable) {
    static const char *const names[] = {"no", "not_yet", "yes", "no_matter"};

    MS_ASSERT((unsigned)usable < MS_ARRAY_LEN(names));
    return names[usable];
}

/* Whether word is one of words, which have a blank between two. */
static bool has_word(const char *words, const char *word) {
    size_t n = strlen(word);

    for (const char *at = words; n > 0 && (at = strstr(at, word)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

/* ---- what fails an asset --------------------------------------------------------------------- */

enum tracks { MUST, MUST_NOT, MAY };
static const struct holds_row {
    const char *suffix, *container;
    enum tracks video, audio;
} holds[] = {
#define HOLDS(suffix, container, video, audio) {suffix, container, video, audio},
    MS_HOLDS_ROWS(HOLDS)};

static const struct holds_row *holds_of(const char *suffix) {
    for (size_t i = 0; i < MS_ARRAY_LEN(holds); i++)
        if (strcmp(holds[i].suffix, suffix) == 0)
            return &holds[i];
    return NULL;
}

static enum ms_code accept_tracks(enum tracks rule, uint32_t found, const char *suffix,
                                  const char *what, struct ms_error *reterr) {
    if (rule == MUST && found == 0)
        return ms_fail(reterr, MS_WRONG_KIND,
                       "a .%s must have %s, and this content has none; "
                       "give it the suffix of its content",
                       suffix, what);
    if (rule == MUST_NOT && found > 0)
        return ms_fail(reterr, MS_WRONG_KIND,
                       "a .%s has no %s, and this content has %" PRIu32
                       "; give it the suffix of its content",
                       suffix, what, found);
    return MS_OK;
}

static enum ms_code accept_slides(const struct ms_limits *limits, const struct ms_facts_record *f,
                                  struct ms_error *reterr) {
    uint64_t most = limit_of(limits, MS_LIMIT_SLIDES);

    if (f->slides > most)
        return ms_fail(reterr, MS_TOO_LARGE,
                       "the presentation has %" PRIu32 " slides; it may have %" PRIu64 ": split it",
                       f->slides, most);
    return MS_OK;
}

static enum ms_code accept_facts(const struct ms_limits *limits, const struct ms_content *content,
                                 const char *suffix, struct ms_error *reterr) {
    const struct ms_facts_record *f = content->facts;
    const struct holds_row *row = holds_of(suffix);

    if (f->outcome != MS_FACTS_READ)
        return ms_fail(reterr, MS_WRONG_KIND,
                       "the content cannot be read as .%s: %.160s; "
                       "repair it or give it the suffix of its content",
                       suffix, f->reason);
    if (f->encrypted)
        return ms_fail(reterr, MS_WRONG_KIND,
                       "the content of this .%s is encrypted: store it without a password", suffix);
    if (!row) /* a suffix that this type does not take: asset_type.h has refused it */
        return MS_OK;
    if (strcmp(row->container, f->container) != 0)
        return ms_fail(reterr, MS_WRONG_KIND,
                       "the content is %s, but a .%s must be %s; give it the "
                       "suffix of its content",
                       f->container[0] ? f->container : "unknown", suffix, row->container);
    MS_TRY(accept_tracks(row->video, f->video_tracks, suffix, "video track", reterr));
    MS_TRY(accept_tracks(row->audio, f->audio_tracks, suffix, "audio track", reterr));
    return accept_slides(limits, f, reterr);
}

enum ms_code ms_content_accept(const struct ms_limits *limits, const struct ms_content *content,
                               struct ms_error *reterr) {
    char suffix[16];

    if (!content->facts || !ms_content_is_probed(content->type))
        return MS_OK;
    ms_name_suffix(content->name, suffix);
    return accept_facts(limits, content, suffix, reterr);
}

/* ---- where it is usable ---------------------------------------------------------------------- */

static const struct use_row {
    enum ms_use use;
    enum ms_asset_type type;
    const char *suffixes, *codecs;
    uint32_t rules;
} uses[] = {
#define R(rule) (1u << MS_USE_##rule)
#define USE(use, type, suffixes, codecs, rules)                                                    \
    {MS_USE_##use, MS_TYPE_##type, suffixes, codecs, rules},
    MS_USE_ROWS(USE)};

static const uint32_t notes = R(MONO) | R(CHROME);

/* What one judgement works on. */
struct use_case {
    const struct ms_limits *limits;
    const struct ms_content *content;
    const struct use_row *row;
    char suffix[16];
    struct ms_use_verdict *verdict;
};

static void MS_PRINTF(3, 4) say(struct use_case *c, enum ms_use_rule rule, const char *fmt, ...) {
    struct ms_use_verdict *v = c->verdict;
    size_t n = strlen(v->text);
    va_list ap;

    v->rules |= 1u << rule;
    if (n > 0)
        n += (size_t)snprintf(v->text + n, sizeof v->text - n, "; ");
    if (n >= sizeof v->text)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(v->text + n, sizeof v->text - n, fmt, ap);
    va_end(ap);
}

static bool asks(const struct use_case *c, enum ms_use_rule rule) {
    return c->row->rules >> rule & 1;
}

static const char *or_unknown(const char *word) { return word[0] ? word : "unknown"; }

static void judge_codec(struct use_case *c) {
    const char *codec = c->content->facts->video_codec;
    bool webm = strcmp(c->content->facts->container, "webm") == 0;

    if (c->row->codecs[0] && !has_word(c->row->codecs, codec))
        say(c, MS_USE_CODEC, "video codec %s (takes %s)", or_unknown(codec), c->row->codecs);
    else if (asks(c, MS_USE_PLACE) && !webm && has_word("vp8 vp9", codec))
        say(c, MS_USE_PLACE, "video codec %s outside WebM", codec);
    else if (asks(c, MS_USE_PLACE) && webm && strcmp(codec, "av1") == 0)
        say(c, MS_USE_PLACE, "video codec av1 in WebM");
}

static void judge_sides(struct use_case *c) {
    const struct ms_facts_record *f = c->content->facts;
    uint64_t longest = limit_of(c->limits, MS_LIMIT_LONG_SIDE);
    uint64_t shortest = limit_of(c->limits, MS_LIMIT_SHORT_SIDE);
    uint32_t longer = f->width > f->height ? f->width : f->height;
    uint32_t shorter = f->width > f->height ? f->height : f->width;

    if (!asks(c, MS_USE_SIDES))
        return;
    if (shorter == 0)
        say(c, MS_USE_SIDES, "unknown width and height");
    else if (longer > longest || shorter > shortest)
        say(c, MS_USE_SIDES, "%" PRIu32 "x%" PRIu32 " (at most %" PRIu64 "x%" PRIu64 ")", f->width,
            f->height, longest, shortest);
}

/* Frames a second in thousandths, rounded up, so that what breaks the rule never looks as if it did
 * not. */
static uint64_t rate_thousandths(const struct ms_facts_record *f) {
    return ((uint64_t)f->rate_num * 1000 + f->rate_den - 1) / f->rate_den;
}

static void judge_rate(struct use_case *c) {
    const struct ms_facts_record *f = c->content->facts;
    uint64_t most = limit_of(c->limits, MS_LIMIT_FRAME_RATE);

    if (!asks(c, MS_USE_RATE))
        return;
    if (f->rate_den == 0)
        say(c, MS_USE_RATE, "unknown frame rate");
    else if (f->rate_num > most * f->rate_den)
        say(c, MS_USE_RATE, "%" PRIu64 ".%03" PRIu64 " frames a second (at most %" PRIu64 ")",
            rate_thousandths(f) / 1000, rate_thousandths(f) % 1000, most);
}

static void judge_bytes(struct use_case *c, enum ms_use_rule rule, enum ms_limit limit) {
    if (asks(c, rule) && c->content->size >= limit_of(c->limits, limit))
        say(c, rule, "%" PRIu64 " bytes (fewer than %" PRIu64 ")", c->content->size,
            limit_of(c->limits, limit));
}

static void judge_length(struct use_case *c) {
    uint64_t most = limit_of(c->limits, MS_LIMIT_VIDEO_MS), ms = c->content->facts->duration_ms;

    if (asks(c, MS_USE_LENGTH) && ms > most)
        say(c, MS_USE_LENGTH,
            "%" PRIu64 ".%03" PRIu64 " s long (at most %" PRIu64 ".%03" PRIu64 " s)", ms / 1000,
            ms % 1000, most / 1000, most % 1000);
}

static void judge_pixels(struct use_case *c) {
    const struct ms_facts_record *f = c->content->facts;

    if (asks(c, MS_USE_CHROMA) && !f->yuv420)
        say(c, MS_USE_CHROMA, "pixel format %s (takes YUV 4:2:0)", or_unknown(f->pixel_format));
    if (asks(c, MS_USE_ALPHA) && f->alpha)
        say(c, MS_USE_ALPHA, "it has an alpha channel");
}

static void note(struct use_case *c) {
    const struct ms_facts_record *f = c->content->facts;

    if (asks(c, MS_USE_MONO) && f->channels > 1)
        say(c, MS_USE_MONO, "note: %" PRIu32 " channels, only mono can be extracted", f->channels);
    if (asks(c, MS_USE_CHROME) && has_word("av1 hevc", f->video_codec))
        say(c, MS_USE_CHROME, "note: video codec %s plays in Chrome only", f->video_codec);
}

static bool is_mov_with_alpha(const struct use_case *c) {
    return asks(c, MS_USE_MOV_ALPHA) && c->content->facts->alpha && strcmp(c->suffix, "mov") == 0;
}

static void judge(struct use_case *c) {
    if (!has_word(c->row->suffixes, c->suffix))
        say(c, MS_USE_SUFFIX, "suffix .%s (takes %s)", c->suffix, c->row->suffixes);
    judge_codec(c);
    judge_sides(c);
    judge_rate(c);
    judge_bytes(c, MS_USE_VIDEO_BYTES, MS_LIMIT_VIDEO_BYTES);
    judge_bytes(c, MS_USE_AUDIO_BYTES, MS_LIMIT_AUDIO_BYTES);
    judge_bytes(c, MS_USE_IMAGE_BYTES, MS_LIMIT_IMAGE_BYTES);
    judge_length(c);
    judge_pixels(c);
    note(c);
}

/* MUSIC is judged as AUDIO is. */
static const struct use_row *use_of(enum ms_use use, enum ms_asset_type type) {
    type = type == MS_TYPE_MUSIC ? MS_TYPE_AUDIO : type;
    for (size_t i = 0; i < MS_ARRAY_LEN(uses); i++)
        if (uses[i].use == use && uses[i].type == type)
            return &uses[i];
    return NULL;
}

void ms_content_use(const struct ms_limits *limits, const struct ms_content *content,
                    enum ms_use use, struct ms_use_verdict *ret_verdict) {
    struct use_case c = {limits, content, use_of(use, content->type), "", ret_verdict};

    *ret_verdict = (struct ms_use_verdict){.usable = MS_USABLE_NO_MATTER};
    if (!c.row)
        return;
    ms_name_suffix(content->name, c.suffix);
    if (!content->facts) {
        ret_verdict->usable = MS_USABLE_NOT_YET;
        say(&c, MS_USE_PROBED, "its content has not been examined yet");
    } else if (content->facts->outcome != MS_FACTS_READ) {
        ret_verdict->usable = MS_USABLE_NO;
        say(&c, MS_USE_PROBED, "its content cannot be read: %.160s", content->facts->reason);
    } else if (is_mov_with_alpha(&c) && content->webm) {
        const struct ms_content webm = {.facts = content->webm,
                                        .name = "derived.webm",
                                        .type = content->type,
                                        .size = content->webm_size};
        ms_content_use(limits, &webm, use, ret_verdict);
    } else if (is_mov_with_alpha(&c)) {
        ret_verdict->usable = MS_USABLE_NOT_YET;
        say(&c, MS_USE_MOV_ALPHA,
            "a MOV with alpha channel is judged by the WebM made of it, "
            "which does not exist yet");
    } else {
        judge(&c);
        ret_verdict->usable = ret_verdict->rules & ~notes ? MS_USABLE_NO : MS_USABLE_YES;
    }
}
