#include "support/test.h"

#include "content/reader.h"
#include "content/tap.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG2 12u
#define BLOCK ((size_t)1 << LOG2)
#define SIZE (100 * BLOCK + 17)
#define LAST (SIZE / BLOCK)

struct fixture {
    struct ms_engine *engine;
    struct ms_obj *mem;
    struct tap tap;
    struct ms_log log;
    atomic_uint logged_damaged, logged_differs, logged_missing;
    struct ms_cache *cache;
    struct ms_source source, unhashed;
    uint8_t *bytes, *got;
    uint64_t flip_at; /* a GET that covers it gets it wrong */
    atomic_uint flips, fresh;
};

static void log_write(struct ms_log *log, enum ms_log_level level, const char *line) {
    struct fixture *f = log->priv;

    (void)level;
    atomic_fetch_add(&f->logged_damaged, strstr(line, "block_damaged") != NULL);
    atomic_fetch_add(&f->logged_differs, strstr(line, "block_differs") != NULL);
    atomic_fetch_add(&f->logged_missing, strstr(line, "object_missing") != NULL);
}

static void put(struct fixture *f, size_t size) {
    struct ms_obj_request r = {.op = MS_OBJ_PUT,
                               .key = f->source.key,
                               .body = {.memory = ms_view_of(f->bytes, size), .length = size}};

    assert_ok(ms_obj_run(f->mem, &r, &test_err));
}

static void limit(struct fixture *f, uint64_t bytes_max) {
    ms_cache_free(MS_TAKE(f->cache));
    assert_ok(ms_cache_new(&f->tap.obj, &f->log, bytes_max, &f->cache, &test_err));
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    struct ms_obj_options options = {.url = "mem:", .random = ms_random_system(), .create = true};
    struct ms_random_seeded random;

    *state = f;
    assert_ok(ms_engine_new(4, &f->engine, &test_err));
    options.engine = f->engine;
    assert_ok(ms_obj_open(&options, &f->mem, &test_err));
    tap_init(&f->tap, f->mem);
    f->log = (struct ms_log){.write = log_write, .level = MS_LOG_DEBUG, .priv = f};
    f->bytes = malloc(SIZE);
    f->got = malloc(SIZE);
    ms_random_seeded_init(&random, 3);
    ms_random_fill(&random.random, f->bytes, SIZE);
    ms_random_seeded_fini(&random);
    f->source = (struct ms_source){.object = ms_object_id_new(ms_random_system()),
                                   .key = "a/b.bin",
                                   .size = SIZE,
                                   .block_log2 = LOG2};
    f->unhashed = f->source;
    assert_ok(ms_hashes_resize(&f->source.hashes, LAST + 1, &test_err));
    for (size_t i = 0; i <= LAST; i++)
        f->source.hashes.hash[i] =
            ms_block_hash(f->bytes + i * BLOCK, i < LAST ? BLOCK : SIZE % BLOCK);
    put(f, SIZE);
    limit(f, 64 * BLOCK);
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;

    tap_release(&f->tap, MS_OBJ_GET); /* a test that failed may hold some */
    ms_cache_free(f->cache);
    ms_engine_free(f->engine);
    ms_obj_close(f->mem);
    tap_fini(&f->tap);
    ms_source_fini(&f->source);
    free(f->bytes);
    free(f->got);
    free(f);
    return 0;
}

static void flip(void *priv, struct ms_obj_request *r) {
    struct fixture *f = priv;

    atomic_fetch_add(&f->fresh, r->fresh);
    if (r->code || f->flip_at < r->offset || f->flip_at >= r->offset + r->length)
        return;
    if (atomic_load(&f->flips) == 0)
        return;
    atomic_fetch_sub(&f->flips, 1);
    ((uint8_t *)r->into)[f->flip_at - r->offset] ^= 0x10;
}

static void flip_at(struct fixture *f, uint64_t offset, unsigned times) {
    f->flip_at = offset;
    atomic_store(&f->flips, times);
    f->tap.rule[MS_OBJ_GET].after = flip;
    f->tap.rule[MS_OBJ_GET].priv = f;
}

static enum ms_code read_at(struct fixture *f, uint64_t offset, size_t length,
                            struct ms_error *reterr) {
    memset(f->got, 0xee, SIZE);
    return ms_read_run(f->cache, &f->source, offset, length, f->got, reterr);
}

static void read_is_right(struct fixture *f, uint64_t offset, size_t length) {
    assert_ok(read_at(f, offset, length, &test_err));
    assert_memory_equal(f->got, f->bytes + offset, length);
}

static struct ms_cache_stats stats_of(struct fixture *f) {
    struct ms_cache_stats stats;

    ms_cache_stats(f->cache, &stats);
    assert_true(stats.bytes_peak <= stats.bytes_max);
    return stats;
}

/* ---- what is read --------------------------------------------------------------------------- */

static void every_range_around_the_blocks_is_read_cold_and_warm(void **state) {
    static const uint64_t at[] = {0,         1,         BLOCK - 1, BLOCK,
                                  BLOCK + 1, 9 * BLOCK, SIZE - 18, SIZE - 1};
    static const size_t lengths[] = {1,         2,         BLOCK - 1,  BLOCK,
                                     BLOCK + 1, 3 * BLOCK, 70 * BLOCK, SIZE};
    struct fixture *f = *state;

    for (size_t i = 0; i < MS_ARRAY_LEN(at); i++)
        for (size_t j = 0; j < MS_ARRAY_LEN(lengths); j++) {
            size_t n = lengths[j] < SIZE - at[i] ? lengths[j] : SIZE - at[i];

            limit(f, 64 * BLOCK);
            read_is_right(f, at[i], n);
            read_is_right(f, at[i], n);
        }
    assert_ok(ms_read_run(f->cache, &f->source, 5, 0, NULL, &test_err));
}

static void neighbours_that_are_missing_come_by_one_get(void **state) {
    struct fixture *f = *state;

    limit(f, 32 * 16 * BLOCK); /* a 32nd: 16 blocks */
    read_is_right(f, 20 * BLOCK, 1);
    assert_int_equal(f->tap.count[MS_OBJ_GET], 1);
    read_is_right(f, 10 * BLOCK + 5, 16 * BLOCK - 5); /* 10..19 and 21..25 */
    assert_int_equal(f->tap.count[MS_OBJ_GET], 3);
    read_is_right(f, 40 * BLOCK, 33 * BLOCK); /* 16, 16, 1 */
    assert_int_equal(f->tap.count[MS_OBJ_GET], 6);
    read_is_right(f, 10 * BLOCK, 16 * BLOCK);
    assert_int_equal(f->tap.count[MS_OBJ_GET], 6);
    assert_int_equal(stats_of(f).fetched_bytes, (1 + 15 + 33) * BLOCK);
    assert_int_equal(stats_of(f).misses, 49);
    assert_int_equal(stats_of(f).hits, 17);
}

static void the_least_recently_used_goes_first(void **state) {
    struct fixture *f = *state;

    limit(f, 4 * BLOCK);
    for (uint64_t i = 0; i < 4; i++)
        read_is_right(f, i * BLOCK, BLOCK);
    read_is_right(f, 0, BLOCK);         /* 1 is the oldest now */
    read_is_right(f, 9 * BLOCK, BLOCK); /* takes its place */
    assert_int_equal(f->tap.count[MS_OBJ_GET], 5);
    assert_true(ms_read_cached(f->cache, &f->source, 0, BLOCK, f->got));
    assert_false(ms_read_cached(f->cache, &f->source, BLOCK, BLOCK, f->got));
    assert_true(ms_read_cached(f->cache, &f->source, 2 * BLOCK, 2 * BLOCK, f->got));
    assert_memory_equal(f->got, f->bytes + 2 * BLOCK, 2 * BLOCK);
    assert_int_equal(stats_of(f).bytes, 4 * BLOCK);
}

/* ---- damage --------------------------------------------------------------------------------- */

static void a_flipped_byte_in_the_object_fails_its_block_only(void **state) {
    struct fixture *f = *state;

    f->bytes[7 * BLOCK + 3] ^= 1;
    put(f, SIZE);
    f->bytes[7 * BLOCK + 3] ^= 1;
    read_is_right(f, 4 * BLOCK, 3 * BLOCK);
    read_is_right(f, 8 * BLOCK, 3 * BLOCK);
    limit(f, 64 * BLOCK);
    test_err = (struct ms_error){0};
    assert_int_equal(read_at(f, 5 * BLOCK, 4 * BLOCK, &test_err), MS_CORRUPT);
    assert_non_null(strstr(test_err.message, "block 7 "));
    assert_non_null(strstr(test_err.message, f->source.key));
    assert_int_equal(f->logged_differs, 1);
    assert_int_equal(f->logged_damaged, 1);
    assert_int_equal(stats_of(f).corrupt, 1);
    f->tap.count[MS_OBJ_GET] = 0;
    read_is_right(f, 5 * BLOCK, 2 * BLOCK); /* its neighbours were kept */
    read_is_right(f, 8 * BLOCK, BLOCK);
    assert_int_equal(f->tap.count[MS_OBJ_GET], 0);
    assert_code(read_at(f, 7 * BLOCK, 1, &test_err), MS_CORRUPT); /* and asked for again */
    assert_int_equal(f->tap.count[MS_OBJ_GET], 2);
    put(f, SIZE);
    read_is_right(f, 0, 12 * BLOCK);
}

static void a_block_that_was_wrong_once_is_fetched_again(void **state) {
    struct fixture *f = *state;

    limit(f, 32 * 4 * BLOCK);
    flip_at(f, 7 * BLOCK, 1);
    read_is_right(f, 6 * BLOCK, 4 * BLOCK);
    assert_int_equal(f->logged_differs, 1);
    assert_int_equal(f->logged_damaged, 0);
    assert_int_equal(stats_of(f).corrupt, 0);
    assert_int_equal(f->tap.log[1].length, BLOCK); /* alone */
    assert_int_equal(f->fresh, 1);                 /* and from nobody's cache */
}

static void a_cut_object_is_served_up_to_the_cut(void **state) {
    struct fixture *f = *state;

    put(f, 50 * BLOCK + 1);
    limit(f, 1024 * BLOCK);
    assert_code(read_at(f, 0, SIZE, &test_err), MS_CORRUPT);
    read_is_right(f, 0, 50 * BLOCK);
    assert_code(read_at(f, 50 * BLOCK, 1, &test_err), MS_CORRUPT);
    assert_code(read_at(f, SIZE - 1, 1, &test_err), MS_CORRUPT);
    assert_true(f->logged_damaged > 50);
}

static void an_object_that_is_gone_is_damage_not_enoent(void **state) {
    struct fixture *f = *state;
    struct ms_obj_request r = {.op = MS_OBJ_DELETE, .key = f->source.key};

    assert_ok(ms_obj_run(f->mem, &r, &test_err));
    assert_code(read_at(f, 0, 1, &test_err), MS_CORRUPT);
    assert_int_equal(f->logged_missing, 1);
}

static void a_failing_store_is_reported_as_such_and_nothing_is_kept(void **state) {
    struct fixture *f = *state;

    limit(f, 32 * 4 * BLOCK);
    f->tap.rule[MS_OBJ_GET].fail_next = 1;
    f->tap.rule[MS_OBJ_GET].fail_code = MS_UNAVAILABLE;
    assert_code(read_at(f, 0, 3 * BLOCK, &test_err), MS_UNAVAILABLE);
    assert_int_equal(f->tap.count[MS_OBJ_GET], 1);
    assert_int_equal(stats_of(f).corrupt, 0);
    assert_int_equal(stats_of(f).bytes, 0);
    read_is_right(f, 0, 3 * BLOCK);
}

static void a_bad_sector_fails_as_io_for_its_block_only(void **state) {
    struct fixture *f = *state;

    limit(f, 32 * 4 * BLOCK);
    f->tap.rule[MS_OBJ_GET].fail_next = 2; /* the whole chunk, then its first block */
    f->tap.rule[MS_OBJ_GET].fail_code = MS_IO;
    assert_code(read_at(f, 0, 3 * BLOCK, &test_err), MS_IO);
    assert_int_equal(f->tap.count[MS_OBJ_GET], 4);
    assert_true(ms_read_cached(f->cache, &f->source, BLOCK, 2 * BLOCK, f->got));
    read_is_right(f, 0, BLOCK);
}

static void hashes_that_do_not_fit_the_size_are_damage(void **state) {
    struct fixture *f = *state;

    f->source.hashes.count--;
    assert_code(read_at(f, 0, 1, &test_err), MS_CORRUPT);
    assert_int_equal(f->tap.count[MS_OBJ_GET], 0);
    f->source.hashes.count++;
}

static void unhashed_versions_are_served_but_not_to_readers_that_have_hashes(void **state) {
    struct fixture *f = *state;

    f->bytes[3] ^= 1;
    put(f, SIZE);
    assert_ok(ms_read_run(f->cache, &f->unhashed, 0, 10, f->got, &test_err));
    assert_memory_equal(f->got, f->bytes, 10);
    assert_false(ms_read_cached(f->cache, &f->source, 0, 10, f->got));
    assert_code(read_at(f, 0, 10, &test_err), MS_CORRUPT);
    assert_true(ms_read_cached(f->cache, &f->unhashed, 0, 10, f->got));
    put(f, SIZE - 1); /* all that can be seen of it is the size */
    assert_code(ms_read_run(f->cache, &f->unhashed, BLOCK, 10, f->got, &test_err), MS_CORRUPT);
}

/* ---- many readers --------------------------------------------------------------------------- */

struct many {
    struct ms_read read[64];
    uint8_t into[64][16];
    atomic_uint done;
    struct ms_latch latch;
};

static void one_done(struct ms_read *read) {
    struct many *m = read->priv;

    if (atomic_fetch_add(&m->done, 1) + 1 == 64)
        ms_latch_open(&m->latch);
}

static void start_many(struct fixture *f, struct many *m, uint64_t step) {
    ms_latch_init(&m->latch);
    for (unsigned i = 0; i < 64; i++) {
        m->read[i] = (struct ms_read){.source = &f->source,
                                      .offset = 5 + i * step,
                                      .length = 16,
                                      .into = m->into[i],
                                      .done = one_done,
                                      .priv = m};
        ms_read_start(f->cache, &m->read[i]);
    }
}

static void readers_of_one_block_share_one_fetch(void **state) {
    struct fixture *f = *state;
    struct many *m = calloc(1, sizeof *m);

    f->tap.rule[MS_OBJ_GET].hold = true;
    start_many(f, m, 1);
    tap_wait_held(&f->tap, MS_OBJ_GET, 1);
    tap_release(&f->tap, MS_OBJ_GET);
    ms_latch_wait(&m->latch);
    for (unsigned i = 0; i < 64; i++) {
        assert_int_equal(m->read[i].code, MS_OK);
        assert_memory_equal(m->into[i], f->bytes + 5 + i, 16);
    }
    assert_int_equal(f->tap.count[MS_OBJ_GET], 1);
    free(m);
}

static void a_read_without_memory_waits_in_line_and_is_served(void **state) {
    struct fixture *f = *state;
    struct many *m = calloc(1, sizeof *m);

    limit(f, 3 * BLOCK);
    f->tap.rule[MS_OBJ_GET].hold = true;
    start_many(f, m, BLOCK);
    tap_wait_held(&f->tap, MS_OBJ_GET, 3);
    assert_int_equal(stats_of(f).bytes, 3 * BLOCK);
    tap_release(&f->tap, MS_OBJ_GET);
    ms_latch_wait(&m->latch);
    for (unsigned i = 0; i < 64; i++)
        assert_memory_equal(m->into[i], f->bytes + 5 + i * BLOCK, 16);
    assert_int_equal(f->tap.in_flight_peak, 3);
    free(m);
}

static void cancelled_reads_end_at_once_and_leave_the_others_alone(void **state) {
    struct fixture *f = *state;
    struct many *m = calloc(1, sizeof *m);
    unsigned served = 0;

    limit(f, 3 * BLOCK);
    f->tap.rule[MS_OBJ_GET].hold = true;
    start_many(f, m, BLOCK / 2); /* pairs share a block; most stand in line */
    tap_wait_held(&f->tap, MS_OBJ_GET, 3);
    for (unsigned i = 0; i < 64; i += 2)
        ms_read_cancel(f->cache, &m->read[i]);
    assert_int_equal(atomic_load(&m->done), 32);
    for (unsigned i = 0; i < 64; i += 2)
        assert_int_equal(m->read[i].code, MS_CANCELLED);
    tap_release(&f->tap, MS_OBJ_GET);
    ms_latch_wait(&m->latch);
    for (unsigned i = 1; i < 64; i += 2) {
        ms_read_cancel(f->cache, &m->read[i]); /* too late: nothing happens */
        served +=
            m->read[i].code == MS_OK && memcmp(m->into[i], f->bytes + 5 + i * (BLOCK / 2), 16) == 0;
    }
    assert_int_equal(served, 32);
    assert_int_equal(stats_of(f).bytes, 3 * BLOCK);
    free(m);
}

struct reader {
    struct fixture *f;
    uint64_t seed;
    unsigned bad;
    pthread_t thread;
};

static void *read_at_random(void *arg) {
    struct reader *r = arg;
    struct ms_random_seeded random;
    uint8_t *got = malloc(SIZE);

    ms_random_seeded_init(&random, r->seed);
    for (unsigned i = 0; i < 60; i++) {
        uint64_t at = ms_random_below(&random.random, SIZE);
        size_t n = 1 + (size_t)ms_random_below(&random.random, SIZE - at);

        n = i % 4 ? 1 + n % (3 * BLOCK) : n;
        n = n > SIZE - at ? SIZE - at : n;
        if (i % 5 == 0)
            ms_read_ahead(r->f->cache, &r->f->source, at, 8 * BLOCK);
        if (ms_read_run(r->f->cache, &r->f->source, at, n, got, NULL) != MS_OK ||
            memcmp(got, r->f->bytes + at, n) != 0)
            r->bad++;
    }
    ms_random_seeded_fini(&random);
    free(got);
    return NULL;
}

static void sixty_four_readers_never_pass_the_limit(void **state) {
    static const uint64_t limits[] = {1, 3, 20, 90};
    struct fixture *f = *state;
    struct reader *r = calloc(64, sizeof *r);
    uint64_t seed = ms_test_seed();

    for (size_t l = 0; l < MS_ARRAY_LEN(limits); l++) {
        unsigned bad = 0;

        limit(f, limits[l] * BLOCK);
        for (unsigned i = 0; i < 64; i++) {
            r[i] = (struct reader){.f = f, .seed = seed + i};
            assert_int_equal(pthread_create(&r[i].thread, NULL, read_at_random, &r[i]), 0);
        }
        for (unsigned i = 0; i < 64; i++) {
            pthread_join(r[i].thread, NULL);
            bad += r[i].bad;
        }
        assert_int_equal(bad, 0);
        assert_true(stats_of(f).bytes_peak <= limits[l] * BLOCK);
    }
    free(r);
}

/* Start, cancel from another thread, free what was read: under the sanitizers. */
struct canceller {
    struct fixture *f;
    struct ms_read *read;
};

static void *cancel_it(void *arg) {
    struct canceller *c = arg;

    ms_read_cancel(c->f->cache, c->read);
    return NULL;
}

static void open_latch(struct ms_read *read) { ms_latch_open(read->priv); }

static void a_cancel_may_meet_the_start_and_the_answer(void **state) {
    struct fixture *f = *state;

    limit(f, 4 * BLOCK);
    for (unsigned i = 0; i < 300; i++) {
        struct ms_latch latch;
        struct ms_read *read = calloc(1, sizeof *read);
        struct canceller c = {f, read};
        pthread_t thread;

        ms_latch_init(&latch);
        *read = (struct ms_read){.source = &f->source,
                                 .offset = (i * 7 % 90) * BLOCK,
                                 .length = 6 * BLOCK,
                                 .into = f->got,
                                 .done = open_latch,
                                 .priv = &latch};
        if (i % 2)
            ms_read_start(f->cache, read);
        pthread_create(&thread, NULL, cancel_it, &c);
        if (i % 2 == 0)
            ms_read_start(f->cache, read);
        ms_latch_wait(&latch);
        pthread_join(thread, NULL);
        assert_true(read->code == MS_OK || read->code == MS_CANCELLED);
        if (read->code == MS_OK)
            assert_memory_equal(f->got, f->bytes + read->offset, read->length);
        free(read);
    }
}

static void a_read_that_was_cancelled_before_its_start_ends_there(void **state) {
    struct fixture *f = *state;
    struct ms_latch latch;
    struct ms_read read = {
        .source = &f->source, .length = 5, .into = f->got, .done = open_latch, .priv = &latch};

    ms_latch_init(&latch);
    ms_read_cancel(f->cache, &read);
    ms_read_start(f->cache, &read);
    ms_latch_wait(&latch);
    assert_int_equal(read.code, MS_CANCELLED);
    assert_int_equal(f->tap.count[MS_OBJ_GET], 0);
}

/* ---- lent ----------------------------------------------------------------------------------- */

struct loan {
    struct ms_read read;
    struct ms_latch latch;
};

static void loan_done(struct ms_read *read) { ms_latch_open(read->priv); }

static void loan_start(struct fixture *f, struct loan *l, uint64_t offset, size_t length) {
    ms_latch_init(&l->latch);
    l->read = (struct ms_read){.source = &f->source,
                               .offset = offset,
                               .length = length,
                               .done = loan_done,
                               .priv = &l->latch};
    ms_read_start(f->cache, &l->read);
}

static bool loan_is_right(struct fixture *f, const struct loan *l) {
    struct iovec iov[MS_READ_LENT_MAX];
    size_t n = ms_read_lent(&l->read, iov);
    uint64_t at = l->read.offset;

    for (size_t i = 0; i < n; i++) {
        if (memcmp(iov[i].iov_base, f->bytes + at, iov[i].iov_len) != 0)
            return false;
        at += iov[i].iov_len;
    }
    return at == l->read.offset + l->read.length;
}

static void what_is_lent_is_the_cache_s_own_memory_and_stays_until_it_is_returned(void **state) {
    struct fixture *f = *state;
    struct loan a, b;
    struct iovec one[MS_READ_LENT_MAX], other[MS_READ_LENT_MAX];

    limit(f, 32 * BLOCK);
    loan_start(f, &a, 3 * BLOCK + 5, 4 * BLOCK);
    ms_latch_wait(&a.latch);
    assert_true(loan_is_right(f, &a));
    loan_start(f, &b, 3 * BLOCK + 5, 4 * BLOCK);
    ms_latch_wait(&b.latch);
    assert_int_equal(ms_read_lent(&a.read, one), ms_read_lent(&b.read, other));
    assert_ptr_equal(one[0].iov_base, other[0].iov_base);
    ms_read_release(f->cache, &b.read);
    for (uint64_t i = 10; i < 90; i++)
        read_is_right(f, i * BLOCK, BLOCK); /* more than there is room for beside it */
    assert_true(loan_is_right(f, &a));
    assert_true(ms_read_cached(f->cache, &f->source, 4 * BLOCK, BLOCK, f->got));
    ms_read_release(f->cache, &a.read);
    ms_read_release(f->cache, &a.read); /* nothing more to return */
    for (uint64_t i = 10; i < 90; i++)
        read_is_right(f, i * BLOCK, BLOCK);
    assert_false(ms_read_cached(f->cache, &f->source, 4 * BLOCK, BLOCK, f->got));
}

static void what_spans_too_much_of_the_cache_is_not_lent(void **state) {
    struct fixture *f = *state;

    limit(f, 32 * BLOCK);
    assert_true(ms_read_may_lend(f->cache, &f->source, 0, 8 * BLOCK));
    assert_false(ms_read_may_lend(f->cache, &f->source, 1, 8 * BLOCK));
    assert_false(ms_read_may_lend(f->cache, &f->source, 0, 0));
    limit(f, 31 * BLOCK);
    assert_false(ms_read_may_lend(f->cache, &f->source, 0, 1));
}

static void a_damaged_block_is_not_lent(void **state) {
    struct fixture *f = *state;
    struct loan l;

    limit(f, 32 * BLOCK);
    flip_at(f, 5 * BLOCK, 2);
    loan_start(f, &l, 4 * BLOCK, 3 * BLOCK);
    ms_latch_wait(&l.latch);
    assert_int_equal(l.read.code, MS_CORRUPT);
    ms_read_release(f->cache, &l.read);
    loan_start(f, &l, 4 * BLOCK, 3 * BLOCK);
    ms_latch_wait(&l.latch);
    assert_int_equal(l.read.code, MS_OK);
    assert_true(loan_is_right(f, &l));
    ms_read_release(f->cache, &l.read);
}

static void a_loan_that_is_cancelled_holds_nothing_up(void **state) {
    struct fixture *f = *state;
    struct loan a, b;

    limit(f, 32 * BLOCK);
    read_is_right(f, 0, BLOCK);
    f->tap.rule[MS_OBJ_GET].hold = true;
    loan_start(f, &a, 0, 3 * BLOCK); /* one is there */
    loan_start(f, &b, BLOCK, BLOCK);
    ms_read_cancel(f->cache, &a.read);
    ms_latch_wait(&a.latch);
    assert_int_equal(a.read.code, MS_CANCELLED);
    ms_read_release(f->cache, &a.read);
    tap_release(&f->tap, MS_OBJ_GET);
    ms_latch_wait(&b.latch);
    assert_true(b.read.code == MS_OK && loan_is_right(f, &b));
    ms_read_release(f->cache, &b.read);
}

/* Loans that span as much as may be, in a cache that has room for four of them; among them reads
 * that copy, and some are cancelled. */
static void *borrow_at_random(void *arg) {
    struct reader *r = arg;
    struct ms_random_seeded random;

    ms_random_seeded_init(&random, r->seed);
    for (unsigned i = 0; i < 60; i++) {
        uint64_t at = ms_random_below(&random.random, SIZE - 8 * BLOCK);
        size_t n = 1 + (size_t)ms_random_below(&random.random, 7 * BLOCK + 1);
        bool cancel = i % 7 == 0;
        struct loan l;

        loan_start(r->f, &l, at, n);
        if (cancel)
            ms_read_cancel(r->f->cache, &l.read);
        ms_latch_wait(&l.latch);
        if (l.read.code != MS_OK && !(cancel && l.read.code == MS_CANCELLED))
            r->bad++;
        if (l.read.code == MS_OK && !loan_is_right(r->f, &l))
            r->bad++;
        if (i % 3 == 0)
            sched_yield();
        if (l.read.code == MS_OK && !loan_is_right(r->f, &l))
            r->bad++;
        ms_read_release(r->f->cache, &l.read);
        if (i % 5 == 0)
            ms_read_ahead(r->f->cache, &r->f->source, at, 8 * BLOCK);
    }
    ms_random_seeded_fini(&random);
    return NULL;
}

static void many_loans_in_little_memory_never_lock_up(void **state) {
    struct fixture *f = *state;
    struct reader *r = calloc(64, sizeof *r);
    uint64_t seed = ms_test_seed();
    unsigned bad = 0;

    limit(f, 32 * BLOCK);
    for (unsigned i = 0; i < 64; i++) {
        r[i] = (struct reader){.f = f, .seed = seed + i};
        assert_int_equal(
            pthread_create(&r[i].thread, NULL, i % 4 ? borrow_at_random : read_at_random, &r[i]),
            0);
    }
    for (unsigned i = 0; i < 64; i++) {
        pthread_join(r[i].thread, NULL);
        bad += r[i].bad;
    }
    assert_int_equal(bad, 0);
    (void)stats_of(f);
    free(r);
}

/* ---- ahead ---------------------------------------------------------------------------------- */

static void what_was_read_ahead_is_there_when_wanted_and_is_bounded(void **state) {
    struct fixture *f = *state;

    limit(f, 64 * BLOCK);
    f->tap.rule[MS_OBJ_GET].hold = true;
    ms_read_ahead(f->cache, &f->source, 0, SIZE); /* 48 blocks: three quarters */
    assert_int_equal(stats_of(f).bytes, 48 * BLOCK);
    ms_read_ahead(f->cache, &f->source, 50 * BLOCK, BLOCK);
    assert_int_equal(stats_of(f).bytes, 48 * BLOCK);
    assert_int_equal(stats_of(f).unread, 48 * BLOCK);
    tap_release(&f->tap, MS_OBJ_GET);
    read_is_right(f, 0, 48 * BLOCK);
    assert_int_equal(stats_of(f).misses, 48);
    assert_int_equal(stats_of(f).unread, 0);
    ms_read_ahead(f->cache, &f->source, SIZE - 1, SIZE); /* cut at the end */
    read_is_right(f, SIZE - 1, 1);
    assert_int_equal(stats_of(f).misses, 49);
    ms_read_ahead(f->cache, &f->source, SIZE, 1);
    ms_read_ahead(f->cache, &f->source, 60 * BLOCK, 3 * BLOCK); /* ms_cache_free waits for it */
}

static void follow_at(struct fixture *f, struct ms_cursors *cursors, uint64_t offset,
                      size_t length) {
    struct ms_latch latch;
    struct ms_read read = {.source = &f->source,
                           .offset = offset,
                           .length = length,
                           .into = f->got,
                           .cursors = cursors,
                           .done = open_latch,
                           .priv = &latch};

    ms_latch_init(&latch);
    ms_read_start(f->cache, &read);
    ms_latch_wait(&latch);
    assert_int_equal(read.code, MS_OK);
    assert_memory_equal(f->got, f->bytes + offset, length);
}

static void a_stream_is_fetched_ahead_and_a_jump_is_not(void **state) {
    struct ms_cursors cursors = {{{0}}};
    struct fixture *f = *state;

    limit(f, 1024 * BLOCK);
    for (uint64_t i = 0; i < 20; i++)
        follow_at(f, &cursors, (i * 37 % 100) * BLOCK, BLOCK);
    assert_int_equal(stats_of(f).fetched_bytes, 20 * BLOCK);
    limit(f, 1024 * BLOCK);
    cursors = (struct ms_cursors){{{0}}};
    for (uint64_t i = 0; i < 100; i++)
        follow_at(f, &cursors, i * BLOCK, BLOCK);
    follow_at(f, &cursors, 100 * BLOCK, SIZE - 100 * BLOCK);
    assert_true(stats_of(f).fetches < 40);             /* by few large ones */
    assert_int_equal(stats_of(f).fetched_bytes, SIZE); /* and nothing twice */
    assert_int_equal(stats_of(f).unread, 0);
}

/* Each stream reads on when its turn comes; what lies before all of them is kept until it is read. */
static void streams_share_the_memory_and_none_is_fetched_twice(void **state) {
    enum { STREAMS = 5 };
    struct fixture *f = *state;
    struct ms_cursors cursors[STREAMS] = {{{{0}}}};

    limit(f, 64 * BLOCK);
    for (uint64_t i = 0; i < 20; i++)
        for (uint64_t s = 0; s < STREAMS; s++)
            follow_at(f, &cursors[s], (s * 20 + i) * BLOCK, BLOCK);
    /* the last ones fetch beyond their part, into the next one's, which is there by then or not */
    assert_true(stats_of(f).fetched_bytes <= 150 * BLOCK);
}

static void a_block_larger_than_the_cache_is_refused(void **state) {
    struct fixture *f = *state;

    limit(f, BLOCK - 1);
    assert_code(read_at(f, 0, 1, &test_err), MS_NO_MEMORY);
    ms_read_ahead(f->cache, &f->source, 0, 1);
    assert_int_equal(f->tap.count[MS_OBJ_GET], 0);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_range_around_the_blocks_is_read_cold_and_warm),
        TEST(neighbours_that_are_missing_come_by_one_get),
        TEST(the_least_recently_used_goes_first),
        TEST(a_flipped_byte_in_the_object_fails_its_block_only),
        TEST(a_block_that_was_wrong_once_is_fetched_again),
        TEST(a_cut_object_is_served_up_to_the_cut),
        TEST(an_object_that_is_gone_is_damage_not_enoent),
        TEST(a_failing_store_is_reported_as_such_and_nothing_is_kept),
        TEST(a_bad_sector_fails_as_io_for_its_block_only),
        TEST(hashes_that_do_not_fit_the_size_are_damage),
        TEST(unhashed_versions_are_served_but_not_to_readers_that_have_hashes),
        TEST(readers_of_one_block_share_one_fetch),
        TEST(a_read_without_memory_waits_in_line_and_is_served),
        TEST(cancelled_reads_end_at_once_and_leave_the_others_alone),
        TEST(sixty_four_readers_never_pass_the_limit),
        TEST(a_cancel_may_meet_the_start_and_the_answer),
        TEST(a_read_that_was_cancelled_before_its_start_ends_there),
        TEST(what_is_lent_is_the_cache_s_own_memory_and_stays_until_it_is_returned),
        TEST(what_spans_too_much_of_the_cache_is_not_lent),
        TEST(a_damaged_block_is_not_lent),
        TEST(a_loan_that_is_cancelled_holds_nothing_up),
        TEST(many_loans_in_little_memory_never_lock_up),
        TEST(a_stream_is_fetched_ahead_and_a_jump_is_not),
        TEST(streams_share_the_memory_and_none_is_fetched_twice),
        TEST(what_was_read_ahead_is_there_when_wanted_and_is_bounded),
        TEST(a_block_larger_than_the_cache_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
