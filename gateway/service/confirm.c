/* Declared files: what their rows say, and the ends that need no bytes. */
#include "service/confirm_part.h"

#include <stdio.h>
#include <string.h>

/* ---- rows ------------------------------------------------------------------------------------ */

enum ms_code ms_asset_load(const struct ms_tree *t, struct ms_asset_id id,
                           struct ms_tree_asset *ret_asset, struct ms_error *reterr) {
    const struct ms_inode_record inode = {.asset = id.id};
    struct ms_key key = ms_key_asset(t->id, id);
    bool gone = true;
    bool there = ms_txn_has(t->txn, ms_key_view(&key));
    if (there)
        MS_TRY(ms_tree_asset(t, &inode, ret_asset, &gone, reterr));
    if (!there || ret_asset->life.rest == MS_STATE_DELETED)
        return ms_fail(reterr, MS_NOT_FOUND,
                       "tenant %s has no asset %s, or it was deleted for good", t->tenant.name,
                       ms_id_text(id.id).s);
    return MS_OK;
}

static enum ms_code load_upload(const struct ms_tree *t, struct ms_file_id file,
                                struct ms_declared_rows *rows, struct ms_error *reterr) {
    struct ms_error err = {0};
    enum ms_code code =
        ms_row_get_upload(t->txn, ms_key_upload(t->id, file), &rows->upload, &err);
    rows->open = code == MS_OK;
    if (code == MS_OK || code == MS_NOT_FOUND)
        return MS_OK;
    if (reterr)
        *reterr = err;
    return code;
}

/* Effective, as everything that anybody reads: over by time is over, swept or not. */
static void see_overdue(const struct ms_tree *t, struct ms_declared_rows *rows) {
    if (!rows->open ||
        ms_upload_ends(&t->tenant, &rows->asset.life, &rows->file, t->now).ms > t->now.ms)
        return;
    rows->open = false;
    rows->file.state = MS_FILE_CANCELLED;
    (void)snprintf(rows->file.reason, sizeof rows->file.reason,
                   "TIMEOUT: not confirmed within 24 h of its declaration");
}

enum ms_code ms_declared_load(const struct ms_tree *t, struct ms_file_id file,
                              struct ms_declared_rows *ret_rows, struct ms_error *reterr) {
    struct ms_declared_rows *rows = ret_rows;
    struct ms_asset_id asset;
    struct ms_error err = {0};
    enum ms_code code = ms_row_get_id(t->txn, ms_key_fowner(t->id, file), &asset.id, &err);
    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, code, "tenant %s has no declared file %s, or it is gone",
                       t->tenant.name, ms_id_text(file.id).s);
    if (code == MS_OK)
        code = ms_asset_load(t, asset, &rows->asset, &err);
    if (code == MS_OK)
        code = ms_row_get_file(t->txn, ms_key_file(t->id, asset, file), &rows->file, &err);
    if (code == MS_OK)
        code = load_upload(t, file, rows, &err);
    if (code == MS_OK)
        see_overdue(t, rows);
    else if (reterr)
        *reterr = err;
    return code;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static bool failed_by_content(const struct ms_life *life) {
    return life->rest == MS_STATE_FAILED && life->fail == MS_FAIL_CONTENT;
}

static bool state_takes(const struct ms_life *life, enum ms_category category) {
    bool creating = life->rest == MS_STATE_CREATING;
    if (category == MS_CATEGORY_MAIN)
        return creating && !life->sealed;
    if (category == MS_CATEGORY_TEMPORARY)
        return ms_state_is_finished((enum ms_state)life->rest) || failed_by_content(life);
    return creating || ms_state_is_finished((enum ms_state)life->rest) || failed_by_content(life);
}

enum ms_code ms_asset_takes_file(const struct ms_tree *t, const struct ms_tree_asset *asset,
                                 enum ms_category category, const char *what,
                                 struct ms_error *reterr) {
    const struct ms_life *life = &asset->life;
    enum ms_lc_rule rule = MS_LC_ALLOWED;
    MS_TRY(ms_tree_thawed(t, what, reterr));
    if (asset->rec.origin == MS_ORIGIN_SYSTEM && !t->admin)
        rule = MS_LC_SYSTEM_ASSET;
    else if (life->holds)
        rule = MS_LC_FROZEN;
    else if (life->binned)
        rule = MS_LC_BINNED;
    else if (!state_takes(life, category))
        rule = MS_LC_STATE;
    if (rule != MS_LC_ALLOWED)
        return ms_tree_refused(t, asset, rule, what, reterr);
    return category == MS_CATEGORY_TEMPORARY ? ms_tree_may(t, asset, MS_RIGHT_WRITE, what, reterr)
                                             : MS_OK;
}

enum ms_code ms_declared_may(const struct ms_tree *t, const struct ms_declared_rows *rows,
                             const char *what, struct ms_error *reterr) {
    const struct ms_file_record *file = &rows->file;
    if (!rows->open)
        return ms_fail(reterr, MS_WRONG_STATE, "%s is refused: file \"%.150s\" is %s already%s%s",
                       what, file->name, ms_file_state_name((enum ms_file_state)file->state),
                       file->reason[0] ? ": " : "", file->reason);
    return ms_asset_takes_file(t, &rows->asset, (enum ms_category)file->category, what, reterr);
}

/* ---- ends without bytes ---------------------------------------------------------------------- */

static bool is_main(const struct ms_declared_rows *rows) {
    return memcmp(rows->asset.rec.main_file.b, rows->file.id.b, MS_ID_BYTES) == 0;
}

/* The asset has no MAIN again: another one may be declared. */
static enum ms_code forget_main(const struct ms_tree *t, struct ms_declared_rows *rows,
                                struct ms_error *reterr) {
    struct ms_asset_record *asset = &rows->asset.rec;
    memset(&asset->main_file, 0, sizeof asset->main_file);
    asset->updated = t->now;
    return ms_row_put_asset(t->txn, ms_key_asset(t->id, (struct ms_asset_id){asset->id}), asset,
                            reterr);
}

struct end_args {
    struct ms_file_id file;
    enum ms_confirm_as as;
};

static enum ms_code end_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct end_args *a = ((const struct ms_tree_call *)in)->args;
    struct ms_confirmed *o = out;
    struct ms_declared_rows rows;
    struct ms_tree t;
    bool failed = a->as == MS_CONFIRM_FAILED;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_declared_load(&t, a->file, &rows, reterr));
    MS_TRY(ms_declared_may(&t, &rows, "confirming", reterr));
    struct ms_asset_id asset = {rows.asset.rec.id};
    MS_TRY(ms_change_upload_end(txn, t.id, &rows.upload, false, reterr));
    rows.file.state = failed ? MS_FILE_FAILED : MS_FILE_CANCELLED;
    (void)snprintf(rows.file.reason, sizeof rows.file.reason, "%s",
                   failed ? "the client says that the upload failed" : "cancelled by the client");
    MS_TRY(ms_row_put_file(txn, ms_key_file(t.id, asset, a->file), &rows.file, reterr));
    if (is_main(&rows))
        MS_TRY(forget_main(&t, &rows, reterr));
    o->asset = asset;
    o->state = rows.asset.state;
    o->file_state = (enum ms_file_state)rows.file.state;
    memcpy(o->reason, rows.file.reason, sizeof o->reason);
    return ms_change_file_note(txn, &t.tenant, t.who, &rows.asset.rec,
                          failed ? MS_AUDIT_FILE_FAILED : MS_AUDIT_FILE_CANCELLED, t.now,
                          rows.file.name, reterr);
}

/* ---- confirm --------------------------------------------------------------------------------- */

static enum ms_code plan(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_file_id file,
                         struct ms_declared_rows *rows, struct ms_error *reterr) {
    struct ms_tree t;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = ms_declared_load(&t, file, rows, reterr);
    if (code == MS_OK)
        code = ms_declared_may(&t, rows, "confirming", reterr);
    ms_tree_read_end(&t);
    return code;
}

static enum ms_code confirm_created(struct ms_svc *svc, const struct ms_ctx *ctx,
                                    const struct ms_confirm *confirm, struct ms_confirmed *out,
                                    struct ms_error *reterr) {
    MS_AUTO(ms_found_bytes_fini) struct ms_found_bytes found = {.size = 0};
    struct ms_declared_rows rows;
    MS_TRY(plan(svc, ctx, confirm->file, &rows, reterr));
    MS_TRY(ms_found_bytes(svc, &rows, confirm, &found, reterr));
    const struct ms_confirm_seal seal = {.file = confirm->file,
                                         .version = ms_version_id_new(svc->random),
                                         .found = &found,
                                         .root = confirm->root};
    return ms_tree_write_metered(svc, ctx, ms_confirm_seal_op, &seal, out, sizeof *out, reterr);
}

/* What ended uploads left in the store goes now if the store lets it; else the sweep sees to it. */
static void tidy(struct ms_svc *svc, const struct ms_ctx *ctx) {
    struct ms_error err;
    uint64_t n;
    if (ms_ended_settle(svc, ctx->tenant, &n, &err) != MS_OK)
        ms_log_failure(svc->log, MS_LOG_DEBUG, "ended-upload-not-removed", &err, NULL);
}

enum ms_code ms_file_confirm(struct ms_svc *svc, const struct ms_ctx *ctx,
                             const struct ms_confirm *confirm, struct ms_confirmed *ret_confirmed,
                             struct ms_error *reterr) {
    struct ms_confirmed out;
    if (confirm->as == MS_CONFIRM_CREATED) {
        MS_TRY(confirm_created(svc, ctx, confirm, &out, reterr));
    } else {
        const struct end_args args = {confirm->file, confirm->as};
        MS_TRY(ms_tree_write_freeing(svc, ctx, end_op, &args, &out, sizeof out, reterr));
    }
    tidy(svc, ctx);
    *ret_confirmed = out;
    return MS_OK;
}

/* ---- remove ---------------------------------------------------------------------------------- */

static enum ms_code remove_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct ms_file_id *file = ((const struct ms_tree_call *)in)->args;
    struct ms_declared_rows rows;
    struct ms_held held;
    struct ms_tree t;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_declared_load(&t, *file, &rows, reterr));
    struct ms_asset_record *asset = &rows.asset.rec;
    struct ms_asset_id id = {asset->id};
    if (is_main(&rows))
        return ms_fail(reterr, MS_WRONG_STATE,
                       "MAIN cannot be removed: cancel its upload, or delete the asset");
    MS_TRY(ms_asset_takes_file(&t, &rows.asset, MS_CATEGORY_OTHER, "removing a file", reterr));
    MS_TRY(ms_held_of(&t, asset, &held, reterr));
    if (ms_file_id_equal(held.file, *file))
        return ms_fail(reterr, MS_WRONG_STATE,
                       "\"%.100s\" waits for review as the new MAIN and cannot be removed: upload "
                       "another one, which replaces it, or wait for the verdict",
                       rows.file.name);
    bool counted = !ms_version_id_is_none((struct ms_version_id){rows.file.version});
    MS_TRY(ms_change_file_drop(txn, t.id, id, &rows.file, true, reterr));
    MS_TRY(ms_change_bytes(txn, t.id, asset, asset->bytes - (counted ? rows.file.size : 0),
                           MS_WHY_FILE, t.now, reterr));
    asset->updated = t.now;
    MS_TRY(ms_row_put_asset(txn, ms_key_asset(t.id, id), asset, reterr));
    return ms_change_file_note(txn, &t.tenant, t.who, asset, MS_AUDIT_FILE_REMOVED, t.now,
                          rows.file.name, reterr);
}

enum ms_code ms_file_remove(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_file_id file,
                            struct ms_error *reterr) {
    MS_TRY(ms_tree_write_freeing(svc, ctx, remove_op, &file, NULL, 0, reterr));
    tidy(svc, ctx);
    return MS_OK;
}

/* ---- what could not be made ------------------------------------------------------------------ */

static enum ms_code count_files(const struct ms_tree *t, struct ms_asset_id asset, unsigned *ret_n,
                                struct ms_error *reterr) {
    struct ms_key prefix = ms_key_files_of(t->id, asset);
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code;
    *ret_n = 0;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK)
        (*ret_n)++;
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code note_failed_op(struct ms_txn *txn, const void *in, void *out,
                                   struct ms_error *reterr) {
    const struct ms_file_failed *a = ((const struct ms_tree_call *)in)->args;
    struct ms_file_record file = {.category = (uint8_t)a->category, .state = MS_FILE_FAILED};
    struct ms_tree_asset asset;
    struct ms_tree t;
    unsigned n;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(count_files(&t, a->asset, &n, reterr));
    MS_TRY(ms_files_room(n, reterr));
    MS_TRY(ms_asset_load(&t, a->asset, &asset, reterr));
    MS_TRY(ms_asset_takes_file(&t, &asset, a->category, "noting a failure", reterr));
    ms_txn_random(txn, file.id.b, sizeof file.id.b);
    memcpy(file.name, a->name, sizeof file.name);
    memcpy(file.reason, a->reason, sizeof file.reason);
    file.declared = t.now;
    struct ms_file_id id = {file.id};
    MS_TRY(ms_row_put_file(txn, ms_key_file(t.id, a->asset, id), &file, reterr));
    MS_TRY(ms_row_put_id(txn, ms_key_fowner(t.id, id), a->asset.id, reterr));
    return ms_change_file_note(txn, &t.tenant, t.who, &asset.rec, MS_AUDIT_FILE_FAILED, t.now,
                               file.reason, reterr);
}

enum ms_code ms_file_note_failed(struct ms_svc *svc, const struct ms_ctx *ctx,
                                 const struct ms_file_failed *failed, struct ms_error *reterr) {
    return ms_tree_write(svc, ctx, note_failed_op, failed, NULL, 0, reterr);
}

/* ---- list ------------------------------------------------------------------------------------ */

static enum ms_code list(const struct ms_tree *t, struct ms_asset_id id,
                         struct ms_file_record *ret_files, size_t max, size_t *ret_n,
                         struct ms_error *reterr) {
    struct ms_declared_rows rows;
    struct ms_key prefix = ms_key_files_of(t->id, id);
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code = ms_asset_load(t, id, &rows.asset, reterr);
    if (code != MS_OK)
        return code;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while (*ret_n < max &&
           (code = ms_row_next_file(&scan, &key, &rows.file, reterr)) == MS_OK) {
        if ((code = load_upload(t, (struct ms_file_id){rows.file.id}, &rows, reterr)) != MS_OK)
            break;
        see_overdue(t, &rows);
        ret_files[(*ret_n)++] = rows.file;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_file_list(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_asset_id asset,
                          struct ms_file_record *ret_files, size_t max, size_t *ret_n,
                          struct ms_error *reterr) {
    struct ms_tree t;
    struct ms_error err = {0};
    size_t n = 0;
    MS_TRY(ms_tree_read(&t, svc, ctx, reterr));
    enum ms_code code = list(&t, asset, ret_files, max, &n, &err);
    ms_tree_read_end(&t);
    if (code == MS_OK)
        *ret_n = n;
    else if (reterr)
        *reterr = err;
    return code;
}
