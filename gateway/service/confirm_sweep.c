/* Declared files that nobody confirmed, and what ended uploads left in the store. */
#include "service/confirm_part.h"

#include "service/upkeep_list.h"

#include <string.h>

#define FILES_A_COMMIT 64u

/* ---- overdue --------------------------------------------------------------------------------- */

struct due_file {
    struct ms_instant at;
    struct ms_file_id file;
};

struct due_batch {
    struct ms_tenant_id tenant;
    struct ms_instant now;
    struct due_file row[FILES_A_COMMIT];
    unsigned n;
};

static enum ms_code next_due(struct ms_scan *scan, struct due_file *ret_row,
                             struct ms_error *reterr) {
    struct ms_view key, value;
    struct ms_tenant_id tenant;
    MS_TRY(ms_scan_next(scan, &key, &value, reterr));
    return ms_key_split_filedue(key, &tenant, &ret_row->at, &ret_row->file, reterr);
}

/* Behind `from`, which moves on: a row that cannot be settled is met once a sweep. */
static enum ms_code plan(struct ms_svc *svc, struct due_batch *batch, struct ms_key *from,
                         struct ms_instant *ret_next, struct ms_error *reterr) {
    struct ms_key to = ms_key_filedue(batch->tenant, ms_instant_of(INT64_MAX),
                                      (struct ms_file_id){{{0}}});
    struct ms_scan scan;
    struct due_file row;
    struct ms_txn *txn;
    struct ms_error err = {0};
    enum ms_code code = MS_OK;
    batch->n = 0;
    *ret_next = (struct ms_instant){0};
    MS_TRY(ms_read_begin(svc->store, &txn, reterr));
    ms_scan_begin(&scan, txn, ms_key_view(from), ms_key_view(&to));
    while (batch->n < FILES_A_COMMIT && (code = next_due(&scan, &row, &err)) == MS_OK) {
        if (row.at.ms > batch->now.ms) {
            *ret_next = row.at;
            break;
        }
        batch->row[batch->n++] = row;
        *from = ms_key_filedue(batch->tenant, row.at, row.file);
        from->bytes[from->len++] = 0;
    }
    ms_scan_end(&scan);
    ms_read_end(txn);
    return code == MS_NOT_FOUND ? MS_OK : ms_pass_up(code, &err, reterr);
}

static enum ms_code count_cancelled(struct ms_txn *txn, const struct due_batch *batch,
                                    const struct ms_asset_record *asset, const struct due_file *row,
                                    uint64_t *cancelled, struct ms_error *reterr) {
    struct ms_key key = ms_key_file(batch->tenant, (struct ms_asset_id){asset->id}, row->file);
    struct ms_file_record file;
    bool there;
    MS_TRY(ms_allow_absent(ms_row_get_file(txn, key, &file, reterr), &there));
    *cancelled += there && file.state == MS_FILE_CANCELLED;
    return MS_OK;
}

/* One that was settled meanwhile, or names another row, is passed over: fsck tells damage apart. */
static enum ms_code apply_row(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                              const struct due_batch *batch, const struct due_file *row,
                              uint64_t *cancelled, struct ms_error *reterr) {
    struct ms_upload_record upload;
    struct ms_asset_record asset;
    bool there, over;
    MS_TRY(ms_allow_absent(
        ms_row_get_upload(txn, ms_key_upload(batch->tenant, row->file), &upload, reterr), &there));
    if (!there || upload.due.ms != row->at.ms)
        return MS_OK;
    struct ms_key key = ms_key_asset(batch->tenant, (struct ms_asset_id){upload.asset});
    MS_TRY(ms_allow_absent(ms_row_get_asset(txn, key, &asset, reterr), &there));
    if (!there)
        return MS_OK;
    MS_TRY(ms_change_overdue(txn, tenant, &asset, batch->now, reterr));
    MS_TRY(ms_allow_absent(
        ms_row_get_upload(txn, ms_key_upload(batch->tenant, row->file), &upload, reterr), &there));
    if (!there) /* it was due, or ended with its asset */
        return count_cancelled(txn, batch, &asset, row, cancelled, reterr);
    MS_TRY(ms_change_upload_due(txn, tenant, &asset, &upload, batch->now, &over, reterr));
    *cancelled += over;
    return MS_OK;
}

static enum ms_code apply_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const struct due_batch *batch = in;
    struct ms_tenant_record tenant;
    MS_TRY(ms_change_begin(txn, batch->tenant, &tenant, reterr));
    for (unsigned i = 0; i < batch->n; i++)
        MS_TRY(apply_row(txn, &tenant, batch, &batch->row[i], out, reterr));
    return MS_OK;
}

enum ms_code ms_sweep_files(struct ms_svc *svc, struct ms_tenant_id tenant, struct ms_instant now,
                            uint64_t *ret_cancelled, struct ms_instant *ret_next,
                            struct ms_error *reterr) {
    struct due_batch batch = {.tenant = tenant, .now = now};
    struct ms_key from = ms_key_filedues_of(tenant);
    uint64_t cancelled, all = 0;
    for (;;) {
        MS_TRY(plan(svc, &batch, &from, ret_next, reterr));
        if (batch.n == 0)
            break;
        const struct ms_write write = {.fn = apply_op,
                                       .in = &batch,
                                       .out = &cancelled,
                                       .out_size = sizeof cancelled,
                                       .fence = ms_store_fence(svc->store),
                                       .frees = true};
        MS_TRY(ms_store_write(svc->store, &write, reterr));
        all += cancelled;
    }
    *ret_cancelled = all;
    return MS_OK;
}

/* ---- ended uploads --------------------------------------------------------------------------- */

struct ended {
    struct ms_tenant_id tenant;
    struct ms_upload_record upload;
};

static enum ms_code first_behind(struct ms_svc *svc, struct ended *e, struct ms_file_id after,
                                 struct ms_error *reterr) {
    struct ms_key from = ms_key_ended(e->tenant, after), all = ms_key_ended_of(e->tenant);
    struct ms_key to = all;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    memset(to.bytes + to.len, 0xff, MS_ID_BYTES);
    to.len += MS_ID_BYTES;
    from.bytes[from.len++] = 0;
    MS_TRY(ms_read_begin(svc->store, &txn, reterr));
    ms_scan_begin(&scan, txn, ms_key_view(&from), ms_key_view(&to));
    enum ms_code code = ms_row_next_upload(&scan, &key, &e->upload, reterr);
    ms_scan_end(&scan);
    ms_read_end(txn);
    return code;
}

/* The multipart upload, and the object, when a confirmation had completed it: both may be repeated
 * (O6), by any number of processes. */
static enum ms_code remove_bytes(struct ms_svc *svc, const struct ms_upload_record *upload,
                                 struct ms_error *reterr) {
    struct ms_obj_request abort = {
        .op = MS_OBJ_MP_ABORT, .key = upload->key, .upload_id = upload->upload_id};
    MS_TRY(ms_obj_run(svc->obj, &abort, reterr));
    return ms_stored_delete(svc, upload->key, reterr);
}

static enum ms_code forget_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct ended *e = in;
    (void)out;
    return ms_row_del(txn, ms_key_ended(e->tenant, (struct ms_file_id){e->upload.file}), reterr);
}

enum ms_code ms_ended_settle(struct ms_svc *svc, struct ms_tenant_id tenant, uint64_t *ret_settled,
                             struct ms_error *reterr) {
    struct ended e = {.tenant = tenant};
    struct ms_file_id after = {{{0}}};
    struct ms_error err = {0};
    uint64_t n = 0;
    enum ms_code code;
    while ((code = first_behind(svc, &e, after, &err)) == MS_OK) {
        const struct ms_write write = {
            .fn = forget_op, .in = &e, .fence = ms_store_fence(svc->store), .frees = true};
        after.id = e.upload.file;
        if ((code = remove_bytes(svc, &e.upload, &err)) != MS_OK ||
            (code = ms_store_write(svc->store, &write, &err)) != MS_OK)
            break;
        n++;
    }
    *ret_settled = n;
    return code == MS_NOT_FOUND ? MS_OK : ms_pass_up(code, &err, reterr);
}
