/* Files that were declared and wait for their bytes: reservation, owner, deadline; and the end of any
 * file. */
#include "service/change.h"

#include "base/checked.h"
#include "service/chain.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"

#include <stdio.h>
#include <string.h>

enum ms_code ms_change_file_note(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                 const char *who, const struct ms_asset_record *asset,
                                 uint8_t event, struct ms_instant at, const char *why,
                                 struct ms_error *reterr) {
    struct ms_life life = ms_asset_life(asset);
    struct ms_mask mask = event == MS_AUDIT_FILE_CANCELLED ? ms_tenant_mask_at(tenant, at)
                                                           : ms_tenant_mask(tenant, at);
    uint8_t shown = (uint8_t)ms_lc_shown(&life, mask);
    struct ms_audit_record row = {
        .at = at, .asset = asset->id, .event = event, .from = shown, .to = shown};
    (void)snprintf(row.who, sizeof row.who, "%s", who);
    (void)snprintf(row.why, sizeof row.why, "%s", why);
    return ms_chain_audit(txn, (struct ms_tenant_id){tenant->id}, &row, reterr);
}

/* ---- reservations ---------------------------------------------------------------------------- */

static enum ms_code count_reserved(struct ms_txn *txn, struct ms_tenant_id tenant, uint64_t bytes,
                                   bool more, struct ms_error *reterr) {
    struct ms_usage_record usage;
    uint64_t now;
    if (bytes == 0)
        return MS_OK;
    MS_TRY(ms_row_get_usage(txn, ms_key_usage(tenant), &usage, reterr));
    bool wrong = more ? ms_add_u64(usage.reserved, bytes, &now)
                      : ms_sub_u64(usage.reserved, bytes, &now);
    if (wrong)
        return ms_fail(reterr, MS_CORRUPT,
                       "reserved bytes would leave their range: run msasset fsck");
    usage.reserved = now;
    return ms_row_put_usage(txn, ms_key_usage(tenant), &usage, reterr);
}

enum ms_code ms_change_upload_begin(struct ms_txn *txn, struct ms_tenant_id tenant,
                                    const struct ms_file_record *file,
                                    const struct ms_upload_record *upload,
                                    struct ms_error *reterr) {
    struct ms_asset_id asset = {upload->asset};
    struct ms_file_id id = {upload->file};
    MS_ASSERT(memcmp(file->id.b, upload->file.b, MS_ID_BYTES) == 0);
    MS_TRY(count_reserved(txn, tenant, upload->reserved, true, reterr));
    MS_TRY(ms_row_put_file(txn, ms_key_file(tenant, asset, id), file, reterr));
    MS_TRY(ms_row_put_id(txn, ms_key_fowner(tenant, id), asset.id, reterr));
    MS_TRY(ms_row_put_id(txn, ms_key_filedue(tenant, upload->due, id), asset.id, reterr));
    return ms_row_put_upload(txn, ms_key_upload(tenant, id), upload, reterr);
}

/* Without an upload id the store has nothing under the key, or what gc finds by itself. */
enum ms_code ms_change_upload_end(struct ms_txn *txn, struct ms_tenant_id tenant,
                                  const struct ms_upload_record *upload, bool sealed,
                                  struct ms_error *reterr) {
    struct ms_file_id id = {upload->file};
    MS_TRY(count_reserved(txn, tenant, upload->reserved, false, reterr));
    MS_TRY(ms_row_del(txn, ms_key_filedue(tenant, upload->due, id), reterr));
    MS_TRY(ms_row_del(txn, ms_key_upload(tenant, id), reterr));
    if (sealed || upload->upload_id[0] == '\0')
        return MS_OK;
    return ms_row_put_upload(txn, ms_key_ended(tenant, id), upload, reterr);
}

enum ms_code ms_change_file_drop(struct ms_txn *txn, struct ms_tenant_id tenant,
                                 struct ms_asset_id asset, const struct ms_file_record *file,
                                 bool drop, struct ms_error *reterr) {
    struct ms_version_id version = {file->version};
    struct ms_file_id id = {file->id};
    struct ms_upload_record upload;
    struct ms_error err = {0};
    enum ms_code code = ms_row_get_upload(txn, ms_key_upload(tenant, id), &upload, &err);
    if (code == MS_OK)
        code = ms_change_upload_end(txn, tenant, &upload, false, &err);
    if (code != MS_OK && code != MS_NOT_FOUND) {
        if (reterr)
            *reterr = err;
        return code;
    }
    if (!ms_version_id_is_none(version))
        MS_TRY(ms_change_version_drop(txn, tenant, version, reterr));
    if (!drop)
        return MS_OK;
    MS_TRY(ms_row_del(txn, ms_key_fowner(tenant, id), reterr));
    return ms_row_del(txn, ms_key_file(tenant, asset, id), reterr);
}

/* ---- the deadline ---------------------------------------------------------------------------- */

struct ms_instant ms_upload_ends(const struct ms_tenant_record *tenant, const struct ms_life *life,
                                 const struct ms_file_record *file, struct ms_instant now) {
    const struct ms_instant none = {0};
    struct ms_instant at =
        ms_lc_file_due(life, file->confirm_due, ms_tenant_mask(tenant, none), none);
    if (at.ms <= ms_arrears_hold_at(ms_tenant_arrears(tenant)).ms)
        return at;
    return ms_lc_file_due(life, file->confirm_due, ms_tenant_mask(tenant, now), none);
}

/* To the earliest instant at which it can be due: while a freeze lasts, as if that ended now. */
static enum ms_code move_due(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                             const struct ms_life *life, const struct ms_file_record *file,
                             struct ms_upload_record *upload, struct ms_instant now,
                             struct ms_error *reterr) {
    struct ms_tenant_id id = {tenant->id};
    struct ms_mask mask = ms_tenant_mask(tenant, now);
    struct ms_instant lift = ms_instant_max(now, mask.since);
    mask = ms_lc_mask_lift(mask, MS_HOLD_ADMIN, lift);
    mask = ms_lc_mask_lift(mask, MS_HOLD_ARREARS, lift);
    struct ms_instant at = ms_lc_file_due(life, file->confirm_due, mask, (struct ms_instant){0});
    if (at.ms == upload->due.ms || at.ms > MS_INSTANT_MAX)
        return MS_OK;
    struct ms_file_id file_id = {upload->file};
    MS_TRY(ms_row_del(txn, ms_key_filedue(id, upload->due, file_id), reterr));
    upload->due = at;
    MS_TRY(ms_row_put_id(txn, ms_key_filedue(id, at, file_id), upload->asset, reterr));
    return ms_row_put_upload(txn, ms_key_upload(id, file_id), upload, reterr);
}

enum ms_code ms_change_upload_due(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                  const struct ms_asset_record *asset,
                                  struct ms_upload_record *upload, struct ms_instant now,
                                  bool *ret_cancelled, struct ms_error *reterr) {
    static const char why[] = "not confirmed within 24 h of its declaration";
    struct ms_tenant_id id = {tenant->id};
    struct ms_life life = ms_asset_life(asset);
    struct ms_key key = ms_key_file(id, (struct ms_asset_id){upload->asset},
                                    (struct ms_file_id){upload->file});
    struct ms_file_record file;
    char text[MS_REASON_MAX + 1];
    MS_TRY(ms_row_get_file(txn, key, &file, reterr));
    struct ms_instant at = ms_upload_ends(tenant, &life, &file, now);
    *ret_cancelled = at.ms <= now.ms;
    if (at.ms > now.ms)
        return move_due(txn, tenant, &life, &file, upload, now, reterr);
    MS_TRY(ms_change_upload_end(txn, id, upload, false, reterr));
    file.state = MS_FILE_CANCELLED;
    (void)snprintf(file.reason, sizeof file.reason, "TIMEOUT: %s", why);
    MS_TRY(ms_row_put_file(txn, key, &file, reterr));
    (void)snprintf(text, sizeof text, "%s %.150s: %s",
                   ms_category_name((enum ms_category)file.category), file.name, why);
    return ms_change_file_note(txn, tenant, "msasset", asset, MS_AUDIT_FILE_CANCELLED, at, text,
                               reterr);
}

/* One of the asset's files: *ret_over as ms_change_upload_due says. */
static enum ms_code end_overdue(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                const struct ms_asset_record *asset,
                                const struct ms_file_record *file, struct ms_instant at,
                                struct ms_error *reterr) {
    struct ms_tenant_id id = {tenant->id};
    struct ms_life life = ms_asset_life(asset);
    struct ms_upload_record upload;
    bool there, over;
    if (file->state != MS_FILE_CREATING || ms_instant_is_none(file->confirm_due) ||
        ms_upload_ends(tenant, &life, file, at).ms > at.ms)
        return MS_OK;
    MS_TRY(ms_allow_absent(
        ms_row_get_upload(txn, ms_key_upload(id, (struct ms_file_id){file->id}), &upload, reterr),
        &there));
    return there ? ms_change_upload_due(txn, tenant, asset, &upload, at, &over, reterr) : MS_OK;
}

enum ms_code ms_change_uploads_overdue(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                                       const struct ms_asset_record *asset, struct ms_instant at,
                                       struct ms_error *reterr) {
    struct ms_key prefix =
        ms_key_files_of((struct ms_tenant_id){tenant->id}, (struct ms_asset_id){asset->id});
    struct ms_file_record file;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    if (at.ms < ms_instant_add_ms(asset->created, MS_UPLOAD_DUE_MS).ms)
        return MS_OK; /* nothing of it was declared that long ago */
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while ((code = ms_row_next_file(&scan, &key, &file, reterr)) == MS_OK &&
           (code = end_overdue(txn, tenant, asset, &file, at, reterr)) == MS_OK)
        ;
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}
