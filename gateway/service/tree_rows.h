/* tree_rows.h — the rows of the tree inside one transaction: what the operations of tree.h, seals,
 * the bin and recovery are made of. Not for front ends.
 *
 * A folder's record is loaded last and stored before anything goes to the bin or is purged:
 * service/change.c counts bin entries in the folder's row, and a copy stored later would undo that.
 *
 * Threads: a struct ms_tree belongs to one transaction and so to one thread.
 */
#ifndef MS_SERVICE_TREE_ROWS_H
#define MS_SERVICE_TREE_ROWS_H

#include "model/names.h"
#include "service/change.h"
#include "service/standing.h"
#include "service/tree.h"

/* The end of a scan, or a row that need not be there, is no failure: what it left in reterr goes.
 */
static inline enum ms_code ms_absent_is_fine(enum ms_code code, struct ms_error *reterr) {
    if (code != MS_NOT_FOUND)
        return code;
    if (reterr)
        *reterr = (struct ms_error){.code = MS_OK};
    return MS_OK;
}

/* One operation's view of one tenant. */
struct ms_tree {
    struct ms_txn *txn;
    bool writes;
    struct ms_tenant_id id;
    struct ms_tenant_record tenant;
    const char *who;
    bool admin;
    struct ms_instant now; /* guards: the commit instant in a write, the request's in a read */
    struct timespec ts;    /* for the times of inodes */
    struct ms_instance_id instance; /* this process */
    const struct ms_limits *limits; /* of contents; NULL: the defaults */
    bool unasked; /* there is no payment command: a renewal is paid by itself (payment.h) */
};

/* The const input of a write operation. */
struct ms_tree_call {
    const struct ms_ctx *ctx;
    struct timespec ts;
    struct ms_instance_id instance;
    const void *args;
    const struct ms_limits *limits; /* these two as in struct ms_tree */
    bool unasked;
};
/* Run fn(txn, struct ms_tree_call, out) in one durable commit. Errors: MS_READ_ONLY; those of fn.
 */
MS_NODISCARD enum ms_code ms_tree_write(struct ms_svc *svc, const struct ms_ctx *ctx,
                                        ms_write_fn *fn, const void *args, void *out,
                                        size_t out_size, struct ms_error *reterr);
/* The same for what makes room: it goes on when the store is so full that others are refused. */
MS_NODISCARD enum ms_code ms_tree_write_freeing(struct ms_svc *svc, const struct ms_ctx *ctx,
                                                ms_write_fn *fn, const void *args, void *out,
                                                size_t out_size, struct ms_error *reterr);
/* The same for what takes of the quota: refused for that (MS_QUOTA), it is tried once more when what is
 * overdue of the tenant has been swept (design.md section 1). */
MS_NODISCARD enum ms_code ms_tree_write_metered(struct ms_svc *svc, const struct ms_ctx *ctx,
                                                ms_write_fn *fn, const void *args, void *out,
                                                size_t out_size, struct ms_error *reterr);
/* The first step of such a function. */
MS_NODISCARD enum ms_code ms_tree_begin(struct ms_tree *t, struct ms_txn *txn, const void *call,
                                        struct ms_error *reterr);
/* A read; ms_read_end(t->txn) ends it. */
MS_NODISCARD enum ms_code ms_tree_read(struct ms_tree *t, struct ms_svc *svc,
                                       const struct ms_ctx *ctx, struct ms_error *reterr);
static inline void ms_tree_read_end(struct ms_tree *t) {
    if (t->txn)
        ms_read_end(t->txn);
    t->txn = NULL;
}

/* Facts for lifecycle/ about an asset that is seen through the tree. */
struct ms_lc_facts ms_tree_facts(const struct ms_tree *t, const struct ms_asset_record *asset);
/* Errors: MS_WRONG_STATE the tenant is frozen, so `what` is refused. */
MS_NODISCARD enum ms_code ms_tree_thawed(const struct ms_tree *t, const char *what,
                                         struct ms_error *reterr);

/* ---- inodes and what stands behind them ------------------------------------------------------ */

/* An asset with what is overdue considered (read) or applied (write). */
struct ms_tree_asset {
    struct ms_asset_record rec;
    struct ms_life life;
    enum ms_state state;
    uint32_t rights; /* with the rules for models, CUSTOMIZED and preset assets */
};
MS_NODISCARD enum ms_code ms_tree_inode(const struct ms_tree *t, uint64_t ino,
                                        struct ms_inode_record *ret_inode, struct ms_error *reterr);
/* A folder that has not been removed. Errors: MS_NOT_FOUND, MS_NOT_DIR. */
MS_NODISCARD enum ms_code ms_tree_dir(const struct ms_tree *t, uint64_t ino,
                                      struct ms_inode_record *ret_dir, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_tree_put(const struct ms_tree *t, const struct ms_inode_record *inode,
                                      struct ms_error *reterr);
static inline bool ms_inode_has_asset(const struct ms_inode_record *inode) {
    return !ms_asset_id_is_none((struct ms_asset_id){inode->asset});
}
/* What is left of inode is nobody's file, for whoever has it open: its asset leaves it. PURGED: the asset has ended,
 * and bytes that nobody might read then stay unread. BINNED: it goes on with the same bytes, and says from now on
 * whether they are read here. REPLACED: it goes on with others, and says so too, unless these were unreadable. */
enum ms_parting { MS_PART_PURGED, MS_PART_BINNED, MS_PART_REPLACED };
void ms_tree_part(struct ms_inode_record *inode, const struct ms_tree_asset *asset, enum ms_parting how);
/* *ret_gone: time has taken it out of the tree (or the asset away); in a write its rows are gone
 * too. */
MS_NODISCARD enum ms_code ms_tree_asset(const struct ms_tree *t,
                                        const struct ms_inode_record *inode,
                                        struct ms_tree_asset *ret_asset, bool *ret_gone,
                                        struct ms_error *reterr);
/* For walks over records: asset->rec is as it was read, the rest is what it is at t->now. Needs: a read. */
MS_NODISCARD enum ms_code ms_tree_asset_look(const struct ms_tree *t, struct ms_tree_asset *asset,
                                             struct ms_error *reterr);
/* What is to be changed is gone from the tree: in the recycle bin (MS_WRONG_STATE), or deleted
 * (MS_NOT_FOUND). what: "rename". */
enum ms_code ms_tree_is_gone(const struct ms_tree_asset *asset, const char *what,
                             struct ms_error *reterr);
/* Errors: MS_NOT_READABLE (right READ) or MS_WRONG_STATE when the right is missing, with the rule.
 * what: "rename". */
MS_NODISCARD enum ms_code ms_tree_may(const struct ms_tree *t, const struct ms_tree_asset *asset,
                                      enum ms_right right, const char *what,
                                      struct ms_error *reterr);
/* Translate a verdict of lifecycle/ that refused. */
enum ms_code ms_tree_refused(const struct ms_tree *t, const struct ms_tree_asset *asset,
                             enum ms_lc_rule rule, const char *what, struct ms_error *reterr);
/* asset may be NULL. */
void ms_tree_fill(const struct ms_tree *t, const struct ms_inode_record *inode,
                  const struct ms_tree_asset *asset, struct ms_node *ret_node);

enum { MS_TOUCH_ATIME = 1, MS_TOUCH_MTIME = 2, MS_TOUCH_CTIME = 4, MS_TOUCH_CHANGE = 6 };
void ms_tree_touch(const struct ms_tree *t, struct ms_inode_record *inode, unsigned which);

/* ---- names ----------------------------------------------------------------------------------- */

/* What a name names. */
struct ms_found {
    bool found;
    char nfc[MS_NAME_BYTES_MAX + 1];
    struct ms_name_record name;
    struct ms_inode_record inode;
    bool has_asset;
    struct ms_tree_asset asset;
};
/* MS_OK also when nothing is there. The parent is not looked at. Errors: those of ms_name_check().
 */
MS_NODISCARD enum ms_code ms_tree_find(const struct ms_tree *t, uint64_t parent, const char *name,
                                       struct ms_found *ret_found, struct ms_error *reterr);
/* The two refusals that go with it; dir tells what is wrong when the parent is no folder. */
MS_NODISCARD enum ms_code ms_tree_must_exist(const struct ms_tree *t, uint64_t parent,
                                             const char *name, const struct ms_found *found,
                                             struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_tree_must_not_exist(const char *name, const struct ms_found *found,
                                                 struct ms_error *reterr);
/* tree_unlink.c: a folder that may lose its name; what: "removed", for the refusal of a folder that every tenant has.
 * Errors: MS_NOT_FOUND, MS_NOT_DIR, MS_BUSY. */
MS_NODISCARD enum ms_code ms_tree_find_folder(const struct ms_tree *t, uint64_t parent, const char *name,
                                              const char *what, struct ms_found *ret_found,
                                              struct ms_error *reterr);
/* It loses its name, and its parent is stored; what becomes of its inode is ms_tree_dir_lost()'s. */
MS_NODISCARD enum ms_code ms_tree_folder_unname(const struct ms_tree *t, uint64_t parent, struct ms_found *found,
                                                struct ms_error *reterr);

/* Name, entry and link row of ino in dir; dir counts and is touched, not stored. *ret_seq may be
 * NULL. */
MS_NODISCARD enum ms_code ms_tree_name_add(const struct ms_tree *t, struct ms_inode_record *dir,
                                           const char *nfc, const char *spelling,
                                           const struct ms_inode_record *inode,
                                           struct ms_error *reterr);
/* The three rows go; dir is touched, not stored. */
MS_NODISCARD enum ms_code ms_tree_name_del(const struct ms_tree *t, struct ms_inode_record *dir,
                                           const struct ms_found *found, struct ms_error *reterr);
/* The same entry names another inode from now on. */
MS_NODISCARD enum ms_code ms_tree_name_set(const struct ms_tree *t, struct ms_inode_record *dir,
                                           const struct ms_found *found, const char *spelling,
                                           const struct ms_inode_record *inode,
                                           struct ms_error *reterr);

/* "a" when that is free, else "a (2)", "a (3)" ... Errors: MS_EXISTS 10000 of them are taken. */
MS_NODISCARD enum ms_code ms_tree_free_name(const struct ms_tree *t, uint64_t parent,
                                            const char *name, char ret_name[MS_NAME_BYTES_MAX + 1],
                                            struct ms_error *reterr);

/* ---- where a folder is ----------------------------------------------------------------------- */

struct ms_place {
    enum ms_special
        top; /* type folder at or above it; ROOT for the root, NONE in a folder of the user's own */
    unsigned depth; /* the root: 0 */
    bool below;     /* `ino` of ms_tree_place is the folder itself or above it */
};
MS_NODISCARD enum ms_code ms_tree_place(const struct ms_tree *t, uint64_t dir, uint64_t ino,
                                        struct ms_place *ret_place, struct ms_error *reterr);
/* A folder with `levels` levels (itself included) may be put into one at `depth`. Errors:
 * MS_NAME_TOO_LONG. */
MS_NODISCARD enum ms_code ms_tree_depth_fits(unsigned depth, unsigned levels,
                                             struct ms_error *reterr);
/* Folders above know that something `levels` deep lies below `dir` now. */
MS_NODISCARD enum ms_code ms_tree_raise(const struct ms_tree *t, uint64_t dir, unsigned levels,
                                        struct ms_error *reterr);
/* Errors: MS_NOT_PERMITTED models/ and voices/ are the platform's. */
MS_NODISCARD enum ms_code ms_tree_writable(const struct ms_tree *t, enum ms_special top,
                                           struct ms_error *reterr);
/* One step up: the folder that holds a (first) name of ino, and that name. A removed folder that
 * the bin remembers has both still. Errors: MS_NOT_FOUND nothing names it. */
MS_NODISCARD enum ms_code ms_tree_step_up(const struct ms_tree *t, uint64_t ino,
                                          uint64_t *ret_parent,
                                          char ret_name[MS_NAME_BYTES_MAX + 1],
                                          struct ms_error *reterr);
/* Path of a folder or a first name of a file. Removed folders that the bin remembers count. */
MS_NODISCARD enum ms_code ms_tree_path_of(const struct ms_tree *t, uint64_t ino,
                                          struct ms_buf *ret_path, struct ms_error *reterr);
/* Path of `name` in `parent`, also of what was there once. */
MS_NODISCARD enum ms_code ms_tree_path_in(const struct ms_tree *t, uint64_t parent,
                                          const char *name, struct ms_buf *ret_path,
                                          struct ms_error *reterr);

/* ---- type and content ------------------------------------------------------------------------ */

/* What a new name makes of a file; nothing is read but rows. */
struct ms_judged {
    enum ms_asset_type type;
    bool fits_now; /* FAILED by content, and under the new name it is not */
};
/* name: the present one, new_name: in a folder below `top`. Errors: MS_WRONG_KIND, MS_TOO_LARGE. */
MS_NODISCARD enum ms_code ms_tree_judge(const struct ms_tree *t,
                                        const struct ms_inode_record *inode,
                                        const struct ms_tree_asset *asset, const char *name,
                                        const char *new_name, enum ms_special top,
                                        struct ms_judged *ret_judged, struct ms_error *reterr);
/* What a probe has found in a version. MS_OK: ret_there says whether it has been probed. */
MS_NODISCARD enum ms_code ms_tree_facts_of(const struct ms_tree *t, struct ms_version_id version,
                                           struct ms_facts_record *ret_facts, bool *ret_there,
                                           struct ms_error *reterr);
/* Asset and file follow the name (the asset unless it was named by somebody) and the type. */
MS_NODISCARD enum ms_code ms_tree_follow(const struct ms_tree *t, struct ms_tree_asset *asset,
                                         const char *name, const struct ms_judged *judged,
                                         struct ms_error *reterr);

/* ---- last names, bin, take-over -------------------------------------------------------------- */

/* A name of the inode has gone (its rows are the caller's): nlink, asset, orphan or nothing.
 * Folders' records are stored already. */
MS_NODISCARD enum ms_code ms_tree_lost(const struct ms_tree *t, uint64_t parent,
                                       struct ms_found *found, bool keep_open,
                                       struct ms_gone *ret_gone, struct ms_error *reterr);
/* An inode without a name: an orphan for whoever has it open, or nothing. */
MS_NODISCARD enum ms_code ms_tree_let_go(const struct ms_tree *t, struct ms_inode_record *inode,
                                         bool keep_open, struct ms_gone *ret_gone,
                                         struct ms_error *reterr);
/* keep goes on with the bytes, and behind the inode, of source, whose own asset ends. Whether that
 * may be: */
bool ms_tree_may_take_over(const struct ms_tree *t, const struct ms_tree_asset *keep,
                           const struct ms_tree_asset *source,
                           const struct ms_inode_record *source_inode);
/* source_inode is changed, not stored. keep's old inode is the caller's. */
MS_NODISCARD enum ms_code ms_tree_take_over(const struct ms_tree *t, struct ms_tree_asset *keep,
                                            struct ms_tree_asset *source,
                                            struct ms_inode_record *source_inode, const char *name,
                                            const struct ms_judged *judged,
                                            struct ms_error *reterr);

/* DELETE, or FORCE_DELETE for what no bin takes when its last name, this one, goes; *ret_why: why for good. */
enum ms_event ms_tree_unlink_event(const struct ms_tree *t, const struct ms_asset_record *asset,
                                   const struct ms_life *life, const char *name,
                                   const char **ret_why);

/* The folder has one more, or one less, thing in the bin. At 0 a removed folder is forgotten, and
 * so on upwards. */
MS_NODISCARD enum ms_code ms_tree_bin_count(struct ms_txn *txn, struct ms_tenant_id tenant,
                                            uint64_t parent, bool more, struct ms_error *reterr);
/* Give a binned asset its name back: where it was, or at `path` (NULL: where it was). Missing
 * folders are made again. Where it was, a taken name gets " (2)"; bin rows go, inode and asset are
 * stored; the life is the caller's. Errors: MS_EXISTS, MS_NOT_DIR, MS_WRONG_KIND (path only). */
MS_NODISCARD enum ms_code ms_tree_restore(const struct ms_tree *t, struct ms_tree_asset *asset,
                                          const char *path, struct ms_error *reterr);

/* ---- folders --------------------------------------------------------------------------------- */

/* A folder has more (+1) or fewer (-1) folders in it: links and count; the caller stores it. */
static inline void ms_tree_subdirs(struct ms_inode_record *dir, int more) {
    dir->nlink += (uint32_t)more;
    dir->subdirs += (uint32_t)more;
    if (dir->subdirs == 0)
        dir->height = 0;
}
/* Errors: MS_NOT_EMPTY, with a name that is in it. */
MS_NODISCARD enum ms_code ms_tree_empty(const struct ms_tree *t, const struct ms_found *dir,
                                        struct ms_error *reterr);
/* ms_tree_lost() of an empty folder. */
MS_NODISCARD enum ms_code ms_tree_dir_lost(const struct ms_tree *t, uint64_t parent,
                                           struct ms_found *found, bool keep_open,
                                           struct ms_gone *ret_gone, struct ms_error *reterr);

/* Tags as a record keeps them: comma-separated, checked. Errors: MS_INVALID, MS_RANGE. */
MS_NODISCARD enum ms_code ms_tree_tags(struct ms_view value, char ret_tags[8193],
                                       struct ms_error *reterr);
/* "a" when that is free in the folder, else "a (2)", "a (3)" ... Errors: MS_EXISTS. */
MS_NODISCARD enum ms_code ms_tree_free_name(const struct ms_tree *t, uint64_t parent,
                                            const char *name,
                                            char ret_name[MS_NAME_BYTES_MAX + 1],
                                            struct ms_error *reterr);

/* ---- feed ------------------------------------------------------------------------------------ */
MS_NODISCARD enum ms_code ms_tree_feed_inode(const struct ms_tree *t, uint64_t ino,
                                             struct ms_error *reterr);
/* The entry changed, and with it the folder's times. */
MS_NODISCARD enum ms_code ms_tree_feed_entry(const struct ms_tree *t, uint64_t parent,
                                             const char *spelling, struct ms_error *reterr);

#endif
