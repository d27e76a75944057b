/* What must be so. */
#include "scenario.h"

#include "service/tree_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum ms_code scene_look(struct scene *s, const struct scene_asset *asset, struct ms_error *reterr) {
    struct ms_ctx ctx = *scene_ctx(s);
    ctx.tenant = asset->tenant;
    return ms_asset_get(scene_world_of(s, asset->tenant)->svc, &ctx, asset->id, &s->info, reterr);
}

/* ---- expect ------------------------------------------------------------------------------ */

static const char *holds_text(uint8_t holds, char ret_text[64]) {
    (void)snprintf(ret_text, 64, "%s%s%s", holds & MS_HOLD_ADMIN ? "+ADMIN" : "",
                   holds & MS_HOLD_SCHEDULED ? "+SCHEDULED" : "",
                   holds & MS_HOLD_PACKAGE ? "+PACKAGE" : "");
    return ret_text[0] ? ret_text + 1 : "none";
}

/* What the asset is, by the word with which a script asks. */
static const char *value_of(struct scene *s, const char *key, size_t len, char ret_text[64]) {
    const struct ms_asset_record *a = &s->info.asset;
    uint64_t number = 0;
#define IS(word) (strlen(word) == len && strncmp(key, word, len) == 0)
    if (IS("state"))
        return ms_state_name(s->info.state);
    if (IS("rest"))
        return ms_state_name((enum ms_state)a->rest);
    if (IS("fail"))
        return ms_fail_name((enum ms_fail_type)a->fail);
    if (IS("holds"))
        return holds_text(a->holds, ret_text);
    if (IS("path"))
        return s->info.path;
    if (IS("reason"))
        return a->reason;
    if (IS("code"))
        return a->reason_code;
    if (IS("name"))
        return a->name;
    if (IS("type"))
        return ms_asset_type_name((enum ms_asset_type)a->type);
    if (IS("binned"))
        number = a->binned;
    else if (IS("bytes"))
        number = a->bytes;
    else if (IS("size"))
        number = s->info.size;
    else if (IS("ops"))
        number = a->scheduled_count;
    else
        scene_fail(s, "expect knows no \"%.*s\"", (int)len, key);
#undef IS
    (void)snprintf(ret_text, 64, "%" PRIu64, number);
    return ret_text;
}

static enum ms_code verb_expect(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)reterr;
    struct ms_error err;
    enum ms_code code = scene_look(s, scene_asset_of(s, words[1]), &err);
    if (code == MS_NOT_FOUND && n == 3 && strcmp(words[2], "state=DELETED") == 0)
        return MS_OK;
    if (code != MS_OK)
        scene_fail(s, "%s: %s", ms_code_name(code), err.message);
    for (int i = 2; i < n; i++) {
        size_t len = strcspn(words[i], "=");
        char text[64];
        const char *is = value_of(s, words[i], len, text);
        if (words[i][len] == '\0' || strcmp(words[i] + len + 1, is) != 0)
            scene_fail(s, "wanted %s, but it is %s", words[i], is);
    }
    return MS_OK;
}

/* ---- rights ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    enum ms_right right;
} rights[] = {
    {"read", MS_RIGHT_READ},     {"write", MS_RIGHT_WRITE}, {"rename", MS_RIGHT_RENAME},
    {"delete", MS_RIGHT_DELETE}, {"share", MS_RIGHT_SHARE}, {"transfer", MS_RIGHT_TRANSFER},
    {"use", MS_RIGHT_USE},
};

static enum ms_code rights_of(struct scene *s, const struct scene_asset *asset,
                              uint32_t *ret_rights, struct ms_error *reterr) {
    struct ms_inode_record inode = {.asset = asset->id.id};
    struct ms_ctx ctx = *scene_ctx(s);
    struct ms_tree_asset found;
    struct ms_tree t;
    bool gone;
    ctx.tenant = asset->tenant;
    MS_TRY(ms_tree_read(&t, s->w->svc, &ctx, reterr));
    enum ms_code code = ms_tree_asset(&t, &inode, &found, &gone, reterr);
    ms_tree_read_end(&t);
    if (code == MS_OK)
        *ret_rights = found.rights;
    return code;
}

static enum ms_code verb_rights(struct scene *s, int n, char **words, struct ms_error *reterr) {
    uint32_t is, wanted = 0;
    MS_TRY(rights_of(s, scene_asset_of(s, words[1]), &is, reterr));
    for (int w = 2; w < n; w++) {
        size_t i = 0;
        while (i < MS_ARRAY_LEN(rights) && strcmp(rights[i].name, words[w]) != 0)
            i++;
        if (i < MS_ARRAY_LEN(rights))
            wanted |= (uint32_t)rights[i].right;
        else if (strcmp(words[w], "none") != 0)
            scene_fail(s, "there is no right %s", words[w]);
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(rights); i++)
        if ((is ^ wanted) & (uint32_t)rights[i].right)
            scene_fail(s, "the right to %s is %s", rights[i].name,
                       is & (uint32_t)rights[i].right ? "there" : "missing");
    return MS_OK;
}

/* ---- places ------------------------------------------------------------------------------ */

static enum ms_code verb_at(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const struct scene_asset *asset = scene_asset_of(s, words[2]);
    struct ms_node node;
    (void)n;
    MS_TRY(ms_tree_walk(s->w->svc, scene_ctx(s), words[1], &node, reterr));
    if (!node.has_asset || memcmp(node.inode.asset.b, asset->id.id.b, MS_ID_BYTES) != 0)
        scene_fail(s, "%s is another asset", words[1]);
    return MS_OK;
}

/* Whatever has that path, under a label. */
static enum ms_code verb_find(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n;
    MS_TRY(ms_asset_find(s->w->svc, scene_ctx(s), words[2], &s->info, reterr));
    scene_name_asset(s, words[1], (struct ms_asset_id){s->info.asset.id});
    return MS_OK;
}

static enum ms_code verb_nothing(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_node node;
    (void)n, (void)reterr;
    if (ms_tree_walk(s->w->svc, scene_ctx(s), words[1], &node, NULL) != MS_NOT_FOUND)
        scene_fail(s, "there is something at %s", words[1]);
    return MS_OK;
}

/* ---- lists and rows ---------------------------------------------------------------------- */

/* How many assets of the tenant show that state. */
static enum ms_code verb_count(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_asset_info *infos = calloc(SCENE_ASSETS_MAX, sizeof *infos);
    enum ms_state state;
    size_t found = 0;
    (void)n;
    if (!infos || !ms_state_parse(words[1], &state))
        scene_fail(s, "there is no state %s", words[1]);
    enum ms_code code =
        ms_asset_list(s->w->svc, scene_ctx(s), (struct ms_asset_id){{{0}}}, UINT32_C(1) << state,
                      infos, SCENE_ASSETS_MAX, &found, reterr);
    free(infos);
    if (code == MS_OK && found != scene_bytes(s, words[2]))
        scene_fail(s, "%zu assets are %s", found, words[1]);
    return code;
}

/* Looked for when everything is over: rows of what time brings about come with a sweep. */
static enum ms_code verb_audited(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const struct scene_asset *asset = scene_asset_of(s, words[1]);
    const char *at = scene_value(n, words, "at"), *to = strchr(words[3], '>');
    struct scene_row *row = &s->row[s->rows];
    (void)reterr;
    scene_only(s, n, words, "at");
    if (s->rows == SCENE_ROWS_MAX || !to)
        scene_fail(s, "too many rows, or no FROM>TO");
    *row = (struct scene_row){.line = s->line, .asset = asset->id, .tenant = asset->tenant};
    (void)snprintf(row->event, sizeof row->event, "%s", words[2]);
    (void)snprintf(row->from, sizeof row->from, "%.*s", (int)(to - words[3]), words[3]);
    (void)snprintf(row->to, sizeof row->to, "%s", to + 1);
    row->has_at = at != NULL;
    if (at)
        row->at = scene_instant(s, at);
    s->rows++;
    return MS_OK;
}

static const struct scene_verb verbs[] = {
    {"expect", 2, 12, verb_expect,
     "LABEL KEY=VALUE...: state rest fail holds binned path reason code name type bytes size ops"},
    {"rights", 2, 8, verb_rights,
     "LABEL read write rename delete share transfer use|none: exactly these"},
    {"at", 2, 2, verb_at, "PATH LABEL: that asset has this path"},
    {"find", 2, 2, verb_find, "LABEL PATH|ID: a label for what is there"},
    {"nothing", 1, 1, verb_nothing, "PATH: nothing has it"},
    {"count", 2, 2, verb_count, "STATE N: so many assets of the tenant show it"},
    {"audited", 3, 4, verb_audited,
     "LABEL EVENT FROM>TO [at=INSTANT]: in the end there is this row"},
};
const struct scene_verbs scene_verbs_look = {verbs, MS_ARRAY_LEN(verbs)};
