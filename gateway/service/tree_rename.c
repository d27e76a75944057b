/* rename: moving, replacing and exchanging names in one commit. */
#include "service/tree_rows.h"

#include <stdio.h>
#include <sys/stat.h>

/* from and to are one record when both names lie in the same folder. */
struct rename {
    struct ms_tree t;
    const struct ms_rename *in;
    struct ms_found src, dst;
    struct ms_inode_record dir[2], *from, *to;
    struct ms_place from_place, to_place;
    struct ms_judged src_judged, dst_judged;
};

static bool is_dir(const struct ms_found *f) { return S_ISDIR(f->inode.mode); }

static enum ms_code load(struct rename *r, struct ms_error *reterr) {
    const struct ms_rename *in = r->in;
    MS_TRY(ms_tree_find(&r->t, in->parent, in->name, &r->src, reterr));
    MS_TRY(ms_tree_find(&r->t, in->new_parent, in->new_name, &r->dst, reterr));
    MS_TRY(ms_tree_must_exist(&r->t, in->parent, in->name, &r->src, reterr));
    if (in->exchange)
        MS_TRY(ms_tree_must_exist(&r->t, in->new_parent, in->new_name, &r->dst, reterr));
    uint64_t src = r->src.inode.ino, dst = r->dst.found ? r->dst.inode.ino : 0;
    MS_TRY(ms_tree_place(&r->t, in->parent, dst, &r->from_place, reterr));
    return ms_tree_place(&r->t, in->new_parent, src, &r->to_place, reterr);
}

/* Last, because looking may have changed them (see tree_rows.h). */
static enum ms_code load_dirs(struct rename *r, struct ms_error *reterr) {
    r->from = r->to = &r->dir[0];
    MS_TRY(ms_tree_dir(&r->t, r->in->parent, r->from, reterr));
    if (r->in->parent == r->in->new_parent)
        return MS_OK;
    r->to = &r->dir[1];
    return ms_tree_dir(&r->t, r->in->new_parent, r->to, reterr);
}

static enum ms_code put_dirs(struct rename *r, struct ms_error *reterr) {
    MS_TRY(ms_tree_put(&r->t, r->from, reterr));
    return r->to == r->from ? MS_OK : ms_tree_put(&r->t, r->to, reterr);
}

/* ---- what may not be ------------------------------------------------------------------------- */

static enum ms_code not_special(const struct ms_found *f, struct ms_error *reterr) {
    if (!f->found || f->inode.special == MS_SPECIAL_NONE)
        return MS_OK;
    return ms_fail(reterr, MS_BUSY,
                   "\"%s\" is a folder of every tenant: it cannot be renamed or replaced",
                   f->name.spelling);
}

static enum ms_code no_loop(const struct ms_found *f, const struct ms_place *into,
                            struct ms_error *reterr) {
    if (!is_dir(f) || !into->below)
        return MS_OK;
    return ms_fail(reterr, MS_LOOP, "folder \"%s\" cannot be moved into itself", f->name.spelling);
}

static enum ms_code fits_over(const struct rename *r, struct ms_error *reterr) {
    if (is_dir(&r->src) && !is_dir(&r->dst))
        return ms_fail(reterr, MS_NOT_DIR,
                       "folder \"%s\" cannot replace \"%s\", which is no folder", r->in->name,
                       r->in->new_name);
    if (!is_dir(&r->src) && is_dir(&r->dst))
        return ms_fail(reterr, MS_IS_DIR, "\"%s\" cannot replace folder \"%s\"", r->in->name,
                       r->in->new_name);
    return is_dir(&r->dst) ? ms_tree_empty(&r->t, &r->dst, reterr) : MS_OK;
}

/* The platform's folders take no writes of tenants; what is in them may be renamed there. */
static enum ms_code folders_writable(const struct rename *r, struct ms_error *reterr) {
    if (r->from_place.top == r->to_place.top)
        return MS_OK;
    if (r->in->exchange)
        MS_TRY(ms_tree_writable(&r->t, r->from_place.top, reterr));
    return ms_tree_writable(&r->t, r->to_place.top, reterr);
}

static enum ms_code may_rename(const struct rename *r, const struct ms_found *f,
                               struct ms_error *reterr) {
    return f->has_asset ? ms_tree_may(&r->t, &f->asset, MS_RIGHT_RENAME, "rename", reterr) : MS_OK;
}

static enum ms_code depth_fits(const struct ms_found *f, const struct ms_place *into,
                               struct ms_error *reterr) {
    return is_dir(f) ? ms_tree_depth_fits(into->depth, f->inode.height + 1u, reterr) : MS_OK;
}

static enum ms_code check(const struct rename *r, struct ms_error *reterr) {
    MS_TRY(not_special(&r->src, reterr));
    MS_TRY(not_special(&r->dst, reterr));
    MS_TRY(no_loop(&r->src, &r->to_place, reterr));
    if (r->in->exchange)
        MS_TRY(no_loop(&r->dst, &r->from_place, reterr));
    else if (r->dst.found)
        MS_TRY(fits_over(r, reterr));
    MS_TRY(folders_writable(r, reterr));
    MS_TRY(may_rename(r, &r->src, reterr));
    MS_TRY(depth_fits(&r->src, &r->to_place, reterr));
    if (!r->in->exchange)
        return MS_OK;
    MS_TRY(may_rename(r, &r->dst, reterr));
    return depth_fits(&r->dst, &r->from_place, reterr);
}

static enum ms_code judge(struct rename *r, struct ms_error *reterr) {
    if (r->src.has_asset)
        MS_TRY(ms_tree_judge(&r->t, &r->src.inode, &r->src.asset, r->src.name.spelling,
                             r->in->new_name, r->to_place.top, &r->src_judged, reterr));
    if (!r->in->exchange || !r->dst.has_asset)
        return MS_OK;
    return ms_tree_judge(&r->t, &r->dst.inode, &r->dst.asset, r->dst.name.spelling, r->in->name,
                         r->from_place.top, &r->dst_judged, reterr);
}

/* ---- moving ---------------------------------------------------------------------------------- */

/* Editors rename a file inside its folder to keep it as a backup: unlink asks for this
 * (tree_unlink.c). */
static void remember(const struct rename *r, struct ms_found *f, const char *new_nfc) {
    struct ms_inode_record *inode = &f->inode;
    bool inside = r->in->parent == r->in->new_parent && f->has_asset && inode->nlink == 1 &&
                  !inode->unsealed && !r->dst.found && strcmp(f->nfc, new_nfc) != 0;
    inode->was_parent = inside ? r->in->parent : 0;
    inode->was_at = inside ? r->t.now : (struct ms_instant){0};
    memcpy(inode->was, inside ? f->nfc : "", inside ? sizeof inode->was : 1);
}

/* A folder that came from under another type folder may hold files whose type the folder decides: a
 * worker follows (ms_tree_settle). */
static enum ms_code note_retype(const struct rename *r, const struct ms_found *f,
                                const struct ms_place *from, const struct ms_place *to,
                                struct ms_error *reterr) {
    if (!is_dir(f) || from->top == to->top)
        return MS_OK;
    struct ms_treeop_record op = {.kind = MS_TREEOP_RETYPE, .ino = f->inode.ino, .at = r->t.now};
    ms_txn_random(r->t.txn, op.id.b, sizeof op.id.b);
    (void)snprintf(op.who, sizeof op.who, "%s", r->t.who);
    return ms_row_put_treeop(r->t.txn, ms_key_treeop(r->t.id, (struct ms_treeop_id){op.id}), &op,
                             reterr);
}

/* The inode knows its new place. Its folders are stored already. */
static enum ms_code arrive(const struct rename *r, struct ms_found *f, const struct ms_place *from,
                           const struct ms_inode_record *into, const struct ms_place *to,
                           const struct ms_judged *judged, const char *name,
                           struct ms_error *reterr) {
    ms_tree_touch(&r->t, &f->inode, MS_TOUCH_CTIME);
    if (is_dir(f))
        f->inode.parent = into->ino;
    MS_TRY(ms_tree_put(&r->t, &f->inode, reterr));
    if (is_dir(f) && r->from != r->to)
        MS_TRY(ms_tree_raise(&r->t, into->ino, f->inode.height + 1u, reterr));
    MS_TRY(note_retype(r, f, from, to, reterr));
    if (f->has_asset)
        MS_TRY(ms_tree_follow(&r->t, &f->asset, name, judged, reterr));
    return ms_tree_feed_inode(&r->t, f->inode.ino, reterr);
}

static enum ms_code move_names(struct rename *r, struct ms_error *reterr) {
    MS_TRY(ms_tree_name_del(&r->t, r->from, &r->src, reterr));
    if (is_dir(&r->src)) { /* in this order: the height of a folder that keeps its only subfolder
                              stays */
        ms_tree_subdirs(r->to, 1);
        ms_tree_subdirs(r->from, -1);
    }
    if (!r->dst.found)
        return ms_tree_name_add(&r->t, r->to, r->dst.nfc, r->in->new_name, &r->src.inode, reterr);
    if (is_dir(&r->dst))
        ms_tree_subdirs(r->to, -1);
    return ms_tree_name_set(&r->t, r->to, &r->dst, r->in->new_name, &r->src.inode, reterr);
}

/* The replaced asset goes on with the new bytes; what is left of it is an inode without name and
 * asset. */
static enum ms_code take_over(struct rename *r, struct ms_gone *gone, struct ms_error *reterr) {
    struct ms_found *src = &r->src, *dst = &r->dst;
    ms_tree_part(&dst->inode, &dst->asset, MS_PART_REPLACED);
    MS_TRY(ms_tree_take_over(&r->t, &dst->asset, &src->asset, &src->inode, r->in->new_name,
                             &r->src_judged, reterr));
    src->asset = dst->asset;
    dst->has_asset = false;
    MS_TRY(ms_tree_lost(&r->t, r->in->new_parent, dst, r->in->keep_open, gone, reterr));
    gone->taken_over = true;
    return MS_OK;
}

static enum ms_code replaced(struct rename *r, struct ms_gone *gone, struct ms_error *reterr) {
    struct ms_found *dst = &r->dst;
    if (is_dir(dst))
        return ms_tree_dir_lost(&r->t, r->in->new_parent, dst, r->in->keep_open, gone, reterr);
    if (r->src.has_asset && dst->has_asset && dst->inode.nlink == 1 &&
        ms_tree_may_take_over(&r->t, &dst->asset, &r->src.asset, &r->src.inode))
        return take_over(r, gone, reterr);
    return ms_tree_lost(&r->t, r->in->new_parent, dst, r->in->keep_open, gone, reterr);
}

static enum ms_code move(struct rename *r, struct ms_gone *gone, struct ms_error *reterr) {
    remember(r, &r->src, r->dst.nfc);
    MS_TRY(move_names(r, reterr));
    MS_TRY(put_dirs(r, reterr));
    if (r->dst.found)
        MS_TRY(replaced(r, gone, reterr));
    return arrive(r, &r->src, &r->from_place, r->to, &r->to_place, &r->src_judged, r->in->new_name,
                  reterr);
}

/* ---- exchanging ------------------------------------------------------------------------------ */

static enum ms_code exchange(struct rename *r, struct ms_error *reterr) {
    struct ms_found *a = &r->src, *b = &r->dst;
    remember(r, a, a->nfc);
    remember(r, b, b->nfc);
    if (is_dir(a) != is_dir(b) && r->from != r->to) {
        ms_tree_subdirs(r->from, is_dir(a) ? -1 : 1);
        ms_tree_subdirs(r->to, is_dir(a) ? 1 : -1);
    }
    MS_TRY(ms_tree_name_set(&r->t, r->from, a, r->in->name, &b->inode, reterr));
    MS_TRY(ms_tree_name_set(&r->t, r->to, b, r->in->new_name, &a->inode, reterr));
    MS_TRY(put_dirs(r, reterr));
    MS_TRY(
        arrive(r, a, &r->from_place, r->to, &r->to_place, &r->src_judged, r->in->new_name, reterr));
    return arrive(r, b, &r->to_place, r->from, &r->from_place, &r->dst_judged, r->in->name, reterr);
}

/* ---- the operation --------------------------------------------------------------------------- */

struct renamed {
    struct ms_node node;
    struct ms_gone gone;
};

/* Both names are of one inode: POSIX says that nothing happens. Only another spelling of one name
 * is written. */
static enum ms_code same_inode(struct rename *r, struct ms_error *reterr) {
    bool same_name = r->in->parent == r->in->new_parent && strcmp(r->src.nfc, r->dst.nfc) == 0;
    if (r->in->no_replace && !same_name)
        return ms_tree_must_not_exist(r->in->new_name, &r->dst, reterr);
    if (!same_name || r->in->exchange || strcmp(r->src.name.spelling, r->in->new_name) == 0)
        return MS_OK;
    MS_TRY(load_dirs(r, reterr));
    MS_TRY(not_special(&r->src, reterr));
    MS_TRY(may_rename(r, &r->src, reterr));
    MS_TRY(judge(r, reterr));
    MS_TRY(ms_tree_name_set(&r->t, r->from, &r->src, r->in->new_name, &r->src.inode, reterr));
    MS_TRY(put_dirs(r, reterr));
    return arrive(r, &r->src, &r->from_place, r->to, &r->to_place, &r->src_judged, r->in->new_name,
                  reterr);
}

static enum ms_code rename_found(struct rename *r, struct ms_gone *gone, struct ms_error *reterr) {
    if (r->dst.found && r->src.inode.ino == r->dst.inode.ino)
        return same_inode(r, reterr);
    if (r->in->no_replace)
        MS_TRY(ms_tree_must_not_exist(r->in->new_name, &r->dst, reterr));
    MS_TRY(check(r, reterr));
    MS_TRY(judge(r, reterr));
    MS_TRY(load_dirs(r, reterr));
    return r->in->exchange ? exchange(r, reterr) : move(r, gone, reterr);
}

static enum ms_code rename_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    struct renamed *renamed = out;
    struct rename r = {.in = ((const struct ms_tree_call *)in)->args};
    MS_TRY(ms_tree_begin(&r.t, txn, in, reterr));
    MS_TRY(ms_tree_thawed(&r.t, "rename", reterr));
    MS_TRY(load(&r, reterr));
    MS_TRY(rename_found(&r, &renamed->gone, reterr));
    ms_tree_fill(&r.t, &r.src.inode, r.src.has_asset ? &r.src.asset : NULL, &renamed->node);
    (void)snprintf(renamed->node.spelling, sizeof renamed->node.spelling, "%s", r.in->new_name);
    return MS_OK;
}

enum ms_code ms_tree_rename(struct ms_svc *svc, const struct ms_ctx *ctx,
                            const struct ms_rename *rename, struct ms_node *ret_node,
                            struct ms_gone *ret_gone, struct ms_error *reterr) {
    struct renamed renamed;
    if (rename->no_replace && rename->exchange)
        return ms_fail(reterr, MS_INVALID,
                       "RENAME_NOREPLACE and RENAME_EXCHANGE exclude each other");
    MS_TRY(ms_tree_write(svc, ctx, rename_op, rename, &renamed, sizeof renamed, reterr));
    *ret_node = renamed.node;
    *ret_gone = renamed.gone;
    return MS_OK;
}
