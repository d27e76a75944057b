/* bench_store — durable operations of the store against bare LMDB with the same rows, on the same disk, in one run.
 *
 *   bench_store [-s seconds] [-r rounds] [DIR]
 *
 * An operation is what creating a file costs: nine rows of the sizes that the service writes, one of them in the
 * change feed. Bare LMDB puts the same keys and values, one operation per commit for one thread; for 32 threads as
 * many operations per commit as the store's batches had. The two take turns, so that a disk that slows down slows
 * both; the ratio is of the medians. */
#include "bench/support/bare_lmdb.h"
#include "store/store.h"

#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS 9
#define ROUNDS_MAX 64

/* Table byte and length of the value; the last is the feed row. */
static const struct {
    char table;
    unsigned key, value;
} rows[ROWS] = {
    {'A', 33, 220}, /* asset */
    {'F', 49, 120}, /* file */
    {'I', 25, 110}, /* inode */
    {'N', 45, 60},  /* name */
    {'n', 33, 40},  /* entry */
    {'U', 17, 96},  /* usage: one row per tenant, written again and again */
    {'L', 25, 70},  /* ledger */
    {'E', 25, 150}, /* audit */
    {'f', 10, 90},  /* feed */
};

struct op {
    uint64_t n;
};

static unsigned make_key(unsigned row, uint64_t n, uint8_t key[64]) {
    memset(key, 0x11, 64);
    key[0] = (uint8_t)rows[row].table;
    if (rows[row].table == 'U')
        return rows[row].key;
    /* Asset and file ids are random, the others grow. */
    if (rows[row].table == 'A' || rows[row].table == 'F')
        n *= UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned i = 0; i < 8; i++)
        key[rows[row].key - 8 + i] = (uint8_t)(n >> (56 - 8 * i));
    return rows[row].key;
}

static enum ms_code create_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct op *op = in;
    uint8_t key[64], value[256];
    struct ms_view old;
    enum ms_code code;

    (void)out;
    memset(value, 0x5a, sizeof value);
    (void)ms_txn_instant(txn);
    for (unsigned i = 0; i < ROWS - 1; i++) {
        unsigned n = make_key(i, op->n, key);

        if (rows[i].table == 'U' && ms_txn_get(txn, ms_view_of(key, n), &old, NULL) == MS_CORRUPT)
            return ms_fail(reterr, MS_CORRUPT, "usage");
        code = ms_txn_put(txn, ms_view_of(key, n), ms_view_of(value, rows[i].value), reterr);
        if (code != MS_OK)
            return code;
    }
    return ms_txn_feed(txn, ms_view_of(value, rows[ROWS - 1].value), reterr);
}

static unsigned bare_key(unsigned row, uint64_t n, uint8_t key[MS_BARE_KEY_MAX],
                         unsigned *ret_value_n) {
    *ret_value_n = rows[row].value;
    return make_key(row, n, key);
}

/* ---- ours ------------------------------------------------------------------------------------ */

struct load {
    struct ms_store *store;
    _Atomic uint64_t *next;
    double until;
    uint64_t done;
};

static void *load_main(void *arg) {
    struct load *l = arg;
    struct ms_error err;

    while (ms_bench_now_s() < l->until) {
        struct op op = {atomic_fetch_add(l->next, 1)};

        if (ms_store_write(l->store, &(struct ms_write){.fn = create_op, .in = &op}, &err) != MS_OK)
            ms_bench_die("write", err.message);
        l->done++;
    }
    return NULL;
}

static double ours(struct ms_store *store, unsigned threads, double seconds, _Atomic uint64_t *next,
                   double *ret_batch) {
    struct ms_store_stats before, after;
    struct load loads[64];
    pthread_t ids[64];
    double begun = ms_bench_now_s();
    uint64_t done = 0;

    ms_store_stats(store, &before);
    for (unsigned i = 0; i < threads; i++) {
        loads[i] = (struct load){store, next, begun + seconds, 0};
        if (pthread_create(&ids[i], NULL, load_main, &loads[i]) != 0)
            ms_bench_die("thread", "none");
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        done += loads[i].done;
    }
    ms_store_stats(store, &after);
    *ret_batch =
        (double)(after.operations - before.operations) / (double)(after.commits - before.commits);
    return (double)done / (ms_bench_now_s() - begun);
}

/* ---- the comparison -------------------------------------------------------------------------- */

static void compare(struct ms_store *store, struct ms_bare *b, unsigned threads, double seconds,
                    unsigned rounds, _Atomic uint64_t *next, double bar) {
    double o[ROUNDS_MAX], p[ROUNDS_MAX], batch = 1, sum = 0, ratio;

    for (unsigned i = 0; i < rounds; i++) {
        o[i] = ours(store, threads, seconds, next, &batch);
        sum += batch;
        p[i] = ms_bare_run(b, (unsigned)(batch + 0.5), seconds);
    }
    ratio = ms_bench_median(o, rounds) / ms_bench_median(p, rounds);
    printf("%2u thread%s  ours %8.0f ops/s (%9.0f rows/s, %5.1f ops per commit)   bare %8.0f ops/s "
           "(%9.0f rows/s)   "
           "ratio %.2f, bar %.2f%s\n",
           threads, threads == 1 ? " " : "s", ms_bench_median(o, rounds),
           ms_bench_median(o, rounds) * ROWS, sum / rounds, ms_bench_median(p, rounds),
           ms_bench_median(p, rounds) * ROWS, ratio, bar, ratio >= bar ? "" : "  BELOW");
}

static void run(const char *top, double seconds, unsigned rounds) {
    char store_dir[4096], bare_dir[4096];
    struct ms_store_options options = {.dir = store_dir,
                                       .clock = ms_clock_system(),
                                       .random = ms_random_system(),
                                       .create = true,
                                       .label = "bench_store"};
    struct ms_store *store;
    struct ms_error err;
    struct ms_bare b = {.rows = ROWS, .key = bare_key};
    _Atomic uint64_t next = 0;

    snprintf(store_dir, sizeof store_dir, "%s/store", top);
    snprintf(bare_dir, sizeof bare_dir, "%s/bare", top);
    if (ms_store_open(&options, &store, &err) != MS_OK)
        ms_bench_die("open", err.message);
    ms_bare_open(&b, bare_dir);
    compare(store, &b, 1, seconds, rounds, &next, 0.8);
    compare(store, &b, 32, seconds, rounds, &next, 0.4);
    ms_bare_close(&b);
    ms_store_close(store);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
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
    snprintf(top, sizeof top, "%s/bench_store.XXXXXX", optind < argc ? argv[optind] : "/var/tmp");
    if (!mkdtemp(top))
        ms_bench_die(top, "cannot make it");
    printf("store and bare LMDB below %s, %u rounds of %.1f s each\n", top, rounds, seconds);
    run(top, seconds, rounds);
    if (nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "bench_store: cannot remove %s\n", top);
    return 0;
}
