#include "service/standing.h"

#include "service/package.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"

#include <stdio.h>
#include <string.h>

static struct ms_mask recorded_mask(const struct ms_tenant_record *tenant) {
    return (struct ms_mask){.holds = tenant->mask_holds,
                            .since = tenant->mask_since,
                            .lifted_at = tenant->mask_lifted,
                            .lifted_before = tenant->mask_lifted_before};
}

struct ms_arrears ms_tenant_arrears(const struct ms_tenant_record *tenant) {
    return (struct ms_arrears){tenant->arrears_since, tenant->arrears};
}

struct ms_mask ms_tenant_mask(const struct ms_tenant_record *tenant, struct ms_instant now) {
    return ms_arrears_mask(ms_tenant_arrears(tenant), recorded_mask(tenant), now);
}

struct ms_mask ms_tenant_mask_at(const struct ms_tenant_record *tenant, struct ms_instant due) {
    return ms_arrears_mask_at(ms_tenant_arrears(tenant), recorded_mask(tenant), due);
}

struct ms_life ms_tenant_life(const struct ms_tenant_record *tenant, const struct ms_life *life,
                              const struct ms_lc_facts *facts,
                              void (*each)(void *priv, const struct ms_life *before,
                                           const struct ms_lc_verdict *step, enum ms_due_kind kind),
                              void *priv) {
    struct ms_lc_facts then = *facts;
    then.mask = recorded_mask(tenant);
    return ms_arrears_life(ms_tenant_arrears(tenant), life, &then, each, priv);
}

/* ---- what is not applied yet ------------------------------------------------------------------ */

static enum ms_code package_waits(const struct ms_tree *t, struct ms_id id, bool *ret_waits,
                                  struct ms_error *reterr) {
    struct ms_package_record p;
    MS_TRY(ms_row_get_package(t->txn, ms_key_package(t->id, (struct ms_package_id){id}), &p,
                              reterr));
    *ret_waits = ms_package_waits(&t->tenant, &p, t->now);
    return MS_OK;
}

static enum ms_code first_due(const struct ms_tree *t, struct ms_scan *scan,
                              struct ms_error *reterr) {
    struct ms_view key, value;
    struct ms_tenant_id tenant;
    struct ms_instant at;
    struct ms_id id;
    uint8_t kind;
    bool passed = true;
    while (passed) {
        MS_TRY(ms_scan_next(scan, &key, &value, reterr));
        MS_TRY(ms_key_split_due(key, &tenant, &at, &kind, &id, reterr));
        passed = kind == MS_DUE_ARREARS;
        if (kind == MS_DUE_PACKAGE)
            MS_TRY(package_waits(t, id, &passed, reterr));
    }
    return MS_OK;
}

enum ms_code ms_tenant_has_due(const struct ms_tree *t, struct ms_instant before, bool *ret_has,
                               struct ms_error *reterr) {
    struct ms_key from = ms_key_dues_of(t->id);
    struct ms_key to = ms_key_due(t->id, before, 0, (struct ms_id){{0}});
    struct ms_scan scan;
    ms_scan_begin(&scan, t->txn, ms_key_view(&from), ms_key_view(&to));
    enum ms_code code = first_due(t, &scan, reterr);
    ms_scan_end(&scan);
    *ret_has = code == MS_OK;
    return ms_absent_is_fine(code, reterr);
}

/* ---- in words -------------------------------------------------------------------------------- */

struct dates {
    char since[MS_RFC3339_S_LEN + 1], hold[MS_RFC3339_S_LEN + 1], end[MS_RFC3339_S_LEN + 1];
};

static struct dates dates_of(struct ms_arrears a) {
    struct dates d;
    ms_instant_format_s(a.since, d.since);
    ms_instant_format_s(ms_arrears_hold_at(a), d.hold);
    ms_instant_format_s(ms_arrears_end_at(a), d.end);
    return d;
}

void ms_tenant_warning(const struct ms_tenant_record *tenant, struct ms_instant now,
                       ms_warning ret_text) {
    struct ms_arrears a = ms_tenant_arrears(tenant);
    size_t max = sizeof(ms_warning);
    ret_text[0] = '\0';
    if (a.stage == MS_ARREARS_NONE)
        return;
    struct dates d = dates_of(a);
    switch (ms_arrears_at(a, now)) {
    case MS_ARREARS_GRACE:
        (void)snprintf(ret_text, max,
                       "a payment is missing since %s: the tenant is frozen from %s on and all its "
                       "assets are deleted at %s, unless it is paid",
                       d.since, d.hold, d.end);
        break;
    case MS_ARREARS_HELD:
        (void)snprintf(ret_text, max,
                       "a payment is missing since %s: all assets of the tenant are deleted at %s, "
                       "unless it is paid",
                       d.since, d.end);
        break;
    case MS_ARREARS_ENDED:
        (void)snprintf(ret_text, max,
                       "a payment is missing since %s: all assets of the tenant were deleted at %s",
                       d.since, d.end);
        break;
    case MS_ARREARS_NONE:
    case MS_ARREARS_COUNT:
        break;
    }
}

/* "one; two" */
static void join(ms_warning text, const char *one, const char *two) {
    (void)snprintf(text, sizeof(ms_warning), "%.330s%s%.330s", one, one[0] && two[0] ? "; " : "",
                   two);
}

void ms_tenant_why(const struct ms_tenant_record *tenant, struct ms_instant now,
                   ms_warning ret_text) {
    uint8_t holds = ms_tenant_mask(tenant, now).holds;
    ms_warning arrears = "";
    if (holds & MS_HOLD_ARREARS)
        ms_tenant_warning(tenant, now, arrears);
    if ((holds & MS_HOLD_ARREARS) && !arrears[0])
        (void)snprintf(arrears, sizeof arrears, "a payment is missing");
    join(ret_text, holds & MS_HOLD_ADMIN ? tenant->mask_reason : "", arrears);
}

/* ---- packages -------------------------------------------------------------------------------- */

static void package_warning(const struct ms_package_record *p, ms_warning ret_text) {
    char ended[MS_RFC3339_S_LEN + 1], held[MS_RFC3339_S_LEN + 1], gone[MS_RFC3339_S_LEN + 1];
    ret_text[0] = '\0';
    if (p->state != MS_PACKAGE_GRACE && p->state != MS_PACKAGE_HELD)
        return;
    struct ms_instant hold = ms_instant_add_ms(p->ended, MS_PACKAGE_GRACE_MS);
    ms_instant_format_s(p->ended, ended);
    ms_instant_format_s(hold, held);
    ms_instant_format_s(ms_instant_add_ms(hold, MS_PACKAGE_RETENTION_MS), gone);
    if (p->state == MS_PACKAGE_GRACE)
        (void)snprintf(
            ret_text, sizeof(ms_warning),
            "its package %s ran out at %s: the asset is frozen from %s on and deleted at "
            "%s, unless the package is renewed",
            p->name, ended, held, gone);
    else
        (void)snprintf(
            ret_text, sizeof(ms_warning),
            "its package %s ran out at %s: the asset is deleted at %s, unless the package "
            "is renewed",
            p->name, ended, gone);
}

enum ms_code ms_asset_warning(const struct ms_tree *t, const struct ms_asset_record *asset,
                              ms_warning ret_text, struct ms_error *reterr) {
    struct ms_package_id id = {asset->package};
    struct ms_package_record p;
    ms_warning whole, own = "";
    bool there = false;
    ms_tenant_warning(&t->tenant, t->now, whole);
    if (!ms_package_id_is_none(id))
        MS_TRY(ms_allow_absent(ms_row_get_package(t->txn, ms_key_package(t->id, id), &p, reterr),
                               &there));
    if (there)
        ms_package_at(&t->tenant, &p, t->now, t->unasked);
    if (there)
        package_warning(&p, own);
    join(ret_text, whole, own);
    return MS_OK;
}
