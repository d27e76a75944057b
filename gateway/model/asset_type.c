#include "model/asset_type.h"

#include "base/assert.h"
#include "model/asset_types.def"
#include "model/names.h"

#include <stdio.h>
#include <string.h>

static const struct type_row {
    const char *name;
    enum ms_special folder;
    bool heads, model;
    enum ms_asset_type list;
    uint64_t upload_bytes_max;
} types[MS_TYPE_COUNT] = {
#define TYPE_ROW(name, folder, heads, model, list, max)                                            \
    [MS_TYPE_##name] = {#name, MS_SPECIAL_##folder, heads, model, MS_TYPE_##list, max},
    MS_TYPE_ROWS(TYPE_ROW)
};

static const struct suffix_row {
    const char *suffix;
    enum ms_asset_type list;
    const char *media_type, *others;
} suffixes[] = {
#define SUFFIX_ROW(suffix, list, media_type, others) {suffix, MS_TYPE_##list, media_type, others},
    MS_SUFFIX_ROWS(SUFFIX_ROW)
};

static const struct generic_row {
    const char *suffix;
    const char *media_type;
} generics[] = {
#define GENERIC_ROW(suffix, media_type) {suffix, media_type},
    MS_GENERIC_ROWS(GENERIC_ROW)
};

static const char *const special_names[MS_SPECIAL_COUNT] = {
    [MS_SPECIAL_NONE] = "",
    [MS_SPECIAL_ROOT] = "",
#define SPECIAL_NAME(n, name) [MS_SPECIAL_##n] = name,
    MS_FOLDERS(SPECIAL_NAME)
};

static const char *const category_names[MS_CATEGORY_COUNT] = {
#define CATEGORY_NAME(n) #n,
    MS_CATEGORIES(CATEGORY_NAME)
};

static const char *const file_state_names[MS_FILE_STATE_COUNT] = {
#define FILE_STATE_NAME(n) #n,
    MS_FILE_STATES(FILE_STATE_NAME)
};

static const struct type_row *row_of(enum ms_asset_type t) {
    MS_ASSERT((unsigned)t < MS_TYPE_COUNT);
    MS_ASSERT(types[t].name);
    return &types[t];
}

const char *ms_special_name(enum ms_special s) {
    MS_ASSERT((unsigned)s < MS_SPECIAL_COUNT);
    return special_names[s];
}

bool ms_special_tenant_writes(enum ms_special s) {
    return s != MS_SPECIAL_MODELS && s != MS_SPECIAL_VOICES;
}

const char *ms_category_name(enum ms_category c) {
    MS_ASSERT((unsigned)c < MS_CATEGORY_COUNT);
    return category_names[c];
}

const char *ms_file_state_name(enum ms_file_state s) {
    MS_ASSERT((unsigned)s < MS_FILE_STATE_COUNT);
    return file_state_names[s];
}

const char *ms_asset_type_name(enum ms_asset_type t) { return row_of(t)->name; }

enum ms_code ms_asset_type_parse(const char *text, enum ms_asset_type *ret_t,
                                 struct ms_error *reterr) {
    for (enum ms_asset_type t = 0; t < MS_TYPE_COUNT; t++)
        if (strcmp(text, types[t].name) == 0) {
            *ret_t = t;
            return MS_OK;
        }
    return ms_fail(reterr, MS_INVALID,
                   "there is no asset type \"%.40s\"; types are written as in VIDEO, COMMON_FILE",
                   text);
}

enum ms_special ms_asset_type_folder(enum ms_asset_type t) { return row_of(t)->folder; }

bool ms_asset_type_is_model(enum ms_asset_type t) { return row_of(t)->model; }

bool ms_asset_type_takes_any(enum ms_asset_type t) { return row_of(t)->list == MS_TYPE_COUNT; }

uint64_t ms_asset_type_bytes_max(enum ms_asset_type t, bool in_mount) {
    const struct type_row *row = row_of(t);

    return in_mount && ms_asset_type_takes_any(t) ? MS_FILE_BYTES_MAX : row->upload_bytes_max;
}

static const struct suffix_row *find_suffix(const char *suffix) {
    for (size_t i = 0; i < MS_ARRAY_LEN(suffixes); i++)
        if (strcmp(suffix, suffixes[i].suffix) == 0)
            return &suffixes[i];
    return NULL;
}

/* The type that a folder stands for; COMMON_FILE for the user's own folders. */
static enum ms_asset_type folder_type(enum ms_special folder) {
    for (enum ms_asset_type t = 0; t < MS_TYPE_COUNT; t++)
        if (types[t].folder == folder && types[t].heads)
            return t;
    return MS_TYPE_COMMON_FILE;
}

enum ms_asset_type ms_asset_type_of_name(const char *name, enum ms_special folder, bool empty) {
    enum ms_asset_type here = folder_type(folder);
    const struct suffix_row *row;
    char suffix[16];

    if (empty)
        return MS_TYPE_COMMON_FILE;
    ms_name_suffix(name, suffix);
    row = find_suffix(suffix);
    if (!row)
        return ms_asset_type_takes_any(here) ? here : MS_TYPE_COMMON_FILE;
    return types[here].list == row->list ? here : row->list;
}

/* Whether a word of words, which have a blank between two, is word. */
static bool has_word(const char *words, const char *word) {
    size_t n = strlen(word);

    for (const char *at = words; n > 0 && (at = strstr(at, word)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

static enum ms_code refuse_suffix(const struct type_row *row, const char *suffix,
                                  struct ms_error *reterr) {
    char known[128] = "";

    for (size_t i = 0, n = 0; i < MS_ARRAY_LEN(suffixes); i++)
        if (suffixes[i].list == row->list)
            n += (size_t)snprintf(known + n, sizeof(known) - n, " %s", suffixes[i].suffix);
    return ms_fail(reterr, MS_WRONG_KIND,
                   "%s takes the suffixes%s, not \"%.15s\"; rename it or choose another type",
                   row->name, known, suffix);
}

static bool fits(const struct suffix_row *row, const char *media_type) {
    return strcmp(row->media_type, media_type) == 0 || has_word(row->others, media_type);
}

enum ms_code ms_asset_type_fits(enum ms_asset_type t, const char *suffix, const char *media_type,
                                struct ms_error *reterr) {
    const struct type_row *row = row_of(t);
    const struct suffix_row *want = find_suffix(suffix);

    if (ms_asset_type_takes_any(t))
        return MS_OK;
    if (!want || want->list != row->list)
        return refuse_suffix(row, suffix, reterr);
    if (fits(want, media_type))
        return MS_OK;
    return ms_fail(reterr, MS_WRONG_KIND,
                   "the content is %.80s, but a .%s must be %s; give it the suffix of its content",
                   media_type[0] ? media_type : "unknown", suffix, want->media_type);
}

bool ms_media_type_is_listed(const char *media_type) {
    for (size_t i = 0; i < MS_ARRAY_LEN(suffixes); i++)
        if (fits(&suffixes[i], media_type))
            return true;
    return false;
}

/* Names that libmagic gives to what it cannot tell apart; what it says of texts are guesses. */
static bool is_generic(const char *media_type) {
    return media_type[0] == '\0' || strncmp(media_type, "text/", 5) == 0 ||
           has_word("application/octet-stream application/zip inode/x-empty", media_type);
}

const char *ms_content_type(const char *media_type, const char *suffix) {
    const struct suffix_row *row = find_suffix(suffix);

    if (row && (fits(row, media_type) || strcmp(media_type, "application/octet-stream") == 0))
        return row->media_type;
    if (!is_generic(media_type))
        return media_type;
    for (size_t i = 0; i < MS_ARRAY_LEN(generics); i++)
        if (strcmp(suffix, generics[i].suffix) == 0)
            return generics[i].media_type;
    return strchr(media_type, '/') && strncmp(media_type, "inode/", 6) != 0
               ? media_type
               : "application/octet-stream";
}
