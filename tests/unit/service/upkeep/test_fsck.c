#include "keep.h"

#include "content/hash.h"
#include "model/facts.h"
#include "model/keys.h"
#include "quota/package.h"
#include "service/change.h"
#include "service/confirm.h"
#include "service/request.h"
#include "service/review.h"
#include "service/share.h"
#include "service/transfer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a clean store ----------------------------------------------------------------------- */

static void a_store_with_one_of_everything_is_clean(void **state) {
    struct world *w = *state;
    struct said *said = calloc(1, sizeof *said);
    check_clean(w->svc);
    fill_world(w);
    check_clean(w->svc);
    run_fsck(w->svc, true, true, said);
    assert_int_equal(said->result.tenants, 1);
    assert_int_equal(said->result.assets, 5);
    assert_int_equal(said->result.objects, 4);
    assert_int_equal(said->result.bytes_read, 300000 + 26 + 5000 + 700);
    free(said);
}

static void an_open_file_of_a_live_process_is_neither_finding_nor_pending(void **state) {
    struct world *w = *state;
    struct ms_handle *h = make_file(w, "/files/open.bin");
    put_bytes(h, 0, "abc", 3);
    assert_ok(sync_file(h, &test_err));
    check_clean(w->svc);
    seal_file(h);
    check_clean(w->svc);
}

/* ---- damage, one row at a time ----------------------------------------------------------- */

/* What the rows are changed by. */
struct scene {
    struct ms_tenant_id t;
    struct ms_tenant_record tenant;
    struct behind a, b, deep, dir, sub; /* /files/a.txt, b.txt, /dir/sub/deep.bin, /dir, /dir/sub */
    struct ms_bin_record bin;
    struct ms_asset_record binned;
    /* what waits: a declared file, a verdict, a request, a transfer */
    struct ms_upload_record upload;
    struct ms_file_record declared;
    struct ms_request_record request;
    struct ms_transfer_record job;
    struct ms_share_record share; /* of a.txt, with the same tenant */
    struct ms_asset_id reviewed, moved;
    struct ms_instance_id self;
    struct ms_id other; /* an id that nothing has */
    uint64_t files;     /* the folder */
};

static enum ms_code put_usage(struct ms_txn *txn, const struct scene *s, unsigned which,
                              uint64_t more, struct ms_error *e) {
    struct ms_usage_record u;
    enum ms_code code = ms_row_get_usage(txn, ms_key_usage(s->t), &u, e);
    uint64_t *field[] = {&u.standard,      &u.produced_free, &u.produced, &u.excluded, &u.assets,
                         &u.binned_assets, &u.binned_bytes,  &u.inodes,   &u.reserved,
                         &u.extra_allowance};
    if (code != MS_OK)
        return code;
    *field[which] += more;
    return ms_row_put_usage(txn, ms_key_usage(s->t), &u, e);
}

#define DAMAGE(name)                                                                               \
    static enum ms_code name(struct ms_txn *txn, const void *arg, struct ms_error *e)
#define SCENE const struct scene *s = arg

#define USAGE(name, which)                                                                         \
    DAMAGE(name) { return put_usage(txn, arg, which, 1, e); }
USAGE(usage_standard, 0)
USAGE(usage_produced_free, 1)
USAGE(usage_produced, 2)
USAGE(usage_excluded, 3)
USAGE(usage_assets, 4)
USAGE(usage_binned_assets, 5)
USAGE(usage_binned_bytes, 6)
USAGE(usage_inodes, 7)
USAGE(usage_reserved, 8)
USAGE(usage_capacity, 9)

static enum ms_code put_asset(struct ms_txn *txn, const struct scene *s,
                              const struct ms_asset_record *a, struct ms_error *e) {
    return ms_row_put_asset(txn, ms_key_asset(s->t, (struct ms_asset_id){a->id}), a, e);
}

DAMAGE(class_of_an_asset) {
    SCENE;
    struct ms_asset_record a = s->a.asset;
    a.counted = 3;
    return put_asset(txn, s, &a, e);
}
DAMAGE(bytes_of_an_asset) {
    SCENE;
    struct ms_asset_record a = s->a.asset;
    a.bytes++;
    return put_asset(txn, s, &a, e);
}

/* I5 */
DAMAGE(due_row_gone) {
    SCENE;
    const struct ms_asset_record *b = &s->b.asset;
    return ms_row_del(txn, ms_key_due(s->t, b->due_at, b->due_kind, b->id), e);
}
DAMAGE(second_due_row) {
    SCENE;
    struct ms_due_record row = {.kind = MS_DUE_PURGE};
    return ms_row_put_due(txn, ms_key_due(s->t, s->b.asset.due_at, row.kind, s->b.asset.id), &row,
                          e);
}
DAMAGE(due_row_of_nobody) {
    SCENE;
    struct ms_due_record row = {.kind = MS_DUE_PURGE};
    return ms_row_put_due(txn, ms_key_due(s->t, s->b.asset.due_at, row.kind, s->other), &row, e);
}
DAMAGE(due_not_named) {
    SCENE;
    struct ms_asset_record b = s->b.asset;
    b.due_kind = MS_DUE_NONE;
    b.due_at = (struct ms_instant){0};
    return put_asset(txn, s, &b, e);
}
static enum ms_code move_due(struct ms_txn *txn, const struct scene *s, int64_t by,
                             struct ms_error *e) {
    struct ms_asset_record b = s->b.asset;
    struct ms_due_record row = {.kind = b.due_kind};
    enum ms_code code = ms_row_del(txn, ms_key_due(s->t, b.due_at, b.due_kind, b.id), e);
    b.due_at.ms += by;
    if (code == MS_OK)
        code = ms_row_put_due(txn, ms_key_due(s->t, b.due_at, b.due_kind, b.id), &row, e);
    return code == MS_OK ? put_asset(txn, s, &b, e) : code;
}
DAMAGE(due_too_late) { return move_due(txn, arg, 1, e); }
DAMAGE(due_too_early) { return move_due(txn, arg, -1, e); }
DAMAGE(due_without_deadline) {
    SCENE;
    struct ms_asset_record a = s->a.asset;
    struct ms_due_record row = {.kind = MS_DUE_PURGE};
    a.due_kind = MS_DUE_PURGE;
    a.due_at = s->b.asset.due_at;
    enum ms_code code = ms_row_put_due(txn, ms_key_due(s->t, a.due_at, a.due_kind, a.id), &row, e);
    return code == MS_OK ? put_asset(txn, s, &a, e) : code;
}

static enum ms_code put_arrears(struct ms_txn *txn, const struct scene *s, uint8_t stage,
                                struct ms_error *e) {
    struct ms_tenant_record t = s->tenant;
    t.arrears_since = t.created;
    t.arrears = stage;
    t.mask_holds = MS_HOLD_ARREARS;
    t.mask_since = t.created;
    return ms_row_put_tenant(txn, ms_key_tenant(s->t), &t, e);
}
DAMAGE(arrears_without_due_row) { return put_arrears(txn, arg, 1, e); }
DAMAGE(hold_of_arrears_without_due_row) { return put_arrears(txn, arg, 2, e); }
DAMAGE(assets_behind_the_end_of_arrears) { return put_arrears(txn, arg, 3, e); }
DAMAGE(due_row_of_no_arrears) {
    SCENE;
    struct ms_due_record row = {.kind = MS_DUE_ARREARS};
    return ms_row_put_due(txn, ms_key_due(s->t, s->b.asset.due_at, row.kind, s->t.id), &row, e);
}

/* I14 */
static struct ms_treeop_record folder_op(const struct scene *s, uint64_t ino) {
    return (struct ms_treeop_record){
        .id = s->other, .kind = MS_TREEOP_BIN, .ino = ino, .at = s->b.asset.created};
}
static enum ms_code count_folders(struct ms_txn *txn, const struct scene *s, uint32_t n,
                                  struct ms_error *e) {
    struct ms_tenant_record t;
    MS_TRY(ms_row_get_tenant(txn, ms_key_tenant(s->t), &t, e));
    t.treeops = n;
    return ms_row_put_tenant(txn, ms_key_tenant(s->t), &t, e);
}
DAMAGE(due_row_of_no_folder) {
    SCENE;
    struct ms_due_record row = {.kind = MS_DUE_TREE};
    return ms_row_put_due(txn, ms_key_due(s->t, s->b.asset.created, row.kind, s->other), &row, e);
}
DAMAGE(folders_counted_that_are_none) {
    SCENE;
    return count_folders(txn, s, 2, e);
}
/* Its folder is there still, and does not count it; it has no due row. */
DAMAGE(folder_on_its_way_that_was_not_removed) {
    SCENE;
    struct ms_tenant_record t;
    MS_TRY(ms_row_get_tenant(txn, ms_key_tenant(s->t), &t, e));
    struct ms_treeop_record op = folder_op(s, t.root_ino);
    MS_TRY(count_folders(txn, s, 1, e));
    return ms_row_put_treeop(txn, ms_key_treeop(s->t, (struct ms_treeop_id){op.id}), &op, e);
}

/* I6 */
DAMAGE(part_without_intent) {
    SCENE;
    struct ms_part_record part = {.part_no = 1, .size = 5};
    return ms_row_put_part(txn, ms_key_part((struct ms_intent_id){s->other}, 1), &part, e);
}
static struct ms_intent_record intent_of(const struct scene *s) {
    struct ms_intent_record i = {.id = s->other,
                                 .kind = MS_INTENT_OVERWRITE,
                                 .instance = s->self.id,
                                 .ino = s->a.inode.ino,
                                 .asset = s->a.asset.id,
                                 .file = s->a.file.id,
                                 .object = s->other};
    snprintf(i.key, sizeof i.key, "%s/x", ms_id_text(s->other).s);
    return i;
}
DAMAGE(intent_of_a_sealed_object) {
    SCENE;
    struct ms_intent_record i = intent_of(s);
    i.object = s->a.object.id;
    return ms_row_put_intent(txn, ms_key_intent(s->self, (struct ms_intent_id){i.id}), &i, e);
}
DAMAGE(intent_under_another_key) {
    SCENE;
    struct ms_intent_record i = intent_of(s);
    return ms_row_put_intent(txn, ms_key_intent(s->self, (struct ms_intent_id){s->a.asset.id}), &i,
                             e);
}

/* I7 */
static enum ms_code put_object(struct ms_txn *txn, const struct ms_object_record *o,
                               struct ms_error *e) {
    return ms_row_put_object(txn, ms_key_object((struct ms_object_id){o->id}), o, e);
}
DAMAGE(refs_too_many) {
    SCENE;
    struct ms_object_record o = s->a.object;
    o.refs++;
    return put_object(txn, &o, e);
}
DAMAGE(refs_none) {
    SCENE;
    struct ms_object_record o = s->a.object;
    o.refs = 0;
    return put_object(txn, &o, e);
}
DAMAGE(tombstone_of_the_living) {
    SCENE;
    struct ms_tombstone_record tomb = {.object = s->a.object.id};
    memcpy(tomb.key, s->a.object.key, sizeof tomb.key);
    return ms_row_put_tombstone(txn, ms_key_tomb((struct ms_object_id){tomb.object}), &tomb, e);
}
DAMAGE(object_of_nobody) {
    SCENE;
    struct ms_object_record o = s->a.object; /* the same key, so that the store has it */
    o.id = s->other;
    return put_object(txn, &o, e);
}

/* I8 */
DAMAGE(ledger_row_gone) {
    SCENE;
    return ms_row_del(txn, ms_key_ledger(s->t, 2), e);
}
DAMAGE(ledger_row_changed) {
    SCENE;
    struct ms_ledger_record row;
    enum ms_code code = ms_row_get_ledger(txn, ms_key_ledger(s->t, 2), &row, e);
    row.at.ms++;
    return code == MS_OK ? ms_row_put_ledger(txn, ms_key_ledger(s->t, 2), &row, e) : code;
}
DAMAGE(audit_row_changed) {
    SCENE;
    struct ms_audit_record row;
    enum ms_code code = ms_row_get_audit(txn, ms_key_audit(s->t, 3), &row, e);
    snprintf(row.who, sizeof row.who, "mallory");
    return code == MS_OK ? ms_row_put_audit(txn, ms_key_audit(s->t, 3), &row, e) : code;
}
DAMAGE(audit_row_gone) {
    SCENE;
    return ms_row_del(txn, ms_key_audit(s->t, 1), e);
}
DAMAGE(last_audit_row_gone) {
    SCENE;
    struct ms_chain_record head;
    enum ms_code code = ms_row_get_chain(txn, ms_key_chain(s->t, 'E'), &head, e);
    return code == MS_OK ? ms_row_del(txn, ms_key_audit(s->t, head.seq - 1), e) : code;
}
DAMAGE(chain_head_gone) {
    SCENE;
    return ms_row_del(txn, ms_key_chain(s->t, 'L'), e);
}
DAMAGE(chain_head_changed) {
    SCENE;
    struct ms_chain_record head;
    enum ms_code code = ms_row_get_chain(txn, ms_key_chain(s->t, 'E'), &head, e);
    head.head[7] ^= 1;
    return code == MS_OK ? ms_row_put_chain(txn, ms_key_chain(s->t, 'E'), &head, e) : code;
}
DAMAGE(ledger_row_too_many) {
    SCENE;
    struct ms_chain_record head;
    struct ms_ledger_record row = {.at = s->tenant.created, .asset = s->a.asset.id};
    enum ms_code code = ms_row_get_chain(txn, ms_key_chain(s->t, 'L'), &head, e);
    row.seq = head.seq;
    memcpy(row.previous, head.head, sizeof row.previous);
    return code == MS_OK ? ms_row_put_ledger(txn, ms_key_ledger(s->t, row.seq), &row, e) : code;
}

/* I9 */
DAMAGE(lease_of_a_stranger) {
    SCENE;
    struct ms_lease_record lease = {.instance = s->other, .ino = s->a.inode.ino, .bytes = 10};
    struct ms_key key = ms_key_lease(s->t, s->a.inode.ino, (struct ms_instance_id){s->other});
    enum ms_code code = put_usage(txn, s, 8, 10, e);
    return code == MS_OK ? ms_row_put_lease(txn, key, &lease, e) : code;
}
DAMAGE(lease_that_is_not_counted) {
    SCENE;
    struct ms_lease_record lease = {.instance = s->self.id, .ino = s->a.inode.ino, .bytes = 10};
    return ms_row_put_lease(txn, ms_key_lease(s->t, s->a.inode.ino, s->self), &lease, e);
}

/* T1..T5 */
static enum ms_code put_inode(struct ms_txn *txn, const struct scene *s,
                              const struct ms_inode_record *i, struct ms_error *e) {
    return ms_row_put_inode(txn, ms_key_inode(s->t, i->ino), i, e);
}
DAMAGE(name_gone) {
    SCENE;
    return ms_row_del(txn, ms_key_name(s->t, s->files, "b.txt"), e);
}
static enum ms_code name_of_b(struct ms_txn *txn, const struct scene *s,
                              struct ms_name_record *ret_name, struct ms_error *e) {
    return ms_row_get_name(txn, ms_key_name(s->t, s->files, "b.txt"), ret_name, e);
}
DAMAGE(entry_gone) {
    SCENE;
    struct ms_name_record name;
    enum ms_code code = name_of_b(txn, s, &name, e);
    return code == MS_OK ? ms_row_del(txn, ms_key_entry(s->t, s->files, name.seq), e) : code;
}
DAMAGE(link_gone) {
    SCENE;
    struct ms_name_record name;
    enum ms_code code = name_of_b(txn, s, &name, e);
    return code == MS_OK ? ms_row_del(txn, ms_key_link(s->t, name.ino, s->files, name.seq), e)
                         : code;
}
DAMAGE(name_leads_nowhere) {
    SCENE;
    struct ms_name_record name;
    enum ms_code code = name_of_b(txn, s, &name, e);
    name.ino = UINT64_C(1) << 40;
    return code == MS_OK ? ms_row_put_name(txn, ms_key_name(s->t, s->files, "b.txt"), &name, e)
                         : code;
}
DAMAGE(links_miscounted) {
    SCENE;
    struct ms_inode_record i = s->a.inode;
    i.nlink++;
    return put_inode(txn, s, &i, e);
}
DAMAGE(folders_miscounted) {
    SCENE;
    struct ms_inode_record i = s->dir.inode;
    i.subdirs++;
    i.nlink++;
    return put_inode(txn, s, &i, e);
}
DAMAGE(no_name_left) {
    SCENE;
    struct ms_name_record name;
    struct ms_inode_record i = s->b.inode;
    enum ms_code code = name_of_b(txn, s, &name, e);
    i.nlink = 0;
    if (code == MS_OK)
        code = ms_row_del(txn, ms_key_name(s->t, s->files, "b.txt"), e);
    if (code == MS_OK)
        code = ms_row_del(txn, ms_key_entry(s->t, s->files, name.seq), e);
    if (code == MS_OK)
        code = ms_row_del(txn, ms_key_link(s->t, name.ino, s->files, name.seq), e);
    return code == MS_OK ? put_inode(txn, s, &i, e) : code;
}
DAMAGE(seq_used_twice) {
    SCENE;
    struct ms_inode_record i = s->dir.inode;
    i.next_seq = 3;
    return put_inode(txn, s, &i, e);
}
DAMAGE(folder_in_itself) {
    SCENE;
    struct ms_inode_record i = s->dir.inode;
    i.parent = s->sub.inode.ino;
    return put_inode(txn, s, &i, e);
}
DAMAGE(height_too_small) {
    SCENE;
    struct ms_inode_record i = s->dir.inode;
    i.height = 0;
    return put_inode(txn, s, &i, e);
}

/* asset, file, version, object, hashes, root */
DAMAGE(asset_without_inode) {
    SCENE;
    struct ms_asset_record a = s->b.asset;
    a.ino = UINT64_C(1) << 40;
    return put_asset(txn, s, &a, e);
}
DAMAGE(inode_of_another_asset) {
    SCENE;
    struct ms_inode_record i = s->b.inode;
    i.asset = s->other;
    return put_inode(txn, s, &i, e);
}
DAMAGE(main_file_gone) {
    SCENE;
    return ms_row_del(
        txn,
        ms_key_file(s->t, (struct ms_asset_id){s->b.asset.id}, (struct ms_file_id){s->b.file.id}),
        e);
}
DAMAGE(file_of_nobody) {
    SCENE;
    struct ms_file_record f = {.id = s->other, .category = MS_CATEGORY_OTHER};
    return ms_row_put_file(
        txn, ms_key_file(s->t, (struct ms_asset_id){s->other}, (struct ms_file_id){s->other}), &f,
        e);
}
DAMAGE(two_main_files) {
    SCENE;
    struct ms_file_record f = {.id = s->other, .category = MS_CATEGORY_MAIN};
    return ms_row_put_file(
        txn, ms_key_file(s->t, (struct ms_asset_id){s->b.asset.id}, (struct ms_file_id){s->other}),
        &f, e);
}
static enum ms_code put_version(struct ms_txn *txn, const struct scene *s,
                                const struct ms_version_record *v, struct ms_error *e) {
    return ms_row_put_version(txn, ms_key_version(s->t, (struct ms_version_id){v->id}), v, e);
}
DAMAGE(version_gone) {
    SCENE;
    return ms_row_del(txn, ms_key_version(s->t, (struct ms_version_id){s->b.version.id}), e);
}
DAMAGE(version_of_another_file) {
    SCENE;
    struct ms_version_record v = s->b.version;
    v.file = s->other;
    return put_version(txn, s, &v, e);
}
DAMAGE(version_of_nobody) {
    SCENE;
    struct ms_version_record v = s->b.version;
    v.id = s->other;
    memset(&v.object, 0, sizeof v.object);
    v.local = 1;
    v.hashed = 0;
    return put_version(txn, s, &v, e);
}
DAMAGE(version_of_another_size) {
    SCENE;
    struct ms_version_record v = s->b.version;
    v.size++;
    return put_version(txn, s, &v, e);
}
/* I12, H1, H2: a new MAIN that waits for review. */
static enum ms_code hold(struct ms_txn *txn, const struct scene *s, struct ms_id version,
                         uint64_t bytes, struct ms_error *e) {
    struct ms_asset_record a = s->b.asset;
    const struct ms_review_record row = {
        .asset = a.id, .since = a.created, .held = version, .held_bytes = bytes};
    a.in_review = 1;
    enum ms_code code = ms_row_put_review(txn, ms_key_review(s->t, (struct ms_asset_id){a.id}), &row, e);
    return code == MS_OK ? put_asset(txn, s, &a, e) : code;
}
DAMAGE(held_version_gone) {
    SCENE;
    return hold(txn, s, s->other, 0, e);
}
DAMAGE(held_version_of_another) {
    SCENE;
    return hold(txn, s, s->a.version.id, s->a.version.size, e);
}
DAMAGE(held_bytes_not_counted) {
    SCENE;
    return hold(txn, s, s->b.version.id, s->b.version.size, e);
}
DAMAGE(case_of_what_is_not_in_review) {
    SCENE;
    const struct ms_review_record row = {.asset = s->b.asset.id, .since = s->b.asset.created};
    return ms_row_put_review(txn, ms_key_review(s->t, (struct ms_asset_id){row.asset}), &row, e);
}
DAMAGE(inode_of_another_version) {
    SCENE;
    struct ms_inode_record i = s->b.inode;
    i.version = s->a.version.id;
    return put_inode(txn, s, &i, e);
}
DAMAGE(object_gone) {
    SCENE;
    return ms_row_del(txn, ms_key_object((struct ms_object_id){s->a.object.id}), e);
}
DAMAGE(object_of_another_size) {
    SCENE;
    struct ms_object_record o = s->a.object;
    o.size--;
    return put_object(txn, &o, e);
}
DAMAGE(hashes_gone) {
    SCENE;
    return ms_row_del(txn, ms_key_hashes((struct ms_object_id){s->a.object.id}, 0), e);
}
DAMAGE(hashes_too_many) {
    SCENE;
    struct ms_hashes_record h = {.count = 1};
    return ms_row_put_hashes(txn, ms_key_hashes((struct ms_object_id){s->a.object.id}, 1), &h, e);
}
DAMAGE(hashes_of_nobody) {
    SCENE;
    struct ms_hashes_record h = {.count = 1};
    return ms_row_put_hashes(txn, ms_key_hashes((struct ms_object_id){s->other}, 0), &h, e);
}
DAMAGE(hash_too_few) {
    SCENE;
    struct ms_key key = ms_key_hashes((struct ms_object_id){s->a.object.id}, 0);
    struct ms_hashes_record h;
    enum ms_code code = ms_row_get_hashes(txn, key, &h, e);
    h.count--;
    return code == MS_OK ? ms_row_put_hashes(txn, key, &h, e) : code;
}
DAMAGE(root_changed) {
    SCENE;
    struct ms_version_record v = s->a.version;
    v.root[3] ^= 4;
    return put_version(txn, s, &v, e);
}
/* The block's hash, and the root with it: only the bytes tell. */
DAMAGE(hash_and_root_changed) {
    SCENE;
    struct ms_key key = ms_key_hashes((struct ms_object_id){s->a.object.id}, 0);
    struct ms_version_record v = s->a.version;
    struct ms_hashes_record row;
    enum ms_code code = ms_row_get_hashes(txn, key, &row, e);
    if (code != MS_OK)
        return code;
    row.hash[1] ^= 1;
    struct ms_hashes h = {row.hash, row.count, row.count};
    ms_hashes_root(&h, v.size, v.root);
    code = ms_row_put_hashes(txn, key, &row, e);
    return code == MS_OK ? put_version(txn, s, &v, e) : code;
}

/* owner, bin, tenant, orphan, what hangs on inodes */
DAMAGE(owner_gone) {
    SCENE;
    return ms_row_del(txn, ms_key_aowner((struct ms_asset_id){s->a.asset.id}), e);
}
DAMAGE(owner_is_another) {
    SCENE;
    return ms_row_put_id(txn, ms_key_aowner((struct ms_asset_id){s->a.asset.id}), s->other, e);
}
DAMAGE(owner_of_nothing) {
    SCENE;
    return ms_row_put_id(txn, ms_key_aowner((struct ms_asset_id){s->other}), s->t.id, e);
}
DAMAGE(bin_entry_gone) {
    SCENE;
    return ms_row_del(txn, ms_key_bin(s->t, (struct ms_bin_id){s->bin.id}), e);
}
DAMAGE(bin_entry_not_found) {
    SCENE;
    return ms_row_del(txn, ms_key_binasset(s->t, (struct ms_asset_id){s->bin.asset}), e);
}
DAMAGE(binned_asset_not_in_the_bin) {
    SCENE;
    struct ms_asset_record a = s->binned;
    struct ms_life life = ms_asset_life(&a);
    struct ms_lc_facts facts = {.now = s->tenant.created, .actor_admin = 1};
    struct ms_lc_verdict v;
    facts.now = life.binned_at;
    v = ms_lc_step(&life, MS_EVENT_RESTORE, &facts);
    assert_int_equal(v.rule, MS_LC_ALLOWED);
    ms_asset_set_life(&a, &v.next);
    a.due_kind = MS_DUE_NONE;
    a.due_at = (struct ms_instant){0};
    enum ms_code code =
        ms_row_del(txn, ms_key_due(s->t, s->binned.due_at, s->binned.due_kind, a.id), e);
    return code == MS_OK ? put_asset(txn, s, &a, e) : code;
}
DAMAGE(bin_lists_nobody) {
    SCENE;
    return ms_row_put_id(txn, ms_key_binasset(s->t, (struct ms_asset_id){s->other}), s->bin.id, e);
}
DAMAGE(facts_of_nothing) {
    SCENE;
    struct ms_facts_record facts = {.outcome = MS_FACTS_READ};
    return ms_row_put_facts(txn, ms_key_facts(s->t, (struct ms_version_id){s->other}), &facts, e);
}
DAMAGE(folder_forgets_the_bin) {
    SCENE;
    struct ms_inode_record i = s->dir.inode;
    i.binned = 0;
    return put_inode(txn, s, &i, e);
}
/* I11 */
static struct ms_file_id declared_file(const struct scene *s) {
    return (struct ms_file_id){s->upload.file};
}
DAMAGE(upload_gone) {
    SCENE;
    return ms_row_del(txn, ms_key_upload(s->t, declared_file(s)), e);
}
DAMAGE(upload_under_another_id) {
    SCENE;
    return ms_row_put_upload(txn, ms_key_upload(s->t, (struct ms_file_id){s->other}), &s->upload, e);
}
DAMAGE(filedue_gone) {
    SCENE;
    return ms_row_del(txn, ms_key_filedue(s->t, s->upload.due, declared_file(s)), e);
}
DAMAGE(second_filedue) {
    SCENE;
    struct ms_instant later = ms_instant_add_ms(s->upload.due, 1);
    return ms_row_put_id(txn, ms_key_filedue(s->t, later, declared_file(s)), s->upload.asset, e);
}
DAMAGE(filedue_of_nothing) {
    SCENE;
    return ms_row_put_id(txn, ms_key_filedue(s->t, s->upload.due, (struct ms_file_id){s->other}),
                         s->upload.asset, e);
}
DAMAGE(declared_file_of_nobody) {
    SCENE;
    return ms_row_del(txn, ms_key_fowner(s->t, declared_file(s)), e);
}
DAMAGE(declared_file_of_another) {
    SCENE;
    return ms_row_put_id(txn, ms_key_fowner(s->t, declared_file(s)), s->a.asset.id, e);
}
DAMAGE(owner_of_no_file) {
    SCENE;
    return ms_row_put_id(txn, ms_key_fowner(s->t, (struct ms_file_id){s->other}), s->a.asset.id, e);
}
DAMAGE(upload_of_what_is_over) {
    SCENE;
    struct ms_file_record f = s->declared;
    f.state = MS_FILE_CANCELLED;
    return ms_row_put_file(
        txn, ms_key_file(s->t, (struct ms_asset_id){s->upload.asset}, declared_file(s)), &f, e);
}
DAMAGE(upload_of_no_file) {
    SCENE;
    return ms_row_del(
        txn, ms_key_file(s->t, (struct ms_asset_id){s->upload.asset}, declared_file(s)), e);
}

/* I12 */
DAMAGE(verdict_gone) {
    SCENE;
    return ms_row_del(txn, ms_key_review(s->t, s->reviewed), e);
}
DAMAGE(verdict_that_nobody_awaits) {
    SCENE;
    struct ms_review_record row = {.asset = s->a.asset.id, .since = s->tenant.created};
    return ms_row_put_review(txn, ms_key_review(s->t, (struct ms_asset_id){row.asset}), &row, e);
}
DAMAGE(verdict_on_nothing) {
    SCENE;
    struct ms_review_record row = {.asset = s->other, .since = s->tenant.created};
    return ms_row_put_review(txn, ms_key_review(s->t, (struct ms_asset_id){row.asset}), &row, e);
}

/* requests */
static struct ms_key asked_of(const struct scene *s, struct ms_id asset) {
    return ms_key_asked(s->t, (struct ms_asset_id){asset});
}
static enum ms_code put_request(struct ms_txn *txn, const struct scene *s,
                                const struct ms_request_record *r, struct ms_error *e) {
    return ms_row_put_request(txn, ms_key_request(s->t, (struct ms_request_id){s->request.id}), r, e);
}
DAMAGE(request_that_is_not_listed) {
    SCENE;
    return ms_row_del(txn, asked_of(s, s->request.asset), e);
}
DAMAGE(request_gone) {
    SCENE;
    return ms_row_del(txn, ms_key_request(s->t, (struct ms_request_id){s->request.id}), e);
}
DAMAGE(request_decided_and_listed) {
    SCENE;
    struct ms_request_record r = s->request;
    r.state = MS_REQUEST_REFUSED;
    r.decided_at = s->tenant.created;
    return put_request(txn, s, &r, e);
}
DAMAGE(request_of_another_asset) {
    SCENE;
    struct ms_request_record r = s->request;
    r.asset = s->other;
    return put_request(txn, s, &r, e);
}
DAMAGE(request_of_another_id) {
    SCENE;
    struct ms_request_record r = s->request;
    r.id = s->other;
    return put_request(txn, s, &r, e);
}
DAMAGE(request_listed_for_another) {
    SCENE;
    return ms_row_put_id(txn, asked_of(s, s->a.asset.id), s->request.id, e);
}

/* transfers */
static struct ms_transfer_id job_of(const struct scene *s) {
    return (struct ms_transfer_id){s->job.id};
}
DAMAGE(transfer_gone) {
    SCENE;
    return ms_row_del(txn, ms_key_transfer(job_of(s)), e);
}
DAMAGE(transfer_of_nothing) {
    SCENE;
    return ms_row_del(txn, ms_key_transfer_asset(job_of(s), s->moved), e);
}
DAMAGE(transfer_of_one_more) {
    SCENE;
    return ms_row_put_id(
        txn, ms_key_transfer_asset(job_of(s), (struct ms_asset_id){s->a.asset.id}), s->a.asset.id, e);
}
DAMAGE(transfer_that_its_asset_does_not_know) {
    SCENE;
    return ms_row_del(txn, ms_key_pending(s->moved), e);
}
DAMAGE(transfer_that_is_over_and_waits) {
    SCENE;
    struct ms_transfer_record job = s->job;
    job.state = MS_TRANSFER_CANCEL;
    job.finish = job.start;
    return ms_row_put_transfer(txn, ms_key_transfer(job_of(s)), &job, e);
}
DAMAGE(asset_waits_for_a_transfer_of_others) {
    SCENE;
    return ms_row_put_id(txn, ms_key_pending((struct ms_asset_id){s->a.asset.id}), s->job.id, e);
}
DAMAGE(sender_does_not_list_it) {
    SCENE;
    return ms_row_del(txn, ms_key_transfer_of(s->t, job_of(s)), e);
}
DAMAGE(receiver_does_not_list_it) {
    SCENE;
    return ms_row_del(txn, ms_key_transfer_of((struct ms_tenant_id){s->job.dest}, job_of(s)), e);
}
DAMAGE(list_of_no_transfer) {
    SCENE;
    return ms_row_put_id(txn, ms_key_transfer_of(s->t, (struct ms_transfer_id){s->other}), s->other, e);
}
/* I15 */
static struct ms_key share_key(const struct scene *s) {
    return ms_key_share(s->t, (struct ms_asset_id){s->share.asset}, (struct ms_tenant_id){s->share.receiver});
}
static struct ms_key share_end_key(const struct scene *s, struct ms_instant at) {
    return ms_key_sharedue(s->t, at, (struct ms_asset_id){s->share.asset},
                           (struct ms_tenant_id){s->share.receiver});
}
static struct ms_key shared_key(const struct scene *s) {
    return ms_key_shared((struct ms_tenant_id){s->share.receiver}, (struct ms_asset_id){s->share.asset});
}
DAMAGE(share_gone) {
    SCENE;
    return ms_row_del(txn, share_key(s), e);
}
DAMAGE(share_that_its_receiver_does_not_list) {
    SCENE;
    return ms_row_del(txn, shared_key(s), e);
}
DAMAGE(share_listed_as_of_another_owner) {
    SCENE;
    return ms_row_put_id(txn, shared_key(s), s->other, e);
}
DAMAGE(share_without_end) {
    SCENE;
    return ms_row_del(txn, share_end_key(s, s->share.until), e);
}
DAMAGE(end_of_a_share_names_another_tenant) {
    SCENE;
    return ms_row_put_id(txn, share_end_key(s, s->share.until), s->other, e);
}
DAMAGE(second_end_of_a_share) {
    SCENE;
    return ms_row_put_id(txn, share_end_key(s, ms_instant_add_ms(s->share.until, 1)), s->share.receiver, e);
}
DAMAGE(share_that_ends_otherwise) {
    SCENE;
    struct ms_share_record share = s->share;
    share.until.ms++;
    return ms_row_put_share(txn, share_key(s), &share, e);
}
DAMAGE(share_under_another_key) {
    SCENE;
    struct ms_share_record share = s->share;
    share.asset = s->other;
    return ms_row_put_share(txn, share_key(s), &share, e);
}
DAMAGE(list_of_no_share) {
    SCENE;
    return ms_row_put_id(txn, ms_key_shared((struct ms_tenant_id){s->other}, (struct ms_asset_id){s->a.asset.id}),
                         s->t.id, e);
}
DAMAGE(share_of_no_asset) {
    SCENE;
    struct ms_share_record share = s->share;
    share.asset = s->other;
    return ms_change_share_put(txn, &share, e);
}
DAMAGE(share_with_nobody) {
    SCENE;
    struct ms_share_record share = s->share;
    share.receiver = s->other;
    return ms_change_share_put(txn, &share, e);
}

DAMAGE(transfer_under_another_id) {
    SCENE;
    struct ms_transfer_record job = s->job;
    job.id = s->other;
    return ms_row_put_transfer(txn, ms_key_transfer(job_of(s)), &job, e);
}

DAMAGE(asset_of_a_package_that_does_not_list_it) {
    SCENE;
    struct ms_asset_record a = s->b.asset;
    a.package = s->other;
    return put_asset(txn, s, &a, e);
}
DAMAGE(package_that_lists_an_asset_of_no_package) {
    SCENE;
    struct ms_asset_id a = {s->b.asset.id};
    return ms_row_put_id(txn, ms_key_bound(s->t, (struct ms_package_id){s->other}, a), a.id, e);
}
/* A package of units that renews itself, without a due row (named 1), or with an asset that does not know
 * of its renewal (2). */
static enum ms_code put_package(struct ms_txn *txn, const struct scene *s, unsigned what,
                                struct ms_error *e) {
    struct ms_package_record p = {.id = s->other, .kind = MS_PACKAGE_VOICE_CLONE, .amount = 1};
    struct ms_package_id id = {s->other};
    struct ms_asset_record a = s->b.asset;
    struct ms_asset_id asset = {a.id};
    MS_TRY(ms_package_begin(&p, s->tenant.created, 1, 1, e));
    (void)snprintf(p.order, sizeof p.order, "o");
    (void)snprintf(p.name, sizeof p.name, "n");
    p.auto_renew = 1;
    if (what == 1) {
        p.due_at = ms_package_due(&p);
        return ms_row_put_package(txn, ms_key_package(s->t, id), &p, e);
    }
    a.package = p.id;
    MS_TRY(put_asset(txn, s, &a, e));
    MS_TRY(ms_row_put_id(txn, ms_key_bound(s->t, id, asset), a.id, e));
    return ms_change_package_store(txn, s->t, &p, ms_package_due(&p), e);
}
DAMAGE(package_without_due_row) { return put_package(txn, arg, 1, e); }
DAMAGE(bound_asset_that_renews_otherwise) { return put_package(txn, arg, 2, e); }
DAMAGE(tenant_without_name) {
    SCENE;
    return ms_row_del(txn, ms_key_tname(s->tenant.name), e);
}
DAMAGE(name_of_no_tenant) {
    SCENE;
    return ms_row_put_id(txn, ms_key_tname("ghost"), s->other, e);
}
DAMAGE(orphan_mark_of_a_sealed_file) {
    SCENE;
    return ms_row_put_id(txn, ms_key_orphan(s->t, s->a.inode.ino), s->self.id, e);
}
DAMAGE(orphan_without_mark) {
    SCENE;
    struct ms_inode_record i = s->a.inode;
    i.unsealed = 1;
    i.opener = s->self.id;
    return put_inode(txn, s, &i, e);
}
DAMAGE(attribute_of_nothing) {
    SCENE;
    struct ms_key key = ms_key_xattr(s->t, UINT64_C(1) << 40, "user.x");
    return ms_txn_put(txn, ms_key_view(&key), ms_view_str("v"), e);
}
DAMAGE(target_of_nothing) {
    SCENE;
    struct ms_key key = ms_key_symlink(s->t, UINT64_C(1) << 40);
    return ms_txn_put(txn, ms_key_view(&key), ms_view_str("v"), e);
}
DAMAGE(record_that_does_not_decode) {
    SCENE;
    struct ms_key key = ms_key_due(s->t, s->b.asset.due_at, 1, s->other);
    return ms_txn_put(txn, ms_key_view(&key), ms_view_str("\x7f nonsense"), e);
}

#define ROW(fn, finds)                                                                             \
    { #fn, finds, fn }
static const struct damage {
    const char *name, *finds; /* what fsck says, and nothing else; several with blanks between */
    change_fn *fn;
} damages[] = {
    ROW(usage_capacity, "I13"),
    ROW(asset_of_a_package_that_does_not_list_it, "I13"),
    ROW(package_that_lists_an_asset_of_no_package, "I13"),
    ROW(package_without_due_row, "I5"),
    ROW(bound_asset_that_renews_otherwise, "I13"),
    ROW(usage_standard, "I4"),
    ROW(usage_produced_free, "I4"),
    ROW(usage_produced, "I4"),
    ROW(usage_excluded, "I4"),
    ROW(usage_assets, "I4"),
    ROW(usage_binned_assets, "I4"),
    ROW(usage_binned_bytes, "I4"),
    ROW(usage_inodes, "I4"),
    ROW(class_of_an_asset, "I4"),
    ROW(bytes_of_an_asset, "asset I4"),
    ROW(due_row_gone, "I5"),
    ROW(second_due_row, "I5"),
    ROW(due_row_of_nobody, "I5"),
    ROW(due_not_named, "I5"),
    ROW(due_too_late, "I5"),
    ROW(due_too_early, "I5"),
    ROW(due_without_deadline, "I5"),
    ROW(arrears_without_due_row, "I5"),
    ROW(hold_of_arrears_without_due_row, "I5"),
    ROW(assets_behind_the_end_of_arrears, "tenant"),
    ROW(due_row_of_no_arrears, "I5"),
    ROW(due_row_of_no_folder, "I14"),
    ROW(folders_counted_that_are_none, "I14"),
    ROW(folder_on_its_way_that_was_not_removed, "I14 bin"),
    ROW(part_without_intent, "I6"),
    ROW(intent_of_a_sealed_object, "I6"),
    ROW(intent_under_another_key, "I6"),
    ROW(refs_too_many, "I7"),
    ROW(refs_none, "I7"),
    ROW(tombstone_of_the_living, "I7"),
    ROW(object_of_nobody, "I7"),
    ROW(ledger_row_gone, "I8 I4"),
    ROW(ledger_row_changed, "I8"),
    ROW(audit_row_changed, "I8"),
    ROW(audit_row_gone, "I8"),
    ROW(last_audit_row_gone, "I8"),
    ROW(chain_head_gone, "I8"),
    ROW(chain_head_changed, "I8"),
    ROW(ledger_row_too_many, "I8"),
    ROW(usage_reserved, "I9"),
    ROW(lease_of_a_stranger, "I9"),
    ROW(lease_that_is_not_counted, "I9"),
    ROW(name_gone, "T1"),
    ROW(entry_gone, "T1"),
    ROW(link_gone, "T1 T2 T3"),
    ROW(name_leads_nowhere, "T1"),
    ROW(links_miscounted, "T2"),
    ROW(folders_miscounted, "T2"),
    ROW(no_name_left, "T3"),
    ROW(seq_used_twice, "T4"),
    ROW(folder_in_itself, "T1 T5"),
    ROW(height_too_small, "T5"),
    ROW(asset_without_inode, "asset"),
    ROW(inode_of_another_asset, "asset version"),
    ROW(main_file_gone, "file asset version"),
    ROW(file_of_nobody, "file"),
    ROW(two_main_files, "file"),
    ROW(version_gone, "version I7"),
    ROW(version_of_another_file, "version"),
    ROW(version_of_nobody, "version"),
    ROW(version_of_another_size, "version object root"),
    ROW(inode_of_another_version, "version"),
    ROW(held_version_gone, "version"),
    ROW(held_version_of_another, "version asset"),
    ROW(held_bytes_not_counted, "asset"),
    ROW(case_of_what_is_not_in_review, "I12"),
    ROW(object_gone, "object hashes"),
    ROW(object_of_another_size, "object store block"),
    ROW(hashes_gone, "hashes"),
    ROW(hashes_too_many, "hashes"),
    ROW(hashes_of_nobody, "hashes"),
    ROW(hash_too_few, "hashes"),
    ROW(root_changed, "root"),
    ROW(hash_and_root_changed, "block"),
    ROW(owner_gone, "owner"),
    ROW(owner_is_another, "owner"),
    ROW(owner_of_nothing, "owner"),
    ROW(bin_entry_gone, "bin T3"),
    ROW(bin_entry_not_found, "bin T3"),
    ROW(binned_asset_not_in_the_bin, "bin I4"),
    ROW(bin_lists_nobody, "bin"),
    ROW(facts_of_nothing, "version"),
    ROW(folder_forgets_the_bin, "bin"),
    ROW(upload_gone, "I11 I9"),
    ROW(upload_under_another_id, "I11 I9"),
    ROW(filedue_gone, "I11"),
    ROW(second_filedue, "I11"),
    ROW(filedue_of_nothing, "I11"),
    ROW(declared_file_of_nobody, "I11"),
    ROW(declared_file_of_another, "I11"),
    ROW(owner_of_no_file, "I11"),
    ROW(upload_of_what_is_over, "I11"),
    ROW(upload_of_no_file, "I11 file"),
    ROW(verdict_gone, "I12"),
    ROW(verdict_that_nobody_awaits, "I12"),
    ROW(verdict_on_nothing, "I12"),
    ROW(request_that_is_not_listed, "request"),
    ROW(request_gone, "request"),
    ROW(request_decided_and_listed, "request"),
    ROW(request_of_another_asset, "request"),
    ROW(request_of_another_id, "request"),
    ROW(request_listed_for_another, "request"),
    ROW(transfer_gone, "transfer"),
    ROW(transfer_of_nothing, "transfer"),
    ROW(transfer_of_one_more, "transfer"),
    ROW(transfer_that_its_asset_does_not_know, "transfer"),
    ROW(transfer_that_is_over_and_waits, "transfer"),
    ROW(asset_waits_for_a_transfer_of_others, "transfer"),
    ROW(sender_does_not_list_it, "transfer"),
    ROW(receiver_does_not_list_it, "transfer"),
    ROW(list_of_no_transfer, "transfer"),
    ROW(transfer_under_another_id, "transfer"),
    ROW(share_gone, "I15"),
    ROW(share_that_its_receiver_does_not_list, "I15"),
    ROW(share_listed_as_of_another_owner, "I15"),
    ROW(share_without_end, "I15"),
    ROW(end_of_a_share_names_another_tenant, "I15"),
    ROW(second_end_of_a_share, "I15"),
    ROW(share_that_ends_otherwise, "I15"),
    ROW(share_under_another_key, "I15"),
    ROW(list_of_no_share, "I15"),
    ROW(share_of_no_asset, "I15"),
    ROW(share_with_nobody, "I15"),
    ROW(tenant_without_name, "tenant"),
    ROW(name_of_no_tenant, "tenant"),
    ROW(orphan_mark_of_a_sealed_file, "orphan"),
    ROW(orphan_without_mark, "orphan"),
    ROW(attribute_of_nothing, "xattr"),
    ROW(target_of_nothing, "symlink"),
    ROW(record_that_does_not_decode, "record"),
};

static void only_bin(struct world *w, struct scene *s) {
    struct ms_key prefix = ms_key_bins_of(s->t);
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    assert_ok(ms_read_begin(w->svc->store, &txn, &test_err));
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    assert_ok(ms_row_next_bin(&scan, &key, &s->bin, &test_err));
    ms_scan_end(&scan);
    assert_ok(ms_row_get_asset(txn, ms_key_asset(s->t, (struct ms_asset_id){s->bin.asset}),
                               &s->binned, &test_err));
    ms_read_end(txn);
}

static struct ms_asset_id asset_at(struct world *w, const char *path) {
    struct behind b;
    look_behind(w, path, &b);
    return (struct ms_asset_id){b.asset.id};
}

static void declare_one(struct world *w, struct scene *s) {
    static const uint8_t md5[16] = {1};
    struct ms_asset_new make = {.type = MS_TYPE_COMMON_FILE, .name = "declared"};
    struct ms_declare declare = {
        .category = MS_CATEGORY_MAIN, .name = "d.bin", .md5 = md5, .size = 77, .parts = 1};
    struct ms_declared declared;
    struct ms_txn *txn;
    assert_ok(ms_asset_create(w->svc, &w->ctx, &make, &declare.asset, &test_err));
    assert_ok(ms_file_declare(w->svc, &w->ctx, &declare, &declared, &test_err));
    assert_ok(ms_read_begin(w->svc->store, &txn, &test_err));
    assert_ok(ms_row_get_upload(txn, ms_key_upload(s->t, declared.file), &s->upload, &test_err));
    assert_ok(ms_row_get_file(txn, ms_key_file(s->t, declare.asset, declared.file), &s->declared,
                              &test_err));
    ms_read_end(txn);
}

static void share_one(struct world *w, struct scene *s, struct ms_tenant_id receiver) {
    struct ms_share share = {.asset = {s->a.asset.id}, .receivers = &receiver, .n = 1};
    struct ms_txn *txn;
    assert_ok(ms_share_add(w->svc, &w->ctx, &share, NULL, &test_err));
    assert_ok(ms_read_begin(w->svc->store, &txn, &test_err));
    assert_ok(ms_row_get_share(txn, ms_key_share(s->t, share.asset, receiver), &s->share, &test_err));
    ms_read_end(txn);
}

/* The object store has no open upload that no row knows, so fsck finds and awaits nothing. */
static void what_waits(struct world *w, struct scene *s) {
    struct ms_tenant_options peer = {.name = "t2", .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record other;
    declare_one(w, s);
    assert_ok(ms_review_set(w->svc, &w->admin, true, &test_err));
    write_file(w, "/files/reviewed.txt", "reviewed\n", 9);
    assert_ok(ms_review_set(w->svc, &w->admin, false, &test_err));
    s->reviewed = asset_at(w, "/files/reviewed.txt");
    write_file(w, "/files/asked.txt", "asked\n", 6);
    struct ms_asset_event freeze = {.event = MS_EVENT_FREEZE,
                                    .id = asset_at(w, "/files/asked.txt"),
                                    .reason_code = "C",
                                    .why = "because"};
    assert_ok(ms_asset_apply(w->svc, &w->admin, &freeze, NULL, &test_err));
    assert_ok(ms_request_add(w->svc, &w->ctx, freeze.id, "please", &s->request, &test_err));
    write_file(w, "/files/moved.txt", "moved\n", 6);
    s->moved = asset_at(w, "/files/moved.txt");
    assert_ok(ms_tenant_add(w->svc, "root@test", &peer, &other, &test_err));
    assert_ok(ms_transfer_allow(w->svc, &w->admin, MS_MAY_TRANSFER_ANY, &test_err));
    struct ms_transfer_create create = {.assets = &s->moved, .n = 1, .dest = {other.id}};
    assert_ok(ms_transfer_create(w->svc, &w->ctx, &create, &s->job, &test_err));
    share_one(w, s, (struct ms_tenant_id){other.id});
    assert_ok(ms_tenant_get(w->svc, s->t, &s->tenant, &test_err));
}

static struct scene *make_scene(struct world *w) {
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    fill_world(w);
    s->t = w->ctx.tenant;
    s->tenant = w->tenant;
    s->self = ms_store_instance(w->svc->store);
    memset(&s->other, 0xab, sizeof s->other);
    s->files = ino_of(w, "/files");
    look_behind(w, "/files/a.txt", &s->a);
    look_behind(w, "/files/b.txt", &s->b);
    look_behind(w, "/dir/sub/deep.bin", &s->deep);
    look_behind(w, "/dir", &s->dir);
    look_behind(w, "/dir/sub", &s->sub);
    only_bin(w, s);
    what_waits(w, s);
    return s;
}

static void every_broken_invariant_is_named(void **state) {
    struct world *w = *state;
    struct scene *s = make_scene(w);
    struct rows *whole = rows_of(w->svc);
    for (size_t i = 0; i < MS_ARRAY_LEN(damages); i++) {
        change_rows(w->svc, damages[i].fn, s);
        struct rows *damaged = rows_of(w->svc);
        check_found(w->svc, damages[i].name, damages[i].finds);
        struct rows *after = rows_of(w->svc);
        assert_true(rows_equal(damaged, after)); /* fsck repairs nothing */
        assert_false(rows_equal(damaged, whole));
        rows_free(after);
        rows_free(damaged);
        rows_restore(w->svc, whole);
    }
    check_clean(w->svc);
    rows_free(whole);
    free(s);
}

/* ---- damage outside the rows ------------------------------------------------------------- */

static void flip_bit(const char *path, off_t at) {
    uint8_t byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void object_path(struct world *w, const char *key, char ret_path[1024]) {
    snprintf(ret_path, 1024, "%s/objects/%s", w->dir, key);
}

static void a_flipped_bit_of_an_object_is_named_with_its_block(void **state) {
    struct world *w = *state;
    struct said *said = calloc(1, sizeof *said);
    struct behind b;
    char path[1024];
    fill_world(w);
    look_behind(w, "/files/a.txt", &b);
    object_path(w, b.object.key, path);
    flip_bit(path, 280000);
    run_fsck(w->svc, true, false, said);
    assert_int_equal(said->findings, 0);
    run_fsck(w->svc, false, true, said);
    assert_int_equal(said->findings, 1);
    assert_string_equal(said->finding[0].name, "block");
    assert_non_null(strstr(said->finding[0].text, "block 1 "));
    assert_non_null(strstr(said->finding[0].text, b.object.key));
    flip_bit(path, 280000);
    check_clean(w->svc);
    free(said);
}

static void a_missing_and_a_short_object_are_named(void **state) {
    struct world *w = *state;
    struct behind b, deep;
    char path[1024];
    struct said *said = calloc(1, sizeof *said);
    fill_world(w);
    look_behind(w, "/files/a.txt", &b);
    look_behind(w, "/dir/sub/deep.bin", &deep);
    object_path(w, b.object.key, path);
    assert_int_equal(truncate(path, 1000), 0);
    object_path(w, deep.object.key, path);
    assert_int_equal(unlink(path), 0);
    run_fsck(w->svc, true, false, said);
    assert_int_equal(said->findings, 2);
    for (unsigned i = 0; i < 2; i++)
        assert_string_equal(said->finding[i].name, "store");
    run_fsck(w->svc, false, true, said);
    assert_int_equal(said->findings, 2);
    free(said);
}

/* What the index of a bucket shows of bytes that are lost, and an object that a HEAD and a LIST show whole. */
static void an_object_that_is_listed_and_not_readable_is_named_once(void **state) {
    static const enum ms_code codes[] = {MS_NOT_FOUND, MS_RANGE};
    struct world *w = *state;
    struct behind b;
    struct said *said = calloc(1, sizeof *said);
    fill_world(w);
    look_behind(w, "/files/a.txt", &b);
    for (size_t i = 0; i < MS_ARRAY_LEN(codes); i++)
        for (unsigned store = 0; store < 2; store++) {
            gate_refuse_key(w, MS_OBJ_GET, b.object.key, codes[i]);
            run_fsck(w->svc, store, true, said);
            assert_int_equal(said->findings, 1);
            assert_string_equal(said->finding[0].name, "store");
            assert_non_null(strstr(said->finding[0].text, b.object.key));
        }
    /* gone for the LIST too: the two parts see the same, and one says it */
    struct ms_obj_request del = {.op = MS_OBJ_DELETE, .key = b.object.key};
    gate_refuse(w, MS_OK);
    assert_ok(ms_obj_run(w->svc->obj, &del, &test_err));
    run_fsck(w->svc, true, true, said);
    assert_int_equal(said->findings, 1);
    free(said);
}

static bool last_progress(void *priv, uint64_t done, uint64_t total) {
    uint64_t *seen = priv;
    seen[0] = done;
    seen[1] = total;
    return true;
}

static void progress_comes_to_its_end_whatever_was_readable(void **state) {
    struct world *w = *state;
    struct behind b;
    uint64_t seen[2] = {0};
    struct ms_fsck_options options = {.deep = true, .progress = last_progress, .priv = seen};
    struct ms_fsck_result result;
    fill_world(w);
    look_behind(w, "/files/a.txt", &b);
    gate_refuse_key(w, MS_OBJ_GET, b.object.key, MS_NOT_FOUND);
    assert_ok(ms_fsck(w->svc, &options, &result, &test_err));
    assert_int_equal(result.findings, 1);
    assert_int_equal(seen[0], seen[1]);
}

/* A bad sector, or a server that fails for one key: the others are read, damage in them is found. */
static void an_object_that_fails_does_not_end_the_check(void **state) {
    static const enum ms_code codes[] = {MS_IO, MS_UNAVAILABLE, MS_DENIED};
    struct world *w = *state;
    struct behind a, deep;
    char path[1024];
    struct said *said = calloc(1, sizeof *said);
    fill_world(w);
    look_behind(w, "/files/a.txt", &a);
    look_behind(w, "/dir/sub/deep.bin", &deep);
    object_path(w, deep.object.key, path);
    flip_bit(path, 100);
    for (size_t i = 0; i < MS_ARRAY_LEN(codes); i++) {
        gate_refuse_key(w, MS_OBJ_GET, a.object.key, codes[i]);
        run_fsck(w->svc, false, true, said);
        assert_int_equal(said->findings, 2);
        for (unsigned j = 0; j < 2; j++)
            assert_non_null(strstr(said->finding[j].text, said->finding[j].name[0] == 's' ? a.object.key
                                                                                           : deep.object.key));
        assert_string_not_equal(said->finding[0].name, said->finding[1].name);
        assert_int_equal(said->result.bytes_read, 26 + 5000 + 700);
    }
    free(said);
}

static void a_store_that_is_down_ends_the_check(void **state) {
    struct world *w = *state;
    struct ms_fsck_options options = {.deep = true};
    struct ms_fsck_result result;
    fill_world(w); /* four objects: fewer than are needed to see it before the end */
    gate_refuse_key(w, MS_OBJ_GET, "", MS_UNAVAILABLE);
    assert_code(ms_fsck(w->svc, &options, &result, &test_err), MS_UNAVAILABLE);
    gate_refuse(w, MS_OK);
    for (unsigned i = 0; i < 12; i++) {
        char name[64];
        snprintf(name, sizeof name, "/files/more%u.bin", i);
        write_file(w, name, "more", 4);
    }
    gate_refuse_key(w, MS_OBJ_GET, "", MS_UNAVAILABLE);
    unsigned before = atomic_load(&w->gate.requests);
    assert_code(ms_fsck(w->svc, &options, &result, &test_err), MS_UNAVAILABLE);
    assert_int_equal(atomic_load(&w->gate.requests) - before, 8);
}

/* Other bytes of the same length, behind our back. */
static void a_replaced_object_is_named(void **state) {
    struct world *w = *state;
    struct behind b;
    struct said *said = calloc(1, sizeof *said);
    uint8_t *bytes = calloc(1, 300000);
    fill_world(w);
    look_behind(w, "/files/a.txt", &b);
    struct ms_obj_request put = {
        .op = MS_OBJ_PUT,
        .key = b.object.key,
        .body = {.memory = ms_view_of(bytes, b.object.size), .length = b.object.size}};
    assert_ok(ms_obj_run(w->svc->obj, &put, &test_err));
    run_fsck(w->svc, true, false, said);
    assert_int_equal(said->findings, 1);
    assert_string_equal(said->finding[0].name, "store");
    assert_non_null(strstr(said->finding[0].text, "ETag"));
    free(bytes);
    free(said);
}

static void what_no_row_knows_is_pending_and_what_is_not_ours_is_left_alone(void **state) {
    struct world *w = *state;
    struct said *said = calloc(1, sizeof *said);
    static const char ours[] =
        "00112233445566778899aabbccddeeff/ffeeddccbbaa99887766554433221100.7.mp4";
    struct ms_obj_request put = {
        .op = MS_OBJ_PUT, .key = ours, .body = {.memory = ms_view_str("stray"), .length = 5}};
    struct ms_obj_request other = {.op = MS_OBJ_PUT,
                                   .key = "holiday/beach.jpg",
                                   .body = {.memory = ms_view_str("sand"), .length = 4}};
    struct ms_obj_request mp = {.op = MS_OBJ_MP_CREATE, .key = ours};
    fill_world(w);
    assert_ok(ms_obj_run(w->svc->obj, &put, &test_err));
    assert_ok(ms_obj_run(w->svc->obj, &other, &test_err));
    assert_ok(ms_obj_run(w->svc->obj, &mp, &test_err));
    run_fsck(w->svc, true, true, said);
    assert_int_equal(said->findings, 0);
    assert_int_equal(said->pending, 2);
    assert_int_equal(pending_of(said, "object"), 1);
    assert_int_equal(pending_of(said, "upload"), 1);
    free(said);
}

/* A byte of a record on disk. The file is only read through the map, so the change is seen. */
static void a_record_with_a_wrong_checksum_is_named(void **state) {
    struct world *w = *state;
    struct said *said = calloc(1, sizeof *said);
    char path[1024];
    size_t n;
    static const char colour[] = "user.colour";
    fill_world(w);
    snprintf(path, sizeof path, "%s/meta/data.mdb", w->dir);
    char *bytes = ms_test_read_file(path, &n);
    unsigned flipped = 0;
    for (size_t at = 0; at + sizeof colour < n; at++)
        if (memcmp(bytes + at, colour, sizeof colour - 1) == 0 && n - at > 32 &&
            memmem(bytes + at, 32, "blue", 4)) { /* not where it only leads to another page */
            flip_bit(path, (off_t)(at + sizeof colour - 1 + 9)); /* behind the envelope: "blue" */
            flipped++;
        }
    free(bytes);
    assert_true(flipped > 0);
    run_fsck(w->svc, false, false, said);
    assert_int_equal(said->findings, 1);
    assert_string_equal(said->finding[0].name, "S4");
    free(said);
}

static bool stop_at_once(void *priv, uint64_t done, uint64_t total) {
    uint64_t *seen = priv;
    seen[0] = done;
    seen[1] = total;
    return false;
}

static void a_deep_check_can_be_stopped(void **state) {
    struct world *w = *state;
    uint64_t seen[2] = {0};
    struct ms_fsck_options options = {.deep = true, .progress = stop_at_once, .priv = seen};
    struct ms_fsck_result result = {.findings = 77};
    fill_world(w);
    assert_code(ms_fsck(w->svc, &options, &result, &test_err), MS_CANCELLED);
    assert_int_equal(result.findings, 0); /* what was checked until then */
    assert_int_equal(result.tenants, 1);
    assert_true(seen[0] > 0 && seen[0] < seen[1]);
    assert_int_equal(seen[1], 300000 + 26 + 5000 + 700);
}

/* ---- beside others ----------------------------------------------------------------------- */

struct worker {
    struct world *w;
    pthread_t thread;
    unsigned place;
    atomic_bool *stop;
    atomic_uint rounds, failed;
};

static enum ms_code put_file(struct worker *k, const char *name, size_t n, bool truncate) {
    struct ms_svc *svc = k->w->svc;
    struct ms_ctx ctx = k->w->ctx;
    struct ms_node parent, node;
    struct ms_handle *h;
    struct ms_open open = {.read = true, .write = true, .truncate = truncate};
    static const uint8_t bytes[40000];
    size_t done;
    enum ms_code code = ms_tree_walk(svc, &ctx, "/dir", &parent, NULL);
    if (code == MS_OK)
        code = ms_tree_lookup(svc, &ctx, parent.inode.ino, name, &node, NULL);
    open.ino = node.inode.ino;
    struct ms_make make = {.parent = parent.inode.ino, .name = name, .mode = S_IFREG | 0644};
    if (code == MS_NOT_FOUND)
        code = ms_file_create(svc, &ctx, &make, &open, &node, &h, NULL);
    else if (code == MS_OK)
        code = ms_file_open(svc, &ctx, &open, &h, NULL);
    if (code != MS_OK)
        return code;
    code = ms_file_write(h, 0, bytes, n, &done, NULL);
    if (code == MS_OK)
        code = flush_file(h, NULL);
    enum ms_code end = release_file(h, NULL);
    return code == MS_OK ? end : code;
}

static enum ms_code tidy_up(struct worker *k, const char *from, const char *to) {
    struct ms_svc *svc = k->w->svc;
    struct ms_ctx ctx = k->w->ctx;
    struct ms_node parent, node;
    struct ms_gone gone;
    enum ms_code code = ms_tree_walk(svc, &ctx, "/dir", &parent, NULL);
    uint64_t dir = parent.inode.ino;
    struct ms_rename rename = {.parent = dir, .new_parent = dir, .name = from, .new_name = to};
    if (code == MS_OK)
        code = ms_tree_rename(svc, &ctx, &rename, &node, &gone, NULL);
    return code == MS_OK ? ms_tree_unlink(svc, &ctx, dir, to, false, &gone, NULL) : code;
}

static void *work(void *priv) {
    struct worker *k = priv;
    for (unsigned i = 0; !atomic_load(k->stop); i++) {
        char from[32], to[32];
        snprintf(from, sizeof from, "w%u-%u", k->place, i % 9);
        snprintf(to, sizeof to, "w%u-moved", k->place);
        enum ms_code code = put_file(k, from, 1 + (i * 3571) % 39000, false);
        if (code == MS_OK)
            code = put_file(k, from, 1 + (i * 117) % 3000, true);
        if (code == MS_OK && i % 3 == 0)
            code = tidy_up(k, from, to);
        atomic_fetch_add(&k->failed, code != MS_OK);
        atomic_fetch_add(&k->rounds, 1);
    }
    return NULL;
}

static void others_at_work_are_no_damage(void **state) {
    struct world *w = *state;
    struct worker k[3];
    atomic_bool stop;
    unsigned rounds = ms_test_rounds(40), worked = 0;
    atomic_init(&stop, false);
    fill_world(w);
    for (unsigned i = 0; i < 3; i++) {
        k[i] = (struct worker){.w = w, .place = i, .stop = &stop};
        assert_int_equal(pthread_create(&k[i].thread, NULL, work, &k[i]), 0);
    }
    struct said *said = calloc(1, sizeof *said);
    unsigned findings = 0;
    unsigned checks = 0;
    for (; findings == 0 && (checks < rounds || worked < 3 * rounds); checks++) {
        run_fsck(w->svc, true, checks % 4 == 0, said);
        findings = said->findings;
        ms_clock_fake_advance(&w->clock, 100);
        worked = 0;
        for (unsigned i = 0; i < 3; i++)
            worked += atomic_load(&k[i].rounds);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(k[i].thread, NULL);
        assert_int_equal(atomic_load(&k[i].failed), 0);
    }
    for (unsigned i = 0; i < said->findings && i < SAID_MAX; i++)
        print_message("finding %s: %s\n", said->finding[i].name, said->finding[i].text);
    assert_int_equal(findings, 0);
    print_message("%u checks beside %u rounds of work\n", checks, worked);
    check_findings(w->svc);
    free(said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_store_with_one_of_everything_is_clean, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(
            an_open_file_of_a_live_process_is_neither_finding_nor_pending, world_setup_dir,
            world_teardown),
        cmocka_unit_test_setup_teardown(every_broken_invariant_is_named, world_setup_mem,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_flipped_bit_of_an_object_is_named_with_its_block,
                                        world_setup_dir, world_teardown),
        cmocka_unit_test_setup_teardown(a_missing_and_a_short_object_are_named, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_replaced_object_is_named, world_setup_mem,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(
            what_no_row_knows_is_pending_and_what_is_not_ours_is_left_alone, world_setup_dir,
            world_teardown),
        cmocka_unit_test_setup_teardown(a_record_with_a_wrong_checksum_is_named, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(an_object_that_is_listed_and_not_readable_is_named_once,
                                        world_setup_dir, world_teardown),
        cmocka_unit_test_setup_teardown(an_object_that_fails_does_not_end_the_check, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_store_that_is_down_ends_the_check, world_setup_mem,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(progress_comes_to_its_end_whatever_was_readable, world_setup_mem,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_deep_check_can_be_stopped, world_setup_mem,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(others_at_work_are_no_damage, world_setup_dir,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
