/* Declared files and time: due - 1 ms, due, due + 1 ms; swept or not makes no difference. */
#include "parcel.h"

#include "service/transfer.h"

#include <stdlib.h>
#include <string.h>

static void advance(struct world *w, int64_t ms) { ms_clock_fake_advance(&w->clock, ms); }

static void a_main_may_be_confirmed_until_24_h_after_creation_not_at_it(void **state) {
    struct world *w = *state;
    for (int swept = 0; swept < 2; swept++)
        for (int late = -1; late <= 1; late++) {
            struct parcel film;
            struct ms_confirmed done;
            parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
            struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
            assert_ok(declare_parcel(w, id, &film, &test_err));
            assert_ok(send_parcel(w, &film, &test_err));
            advance(w, MS_DAY_MS + late);
            if (swept)
                assert_int_equal(sweep_world(w).failed_uploads, late >= 0);
            if (late < 0) {
                assert_ok(confirm_parcel(w, film.file, MS_CONFIRM_CREATED, &done, &test_err));
                assert_int_equal(done.state, MS_STATE_ACTIVED);
            } else {
                assert_code(confirm_parcel(w, film.file, MS_CONFIRM_CREATED, &done, &test_err),
                            MS_WRONG_STATE);
                assert_code(send_parcel(w, &film, &test_err), MS_WRONG_STATE);
                assert_code(declare_parcel(w, id, &film, &test_err), MS_WRONG_STATE);
                assert_int_equal(info_of(w, id).state, MS_STATE_FAILED);
                assert_int_equal(info_of(w, id).asset.fail, MS_FAIL_TIMEOUT);
                assert_string_equal(info_of(w, id).path, "");
            }
            (void)sweep_world(w);
            assert_int_equal(quota_of(w).reserved, 0);
            check_clean(w->svc); /* the multipart upload was aborted */
            parcel_fini(&film);
        }
}

static void another_file_is_cancelled_24_h_after_its_declaration(void **state) {
    struct world *w = *state;
    for (int swept = 0; swept < 2; swept++)
        for (int late = -1; late <= 1; late++) {
            struct parcel film, cover;
            struct ms_confirmed done;
            parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
            parcel_init(&cover, "c.png", MS_CATEGORY_COVER, 400, 2);
            struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
            (void)bring_parcel(w, id, &film);
            advance(w, 7 * MS_HOUR_MS);
            assert_ok(declare_parcel(w, id, &cover, &test_err));
            assert_ok(send_parcel(w, &cover, &test_err));
            struct ms_instant due = cover.until;
            size_t before = audit_rows(w, MS_AUDIT_FILE_CANCELLED);
            advance(w, MS_DAY_MS + late);
            if (swept) {
                struct ms_sweep_result r = sweep_world(w);
                assert_int_equal(r.cancelled_files, late >= 0);
                assert_int_equal(r.removed_uploads, late >= 0);
                if (late < 0)
                    assert_int_equal(r.next.ms, due.ms);
                assert_int_equal(quota_of(w).reserved, late >= 0 ? 0 : 400);
            }
            assert_int_equal(file_of(w, id, cover.file).state,
                             late >= 0 ? MS_FILE_CANCELLED : MS_FILE_CREATING);
            assert_code(confirm_parcel(w, cover.file, MS_CONFIRM_CREATED, &done, &test_err),
                        late >= 0 ? MS_WRONG_STATE : MS_OK);
            assert_int_equal(info_of(w, id).state, MS_STATE_ACTIVED); /* R is unchanged */
            (void)sweep_world(w);
            assert_int_equal(sweep_world(w).cancelled_files, 0);
            assert_int_equal(audit_rows(w, MS_AUDIT_FILE_CANCELLED) - before, late >= 0);
            check_settled(w);
            check_clean(w->svc);
            parcel_fini(&film);
            parcel_fini(&cover);
        }
}

/* While the tenant is frozen nothing of it runs out; a file of a CREATING asset gets 24 h afterwards,
 * one of a finished asset is due when it was. */
static void a_tenant_freeze_puts_the_deadline_of_a_new_asset_off(void **state) {
    struct world *w = *state;
    struct parcel film, cover;
    struct ms_confirmed done;
    parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    parcel_init(&cover, "c.png", MS_CATEGORY_COVER, 400, 2);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    assert_ok(declare_parcel(w, id, &film, &test_err));
    assert_ok(declare_parcel(w, id, &cover, &test_err));
    assert_ok(send_parcel(w, &film, &test_err));
    assert_ok(ms_tenant_hold(w->svc, &w->admin, MS_HOLD_ADMIN, true, "test", &test_err));
    assert_code(confirm_parcel(w, film.file, MS_CONFIRM_CREATED, &done, &test_err),
                MS_WRONG_STATE);
    advance(w, 3 * MS_DAY_MS);
    assert_int_equal(sweep_world(w).cancelled_files, 0);
    check_findings(w->svc);
    assert_ok(ms_tenant_hold(w->svc, &w->admin, MS_HOLD_ADMIN, false, "", &test_err));
    advance(w, MS_DAY_MS - 1);
    assert_int_equal(sweep_world(w).failed_uploads, 0);
    check_findings(w->svc);
    assert_ok(confirm_parcel(w, film.file, MS_CONFIRM_CREATED, &done, &test_err));
    assert_int_equal(done.state, MS_STATE_ACTIVED);
    advance(w, 1);
    (void)sweep_world(w);
    assert_int_equal(file_of(w, id, cover.file).state, MS_FILE_CANCELLED);
    check_settled(w);
    check_clean(w->svc);
    parcel_fini(&film);
    parcel_fini(&cover);
}

static void what_a_store_that_is_down_keeps_is_removed_by_a_later_sweep(void **state) {
    struct world *w = *state;
    struct parcel film;
    struct ms_confirmed done;
    parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    assert_ok(declare_parcel(w, id, &film, &test_err));
    assert_ok(send_parcel(w, &film, &test_err));
    gate_refuse(w, MS_UNAVAILABLE);
    assert_code(confirm_parcel(w, film.file, MS_CONFIRM_CREATED, &done, &test_err),
                MS_UNAVAILABLE);
    assert_int_equal(info_of(w, id).state, MS_STATE_CREATING);
    assert_ok(confirm_parcel(w, film.file, MS_CONFIRM_CANCELLED, &done, &test_err));
    assert_int_equal(sweep_world(w).removed_uploads, 0);
    gate_refuse(w, MS_OK);
    assert_int_equal(sweep_world(w).removed_uploads, 1);
    check_clean(w->svc);
    parcel_fini(&film);
}

static void a_sweep_takes_many_files_in_batches(void **state) {
    struct world *w = *state;
    struct parcel p;
    enum { ASSETS = 7, FILES = 80 };
    parcel_init(&p, "s.bin", MS_CATEGORY_OTHER, 10, 1);
    for (unsigned a = 0; a < ASSETS; a++) {
        struct ms_asset_id id = create_asset(w, MS_TYPE_MATERIAL, "m");
        for (unsigned f = 0; f < FILES; f++)
            assert_ok(declare_parcel(w, id, &p, &test_err));
    }
    advance(w, MS_DAY_MS - 1);
    assert_int_equal(sweep_world(w).cancelled_files, 0);
    advance(w, 1);
    struct ms_sweep_result r = sweep_world(w); /* all end with their assets */
    assert_int_equal(r.failed_uploads, ASSETS);
    assert_int_equal(r.removed_uploads, ASSETS * FILES);
    assert_int_equal(quota_of(w).reserved, 0);
    check_clean(w->svc);
    parcel_fini(&p);
}

/* What had the name goes into the bin by being looked at, and the folder counts that. */
static void a_name_that_time_has_freed_is_taken(void **state) {
    struct world *w = *state;
    struct parcel film;
    struct behind old;
    uint8_t bytes[1000];
    fill_like(bytes, sizeof bytes, "mp4");
    write_file(w, "/videos/f.mp4", bytes, sizeof bytes);
    look_behind(w, "/videos/f.mp4", &old);
    apply_event(w, (struct ms_asset_id){old.asset.id}, MS_EVENT_SCHEDULE,
                ms_instant_add_ms(ms_clock_now(&w->clock.clock), MS_HOUR_MS), MS_SCHEDULED_DELETE);
    advance(w, MS_HOUR_MS);
    parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    assert_int_equal(bring_parcel(w, id, &film).state, MS_STATE_ACTIVED);
    struct ms_asset_info info = info_of(w, id);
    assert_string_equal(info.path, "/videos/f.mp4");
    check_findings(w->svc);
    parcel_fini(&film);
}

static void a_file_is_known_by_its_id_to_whom_its_asset_was_transferred(void **state) {
    struct world *w = *state;
    struct parcel film, cover;
    struct ms_tenant_options options = {
        .name = "t2", .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record other;
    struct ms_transfer_record job;
    assert_ok(ms_tenant_add(w->svc, "root@test", &options, &other, &test_err));
    assert_ok(ms_transfer_allow(w->svc, &w->admin, MS_MAY_TRANSFER_ANY, &test_err));
    parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    parcel_init(&cover, "c.png", MS_CATEGORY_COVER, 500, 2);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    (void)bring_parcel(w, id, &film);
    (void)bring_parcel(w, id, &cover);
    struct ms_transfer_create create = {
        .assets = &id, .n = 1, .dest = {other.id}, .auto_accept = true, .activate = true};
    assert_ok(ms_transfer_create(w->svc, &w->admin, &create, &job, &test_err));
    check_findings(w->svc);
    assert_code(ms_file_remove(w->svc, &w->ctx, cover.file, &test_err), MS_NOT_FOUND);
    w->ctx.tenant.id = w->admin.tenant.id = other.id;
    assert_ok(ms_file_remove(w->svc, &w->ctx, cover.file, &test_err));
    assert_int_equal(info_of(w, id).asset.bytes, film.n);
    apply_event(w, id, MS_EVENT_FORCE_DELETE, (struct ms_instant){0}, 0);
    check_findings(w->svc);
    parcel_fini(&film);
    parcel_fini(&cover);
}

#define DIR_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_dir, world_teardown)
#define MEM_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_mem, world_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        DIR_TEST(a_main_may_be_confirmed_until_24_h_after_creation_not_at_it),
        DIR_TEST(another_file_is_cancelled_24_h_after_its_declaration),
        DIR_TEST(a_tenant_freeze_puts_the_deadline_of_a_new_asset_off),
        DIR_TEST(what_a_store_that_is_down_keeps_is_removed_by_a_later_sweep),
        MEM_TEST(a_sweep_takes_many_files_in_batches),
        MEM_TEST(a_name_that_time_has_freed_is_taken),
        MEM_TEST(a_file_is_known_by_its_id_to_whom_its_asset_was_transferred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
