/* What an operation on a virtual name means: restoring, deleting, deleting for good. */
#include "service/vtree_part.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- refusals -------------------------------------------------------------------------------- */

enum ms_code ms_vtree_refused(struct ms_vtree *vt, uint64_t ino, const char *what,
                              struct ms_error *reterr) {
    if (ino == vt->root_ino)
        return ms_fail(reterr, MS_BUSY,
                       "%s is refused: \"/" MS_TRASH_NAME "\" and \"/" MS_OURS_NAME
                       "\" are folders of every mount",
                       what);
    pthread_mutex_lock(&vt->mutex);
    const struct ms_vnode *node = ms_vtree_find(vt, ino);
    bool trash = node && ms_vnode_is_trash(node);
    pthread_mutex_unlock(&vt->mutex);
    if (trash)
        return ms_fail(reterr, MS_NOT_PERMITTED,
                       "%s is refused in the recycle bin: move things out of it to restore them, "
                       "or remove them for good",
                       what);
    return ms_fail(reterr, MS_READ_ONLY, "%s is refused: /" MS_OURS_NAME " is read-only", what);
}

/* ---- a name in .trash/ ----------------------------------------------------------------------- */

/* Which file or folder, as the lock showed it: what is done to a file is checked again in the
 * commit. */
struct target {
    bool is_folder;
    struct ms_ventry file;
    uint64_t folder; /* its number */
    bool shows;      /* the folder */
    char name[MS_NAME_BYTES_MAX + 1];
};

static enum ms_code fill_target(const struct ms_vtree *vt, const struct ms_tree *t,
                                const struct ms_vitem *item, struct target *ret_target,
                                struct ms_error *reterr) {
    *ret_target = (struct target){.is_folder = item->is_folder};
    if (item->is_folder) {
        const struct ms_vfolder *folder = MS_CONTAINER_OF(item, struct ms_vfolder, item);
        ret_target->folder = folder->node.ino;
        return ms_vfolder_shows(vt, t, folder, &ret_target->shows, reterr);
    }
    const struct ms_vfile *file = MS_CONTAINER_OF(item, struct ms_vfile, item);
    (void)snprintf(ret_target->name, sizeof ret_target->name, "%s", file->name);
    ret_target->file = (struct ms_ventry){file->ino, file->bin, ret_target->name};
    return MS_OK;
}

/* Errors: also those of ms_vtree_refused() when dir is not in .trash/. */
static enum ms_code find_target(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t dir,
                                const char *name, const char *what, struct target *ret_target,
                                struct ms_error *reterr) {
    struct ms_tree t;
    struct ms_vitem *item = NULL;
    bool trash = false;
    pthread_mutex_lock(&vt->mutex);
    enum ms_code code = ms_vbin_read(vt, ctx, &t, reterr);
    if (code == MS_OK) {
        struct ms_vnode *node = ms_vtree_find(vt, dir);
        trash = node && ms_vnode_is_trash(node);
        if (trash)
            code = ms_vtrash_find(vt, ms_vfolder_of(node), name, &item, reterr);
        if (trash && code == MS_OK)
            code = fill_target(vt, &t, item, ret_target, reterr);
        ms_tree_read_end(&t);
    }
    pthread_mutex_unlock(&vt->mutex);
    return code == MS_OK && !trash ? ms_vtree_refused(vt, dir, what, reterr) : code;
}

/* ---- in one commit --------------------------------------------------------------------------- */

struct change_args {
    const struct ms_ventry *file;
    const struct ms_rename *rename; /* restore */
    bool keep_open;
};

static enum ms_code not_there(const struct ms_ventry *e, enum ms_code code, struct ms_error *reterr) {
    if (code == MS_OK || code == MS_NOT_FOUND)
        return ms_fail(reterr, MS_NOT_FOUND, "\"%.255s\" is not in the recycle bin any more",
                       e->name);
    return ms_fail(reterr, code, "the recycle bin's entry of \"%.255s\" cannot be read", e->name);
}

/* The row of what went with its folder is written by loading the asset, in a write. */
static enum ms_code load_row(const struct ms_tree *t, const struct ms_ventry *e,
                             const struct ms_inode_record *inode, struct ms_bin_record *ret_bin,
                             struct ms_error *reterr) {
    struct ms_bin_id id;
    enum ms_code code =
        ms_row_get_id(t->txn, ms_key_binasset(t->id, (struct ms_asset_id){inode->asset}), &id.id, NULL);
    if (code == MS_OK)
        code = ms_row_get_bin(t->txn, ms_key_bin(t->id, id), ret_bin, NULL);
    if (code == MS_OK && ret_bin->ino == e->ino &&
        (ms_bin_id_is_none(e->bin) || ms_bin_id_equal(id, e->bin)))
        return MS_OK;
    return not_there(e, code, reterr);
}

enum ms_code ms_ventry_load(const struct ms_tree *t, const struct ms_ventry *e,
                            struct ms_inode_record *ret_inode, struct ms_tree_asset *ret_asset,
                            struct ms_bin_record *ret_bin, struct ms_error *reterr) {
    bool gone;
    enum ms_code code = ms_row_get_inode(t->txn, ms_key_inode(t->id, e->ino), ret_inode, NULL);
    if (code != MS_OK || !ms_inode_has_asset(ret_inode))
        return not_there(e, code, reterr);
    if (!ms_bin_id_is_none(e->bin))
        MS_TRY(load_row(t, e, ret_inode, ret_bin, reterr));
    MS_TRY(ms_tree_asset(t, ret_inode, ret_asset, &gone, reterr));
    if (!ret_asset->life.binned)
        return ms_fail(reterr, MS_NOT_FOUND, "\"%.255s\" was deleted for good: its time was over",
                       e->name);
    if (!ms_bin_id_is_none(e->bin))
        return MS_OK;
    MS_TRY(ms_tree_inode(t, e->ino, ret_inode, reterr)); /* it has lost its names */
    return load_row(t, e, ret_inode, ret_bin, reterr);
}

static enum ms_code purge_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const struct change_args *args = ((const struct ms_tree_call *)in)->args;
    struct ms_tree t;
    struct ms_inode_record inode;
    struct ms_tree_asset asset;
    struct ms_bin_record bin;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_ventry_load(&t, args->file, &inode, &asset, &bin, reterr));
    struct ms_lc_facts facts = ms_tree_facts(&t, &asset.rec);
    struct ms_lc_verdict step = ms_lc_step(&asset.life, MS_EVENT_FORCE_DELETE, &facts);
    if (step.rule != MS_LC_ALLOWED)
        return ms_tree_refused(&t, &asset, step.rule, "delete for good", reterr);
    MS_ASSERT(step.effects & MS_EFFECT_PURGE);
    return ms_change_purge(txn, t.id, t.who, &asset.rec, MS_EVENT_FORCE_DELETE, step.at,
                           "removed from the recycle bin", reterr);
}

/* ---- restoring to a name --------------------------------------------------------------------- */

struct restored {
    struct ms_gone gone;
    uint64_t ino;
};

static enum ms_code may_replace(const struct ms_rename *r, const struct ms_found *dst,
                                struct ms_error *reterr) {
    if (!dst->found)
        return MS_OK;
    if (r->no_replace)
        return ms_tree_must_not_exist(r->new_name, dst, reterr);
    if (S_ISDIR(dst->inode.mode))
        return ms_fail(reterr, MS_IS_DIR, "\"%s\" cannot replace folder \"%s\"", r->name,
                       r->new_name);
    return MS_OK;
}

/* The platform's folders take what came from them, and nothing else. */
static enum ms_code folder_takes(const struct ms_tree *t, const struct ms_bin_record *bin,
                                 const struct ms_place *to, struct ms_error *reterr) {
    struct ms_place from;
    MS_TRY(ms_tree_place(t, bin->parent, 0, &from, reterr));
    return from.top == to->top ? MS_OK : ms_tree_writable(t, to->top, reterr);
}

/* The name is the inode's; what had it goes the way of whatever is replaced. */
static enum ms_code take_name(const struct ms_tree *t, const struct change_args *args,
                              struct ms_found *dst, struct ms_inode_record *inode,
                              struct ms_gone *gone, struct ms_error *reterr) {
    const struct ms_rename *r = args->rename;
    struct ms_inode_record dir;
    MS_TRY(ms_tree_dir(t, r->new_parent, &dir, reterr));
    if (dst->found)
        MS_TRY(ms_tree_name_set(t, &dir, dst, r->new_name, inode, reterr));
    else
        MS_TRY(ms_tree_name_add(t, &dir, dst->nfc, r->new_name, inode, reterr));
    MS_TRY(ms_tree_put(t, &dir, reterr));
    if (dst->found)
        MS_TRY(ms_tree_lost(t, r->new_parent, dst, args->keep_open, gone, reterr));
    inode->nlink++;
    ms_tree_touch(t, inode, MS_TOUCH_CTIME);
    return ms_tree_put(t, inode, reterr);
}

static enum ms_code restore_op(struct ms_txn *txn, const void *in, void *out,
                               struct ms_error *reterr) {
    const struct change_args *args = ((const struct ms_tree_call *)in)->args;
    const struct ms_rename *r = args->rename;
    struct restored *o = out;
    struct ms_tree t;
    struct ms_inode_record inode;
    struct ms_tree_asset asset;
    struct ms_bin_record bin;
    struct ms_found dst;
    struct ms_place to;
    struct ms_judged judged;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_ventry_load(&t, args->file, &inode, &asset, &bin, reterr));
    struct ms_lc_facts facts = ms_tree_facts(&t, &asset.rec);
    struct ms_lc_verdict step = ms_lc_step(&asset.life, MS_EVENT_RESTORE, &facts);
    if (step.rule != MS_LC_ALLOWED)
        return ms_tree_refused(&t, &asset, step.rule, "restore", reterr);
    MS_TRY(ms_tree_find(&t, r->new_parent, r->new_name, &dst, reterr));
    MS_TRY(may_replace(r, &dst, reterr));
    MS_TRY(ms_tree_place(&t, r->new_parent, 0, &to, reterr));
    MS_TRY(folder_takes(&t, &bin, &to, reterr));
    MS_TRY(ms_tree_judge(&t, &inode, &asset, bin.name, r->new_name, to.top, &judged, reterr));
    MS_TRY(take_name(&t, args, &dst, &inode, &o->gone, reterr));
    judged.fits_now = false; /* its life is what it was */
    MS_TRY(ms_tree_follow(&t, &asset, r->new_name, &judged, reterr));
    MS_TRY(ms_change_unbin(txn, t.id, &asset.rec, reterr));
    o->ino = inode.ino;
    return ms_change_life(txn, t.id, t.who, &asset.rec, &step.next, MS_EVENT_RESTORE, step.at, "",
                          reterr);
}

bool ms_vname_is_open(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t dir,
                      const char *name) {
    struct ms_node node;
    return ms_tree_lookup(vt->svc, ctx, dir, name, &node, NULL) == MS_OK &&
           ms_file_handles(vt->svc, ctx, node.inode.ino) > 0;
}

void ms_vname_gone(struct ms_vtree *vt, const struct ms_ctx *ctx, const struct ms_gone *gone) {
    if (gone->ino != 0 && gone->kept)
        ms_file_orphaned(vt->svc, ctx, gone->ino);
}

static enum ms_code restore_file(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                 const struct ms_rename *r, const struct ms_ventry *file,
                                 struct ms_vmoved *moved, struct ms_error *reterr) {
    struct change_args args = {.file = file, .rename = r};
    struct restored o = {.ino = 0};
    args.keep_open = ms_vname_is_open(vt, ctx, r->new_parent, r->new_name);
    MS_TRY(ms_tree_write(vt->svc, ctx, restore_op, &args, &o, sizeof o, reterr));
    ms_file_revalidate(vt->svc, vt->tenant, o.ino);
    ms_vname_gone(vt, ctx, &o.gone);
    moved->ino = o.ino;
    moved->done = 1;
    return MS_OK;
}

static enum ms_code move_out(struct ms_vtree *vt, const struct ms_ctx *ctx,
                             const struct ms_rename *r, struct ms_vmoved *moved,
                             struct ms_error *reterr) {
    struct target target;
    MS_TRY(find_target(vt, ctx, r->parent, r->name, "rename", &target, reterr));
    if (ms_vtree_is(r->new_parent))
        return ms_vtree_refused(vt, r->new_parent, "rename", reterr);
    return target.is_folder ? ms_vfolder_restore(vt, ctx, r, target.folder, moved, reterr)
                            : restore_file(vt, ctx, r, &target.file, moved, reterr);
}

static enum ms_code name_is_free(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                 const struct ms_rename *r, struct ms_error *reterr) {
    struct target there;
    struct ms_error err = {0};
    enum ms_code code = find_target(vt, ctx, r->new_parent, r->new_name, "rename", &there, &err);
    if (code == MS_NOT_FOUND || (code == MS_OK && !r->no_replace))
        return MS_OK;
    if (code == MS_OK)
        return ms_fail(reterr, MS_EXISTS, "\"%s\" exists already in the recycle bin", r->new_name);
    return ms_pass_up(code, &err, reterr);
}

static enum ms_code move_in(struct ms_vtree *vt, const struct ms_ctx *ctx,
                            const struct ms_rename *r, struct ms_vmoved *moved,
                            struct ms_error *reterr) {
    struct ms_node node;
    MS_TRY(name_is_free(vt, ctx, r, reterr));
    MS_TRY(ms_tree_lookup(vt->svc, ctx, r->parent, r->name, &node, reterr));
    if (node.inode.special != MS_SPECIAL_NONE)
        return ms_fail(reterr, MS_BUSY, "\"%s\" is a folder of every tenant: it cannot be deleted",
                       r->name);
    if (S_ISDIR(node.inode.mode))
        MS_TRY(ms_vfolder_bin(vt, ctx, r->parent, &node, r->name, moved, reterr));
    else
        MS_TRY(ms_vname_delete(vt, ctx, r->parent, r->name, moved, reterr));
    moved->binned = true;
    return MS_OK;
}

/* ---- the calls ------------------------------------------------------------------------------- */

enum ms_code ms_vtree_rename(struct ms_vtree *vt, const struct ms_ctx *ctx,
                             const struct ms_rename *rename, struct ms_vmoved *ret_moved,
                             struct ms_error *reterr) {
    *ret_moved = (struct ms_vmoved){.done = 0};
    if (rename->parent == vt->root_ino && ms_vtree_is_reserved(rename->name))
        return ms_vtree_refused(vt, vt->root_ino, "rename", reterr);
    if (rename->new_parent == vt->root_ino && ms_vtree_is_reserved(rename->new_name))
        return ms_vtree_refused(vt, vt->root_ino, "rename", reterr);
    if (rename->exchange)
        return ms_fail(reterr, MS_INVALID, "nothing is exchanged with the recycle bin");
    return ms_vtree_is(rename->parent) ? move_out(vt, ctx, rename, ret_moved, reterr)
                                       : move_in(vt, ctx, rename, ret_moved, reterr);
}

enum ms_code ms_vtree_unlink(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t dir,
                             const char *name, struct ms_error *reterr) {
    struct target target;
    if (dir == vt->root_ino)
        return ms_fail(reterr, MS_IS_DIR, "\"/%s\" is a folder", name);
    MS_TRY(find_target(vt, ctx, dir, name, "removing", &target, reterr));
    if (target.is_folder)
        return ms_fail(reterr, MS_IS_DIR, "\"%s\" is a folder: use rmdir", name);
    const struct change_args args = {.file = &target.file};
    MS_TRY(ms_tree_write_freeing(vt->svc, ctx, purge_op, &args, NULL, 0, reterr));
    ms_file_revalidate(vt->svc, vt->tenant, target.file.ino);
    return MS_OK;
}

enum ms_code ms_vtree_rmdir(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t dir,
                            const char *name, struct ms_error *reterr) {
    struct target target;
    if (dir == vt->root_ino)
        return ms_vtree_refused(vt, dir, "removing", reterr);
    MS_TRY(find_target(vt, ctx, dir, name, "removing", &target, reterr));
    if (!target.is_folder)
        return ms_fail(reterr, MS_NOT_DIR, "\"%s\" is not a folder", name);
    if (target.shows)
        return ms_fail(reterr, MS_NOT_EMPTY,
                       "folder \"%s\" of the recycle bin is not empty: remove what is in it", name);
    pthread_mutex_lock(&vt->mutex);
    struct ms_vnode *node = ms_vtree_find(vt, target.folder);
    if (node)
        ms_vfolder_of(node)->removed = true;
    pthread_mutex_unlock(&vt->mutex);
    return MS_OK;
}
