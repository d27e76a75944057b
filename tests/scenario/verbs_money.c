/* Arrears and packages. */
#include "scenario.h"

#include "service/arrears.h"
#include "service/package.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum ms_code verb_arrears(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    bool on = strcmp(words[1], "on") == 0;
    scene_only(s, n, words, "why");
    if (!on && strcmp(words[1], "off") != 0)
        scene_fail(s, "arrears are on or off, not %s", words[1]);
    return ms_tenant_set_arrears(s->w->svc, scene_ctx(s), on, scene_value(n, words, "why"), &tenant,
                                 reterr);
}

/* Its stage, and words of its warning. */
static enum ms_code verb_standing(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *stage = scene_value(n, words, "arrears"), *says = scene_value(n, words, "says"),
               *frozen = scene_value(n, words, "frozen"), *used = scene_value(n, words, "used");
    struct ms_quota_info info;
    ms_warning text;
    scene_only(s, n, words, "arrears says frozen used");
    MS_TRY(ms_tenant_quota(s->w->svc, scene_ctx(s), &info, reterr));
    const char *is =
        ms_arrears_stage_name(ms_arrears_at(ms_tenant_arrears(&info.tenant), info.now));
    ms_tenant_warning(&info.tenant, info.now, text);
    if (stage && strcmp(stage, is) != 0)
        scene_fail(s, "its arrears are %s", is);
    if (says && (says[0] ? !strstr(text, says) : text[0] != '\0'))
        scene_fail(s, "its warning is \"%s\"", text);
    bool held = ms_tenant_mask(&info.tenant, info.now).holds != 0;
    if (frozen && held != (strcmp(frozen, "yes") == 0))
        scene_fail(s, "it is %sfrozen", held ? "" : "not ");
    if (used && scene_bytes(s, used) != info.metered)
        scene_fail(s, "%llu bytes are metered", (unsigned long long)info.metered);
    return MS_OK;
}

static enum ms_code verb_buy(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *kind = scene_value(n, words, "kind"), *renew = scene_value(n, words, "renew");
    struct ms_package_order o = {.order = words[1],
                                 .name = words[1],
                                 .kind = MS_PACKAGE_VOICE_CLONE,
                                 .amount = 3,
                                 .months = 1,
                                 .terms = 1,
                                 .auto_renew = renew && strcmp(renew, "on") == 0};
    struct ms_package_record p;
    scene_only(s, n, words, "kind renew");
    if (kind && !ms_package_kind_parse(kind, &o.kind))
        scene_fail(s, "there is no kind %s", kind);
    MS_TRY(ms_package_buy(s->w->svc, scene_ctx(s), &o, &p, reterr));
    scene_name_id(s, words[1], p.id);
    return MS_OK;
}

static enum ms_code verb_bind(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_package_id id = {*scene_id_of(s, words[1])};
    struct ms_package_record p;
    (void)n;
    return ms_package_bind(s->w->svc, scene_ctx(s), id, scene_asset_of(s, words[2])->id, &p,
                           reterr);
}

static enum ms_code verb_renew(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_package_id id = {*scene_id_of(s, words[1])};
    struct ms_package_record p;
    (void)n;
    return ms_package_renew_by(s->w->svc, scene_ctx(s), id, words[2], 1, &p, reterr);
}

static enum ms_code verb_package(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *state = scene_value(n, words, "state"), *renew = scene_value(n, words, "renew"),
               *used = scene_value(n, words, "used");
    struct ms_id id = *scene_id_of(s, words[1]);
    struct ms_package_record *list = NULL;
    size_t count = 0, i = 0;
    scene_only(s, n, words, "state renew used");
    MS_TRY(ms_package_list(s->w->svc, scene_ctx(s), &list, &count, reterr));
    while (i < count && memcmp(list[i].id.b, id.b, MS_ID_BYTES) != 0)
        i++;
    if (i == count)
        scene_fail(s, "there is no such package");
    struct ms_package_record p = list[i];
    free(list);
    if ((state && strcmp(state, ms_package_state_name(p.state)) != 0) ||
        (renew && (strcmp(renew, "on") == 0) != p.auto_renew))
        scene_fail(s, "it is %s, auto-renew %s", ms_package_state_name(p.state),
                   p.auto_renew ? "on" : "off");
    if (used && scene_bytes(s, used) != p.used)
        scene_fail(s, "%llu units of it are used", (unsigned long long)p.used);
    return MS_OK;
}

static enum ms_code verb_auto_renew(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_package_id id = {*scene_id_of(s, words[1])};
    struct ms_package_record p;
    (void)n;
    return ms_package_set_auto_renew(s->w->svc, scene_ctx(s), id, strcmp(words[2], "on") == 0, &p,
                                     reterr);
}

static const struct scene_verb verbs[] = {
    {"arrears", 1, 2, verb_arrears, "on|off [why=TEXT]: a payment is missing, or was made"},
    {"standing", 1, 4, verb_standing,
     "[arrears=STAGE] [says=WORDS] [frozen=yes|no] [used=BYTES]: so the tenant stands"},
    {"buy", 1, 3, verb_buy, "LABEL [kind=K] [renew=on|off]: a package of one month"},
    {"bind", 2, 2, verb_bind, "PACKAGE LABEL: the asset takes a unit of it"},
    {"renew", 2, 2, verb_renew, "PACKAGE ORDER: by a month"},
    {"auto-renew", 2, 2, verb_auto_renew, "PACKAGE on|off"},
    {"package", 2, 4, verb_package, "PACKAGE [state=S] [renew=on|off] [used=N]: so it is"},
};
const struct scene_verbs scene_verbs_money = {verbs, MS_ARRAY_LEN(verbs)};
