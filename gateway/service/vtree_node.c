/* What .msasset/ holds: names, numbers and attributes. Nothing of it is kept. */
#include "service/vtree_part.h"

#include "content/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FIRST_SEQ 3u
#define FILES_MAX 4096u /* of one category of one asset */

static const char *const fixed_names[MS_V_FIXED] = {
    [MS_V_TRASH] = MS_TRASH_NAME,    [MS_V_OURS] = MS_OURS_NAME, [MS_V_USAGE] = "usage.json",
    [MS_V_PENDING] = "pending.json", [MS_V_STATS] = "stats",     [MS_V_ASSETS] = "assets",
};
#define ASSET_JSON "asset.json"

/* ---- numbers --------------------------------------------------------------------------------- */

static bool is_same(const struct ms_vnode *a, const struct ms_vnode *b) {
    return a->kind == b->kind && a->category == b->category &&
           ms_asset_id_equal(a->asset, b->asset) && ms_file_id_equal(a->file, b->file);
}

/* The number of the node that is known, else the one that it would get. */
uint64_t ms_vnode_ino(const struct ms_vtree *vt, const struct ms_vnode *what) {
    struct {
        uint64_t kind, category;
        struct ms_asset_id asset;
        struct ms_file_id file;
    } key = {what->kind, what->category, what->asset, what->file};
    if (what->kind < MS_V_FIXED)
        return ms_vfixed_ino(what->kind);
    for (uint64_t hash = ms_block_hash(&key, sizeof key);; hash++) {
        uint64_t ino = ms_vtree_wanted(hash);
        const struct ms_vnode *taken = ms_vtree_find(vt, ino);
        if (!taken || is_same(taken, what))
            return ino;
    }
}

uint64_t ms_vnode_parent(const struct ms_vtree *vt, const struct ms_vnode *what) {
    struct ms_vnode above = {.kind = MS_V_ASSETS, .asset = what->asset};
    switch (what->kind) {
    case MS_V_TRASH:
    case MS_V_OURS:
        return vt->root_ino;
    case MS_V_ASSET_JSON:
    case MS_V_CATEGORY:
        above.kind = MS_V_ASSET;
        break;
    case MS_V_FILE:
        above.kind = MS_V_CATEGORY;
        above.category = what->category;
        break;
    case MS_V_USAGE:
    case MS_V_PENDING:
    case MS_V_STATS:
    case MS_V_ASSETS:
        above.kind = MS_V_OURS;
        break;
    case MS_V_ASSET:
    case MS_V_FOLDER:
    default:
        break;
    }
    return ms_vnode_ino(vt, &above);
}

/* ---- an asset and its files ------------------------------------------------------------------ */

static enum ms_code no_such(const char *name, struct ms_error *reterr) {
    return ms_fail(reterr, MS_NOT_FOUND, "there is no \"%.255s\" in this folder", name);
}

static enum ms_code asset_of(const struct ms_tree *t, struct ms_asset_id id,
                             struct ms_tree_asset *ret_asset, struct ms_error *reterr) {
    const struct ms_inode_record inode = {.asset = id.id};
    struct ms_key key = ms_key_asset(t->id, id);
    bool gone;
    ret_asset->life.rest = MS_STATE_DELETED;
    if (ms_txn_has(t->txn, ms_key_view(&key)))
        MS_TRY(ms_tree_asset(t, &inode, ret_asset, &gone, reterr));
    if (ret_asset->life.rest == MS_STATE_DELETED)
        return ms_fail(reterr, MS_NOT_FOUND, "there is no asset %s", ms_id_text(id.id).s);
    return MS_OK;
}

/* A file row under the name that it has in its category's folder. */
struct shown_file {
    struct ms_file_id id;
    uint8_t category;
    bool is_main;
    uint64_t size;
    struct ms_instant declared;
    char name[MS_NAME_BYTES_MAX + 1];
};
struct files {
    struct shown_file *all;
    size_t n, cap;
};
static void files_fini(struct files *files) { free(files->all); }

static bool name_is_taken(const struct files *files, const char *name, uint8_t category) {
    for (size_t i = 0; i < files->n; i++)
        if (files->all[i].category == category && strcmp(files->all[i].name, name) == 0)
            return true;
    return false;
}

static enum ms_code add_file(struct files *files, const struct ms_file_record *row, bool is_main,
                             struct ms_error *reterr) {
    if (files->n == files->cap) {
        size_t cap = files->cap ? files->cap * 2 : 4;
        struct shown_file *more = realloc(files->all, cap * sizeof *more);
        if (!more)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for the files of an asset");
        files->all = more;
        files->cap = cap;
    }
    struct shown_file f = {.id = {row->id},
                           .category = row->category,
                           .is_main = is_main,
                           .size = row->size,
                           .declared = row->declared};
    char plain[MS_NAME_BYTES_MAX + 1];
    ms_name_from_text(row->name, plain);
    memcpy(f.name, plain, sizeof f.name);
    for (unsigned k = 2; name_is_taken(files, f.name, f.category); k++)
        ms_name_numbered(plain, k, f.name);
    files->all[files->n++] = f;
    return MS_OK;
}

/* Those that have bytes, or may have some any moment, in the order of their ids. */
static enum ms_code files_of(const struct ms_tree *t, const struct ms_asset_record *asset,
                             struct files *files, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_files_of(t->id, (struct ms_asset_id){asset->id});
    struct ms_scan scan;
    struct ms_view key;
    struct ms_file_record row;
    enum ms_code code = MS_OK;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while (files->n < FILES_MAX && (code = ms_row_next_file(&scan, &key, &row, reterr)) == MS_OK) {
        bool is_main = memcmp(row.id.b, asset->main_file.b, MS_ID_BYTES) == 0;
        bool has_version = !ms_version_id_is_none((struct ms_version_id){row.version});
        if (has_version || (is_main && asset->ino != 0))
            code = add_file(files, &row, is_main, reterr);
        if (code != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static const struct shown_file *find_file(const struct files *files, struct ms_file_id id) {
    for (size_t i = 0; i < files->n; i++)
        if (ms_file_id_equal(files->all[i].id, id))
            return &files->all[i];
    return NULL;
}

/* ---- attributes ------------------------------------------------------------------------------ */

static void set_times(struct ms_inode_record *inode, struct ms_instant at) {
    inode->atime_s = inode->mtime_s = inode->ctime_s = inode->btime_s = at.ms / 1000;
    inode->atime_ns = inode->mtime_ns = inode->ctime_ns = inode->btime_ns =
        (uint32_t)(at.ms % 1000) * 1000000u;
}

/* assets/ leads past the permissions of the folders that assets lie in, so it is its owner's. */
static uint32_t mode_of(enum ms_vkind kind) {
    switch (kind) {
    case MS_V_OURS:
    case MS_V_ASSET:
    case MS_V_CATEGORY:
        return S_IFDIR | 0555;
    case MS_V_ASSETS:
        return S_IFDIR | 0500;
    case MS_V_USAGE:
    case MS_V_PENDING:
    case MS_V_STATS:
    case MS_V_ASSET_JSON:
    case MS_V_FILE:
        return S_IFREG | 0444;
    case MS_V_TRASH:
    case MS_V_FOLDER:
    default:
        MS_ASSERT(!"a node that has its attributes from elsewhere");
        return 0;
    }
}

static bool is_live(enum ms_vkind kind) {
    return kind == MS_V_USAGE || kind == MS_V_PENDING || kind == MS_V_STATS;
}

static void hear_nothing(void *priv, struct ms_view change) { (void)priv, (void)change; }

static enum ms_code feed_place(const struct ms_tree *t, uint64_t *ret_at, struct ms_error *reterr) {
    bool lost;
    *ret_at = 0;
    return ms_txn_feed_read(t->txn, ret_at, hear_nothing, NULL, &lost, reterr);
}

/* When somebody last changed anything, as far as has been noticed: what tells of the present has to
 * have a time, and one that moves while nothing happens would alarm tar and rsync. */
static struct ms_instant last_change(struct ms_vtree *vt, uint64_t at, struct ms_instant now) {
    pthread_mutex_lock(&vt->mutex);
    if (at > vt->noted_at || ms_instant_is_none(vt->noted)) {
        vt->noted_at = at;
        vt->noted = now;
    }
    struct ms_instant noted = vt->noted;
    pthread_mutex_unlock(&vt->mutex);
    return noted;
}

/* What the rows say beside the attributes. */
struct seen {
    uint64_t main; /* of a FILE that is a MAIN, its inode */
    uint64_t feed; /* where the feed stands */
    struct ms_instant now;
};

static enum ms_code fill_in(const struct ms_tree *t, const struct ms_vnode *what,
                            struct ms_node *ret_node, struct seen *ret_seen,
                            struct ms_error *reterr) {
    struct ms_inode_record root, inode = {.mode = mode_of(what->kind), .nlink = 1};
    struct ms_tree_asset asset;
    MS_TRY(ms_tree_inode(t, t->tenant.root_ino, &root, reterr));
    inode.uid = root.uid;
    inode.gid = root.gid;
    set_times(&inode, t->tenant.created);
    *ret_seen = (struct seen){.now = t->now};
    MS_TRY(feed_place(t, &ret_seen->feed, reterr));
    if (what->kind >= MS_V_ASSET) {
        MS_TRY(asset_of(t, what->asset, &asset, reterr));
        set_times(&inode, asset.rec.updated);
    }
    if (what->kind == MS_V_FILE) {
        MS_AUTO(files_fini) struct files files = {0};
        MS_TRY(files_of(t, &asset.rec, &files, reterr));
        const struct shown_file *f = find_file(&files, what->file);
        if (!f)
            return no_such(ms_id_text(what->file.id).s, reterr);
        inode.size = f->size;
        set_times(&inode, f->declared);
        ret_seen->main = f->is_main ? asset.rec.ino : 0;
    }
    ms_tree_fill(t, &inode, NULL, ret_node);
    return MS_OK;
}

/* A MAIN is seen as its inode shows it, but that nobody may write it. */
static enum ms_code fill_main(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t main,
                              struct ms_node *node, struct ms_error *reterr) {
    struct ms_node real;
    MS_TRY(ms_tree_node(vt->svc, ctx, main, &real, reterr));
    (void)ms_file_overlay(vt->svc, ctx, &real);
    real.inode.asset = node->inode.asset;
    real.inode.version = node->inode.version;
    real.inode.mode &= ~0222u;
    real.inode.nlink = 1;
    node->inode = real.inode;
    return MS_OK;
}

enum ms_code ms_vnode_fill(struct ms_vtree *vt, const struct ms_ctx *ctx,
                           const struct ms_vnode *what, struct ms_node *ret_node,
                           struct ms_error *reterr) {
    struct ms_tree t;
    struct ms_node node;
    struct seen seen;
    MS_TRY(ms_tree_read(&t, vt->svc, ctx, reterr));
    enum ms_code code = fill_in(&t, what, &node, &seen, reterr);
    ms_tree_read_end(&t);
    if (code == MS_OK && is_live(what->kind))
        set_times(&node.inode, last_change(vt, seen.feed, seen.now));
    if (code == MS_OK && seen.main != 0)
        code = fill_main(vt, ctx, seen.main, &node, reterr);
    if (code == MS_OK && ms_vnode_is_text(what)) {
        MS_AUTO(ms_buf_fini) struct ms_buf text = MS_BUF_MAX(MS_VTEXT_MAX);
        code = ms_vtext(vt, ctx, what, &text, reterr);
        node.inode.size = text.len;
    }
    if (code != MS_OK)
        return code;
    node.inode.ino = what->ino;
    node.inode.parent = 0;
    *ret_node = node;
    return MS_OK;
}

enum ms_code ms_vnode_inode(struct ms_vtree *vt, const struct ms_ctx *ctx,
                            const struct ms_vnode *what, uint64_t *ret_ino,
                            struct ms_error *reterr) {
    struct ms_tree t;
    struct ms_node node;
    struct seen seen;
    MS_TRY(ms_tree_read(&t, vt->svc, ctx, reterr));
    enum ms_code code = fill_in(&t, what, &node, &seen, reterr);
    ms_tree_read_end(&t);
    if (code == MS_OK && seen.main == 0)
        code = ms_fail(reterr, MS_UNSUPPORTED,
                       "only an asset's MAIN file can be read here, while it is in the tree or in "
                       "the recycle bin");
    if (code == MS_OK)
        *ret_ino = seen.main;
    return code;
}

/* ---- children -------------------------------------------------------------------------------- */

static enum ms_code child_of_asset(const struct ms_tree *t, const struct ms_vnode *dir,
                                   const char *name, struct ms_vnode *what,
                                   struct ms_error *reterr) {
    struct ms_tree_asset asset;
    MS_AUTO(files_fini) struct files files = {0};
    MS_TRY(asset_of(t, dir->asset, &asset, reterr));
    MS_TRY(files_of(t, &asset.rec, &files, reterr));
    if (dir->kind == MS_V_ASSET && strcmp(name, ASSET_JSON) == 0) {
        what->kind = MS_V_ASSET_JSON;
        return MS_OK;
    }
    for (size_t i = 0; i < files.n; i++) {
        const struct shown_file *f = &files.all[i];
        if (dir->kind == MS_V_ASSET && strcmp(name, ms_category_name(f->category)) == 0) {
            what->kind = MS_V_CATEGORY;
            what->category = f->category;
            return MS_OK;
        }
        if (dir->kind == MS_V_CATEGORY && f->category == dir->category &&
            strcmp(name, f->name) == 0) {
            what->kind = MS_V_FILE;
            what->file = f->id;
            return MS_OK;
        }
    }
    return no_such(name, reterr);
}

/* Exactly the id's own text: an asset has one name here. */
static enum ms_code child_of_assets(const struct ms_tree *t, const char *name,
                                    struct ms_vnode *what, struct ms_error *reterr) {
    struct ms_tree_asset asset;
    if (ms_id_parse(name, &what->asset.id, NULL) != MS_OK ||
        strcmp(ms_id_text(what->asset.id).s, name) != 0)
        return no_such(name, reterr);
    what->kind = MS_V_ASSET;
    return asset_of(t, what->asset, &asset, reterr);
}

static enum ms_code child_of_ours(const char *name, struct ms_vnode *what,
                                  struct ms_error *reterr) {
    for (enum ms_vkind k = MS_V_USAGE; k < MS_V_FIXED; k++)
        if (strcmp(name, fixed_names[k]) == 0) {
            what->kind = k;
            return MS_OK;
        }
    return no_such(name, reterr);
}

enum ms_code ms_vnode_child(struct ms_vtree *vt, const struct ms_ctx *ctx,
                            const struct ms_vnode *dir, const char *name, struct ms_vnode *ret_what,
                            struct ms_error *reterr) {
    struct ms_vnode what = {.asset = dir->asset, .category = dir->category};
    struct ms_tree t;
    enum ms_code code;
    if (dir->kind == MS_V_OURS)
        code = child_of_ours(name, &what, reterr);
    else {
        MS_TRY(ms_tree_read(&t, vt->svc, ctx, reterr));
        code = dir->kind == MS_V_ASSETS ? child_of_assets(&t, name, &what, reterr)
                                        : child_of_asset(&t, dir, name, &what, reterr);
        ms_tree_read_end(&t);
    }
    if (code == MS_OK)
        *ret_what = what;
    return code;
}

/* ---- listing --------------------------------------------------------------------------------- */

/* Offsets of what is sorted by ids: the first 61 bits of the id. Two random ids that share them
 * will not be met. */
static uint64_t seq_of(struct ms_id id) {
    uint64_t n = 0;
    for (unsigned i = 0; i < 8; i++)
        n = n << 8 | id.b[i];
    return (n >> 3) + FIRST_SEQ;
}

/* The last id that has this offset. */
static struct ms_id id_before(uint64_t after) {
    struct ms_id id;
    memset(&id, 0xff, sizeof id);
    uint64_t n = (after - FIRST_SEQ) << 3 | 7;
    for (unsigned i = 8; i-- > 0; n >>= 8)
        id.b[i] = (uint8_t)n;
    return id;
}

struct page {
    struct ms_vchild *children;
    uint64_t after;
    size_t max, n;
};

static bool put_child(struct page *p, const struct ms_vnode *what, uint64_t seq, const char *name) {
    if (seq <= p->after || p->n == p->max)
        return p->n < p->max;
    struct ms_vchild *c = &p->children[p->n++];
    *c = (struct ms_vchild){.what = *what, .seq = seq};
    (void)snprintf(c->name, sizeof c->name, "%s", name);
    return true;
}

static void list_ours(struct page *p) {
    for (enum ms_vkind k = MS_V_USAGE; k < MS_V_FIXED; k++)
        (void)put_child(p, &(struct ms_vnode){.kind = k}, FIRST_SEQ + (uint64_t)k, fixed_names[k]);
}

static enum ms_code list_assets(const struct ms_tree *t, struct page *p, struct ms_error *reterr) {
    struct ms_asset_id top, from_id = {{{0}}};
    struct ms_scan scan;
    struct ms_view key;
    struct ms_asset_record rec;
    enum ms_code code;
    memset(&top, 0xff, sizeof top);
    if (p->after >= FIRST_SEQ)
        from_id.id = id_before(p->after);
    struct ms_key from = ms_key_asset(t->id, from_id), to = ms_key_asset(t->id, top);
    ms_scan_begin(&scan, t->txn, ms_key_view(&from), ms_key_view(&to));
    while ((code = ms_row_next_asset(&scan, &key, &rec, reterr)) == MS_OK && p->n < p->max) {
        struct ms_vnode what = {.kind = MS_V_ASSET, .asset = {rec.id}};
        struct ms_tree_asset asset;
        enum ms_code there = asset_of(t, what.asset, &asset, NULL);
        if (there == MS_OK)
            (void)put_child(p, &what, seq_of(rec.id), ms_id_text(rec.id).s);
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code list_asset(const struct ms_tree *t, const struct ms_vnode *dir, struct page *p,
                               struct ms_error *reterr) {
    struct ms_tree_asset asset;
    MS_AUTO(files_fini) struct files files = {0};
    uint32_t categories = 0;
    MS_TRY(asset_of(t, dir->asset, &asset, reterr));
    MS_TRY(files_of(t, &asset.rec, &files, reterr));
    struct ms_vnode what = {.asset = dir->asset, .category = dir->category};
    for (size_t i = 0; i < files.n; i++)
        categories |= UINT32_C(1) << files.all[i].category;
    if (dir->kind == MS_V_ASSET) {
        what.kind = MS_V_ASSET_JSON;
        (void)put_child(p, &what, FIRST_SEQ, ASSET_JSON);
        what.kind = MS_V_CATEGORY;
        for (what.category = 0; what.category < MS_CATEGORY_COUNT; what.category++)
            if (categories >> what.category & 1)
                (void)put_child(p, &what, FIRST_SEQ + 1 + (uint64_t)what.category,
                                ms_category_name(what.category));
        return MS_OK;
    }
    what.kind = MS_V_FILE;
    for (size_t i = 0; i < files.n; i++) {
        const struct shown_file *f = &files.all[i];
        what.file = f->id;
        if (f->category == dir->category && !put_child(p, &what, seq_of(f->id.id), f->name))
            break;
    }
    return MS_OK;
}

enum ms_code ms_vnode_children(struct ms_vtree *vt, const struct ms_ctx *ctx,
                               const struct ms_vnode *dir, uint64_t after,
                               struct ms_vchild *ret_children, size_t max, size_t *ret_n,
                               struct ms_error *reterr) {
    struct page p = {ret_children, after, max, 0};
    struct ms_tree t;
    enum ms_code code = MS_OK;
    if (dir->kind == MS_V_OURS)
        list_ours(&p);
    else {
        MS_TRY(ms_tree_read(&t, vt->svc, ctx, reterr));
        code = dir->kind == MS_V_ASSETS ? list_assets(&t, &p, reterr)
                                        : list_asset(&t, dir, &p, reterr);
        ms_tree_read_end(&t);
    }
    if (code == MS_OK)
        *ret_n = p.n;
    return code;
}
