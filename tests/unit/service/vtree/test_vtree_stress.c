/* Memory that runs out anywhere, and many threads at once. */
#include "bin.h"

#include "support/alloc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- memory ---------------------------------------------------------------------------------- */

static enum ms_code walk(struct bin *b, struct ms_vtree *vt, uint64_t dir, unsigned *files) {
    struct ms_node nodes[4];
    uint64_t after = 0;
    size_t n = 1;
    enum ms_code code = MS_OK;
    while (code == MS_OK && n > 0) {
        code = ms_vtree_list(vt, &b->w->ctx, dir, after, true, nodes, 4, &n, NULL);
        for (size_t i = 0; code == MS_OK && i < n; i++) {
            after = nodes[i].seq;
            if (S_ISDIR(nodes[i].inode.mode))
                code = walk(b, vt, nodes[i].inode.ino, files);
            else
                (*files)++;
            if (ms_vtree_is(nodes[i].inode.ino))
                ms_vtree_forget(vt, nodes[i].inode.ino, 1);
        }
    }
    return code;
}

static void a_reading_that_ran_out_of_memory_is_done_again(void **state) {
    struct bin *b = *state;
    const uint64_t trash = ms_vfixed_ino(MS_V_TRASH);
    bin_mkdir(b, "a");
    bin_mkdir(b, "a/b");
    bin_deleted(b, "a/b/x", "1");
    bin_deleted(b, "a/b/x", "2");
    bin_deleted(b, "a/y", "3");
    bin_deleted(b, "thing", "4");
    bin_mkdir(b, "thing");
    bin_deleted(b, "thing/z", "5");
    for (unsigned n = 1; n == 1 || ms_test_alloc_failed(); n++) {
        struct ms_vtree *vt;
        unsigned files = 0;
        assert_ok(ms_vtree_new(b->w->svc, b->w->ctx.tenant, b->w->tenant.root_ino, &vt, &test_err));
        ms_test_alloc_fail_at(n);
        enum ms_code code = walk(b, vt, trash, &files);
        bool failed = ms_test_alloc_stop();
        assert_true(code == MS_NO_MEMORY || (code == MS_OK && files == 5));
        assert_true(failed || code == MS_OK);
        files = 0;
        assert_int_equal(walk(b, vt, trash, &files), MS_OK);
        assert_int_equal(files, 5);
        ms_vtree_free(vt);
    }
}

static void a_change_that_ran_out_of_memory_is_seen_later(void **state) {
    struct bin *b = *state;
    const uint64_t trash = ms_vfixed_ino(MS_V_TRASH);
    unsigned expected = 0;
    for (unsigned n = 1; n == 1 || ms_test_alloc_failed(); n++) {
        unsigned files = 0;
        char path[64];
        (void)snprintf(path, sizeof path, "n%u", n);
        bin_mkdir(b, path);
        (void)snprintf(path, sizeof path, "n%u/x", n);
        bin_deleted(b, path, "1");
        expected++;
        ms_test_alloc_fail_at(n);
        enum ms_code code = walk(b, b->vt, trash, &files);
        (void)ms_test_alloc_stop();
        assert_true(code == MS_NO_MEMORY || (code == MS_OK && files == expected));
        files = 0;
        assert_int_equal(walk(b, b->vt, trash, &files), MS_OK);
        assert_int_equal(files, expected);
    }
}

static void a_text_is_whole_or_refused(void **state) {
    struct bin *b = *state;
    bin_file(b, "files/x", "1");
    static const char *const paths[] = {".msasset/usage.json", ".msasset/pending.json",
                                        ".msasset/stats"};
    for (size_t i = 0; i < MS_ARRAY_LEN(paths); i++) {
        uint64_t ino = bin_ino(b, paths[i]);
        struct ms_buf whole = bin_text(b, paths[i]);
        size_t len = whole.len;
        ms_buf_fini(&whole);
        for (unsigned n = 1; n == 1 || ms_test_alloc_failed(); n++) {
            struct ms_buf text = {0};
            uint64_t real;
            ms_test_alloc_fail_at(n);
            enum ms_code code = ms_vtree_open(b->vt, &b->w->ctx, ino, false, &text, &real, NULL);
            (void)ms_test_alloc_stop();
            bool is_whole = text.len == len;
            ms_buf_fini(&text);
            assert_true(code == MS_NO_MEMORY || (code == MS_OK && is_whole));
        }
    }
}

/* ---- threads --------------------------------------------------------------------------------- */

struct worker {
    struct bin *b;
    pthread_t thread;
    unsigned n, rounds;
    atomic_uint *stop;
    unsigned bad, seen;
};

/* What comes and goes under a reader may be missing, but nothing else may happen. */
static bool is_fine(enum ms_code code) {
    return code == MS_OK || code == MS_NOT_FOUND || code == MS_STALE || code == MS_EXISTS;
}

static void *look(void *priv) {
    struct worker *w = priv;
    const uint64_t roots[] = {ms_vfixed_ino(MS_V_TRASH), ms_vfixed_ino(MS_V_OURS)};
    while (!atomic_load(w->stop)) {
        enum ms_code code = walk(w->b, w->b->vt, roots[w->n % 2], &w->seen);
        w->bad += !is_fine(code);
    }
    return NULL;
}

static void *change(void *priv) {
    struct worker *w = priv;
    struct world *world = w->b->w;
    for (unsigned i = 0; i < w->rounds; i++) {
        char name[32];
        struct ms_made made;
        struct ms_vmoved moved;
        (void)snprintf(name, sizeof name, "w%u-%u", w->n, i % 3);
        struct ms_make make = {
            .parent = world->tenant.root_ino, .name = name, .mode = S_IFDIR | 0755};
        enum ms_code code = ms_tree_make(world->svc, &world->ctx, &make, &made, NULL);
        w->bad += !is_fine(code);
        if (code != MS_OK)
            continue;
        struct ms_make file = {.parent = made.node.inode.ino, .name = "x", .mode = S_IFREG | 0644};
        struct ms_open open = {.write = true};
        struct ms_handle *h;
        struct ms_node node;
        if (ms_file_create(world->svc, &world->ctx, &file, &open, &node, &h, NULL) != MS_OK) {
            w->bad++;
            continue;
        }
        w->bad += flush_file(h, NULL) != MS_OK;
        w->bad += release_file(h, NULL) != MS_OK;
        struct ms_rename in = {.parent = make.parent,
                               .new_parent = ms_vfixed_ino(MS_V_TRASH),
                               .name = name,
                               .new_name = name};
        w->bad += ms_vtree_rename(w->b->vt, &world->ctx, &in, &moved, NULL) != MS_OK;
        struct ms_rename out = {
            .parent = in.new_parent, .new_parent = in.parent, .name = name, .new_name = name};
        if (i % 2)
            w->bad += !is_fine(ms_vtree_rename(w->b->vt, &world->ctx, &out, &moved, NULL));
    }
    return NULL;
}

#define LOOKERS 2u
#define CHANGERS 2u

static void readers_and_changers_do_not_disturb_each_other(void **state) {
    struct bin *b = *state;
    atomic_uint stop = 0;
    struct worker w[LOOKERS + CHANGERS];
    unsigned bad = 0, seen = 0, rounds = ms_test_rounds(60);
    for (unsigned i = 0; i < LOOKERS + CHANGERS; i++) {
        w[i] = (struct worker){.b = b, .n = i, .rounds = rounds, .stop = &stop};
        assert_int_equal(pthread_create(&w[i].thread, NULL, i < LOOKERS ? look : change, &w[i]), 0);
    }
    for (unsigned i = LOOKERS; i < LOOKERS + CHANGERS; i++)
        pthread_join(w[i].thread, NULL);
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < LOOKERS; i++)
        pthread_join(w[i].thread, NULL);
    for (unsigned i = 0; i < LOOKERS + CHANGERS; i++) {
        bad += w[i].bad;
        seen += w[i].seen;
    }
    assert_int_equal(bad, 0);
    assert_true(seen > 0);
    unsigned files = 0;
    assert_int_equal(walk(b, b->vt, ms_vfixed_ino(MS_V_TRASH), &files), MS_OK);
    assert_int_equal(files, quota_of(b->w).usage.binned_assets);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, bin_setup, bin_teardown)
    const struct CMUnitTest tests[] = {
        T(a_reading_that_ran_out_of_memory_is_done_again),
        T(a_change_that_ran_out_of_memory_is_seen_later),
        T(a_text_is_whole_or_refused),
        T(readers_and_changers_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests_name("vtree stress", tests, NULL, NULL);
}
