#include "service/copy.h"

#include "model/derived.h"
#include "quota/quota.h"
#include "service/asset_in.h"
#include "service/held.h"
#include "service/package.h"
#include "service/upkeep_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct copy {
    struct ms_asset_id id;
    uint64_t parent;
    const char *name;
};

/* One copy at work. */
struct copying {
    const struct ms_tree *t;
    struct ms_tree_asset source;
    struct ms_inode_record inode; /* the source's, then the copy's */
    struct ms_asset_record asset; /* the copy */
    struct ms_version_id version; /* of its MAIN */
    uint64_t bytes;
};

/* ---- may it be? ------------------------------------------------------------------------------ */

enum ms_code ms_asset_may_copy(const struct ms_tree *t, const struct ms_tree_asset *source,
                               const char *what, struct ms_error *reterr) {
    MS_TRY(ms_tree_may(t, source, MS_RIGHT_SHARE, what, reterr));
    if (t->admin || !ms_asset_type_is_model((enum ms_asset_type)source->rec.type))
        return MS_OK;
    return ms_fail(reterr, MS_NOT_PERMITTED,
                   "%s of \"%.255s\" is refused: models and voices are copied by administrators "
                   "only",
                   what, source->rec.name);
}

static enum ms_code fits_quota(const struct copying *c, struct ms_error *reterr) {
    const struct ms_tree *t = c->t;
    const struct ms_asset_record *a = &c->asset;
    struct ms_usage_record usage;
    if (!ms_class_is_metered(ms_class_of(a->origin, a->type, a->created, t->now)))
        return MS_OK;
    MS_TRY(ms_usage_now(t->txn, t->id, t->now, t->unasked, &usage, reterr));
    uint64_t left = ms_usage_left(&t->tenant, &usage);
    if (c->bytes <= left)
        return MS_OK;
    return ms_fail(reterr, MS_QUOTA,
                   "a copy of %" PRIu64 " bytes is refused: tenant %s has %" PRIu64
                   " bytes of its quota left: delete something, or get a package",
                   c->bytes, t->tenant.name, left);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* A version of its own over the same object. */
static enum ms_code copy_version(struct copying *c, struct ms_version_id from,
                                 const struct ms_file_record *file, struct ms_version_id *ret_id,
                                 struct ms_error *reterr) {
    const struct ms_tree *t = c->t;
    struct ms_version_record version;
    struct ms_facts_record facts;
    bool probed;
    MS_TRY(ms_row_get_version(t->txn, ms_key_version(t->id, from), &version, reterr));
    ms_txn_random(t->txn, version.id.b, MS_ID_BYTES);
    version.asset = c->asset.id;
    version.file = file->id;
    version.committed = t->now;
    *ret_id = (struct ms_version_id){version.id};
    if (!ms_object_id_is_none((struct ms_object_id){version.object}))
        MS_TRY(
            ms_change_object_take(t->txn, (struct ms_object_id){version.object}, reterr));
    MS_TRY(ms_row_put_version(t->txn, ms_key_version(t->id, *ret_id), &version, reterr));
    MS_TRY(ms_allow_absent(ms_row_get_facts(t->txn, ms_key_facts(t->id, from), &facts, reterr),
                           &probed));
    return probed ? ms_row_put_facts(t->txn, ms_key_facts(t->id, *ret_id), &facts, reterr) : MS_OK;
}

static enum ms_code copy_file(struct copying *c, const char *name, struct ms_file_record *file,
                              struct ms_error *reterr) {
    const struct ms_tree *t = c->t;
    struct ms_version_id from = {file->version}, to = {{{0}}};
    bool is_main = memcmp(file->id.b, c->source.rec.main_file.b, MS_ID_BYTES) == 0;
    struct ms_derived_name derived; /* of the source's bytes: the copy gets its own */
    if (file->state != MS_FILE_CREATED || (!is_main && ms_derived_parse(file->name, &derived)))
        return MS_OK;
    ms_txn_random(t->txn, file->id.b, MS_ID_BYTES);
    if (!ms_version_id_is_none(from))
        MS_TRY(copy_version(c, from, file, &to, reterr));
    file->version = to.id;
    file->versions = 1;
    file->declared = t->now;
    if (is_main) {
        c->asset.main_file = file->id;
        c->version = to;
        (void)snprintf(file->name, sizeof file->name, "%s", name);
    }
    c->bytes += file->size;
    if (!is_main) /* so that it can be removed */
        MS_TRY(ms_row_put_id(t->txn, ms_key_fowner(t->id, (struct ms_file_id){file->id}), c->asset.id, reterr));
    return ms_row_put_file(
        t->txn,
        ms_key_file(t->id, (struct ms_asset_id){c->asset.id}, (struct ms_file_id){file->id}), file,
        reterr);
}

static enum ms_code copy_files(struct copying *c, const char *name, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_files_of(c->t->id, (struct ms_asset_id){c->source.rec.id});
    struct ms_file_record file;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    ms_scan_prefix(&scan, c->t->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_file(&scan, &key, &file, reterr)) == MS_OK)
        if ((code = copy_file(c, name, &file, reterr)) != MS_OK)
            break;
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

/* ---- the asset ------------------------------------------------------------------------------- */

static void fill_asset(struct copying *c, const char *name, enum ms_asset_type type) {
    const struct ms_asset_record *from = &c->source.rec;
    struct ms_life life = ms_lc_create(c->t->now, false);
    struct ms_asset_record *a = &c->asset;
    ms_asset_set_life(a, &life);
    ms_txn_random(c->t->txn, a->id.b, MS_ID_BYTES);
    a->type = (uint8_t)type;
    a->origin = from->origin;
    a->created = from->created;
    a->produced = from->produced;
    a->seconds = from->seconds;
    /* Of a title that comes from the path nobody has seen anything: where that matters the copy keeps the source's. */
    (void)snprintf(a->name, sizeof a->name, "%s", c->t->tenant.review ? from->name : name);
    (void)snprintf(a->description, sizeof a->description, "%s", from->description);
    (void)snprintf(a->tags, sizeof a->tags, "%s", from->tags);
}

static enum ms_code enter(struct copying *c, struct ms_inode_record *dir, const char *name,
                          struct ms_error *reterr) {
    const struct ms_tree *t = c->t;
    struct ms_inode_record inode = {.mode = c->inode.mode,
                                    .uid = c->inode.uid,
                                    .gid = c->inode.gid,
                                    .size = c->inode.size,
                                    .nlink = 1,
                                    .asset = c->asset.id,
                                    .version = c->version.id,
                                    .generation = 1};
    char nfc[MS_NAME_BYTES_MAX + 1];
    MS_TRY(ms_name_check(name, nfc, reterr));
    MS_TRY(ms_txn_number(t->txn, "ino", &inode.ino, reterr));
    ms_tree_touch(t, &inode, MS_TOUCH_ATIME | MS_TOUCH_CHANGE);
    inode.btime_s = inode.ctime_s;
    inode.btime_ns = inode.ctime_ns;
    MS_TRY(ms_tree_name_add(t, dir, nfc, name, &inode, reterr));
    MS_TRY(ms_tree_put(t, dir, reterr));
    c->asset.ino = inode.ino;
    return ms_change_inode_new(t->txn, t->id, &inode, reterr);
}

/* Finished as it comes: its bytes are there, and were judged. */
static enum ms_code finish(struct copying *c, struct ms_error *reterr) {
    const struct ms_tree *t = c->t;
    struct ms_asset_record *a = &c->asset;
    struct ms_life life = ms_asset_life(a);
    struct ms_lc_facts facts = ms_tree_facts(t, a);
    char why[64];
    (void)snprintf(why, sizeof why, "copy of %s", ms_id_text(c->source.rec.id).s);
    MS_TRY(ms_change_new_asset(t->txn, t->id, t->who, a, reterr));
    MS_TRY(ms_change_bytes(t->txn, t->id, a, c->bytes, MS_WHY_SEAL, t->now, reterr));
    struct ms_lc_verdict v = ms_lc_step(&life, MS_EVENT_CONFIRM, &facts);
    if (v.rule != MS_LC_ALLOWED)
        return ms_tree_refused(t, &c->source, v.rule, "copy", reterr);
    return ms_change_life(t->txn, t->id, t->who, a, &v.next, MS_EVENT_CONFIRM, v.at, why, reterr);
}

/* ---- the operation --------------------------------------------------------------------------- */

static enum ms_code target(struct copying *c, const struct copy *args,
                           struct ms_inode_record *ret_dir, struct ms_judged *ret_judged,
                           struct ms_error *reterr) {
    const struct ms_tree *t = c->t;
    struct ms_found found;
    struct ms_place place;
    MS_TRY(ms_tree_place(t, args->parent, 0, &place, reterr));
    if (!t->admin)
        MS_TRY(ms_tree_writable(t, place.top, reterr));
    MS_TRY(ms_tree_find(t, args->parent, args->name, &found, reterr));
    MS_TRY(ms_tree_must_not_exist(args->name, &found, reterr));
    MS_TRY(ms_tree_judge(t, &c->inode, &c->source, c->source.rec.name, args->name, place.top,
                         ret_judged, reterr));
    return ms_tree_dir(t, args->parent, ret_dir, reterr);
}

static enum ms_code copy_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    const struct copy *args = ((const struct ms_tree_call *)in)->args;
    struct ms_inode_record dir;
    struct ms_judged judged;
    struct ms_tree t;
    struct copying c = {.t = &t};
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_asset_find_in(&t, args->id, &c.source, reterr));
    MS_TRY(ms_asset_may_copy(&t, &c.source, "copy", reterr));
    MS_TRY(ms_tree_inode(&t, c.source.rec.ino, &c.inode, reterr));
    MS_TRY(ms_held_as_live(&t, &c.source.rec, &c.inode, reterr));
    MS_TRY(target(&c, args, &dir, &judged, reterr));
    fill_asset(&c, args->name, judged.type);
    MS_TRY(copy_files(&c, args->name, reterr));
    MS_TRY(fits_quota(&c, reterr));
    MS_TRY(enter(&c, &dir, args->name, reterr));
    *(struct ms_asset_id *)out = (struct ms_asset_id){c.asset.id};
    MS_TRY(finish(&c, reterr));
    if (c.asset.type == c.source.rec.type)
        return MS_OK;
    return ms_package_register(&t, &c.asset, reterr); /* a copy that becomes a model or voice is a new one */
}

enum ms_code ms_asset_copy(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_asset_id id,
                           const char *path, struct ms_asset_info *ret_info,
                           struct ms_error *reterr) {
    char name[MS_NAME_BYTES_MAX + 1];
    struct ms_error err = {0};
    struct ms_node parent;
    struct ms_asset_id copy;
    MS_TRY(ms_tree_walk_parent(svc, ctx, path, &parent, name, reterr));
    struct copy args = {id, parent.inode.ino, name};
    enum ms_code code = ms_tree_write_metered(svc, ctx, copy_op, &args, &copy, sizeof copy, &err);
    MS_TRY(ms_pass_up(code, &err, reterr));
    return ms_asset_get(svc, ctx, copy, ret_info, reterr);
}
