/* The queue: cases, verdicts, and edits that are held aside. */
#include "service/review.h"

#include "service/asset_in.h"
#include "service/confirm_part.h"
#include "service/held.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"

#include <stdio.h>
#include <string.h>

const char *ms_verdict_name(enum ms_verdict v) {
    return v == MS_VERDICT_PASS ? "pass" : v == MS_VERDICT_REJECT ? "reject" : "human";
}

/* ---- the tenant's setting -------------------------------------------------------------------- */

static enum ms_code set_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const bool *on = ((const struct ms_tree_call *)in)->args;
    struct ms_tree t;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_tenant_note_setting(&t, "review:", t.tenant.review, *on, reterr));
    t.tenant.review = *on;
    return ms_row_put_tenant(txn, ms_key_tenant(t.id), &t.tenant, reterr);
}

enum ms_code ms_review_set(struct ms_svc *svc, const struct ms_ctx *ctx, bool on,
                           struct ms_error *reterr) {
    if (!ctx->admin)
        return ms_fail(reterr, MS_DENIED, "only an administrator says whose uploads are reviewed");
    return ms_tree_write(svc, ctx, set_op, &on, NULL, 0, reterr);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static enum ms_code main_of(const struct ms_tree *t, const struct ms_asset_record *asset,
                            struct ms_file_record *ret_main, struct ms_error *reterr) {
    struct ms_key key =
        ms_key_file(t->id, (struct ms_asset_id){asset->id}, (struct ms_file_id){asset->main_file});
    struct ms_error err = {0};
    memset(ret_main, 0, sizeof *ret_main);
    enum ms_code code = ms_row_get_file(t->txn, key, ret_main, &err);
    return code == MS_NOT_FOUND ? MS_OK : ms_pass_up(code, &err, reterr);
}

static enum ms_code fill_case(const struct ms_tree *t, struct ms_review_case *c,
                              struct ms_error *reterr) {
    struct ms_tree_asset asset;
    MS_TRY(ms_asset_load(t, (struct ms_asset_id){c->row.asset}, &asset, reterr));
    c->asset = asset.rec;
    ms_asset_set_life(&c->asset, &asset.life);
    c->state = asset.state;
    c->edit = asset.life.rest != MS_STATE_CREATING;
    MS_TRY(main_of(t, &c->asset, &c->main, reterr));
    if (!ms_version_id_is_none((struct ms_version_id){c->row.held})) {
        c->main.size = c->row.held_bytes;
        memcpy(c->main.media_type, c->row.held_media, sizeof c->main.media_type);
    }
    return MS_OK;
}

static enum ms_code list(const struct ms_tree *t, struct ms_asset_id after,
                         struct ms_review_case *cases, size_t max, size_t *n,
                         struct ms_error *reterr) {
    struct ms_key from = ms_key_review(t->id, after), to = ms_key_reviews_of(t->id);
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code = MS_OK;
    from.bytes[from.len++] = 0;
    memset(to.bytes + to.len, 0xff, MS_ID_BYTES);
    to.len += MS_ID_BYTES;
    ms_scan_begin(&scan, t->txn, ms_key_view(&from), ms_key_view(&to));
    while (*n < max &&
           (code = ms_row_next_review(&scan, &key, &cases[*n].row, reterr)) == MS_OK) {
        if ((code = fill_case(t, &cases[*n], reterr)) == MS_OK)
            ++*n;
        else if (code != MS_NOT_FOUND) /* time has ended it: its row goes with the sweep */
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_review_list(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_asset_id after,
                            struct ms_review_case *ret_cases, size_t max, size_t *ret_n,
                            struct ms_error *reterr) {
    struct ms_error err = {0};
    struct ms_tree t;
    size_t n = 0;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = list(&t, after, ret_cases, max, &n, &err);
    ms_tree_read_end(&t);
    if (code == MS_OK)
        *ret_n = n;
    return ms_pass_up(code, &err, reterr);
}

static enum ms_code load_case(const struct ms_tree *t, struct ms_asset_id asset,
                              struct ms_review_record *ret_row, struct ms_error *reterr) {
    enum ms_code code = ms_row_get_review(t->txn, ms_key_review(t->id, asset), ret_row, reterr);
    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, code, "no verdict on asset %s is outstanding",
                       ms_id_text(asset.id).s);
    return code;
}

enum ms_code ms_review_get(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_asset_id asset,
                           struct ms_review_case *ret_case, struct ms_error *reterr) {
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = load_case(&t, asset, &ret_case->row, reterr);
    if (code == MS_OK)
        code = fill_case(&t, ret_case, reterr);
    ms_tree_read_end(&t);
    return code;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

struct deciding {
    const struct ms_tree *t;
    const struct ms_review_decide *in;
    struct ms_tree_asset asset;
    struct ms_review_record row;
    char reason[MS_REASON_MAX + 1];
};

static struct ms_asset_id id_of(const struct deciding *d) { return d->in->asset; }

static enum ms_code set_main(const struct deciding *d, enum ms_file_state state,
                             const char *reason, struct ms_error *reterr) {
    const struct ms_tree *t = d->t;
    struct ms_file_record file;
    MS_TRY(main_of(t, &d->asset.rec, &file, reterr));
    if (ms_file_id_is_none((struct ms_file_id){file.id}))
        return MS_OK;
    file.state = (uint8_t)state;
    (void)snprintf(file.reason, sizeof file.reason, "%s", reason);
    return ms_row_put_file(t->txn, ms_key_file(t->id, id_of(d), (struct ms_file_id){file.id}),
                           &file, reterr);
}

/* The machine's word that a person must look: the case stays. */
static enum ms_code to_human(struct deciding *d, struct ms_error *reterr) {
    const struct ms_tree *t = d->t;
    d->row.human = 1;
    d->row.retry_at = (struct ms_instant){0};
    memcpy(d->row.note, d->reason, sizeof d->row.note);
    MS_TRY(ms_row_put_review(t->txn, ms_key_review(t->id, id_of(d)), &d->row, reterr));
    if (d->asset.life.rest == MS_STATE_CREATING)
        MS_TRY(set_main(d, MS_FILE_REVIEW, "", reterr));
    return ms_change_note(t->txn, t->id, t->who, id_of(d), MS_AUDIT_REVIEW_HUMAN, d->asset.state,
                          d->reason, reterr);
}

static struct ms_held held_of(const struct deciding *d) {
    struct ms_held held = {
        .version = {d->row.held}, .file = {d->row.held_file}, .bytes = d->row.held_bytes};
    memcpy(held.media_type, d->row.held_media, sizeof held.media_type);
    return held;
}

/* What is held becomes the asset's. */
static enum ms_code go_live(struct deciding *d, struct ms_error *reterr) {
    struct ms_asset_record *asset = &d->asset.rec;
    if (d->row.has_name) {
        memcpy(asset->name, d->row.name, sizeof asset->name);
        asset->named = 1;
    }
    if (d->row.has_description)
        memcpy(asset->description, d->row.description, sizeof asset->description);
    const struct ms_held held = held_of(d);
    return ms_held_any(&held) ? ms_held_live(d->t, asset, &held, reterr) : MS_OK;
}

static enum ms_code drop(struct deciding *d, struct ms_error *reterr) {
    const struct ms_held held = held_of(d);
    return ms_held_any(&held) ? ms_held_drop(d->t, &d->asset.rec, &held, d->reason, reterr) : MS_OK;
}

/* A verdict on an edit takes the place of what was said of the one before. Beside a freeze it is kept for when it is
 * lifted. */
static void tell_owner(struct deciding *d, bool pass, bool edit) {
    char text[MS_REASON_MAX + 64] = "";
    if (!pass)
        (void)snprintf(text, sizeof text, "%s%s", edit ? "an edit was rejected: " : "", d->reason);
    ms_asset_set_reason(&d->asset.rec, "", text);
}

static enum ms_code settle(struct deciding *d, struct ms_error *reterr) {
    const struct ms_tree *t = d->t;
    bool pass = d->in->verdict == MS_VERDICT_PASS;
    bool created = d->asset.life.rest == MS_STATE_CREATING;
    enum ms_event event = pass             ? MS_EVENT_REVIEW_PASS
                          : d->in->machine ? MS_EVENT_REVIEW_REJECT_AUTO
                                           : MS_EVENT_REVIEW_REJECT_MANUAL;
    struct ms_lc_facts facts = ms_tree_facts(t, &d->asset.rec);
    struct ms_lc_verdict step = ms_lc_step(&d->asset.life, event, &facts);
    if (step.rule != MS_LC_ALLOWED)
        return ms_tree_refused(t, &d->asset, step.rule, "a verdict", reterr);
    if (step.effects & MS_EFFECT_HELD_LIVE)
        MS_TRY(go_live(d, reterr));
    if (step.effects & MS_EFFECT_HELD_DROP)
        MS_TRY(drop(d, reterr));
    if (created)
        MS_TRY(set_main(d, pass ? MS_FILE_CREATED : MS_FILE_FAILED, pass ? "" : d->reason, reterr));
    if (!pass || !created)
        tell_owner(d, pass, !created);
    return ms_change_life(t->txn, t->id, t->who, &d->asset.rec, &step.next, event, t->now,
                          d->reason, reterr);
}

static enum ms_code decide_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    struct ms_tree t;
    struct deciding d = {.t = &t, .in = ((const struct ms_tree_call *)in)->args};
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_asset_load(&t, id_of(&d), &d.asset, reterr));
    MS_TRY(load_case(&t, id_of(&d), &d.row, reterr));
    if (!ms_instant_is_none(d.in->since) && d.in->since.ms != d.row.since.ms)
        return ms_fail(reterr, MS_CONFLICT, "asset %s was edited meanwhile: look at it again",
                       ms_id_text(id_of(&d).id).s);
    ms_reason_cut(d.in->reason ? d.in->reason : "", d.reason);
    return d.in->verdict == MS_VERDICT_HUMAN ? to_human(&d, reterr) : settle(&d, reterr);
}

enum ms_code ms_review_decide(struct ms_svc *svc, const struct ms_ctx *ctx,
                              const struct ms_review_decide *decide, struct ms_error *reterr) {
    if (decide->verdict == MS_VERDICT_HUMAN && !decide->machine)
        return ms_fail(reterr, MS_INVALID, "a person passes or rejects");
    if (decide->reason && !decide->machine)
        MS_TRY(ms_line_check("the reason", decide->reason, MS_REASON_MAX, reterr));
    return ms_tree_write(svc, ctx, decide_op, decide, NULL, 0, reterr);
}

/* ---- edits ----------------------------------------------------------------------------------- */

struct texts {
    char name[MS_ASSET_NAME_BYTES_MAX + 1], description[4097];
};

static enum ms_code check_texts(const struct ms_asset_edit *e, struct texts *texts,
                                struct ms_error *reterr) {
    MS_TRY(ms_text_take("the name", e->name, false, 256, sizeof texts->name - 1, texts->name, reterr));
    return ms_text_take("the description", e->description, true, 4096, sizeof texts->description - 1,
                        texts->description, reterr);
}

/* One case an asset: a further text replaces the held one, and the verdict is on the newest. */
static enum ms_code hold(const struct ms_tree *t, struct ms_tree_asset *a,
                         const struct ms_asset_edit *e, const struct texts *texts,
                         struct ms_error *reterr) {
    struct ms_lc_facts facts = ms_tree_facts(t, &a->rec);
    struct ms_lc_verdict step = ms_lc_step(&a->life, MS_EVENT_EDIT_REVIEW, &facts);
    struct ms_review_record row;
    if (step.rule != MS_LC_ALLOWED)
        return ms_tree_refused(t, a, step.rule, "editing", reterr);
    MS_TRY(ms_change_life(t->txn, t->id, t->who, &a->rec, &step.next, MS_EVENT_EDIT_REVIEW, t->now,
                          "", reterr));
    MS_TRY(load_case(t, e->id, &row, reterr));
    if (e->name) {
        row.has_name = 1;
        memcpy(row.name, texts->name, sizeof row.name);
    }
    if (e->description) {
        row.has_description = 1;
        memcpy(row.description, texts->description, sizeof row.description);
    }
    row.since = ms_instant_max(t->now, ms_instant_add_ms(row.since, 1)); /* no verdict on what was before */
    row.human = 0;
    row.tries = 0;
    row.retry_at = (struct ms_instant){0};
    return ms_row_put_review(t->txn, ms_key_review(t->id, e->id), &row, reterr);
}

enum ms_code ms_case_look_again(const struct ms_tree *t, struct ms_asset_id id,
                                struct ms_error *reterr) {
    struct ms_review_record row;
    MS_TRY(load_case(t, id, &row, reterr));
    row.since = ms_instant_max(t->now, ms_instant_add_ms(row.since, 1));
    row.human = 0;
    row.tries = 0;
    row.retry_at = (struct ms_instant){0};
    return ms_row_put_review(t->txn, ms_key_review(t->id, id), &row, reterr);
}

static enum ms_code set_texts(const struct ms_tree *t, struct ms_tree_asset *a,
                              const struct ms_asset_edit *e, const struct texts *texts,
                              struct ms_error *reterr) {
    if (e->name) {
        memcpy(a->rec.name, texts->name, sizeof a->rec.name);
        a->rec.named = 1;
    }
    if (e->description)
        memcpy(a->rec.description, texts->description, sizeof a->rec.description);
    a->rec.updated = t->now;
    MS_TRY(ms_row_put_asset(t->txn, ms_key_asset(t->id, e->id), &a->rec, reterr));
    if (a->life.in_review)
        MS_TRY(ms_case_look_again(t, e->id, reterr));
    return ms_change_note(t->txn, t->id, t->who, e->id, MS_AUDIT_EDITED, a->state, "", reterr);
}

static enum ms_code edit_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    const struct ms_asset_edit *e = ((const struct ms_tree_call *)in)->args;
    bool *held = out;
    struct ms_tree_asset a;
    struct texts texts;
    struct ms_tree t;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(check_texts(e, &texts, reterr));
    MS_TRY(ms_asset_load(&t, e->id, &a, reterr));
    MS_TRY(ms_tree_thawed(&t, "editing", reterr));
    if (a.life.binned || a.life.holds)
        return ms_tree_refused(&t, &a, a.life.holds ? MS_LC_FROZEN : MS_LC_BINNED, "editing",
                               reterr);
    MS_TRY(ms_tree_may(&t, &a, MS_RIGHT_RENAME, "editing", reterr));
    /* Behind one that waits another waits too, though no new case begins: it would go live over it. */
    *held = (t.tenant.review || a.life.in_review) && ms_state_is_finished((enum ms_state)a.life.rest);
    return *held ? hold(&t, &a, e, &texts, reterr) : set_texts(&t, &a, e, &texts, reterr);
}

enum ms_code ms_asset_edit(struct ms_svc *svc, const struct ms_ctx *ctx,
                           const struct ms_asset_edit *edit, bool *ret_held,
                           struct ms_error *reterr) {
    bool held;
    MS_TRY(ms_tree_write(svc, ctx, edit_op, edit, &held, sizeof held, reterr));
    *ret_held = held;
    return MS_OK;
}
