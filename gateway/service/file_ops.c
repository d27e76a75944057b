/* The small write operations of an open file: a key and its intent, the list of an fsync, the end
 * without a seal. */
#include "service/file_image.h"

#include <stdio.h>
#include <string.h>

/* ---- intents --------------------------------------------------------------------------------- */

static enum ms_code end_parts(const struct ms_tree *t, struct ms_intent_id intent,
                              struct ms_error *reterr) {
    struct ms_key prefix = ms_key_parts_of(intent);
    struct ms_scan scan;
    struct ms_view key;
    struct ms_part_record part;
    enum ms_code code;

    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_part(&scan, &key, &part, reterr)) == MS_OK) {
        code = ms_row_del(t->txn, ms_key_part(intent, part.part_no), reterr);
        if (code != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_no_error(code, reterr);
}

enum ms_code ms_intent_end(const struct ms_tree *t, const struct ms_intent_id *intents, size_t n,
                           struct ms_error *reterr) {
    for (size_t i = 0; i < n; i++) {
        MS_TRY(end_parts(t, intents[i], reterr));
        MS_TRY(ms_row_del(t->txn, ms_key_intent(t->instance, intents[i]), reterr));
    }
    return MS_OK;
}

/* n of the key is counted in the file row, so that two processes never choose the same key. */
static enum ms_code next_key(const struct ms_tree *t, const struct ms_asset_record *asset,
                             struct ms_slot_out *o, struct ms_error *reterr) {
    struct ms_asset_id id = {asset->id};
    struct ms_file_id file_id = {asset->main_file};
    struct ms_file_record file;

    MS_TRY(ms_row_get_file(t->txn, ms_key_file(t->id, id, file_id), &file, reterr));
    if (file.versions == 0)
        file.versions = 1; /* that one was given at creation */
    file.versions++;
    ms_tree_object_key(id, file_id, file.versions, file.name, o->key);
    return ms_row_put_file(t->txn, ms_key_file(t->id, id, file_id), &file, reterr);
}

static enum ms_code put_intent(const struct ms_tree *t, const struct ms_inode_record *inode,
                               const struct ms_asset_record *asset, const struct ms_slot_out *o,
                               struct ms_error *reterr) {
    struct ms_intent_record intent = {
        .id = o->intent.id,
        .kind = inode->unsealed ? MS_INTENT_NEW_FILE : MS_INTENT_OVERWRITE,
        .instance = t->instance.id,
        .at = t->now,
        .ino = inode->ino,
        .asset = asset->id,
        .file = asset->main_file,
        .object = o->object.id,
    };

    memcpy(intent.key, o->key, sizeof intent.key);
    return ms_row_put_intent(t->txn, ms_key_intent(t->instance, o->intent), &intent, reterr);
}

enum ms_code ms_slot_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct ms_slot_in *i = in;
    struct ms_slot_out *o = out;
    struct ms_tree t;
    struct ms_inode_record inode;
    struct ms_asset_record asset;

    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    enum ms_code code = ms_tree_inode(&t, i->ino, &inode, reterr);
    o->gone = code == MS_NOT_FOUND || (code == MS_OK && !ms_inode_has_asset(&inode));
    if (code != MS_OK || o->gone)
        return o->gone ? ms_no_error(MS_NOT_FOUND, reterr) : code;
    MS_TRY(ms_row_get_asset(txn, ms_key_asset(t.id, (struct ms_asset_id){inode.asset}), &asset,
                            reterr));
    ms_txn_random(txn, o->intent.id.b, MS_ID_BYTES);
    ms_txn_random(txn, o->object.id.b, MS_ID_BYTES);
    MS_TRY(next_key(&t, &asset, o, reterr));
    return put_intent(&t, &inode, &asset, o, reterr);
}

/* ---- attributes ------------------------------------------------------------------------------ */

static enum ms_code fold(const struct ms_tree *t, uint64_t ino, const struct ms_setattr *attr,
                         struct ms_error *reterr) {
    struct ms_inode_record inode;

    if (attr->which == 0)
        return MS_OK;
    enum ms_code code = ms_tree_inode(t, ino, &inode, reterr);
    if (code != MS_OK)
        return ms_no_error(code, reterr);
    ms_image_fold(&inode, attr);
    MS_TRY(ms_tree_put(t, &inode, reterr));
    return ms_tree_feed_inode(t, ino, reterr);
}

/* ---- fsync ----------------------------------------------------------------------------------- */

static bool same_part(const struct ms_obj_part *a, const struct ms_obj_part *b) {
    return a->part_no == b->part_no && a->size == b->size && strcmp(a->etag, b->etag) == 0;
}

static enum ms_code put_part(const struct ms_tree *t, struct ms_intent_id intent,
                             const struct ms_obj_part *part, struct ms_error *reterr) {
    struct ms_part_record row = {
        .part_no = part->part_no, .offset = ms_part_no(part->part_no).offset, .size = part->size};

    memcpy(row.etag, part->etag, sizeof row.etag);
    return ms_row_put_part(t->txn, ms_key_part(intent, row.part_no), &row, reterr);
}

/* Both lists ascend: only what changed is written. */
static enum ms_code put_parts(const struct ms_tree *t, const struct ms_list_in *i,
                              struct ms_error *reterr) {
    const struct ms_listed *before = i->before, *after = i->after;
    size_t b = 0, a = 0;

    while (b < before->n || a < after->n) {
        bool old =
            b < before->n && (a == after->n || before->parts[b].part_no <= after->parts[a].part_no);
        bool new =
            a < after->n && (b == before->n || after->parts[a].part_no <= before->parts[b].part_no);

        if (!new)
            MS_TRY(ms_row_del(t->txn, ms_key_part(i->intent, before->parts[b].part_no), reterr));
        else if (!old || !same_part(&before->parts[b], &after->parts[a]))
            MS_TRY(put_part(t, i->intent, &after->parts[a], reterr));
        b += old;
        a += new;
    }
    return MS_OK;
}

enum ms_code ms_list_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct ms_list_in *i = in;
    struct ms_tree t;
    struct ms_intent_record intent;

    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_row_get_intent(txn, ms_key_intent(t.instance, i->intent), &intent, reterr));
    intent.fsynced = 1;
    intent.local = i->local;
    intent.at = t.now; /* recovery: what another process sealed later than this wins */
    intent.size = i->size;
    memcpy(intent.upload_id, i->upload_id, sizeof intent.upload_id);
    MS_TRY(ms_row_put_intent(txn, ms_key_intent(t.instance, i->intent), &intent, reterr));
    MS_TRY(put_parts(&t, i, reterr));
    MS_TRY(ms_intent_end(&t, i->retired, i->retired_n, reterr));
    return fold(&t, i->ino, &i->attr, reterr);
}

/* ---- the end without a seal ------------------------------------------------------------------ */

/* It was never sealed: name, asset and inode go as if it had never been. An orphan is
 * ms_tree_forget's. */
static enum ms_code vanish(const struct ms_tree *t, uint64_t ino, struct ms_error *reterr) {
    struct ms_inode_record inode;
    struct ms_asset_record asset;
    enum ms_code code = ms_tree_inode(t, ino, &inode, reterr);

    if (code != MS_OK)
        return ms_no_error(code, reterr);
    if (!inode.unsealed || inode.orphan || !ms_inode_has_asset(&inode))
        return MS_OK;
    MS_TRY(ms_row_get_asset(t->txn, ms_key_asset(t->id, (struct ms_asset_id){inode.asset}), &asset,
                            reterr));
    return ms_change_purge(t->txn, t->id, t->who, &asset, MS_EVENT_FORCE_DELETE, t->now,
                           "never finished", reterr);
}

enum ms_code ms_drop_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct ms_drop_in *i = in;
    struct ms_tree t;

    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_intent_end(&t, i->intents, i->intents_n, reterr));
    MS_TRY(ms_change_unreserve(txn, t.id, t.instance, i->ino, 0, reterr));
    return i->vanish ? vanish(&t, i->ino, reterr) : fold(&t, i->ino, &i->attr, reterr);
}
