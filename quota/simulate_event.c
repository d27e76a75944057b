/* What each event of a history means, and what is refused. */
#include "base/assert.h"
#include "quota/simulate_impl.h"

#include <inttypes.h>

/* A text of the history in a message. */
static struct ms_json_text say(struct ms_view text) { return ms_json_excerpt(text); }

static enum ms_code find_tenant(const struct ms_simulation *s, struct ms_view name, uint32_t *ret_i,
                                struct ms_error *reterr) {
    uint32_t i = ms_names_find(&s->tenant_names, name);
    if (i == NOBODY)
        return ms_fail(reterr, MS_BILL_INPUT,
                       "tenant \"%s\" is unknown: its first event must be a \"tenant\"",
                       say(name).s);
    *ret_i = i;
    return MS_OK;
}

/* ---- tenants -----------------------------------------------------------------------------------
 */

static enum ms_code set_allowance(struct ms_simulation *s, uint32_t i, struct ms_error *reterr) {
    struct tenant *t = &s->tenants[i];
    uint64_t allowance = t->free_bytes + t->capacity;
    if (allowance > MS_USAGE_BYTES_MAX)
        return ms_fail(reterr, MS_BILL_INPUT,
                       "the allowance of tenant \"%s\" is %" PRIu64
                       " bytes: free quota and packages may be 2^63 - 1 together",
                       say(ms_names_text(&s->tenant_names, i)).s, allowance);
    enum ms_code code = ms_simulation_advance(s, t, s->now, reterr);
    if (code == MS_OK)
        ms_meter_allow(&t->meter, s->now, allowance);
    return code;
}

static enum ms_code add_tenant(struct ms_simulation *s, const struct ms_history_event *e,
                               struct ms_error *reterr) {
    uint32_t i = s->tenant_names.n;
    enum ms_code code =
        ms_simulation_grow((void **)&s->tenants, &s->tenants_cap, i, sizeof *s->tenants, reterr);
    if (code == MS_OK) {
        s->tenants[i] = (struct tenant){.free_bytes = MS_FREE_BYTES_DEFAULT, .minutes = NOBODY};
        ms_meter_begin(&s->tenants[i].meter, s->now);
        code = ms_names_add(&s->tenant_names, e->tenant, &i, reterr);
    }
    return code;
}

/* pay_per_use changes nothing here: a history says what happened, refused videos are not in it. */
static enum ms_code on_tenant(struct ms_simulation *s, const struct ms_history_event *e,
                              struct ms_error *reterr) {
    uint32_t i = ms_names_find(&s->tenant_names, e->tenant);
    enum ms_code code = MS_OK;
    if (i == NOBODY) {
        i = s->tenant_names.n;
        code = add_tenant(s, e, reterr);
    }
    if (code != MS_OK)
        return code;
    if (ms_history_has(e, MS_HISTORY_HAS_FREE_BYTES))
        s->tenants[i].free_bytes = e->free_bytes;
    return set_allowance(s, i, reterr);
}

/* ---- assets ------------------------------------------------------------------------------------
 */

static enum ms_code change(struct ms_simulation *s, uint32_t tenant, const struct asset *a,
                           uint64_t before, uint64_t after, struct ms_error *reterr) {
    uint8_t class = (uint8_t)ms_class_of(a->origin, a->type, a->created, s->now);
    struct ms_ledger_record event = {.at = s->now,
                                     .class_before = class,
                                     .bytes_before = before,
                                     .class_after = class,
                                     .bytes_after = after};
    struct tenant *t = &s->tenants[tenant];
    enum ms_code code = ms_simulation_advance(s, t, s->now, reterr);
    if (code != MS_OK)
        return code;
    enum ms_usage_fault fault = ms_meter_apply(&t->meter, &event);
    MS_ASSERT(fault == MS_USAGE_FINE || fault == MS_USAGE_OVERFLOW);
    if (fault == MS_USAGE_OVERFLOW)
        return ms_fail(reterr, MS_BILL_INPUT,
                       "tenant \"%s\" would have %" PRIu64 " bytes more than its %" PRIu64
                       ": a tenant may have 2^63 - 1 bytes",
                       say(ms_names_text(&s->tenant_names, tenant)).s, after - before,
                       ms_usage_bytes(&t->meter.usage));
    return MS_OK;
}

/* From now on the asset has that owner (NOBODY: none) and size. */
static enum ms_code place(struct ms_simulation *s, uint32_t asset, uint32_t owner, uint64_t bytes,
                          struct ms_error *reterr) {
    struct asset *a = &s->assets[asset];
    enum ms_code code = MS_OK;
    if (a->owner == owner && owner != NOBODY) {
        code = change(s, owner, a, a->bytes, bytes, reterr);
    } else {
        if (a->owner != NOBODY)
            code = change(s, a->owner, a, a->bytes, 0, reterr);
        if (code == MS_OK && owner != NOBODY)
            code = change(s, owner, a, 0, bytes, reterr);
    }
    a->owner = owner;
    a->bytes = bytes;
    return code;
}

/* A new asset, its bytes not counted yet. A produced video that is still free is due to count. */
static enum ms_code add_asset(struct ms_simulation *s, struct ms_view id, struct asset asset,
                              uint32_t *ret_i, struct ms_error *reterr) {
    uint32_t i = s->asset_names.n;
    struct ms_instant counts = ms_class_changes_at(asset.origin, asset.type, asset.created);
    enum ms_code code =
        ms_simulation_grow((void **)&s->assets, &s->assets_cap, i, sizeof *s->assets, reterr);
    if (code == MS_OK)
        code = ms_names_add(&s->asset_names, id, ret_i, reterr);
    if (code != MS_OK)
        return code;
    asset.owner = NOBODY;
    s->assets[i] = asset;
    if (!ms_instant_is_none(counts) && ms_instant_before(s->now, counts))
        code = ms_simulation_add_due(s, (struct due){.at = counts, .what = i}, reterr);
    return code;
}

static enum ms_code check_owner(const struct ms_simulation *s, const char *noun, struct ms_view id,
                                uint32_t owner, struct ms_view tenant, struct ms_error *reterr) {
    if (owner != NOBODY && ms_view_equal(ms_names_text(&s->tenant_names, owner), tenant))
        return MS_OK;
    if (owner == NOBODY)
        return ms_fail(reterr, MS_BILL_INPUT,
                       "%s \"%s\" is not of tenant \"%s\": it left with a \"transfer\" to null",
                       noun, say(id).s, say(tenant).s);
    return ms_fail(reterr, MS_BILL_INPUT, "%s \"%s\" is not of tenant \"%s\" but of \"%s\"", noun,
                   say(id).s, say(tenant).s, say(ms_names_text(&s->tenant_names, owner)).s);
}

static enum ms_code check_not_deleted(const struct asset *a, struct ms_view id,
                                      struct ms_error *reterr) {
    if (!a->deleted)
        return MS_OK;
    return ms_fail(reterr, MS_BILL_INPUT, "asset \"%s\" was deleted: an id is never used again",
                   say(id).s);
}

/* The asset of an event that wants one of the tenant's. */
static enum ms_code find_asset(const struct ms_simulation *s, const struct ms_history_event *e,
                               uint32_t *ret_i, struct ms_error *reterr) {
    uint32_t i = ms_names_find(&s->asset_names, e->asset);
    if (i == NOBODY)
        return ms_fail(reterr, MS_BILL_INPUT, "asset \"%s\" is unknown: it must be put first",
                       say(e->asset).s);
    enum ms_code code = check_not_deleted(&s->assets[i], e->asset, reterr);
    if (code == MS_OK)
        code = check_owner(s, "asset", e->asset, s->assets[i].owner, e->tenant, reterr);
    if (code == MS_OK)
        *ret_i = i;
    return code;
}

/* What stays as it was at first; and created is told once, and again by an asset that returns. */
static enum ms_code check_put(const struct ms_simulation *s, const struct asset *a,
                              const struct ms_history_event *e, struct ms_error *reterr) {
    bool told = ms_history_has(e, MS_HISTORY_HAS_CREATED);
    struct ms_instant created = told ? e->created : e->at;
    char text[MS_RFC3339_MS_LEN + 1];
    ms_instant_format_ms(a->created, text);
    if (e->origin != a->origin)
        return ms_fail(reterr, MS_BILL_INPUT,
                       "the origin of asset \"%s\" is %s: it was %s at first, and stays",
                       say(e->asset).s, ms_json_written(&s->json, "origin").s,
                       ms_origin_name(a->origin));
    if (a->origin == MS_ORIGIN_CUSTOMIZED && e->type != a->type)
        return ms_fail(
            reterr, MS_BILL_INPUT, "the type of asset \"%s\" is %s: it is CUSTOMIZED and stays %s",
            say(e->asset).s, ms_json_written(&s->json, "type").s, ms_asset_type_name(a->type));
    if (a->owner != NOBODY && told)
        return ms_fail(reterr, MS_BILL_INPUT,
                       "\"created\" of asset \"%s\" is given again: it stays %s", say(e->asset).s,
                       text);
    if (a->owner == NOBODY && created.ms != a->created.ms)
        return ms_fail(reterr, MS_BILL_INPUT,
                       "asset \"%s\" is known: to return it needs its first \"created\", %s",
                       say(e->asset).s, text);
    return MS_OK;
}

static enum ms_code put_again(struct ms_simulation *s, const struct ms_history_event *e,
                              uint32_t tenant, uint32_t asset, struct ms_error *reterr) {
    struct asset *a = &s->assets[asset];
    enum ms_code code = check_not_deleted(a, e->asset, reterr);
    if (code == MS_OK && a->owner != NOBODY)
        code = check_owner(s, "asset", e->asset, a->owner, e->tenant, reterr);
    if (code == MS_OK)
        code = check_put(s, a, e, reterr);
    if (code != MS_OK)
        return code;
    a->type = e->type; /* of no CUSTOMIZED asset; of the others no class depends on it */
    return place(s, asset, tenant, e->bytes, reterr);
}

static enum ms_code on_put(struct ms_simulation *s, const struct ms_history_event *e,
                           uint32_t tenant, struct ms_error *reterr) {
    uint32_t i = ms_names_find(&s->asset_names, e->asset);
    if (i != NOBODY)
        return put_again(s, e, tenant, i, reterr);
    struct asset asset = {.origin = e->origin, .type = e->type, .created = e->at};
    if (ms_history_has(e, MS_HISTORY_HAS_CREATED))
        asset.created = e->created;
    enum ms_code code = add_asset(s, e->asset, asset, &i, reterr);
    return code == MS_OK ? place(s, i, tenant, e->bytes, reterr) : code;
}

static enum ms_code on_delete(struct ms_simulation *s, const struct ms_history_event *e,
                              struct ms_error *reterr) {
    uint32_t i;
    enum ms_code code = find_asset(s, e, &i, reterr);
    if (code == MS_OK)
        code = place(s, i, NOBODY, 0, reterr);
    if (code == MS_OK)
        s->assets[i].deleted = true;
    return code;
}

static enum ms_code on_transfer(struct ms_simulation *s, const struct ms_history_event *e,
                                uint32_t tenant, struct ms_error *reterr) {
    uint32_t i, to = NOBODY;
    enum ms_code code = find_asset(s, e, &i, reterr);
    if (code == MS_OK && e->to.p)
        code = find_tenant(s, e->to, &to, reterr);
    if (code == MS_OK && to == tenant)
        code = ms_fail(reterr, MS_BILL_INPUT,
                       "asset \"%s\" is transferred from tenant \"%s\" to itself", say(e->asset).s,
                       say(e->tenant).s);
    return code == MS_OK ? place(s, i, to, s->assets[i].bytes, reterr) : code;
}

/* ---- packages ----------------------------------------------------------------------------------
 */

void ms_simulation_term(struct ms_simulation *s, struct package *p, struct ms_instant at) {
    p->left = p->amount;
    if (p->paid)
        ms_meter_add_fee(&s->tenants[p->owner].meter,
                         ms_price_package(ms_rates_card(s->rates, at),
                                          ms_names_text(&s->package_names, p->name)));
}

/* A package becomes valid now: bought, or renewed late. */
static enum ms_code begin_package(struct ms_simulation *s, uint32_t package,
                                  struct ms_error *reterr) {
    struct package *p = &s->packages[package];
    struct tenant *t = &s->tenants[p->owner];
    struct due due = {.at = ms_terms_due(&p->terms), .what = package, .package = true};
    enum ms_code code = ms_simulation_advance(s, t, s->now, reterr);
    if (code != MS_OK)
        return code;
    ms_simulation_term(s, p, s->now);
    if (p->kind == MS_PACKAGE_VIDEO_MINUTES && !p->listed) {
        p->next = t->minutes;
        t->minutes = package;
        p->listed = true;
    }
    if (p->kind == MS_PACKAGE_ASSET_MANAGER) {
        t->capacity += p->amount;
        code = set_allowance(s, p->owner, reterr);
    }
    if (code == MS_OK && due.at.ms != MS_TERMS_NO_END.ms)
        code = ms_simulation_add_due(s, due, reterr);
    return code;
}

/* What the terms refuse is the history's fault. */
static enum ms_code of_terms(enum ms_code code, struct ms_view id, const struct ms_error *why,
                             struct ms_error *reterr) {
    if (code == MS_OK)
        return MS_OK;
    return ms_fail(reterr, MS_BILL_INPUT, "package \"%s\": %s", say(id).s, why->message);
}

static enum ms_code on_package(struct ms_simulation *s, const struct ms_history_event *e,
                               uint32_t tenant, struct ms_error *reterr) {
    struct package p = {.owner = tenant, .kind = e->kind, .paid = e->paid, .amount = e->amount};
    struct ms_error why = {0};
    uint32_t i = s->package_ids.n;
    if (ms_names_find(&s->package_ids, e->package) != NOBODY)
        return ms_fail(reterr, MS_BILL_INPUT,
                       "package \"%s\" is known: an id is never used again (add terms with "
                       "\"renew\")",
                       say(e->package).s);
    enum ms_code code =
        ms_terms_begin(e->at, (uint32_t)e->months, (uint32_t)e->terms, &p.terms, &why);
    code = of_terms(code, e->package, &why, reterr);
    if (code == MS_OK)
        code = ms_simulation_grow((void **)&s->packages, &s->packages_cap, i, sizeof p, reterr);
    if (code == MS_OK)
        code = ms_names_add(&s->package_names, e->name, &p.name, reterr);
    if (code == MS_OK)
        code = ms_names_add(&s->package_ids, e->package, &i, reterr);
    if (code != MS_OK)
        return code;
    s->packages[i] = p;
    return begin_package(s, i, reterr);
}

static enum ms_code on_renew(struct ms_simulation *s, const struct ms_history_event *e,
                             struct ms_error *reterr) {
    struct ms_error why = {0};
    bool late = false;
    uint32_t i = ms_names_find(&s->package_ids, e->package);
    if (i == NOBODY)
        return ms_fail(reterr, MS_BILL_INPUT, "package \"%s\" is unknown: it must be bought first",
                       say(e->package).s);
    struct package *p = &s->packages[i];
    enum ms_code code = check_owner(s, "package", e->package, p->owner, e->tenant, reterr);
    if (code != MS_OK)
        return code;
    code = ms_terms_renew(&p->terms, s->now, (uint32_t)e->terms, &late, &why);
    code = of_terms(code, e->package, &why, reterr);
    return code == MS_OK && late ? begin_package(s, i, reterr) : code;
}

/* ---- produced videos ---------------------------------------------------------------------------
 */

/* The tenant's running packages of minutes, in s->draw; those that ended are taken off its list. */
static enum ms_code list_minutes(struct ms_simulation *s, struct tenant *t, size_t *ret_n,
                                 struct ms_error *reterr) {
    uint32_t *link = &t->minutes;
    size_t n = 0;
    while (*link != NOBODY) {
        uint32_t i = *link;
        struct package *p = &s->packages[i];
        if (!p->terms.running) {
            *link = p->next;
            p->listed = false;
            continue;
        }
        enum ms_code code =
            ms_simulation_grow((void **)&s->draw, &s->draw_cap, n, sizeof *s->draw, reterr);
        if (code != MS_OK)
            return code;
        struct ms_view id = ms_names_text(&s->package_ids, i);
        s->draw[n++] = (struct ms_minutes){ms_terms_end(&p->terms), id.p, id.n, p->left, i};
        link = &p->next;
    }
    *ret_n = n;
    return MS_OK;
}

static enum ms_code draw_minutes(struct ms_simulation *s, struct tenant *t, ms_u128 hundredths,
                                 struct ms_error *reterr) {
    size_t n;
    enum ms_code code = list_minutes(s, t, &n, reterr);
    if (code != MS_OK)
        return code;
    ms_u128 paid = ms_minutes_draw(s->draw, n, hundredths);
    for (size_t i = 0; i < n; i++)
        s->packages[s->draw[i].key].left = s->draw[i].left;
    t->hundredths += paid;
    if (t->hundredths >= MS_HUNDREDTHS_MAX)
        return ms_fail(reterr, MS_BILL_INPUT, "the videos of one tenant last %s minutes: too long",
                       ms_u128_text(t->hundredths / 100).s);
    ms_meter_add_video(&t->meter, hundredths, paid);
    return MS_OK;
}

static enum ms_code on_produce(struct ms_simulation *s, const struct ms_history_event *e,
                               uint32_t tenant, struct ms_error *reterr) {
    struct asset asset = {.origin = MS_ORIGIN_CUSTOMIZED, .type = MS_TYPE_VIDEO, .created = e->at};
    uint32_t i;
    if (ms_names_find(&s->asset_names, e->asset) != NOBODY)
        return ms_fail(reterr, MS_BILL_INPUT,
                       "asset \"%s\" is known: a produced video is a new one, and an id is never "
                       "used again",
                       say(e->asset).s);
    enum ms_code code = add_asset(s, e->asset, asset, &i, reterr);
    if (code == MS_OK)
        code = place(s, i, tenant, e->bytes, reterr);
    if (code == MS_OK)
        code = draw_minutes(s, &s->tenants[tenant], ms_minutes_of_seconds(e->seconds), reterr);
    return code;
}

enum ms_code ms_simulation_event(struct ms_simulation *s, const struct ms_history_event *e,
                                 struct ms_error *reterr) {
    uint32_t tenant = NOBODY, asset;
    enum ms_code code = MS_OK;
    if (e->what != MS_HISTORY_TENANT)
        code = find_tenant(s, e->tenant, &tenant, reterr);
    if (code != MS_OK)
        return code;
    switch (e->what) {
    case MS_HISTORY_TENANT:
        return on_tenant(s, e, reterr);
    case MS_HISTORY_PUT:
        return on_put(s, e, tenant, reterr);
    case MS_HISTORY_PRODUCE:
        return on_produce(s, e, tenant, reterr);
    case MS_HISTORY_DELETE:
        return on_delete(s, e, reterr);
    case MS_HISTORY_TRANSFER:
        return on_transfer(s, e, tenant, reterr);
    case MS_HISTORY_PACKAGE:
        return on_package(s, e, tenant, reterr);
    case MS_HISTORY_RENEW:
        return on_renew(s, e, reterr);
    case MS_HISTORY_TRASH:
    case MS_HISTORY_RESTORE:
    case MS_HISTORY_FREEZE:
    case MS_HISTORY_UNFREEZE:
        return find_asset(s, e, &asset, reterr); /* no effect on bytes */
    case MS_HISTORY_END:
    case MS_HISTORY_DO_COUNT:
        break;
    }
    ms_assert_failed("an event", __FILE__, __LINE__, __func__);
}
