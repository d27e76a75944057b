/* Looking: paths, listings, and what time has done to what is found. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static void paths_lead_to_what_they_name(void **state) {
    struct fx *f = *state;
    uint64_t a = fx_mkdir(f, f->root, "a"), b = fx_mkdir(f, a, "b"),
             c = fx_file(f, b, "c.txt", 3, "text/plain");
    struct ms_node node;
    char name[MS_NAME_BYTES_MAX + 1];
    assert_int_equal(fx_ino(f, "/"), f->root);
    assert_int_equal(fx_ino(f, ""), f->root);
    assert_int_equal(fx_ino(f, "a//b/"), b);
    assert_int_equal(fx_ino(f, "/a/b/c.txt"), c);
    assert_ok(ms_tree_walk_parent(&f->svc, &f->ctx, "/a/b/new", &node, name, &test_err));
    assert_int_equal(node.inode.ino, b);
    assert_string_equal(name, "new");
    assert_ok(ms_tree_walk_parent(&f->svc, &f->ctx, "a/", &node, name, &test_err));
    assert_int_equal(node.inode.ino, f->root);
    assert_string_equal(name, "a");
}

static void paths_that_lead_nowhere_say_where_they_end(void **state) {
    struct fx *f = *state;
    struct ms_node node;
    char name[MS_NAME_BYTES_MAX + 1], long_path[400];
    fx_file(f, fx_mkdir(f, f->root, "a"), "f", 1, "text/plain");
    assert_code(ms_tree_walk(&f->svc, &f->ctx, "/a/x/y", &node, &test_err), MS_NOT_FOUND);
    assert_non_null(strstr(test_err.message, "/a/x\""));
    assert_code(ms_tree_walk(&f->svc, &f->ctx, "/a/f/y", &node, &test_err), MS_NOT_DIR);
    assert_code(ms_tree_walk(&f->svc, &f->ctx, "/a/f/", &node, &test_err), MS_NOT_DIR);
    assert_code(ms_tree_walk(&f->svc, &f->ctx, "/a/../a", &node, &test_err), MS_BAD_NAME);
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    assert_code(ms_tree_walk(&f->svc, &f->ctx, long_path, &node, &test_err), MS_NAME_TOO_LONG);
    assert_code(ms_tree_walk_parent(&f->svc, &f->ctx, "/", &node, name, &test_err), MS_BAD_NAME);
    assert_code(ms_tree_walk_parent(&f->svc, &f->ctx, "/a/f/y", &node, name, &test_err),
                MS_NOT_DIR);
    assert_code(ms_tree_walk_parent(&f->svc, &f->ctx, "/a/x/y", &node, name, &test_err),
                MS_NOT_FOUND);
    assert_code(ms_tree_lookup(&f->svc, &f->ctx, f->root, "b\xff", &node, &test_err), MS_BAD_NAME);
    assert_code(ms_tree_node(&f->svc, &f->ctx, 123456, &node, &test_err), MS_NOT_FOUND);
}

static void a_path_is_computed_from_parents(void **state) {
    struct fx *f = *state;
    uint64_t a = fx_mkdir(f, f->root, "a"), b = fx_mkdir(f, a, "b"),
             c = fx_file(f, b, "c.txt", 3, "text/plain");
    MS_AUTO(ms_buf_fini) struct ms_buf path = {0};
    assert_ok(ms_tree_path(&f->svc, &f->ctx, c, &path, &test_err));
    assert_string_equal(path.data, "/a/b/c.txt");
    fx_rename(f, f->root, "a", fx_ino(f, "/files"), "z");
    assert_ok(ms_tree_path(&f->svc, &f->ctx, c, &path, &test_err));
    assert_string_equal(path.data, "/files/z/b/c.txt");
    assert_ok(ms_tree_path(&f->svc, &f->ctx, b, &path, &test_err));
    assert_string_equal(path.data, "/files/z/b");
    assert_ok(ms_tree_path(&f->svc, &f->ctx, f->root, &path, &test_err));
    assert_string_equal(path.data, "/");
    assert_code(ms_tree_path(&f->svc, &f->ctx, 123456, &path, &test_err), MS_NOT_FOUND);
}

static void a_listing_goes_on_where_it_stopped_whatever_happens(void **state) {
    struct fx *f = *state;
    uint64_t dir = fx_mkdir(f, f->root, "d");
    struct ms_node nodes[4];
    size_t n;
    char name[16];
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "n%d", i);
        fx_make(f, dir, name, S_IFIFO | 0600);
    }
    assert_ok(ms_tree_list(&f->svc, &f->ctx, dir, 0, nodes, 4, &n, &test_err));
    assert_int_equal(n, 4);
    assert_string_equal(nodes[3].spelling, "n3");
    fx_unlink(f, dir, "n3", false);
    fx_unlink(f, dir, "n5", false);
    fx_rename(f, dir, "n1", dir, "n6"); /* keeps the entry of n6 */
    fx_make(f, dir, "new", S_IFIFO | 0600);
    uint64_t after = nodes[3].seq;
    static const char *const rest[] = {"n4", "n6", "n7", "n8", "n9", "new"};
    for (size_t i = 0; i < MS_ARRAY_LEN(rest); i++) {
        assert_ok(ms_tree_list(&f->svc, &f->ctx, dir, after, nodes, 1, &n, &test_err));
        assert_int_equal(n, 1);
        assert_string_equal(nodes[0].spelling, rest[i]);
        assert_true(nodes[0].seq > after);
        after = nodes[0].seq;
    }
    assert_ok(ms_tree_list(&f->svc, &f->ctx, dir, after, nodes, 4, &n, &test_err));
    assert_int_equal(n, 0);
    assert_ok(ms_tree_list(&f->svc, &f->ctx, dir, UINT64_MAX, nodes, 4, &n, &test_err));
    assert_int_equal(n, 0);
    assert_code(ms_tree_list(&f->svc, &f->ctx, fx_ino(f, "/d/n4"), 0, nodes, 4, &n, &test_err),
                MS_NOT_DIR);
}

static void what_time_took_away_is_not_there_swept_or_not(void **state) {
    struct fx *f = *state;
    uint64_t dir = fx_mkdir(f, f->root, "d"), ino = fx_file(f, dir, "a", 5, "text/plain");
    struct ms_instant due = ms_instant_add_ms(ms_clock_now(&f->clock.clock), MS_DAY_MS);
    struct ms_node node, nodes[4];
    struct ms_gone gone;
    size_t n;
    fx_event(f, fx_node(f, ino).inode.asset, MS_EVENT_SCHEDULE, due);
    fx_advance(f, MS_DAY_MS - 1);
    assert_true(fx_there(f, "/d/a"));
    fx_advance(f, 1);
    assert_false(fx_there(f, "/d/a"));
    assert_ok(ms_tree_list(&f->svc, &f->ctx, dir, 0, nodes, 4, &n, &test_err));
    assert_int_equal(n, 0);
    assert_code(ms_tree_unlink(&f->svc, &f->ctx, dir, "a", false, &gone, &test_err), MS_NOT_FOUND);
    /* its own clock may say otherwise */
    struct ms_ctx before = f->ctx;
    before.now = ms_instant_add_ms(due, -1);
    assert_ok(ms_tree_lookup(&f->svc, &before, dir, "a", &node, &test_err));
    /* a write applies it: the name is free, the asset lies in the bin */
    fx_make(f, dir, "a", S_IFREG | 0644);
    assert_int_equal(fx_bins(f, NULL, 0), 1);
    assert_int_equal(fx_usage(f).binned_assets, 1);
}

static void a_folder_with_only_what_is_over_is_empty(void **state) {
    struct fx *f = *state;
    uint64_t dir = fx_mkdir(f, f->root, "d"), ino = fx_file(f, dir, "a", 5, "text/plain");
    struct ms_id asset = fx_node(f, ino).inode.asset;
    struct ms_gone gone;
    fx_event(f, asset, MS_EVENT_SCHEDULE, ms_instant_add_ms(ms_clock_now(&f->clock.clock), 1000));
    assert_code(ms_tree_rmdir(&f->svc, &f->ctx, f->root, "d", false, &gone, &test_err),
                MS_NOT_EMPTY);
    assert_non_null(strstr(test_err.message, "\"a\""));
    fx_advance(f, 1000);
    assert_ok(ms_tree_rmdir(&f->svc, &f->ctx, f->root, "d", false, &gone, &test_err));
    assert_int_equal(fx_bins(f, NULL, 0), 1);
    fx_check(f);
    fx_restore(f, asset, NULL); /* the folder comes back with it */
    assert_true(fx_there(f, "/d/a"));
}

static void nodes_show_the_life_cycle(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_file(f, f->root, "a.mp4", 5, "video/mp4");
    struct ms_id asset = fx_node(f, ino).inode.asset;
    struct ms_node node = fx_node(f, ino);
    assert_int_equal(node.state, MS_STATE_ACTIVED);
    assert_int_equal(
        node.rights & (MS_RIGHT_READ | MS_RIGHT_WRITE | MS_RIGHT_RENAME | MS_RIGHT_DELETE), 15);
    fx_event(f, asset, MS_EVENT_FREEZE, ms_instant_of(0));
    node = fx_node(f, ino);
    assert_int_equal(node.state, MS_STATE_BLOCK);
    assert_int_equal(node.rights, MS_RIGHT_DELETE);
    fx_event(f, asset, MS_EVENT_UNFREEZE, ms_instant_of(0));
    struct ms_ctx admin = f->ctx;
    admin.admin = true;
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, true, "x", &test_err));
    node = fx_node(f, ino);
    assert_int_equal(node.state, MS_STATE_BLOCK);
    assert_true(node.tenant_frozen);
    assert_int_equal(node.rights, MS_RIGHT_DELETE);
    node = fx_node(f, f->root);
    assert_int_equal(node.rights, MS_RIGHT_READ | MS_RIGHT_DELETE);
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, false, "x", &test_err));
}

static void make_customized(struct ms_asset_record *asset) { asset->origin = MS_ORIGIN_CUSTOMIZED; }
static void make_preset(struct ms_asset_record *asset) { asset->origin = MS_ORIGIN_SYSTEM; }
static void make_voice(struct ms_asset_record *asset) { asset->type = MS_TYPE_VOICE_MODEL; }

static void kinds_of_assets_take_rights_away(void **state) {
    struct fx *f = *state;
    uint64_t c = fx_file(f, f->root, "c.mp4", 5, "video/mp4"),
             p = fx_file(f, f->root, "p.mp4", 5, "video/mp4"),
             v = fx_file(f, f->root, "v", 5, "text/plain");
    fx_change_asset(f, fx_node(f, c).inode.asset, make_customized);
    fx_change_asset(f, fx_node(f, p).inode.asset, make_preset);
    fx_change_asset(f, fx_node(f, v).inode.asset, make_voice);
    assert_false(fx_node(f, c).rights & MS_RIGHT_WRITE);
    assert_true(fx_node(f, c).rights & MS_RIGHT_RENAME);
    assert_false(fx_node(f, p).rights & (MS_RIGHT_WRITE | MS_RIGHT_RENAME | MS_RIGHT_DELETE));
    assert_true(fx_node(f, p).rights & MS_RIGHT_READ);
    assert_false(fx_node(f, v).rights & MS_RIGHT_READ);
    struct ms_ctx admin = f->ctx;
    struct ms_node node;
    admin.admin = true;
    assert_ok(ms_tree_node(&f->svc, &admin, v, &node, &test_err));
    assert_true(node.rights & MS_RIGHT_READ);
}

FX_TESTS(FX(paths_lead_to_what_they_name), FX(paths_that_lead_nowhere_say_where_they_end),
         FX(a_path_is_computed_from_parents),
         FX(a_listing_goes_on_where_it_stopped_whatever_happens),
         FX(what_time_took_away_is_not_there_swept_or_not),
         FX(a_folder_with_only_what_is_over_is_empty), FX(nodes_show_the_life_cycle),
         FX(kinds_of_assets_take_rights_away))
