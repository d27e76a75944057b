#include "service/change.h"

#include "base/checked.h"
#include "quota/package.h"
#include "quota/quota.h"
#include "service/arrears.h"
#include "service/chain.h"
#include "service/package.h"
#include "service/treeop.h"
#include "service/writeback.h"

#include <inttypes.h>
#include <stdio.h>

enum ms_code ms_change_begin(struct ms_txn *txn, struct ms_tenant_id tenant,
                             struct ms_tenant_record *ret_tenant, struct ms_error *reterr) {
    enum ms_code code = ms_row_get_tenant(txn, ms_key_tenant(tenant), ret_tenant, reterr);
    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, MS_NO_TENANT, "there is no tenant %s", ms_id_text(tenant.id).s);
    if (code != MS_OK)
        return code;
    ms_txn_not_before(txn, ret_tenant->closed_until);
    return MS_OK;
}

/* ---- bytes: counters and ledger move together ------------------------------------------------ */

/* The counters follow the event, by the same fold with which fsck recomputes them. One that would
 * leave its range is drift: it is reported, never clamped. */
static enum ms_code move_counters(struct ms_usage_record *usage,
                                  const struct ms_asset_record *asset,
                                  const struct ms_ledger_record *event, struct ms_error *reterr) {
    enum ms_usage_fault fault = ms_usage_apply(usage, event);
    if (fault != MS_USAGE_FINE)
        return ms_fail(reterr, fault == MS_USAGE_OVERFLOW ? MS_RANGE : MS_CORRUPT,
                       "asset %s from %" PRIu64 " to %" PRIu64 " bytes: %s; run msasset fsck",
                       ms_id_text(asset->id).s, event->bytes_before, event->bytes_after,
                       ms_usage_fault_text(fault));
    uint64_t rest = 0;
    if (asset->binned && ms_sub_u64(usage->binned_bytes, event->bytes_before, &rest))
        return ms_fail(reterr, MS_CORRUPT, "binned bytes would fall below zero: run msasset fsck");
    if (asset->binned)
        usage->binned_bytes = rest + event->bytes_after;
    return MS_OK;
}

static enum ms_code move_bytes(struct ms_txn *txn, struct ms_tenant_id tenant,
                               struct ms_asset_record *asset, struct ms_ledger_record *event,
                               struct ms_error *reterr) {
    struct ms_usage_record usage;
    event->asset = asset->id;
    event->type = asset->type;
    event->origin = asset->origin;
    event->asset_created = asset->created;
    event->class_before = asset->counted;
    event->bytes_before = asset->bytes;
    event->class_after =
        (uint8_t)ms_class_of(asset->origin, asset->type, asset->created, event->at);
    MS_TRY(ms_row_get_usage(txn, ms_key_usage(tenant), &usage, reterr));
    MS_TRY(move_counters(&usage, asset, event, reterr));
    MS_TRY(ms_row_put_usage(txn, ms_key_usage(tenant), &usage, reterr));
    MS_TRY(ms_chain_ledger(txn, tenant, event, reterr));
    asset->bytes = event->bytes_after;
    asset->counted = event->class_after;
    return MS_OK;
}

enum ms_code ms_change_bytes(struct ms_txn *txn, struct ms_tenant_id tenant,
                             struct ms_asset_record *asset, uint64_t bytes, enum ms_why why,
                             struct ms_instant at, struct ms_error *reterr) {
    enum ms_class class = ms_class_of(asset->origin, asset->type, asset->created, at);
    struct ms_ledger_record event = {.at = at, .why = (uint8_t)why, .bytes_after = bytes};
    if (asset->bytes == bytes && asset->counted == class)
        return MS_OK;
    return move_bytes(txn, tenant, asset, &event, reterr);
}

enum ms_code ms_change_produced(struct ms_txn *txn, struct ms_tenant_id tenant,
                                struct ms_asset_record *asset, uint64_t bytes,
                                const struct ms_minutes_used *minutes, struct ms_instant at,
                                struct ms_error *reterr) {
    struct ms_ledger_record event = {
        .at = at,
        .why = MS_WHY_PRODUCE,
        .bytes_after = bytes,
        .seconds = minutes->seconds,
        .hundredths = minutes->hundredths,
        .paid_hundredths = minutes->paid_hundredths,
    };
    MS_ASSERT(asset->produced == MS_PRODUCING);
    MS_ASSERT(asset->bytes == 0);
    asset->created = at;
    asset->produced = MS_PRODUCED;
    return move_bytes(txn, tenant, asset, &event, reterr);
}

const char *ms_why_name(enum ms_why why) {
    static const char *const names[MS_WHY_COUNT] = {
        [MS_WHY_SEAL] = "seal",
        [MS_WHY_DELETE] = "delete",
        [MS_WHY_FAIL] = "fail",
        [MS_WHY_FILE] = "file",
        [MS_WHY_TRANSFER_IN] = "transfer in",
        [MS_WHY_TRANSFER_OUT] = "transfer out",
        [MS_WHY_SETTINGS] = "settings",
        [MS_WHY_PRODUCE] = "produce",
        [MS_WHY_CLASS] = "class",
        [MS_WHY_PACKAGE] = "package",
        [MS_WHY_RENEW] = "renew",
        [MS_WHY_TERM] = "term",
        [MS_WHY_EXPIRE] = "expire",
    };
    return (unsigned)why < MS_WHY_COUNT ? names[why] : "?";
}

enum ms_code ms_change_settings(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                const struct ms_usage_record *usage, struct ms_error *reterr) {
    struct ms_ledger_record event = {
        .at = ms_txn_instant(txn),
        .why = MS_WHY_SETTINGS,
        .free_bytes = tenant->free_bytes,
        .pay_per_use = tenant->pay_per_use,
    };
    if (ms_add_u64(tenant->free_bytes, usage->extra_allowance, &event.allowance) ||
        event.allowance > MS_USAGE_BYTES_MAX)
        return ms_fail(reterr, MS_RANGE,
                       "a free quota of %" PRIu64 " bytes and packages of %" PRIu64
                       " are together above 2^63 - 1",
                       tenant->free_bytes, usage->extra_allowance);
    return ms_chain_ledger(txn, (struct ms_tenant_id){tenant->id}, &event, reterr);
}

enum ms_code ms_change_package(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                               struct ms_id package, const struct ms_package_change *change,
                               struct ms_error *reterr) {
    struct ms_tenant_id id = {tenant->id};
    struct ms_usage_record usage;
    struct ms_ledger_record event = {.at = change->at,
                                     .why = (uint8_t)change->why,
                                     .package = package,
                                     .capacity_more = change->more,
                                     .capacity_less = change->less,
                                     .fee = change->fee,
                                     .terms = change->terms,
                                     .free_bytes = tenant->free_bytes,
                                     .pay_per_use = tenant->pay_per_use};
    MS_TRY(ms_row_get_usage(txn, ms_key_usage(id), &usage, reterr));
    uint64_t extra = usage.extra_allowance;
    if (ms_add_u64(extra, change->more, &extra) || ms_sub_u64(extra, change->less, &extra) ||
        ms_add_u64(tenant->free_bytes, extra, &event.allowance) ||
        event.allowance > MS_USAGE_BYTES_MAX)
        return ms_fail(reterr, MS_RANGE,
                       "packages of %" PRIu64 " bytes, %" PRIu64 " more and %" PRIu64
                       " less, and a free quota of %" PRIu64 " are no allowance below 2^63",
                       usage.extra_allowance, change->more, change->less, tenant->free_bytes);
    usage.extra_allowance = extra;
    MS_TRY(ms_row_put_usage(txn, ms_key_usage(id), &usage, reterr));
    return ms_chain_ledger(txn, id, &event, reterr);
}

enum ms_code ms_change_package_store(struct ms_txn *txn, struct ms_tenant_id tenant,
                                     struct ms_package_record *package, struct ms_instant due,
                                     struct ms_error *reterr) {
    struct ms_due_record row = {.kind = MS_DUE_PACKAGE};
    struct ms_package_id id = {package->id};
    struct ms_instant at = due.ms == INT64_MAX ? (struct ms_instant){0} : due;
    if (at.ms != package->due_at.ms && !ms_instant_is_none(package->due_at))
        MS_TRY(ms_row_del(txn, ms_key_due(tenant, package->due_at, MS_DUE_PACKAGE, package->id),
                          reterr));
    if (at.ms != package->due_at.ms && !ms_instant_is_none(at))
        MS_TRY(ms_row_put_due(txn, ms_key_due(tenant, at, MS_DUE_PACKAGE, package->id), &row,
                              reterr));
    package->due_at = at;
    return ms_row_put_package(txn, ms_key_package(tenant, id), package, reterr);
}

/* ---- life: record, audit row, due row, bin counters, feed ------------------------------------ */

static struct ms_instant class_due(const struct ms_asset_record *asset) {
    struct ms_instant at = {0};
    if (asset->counted == MS_CLASS_PRODUCED_FREE && asset->rest != MS_STATE_DELETED)
        at = ms_class_changes_at(asset->origin, asset->type, asset->created);
    return ms_instant_is_none(at) ? ms_instant_of(INT64_MAX) : at;
}

struct ms_asset_due ms_asset_due(const struct ms_asset_record *asset, struct ms_mask mask) {
    struct ms_life life = ms_asset_life(asset);
    struct ms_lc_due due = ms_lc_due(&life, mask, (struct ms_instant){0});
    struct ms_instant class = class_due(asset);
    if (class.ms < due.at.ms)
        return (struct ms_asset_due){MS_DUE_CLASS, class};
    return (struct ms_asset_due){(uint8_t)due.kind, due.at};
}

const char *ms_asset_due_name(uint8_t kind) {
    if (kind == MS_DUE_CLASS)
        return "CLASS";
    return kind < MS_DUE_COUNT ? ms_due_name((enum ms_due_kind)kind) : "?";
}

/* The asset's one row in DUE. */
static enum ms_code put_due(struct ms_txn *txn, struct ms_tenant_id tenant,
                            struct ms_asset_record *asset, struct ms_asset_due due,
                            struct ms_error *reterr) {
    struct ms_instant at = due.kind == MS_DUE_NONE ? (struct ms_instant){0} : due.at;
    if (asset->due_kind == due.kind && asset->due_at.ms == at.ms)
        return MS_OK;
    if (asset->due_kind != MS_DUE_NONE)
        MS_TRY(
            ms_row_del(txn, ms_key_due(tenant, asset->due_at, asset->due_kind, asset->id), reterr));
    asset->due_kind = due.kind;
    asset->due_at = at;
    if (due.kind == MS_DUE_NONE)
        return MS_OK;
    struct ms_due_record row = {.kind = due.kind};
    return ms_row_put_due(txn, ms_key_due(tenant, at, row.kind, asset->id), &row, reterr);
}

/* It follows the record, keyed by the deadline without the tenant's mask: a mask is O(1) and
 * touches no asset, so the sweep moves rows whose deadline a mask has put off. */
static enum ms_code move_due(struct ms_txn *txn, struct ms_tenant_id tenant,
                             struct ms_asset_record *asset, struct ms_error *reterr) {
    return put_due(txn, tenant, asset, ms_asset_due(asset, (struct ms_mask){0}), reterr);
}

static enum ms_code audit(struct ms_txn *txn, struct ms_tenant_id tenant, const char *who,
                          const struct ms_asset_record *asset, uint8_t event, enum ms_state from,
                          enum ms_state to, struct ms_instant at, const char *why,
                          struct ms_error *reterr) {
    struct ms_audit_record row = {
        .at = at, .asset = asset->id, .event = event, .from = (uint8_t)from, .to = (uint8_t)to};
    (void)snprintf(row.who, sizeof row.who, "%s", who);
    (void)snprintf(row.why, sizeof row.why, "%s", why);
    return ms_chain_audit(txn, tenant, &row, reterr);
}

const char *ms_audit_event_name(uint8_t event) {
    if (event < MS_EVENT_COUNT)
        return ms_event_name((enum ms_event)event);
    static const struct {
        uint8_t event;
        const char *name;
    } names[] = {
        {MS_AUDIT_CREATED, "CREATED"},
        {MS_AUDIT_REQUESTED, "REQUESTED"},
        {MS_AUDIT_REFUSED, "REFUSED"},
        {MS_AUDIT_FILE_DECLARED, "FILE_DECLARED"},
        {MS_AUDIT_FILE_CONFIRMED, "FILE_CONFIRMED"},
        {MS_AUDIT_FILE_CANCELLED, "FILE_CANCELLED"},
        {MS_AUDIT_FILE_FAILED, "FILE_FAILED"},
        {MS_AUDIT_FILE_REMOVED, "FILE_REMOVED"},
        {MS_AUDIT_EDITED, "EDITED"},
        {MS_AUDIT_REVIEW_HUMAN, "REVIEW_HUMAN"},
        {MS_AUDIT_ARREARS_ON, "ARREARS_ON"},
        {MS_AUDIT_ARREARS_OFF, "ARREARS_OFF"},
        {MS_AUDIT_ARREARS_ENDED, "ARREARS_ENDED"},
        {MS_AUDIT_FOLDER_BINNED, "FOLDER_BINNED"},
        {MS_AUDIT_SHARED, "SHARED"},
        {MS_AUDIT_UNSHARED, "UNSHARED"},
        {MS_AUDIT_SHARE_EXPIRED, "SHARE_EXPIRED"},
        {MS_AUDIT_SETTINGS, "SETTINGS"},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++)
        if (names[i].event == event)
            return names[i].name;
    return "?";
}

enum ms_code ms_change_note(struct ms_txn *txn, struct ms_tenant_id tenant, const char *who,
                            struct ms_asset_id asset, uint8_t event, enum ms_state shown,
                            const char *why, struct ms_error *reterr) {
    const struct ms_asset_record about = {.id = asset.id};
    return audit(txn, tenant, who, &about, event, shown, shown, ms_txn_instant(txn), why, reterr);
}

static enum ms_code count_binned(struct ms_txn *txn, struct ms_tenant_id tenant,
                                 const struct ms_asset_record *asset, bool binned,
                                 struct ms_error *reterr) {
    struct ms_usage_record usage;
    MS_TRY(ms_row_get_usage(txn, ms_key_usage(tenant), &usage, reterr));
    if (binned) {
        usage.binned_assets++;
        usage.binned_bytes += asset->bytes;
    } else {
        if (usage.binned_assets == 0 || usage.binned_bytes < asset->bytes)
            return ms_fail(reterr, MS_CORRUPT,
                           "the recycle bin's counters would fall below zero: run msasset fsck");
        usage.binned_assets--;
        usage.binned_bytes -= asset->bytes;
    }
    return ms_row_put_usage(txn, ms_key_usage(tenant), &usage, reterr);
}

/* I12: the case of an asset is there exactly while a verdict on it is outstanding. */
static enum ms_code follow_review(struct ms_txn *txn, struct ms_tenant_id tenant,
                                  const struct ms_asset_record *asset, bool before,
                                  struct ms_error *reterr) {
    struct ms_key key = ms_key_review(tenant, (struct ms_asset_id){asset->id});
    if (before == (asset->in_review != 0))
        return MS_OK;
    if (before)
        return ms_row_del(txn, key, reterr);
    const struct ms_review_record row = {.asset = asset->id, .since = ms_txn_instant(txn)};
    return ms_row_put_review(txn, key, &row, reterr);
}

/* A row about it says what showed when it came, whenever it was applied. */
static bool comes_by_time(enum ms_event event) {
    return event == MS_EVENT_EXPIRE || event == MS_EVENT_PACKAGE_HOLD ||
           event == MS_EVENT_TERMINATE;
}

enum ms_code ms_change_life(struct ms_txn *txn, struct ms_tenant_id tenant, const char *who,
                            struct ms_asset_record *asset, const struct ms_life *next,
                            enum ms_event event, struct ms_instant at, const char *why,
                            struct ms_error *reterr) {
    struct ms_tenant_record owner;
    MS_TRY(ms_row_get_tenant(txn, ms_key_tenant(tenant), &owner, reterr));
    MS_TRY(ms_change_uploads_overdue(txn, &owner, asset, at, reterr));
    struct ms_life before = ms_asset_life(asset);
    struct ms_mask now = ms_tenant_mask(&owner, ms_txn_instant(txn)), mask = now;
    if (comes_by_time(event) || at.ms < ms_txn_instant(txn).ms)
        mask = ms_tenant_mask_at(&owner, at);
    enum ms_state from = ms_lc_shown(&before, mask), to = ms_lc_shown(next, mask);
    if (before.binned != next->binned)
        MS_TRY(count_binned(txn, tenant, asset, next->binned, reterr));
    ms_asset_set_life(asset, next);
    asset->updated = ms_txn_instant(txn);
    MS_TRY(follow_review(txn, tenant, asset, before.in_review, reterr));
    MS_TRY(move_due(txn, tenant, asset, reterr));
    MS_TRY(ms_row_put_asset(txn, ms_key_asset(tenant, (struct ms_asset_id){asset->id}), asset,
                            reterr));
    MS_TRY(audit(txn, tenant, who, asset, (uint8_t)event, from, to, at, why, reterr));
    if (asset->ino == 0)
        return MS_OK;
    /* whoever was shut out must hear that he may read again, as much as whoever is now */
    enum ms_state shows = ms_lc_shown(next, now);
    bool shut = shows == MS_STATE_BLOCK || shows == MS_STATE_DELETED || shows == MS_STATE_FAILED;
    bool other = (ms_lc_rights(&before, now) ^ ms_lc_rights(next, now)) & MS_RIGHT_READ;
    struct ms_feed_row row = {.kind = shut || other ? MS_FEED_FREEZE : MS_FEED_INODE,
                              .tenant = tenant,
                              .ino = asset->ino};
    if (row.kind == MS_FEED_FREEZE)
        (void)snprintf(row.name, sizeof row.name, "%s", ms_id_text(asset->id).s);
    return ms_change_feed(txn, &row, reterr);
}

enum ms_code ms_change_new_asset(struct ms_txn *txn, struct ms_tenant_id tenant, const char *who,
                                 struct ms_asset_record *asset, struct ms_error *reterr) {
    MS_ASSERT(asset->bytes == 0);
    struct ms_usage_record usage;
    MS_TRY(ms_row_get_usage(txn, ms_key_usage(tenant), &usage, reterr));
    usage.assets++;
    MS_TRY(ms_row_put_usage(txn, ms_key_usage(tenant), &usage, reterr));
    struct ms_instant at = ms_txn_instant(txn);
    asset->updated = at;
    asset->counted = (uint8_t)ms_class_of(asset->origin, asset->type, asset->created, at);
    MS_TRY(follow_review(txn, tenant, asset, false, reterr));
    MS_TRY(move_due(txn, tenant, asset, reterr));
    struct ms_asset_id id = {asset->id};
    MS_TRY(ms_row_put_asset(txn, ms_key_asset(tenant, id), asset, reterr));
    MS_TRY(ms_row_put_id(txn, ms_key_aowner(id), tenant.id, reterr));
    return audit(txn, tenant, who, asset, MS_AUDIT_CREATED, MS_STATE_COUNT,
                 (enum ms_state)asset->rest, at, "", reterr);
}

/* ---- reasons --------------------------------------------------------------------------------- */

static void set_text(char to[MS_REASON_MAX + 1], const char *text) {
    ms_reason_cut(text ? text : "", to);
}

void ms_asset_set_reason(struct ms_asset_record *asset, const char *code, const char *reason) {
    bool frozen = asset->holds & MS_HOLD_ADMIN;
    set_text(frozen ? asset->kept_code : asset->reason_code, code);
    set_text(frozen ? asset->kept_reason : asset->reason, reason);
}

void ms_asset_hold_reason(struct ms_asset_record *asset, const char *code, const char *reason) {
    if (!(asset->holds & MS_HOLD_ADMIN)) {
        set_text(asset->kept_code, asset->reason_code);
        set_text(asset->kept_reason, asset->reason);
    }
    set_text(asset->reason_code, code);
    set_text(asset->reason, reason);
}

void ms_asset_lift_reason(struct ms_asset_record *asset) {
    set_text(asset->reason_code, asset->kept_code);
    set_text(asset->reason, asset->kept_reason);
    asset->kept_code[0] = asset->kept_reason[0] = '\0';
}

/* ---- overdue --------------------------------------------------------------------------------- */

struct overdue {
    struct ms_txn *txn;
    const struct ms_tenant_record *tenant;
    struct ms_asset_record *asset;
    struct ms_error *reterr;
    enum ms_code code;
    bool purged;
};

/* A produced video counts from its due instant on, if that lies before `before`. What has no bytes
 * moves none. */
static enum ms_code settle_class(const struct overdue *o, int64_t before_ms) {
    struct ms_tenant_id tenant = {o->tenant->id};
    struct ms_asset_record *asset = o->asset;
    struct ms_instant at = class_due(asset);
    if (at.ms >= before_ms)
        return MS_OK;
    if (asset->bytes > 0)
        MS_TRY(ms_change_bytes(o->txn, tenant, asset, asset->bytes, MS_WHY_CLASS, at, o->reterr));
    asset->counted = MS_CLASS_PRODUCED;
    MS_TRY(move_due(o->txn, tenant, asset, o->reterr));
    return ms_row_put_asset(o->txn, ms_key_asset(tenant, (struct ms_asset_id){asset->id}), asset,
                            o->reterr);
}

static enum ms_code apply_due(struct overdue *o, const struct ms_lc_verdict *step,
                              enum ms_due_kind kind) {
    struct ms_tenant_id tenant = {o->tenant->id};
    MS_TRY(settle_class(o, step->at.ms));
    const char *why = kind == MS_DUE_UPLOAD ? MS_TIMEOUT_REASON : ms_due_name(kind);
    if (step->effects & MS_EFFECT_SCHEDULE_REFUSED)
        why = "SCHEDULED_DELETE refused: bound to a package that renews itself";
    if (step->effects & MS_EFFECT_PURGE) {
        o->purged = true;
        return ms_change_purge(o->txn, tenant, "msasset", o->asset, MS_EVENT_EXPIRE, step->at, why,
                               o->reterr);
    }
    if (step->effects & MS_EFFECT_FREE_BYTES) {
        MS_TRY(ms_change_free(o->txn, tenant, o->asset, MS_WHY_FAIL, step->at, o->reterr));
        ms_asset_set_reason(o->asset, "", why);
    }
    if (step->effects & MS_EFFECT_BIN)
        MS_TRY(ms_change_bin(o->txn, tenant, "msasset", o->asset, step->at, NULL, o->reterr));
    return ms_change_life(o->txn, tenant, "msasset", o->asset, &step->next, MS_EVENT_EXPIRE,
                          step->at, why, o->reterr);
}

static void each_due(void *priv, const struct ms_life *before, const struct ms_lc_verdict *step,
                     enum ms_due_kind kind) {
    (void)before;
    struct overdue *o = priv;
    if (o->code == MS_OK && !o->purged)
        o->code = apply_due(o, step, kind);
}

/* It outlived its own deadlines, and its tenant's arrears ended. */
static enum ms_code end_of_arrears(const struct overdue *o) {
    struct ms_instant at = ms_arrears_end_at(ms_tenant_arrears(o->tenant));
    MS_TRY(settle_class(o, at.ms));
    return ms_change_purge(o->txn, (struct ms_tenant_id){o->tenant->id}, "msasset", o->asset,
                           MS_EVENT_TERMINATE, at, MS_ARREARS_ENDED_REASON, o->reterr);
}

static enum ms_code apply_deadlines(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                    struct ms_asset_record *asset, struct ms_instant now,
                                    struct ms_error *reterr) {
    struct ms_life life = ms_asset_life(asset);
    struct ms_lc_facts facts = {
        .now = now, .origin = asset->origin, .retention_ms = tenant->retention_ms};
    struct overdue o = {txn, tenant, asset, reterr, MS_OK, false};
    if (life.rest == MS_STATE_DELETED)
        return MS_OK;
    struct ms_life next = ms_tenant_life(tenant, &life, &facts, each_due, &o);
    if (o.code != MS_OK || o.purged)
        return o.code;
    if (next.rest == MS_STATE_DELETED)
        return end_of_arrears(&o);
    MS_TRY(ms_change_uploads_overdue(txn, tenant, asset, now, reterr));
    return settle_class(&o, now.ms + 1);
}

/* It went into the bin with its folder: behind what was due before. */
static enum ms_code follow_folder(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                  struct ms_asset_record *asset, struct ms_error *reterr) {
    struct ms_treeop_record op;
    bool there;
    MS_TRY(ms_treeop_of(txn, tenant, asset->ino, &op, &there, reterr));
    if (!there)
        return MS_OK;
    MS_TRY(apply_deadlines(txn, tenant, asset, op.at, reterr));
    if (asset->rest == MS_STATE_DELETED || asset->binned)
        return MS_OK;
    return ms_treeop_apply(txn, tenant, &op, asset, reterr);
}

enum ms_code ms_change_overdue(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                               struct ms_asset_record *asset, struct ms_instant now,
                               struct ms_error *reterr) {
    MS_TRY(follow_folder(txn, tenant, asset, reterr));
    return apply_deadlines(txn, tenant, asset, now, reterr);
}

enum ms_code ms_change_put_off(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                               struct ms_asset_record *asset, struct ms_instant now,
                               struct ms_error *reterr) {
    struct ms_tenant_id id = {tenant->id};
    struct ms_mask mask = ms_tenant_mask(tenant, now);
    struct ms_instant lift = ms_instant_max(now, mask.since);
    mask = ms_lc_mask_lift(mask, MS_HOLD_ADMIN, lift);
    mask = ms_lc_mask_lift(mask, MS_HOLD_ARREARS, lift);
    MS_TRY(put_due(txn, id, asset, ms_asset_due(asset, mask), reterr));
    return ms_row_put_asset(txn, ms_key_asset(id, (struct ms_asset_id){asset->id}), asset, reterr);
}

/* ---- purge ----------------------------------------------------------------------------------- */

/* Delete every row below a prefix. */
static enum ms_code delete_below(struct ms_txn *txn, struct ms_key prefix,
                                 struct ms_error *reterr) {
    struct ms_scan scan;
    struct ms_view key, value;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    enum ms_code code;
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        struct ms_key copy = {.len = key.n};
        MS_ASSERT(key.n <= sizeof copy.bytes);
        memcpy(copy.bytes, key.p, key.n);
        if ((code = ms_row_del(txn, copy, reterr)) != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

/* One name of a file goes; its folder's times follow. */
static enum ms_code remove_name(struct ms_txn *txn, struct ms_tenant_id tenant, uint64_t ino,
                                uint64_t parent, uint64_t seq, struct ms_error *reterr) {
    struct ms_entry_record entry;
    MS_TRY(ms_row_get_entry(txn, ms_key_entry(tenant, parent, seq), &entry, reterr));
    struct ms_name_record name;
    MS_TRY(ms_row_get_name(txn, ms_key_name(tenant, parent, entry.nfc), &name, reterr));
    MS_TRY(ms_row_del(txn, ms_key_name(tenant, parent, entry.nfc), reterr));
    MS_TRY(ms_row_del(txn, ms_key_entry(tenant, parent, seq), reterr));
    MS_TRY(ms_row_del(txn, ms_key_link(tenant, ino, parent, seq), reterr));
    struct ms_inode_record dir;
    MS_TRY(ms_row_get_inode(txn, ms_key_inode(tenant, parent), &dir, reterr));
    struct ms_instant at = ms_txn_instant(txn);
    dir.mtime_s = dir.ctime_s = at.ms / 1000;
    dir.mtime_ns = dir.ctime_ns = (uint32_t)(at.ms % 1000) * 1000000u;
    MS_TRY(ms_row_put_inode(txn, ms_key_inode(tenant, parent), &dir, reterr));
    struct ms_feed_row row = {.kind = MS_FEED_ENTRY, .tenant = tenant, .ino = parent};
    (void)snprintf(row.name, sizeof row.name, "%s", name.spelling);
    return ms_change_feed(txn, &row, reterr);
}

enum ms_code ms_change_remove_names(struct ms_txn *txn, struct ms_tenant_id tenant, uint64_t ino,
                                    struct ms_error *reterr) {
    struct ms_scan scan;
    struct ms_key prefix = ms_key_links_of(tenant, ino);
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    struct ms_view key, value;
    enum ms_code code;
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        uint64_t of, parent, seq;
        code = ms_key_split_link(key, &of, &parent, &seq, reterr);
        if (code == MS_OK)
            code = remove_name(txn, tenant, ino, parent, seq, reterr);
        if (code != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_change_inode_new(struct ms_txn *txn, struct ms_tenant_id tenant,
                                 const struct ms_inode_record *inode, struct ms_error *reterr) {
    struct ms_usage_record usage;
    MS_TRY(ms_row_get_usage(txn, ms_key_usage(tenant), &usage, reterr));
    usage.inodes++;
    MS_TRY(ms_row_put_usage(txn, ms_key_usage(tenant), &usage, reterr));
    return ms_row_put_inode(txn, ms_key_inode(tenant, inode->ino), inode, reterr);
}

enum ms_code ms_change_inode_drop(struct ms_txn *txn, struct ms_tenant_id tenant, uint64_t ino,
                                  struct ms_error *reterr) {
    struct ms_usage_record usage;
    MS_TRY(ms_row_get_usage(txn, ms_key_usage(tenant), &usage, reterr));
    if (usage.inodes == 0)
        return ms_fail(reterr, MS_CORRUPT,
                       "the inode counter would fall below zero: run msasset fsck");
    usage.inodes--;
    MS_TRY(ms_row_put_usage(txn, ms_key_usage(tenant), &usage, reterr));
    MS_TRY(delete_below(txn, ms_key_xattrs_of(tenant, ino), reterr));
    MS_TRY(ms_row_del(txn, ms_key_symlink(tenant, ino), reterr));
    MS_TRY(ms_row_del(txn, ms_key_orphan(tenant, ino), reterr));
    MS_TRY(ms_row_del(txn, ms_key_inode(tenant, ino), reterr));
    struct ms_feed_row row = {.kind = MS_FEED_FREEZE, .tenant = tenant, .ino = ino};
    return ms_change_feed(txn, &row, reterr);
}

/* The new MAIN that waits for review, when no file of its own has it. */
static enum ms_code drop_held(struct ms_txn *txn, struct ms_tenant_id tenant,
                              const struct ms_asset_record *asset, struct ms_error *reterr) {
    struct ms_review_record row;
    if (!asset->in_review)
        return MS_OK;
    MS_TRY(ms_row_get_review(txn, ms_key_review(tenant, (struct ms_asset_id){asset->id}), &row,
                             reterr));
    struct ms_version_id held = {row.held};
    if (ms_version_id_is_none(held) || !ms_file_id_is_none((struct ms_file_id){row.held_file}))
        return MS_OK;
    return ms_change_version_drop(txn, tenant, held, reterr);
}

/* Every file of the asset loses its version; drop_rows takes the file rows too. */
static enum ms_code drop_files(struct ms_txn *txn, struct ms_tenant_id tenant,
                               const struct ms_asset_record *asset, bool drop_rows,
                               struct ms_error *reterr) {
    struct ms_asset_id id = {asset->id};
    struct ms_scan scan;
    struct ms_key prefix = ms_key_files_of(tenant, id);
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    struct ms_view key;
    struct ms_file_record file;
    enum ms_code code;
    while ((code = ms_row_next_file(&scan, &key, &file, reterr)) == MS_OK) {
        struct ms_file_id file_id = {file.id};
        code = ms_change_file_drop(txn, tenant, id, &file, drop_rows, reterr);
        if (code == MS_OK && !drop_rows) {
            memset(&file.version, 0, sizeof file.version);
            if (file.state != MS_FILE_CANCELLED)
                file.state = MS_FILE_FAILED;
            code = ms_row_put_file(txn, ms_key_file(tenant, id, file_id), &file, reterr);
        }
        if (code != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_change_free(struct ms_txn *txn, struct ms_tenant_id tenant,
                            struct ms_asset_record *asset, enum ms_why why, struct ms_instant at,
                            struct ms_error *reterr) {
    MS_TRY(drop_files(txn, tenant, asset, false, reterr));
    return ms_change_bytes(txn, tenant, asset, 0, why, at, reterr);
}

static enum ms_code drop_bin_entry(struct ms_txn *txn, struct ms_tenant_id tenant,
                                   struct ms_asset_id id, struct ms_error *reterr) {
    struct ms_bin_id bin;
    enum ms_code code = ms_row_get_id(txn, ms_key_binasset(tenant, id), &bin.id, NULL);
    if (code == MS_NOT_FOUND)
        return MS_OK;
    if (code != MS_OK)
        return ms_fail(reterr, code, "the bin entry of asset %s cannot be read",
                       ms_id_text(id.id).s);
    struct ms_bin_record row;
    MS_TRY(ms_row_get_bin(txn, ms_key_bin(tenant, bin), &row, reterr));
    MS_TRY(ms_row_del(txn, ms_key_bin(tenant, bin), reterr));
    MS_TRY(ms_row_del(txn, ms_key_binasset(tenant, id), reterr));
    return ms_tree_bin_count(txn, tenant, row.parent, false, reterr);
}

enum ms_code ms_change_unbin(struct ms_txn *txn, struct ms_tenant_id tenant,
                             const struct ms_asset_record *asset, struct ms_error *reterr) {
    return drop_bin_entry(txn, tenant, (struct ms_asset_id){asset->id}, reterr);
}

enum ms_code ms_change_bin(struct ms_txn *txn, struct ms_tenant_id tenant, const char *who,
                           struct ms_asset_record *asset, struct ms_instant at,
                           const struct ms_bin_place *place, struct ms_error *reterr) {
    struct ms_bin_record bin = {
        .id = {{0}}, .asset = asset->id, .ino = asset->ino, .at = at, .bytes = asset->bytes};
    ms_txn_random(txn, bin.id.b, MS_ID_BYTES);
    (void)snprintf(bin.who, sizeof bin.who, "%s", who);
    if (place) {
        bin.parent = place->parent;
        (void)snprintf(bin.name, sizeof bin.name, "%s", place->name);
    } else if (asset->ino != 0) {
        MS_TRY(ms_change_first_place(txn, tenant, asset->ino, &bin.parent, bin.name, reterr));
        MS_TRY(ms_change_remove_names(txn, tenant, asset->ino, reterr));
        struct ms_inode_record inode;
        MS_TRY(ms_row_get_inode(txn, ms_key_inode(tenant, asset->ino), &inode, reterr));
        inode.nlink = 0;
        MS_TRY(ms_row_put_inode(txn, ms_key_inode(tenant, asset->ino), &inode, reterr));
    }
    struct ms_asset_id id = {asset->id};
    MS_TRY(ms_tree_bin_count(txn, tenant, bin.parent, true, reterr));
    MS_TRY(ms_row_put_bin(txn, ms_key_bin(tenant, (struct ms_bin_id){bin.id}), &bin, reterr));
    return ms_row_put_id(txn, ms_key_binasset(tenant, id), bin.id, reterr);
}

enum ms_code ms_change_first_place(struct ms_txn *txn, struct ms_tenant_id tenant, uint64_t ino,
                                   uint64_t *ret_parent, char ret_name[MS_NAME_BYTES_MAX + 1],
                                   struct ms_error *reterr) {
    struct ms_scan scan;
    struct ms_key prefix = ms_key_links_of(tenant, ino);
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    struct ms_view key, value;
    uint64_t of, seq, parent = 0;
    enum ms_code code = ms_scan_next(&scan, &key, &value, reterr);
    if (code == MS_OK)
        code = ms_key_split_link(key, &of, &parent, &seq, reterr);
    ms_scan_end(&scan);
    if (code != MS_OK)
        return code;
    struct ms_entry_record entry;
    MS_TRY(ms_row_get_entry(txn, ms_key_entry(tenant, parent, seq), &entry, reterr));
    struct ms_name_record name;
    MS_TRY(ms_row_get_name(txn, ms_key_name(tenant, parent, entry.nfc), &name, reterr));
    *ret_parent = parent;
    memcpy(ret_name, name.spelling, sizeof name.spelling);
    return MS_OK;
}

static enum ms_code uncount_asset(struct ms_txn *txn, struct ms_tenant_id tenant,
                                  struct ms_error *reterr) {
    struct ms_usage_record usage;
    MS_TRY(ms_row_get_usage(txn, ms_key_usage(tenant), &usage, reterr));
    if (usage.assets == 0)
        return ms_fail(reterr, MS_CORRUPT,
                       "the asset counter would fall below zero: run msasset fsck");
    usage.assets--;
    return ms_row_put_usage(txn, ms_key_usage(tenant), &usage, reterr);
}

/* Its unit stays used. */
static enum ms_code unbind(struct ms_txn *txn, struct ms_tenant_id tenant,
                           struct ms_asset_record *asset, struct ms_error *reterr) {
    struct ms_package_id package = {asset->package};
    struct ms_key key = ms_key_bound(tenant, package, (struct ms_asset_id){asset->id});
    if (ms_package_id_is_none(package) || !ms_txn_has(txn, ms_key_view(&key)))
        return MS_OK;
    asset->package = (struct ms_id){{0}};
    return ms_row_del(txn, key, reterr);
}

enum ms_code ms_change_purge(struct ms_txn *txn, struct ms_tenant_id tenant, const char *who,
                             struct ms_asset_record *asset, enum ms_event event,
                             struct ms_instant at, const char *why, struct ms_error *reterr) {
    struct ms_asset_id id = {asset->id};
    struct ms_tenant_record owner;
    MS_TRY(ms_row_get_tenant(txn, ms_key_tenant(tenant), &owner, reterr));
    MS_TRY(ms_change_uploads_overdue(txn, &owner, asset, at, reterr));
    MS_TRY(ms_change_shares_drop(txn, tenant, id, at, reterr));
    MS_TRY(drop_held(txn, tenant, asset, reterr));
    MS_TRY(drop_files(txn, tenant, asset, true, reterr));
    MS_TRY(ms_change_bytes(txn, tenant, asset, 0, MS_WHY_DELETE, at, reterr));
    MS_TRY(drop_bin_entry(txn, tenant, id, reterr));
    MS_TRY(unbind(txn, tenant, asset, reterr));
    struct ms_life next = ms_asset_life(asset);
    ms_lc_end(&next);
    uint64_t ino = asset->ino;
    MS_TRY(ms_change_life(txn, tenant, who, asset, &next, event, at, why, reterr));
    if (ino != 0) {
        MS_TRY(ms_change_remove_names(txn, tenant, ino, reterr));
        MS_TRY(ms_change_inode_drop(txn, tenant, ino, reterr));
    }
    MS_TRY(uncount_asset(txn, tenant, reterr));
    MS_TRY(ms_row_del(txn, ms_key_aowner(id), reterr));
    return ms_row_del(txn, ms_key_asset(tenant, id), reterr);
}

/* ---- another tenant's ------------------------------------------------------------------------ */

static enum ms_code hand_over(struct ms_txn *txn, struct ms_tenant_id tenant,
                              struct ms_tenant_id peer, struct ms_asset_record *asset,
                              uint64_t bytes, enum ms_why why, struct ms_error *reterr) {
    struct ms_ledger_record event = {.at = ms_txn_instant(txn),
                                     .why = (uint8_t)why,
                                     .bytes_after = bytes,
                                     .peer = peer.id};
    return asset->bytes == bytes ? MS_OK : move_bytes(txn, tenant, asset, &event, reterr);
}

static enum ms_code send(struct ms_txn *txn, struct ms_tenant_id from, struct ms_tenant_id to,
                         const char *who, struct ms_asset_record *asset, const char *why,
                         struct ms_error *reterr) {
    const struct ms_asset_due none = {.kind = MS_DUE_NONE};
    struct ms_life life = ms_asset_life(asset);
    enum ms_state shown = ms_lc_shown(&life, (struct ms_mask){0});
    MS_ASSERT(!asset->binned);
    MS_TRY(hand_over(txn, from, to, asset, 0, MS_WHY_TRANSFER_OUT, reterr));
    MS_TRY(put_due(txn, from, asset, none, reterr));
    MS_TRY(audit(txn, from, who, asset, MS_EVENT_TRANSFER, shown, MS_STATE_COUNT,
                 ms_txn_instant(txn), why, reterr));
    MS_TRY(uncount_asset(txn, from, reterr));
    return ms_row_del(txn, ms_key_asset(from, (struct ms_asset_id){asset->id}), reterr);
}

enum ms_code ms_change_transfer(struct ms_txn *txn, struct ms_tenant_id from,
                                struct ms_tenant_id to, const char *who,
                                struct ms_asset_record *asset, const struct ms_life *next,
                                uint64_t ino, const char *why, struct ms_error *reterr) {
    struct ms_asset_id id = {asset->id};
    struct ms_instant at = ms_txn_instant(txn);
    struct ms_usage_record usage;
    uint64_t bytes = asset->bytes;
    MS_TRY(unbind(txn, from, asset, reterr));
    MS_TRY(ms_change_shares_drop(txn, from, id, at, reterr));
    MS_TRY(send(txn, from, to, who, asset, why, reterr));
    ms_asset_set_life(asset, next);
    asset->ino = ino;
    asset->updated = at;
    asset->app_user_id[0] = '\0';
    asset->from_mount = 0;
    asset->counted = (uint8_t)ms_class_of(asset->origin, asset->type, asset->created, at);
    MS_TRY(ms_row_get_usage(txn, ms_key_usage(to), &usage, reterr));
    usage.assets++;
    MS_TRY(ms_row_put_usage(txn, ms_key_usage(to), &usage, reterr));
    MS_TRY(hand_over(txn, to, from, asset, bytes, MS_WHY_TRANSFER_IN, reterr));
    MS_TRY(move_due(txn, to, asset, reterr));
    MS_TRY(ms_row_put_asset(txn, ms_key_asset(to, id), asset, reterr));
    MS_TRY(ms_row_put_id(txn, ms_key_aowner(id), to.id, reterr));
    return audit(txn, to, who, asset, MS_EVENT_TRANSFER, MS_STATE_COUNT,
                 ms_lc_shown(next, (struct ms_mask){0}), at, why, reterr);
}

/* ---- references of objects ------------------------------------------------------------------- */

enum ms_code ms_change_object_take(struct ms_txn *txn, struct ms_object_id object,
                                   struct ms_error *reterr) {
    struct ms_object_record row;
    MS_TRY(ms_row_get_object(txn, ms_key_object(object), &row, reterr));
    if (row.refs == UINT32_MAX)
        return ms_fail(reterr, MS_LINKS, "object %s has 2^32 - 1 references", row.key);
    row.refs++;
    return ms_row_put_object(txn, ms_key_object(object), &row, reterr);
}

enum ms_code ms_change_object_release(struct ms_txn *txn, struct ms_tenant_id tenant,
                                      struct ms_object_id object, struct ms_error *reterr) {
    struct ms_object_record row;
    MS_TRY(ms_row_get_object(txn, ms_key_object(object), &row, reterr));
    if (row.refs == 0)
        return ms_fail(reterr, MS_CORRUPT, "object %s is released once too often", row.key);
    if (--row.refs > 0)
        return ms_row_put_object(txn, ms_key_object(object), &row, reterr);
    MS_TRY(ms_local_end(txn, &row, reterr));
    struct ms_tombstone_record tomb = {.object = object.id,
                                       .size = row.size,
                                       .dead_since = ms_txn_instant(txn),
                                       .tenant = tenant.id};
    memcpy(tomb.key, row.key, sizeof tomb.key);
    MS_TRY(ms_row_put_tombstone(txn, ms_key_tomb(object), &tomb, reterr));
    MS_TRY(ms_row_mark_dead(txn, tenant, object, reterr));
    return ms_row_del(txn, ms_key_object(object), reterr);
}

enum ms_code ms_change_version_drop(struct ms_txn *txn, struct ms_tenant_id tenant,
                                    struct ms_version_id version, struct ms_error *reterr) {
    struct ms_version_record row;
    MS_TRY(ms_row_get_version(txn, ms_key_version(tenant, version), &row, reterr));
    MS_TRY(ms_row_del(txn, ms_key_version(tenant, version), reterr));
    MS_TRY(ms_row_del(txn, ms_key_facts(tenant, version), reterr));
    struct ms_object_id object = {row.object};
    return ms_object_id_is_none(object) ? MS_OK : ms_change_object_release(txn, tenant, object, reterr);
}

/* ---- quota ----------------------------------------------------------------------------------- */

enum ms_code ms_change_reserve(struct ms_txn *txn, struct ms_tenant_id tenant,
                               struct ms_instance_id instance, uint64_t ino, uint64_t want,
                               uint64_t at_least, bool unasked, uint64_t *ret_granted,
                               struct ms_error *reterr) {
    struct ms_tenant_record owner;
    struct ms_usage_record usage, now;
    MS_TRY(ms_row_get_tenant(txn, ms_key_tenant(tenant), &owner, reterr));
    MS_TRY(ms_row_get_usage(txn, ms_key_usage(tenant), &usage, reterr));
    MS_TRY(ms_usage_now(txn, tenant, ms_txn_instant(txn), unasked, &now, reterr));
    uint64_t left = ms_usage_left(&owner, &now);
    uint64_t granted = want < left ? want : left;
    if (granted < at_least || granted == 0) {
        *ret_granted = 0;
        return MS_OK;
    }
    struct ms_lease_record lease;
    struct ms_key key = ms_key_lease(tenant, ino, instance);
    enum ms_code code = ms_row_get_lease(txn, key, &lease, NULL);
    if (code == MS_NOT_FOUND)
        lease = (struct ms_lease_record){.instance = instance.id, .ino = ino};
    else if (code != MS_OK)
        return ms_fail(reterr, code, "the quota lease of inode %" PRIu64 " cannot be read", ino);
    lease.bytes += granted;
    usage.reserved += granted;
    MS_TRY(ms_row_put_lease(txn, key, &lease, reterr));
    MS_TRY(ms_row_put_usage(txn, ms_key_usage(tenant), &usage, reterr));
    *ret_granted = granted;
    return MS_OK;
}

enum ms_code ms_change_unreserve(struct ms_txn *txn, struct ms_tenant_id tenant,
                                 struct ms_instance_id instance, uint64_t ino, uint64_t keep_bytes,
                                 struct ms_error *reterr) {
    struct ms_lease_record lease;
    struct ms_key key = ms_key_lease(tenant, ino, instance);
    enum ms_code code = ms_row_get_lease(txn, key, &lease, NULL);
    if (code == MS_NOT_FOUND)
        return MS_OK;
    if (code != MS_OK)
        return ms_fail(reterr, code, "the quota lease of inode %" PRIu64 " cannot be read", ino);
    if (keep_bytes > 0 && keep_bytes >= lease.bytes)
        return MS_OK;
    struct ms_usage_record usage;
    MS_TRY(ms_row_get_usage(txn, ms_key_usage(tenant), &usage, reterr));
    uint64_t back = lease.bytes - keep_bytes;
    if (usage.reserved < back)
        return ms_fail(reterr, MS_CORRUPT,
                       "reserved bytes would fall below zero: run msasset fsck");
    usage.reserved -= back;
    lease.bytes = keep_bytes;
    MS_TRY(ms_row_put_usage(txn, ms_key_usage(tenant), &usage, reterr));
    return keep_bytes ? ms_row_put_lease(txn, key, &lease, reterr) : ms_row_del(txn, key, reterr);
}

uint64_t ms_usage_left(const struct ms_tenant_record *tenant, const struct ms_usage_record *usage) {
    uint64_t allowance, used;
    if (ms_add_u64(tenant->free_bytes, usage->extra_allowance, &allowance))
        allowance = UINT64_MAX;
    if (ms_add_u64(usage->standard, usage->produced, &used) ||
        ms_add_u64(used, usage->reserved, &used))
        return 0;
    return used >= allowance ? 0 : allowance - used;
}

/* ---- feed ------------------------------------------------------------------------------------ */

enum ms_code ms_change_feed(struct ms_txn *txn, const struct ms_feed_row *row,
                            struct ms_error *reterr) {
    uint8_t bytes[32 + MS_NAME_BYTES_MAX];
    struct ms_writer w = ms_writer_on(bytes, sizeof bytes);
    ms_write_u8(&w, row->kind);
    ms_write_bytes(&w, row->tenant.id.b, MS_ID_BYTES);
    ms_write_u64(&w, row->ino);
    ms_write_str(&w, row->name, MS_NAME_BYTES_MAX);
    MS_ASSERT(!w.failed);
    return ms_txn_feed(txn, ms_writer_view(&w), reterr);
}

enum ms_code ms_feed_decode(struct ms_view change, struct ms_feed_row *ret_row,
                            struct ms_error *reterr) {
    struct ms_reader r = ms_reader_on(change);
    struct ms_feed_row row;
    row.kind = ms_read_u8(&r);
    ms_read_bytes(&r, row.tenant.id.b, MS_ID_BYTES);
    row.ino = ms_read_u64(&r);
    ms_read_str(&r, row.name, MS_NAME_BYTES_MAX);
    if (!ms_reader_done(&r))
        return ms_fail(reterr, MS_CORRUPT, "a row of the change feed does not decode");
    *ret_row = row;
    return MS_OK;
}
