/* Whole folders into the bin, in one step (ms_tree_bin), or, where it is off, for good; and out of it, many
 * files in a commit.
 *
 * The kernel holds both folders of a rename, and with them other lookups in them, until it is
 * answered: so it must not take a commit for each file. A commit in which one file is refused
 * changes nothing; its files are then done one by one, up to the refused one. */
#include "service/vtree_part.h"

#include <stdlib.h>
#include <sys/stat.h>

#define BATCH 64u

/* ---- out: what is below the folder ----------------------------------------------------------- */

struct below {
    struct ms_ventry file;
    char *path; /* "/sub/name" below the folder, as shown; of the name in file too */
    bool plain; /* shown under the name that it had */
};
struct belows {
    struct below *all;
    size_t n, cap;
};
static void belows_fini(struct belows *b) {
    for (size_t i = 0; i < b->n; i++)
        free(b->all[i].path);
    free(b->all);
}

static enum ms_code add_below(struct belows *b, const struct ms_vfile *file, const char *path,
                              struct ms_error *reterr) {
    if (b->n == b->cap) {
        size_t cap = b->cap ? b->cap * 2 : BATCH;
        struct below *more = realloc(b->all, cap * sizeof *more);
        if (!more)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of files");
        b->all = more;
        b->cap = cap;
    }
    char *copy = strdup(path);
    if (!copy)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a path");
    b->all[b->n++] = (struct below){.file = {file->ino, file->bin, copy},
                                    .path = copy,
                                    .plain = strcmp(file->item.shown, file->name) == 0};
    return MS_OK;
}

/* From memory: rows are looked at in the commits. */
static enum ms_code collect(const struct ms_vfolder *folder, struct ms_buf *path, struct belows *b,
                            struct ms_error *reterr) {
    const struct ms_vitem *item = NULL;
    size_t len = path->len;
    while ((item = ms_vfolder_behind(folder, item ? item->seq : 0)) != NULL) {
        MS_TRY(ms_buf_addf(path, reterr, "/%s", item->shown));
        if (item->is_folder)
            MS_TRY(collect(MS_CONTAINER_OF(item, struct ms_vfolder, item), path, b, reterr));
        else
            MS_TRY(add_below(b, MS_CONTAINER_OF(item, struct ms_vfile, item),
                             (const char *)path->data, reterr));
        path->len = len;
        path->data[len] = '\0';
    }
    return MS_OK;
}

/* The files of a folder, and the path at which .trash/ shows it. */
static enum ms_code list_below(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t folder,
                               struct belows *b, struct ms_buf *ret_path, struct ms_error *reterr) {
    struct ms_tree t;
    MS_AUTO(ms_buf_fini) struct ms_buf path = {0};
    pthread_mutex_lock(&vt->mutex);
    enum ms_code code = ms_vbin_read(vt, ctx, &t, reterr);
    if (code == MS_OK) {
        ms_tree_read_end(&t);
        struct ms_vnode *node = ms_vtree_find(vt, folder);
        if (!node)
            code = ms_fail(reterr, MS_NOT_FOUND, "the folder is not in the recycle bin any more");
        if (code == MS_OK)
            code = ms_vfolder_path(ms_vfolder_of(node), ret_path, reterr);
        if (code == MS_OK)
            code = collect(ms_vfolder_of(node), &path, b, reterr);
    }
    pthread_mutex_unlock(&vt->mutex);
    return code;
}

/* ---- out: the commits ------------------------------------------------------------------------ */

struct restore_args {
    const struct below *files;
    size_t n;
    const char *to; /* the folder's new path */
    bool same;      /* it is the one where it was */
};
struct restored {
    uint64_t ino[BATCH]; /* 0: it had gone */
};

/* To where they were they go the way of any restore, so that removed folders come back as they
 * were. */
static enum ms_code restore_one(const struct ms_tree *t, const struct restore_args *args,
                                const struct below *file, uint64_t *ret_ino,
                                struct ms_error *reterr) {
    struct ms_inode_record inode;
    struct ms_tree_asset asset;
    struct ms_bin_record bin;
    struct ms_error err = {0};
    MS_AUTO(ms_buf_fini) struct ms_buf path = {0};
    enum ms_code code = ms_ventry_load(t, &file->file, &inode, &asset, &bin, &err);
    if (code != MS_OK)
        return code == MS_NOT_FOUND ? MS_OK : ms_pass_up(code, &err, reterr);
    struct ms_lc_facts facts = ms_tree_facts(t, &asset.rec);
    struct ms_lc_verdict step = ms_lc_step(&asset.life, MS_EVENT_RESTORE, &facts);
    if (step.rule != MS_LC_ALLOWED)
        return ms_tree_refused(t, &asset, step.rule, "restore", reterr);
    MS_TRY(ms_buf_addf(&path, reterr, "%s%s", args->to, file->path));
    bool back = args->same && file->plain;
    MS_TRY(ms_tree_restore(t, &asset, back ? NULL : (const char *)path.data, reterr));
    *ret_ino = inode.ino;
    return ms_change_life(t->txn, t->id, t->who, &asset.rec, &step.next, MS_EVENT_RESTORE, step.at,
                          "", reterr);
}

static enum ms_code restore_op(struct ms_txn *txn, const void *in, void *out,
                               struct ms_error *reterr) {
    const struct restore_args *args = ((const struct ms_tree_call *)in)->args;
    struct restored *o = out;
    struct ms_tree t;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    for (size_t i = 0; i < args->n; i++)
        MS_TRY(restore_one(&t, args, &args->files[i], &o->ino[i], reterr));
    return MS_OK;
}

static enum ms_code restore_some(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                 const struct restore_args *args, struct ms_vmoved *moved,
                                 struct ms_error *reterr) {
    struct restored o;
    MS_TRY(ms_tree_write(vt->svc, ctx, restore_op, args, &o, sizeof o, reterr));
    for (size_t i = 0; i < args->n; i++) {
        if (o.ino[i] == 0)
            continue;
        ms_file_revalidate(vt->svc, vt->tenant, o.ino[i]);
        moved->done++;
    }
    return MS_OK;
}

static enum ms_code restore_batch(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                  const struct restore_args *args, struct ms_vmoved *moved,
                                  struct ms_error *reterr) {
    struct restore_args one = *args;
    if (args->n > 1 && restore_some(vt, ctx, args, moved, NULL) == MS_OK)
        return MS_OK;
    for (one.n = 1; one.files < args->files + args->n; one.files++)
        MS_TRY(restore_some(vt, ctx, &one, moved, reterr));
    return MS_OK;
}

/* ---- out ------------------------------------------------------------------------------------- */

/* The new name must be free: a kernel that has seen a folder replaced takes it for removed, and
 * this one would live on. */
static enum ms_code may_go_to(struct ms_vtree *vt, const struct ms_ctx *ctx,
                              const struct ms_rename *r, struct ms_error *reterr) {
    struct ms_node node;
    struct ms_error err = {0};
    enum ms_code code = ms_tree_lookup(vt->svc, ctx, r->new_parent, r->new_name, &node, &err);
    if (code == MS_NOT_FOUND)
        return MS_OK;
    if (code != MS_OK)
        return ms_pass_up(code, &err, reterr);
    if (!S_ISDIR(node.inode.mode))
        return ms_fail(reterr, MS_NOT_DIR, "a folder cannot replace \"%s\", which is no folder",
                       r->new_name);
    return ms_fail(reterr, MS_EXISTS,
                   "folder \"%s\" exists: move what is in the recycle bin's folder into it",
                   r->new_name);
}

static enum ms_code new_path(struct ms_vtree *vt, const struct ms_ctx *ctx,
                             const struct ms_rename *r, struct ms_buf *ret_path,
                             struct ms_error *reterr) {
    MS_TRY(ms_tree_path(vt->svc, ctx, r->new_parent, ret_path, reterr));
    if (r->new_parent == vt->root_ino)
        ms_buf_clear(ret_path);
    return ms_buf_addf(ret_path, reterr, "/%s", r->new_name);
}

/* So that removed folders come back as they were. */
static enum ms_code settle_before(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                  struct ms_error *reterr) {
    struct ms_tree t;
    uint64_t done;
    MS_TRY(ms_tree_read(&t, vt->svc, ctx, reterr));
    bool waits = t.tenant.treeops > 0;
    ms_tree_read_end(&t);
    return waits ? ms_tree_settle(vt->svc, ctx, &done, reterr) : MS_OK;
}

enum ms_code ms_vfolder_restore(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                const struct ms_rename *r, uint64_t folder, struct ms_vmoved *moved,
                                struct ms_error *reterr) {
    MS_AUTO(belows_fini) struct belows b = {0};
    MS_AUTO(ms_buf_fini) struct ms_buf was = {0}, to = {0};
    MS_TRY(may_go_to(vt, ctx, r, reterr));
    MS_TRY(settle_before(vt, ctx, reterr));
    MS_TRY(new_path(vt, ctx, r, &to, reterr));
    MS_TRY(list_below(vt, ctx, folder, &b, &was, reterr));
    struct restore_args args = {.to = (const char *)to.data};
    args.same = ms_view_equal(ms_buf_view(&was), ms_buf_view(&to));
    for (size_t i = 0; i < b.n; i += args.n) {
        args.files = &b.all[i];
        args.n = b.n - i < BATCH ? b.n - i : BATCH;
        MS_TRY(restore_batch(vt, ctx, &args, moved, reterr));
    }
    if (moved->done == 0)
        return ms_fail(reterr, MS_NOT_FOUND, "folder \"%s\" of the recycle bin is empty", r->name);
    return MS_OK;
}

/* ---- in: files of one folder ----------------------------------------------------------------- */

struct delete_args {
    uint64_t parent;
    const char *name[BATCH];
    size_t n;
};
struct deleted {
    bool other[BATCH]; /* nothing was done: this is for unlink */
    uint64_t ino[BATCH];
};

/* The bin takes a finished asset whose last name this is. */
static enum ms_code delete_one(const struct ms_tree *t, uint64_t parent, const char *name,
                               bool *ret_other, uint64_t *ret_ino, struct ms_error *reterr) {
    struct ms_found f;
    MS_TRY(ms_tree_find(t, parent, name, &f, reterr));
    MS_TRY(ms_tree_must_exist(t, parent, name, &f, reterr));
    *ret_other = !f.has_asset || f.inode.nlink != 1 || f.inode.unsealed || f.asset.rec.ino == 0;
    if (*ret_other)
        return MS_OK;
    *ret_ino = f.inode.ino;
    struct ms_asset_record *asset = &f.asset.rec;
    struct ms_lc_facts facts = ms_tree_facts(t, asset);
    struct ms_lc_verdict step = ms_lc_step(&f.asset.life, MS_EVENT_DELETE, &facts);
    if (step.rule != MS_LC_ALLOWED)
        return ms_tree_refused(t, &f.asset, step.rule, "delete", reterr);
    if (step.effects & MS_EFFECT_PURGE)
        return ms_change_purge(t->txn, t->id, t->who, asset, MS_EVENT_DELETE, step.at,
                               "the bin is off", reterr);
    if (step.effects & MS_EFFECT_BIN)
        MS_TRY(ms_change_bin(t->txn, t->id, t->who, asset, step.at, NULL, reterr));
    return ms_change_life(t->txn, t->id, t->who, asset, &step.next, MS_EVENT_DELETE, step.at, "",
                          reterr);
}

static enum ms_code delete_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct delete_args *args = ((const struct ms_tree_call *)in)->args;
    struct deleted *o = out;
    struct ms_tree t;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    for (size_t i = 0; i < args->n; i++)
        MS_TRY(delete_one(&t, args->parent, args->name[i], &o->other[i], &o->ino[i], reterr));
    return MS_OK;
}

static enum ms_code unlink_name(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t parent,
                                const char *name, struct ms_error *reterr) {
    struct ms_gone gone;
    bool keep = ms_vname_is_open(vt, ctx, parent, name);
    MS_TRY(ms_tree_unlink(vt->svc, ctx, parent, name, keep, &gone, reterr));
    ms_vname_gone(vt, ctx, &gone);
    return MS_OK;
}

static enum ms_code delete_some(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                const struct delete_args *args, struct ms_vmoved *moved,
                                struct ms_error *reterr) {
    struct deleted o;
    MS_TRY(ms_tree_write_freeing(vt->svc, ctx, delete_op, args, &o, sizeof o, reterr));
    for (size_t i = 0; i < args->n; i++) {
        if (o.other[i])
            continue;
        ms_file_revalidate(vt->svc, vt->tenant, o.ino[i]);
        moved->done++;
    }
    for (size_t i = 0; i < args->n; i++) {
        if (!o.other[i])
            continue;
        MS_TRY(unlink_name(vt, ctx, args->parent, args->name[i], reterr));
        moved->done++;
    }
    return MS_OK;
}

enum ms_code ms_vname_delete(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t parent,
                             const char *name, struct ms_vmoved *moved, struct ms_error *reterr) {
    const struct delete_args args = {.parent = parent, .name = {name}, .n = 1};
    return delete_some(vt, ctx, &args, moved, reterr);
}

static enum ms_code delete_batch(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                 const struct delete_args *args, struct ms_vmoved *moved,
                                 struct ms_error *reterr) {
    uint64_t before = moved->done;
    if (args->n > 1) {
        enum ms_code code = delete_some(vt, ctx, args, moved, reterr);
        if (code == MS_OK || moved->done > before) /* else nothing was done */
            return code;
    }
    for (size_t i = 0; i < args->n; i++)
        MS_TRY(ms_vname_delete(vt, ctx, args->parent, args->name[i], moved, reterr));
    return MS_OK;
}

/* ---- in -------------------------------------------------------------------------------------- */

static enum ms_code delete_folder(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t parent,
                                  const struct ms_node *node, const char *name,
                                  struct ms_vmoved *moved, struct ms_error *reterr);

static enum ms_code delete_page(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t dir,
                                const struct ms_node *page, size_t n, struct ms_vmoved *moved,
                                struct ms_error *reterr) {
    struct delete_args files = {.parent = dir};
    for (size_t i = 0; i < n; i++) {
        if (S_ISDIR(page[i].inode.mode))
            MS_TRY(delete_folder(vt, ctx, dir, &page[i], page[i].spelling, moved, reterr));
        else
            files.name[files.n++] = page[i].spelling;
    }
    return files.n > 0 ? delete_batch(vt, ctx, &files, moved, reterr) : MS_OK;
}

/* For good, where the bin is off: 64 files a commit, then the folder. */
static enum ms_code delete_folder(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t parent,
                                  const struct ms_node *node, const char *name,
                                  struct ms_vmoved *moved, struct ms_error *reterr) {
    uint64_t after = 0;
    size_t n = 1;
    struct ms_gone gone;
    enum ms_code code = MS_OK;
    struct ms_node *page = malloc(BATCH * sizeof *page); /* too large for a stack so deep */
    if (!page)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a page of a folder");
    while (code == MS_OK && n > 0) {
        code = ms_tree_list(vt->svc, ctx, node->inode.ino, after, page, BATCH, &n, reterr);
        if (code == MS_OK && n > 0) {
            after = page[n - 1].seq;
            code = delete_page(vt, ctx, node->inode.ino, page, n, moved, reterr);
        }
    }
    free(page);
    if (code != MS_OK)
        return code;
    return ms_tree_rmdir(vt->svc, ctx, parent, name, false, &gone, reterr);
}

/* Nobody of this process lets the rows follow: then this call does. The folder is in the bin already, so what
 * stops that is left for a sweep. */
static void follow(struct ms_vtree *vt, const struct ms_ctx *ctx) {
    struct ms_error err = {0};
    uint64_t done;
    if (!vt->svc->worker && ms_tree_settle(vt->svc, ctx, &done, &err) != MS_OK)
        ms_log_failure(vt->svc->log, MS_LOG_WARN, "folder-not-settled", &err, NULL);
}

enum ms_code ms_vfolder_bin(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t parent,
                            const struct ms_node *node, const char *name, struct ms_vmoved *moved,
                            struct ms_error *reterr) {
    struct ms_error err = {0};
    uint64_t ino;
    enum ms_code code = ms_tree_bin(vt->svc, ctx, parent, name, &ino, &err);
    if (code == MS_UNSUPPORTED) /* the bin is off */
        return delete_folder(vt, ctx, parent, node, name, moved, reterr);
    if (code != MS_OK)
        return ms_pass_up(code, &err, reterr);
    moved->done = 1;
    follow(vt, ctx);
    return MS_OK;
}
