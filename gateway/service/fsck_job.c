/* fsck of what waits for somebody's answer: unfreeze requests (a tenant's) and transfers (of two tenants). */
#include "service/fsck_part.h"

#include "service/request.h"
#include "service/transfer.h"

#include <inttypes.h>

static struct ms_tenant_id tenant_of(const struct ms_fsck *f) {
    return (struct ms_tenant_id){f->tenant.id};
}

/* ---- requests: one that waits is in ASKED, and nothing else is --------------------------------- */

static enum ms_code check_request(void *priv, struct ms_txn *txn, struct ms_view key,
                                  struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_request_record r;
    struct ms_error err = {0};
    struct ms_id named;
    enum ms_fsck_seen seen;
    if (!ms_fsck_decoded(f, ms_request_decode(value, &r, &err), key, &err))
        return MS_OK;
    if (!ms_id_is(r.id, ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)))
        ms_fsck_finding(f, "request", "request %s lies under another id", ms_id_text(r.id).s);
    if (r.state != MS_REQUEST_WAITING)
        return MS_OK;
    struct ms_key asked = ms_key_asked(tenant_of(f), (struct ms_asset_id){r.asset});
    MS_TRY(ms_fsck_see(ms_row_get_id(txn, asked, &named, reterr), &seen));
    if (seen == MS_FSCK_ABSENT || (seen == MS_FSCK_THERE && !ms_id_is(named, r.id)))
        ms_fsck_finding(f, "request", "request %s waits, and for its asset %s is listed",
                        ms_id_text(r.id).s, seen == MS_FSCK_ABSENT ? "none" : "another one");
    return MS_OK;
}

static enum ms_code check_asked(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_request_id id = {ms_key_id_at(value, 0)};
    struct ms_id asset = ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES);
    struct ms_request_record r;
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_request(txn, ms_key_request(tenant_of(f), id), &r, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "request", "request %s is said to wait, and is not there",
                        ms_id_text(id.id).s);
    else if (seen == MS_FSCK_THERE && (r.state != MS_REQUEST_WAITING || !ms_id_is(r.asset, asset)))
        ms_fsck_finding(f, "request", "request %s is said to wait for asset %s, and %s",
                        ms_id_text(id.id).s, ms_id_text(asset).s,
                        r.state != MS_REQUEST_WAITING ? "is decided" : "is about another one");
    return MS_OK;
}

/* ---- transfers: a job, what it moves, and who has to do with it --------------------------------- */

static enum ms_code check_listed(void *priv, struct ms_txn *txn, struct ms_view key,
                                 struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_transfer_id id = {ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)};
    struct ms_transfer_record job;
    enum ms_fsck_seen seen;
    (void)value;
    MS_TRY(ms_fsck_see(ms_row_get_transfer(txn, ms_key_transfer(id), &job, reterr), &seen));
    if (seen == MS_FSCK_ABSENT ||
        (seen == MS_FSCK_THERE && !ms_id_is(job.src, f->tenant.id) &&
         !ms_id_is(job.dest, f->tenant.id)))
        ms_fsck_finding(f, "transfer", "tenant %s lists transfer %s, which %s", f->tenant.name,
                        ms_id_text(id.id).s,
                        seen == MS_FSCK_ABSENT ? "is not there" : "is of others");
    return MS_OK;
}

static enum ms_code check_side(struct ms_fsck *f, struct ms_txn *txn,
                               const struct ms_transfer_record *job, struct ms_id tenant,
                               struct ms_error *reterr) {
    struct ms_key key =
        ms_key_transfer_of((struct ms_tenant_id){tenant}, (struct ms_transfer_id){job->id});
    struct ms_id named;
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_id(txn, key, &named, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "transfer", "transfer %s is not in the list of tenant %s",
                        ms_id_text(job->id).s, ms_id_text(tenant).s);
    return MS_OK;
}

/* One that can be accepted is the last that was made for each of its assets. */
static enum ms_code check_pending_of(struct ms_fsck *f, struct ms_txn *txn,
                                     const struct ms_transfer_record *job, struct ms_id asset,
                                     struct ms_error *reterr) {
    struct ms_id named;
    enum ms_fsck_seen seen;
    bool open = job->state == MS_TRANSFER_PROCESSING &&
                ms_clock_now(f->svc->clock).ms < job->expire.ms;
    MS_TRY(ms_fsck_see(
        ms_row_get_id(txn, ms_key_pending((struct ms_asset_id){asset}), &named, reterr), &seen));
    bool names_it = seen == MS_FSCK_THERE && ms_id_is(named, job->id);
    if (open && seen != MS_FSCK_DAMAGED && !names_it)
        ms_fsck_finding(f, "transfer", "transfer %s waits, and asset %s does not say so",
                        ms_id_text(job->id).s, ms_id_text(asset).s);
    if (job->state != MS_TRANSFER_PROCESSING && names_it)
        ms_fsck_finding(f, "transfer", "transfer %s is over, and asset %s says that it waits",
                        ms_id_text(job->id).s, ms_id_text(asset).s);
    return MS_OK;
}

static enum ms_code check_assets_of(struct ms_fsck *f, struct ms_txn *txn,
                                    const struct ms_transfer_record *job, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_transfer_assets((struct ms_transfer_id){job->id});
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code;
    uint32_t n = 0;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK &&
           (code = check_pending_of(f, txn, job, ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES),
                                    reterr)) == MS_OK)
        n++;
    ms_scan_end(&scan);
    MS_TRY(ms_absent_is_fine(code, reterr));
    if (n != job->assets)
        ms_fsck_finding(f, "transfer", "transfer %s is of %" PRIu32 " assets, %" PRIu32 " are listed",
                        ms_id_text(job->id).s, job->assets, n);
    return MS_OK;
}

static enum ms_code check_job(void *priv, struct ms_txn *txn, struct ms_view key,
                              struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_transfer_record job;
    struct ms_error err = {0};
    if (!ms_fsck_decoded(f, ms_transfer_decode(value, &job, &err), key, &err))
        return MS_OK;
    if (!ms_id_is(job.id, ms_key_id_at(key, 1)))
        ms_fsck_finding(f, "transfer", "transfer %s lies under another id", ms_id_text(job.id).s);
    MS_TRY(check_side(f, txn, &job, job.src, reterr));
    MS_TRY(check_side(f, txn, &job, job.dest, reterr));
    return check_assets_of(f, txn, &job, reterr);
}

/* Tables that share their first byte with another one are told apart by the length of their keys. */
#define XASSET_KEY_BYTES (1 + 2 * MS_ID_BYTES)
#define PENDING_KEY_BYTES (1 + MS_ID_BYTES)

static enum ms_code check_moved(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_transfer_id id = {ms_key_id_at(key, 1)};
    struct ms_transfer_record job;
    enum ms_fsck_seen seen;
    (void)value;
    if (key.n != XASSET_KEY_BYTES)
        return MS_OK;
    MS_TRY(ms_fsck_see(ms_row_get_transfer(txn, ms_key_transfer(id), &job, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "transfer", "asset %s is listed for transfer %s, which is not there",
                        ms_id_text(ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)).s,
                        ms_id_text(id.id).s);
    return MS_OK;
}

static enum ms_code check_pending(void *priv, struct ms_txn *txn, struct ms_view key,
                                  struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_id listed, asset = key.n == PENDING_KEY_BYTES ? ms_key_id_at(key, 1) : (struct ms_id){{0}};
    struct ms_transfer_id id = {ms_key_id_at(value, 0)};
    enum ms_fsck_seen seen;
    if (key.n != PENDING_KEY_BYTES)
        return MS_OK;
    struct ms_key moved = ms_key_transfer_asset(id, (struct ms_asset_id){asset});
    MS_TRY(ms_fsck_see(ms_row_get_id(txn, moved, &listed, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "transfer", "asset %s says that it waits for transfer %s, which does not move it",
                        ms_id_text(asset).s, ms_id_text(id.id).s);
    return MS_OK;
}

/* ---- all of it ---------------------------------------------------------------------------------- */

enum ms_code ms_fsck_answers(struct ms_fsck *f, struct ms_error *reterr) {
    struct ms_tenant_id t = tenant_of(f);
    struct ms_key asked = ms_table_of_tenant(ms_key_asked(t, (struct ms_asset_id){{{0}}}));
    MS_TRY(ms_fsck_walk(f, ms_key_requests_of(t), check_request, reterr));
    MS_TRY(ms_fsck_walk(f, asked, check_asked, reterr));
    return ms_fsck_walk(f, ms_key_transfers_of(t), check_listed, reterr);
}

enum ms_code ms_fsck_transfers(struct ms_fsck *f, struct ms_error *reterr) {
    MS_TRY(ms_fsck_walk(f, ms_fsck_table('x'), check_job, reterr));
    MS_TRY(ms_fsck_walk(f, ms_fsck_table('v'), check_moved, reterr));
    return ms_fsck_walk(f, ms_fsck_table('e'), check_pending, reterr);
}
