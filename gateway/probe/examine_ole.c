/* ppt: a file system in a file (OLE2, [MS-CFB]) with a stream "PowerPoint Document" of records
 * ([MS-PPT]), which grows by one edit at each save. "Current User" leads to the last edit; edits lead to
 * their directories of objects; the newest that has the document leads to it, and in its list of slides
 * each slide has one atom. Numbers are little-endian. Every chain is bounded by the size of the file. */
#include "probe/examine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR_LAST 0xfffffffau /* larger ones are marks */
#define CHAIN_END 0xfffffffeu
#define HEAD_DIFATS 109
#define ENTRY_BYTES 128
#define EDITS_MAX 10000
#define DEPTH_RECORD 8 /* bytes of a record's head */

static uint32_t le16(const uint8_t *p) { return (uint32_t)p[1] << 8 | p[0]; }
static uint32_t le32(const uint8_t *p) { return (uint32_t)le16(p + 2) << 16 | le16(p); }

/* ---- the file system ------------------------------------------------------------------------- */

struct ole {
    struct ms_probe_source *source;
    uint32_t sector, mini; /* bytes of each */
    uint32_t sectors;      /* how many there can be: bounds every chain */
    uint32_t mini_cutoff;  /* smaller streams lie in the mini stream */
    uint32_t *fat, *mini_fat;
    uint32_t fat_n, mini_fat_n;
    uint32_t directory; /* first sector */
    uint8_t *mini_stream;
    size_t mini_stream_n;
};

struct stream {
    uint8_t *bytes;
    size_t n;
};

static bool read_sector(struct ole *o, uint32_t at, uint8_t *into) {
    uint64_t offset = ((uint64_t)at + 1) * o->sector;
    int64_t got = at < o->sectors ? ms_probe_source_read(o->source, offset, into, o->sector) : -1;

    if (got <= 0)
        return false;
    memset(into + got, 0, o->sector - (size_t)got); /* the last one may be cut */
    return true;
}

static uint32_t next_of(const uint32_t *fat, uint32_t n, uint32_t at) {
    return at < n ? fat[at] : CHAIN_END;
}

/* A chain of sectors as one piece of memory, of at most bytes_max bytes. */
static bool read_chain(struct ole *o, uint32_t first, size_t bytes_max, struct stream *ret) {
    size_t n = 0, count = 0;
    uint8_t *bytes;

    for (uint32_t at = first; at <= SECTOR_LAST && count <= o->sectors && n < bytes_max; count++) {
        n += o->sector;
        at = next_of(o->fat, o->fat_n, at);
    }
    bytes = count <= o->sectors ? malloc(n ? n : 1) : NULL;
    if (!bytes)
        return false;
    for (uint32_t at = first, i = 0; i < count; i++) {
        if (!read_sector(o, at, bytes + (size_t)i * o->sector)) {
            free(bytes);
            return false;
        }
        at = next_of(o->fat, o->fat_n, at);
    }
    *ret = (struct stream){bytes, n < bytes_max ? n : bytes_max};
    return true;
}

/* Sectors of the table of sectors: the first 109 stand in the head, the rest in a chain of its own. */
static bool read_fat(struct ole *o, const uint8_t *head) {
    uint32_t per = o->sector / 4, fats = le32(head + 0x2c), more = le32(head + 0x44), taken = 0;
    uint8_t *sector = malloc(o->sector), *list = malloc(o->sector);
    bool good = sector && list && fats > 0 && fats <= o->sectors &&
                (o->fat = calloc((size_t)fats * per, 4)) != NULL;

    for (uint32_t i = 0, at_list = 0; good && i < fats; i++) {
        uint32_t at;

        if (i >= HEAD_DIFATS && (i - HEAD_DIFATS) % (per - 1) == 0) {
            good = taken++ <= o->sectors && read_sector(o, more, list);
            more = good ? le32(list + o->sector - 4) : 0;
            at_list = 0;
        }
        if (!good)
            break;
        at = i < HEAD_DIFATS ? le32(head + 0x4c + 4 * i) : le32(list + 4 * at_list++);
        good = read_sector(o, at, sector);
        for (uint32_t k = 0; good && k < per; k++)
            o->fat[i * per + k] = le32(sector + 4 * k);
    }
    o->fat_n = good ? fats * per : 0;
    free(sector);
    free(list);
    return good;
}

static bool read_mini_fat(struct ole *o, const uint8_t *head) {
    struct stream s;

    if (le32(head + 0x3c) > SECTOR_LAST)
        return true;
    if (!read_chain(o, le32(head + 0x3c), SIZE_MAX, &s))
        return false;
    o->mini_fat = calloc(s.n / 4 + 1, 4);
    for (size_t i = 0; o->mini_fat && i < s.n / 4; i++)
        o->mini_fat[i] = le32(s.bytes + 4 * i);
    o->mini_fat_n = o->mini_fat ? (uint32_t)(s.n / 4) : 0;
    free(s.bytes);
    return o->mini_fat != NULL;
}

static bool open_ole(struct ole *o) {
    uint8_t head[512];
    uint32_t sector_log2, mini_log2;

    if (ms_probe_source_read(o->source, 0, head, sizeof head) != (int64_t)sizeof head)
        return false;
    sector_log2 = le16(head + 0x1e);
    mini_log2 = le16(head + 0x20);
    if ((sector_log2 != 9 && sector_log2 != 12) || mini_log2 != 6)
        return false;
    o->sector = 1u << sector_log2;
    o->mini = 1u << mini_log2;
    if (o->source->size / o->sector > SECTOR_LAST)
        return false;
    o->sectors = (uint32_t)(o->source->size / o->sector); /* the head is one, the last may be cut */
    o->mini_cutoff = le32(head + 0x38);
    o->directory = le32(head + 0x30);
    return read_fat(o, head) && read_mini_fat(o, head);
}

static void close_ole(struct ole *o) {
    free(o->fat);
    free(o->mini_fat);
    free(o->mini_stream);
}

static bool is_entry(const uint8_t *entry, const char *name) {
    size_t n = strlen(name);

    for (size_t i = 0; i < n; i++)
        if (entry[2 * i] != (uint8_t)name[i] || entry[2 * i + 1] != 0)
            return false;
    return le16(entry + 64) == 2 * (n + 1);
}

static const uint8_t *find_entry(const struct stream *directory, const char *name) {
    for (size_t at = 0; at + ENTRY_BYTES <= directory->n; at += ENTRY_BYTES)
        if (is_entry(directory->bytes + at, name))
            return directory->bytes + at;
    return NULL;
}

static bool read_mini(struct ole *o, const struct stream *directory, uint32_t first, size_t n,
                      struct stream *ret) {
    struct stream mini;
    uint32_t at = first;

    if (!read_chain(o, le32(directory->bytes + 0x74), SIZE_MAX, &mini))
        return false;
    *ret = (struct stream){malloc(n ? n : 1), 0};
    while (ret->bytes && ret->n < n && at <= SECTOR_LAST && ((size_t)at + 1) * o->mini <= mini.n) {
        size_t take = n - ret->n < o->mini ? n - ret->n : o->mini;

        memcpy(ret->bytes + ret->n, mini.bytes + (size_t)at * o->mini, take);
        ret->n += take;
        at = next_of(o->mini_fat, o->mini_fat_n, at);
    }
    free(mini.bytes);
    return ret->bytes && ret->n == n;
}

/* On failure too, what ret holds is the caller's. */
static bool read_stream(struct ole *o, const struct stream *directory, const uint8_t *entry,
                        struct stream *ret) {
    uint32_t first = le32(entry + 0x74), n = le32(entry + 0x78);

    if (n > o->source->size)
        return false;
    if (n < o->mini_cutoff)
        return read_mini(o, directory, first, n, ret);
    return read_chain(o, first, n, ret) && ret->n == n;
}

/* ---- the document ---------------------------------------------------------------------------- */

enum record_type {
    RT_DOCUMENT = 0x03e8,
    RT_SLIDE_PERSIST = 0x03f3,
    RT_SLIDE_LIST = 0x0ff0,
    RT_USER_EDIT = 0x0ff5,
    RT_CURRENT_USER = 0x0ff6,
    RT_PERSIST_DIRECTORY = 0x1772
};
#define TOKEN_ENCRYPTED 0xf3d1c4dfu

struct record {
    uint32_t instance, type, n;
    const uint8_t *body;
};

/* The record at `at` of n bytes; false: there is no whole one. */
static bool record_at(const uint8_t *p, size_t n, size_t at, struct record *ret) {
    if (at > n || n - at < DEPTH_RECORD)
        return false;
    *ret = (struct record){le16(p + at) >> 4, le16(p + at + 2), le32(p + at + 4),
                           p + at + DEPTH_RECORD};
    return ret->n <= n - at - DEPTH_RECORD;
}

/* Where the directory of an edit says that object id lies; 0: it does not. */
static uint32_t look_up(const struct record *directory, uint32_t id) {
    for (size_t at = 0; at + 4 <= directory->n;) {
        uint32_t word = le32(directory->body + at), first = word & 0xfffff, count = word >> 20;

        at += 4;
        if (count > (directory->n - at) / 4)
            return 0;
        if (id >= first && id - first < count)
            return le32(directory->body + at + 4 * (size_t)(id - first));
        at += 4 * (size_t)count;
    }
    return 0;
}

static uint32_t count_atoms(const struct record *list) {
    struct record r;
    uint32_t slides = 0;

    for (size_t at = 0; record_at(list->body, list->n, at, &r); at += DEPTH_RECORD + (size_t)r.n)
        slides += r.type == RT_SLIDE_PERSIST;
    return slides;
}

/* Instance 0 is the list of slides, 1 of masters, 2 of notes. */
static bool count_slides(const struct stream *s, uint32_t at, struct ms_facts_record *f) {
    struct record document, r;

    if (!record_at(s->bytes, s->n, at, &document) || document.type != RT_DOCUMENT)
        return false;
    for (size_t i = 0; record_at(document.body, document.n, i, &r); i += DEPTH_RECORD + (size_t)r.n)
        if (r.type == RT_SLIDE_LIST && r.instance == 0)
            f->slides += count_atoms(&r);
    return true;
}

/* From the last edit back to the newest one that has the document. */
static bool follow_edits(const struct stream *s, uint32_t edit, struct ms_facts_record *f) {
    for (unsigned i = 0; i < EDITS_MAX; i++) {
        struct record r, directory;
        uint32_t before, at;

        if (!record_at(s->bytes, s->n, edit, &r) || r.type != RT_USER_EDIT || r.n < 28)
            return false;
        if (r.n >= 32) { /* names the session key of an encrypted document */
            f->encrypted = 1;
            return true;
        }
        if (!record_at(s->bytes, s->n, le32(r.body + 12), &directory) ||
            directory.type != RT_PERSIST_DIRECTORY)
            return false;
        at = look_up(&directory, le32(r.body + 16));
        if (at > 0)
            return count_slides(s, at, f);
        before = le32(r.body + 8);
        if (before == 0 || before >= edit)
            return false;
        edit = before;
    }
    return false;
}

static bool read_document(const struct stream *user, const struct stream *s,
                          struct ms_facts_record *f) {
    struct record r;

    if (!record_at(user->bytes, user->n, 0, &r) || r.type != RT_CURRENT_USER || r.n < 12)
        return false;
    if (le32(r.body + 4) == TOKEN_ENCRYPTED) {
        f->encrypted = 1;
        return true;
    }
    return follow_edits(s, le32(r.body + 8), f);
}

static bool read_ppt(struct ole *o, const struct stream *directory, struct ms_facts_record *f) {
    const uint8_t *user_entry = find_entry(directory, "Current User");
    const uint8_t *entry = find_entry(directory, "PowerPoint Document");
    struct stream user = {0}, s = {0};
    bool good;

    if (!user_entry || !entry)
        return ms_examine_unreadable(f, "it has no PowerPoint document in it");
    good = read_stream(o, directory, user_entry, &user) && read_stream(o, directory, entry, &s) &&
           read_document(&user, &s, f);
    free(user.bytes);
    free(s.bytes);
    return good || ms_examine_unreadable(f, "its records of slides are damaged or cut short");
}

bool ms_examine_ole(struct ms_probe_source *source, struct ms_facts_record *f) {
    uint8_t mark[8];
    struct ole o = {.source = source};
    struct stream directory = {0};

    if (ms_probe_source_read(source, 0, mark, 8) != 8 ||
        memcmp(mark, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8) != 0)
        return false;
    (void)snprintf(f->container, sizeof f->container, "ppt");
    if (!open_ole(&o) || !read_chain(&o, o.directory, SIZE_MAX, &directory) ||
        directory.n < ENTRY_BYTES) {
        (void)ms_examine_unreadable(f, "its OLE2 container is damaged or cut short");
    } else if (find_entry(&directory, "EncryptedPackage")) {
        (void)snprintf(f->container, sizeof f->container, "pptx");
        f->encrypted = 1;
    } else {
        (void)read_ppt(&o, &directory, f);
    }
    free(directory.bytes);
    close_ole(&o);
    return true;
}
