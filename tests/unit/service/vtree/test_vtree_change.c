/* What operations on names of .trash/ do, and what they refuse. */
#include "bin.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct ms_id asset_of(struct bin *b, uint64_t ino) {
    struct ms_node node;
    assert_ok(ms_tree_node(b->w->svc, &b->w->ctx, ino, &node, &test_err));
    return node.inode.asset;
}

/* A package of its own would take a model; the bin looks at these two rows only. */
static enum ms_code bind_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    const struct ms_asset_record *asset = ((const struct ms_tree_call *)in)->args;
    struct ms_tree t;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    struct ms_asset_id id = {asset->id};
    struct ms_key bound = ms_key_bound(t.id, (struct ms_package_id){{{7}}}, id);
    MS_TRY(ms_row_put_asset(txn, ms_key_asset(t.id, id), asset, reterr));
    return asset->auto_renew ? ms_row_put_id(txn, bound, asset->id, reterr)
                             : ms_row_del(txn, bound, reterr);
}

static void bind_to_auto_renewal(struct bin *b, const char *path, bool on) {
    struct ms_asset_info info;
    assert_ok(ms_asset_find(b->w->svc, &b->w->ctx, path, &info, &test_err));
    info.asset.auto_renew = on;
    assert_ok(ms_tree_write(b->w->svc, &b->w->admin, bind_op, &info.asset, NULL, 0, &test_err));
}

/* ---- out ------------------------------------------------------------------------------------- */

static void out_is_a_restore_to_any_name(void **state) {
    struct bin *b = *state;
    bin_file(b, "files/x.txt", "bytes");
    struct ms_id asset = asset_of(b, ino_of(b->w, "files/x.txt"));
    bin_unlink(b, "files/x.txt");
    assert_ok(bin_move(b, ".trash/files/x.txt", "scenes/y.txt", false, &test_err));
    bin_check(b, "scenes/y.txt", "bytes");
    assert_memory_equal(asset_of(b, ino_of(b->w, "scenes/y.txt")).b, asset.b, MS_ID_BYTES);
    assert_tree(b, ".trash", "");
    assert_false(bin_there(b, "files/x.txt"));
    bin_unlink(b, "scenes/y.txt");
    assert_ok(bin_move(b, ".trash/scenes/y.txt", "scenes/y.txt", false, &test_err));
    bin_check(b, "scenes/y.txt", "bytes");
    assert_int_equal(quota_of(b->w).usage.binned_assets, 0);
}

static void out_over_a_file_sends_that_to_the_bin(void **state) {
    struct bin *b = *state;
    bin_deleted(b, "files/x.txt", "old");
    bin_file(b, "files/x.txt", "newer");
    assert_code(bin_move(b, ".trash/files/x.txt", "files/x.txt", true, &test_err), MS_EXISTS);
    assert_ok(bin_move(b, ".trash/files/x.txt", "files/x.txt", false, &test_err));
    bin_check(b, "files/x.txt", "old");
    assert_tree(b, ".trash", "files/ files/x.txt ");
    struct ms_node node;
    assert_ok(bin_look(b, ".trash/files/x.txt", &node, &test_err));
    assert_int_equal(node.inode.size, 5);
}

static void out_over_an_open_file_leaves_that_to_who_has_it(void **state) {
    struct bin *b = *state;
    bin_deleted(b, "files/x.txt", "old");
    bin_file(b, "files/x.txt", "newer");
    struct ms_handle *h = open_file(b->w, "files/x.txt", 'r');
    assert_ok(bin_move(b, ".trash/files/x.txt", "files/x.txt", false, &test_err));
    check_bytes(h, 0, "newer", 5, true);
    assert_ok(release_file(h, &test_err));
    bin_check(b, "files/x.txt", "old");
}

static void out_is_refused_as_any_rename_is(void **state) {
    struct bin *b = *state;
    bin_mkdir(b, "folder");
    bin_deleted(b, "files/x.txt", "text");
    assert_code(bin_move(b, ".trash/files/x.txt", "folder", false, &test_err), MS_IS_DIR);
    assert_code(bin_move(b, ".trash/files/x.txt", "images/x.png", false, &test_err), MS_WRONG_KIND);
    assert_code(bin_move(b, ".trash/files/x.txt", "models/x", false, &test_err), MS_NOT_PERMITTED);
    assert_code(bin_move(b, ".trash/files/x.txt", "folder/\xff", false, &test_err), MS_BAD_NAME);
    assert_code(bin_move(b, ".trash/files/none", "folder/x", false, &test_err), MS_NOT_FOUND);
    assert_code(bin_move(b, ".trash/files/x.txt", ".trash/y.txt", false, &test_err),
                MS_NOT_PERMITTED);
    assert_code(bin_move(b, ".trash/files/x.txt", ".msasset/y.txt", false, &test_err),
                MS_READ_ONLY);
    assert_code(bin_move(b, ".trash", "folder/x", false, &test_err), MS_BUSY);
    assert_code(bin_move(b, ".trash/files/x.txt", ".msasset", false, &test_err), MS_BUSY);
    assert_code(bin_move(b, ".msasset/stats", "folder/x", false, &test_err), MS_READ_ONLY);
    assert_tree(b, ".trash", "files/ files/x.txt ");
}

static void a_frozen_tenant_restores_nothing_but_may_delete(void **state) {
    struct bin *b = *state;
    bin_deleted(b, "files/x.txt", "text");
    bin_file(b, "files/y.txt", "text");
    assert_ok(ms_tenant_hold(b->w->svc, &b->w->admin, MS_HOLD_ADMIN, true, "why", &test_err));
    assert_code(bin_move(b, ".trash/files/x.txt", "files/x.txt", false, &test_err), MS_WRONG_STATE);
    assert_ok(bin_move(b, "files/y.txt", ".trash/y.txt", false, &test_err));
    assert_ok(bin_purge(b, ".trash/files/x.txt", &test_err));
    assert_tree(b, ".trash", "files/ files/y.txt ");
}

static void a_frozen_asset_is_not_restored_by_a_move(void **state) {
    struct bin *b = *state;
    bin_deleted(b, "files/x.txt", "text");
    struct ms_asset_event e = {.id = {asset_of(b, bin_ino(b, ".trash/files/x.txt"))},
                               .event = MS_EVENT_FREEZE,
                               .why = "a complaint"};
    assert_ok(ms_asset_apply(b->w->svc, &b->w->admin, &e, NULL, &test_err));
    assert_tree(b, ".trash", "files/ files/x.txt ");
    assert_code(bin_move(b, ".trash/files/x.txt", "files/x.txt", false, &test_err), MS_WRONG_STATE);
}

/* ---- a folder out ---------------------------------------------------------------------------- */

static void a_folder_goes_out_with_all_below_it(void **state) {
    struct bin *b = *state;
    bin_mkdir(b, "a");
    bin_mkdir(b, "a/b");
    bin_deleted(b, "a/b/x", "1");
    bin_deleted(b, "a/b/x", "22");
    bin_deleted(b, "a/y", "333");
    assert_ok(bin_move(b, ".trash/a", "files/c", false, &test_err));
    bin_check(b, "files/c/b/x", "1");
    bin_check(b, "files/c/b/x (2)", "22");
    bin_check(b, "files/c/y", "333");
    assert_tree(b, ".trash", "");
}

static void to_its_own_place_a_removed_folder_comes_back_as_it_was(void **state) {
    struct bin *b = *state;
    struct ms_node node;
    bin_mkdir(b, "a");
    bin_mkdir(b, "a/b");
    uint64_t ino = ino_of(b->w, "a/b");
    bin_deleted(b, "a/b/x", "1");
    bin_rmdir(b, "a/b");
    bin_rmdir(b, "a");
    assert_ok(bin_move(b, ".trash/a", "a", false, &test_err));
    assert_ok(ms_tree_walk(b->w->svc, &b->w->ctx, "a/b", &node, &test_err));
    assert_int_equal(node.inode.ino, ino);
    assert_int_equal(node.inode.mode, S_IFDIR | 0750);
    bin_check(b, "a/b/x", "1");
}

static void what_cannot_be_restored_of_a_folder_stays(void **state) {
    struct bin *b = *state;
    char path[64];
    bin_mkdir(b, "a");
    for (unsigned i = 0; i < 70; i++) { /* more than one commit */
        (void)snprintf(path, sizeof path, "a/%02u", i);
        bin_file(b, path, "x");
    }
    assert_ok(bin_move(b, "a", ".trash/a", false, &test_err));
    struct ms_asset_event e = {.id = {asset_of(b, bin_ino(b, ".trash/a/66"))},
                               .event = MS_EVENT_FREEZE,
                               .why = "a complaint"};
    assert_ok(ms_asset_apply(b->w->svc, &b->w->admin, &e, NULL, &test_err));
    assert_code(bin_move(b, ".trash/a", "a", false, &test_err), MS_WRONG_STATE);
    bin_check(b, "a/00", "x");
    bin_check(b, "a/65", "x");
    assert_tree(b, ".trash", "a/ a/66 a/67 a/68 a/69 ");
    e.event = MS_EVENT_UNFREEZE; /* that restores it, too */
    assert_ok(ms_asset_apply(b->w->svc, &b->w->admin, &e, NULL, &test_err));
    bin_check(b, "a/66", "x");
    assert_tree(b, ".trash", "a/ a/67 a/68 a/69 ");
}

static void one_that_cannot_be_deleted_keeps_its_folder(void **state) {
    struct bin *b = *state;
    bin_mkdir(b, "a");
    bin_file(b, "a/1", "x");
    bin_file(b, "a/2", "x");
    bin_file(b, "a/3", "x");
    bind_to_auto_renewal(b, "a/2", true);
    assert_code(bin_move(b, "a", ".trash/a", false, &test_err), MS_WRONG_STATE);
    assert_tree(b, ".trash", "");
    bin_check(b, "a/1", "x");
    bin_check(b, "a/2", "x");
    bin_check(b, "a/3", "x");
    bind_to_auto_renewal(b, "a/2", false); /* the world is whole when it ends */
}

static void a_folder_goes_over_nothing(void **state) {
    struct bin *b = *state;
    bin_mkdir(b, "a");
    bin_mkdir(b, "empty");
    bin_file(b, "file", "z");
    bin_deleted(b, "a/x", "1");
    assert_code(bin_move(b, ".trash/a", "file", false, &test_err), MS_NOT_DIR);
    assert_code(bin_move(b, ".trash/a", "empty", false, &test_err), MS_EXISTS);
    assert_ok(bin_move(b, ".trash/a", "empty/a", false, &test_err));
    bin_check(b, "empty/a/x", "1");
}

/* ---- for good -------------------------------------------------------------------------------- */

static void removing_there_is_for_good(void **state) {
    struct bin *b = *state;
    bin_deleted(b, "files/x", "12345");
    assert_int_equal(quota_of(b->w).metered, 5);
    assert_code(bin_purge(b, ".trash/files", &test_err), MS_IS_DIR);
    assert_code(bin_purge(b, ".trash/files/y", &test_err), MS_NOT_FOUND);
    assert_code(bin_purge(b, ".msasset/stats", &test_err), MS_READ_ONLY);
    assert_code(bin_purge(b, ".trash", &test_err), MS_IS_DIR);
    assert_ok(bin_purge(b, ".trash/files/x", &test_err));
    assert_int_equal(quota_of(b->w).metered, 0);
    assert_tree(b, ".trash", "");
}

static void what_a_command_restored_is_not_there_any_more(void **state) {
    struct bin *b = *state;
    bin_deleted(b, "files/x", "12345");
    bin_deleted(b, "files/y", "y");
    struct ms_asset_event e = {.id = {asset_of(b, bin_ino(b, ".trash/files/x"))},
                               .event = MS_EVENT_RESTORE};
    assert_ok(ms_asset_apply(b->w->svc, &b->w->ctx, &e, NULL, &test_err));
    assert_code(bin_purge(b, ".trash/files/x", &test_err), MS_NOT_FOUND);
    bin_check(b, "files/x", "12345");
}

static void a_folder_is_removed_when_it_shows_nothing(void **state) {
    struct bin *b = *state;
    struct ms_node node;
    bin_mkdir(b, "a");
    bin_mkdir(b, "a/b");
    bin_deleted(b, "a/b/x", "1");
    assert_code(bin_drop_folder(b, ".trash/a", &test_err), MS_NOT_EMPTY);
    assert_code(bin_drop_folder(b, ".trash/a/b", &test_err), MS_NOT_EMPTY);
    assert_code(bin_drop_folder(b, ".trash/a/b/x", &test_err), MS_NOT_DIR);
    assert_code(bin_drop_folder(b, ".trash", &test_err), MS_BUSY);
    assert_code(bin_drop_folder(b, ".msasset/assets", &test_err), MS_READ_ONLY);
    /* As rm -r does it: it knows the folders, empties them and removes them. */
    assert_ok(bin_look(b, ".trash/a", &node, &test_err));
    uint64_t a = node.inode.ino;
    assert_ok(bin_look(b, ".trash/a/b", &node, &test_err));
    uint64_t ab = node.inode.ino;
    assert_ok(bin_purge(b, ".trash/a/b/x", &test_err));
    assert_tree(b, ".trash", "");
    assert_ok(ms_vtree_node(b->vt, &b->w->ctx, ab, &node, &test_err));
    assert_ok(bin_drop_folder(b, ".trash/a/b", &test_err));
    assert_code(bin_drop_folder(b, ".trash/a/b", &test_err), MS_NOT_FOUND);
    assert_ok(bin_drop_folder(b, ".trash/a", &test_err));
    bin_deleted(b, "a/b/x", "again");
    assert_tree(b, ".trash", "a/ a/b/ a/b/x ");
    assert_int_equal(bin_ino(b, ".trash/a/b"), ab);
    ms_vtree_forget(b->vt, ab, 1);
    ms_vtree_forget(b->vt, a, 1);
    assert_true(bin_there(b, "a/b")); /* the tree's own folders were never meant */
}

/* ---- in -------------------------------------------------------------------------------------- */

static void into_it_is_a_deletion_however_young(void **state) {
    struct bin *b = *state;
    write_file(b->w, "files/x.txt", "young", 5);
    assert_ok(bin_move(b, "files/x.txt", ".trash/anything", false, &test_err));
    assert_tree(b, ".trash", "files/ files/x.txt ");
    assert_false(bin_there(b, "files/x.txt"));
    write_file(b->w, "files/x.txt", "other", 5);
    assert_code(bin_move(b, "files/x.txt", ".trash/files/x.txt", true, &test_err), MS_EXISTS);
    assert_ok(bin_move(b, "files/x.txt", ".trash/files/x.txt", false, &test_err));
    assert_tree(b, ".trash", "files/ files/x.txt files/x (2).txt ");
    assert_code(bin_move(b, "files/x.txt", ".trash/z", false, &test_err), MS_NOT_FOUND);
}

static void one_name_of_several_just_goes(void **state) {
    struct bin *b = *state;
    struct ms_node node;
    bin_file(b, "files/x", "bytes");
    assert_ok(ms_tree_link(b->w->svc, &b->w->ctx, ino_of(b->w, "files/x"), b->w->tenant.root_ino,
                           "beside", &node, &test_err));
    assert_ok(bin_move(b, "beside", ".trash/beside", false, &test_err));
    bin_check(b, "files/x", "bytes");
    assert_tree(b, ".trash", "");
}

static void a_folder_goes_in_with_all_below_it(void **state) {
    struct bin *b = *state;
    struct ms_made made;
    bin_mkdir(b, "a");
    bin_mkdir(b, "a/b");
    bin_file(b, "a/b/x", "1");
    bin_file(b, "a/y", "2");
    struct ms_make link = {
        .parent = ino_of(b->w, "a"), .name = "soft", .mode = S_IFLNK | 0777, .target = "y"};
    assert_ok(ms_tree_make(b->w->svc, &b->w->ctx, &link, &made, &test_err));
    assert_ok(bin_move(b, "a", ".trash/a", false, &test_err));
    assert_false(bin_there(b, "a"));
    assert_tree(b, ".trash", "a/ a/b/ a/b/x a/y ");
    assert_code(bin_move(b, "files", ".trash/files", false, &test_err), MS_BUSY);
    assert_true(bin_there(b, "files"));
}

static void a_file_that_is_being_written_is_unlinked(void **state) {
    struct bin *b = *state;
    struct ms_handle *h = make_file(b->w, "files/x");
    put_bytes(h, 0, "bytes", 5);
    assert_ok(bin_move(b, "files/x", ".trash/x", false, &test_err));
    assert_false(bin_there(b, "files/x"));
    check_bytes(h, 0, "bytes", 5, true);
    assert_ok(flush_file(h, &test_err));
    assert_ok(release_file(h, &test_err));
    assert_tree(b, ".trash", "");
}

/* ---- names that are taken -------------------------------------------------------------------- */

static void nothing_else_gets_the_two_names_in_the_root(void **state) {
    struct bin *b = *state;
    static const char *const names[] = {".trash", ".msasset"};
    for (size_t i = 0; i < 2; i++) {
        struct ms_node node;
        struct ms_gone gone;
        struct ms_made made;
        uint64_t root = b->w->tenant.root_ino;
        struct ms_make make = {.parent = root, .name = names[i], .mode = S_IFDIR | 0755};
        assert_code(ms_tree_make(b->w->svc, &b->w->ctx, &make, &made, &test_err), MS_BUSY);
        make.mode = S_IFREG | 0644;
        assert_code(ms_tree_make(b->w->svc, &b->w->ctx, &make, &made, &test_err), MS_BUSY);
        make.parent = ino_of(b->w, "files");
        make.mode = S_IFDIR | 0755;
        assert_ok(ms_tree_make(b->w->svc, &b->w->ctx, &make, &made, &test_err));
        struct ms_rename r = {
            .parent = make.parent, .new_parent = root, .name = names[i], .new_name = names[i]};
        assert_code(ms_tree_rename(b->w->svc, &b->w->ctx, &r, &node, &gone, &test_err), MS_BUSY);
        assert_code(ms_vtree_refused(b->vt, root, "making", &test_err), MS_BUSY);
    }
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, bin_setup, bin_teardown)
    const struct CMUnitTest tests[] = {
        T(out_is_a_restore_to_any_name),
        T(out_over_a_file_sends_that_to_the_bin),
        T(out_over_an_open_file_leaves_that_to_who_has_it),
        T(out_is_refused_as_any_rename_is),
        T(a_frozen_tenant_restores_nothing_but_may_delete),
        T(a_frozen_asset_is_not_restored_by_a_move),
        T(a_folder_goes_out_with_all_below_it),
        T(to_its_own_place_a_removed_folder_comes_back_as_it_was),
        T(what_cannot_be_restored_of_a_folder_stays),
        T(one_that_cannot_be_deleted_keeps_its_folder),
        T(a_folder_goes_over_nothing),
        T(removing_there_is_for_good),
        T(what_a_command_restored_is_not_there_any_more),
        T(a_folder_is_removed_when_it_shows_nothing),
        T(into_it_is_a_deletion_however_young),
        T(one_name_of_several_just_goes),
        T(a_folder_goes_in_with_all_below_it),
        T(a_file_that_is_being_written_is_unlinked),
        T(nothing_else_gets_the_two_names_in_the_root),
    };
    return cmocka_run_group_tests_name("vtree changes", tests, NULL, NULL);
}
