/* Out of the bin: the asset gets its name back, and the folders above it are made again when they
 * are missing. */
#include "service/treeop.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#define GHOSTS_MAX (4 * MS_DEPTH_MAX)
#define NUMBER_MAX 10000

/* ---- folders --------------------------------------------------------------------------------- */

/* A folder in another: a new inode, or a removed one that comes back. Both are stored. */
static enum ms_code enter_folder(const struct ms_tree *t, uint64_t parent, const char *name,
                                 struct ms_inode_record *inode, struct ms_error *reterr) {
    struct ms_inode_record dir;
    struct ms_place place;
    char nfc[MS_NAME_BYTES_MAX + 1];
    MS_TRY(ms_name_check(name, nfc, reterr));
    MS_TRY(ms_tree_place(t, parent, 0, &place, reterr));
    MS_TRY(ms_tree_depth_fits(place.depth, 1, reterr));
    MS_TRY(ms_tree_dir(t, parent, &dir, reterr));
    MS_TRY(ms_tree_name_add(t, &dir, nfc, name, inode, reterr));
    ms_tree_subdirs(&dir, 1);
    MS_TRY(ms_tree_put(t, &dir, reterr));
    inode->parent = parent;
    MS_TRY(ms_tree_put(t, inode, reterr));
    return ms_tree_raise(t, parent, 1, reterr);
}

static enum ms_code new_folder(const struct ms_tree *t, uint64_t parent, const char *name,
                               uint64_t *ret_ino, struct ms_error *reterr) {
    struct ms_inode_record inode = {.mode = S_IFDIR | (0777 & ~t->tenant.umask),
                                    .uid = t->tenant.uid,
                                    .gid = t->tenant.gid,
                                    .nlink = 2,
                                    .next_seq = 3,
                                    .parent = parent};
    MS_TRY(ms_txn_number(t->txn, "ino", &inode.ino, reterr));
    ms_tree_touch(t, &inode, MS_TOUCH_ATIME | MS_TOUCH_CHANGE);
    inode.btime_s = inode.ctime_s;
    inode.btime_ns = inode.ctime_ns;
    MS_TRY(ms_change_inode_new(t->txn, t->id, &inode, reterr));
    *ret_ino = inode.ino;
    return enter_folder(t, parent, name, &inode, reterr);
}

enum ms_code ms_tree_free_name(const struct ms_tree *t, uint64_t parent, const char *name,
                               char ret_name[MS_NAME_BYTES_MAX + 1], struct ms_error *reterr) {
    struct ms_found f;
    (void)snprintf(ret_name, MS_NAME_BYTES_MAX + 1, "%s", name);
    for (unsigned n = 2; n <= NUMBER_MAX; n++) {
        MS_TRY(ms_tree_find(t, parent, ret_name, &f, reterr));
        if (!f.found)
            return MS_OK;
        ms_name_numbered(name, n, ret_name);
    }
    return ms_fail(reterr, MS_EXISTS,
                   "\"%s\" and its first %d numbered names are taken: choose another name",
                   name, NUMBER_MAX);
}

/* The removed folder is there again: under its name, in a folder of that name, or beside what took
 * its name. */
static enum ms_code revive(const struct ms_tree *t, struct ms_inode_record *ghost, uint64_t parent,
                           const char *name, uint64_t *ret_ino, struct ms_error *reterr) {
    struct ms_found f;
    char free[MS_NAME_BYTES_MAX + 1];
    MS_TRY(ms_tree_find(t, parent, name, &f, reterr));
    if (f.found && S_ISDIR(f.inode.mode)) {
        *ret_ino = f.inode.ino;
        return MS_OK;
    }
    MS_TRY(ms_tree_free_name(t, parent, name, free, reterr));
    ghost->nlink = 2;
    ghost->orphan = 0;
    ghost->generation++; /* a kernel that saw it removed must not meet it again: a fresh node */
    memset(&ghost->opener, 0, sizeof ghost->opener);
    MS_TRY(ms_row_del(t->txn, ms_key_symlink(t->id, ghost->ino), reterr));
    MS_TRY(ms_row_del(t->txn, ms_key_orphan(t->id, ghost->ino), reterr));
    uint64_t remembered_by = ghost->parent;
    MS_TRY(enter_folder(t, parent, free, ghost, reterr));
    MS_TRY(ms_tree_feed_inode(t, ghost->ino, reterr));
    *ret_ino = ghost->ino;
    return ms_tree_bin_count(t->txn, t->id, remembered_by, false, reterr);
}

static enum ms_code ghost_name(const struct ms_tree *t, uint64_t ino,
                               char ret_name[MS_NAME_BYTES_MAX + 1], struct ms_error *reterr) {
    struct ms_key key = ms_key_symlink(t->id, ino);
    struct ms_view text;
    MS_TRY(ms_txn_get(t->txn, ms_key_view(&key), &text, reterr));
    if (text.n > MS_NAME_BYTES_MAX)
        return ms_fail(reterr, MS_CORRUPT, "the name of removed folder %" PRIu64 " is damaged",
                       ino);
    memcpy(ret_name, text.p, text.n);
    ret_name[text.n] = '\0';
    return MS_OK;
}

static enum ms_code folder_again(const struct ms_tree *t, uint64_t ino, uint64_t *ret_ino,
                                 struct ms_error *reterr);

/* A folder of that name in another; a new one gets the looks of `like`. */
static enum ms_code like_folder(const struct ms_tree *t, uint64_t parent, uint64_t like,
                                const char *name, uint64_t *ret_ino, struct ms_error *reterr) {
    struct ms_inode_record old, fresh;
    struct ms_found f;
    char free[MS_NAME_BYTES_MAX + 1];
    MS_TRY(ms_tree_find(t, parent, name, &f, reterr));
    if (f.found && S_ISDIR(f.inode.mode)) {
        *ret_ino = f.inode.ino;
        return MS_OK;
    }
    MS_TRY(ms_tree_free_name(t, parent, name, free, reterr));
    MS_TRY(new_folder(t, parent, free, ret_ino, reterr));
    MS_TRY(ms_tree_inode(t, like, &old, reterr));
    MS_TRY(ms_tree_inode(t, *ret_ino, &fresh, reterr));
    fresh.mode = old.mode;
    fresh.uid = old.uid;
    fresh.gid = old.gid;
    return ms_tree_put(t, &fresh, reterr);
}

/* The folder is on its way into the bin with all that is in it: what is restored meanwhile gets folders of
 * its own at the same path. */
static enum ms_code folder_beside(const struct ms_tree *t, uint64_t ino, uint64_t removed,
                                  uint64_t *ret_ino, struct ms_error *reterr) {
    uint64_t chain[MS_DEPTH_MAX + 1], parent = ino;
    char name[MS_NAME_BYTES_MAX + 1];
    size_t n = 0;
    do {
        if (n == MS_ARRAY_LEN(chain))
            return ms_fail(reterr, MS_CORRUPT, "folders above inode %" PRIu64 " have no end", ino);
        chain[n++] = parent;
        MS_TRY(ms_tree_step_up(t, chain[n - 1], &parent, name, reterr));
    } while (chain[n - 1] != removed);
    MS_TRY(folder_again(t, parent, &parent, reterr));
    while (n-- > 0) {
        uint64_t above;
        MS_TRY(ms_tree_step_up(t, chain[n], &above, name, reterr));
        MS_TRY(like_folder(t, parent, chain[n], name, &parent, reterr));
    }
    *ret_ino = parent;
    return MS_OK;
}

static enum ms_code is_on_its_way(const struct ms_tree *t, uint64_t ino, uint64_t *ret_removed,
                                  struct ms_error *reterr) {
    struct ms_treeop_record op;
    bool there = false;
    *ret_removed = 0;
    if (t->tenant.treeops == 0)
        return MS_OK;
    MS_TRY(ms_treeop_above(t->txn, t->id, ino, ret_removed, reterr));
    if (*ret_removed != 0)
        MS_TRY(ms_treeop_of_folder(t->txn, t->id, *ret_removed, &op, &there, reterr));
    if (!there)
        *ret_removed = 0;
    return MS_OK;
}

/* The folder that a bin entry came from, made again with everything above it that is missing. */
static enum ms_code folder_again(const struct ms_tree *t, uint64_t ino, uint64_t *ret_ino,
                                 struct ms_error *reterr) {
    uint64_t ghosts[GHOSTS_MAX], removed;
    size_t n = 0;
    struct ms_inode_record dir;
    for (;;) {
        MS_TRY(is_on_its_way(t, ino, &removed, reterr));
        if (removed != 0) {
            MS_TRY(folder_beside(t, ino, removed, &ino, reterr));
            break;
        }
        MS_TRY(ms_tree_inode(t, ino, &dir, reterr));
        if (dir.nlink > 0)
            break;
        if (n == GHOSTS_MAX)
            return ms_fail(reterr, MS_CORRUPT,
                           "removed folders above inode %" PRIu64 " have no end", ino);
        ghosts[n++] = ino;
        ino = dir.parent;
    }
    while (n-- > 0) {
        char name[MS_NAME_BYTES_MAX + 1];
        MS_TRY(ms_tree_inode(t, ghosts[n], &dir, reterr));
        MS_TRY(ghost_name(t, ghosts[n], name, reterr));
        MS_TRY(revive(t, &dir, ino, name, &ino, reterr));
    }
    *ret_ino = ino;
    return MS_OK;
}

/* ---- another path ---------------------------------------------------------------------------- */

static enum ms_code step_into(const struct ms_tree *t, uint64_t *ino, const char *name,
                              struct ms_error *reterr) {
    struct ms_found f;
    MS_TRY(ms_tree_find(t, *ino, name, &f, reterr));
    if (!f.found)
        return new_folder(t, *ino, name, ino, reterr);
    if (!S_ISDIR(f.inode.mode))
        return ms_fail(reterr, MS_NOT_DIR, "\"%s\" is not a folder", name);
    *ino = f.inode.ino;
    return MS_OK;
}

/* The folders of path, made when they are missing, and its last component. */
static enum ms_code make_path(const struct ms_tree *t, const char *path, uint64_t *ret_ino,
                              char ret_name[MS_NAME_BYTES_MAX + 1], struct ms_error *reterr) {
    uint64_t ino = t->tenant.root_ino;
    const char *p = path + strspn(path, "/");
    for (;;) {
        size_t n = strcspn(p, "/");
        if (n > MS_NAME_BYTES_MAX)
            return ms_fail(reterr, MS_NAME_TOO_LONG,
                           "a name in the path has %zu bytes; at most %d are allowed", n,
                           MS_NAME_BYTES_MAX);
        memcpy(ret_name, p, n);
        ret_name[n] = '\0';
        p += n + strspn(p + n, "/");
        if (!*p)
            break;
        MS_TRY(step_into(t, &ino, ret_name, reterr));
    }
    struct ms_found f;
    MS_TRY(ms_tree_find(t, ino, ret_name, &f, reterr));
    *ret_ino = ino;
    return ms_tree_must_not_exist(ret_name, &f, reterr);
}

/* ---- the file -------------------------------------------------------------------------------- */

static enum ms_code put_back(const struct ms_tree *t, struct ms_tree_asset *asset, uint64_t parent,
                             const char *name, const char *old_name, struct ms_error *reterr) {
    struct ms_inode_record inode, dir;
    struct ms_place place;
    struct ms_judged judged;
    char nfc[MS_NAME_BYTES_MAX + 1];
    MS_TRY(ms_name_check(name, nfc, reterr));
    MS_TRY(ms_tree_inode(t, asset->rec.ino, &inode, reterr));
    MS_TRY(ms_tree_place(t, parent, 0, &place, reterr));
    MS_TRY(ms_tree_judge(t, &inode, asset, old_name, name, place.top, &judged, reterr));
    MS_TRY(ms_tree_dir(t, parent, &dir, reterr));
    MS_TRY(ms_tree_name_add(t, &dir, nfc, name, &inode, reterr));
    MS_TRY(ms_tree_put(t, &dir, reterr));
    inode.nlink++;
    ms_tree_touch(t, &inode, MS_TOUCH_CTIME);
    MS_TRY(ms_tree_put(t, &inode, reterr));
    judged.fits_now = false; /* its life is the caller's */
    return ms_tree_follow(t, asset, name, &judged, reterr);
}

static enum ms_code bin_entry(const struct ms_tree *t, const struct ms_asset_record *asset,
                              struct ms_bin_record *ret_bin, struct ms_error *reterr) {
    struct ms_bin_id id;
    MS_TRY(ms_row_get_id(t->txn, ms_key_binasset(t->id, (struct ms_asset_id){asset->id}), &id.id,
                         reterr));
    return ms_row_get_bin(t->txn, ms_key_bin(t->id, id), ret_bin, reterr);
}

enum ms_code ms_tree_restore(const struct ms_tree *t, struct ms_tree_asset *asset, const char *path,
                             struct ms_error *reterr) {
    struct ms_bin_record bin;
    char name[MS_NAME_BYTES_MAX + 1];
    uint64_t parent = 0;
    MS_TRY(bin_entry(t, &asset->rec, &bin, reterr));
    if (asset->rec.ino == 0)
        return ms_change_unbin(t->txn, t->id, &asset->rec, reterr);
    if (path) {
        MS_TRY(make_path(t, path, &parent, name, reterr));
    } else {
        MS_TRY(folder_again(t, bin.parent, &parent, reterr));
        MS_TRY(ms_tree_free_name(t, parent, bin.name, name, reterr));
    }
    MS_TRY(put_back(t, asset, parent, name, bin.name, reterr));
    return ms_change_unbin(t->txn, t->id, &asset->rec, reterr);
}
