/* pptx: a zip with ppt/presentation.xml, which names the slides. Only that part is unpacked, and never
 * more of it than fits the limit, so a bomb costs nothing. */
#include "probe/examine.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XML_BYTES_MAX (8u << 20) /* 100 slides need some 10 KB */
#define PARTS_MAX 65536
#define CHUNK (64 * 1024)

struct zip {
    struct ms_probe_source *source;
    int64_t at;
    uint8_t chunk[CHUNK];
};

static la_ssize_t read_some(struct archive *a, void *priv, const void **ret_bytes) {
    struct zip *z = priv;
    int64_t n = ms_probe_source_read(z->source, (uint64_t)z->at, z->chunk, sizeof z->chunk);

    if (n < 0) {
        archive_set_error(a, EIO, "bytes cannot be had");
        return -1;
    }
    z->at += n;
    *ret_bytes = z->chunk;
    return (la_ssize_t)n;
}

static la_int64_t skip(struct archive *a, void *priv, la_int64_t n) {
    struct zip *z = priv;

    (void)a;
    z->at += n;
    return n;
}

static la_int64_t seek(struct archive *a, void *priv, la_int64_t offset, int whence) {
    struct zip *z = priv;

    (void)a;
    offset += whence == SEEK_CUR ? z->at : whence == SEEK_END ? (la_int64_t)z->source->size : 0;
    if (offset < 0)
        return ARCHIVE_FATAL;
    return z->at = offset;
}

/* A byte that ends a name in a tag. */
static bool ends_name(char c) {
    return c == ' ' || c == '/' || c == '>' || c == '\t' || c == '\n' || c == '\r';
}

/* Whether a tag at p, behind its '<', has this local name. */
static bool is_tag(const char *p, const char *end, const char *name) {
    size_t n = strlen(name);
    const char *at = p;

    while (at < end && *at != ':' && *at != '<' && !ends_name(*at))
        at++;
    at = at < end && *at == ':' ? at + 1 : p;
    return (size_t)(end - at) > n && memcmp(at, name, n) == 0 && ends_name(at[n]);
}

uint32_t ms_slides_in_xml(const char *xml, size_t n) {
    const char *end = xml + n, *at = xml;
    uint32_t slides = 0;

    while (at < end && (at = memchr(at, '<', (size_t)(end - at)))) {
        const char *after = NULL;

        at++;
        if (end - at >= 3 && memcmp(at, "!--", 3) == 0) {
            after = memmem(at, (size_t)(end - at), "-->", 3);
            at = after ? after : end;
        } else {
            slides += is_tag(at, end, "sldId");
        }
    }
    return slides;
}

static bool read_xml(struct archive *a, struct ms_facts_record *f) {
    char *xml = malloc(XML_BYTES_MAX + 1);
    size_t n = 0;
    la_ssize_t got = 1;

    while (xml && got > 0 && n <= XML_BYTES_MAX) {
        got = archive_read_data(a, xml + n, XML_BYTES_MAX + 1 - n);
        n += got > 0 ? (size_t)got : 0;
    }
    if (!xml)
        (void)ms_examine_unreadable(f, "no memory");
    else if (got < 0)
        (void)ms_examine_unreadable(f, "ppt/presentation.xml is damaged");
    else if (n > XML_BYTES_MAX)
        (void)ms_examine_unreadable(f, "ppt/presentation.xml is larger than 8 MB");
    else
        f->slides = ms_slides_in_xml(xml, n);
    free(xml);
    return true;
}

static bool each_part(struct archive *a, struct ms_facts_record *f) {
    struct archive_entry *entry;
    int got = ARCHIVE_OK;

    for (unsigned parts = 0; parts < PARTS_MAX; parts++) {
        const char *name;

        got = archive_read_next_header(a, &entry);
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
            break;
        name = archive_entry_pathname(entry);
        if (!name || strcmp(name, "ppt/presentation.xml") != 0)
            continue;
        f->encrypted = archive_entry_is_encrypted(entry) != 0;
        return f->encrypted || read_xml(a, f);
    }
    return ms_examine_unreadable(f, got == ARCHIVE_EOF
                                        ? "it has no ppt/presentation.xml"
                                        : "its list of parts is damaged, cut short or too long");
}

static bool open_zip(struct archive *a, struct zip *z) {
    return archive_read_support_format_zip_seekable(a) == ARCHIVE_OK &&
           archive_read_set_callback_data(a, z) == ARCHIVE_OK &&
           archive_read_set_read_callback(a, read_some) == ARCHIVE_OK &&
           archive_read_set_skip_callback(a, skip) == ARCHIVE_OK &&
           archive_read_set_seek_callback(a, seek) == ARCHIVE_OK &&
           archive_read_open1(a) == ARCHIVE_OK;
}

bool ms_examine_zip(struct ms_probe_source *s, struct ms_facts_record *f) {
    char head[4];
    struct zip *z;
    struct archive *a;

    if (ms_probe_source_read(s, 0, head, 4) != 4 || memcmp(head, "PK\3\4", 4) != 0)
        return false;
    (void)snprintf(f->container, sizeof f->container, "pptx");
    z = calloc(1, sizeof *z);
    a = archive_read_new();
    if (z)
        z->source = s;
    if (!z || !a)
        (void)ms_examine_unreadable(f, "no memory");
    else if (!open_zip(a, z))
        (void)ms_examine_unreadable(f, "it is no whole zip: its list of parts is missing");
    else
        (void)each_part(a, f);
    if (a)
        (void)archive_read_free(a);
    free(z);
    return true;
}
