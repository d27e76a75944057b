/* A folder that goes into the bin as one operation (service/treeop.h): what is seen of it at once, and that
 * it makes no difference when its assets' rows are written, by whom, and what is done meanwhile. */
#include "bin.h"

#include "service/asset_in.h"
#include "service/bin.h"
#include "service/treeop.h"
#include "service/upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 150 /* more than two commits */

static void print_finding(void *priv, const char *invariant, const char *text) {
    unsigned *n = priv;
    print_error("%s: %s\n", invariant, text);
    ++*n;
}

static void check_store(struct world *w) {
    unsigned n = 0;
    struct ms_fsck_options options = {
        .finding = print_finding, .pending = print_finding, .priv = &n};
    struct ms_fsck_result result;
    assert_ok(ms_fsck(w->svc, &options, &result, &test_err));
    assert_int_equal(n, 0);
}

static enum ms_code try_bin(struct world *w, const char *path, struct ms_error *reterr) {
    struct ms_node parent;
    char name[MS_NAME_BYTES_MAX + 1];
    uint64_t ino;
    assert_ok(ms_tree_walk_parent(w->svc, &w->ctx, path, &parent, name, &test_err));
    return ms_tree_bin(w->svc, &w->ctx, parent.inode.ino, name, &ino, reterr);
}

static bool settle_some(struct world *w) {
    bool more;
    assert_ok(ms_tree_settle_some(w->svc, &w->ctx, &more, &test_err));
    return more;
}

static void settle(struct world *w) {
    while (settle_some(w))
        ;
}

static uint32_t open_ops(struct world *w) {
    struct ms_tenant_record tenant;
    assert_ok(ms_tenant_get(w->svc, w->ctx.tenant, &tenant, &test_err));
    return tenant.treeops;
}

static struct ms_asset_id id_of(struct bin *b, const char *path) {
    struct ms_asset_info info;
    assert_ok(ms_asset_find(b->w->svc, &b->w->ctx, path, &info, &test_err));
    return (struct ms_asset_id){info.asset.id};
}

static struct ms_asset_info asset(struct world *w, struct ms_asset_id id) {
    struct ms_asset_info info;
    assert_ok(ms_asset_get(w->svc, &w->ctx, id, &info, &test_err));
    return info;
}

static enum ms_code event(struct world *w, struct ms_asset_id id, enum ms_event what,
                          struct ms_error *reterr) {
    struct ms_asset_event e = {.id = id, .event = what, .why = "test"};
    return ms_asset_apply(w->svc, &w->admin, &e, NULL, reterr);
}

/* ---- at once --------------------------------------------------------------------------------- */

struct scene {
    struct ms_asset_id id[FILES];
    uint64_t sub; /* big/s */
};

/* big/000 ... and every third one in big/s/ */
static void path_of(unsigned i, char path[32]) {
    (void)snprintf(path, 32, "big/%s%03u", i % 3 ? "" : "s/", i);
}

static void make_big(struct bin *b, struct scene *s) {
    char path[32];
    bin_mkdir(b, "big");
    bin_mkdir(b, "big/s");
    for (unsigned i = 0; i < FILES; i++) {
        path_of(i, path);
        write_file(b->w, path, "bytes", 5);
        s->id[i] = id_of(b, path);
    }
    s->sub = ino_of(b->w, "big/s");
    ms_clock_fake_advance(&b->w->clock, MS_MINUTE_MS);
}

/* What anybody sees, whatever is settled. */
static void check_seen(struct bin *b, const struct scene *s, struct ms_instant at) {
    struct ms_ctx *ctx = &b->w->ctx;
    struct ms_node node;
    struct ms_made made;
    struct ms_make make = {.parent = s->sub, .name = "new", .mode = S_IFDIR | 0755};
    char path[32], place[40];
    size_t n = 1;
    assert_false(bin_there(b, "big"));
    for (unsigned i = 0; i < FILES; i++) {
        struct ms_asset_info info = asset(b->w, s->id[i]);
        path_of(i, path);
        (void)snprintf(place, sizeof place, "/%s", path);
        assert_int_equal(info.state, MS_STATE_DELETING);
        assert_int_equal(info.asset.binned_at.ms, at.ms);
        assert_string_equal(info.path, place);
        (void)snprintf(place, sizeof place, ".trash/%s", path);
        assert_true(bin_shows(b, place));
    }
    /* from within: a program may stand in a folder that is there no more */
    assert_code(ms_tree_lookup(b->w->svc, ctx, s->sub, "000", &node, &test_err), MS_NOT_FOUND);
    assert_code(ms_tree_make(b->w->svc, ctx, &make, &made, &test_err), MS_NOT_FOUND);
    if (ms_tree_list(b->w->svc, ctx, s->sub, 0, &node, 1, &n, NULL) == MS_OK)
        assert_int_equal(n, 0);
    assert_code(try_bin(b->w, "big", &test_err), MS_NOT_FOUND);
}

static void what_is_in_it_is_in_the_bin_at_once(void **state) {
    struct bin *b = *state;
    struct scene s;
    make_big(b, &s);
    struct ms_instant at = ms_clock_now(&b->w->clock.clock);
    uint64_t commits = commits_of(b->w->svc), metered = quota_of(b->w).metered;
    assert_ok(try_bin(b->w, "big", &test_err));
    assert_int_equal(commits_of(b->w->svc), commits + 1);
    assert_int_equal(open_ops(b->w), 1);
    ms_clock_fake_advance(&b->w->clock, MS_DAY_MS);
    check_seen(b, &s, at);
    check_store(b->w);
    while (settle_some(b->w)) {
        check_seen(b, &s, at);
        check_store(b->w);
    }
    assert_int_equal(open_ops(b->w), 0);
    check_seen(b, &s, at);
    assert_int_equal(quota_of(b->w).usage.binned_assets, FILES);
    assert_int_equal(quota_of(b->w).usage.binned_bytes, 5 * FILES);
    assert_int_equal(quota_of(b->w).metered, metered);
    assert_ok(bin_move(b, ".trash/big", "big", false, &test_err));
    assert_int_equal(asset(b->w, s.id[7]).state, MS_STATE_ACTIVED);
    bin_check(b, "big/s/000", "bytes");
    assert_int_equal(ino_of(b->w, "big/s"), s.sub);
}

static void bytes_in_it_can_be_read_and_not_written(void **state) {
    struct bin *b = *state;
    struct scene s;
    make_big(b, &s);
    struct ms_handle *h = open_file(b->w, "big/001", 'r');
    assert_ok(try_bin(b->w, "big", &test_err));
    check_bytes(h, 0, "bytes", 5, true);
    struct ms_open how = {.ino = bin_ino(b, ".trash/big/001"), .write = true};
    struct ms_handle *w;
    assert_code(ms_file_open(b->w->svc, &b->w->ctx, &how, &w, &test_err), MS_WRONG_STATE);
    assert_ok(release_file(h, &test_err));
    settle(b->w);
}

/* The audit log has one row of the operation, then those of the assets, all at its instant. */
static void the_log_tells_the_operation_and_then_its_assets(void **state) {
    struct bin *b = *state;
    struct scene s;
    struct ms_audit_record row;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    unsigned folders = 0, assets = 0;
    make_big(b, &s);
    struct ms_instant at = ms_clock_now(&b->w->clock.clock);
    assert_ok(try_bin(b->w, "big", &test_err));
    ms_clock_fake_advance(&b->w->clock, MS_HOUR_MS);
    settle(b->w);
    assert_ok(ms_read_begin(b->w->svc->store, &txn, &test_err));
    struct ms_key prefix = ms_key_audits_of(b->w->ctx.tenant);
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (ms_row_next_audit(&scan, &key, &row, NULL) == MS_OK) {
        if (row.event == MS_AUDIT_FOLDER_BINNED) {
            folders++;
            assert_int_equal(assets, 0);
            assert_string_equal(row.why, "/big");
        }
        if (row.event != MS_AUDIT_FOLDER_BINNED && row.event != MS_EVENT_DELETE)
            continue;
        assets += row.event == MS_EVENT_DELETE;
        assert_int_equal(row.at.ms, at.ms);
        assert_string_equal(row.who, b->w->ctx.who);
    }
    ms_scan_end(&scan);
    ms_read_end(txn);
    assert_int_equal(folders, 1);
    assert_int_equal(assets, FILES);
}

static void retention_counts_from_the_operation(void **state) {
    struct bin *b = *state;
    struct scene s;
    struct ms_asset_info info;
    struct ms_sweep_result swept;
    make_big(b, &s);
    assert_ok(try_bin(b->w, "big", &test_err));
    ms_clock_fake_advance(&b->w->clock, MS_BIN_RETENTION_MS - 1);
    assert_int_equal(asset(b->w, s.id[0]).state, MS_STATE_DELETING);
    ms_clock_fake_advance(&b->w->clock, 1);
    assert_code(ms_asset_get(b->w->svc, &b->w->ctx, s.id[0], &info, &test_err), MS_NOT_FOUND);
    assert_false(bin_shows(b, ".trash/big/001"));
    assert_ok(ms_sweep(b->w->svc, &swept, &test_err));
    assert_int_equal(open_ops(b->w), 0);
    assert_int_equal(quota_of(b->w).metered, 0);
    assert_int_equal(quota_of(b->w).usage.assets, 0);
}

/* ---- meanwhile ------------------------------------------------------------------------------- */

static void single_files_come_out_and_go_for_good_meanwhile(void **state) {
    struct bin *b = *state;
    struct scene s;
    struct ms_asset_info info;
    make_big(b, &s);
    assert_ok(try_bin(b->w, "big", &test_err));
    assert_ok(bin_move(b, ".trash/big/001", "files/one", false, &test_err));
    bin_check(b, "files/one", "bytes");
    assert_ok(event(b->w, s.id[0], MS_EVENT_RESTORE, &test_err));
    bin_check(b, "big/s/000", "bytes"); /* in folders of its own */
    assert_ok(bin_purge(b, ".trash/big/002", &test_err));
    assert_code(ms_asset_get(b->w->svc, &b->w->ctx, s.id[2], &info, &test_err), MS_NOT_FOUND);
    check_store(b->w);
    assert_true(settle_some(b->w));
    assert_ok(event(b->w, s.id[FILES - 1], MS_EVENT_RESTORE, &test_err));
    check_store(b->w);
    settle(b->w);
    bin_check(b, "big/s/000", "bytes");
    bin_check(b, "big/149", "bytes");
    assert_int_equal(quota_of(b->w).usage.binned_assets, FILES - 4);
    assert_ok(event(b->w, s.id[4], MS_EVENT_RESTORE, &test_err));
    bin_check(b, "big/004", "bytes");
}

static void the_same_name_can_be_made_and_deleted_again(void **state) {
    struct bin *b = *state;
    bin_mkdir(b, "a");
    bin_file(b, "a/x", "first");
    assert_ok(try_bin(b->w, "a", &test_err));
    bin_mkdir(b, "a");
    bin_file(b, "a/x", "second");
    assert_ok(try_bin(b->w, "a", &test_err));
    assert_int_equal(open_ops(b->w), 2);
    assert_tree(b, ".trash", "a/ a/x a/x (2) ");
    check_store(b->w);
    settle(b->w);
    assert_tree(b, ".trash", "a/ a/x a/x (2) ");
    assert_ok(bin_move(b, ".trash/a/x (2)", "y", false, &test_err));
    bin_check(b, "y", "second");
}

static void a_folder_above_goes_too(void **state) {
    struct bin *b = *state;
    bin_mkdir(b, "a");
    bin_mkdir(b, "a/b");
    bin_mkdir(b, "a/b/c");
    bin_file(b, "a/b/c/1", "1");
    bin_file(b, "a/b/2", "2");
    bin_file(b, "a/3", "3");
    struct ms_asset_id one = id_of(b, "a/b/c/1");
    struct ms_instant first = ms_clock_now(&b->w->clock.clock);
    assert_ok(try_bin(b->w, "a/b/c", &test_err));
    ms_clock_fake_advance(&b->w->clock, MS_HOUR_MS);
    assert_ok(try_bin(b->w, "a/b", &test_err));
    ms_clock_fake_advance(&b->w->clock, MS_HOUR_MS);
    assert_ok(try_bin(b->w, "a", &test_err));
    assert_int_equal(asset(b->w, one).asset.binned_at.ms, first.ms);
    assert_string_equal(asset(b->w, one).path, "/a/b/c/1");
    check_store(b->w);
    assert_ok(event(b->w, one, MS_EVENT_RESTORE, &test_err));
    bin_check(b, "a/b/c/1", "1");
    check_store(b->w);
    settle(b->w);
    bin_check(b, "a/b/c/1", "1");
    assert_tree(b, ".trash", "a/ a/b/ a/b/2 a/3 ");
    assert_ok(bin_move(b, ".trash/a/b/2", "a/b/2", false, &test_err));
}

static void hard_link(struct bin *b, const char *of, const char *in, const char *name) {
    struct ms_node node;
    assert_ok(ms_tree_link(b->w->svc, &b->w->ctx, ino_of(b->w, of), ino_of(b->w, in), name, &node,
                           &test_err));
}

static void a_name_outside_keeps_the_asset(void **state) {
    struct bin *b = *state;
    bin_mkdir(b, "a");
    bin_mkdir(b, "c");
    bin_file(b, "a/x", "x");
    bin_file(b, "a/y", "y");
    bin_file(b, "a/z", "z");
    struct ms_asset_id x = id_of(b, "a/x"), y = id_of(b, "a/y"), z = id_of(b, "a/z");
    hard_link(b, "a/x", "files", "x");
    hard_link(b, "a/y", "files", "y");
    hard_link(b, "a/z", "c", "z");
    assert_ok(try_bin(b->w, "a", &test_err));
    assert_tree(b, ".trash", "");
    assert_int_equal(asset(b->w, x).state, MS_STATE_ACTIVED);
    ms_clock_fake_advance(&b->w->clock, MS_HOUR_MS);
    /* the last name that is left goes, and the asset with it, now */
    struct ms_instant at = ms_clock_now(&b->w->clock.clock);
    bin_unlink(b, "files/y");
    assert_int_equal(asset(b->w, y).state, MS_STATE_DELETING);
    assert_int_equal(asset(b->w, y).asset.binned_at.ms, at.ms);
    assert_ok(try_bin(b->w, "c", &test_err));
    assert_int_equal(asset(b->w, z).asset.binned_at.ms, at.ms);
    check_store(b->w);
    settle(b->w);
    assert_int_equal(asset(b->w, x).state, MS_STATE_ACTIVED);
    bin_check(b, "files/x", "x");
    assert_string_equal(asset(b->w, x).path, "/files/x");
    assert_int_equal(asset(b->w, z).asset.binned_at.ms, at.ms);
}

static void what_is_no_asset_goes(void **state) {
    struct bin *b = *state;
    bin_mkdir(b, "a");
    bin_mkdir(b, "a/empty");
    bin_mkdir(b, "a/empty/too");
    struct ms_made made;
    struct ms_make make = {.parent = ino_of(b->w, "a/empty"),
                           .name = "link",
                           .mode = S_IFLNK | 0777,
                           .target = "somewhere"};
    assert_ok(ms_tree_make(b->w->svc, &b->w->ctx, &make, &made, &test_err));
    uint64_t inodes = quota_of(b->w).usage.inodes;
    assert_ok(try_bin(b->w, "a", &test_err));
    settle(b->w);
    assert_int_equal(quota_of(b->w).usage.inodes, inodes - 4);
    assert_tree(b, ".trash", "");
}

/* Nobody has closed it: there is nothing that the bin could keep. Its writer goes on. */
static void a_file_that_is_written_goes_as_by_unlink(void **state) {
    struct bin *b = *state;
    struct ms_asset_info info;
    for (unsigned settled = 0; settled < 2; settled++) {
        bin_mkdir(b, "a");
        bin_file(b, "a/old", "old");
        ms_clock_fake_advance(&b->w->clock, MS_HOUR_MS);
        struct ms_handle *fresh = make_file(b->w, "a/new"), *old = open_file(b->w, "a/old", 'w');
        struct ms_asset_id ids[2] = {id_of(b, "a/new"), id_of(b, "a/old")};
        put_bytes(fresh, 0, "12345", 5);
        put_bytes(old, 0, "OLD", 3);
        assert_ok(try_bin(b->w, "a", &test_err));
        if (settled)
            settle(b->w);
        assert_code(ms_asset_get(b->w->svc, &b->w->ctx, ids[0], &info, &test_err), MS_NOT_FOUND);
        assert_int_equal(asset(b->w, ids[1]).state, MS_STATE_DELETING);
        assert_ok(flush_file(fresh, &test_err));
        check_bytes(fresh, 0, "12345", 5, true);
        seal_file(fresh);
        (void)flush_file(old, NULL);
        (void)release_file(old, NULL);
        settle(b->w);
        assert_false(bin_there(b, "a"));
    }
}

/* ---- who may --------------------------------------------------------------------------------- */

struct binding {
    struct ms_asset_id asset;
    bool on;
};

static enum ms_code bind_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct binding *args = ((const struct ms_tree_call *)in)->args;
    struct ms_package_id package = {{{7}}};
    struct ms_asset_record rec;
    struct ms_tree t;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    MS_TRY(ms_row_get_asset(txn, ms_key_asset(t.id, args->asset), &rec, reterr));
    rec.auto_renew = args->on;
    MS_TRY(ms_row_put_asset(txn, ms_key_asset(t.id, args->asset), &rec, reterr));
    struct ms_key bound = ms_key_bound(t.id, package, args->asset);
    return args->on ? ms_row_put_id(txn, bound, args->asset.id, reterr)
                    : ms_row_del(txn, bound, reterr);
}

static void bind(struct bin *b, struct ms_asset_id id, bool on) {
    struct binding args = {id, on};
    assert_ok(ms_tree_write(b->w->svc, &b->w->admin, bind_op, &args, NULL, 0, &test_err));
}

static void one_that_renews_itself_keeps_the_folder(void **state) {
    struct bin *b = *state;
    bin_mkdir(b, "a");
    bin_mkdir(b, "a/b");
    bin_file(b, "a/1", "x");
    bin_file(b, "a/b/2", "x");
    bin_file(b, "else", "x");
    struct ms_asset_id two = id_of(b, "a/b/2"), other = id_of(b, "else");
    bind(b, two, true);
    bind(b, other, true);
    assert_code(try_bin(b->w, "a", &test_err), MS_WRONG_STATE);
    assert_tree(b, ".trash", "");
    bin_check(b, "a/1", "x");
    bin_mkdir(b, "c");
    hard_link(b, "a/b/2", "c", "kept"); /* it would live on */
    assert_ok(try_bin(b->w, "a", &test_err));
    assert_code(try_bin(b->w, "c", &test_err), MS_WRONG_STATE); /* a name on its way keeps nothing */
    settle(b->w);
    bin_check(b, "c/kept", "x");
    assert_code(try_bin(b->w, "c", &test_err), MS_WRONG_STATE);
    bind(b, two, false);
    bind(b, other, false);
}

static void folders_of_every_tenant_stay(void **state) {
    struct bin *b = *state;
    bin_file(b, "files/x", "x");
    assert_code(try_bin(b->w, "videos", &test_err), MS_BUSY);
    assert_code(try_bin(b->w, "files/x", &test_err), MS_NOT_DIR);
    assert_code(try_bin(b->w, "nowhere", &test_err), MS_NOT_FOUND);
    assert_ok(ms_bin_set(b->w->svc, &b->w->admin, 0, NULL, &test_err));
    bin_mkdir(b, "a");
    bin_file(b, "a/x", "x");
    assert_code(try_bin(b->w, "a", &test_err), MS_UNSUPPORTED);
    bin_check(b, "a/x", "x");
    assert_ok(bin_move(b, "a", ".trash/a", false, &test_err)); /* for good */
    assert_false(bin_there(b, "a"));
    assert_tree(b, ".trash", "");
}

static void a_freeze_is_not_lost(void **state) {
    struct bin *b = *state;
    bin_mkdir(b, "a");
    bin_file(b, "a/before", "x");
    bin_file(b, "a/after", "x");
    struct ms_asset_id before = id_of(b, "a/before"), after = id_of(b, "a/after");
    assert_ok(event(b->w, before, MS_EVENT_FREEZE, &test_err));
    assert_ok(try_bin(b->w, "a", &test_err));
    assert_int_equal(asset(b->w, before).state, MS_STATE_DELETING);
    assert_code(event(b->w, before, MS_EVENT_RESTORE, &test_err), MS_OK);
    assert_int_equal(asset(b->w, before).state, MS_STATE_BLOCK);
    assert_ok(event(b->w, after, MS_EVENT_FREEZE, &test_err));
    assert_int_equal(asset(b->w, after).state, MS_STATE_BLOCK);
    settle(b->w);
    assert_int_equal(asset(b->w, after).state, MS_STATE_BLOCK);
    /* the tenant as a whole: deleting works, and retention stops */
    bin_mkdir(b, "c");
    bin_file(b, "c/x", "x");
    struct ms_asset_id x = id_of(b, "c/x");
    assert_ok(ms_tenant_hold(b->w->svc, &b->w->admin, MS_HOLD_ADMIN, true, "test", &test_err));
    assert_ok(try_bin(b->w, "c", &test_err));
    ms_clock_fake_advance(&b->w->clock, 2 * MS_BIN_RETENTION_MS);
    assert_int_equal(asset(b->w, x).state, MS_STATE_DELETING);
    assert_ok(ms_tenant_hold(b->w->svc, &b->w->admin, MS_HOLD_ADMIN, false, "", &test_err));
    ms_clock_fake_advance(&b->w->clock, MS_BIN_RETENTION_MS - 1);
    assert_int_equal(asset(b->w, x).state, MS_STATE_DELETING);
    settle(b->w);
    assert_int_equal(asset(b->w, x).state, MS_STATE_DELETING);
    ms_clock_fake_advance(&b->w->clock, 1);
    struct ms_asset_info info;
    assert_code(ms_asset_get(b->w->svc, &b->w->ctx, x, &info, &test_err), MS_NOT_FOUND);
}

/* ---- who does it ------------------------------------------------------------------------------- */

static void a_worker_does_it(void **state) {
    struct bin *b = *state;
    struct scene s;
    make_big(b, &s);
    assert_ok(ms_tree_worker_start(b->w->svc, MS_MINUTE_MS, &test_err));
    assert_ok(bin_move(b, "big", ".trash/big", false, &test_err));
    for (unsigned i = 0; open_ops(b->w) > 0 && i < 10000; i++)
        (void)usleep(1000);
    assert_int_equal(open_ops(b->w), 0);
    ms_tree_worker_stop(b->w->svc);
    assert_int_equal(quota_of(b->w).usage.binned_assets, FILES);
}

static void the_list_of_the_bin_names_it(void **state) {
    struct bin *b = *state;
    struct scene s;
    struct ms_bin_folder *folders;
    size_t n;
    make_big(b, &s);
    assert_ok(try_bin(b->w, "big", &test_err));
    assert_true(settle_some(b->w));
    assert_ok(ms_bin_folders(b->w->svc, &b->w->ctx, &folders, &n, &test_err));
    assert_int_equal(n, 1);
    assert_string_equal(folders[0].path, "/big");
    assert_int_equal(folders[0].assets, quota_of(b->w).usage.binned_assets);
    free(folders);
    settle(b->w);
    assert_ok(ms_bin_folders(b->w->svc, &b->w->ctx, &folders, &n, &test_err));
    assert_int_equal(n, 0);
    free(folders);
}

/* ---- swept or not, it makes no difference ------------------------------------------------------ */

#define PLAYED 40

struct side {
    struct bin *b;
    struct ms_asset_id id[PLAYED];
    bool at_once;
};

/* The folder of the file: three of them, one in the other. */
static void played_path(unsigned i, char path[32]) {
    static const char *const folder[] = {"p", "p/q", "p/q/r", "t"};
    (void)snprintf(path, 32, "%s/%02u", folder[i % 4], i);
}

static void begin_side(struct side *s) {
    char path[32];
    bin_mkdir(s->b, "p");
    bin_mkdir(s->b, "p/q");
    bin_mkdir(s->b, "p/q/r");
    bin_mkdir(s->b, "t");
    for (unsigned i = 0; i < PLAYED; i++) {
        played_path(i, path);
        write_file(s->b->w, path, "12345678", i % 9);
        s->id[i] = id_of(s->b, path);
    }
    ms_clock_fake_advance(&s->b->w->clock, MS_MINUTE_MS);
}

enum { MOVES = 9 };

/* Refused while deadlines from before an older freeze are not applied, which settling does too: the refusal says
 * what to do. */
static enum ms_code hold_tenant(struct world *w, bool on) {
    struct ms_sweep_result swept;
    enum ms_code code = ms_tenant_hold(w->svc, &w->admin, MS_HOLD_ADMIN, on, "test", NULL);
    if (code != MS_BUSY)
        return code;
    assert_ok(ms_sweep_tenant(w->svc, w->ctx.tenant, &swept, &test_err));
    return ms_tenant_hold(w->svc, &w->admin, MS_HOLD_ADMIN, on, "test", NULL);
}

static enum ms_code play(struct side *s, unsigned move, unsigned i, unsigned day) {
    static const char *const folders[] = {"p/q/r", "p/q", "p", "t"};
    struct world *w = s->b->w;
    struct ms_asset_event schedule = {.id = s->id[i],
                                      .event = MS_EVENT_SCHEDULE,
                                      .scheduled_op = MS_SCHEDULED_BLOCK + i % 2,
                                      .at = ms_instant_add_ms(ms_clock_now(&w->clock.clock),
                                                              (1 + day) * MS_DAY_MS)};
    char path[32];
    switch (move) {
    case 0:
    case 1:
        return bin_there(s->b, folders[i % 4]) ? try_bin(w, folders[i % 4], NULL) : MS_NOT_FOUND;
    case 2:
        return event(w, s->id[i], MS_EVENT_RESTORE, NULL);
    case 3:
        return event(w, s->id[i], MS_EVENT_DELETE, NULL);
    case 4:
        return event(w, s->id[i], MS_EVENT_FREEZE, NULL);
    case 5:
        return event(w, s->id[i], MS_EVENT_UNFREEZE, NULL);
    case 6:
        return ms_asset_apply(w->svc, &w->admin, &schedule, NULL, NULL);
    case 7:
        played_path(i, path);
        ms_clock_fake_advance(&w->clock, day * MS_DAY_MS / 2);
        return bin_there(s->b, path);
    default:
        return hold_tenant(w, i % 2);
    }
}

/* Names of places that are taken again depend on the order of rows; all the rest must agree. */
static void compare_sides(struct side s[2], unsigned i) {
    struct ms_asset_info info[2] = {{.path = ""}, {.path = ""}};
    enum ms_code code[2];
    for (unsigned k = 0; k < 2; k++)
        code[k] = ms_asset_get(s[k].b->w->svc, &s[k].b->w->ctx, s[k].id[i], &info[k], NULL);
    assert_int_equal(code[0], code[1]);
    if (code[0] != MS_OK)
        return;
    assert_int_equal(info[0].state, info[1].state);
    assert_int_equal(info[0].asset.binned_at.ms, info[1].asset.binned_at.ms);
    assert_int_equal(info[0].asset.holds, info[1].asset.holds);
    assert_int_equal(info[0].asset.last, info[1].asset.last);
    assert_string_equal(info[0].path, info[1].path);
}

static void settled_sooner_or_later_it_is_the_same(void **state) {
    unsigned rounds = ms_test_rounds(40), agreed = 0;
    struct ms_random_seeded random;
    ms_random_seeded_init(&random, ms_test_seed());
    (void)state;
    for (unsigned round = 0; round < rounds; round++) {
        struct side side[2] = {{.at_once = true}, {.at_once = false}};
        for (unsigned k = 0; k < 2; k++) {
            void *p;
            assert_int_equal(bin_setup(&p), 0);
            side[k].b = p;
            begin_side(&side[k]);
        }
        for (unsigned step = 0; step < 60; step++) {
            unsigned move = (unsigned)ms_random_below(&random.random, MOVES);
            unsigned i = (unsigned)ms_random_below(&random.random, PLAYED);
            unsigned day = (unsigned)ms_random_below(&random.random, 9);
            enum ms_code code[2];
            for (unsigned k = 0; k < 2; k++) {
                code[k] = play(&side[k], move, i, day);
                if (side[k].at_once)
                    settle(side[k].b->w);
                else if (ms_random_below(&random.random, 8) == 0)
                    (void)settle_some(side[k].b->w);
            }
            assert_int_equal(code[0], code[1]);
            agreed += code[0] == MS_OK;
            for (unsigned n = 0; n < PLAYED; n++)
                compare_sides(side, n);
        }
        for (unsigned k = 0; k < 2; k++) {
            settle(side[k].b->w);
            assert_int_equal(bin_teardown((void *[]){side[k].b}), 0);
        }
    }
    print_message("%u operations that were done, of %u\n", agreed, rounds * 60);
    assert_true(agreed > rounds * 10);
    ms_random_seeded_fini(&random);
}

#define BIN(test) cmocka_unit_test_setup_teardown(test, bin_setup, bin_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        BIN(what_is_in_it_is_in_the_bin_at_once),
        BIN(bytes_in_it_can_be_read_and_not_written),
        BIN(the_log_tells_the_operation_and_then_its_assets),
        BIN(retention_counts_from_the_operation),
        BIN(single_files_come_out_and_go_for_good_meanwhile),
        BIN(the_same_name_can_be_made_and_deleted_again),
        BIN(a_folder_above_goes_too),
        BIN(a_name_outside_keeps_the_asset),
        BIN(what_is_no_asset_goes),
        BIN(a_file_that_is_written_goes_as_by_unlink),
        BIN(one_that_renews_itself_keeps_the_folder),
        BIN(folders_of_every_tenant_stay),
        BIN(a_freeze_is_not_lost),
        BIN(a_worker_does_it),
        BIN(the_list_of_the_bin_names_it),
        cmocka_unit_test(settled_sooner_or_later_it_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
