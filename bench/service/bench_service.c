/* bench_service — durable metadata operations as service calls, against bare LMDB on the same disk
 * in the same run.
 *
 *   bench_service [-s seconds] [-r rounds] [DIR]
 *
 * The operation is ms_tree_make of a folder: one durable commit. Bare LMDB puts as many rows of the
 * same sizes: the new inode, its name, entry and link, the parent's inode, the tenant's usage, the
 * feed row and the last instant; for one thread one operation a commit, for 32 threads as many as
 * the store's batches had. The two take turns, so that a disk that slows down slows both; the ratio
 * is of the medians. */
#include "bench/support/bare_lmdb.h"
#include "service/tenant.h"
#include "service/tree.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS_MAX 64
#define THREADS_MAX 32u

/* Table byte, length of key and value (with the store's envelope); fixed: the same key each time.
 */
static const struct {
    char table;
    unsigned key, value;
    bool fixed;
} rows[] = {
    {'I', 25, 220, false}, {'N', 40, 60, false}, {'n', 33, 30, false}, {'p', 41, 12, false},
    {'I', 25, 220, true},  {'U', 17, 100, true}, {'f', 10, 90, false}, {'m', 10, 24, true},
};
#define ROWS (sizeof rows / sizeof rows[0])

static unsigned bare_key(unsigned row, uint64_t n, uint8_t key[MS_BARE_KEY_MAX],
                         unsigned *ret_value_n) {
    memset(key, 0x11, MS_BARE_KEY_MAX);
    key[0] = (uint8_t)rows[row].table;
    for (unsigned i = 0; i < 8 && !rows[row].fixed; i++)
        key[rows[row].key - 8 + i] = (uint8_t)(n >> (56 - 8 * i));
    *ret_value_n = rows[row].value;
    return rows[row].key;
}

/* ---- ours ------------------------------------------------------------------------------------ */

struct worker {
    struct ms_svc *svc;
    struct ms_ctx ctx;
    uint64_t parent, done;
    double until;
    atomic_uint_fast64_t *next;
};

static uint64_t make_folder(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t parent,
                            uint64_t n) {
    char name[32];
    struct ms_made made;
    struct ms_error err;
    (void)snprintf(name, sizeof name, "folder-%" PRIu64, n);
    struct ms_make make = {.parent = parent, .name = name, .mode = S_IFDIR | 0755};
    if (ms_tree_make(svc, ctx, &make, &made, &err) != MS_OK)
        ms_bench_die("make", err.message);
    return made.node.inode.ino;
}

static void *work(void *priv) {
    struct worker *w = priv;
    for (w->done = 0; ms_bench_now_s() < w->until; w->done++)
        (void)make_folder(w->svc, &w->ctx, w->parent, atomic_fetch_add(w->next, 1));
    return NULL;
}

/* Operations a second; *ret_batch: operations per commit. */
static double ours(struct worker *workers, unsigned threads, double seconds, double *ret_batch) {
    pthread_t thread[THREADS_MAX];
    struct ms_store_stats before, after;
    double begun = ms_bench_now_s();
    uint64_t done = 0;

    ms_store_stats(workers[0].svc->store, &before);
    for (unsigned i = 0; i < threads; i++) {
        workers[i].until = begun + seconds;
        if (pthread_create(&thread[i], NULL, work, &workers[i]) != 0)
            ms_bench_die("thread", "cannot be started");
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        done += workers[i].done;
    }
    ms_store_stats(workers[0].svc->store, &after);
    *ret_batch = (double)done / (double)(after.commits - before.commits);
    return (double)done / (ms_bench_now_s() - begun);
}

/* ---- the comparison -------------------------------------------------------------------------- */

static void compare(struct worker *workers, struct ms_bare *b, unsigned threads, double seconds,
                    unsigned rounds, double bar) {
    double o[ROUNDS_MAX], p[ROUNDS_MAX], batch = 1, sum = 0;
    for (unsigned i = 0; i < rounds; i++) {
        o[i] = ours(workers, threads, seconds, &batch);
        sum += batch;
        p[i] = ms_bare_run(b, (unsigned)(batch + 0.5), seconds);
    }
    double mine = ms_bench_median(o, rounds), theirs = ms_bench_median(p, rounds),
           ratio = mine / theirs;
    printf("%2u thread%s  service %8.0f calls/s (%9.0f rows/s, %5.1f calls per commit)   bare "
           "%8.0f/s (%9.0f rows/s)   "
           "ratio %.2f, bar %.2f%s\n",
           threads, threads == 1 ? " " : "s", mine, mine * (double)ROWS, sum / rounds, theirs,
           theirs * (double)ROWS, ratio, bar, ratio >= bar ? "" : "  BELOW");
}

static struct ms_svc *open_service(const char *dir, struct ms_ctx *ret_ctx, uint64_t *ret_root) {
    struct ms_svc_options options = {.dir = dir, .label = "bench_service"};
    struct ms_tenant_options tenant = {
        .name = "bench", .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record made;
    struct ms_svc *svc;
    struct ms_error err;
    if (ms_svc_init(&options, &err) != MS_OK || ms_svc_open(&options, &svc, &err) != MS_OK ||
        ms_tenant_add(svc, "bench", &tenant, &made, &err) != MS_OK)
        ms_bench_die(dir, err.message);
    *ret_ctx = (struct ms_ctx){.tenant = {made.id}, .who = "bench", .admin = true};
    *ret_root = made.root_ino;
    return svc;
}

static void run(const char *top, double seconds, unsigned rounds) {
    char dir[4096], bare_dir[4096];
    struct worker workers[THREADS_MAX];
    struct ms_bare b = {.rows = ROWS, .key = bare_key};
    struct ms_ctx ctx;
    uint64_t root;
    atomic_uint_fast64_t next = 0;

    (void)snprintf(dir, sizeof dir, "%s/store", top);
    (void)snprintf(bare_dir, sizeof bare_dir, "%s/bare", top);
    struct ms_svc *svc = open_service(dir, &ctx, &root);
    for (unsigned i = 0; i < THREADS_MAX; i++)
        workers[i] = (struct worker){
            .svc = svc, .ctx = ctx, .parent = make_folder(svc, &ctx, root, i), .next = &next};
    ms_bare_open(&b, bare_dir);
    compare(workers, &b, 1, seconds, rounds, 0.8);
    compare(workers, &b, THREADS_MAX, seconds, rounds, 0.4);
    ms_bare_close(&b);
    ms_svc_close(svc);
}

int main(int argc, char **argv) {
    double seconds = 2;
    unsigned rounds = 5;
    char top[4000];
    int opt;

    while ((opt = getopt(argc, argv, "s:r:")) != -1) {
        if (opt == 's')
            seconds = strtod(optarg, NULL);
        else if (opt == 'r')
            rounds = (unsigned)strtoul(optarg, NULL, 10);
        else
            return 64;
    }
    if (rounds < 1 || rounds > ROUNDS_MAX || seconds <= 0)
        return 64;
    (void)snprintf(top, sizeof top, "%s/bench_service.XXXXXX",
                   optind < argc ? argv[optind] : "/var/tmp");
    if (!mkdtemp(top))
        ms_bench_die(top, "cannot make it");
    printf("store and bare LMDB below %s, %u rounds of %.1f s each\n", top, rounds, seconds);
    run(top, seconds, rounds);
    printf("remove %s when you have looked at it\n", top);
    return 0;
}
