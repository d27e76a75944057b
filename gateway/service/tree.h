/* tree.h — a tenant's directory tree as service calls: the rules of POSIX and of product.md
 * section 6.
 *
 * Every function is one read or one durable commit and never waits for the object store. Names are
 * checked by model/names.h; two spellings that are equal under NFC are one name. Permission bits
 * are the kernel's business (default_permissions) and the caller's; what is decided here is the
 * life cycle, special folders and POSIX form.
 *
 * Invariants: T1 a name row, its entry row and its link row exist together; T2 nlink equals link
 * rows, for a folder 2 + subdirs and one link row; T3 every inode but the root, orphans, what lies
 * in the bin and removed folders that the bin still remembers has a name; T4 seq counts up per
 * folder and is never used for another name; T5 no folder contains itself, depth is at most
 * MS_DEPTH_MAX. service/tree_check.h checks them.
 *
 * A file renamed over another takes over its entry (and seq), so a listing in progress never misses
 * the name.
 */
#ifndef MS_SERVICE_TREE_H
#define MS_SERVICE_TREE_H

#include "lifecycle/lifecycle.h"
#include "model/asset_type.h"
#include "model/record.h"
#include "service/ctx.h"
#include "service/service.h"

/* Names in the root that are the mount's own folders (service/vtree.h): nothing else can have
 * them. */
#define MS_TRASH_NAME ".trash"
#define MS_OURS_NAME ".msasset"

/* An inode with what the life cycle says about it, at the request's instant. */
struct ms_node {
    struct ms_inode_record inode;
    bool has_asset;
    enum ms_state state; /* shown */
    uint32_t rights;     /* enum ms_right bits; all of them for what is no asset */
    enum ms_asset_type type;
    bool tenant_frozen;
    char spelling[MS_NAME_BYTES_MAX + 1]; /* lookup, make: the stored spelling; else "" */
    uint64_t seq;                         /* list: readdir offset of this entry */
};

MS_NODISCARD enum ms_code ms_tree_node(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                                       struct ms_node *ret_node, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_tree_lookup(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         uint64_t parent, const char *name,
                                         struct ms_node *ret_node, struct ms_error *reterr);
/* "/videos/a.mp4" or "videos/a.mp4"; "/" is the root. Symbolic links are not followed. */
MS_NODISCARD enum ms_code ms_tree_walk(struct ms_svc *svc, const struct ms_ctx *ctx,
                                       const char *path, struct ms_node *ret_node,
                                       struct ms_error *reterr);
/* The folder that holds the last component, and that component. */
MS_NODISCARD enum ms_code ms_tree_walk_parent(struct ms_svc *svc, const struct ms_ctx *ctx,
                                              const char *path, struct ms_node *ret_parent,
                                              char ret_name[MS_NAME_BYTES_MAX + 1],
                                              struct ms_error *reterr);
/* One path of an inode, computed from its parents, "/videos/a.mp4". Errors: MS_NOT_FOUND nothing
 * names it. */
MS_NODISCARD enum ms_code ms_tree_path(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                                       struct ms_buf *ret_path, struct ms_error *reterr);

/* Folder contents behind after_seq, in seq order, at most max nodes. *ret_n 0: the end. */
MS_NODISCARD enum ms_code ms_tree_list(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t dir,
                                       uint64_t after_seq, struct ms_node *ret_nodes, size_t max,
                                       size_t *ret_n, struct ms_error *reterr);

struct ms_make {
    uint64_t parent;
    const char *name;  /* NULL, regular files only (O_TMPFILE): an orphan until ms_tree_link or
                          ms_tree_forget */
    uint32_t mode;     /* S_IFMT bits and permissions; umask applied already */
    uint32_t uid, gid; /* a set-group-id parent's group wins, as POSIX has it */
    uint64_t rdev;
    const char *target; /* symbolic links */
    bool any_folder;    /* service principals may write models/ and voices/ */
    bool produced;      /* a composited video: CUSTOMIZED, its minutes are metered at the seal */
    uint64_t seconds;   /* it lasts */
};
/* Kinds of intent rows. */
enum ms_intent_kind {
    MS_INTENT_NEW_FILE = 1,  /* of ms_tree_make: there is no version yet */
    MS_INTENT_OVERWRITE = 2, /* a further version of a sealed file */
};
/* What a new regular file needs to be written: the intent that protects its bytes. A seal goes by
 * the inode's asset and that asset's main_file as they are then: a rename may have put another
 * asset behind the inode. */
struct ms_made {
    struct ms_node node;
    struct ms_intent_id intent;
    struct ms_asset_id asset;
    struct ms_file_id file;
    struct ms_object_id object;
    char key[MS_OBJECT_KEY_MAX + 1];
    uint64_t leased; /* bytes reserved already */
    bool unmetered;  /* no quota counts its bytes: it needs no lease */
};
/* "<asset>/<file>.<n>.<suffix>": the key of the n-th version of a file, at its birth. */
void ms_tree_object_key(struct ms_asset_id asset, struct ms_file_id file, uint32_t n,
                        const char *name, char ret_key[MS_OBJECT_KEY_MAX + 1]);
/* One commit: inode, name, and for a regular file asset (CREATING), file, intent and first lease;
 * it is visible at once with size 0, unsealed, and vanishes with its process unless it was sealed
 * or fsynced. Errors: MS_EXISTS, MS_BAD_NAME, MS_NAME_TOO_LONG, MS_NOT_DIR, MS_NOT_FOUND,
 * MS_NOT_PERMITTED models/ and voices/, MS_WRONG_STATE the tenant is frozen, MS_NO_SPACE. An
 * exhausted quota does not stop an empty file. */
MS_NODISCARD enum ms_code ms_tree_make(struct ms_svc *svc, const struct ms_ctx *ctx,
                                       const struct ms_make *make, struct ms_made *ret_made,
                                       struct ms_error *reterr);

MS_NODISCARD enum ms_code ms_tree_link(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                                       uint64_t new_parent, const char *new_name,
                                       struct ms_node *ret_node, struct ms_error *reterr);

/* What became of the inode that lost a name, for the mount's node table and open handles. An orphan
 * has no asset: that is in the bin, or gone. */
struct ms_gone {
    uint64_t ino;   /* 0: nothing */
    uint32_t nlink; /* left */
    bool binned;    /* its asset is in the recycle bin under a new inode */
    bool kept;      /* the inode is an orphan now, kept while open */
    bool
        taken_over; /* its asset lives on in another inode: rename over it, or an editor's backup */
    uint64_t entry_parent; /* of the name that went */
};
/* keep_open: somebody of this process has it open, so the inode stays as an orphan until
 * ms_tree_forget. A file that another process has not sealed yet stays an orphan of that process.
 * The last name of an asset goes to the recycle bin (product.md section 6), unless the asset is
 * younger than MS_BIN_BYPASS_AGE_MS or the bin is off; a never-sealed file does not. When the name
 * was `x` until a rename inside its folder less than 60 s ago and a mount has made and sealed a new
 * `x` since (vim), that takes over the asset. */
MS_NODISCARD enum ms_code ms_tree_unlink(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         uint64_t parent, const char *name, bool keep_open,
                                         struct ms_gone *ret_gone, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_tree_rmdir(struct ms_svc *svc, const struct ms_ctx *ctx,
                                        uint64_t parent, const char *name, bool keep_open,
                                        struct ms_gone *ret_gone, struct ms_error *reterr);
/* The last handle of an orphan is closed: its rows go. What is no orphan (any more) is left alone.
 */
MS_NODISCARD enum ms_code ms_tree_forget(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                                         struct ms_error *reterr);

struct ms_rename {
    uint64_t parent, new_parent;
    const char *name, *new_name;
    bool no_replace, exchange; /* RENAME_NOREPLACE, RENAME_EXCHANGE */
    bool keep_open;            /* as for unlink, for the one replaced */
};
/* One commit. Over an existing asset: product.md section 6, "Replacing by rename": the replaced
 * asset keeps its id, creation instant, tags and shares and takes the new bytes when the source was
 * made through a mount within 24 h; otherwise it goes to the bin. Renaming a file re-types and
 * re-checks it; a rename that breaks a rule fails. */
MS_NODISCARD enum ms_code ms_tree_rename(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         const struct ms_rename *rename, struct ms_node *ret_node,
                                         struct ms_gone *ret_gone, struct ms_error *reterr);

/* Operations on a folder as a whole (TREEOP rows): done at once in the tree, the rows of assets
 * below it follow. */
enum ms_treeop_kind {
    MS_TREEOP_RETYPE = 1, /* moved to another type folder: AUDIO <-> MUSIC, types without suffixes */
    MS_TREEOP_BIN = 2     /* in the recycle bin (service/treeop.h) */
};
/* The folder goes to the recycle bin with all that it holds: one commit, whatever that is. It is out of the
 * tree at once, its assets show DELETING, and lie in the bin at the paths where they were, however young they
 * are; a name beside others that lie elsewhere, and what is no asset, just goes; a file that somebody has not
 * closed yet goes as by unlink. Their rows follow (ms_tree_settle), and so do counts: binned assets and bytes.
 * *ret_ino: the folder's. Errors: MS_NOT_DIR; MS_BUSY a folder of every tenant; MS_WRONG_STATE an asset in it
 * is bound to a package that renews itself: nothing is done; MS_UNSUPPORTED the bin is off. */
MS_NODISCARD enum ms_code ms_tree_bin(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t parent,
                                      const char *name, uint64_t *ret_ino, struct ms_error *reterr);
/* Let them follow, in commits of at most 64 inodes; may be killed, repeated, and run beside
 * others. *ret_done: how many operations of the tenant are finished now. */
MS_NODISCARD enum ms_code ms_tree_settle(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         uint64_t *ret_done, struct ms_error *reterr);
/* One such commit. *ret_more false: no operation of the tenant waits. */
MS_NODISCARD enum ms_code ms_tree_settle_some(struct ms_svc *svc, const struct ms_ctx *ctx,
                                              bool *ret_more, struct ms_error *reterr);

/* A thread that lets them follow for every tenant: woken by ms_tree_bin() of this process, and each interval
 * for what others have left. One for a service, which must be writable. Without it ms_tree_bin() leaves that
 * to a sweep, and ms_vtree_rename() does it before it answers. */
struct ms_tree_worker;
MS_NODISCARD enum ms_code ms_tree_worker_start(struct ms_svc *svc, int64_t interval_ms,
                                               struct ms_error *reterr);
void ms_tree_worker_stop(struct ms_svc *svc); /* behind the commit that is at work; no worker is fine */
void ms_tree_worker_wake(struct ms_svc *svc); /* likewise */

enum ms_attr {
    MS_ATTR_MODE = 1,
    MS_ATTR_UID = 2,
    MS_ATTR_GID = 4,
    MS_ATTR_ATIME = 8,
    MS_ATTR_MTIME = 16,
    MS_ATTR_CTIME = 32
};
struct ms_setattr {
    uint64_t ino;
    uint32_t which;                      /* enum ms_attr bits */
    uint32_t mode, uid, gid;             /* mode: permission bits, 07777 */
    struct timespec atime, mtime, ctime; /* ctime is set to now unless given */
};
/* Size is not set here: ms_file_truncate (file.h). */
MS_NODISCARD enum ms_code ms_tree_setattr(struct ms_svc *svc, const struct ms_ctx *ctx,
                                          const struct ms_setattr *set, struct ms_node *ret_node,
                                          struct ms_error *reterr);

MS_NODISCARD enum ms_code ms_tree_readlink(struct ms_svc *svc, const struct ms_ctx *ctx,
                                           uint64_t ino, char ret_target[MS_SYMLINK_BYTES_MAX + 1],
                                           struct ms_error *reterr);

/* Extended attributes. user.msasset.{id,type,state,reason,root,name,size_bytes,...} are computed
 * and read-only (EPERM); user.msasset.tags is writable. Errors: MS_NO_ATTR, MS_EXISTS (create),
 * MS_RANGE too long, MS_UNSUPPORTED namespaces other than user., trusted. and security. */
MS_NODISCARD enum ms_code ms_tree_xattr_get(struct ms_svc *svc, const struct ms_ctx *ctx,
                                            uint64_t ino, const char *name,
                                            struct ms_buf *ret_value, struct ms_error *reterr);
/* Names, each with its NUL. */
MS_NODISCARD enum ms_code ms_tree_xattr_list(struct ms_svc *svc, const struct ms_ctx *ctx,
                                             uint64_t ino, struct ms_buf *ret_names,
                                             struct ms_error *reterr);
enum ms_xattr_how { MS_XATTR_ANY, MS_XATTR_CREATE, MS_XATTR_REPLACE };
MS_NODISCARD enum ms_code ms_tree_xattr_set(struct ms_svc *svc, const struct ms_ctx *ctx,
                                            uint64_t ino, const char *name, struct ms_view value,
                                            enum ms_xattr_how how, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_tree_xattr_remove(struct ms_svc *svc, const struct ms_ctx *ctx,
                                               uint64_t ino, const char *name,
                                               struct ms_error *reterr);

struct ms_statfs {
    uint64_t total_bytes, free_bytes; /* allowance; what is left of it */
    uint64_t inodes, inodes_free;
};
MS_NODISCARD enum ms_code ms_tree_statfs(struct ms_svc *svc, const struct ms_ctx *ctx,
                                         struct ms_statfs *ret_statfs, struct ms_error *reterr);

#endif
