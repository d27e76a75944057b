#include "base/log.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES_MAX 4096

/* A line under construction; what does not fit is cut and shown as "...". */
struct line {
    char text[LINE_BYTES_MAX];
    size_t len;
    bool cut;
};

static void put(struct line *line, const char *p, size_t n) {
    if (line->cut || n > sizeof line->text - 4 - line->len) {
        line->cut = true; /* whole characters and escapes only: callers put one at a time */
        return;
    }
    memcpy(line->text + line->len, p, n);
    line->len += n;
}

static void put_str(struct line *line, const char *s) { put(line, s, strlen(s)); }

static size_t length_by_lead(unsigned char lead) {
    if (lead < 0x80)
        return 1;
    if (lead < 0xc0 || lead >= 0xf8)
        return 0;
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* Decode one character of UTF-8. Its length in bytes, or 0 when the bytes are none. */
static size_t decode(const unsigned char *s, uint32_t *ret_c) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = length_by_lead(s[0]);
    uint32_t c;

    if (n == 0)
        return 0;
    c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) /* the NUL at the end stops here too */
            return 0;
        c = c << 6 | (s[i] & 0x3fu);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret_c = c;
    return n;
}

/* Characters that end a line, drive a terminal or turn the order of text round. */
static bool is_hostile(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static void put_escape(struct line *line, const char *fmt, uint32_t c) {
    char text[16];
    int n = snprintf(text, sizeof text, fmt, (unsigned)c);

    MS_ASSERT(n > 0 && (size_t)n < sizeof text);
    put(line, text, (size_t)n);
}

/* Put the character at s; its length. */
static size_t put_char(struct line *line, const unsigned char *s) {
    uint32_t c = 0;
    size_t n = decode(s, &c);

    if (n == 0) {
        put_escape(line, "\\x%02x", s[0]);
        return 1;
    }
    if (c == '\n')
        put_str(line, "\\n");
    else if (c == '\t')
        put_str(line, "\\t");
    else if (c == '"' || c == '\\')
        put_escape(line, "\\%c", c);
    else if (is_hostile(c))
        put_escape(line, c < 0x100 ? "\\x%02x" : "\\u%04x", c);
    else
        put(line, (const char *)s, n);
    return n;
}

static void put_value(struct line *line, const char *value) {
    bool quoted = value[0] == '\0' || strpbrk(value, " =\"\\\t\n") != NULL;

    if (quoted)
        put_str(line, "\"");
    for (const unsigned char *s = (const unsigned char *)value; *s && !line->cut;)
        s += put_char(line, s);
    if (quoted)
        put_str(line, "\"");
}

static void put_pair(struct line *line, const char *key, const char *value) {
    put_str(line, " ");
    put_str(line, key);
    put_str(line, "=");
    put_value(line, value ? value : "-");
}

static void put_pairs(struct line *line, va_list ap) {
    const char *key;

    while ((key = va_arg(ap, const char *)) != NULL)
        put_pair(line, key, va_arg(ap, const char *));
}

static const char *level_name(enum ms_log_level level) {
    static const char *const names[] = {"error", "warn", "info", "debug"};

    MS_ASSERT((size_t)level < MS_ARRAY_LEN(names));
    return names[level];
}

static void begin(struct line *line, enum ms_log_level level, const char *event) {
    line->len = 0;
    line->cut = false;
    put_str(line, level_name(level));
    put_str(line, " ");
    put_str(line, event);
}

static void emit(struct ms_log *log, enum ms_log_level level, struct line *line) {
    if (line->cut) {
        memcpy(line->text + line->len, "...", 3);
        line->len += 3;
    }
    line->text[line->len] = '\0';
    log->write(log, level, line->text);
}

void ms_log_event(struct ms_log *log, enum ms_log_level level, const char *event, ...) {
    struct line line;
    va_list ap;

    if (!log || level > log->level)
        return;
    begin(&line, level, event);
    va_start(ap, event);
    put_pairs(&line, ap);
    va_end(ap);
    emit(log, level, &line);
}

void ms_log_failure(struct ms_log *log, enum ms_log_level level, const char *event,
                    const struct ms_error *err, ...) {
    struct line line;
    va_list ap;

    if (!log || level > log->level)
        return;
    begin(&line, level, event);
    va_start(ap, err);
    put_pairs(&line, ap);
    va_end(ap);
    put_pair(&line, "code", ms_code_name(err->code));
    put_pair(&line, "msg", err->message);
    emit(log, level, &line);
}

/* The descriptor and the prefix are all that this sink needs: they fit into priv. */
#define FD_PREFIX ((intptr_t)1 << 30)

static void fd_write(struct ms_log *log, enum ms_log_level level, const char *text) {
    static const char priority[] = {'3', '4', '6', '7'};
    intptr_t packed = (intptr_t)log->priv;
    char out[LINE_BYTES_MAX + 8];
    int n = packed & FD_PREFIX ? snprintf(out, sizeof out, "<%c>%s\n", priority[level], text)
                               : snprintf(out, sizeof out, "%s\n", text);

    /* One write, so that lines of several processes do not mix. No one can be told of a failure. */
    if (write((int)(packed & ~FD_PREFIX), out, (size_t)n) < 0)
        return;
}

void ms_log_init_fd(struct ms_log *log, int fd, enum ms_log_level level, bool prefix) {
    MS_ASSERT(fd >= 0 && fd < FD_PREFIX);
    *log = (struct ms_log){fd_write, level, (void *)(prefix ? fd | FD_PREFIX : (intptr_t)fd)};
}

void ms_secret_fini(struct ms_secret *secret) { explicit_bzero(secret, sizeof *secret); }
