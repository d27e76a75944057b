#include "base/id.h"

struct ms_id ms_id_new(struct ms_random *random) {
    static const struct ms_id none;
    struct ms_id id;

    do
        ms_random_fill(random, id.b, sizeof id.b);
    while (memcmp(id.b, none.b, sizeof id.b) == 0);
    return id;
}

void ms_id_format(struct ms_id id, char ret_text[MS_ID_TEXT_LEN + 1]) {
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < MS_ID_BYTES; i++) {
        ret_text[2 * i] = hex[id.b[i] >> 4];
        ret_text[2 * i + 1] = hex[id.b[i] & 15];
    }
    ret_text[MS_ID_TEXT_LEN] = '\0';
}

static int nibble(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Dashes stand either at all four places of the UUID form or nowhere. */
static bool parse(const char *text, struct ms_id *ret_id) {
    size_t len = strnlen(text, MS_ID_TEXT_LEN + 5);
    bool dashed = len == MS_ID_TEXT_LEN + 4;
    const char *at = text;

    if (!dashed && len != MS_ID_TEXT_LEN)
        return false;
    for (size_t i = 0; i < MS_ID_BYTES; i++) {
        int high, low;

        if (dashed && (i == 4 || i == 6 || i == 8 || i == 10) && *at++ != '-')
            return false;
        high = nibble(at[0]);
        low = nibble(at[1]);
        if (high < 0 || low < 0)
            return false;
        ret_id->b[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return true;
}

enum ms_code ms_id_parse(const char *text, struct ms_id *ret_id, struct ms_error *reterr) {
    struct ms_id id;

    if (!parse(text, &id))
        return ms_fail(reterr, MS_INVALID, "'%.48s' is not an id: 32 hexadecimal digits", text);
    *ret_id = id;
    return MS_OK;
}
