/* Where staged bytes are: in slabs, or in the file. Rules: stage_impl.h. */
#include "content/stage_impl.h"

#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GRAIN ((uint64_t)MS_PART_GRAIN)
#define LOAD_BYTES ((uint64_t)1 << 20)
#define DIRECT_BYTES ((size_t)4096) /* what a write past the page cache must be a multiple of */

static uint64_t start_of(size_t grain) { return grain * GRAIN; }
static uint64_t end_of(size_t grain) { return (grain + 1) * GRAIN; }
static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* ---- the file -------------------------------------------------------------------------------- */

/* A second description of the nameless file: what is written through it does not become pages of
 * the kernel's cache, which cost more than the disk. Not every file system can. */
static int open_direct(int fd) {
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
}

static int need_file(struct ms_stage *s) {
    if (s->locked.fd >= 0)
        return 0;
    s->locked.fd = ms_journal_nameless_file(s->journal);
    if (s->locked.fd < 0)
        return errno;
    s->locked.direct_fd = open_direct(s->locked.fd);
    return 0;
}

/* All bytes, or how many got there before the error. */
int ms_bytes_write_all(int fd, uint64_t offset, const void *p, size_t n, size_t *ret_n) {
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

static int put_file(struct ms_stage *s, uint64_t from, const void *p, size_t n, size_t *ret_n) {
    int err = need_file(s);

    *ret_n = 0;
    if (err)
        return err;
    pthread_mutex_lock(&s->filing);
    err = ms_bytes_write_all(s->locked.fd, from, p, n, ret_n);
    pthread_mutex_unlock(&s->filing);
    return err;
}

/* A slab's bytes, up to a whole number of pages: behind n is what nobody reads. Needs: filing. */
static int file_slab(int fd, int direct_fd, uint64_t start, const struct ms_slab *slab, size_t n) {
    size_t whole = (n + DIRECT_BYTES - 1) / DIRECT_BYTES * DIRECT_BYTES, done;

    if (direct_fd >= 0 && ms_bytes_write_all(direct_fd, start, slab->bytes, whole, &done) == 0)
        return 0;
    return ms_bytes_write_all(fd, start, slab->bytes, n, &done);
}

static int punch_file(struct ms_stage *s, uint64_t from, uint64_t to) {
    int r;

    if (s->locked.fd < 0 || from >= to)
        return 0;
    pthread_mutex_lock(&s->filing);
    do
        r = fallocate(s->locked.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
                      (off_t)(to - from));
    while (r != 0 && errno == EINTR);
    r = r == 0 ? 0 : errno;
    pthread_mutex_unlock(&s->filing);
    return r;
}

static int cut_file(struct ms_stage *s, uint64_t size) {
    int err = 0;

    if (s->locked.fd < 0)
        return 0;
    pthread_mutex_lock(&s->filing);
    if (ftruncate(s->locked.fd, (off_t)size) != 0)
        err = errno;
    pthread_mutex_unlock(&s->filing);
    return err;
}

/* ---- slabs ----------------------------------------------------------------------------------- */

static struct ms_slab *slab_of(const struct ms_stage *s, size_t grain) {
    return grain < s->locked.grains ? s->locked.slab[grain] : NULL;
}

static void set_slab(struct ms_stage *s, size_t grain, struct ms_slab *slab) {
    struct ms_slab *old = s->locked.slab[grain];

    s->locked.slab[grain] = slab;
    if (slab && !old && atomic_fetch_add(&s->held, 1) == 0)
        atomic_fetch_add(&s->journal->users, 1);
    if (old && !slab && atomic_fetch_sub(&s->held, 1) == 1)
        atomic_fetch_sub(&s->journal->users, 1);
    ms_slab_unref(old);
}

/* How much of a grain's slab means anything. */
static size_t length_of(const struct ms_stage *s, size_t grain) {
    uint64_t size = atomic_load(&s->size), end = s->locked.put_end;

    end = least(size > end ? size : end, end_of(grain));
    return end > start_of(grain) ? (size_t)(end - start_of(grain)) : 0;
}

/* From memory into the file. */
static int spill(struct ms_stage *s, size_t grain) {
    int err = need_file(s);

    if (err)
        return err;
    pthread_mutex_lock(&s->filing);
    err = file_slab(s->locked.fd, s->locked.direct_fd, start_of(grain), s->locked.slab[grain],
                    length_of(s, grain));
    pthread_mutex_unlock(&s->filing);
    if (!err)
        set_slab(s, grain, NULL);
    return err;
}

/* Make memory free with what this stage holds itself: its oldest grain that nobody looks at, but
 * the first one (which is written again at the end of many files) last. False: there is none. */
static bool make_room(struct ms_stage *s, size_t but) {
    for (size_t i = 1; atomic_load(&s->held) > 0 && i <= s->locked.grains; i++) {
        size_t grain = i % s->locked.grains;
        struct ms_slab *slab = s->locked.slab[grain];

        if (slab && grain != but && !ms_slab_is_shared(slab))
            return spill(s, grain) == 0;
    }
    return false;
}

/* Stages share the memory evenly, and two grains are everybody's. */
unsigned ms_stage_share(struct ms_stage *s) {
    uint64_t users = atomic_load(&s->journal->users),
             share = ms_slabs_max(s->journal->slabs) / MS_SLAB_BYTES / (users ? users : 1);

    return share > 2 ? (unsigned)share : 2;
}

bool ms_stage_is_crowded(struct ms_stage *s) { return atomic_load(&s->held) >= ms_stage_share(s); }

static struct ms_slab *take_slab(struct ms_stage *s, size_t grain, size_t end) {
    struct ms_slab *slab;

    if (ms_stage_is_crowded(s))
        (void)make_room(s, grain);
    for (;;) {
        slab = ms_slab_take(s->journal->slabs, grain == 0);
        if (slab && ms_slab_reach(slab, end))
            return slab;
        ms_slab_unref(slab);
        if (!make_room(s, grain))
            return NULL;
    }
}

/* B1: in the new slab of a grain that holds no data, what is zero, and what is about to become it
 * before `from`. */
static void zero_holes(struct ms_stage *s, size_t grain, uint64_t from, struct ms_slab *slab) {
    uint64_t start = start_of(grain), size = atomic_load(&s->size);

    for (uint64_t at = start; at < end_of(grain);) {
        struct ms_run run = ms_runs_at(&s->locked.runs, at);
        uint64_t to = least(run.to, end_of(grain));

        if (run.kind == ZERO)
            ms_slab_zero(slab, at - start, to - start);
        at = to;
    }
    if (size < from)
        ms_slab_zero(slab, size > start ? size - start : 0, from - start);
}

/* The only reference to a grain's bytes, with room up to end. Without memory the grain goes to the
 * file: its slab is NULL then. */
static int own_slab(struct ms_stage *s, size_t grain, size_t end) {
    struct ms_slab *old = s->locked.slab[grain], *slab;
    size_t n = length_of(s, grain);

    if (!ms_slab_is_shared(old)) {
        old->may_rest = false; /* written again: perhaps not for the last time */
        while (!ms_slab_reach(old, end))
            if (!make_room(s, grain))
                return spill(s, grain);
        return 0;
    }
    slab = take_slab(s, grain, end > n ? end : n);
    if (!slab)
        return spill(s, grain);
    memcpy(slab->bytes, old->bytes, n);
    set_slab(s, grain, slab);
    return 0;
}

static bool is_empty(const struct ms_stage *s, size_t grain) {
    for (uint64_t at = start_of(grain); at < end_of(grain);) {
        struct ms_run run = ms_runs_at(&s->locked.runs, at);

        if (run.kind == CLEAN || run.kind == DIRTY)
            return false;
        at = run.to;
    }
    return true;
}

/* Ready the grain for bytes of [from, to). With a slab behind it they go there, else to the file. */
static int ready(struct ms_stage *s, size_t grain, uint64_t from, uint64_t to) {
    size_t end = (size_t)(to - start_of(grain));
    struct ms_slab *slab;

    if (s->locked.slab[grain])
        return own_slab(s, grain, end);
    if (!is_empty(s, grain))
        return 0;
    slab = take_slab(s, grain, end);
    if (!slab)
        return 0;
    zero_holes(s, grain, from, slab);
    set_slab(s, grain, slab);
    return 0;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static int put_grain(struct ms_stage *s, size_t grain, uint64_t from, const void *p, size_t n,
                     size_t *ret_n) {
    int err = ready(s, grain, from, from + n);
    struct ms_slab *slab = s->locked.slab[grain];

    *ret_n = 0;
    if (err)
        return err;
    if (!slab)
        return put_file(s, from, p, n, ret_n);
    memcpy(slab->bytes + (from - start_of(grain)), p, n);
    *ret_n = n;
    return 0;
}

int ms_bytes_put(struct ms_stage *s, uint64_t from, const void *p, size_t n, size_t *ret_n) {
    int err = 0;

    for (*ret_n = 0; *ret_n < n && !err;) {
        uint64_t at = from + *ret_n;
        size_t grain = ms_grain_of(at), done;
        size_t piece = (size_t)least(n - *ret_n, end_of(grain) - at);

        s->locked.put_end = at;
        err = put_grain(s, grain, at, (const char *)p + *ret_n, piece, &done);
        *ret_n += done;
    }
    s->locked.put_end = 0;
    return err;
}

static enum ms_code get_file(const struct ms_stage *s, uint64_t from, char *p, size_t n,
                             struct ms_error *reterr) {
    for (size_t done = 0; done < n;) {
        ssize_t r =
            s->locked.fd < 0 ? 0 : pread(s->locked.fd, p + done, n - done, (off_t)(from + done));

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return ms_fail_errno(
                reterr, errno, "cannot read %zu bytes at offset %" PRIu64 " in the staging area %s",
                n, from, s->journal->dir);
        if (r == 0) { /* zeros at the end of the file take no bytes in it */
            memset(p + done, 0, n - done);
            break;
        }
        done += (size_t)r;
    }
    return MS_OK;
}

enum ms_code ms_bytes_get(const struct ms_stage *s, uint64_t from, void *p, size_t n,
                          struct ms_error *reterr) {
    enum ms_code code = MS_OK;

    for (size_t done = 0; done < n && !code;) {
        uint64_t at = from + done;
        size_t grain = ms_grain_of(at), piece = (size_t)least(n - done, end_of(grain) - at);
        const struct ms_slab *slab = slab_of(s, grain);

        if (slab)
            memcpy((char *)p + done, slab->bytes + (at - start_of(grain)), piece);
        else
            code = get_file(s, at, (char *)p + done, piece, reterr);
        done += piece;
    }
    return code;
}

/* Zeros in memory. A grain of which all goes needs no slab. */
static int zero_grain(struct ms_stage *s, size_t grain, uint64_t from, uint64_t to) {
    uint64_t start = start_of(grain);
    int err;

    if (from == start && to - start >= length_of(s, grain)) {
        set_slab(s, grain, NULL);
        return 0;
    }
    err = own_slab(s, grain, 0);
    if (!err && s->locked.slab[grain])
        ms_slab_zero(s->locked.slab[grain], (size_t)(from - start), (size_t)(to - start));
    return err;
}

int ms_bytes_clear(struct ms_stage *s, uint64_t from, uint64_t to) {
    int err = 0;

    for (size_t i = ms_grain_of(from); i < s->locked.grains && start_of(i) < to && !err; i++)
        if (s->locked.slab[i])
            err = zero_grain(s, i, start_of(i) > from ? start_of(i) : from, least(to, end_of(i)));
    return err;
}

int ms_bytes_zero(struct ms_stage *s, uint64_t from, uint64_t to) {
    int err = ms_bytes_clear(s, from, to);

    return err ? err : punch_file(s, from, to);
}

int ms_bytes_cut(struct ms_stage *s, uint64_t size) {
    size_t first = ms_grain_of(size) + (size % GRAIN != 0);

    for (size_t i = first; atomic_load(&s->held) > 0 && i < s->locked.grains; i++)
        if (s->locked.slab[i])
            set_slab(s, i, NULL);
    return cut_file(s, size);
}

void ms_bytes_release(struct ms_stage *s, uint64_t from, uint64_t to) {
    (void)punch_file(s, from, to);
    for (size_t i = ms_grain_of(from); i < s->locked.grains && start_of(i) < to; i++)
        if (s->locked.slab[i] && is_empty(s, i))
            set_slab(s, i, NULL);
}

void ms_bytes_free(struct ms_stage *s) {
    for (size_t i = 0; i < s->locked.grains && atomic_load(&s->held) > 0; i++)
        if (s->locked.slab[i])
            set_slab(s, i, NULL);
    if (s->locked.fd >= 0)
        close(s->locked.fd);
    if (s->locked.direct_fd >= 0)
        close(s->locked.direct_fd);
}

/* ---- for those who send ---------------------------------------------------------------------- */

static enum ms_code absent_failed(uint64_t offset, uint64_t n, struct ms_error *reterr) {
    return ms_fail(reterr, MS_CONFLICT,
                   "%" PRIu64 " bytes at offset %" PRIu64 " are not staged any more", n, offset);
}

enum ms_code ms_stage_view(struct ms_stage *s, uint64_t offset, uint64_t n,
                           struct ms_stage_view *ret_view, struct ms_error *reterr) {
    size_t grain = ms_grain_of(offset);
    enum ms_code code = MS_OK;
    struct ms_slab *slab;

    MS_ASSERT(n > 0);
    ms_stage_lock_to_see(s);
    slab = slab_of(s, grain);
    if (!ms_stage_range_is_present(s, offset, n))
        code = absent_failed(offset, n, reterr);
    else if (!slab || ms_grain_of(offset + n - 1) != grain)
        code = ms_fail(reterr, MS_UNSUPPORTED, "the staged bytes are not in memory");
    else
        *ret_view = (struct ms_stage_view){.bytes = slab->bytes + (offset - start_of(grain)),
                                           .generation = atomic_load(&s->generation),
                                           .slab = ms_slab_ref(slab)};
    ms_stage_unlock(s);
    return code;
}

void ms_stage_view_end(struct ms_stage_view *view) {
    ms_slab_unref(view->slab);
    *view = (struct ms_stage_view){0};
}

/* A range of the file into a slab that is nobody's. Piece by piece, so that a writer need not wait for
 * the disk; when one came between, once more in one piece. */
static enum ms_code load(struct ms_stage *s, uint64_t offset, uint64_t n, struct ms_slab *slab,
                         uint64_t *ret_generation, struct ms_error *reterr) {
    uint64_t piece = LOAD_BYTES, generation = 0, now;
    enum ms_code code = MS_OK;

    for (uint64_t at = 0; at < n && !code; at += piece) {
        piece = least(piece, n - at);
        ms_stage_lock_to_see(s);
        now = atomic_load(&s->generation);
        if (at > 0 && ms_stage_touched_locked(s, offset, n) > generation)
            at = 0, piece = n;
        if (at == 0)
            generation = now;
        if (!ms_stage_range_is_present(s, offset, n))
            code = absent_failed(offset, n, reterr);
        else
            code = ms_bytes_get(s, offset + at, slab->bytes + at, (size_t)piece, reterr);
        ms_stage_unlock(s);
    }
    *ret_generation = generation;
    return code;
}

enum ms_code ms_stage_load(struct ms_stage *s, uint64_t offset, uint64_t n,
                           struct ms_stage_view *ret_view, struct ms_error *reterr) {
    struct ms_slab *slab =
        n <= MS_SLAB_BYTES ? ms_slab_take(s->journal->slabs, n < MS_SLAB_BYTES / 2) : NULL;
    struct ms_stage_view view = {.slab = slab};
    enum ms_code code;

    if (!slab || !ms_slab_reach(slab, (size_t)n)) {
        ms_slab_unref(slab);
        return ms_fail(reterr, MS_UNSUPPORTED, "there is no memory for the staged bytes");
    }
    code = load(s, offset, n, slab, &view.generation, reterr);
    view.bytes = slab->bytes;
    if (code)
        ms_stage_view_end(&view);
    else
        *ret_view = view;
    return code;
}

/* As long as it must be for [offset, offset + n) to be read from it. */
static int need_length(struct ms_stage *s, uint64_t end) {
    struct stat st;
    int err = 0;

    pthread_mutex_lock(&s->filing);
    if (fstat(s->locked.fd, &st) != 0)
        err = errno;
    else if ((uint64_t)st.st_size < end && ftruncate(s->locked.fd, (off_t)end) != 0)
        err = errno;
    pthread_mutex_unlock(&s->filing);
    return err;
}

enum ms_code ms_stage_file(struct ms_stage *s, uint64_t offset, uint64_t n, int *ret_fd,
                           struct ms_error *reterr) {
    uint64_t end;
    int err;

    ms_stage_lock_to_change(s);
    err = need_file(s);
    for (size_t i = ms_grain_of(offset); !err && i < s->locked.grains && start_of(i) < offset + n;
         i++)
        if (s->locked.slab[i])
            err = spill(s, i);
    end = least(atomic_load(&s->size), offset + n);
    if (!err)
        err = need_length(s, end);
    *ret_fd = s->locked.fd;
    ms_stage_unlock(s);
    return err ? ms_fail_errno(reterr, err, "cannot write the staging area %s", s->journal->dir)
               : MS_OK;
}

/* ---- resting --------------------------------------------------------------------------------- */

/* Of one call: whoever waits for the part that ended waits for that. More than the one part, so that
 * what others left behind becomes less. */
#define RESTS_MAX 2

struct rest {
    struct ms_slab *slab;
    size_t grain, n;
    int fd, direct_fd;
};

static bool is_memory_short(struct ms_stage *s) {
    struct ms_slabs *pool = s->journal->slabs;

    return ms_slabs_used(pool) > ms_slabs_max(pool) / 2 || ms_stage_is_crowded(s);
}

/* What may rest now, whenever there is somebody to see to it: several parts end at once, and one
 * writes. */
static void mark(struct ms_stage *s, uint64_t offset, uint64_t n) {
    ms_stage_lock_to_change(s);
    for (size_t i = ms_grain_of(offset); n > 0 && i <= ms_grain_of(offset + n - 1); i++)
        if (slab_of(s, i))
            slab_of(s, i)->may_rest = true;
    ms_stage_unlock(s);
}

static bool has_file(struct ms_stage *s) {
    bool has;

    ms_stage_lock_to_change(s);
    has = need_file(s) == 0;
    ms_stage_unlock(s);
    return has;
}

/* Find a grain and have the file to oneself; false: none, or not now. */
static bool begin_rest(struct ms_stage *s, struct rest *r) {
    bool go = false;

    ms_stage_lock_to_see(s);
    for (size_t i = 0; !go && i < s->locked.grains; i++) {
        struct ms_slab *slab = s->locked.slab[i];

        go = slab && slab->may_rest && !ms_slab_is_shared(slab);
        if (go)
            *r = (struct rest){.slab = slab,
                               .grain = i,
                               .n = length_of(s, i),
                               .fd = s->locked.fd,
                               .direct_fd = s->locked.direct_fd};
    }
    go = go && pthread_mutex_trylock(&s->filing) == 0;
    if (go)
        (void)ms_slab_ref(r->slab);
    ms_stage_unlock(s);
    return go;
}

/* Who changed the grain meanwhile has copied it: then another slab is there. What the disk did not
 * take stays in memory. */
static void end_rest(struct ms_stage *s, const struct rest *r, bool written) {
    ms_stage_lock_to_change(s);
    r->slab->may_rest = false;
    if (written && slab_of(s, r->grain) == r->slab)
        set_slab(s, r->grain, NULL);
    ms_stage_unlock(s);
    ms_slab_unref(r->slab);
}

void ms_stage_rest(struct ms_stage *s, uint64_t offset, uint64_t n) {
    struct rest r;

    mark(s, offset, n);
    if (!is_memory_short(s) || !has_file(s))
        return;
    for (unsigned i = 0; i < RESTS_MAX && is_memory_short(s) && begin_rest(s, &r); i++) {
        bool written = file_slab(r.fd, r.direct_fd, start_of(r.grain), r.slab, r.n) == 0;

        pthread_mutex_unlock(&s->filing);
        end_rest(s, &r, written);
    }
}
