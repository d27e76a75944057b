/* A new MAIN beside the live one: held, passed, dropped. */
#include "service/held.h"

#include "base/checked.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct ms_asset_id id_of(const struct ms_asset_record *asset) {
    return (struct ms_asset_id){asset->id};
}

static bool from_upload(const struct ms_held *held) { return !ms_file_id_is_none(held->file); }

/* ---- what is held ---------------------------------------------------------------------------- */

enum ms_code ms_held_case(const struct ms_tree *t, const struct ms_asset_record *asset,
                          struct ms_review_record *ret_row, bool *ret_there,
                          struct ms_error *reterr) {
    memset(ret_row, 0, sizeof *ret_row);
    *ret_there = false;
    if (!asset->in_review)
        return MS_OK;
    enum ms_code code = ms_row_get_review(t->txn, ms_key_review(t->id, id_of(asset)), ret_row, reterr);
    *ret_there = code == MS_OK;
    return ms_absent_is_fine(code, reterr); /* I12 is broken: fsck says so */
}

enum ms_code ms_held_of(const struct ms_tree *t, const struct ms_asset_record *asset,
                        struct ms_held *ret_held, struct ms_error *reterr) {
    struct ms_review_record row;
    bool there;
    MS_TRY(ms_held_case(t, asset, &row, &there, reterr));
    *ret_held = (struct ms_held){.version = {row.held}, .file = {row.held_file}, .bytes = row.held_bytes};
    memcpy(ret_held->media_type, row.held_media, sizeof ret_held->media_type);
    return MS_OK;
}

bool ms_held_waits(const struct ms_tree *t, const struct ms_life *life, const struct ms_held *held) {
    return ms_state_is_finished((enum ms_state)life->rest) &&
           (t->tenant.review || ms_held_any(held));
}

uint64_t ms_held_base(bool waits, const struct ms_held *held, uint64_t live_bytes) {
    return waits ? held->bytes : live_bytes;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static enum ms_code get_file(const struct ms_tree *t, const struct ms_asset_record *asset,
                             struct ms_id file, struct ms_file_record *ret_file,
                             struct ms_error *reterr) {
    return ms_row_get_file(t->txn, ms_key_file(t->id, id_of(asset), (struct ms_file_id){file}),
                           ret_file, reterr);
}

static enum ms_code put_file(const struct ms_tree *t, const struct ms_asset_record *asset,
                             const struct ms_file_record *file, struct ms_error *reterr) {
    return ms_row_put_file(
        t->txn, ms_key_file(t->id, id_of(asset), (struct ms_file_id){file->id}), file, reterr);
}

static enum ms_code less_bytes(const struct ms_tree *t, struct ms_asset_record *asset,
                               uint64_t bytes, struct ms_error *reterr) {
    uint64_t left;
    if (ms_sub_u64(asset->bytes, bytes, &left))
        return ms_fail(reterr, MS_CORRUPT,
                       "asset %s counts %" PRIu64 " bytes, of which %" PRIu64
                       " should go: run msasset fsck",
                       ms_id_text(asset->id).s, asset->bytes, bytes);
    return ms_change_bytes(t->txn, t->id, asset, left, MS_WHY_SEAL, t->now, reterr);
}

enum ms_code ms_held_as_live(const struct ms_tree *t, const struct ms_asset_record *asset,
                             struct ms_inode_record *inode, struct ms_error *reterr) {
    struct ms_file_record live;
    struct ms_held held;
    MS_TRY(ms_held_of(t, asset, &held, reterr));
    if (!ms_held_any(&held))
        return MS_OK;
    MS_TRY(get_file(t, asset, asset->main_file, &live, reterr));
    inode->version = live.version;
    inode->size = ms_version_id_is_none((struct ms_version_id){live.version}) ? 0 : live.size;
    return MS_OK;
}

enum ms_code ms_held_show(const struct ms_tree *t, uint64_t ino, struct ms_version_id version,
                          uint64_t bytes, struct ms_error *reterr) {
    const struct ms_feed_row row = {.kind = MS_FEED_CONTENT, .tenant = t->id, .ino = ino};
    struct ms_inode_record inode;
    MS_TRY(ms_tree_inode(t, ino, &inode, reterr));
    inode.version = version.id;
    inode.size = bytes;
    inode.generation++;
    ms_tree_touch(t, &inode, MS_TOUCH_CHANGE);
    MS_TRY(ms_tree_put(t, &inode, reterr));
    return ms_change_feed(t->txn, &row, reterr);
}

/* ---- hold ------------------------------------------------------------------------------------ */

/* Nobody will see it: its version goes, and the TEMPORARY that brought it. */
static enum ms_code replace(const struct ms_tree *t, const struct ms_asset_record *asset,
                            const struct ms_held *old, struct ms_error *reterr) {
    struct ms_file_record file;
    if (!ms_held_any(old))
        return MS_OK;
    if (!from_upload(old))
        return ms_change_version_drop(t->txn, t->id, old->version, reterr);
    MS_TRY(get_file(t, asset, old->file.id, &file, reterr));
    return ms_change_file_drop(t->txn, t->id, id_of(asset), &file, true, reterr);
}

static void fill_case(struct ms_review_record *row, const struct ms_held *held,
                      struct ms_instant now) {
    row->held = held->version.id;
    row->held_file = held->file.id;
    row->held_bytes = held->bytes;
    memcpy(row->held_media, held->media_type, sizeof row->held_media);
    row->since = ms_instant_max(now, ms_instant_add_ms(row->since, 1)); /* another case than before */
    row->human = 0;
    row->tries = 0;
    row->retry_at = (struct ms_instant){0};
}

enum ms_code ms_held_put(const struct ms_tree *t, struct ms_tree_asset *asset,
                         const struct ms_held *held, struct ms_error *reterr) {
    struct ms_lc_facts facts = ms_tree_facts(t, &asset->rec);
    struct ms_lc_verdict step = ms_lc_step(&asset->life, MS_EVENT_EDIT_REVIEW, &facts);
    struct ms_review_record row;
    struct ms_held old;
    MS_ASSERT(ms_held_any(held));
    if (step.rule != MS_LC_ALLOWED)
        return ms_tree_refused(t, asset, step.rule, "write", reterr);
    MS_TRY(ms_held_of(t, &asset->rec, &old, reterr));
    MS_TRY(replace(t, &asset->rec, &old, reterr));
    MS_TRY(ms_change_life(t->txn, t->id, t->who, &asset->rec, &step.next, MS_EVENT_EDIT_REVIEW,
                          t->now, "a new MAIN", reterr));
    asset->life = step.next;
    struct ms_key key = ms_key_review(t->id, id_of(&asset->rec));
    MS_TRY(ms_row_get_review(t->txn, key, &row, reterr));
    fill_case(&row, held, t->now);
    return ms_row_put_review(t->txn, key, &row, reterr);
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static enum ms_code written_lives(const struct ms_tree *t, const struct ms_asset_record *asset,
                                  struct ms_file_record *live, const struct ms_held *held,
                                  struct ms_error *reterr) {
    struct ms_version_id old = {live->version};
    if (!ms_version_id_is_none(old))
        MS_TRY(ms_change_version_drop(t->txn, t->id, old, reterr));
    live->version = held->version.id;
    live->size = held->bytes;
    live->state = MS_FILE_CREATED;
    live->has_md5 = 0;
    memset(live->md5, 0, sizeof live->md5);
    memcpy(live->media_type, held->media_type, sizeof live->media_type);
    return put_file(t, asset, live, reterr);
}

static enum ms_code uploaded_lives(const struct ms_tree *t, struct ms_asset_record *asset,
                                   const struct ms_file_record *live, const struct ms_held *held,
                                   struct ms_error *reterr) {
    struct ms_file_record file;
    MS_TRY(get_file(t, asset, held->file.id, &file, reterr));
    MS_TRY(ms_change_file_drop(t->txn, t->id, id_of(asset), live, true, reterr));
    file.category = MS_CATEGORY_MAIN;
    file.state = MS_FILE_CREATED;
    asset->main_file = file.id;
    return put_file(t, asset, &file, reterr);
}

enum ms_code ms_held_live(const struct ms_tree *t, struct ms_asset_record *asset,
                          const struct ms_held *held, struct ms_error *reterr) {
    struct ms_file_record live;
    MS_TRY(get_file(t, asset, asset->main_file, &live, reterr));
    bool had_bytes = !ms_version_id_is_none((struct ms_version_id){live.version});
    MS_TRY(less_bytes(t, asset, had_bytes ? live.size : 0, reterr));
    return from_upload(held) ? uploaded_lives(t, asset, &live, held, reterr)
                             : written_lives(t, asset, &live, held, reterr);
}

static enum ms_code upload_fails(const struct ms_tree *t, const struct ms_asset_record *asset,
                                 const struct ms_held *held, const char *why,
                                 struct ms_error *reterr) {
    struct ms_file_record file;
    MS_TRY(get_file(t, asset, held->file.id, &file, reterr));
    MS_TRY(ms_change_file_drop(t->txn, t->id, id_of(asset), &file, false, reterr));
    memset(&file.version, 0, sizeof file.version);
    file.state = MS_FILE_FAILED;
    (void)snprintf(file.reason, sizeof file.reason, "%s", why);
    return put_file(t, asset, &file, reterr);
}

enum ms_code ms_held_drop(const struct ms_tree *t, struct ms_asset_record *asset,
                          const struct ms_held *held, const char *why, struct ms_error *reterr) {
    struct ms_file_record live;
    MS_TRY(get_file(t, asset, asset->main_file, &live, reterr));
    MS_TRY(less_bytes(t, asset, held->bytes, reterr));
    if (from_upload(held))
        MS_TRY(upload_fails(t, asset, held, why, reterr));
    else
        MS_TRY(ms_change_version_drop(t->txn, t->id, held->version, reterr));
    struct ms_version_id version = {live.version};
    return ms_held_show(t, asset->ino, version, ms_version_id_is_none(version) ? 0 : live.size,
                        reterr);
}
