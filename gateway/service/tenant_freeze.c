/* The freeze of a tenant as a whole: a mask over all its assets, by an administrator or by arrears. */
#include "service/arrears.h"
#include "service/asset_in.h"
#include "service/chain.h"
#include "service/package.h"
#include "service/tenant.h"
#include "service/upkeep.h"
#include "service/upkeep_walk.h"

#include <stdio.h>

struct hold_args {
    enum ms_hold hold;
    bool on;
    const char *reason;
};

/* The first row that says that a declared file was due, whose row in the log says what its asset showed then. */
static enum ms_code first_file_due(const struct ms_tree *t, struct ms_error *reterr) {
    struct ms_key from = ms_key_filedues_of(t->id);
    struct ms_key to = ms_key_filedue(t->id, ms_instant_add_ms(t->tenant.mask_since, 1),
                                      (struct ms_file_id){{{0}}});
    struct ms_view key, value;
    struct ms_scan scan;
    ms_scan_begin(&scan, t->txn, ms_key_view(&from), ms_key_view(&to));
    enum ms_code code = ms_scan_next(&scan, &key, &value, reterr);
    ms_scan_end(&scan);
    return code;
}

/* The mask remembers the freeze before this one only, so what was due when the last one began is
 * applied first. */
static enum ms_code nothing_due_before(const struct ms_tree *t, struct ms_error *reterr) {
    bool has;
    if (ms_instant_is_none(t->tenant.mask_since))
        return MS_OK;
    MS_TRY(ms_tenant_has_due(t, ms_instant_add_ms(t->tenant.mask_since, 1), &has, reterr));
    if (!has) {
        enum ms_code code = first_file_due(t, reterr);
        if (code != MS_OK)
            return ms_absent_is_fine(code, reterr);
    }
    return ms_fail(reterr, MS_BUSY,
                   "deadlines from before the last freeze of tenant %s are not applied yet: "
                   "run msasset sweep and try again",
                   t->tenant.name);
}

/* ---- the record ------------------------------------------------------------------------------ */

/* A change of the mask, dated and told by somebody. */
struct change {
    enum ms_hold hold;
    bool on;
    struct ms_instant at;
    const char *who, *why;
};

static enum ms_code audit_change(const struct ms_tree *t, const struct change *c,
                                 enum ms_state from, enum ms_state to, struct ms_error *reterr) {
    struct ms_audit_record row = {.at = c->at,
                                  .event = (uint8_t)(c->on ? MS_EVENT_FREEZE : MS_EVENT_UNFREEZE),
                                  .from = (uint8_t)from,
                                  .to = (uint8_t)to};
    (void)snprintf(row.who, sizeof row.who, "%s", c->who);
    (void)snprintf(row.why, sizeof row.why, "%s", c->why ? c->why : "");
    return ms_chain_audit(t->txn, t->id, &row, reterr);
}

/* The reason is the administrator's: arrears have words of their own (ms_tenant_why). */
static void set_mask(struct ms_tenant_record *tenant, struct ms_mask mask, const struct change *c) {
    tenant->mask_holds = mask.holds;
    tenant->mask_since = mask.since;
    tenant->mask_lifted = mask.lifted_at;
    tenant->mask_lifted_before = mask.lifted_before;
    if (c->hold == MS_HOLD_ADMIN)
        (void)snprintf(tenant->mask_reason, sizeof tenant->mask_reason, "%s",
                       c->on && c->why ? c->why : "");
}

/* Needs: t->tenant.mask_holds differs by it. The record is not stored. */
static enum ms_code change_mask(struct ms_tree *t, const struct change *c,
                                struct ms_error *reterr) {
    struct ms_mask mask = {.holds = t->tenant.mask_holds,
                           .since = t->tenant.mask_since,
                           .lifted_at = t->tenant.mask_lifted,
                           .lifted_before = t->tenant.mask_lifted_before};
    if (c->on && mask.holds == 0)
        MS_TRY(nothing_due_before(t, reterr));
    struct ms_mask next = c->on ? ms_lc_mask_freeze(mask, (uint8_t)c->hold, c->at)
                                : ms_lc_mask_lift(mask, (uint8_t)c->hold, c->at);
    set_mask(&t->tenant, next, c);
    return audit_change(t, c, mask.holds ? MS_STATE_BLOCK : MS_STATE_ACTIVED,
                        next.holds ? MS_STATE_BLOCK : MS_STATE_ACTIVED, reterr);
}

/* ---- arrears --------------------------------------------------------------------------------- */

static struct ms_key due_key(const struct ms_tenant_record *tenant, struct ms_instant at) {
    return ms_key_due((struct ms_tenant_id){tenant->id}, at, MS_DUE_ARREARS, tenant->id);
}

enum ms_code ms_arrears_due_row(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                struct ms_error *reterr) {
    const struct ms_due_record row = {.kind = MS_DUE_ARREARS};
    struct ms_instant at = ms_arrears_due(ms_tenant_arrears(tenant));
    return at.ms == INT64_MAX ? MS_OK : ms_row_put_due(txn, due_key(tenant, at), &row, reterr);
}

/* Its due row follows; the record is stored. */
static enum ms_code set_stage(struct ms_tree *t, enum ms_arrears_stage stage,
                              struct ms_error *reterr) {
    struct ms_instant due = ms_arrears_due(ms_tenant_arrears(&t->tenant));
    if (due.ms != INT64_MAX)
        MS_TRY(ms_row_del(t->txn, due_key(&t->tenant, due), reterr));
    if (stage == MS_ARREARS_NONE)
        t->tenant.arrears_since = (struct ms_instant){0};
    t->tenant.arrears = (uint8_t)stage;
    MS_TRY(ms_arrears_due_row(t->txn, &t->tenant, reterr));
    return ms_tenant_put(t, reterr);
}

enum ms_code ms_arrears_record_hold(struct ms_tree *t, struct ms_error *reterr) {
    struct ms_arrears a = ms_tenant_arrears(&t->tenant);
    const struct change hold = {.hold = MS_HOLD_ARREARS,
                                .on = true,
                                .at = ms_arrears_hold_at(a),
                                .who = "msasset",
                                .why = "a payment is missing, and the grace period is over"};
    if (a.stage != MS_ARREARS_GRACE || hold.at.ms > t->now.ms)
        return MS_OK;
    if (!(t->tenant.mask_holds & MS_HOLD_ARREARS))
        MS_TRY(change_mask(t, &hold, reterr));
    return set_stage(t, MS_ARREARS_HELD, reterr);
}

static enum ms_code note(const struct ms_tree *t, uint8_t event, const char *who,
                         struct ms_instant at, const char *why, struct ms_error *reterr) {
    enum ms_state shown = t->tenant.mask_holds ? MS_STATE_BLOCK : MS_STATE_ACTIVED;
    struct ms_audit_record row = {
        .at = at, .event = event, .from = (uint8_t)shown, .to = (uint8_t)shown};
    (void)snprintf(row.who, sizeof row.who, "%s", who);
    (void)snprintf(row.why, sizeof row.why, "%s", why ? why : "");
    return ms_chain_audit(t->txn, t->id, &row, reterr);
}

struct arrears_args {
    bool on;
    const char *reason;
};

static enum ms_code begin_arrears(struct ms_tree *t, const char *reason, struct ms_error *reterr) {
    MS_TRY(note(t, MS_AUDIT_ARREARS_ON, t->who, t->now, reason, reterr));
    t->tenant.arrears_since = t->now;
    return set_stage(t, MS_ARREARS_GRACE, reterr);
}

static enum ms_code not_ended_yet(const struct ms_tree *t, struct ms_error *reterr) {
    struct ms_arrears a = ms_tenant_arrears(&t->tenant);
    if (ms_arrears_at(a, t->now) != MS_ARREARS_ENDED || a.stage == MS_ARREARS_ENDED)
        return MS_OK;
    return ms_fail(
        reterr, MS_BUSY,
        "the retention period of the arrears of tenant %s is over, and not all its assets "
        "are deleted yet: run msasset sweep and try again",
        t->tenant.name);
}

/* What came of the arrears while they lasted stays: packages that ran out, assets that are deleted. */
static enum ms_code end_arrears(struct ms_tree *t, const char *reason, struct ms_error *reterr) {
    const struct change lift = {
        .hold = MS_HOLD_ARREARS, .at = t->now, .who = t->who, .why = reason};
    MS_TRY(ms_packages_settled(t->txn, &t->tenant, t->now, t->unasked, reterr));
    MS_TRY(ms_package_outcome_open(t->txn, &t->tenant, t->now, reterr));
    MS_TRY(not_ended_yet(t, reterr));
    MS_TRY(ms_arrears_record_hold(t, reterr));
    MS_TRY(note(t, MS_AUDIT_ARREARS_OFF, t->who, t->now, reason, reterr));
    if (t->tenant.mask_holds & MS_HOLD_ARREARS)
        MS_TRY(change_mask(t, &lift, reterr));
    return set_stage(t, MS_ARREARS_NONE, reterr);
}

static enum ms_code arrears_op(struct ms_txn *txn, const void *in, void *out,
                               struct ms_error *reterr) {
    const struct arrears_args *args = ((const struct ms_tree_call *)in)->args;
    struct ms_tree t;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    bool is_on = t.tenant.arrears != MS_ARREARS_NONE;
    if (args->on && !is_on)
        MS_TRY(begin_arrears(&t, args->reason, reterr));
    if (!args->on && is_on)
        MS_TRY(end_arrears(&t, args->reason, reterr));
    *(struct ms_tenant_record *)out = t.tenant;
    return MS_OK;
}

/* ---- the end of arrears ---------------------------------------------------------------------- */

/* Assets behind *after, which moves on. *ret_more: there are further ones. */
static enum ms_code delete_some(struct ms_tree *t, struct ms_asset_id *after, unsigned max,
                                unsigned *ret_deleted, bool *ret_more, struct ms_error *reterr) {
    struct ms_key from = ms_key_asset(t->id, *after), to;
    struct ms_asset_id top;
    struct ms_asset_record asset;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code = MS_OK;
    memset(&top, 0xff, sizeof top);
    to = ms_key_asset(t->id, top);
    from.bytes[from.len++] = 0;
    ms_scan_begin(&scan, t->txn, ms_key_view(&from), ms_key_view(&to));
    while (code == MS_OK && *ret_deleted < max) {
        if ((code = ms_row_next_asset(&scan, &key, &asset, reterr)) == MS_OK) {
            *after = (struct ms_asset_id){asset.id};
            code = ms_change_overdue(t->txn, &t->tenant, &asset, t->now, reterr);
        }
        *ret_deleted += code == MS_OK;
    }
    ms_scan_end(&scan);
    *ret_more = code == MS_OK;
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code has_assets(const struct ms_tree *t, bool *ret_has, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_assets_of(t->id);
    struct ms_scan scan;
    struct ms_view key, value;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    enum ms_code code = ms_scan_next(&scan, &key, &value, reterr);
    ms_scan_end(&scan);
    *ret_has = code != MS_NOT_FOUND; /* one that cannot be read is one */
    return code == MS_CORRUPT ? MS_OK : ms_absent_is_fine(code, reterr);
}

enum ms_code ms_arrears_end(struct ms_txn *txn, const struct ms_arrears_end *in,
                            struct ms_arrears_ended *ret_ended, struct ms_error *reterr) {
    struct ms_tree t = {
        .txn = txn, .writes = true, .id = in->tenant, .who = "msasset", .now = in->now};
    struct ms_arrears_ended ended = {.after = in->after};
    bool left;
    *ret_ended = ended;
    MS_TRY(ms_change_begin(txn, in->tenant, &t.tenant, reterr));
    struct ms_arrears a = ms_tenant_arrears(&t.tenant);
    struct ms_instant end = ms_arrears_end_at(a);
    if (ms_arrears_at(a, in->now) != MS_ARREARS_ENDED || a.stage == MS_ARREARS_ENDED)
        return MS_OK;
    MS_TRY(ms_arrears_record_hold(&t, reterr));
    MS_TRY(ms_packages_overdue(txn, &t.tenant, end, reterr));
    MS_TRY(delete_some(&t, &ended.after, in->max, &ended.deleted, &ended.more, reterr));
    *ret_ended = ended;
    if (ended.more)
        return MS_OK;
    MS_TRY(has_assets(&t, &left, reterr));
    if (left) /* damaged ones that were passed over, or that came behind the cursor */
        return MS_OK;
    MS_TRY(note(&t, MS_AUDIT_ARREARS_ENDED, "msasset", end, MS_ARREARS_ENDED_REASON, reterr));
    return set_stage(&t, MS_ARREARS_ENDED, reterr);
}

/* ---- entry points ---------------------------------------------------------------------------- */

static enum ms_code may_lift(const struct ms_tree *t, enum ms_hold hold, struct ms_error *reterr) {
    if (hold != MS_HOLD_ADMIN || ms_tenant_mask(&t->tenant, t->now).holds != MS_HOLD_ARREARS)
        return MS_OK;
    return ms_fail(reterr, MS_WRONG_STATE, "UNFREEZE of tenant %s is refused: %s", t->tenant.name,
                   ms_lc_rule_text(MS_LC_HOLD_ARREARS));
}

enum ms_code ms_tenant_hold_in(struct ms_tree *t, enum ms_hold hold, bool on, const char *reason,
                               struct ms_error *reterr) {
    const struct change c = {.hold = hold, .on = on, .at = t->now, .who = t->who, .why = reason};
    if (!on)
        MS_TRY(may_lift(t, hold, reterr));
    if (((t->tenant.mask_holds & hold) != 0) == on)
        return MS_OK;
    MS_TRY(ms_arrears_record_hold(t, reterr)); /* it came before */
    MS_TRY(change_mask(t, &c, reterr));
    if (!on && hold == MS_HOLD_ADMIN)
        MS_TRY(ms_request_answered(t, (struct ms_asset_id){{{0}}}, reterr));
    return ms_tenant_put(t, reterr);
}

static enum ms_code hold_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    struct ms_tree t;
    const struct hold_args *args = ((const struct ms_tree_call *)in)->args;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    if (args->hold == MS_HOLD_ARREARS && t.tenant.arrears != MS_ARREARS_NONE)
        return ms_fail(
            reterr, MS_WRONG_STATE,
            "tenant %s is in arrears, and frozen and unfrozen by these: see msasset tenant "
            "arrears",
            t.tenant.name);
    return ms_tenant_hold_in(&t, args->hold, args->on, args->reason, reterr);
}

/* Deadlines that come first, and that nobody has swept: then this call does. */
static enum ms_code write_swept(struct ms_svc *svc, const struct ms_ctx *ctx, ms_write_fn *fn,
                                const void *args, void *out, size_t out_size,
                                struct ms_error *reterr) {
    struct ms_error err = {0};
    enum ms_code code = ms_tree_write(svc, ctx, fn, args, out, out_size, &err);
    if (code == MS_BUSY) {
        struct ms_sweep_result swept;
        MS_TRY(ms_sweep_tenant(svc, ctx->tenant, &swept, reterr));
        code = ms_tree_write(svc, ctx, fn, args, out, out_size, &err);
    }
    if (code == MS_OK && svc->files) /* tests of the tree alone have none */
        ms_file_revalidate(svc, ctx->tenant, 0);
    return ms_pass_up(code, &err, reterr);
}

enum ms_code ms_tenant_hold(struct ms_svc *svc, const struct ms_ctx *ctx, enum ms_hold hold,
                            bool on, const char *reason, struct ms_error *reterr) {
    struct hold_args args = {hold, on, reason};
    MS_TRY(ms_tenant_admin_only(ctx, "freezing a tenant", reterr));
    if (hold != MS_HOLD_ADMIN && hold != MS_HOLD_ARREARS)
        return ms_fail(reterr, MS_INVALID, "a tenant is held by ADMIN or ARREARS only");
    if (reason)
        MS_TRY(ms_line_check("the reason", reason, MS_REASON_MAX, reterr));
    return write_swept(svc, ctx, hold_op, &args, NULL, 0, reterr);
}

enum ms_code ms_tenant_set_arrears(struct ms_svc *svc, const struct ms_ctx *ctx, bool on,
                                   const char *reason, struct ms_tenant_record *ret_tenant,
                                   struct ms_error *reterr) {
    struct arrears_args args = {on, reason ? reason : ""};
    struct ms_tenant_record tenant;
    MS_TRY(ms_tenant_admin_only(ctx, "switching arrears", reterr));
    MS_TRY(ms_line_check("the reason", args.reason, MS_REASON_MAX, reterr));
    MS_TRY(write_swept(svc, ctx, arrears_op, &args, &tenant, sizeof tenant, reterr));
    *ret_tenant = tenant;
    return MS_OK;
}
