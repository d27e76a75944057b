/* Videos, sound and images by FFmpeg's libraries. The demuxer is chosen here by the first bytes, so only
 * those of the supported containers ever see a content; none may open anything else. */
#include "probe/examine.h"

#include "base/scope.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define AVIO_BYTES (64 * 1024)

/* ---- which demuxer --------------------------------------------------------------------------- */

struct opening {
    uint8_t bytes[4096];
    size_t n;
};

static bool has_at(const struct opening *o, size_t at, const char *text, size_t n) {
    return at + n <= o->n && memcmp(o->bytes + at, text, n) == 0;
}

static bool is_iso_media(const struct opening *o) {
    static const char *const boxes[] = {"ftyp", "moov", "mdat", "free", "skip",
                                        "wide", "pnot", "PICT", "udta", "uuid"};

    for (size_t i = 0; i < MS_ARRAY_LEN(boxes); i++)
        if (has_at(o, 4, boxes[i], 4))
            return true;
    return false;
}

/* The DocType of an EBML head: id 0x4282, one byte of length, text. */
static const char *matroska_word(const struct opening *o) {
    for (size_t at = 4; at + 7 < o->n && at < 128; at++)
        if (has_at(o, at, "\x42\x82", 2) && has_at(o, at + 3, "webm", 4))
            return "webm";
    return "matroska";
}

struct kind {
    const char *demuxer, *container; /* container NULL: the demuxer tells */
};

static struct kind kind_by_riff(const struct opening *o) {
    if (has_at(o, 8, "AVI ", 4) && has_at(o, 0, "RIFF", 4))
        return (struct kind){"avi", "avi"};
    if (has_at(o, 8, "WAVE", 4))
        return (struct kind){"wav", "wav"};
    return (struct kind){NULL, NULL};
}

static struct kind kind_of(const struct opening *o) {
    if (has_at(o, 0, "\x89PNG\r\n\x1a\n", 8))
        return (struct kind){"png_pipe", "png"};
    if (has_at(o, 0, "\xff\xd8\xff", 3))
        return (struct kind){"jpeg_pipe", "jpeg"};
    if (has_at(o, 0, "BM", 2))
        return (struct kind){"bmp_pipe", "bmp"};
    if (has_at(o, 0, "GIF8", 4))
        return (struct kind){"gif", "gif"};
    if (has_at(o, 0, "\x1a\x45\xdf\xa3", 4))
        return (struct kind){"matroska", matroska_word(o)};
    if (has_at(o, 0, "FLV", 3))
        return (struct kind){"flv", "flv"};
    if (has_at(o, 0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11", 8))
        return (struct kind){"asf", "asf"};
    if (has_at(o, 0, "RIFF", 4) || has_at(o, 0, "RF64", 4) || has_at(o, 0, "BW64", 4))
        return kind_by_riff(o);
    if (is_iso_media(o))
        return (struct kind){"mov", "mov"};
    return (struct kind){NULL, NULL};
}

/* Sound of MPEG has no mark at its beginning: FFmpeg's own guess, of which only this one counts. */
static bool is_mp3(struct ms_probe_source *s) {
    AVProbeData data = {.filename = ""};
    int64_t n = s->size < 1 << 20 ? (int64_t)s->size : 1 << 20;
    const AVInputFormat *guess = NULL;
    int score = 0;

    data.buf = av_mallocz((size_t)n + AVPROBE_PADDING_SIZE);
    data.buf_size = (int)n;
    if (data.buf && ms_probe_source_read(s, 0, data.buf, (size_t)n) == n)
        guess = av_probe_input_format3(&data, 1, &score);
    av_free(data.buf);
    return guess && strcmp(guess->name, "mp3") == 0 && score > 0;
}

/* ---- what is in it --------------------------------------------------------------------------- */

static void word(char ret_word[MS_FACTS_WORD_MAX + 1], const char *text) {
    (void)snprintf(ret_word, MS_FACTS_WORD_MAX + 1, "%s", text ? text : "");
    for (char *at = ret_word; *at; at++)
        if (*at <= ' ' || *at > '~' || *at == '"' || *at == '\\')
            *at = '_';
}

static uint32_t not_negative(int v) { return v > 0 ? (uint32_t)v : 0; }

static uint32_t side(int v) {
    return v < 0 ? 0 : v > MS_FACTS_SIDE_MAX ? MS_FACTS_SIDE_MAX : (uint32_t)v;
}

static bool is_quarter_turned(const AVStream *st) {
    size_t n = 0;
    const uint8_t *matrix = av_stream_get_side_data(st, AV_PKT_DATA_DISPLAYMATRIX, &n);
    double turn;

    if (!matrix || n < 9 * sizeof(int32_t))
        return false;
    turn = fabs(av_display_rotation_get((const int32_t *)(const void *)matrix));
    return fabs(turn - 90) < 1 || fabs(turn - 270) < 1;
}

static void pixels(const AVStream *st, struct ms_facts_record *f) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(st->codecpar->format);
    const AVDictionaryEntry *mode = av_dict_get(st->metadata, "alpha_mode", NULL, 0);

    f->alpha = mode && strcmp(mode->value, "1") == 0; /* VP8, VP9: beside the picture */
    if (!d)
        return;
    word(f->pixel_format, d->name);
    f->alpha |= (d->flags & AV_PIX_FMT_FLAG_ALPHA) && !(d->flags & AV_PIX_FMT_FLAG_PAL);
    f->yuv420 = d->nb_components >= 3 && !(d->flags & AV_PIX_FMT_FLAG_RGB) &&
                d->log2_chroma_w == 1 && d->log2_chroma_h == 1;
}

static void rate(const AVStream *st, struct ms_facts_record *f) {
    AVRational r = st->avg_frame_rate;

    if (r.num <= 0 || r.den <= 0)
        r = st->r_frame_rate;
    if (r.num <= 0 || r.den <= 0)
        return;
    f->rate_num = (uint32_t)r.num;
    f->rate_den = (uint32_t)r.den;
}

static void picture(const AVStream *st, struct ms_facts_record *f) {
    bool turned = is_quarter_turned(st);

    word(f->video_codec, avcodec_get_name(st->codecpar->codec_id));
    f->width = side(turned ? st->codecpar->height : st->codecpar->width);
    f->height = side(turned ? st->codecpar->width : st->codecpar->height);
    f->video_bit_rate = st->codecpar->bit_rate > 0 ? (uint64_t)st->codecpar->bit_rate : 0;
    pixels(st, f);
    rate(st, f);
}

static void sound(const AVStream *st, struct ms_facts_record *f) {
    word(f->audio_codec, avcodec_get_name(st->codecpar->codec_id));
    f->channels = not_negative(st->codecpar->ch_layout.nb_channels);
    f->sample_rate = not_negative(st->codecpar->sample_rate);
    f->audio_bit_rate = st->codecpar->bit_rate > 0 ? (uint64_t)st->codecpar->bit_rate : 0;
}

/* The first moving track and the first sound are those that are told; a cover picture is neither. */
static void tracks(const AVFormatContext *av, struct ms_facts_record *f) {
    for (unsigned i = 0; i < av->nb_streams; i++) {
        const AVStream *st = av->streams[i];

        if (st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO && f->audio_tracks++ == 0)
            sound(st, f);
        if (st->codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
            !(st->disposition & AV_DISPOSITION_ATTACHED_PIC) && f->video_tracks++ == 0)
            picture(st, f);
    }
}

static bool is_still(const struct ms_facts_record *f) {
    return strcmp(f->container, "png") == 0 || strcmp(f->container, "jpeg") == 0 ||
           strcmp(f->container, "bmp") == 0;
}

static void times(const AVFormatContext *av, struct ms_facts_record *f) {
    if (is_still(f)) { /* FFmpeg makes up a rate for a file of one picture */
        f->rate_num = f->rate_den = 0;
        return;
    }
    if (av->duration == AV_NOPTS_VALUE || av->duration <= 0)
        return;
    f->duration_ms = (uint64_t)(av->duration / 1000);
    if (f->duration_ms > (uint64_t)MS_FACTS_DURATION_MS_MAX)
        f->duration_ms = (uint64_t)MS_FACTS_DURATION_MS_MAX;
}

/* ---- reading it ------------------------------------------------------------------------------ */

struct place {
    struct ms_probe_source *source;
    int64_t at;
};

static int read_some(void *opaque, uint8_t *into, int n) {
    struct place *p = opaque;
    int64_t got = ms_probe_source_read(p->source, (uint64_t)p->at, into, (size_t)n);

    if (got <= 0)
        return got < 0 ? AVERROR(EIO) : AVERROR_EOF;
    p->at += got;
    return (int)got;
}

static int64_t seek(void *opaque, int64_t offset, int whence) {
    struct place *p = opaque;

    if (whence & AVSEEK_SIZE)
        return (int64_t)p->source->size;
    whence &= ~AVSEEK_FORCE;
    offset += whence == SEEK_CUR ? p->at : whence == SEEK_END ? (int64_t)p->source->size : 0;
    if (offset < 0)
        return AVERROR(EINVAL);
    return p->at = offset;
}

/* Containers may name other files. There are none. */
static int open_nothing(AVFormatContext *av, AVIOContext **pb, const char *url, int flags,
                        AVDictionary **options) {
    (void)av, (void)pb, (void)url, (void)flags, (void)options;
    return AVERROR(EACCES);
}

static void forget_io(AVIOContext **io) {
    if (*io)
        av_freep(&(*io)->buffer);
    avio_context_free(io);
}

static AVFormatContext *new_context(AVIOContext *io) {
    AVFormatContext *av = avformat_alloc_context();

    if (!av)
        return NULL;
    av->pb = io;
    av->flags |= AVFMT_FLAG_CUSTOM_IO;
    av->io_open = open_nothing;
    av->max_streams = 64;
    return av;
}

static bool say_av(struct ms_facts_record *f, const char *what, int error) {
    char text[AV_ERROR_MAX_STRING_SIZE] = "", reason[128];

    (void)av_strerror(error, text, sizeof text);
    (void)snprintf(reason, sizeof reason, "%s: %s", what, text);
    return ms_examine_unreadable(f, reason);
}

static void facts_of(AVFormatContext *av, struct ms_facts_record *f) {
    int error = avformat_find_stream_info(av, NULL); /* decodes in this thread only */

    if (error < 0) {
        (void)say_av(f, "its tracks cannot be read", error);
        return;
    }
    tracks(av, f);
    times(av, f);
    if (f->video_tracks > 0 && (f->width == 0 || f->height == 0))
        (void)ms_examine_unreadable(f, "its picture has no size: it is damaged or cut short");
    else if (f->video_tracks == 0 && f->audio_tracks == 0)
        (void)ms_examine_unreadable(f, "it has neither picture nor sound");
    else if (f->video_tracks == 0 && (f->channels == 0 || f->sample_rate == 0))
        (void)ms_examine_unreadable(f, "its sound has no channels: it is damaged or cut short");
}

static void open_and_read(AVIOContext *io, const char *demuxer, struct ms_facts_record *f) {
    AVFormatContext *av = new_context(io);
    int error;

    if (!av) {
        (void)ms_examine_unreadable(f, "no memory");
        return;
    }
    error =
        avformat_open_input(&av, "", av_find_input_format(demuxer), NULL); /* frees av on failure */
    if (error < 0)
        (void)say_av(f, "its head cannot be read", error);
    else
        facts_of(av, f);
    avformat_close_input(&av);
}

bool ms_examine_media(struct ms_probe_source *s, struct ms_facts_record *f) {
    struct opening o;
    struct place place = {s, 0};
    int64_t n = ms_probe_source_read(s, 0, o.bytes, sizeof o.bytes);
    struct kind kind;
    uint8_t *buffer;
    AVIOContext *io;

    o.n = n > 0 ? (size_t)n : 0;
    kind = kind_of(&o);
    if (!kind.demuxer && is_mp3(s))
        kind = (struct kind){"mp3", "mp3"};
    if (!kind.demuxer)
        return false;
    word(f->container, kind.container);
    buffer = av_malloc(AVIO_BYTES);
    io = buffer ? avio_alloc_context(buffer, AVIO_BYTES, 0, &place, read_some, NULL, seek) : NULL;
    if (!io) {
        av_free(buffer);
        return ms_examine_unreadable(f, "no memory");
    }
    open_and_read(io, kind.demuxer, f);
    forget_io(&io);
    return true;
}
