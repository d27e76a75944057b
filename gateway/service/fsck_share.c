/* fsck of shares: I15, three rows that say the same, about an asset and a tenant that are there. */
#include "service/fsck_part.h"

#include <inttypes.h>

#define TEXT(id) ms_id_text(id).s

/* ---- a share leads to its two other rows, its asset and its receiver ---------------------------- */

static enum ms_code check_rows(struct ms_fsck *f, struct ms_txn *txn, const struct ms_share_record *s,
                               struct ms_error *reterr) {
    struct ms_tenant_id owner = {s->tenant}, receiver = {s->receiver};
    struct ms_asset_id asset = {s->asset};
    struct ms_id named;
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_id(txn, ms_key_shared(receiver, asset), &named, reterr), &seen));
    if (seen == MS_FSCK_ABSENT || (seen == MS_FSCK_THERE && !ms_id_is(named, s->tenant)))
        ms_fsck_finding(f, "I15", "asset %s is shared with tenant %s, where %s lists it", TEXT(s->asset),
                        TEXT(s->receiver), seen == MS_FSCK_ABSENT ? "nothing" : "another owner's row");
    MS_TRY(ms_fsck_see(
        ms_row_get_id(txn, ms_key_sharedue(owner, s->until, asset, receiver), &named, reterr), &seen));
    if (seen == MS_FSCK_ABSENT || (seen == MS_FSCK_THERE && !ms_id_is(named, s->receiver)))
        ms_fsck_finding(f, "I15", "the share of asset %s with tenant %s ends at %" PRId64 " ms, where %s",
                        TEXT(s->asset), TEXT(s->receiver), s->until.ms,
                        seen == MS_FSCK_ABSENT ? "no row is" : "the row names another tenant");
    return MS_OK;
}

static enum ms_code check_nouns(struct ms_fsck *f, struct ms_txn *txn, const struct ms_share_record *s,
                                struct ms_error *reterr) {
    struct ms_asset_record asset;
    struct ms_tenant_record tenant;
    enum ms_fsck_seen seen;
    struct ms_key key = ms_key_asset((struct ms_tenant_id){s->tenant}, (struct ms_asset_id){s->asset});
    MS_TRY(ms_fsck_see(ms_row_get_asset(txn, key, &asset, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "I15", "asset %s is shared by tenant %s, who has no such asset", TEXT(s->asset),
                        TEXT(s->tenant));
    key = ms_key_tenant((struct ms_tenant_id){s->receiver});
    MS_TRY(ms_fsck_see(ms_row_get_tenant(txn, key, &tenant, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "I15", "asset %s is shared with tenant %s, which is not there", TEXT(s->asset),
                        TEXT(s->receiver));
    return MS_OK;
}

static enum ms_code check_share(void *priv, struct ms_txn *txn, struct ms_view key, struct ms_view value,
                                struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_share_record s;
    struct ms_error err = {0};
    if (!ms_fsck_decoded(f, ms_share_decode(value, &s, &err), key, &err))
        return MS_OK;
    if (!ms_id_is(s.tenant, ms_key_id_at(key, 1)) ||
        !ms_id_is(s.asset, ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)) ||
        !ms_id_is(s.receiver, ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES + MS_ID_BYTES))) {
        ms_fsck_finding(f, "I15", "the share of asset %s with tenant %s lies under another key",
                        TEXT(s.asset), TEXT(s.receiver));
        return MS_OK;
    }
    MS_TRY(check_rows(f, txn, &s, reterr));
    return check_nouns(f, txn, &s, reterr);
}

/* ---- the two others lead back -------------------------------------------------------------------- */

static enum ms_code check_shared(void *priv, struct ms_txn *txn, struct ms_view key, struct ms_view value,
                                 struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_tenant_id receiver = {ms_key_id_at(key, 1)}, owner = {ms_key_id_at(value, 0)};
    struct ms_asset_id asset = {ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)};
    struct ms_share_record s;
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_share(txn, ms_key_share(owner, asset, receiver), &s, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "I15", "tenant %s lists asset %s as shared by tenant %s, who shares no such thing",
                        TEXT(receiver.id), TEXT(asset.id), TEXT(owner.id));
    return MS_OK;
}

static enum ms_code check_due(void *priv, struct ms_txn *txn, struct ms_view key, struct ms_view value,
                              struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_tenant_id owner, receiver;
    struct ms_asset_id asset;
    struct ms_instant at;
    struct ms_share_record s;
    struct ms_error err = {0};
    enum ms_fsck_seen seen;
    (void)value;
    if (!ms_fsck_decoded(f, ms_key_split_sharedue(key, &owner, &at, &asset, &receiver, &err), key, &err))
        return MS_OK;
    MS_TRY(ms_fsck_see(ms_row_get_share(txn, ms_key_share(owner, asset, receiver), &s, reterr), &seen));
    if (seen == MS_FSCK_ABSENT || (seen == MS_FSCK_THERE && s.until.ms != at.ms))
        ms_fsck_finding(f, "I15", "a share of asset %s with tenant %s is said to end at %" PRId64 " ms, and %s",
                        TEXT(asset.id), TEXT(receiver.id), at.ms,
                        seen == MS_FSCK_ABSENT ? "is not there" : "ends at another instant");
    return MS_OK;
}

enum ms_code ms_fsck_shares(struct ms_fsck *f, struct ms_error *reterr) {
    MS_TRY(ms_fsck_walk(f, ms_fsck_table('l'), check_share, reterr));
    MS_TRY(ms_fsck_walk(f, ms_fsck_table('s'), check_shared, reterr));
    return ms_fsck_walk(f, ms_fsck_table('m'), check_due, reterr);
}
