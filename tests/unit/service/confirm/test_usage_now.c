/* What is used now is the same whether a sweep has been there or not: product.md 3.3 for counters. */
#include "parcel.h"

#include "service/arrears.h"
#include "service/package.h"
#include "service/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY MS_DAY_MS

static void same(const struct ms_quota_info *a, const struct ms_quota_info *b, bool inodes) {
    assert_int_equal(a->usage.standard, b->usage.standard);
    assert_int_equal(a->usage.produced_free, b->usage.produced_free);
    assert_int_equal(a->usage.produced, b->usage.produced);
    assert_int_equal(a->usage.excluded, b->usage.excluded);
    assert_int_equal(a->usage.reserved, b->usage.reserved);
    assert_int_equal(a->usage.assets, b->usage.assets);
    assert_int_equal(a->usage.binned_assets, b->usage.binned_assets);
    assert_int_equal(a->usage.binned_bytes, b->usage.binned_bytes);
    assert_int_equal(a->usage.extra_allowance, b->usage.extra_allowance);
    assert_int_equal(a->allowance, b->allowance);
    assert_int_equal(a->left, b->left);
    if (inodes)
        assert_int_equal(a->usage.inodes, b->usage.inodes);
}

/* At an instant, before and after a sweep; *ret: what is used then. */
static void swept_or_not(struct world *w, bool inodes, struct ms_quota_info *ret) {
    struct ms_quota_info before, after;
    struct ms_sweep_result r;
    before = quota_of(w);
    assert_ok(ms_sweep(w->svc, &r, &test_err));
    after = quota_of(w);
    same(&before, &after, inodes);
    *ret = after;
}

static struct ms_asset_id file(struct world *w, const char *path, size_t n) {
    static uint8_t bytes[4096];
    struct behind b;
    memset(bytes, 'x', n);
    write_file(w, path, (const char *)bytes, n);
    look_behind(w, path, &b);
    return (struct ms_asset_id){b.asset.id};
}

/* ---- tests ------------------------------------------------------------------------------- */

static void what_left_the_bin_by_time_is_not_used(void **state) {
    struct world *w = *state;
    struct ms_quota_info q;
    (void)file(w, "/files/stays.txt", 100);
    (void)file(w, "/files/goes.txt", 1000);
    ms_clock_fake_advance(&w->clock, 2 * MS_BIN_BYPASS_AGE_MS);
    unlink_path(w, "/files/goes.txt");
    ms_clock_fake_advance(&w->clock, MS_BIN_RETENTION_MS - 1);
    swept_or_not(w, true, &q);
    assert_int_equal(q.metered, 1100);
    assert_int_equal(q.usage.binned_bytes, 1000);
    ms_clock_fake_advance(&w->clock, 1);
    swept_or_not(w, true, &q);
    assert_int_equal(q.metered, 100);
    assert_int_equal(q.usage.binned_assets, 0);
    check_clean(w->svc);
}

static void what_time_puts_into_the_bin_is_binned(void **state) {
    struct world *w = *state;
    struct ms_quota_info q;
    struct ms_asset_id id = file(w, "/files/a.txt", 1000);
    struct ms_instant at = ms_instant_add_ms(ms_clock_now(&w->clock.clock), DAY);
    apply_event(w, id, MS_EVENT_SCHEDULE, at, MS_SCHEDULED_DELETE);
    ms_clock_fake_advance(&w->clock, DAY);
    swept_or_not(w, true, &q);
    assert_int_equal(q.usage.binned_bytes, 1000);
    assert_int_equal(q.metered, 1000);
}

/* The MAIN of an asset, and a further file: the asset ends by time-out, the file alone is cancelled. */
static void what_was_declared_and_not_confirmed_is_not_reserved(void **state) {
    struct world *w = *state;
    struct ms_quota_info q;
    struct parcel main, cover;
    parcel_init(&main, "f.mp4", MS_CATEGORY_MAIN, 5000, 1);
    struct ms_asset_id waits = create_asset(w, MS_TYPE_VIDEO, "waits");
    struct ms_asset_id whole = create_asset(w, MS_TYPE_VIDEO, "whole");
    (void)bring_parcel(w, whole, &main);
    assert_ok(declare_parcel(w, waits, &main, &test_err));
    parcel_init(&cover, "c.png", MS_CATEGORY_COVER, 700, 2);
    assert_ok(declare_parcel(w, whole, &cover, &test_err));
    ms_clock_fake_advance(&w->clock, DAY - 1);
    swept_or_not(w, true, &q);
    assert_int_equal(q.reserved, 5700);
    ms_clock_fake_advance(&w->clock, 1);
    swept_or_not(w, true, &q);
    assert_int_equal(q.reserved, 0);
    assert_int_equal(q.metered, 5000);
    parcel_fini(&main);
    parcel_fini(&cover);
    check_findings(w->svc);
}

static void a_package_takes_its_capacity_and_what_is_bound_along(void **state) {
    struct world *w = *state;
    struct ms_ctx admin = w->ctx;
    struct ms_quota_info q;
    struct ms_package_record capacity, unit;
    struct ms_package_order o = {.order = "1",
                                 .name = "p",
                                 .kind = MS_PACKAGE_ASSET_MANAGER,
                                 .amount = MS_GB,
                                 .months = 1,
                                 .terms = 1};
    admin.admin = true;
    assert_ok(ms_package_buy(w->svc, &admin, &o, &capacity, &test_err));
    o.order = "2";
    o.kind = MS_PACKAGE_VOICE_CLONE;
    o.amount = 2;
    assert_ok(ms_package_buy(w->svc, &admin, &o, &unit, &test_err));
    (void)file(w, "/files/stays.txt", 100);
    struct ms_asset_id ids[2];
    for (unsigned i = 0; i < 2; i++) { /* one of them has a deadline of its own that comes before */
        struct parcel p;
        parcel_init(&p, "v.bin", MS_CATEGORY_MAIN, 300, (uint8_t)i);
        w->ctx.admin = true;
        ids[i] = create_asset(w, MS_TYPE_VOICE_MODEL, "v");
        (void)bring_parcel(w, ids[i], &p);
        w->ctx.admin = false;
        parcel_fini(&p);
    }
    apply_event(w, ids[1], MS_EVENT_SCHEDULE, ms_instant_add_ms(unit.due_at, DAY),
                MS_SCHEDULED_BLOCK);
    const int64_t stages[] = {-1, 0, 2 * DAY, MS_PACKAGE_GRACE_MS,
                              MS_PACKAGE_GRACE_MS + MS_PACKAGE_RETENTION_MS};
    for (size_t i = 0; i < MS_ARRAY_LEN(stages); i++) {
        struct ms_quota_info unswept;
        ms_clock_fake_set(&w->clock, ms_instant_add_ms(unit.due_at, stages[i]));
        unswept = quota_of(w);
        assert_int_equal(unswept.usage.extra_allowance, stages[i] < 0 ? MS_GB : 0);
        assert_int_equal(unswept.metered,
                         i + 1 == MS_ARRAY_LEN(stages) ? 100 : 700);
    }
    swept_or_not(w, true, &q);
    assert_int_equal(q.usage.assets, 1);
    check_findings(w->svc);
}

static void the_end_of_arrears_leaves_nothing(void **state) {
    struct world *w = *state;
    struct ms_ctx admin = w->ctx;
    struct ms_tenant_record tenant;
    struct ms_quota_info q;
    struct parcel p;
    admin.admin = true;
    (void)file(w, "/files/a.txt", 100);
    parcel_init(&p, "f.mp4", MS_CATEGORY_MAIN, 5000, 1);
    assert_ok(ms_tenant_set_arrears(w->svc, &admin, true, "", &tenant, &test_err));
    ms_clock_fake_advance(&w->clock, MS_ARREARS_GRACE_MS - 1000);
    assert_ok(declare_parcel(w, create_asset(w, MS_TYPE_VIDEO, "f"), &p, &test_err));
    ms_clock_fake_advance(&w->clock, 1000 + MS_ARREARS_RETENTION_MS - 1);
    swept_or_not(w, false, &q);
    assert_int_equal(q.metered, 100);
    ms_clock_fake_advance(&w->clock, 1);
    swept_or_not(w, false, &q);
    assert_int_equal(q.metered + q.reserved, 0);
    parcel_fini(&p);
    check_findings(w->svc);
}

/* ---- units that a registration takes ------------------------------------------------------- */

static void a_model_is_registered_with_a_unit_or_not_at_all(void **state) {
    struct world *w = *state;
    struct ms_package_order o = {.order = "1",
                                 .name = "models",
                                 .kind = MS_PACKAGE_MODELING_2D,
                                 .amount = 1,
                                 .months = 1,
                                 .terms = 2};
    struct ms_package_record first, second, *list;
    struct ms_asset_new make = {
        .type = MS_TYPE_HUMAN_MODEL_2D, .origin = MS_ORIGIN_CUSTOMIZED, .name = "m"};
    struct ms_asset_id id;
    struct ms_confirmed done;
    struct parcel p, q;
    size_t n;
    w->ctx.admin = true;
    assert_code(ms_asset_create(w->svc, &w->ctx, &make, &id, &test_err), MS_QUOTA);
    assert_non_null(strstr(test_err.message, "0 such packages"));
    assert_ok(ms_package_buy(w->svc, &w->ctx, &o, &first, &test_err));
    o.order = "2";
    o.terms = 1; /* ends first */
    o.auto_renew = true;
    assert_ok(ms_package_buy(w->svc, &w->ctx, &o, &second, &test_err));
    parcel_init(&p, "m.bin", MS_CATEGORY_MAIN, 500, 1);
    assert_ok(ms_asset_create(w->svc, &w->ctx, &make, &id, &test_err));
    assert_memory_equal(info_of(w, id).asset.package.b, ((struct ms_id){{0}}).b, MS_ID_BYTES);
    (void)bring_parcel(w, id, &p);
    assert_memory_equal(info_of(w, id).asset.package.b, second.id.b, MS_ID_BYTES);
    assert_int_equal(info_of(w, id).asset.auto_renew, 1);
    assert_int_equal(info_of(w, id).state, MS_STATE_ACTIVED);
    check_findings(w->svc);

    /* one more, and then none: the third is refused when it is confirmed, and nothing of it moves */
    struct ms_asset_id two, three;
    assert_ok(ms_asset_create(w->svc, &w->ctx, &make, &two, &test_err));
    assert_ok(ms_asset_create(w->svc, &w->ctx, &make, &three, &test_err));
    parcel_init(&q, "n.bin", MS_CATEGORY_MAIN, 500, 2);
    assert_ok(declare_parcel(w, three, &q, &test_err));
    assert_ok(send_parcel(w, &q, &test_err));
    (void)bring_parcel(w, two, &p);
    assert_memory_equal(info_of(w, two).asset.package.b, first.id.b, MS_ID_BYTES);
    assert_code(confirm_parcel(w, q.file, MS_CONFIRM_CREATED, &done, &test_err), MS_QUOTA);
    assert_non_null(strstr(test_err.message, "2 such packages, 2 of them valid, 2 of whose 2 units"));
    assert_int_equal(info_of(w, three).state, MS_STATE_CREATING);
    o.order = "3";
    o.auto_renew = false;
    assert_ok(ms_package_buy(w->svc, &w->ctx, &o, &second, &test_err));
    assert_ok(confirm_parcel(w, q.file, MS_CONFIRM_CREATED, &done, &test_err));
    assert_int_equal(info_of(w, three).state, MS_STATE_ACTIVED);

    /* a unit never comes back, also not by deletion; an overwrite takes none */
    struct ms_asset_event gone = {.id = two, .event = MS_EVENT_FORCE_DELETE};
    assert_ok(ms_asset_apply(w->svc, &w->ctx, &gone, NULL, &test_err));
    assert_ok(ms_package_list(w->svc, &w->ctx, &list, &n, &test_err));
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(list[i].used, 1);
    free(list);
    make.origin = MS_ORIGIN_SYSTEM; /* presets are nobody's */
    assert_ok(ms_asset_create(w->svc, &w->ctx, &make, &id, &test_err));
    w->ctx.admin = false;
    parcel_fini(&p);
    parcel_fini(&q);
    check_findings(w->svc);
}

/* ---- what it is made of -------------------------------------------------------------------- */

static bool keep_walking(void *priv, uint64_t assets) { return assets < *(uint64_t *)priv; }

/* Whoever may move a file there makes it a model, and that takes a unit, too. */
static void what_is_moved_among_the_models_takes_a_unit(void **state) {
    struct world *w = *state;
    struct ms_package_order o = {
        .order = "1", .name = "voices", .kind = MS_PACKAGE_VOICE_CLONE, .amount = 1, .months = 1, .terms = 1};
    struct ms_package_record p;
    struct ms_node from, to, moved;
    struct ms_gone gone;
    struct ms_asset_id id = file(w, "/files/plain.bin", 10);
    w->ctx.admin = true;
    assert_ok(ms_tree_walk(w->svc, &w->ctx, "/files", &from, &test_err));
    assert_ok(ms_tree_walk(w->svc, &w->ctx, "/voices", &to, &test_err));
    const struct ms_rename r = {.parent = from.inode.ino,
                                .new_parent = to.inode.ino,
                                .name = "plain.bin",
                                .new_name = "plain.bin"};
    assert_code(ms_tree_rename(w->svc, &w->ctx, &r, &moved, &gone, &test_err), MS_QUOTA);
    assert_int_equal(info_of(w, id).asset.type, MS_TYPE_COMMON_FILE);
    assert_ok(ms_package_buy(w->svc, &w->ctx, &o, &p, &test_err));
    assert_ok(ms_tree_rename(w->svc, &w->ctx, &r, &moved, &gone, &test_err));
    assert_int_equal(info_of(w, id).asset.type, MS_TYPE_VOICE_MODEL);
    assert_memory_equal(info_of(w, id).asset.package.b, p.id.b, MS_ID_BYTES);
    w->ctx.admin = false;
    check_findings(w->svc);
}

static void a_report_adds_up_and_names_the_largest(void **state) {
    struct world *w = *state;
    struct ms_usage_report r;
    struct parcel main, cover;
    char path[32];
    uint64_t few = 1;
    for (unsigned i = 0; i < 300; i++) { /* more than one read of a walk */
        (void)snprintf(path, sizeof path, "/files/%u.txt", i);
        (void)file(w, path, 1 + (i * 31) % 301);
    }
    parcel_init(&main, "f.mp4", MS_CATEGORY_MAIN, 5000, 1);
    parcel_init(&cover, "c.png", MS_CATEGORY_COVER, 700, 2);
    struct ms_asset_id film = create_asset(w, MS_TYPE_VIDEO, "film");
    (void)bring_parcel(w, film, &main);
    (void)bring_parcel(w, film, &cover);
    ms_clock_fake_advance(&w->clock, 2 * MS_BIN_BYPASS_AGE_MS);
    unlink_path(w, "/files/3.txt"); /* 94 bytes */
    ms_clock_fake_advance(&w->clock, 1);
    apply_event(w, film, MS_EVENT_SCHEDULE,
                ms_instant_add_ms(ms_clock_now(&w->clock.clock), 1), MS_SCHEDULED_BLOCK);
    ms_clock_fake_advance(&w->clock, 1); /* frozen, and nobody has swept */
    const struct ms_usage_options options = {.top_max = 3};
    assert_ok(ms_usage_report(w->svc, &w->ctx, &options, &r, &test_err));
    assert_int_equal(r.all.assets, 301);
    assert_int_equal(r.all.files, 302);
    assert_int_equal(r.all.bytes, r.quota.metered);
    assert_int_equal(r.class[MS_CLASS_STANDARD].bytes, r.quota.usage.standard);
    assert_int_equal(r.type[MS_TYPE_VIDEO].bytes, 5700);
    assert_int_equal(r.type[MS_TYPE_VIDEO].frozen_bytes, 5700);
    assert_int_equal(r.type[MS_TYPE_COMMON_FILE].assets, 300);
    assert_int_equal(r.all.frozen_assets, 1);
    assert_int_equal(r.all.binned_assets, 1);
    assert_int_equal(r.all.binned_bytes, r.quota.usage.binned_bytes);
    assert_int_equal(r.top_n, 3);
    assert_memory_equal(r.top[0].id.id.b, film.id.b, MS_ID_BYTES);
    assert_int_equal(r.top[0].state, MS_STATE_BLOCK);
    assert_int_equal(r.top[1].bytes, 301);
    assert_int_equal(r.top[2].bytes, 300);
    json_t *o = ms_usage_report_json(&r);
    assert_non_null(o);
    assert_int_equal(json_array_size(json_object_get(o, "top")), 3);
    json_decref(o);
    ms_usage_report_fini(&r);
    const struct ms_usage_options stopped = {.looked_at = keep_walking, .priv = &few};
    assert_code(ms_usage_report(w->svc, &w->ctx, &stopped, &r, &test_err), MS_CANCELLED);
    ms_usage_report_fini(&r);
    const struct ms_usage_options many = {.top_max = MS_USAGE_TOP_MAX + 1};
    assert_code(ms_usage_report(w->svc, &w->ctx, &many, &r, &test_err), MS_RANGE);
    ms_usage_report_fini(&r);
    parcel_fini(&main);
    parcel_fini(&cover);
}

static struct ms_usage_why *explained(struct world *w, struct ms_asset_id id) {
    static struct ms_usage_why why;
    assert_ok(ms_usage_explain(w->svc, &w->ctx, ms_id_text(id.id).s, &why, &test_err));
    return &why;
}

static void an_asset_is_explained(void **state) {
    struct world *w = *state;
    struct ms_usage_why *why;
    struct parcel p, cover;
    struct ms_asset_new make = {
        .type = MS_TYPE_VIDEO, .origin = MS_ORIGIN_CUSTOMIZED, .name = "v"};
    struct ms_asset_id video, plain, preset;
    struct ms_instant made, sealed;
    w->ctx.admin = true;
    made = ms_clock_now(&w->clock.clock);
    assert_ok(ms_asset_create(w->svc, &w->ctx, &make, &video, &test_err));
    why = explained(w, video);
    assert_int_equal(why->bytes, 0);
    assert_int_equal(why->since.ms, 0);
    assert_non_null(strstr(why->why, "no committed bytes"));
    ms_clock_fake_advance(&w->clock, 5000);
    parcel_init(&p, "v.mp4", MS_CATEGORY_MAIN, 3000, 1);
    assert_ok(declare_parcel(w, video, &p, &test_err));
    assert_int_equal(explained(w, video)->reserved, 0); /* it needs no quota */
    assert_ok(send_parcel(w, &p, &test_err));
    struct ms_confirmed done;
    sealed = ms_clock_now(&w->clock.clock);
    assert_ok(confirm_parcel(w, p.file, MS_CONFIRM_CREATED, &done, &test_err));
    parcel_init(&cover, "c.png", MS_CATEGORY_COVER, 100, 2);
    (void)bring_parcel(w, video, &cover);
    why = explained(w, video);
    assert_int_equal(why->class, MS_CLASS_PRODUCED_FREE);
    assert_false(why->metered);
    assert_int_equal(why->since.ms, sealed.ms);
    assert_int_equal(why->until.ms, ms_instant_add_months(made, 6).ms);
    assert_false(why->until_deleted);
    assert_int_equal(why->bytes, 3100);
    assert_int_equal(why->main_bytes, 3000);
    assert_non_null(strstr(why->why, "six calendar months"));
    /* it counts from its instant on, swept or not */
    for (unsigned swept = 0; swept < 2; swept++) {
        struct ms_sweep_result r;
        ms_clock_fake_set(&w->clock, ms_instant_add_months(made, 6));
        why = explained(w, video);
        assert_int_equal(why->class, MS_CLASS_PRODUCED);
        assert_true(why->metered);
        assert_int_equal(why->since.ms, ms_instant_add_months(made, 6).ms);
        assert_int_equal(why->until.ms, 0);
        assert_ok(ms_sweep(w->svc, &r, &test_err));
    }
    w->ctx.admin = false;
    plain = file(w, "/files/a.txt", 200);
    ms_clock_fake_advance(&w->clock, 2 * MS_BIN_BYPASS_AGE_MS);
    struct ms_instant binned = ms_clock_now(&w->clock.clock);
    unlink_path(w, "/files/a.txt");
    why = explained(w, plain);
    assert_int_equal(why->class, MS_CLASS_STANDARD);
    assert_true(why->until_deleted);
    assert_int_equal(why->until.ms, binned.ms + MS_BIN_RETENTION_MS);
    assert_non_null(strstr(why->why, "recycle bin"));
    w->ctx.admin = true;
    make.origin = MS_ORIGIN_SYSTEM;
    assert_ok(ms_asset_create(w->svc, &w->ctx, &make, &preset, &test_err));
    why = explained(w, preset);
    assert_int_equal(why->class, MS_CLASS_EXCLUDED);
    assert_non_null(strstr(why->why, "preset"));
    json_t *o = ms_usage_why_json(why);
    assert_non_null(o);
    assert_string_equal(json_string_value(json_object_get(o, "class")), "excluded");
    json_decref(o);
    w->ctx.admin = false;
    parcel_fini(&p);
    parcel_fini(&cover);
}

#define MEM_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_mem, world_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        MEM_TEST(what_left_the_bin_by_time_is_not_used),
        MEM_TEST(what_time_puts_into_the_bin_is_binned),
        MEM_TEST(what_was_declared_and_not_confirmed_is_not_reserved),
        MEM_TEST(a_package_takes_its_capacity_and_what_is_bound_along),
        MEM_TEST(the_end_of_arrears_leaves_nothing),
        MEM_TEST(a_model_is_registered_with_a_unit_or_not_at_all),
        MEM_TEST(what_is_moved_among_the_models_takes_a_unit),
        MEM_TEST(a_report_adds_up_and_names_the_largest),
        MEM_TEST(an_asset_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
