/* What commands and the platform do to one asset. */
#include "scenario.h"

#include "service/batch.h"
#include "service/bin.h"
#include "service/change.h"
#include "service/copy.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum ms_code scene_apply(struct scene *s, struct ms_asset_event *event, const char *label,
                         struct ms_error *reterr) {
    event->id = scene_asset_of(s, label)->id;
    return ms_asset_apply(s->w->svc, scene_ctx(s), event, &s->info, reterr);
}

/* ---- new ones ---------------------------------------------------------------------------- */

/* A local file with bytes that libmagic takes for what the suffix (of a path, or alone) says. */
static int bytes_for(struct scene *s, const char *path, size_t n) {
    const char *dot = strrchr(path, '.');
    uint8_t *p = malloc(n + 64);
    char *file = ms_test_path(s->w->tmp, "bytes");
    if (!p)
        scene_fail(s, "no memory");
    scene_fill(p, n + 64, dot ? dot + 1 : path);
    ms_test_write_file(file, p, n);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        scene_fail(s, "cannot open %s", file);
    free(file);
    free(p);
    return fd;
}

static enum ms_code put(struct scene *s, int n, char **words, const char *path, bool replace,
                        struct ms_error *reterr) {
    const char *bytes = scene_value(n, words, "bytes"), *like = scene_value(n, words, "like");
    scene_only(s, n, words, "bytes like");
    int fd = bytes_for(s, like ? like : path, bytes ? scene_bytes(s, bytes) : 1000);
    struct ms_put args = {.fd = fd, .path = path, .mode = 0644, .replace = replace};
    enum ms_code code = ms_asset_put(s->w->svc, scene_ctx(s), &args, &s->info, reterr);
    (void)close(fd);
    return code;
}

static enum ms_code verb_put(struct scene *s, int n, char **words, struct ms_error *reterr) {
    MS_TRY(put(s, n, words, words[2], false, reterr));
    scene_name_asset(s, words[1], (struct ms_asset_id){s->info.asset.id});
    return MS_OK;
}

static enum ms_code verb_copy(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n;
    MS_TRY(ms_asset_copy(s->w->svc, scene_ctx(s), scene_asset_of(s, words[2])->id, words[3],
                         &s->info, reterr));
    scene_name_asset(s, words[1], (struct ms_asset_id){s->info.asset.id});
    return MS_OK;
}

static enum ms_code verb_write(struct scene *s, int n, char **words, struct ms_error *reterr) {
    char path[sizeof s->info.path];
    MS_TRY(scene_look(s, scene_asset_of(s, words[1]), reterr));
    (void)snprintf(path, sizeof path, "%s", s->info.path);
    return put(s, n, words, path, true, reterr);
}

struct create {
    struct ms_tenant_id tenant;
    const char *who;
};

static enum ms_code create_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct create *c = in;
    struct ms_asset_id *id = out;
    struct ms_asset_record asset = {.origin = MS_ORIGIN_UPLOADED};
    struct ms_tenant_record tenant;
    MS_TRY(ms_change_begin(txn, c->tenant, &tenant, reterr));
    struct ms_life life = ms_lc_create(ms_txn_instant(txn), true);
    ms_txn_random(txn, asset.id.b, MS_ID_BYTES);
    ms_asset_set_life(&asset, &life);
    *id = (struct ms_asset_id){asset.id};
    return ms_change_new_asset(txn, c->tenant, c->who, &asset, reterr);
}

/* An API upload that has declared nothing yet. */
static enum ms_code verb_create(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct create args = {s->w->ctx.tenant, scene_ctx(s)->who};
    struct ms_asset_id id;
    struct ms_write write = {.fn = create_op, .in = &args, .out = &id, .out_size = sizeof id};
    (void)n;
    MS_TRY(ms_store_write(s->w->svc->store, &write, reterr));
    scene_name_asset(s, words[1], id);
    return MS_OK;
}

struct origin {
    struct ms_tenant_id tenant;
    struct ms_asset_id id;
    enum ms_origin origin;
    enum ms_asset_type type;
};

/* The platform's own assets come by calls that stand elsewhere; here a record is said to be one. */
static enum ms_code origin_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct origin *o = in;
    struct ms_asset_record asset;
    struct ms_tenant_record tenant;
    (void)out;
    MS_TRY(ms_change_begin(txn, o->tenant, &tenant, reterr));
    MS_TRY(ms_row_get_asset(txn, ms_key_asset(o->tenant, o->id), &asset, reterr));
    uint64_t bytes = asset.bytes;
    MS_TRY(ms_change_bytes(txn, o->tenant, &asset, 0, MS_WHY_FILE, ms_txn_instant(txn), reterr));
    asset.origin = (uint8_t)o->origin;
    asset.type = (uint8_t)o->type;
    MS_TRY(
        ms_change_bytes(txn, o->tenant, &asset, bytes, MS_WHY_FILE, ms_txn_instant(txn), reterr));
    return ms_change_put_off(txn, &tenant, &asset, ms_txn_instant(txn), reterr); /* stores it */
}

static enum ms_code verb_origin(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const struct scene_asset *asset = scene_asset_of(s, words[1]);
    struct origin args = {.tenant = asset->tenant, .id = asset->id};
    const char *type = scene_value(n, words, "type");
    scene_only(s, n, words, "type");
    if (!ms_origin_parse(words[2], &args.origin))
        scene_fail(s, "there is no origin %s", words[2]);
    MS_TRY(scene_look(s, asset, reterr));
    args.type = (enum ms_asset_type)s->info.asset.type;
    if (type)
        MS_TRY(ms_asset_type_parse(type, &args.type, reterr));
    struct ms_write write = {.fn = origin_op, .in = &args};
    return ms_store_write(s->w->svc->store, &write, reterr);
}

/* ---- events ------------------------------------------------------------------------------ */

static enum ms_code simple(struct scene *s, const char *label, enum ms_event event,
                           struct ms_error *reterr) {
    struct ms_asset_event e = {.event = event};
    return scene_apply(s, &e, label, reterr);
}

static enum ms_code verb_rm(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n;
    return simple(s, words[1], MS_EVENT_DELETE, reterr);
}

static enum ms_code verb_purge(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n;
    return simple(s, words[1], MS_EVENT_FORCE_DELETE, reterr);
}

static enum ms_code verb_restore(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_asset_event e = {.event = MS_EVENT_RESTORE,
                               .restore_to = scene_value(n, words, "to")};
    scene_only(s, n, words, "to");
    return scene_apply(s, &e, words[1], reterr);
}

static enum ms_code verb_freeze(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_asset_event e = {.event = MS_EVENT_FREEZE,
                               .reason_code = scene_value(n, words, "code"),
                               .why = scene_value(n, words, "why")};
    scene_only(s, n, words, "code why");
    return scene_apply(s, &e, words[1], reterr);
}

static enum ms_code verb_unfreeze(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n;
    return simple(s, words[1], MS_EVENT_UNFREEZE, reterr);
}

static uint8_t operation(const struct scene *s, const char *text) {
    if (strcmp(text, "BLOCK") != 0 && strcmp(text, "DELETE") != 0)
        scene_fail(s, "an operation is BLOCK or DELETE");
    return text[0] == 'B' ? MS_SCHEDULED_BLOCK : MS_SCHEDULED_DELETE;
}

/* Any event of the life cycle by its name. */
static enum ms_code verb_event(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *at = scene_value(n, words, "at"), *op = scene_value(n, words, "op");
    struct ms_asset_event e = {.event = scene_event(s, words[2]),
                               .why = scene_value(n, words, "why")};
    scene_only(s, n, words, "at op why");
    if (at)
        e.at = scene_instant(s, at);
    if (op)
        e.scheduled_op = operation(s, op);
    return scene_apply(s, &e, words[1], reterr);
}

static enum ms_code verb_schedule(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_asset_event e = {.event = MS_EVENT_SCHEDULE,
                               .scheduled_op = operation(s, words[2]),
                               .at = scene_instant(s, words[3])};
    (void)n;
    return scene_apply(s, &e, words[1], reterr);
}

static enum ms_code verb_announce(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_asset_event e = {.event = MS_EVENT_ANNOUNCE, .at = scene_instant(s, words[2])};
    (void)n;
    return scene_apply(s, &e, words[1], reterr);
}

/* "SUCCESS:a,b" and "CODE:c": exactly these groups, in this order. */
static void check_group(struct scene *s, const struct ms_batch_group *g, const char *want) {
    const char *colon = strchr(want, ':'), *p = colon ? colon + 1 : "";
    char name[32];
    size_t n = 0;
    (void)snprintf(name, sizeof name, "%.*s", colon ? (int)(colon - want) : 0, want);
    if (strcmp(name, g->code == MS_OK ? "SUCCESS" : ms_code_name(g->code)) != 0)
        scene_fail(s, "a group is %s, wanted %s", ms_code_name(g->code), want);
    for (; *p; p += strcspn(p, ","), p += *p == ',', n++) {
        char label[SCENE_LABEL_MAX + 1];
        (void)snprintf(label, sizeof label, "%.*s", (int)strcspn(p, ","), p);
        if (n == g->n || !ms_asset_id_equal(g->ids[n], scene_asset_of(s, label)->id))
            scene_fail(s, "%s is not in its group at its place", label);
    }
    if (n != g->n)
        scene_fail(s, "the group %s has %zu assets", name, g->n);
}

static enum ms_code verb_batch(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_asset_id ids[MS_BATCH_MAX];
    const char *with = scene_value(n, words, "with");
    struct ms_tenant_id tenant;
    struct ms_share share = {.receivers = &tenant, .n = 1};
    enum ms_batch_action action;
    size_t count = 0;
    if (with)
        tenant = scene_tenant_of(s, with);
    n -= with != NULL; /* the last word */
    MS_TRY(ms_batch_action_parse(words[1], &action, reterr));
    for (char *p = words[2], *next; p; p = next) {
        next = strchr(p, ',');
        if (next)
            *next++ = '\0';
        ids[count++] = scene_asset_of(s, p)->id;
    }
    struct ms_batch_result *result = calloc(1, sizeof *result);
    if (!result)
        scene_fail(s, "no memory");
    enum ms_code code = ms_batch(s->w->svc, scene_ctx(s), action, ids, count, with ? &share : NULL, result,
                                 reterr);
    if (code != MS_OK) {
        free(result);
        return code;
    }
    if (result->n != (size_t)(n - 3))
        scene_fail(s, "there are %zu groups", result->n);
    for (int i = 3; i < n; i++)
        check_group(s, &result->group[i - 3], words[i]);
    free(result);
    return MS_OK;
}

/* ---- the tenant as a whole --------------------------------------------------------------- */

static enum ms_code hold_tenant(struct scene *s, int n, char **words, bool on,
                                struct ms_error *reterr) {
    const char *hold = scene_value(n, words, "hold"), *why = scene_value(n, words, "why");
    bool arrears = hold && strcmp(hold, "ARREARS") == 0;
    scene_only(s, n, words, "hold why");
    return ms_tenant_hold(s->w->svc, scene_ctx(s), arrears ? MS_HOLD_ARREARS : MS_HOLD_ADMIN, on,
                          why, reterr);
}

static enum ms_code verb_freeze_tenant(struct scene *s, int n, char **words,
                                       struct ms_error *reterr) {
    return hold_tenant(s, n, words, true, reterr);
}

static enum ms_code verb_unfreeze_tenant(struct scene *s, int n, char **words,
                                         struct ms_error *reterr) {
    return hold_tenant(s, n, words, false, reterr);
}

/* ---- the bin as a whole ------------------------------------------------------------------ */

static enum ms_code verb_bin_empty(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *older = scene_value(n, words, "older"), *freed = scene_value(n, words, "freed"),
               *kept = scene_value(n, words, "kept");
    struct ms_bin_empty options = {.older_ms = older ? scene_duration(s, older) : 0};
    struct ms_bin_emptied emptied;
    scene_only(s, n, words, "older freed kept");
    MS_TRY(ms_bin_empty(s->w->svc, scene_ctx(s), &options, &emptied, reterr));
    if (freed && scene_bytes(s, freed) != emptied.bytes)
        scene_fail(s, "%llu bytes came free", (unsigned long long)emptied.bytes);
    if (kept && scene_bytes(s, kept) != emptied.kept)
        scene_fail(s, "%llu were kept", (unsigned long long)emptied.kept);
    return MS_OK;
}

static enum ms_code verb_bin_set(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *keep = scene_value(n, words, "keep");
    scene_only(s, n, words, "keep bypass");
    return ms_bin_set(s->w->svc, scene_ctx(s), keep ? scene_duration(s, keep) : -1,
                      scene_value(n, words, "bypass"), reterr);
}

static enum ms_code verb_in_bin(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const struct scene_asset *asset = scene_asset_of(s, words[1]);
    const char *until = scene_value(n, words, "until"), *who = scene_value(n, words, "who"),
               *path = scene_value(n, words, "path");
    struct ms_bin_entry *list = calloc(SCENE_ASSETS_MAX, sizeof *list), *e = list;
    size_t count = 0;
    scene_only(s, n, words, "until who path");
    if (!list)
        scene_fail(s, "no memory");
    enum ms_code code = ms_bin_list(s->w->svc, scene_ctx(s), (struct ms_bin_id){{{0}}}, list,
                                    SCENE_ASSETS_MAX, &count, reterr);
    if (code != MS_OK) {
        free(list);
        return code;
    }
    while (e < list + count && !ms_asset_id_equal(e->asset, asset->id))
        e++;
    if (e == list + count)
        scene_fail(s, "it is not in the list of the bin");
    int64_t wanted = until && strcmp(until, "never") != 0 ? scene_instant(s, until).ms : 0;
    if ((until && e->until.ms != wanted) || (who && strcmp(who, e->who) != 0) ||
        (path && strcmp(path, e->path) != 0))
        scene_fail(s, "it was deleted by %s, was at %s, is kept until %lld", e->who, e->path,
                   (long long)e->until.ms);
    free(list);
    return MS_OK;
}

static const struct scene_verb verbs[] = {
    {"bin-empty", 0, 3, verb_bin_empty, "[older=DURATION] [freed=BYTES] [kept=N]"},
    {"bin-set", 1, 2, verb_bin_set, "[keep=DURATION] [bypass=PATTERNS]"},
    {"in-bin", 1, 4, verb_in_bin, "LABEL [until=INSTANT|never] [who=NAME] [path=PATH]: so it is listed"},
    {"put", 2, 4, verb_put,
     "LABEL PATH [bytes=N] [like=SUFFIX]: a new file, as msasset put makes it"},
    {"copy", 3, 3, verb_copy, "LABEL OF PATH: a copy of it, without bytes"},
    {"write", 1, 3, verb_write, "LABEL [bytes=N] [like=SUFFIX]: overwritten at its path"},
    {"create", 1, 1, verb_create, "LABEL: an API upload that has declared nothing"},
    {"origin", 2, 3, verb_origin, "LABEL CUSTOMIZED|SYSTEM [type=T]: it is the platform's"},
    {"rm", 1, 1, verb_rm, "LABEL: deleted, by name"},
    {"purge", 1, 1, verb_purge, "LABEL: deleted for good"},
    {"restore", 1, 2, verb_restore, "LABEL [to=PATH]"},
    {"freeze", 1, 3, verb_freeze, "LABEL [code=C] [why=TEXT]"},
    {"unfreeze", 1, 1, verb_unfreeze, "LABEL"},
    {"event", 2, 5, verb_event, "LABEL EVENT [at=INSTANT] [op=BLOCK|DELETE] [why=TEXT]"},
    {"batch", 3, 8, verb_batch, "ACTION LABEL,... SUCCESS:LABEL,... CODE:LABEL,... [with=TENANT]: these groups"},
    {"schedule", 3, 3, verb_schedule, "LABEL BLOCK|DELETE INSTANT"},
    {"announce", 2, 2, verb_announce, "LABEL INSTANT"},
    {"freeze-tenant", 0, 2, verb_freeze_tenant, "[hold=ADMIN|ARREARS] [why=TEXT]"},
    {"unfreeze-tenant", 0, 1, verb_unfreeze_tenant, "[hold=ADMIN|ARREARS]"},
};
const struct scene_verbs scene_verbs_asset = {verbs, MS_ARRAY_LEN(verbs)};
