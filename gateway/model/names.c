#include "model/names.h"

#include "base/assert.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

/* No character has more than four code points in NFD and more than one in a byte, so this holds any
 * name. */
#define CODEPOINTS_MAX (4 * MS_NAME_BYTES_MAX + 4)
#define SUFFIX_MAX 15

/* The rule that a character of a line breaks, or NULL. */
static const char *forbidden_in_line(utf8proc_int32_t c) {
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
        return "control characters are not allowed";
    if ((c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
        return "bidirectional overrides are not allowed, they make a name look like another";
    return NULL;
}

/* The same of a name. */
static const char *forbidden(utf8proc_int32_t c) {
    return c == '/' ? "'/' is not allowed, it separates folders" : forbidden_in_line(c);
}

/* One character at text: its bytes (>= 1) and, in *ret_c, its value or -1 when it is not UTF-8. */
static size_t next_char(const char *text, size_t n, utf8proc_int32_t *ret_c) {
    utf8proc_ssize_t got =
        utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, ret_c);

    MS_ASSERT(n > 0);
    if (got > 0)
        return (size_t)got;
    *ret_c = -1;
    return 1;
}

static enum ms_code check_chars(const char *name, size_t n, struct ms_error *reterr) {
    utf8proc_int32_t c;

    for (size_t at = 0, nth = 1; at < n; nth++) {
        size_t len = next_char(name + at, n - at, &c);

        if (c < 0)
            return ms_fail(reterr, MS_BAD_NAME,
                           "the name is not valid UTF-8: byte 0x%02x at byte %zu; rename it",
                           (unsigned char)name[at], at + 1);
        if (forbidden(c))
            return ms_fail(reterr, MS_BAD_NAME,
                           "character %zu (byte %zu) of the name is U+%04X: %s", nth, at + 1,
                           (unsigned)c, forbidden(c));
        at += len;
    }
    return MS_OK;
}

static enum ms_code too_long(const char *form, size_t n, struct ms_error *reterr) {
    return ms_fail(reterr, MS_NAME_TOO_LONG,
                   "the name%s has %zu bytes, the limit is %d; shorten it", form, n,
                   MS_NAME_BYTES_MAX);
}

/* NFC of valid UTF-8 of n bytes; its length. ret_nfc is written when it fits. */
static size_t to_nfc(const char *name, size_t n, char ret_nfc[MS_NAME_BYTES_MAX + 1]) {
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    utf8proc_int32_t points[CODEPOINTS_MAX + 1];
    utf8proc_ssize_t got = utf8proc_decompose((const utf8proc_uint8_t *)name, (utf8proc_ssize_t)n,
                                              points, CODEPOINTS_MAX, options);

    MS_ASSERT(got >= 0 && got <= CODEPOINTS_MAX);
    got = utf8proc_reencode(points, got, options);
    MS_ASSERT(got >= 0);
    if (got <= MS_NAME_BYTES_MAX) {
        memcpy(ret_nfc, points, (size_t)got);
        ret_nfc[got] = '\0';
    }
    return (size_t)got;
}

enum ms_code ms_name_check(const char *name, char ret_nfc[MS_NAME_BYTES_MAX + 1],
                           struct ms_error *reterr) {
    size_t n = strlen(name);
    char nfc[MS_NAME_BYTES_MAX + 1];
    enum ms_code code;
    size_t nfc_n;

    if (n == 0)
        return ms_fail(reterr, MS_BAD_NAME, "a name needs at least one character");
    if (n > MS_NAME_BYTES_MAX)
        return too_long("", n, reterr);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return ms_fail(reterr, MS_BAD_NAME, "\"%s\" is not allowed as a name, it means a folder",
                       name);
    code = check_chars(name, n, reterr);
    if (code != MS_OK)
        return code;
    nfc_n = to_nfc(name, n, nfc);
    if (nfc_n > MS_NAME_BYTES_MAX)
        return too_long(" in its normal form (NFC)", nfc_n, reterr);
    memcpy(ret_nfc, nfc, nfc_n + 1);
    return MS_OK;
}

bool ms_name_is_ascii(const char *name) {
    for (; *name; name++)
        if ((unsigned char)*name >= 0x80)
            return false;
    return true;
}

/* Where the suffix starts with its dot; the end of the name when there is none. */
static size_t suffix_at(const char *name) {
    size_t n = strlen(name);
    const char *dot = strrchr(name, '.');

    if (!dot || dot == name || dot[1] == '\0' || strlen(dot + 1) > SUFFIX_MAX)
        return n;
    return (size_t)(dot - name);
}

/* The longest head of valid UTF-8 that has at most max bytes and ends at what a reader sees as one
 * character (an emoji of several code points, a letter with its accents); at a code point when that
 * leaves nothing. */
static size_t cut(const char *text, size_t n, size_t max) {
    utf8proc_int32_t before = 0, c = 0, state = 0;
    size_t seen_at = 0, point_at = 0;

    if (n <= max)
        return n;
    for (size_t at = 0; at < n && at <= max; before = c) {
        size_t len = next_char(text + at, n - at, &c);

        if (at == 0 || utf8proc_grapheme_break_stateful(before, c, &state))
            seen_at = at;
        point_at = at;
        at += len;
    }
    return seen_at > 0 ? seen_at : point_at;
}

/* stem (n bytes) cut as far as needed, with tail behind it: both the spelling and its NFC fit. */
static void join(const char *stem, size_t n, const char *tail,
                 char ret_name[MS_NAME_BYTES_MAX + 1]) {
    size_t tail_n = strlen(tail);
    char nfc[MS_NAME_BYTES_MAX + 1];

    MS_ASSERT(tail_n < MS_NAME_BYTES_MAX / 2);
    n = cut(stem, n, MS_NAME_BYTES_MAX - tail_n);
    for (;;) {
        memcpy(ret_name, stem, n);
        memcpy(ret_name + n, tail, tail_n + 1);
        if (n == 0 || to_nfc(ret_name, n + tail_n, nfc) <= MS_NAME_BYTES_MAX)
            return;
        n = cut(stem, n, n - 1);
    }
}

void ms_name_numbered(const char *name, unsigned n, char ret_name[MS_NAME_BYTES_MAX + 1]) {
    size_t at = suffix_at(name);
    char tail[SUFFIX_MAX + 20];

    snprintf(tail, sizeof(tail), " (%u)%s", n, name + at);
    join(name, at, tail, ret_name);
}

/* text with '_' for each character that the rule forbids, at most cap - 1 bytes; the length. */
static size_t cleaned(const char *text, const char *(*rule)(utf8proc_int32_t), char *ret,
                      size_t cap) {
    size_t n = strlen(text), used = 0;
    utf8proc_int32_t c;

    for (size_t at = 0; at < n;) {
        size_t len = next_char(text + at, n - at, &c);
        bool legal = c >= 0 && !rule(c);
        size_t need = legal ? len : 1;

        if (need > cap - 1 - used)
            break;
        if (legal)
            memcpy(ret + used, text + at, len);
        else
            ret[used] = '_';
        used += need;
        at += len;
    }
    ret[used] = '\0';
    return used;
}

void ms_name_from_text(const char *text, char ret_name[MS_NAME_BYTES_MAX + 1]) {
    const char *dot = strrchr(text, '.');
    char stem[4 * MS_NAME_BYTES_MAX], tail[SUFFIX_MAX + 2] = "";
    size_t n = cleaned(text, forbidden, stem, sizeof(stem));

    if (n == 0 || strcmp(stem, ".") == 0 || strcmp(stem, "..") == 0) {
        memcpy(ret_name, n == 2 ? "__" : "_", n == 2 ? 3 : 2);
        return;
    }
    /* The suffix decides the type, so it is kept when the rest is cut. */
    if (dot && dot != text && dot[1] != '\0' && strlen(dot + 1) <= SUFFIX_MAX) {
        size_t tail_n = cleaned(dot, forbidden, tail, sizeof(tail));

        if (n < sizeof(stem) - 4)
            n -= tail_n;
    }
    join(stem, n, tail, ret_name);
}

/* ---- lines ----------------------------------------------------------------------------------- */

enum ms_code ms_line_check(const char *what, const char *text, size_t max,
                           struct ms_error *reterr) {
    size_t n = strlen(text);
    utf8proc_int32_t c;

    if (n > max)
        return ms_fail(reterr, MS_RANGE, "%s has %zu bytes; at most %zu are allowed", what, n, max);
    for (size_t at = 0, nth = 1; at < n; nth++) {
        size_t len = next_char(text + at, n - at, &c);

        if (c < 0)
            return ms_fail(reterr, MS_INVALID, "%s is not valid UTF-8: byte 0x%02x at byte %zu",
                           what, (unsigned char)text[at], at + 1);
        if (forbidden_in_line(c))
            return ms_fail(reterr, MS_INVALID, "character %zu of %s is U+%04X: %s", nth, what,
                           (unsigned)c, forbidden_in_line(c));
        at += len;
    }
    return MS_OK;
}

void ms_reason_cut(const char *text, char ret_reason[MS_REASON_MAX + 1]) {
    (void)cleaned(text, forbidden_in_line, ret_reason, MS_REASON_MAX + 1);
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

void ms_name_suffix(const char *name, char ret_suffix[16]) {
    size_t at = suffix_at(name), n = 0;

    if (name[at] == '.')
        for (const char *s = name + at + 1; *s; s++)
            ret_suffix[n++] = lower(*s);
    ret_suffix[n] = '\0';
}

static bool is_key_char(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

void ms_name_key_suffix(const char *name, char ret_suffix[16]) {
    const char *s;

    ms_name_suffix(name, ret_suffix);
    for (s = ret_suffix; is_key_char(*s); s++)
        continue;
    if (s == ret_suffix || *s)
        memcpy(ret_suffix, "bin", 4);
}

enum ms_code ms_tenant_name_check(const char *name, struct ms_error *reterr) {
    size_t n = strlen(name);

    if (n == 0)
        return ms_fail(reterr, MS_BAD_NAME, "a tenant's name needs at least one character");
    if (n > MS_TENANT_NAME_MAX)
        return ms_fail(reterr, MS_NAME_TOO_LONG, "the tenant's name has %zu bytes, the limit is %d",
                       n, MS_TENANT_NAME_MAX);
    for (size_t i = 0; i < n; i++) {
        bool mark = name[i] == '.' || name[i] == '_' || name[i] == '-';

        if (!is_key_char(name[i]) && !(mark && i > 0))
            return ms_fail(reterr, MS_BAD_NAME,
                           "a tenant's name starts with a-z or 0-9 and goes on with a-z, 0-9, '.', "
                           "'_' or '-': byte 0x%02x at byte %zu is none of them",
                           (unsigned char)name[i], i + 1);
    }
    return MS_OK;
}
