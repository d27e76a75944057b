/* bench_bill — nights of many tenants, closed.
 *
 *   bench_bill [-a assets] [-t tenants] [-d days] [DIR]
 *
 * Default: 1000000 assets of 10000 tenants, 30 days. Makes a store in DIR (default /var/tmp) under a
 * clock of its own: most assets on the first day, the others on the days after it, so that every
 * tenant has a day with changes. What the bill reads is there (assets, ledger, counters); files,
 * paths and objects are not.
 *
 * Then: one run over all days, a second one, and a third that closes one day more, in which nothing
 * changed. Each line has wall and CPU time, commits of the store, and the peak of resident memory
 * while it lasted: that memory is mostly pages of the store's file, which the kernel takes back as
 * it likes, so anonymous memory stands beside it. The last figure, CPU per closed tenant-day, is the
 * one to compare between two sizes: assets that did not change must cost nothing. */
#include "bench/support/bare_lmdb.h"

#include "quota/rates.h"
#include "service/bill.h"
#include "service/change.h"
#include "service/tenant.h"
#include "service/tree_rows.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define START INT64_C(1767225600000) /* 2026-01-01 */
#define THREADS 16u

struct bench {
    struct ms_svc *svc;
    struct ms_clock_fake clock;
    struct ms_rates rates;
    uint64_t assets, tenants;
    unsigned days;
    struct ms_tenant_record *tenant; /* owned */
    /* what the threads are at */
    unsigned day;
    atomic_uint_fast64_t next, made;
};

static void must(enum ms_code code, const char *what, const struct ms_error *err) {
    if (code != MS_OK)
        ms_bench_die(what, err->message);
}

/* ---- the store ------------------------------------------------------------------------------- */

static void open_store(struct bench *b, const char *dir) {
    static const char cards[] =
        "{\"currency\":\"EUR\",\"cards\":[{\"valid_from\":\"2026-01\",\"storage\":["
        "{\"up_to_gb_months\":\"10\",\"price\":\"0.02\"},{\"price\":\"0.015\"}]}]}";
    struct ms_svc_options options = {.dir = dir, .clock = &b->clock.clock, .label = "bench_bill"};
    struct ms_error err = {0};
    ms_clock_fake_init(&b->clock, ms_instant_of(START));
    must(ms_rates_parse(cards, sizeof cards - 1, &b->rates, &err), "cards", &err);
    must(ms_svc_init(&options, &err), dir, &err);
    must(ms_svc_open(&options, &b->svc, &err), dir, &err);
}

static void add_tenant(struct bench *b, uint64_t i) {
    char name[32];
    struct ms_error err = {0};
    (void)snprintf(name, sizeof name, "tenant-%05" PRIu64, i);
    struct ms_tenant_options o = {.name = name, .free_bytes = UINT64_MAX, .retention_ms = -1};
    must(ms_tenant_add(b->svc, "bench", &o, &b->tenant[i], &err), name, &err);
}

struct batch {
    uint64_t first, n; /* of the tenant's assets */
};

/* What a seal leaves of an asset for the bill. */
static enum ms_code make_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    const struct batch *batch = ((const struct ms_tree_call *)in)->args;
    struct ms_tree t;
    (void)out;
    MS_TRY(ms_tree_begin(&t, txn, in, reterr));
    for (uint64_t i = 0; i < batch->n; i++) {
        struct ms_asset_record a = {
            .type = MS_TYPE_COMMON_FILE, .rest = MS_STATE_ACTIVED, .sealed = 1};
        ms_txn_random(txn, a.id.b, MS_ID_BYTES);
        a.created = a.updated = t.now;
        (void)snprintf(a.name, sizeof a.name, "asset-%06" PRIu64, batch->first + i);
        MS_TRY(ms_change_bytes(txn, t.id, &a, (batch->first + i) % 128 * MS_MB + 1, MS_WHY_SEAL,
                               t.now, reterr));
        MS_TRY(ms_row_put_asset(txn, ms_key_asset(t.id, (struct ms_asset_id){a.id}), &a, reterr));
    }
    return MS_OK;
}

/* On the first day 19 of 20, on one of the other days the rest, at least one. */
static void make_assets(struct bench *b, uint64_t tenant) {
    uint64_t all = b->assets / b->tenants, first = all - 1 - (all - 1) / 20;
    bool now = b->day == 0 || tenant % (b->days - 1) + 1 == b->day;
    struct batch batch = {b->day ? first : 0, b->day ? all - first : first};
    struct ms_ctx ctx = {.tenant = {b->tenant[tenant].id}, .who = "bench", .admin = true};
    struct ms_error err = {0};
    if (!now)
        return;
    must(ms_tree_write(b->svc, &ctx, make_op, &batch, NULL, 0, &err), "assets", &err);
    atomic_fetch_add(&b->made, batch.n);
}

static void *fill(void *priv) {
    struct bench *b = priv;
    for (uint64_t i; (i = atomic_fetch_add(&b->next, 1)) < b->tenants;) {
        if (b->day == 0)
            add_tenant(b, i);
        make_assets(b, i);
    }
    return NULL;
}

static void fill_day(struct bench *b) {
    pthread_t thread[THREADS];
    atomic_store(&b->next, 0);
    for (unsigned i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, fill, b) != 0)
            ms_bench_die("thread", "cannot be started");
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
}

/* ---- measuring ------------------------------------------------------------------------------- */

static double cpu_s(void) {
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* A line of /proc/self/status in KiB. */
static uint64_t status_kib(const char *name) {
    char line[256];
    uint64_t kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtoull(line + strlen(name) + 1, NULL, 10);
    if (f)
        (void)fclose(f);
    return kib;
}

static void reset_peak(void) {
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f)
        return;
    (void)fputs("5", f);
    (void)fclose(f);
}

static uint64_t commits(struct bench *b) {
    struct ms_store_stats stats;
    ms_store_stats(b->svc->store, &stats);
    return stats.commits;
}

struct watch {
    struct bench *bench;
    uint64_t anon_kib;
};

static bool look(void *priv, uint64_t done) {
    struct watch *w = priv;
    if (done % 256 == 0) {
        uint64_t anon = status_kib("RssAnon:");
        w->anon_kib = anon > w->anon_kib ? anon : w->anon_kib;
    }
    return true;
}

static struct ms_bill_result measure(struct bench *b, const char *what) {
    struct watch w = {b, status_kib("RssAnon:")};
    struct ms_bill_options options = {.rates = &b->rates, .progress = look, .priv = &w};
    struct ms_bill_result r;
    struct ms_error err = {0};
    reset_peak();
    uint64_t before = commits(b);
    double wall = ms_bench_now_s(), cpu = cpu_s();
    must(ms_bill_run(b->svc, &options, &r, &err), "bill run", &err);
    wall = ms_bench_now_s() - wall;
    cpu = cpu_s() - cpu;
    printf("%-22s %8.2f s, CPU %7.2f s, %7" PRIu64 " tenant-days, %8" PRIu64 " events, %6" PRIu64
           " commits, peak %6" PRIu64 " MiB (anonymous %" PRIu64 " MiB)",
           what, wall, cpu, r.days, r.events, commits(b) - before, status_kib("VmHWM:") / 1024,
           w.anon_kib / 1024);
    if (r.days > 0)
        printf(", %.1f us CPU a tenant-day", cpu * 1e6 / (double)r.days);
    printf("\n");
    (void)fflush(stdout);
    return r;
}

static void print_finding(void *priv, const char *text) {
    (void)priv;
    printf("finding: %s\n", text);
}

static void verify(struct bench *b) {
    struct ms_bill_check check;
    struct ms_error err = {0};
    must(ms_bill_verify(b->svc, &b->rates, (struct ms_tenant_id){b->tenant[b->tenants / 2].id},
                        print_finding, NULL, &check, &err),
         "verify", &err);
    printf("bill verify of one tenant: %" PRIu64 " days, %" PRIu64 " findings\n", check.days,
           check.findings);
}

static void run(struct bench *b, const char *top) {
    char dir[4096];
    (void)snprintf(dir, sizeof dir, "%s/store", top);
    open_store(b, dir);
    b->tenant = calloc(b->tenants, sizeof *b->tenant);
    if (!b->tenant)
        ms_bench_die("tenants", "no memory");
    double begun = ms_bench_now_s();
    for (b->day = 0; b->day < b->days; b->day++) {
        ms_clock_fake_advance(&b->clock, MS_HOUR_MS);
        fill_day(b);
        ms_clock_fake_advance(&b->clock, MS_DAY_MS - MS_HOUR_MS);
    }
    printf("%" PRIu64 " assets of %" PRIu64 " tenants made in %.0f s\n", (uint64_t)b->made,
           b->tenants, ms_bench_now_s() - begun);
    (void)measure(b, "all days in one run");
    if (measure(b, "a second run").days != 0)
        ms_bench_die("a second run", "closed days again");
    ms_clock_fake_advance(&b->clock, MS_DAY_MS);
    (void)measure(b, "one day, no changes");
    verify(b);
    ms_svc_close(b->svc);
    ms_rates_fini(&b->rates);
    free(b->tenant);
}

int main(int argc, char **argv) {
    static struct bench b = {.assets = 1000000, .tenants = 10000, .days = 30};
    char top[4000];
    int opt;
    while ((opt = getopt(argc, argv, "a:t:d:")) != -1) {
        if (opt == 'a')
            b.assets = strtoull(optarg, NULL, 10);
        else if (opt == 't')
            b.tenants = strtoull(optarg, NULL, 10);
        else if (opt == 'd')
            b.days = (unsigned)strtoul(optarg, NULL, 10);
        else
            return 64;
    }
    if (b.tenants < 1 || b.assets < b.tenants || b.days < 2)
        return 64;
    (void)snprintf(top, sizeof top, "%s/bench_bill.XXXXXX",
                   optind < argc ? argv[optind] : "/var/tmp");
    if (!mkdtemp(top))
        ms_bench_die(top, "cannot make it");
    run(&b, top);
    printf("remove %s when you have looked at it\n", top);
    return 0;
}
