/* Random histories against a model, with a store that fails in every way while a mover is at work:
 * what was acknowledged is what is read, at any time; in the end all of it is in the store, once,
 * and nothing else is. */
#include "near.h"

#include "object/wrap.h"
#include "object/wrap_fault.h"

#include <stdio.h>
#include <stdlib.h>

#define FILES 8
#define STEPS 60
#define BYTES_MAX (9 * MIB)

struct model_file {
    bool there;
    uint8_t *p;
    size_t n;
};
struct model {
    struct world *w;
    struct ms_random *random;
    struct ms_obj *fault;
    struct model_file file[FILES];
    unsigned acknowledged, uploads_failed;
};

static const char *const scripts[] = {
    "",
    "*:20%:fail-before seed=%u",
    "*:20%:fail-after=TIMEOUT seed=%u",
    "PUT:*:fail-before=THROTTLED,MP_PUT:30%:fail-before=IO seed=%u",
    "MP_COMPLETE:*:fail-after seed=%u",
    "MP_PUT:2:fail-after=UNAVAILABLE,PUT:3+:fail-after seed=%u",
    "*:*:fail-before=UNAVAILABLE seed=%u",
    "MP_CREATE:50%:fail-after,HEAD:50%:fail-before seed=%u",
};

static uint64_t below(struct model *m, uint64_t n) { return ms_random_below(m->random, n); }

static void other_faults(struct model *m) {
    char script[200];

    snprintf(script, sizeof script, scripts[below(m, MS_ARRAY_LEN(scripts))],
             (unsigned)below(m, 1000));
    assert_ok(ms_fault_script(m->fault, script, &test_err));
}

static void path_of(unsigned i, char ret_path[32]) { snprintf(ret_path, 32, "/files/%u.bin", i); }

static size_t some_size(struct model *m) {
    static const size_t sizes[] = {1, 4096, 100000, 300000, 8 * MIB, 8 * MIB + 1, BYTES_MAX - 100};

    return sizes[below(m, MS_ARRAY_LEN(sizes))] + below(m, 50);
}

static void write_one(struct model *m, unsigned i) {
    struct model_file *f = &m->file[i];
    char path[32];
    size_t n = some_size(m);

    path_of(i, path);
    f->p = realloc(f->p, BYTES_MAX + 100);
    assert_non_null(f->p);
    ms_random_fill(m->random, f->p, n);
    struct ms_handle *h = f->there ? open_file(m->w, path, 't') : make_file(m->w, path);
    for (size_t at = 0; at < n; at += MIB)
        put_bytes(h, at, f->p + at, n - at < MIB ? n - at : MIB);
    if (below(m, 4) == 0)
        assert_ok(sync_file(h, &test_err));
    seal_file(h);
    f->there = true;
    f->n = n;
    m->acknowledged++;
}

/* A few bytes somewhere, acknowledged from here or written through: where the base is in the store,
 * or the new bytes have to go there, the faults may refuse it, and then the old bytes stay. */
static void patch_one(struct model *m, unsigned i) {
    struct model_file *f = &m->file[i];
    uint8_t bytes[64];
    char path[32];

    path_of(i, path);
    m->w->svc->writeback = below(m, 2) != 0;
    size_t at = (size_t)below(m, f->n), n = sizeof bytes < f->n - at ? sizeof bytes : f->n - at;
    ms_random_fill(m->random, bytes, n);
    struct ms_handle *h = open_file(m->w, path, 'w');
    struct ms_error err;
    put_bytes(h, at, bytes, n);
    enum ms_code code = flush_file(h, &err), released = release_file(h, &err);
    if (code == MS_OK || released == MS_OK)
        memcpy(f->p + at, bytes, n);
    m->acknowledged += code == MS_OK;
    m->w->svc->writeback = true;
}

static void remove_one(struct model *m, unsigned i) {
    char path[32];

    path_of(i, path);
    unlink_path(m->w, path);
    m->file[i].there = false;
}

/* Reads may fail while the store does; what they give is right. */
static void read_one(struct model *m, unsigned i) {
    struct model_file *f = &m->file[i];
    uint8_t got[5000];
    size_t n = 0, at = (size_t)below(m, f->n);
    struct ms_error err;
    char path[32];

    path_of(i, path);
    struct ms_handle *h = open_file(m->w, path, 'r');
    if (read_file(h, at, sizeof got, got, &n, &err) == MS_OK) {
        assert_int_equal(n, f->n - at < sizeof got ? f->n - at : sizeof got);
        assert_memory_equal(got, f->p + at, n);
    }
    assert_ok(release_file(h, &test_err));
}

static void one_step(struct model *m) {
    unsigned i = (unsigned)below(m, FILES);
    struct ms_gc_result gc;
    struct ms_error err;

    switch (below(m, 12)) {
    case 0:
        other_faults(m);
        break;
    case 1:
        if (m->file[i].there)
            remove_one(m, i);
        break;
    case 2:
        (void)!ms_gc(m->w->svc, 0, false, &gc, &err);
        break;
    case 3:
        ms_clock_fake_advance(&m->w->clock, 61000);
        break;
    case 4:
        if (m->file[i].there)
            patch_one(m, i);
        break;
    case 5:
    case 6:
    case 7:
        if (m->file[i].there)
            read_one(m, i);
        break;
    case 8:
        m->uploads_failed += drain(m->w, false, &err) != MS_OK;
        break;
    default:
        write_one(m, i);
        break;
    }
}

/* Every file: its bytes, with an empty cache, and one object of its size in the store. */
static void check_end(struct model *m) {
    unsigned files = 0;

    assert_ok(ms_fault_script(m->fault, "", &test_err));
    assert_ok(drain(m->w, true, &test_err));
    ms_cache_free(m->w->svc->cache);
    assert_ok(ms_cache_new(m->w->svc->reads, NULL, 16 * MS_MB, &m->w->svc->cache, &test_err));
    for (unsigned i = 0; i < FILES; i++) {
        char path[32];

        path_of(i, path);
        if (m->file[i].there)
            check_file(m->w, path, m->file[i].p, m->file[i].n);
        files += m->file[i].there;
        free(m->file[i].p);
    }
    check_all_settled(m->w);
    assert_int_equal(near_files(m->w), 0);
    files += (unsigned)quota_of(m->w).usage.binned_assets; /* those that were older than 60 s */
    assert_int_equal(count_rows(m->w->svc, ms_key_objects()), files);
}

static void run(struct world *w, uint64_t seed) {
    struct ms_random_seeded random;
    struct model m = {.w = w};
    struct ms_obj *own = w->svc->obj;
    const struct ms_obj_options options = {
        .engine = w->svc->engine, .random = w->svc->random, .faults = ""};

    ms_random_seeded_init(&random, seed);
    m.random = &random.random;
    assert_ok(ms_wrap_fault(&options, own, &m.fault, &test_err));
    w->svc->obj = m.fault;
    w->svc->writeback = true;
    assert_ok(ms_writeback_start(w->svc, &test_err));
    for (unsigned i = 0; i < STEPS; i++)
        one_step(&m);
    check_end(&m);
    ms_writeback_stop(w->svc);
    w->svc->obj = own;
    ms_obj_close(m.fault);
    print_message("%u acknowledged, %u drains failed\n", m.acknowledged, m.uploads_failed);
}

static void random_histories(void **state) {
    uint64_t seed = ms_test_seed();
    unsigned rounds = ms_test_rounds(6);

    (void)state;
    for (unsigned i = 0; i < rounds; i++) {
        struct world *w = world_new(false, 0);

        run(w, seed + i);
        world_free(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_histories)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
