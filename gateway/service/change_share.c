/* The rows of a share: whom an asset is shared with, what is shared with a tenant, and when that ends. */
#include "service/chain.h"
#include "service/change.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"

#include <stdio.h>
#include <string.h>

struct share_keys {
    struct ms_key share, shared, due;
};

static struct share_keys keys_of(const struct ms_share_record *s) {
    struct ms_tenant_id owner = {s->tenant}, receiver = {s->receiver};
    struct ms_asset_id asset = {s->asset};
    return (struct share_keys){.share = ms_key_share(owner, asset, receiver),
                               .shared = ms_key_shared(receiver, asset),
                               .due = ms_key_sharedue(owner, s->until, asset, receiver)};
}

enum ms_code ms_change_share_put(struct ms_txn *txn, const struct ms_share_record *share,
                                 struct ms_error *reterr) {
    const struct share_keys k = keys_of(share);
    struct ms_share_record earlier;
    bool there;
    MS_TRY(ms_allow_absent(ms_row_get_share(txn, k.share, &earlier, reterr), &there));
    if (there)
        MS_TRY(ms_row_del(txn, keys_of(&earlier).due, reterr));
    MS_TRY(ms_row_put_share(txn, k.share, share, reterr));
    MS_TRY(ms_row_put_id(txn, k.shared, share->tenant, reterr));
    return ms_row_put_id(txn, k.due, share->receiver, reterr);
}

enum ms_code ms_change_share_end(struct ms_txn *txn, const struct ms_share_record *share,
                                 struct ms_error *reterr) {
    const struct share_keys k = keys_of(share);
    MS_TRY(ms_row_del(txn, k.due, reterr));
    MS_TRY(ms_row_del(txn, k.shared, reterr));
    return ms_row_del(txn, k.share, reterr);
}

enum ms_code ms_change_share_expire(struct ms_txn *txn, const struct ms_share_record *share,
                                    struct ms_error *reterr) {
    struct ms_tenant_record receiver;
    struct ms_audit_record row = {.at = share->until,
                                  .who = "msasset",
                                  .asset = share->asset,
                                  .event = MS_AUDIT_SHARE_EXPIRED,
                                  .from = MS_STATE_COUNT,
                                  .to = MS_STATE_COUNT};
    MS_TRY(ms_row_get_tenant(txn, ms_key_tenant((struct ms_tenant_id){share->receiver}), &receiver,
                             reterr));
    (void)snprintf(row.why, sizeof row.why, "with tenant %s", receiver.name);
    MS_TRY(ms_chain_audit(txn, (struct ms_tenant_id){share->tenant}, &row, reterr));
    return ms_change_share_end(txn, share, reterr);
}

enum ms_code ms_change_shares_overdue(struct ms_txn *txn, struct ms_tenant_id tenant,
                                      struct ms_asset_id asset, struct ms_instant at, size_t *ret_left,
                                      struct ms_error *reterr) {
    struct ms_key prefix = ms_key_shares_of_asset(tenant, asset);
    struct ms_share_record share;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    size_t left = 0;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while ((code = ms_row_next_share(&scan, &key, &share, reterr)) == MS_OK) {
        bool over = share.until.ms <= at.ms;
        left += !over;
        if (over && (code = ms_change_share_expire(txn, &share, reterr)) != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    MS_TRY(ms_absent_is_fine(code, reterr));
    *ret_left = left;
    return MS_OK;
}

bool ms_change_is_shared(struct ms_txn *txn, struct ms_tenant_id tenant, struct ms_asset_id asset,
                         struct ms_instant at) {
    struct ms_key prefix = ms_key_shares_of_asset(tenant, asset);
    struct ms_share_record share = {.until = {0}};
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while ((code = ms_row_next_share(&scan, &key, &share, NULL)) == MS_OK && share.until.ms <= at.ms)
        ;
    ms_scan_end(&scan);
    return code != MS_NOT_FOUND;
}

enum ms_code ms_change_shares_drop(struct ms_txn *txn, struct ms_tenant_id tenant,
                                   struct ms_asset_id asset, struct ms_instant at,
                                   struct ms_error *reterr) {
    struct ms_key prefix = ms_key_shares_of_asset(tenant, asset);
    struct ms_share_record share;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    size_t left;
    MS_TRY(ms_change_shares_overdue(txn, tenant, asset, at, &left, reterr));
    if (left == 0)
        return MS_OK;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while ((code = ms_row_next_share(&scan, &key, &share, reterr)) == MS_OK &&
           (code = ms_change_share_end(txn, &share, reterr)) == MS_OK)
        ;
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}
