#include "content/stage_impl.h"

#include "base/assert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_BYTES UINT64_C(4096) /* in which file systems give out space */

#define COPY_BYTES ((size_t)1 << 20)

static bool has_data(unsigned kind) { return kind == CLEAN || kind == DIRTY; }
static bool is_dirty(unsigned kind) { return kind == DIRTY || kind == ZERO; }

/* ---- a stage --------------------------------------------------------------------------------- */

/* Whoever comes waits at the turnstile behind those who came before, so neither writers that never
 * pause nor readers that never pause keep the others out for ever: each kind of rwlock allows one.
 */
void ms_stage_lock_to_see(struct ms_stage *s) {
    pthread_mutex_lock(&s->turnstile);
    pthread_rwlock_rdlock(&s->lock);
    pthread_mutex_unlock(&s->turnstile);
}

void ms_stage_lock_to_change(struct ms_stage *s) {
    pthread_mutex_lock(&s->turnstile);
    pthread_rwlock_wrlock(&s->lock);
    pthread_mutex_unlock(&s->turnstile);
}

void ms_stage_unlock(struct ms_stage *s) { pthread_rwlock_unlock(&s->lock); }

enum ms_code ms_stage_open(struct ms_journal *journal, struct ms_stage **ret_stage,
                           struct ms_error *reterr) {
    struct ms_stage *s = calloc(1, sizeof *s);
    enum ms_code code;

    if (!s)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a staged file");
    code = ms_journal_enter(journal, reterr);
    if (code) {
        free(s);
        return code;
    }
    s->locked.fd = s->locked.direct_fd = -1;
    pthread_mutex_init(&s->turnstile, NULL);
    pthread_mutex_init(&s->filing, NULL);
    pthread_rwlock_init(&s->lock, NULL);
    s->journal = journal;
    atomic_fetch_add(&journal->refs, 1);
    *ret_stage = s;
    return MS_OK;
}

void ms_stage_close(struct ms_stage *s) {
    if (!s)
        return;
    ms_bytes_free(s);
    ms_journal_give(s->journal, s->locked.pages * PAGE_BYTES);
    ms_journal_unref(s->journal);
    pthread_rwlock_destroy(&s->lock);
    pthread_mutex_destroy(&s->filing);
    pthread_mutex_destroy(&s->turnstile);
    ms_runs_fini(&s->locked.runs);
    free(s->locked.touched);
    free(s->locked.slab);
    free(s);
}

uint64_t ms_stage_size(struct ms_stage *s) { return atomic_load(&s->size); }
uint64_t ms_stage_generation(struct ms_stage *s) { return atomic_load(&s->generation); }

/* ---- space ----------------------------------------------------------------------------------- */

/* How many pages of [from, to), rounded outwards, hold data of any run. */
static uint64_t pages_held(const struct ms_stage *s, uint64_t from, uint64_t to) {
    uint64_t at = from / PAGE_BYTES * PAGE_BYTES,
             end = (to + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    uint64_t counted_to = at, pages = 0;

    while (at < end) {
        struct ms_run run = ms_runs_at(&s->locked.runs, at);
        uint64_t run_end = run.to < end ? run.to : end;

        if (has_data(run.kind)) {
            uint64_t first = at / PAGE_BYTES * PAGE_BYTES;
            uint64_t last = (run_end + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;

            if (first < counted_to)
                first = counted_to;
            if (last > first)
                pages += (last - first) / PAGE_BYTES;
            counted_to = last > counted_to ? last : counted_to;
        }
        at = run_end;
    }
    return pages;
}

static uint64_t pages_of(uint64_t from, uint64_t to) {
    return (to + PAGE_BYTES - 1) / PAGE_BYTES - from / PAGE_BYTES;
}

/* Set a kind and keep the count of pages right. taken: pages that the journal has counted already
 * for this. */
static void set_kind(struct ms_stage *s, uint64_t from, uint64_t to, enum ms_stage_kind kind,
                     uint64_t taken) {
    uint64_t before = pages_held(s, from, to), after;

    ms_runs_set(&s->locked.runs, from, to, kind);
    after = pages_held(s, from, to);
    MS_ASSERT(s->locked.pages + after >= before);
    s->locked.pages += after - before;
    if (after > before)
        MS_ASSERT(taken >= after - before);
    taken -= after - before; /* modulo 2^64: gives back what got free as well */
    ms_journal_give(s->journal, taken * PAGE_BYTES);
    MS_CHECK(s->locked.runs.leaves > 4 || ms_runs_is_valid(&s->locked.runs)); /* more: too slow */
}

/* ---- changes --------------------------------------------------------------------------------- */

/* Room for the marks of everything below end. */
static enum ms_code reserve_marks(struct ms_stage *s, uint64_t end, struct ms_error *reterr) {
    size_t want = end == 0 ? 0 : ms_grain_of(end - 1) + 1, grains = s->locked.grains;
    struct ms_slab **slab;
    uint64_t *touched;

    if (want <= grains)
        return MS_OK;
    grains = want > grains * 2 ? want : grains * 2;
    touched = realloc(s->locked.touched, grains * sizeof *touched);
    if (touched)
        s->locked.touched = touched;
    slab = touched ? realloc(s->locked.slab, grains * sizeof(struct ms_slab *)) : NULL;
    if (!slab)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a staged file of %" PRIu64 " bytes",
                       end);
    memset(touched + s->locked.grains, 0, (grains - s->locked.grains) * sizeof *touched);
    for (size_t i = s->locked.grains; i < grains; i++)
        slab[i] = NULL;
    s->locked.slab = slab;
    s->locked.grains = grains;
    return MS_OK;
}

/* A new generation, written at every grain of [from, to) before any byte changes. */
static void mark(struct ms_stage *s, uint64_t from, uint64_t to) {
    uint64_t generation = atomic_fetch_add(&s->generation, 1) + 1;

    for (size_t i = ms_grain_of(from); from < to && i <= ms_grain_of(to - 1); i++)
        s->locked.touched[i] = generation;
}

/* What each change needs before "after this line nothing may fail but the file itself". */
static enum ms_code reserve(struct ms_stage *s, uint64_t end, struct ms_error *reterr) {
    enum ms_code code = ms_runs_reserve(&s->locked.runs, reterr);

    return code ? code : reserve_marks(s, end, reterr);
}

static enum ms_code check_end(uint64_t offset, uint64_t n, struct ms_error *reterr) {
    if (offset <= MS_FILE_BYTES_MAX && n <= MS_FILE_BYTES_MAX - offset)
        return MS_OK;
    return ms_fail(reterr, MS_TOO_LARGE,
                   "%" PRIu64 " bytes at offset %" PRIu64
                   " reach behind the largest file of %" PRIu64 " bytes",
                   n, offset, MS_FILE_BYTES_MAX);
}

static enum ms_code write_failed(const struct ms_stage *s, int err, uint64_t offset, size_t n,
                                 struct ms_error *reterr) {
    return ms_fail_errno(reterr, err == EDQUOT ? ENOSPC : err,
                         "cannot write %zu bytes at offset %" PRIu64 " in the staging area %s", n,
                         offset, s->journal->dir);
}

/* The size grows; what lies before offset is a dirty hole. The marks were set. */
static void grow(struct ms_stage *s, uint64_t offset, uint64_t size) {
    uint64_t old = atomic_load(&s->size);

    MS_ASSERT(size > old);
    if (offset > old)
        ms_runs_set(&s->locked.runs, old, offset, ZERO);
    atomic_store(&s->size, size);
}

static enum ms_code cut_failed(const struct ms_stage *s, int err, uint64_t size,
                               struct ms_error *reterr) {
    return ms_fail_errno(reterr, err, "cannot set the length %" PRIu64 " in the staging area %s",
                         size, s->journal->dir);
}

/* The file ends where size says, whatever a failed write left behind. */
static enum ms_code cut(struct ms_stage *s, uint64_t size, struct ms_error *reterr) {
    int err = ms_bytes_cut(s, size);

    return err ? cut_failed(s, err, size, reterr) : MS_OK;
}

/* Before a growth over a gap: it starts from zeros. Cut at last: clearing may move a grain to the
 * file, in whole pages, and what its slab holds behind the end is anybody's bytes. */
static enum ms_code open_gap(struct ms_stage *s, uint64_t size, uint64_t to,
                             struct ms_error *reterr) {
    int err = ms_bytes_clear(s, size, to);

    if (!err)
        err = ms_bytes_cut(s, size);
    return err ? cut_failed(s, err, size, reterr) : MS_OK;
}

/* Of a write that failed in the middle: where what it did within the old size ends. */
static uint64_t undo_growth(struct ms_stage *s, uint64_t done_to) {
    uint64_t size = atomic_load(&s->size);

    if (done_to <= size)
        return done_to;
    (void)ms_bytes_cut(s, size); /* gives back the space; cut() stands before what matters */
    return size;
}

static enum ms_code write_locked(struct ms_stage *s, uint64_t offset, const void *p, size_t n,
                                 struct ms_error *reterr) {
    uint64_t end = offset + n, size = atomic_load(&s->size), taken;
    enum ms_code code = reserve(s, end, reterr);
    size_t done;
    int err;

    if (code)
        return code;
    if (offset > size && (code = open_gap(s, size, offset, reterr)) != MS_OK)
        return code;
    taken = pages_of(offset, end) - pages_held(s, offset, end);
    code = ms_journal_take(s->journal, taken * PAGE_BYTES, reterr);
    if (code)
        return code;
    mark(s, offset < size ? offset : size, end);
    err = ms_bytes_put(s, offset, p, n, &done);
    if (err)
        end = undo_growth(s, offset + done);
    if (end > size)
        grow(s, offset, end);
    if (end > offset)
        set_kind(s, offset, end, DIRTY, taken);
    else
        ms_journal_give(s->journal, taken * PAGE_BYTES);
    return err ? write_failed(s, err, offset, n, reterr) : MS_OK;
}

enum ms_code ms_stage_write(struct ms_stage *s, uint64_t offset, const void *p, size_t n,
                            struct ms_error *reterr) {
    enum ms_code code = check_end(offset, n, reterr);

    if (code || n == 0)
        return code;
    ms_stage_lock_to_change(s);
    code = write_locked(s, offset, p, n, reterr);
    ms_stage_unlock(s);
    return code;
}

/* Fill one absent run. */
static enum ms_code fill_run(struct ms_stage *s, uint64_t from, uint64_t to, const void *p,
                             struct ms_error *reterr) {
    uint64_t taken = pages_of(from, to) - pages_held(s, from, to);
    enum ms_code code = ms_runs_reserve(&s->locked.runs, reterr);
    size_t done;
    int err;

    if (!code)
        code = ms_journal_take(s->journal, taken * PAGE_BYTES, reterr);
    if (code)
        return code;
    err = ms_bytes_put(s, from, p, (size_t)(to - from), &done);
    if (err) {
        ms_journal_give(s->journal, taken * PAGE_BYTES);
        return write_failed(s, err, from, (size_t)(to - from), reterr);
    }
    set_kind(s, from, to, CLEAN, taken);
    return MS_OK;
}

enum ms_code ms_stage_fill(struct ms_stage *s, uint64_t offset, const void *p, size_t n,
                           struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    uint64_t end = offset + n, at = offset;

    ms_stage_lock_to_change(s);
    if (end > atomic_load(&s->size))
        end = atomic_load(&s->size);
    while (!code && at < end) {
        struct ms_run run = ms_runs_at(&s->locked.runs, at);
        uint64_t to = run.to < end ? run.to : end;

        if (run.kind == ABSENT)
            code = fill_run(s, at, to, (const char *)p + (at - offset), reterr);
        at = to;
    }
    ms_stage_unlock(s);
    return code;
}

/* [from, to) holds no data any more: give back its pages, also those that it only shared with other
 * holes. */
static void release(struct ms_stage *s, uint64_t from, uint64_t to) {
    uint64_t first = from / PAGE_BYTES * PAGE_BYTES,
             last = (to + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;

    if (pages_held(s, first, first + 1) == 0)
        from = first;
    if (pages_held(s, last - 1, last) == 0)
        to = last;
    ms_bytes_release(s, from, to);
}

void ms_stage_unfill(struct ms_stage *s, uint64_t offset, uint64_t n) {
    uint64_t end = offset + n, at = offset;

    ms_stage_lock_to_change(s);
    while (at < end) {
        struct ms_run run = ms_runs_at(&s->locked.runs, at);
        uint64_t to = run.to < end ? run.to : end;

        if (run.kind == CLEAN && ms_runs_reserve(&s->locked.runs, NULL) == MS_OK) {
            set_kind(s, at, to, ABSENT, 0);
            release(s, at, to);
        }
        at = to;
    }
    ms_stage_unlock(s);
}

static enum ms_code truncate_locked(struct ms_stage *s, uint64_t size, struct ms_error *reterr) {
    uint64_t old = atomic_load(&s->size);
    enum ms_code code = reserve(s, size > old ? size : old, reterr);

    if (!code && size > old)
        code = open_gap(s, old, size, reterr);
    if (code || size == old)
        return code;
    mark(s, size < old ? size : old, size < old ? old : size);
    code = cut(s, size, reterr);
    if (code)
        return code;
    if (size > old)
        grow(s, size, size);
    else
        set_kind(s, size, MS_RUNS_END, ABSENT, 0);
    atomic_store(&s->size, size);
    return MS_OK;
}

enum ms_code ms_stage_truncate(struct ms_stage *s, uint64_t size, struct ms_error *reterr) {
    enum ms_code code = check_end(size, 0, reterr);

    if (code)
        return code;
    ms_stage_lock_to_change(s);
    code = truncate_locked(s, size, reterr);
    ms_stage_unlock(s);
    return code;
}

enum ms_code ms_stage_set_base(struct ms_stage *s, uint64_t size, struct ms_error *reterr) {
    enum ms_code code = check_end(size, 0, reterr);

    if (code)
        return code;
    ms_stage_lock_to_change(s);
    MS_ASSERT(atomic_load(&s->size) == 0 && atomic_load(&s->generation) == 0);
    code = reserve_marks(s, size, reterr);
    if (!code)
        code = cut(s, size, reterr);
    if (!code)
        atomic_store(&s->size, size);
    ms_stage_unlock(s);
    return code;
}

static enum ms_code zero_locked(struct ms_stage *s, uint64_t offset, uint64_t end,
                                struct ms_error *reterr) {
    uint64_t size = atomic_load(&s->size), from = offset < size ? offset : size;
    enum ms_code code = reserve(s, end, reterr);
    int err;

    if (code)
        return code;
    mark(s, from, end);
    if (end > size && (code = cut(s, end, reterr)) != MS_OK)
        return code;
    err = ms_bytes_zero(s, from, end);
    if (err) {
        (void)ms_bytes_cut(s, size);
        return ms_fail_errno(reterr, err, "cannot make a hole in the staging area %s",
                             s->journal->dir);
    }
    set_kind(s, from, end, ZERO, 0);
    if (end > size)
        atomic_store(&s->size, end);
    release(s, from, end);
    return MS_OK;
}

enum ms_code ms_stage_zero(struct ms_stage *s, uint64_t offset, uint64_t n,
                           struct ms_error *reterr) {
    enum ms_code code = check_end(offset, n, reterr);

    if (code || n == 0)
        return code;
    ms_stage_lock_to_change(s);
    code = zero_locked(s, offset, offset + n, reterr);
    ms_stage_unlock(s);
    return code;
}

/* ---- looking --------------------------------------------------------------------------------- */

uint64_t ms_stage_touched_locked(const struct ms_stage *s, uint64_t offset, uint64_t length) {
    uint64_t max = 0;

    for (size_t i = ms_grain_of(offset); length > 0 && i <= ms_grain_of(offset + length - 1); i++)
        if (i < s->locked.grains && s->locked.touched[i] > max)
            max = s->locked.touched[i];
    return max;
}

uint64_t ms_stage_touched(struct ms_stage *s, uint64_t offset, uint64_t length) {
    uint64_t touched;

    ms_stage_lock_to_see(s);
    touched = ms_stage_touched_locked(s, offset, length);
    ms_stage_unlock(s);
    return touched;
}

static struct ms_extent extent_locked(const struct ms_stage *s, uint64_t offset, uint64_t length) {
    uint64_t size = atomic_load(&s->size);
    struct ms_run run;

    if (offset >= size)
        return (struct ms_extent){.offset = offset};
    if (length > size - offset)
        length = size - offset;
    run = ms_runs_at(&s->locked.runs, offset);
    if (length > run.to - offset)
        length = run.to - offset;
    return (struct ms_extent){offset, length, run.kind != ABSENT, is_dirty(run.kind),
                              run.kind == ZERO};
}

struct ms_extent ms_stage_extent(struct ms_stage *s, uint64_t offset, uint64_t length) {
    struct ms_extent extent;

    ms_stage_lock_to_see(s);
    extent = extent_locked(s, offset, length);
    ms_stage_unlock(s);
    return extent;
}

bool ms_stage_dirty_in(struct ms_stage *s, uint64_t offset, uint64_t length) {
    uint64_t end = offset + length;
    bool dirty = false;

    ms_stage_lock_to_see(s);
    for (uint64_t at = offset; at < end && !dirty;) {
        struct ms_run run = ms_runs_at(&s->locked.runs, at);

        dirty = is_dirty(run.kind);
        at = run.to;
    }
    ms_stage_unlock(s);
    return dirty;
}

bool ms_stage_written_in(struct ms_stage *s, uint64_t offset, uint64_t length) {
    struct ms_run run;

    ms_stage_lock_to_see(s);
    run = ms_runs_at(&s->locked.runs, offset);
    ms_stage_unlock(s);
    return run.kind == DIRTY && run.to - offset >= length;
}

/* No absent byte in [offset, end); end is within size. */
static bool is_present(const struct ms_stage *s, uint64_t offset, uint64_t end) {
    while (offset < end) {
        struct ms_run run = ms_runs_at(&s->locked.runs, offset);

        if (run.kind == ABSENT)
            return false;
        offset = run.to;
    }
    return true;
}

struct ms_stage_state ms_stage_state(struct ms_stage *s, uint64_t offset, uint64_t length) {
    struct ms_stage_state state;
    uint64_t end = offset + length;

    ms_stage_lock_to_see(s);
    state.generation = atomic_load(&s->generation);
    state.touched = ms_stage_touched_locked(s, offset, length);
    state.size = atomic_load(&s->size);
    state.whole = is_present(s, offset, end < state.size ? end : state.size);
    ms_stage_unlock(s);
    return state;
}

bool ms_stage_range_is_present(const struct ms_stage *s, uint64_t offset, uint64_t n) {
    uint64_t size = atomic_load(&s->size);

    return offset <= size && n <= size - offset && is_present(s, offset, offset + n);
}

static enum ms_code absent_failed(uint64_t offset, uint64_t n, struct ms_error *reterr) {
    return ms_fail(reterr, MS_CONFLICT,
                   "%" PRIu64 " bytes at offset %" PRIu64 " are not staged any more", n, offset);
}

enum ms_code ms_stage_read(struct ms_stage *s, uint64_t offset, void *p, size_t n,
                           struct ms_error *reterr) {
    enum ms_code code;

    ms_stage_lock_to_see(s);
    if (ms_stage_range_is_present(s, offset, n))
        code = ms_bytes_get(s, offset, p, n, reterr);
    else
        code = absent_failed(offset, n, reterr);
    ms_stage_unlock(s);
    return code;
}

enum ms_code ms_stage_pull(struct ms_stage *s, uint64_t offset, void *p, size_t n,
                           struct ms_extent *ret_extent, struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    struct ms_extent extent;

    ms_stage_lock_to_see(s);
    extent = extent_locked(s, offset, n);
    if (extent.hole)
        memset(p, 0, (size_t)extent.length);
    else if (extent.present)
        code = ms_bytes_get(s, offset, p, (size_t)extent.length, reterr);
    ms_stage_unlock(s);
    if (!code)
        *ret_extent = extent;
    return code;
}

/* ---- a frozen copy --------------------------------------------------------------------------- */

static enum ms_code copy_range(const struct ms_stage *s, int to, uint64_t offset, uint64_t end,
                               struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    char *p = malloc(COPY_BYTES);

    if (!p)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to copy a part");
    while (!code && offset < end) {
        size_t n = end - offset < COPY_BYTES ? (size_t)(end - offset) : COPY_BYTES, done;
        int err = 0;

        code = ms_bytes_get(s, offset, p, n, reterr);
        if (!code && (err = ms_bytes_write_all(to, offset, p, n, &done)) != 0)
            code = write_failed(s, err, offset, n, reterr);
        offset += n;
    }
    free(p);
    return code;
}

enum ms_code ms_stage_freeze(struct ms_stage *s, uint64_t offset, uint64_t n, int *ret_fd,
                             uint64_t *ret_generation, struct ms_error *reterr) {
    int fd = ms_journal_nameless_file(s->journal);
    enum ms_code code;

    if (fd < 0)
        return ms_fail_errno(reterr, errno, "cannot make a file in the staging area %s",
                             s->journal->dir);
    ms_stage_lock_to_see(s); /* writers wait: this is one moment of the range */
    if (ms_stage_range_is_present(s, offset, n))
        code = copy_range(s, fd, offset, offset + n, reterr);
    else
        code = absent_failed(offset, n, reterr);
    *ret_generation = atomic_load(&s->generation);
    ms_stage_unlock(s);
    if (code) {
        close(fd);
        return code;
    }
    *ret_fd = fd;
    return MS_OK;
}
