/* Uploads as the API has them: product.md 3.2, in the order of issue 5, point 1. */
#include "parcel.h"

#include "service/copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the way it goes well ---------------------------------------------------------------- */

static void a_confirmed_main_is_an_active_asset_in_its_types_folder(void **state) {
    struct world *w = *state;
    struct parcel film;
    struct behind b;
    parcel_init(&film, "my:film?.mp4", MS_CATEGORY_MAIN, 9 * MS_MB + 5, 1);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "The film");
    assert_int_equal(info_of(w, id).state, MS_STATE_CREATING);
    assert_ok(declare_parcel(w, id, &film, &test_err));
    assert_int_equal(quota_of(w).reserved, film.n);
    assert_int_equal(film.until.ms, ms_clock_now(&w->clock.clock).ms + MS_DAY_MS);
    check_findings(w->svc);
    assert_ok(send_parcel(w, &film, &test_err));
    struct ms_confirmed done;
    assert_ok(confirm_parcel(w, film.file, MS_CONFIRM_CREATED, &done, &test_err));
    assert_int_equal(done.state, MS_STATE_ACTIVED);
    assert_int_equal(done.file_state, MS_FILE_CREATED);
    assert_int_equal(done.verdict, MS_OK);
    struct ms_asset_info info = info_of(w, id);
    assert_string_equal(info.path, "/videos/my:film?.mp4");
    assert_string_equal(info.asset.name, "The film");
    assert_int_equal(info.asset.bytes, film.n);
    assert_true(info.version.hashed);
    check_file(w, info.path, film.p, film.n);
    look_behind(w, info.path, &b);
    assert_string_equal(b.file.media_type, "video/mp4");
    assert_memory_equal(b.file.md5, film.md5, 16);
    check_settled(w);
    check_clean(w->svc);
    parcel_fini(&film);
}

static void illegal_characters_become_underscores_and_a_taken_name_gets_a_number(void **state) {
    struct world *w = *state;
    struct parcel p[3];
    const char *const names[] = {"a/b\x01.png", "a_b_.png", "a/b_.png"};
    const char *const paths[] = {"/images/a_b_.png", "/images/a_b_ (2).png",
                                 "/images/a_b_ (3).png"};
    for (unsigned i = 1; i < 3; i++) { /* a control character is refused, a slash is not */
        parcel_init(&p[i], names[i], MS_CATEGORY_MAIN, 100, (uint8_t)i);
        struct ms_asset_id id = create_asset(w, MS_TYPE_IMAGE, "x");
        (void)bring_parcel(w, id, &p[i]);
        assert_string_equal(info_of(w, id).path, paths[i - 1]);
        parcel_fini(&p[i]);
    }
    parcel_init(&p[0], names[0], MS_CATEGORY_MAIN, 100, 9);
    assert_code(declare_parcel(w, create_asset(w, MS_TYPE_IMAGE, "x"), &p[0], &test_err),
                MS_INVALID);
    parcel_fini(&p[0]);
    check_clean(w->svc);
}

static void covers_and_other_files_count_and_are_one_each(void **state) {
    struct world *w = *state;
    struct parcel film, cover, second;
    parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    parcel_init(&cover, "c.png", MS_CATEGORY_COVER, 500, 2);
    parcel_init(&second, "d.png", MS_CATEGORY_COVER, 500, 3);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    (void)bring_parcel(w, id, &cover);
    assert_int_equal(info_of(w, id).state, MS_STATE_CREATING);
    assert_int_equal(info_of(w, id).asset.bytes, 500);
    assert_code(declare_parcel(w, id, &second, &test_err), MS_EXISTS);
    assert_int_equal(bring_parcel(w, id, &film).state, MS_STATE_ACTIVED);
    assert_int_equal(info_of(w, id).asset.bytes, 1500);
    assert_int_equal(quota_of(w).metered, 1500);
    assert_ok(ms_file_remove(w->svc, &w->ctx, cover.file, &test_err));
    assert_int_equal(quota_of(w).metered, 1000);
    (void)bring_parcel(w, id, &second);
    assert_code(ms_file_remove(w->svc, &w->ctx, film.file, &test_err), MS_WRONG_STATE);
    check_settled(w);
    check_clean(w->svc);
    parcel_fini(&film);
    parcel_fini(&cover);
    parcel_fini(&second);
}

static void temporary_replaces_main_in_one_step(void **state) {
    struct world *w = *state;
    struct parcel old, new, wrong;
    parcel_init(&old, "f.mp4", MS_CATEGORY_MAIN, 3000, 1);
    parcel_init(&new, "g.mp4", MS_CATEGORY_TEMPORARY, 2000, 2);
    parcel_init(&wrong, "g.mov", MS_CATEGORY_TEMPORARY, 2000, 3);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    assert_code(declare_parcel(w, id, &new, &test_err), MS_WRONG_STATE); /* nothing to replace */
    (void)bring_parcel(w, id, &old);
    struct ms_handle *h = open_file(w, "/videos/f.mp4", 'r');
    check_bytes(h, 0, old.p, old.n, true);
    assert_code(declare_parcel(w, id, &wrong, &test_err), MS_WRONG_KIND);
    assert_ok(declare_parcel(w, id, &new, &test_err));
    assert_int_equal(quota_of(w).reserved, 0); /* it is shorter */
    assert_ok(send_parcel(w, &new, &test_err));
    check_file(w, "/videos/f.mp4", old.p, old.n);
    struct ms_confirmed done;
    assert_ok(confirm_parcel(w, new.file, MS_CONFIRM_CREATED, &done, &test_err));
    assert_int_equal(done.state, MS_STATE_ACTIVED);
    struct ms_asset_info info = info_of(w, id);
    assert_memory_equal(info.asset.main_file.b, new.file.id.b, MS_ID_BYTES);
    assert_int_equal(info.asset.bytes, new.n);
    assert_string_equal(info.path, "/videos/f.mp4");
    check_file(w, "/videos/f.mp4", new.p, new.n);
    assert_ok(release_file(h, &test_err));
    check_settled(w);
    check_findings(w->svc); /* the old object waits for gc */
    parcel_fini(&old);
    parcel_fini(&new);
    parcel_fini(&wrong);
}

static void a_replacement_that_breaks_a_rule_is_dropped_and_the_old_one_stays(void **state) {
    struct world *w = *state;
    struct parcel old, new;
    struct ms_confirmed done;
    parcel_init(&old, "f.mp4", MS_CATEGORY_MAIN, 3000, 1);
    parcel_init(&new, "f.mp4", MS_CATEGORY_TEMPORARY, 4000, 2);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    (void)bring_parcel(w, id, &old);
    memset(new.p, 'x', new.n);
    assert_ok(declare_parcel(w, id, &new, &test_err));
    assert_int_equal(quota_of(w).reserved, 1000); /* max(0, new - old) */
    assert_ok(send_raw(w, new.file, new.p, new.n, &test_err));
    assert_ok(confirm_parcel(w, new.file, MS_CONFIRM_CREATED, &done, &test_err));
    assert_int_equal(done.verdict, MS_MISMATCH); /* the declared MD5 was of other bytes */
    assert_int_equal(done.file_state, MS_FILE_FAILED);
    assert_int_equal(done.state, MS_STATE_ACTIVED);
    check_file(w, "/videos/f.mp4", old.p, old.n);
    check_settled(w);
    check_clean(w->svc);
    parcel_fini(&old);
    parcel_fini(&new);
}

/* ---- failures ---------------------------------------------------------------------------- */

static void other_bytes_fail_the_asset_with_both_values_and_are_freed(void **state) {
    struct world *w = *state;
    static const struct {
        size_t n;
        const char *says;
    } cases[] = {{1000, "declared MD5 "}, {999, "declared 1000 bytes, uploaded 999"},
                 {1001, "declared 1000 bytes, uploaded 1001"}};
    for (unsigned i = 0; i < MS_ARRAY_LEN(cases); i++) {
        struct ms_confirmed done;
        struct parcel film, cover;
        uint8_t other[1001];
        memset(other, 'o', sizeof other);
        parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
        parcel_init(&cover, "c.png", MS_CATEGORY_COVER, 500, 2);
        struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
        (void)bring_parcel(w, id, &cover);
        assert_ok(declare_parcel(w, id, &film, &test_err));
        assert_ok(send_raw(w, film.file, other, cases[i].n, &test_err));
        assert_ok(confirm_parcel(w, film.file, MS_CONFIRM_CREATED, &done, &test_err));
        assert_int_equal(done.verdict, MS_MISMATCH);
        assert_int_equal(done.state, MS_STATE_FAILED);
        struct ms_asset_info info = info_of(w, id);
        assert_int_equal(info.asset.fail, MS_FAIL_MISMATCH);
        assert_non_null(strstr(info.asset.reason, cases[i].says));
        assert_string_equal(info.asset.reason_code, "MISMATCH");
        assert_string_equal(info.path, ""); /* not in the tree */
        assert_int_equal(info.asset.bytes, 0);
        assert_int_equal(file_of(w, id, film.file).state, MS_FILE_FAILED);
        assert_non_null(strstr(file_of(w, id, film.file).reason, cases[i].says));
        check_settled(w);
        check_findings(w->svc);
        parcel_fini(&film);
        parcel_fini(&cover);
    }
}

static void content_that_breaks_a_rule_fails_the_asset_and_keeps_its_bytes(void **state) {
    struct world *w = *state;
    struct parcel text, right;
    struct ms_confirmed done;
    unsigned char bytes[1000];
    parcel_init(&text, "f.mp4", MS_CATEGORY_MAIN, sizeof bytes, 1);
    parcel_init(&right, "f.mp4", MS_CATEGORY_TEMPORARY, 700, 2);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    fill_like(text.p, text.n, "txt"); /* declared as it is, but it is no film */
    const struct ms_declare declare = {.asset = id,
                                       .category = MS_CATEGORY_MAIN,
                                       .name = "f.mp4",
                                       .size = text.n,
                                       .parts = 1};
    struct ms_declared declared;
    assert_ok(ms_file_declare(w->svc, &w->ctx, &declare, &declared, &test_err));
    text.file = declared.file;
    assert_ok(send_parcel(w, &text, &test_err));
    assert_ok(confirm_parcel(w, text.file, MS_CONFIRM_CREATED, &done, &test_err));
    assert_int_equal(done.verdict, MS_WRONG_KIND);
    assert_int_equal(done.state, MS_STATE_FAILED);
    struct ms_asset_info info = info_of(w, id);
    assert_int_equal(info.asset.fail, MS_FAIL_CONTENT);
    assert_int_equal(info.asset.bytes, text.n); /* kept and counted */
    assert_string_equal(info.path, "/videos/f.mp4");
    check_file(w, info.path, text.p, text.n); /* readable for its owner */
    check_clean(w->svc);
    /* a new MAIN is checked as at creation */
    assert_int_equal(bring_parcel(w, id, &right).state, MS_STATE_ACTIVED);
    assert_string_equal(info_of(w, id).asset.reason, "");
    check_file(w, info.path, right.p, right.n);
    check_settled(w);
    check_findings(w->svc);
    parcel_fini(&text);
    parcel_fini(&right);
}

static void what_cannot_be_of_its_type_is_refused_when_it_is_declared(void **state) {
    struct world *w = *state;
    struct parcel p;
    struct ms_asset_id id = create_asset(w, MS_TYPE_IMAGE, "i");
    parcel_init(&p, "i.mp4", MS_CATEGORY_MAIN, 100, 1);
    assert_code(declare_parcel(w, id, &p, &test_err), MS_WRONG_KIND);
    p.name = "i.png";
    p.n = 50 * MS_MB + 1;
    assert_code(declare_parcel(w, id, &p, &test_err), MS_TOO_LARGE);
    p.n = 50 * MS_MB;
    assert_ok(declare_parcel(w, id, &p, &test_err));
    p.category = MS_CATEGORY_COVER; /* an image has none */
    p.n = 10;
    assert_code(declare_parcel(w, id, &p, &test_err), MS_INVALID);
    p.n = 100;
    parcel_fini(&p);
    assert_code(ms_asset_create(w->svc, &w->ctx,
                                &(struct ms_asset_new){.type = MS_TYPE_VOICE_MODEL, .name = "v"},
                                &id, &test_err),
                MS_NOT_PERMITTED);
    check_findings(w->svc);
}

/* ---- bad input of the issue -------------------------------------------------------------- */

static void confirming_twice_is_refused_and_changes_nothing(void **state) {
    struct world *w = *state;
    struct parcel film;
    struct ms_confirmed done;
    parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    (void)bring_parcel(w, id, &film);
    struct rows *before = rows_of(w->svc);
    for (unsigned as = MS_CONFIRM_CREATED; as <= MS_CONFIRM_CANCELLED; as++) {
        assert_code(confirm_parcel(w, film.file, (enum ms_confirm_as)as, &done, &test_err),
                    MS_WRONG_STATE);
        assert_non_null(strstr(test_err.message, "CREATED already"));
    }
    assert_code(send_parcel(w, &film, &test_err), MS_WRONG_STATE);
    struct rows *after = rows_of(w->svc);
    assert_true(rows_equal(before, after));
    rows_free(before);
    rows_free(after);
    parcel_fini(&film);
}

static void a_part_sent_after_the_confirmation_is_refused_by_the_store(void **state) {
    struct world *w = *state;
    struct parcel film;
    struct ms_confirmed done;
    parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    assert_ok(declare_parcel(w, id, &film, &test_err));
    struct ms_upload_record upload = upload_of(w, film.file);
    assert_ok(send_parcel(w, &film, &test_err));
    assert_ok(confirm_parcel(w, film.file, MS_CONFIRM_CREATED, &done, &test_err));
    struct ms_obj_request put = {.op = MS_OBJ_MP_PUT,
                                 .key = upload.key,
                                 .upload_id = upload.upload_id,
                                 .part_no = 1,
                                 .body = {.memory = ms_view_str("evil"), .length = 4}};
    assert_code(ms_obj_run(w->svc->obj, &put, &test_err), MS_NOT_FOUND);
    check_file(w, "/videos/f.mp4", film.p, film.n);
    parcel_fini(&film);
}

static void confirming_without_bytes_is_refused_and_may_be_repeated(void **state) {
    struct world *w = *state;
    struct parcel film;
    struct ms_confirmed done;
    parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    assert_ok(declare_parcel(w, id, &film, &test_err));
    assert_code(confirm_parcel(w, film.file, MS_CONFIRM_CREATED, &done, &test_err), MS_NOT_FOUND);
    assert_int_equal(info_of(w, id).state, MS_STATE_CREATING);
    assert_ok(send_parcel(w, &film, &test_err));
    assert_ok(confirm_parcel(w, film.file, MS_CONFIRM_CREATED, &done, &test_err));
    assert_int_equal(done.state, MS_STATE_ACTIVED);
    check_clean(w->svc);
    parcel_fini(&film);
}

static void a_second_main_is_refused_until_the_first_is_given_up(void **state) {
    struct world *w = *state;
    struct parcel one, two;
    struct ms_confirmed done;
    parcel_init(&one, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    parcel_init(&two, "g.mp4", MS_CATEGORY_MAIN, 600, 2);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    for (unsigned as = MS_CONFIRM_FAILED; as <= MS_CONFIRM_CANCELLED; as++) {
        assert_ok(declare_parcel(w, id, &one, &test_err));
        assert_code(declare_parcel(w, id, &two, &test_err), MS_EXISTS);
        assert_ok(send_parcel(w, &one, &test_err));
        assert_ok(confirm_parcel(w, one.file, (enum ms_confirm_as)as, &done, &test_err));
        assert_int_equal(done.state, MS_STATE_CREATING);
        assert_int_equal(done.file_state,
                         as == MS_CONFIRM_FAILED ? MS_FILE_FAILED : MS_FILE_CANCELLED);
        assert_int_equal(quota_of(w).reserved, 0);
        check_clean(w->svc); /* nothing is left in the store */
    }
    (void)bring_parcel(w, id, &two);
    assert_int_equal(info_of(w, id).state, MS_STATE_ACTIVED);
    assert_code(declare_parcel(w, id, &one, &test_err), MS_EXISTS);
    check_clean(w->svc);
    parcel_fini(&one);
    parcel_fini(&two);
}

static void a_frozen_or_binned_asset_takes_no_confirmation(void **state) {
    struct world *w = *state;
    struct parcel film;
    struct ms_confirmed done;
    parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    assert_ok(declare_parcel(w, id, &film, &test_err));
    assert_ok(send_parcel(w, &film, &test_err));
    struct ms_instant none = {0};
    apply_event(w, id, MS_EVENT_FREEZE, none, 0);
    assert_code(confirm_parcel(w, film.file, MS_CONFIRM_CREATED, &done, &test_err),
                MS_WRONG_STATE);
    assert_code(send_parcel(w, &film, &test_err), MS_WRONG_STATE);
    apply_event(w, id, MS_EVENT_UNFREEZE, none, 0);
    apply_event(w, id, MS_EVENT_DELETE, none, 0);
    assert_code(confirm_parcel(w, film.file, MS_CONFIRM_CREATED, &done, &test_err),
                MS_WRONG_STATE);
    apply_event(w, id, MS_EVENT_RESTORE, none, 0);
    assert_ok(confirm_parcel(w, film.file, MS_CONFIRM_CREATED, &done, &test_err));
    assert_int_equal(done.state, MS_STATE_ACTIVED);
    check_clean(w->svc);
    parcel_fini(&film);
}

static void deleting_an_asset_ends_its_uploads(void **state) {
    struct world *w = *state;
    struct parcel film;
    struct ms_confirmed done;
    parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    assert_ok(declare_parcel(w, id, &film, &test_err));
    assert_ok(send_parcel(w, &film, &test_err));
    apply_event(w, id, MS_EVENT_FORCE_DELETE, (struct ms_instant){0}, 0);
    assert_int_equal(quota_of(w).reserved, 0);
    assert_code(confirm_parcel(w, film.file, MS_CONFIRM_CREATED, &done, &test_err), MS_NOT_FOUND);
    assert_int_equal(sweep_world(w).removed_uploads, 1);
    check_clean(w->svc);
    parcel_fini(&film);
}

/* ---- quota ------------------------------------------------------------------------------- */

static int small_setup(void **state) {
    *state = world_new(false, 10000);
    return 0;
}

static void a_declaration_reserves_and_the_quota_refuses_with_the_numbers(void **state) {
    struct world *w = *state;
    struct parcel one, two;
    parcel_init(&one, "f.mp4", MS_CATEGORY_MAIN, 6000, 1);
    parcel_init(&two, "g.mp4", MS_CATEGORY_MAIN, 4001, 2);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    struct ms_asset_id other = create_asset(w, MS_TYPE_VIDEO, "g");
    assert_ok(declare_parcel(w, id, &one, &test_err));
    assert_code(declare_parcel(w, other, &two, &test_err), MS_QUOTA);
    assert_non_null(strstr(test_err.message, "4001"));
    assert_non_null(strstr(test_err.message, "4000"));
    two.n = 4000;
    assert_ok(declare_parcel(w, other, &two, &test_err));
    two.n = 4001;
    check_findings(w->svc);
    /* overdue ones are swept before a refusal stands */
    ms_clock_fake_advance(&w->clock, MS_DAY_MS);
    struct ms_asset_id third = create_asset(w, MS_TYPE_VIDEO, "h");
    assert_ok(declare_parcel(w, third, &two, &test_err));
    assert_int_equal(quota_of(w).reserved, 4001);
    parcel_fini(&one);
    parcel_fini(&two);
}

static void a_large_file_without_a_size_is_compared_with_the_quota_at_the_end(void **state) {
    struct world *w = *state;
    struct parcel big;
    struct ms_confirmed done;
    parcel_init(&big, "data.bin", MS_CATEGORY_MAIN, 10001, 1);
    struct ms_asset_id id = create_asset(w, MS_TYPE_COMMON_FILE, "d");
    const struct ms_declare declare = {.asset = id,
                                       .category = MS_CATEGORY_MAIN,
                                       .name = "data.bin",
                                       .parts = 100,
                                       .large = true};
    struct ms_declared declared;
    assert_ok(ms_file_declare(w->svc, &w->ctx, &declare, &declared, &test_err));
    big.file = declared.file;
    assert_int_equal(quota_of(w).reserved, 0);
    assert_ok(send_parcel(w, &big, &test_err));
    assert_code(confirm_parcel(w, big.file, MS_CONFIRM_CREATED, &done, &test_err), MS_QUOTA);
    assert_non_null(strstr(test_err.message, "10001"));
    assert_int_equal(info_of(w, id).state, MS_STATE_CREATING);
    check_findings(w->svc);
    /* it was joined already; confirmed again once there is room */
    assert_ok(ms_tenant_set_quota(w->svc, &w->admin, 20000, &test_err));
    assert_ok(confirm_parcel(w, big.file, MS_CONFIRM_CREATED, &done, &test_err));
    assert_int_equal(done.state, MS_STATE_ACTIVED);
    check_file(w, "/files/data.bin", big.p, big.n);
    check_settled(w);
    check_clean(w->svc);
    parcel_fini(&big);
}

static void a_store_without_urls_says_so(void **state) {
    struct world *w = *state;
    struct parcel film;
    struct ms_buf url = {0}, headers = {0};
    parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    assert_ok(declare_parcel(w, create_asset(w, MS_TYPE_VIDEO, "f"), &film, &test_err));
    assert_code(ms_file_url(w->svc, &w->ctx, film.file, 1, &url, &headers, &test_err),
                MS_UNSUPPORTED);
    parcel_fini(&film);
}

/* What it has beside MAIN is removed there as it is in the source. */
static void the_cover_of_a_copy_can_be_removed(void **state) {
    struct world *w = *state;
    struct parcel film, cover;
    struct ms_asset_info copy;
    struct ms_file_record files[2];
    size_t n;
    parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    parcel_init(&cover, "c.png", MS_CATEGORY_COVER, 500, 2);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    (void)bring_parcel(w, id, &film);
    (void)bring_parcel(w, id, &cover);
    assert_ok(ms_asset_copy(w->svc, &w->ctx, id, "/videos/copy.mp4", &copy, &test_err));
    struct ms_asset_id copied = {copy.asset.id};
    assert_int_equal(copy.asset.bytes, 1500);
    assert_ok(ms_file_list(w->svc, &w->ctx, copied, files, 2, &n, &test_err));
    assert_int_equal(n, 2);
    const struct ms_file_record *c = files[0].category == MS_CATEGORY_COVER ? &files[0] : &files[1];
    assert_ok(ms_file_remove(w->svc, &w->ctx, (struct ms_file_id){c->id}, &test_err));
    assert_int_equal(info_of(w, copied).asset.bytes, 1000);
    assert_int_equal(info_of(w, id).asset.bytes, 1500);
    check_clean(w->svc);
    parcel_fini(&film);
    parcel_fini(&cover);
}

static void what_could_not_be_made_is_a_file_too(void **state) {
    struct world *w = *state;
    struct parcel film;
    struct ms_file_record *files = calloc(MS_FILES_MAX + 1, sizeof *files);
    size_t n;
    assert_non_null(files);
    parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, "f");
    (void)bring_parcel(w, id, &film);
    struct ms_file_failed failed = {.asset = id, .category = MS_CATEGORY_OTHER, .name = "x", .reason = "why"};
    for (unsigned i = 1; i < MS_FILES_MAX; i++)
        assert_ok(ms_file_note_failed(w->svc, &w->ctx, &failed, &test_err));
    assert_code(ms_file_note_failed(w->svc, &w->ctx, &failed, &test_err), MS_RANGE);
    assert_ok(ms_file_list(w->svc, &w->ctx, id, files, MS_FILES_MAX + 1, &n, &test_err));
    assert_int_equal(n, MS_FILES_MAX);
    check_clean(w->svc);
    parcel_fini(&film);
    free(files);
}

#define DIR_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_dir, world_teardown)
#define MEM_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_mem, world_teardown)
#define SMALL_TEST(f) cmocka_unit_test_setup_teardown(f, small_setup, world_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        DIR_TEST(a_confirmed_main_is_an_active_asset_in_its_types_folder),
        MEM_TEST(a_confirmed_main_is_an_active_asset_in_its_types_folder),
        DIR_TEST(illegal_characters_become_underscores_and_a_taken_name_gets_a_number),
        DIR_TEST(covers_and_other_files_count_and_are_one_each),
        DIR_TEST(temporary_replaces_main_in_one_step),
        DIR_TEST(a_replacement_that_breaks_a_rule_is_dropped_and_the_old_one_stays),
        DIR_TEST(other_bytes_fail_the_asset_with_both_values_and_are_freed),
        DIR_TEST(content_that_breaks_a_rule_fails_the_asset_and_keeps_its_bytes),
        DIR_TEST(what_cannot_be_of_its_type_is_refused_when_it_is_declared),
        DIR_TEST(confirming_twice_is_refused_and_changes_nothing),
        DIR_TEST(a_part_sent_after_the_confirmation_is_refused_by_the_store),
        DIR_TEST(confirming_without_bytes_is_refused_and_may_be_repeated),
        DIR_TEST(a_second_main_is_refused_until_the_first_is_given_up),
        DIR_TEST(a_frozen_or_binned_asset_takes_no_confirmation),
        DIR_TEST(deleting_an_asset_ends_its_uploads),
        SMALL_TEST(a_declaration_reserves_and_the_quota_refuses_with_the_numbers),
        SMALL_TEST(a_large_file_without_a_size_is_compared_with_the_quota_at_the_end),
        DIR_TEST(a_store_without_urls_says_so),
        MEM_TEST(the_cover_of_a_copy_can_be_removed),
        MEM_TEST(what_could_not_be_made_is_a_file_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
