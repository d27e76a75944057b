#include "quota/history.h"

#include "base/assert.h"
#include "model/limits.h"
#include "quota/terms.h"

#include <inttypes.h>
#include <stdlib.h>

enum form { TEXT, TEXT_OR_NULL, NUMBER, FLAG, INSTANT, TYPE, ORIGIN, KIND };

static const struct member {
    const char *name;
    enum form form;
    size_t place;
    uint64_t low, high;
} members[MS_HISTORY_MEMBER_COUNT] = {
#define MEMBER(id, name, form, low, high)                                                          \
    {#name, form, offsetof(struct ms_history_event, name), low, high},
    MS_HISTORY_MEMBERS(MEMBER)
#undef MEMBER
};

static const struct row {
    const char *name;
    uint32_t must, may;
} dos[MS_HISTORY_DO_COUNT] = {
#define HAS(id) (UINT32_C(1) << MS_HISTORY_HAS_##id)
#define DO(id, name, must, may) {name, must, may},
    MS_HISTORY_DOS(DO)
#undef DO
};

static const char *const kinds[MS_PACKAGE_KIND_COUNT] = {
#define KIND_NAME(n) #n,
    MS_PACKAGE_KINDS(KIND_NAME)
#undef KIND_NAME
};

const char *ms_history_do_name(enum ms_history_do what) {
    MS_ASSERT(what < MS_HISTORY_DO_COUNT);
    return dos[what].name;
}

bool ms_history_is_blank(const char *line, size_t n) {
    while (n > 0 && strchr(" \t\r\n", line[n - 1]) && line[n - 1])
        n--;
    return n == 0;
}

/* ---- reading -----------------------------------------------------------------------------------
 */

static enum ms_code wrong(struct ms_error *reterr, const struct ms_json *json, const char *member,
                          const char *rule) {
    bool there = json_object_get(json->root, member) != NULL;
    return ms_fail(reterr, MS_BILL_INPUT, "\"%s\" is %s: it must be %s", member,
                   there ? ms_json_written(json, member).s : "missing", rule);
}

static enum ms_code take_instant(const struct ms_json *json, const char *member,
                                 struct ms_instant *ret_t, struct ms_error *reterr) {
    struct ms_view v = ms_json_view(json_object_get(json->root, member));
    if (v.n != MS_RFC3339_MS_LEN || ms_instant_parse(v.p, ret_t, NULL) != MS_OK)
        return wrong(reterr, json, member, "an instant like \"2026-01-31T00:00:00.000Z\"");
    return MS_OK;
}

static enum ms_code take_number(const struct ms_json *json, const struct member *m, uint64_t *ret_n,
                                struct ms_error *reterr) {
    const json_t *value = json_object_get(json->root, m->name);
    json_int_t n = json_integer_value(value);
    if (json_is_integer(value) && n >= 0 && (uint64_t)n >= m->low && (uint64_t)n <= m->high) {
        *ret_n = (uint64_t)n;
        return MS_OK;
    }
    char rule[96];
    (void)snprintf(rule, sizeof rule, "a whole number from %" PRIu64 " to %" PRIu64 "%s", m->low,
                   m->high, m->high == INT64_MAX ? " (2^63 - 1)" : "");
    return wrong(reterr, json, m->name, rule);
}

static bool kind_parse(const char *name, uint8_t *ret_kind) {
    for (uint8_t k = 0; k < MS_PACKAGE_KIND_COUNT; k++)
        if (strcmp(name, kinds[k]) == 0) {
            *ret_kind = k;
            return true;
        }
    return false;
}

/* Words that come from a list. */
static enum ms_code take_word(const struct ms_json *json, const struct member *m, uint8_t *ret_word,
                              struct ms_error *reterr) {
    struct ms_view v = ms_json_view(json_object_get(json->root, m->name));
    enum ms_asset_type type = MS_TYPE_COUNT;
    enum ms_origin origin = MS_ORIGIN_COUNT;
    const char *name = v.p && strlen(v.p) == v.n ? v.p : "";
    if (m->form == TYPE && ms_asset_type_parse(name, &type, NULL) == MS_OK)
        *ret_word = (uint8_t)type;
    else if (m->form == ORIGIN && ms_origin_parse(name, &origin))
        *ret_word = (uint8_t)origin;
    else if (m->form != KIND || !kind_parse(name, ret_word))
        return wrong(reterr, json, m->name,
                     m->form == TYPE     ? "an asset type like VIDEO, IMAGE, COMMON_FILE"
                     : m->form == ORIGIN ? "one of UPLOADED, CUSTOMIZED, SYSTEM"
                                         : "one of ASSET_MANAGER, VIDEO_MINUTES, MODELING_2D, "
                                           "VOICE_CLONE");
    return MS_OK;
}

static enum ms_code take_member(const struct ms_json *json, const struct member *m,
                                struct ms_history_event *event, struct ms_error *reterr) {
    const json_t *value = json_object_get(json->root, m->name);
    void *place = (char *)event + m->place;
    switch (m->form) {
    case TEXT_OR_NULL:
        if (json_is_null(value))
            return MS_OK;
        if (!json_is_string(value))
            return wrong(reterr, json, m->name, "a text, or null");
        *(struct ms_view *)place = ms_json_view(value);
        return MS_OK;
    case TEXT:
        if (!json_is_string(value))
            return wrong(reterr, json, m->name, "a text");
        *(struct ms_view *)place = ms_json_view(value);
        return MS_OK;
    case NUMBER:
        return take_number(json, m, place, reterr);
    case FLAG:
        if (!json_is_boolean(value))
            return wrong(reterr, json, m->name, "true or false");
        *(bool *)place = json_is_true(value);
        return MS_OK;
    case INSTANT:
        return take_instant(json, m->name, place, reterr);
    case TYPE:
    case ORIGIN:
    case KIND:
        return take_word(json, m, place, reterr);
    }
    ms_assert_failed("a form", __FILE__, __LINE__, __func__);
}

static enum ms_code take_do(const struct ms_json *json, enum ms_history_do *ret_what,
                            struct ms_error *reterr) {
    struct ms_view v = ms_json_view(json_object_get(json->root, "do"));
    for (enum ms_history_do d = 0; v.p && d < MS_HISTORY_DO_COUNT; d++)
        if (ms_view_equal(v, ms_view_str(dos[d].name))) {
            *ret_what = d;
            return MS_OK;
        }
    return wrong(reterr, json, "do",
                 "one of tenant, put, produce, trash, restore, freeze, unfreeze, delete, transfer, "
                 "package, renew, end");
}

static enum ms_code take_event(const struct ms_json *json, struct ms_history_event *event,
                               struct ms_error *reterr) {
    enum ms_code code = take_instant(json, "at", &event->at, reterr);
    if (code == MS_OK)
        code = take_do(json, &event->what, reterr);
    if (code != MS_OK)
        return code;
    const struct row *row = &dos[event->what];
    for (unsigned i = 0; i < MS_HISTORY_MEMBER_COUNT; i++) {
        uint32_t bit = UINT32_C(1) << i;
        bool there = json_object_get(json->root, members[i].name) != NULL;
        if (!(row->must & bit) && !(row->may & bit && there))
            continue;
        code = there ? take_member(json, &members[i], event, reterr)
                     : ms_fail(reterr, MS_BILL_INPUT, "\"%s\" is missing: \"%s\" must have it",
                               members[i].name, row->name);
        if (code != MS_OK)
            return code;
        event->has |= bit;
    }
    if (event->what == MS_HISTORY_PACKAGE && event->months == 0 && event->terms != 1)
        return wrong(reterr, json, "terms", "1 when \"months\" is 0: such a package has no end");
    if (event->created.ms > event->at.ms)
        return wrong(reterr, json, "created", "at or before \"at\"");
    return MS_OK;
}

enum ms_code ms_history_parse(struct ms_json *json, const char *line, size_t n,
                              struct ms_history_event *ret_event, struct ms_error *reterr) {
    struct ms_error why = {0};
    struct ms_history_event event = {.paid = true};
    enum ms_code code = ms_json_read(json, line, n, &why);
    if (code != MS_OK)
        return ms_fail(reterr, code == MS_INVALID ? MS_BILL_INPUT : code, "%s", why.message);
    code = take_event(json, &event, reterr);
    if (code == MS_OK)
        *ret_event = event;
    return code;
}

/* ---- writing -----------------------------------------------------------------------------------
 */

static json_t *member_json(const struct member *m, const struct ms_history_event *event) {
    const void *place = (const char *)event + m->place;
    char text[MS_RFC3339_MS_LEN + 1];
    const struct ms_view *view = place;
    switch (m->form) {
    case TEXT_OR_NULL:
        return view->p ? json_stringn(view->p, view->n) : json_null();
    case TEXT:
        return json_stringn(view->p, view->n);
    case NUMBER:
        return json_integer((json_int_t) * (const uint64_t *)place);
    case FLAG:
        return json_boolean(*(const bool *)place);
    case INSTANT:
        ms_instant_format_ms(*(const struct ms_instant *)place, text);
        return json_string(text);
    case TYPE:
        return json_string(ms_asset_type_name(*(const uint8_t *)place));
    case ORIGIN:
        return json_string(ms_origin_name(*(const uint8_t *)place));
    case KIND:
        return json_string(kinds[*(const uint8_t *)place]);
    }
    ms_assert_failed("a form", __FILE__, __LINE__, __func__);
}

enum ms_code ms_history_format(const struct ms_history_event *event, struct ms_buf *buf,
                               struct ms_error *reterr) {
    const struct row *row = &dos[event->what];
    char at[MS_RFC3339_MS_LEN + 1];
    json_t *line = json_object();
    ms_instant_format_ms(event->at, at);
    int bad = json_object_set_new(line, "at", json_string(at));
    bad |= json_object_set_new(line, "do", json_string(row->name));
    for (unsigned i = 0; i < MS_HISTORY_MEMBER_COUNT; i++) {
        uint32_t bit = UINT32_C(1) << i;
        if (row->must & bit || row->may & event->has & bit)
            bad |= json_object_set_new(line, members[i].name, member_json(&members[i], event));
    }
    char *text = bad ? NULL : json_dumps(line, JSON_COMPACT);
    json_decref(line);
    enum ms_code code = text ? ms_buf_addf(buf, reterr, "%s\n", text)
                             : ms_fail(reterr, MS_NO_MEMORY, "no memory for a line of history");
    free(text);
    return code;
}
