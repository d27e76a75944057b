/* Attributes and extended attributes. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static struct ms_node set(struct fx *f, const struct ms_setattr *set) {
    struct ms_node node;
    assert_ok(ms_tree_setattr(&f->svc, &f->ctx, set, &node, &test_err));
    return node;
}

static void each_attribute_is_set_alone(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_file(f, f->root, "a", 5, "text/plain");
    struct ms_node before = fx_node(f, ino), node;
    fx_advance(f, 5000);
    int64_t now = ms_clock_now(&f->clock.clock).ms;
    node = set(f, &(struct ms_setattr){.ino = ino, .which = MS_ATTR_MODE, .mode = 04711});
    assert_int_equal(node.inode.mode, S_IFREG | 04711);
    assert_time_equal(node, ctime, now);
    assert_time_equal(node, mtime, now - 5000);
    node = set(f, &(struct ms_setattr){.ino = ino, .which = MS_ATTR_MTIME, .mtime = {-5, 7}});
    assert_int_equal(node.inode.mtime_s, -5);
    assert_int_equal(node.inode.mtime_ns, 7);
    assert_int_equal(node.inode.mode, S_IFREG | 04711);
    node = set(f, &(struct ms_setattr){.ino = ino,
                                       .which = MS_ATTR_ATIME | MS_ATTR_CTIME,
                                       .atime = {1, 2},
                                       .ctime = {3, 4}});
    assert_int_equal(node.inode.atime_s, 1);
    assert_int_equal(node.inode.ctime_s, 3);
    assert_int_equal(node.inode.btime_s, before.inode.btime_s);
    struct ms_node again = fx_node(f, ino);
    assert_memory_equal(&again.inode, &node.inode, sizeof node.inode);
}

static void a_new_owner_takes_set_id_bits(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_file(f, f->root, "a", 5, "text/plain"), dir = fx_mkdir(f, f->root, "d");
    struct ms_node node;
    set(f, &(struct ms_setattr){.ino = ino, .which = MS_ATTR_MODE, .mode = 06555});
    node = set(f, &(struct ms_setattr){
                      .ino = ino, .which = MS_ATTR_UID | MS_ATTR_GID, .uid = 5, .gid = 6});
    assert_int_equal(node.inode.mode, S_IFREG | 0555);
    assert_int_equal(node.inode.uid, 5);
    assert_int_equal(node.inode.gid, 6);
    set(f, &(struct ms_setattr){
               .ino = ino, .which = MS_ATTR_MODE, .mode = 06545}); /* no group execute */
    node = set(f, &(struct ms_setattr){.ino = ino, .which = MS_ATTR_GID, .gid = 7});
    assert_int_equal(node.inode.mode, S_IFREG | 02545);
    node = set(f, &(struct ms_setattr){
                      .ino = ino, .which = MS_ATTR_GID | MS_ATTR_MODE, .gid = 7, .mode = 06555});
    assert_int_equal(node.inode.mode, S_IFREG | 06555);
    set(f, &(struct ms_setattr){.ino = dir, .which = MS_ATTR_MODE, .mode = 03755});
    node = set(f, &(struct ms_setattr){.ino = dir, .which = MS_ATTR_UID, .uid = 9});
    assert_int_equal(node.inode.mode, S_IFDIR | 03755);
}

static void nonsense_and_states_are_refused(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_file(f, f->root, "a", 5, "text/plain");
    struct ms_node node;
    struct ms_setattr s = {.ino = ino, .which = MS_ATTR_MODE, .mode = S_IFREG | 0644};
    assert_code(ms_tree_setattr(&f->svc, &f->ctx, &s, &node, &test_err), MS_INVALID);
    s = (struct ms_setattr){.ino = ino, .which = MS_ATTR_MTIME, .mtime = {0, 1000000000}};
    assert_code(ms_tree_setattr(&f->svc, &f->ctx, &s, &node, &test_err), MS_INVALID);
    s = (struct ms_setattr){.ino = 4711, .which = MS_ATTR_MODE, .mode = 0600};
    assert_code(ms_tree_setattr(&f->svc, &f->ctx, &s, &node, &test_err), MS_NOT_FOUND);
    fx_event(f, fx_node(f, ino).inode.asset, MS_EVENT_FREEZE, ms_instant_of(0));
    s.ino = ino;
    assert_code(ms_tree_setattr(&f->svc, &f->ctx, &s, &node, &test_err), MS_WRONG_STATE);
    assert_code(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "user.x", ms_view_str("v"), MS_XATTR_ANY,
                                  &test_err),
                MS_WRONG_STATE);
}

static void statfs_shows_the_quota(void **state) {
    struct fx *f = *state;
    struct ms_statfs s;
    struct ms_ctx admin = f->ctx;
    admin.admin = true;
    assert_ok(ms_tree_statfs(&f->svc, &f->ctx, &s, &test_err));
    assert_int_equal(s.total_bytes, 5 * MS_GB);
    assert_int_equal(s.free_bytes, 5 * MS_GB);
    fx_file(f, f->root, "a", MS_MB, "text/plain");
    assert_ok(ms_tree_statfs(&f->svc, &f->ctx, &s, &test_err));
    assert_int_equal(s.free_bytes, 5 * MS_GB - MS_MB);
    assert_int_equal(s.inodes - s.inodes_free, fx_usage(f).inodes);
    assert_ok(ms_tenant_set_quota(&f->svc, &admin, 1000, &test_err)); /* below what is used */
    assert_ok(ms_tree_statfs(&f->svc, &f->ctx, &s, &test_err));
    assert_int_equal(s.total_bytes, 1000);
    assert_int_equal(s.free_bytes, 0);
}

/* ---- xattrs ---------------------------------------------------------------------------------- */

static void assert_xattr(struct fx *f, uint64_t ino, const char *name, const char *want) {
    MS_AUTO(ms_buf_fini) struct ms_buf value = {0};
    assert_ok(ms_tree_xattr_get(&f->svc, &f->ctx, ino, name, &value, &test_err));
    assert_int_equal(value.len, strlen(want));
    assert_memory_equal(value.data, want, value.len);
}

static void attributes_are_kept_listed_and_removed(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_mkdir(f, f->root, "d");
    MS_AUTO(ms_buf_fini) struct ms_buf names = {0};
    assert_ok(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "user.b", ms_view_of("v\0w", 3),
                                MS_XATTR_ANY, &test_err));
    assert_ok(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "user.a", ms_view_str(""), MS_XATTR_CREATE,
                                &test_err));
    assert_code(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "user.a", ms_view_str("x"),
                                  MS_XATTR_CREATE, &test_err),
                MS_EXISTS);
    assert_code(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "user.c", ms_view_str("x"),
                                  MS_XATTR_REPLACE, &test_err),
                MS_NO_ATTR);
    assert_ok(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "user.a", ms_view_str("xyz"),
                                MS_XATTR_REPLACE, &test_err));
    assert_xattr(f, ino, "user.a", "xyz");
    assert_ok(ms_tree_xattr_list(&f->svc, &f->ctx, ino, &names, &test_err));
    assert_int_equal(names.len, 14);
    assert_memory_equal(names.data, "user.a\0user.b\0", 14);
    assert_ok(ms_tree_xattr_remove(&f->svc, &f->ctx, ino, "user.b", &test_err));
    assert_code(ms_tree_xattr_remove(&f->svc, &f->ctx, ino, "user.b", &test_err), MS_NO_ATTR);
    assert_code(ms_tree_xattr_get(&f->svc, &f->ctx, ino, "user.b", &names, &test_err), MS_NO_ATTR);
    fx_advance(f, 1000);
    assert_ok(ms_tree_xattr_remove(&f->svc, &f->ctx, ino, "user.a", &test_err));
    assert_time_equal(fx_node(f, ino), ctime, ms_clock_now(&f->clock.clock).ms);
}

static void attributes_have_limits(void **state) {
    struct fx *f = *state;
    static const uint8_t big[MS_XATTR_VALUE_MAX + 1];
    uint64_t ino = fx_mkdir(f, f->root, "d");
    char name[MS_XATTR_NAME_MAX + 2];
    memset(name, 'x', sizeof name - 1);
    memcpy(name, "user.", 5);
    name[sizeof name - 1] = '\0';
    struct ms_view v = ms_view_of(big, MS_XATTR_VALUE_MAX);
    assert_code(ms_tree_xattr_set(&f->svc, &f->ctx, ino, name, v, MS_XATTR_ANY, &test_err),
                MS_RANGE);
    name[MS_XATTR_NAME_MAX] = '\0';
    assert_ok(ms_tree_xattr_set(&f->svc, &f->ctx, ino, name, v, MS_XATTR_ANY, &test_err));
    assert_code(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "user.x", ms_view_of(big, sizeof big),
                                  MS_XATTR_ANY, &test_err),
                MS_RANGE);
    assert_ok(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "user.2", v, MS_XATTR_ANY, &test_err));
    assert_ok(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "user.3", v, MS_XATTR_ANY, &test_err));
    assert_code(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "user.4", v, MS_XATTR_ANY, &test_err),
                MS_NO_SPACE);
    assert_ok(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "user.3", v, MS_XATTR_ANY, &test_err));
    static const char *const foreign[] = {"system.posix_acl_access", "x", "user.",
                                          "btrfs.compression"};
    for (size_t i = 0; i < MS_ARRAY_LEN(foreign); i++)
        assert_code(
            ms_tree_xattr_set(&f->svc, &f->ctx, ino, foreign[i], v, MS_XATTR_ANY, &test_err),
            MS_UNSUPPORTED);
    assert_ok(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "trusted.x", ms_view_str("v"), MS_XATTR_ANY,
                                &test_err));
    assert_ok(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "security.x", ms_view_str("v"), MS_XATTR_ANY,
                                &test_err));
    struct ms_gone gone;
    assert_ok(ms_tree_rmdir(&f->svc, &f->ctx, f->root, "d", false, &gone,
                            &test_err)); /* they go with it */
}

static void the_life_cycle_shows_as_attributes(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_file(f, f->root, "a.mp4", 5, "video/mp4");
    struct ms_asset_record asset = fx_asset(f, ino);
    MS_AUTO(ms_buf_fini) struct ms_buf names = {0};
    assert_xattr(f, ino, "user.msasset.id", ms_id_text(asset.id).s);
    assert_xattr(f, ino, "user.msasset.type", "VIDEO");
    assert_xattr(f, ino, "user.msasset.state", "ACTIVED");
    assert_xattr(f, ino, "user.msasset.origin", "UPLOADED");
    assert_xattr(f, ino, "user.msasset.name", "a.mp4");
    assert_xattr(f, ino, "user.msasset.size_bytes", "5");
    assert_xattr(f, ino, "user.msasset.media_type", "video/mp4");
    assert_xattr(f, ino, "user.msasset.created", "2026-01-01T00:00:00.000Z");
    assert_xattr(f, ino, "user.msasset.bytes", "STORED");
    assert_xattr(f, ino, "user.msasset.root", "00000000000000000000000000000000");
    assert_xattr(f, ino, "user.msasset.usable",
                 "video_production not_yet: its content has not been examined yet; "
                 "livestreaming not_yet: its content has not been examined yet; "
                 "preview not_yet: its content has not been examined yet");
    assert_code(ms_tree_xattr_get(&f->svc, &f->ctx, ino, "user.msasset.reason", &names, &test_err),
                MS_NO_ATTR);
    assert_code(ms_tree_xattr_get(&f->svc, &f->ctx, ino, "user.msasset.x", &names, &test_err),
                MS_NO_ATTR);
    assert_code(ms_tree_xattr_get(&f->svc, &f->ctx, f->root, "user.msasset.id", &names, &test_err),
                MS_NO_ATTR);
    assert_ok(ms_tree_xattr_list(&f->svc, &f->ctx, ino, &names, &test_err));
    size_t n = 0;
    for (size_t at = 0; at < names.len; at += strlen((char *)names.data + at) + 1, n++)
        assert_int_equal(strncmp((char *)names.data + at, "user.msasset.", 13), 0);
    assert_int_equal(n, 11);
    assert_code(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "user.msasset.state", ms_view_str("x"),
                                  MS_XATTR_ANY, &test_err),
                MS_NOT_PERMITTED);
    assert_code(ms_tree_xattr_remove(&f->svc, &f->ctx, ino, "user.msasset.id", &test_err),
                MS_NOT_PERMITTED);
    struct ms_ctx admin = f->ctx;
    admin.admin = true;
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, true, "complaint", &test_err));
    assert_xattr(f, ino, "user.msasset.state", "BLOCK");
    assert_xattr(f, ino, "user.msasset.reason", "complaint");
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, false, "", &test_err));
}

static void tags_are_written_by_rules(void **state) {
    struct fx *f = *state;
    static const char tags[] = "user.msasset.tags";
    uint64_t ino = fx_file(f, f->root, "a", 5, "text/plain");
    char many[200], long_tag[140];
    memset(long_tag, 'x', sizeof long_tag);
    assert_ok(ms_tree_xattr_set(&f->svc, &f->ctx, ino, tags, ms_view_str("film,\xc3\xa9t\xc3\xa9"),
                                MS_XATTR_CREATE, &test_err));
    assert_xattr(f, ino, tags, "film,\xc3\xa9t\xc3\xa9");
    assert_string_equal(fx_asset(f, ino).tags, "film,\xc3\xa9t\xc3\xa9");
    assert_code(ms_tree_xattr_set(&f->svc, &f->ctx, ino, tags, ms_view_str("x"), MS_XATTR_CREATE,
                                  &test_err),
                MS_EXISTS);
    static const char *const bad[] = {",", "a,", "a,,b", "a\nb"};
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++)
        assert_code(ms_tree_xattr_set(&f->svc, &f->ctx, ino, tags, ms_view_str(bad[i]),
                                      MS_XATTR_ANY, &test_err),
                    MS_INVALID);
    assert_code(ms_tree_xattr_set(&f->svc, &f->ctx, ino, tags, ms_view_of(long_tag, 129),
                                  MS_XATTR_ANY, &test_err),
                MS_INVALID);
    assert_ok(ms_tree_xattr_set(&f->svc, &f->ctx, ino, tags, ms_view_of(long_tag, 128),
                                MS_XATTR_ANY, &test_err));
    for (size_t i = 0; i < 51; i++)
        memcpy(many + 2 * i, "a,", 2);
    assert_code(ms_tree_xattr_set(&f->svc, &f->ctx, ino, tags, ms_view_of(many, 101), MS_XATTR_ANY,
                                  &test_err),
                MS_INVALID);
    assert_ok(ms_tree_xattr_set(&f->svc, &f->ctx, ino, tags, ms_view_of(many, 99), MS_XATTR_ANY,
                                &test_err));
    assert_ok(ms_tree_xattr_remove(&f->svc, &f->ctx, ino, tags, &test_err));
    assert_code(ms_tree_xattr_remove(&f->svc, &f->ctx, ino, tags, &test_err), MS_NO_ATTR);
    assert_code(ms_tree_xattr_set(&f->svc, &f->ctx, f->root, tags, ms_view_str("x"), MS_XATTR_ANY,
                                  &test_err),
                MS_NOT_PERMITTED);
}

static void attributes_go_to_the_bin_and_come_back(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_file(f, f->root, "a", 5, "text/plain");
    struct ms_id id = fx_node(f, ino).inode.asset;
    assert_ok(ms_tree_xattr_set(&f->svc, &f->ctx, ino, "user.k", ms_view_str("v"), MS_XATTR_ANY,
                                &test_err));
    fx_advance(f, MS_BIN_BYPASS_AGE_MS);
    assert_true(fx_unlink(f, f->root, "a", false).binned);
    fx_check(f);
    fx_restore(f, id, NULL);
    assert_xattr(f, fx_ino(f, "/a"), "user.k", "v");
}

FX_TESTS(FX(each_attribute_is_set_alone), FX(a_new_owner_takes_set_id_bits),
         FX(nonsense_and_states_are_refused), FX(statfs_shows_the_quota),
         FX(attributes_are_kept_listed_and_removed), FX(attributes_have_limits),
         FX(the_life_cycle_shows_as_attributes), FX(tags_are_written_by_rules),
         FX(attributes_go_to_the_bin_and_come_back))
