/* fsck of a tenant's assets: each with its deadline, files, versions, inode, owner and bin entry,
 * in both directions. */
#include "service/fsck_part.h"

#include "content/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One row that is being looked at. */
struct look {
    struct ms_fsck *f;
    struct ms_txn *txn;
    struct ms_tenant_id t;
    struct ms_asset_record asset;
    struct ms_file_record main;
    struct ms_review_record waits; /* its case; zeroed: none */
    bool has_main;
    uint64_t bytes;
};

static struct look look_at(struct ms_fsck *f, struct ms_txn *txn) {
    return (struct look){.f = f, .txn = txn, .t = {f->tenant.id}};
}

static void MS_PRINTF(3, 4) say(struct look *l, const char *invariant, const char *fmt, ...) {
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ms_fsck_finding(l->f, invariant, "tenant %s: %s", l->f->tenant.name, text);
}

/* ---- I5: deadlines --------------------------------------------------------------------------- */

/* The tenant's mask moves deadlines without touching the asset; the row may lie anywhere between
 * the deadline without it and the one with it. */
static enum ms_code check_due_instant(struct look *l, struct ms_error *reterr) {
    const struct ms_asset_record *a = &l->asset;
    struct ms_asset_due due = ms_asset_due(a, (struct ms_mask){0});
    struct ms_tenant_record tenant;
    enum ms_fsck_seen seen;
    if (due.kind != MS_DUE_NONE && a->due_kind != MS_DUE_NONE && a->due_at.ms == due.at.ms)
        return MS_OK;
    if ((due.kind == MS_DUE_NONE) != (a->due_kind == MS_DUE_NONE) || a->due_at.ms < due.at.ms) {
        if (due.kind != MS_DUE_NONE || a->due_kind != MS_DUE_NONE)
            say(l, "I5", "asset %s is due (%s) at %" PRId64 " ms, its record says %" PRId64 " ms",
                ms_id_text(a->id).s, ms_asset_due_name(due.kind), due.at.ms, a->due_at.ms);
        return MS_OK;
    }
    MS_TRY(ms_fsck_see(ms_row_get_tenant(l->txn, ms_key_tenant(l->t), &tenant, reterr), &seen));
    if (seen != MS_FSCK_THERE)
        return MS_OK;
    struct ms_mask mask = ms_tenant_mask(&tenant, (struct ms_instant){0});
    if (ms_mask_broken(&mask)) /* said of the tenant */
        return MS_OK;
    mask = ms_tenant_mask(&tenant, ms_clock_now(l->f->svc->clock));
    due = ms_asset_due(a, mask);
    if (due.kind != MS_DUE_NONE && a->due_at.ms > due.at.ms)
        say(l, "I5", "asset %s is due (%s) at %" PRId64 " ms, its row lies at %" PRId64 " ms",
            ms_id_text(a->id).s, ms_asset_due_name(due.kind), due.at.ms, a->due_at.ms);
    return MS_OK;
}

static enum ms_code check_due(struct look *l, struct ms_error *reterr) {
    const struct ms_asset_record *a = &l->asset;
    struct ms_due_record row;
    enum ms_fsck_seen seen;
    MS_TRY(check_due_instant(l, reterr));
    if (a->due_kind == MS_DUE_NONE)
        return MS_OK;
    struct ms_key key = ms_key_due(l->t, a->due_at, a->due_kind, a->id);
    MS_TRY(ms_fsck_see(ms_row_get_due(l->txn, key, &row, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        say(l, "I5", "asset %s names a due row (%s, %" PRId64 " ms) that is not there",
            ms_id_text(a->id).s, ms_asset_due_name(a->due_kind), a->due_at.ms);
    return MS_OK;
}

static enum ms_code check_package_row(struct look *l, struct ms_id id, struct ms_instant at,
                                      struct ms_error *reterr) {
    struct ms_package_record p;
    struct ms_key key = ms_key_package(l->t, (struct ms_package_id){id});
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_package(l->txn, key, &p, reterr), &seen));
    if (seen == MS_FSCK_ABSENT || (seen == MS_FSCK_THERE && p.due_at.ms != at.ms))
        say(l, "I5", "a due row (%" PRId64 " ms) of package %s, which %s", at.ms, ms_id_text(id).s,
            seen == MS_FSCK_ABSENT ? "is not there" : "names another one");
    return MS_OK;
}

/* The tenant's own: what its record says of its arrears. */
static enum ms_code check_arrears_row(struct look *l, struct ms_id id, struct ms_instant at,
                                      struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_tenant(l->txn, ms_key_tenant(l->t), &tenant, reterr), &seen));
    if (seen != MS_FSCK_THERE)
        return MS_OK;
    if (!ms_id_is(id, l->t.id) || ms_arrears_due(ms_tenant_arrears(&tenant)).ms != at.ms)
        say(l, "I5",
            "a due row (%" PRId64 " ms) of arrears, which the tenant's record does not name",
            at.ms);
    return MS_OK;
}

/* I14, from the index. */
static enum ms_code check_tree_row(struct look *l, struct ms_id id, struct ms_instant at,
                                   struct ms_error *reterr) {
    struct ms_treeop_record op;
    struct ms_key key = ms_key_treeop(l->t, (struct ms_treeop_id){id});
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_treeop(l->txn, key, &op, reterr), &seen));
    if (seen == MS_FSCK_ABSENT ||
        (seen == MS_FSCK_THERE && (op.kind != MS_TREEOP_BIN || op.at.ms != at.ms)))
        say(l, "I14", "a due row (%" PRId64 " ms) of an operation on a folder, %s, which %s", at.ms,
            ms_id_text(id).s, seen == MS_FSCK_ABSENT ? "is not there" : "is another one");
    return MS_OK;
}

static enum ms_code check_due_row(void *priv, struct ms_txn *txn, struct ms_view key,
                                  struct ms_view value, struct ms_error *reterr) {
    struct look l = look_at(priv, txn);
    struct ms_error err = {0};
    struct ms_tenant_id t;
    struct ms_instant at;
    struct ms_due_record row;
    struct ms_asset_id id;
    enum ms_fsck_seen seen;
    uint8_t kind;
    enum ms_code code = ms_key_split_due(key, &t, &at, &kind, &id.id, &err);
    if (code == MS_OK)
        code = ms_due_decode(value, &row, &err);
    if (!ms_fsck_decoded(l.f, code, key, &err))
        return MS_OK;
    if (kind == MS_DUE_PACKAGE)
        return check_package_row(&l, id.id, at, reterr);
    if (kind == MS_DUE_ARREARS)
        return check_arrears_row(&l, id.id, at, reterr);
    if (kind == MS_DUE_TREE)
        return check_tree_row(&l, id.id, at, reterr);
    MS_TRY(ms_fsck_see(ms_row_get_asset(txn, ms_key_asset(l.t, id), &l.asset, reterr), &seen));
    if (seen == MS_FSCK_DAMAGED)
        return MS_OK;
    if (seen == MS_FSCK_ABSENT || l.asset.due_at.ms != at.ms || l.asset.due_kind != kind ||
        row.kind != kind)
        say(&l, "I5", "a due row (kind %u, %" PRId64 " ms) of asset %s, which %s", kind, at.ms,
            ms_id_text(id.id).s, seen == MS_FSCK_ABSENT ? "is not there" : "names another one");
    return MS_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

static enum ms_code check_version_of(struct look *l, const struct ms_file_record *file,
                                     struct ms_error *reterr) {
    struct ms_version_id id = {file->version};
    struct ms_version_record version;
    enum ms_fsck_seen seen;
    MS_TRY(
        ms_fsck_see(ms_row_get_version(l->txn, ms_key_version(l->t, id), &version, reterr), &seen));
    if (seen == MS_FSCK_DAMAGED)
        return MS_OK;
    if (seen == MS_FSCK_ABSENT || !ms_id_is(version.asset, l->asset.id) ||
        !ms_id_is(version.file, file->id))
        say(l, "version", "file %s of asset %s has version %s, which %s", ms_id_text(file->id).s,
            ms_id_text(l->asset.id).s, ms_id_text(id.id).s,
            seen == MS_FSCK_ABSENT ? "is not there" : "is of another file");
    else if (version.size != file->size)
        say(l, "version", "file %s has %" PRIu64 " bytes, its version %" PRIu64,
            ms_id_text(file->id).s, file->size, version.size);
    return MS_OK;
}

static enum ms_code check_file(void *priv, struct ms_txn *txn, struct ms_view key,
                               struct ms_view value, struct ms_error *reterr) {
    struct look *l = priv;
    struct ms_file_record file;
    (void)txn;
    if (ms_file_decode(value, &file, NULL) != MS_OK) /* said by the walk over files */
        return MS_OK;
    bool main = ms_id_is(file.id, l->asset.main_file);
    if (main) {
        l->has_main = true;
        l->main = file;
    }
    if (!ms_id_is(file.id, ms_key_id_at(key, key.n - MS_ID_BYTES)))
        say(l, "file", "file %s of asset %s lies under another id", ms_id_text(file.id).s,
            ms_id_text(l->asset.id).s);
    bool given_up = !ms_id_is_set(file.version) && /* a MAIN that was cancelled is nobody's */
                    (file.state == MS_FILE_CANCELLED || file.state == MS_FILE_FAILED);
    if (main != (file.category == MS_CATEGORY_MAIN) && !(given_up && !main))
        say(l, "file", "file %s is %sthe MAIN of asset %s, its category says otherwise",
            ms_id_text(file.id).s, main ? "" : "not ", ms_id_text(l->asset.id).s);
    if (!ms_id_is_set(file.version))
        return MS_OK;
    l->bytes += file.size;
    return check_version_of(l, &file, reterr);
}

static void pass_over(void *priv, struct ms_view key, const struct ms_error *err) {
    (void)priv, (void)key, (void)err;
}

static enum ms_code check_files(struct look *l, struct ms_error *reterr) {
    const struct ms_asset_record *a = &l->asset;
    struct ms_walk walk = {.prefix = ms_key_files_of(l->t, (struct ms_asset_id){a->id}),
                           .each = check_file,
                           .priv = l,
                           .damaged = pass_over};
    MS_TRY(ms_walk_in(l->txn, &walk, reterr));
    if (ms_id_is_set(a->main_file) && !l->has_main)
        say(l, "file", "asset %s has MAIN file %s, which is not there", ms_id_text(a->id).s,
            ms_id_text(a->main_file).s);
    if (ms_id_is_set(l->waits.held) && !ms_id_is_set(l->waits.held_file))
        l->bytes += l->waits.held_bytes; /* it counts beside the live one */
    if (a->bytes != l->bytes)
        say(l, "asset", "asset %s counts %" PRIu64 " bytes, its files have %" PRIu64,
            ms_id_text(a->id).s, a->bytes, l->bytes);
    return MS_OK;
}

static enum ms_code check_file_row(void *priv, struct ms_txn *txn, struct ms_view key,
                                   struct ms_view value, struct ms_error *reterr) {
    struct look l = look_at(priv, txn);
    struct ms_asset_id id = {ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)};
    struct ms_error err = {0};
    struct ms_file_record file;
    enum ms_fsck_seen seen;
    if (!ms_fsck_decoded(l.f, ms_file_decode(value, &file, &err), key, &err))
        return MS_OK;
    MS_TRY(ms_fsck_see(ms_row_get_asset(txn, ms_key_asset(l.t, id), &l.asset, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        say(&l, "file", "file %s is of asset %s, which is not there", ms_id_text(file.id).s,
            ms_id_text(id.id).s);
    return MS_OK;
}

/* ---- versions -------------------------------------------------------------------------------- */

/* *ret_whole: every row of hashes is there, and h has them. */
static enum ms_code load_hashes(struct look *l, const struct ms_version_record *v,
                                struct ms_hashes *h, bool *ret_whole, struct ms_error *reterr) {
    struct ms_object_id object = {v->object};
    uint64_t n = ms_block_count(v->size, v->block_log2);
    *ret_whole = true;
    MS_TRY(ms_hashes_resize(h, n, reterr));
    for (uint64_t at = 0; at < n && *ret_whole; at += MS_HASHES_PER_ROW) {
        uint32_t chunk = (uint32_t)(at / MS_HASHES_PER_ROW);
        uint64_t want = n - at < MS_HASHES_PER_ROW ? n - at : MS_HASHES_PER_ROW;
        struct ms_hashes_record row;
        enum ms_fsck_seen seen;
        MS_TRY(ms_fsck_see(ms_row_get_hashes(l->txn, ms_key_hashes(object, chunk), &row, reterr),
                           &seen));
        *ret_whole = seen == MS_FSCK_THERE && row.count == want;
        if (*ret_whole)
            memcpy(h->hash + at, row.hash, want * sizeof *row.hash);
        else if (seen != MS_FSCK_DAMAGED)
            say(l, "hashes", "object %s of version %s has %s %" PRIu32 " of block hashes",
                ms_id_text(object.id).s, ms_id_text(v->id).s,
                seen == MS_FSCK_ABSENT ? "no row" : "a short row", chunk);
    }
    return MS_OK;
}

static enum ms_code check_root(struct look *l, const struct ms_version_record *v,
                               struct ms_error *reterr) {
    MS_AUTO(ms_hashes_fini) struct ms_hashes h = {NULL, 0, 0};
    uint8_t root[16];
    bool whole;
    MS_TRY(load_hashes(l, v, &h, &whole, reterr));
    if (!whole)
        return MS_OK;
    ms_hashes_root(&h, v->size, root);
    if (memcmp(root, v->root, sizeof root) != 0)
        say(l, "root", "version %s of %" PRIu64 " bytes: its root is not that of its block hashes",
            ms_id_text(v->id).s, v->size);
    return MS_OK;
}

static enum ms_code check_object_of(struct look *l, const struct ms_version_record *v,
                                    struct ms_error *reterr) {
    struct ms_object_id id = {v->object};
    struct ms_object_record object;
    enum ms_fsck_seen seen;
    if (!ms_id_is_set(v->object)) {
        if (v->size > 0 && !v->local)
            say(l, "version", "version %s has %" PRIu64 " bytes and no object", ms_id_text(v->id).s,
                v->size);
        return MS_OK;
    }
    MS_TRY(ms_fsck_see(ms_row_get_object(l->txn, ms_key_object(id), &object, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        say(l, "object", "version %s has object %s, which is not there", ms_id_text(v->id).s,
            ms_id_text(id.id).s);
    if (seen == MS_FSCK_THERE && (object.size != v->size || object.block_log2 != v->block_log2))
        say(l, "object",
            "version %s has %" PRIu64 " bytes in blocks of 2^%u, its object %" PRIu64 " of 2^%u",
            ms_id_text(v->id).s, v->size, v->block_log2, object.size, object.block_log2);
    return MS_OK;
}

static enum ms_code check_file_of(struct look *l, const struct ms_version_record *v,
                                  struct ms_error *reterr) {
    struct ms_key key =
        ms_key_file(l->t, (struct ms_asset_id){v->asset}, (struct ms_file_id){v->file});
    struct ms_file_record file;
    struct ms_review_record waits;
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_review(l->txn, ms_key_review(l->t, (struct ms_asset_id){v->asset}),
                                         &waits, reterr),
                       &seen));
    if (seen == MS_FSCK_DAMAGED || (seen == MS_FSCK_THERE && ms_id_is(waits.held, v->id)))
        return MS_OK; /* the asset's own look judges it */
    MS_TRY(ms_fsck_see(ms_row_get_file(l->txn, key, &file, reterr), &seen));
    if (seen == MS_FSCK_ABSENT || (seen == MS_FSCK_THERE && !ms_id_is(file.version, v->id)))
        say(l, "version", "version %s is of file %s, which %s", ms_id_text(v->id).s,
            ms_id_text(v->file).s, seen == MS_FSCK_ABSENT ? "is not there" : "has another one");
    return MS_OK;
}

static enum ms_code check_version(void *priv, struct ms_txn *txn, struct ms_view key,
                                  struct ms_view value, struct ms_error *reterr) {
    struct look l = look_at(priv, txn);
    struct ms_version_record v;
    struct ms_error err = {0};
    if (!ms_fsck_decoded(l.f, ms_version_decode(value, &v, &err), key, &err))
        return MS_OK;
    if (!ms_id_is(v.id, ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)))
        say(&l, "version", "version %s lies under another id", ms_id_text(v.id).s);
    MS_TRY(check_file_of(&l, &v, reterr));
    MS_TRY(check_object_of(&l, &v, reterr));
    if (v.hashed)
        MS_TRY(check_root(&l, &v, reterr));
    return ms_id_is_set(v.object) ? ms_numbers_add(&l.f->refs, ms_id_half(v.object), reterr)
                                  : MS_OK;
}

/* ---- inode, owner, bin ----------------------------------------------------------------------- */

static enum ms_code check_inode(struct look *l, struct ms_error *reterr) {
    const struct ms_asset_record *a = &l->asset;
    struct ms_inode_record inode;
    enum ms_fsck_seen seen;
    if (a->ino == 0)
        return MS_OK;
    MS_TRY(
        ms_fsck_see(ms_row_get_inode(l->txn, ms_key_inode(l->t, a->ino), &inode, reterr), &seen));
    if (seen == MS_FSCK_DAMAGED)
        return MS_OK;
    if (seen == MS_FSCK_ABSENT || !ms_id_is(inode.asset, a->id))
        say(l, "asset", "asset %s has inode %" PRIu64 ", which %s", ms_id_text(a->id).s, a->ino,
            seen == MS_FSCK_ABSENT ? "is not there" : "is of another asset");
    else if (ms_id_is_set(l->waits.held) && !ms_id_is(inode.version, l->waits.held))
        say(l, "version", "inode %" PRIu64 " has version %s, its asset holds %s for review", a->ino,
            ms_id_text(inode.version).s, ms_id_text(l->waits.held).s);
    else if (!ms_id_is_set(l->waits.held) && l->has_main && !ms_id_is(inode.version, l->main.version))
        say(l, "version", "inode %" PRIu64 " has version %s, MAIN of its asset %s", a->ino,
            ms_id_text(inode.version).s, ms_id_text(l->main.version).s);
    return MS_OK;
}

/* The new MAIN that waits is a version of the asset, with the bytes that its case says. */
static enum ms_code check_held(struct look *l, struct ms_error *reterr) {
    struct ms_version_id id = {l->waits.held};
    struct ms_version_record v;
    enum ms_fsck_seen seen;
    if (!ms_id_is_set(id.id))
        return MS_OK;
    MS_TRY(ms_fsck_see(ms_row_get_version(l->txn, ms_key_version(l->t, id), &v, reterr), &seen));
    if (seen == MS_FSCK_ABSENT ||
        (seen == MS_FSCK_THERE &&
         (!ms_id_is(v.asset, l->asset.id) || v.size != l->waits.held_bytes ||
          !ms_id_is(v.file, ms_id_is_set(l->waits.held_file) ? l->waits.held_file
                                                             : l->asset.main_file))))
        say(l, "version", "asset %s holds version %s for review, which %s",
            ms_id_text(l->asset.id).s, ms_id_text(id.id).s,
            seen == MS_FSCK_ABSENT ? "is not there" : "is another file's, or of another size");
    return MS_OK;
}

static enum ms_code check_owner(struct look *l, struct ms_error *reterr) {
    struct ms_key key = ms_key_aowner((struct ms_asset_id){l->asset.id});
    struct ms_id owner;
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_id(l->txn, key, &owner, reterr), &seen));
    if (seen == MS_FSCK_ABSENT || (seen == MS_FSCK_THERE && !ms_id_is(owner, l->t.id)))
        say(l, "owner", "asset %s is listed as %s", ms_id_text(l->asset.id).s,
            seen == MS_FSCK_ABSENT ? "nobody's" : "another tenant's");
    return MS_OK;
}

static enum ms_code check_bin(struct look *l, struct ms_error *reterr) {
    const struct ms_asset_record *a = &l->asset;
    struct ms_bin_record bin;
    struct ms_bin_id id;
    enum ms_fsck_seen seen;
    struct ms_key key = ms_key_binasset(l->t, (struct ms_asset_id){a->id});
    MS_TRY(ms_fsck_see(ms_row_get_id(l->txn, key, &id.id, reterr), &seen));
    if (seen == MS_FSCK_DAMAGED)
        return MS_OK;
    if ((seen == MS_FSCK_THERE) != (a->binned != 0)) {
        say(l, "bin", "asset %s is %sin the recycle bin, the bin says otherwise",
            ms_id_text(a->id).s, a->binned ? "" : "not ");
        return MS_OK;
    }
    if (seen == MS_FSCK_ABSENT)
        return MS_OK;
    MS_TRY(ms_fsck_see(ms_row_get_bin(l->txn, ms_key_bin(l->t, id), &bin, reterr), &seen));
    if (seen == MS_FSCK_ABSENT ||
        (seen == MS_FSCK_THERE && (!ms_id_is(bin.asset, a->id) || bin.ino != a->ino)))
        say(l, "bin", "asset %s has bin entry %s, which %s", ms_id_text(a->id).s,
            ms_id_text(id.id).s, seen == MS_FSCK_ABSENT ? "is not there" : "holds something else");
    return MS_OK;
}

/* A bin entry is found by its asset. */
static enum ms_code check_bin_row(void *priv, struct ms_txn *txn, struct ms_view key,
                                  struct ms_view value, struct ms_error *reterr) {
    struct look l = look_at(priv, txn);
    struct ms_error err = {0};
    struct ms_bin_record bin;
    struct ms_id named;
    enum ms_fsck_seen seen;
    if (!ms_fsck_decoded(l.f, ms_bin_decode(value, &bin, &err), key, &err))
        return MS_OK;
    struct ms_key of = ms_key_binasset(l.t, (struct ms_asset_id){bin.asset});
    MS_TRY(ms_fsck_see(ms_row_get_id(txn, of, &named, reterr), &seen));
    if (seen == MS_FSCK_ABSENT || (seen == MS_FSCK_THERE && !ms_id_is(named, bin.id)) ||
        !ms_id_is(bin.id, ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)))
        say(&l, "bin", "bin entry \"%.80s\" of asset %s is found by nothing", bin.name,
            ms_id_text(bin.asset).s);
    return MS_OK;
}

static enum ms_code check_binasset_row(void *priv, struct ms_txn *txn, struct ms_view key,
                                       struct ms_view value, struct ms_error *reterr) {
    struct look l = look_at(priv, txn);
    struct ms_asset_id id = {ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)};
    enum ms_fsck_seen seen;
    (void)value;
    MS_TRY(ms_fsck_see(ms_row_get_asset(txn, ms_key_asset(l.t, id), &l.asset, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        say(&l, "bin", "the bin lists asset %s, which is not there", ms_id_text(id.id).s);
    return MS_OK;
}

static enum ms_code check_facts_row(void *priv, struct ms_txn *txn, struct ms_view key,
                                    struct ms_view value, struct ms_error *reterr) {
    struct look l = look_at(priv, txn);
    struct ms_version_id id = {ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)};
    struct ms_facts_record facts;
    struct ms_version_record version;
    struct ms_error err = {0};
    enum ms_fsck_seen seen;
    if (!ms_fsck_decoded(l.f, ms_facts_decode(value, &facts, &err), key, &err))
        return MS_OK;
    MS_TRY(ms_fsck_see(ms_row_get_version(txn, ms_key_version(l.t, id), &version, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        say(&l, "version", "facts are about version %s, which is not there", ms_id_text(id.id).s);
    return MS_OK;
}

/* ---- reviews --------------------------------------------------------------------------------- */

static enum ms_code check_review(struct look *l, struct ms_error *reterr) {
    struct ms_key key = ms_key_review(l->t, (struct ms_asset_id){l->asset.id});
    enum ms_fsck_seen seen;
    MS_TRY(ms_fsck_see(ms_row_get_review(l->txn, key, &l->waits, reterr), &seen));
    if (seen != MS_FSCK_THERE)
        memset(&l->waits, 0, sizeof l->waits);
    if (seen != MS_FSCK_DAMAGED && (seen == MS_FSCK_THERE) != (l->asset.in_review != 0))
        say(l, "I12", "asset %s waits for %s verdict, the queue says otherwise",
            ms_id_text(l->asset.id).s, l->asset.in_review ? "a" : "no");
    return MS_OK;
}

static enum ms_code check_review_row(void *priv, struct ms_txn *txn, struct ms_view key,
                                     struct ms_view value, struct ms_error *reterr) {
    struct look l = look_at(priv, txn);
    struct ms_error err = {0};
    struct ms_review_record row;
    enum ms_fsck_seen seen;
    if (!ms_fsck_decoded(l.f, ms_review_decode(value, &row, &err), key, &err))
        return MS_OK;
    struct ms_key of = ms_key_asset(l.t, (struct ms_asset_id){row.asset});
    MS_TRY(ms_fsck_see(ms_row_get_asset(txn, of, &l.asset, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        say(&l, "I12", "a verdict is awaited on asset %s, which is not there",
            ms_id_text(row.asset).s);
    return MS_OK;
}

/* ---- I13: the package that it is bound to ----------------------------------------------------- */

/* The other way round: fsck_package.c. */
static enum ms_code check_bound(struct look *l, struct ms_error *reterr) {
    struct ms_package_id package = {l->asset.package};
    struct ms_key key = ms_key_bound(l->t, package, (struct ms_asset_id){l->asset.id});
    struct ms_id row;
    enum ms_fsck_seen seen;
    if (ms_package_id_is_none(package))
        return MS_OK;
    MS_TRY(ms_fsck_see(ms_row_get_id(l->txn, key, &row, reterr), &seen));
    if (seen == MS_FSCK_ABSENT)
        say(l, "I13", "asset %s names package %s, which does not list it", ms_id_text(l->asset.id).s,
            ms_id_text(package.id).s);
    return MS_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum ms_code check_asset(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr) {
    struct look l = look_at(priv, txn);
    struct ms_error err = {0};
    if (!ms_fsck_decoded(l.f, ms_asset_decode(value, &l.asset, &err), key, &err))
        return MS_OK;
    if (!ms_id_is(l.asset.id, ms_key_id_at(key, MS_TABLE_TENANT_KEY_BYTES)))
        say(&l, "asset", "asset %s lies under another id", ms_id_text(l.asset.id).s);
    MS_TRY(check_due(&l, reterr));
    MS_TRY(check_review(&l, reterr));
    MS_TRY(check_files(&l, reterr));
    MS_TRY(check_held(&l, reterr));
    MS_TRY(check_inode(&l, reterr));
    MS_TRY(check_owner(&l, reterr));
    MS_TRY(check_bound(&l, reterr));
    MS_TRY(check_bin(&l, reterr));
    l.f->result.assets++;
    return MS_OK;
}

enum ms_code ms_fsck_assets(struct ms_fsck *f, struct ms_error *reterr) {
    struct ms_tenant_id t = {f->tenant.id};
    const struct ms_asset_id no_asset = {{{0}}};
    MS_TRY(ms_fsck_walk(f, ms_key_assets_of(t), check_asset, reterr));
    MS_TRY(ms_fsck_walk(f, ms_key_dues_of(t), check_due_row, reterr));
    MS_TRY(
        ms_fsck_walk(f, ms_table_of_tenant(ms_key_files_of(t, no_asset)), check_file_row, reterr));
    MS_TRY(ms_fsck_walk(f, ms_key_versions_of(t), check_version, reterr));
    MS_TRY(ms_fsck_walk(f, ms_key_facts_of(t), check_facts_row, reterr));
    MS_TRY(ms_fsck_walk(f, ms_key_bins_of(t), check_bin_row, reterr));
    MS_TRY(ms_fsck_walk(f, ms_table_of_tenant(ms_key_binasset(t, no_asset)), check_binasset_row,
                        reterr));
    MS_TRY(ms_fsck_walk(f, ms_key_reviews_of(t), check_review_row, reterr));
    return ms_fsck_files(f, reterr);
}
