/* Packages: records, due rows, ledger rows, and what is bound to them. */
#include "service/package.h"

#include "service/arrears.h"
#include "service/change.h"
#include "service/payment.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WHO "msasset"

/* ---- what is bound --------------------------------------------------------------------------- */

struct bound {
    struct ms_txn *txn;
    const struct ms_tenant_record *tenant;
    struct ms_tenant_id id;
    const char *who;
    enum ms_event event;
    struct ms_instant at;
    const char *why;
};

/* What was due of the asset before comes first, dated as it was due. */
static enum ms_code tell_asset(const struct bound *b, struct ms_asset_id id,
                               struct ms_error *reterr) {
    struct ms_asset_record asset;
    enum ms_code code = ms_row_get_asset(b->txn, ms_key_asset(b->id, id), &asset, reterr);
    if (code != MS_OK)
        return ms_absent_is_fine(code, reterr);
    MS_TRY(ms_change_overdue(b->txn, b->tenant, &asset, b->at, reterr));
    if (asset.rest == MS_STATE_DELETED)
        return MS_OK;
    struct ms_life life = ms_asset_life(&asset);
    struct ms_lc_facts facts = {.mask = ms_tenant_mask(b->tenant, b->at),
                                .now = b->at,
                                .origin = asset.origin,
                                .actor_admin = 1,
                                .retention_ms = b->tenant->retention_ms};
    struct ms_lc_verdict step = ms_lc_step(&life, b->event, &facts);
    if (step.rule != MS_LC_ALLOWED || memcmp(&step.next, &life, sizeof life) == 0)
        return MS_OK;
    if (step.effects & MS_EFFECT_PURGE)
        return ms_change_purge(b->txn, b->id, b->who, &asset, b->event, b->at, b->why, reterr);
    return ms_change_life(b->txn, b->id, b->who, &asset, &step.next, b->event, b->at, b->why,
                          reterr);
}

static enum ms_code tell_bound(const struct bound *b, struct ms_package_id package,
                               struct ms_error *reterr) {
    struct ms_key prefix = ms_key_bound_to(b->id, package);
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code;
    ms_scan_prefix(&scan, b->txn, ms_key_view(&prefix));
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        struct ms_asset_id id;
        if (value.n != sizeof id) {
            code = ms_fail(reterr, MS_CORRUPT, "what is bound to package %s cannot be read",
                           ms_id_text(package.id).s);
            break;
        }
        memcpy(&id, value.p, sizeof id);
        if ((code = tell_asset(b, id, reterr)) != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

/* ---- what time does -------------------------------------------------------------------------- */

bool ms_package_may_renew(const struct ms_tenant_record *tenant,
                          const struct ms_package_record *p) {
    struct ms_arrears a = ms_tenant_arrears(tenant);
    return a.stage == MS_ARREARS_NONE || ms_package_due(p).ms <= a.since.ms;
}

static uint64_t capacity_of(const struct ms_package_record *p) {
    return p->kind == MS_PACKAGE_ASSET_MANAGER ? p->amount : 0;
}

bool ms_package_waits(const struct ms_tenant_record *tenant, const struct ms_package_record *p,
                      struct ms_instant now) {
    struct ms_package_record next = *p;
    return p->paid && ms_package_due(p).ms <= now.ms && ms_package_may_renew(tenant, p) &&
           ms_package_pass(&next, true) == MS_PACKAGE_RENEWS;
}

static enum ms_code refuse_waiting(const struct ms_package_record *p, struct ms_error *reterr) {
    char at[MS_RFC3339_S_LEN + 1];
    ms_instant_format_s(ms_package_due(p), at);
    return ms_fail(reterr, MS_BUSY,
                   "the renewal of package %s at %s waits for the payment command, which has not "
                   "answered: run msasset sweep, which asks it, and try again",
                   ms_id_text(p->id).s, at);
}

enum ms_code ms_package_outcome_open(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                     struct ms_instant now, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_packages_of((struct ms_tenant_id){tenant->id});
    struct ms_package_record p, next;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while ((code = ms_row_next_package(&scan, &key, &p, reterr)) == MS_OK) {
        if (!ms_package_waits(tenant, &p, now))
            continue;
        next = p;
        (void)ms_package_pass(&next, true);
        if (ms_package_due(&next).ms <= now.ms) {
            code = refuse_waiting(&p, reterr);
            break;
        }
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

void ms_package_at(const struct ms_tenant_record *tenant, struct ms_package_record *p,
                   struct ms_instant now, bool unasked) {
    while (ms_package_due(p).ms <= now.ms && (unasked || !ms_package_waits(tenant, p, now)))
        (void)ms_package_pass(p, ms_package_may_renew(tenant, p));
}

static enum ms_code pass_row(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                             const struct ms_package_record *p, enum ms_package_step step,
                             struct ms_instant at, struct ms_error *reterr) {
    struct ms_package_change change = {.why = MS_WHY_TERM, .at = at, .fee = p->paid};
    if (step == MS_PACKAGE_RENEWS) {
        change.why = MS_WHY_RENEW;
        change.terms = 1;
    } else if (step == MS_PACKAGE_EXPIRES) {
        change = (struct ms_package_change){
            .why = MS_WHY_EXPIRE, .at = at, .less = capacity_of(p)};
    }
    return ms_change_package(txn, tenant, p->id, &change, reterr);
}

static bool bound_event(enum ms_package_step step, bool renewing, enum ms_event *ret_event,
                        const char **ret_why) {
    switch (step) {
    case MS_PACKAGE_EXPIRES:
        *ret_event = MS_EVENT_AUTO_RENEW_OFF;
        *ret_why = "its package ran out";
        return renewing;
    case MS_PACKAGE_HOLDS:
        *ret_event = MS_EVENT_PACKAGE_HOLD;
        *ret_why = "its package ran out, and the grace period is over";
        return true;
    case MS_PACKAGE_ENDS:
        *ret_event = MS_EVENT_TERMINATE;
        *ret_why = "its package ran out, and the retention period is over";
        return true;
    case MS_PACKAGE_TERM_BEGINS:
    case MS_PACKAGE_RENEWS:
        break;
    }
    return false;
}

static enum ms_code pass_once(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                              struct ms_package_record *p, bool may_renew,
                              struct ms_error *reterr) {
    struct bound b = {
        .txn = txn, .tenant = tenant, .id = {tenant->id}, .who = WHO, .at = ms_package_due(p)};
    bool renewing = p->auto_renew;
    enum ms_package_step step = ms_package_pass(p, may_renew);
    if (step != MS_PACKAGE_HOLDS && step != MS_PACKAGE_ENDS)
        MS_TRY(pass_row(txn, tenant, p, step, b.at, reterr));
    if (!bound_event(step, renewing, &b.event, &b.why))
        return MS_OK;
    return tell_bound(&b, (struct ms_package_id){p->id}, reterr);
}

enum ms_code ms_package_overdue(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                struct ms_package_id id, struct ms_instant now, bool unasked,
                                bool *ret_changed, struct ms_error *reterr) {
    struct ms_tenant_id t = {tenant->id};
    struct ms_package_record p;
    enum ms_code code = ms_row_get_package(txn, ms_key_package(t, id), &p, reterr);
    *ret_changed = false;
    if (code != MS_OK)
        return ms_absent_is_fine(code, reterr);
    while (ms_package_due(&p).ms <= now.ms && (unasked || !ms_package_waits(tenant, &p, now))) {
        *ret_changed = true;
        MS_TRY(pass_once(txn, tenant, &p, ms_package_may_renew(tenant, &p), reterr));
    }
    return *ret_changed ? ms_change_package_store(txn, t, &p, ms_package_due(&p), reterr) : MS_OK;
}

enum ms_code ms_package_answer(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                               const struct ms_package_record *asked, struct ms_instant now,
                               bool paid, bool *ret_applied, struct ms_error *reterr) {
    struct ms_tenant_id t = {tenant->id};
    struct ms_package_record p;
    enum ms_code code =
        ms_row_get_package(txn, ms_key_package(t, (struct ms_package_id){asked->id}), &p, reterr);
    *ret_applied = false;
    if (code != MS_OK)
        return ms_absent_is_fine(code, reterr);
    if (p.bought != asked->bought || !ms_package_waits(tenant, &p, now))
        return MS_OK;
    *ret_applied = true;
    MS_TRY(pass_once(txn, tenant, &p, paid, reterr));
    return ms_change_package_store(txn, t, &p, ms_package_due(&p), reterr);
}

enum ms_code ms_packages_overdue(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                 struct ms_instant now, struct ms_error *reterr) {
    return ms_packages_settled(txn, tenant, now, false, reterr);
}

enum ms_code ms_packages_settled(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                 struct ms_instant now, bool unasked, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_packages_of((struct ms_tenant_id){tenant->id});
    struct ms_package_record p;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    bool changed;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while ((code = ms_row_next_package(&scan, &key, &p, reterr)) == MS_OK) {
        if (ms_package_due(&p).ms > now.ms)
            continue;
        code = ms_package_overdue(txn, tenant, (struct ms_package_id){p.id}, now, unasked, &changed,
                                  reterr);
        if (code != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_package_effective(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                  const struct ms_asset_record *asset,
                                  const struct ms_lc_facts *facts, bool unasked,
                                  struct ms_life *life, struct ms_error *reterr) {
    struct ms_key key =
        ms_key_package((struct ms_tenant_id){tenant->id}, (struct ms_package_id){asset->package});
    struct ms_lc_facts then = *facts;
    struct ms_package_record p;
    const char *why;
    enum ms_event event;
    enum ms_code code = ms_row_get_package(txn, key, &p, reterr);
    if (code != MS_OK)
        return ms_absent_is_fine(code, reterr);
    then.actor_admin = 1;
    while (ms_package_due(&p).ms <= facts->now.ms && life->rest != MS_STATE_DELETED &&
           (unasked || !ms_package_waits(tenant, &p, facts->now))) {
        bool renewing = p.auto_renew;
        then.now = ms_package_due(&p);
        then.mask = ms_tenant_mask(tenant, then.now);
        *life = ms_tenant_life(tenant, life, &then, NULL, NULL);
        if (bound_event(ms_package_pass(&p, ms_package_may_renew(tenant, &p)), renewing, &event,
                        &why) &&
            life->rest != MS_STATE_DELETED)
            *life = ms_lc_step(life, event, &then).next;
    }
    return MS_OK;
}

/* ---- operations ------------------------------------------------------------------------------ */

struct call {
    const struct ms_ctx *ctx;
    const struct ms_package_order *order; /* buy */
    struct ms_package_id id;
    const char *order_id; /* renew */
    uint32_t terms;
    bool on;
    struct ms_asset_id asset;
    bool unasked; /* payment.h */
};

static enum ms_code begin(struct ms_txn *txn, const struct call *c,
                          struct ms_tenant_record *ret_tenant, struct ms_error *reterr) {
    MS_TRY(ms_change_begin(txn, c->ctx->tenant, ret_tenant, reterr));
    return ms_packages_settled(txn, ret_tenant, ms_txn_instant(txn), c->unasked, reterr);
}

static enum ms_code get_any(struct ms_txn *txn, const struct call *c,
                            struct ms_package_record *ret_package, struct ms_error *reterr) {
    enum ms_code code =
        ms_row_get_package(txn, ms_key_package(c->ctx->tenant, c->id), ret_package, reterr);
    if (code != MS_NOT_FOUND)
        return code;
    return ms_fail(reterr, MS_NOT_FOUND, "this tenant has no package %s: see msasset package ls",
                   ms_id_text(c->id.id).s);
}

/* To change its terms, which the answer that is missing does too. */
static enum ms_code get(struct ms_txn *txn, const struct call *c,
                        const struct ms_tenant_record *tenant,
                        struct ms_package_record *ret_package, struct ms_error *reterr) {
    MS_TRY(get_any(txn, c, ret_package, reterr));
    return ms_package_waits(tenant, ret_package, ms_txn_instant(txn))
               ? refuse_waiting(ret_package, reterr)
               : MS_OK;
}

/* *ret_taken: this order was taken before, and what it bought. */
static enum ms_code taken(struct ms_txn *txn, struct ms_tenant_id t, const char *order,
                          bool *ret_taken, struct ms_package_id *ret_id, struct ms_error *reterr) {
    enum ms_code code = ms_row_get_id(txn, ms_key_order(t, order), &ret_id->id, reterr);
    *ret_taken = code == MS_OK;
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code same_purchase(const struct ms_package_order *o,
                                  const struct ms_package_record *p, struct ms_error *reterr) {
    if (strcmp(o->name, p->name) == 0 && o->kind == p->kind && o->amount == p->amount &&
        o->months == p->months && strcmp(o->order, p->order) == 0)
        return MS_OK;
    return ms_fail(reterr, MS_EXISTS,
                   "order \"%.128s\" was another purchase: package %s, %s: give a new order an id of "
                   "its own",
                   o->order, ms_id_text(p->id).s, p->name);
}

static enum ms_code buy_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct call *c = in;
    const struct ms_package_order *o = c->order;
    struct ms_package_record *p = out;
    struct ms_tenant_id t = c->ctx->tenant;
    struct ms_tenant_record tenant;
    struct ms_package_id id;
    bool before;
    MS_TRY(begin(txn, c, &tenant, reterr));
    MS_TRY(taken(txn, t, o->order, &before, &id, reterr));
    if (before) {
        MS_TRY(ms_row_get_package(txn, ms_key_package(t, id), p, reterr));
        return same_purchase(o, p, reterr);
    }
    memset(p, 0, sizeof *p);
    MS_TRY(ms_package_begin(p, ms_txn_instant(txn), o->months, o->terms, reterr));
    ms_txn_random(txn, p->id.b, MS_ID_BYTES);
    (void)snprintf(p->order, sizeof p->order, "%s", o->order);
    (void)snprintf(p->name, sizeof p->name, "%s", o->name);
    p->kind = o->kind;
    p->source = o->source;
    p->paid = !o->free;
    p->auto_renew = o->auto_renew;
    p->amount = o->amount;
    struct ms_package_change change = {.why = MS_WHY_PACKAGE,
                                       .at = ms_txn_instant(txn),
                                       .more = capacity_of(p),
                                       .fee = p->paid,
                                       .terms = o->terms};
    MS_TRY(ms_change_package(txn, &tenant, p->id, &change, reterr));
    MS_TRY(ms_row_put_id(txn, ms_key_order(t, o->order), p->id, reterr));
    return ms_change_package_store(txn, t, p, ms_package_due(p), reterr);
}

static enum ms_code renew_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const struct call *c = in;
    struct ms_package_record *p = out;
    struct ms_tenant_id t = c->ctx->tenant;
    struct ms_package_renewal renewal;
    struct ms_tenant_record tenant;
    struct ms_package_id id;
    bool before;
    MS_TRY(begin(txn, c, &tenant, reterr));
    MS_TRY(get(txn, c, &tenant, p, reterr));
    MS_TRY(taken(txn, t, c->order_id, &before, &id, reterr));
    if (before && ms_package_id_equal(id, c->id) && strcmp(p->order, c->order_id) != 0)
        return MS_OK;
    if (before)
        return ms_fail(reterr, MS_EXISTS,
                       "order \"%.128s\" was another purchase: give a new order an id of its own",
                       c->order_id);
    struct bound b = {.txn = txn,
                      .tenant = &tenant,
                      .id = t,
                      .who = c->ctx->who,
                      .event = MS_EVENT_PACKAGE_RENEW,
                      .at = ms_txn_instant(txn),
                      .why = "its package was renewed"};
    MS_TRY(ms_package_renew(p, b.at, c->terms, &renewal, reterr));
    struct ms_package_change change = {.why = MS_WHY_RENEW,
                                       .at = b.at,
                                       .more = renewal.late ? capacity_of(p) : 0,
                                       .fee = renewal.late && p->paid,
                                       .terms = c->terms};
    MS_TRY(ms_change_package(txn, &tenant, p->id, &change, reterr));
    MS_TRY(ms_row_put_id(txn, ms_key_order(t, c->order_id), p->id, reterr));
    if (renewal.lift)
        MS_TRY(tell_bound(&b, c->id, reterr));
    return ms_change_package_store(txn, t, p, ms_package_due(p), reterr);
}

static enum ms_code auto_renew_op(struct ms_txn *txn, const void *in, void *out,
                                  struct ms_error *reterr) {
    const struct call *c = in;
    struct ms_package_record *p = out;
    struct ms_tenant_record tenant;
    MS_TRY(begin(txn, c, &tenant, reterr));
    MS_TRY(get(txn, c, &tenant, p, reterr));
    if (c->on && (!ms_package_is_valid(p) || p->months == 0))
        return ms_fail(reterr, MS_WRONG_STATE,
                       "auto-renew is refused: the package %s",
                       p->months == 0 ? "has no end" : "ran out: renew it first");
    if (p->auto_renew == c->on)
        return MS_OK;
    p->auto_renew = c->on;
    struct bound b = {.txn = txn,
                      .tenant = &tenant,
                      .id = c->ctx->tenant,
                      .who = c->ctx->who,
                      .event = c->on ? MS_EVENT_AUTO_RENEW_ON : MS_EVENT_AUTO_RENEW_OFF,
                      .at = ms_txn_instant(txn),
                      .why = ""};
    MS_TRY(tell_bound(&b, c->id, reterr));
    return ms_change_package_store(txn, c->ctx->tenant, p, ms_package_due(p), reterr);
}

/* ---- units ----------------------------------------------------------------------------------- */

static enum ms_code may_bind(const struct ms_package_record *p, const struct ms_asset_record *asset,
                             struct ms_error *reterr) {
    const char *type = ms_asset_type_name((enum ms_asset_type)asset->type);
    if (!ms_package_fits(p->kind, asset->type))
        return ms_fail(reterr, MS_INVALID, "a unit of %s is not for a %s",
                       ms_package_kind_name(p->kind), type);
    if (!ms_package_id_is_none((struct ms_package_id){asset->package}))
        return ms_fail(reterr, MS_EXISTS, "asset %s is bound to package %s already",
                       ms_id_text(asset->id).s, ms_id_text(asset->package).s);
    if (ms_package_left(p) == 0)
        return ms_fail(reterr, MS_QUOTA,
                       "registering a %s needs a valid unit: package %s is %s, %" PRIu64
                       " of its %" PRIu64 " units are used: buy or renew one",
                       type, p->name, ms_package_state_name(p->state), p->used, p->amount);
    return MS_OK;
}

/* Needs: may_bind. One whose renewal waits is valid: its unit is taken, its term stays what it is. */
static enum ms_code take_unit(const struct bound *b, struct ms_package_record *p,
                              struct ms_asset_record *asset, struct ms_error *reterr) {
    struct ms_asset_id id = {asset->id};
    p->used++;
    asset->package = p->id;
    MS_TRY(ms_row_put_asset(b->txn, ms_key_asset(b->id, id), asset, reterr));
    MS_TRY(ms_row_put_id(b->txn, ms_key_bound(b->id, (struct ms_package_id){p->id}, id), asset->id,
                         reterr));
    if (p->auto_renew)
        MS_TRY(tell_asset(b, id, reterr));
    return ms_change_package_store(b->txn, b->id, p, ms_package_due(p), reterr);
}

static struct bound binding(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                            const char *who) {
    return (struct bound){.txn = txn,
                          .tenant = tenant,
                          .id = {tenant->id},
                          .who = who,
                          .event = MS_EVENT_AUTO_RENEW_ON,
                          .at = ms_txn_instant(txn),
                          .why = "bound to a package that renews itself"};
}

static enum ms_code bind_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    const struct call *c = in;
    struct ms_package_record *p = out;
    struct ms_tenant_id t = c->ctx->tenant;
    struct ms_asset_record asset;
    struct ms_tenant_record tenant;
    struct ms_instant now = ms_txn_instant(txn);
    MS_TRY(begin(txn, c, &tenant, reterr));
    MS_TRY(get_any(txn, c, p, reterr));
    MS_TRY(ms_row_get_asset(txn, ms_key_asset(t, c->asset), &asset, reterr));
    MS_TRY(ms_change_overdue(txn, &tenant, &asset, now, reterr));
    if (asset.rest == MS_STATE_DELETED)
        return ms_fail(reterr, MS_NOT_FOUND, "the asset is deleted for good");
    MS_TRY(may_bind(p, &asset, reterr));
    struct bound b = binding(txn, &tenant, c->ctx->who);
    return take_unit(&b, p, &asset, reterr);
}

bool ms_package_is_registered(uint8_t origin, uint8_t type) {
    return origin != MS_ORIGIN_SYSTEM && (ms_package_fits(MS_PACKAGE_MODELING_2D, type) ||
                                          ms_package_fits(MS_PACKAGE_VOICE_CLONE, type));
}

/* What the tenant has for a type. */
struct units {
    struct ms_package_record first; /* valid, with units left, the one that ends first */
    bool there;
    uint64_t packages, valid, used, amount; /* the latter two of valid ones */
};

static bool ends_before(const struct ms_package_record *a, const struct ms_package_record *b) {
    struct ms_terms x = ms_package_terms(a), y = ms_package_terms(b);
    int64_t d = ms_terms_end(&x).ms - ms_terms_end(&y).ms;
    return d != 0 ? d < 0 : memcmp(a->id.b, b->id.b, MS_ID_BYTES) < 0;
}

static enum ms_code units_of(const struct ms_tree *t, uint8_t type, struct units *ret_units,
                             struct ms_error *reterr) {
    struct ms_key prefix = ms_key_packages_of(t->id);
    struct ms_package_record p;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    *ret_units = (struct units){.there = false};
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_package(&scan, &key, &p, reterr)) == MS_OK) {
        struct units *u = ret_units;
        ms_package_at(&t->tenant, &p, t->now, t->unasked);
        if (!ms_package_fits(p.kind, type))
            continue;
        u->packages++;
        if (!ms_package_is_valid(&p))
            continue;
        u->valid++;
        u->used += p.used;
        u->amount += p.amount;
        if (ms_package_left(&p) == 0 || (u->there && !ends_before(&p, &u->first)))
            continue;
        u->first = p;
        u->there = true;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_package_units_left(const struct ms_tree *t, uint8_t type, uint64_t *ret_left,
                                   struct ms_error *reterr) {
    struct units units;
    MS_TRY(units_of(t, type, &units, reterr));
    *ret_left = units.amount - units.used;
    return MS_OK;
}

static enum ms_code needs_unit(const struct ms_tree *t, uint8_t type, struct units *ret_units,
                               struct ms_error *reterr) {
    bool model = ms_package_fits(MS_PACKAGE_MODELING_2D, type);
    MS_TRY(units_of(t, type, ret_units, reterr));
    if (ret_units->there)
        return MS_OK;
    return ms_fail(reterr, MS_QUOTA,
                   "registering a %s needs a valid unit of %s: tenant %s has %" PRIu64
                   " such packages, %" PRIu64 " of them valid, %" PRIu64 " of whose %" PRIu64
                   " units are used: buy or renew one",
                   ms_asset_type_name((enum ms_asset_type)type),
                   ms_package_kind_name(model ? MS_PACKAGE_MODELING_2D : MS_PACKAGE_VOICE_CLONE),
                   t->tenant.name, ret_units->packages, ret_units->valid, ret_units->used,
                   ret_units->amount);
}

enum ms_code ms_package_may_register(const struct ms_tree *t, uint8_t type,
                                     struct ms_error *reterr) {
    struct units units;
    return needs_unit(t, type, &units, reterr);
}

enum ms_code ms_package_register(const struct ms_tree *t, struct ms_asset_record *asset,
                                 struct ms_error *reterr) {
    struct bound b = binding(t->txn, &t->tenant, t->who);
    struct ms_key key = ms_key_asset(t->id, (struct ms_asset_id){asset->id});
    struct units units;
    if (!ms_package_is_registered(asset->origin, asset->type) ||
        !ms_package_id_is_none((struct ms_package_id){asset->package}))
        return MS_OK;
    MS_TRY(ms_packages_settled(t->txn, &t->tenant, t->now, t->unasked, reterr));
    MS_TRY(needs_unit(t, asset->type, &units, reterr));
    MS_TRY(take_unit(&b, &units.first, asset, reterr));
    return ms_row_get_asset(t->txn, key, asset, reterr); /* its life may have moved too */
}

/* ---- entry points ---------------------------------------------------------------------------- */

static enum ms_code check_text(const char *what, const char *text, size_t max,
                               struct ms_error *reterr) {
    size_t n = text ? strlen(text) : 0;
    if (n == 0 || n > max)
        return ms_fail(reterr, MS_INVALID, "the %s has 1 to %zu bytes, this one %zu", what, max, n);
    return ms_line_check(what, text, max, reterr);
}

static enum ms_code run(struct ms_svc *svc, const struct call *c, ms_write_fn *fn,
                        struct ms_package_record *ret_package, struct ms_error *reterr) {
    struct ms_package_record p;
    struct ms_error err = {0};
    struct ms_write write = {.fn = fn,
                             .in = c,
                             .out = &p,
                             .out_size = sizeof p,
                             .fence = ms_store_fence(svc->store)};
    if (!c->ctx->admin)
        return ms_fail(reterr, MS_DENIED,
                       "changing packages is refused to %s: only an administrator may do this",
                       c->ctx->who);
    if (svc->read_only)
        return ms_fail(reterr, MS_READ_ONLY,
                       "the store %s is open read-only: nothing can be changed", svc->dir);
    enum ms_code code = ms_store_write(svc->store, &write, &err);
    if (code == MS_OK)
        *ret_package = p;
    return ms_pass_up(code, &err, reterr);
}

enum ms_code ms_package_buy(struct ms_svc *svc, const struct ms_ctx *ctx,
                            const struct ms_package_order *order,
                            struct ms_package_record *ret_package, struct ms_error *reterr) {
    struct call c = {.ctx = ctx, .unasked = ms_payments_unasked(svc), .order = order};
    MS_TRY(check_text("order's id", order->order, MS_ORDER_MAX, reterr));
    MS_TRY(check_text("package's name", order->name, MS_PACKAGE_NAME_MAX, reterr));
    if (order->kind >= MS_PACKAGE_KIND_COUNT || order->source >= MS_PACKAGE_SOURCE_COUNT)
        return ms_fail(reterr, MS_INVALID, "there is no such kind or source of package");
    if (order->amount == 0 || order->amount > INT64_MAX)
        return ms_fail(reterr, MS_RANGE, "a package holds 1 to 2^63 - 1, not %" PRIu64,
                       order->amount);
    if (order->auto_renew && order->months == 0)
        return ms_fail(reterr, MS_INVALID, "a package without end does not renew itself");
    return run(svc, &c, buy_op, ret_package, reterr);
}

enum ms_code ms_package_renew_by(struct ms_svc *svc, const struct ms_ctx *ctx,
                                 struct ms_package_id id, const char *order, uint32_t terms,
                                 struct ms_package_record *ret_package, struct ms_error *reterr) {
    struct call c = {.ctx = ctx,
                     .unasked = ms_payments_unasked(svc),
                     .id = id,
                     .order_id = order,
                     .terms = terms};
    MS_TRY(check_text("order's id", order, MS_ORDER_MAX, reterr));
    return run(svc, &c, renew_op, ret_package, reterr);
}

enum ms_code ms_package_set_auto_renew(struct ms_svc *svc, const struct ms_ctx *ctx,
                                       struct ms_package_id id, bool on,
                                       struct ms_package_record *ret_package,
                                       struct ms_error *reterr) {
    struct call c = {.ctx = ctx, .unasked = ms_payments_unasked(svc), .id = id, .on = on};
    return run(svc, &c, auto_renew_op, ret_package, reterr);
}

enum ms_code ms_package_bind(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_package_id id,
                             struct ms_asset_id asset, struct ms_package_record *ret_package,
                             struct ms_error *reterr) {
    struct call c = {.ctx = ctx, .unasked = ms_payments_unasked(svc), .id = id, .asset = asset};
    return run(svc, &c, bind_op, ret_package, reterr);
}

/* ---- all of them ----------------------------------------------------------------------------- */

struct packages {
    struct ms_package_record *list;
    size_t n, cap;
};

static enum ms_code add(struct packages *to, const struct ms_package_record *p,
                        struct ms_error *reterr) {
    if (to->n == to->cap) {
        size_t cap = to->cap ? 2 * to->cap : 16;
        struct ms_package_record *list = realloc(to->list, cap * sizeof *list);
        if (!list)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu packages", cap);
        to->list = list;
        to->cap = cap;
    }
    to->list[to->n++] = *p;
    return MS_OK;
}

/* As they are at now. */
static enum ms_code list_in(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                            struct ms_instant now, bool unasked, struct packages *to,
                            struct ms_error *reterr) {
    struct ms_key prefix = ms_key_packages_of((struct ms_tenant_id){tenant->id});
    struct ms_package_record p;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while ((code = ms_row_next_package(&scan, &key, &p, reterr)) == MS_OK) {
        ms_package_at(tenant, &p, now, unasked);
        if ((code = add(to, &p, reterr)) != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_package_list(struct ms_svc *svc, const struct ms_ctx *ctx,
                             struct ms_package_record **ret_list, size_t *ret_n,
                             struct ms_error *reterr) {
    struct packages found = {0};
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = list_in(t.txn, &t.tenant, t.now, t.unasked, &found, reterr);
    ms_tree_read_end(&t);
    if (code != MS_OK) {
        free(found.list);
        return code;
    }
    *ret_list = found.list;
    *ret_n = found.n;
    return MS_OK;
}

/* ---- minutes --------------------------------------------------------------------------------- */

struct draw {
    struct packages packages;
    struct ms_minutes *minutes;
    char (*id)[MS_ID_TEXT_LEN + 1];
    size_t n;
};

/* One that waits is looked at as it will be when it is paid. */
static enum ms_code draw_from(struct draw *d, struct ms_error *reterr) {
    size_t n = d->packages.n + 1;
    d->minutes = calloc(n, sizeof *d->minutes);
    d->id = calloc(n, sizeof *d->id);
    if (!d->minutes || !d->id)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu packages", n);
    for (size_t i = 0; i < d->packages.n; i++) {
        const struct ms_package_record *p = &d->packages.list[i];
        struct ms_terms terms = ms_package_terms(p);
        if (p->kind != MS_PACKAGE_VIDEO_MINUTES || !ms_package_is_valid(p))
            continue;
        ms_id_format(p->id, d->id[d->n]);
        d->minutes[d->n] = (struct ms_minutes){.end = ms_terms_end(&terms),
                                               .id = d->id[d->n],
                                               .id_len = MS_ID_TEXT_LEN,
                                               .left = ms_package_left(p),
                                               .key = (uint32_t)i};
        d->n++;
    }
    return MS_OK;
}

/* Minutes of those before it, and of no other, are the same whatever the answer is. */
static enum ms_code none_of_waiting(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                    const struct draw *d, struct ms_instant now,
                                    struct ms_error *reterr) {
    struct ms_tenant_id t = {tenant->id};
    for (size_t i = 0; i < d->n; i++) {
        const struct ms_package_record *p = &d->packages.list[d->minutes[i].key];
        struct ms_package_record stored;
        if (ms_package_left(p) == d->minutes[i].left)
            continue;
        MS_TRY(ms_row_get_package(txn, ms_key_package(t, (struct ms_package_id){p->id}), &stored,
                                  reterr));
        if (ms_package_waits(tenant, &stored, now))
            return refuse_waiting(&stored, reterr);
    }
    return MS_OK;
}

static enum ms_code take_minutes(struct ms_txn *txn, struct ms_tenant_id tenant,
                                 const struct draw *d, struct ms_error *reterr) {
    for (size_t i = 0; i < d->n; i++) {
        struct ms_package_record *p = &d->packages.list[d->minutes[i].key];
        if (ms_package_left(p) == d->minutes[i].left)
            continue;
        p->used = p->amount - d->minutes[i].left;
        MS_TRY(ms_change_package_store(txn, tenant, p, ms_package_due(p), reterr));
    }
    return MS_OK;
}

enum ms_code ms_package_draw(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                             const struct ms_package_drawing *drawing, uint64_t *ret_rest,
                             struct ms_error *reterr) {
    struct draw d = {.n = 0};
    enum ms_code code = list_in(txn, tenant, drawing->now, true, &d.packages, reterr);
    if (code == MS_OK)
        code = draw_from(&d, reterr);
    if (code == MS_OK)
        *ret_rest = (uint64_t)ms_minutes_draw(d.minutes, d.n, drawing->hundredths);
    if (code == MS_OK && !drawing->unasked)
        code = none_of_waiting(txn, tenant, &d, drawing->now, reterr);
    if (code == MS_OK && drawing->take)
        code = take_minutes(txn, (struct ms_tenant_id){tenant->id}, &d, reterr);
    free(d.packages.list);
    free(d.minutes);
    free(d.id);
    return code;
}
