/* rename: places, replacing, exchanging, types. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#define OLD (MS_BIN_BYPASS_AGE_MS)

static enum ms_code flagged(struct fx *f, uint64_t a, const char *an, uint64_t b, const char *bn,
                            bool no_replace, bool exchange, struct ms_error *reterr) {
    struct ms_rename rename = {.parent = a,
                               .name = an,
                               .new_parent = b,
                               .new_name = bn,
                               .no_replace = no_replace,
                               .exchange = exchange};
    struct ms_node node;
    struct ms_gone gone;
    return ms_tree_rename(&f->svc, &f->ctx, &rename, &node, &gone, reterr);
}

/* ---- places ---------------------------------------------------------------------------------- */

static void a_renamed_file_keeps_inode_and_asset(void **state) {
    struct fx *f = *state;
    uint64_t a = fx_mkdir(f, f->root, "a"), b = fx_mkdir(f, f->root, "b"),
             ino = fx_file(f, a, "x", 9, "text/plain");
    struct ms_node before = fx_node(f, ino);
    struct ms_store_stats one, two;
    fx_advance(f, 5000);
    int64_t now = ms_clock_now(&f->clock.clock).ms;
    ms_store_stats(f->svc.store, &one);
    struct ms_gone gone = fx_rename(f, a, "x", b, "y");
    ms_store_stats(f->svc.store, &two);
    assert_int_equal(two.commits - one.commits, 1);
    assert_int_equal(gone.ino, 0);
    assert_false(fx_there(f, "/a/x"));
    assert_int_equal(fx_ino(f, "/b/y"), ino);
    struct ms_node after = fx_node(f, ino), from = fx_node(f, a), to = fx_node(f, b);
    assert_memory_equal(&after.inode.asset, &before.inode.asset, MS_ID_BYTES);
    assert_time_equal(after, ctime, now);
    assert_time_equal(after, mtime, now - 5000);
    assert_time_equal(from, mtime, now);
    assert_time_equal(to, ctime, now);
    assert_string_equal(fx_asset(f, ino).name, "y");
}

static void set_name(struct ms_asset_record *asset) {
    asset->named = 1;
    snprintf(asset->name, sizeof asset->name, "Our film");
}

static void a_name_that_somebody_set_stays(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_file(f, f->root, "x", 9, "text/plain");
    fx_change_asset(f, fx_node(f, ino).inode.asset, set_name);
    fx_rename(f, f->root, "x", f->root, "y");
    assert_string_equal(fx_asset(f, ino).name, "Our film");
}

static void a_moved_folder_changes_the_links_of_both_parents(void **state) {
    struct fx *f = *state;
    uint64_t a = fx_mkdir(f, f->root, "a"), b = fx_mkdir(f, f->root, "b"), d = fx_mkdir(f, a, "d");
    fx_mkdir(f, d, "e");
    assert_int_equal(fx_node(f, a).inode.height, 2);
    fx_rename(f, a, "d", b, "d2");
    assert_int_equal(fx_node(f, a).inode.nlink, 2);
    assert_int_equal(fx_node(f, a).inode.height, 0);
    assert_int_equal(fx_node(f, b).inode.nlink, 3);
    assert_int_equal(fx_node(f, b).inode.height, 2);
    assert_int_equal(fx_node(f, d).inode.parent, b);
    fx_rename(f, b, "d2", b, "d3"); /* inside its folder: nothing but the name */
    assert_int_equal(fx_node(f, b).inode.nlink, 3);
    assert_int_equal(fx_node(f, b).inode.height, 2);
    assert_true(fx_there(f, "/b/d3/e"));
}

static void a_folder_never_gets_into_itself(void **state) {
    struct fx *f = *state;
    uint64_t a = fx_mkdir(f, f->root, "a"), b = fx_mkdir(f, a, "b"), c = fx_mkdir(f, b, "c");
    assert_code(fx_try_rename(f, f->root, "a", a, "x", &test_err), MS_LOOP);
    assert_code(fx_try_rename(f, f->root, "a", c, "x", &test_err), MS_LOOP);
    assert_code(fx_try_rename(f, b, "c", f->root, "a", &test_err), MS_NOT_EMPTY);
    assert_code(flagged(f, f->root, "a", b, "c", false, true, &test_err), MS_LOOP);
    assert_code(flagged(f, b, "c", f->root, "a", false, true, &test_err), MS_LOOP);
}

static void depth_counts_what_lies_below(void **state) {
    struct fx *f = *state;
    uint64_t at = f->root, other = fx_mkdir(f, f->root, "o");
    for (int depth = 1; depth < MS_DEPTH_MAX - 1; depth++)
        at = fx_mkdir(f, at, "d");
    fx_mkdir(f, fx_mkdir(f, other, "p"), "q");
    assert_code(fx_try_rename(f, f->root, "o", at, "o", &test_err), MS_NAME_TOO_LONG);
    assert_code(fx_try_rename(f, other, "p", at, "p", &test_err), MS_OK);
    assert_code(flagged(f, fx_ino(f, "/o"), "x", at, "p", false, true, &test_err), MS_NOT_FOUND);
}

static void what_is_not_there_or_in_the_way_is_told(void **state) {
    struct fx *f = *state;
    uint64_t d = fx_mkdir(f, f->root, "d"), file = fx_file(f, f->root, "f", 1, "text/plain");
    char long_name[MS_NAME_BYTES_MAX + 2];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    fx_file(f, d, "inside", 1, "text/plain");
    fx_mkdir(f, f->root, "e");
    assert_code(fx_try_rename(f, f->root, "none", d, "x", &test_err), MS_NOT_FOUND);
    assert_code(fx_try_rename(f, f->root, "f", 4711, "x", &test_err), MS_NOT_FOUND);
    assert_code(fx_try_rename(f, f->root, "d", file, "x", &test_err), MS_NOT_DIR);
    assert_code(fx_try_rename(f, f->root, "f", f->root, "e", &test_err), MS_IS_DIR);
    assert_code(fx_try_rename(f, f->root, "e", f->root, "f", &test_err), MS_NOT_DIR);
    assert_code(fx_try_rename(f, f->root, "e", f->root, "d", &test_err), MS_NOT_EMPTY);
    assert_code(fx_try_rename(f, f->root, "f", d, "a/b", &test_err), MS_BAD_NAME);
    assert_code(fx_try_rename(f, f->root, "f", d, "..", &test_err), MS_BAD_NAME);
    assert_code(fx_try_rename(f, f->root, "f", d, long_name, &test_err), MS_NAME_TOO_LONG);
    assert_code(flagged(f, f->root, "f", d, "inside", true, false, &test_err), MS_EXISTS);
    assert_code(flagged(f, f->root, "f", d, "new", true, true, &test_err), MS_INVALID);
    assert_code(flagged(f, f->root, "f", d, "new", true, false, &test_err), MS_OK);
}

static void type_folders_stay(void **state) {
    struct fx *f = *state;
    fx_mkdir(f, f->root, "d");
    assert_code(fx_try_rename(f, f->root, "videos", f->root, "films", &test_err), MS_BUSY);
    assert_code(fx_try_rename(f, f->root, "d", f->root, "videos", &test_err), MS_BUSY);
    assert_code(flagged(f, f->root, "d", f->root, "music", false, true, &test_err), MS_BUSY);
    fx_file(f, f->root, "m", 1, "text/plain");
    assert_code(fx_try_rename(f, f->root, "m", fx_ino(f, "/models"), "m", &test_err),
                MS_NOT_PERMITTED);
}

static void two_names_of_one_file_stay_both(void **state) {
    struct fx *f = *state;
    struct ms_node node;
    uint64_t ino = fx_file(f, f->root, "a", 1, "text/plain");
    assert_ok(ms_tree_link(&f->svc, &f->ctx, ino, f->root, "b", &node, &test_err));
    fx_rename(f, f->root, "a", f->root, "b");
    assert_true(fx_there(f, "/a") && fx_there(f, "/b"));
    fx_rename(f, f->root, "a", f->root, "a");
    assert_code(flagged(f, f->root, "a", f->root, "b", true, false, &test_err), MS_EXISTS);
    assert_int_equal(fx_node(f, ino).inode.nlink, 2);
}

static void another_spelling_of_a_name_is_written(void **state) {
    struct fx *f = *state;
    struct ms_node node;
    fx_mkdir(f, f->root, "caf\xc3\xa9");
    uint64_t links = fx_node(f, f->root).inode.nlink;
    fx_rename(f, f->root, "caf\xc3\xa9", f->root, "cafe\xcc\x81");
    assert_ok(ms_tree_lookup(&f->svc, &f->ctx, f->root, "caf\xc3\xa9", &node, &test_err));
    assert_string_equal(node.spelling, "cafe\xcc\x81");
    assert_int_equal(fx_node(f, f->root).inode.nlink, links);
}

/* ---- replacing ------------------------------------------------------------------------------- */

static void set_tags(struct ms_asset_record *asset) {
    snprintf(asset->tags, sizeof asset->tags, "one,two");
}

static void a_replaced_asset_takes_the_new_bytes(void **state) {
    struct fx *f = *state;
    uint64_t dir = fx_ino(f, "/videos"), old = fx_file(f, dir, "a.mp4", 100, "video/mp4");
    fx_change_asset(f, fx_node(f, old).inode.asset, set_tags);
    struct ms_asset_record before = fx_asset(f, old), after;
    struct ms_node entry;
    assert_ok(ms_tree_lookup(&f->svc, &f->ctx, dir, "a.mp4", &entry, &test_err));
    fx_advance(f, 30 * MS_DAY_MS);
    uint64_t fresh = fx_file(f, dir, ".a.mp4.Xy12", 40, "video/mp4");
    struct ms_node temporary = fx_node(f, fresh);
    fx_advance(f, MS_DAY_MS - 1);
    struct ms_rename rename = {.parent = dir,
                               .name = ".a.mp4.Xy12",
                               .new_parent = dir,
                               .new_name = "a.mp4",
                               .keep_open = true};
    struct ms_node node;
    struct ms_gone gone;
    assert_ok(ms_tree_rename(&f->svc, &f->ctx, &rename, &node, &gone, &test_err));
    assert_true(gone.taken_over && gone.kept && !gone.binned);
    assert_int_equal(gone.ino, old);
    assert_int_equal(node.inode.ino, fresh);
    assert_memory_equal(&node.inode.asset, &before.id, MS_ID_BYTES);
    after = fx_asset(f, fresh);
    assert_int_equal(after.created.ms, before.created.ms);
    assert_string_equal(after.tags, "one,two");
    assert_string_equal(after.name, "a.mp4");
    assert_int_equal(after.type, MS_TYPE_VIDEO);
    assert_int_equal(after.bytes, 40);
    assert_false(fx_asset_by_id(f, temporary.inode.asset, &after));
    assert_int_equal(fx_usage(f).standard, 40);
    assert_int_equal(fx_usage(f).assets, 1);
    assert_int_equal(fx_bins(f, NULL, 0), 0);
    assert_ok(ms_tree_lookup(&f->svc, &f->ctx, dir, "a.mp4", &node, &test_err));
    assert_int_equal(node.seq, entry.seq);
    fx_check(f);
    assert_ok(ms_tree_forget(&f->svc, &f->ctx, old, &test_err));
}

static void make_customized(struct ms_asset_record *asset) { asset->origin = MS_ORIGIN_CUSTOMIZED; }

/* The same with one thing different each: the replaced asset goes to the bin. */
static void otherwise_it_goes_to_the_bin(void **state) {
    struct fx *f = *state;
    static const char *const cases[] = {"source is old",
                                        "source has tags",
                                        "replaced is customized",
                                        "replaced is frozen",
                                        "source is unsealed",
                                        "source has two names",
                                        "replaced waits for deletion"};
    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++) {
        char old_name[16], new_name[16], link_name[16];
        struct ms_node node;
        snprintf(old_name, sizeof old_name, "old%zu", i);
        snprintf(new_name, sizeof new_name, "new%zu", i);
        snprintf(link_name, sizeof link_name, "link%zu", i);
        struct ms_id old = fx_node(f, fx_file(f, f->root, old_name, 10, "text/plain")).inode.asset;
        fx_advance(f, OLD);
        uint64_t ino = i == 4 ? fx_make(f, f->root, new_name, S_IFREG | 0644).node.inode.ino
                              : fx_file(f, f->root, new_name, 20, "text/plain");
        struct ms_id fresh = fx_node(f, ino).inode.asset;
        if (i == 0)
            fx_advance(f, MS_DAY_MS);
        if (i == 1)
            fx_change_asset(f, fresh, set_tags);
        if (i == 2)
            fx_change_asset(f, old, make_customized);
        if (i == 3)
            fx_event(f, old, MS_EVENT_FREEZE, ms_instant_of(0));
        if (i == 5)
            assert_ok(ms_tree_link(&f->svc, &f->ctx, ino, f->root, link_name, &node, &test_err));
        if (i == 6)
            fx_event(f, old, MS_EVENT_ANNOUNCE,
                     ms_instant_add_ms(ms_clock_now(&f->clock.clock), 30 * MS_DAY_MS));
        struct ms_gone gone = fx_rename(f, f->root, new_name, f->root, old_name);
        if (!gone.binned)
            fail_msg("%s: not binned", cases[i]);
        assert_false(gone.taken_over);
        char path[20];
        snprintf(path, sizeof path, "/%s", old_name);
        assert_true(fx_is(f, path, fresh));
        assert_int_equal(fx_bins(f, NULL, 0), i + 1);
        fx_check(f);
    }
}

static void make_renewing(struct ms_asset_record *asset) { asset->auto_renew = 1; }

static void what_may_not_be_deleted_is_not_replaced(void **state) {
    struct fx *f = *state;
    struct ms_id old = fx_node(f, fx_file(f, f->root, "old", 10, "text/plain")).inode.asset;
    fx_change_asset(f, old, make_renewing);
    struct ms_id fresh = fx_node(f, fx_file(f, f->root, "new", 10, "text/plain")).inode.asset;
    assert_code(fx_try_rename(f, f->root, "new", f->root, "old", &test_err), MS_WRONG_STATE);
    assert_true(fx_is(f, "/old", old));
    assert_true(fx_is(f, "/new", fresh));
    fx_event(f, fresh, MS_EVENT_FREEZE, ms_instant_of(0));
    assert_code(fx_try_rename(f, f->root, "new", f->root, "newer", &test_err), MS_WRONG_STATE);
    assert_non_null(strstr(test_err.message, "BLOCK"));
}

static void a_replaced_name_of_many_is_only_a_name(void **state) {
    struct fx *f = *state;
    struct ms_node node;
    uint64_t old = fx_file(f, f->root, "a", 10, "text/plain");
    assert_ok(ms_tree_link(&f->svc, &f->ctx, old, f->root, "b", &node, &test_err));
    fx_file(f, f->root, "c", 20, "text/plain");
    struct ms_gone gone = fx_rename(f, f->root, "c", f->root, "a");
    assert_int_equal(gone.nlink, 1);
    assert_false(gone.binned || gone.taken_over);
    assert_int_equal(fx_ino(f, "/b"), old);
    assert_string_equal(fx_asset(f, old).name, "b");
}

static void folders_and_links_replace_their_like(void **state) {
    struct fx *f = *state;
    uint64_t a = fx_mkdir(f, f->root, "a"), b = fx_mkdir(f, f->root, "b");
    fx_mkdir(f, a, "inside");
    uint32_t links = fx_node(f, f->root).inode.nlink;
    struct ms_gone gone = fx_rename(f, f->root, "a", f->root, "b");
    assert_int_equal(gone.ino, b);
    assert_int_equal(fx_node(f, f->root).inode.nlink, links - 1);
    assert_true(fx_there(f, "/b/inside"));
    fx_make(f, f->root, "s", S_IFLNK | 0777);
    fx_make(f, f->root, "p", S_IFIFO | 0600);
    fx_rename(f, f->root, "s", f->root, "p");
    assert_true(S_ISLNK(fx_node(f, fx_ino(f, "/p")).inode.mode));
    fx_file(f, f->root, "x", 1, "text/plain");
    fx_advance(f, OLD);
    assert_true(fx_rename(f, f->root, "p", f->root, "x").binned);
}

/* ---- exchanging ------------------------------------------------------------------------------ */

static void exchanged_names_name_each_others_things(void **state) {
    struct fx *f = *state;
    uint64_t d = fx_mkdir(f, f->root, "d"), e = fx_mkdir(f, d, "e"),
             x = fx_file(f, f->root, "x", 5, "text/plain");
    fx_mkdir(f, e, "deep");
    uint32_t links = fx_node(f, f->root).inode.nlink;
    assert_ok(flagged(f, f->root, "x", d, "e", false, true, &test_err));
    assert_int_equal(fx_ino(f, "/x"), e);
    assert_int_equal(fx_ino(f, "/d/e"), x);
    assert_int_equal(fx_node(f, f->root).inode.nlink, links + 1);
    assert_int_equal(fx_node(f, d).inode.nlink, 2);
    assert_string_equal(fx_asset(f, x).name, "e");
    fx_check(f);
    uint64_t y = fx_file(f, f->root, "y", 5, "text/plain");
    assert_ok(flagged(f, f->root, "x", f->root, "y", false, true, &test_err));
    assert_int_equal(fx_ino(f, "/y"), e);
    assert_int_equal(fx_ino(f, "/x"), y);
    assert_int_equal(fx_bins(f, NULL, 0), 0);
    assert_code(flagged(f, f->root, "y", f->root, "none", false, true, &test_err), MS_NOT_FOUND);
}

static void exchange_checks_both_new_names(void **state) {
    struct fx *f = *state;
    fx_file(f, f->root, "a.txt", 5, "text/plain");
    fx_file(f, f->root, "b.mp4", 5, "video/mp4");
    assert_code(flagged(f, f->root, "a.txt", f->root, "b.mp4", false, true, &test_err),
                MS_WRONG_KIND);
    assert_code(flagged(f, f->root, "b.mp4", f->root, "a.txt", false, true, &test_err),
                MS_WRONG_KIND);
}

/* ---- types ----------------------------------------------------------------------------------- */

static void a_rename_retypes_and_checks_without_reading(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_file(f, f->root, "x.part", 50, "video/mp4");
    assert_int_equal(fx_asset(f, ino).type, MS_TYPE_COMMON_FILE);
    assert_code(fx_try_rename(f, f->root, "x.part", f->root, "x.png", &test_err), MS_WRONG_KIND);
    assert_non_null(strstr(test_err.message, "video/mp4"));
    assert_true(fx_there(f, "/x.part"));
    fx_rename(f, f->root, "x.part", f->root, "x.mp4");
    assert_int_equal(fx_asset(f, ino).type, MS_TYPE_VIDEO);
    fx_rename(f, f->root, "x.mp4", fx_ino(f, "/scenes"), "x");
    assert_int_equal(fx_asset(f, ino).type, MS_TYPE_SCENE);
}

static void size_limits_go_with_the_type(void **state) {
    struct fx *f = *state;
    fx_file(f, f->root, "x.part", 50 * MS_MB, "image/png");
    fx_file(f, f->root, "y.part", 50 * MS_MB + 1, "image/png");
    fx_rename(f, f->root, "x.part", f->root, "x.png");
    assert_code(fx_try_rename(f, f->root, "y.part", f->root, "y.png", &test_err), MS_TOO_LARGE);
    assert_non_null(strstr(test_err.message, "52428801"));
}

static void the_folder_decides_between_audio_and_music(void **state) {
    struct fx *f = *state;
    uint64_t audio = fx_ino(f, "/audio"), music = fx_ino(f, "/music"),
             ino = fx_file(f, audio, "a.mp3", 5, "audio/mpeg");
    assert_int_equal(fx_asset(f, ino).type, MS_TYPE_AUDIO);
    fx_rename(f, audio, "a.mp3", music, "a.mp3");
    assert_int_equal(fx_asset(f, ino).type, MS_TYPE_MUSIC);
}

static void a_moved_folder_retypes_what_is_in_it_bit_by_bit(void **state) {
    struct fx *f = *state;
    uint64_t audio = fx_ino(f, "/audio"), dir = fx_mkdir(f, audio, "d"),
             sub = fx_mkdir(f, dir, "s");
    uint64_t inos[100], done;
    char name[16];
    for (size_t i = 0; i < MS_ARRAY_LEN(inos); i++) {
        snprintf(name, sizeof name, "%zu.mp3", i);
        inos[i] = fx_file(f, i % 2 ? dir : sub, name, 5, "audio/mpeg");
    }
    uint64_t stays = fx_file(f, audio, "stays.mp3", 5, "audio/mpeg");
    fx_rename(f, audio, "d", fx_ino(f, "/music"), "d");
    assert_ok(ms_tree_settle(&f->svc, &f->ctx, &done, &test_err));
    assert_int_equal(done, 1);
    for (size_t i = 0; i < MS_ARRAY_LEN(inos); i++)
        assert_int_equal(fx_asset(f, inos[i]).type, MS_TYPE_MUSIC);
    assert_int_equal(fx_asset(f, stays).type, MS_TYPE_AUDIO);
    assert_ok(ms_tree_settle(&f->svc, &f->ctx, &done, &test_err));
    assert_int_equal(done, 0);
}

static void what_failed_by_content_is_live_once_its_name_fits(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_make(f, f->root, "x.mp4", S_IFREG | 0644).node.inode.ino;
    fx_seal(f, ino, 10, "image/png", true);
    assert_int_equal(fx_node(f, ino).state, MS_STATE_FAILED);
    fx_rename(f, f->root, "x.mp4", f->root, "still.mp4"); /* nothing gets worse */
    assert_int_equal(fx_node(f, ino).state, MS_STATE_FAILED);
    assert_code(fx_try_rename(f, f->root, "still.mp4", f->root, "x.mp3", &test_err), MS_WRONG_KIND);
    fx_rename(f, f->root, "still.mp4", f->root, "x.png");
    assert_int_equal(fx_node(f, ino).state, MS_STATE_ACTIVED);
    assert_int_equal(fx_asset(f, ino).type, MS_TYPE_IMAGE);
    assert_string_equal(fx_asset(f, ino).reason, "");
}

static void a_failed_asset_is_healed_by_the_file_that_replaces_it(void **state) {
    struct fx *f = *state;
    uint64_t old = fx_make(f, f->root, "x.mp4", S_IFREG | 0644).node.inode.ino;
    struct ms_id id = fx_node(f, old).inode.asset;
    fx_seal(f, old, 10, "image/png", true);
    fx_file(f, f->root, "tmp.mp4", 20, "video/mp4");
    assert_true(fx_rename(f, f->root, "tmp.mp4", f->root, "x.mp4").taken_over);
    assert_true(fx_is(f, "/x.mp4", id));
    assert_int_equal(fx_node(f, fx_ino(f, "/x.mp4")).state, MS_STATE_ACTIVED);
}

static void products_of_the_platform_keep_their_type(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_file(f, f->root, "x.mp4", 10, "video/mp4");
    fx_change_asset(f, fx_node(f, ino).inode.asset, make_customized);
    fx_rename(f, f->root, "x.mp4", f->root, "x.png");
    assert_int_equal(fx_asset(f, ino).type, MS_TYPE_VIDEO);
}

static void an_empty_file_takes_any_name(void **state) {
    struct fx *f = *state;
    uint64_t ino = fx_file(f, f->root, "x", 0, "");
    fx_rename(f, f->root, "x", f->root, "x.mp4");
    assert_int_equal(fx_asset(f, ino).type, MS_TYPE_COMMON_FILE);
    struct ms_made made = fx_make(f, f->root, "y", S_IFREG | 0644);
    fx_rename(f, f->root, "y", f->root, "y.mp4"); /* judged when it is sealed */
    assert_int_equal(fx_asset(f, made.node.inode.ino).type, MS_TYPE_VIDEO);
    assert_string_equal(fx_asset(f, made.node.inode.ino).name, "y.mp4");
}

static void a_frozen_tenant_renames_nothing(void **state) {
    struct fx *f = *state;
    struct ms_ctx admin = f->ctx;
    admin.admin = true;
    fx_mkdir(f, f->root, "d");
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, true, "x", &test_err));
    assert_code(fx_try_rename(f, f->root, "d", f->root, "e", &test_err), MS_WRONG_STATE);
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, false, "x", &test_err));
}

FX_TESTS(FX(a_renamed_file_keeps_inode_and_asset), FX(a_name_that_somebody_set_stays),
         FX(a_moved_folder_changes_the_links_of_both_parents), FX(a_folder_never_gets_into_itself),
         FX(depth_counts_what_lies_below), FX(what_is_not_there_or_in_the_way_is_told),
         FX(type_folders_stay), FX(two_names_of_one_file_stay_both),
         FX(another_spelling_of_a_name_is_written), FX(a_replaced_asset_takes_the_new_bytes),
         FX(otherwise_it_goes_to_the_bin), FX(what_may_not_be_deleted_is_not_replaced),
         FX(a_replaced_name_of_many_is_only_a_name), FX(folders_and_links_replace_their_like),
         FX(exchanged_names_name_each_others_things), FX(exchange_checks_both_new_names),
         FX(a_rename_retypes_and_checks_without_reading), FX(size_limits_go_with_the_type),
         FX(the_folder_decides_between_audio_and_music),
         FX(a_moved_folder_retypes_what_is_in_it_bit_by_bit),
         FX(what_failed_by_content_is_live_once_its_name_fits),
         FX(a_failed_asset_is_healed_by_the_file_that_replaces_it),
         FX(products_of_the_platform_keep_their_type), FX(an_empty_file_takes_any_name),
         FX(a_frozen_tenant_renames_nothing))
