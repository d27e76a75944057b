/* Arrears and packages. */
#include "scenario.h"

#include "service/arrears.h"
#include "quota/quota.h"
#include "service/package.h"
#include "service/produce.h"
#include "service/usage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
               *frozen = scene_value(n, words, "frozen"), *used = scene_value(n, words, "used"),
               *left = scene_value(n, words, "left");
    struct ms_quota_info info;
    ms_warning text;
    scene_only(s, n, words, "arrears says frozen used left");
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
    if (left && scene_bytes(s, left) != info.left)
        scene_fail(s, "%llu bytes are left", (unsigned long long)info.left);
    return MS_OK;
}

/* A composited video; what it is made of is a file beside the store. */
static enum ms_code verb_produce(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *seconds = scene_value(n, words, "seconds"), *bytes = scene_value(n, words, "bytes");
    char *file = ms_test_path(s->w->tmp, "produced");
    size_t size = bytes ? scene_bytes(s, bytes) : 1000;
    uint8_t *p = malloc(size);
    scene_only(s, n, words, "seconds bytes");
    if (!p || size < 64)
        scene_fail(s, "a video of %zu bytes", size);
    fill_like(p, size, "mp4");
    ms_test_write_file(file, p, size);
    free(p);
    struct ms_produce make = {.fd = open(file, O_RDONLY | O_CLOEXEC),
                              .path = words[2],
                              .mode = 0644,
                              .duration_ms = 1000 * (seconds ? scene_bytes(s, seconds) : 60)};
    free(file);
    if (make.fd < 0)
        scene_fail(s, "no file to produce");
    enum ms_code code = ms_produce(s->w->svc, scene_ctx(s), &make, &s->info, reterr);
    (void)close(make.fd);
    if (code == MS_OK)
        scene_name_asset(s, words[1], (struct ms_asset_id){s->info.asset.id});
    return code;
}

static enum ms_code verb_settings(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *free_bytes = scene_value(n, words, "free"), *pay = scene_value(n, words, "pay");
    scene_only(s, n, words, "free pay");
    if (free_bytes)
        MS_TRY(ms_tenant_set_quota(s->w->svc, scene_ctx(s), scene_bytes(s, free_bytes), reterr));
    return pay ? ms_tenant_set_pay_per_use(s->w->svc, scene_ctx(s), strcmp(pay, "on") == 0, reterr)
               : MS_OK;
}

/* Why it counts: its class, and words of the reason. */
static enum ms_code verb_counts(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *class = scene_value(n, words, "class"), *says = scene_value(n, words, "says"),
               *until = scene_value(n, words, "until");
    static struct ms_usage_why why; /* it is big */
    scene_only(s, n, words, "class says until");
    MS_TRY(ms_usage_explain(s->w->svc, scene_ctx(s),
                            ms_id_text(scene_asset_of(s, words[1])->id.id).s, &why, reterr));
    if (class && strcmp(class, ms_class_name(why.class)) != 0)
        scene_fail(s, "its class is %s", ms_class_name(why.class));
    if (says && !strstr(why.why, says))
        scene_fail(s, "it says \"%s\"", why.why);
    if (until && why.until.ms != scene_instant(s, until).ms)
        scene_fail(s, "it is so until %lld ms", (long long)why.until.ms);
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
    const char *amount = scene_value(n, words, "amount"), *terms = scene_value(n, words, "terms");
    scene_only(s, n, words, "kind renew amount terms");
    if (amount)
        o.amount = scene_bytes(s, amount);
    if (terms)
        o.terms = (uint32_t)scene_bytes(s, terms);
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
               *used = scene_value(n, words, "used"), *left = scene_value(n, words, "left");
    struct ms_id id = *scene_id_of(s, words[1]);
    struct ms_package_record *list = NULL;
    size_t count = 0, i = 0;
    scene_only(s, n, words, "state renew used left");
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
    if (left && scene_bytes(s, left) != ms_package_left(&p))
        scene_fail(s, "%llu of it are left", (unsigned long long)ms_package_left(&p));
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
    {"standing", 1, 5, verb_standing,
     "[arrears=STAGE] [says=WORDS] [frozen=yes|no] [used=BYTES] [left=BYTES]: so the tenant stands"},
    {"produce", 2, 4, verb_produce, "LABEL PATH [seconds=N] [bytes=N]: a composited video"},
    {"settings", 1, 2, verb_settings, "[free=BYTES] [pay=on|off]: the tenant's settings from now on"},
    {"counts", 1, 4, verb_counts, "LABEL [class=C] [says=WORDS] [until=INSTANT]: as quota explain has it"},
    {"buy", 1, 5, verb_buy,
     "LABEL [kind=K] [renew=on|off] [amount=N] [terms=N]: a package of months"},
    {"bind", 2, 2, verb_bind, "PACKAGE LABEL: the asset takes a unit of it"},
    {"renew", 2, 2, verb_renew, "PACKAGE ORDER: by a month"},
    {"auto-renew", 2, 2, verb_auto_renew, "PACKAGE on|off"},
    {"package", 2, 5, verb_package, "PACKAGE [state=S] [renew=on|off] [used=N] [left=N]: so it is"},
};
const struct scene_verbs scene_verbs_money = {verbs, MS_ARRAY_LEN(verbs)};
