/* An expired package, arrears and a complaint on one asset at once: what is lifted leaves the others,
 * and the first deadline that nobody lifts deletes the asset at its instant. */
#include "unit/service/tree/fixture.h"

#include "service/arrears.h"
#include "service/asset.h"
#include "service/package.h"
#include "service/upkeep.h"

#include <stdio.h>
#include <string.h>

#define DAY MS_DAY_MS
#define HALF (15 * DAY) /* grace, and retention, of both */

enum { COMPLAINT, PACKAGE, ARREARS, CAUSES };

static struct ms_instant now(struct fx *f) { return ms_clock_now(&f->clock.clock); }
static void to(struct fx *f, int64_t at_ms) { fx_advance(f, at_ms - now(f).ms); }
static struct ms_ctx admin(const struct fx *f) {
    struct ms_ctx ctx = f->ctx;
    ctx.admin = true;
    return ctx;
}
static void sweep(struct fx *f) {
    struct ms_sweep_result r;
    assert_ok(ms_sweep(&f->svc, &r, &test_err));
}

/* ---- one asset, three causes ----------------------------------------------------------------- */

struct trial {
    struct fx *f;
    struct ms_id asset;
    struct ms_package_record package;
    int64_t held_at; /* by the package */
    bool swept;      /* after each step */
};

static struct trial begin(struct fx *f, bool swept) {
    static unsigned n;
    struct ms_ctx ctx = admin(f);
    char order[24];
    (void)snprintf(order, sizeof order, "o%u", n++);
    struct ms_package_order o = {.order = order,
                                 .name = "voices",
                                 .kind = MS_PACKAGE_VOICE_CLONE,
                                 .amount = 1,
                                 .months = 1,
                                 .terms = 1};
    struct trial t = {.f = f, .swept = swept};
    assert_ok(ms_package_buy(&f->svc, &ctx, &o, &t.package, &test_err));
    struct ms_make make = {.parent = fx_ino(f, "/voices"), .name = "v", .mode = S_IFREG | 0644};
    struct ms_made made;
    assert_ok(ms_tree_make(&f->svc, &ctx, &make, &made, &test_err));
    fx_seal(f, made.node.inode.ino, 1000, "application/octet-stream", false);
    t.asset = made.asset.id;
    assert_ok(ms_package_bind(&f->svc, &ctx, (struct ms_package_id){t.package.id},
                              (struct ms_asset_id){t.asset}, &t.package, &test_err));
    t.held_at = t.package.due_at.ms + HALF;
    return t;
}

static void arrears(struct trial *t, bool on) {
    struct ms_ctx ctx = admin(t->f);
    struct ms_tenant_record tenant;
    assert_ok(ms_tenant_set_arrears(&t->f->svc, &ctx, on, "x", &tenant, &test_err));
}

static void complaint(struct trial *t, bool on) {
    struct ms_ctx ctx = admin(t->f);
    struct ms_asset_event e = {.id = {t->asset},
                               .event = on ? MS_EVENT_FREEZE : MS_EVENT_UNFREEZE,
                               .why = "a complaint",
                               .reason_code = "C"};
    assert_ok(ms_asset_apply(&t->f->svc, &ctx, &e, NULL, &test_err));
}

static void renew(struct trial *t) {
    static unsigned n;
    struct ms_ctx ctx = admin(t->f);
    char order[24];
    (void)snprintf(order, sizeof order, "r%u", n++);
    assert_ok(ms_package_renew_by(&t->f->svc, &ctx, (struct ms_package_id){t->package.id}, order, 1,
                                  &t->package, &test_err));
}

static void lift(struct trial *t, unsigned cause) {
    if (cause == COMPLAINT)
        complaint(t, false);
    else if (cause == PACKAGE)
        renew(t);
    else
        arrears(t, false);
}

/* What anyone reads: exactly these causes. */
static void causes_are(struct trial *t, unsigned causes) {
    struct ms_asset_info info;
    struct ms_quota_info quota;
    struct fx *f = t->f;
    assert_ok(ms_asset_get(&f->svc, &f->ctx, (struct ms_asset_id){t->asset}, &info, &test_err));
    assert_ok(ms_tenant_quota(&f->svc, &f->ctx, &quota, &test_err));
    uint8_t mask = ms_tenant_mask(&quota.tenant, quota.now).holds;
    assert_int_equal(info.asset.holds & MS_HOLD_ADMIN ? 1 : 0, causes >> COMPLAINT & 1);
    assert_int_equal(info.asset.holds & MS_HOLD_PACKAGE ? 1 : 0, causes >> PACKAGE & 1);
    assert_int_equal(mask, causes >> ARREARS & 1 ? MS_HOLD_ARREARS : 0);
    assert_int_equal(info.state, causes ? MS_STATE_BLOCK : MS_STATE_ACTIVED);
}

static bool is_there(struct trial *t) {
    struct ms_asset_info info;
    struct fx *f = t->f;
    enum ms_code code =
        ms_asset_get(&f->svc, &f->ctx, (struct ms_asset_id){t->asset}, &info, &test_err);
    assert_true(code == MS_OK || code == MS_NOT_FOUND);
    return code == MS_OK;
}

static void settle(struct trial *t, unsigned causes) {
    if (t->swept)
        sweep(t->f);
    causes_are(t, causes);
}

/* ---- every order of coming and going --------------------------------------------------------- */

/* Six steps, each cause once set and once lifted: step[i] is a cause, with LIFTED added. */
#define LIFTED 4u
#define STEPS (2 * CAUSES)

static int place(const unsigned *step, unsigned what) {
    for (int i = 0; i < STEPS; i++)
        if (step[i] == what)
            return i;
    return -1;
}

/* A day between steps, so that what time sets comes exactly in its place: the package sets the times. */
static void in_order(struct fx *f, const unsigned *step, bool swept) {
    struct trial t = begin(f, swept);
    int64_t first = t.held_at - place(step, PACKAGE) * DAY;
    int64_t on = first + place(step, ARREARS) * DAY - HALF;
    unsigned causes = 0;
    to(f, on);
    arrears(&t, true);
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned cause = step[i] & 3, bit = 1u << cause;
        to(f, first + i * DAY - 1);
        settle(&t, causes);
        to(f, first + i * DAY);
        if (step[i] & LIFTED)
            lift(&t, cause);
        else if (cause == COMPLAINT)
            complaint(&t, true);
        causes ^= bit;
        settle(&t, causes);
    }
    struct ms_ctx ctx = admin(f);
    struct ms_asset_event purge = {.id = {t.asset}, .event = MS_EVENT_FORCE_DELETE};
    assert_ok(ms_asset_apply(&f->svc, &ctx, &purge, NULL, &test_err));
}

/* Every order in which each is set before it is lifted. */
static unsigned orders(struct fx *f, unsigned *step, unsigned n, bool swept) {
    unsigned count = 0;
    if (n == STEPS) {
        in_order(f, step, swept);
        return 1;
    }
    for (unsigned cause = 0; cause < CAUSES; cause++) {
        bool set = place(step, cause) >= 0, lifted = place(step, cause | LIFTED) >= 0;
        if (set && lifted)
            continue;
        step[n] = cause | (set ? LIFTED : 0);
        count += orders(f, step, n + 1, swept);
        step[n] = UINT32_MAX;
    }
    return count;
}

static void each_is_lifted_alone_in_every_order(struct fx *f, bool swept) {
    unsigned step[STEPS];
    memset(step, 0xff, sizeof step);
    assert_int_equal(orders(f, step, 0, swept), 90); /* 6! / 2^3 */
}
static void each_is_lifted_alone_in_every_order_swept(void **state) {
    each_is_lifted_alone_in_every_order(*state, true);
}
static void each_is_lifted_alone_in_every_order_unswept(void **state) {
    each_is_lifted_alone_in_every_order(*state, false);
}

/* ---- deletion -------------------------------------------------------------------------------- */

/* All three lie on the asset; what is in `lifted` is lifted. What is left decides when it goes. */
static void goes_at(struct fx *f, unsigned lifted, int64_t arrears_after_package, bool swept) {
    struct trial t = begin(f, swept);
    int64_t on = t.package.due_at.ms + arrears_after_package, end = INT64_MAX;
    to(f, on);
    arrears(&t, true);
    to(f, (on > t.package.due_at.ms ? on : t.package.due_at.ms) + HALF + DAY);
    complaint(&t, true);
    settle(&t, 7);
    for (unsigned cause = 0; cause < CAUSES; cause++)
        if (lifted >> cause & 1)
            lift(&t, cause);
    settle(&t, 7 & ~lifted);
    if (!(lifted >> PACKAGE & 1))
        end = t.held_at + HALF;
    if (!(lifted >> ARREARS & 1) && on + 2 * HALF < end)
        end = on + 2 * HALF;
    if (end == INT64_MAX) { /* a complaint deletes nothing */
        fx_advance(f, 20 * DAY);
        settle(&t, 7 & ~lifted);
        struct ms_ctx ctx = admin(f);
        struct ms_asset_event purge = {.id = {t.asset}, .event = MS_EVENT_FORCE_DELETE};
        assert_ok(ms_asset_apply(&f->svc, &ctx, &purge, NULL, &test_err));
    } else {
        to(f, end - 1);
        settle(&t, 7 & ~lifted);
        for (int i = 0; i < 2; i++) { /* at its instant, and after it */
            to(f, end + i);
            assert_false(is_there(&t));
        }
        sweep(f);
        assert_false(is_there(&t));
        struct ms_asset_record record;
        assert_false(fx_asset_by_id(f, t.asset, &record));
    }
    if (!(lifted >> ARREARS & 1))
        arrears(&t, false);
    sweep(f);
    fx_check(f);
}

static void what_is_left_decides_when_the_asset_goes(void **state) {
    struct fx *f = *state;
    static const int64_t after[] = {-DAY, 0, DAY};
    for (unsigned lifted = 0; lifted < 1u << CAUSES; lifted++)
        for (size_t i = 0; i < MS_ARRAY_LEN(after); i++)
            for (int swept = 0; swept < 2; swept++) {
                goes_at(f, lifted, after[i], swept);
                fx_advance(f, 100 * DAY);
                sweep(f);
            }
}

/* ---- the end of a tenant's arrears ----------------------------------------------------------- */

static void the_end_takes_every_asset_and_keeps_the_tenant(void **state) {
    struct fx *f = *state;
    struct trial t = {.f = f};
    struct ms_sweep_result swept;
    char name[24];
    for (unsigned i = 0; i < 2 * MS_ARREARS_ASSETS + 3; i++) {
        (void)snprintf(name, sizeof name, "a%u", i);
        (void)fx_file(f, f->root, name, 10, "text/plain");
    }
    arrears(&t, true);
    to(f, now(f).ms + 2 * HALF);
    struct ms_quota_info info; /* unswept */
    assert_ok(ms_tenant_quota(&f->svc, &f->ctx, &info, &test_err));
    assert_int_equal(info.metered, 0);
    assert_int_equal(info.usage.assets, 0);
    fx_advance(f, DAY);
    assert_ok(ms_sweep(&f->svc, &swept, &test_err));
    assert_int_equal(swept.purged, 2 * MS_ARREARS_ASSETS + 3);
    assert_int_equal(fx_usage(f).assets, 0);
    assert_int_equal(fx_usage(f).standard, 0);
    assert_ok(ms_sweep(&f->svc, &swept, &test_err)); /* once */
    assert_int_equal(swept.applied, 0);
    struct ms_make make = {.parent = f->root, .name = "z", .mode = S_IFREG | 0644};
    struct ms_made made;
    assert_code(ms_tree_make(&f->svc, &f->ctx, &make, &made, &test_err), MS_WRONG_STATE);
    assert_non_null(strstr(test_err.message, "were deleted at"));
    arrears(&t, false);
    (void)fx_file(f, f->root, "z", 10, "text/plain");
}

/* Switched off after the end and before any sweep: what is over is over. */
static void off_after_the_end_gives_nothing_back(void **state) {
    struct fx *f = *state;
    struct trial t = {.f = f};
    uint64_t ino = fx_file(f, f->root, "a", 10, "text/plain");
    struct ms_id asset = fx_asset(f, ino).id;
    struct ms_asset_record record;
    arrears(&t, true);
    to(f, now(f).ms + 2 * HALF);
    arrears(&t, false);
    assert_false(fx_asset_by_id(f, asset, &record));
    assert_int_equal(fx_usage(f).assets, 0);
}

static void only_an_administrator_says_so(void **state) {
    struct fx *f = *state;
    struct ms_ctx ctx = admin(f);
    struct ms_tenant_record tenant;
    char text[MS_REASON_MAX + 2];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_code(ms_tenant_set_arrears(&f->svc, &f->ctx, true, "", &tenant, &test_err), MS_DENIED);
    assert_code(ms_tenant_set_arrears(&f->svc, &ctx, true, text, &tenant, &test_err), MS_RANGE);
    assert_ok(ms_tenant_set_arrears(&f->svc, &ctx, false, NULL, &tenant, &test_err)); /* is off */
    assert_int_equal(tenant.arrears, MS_ARREARS_NONE);
    assert_ok(ms_tenant_set_arrears(&f->svc, &ctx, true, NULL, &tenant, &test_err));
    int64_t since = tenant.arrears_since.ms;
    fx_advance(f, DAY);
    assert_ok(ms_tenant_set_arrears(&f->svc, &ctx, true, NULL, &tenant, &test_err)); /* is on */
    assert_int_equal(tenant.arrears_since.ms, since);
    assert_code(ms_tenant_hold(&f->svc, &ctx, MS_HOLD_ARREARS, true, "", &test_err),
                MS_WRONG_STATE);
    assert_non_null(strstr(test_err.message, "tenant arrears"));
}

#undef FX
#define FX(test) cmocka_unit_test_setup_teardown(test, fx_setup_files, fx_teardown_files)

static void spoil(struct ms_asset_record *asset) { asset->bytes += MS_GB; }
static void mend(struct ms_asset_record *asset) { asset->bytes -= MS_GB; }

static uint8_t stage(struct fx *f) {
    struct ms_tenant_record tenant;
    assert_ok(ms_tenant_get(&f->svc, f->ctx.tenant, &tenant, &test_err));
    return tenant.arrears;
}

/* Its bytes are more than the tenant has, so it cannot be deleted: all others are, and the days behind
 * that end stay open until it is mended. */
static void a_damaged_asset_keeps_no_other_from_the_end_of_arrears(void **state) {
    struct fx *f = *state;
    struct ms_ctx ctx = admin(f);
    struct ms_tenant_record tenant;
    struct ms_asset_record asset;
    struct ms_sweep_result r;
    struct ms_id id[150];
    char name[16];
    for (unsigned i = 0; i < 150; i++) { /* more than two commits */
        (void)snprintf(name, sizeof name, "%u.txt", i);
        uint64_t ino = fx_file(f, fx_ino(f, "/files"), name, 10, "text/plain");
        id[i] = fx_asset(f, ino).id;
    }
    assert_ok(ms_tenant_set_arrears(&f->svc, &ctx, true, "", &tenant, &test_err));
    fx_change_asset(f, id[3], spoil);
    fx_change_asset(f, id[77], spoil);
    fx_advance(f, 2 * HALF);
    assert_code(ms_sweep(&f->svc, &r, &test_err), MS_CORRUPT);
    assert_int_equal(r.damaged, 2);
    assert_non_null(strstr(test_err.message, "asset "));
    for (unsigned i = 0; i < 150; i++)
        assert_int_equal(fx_asset_by_id(f, id[i], &asset), i == 3 || i == 77);
    assert_int_equal(stage(f), MS_ARREARS_HELD);
    fx_change_asset(f, id[3], mend);
    fx_change_asset(f, id[77], mend);
    sweep(f);
    assert_int_equal(stage(f), MS_ARREARS_ENDED);
    assert_false(fx_asset_by_id(f, id[3], &asset));
}

/* A deadline from before the last freeze that cannot be applied, because its asset is damaged, keeps the hold
 * from being recorded: that is this tenant's business, whatever its place among the others. */
static void a_hold_that_cannot_be_recorded_stops_no_other_tenant(void **state) {
    struct fx *f = *state;
    struct ms_ctx ctx = admin(f), peer = ctx;
    struct ms_tenant_record tenant;
    struct ms_sweep_result r;
    uint64_t ino = fx_file(f, fx_ino(f, "/files"), "a.txt", 10, "text/plain");
    struct ms_id id = fx_asset(f, ino).id;
    struct ms_asset_event gone = {.id = {id}, .event = MS_EVENT_DELETE};
    assert_ok(ms_asset_apply(&f->svc, &ctx, &gone, NULL, &test_err));
    fx_advance(f, 8 * DAY);
    fx_change_asset(f, id, spoil); /* it was due a day ago */
    for (unsigned i = 0; i < 2; i++)
        assert_ok(ms_tenant_hold(&f->svc, &ctx, MS_HOLD_ADMIN, i == 0, "x", &test_err));
    assert_ok(ms_tenant_set_arrears(&f->svc, &ctx, true, "", &tenant, &test_err));
    struct ms_id other[4];
    for (unsigned i = 0; i < 4; i++) { /* before and behind it, by id */
        char name[8];
        (void)snprintf(name, sizeof name, "u%u", i);
        struct ms_tenant_options o = {.name = name, .free_bytes = UINT64_MAX, .retention_ms = -1};
        assert_ok(ms_tenant_add(&f->svc, "root", &o, &tenant, &test_err));
        other[i] = tenant.id;
        peer.tenant = (struct ms_tenant_id){tenant.id};
        assert_ok(ms_tenant_set_arrears(&f->svc, &peer, true, "", &tenant, &test_err));
    }
    fx_advance(f, 2 * HALF);
    assert_code(ms_sweep(&f->svc, &r, &test_err), MS_CORRUPT);
    assert_true(r.damaged > 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_ok(ms_tenant_get(&f->svc, (struct ms_tenant_id){other[i]}, &tenant, &test_err));
        assert_int_equal(tenant.arrears, MS_ARREARS_ENDED);
    }
    fx_change_asset(f, id, mend);
    sweep(f);
    assert_int_equal(stage(f), MS_ARREARS_ENDED);
}

FX_TESTS(FX(each_is_lifted_alone_in_every_order_swept),
         FX(each_is_lifted_alone_in_every_order_unswept),
         FX(what_is_left_decides_when_the_asset_goes),
         FX(the_end_takes_every_asset_and_keeps_the_tenant),
         FX(off_after_the_end_gives_nothing_back),
         FX(a_damaged_asset_keeps_no_other_from_the_end_of_arrears),
         FX(a_hold_that_cannot_be_recorded_stops_no_other_tenant), FX(only_an_administrator_says_so))
