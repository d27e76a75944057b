#include "quota/json.h"

#include "base/assert.h"

#include <stdlib.h>

#define FLAGS (JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)

void ms_json_fini(struct ms_json *json) {
    json_decref(json->root);
    ms_buf_fini(&json->copy);
    *json = (struct ms_json){0};
}

static bool is_number_char(char c) {
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* A number that jansson cannot hold ends at end: make it 0.5, of the same length with blanks. */
static bool soften(char *text, size_t end) {
    size_t start = end;
    while (start > 0 && is_number_char(text[start - 1]))
        start--;
    if (end - start < 4)
        return false;
    memset(text + start, ' ', end - start);
    memcpy(text + start, "0.5", 3);
    return true;
}

static json_t *load(struct ms_json *json, json_error_t *error, struct ms_error *reterr) {
    const char *text = json->text.p;
    size_t n = json->text.n;
    json_t *root = json_loadb(text, n, FLAGS, error);
    if (root || json_error_code(error) != json_error_numeric_overflow)
        return root;
    ms_buf_clear(&json->copy);
    json->copy.max = SIZE_MAX - 1;
    if (ms_buf_add(&json->copy, text, n, reterr) != MS_OK)
        return NULL;
    while (!root && json_error_code(error) == json_error_numeric_overflow &&
           soften((char *)json->copy.data, (size_t)error->position))
        root = json_loadb((const char *)json->copy.data, n, FLAGS, error);
    return root;
}

enum ms_code ms_json_read(struct ms_json *json, const char *text, size_t n,
                          struct ms_error *reterr) {
    json_error_t error = {0};
    json_decref(json->root);
    json->text = ms_view_of(text, n);
    json->root = load(json, &error, reterr);
    if (!json->root && (!error.text[0] || json_error_code(&error) == json_error_out_of_memory))
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu bytes of JSON", n);
    if (!json->root && json_error_code(&error) == json_error_duplicate_key)
        return ms_fail(reterr, MS_INVALID, "a member stands twice in one object: %s", error.text);
    if (!json->root)
        return ms_fail(reterr, MS_INVALID, "this is no JSON: %s at byte %d: %s", error.text,
                       error.position, ms_json_excerpt(json->text).s);
    if (!json_is_object(json->root))
        return ms_fail(reterr, MS_INVALID, "this is no JSON object: %s",
                       ms_json_excerpt(json->text).s);
    return MS_OK;
}

struct ms_view ms_json_view(const json_t *string) {
    return ms_view_of(json_string_value(string), json_string_length(string));
}

/* Cut before half a character and after what fits; what would break the line becomes a blank. */
struct ms_json_text ms_json_excerpt(struct ms_view value) {
    struct ms_json_text t;
    const char *from = value.p, *dots = value.n < sizeof t.s ? "" : "...";
    size_t n = value.n < sizeof t.s ? value.n : sizeof t.s - 4;
    while (*dots && n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80)
        n--;
    for (size_t i = 0; i < n; i++)
        t.s[i] = (unsigned char)from[i] < ' ' || from[i] == 0x7f ? ' ' : from[i];
    memcpy(t.s + n, dots, strlen(dots) + 1);
    return t;
}

struct ms_json_text ms_json_value(const json_t *value) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    struct ms_json_text t = ms_json_excerpt(ms_view_str(text ? text : "?"));
    free(text);
    return t;
}

/* Behind the string that begins at i; n when it does not end. */
static size_t skip_string(const char *text, size_t n, size_t i) {
    for (i++; i < n && text[i] != '"'; i++)
        i += text[i] == '\\';
    return i < n ? i + 1 : n;
}

/* Behind the value that begins at i: at the comma or bracket that follows it. */
static size_t skip_value(const char *text, size_t n, size_t i) {
    for (int depth = 0; i < n; i++) {
        char c = text[i];
        if (depth == 0 && (c == ',' || c == '}'))
            break;
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        if (c == '"')
            i = skip_string(text, n, i) - 1;
    }
    return i;
}

/* The text is known to be an object, so this only has to find its way. */
struct ms_json_text ms_json_written(const struct ms_json *json, const char *member) {
    const char *text = json->text.p;
    size_t n = json->text.n, len = strlen(member), i = 0;
    while (i < n && text[i] != '{')
        i++;
    while (i + 1 < n && text[i] != '}') {
        size_t name = i + 1 + strspn(text + i + 1, " \t\r\n");
        size_t colon = name < n ? skip_string(text, n, name) : n;
        bool found = colon - name == len + 2 && memcmp(text + name + 1, member, len) == 0;
        while (colon < n && text[colon] != ':')
            colon++;
        size_t value = colon < n ? colon + 1 : n;
        while (value < n && text[value] == ' ')
            value++;
        i = skip_value(text, n, value);
        if (found)
            return ms_json_excerpt(ms_view_of(text + value, i - value));
    }
    return ms_json_value(json_object_get(json->root, member));
}
