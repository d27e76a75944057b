#include "bare_lmdb.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

double ms_bench_now_s(void) { return (double)ms_clock_mono_ns(ms_clock_system()) / 1e9; }

_Noreturn void ms_bench_die(const char *what, const char *why) {
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
    exit(1);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double ms_bench_median(double *values, unsigned n) {
    qsort(values, n, sizeof *values, by_size);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void must(int rc, const char *what) {
    if (rc != 0)
        ms_bench_die(what, mdb_strerror(rc));
}

void ms_bare_open(struct ms_bare *bare, const char *dir) {
    MDB_txn *txn;

    if (mkdir(dir, 0700) != 0)
        ms_bench_die(dir, strerror(errno));
    must(mdb_env_create(&bare->env), "create");
    must(mdb_env_set_mapsize(bare->env, (size_t)64 << 30), "mapsize");
    must(mdb_env_open(bare->env, dir, MDB_NOTLS, 0600), "open");
    must(mdb_txn_begin(bare->env, NULL, 0, &txn), "begin");
    must(mdb_dbi_open(txn, NULL, 0, &bare->dbi), "dbi");
    must(mdb_txn_commit(txn), "commit");
}

void ms_bare_close(struct ms_bare *bare) { mdb_env_close(bare->env); }

static void put_operation(struct ms_bare *bare, MDB_txn *txn) {
    uint8_t key[MS_BARE_KEY_MAX], value[MS_BARE_VALUE_MAX];

    memset(value, 0x5a, sizeof value);
    for (unsigned row = 0; row < bare->rows; row++) {
        unsigned value_n, key_n = bare->key(row, bare->next, key, &value_n);
        MDB_val k = {key_n, key}, v = {value_n, value};

        must(mdb_put(txn, bare->dbi, &k, &v, 0), "put");
    }
    bare->next++;
}

double ms_bare_run(struct ms_bare *bare, unsigned batch, double seconds) {
    double begun = ms_bench_now_s();
    uint64_t done = 0;

    while (ms_bench_now_s() < begun + seconds) {
        MDB_txn *txn;

        must(mdb_txn_begin(bare->env, NULL, 0, &txn), "begin");
        for (unsigned i = 0; i < batch; i++)
            put_operation(bare, txn);
        must(mdb_txn_commit(txn), "commit");
        done += batch;
    }
    return (double)done / (ms_bench_now_s() - begun);
}
