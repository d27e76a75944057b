#include "stories.h"

#include "service/file_image.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what is written --------------------------------------------------------------------- */

/* A byte of a phase: 0 is what was there before, 1 what an fsync covers, 2 what came later. */
static uint8_t byte_of(unsigned phase, size_t at) {
    return (uint8_t)(phase * 61 + at * 7 + (at >> 8) + (at >> 17));
}

static const struct story stories[] = {
    {.name = "new-small", .synced = {{1, 0, 100000}}, .later = {{2, 50000, 150000}}, .sync = true},
    {.name = "new-large",
     .synced = {{1, 0, 9 * MIB}},
     .later = {{2, 0, 100}, {2, 4 * MIB, 17 * MIB + 5000}},
     .sync = true},
    {.name = "new-unsynced", .later = {{2, 0, 9 * MIB}}},
    {.name = "overwrite",
     .exists = true,
     .base_bytes = 9 * MIB,
     .synced = {{1, MIB, 2 * MIB}},
     .later = {{2, 0, 1000}, {2, 9 * MIB, 10 * MIB}},
     .sync = true},
    {.name = "shorten",
     .exists = true,
     .truncate = true,
     .base_bytes = 9 * MIB,
     .synced = {{1, 0, 3000}},
     .later = {{2, 1000, 2000}},
     .sync = true},
    {.name = "to-nothing",
     .exists = true,
     .truncate = true,
     .base_bytes = 5000,
     .later = {{2, 0, 700}},
     .sync = true},
};

const struct story *story_of(const char *name) {
    for (size_t i = 0; i < MS_ARRAY_LEN(stories); i++)
        if (strcmp(stories[i].name, name) == 0)
            return &stories[i];
    return NULL;
}

static void apply(struct image *image, const struct step *step) {
    if (step->to == 0)
        return;
    if (step->to > image->n) {
        image->p = realloc(image->p, step->to);
        assert_non_null(image->p);
        memset(image->p + image->n, 0, step->to - image->n);
        image->n = step->to;
    }
    for (size_t at = step->from; at < step->to; at++)
        image->p[at] = byte_of(step->phase, at);
}

struct image image_of(const struct story *s, bool base, bool synced, bool later) {
    struct image image = {malloc(1), 0};
    struct step all = {0, 0, s->base_bytes};
    if (base)
        apply(&image, &all);
    for (unsigned i = 0; i < 2 && synced; i++)
        apply(&image, &s->synced[i]);
    for (unsigned i = 0; i < 2 && later; i++)
        apply(&image, &s->later[i]);
    return image;
}

/* ---- the child writes -------------------------------------------------------------------- */

static void must(enum ms_code code, const struct ms_error *err) {
    if (code == MS_OK)
        return;
    fprintf(stderr, "child: %s: %s\n", ms_code_name(code), err->message);
    _exit(9);
}

static void write_step(struct ms_handle *h, const struct step *step) {
    static uint8_t piece[MIB];
    struct ms_error err = {0};
    for (size_t at = step->from; at < step->to;) {
        size_t n = step->to - at < MIB ? step->to - at : MIB, done;
        for (size_t i = 0; i < n; i++)
            piece[i] = byte_of(step->phase, at + i);
        must(ms_file_write(h, at, piece, n, &done, &err), &err);
        at += done;
    }
}

static struct ms_handle *open_in_child(struct child *c, const struct story *s) {
    char name[MS_NAME_BYTES_MAX + 1];
    struct ms_node node;
    struct ms_handle *h = NULL;
    struct ms_error err = {0};
    struct ms_open open = {.read = true, .write = true, .truncate = s->truncate};
    if (s->exists) {
        must(ms_tree_walk(c->svc, &c->ctx, c->path, &node, &err), &err);
        open.ino = node.inode.ino;
        must(ms_file_open(c->svc, &c->ctx, &open, &h, &err), &err);
        return h;
    }
    must(ms_tree_walk_parent(c->svc, &c->ctx, c->path, &node, name, &err), &err);
    struct ms_make make = {.parent = node.inode.ino, .name = name, .mode = S_IFREG | 0644};
    must(ms_file_create(c->svc, &c->ctx, &make, &open, &node, &h, &err), &err);
    return h;
}

static void tell_story(struct child *c, const char *name) {
    const struct story *s = story_of(name);
    struct ms_handle *h = open_in_child(c, s);
    struct ms_error err = {0};
    for (unsigned i = 0; i < 2; i++)
        write_step(h, &s->synced[i]);
    if (s->sync) {
        must(sync_file(h, &err), &err);
        child_says('s');
    }
    for (unsigned i = 0; i < 2; i++)
        write_step(h, &s->later[i]);
    must(flush_file(h, &err), &err);
    child_says('c');
    must(release_file(h, &err), &err);
    child_says('x');
}

#define STORY(fn, name)                                                                            \
    static void fn(struct child *c) { tell_story(c, name); }
STORY(new_small, "new-small")
STORY(new_large, "new-large")
STORY(new_unsynced, "new-unsynced")
STORY(overwrite, "overwrite")
STORY(shorten, "shorten")
STORY(to_nothing, "to-nothing")

static void recover_in_child(struct child *c) {
    struct ms_recover_result result;
    struct ms_error err = {0};
    must(ms_recover(c->svc, &result, &err), &err);
    child_says('d');
}

/* fsynced, then it hangs about until it is killed. */
static void sync_and_wait(struct child *c) {
    const struct story *s = story_of("new-small");
    struct ms_handle *h = open_in_child(c, s);
    struct ms_error err = {0};
    write_step(h, &s->synced[0]);
    must(sync_file(h, &err), &err);
    child_says('s');
    for (;;)
        pause();
}

static void write_and_wait(struct child *c) {
    const struct story *s = story_of("new-small");
    struct ms_handle *h = open_in_child(c, s);
    write_step(h, &s->synced[0]);
    child_says('w');
    for (;;)
        pause();
}

/* Orphans of every kind. */
static void orphans_and_wait(struct child *c) {
    struct ms_error err = {0};
    struct ms_node root, node;
    struct ms_made made;
    struct ms_gone gone;
    struct ms_handle *h;
    struct ms_open open = {.read = true, .write = true};
    must(ms_tree_walk(c->svc, &c->ctx, "/files", &root, &err), &err);
    struct ms_make make = {
        .parent = root.inode.ino, .name = "open-and-gone", .mode = S_IFREG | 0644};
    must(ms_file_create(c->svc, &c->ctx, &make, &open, &node, &h, &err), &err);
    must(ms_tree_unlink(c->svc, &c->ctx, root.inode.ino, "open-and-gone", true, &gone, &err), &err);
    make.name = NULL; /* O_TMPFILE */
    must(ms_tree_make(c->svc, &c->ctx, &make, &made, &err), &err);
    make = (struct ms_make){.parent = root.inode.ino, .name = "folder", .mode = S_IFDIR | 0755};
    must(ms_tree_make(c->svc, &c->ctx, &make, &made, &err), &err);
    must(ms_tree_rmdir(c->svc, &c->ctx, root.inode.ino, "folder", true, &gone, &err), &err);
    must(ms_tree_unlink(c->svc, &c->ctx, root.inode.ino, "sealed", true, &gone, &err), &err);
    child_says('o');
    for (;;)
        pause();
}

const struct child_work story_works[] = {
    {"new-small", new_small},      {"new-large", new_large}, {"new-unsynced", new_unsynced},
    {"overwrite", overwrite},      {"shorten", shorten},     {"to-nothing", to_nothing},
    {"recover", recover_in_child}, {"sync", sync_and_wait},  {"write", write_and_wait},
    {"orphans", orphans_and_wait},
};

/* ---- what must be there ------------------------------------------------------------------ */

bool is_there(struct world *w, const char *path) {
    struct ms_node node;
    enum ms_code code = ms_tree_walk(w->svc, &w->ctx, path, &node, NULL);
    assert_true(code == MS_OK || code == MS_NOT_FOUND);
    return code == MS_OK;
}

static struct image read_all(struct world *w, const char *path) {
    struct ms_handle *h = open_file(w, path, 'r');
    struct image image = {malloc(20 * MIB), 0};
    assert_non_null(image.p);
    for (size_t got = 1; got > 0; image.n += got)
        assert_ok(read_file(h, image.n, MIB, image.p + image.n, &got, &test_err));
    assert_ok(release_file(h, &test_err));
    return image;
}

static bool same(const struct image *a, const struct image *b) {
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

/* Every byte that the fsync covered is that one or a later one, and nothing else is there. */
static bool keeps(const struct image *is, const struct image *synced, const struct image *final) {
    bool ok = is->n >= synced->n && is->n <= final->n;
    for (size_t i = 0; ok && i < is->n; i++)
        ok = is->p[i] == final->p[i] || (i < synced->n && is->p[i] == synced->p[i]);
    return ok;
}

void check_story(struct world *w, const struct story *s, const char *path,
                 const struct child_end *end) {
    struct image base = image_of(s, true, false, false);
    struct image synced = image_of(s, s->exists && !s->truncate, true, false);
    struct image final = image_of(s, s->exists && !s->truncate, true, true);
    struct image is = {NULL, 0};
    bool there = is_there(w, path), ok;
    if (there)
        is = read_all(w, path);
    if (child_said(end, 'c'))
        ok = there && same(&is, &final);
    else if (child_said(end, 's'))
        ok = there && keeps(&is, &synced, &final);
    else
        ok = (s->exists ? there && same(&is, &base) : !there) ||
             (there && ((s->sync && keeps(&is, &synced, &final)) || same(&is, &final)));
    if (!ok)
        print_message("%s: said \"%s\", there %d, %zu bytes (base %zu, synced %zu, final %zu)\n",
                      s->name, end->said, there, is.n, base.n, synced.n, final.n);
    assert_true(ok);
    free(base.p);
    free(synced.p);
    free(final.p);
    free(is.p);
}

void make_base(struct world *w, const struct story *s, const char *path) {
    struct image base = image_of(s, true, false, false);
    write_file(w, path, base.p, base.n);
    free(base.p);
}

struct ms_recover_result recover_now(struct world *w) {
    struct ms_recover_result result;
    assert_ok(ms_recover(w->svc, &result, &test_err));
    assert_int_equal(result.lost, 0);
    assert_int_equal(result.deferred, 0);
    return result;
}

void collect_garbage(struct world *w) {
    struct ms_gc_result result;
    assert_ok(ms_gc(w->svc, 0, false, &result, &test_err));
}

static unsigned journals(struct world *w) {
    char path[1024];
    unsigned n = 0;
    snprintf(path, sizeof path, "%s/journal", w->dir);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

void check_all_settled(struct world *w) {
    collect_garbage(w);
    check_clean(w->svc);
    check_settled(w);
    assert_int_equal(journals(w), 1);
}

/* ---- for both tests ---------------------------------------------------------------------- */

/* A child that has said its word and was killed then. */
void kill_after(struct world *w, const char *work, const char *path, char word) {
    struct child_plan plan = {.work = work, .path = path};
    struct child_running running = child_start(w, &plan);
    child_await(&running, word);
    child_kill(&running);
    (void)child_wait(&running);
}

void check_synced(struct world *w, const char *path) {
    struct image want = image_of(story_of("new-small"), false, true, false);
    check_file(w, path, want.p, want.n);
    free(want.p);
}

const size_t story_works_n = MS_ARRAY_LEN(story_works);
