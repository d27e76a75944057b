/* vtree_part.h — what the files of vtree.h share. Not for anybody else.
 *
 * A struct ms_vtree keeps two things under its lock: the nodes whose numbers the kernel knows, and
 * the recycle bin as folders and files. Of .msasset/ nothing is kept but those nodes: it is read
 * anew each time.
 *
 * Invariants: V1 a file of the bin is in exactly one folder, under a name that is nobody else's in
 * it; V2 a folder's `files` is the number of files anywhere below it; V3 a folder lives while it
 * has files, subfolders or lookups; V4 numbers are unique among the nodes that are known.
 */
#ifndef MS_SERVICE_VTREE_PART_H
#define MS_SERVICE_VTREE_PART_H

#include "service/file.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"
#include "service/vtree.h"

#include <pthread.h>

/* ---- maps (vtree_map.c) ---------------------------------------------------------------------- */

/* An intrusive hash map: entries of equal hash follow each other, who looks one up compares. */
struct ms_vlink {
    struct ms_vlink *next;
    uint64_t hash;
};
struct ms_vmap {
    struct ms_vlink **bucket;
    size_t buckets, n;
};
void ms_vmap_fini(struct ms_vmap *map); /* not the entries */
/* Errors: MS_NO_MEMORY, only while the map is empty. */
MS_NODISCARD enum ms_code ms_vmap_add(struct ms_vmap *map, struct ms_vlink *link, uint64_t hash,
                                      struct ms_error *reterr);
void ms_vmap_remove(struct ms_vmap *map, struct ms_vlink *link);
struct ms_vlink *ms_vmap_find(const struct ms_vmap *map, uint64_t hash);
struct ms_vlink *ms_vmap_find_next(const struct ms_vlink *link);
/* fn may take the entry that it is given out of the map, and free it; it must add none. */
void ms_vmap_each(struct ms_vmap *map, void (*fn)(void *priv, struct ms_vlink *link), void *priv);

/* ---- nodes ----------------------------------------------------------------------------------- */

enum ms_vkind {
    MS_V_TRASH,
    MS_V_OURS,
    MS_V_USAGE,
    MS_V_PENDING,
    MS_V_STATS,
    MS_V_ASSETS,
    MS_V_FIXED, /* so many have a number of their own; below: */
    MS_V_FOLDER = MS_V_FIXED,
    MS_V_ASSET,
    MS_V_ASSET_JSON,
    MS_V_CATEGORY,
    MS_V_FILE,
};

/* What a number stands for. */
struct ms_vnode {
    struct ms_vlink link; /* of `numbers` */
    uint64_t ino;
    uint64_t lookups;
    enum ms_vkind kind;
    struct ms_asset_id asset; /* ASSET and below */
    enum ms_category category;
    struct ms_file_id file;
};
static inline bool ms_vnode_is_trash(const struct ms_vnode *node) {
    return node->kind == MS_V_TRASH || node->kind == MS_V_FOLDER;
}
static inline bool ms_vnode_is_text(const struct ms_vnode *node) {
    return node->kind == MS_V_USAGE || node->kind == MS_V_PENDING || node->kind == MS_V_STATS ||
           node->kind == MS_V_ASSET_JSON;
}
static inline uint64_t ms_vfixed_ino(enum ms_vkind kind) { return MS_VTREE_BIT | (kind + 1u); }

/* ---- the bin as folders (vtree_names.c) ------------------------------------------------------ */

struct ms_vfolder;
/* A name in a folder of .trash/. */
struct ms_vitem {
    struct ms_vlink link; /* of `names` */
    struct ms_vfolder *in;
    uint64_t seq; /* readdir offset */
    bool is_folder;
    unsigned doubles; /* the last number given to a file that wanted this name */
    char *shown, *nfc;
};
struct ms_vfile {
    struct ms_vitem item;
    struct ms_vlink link; /* of `files` */
    struct ms_bin_id bin; /* none: its row is not written yet */
    uint64_t ino, parent;
    struct ms_instant at;
    uint64_t round; /* of the last whole reading that had it */
    char name[];    /* where it was */
};
struct ms_vslot {
    uint64_t seq;
    struct ms_vitem *item; /* NULL: left */
};
struct ms_vfolder {
    struct ms_vnode node;
    struct ms_vitem item;
    uint64_t mirror; /* a folder of the tree, or one that was removed, whose place this is */
    uint64_t files, next_seq;
    bool removed; /* by rmdir: not to be named before it has files again */
    struct ms_vslot *slot;
    size_t slots, cap, holes;
};

struct ms_vtree {
    struct ms_svc *svc;
    struct ms_tenant_id tenant;
    uint64_t root_ino;
    pthread_mutex_t mutex; /* over everything below */
    struct ms_vmap numbers;
    struct ms_vnode fixed[MS_V_FIXED]; /* but TRASH, which is the folder below */
    struct ms_vfolder trash;
    struct ms_vmap files;   /* of the bin, by inode number */
    struct ms_vmap names;   /* by folder and NFC name */
    struct ms_vmap parents; /* names of folders of the tree, by inode number: a cache */
    struct ms_id *ops;      /* folders on their way into the bin (treeop.h) whose files are known */
    size_t ops_n;
    uint64_t at;            /* in the feed; 0: not read */
    uint64_t round;
    uint64_t noted_at;       /* where the feed was when a text was looked at last, */
    struct ms_instant noted; /* and when it was first seen there */
};

/* A number for something with this hash: the wanted one, or the next that is free. */
uint64_t ms_vtree_wanted(uint64_t hash);
uint64_t ms_vtree_number(const struct ms_vtree *vt, uint64_t hash);
struct ms_vnode *ms_vtree_find(const struct ms_vtree *vt, uint64_t ino);
static inline struct ms_vfolder *ms_vfolder_of(struct ms_vnode *node) {
    return MS_CONTAINER_OF(node, struct ms_vfolder, node);
}

struct ms_vitem *ms_vitem_find(const struct ms_vtree *vt, const struct ms_vfolder *in,
                               const char *nfc);
/* Give the file a free name in the folder. It must be in none. */
MS_NODISCARD enum ms_code ms_vfile_enter(struct ms_vtree *vt, struct ms_vfolder *in,
                                         struct ms_vfile *file, struct ms_error *reterr);
/* Folders without files that nobody remembers go too. */
void ms_vfile_leave(struct ms_vtree *vt, struct ms_vfile *file);
/* The folder of that name, made when it is missing; a file of that name gives way. */
MS_NODISCARD enum ms_code ms_vfolder_enter(struct ms_vtree *vt, struct ms_vfolder *in,
                                           const char *name, struct ms_vfolder **ret_folder,
                                           struct ms_error *reterr);
/* It and those above it go when nothing keeps them. */
void ms_vfolder_settle(struct ms_vtree *vt, struct ms_vfolder *folder);
/* The first name behind a readdir offset. */
struct ms_vitem *ms_vfolder_behind(const struct ms_vfolder *folder, uint64_t after);
static inline bool ms_vfolder_is_named(const struct ms_vfolder *f) {
    return f->files > 0 || (f->node.lookups > 0 && !f->removed);
}

/* ---- reading the bin (vtree_bin.c) ----------------------------------------------------------- */

/* Begin a read in which the folders are what the bin is; ms_tree_read_end() ends it. Needs the
 * lock.
 */
MS_NODISCARD enum ms_code ms_vbin_read(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                       struct ms_tree *ret_tree, struct ms_error *reterr);
void ms_vbin_fini(struct ms_vtree *vt);

/* ---- looking into it (vtree_trash.c) --------------------------------------------------------- */

/* All need the lock and a read that ms_vbin_read() began. */

/* Errors: MS_NOT_FOUND time has deleted it. */
MS_NODISCARD enum ms_code ms_vfile_node(const struct ms_tree *t, const struct ms_vfile *file,
                                        struct ms_node *ret_node, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_vfolder_node(const struct ms_tree *t, const struct ms_vfolder *folder,
                                          struct ms_node *ret_node, struct ms_error *reterr);
/* "/a/b" behind what is there, as it is shown; nothing for .trash/ itself. */
MS_NODISCARD enum ms_code ms_vfolder_path(const struct ms_vfolder *folder, struct ms_buf *ret_path,
                                          struct ms_error *reterr);
/* Whether any of its files is there still, at the read's now. */
MS_NODISCARD enum ms_code ms_vfolder_shows(const struct ms_vtree *vt, const struct ms_tree *t,
                                           const struct ms_vfolder *folder, bool *ret_shows,
                                           struct ms_error *reterr);
/* Errors: MS_NOT_FOUND. */
MS_NODISCARD enum ms_code ms_vtrash_find(const struct ms_vtree *vt, const struct ms_vfolder *in,
                                         const char *name, struct ms_vitem **ret_item,
                                         struct ms_error *reterr);
/* One lookup of a folder is counted. */
MS_NODISCARD enum ms_code ms_vtrash_lookup(const struct ms_vtree *vt, const struct ms_tree *t,
                                           const struct ms_vfolder *in, const char *name,
                                           struct ms_node *ret_node, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_vtrash_list(const struct ms_tree *t, const struct ms_vfolder *in,
                                         uint64_t after, bool counted, struct ms_node *ret_nodes,
                                         size_t max, size_t *ret_n, struct ms_error *reterr);

/* ---- changes (vtree_change.c, vtree_folder.c) -------------------------------------------------
 */

/* A file of the bin as the lock showed it, to be found again in a commit. */
struct ms_ventry {
    uint64_t ino;
    struct ms_bin_id bin; /* none: its row is not written yet */
    const char *name;     /* for messages */
};
/* Errors: MS_NOT_FOUND it was restored or has gone meanwhile. */
MS_NODISCARD enum ms_code ms_ventry_load(const struct ms_tree *t, const struct ms_ventry *entry,
                                         struct ms_inode_record *ret_inode,
                                         struct ms_tree_asset *ret_asset,
                                         struct ms_bin_record *ret_bin, struct ms_error *reterr);
bool ms_vname_is_open(struct ms_vtree *vt, const struct ms_ctx *ctx, uint64_t dir,
                      const char *name);
void ms_vname_gone(struct ms_vtree *vt, const struct ms_ctx *ctx, const struct ms_gone *gone);
/* moved->done counts. folder: a number of .trash/; node: of a folder of the tree. */
MS_NODISCARD enum ms_code ms_vfolder_restore(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                             const struct ms_rename *rename, uint64_t folder,
                                             struct ms_vmoved *moved, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_vname_delete(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                          uint64_t parent, const char *name,
                                          struct ms_vmoved *moved, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_vfolder_bin(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                         uint64_t parent, const struct ms_node *node,
                                         const char *name, struct ms_vmoved *moved,
                                         struct ms_error *reterr);

/* ---- .msasset (vtree_node.c, vtree_text.c) --------------------------------------------------- */

/* Attributes of what is not in .trash/. Errors: MS_NOT_FOUND, also for what never was. Opens reads
 * of its own. */
MS_NODISCARD enum ms_code ms_vnode_fill(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                        const struct ms_vnode *what, struct ms_node *ret_node,
                                        struct ms_error *reterr);
/* What the name is in a folder of .msasset/; ret_what has neither number nor lookups. */
MS_NODISCARD enum ms_code ms_vnode_child(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                         const struct ms_vnode *dir, const char *name,
                                         struct ms_vnode *ret_what, struct ms_error *reterr);
/* Children behind `after`: what they are, names and offsets; no attributes. */
struct ms_vchild {
    struct ms_vnode what;
    uint64_t seq;
    char name[MS_NAME_BYTES_MAX + 1];
};
MS_NODISCARD enum ms_code ms_vnode_children(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                            const struct ms_vnode *dir, uint64_t after,
                                            struct ms_vchild *ret_children, size_t max,
                                            size_t *ret_n, struct ms_error *reterr);
/* The number of what is above it. */
uint64_t ms_vnode_parent(const struct ms_vtree *vt, const struct ms_vnode *what);
/* The number that it has, or would get. */
uint64_t ms_vnode_ino(const struct ms_vtree *vt, const struct ms_vnode *what);
/* The inode behind a FILE. Errors: MS_UNSUPPORTED a file that is not the MAIN. */
MS_NODISCARD enum ms_code ms_vnode_inode(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                         const struct ms_vnode *what, uint64_t *ret_ino,
                                         struct ms_error *reterr);

#define MS_VTEXT_MAX ((size_t)64 << 20)
MS_NODISCARD enum ms_code ms_vtext(struct ms_vtree *vt, const struct ms_ctx *ctx,
                                   const struct ms_vnode *what, struct ms_buf *buf,
                                   struct ms_error *reterr);

#endif
