#include "model/derived.h"

#include "model/names.h"

#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = {
#define MS_DERIVED_NAME(n, name) [MS_DERIVED_##n] = name,
    MS_DERIVED_KINDS(MS_DERIVED_NAME)
#undef MS_DERIVED_NAME
};

const char *ms_derived_kind_name(enum ms_derived_kind kind) { return kind_names[kind]; }

enum ms_category ms_derived_category(enum ms_derived_kind kind) {
    static const enum ms_category of[] = {[MS_DERIVED_COVER] = MS_CATEGORY_COVER,
                                          [MS_DERIVED_WEBM] = MS_CATEGORY_OTHER,
                                          [MS_DERIVED_PAGES] = MS_CATEGORY_PAGE};
    return of[kind];
}

const char *ms_derived_state_name(enum ms_derived_state state) {
    static const char *const names[] = {[MS_DERIVED_NONE] = "",
                                        [MS_DERIVED_WAITING] = "WAITING",
                                        [MS_DERIVED_FAILED] = "FAILED",
                                        [MS_DERIVED_SUCCEEDED] = "SUCCEEDED"};
    return names[state];
}

/* ---- what a content gets --------------------------------------------------------------------- */

unsigned ms_derived_pages(const struct ms_content *content) {
    const struct ms_facts_record *f = content->facts;
    if (content->type != MS_TYPE_PPT || !f || f->outcome != MS_FACTS_READ)
        return 0;
    return f->slides < MS_DERIVED_PAGES_MAX ? f->slides : MS_DERIVED_PAGES_MAX;
}

unsigned ms_derived_wanted(const struct ms_content *content) {
    const struct ms_facts_record *f = content->facts;
    char suffix[16];
    unsigned wanted = 0;
    if (!f || f->outcome != MS_FACTS_READ)
        return 0;
    if ((content->type == MS_TYPE_VIDEO || content->type == MS_TYPE_IMAGE) && f->video_tracks > 0)
        wanted |= 1u << MS_DERIVED_COVER;
    ms_name_suffix(content->name, suffix);
    if (content->type == MS_TYPE_VIDEO && f->alpha && strcmp(suffix, "mov") == 0)
        wanted |= 1u << MS_DERIVED_WEBM;
    if (ms_derived_pages(content) > 0)
        wanted |= 1u << MS_DERIVED_PAGES;
    return wanted;
}

/* ---- names ----------------------------------------------------------------------------------- */

#define HEAD "derived-"

void ms_derived_format(const struct ms_derived_name *name, char ret_text[MS_DERIVED_NAME_MAX + 1]) {
    char tail[16], id[MS_ID_TEXT_LEN + 1];
    ms_id_format(name->version.id, id);
    if (name->kind == MS_DERIVED_PAGES)
        (void)snprintf(tail, sizeof tail, "page-%02u.png", name->page % 100);
    else
        (void)snprintf(tail, sizeof tail, "%s", name->kind == MS_DERIVED_COVER ? "cover.jpg" : "alpha.webm");
    (void)snprintf(ret_text, MS_DERIVED_NAME_MAX + 1, HEAD "%s-%s", id, tail);
}

/* By making each name that it may be: nothing that differs from it passes. */
bool ms_derived_parse(const char *text, struct ms_derived_name *ret_name) {
    struct ms_derived_name name = {.page = 0};
    char id[MS_ID_TEXT_LEN + 1], again[MS_DERIVED_NAME_MAX + 1];
    size_t head = strlen(HEAD);
    if (strncmp(text, HEAD, head) != 0 || strnlen(text, head + MS_ID_TEXT_LEN) < head + MS_ID_TEXT_LEN)
        return false;
    memcpy(id, text + head, MS_ID_TEXT_LEN);
    id[MS_ID_TEXT_LEN] = '\0';
    if (ms_id_parse(id, &name.version.id, NULL) != MS_OK)
        return false;
    for (unsigned kind = 0; kind < MS_DERIVED_COUNT; kind++) {
        unsigned last = kind == MS_DERIVED_PAGES ? MS_DERIVED_PAGES_MAX : 0;
        name.kind = (enum ms_derived_kind)kind;
        for (name.page = last > 0; name.page <= last; name.page++) {
            ms_derived_format(&name, again);
            if (strcmp(again, text) == 0) {
                *ret_name = name;
                return true;
            }
        }
    }
    return false;
}

/* ---- how far it is --------------------------------------------------------------------------- */

static bool is_of(const struct ms_file_record *file, struct ms_version_id main,
                  enum ms_derived_kind kind) {
    struct ms_derived_name name;
    return file->category == ms_derived_category(kind) && ms_derived_parse(file->name, &name) &&
           name.kind == kind && ms_version_id_equal(name.version, main);
}

static bool is_own_cover(const struct ms_file_record *file) {
    struct ms_derived_name name;
    return file->category == MS_CATEGORY_COVER && file->state == MS_FILE_CREATED &&
           !ms_derived_parse(file->name, &name);
}

/* The state as the files say it that were seen so far. */
static enum ms_derived_state state_of(const struct ms_content *content, enum ms_derived_kind kind,
                                      const struct ms_derived *d) {
    unsigned want = kind == MS_DERIVED_PAGES ? ms_derived_pages(content) : 1;
    if (!(ms_derived_wanted(content) >> kind & 1))
        return MS_DERIVED_NONE;
    if (d->reason[0])
        return MS_DERIVED_FAILED;
    return d->files >= want ? MS_DERIVED_SUCCEEDED : MS_DERIVED_WAITING;
}

void ms_derived_see(const struct ms_content *content, struct ms_version_id main,
                    const struct ms_file_record *file, enum ms_derived_kind kind,
                    struct ms_derived *derived) {
    bool ours = is_of(file, main, kind);
    if ((ours && file->state == MS_FILE_CREATED) || (kind == MS_DERIVED_COVER && is_own_cover(file)))
        derived->files++;
    if (ours && file->state == MS_FILE_FAILED)
        (void)snprintf(derived->reason, sizeof derived->reason, "%s",
                       file->reason[0] ? file->reason : "it failed");
    derived->state = state_of(content, kind, derived);
}

void ms_derived_look(const struct ms_content *content, struct ms_version_id main,
                     const struct ms_file_record *files, size_t n, enum ms_derived_kind kind,
                     struct ms_derived *ret_derived) {
    struct ms_derived d = {.files = 0};
    d.state = state_of(content, kind, &d);
    for (size_t i = 0; i < n && d.state != MS_DERIVED_NONE; i++)
        ms_derived_see(content, main, &files[i], kind, &d);
    *ret_derived = d;
}

/* ---- what came out --------------------------------------------------------------------------- */

enum ms_code ms_derived_accept(enum ms_derived_kind kind, const struct ms_facts_record *f,
                               struct ms_error *reterr) {
    static const char *const container[] = {
        [MS_DERIVED_COVER] = "jpeg", [MS_DERIVED_WEBM] = "webm", [MS_DERIVED_PAGES] = "png"};
    if (f->outcome != MS_FACTS_READ)
        return ms_fail(reterr, MS_WRONG_KIND, "what the converter made cannot be read: %.100s", f->reason);
    if (strcmp(f->container, container[kind]) != 0 || f->video_tracks == 0)
        return ms_fail(reterr, MS_WRONG_KIND, "what the converter made is %s, not %s",
                       f->container[0] ? f->container : "unknown", container[kind]);
    if (kind == MS_DERIVED_WEBM && (strcmp(f->video_codec, "vp9") != 0 || !f->alpha))
        return ms_fail(reterr, MS_WRONG_KIND, "what the converter made is no VP9 with alpha channel: %s%s",
                       f->video_codec, f->alpha ? "" : ", no alpha");
    return MS_OK;
}
