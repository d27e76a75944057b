#include "story.h"

#include "quota/quota.h"
#include "service/transfer.h"
#include "service/upkeep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const story_done_names[STORY_DONE] = {
#define STORY_NAME(n, text) text,
    STORY_DOES(STORY_NAME)
#undef STORY_NAME
};

static uint64_t below(struct story *s, uint64_t n) { return ms_random_below(&s->random.random, n); }
static struct ms_instant now(const struct story *s) { return ms_clock_now(&s->f->clock.clock); }

/* What follows is asked by this tenant. */
static void be(struct story *s, unsigned tenant) {
    s->f->tenant = s->tenants[tenant - 1].tenant;
    s->f->ctx.tenant = (struct ms_tenant_id){s->f->tenant.id};
    s->f->root = s->f->tenant.root_ino;
}

/* ---- the model ------------------------------------------------------------------------------- */

static struct ms_instant term_end(const struct story_package *p) {
    return p->months == 0 ? ms_instant_of(INT64_MAX)
                          : ms_instant_add_months(p->start, (int)(p->months * p->terms));
}

static bool is_valid(const struct story *s, const struct story_package *p) {
    return now(s).ms < term_end(p).ms;
}
/* Fifteen days of grace, fifteen of retention. */
static bool has_ended(const struct story *s, const struct story_package *p) {
    return !is_valid(s, p) && now(s).ms >= term_end(p).ms + 30 * MS_DAY_MS;
}

static bool is_alive(const struct story *s, const struct story_asset *a) {
    if (a->owner == 0 || (a->bound > 0 && has_ended(s, &s->packages[a->bound - 1])))
        return false;
    return ms_instant_is_none(a->gone) || now(s).ms < a->gone.ms;
}

static struct ms_instant counts_from(const struct story_asset *a) {
    return a->kind == STORY_VIDEO ? ms_instant_add_months(a->created, 6) : a->created;
}

/* What time has done since the last step. */
static void pass(struct story *s) {
    for (unsigned i = 0; i < s->packages_n; i++)
        while (s->packages[i].auto_renew && !is_valid(s, &s->packages[i]))
            s->packages[i].terms++;
    for (unsigned i = 0; i < STORY_ASSETS; i++)
        if (!is_alive(s, &s->assets[i]))
            s->assets[i].owner = 0;
}

struct sums {
    uint64_t metered, produced_free, allowance;
};

static struct sums sums_of(const struct story *s, unsigned tenant) {
    struct sums sums = {.allowance = s->tenants[tenant - 1].free_bytes};
    for (unsigned i = 0; i < STORY_ASSETS; i++) {
        const struct story_asset *a = &s->assets[i];
        if (a->owner == tenant && is_alive(s, a))
            *(now(s).ms < counts_from(a).ms ? &sums.produced_free : &sums.metered) += a->bytes;
    }
    for (unsigned i = 0; i < s->packages_n; i++) {
        const struct story_package *p = &s->packages[i];
        if (p->owner == tenant && p->kind == MS_PACKAGE_ASSET_MANAGER && is_valid(s, p))
            sums.allowance += p->amount;
    }
    return sums;
}

/* The next instant at which time does something; none: never. */
static struct ms_instant next_due(const struct story *s) {
    int64_t next = INT64_MAX;
#define AT(instant)                                                                                \
    if ((instant) > now(s).ms && (instant) < next)                                                 \
        next = (instant);
    for (unsigned i = 0; i < STORY_ASSETS; i++) {
        const struct story_asset *a = &s->assets[i];
        if (a->owner == 0)
            continue;
        AT(a->gone.ms)
        AT(counts_from(a).ms)
    }
    for (unsigned i = 0; i < s->packages_n; i++) {
        const struct story_package *p = &s->packages[i];
        AT(term_end(p).ms)
        if (p->months > 0)
            AT(term_end(p).ms + 30 * MS_DAY_MS)
    }
#undef AT
    return next == INT64_MAX ? (struct ms_instant){0} : ms_instant_of(next);
}

/* ---- the model against the store ------------------------------------------------------------- */

static void fold_on(struct story *s, struct story_tenant *t, struct ms_usage_record *ret_counters) {
    struct ms_tenant_id id = {t->tenant.id};
    struct ms_key from = ms_key_ledger(id, t->next), to = ms_key_ledger(id, UINT64_MAX);
    struct ms_ledger_record row;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    enum ms_usage_fault fault = MS_USAGE_FINE;
    assert_ok(ms_read_begin(s->f->svc.store, &txn, &test_err));
    ms_scan_begin(&scan, txn, ms_key_view(&from), ms_key_view(&to));
    while (fault == MS_USAGE_FINE && ms_row_next_ledger(&scan, &key, &row, NULL) == MS_OK) {
        fault = ms_usage_apply(&t->fold, &row);
        t->next = row.seq + 1;
    }
    ms_scan_end(&scan);
    enum ms_code code = ms_row_get_usage(txn, ms_key_usage(id), ret_counters, NULL);
    ms_read_end(txn);
    assert_int_equal(code, MS_OK);
    assert_int_equal(fault, MS_USAGE_FINE);
}

static void check_tenant(struct story *s, unsigned tenant) {
    struct story_tenant *t = &s->tenants[tenant - 1];
    struct sums model = sums_of(s, tenant);
    struct ms_usage_record counters;
    struct ms_quota_info quota;
    struct ms_statfs fs;
    be(s, tenant);
    fold_on(s, t, &counters);
    assert_int_equal(counters.standard, t->fold.standard);
    assert_int_equal(counters.produced, t->fold.produced);
    assert_int_equal(counters.produced_free, t->fold.produced_free);
    assert_int_equal(counters.excluded, t->fold.excluded);
    assert_ok(ms_tenant_quota(&s->f->svc, &s->f->ctx, &quota, &test_err));
    assert_ok(ms_tree_statfs(&s->f->svc, &s->f->ctx, &fs, &test_err));
    assert_int_equal(quota.allowance, model.allowance); /* swept or not */
    assert_int_equal(fs.total_bytes, model.allowance);
    assert_int_equal(fs.free_bytes,
                     quota.metered >= model.allowance ? 0 : model.allowance - quota.metered);
    assert_true(quota.metered >= model.metered); /* what is overdue in the bin goes with a sweep */
    if (!s->sweeps)
        return;
    assert_int_equal(quota.metered, model.metered);
    assert_int_equal(counters.standard + counters.produced, model.metered);
    assert_int_equal(counters.produced_free, model.produced_free);
}

void story_check(struct story *s) {
    struct ms_sweep_result swept;
    if (s->sweeps)
        assert_ok(ms_sweep(&s->f->svc, &swept, &test_err));
    pass(s);
    for (unsigned t = 1; t <= STORY_TENANTS; t++)
        check_tenant(s, t);
}

/* ---- assets ---------------------------------------------------------------------------------- */

static struct story_asset *begin_asset(struct story *s, struct story_asset *a, enum story_kind kind) {
    *a = (struct story_asset){.created = now(s), .kind = kind};
    a->owner = 1 + (unsigned)below(s, STORY_TENANTS);
    (void)snprintf(a->name, sizeof a->name, "f%u%s", s->made++, kind == STORY_VOICE ? "" : ".mp4");
    be(s, a->owner);
    return a;
}

static void put_one(struct story *s, struct story_asset *a) {
    (void)begin_asset(s, a, STORY_FILE);
    a->bytes = 1 + below(s, 3 * MS_GB);
    a->id = fx_asset(s->f, fx_file(s->f, s->f->root, a->name, a->bytes, "video/mp4")).id;
    s->done[DONE_PUT]++;
}

static void produce_one(struct story *s, struct story_asset *a) {
    (void)begin_asset(s, a, STORY_VIDEO);
    a->bytes = 1 + below(s, 2 * MS_GB);
    a->id = fx_asset(s->f, fx_produce(s->f, s->f->root, a->name, a->bytes, below(s, 7200))).id;
    s->done[DONE_PRODUCE]++;
}

static void voice_one(struct story *s, struct story_asset *a) {
    (void)begin_asset(s, a, STORY_VOICE);
    struct ms_make make = {.parent = fx_ino(s->f, "/voices"),
                           .name = a->name,
                           .mode = S_IFREG | 0644,
                           .any_folder = true};
    struct ms_made made;
    assert_ok(ms_tree_make(&s->f->svc, &s->f->ctx, &make, &made, &test_err));
    a->bytes = 1 + below(s, MS_GB);
    a->id = made.asset.id;
    fx_seal(s->f, made.node.inode.ino, a->bytes, "application/octet-stream", false);
    s->done[DONE_VOICE]++;
}

static struct ms_asset_record record_of(struct story *s, const struct story_asset *a) {
    struct ms_asset_record record;
    be(s, a->owner);
    assert_true(fx_asset_by_id(s->f, a->id, &record));
    return record;
}

static void overwrite_one(struct story *s, struct story_asset *a) {
    if (a->kind == STORY_VIDEO || a->frozen || a->binned || a->bound)
        return;
    a->bytes = 1 + below(s, 3 * MS_GB);
    fx_seal(s->f, record_of(s, a).ino, a->bytes, "video/mp4", false);
    s->done[DONE_OVERWRITE]++;
}

static void apply(struct story *s, const struct story_asset *a, enum ms_event event) {
    struct ms_ctx ctx;
    struct ms_asset_event e = {.id = {a->id}, .event = event, .why = "story", .reason_code = "X"};
    be(s, a->owner);
    ctx = bill_admin(s->f);
    assert_ok(ms_asset_apply(&s->f->svc, &ctx, &e, NULL, &test_err));
}

static void delete_one(struct story *s, struct story_asset *a) {
    if (a->bound || a->binned)
        return;
    s->done[DONE_DELETE]++;
    if (below(s, 4) == 0) {
        apply(s, a, MS_EVENT_FORCE_DELETE);
        a->owner = 0;
        return;
    }
    apply(s, a, MS_EVENT_DELETE);
    a->binned = true;
    a->gone = ms_instant_add_ms(now(s), 7 * MS_DAY_MS);
}

static void restore_one(struct story *s, struct story_asset *a) {
    if (!a->binned)
        return;
    apply(s, a, MS_EVENT_RESTORE);
    a->binned = false;
    a->gone = (struct ms_instant){0};
    s->done[DONE_RESTORE]++;
}

static void freeze_one(struct story *s, struct story_asset *a) {
    if (a->binned || a->bound)
        return;
    apply(s, a, a->frozen ? MS_EVENT_UNFREEZE : MS_EVENT_FREEZE);
    a->frozen = !a->frozen;
    s->done[DONE_FREEZE]++;
}

/* An administrator hands it over, accepted in the same step; refused when it does not fit. */
static void transfer_one(struct story *s, struct story_asset *a) {
    unsigned to = 1 + (a->owner + (unsigned)below(s, STORY_TENANTS - 1)) % STORY_TENANTS;
    struct ms_asset_id id = {a->id};
    struct ms_transfer_create create = {.assets = &id,
                                        .n = 1,
                                        .dest = {s->tenants[to - 1].tenant.id},
                                        .auto_accept = true,
                                        .activate = true};
    struct ms_transfer_record job;
    struct sums sums = sums_of(s, to);
    struct ms_error err = {0};
    if (a->frozen || a->binned || a->bound)
        return;
    uint64_t counted = now(s).ms < counts_from(a).ms ? 0 : a->bytes;
    bool fits = counted == 0 || sums.metered + counted <= sums.allowance;
    be(s, a->owner);
    struct ms_ctx ctx = bill_admin(s->f);
    enum ms_code code = ms_transfer_create(&s->f->svc, &ctx, &create, &job, &err);
    if (s->sweeps && (code == MS_OK) != fits)
        fail_msg("a transfer of %" PRIu64 " bytes gave %s: %s", counted, ms_code_name(code), err.message);
    assert_true(fits || code != MS_OK);
    if (code != MS_OK)
        return;
    a->owner = to;
    s->done[DONE_TRANSFER]++;
}

/* ---- packages -------------------------------------------------------------------------------- */

static void buy_one(struct story *s) {
    static const uint32_t months[] = {0, 1, 1, 2, 3, 12};
    struct story_package *p = &s->packages[s->packages_n];
    struct ms_package_record bought, again;
    char order[32], name[8];
    struct ms_package_order o = {.order = order, .name = name};
    unsigned owner = 1 + (unsigned)below(s, STORY_TENANTS);
    if (s->packages_n == STORY_PACKAGES)
        return;
    o.months = months[below(s, MS_ARRAY_LEN(months))];
    o.terms = o.months == 0 ? 1 : 1 + (uint32_t)below(s, 3);
    o.kind = (uint8_t)below(s, MS_PACKAGE_KIND_COUNT);
    o.free = below(s, 4) == 0;
    o.auto_renew = o.months > 0 && below(s, 4) == 0;
    o.amount = 1 + below(s, o.kind == MS_PACKAGE_ASSET_MANAGER ? 2 * MS_GB
                            : o.kind == MS_PACKAGE_VIDEO_MINUTES ? 20000
                                                                 : 3);
    (void)snprintf(order, sizeof order, "o%u", s->orders++);
    (void)snprintf(name, sizeof name, "p%u", (unsigned)below(s, 4));
    be(s, owner);
    struct ms_ctx ctx = bill_admin(s->f);
    assert_ok(ms_package_buy(&s->f->svc, &ctx, &o, &bought, &test_err));
    if (below(s, 3) == 0) { /* the same order again */
        assert_ok(ms_package_buy(&s->f->svc, &ctx, &o, &again, &test_err));
        assert_memory_equal(again.id.b, bought.id.b, MS_ID_BYTES);
    }
    *p = (struct story_package){.id = bought.id,
                                .owner = owner,
                                .kind = o.kind,
                                .amount = o.amount,
                                .start = now(s),
                                .months = o.months,
                                .terms = o.terms,
                                .auto_renew = o.auto_renew};
    s->packages_n++;
    s->done[DONE_BUY]++;
}

/* New terms lie where they would have followed; those that are over are skipped. */
static void model_renewal(const struct story *s, struct story_package *p, uint32_t terms) {
    if (!is_valid(s, p))
        for (p->terms++, terms--; !is_valid(s, p);)
            p->terms++;
    p->terms += terms;
}

static void renew_one(struct story *s) {
    struct story_package *p = &s->packages[s->packages_n ? below(s, s->packages_n) : 0];
    struct ms_package_id id = {p->id};
    struct ms_package_record r;
    char order[32];
    uint32_t terms = 1 + (uint32_t)below(s, 2);
    if (s->packages_n == 0)
        return;
    bool may = p->months > 0 && !has_ended(s, p);
    be(s, p->owner);
    struct ms_ctx ctx = bill_admin(s->f);
    (void)snprintf(order, sizeof order, "o%u", s->orders++);
    assert_code(ms_package_renew_by(&s->f->svc, &ctx, id, order, terms, &r, &test_err),
                may ? MS_OK : MS_WRONG_STATE);
    if (!may)
        return;
    model_renewal(s, p, terms);
    s->done[DONE_RENEW]++;
    if (below(s, 3) != 0)
        return;
    p->auto_renew = !p->auto_renew;
    assert_ok(ms_package_set_auto_renew(&s->f->svc, &ctx, id, p->auto_renew, &r, &test_err));
}

/* A voice takes a unit of the first package that has one. */
static void bind_one(struct story *s, struct story_asset *a) {
    struct ms_package_record r;
    if (a->kind != STORY_VOICE || a->bound || a->binned || a->frozen)
        return;
    for (unsigned i = 0; i < s->packages_n && !a->bound; i++) {
        struct story_package *p = &s->packages[i];
        if (p->owner != a->owner || p->kind != MS_PACKAGE_VOICE_CLONE || !is_valid(s, p) ||
            p->used == p->amount)
            continue;
        be(s, a->owner);
        struct ms_ctx ctx = bill_admin(s->f);
        assert_ok(ms_package_bind(&s->f->svc, &ctx, (struct ms_package_id){p->id},
                                  (struct ms_asset_id){a->id}, &r, &test_err));
        a->bound = i + 1;
        p->used++;
        s->done[DONE_BIND]++;
    }
}

/* ---- tenants, nights, time ------------------------------------------------------------------- */

static void set_quota(struct story *s) {
    unsigned tenant = 1 + (unsigned)below(s, STORY_TENANTS);
    struct story_tenant *t = &s->tenants[tenant - 1];
    be(s, tenant);
    struct ms_ctx ctx = bill_admin(s->f);
    t->free_bytes = below(s, 12 * MS_GB);
    assert_ok(ms_tenant_set_quota(&s->f->svc, &ctx, t->free_bytes, &test_err));
    s->done[DONE_QUOTA]++;
}

static void adjust_one(struct story *s) {
    struct ms_adjust_record row;
    struct ms_bill_adjustment a = {
        .credit = below(s, 2), .micros = 1 + below(s, 100 * MS_MICRO), .reason = "story"};
    be(s, 1 + (unsigned)below(s, STORY_TENANTS));
    struct ms_ctx ctx = bill_admin(s->f);
    assert_ok(ms_bill_adjust(&s->f->svc, &ctx, &a, &row, &test_err));
    s->done[DONE_ADJUST]++;
}

/* Up to now, or only up to some day before. */
static void run_one(struct story *s) {
    struct ms_instant through = {0};
    if (!s->runs)
        return;
    if (below(s, 4) == 0)
        through = ms_instant_add_ms(now(s), -(int64_t)below(s, 20) * MS_DAY_MS);
    assert_int_equal(bill_run(s->f, s->rates, through).parked, 0);
    s->done[DONE_RUN]++;
}

/* To the next instant of the model, a millisecond before it, or after it; or to midnight. */
static void to_an_instant(struct story *s) {
    struct ms_instant at = next_due(s);
    int64_t midnight = ms_instant_day_start(now(s)).ms + MS_DAY_MS;
    if (ms_instant_is_none(at) || below(s, 3) == 0)
        at = ms_instant_of(midnight);
    at = ms_instant_add_ms(at, (int64_t)below(s, 3) - 1);
    if (at.ms > now(s).ms)
        fx_advance(s->f, at.ms - now(s).ms);
}

static void pass_time(struct story *s) {
    switch (below(s, 16)) {
    case 0:
        fx_advance(s->f, 1 + (int64_t)below(s, 100));
        break;
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
        to_an_instant(s);
        break;
    case 7:
        fx_advance(s->f, (int64_t)below(s, 30 * MS_DAY_MS)); /* nobody comes by meanwhile */
        break;
    default:
        fx_advance(s->f, (int64_t)below(s, 40 * MS_HOUR_MS));
        break;
    }
}

static void step_asset(struct story *s, struct story_asset *a) {
    switch (below(s, 9)) {
    case 0:
    case 1:
        delete_one(s, a);
        break;
    case 2:
        restore_one(s, a);
        break;
    case 3:
        freeze_one(s, a);
        break;
    case 4:
    case 5:
        transfer_one(s, a);
        break;
    case 6:
        bind_one(s, a);
        break;
    default:
        overwrite_one(s, a);
        break;
    }
}

static void make_one(struct story *s, struct story_asset *a) {
    switch (below(s, 4)) {
    case 0:
        produce_one(s, a);
        break;
    case 1:
        voice_one(s, a);
        break;
    default:
        put_one(s, a);
        break;
    }
}

void story_step(struct story *s) {
    struct story_asset *a = &s->assets[below(s, STORY_ASSETS)];
    pass(s);
    switch (below(s, 24)) {
    case 0:
        set_quota(s);
        break;
    case 1:
        buy_one(s);
        break;
    case 2:
        renew_one(s);
        break;
    case 3:
        adjust_one(s);
        break;
    case 4:
        run_one(s);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        pass_time(s);
        break;
    default:
        if (a->owner)
            step_asset(s, a);
        else
            make_one(s, a);
        break;
    }
}

/* ---- beginning and end ----------------------------------------------------------------------- */

void story_begin(struct story *s, struct fx *f, const struct ms_rates *rates, uint64_t seed) {
    *s = (struct story){.f = f, .rates = rates};
    ms_random_seeded_init(&s->random, seed);
    if (below(s, 3) == 0)
        fx_advance(f, (int64_t)below(s, 700 * MS_DAY_MS)); /* other months, a leap year */
    s->tenants[0].tenant = f->tenant;
    for (unsigned i = 0; i < STORY_TENANTS; i++) {
        struct story_tenant *t = &s->tenants[i];
        char name[8];
        (void)snprintf(name, sizeof name, "t%u", i + 1);
        struct ms_tenant_options o = {.name = name, .free_bytes = UINT64_MAX, .retention_ms = -1};
        if (i > 0)
            assert_ok(ms_tenant_add(&f->svc, "root@cli", &o, &t->tenant, &test_err));
        t->free_bytes = t->tenant.free_bytes;
        t->next = 1;
        be(s, i + 1);
        struct ms_ctx ctx = bill_admin(f);
        assert_ok(ms_tenant_set_pay_per_use(&f->svc, &ctx, true, &test_err));
        assert_ok(ms_transfer_allow(&f->svc, &ctx, MS_MAY_TRANSFER_ANY, &test_err));
        fx_advance(f, (int64_t)below(s, 3 * MS_DAY_MS));
    }
}

void story_end(struct story *s) {
    for (unsigned t = STORY_TENANTS; t >= 1; t--) {
        be(s, t);
        fx_check(s->f);
    }
    ms_random_seeded_fini(&s->random);
}

/* Commands ask the live files of the process. */
int story_setup(void **state) {
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    int failed = fx_setup(state);
    struct fx *f = *state;
    assert_ok(ms_files_new(&f->svc, &f->svc.files, &test_err));
    return failed;
}

int story_teardown(void **state) {
    struct fx *f = *state;
    ms_files_free(f->svc.files);
    fx_drop(f);
    return 0;
}
