/* Billed transfers: units and assets move together or not at all, once, whoever asks and how many at once. */
#include "keep.h"

#include "service/package.h"
#include "service/transfer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VOICES 3

struct two {
    struct world *w;
    struct ms_ctx to, admin_to;
    struct ms_asset_id voice[VOICES];
    struct ms_transfer_record job;
};

static struct ms_package_record bought(struct world *w, const struct ms_ctx *ctx, const char *order,
                                       uint64_t units, uint32_t terms) {
    const struct ms_package_order o = {.order = order,
                                       .name = order,
                                       .kind = MS_PACKAGE_VOICE_CLONE,
                                       .amount = units,
                                       .months = 1,
                                       .terms = terms};
    struct ms_package_record p;
    assert_ok(ms_package_buy(w->svc, ctx, &o, &p, &test_err));
    return p;
}

static uint64_t used(struct world *w, const struct ms_ctx *ctx) {
    struct ms_package_record *list;
    uint64_t sum = 0;
    size_t n;
    assert_ok(ms_package_list(w->svc, ctx, &list, &n, &test_err));
    for (size_t i = 0; i < n; i++)
        sum += list[i].used;
    free(list);
    return sum;
}

static struct ms_id package_of(struct world *w, const struct ms_ctx *ctx, struct ms_asset_id id) {
    struct ms_asset_info *info = calloc(1, sizeof *info);
    assert_non_null(info);
    enum ms_code code = ms_asset_get(w->svc, ctx, id, info, &test_err);
    struct ms_id package = info->asset.package;
    free(info);
    assert_ok(code);
    return package;
}

/* Three voices that are offered, each with a unit of the sender's. */
static int setup(void **state) {
    struct two *two = calloc(1, sizeof *two);
    struct ms_tenant_options other = {.name = "t2", .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record tenant;
    uint8_t bytes[100];
    assert_non_null(two);
    *state = two;
    struct world *w = two->w = world_new(true, 0);
    assert_ok(ms_tenant_add(w->svc, "root@test", &other, &tenant, &test_err));
    two->to = (struct ms_ctx){.tenant = {tenant.id}, .who = "bob"};
    two->admin_to = two->to;
    two->admin_to.admin = true;
    (void)bought(w, &w->admin, "own", VOICES, 1);
    fill_like(bytes, sizeof bytes, "txt");
    for (unsigned i = 0; i < VOICES; i++) {
        char path[32];
        struct behind b;
        (void)snprintf(path, sizeof path, "/voices/v%u.bin", i);
        w->ctx.admin = true; /* voices are the platform's to make */
        write_file(w, path, bytes, sizeof bytes);
        w->ctx.admin = false;
        look_behind(w, path, &b);
        two->voice[i].id = b.asset.id;
    }
    const struct ms_transfer_create create = {
        .assets = two->voice, .n = VOICES, .dest = two->to.tenant, .billing = true};
    assert_ok(ms_transfer_create(w->svc, &w->admin, &create, &two->job, &test_err));
    return 0;
}

static int teardown(void **state) {
    struct two *two = *state;
    world_free(two->w);
    free(two);
    return 0;
}

static enum ms_code confirm(struct two *two) {
    struct ms_transfer_record job;
    return ms_transfer_confirm(two->w->svc, &two->to, (struct ms_transfer_id){two->job.id}, NULL, &job,
                               &test_err);
}

static struct ms_transfer_needs required(struct two *two, const struct ms_ctx *ctx) {
    struct ms_transfer_needs needs;
    assert_ok(ms_transfer_required(two->w->svc, ctx, (struct ms_transfer_id){two->job.id}, &needs,
                                   &test_err));
    return needs;
}

static uint8_t state_of(struct two *two) {
    struct ms_asset_id assets[MS_TRANSFER_ASSETS_MAX];
    struct ms_transfer_record job;
    size_t n;
    assert_ok(ms_transfer_get(two->w->svc, &two->to, (struct ms_transfer_id){two->job.id}, &job, assets,
                              &n, &test_err));
    return job.state;
}

static void two_units_for_three_voices_move_nothing(void **state) {
    struct two *two = *state;
    struct world *w = two->w;
    (void)bought(w, &two->admin_to, "two", 2, 1);
    struct ms_id before = package_of(w, &w->ctx, two->voice[0]);
    assert_code(confirm(two), MS_QUOTA);
    assert_non_null(strstr(test_err.message, "needs 3 units of VOICE_CLONE"));
    assert_non_null(strstr(test_err.message, "have 2 left"));
    assert_int_equal(state_of(two), MS_TRANSFER_PROCESSING);
    assert_int_equal(used(w, &two->to), 0);
    assert_memory_equal(package_of(w, &w->ctx, two->voice[0]).b, before.b, MS_ID_BYTES);
    check_clean(w->svc);
    struct ms_package_record more = bought(w, &two->admin_to, "more", 1, 2);
    assert_ok(confirm(two));
    assert_int_equal(used(w, &two->to), 3);
    assert_int_equal(used(w, &w->ctx), 3); /* the sender's stay used */
    unsigned last = 0; /* the package that ends last is asked last */
    for (unsigned i = 0; i < VOICES; i++)
        last += ms_package_id_equal((struct ms_package_id){package_of(w, &two->to, two->voice[i])},
                                    (struct ms_package_id){more.id});
    assert_int_equal(last, 1);
    assert_code(confirm(two), MS_WRONG_STATE);
    assert_int_equal(used(w, &two->to), 3);
    check_clean(w->svc);
}

static void a_package_that_has_run_out_gives_no_unit(void **state) {
    struct two *two = *state;
    struct ms_package_record p = bought(two->w, &two->admin_to, "short", VOICES, 1);
    /* offered anew so that the package ends first */
    struct ms_transfer_record job;
    struct ms_transfer_id id = {two->job.id};
    assert_ok(ms_transfer_end(two->w->svc, &two->w->ctx, id, MS_TRANSFER_CANCEL, NULL, &job, &test_err));
    ms_clock_fake_set(&two->w->clock, ms_instant_add_ms(p.due_at, -MS_DAY_MS));
    const struct ms_transfer_create create = {
        .assets = two->voice, .n = VOICES, .dest = two->to.tenant, .billing = true};
    assert_ok(ms_transfer_create(two->w->svc, &two->w->admin, &create, &two->job, &test_err));
    ms_clock_fake_set(&two->w->clock, ms_instant_add_ms(p.due_at, -1));
    assert_int_equal(required(two, &two->to).need[0].left, VOICES);
    ms_clock_fake_advance(&two->w->clock, 1);
    assert_int_equal(required(two, &two->to).need[0].left, 0);
    assert_code(confirm(two), MS_QUOTA);
    assert_int_equal(used(two->w, &two->to), 0);
    check_findings(two->w->svc);
}

static void both_sides_see_what_is_required_and_nobody_else(void **state) {
    struct two *two = *state;
    struct ms_tenant_options other = {.name = "t3", .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record tenant;
    struct ms_transfer_needs needs;
    (void)bought(two->w, &two->admin_to, "five", 5, 1);
    for (unsigned i = 0; i < 2; i++) {
        needs = required(two, i ? &two->w->ctx : &two->to);
        assert_int_equal(needs.n, 1);
        assert_int_equal(needs.need[0].kind, MS_PACKAGE_VOICE_CLONE);
        assert_int_equal(needs.need[0].units, VOICES);
        assert_int_equal(needs.need[0].left, 5);
    }
    assert_ok(ms_tenant_add(two->w->svc, "root@test", &other, &tenant, &test_err));
    const struct ms_ctx stranger = {.tenant = {tenant.id}, .who = "eve"};
    assert_code(ms_transfer_required(two->w->svc, &stranger, (struct ms_transfer_id){two->job.id}, &needs,
                                     &test_err),
                MS_NOT_FOUND);
    assert_ok(confirm(two));
    assert_int_equal(required(two, &two->to).n, 0);
}

struct racer {
    struct two *two;
    pthread_t thread;
    enum ms_code code;
};
static void *race(void *priv) {
    struct racer *r = priv;
    struct ms_transfer_record job;
    struct ms_error err;
    r->code = ms_transfer_confirm(r->two->w->svc, &r->two->to, (struct ms_transfer_id){r->two->job.id},
                                  NULL, &job, &err);
    return NULL;
}

static void of_four_at_once_one_deducts(void **state) {
    struct two *two = *state;
    struct racer racers[4];
    unsigned won = 0;
    (void)bought(two->w, &two->admin_to, "many", 4 * VOICES, 1);
    for (size_t i = 0; i < MS_ARRAY_LEN(racers); i++) {
        racers[i].two = two;
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(racers); i++) {
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
        assert_true(racers[i].code == MS_OK || racers[i].code == MS_WRONG_STATE);
        won += racers[i].code == MS_OK;
    }
    assert_int_equal(won, 1);
    assert_int_equal(used(two->w, &two->to), VOICES);
    check_clean(two->w->svc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_units_for_three_voices_move_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_package_that_has_run_out_gives_no_unit, setup, teardown),
        cmocka_unit_test_setup_teardown(both_sides_see_what_is_required_and_nobody_else, setup, teardown),
        cmocka_unit_test_setup_teardown(of_four_at_once_one_deducts, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
