#include "service/treeop.h"

#include "service/asset_in.h"

#include <stdio.h>
#include <sys/stat.h>

/* ---- where a folder leads -------------------------------------------------------------------- */

enum ms_code ms_treeop_above(struct ms_txn *txn, struct ms_tenant_id tenant, uint64_t dir,
                             uint64_t *ret_removed, struct ms_error *reterr) {
    *ret_removed = 0;
    for (unsigned up = 0; dir != 0 && up <= MS_DEPTH_MAX; up++) {
        struct ms_inode_record inode;
        enum ms_code code = ms_row_get_inode(txn, ms_key_inode(tenant, dir), &inode, reterr);
        if (code != MS_OK)
            return ms_absent_is_fine(code, reterr);
        if (inode.nlink == 0) {
            *ret_removed = dir;
            return MS_OK;
        }
        dir = inode.parent;
    }
    return MS_OK;
}

enum ms_code ms_treeop_attached(const struct ms_tree *t, uint64_t dir, bool *ret_attached,
                                struct ms_error *reterr) {
    uint64_t removed = 0;
    if (t->tenant.treeops > 0)
        MS_TRY(ms_treeop_above(t->txn, t->id, dir, &removed, reterr));
    *ret_attached = removed == 0;
    return MS_OK;
}

/* ---- which operation ------------------------------------------------------------------------- */

enum ms_code ms_treeop_of_folder(struct ms_txn *txn, struct ms_tenant_id tenant, uint64_t folder,
                                 struct ms_treeop_record *ret_op, bool *ret_there,
                                 struct ms_error *reterr) {
    struct ms_key prefix = ms_key_treeops_of(tenant);
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    *ret_there = false;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (!*ret_there && (code = ms_row_next_treeop(&scan, &key, ret_op, reterr)) == MS_OK)
        *ret_there = ret_op->kind == MS_TREEOP_BIN && ret_op->ino == folder;
    ms_scan_end(&scan);
    return *ret_there ? MS_OK : ms_absent_is_fine(code, reterr);
}

/* Of two at one instant the one with the greater id counts, whoever looks. */
static bool is_later(const struct ms_treeop_record *a, const struct ms_treeop_record *b) {
    return a->at.ms != b->at.ms ? a->at.ms > b->at.ms : memcmp(&a->id, &b->id, sizeof a->id) > 0;
}

enum ms_code ms_treeop_of(struct ms_txn *txn, const struct ms_tenant_record *tenant, uint64_t ino,
                          struct ms_treeop_record *ret_op, bool *ret_there, struct ms_error *reterr) {
    struct ms_tenant_id id = {tenant->id};
    struct ms_key prefix = ms_key_links_of(id, ino);
    struct ms_treeop_record op;
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code = MS_OK;
    bool all = true, any = false;
    *ret_there = false;
    if (tenant->treeops == 0 || ino == 0)
        return MS_OK;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (all && (code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        uint64_t of, parent, seq, removed = 0;
        if ((code = ms_key_split_link(key, &of, &parent, &seq, reterr)) != MS_OK ||
            (code = ms_treeop_above(txn, id, parent, &removed, reterr)) != MS_OK ||
            (code = ms_treeop_of_folder(txn, id, removed, &op, &all, reterr)) != MS_OK)
            break;
        if (all && (!any || is_later(&op, ret_op)))
            *ret_op = op;
        any |= all;
    }
    ms_scan_end(&scan);
    *ret_there = all && any;
    return ms_absent_is_fine(code, reterr);
}

/* ---- what it makes of an asset --------------------------------------------------------------- */

/* The operation's point of view: its instant, its actor, the tenant's retention as it was. */
static struct ms_tree view_of(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                              const struct ms_treeop_record *op) {
    struct ms_tree t = {
        .txn = txn,
        .writes = true,
        .id = {tenant->id},
        .tenant = *tenant,
        .who = op->who,
        .admin = true,
        .now = op->at,
        .ts = {.tv_sec = op->at.ms / 1000, .tv_nsec = op->at.ms % 1000 * 1000000},
    };
    t.tenant.retention_ms = op->retention_ms;
    return t;
}

/* A file that somebody is writing goes as by unlink, any other to the bin however young it is. */
static enum ms_code event_of(const struct ms_tree *t, const struct ms_asset_record *asset,
                             const struct ms_life *life, const struct ms_inode_record *inode,
                             enum ms_event *ret_event, struct ms_error *reterr) {
    char name[MS_NAME_BYTES_MAX + 1];
    uint64_t parent;
    const char *why;
    *ret_event = MS_EVENT_DELETE;
    if (!inode->unsealed)
        return MS_OK;
    MS_TRY(ms_change_first_place(t->txn, t->id, inode->ino, &parent, name, reterr));
    *ret_event = ms_tree_unlink_event(t, asset, life, name, &why);
    return MS_OK;
}

/* What renews itself was refused when the operation began. */
static enum ms_code decide(const struct ms_tree *t, const struct ms_asset_record *asset,
                           const struct ms_life *life, enum ms_event event,
                           struct ms_lc_verdict *ret_step, struct ms_error *reterr) {
    struct ms_lc_facts facts = ms_tree_facts(t, asset);
    *ret_step = ms_lc_step(life, event, &facts);
    if (ret_step->rule == MS_LC_ALLOWED)
        return MS_OK;
    return ms_fail(reterr, MS_CORRUPT, "asset %s went into the recycle bin with its folder, but: %s",
                   ms_id_text(asset->id).s, ms_lc_rule_text(ret_step->rule));
}

enum ms_code ms_treeop_life(const struct ms_tree *t, const struct ms_asset_record *asset,
                            struct ms_life *life, struct ms_error *reterr) {
    struct ms_treeop_record op;
    struct ms_inode_record inode;
    struct ms_lc_verdict step;
    enum ms_event event;
    bool there;
    MS_TRY(ms_treeop_of(t->txn, &t->tenant, asset->ino, &op, &there, reterr));
    if (!there)
        return MS_OK;
    struct ms_tree then = view_of(t->txn, &t->tenant, &op);
    struct ms_lc_facts facts = ms_tree_facts(&then, asset);
    *life = ms_tenant_life(&then.tenant, life, &facts, NULL, NULL);
    if (life->rest == MS_STATE_DELETED || life->binned)
        return MS_OK;
    MS_TRY(ms_row_get_inode(t->txn, ms_key_inode(t->id, asset->ino), &inode, reterr));
    MS_TRY(event_of(&then, asset, life, &inode, &event, reterr));
    MS_TRY(decide(&then, asset, life, event, &step, reterr));
    *life = step.next;
    return MS_OK;
}

/* Its writer keeps the inode, without asset and name. */
static enum ms_code as_unlinked(const struct ms_tree *t, struct ms_inode_record *inode,
                                struct ms_asset_record *asset, struct ms_error *reterr) {
    struct ms_found f = {.found = true, .inode = *inode, .has_asset = true};
    struct ms_gone gone;
    uint64_t parent;
    f.asset.rec = *asset;
    f.asset.life = ms_asset_life(asset);
    f.asset.state = ms_lc_shown(&f.asset.life, ms_tenant_mask(&t->tenant, t->now));
    MS_TRY(ms_change_first_place(t->txn, t->id, inode->ino, &parent, f.name.spelling, reterr));
    MS_TRY(ms_change_remove_names(t->txn, t->id, inode->ino, reterr));
    f.inode.nlink = 1;
    MS_TRY(ms_tree_lost(t, parent, &f, false, &gone, reterr));
    *asset = f.asset.rec;
    return MS_OK;
}

enum ms_code ms_treeop_apply(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                             const struct ms_treeop_record *op, struct ms_asset_record *asset,
                             struct ms_error *reterr) {
    struct ms_tree t = view_of(txn, tenant, op);
    struct ms_life life = ms_asset_life(asset);
    struct ms_inode_record inode;
    struct ms_lc_verdict step;
    MS_TRY(ms_row_get_inode(txn, ms_key_inode(t.id, asset->ino), &inode, reterr));
    if (inode.unsealed)
        return as_unlinked(&t, &inode, asset, reterr);
    MS_TRY(decide(&t, asset, &life, MS_EVENT_DELETE, &step, reterr));
    if (step.effects & MS_EFFECT_PURGE)
        return ms_change_purge(txn, t.id, op->who, asset, MS_EVENT_DELETE, step.at, "the bin is off",
                               reterr);
    if (step.effects & MS_EFFECT_BIN)
        MS_TRY(ms_change_bin(txn, t.id, op->who, asset, step.at, NULL, reterr));
    return ms_change_life(txn, t.id, op->who, asset, &step.next, MS_EVENT_DELETE, step.at,
                          "with its folder", reterr);
}

/* ---- names that lead nowhere ----------------------------------------------------------------- */

/* *ret_more false: no name of it does. */
static enum ms_code first_detached(const struct ms_tree *t, uint64_t ino, uint64_t *ret_parent,
                                   uint64_t *ret_seq, bool *ret_more, struct ms_error *reterr) {
    struct ms_key prefix = ms_key_links_of(t->id, ino);
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code;
    uint64_t of, removed = 0;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while (removed == 0 && (code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        code = ms_key_split_link(key, &of, ret_parent, ret_seq, reterr);
        if (code == MS_OK)
            code = ms_treeop_above(t->txn, t->id, *ret_parent, &removed, reterr);
        if (code != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    *ret_more = removed != 0;
    return removed != 0 ? MS_OK : ms_absent_is_fine(code, reterr);
}

enum ms_code ms_treeop_drop_names(const struct ms_tree *t, struct ms_inode_record *inode,
                                  struct ms_error *reterr) {
    uint64_t parent, seq;
    bool more;
    if (t->tenant.treeops == 0)
        return MS_OK;
    MS_TRY(first_detached(t, inode->ino, &parent, &seq, &more, reterr));
    while (more) {
        struct ms_entry_record entry;
        MS_TRY(ms_row_get_entry(t->txn, ms_key_entry(t->id, parent, seq), &entry, reterr));
        MS_TRY(ms_row_del(t->txn, ms_key_name(t->id, parent, entry.nfc), reterr));
        MS_TRY(ms_row_del(t->txn, ms_key_entry(t->id, parent, seq), reterr));
        MS_TRY(ms_row_del(t->txn, ms_key_link(t->id, inode->ino, parent, seq), reterr));
        inode->nlink--;
        MS_TRY(first_detached(t, inode->ino, &parent, &seq, &more, reterr));
    }
    return MS_OK;
}

/* ---- its rows -------------------------------------------------------------------------------- */

static struct ms_key due_key(const struct ms_tree *t, const struct ms_treeop_record *op) {
    return ms_key_due(t->id, op->at, MS_DUE_TREE, op->id);
}

enum ms_code ms_treeop_open(struct ms_tree *t, const struct ms_treeop_record *op,
                            struct ms_error *reterr) {
    const struct ms_due_record due = {.kind = MS_DUE_TREE};
    MS_TRY(ms_row_put_treeop(t->txn, ms_key_treeop(t->id, (struct ms_treeop_id){op->id}), op, reterr));
    MS_TRY(ms_row_put_due(t->txn, due_key(t, op), &due, reterr));
    t->tenant.treeops++;
    return ms_tenant_put(t, reterr);
}

enum ms_code ms_treeop_close(struct ms_tree *t, const struct ms_treeop_record *op,
                             struct ms_error *reterr) {
    if (t->tenant.treeops == 0)
        return ms_fail(reterr, MS_CORRUPT, "tenant %s counts no operation on folders: run msasset fsck",
                       t->tenant.name);
    MS_TRY(ms_row_del(t->txn, ms_key_treeop(t->id, (struct ms_treeop_id){op->id}), reterr));
    MS_TRY(ms_row_del(t->txn, due_key(t, op), reterr));
    t->tenant.treeops--;
    MS_TRY(ms_row_put_tenant(t->txn, ms_key_tenant(t->id), &t->tenant, reterr));
    return ms_tree_bin_count(t->txn, t->id, op->ino, false, reterr);
}
