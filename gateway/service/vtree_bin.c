/* The recycle bin's records, read once and then followed through the change feed. */
#include "service/treeop.h"
#include "service/vtree_part.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define UP_MAX (4 * MS_DEPTH_MAX) /* removed folders may lie deeper than live ones */
#define PLACED_A_READ 1024u

/* ---- folders of the tree --------------------------------------------------------------------- */

/* One step up from a folder, as it was when somebody last looked. */
struct parent {
    struct ms_vlink link;
    uint64_t ino, above;
    char name[];
};

static void drop_parent(void *priv, struct ms_vlink *link) {
    struct ms_vtree *vt = priv;
    struct parent *p = MS_CONTAINER_OF(link, struct parent, link);
    ms_vmap_remove(&vt->parents, link);
    free(p);
}

static enum ms_code new_parent(struct ms_vtree *vt, uint64_t ino, uint64_t above, const char *name,
                               struct parent **ret_parent, struct ms_error *reterr) {
    size_t n = strlen(name) + 1;
    struct parent *p = malloc(sizeof *p + n);
    if (!p)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a folder of the recycle bin");
    p->ino = ino;
    p->above = above;
    memcpy(p->name, name, n);
    enum ms_code code = ms_vmap_add(&vt->parents, &p->link, ino, reterr);
    if (code != MS_OK)
        free(p);
    else
        *ret_parent = p;
    return code;
}

static enum ms_code step_up(struct ms_vtree *vt, const struct ms_tree *t, uint64_t ino,
                            struct parent **ret_parent, struct ms_error *reterr) {
    struct ms_vlink *link = ms_vmap_find(&vt->parents, ino);
    uint64_t above;
    char name[MS_NAME_BYTES_MAX + 1];
    if (link) {
        *ret_parent = MS_CONTAINER_OF(link, struct parent, link);
        return MS_OK;
    }
    MS_TRY(ms_tree_step_up(t, ino, &above, name, reterr));
    return new_parent(vt, ino, above, name, ret_parent, reterr);
}

/* The folder of .trash/ that stands for a folder of the tree. One that nothing leads to is a matter
 * for fsck; its files are shown at the top meanwhile. */
static enum ms_code folder_of(struct ms_vtree *vt, const struct ms_tree *t, uint64_t ino,
                              struct ms_vfolder **ret_folder, struct ms_error *reterr) {
    struct parent *up[UP_MAX];
    size_t n = 0;
    while (ino != vt->root_ino && n < UP_MAX) {
        struct ms_error err = {0};
        enum ms_code code = step_up(vt, t, ino, &up[n], &err);
        if (code == MS_NOT_FOUND)
            break;
        if (code != MS_OK)
            return ms_pass_up(code, &err, reterr);
        ino = up[n++]->above;
    }
    struct ms_vfolder *folder = &vt->trash;
    while (n-- > 0) {
        MS_TRY(ms_vfolder_enter(vt, folder, up[n]->name, &folder, reterr));
        folder->mirror = up[n]->ino;
    }
    *ret_folder = folder;
    return MS_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

static struct ms_vfile *find_file(const struct ms_vtree *vt, uint64_t ino) {
    struct ms_vlink *link = ms_vmap_find(&vt->files, ino);
    return link ? MS_CONTAINER_OF(link, struct ms_vfile, link) : NULL;
}

static void drop_file(struct ms_vtree *vt, struct ms_vfile *file) {
    ms_vfile_leave(vt, file);
    ms_vmap_remove(&vt->files, &file->link);
    free(file);
}

/* Where it belongs now. */
static enum ms_code place(struct ms_vtree *vt, const struct ms_tree *t, struct ms_vfile *file,
                          struct ms_error *reterr) {
    struct ms_vfolder *in;
    MS_TRY(folder_of(vt, t, file->parent, &in, reterr));
    if (file->item.in == in)
        return MS_OK;
    in->files++; /* holds it: leaving may settle what is empty, this folder too */
    ms_vfile_leave(vt, file);
    in->files--;
    return ms_vfile_enter(vt, in, file, reterr);
}

static enum ms_code new_file(struct ms_vtree *vt, const struct ms_bin_record *row,
                             struct ms_vfile **ret_file, struct ms_error *reterr) {
    size_t n = strlen(row->name) + 1;
    struct ms_vfile *file = calloc(1, sizeof *file + n);
    if (!file)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a file of the recycle bin");
    file->bin.id = row->id;
    file->ino = row->ino;
    file->parent = row->parent;
    file->at = row->at;
    memcpy(file->name, row->name, n);
    enum ms_code code = ms_vmap_add(&vt->files, &file->link, file->ino, reterr);
    if (code != MS_OK)
        free(file);
    else
        *ret_file = file;
    return code;
}

/* The file of a row: the one that is known, or a new one, in no folder yet. */
static enum ms_code file_of(struct ms_vtree *vt, const struct ms_bin_record *row,
                            struct ms_vfile **ret_file, struct ms_error *reterr) {
    struct ms_vfile *file = find_file(vt, row->ino);
    if (file && ms_bin_id_equal(file->bin, (struct ms_bin_id){row->id})) {
        *ret_file = file;
        return MS_OK;
    }
    if (file) /* restored and deleted once more */
        drop_file(vt, file);
    return new_file(vt, row, ret_file, reterr);
}

/* A file that went with its folder, whose rows are not written yet: what its row will be, without id. */
static enum ms_code coming_row(const struct ms_tree *t, const struct ms_inode_record *inode,
                               struct ms_bin_record *ret_row, bool *ret_there,
                               struct ms_error *reterr) {
    struct ms_treeop_record op;
    MS_TRY(ms_treeop_of(t->txn, &t->tenant, inode->ino, &op, ret_there, reterr));
    if (!*ret_there)
        return MS_OK;
    *ret_row = (struct ms_bin_record){.asset = inode->asset, .ino = inode->ino, .at = op.at};
    return ms_change_first_place(t->txn, t->id, inode->ino, &ret_row->parent, ret_row->name, reterr);
}

static enum ms_code bin_row(const struct ms_tree *t, uint64_t ino, struct ms_bin_record *ret_row,
                            bool *ret_there, struct ms_error *reterr) {
    struct ms_inode_record inode;
    struct ms_bin_id id;
    struct ms_error err = {0};
    enum ms_code code = ms_tree_inode(t, ino, &inode, &err);
    *ret_there = false;
    if (code == MS_OK && !ms_inode_has_asset(&inode))
        return MS_OK;
    if (code == MS_OK && inode.nlink > 0)
        return coming_row(t, &inode, ret_row, ret_there, reterr);
    if (code == MS_OK)
        code = ms_row_get_id(t->txn, ms_key_binasset(t->id, (struct ms_asset_id){inode.asset}),
                             &id.id, &err);
    if (code == MS_OK)
        code = ms_row_get_bin(t->txn, ms_key_bin(t->id, id), ret_row, &err);
    if (code == MS_OK)
        *ret_there = ret_row->ino == ino;
    /* Damage is for fsck to name: the rest of the bin can be used. */
    return code == MS_NOT_FOUND || code == MS_CORRUPT ? MS_OK : ms_pass_up(code, &err, reterr);
}

/* ---- files in no folder yet ------------------------------------------------------------------ */

struct reading {
    struct ms_vtree *vt;
    struct ms_vfile **all;
    size_t n, cap;
};

static enum ms_code keep(struct reading *r, struct ms_vfile *file, struct ms_error *reterr) {
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 256;
        struct ms_vfile **more = realloc(r->all, cap * sizeof(struct ms_vfile *));
        if (!more)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory to read the recycle bin");
        r->all = more;
        r->cap = cap;
    }
    r->all[r->n++] = file;
    return MS_OK;
}

/* ---- following ------------------------------------------------------------------------------- */

struct follow {
    struct ms_vtree *vt;
    const struct ms_tree *t;
    struct reading fresh; /* to be placed when what has gone has given its names back */
    bool moved;           /* a folder may lie elsewhere, or be called otherwise */
    enum ms_code code;
    struct ms_error err;
};

static enum ms_code look_again(struct follow *f, uint64_t ino, struct ms_error *reterr) {
    struct ms_bin_record row;
    struct ms_vfile *file = find_file(f->vt, ino);
    bool there;
    MS_TRY(bin_row(f->t, ino, &row, &there, reterr));
    if (!there) {
        if (file)
            drop_file(f->vt, file);
        return MS_OK;
    }
    if (file && ms_bin_id_is_none(file->bin) && file->parent == row.parent &&
        strcmp(file->name, row.name) == 0)
        file->bin.id = row.id; /* its rows are written now */
    if (file && ms_bin_id_equal(file->bin, (struct ms_bin_id){row.id}))
        return MS_OK;
    MS_TRY(file_of(f->vt, &row, &file, reterr));
    return keep(&f->fresh, file, reterr);
}

static void hear(void *priv, struct ms_view change) {
    struct follow *f = priv;
    struct ms_feed_row row;
    if (f->code == MS_OK)
        f->code = ms_feed_decode(change, &row, &f->err);
    if (f->code != MS_OK || !ms_tenant_id_equal(row.tenant, f->vt->tenant))
        return;
    if (row.kind != MS_FEED_INODE && row.kind != MS_FEED_CONTENT && row.kind != MS_FEED_FREEZE)
        return;
    f->moved |= ms_vmap_find(&f->vt->parents, row.ino) != NULL;
    f->code = look_again(f, row.ino, &f->err);
}

static void place_each(void *priv, struct ms_vlink *link) {
    struct follow *f = priv;
    if (f->code == MS_OK)
        f->code = place(f->vt, f->t, MS_CONTAINER_OF(link, struct ms_vfile, link), &f->err);
}

static void place_fresh(struct follow *f) {
    if (f->moved)
        ms_vmap_each(&f->vt->parents, drop_parent, f->vt);
    for (size_t i = 0; i < f->fresh.n && f->code == MS_OK; i++)
        f->code = place(f->vt, f->t, f->fresh.all[i], &f->err);
    if (f->moved)
        ms_vmap_each(&f->vt->files, place_each, f);
}

static enum ms_code follow_feed(struct ms_vtree *vt, const struct ms_tree *t, bool *ret_lost,
                                struct ms_error *reterr) {
    struct follow f = {.vt = vt, .t = t};
    enum ms_code code = ms_txn_feed_read(t->txn, &vt->at, hear, &f, ret_lost, reterr);
    if (code == MS_OK && f.code == MS_OK)
        place_fresh(&f);
    free(f.fresh.all);
    if (code == MS_OK && f.code != MS_OK)
        code = ms_pass_up(f.code, &f.err, reterr);
    if (code != MS_OK)
        vt->at = 0;
    return code;
}

/* ---- reading all of it ----------------------------------------------------------------------- */

static enum ms_code each_row(void *priv, struct ms_txn *txn, struct ms_view key,
                             struct ms_view value, struct ms_error *reterr) {
    struct reading *r = priv;
    struct ms_bin_record row;
    struct ms_vfile *file;
    (void)txn, (void)key;
    if (ms_bin_decode(value, &row, NULL) != MS_OK || row.ino == 0) /* 0: it was never in the tree */
        return MS_OK;
    MS_TRY(file_of(r->vt, &row, &file, reterr));
    if (file->round == r->vt->round)
        return MS_OK;
    file->round = r->vt->round;
    return keep(r, file, reterr);
}

static void skip_row(void *priv, struct ms_view key, const struct ms_error *err) {
    (void)priv, (void)key, (void)err;
}

/* The older one has the plain name. */
static int by_age(const void *a, const void *b) {
    const struct ms_vfile *const *x = a, *const *y = b;
    if ((*x)->at.ms != (*y)->at.ms)
        return (*x)->at.ms < (*y)->at.ms ? -1 : 1;
    return memcmp(&(*x)->bin, &(*y)->bin, sizeof(*x)->bin);
}

static void drop_unread(void *priv, struct ms_vlink *link) {
    struct ms_vtree *vt = priv;
    struct ms_vfile *file = MS_CONTAINER_OF(link, struct ms_vfile, link);
    if (file->round != vt->round)
        drop_file(vt, file);
}

static enum ms_code place_all(struct ms_vtree *vt, const struct ms_ctx *ctx,
                              const struct reading *r, struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    for (size_t i = 0; i < r->n && code == MS_OK;) {
        struct ms_tree t;
        MS_TRY(ms_tree_read(&t, vt->svc, ctx, reterr));
        for (size_t end = i + PLACED_A_READ; i < end && i < r->n && code == MS_OK; i++)
            code = place(vt, &t, r->all[i], reterr);
        ms_tree_read_end(&t);
    }
    return code;
}

/* ---- folders on their way -------------------------------------------------------------------- */

/* A folder whose names are read, and behind which of them to go on. */
struct level {
    uint64_t dir, after;
};
struct descent {
    struct ms_vtree *vt;
    const struct ms_treeop_record *op;
    struct level level[MS_DEPTH_MAX + 1];
    size_t depth;
    unsigned left; /* names in this read */
};

/* With one name, this is it. */
static enum ms_code row_of_name(const struct descent *d, const struct ms_tree *t, uint64_t dir,
                                const struct ms_name_record *name,
                                const struct ms_inode_record *inode, struct ms_bin_record *ret_row,
                                bool *ret_there, struct ms_error *reterr) {
    if (inode->nlink != 1 || !ms_inode_has_asset(inode))
        return bin_row(t, inode->ino, ret_row, ret_there, reterr);
    *ret_there = true;
    *ret_row = (struct ms_bin_record){
        .asset = inode->asset, .ino = inode->ino, .at = d->op->at, .parent = dir};
    (void)snprintf(ret_row->name, sizeof ret_row->name, "%s", name->spelling);
    return MS_OK;
}

static enum ms_code see_name(struct descent *d, const struct ms_tree *t, uint64_t dir,
                             const struct ms_name_record *name, struct ms_error *reterr) {
    struct ms_inode_record inode;
    struct ms_bin_record row;
    struct ms_vfile *file;
    bool there;
    if (S_ISDIR(name->mode) && d->depth < MS_ARRAY_LEN(d->level)) {
        d->level[d->depth++] = (struct level){.dir = name->ino};
        return MS_OK;
    }
    if (find_file(d->vt, name->ino))
        return MS_OK;
    MS_TRY(ms_tree_inode(t, name->ino, &inode, reterr));
    MS_TRY(row_of_name(d, t, dir, name, &inode, &row, &there, reterr));
    if (!there)
        return MS_OK;
    MS_TRY(new_file(d->vt, &row, &file, reterr));
    file->round = d->vt->round;
    return place(d->vt, t, file, reterr);
}

/* The names of the deepest folder, until one is a folder itself. */
static enum ms_code see_some(struct descent *d, const struct ms_tree *t, struct ms_error *reterr) {
    struct level *l = &d->level[d->depth - 1];
    struct ms_key from = ms_key_entry(t->id, l->dir, l->after + 1);
    struct ms_key to = ms_key_entries_of(t->id, l->dir + 1);
    struct ms_entry_record entry;
    struct ms_name_record name;
    struct ms_scan scan;
    struct ms_view key;
    size_t depth = d->depth;
    enum ms_code code = MS_OK;
    ms_scan_begin(&scan, t->txn, ms_key_view(&from), ms_key_view(&to));
    while (d->left > 0 && d->depth == depth) {
        if ((code = ms_row_next_entry(&scan, &key, &entry, reterr)) != MS_OK)
            break;
        d->left--;
        code = ms_row_get_name(t->txn, ms_key_name(t->id, l->dir, entry.nfc), &name, reterr);
        if (code == MS_OK) {
            l->after = name.seq;
            code = see_name(d, t, l->dir, &name, reterr);
        }
        if (code != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    if (code != MS_NOT_FOUND)
        return code;
    d->depth--;
    return ms_absent_is_fine(code, reterr);
}

/* What is settled meanwhile is followed through the feed. */
static enum ms_code see_folder(struct ms_vtree *vt, const struct ms_ctx *ctx,
                               const struct ms_treeop_record *op, struct ms_error *reterr) {
    struct descent *d = calloc(1, sizeof *d); /* too large for a stack */
    enum ms_code code = MS_OK;
    if (!d)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to read a folder of the recycle bin");
    d->vt = vt;
    d->depth = 1;
    d->op = op;
    d->level[0].dir = op->ino;
    while (d->depth > 0 && code == MS_OK) {
        struct ms_tree t;
        if ((code = ms_tree_read(&t, vt->svc, ctx, reterr)) != MS_OK)
            break;
        for (d->left = PLACED_A_READ; d->left > 0 && d->depth > 0 && code == MS_OK;)
            code = see_some(d, &t, reterr);
        ms_tree_read_end(&t);
    }
    free(d);
    return code;
}

static bool is_known(const struct ms_vtree *vt, const struct ms_treeop_record *op) {
    bool known = op->kind != MS_TREEOP_BIN;
    for (size_t i = 0; i < vt->ops_n && !known; i++)
        known = memcmp(&vt->ops[i], &op->id, sizeof op->id) == 0;
    return known;
}

/* The oldest operation whose files are not known: the older file has the plain name. */
static enum ms_code next_op(const struct ms_vtree *vt, const struct ms_tree *t,
                            struct ms_treeop_record *ret_op, bool *ret_there,
                            struct ms_error *reterr) {
    struct ms_key prefix = ms_key_treeops_of(t->id);
    struct ms_treeop_record op;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    *ret_there = false;
    if (t->tenant.treeops == 0)
        return MS_OK;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_row_next_treeop(&scan, &key, &op, reterr)) == MS_OK) {
        if (is_known(vt, &op) || (*ret_there && op.at.ms >= ret_op->at.ms))
            continue;
        *ret_op = op;
        *ret_there = true;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code remember_op(struct ms_vtree *vt, const struct ms_treeop_record *op,
                                struct ms_error *reterr) {
    struct ms_id *more = realloc(vt->ops, (vt->ops_n + 1) * sizeof *more);
    if (!more)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a folder of the recycle bin");
    vt->ops = more;
    vt->ops[vt->ops_n++] = op->id;
    return MS_OK;
}

/* Every folder on its way that was not read yet. *ret_any: there was one. */
static enum ms_code read_ops(struct ms_vtree *vt, const struct ms_ctx *ctx, bool *ret_any,
                             struct ms_error *reterr) {
    *ret_any = false;
    for (;;) {
        struct ms_treeop_record op;
        struct ms_tree t;
        bool there;
        MS_TRY(ms_tree_read(&t, vt->svc, ctx, reterr));
        if (t.tenant.treeops == 0)
            vt->ops_n = 0;
        enum ms_code code = next_op(vt, &t, &op, &there, reterr);
        ms_tree_read_end(&t);
        if (code != MS_OK || !there)
            return code;
        *ret_any = true;
        MS_TRY(see_folder(vt, ctx, &op, reterr));
        MS_TRY(remember_op(vt, &op, reterr));
    }
}

/* ---- reading ------------------------------------------------------------------------------------- */

static enum ms_code read_all(struct ms_vtree *vt, const struct ms_ctx *ctx,
                             struct ms_error *reterr) {
    struct reading r = {.vt = vt};
    bool any;
    struct ms_walk walk = {
        .prefix = ms_key_bins_of(vt->tenant), .each = each_row, .priv = &r, .damaged = skip_row};
    vt->round++;
    vt->ops_n = 0;
    ms_vmap_each(&vt->parents, drop_parent, vt);
    struct ms_error err = {0};
    enum ms_code code = ms_pass_up(ms_walk_all(vt->svc, &walk, &err), &err, reterr);
    if (code == MS_OK) {
        ms_vmap_each(&vt->files, drop_unread, vt);
        if (r.n > 0)
            qsort(r.all, r.n, sizeof(struct ms_vfile *), by_age);
        code = place_all(vt, ctx, &r, reterr);
    }
    if (code == MS_OK)
        code = read_ops(vt, ctx, &any, reterr);
    free(r.all);
    if (code != MS_OK)
        vt->at = 0;
    return code;
}

/* One attempt. *ret_again: it was read anew, and what came meanwhile is to be followed. */
static enum ms_code read_once(struct ms_vtree *vt, const struct ms_ctx *ctx, struct ms_tree *t,
                              bool *ret_again, struct ms_error *reterr) {
    bool lost = false;
    *ret_again = false;
    MS_TRY(ms_tree_read(t, vt->svc, ctx, reterr));
    enum ms_code code = follow_feed(vt, t, &lost, reterr);
    struct ms_treeop_record op;
    bool coming = false;
    if (code == MS_OK && !lost)
        code = next_op(vt, t, &op, &coming, reterr);
    *ret_again = lost || coming || code == MS_CORRUPT || code == MS_STALE;
    if (code == MS_OK && !lost && !coming)
        return MS_OK;
    ms_tree_read_end(t);
    if (lost)
        return read_all(vt, ctx, reterr);
    return coming && code == MS_OK ? read_ops(vt, ctx, &coming, reterr) : code;
}

#define READ_TRIES 3

enum ms_code ms_vbin_read(struct ms_vtree *vt, const struct ms_ctx *ctx, struct ms_tree *ret_tree,
                          struct ms_error *reterr) {
    bool again = true;
    struct ms_error err = {0};
    enum ms_code code = MS_OK;
    for (int i = 0; again && i < READ_TRIES; i++)
        code = read_once(vt, ctx, ret_tree, &again, &err);
    if (code != MS_OK || !again)
        return ms_pass_up(code, &err, reterr);
    /* The feed runs away faster than the bin can be read: what was read a moment ago has to do. */
    vt->at = 0;
    return ms_tree_read(ret_tree, vt->svc, ctx, reterr);
}

static void free_file(void *priv, struct ms_vlink *link) {
    drop_file(priv, MS_CONTAINER_OF(link, struct ms_vfile, link));
}

static void free_node(void *priv, struct ms_vlink *link) {
    struct ms_vtree *vt = priv;
    struct ms_vnode *node = MS_CONTAINER_OF(link, struct ms_vnode, link);
    if (node->kind < MS_V_FIXED)
        return;
    ms_vmap_remove(&vt->numbers, link);
    if (node->kind != MS_V_FOLDER) {
        free(node);
        return;
    }
    struct ms_vfolder *folder = ms_vfolder_of(node);
    ms_vmap_remove(&vt->names, &folder->item.link);
    free(folder->item.shown);
    free(folder->item.nfc);
    free(folder->slot);
    free(folder);
}

void ms_vbin_fini(struct ms_vtree *vt) {
    ms_vmap_each(&vt->files, free_file, vt);
    ms_vmap_each(&vt->parents, drop_parent, vt);
    ms_vmap_each(&vt->numbers, free_node, vt);
    free(vt->trash.slot);
    free(vt->ops);
    ms_vmap_fini(&vt->files);
    ms_vmap_fini(&vt->names);
    ms_vmap_fini(&vt->parents);
    ms_vmap_fini(&vt->numbers);
}
