/* What a close makes of a file: the rules, the versions, the commits. */
#include "world.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static uint8_t bytes[64 * 1024];

static struct ms_asset_info info_of(struct world *w, const char *path) {
    static struct ms_asset_info info;

    assert_ok(ms_asset_find(w->svc, &w->admin, path, &info, &test_err));
    return info;
}

static void a_video_becomes_active_with_type_size_and_root(void **state) {
    struct world *w = *state;
    struct ms_asset_info info;

    fill_like(bytes, sizeof bytes, "mp4");
    write_file(w, "/videos/a.mp4", bytes, sizeof bytes);
    info = info_of(w, "/videos/a.mp4");
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    assert_int_equal(info.asset.type, MS_TYPE_VIDEO);
    assert_int_equal(info.asset.bytes, sizeof bytes);
    assert_int_equal(info.version.size, sizeof bytes);
    assert_int_equal(info.version.hashed, 1);
    assert_string_equal(info.main.media_type, "video/mp4");
    assert_int_equal(info.main.state, MS_FILE_CREATED);
    check_file(w, "/videos/a.mp4", bytes, sizeof bytes);
    check_settled(w);
}

static void an_empty_file_is_a_finished_common_file(void **state) {
    struct world *w = *state;
    struct ms_asset_info info;

    write_file(w, "/videos/a.mp4", "", 0);
    info = info_of(w, "/videos/a.mp4");
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    assert_int_equal(info.asset.type, MS_TYPE_COMMON_FILE);
    assert_int_equal(info.size, 0);
    assert_int_equal(atomic_load(&w->gate.requests), 0);
    check_file(w, "/videos/a.mp4", "", 0);
    check_settled(w);
}

static void the_first_bytes_of_an_empty_file_are_judged_as_at_creation(void **state) {
    struct world *w = *state;
    struct ms_handle *a;
    struct ms_asset_info info;

    write_file(w, "/videos/a.mp4", "", 0);
    a = open_file(w, "/videos/a.mp4", 'w');
    fill_like(bytes, 500, "txt");
    put_bytes(a, 0, bytes, 500);
    assert_code(flush_file(a, &test_err), MS_WRONG_KIND);
    assert_ok(release_file(a, &test_err));
    info = info_of(w, "/videos/a.mp4");
    assert_int_equal(info.state, MS_STATE_FAILED);
    assert_int_equal(info.asset.fail, MS_FAIL_CONTENT);
    check_file(w, "/videos/a.mp4", bytes, 500);
    check_settled(w);
}

static void a_new_file_of_the_wrong_kind_is_kept_as_failed_with_its_reason(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/videos/a.mp4");
    struct ms_asset_info info;

    fill_like(bytes, 500, "txt");
    put_bytes(a, 0, bytes, 500);
    assert_code(flush_file(a, &test_err), MS_WRONG_KIND);
    assert_ok(flush_file(a, &test_err)); /* sealed: nothing to do */
    assert_ok(release_file(a, &test_err));
    info = info_of(w, "/videos/a.mp4");
    assert_int_equal(info.state, MS_STATE_FAILED);
    assert_string_equal(info.asset.reason_code, "WRONG_KIND");
    assert_true(strlen(info.asset.reason) > 10);
    assert_int_equal(info.main.state, MS_FILE_FAILED);
    assert_int_equal(quota_of(w).metered, 500);
    check_file(w, "/videos/a.mp4", bytes, 500);
    check_settled(w);
}

static void new_bytes_that_fit_bring_a_failed_file_to_life(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/videos/a.mp4");
    struct ms_asset_info info;

    fill_like(bytes, 500, "txt");
    put_bytes(a, 0, bytes, 500);
    assert_code(flush_file(a, &test_err), MS_WRONG_KIND);
    assert_ok(release_file(a, &test_err));
    a = open_file(w, "/videos/a.mp4", 't');
    put_bytes(a, 0, "still no film", 13);
    assert_code(flush_file(a, &test_err), MS_WRONG_KIND);
    info = info_of(w, "/videos/a.mp4");
    assert_int_equal(info.state, MS_STATE_FAILED);
    assert_int_equal(info.size, 13);
    fill_like(bytes, 700, "mp4");
    put_bytes(a, 0, bytes, 700);
    seal_file(a);
    info = info_of(w, "/videos/a.mp4");
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    assert_string_equal(info.asset.reason, "");
    check_settled(w);
}

static void a_refused_overwrite_keeps_the_old_version(void **state) {
    struct world *w = *state;
    struct ms_handle *a;
    struct ms_asset_info info;

    fill_like(bytes, 700, "mp4");
    write_file(w, "/videos/a.mp4", bytes, 700);
    a = open_file(w, "/videos/a.mp4", 't');
    put_bytes(a, 0, "no film", 7);
    assert_code(flush_file(a, &test_err), MS_WRONG_KIND);
    check_bytes(a, 0, "no film", 7, true); /* it stays with the open file */
    assert_code(flush_file(a, &test_err), MS_WRONG_KIND);
    assert_code(release_file(a, &test_err), MS_WRONG_KIND);
    info = info_of(w, "/videos/a.mp4");
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    check_file(w, "/videos/a.mp4", bytes, 700);
    check_settled(w);
}

static void a_refused_overwrite_that_a_duplicate_mends_is_sealed(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    fill_like(bytes, 700, "mp4");
    write_file(w, "/videos/a.mp4", bytes, 700);
    a = open_file(w, "/videos/a.mp4", 't');
    put_bytes(a, 0, "no film", 7);
    assert_code(flush_file(a, &test_err), MS_WRONG_KIND);
    put_bytes(a, 0, bytes, 600);
    assert_ok(release_file(a, &test_err)); /* judged again: what was written since fits */
    check_file(w, "/videos/a.mp4", bytes, 600);
    check_settled(w);
}

static void truncating_to_nothing_keeps_the_type(void **state) {
    struct world *w = *state;
    struct ms_asset_info info;

    fill_like(bytes, 700, "mp4");
    write_file(w, "/videos/a.mp4", bytes, 700);
    assert_ok(ms_file_truncate(w->svc, &w->ctx, ino_of(w, "/videos/a.mp4"), NULL, 0, &test_err));
    info = info_of(w, "/videos/a.mp4");
    assert_int_equal(info.asset.type, MS_TYPE_VIDEO);
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    assert_int_equal(quota_of(w).metered, 0);
    check_settled(w);
}

static void an_image_over_its_limit_is_refused_at_the_write(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/images/a.png");
    uint64_t limit = 50 * MS_MB;
    size_t n = 0;

    fill_like(bytes, sizeof bytes, "png");
    put_bytes(a, 0, bytes, sizeof bytes);
    assert_ok(ms_file_write(a, limit - 10, bytes, 100, &n, &test_err));
    assert_int_equal(n, 10); /* cut short at the limit */
    assert_code(ms_file_write(a, limit, bytes, 1, &n, &test_err), MS_TOO_LARGE);
    assert_code(ms_file_truncate(w->svc, &w->ctx, ms_file_ino(a), a, limit + 1, &test_err),
                MS_TOO_LARGE);
    assert_code(ms_file_allocate(a, 0, 0, limit + 1, &test_err), MS_TOO_LARGE);
    assert_ok(ms_file_truncate(w->svc, &w->ctx, ms_file_ino(a), a, sizeof bytes, &test_err));
    seal_file(a);
    check_file(w, "/images/a.png", bytes, sizeof bytes);
    check_settled(w);
}

static void the_limit_is_tested_before_the_quota(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/images/a.png"), *b = make_file(w, "/files/b");

    assert_ok(ms_tenant_set_quota(w->svc, &w->admin, 1000, &test_err));
    assert_code(ms_file_truncate(w->svc, &w->ctx, ms_file_ino(a), a, 51 * MS_MB, &test_err),
                MS_TOO_LARGE);
    assert_code(
        ms_file_truncate(w->svc, &w->ctx, ms_file_ino(b), b, UINT64_C(600) << 30, &test_err),
        MS_TOO_LARGE);
    seal_file(a);
    seal_file(b);
}

static void renaming_while_open_changes_what_is_judged(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/videos/a.part");
    uint64_t parent = ino_of(w, "/videos");
    const struct ms_rename rename = {
        .parent = parent, .new_parent = parent, .name = "a.part", .new_name = "a.mp4"};
    struct ms_node node;
    struct ms_gone gone;

    fill_like(bytes, 700, "mp4");
    put_bytes(a, 0, bytes, 700);
    assert_ok(ms_tree_rename(w->svc, &w->ctx, &rename, &node, &gone, &test_err));
    seal_file(a);
    assert_int_equal(info_of(w, "/videos/a.mp4").asset.type, MS_TYPE_VIDEO);
}

static void creating_writing_and_closing_costs_two_commits(void **state) {
    struct world *w = *state;
    uint64_t before = commits_of(w->svc);
    struct ms_handle *a = make_file(w, "/files/a");

    assert_int_equal(commits_of(w->svc), before + 1);
    for (unsigned i = 0; i < 64; i++)
        put_bytes(a, i * sizeof bytes, bytes, sizeof bytes);
    assert_int_equal(commits_of(w->svc), before + 1);
    assert_ok(flush_file(a, &test_err));
    assert_int_equal(commits_of(w->svc), before + 2);
    assert_ok(release_file(a, &test_err));
    assert_int_equal(commits_of(w->svc), before + 2);
}

static void overwriting_costs_an_intent_and_a_seal(void **state) {
    struct world *w = *state;
    struct ms_handle *a;
    uint64_t before;

    write_file(w, "/files/a", "0123456789", 10);
    before = commits_of(w->svc);
    a = open_file(w, "/files/a", 'w');
    put_bytes(a, 0, "x", 1);
    assert_int_equal(commits_of(w->svc), before); /* within what is metered: not even a lease */
    seal_file(a);
    assert_int_equal(commits_of(w->svc), before + 2);
}

static void closing_a_sealed_file_costs_nothing(void **state) {
    struct world *w = *state;
    struct ms_handle *a;
    uint64_t before;

    write_file(w, "/files/a", "0123456789", 10);
    before = commits_of(w->svc);
    a = open_file(w, "/files/a", 'w');
    seal_file(a);
    a = open_file(w, "/files/a", 'r');
    check_bytes(a, 0, "0123456789", 10, true);
    seal_file(a);
    assert_int_equal(commits_of(w->svc), before);
}

static void fsync_makes_durable_and_does_not_publish(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/videos/a.mp4");
    struct ms_node node;
    uint64_t before;

    put_bytes(a, 0, "no film yet", 11);
    before = commits_of(w->svc);
    assert_ok(sync_file(a, &test_err)); /* and does not judge */
    assert_int_equal(commits_of(w->svc), before + 1);
    assert_ok(sync_file(a, &test_err));
    assert_int_equal(commits_of(w->svc), before + 1); /* nothing new */
    assert_ok(ms_tree_node(w->svc, &w->ctx, ms_file_ino(a), &node, &test_err));
    assert_int_equal(node.inode.size, 0);
    assert_int_equal(node.inode.unsealed, 1);
    fill_like(bytes, 700, "mp4");
    put_bytes(a, 0, bytes, 700);
    seal_file(a);
    check_file(w, "/videos/a.mp4", bytes, 700);
    check_settled(w);
}

static void a_flush_beside_another_writer_is_an_fsync(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a"), *b = open_file(w, "/files/a", 'w');
    struct ms_node node;

    put_bytes(a, 0, "one", 3);
    assert_ok(flush_file(a, &test_err));
    assert_ok(ms_tree_node(w->svc, &w->ctx, ms_file_ino(a), &node, &test_err));
    assert_int_equal(node.inode.unsealed, 1);
    assert_ok(release_file(a, &test_err));
    put_bytes(b, 3, "two", 3);
    seal_file(b);
    check_file(w, "/files/a", "onetwo", 6);
    check_settled(w);
}

static void each_seal_is_a_generation_and_one_version_stays(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");
    uint64_t first;

    put_bytes(a, 0, "1", 1);
    assert_ok(flush_file(a, &test_err));
    first = ms_file_generation(a);
    put_bytes(a, 1, "2", 1);
    assert_ok(flush_file(a, &test_err));
    assert_int_equal(ms_file_generation(a), first + 1);
    put_bytes(a, 2, "3", 1);
    assert_ok(release_file(a, &test_err)); /* without a flush, as after a mapping */
    check_file(w, "/files/a", "123", 3);
    assert_int_equal(quota_of(w).metered, 3);
    check_settled(w);
}

static void a_write_that_was_refused_leaves_nothing_behind(void **state) {
    struct world *w = *state;
    struct ms_handle *a;
    uint64_t before;

    write_file(w, "/files/a", "0123456789", 10);
    assert_ok(ms_tenant_set_quota(w->svc, &w->admin, 10, &test_err));
    a = open_file(w, "/files/a", 'w');
    assert_code(ms_file_truncate(w->svc, &w->ctx, ms_file_ino(a), a, 100, &test_err), MS_QUOTA);
    before = atomic_load(&w->gate.requests);
    seal_file(a);
    assert_int_equal(atomic_load(&w->gate.requests), before);
    check_file(w, "/files/a", "0123456789", 10);
    check_settled(w);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_mem, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_video_becomes_active_with_type_size_and_root),
        TEST(an_empty_file_is_a_finished_common_file),
        TEST(the_first_bytes_of_an_empty_file_are_judged_as_at_creation),
        TEST(a_new_file_of_the_wrong_kind_is_kept_as_failed_with_its_reason),
        TEST(new_bytes_that_fit_bring_a_failed_file_to_life),
        TEST(a_refused_overwrite_keeps_the_old_version),
        TEST(a_refused_overwrite_that_a_duplicate_mends_is_sealed),
        TEST(truncating_to_nothing_keeps_the_type),
        TEST(an_image_over_its_limit_is_refused_at_the_write),
        TEST(the_limit_is_tested_before_the_quota),
        TEST(renaming_while_open_changes_what_is_judged),
        TEST(creating_writing_and_closing_costs_two_commits),
        TEST(overwriting_costs_an_intent_and_a_seal),
        TEST(closing_a_sealed_file_costs_nothing),
        TEST(fsync_makes_durable_and_does_not_publish),
        TEST(a_flush_beside_another_writer_is_an_fsync),
        TEST(each_seal_is_a_generation_and_one_version_stays),
        TEST(a_write_that_was_refused_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
