#include "support/test.h"

#include "content/parts.h"
#include "content/stage.h"
#include "content/stage_impl.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u
#define LINE (8 * PAGE) /* the model's files are no longer than this */

struct fixture {
    char *dir, *journal_dir;
    struct ms_journal *journal;
    struct ms_stage *stage;
    bool files; /* without memory */
};

static void open_limited(struct fixture *f, uint64_t bytes_max) {
    ms_stage_close(MS_TAKE(f->stage));
    ms_journal_close(MS_TAKE(f->journal));
    assert_ok(ms_journal_open(f->journal_dir, bytes_max, &f->journal, &test_err));
    if (f->files)
        ms_journal_limit_memory(f->journal, 0);
    assert_ok(ms_stage_open(f->journal, &f->stage, &test_err));
}

/* From here on every byte lies in the file. */
static void use_files(struct fixture *f) {
    f->files = true;
    open_limited(f, 64 * MS_MB);
}

static int fd_of(struct ms_stage *stage) {
    int fd = -1;

    assert_ok(ms_stage_file(stage, 0, MS_FILE_BYTES_MAX, &fd, &test_err));
    return fd;
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);

    f->dir = ms_test_tmpdir_new();
    f->journal_dir = ms_test_path(f->dir, "journal");
    open_limited(f, 64 * MS_MB);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;

    ms_stage_close(f->stage);
    ms_journal_close(f->journal);
    free(f->journal_dir);
    ms_test_tmpdir_remove(f->dir);
    free(f);
    return 0;
}

/* ---- against a model of bytes --------------------------------------------------------------- */

#define HOLE ZERO
struct model {
    uint8_t base[LINE], bytes[LINE], kind[LINE];
    uint64_t size, generation;
};

static void model_set(struct model *m, uint64_t from, uint64_t to, const uint8_t *bytes,
                      enum ms_stage_kind kind) {
    for (uint64_t i = from; i < to; i++) {
        m->bytes[i] = bytes ? bytes[i - from] : 0;
        m->kind[i] = (uint8_t)kind;
    }
}

static void model_grow(struct model *m, uint64_t size) {
    if (size <= m->size)
        return;
    model_set(m, m->size, size, NULL, HOLE);
    m->size = size;
}

static uint64_t model_journal(const struct model *m) {
    uint64_t pages = 0;

    for (uint64_t page = 0; page < LINE / PAGE; page++)
        for (uint64_t i = page * PAGE; i < (page + 1) * PAGE && i < m->size; i++)
            if (m->kind[i] == CLEAN || m->kind[i] == DIRTY) {
                pages++;
                break;
            }
    return pages * PAGE;
}

static void compare_bytes(struct ms_stage *stage, const struct model *m) {
    static uint8_t got[LINE];
    struct ms_extent extent, same;
    uint64_t wrong = 0;

    for (uint64_t at = 0; at < m->size; at += extent.length) {
        assert_ok(ms_stage_pull(stage, at, got, LINE, &extent, &test_err));
        same = ms_stage_extent(stage, at, LINE);
        assert_int_equal(extent.offset, same.offset);
        assert_int_equal(extent.length, same.length);
        assert_int_equal(extent.offset, at);
        assert_true(extent.length > 0 && extent.length <= m->size - at);
        for (uint64_t i = at; i < at + extent.length; i++)
            wrong += extent.present != (m->kind[i] != ABSENT) ||
                     extent.dirty != (m->kind[i] == DIRTY || m->kind[i] == HOLE) ||
                     extent.hole != (m->kind[i] == HOLE);
        if (extent.present)
            assert_memory_equal(got, m->bytes + at, extent.length);
        if (at + extent.length < m->size) /* as long as it goes */
            assert_int_not_equal(m->kind[at + extent.length], m->kind[at]);
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(ms_stage_extent(stage, m->size, 1).length, 0);
}

static void compare_range(struct ms_stage *stage, const struct model *m, uint64_t from,
                          uint64_t to) {
    bool dirty = false, whole = true, written = to <= m->size;
    struct ms_stage_state state = ms_stage_state(stage, from, to - from);
    static uint8_t got[LINE];

    for (uint64_t i = from; i < to && i < m->size; i++) {
        dirty = dirty || m->kind[i] == DIRTY || m->kind[i] == HOLE;
        whole = whole && m->kind[i] != ABSENT;
        written = written && m->kind[i] == DIRTY;
    }
    assert_int_equal(ms_stage_dirty_in(stage, from, to - from), dirty);
    assert_int_equal(ms_stage_written_in(stage, from, to - from), written);
    assert_int_equal(state.whole, whole);
    assert_int_equal(state.generation, m->generation);
    assert_int_equal(state.touched, m->generation); /* all in one grain */
    assert_int_equal(state.size, m->size);
    if (whole && to <= m->size) {
        assert_ok(ms_stage_read(stage, from, got, to - from, &test_err));
        assert_memory_equal(got, m->bytes + from, to - from);
    } else {
        assert_code(ms_stage_read(stage, from, got, to - from, &test_err), MS_CONFLICT);
    }
}

static void change(struct ms_stage *stage, struct model *m, struct ms_random *random) {
    static uint8_t bytes[LINE];
    uint64_t from = ms_random_below(random, LINE), n = 1 + ms_random_below(random, LINE - from);

    if (ms_random_below(random, 3) > 0)
        n = 1 + (n - 1) % 64; /* still inside LINE */
    if (ms_random_below(random, 4) == 0) {
        from = from / PAGE * PAGE;
        n = (n + PAGE - 1) / PAGE * PAGE;
    }
    ms_random_fill(random, bytes, n);
    switch (ms_random_below(random, 6)) {
    case 0:
    case 1:
        assert_ok(ms_stage_write(stage, from, bytes, n, &test_err));
        model_grow(m, from + n);
        model_set(m, from, from + n, bytes, DIRTY);
        m->generation++;
        break;
    case 2:
        assert_ok(ms_stage_zero(stage, from, n, &test_err));
        model_grow(m, from + n);
        model_set(m, from, from + n, NULL, HOLE);
        m->generation++;
        break;
    case 3:
        assert_ok(ms_stage_fill(stage, from, m->base + from, n, &test_err));
        for (uint64_t i = from; i < from + n && i < m->size; i++)
            if (m->kind[i] == ABSENT)
                model_set(m, i, i + 1, m->base + i, CLEAN);
        break;
    case 4:
        ms_stage_unfill(stage, from, n);
        for (uint64_t i = from; i < from + n && i < m->size; i++)
            if (m->kind[i] == CLEAN)
                m->kind[i] = ABSENT;
        break;
    default:
        if (ms_random_below(random, 2))
            from = m->size - (m->size > 100 ? ms_random_below(random, 100) : 0);
        assert_ok(ms_stage_truncate(stage, from, &test_err));
        m->generation += from != m->size;
        model_grow(m, from);
        m->size = from;
    }
}

static void random_changes_do_what_a_model_of_bytes_does(void **state) {
    struct fixture *f = *state;
    uint64_t seed = ms_test_seed();
    struct model *m = malloc(sizeof *m);

    for (unsigned round = 0; round < ms_test_rounds(60); round++) {
        struct ms_random_seeded random;

        ms_random_seeded_init(&random, seed + round);
        memset(m, 0, sizeof *m);
        ms_random_fill(&random.random, m->base, LINE);
        f->files = round % 2 == 1;
        open_limited(f, LINE);
        m->size = round % 3 == 0 ? 0 : ms_random_below(&random.random, LINE);
        assert_ok(ms_stage_set_base(f->stage, m->size, &test_err));
        for (int i = 0; i < 200; i++) {
            uint64_t from = ms_random_below(&random.random, LINE - 1);
            uint64_t to = from + 1 + ms_random_below(&random.random, LINE - from - 1);

            change(f->stage, m, &random.random);
            assert_int_equal(ms_stage_size(f->stage), m->size);
            assert_int_equal(ms_stage_generation(f->stage), m->generation);
            assert_int_equal(ms_journal_bytes(f->journal), model_journal(m));
            compare_bytes(f->stage, m);
            compare_range(f->stage, m, from, to);
        }
        ms_random_seeded_fini(&random);
    }
    free(m);
}

/* ---- limits --------------------------------------------------------------------------------- */

static void a_full_staging_area_is_enospc_naming_the_limit_and_changes_nothing(void **state) {
    struct fixture *f = *state;
    struct ms_stage *other;
    uint8_t bytes[3 * PAGE] = {1};

    open_limited(f, 4 * PAGE);
    assert_ok(ms_stage_open(f->journal, &other, &test_err));
    assert_ok(ms_stage_write(other, 0, bytes, 2 * PAGE, &test_err));
    assert_ok(ms_stage_write(f->stage, 0, bytes, PAGE, &test_err));
    test_err = (struct ms_error){0};
    assert_int_equal(ms_stage_write(f->stage, PAGE, bytes, 3 * PAGE, &test_err), MS_NO_SPACE);
    assert_non_null(strstr(test_err.message, "12288 of 16384 bytes"));
    assert_non_null(strstr(test_err.message, f->journal_dir));
    assert_int_equal(ms_stage_size(f->stage), PAGE);
    assert_int_equal(ms_journal_bytes(f->journal), 3 * PAGE);
    assert_ok(ms_stage_write(f->stage, 0, bytes, 2 * PAGE, &test_err)); /* one page is new */
    assert_code(ms_stage_write(f->stage, 2 * PAGE, bytes, 1, &test_err), MS_NO_SPACE);
    ms_stage_close(other); /* gives its space back */
    assert_ok(ms_stage_write(f->stage, 2 * PAGE, bytes, 2 * PAGE, &test_err));
    assert_ok(ms_stage_truncate(f->stage, 10, &test_err));
    assert_int_equal(ms_journal_bytes(f->journal), PAGE);
}

static void holes_are_free_however_large(void **state) {
    struct fixture *f = *state;
    struct stat st;

    use_files(f);
    assert_ok(ms_stage_truncate(f->stage, MS_FILE_BYTES_MAX, &test_err));
    assert_ok(ms_stage_zero(f->stage, 0, MS_FILE_BYTES_MAX, &test_err));
    assert_ok(ms_stage_write(f->stage, MS_FILE_BYTES_MAX - 1, "x", 1, &test_err));
    assert_int_equal(ms_journal_bytes(f->journal), PAGE);
    assert_int_equal(fstat(fd_of(f->stage), &st), 0);
    assert_int_equal(st.st_size, MS_FILE_BYTES_MAX);
    assert_true(st.st_blocks * 512 <= 64 * 1024);
    assert_code(ms_stage_write(f->stage, MS_FILE_BYTES_MAX, "x", 1, &test_err), MS_TOO_LARGE);
    assert_code(ms_stage_zero(f->stage, 1, UINT64_MAX, &test_err), MS_TOO_LARGE);
    assert_code(ms_stage_truncate(f->stage, MS_FILE_BYTES_MAX + 1, &test_err), MS_TOO_LARGE);
}

static void what_was_cut_off_reads_as_zeros_when_the_file_grows_again(void **state) {
    struct fixture *f = *state;
    uint8_t bytes[2 * PAGE], zeros[2 * PAGE] = {0}, got[2 * PAGE];
    struct ms_extent extent;

    memset(bytes, 7, sizeof bytes);
    assert_ok(ms_stage_write(f->stage, 0, bytes, sizeof bytes, &test_err));
    assert_ok(ms_stage_truncate(f->stage, 100, &test_err));
    assert_ok(ms_stage_write(f->stage, 2 * PAGE, "x", 1, &test_err));
    assert_ok(ms_stage_pull(f->stage, 100, got, 2 * PAGE - 100, &extent, &test_err));
    assert_int_equal(extent.length, 2 * PAGE - 100);
    assert_true(extent.hole);
    assert_memory_equal(got, zeros, 2 * PAGE - 100);
    assert_int_equal(pread(fd_of(f->stage), got, 2 * PAGE, 0),
                     2 * PAGE); /* bodies read the file itself */
    assert_memory_equal(got, bytes, 100);
    assert_memory_equal(got + 100, zeros, 2 * PAGE - 100);
}

static void a_change_marks_the_grains_that_it_touches_and_no_others(void **state) {
    struct fixture *f = *state;
    const uint64_t grain = MS_PART_GRAIN;

    assert_ok(ms_stage_write(f->stage, 2 * grain - 1, "ab", 2, &test_err)); /* 1: grows from 0 */
    assert_int_equal(ms_stage_touched(f->stage, 0, 1), 1);
    assert_int_equal(ms_stage_touched(f->stage, 2 * grain, 1), 1);
    assert_ok(ms_stage_write(f->stage, grain, "a", 1, &test_err)); /* 2 */
    assert_int_equal(ms_stage_touched(f->stage, 0, grain), 1);
    assert_int_equal(ms_stage_touched(f->stage, grain, 1), 2);
    assert_int_equal(ms_stage_touched(f->stage, 0, 3 * grain), 2);
    assert_int_equal(ms_stage_touched(f->stage, 2 * grain, 9 * grain), 1);
    assert_int_equal(ms_stage_touched(f->stage, 3 * grain, 9 * grain), 0);
    assert_ok(ms_stage_truncate(f->stage, 5 * grain, &test_err)); /* 3: from the old end on */
    assert_int_equal(ms_stage_touched(f->stage, 0, 2 * grain), 2);
    assert_int_equal(ms_stage_touched(f->stage, 2 * grain, 1), 3);
    assert_int_equal(ms_stage_touched(f->stage, 4 * grain, 1), 3);
    assert_ok(
        ms_stage_fill(f->stage, 0, "abc", 3, &test_err)); /* nothing that a reader could see */
    assert_int_equal(ms_stage_generation(f->stage), 3);
}

static void a_folder_belongs_to_one_process_and_goes_with_its_last_stage(void **state) {
    struct fixture *f = *state;
    struct ms_journal *second;
    char *file = ms_test_path(f->dir, "file");

    assert_code(ms_journal_open(f->journal_dir, 1, &second, &test_err), MS_BUSY);
    ms_test_write_file(file, "", 0);
    assert_code(ms_journal_open(file, 1, &second, &test_err), MS_NOT_DIR);
    free(file);
    ms_journal_close(MS_TAKE(f->journal));
    assert_ok(ms_stage_write(f->stage, 0, "x", 1, &test_err));
    assert_int_equal(access(f->journal_dir, F_OK), 0);
    ms_stage_close(MS_TAKE(f->stage));
    assert_int_equal(access(f->journal_dir, F_OK), -1);
}

static void a_failing_disk_is_reported_and_the_size_stays(void **state) {
    struct fixture *f = *state;
    uint8_t bytes[PAGE] = {3}, got[PAGE];
    use_files(f);
    struct ms_stage *stage = f->stage;
    int file, fd, null = open("/dev/full", O_RDWR | O_CLOEXEC);

    assert_ok(ms_stage_write(stage, 0, bytes, 100, &test_err));
    file = fd_of(stage);
    fd = dup(file);
    assert_true(null >= 0 && dup2(null, file) >= 0);
    assert_code(ms_stage_write(stage, 50, bytes, PAGE, &test_err), MS_NO_SPACE);
    assert_true(dup2(fd, file) >= 0);
    assert_int_equal(ms_stage_size(stage), 100);
    assert_int_equal(ms_journal_bytes(f->journal), PAGE);
    assert_ok(ms_stage_read(stage, 0, got, 100, &test_err));
    assert_memory_equal(got, bytes, 100);
    close(fd);
    close(null);
}

/* A write that failed in the middle may leave bytes behind the end, when even cutting them off
 * fails. */
static void what_a_failed_write_left_behind_the_end_never_shows(void **state) {
    struct fixture *f = *state;
    uint8_t junk[PAGE], zeros[PAGE] = {0}, got[PAGE];

    memset(junk, 0xbb, sizeof junk);
    f->files = true;
    for (int way = 0; way < 3; way++) {
        open_limited(f, 64 * MS_MB);
        assert_ok(ms_stage_write(f->stage, 0, "abc", 3, &test_err));
        assert_int_equal(pwrite(fd_of(f->stage), junk, PAGE, 3), PAGE);
        if (way == 0)
            assert_ok(ms_stage_write(f->stage, 3 + PAGE, "x", 1, &test_err));
        else if (way == 1)
            assert_ok(ms_stage_truncate(f->stage, 3 + PAGE, &test_err));
        else
            assert_ok(ms_stage_zero(f->stage, 3 + PAGE, 1, &test_err));
        assert_int_equal(pread(fd_of(f->stage), got, PAGE, 3), PAGE);
        assert_memory_equal(got, zeros, PAGE);
    }
}

/* ---- readers beside a writer ---------------------------------------------------------------- */

#define TORN_BYTES (16 * PAGE)
#define HALF (TORN_BYTES / 2)
struct writer {
    struct ms_stage *stage;
    atomic_bool stop;
    enum ms_code code;
};

static void *write_on(void *arg) {
    struct writer *w = arg;
    uint8_t *bytes = malloc(TORN_BYTES);

    for (unsigned i = 1; !atomic_load(&w->stop) && !w->code; i++) {
        memset(bytes, (int)(i % 251), TORN_BYTES);
        w->code = ms_stage_write(w->stage, 0, bytes, TORN_BYTES, NULL);
    }
    free(bytes);
    return NULL;
}

static bool is_uniform(const uint8_t *p, size_t n) { return memcmp(p, p + 1, n - 1) == 0; }

static void a_read_that_no_generation_touched_is_never_torn(void **state) {
    struct fixture *f = *state;
    use_files(f);
    struct writer w = {.stage = f->stage};
    uint8_t *got = calloc(1, TORN_BYTES);
    int file = fd_of(f->stage);
    unsigned whole = 0, tries = 0;
    pthread_t thread;

    assert_ok(ms_stage_write(f->stage, 0, got, TORN_BYTES, &test_err));
    pthread_create(&thread, NULL, write_on, &w);
    for (; tries < 1500; tries++) {
        struct ms_stage_state before = ms_stage_state(f->stage, 0, TORN_BYTES);

        if (pread(file, got, HALF, 0) != HALF)
            break;
        sched_yield(); /* on one processor the writer needs a chance to tear it */
        if (pread(file, got + HALF, HALF, HALF) != HALF)
            break;
        if (ms_stage_touched(f->stage, 0, TORN_BYTES) > before.generation)
            continue;
        whole++;
        if (!is_uniform(got, TORN_BYTES))
            break;
    }
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    print_message("%u of %u reads were not touched\n", whole, tries);
    assert_int_equal(tries, 1500);
    assert_int_equal(w.code, MS_OK);
    free(got);
}

static void a_frozen_copy_is_one_moment_however_fast_the_writer(void **state) {
    struct fixture *f = *state;
    struct writer w = {.stage = f->stage};
    uint8_t *got = calloc(1, TORN_BYTES);
    unsigned bad = 0;
    pthread_t thread;
    int fd;
    uint64_t generation;

    assert_ok(ms_stage_write(f->stage, 0, got, TORN_BYTES, &test_err));
    pthread_create(&thread, NULL, write_on, &w);
    for (int i = 0; i < 200; i++) {
        if (ms_stage_freeze(f->stage, 0, TORN_BYTES, &fd, &generation, NULL) != MS_OK)
            break;
        bad += pread(fd, got, TORN_BYTES, 0) != TORN_BYTES || !is_uniform(got, TORN_BYTES);
        close(fd);
    }
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(bad, 0);
    assert_int_equal(w.code, MS_OK);
    assert_code(ms_stage_freeze(f->stage, 1, TORN_BYTES, &fd, &generation, &test_err), MS_CONFLICT);
    free(got);
}

/* ---- memory ---------------------------------------------------------------------------------- */

#define WIDE (3 * MS_PART_GRAIN + 3 * PAGE + 17)
#define VIEWS 4

/* A view, and what it showed when it was taken. */
struct seen {
    struct ms_stage_view view;
    uint8_t *copy;
    uint64_t n;
};

static void end_seen(struct seen *seen) {
    if (!seen->copy)
        return;
    assert_true(memcmp(seen->view.bytes, seen->copy, seen->n) == 0);
    ms_stage_view_end(&seen->view);
    free(MS_TAKE(seen->copy));
}

/* A range within one grain: a view of it is the model's bytes, or it says why not. */
static void look(struct ms_stage *stage, const uint8_t *bytes, uint64_t size, struct seen *seen,
                 struct ms_random *random) {
    uint64_t at = ms_random_below(random, size ? size : 1);
    uint64_t left = MS_PART_GRAIN - at % MS_PART_GRAIN, n = 1 + ms_random_below(random, left);
    enum ms_code code;

    end_seen(seen);
    code = ms_stage_view(stage, at, n, &seen->view, &test_err);
    if (code == MS_UNSUPPORTED)
        code = ms_stage_load(stage, at, n, &seen->view, &test_err);
    assert_int_equal(code == MS_CONFLICT, at + n > size);
    if (code != MS_OK)
        return;
    assert_true(memcmp(seen->view.bytes, bytes + at, n) == 0);
    seen->n = n;
    seen->copy = malloc(n);
    memcpy(seen->copy, bytes + at, n);
}

static void step(struct ms_stage *stage, uint8_t *bytes, uint64_t *size, struct ms_random *random) {
    uint64_t at = ms_random_below(random, WIDE - 1),
             most = ms_random_below(random, 4) ? 70000 : 1 << 21;
    uint64_t n = 1 + ms_random_below(random, most);
    int fd;

    n = n < WIDE - at ? n : WIDE - at;
    switch (ms_random_below(random, 8)) {
    case 0:
        assert_ok(ms_stage_zero(stage, at, n, &test_err));
        memset(bytes + at, 0, n);
        *size = at + n > *size ? at + n : *size;
        break;
    case 1:
        assert_ok(ms_stage_truncate(stage, at, &test_err));
        memset(bytes + at, 0, WIDE - at);
        *size = at;
        break;
    case 2:
        ms_stage_rest(stage, at, n);
        break;
    case 3:
        if (ms_random_below(random, 4) == 0 && at + n <= *size) {
            uint8_t *got = malloc(n);

            assert_ok(ms_stage_file(stage, at, n, &fd, &test_err));
            assert_int_equal(pread(fd, got, n, (off_t)at), n);
            assert_true(memcmp(got, bytes + at, n) == 0);
            free(got);
        }
        break;
    default:
        if (ms_random_below(random, 2)) /* mostly a file grows at its end */
            at = *size + n <= WIDE ? *size : at;
        for (uint64_t i = 0; i < n; i++)
            bytes[at + i] = (uint8_t)(i * 31 + n);
        assert_ok(ms_stage_write(stage, at, bytes + at, n, &test_err));
        *size = at + n > *size ? at + n : *size;
    }
}

static void compare_wide(struct ms_stage *stage, const uint8_t *bytes, uint64_t size,
                         uint8_t *got) {
    assert_int_equal(ms_stage_size(stage), size);
    if (size > 0)
        assert_ok(ms_stage_read(stage, 0, got, size, &test_err));
    assert_true(memcmp(got, bytes, size) == 0); /* cmocka's own goes byte by byte */
}

/* Whatever memory there is, and however often it changes: the same bytes; what a view has shown it
 * goes on to show. */
static void bytes_are_the_same_in_memory_in_the_file_and_between(void **state) {
    static const uint64_t limits[] = {0, 64 << 10, 9 * MS_MB, 17 * MS_MB, MS_STAGE_MEMORY_BYTES};
    struct fixture *f = *state;
    uint64_t seed = ms_test_seed();
    uint8_t *bytes = malloc(WIDE), *got = malloc(WIDE);

    for (unsigned round = 0; round < ms_test_rounds(6); round++) {
        struct seen seen[VIEWS] = {{.n = 0}};
        struct ms_random_seeded random;
        uint64_t size = 0;

        ms_random_seeded_init(&random, seed + round);
        open_limited(f, 64 * MS_MB);
        memset(bytes, 0, WIDE);
        for (int i = 0; i < 150; i++) {
            if (i % 16 == 0)
                ms_journal_limit_memory(
                    f->journal, limits[ms_random_below(&random.random, MS_ARRAY_LEN(limits))]);
            step(f->stage, bytes, &size, &random.random);
            if (ms_random_below(&random.random, 3) == 0)
                look(f->stage, bytes, size, &seen[ms_random_below(&random.random, VIEWS)],
                     &random.random);
            if (i % 16 == 0)
                compare_wide(f->stage, bytes, size, got);
        }
        compare_wide(f->stage, bytes, size, got);
        for (int i = 0; i < VIEWS; i++)
            end_seen(&seen[i]);
        ms_random_seeded_fini(&random);
    }
    free(bytes);
    free(got);
}

static void fill_stage(struct ms_stage *stage, const uint8_t *bytes, uint64_t n) {
    for (uint64_t at = 0; at < n; at += MS_MB)
        assert_ok(ms_stage_write(stage, at, bytes, MS_MB, &test_err));
}

static void memory_has_a_limit_and_small_files_need_no_file(void **state) {
    struct fixture *f = *state;
    struct ms_stage *many[40];
    uint8_t *bytes = calloc(1, MS_MB);
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC), after;

    open_limited(f, 256 * MS_MB);
    for (size_t i = 0; i < MS_ARRAY_LEN(many); i++) {
        assert_ok(ms_stage_open(f->journal, &many[i], &test_err));
        assert_ok(ms_stage_write(many[i], 0, bytes, 100000, &test_err));
    }
    assert_int_equal(ms_journal_memory(f->journal), MS_ARRAY_LEN(many) * (128 << 10));
    after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(after, before + 1); /* no descriptor was taken meanwhile */
    close(before);
    close(after);
    for (size_t i = 0; i < MS_ARRAY_LEN(many); i++)
        ms_stage_close(many[i]);
    assert_int_equal(ms_journal_memory(f->journal), 0);
    fill_stage(f->stage, bytes, 200 * MS_MB); /* nobody sends it */
    assert_true(ms_journal_memory(f->journal) <= MS_STAGE_MEMORY_BYTES);
    assert_int_equal(ms_journal_bytes(f->journal), 200 * MS_MB);
    free(bytes);
}

/* What was sent makes room only when it is wanted. */
static void what_rests_leaves_memory_when_it_gets_short(void **state) {
    struct fixture *f = *state;
    uint8_t *bytes = calloc(1, MS_MB);
    struct ms_stage_view view;

    ms_journal_limit_memory(f->journal, 6 * MS_PART_GRAIN);
    fill_stage(f->stage, bytes, 3 * MS_PART_GRAIN);
    ms_stage_rest(f->stage, 0, MS_PART_GRAIN);
    assert_int_equal(ms_journal_memory(f->journal), 3 * MS_PART_GRAIN);
    fill_stage(f->stage, bytes, 4 * MS_PART_GRAIN);
    ms_stage_rest(f->stage, MS_PART_GRAIN, MS_PART_GRAIN);
    assert_int_equal(ms_journal_memory(f->journal), 3 * MS_PART_GRAIN);
    assert_code(ms_stage_view(f->stage, MS_PART_GRAIN, 1, &view, &test_err), MS_UNSUPPORTED);
    assert_ok(ms_stage_view(f->stage, 0, MS_PART_GRAIN, &view, &test_err));
    ms_stage_view_end(&view);
    free(bytes);
}

/* A slab's bytes behind the end are its last user's; in whole pages they come to the file with it. */
static void what_a_slab_held_before_never_shows_in_a_gap(void **state) {
    struct fixture *f = *state;
    uint8_t *secret = malloc(MS_PART_GRAIN), got[100000], zeros[100000] = {0};
    struct ms_stage_view view;

    memset(secret, 0xee, MS_PART_GRAIN);
    for (int how = 0; how < 2; how++) {
        open_limited(f, 64 * MS_MB);
        ms_journal_limit_memory(f->journal, MS_PART_GRAIN);
        assert_ok(ms_stage_write(f->stage, 0, secret, MS_PART_GRAIN, &test_err));
        ms_stage_close(f->stage);
        assert_ok(ms_stage_open(f->journal, &f->stage, &test_err));
        assert_ok(ms_stage_write(f->stage, 0, "hello", 5, &test_err));
        assert_ok(ms_stage_view(f->stage, 0, 5, &view, &test_err)); /* it is being sent */
        if (how == 0)
            assert_ok(ms_stage_truncate(f->stage, sizeof got, &test_err));
        else
            assert_ok(ms_stage_write(f->stage, sizeof got - 1, "", 1, &test_err));
        ms_stage_view_end(&view);
        assert_ok(ms_stage_read(f->stage, 0, got, sizeof got, &test_err));
        assert_memory_equal(got, "hello", 5);
        assert_memory_equal(got + 5, zeros, sizeof got - 5);
        assert_int_equal(pread(fd_of(f->stage), got, sizeof got, 0), sizeof got);
        assert_memory_equal(got + 5, zeros, sizeof got - 5);
    }
    free(secret);
}

/* Several parts end at once, or ended while there was room: when it gets short, all of them go, not only the last. */
static void everything_that_may_rest_makes_room(void **state) {
    struct fixture *f = *state;
    uint8_t *bytes = malloc(12 * MS_PART_GRAIN), *got = malloc(12 * MS_PART_GRAIN);
    struct ms_random_seeded random;

    ms_random_seeded_init(&random, ms_test_seed());
    for (uint64_t i = 0; i < 12 * MS_PART_GRAIN / sizeof i; i++)
        ((uint64_t *)(void *)bytes)[i] = ms_random_below(&random.random, UINT64_MAX);
    open_limited(f, 12 * MS_PART_GRAIN);
    ms_journal_limit_memory(f->journal, 12 * MS_PART_GRAIN);
    assert_ok(ms_stage_write(f->stage, 0, bytes, 6 * MS_PART_GRAIN, &test_err));
    ms_stage_rest(f->stage, MS_PART_GRAIN, 5 * MS_PART_GRAIN); /* there is room: nothing moves */
    assert_int_equal(ms_journal_memory(f->journal), 6 * MS_PART_GRAIN);
    assert_ok(ms_stage_write(f->stage, 6 * MS_PART_GRAIN, bytes + 6 * MS_PART_GRAIN, 6 * MS_PART_GRAIN, &test_err));
    assert_true(ms_stage_is_crowded(f->stage));
    for (uint64_t left = 12; left > 6; left -= 2) { /* two a call, also of those before */
        assert_int_equal(ms_journal_memory(f->journal), left * MS_PART_GRAIN);
        ms_stage_rest(f->stage, 7 * MS_PART_GRAIN, MS_PART_GRAIN);
    }
    assert_false(ms_stage_is_crowded(f->stage));
    assert_int_equal(ms_journal_memory(f->journal), 6 * MS_PART_GRAIN);
    compare_wide(f->stage, bytes, 12 * MS_PART_GRAIN, got);
    ms_random_seeded_fini(&random);
    free(bytes);
    free(got);
}

struct asking {
    struct ms_stage *stage;
    atomic_bool told, crowded;
};

static void *ask_whether_crowded(void *arg) {
    struct asking *a = arg;

    atomic_store(&a->crowded, ms_stage_is_crowded(a->stage));
    atomic_store(&a->told, true);
    return NULL;
}

/* A writer that brings 8 MiB to a slow disk has the stage to itself for that long. */
static void whether_it_is_crowded_is_told_while_a_writer_is_at_work(void **state) {
    struct fixture *f = *state;
    struct asking a = {.stage = f->stage};
    pthread_t thread;

    ms_stage_lock_to_change(f->stage);
    assert_int_equal(pthread_create(&thread, NULL, ask_whether_crowded, &a), 0);
    for (unsigned i = 0; i < 10000 && !atomic_load(&a.told); i++)
        usleep(1000);
    bool told = atomic_load(&a.told);
    ms_stage_unlock(f->stage);
    pthread_join(thread, NULL);
    assert_true(told);
    assert_false(atomic_load(&a.crowded));
}

/* A view is whole, however fast the writer. */
static void a_view_is_one_moment_however_fast_the_writer(void **state) {
    struct fixture *f = *state;
    struct writer w = {.stage = f->stage};
    uint8_t *got = calloc(1, TORN_BYTES);
    unsigned bad = 0, seen = 0;
    struct ms_stage_view view;
    pthread_t thread;

    assert_ok(ms_stage_write(f->stage, 0, got, TORN_BYTES, &test_err));
    pthread_create(&thread, NULL, write_on, &w);
    for (int i = 0; i < 300; i++) {
        if (ms_stage_view(f->stage, 0, TORN_BYTES, &view, NULL) != MS_OK)
            break;
        bad += !is_uniform(view.bytes, TORN_BYTES);
        sched_yield();
        bad += !is_uniform(view.bytes, TORN_BYTES);
        ms_stage_view_end(&view);
        seen++;
    }
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(seen, 300);
    assert_int_equal(bad, 0);
    assert_int_equal(w.code, MS_OK);
    free(got);
}

static void *rest_on(void *arg) {
    struct writer *w = arg;

    while (!atomic_load(&w->stop))
        ms_stage_rest(w->stage, 0, 2 * MS_PART_GRAIN);
    return NULL;
}

/* Writes meet the way to the file at every moment. */
static void a_writer_beside_what_rests_loses_nothing(void **state) {
    struct fixture *f = *state;
    uint64_t n = 2 * MS_PART_GRAIN + MS_MB;
    uint8_t *bytes = calloc(1, n), *got = malloc(n);
    struct ms_random_seeded random;
    struct writer w;
    pthread_t thread;

    ms_random_seeded_init(&random, ms_test_seed());
    for (unsigned round = 0; round < ms_test_rounds(8); round++) {
        open_limited(f, 64 * MS_MB);
        ms_journal_limit_memory(f->journal, 30 * MS_MB);
        w = (struct writer){.stage = f->stage};
        memset(bytes, 0, n);
        fill_stage(f->stage, bytes, n);
        pthread_create(&thread, NULL, rest_on, &w);
        for (int i = 0; i < 60; i++) {
            uint64_t at = ms_random_below(&random.random, n - 5000);

            memset(bytes + at, i + 1, 5000);
            assert_ok(ms_stage_write(f->stage, at, bytes + at, 5000, &test_err));
        }
        atomic_store(&w.stop, true);
        pthread_join(thread, NULL);
        compare_wide(f->stage, bytes, n, got);
    }
    ms_random_seeded_fini(&random);
    free(bytes);
    free(got);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(random_changes_do_what_a_model_of_bytes_does),
        TEST(a_full_staging_area_is_enospc_naming_the_limit_and_changes_nothing),
        TEST(holes_are_free_however_large),
        TEST(what_was_cut_off_reads_as_zeros_when_the_file_grows_again),
        TEST(a_change_marks_the_grains_that_it_touches_and_no_others),
        TEST(a_folder_belongs_to_one_process_and_goes_with_its_last_stage),
        TEST(a_failing_disk_is_reported_and_the_size_stays),
        TEST(what_a_failed_write_left_behind_the_end_never_shows),
        TEST(a_read_that_no_generation_touched_is_never_torn),
        TEST(bytes_are_the_same_in_memory_in_the_file_and_between),
        TEST(memory_has_a_limit_and_small_files_need_no_file),
        TEST(what_rests_leaves_memory_when_it_gets_short),
        TEST(everything_that_may_rest_makes_room),
        TEST(whether_it_is_crowded_is_told_while_a_writer_is_at_work),
        TEST(what_a_slab_held_before_never_shows_in_a_gap),
        TEST(a_view_is_one_moment_however_fast_the_writer),
        TEST(a_writer_beside_what_rests_loses_nothing),
        TEST(a_frozen_copy_is_one_moment_however_fast_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
