/* Sharing: the owner's side, and the sweep. */
#include "service/share.h"

#include "service/asset_in.h"
#include "service/share_part.h"
#include "service/upkeep_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *end_text(struct ms_instant until, char ret_text[MS_RFC3339_S_LEN + 1]) {
    ms_instant_format_s(ms_share_shown_end(until), ret_text);
    return ret_text;
}

/* ---- share ----------------------------------------------------------------------------------- */

static enum ms_code check_end(const struct ms_tree *t, struct ms_instant until, struct ms_error *reterr) {
    char text[MS_RFC3339_S_LEN + 1];
    if (until.ms > t->now.ms && until.ms <= ms_share_ends(t->now, MS_SHARE_DAYS_MAX).ms)
        return MS_OK;
    return ms_fail(reterr, MS_RANGE,
                   "a share that ends at %s is refused: it must end after now, and at most %d days later",
                   end_text(until, text), MS_SHARE_DAYS_MAX);
}

/* Who receives it: it must be there, be somebody else, and not be frozen. */
static enum ms_code receiver_of(const struct ms_tree *t, struct ms_tenant_id id, struct ms_tree *ret_to,
                                struct ms_error *reterr) {
    if (ms_tenant_id_equal(id, t->id))
        return ms_fail(reterr, MS_INVALID,
                       "sharing with tenant %s is refused: the asset is its own; name another tenant",
                       t->tenant.name);
    *ret_to = *t;
    ret_to->id = id;
    enum ms_code code = ms_row_get_tenant(t->txn, ms_key_tenant(id), &ret_to->tenant, NULL);
    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, MS_NO_TENANT, "there is no tenant %s to share with", ms_id_text(id.id).s);
    if (code != MS_OK)
        return ms_fail(reterr, code, "the record of tenant %s cannot be read", ms_id_text(id.id).s);
    return ms_tree_thawed(ret_to, "a share", reterr);
}

static enum ms_code note(const struct ms_tree *t, const struct ms_tree_asset *asset, uint8_t event,
                         const char *receiver, const char *more, struct ms_error *reterr) {
    char why[MS_REASON_MAX + 1];
    (void)snprintf(why, sizeof why, "with tenant %s%s", receiver, more);
    return ms_change_note(t->txn, t->id, t->who, (struct ms_asset_id){asset->rec.id}, event, asset->state,
                          why, reterr);
}

/* *n counts the asset's shares. One that has this end already stays as it is, without a row in the log. */
static enum ms_code share_with(const struct ms_tree *t, const struct ms_tree_asset *asset,
                               struct ms_tenant_id id, struct ms_instant until, size_t *n,
                               struct ms_error *reterr) {
    struct ms_share_record share;
    struct ms_tree to;
    char text[MS_RFC3339_S_LEN + 1], more[sizeof text + 16];
    bool there;
    MS_TRY(receiver_of(t, id, &to, reterr));
    struct ms_key key = ms_key_share(t->id, (struct ms_asset_id){asset->rec.id}, id);
    MS_TRY(ms_allow_absent(ms_row_get_share(t->txn, key, &share, reterr), &there));
    if (there && share.until.ms == until.ms)
        return MS_OK;
    if (!there && *n >= MS_SHARE_TENANTS_MAX)
        return ms_fail(reterr, MS_RANGE,
                       "sharing \"%.255s\" with tenant %s is refused: it is shared with %zu tenants, and %d "
                       "are the limit; withdraw it from some (msasset share rm)",
                       asset->rec.name, to.tenant.name, *n, MS_SHARE_TENANTS_MAX);
    *n += !there;
    if (!there)
        share = (struct ms_share_record){
            .tenant = t->id.id, .asset = asset->rec.id, .receiver = id.id, .since = t->now};
    share.until = until;
    (void)snprintf(share.who, sizeof share.who, "%s", t->who);
    MS_TRY(ms_change_share_put(t->txn, &share, reterr));
    (void)snprintf(more, sizeof more, " until %s", end_text(until, text));
    return note(t, asset, MS_AUDIT_SHARED, to.tenant.name, more, reterr);
}

static enum ms_code share_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct ms_share *s = ((const struct ms_tree_call *)in)->args;
    struct ms_instant *until = out;
    struct ms_tree_asset asset;
    struct ms_tree t;
    size_t n;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_tree_thawed(&t, "a share", reterr));
    MS_TRY(ms_asset_find_in(&t, s->asset, &asset, reterr));
    MS_TRY(ms_tree_may(&t, &asset, MS_RIGHT_SHARE, "a share", reterr));
    *until = ms_instant_is_none(s->until) ? ms_share_ends(t.now, MS_SHARE_DAYS) : s->until;
    MS_TRY(check_end(&t, *until, reterr));
    MS_TRY(ms_change_shares_overdue(txn, t.id, s->asset, t.now, &n, reterr));
    for (size_t i = 0; i < s->n; i++)
        MS_TRY(share_with(&t, &asset, s->receivers[i], *until, &n, reterr));
    return MS_OK;
}

enum ms_code ms_share_add(struct ms_svc *svc, const struct ms_ctx *ctx, const struct ms_share *share,
                          struct ms_instant *ret_until, struct ms_error *reterr) {
    struct ms_instant until;
    if (share->n < 1)
        return ms_fail(reterr, MS_INVALID, "a share names the tenants that may read: name at least one");
    if (share->n > MS_SHARE_TENANTS_MAX)
        return ms_fail(reterr, MS_RANGE, "an asset is shared with at most %d tenants, not %zu",
                       MS_SHARE_TENANTS_MAX, share->n);
    MS_TRY(ms_tree_write(svc, ctx, share_op, share, &until, sizeof until, reterr));
    if (ret_until)
        *ret_until = until;
    return MS_OK;
}

/* ---- withdraw -------------------------------------------------------------------------------- */

static enum ms_code withdraw(const struct ms_tree *t, const struct ms_tree_asset *asset,
                             const struct ms_share_record *share, struct ms_error *reterr) {
    char name[MS_TENANT_NAME_MAX + 1];
    MS_TRY(ms_share_tenant_name(t, (struct ms_tenant_id){share->receiver}, name, reterr));
    MS_TRY(ms_change_share_end(t->txn, share, reterr));
    return note(t, asset, MS_AUDIT_UNSHARED, name, "", reterr);
}

static enum ms_code withdraw_from(const struct ms_tree *t, const struct ms_tree_asset *asset,
                                  struct ms_tenant_id id, struct ms_error *reterr) {
    struct ms_share_record share;
    bool there;
    struct ms_key key = ms_key_share(t->id, (struct ms_asset_id){asset->rec.id}, id);
    MS_TRY(ms_allow_absent(ms_row_get_share(t->txn, key, &share, reterr), &there));
    if (there)
        return withdraw(t, asset, &share, reterr);
    return ms_fail(reterr, MS_NOT_FOUND,
                   "\"%.255s\" is not shared with tenant %s, or not any more: see msasset share ls",
                   asset->rec.name, ms_id_text(id.id).s);
}

static enum ms_code withdraw_all(const struct ms_tree *t, const struct ms_tree_asset *asset,
                                 size_t *ret_n, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_shares_of_asset(t->id, (struct ms_asset_id){asset->rec.id});
    struct ms_share_record share;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_share(&scan, &key, &share, reterr)) == MS_OK &&
           (code = withdraw(t, asset, &share, reterr)) == MS_OK)
        ++*ret_n;
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

/* Naming a tenant twice is naming it once. */
static bool stands_before(const struct ms_share *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (ms_tenant_id_equal(s->receivers[i], s->receivers[n]))
            return true;
    return false;
}

static enum ms_code withdraw_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct ms_share *s = ((const struct ms_tree_call *)in)->args;
    struct ms_tree_asset asset;
    struct ms_tree t;
    size_t *n = out, left;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_tree_thawed(&t, "withdrawing a share", reterr));
    MS_TRY(ms_asset_find_in(&t, s->asset, &asset, reterr));
    MS_TRY(ms_change_shares_overdue(txn, t.id, s->asset, t.now, &left, reterr));
    if (s->n == 0)
        return withdraw_all(&t, &asset, n, reterr);
    for (size_t i = 0; i < s->n; i++) {
        if (stands_before(s, i))
            continue;
        MS_TRY(withdraw_from(&t, &asset, s->receivers[i], reterr));
        ++*n;
    }
    return MS_OK;
}

enum ms_code ms_share_remove(struct ms_svc *svc, const struct ms_ctx *ctx, const struct ms_share *share,
                             size_t *ret_n, struct ms_error *reterr) {
    size_t n;
    MS_TRY(ms_tree_write_freeing(svc, ctx, withdraw_op, share, &n, sizeof n, reterr));
    if (ret_n)
        *ret_n = n;
    return MS_OK;
}

/* ---- list ------------------------------------------------------------------------------------ */

static enum ms_code fill(const struct ms_tree *t, const struct ms_share_record *share,
                         struct ms_share_info *info, struct ms_error *reterr) {
    struct ms_tree_asset asset;
    struct ms_tree to = *t;
    *info = (struct ms_share_info){.share = *share};
    MS_TRY(ms_asset_find_in(t, (struct ms_asset_id){share->asset}, &asset, reterr));
    to.id = (struct ms_tenant_id){share->receiver};
    MS_TRY(ms_row_get_tenant(t->txn, ms_key_tenant(to.id), &to.tenant, reterr));
    memcpy(info->receiver, to.tenant.name, sizeof info->receiver);
    memcpy(info->name, asset.rec.name, sizeof info->name);
    info->state = asset.state;
    info->readable = ms_share_may_read(t, &to, &asset, NULL) == MS_OK;
    return MS_OK;
}

static enum ms_code list_in(const struct ms_tree *t, struct ms_key *from, const struct ms_key *to,
                            struct ms_share_info *infos, size_t max, size_t *ret_n,
                            struct ms_error *reterr) {
    struct ms_share_record share;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code = MS_OK;
    size_t n = 0;
    ms_scan_begin(&scan, t->txn, ms_key_view(from), ms_key_view(to));
    while (n < max && (code = ms_row_next_share(&scan, &key, &share, reterr)) == MS_OK) {
        if (share.until.ms <= t->now.ms)
            continue;
        code = fill(t, &share, &infos[n], reterr);
        if (code != MS_OK && code != MS_NOT_FOUND) /* its time may have come, swept or not */
            break;
        n += code == MS_OK;
    }
    ms_scan_end(&scan);
    *ret_n = n;
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_share_list(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_asset_id asset,
                           const struct ms_share_record *after, struct ms_share_info *ret_infos,
                           size_t max, size_t *ret_n, struct ms_error *reterr) {
    struct ms_key to, from = ms_key_share(ctx->tenant, (struct ms_asset_id){after->asset},
                                          (struct ms_tenant_id){after->receiver});
    bool first = ms_asset_id_is_none((struct ms_asset_id){after->asset});
    struct ms_error err = {0};
    struct ms_tree t;
    to = ms_asset_id_is_none(asset) ? ms_key_shares_of(ctx->tenant)
                                    : ms_key_shares_of_asset(ctx->tenant, asset);
    if (first)
        from = to;
    else
        from.bytes[from.len++] = 0;
    memset(to.bytes + to.len, 0xff, 2 * MS_ID_BYTES + 1);
    to.len += 2 * MS_ID_BYTES + 1;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = list_in(&t, &from, &to, ret_infos, max, ret_n, &err);
    ms_tree_read_end(&t);
    return ms_pass_up(code, &err, reterr);
}

/* ---- the sweep ------------------------------------------------------------------------------- */

#define SHARES_A_COMMIT 64u

struct due_share {
    struct ms_instant at;
    struct ms_asset_id asset;
    struct ms_tenant_id receiver;
};

struct due_batch {
    struct ms_tenant_id tenant;
    struct due_share row[SHARES_A_COMMIT];
    unsigned n;
};

static enum ms_code plan_in(struct ms_txn *txn, struct ms_instant now, struct due_batch *batch,
                            struct ms_key *from, struct ms_instant *ret_next, struct ms_error *reterr) {
    struct ms_key to = ms_key_sharedue(batch->tenant, ms_instant_of(INT64_MAX),
                                       (struct ms_asset_id){{{0}}}, (struct ms_tenant_id){{{0}}});
    struct ms_view key, value;
    struct ms_tenant_id tenant;
    struct ms_scan scan;
    enum ms_code code = MS_OK;
    batch->n = 0;
    *ret_next = (struct ms_instant){0};
    ms_scan_begin(&scan, txn, ms_key_view(from), ms_key_view(&to));
    while (batch->n < SHARES_A_COMMIT && (code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        struct due_share *row = &batch->row[batch->n];
        code = ms_key_split_sharedue(key, &tenant, &row->at, &row->asset, &row->receiver, reterr);
        if (code != MS_OK)
            break;
        if (row->at.ms > now.ms) {
            *ret_next = row->at;
            break;
        }
        *from = ms_key_sharedue(batch->tenant, row->at, row->asset, row->receiver);
        from->bytes[from->len++] = 0;
        batch->n++;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

/* What was settled meanwhile, or names another end, is passed over: fsck tells damage apart. */
static enum ms_code expire_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct due_batch *batch = in;
    struct ms_tenant_record tenant;
    struct ms_share_record share;
    uint64_t *ended = out;
    bool there;
    MS_TRY(ms_change_begin(txn, batch->tenant, &tenant, reterr));
    for (unsigned i = 0; i < batch->n; i++) {
        const struct due_share *row = &batch->row[i];
        struct ms_key key = ms_key_share(batch->tenant, row->asset, row->receiver);
        MS_TRY(ms_allow_absent(ms_row_get_share(txn, key, &share, reterr), &there));
        if (!there || share.until.ms != row->at.ms)
            continue;
        MS_TRY(ms_change_share_expire(txn, &share, reterr));
        ++*ended;
    }
    return MS_OK;
}

enum ms_code ms_sweep_shares(struct ms_svc *svc, struct ms_tenant_id tenant, struct ms_instant now,
                             uint64_t *ret_ended, struct ms_instant *ret_next, struct ms_error *reterr) {
    struct due_batch batch = {.tenant = tenant};
    struct ms_key from = ms_key_sharedues_of(tenant);
    struct ms_error err = {0};
    uint64_t ended, all = 0;
    for (;;) {
        struct ms_txn *txn;
        MS_TRY(ms_read_begin(svc->store, &txn, reterr));
        enum ms_code code = plan_in(txn, now, &batch, &from, ret_next, &err);
        ms_read_end(txn);
        if (code != MS_OK)
            return ms_pass_up(code, &err, reterr);
        if (batch.n == 0)
            break;
        const struct ms_write write = {.fn = expire_op,
                                       .in = &batch,
                                       .out = &ended,
                                       .out_size = sizeof ended,
                                       .fence = ms_store_fence(svc->store),
                                       .frees = true};
        MS_TRY(ms_store_write(svc->store, &write, reterr));
        all += ended;
    }
    *ret_ended = all;
    return MS_OK;
}
