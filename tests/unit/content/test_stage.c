#include "support/test.h"

#include "content/parts.h"
#include "content/stage.h"

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
};

static void open_limited(struct fixture *f, uint64_t bytes_max) {
    ms_stage_close(MS_TAKE(f->stage));
    ms_journal_close(MS_TAKE(f->journal));
    assert_ok(ms_journal_open(f->journal_dir, bytes_max, &f->journal, &test_err));
    assert_ok(ms_stage_open(f->journal, &f->stage, &test_err));
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

enum kind { ABSENT, CLEAN, DIRTY, HOLE };
struct model {
    uint8_t base[LINE], bytes[LINE], kind[LINE];
    uint64_t size, generation;
};

static void model_set(struct model *m, uint64_t from, uint64_t to, const uint8_t *bytes,
                      enum kind kind) {
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

    assert_ok(ms_stage_truncate(f->stage, MS_FILE_BYTES_MAX, &test_err));
    assert_ok(ms_stage_zero(f->stage, 0, MS_FILE_BYTES_MAX, &test_err));
    assert_ok(ms_stage_write(f->stage, MS_FILE_BYTES_MAX - 1, "x", 1, &test_err));
    assert_int_equal(ms_journal_bytes(f->journal), PAGE);
    assert_int_equal(fstat(ms_stage_fd(f->stage), &st), 0);
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
    assert_int_equal(pread(ms_stage_fd(f->stage), got, 2 * PAGE, 0),
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
    struct ms_stage *stage = f->stage;
    uint8_t bytes[PAGE] = {3}, got[PAGE];
    int fd = dup(ms_stage_fd(stage)), null = open("/dev/full", O_RDWR | O_CLOEXEC);

    assert_ok(ms_stage_write(stage, 0, bytes, 100, &test_err));
    assert_true(null >= 0 && dup2(null, ms_stage_fd(stage)) >= 0);
    assert_code(ms_stage_write(stage, 50, bytes, PAGE, &test_err), MS_NO_SPACE);
    assert_true(dup2(fd, ms_stage_fd(stage)) >= 0);
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
    for (int way = 0; way < 3; way++) {
        open_limited(f, 64 * MS_MB);
        assert_ok(ms_stage_write(f->stage, 0, "abc", 3, &test_err));
        assert_int_equal(pwrite(ms_stage_fd(f->stage), junk, PAGE, 3), PAGE);
        if (way == 0)
            assert_ok(ms_stage_write(f->stage, 3 + PAGE, "x", 1, &test_err));
        else if (way == 1)
            assert_ok(ms_stage_truncate(f->stage, 3 + PAGE, &test_err));
        else
            assert_ok(ms_stage_zero(f->stage, 3 + PAGE, 1, &test_err));
        assert_int_equal(pread(ms_stage_fd(f->stage), got, PAGE, 3), PAGE);
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
    struct writer w = {.stage = f->stage};
    uint8_t *got = calloc(1, TORN_BYTES);
    unsigned whole = 0, tries = 0;
    pthread_t thread;

    assert_ok(ms_stage_write(f->stage, 0, got, TORN_BYTES, &test_err));
    pthread_create(&thread, NULL, write_on, &w);
    for (; tries < 1500; tries++) {
        struct ms_stage_state before = ms_stage_state(f->stage, 0, TORN_BYTES);

        if (pread(ms_stage_fd(f->stage), got, HALF, 0) != HALF)
            break;
        sched_yield(); /* on one processor the writer needs a chance to tear it */
        if (pread(ms_stage_fd(f->stage), got + HALF, HALF, HALF) != HALF)
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
        TEST(a_frozen_copy_is_one_moment_however_fast_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
