#include "base/config.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>

#define MS_CONFIG_MIB(n) (UINT64_C(n) << 20)
#define MS_CONFIG_TIB(n) (UINT64_C(n) << 40)
#define MS_CONFIG_SECONDS(n) (UINT64_C(n) * 1000)
#define MS_CONFIG_DAYS(n) (UINT64_C(n) * 86400 * 1000)

static const struct ms_config_row rows[MS_CONFIG_KEY_COUNT] = {
#define MS_CONFIG_KEY(ID, name, TYPE, least, most, initial, choices, help)                         \
    {MS_CONFIG_##ID, #name, "MSASSET_" #ID, MS_CONFIG_##TYPE, least, most, initial, choices, help},
#include "base/config_keys.def"
#undef MS_CONFIG_KEY
};

const struct ms_config_row *ms_config_row(enum ms_config_key key) {
    MS_ASSERT((unsigned)key < MS_CONFIG_KEY_COUNT);
    return &rows[key];
}

static bool same_name(const char *a, const char *b) {
    for (; *a && *b; a++, b++) {
        if (*a != *b && !(*a == '-' && *b == '_'))
            return false;
    }
    return *a == *b;
}

const struct ms_config_row *ms_config_find(const char *name) {
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        if (same_name(name, rows[i].name))
            return &rows[i];
    }
    return NULL;
}

/* ---- values as text -------------------------------------------------------------------------- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Digits at *at, which moves behind them. False without any or beyond 64 bits. */
static bool take_number(const char **at, uint64_t *ret_n) {
    uint64_t n = 0;

    if (!is_digit(**at))
        return false;
    for (; is_digit(**at); (*at)++) {
        if (ms_mul_u64(n, 10, &n) || ms_add_u64(n, (uint64_t)(**at - '0'), &n))
            return false;
    }
    *ret_n = n;
    return true;
}

/* The power of two of "", K, M, G, T, P with an optional B or iB in any case, or -1. */
static int unit_shift(const char *unit) {
    static const char letters[] = "kmgtp";
    const char *letter;

    if (!*unit)
        return 0;
    letter = memchr(letters, *unit | 0x20, sizeof letters - 1);
    if (!letter)
        return -1;
    unit++;
    if ((unit[0] == 'i' || unit[0] == 'I') && (unit[1] == 'b' || unit[1] == 'B'))
        unit++;
    if (*unit == 'b' || *unit == 'B')
        unit++;
    return *unit ? -1 : (int)(letter - letters + 1) * 10;
}

static bool parse_bytes(const char *text, uint64_t *ret_bytes) {
    uint64_t n;
    int shift;

    if (!take_number(&text, &n))
        return false;
    shift = unit_shift(text);
    return shift >= 0 && !ms_mul_u64(n, UINT64_C(1) << shift, ret_bytes);
}

enum ms_code ms_bytes_parse(const char *text, uint64_t *ret_bytes, struct ms_error *reterr) {
    uint64_t bytes;

    if (!parse_bytes(text, &bytes))
        return ms_fail(reterr, MS_INVALID,
                       "'%.40s' is not a size: write whole bytes, or a whole number with K, M, G "
                       "or T (powers of 1024)",
                       text);
    *ret_bytes = bytes;
    return MS_OK;
}

void ms_bytes_format(uint64_t bytes, char ret_text[24]) {
    static const char units[] = "\0KMGTP";
    size_t i = 0;

    while (bytes > 0 && bytes % 1024 == 0 && i < sizeof units - 2) {
        bytes /= 1024;
        i++;
    }
    snprintf(ret_text, 24, "%llu%.1s", (unsigned long long)bytes, units + i);
}

static void format_duration(uint64_t ms, char ret_text[24]) {
    static const struct {
        uint64_t ms;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;

    while (ms % units[i].ms != 0)
        i++;
    if (ms == 0)
        i = 3;
    snprintf(ret_text, 24, "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].name);
}

static void format_number(enum ms_config_type type, uint64_t n, char ret_text[24]) {
    if (type == MS_CONFIG_BYTES)
        ms_bytes_format(n, ret_text);
    else if (type == MS_CONFIG_DURATION)
        format_duration(n, ret_text);
    else
        snprintf(ret_text, 24, "%llu", (unsigned long long)n);
}

/* The word at that place of "a|b|c" as a view; n is 0 when there is none. */
static struct ms_view choice_at(const char *choices, uint64_t place) {
    while (place-- > 0) {
        choices = strchr(choices, '|');
        if (!choices)
            return ms_view_of(NULL, 0);
        choices++;
    }
    return ms_view_of(choices, strcspn(choices, "|"));
}

static bool parse_choice(const char *choices, const char *text, uint64_t *ret_place) {
    for (uint64_t i = 0;; i++) {
        struct ms_view word = choice_at(choices, i);

        if (word.n == 0)
            return false;
        if (ms_view_equal(word, ms_view_str(text))) {
            *ret_place = i;
            return true;
        }
    }
}

static bool parse_bool(const char *text, uint64_t *ret_b) {
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};

    for (size_t i = 0; i < MS_ARRAY_LEN(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_b = i % 2;
            return true;
        }
    }
    return false;
}

static bool parse_number(const struct ms_config_row *row, const char *text, uint64_t *ret_n) {
    int64_t ms;

    switch (row->type) {
    case MS_CONFIG_BYTES:
        return parse_bytes(text, ret_n);
    case MS_CONFIG_DURATION:
        if (ms_duration_parse(text, &ms, NULL) != MS_OK)
            return false;
        *ret_n = (uint64_t)ms;
        return true;
    case MS_CONFIG_BOOL:
        return parse_bool(text, ret_n);
    case MS_CONFIG_CHOICE:
        return parse_choice(row->choices, text, ret_n);
    case MS_CONFIG_INT:
        return take_number(&text, ret_n) && !*text;
    case MS_CONFIG_TEXT:
    case MS_CONFIG_PATH:
    default:
        return false;
    }
}

static bool is_text(enum ms_config_type type) {
    return type == MS_CONFIG_TEXT || type == MS_CONFIG_PATH;
}

static bool has_range(enum ms_config_type type) {
    return type == MS_CONFIG_BYTES || type == MS_CONFIG_DURATION || type == MS_CONFIG_INT;
}

static bool text_is_valid(const struct ms_config_row *row, const char *text) {
    size_t n = strlen(text);

    if (n < row->least || n > row->most)
        return false;
    if (row->type == MS_CONFIG_PATH && n > 0 && text[0] != '/')
        return false;
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    }
    return true;
}

static bool parse_value(const struct ms_config_row *row, const char *text, uint64_t *ret_n) {
    if (is_text(row->type))
        return text_is_valid(row, text);
    return parse_number(row, text, ret_n) &&
           (!has_range(row->type) || (*ret_n >= row->least && *ret_n <= row->most));
}

static enum ms_code add_choices(const char *choices, struct ms_buf *buf, struct ms_error *reterr) {
    enum ms_code code = MS_OK;

    for (uint64_t i = 0; code == MS_OK; i++) {
        struct ms_view word = choice_at(choices, i);
        const char *joint = i == 0 ? "" : choice_at(choices, i + 1).n > 0 ? ", " : " or ";

        if (word.n == 0)
            break;
        code = ms_buf_addf(buf, reterr, "%s%.*s", joint, (int)word.n, (const char *)word.p);
    }
    return code;
}

enum ms_code ms_config_format_range(enum ms_config_key key, struct ms_buf *buf,
                                    struct ms_error *reterr) {
    const struct ms_config_row *row = ms_config_row(key);
    char least[24], most[24];

    switch (row->type) {
    case MS_CONFIG_CHOICE:
        return add_choices(row->choices, buf, reterr);
    case MS_CONFIG_BOOL:
        return ms_buf_addf(buf, reterr, "yes or no");
    case MS_CONFIG_TEXT:
        return ms_buf_addf(buf, reterr, "at most %llu bytes of text",
                           (unsigned long long)row->most);
    case MS_CONFIG_PATH:
        return ms_buf_addf(buf, reterr, "an absolute path of at most %llu bytes, or nothing",
                           (unsigned long long)row->most);
    case MS_CONFIG_BYTES:
    case MS_CONFIG_DURATION:
    case MS_CONFIG_INT:
    default:
        format_number(row->type, row->least, least);
        format_number(row->type, row->most, most);
        return ms_buf_addf(buf, reterr, "%s to %s", least, most);
    }
}

enum ms_code ms_config_format(const struct ms_config *config, enum ms_config_key key,
                              struct ms_buf *buf, struct ms_error *reterr) {
    const struct ms_config_row *row = ms_config_row(key);
    const struct ms_config_value *value = &config->values[key];
    char text[24];

    if (is_text(row->type))
        return ms_buf_addf(buf, reterr, "%s", value->text);
    if (row->type == MS_CONFIG_BOOL)
        return ms_buf_addf(buf, reterr, "%s", value->number ? "yes" : "no");
    if (row->type == MS_CONFIG_CHOICE) {
        struct ms_view word = choice_at(row->choices, value->number);

        return ms_buf_add(buf, word.p, word.n, reterr);
    }
    format_number(row->type, value->number, text);
    return ms_buf_addf(buf, reterr, "%s", text);
}

/* ---- setting --------------------------------------------------------------------------------- */

static enum ms_code refuse_value(const struct ms_config_row *row, const char *text,
                                 const struct ms_config_place *place, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf range = {0};
    enum ms_code code = place->origin == MS_CONFIG_FROM_FLAG ? MS_USAGE : MS_CONFIG;
    enum ms_code failed = ms_config_format_range(row->key, &range, reterr);

    if (failed != MS_OK)
        return failed;
    return ms_fail(reterr, code, "%s: %s = '%.80s' is not allowed: %s", place->where, row->name,
                   text, (const char *)range.data);
}

enum ms_code ms_config_set(struct ms_config *config, enum ms_config_key key,
                           const struct ms_config_place *place, const char *text,
                           struct ms_error *reterr) {
    const struct ms_config_row *row = ms_config_row(key);
    struct ms_config_value *value = &config->values[key];
    struct ms_config_value next = {.origin = place->origin};

    if (!parse_value(row, text, &next.number))
        return refuse_value(row, text, place, reterr);
    if (place->origin < value->origin)
        return MS_OK;
    next.text = is_text(row->type) ? strdup(text) : NULL;
    next.where = place->where ? strdup(place->where) : NULL;
    if ((is_text(row->type) && !next.text) || (place->where && !next.where)) {
        free(next.text);
        free(next.where);
        return ms_fail(reterr, MS_NO_MEMORY, "out of memory for the setting %s", row->name);
    }
    free(value->text);
    free(value->where);
    *value = next;
    return MS_OK;
}

enum ms_code ms_config_init(struct ms_config *config, struct ms_error *reterr) {
    *config = (struct ms_config){0};
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        const struct ms_config_place place = {MS_CONFIG_FROM_DEFAULT, NULL};
        enum ms_code code = ms_config_set(config, rows[i].key, &place, rows[i].initial, reterr);

        MS_ASSERT(code == MS_OK || code == MS_NO_MEMORY); /* a default is inside its own range */
        if (code != MS_OK) {
            ms_config_fini(config);
            return code;
        }
    }
    return MS_OK;
}

void ms_config_fini(struct ms_config *config) {
    for (size_t i = 0; i < MS_ARRAY_LEN(config->values); i++) {
        free(config->values[i].text);
        free(config->values[i].where);
    }
    *config = (struct ms_config){0};
}

/* ---- reading --------------------------------------------------------------------------------- */

static const struct ms_config_value *value_of(const struct ms_config *config,
                                              enum ms_config_key key, enum ms_config_type type) {
    MS_ASSERT(ms_config_row(key)->type == type);
    return &config->values[key];
}

uint64_t ms_config_bytes(const struct ms_config *config, enum ms_config_key key) {
    return value_of(config, key, MS_CONFIG_BYTES)->number;
}

int64_t ms_config_duration_ms(const struct ms_config *config, enum ms_config_key key) {
    return (int64_t)value_of(config, key, MS_CONFIG_DURATION)->number;
}

unsigned ms_config_int(const struct ms_config *config, enum ms_config_key key) {
    return (unsigned)value_of(config, key, MS_CONFIG_INT)->number;
}

bool ms_config_bool(const struct ms_config *config, enum ms_config_key key) {
    return value_of(config, key, MS_CONFIG_BOOL)->number != 0;
}

unsigned ms_config_choice(const struct ms_config *config, enum ms_config_key key) {
    return (unsigned)value_of(config, key, MS_CONFIG_CHOICE)->number;
}

const char *ms_config_text(const struct ms_config *config, enum ms_config_key key) {
    MS_ASSERT(is_text(ms_config_row(key)->type));
    return config->values[key].text;
}

enum ms_config_origin ms_config_origin(const struct ms_config *config, enum ms_config_key key) {
    MS_ASSERT((unsigned)key < MS_CONFIG_KEY_COUNT);
    return config->values[key].origin;
}

const char *ms_config_where(const struct ms_config *config, enum ms_config_key key) {
    MS_ASSERT((unsigned)key < MS_CONFIG_KEY_COUNT);
    return config->values[key].where ? config->values[key].where : "default";
}
