/* The commit of a confirmation: what was found becomes the file, or its failure. */
#include "service/confirm_part.h"

#include "base/checked.h"
#include "model/derived.h"
#include "quota/quota.h"
#include "service/hash_rows.h"
#include "service/package.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct seal {
    const struct ms_tree *t;
    const struct ms_confirm_seal *in;
    const struct ms_found_bytes *found;
    struct ms_declared_rows rows;
    enum ms_code verdict;
    struct ms_error why;
};

static struct ms_asset_id asset_of(const struct seal *s) {
    return (struct ms_asset_id){s->rows.asset.rec.id};
}

/* ---- verdict --------------------------------------------------------------------------------- */

static void hex_of(const uint8_t md5[16], char ret_text[33]) {
    for (unsigned i = 0; i < 16; i++)
        (void)snprintf(ret_text + 2 * i, 3, "%02x", md5[i]);
}

static enum ms_code compare(const struct seal *s, struct ms_error *reterr) {
    const struct ms_upload_record *upload = &s->rows.upload;
    const struct ms_file_record *file = &s->rows.file;
    char is[33], declared[33];
    if (upload->size != 0 && s->found->size != upload->size)
        return ms_fail(reterr, MS_MISMATCH,
                       "declared %" PRIu64 " bytes, uploaded %" PRIu64, upload->size,
                       s->found->size);
    if (s->in->root && memcmp(s->in->root, s->found->root, sizeof s->found->root) != 0) {
        hex_of(s->in->root, declared);
        hex_of(s->found->root, is);
        return ms_fail(reterr, MS_MISMATCH, "declared root hash %s, uploaded %s", declared, is);
    }
    if (!file->has_md5 || memcmp(file->md5, s->found->md5, sizeof file->md5) == 0)
        return MS_OK;
    hex_of(file->md5, declared);
    hex_of(s->found->md5, is);
    return ms_fail(reterr, MS_MISMATCH, "declared MD5 %s, uploaded %s", declared, is);
}

static enum ms_code judge(struct seal *s) {
    bool is_main = s->rows.file.category == MS_CATEGORY_MAIN ||
                   s->rows.file.category == MS_CATEGORY_TEMPORARY;
    enum ms_code code = compare(s, &s->why);
    struct ms_derived_name name;
    if (code == MS_OK && ms_derived_parse(s->rows.file.name, &name) && s->found->probed.there)
        code = ms_derived_accept(name.kind, &s->found->probed.facts, &s->why);
    else if (code == MS_OK && ms_derived_parse(s->rows.file.name, &name))
        code = ms_fail(&s->why, MS_WRONG_KIND, "what the converter made is %s",
                       s->found->media_type[0] ? s->found->media_type : "of no known kind");
    if (code == MS_OK && is_main)
        code = ms_confirm_judge(&s->rows.asset.rec, s->rows.file.name, s->found,
                                s->rows.upload.large, s->t->limits, &s->why);
    return code;
}

/* ---- rows of the version --------------------------------------------------------------------- */

static enum ms_code put_version(const struct seal *s, struct ms_error *reterr) {
    const struct ms_tree *t = s->t;
    struct ms_object_record object = {.id = s->rows.upload.object,
                                      .size = s->found->size,
                                      .refs = 1,
                                      .block_log2 = MS_BLOCK_LOG2_DEFAULT,
                                      .created = t->now};
    struct ms_version_record version = {.id = s->in->version.id,
                                        .asset = s->rows.asset.rec.id,
                                        .file = s->rows.file.id,
                                        .size = s->found->size,
                                        .block_log2 = MS_BLOCK_LOG2_DEFAULT,
                                        .hashed = 1,
                                        .object = object.id,
                                        .committed = t->now};
    struct ms_object_id id = {object.id};
    memcpy(object.key, s->rows.upload.key, sizeof object.key);
    memcpy(object.etag, s->found->etag, sizeof object.etag);
    memcpy(version.root, s->found->root, sizeof version.root);
    MS_TRY(ms_row_put_object(t->txn, ms_key_object(id), &object, reterr));
    MS_TRY(ms_hash_rows_put(s->t->txn, id, &s->found->hashes, reterr));
    if (s->found->probed.there)
        MS_TRY(ms_row_put_facts(t->txn, ms_key_facts(t->id, s->in->version), &s->found->probed.facts,
                                reterr));
    return ms_row_put_version(t->txn, ms_key_version(t->id, s->in->version), &version, reterr);
}

/* What was reserved pays; a size that was not declared is compared with the quota now. */
static enum ms_code pay(const struct seal *s, uint64_t replaces, struct ms_error *reterr) {
    const struct ms_asset_record *asset = &s->rows.asset.rec;
    enum ms_class class = ms_class_of(asset->origin, asset->type, asset->created, s->t->now);
    uint64_t need = ms_quota_overwrite_needs(replaces, s->found->size);
    struct ms_usage_record usage;
    if (!ms_class_is_metered(class) || need <= s->rows.upload.reserved)
        return MS_OK;
    MS_TRY(ms_usage_now(s->t->txn, s->t->id, s->t->now, s->t->unasked, &usage, reterr));
    uint64_t left = ms_usage_left(&s->t->tenant, &usage);
    if (need - s->rows.upload.reserved <= left)
        return MS_OK;
    return ms_fail(reterr, MS_QUOTA,
                   "\"%.100s\" has %" PRIu64 " bytes; tenant %s has %" PRIu64
                   " left: make room, then confirm it again",
                   s->rows.file.name, s->found->size, s->t->tenant.name, left);
}

static enum ms_code put_file(struct seal *s, enum ms_file_state state, struct ms_error *reterr) {
    struct ms_file_record *file = &s->rows.file;
    file->state = (uint8_t)state;
    file->version = s->in->version.id;
    file->size = s->found->size;
    file->versions = 1;
    file->confirm_due = (struct ms_instant){0};
    file->has_md5 = 1;
    memcpy(file->md5, s->found->md5, sizeof file->md5);
    (void)snprintf(file->media_type, sizeof file->media_type, "%s", s->found->media_type);
    return ms_row_put_file(s->t->txn, ms_key_file(s->t->id, asset_of(s), s->in->file), file,
                           reterr);
}

/* Version, object and hashes, paid for; the declaration is over. */
static enum ms_code take_bytes(struct seal *s, uint64_t replaces, struct ms_error *reterr) {
    MS_TRY(pay(s, replaces, reterr));
    MS_TRY(put_version(s, reterr));
    return ms_change_upload_end(s->t->txn, s->t->id, &s->rows.upload, true, reterr);
}

static enum ms_code note(const struct seal *s, uint8_t what, const char *why,
                         struct ms_error *reterr) {
    char text[MS_REASON_MAX + 1], cut[MS_REASON_MAX + 1];
    (void)snprintf(text, sizeof text, "%s", ms_category_name((enum ms_category)s->rows.file.category));
    ms_reason_cut(why, cut);
    (void)snprintf(text, sizeof text, "%s %.120s%s%.100s",
                   ms_category_name((enum ms_category)s->rows.file.category), s->rows.file.name,
                   why[0] ? ": " : "", cut);
    ms_reason_cut(text, cut);
    return ms_change_file_note(s->t->txn, &s->t->tenant, s->t->who, &s->rows.asset.rec, what, s->t->now,
                          cut, reterr);
}

/* ---- a place in the tree --------------------------------------------------------------------- */

static enum ms_code type_folder(const struct ms_tree *t, enum ms_asset_type type,
                                uint64_t *ret_ino, struct ms_error *reterr) {
    const char *name = ms_special_name(ms_asset_type_folder(type));
    struct ms_found f;
    MS_TRY(ms_tree_find(t, t->tenant.root_ino, name, &f, reterr));
    if (!f.found || !S_ISDIR(f.inode.mode))
        return ms_fail(reterr, MS_CORRUPT, "tenant %s has no folder %s: run msasset fsck",
                       t->tenant.name, name);
    *ret_ino = f.inode.ino;
    return MS_OK;
}

/* In its type's folder under its file's name: product.md section 2, "Path". */
static enum ms_code place(struct seal *s, struct ms_error *reterr) {
    const struct ms_tree *t = s->t;
    struct ms_asset_record *asset = &s->rows.asset.rec;
    struct ms_inode_record dir, inode = {.mode = S_IFREG | (0666 & ~t->tenant.umask),
                                         .uid = t->tenant.uid,
                                         .gid = t->tenant.gid,
                                         .nlink = 1,
                                         .size = s->found->size,
                                         .asset = asset->id,
                                         .version = s->in->version.id,
                                         .generation = 1};
    char wanted[MS_NAME_BYTES_MAX + 1], name[MS_NAME_BYTES_MAX + 1], nfc[MS_NAME_BYTES_MAX + 1];
    uint64_t folder;
    MS_TRY(type_folder(t, (enum ms_asset_type)asset->type, &folder, reterr));
    ms_name_from_text(s->rows.file.name, wanted);
    MS_TRY(ms_tree_free_name(t, folder, wanted, name, reterr));
    MS_TRY(ms_name_check(name, nfc, reterr));
    MS_TRY(ms_txn_number(t->txn, "ino", &inode.ino, reterr));
    /* last, because looking for a name may have put what had it into the bin, which the folder counts */
    MS_TRY(ms_tree_dir(t, folder, &dir, reterr));
    ms_tree_touch(t, &inode, MS_TOUCH_ATIME | MS_TOUCH_CHANGE);
    inode.btime_s = inode.ctime_s;
    inode.btime_ns = inode.ctime_ns;
    MS_TRY(ms_tree_name_add(t, &dir, nfc, name, &inode, reterr));
    MS_TRY(ms_tree_put(t, &dir, reterr));
    asset->ino = inode.ino;
    return ms_change_inode_new(t->txn, t->id, &inode, reterr);
}

/* ---- failures -------------------------------------------------------------------------------- */

/* The bytes go; the row stays and says why. */
static enum ms_code fail_file(struct seal *s, struct ms_error *reterr) {
    struct ms_file_record *file = &s->rows.file;
    file->state = MS_FILE_FAILED;
    ms_reason_cut(s->why.message, file->reason);
    MS_TRY(ms_row_put_file(s->t->txn, ms_key_file(s->t->id, asset_of(s), s->in->file), file,
                           reterr));
    MS_TRY(ms_change_upload_end(s->t->txn, s->t->id, &s->rows.upload, false, reterr));
    return note(s, MS_AUDIT_FILE_FAILED, file->reason, reterr);
}

static enum ms_code step_to(struct seal *s, enum ms_event event, const char *why,
                            struct ms_error *reterr) {
    struct ms_tree_asset *a = &s->rows.asset;
    struct ms_lc_facts facts = ms_tree_facts(s->t, &a->rec);
    struct ms_lc_verdict step = ms_lc_step(&a->life, event, &facts);
    if (step.rule != MS_LC_ALLOWED)
        return ms_tree_refused(s->t, a, step.rule, "confirming", reterr);
    if (step.effects & MS_EFFECT_FREE_BYTES)
        MS_TRY(ms_change_free(s->t->txn, s->t->id, &a->rec, MS_WHY_FAIL, s->t->now, reterr));
    MS_TRY(ms_change_life(s->t->txn, s->t->id, s->t->who, &a->rec, &step.next, event, s->t->now,
                          why, reterr));
    a->life = step.next;
    return MS_OK;
}

static void give_reason(struct seal *s) {
    struct ms_asset_record *asset = &s->rows.asset.rec;
    asset->reason[0] = asset->reason_code[0] = '\0';
    if (s->verdict == MS_OK)
        return;
    ms_reason_cut(s->why.message, asset->reason);
    (void)snprintf(asset->reason_code, sizeof asset->reason_code, "%s", ms_code_name(s->verdict));
}

/* ---- MAIN ------------------------------------------------------------------------------------ */

/* A model or voice is registered by its first MAIN that is accepted. */
static enum ms_code register_it(struct seal *s, struct ms_error *reterr) {
    const struct ms_tree *t = s->t;
    if (s->verdict != MS_OK)
        return MS_OK;
    MS_TRY(ms_package_register(t, &s->rows.asset.rec, reterr));
    s->rows.asset.life = ms_asset_life(&s->rows.asset.rec);
    return MS_OK;
}

/* Of an asset whose MAIN is not what was declared nothing is kept. */
static enum ms_code fail_main(struct seal *s, struct ms_error *reterr) {
    MS_TRY(fail_file(s, reterr));
    give_reason(s);
    return step_to(s, MS_EVENT_MISMATCH, s->rows.asset.rec.reason, reterr);
}

static enum ms_code add_bytes(struct seal *s, uint64_t replaces, enum ms_why why,
                              struct ms_error *reterr) {
    struct ms_asset_record *asset = &s->rows.asset.rec;
    uint64_t bytes = asset->bytes;
    if (ms_sub_u64(bytes, replaces, &bytes) || ms_add_u64(bytes, s->found->size, &bytes))
        return ms_fail(reterr, MS_CORRUPT,
                       "asset %s counts %" PRIu64 " bytes, its MAIN %" PRIu64 ": run msasset fsck",
                       ms_id_text(asset->id).s, asset->bytes, replaces);
    asset->updated = s->t->now;
    return ms_change_bytes(s->t->txn, s->t->id, asset, bytes, why, s->t->now, reterr);
}

static enum ms_code seal_main(struct seal *s, struct ms_error *reterr) {
    bool review = s->t->tenant.review;
    enum ms_event event = s->verdict != MS_OK ? MS_EVENT_CONTENT_FAIL
                          : review            ? MS_EVENT_CONFIRM_REVIEW
                                              : MS_EVENT_CONFIRM;
    enum ms_file_state state = s->verdict != MS_OK ? MS_FILE_FAILED
                               : review            ? MS_FILE_UPLOADED
                                                   : MS_FILE_CREATED;
    if (s->verdict == MS_MISMATCH)
        return fail_main(s, reterr);
    MS_TRY(take_bytes(s, 0, reterr));
    if (s->verdict != MS_OK)
        ms_reason_cut(s->why.message, s->rows.file.reason);
    MS_TRY(put_file(s, state, reterr));
    MS_TRY(place(s, reterr));
    MS_TRY(add_bytes(s, 0, MS_WHY_SEAL, reterr));
    give_reason(s);
    MS_TRY(step_to(s, event, s->rows.asset.rec.reason, reterr));
    return register_it(s, reterr);
}

/* ---- TEMPORARY ------------------------------------------------------------------------------- */

/* The new file takes the old one's place; the old one goes with its bytes. */
static enum ms_code replace_main(struct seal *s, const struct ms_file_record *old,
                                 struct ms_error *reterr) {
    struct ms_asset_record *asset = &s->rows.asset.rec;
    bool failed = asset->rest == MS_STATE_FAILED, waits = failed && s->t->tenant.review;
    uint64_t replaces = ms_version_id_is_none((struct ms_version_id){old->version}) ? 0 : old->size;
    MS_TRY(take_bytes(s, replaces, reterr));
    MS_TRY(ms_change_file_drop(s->t->txn, s->t->id, asset_of(s), old, true, reterr));
    s->rows.file.category = MS_CATEGORY_MAIN;
    MS_TRY(put_file(s, waits ? MS_FILE_UPLOADED : MS_FILE_CREATED, reterr));
    asset->main_file = s->rows.file.id;
    MS_TRY(ms_held_show(s->t, asset->ino, s->in->version, s->found->size, reterr));
    MS_TRY(add_bytes(s, replaces, MS_WHY_SEAL, reterr));
    MS_TRY(note(s, MS_AUDIT_FILE_CONFIRMED, "it replaces the one before", reterr));
    if (failed) { /* checked as at creation */
        give_reason(s);
        MS_TRY(step_to(s, waits ? MS_EVENT_CONFIRM_REVIEW : MS_EVENT_CONFIRM, "", reterr));
        return register_it(s, reterr);
    }
    return ms_row_put_asset(s->t->txn, ms_key_asset(s->t->id, asset_of(s)), asset, reterr);
}

/* It waits for review beside the live one, as TEMPORARY; an earlier one that waits goes. */
static enum ms_code hold(struct seal *s, const struct ms_held *before, struct ms_error *reterr) {
    struct ms_held held = {
        .version = s->in->version, .file = s->in->file, .bytes = s->found->size};
    (void)snprintf(held.media_type, sizeof held.media_type, "%s", s->found->media_type);
    MS_TRY(take_bytes(s, before->bytes, reterr));
    MS_TRY(put_file(s, MS_FILE_UPLOADED, reterr));
    MS_TRY(add_bytes(s, before->bytes, MS_WHY_SEAL, reterr));
    MS_TRY(note(s, MS_AUDIT_FILE_CONFIRMED, "it waits for review", reterr));
    MS_TRY(ms_held_put(s->t, &s->rows.asset, &held, reterr));
    return ms_held_show(s->t, s->rows.asset.rec.ino, held.version, held.bytes, reterr);
}

static enum ms_code seal_temporary(struct seal *s, struct ms_error *reterr) {
    struct ms_asset_record *asset = &s->rows.asset.rec;
    struct ms_file_record old;
    struct ms_held held;
    if (s->verdict != MS_OK)
        return fail_file(s, reterr);
    if (asset->ino == 0)
        return ms_fail(reterr, MS_WRONG_STATE, "the asset has no MAIN that could be replaced");
    MS_TRY(ms_held_of(s->t, asset, &held, reterr));
    if (ms_held_waits(s->t, &s->rows.asset.life, &held))
        return hold(s, &held, reterr);
    MS_TRY(ms_row_get_file(
        s->t->txn,
        ms_key_file(s->t->id, asset_of(s), (struct ms_file_id){asset->main_file}), &old, reterr));
    return replace_main(s, &old, reterr);
}

/* ---- any other file -------------------------------------------------------------------------- */

static enum ms_code seal_other(struct seal *s, struct ms_error *reterr) {
    if (s->verdict != MS_OK)
        return fail_file(s, reterr);
    MS_TRY(take_bytes(s, 0, reterr));
    MS_TRY(put_file(s, MS_FILE_CREATED, reterr));
    MS_TRY(add_bytes(s, 0, MS_WHY_FILE, reterr));
    MS_TRY(ms_row_put_asset(s->t->txn, ms_key_asset(s->t->id, asset_of(s)), &s->rows.asset.rec,
                            reterr));
    return note(s, MS_AUDIT_FILE_CONFIRMED, "", reterr);
}

/* ---- the operation --------------------------------------------------------------------------- */

static void tell(const struct seal *s, struct ms_confirmed *o) {
    const struct ms_life life = ms_asset_life(&s->rows.asset.rec);
    o->asset = asset_of(s);
    o->state = ms_lc_shown(&life, ms_tenant_mask(&s->t->tenant, s->t->now));
    o->file_state = (enum ms_file_state)s->rows.file.state;
    o->verdict = s->verdict;
    if (s->verdict != MS_OK)
        ms_reason_cut(s->why.message, o->reason);
}

enum ms_code ms_confirm_seal_op(struct ms_txn *txn, const void *in, void *out,
                                struct ms_error *reterr) {
    struct ms_tree t;
    struct seal s = {.t = &t, .in = ((const struct ms_tree_call *)in)->args};
    enum ms_code code;
    s.found = s.in->found;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_declared_load(&t, s.in->file, &s.rows, reterr));
    MS_TRY(ms_declared_may(&t, &s.rows, "confirming", reterr));
    s.verdict = judge(&s);
    if (s.rows.file.category == MS_CATEGORY_MAIN)
        code = seal_main(&s, reterr);
    else if (s.rows.file.category == MS_CATEGORY_TEMPORARY)
        code = seal_temporary(&s, reterr);
    else
        code = seal_other(&s, reterr);
    if (code == MS_OK)
        tell(&s, out);
    return code;
}
