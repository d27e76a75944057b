/* A new MAIN of a finished asset is held aside until it passes: product.md 3.4, 5, bill.md section 2. */
#include "confirm/parcel.h"

#include "service/copy.h"
#include "service/review.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLD 1000
#define NEW 3000

static uint8_t old_bytes[OLD], new_bytes[NEW], newer_bytes[NEW + 500];

static int setup_with(void **state, uint64_t quota) {
    struct world *w = world_new(false, quota);
    *state = w;
    fill_like(old_bytes, OLD, "mp4");
    fill_like(new_bytes, NEW, "mp4");
    fill_like(newer_bytes, sizeof newer_bytes, "mp4");
    memset(old_bytes + 500, 1, 100);
    memset(new_bytes + 500, 2, 100);
    memset(newer_bytes + 500, 3, 100);
    return 0;
}
static int setup(void **state) { return setup_with(state, 0); }
static int setup_small(void **state) { return setup_with(state, 10000); }

static void review(struct world *w, bool on) {
    assert_ok(ms_review_set(w->svc, &w->admin, on, &test_err));
}

static struct ms_asset_id asset_at(struct world *w, const char *path) {
    struct ms_asset_info info;
    assert_ok(ms_asset_find(w->svc, &w->ctx, path, &info, &test_err));
    return (struct ms_asset_id){info.asset.id};
}

/* A finished asset whose tenant is reviewed from now on. */
static struct ms_asset_id finished(struct world *w, const char *path) {
    write_file(w, path, old_bytes, OLD);
    review(w, true);
    struct ms_asset_id id = asset_at(w, path);
    assert_int_equal(info_of(w, id).state, MS_STATE_ACTIVED);
    return id;
}

static void overwrite(struct world *w, const char *path, const uint8_t *p, size_t n) {
    struct ms_handle *h = open_file(w, path, 't');
    put_bytes(h, 0, p, n);
    seal_file(h);
}

static void decide(struct world *w, struct ms_asset_id id, enum ms_verdict verdict) {
    const struct ms_review_decide d = {.asset = id, .verdict = verdict, .reason = "not ours"};
    assert_ok(ms_review_decide(w->svc, &w->admin, &d, &test_err));
}

/* What everyone but the owner has: a copy of it, which goes again. */
static void check_live(struct world *w, struct ms_asset_id id, const uint8_t *p, size_t n) {
    struct ms_asset_info copy;
    assert_ok(ms_asset_copy(w->svc, &w->ctx, id, "/videos/copy.mp4", &copy, &test_err));
    assert_int_equal(copy.size, n);
    check_file(w, "/videos/copy.mp4", p, n);
    apply_event(w, (struct ms_asset_id){copy.asset.id}, MS_EVENT_FORCE_DELETE, (struct ms_instant){0}, 0);
}

static void check_xattr(struct world *w, const char *path, const char *name, const char *value) {
    MS_AUTO(ms_buf_fini) struct ms_buf buf = {0};
    enum ms_code code = ms_tree_xattr_get(w->svc, &w->ctx, ino_of(w, path), name, &buf, &test_err);
    if (!value) {
        assert_code(code, MS_NO_ATTR);
        return;
    }
    assert_ok(code);
    assert_int_equal(buf.len, strlen(value));
    assert_memory_equal(buf.data, value, buf.len);
}

/* ---- overwritten in a mount --------------------------------------------------------------- */

static void an_overwrite_is_held_and_shown_to_its_owner_only(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = finished(w, "/videos/a.mp4");
    overwrite(w, "/videos/a.mp4", new_bytes, NEW);
    struct ms_asset_info info = info_of(w, id);
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    assert_int_equal(info.size, NEW);
    assert_int_equal(info.main.size, OLD);
    assert_true(info.waits);
    assert_int_equal(info.asset.bytes, OLD + NEW);
    assert_int_equal(quota_of(w).metered, OLD + NEW);
    check_file(w, "/videos/a.mp4", new_bytes, NEW);
    check_xattr(w, "/videos/a.mp4", "user.msasset.pending", "MAIN of 3000 bytes, live are 1000");
    check_live(w, id, old_bytes, OLD);
    check_clean(w->svc);
    struct ms_review_case c;
    assert_ok(ms_review_get(w->svc, &w->ctx, id, &c, &test_err));
    assert_true(c.edit);
    assert_int_equal(c.main.size, NEW);
}

static void passed_it_is_everybodys(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = finished(w, "/videos/a.mp4");
    overwrite(w, "/videos/a.mp4", new_bytes, NEW);
    decide(w, id, MS_VERDICT_PASS);
    struct ms_asset_info info = info_of(w, id);
    assert_int_equal(info.size, NEW);
    assert_int_equal(info.main.size, NEW);
    assert_false(info.waits);
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    assert_int_equal(quota_of(w).metered, NEW);
    check_file(w, "/videos/a.mp4", new_bytes, NEW);
    check_xattr(w, "/videos/a.mp4", "user.msasset.pending", NULL);
    check_live(w, id, new_bytes, NEW);
    check_clean(w->svc);
}

static void rejected_it_is_dropped_and_the_old_one_is_there_again(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = finished(w, "/videos/a.mp4");
    overwrite(w, "/videos/a.mp4", new_bytes, NEW);
    struct ms_handle *reader = open_file(w, "/videos/a.mp4", 'r');
    decide(w, id, MS_VERDICT_REJECT);
    struct ms_asset_info info = info_of(w, id);
    assert_int_equal(info.size, OLD);
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    assert_string_equal(info.asset.reason, "an edit was rejected: not ours");
    assert_int_equal(quota_of(w).metered, OLD);
    check_bytes(reader, 0, new_bytes, NEW, true); /* a handle keeps what it was opened on */
    assert_ok(release_file(reader, &test_err));
    check_file(w, "/videos/a.mp4", old_bytes, OLD);
    check_live(w, id, old_bytes, OLD);
    check_clean(w->svc);
    world_reopen(w);
    check_file(w, "/videos/a.mp4", old_bytes, OLD);
}

static void a_further_one_replaces_the_held_one(void **state) {
    struct world *w = *state;
    struct ms_review_case c;
    struct ms_asset_id id = finished(w, "/videos/a.mp4");
    overwrite(w, "/videos/a.mp4", new_bytes, NEW);
    assert_ok(ms_review_get(w->svc, &w->ctx, id, &c, &test_err));
    review(w, false); /* what waits goes on waiting, and so does what replaces it */
    overwrite(w, "/videos/a.mp4", newer_bytes, sizeof newer_bytes);
    assert_int_equal(quota_of(w).metered, OLD + sizeof newer_bytes);
    check_file(w, "/videos/a.mp4", newer_bytes, sizeof newer_bytes);
    check_live(w, id, old_bytes, OLD);
    check_clean(w->svc);
    const struct ms_review_decide seen = {.asset = id, .since = c.row.since, .machine = true};
    assert_code(ms_review_decide(w->svc, &w->admin, &seen, &test_err), MS_CONFLICT);
    decide(w, id, MS_VERDICT_PASS);
    assert_int_equal(quota_of(w).metered, sizeof newer_bytes);
    check_live(w, id, newer_bytes, sizeof newer_bytes);
    overwrite(w, "/videos/a.mp4", new_bytes, NEW); /* nothing is held, and nobody reviews */
    assert_false(info_of(w, id).waits);
    check_live(w, id, new_bytes, NEW);
    check_clean(w->svc);
}

static void texts_and_bytes_are_one_case(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = finished(w, "/videos/a.mp4");
    const struct ms_asset_edit e = {.id = id, .name = "new", .description = "text"};
    bool held;
    assert_ok(ms_asset_edit(w->svc, &w->ctx, &e, &held, &test_err));
    assert_true(held);
    overwrite(w, "/videos/a.mp4", new_bytes, NEW);
    check_xattr(w, "/videos/a.mp4", "user.msasset.pending",
                "MAIN of 3000 bytes, live are 1000; title \"new\"; description");
    decide(w, id, MS_VERDICT_PASS);
    assert_string_equal(info_of(w, id).asset.name, "new");
    check_live(w, id, new_bytes, NEW);
    check_clean(w->svc);
}

/* ---- states ------------------------------------------------------------------------------- */

static void an_empty_file_is_not_reviewed_and_its_first_bytes_are_as_at_creation(void **state) {
    struct world *w = *state;
    review(w, true);
    seal_file(make_file(w, "/videos/e.mp4"));
    struct ms_asset_id id = asset_at(w, "/videos/e.mp4");
    assert_int_equal(info_of(w, id).state, MS_STATE_ACTIVED);
    struct ms_handle *h = open_file(w, "/videos/e.mp4", 'w');
    put_bytes(h, 0, new_bytes, NEW);
    seal_file(h);
    struct ms_asset_info info = info_of(w, id);
    assert_int_equal(info.state, MS_STATE_CREATING);
    assert_int_equal(info.main.state, MS_FILE_UPLOADED);
    assert_int_equal(info.asset.type, MS_TYPE_VIDEO);
    check_xattr(w, "/videos/e.mp4", "user.msasset.pending", "a new asset");
    check_clean(w->svc);
    decide(w, id, MS_VERDICT_REJECT);
    assert_int_equal(info_of(w, id).state, MS_STATE_FAILED);
    check_clean(w->svc);
}

static void a_new_file_of_a_mount_is_read_by_its_owner_until_the_verdict(void **state) {
    struct world *w = *state;
    struct ms_handle *h;
    review(w, true);
    write_file(w, "/videos/n.mp4", new_bytes, NEW);
    struct ms_asset_id id = asset_at(w, "/videos/n.mp4");
    assert_int_equal(info_of(w, id).state, MS_STATE_CREATING);
    check_file(w, "/videos/n.mp4", new_bytes, NEW);
    const struct ms_open how = {.ino = ino_of(w, "/videos/n.mp4"), .write = true};
    assert_code(ms_file_open(w->svc, &w->ctx, &how, &h, &test_err), MS_WRONG_STATE);
    decide(w, id, MS_VERDICT_PASS);
    assert_int_equal(info_of(w, id).state, MS_STATE_ACTIVED);
    assert_int_equal(info_of(w, id).main.state, MS_FILE_CREATED);
    check_clean(w->svc);
}

static void in_the_bin_frozen_or_deleted_the_held_one_follows(void **state) {
    struct world *w = *state;
    const struct ms_instant none = {0};
    struct ms_asset_id id = finished(w, "/videos/a.mp4");
    overwrite(w, "/videos/a.mp4", new_bytes, NEW);
    apply_event(w, id, MS_EVENT_DELETE, none, 0);
    assert_int_equal(quota_of(w).usage.binned_bytes, OLD + NEW);
    decide(w, id, MS_VERDICT_REJECT);
    assert_int_equal(quota_of(w).usage.binned_bytes, OLD);
    check_clean(w->svc);
    apply_event(w, id, MS_EVENT_RESTORE, none, 0);
    check_file(w, "/videos/a.mp4", old_bytes, OLD);
    overwrite(w, "/videos/a.mp4", new_bytes, NEW);
    apply_event(w, id, MS_EVENT_FREEZE, none, 0);
    decide(w, id, MS_VERDICT_PASS);
    apply_event(w, id, MS_EVENT_UNFREEZE, none, 0);
    check_live(w, id, new_bytes, NEW);
    overwrite(w, "/videos/a.mp4", newer_bytes, sizeof newer_bytes);
    check_clean(w->svc);
    apply_event(w, id, MS_EVENT_FORCE_DELETE, none, 0);
    assert_int_equal(quota_of(w).metered, 0);
    assert_int_equal(count_rows(w->svc, ms_key_reviews_of(w->ctx.tenant)), 0);
    assert_int_equal(count_rows(w->svc, ms_key_versions_of(w->ctx.tenant)), 0);
    check_findings(w->svc);
}

static void what_breaks_a_rule_is_refused_and_the_held_one_stays(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = finished(w, "/videos/a.mp4");
    overwrite(w, "/videos/a.mp4", new_bytes, NEW);
    struct ms_handle *h = open_file(w, "/videos/a.mp4", 't');
    uint8_t png[200];
    fill_like(png, sizeof png, "png");
    put_bytes(h, 0, png, sizeof png);
    assert_code(flush_file(h, &test_err), MS_WRONG_KIND);
    (void)release_file(h, &test_err);
    check_file(w, "/videos/a.mp4", new_bytes, NEW);
    check_live(w, id, old_bytes, OLD);
    check_clean(w->svc);
}

static void a_rename_must_fit_both(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = finished(w, "/videos/a.mp4");
    overwrite(w, "/videos/a.mp4", new_bytes, NEW);
    struct ms_node dir, node;
    struct ms_gone gone;
    assert_ok(ms_tree_walk(w->svc, &w->ctx, "/videos", &dir, &test_err));
    struct ms_rename to = {.parent = dir.inode.ino,
                           .new_parent = dir.inode.ino,
                           .name = "a.mp4",
                           .new_name = "a.png"};
    assert_code(ms_tree_rename(w->svc, &w->ctx, &to, &node, &gone, &test_err), MS_WRONG_KIND);
    to.new_name = "b.m4v";
    assert_ok(ms_tree_rename(w->svc, &w->ctx, &to, &node, &gone, &test_err));
    check_file(w, "/videos/b.m4v", new_bytes, NEW);
    decide(w, id, MS_VERDICT_REJECT);
    check_file(w, "/videos/b.m4v", old_bytes, OLD);
    check_clean(w->svc);
}

/* ---- the quota ---------------------------------------------------------------------------- */

static void it_reserves_its_whole_size(void **state) {
    struct world *w = *state; /* 10 000 bytes */
    struct ms_asset_id id = finished(w, "/videos/a.mp4");
    struct ms_handle *h = open_file(w, "/videos/a.mp4", 't');
    uint8_t *big = calloc(1, 12000);
    size_t n;
    assert_non_null(big);
    memcpy(big, new_bytes, NEW);
    assert_ok(ms_file_write(h, 0, big, 12000, &n, &test_err));
    assert_int_equal(n, 10000 - OLD); /* beside the live bytes */
    seal_file(h);
    assert_int_equal(quota_of(w).metered, 10000);
    check_settled(w);
    overwrite(w, "/videos/a.mp4", new_bytes, NEW); /* in the held one's place there is room */
    assert_int_equal(quota_of(w).metered, OLD + NEW);
    decide(w, id, MS_VERDICT_PASS);
    assert_int_equal(quota_of(w).metered, NEW);
    check_settled(w);
    check_clean(w->svc);
    free(big);
}

static void in_place_too_little_room_is_a_refusal_and_the_old_one_stays(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = finished(w, "/videos/a.mp4");
    assert_ok(ms_tenant_set_quota(w->svc, &w->admin, OLD + OLD / 2, &test_err));
    struct ms_handle *h = open_file(w, "/videos/a.mp4", 'w');
    put_bytes(h, 900, "x", 1);
    assert_code(flush_file(h, &test_err), MS_QUOTA);
    (void)release_file(h, &test_err);
    world_reopen(w);
    assert_false(info_of(w, id).waits);
    check_file(w, "/videos/a.mp4", old_bytes, OLD);
    assert_int_equal(quota_of(w).metered, OLD);
}

/* ---- TEMPORARY ---------------------------------------------------------------------------- */

static struct ms_file_id upload(struct world *w, struct ms_asset_id id, size_t n, uint8_t fill) {
    struct parcel p;
    parcel_init(&p, "t.mp4", MS_CATEGORY_TEMPORARY, n, fill);
    struct ms_confirmed done = bring_parcel(w, id, &p);
    assert_int_equal(done.verdict, MS_OK);
    struct ms_file_id file = p.file;
    parcel_fini(&p);
    return file;
}

static void a_temporary_is_held_and_passes(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = finished(w, "/videos/a.mp4");
    struct ms_file_id file = upload(w, id, 2000, 7);
    assert_int_equal(file_of(w, id, file).state, MS_FILE_UPLOADED);
    assert_int_equal(file_of(w, id, file).category, MS_CATEGORY_TEMPORARY);
    struct ms_asset_info info = info_of(w, id);
    assert_int_equal(info.size, 2000);
    assert_int_equal(info.asset.bytes, OLD + 2000);
    check_live(w, id, old_bytes, OLD);
    assert_code(ms_file_remove(w->svc, &w->ctx, file, &test_err), MS_WRONG_STATE);
    check_clean(w->svc);
    decide(w, id, MS_VERDICT_PASS);
    info = info_of(w, id);
    assert_memory_equal(info.main.id.b, file.id.b, MS_ID_BYTES);
    assert_int_equal(info.main.category, MS_CATEGORY_MAIN);
    assert_int_equal(info.main.state, MS_FILE_CREATED);
    assert_int_equal(info.asset.bytes, 2000);
    assert_int_equal(quota_of(w).metered, 2000);
    check_clean(w->svc);
}

static void a_temporary_is_rejected_with_its_reason(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = finished(w, "/videos/a.mp4");
    struct ms_file_id file = upload(w, id, 2000, 7);
    decide(w, id, MS_VERDICT_REJECT);
    assert_int_equal(file_of(w, id, file).state, MS_FILE_FAILED);
    assert_string_equal(file_of(w, id, file).reason, "not ours");
    assert_int_equal(quota_of(w).metered, OLD);
    check_file(w, "/videos/a.mp4", old_bytes, OLD);
    check_clean(w->svc);
    assert_int_equal(file_of(w, id, upload(w, id, 500, 1)).state, MS_FILE_UPLOADED);
    check_clean(w->svc);
}

static void uploads_and_overwrites_replace_each_other(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = finished(w, "/videos/a.mp4");
    (void)upload(w, id, 2000, 7);
    (void)upload(w, id, 1500, 8); /* the first one goes */
    assert_int_equal(quota_of(w).metered, OLD + 1500);
    check_clean(w->svc);
    overwrite(w, "/videos/a.mp4", new_bytes, NEW);
    assert_int_equal(quota_of(w).metered, OLD + NEW);
    check_clean(w->svc);
    (void)upload(w, id, 1200, 9);
    assert_int_equal(quota_of(w).metered, OLD + 1200);
    check_clean(w->svc);
    decide(w, id, MS_VERDICT_PASS);
    assert_int_equal(quota_of(w).metered, 1200);
    assert_int_equal(count_rows(w->svc, ms_key_versions_of(w->ctx.tenant)), 1);
    check_clean(w->svc);
}

static void a_temporary_needs_room_beside_the_live_one(void **state) {
    struct world *w = *state;
    struct parcel p;
    struct ms_asset_id id = finished(w, "/videos/a.mp4");
    parcel_init(&p, "t.mp4", MS_CATEGORY_TEMPORARY, 10000 - OLD + 1, 7);
    assert_code(declare_parcel(w, id, &p, &test_err), MS_QUOTA);
    review(w, false);
    assert_ok(declare_parcel(w, id, &p, &test_err)); /* in its place it fits */
    parcel_fini(&p);
    check_clean(w->svc);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
#define SMALL(f) cmocka_unit_test_setup_teardown(f, setup_small, world_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_overwrite_is_held_and_shown_to_its_owner_only),
        TEST(passed_it_is_everybodys),
        TEST(rejected_it_is_dropped_and_the_old_one_is_there_again),
        TEST(a_further_one_replaces_the_held_one),
        TEST(texts_and_bytes_are_one_case),
        TEST(an_empty_file_is_not_reviewed_and_its_first_bytes_are_as_at_creation),
        TEST(a_new_file_of_a_mount_is_read_by_its_owner_until_the_verdict),
        TEST(in_the_bin_frozen_or_deleted_the_held_one_follows),
        TEST(what_breaks_a_rule_is_refused_and_the_held_one_stays),
        TEST(a_rename_must_fit_both),
        SMALL(it_reserves_its_whole_size),
        SMALL(in_place_too_little_room_is_a_refusal_and_the_old_one_stays),
        TEST(a_temporary_is_held_and_passes),
        TEST(a_temporary_is_rejected_with_its_reason),
        TEST(uploads_and_overwrites_replace_each_other),
        SMALL(a_temporary_needs_room_beside_the_live_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
