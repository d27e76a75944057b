/* Counters with what time has brought about, and nobody has swept. */
#include "service/change.h"

#include "quota/package.h"
#include "quota/quota.h"
#include "service/package.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"

#define OVERDUE_MAX 4096u

struct counting {
    struct ms_txn *txn;
    struct ms_tenant_record owner;
    struct ms_tenant_id id;
    struct ms_instant now;
    bool unasked;
    struct ms_usage_record usage;
};

/* Counters that would leave their range are damage: fsck's, and no reason to show nothing. */
static void take(uint64_t *counter, uint64_t n) { *counter -= n < *counter ? n : *counter; }

static uint64_t *counter_of(struct ms_usage_record *usage, enum ms_class class) {
    return class == MS_CLASS_STANDARD        ? &usage->standard
           : class == MS_CLASS_PRODUCED_FREE ? &usage->produced_free
           : class == MS_CLASS_PRODUCED      ? &usage->produced
                                             : &usage->excluded;
}

/* ---- assets ---------------------------------------------------------------------------------- */

static enum ms_code life_at(const struct counting *c, const struct ms_asset_record *asset,
                            struct ms_life *ret_life, struct ms_error *reterr) {
    struct ms_lc_facts facts = {
        .now = c->now, .origin = asset->origin, .retention_ms = c->owner.retention_ms};
    struct ms_life life = ms_asset_life(asset);
    facts.mask = ms_tenant_mask(&c->owner, c->now);
    if (!ms_package_id_is_none((struct ms_package_id){asset->package}))
        MS_TRY(ms_package_effective(c->txn, &c->owner, asset, &facts, c->unasked, &life, reterr));
    *ret_life = ms_tenant_life(&c->owner, &life, &facts, NULL, NULL);
    return MS_OK;
}

static bool is_freed(const struct ms_asset_record *asset, const struct ms_life *life) {
    return life->rest == MS_STATE_DELETED ||
           (life->fail == MS_FAIL_TIMEOUT && asset->fail != MS_FAIL_TIMEOUT);
}

/* Its declarations are over too. */
static enum ms_code take_reserved(struct counting *c, struct ms_asset_id asset,
                                  struct ms_error *reterr) {
    struct ms_key prefix = ms_key_files_of(c->id, asset);
    struct ms_file_record file;
    struct ms_upload_record upload;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    if (c->usage.reserved == 0)
        return MS_OK;
    ms_scan_prefix(&scan, c->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_file(&scan, &key, &file, reterr)) == MS_OK) {
        struct ms_key row = ms_key_upload(c->id, (struct ms_file_id){file.id});
        bool there;
        code = ms_allow_absent(ms_row_get_upload(c->txn, row, &upload, reterr), &there);
        if (code != MS_OK)
            break;
        if (there)
            take(&c->usage.reserved, upload.reserved);
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code count_asset(struct counting *c, const struct ms_asset_record *asset,
                                struct ms_error *reterr) {
    struct ms_usage_record *u = &c->usage;
    struct ms_life life;
    MS_TRY(life_at(c, asset, &life, reterr));
    bool gone = life.rest == MS_STATE_DELETED, freed = is_freed(asset, &life);
    uint64_t left = freed ? 0 : asset->bytes;
    take(counter_of(u, (enum ms_class)asset->counted), asset->bytes);
    *counter_of(u, ms_class_of(asset->origin, asset->type, asset->created, c->now)) += left;
    if (asset->binned) {
        take(&u->binned_assets, 1);
        take(&u->binned_bytes, asset->bytes);
    }
    if (life.binned && !gone) {
        u->binned_assets++;
        u->binned_bytes += left;
    }
    take(&u->assets, gone);
    take(&u->inodes, gone && asset->ino != 0);
    return freed ? take_reserved(c, (struct ms_asset_id){asset->id}, reterr) : MS_OK;
}

static bool is_overdue(const struct counting *c, const struct ms_asset_record *asset) {
    return asset->due_kind != MS_DUE_NONE && asset->due_at.ms <= c->now.ms;
}

/* ---- packages -------------------------------------------------------------------------------- */

/* Those that have an overdue row of their own are counted with that. */
static enum ms_code count_bound(struct counting *c, struct ms_package_id package,
                                struct ms_error *reterr) {
    struct ms_key prefix = ms_key_bound_to(c->id, package);
    struct ms_asset_record asset;
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code;
    ms_scan_prefix(&scan, c->txn, ms_key_view(&prefix));
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        struct ms_asset_id id = {ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES + MS_ID_BYTES)};
        bool there;
        code = ms_allow_absent(ms_row_get_asset(c->txn, ms_key_asset(c->id, id), &asset, reterr),
                               &there);
        if (code == MS_OK && there && !is_overdue(c, &asset))
            code = count_asset(c, &asset, reterr);
        if (code != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

/* A package whose last term is over has no capacity any more; at its end what is bound to it is deleted. */
static enum ms_code count_package(struct counting *c, struct ms_package_id id,
                                  struct ms_error *reterr) {
    struct ms_package_record p;
    bool there;
    MS_TRY(ms_allow_absent(ms_row_get_package(c->txn, ms_key_package(c->id, id), &p, reterr),
                           &there));
    if (!there)
        return MS_OK;
    bool was = ms_package_is_valid(&p), ended = p.state == MS_PACKAGE_ENDED;
    ms_package_at(&c->owner, &p, c->now, c->unasked);
    if (p.kind == MS_PACKAGE_ASSET_MANAGER && was && !ms_package_is_valid(&p))
        take(&c->usage.extra_allowance, p.amount);
    return p.state == MS_PACKAGE_ENDED && !ended ? count_bound(c, id, reterr) : MS_OK;
}

/* ---- the two indexes ------------------------------------------------------------------------- */

/* A row whose asset is gone is damage, and fsck's. */
static enum ms_code count_row(struct counting *c, uint8_t kind, struct ms_id id,
                              struct ms_error *reterr) {
    struct ms_asset_record asset;
    bool there;
    if (kind == MS_DUE_ARREARS)
        return MS_OK;
    if (kind == MS_DUE_PACKAGE)
        return count_package(c, (struct ms_package_id){id}, reterr);
    struct ms_key key = ms_key_asset(c->id, (struct ms_asset_id){id});
    MS_TRY(ms_allow_absent(ms_row_get_asset(c->txn, key, &asset, reterr), &there));
    return there ? count_asset(c, &asset, reterr) : MS_OK;
}

static enum ms_code count_dues(struct counting *c, struct ms_error *reterr) {
    struct ms_key from = ms_key_dues_of(c->id);
    struct ms_key to = ms_key_due(c->id, ms_instant_add_ms(c->now, 1), 0, (struct ms_id){{0}});
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code = MS_OK;
    ms_scan_begin(&scan, c->txn, ms_key_view(&from), ms_key_view(&to));
    for (unsigned n = 0; code == MS_OK && n < OVERDUE_MAX; n++) {
        struct ms_tenant_id of;
        struct ms_instant at;
        struct ms_id id;
        uint8_t kind;
        code = ms_scan_next(&scan, &key, &value, reterr);
        if (code == MS_OK)
            code = ms_key_split_due(key, &of, &at, &kind, &id, reterr);
        if (code == MS_OK)
            code = count_row(c, kind, id, reterr);
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

/* Of an asset that goes altogether its declarations were counted with it. */
static enum ms_code count_upload(struct counting *c, struct ms_file_id id,
                                 struct ms_error *reterr) {
    struct ms_upload_record upload;
    struct ms_asset_record asset;
    struct ms_file_record file;
    struct ms_life life;
    bool there;
    MS_TRY(ms_allow_absent(ms_row_get_upload(c->txn, ms_key_upload(c->id, id), &upload, reterr),
                           &there));
    struct ms_asset_id of = {upload.asset};
    if (there)
        MS_TRY(ms_allow_absent(ms_row_get_asset(c->txn, ms_key_asset(c->id, of), &asset, reterr),
                               &there));
    if (there)
        MS_TRY(ms_allow_absent(ms_row_get_file(c->txn, ms_key_file(c->id, of, id), &file, reterr),
                               &there));
    if (!there)
        return MS_OK;
    MS_TRY(life_at(c, &asset, &life, reterr));
    if (!is_freed(&asset, &life) && ms_upload_ends(&c->owner, &life, &file, c->now).ms <= c->now.ms)
        take(&c->usage.reserved, upload.reserved);
    return MS_OK;
}

static enum ms_code count_uploads(struct counting *c, struct ms_error *reterr) {
    struct ms_key from = ms_key_filedues_of(c->id);
    struct ms_key to =
        ms_key_filedue(c->id, ms_instant_add_ms(c->now, 1), (struct ms_file_id){{{0}}});
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code = MS_OK;
    ms_scan_begin(&scan, c->txn, ms_key_view(&from), ms_key_view(&to));
    for (unsigned n = 0; code == MS_OK && n < OVERDUE_MAX; n++) {
        struct ms_tenant_id of;
        struct ms_file_id file;
        struct ms_instant at;
        code = ms_scan_next(&scan, &key, &value, reterr);
        if (code == MS_OK)
            code = ms_key_split_filedue(key, &of, &at, &file, reterr);
        if (code == MS_OK)
            code = count_upload(c, file, reterr);
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

/* The arrears have ended: all assets are deleted. What open files reserve goes when these are closed. */
static enum ms_code forget_assets(struct counting *c, struct ms_error *reterr) {
    struct ms_usage_record *u = &c->usage;
    struct ms_key prefix = ms_key_leases_of(c->id);
    struct ms_lease_record lease;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    u->standard = u->produced_free = u->produced = u->excluded = 0;
    u->assets = u->binned_assets = u->binned_bytes = u->reserved = 0;
    ms_scan_prefix(&scan, c->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_lease(&scan, &key, &lease, reterr)) == MS_OK)
        u->reserved += lease.bytes;
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_usage_now(struct ms_txn *txn, struct ms_tenant_id tenant, struct ms_instant now,
                          bool unasked, struct ms_usage_record *ret_usage,
                          struct ms_error *reterr) {
    struct counting c = {.txn = txn, .id = tenant, .now = now, .unasked = unasked};
    MS_TRY(ms_row_get_tenant(txn, ms_key_tenant(tenant), &c.owner, reterr));
    MS_TRY(ms_row_get_usage(txn, ms_key_usage(tenant), &c.usage, reterr));
    struct ms_arrears a = ms_tenant_arrears(&c.owner);
    bool over = a.stage != MS_ARREARS_ENDED && ms_arrears_at(a, now) == MS_ARREARS_ENDED;
    MS_TRY(count_dues(&c, reterr));
    MS_TRY(count_uploads(&c, reterr));
    if (over)
        MS_TRY(forget_assets(&c, reterr));
    *ret_usage = c.usage;
    return MS_OK;
}
