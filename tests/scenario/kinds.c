/* Bytes of each kind of section 4, as far as libmagic looks, and what a probe would find in them. */
#include "scenario.h"

#include "service/tree_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FTYP(brand) "\0\0\0\x20" "ftyp" brand "\0\0\2\0isom" brand
#define EBML "\x1a\x45\xdf\xa3\x93\x42\x82"

static const struct {
    const char *suffix, *head;
    size_t n;
} kinds[] = {
#define KIND(suffix, head) {suffix, head, sizeof head - 1}
    KIND("m4v", FTYP("M4V ")),
    KIND("mov", FTYP("qt  ")),
    KIND("3gp", FTYP("3gp4")),
    KIND("m4a", FTYP("M4A ")),
    KIND("mkv", EBML "\x88matroska\x42\x87\x81\x01"),
    KIND("webm", EBML "\x84webm\x42\x87\x81\x02"),
    KIND("flv", "FLV\x01\x05\0\0\0\x09\0\0\0\0"),
    KIND("wmv", "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c\0\2"),
    KIND("avi", "RIFF\x24\x10\0\0AVI LIST\0\1\0\0hdrlavih"),
    KIND("gif", "GIF89a\x40\0\x40\0\xf7\0\0"),
    KIND("bmp", "BM\x36\x30\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x40\0\0\0\x40\0\0\0\1\0\x18\0\0\0\0\0\0\x30"),
    KIND("jpg", "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0"),
    KIND("jpeg", "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0"),
    KIND("mp3", "ID3\3\0\0\0\0\0\x0aTENC\0\0\0\0\0\0\xff\xfb\x90\x64"),
    KIND("wav", "RIFF\x24\x10\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80\xbb\0\0\0\x77\1\0\2\0\x10\0data"),
    KIND("pdf", "%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"),
#undef KIND
};

void scene_fill(uint8_t *p, size_t n, const char *suffix) {
    MS_ASSERT(n >= 64);
    fill_like(p, n, suffix);
    for (size_t i = 0; i < MS_ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i].suffix, suffix) == 0) {
            memset(p, 0x5a, n);
            memcpy(p, kinds[i].head, kinds[i].n);
        }
}

/* ---- facts ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t at;
} numbers[] = {
#define NUMBER(name) {#name, offsetof(struct ms_facts_record, name)}
    NUMBER(width),        NUMBER(height),   NUMBER(rate_num), NUMBER(rate_den),
    NUMBER(video_tracks), NUMBER(channels), NUMBER(slides),   NUMBER(audio_tracks),
#undef NUMBER
};

static void set_number(struct ms_facts_record *f, size_t i, const char *value) {
    uint32_t n = (uint32_t)strtoul(value, NULL, 10);
    memcpy((uint8_t *)f + numbers[i].at, &n, sizeof n);
}

/* "key=value" of what a probe found. */
static void set_fact(struct scene *s, struct ms_facts_record *f, const char *word) {
    const char *value = strchr(word, '=');
    size_t len = value ? (size_t)(value - word) : 0;
#define IS(name) (strlen(name) == len && strncmp(word, name, len) == 0)
    for (size_t i = 0; value && i < MS_ARRAY_LEN(numbers); i++)
        if (IS(numbers[i].name)) {
            set_number(f, i, value + 1);
            return;
        }
    if (IS("container"))
        (void)snprintf(f->container, sizeof f->container, "%s", value + 1);
    else if (IS("codec"))
        (void)snprintf(f->video_codec, sizeof f->video_codec, "%s", value + 1);
    else if (IS("length"))
        f->duration_ms = (uint64_t)scene_duration(s, value + 1);
    else if (IS("yuv420"))
        f->yuv420 = value[1] == '1';
    else if (IS("alpha"))
        f->alpha = value[1] == '1';
    else if (IS("encrypted"))
        f->encrypted = value[1] == '1';
    else if (IS("unreadable"))
        *f = ms_facts_without(MS_FACTS_UNREADABLE, value + 1);
    else
        scene_fail(s, "there is no fact \"%s\"", word);
#undef IS
}

struct found {
    struct ms_tenant_id tenant;
    struct ms_version_id version;
    struct ms_facts_record facts;
};

static enum ms_code found_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const struct found *f = in;
    (void)out;
    return ms_row_put_facts(txn, ms_key_facts(f->tenant, f->version), &f->facts, reterr);
}

/* A video of 1080p, 30 frames a second, H.264 in mp4, with stereo sound, but for what the words say. */
static enum ms_code verb_facts(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct scene_asset *asset = scene_asset_of(s, words[1]);
    struct found found = {.tenant = asset->tenant,
                          .facts = {.container = "mov", .video_codec = "h264", .pixel_format = "yuv420p",
                                    .audio_codec = "aac", .width = 1920, .height = 1080, .rate_num = 30,
                                    .rate_den = 1, .duration_ms = 60000, .yuv420 = 1, .video_tracks = 1,
                                    .audio_tracks = 1, .channels = 2, .sample_rate = 48000}};
    for (int i = 2; i < n; i++)
        set_fact(s, &found.facts, words[i]);
    if (ms_facts_broken(&found.facts))
        scene_fail(s, "facts do not hold: %s", ms_facts_broken(&found.facts));
    MS_TRY(scene_look(s, asset, reterr));
    found.version = (struct ms_version_id){s->info.version.id};
    return ms_store_write(s->w->svc->store, &(struct ms_write){.fn = found_op, .in = &found}, reterr);
}

/* "yes", "no", "not_yet", "no_matter". */
static const char *usable_text(enum ms_usable usable) {
    return usable == MS_USABLE_NO_MATTER ? "no_matter" : ms_usable_name(usable);
}

static enum ms_code verb_usable(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *says = scene_value(n, words, "says");
    struct ms_use_verdict v;
    char text[MS_USE_COUNT * (MS_USE_TEXT_MAX + 3)] = "";
    scene_only(s, n, words, "production live preview says");
    MS_TRY(scene_look(s, scene_asset_of(s, words[1]), reterr));
    const char *const keys[MS_USE_COUNT] = {"production", "live", "preview"};
    for (unsigned use = 0; use < MS_USE_COUNT; use++) {
        const char *want = scene_value(n, words, keys[use]);
        const struct ms_content content = ms_asset_content(&s->info);
        ms_content_use(&s->w->svc->limits, &content, (enum ms_use)use, &v);
        if (want && strcmp(want, usable_text(v.usable)) != 0)
            scene_fail(s, "%s: %s: %s", keys[use], usable_text(v.usable), v.text);
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, "%s; ", v.text);
    }
    if (says && !strstr(text, says))
        scene_fail(s, "it says \"%s\"", text);
    return MS_OK;
}

static const struct scene_verb verbs[] = {
    {"facts", 1, 14, verb_facts, "LABEL [FACT=VALUE...]: what a probe finds in its MAIN, and would by a close"},
    {"usable", 2, 5, verb_usable, "LABEL [production|live|preview=yes|no|not_yet|no_matter] [says=WORDS]"},
};
const struct scene_verbs scene_verbs_kinds = {verbs, MS_ARRAY_LEN(verbs)};
