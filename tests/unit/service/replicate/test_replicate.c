/* Copies between gateways: what is refused, by which side, and that nothing is left of it. Two stores, and bytes by a
 * stream; URLs of a real store: tests/cli/replicate.sh. */
#include "copies.h"

#include "service/package.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct two {
    struct world *a, *b;
    struct copies c;
};

static int setup(void **state) {
    struct two *two = calloc(1, sizeof *two);
    assert_non_null(two);
    *state = two;
    two->a = world_new(false, 0);
    two->b = world_new(true, 0);
    copies_keys(two->a);
    copies_keys(two->b);
    copies_make(two->a, &two->c);
    return 0;
}

static int teardown(void **state) {
    struct two *two = *state;
    copies_fini(&two->c);
    world_free(two->a);
    world_free(two->b);
    free(two);
    return 0;
}

static enum ms_code pull(struct two *two, const struct ms_ctx *ctx, struct ms_asset_info *ret_info) {
    return copies_pull(two->b->svc, ctx, two->a->tmp, ret_info, &test_err);
}

static void nothing_is_left(struct world *w) {
    assert_int_equal(quota_of(w).metered, 0);
    assert_int_equal(quota_of(w).reserved, 0);
    check_settled(w);
    check_clean(w->svc);
}

static void a_copy_has_texts_files_and_bytes_and_ids_of_its_own(void **state) {
    struct two *two = *state;
    struct ms_asset_info info;
    assert_ok(pull(two, &two->b->ctx, &info));
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    assert_string_equal(info.path, "/videos/f.mp4");
    assert_memory_not_equal(info.asset.id.b, two->c.asset.id.b, MS_ID_BYTES);
    copies_same(two->b, &two->c, &info);
    assert_ok(pull(two, &two->b->ctx, &info)); /* again: another one */
    assert_string_equal(info.path, "/videos/f (2).mp4");
    check_settled(two->b);
    check_clean(two->b->svc);
}

static void it_expires_by_the_clock_of_the_taker(void **state) {
    struct two *two = *state;
    struct ms_asset_info info;
    ms_clock_fake_advance(&two->b->clock, MS_REPLICATE_VALID_MS - 1);
    assert_ok(pull(two, &two->b->ctx, &info));
    ms_clock_fake_advance(&two->b->clock, 1);
    assert_code(pull(two, &two->b->ctx, &info), MS_STALE);
}

static void what_may_not_be_copied_is_not_told(void **state) {
    struct two *two = *state;
    struct world *a = two->a;
    struct ms_buf blob = {0};
    const struct ms_replicate_send send = {.blob = ms_buf_view(&two->c.blob),
                                           .fd = open("/dev/null", O_WRONLY)};
    static const enum ms_event events[][2] = {{MS_EVENT_FREEZE, MS_EVENT_UNFREEZE},
                                              {MS_EVENT_DELETE, MS_EVENT_RESTORE}};
    for (size_t i = 0; i < MS_ARRAY_LEN(events); i++) {
        apply_event(a, two->c.asset, events[i][0], (struct ms_instant){0}, 0);
        assert_code(ms_replicate_info(a->svc, &a->ctx, two->c.asset, 0, &blob, &test_err),
                    MS_WRONG_STATE);
        assert_code(ms_replicate_send(a->svc, &a->ctx, &send, &test_err), MS_WRONG_STATE);
        apply_event(a, two->c.asset, events[i][1], (struct ms_instant){0}, 0);
    }
    assert_ok(ms_replicate_send(a->svc, &a->ctx, &send, &test_err));
    write_file(a, "/files/empty.txt", "", 0);
    struct ms_asset_info info;
    assert_ok(ms_asset_find(a->svc, &a->ctx, "/files/empty.txt", &info, &test_err));
    assert_code(ms_replicate_info(a->svc, &a->ctx, (struct ms_asset_id){info.asset.id}, 0, &blob,
                                  &test_err),
                MS_UNSUPPORTED);
    static const int64_t bad[] = {-1, 1, MS_REPLICATE_VALID_MS_MIN - 1, MS_REPLICATE_VALID_MS_MAX + 1};
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++)
        assert_code(ms_replicate_info(a->svc, &a->ctx, two->c.asset, bad[i], &blob, &test_err), MS_RANGE);
    ms_buf_fini(&blob);
    close(send.fd);
}

static void a_file_that_was_replaced_is_not_sent_for_the_old_one(void **state) {
    struct two *two = *state;
    const struct ms_replicate_send send = {.blob = ms_buf_view(&two->c.blob),
                                           .fd = open("/dev/null", O_WRONLY)};
    uint8_t bytes[100];
    fill_like(bytes, sizeof bytes, "mp4");
    struct ms_handle *h = open_file(two->a, "/videos/f.mp4", 't');
    put_bytes(h, 0, bytes, sizeof bytes);
    seal_file(h);
    assert_code(ms_replicate_send(two->a->svc, &two->a->ctx, &send, &test_err), MS_CONFLICT);
    close(send.fd);
}

static void a_quota_that_does_not_hold_it_is_known_before_a_byte_comes(void **state) {
    struct two *two = *state;
    struct ms_asset_info info;
    world_free(two->b);
    two->b = world_new(true, COPIES_BYTES + 499); /* the cover is one byte too much */
    copies_keys(two->b);
    unsigned parts = atomic_load(&two->b->gate.parts);
    assert_code(pull(two, &two->b->ctx, &info), MS_QUOTA);
    assert_int_equal(atomic_load(&two->b->gate.parts), parts);
    nothing_is_left(two->b);
}

static void other_bytes_than_told_are_never_sealed(void **state) {
    struct two *two = *state;
    struct ms_asset_info info;
    size_t n;
    char *bytes = ms_test_read_file(two->c.stream, &n);
    bytes[n / 2] ^= 1;
    ms_test_write_file(two->c.stream, bytes, n);
    assert_code(pull(two, &two->b->ctx, &info), MS_MISMATCH);
    nothing_is_left(two->b);
    bytes[n / 2] ^= 1;
    ms_test_write_file(two->c.stream, bytes, n - 1);
    assert_code(pull(two, &two->b->ctx, &info), MS_NO_INPUT);
    nothing_is_left(two->b);
    ms_test_write_file(two->c.stream, bytes, n);
    free(bytes);
    assert_ok(pull(two, &two->b->ctx, &info));
}

static bool stop_halfway(void *priv, uint64_t done, uint64_t total) {
    (void)priv;
    return done < total / 2;
}

static void who_gives_up_leaves_nothing(void **state) {
    struct two *two = *state;
    struct ms_asset_info info;
    const struct ms_replicate_pull half = {.blob = ms_buf_view(&two->c.blob),
                                           .from = open(two->c.stream, O_RDONLY),
                                           .progress = stop_halfway};
    assert_code(ms_replicate_pull(two->b->svc, &two->b->ctx, &half, &info, &test_err), MS_CANCELLED);
    close(half.from);
    nothing_is_left(two->b);
}

static void a_store_that_fails_leaves_nothing_either(void **state) {
    struct two *two = *state;
    struct ms_asset_info info;
    gate_refuse(two->b, MS_UNAVAILABLE);
    assert_code(pull(two, &two->b->ctx, &info), MS_UNAVAILABLE);
    gate_refuse(two->b, MS_OK);
    (void)sweep_world(two->b);
    nothing_is_left(two->b);
}

/* A model takes a unit where it is registered: of each gateway's own. */
static void buy_units(struct world *w) {
    const struct ms_package_order o = {.order = "units",
                                       .name = "models",
                                       .kind = MS_PACKAGE_MODELING_2D,
                                       .amount = 1,
                                       .months = 12,
                                       .terms = 1};
    struct ms_package_record p;
    assert_ok(ms_package_buy(w->svc, &w->admin, &o, &p, &test_err));
}

static void a_model_is_for_administrators_on_both_sides(void **state) {
    struct two *two = *state;
    struct world *a = two->a;
    struct ms_asset_info info;
    struct parcel twin;
    const struct ms_asset_new make = {
        .type = MS_TYPE_HUMAN_MODEL_2D, .origin = MS_ORIGIN_CUSTOMIZED, .name = "twin"};
    struct ms_asset_id id;
    parcel_init(&twin, "twin.bin", MS_CATEGORY_MAIN, 1000, 5);
    buy_units(a);
    assert_ok(ms_asset_create(a->svc, &a->admin, &make, &id, &test_err));
    (void)bring_parcel(a, id, &twin);
    struct ms_buf blob = {0};
    assert_code(ms_replicate_info(a->svc, &a->ctx, id, 0, &blob, &test_err), MS_NOT_PERMITTED);
    assert_ok(ms_replicate_info(a->svc, &a->admin, id, 0, &blob, &test_err));
    struct ms_replicate_send send = {.blob = ms_buf_view(&blob),
                                     .fd = open(two->c.stream, O_WRONLY | O_TRUNC)};
    assert_code(ms_replicate_send(a->svc, &a->ctx, &send, &test_err), MS_NOT_PERMITTED);
    assert_ok(ms_replicate_send(a->svc, &a->admin, &send, &test_err));
    close(send.fd);
    for (int admin = 0; admin < 3; admin++) { /* as a tenant, without a unit, with one */
        const struct ms_replicate_pull take = {.blob = ms_buf_view(&blob),
                                               .from = open(two->c.stream, O_RDONLY)};
        if (admin == 2)
            buy_units(two->b);
        assert_code(ms_replicate_pull(two->b->svc, admin ? &two->b->admin : &two->b->ctx, &take, &info,
                                      &test_err),
                    admin == 2   ? MS_OK
                    : admin == 1 ? MS_QUOTA
                                 : MS_NOT_PERMITTED);
        close(take.from);
    }
    assert_int_equal(info.asset.type, MS_TYPE_HUMAN_MODEL_2D);
    assert_int_equal(info.asset.origin, MS_ORIGIN_CUSTOMIZED);
    assert_int_equal(quota_of(two->b).metered, 0); /* models of the platform are not counted */
    ms_buf_fini(&blob);
    parcel_fini(&twin);
    check_clean(two->b->svc);
}

static void a_blob_without_urls_says_what_to_do(void **state) {
    struct two *two = *state;
    struct ms_asset_info info;
    const struct ms_replicate_pull take = {.blob = ms_buf_view(&two->c.blob), .from = -1};
    assert_code(ms_replicate_pull(two->b->svc, &two->b->ctx, &take, &info, &test_err), MS_INVALID);
    assert_non_null(strstr(test_err.message, "replicate send"));
    const struct ms_replicate_send send = {.blob = ms_buf_view(&two->c.blob), .fd = -1};
    assert_code(ms_replicate_send(two->b->svc, &two->b->ctx, &send, &test_err), MS_FOREIGN);
    nothing_is_left(two->b);
}

#define TWO(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        TWO(a_copy_has_texts_files_and_bytes_and_ids_of_its_own),
        TWO(it_expires_by_the_clock_of_the_taker),
        TWO(what_may_not_be_copied_is_not_told),
        TWO(a_file_that_was_replaced_is_not_sent_for_the_old_one),
        TWO(a_quota_that_does_not_hold_it_is_known_before_a_byte_comes),
        TWO(other_bytes_than_told_are_never_sealed),
        TWO(who_gives_up_leaves_nothing),
        TWO(a_store_that_fails_leaves_nothing_either),
        TWO(a_model_is_for_administrators_on_both_sides),
        TWO(a_blob_without_urls_says_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
