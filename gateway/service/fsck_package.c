/* fsck of a tenant's packages: I5 due rows, I13 what they add to the allowance, and what is bound to them. */
#include "service/fsck_part.h"

#include "quota/package.h"
#include "service/package.h"

#include <inttypes.h>

/* ---- each package ---------------------------------------------------------------------------- */

static enum ms_code check_package(void *priv, struct ms_txn *txn, struct ms_view key,
                                  struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_tenant_id t = {f->tenant.id};
    struct ms_package_record p;
    struct ms_due_record row;
    struct ms_error err = {0};
    enum ms_fsck_seen seen;
    if (!ms_fsck_decoded(f, ms_package_decode(value, &p, &err), key, &err))
        return MS_OK;
    if (!ms_id_is(p.id, ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)))
        ms_fsck_finding(f, "I13", "tenant %s: package %s lies under another id", f->tenant.name,
                        ms_id_text(p.id).s);
    struct ms_instant due = ms_package_due(&p);
    if (p.due_at.ms != (due.ms == INT64_MAX ? 0 : due.ms))
        ms_fsck_finding(f, "I5",
                        "tenant %s: package %s is due at %" PRId64 " ms, its record says %" PRId64
                        " ms",
                        f->tenant.name, ms_id_text(p.id).s, due.ms, p.due_at.ms);
    if (ms_instant_is_none(p.due_at))
        return MS_OK;
    MS_TRY(ms_fsck_see(
        ms_row_get_due(txn, ms_key_due(t, p.due_at, MS_DUE_PACKAGE, p.id), &row, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "I5",
                        "tenant %s: package %s names a due row (%" PRId64 " ms) that is not there",
                        f->tenant.name, ms_id_text(p.id).s, p.due_at.ms);
    return MS_OK;
}

/* ---- what is bound --------------------------------------------------------------------------- */

static enum ms_code check_bound(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_tenant_id t = {f->tenant.id};
    struct ms_id package = ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES),
                 id = ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES + MS_ID_BYTES), said;
    struct ms_asset_record asset;
    struct ms_package_record p;
    enum ms_fsck_seen seen[2];
    bool same = value.n == sizeof said && memcmp(value.p, id.b, sizeof id.b) == 0;
    struct ms_key of_asset = ms_key_asset(t, (struct ms_asset_id){id});
    struct ms_key of_package = ms_key_package(t, (struct ms_package_id){package});
    MS_TRY(ms_fsck_see(ms_row_get_asset(txn, of_asset, &asset, reterr), &seen[0]));
    MS_TRY(ms_fsck_see(ms_row_get_package(txn, of_package, &p, reterr), &seen[1]));
    if (!same || seen[0] == MS_FSCK_ABSENT || seen[1] == MS_FSCK_ABSENT ||
        (seen[0] == MS_FSCK_THERE && !ms_id_is(asset.package, package)))
        ms_fsck_finding(f, "I13", "tenant %s: asset %s is bound to package %s, which %s",
                        f->tenant.name, ms_id_text(id).s, ms_id_text(package).s,
                        !same                          ? "its row does not say"
                        : seen[0] == MS_FSCK_ABSENT    ? "is not so: there is no such asset"
                        : seen[1] == MS_FSCK_ABSENT    ? "is not there"
                                                       : "its record does not name");
    else if (seen[0] == MS_FSCK_THERE && seen[1] == MS_FSCK_THERE &&
             asset.auto_renew != p.auto_renew)
        ms_fsck_finding(f, "I13",
                        "tenant %s: asset %s says that its package %s renews itself: %s; it does: %s",
                        f->tenant.name, ms_id_text(id).s, ms_id_text(package).s,
                        asset.auto_renew ? "yes" : "no", p.auto_renew ? "yes" : "no");
    return MS_OK;
}

/* ---- what they add to the allowance ----------------------------------------------------------- */

struct capacity {
    uint64_t bytes;
    bool whole; /* none was unreadable */
};

static enum ms_code add(void *priv, struct ms_txn *txn, struct ms_view key, struct ms_view value,
                        struct ms_error *reterr) {
    struct capacity *c = priv;
    struct ms_package_record p;
    (void)txn, (void)key, (void)reterr;
    if (ms_package_decode(value, &p, NULL) != MS_OK)
        c->whole = false;
    else if (p.kind == MS_PACKAGE_ASSET_MANAGER && ms_package_is_valid(&p))
        c->bytes += p.amount;
    return MS_OK;
}

static void damaged(void *priv, struct ms_view key, const struct ms_error *err) {
    (void)key, (void)err;
    ((struct capacity *)priv)->whole = false;
}

static enum ms_code check_capacity(struct ms_fsck *f, struct ms_txn *txn, void *priv,
                                   struct ms_error *reterr) {
    struct ms_tenant_id t = {f->tenant.id};
    struct capacity c = {.whole = true};
    struct ms_walk walk = {
        .prefix = ms_key_packages_of(t), .each = add, .priv = &c, .damaged = damaged};
    struct ms_usage_record usage;
    enum ms_fsck_seen seen;
    (void)priv;
    MS_TRY(ms_walk_in(txn, &walk, reterr));
    MS_TRY(ms_fsck_see(ms_row_get_usage(txn, ms_key_usage(t), &usage, reterr), &seen));
    if (seen == MS_FSCK_THERE && c.whole && usage.extra_allowance != c.bytes)
        ms_fsck_finding(f, "I13",
                        "tenant %s: usage counts %" PRIu64 " bytes of packages' capacity, those that "
                        "are valid have %" PRIu64,
                        f->tenant.name, usage.extra_allowance, c.bytes);
    return MS_OK;
}

enum ms_code ms_fsck_packages(struct ms_fsck *f, struct ms_error *reterr) {
    struct ms_tenant_id t = {f->tenant.id};
    struct ms_key bound = ms_table_of_tenant(ms_key_bound_to(t, (struct ms_package_id){{{0}}}));
    MS_TRY(ms_fsck_walk(f, ms_key_packages_of(t), check_package, reterr));
    MS_TRY(ms_fsck_walk(f, bound, check_bound, reterr));
    return ms_fsck_read(f, check_capacity, NULL, reterr);
}
