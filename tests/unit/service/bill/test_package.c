/* Packages in the store: bought once, dated exactly, bound, frozen, deleted, and lifted by what they
 * are lifted by alone. */
#include "unit/service/tree/fixture.h"

#include "quota/rates.h"
#include "service/asset.h"
#include "service/bill.h"
#include "service/package.h"
#include "service/upkeep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ms_ctx admin(const struct fx *f) {
    struct ms_ctx ctx = f->ctx;
    ctx.admin = true;
    return ctx;
}

static struct ms_instant now(struct fx *f) { return ms_clock_now(&f->clock.clock); }
static void to(struct fx *f, struct ms_instant at) { fx_advance(f, at.ms - now(f).ms); }

static void sweep(struct fx *f) {
    struct ms_sweep_result r;
    assert_ok(ms_sweep(&f->svc, &r, &test_err));
}

static struct ms_package_order order_of(uint8_t kind, const char *order) {
    return (struct ms_package_order){
        .order = order, .name = "p", .kind = kind, .amount = 3, .months = 1, .terms = 1};
}

static struct ms_package_record bought(struct fx *f, const struct ms_package_order *o) {
    struct ms_ctx ctx = admin(f);
    struct ms_package_record p;
    assert_ok(ms_package_buy(&f->svc, &ctx, o, &p, &test_err));
    return p;
}

static struct ms_package_record renewed(struct fx *f, struct ms_id id, const char *order) {
    struct ms_ctx ctx = admin(f);
    struct ms_package_record p;
    assert_ok(ms_package_renew_by(&f->svc, &ctx, (struct ms_package_id){id}, order, 1, &p, &test_err));
    return p;
}

static struct ms_package_record seen(struct fx *f, struct ms_id id) {
    struct ms_package_record *list, p = {0};
    size_t n;
    assert_ok(ms_package_list(&f->svc, &f->ctx, &list, &n, &test_err));
    for (size_t i = 0; i < n; i++)
        if (memcmp(list[i].id.b, id.b, MS_ID_BYTES) == 0)
            p = list[i];
    free(list);
    assert_int_equal(p.id.b[0], id.b[0]);
    return p;
}

/* ---- buying ---------------------------------------------------------------------------------- */

static void an_order_is_taken_once(void **state) {
    struct fx *f = *state;
    struct ms_ctx ctx = admin(f);
    struct ms_package_record p, other;
    struct ms_package_order o = order_of(MS_PACKAGE_ASSET_MANAGER, "o1");
    o.amount = MS_GB;
    p = bought(f, &o);
    assert_int_equal(fx_usage(f).extra_allowance, MS_GB);
    other = bought(f, &o);
    assert_memory_equal(p.id.b, other.id.b, MS_ID_BYTES);
    assert_int_equal(fx_usage(f).extra_allowance, MS_GB);
    o.amount++;
    assert_code(ms_package_buy(&f->svc, &ctx, &o, &other, &test_err), MS_EXISTS);
    struct ms_instant end = seen(f, p.id).due_at;
    p = renewed(f, p.id, "o2");
    assert_true(p.due_at.ms == end.ms); /* a further term follows */
    assert_int_equal(p.bought, 2);
    assert_int_equal(renewed(f, p.id, "o2").bought, 2);
    assert_code(ms_package_renew_by(&f->svc, &ctx, (struct ms_package_id){p.id}, "o1", 1, &other,
                                    &test_err),
                MS_EXISTS);
}

static void what_makes_no_sense_is_refused(void **state) {
    struct fx *f = *state;
    struct ms_ctx ctx = admin(f);
    struct ms_package_record p;
    struct ms_package_order o = order_of(MS_PACKAGE_VIDEO_MINUTES, "o");
#define REFUSED(change, with)                                                                      \
    {                                                                                              \
        struct ms_package_order bad = o;                                                           \
        bad.change;                                                                                \
        assert_code(ms_package_buy(&f->svc, &ctx, &bad, &p, &test_err), with);                     \
    }
    REFUSED(order = "", MS_INVALID)
    REFUSED(order = "a\nb", MS_INVALID)
    REFUSED(name = "", MS_INVALID)
    REFUSED(kind = MS_PACKAGE_KIND_COUNT, MS_INVALID)
    REFUSED(amount = 0, MS_RANGE)
    REFUSED(amount = UINT64_MAX, MS_RANGE)
    REFUSED(months = MS_TERM_MONTHS_MAX + 1, MS_RANGE)
    REFUSED(terms = 0, MS_RANGE)
    o.months = 0;
    REFUSED(terms = 2, MS_RANGE)
    REFUSED(auto_renew = true, MS_INVALID)
    assert_code(ms_package_buy(&f->svc, &f->ctx, &o, &p, &test_err), MS_DENIED);
    p = bought(f, &o);
    assert_code(ms_package_renew_by(&f->svc, &ctx, (struct ms_package_id){p.id}, "x", 1, &p, &test_err),
                MS_WRONG_STATE);
}

/* ---- capacity and minutes at their instants --------------------------------------------------- */

static bool keep_day(void *priv, const struct ms_bill_day *d) {
    ((struct ms_bill_day *)priv)[d->seq - 1] = *d;
    return true;
}

static void capacity_ends_at_the_instant_whenever_it_was_swept(void **state) {
    struct fx *f = *state;
    static struct ms_bill_day days[60];
    struct ms_bill_options options = {.rates = NULL};
    struct ms_bill_result r;
    struct ms_package_order o = order_of(MS_PACKAGE_ASSET_MANAGER, "o");
    o.amount = 2 * MS_GB;
    fx_advance(f, 6 * MS_HOUR_MS); /* 1 January 06:00 to 1 February 06:00 */
    struct ms_package_record p = bought(f, &o);
    struct ms_instant end = p.due_at;
    to(f, ms_instant_add_ms(end, -1));
    assert_int_equal(fx_usage(f).extra_allowance, 2 * MS_GB);
    to(f, end);
    assert_int_equal(fx_usage(f).extra_allowance, 0); /* nobody has swept */
    fx_advance(f, 10 * MS_DAY_MS);
    assert_ok(ms_bill_run(&f->svc, &options, &r, &test_err));
    assert_int_equal(r.days, 41);
    assert_ok(ms_bill_days(&f->svc, f->ctx.tenant, (struct ms_instant){0}, (struct ms_instant){0},
                           keep_day, days, &test_err));
    const ms_u128 free_bytes = (ms_u128)(5 * MS_GB) * MS_DAY_MS;
    assert_true(days[0].day.allowance == free_bytes + (ms_u128)o.amount * (18 * MS_HOUR_MS));
    assert_true(days[30].day.allowance == free_bytes + (ms_u128)o.amount * MS_DAY_MS);
    assert_true(days[31].day.allowance == free_bytes + (ms_u128)o.amount * (6 * MS_HOUR_MS));
    assert_true(days[32].day.allowance == free_bytes);
    assert_int_equal(seen(f, p.id).state, MS_PACKAGE_GRACE);
}

static void minutes_come_from_the_package_that_ends_first(void **state) {
    struct fx *f = *state;
    struct ms_ctx ctx = admin(f);
    struct ms_package_order late = order_of(MS_PACKAGE_VIDEO_MINUTES, "late"), soon = late;
    late.months = 2;
    late.amount = 1000;
    soon.order = "soon";
    soon.amount = 300;
    struct ms_package_record a = bought(f, &late), b = bought(f, &soon);
    (void)fx_produce(f, f->root, "a.mp4", MS_MB, 240); /* 4.00 of pay-per-use that is off */
    assert_int_equal(seen(f, b.id).used, 300);
    assert_int_equal(seen(f, a.id).used, 100);
    assert_ok(ms_tenant_set_pay_per_use(&f->svc, &ctx, true, &test_err));
    to(f, b.due_at); /* its end: the rest of it is gone, the other one goes on */
    (void)fx_produce(f, f->root, "b.mp4", MS_MB, 600);
    assert_int_equal(seen(f, a.id).used, 1000);
}

/* ---- what is bound --------------------------------------------------------------------------- */

static struct ms_id voice(struct fx *f) {
    struct ms_make make = {.parent = fx_ino(f, "/voices"),
                           .name = "v",
                           .mode = S_IFREG | 0644,
                           .any_folder = true};
    struct ms_made made;
    assert_ok(ms_tree_make(&f->svc, &f->ctx, &make, &made, &test_err));
    fx_seal(f, made.node.inode.ino, 1000, "application/octet-stream", false);
    return made.asset.id;
}

static enum ms_code bind(struct fx *f, struct ms_id package, struct ms_id asset) {
    struct ms_ctx ctx = admin(f);
    struct ms_package_record p;
    return ms_package_bind(&f->svc, &ctx, (struct ms_package_id){package}, (struct ms_asset_id){asset},
                           &p, &test_err);
}

static enum ms_state state_of(struct fx *f, struct ms_id asset) {
    struct ms_asset_info info;
    assert_ok(ms_asset_get(&f->svc, &f->ctx, (struct ms_asset_id){asset}, &info, &test_err));
    return info.state;
}

static struct ms_package_record with_voice(struct fx *f, struct ms_package_order *o,
                                           struct ms_id *ret_asset) {
    struct ms_package_record p = bought(f, o);
    *ret_asset = voice(f);
    assert_ok(bind(f, p.id, *ret_asset));
    return p;
}

static void a_unit_is_taken_once_and_never_comes_back(void **state) {
    struct fx *f = *state;
    struct ms_package_order o = order_of(MS_PACKAGE_VOICE_CLONE, "o");
    struct ms_id asset;
    o.amount = 1;
    struct ms_package_record p = with_voice(f, &o, &asset);
    assert_code(bind(f, p.id, asset), MS_EXISTS);
    fx_event(f, asset, MS_EVENT_FREEZE, now(f));
    fx_event(f, asset, MS_EVENT_UNFREEZE, now(f));
    struct ms_ctx ctx = admin(f);
    struct ms_asset_event purge = {.id = {asset}, .event = MS_EVENT_FORCE_DELETE};
    assert_ok(ms_asset_apply(&f->svc, &ctx, &purge, NULL, &test_err));
    assert_int_equal(seen(f, p.id).used, 1);
    struct ms_id next = voice(f);
    assert_code(bind(f, p.id, next), MS_QUOTA);
    assert_non_null(strstr(test_err.message, "1 of its 1 units"));
    o = order_of(MS_PACKAGE_MODELING_2D, "m");
    assert_code(bind(f, bought(f, &o).id, next), MS_INVALID);
}

static void grace_hold_and_deletion_come_at_their_instants(void **state) {
    struct fx *f = *state;
    struct ms_package_order o = order_of(MS_PACKAGE_VOICE_CLONE, "o");
    struct ms_id asset;
    struct ms_package_record p = with_voice(f, &o, &asset);
    struct ms_instant held = ms_instant_add_ms(p.due_at, 15 * MS_DAY_MS);
    struct ms_instant gone = ms_instant_add_ms(held, 15 * MS_DAY_MS);
    struct ms_asset_record record;
    to(f, ms_instant_add_ms(held, -1));
    assert_int_equal(state_of(f, asset), MS_STATE_ACTIVED);
    assert_int_equal(seen(f, p.id).state, MS_PACKAGE_GRACE);
    to(f, held);
    assert_int_equal(state_of(f, asset), MS_STATE_BLOCK); /* unswept */
    assert_int_equal(seen(f, p.id).state, MS_PACKAGE_HELD);
    sweep(f);
    assert_int_equal(state_of(f, asset), MS_STATE_BLOCK);
    to(f, ms_instant_add_ms(gone, -1));
    sweep(f);
    assert_true(fx_asset_by_id(f, asset, &record));
    to(f, gone);
    struct ms_asset_info info;
    assert_code(ms_asset_get(&f->svc, &f->ctx, (struct ms_asset_id){asset}, &info, &test_err),
                MS_NOT_FOUND); /* unswept */
    sweep(f);
    assert_false(fx_asset_by_id(f, asset, &record));
    assert_int_equal(seen(f, p.id).state, MS_PACKAGE_ENDED);
    struct ms_ctx ctx = admin(f);
    assert_code(ms_package_renew_by(&f->svc, &ctx, (struct ms_package_id){p.id}, "late", 1, &p, &test_err),
                MS_WRONG_STATE);
}

static void while_it_renews_itself_nothing_bound_can_be_deleted(void **state) {
    struct fx *f = *state;
    struct ms_ctx ctx = admin(f);
    struct ms_package_order o = order_of(MS_PACKAGE_VOICE_CLONE, "o");
    struct ms_id asset;
    struct ms_gone gone;
    o.auto_renew = true;
    struct ms_package_record p = with_voice(f, &o, &asset);
    struct ms_asset_event e = {.id = {asset}, .event = MS_EVENT_DELETE};
    assert_code(ms_asset_apply(&f->svc, &ctx, &e, NULL, &test_err), MS_WRONG_STATE);
    assert_non_null(strstr(test_err.message, "renews itself"));
    e.event = MS_EVENT_FORCE_DELETE;
    assert_code(ms_asset_apply(&f->svc, &ctx, &e, NULL, &test_err), MS_WRONG_STATE);
    assert_code(ms_tree_unlink(&f->svc, &ctx, fx_ino(f, "/voices"), "v", false, &gone, &test_err),
                MS_WRONG_STATE);
    fx_advance(f, 100 * MS_DAY_MS); /* three terms, by itself */
    sweep(f);
    p = seen(f, p.id);
    assert_int_equal(p.state, MS_PACKAGE_VALID);
    assert_int_equal(p.bought, 4);
    assert_int_equal(state_of(f, asset), MS_STATE_ACTIVED);
    assert_ok(ms_package_set_auto_renew(&f->svc, &ctx, (struct ms_package_id){p.id}, false, &p, &test_err));
    e.event = MS_EVENT_DELETE;
    assert_ok(ms_asset_apply(&f->svc, &ctx, &e, NULL, &test_err));
    assert_int_equal(state_of(f, asset), MS_STATE_DELETING);
}

/* A complaint and an expired package on one asset: what is lifted leaves the other, in every order of
 * coming and of going. */
enum { COMPLAINT, PACKAGE, LAYERS };

static void come(struct fx *f, struct ms_id asset, const struct ms_package_record *p, unsigned what) {
    if (what == COMPLAINT)
        fx_event(f, asset, MS_EVENT_FREEZE, now(f));
    else if (now(f).ms < p->due_at.ms + 15 * MS_DAY_MS)
        to(f, ms_instant_add_ms(p->due_at, 15 * MS_DAY_MS));
    sweep(f);
}

static void go(struct fx *f, struct ms_id asset, const struct ms_package_record *p, unsigned what,
               const char *order) {
    struct ms_ctx ctx = admin(f);
    struct ms_asset_event unfreeze = {.id = {asset}, .event = MS_EVENT_UNFREEZE};
    if (what == PACKAGE)
        (void)renewed(f, p->id, order);
    else
        assert_ok(ms_asset_apply(&f->svc, &ctx, &unfreeze, NULL, &test_err));
}

static void holds_are(struct fx *f, struct ms_id asset, uint8_t holds) {
    struct ms_asset_record record;
    assert_true(fx_asset_by_id(f, asset, &record));
    assert_int_equal(record.holds, holds);
    assert_int_equal(state_of(f, asset), holds ? MS_STATE_BLOCK : MS_STATE_ACTIVED);
}

static void in_one_order(struct fx *f, unsigned comes, unsigned goes, unsigned n) {
    static const uint8_t hold[LAYERS] = {[COMPLAINT] = MS_HOLD_ADMIN, [PACKAGE] = MS_HOLD_PACKAGE};
    char order[16], late[16];
    struct ms_id asset;
    (void)snprintf(order, sizeof order, "o%u", n);
    (void)snprintf(late, sizeof late, "l%u", n);
    struct ms_package_order o = order_of(MS_PACKAGE_VOICE_CLONE, order);
    struct ms_package_record p = with_voice(f, &o, &asset);
    come(f, asset, &p, comes);
    holds_are(f, asset, hold[comes]);
    come(f, asset, &p, !comes);
    holds_are(f, asset, MS_HOLD_ADMIN | MS_HOLD_PACKAGE);
    go(f, asset, &p, goes, late);
    holds_are(f, asset, hold[!goes]);
    if (goes == COMPLAINT) { /* against the package no unfreeze helps: the refusal says what does */
        struct ms_ctx ctx = admin(f);
        struct ms_asset_event unfreeze = {.id = {asset}, .event = MS_EVENT_UNFREEZE};
        assert_code(ms_asset_apply(&f->svc, &ctx, &unfreeze, NULL, &test_err), MS_WRONG_STATE);
        assert_non_null(strstr(test_err.message, "renew the package"));
    }
    go(f, asset, &p, !goes, late);
    holds_are(f, asset, 0);
    (void)fx_unlink(f, fx_ino(f, "/voices"), "v", false);
}

static void each_is_lifted_by_its_own_cause_alone(void **state) {
    struct fx *f = *state;
    for (unsigned n = 0; n < LAYERS * LAYERS; n++)
        in_one_order(f, n / LAYERS, n % LAYERS, n);
}

static void a_renewal_takes_nothing_out_of_the_bin(void **state) {
    struct fx *f = *state;
    struct ms_ctx ctx = admin(f);
    struct ms_package_order o = order_of(MS_PACKAGE_VOICE_CLONE, "o");
    struct ms_id asset;
    struct ms_package_record p = with_voice(f, &o, &asset);
    struct ms_asset_event e = {.id = {asset}, .event = MS_EVENT_DELETE};
    to(f, ms_instant_add_ms(p.due_at, 14 * MS_DAY_MS));
    assert_ok(ms_asset_apply(&f->svc, &ctx, &e, NULL, &test_err));
    to(f, ms_instant_add_ms(p.due_at, 16 * MS_DAY_MS));
    sweep(f);
    assert_int_equal(state_of(f, asset), MS_STATE_BLOCK);
    (void)renewed(f, p.id, "late");
    assert_int_equal(state_of(f, asset), MS_STATE_DELETING);
}

#undef FX
#define FX(test) cmocka_unit_test_setup_teardown(test, fx_setup_files, fx_teardown_files)

FX_TESTS(FX(an_order_is_taken_once), FX(what_makes_no_sense_is_refused),
         FX(capacity_ends_at_the_instant_whenever_it_was_swept),
         FX(minutes_come_from_the_package_that_ends_first),
         FX(a_unit_is_taken_once_and_never_comes_back),
         FX(grace_hold_and_deletion_come_at_their_instants),
         FX(while_it_renews_itself_nothing_bound_can_be_deleted),
         FX(each_is_lifted_by_its_own_cause_alone), FX(a_renewal_takes_nothing_out_of_the_bin))
