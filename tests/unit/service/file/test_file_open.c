/* What one process sees of the files that it has open. */
#include "world.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>

static uint8_t block[3 * 1024 * 1024];

static void writes_are_read_at_once_by_every_handle(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a.txt"), *b;

    put_bytes(a, 0, "hello", 5);
    b = open_file(w, "/files/a.txt", 'r');
    check_bytes(b, 0, "hello", 5, true);
    put_bytes(a, 3, "LO there", 8);
    check_bytes(b, 0, "helLO there", 11, true);
    assert_ok(release_file(b, &test_err));
    seal_file(a);
    check_file(w, "/files/a.txt", "helLO there", 11);
    check_settled(w);
}

static void a_gap_reads_as_zeros(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");

    put_bytes(a, 70000, "x", 1);
    check_bytes(a, 69998, "\0\0x", 3, true);
    seal_file(a);
    memset(block, 0, 70001);
    block[70000] = 'x';
    check_file(w, "/files/a", block, 70001);
}

static void a_patch_lies_over_the_sealed_version(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    memset(block, 'a', sizeof block);
    write_file(w, "/files/a", block, sizeof block);
    a = open_file(w, "/files/a", 'w');
    put_bytes(a, 1000000, "PATCH", 5);
    memcpy(block + 1000000, "PATCH", 5);
    check_bytes(a, 0, block, sizeof block, true);
    seal_file(a);
    check_file(w, "/files/a", block, sizeof block);
    check_settled(w);
}

static void append_writes_at_the_end_whatever_the_offset(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    write_file(w, "/files/log", "one\n", 4);
    a = open_file(w, "/files/log", 'a');
    put_bytes(a, 0, "two\n", 4);
    put_bytes(a, 1, "three\n", 6);
    seal_file(a);
    check_file(w, "/files/log", "one\ntwo\nthree\n", 14);
}

static void truncate_works_both_ways(void **state) {
    struct world *w = *state;
    struct ms_handle *a;
    uint64_t ino;

    write_file(w, "/files/a", "0123456789", 10);
    ino = ino_of(w, "/files/a");
    a = open_file(w, "/files/a", 'w');
    assert_ok(ms_file_truncate(w->svc, &w->ctx, ino, a, 4, &test_err));
    check_bytes(a, 0, "0123", 4, true);
    assert_ok(ms_file_truncate(w->svc, &w->ctx, ino, a, 7, &test_err));
    check_bytes(a, 0, "0123\0\0\0", 7, true);
    seal_file(a);
    check_file(w, "/files/a", "0123\0\0\0", 7);
    check_settled(w);
}

static void truncate_without_a_handle_is_sealed_when_it_returns(void **state) {
    struct world *w = *state;
    uint64_t ino;
    struct ms_node node;

    write_file(w, "/files/a", "0123456789", 10);
    ino = ino_of(w, "/files/a");
    assert_ok(ms_file_truncate(w->svc, &w->ctx, ino, NULL, 3, &test_err));
    assert_ok(ms_tree_node(w->svc, &w->ctx, ino, &node, &test_err));
    assert_int_equal(node.inode.size, 3);
    check_file(w, "/files/a", "012", 3);
    assert_ok(ms_file_truncate(w->svc, &w->ctx, ino, NULL, 0, &test_err));
    check_file(w, "/files/a", "", 0);
    assert_ok(ms_file_truncate(w->svc, &w->ctx, ino, NULL, 2, &test_err));
    check_file(w, "/files/a", "\0\0", 2);
    check_settled(w);
}

static void open_with_truncate_begins_anew(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    write_file(w, "/files/a", "0123456789", 10);
    a = open_file(w, "/files/a", 't');
    put_bytes(a, 0, "new", 3);
    seal_file(a);
    check_file(w, "/files/a", "new", 3);
    check_settled(w);
}

static void allocate_grows_punches_and_refuses_what_it_cannot(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");

    put_bytes(a, 0, "0123456789", 10);
    assert_ok(ms_file_allocate(a, 0, 8, 8, &test_err));
    check_bytes(a, 0, "0123456789\0\0\0\0\0\0", 16, true);
    assert_ok(ms_file_allocate(a, FALLOC_FL_KEEP_SIZE, 0, 1000, &test_err));
    assert_ok(ms_file_allocate(a, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 3, &test_err));
    assert_ok(ms_file_allocate(a, FALLOC_FL_ZERO_RANGE, 14, 4, &test_err));
    check_bytes(a, 0, "01\0\0\0\x35\x36\x37\x38\x39\0\0\0\0\0\0\0\0", 18, true);
    assert_code(ms_file_allocate(a, FALLOC_FL_COLLAPSE_RANGE, 0, 4096, &test_err), MS_UNSUPPORTED);
    assert_code(ms_file_allocate(a, 0, 0, 0, &test_err), MS_INVALID);
    seal_file(a);
    check_file(w, "/files/a", "01\0\0\0\x35\x36\x37\x38\x39\0\0\0\0\0\0\0\0", 18);
}

static void a_read_only_handle_cannot_write(void **state) {
    struct world *w = *state;
    struct ms_handle *a;
    size_t n = 7;

    write_file(w, "/files/a", "x", 1);
    a = open_file(w, "/files/a", 'r');
    assert_code(ms_file_write(a, 0, "y", 1, &n, &test_err), MS_DENIED);
    assert_ok(release_file(a, &test_err));
}

static void folders_and_fifos_have_no_bytes(void **state) {
    struct world *w = *state;
    struct ms_open open = {.ino = w->tenant.root_ino, .read = true};
    struct ms_make make = {.parent = ino_of(w, "/files"), .name = "fifo", .mode = S_IFIFO | 0600};
    struct ms_handle *handle;
    struct ms_made made;

    assert_code(ms_file_open(w->svc, &w->ctx, &open, &handle, &test_err), MS_IS_DIR);
    assert_ok(ms_tree_make(w->svc, &w->ctx, &make, &made, &test_err));
    open.ino = made.node.inode.ino;
    assert_code(ms_file_open(w->svc, &w->ctx, &open, &handle, &test_err), MS_INVALID);
    open.ino = 999999;
    assert_code(ms_file_open(w->svc, &w->ctx, &open, &handle, &test_err), MS_NOT_FOUND);
}

static void the_overlay_shows_live_size_and_times(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");
    struct ms_node node;

    ms_clock_fake_advance(&w->clock, 5000);
    put_bytes(a, 0, "12345", 5);
    assert_ok(ms_tree_node(w->svc, &w->ctx, ms_file_ino(a), &node, &test_err));
    assert_int_equal(node.inode.size, 0);
    assert_true(ms_file_overlay(w->svc, &w->ctx, &node));
    assert_int_equal(node.inode.size, 5);
    assert_int_equal(node.inode.mtime_s, INT64_C(1772323205));
    seal_file(a);
    assert_false(ms_file_overlay(w->svc, &w->ctx, &node));
    assert_ok(ms_tree_node(w->svc, &w->ctx, node.inode.ino, &node, &test_err));
    assert_int_equal(node.inode.size, 5);
    assert_int_equal(node.inode.mtime_s, INT64_C(1772323205));
    assert_int_equal(node.inode.unsealed, 0);
}

static void setattr_on_an_unsealed_file_is_folded_into_the_seal(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");
    struct ms_setattr set = {.ino = ms_file_ino(a),
                             .which = MS_ATTR_MODE | MS_ATTR_MTIME,
                             .mode = 0600,
                             .mtime = {.tv_sec = 1234567, .tv_nsec = 89}};
    struct ms_node node;
    uint64_t commits;

    put_bytes(a, 0, "1", 1);
    commits = commits_of(w->svc);
    assert_true(ms_file_setattr(w->svc, &w->ctx, &set, &node));
    assert_int_equal(node.inode.mode & 07777, 0600);
    assert_int_equal(node.inode.size, 1);
    assert_int_equal(commits_of(w->svc), commits);
    assert_ok(flush_file(a, &test_err));
    assert_int_equal(commits_of(w->svc), commits + 1);
    assert_ok(ms_tree_node(w->svc, &w->ctx, set.ino, &node, &test_err));
    assert_int_equal(node.inode.mode & 07777, 0600);
    assert_int_equal(node.inode.mtime_s, 1234567);
    assert_int_equal(node.inode.mtime_ns, 89);
    assert_false(ms_file_setattr(w->svc, &w->ctx, &set, &node)); /* sealed: the tree's */
    assert_ok(release_file(a, &test_err));
}

static void an_unlinked_open_file_lives_until_its_last_close(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a"), *b;
    uint64_t ino = ms_file_ino(a), parent = ino_of(w, "/files");
    struct ms_gone gone;
    struct ms_node node;

    put_bytes(a, 0, "secret", 6);
    b = open_file(w, "/files/a", 'r');
    assert_int_equal(ms_file_handles(w->svc, &w->ctx, ino), 2);
    assert_ok(ms_tree_unlink(w->svc, &w->ctx, parent, "a", true, &gone, &test_err));
    assert_true(gone.kept);
    ms_file_orphaned(w->svc, &w->ctx, ino);
    put_bytes(a, 6, " more", 5);
    check_bytes(b, 0, "secret more", 11, true);
    assert_ok(sync_file(a, &test_err));
    seal_file(a);
    check_bytes(b, 0, "secret more", 11, true);
    assert_ok(release_file(b, &test_err));
    assert_code(ms_tree_node(w->svc, &w->ctx, ino, &node, &test_err), MS_NOT_FOUND);
    check_settled(w);
    assert_int_equal(quota_of(w).metered, 0);
}

static void a_binned_file_is_read_through_its_old_handle(void **state) {
    struct world *w = *state;
    struct ms_handle *a;
    struct ms_gone gone;
    uint64_t ino;

    write_file(w, "/files/a", "kept", 4);
    ms_clock_fake_advance(&w->clock, 2 * 60 * 1000);
    a = open_file(w, "/files/a", 'w');
    ino = ms_file_ino(a);
    put_bytes(a, 0, "K", 1);
    assert_ok(ms_tree_unlink(w->svc, &w->ctx, ino_of(w, "/files"), "a", true, &gone, &test_err));
    assert_true(gone.binned && gone.kept);
    ms_file_orphaned(w->svc, &w->ctx, ino);
    check_bytes(a, 0, "Kept", 4, true);
    seal_file(a);
    check_settled(w);
    assert_int_equal(quota_of(w).metered, 4); /* what is in the bin counts, the patch was dropped */
}

static void a_file_made_without_a_name_is_kept_once_it_gets_one(void **state) {
    struct world *w = *state;
    const struct ms_make make = {.parent = ino_of(w, "/files"), .mode = S_IFREG | 0600};
    const struct ms_open open = {.read = true, .write = true};
    struct ms_handle *a;
    struct ms_node node;

    assert_ok(ms_file_create(w->svc, &w->ctx, &make, &open, &node, &a, &test_err));
    put_bytes(a, 0, "nameless", 8);
    assert_ok(sync_file(a, &test_err));
    assert_ok(
        ms_tree_link(w->svc, &w->ctx, ms_file_ino(a), make.parent, "named", &node, &test_err));
    seal_file(a);
    check_file(w, "/files/named", "nameless", 8);
    assert_ok(ms_file_create(w->svc, &w->ctx, &make, &open, &node, &a, &test_err));
    put_bytes(a, 0, "nameless", 8);
    seal_file(a); /* and is gone if it gets none */
    assert_code(ms_tree_node(w->svc, &w->ctx, node.inode.ino, &node, &test_err), MS_NOT_FOUND);
    assert_int_equal(quota_of(w).metered, 8);
    check_settled(w);
}

static void a_frozen_file_is_not_read_through_an_open_handle(void **state) {
    struct world *w = *state;
    struct ms_handle *a;
    uint8_t byte;
    size_t n;

    write_file(w, "/files/a", "kept", 4);
    a = open_file(w, "/files/a", 'w');
    check_bytes(a, 0, "kept", 4, true);
    assert_ok(ms_tenant_hold(w->svc, &w->admin, MS_HOLD_ADMIN, true, "a complaint", &test_err));
    ms_file_revalidate(w->svc, w->ctx.tenant, 0);
    assert_code(read_file(a, 0, 1, &byte, &n, &test_err), MS_NOT_READABLE);
    assert_code(ms_file_write(a, 0, "x", 1, &n, &test_err), MS_WRONG_STATE);
    assert_ok(ms_tenant_hold(w->svc, &w->admin, MS_HOLD_ADMIN, false, "", &test_err));
    ms_file_revalidate(w->svc, w->ctx.tenant, 0);
    check_bytes(a, 0, "kept", 4, true);
    assert_ok(release_file(a, &test_err));
}

static void a_write_before_a_freeze_is_refused_at_close(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    write_file(w, "/files/a", "kept", 4);
    a = open_file(w, "/files/a", 'w');
    put_bytes(a, 0, "K", 1);
    assert_ok(ms_tenant_hold(w->svc, &w->admin, MS_HOLD_ADMIN, true, "a complaint", &test_err));
    assert_code(flush_file(a, &test_err), MS_WRONG_STATE);
    assert_ok(ms_tenant_hold(w->svc, &w->admin, MS_HOLD_ADMIN, false, "", &test_err));
    ms_file_revalidate(w->svc, w->ctx.tenant, 0);
    assert_code(release_file(a, &test_err), MS_WRONG_STATE); /* nothing was written since */
    check_file(w, "/files/a", "kept", 4);
    check_settled(w);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_mem, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(writes_are_read_at_once_by_every_handle),
        TEST(a_gap_reads_as_zeros),
        TEST(a_patch_lies_over_the_sealed_version),
        TEST(append_writes_at_the_end_whatever_the_offset),
        TEST(truncate_works_both_ways),
        TEST(truncate_without_a_handle_is_sealed_when_it_returns),
        TEST(open_with_truncate_begins_anew),
        TEST(allocate_grows_punches_and_refuses_what_it_cannot),
        TEST(a_read_only_handle_cannot_write),
        TEST(folders_and_fifos_have_no_bytes),
        TEST(the_overlay_shows_live_size_and_times),
        TEST(setattr_on_an_unsealed_file_is_folded_into_the_seal),
        TEST(an_unlinked_open_file_lives_until_its_last_close),
        TEST(a_binned_file_is_read_through_its_old_handle),
        TEST(a_file_made_without_a_name_is_kept_once_it_gets_one),
        TEST(a_frozen_file_is_not_read_through_an_open_handle),
        TEST(a_write_before_a_freeze_is_refused_at_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
