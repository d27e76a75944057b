#include "content/stage.h"

#include "base/assert.h"
#include "content/parts.h"
#include "content/runs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES UINT64_C(4096) /* in which file systems give out space */

#define COPY_BYTES ((size_t)1 << 20)

/* Kinds of runs. */
enum kind { ABSENT, CLEAN, DIRTY, ZERO };
static bool has_data(unsigned kind) { return kind == CLEAN || kind == DIRTY; }
static bool is_dirty(unsigned kind) { return kind == DIRTY || kind == ZERO; }

struct ms_journal {
    char *dir;
    pthread_mutex_t entering;
    int fd; /* under entering, until it is there: of the folder, holds its lock */
    uint64_t bytes_max;
    atomic_uint_fast64_t bytes;
    atomic_uint refs; /* its opener and each stage */
};

struct ms_stage {
    struct ms_journal *journal;
    int fd;
    atomic_uint_fast64_t size, generation;
    pthread_mutex_t turnstile;
    pthread_rwlock_t lock;
    struct { /* write lock to change, read lock to see */
        struct ms_runs runs;
        uint64_t pages;    /* that hold data: what the journal counts */
        uint64_t *touched; /* by grain: generation of its last change */
        size_t grains;
    } locked;
};

/* ---- the folder ------------------------------------------------------------------------------ */

static void journal_unref(struct ms_journal *journal) {
    if (atomic_fetch_sub(&journal->refs, 1) != 1)
        return;
    MS_ASSERT(atomic_load(&journal->bytes) == 0);
    if (journal->fd >= 0) {
        rmdir(journal->dir); /* somebody else's files in it keep it: not ours to judge */
        close(journal->fd);
    }
    pthread_mutex_destroy(&journal->entering);
    free(journal->dir);
    free(journal);
}

static enum ms_code enter_locked(struct ms_journal *j, struct ms_error *reterr) {
    if (j->fd >= 0)
        return MS_OK;
    if (mkdir(j->dir, 0700) != 0 && errno != EEXIST)
        return ms_fail_errno(reterr, errno, "cannot make the staging area %s", j->dir);
    int fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ms_fail_errno(reterr, errno, "cannot open the staging area %s", j->dir);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int err = errno;
        close(fd);
        if (err == EWOULDBLOCK)
            return ms_fail(reterr, MS_BUSY, "the staging area %s belongs to a running process",
                           j->dir);
        return ms_fail_errno(reterr, err, "cannot lock the staging area %s", j->dir);
    }
    j->fd = fd;
    return MS_OK;
}

static enum ms_code enter(struct ms_journal *j, struct ms_error *reterr) {
    pthread_mutex_lock(&j->entering);
    enum ms_code code = enter_locked(j, reterr);
    pthread_mutex_unlock(&j->entering);
    return code;
}

enum ms_code ms_journal_open(const char *dir, uint64_t bytes_max, struct ms_journal **ret_journal,
                             struct ms_error *reterr) {
    struct ms_journal *j = calloc(1, sizeof *j);

    MS_ASSERT(dir && ret_journal);
    if (!j || (j->fd = -1, j->dir = strdup(dir), !j->dir)) {
        free(j);
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the staging area %s", dir);
    }
    pthread_mutex_init(&j->entering, NULL);
    j->bytes_max = bytes_max;
    atomic_init(&j->bytes, 0);
    atomic_init(&j->refs, 1);
    enum ms_code code = enter(j, reterr);
    if (code != MS_OK && code != MS_NO_SPACE) {
        journal_unref(j);
        return code;
    }
    *ret_journal = j;
    return MS_OK;
}

void ms_journal_close(struct ms_journal *journal) {
    if (journal)
        journal_unref(journal);
}

uint64_t ms_journal_bytes(struct ms_journal *journal) { return atomic_load(&journal->bytes); }

/* Count before the write, so that the limit is never passed. */
static enum ms_code journal_take(struct ms_journal *j, uint64_t bytes, struct ms_error *reterr) {
    uint_fast64_t held = atomic_load(&j->bytes);

    do {
        if (held > j->bytes_max || bytes > j->bytes_max - held)
            return ms_fail(reterr, MS_NO_SPACE,
                           "the staging area %s is full: %" PRIuFAST64 " of %" PRIu64
                           " bytes held, %" PRIu64
                           " more wanted; close files that are being written or raise its limit",
                           j->dir, held, j->bytes_max, bytes);
    } while (!atomic_compare_exchange_weak(&j->bytes, &held, held + bytes));
    return MS_OK;
}

static void journal_give(struct ms_journal *j, uint64_t bytes) {
    uint_fast64_t held = atomic_fetch_sub(&j->bytes, bytes);

    MS_ASSERT(held >= bytes);
}

/* A file without a name. Not every file system knows O_TMPFILE. */
static int nameless_file(const struct ms_journal *j) {
    char path[4096];
    int fd = openat(j->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT))
        return fd;
    if (snprintf(path, sizeof path, "%s/stage.XXXXXX", j->dir) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

/* ---- a stage --------------------------------------------------------------------------------- */

/* Whoever comes waits at the turnstile behind those who came before, so neither writers that never
 * pause nor readers that never pause keep the others out for ever: each kind of rwlock allows one.
 */
static void lock_to_see(struct ms_stage *s) {
    pthread_mutex_lock(&s->turnstile);
    pthread_rwlock_rdlock(&s->lock);
    pthread_mutex_unlock(&s->turnstile);
}

static void lock_to_change(struct ms_stage *s) {
    pthread_mutex_lock(&s->turnstile);
    pthread_rwlock_wrlock(&s->lock);
    pthread_mutex_unlock(&s->turnstile);
}

static void unlock(struct ms_stage *s) { pthread_rwlock_unlock(&s->lock); }

enum ms_code ms_stage_open(struct ms_journal *journal, struct ms_stage **ret_stage,
                           struct ms_error *reterr) {
    struct ms_stage *s = calloc(1, sizeof *s);
    enum ms_code code;

    if (!s)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a staged file");
    code = enter(journal, reterr);
    s->fd = code == MS_OK ? nameless_file(journal) : -1;
    if (s->fd < 0) {
        if (code == MS_OK)
            code = ms_fail_errno(reterr, errno, "cannot make a file in the staging area %s",
                                 journal->dir);
        free(s);
        return code;
    }
    pthread_mutex_init(&s->turnstile, NULL);
    pthread_rwlock_init(&s->lock, NULL);
    s->journal = journal;
    atomic_fetch_add(&journal->refs, 1);
    *ret_stage = s;
    return MS_OK;
}

void ms_stage_close(struct ms_stage *s) {
    if (!s)
        return;
    close(s->fd);
    journal_give(s->journal, s->locked.pages * PAGE_BYTES);
    journal_unref(s->journal);
    pthread_rwlock_destroy(&s->lock);
    pthread_mutex_destroy(&s->turnstile);
    ms_runs_fini(&s->locked.runs);
    free(s->locked.touched);
    free(s);
}

uint64_t ms_stage_size(struct ms_stage *s) { return atomic_load(&s->size); }
uint64_t ms_stage_generation(struct ms_stage *s) { return atomic_load(&s->generation); }
int ms_stage_fd(struct ms_stage *s) { return s->fd; }

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
static void set_kind(struct ms_stage *s, uint64_t from, uint64_t to, enum kind kind,
                     uint64_t taken) {
    uint64_t before = pages_held(s, from, to), after;

    ms_runs_set(&s->locked.runs, from, to, kind);
    after = pages_held(s, from, to);
    MS_ASSERT(s->locked.pages + after >= before);
    s->locked.pages += after - before;
    if (after > before)
        MS_ASSERT(taken >= after - before);
    taken -= after - before; /* modulo 2^64: gives back what got free as well */
    journal_give(s->journal, taken * PAGE_BYTES);
    MS_CHECK(s->locked.runs.leaves > 4 || ms_runs_is_valid(&s->locked.runs)); /* more: too slow */
}

/* ---- changes --------------------------------------------------------------------------------- */

static size_t grain_of(uint64_t offset) { return (size_t)(offset / MS_PART_GRAIN); }

/* Room for the marks of everything below end. */
static enum ms_code reserve_marks(struct ms_stage *s, uint64_t end, struct ms_error *reterr) {
    size_t want = end == 0 ? 0 : grain_of(end - 1) + 1, grains = s->locked.grains;
    uint64_t *touched;

    if (want <= grains)
        return MS_OK;
    grains = want > grains * 2 ? want : grains * 2;
    touched = realloc(s->locked.touched, grains * sizeof *touched);
    if (!touched)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a staged file of %" PRIu64 " bytes",
                       end);
    memset(touched + s->locked.grains, 0, (grains - s->locked.grains) * sizeof *touched);
    s->locked.touched = touched;
    s->locked.grains = grains;
    return MS_OK;
}

/* A new generation, written at every grain of [from, to) before any byte changes. */
static void mark(struct ms_stage *s, uint64_t from, uint64_t to) {
    uint64_t generation = atomic_fetch_add(&s->generation, 1) + 1;

    for (size_t i = grain_of(from); from < to && i <= grain_of(to - 1); i++)
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

/* All bytes, or how many got there before the error. */
static int write_all(int fd, uint64_t offset, const void *p, size_t n, size_t *ret_n) {
    int err = 0;

    for (*ret_n = 0; *ret_n < n && !err;) {
        ssize_t w = pwrite(fd, (const char *)p + *ret_n, n - *ret_n, (off_t)(offset + *ret_n));

        if (w > 0)
            *ret_n += (size_t)w;
        else if (w == 0)
            err = ENOSPC;
        else if (errno != EINTR)
            err = errno;
    }
    return err;
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

/* The file ends where size says, whatever a failed write left behind: growth starts from zeros. */
static enum ms_code cut(struct ms_stage *s, uint64_t size, struct ms_error *reterr) {
    if (ftruncate(s->fd, (off_t)size) == 0)
        return MS_OK;
    return ms_fail_errno(reterr, errno, "cannot set the length %" PRIu64 " in the staging area %s",
                         size, s->journal->dir);
}

/* Of a write that failed in the middle: where what it did within the old size ends. */
static uint64_t undo_growth(struct ms_stage *s, uint64_t done_to) {
    uint64_t size = atomic_load(&s->size);

    if (done_to <= size)
        return done_to;
    (void)!ftruncate(s->fd,
                     (off_t)size); /* gives back the space; cut() stands before what matters */
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
    if (offset > size && (code = cut(s, size, reterr)) != MS_OK)
        return code;
    taken = pages_of(offset, end) - pages_held(s, offset, end);
    code = journal_take(s->journal, taken * PAGE_BYTES, reterr);
    if (code)
        return code;
    mark(s, offset < size ? offset : size, end);
    err = write_all(s->fd, offset, p, n, &done);
    if (err)
        end = undo_growth(s, offset + done);
    if (end > size)
        grow(s, offset, end);
    if (end > offset)
        set_kind(s, offset, end, DIRTY, taken);
    else
        journal_give(s->journal, taken * PAGE_BYTES);
    return err ? write_failed(s, err, offset, n, reterr) : MS_OK;
}

enum ms_code ms_stage_write(struct ms_stage *s, uint64_t offset, const void *p, size_t n,
                            struct ms_error *reterr) {
    enum ms_code code = check_end(offset, n, reterr);

    if (code || n == 0)
        return code;
    lock_to_change(s);
    code = write_locked(s, offset, p, n, reterr);
    unlock(s);
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
        code = journal_take(s->journal, taken * PAGE_BYTES, reterr);
    if (code)
        return code;
    err = write_all(s->fd, from, p, (size_t)(to - from), &done);
    if (err) {
        journal_give(s->journal, taken * PAGE_BYTES);
        return write_failed(s, err, from, (size_t)(to - from), reterr);
    }
    set_kind(s, from, to, CLEAN, taken);
    return MS_OK;
}

enum ms_code ms_stage_fill(struct ms_stage *s, uint64_t offset, const void *p, size_t n,
                           struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    uint64_t end = offset + n, at = offset;

    lock_to_change(s);
    if (end > atomic_load(&s->size))
        end = atomic_load(&s->size);
    while (!code && at < end) {
        struct ms_run run = ms_runs_at(&s->locked.runs, at);
        uint64_t to = run.to < end ? run.to : end;

        if (run.kind == ABSENT)
            code = fill_run(s, at, to, (const char *)p + (at - offset), reterr);
        at = to;
    }
    unlock(s);
    return code;
}

/* Zeros for [from, to) and the file system's space back. */
static int punch(struct ms_stage *s, uint64_t from, uint64_t to) {
    int r;

    do
        r = fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
                      (off_t)(to - from));
    while (r != 0 && errno == EINTR);
    return r == 0 ? 0 : errno;
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
    punch(s, from, to);
}

void ms_stage_unfill(struct ms_stage *s, uint64_t offset, uint64_t n) {
    uint64_t end = offset + n, at = offset;

    lock_to_change(s);
    while (at < end) {
        struct ms_run run = ms_runs_at(&s->locked.runs, at);
        uint64_t to = run.to < end ? run.to : end;

        if (run.kind == CLEAN && ms_runs_reserve(&s->locked.runs, NULL) == MS_OK) {
            set_kind(s, at, to, ABSENT, 0);
            release(s, at, to);
        }
        at = to;
    }
    unlock(s);
}

static enum ms_code truncate_locked(struct ms_stage *s, uint64_t size, struct ms_error *reterr) {
    uint64_t old = atomic_load(&s->size);
    enum ms_code code = reserve(s, size > old ? size : old, reterr);

    if (!code && size > old)
        code = cut(s, old, reterr);
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
    lock_to_change(s);
    code = truncate_locked(s, size, reterr);
    unlock(s);
    return code;
}

enum ms_code ms_stage_set_base(struct ms_stage *s, uint64_t size, struct ms_error *reterr) {
    enum ms_code code = check_end(size, 0, reterr);

    if (code)
        return code;
    lock_to_change(s);
    MS_ASSERT(atomic_load(&s->size) == 0 && atomic_load(&s->generation) == 0);
    code = reserve_marks(s, size, reterr);
    if (!code)
        code = cut(s, size, reterr);
    if (!code)
        atomic_store(&s->size, size);
    unlock(s);
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
    err = punch(s, from, end);
    if (err) {
        (void)!ftruncate(s->fd, (off_t)size);
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
    lock_to_change(s);
    code = zero_locked(s, offset, offset + n, reterr);
    unlock(s);
    return code;
}

/* ---- looking --------------------------------------------------------------------------------- */

static uint64_t touched_locked(const struct ms_stage *s, uint64_t offset, uint64_t length) {
    uint64_t max = 0;

    for (size_t i = grain_of(offset); length > 0 && i <= grain_of(offset + length - 1); i++)
        if (i < s->locked.grains && s->locked.touched[i] > max)
            max = s->locked.touched[i];
    return max;
}

uint64_t ms_stage_touched(struct ms_stage *s, uint64_t offset, uint64_t length) {
    uint64_t touched;

    lock_to_see(s);
    touched = touched_locked(s, offset, length);
    unlock(s);
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

    lock_to_see(s);
    extent = extent_locked(s, offset, length);
    unlock(s);
    return extent;
}

bool ms_stage_dirty_in(struct ms_stage *s, uint64_t offset, uint64_t length) {
    uint64_t end = offset + length;
    bool dirty = false;

    lock_to_see(s);
    for (uint64_t at = offset; at < end && !dirty;) {
        struct ms_run run = ms_runs_at(&s->locked.runs, at);

        dirty = is_dirty(run.kind);
        at = run.to;
    }
    unlock(s);
    return dirty;
}

bool ms_stage_written_in(struct ms_stage *s, uint64_t offset, uint64_t length) {
    struct ms_run run;

    lock_to_see(s);
    run = ms_runs_at(&s->locked.runs, offset);
    unlock(s);
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

    lock_to_see(s);
    state.generation = atomic_load(&s->generation);
    state.touched = touched_locked(s, offset, length);
    state.size = atomic_load(&s->size);
    state.whole = is_present(s, offset, end < state.size ? end : state.size);
    unlock(s);
    return state;
}

static enum ms_code read_all(const struct ms_stage *s, uint64_t offset, void *p, size_t n,
                             struct ms_error *reterr) {
    for (size_t done = 0; done < n;) {
        ssize_t r = pread(s->fd, (char *)p + done, n - done, (off_t)(offset + done));

        if (r > 0)
            done += (size_t)r;
        else if (r == 0 || errno != EINTR)
            return ms_fail_errno(reterr, r == 0 ? EIO : errno, /* 0: shorter than size says */
                                 "cannot read %zu bytes at offset %" PRIu64
                                 " in the staging area %s",
                                 n, offset, s->journal->dir);
    }
    return MS_OK;
}

static bool range_is_present(const struct ms_stage *s, uint64_t offset, uint64_t n) {
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

    lock_to_see(s);
    if (range_is_present(s, offset, n))
        code = read_all(s, offset, p, n, reterr);
    else
        code = absent_failed(offset, n, reterr);
    unlock(s);
    return code;
}

enum ms_code ms_stage_pull(struct ms_stage *s, uint64_t offset, void *p, size_t n,
                           struct ms_extent *ret_extent, struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    struct ms_extent extent;

    lock_to_see(s);
    extent = extent_locked(s, offset, n);
    if (extent.hole)
        memset(p, 0, (size_t)extent.length);
    else if (extent.present)
        code = read_all(s, offset, p, (size_t)extent.length, reterr);
    unlock(s);
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

        code = read_all(s, offset, p, n, reterr);
        if (!code && (err = write_all(to, offset, p, n, &done)) != 0)
            code = write_failed(s, err, offset, n, reterr);
        offset += n;
    }
    free(p);
    return code;
}

enum ms_code ms_stage_freeze(struct ms_stage *s, uint64_t offset, uint64_t n, int *ret_fd,
                             uint64_t *ret_generation, struct ms_error *reterr) {
    int fd = nameless_file(s->journal);
    enum ms_code code;

    if (fd < 0)
        return ms_fail_errno(reterr, errno, "cannot make a file in the staging area %s",
                             s->journal->dir);
    lock_to_see(s); /* writers wait: this is one moment of the range */
    if (range_is_present(s, offset, n))
        code = copy_range(s, fd, offset, offset + n, reterr);
    else
        code = absent_failed(offset, n, reterr);
    *ret_generation = atomic_load(&s->generation);
    unlock(s);
    if (code) {
        close(fd);
        return code;
    }
    *ret_fd = fd;
    return MS_OK;
}
