/* Making things: one commit each, with everything that a new file needs to be written. */
#include "service/tree_rows.h"

#include "quota/quota.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

void ms_tree_object_key(struct ms_asset_id asset, struct ms_file_id file, uint32_t n,
                        const char *name, char ret_key[MS_OBJECT_KEY_MAX + 1]) {
    char suffix[16];
    ms_name_key_suffix(name, suffix);
    (void)snprintf(ret_key, MS_OBJECT_KEY_MAX + 1, "%s/%s.%" PRIu32 ".%s", ms_id_text(asset.id).s,
                   ms_id_text(file.id).s, n, suffix);
}

/* ---- the inode ------------------------------------------------------------------------------- */

static enum ms_code new_inode(const struct ms_tree *t, const struct ms_make *make,
                              const struct ms_inode_record *dir, struct ms_inode_record *ret_inode,
                              struct ms_error *reterr) {
    struct ms_inode_record inode = {
        .mode = make->mode, .uid = make->uid, .gid = make->gid, .rdev = make->rdev, .nlink = 1};
    MS_TRY(ms_txn_number(t->txn, "ino", &inode.ino, reterr));
    if (dir->mode & S_ISGID) {
        inode.gid = dir->gid;
        if (S_ISDIR(inode.mode))
            inode.mode |= S_ISGID;
    }
    if (S_ISDIR(inode.mode)) {
        inode.nlink = 2;
        inode.next_seq = 3;
        inode.parent = dir->ino;
    }
    if (S_ISLNK(inode.mode))
        inode.size = strlen(make->target);
    ms_tree_touch(t, &inode, MS_TOUCH_ATIME | MS_TOUCH_CHANGE);
    inode.btime_s = inode.ctime_s;
    inode.btime_ns = inode.ctime_ns;
    *ret_inode = inode;
    return MS_OK;
}

static const char *name_of(const struct ms_make *make) {
    return make->name ? make->name : "unnamed";
}

/* ---- what a regular file has beside it ------------------------------------------------------- */

static struct ms_id random_id(const struct ms_tree *t) {
    struct ms_id id;
    ms_txn_random(t->txn, id.b, sizeof id.b);
    return id;
}

static enum ms_code put_intent(const struct ms_tree *t, const struct ms_inode_record *inode,
                               const struct ms_made *made, struct ms_error *reterr) {
    struct ms_intent_record intent = {
        .id = made->intent.id,
        .kind = MS_INTENT_NEW_FILE,
        .instance = t->instance.id,
        .at = t->now,
        .ino = inode->ino,
        .asset = made->asset.id,
        .file = made->file.id,
        .object = made->object.id,
    };
    memcpy(intent.key, made->key, sizeof intent.key);
    return ms_row_put_intent(t->txn, ms_key_intent(t->instance, made->intent), &intent, reterr);
}

static enum ms_code put_file(const struct ms_tree *t, const struct ms_made *made, const char *name,
                             struct ms_error *reterr) {
    struct ms_file_record file = {.id = made->file.id,
                                  .category = MS_CATEGORY_MAIN,
                                  .state = MS_FILE_CREATING,
                                  .declared = t->now};
    (void)snprintf(file.name, sizeof file.name, "%s", name);
    return ms_row_put_file(t->txn, ms_key_file(t->id, made->asset, made->file), &file, reterr);
}

/* What the platform composes is a video, whatever its name; its instant of creation becomes that of
 * its seal. */
static void be_produced(const struct ms_make *make, struct ms_asset_record *asset) {
    asset->type = MS_TYPE_VIDEO;
    asset->origin = MS_ORIGIN_CUSTOMIZED;
    asset->from_mount = 0;
    asset->produced = MS_PRODUCING;
    asset->seconds = make->seconds;
}

static enum ms_code put_asset(const struct ms_tree *t, const struct ms_inode_record *inode,
                              const struct ms_made *made, const struct ms_make *make,
                              enum ms_special top, struct ms_asset_record *ret_asset,
                              struct ms_error *reterr) {
    const char *name = name_of(make);
    struct ms_asset_record *asset = ret_asset;
    struct ms_life life = ms_lc_create(t->now, false);
    memset(asset, 0, sizeof *asset);
    ms_asset_set_life(asset, &life);
    asset->id = made->asset.id;
    asset->type = (uint8_t)ms_asset_type_of_name(name, top, false);
    asset->origin = MS_ORIGIN_UPLOADED;
    asset->main_file = made->file.id;
    asset->ino = inode->ino;
    asset->from_mount = 1;
    (void)snprintf(asset->name, sizeof asset->name, "%s", name);
    if (make->produced)
        be_produced(make, asset);
    return ms_change_new_asset(t->txn, t->id, t->who, asset, reterr);
}

/* The first lease spares a small file a commit of its own for its quota. None is no reason to
 * refuse: the first write will tell. */
static enum ms_code first_lease(const struct ms_tree *t, uint64_t ino, uint64_t *ret_leased,
                                struct ms_error *reterr) {
    struct ms_usage_record usage;
    MS_TRY(ms_row_get_usage(t->txn, ms_key_usage(t->id), &usage, reterr));
    uint64_t want = ms_quota_lease_ahead(ms_usage_left(&t->tenant, &usage));
    *ret_leased = 0;
    if (want == 0)
        return MS_OK;
    return ms_change_reserve(t->txn, t->id, t->instance, ino, want, 0, t->unasked,
                             ret_leased, reterr);
}

static enum ms_code new_file(const struct ms_tree *t, struct ms_inode_record *inode,
                             const struct ms_make *make, enum ms_special top, struct ms_made *made,
                             struct ms_error *reterr) {
    const char *name = name_of(make);
    struct ms_tree_asset asset;
    made->asset.id = random_id(t);
    made->file.id = random_id(t);
    made->object.id = random_id(t);
    made->intent.id = random_id(t);
    ms_tree_object_key(made->asset, made->file, 1, name, made->key);
    inode->asset = made->asset.id;
    inode->unsealed = 1;
    inode->opener = t->instance.id;
    MS_TRY(put_asset(t, inode, made, make, top, &asset.rec, reterr));
    MS_TRY(put_file(t, made, name, reterr));
    MS_TRY(put_intent(t, inode, made, reterr));
    made->unmetered = !ms_class_is_metered((enum ms_class)asset.rec.counted);
    if (!made->unmetered)
        MS_TRY(first_lease(t, inode->ino, &made->leased, reterr));
    MS_TRY(ms_row_put_id(t->txn, ms_key_orphan(t->id, inode->ino), t->instance.id, reterr));
    bool gone;
    MS_TRY(ms_tree_asset(t, inode, &asset, &gone, reterr));
    ms_tree_fill(t, inode, &asset, &made->node);
    return MS_OK;
}

/* ---- the operation --------------------------------------------------------------------------- */

static enum ms_code check_make(const struct ms_make *make, struct ms_error *reterr) {
    mode_t type = make->mode & S_IFMT;
    if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK && type != S_IFIFO &&
        type != S_IFSOCK && type != S_IFCHR && type != S_IFBLK)
        return ms_fail(reterr, MS_INVALID, "mode 0%o is of no file type", make->mode);
    if (!make->name && type != S_IFREG)
        return ms_fail(reterr, MS_INVALID, "only a regular file can be made without a name");
    if (type != S_IFLNK)
        return MS_OK;
    size_t n = make->target ? strlen(make->target) : 0;
    if (n == 0)
        return ms_fail(reterr, MS_NOT_FOUND, "a symbolic link needs a target");
    if (n > MS_SYMLINK_BYTES_MAX)
        return ms_fail(reterr, MS_NAME_TOO_LONG, "the target has %zu bytes; at most %d are allowed",
                       n, MS_SYMLINK_BYTES_MAX);
    return MS_OK;
}

static enum ms_code enter(const struct ms_tree *t, const struct ms_make *make,
                          const struct ms_found *f, struct ms_inode_record *dir,
                          struct ms_inode_record *inode, unsigned depth, struct ms_error *reterr) {
    if (S_ISDIR(inode->mode)) {
        MS_TRY(ms_tree_depth_fits(depth, 1, reterr));
        ms_tree_subdirs(dir, 1);
    }
    MS_TRY(ms_tree_name_add(t, dir, f->nfc, make->name, inode, reterr));
    MS_TRY(ms_tree_put(t, dir, reterr));
    return S_ISDIR(inode->mode) ? ms_tree_raise(t, dir->ino, 1, reterr) : MS_OK;
}

static enum ms_code make_in(const struct ms_tree *t, const struct ms_make *make, struct ms_found *f,
                            struct ms_made *made, struct ms_error *reterr) {
    struct ms_inode_record dir, inode;
    struct ms_place place;
    MS_TRY(ms_tree_dir(t, make->parent, &dir, reterr));
    MS_TRY(ms_tree_place(t, make->parent, 0, &place, reterr));
    if (!make->any_folder)
        MS_TRY(ms_tree_writable(t, place.top, reterr));
    MS_TRY(new_inode(t, make, &dir, &inode, reterr));
    if (make->name) {
        MS_TRY(enter(t, make, f, &dir, &inode, place.depth, reterr));
    } else {
        inode.nlink = 0;
        inode.orphan = 1;
    }
    if (S_ISREG(inode.mode))
        MS_TRY(new_file(t, &inode, make, place.top, made, reterr));
    else
        ms_tree_fill(t, &inode, NULL, &made->node);
    if (S_ISLNK(inode.mode)) {
        struct ms_key key = ms_key_symlink(t->id, inode.ino);
        MS_TRY(ms_txn_put(t->txn, ms_key_view(&key), ms_view_str(make->target), reterr));
    }
    made->node.seq = dir.next_seq - 1;
    return ms_change_inode_new(t->txn, t->id, &inode, reterr);
}

static enum ms_code make_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    struct ms_tree t;
    struct ms_made *made = out;
    const struct ms_make *make = ((const struct ms_tree_call *)in)->args;
    struct ms_found f = {.found = false};
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_tree_thawed(&t, "making a file or folder", reterr));
    if (make->name) {
        MS_TRY(ms_tree_find(&t, make->parent, make->name, &f, reterr));
        MS_TRY(ms_tree_must_not_exist(make->name, &f, reterr));
    }
    MS_TRY(make_in(&t, make, &f, made, reterr));
    if (make->name)
        (void)snprintf(made->node.spelling, sizeof made->node.spelling, "%s", make->name);
    return MS_OK;
}

enum ms_code ms_tree_make(struct ms_svc *svc, const struct ms_ctx *ctx, const struct ms_make *make,
                          struct ms_made *ret_made, struct ms_error *reterr) {
    struct ms_made made;
    MS_TRY(check_make(make, reterr));
    MS_TRY(ms_tree_write(svc, ctx, make_op, make, &made, sizeof made, reterr));
    *ret_made = made;
    return MS_OK;
}
