#include "service/request.h"

#include "service/asset_in.h"
#include "service/tenant.h"
#include "service/upkeep_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ms_request_state_name(uint8_t state) {
    static const char *const names[] = {"WAITING", "GRANTED", "REFUSED"};
    return state < MS_ARRAY_LEN(names) ? names[state] : "?";
}


/* ---- ask ------------------------------------------------------------------------------------- */

struct ask {
    struct ms_asset_id asset;
    const char *text;
};

static enum ms_code refuse_ask(const char *whose, enum ms_lc_rule rule, struct ms_error *reterr) {
    return ms_fail(reterr, MS_WRONG_STATE, "an unfreeze request for %.255s is refused: %s", whose,
                   ms_lc_rule_text(rule));
}

static enum ms_code may_ask_tenant(const struct ms_tree *t, struct ms_error *reterr) {
    uint8_t holds = ms_tenant_mask(&t->tenant, t->now).holds;
    if (holds & MS_HOLD_ADMIN)
        return MS_OK;
    if (holds & MS_HOLD_ARREARS)
        return refuse_ask(t->tenant.name, MS_LC_HOLD_ARREARS, reterr);
    return ms_fail(reterr, MS_WRONG_STATE,
                   "an unfreeze request for tenant %s is refused: it is not frozen",
                   t->tenant.name);
}

/* What an administrator could not do either is not asked for. */
static enum ms_code may_ask(const struct ms_tree *t, struct ms_asset_id id, enum ms_state *ret_shown,
                            struct ms_error *reterr) {
    struct ms_tree_asset asset;
    *ret_shown = MS_STATE_BLOCK;
    if (ms_asset_id_is_none(id))
        return may_ask_tenant(t, reterr);
    MS_TRY(ms_asset_find_in(t, id, &asset, reterr));
    struct ms_lc_facts facts = ms_tree_facts(t, &asset.rec);
    facts.actor_admin = true;
    enum ms_lc_rule rule = ms_lc_step(&asset.life, MS_EVENT_UNFREEZE, &facts).rule;
    *ret_shown = asset.state;
    return rule == MS_LC_ALLOWED ? MS_OK : refuse_ask(asset.rec.name, rule, reterr);
}

static enum ms_code none_waits(const struct ms_tree *t, struct ms_asset_id asset,
                               struct ms_error *reterr) {
    struct ms_id waiting;
    bool there;
    MS_TRY(ms_allow_absent(ms_row_get_id(t->txn, ms_key_asked(t->id, asset), &waiting, NULL),
                           &there));
    if (!there)
        return MS_OK;
    return ms_fail(reterr, MS_EXISTS, "request %s for the same waits for its decision already",
                   ms_id_text(waiting).s);
}

static enum ms_code add_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct ask *ask = ((const struct ms_tree_call *)in)->args;
    struct ms_request_record *r = out;
    struct ms_tree t;
    enum ms_state shown;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(may_ask(&t, ask->asset, &shown, reterr));
    MS_TRY(none_waits(&t, ask->asset, reterr));
    ms_txn_random(txn, r->id.b, MS_ID_BYTES);
    r->asset = ask->asset.id;
    r->at = t.now;
    (void)snprintf(r->who, sizeof r->who, "%s", t.who);
    (void)snprintf(r->text, sizeof r->text, "%s", ask->text);
    struct ms_request_id id = {r->id};
    MS_TRY(ms_row_put_request(txn, ms_key_request(t.id, id), r, reterr));
    MS_TRY(ms_row_put_id(txn, ms_key_asked(t.id, ask->asset), r->id, reterr));
    return ms_change_note(txn, t.id, t.who, ask->asset, MS_AUDIT_REQUESTED, shown, ask->text,
                          reterr);
}

enum ms_code ms_request_add(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_asset_id asset,
                            const char *text, struct ms_request_record *ret_request,
                            struct ms_error *reterr) {
    struct ask ask = {asset, text};
    size_t n = strlen(text);
    if (n == 0 || n > MS_REQUEST_TEXT_MAX)
        return ms_fail(reterr, MS_INVALID, "a request has a text of 1 to %d bytes, not %zu",
                       MS_REQUEST_TEXT_MAX, n);
    MS_TRY(ms_line_check("the text of a request", text, MS_REQUEST_TEXT_MAX, reterr));
    return ms_tree_write(svc, ctx, add_op, &ask, ret_request, sizeof *ret_request, reterr);
}

/* ---- decide ---------------------------------------------------------------------------------- */

struct decide {
    struct ms_request_id id;
    bool grant;
    const char *answer;
};

struct decided {
    struct ms_request_record request;
    uint64_t ino; /* of its asset */
};

static enum ms_code waiting(const struct ms_tree *t, struct ms_request_id id,
                            struct ms_request_record *ret_request, struct ms_error *reterr) {
    bool there;
    MS_TRY(ms_allow_absent(
        ms_row_get_request(t->txn, ms_key_request(t->id, id), ret_request, reterr), &there));
    if (!there)
        return ms_fail(reterr, MS_NOT_FOUND, "tenant %s has no unfreeze request %s", t->tenant.name,
                       ms_id_text(id.id).s);
    if (ret_request->state == MS_REQUEST_WAITING)
        return MS_OK;
    return ms_fail(reterr, MS_WRONG_STATE, "request %s is decided: %s by %.128s", ms_id_text(id.id).s,
                   ms_request_state_name(ret_request->state), ret_request->decided_by);
}

/* *r is as it was read. */
static enum ms_code close_it(const struct ms_tree *t, struct ms_request_record *r, bool granted,
                             const char *answer, struct ms_error *reterr) {
    r->state = granted ? MS_REQUEST_GRANTED : MS_REQUEST_REFUSED;
    r->decided_at = t->now;
    (void)snprintf(r->decided_by, sizeof r->decided_by, "%s", t->who);
    ms_reason_cut(answer, r->answer);
    struct ms_key key = ms_key_request(t->id, (struct ms_request_id){r->id});
    MS_TRY(ms_row_put_request(t->txn, key, r, reterr));
    return ms_row_del(t->txn, ms_key_asked(t->id, (struct ms_asset_id){r->asset}), reterr);
}

enum ms_code ms_request_answered(const struct ms_tree *t, struct ms_asset_id asset,
                                 struct ms_error *reterr) {
    struct ms_request_record r;
    struct ms_id id;
    bool there;
    MS_TRY(ms_allow_absent(ms_row_get_id(t->txn, ms_key_asked(t->id, asset), &id, reterr), &there));
    if (!there)
        return MS_OK;
    MS_TRY(ms_row_get_request(t->txn, ms_key_request(t->id, (struct ms_request_id){id}), &r,
                              reterr));
    return close_it(t, &r, true, "the freeze was lifted", reterr);
}

static enum ms_code grant(struct ms_tree *t, const struct ms_request_record *r, uint64_t *ret_ino,
                          struct ms_error *reterr) {
    struct ms_asset_event event = {
        .id = {r->asset}, .event = MS_EVENT_UNFREEZE, .why = "an unfreeze request was granted"};
    struct ms_asset_applied applied = {0};
    if (ms_asset_id_is_none(event.id))
        return ms_tenant_hold_in(t, MS_HOLD_ADMIN, false, event.why, reterr);
    MS_TRY(ms_asset_apply_in(t, &event, &applied, reterr));
    *ret_ino = applied.asset.ino;
    return MS_OK;
}

/* The asset may be gone meanwhile. */
static enum ms_state shown_now(const struct ms_tree *t, const struct ms_request_record *r) {
    struct ms_tree_asset asset;
    if (ms_asset_id_is_none((struct ms_asset_id){r->asset}))
        return ms_tenant_mask(&t->tenant, t->now).holds ? MS_STATE_BLOCK : MS_STATE_ACTIVED;
    return ms_asset_find_in(t, (struct ms_asset_id){r->asset}, &asset, NULL) == MS_OK
               ? asset.state
               : MS_STATE_DELETED;
}

static enum ms_code decide_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct decide *d = ((const struct ms_tree_call *)in)->args;
    struct decided *o = out;
    struct ms_request_record *r = &o->request;
    struct ms_tree t;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(waiting(&t, d->id, r, reterr));
    MS_TRY(close_it(&t, r, d->grant, d->answer, reterr));
    if (d->grant)
        MS_TRY(grant(&t, r, &o->ino, reterr));
    else
        MS_TRY(ms_change_note(txn, t.id, t.who, (struct ms_asset_id){r->asset}, MS_AUDIT_REFUSED,
                              shown_now(&t, r), d->answer, reterr));
    return MS_OK;
}

enum ms_code ms_request_decide(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_request_id id,
                               bool grant_it, const char *answer,
                               struct ms_request_record *ret_request, struct ms_error *reterr) {
    struct decide args = {id, grant_it, answer};
    struct decided out;
    if (!ctx->admin)
        return ms_fail(reterr, MS_DENIED, "deciding about an unfreeze is refused to %s: %s",
                       ctx->who, ms_lc_rule_text(MS_LC_ADMIN_ONLY));
    MS_TRY(ms_line_check("the answer", answer, MS_REASON_MAX, reterr));
    MS_TRY(ms_tree_write(svc, ctx, decide_op, &args, &out, sizeof out, reterr));
    if (grant_it)
        ms_file_revalidate(svc, ctx->tenant, out.ino);
    *ret_request = out.request;
    return MS_OK;
}

/* ---- list ------------------------------------------------------------------------------------ */

struct requests {
    struct ms_request_record *list;
    size_t n, cap;
};

static enum ms_code add_to(struct requests *to, const struct ms_request_record *request,
                           struct ms_error *reterr) {
    if (to->n == to->cap) {
        size_t cap = to->cap ? 2 * to->cap : 16;
        struct ms_request_record *list = reallocarray(to->list, cap, sizeof *list);
        if (!list)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu requests", cap);
        to->list = list;
        to->cap = cap;
    }
    to->list[to->n++] = *request;
    return MS_OK;
}

static enum ms_code list_in(const struct ms_tree *t, struct requests *to, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_requests_of(t->id);
    struct ms_request_record request;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_request(&scan, &key, &request, reterr)) == MS_OK)
        if ((code = add_to(to, &request, reterr)) != MS_OK)
            break;
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static int by_time(const void *a, const void *b) {
    const struct ms_request_record *x = a, *y = b;
    if (x->at.ms != y->at.ms)
        return x->at.ms < y->at.ms ? -1 : 1;
    return memcmp(x->id.b, y->id.b, MS_ID_BYTES);
}

enum ms_code ms_request_list(struct ms_svc *svc, const struct ms_ctx *ctx,
                             struct ms_request_record **ret_list, size_t *ret_n,
                             struct ms_error *reterr) {
    struct requests found = {0};
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
