#include "again.h"

#include "service/rebuild_part.h"
#include "service/review.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct heard heard;
static struct ms_rebuild_result result;

/* ---- all of it comes back ------------------------------------------------------------------ */

static void one_of_everything(void **state) {
    struct world *w = *state;
    fill_world(w);
    (void)flush_now(w, false);
    assert_int_equal(marks_of(w->svc), 0);
    result = check_rebuild(w);
    assert_int_equal(result.lost + result.displaced + result.by_birth + result.hashed, 0);
    assert_int_equal(result.binned, 1);
    assert_int_equal(result.others, 1);
}

/* Settings and freezes of the tenant, tags, modes, owners, a removed folder that the bin keeps. */
static void settings_and_states(void **state) {
    struct world *w = *state;
    struct ms_tenant_id t = {w->tenant.id};
    struct behind b;
    fill_world(w);
    struct ms_setattr set = {.ino = ino_of(w, "/dir/sub"),
                             .which = MS_ATTR_MODE | MS_ATTR_UID | MS_ATTR_MTIME,
                             .mode = 02711,
                             .uid = 77,
                             .mtime = {.tv_sec = 1000, .tv_nsec = 5}};
    struct ms_node node;
    assert_ok(ms_tree_setattr(w->svc, &w->ctx, &set, &node, &test_err));
    assert_ok(ms_tree_xattr_set(w->svc, &w->ctx, ino_of(w, "/files/a.txt"), "user.msasset.tags",
                                ms_view_str("one,two"), MS_XATTR_ANY, &test_err));
    look_behind(w, "/files/a.txt", &b);
    apply_event(w, (struct ms_asset_id){b.asset.id}, MS_EVENT_FREEZE, (struct ms_instant){0}, 0);
    unlink_path(w, "/dir/sub/deep.bin");
    struct ms_gone gone;
    assert_ok(ms_tree_rmdir(w->svc, &w->ctx, ino_of(w, "/dir"), "sub", false, &gone, &test_err));
    assert_ok(ms_tenant_set_quota(w->svc, &w->admin, 123456789, &test_err));
    assert_ok(ms_tenant_hold(w->svc, &w->admin, MS_HOLD_ADMIN, true, "a reason", &test_err));
    (void)flush_now(w, false);
    result = check_rebuild(w);
    assert_int_equal(result.binned, 2);

    /* What the bin remembers of its place works: it goes back to where it was. */
    struct ms_svc *svc = open_again(w), *was = w->svc;
    struct ms_ctx admin = {.tenant = t, .who = "root@test", .admin = true};
    assert_ok(ms_tenant_hold(svc, &admin, MS_HOLD_ADMIN, false, "", &test_err));
    look_behind(w, "/dir/hard", &b);
    struct ms_asset_info *info = calloc(64, sizeof *info);
    size_t n;
    assert_non_null(info);
    assert_ok(ms_asset_list(svc, &admin, (struct ms_asset_id){{{0}}}, 1u << MS_STATE_DELETING,
                            info, 64, &n, &test_err));
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        struct ms_asset_event restore = {.id = {info[i].asset.id}, .event = MS_EVENT_RESTORE};
        struct ms_asset_info *back = calloc(1, sizeof *back);
        assert_non_null(back);
        assert_ok(ms_asset_apply(svc, &admin, &restore, back, &test_err));
        free(back);
    }
    free(info);
    assert_ok(ms_tree_walk(svc, &admin, "/dir/sub/deep.bin", &node, &test_err));
    assert_ok(ms_tree_walk(svc, &admin, "/dir/binned.txt", &node, &test_err));
    check_findings(svc);
    ms_svc_close(svc);
    w->svc = was;
}

/* What was told in the middle of it comes back whole: what is in the bin already there, the rest in the
 * tree. */
static void a_folder_on_its_way_into_the_bin(void **state) {
    struct world *w = *state;
    struct ms_node node;
    struct ms_svc *svc;
    char path[32];
    uint64_t ino;
    bool more;
    for (unsigned settled = 0; settled < 2; settled++) {
        struct ms_make make = {
            .parent = w->tenant.root_ino, .name = "big", .mode = S_IFDIR | 0755};
        struct ms_made made;
        assert_ok(ms_tree_make(w->svc, &w->ctx, &make, &made, &test_err));
        make.parent = made.node.inode.ino;
        make.name = "sub";
        assert_ok(ms_tree_make(w->svc, &w->ctx, &make, &made, &test_err));
        for (unsigned i = 0; i < 50; i++) {
            (void)snprintf(path, sizeof path, "/big/%s%u.txt", i % 2 ? "sub/" : "", i);
            write_file(w, path, "text", 4);
        }
        assert_ok(ms_tree_bin(w->svc, &w->ctx, w->tenant.root_ino, "big", &ino, &test_err));
        if (settled)
            assert_ok(ms_tree_settle_some(w->svc, &w->ctx, &more, &test_err));
        (void)flush_now(w, false);
        assert_ok(rebuild_again(w, false, &result, &heard, &test_err));
        assert_int_equal(result.lost + result.by_birth, 0);
        svc = open_again(w);
        check_findings(svc);
        struct ms_ctx admin = {.tenant = w->ctx.tenant, .who = "root@test", .admin = true};
        struct ms_quota_info quota;
        assert_ok(ms_tree_walk(svc, &admin, "/big/48.txt", &node, &test_err));
        assert_ok(ms_tenant_quota(svc, &admin, &quota, &test_err));
        assert_int_equal(quota.usage.assets, 50 * (settled + 1));
        ms_svc_close(svc);
        assert_ok(ms_tree_settle(w->svc, &w->ctx, &ino, &test_err));
    }
}

static void write_over(struct world *w, const char *path, const char *text) {
    struct ms_handle *h = open_file(w, path, 't');
    put_bytes(h, 0, text, strlen(text));
    seal_file(h);
}

static struct ms_review_case case_of(struct ms_svc *svc, struct world *w, struct ms_id asset) {
    struct ms_review_case c;
    assert_ok(ms_review_get(svc, &w->ctx, (struct ms_asset_id){asset}, &c, &test_err));
    return c;
}

/* A new MAIN that waits for review comes back beside the live one, and so do the texts that wait with it. */
static void what_waits_for_review(void **state) {
    struct world *w = *state;
    struct behind b;
    fill_world(w);
    assert_ok(ms_review_set(w->svc, &w->admin, true, &test_err));
    struct ms_handle *h = open_file(w, "/files/a.txt", 't');
    put_bytes(h, 0, "new bytes", 9);
    seal_file(h);
    look_behind(w, "/files/a.txt", &b);
    uint64_t live = b.file.size, all = b.asset.bytes;
    assert_int_equal(b.inode.size, 9);
    assert_int_equal(all, live + 9);
    (void)flush_now(w, false);
    const struct ms_asset_edit edit = {.id = {b.asset.id}, .name = "a better name"};
    bool held;
    assert_ok(ms_asset_edit(w->svc, &w->ctx, &edit, &held, &test_err));
    assert_true(held);
    (void)flush_now(w, false); /* an edit of what waits already is told, too */
    struct ms_review_case was_case = case_of(w->svc, w, b.asset.id);
    assert_string_equal(was_case.row.held_media, "text/plain");
    (void)check_rebuild(w);
    struct ms_svc *svc = open_again(w), *was = w->svc;
    w->svc = svc;
    look_behind(w, "/files/a.txt", &b);
    assert_int_equal(b.asset.bytes, all);
    assert_int_equal(b.file.size, live);
    check_file(w, "/files/a.txt", "new bytes", 9);
    struct ms_review_case is_case = case_of(svc, w, b.asset.id);
    assert_string_equal(is_case.row.held_media, "text/plain");
    assert_true(is_case.row.has_name);
    assert_string_equal(is_case.row.name, "a better name");
    const struct ms_review_decide no = {.asset = {b.asset.id}, .verdict = MS_VERDICT_REJECT};
    assert_ok(ms_review_decide(svc, &w->admin, &no, &test_err));
    look_behind(w, "/files/a.txt", &b);
    assert_int_equal(b.inode.size, live);
    check_findings(svc);
    w->svc = was;
    ms_svc_close(svc);
}

/* What its reviewer may not have seen waits for him, whether it is a new MAIN or an asset that no segment tells of. */
static void nothing_unreviewed_goes_live(void **state) {
    struct world *w = *state;
    struct behind b, c;
    write_file(w, "/files/over.txt", "old bytes", 9);
    write_file(w, "/files/twice.txt", "old bytes", 9);
    assert_ok(ms_review_set(w->svc, &w->admin, true, &test_err));
    write_over(w, "/files/twice.txt", "first edit");
    (void)flush_now(w, false);
    usleep(20000); /* files have the kernel's time */
    write_over(w, "/files/over.txt", "bytes that nobody saw");
    write_over(w, "/files/twice.txt", "second edit");
    write_file(w, "/files/young.txt", "never told", 10);
    assert_ok(rebuild_again(w, false, &result, &heard, &test_err));
    assert_int_equal(result.newer, 2);
    assert_int_equal(result.by_birth, 1);
    assert_non_null(strstr(heard.all, "held: \"over.txt\""));
    struct ms_svc *svc = open_again(w), *was = w->svc;
    w->svc = svc;
    check_findings(svc);
    look_behind(w, "/files/over.txt", &b);
    assert_int_equal(b.asset.rest, MS_STATE_ACTIVED);
    assert_int_equal(b.file.size, 9); /* live */
    assert_int_equal(b.asset.bytes, 9 + 21);
    check_file(w, "/files/over.txt", "bytes that nobody saw", 21); /* its owner's */
    assert_string_equal(case_of(svc, w, b.asset.id).row.held_media, "text/plain");
    look_behind(w, "/files/twice.txt", &c);
    assert_int_equal(c.file.size, 9);
    check_file(w, "/files/twice.txt", "second edit", 11);
    const struct ms_review_decide yes = {.asset = {b.asset.id}, .verdict = MS_VERDICT_PASS};
    const struct ms_review_decide no = {.asset = {c.asset.id}, .verdict = MS_VERDICT_REJECT};
    assert_ok(ms_review_decide(svc, &w->admin, &yes, &test_err));
    assert_ok(ms_review_decide(svc, &w->admin, &no, &test_err));
    check_file(w, "/files/twice.txt", "old bytes", 9);
    look_behind(w, "/files/over.txt", &b);
    assert_int_equal(b.file.size, 21);
    look_behind(w, "/files/young.txt", &b);
    assert_int_equal(b.asset.rest, MS_STATE_CREATING);
    assert_int_equal(b.file.state, MS_FILE_UPLOADED);
    (void)case_of(svc, w, b.asset.id);
    check_findings(svc);
    w->svc = was;
    ms_svc_close(svc);
}

/* ---- at random ------------------------------------------------------------------------------- */

#define NAMES 40

static void any_path(struct ms_random *random, char path[256], unsigned folders) {
    unsigned f = (unsigned)ms_random_below(random, folders + 1);
    if (f == 0)
        snprintf(path, 256, "/files/n%u.bin", (unsigned)ms_random_below(random, NAMES));
    else
        snprintf(path, 256, "/files/d%u/n%u.bin", f - 1,
                 (unsigned)ms_random_below(random, NAMES));
}

static bool exists(struct world *w, const char *path) {
    struct ms_node node;
    enum ms_code code = ms_tree_walk(w->svc, &w->ctx, path, &node, NULL);
    return code == MS_OK;
}

static void any_operation(struct world *w, struct ms_random *random, unsigned folders) {
    char path[256], other[256], name[MS_NAME_BYTES_MAX + 1];
    uint8_t bytes[600];
    struct ms_node parent, to, node;
    struct ms_gone gone;
    size_t n = (size_t)ms_random_below(random, sizeof bytes);
    any_path(random, path, folders);
    any_path(random, other, folders);
    ms_random_fill(random, bytes, sizeof bytes);
    if (!exists(w, path)) {
        write_file(w, path, bytes, n);
        return;
    }
    assert_ok(ms_tree_walk_parent(w->svc, &w->ctx, path, &parent, name, &test_err));
    switch (ms_random_below(random, 9)) {
    case 0:
        unlink_path(w, path);
        break;
    case 1: {
        char new_name[MS_NAME_BYTES_MAX + 1];
        struct ms_rename rename = {.parent = parent.inode.ino, .name = name, .new_name = new_name};
        assert_ok(ms_tree_walk_parent(w->svc, &w->ctx, other, &to, new_name, &test_err));
        rename.new_parent = to.inode.ino;
        assert_ok(ms_tree_rename(w->svc, &w->ctx, &rename, &node, &gone, &test_err));
        break;
    }
    case 2: {
        char new_name[MS_NAME_BYTES_MAX + 1];
        if (exists(w, other))
            break;
        assert_ok(ms_tree_walk_parent(w->svc, &w->ctx, other, &to, new_name, &test_err));
        assert_ok(ms_tree_link(w->svc, &w->ctx, ino_of(w, path), to.inode.ino, new_name, &node,
                               &test_err));
        break;
    }
    case 3: {
        struct ms_handle *h = open_file(w, path, 'w');
        put_bytes(h, ms_random_below(random, 1000), bytes, n);
        seal_file(h);
        break;
    }
    case 4: {
        struct ms_setattr set = {.ino = ino_of(w, path),
                                 .which = MS_ATTR_MODE | MS_ATTR_GID,
                                 .mode = (uint32_t)ms_random_below(random, 07777),
                                 .gid = 5};
        assert_ok(ms_tree_setattr(w->svc, &w->ctx, &set, &node, &test_err));
        break;
    }
    case 5:
        assert_ok(ms_tree_xattr_set(w->svc, &w->ctx, ino_of(w, path), "user.x",
                                    ms_view_of("value", ms_random_below(random, 6)), MS_XATTR_ANY,
                                    &test_err));
        break;
    case 6:
        assert_ok(ms_tree_xattr_set(w->svc, &w->ctx, ino_of(w, path), "user.msasset.tags",
                                    ms_view_str(ms_random_below(random, 2) ? "a,b" : "c"),
                                    MS_XATTR_ANY, &test_err));
        break;
    case 7:
        ms_clock_fake_advance(&w->clock, 2 * MS_BIN_BYPASS_AGE_MS);
        break;
    default: {
        struct ms_handle *h = open_file(w, path, 't');
        put_bytes(h, 0, bytes, n);
        seal_file(h);
        break;
    }
    }
}

static void move_folder(struct world *w, struct ms_random *random, unsigned folders) {
    char name[32], new_name[32];
    uint64_t files = ino_of(w, "/files");
    struct ms_node node;
    struct ms_gone gone;
    snprintf(name, sizeof name, "d%u", (unsigned)ms_random_below(random, folders));
    snprintf(new_name, sizeof new_name, "moved");
    struct ms_rename rename = {
        .parent = files, .new_parent = files, .name = name, .new_name = new_name};
    assert_ok(ms_tree_rename(w->svc, &w->ctx, &rename, &node, &gone, &test_err));
    rename.name = new_name;
    rename.new_name = name;
    (void)flush_now(w, false);
    assert_ok(ms_tree_rename(w->svc, &w->ctx, &rename, &node, &gone, &test_err));
}

/* Whatever was done, and whenever it was written: the last flush makes it all told. */
static void histories_with_flushes_anywhere(void **state) {
    struct world *w = *state;
    enum { FOLDERS = 4 };
    uint64_t seed = ms_test_seed();
    struct ms_random_seeded seeded;
    struct ms_random *random = &seeded.random;
    ms_random_seeded_init(&seeded, seed);
    struct ms_node node;
    for (unsigned i = 0; i < FOLDERS; i++) {
        struct ms_make make = {.parent = ino_of(w, "/files"), .mode = S_IFDIR | 0755};
        char name[16];
        struct ms_made made;
        snprintf(name, sizeof name, "d%u", i);
        make.name = name;
        assert_ok(ms_tree_make(w->svc, &w->ctx, &make, &made, &test_err));
    }
    (void)node;
    for (unsigned round = ms_test_rounds(12); round > 0; round--) {
        for (unsigned i = 0; i < 60; i++) {
            any_operation(w, random, FOLDERS);
            if (ms_random_below(random, 25) == 0)
                (void)flush_now(w, ms_random_below(random, 6) == 0);
        }
        move_folder(w, random, FOLDERS);
        (void)flush_now(w, false);
        result = check_rebuild(w);
        assert_int_equal(result.lost, 0);
    }
}

static void fill_many(struct world *w, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        char path[64], bytes[200];
        size_t len = (size_t)snprintf(bytes, sizeof bytes, "file %u, of its own\n", i);
        if (i % 100 == 0) {
            struct ms_make make = {.parent = ino_of(w, "/files"), .mode = S_IFDIR | 0750};
            struct ms_made made;
            snprintf(path, sizeof path, "many%u", i / 100);
            make.name = path;
            assert_ok(ms_tree_make(w->svc, &w->ctx, &make, &made, &test_err));
        }
        snprintf(path, sizeof path, "/files/many%u/f%u.txt", i / 100, i);
        write_file(w, path, bytes, len);
    }
}

static void a_thousand_objects(void **state) {
    struct world *w = *state;
    unsigned n = ms_test_rounds(1100);
    fill_many(w, n);
    (void)flush_now(w, false);
    result = check_rebuild(w);
    assert_int_equal(result.files, n);
    assert_int_equal(result.listed, n);
    assert_int_equal(result.left, 0);
}

/* ---- birth facts only -------------------------------------------------------------------- */

static void a_thousand_objects_by_birth_facts_only(void **state) {
    struct world *w = *state;
    unsigned n = ms_test_rounds(1100);
    struct ms_tenant_id t = {w->tenant.id};
    fill_many(w, n);
    write_file(w, "/files/f0.txt", "another one", 11); /* a name that is taken */
    assert_ok(rebuild_again(w, false, &result, &heard, &test_err));
    assert_int_equal(result.segments, 0);
    assert_int_equal(result.files, n + 1);
    assert_int_equal(result.by_birth, n + 1);
    assert_int_equal(result.hashed, n + 1);
    assert_int_equal(result.tenants_unnamed, 1);
    assert_int_equal(result.displaced, 1);
    struct ms_svc *svc = open_again(w), *was = w->svc;
    struct ms_ctx ctx = w->ctx;
    check_findings(svc);
    w->svc = svc;
    w->ctx = (struct ms_ctx){.tenant = t, .who = "alice"};
    for (unsigned i = 1; i < n; i++) {
        char path[64], bytes[200];
        size_t len = (size_t)snprintf(bytes, sizeof bytes, "file %u, of its own\n", i);
        snprintf(path, sizeof path, "/files/f%u.txt", i);
        check_file(w, path, bytes, len);
    }
    assert_true(exists(w, "/files/f0.txt"));
    assert_true(exists(w, "/files/f0 (2).txt"));
    write_file(w, "/files/new.txt", "it is a store", 13);
    check_findings(svc);
    w->svc = was;
    w->ctx = ctx;
    ms_svc_close(svc);
}

/* ---- what no segment tells --------------------------------------------------------------- */

static void newer_than_the_last_segment(void **state) {
    struct world *w = *state;
    struct behind b;
    struct ms_tenant_id t = {w->tenant.id};
    write_file(w, "/files/kept.txt", "as told", 7);
    write_file(w, "/files/over.txt", "old bytes", 9);
    write_file(w, "/files/gone.txt", "told, then deleted", 18);
    (void)flush_now(w, false);
    look_behind(w, "/files/over.txt", &b);
    usleep(20000); /* files have the kernel's time */
    struct ms_handle *h = open_file(w, "/files/over.txt", 't');
    put_bytes(h, 0, "bytes that are newer", 20);
    seal_file(h);
    write_file(w, "/files/young.txt", "never told", 10);
    assert_ok(rebuild_again(w, false, &result, &heard, &test_err));
    assert_int_equal(result.newer, 1);
    assert_int_equal(result.by_birth, 1);
    assert_int_equal(result.files, 4);
    assert_int_equal(result.left, 1); /* the old bytes */
    struct ms_svc *svc = open_again(w), *was = w->svc;
    check_findings(svc);
    w->svc = svc;
    check_file(w, "/files/kept.txt", "as told", 7);
    check_file(w, "/files/over.txt", "bytes that are newer", 20);
    check_file(w, "/files/young.txt", "never told", 10);
    h = open_file(w, "/files/over.txt", 'a'); /* its next key is a free one */
    put_bytes(h, 20, "!", 1);
    seal_file(h);
    check_file(w, "/files/over.txt", "bytes that are newer!", 21);
    check_findings(svc);
    w->svc = was;
    ms_svc_close(svc);
    (void)t;
}

static void deleted_is_deleted(void **state) {
    struct world *w = *state;
    write_file(w, "/files/a.txt", "first", 5);
    write_file(w, "/files/b.txt", "second", 6);
    (void)flush_now(w, false);
    unlink_path(w, "/files/b.txt"); /* young: for good; its object waits for gc */
    (void)flush_now(w, false);
    assert_ok(rebuild_again(w, false, &result, &heard, &test_err));
    assert_int_equal(result.listed, 2);
    assert_int_equal(result.files, 1);
    assert_int_equal(result.left, 1);
    (void)check_rebuild(w);
    /* A snapshot that has no line about it says so too, once it is older than any clock's skew. */
    ms_clock_fake_set(&w->clock, ms_instant_add_ms(ms_clock_kernel_now(), 2 * MS_HOUR_MS));
    (void)flush_now(w, true);
    result = check_rebuild(w);
    assert_int_equal(result.left, 1);
}

/* ---- a damaged bucket -------------------------------------------------------------------- */

static void change_file(const char *path, size_t at, bool cut) {
    size_t n;
    char *bytes = ms_test_read_file(path, &n);
    bytes[at] ^= 4;
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(unlink(path), 0);
    ms_test_write_file(path, bytes, cut ? at : n);
    free(bytes);
}

static void segments_cut_and_flipped(void **state) {
    struct world *w = *state;
    uint64_t seed = ms_test_seed();
    struct ms_random_seeded seeded;
    struct ms_random *random = &seeded.random;
    ms_random_seeded_init(&seeded, seed);
    fill_many(w, 60);
    (void)flush_now(w, false);
    char *path = segment_path(w, 0);
    size_t n;
    assert_non_null(path);
    char *whole = ms_test_read_file(path, &n);
    for (unsigned i = ms_test_rounds(40); i > 0; i--) {
        bool cut = i % 2;
        change_file(path, (size_t)ms_random_below(random, n), cut);
        assert_ok(rebuild_again(w, false, &result, &heard, &test_err));
        assert_int_equal(result.segments_damaged, 1);
        assert_true(cut || result.lines_damaged >= 1);
        if (result.files != 60)
            print_message("%s", heard.all);
        assert_int_equal(result.files, 60); /* each object is one, whatever is known of it */
        struct ms_svc *svc = open_again(w);
        check_findings(svc);
        ms_svc_close(svc);
        assert_int_equal(unlink(path), 0);
        ms_test_write_file(path, whole, n);
    }
    free(whole);
    free(path);
    (void)check_rebuild(w);
}

/* A store that cannot be reached for one read ends the rebuild; never does it end well with less than there is. */
static void a_broken_connection_is_no_damage(void **state) {
    struct world *w = *state;
    struct ms_rebuild_result all;
    unsigned ended = 0;
    fill_world(w);
    (void)flush_now(w, false);
    assert_ok(rebuild_again(w, true, &all, &heard, &test_err));
    for (unsigned at = 2; at < 8; at++) { /* the first one reads whose bucket it is */
        char faults[64];
        snprintf(faults, sizeof faults, "GET:%u:fail-before=UNAVAILABLE", at);
        enum ms_code code = rebuild_with_faults(w, faults, true, &result, &heard, &test_err);
        assert_true(code == MS_OK || code == MS_UNAVAILABLE);
        if (code != MS_OK)
            assert_int_equal(ended++, at - 2); /* none before it went without its answer */
        if (code == MS_OK)
            assert_memory_equal(&result, &all, sizeof all);
    }
    print_message("%u of the reads were needed\n", ended);
    assert_true(ended >= 2); /* a segment, for its end and for its lines */
}

static void what_is_damage_and_what_is_not(void **state) {
    (void)state;
    for (unsigned code = MS_OK; code < MS_CODE_COUNT; code++) {
        bool damage = code == MS_CORRUPT || code == MS_NOT_FOUND || code == MS_RANGE;
        assert_int_equal(ms_rebuild_is_damage("dir:/objects", code), damage || code == MS_IO);
        assert_int_equal(ms_rebuild_is_damage("s3://bucket/dir:", code), damage);
        assert_int_equal(ms_rebuild_is_damage("libs3://bucket", code), damage);
    }
}

static void objects_missing_and_changed(void **state) {
    struct world *w = *state;
    struct behind b;
    char path[5000];
    fill_world(w);
    (void)flush_now(w, false);
    look_behind(w, "/files/a.txt", &b);
    snprintf(path, sizeof path, "%s/objects/%s", w->dir, b.object.key);
    assert_int_equal(unlink(path), 0);
    assert_ok(rebuild_again(w, false, &result, &heard, &test_err));
    assert_int_equal(result.lost, 1);
    assert_non_null(strstr(heard.all, "a.txt"));
    struct ms_svc *svc = open_again(w);
    check_findings(svc);
    ms_svc_close(svc);
}

/* ---- the folder --------------------------------------------------------------------------- */

static void only_an_empty_place(void **state) {
    struct world *w = *state;
    char *dir = ms_test_path(w->tmp, "again"), *file = ms_test_path(dir, "somebody's");
    char *beside = ms_test_path(w->tmp, "again.rebuild"), url[5000];
    char *foreign = ms_test_path(beside, "somebody's");
    struct ms_rebuild_options options = {
        .store = {.dir = dir, .map_bytes = (uint64_t)1 << 30, .object_url = url}};
    fill_world(w);
    (void)flush_now(w, false);
    snprintf(url, sizeof url, "dir:%s/objects", w->dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    ms_test_write_file(file, "x", 1);
    assert_code(ms_rebuild(&options, &result, &test_err), MS_EXISTS);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkdir(beside, 0700), 0);
    ms_test_write_file(foreign, "x", 1);
    assert_code(ms_rebuild(&options, &result, &test_err), MS_FOREIGN);
    assert_int_equal(unlink(foreign), 0);
    options.dry_run = true; /* nothing is left behind */
    assert_ok(ms_rebuild(&options, &result, &test_err));
    assert_int_equal(access(beside, F_OK), -1);
    assert_int_equal(rmdir(dir), 0);
    options.dry_run = false;
    assert_ok(ms_rebuild(&options, &result, &test_err));
    assert_int_equal(access(beside, F_OK), -1);
    struct ms_svc *svc = open_again(w);
    check_findings(svc);
    ms_svc_close(svc);
    free(dir), free(file), free(beside), free(foreign);
}

static bool stop_at(void *priv, const char *stage, uint64_t done, uint64_t total) {
    unsigned *left = priv;
    (void)stage, (void)done, (void)total;
    return (*left)-- > 1;
}

/* Stopped anywhere, it is begun again. */
static void stopped_and_begun_again(void **state) {
    struct world *w = *state;
    char *dir = ms_test_path(w->tmp, "again"), url[5000];
    enum ms_code code = MS_CANCELLED;
    fill_world(w);
    (void)flush_now(w, false);
    remove_segments(w);
    snprintf(url, sizeof url, "dir:%s/objects", w->dir);
    for (unsigned at = 1; code == MS_CANCELLED; at++) {
        unsigned left = at;
        struct ms_rebuild_options options = {.store = {.dir = dir,
                                                       .engine_threads = 2,
                                                       .map_bytes = (uint64_t)1 << 30,
                                                       .object_url = url},
                                             .progress = stop_at,
                                             .priv = &left};
        code = ms_rebuild(&options, &result, &test_err);
        assert_true(code == MS_OK || code == MS_CANCELLED);
        assert_true((access(dir, F_OK) == 0) == (code == MS_OK));
    }
    assert_true(result.files > 0);
    free(dir);
}

static void taken_over(void **state) {
    struct world *w = *state;
    char *dir = ms_test_path(w->tmp, "again"), url[5000];
    struct ms_rebuild_options options = {
        .store = {.dir = dir, .map_bytes = (uint64_t)1 << 30, .object_url = url},
        .take_over = true};
    fill_world(w);
    (void)flush_now(w, false);
    snprintf(url, sizeof url, "dir:%s/objects", w->dir);
    assert_ok(ms_rebuild(&options, &result, &test_err));
    struct ms_svc *svc = open_again(w);
    check_findings(svc);
    ms_svc_close(svc);
    struct ms_obj_options old = {.url = url,
                                 .engine = w->svc->engine,
                                 .random = ms_random_system(),
                                 .store_id = w->svc->store_id};
    struct ms_obj *obj;
    assert_code(ms_obj_open(&old, &obj, &test_err), MS_FOREIGN);
    free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_of_everything, world_setup_dir, world_teardown),
        cmocka_unit_test_setup_teardown(settings_and_states, world_setup_dir, world_teardown),
        cmocka_unit_test_setup_teardown(a_folder_on_its_way_into_the_bin, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(what_waits_for_review, world_setup_dir, world_teardown),
        cmocka_unit_test_setup_teardown(nothing_unreviewed_goes_live, world_setup_dir, world_teardown),
        cmocka_unit_test_setup_teardown(histories_with_flushes_anywhere, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_thousand_objects, world_setup_dir, world_teardown),
        cmocka_unit_test_setup_teardown(a_thousand_objects_by_birth_facts_only, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(newer_than_the_last_segment, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(deleted_is_deleted, world_setup_dir, world_teardown),
        cmocka_unit_test_setup_teardown(segments_cut_and_flipped, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_broken_connection_is_no_damage, world_setup_dir, world_teardown),
        cmocka_unit_test(what_is_damage_and_what_is_not),
        cmocka_unit_test_setup_teardown(objects_missing_and_changed, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(only_an_empty_place, world_setup_dir, world_teardown),
        cmocka_unit_test_setup_teardown(stopped_and_begun_again, world_setup_dir, world_teardown),
        cmocka_unit_test_setup_teardown(taken_over, world_setup_dir, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
