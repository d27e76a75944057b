/* Begin, inodes, names, places: the rows that every operation of the tree is made of. */
#include "service/treeop.h"

#include "service/payment.h"
#include "service/upkeep.h"
#include "service/upkeep_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- begin ----------------------------------------------------------------------------------- */

static enum ms_code write_call(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_write write,
                               const void *args, struct ms_error *reterr) {
    if (svc->read_only)
        return ms_fail(reterr, MS_READ_ONLY,
                       "the store %s is open read-only: nothing can be changed", svc->dir);
    struct ms_tree_call call = {
        .ctx = ctx,
        .ts = ms_clock_timespec(svc->clock),
        .instance = ms_store_instance(svc->store),
        .limits = &svc->limits,
        .unasked = ms_payments_unasked(svc),
        .args = args,
    };
    write.in = &call;
    write.fence = ms_store_fence(svc->store);
    return ms_store_write(svc->store, &write, reterr);
}

enum ms_code ms_tree_write(struct ms_svc *svc, const struct ms_ctx *ctx, ms_write_fn *fn,
                           const void *args, void *out, size_t out_size, struct ms_error *reterr) {
    return write_call(svc, ctx, (struct ms_write){.fn = fn, .out = out, .out_size = out_size}, args,
                      reterr);
}

enum ms_code ms_tree_write_freeing(struct ms_svc *svc, const struct ms_ctx *ctx, ms_write_fn *fn,
                                   const void *args, void *out, size_t out_size,
                                   struct ms_error *reterr) {
    return write_call(svc, ctx,
                      (struct ms_write){.fn = fn, .out = out, .out_size = out_size, .frees = true},
                      args, reterr);
}

enum ms_code ms_tree_write_metered(struct ms_svc *svc, const struct ms_ctx *ctx, ms_write_fn *fn,
                                   const void *args, void *out, size_t out_size,
                                   struct ms_error *reterr) {
    struct ms_error err = {0};
    struct ms_sweep_result swept;
    enum ms_code code = ms_tree_write(svc, ctx, fn, args, out, out_size, &err);
    if (code == MS_QUOTA && ms_sweep_deadlines(svc, ctx->tenant, &swept, NULL) == MS_OK) {
        memset(&err, 0, sizeof err);
        code = ms_tree_write(svc, ctx, fn, args, out, out_size, &err);
    }
    return ms_pass_up(code, &err, reterr);
}

enum ms_code ms_tree_begin(struct ms_tree *t, struct ms_txn *txn, const void *in,
                           struct ms_error *reterr) {
    const struct ms_tree_call *call = in;
    t->txn = txn;
    t->writes = true;
    t->id = call->ctx->tenant;
    t->who = call->ctx->who;
    t->admin = call->ctx->admin;
    t->ts = call->ts;
    t->instance = call->instance;
    t->limits = call->limits;
    t->unasked = call->unasked;
    MS_TRY(ms_change_begin(txn, t->id, &t->tenant, reterr));
    t->now = ms_txn_instant(txn);
    return MS_OK;
}

static enum ms_code load_tenant(struct ms_tree *t, struct ms_error *reterr) {
    enum ms_code code = ms_row_get_tenant(t->txn, ms_key_tenant(t->id), &t->tenant, reterr);
    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, MS_NO_TENANT, "there is no tenant %s", ms_id_text(t->id.id).s);
    return code;
}

enum ms_code ms_tree_read(struct ms_tree *t, struct ms_svc *svc, const struct ms_ctx *ctx,
                          struct ms_error *reterr) {
    *t = (struct ms_tree){
        .id = ctx->tenant,
        .who = ctx->who,
        .admin = ctx->admin,
        .now = ms_instant_is_none(ctx->now) ? ms_clock_now(svc->clock) : ctx->now,
        .ts = ms_clock_timespec(svc->clock),
        .instance = ms_store_instance(svc->store),
        .limits = &svc->limits,
        .unasked = ms_payments_unasked(svc),
    };
    MS_TRY(ms_read_begin(svc->store, &t->txn, reterr));
    enum ms_code code = load_tenant(t, reterr);
    if (code != MS_OK)
        ms_tree_read_end(t);
    return code;
}

struct ms_lc_facts ms_tree_facts(const struct ms_tree *t, const struct ms_asset_record *asset) {
    return (struct ms_lc_facts){.mask = ms_tenant_mask(&t->tenant, t->now),
                                .now = t->now,
                                .origin = asset->origin,
                                .actor_admin = t->admin,
                                .activate = !t->tenant.start_unactived,
                                .retention_ms = t->tenant.retention_ms};
}

enum ms_code ms_tree_thawed(const struct ms_tree *t, const char *what, struct ms_error *reterr) {
    ms_warning why;
    if (ms_tenant_mask(&t->tenant, t->now).holds == 0)
        return MS_OK;
    ms_tenant_why(&t->tenant, t->now, why);
    return ms_fail(reterr, MS_WRONG_STATE,
                   "%s is refused: tenant %s is frozen%s%s; only list, show and delete work", what,
                   t->tenant.name, why[0] ? ": " : "", why);
}

/* ---- inodes ---------------------------------------------------------------------------------- */

enum ms_code ms_tree_inode(const struct ms_tree *t, uint64_t ino, struct ms_inode_record *ret_inode,
                           struct ms_error *reterr) {
    enum ms_code code = ms_row_get_inode(t->txn, ms_key_inode(t->id, ino), ret_inode, reterr);
    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, code, "there is no inode %" PRIu64 " (any more)", ino);
    return code;
}

enum ms_code ms_tree_dir(const struct ms_tree *t, uint64_t ino, struct ms_inode_record *ret_dir,
                         struct ms_error *reterr) {
    struct ms_inode_record dir;
    MS_TRY(ms_tree_inode(t, ino, &dir, reterr));
    if (!S_ISDIR(dir.mode))
        return ms_fail(reterr, MS_NOT_DIR, "inode %" PRIu64 " is not a folder", ino);
    bool attached;
    MS_TRY(ms_treeop_attached(t, ino, &attached, reterr));
    if (dir.nlink == 0 || !attached)
        return ms_fail(reterr, MS_NOT_FOUND, "folder %" PRIu64 " has been removed", ino);
    *ret_dir = dir;
    return MS_OK;
}

enum ms_code ms_tree_put(const struct ms_tree *t, const struct ms_inode_record *inode,
                         struct ms_error *reterr) {
    return ms_row_put_inode(t->txn, ms_key_inode(t->id, inode->ino), inode, reterr);
}

void ms_tree_touch(const struct ms_tree *t, struct ms_inode_record *inode, unsigned which) {
    int64_t s = t->ts.tv_sec;
    uint32_t ns = (uint32_t)t->ts.tv_nsec;
    if (which & MS_TOUCH_ATIME) {
        inode->atime_s = s;
        inode->atime_ns = ns;
    }
    if (which & MS_TOUCH_MTIME) {
        inode->mtime_s = s;
        inode->mtime_ns = ns;
    }
    if (which & MS_TOUCH_CTIME) {
        inode->ctime_s = s;
        inode->ctime_ns = ns;
    }
}

/* ---- names ----------------------------------------------------------------------------------- */

static enum ms_code name_row(const struct ms_tree *t, uint64_t parent, struct ms_found *f,
                             struct ms_error *reterr) {
    struct ms_key key = ms_key_name(t->id, parent, f->nfc);
    f->found = ms_txn_has(t->txn, ms_key_view(&key));
    return f->found ? ms_row_get_name(t->txn, key, &f->name, reterr) : MS_OK;
}

static enum ms_code dangling(const struct ms_found *f, uint64_t parent, struct ms_error *reterr) {
    return ms_fail(reterr, MS_CORRUPT,
                   "\"%s\" in folder %" PRIu64 " names inode %" PRIu64
                   ", which is not there: run msasset fsck",
                   f->name.spelling, parent, f->name.ino);
}

enum ms_code ms_tree_find(const struct ms_tree *t, uint64_t parent, const char *name,
                          struct ms_found *ret_found, struct ms_error *reterr) {
    struct ms_found *f = ret_found;
    bool attached;
    f->found = f->has_asset = false;
    MS_TRY(ms_name_check(name, f->nfc, reterr));
    MS_TRY(ms_treeop_attached(t, parent, &attached, reterr));
    if (attached)
        MS_TRY(name_row(t, parent, f, reterr));
    if (!f->found)
        return MS_OK;
    enum ms_code code =
        ms_row_get_inode(t->txn, ms_key_inode(t->id, f->name.ino), &f->inode, reterr);
    if (code == MS_NOT_FOUND)
        return dangling(f, parent, reterr);
    if (code != MS_OK || !ms_inode_has_asset(&f->inode))
        return code;
    bool gone;
    MS_TRY(ms_tree_asset(t, &f->inode, &f->asset, &gone, reterr));
    f->found = !gone;
    f->has_asset = !gone;
    return MS_OK;
}

enum ms_code ms_tree_must_exist(const struct ms_tree *t, uint64_t parent, const char *name,
                                const struct ms_found *found, struct ms_error *reterr) {
    if (found->found)
        return MS_OK;
    struct ms_inode_record dir;
    MS_TRY(ms_tree_dir(t, parent, &dir, reterr));
    return ms_fail(reterr, MS_NOT_FOUND, "there is no \"%s\" in this folder", name);
}

enum ms_code ms_tree_must_not_exist(const char *name, const struct ms_found *found,
                                    struct ms_error *reterr) {
    if (!found->found)
        return MS_OK;
    return ms_fail(reterr, MS_EXISTS, "\"%s\" exists already%s%s%s", name,
                   strcmp(name, found->name.spelling) ? " as \"" : "",
                   strcmp(name, found->name.spelling) ? found->name.spelling : "",
                   strcmp(name, found->name.spelling) ? "\", the same name under NFC" : "");
}

/* The mount shows folders of its own under these names. */
static enum ms_code not_reserved(const struct ms_tree *t, uint64_t parent, const char *nfc,
                                 struct ms_error *reterr) {
    if (parent != t->tenant.root_ino ||
        (strcmp(nfc, MS_TRASH_NAME) != 0 && strcmp(nfc, MS_OURS_NAME) != 0))
        return MS_OK;
    return ms_fail(reterr, MS_BUSY, "\"/%s\" is a folder of every mount: choose another name", nfc);
}

static enum ms_code put_link(const struct ms_tree *t, uint64_t ino, uint64_t parent, uint64_t seq,
                             struct ms_error *reterr) {
    static const struct ms_link_record link = {0};
    return ms_row_put_link(t->txn, ms_key_link(t->id, ino, parent, seq), &link, reterr);
}

static enum ms_code put_name(const struct ms_tree *t, uint64_t parent, uint64_t seq,
                             const char *nfc, const char *spelling,
                             const struct ms_inode_record *inode, struct ms_error *reterr) {
    struct ms_name_record row = {.ino = inode->ino, .mode = inode->mode, .seq = seq};
    (void)snprintf(row.spelling, sizeof row.spelling, "%s", spelling);
    MS_TRY(ms_row_put_name(t->txn, ms_key_name(t->id, parent, nfc), &row, reterr));
    MS_TRY(put_link(t, inode->ino, parent, seq, reterr));
    return ms_tree_feed_entry(t, parent, spelling, reterr);
}

enum ms_code ms_tree_name_add(const struct ms_tree *t, struct ms_inode_record *dir, const char *nfc,
                              const char *spelling, const struct ms_inode_record *inode,
                              struct ms_error *reterr) {
    MS_ASSERT(S_ISDIR(dir->mode) && dir->next_seq >= 3);
    uint64_t seq = dir->next_seq++;
    struct ms_entry_record entry;
    MS_TRY(not_reserved(t, dir->ino, nfc, reterr));
    (void)snprintf(entry.nfc, sizeof entry.nfc, "%s", nfc);
    MS_TRY(ms_row_put_entry(t->txn, ms_key_entry(t->id, dir->ino, seq), &entry, reterr));
    ms_tree_touch(t, dir, MS_TOUCH_CHANGE);
    return put_name(t, dir->ino, seq, nfc, spelling, inode, reterr);
}

enum ms_code ms_tree_name_del(const struct ms_tree *t, struct ms_inode_record *dir,
                              const struct ms_found *found, struct ms_error *reterr) {
    MS_TRY(ms_row_del(t->txn, ms_key_name(t->id, dir->ino, found->nfc), reterr));
    MS_TRY(ms_row_del(t->txn, ms_key_entry(t->id, dir->ino, found->name.seq), reterr));
    MS_TRY(
        ms_row_del(t->txn, ms_key_link(t->id, found->name.ino, dir->ino, found->name.seq), reterr));
    ms_tree_touch(t, dir, MS_TOUCH_CHANGE);
    return ms_tree_feed_entry(t, dir->ino, found->name.spelling, reterr);
}

enum ms_code ms_tree_name_set(const struct ms_tree *t, struct ms_inode_record *dir,
                              const struct ms_found *found, const char *spelling,
                              const struct ms_inode_record *inode, struct ms_error *reterr) {
    MS_TRY(
        ms_row_del(t->txn, ms_key_link(t->id, found->name.ino, dir->ino, found->name.seq), reterr));
    ms_tree_touch(t, dir, MS_TOUCH_CHANGE);
    if (strcmp(spelling, found->name.spelling) != 0)
        MS_TRY(ms_tree_feed_entry(t, dir->ino, found->name.spelling, reterr));
    return put_name(t, dir->ino, found->name.seq, found->nfc, spelling, inode, reterr);
}

/* ---- where a folder is ----------------------------------------------------------------------- */

enum ms_code ms_tree_place(const struct ms_tree *t, uint64_t dir, uint64_t ino,
                           struct ms_place *ret_place, struct ms_error *reterr) {
    struct ms_place place = {.top = MS_SPECIAL_NONE};
    uint64_t at = dir;
    for (;;) {
        struct ms_inode_record inode;
        MS_TRY(ms_tree_inode(t, at, &inode, reterr));
        place.below |= at == ino;
        if (inode.special != MS_SPECIAL_NONE && place.top == MS_SPECIAL_NONE &&
            (inode.special != MS_SPECIAL_ROOT || at == dir))
            place.top = (enum ms_special)inode.special;
        if (inode.parent == 0)
            break;
        at = inode.parent;
        if (++place.depth > MS_DEPTH_MAX)
            return ms_fail(reterr, MS_CORRUPT,
                           "folder %" PRIu64 " lies deeper than %d or contains itself: "
                           "run msasset fsck",
                           dir, MS_DEPTH_MAX);
    }
    *ret_place = place;
    return MS_OK;
}

enum ms_code ms_tree_depth_fits(unsigned depth, unsigned levels, struct ms_error *reterr) {
    if (depth + levels <= MS_DEPTH_MAX)
        return MS_OK;
    return ms_fail(reterr, MS_NAME_TOO_LONG,
                   "folders would lie %u deep; at most %d are allowed: move things further up",
                   depth + levels, MS_DEPTH_MAX);
}

enum ms_code ms_tree_raise(const struct ms_tree *t, uint64_t dir, unsigned levels,
                           struct ms_error *reterr) {
    for (unsigned up = 0; dir != 0 && up <= MS_DEPTH_MAX; up++, levels++) {
        struct ms_inode_record inode;
        MS_TRY(ms_tree_inode(t, dir, &inode, reterr));
        if (inode.height >= levels)
            return MS_OK;
        inode.height = (uint16_t)levels;
        MS_TRY(ms_tree_put(t, &inode, reterr));
        dir = inode.parent;
    }
    return MS_OK;
}

enum ms_code ms_tree_writable(const struct ms_tree *t, enum ms_special top,
                              struct ms_error *reterr) {
    if (t->admin || ms_special_tenant_writes(top))
        return MS_OK;
    return ms_fail(reterr, MS_NOT_PERMITTED,
                   "%s/ is filled by the platform only: use another folder", ms_special_name(top));
}

/* ---- paths ----------------------------------------------------------------------------------- */

enum ms_code ms_tree_step_up(const struct ms_tree *t, uint64_t ino, uint64_t *ret_parent,
                             char ret_name[MS_NAME_BYTES_MAX + 1], struct ms_error *reterr) {
    enum ms_code code = ms_change_first_place(t->txn, t->id, ino, ret_parent, ret_name, NULL);
    if (code != MS_NOT_FOUND)
        return code == MS_OK
                   ? code
                   : ms_fail(reterr, code, "the name of inode %" PRIu64 " cannot be read", ino);
    struct ms_inode_record inode;
    MS_TRY(ms_tree_inode(t, ino, &inode, reterr));
    struct ms_key key = ms_key_symlink(t->id, ino);
    struct ms_view text;
    if (!S_ISDIR(inode.mode) || inode.binned == 0)
        return ms_fail(reterr, MS_NOT_FOUND, "nothing names inode %" PRIu64, ino);
    MS_TRY(ms_txn_get(t->txn, ms_key_view(&key), &text, reterr));
    if (text.n > MS_NAME_BYTES_MAX)
        return ms_fail(reterr, MS_CORRUPT, "the name of removed folder %" PRIu64 " is damaged",
                       ino);
    memcpy(ret_name, text.p, text.n);
    ret_name[text.n] = '\0';
    *ret_parent = inode.parent;
    return MS_OK;
}

/* Put "/name" before what is there. */
static enum ms_code prepend(struct ms_buf *path, const char *name, struct ms_error *reterr) {
    size_t n = strlen(name) + 1, old = path->len;
    MS_TRY(ms_buf_reserve(path, n, reterr));
    MS_TRY(ms_buf_add(path, name, n, reterr)); /* makes room; overwritten below */
    memmove(path->data + n, path->data, old);
    path->data[0] = '/';
    memcpy(path->data + 1, name, n - 1);
    return MS_OK;
}

static enum ms_code prepend_parents(const struct ms_tree *t, uint64_t ino, struct ms_buf *path,
                                    struct ms_error *reterr) {
    for (unsigned up = 0; ino != t->tenant.root_ino; up++) {
        char name[MS_NAME_BYTES_MAX + 1];
        if (up > 4 * MS_DEPTH_MAX) /* removed folders may lie deeper than live ones */
            return ms_fail(reterr, MS_CORRUPT,
                           "inode %" PRIu64 " lies in a loop of folders: run msasset fsck", ino);
        MS_TRY(ms_tree_step_up(t, ino, &ino, name, reterr));
        MS_TRY(prepend(path, name, reterr));
    }
    return MS_OK;
}

enum ms_code ms_tree_path_of(const struct ms_tree *t, uint64_t ino, struct ms_buf *ret_path,
                             struct ms_error *reterr) {
    ms_buf_clear(ret_path);
    if (ino == t->tenant.root_ino)
        return ms_buf_add(ret_path, "/", 1, reterr);
    return prepend_parents(t, ino, ret_path, reterr);
}

enum ms_code ms_tree_path_in(const struct ms_tree *t, uint64_t parent, const char *name,
                             struct ms_buf *ret_path, struct ms_error *reterr) {
    ms_buf_clear(ret_path);
    MS_TRY(prepend(ret_path, name, reterr));
    return prepend_parents(t, parent, ret_path, reterr);
}

/* ---- feed ------------------------------------------------------------------------------------ */

enum ms_code ms_tree_feed_inode(const struct ms_tree *t, uint64_t ino, struct ms_error *reterr) {
    struct ms_feed_row row = {.kind = MS_FEED_INODE, .tenant = t->id, .ino = ino};
    return ms_change_feed(t->txn, &row, reterr);
}

enum ms_code ms_tree_feed_entry(const struct ms_tree *t, uint64_t parent, const char *spelling,
                                struct ms_error *reterr) {
    struct ms_feed_row row = {.kind = MS_FEED_ENTRY, .tenant = t->id, .ino = parent};
    (void)snprintf(row.name, sizeof row.name, "%s", spelling);
    return ms_change_feed(t->txn, &row, reterr);
}
