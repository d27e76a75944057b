/* One event of the life cycle on one asset: the table decides, rows follow, in one commit. */
#include "service/asset_in.h"
#include "service/held.h"
#include "service/treeop.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What the event is called in a refusal. */
static const char *verb_of(enum ms_event event) {
    return event == MS_EVENT_FORCE_DELETE ? "delete for good" : ms_event_name(event);
}

enum ms_code ms_asset_find_in(const struct ms_tree *t, struct ms_asset_id id,
                              struct ms_tree_asset *asset, struct ms_error *reterr) {
    const struct ms_inode_record inode = {.asset = id.id};
    struct ms_key key = ms_key_asset(t->id, id);
    bool gone = true;

    if (ms_txn_has(t->txn, ms_key_view(&key)))
        MS_TRY(ms_tree_asset(t, &inode, asset, &gone, reterr));
    else
        asset->life.rest = MS_STATE_DELETED;
    if (asset->life.rest == MS_STATE_DELETED)
        return ms_fail(reterr, MS_NOT_FOUND,
                       "tenant %s has no asset %s, or it was deleted for good", t->tenant.name,
                       ms_id_text(id.id).s);
    return MS_OK;
}

/* The place that it came from is taken: asked for by name, a restore does not choose another one.
 */
static enum ms_code place_is_free(const struct ms_tree *t, const struct ms_asset_record *asset,
                                  struct ms_error *reterr) {
    struct ms_bin_id id;
    struct ms_bin_record bin;
    struct ms_inode_record dir;
    struct ms_found found;
    bool attached;

    MS_TRY(ms_row_get_id(t->txn, ms_key_binasset(t->id, (struct ms_asset_id){asset->id}), &id.id,
                         reterr));
    MS_TRY(ms_row_get_bin(t->txn, ms_key_bin(t->id, id), &bin, reterr));
    if (asset->ino == 0)
        return MS_OK;
    MS_TRY(ms_tree_inode(t, bin.parent, &dir, reterr));
    MS_TRY(ms_treeop_attached(t, bin.parent, &attached, reterr));
    if (dir.nlink == 0 || !attached) /* the folder was removed: it is made again */
        return MS_OK;
    MS_TRY(ms_tree_find(t, bin.parent, bin.name, &found, reterr));
    if (found.found)
        return ms_fail(reterr, MS_EXISTS,
                       "\"%.255s\" cannot be restored: its name is taken by another file; restore "
                       "it to another path",
                       bin.name);
    return MS_OK;
}

static enum ms_code unbin(const struct ms_tree *t, const struct ms_asset_event *e,
                          struct ms_tree_asset *asset, struct ms_error *reterr) {
    bool asked = e->event == MS_EVENT_RESTORE;

    if (asked && !e->restore_to)
        MS_TRY(place_is_free(t, &asset->rec, reterr));
    return ms_tree_restore(t, asset, asked ? e->restore_to : NULL, reterr);
}

static void note_reason(struct ms_asset_record *asset, const struct ms_asset_event *e) {
    if (e->event == MS_EVENT_FREEZE)
        ms_asset_hold_reason(asset, e->reason_code, e->why);
    else if (e->event == MS_EVENT_UNFREEZE && (asset->holds & MS_HOLD_ADMIN))
        ms_asset_lift_reason(asset);
}

/* A file that was never sealed has nothing to keep in the bin. */
static enum ms_event event_for(const struct ms_asset_event *e, const struct ms_tree_asset *asset) {
    bool never =
        asset->life.rest == MS_STATE_CREATING && !asset->life.sealed && asset->rec.ino != 0;

    return e->event == MS_EVENT_DELETE && never ? MS_EVENT_FORCE_DELETE : e->event;
}

static enum ms_code follow(const struct ms_tree *t, const struct ms_asset_event *e,
                           enum ms_event event, struct ms_tree_asset *asset,
                           const struct ms_lc_verdict *step, struct ms_asset_applied *o,
                           struct ms_error *reterr) {
    const char *why = e->why ? e->why : "";

    if (step->effects & MS_EFFECT_PURGE) {
        o->purged = true;
        return ms_change_purge(t->txn, t->id, t->who, &asset->rec, event, step->at, why, reterr);
    }
    if (step->effects & MS_EFFECT_FREE_BYTES)
        MS_TRY(ms_change_free(t->txn, t->id, &asset->rec, MS_WHY_FAIL, step->at, reterr));
    if (step->effects & MS_EFFECT_BIN)
        MS_TRY(ms_change_bin(t->txn, t->id, t->who, &asset->rec, step->at, NULL, reterr));
    if (step->effects & MS_EFFECT_UNBIN)
        MS_TRY(unbin(t, e, asset, reterr));
    note_reason(&asset->rec, e);
    if (e->event == MS_EVENT_UNFREEZE)
        MS_TRY(ms_request_answered(t, e->id, reterr));
    return ms_change_life(t->txn, t->id, t->who, &asset->rec, &step->next, event, step->at, why,
                          reterr);
}

/* A freeze of what is frozen, for another reason: that is the one to know. */
static bool says_another(const struct ms_asset_event *e, const struct ms_asset_record *asset) {
    return e->event == MS_EVENT_FREEZE &&
           (strcmp(asset->reason_code, e->reason_code ? e->reason_code : "") != 0 ||
            strcmp(asset->reason, e->why ? e->why : "") != 0);
}

/* A verdict on a new MAIN moves bytes: review.h alone does that. */
static enum ms_code holds_no_main(const struct ms_tree *t, const struct ms_asset_record *asset,
                                  struct ms_error *reterr) {
    struct ms_held held;
    MS_TRY(ms_held_of(t, asset, &held, reterr));
    if (!ms_held_any(&held))
        return MS_OK;
    return ms_fail(reterr, MS_INVALID, "the verdict on the new MAIN of asset %s goes by \"review\"",
                   ms_id_text(asset->id).s);
}

enum ms_code ms_asset_apply_in(const struct ms_tree *t, const struct ms_asset_event *e,
                               struct ms_asset_applied *ret_applied, struct ms_error *reterr) {
    struct ms_tree_asset asset;
    struct ms_lc_verdict step;
    enum ms_event event;

    MS_TRY(ms_asset_find_in(t, e->id, &asset, reterr));
    event = event_for(e, &asset);
    struct ms_lc_facts facts = ms_tree_facts(t, &asset.rec);
    facts.at = e->at;
    facts.scheduled_op = e->scheduled_op;
    step = ms_lc_step(&asset.life, event, &facts);
    if (step.rule != MS_LC_ALLOWED)
        return ms_tree_refused(t, &asset, step.rule, verb_of(e->event), reterr);
    if (step.effects & (MS_EFFECT_HELD_LIVE | MS_EFFECT_HELD_DROP))
        MS_TRY(holds_no_main(t, &asset.rec, reterr));
    if (step.effects != 0 || memcmp(&step.next, &asset.life, sizeof step.next) != 0 ||
        says_another(e, &asset.rec))
        MS_TRY(follow(t, e, event, &asset, &step, ret_applied, reterr));
    ret_applied->asset = asset.rec;
    return MS_OK;
}

static enum ms_code apply_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    struct ms_tree t;

    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    return ms_asset_apply_in(&t, ((const struct ms_tree_call *)in)->args, out, reterr);
}

/* A person's words. */
static enum ms_code check_event(const struct ms_asset_event *e, struct ms_error *reterr) {
    if ((unsigned)e->event >= MS_EVENT_COUNT || e->event == MS_EVENT_EXPIRE)
        return ms_fail(reterr, MS_INVALID, "event %d is not one that can be applied",
                       (int)e->event);
    if (e->event == MS_EVENT_SCHEDULE && e->scheduled_op == MS_SCHEDULED_NONE)
        return ms_fail(reterr, MS_INVALID, "a scheduled operation is BLOCK or DELETE");
    if (e->reason_code)
        MS_TRY(ms_line_check("the reason code", e->reason_code, MS_REASON_MAX, reterr));
    return e->why ? ms_line_check("the reason", e->why, MS_REASON_MAX, reterr) : MS_OK;
}

/* Deleting makes room, so a full store must not refuse it. */
static enum ms_code write_event(struct ms_svc *svc, const struct ms_ctx *ctx,
                                const struct ms_asset_event *event, struct ms_asset_applied *out,
                                struct ms_error *reterr) {
    const struct ms_tree_call call = {.ctx = ctx,
                                      .ts = ms_clock_timespec(svc->clock),
                                      .instance = ms_store_instance(svc->store),
                                      .limits = &svc->limits,
                                      .args = event};
    const struct ms_write write = {.fn = apply_op,
                                   .in = &call,
                                   .out = out,
                                   .out_size = sizeof *out,
                                   .fence = ms_store_fence(svc->store),
                                   .frees = event->event == MS_EVENT_DELETE ||
                                            event->event == MS_EVENT_FORCE_DELETE};

    if (svc->read_only)
        return ms_fail(reterr, MS_READ_ONLY,
                       "the store %s is open read-only: nothing can be changed", svc->dir);
    return ms_store_write(svc->store, &write, reterr);
}

enum ms_code ms_asset_apply(struct ms_svc *svc, const struct ms_ctx *ctx,
                            const struct ms_asset_event *event, struct ms_asset_info *ret_info,
                            struct ms_error *reterr) {
    struct ms_asset_applied applied;

    MS_TRY(check_event(event, reterr));
    MS_TRY(write_event(svc, ctx, event, &applied, reterr));
    ms_file_revalidate_asset(svc, ctx->tenant, event->id);
    if (!ret_info)
        return MS_OK;
    if (!applied.purged)
        return ms_asset_get(svc, ctx, event->id, ret_info, reterr);
    memset(ret_info, 0, sizeof *ret_info);
    ret_info->asset = applied.asset;
    ret_info->state = MS_STATE_DELETED;
    return MS_OK;
}
