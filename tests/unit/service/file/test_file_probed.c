/* What a close makes of what a prober says, and of one that is not there. The prober is a liar (tests/probe/liar.c):
 * it calls every content a png of one row for each of its last byte, and misbehaves over odd sizes. */
#include "world.h"

#include "service/tables.h"

#include <stdio.h>
#include <string.h>

static uint8_t bytes[4096];
static const char *liar;

static struct ms_asset_info info_of(struct world *w, const char *path) {
    static struct ms_asset_info info;

    assert_ok(ms_asset_find(w->svc, &w->admin, path, &info, &test_err));
    return info;
}

static unsigned facts_rows(struct world *w) {
    struct ms_key prefix = ms_key_facts_of((struct ms_tenant_id){w->tenant.id});
    struct ms_facts_record facts;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    unsigned n = 0;

    assert_ok(ms_read_begin(w->svc->store, &txn, &test_err));
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (ms_row_next_facts(&scan, &key, &facts, NULL) == MS_OK)
        n++;
    ms_scan_end(&scan);
    ms_read_end(txn);
    return n;
}

static enum ms_code rename_to(struct world *w, const char *from, const char *to) {
    uint64_t images = ino_of(w, "/images");
    const struct ms_rename rename = {
        .parent = images, .new_parent = images, .name = from, .new_name = to};
    struct ms_node node;
    struct ms_gone gone;

    return ms_tree_rename(w->svc, &w->ctx, &rename, &node, &gone, &test_err);
}

static int use(void **state, const char *program, const char *argument) {
    *state = world_new_probed(program, argument);
    fill_like(bytes, sizeof bytes, "png");
    return 0;
}
static int setup_good(void **state) { return use(state, liar, ""); }
static int setup_killed(void **state) { return use(state, liar, "killed"); }
static int setup_missing(void **state) { return use(state, "/nowhere/msasset-probe", NULL); }

static void an_image_is_examined_once_and_shown(void **state) {
    struct world *w = *state;
    struct ms_asset_info info;
    MS_AUTO(ms_buf_fini) struct ms_buf value = {0};

    write_file(w, "/images/a.png", bytes, 1000);
    info = info_of(w, "/images/a.png");
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    assert_true(info.probed);
    assert_string_equal(info.facts.container, "png");
    assert_int_equal(info.facts.height, bytes[999]);
    assert_ok(ms_tree_xattr_get(w->svc, &w->ctx, ino_of(w, "/images/a.png"), "user.msasset.usable",
                                &value, &test_err));
    assert_non_null(strstr((const char *)value.data, "video_production yes; livestreaming yes"));
    assert_int_equal(facts_rows(w), 1);
    write_file(w, "/files/note.txt", "just text, and nothing else in it\n", 34);
    assert_false(info_of(w, "/files/note.txt").probed);
    assert_int_equal(facts_rows(w), 1);
    check_settled(w);
}

/* The facts of a version go with it. */
static void an_overwrite_has_its_own_facts(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    write_file(w, "/images/a.png", bytes, 1000);
    bytes[1999] = 77;
    a = open_file(w, "/images/a.png", 'w');
    put_bytes(a, 0, bytes, 2000);
    seal_file(a);
    assert_int_equal(info_of(w, "/images/a.png").facts.height, 77);
    assert_int_equal(facts_rows(w), 1);
    check_settled(w);
}

static void a_crash_fails_the_new_asset_with_a_reason(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/images/a.png");
    struct ms_asset_info info;

    put_bytes(a, 0, bytes, 1001);
    assert_code(flush_file(a, &test_err), MS_WRONG_KIND);
    assert_non_null(strstr(test_err.message, "signal 9"));
    assert_ok(release_file(a, &test_err));
    info = info_of(w, "/images/a.png");
    assert_int_equal(info.state, MS_STATE_FAILED);
    assert_int_equal(info.facts.outcome, MS_FACTS_GIVEN_UP);
    assert_non_null(strstr(info.asset.reason, "signal 9"));
    write_file(w, "/images/b.png", bytes, 1000); /* and nothing else */
    check_settled(w);
}

static void a_crash_over_an_overwrite_leaves_the_old_version(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    write_file(w, "/images/a.png", bytes, 1000);
    a = open_file(w, "/images/a.png", 'w');
    put_bytes(a, 0, bytes, 1001);
    assert_code(flush_file(a, &test_err), MS_WRONG_KIND);
    assert_code(release_file(a, &test_err), MS_WRONG_KIND);
    check_file(w, "/images/a.png", bytes, 1000);
    assert_int_equal(info_of(w, "/images/a.png").state, MS_STATE_ACTIVED);
    assert_int_equal(facts_rows(w), 1);
    check_settled(w);
}

/* rsync writes under another name: what was found then decides the rename, and nothing is read. */
static void a_rename_is_decided_by_the_facts_that_are_there(void **state) {
    struct world *w = *state;
    unsigned requests;

    write_file(w, "/images/good.part", bytes, 1000);
    write_file(w, "/images/bad.part", bytes, 1001); /* a COMMON_FILE: nothing of it is judged */
    assert_int_equal(facts_rows(w), 2);
    requests = (unsigned)atomic_load(&w->gate.requests);
    assert_ok(rename_to(w, "good.part", "good.png"));
    assert_code(rename_to(w, "bad.part", "bad.png"), MS_WRONG_KIND);
    assert_non_null(strstr(test_err.message, "signal 9"));
    assert_int_equal((unsigned)atomic_load(&w->gate.requests), requests);
    assert_int_equal(info_of(w, "/images/good.png").asset.type, MS_TYPE_IMAGE);
    assert_int_equal(info_of(w, "/images/bad.part").asset.type, MS_TYPE_COMMON_FILE);
    check_settled(w);
}

static void a_failed_image_is_live_under_a_name_that_it_fits(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/images/a.png");

    put_bytes(a, 0, bytes, 1001);
    assert_code(flush_file(a, &test_err), MS_WRONG_KIND);
    assert_ok(release_file(a, &test_err));
    assert_ok(rename_to(w, "a.png", "a.bin"));
    assert_int_equal(info_of(w, "/images/a.bin").state, MS_STATE_ACTIVED);
    assert_int_equal(info_of(w, "/images/a.bin").asset.type, MS_TYPE_COMMON_FILE);
    check_settled(w);
}

/* Nothing goes live unexamined: as when the store is away, the close says so, and what was never
 * promised ends. Contents that are not examined are not touched by it. */
static void without_a_prober_a_close_says_so(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/images/a.png");

    put_bytes(a, 0, bytes, 1000);
    assert_code(flush_file(a, &test_err), MS_UNAVAILABLE);
    assert_non_null(strstr(test_err.message, "/nowhere/msasset-probe"));
    assert_code(release_file(a, &test_err), MS_UNAVAILABLE);
    assert_int_equal(
        ms_asset_find(w->svc, &w->admin, "/images/a.png", &(struct ms_asset_info){.size = 0}, NULL),
        MS_NOT_FOUND);
    write_file(w, "/files/note.txt", "just text, and nothing else in it\n", 34);
    check_settled(w);
}

#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, world_teardown)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        TEST(an_image_is_examined_once_and_shown, setup_good),
        TEST(an_overwrite_has_its_own_facts, setup_good),
        TEST(a_crash_fails_the_new_asset_with_a_reason, setup_killed),
        TEST(a_crash_over_an_overwrite_leaves_the_old_version, setup_killed),
        TEST(a_rename_is_decided_by_the_facts_that_are_there, setup_killed),
        TEST(a_failed_image_is_live_under_a_name_that_it_fits, setup_killed),
        TEST(without_a_prober_a_close_says_so, setup_missing),
    };

    if (argc != 2) {
        fprintf(stderr, "usage: %s LIAR\n", argv[0]);
        return 2;
    }
    liar = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
