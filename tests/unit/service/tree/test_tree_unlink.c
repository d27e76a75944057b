/* Names that go: bin, bypass, orphans, backups of editors, removed folders, restore. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#define OLD (MS_BIN_BYPASS_AGE_MS) /* as old as the bin wants it */

static void the_last_name_of_an_asset_goes_to_the_bin_under_a_new_inode(void **state) {
    struct fx *f = *state;
    uint64_t dir = fx_ino(f, "/videos"), ino = fx_file(f, dir, "a.mp4", 100, "video/mp4");
    struct ms_node before = fx_node(f, ino);
    struct ms_store_stats one, two;
    struct ms_asset_record asset;
    struct ms_bin_record bin;
    fx_advance(f, OLD);
    ms_store_stats(f->svc.store, &one);
    struct ms_gone gone = fx_unlink(f, dir, "a.mp4", true);
    ms_store_stats(f->svc.store, &two);
    assert_int_equal(two.commits - one.commits, 1);
    assert_true(gone.binned && gone.kept && !gone.taken_over);
    assert_int_equal(gone.nlink, 0);
    assert_int_equal(gone.entry_parent, dir);
    assert_true(fx_asset_by_id(f, before.inode.asset, &asset));
    assert_int_equal(asset.binned, 1);
    assert_int_equal(asset.retention_ms, MS_BIN_RETENTION_MS);
    assert_int_not_equal(asset.ino, ino);
    struct ms_node binned = fx_node(f, asset.ino), orphan = fx_node(f, ino);
    assert_memory_equal(&binned.inode.version, &before.inode.version, MS_ID_BYTES);
    assert_int_equal(binned.state, MS_STATE_DELETING);
    assert_int_equal(orphan.inode.orphan, 1);
    assert_int_equal(orphan.inode.nlink, 0);
    assert_false(orphan.has_asset);
    assert_int_equal(fx_bins(f, &bin, 1), 1);
    assert_string_equal(bin.name, "a.mp4");
    assert_string_equal(bin.who, "alice");
    assert_int_equal(bin.parent, dir);
    assert_int_equal(bin.bytes, 100);
    assert_int_equal(fx_usage(f).standard, 100); /* the bin counts */
    fx_check(f);
    assert_ok(ms_tree_forget(&f->svc, &f->ctx, ino, &test_err));
    assert_ok(ms_tree_forget(&f->svc, &f->ctx, ino, &test_err)); /* twice is fine */
    assert_code(ms_tree_node(&f->svc, &f->ctx, ino, &before, &test_err), MS_NOT_FOUND);
}

static void a_young_asset_is_not_binned(void **state) {
    struct fx *f = *state;
    fx_file(f, f->root, "a", 10, "text/plain");
    fx_file(f, f->root, "b", 10, "text/plain");
    fx_advance(f, OLD - 1);
    struct ms_gone gone = fx_unlink(f, f->root, "a", false);
    assert_true(!gone.binned && !gone.kept);
    fx_advance(f, 1);
    assert_true(fx_unlink(f, f->root, "b", false).binned);
    assert_int_equal(fx_usage(f).assets, 1);
    assert_int_equal(fx_usage(f).standard, 10);
}

static void a_frozen_asset_is_binned_however_young(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_file(f, f->root, "a", 10, "text/plain");
    fx_event(f, fx_node(f, ino).inode.asset, MS_EVENT_FREEZE, ms_instant_of(0));
    assert_true(fx_unlink(f, f->root, "a", false).binned);
}

static void a_switched_off_bin_takes_nothing(void **state) {
    struct fx *f = *state;
    struct ms_tenant_options options = {.name = "t2", .free_bytes = UINT64_MAX, .retention_ms = 0};
    struct ms_tenant_record tenant;
    assert_ok(ms_tenant_add(&f->svc, "root@cli", &options, &tenant, &test_err));
    f->ctx.tenant.id = tenant.id;
    fx_file(f, tenant.root_ino, "a", 10, "text/plain");
    fx_advance(f, OLD);
    assert_false(fx_unlink(f, tenant.root_ino, "a", false).binned);
    assert_int_equal(fx_usage(f).assets, 0);
    assert_int_equal(fx_usage(f).standard, 0);
}

static void a_never_sealed_file_is_dropped(void **state) {
    struct fx *f = *state;
    struct ms_made made = fx_make(f, f->root, "a", S_IFREG | 0644);
    struct ms_asset_record asset;
    fx_advance(f, OLD);
    struct ms_gone gone = fx_unlink(f, f->root, "a", true);
    assert_true(gone.kept && !gone.binned);
    assert_false(fx_asset_by_id(f, made.asset.id, &asset));
    assert_int_equal(fx_node(f, made.node.inode.ino).inode.unsealed, 1);
    assert_ok(ms_tree_forget(&f->svc, &f->ctx, made.node.inode.ino, &test_err));
    fx_make(f, f->root, "b", S_IFREG | 0644);
    fx_unlink(f, f->root, "b", false);
    assert_int_equal(fx_usage(f).assets, 0);
}

static void an_unsealed_file_stays_for_the_process_that_writes_it(void **state) {
    struct fx *f = *state;
    struct ms_made made = fx_make(f, f->root, "a", S_IFREG | 0644);
    struct ms_instance_id other = ms_instance_id_new(&f->random.random);
    fx_give_away(f, made.node.inode.ino, other);
    assert_true(fx_unlink(f, f->root, "a", false).kept);
    struct ms_node node = fx_node(f, made.node.inode.ino);
    assert_int_equal(node.inode.orphan, 1);
    assert_memory_equal(&node.inode.opener, &other, MS_ID_BYTES);
    fx_check(f);
    assert_ok(ms_tree_forget(&f->svc, &f->ctx, made.node.inode.ino, &test_err));
}

static void other_names_keep_the_file(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_file(f, f->root, "a.png", 10, "image/png"), dir = fx_mkdir(f, f->root, "d");
    struct ms_node node;
    fx_advance(f, 5000);
    assert_ok(ms_tree_link(&f->svc, &f->ctx, ino, dir, "b.png", &node, &test_err));
    assert_int_equal(node.inode.nlink, 2);
    assert_time_equal(node, ctime, ms_clock_now(&f->clock.clock).ms);
    assert_string_equal(node.spelling, "b.png");
    fx_advance(f, OLD);
    struct ms_gone gone = fx_unlink(f, f->root, "a.png", true);
    assert_int_equal(gone.nlink, 1);
    assert_true(!gone.binned && !gone.kept);
    node = fx_node(f, ino);
    assert_int_equal(node.state, MS_STATE_ACTIVED);
    assert_time_equal(node, ctime, ms_clock_now(&f->clock.clock).ms);
    assert_string_equal(fx_asset(f, ino).name,
                        "b.png"); /* it is called after the name that is left */
    assert_true(fx_unlink(f, dir, "b.png", false).binned);
}

static void links_have_rules(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_file(f, f->root, "a.txt", 10, "text/plain"), dir = fx_mkdir(f, f->root, "d");
    struct ms_node node;
    assert_code(ms_tree_link(&f->svc, &f->ctx, dir, f->root, "e", &node, &test_err),
                MS_NOT_PERMITTED);
    assert_code(ms_tree_link(&f->svc, &f->ctx, ino, f->root, "d", &node, &test_err), MS_EXISTS);
    assert_code(ms_tree_link(&f->svc, &f->ctx, ino, ino, "x", &node, &test_err), MS_NOT_DIR);
    assert_code(ms_tree_link(&f->svc, &f->ctx, 4711, dir, "x", &node, &test_err), MS_NOT_FOUND);
    assert_code(ms_tree_link(&f->svc, &f->ctx, ino, fx_ino(f, "/models"), "x", &node, &test_err),
                MS_NOT_PERMITTED);
    assert_code(ms_tree_link(&f->svc, &f->ctx, ino, dir, "x.mp4", &node, &test_err), MS_WRONG_KIND);
    assert_int_equal(fx_node(f, ino).inode.nlink, 1);
    fx_unlink(f, f->root, "a.txt", true);
    assert_code(ms_tree_link(&f->svc, &f->ctx, ino, dir, "x", &node, &test_err), MS_NOT_FOUND);
    assert_ok(ms_tree_forget(&f->svc, &f->ctx, ino, &test_err));
}

static void unlink_and_rmdir_want_what_they_name(void **state) {
    struct fx *f = *state;
    struct ms_gone gone;
    fx_mkdir(f, fx_mkdir(f, f->root, "d"), "e");
    fx_make(f, f->root, "s", S_IFLNK | 0777);
    assert_code(ms_tree_unlink(&f->svc, &f->ctx, f->root, "d", false, &gone, &test_err), MS_IS_DIR);
    assert_code(ms_tree_rmdir(&f->svc, &f->ctx, f->root, "s", false, &gone, &test_err), MS_NOT_DIR);
    assert_code(ms_tree_rmdir(&f->svc, &f->ctx, f->root, "d", false, &gone, &test_err),
                MS_NOT_EMPTY);
    assert_code(ms_tree_rmdir(&f->svc, &f->ctx, f->root, "x", false, &gone, &test_err),
                MS_NOT_FOUND);
    assert_code(ms_tree_unlink(&f->svc, &f->ctx, f->root, "x", false, &gone, &test_err),
                MS_NOT_FOUND);
    assert_code(ms_tree_rmdir(&f->svc, &f->ctx, f->root, "videos", false, &gone, &test_err),
                MS_BUSY);
    uint32_t links = fx_node(f, f->root).inode.nlink;
    fx_advance(f, 1000);
    assert_ok(ms_tree_rmdir(&f->svc, &f->ctx, fx_ino(f, "/d"), "e", false, &gone, &test_err));
    assert_ok(ms_tree_rmdir(&f->svc, &f->ctx, f->root, "d", false, &gone, &test_err));
    struct ms_node root = fx_node(f, f->root);
    assert_int_equal(root.inode.nlink, links - 1);
    assert_time_equal(root, mtime, ms_clock_now(&f->clock.clock).ms);
    assert_false(fx_unlink(f, f->root, "s", false).kept);
}

static void make_preset(struct ms_asset_record *asset) { asset->origin = MS_ORIGIN_SYSTEM; }
static void make_renewing(struct ms_asset_record *asset) { asset->auto_renew = 1; }

static void a_preset_and_a_renewing_asset_stay(void **state) {
    struct fx *f = *state;
    struct ms_gone gone;
    fx_change_asset(f, fx_node(f, fx_file(f, f->root, "p", 1, "text/plain")).inode.asset,
                    make_preset);
    fx_change_asset(f, fx_node(f, fx_file(f, f->root, "r", 1, "text/plain")).inode.asset,
                    make_renewing);
    assert_code(ms_tree_unlink(&f->svc, &f->ctx, f->root, "p", false, &gone, &test_err),
                MS_WRONG_STATE);
    assert_code(ms_tree_unlink(&f->svc, &f->ctx, f->root, "r", false, &gone, &test_err),
                MS_WRONG_STATE);
    assert_non_null(strstr(test_err.message, "renew"));
    fx_advance(f, OLD);
    assert_code(ms_tree_unlink(&f->svc, &f->ctx, f->root, "r", false, &gone, &test_err),
                MS_WRONG_STATE);
    assert_true(fx_there(f, "/r"));
}

static void a_frozen_tenant_may_delete(void **state) {
    struct fx *f = *state;
    struct ms_ctx admin = f->ctx;
    admin.admin = true;
    fx_file(f, f->root, "a", 1, "text/plain");
    fx_advance(f, OLD);
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, true, "x", &test_err));
    assert_true(fx_unlink(f, f->root, "a", false).binned);
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, false, "x", &test_err));
}

/* ---- vim ------------------------------------------------------------------------------------- */

static void an_editors_backup_hands_its_asset_to_the_new_file(void **state) {
    struct fx *f = *state;
    uint64_t dir = fx_ino(f, "/files"), old = fx_file(f, dir, "x.txt", 10, "text/plain");
    struct ms_asset_record before = fx_asset(f, old), after;
    fx_advance(f, MS_DAY_MS);
    fx_rename(f, dir, "x.txt", dir, "x.txt~");
    assert_string_equal(fx_asset(f, old).name, "x.txt~");
    fx_advance(f, 1000);
    uint64_t fresh = fx_file(f, dir, "x.txt", 33, "text/plain");
    struct ms_id temporary = fx_node(f, fresh).inode.asset;
    fx_advance(f, 58999);
    struct ms_gone gone = fx_unlink(f, dir, "x.txt~", true);
    assert_true(gone.taken_over && gone.kept && !gone.binned);
    after = fx_asset(f, fresh);
    assert_memory_equal(&after.id, &before.id, MS_ID_BYTES);
    assert_int_equal(after.created.ms, before.created.ms);
    assert_int_equal(after.bytes, 33);
    assert_string_equal(after.name, "x.txt");
    assert_false(fx_asset_by_id(f, temporary, &after));
    assert_int_equal(fx_bins(f, NULL, 0), 0);
    assert_int_equal(fx_usage(f).standard, 33);
    fx_check(f);
    assert_ok(ms_tree_forget(&f->svc, &f->ctx, old, &test_err));
}

static void a_backup_that_waits_a_minute_goes_to_the_bin(void **state) {
    struct fx *f = *state;
    fx_file(f, f->root, "x", 10, "text/plain");
    fx_advance(f, MS_DAY_MS);
    fx_rename(f, f->root, "x", f->root, "x~");
    fx_file(f, f->root, "x", 33, "text/plain");
    fx_advance(f, 60000);
    struct ms_gone gone = fx_unlink(f, f->root, "x~", false);
    assert_true(gone.binned && !gone.taken_over);
}

static void tag(struct ms_asset_record *asset) {
    snprintf(asset->tags, sizeof asset->tags, "mine");
}

static void a_backup_is_no_backup_of_what_is_not_its_successor(void **state) {
    struct fx *f = *state;
    uint64_t dir = fx_mkdir(f, f->root, "d"), ino;
    struct ms_node node;
    fx_file(f, f->root, "unsealed", 1, "text/plain");
    fx_file(f, f->root, "moved", 1, "text/plain");
    fx_file(f, f->root, "tagged", 1, "text/plain");
    fx_file(f, f->root, "linked", 1, "text/plain");
    fx_file(f, f->root, "nothing", 1, "text/plain");
    fx_advance(f, MS_DAY_MS);
    fx_rename(f, f->root, "unsealed", f->root, "unsealed~");
    fx_make(f, f->root, "unsealed", S_IFREG | 0644);
    assert_true(fx_unlink(f, f->root, "unsealed~", false).binned);
    fx_rename(f, f->root, "moved", dir, "moved~");
    fx_file(f, f->root, "moved", 2, "text/plain");
    assert_true(fx_unlink(f, dir, "moved~", false).binned);
    fx_rename(f, f->root, "tagged", f->root, "tagged~");
    ino = fx_file(f, f->root, "tagged", 2, "text/plain");
    fx_change_asset(f, fx_node(f, ino).inode.asset, tag);
    assert_true(fx_unlink(f, f->root, "tagged~", false).binned);
    fx_rename(f, f->root, "linked", f->root, "linked~");
    ino = fx_file(f, f->root, "linked", 2, "text/plain");
    assert_ok(ms_tree_link(&f->svc, &f->ctx, ino, dir, "l", &node, &test_err));
    assert_true(fx_unlink(f, f->root, "linked~", false).binned);
    fx_rename(f, f->root, "nothing", f->root, "nothing~");
    assert_true(fx_unlink(f, f->root, "nothing~", false).binned);
}

/* ---- restore --------------------------------------------------------------------------------- */

static struct ms_id binned(struct fx *f, uint64_t dir, const char *name) {
    uint64_t ino = fx_file(f, dir, name, 7, "text/plain");
    struct ms_id id = fx_node(f, ino).inode.asset;
    fx_advance(f, OLD);
    assert_true(fx_unlink(f, dir, name, false).binned);
    return id;
}

static void a_restored_file_is_where_it_was(void **state) {
    struct fx *f = *state;
    uint64_t dir = fx_mkdir(f, f->root, "d");
    struct ms_id id = binned(f, dir, "a");
    fx_rename(f, f->root, "d", f->root, "e");
    fx_restore(f, id, NULL);
    assert_true(fx_is(f, "/e/a", id));
    assert_int_equal(fx_node(f, fx_ino(f, "/e/a")).inode.nlink, 1);
    assert_int_equal(fx_bins(f, NULL, 0), 0);
    assert_int_equal(fx_usage(f).binned_bytes, 0);
    assert_int_equal(fx_node(f, dir).inode.binned, 0);
}

static void a_taken_name_gets_a_number(void **state) {
    struct fx *f = *state;
    struct ms_id one = binned(f, f->root, "a.txt"), two = binned(f, f->root, "a.txt");
    assert_int_equal(fx_bins(f, NULL, 0), 2);
    fx_make(f, f->root, "a.txt", S_IFIFO | 0600);
    fx_restore(f, one, NULL);
    fx_restore(f, two, NULL);
    assert_true(fx_is(f, "/a (2).txt", one));
    assert_true(fx_is(f, "/a (3).txt", two));
    assert_string_equal(fx_asset(f, fx_ino(f, "/a (2).txt")).name, "a (2).txt");
}

static void missing_folders_are_made_again(void **state) {
    struct fx *f = *state;
    uint64_t a = fx_mkdir(f, f->root, "a"), b = fx_mkdir(f, a, "b"), c = fx_mkdir(f, b, "c");
    struct ms_id deep = binned(f, c, "deep"), high = binned(f, a, "high");
    struct ms_gone gone;
    MS_AUTO(ms_buf_fini) struct ms_buf path = {0};
    assert_ok(ms_tree_rmdir(&f->svc, &f->ctx, b, "c", false, &gone, &test_err));
    assert_ok(ms_tree_rmdir(&f->svc, &f->ctx, a, "b", true, &gone,
                            &test_err)); /* somebody stands in it */
    assert_ok(ms_tree_rmdir(&f->svc, &f->ctx, f->root, "a", false, &gone, &test_err));
    fx_check(f);
    assert_false(fx_there(f, "/a"));
    assert_ok(ms_tree_path(&f->svc, &f->ctx, c, &path, &test_err)); /* where it was */
    assert_string_equal(path.data, "/a/b/c");
    fx_restore(f, deep, NULL);
    assert_true(fx_is(f, "/a/b/c/deep", deep));
    assert_int_equal(fx_ino(f, "/a"), a);
    fx_check(f);
    fx_restore(f, high, NULL);
    assert_true(fx_there(f, "/a/high"));
    assert_ok(ms_tree_forget(&f->svc, &f->ctx, b, &test_err)); /* no orphan any more */
    assert_true(fx_there(f, "/a/b"));
}

static void folders_that_were_made_anew_are_used(void **state) {
    struct fx *f = *state;
    uint64_t a = fx_mkdir(f, f->root, "a"), b = fx_mkdir(f, f->root, "b");
    struct ms_id in_a = binned(f, a, "x"), in_b = binned(f, b, "x"), also_in_b = binned(f, b, "y");
    struct ms_gone gone;
    assert_ok(ms_tree_rmdir(&f->svc, &f->ctx, f->root, "a", false, &gone, &test_err));
    assert_ok(ms_tree_rmdir(&f->svc, &f->ctx, f->root, "b", false, &gone, &test_err));
    uint64_t again = fx_mkdir(f, f->root, "a");
    fx_file(f, f->root, "b", 1, "text/plain"); /* a file took the folder's name */
    fx_restore(f, in_a, NULL);
    assert_int_equal(fx_ino(f, "/a"), again);
    assert_true(fx_there(f, "/a/x"));
    fx_restore(f, in_b, NULL);
    assert_true(fx_there(f, "/b (2)/x"));
    fx_restore(f, also_in_b, NULL);
    assert_true(fx_there(f, "/b (2)/y"));
    assert_code(ms_tree_node(&f->svc, &f->ctx, a, &(struct ms_node){0}, &test_err), MS_NOT_FOUND);
}

static void the_last_thing_in_the_bin_lets_removed_folders_go(void **state) {
    struct fx *f = *state;
    uint64_t inodes = fx_usage(f).inodes, a = fx_mkdir(f, f->root, "a"), b = fx_mkdir(f, a, "b");
    struct ms_id id = binned(f, b, "x");
    struct ms_gone gone;
    assert_ok(ms_tree_rmdir(&f->svc, &f->ctx, a, "b", false, &gone, &test_err));
    assert_ok(ms_tree_rmdir(&f->svc, &f->ctx, f->root, "a", false, &gone, &test_err));
    assert_int_equal(fx_usage(f).inodes, inodes + 3);
    fx_check(f);
    fx_restore(f, id, "/elsewhere/new/x");
    assert_true(fx_there(f, "/elsewhere/new/x"));
    assert_int_equal(fx_usage(f).inodes, inodes + 3); /* two folders, one file */
}

static void another_path_has_the_rules_of_rename(void **state) {
    struct fx *f = *state;
    struct ms_id id = binned(f, f->root, "x");
    fx_file(f, f->root, "y", 1, "text/plain");
    assert_code(fx_try_restore(f, id, "/y", &test_err), MS_EXISTS);
    assert_code(fx_try_restore(f, id, "/y/z", &test_err), MS_NOT_DIR);
    assert_code(fx_try_restore(f, id, "/videos/x.mp4", &test_err), MS_WRONG_KIND);
    assert_code(fx_try_restore(f, id, "/a/../b", &test_err), MS_BAD_NAME);
    assert_int_equal(fx_bins(f, NULL, 0), 1);
    assert_false(fx_there(f, "/a"));
    fx_restore(f, id, "animations/x");
    assert_int_equal(fx_asset(f, fx_ino(f, "/animations/x")).type, MS_TYPE_ANIMATION);
}

FX_TESTS(FX(the_last_name_of_an_asset_goes_to_the_bin_under_a_new_inode),
         FX(a_young_asset_is_not_binned), FX(a_frozen_asset_is_binned_however_young),
         FX(a_switched_off_bin_takes_nothing), FX(a_never_sealed_file_is_dropped),
         FX(an_unsealed_file_stays_for_the_process_that_writes_it), FX(other_names_keep_the_file),
         FX(links_have_rules), FX(unlink_and_rmdir_want_what_they_name),
         FX(a_preset_and_a_renewing_asset_stay), FX(a_frozen_tenant_may_delete),
         FX(an_editors_backup_hands_its_asset_to_the_new_file),
         FX(a_backup_that_waits_a_minute_goes_to_the_bin),
         FX(a_backup_is_no_backup_of_what_is_not_its_successor),
         FX(a_restored_file_is_where_it_was), FX(a_taken_name_gets_a_number),
         FX(missing_folders_are_made_again), FX(folders_that_were_made_anew_are_used),
         FX(the_last_thing_in_the_bin_lets_removed_folders_go),
         FX(another_path_has_the_rules_of_rename))
