#include "service/catalogue_text.h"

#include "content/hash.h"
#include "model/record_codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SUM_MEMBER ",\"sum\":\""
#define SUM_TAIL_BYTES (sizeof SUM_MEMBER - 1 + 16 + 2) /* ,"sum":"0123456789abcdef"} */

/* ---- writing --------------------------------------------------------------------------------- */

static void add(struct ms_line *l, const void *p, size_t n) {
    if (l->code == MS_OK)
        l->code = ms_buf_add(l->buf, p, n, NULL);
}

static void add_str(struct ms_line *l, const char *s) { add(l, s, strlen(s)); }

static void add_quoted(struct ms_line *l, const char *p, size_t n) {
    add(l, "\"", 1);
    for (size_t i = 0, from = 0; i <= n; i++) {
        unsigned char c = i < n ? (unsigned char)p[i] : 0;
        char escape[8];
        if (i < n && c >= 0x20 && c != '"' && c != '\\')
            continue;
        add(l, p + from, i - from);
        from = i + 1;
        if (i == n)
            break;
        (void)snprintf(escape, sizeof escape, c < 0x20 ? "\\u%04x" : "\\%c", c);
        add_str(l, escape);
    }
    add(l, "\"", 1);
}

/* name NULL: an element of an array. */
static void add_member(struct ms_line *l, const char *name, const char *more) {
    if (l->comma)
        add(l, ",", 1);
    l->comma = true;
    if (!name)
        return;
    add(l, "\"", 1);
    add_str(l, name);
    add_str(l, more);
    add(l, "\":", 2);
}

void ms_line_begin(struct ms_line *l, struct ms_buf *buf, const char *kind) {
    *l = (struct ms_line){.buf = buf, .begin = buf->len};
    add(l, "{", 1);
    ms_line_text(l, "kind", ms_view_str(kind));
}

/* Beyond the integers of other programs it is a text. */
void ms_line_number(struct ms_line *l, const char *name, uint64_t n) {
    char text[32];
    if (n == 0 && name)
        return;
    add_member(l, name, "");
    (void)snprintf(text, sizeof text, n > INT64_MAX ? "\"%" PRIu64 "\"" : "%" PRIu64, n);
    add_str(l, text);
}

static void add_signed(struct ms_line *l, const char *name, int64_t n) {
    char text[32];
    if (n == 0 && name)
        return;
    add_member(l, name, "");
    (void)snprintf(text, sizeof text, "%" PRId64, n);
    add_str(l, text);
}

static bool is_utf8(struct ms_view text) {
    json_t *json = json_stringn(text.p ? text.p : "", text.n);
    json_decref(json);
    return json && !memchr(text.p ? text.p : "", 0, text.n);
}

static void add_hex(struct ms_line *l, const uint8_t *p, size_t n) {
    static const char digits[] = "0123456789abcdef";
    add(l, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        const char two[2] = {digits[p[i] >> 4], digits[p[i] & 15]};
        add(l, two, 2);
    }
    add(l, "\"", 1);
}

void ms_line_text(struct ms_line *l, const char *name, struct ms_view text) {
    if (text.n == 0 && name)
        return;
    if (is_utf8(text)) {
        add_member(l, name, "");
        add_quoted(l, text.p ? text.p : "", text.n);
    } else {
        add_member(l, name, "_hex");
        add_hex(l, text.p, text.n);
    }
}

void ms_line_hex(struct ms_line *l, const char *name, const void *p, size_t n) {
    add_member(l, name, "");
    add_hex(l, p, n);
}

void ms_line_id(struct ms_line *l, const char *name, struct ms_id id) {
    static const struct ms_id none;
    if (memcmp(id.b, none.b, sizeof id.b) != 0)
        ms_line_hex(l, name, id.b, sizeof id.b);
}

void ms_line_open(struct ms_line *l, const char *name, char what) {
    add_member(l, name, "");
    add(l, &what, 1);
    l->comma = false;
}

void ms_line_close(struct ms_line *l, char what) {
    add(l, &what, 1);
    l->comma = true;
}

enum ms_code ms_line_end(struct ms_line *l, struct ms_error *reterr) {
    char tail[SUM_TAIL_BYTES + 2];
    uint64_t sum = ms_block_hash(l->buf->data + l->begin, l->buf->len - l->begin);
    (void)snprintf(tail, sizeof tail, SUM_MEMBER "%016" PRIx64 "\"}\n", sum);
    add_str(l, tail);
    if (l->code == MS_OK)
        return MS_OK;
    l->buf->len = l->begin;
    return ms_fail(reterr, l->code, "no memory for the catalogue's lines");
}

/* ---- reading --------------------------------------------------------------------------------- */

bool ms_hex_parse(const char *hex, void *ret_p, size_t n) {
    uint8_t *p = ret_p;
    if (!hex || strlen(hex) != 2 * n || strspn(hex, "0123456789abcdef") != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        p[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return true;
}

enum ms_code ms_line_parse(struct ms_view line, json_t **ret_object, struct ms_error *reterr) {
    const char *p = line.p;
    char tail[SUM_TAIL_BYTES + 2];
    json_error_t err;
    if (line.n <= SUM_TAIL_BYTES)
        return ms_fail(reterr, MS_CORRUPT, "a line of %zu bytes is cut", line.n);
    size_t n = line.n - SUM_TAIL_BYTES;
    (void)snprintf(tail, sizeof tail, SUM_MEMBER "%016" PRIx64 "\"}", ms_block_hash(p, n));
    if (memcmp(p + n, tail, SUM_TAIL_BYTES) != 0)
        return ms_fail(reterr, MS_CORRUPT, "a line of %zu bytes is damaged: its sum is wrong",
                       line.n);
    json_t *object = json_loadb(p, line.n, 0, &err);
    if (!json_is_object(object)) {
        json_decref(object);
        return ms_fail(reterr, MS_CORRUPT, "a line of %zu bytes is no object of JSON", line.n);
    }
    *ret_object = object;
    return MS_OK;
}

const char *ms_json_text(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

struct ms_id ms_json_id(const json_t *object, const char *name) {
    struct ms_id id;
    if (ms_hex_parse(ms_json_text(object, name), id.b, sizeof id.b))
        return id;
    return (struct ms_id){{0}};
}

/* False when it is there and no number in range. */
static bool number_of(const json_t *value, uint64_t max, uint64_t *ret_n) {
    const char *text = json_string_value(value);
    char *end = NULL;
    *ret_n = 0;
    if (!value)
        return true;
    errno = 0;
    if (text && text[0] >= '0' && text[0] <= '9')
        *ret_n = strtoull(text, &end, 10);
    if (end)
        return errno == 0 && *end == '\0' && *ret_n <= max;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *ret_n = (uint64_t)json_integer_value(value);
    return *ret_n <= max;
}

uint64_t ms_json_number(const json_t *object, const char *name) {
    uint64_t n;
    return number_of(json_object_get(object, name), UINT64_MAX, &n) ? n : 0;
}

bool ms_json_bytes(const json_t *object, const char *name, char *ret_text, size_t max,
                   size_t *ret_n) {
    char hex_name[64];
    const json_t *value = json_object_get(object, name);
    const char *text = json_string_value(value);
    (void)snprintf(hex_name, sizeof hex_name, "%s_hex", name);
    const char *hex = text ? "" : ms_json_text(object, hex_name);
    size_t n = text ? json_string_length(value) : strlen(hex) / 2;
    if ((!text && hex[0] == '\0') || n > max)
        return false;
    if (text)
        memcpy(ret_text, text, n);
    else if (!ms_hex_parse(hex, ret_text, n))
        return false;
    ret_text[n] = '\0';
    *ret_n = n;
    return true;
}

/* ---- records: write -------------------------------------------------------------------------- */

static void add_schedule(struct ms_line *l, const char *name, const struct ms_scheduled *row,
                         size_t n) {
    if (n == 0)
        return;
    ms_line_open(l, name, '[');
    for (size_t i = 0; i < n; i++) {
        ms_line_open(l, NULL, '[');
        add_signed(l, NULL, row[i].at.ms);
        ms_line_number(l, NULL, row[i].op);
        ms_line_close(l, ']');
    }
    ms_line_close(l, ']');
}

static void add_hash(struct ms_line *l, const char *name, const uint8_t *p, size_t n) {
    static const uint8_t none[32];
    if (memcmp(p, none, n) != 0)
        ms_line_hex(l, name, p, n);
}

#define LINE_u8(m, max) ms_line_number(l, #m, record->m);
#define LINE_u16(m, max) ms_line_number(l, #m, record->m);
#define LINE_u32(m, max) ms_line_number(l, #m, record->m);
#define LINE_u64(m, max) ms_line_number(l, #m, record->m);
#define LINE_i64(m, max) add_signed(l, #m, record->m);
#define LINE_instant(m, max) add_signed(l, #m, record->m.ms);
#define LINE_id(m, max) ms_line_id(l, #m, record->m);
#define LINE_hash16(m, max) add_hash(l, #m, record->m, 16);
#define LINE_str(m, max) ms_line_text(l, #m, ms_view_str(record->m));
#define LINE_schedule(m, max) add_schedule(l, #m, record->m, record->m##_count);
#define LINE_since(version, max)
#define LINE_FIELD(kind, m, max) LINE_##kind(m, max)

/* ---- records: read --------------------------------------------------------------------------- */

struct from_json {
    const json_t *object;
    const char *bad; /* the first member that cannot be taken */
};

static uint64_t get_number(struct from_json *f, const char *name, uint64_t max) {
    uint64_t n;
    if (!number_of(json_object_get(f->object, name), max, &n) && !f->bad)
        f->bad = name;
    return n;
}

static int64_t get_signed(struct from_json *f, const char *name) {
    const json_t *value = json_object_get(f->object, name);
    if (value && !json_is_integer(value) && !f->bad)
        f->bad = name;
    return json_integer_value(value);
}

static void get_hex(struct from_json *f, const char *name, void *ret_p, size_t n) {
    const json_t *value = json_object_get(f->object, name);
    memset(ret_p, 0, n);
    if (value && !ms_hex_parse(json_string_value(value), ret_p, n) && !f->bad)
        f->bad = name;
}

static void get_text(struct from_json *f, const char *name, char *ret_text, size_t max) {
    char hex_name[64];
    size_t n;
    ret_text[0] = '\0';
    (void)snprintf(hex_name, sizeof hex_name, "%s_hex", name);
    if (!json_object_get(f->object, name) && !json_object_get(f->object, hex_name))
        return;
    if ((!ms_json_bytes(f->object, name, ret_text, max, &n) || strlen(ret_text) != n) && !f->bad)
        f->bad = name;
}

static void get_schedule(struct from_json *f, const char *name, struct ms_scheduled *ret_row,
                         size_t n, size_t max) {
    const json_t *rows = json_object_get(f->object, name);
    memset(ret_row, 0, max * sizeof *ret_row);
    if ((n > max || json_array_size(rows) != n) && !f->bad)
        f->bad = name;
    for (size_t i = 0; !f->bad && i < n; i++) {
        const json_t *row = json_array_get(rows, i);
        ret_row[i].at.ms = json_integer_value(json_array_get(row, 0));
        ret_row[i].op = (uint8_t)json_integer_value(json_array_get(row, 1));
    }
}

#define JSON_u8(m, max) record->m = (uint8_t)get_number(f, #m, UINT8_MAX);
#define JSON_u16(m, max) record->m = (uint16_t)get_number(f, #m, UINT16_MAX);
#define JSON_u32(m, max) record->m = (uint32_t)get_number(f, #m, UINT32_MAX);
#define JSON_u64(m, max) record->m = get_number(f, #m, UINT64_MAX);
#define JSON_i64(m, max) record->m = get_signed(f, #m);
#define JSON_instant(m, max) record->m.ms = get_signed(f, #m);
#define JSON_id(m, max) get_hex(f, #m, record->m.b, MS_ID_BYTES);
#define JSON_hash16(m, max) get_hex(f, #m, record->m, 16);
#define JSON_str(m, max) get_text(f, #m, record->m, max);
#define JSON_schedule(m, max) get_schedule(f, #m, record->m, record->m##_count, max);
#define JSON_since(version, max)
#define JSON_FIELD(kind, m, max) JSON_##kind(m, max)

enum {
#define RECORD_VERSION(name, version, FIELDS) VERSION_##name = version,
    MS_RECORDS(RECORD_VERSION)
#undef RECORD_VERSION
};

/* Through the codec, because decode is what knows every invariant. */
#define LINE_RECORD_DEFINE(name, FIELDS)                                                           \
    void ms_line_##name(struct ms_line *l, const char *member,                                     \
                        const struct ms_##name##_record *record) {                                 \
        ms_line_open(l, member, '{');                                                              \
        FIELDS(LINE_FIELD)                                                                         \
        ms_line_close(l, '}');                                                                     \
    }                                                                                              \
    static void fill_##name(struct from_json *f, struct ms_##name##_record *record) {              \
        FIELDS(JSON_FIELD)                                                                         \
    }                                                                                              \
    static void pack_##name(struct ms_writer *w, const struct ms_##name##_record *record) {        \
        const unsigned version = VERSION_##name;                                                   \
        ms_write_u8(w, version);                                                                   \
        FIELDS(MS_WRITE_FIELD)                                                                     \
    }                                                                                              \
    enum ms_code ms_json_##name(const json_t *object, struct ms_##name##_record *ret_record,       \
                                struct ms_error *reterr) {                                         \
        uint8_t bytes[MS_RECORD_BYTES_MAX];                                                        \
        struct ms_writer w = ms_writer_on(bytes, sizeof bytes);                                    \
        struct from_json f = {.object = object};                                                   \
        struct ms_##name##_record record = {0};                                                    \
        if (!json_is_object(object))                                                               \
            return ms_fail(reterr, MS_CORRUPT, "no " #name " where one is due");                   \
        fill_##name(&f, &record);                                                                  \
        pack_##name(&w, &record);                                                                  \
        if (f.bad || w.failed)                                                                     \
            return ms_fail(reterr, MS_CORRUPT, "member \"%s\" of a " #name " cannot be taken",     \
                           f.bad ? f.bad : "?");                                                   \
        return ms_##name##_decode(ms_writer_view(&w), ret_record, reterr);                         \
    }
MS_LINE_RECORDS(LINE_RECORD_DEFINE)
