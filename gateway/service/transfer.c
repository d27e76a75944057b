#include "service/transfer.h"

#include "service/tenant.h"
#include "service/transfer_part.h"
#include "service/upkeep.h"
#include "service/upkeep_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ms_transfer_state_name(uint8_t state) {
    static const char *const names[] = {"PROCESSING", "ACCEPT", "REJECT", "CANCEL", "FAIL"};
    return state < MS_ARRAY_LEN(names) ? names[state] : "?";
}

/* What anybody sees at `now`. */
static void settle(struct ms_transfer_record *job, struct ms_instant now) {
    if (job->state != MS_TRANSFER_PROCESSING || now.ms < job->expire.ms)
        return;
    job->state = MS_TRANSFER_FAIL;
    job->finish = job->expire;
    (void)snprintf(job->reason, sizeof job->reason, "expired");
}

static enum ms_code get_job(const struct ms_tree *t, struct ms_transfer_id id,
                            struct ms_transfer_record *ret_job, bool *ret_there,
                            struct ms_error *reterr) {
    MS_TRY(ms_allow_absent(ms_row_get_transfer(t->txn, ms_key_transfer(id), ret_job, reterr),
                           ret_there));
    if (*ret_there)
        settle(ret_job, t->now);
    return MS_OK;
}

/* A tenant has to do with what it sends or receives; nothing else is there for it. */
enum ms_code ms_transfer_own(const struct ms_tree *t, struct ms_transfer_id id,
                             struct ms_transfer_record *ret_job, struct ms_error *reterr) {
    bool there;
    MS_TRY(get_job(t, id, ret_job, &there, reterr));
    if (there && (ms_tenant_id_equal((struct ms_tenant_id){ret_job->src}, t->id) ||
                  ms_tenant_id_equal((struct ms_tenant_id){ret_job->dest}, t->id)))
        return MS_OK;
    return ms_fail(reterr, MS_NOT_FOUND, "tenant %s has no transfer %s", t->tenant.name,
                   ms_id_text(id.id).s);
}

enum ms_code ms_transfer_assets(const struct ms_tree *t, struct ms_transfer_id id,
                                struct ms_asset_id assets[MS_TRANSFER_ASSETS_MAX], size_t *ret_n,
                                struct ms_error *reterr) {
    struct ms_key prefix = ms_key_transfer_assets(id);
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code = MS_OK;
    size_t n = 0;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while (n < MS_TRANSFER_ASSETS_MAX &&
           (code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK)
        memcpy(assets[n++].id.b, (const uint8_t *)key.p + key.n - MS_ID_BYTES, MS_ID_BYTES);
    ms_scan_end(&scan);
    *ret_n = n;
    return ms_absent_is_fine(code, reterr);
}

/* ---- the other tenant ------------------------------------------------------------------------ */

/* Both tenants are named before the commit has an instant, so that it lies behind the closed days of
 * both. */
static enum ms_code begin_both(struct ms_tree *t, struct ms_tree *other, struct ms_tenant_id other_id,
                               struct ms_txn *txn, const void *in, struct ms_error *reterr) {
    struct ms_tenant_record record;
    MS_TRY(ms_change_begin(txn, other_id, &record, reterr));
    MS_TRY(ms_tree_begin(t, txn, in, reterr));
    *other = *t;
    other->id = other_id;
    other->tenant = record;
    return MS_OK;
}

/* ---- accept ---------------------------------------------------------------------------------- */

static enum ms_code check_all(const struct ms_tree *from, const struct ms_tree *to,
                              const struct ms_transfer_record *job, const struct ms_asset_id *assets,
                              size_t n, struct ms_error *reterr) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        MS_TRY(ms_transfer_check(from, to, assets[i], job->active, &bytes, reterr));
    return MS_OK;
}

/* What a check may find wrong with the assets; anything else is an error of the store. */
static bool is_finding(enum ms_code code) {
    return code == MS_WRONG_STATE || code == MS_QUOTA || code == MS_NOT_FOUND;
}

static enum ms_code move_all(const struct ms_tree *from, const struct ms_tree *to,
                             struct ms_transfer_record *job, struct ms_error *reterr) {
    struct ms_asset_id assets[MS_TRANSFER_ASSETS_MAX];
    struct ms_error err = {0};
    char why[64];
    size_t n;
    MS_TRY(ms_transfer_assets(from, (struct ms_transfer_id){job->id}, assets, &n, reterr));
    enum ms_code code = check_all(from, to, job, assets, n, &err);
    if (code != MS_OK && !is_finding(code))
        return ms_pass_up(code, &err, reterr);
    if (code != MS_OK) {
        job->state = MS_TRANSFER_FAIL;
        ms_reason_cut(err.message, job->reason);
        return MS_OK;
    }
    if (job->billing)
        MS_TRY(ms_transfer_units_check(from, to, job, reterr));
    (void)snprintf(why, sizeof why, "transfer %s", ms_id_text(job->id).s);
    for (size_t i = 0; i < n; i++) {
        MS_TRY(ms_transfer_move(from, to, assets[i], job->active, why, reterr));
        if (job->billing)
            MS_TRY(ms_transfer_take_unit(to, assets[i], reterr));
    }
    job->state = MS_TRANSFER_ACCEPT;
    return MS_OK;
}

/* The job is over: its assets may have another one. */
static enum ms_code finish_job(const struct ms_tree *t, struct ms_transfer_record *job,
                               struct ms_error *reterr) {
    struct ms_asset_id assets[MS_TRANSFER_ASSETS_MAX];
    struct ms_transfer_id id = {job->id};
    size_t n;
    job->finish = t->now;
    MS_TRY(ms_row_put_transfer(t->txn, ms_key_transfer(id), job, reterr));
    MS_TRY(ms_transfer_assets(t, id, assets, &n, reterr));
    for (size_t i = 0; i < n; i++) {
        struct ms_id pending;
        bool there;
        MS_TRY(ms_allow_absent(
            ms_row_get_id(t->txn, ms_key_pending(assets[i]), &pending, reterr), &there));
        if (there && memcmp(pending.b, job->id.b, MS_ID_BYTES) == 0)
            MS_TRY(ms_row_del(t->txn, ms_key_pending(assets[i]), reterr));
    }
    return MS_OK;
}

/* ---- create ---------------------------------------------------------------------------------- */

static enum ms_code may_send(const struct ms_tree *t, const struct ms_transfer_create *c,
                             struct ms_error *reterr) {
    if ((c->auto_accept || c->activate) && !t->admin)
        return ms_fail(reterr, MS_DENIED, "accepting or activating for the receiver is refused: %s",
                       ms_lc_rule_text(MS_LC_ADMIN_ONLY));
    if (t->admin || t->tenant.may_transfer != MS_MAY_TRANSFER_NOT ||
        !ms_transfer_id_is_none(c->back_of))
        return MS_OK;
    return ms_fail(reterr, MS_DENIED,
                   "a transfer is refused: tenant %s is not on the allow-list of senders: ask an "
                   "administrator",
                   t->tenant.name);
}

static enum ms_code may_go(const struct ms_tree *t, const struct ms_transfer_create *c,
                           struct ms_asset_id id, struct ms_error *reterr) {
    struct ms_tree_asset asset;
    uint64_t bytes = 0;
    MS_TRY(ms_transfer_check(t, NULL, id, false, &bytes, reterr));
    MS_TRY(ms_asset_find_in(t, id, &asset, reterr));
    if (ms_asset_type_is_model((enum ms_asset_type)asset.rec.type) ||
        t->tenant.may_transfer == MS_MAY_TRANSFER_ANY || !ms_transfer_id_is_none(c->back_of))
        return MS_OK;
    return ms_fail(reterr, MS_WRONG_KIND,
                   "a transfer of \"%.255s\" is refused: it is %s, and only models and voices can be "
                   "transferred",
                   asset.rec.name, ms_asset_type_name((enum ms_asset_type)asset.rec.type));
}

/* The accepted job brought it, from him to whom it goes back. */
static enum ms_code came_by(const struct ms_tree *t, const struct ms_transfer_create *c,
                            struct ms_asset_id id, struct ms_error *reterr) {
    struct ms_transfer_record job;
    bool there;
    if (ms_transfer_id_is_none(c->back_of))
        return MS_OK;
    struct ms_key row = ms_key_transfer_asset(c->back_of, id);
    MS_TRY(get_job(t, c->back_of, &job, &there, reterr));
    if (there && job.state == MS_TRANSFER_ACCEPT && ms_txn_has(t->txn, ms_key_view(&row)) &&
        ms_tenant_id_equal((struct ms_tenant_id){job.dest}, t->id) &&
        ms_tenant_id_equal((struct ms_tenant_id){job.src}, c->dest))
        return MS_OK;
    return ms_fail(reterr, MS_NOT_FOUND,
                   "no accepted transfer %s brought asset %s from there: only that can go back",
                   ms_id_text(c->back_of.id).s, ms_id_text(id.id).s);
}

static enum ms_code none_pending(const struct ms_tree *t, struct ms_asset_id id,
                                 struct ms_error *reterr) {
    struct ms_transfer_record job;
    struct ms_transfer_id pending;
    bool there;
    MS_TRY(ms_allow_absent(ms_row_get_id(t->txn, ms_key_pending(id), &pending.id, reterr), &there));
    if (there)
        MS_TRY(get_job(t, pending, &job, &there, reterr));
    if (!there || job.state != MS_TRANSFER_PROCESSING)
        return MS_OK;
    return ms_fail(reterr, MS_EXISTS, "asset %s is in transfer %s, which is not decided yet",
                   ms_id_text(id.id).s, ms_id_text(pending.id).s);
}

static enum ms_code add_asset(const struct ms_tree *t, const struct ms_transfer_create *c,
                              struct ms_transfer_id job, struct ms_asset_id id,
                              struct ms_error *reterr) {
    struct ms_key row = ms_key_transfer_asset(job, id);
    MS_TRY(may_go(t, c, id, reterr));
    MS_TRY(came_by(t, c, id, reterr));
    MS_TRY(none_pending(t, id, reterr));
    if (ms_txn_has(t->txn, ms_key_view(&row)))
        return ms_fail(reterr, MS_INVALID, "asset %s is named twice", ms_id_text(id.id).s);
    MS_TRY(ms_row_put_id(t->txn, row, id.id, reterr));
    return ms_row_put_id(t->txn, ms_key_pending(id), job.id, reterr);
}

static void fill_job(const struct ms_tree *t, const struct ms_transfer_create *c,
                     struct ms_transfer_record *job) {
    ms_txn_random(t->txn, job->id.b, MS_ID_BYTES);
    job->src = t->id.id;
    job->dest = c->dest.id;
    job->back_of = c->back_of.id;
    job->assets = (uint32_t)c->n;
    job->active = c->activate;
    job->billing = c->billing;
    job->start = t->now;
    job->expire = ms_instant_add_ms(t->now, MS_TRANSFER_DUE_MS);
    (void)snprintf(job->who, sizeof job->who, "%s", t->who);
    (void)snprintf(job->memo, sizeof job->memo, "%s", c->memo ? c->memo : "");
}

static enum ms_code create_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct ms_transfer_create *c = ((const struct ms_tree_call *)in)->args;
    struct ms_transfer_record *job = out;
    struct ms_tree t, to;
    MS_TRY(begin_both(&t, &to, c->dest, txn, in, reterr));
    MS_TRY(may_send(&t, c, reterr));
    MS_TRY(ms_tree_thawed(&t, "a transfer", reterr));
    fill_job(&t, c, job);
    struct ms_transfer_id id = {job->id};
    for (size_t i = 0; i < c->n; i++)
        MS_TRY(add_asset(&t, c, id, c->assets[i], reterr));
    MS_TRY(ms_row_put_transfer(txn, ms_key_transfer(id), job, reterr));
    MS_TRY(ms_row_put_id(txn, ms_key_transfer_of(t.id, id), id.id, reterr));
    MS_TRY(ms_row_put_id(txn, ms_key_transfer_of(to.id, id), id.id, reterr));
    if (!c->auto_accept)
        return MS_OK;
    MS_TRY(ms_tree_thawed(&to, "a transfer", reterr));
    MS_TRY(move_all(&t, &to, job, reterr));
    if (job->state == MS_TRANSFER_FAIL)
        return ms_fail(reterr, MS_WRONG_STATE, "%.256s", job->reason);
    return finish_job(&t, job, reterr);
}

static enum ms_code check_create(const struct ms_ctx *ctx, const struct ms_transfer_create *c,
                                 struct ms_error *reterr) {
    if (c->n < 1 || c->n > MS_TRANSFER_ASSETS_MAX)
        return ms_fail(reterr, MS_INVALID, "a transfer has 1 to %d assets, not %zu",
                       MS_TRANSFER_ASSETS_MAX, c->n);
    if (ms_tenant_id_equal(ctx->tenant, c->dest))
        return ms_fail(reterr, MS_INVALID, "a transfer goes to another tenant");
    return c->memo ? ms_line_check("the memo", c->memo, MS_REASON_MAX, reterr) : MS_OK;
}

/* What is due makes room first; one that cannot be swept now is no reason to refuse. */
static void make_room(struct ms_svc *svc, struct ms_tenant_id tenant) {
    struct ms_sweep_result swept;
    if (ms_sweep_tenant(svc, tenant, &swept, NULL) != MS_OK)
        return;
}

/* What either of the two had open is looked at again. */
static void tell_files(struct ms_svc *svc, const struct ms_transfer_record *job) {
    ms_file_revalidate(svc, (struct ms_tenant_id){job->src}, 0);
    ms_file_revalidate(svc, (struct ms_tenant_id){job->dest}, 0);
}

enum ms_code ms_transfer_create(struct ms_svc *svc, const struct ms_ctx *ctx,
                                const struct ms_transfer_create *create,
                                struct ms_transfer_record *ret_job, struct ms_error *reterr) {
    struct ms_error err = {0};
    MS_TRY(check_create(ctx, create, reterr));
    if (create->auto_accept)
        make_room(svc, create->dest);
    enum ms_code code =
        ms_tree_write(svc, ctx, create_op, create, ret_job, sizeof *ret_job, &err);
    if (code == MS_OK && create->auto_accept)
        tell_files(svc, ret_job);
    return ms_pass_up(code, &err, reterr);
}

/* ---- end ------------------------------------------------------------------------------------- */

struct end {
    struct ms_transfer_id id;
    enum ms_transfer_state how;
    bool confirm; /* the second step of a billed acceptance */
    const char *reason;
    struct ms_tenant_id src; /* as read before: it never changes */
};

static enum ms_code may_end(const struct ms_tree *t, const struct ms_transfer_record *job,
                            const struct end *e, struct ms_error *reterr) {
    enum ms_transfer_state how = e->how;
    bool sender = ms_tenant_id_equal((struct ms_tenant_id){job->src}, t->id);
    if (job->state != MS_TRANSFER_PROCESSING)
        return ms_fail(reterr, MS_WRONG_STATE, "transfer %s is over: %s%s%.200s",
                       ms_id_text(job->id).s, ms_transfer_state_name(job->state),
                       job->reason[0] ? ": " : "", job->reason);
    if (sender != (how == MS_TRANSFER_CANCEL))
        return ms_fail(reterr, MS_WRONG_STATE,
                       "transfer %s: only the sender cancels, only the receiver accepts or rejects; "
                       "tenant %s is the %s",
                       ms_id_text(job->id).s, t->tenant.name, sender ? "sender" : "receiver");
    if (e->confirm && !job->billing)
        return ms_fail(reterr, MS_WRONG_STATE,
                       "transfer %s is not billed: accept it without confirming a deduction",
                       ms_id_text(job->id).s);
    return how == MS_TRANSFER_ACCEPT ? ms_tree_thawed(t, "accepting a transfer", reterr) : MS_OK;
}

static enum ms_code end_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct end *e = ((const struct ms_tree_call *)in)->args;
    struct ms_transfer_record *job = out;
    struct ms_tree t, from;
    MS_TRY(begin_both(&t, &from, e->src, txn, in, reterr));
    MS_TRY(ms_transfer_own(&t, e->id, job, reterr));
    MS_TRY(may_end(&t, job, e, reterr));
    if (e->how == MS_TRANSFER_ACCEPT && job->billing && !e->confirm)
        return MS_OK; /* to be looked at */
    job->state = (uint8_t)e->how;
    (void)snprintf(job->reason, sizeof job->reason, "%s", e->reason ? e->reason : "");
    if (e->how == MS_TRANSFER_ACCEPT)
        MS_TRY(move_all(&from, &t, job, reterr));
    return finish_job(&t, job, reterr);
}

static enum ms_code end(struct ms_svc *svc, const struct ms_ctx *ctx, struct end args,
                        struct ms_transfer_record *ret_job, struct ms_error *reterr) {
    enum ms_transfer_state how = args.how;
    struct ms_asset_id assets[MS_TRANSFER_ASSETS_MAX];
    struct ms_error err = {0};
    size_t n;
    if (how != MS_TRANSFER_ACCEPT && how != MS_TRANSFER_REJECT && how != MS_TRANSFER_CANCEL)
        return ms_fail(reterr, MS_INVALID, "a transfer is accepted, rejected or cancelled");
    if (args.reason)
        MS_TRY(ms_line_check("the reason", args.reason, MS_REASON_MAX, reterr));
    MS_TRY(ms_transfer_get(svc, ctx, args.id, ret_job, assets, &n, reterr));
    args.src = (struct ms_tenant_id){ret_job->src};
    if (how == MS_TRANSFER_ACCEPT)
        make_room(svc, ctx->tenant);
    enum ms_code code = ms_tree_write(svc, ctx, end_op, &args, ret_job, sizeof *ret_job, &err);
    if (code != MS_OK)
        return ms_pass_up(code, &err, reterr);
    if (how == MS_TRANSFER_ACCEPT)
        tell_files(svc, ret_job);
    if (ret_job->state != MS_TRANSFER_FAIL)
        return MS_OK;
    return ms_fail(reterr, MS_WRONG_STATE, "the transfer failed, nothing was moved: %.256s",
                   ret_job->reason);
}

enum ms_code ms_transfer_end(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_transfer_id id,
                             enum ms_transfer_state how, const char *reason,
                             struct ms_transfer_record *ret_job, struct ms_error *reterr) {
    return end(svc, ctx, (struct end){.id = id, .how = how, .reason = reason}, ret_job, reterr);
}

enum ms_code ms_transfer_confirm(struct ms_svc *svc, const struct ms_ctx *ctx,
                                 struct ms_transfer_id id, const char *reason,
                                 struct ms_transfer_record *ret_job, struct ms_error *reterr) {
    const struct end args = {
        .id = id, .how = MS_TRANSFER_ACCEPT, .confirm = true, .reason = reason};
    return end(svc, ctx, args, ret_job, reterr);
}

/* ---- look ------------------------------------------------------------------------------------ */

enum ms_code ms_transfer_get(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_transfer_id id,
                             struct ms_transfer_record *ret_job,
                             struct ms_asset_id ret_assets[MS_TRANSFER_ASSETS_MAX], size_t *ret_n,
                             struct ms_error *reterr) {
    struct ms_error err = {0};
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = ms_transfer_own(&t, id, ret_job, &err);
    if (code == MS_OK)
        code = ms_transfer_assets(&t, id, ret_assets, ret_n, &err);
    ms_tree_read_end(&t);
    return ms_pass_up(code, &err, reterr);
}

struct jobs {
    struct ms_transfer_record *list;
    size_t n, cap;
};

static enum ms_code add_job(const struct ms_tree *t, struct jobs *to, struct ms_transfer_id id,
                            struct ms_error *reterr) {
    if (to->n == to->cap) {
        size_t cap = to->cap ? 2 * to->cap : 16;
        struct ms_transfer_record *list = reallocarray(to->list, cap, sizeof *list);
        if (!list)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu transfers", cap);
        to->list = list;
        to->cap = cap;
    }
    MS_TRY(ms_transfer_own(t, id, &to->list[to->n], reterr));
    to->n++;
    return MS_OK;
}

static enum ms_code list_in(const struct ms_tree *t, struct jobs *to, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_transfers_of(t->id);
    struct ms_transfer_id id;
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        memcpy(id.id.b, (const uint8_t *)key.p + key.n - MS_ID_BYTES, MS_ID_BYTES);
        if ((code = add_job(t, to, id, reterr)) != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static int by_time(const void *a, const void *b) {
    const struct ms_transfer_record *x = a, *y = b;
    if (x->start.ms != y->start.ms)
        return x->start.ms < y->start.ms ? -1 : 1;
    return memcmp(x->id.b, y->id.b, MS_ID_BYTES);
}

enum ms_code ms_transfer_list(struct ms_svc *svc, const struct ms_ctx *ctx,
                              struct ms_transfer_record **ret_list, size_t *ret_n,
                              struct ms_error *reterr) {
    struct jobs found = {0};
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = list_in(&t, &found, reterr);
    ms_tree_read_end(&t);
    if (code != MS_OK) {
        free(found.list);
        return code;
    }
    if (found.n > 0)
        qsort(found.list, found.n, sizeof *found.list, by_time);
    *ret_list = found.list;
    *ret_n = found.n;
    return MS_OK;
}

/* ---- the allow-list -------------------------------------------------------------------------- */

static enum ms_code allow_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const enum ms_may_transfer *may = ((const struct ms_tree_call *)in)->args;
    struct ms_tree t;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_tenant_note_setting(&t, "transfers (0 none, 1 models and voices, 2 any type):",
                                  t.tenant.may_transfer, *may, reterr));
    t.tenant.may_transfer = (uint8_t)*may;
    return ms_row_put_tenant(txn, ms_key_tenant(t.id), &t.tenant, reterr);
}

enum ms_code ms_transfer_allow(struct ms_svc *svc, const struct ms_ctx *ctx,
                               enum ms_may_transfer may, struct ms_error *reterr) {
    if (!ctx->admin)
        return ms_fail(reterr, MS_DENIED, "allowing transfers is refused to %s: %s", ctx->who,
                       ms_lc_rule_text(MS_LC_ADMIN_ONLY));
    return ms_tree_write(svc, ctx, allow_op, &may, NULL, 0, reterr);
}
