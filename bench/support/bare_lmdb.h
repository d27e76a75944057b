/* bare_lmdb.h — bare LMDB with rows like ours, and the arithmetic of a comparison: what bench_store and bench_service
 * measure against. Whatever fails here ends the program: there is nothing to measure then. */
#ifndef MS_BENCH_BARE_LMDB_H
#define MS_BENCH_BARE_LMDB_H

#include <lmdb.h>
#include <stdint.h>

#define MS_BARE_KEY_MAX 64u
#define MS_BARE_VALUE_MAX 256u

struct ms_bare {
    MDB_env *env;
    MDB_dbi dbi;
    uint64_t next; /* operation */
    unsigned rows; /* of one operation */
    /* The key of a row of operation n, and how long its value is; returns the key's length. */
    unsigned (*key)(unsigned row, uint64_t n, uint8_t key[MS_BARE_KEY_MAX], unsigned *ret_value_n);
};

/* Makes dir. rows and key are set by the caller. */
void ms_bare_open(struct ms_bare *bare, const char *dir);
void ms_bare_close(struct ms_bare *bare);
/* Operations a second, batch of them in each commit. */
double ms_bare_run(struct ms_bare *bare, unsigned batch, double seconds);

double ms_bench_now_s(void);
/* Sorts the values. */
double ms_bench_median(double *values, unsigned n);
_Noreturn void ms_bench_die(const char *what, const char *why);

#endif
