/* Renewals that a program pays: paid, not paid, without an answer. */
#include "unit/service/tree/fixture.h"

#include "service/arrears.h"
#include "service/asset.h"
#include "service/bill.h"
#include "service/bin.h"
#include "service/payment.h"
#include "service/upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct ms_instant now(struct fx *f) { return ms_clock_now(&f->clock.clock); }
static void to(struct fx *f, struct ms_instant at) { fx_advance(f, at.ms - now(f).ms); }
static struct ms_ctx admin(const struct fx *f) {
    struct ms_ctx ctx = f->ctx;
    ctx.admin = true;
    return ctx;
}
/* As msasset sweep does. */
static struct ms_sweep_result sweep(struct fx *f) {
    struct ms_sweep_result r, paid;
    assert_ok(ms_sweep(&f->svc, &r, &test_err));
    if (r.unpaid == 0)
        return r;
    assert_ok(ms_sweep_payments(&f->svc, (struct ms_tenant_id){{{0}}}, NULL, &paid,
                                &test_err));
    paid.applied += r.applied;
    return paid;
}

/* A program that writes down what it is asked, and ends so. */
static void program(struct fx *f, const char *end) {
    char *path = ms_test_path(f->dir, "pay"), text[1024];
    (void)snprintf(text, sizeof text, "#!/bin/sh\necho \"$1\" >> %s/orders\ncat > %s/asked\n%s\n",
                   f->dir, f->dir, end);
    ms_test_write_file(path, text, strlen(text));
    assert_int_equal(chmod(path, 0700), 0);
    (void)snprintf(f->svc.payment_command, sizeof f->svc.payment_command, "%s", path);
    f->svc.payment_timeout_ms = 60000;
    free(path);
}

/* How often it was asked, and the orders differ (or are all the same). */
static unsigned asked(struct fx *f, unsigned *ret_differ) {
    char *path = ms_test_path(f->dir, "orders"), line[256], before[256] = "";
    FILE *file = fopen(path, "r");
    unsigned n = 0;
    *ret_differ = 0;
    while (file && fgets(line, sizeof line, file)) {
        *ret_differ += strcmp(line, before) != 0;
        memcpy(before, line, sizeof line);
        n++;
    }
    if (file)
        fclose(file);
    free(path);
    return n;
}

static bool was_told(struct fx *f, const char *text) {
    char *path = ms_test_path(f->dir, "asked"), all[2048];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t n = fread(all, 1, sizeof all - 1, file);
    all[n] = '\0';
    fclose(file);
    free(path);
    return strstr(all, text) != NULL;
}

static struct ms_package_record ordered(struct fx *f, struct ms_tenant_id tenant, const char *order,
                                        uint8_t kind, uint64_t amount, bool is_free) {
    struct ms_ctx ctx = admin(f);
    ctx.tenant = tenant;
    struct ms_package_order o = {.order = order,
                                 .name = "pack",
                                 .kind = kind,
                                 .amount = amount,
                                 .months = 1,
                                 .terms = 1,
                                 .free = is_free,
                                 .auto_renew = true};
    struct ms_package_record p;
    assert_ok(ms_package_buy(&f->svc, &ctx, &o, &p, &test_err));
    return p;
}

static struct ms_package_record got(struct fx *f, uint8_t kind, uint64_t amount, bool is_free) {
    return ordered(f, f->ctx.tenant, "first", kind, amount, is_free);
}

static struct ms_package_record bought(struct fx *f, uint8_t kind, uint64_t amount) {
    return got(f, kind, amount, false);
}

static struct ms_package_record seen(struct fx *f) {
    struct ms_package_record *list, p;
    size_t n;
    assert_ok(ms_package_list(&f->svc, &f->ctx, &list, &n, &test_err));
    assert_int_equal(n, 1);
    p = list[0];
    free(list);
    return p;
}

static uint64_t allowance(struct fx *f) {
    struct ms_quota_info info;
    assert_ok(ms_tenant_quota(&f->svc, &f->ctx, &info, &test_err));
    return info.allowance;
}

static struct ms_tenant_id other(struct fx *f, const char *name) {
    struct ms_tenant_record tenant;
    struct ms_tenant_options o = {.name = name, .free_bytes = UINT64_MAX, .retention_ms = -1};
    assert_ok(ms_tenant_add(&f->svc, "root", &o, &tenant, &test_err));
    return (struct ms_tenant_id){tenant.id};
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void what_is_paid_is_renewed_at_the_terms_end(void **state) {
    struct fx *f = *state;
    unsigned differ;
    struct ms_package_record p = bought(f, MS_PACKAGE_ASSET_MANAGER, MS_GB);
    struct ms_instant end = p.due_at;
    program(f, "exit 0");
    to(f, ms_instant_add_ms(end, -1));
    assert_int_equal(sweep(f).applied, 0);
    assert_int_equal(asked(f, &differ), 0);
    to(f, ms_instant_add_ms(end, 5 * MS_DAY_MS));
    assert_int_equal(sweep(f).applied, 1);
    assert_int_equal(asked(f, &differ), 1);
    assert_true(was_told(f, "\"package\": \"pack\""));
    assert_true(was_told(f, "\"term\": 2"));
    assert_true(was_told(f, "\"tenant\": \"t1\""));
    p = seen(f);
    assert_int_equal(p.bought, 2);
    assert_int_equal(p.due_at.ms, ms_instant_add_months(p.first, 2).ms);
    assert_int_equal(sweep(f).applied, 0); /* once */
    assert_int_equal(asked(f, &differ), 1);
    fx_advance(f, 65 * MS_DAY_MS); /* two terms more, one after the other */
    assert_int_equal(sweep(f).applied, 2);
    assert_int_equal(asked(f, &differ), 3);
    assert_int_equal(differ, 3);
}

static void what_is_free_is_renewed_without_a_question(void **state) {
    struct fx *f = *state;
    struct ms_sweep_result r;
    unsigned differ;
    struct ms_package_record p = got(f, MS_PACKAGE_ASSET_MANAGER, MS_GB, true);
    program(f, "exit 1");
    to(f, ms_instant_add_ms(p.due_at, MS_DAY_MS));
    r = sweep(f);
    assert_int_equal(r.unpaid, 0);
    assert_int_equal(seen(f).bought, 2);
    assert_int_equal(asked(f, &differ), 0);
}

static void what_is_not_paid_runs_out_at_the_terms_end(void **state) {
    struct fx *f = *state;
    struct ms_package_record p = bought(f, MS_PACKAGE_ASSET_MANAGER, MS_GB);
    struct ms_instant end = p.due_at;
    uint64_t before = allowance(f);
    program(f, "exit 3");
    to(f, ms_instant_add_ms(end, 5 * MS_DAY_MS));
    assert_int_equal(allowance(f), before); /* valid until the answer */
    assert_int_equal(sweep(f).applied, 1);
    assert_int_equal(allowance(f), before - MS_GB);
    p = seen(f);
    assert_int_equal(p.state, MS_PACKAGE_GRACE);
    assert_int_equal(p.ended.ms, end.ms);
    assert_int_equal(p.auto_renew, 0);
}

static void without_an_answer_it_waits_and_is_asked_for_the_same_order(void **state) {
    struct fx *f = *state;
    struct ms_ctx ctx = admin(f);
    struct ms_package_record p = bought(f, MS_PACKAGE_ASSET_MANAGER, MS_GB), other;
    struct ms_instant end = p.due_at;
    uint64_t before = allowance(f);
    unsigned differ;
    program(f, "kill -9 $$");
    to(f, ms_instant_add_ms(end, 40 * MS_DAY_MS));
    struct ms_sweep_result r = sweep(f);
    assert_int_equal(r.applied, 0);
    assert_int_equal(r.unpaid, 1);
    assert_int_equal(allowance(f), before);
    assert_int_equal(seen(f).state, MS_PACKAGE_VALID);
    assert_code(ms_package_renew_by(&f->svc, &ctx, (struct ms_package_id){p.id}, "by hand", 1,
                                    &other, &test_err),
                MS_BUSY);
    assert_non_null(strstr(test_err.message, "payment command"));
    assert_code(ms_package_set_auto_renew(&f->svc, &ctx, (struct ms_package_id){p.id}, false,
                                          &other, &test_err),
                MS_BUSY);
    assert_int_equal(asked(f, &differ), 1); /* a refusal asks nobody */
    assert_int_equal(sweep(f).unpaid, 1);
    assert_int_equal(asked(f, &differ), 2);
    assert_int_equal(differ, 1);
    program(f, "exit 0");
    assert_int_equal(sweep(f).applied, 2); /* and the term after it, which is over too */
    (void)asked(f, &differ);
    assert_int_equal(differ, 2);
    assert_int_equal(seen(f).bought, 3);
    assert_int_equal(seen(f).due_at.ms, ms_instant_add_months(p.first, 3).ms);
}

static void a_program_that_is_not_there_has_not_answered(void **state) {
    struct fx *f = *state;
    struct ms_package_record p = bought(f, MS_PACKAGE_ASSET_MANAGER, MS_GB);
    (void)snprintf(f->svc.payment_command, sizeof f->svc.payment_command, "/nowhere");
    to(f, p.due_at);
    assert_int_equal(sweep(f).unpaid, 1);
    assert_int_equal(seen(f).state, MS_PACKAGE_VALID);
}

static void in_arrears_nothing_is_asked(void **state) {
    struct fx *f = *state;
    struct ms_ctx ctx = admin(f);
    struct ms_tenant_record tenant;
    struct ms_package_record p = bought(f, MS_PACKAGE_ASSET_MANAGER, MS_GB);
    unsigned differ;
    program(f, "exit 0");
    to(f, ms_instant_add_ms(p.due_at, -MS_DAY_MS));
    assert_ok(ms_tenant_set_arrears(&f->svc, &ctx, true, "", &tenant, &test_err));
    to(f, p.due_at);
    assert_int_equal(seen(f).state, MS_PACKAGE_GRACE); /* unswept */
    assert_int_equal(sweep(f).applied, 1);
    assert_int_equal(seen(f).ended.ms, p.due_at.ms);
    assert_int_equal(asked(f, &differ), 0);
}

/* Paid after the end of the term, while the answer about it is still missing: one has nothing to do with
 * the other. */
static void arrears_end_while_an_answer_is_missing(void **state) {
    struct fx *f = *state;
    struct ms_ctx ctx = admin(f);
    struct ms_tenant_record tenant;
    struct ms_package_record p = bought(f, MS_PACKAGE_ASSET_MANAGER, MS_GB);
    program(f, "kill -9 $$");
    to(f, ms_instant_add_ms(p.due_at, MS_DAY_MS));
    assert_ok(ms_tenant_set_arrears(&f->svc, &ctx, true, "", &tenant, &test_err));
    fx_advance(f, MS_DAY_MS);
    assert_ok(ms_tenant_set_arrears(&f->svc, &ctx, false, "", &tenant, &test_err));
    assert_int_equal(seen(f).state, MS_PACKAGE_VALID);
    program(f, "exit 1");
    (void)sweep(f);
    assert_int_equal(seen(f).state, MS_PACKAGE_GRACE);
    assert_int_equal(seen(f).ended.ms, p.due_at.ms);
}

/* ... unless the term behind it is over too: whether that renews itself, the arrears decide. */
static void arrears_end_behind_an_answer_that_a_later_term_hangs_on(void **state) {
    struct fx *f = *state;
    struct ms_ctx ctx = admin(f);
    struct ms_tenant_record tenant;
    struct ms_package_record p = bought(f, MS_PACKAGE_ASSET_MANAGER, MS_GB);
    struct ms_instant second = ms_instant_add_months(p.first, 2);
    program(f, "kill -9 $$");
    to(f, ms_instant_add_ms(second, -MS_DAY_MS));
    assert_ok(ms_tenant_set_arrears(&f->svc, &ctx, true, "", &tenant, &test_err));
    to(f, second);
    assert_code(ms_tenant_set_arrears(&f->svc, &ctx, false, "", &tenant, &test_err), MS_BUSY);
    assert_non_null(strstr(test_err.message, "payment command"));
    program(f, "exit 0");
    (void)sweep(f);
    assert_ok(ms_tenant_set_arrears(&f->svc, &ctx, false, "", &tenant, &test_err));
    assert_int_equal(seen(f).state, MS_PACKAGE_GRACE);
    assert_int_equal(seen(f).ended.ms, second.ms);
}

/* It counts as valid: its units may be taken, and what has nothing to do with it goes on. */
static void what_waits_is_valid(void **state) {
    struct fx *f = *state;
    struct ms_ctx ctx = admin(f);
    struct ms_package_record p = bought(f, MS_PACKAGE_VOICE_CLONE, 2), other;
    struct ms_make make = {.parent = fx_ino(f, "/voices"), .name = "v", .mode = S_IFREG | 0644};
    struct ms_made made;
    assert_ok(ms_tree_make(&f->svc, &ctx, &make, &made, &test_err));
    fx_seal(f, made.node.inode.ino, 1000, "application/octet-stream", false);
    program(f, "kill -9 $$");
    to(f, ms_instant_add_ms(p.due_at, MS_DAY_MS));
    assert_int_equal(sweep(f).unpaid, 1);
    assert_ok(ms_bin_set(&f->svc, &ctx, 3 * MS_DAY_MS, NULL, &test_err));
    assert_ok(ms_package_bind(&f->svc, &ctx, (struct ms_package_id){p.id}, made.asset, &other,
                              &test_err));
    assert_int_equal(seen(f).used, 1);
    assert_int_equal(seen(f).bought, 1); /* nothing of the renewal is applied by that */
    program(f, "exit 0");
    assert_int_equal(sweep(f).applied, 1);
    assert_int_equal(seen(f).used, 1);
    assert_int_equal(seen(f).bought, 2);
    assert_int_equal(fx_asset(f, made.node.inode.ino).auto_renew, 1);
}

static void a_program_that_hangs_is_asked_three_times(void **state) {
    struct fx *f = *state;
    struct ms_package_record p = {.id = {{0}}};
    char order[8];
    unsigned differ;
    for (unsigned i = 0; i < 40; i++) { /* more than a page */
        (void)snprintf(order, sizeof order, "o%u", i);
        p = ordered(f, f->ctx.tenant, order, MS_PACKAGE_ASSET_MANAGER, MS_GB, false);
    }
    program(f, "kill -9 $$");
    to(f, ms_instant_add_ms(p.due_at, MS_DAY_MS));
    struct ms_sweep_result r = sweep(f);
    assert_int_equal(r.unpaid, 40);
    assert_int_equal(asked(f, &differ), MS_ASKED_IN_VAIN_MAX);
    program(f, "exit 0");
    r = sweep(f);
    assert_int_equal(r.unpaid, 0);
    assert_int_equal(r.applied, 40);
}

/* Nine of ten packages, at each of two tenants, that the program dies of: three of them in a row end each run, and
 * still all are asked in turn, and paid when they can be. */
static void packages_that_never_get_an_answer_starve_no_other(void **state) {
    struct fx *f = *state;
    struct ms_tenant_id at[] = {f->ctx.tenant, other(f, "u1")};
    struct ms_instant end = {0};
    char order[16], script[256], *next = ms_test_path(f->dir, "payment.next");
    struct ms_sweep_result r = {.unpaid = 0};
    unsigned differ;
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(order, sizeof order, "o%u", i);
        end = ordered(f, at[i % 2], order, MS_PACKAGE_ASSET_MANAGER, i < 2 ? 8 : 7, false).due_at;
    }
    (void)snprintf(script, sizeof script, "grep -q '\"amount\": 7,' %s/asked && kill -9 $$\nexit 0", f->dir);
    program(f, script);
    to(f, ms_instant_add_ms(end, MS_DAY_MS));
    for (unsigned runs = 1; runs <= 6; runs++) { /* each asks about three of the eighteen, or more */
        struct ms_bill_options night = {0};
        struct ms_bill_result closed;
        if (runs % 2 == 0)
            assert_int_equal(sweep(f).unpaid >= 18, 1);
        else
            assert_code(ms_bill_run(&f->svc, &night, &closed, &test_err), MS_TIMEOUT);
        assert_int_equal(access(next, F_OK), 0);
    }
    assert_ok(ms_sweep(&f->svc, &r, &test_err));
    assert_int_equal(r.unpaid, 18);
    unsigned n = asked(f, &differ);
    assert_true(n >= 20);
    assert_int_equal(differ, n); /* nobody twice in succession */
    program(f, "exit 0");
    assert_int_equal(sweep(f).unpaid, 0);
    assert_int_equal(access(next, F_OK), -1);
    free(next);
}

/* The run before gave up amid the packages of a tenant: those before the place come in the second round, and until then
 * nothing is said of them. A run for that tenant alone asks all of them. */
static void a_place_amid_a_tenants_packages_is_no_failure(void **state) {
    struct fx *f = *state;
    char order[16], *next = ms_test_path(f->dir, "payment.next");
    for (unsigned alone = 0; alone < 2; alone++) {
        struct ms_bill_options night = {.tenant = {{{0}}}};
        struct ms_bill_result closed;
        struct ms_instant end = {0};
        for (unsigned i = 0; i < 5; i++) {
            (void)snprintf(order, sizeof order, "o%u.%u", alone, i);
            end = ordered(f, f->ctx.tenant, order, MS_PACKAGE_ASSET_MANAGER, 7, false).due_at;
        }
        program(f, "kill -9 $$");
        to(f, ms_instant_add_ms(end, MS_DAY_MS));
        assert_true(sweep(f).unpaid >= 5);
        assert_int_equal(access(next, F_OK), 0);
        program(f, "exit 0");
        if (alone)
            night.tenant = f->ctx.tenant;
        assert_ok(ms_bill_run(&f->svc, &night, &closed, &test_err));
        assert_int_equal(sweep(f).unpaid, 0);
        assert_int_equal(access(next, F_OK), alone ? 0 : -1); /* not the concern of a run for one tenant */
    }
    free(next);
}

/* What cannot be read is no place: it begins at the first one. */
static void a_damaged_note_is_no_note(void **state) {
    struct fx *f = *state;
    static const char *const bad[] = {"", "x",
                                      "0123456789abcdef0123456789abcdef 0123456789abcdef0123456789abcdeg\n"};
    char *next = ms_test_path(f->dir, "payment.next");
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        struct ms_asking asking = {.in_vain = 0};
        ms_test_write_file(next, bad[i], strlen(bad[i]));
        ms_asking_begin(&f->svc, &asking);
        assert_true(ms_tenant_id_is_none(asking.from.tenant));
        assert_true(ms_asking_concerns(&asking, f->ctx.tenant) && ms_asking_is_last(&asking, f->ctx.tenant));
        assert_false(ms_asking_again(&asking));
    }
    free(next);
}

/* One without an answer keeps no other package from what is due of it, however much that is. */
static void one_without_an_answer_keeps_no_other_waiting(void **state) {
    struct fx *f = *state;
    struct ms_package_record list[4], p = {.id = {{0}}};
    char order[8], script[256];
    for (unsigned i = 0; i < 4; i++) {
        (void)snprintf(order, sizeof order, "o%u", i);
        list[i] = ordered(f, f->ctx.tenant, order, MS_PACKAGE_ASSET_MANAGER, MS_GB, false);
        if (i == 0 || memcmp(list[i].id.b, p.id.b, MS_ID_BYTES) > 0)
            p = list[i]; /* the last one of its page */
    }
    (void)snprintf(script, sizeof script, "case $1 in *%s*) kill -9 $$;; esac\nexit 0",
                   ms_id_text(p.id).s);
    program(f, script);
    to(f, ms_instant_add_ms(ms_instant_add_months(p.first, 3), 1));
    struct ms_sweep_result r = sweep(f);
    assert_int_equal(r.unpaid, 1);
    assert_int_equal(r.applied, 3 * 3); /* each of the others for three terms */
}

static bool yes(void *priv) { return ++*(unsigned *)priv > 1; }

static void a_run_that_is_stopped_asks_no_further(void **state) {
    struct fx *f = *state;
    unsigned questions = 0, differ;
    struct ms_asking asking = {.stopped = yes, .priv = &questions};
    struct ms_sweep_result r;
    struct ms_package_record p = bought(f, MS_PACKAGE_ASSET_MANAGER, MS_GB);
    (void)ordered(f, f->ctx.tenant, "second", MS_PACKAGE_ASSET_MANAGER, MS_GB, false);
    program(f, "exit 0");
    to(f, ms_instant_add_ms(p.due_at, MS_DAY_MS));
    assert_code(ms_sweep_payments(&f->svc, f->ctx.tenant, &asking, &r, &test_err), MS_CANCELLED);
    assert_int_equal(asked(f, &differ), 1);
}

static void one_process_asks_at_a_time(void **state) {
    struct fx *f = *state;
    unsigned differ;
    int lock;
    struct ms_package_record p = bought(f, MS_PACKAGE_ASSET_MANAGER, MS_GB);
    program(f, "exit 0");
    to(f, p.due_at);
    assert_ok(ms_svc_lock(&f->svc, "payment.lock", &lock, &test_err));
    assert_int_equal(sweep(f).unpaid, 1);
    assert_int_equal(asked(f, &differ), 0);
    close(lock);
    assert_int_equal(sweep(f).unpaid, 0);
    assert_int_equal(asked(f, &differ), 1);
}

/* Quota refusals and lists of the bin come from these. */
static void what_must_be_quick_asks_nobody(void **state) {
    struct fx *f = *state;
    struct ms_sweep_result r;
    struct ms_package_record p = bought(f, MS_PACKAGE_ASSET_MANAGER, MS_GB);
    unsigned differ;
    program(f, "exit 0");
    to(f, p.due_at);
    assert_ok(ms_sweep_tenant(&f->svc, f->ctx.tenant, &r, &test_err));
    assert_int_equal(r.unpaid, 1);
    assert_ok(ms_sweep(&f->svc, &r, &test_err));
    assert_int_equal(r.unpaid, 1);
    assert_int_equal(asked(f, &differ), 0);
    assert_ok(ms_sweep_payments(&f->svc, f->ctx.tenant, NULL, &r, &test_err));
    assert_int_equal(r.applied, 1);
    assert_int_equal(r.unpaid, 0);
    assert_int_equal(asked(f, &differ), 1);
}

/* ---- the nightly run ------------------------------------------------------------------------- */

static struct ms_instant closed_until(struct fx *f, struct ms_tenant_id id) {
    struct ms_tenant_record tenant;
    assert_ok(ms_tenant_get(&f->svc, id, &tenant, &test_err));
    return tenant.closed_until;
}

static enum ms_code bill(struct fx *f, struct ms_bill_result *ret_result) {
    struct ms_bill_options options = {0};
    return ms_bill_run(&f->svc, &options, ret_result, &test_err);
}

/* Three of them: its id says whether one comes before or behind the tenant that waits. */
static void a_day_waits_for_the_answer_and_no_other_tenants(void **state) {
    struct fx *f = *state;
    struct ms_bill_result r;
    struct ms_tenant_id others[] = {other(f, "u1"), other(f, "u2"), other(f, "u3")};
    struct ms_package_record p = bought(f, MS_PACKAGE_ASSET_MANAGER, MS_GB);
    struct ms_instant ends = ms_instant_day_start(p.due_at);
    unsigned differ;
    program(f, "kill -9 $$");
    to(f, ms_instant_add_ms(ends, -5 * MS_DAY_MS));
    assert_ok(bill(f, &r));
    to(f, ms_instant_add_ms(ends,
                            3 * MS_DAY_MS)); /* one stretch: days before its instant and behind */
    assert_code(bill(f, &r), MS_TIMEOUT);
    assert_int_equal(r.days, 5 + 3 * 8);
    assert_non_null(strstr(test_err.message, "payment command"));
    assert_int_equal(r.tenants, 4);
    assert_int_equal(asked(f, &differ), 1);
    assert_int_equal(closed_until(f, f->ctx.tenant).ms, ends.ms); /* before its day */
    for (size_t i = 0; i < MS_ARRAY_LEN(others); i++)
        assert_int_equal(closed_until(f, others[i]).ms, ends.ms + 3 * MS_DAY_MS);
    program(f, "exit 0");
    assert_ok(bill(f, &r));
    assert_int_equal(r.tenants, 4);
    assert_int_equal(r.days, 3);
    assert_int_equal(asked(f, &differ), 2);
    assert_int_equal(closed_until(f, f->ctx.tenant).ms, ends.ms + 3 * MS_DAY_MS);
    assert_int_equal(seen(f).bought, 2);
}

static void a_run_of_one_tenant_asks_too(void **state) {
    struct fx *f = *state;
    struct ms_bill_result r;
    struct ms_package_record p = bought(f, MS_PACKAGE_ASSET_MANAGER, MS_GB);
    struct ms_instant day = ms_instant_add_ms(ms_instant_day_start(p.due_at), MS_DAY_MS);
    struct ms_bill_options one = {.tenant = f->ctx.tenant};
    unsigned differ;
    program(f, "exit 0");
    to(f, day);
    assert_ok(ms_bill_run(&f->svc, &one, &r, &test_err));
    assert_int_equal(r.tenants, 1);
    assert_int_equal(asked(f, &differ), 1);
    assert_int_equal(closed_until(f, f->ctx.tenant).ms, day.ms);
    assert_ok(bill(f, &r));
    assert_int_equal(r.days, 0);
    assert_int_equal(asked(f, &differ), 1);
}

struct meanwhile {
    struct fx *f;
    unsigned calls, notes;
    char note[512];
};

/* Another process asks, and gets the answer, between the two passes of a run. */
static bool answered_meanwhile(void *priv, uint64_t done) {
    struct meanwhile *m = priv;
    struct ms_sweep_result r;
    (void)done;
    if (m->calls++ == 0)
        assert_ok(ms_sweep_payments(&m->f->svc, m->f->ctx.tenant, NULL, &r, &test_err));
    return true;
}

static void keep_note(void *priv, const char *tenant, const char *text) {
    struct meanwhile *m = priv;
    (void)tenant;
    m->notes++;
    (void)snprintf(m->note, sizeof m->note, "%s", text);
}

static void an_answer_that_came_meanwhile_leaves_no_day_open(void **state) {
    struct fx *f = *state;
    struct meanwhile m = {.f = f};
    struct ms_bill_options options = {.progress = answered_meanwhile, .note = keep_note, .priv = &m};
    struct ms_bill_result r;
    struct ms_package_record p = bought(f, MS_PACKAGE_ASSET_MANAGER, MS_GB);
    struct ms_instant day = ms_instant_add_ms(ms_instant_day_start(p.due_at), 3 * MS_DAY_MS);
    program(f, "exit 0");
    to(f, day);
    assert_ok(ms_bill_run(&f->svc, &options, &r, &test_err));
    assert_int_equal(closed_until(f, f->ctx.tenant).ms, day.ms);
    assert_int_equal(seen(f).bought, 2);
}

/* Nothing is asked, and the days that wait are named; the real run says so once. */
static void a_dry_run_names_the_days_that_wait(void **state) {
    struct fx *f = *state;
    struct meanwhile m = {.f = f};
    struct ms_bill_options options = {.dry = true, .note = keep_note, .priv = &m};
    struct ms_bill_result r;
    struct ms_package_record p = bought(f, MS_PACKAGE_ASSET_MANAGER, MS_GB);
    struct ms_instant ends = ms_instant_day_start(p.due_at);
    char day[MS_RFC3339_S_LEN + 1], wanted[64];
    unsigned differ;
    program(f, "kill -9 $$");
    to(f, ms_instant_add_ms(ends, 3 * MS_DAY_MS));
    assert_ok(ms_bill_run(&f->svc, &options, &r, &test_err));
    uint64_t days = r.days;
    ms_instant_format_s(ends, day);
    (void)snprintf(wanted, sizeof wanted, "no day from %.10s on", day);
    assert_int_equal(m.notes, 1);
    assert_non_null(strstr(m.note, wanted));
    assert_non_null(strstr(m.note, "payment command"));
    assert_int_equal(asked(f, &differ), 0);
    options.dry = false;
    m.notes = 0;
    assert_code(ms_bill_run(&f->svc, &options, &r, &test_err), MS_TIMEOUT);
    assert_int_equal(r.days, days);
    assert_int_equal(m.notes, 1);
}

#undef FX
#define FX(test) cmocka_unit_test_setup_teardown(test, fx_setup_files, fx_teardown_files)

FX_TESTS(FX(what_is_paid_is_renewed_at_the_terms_end),
         FX(what_is_free_is_renewed_without_a_question),
         FX(what_is_not_paid_runs_out_at_the_terms_end),
         FX(without_an_answer_it_waits_and_is_asked_for_the_same_order),
         FX(a_program_that_is_not_there_has_not_answered), FX(in_arrears_nothing_is_asked),
         FX(arrears_end_while_an_answer_is_missing),
         FX(arrears_end_behind_an_answer_that_a_later_term_hangs_on), FX(what_waits_is_valid),
         FX(a_program_that_hangs_is_asked_three_times),
         FX(packages_that_never_get_an_answer_starve_no_other), FX(a_place_amid_a_tenants_packages_is_no_failure),
         FX(packages_that_never_get_an_answer_starve_no_other), FX(a_damaged_note_is_no_note),
         FX(one_without_an_answer_keeps_no_other_waiting), FX(a_run_that_is_stopped_asks_no_further),
         FX(one_process_asks_at_a_time), FX(an_answer_that_came_meanwhile_leaves_no_day_open),
         FX(a_dry_run_names_the_days_that_wait), FX(what_must_be_quick_asks_nobody),
         FX(a_day_waits_for_the_answer_and_no_other_tenants), FX(a_run_of_one_tenant_asks_too))
