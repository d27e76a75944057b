/* Random operations on one file through several handles, against an array of bytes. */
#include "world.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#define HANDLES 3

struct model {
    struct world *w;
    struct ms_random_seeded random;
    uint8_t *live, *sealed; /* what this process sees; what was sealed last */
    uint64_t live_size, sealed_size, max, piece_max;
    bool fresh, dirty, promised; /* promised: by an fsync since the last seal */
    bool refusing;               /* the store is down */
    struct ms_handle *handle[HANDLES];
    bool writes[HANDLES], appends[HANDLES];
    bool idle[HANDLES]; /* flushed, and nothing written through it since: no writer that a flush waits for */
    unsigned seals, failures;
};

static uint64_t below(struct model *m, uint64_t n) { return ms_random_below(&m->random.random, n); }

static unsigned open_handles(const struct model *m) {
    unsigned n = 0;

    for (unsigned i = 0; i < HANDLES; i++)
        n += m->handle[i] != NULL;
    return n;
}

static unsigned busy_writers(const struct model *m) {
    unsigned n = 0;

    for (unsigned i = 0; i < HANDLES; i++)
        n += m->handle[i] && m->writes[i] && !m->idle[i];
    return n;
}

/* ---- what becomes of it ------------------------------------------------------------------ */

static void now_sealed(struct model *m) {
    struct ms_node node;

    m->seals += m->dirty || m->fresh;
    memcpy(m->sealed, m->live, m->live_size);
    m->sealed_size = m->live_size;
    m->fresh = m->dirty = m->promised = false;
    assert_ok(ms_tree_walk(m->w->svc, &m->w->ctx, "/files/x", &node, &test_err));
    assert_int_equal(node.inode.size, m->sealed_size);
}

/* The last close failed: without an fsync everything since the last seal is gone. */
static void now_dropped(struct model *m) {
    struct ms_node node;

    if (m->promised)
        return;
    if (m->fresh)
        assert_code(ms_tree_walk(m->w->svc, &m->w->ctx, "/files/x", &node, &test_err),
                    MS_NOT_FOUND);
    memcpy(m->live, m->sealed, m->sealed_size);
    m->live_size = m->sealed_size;
    m->dirty = false;
}

static void check_code(struct model *m, enum ms_code code, const struct ms_error *err) {
    m->failures += code != MS_OK;
    if (code != MS_OK && !(m->refusing && code == MS_UNAVAILABLE))
        fail_msg("%s: %s", ms_code_name(code), err->message);
}

/* ---- operations -------------------------------------------------------------------------- */

static void op_open(struct model *m, unsigned i) {
    static const char hows[] = "rwwat";
    char how = hows[below(m, sizeof hows - 1)];
    struct ms_node node;

    if (m->handle[i])
        return;
    m->idle[i] = false;
    if (ms_tree_walk(m->w->svc, &m->w->ctx, "/files/x", &node, NULL) != MS_OK) {
        m->handle[i] = make_file(m->w, "/files/x");
        m->writes[i] = m->fresh = true;
        m->appends[i] = false;
        m->live_size = m->sealed_size = 0;
        return;
    }
    m->handle[i] = open_file(m->w, "/files/x", how);
    m->writes[i] = how != 'r';
    m->appends[i] = how == 'a';
    if (how == 't') {
        m->dirty |= m->live_size > 0;
        m->live_size = 0;
    }
}

static void grow_model(struct model *m, uint64_t size) {
    if (size > m->live_size) {
        memset(m->live + m->live_size, 0, size - m->live_size);
        m->live_size = size;
    }
}

static void op_write(struct model *m, unsigned i) {
    uint64_t n = 1 + below(m, m->piece_max), at = below(m, m->max - n);
    uint8_t *bytes;

    if (!m->handle[i] || !m->writes[i])
        return;
    bytes = malloc(n);
    assert_non_null(bytes);
    ms_random_fill(&m->random.random, bytes, n);
    if (m->appends[i] || below(m, 2))
        at = m->live_size; /* often at the end */
    if (at + n > m->max) {
        free(bytes);
        return;
    }
    grow_model(m, at);
    if (at + n > m->live_size)
        grow_model(m, at + n);
    memcpy(m->live + at, bytes, n);
    m->idle[i] = false;
    put_bytes(m->handle[i], m->appends[i] ? 0 : at, bytes, n);
    free(bytes);
    m->dirty = true;
}

static void op_truncate(struct model *m, unsigned i) {
    uint64_t size = below(m, 4) == 0 ? 0 : below(m, m->max);

    if (!m->handle[i] || !m->writes[i])
        return;
    assert_ok(ms_file_truncate(m->w->svc, &m->w->ctx, ms_file_ino(m->handle[i]), m->handle[i], size,
                               &test_err));
    m->idle[i] = false;
    m->dirty |= size != m->live_size;
    if (size < m->live_size)
        m->live_size = size;
    grow_model(m, size);
}

static void op_punch(struct model *m, unsigned i) {
    uint64_t at = below(m, m->max), n = 1 + below(m, m->piece_max);

    if (!m->handle[i] || !m->writes[i])
        return;
    m->idle[i] = false;
    assert_ok(ms_file_allocate(m->handle[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, n,
                               &test_err));
    if (at >= m->live_size)
        return;
    memset(m->live + at, 0, n < m->live_size - at ? n : m->live_size - at);
    m->dirty = true;
}

static void op_read(struct model *m, unsigned i) {
    uint64_t at = below(m, m->max), n = 1 + below(m, m->piece_max), have;

    if (!m->handle[i] || m->refusing)
        return;
    have = at < m->live_size ? m->live_size - at : 0;
    check_bytes(m->handle[i], at, m->live + at, n < have ? n : have, have <= n);
}

static void op_sync(struct model *m, unsigned i) {
    struct ms_error err = {0};
    enum ms_code code;

    if (!m->handle[i])
        return;
    code = sync_file(m->handle[i], &err);
    check_code(m, code, &err);
    m->promised |= code == MS_OK && (m->dirty || m->fresh);
}

static void op_flush(struct model *m, unsigned i) {
    struct ms_error err = {0};
    enum ms_code code;

    if (!m->handle[i])
        return;
    m->idle[i] = true;
    code = flush_file(m->handle[i], &err);
    check_code(m, code, &err);
    if (code != MS_OK || (!m->writes[i] && !m->fresh))
        return;
    if (busy_writers(m) == 0)
        now_sealed(m);
    else
        m->promised |= m->dirty || m->fresh;
}

static void op_release(struct model *m, unsigned i) {
    struct ms_error err = {0};
    enum ms_code code;

    if (!m->handle[i])
        return;
    code = release_file(m->handle[i], &err);
    m->handle[i] = NULL;
    check_code(m, code, &err);
    if (open_handles(m) > 0)
        return;
    if (code == MS_OK)
        now_sealed(m);
    else
        now_dropped(m);
}

static void op_store(struct model *m) {
    m->refusing = !m->refusing && below(m, 3) == 0;
    gate_refuse(m->w, m->refusing ? MS_UNAVAILABLE : MS_OK);
}

static void one(struct model *m) {
    unsigned i = (unsigned)below(m, HANDLES);

    switch (below(m, 16)) {
    case 0:
    case 1:
        op_open(m, i);
        break;
    case 2:
        op_truncate(m, i);
        break;
    case 3:
        op_punch(m, i);
        break;
    case 4:
        op_sync(m, i);
        break;
    case 5:
    case 6:
        op_flush(m, i);
        break;
    case 7:
    case 8:
        op_release(m, i);
        break;
    case 9:
        op_store(m);
        break;
    case 10:
    case 11:
        op_read(m, i);
        break;
    default:
        op_write(m, i);
        break;
    }
}

static void run(struct world *w, uint64_t max, uint64_t piece_max, unsigned rounds) {
    struct model m = {.w = w, .max = max, .piece_max = piece_max};

    ms_random_seeded_init(&m.random, ms_test_seed());
    m.live = calloc(1, max);
    m.sealed = calloc(1, max);
    assert_true(m.live && m.sealed);
    op_open(&m, 0);
    for (unsigned i = 0; i < rounds; i++)
        one(&m);
    m.refusing = false;
    gate_refuse(w, MS_OK);
    op_open(&m, 0);
    for (unsigned i = 0; i < HANDLES; i++)
        op_release(&m, i);
    check_file(w, "/files/x", m.live, m.live_size);
    check_settled(w);
    print_message("%u operations, %u seals, %u refused by the store\n", rounds, m.seals,
                  m.failures);
    ms_random_seeded_fini(&m.random);
    free(m.live);
    free(m.sealed);
}

static void small_files_are_what_an_array_of_bytes_would_be(void **state) {
    run(*state, 100000, 20000, ms_test_rounds(3000));
}

static void files_of_several_blocks_too(void **state) {
    run(*state, 3 * MS_MB, 400000, ms_test_rounds(1000));
}

static void files_of_several_parts_too(void **state) {
    run(*state, 44 * MS_MB, 6 * MS_MB, ms_test_rounds(200));
}

int main(void) {
#define MEM(f) cmocka_unit_test_setup_teardown(f, world_setup_mem, world_teardown)
#define DIR_(f) cmocka_unit_test_setup_teardown(f, world_setup_dir, world_teardown)
    const struct CMUnitTest tests[] = {
        MEM(small_files_are_what_an_array_of_bytes_would_be),
        MEM(files_of_several_blocks_too),
        MEM(files_of_several_parts_too),
        DIR_(small_files_are_what_an_array_of_bytes_would_be),
        DIR_(files_of_several_parts_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
