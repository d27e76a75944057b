#include "support/test.h"

#include "base/clock.h"
#include "content/budget.h"
#include "content/reader.h"
#include "content/slabs.h"
#include "content/stage.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define LOG2 18u
#define BLOCK ((size_t)1 << LOG2)
#define SIZE (40 * MIB)
#define BUDGET (32 * MIB) /* half of it is the slabs', at most; half the cache's, at least */
#define GRANT ((size_t)MS_SLABS_GRANT)
#define AT (INT64_MAX / 4) /* later than all clocks: wishes of readers' own count for nothing then */

struct fixture {
    char *dir;
    struct ms_engine *engine;
    struct ms_obj *mem;
    struct ms_budget *budget;
    struct ms_cache *cache;
    struct ms_journal *journal; /* of whose memory the budget knows; or: */
    struct ms_slabs *pool;
    struct ms_source source;
    uint8_t *bytes;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    struct ms_obj_options options = {.url = "mem:", .random = ms_random_system(), .create = true};
    struct ms_random_seeded random;

    *state = f;
    f->dir = ms_test_tmpdir_new();
    assert_ok(ms_engine_new(4, &f->engine, &test_err));
    options.engine = f->engine;
    assert_ok(ms_obj_open(&options, &f->mem, &test_err));
    f->bytes = malloc(SIZE);
    ms_random_seeded_init(&random, 5);
    ms_random_fill(&random.random, f->bytes, SIZE);
    ms_random_seeded_fini(&random);
    f->source = (struct ms_source){.object = ms_object_id_new(ms_random_system()),
                                   .key = "a/b.bin",
                                   .size = SIZE,
                                   .block_log2 = LOG2};
    struct ms_obj_request r = {.op = MS_OBJ_PUT,
                               .key = f->source.key,
                               .body = {.memory = ms_view_of(f->bytes, SIZE), .length = SIZE}};
    assert_ok(ms_obj_run(f->mem, &r, &test_err));
    assert_ok(ms_budget_new(BUDGET, &f->budget, &test_err));
    assert_ok(ms_cache_new(f->mem, NULL, BUDGET, &f->cache, &test_err));
    ms_budget_add_cache(f->budget, f->cache);
    return 0;
}

static void with_pool(struct fixture *f) {
    f->pool = ms_slabs_new(UINT64_MAX);
    ms_budget_add_slabs(f->budget, f->pool);
}

static void with_journal(struct fixture *f) {
    char *path = ms_test_path(f->dir, "journal");

    assert_ok(ms_journal_open(path, 4096 * MIB, &f->journal, &test_err));
    ms_journal_join(f->journal, f->budget);
    free(path);
}

static int teardown(void **state) {
    struct fixture *f = *state;

    ms_journal_close(f->journal);
    ms_slabs_free(f->pool);
    ms_cache_free(f->cache);
    ms_budget_free(f->budget);
    ms_obj_close(f->mem);
    ms_engine_free(f->engine);
    ms_test_tmpdir_remove(f->dir);
    free(f->bytes);
    free(f);
    return 0;
}

static struct ms_budget_stats stats_of(struct fixture *f) {
    struct ms_budget_stats stats;

    ms_budget_stats(f->budget, &stats);
    assert_true(stats.cache + stats.granted <= BUDGET);
    assert_true(stats.staged <= stats.granted);
    return stats;
}

static void read_all(struct fixture *f) {
    uint8_t *got = malloc(SIZE);

    for (size_t at = 0; at < SIZE; at += MIB)
        assert_ok(ms_read_run(f->cache, &f->source, at, MIB, got + at, &test_err));
    assert_memory_equal(got, f->bytes, SIZE);
    free(got);
}

static struct ms_slab *filled(struct fixture *f) {
    struct ms_slab *slab = ms_slab_take(f->pool, false);

    assert_non_null(slab);
    assert_true(ms_slab_reach(slab, MS_SLAB_BYTES));
    memset(slab->bytes, 7, MS_SLAB_BYTES);
    return slab;
}

static void what_is_staged_comes_off_the_cache_and_goes_back(void **state) {
    struct fixture *f = *state;
    struct ms_slab *slab[2];
    struct ms_cache_stats cache;

    with_pool(f);
    read_all(f);
    assert_int_equal(stats_of(f).cache, BUDGET);
    for (unsigned i = 0; i < 2; i++) {
        slab[i] = filled(f);
        assert_int_equal(stats_of(f).cache, BUDGET - (i + 1) * GRANT);
        assert_int_equal(stats_of(f).staged, (i + 1) * GRANT);
    }
    assert_null(ms_slab_take(f->pool, true)); /* half is all */
    read_all(f);
    assert_int_equal(stats_of(f).cache, BUDGET / 2);
    for (unsigned i = 0; i < 2; i++)
        ms_slab_unref(slab[i]);
    ms_budget_wish(f->budget, AT);
    read_all(f);
    assert_int_equal(stats_of(f).staged, BUDGET / 2); /* not idle for long */
    ms_budget_wish(f->budget, AT + MS_SLABS_IDLE_NS);
    assert_int_equal(stats_of(f).staged, 0);
    ms_cache_stats(f->cache, &cache);
    assert_int_equal(cache.limit, BUDGET);
    read_all(f);
    assert_int_equal(stats_of(f).cache, BUDGET);
}

static void a_reader_that_finds_no_room_asks_by_itself(void **state) {
    struct fixture *f = *state;

    with_pool(f);
    ms_slab_unref(filled(f));
    ms_budget_wish(f->budget, ms_clock_mono_ns(ms_clock_system()) - MS_SLABS_IDLE_NS);
    assert_int_equal(stats_of(f).staged, GRANT);
    read_all(f);
    assert_int_equal(stats_of(f).staged, 0);
    assert_int_equal(stats_of(f).granted, 0);
    assert_int_equal(stats_of(f).cache, BUDGET);
}

static void lent_done(struct ms_read *read) { ms_latch_open(read->priv); }

static void what_is_lent_is_not_taken_away(void **state) {
    enum { LOANS = 23 * 4 }; /* 23 MiB */
    struct fixture *f = *state;
    struct ms_read *loan = calloc(LOANS, sizeof *loan);
    struct ms_slab *slab;

    with_pool(f);
    for (size_t i = 0; i < LOANS; i++) {
        struct ms_latch latch;

        ms_latch_init(&latch);
        loan[i] = (struct ms_read){.source = &f->source,
                                   .offset = i * BLOCK,
                                   .length = BLOCK,
                                   .done = lent_done,
                                   .priv = &latch};
        ms_read_start(f->cache, &loan[i]);
        ms_latch_wait(&latch);
        assert_int_equal(loan[i].code, MS_OK);
    }
    slab = filled(f); /* 8 of the 9 MiB that are left */
    assert_null(ms_slab_take(f->pool, true));
    assert_true(stats_of(f).cache >= LOANS * BLOCK);
    for (size_t i = 0; i < LOANS; i++) {
        struct iovec iov[MS_READ_LENT_MAX];

        assert_int_equal(ms_read_lent(&loan[i], iov), 1);
        assert_memory_equal(iov[0].iov_base, f->bytes + i * BLOCK, BLOCK);
        ms_read_release(f->cache, &loan[i]);
    }
    ms_slab_unref(filled(f)); /* now there is */
    assert_int_equal(stats_of(f).cache, BUDGET / 2);
    ms_slab_unref(slab);
    free(loan);
}

/* ---- all at once ---------------------------------------------------------------------------- */

struct worker {
    struct fixture *f;
    pthread_t thread;
    uint64_t seed;
    unsigned bad, spoilt;
};

static void *read_at_random(void *arg) {
    struct worker *w = arg;
    struct ms_random_seeded random;
    uint8_t *got = malloc(MIB);

    ms_random_seeded_init(&random, w->seed);
    for (unsigned i = 0; i < 80; i++) {
        uint64_t at = ms_random_below(&random.random, SIZE - MIB);

        w->bad += ms_read_run(w->f->cache, &w->f->source, at, MIB, got, NULL) != MS_OK;
        w->spoilt += memcmp(got, w->f->bytes + at, MIB) != 0;
    }
    ms_random_seeded_fini(&random);
    free(got);
    return NULL;
}

/* Files of up to 20 MiB one after the other, read back before they are closed. */
static void *write_files(void *arg) {
    struct worker *w = arg;
    uint8_t *got = malloc(MIB);

    for (unsigned i = 0; i < 6; i++) {
        size_t size = (4 + (w->seed + i) % 5 * 4) * MIB;
        struct ms_stage *stage = NULL;

        w->bad += ms_stage_open(w->f->journal, &stage, NULL) != MS_OK;
        for (size_t at = 0; at < size; at += MIB)
            w->bad += ms_stage_write(stage, at, w->f->bytes + at, MIB, NULL) != MS_OK;
        for (size_t at = 0; at < size; at += MIB) {
            w->bad += ms_stage_read(stage, at, got, MIB, NULL) != MS_OK;
            w->spoilt += memcmp(got, w->f->bytes + at, MIB) != 0;
        }
        ms_stage_close(stage);
    }
    free(got);
    return NULL;
}

struct sampler {
    struct fixture *f;
    pthread_t thread;
    atomic_bool stop;
    uint64_t peak, staged_peak; /* of all; of the slabs */
};

/* Wishes more often than readers do, and as if hours went by: memory goes to and fro. */
static void *sample(void *arg) {
    struct sampler *s = arg;
    int64_t now = AT;

    for (unsigned i = 0; !atomic_load(&s->stop); i++) {
        struct ms_budget_stats stats;

        ms_budget_stats(s->f->budget, &stats);
        if (stats.cache + stats.granted > s->peak)
            s->peak = stats.cache + stats.granted;
        if (stats.staged > s->staged_peak)
            s->staged_peak = stats.staged;
        if (i % 8 == 0)
            ms_budget_wish(s->f->budget, now += MS_SLABS_IDLE_NS);
        sched_yield();
    }
    return NULL;
}

static void readers_and_writers_never_hold_more_than_the_budget(void **state) {
    struct fixture *f = *state;
    struct worker w[8] = {{0}};
    struct sampler s = {.f = f};
    uint64_t seed = ms_test_seed();

    with_journal(f);
    read_all(f); /* it is all the cache's */
    assert_int_equal(pthread_create(&s.thread, NULL, sample, &s), 0);
    for (unsigned i = 0; i < 8; i++) {
        w[i] = (struct worker){.f = f, .seed = seed + i};
        assert_int_equal(
            pthread_create(&w[i].thread, NULL, i % 2 ? read_at_random : write_files, &w[i]), 0);
    }
    for (unsigned i = 0; i < 8; i++)
        pthread_join(w[i].thread, NULL);
    atomic_store(&s.stop, true);
    pthread_join(s.thread, NULL);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(w[i].bad, 0);
        assert_int_equal(w[i].spoilt, 0);
    }
    assert_true(s.peak <= BUDGET);
    assert_true(s.peak > BUDGET / 2);
    assert_true(s.staged_peak > 0);
    assert_true(s.staged_peak <= BUDGET / 2);
    read_all(f);
    ms_budget_wish(f->budget, INT64_MAX / 2);
    ms_budget_wish(f->budget, INT64_MAX / 2 + MS_SLABS_IDLE_NS);
    assert_int_equal(stats_of(f).staged, 0);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_staged_comes_off_the_cache_and_goes_back),
        TEST(a_reader_that_finds_no_room_asks_by_itself),
        TEST(what_is_lent_is_not_taken_away),
        TEST(readers_and_writers_never_hold_more_than_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
