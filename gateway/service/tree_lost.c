/* What becomes of a file that lost a name: other names, the recycle bin, an orphan, or nothing. */
#include "service/bin.h"
#include "service/treeop.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

/* ---- the inode ------------------------------------------------------------------------------- */

/* A file that its maker has not sealed yet stays for it, wherever the unlink came from. */
static bool is_kept(const struct ms_tree *t, const struct ms_inode_record *inode, bool keep_open) {
    struct ms_instance_id opener = {inode->opener};
    return keep_open || (inode->unsealed && !ms_instance_id_equal(opener, t->instance));
}

static enum ms_code keep_orphan(const struct ms_tree *t, struct ms_inode_record *inode,
                                struct ms_error *reterr) {
    inode->orphan = 1;
    if (!inode->unsealed)
        inode->opener = t->instance.id;
    MS_TRY(ms_row_put_id(t->txn, ms_key_orphan(t->id, inode->ino), inode->opener, reterr));
    MS_TRY(ms_tree_put(t, inode, reterr));
    return ms_tree_feed_inode(t, inode->ino, reterr);
}

enum ms_code ms_tree_let_go(const struct ms_tree *t, struct ms_inode_record *inode, bool keep_open,
                            struct ms_gone *ret_gone, struct ms_error *reterr) {
    MS_ASSERT(inode->nlink == 0);
    MS_ASSERT(!ms_inode_has_asset(inode));
    ret_gone->kept = is_kept(t, inode, keep_open);
    if (ret_gone->kept)
        return keep_orphan(t, inode, reterr);
    if (inode->binned == 0)
        return ms_change_inode_drop(t->txn, t->id, inode->ino, reterr);
    MS_TRY(ms_tree_put(t, inode, reterr)); /* a removed folder that the bin remembers */
    return ms_tree_feed_inode(t, inode->ino, reterr);
}

/* ---- the asset ------------------------------------------------------------------------------- */

static enum ms_code move_xattrs(const struct ms_tree *t, uint64_t from, uint64_t to,
                                struct ms_error *reterr) {
    struct ms_key prefix = ms_key_xattrs_of(t->id, from);
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        char name[MS_XATTR_NAME_MAX + 1];
        size_t n = key.n - prefix.len;
        if (n >= sizeof name) {
            code = ms_fail(reterr, MS_CORRUPT,
                           "an attribute's name has %zu bytes: run msasset fsck", n);
            break;
        }
        memcpy(name, (const uint8_t *)key.p + prefix.len, n);
        name[n] = '\0';
        struct ms_key there = ms_key_xattr(t->id, to, name), here = ms_key_xattr(t->id, from, name);
        if ((code = ms_txn_put(t->txn, ms_key_view(&there), value, reterr)) != MS_OK ||
            (code = ms_row_del(t->txn, here, reterr)) != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

/* A new inode takes the asset, its bytes and attributes into the bin, so that whoever has the old
 * one open keeps an inode that is nobody's file any more (ms_tree_part). */
static enum ms_code bin_inode(const struct ms_tree *t, const struct ms_inode_record *old,
                              uint64_t *ret_ino, struct ms_error *reterr) {
    struct ms_inode_record inode = *old;
    MS_TRY(ms_txn_number(t->txn, "ino", &inode.ino, reterr));
    inode.nlink = 0;
    inode.was[0] = '\0';
    inode.was_parent = 0;
    inode.was_at = (struct ms_instant){0};
    MS_TRY(move_xattrs(t, old->ino, inode.ino, reterr));
    MS_TRY(ms_change_inode_new(t->txn, t->id, &inode, reterr));
    *ret_ino = inode.ino;
    return MS_OK;
}

static enum ms_code into_bin(const struct ms_tree *t, uint64_t parent, struct ms_found *f,
                             const struct ms_lc_verdict *verdict, struct ms_error *reterr) {
    struct ms_bin_place place = {parent, f->name.spelling};
    struct ms_asset_record *asset = &f->asset.rec;
    MS_TRY(bin_inode(t, &f->inode, &asset->ino, reterr));
    MS_TRY(ms_change_bin(t->txn, t->id, t->who, asset, verdict->at, &place, reterr));
    return ms_change_life(t->txn, t->id, t->who, asset, &verdict->next, MS_EVENT_DELETE,
                          verdict->at, "", reterr);
}

static enum ms_code purge(const struct ms_tree *t, struct ms_found *f,
                          const struct ms_lc_verdict *verdict, enum ms_event event, const char *why,
                          struct ms_error *reterr) {
    f->asset.rec.ino = 0; /* the inode is settled here */
    return ms_change_purge(t->txn, t->id, t->who, &f->asset.rec, event, verdict->at, why, reterr);
}

enum ms_event ms_tree_unlink_event(const struct ms_tree *t, const struct ms_asset_record *asset,
                                   const struct ms_life *life, const char *name,
                                   const char **ret_why) {
    bool never = life->rest == MS_STATE_CREATING && !life->sealed;
    /* what an administrator has frozen goes no shorter way than the bin */
    bool young = !life->holds && t->now.ms - asset->created.ms < MS_BIN_BYPASS_AGE_MS;
    bool bypasses = !life->holds && ms_bin_bypassed(&t->tenant, name);
    *ret_why = never      ? "never closed"
               : young    ? "younger than the bin takes"
               : bypasses ? "its name bypasses the bin"
                          : "the bin is off";
    return never || young || bypasses ? MS_EVENT_FORCE_DELETE : MS_EVENT_DELETE;
}

/* The last name of an asset goes: bin, or for good. */
static enum ms_code asset_goes(const struct ms_tree *t, uint64_t parent, struct ms_found *f,
                               struct ms_gone *ret_gone, struct ms_error *reterr) {
    const char *why;
    enum ms_event event =
        ms_tree_unlink_event(t, &f->asset.rec, &f->asset.life, f->name.spelling, &why);
    struct ms_lc_facts facts = ms_tree_facts(t, &f->asset.rec);
    struct ms_lc_verdict verdict = ms_lc_step(&f->asset.life, event, &facts);
    if (verdict.rule != MS_LC_ALLOWED)
        return ms_tree_refused(t, &f->asset, verdict.rule, "delete", reterr);
    ret_gone->binned = (verdict.effects & MS_EFFECT_BIN) != 0;
    if (ret_gone->binned)
        MS_TRY(into_bin(t, parent, f, &verdict, reterr));
    else
        MS_TRY(purge(t, f, &verdict, event, why, reterr));
    ms_tree_part(&f->inode, &f->asset, ret_gone->binned ? MS_PART_BINNED : MS_PART_PURGED);
    return MS_OK;
}

/* One of several names went: the asset is called after one that is left. */
static enum ms_code follow_rest(const struct ms_tree *t, struct ms_found *f,
                                struct ms_error *reterr) {
    uint64_t parent;
    char name[MS_NAME_BYTES_MAX + 1];
    struct ms_place place;
    struct ms_judged judged = {.type = (enum ms_asset_type)f->asset.rec.type};
    MS_TRY(ms_change_first_place(t->txn, t->id, f->inode.ino, &parent, name, reterr));
    MS_TRY(ms_tree_place(t, parent, 0, &place, reterr));
    if (ms_tree_judge(t, &f->inode, &f->asset, f->asset.rec.name, name, place.top, &judged, NULL) !=
        MS_OK)
        judged.fits_now = false; /* it was refused when that name was made; nothing gets worse */
    return ms_tree_follow(t, &f->asset, name, &judged, reterr);
}

enum ms_code ms_tree_lost(const struct ms_tree *t, uint64_t parent, struct ms_found *found,
                          bool keep_open, struct ms_gone *ret_gone, struct ms_error *reterr) {
    struct ms_inode_record *inode = &found->inode;
    if (inode->nlink == 0)
        return ms_fail(reterr, MS_CORRUPT,
                       "inode %" PRIu64 " had a name but counts none: run msasset fsck",
                       inode->ino);
    if (inode->nlink > 1 && !S_ISDIR(inode->mode))
        MS_TRY(ms_treeop_drop_names(t, inode, reterr));
    inode->nlink = S_ISDIR(inode->mode) ? 0 : inode->nlink - 1;
    ms_tree_touch(t, inode, MS_TOUCH_CTIME);
    *ret_gone = (struct ms_gone){.ino = inode->ino, .nlink = inode->nlink, .entry_parent = parent};
    if (inode->nlink > 0) {
        MS_TRY(ms_tree_put(t, inode, reterr));
        if (found->has_asset)
            MS_TRY(follow_rest(t, found, reterr));
        return ms_tree_feed_inode(t, inode->ino, reterr);
    }
    if (found->has_asset)
        MS_TRY(asset_goes(t, parent, found, ret_gone, reterr));
    return ms_tree_let_go(t, inode, keep_open, ret_gone, reterr);
}

/* ---- the folder's memory of the bin ---------------------------------------------------------- */

/* The bin holds nothing from it any more: a removed folder is forgotten. An open one stays until it
 * is closed. */
static enum ms_code forget_ghost(struct ms_txn *txn, struct ms_tenant_id tenant,
                                 const struct ms_inode_record *dir, uint64_t *ret_parent,
                                 struct ms_error *reterr) {
    *ret_parent = dir->parent;
    if (!dir->orphan)
        return ms_change_inode_drop(txn, tenant, dir->ino, reterr);
    struct ms_inode_record open = *dir;
    open.parent = 0;
    MS_TRY(ms_row_del(txn, ms_key_symlink(tenant, dir->ino), reterr));
    return ms_row_put_inode(txn, ms_key_inode(tenant, dir->ino), &open, reterr);
}

enum ms_code ms_tree_bin_count(struct ms_txn *txn, struct ms_tenant_id tenant, uint64_t parent,
                               bool more, struct ms_error *reterr) {
    while (parent != 0) {
        struct ms_inode_record dir;
        MS_TRY(ms_row_get_inode(txn, ms_key_inode(tenant, parent), &dir, reterr));
        if (!more && dir.binned == 0)
            return ms_fail(reterr, MS_CORRUPT,
                           "folder %" PRIu64 " would remember less than nothing of the bin: "
                           "run msasset fsck",
                           parent);
        dir.binned += more ? 1 : -1u;
        if (more || dir.binned > 0 || dir.nlink > 0)
            return ms_row_put_inode(txn, ms_key_inode(tenant, parent), &dir, reterr);
        MS_TRY(forget_ghost(txn, tenant, &dir, &parent, reterr));
    }
    return MS_OK;
}
