#include "content/media_correct.h"

#include "base/scope.h"

#include <stdbool.h>
#include <string.h>

#define OOXML "application/vnd.openxmlformats-officedocument"

static bool has_at(const uint8_t *p, size_t n, size_t at, const char *text, size_t text_n) {
    return at <= n && text_n <= n - at && memcmp(p + at, text, text_n) == 0;
}

static uint32_t be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t le32(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static uint32_t le16(const uint8_t *p) { return (uint32_t)p[1] << 8 | p[0]; }

/* ISO base media: size, "ftyp", major brand, minor version, compatible brands. */

static const struct brand {
    const char *start; /* of the four letters */
    const char *type;
} brands[] = {
    {"qt  ", "video/quicktime"},
    {"3g2", "video/3gpp2"},
    {"3g", "video/3gpp"},
    {"kddi", "video/3gpp2"},
    {"M4V", "video/x-m4v"},
    {"M4A ", "audio/x-m4a"},
    {"M4B ", "audio/x-m4a"},
    {"iso", "video/mp4"},
    {"mp4", "video/mp4"},
    {"mp71", "video/mp4"},
    {"MP4 ", "video/mp4"},
    {"avc1", "video/mp4"},
    {"MSNV", "video/mp4"}, /* Sony */
    {"XAVC", "video/mp4"}, /* Sony */
    {"CAEP", "video/mp4"}, /* Canon */
    {"caqv", "video/mp4"}, /* Casio */
    {"pana", "video/mp4"}, /* Panasonic */
    {"nvr1", "video/mp4"},
    {"f4v ", "video/mp4"}, /* Adobe */
    {"dash", "video/mp4"},
    {"cmf", "video/mp4"},
    {"hls", "video/mp4"},
    {"piff", "video/mp4"},
};

static const char *brand_type(const uint8_t *brand) {
    for (size_t i = 0; i < MS_ARRAY_LEN(brands); i++)
        if (memcmp(brand, brands[i].start, strlen(brands[i].start)) == 0)
            return brands[i].type;
    return NULL;
}

/* By the major brand, or the first compatible one that is known. Raw photos (crx) name isom too. */
static const char *iso_media(const uint8_t *p, size_t n) {
    size_t end;
    const char *type;

    if (n < 16 || !has_at(p, n, 4, "ftyp", 4) || memcmp(p + 8, "crx ", 4) == 0)
        return NULL;
    type = brand_type(p + 8);
    end = be32(p) < n ? be32(p) : n;
    for (size_t at = 16; !type && at + 4 <= end; at += 4)
        type = brand_type(p + at);
    return type;
}

/* QuickTime as before ISO media: boxes from the start, some of which say nothing, up to one that
 * does. */
static const char *quicktime(const uint8_t *p, size_t n) {
    static const char *const silent[] = {"free", "skip", "wide", "pnot", "PICT", "udta", "uuid"};
    bool goes_on = true;

    for (size_t at = 0, size; goes_on && n >= 8 && at <= n - 8; at += size) {
        if (has_at(p, n, at + 4, "moov", 4) || has_at(p, n, at + 4, "mdat", 4))
            return "video/quicktime";
        size = be32(p + at);
        goes_on = false;
        for (size_t i = 0; size >= 8 && i < MS_ARRAY_LEN(silent); i++)
            goes_on |= has_at(p, n, at + 4, silent[i], 4);
    }
    return NULL;
}

/* An EBML number: the first byte's leading zeros say how many follow. 0 bytes: not one. */
static size_t ebml_number(const uint8_t *p, size_t n, uint64_t *ret_v) {
    size_t len = 1;
    uint64_t v;

    if (n == 0 || p[0] == 0)
        return 0;
    while (!(p[0] & (0x80 >> (len - 1))))
        len++;
    if (len > n)
        return 0;
    v = p[0] & (0xffu >> len);
    for (size_t i = 1; i < len; i++)
        v = v << 8 | p[i];
    *ret_v = v;
    return len;
}

/* The DocType (0x4282) within the EBML head. All ids in a head have two bytes. */
static const char *matroska(const uint8_t *p, size_t n) {
    uint64_t size = 0;
    size_t at = 4, len;

    if (!has_at(p, n, 0, "\x1a\x45\xdf\xa3", 4))
        return NULL;
    len = ebml_number(p + at, n - at, &size);
    for (at += len; len > 0 && n - at > 2; at += (size_t)size) {
        bool doc_type = p[at] == 0x42 && p[at + 1] == 0x82;

        len = ebml_number(p + at + 2, n - at - 2, &size);
        at += 2 + len;
        if (len == 0 || size > n - at)
            return NULL;
        if (doc_type && has_at(p, n, at, "webm", 4))
            return "video/webm";
        if (doc_type && has_at(p, n, at, "matroska", 8))
            return "video/x-matroska";
    }
    return NULL;
}

/* Bytes of the MPEG layer III frame whose head is at h, 0 when it is none. */
static size_t mp3_frame(const uint8_t *h) {
    static const uint16_t kbps[2][16] = {
        {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0},
        {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0}};
    static const uint16_t hertz[4] = {44100, 48000, 32000, 0};
    unsigned version = h[1] >> 3 & 3; /* 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5 */
    unsigned rate = hertz[h[2] >> 2 & 3] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
    unsigned bits = kbps[version == 3][h[2] >> 4];

    if (h[0] != 0xff || (h[1] & 0xe0) != 0xe0 || version == 1 || (h[1] >> 1 & 3) != 1 || !rate ||
        !bits)
        return 0;
    return (version == 3 ? 144000 : 72000) * bits / rate + (h[2] >> 1 & 1);
}

/* Whether want frames of one version and sampling rate follow each other, or fewer up to the
 * very end. */
static bool mp3_frames(const uint8_t *p, size_t n, size_t at, unsigned want) {
    const uint8_t *first = p + at;

    for (unsigned got = 0; got < want; got++) {
        size_t size;

        if (at >= n)
            return got > 1 || (got == 1 && want <= 2);
        if (n - at < 4)
            return false;
        size = mp3_frame(p + at);
        if (!size || ((p[at + 1] ^ first[1]) & 0x18) || ((p[at + 2] ^ first[2]) & 0x0c))
            return false;
        at += size;
    }
    return true;
}

/* Sound behind an ID3 tag, or behind zeros, or in a stream that was cut anywhere. */
static const char *mp3(const uint8_t *p, size_t n) {
    size_t at = 0, scan_end;

    if (has_at(p, n, 0, "ID3", 3) && n >= 10 && p[3] < 0xff && p[4] < 0xff &&
        !((p[6] | p[7] | p[8] | p[9]) & 0x80)) {
        at = 10 + ((size_t)p[6] << 21 | (size_t)p[7] << 14 | (size_t)p[8] << 7 | p[9]);
        if (at >= n)
            return "audio/mpeg";
    }
    while (at < n && p[at] == 0)
        at++;
    if (at < n && mp3_frames(p, n, at, 2))
        return "audio/mpeg";
    scan_end = n - at < 4096 ? n : at + 4096;
    for (; at < scan_end; at++)
        if (p[at] == 0xff && mp3_frames(p, n, at, 4))
            return "audio/mpeg";
    return NULL;
}

static const char *wav(const uint8_t *p, size_t n) {
    bool long_form = has_at(p, n, 0, "RF64", 4) || has_at(p, n, 0, "BW64", 4);

    return long_form && has_at(p, n, 8, "WAVE", 4) ? "audio/x-wav" : NULL;
}

/* Readers take a head within the first 1024 bytes. */
static const char *pdf(const uint8_t *p, size_t n) {
    for (size_t at = 0; at < 1024 && at + 8 <= n; at++)
        if (has_at(p, n, at, "%PDF-", 5) && (p[at + 5] == '1' || p[at + 5] == '2') &&
            p[at + 6] == '.')
            return "application/pdf";
    return NULL;
}

/* The kind of Office file that a part of this name belongs to; NULL: to any. */
static const char *part_type(const uint8_t *name, size_t n) {
    if (has_at(name, n, 0, "ppt/", 4))
        return OOXML ".presentationml.presentation";
    if (has_at(name, n, 0, "word/", 5))
        return OOXML ".wordprocessingml.document";
    return has_at(name, n, 0, "xl/", 3) ? OOXML ".spreadsheetml.sheet" : NULL;
}

static bool is_any_office_part(const uint8_t *name, size_t n) {
    return has_at(name, n, 0, "[Content_Types].xml", 19) || has_at(name, n, 0, "_rels/", 6) ||
           has_at(name, n, 0, "docProps/", 9) || has_at(name, n, 0, "customXml/", 10);
}

/* The next local head at or behind at; n when there is none. */
static size_t next_zip_head(const uint8_t *p, size_t n, size_t at) {
    const uint8_t *next = at < n ? memmem(p + at, n - at, "PK\3\4", 4) : NULL;

    return next ? (size_t)(next - p) : n;
}

/* Heads of the parts in their order. One that says how long it is is skipped; one that was
 * written to a pipe does not say, so the next head is looked for. When all that is seen may
 * stand in any Office file: the bare family. */
static const char *office(const uint8_t *p, size_t n) {
    bool office_seen = false;

    for (size_t at = 0; has_at(p, n, at, "PK\3\4", 4) && n - at > 30;) {
        size_t name_n = le16(p + at + 26), head_n = 30 + name_n + le16(p + at + 28);
        const uint8_t *name = p + at + 30;
        const char *type;

        if (name_n > n - at - 30)
            break;
        type = part_type(name, name_n);
        if (type || !is_any_office_part(name, name_n))
            return type;
        office_seen |= name[0] == '[';
        if (p[at + 6] & 8)
            at = next_zip_head(p, n, at + head_n);
        else
            at += head_n + le32(p + at + 18);
    }
    return office_seen ? OOXML : NULL;
}

/* OLE2: a folder entry of 128 bytes starts with a name in UTF-16, and its length with the NUL is
 * at byte 64. */
static bool is_ole_entry(const uint8_t *entry, const char *name) {
    size_t n = strlen(name);

    for (size_t i = 0; i < n; i++)
        if (entry[2 * i] != (uint8_t)name[i] || entry[2 * i + 1] != 0)
            return false;
    return le16(entry + 64) == 2 * (n + 1);
}

static const char *ole2(const uint8_t *p, size_t n) {
    static const struct {
        const char *entry, *type;
    } kinds[] = {
        {"EncryptedPackage", "application/encrypted"},
        {"PowerPoint Document", "application/vnd.ms-powerpoint"},
        {"WordDocument", "application/msword"},
        {"Workbook", "application/vnd.ms-excel"},
    };

    if (!has_at(p, n, 0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8))
        return NULL;
    for (size_t at = 512; at + 128 <= n; at += 128)
        for (size_t i = 0; i < MS_ARRAY_LEN(kinds); i++)
            if (is_ole_entry(p + at, kinds[i].entry))
                return kinds[i].type;
    return "application/x-ole-storage";
}

static bool is_one_of(const char *found, const char *const *names) {
    for (; *names; names++)
        if (strcmp(found, *names) == 0)
            return true;
    return false;
}

const char *ms_media_correct(const uint8_t *p, size_t n, const char *found) {
    static const char *const unknown[] = {"application/octet-stream", "application/zip", NULL};
    static const char *const containers[] = {"application/x-ole-storage", "application/CDFV2",
                                             "application/vnd.ms-office", NULL};
    static const char *(*const rules[])(const uint8_t *p, size_t n) = {
        iso_media, quicktime, matroska, wav, office, ole2, pdf, mp3};
    const char *better = NULL;

    if (is_one_of(found, unknown))
        for (size_t i = 0; !better && i < MS_ARRAY_LEN(rules); i++)
            better = rules[i](p, n);
    else if (is_one_of(found, containers))
        better = ole2(p, n);
    else if (strcmp(found, "audio/mp4") == 0 || strcmp(found, "audio/x-m4a") == 0)
        better = iso_media(p, n);
    return better ? better : found;
}
