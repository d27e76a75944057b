/* A folder into the recycle bin, with all that it holds, in one commit: see treeop.h. */
#include "service/asset_in.h"
#include "service/treeop.h"
#include "service/upkeep_walk.h"

#include <inttypes.h>
#include <stdio.h>

struct bin_args {
    uint64_t parent;
    const char *name;
};
struct bin_out {
    uint64_t ino;
    bool off;
};

/* ---- what cannot be deleted ------------------------------------------------------------------ */

/* Every name of the inode that is in the tree lies below the folder. */
static enum ms_code is_below(const struct ms_tree *t, uint64_t ino, uint64_t folder, bool *ret_below,
                             struct ms_error *reterr) {
    struct ms_key prefix = ms_key_links_of(t->id, ino);
    struct ms_place place = {.below = true};
    struct ms_scan scan;
    struct ms_view key, value;
    enum ms_code code = MS_OK;
    bool any = false;
    ms_scan_prefix(&scan, t->txn, ms_key_view(&prefix));
    while (place.below && (code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        uint64_t of, parent, seq;
        code = ms_key_split_link(key, &of, &parent, &seq, reterr);
        bool attached = true; /* a name that is on its way already keeps nothing */
        if (code == MS_OK)
            code = ms_treeop_attached(t, parent, &attached, reterr);
        if (code == MS_OK && attached)
            code = ms_tree_place(t, parent, folder, &place, reterr);
        if (code != MS_OK)
            break;
        any |= attached;
    }
    ms_scan_end(&scan);
    *ret_below = any && place.below;
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code may_go(const struct ms_tree *t, struct ms_asset_id id, uint64_t folder,
                           struct ms_error *reterr) {
    struct ms_asset_record stored;
    struct ms_tree_asset a;
    bool there, below;
    MS_TRY(ms_allow_absent(ms_row_get_asset(t->txn, ms_key_asset(t->id, id), &stored, reterr), &there));
    if (!there)
        return MS_OK;
    MS_TRY(is_below(t, stored.ino, folder, &below, reterr));
    if (!below)
        return MS_OK;
    MS_TRY(ms_allow_absent(ms_asset_find_in(t, id, &a, reterr), &there));
    if (!there || a.life.binned || !a.life.auto_renew)
        return MS_OK;
    return ms_tree_refused(t, &a, MS_LC_AUTO_RENEW, "delete", reterr);
}

/* The first binding behind *from, which moves behind it. */
static enum ms_code next_bound(const struct ms_tree *t, struct ms_key *from, struct ms_asset_id *ret_id,
                               struct ms_error *reterr) {
    struct ms_package_id last;
    struct ms_asset_id top;
    struct ms_scan scan;
    struct ms_view key, value;
    memset(&last, 0xff, sizeof last);
    memset(&top, 0xff, sizeof top);
    struct ms_key to = ms_key_bound(t->id, last, top);
    ms_scan_begin(&scan, t->txn, ms_key_view(from), ms_key_view(&to));
    enum ms_code code = ms_scan_next(&scan, &key, &value, reterr);
    if (code == MS_OK) {
        memcpy(from->bytes, key.p, key.n);
        from->bytes[key.n] = 0;
        from->len = key.n + 1;
        ret_id->id = ms_key_id_at(ms_view_of(from->bytes, key.n), key.n - MS_ID_BYTES);
    }
    ms_scan_end(&scan);
    return code;
}

/* One asset that is bound to a package that renews itself keeps the whole folder. Bindings are bought one by
 * one, so there are few. What is due of the packages of those below is applied: later it goes behind. */
static enum ms_code all_may_go(const struct ms_tree *t, uint64_t folder, struct ms_error *reterr) {
    struct ms_key from = ms_key_bound(t->id, (struct ms_package_id){{{0}}}, (struct ms_asset_id){{{0}}});
    struct ms_asset_id id;
    struct ms_error end = {0};
    enum ms_code code;
    while ((code = next_bound(t, &from, &id, &end)) == MS_OK)
        MS_TRY(may_go(t, id, folder, reterr));
    return code == MS_NOT_FOUND ? MS_OK : ms_pass_up(code, &end, reterr);
}

/* ---- the commit ------------------------------------------------------------------------------ */

static enum ms_code note(const struct ms_tree *t, uint64_t ino, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf path = {0};
    char why[MS_REASON_MAX + 1];
    enum ms_state shown = ms_tenant_mask(&t->tenant, t->now).holds ? MS_STATE_BLOCK : MS_STATE_ACTIVED;
    MS_TRY(ms_tree_path_of(t, ino, &path, reterr));
    size_t n = path.len < MS_REASON_MAX ? path.len : MS_REASON_MAX;
    while (n > 0 && n < path.len && (path.data[n] & 0xc0) == 0x80) /* between characters */
        n--;
    memcpy(why, path.data, n);
    why[n] = '\0';
    return ms_change_note(t->txn, t->id, t->who, (struct ms_asset_id){{{0}}}, MS_AUDIT_FOLDER_BINNED,
                          shown, why, reterr);
}

/* The folder loses its name, and is remembered: the operation counts as one thing that the bin has from it. */
static enum ms_code detach(struct ms_tree *t, uint64_t parent, struct ms_found *f,
                           struct ms_error *reterr) {
    struct ms_treeop_record op = {.kind = MS_TREEOP_BIN,
                                  .ino = f->inode.ino,
                                  .parent = parent,
                                  .at = t->now,
                                  .retention_ms = t->tenant.retention_ms};
    struct ms_gone gone;
    ms_txn_random(t->txn, op.id.b, sizeof op.id.b);
    (void)snprintf(op.name, sizeof op.name, "%s", f->name.spelling);
    (void)snprintf(op.who, sizeof op.who, "%s", t->who);
    MS_TRY(ms_tree_folder_unname(t, parent, f, reterr));
    MS_TRY(ms_tree_bin_count(t->txn, t->id, op.ino, true, reterr));
    MS_TRY(ms_tree_dir_lost(t, parent, f, false, &gone, reterr));
    return ms_treeop_open(t, &op, reterr);
}

static enum ms_code bin_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct bin_args *args = ((const struct ms_tree_call *)in)->args;
    struct bin_out *o = out;
    struct ms_tree t;
    struct ms_found f;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_tree_find_folder(&t, args->parent, args->name, "deleted", &f, reterr));
    o->off = t.tenant.retention_ms == 0;
    if (o->off)
        return MS_OK;
    o->ino = f.inode.ino;
    MS_TRY(all_may_go(&t, o->ino, reterr));
    MS_TRY(note(&t, o->ino, reterr));
    return detach(&t, args->parent, &f, reterr);
}

enum ms_code ms_tree_bin(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t parent,
                         const char *name, uint64_t *ret_ino, struct ms_error *reterr) {
    const struct bin_args args = {parent, name};
    struct bin_out out = {0};
    MS_TRY(ms_tree_write_freeing(svc, ctx, bin_op, &args, &out, sizeof out, reterr));
    if (out.off)
        return ms_fail(reterr, MS_UNSUPPORTED,
                       "the recycle bin is off: folder \"%s\" can only be deleted for good", name);
    if (svc->files) /* tests of the tree alone have none */
        ms_file_revalidate(svc, ctx->tenant, 0);
    ms_tree_worker_wake(svc);
    *ret_ino = out.ino;
    return MS_OK;
}
