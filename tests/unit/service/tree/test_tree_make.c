/* Making: names, modes, places, what a new file has beside it. */
#include "fixture.h"

#include "model/names.h"

#include <stdio.h>
#include <string.h>

static enum ms_code try_make(struct fx *f, uint64_t parent, const char *name, uint32_t mode,
                             struct ms_error *reterr) {
    struct ms_make make = {
        .parent = parent, .name = name, .mode = mode, .target = S_ISLNK(mode) ? "t" : NULL};
    struct ms_made made;
    return ms_tree_make(&f->svc, &f->ctx, &make, &made, reterr);
}

static void a_tenant_begins_with_its_type_folders(void **state) {
    struct fx *f = *state;
    static const char *const names[] = {"videos",        "images",    "audio",  "music",
                                        "presentations", "models",    "voices", "scenes",
                                        "animations",    "materials", "files"};
    struct ms_node nodes[32], root = fx_node(f, f->root);
    size_t n;
    assert_ok(ms_tree_list(&f->svc, &f->ctx, f->root, 0, nodes, 32, &n, &test_err));
    assert_int_equal(n, MS_ARRAY_LEN(names));
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(nodes[i].spelling, names[i]);
        assert_int_equal(nodes[i].seq, 3 + i);
        assert_int_equal(nodes[i].inode.mode, S_IFDIR | 0755);
        assert_int_equal(nodes[i].inode.uid, 1000);
    }
    assert_int_equal(root.inode.nlink, 2 + MS_ARRAY_LEN(names));
    assert_int_equal(root.inode.special, MS_SPECIAL_ROOT);
    assert_int_equal(fx_usage(f).inodes, 1 + MS_ARRAY_LEN(names));
}

static void a_new_file_has_all_it_needs_in_one_commit(void **state) {
    struct fx *f = *state;
    struct ms_store_stats before, after;
    ms_store_stats(f->svc.store, &before);
    struct ms_made made = fx_make(f, fx_ino(f, "/videos"), "a.mp4", S_IFREG | 0640);
    ms_store_stats(f->svc.store, &after);
    assert_int_equal(after.commits - before.commits, 1);

    assert_int_equal(made.node.inode.mode, S_IFREG | 0640);
    assert_int_equal(made.node.inode.nlink, 1);
    assert_int_equal(made.node.inode.size, 0);
    assert_int_equal(made.node.inode.unsealed, 1);
    assert_int_equal(made.node.state, MS_STATE_CREATING);
    assert_int_equal(made.node.type, MS_TYPE_VIDEO);
    assert_true(made.node.rights & MS_RIGHT_WRITE);
    assert_int_equal(made.leased, 64 * MS_MB);
    assert_int_equal(fx_usage(f).reserved, 64 * MS_MB);
    char key[MS_OBJECT_KEY_MAX + 1];
    snprintf(key, sizeof key, "%s/%s.1.mp4", ms_id_text(made.asset.id).s,
             ms_id_text(made.file.id).s);
    assert_string_equal(made.key, key);

    struct ms_asset_record asset = fx_asset(f, made.node.inode.ino);
    assert_int_equal(asset.origin, MS_ORIGIN_UPLOADED);
    assert_int_equal(asset.from_mount, 1);
    assert_string_equal(asset.name, "a.mp4");
    assert_int_equal(asset.created.ms, ms_clock_now(&f->clock.clock).ms);
    assert_true(ms_instant_is_none(asset.confirm_due));

    struct ms_tree t;
    struct ms_intent_record intent;
    assert_ok(ms_tree_read(&t, &f->svc, &f->ctx, &test_err));
    assert_ok(ms_row_get_intent(t.txn, ms_key_intent(t.instance, made.intent), &intent, &test_err));
    ms_tree_read_end(&t);
    assert_int_equal(intent.kind, MS_INTENT_NEW_FILE);
    assert_int_equal(intent.ino, made.node.inode.ino);
    assert_string_equal(intent.key, key);
}

static void an_exhausted_quota_does_not_stop_an_empty_file(void **state) {
    struct fx *f = *state;
    struct ms_ctx admin = f->ctx;
    admin.admin = true;
    assert_ok(ms_tenant_set_quota(&f->svc, &admin, 0, &test_err));
    struct ms_made made = fx_make(f, f->root, "a", S_IFREG | 0644);
    assert_int_equal(made.leased, 0);
}

static void every_file_type_is_kept(void **state) {
    struct fx *f = *state;
    static const uint32_t types[] = {S_IFREG,  S_IFDIR, S_IFLNK, S_IFIFO,
                                     S_IFSOCK, S_IFCHR, S_IFBLK};
    for (size_t i = 0; i < MS_ARRAY_LEN(types); i++) {
        char name[8];
        snprintf(name, sizeof name, "n%zu", i);
        struct ms_make make = {.parent = f->root,
                               .name = name,
                               .mode = types[i] | 0600,
                               .rdev = 0x501,
                               .target = "somewhere"};
        struct ms_made made;
        assert_ok(ms_tree_make(&f->svc, &f->ctx, &make, &made, &test_err));
        assert_int_equal(made.node.inode.mode, types[i] | 0600);
        assert_int_equal(made.node.inode.rdev, 0x501);
        assert_int_equal(made.node.inode.size, types[i] == S_IFLNK ? strlen("somewhere") : 0);
        assert_int_equal(made.node.inode.nlink, types[i] == S_IFDIR ? 2 : 1);
        assert_int_equal(made.node.has_asset, types[i] == S_IFREG);
    }
    assert_code(try_make(f, f->root, "none", 0600, &test_err), MS_INVALID);
}

static void times_of_child_and_parent_are_set(void **state) {
    struct fx *f = *state;
    uint64_t dir = fx_mkdir(f, f->root, "d");
    fx_advance(f, 5000);
    int64_t now = ms_clock_now(&f->clock.clock).ms;
    struct ms_made made = fx_make(f, dir, "a", S_IFREG | 0644);
    assert_time_equal(made.node, atime, now);
    assert_time_equal(made.node, mtime, now);
    assert_time_equal(made.node, ctime, now);
    assert_time_equal(made.node, btime, now);
    struct ms_node parent = fx_node(f, dir);
    assert_time_equal(parent, mtime, now);
    assert_time_equal(parent, ctime, now);
    assert_time_equal(parent, atime, now - 5000);
}

static void a_set_group_id_folder_hands_its_group_down(void **state) {
    struct fx *f = *state;
    struct ms_make make = {
        .parent = f->root, .name = "d", .mode = S_IFDIR | 02755, .uid = 1, .gid = 77};
    struct ms_made dir, made;
    assert_ok(ms_tree_make(&f->svc, &f->ctx, &make, &dir, &test_err));
    make = (struct ms_make){
        .parent = dir.node.inode.ino, .name = "a", .mode = S_IFREG | 0644, .uid = 2, .gid = 3};
    assert_ok(ms_tree_make(&f->svc, &f->ctx, &make, &made, &test_err));
    assert_int_equal(made.node.inode.gid, 77);
    assert_int_equal(made.node.inode.mode, S_IFREG | 0644);
    make.name = "sub";
    make.mode = S_IFDIR | 0755;
    assert_ok(ms_tree_make(&f->svc, &f->ctx, &make, &made, &test_err));
    assert_int_equal(made.node.inode.gid, 77);
    assert_int_equal(made.node.inode.mode, S_IFDIR | 02755);
}

static void bad_names_are_refused_and_change_nothing(void **state) {
    struct fx *f = *state;
    char long_name[MS_NAME_BYTES_MAX + 2];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    static const char *const names[] = {"",
                                        ".",
                                        "..",
                                        "a/b",
                                        "a\nb",
                                        "\x7f",
                                        "\xff\xfe",
                                        "caf\xc3",
                                        "a\xe2\x80\xae"
                                        "b"};
    struct ms_usage_record before = fx_usage(f);
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++)
        assert_code(try_make(f, f->root, names[i], S_IFREG | 0644, &test_err), MS_BAD_NAME);
    assert_code(try_make(f, f->root, long_name, S_IFREG | 0644, &test_err), MS_NAME_TOO_LONG);
    assert_non_null(strstr(test_err.message, "255"));
    long_name[MS_NAME_BYTES_MAX] = '\0';
    assert_ok(try_make(f, f->root, long_name, S_IFDIR | 0755, &test_err));
    assert_int_equal(fx_usage(f).inodes, before.inodes + 1);
    assert_int_equal(fx_usage(f).assets, before.assets);
}

static void two_spellings_of_one_name_are_one_name(void **state) {
    struct fx *f = *state;
    const char *nfc = "caf\xc3\xa9.txt", *nfd = "cafe\xcc\x81.txt";
    struct ms_node node;
    struct ms_made made = fx_make(f, f->root, nfd, S_IFREG | 0644);
    assert_string_equal(made.node.spelling, nfd);
    assert_code(try_make(f, f->root, nfc, S_IFREG | 0644, &test_err), MS_EXISTS);
    assert_non_null(strstr(test_err.message, "NFC"));
    assert_code(try_make(f, f->root, nfd, S_IFDIR | 0755, &test_err), MS_EXISTS);
    assert_ok(ms_tree_lookup(&f->svc, &f->ctx, f->root, nfc, &node, &test_err));
    assert_int_equal(node.inode.ino, made.node.inode.ino);
    assert_string_equal(node.spelling, nfd);
}

static void parents_must_be_folders_that_are_there(void **state) {
    struct fx *f = *state;
    uint64_t file = fx_file(f, f->root, "a", 1, "text/plain"), dir = fx_mkdir(f, f->root, "d");
    struct ms_gone gone;
    assert_code(try_make(f, file, "x", S_IFREG | 0644, &test_err), MS_NOT_DIR);
    assert_code(try_make(f, 999999, "x", S_IFREG | 0644, &test_err), MS_NOT_FOUND);
    assert_ok(ms_tree_rmdir(&f->svc, &f->ctx, f->root, "d", true, &gone, &test_err));
    assert_true(gone.kept);
    assert_code(try_make(f, dir, "x", S_IFREG | 0644, &test_err), MS_NOT_FOUND);
    assert_ok(ms_tree_forget(&f->svc, &f->ctx, dir, &test_err));
}

static void models_and_voices_are_the_platforms(void **state) {
    struct fx *f = *state;
    struct ms_make make = {.parent = fx_ino(f, "/models"), .name = "m.bin", .mode = S_IFREG | 0644};
    struct ms_made made;
    assert_code(ms_tree_make(&f->svc, &f->ctx, &make, &made, &test_err), MS_NOT_PERMITTED);
    assert_non_null(strstr(test_err.message, "models/"));
    assert_code(try_make(f, fx_ino(f, "/voices"), "d", S_IFDIR | 0755, &test_err),
                MS_NOT_PERMITTED);
    make.any_folder = true;
    assert_ok(ms_tree_make(&f->svc, &f->ctx, &make, &made, &test_err));
    assert_int_equal(made.node.type, MS_TYPE_HUMAN_MODEL_2D);
    assert_false(made.node.rights & MS_RIGHT_READ);
}

static void a_frozen_tenant_makes_nothing(void **state) {
    struct fx *f = *state;
    struct ms_ctx admin = f->ctx;
    admin.admin = true;
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, true, "complaint 7", &test_err));
    assert_code(try_make(f, f->root, "a", S_IFREG | 0644, &test_err), MS_WRONG_STATE);
    assert_non_null(strstr(test_err.message, "complaint 7"));
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, false, "", &test_err));
    assert_ok(try_make(f, f->root, "a", S_IFREG | 0644, &test_err));
}

static void folders_lie_at_most_128_deep(void **state) {
    struct fx *f = *state;
    uint64_t at = f->root;
    for (int depth = 1; depth <= MS_DEPTH_MAX; depth++)
        at = fx_mkdir(f, at, "d");
    assert_code(try_make(f, at, "d", S_IFDIR | 0755, &test_err), MS_NAME_TOO_LONG);
    assert_non_null(strstr(test_err.message, "128"));
    fx_file(f, at, "a", 1, "text/plain");
    MS_AUTO(ms_buf_fini) struct ms_buf path = {0};
    assert_ok(ms_tree_path(&f->svc, &f->ctx, at, &path, &test_err));
    assert_int_equal(path.len, 2 * MS_DEPTH_MAX);
}

static void a_symbolic_link_keeps_its_target(void **state) {
    struct fx *f = *state;
    char long_target[MS_SYMLINK_BYTES_MAX + 2], got[MS_SYMLINK_BYTES_MAX + 1];
    struct ms_make make = {.parent = f->root, .name = "l", .mode = S_IFLNK | 0777, .target = ""};
    struct ms_made made;
    memset(long_target, 'x', sizeof long_target - 1);
    long_target[sizeof long_target - 1] = '\0';
    assert_code(ms_tree_make(&f->svc, &f->ctx, &make, &made, &test_err), MS_NOT_FOUND);
    make.target = long_target;
    assert_code(ms_tree_make(&f->svc, &f->ctx, &make, &made, &test_err), MS_NAME_TOO_LONG);
    long_target[MS_SYMLINK_BYTES_MAX] = '\0';
    assert_ok(ms_tree_make(&f->svc, &f->ctx, &make, &made, &test_err));
    assert_ok(ms_tree_readlink(&f->svc, &f->ctx, made.node.inode.ino, got, &test_err));
    assert_string_equal(got, long_target);
    assert_code(ms_tree_readlink(&f->svc, &f->ctx, f->root, got, &test_err), MS_INVALID);
}

static void a_file_without_a_name_may_get_one_or_vanish(void **state) {
    struct fx *f = *state;
    struct ms_make make = {.parent = fx_ino(f, "/images"), .mode = S_IFREG | 0600};
    struct ms_made one, two;
    struct ms_node node;
    assert_ok(ms_tree_make(&f->svc, &f->ctx, &make, &one, &test_err));
    assert_ok(ms_tree_make(&f->svc, &f->ctx, &make, &two, &test_err));
    assert_int_equal(one.node.inode.nlink, 0);
    assert_int_equal(one.node.inode.orphan, 1);
    fx_check(f);
    assert_ok(
        ms_tree_link(&f->svc, &f->ctx, one.node.inode.ino, f->root, "named.png", &node, &test_err));
    assert_int_equal(node.inode.nlink, 1);
    assert_int_equal(node.type, MS_TYPE_IMAGE);
    assert_string_equal(fx_asset(f, node.inode.ino).name, "named.png");
    assert_ok(
        ms_tree_forget(&f->svc, &f->ctx, one.node.inode.ino, &test_err)); /* it has a name: stays */
    assert_ok(ms_tree_forget(&f->svc, &f->ctx, two.node.inode.ino, &test_err));
    struct ms_asset_record gone;
    assert_false(fx_asset_by_id(f, two.asset.id, &gone));
    assert_true(fx_there(f, "/named.png"));
    /* its lease is the open file's to give back */
    struct ms_make dir = {.parent = f->root, .mode = S_IFDIR | 0700};
    assert_code(ms_tree_make(&f->svc, &f->ctx, &dir, &two, &test_err), MS_INVALID);
}

FX_TESTS(FX(a_tenant_begins_with_its_type_folders), FX(a_new_file_has_all_it_needs_in_one_commit),
         FX(an_exhausted_quota_does_not_stop_an_empty_file), FX(every_file_type_is_kept),
         FX(times_of_child_and_parent_are_set), FX(a_set_group_id_folder_hands_its_group_down),
         FX(bad_names_are_refused_and_change_nothing), FX(two_spellings_of_one_name_are_one_name),
         FX(parents_must_be_folders_that_are_there), FX(models_and_voices_are_the_platforms),
         FX(a_frozen_tenant_makes_nothing), FX(folders_lie_at_most_128_deep),
         FX(a_symbolic_link_keeps_its_target), FX(a_file_without_a_name_may_get_one_or_vanish))
