/* stage_impl.h — private to stage*.c: a stage, and where its bytes are.
 *
 *   stage.c          the map (which range is what), generations, space, the calls
 *   stage_bytes.c    the bytes of a range, in memory or in the file
 *   stage_journal.c  the folder and its limit
 *
 * Bytes lie by grain: in a slab, or in the file. A grain gets a slab with its first bytes, when there
 * is memory; it loses it to the file when memory is short (never the other way round while it holds
 * data). A slab that somebody else looks at is copied before it changes.
 *
 * Invariants: B1 in memory, a byte of kind ZERO is zero. B2 so it is in the file where the grain has
 * no slab. B3 behind size anything may lie: growth over a gap cuts first.
 */
#ifndef MS_CONTENT_STAGE_IMPL_H
#define MS_CONTENT_STAGE_IMPL_H

#include "content/parts.h"
#include "content/runs.h"
#include "content/slabs.h"
#include "content/stage.h"

#include <pthread.h>
#include <stdatomic.h>

MS_STATIC_ASSERT(MS_SLAB_BYTES == MS_PART_GRAIN, "a slab holds one grain");

/* Kinds of runs. */
enum ms_stage_kind { ABSENT, CLEAN, DIRTY, ZERO };

struct ms_journal {
    char *dir;
    pthread_mutex_t entering;
    int fd; /* under entering, until it is there: of the folder, holds its lock */
    uint64_t bytes_max;
    atomic_uint_fast64_t bytes;
    atomic_uint refs;  /* its opener and each stage */
    atomic_uint users; /* stages that hold slabs */
    struct ms_slabs *slabs;
};

struct ms_stage {
    struct ms_journal *journal;
    atomic_uint_fast64_t size, generation;
    atomic_size_t held; /* slabs; changed under the write lock, seen without any */
    pthread_mutex_t turnstile;
    pthread_rwlock_t lock;
    struct { /* write lock to change, read lock to see */
        struct ms_runs runs;
        uint64_t pages;        /* that hold data: what the journal counts */
        uint64_t *touched;     /* by grain: generation of its last change */
        struct ms_slab **slab; /* by grain; NULL: in the file, or nowhere */
        size_t grains;
        uint64_t put_end; /* of the write that goes on */
        int fd;           /* -1 until it is needed */
        int direct_fd;    /* the same file, past the page cache; -1: none */
    } locked;
    /* Whoever changes the file. Taken under lock, which may be given up meanwhile. */
    pthread_mutex_t filing;
};

static inline size_t ms_grain_of(uint64_t offset) { return (size_t)(offset / MS_PART_GRAIN); }

/* stage_journal.c */
int ms_journal_nameless_file(const struct ms_journal *journal); /* -1: errno */
void ms_journal_unref(struct ms_journal *journal);
MS_NODISCARD enum ms_code ms_journal_enter(struct ms_journal *journal, struct ms_error *reterr);
/* Count before the write, so that the limit is never passed. */
MS_NODISCARD enum ms_code ms_journal_take(struct ms_journal *journal, uint64_t bytes,
                                          struct ms_error *reterr);
void ms_journal_give(struct ms_journal *journal, uint64_t bytes);

/* stage.c */
void ms_stage_lock_to_see(struct ms_stage *s);
void ms_stage_lock_to_change(struct ms_stage *s);
void ms_stage_unlock(struct ms_stage *s);
uint64_t ms_stage_touched_locked(const struct ms_stage *s, uint64_t offset, uint64_t length);
bool ms_stage_range_is_present(const struct ms_stage *s, uint64_t offset, uint64_t n);

/* stage_bytes.c; all but free need the lock: to see for get, to change for the others. What returns
 * an int gives 0 or errno. */
/* Bytes of [from, from + n); *ret_n: how many got there, also when it fails. What lies before them in
 * a grain without data becomes zeros. */
int ms_bytes_put(struct ms_stage *s, uint64_t from, const void *p, size_t n, size_t *ret_n);
MS_NODISCARD enum ms_code ms_bytes_get(const struct ms_stage *s, uint64_t from, void *p, size_t n,
                                       struct ms_error *reterr);
int ms_bytes_zero(struct ms_stage *s, uint64_t from, uint64_t to); /* and the space back */
/* Zeros for a gap that opens behind the end, in memory: the file was cut there. */
int ms_bytes_clear(struct ms_stage *s, uint64_t from, uint64_t to);
/* The file ends there, and no slab lies wholly behind it. */
int ms_bytes_cut(struct ms_stage *s, uint64_t size);
/* The range holds no data any more. */
void ms_bytes_release(struct ms_stage *s, uint64_t from, uint64_t to);
void ms_bytes_free(struct ms_stage *s);
int ms_bytes_write_all(int fd, uint64_t offset, const void *p, size_t n, size_t *ret_n);

#endif
