#include "fixture.h"

#include "quota/quota.h"
#include "service/change.h"
#include "service/produce.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START INT64_C(1767225600000) /* 2026-01-01 */

/* ---- store and tenant ------------------------------------------------------------------------ */

static enum ms_code meta_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    struct ms_meta_record meta = {.free_bytes = MS_FREE_QUOTA_BYTES,
                                  .retention_ms = MS_BIN_RETENTION_MS,
                                  .object_url = "mem:"};
    (void)in, (void)out;
    meta.created = ms_txn_instant(txn);
    ms_txn_random(txn, meta.store_id.b, sizeof meta.store_id.b);
    return ms_row_put_meta(txn, ms_key_meta(), &meta, reterr);
}

static void open_svc(struct fx *f, struct ms_svc *svc, bool create) {
    struct ms_store_options options = {.dir = f->dir,
                                       .clock = &f->clock.clock,
                                       .random = &f->random.random,
                                       .create = create,
                                       .label = "test"};
    *svc = (struct ms_svc){.clock = &f->clock.clock, .random = &f->random.random};
    snprintf(svc->dir, sizeof svc->dir, "%s", f->dir);
    assert_ok(ms_store_open(&options, &svc->store, &test_err));
}

int fx_setup(void **state) {
    struct fx *f = calloc(1, sizeof *f);
    struct ms_tenant_options options = {.name = "t1",
                                        .free_bytes = UINT64_MAX,
                                        .retention_ms = -1,
                                        .uid = 1000,
                                        .gid = 1000,
                                        .umask = 022};
    struct ms_write meta = {.fn = meta_op};
    assert_non_null(f);
    f->dir = ms_test_tmpdir_new();
    ms_clock_fake_init(&f->clock, ms_instant_of(START));
    ms_random_seeded_init(&f->random, 7);
    open_svc(f, &f->svc, true);
    assert_ok(ms_store_write(f->svc.store, &meta, &test_err));
    assert_ok(ms_tenant_add(&f->svc, "root@cli", &options, &f->tenant, &test_err));
    f->ctx = (struct ms_ctx){.tenant = {f->tenant.id}, .who = "alice", .uid = 1000, .gid = 1000};
    f->root = f->tenant.root_ino;
    *state = f;
    return 0;
}

void fx_drop(struct fx *f) {
    ms_store_close(f->svc.store);
    ms_random_seeded_fini(&f->random);
    ms_test_tmpdir_remove(f->dir);
    free(f);
}

int fx_teardown(void **state) {
    struct fx *f = *state;
    fx_check(f);
    fx_drop(f);
    return 0;
}

int fx_setup_files(void **state) {
    int failed = fx_setup(state);
    struct fx *f = *state;
    assert_ok(ms_files_new(&f->svc, &f->svc.files, &test_err));
    return failed;
}

int fx_teardown_files(void **state) {
    struct fx *f = *state;
    ms_files_free(f->svc.files);
    return fx_teardown(state);
}

void fx_advance(struct fx *f, int64_t ms) { ms_clock_fake_advance(&f->clock, ms); }

/* ---- checking -------------------------------------------------------------------------------- */

static void print_finding(void *priv, const char *invariant, const char *text) {
    struct fx *f = priv;
    print_error("%s: %s\n", invariant, text);
    f->findings++;
}

/* usage against the assets it is made of. */
static void check_usage(struct fx *f, uint64_t inodes) {
    struct ms_usage_record usage, want = {0};
    struct ms_tree t;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_asset_record asset;
    struct ms_lease_record lease;
    assert_ok(ms_tree_read(&t, &f->svc, &f->ctx, &test_err));
    struct ms_key assets = ms_key_assets_of(t.id), leases = ms_key_leases_of(t.id);
    ms_scan_prefix(&scan, t.txn, ms_key_view(&assets));
    while (ms_row_next_asset(&scan, &key, &asset, NULL) == MS_OK) {
        want.assets++;
        *(asset.counted == MS_CLASS_PRODUCED        ? &want.produced
          : asset.counted == MS_CLASS_PRODUCED_FREE ? &want.produced_free
          : asset.counted == MS_CLASS_EXCLUDED      ? &want.excluded
                                                    : &want.standard) += asset.bytes;
        want.binned_assets += asset.binned;
        want.binned_bytes += asset.binned ? asset.bytes : 0;
    }
    ms_scan_end(&scan);
    ms_scan_prefix(&scan, t.txn, ms_key_view(&leases));
    while (ms_row_next_lease(&scan, &key, &lease, NULL) == MS_OK)
        want.reserved += lease.bytes;
    ms_scan_end(&scan);
    assert_ok(ms_row_get_usage(t.txn, ms_key_usage(t.id), &usage, &test_err)); /* as stored */
    ms_tree_read_end(&t);
    assert_int_equal(usage.assets, want.assets);
    assert_int_equal(usage.standard, want.standard);
    assert_int_equal(usage.produced, want.produced);
    assert_int_equal(usage.produced_free, want.produced_free);
    assert_int_equal(usage.excluded, want.excluded);
    assert_int_equal(usage.binned_assets, want.binned_assets);
    assert_int_equal(usage.binned_bytes, want.binned_bytes);
    assert_int_equal(usage.reserved, want.reserved);
    assert_int_equal(usage.inodes, inodes);
}

void fx_check(struct fx *f) {
    struct ms_tree_check check = {print_finding, f};
    uint64_t inodes;
    f->findings = 0;
    assert_ok(ms_tree_check(&f->svc, f->ctx.tenant, &check, &inodes, &test_err));
    assert_int_equal(f->findings, 0);
    check_usage(f, inodes);
}

/* ---- looking --------------------------------------------------------------------------------- */

uint64_t fx_ino(struct fx *f, const char *path) {
    struct ms_node node;
    assert_ok(ms_tree_walk(&f->svc, &f->ctx, path, &node, &test_err));
    return node.inode.ino;
}

bool fx_there(struct fx *f, const char *path) {
    struct ms_node node;
    enum ms_code code = ms_tree_walk(&f->svc, &f->ctx, path, &node, &test_err);
    assert_true(code == MS_OK || code == MS_NOT_FOUND);
    return code == MS_OK;
}

bool fx_is(struct fx *f, const char *path, struct ms_id asset) {
    struct ms_node node = fx_node(f, fx_ino(f, path));
    return memcmp(node.inode.asset.b, asset.b, MS_ID_BYTES) == 0;
}

struct ms_node fx_node(struct fx *f, uint64_t ino) {
    struct ms_node node;
    assert_ok(ms_tree_node(&f->svc, &f->ctx, ino, &node, &test_err));
    return node;
}

bool fx_asset_by_id(struct fx *f, struct ms_id id, struct ms_asset_record *ret_asset) {
    struct ms_tree t;
    assert_ok(ms_tree_read(&t, &f->svc, &f->ctx, &test_err));
    enum ms_code code =
        ms_row_get_asset(t.txn, ms_key_asset(t.id, (struct ms_asset_id){id}), ret_asset, NULL);
    ms_tree_read_end(&t);
    assert_true(code == MS_OK || code == MS_NOT_FOUND);
    return code == MS_OK;
}

struct ms_asset_record fx_asset(struct fx *f, uint64_t ino) {
    struct ms_asset_record asset;
    assert_true(fx_asset_by_id(f, fx_node(f, ino).inode.asset, &asset));
    return asset;
}

struct ms_usage_record fx_usage(struct fx *f) {
    struct ms_quota_info info;
    assert_ok(ms_tenant_quota(&f->svc, &f->ctx, &info, &test_err));
    return info.usage;
}

size_t fx_bins(struct fx *f, struct ms_bin_record *ret_bins, size_t max) {
    struct ms_tree t;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_bin_record bin;
    size_t n = 0;
    assert_ok(ms_tree_read(&t, &f->svc, &f->ctx, &test_err));
    struct ms_key prefix = ms_key_bins_of(t.id);
    ms_scan_prefix(&scan, t.txn, ms_key_view(&prefix));
    while (ms_row_next_bin(&scan, &key, &bin, NULL) == MS_OK) {
        if (n < max)
            ret_bins[n] = bin;
        n++;
    }
    ms_scan_end(&scan);
    ms_tree_read_end(&t);
    return n;
}

/* ---- doing ----------------------------------------------------------------------------------- */

struct ms_made fx_make(struct fx *f, uint64_t parent, const char *name, uint32_t mode) {
    struct ms_make make = {.parent = parent,
                           .name = name,
                           .mode = mode,
                           .uid = 1000,
                           .gid = 1000,
                           .target = S_ISLNK(mode) ? "target" : NULL};
    struct ms_made made;
    assert_ok(ms_tree_make(&f->svc, &f->ctx, &make, &made, &test_err));
    return made;
}

uint64_t fx_mkdir(struct fx *f, uint64_t parent, const char *name) {
    return fx_make(f, parent, name, S_IFDIR | 0755).node.inode.ino;
}

struct seal {
    uint64_t ino, size;
    const char *media_type;
    bool fails;
};

static enum ms_code seal_version(const struct ms_tree *t, const struct seal *s,
                                 const struct ms_asset_record *asset, struct ms_inode_record *inode,
                                 struct ms_error *reterr) {
    struct ms_version_record version = {.asset = asset->id,
                                        .file = asset->main_file,
                                        .size = s->size,
                                        .block_log2 = MS_BLOCK_LOG2_DEFAULT,
                                        .hashed = 1,
                                        .committed = t->now};
    struct ms_object_record object = {
        .size = s->size, .refs = 1, .block_log2 = MS_BLOCK_LOG2_DEFAULT, .created = t->now};
    ms_txn_random(t->txn, version.id.b, MS_ID_BYTES);
    if (s->size > 0) {
        ms_txn_random(t->txn, version.object.b, MS_ID_BYTES);
        object.id = version.object;
        snprintf(object.key, sizeof object.key, "%s", ms_id_text(object.id).s);
        MS_TRY(ms_row_put_object(t->txn, ms_key_object((struct ms_object_id){object.id}), &object,
                                 reterr));
    }
    inode->version = version.id;
    return ms_row_put_version(t->txn, ms_key_version(t->id, (struct ms_version_id){version.id}),
                              &version, reterr);
}

static enum ms_code seal_file(const struct ms_tree *t, const struct seal *s,
                              const struct ms_asset_record *asset,
                              const struct ms_inode_record *inode, struct ms_error *reterr) {
    struct ms_file_record file;
    struct ms_key key =
        ms_key_file(t->id, (struct ms_asset_id){asset->id}, (struct ms_file_id){asset->main_file});
    MS_TRY(ms_row_get_file(t->txn, key, &file, reterr));
    if (!ms_version_id_is_none((struct ms_version_id){file.version}))
        MS_TRY(ms_change_version_drop(t->txn, t->id, (struct ms_version_id){file.version}, reterr));
    file.version = inode->version;
    file.size = s->size;
    file.state = s->fails ? MS_FILE_FAILED : MS_FILE_CREATED;
    snprintf(file.media_type, sizeof file.media_type, "%s", s->media_type);
    return ms_row_put_file(t->txn, key, &file, reterr);
}

static enum ms_code seal_life(const struct ms_tree *t, const struct seal *s,
                              struct ms_tree_asset *asset, struct ms_error *reterr) {
    struct ms_lc_facts facts = ms_tree_facts(t, &asset->rec);
    enum ms_event event = s->fails ? MS_EVENT_CONTENT_FAIL : MS_EVENT_CONFIRM;
    if (asset->life.rest != MS_STATE_CREATING && asset->life.rest != MS_STATE_FAILED)
        return ms_row_put_asset(t->txn, ms_key_asset(t->id, (struct ms_asset_id){asset->rec.id}),
                                &asset->rec, reterr);
    if (s->fails)
        snprintf(asset->rec.reason, sizeof asset->rec.reason, "content");
    struct ms_lc_verdict v = ms_lc_step(&asset->life, event, &facts);
    MS_ASSERT(v.rule == MS_LC_ALLOWED);
    return ms_change_life(t->txn, t->id, t->who, &asset->rec, &v.next, event, v.at, "", reterr);
}

static enum ms_code seal_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    struct ms_tree t;
    const struct seal *s = ((const struct ms_tree_call *)in)->args;
    struct ms_inode_record inode;
    struct ms_tree_asset asset;
    bool gone;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_tree_inode(&t, s->ino, &inode, reterr));
    MS_TRY(ms_tree_asset(&t, &inode, &asset, &gone, reterr));
    if (s->size > 0)
        MS_TRY(seal_version(&t, s, &asset.rec, &inode, reterr));
    else
        memset(&inode.version, 0, sizeof inode.version);
    MS_TRY(seal_file(&t, s, &asset.rec, &inode, reterr));
    if (asset.rec.produced == MS_PRODUCING)
        MS_TRY(ms_produce_settle(&t, &asset.rec, s->size, reterr));
    else
        MS_TRY(ms_change_bytes(txn, t.id, &asset.rec, s->size, MS_WHY_SEAL, t.now, reterr));
    if (s->size == 0 && asset.life.rest == MS_STATE_CREATING)
        asset.rec.type = MS_TYPE_COMMON_FILE;
    MS_TRY(seal_life(&t, s, &asset, reterr));
    inode.size = s->size;
    inode.generation++;
    inode.unsealed = 0;
    memset(&inode.opener, 0, sizeof inode.opener);
    MS_TRY(ms_row_del(txn, ms_key_orphan(t.id, inode.ino), reterr));
    MS_TRY(ms_change_unreserve(txn, t.id, t.instance, inode.ino, 0, reterr));
    return ms_tree_put(&t, &inode, reterr);
}

void fx_seal(struct fx *f, uint64_t ino, uint64_t size, const char *media_type, bool fails) {
    struct seal seal = {ino, size, media_type, fails};
    assert_ok(ms_tree_write(&f->svc, &f->ctx, seal_op, &seal, NULL, 0, &test_err));
}

uint64_t fx_file(struct fx *f, uint64_t parent, const char *name, uint64_t size,
                 const char *media_type) {
    uint64_t ino = fx_make(f, parent, name, S_IFREG | 0644).node.inode.ino;
    fx_seal(f, ino, size, media_type, false);
    return ino;
}

uint64_t fx_produce(struct fx *f, uint64_t parent, const char *name, uint64_t size,
                    uint64_t seconds) {
    struct ms_make make = {.parent = parent,
                           .name = name,
                           .mode = S_IFREG | 0644,
                           .produced = true,
                           .seconds = seconds};
    struct ms_made made;
    assert_ok(ms_tree_make(&f->svc, &f->ctx, &make, &made, &test_err));
    fx_seal(f, made.node.inode.ino, size, "video/mp4", false);
    return made.node.inode.ino;
}

struct ms_gone fx_unlink(struct fx *f, uint64_t parent, const char *name, bool keep_open) {
    struct ms_gone gone;
    assert_ok(ms_tree_unlink(&f->svc, &f->ctx, parent, name, keep_open, &gone, &test_err));
    return gone;
}

enum ms_code fx_try_rename(struct fx *f, uint64_t parent, const char *name, uint64_t new_parent,
                           const char *new_name, struct ms_error *reterr) {
    struct ms_rename rename = {
        .parent = parent, .name = name, .new_parent = new_parent, .new_name = new_name};
    struct ms_node node;
    struct ms_gone gone;
    return ms_tree_rename(&f->svc, &f->ctx, &rename, &node, &gone, reterr);
}

struct ms_gone fx_rename(struct fx *f, uint64_t parent, const char *name, uint64_t new_parent,
                         const char *new_name) {
    struct ms_rename rename = {
        .parent = parent, .name = name, .new_parent = new_parent, .new_name = new_name};
    struct ms_node node;
    struct ms_gone gone;
    assert_ok(ms_tree_rename(&f->svc, &f->ctx, &rename, &node, &gone, &test_err));
    return gone;
}

/* ---- what other parts of the program do to assets -------------------------------------------- */

struct event {
    struct ms_id asset;
    enum ms_event event;
    struct ms_instant at;
    void (*change)(struct ms_asset_record *asset);
    uint64_t ino; /* give away */
    struct ms_instance_id to;
    bool restore;
    const char *path;
};

static enum ms_code asset_of(const struct ms_tree *t, struct ms_id id,
                             struct ms_tree_asset *ret_asset, struct ms_error *reterr) {
    MS_TRY(ms_row_get_asset(t->txn, ms_key_asset(t->id, (struct ms_asset_id){id}), &ret_asset->rec,
                            reterr));
    ret_asset->life = ms_asset_life(&ret_asset->rec);
    return MS_OK;
}

static enum ms_code event_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    struct ms_tree t;
    const struct event *e = ((const struct ms_tree_call *)in)->args;
    struct ms_tree_asset asset;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(asset_of(&t, e->asset, &asset, reterr));
    if (e->change) {
        e->change(&asset.rec);
        return ms_row_put_asset(txn, ms_key_asset(t.id, (struct ms_asset_id){e->asset}), &asset.rec,
                                reterr);
    }
    struct ms_lc_facts facts = ms_tree_facts(&t, &asset.rec);
    facts.actor_admin = 1;
    facts.at = e->at;
    facts.scheduled_op = MS_SCHEDULED_DELETE;
    struct ms_lc_verdict v = ms_lc_step(&asset.life, e->event, &facts);
    if (v.rule != MS_LC_ALLOWED)
        return ms_tree_refused(&t, &asset, v.rule, "event", reterr);
    if (e->restore)
        MS_TRY(ms_tree_restore(&t, &asset, e->path, reterr));
    return ms_change_life(txn, t.id, "root@cli", &asset.rec, &v.next, e->event, v.at, "test",
                          reterr);
}

static enum ms_code give_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    struct ms_tree t;
    const struct event *e = ((const struct ms_tree_call *)in)->args;
    struct ms_inode_record inode;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_tree_inode(&t, e->ino, &inode, reterr));
    inode.opener = e->to.id;
    MS_TRY(ms_row_put_id(txn, ms_key_orphan(t.id, e->ino), e->to.id, reterr));
    return ms_tree_put(&t, &inode, reterr);
}

void fx_give_away(struct fx *f, uint64_t ino, struct ms_instance_id to) {
    struct event e = {.ino = ino, .to = to};
    assert_ok(ms_tree_write(&f->svc, &f->ctx, give_op, &e, NULL, 0, &test_err));
}

void fx_event(struct fx *f, struct ms_id asset, enum ms_event event, struct ms_instant at) {
    struct event e = {.asset = asset, .event = event, .at = at};
    assert_ok(ms_tree_write(&f->svc, &f->ctx, event_op, &e, NULL, 0, &test_err));
}

void fx_change_asset(struct fx *f, struct ms_id asset,
                     void (*change)(struct ms_asset_record *asset)) {
    struct event e = {.asset = asset, .change = change};
    assert_ok(ms_tree_write(&f->svc, &f->ctx, event_op, &e, NULL, 0, &test_err));
}

enum ms_code fx_try_restore(struct fx *f, struct ms_id asset, const char *path,
                            struct ms_error *reterr) {
    struct event e = {.asset = asset, .event = MS_EVENT_RESTORE, .restore = true, .path = path};
    return ms_tree_write(&f->svc, &f->ctx, event_op, &e, NULL, 0, reterr);
}

void fx_restore(struct fx *f, struct ms_id asset, const char *path) {
    assert_ok(fx_try_restore(f, asset, path, &test_err));
}
