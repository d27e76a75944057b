/* fsck of declared files, I11: one that waits has its upload, owner and due row, and none of these is
 * anybody else's. */
#include "service/fsck_part.h"

#include <inttypes.h>

static struct ms_tenant_id tenant_of(const struct ms_fsck *f) {
    return (struct ms_tenant_id){f->tenant.id};
}

/* ---- uploads --------------------------------------------------------------------------------- */

static enum ms_code check_file_of(struct ms_fsck *f, struct ms_txn *txn,
                                  const struct ms_upload_record *u, struct ms_error *reterr) {
    struct ms_key key = ms_key_file(tenant_of(f), (struct ms_asset_id){u->asset},
                                    (struct ms_file_id){u->file});
    struct ms_file_record file;
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_file(txn, key, &file, reterr), &seen));
    if (seen == MS_FSCK_ABSENT ||
        (seen == MS_FSCK_THERE && (file.state != MS_FILE_CREATING || ms_id_is_set(file.version))))
        ms_fsck_finding(f, "I11", "an upload waits for file %s, which %s", ms_id_text(u->file).s,
                        seen == MS_FSCK_ABSENT ? "is not there" : "waits for nothing");
    return MS_OK;
}

static enum ms_code check_rows_of(struct ms_fsck *f, struct ms_txn *txn,
                                  const struct ms_upload_record *u, struct ms_error *reterr) {
    struct ms_file_id id = {u->file};
    struct ms_id asset;
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(
        ms_row_get_id(txn, ms_key_filedue(tenant_of(f), u->due, id), &asset, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "I11", "the upload of file %s has no due row at %" PRId64 " ms",
                        ms_id_text(u->file).s, u->due.ms);
    MS_TRY(ms_fsck_see(ms_row_get_id(txn, ms_key_fowner(tenant_of(f), id), &asset, reterr), &seen));
    if (seen == MS_FSCK_ABSENT || (seen == MS_FSCK_THERE && !ms_id_is(asset, u->asset)))
        ms_fsck_finding(f, "I11", "declared file %s is listed as %s", ms_id_text(u->file).s,
                        seen == MS_FSCK_ABSENT ? "nobody's" : "another asset's");
    return MS_OK;
}

static enum ms_code check_upload(void *priv, struct ms_txn *txn, struct ms_view key,
                                 struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_upload_record u;
    struct ms_error err = {0};
    if (!ms_fsck_decoded(f, ms_upload_decode(value, &u, &err), key, &err))
        return MS_OK;
    if (!ms_id_is(u.file, ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)))
        ms_fsck_finding(f, "I11", "the upload of file %s lies under another id",
                        ms_id_text(u.file).s);
    MS_TRY(check_file_of(f, txn, &u, reterr));
    return check_rows_of(f, txn, &u, reterr);
}

/* ---- and back -------------------------------------------------------------------------------- */

static enum ms_code check_due(void *priv, struct ms_txn *txn, struct ms_view key,
                              struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_error err = {0};
    struct ms_upload_record u;
    struct ms_tenant_id t;
    struct ms_instant at;
    struct ms_file_id file;
    enum ms_fsck_seen seen;
    (void)value;
    if (!ms_fsck_decoded(f, ms_key_split_filedue(key, &t, &at, &file, &err), key, &err))
        return MS_OK;
    MS_TRY(ms_fsck_see(ms_row_get_upload(txn, ms_key_upload(tenant_of(f), file), &u, reterr), &seen));
    if (seen == MS_FSCK_ABSENT || (seen == MS_FSCK_THERE && u.due.ms != at.ms))
        ms_fsck_finding(f, "I11", "a due row at %" PRId64 " ms is of file %s, which %s", at.ms,
                        ms_id_text(file.id).s,
                        seen == MS_FSCK_ABSENT ? "waits for nothing" : "has another one");
    return MS_OK;
}

static enum ms_code check_owner(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_file_id file = {ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)};
    struct ms_asset_id asset = {ms_key_id_at(value, 0)};
    struct ms_file_record row;
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_file(txn, ms_key_file(tenant_of(f), asset, file), &row, reterr),
                       &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "I11", "file %s is listed as of asset %s, which has no such file",
                        ms_id_text(file.id).s, ms_id_text(asset.id).s);
    return MS_OK;
}

/* A file of the API's that waits without an upload could never be confirmed. */
static enum ms_code check_waiting(void *priv, struct ms_txn *txn, struct ms_view key,
                                  struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_file_record file;
    struct ms_upload_record u;
    enum ms_fsck_seen seen;
    (void)key;
    if (ms_file_decode(value, &file, NULL) != MS_OK || file.state != MS_FILE_CREATING ||
        ms_instant_is_none(file.confirm_due))
        return MS_OK;
    struct ms_file_id id = {file.id};
    MS_TRY(ms_fsck_see(ms_row_get_upload(txn, ms_key_upload(tenant_of(f), id), &u, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        ms_fsck_finding(f, "I11", "file %s waits, and has no upload", ms_id_text(id.id).s);
    return MS_OK;
}

static enum ms_code check_ended(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr) {
    struct ms_fsck *f = priv;
    struct ms_upload_record u;
    struct ms_error err = {0};
    (void)txn, (void)reterr;
    if (ms_fsck_decoded(f, ms_upload_decode(value, &u, &err), key, &err))
        ms_fsck_pending(f, "upload", "%s has ended: msasset sweep will remove it", u.key);
    return MS_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

enum ms_code ms_fsck_files(struct ms_fsck *f, struct ms_error *reterr) {
    struct ms_tenant_id t = tenant_of(f);
    struct ms_key files = ms_table_of_tenant(ms_key_files_of(t, (struct ms_asset_id){{{0}}}));
    MS_TRY(ms_fsck_walk(f, ms_key_uploads_of(t), check_upload, reterr));
    MS_TRY(ms_fsck_walk(f, ms_key_filedues_of(t), check_due, reterr));
    MS_TRY(ms_fsck_walk(f, ms_key_fowners_of(t), check_owner, reterr));
    MS_TRY(ms_fsck_walk(f, files, check_waiting, reterr));
    return ms_fsck_walk(f, ms_key_ended_of(t), check_ended, reterr);
}
