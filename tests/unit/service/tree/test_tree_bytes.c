/* What rename, unlink and restore do to files with real bytes: the right ones are read afterwards,
 * the others go. */
#include "support/test.h"

#include "service/asset.h"
#include "service/tenant.h"
#include "service/tree_check.h"
#include "service/upkeep.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct rig {
    char *top, *dir;
    struct ms_clock_fake clock;
    struct ms_svc *svc;
    struct ms_ctx ctx;
    uint64_t root;
};

static int rig_setup(void **state) {
    struct rig *r = calloc(1, sizeof *r);
    struct ms_tenant_options t = {.name = "t1", .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record tenant;
    assert_non_null(r);
    r->top = ms_test_tmpdir_new();
    r->dir = ms_test_path(r->top, "store");
    ms_clock_fake_init(&r->clock, ms_instant_of(INT64_C(1767225600000)));
    struct ms_svc_options o = {.dir = r->dir,
                               .clock = &r->clock.clock,
                               .label = "test",
                               .engine_threads = 2,
                               .cache_bytes = 4 * MS_MB,
                               .object_url = NULL};
    assert_ok(ms_svc_init(&o, &test_err));
    assert_ok(ms_svc_open(&o, &r->svc, &test_err));
    assert_ok(ms_tenant_add(r->svc, "root@cli", &t, &tenant, &test_err));
    r->ctx = (struct ms_ctx){.tenant = {tenant.id}, .who = "alice"};
    r->root = tenant.root_ino;
    *state = r;
    return 0;
}

static void finding(void *priv, const char *invariant, const char *text) {
    unsigned *n = priv;
    print_error("%s: %s\n", invariant, text);
    ++*n;
}

static int rig_teardown(void **state) {
    struct rig *r = *state;
    unsigned findings = 0;
    struct ms_fsck_options o = {.store = true, .deep = true, .finding = finding, .priv = &findings};
    struct ms_fsck_result result;
    assert_ok(ms_fsck(r->svc, &o, &result, &test_err));
    assert_int_equal(findings, 0);
    ms_svc_close(r->svc);
    ms_test_tmpdir_remove(r->top);
    free(r->dir);
    free(r);
    return 0;
}

static struct ms_asset_info put(struct rig *r, const char *path, const char *text) {
    char *local = ms_test_path(r->top, "in");
    struct ms_asset_info info;
    ms_test_write_file(local, text, strlen(text));
    struct ms_put put = {.fd = open(local, O_RDONLY | O_CLOEXEC), .path = path, .mode = 0644};
    assert_true(put.fd >= 0);
    assert_ok(ms_asset_put(r->svc, &r->ctx, &put, &info, &test_err));
    close(put.fd);
    free(local);
    return info;
}

static void assert_bytes(struct rig *r, struct ms_id id, const char *want) {
    char *local = ms_test_path(r->top, "out");
    struct ms_get get = {.id = {id},
                         .fd = open(local, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    size_t n;
    assert_true(get.fd >= 0);
    assert_ok(ms_asset_fetch(r->svc, &r->ctx, &get, &test_err));
    close(get.fd);
    char *got = ms_test_read_file(local, &n);
    assert_string_equal(got, want);
    free(got);
    free(local);
}

static struct ms_asset_info at(struct rig *r, const char *path) {
    struct ms_asset_info info;
    assert_ok(ms_asset_find(r->svc, &r->ctx, path, &info, &test_err));
    return info;
}

static struct ms_gone move(struct rig *r, const char *name, const char *new_name) {
    struct ms_rename rename = {
        .parent = r->root, .name = name, .new_parent = r->root, .new_name = new_name};
    struct ms_node node;
    struct ms_gone gone;
    assert_ok(ms_tree_rename(r->svc, &r->ctx, &rename, &node, &gone, &test_err));
    return gone;
}

static uint64_t metered(struct rig *r) {
    struct ms_quota_info info;
    assert_ok(ms_tenant_quota(r->svc, &r->ctx, &info, &test_err));
    assert_int_equal(info.reserved, 0);
    return info.metered;
}

static void a_replaced_asset_reads_as_the_new_file(void **state) {
    struct rig *r = *state;
    struct ms_id id = put(r, "/a.txt", "the old text").asset.id;
    put(r, "/a.tmp", "the new and longer text");
    assert_true(move(r, "a.tmp", "a.txt").taken_over);
    struct ms_asset_info info = at(r, "/a.txt");
    assert_memory_equal(&info.asset.id, &id, MS_ID_BYTES);
    assert_bytes(r, id, "the new and longer text");
    assert_int_equal(metered(r), strlen("the new and longer text"));
    /* the old bytes are a tombstone now, and go after the grace */
    struct ms_gc_result gc;
    ms_clock_fake_advance(&r->clock, 2 * MS_GC_GRACE_MS);
    assert_ok(ms_gc(r->svc, MS_GC_GRACE_MS, false, &gc, &test_err));
    assert_int_equal(gc.deleted, 1);
    assert_bytes(r, id, "the new and longer text");
}

static void an_edited_file_keeps_its_id(void **state) {
    struct rig *r = *state;
    struct ms_id id = put(r, "/x.txt", "one").asset.id;
    struct ms_gone gone;
    move(r, "x.txt", "x.txt~");
    put(r, "/x.txt", "two");
    assert_ok(ms_tree_unlink(r->svc, &r->ctx, r->root, "x.txt~", false, &gone, &test_err));
    assert_true(gone.taken_over);
    struct ms_asset_info info = at(r, "/x.txt");
    assert_memory_equal(&info.asset.id, &id, MS_ID_BYTES);
    assert_bytes(r, id, "two");
    assert_int_equal(metered(r), 3);
}

static void an_empty_file_replaces_and_is_replaced(void **state) {
    struct rig *r = *state;
    struct ms_id id = put(r, "/a", "bytes").asset.id;
    put(r, "/b", "");
    assert_true(move(r, "b", "a").taken_over);
    assert_int_equal(metered(r), 0);
    assert_bytes(r, id, "");
    put(r, "/b", "bytes again");
    assert_true(move(r, "b", "a").taken_over);
    assert_bytes(r, id, "bytes again");
}

static void a_binned_file_comes_back_with_its_bytes(void **state) {
    struct rig *r = *state;
    struct ms_id id = put(r, "/a.txt", "kept").asset.id;
    struct ms_gone gone;
    struct ms_asset_info info;
    ms_clock_fake_advance(&r->clock, MS_BIN_BYPASS_AGE_MS);
    assert_ok(ms_tree_unlink(r->svc, &r->ctx, r->root, "a.txt", false, &gone, &test_err));
    assert_true(gone.binned);
    struct ms_asset_event restore = {.id = {id}, .event = MS_EVENT_RESTORE};
    assert_ok(ms_asset_apply(r->svc, &r->ctx, &restore, &info, &test_err));
    assert_string_equal(info.path, "/a.txt");
    assert_bytes(r, id, "kept");
}

static void what_failed_by_content_can_be_renamed_to_fit(void **state) {
    struct rig *r = *state;
    char *local = ms_test_path(r->top, "in");
    struct ms_asset_info info;
    ms_test_write_file(local, "no film at all\n", 15);
    struct ms_put put = {.fd = open(local, O_RDONLY | O_CLOEXEC), .path = "/a.mp4", .mode = 0644};
    assert_code(ms_asset_put(r->svc, &r->ctx, &put, &info, &test_err), MS_WRONG_KIND);
    close(put.fd);
    free(local);
    info = at(r, "/a.mp4");
    assert_int_equal(info.state, MS_STATE_FAILED);
    struct ms_id id = info.asset.id;
    move(r, "a.mp4", "a.txt");
    info = at(r, "/a.txt");
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    assert_bytes(r, id, "no film at all\n");
}

#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG(a_replaced_asset_reads_as_the_new_file),
        RIG(an_edited_file_keeps_its_id),
        RIG(an_empty_file_replaces_and_is_replaced),
        RIG(a_binned_file_comes_back_with_its_bytes),
        RIG(what_failed_by_content_can_be_renamed_to_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
