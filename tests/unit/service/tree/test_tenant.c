/* Tenants: names, ids, settings, the freeze of a whole tenant. */
#include "fixture.h"

#include "service/review.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void a_name_is_taken_once(void **state) {
    struct fx *f = *state;
    struct ms_tenant_options options = {.name = "t1", .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record tenant;
    static const char *const bad[] = {"", "T1", "-a", ".a", "a b", "a/b", "\xc3\xa9"};
    assert_code(ms_tenant_add(&f->svc, "root@cli", &options, &tenant, &test_err), MS_EXISTS);
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        options.name = bad[i];
        assert_code(ms_tenant_add(&f->svc, "root@cli", &options, &tenant, &test_err), MS_BAD_NAME);
    }
    options.name = "t2";
    options.umask = 01000;
    assert_code(ms_tenant_add(&f->svc, "root@cli", &options, &tenant, &test_err), MS_INVALID);
    options.umask = 0;
    options.retention_ms = MS_RETENTION_MS_MAX + 1;
    assert_code(ms_tenant_add(&f->svc, "root@cli", &options, &tenant, &test_err), MS_RANGE);
}

static void settings_come_from_options_or_the_store(void **state) {
    struct fx *f = *state;
    struct ms_tenant_options options = {
        .name = "t2", .free_bytes = 7, .retention_ms = 9, .uid = 5, .gid = 6, .umask = 077};
    struct ms_tenant_record tenant;
    struct ms_node root;
    struct ms_ctx ctx = f->ctx;
    assert_int_equal(f->tenant.free_bytes, MS_FREE_QUOTA_BYTES);
    assert_int_equal(f->tenant.retention_ms, MS_BIN_RETENTION_MS);
    assert_ok(ms_tenant_add(&f->svc, "root@cli", &options, &tenant, &test_err));
    assert_int_equal(tenant.free_bytes, 7);
    assert_int_equal(tenant.retention_ms, 9);
    assert_int_equal(tenant.type_dirs, 11);
    ctx.tenant.id = tenant.id;
    assert_ok(ms_tree_walk(&f->svc, &ctx, "/", &root, &test_err));
    assert_int_equal(root.inode.mode, S_IFDIR | 0700);
    assert_int_equal(root.inode.uid, 5);
    assert_int_equal(root.inode.gid, 6);
}

static void a_tenant_is_found_by_name_or_id(void **state) {
    struct fx *f = *state;
    struct ms_tenant_record tenant;
    assert_ok(ms_tenant_find(&f->svc, "t1", &tenant, &test_err));
    assert_memory_equal(&tenant.id, &f->tenant.id, MS_ID_BYTES);
    assert_ok(ms_tenant_find(&f->svc, ms_id_text(f->tenant.id).s, &tenant, &test_err));
    assert_string_equal(tenant.name, "t1");
    assert_code(ms_tenant_find(&f->svc, "t9", &tenant, &test_err), MS_NO_TENANT);
    assert_non_null(strstr(test_err.message, "t9"));
    assert_code(ms_tenant_find(&f->svc, "00000000000000000000000000000001", &tenant, &test_err),
                MS_NO_TENANT);
    assert_code(ms_tenant_find(&f->svc, "No Such", &tenant, &test_err), MS_NO_TENANT);
    assert_code(ms_tenant_get(&f->svc, (struct ms_tenant_id){{{1}}}, &tenant, &test_err),
                MS_NO_TENANT);
}

static void all_tenants_are_listed_by_id(void **state) {
    struct fx *f = *state;
    struct ms_tenant_record tenant, *list;
    size_t n;
    char name[] = "x00";
    for (int i = 0; i < 40; i++) {
        struct ms_tenant_options options = {
            .name = name, .free_bytes = UINT64_MAX, .retention_ms = -1};
        name[1] = (char)('0' + i / 10);
        name[2] = (char)('0' + i % 10);
        assert_ok(ms_tenant_add(&f->svc, "root@cli", &options, &tenant, &test_err));
    }
    assert_ok(ms_tenant_list(&f->svc, &list, &n, &test_err));
    assert_int_equal(n, 41);
    for (size_t i = 1; i < n; i++)
        assert_true(memcmp(list[i - 1].id.b, list[i].id.b, MS_ID_BYTES) < 0);
    free(list);
}

static void tenants_do_not_see_each_other(void **state) {
    struct fx *f = *state;
    struct ms_tenant_options options = {.name = "t2", .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record tenant;
    struct ms_ctx ctx = f->ctx;
    struct ms_node node;
    uint64_t ino = fx_file(f, f->root, "a", 5, "text/plain");
    assert_ok(ms_tenant_add(&f->svc, "root@cli", &options, &tenant, &test_err));
    ctx.tenant.id = tenant.id;
    assert_code(ms_tree_node(&f->svc, &ctx, ino, &node, &test_err), MS_NOT_FOUND);
    assert_code(ms_tree_lookup(&f->svc, &ctx, f->root, "a", &node, &test_err), MS_NOT_FOUND);
    struct ms_gone gone;
    assert_code(ms_tree_unlink(&f->svc, &ctx, f->root, "a", false, &gone, &test_err), MS_NOT_FOUND);
    ctx.tenant = (struct ms_tenant_id){{{9}}};
    assert_code(ms_tree_walk(&f->svc, &ctx, "/", &node, &test_err), MS_NO_TENANT);
    struct ms_make make = {.parent = 1, .name = "x", .mode = S_IFDIR | 0700};
    struct ms_made made;
    assert_code(ms_tree_make(&f->svc, &ctx, &make, &made, &test_err), MS_NO_TENANT);
}

static void a_tenant_freeze_is_a_mask(void **state) {
    struct fx *f = *state;
    struct ms_ctx admin = f->ctx;
    struct ms_tenant_record tenant;
    admin.admin = true;
    assert_code(ms_tenant_hold(&f->svc, &f->ctx, MS_HOLD_ADMIN, true, "x", &test_err), MS_DENIED);
    assert_code(ms_tenant_hold(&f->svc, &admin, MS_HOLD_PACKAGE, true, "x", &test_err), MS_INVALID);
    fx_advance(f, 1000);
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, true, "complaint", &test_err));
    assert_ok(
        ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, true, "again", &test_err)); /* nothing */
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ARREARS, true, "unpaid", &test_err));
    assert_ok(ms_tenant_get(&f->svc, f->ctx.tenant, &tenant, &test_err));
    assert_int_equal(tenant.mask_holds, MS_HOLD_ADMIN | MS_HOLD_ARREARS);
    assert_int_equal(tenant.mask_since.ms, ms_clock_now(&f->clock.clock).ms);
    fx_advance(f, 1000);
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, false, "", &test_err));
    assert_ok(ms_tenant_get(&f->svc, f->ctx.tenant, &tenant, &test_err));
    assert_int_equal(tenant.mask_holds, MS_HOLD_ARREARS);
    assert_true(ms_instant_is_none(tenant.mask_lifted));
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ARREARS, false, "", &test_err));
    assert_ok(ms_tenant_get(&f->svc, f->ctx.tenant, &tenant, &test_err));
    assert_int_equal(tenant.mask_holds, 0);
    assert_int_equal(tenant.mask_lifted.ms, ms_clock_now(&f->clock.clock).ms);
    assert_string_equal(tenant.mask_reason, "");
}

static void every_freeze_is_one_audit_row(void **state) {
    struct fx *f = *state;
    struct ms_ctx admin = f->ctx;
    struct ms_tree t;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_audit_record row;
    unsigned freezes = 0, others = 0;
    admin.admin = true;
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, true, "complaint", &test_err));
    assert_ok(ms_tenant_hold(&f->svc, &admin, MS_HOLD_ADMIN, false, "settled", &test_err));
    assert_ok(ms_tree_read(&t, &f->svc, &f->ctx, &test_err));
    struct ms_key prefix = ms_key_audits_of(t.id);
    ms_scan_prefix(&scan, t.txn, ms_key_view(&prefix));
    while (ms_row_next_audit(&scan, &key, &row, NULL) == MS_OK) {
        bool ours = row.event == MS_EVENT_FREEZE || row.event == MS_EVENT_UNFREEZE;
        freezes += ours;
        others += !ours;
        assert_string_equal(row.why, row.event == MS_EVENT_FREEZE ? "complaint" : "settled");
    }
    ms_scan_end(&scan);
    ms_tree_read_end(&t);
    assert_int_equal(freezes, 2);
    assert_int_equal(others, 0);
}

/* The why's of the rows about settings, one a line. */
static void settings_told(struct fx *f, char *ret_text, size_t size) {
    struct ms_tree t;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_audit_record row;
    size_t n = 0;
    ret_text[0] = '\0';
    assert_ok(ms_tree_read(&t, &f->svc, &f->ctx, &test_err));
    struct ms_key prefix = ms_key_audits_of(t.id);
    ms_scan_prefix(&scan, t.txn, ms_key_view(&prefix));
    while (ms_row_next_audit(&scan, &key, &row, NULL) == MS_OK)
        if (row.event == MS_AUDIT_SETTINGS && n < size)
            n += (size_t)snprintf(ret_text + n, size - n, "%s: %s\n", row.who, row.why);
    ms_scan_end(&scan);
    ms_tree_read_end(&t);
}

static void every_setting_that_changes_is_one_audit_row(void **state) {
    struct fx *f = *state;
    struct ms_ctx admin = f->ctx;
    struct ms_quota_info info;
    char told[1024], want[1024];
    admin.admin = true;
    (void)snprintf(admin.who, sizeof admin.who, "root");
    assert_ok(ms_tenant_quota(&f->svc, &f->ctx, &info, &test_err));
    for (unsigned twice = 0; twice < 2; twice++) {
        assert_ok(ms_tenant_set_quota(&f->svc, &admin, 100 * MS_MB, &test_err));
        assert_ok(ms_tenant_set_pay_per_use(&f->svc, &admin, true, &test_err));
        assert_ok(ms_tenant_set_start(&f->svc, &admin, true, &test_err));
        assert_ok(ms_review_set(&f->svc, &admin, true, &test_err));
    }
    assert_ok(ms_review_set(&f->svc, &admin, false, &test_err));
    settings_told(f, told, sizeof told);
    (void)snprintf(want, sizeof want,
                   "root: free quota in bytes: %llu -> 104857600\nroot: pay-per-use: 0 -> 1\n"
                   "root: finished assets begin UNACTIVED: 0 -> 1\nroot: review: 0 -> 1\nroot: review: 1 -> 0\n",
                   (unsigned long long)info.tenant.free_bytes);
    assert_string_equal(told, want);
}

static void the_quota_adds_up(void **state) {
    struct fx *f = *state;
    struct ms_ctx admin = f->ctx;
    struct ms_quota_info info;
    admin.admin = true;
    fx_file(f, f->root, "a", 1000, "text/plain");
    fx_make(f, f->root, "b", S_IFREG | 0644);
    assert_code(ms_tenant_set_quota(&f->svc, &f->ctx, 5, &test_err), MS_DENIED);
    assert_code(ms_tenant_set_quota(&f->svc, &admin, UINT64_C(1) << 63, &test_err), MS_RANGE);
    assert_ok(ms_tenant_set_quota(&f->svc, &admin, 100 * MS_MB, &test_err));
    assert_ok(ms_tenant_quota(&f->svc, &f->ctx, &info, &test_err));
    assert_int_equal(info.allowance, 100 * MS_MB);
    assert_int_equal(info.metered, 1000);
    assert_int_equal(info.reserved, 64 * MS_MB);
    assert_int_equal(info.left, 36 * MS_MB - 1000);
}

FX_TESTS(FX(a_name_is_taken_once), FX(settings_come_from_options_or_the_store),
         FX(a_tenant_is_found_by_name_or_id), FX(all_tenants_are_listed_by_id),
         FX(tenants_do_not_see_each_other), FX(a_tenant_freeze_is_a_mask),
         FX(every_freeze_is_one_audit_row), FX(every_setting_that_changes_is_one_audit_row), FX(the_quota_adds_up))
