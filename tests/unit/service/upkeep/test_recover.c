#include "child.h"

#include "service/file_image.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* ---- what is written --------------------------------------------------------------------- */

/* A byte of a phase: 0 is what was there before, 1 what an fsync covers, 2 what came later. */
static uint8_t byte_of(unsigned phase, size_t at) {
    return (uint8_t)(phase * 61 + at * 7 + (at >> 8) + (at >> 17));
}

struct step {
    unsigned phase;
    size_t from, to;
};
struct story {
    const char *name;
    bool exists;   /* an overwrite: the base has base_bytes */
    bool truncate; /* it begins with O_TRUNC */
    size_t base_bytes;
    struct step synced[2], later[2]; /* before and after the fsync; to 0: none */
    bool sync;
};
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

static const struct story *story_of(const char *name) {
    for (size_t i = 0; i < MS_ARRAY_LEN(stories); i++)
        if (strcmp(stories[i].name, name) == 0)
            return &stories[i];
    return NULL;
}

struct image {
    uint8_t *p;
    size_t n;
};

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

static struct image image_of(const struct story *s, bool base, bool synced, bool later) {
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

static const struct child_work works[] = {
    {"new-small", new_small},      {"new-large", new_large}, {"new-unsynced", new_unsynced},
    {"overwrite", overwrite},      {"shorten", shorten},     {"to-nothing", to_nothing},
    {"recover", recover_in_child}, {"sync", sync_and_wait},  {"write", write_and_wait},
    {"orphans", orphans_and_wait},
};

/* ---- what must be there ------------------------------------------------------------------ */

static bool is_there(struct world *w, const char *path) {
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

static void check_story(struct world *w, const struct story *s, const char *path,
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

static void make_base(struct world *w, const struct story *s, const char *path) {
    struct image base = image_of(s, true, false, false);
    write_file(w, path, base.p, base.n);
    free(base.p);
}

static struct ms_recover_result recover_now(struct world *w) {
    struct ms_recover_result result;
    assert_ok(ms_recover(w->svc, &result, &test_err));
    assert_int_equal(result.lost, 0);
    assert_int_equal(result.deferred, 0);
    return result;
}

static void collect_garbage(struct world *w) {
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

static void check_all_settled(struct world *w) {
    collect_garbage(w);
    check_clean(w->svc);
    check_settled(w);
    assert_int_equal(journals(w), 1);
}

/* ---- killed at every request of the store ------------------------------------------------ */

static unsigned kill_everywhere(struct world *w, const struct story *s, bool after, bool plain) {
    unsigned kills = 0;
    struct child_end end = {.killed = true};
    for (unsigned at = 1; end.killed; at++) {
        char path[64];
        snprintf(path, sizeof path, "/files/%s-%u", s->name, at);
        if (s->exists)
            make_base(w, s, path);
        struct child_plan plan = {
            .work = s->name, .path = path, .kill_at = at, .after = after, .plain = plain};
        end = child_run(w, &plan);
        kills += end.killed;
        check_findings(w->svc);
        (void)recover_now(w);
        check_story(w, s, path, &end);
        if (is_there(w, path))
            unlink_path(w, path);
        check_all_settled(w);
    }
    return kills;
}

static void killed_everywhere(struct world *w, const char *name) {
    const struct story *s = story_of(name);
    unsigned kills = 0;
    for (unsigned after = 0; after < 2; after++)
        kills += kill_everywhere(w, s, after, false);
    print_message("%s: killed at %u points\n", name, kills);
    assert_true(kills >= 2);
}

static void a_new_small_file_killed_at_every_request(void **state) {
    killed_everywhere(*state, "new-small");
}
static void a_new_large_file_killed_at_every_request(void **state) {
    killed_everywhere(*state, "new-large");
}
static void a_file_without_fsync_killed_at_every_request(void **state) {
    killed_everywhere(*state, "new-unsynced");
}
static void an_overwrite_killed_at_every_request(void **state) {
    killed_everywhere(*state, "overwrite");
}
static void a_shortened_file_killed_at_every_request(void **state) {
    killed_everywhere(*state, "shorten");
}
static void a_file_cut_to_nothing_killed_at_every_request(void **state) {
    killed_everywhere(*state, "to-nothing");
}
static void without_multipart_killed_at_every_request(void **state) {
    unsigned kills = 0;
    for (unsigned after = 0; after < 2; after++) {
        kills += kill_everywhere(*state, story_of("new-small"), after, true);
        kills += kill_everywhere(*state, story_of("overwrite"), after, true);
    }
    print_message("without multipart: killed at %u points\n", kills);
    assert_true(kills >= 4);
}

/* ---- what it says it did ----------------------------------------------------------------- */

/* A child that has said its word and was killed then. */
static void kill_after(struct world *w, const char *work, const char *path, char word) {
    struct child_plan plan = {.work = work, .path = path};
    struct child_running running = child_start(w, &plan);
    child_await(&running, word);
    child_kill(&running);
    (void)child_wait(&running);
}

static void check_synced(struct world *w, const char *path) {
    struct image want = image_of(story_of("new-small"), false, true, false);
    check_file(w, path, want.p, want.n);
    free(want.p);
}

static void an_fsynced_file_is_completed_and_counted(void **state) {
    struct world *w = *state;
    struct said *said = calloc(1, sizeof *said);
    struct ms_recover_result result;
    struct behind b;
    kill_after(w, "sync", "/files/kept.bin", 's');
    run_fsck(w->svc, true, true, said);
    assert_int_equal(said->findings, 0);
    assert_int_equal(pending_of(said, "process"), 1);
    assert_int_equal(pending_of(said, "intent"), 1);
    assert_int_equal(pending_of(said, "lease"), 1);
    assert_int_equal(pending_of(said, "orphan"), 1);
    free(said);
    result = recover_now(w);
    assert_int_equal(result.processes, 1);
    assert_int_equal(result.completed, 1);
    assert_int_equal(result.dropped, 0);
    assert_int_equal(result.leases, 0); /* it went with the seal */
    check_all_settled(w);
    check_synced(w, "/files/kept.bin");
    look_behind(w, "/files/kept.bin", &b);
    assert_int_equal(b.asset.rest, MS_STATE_ACTIVED);
    assert_int_equal(b.inode.unsealed, 0);
    assert_true(b.version.hashed);
    assert_string_equal(b.file.media_type, "application/octet-stream");
    assert_int_equal(quota_of(w).metered, 100000);
    result = recover_now(w);
    assert_int_equal(result.processes, 0);
}

static void an_unsynced_file_vanishes_with_its_lease(void **state) {
    struct world *w = *state;
    struct ms_recover_result result;
    kill_after(w, "write", "/files/lost.bin", 'w');
    check_findings(w->svc);
    result = recover_now(w);
    assert_int_equal(result.processes, 1);
    assert_int_equal(result.completed, 0);
    assert_int_equal(result.dropped, 1);
    assert_int_equal(result.leases, 1);
    assert_false(is_there(w, "/files/lost.bin"));
    check_all_settled(w);
    assert_int_equal(quota_of(w).metered, 0);
}

static void orphans_of_every_kind_are_forgotten(void **state) {
    struct world *w = *state;
    struct ms_recover_result result;
    write_file(w, "/files/sealed", "bytes", 5);
    uint64_t inodes = quota_of(w).usage.inodes;
    kill_after(w, "orphans", "", 'o');
    check_findings(w->svc);
    result = recover_now(w);
    assert_int_equal(result.processes, 1);
    assert_int_equal(result.orphans, 4);
    check_all_settled(w);
    assert_int_equal(quota_of(w).usage.inodes, inodes - 1);
    assert_int_equal(quota_of(w).usage.assets, 0);
}

/* ---- recoverers that die, or are two ----------------------------------------------------- */

static void a_recoverer_killed_at_every_request(void **state) {
    struct world *w = *state;
    unsigned kills = 0;
    for (unsigned after = 0; after < 2; after++) {
        struct child_end end = {.killed = true};
        for (unsigned at = 1; end.killed; at++) {
            struct child_plan plan = {.work = "recover", .kill_at = at, .after = after};
            kill_after(w, "sync", "/files/kept.bin", 's');
            end = child_run(w, &plan);
            kills += end.killed;
            check_findings(w->svc);
            struct ms_recover_result result = recover_now(w);
            assert_int_equal(result.processes, end.killed ? 2 : 0);
            check_synced(w, "/files/kept.bin");
            unlink_path(w, "/files/kept.bin");
            check_all_settled(w);
        }
    }
    print_message("recovery killed at %u points\n", kills);
    assert_true(kills >= 6);
}

static void several_recoverers_settle_each_once(void **state) {
    struct world *w = *state;
    struct child_running running[3];
    struct ms_recover_result result;
    for (unsigned i = 0; i < 6; i++) {
        char path[64];
        snprintf(path, sizeof path, "/files/kept-%u.bin", i);
        kill_after(w, "sync", path, 's');
    }
    for (unsigned i = 0; i < 3; i++)
        running[i] = child_start(w, &(struct child_plan){.work = "recover"});
    assert_ok(ms_recover(w->svc, &result, &test_err));
    for (unsigned i = 0; i < 3; i++)
        assert_false(child_wait(&running[i]).killed);
    (void)recover_now(w);
    for (unsigned i = 0; i < 6; i++) {
        char path[64];
        snprintf(path, sizeof path, "/files/kept-%u.bin", i);
        check_synced(w, path);
    }
    check_all_settled(w);
    assert_int_equal(quota_of(w).metered, 6 * 100000);
}

static void killed_at_any_time(void **state) {
    struct world *w = *state;
    static const char *const names[] = {"new-large", "overwrite", "new-unsynced", "shorten"};
    unsigned rounds = ms_test_rounds(16), kills = 0;
    for (unsigned i = 0; i < rounds; i++) {
        const struct story *s = story_of(names[i % MS_ARRAY_LEN(names)]);
        char path[64];
        snprintf(path, sizeof path, "/files/%s-%u", s->name, i);
        if (s->exists)
            make_base(w, s, path);
        struct child_plan plan = {.work = s->name, .path = path, .kill_ms = 1 + 13 * i % 97};
        struct child_end end = child_run(w, &plan);
        kills += end.killed;
        check_findings(w->svc);
        (void)recover_now(w);
        check_story(w, s, path, &end);
        check_all_settled(w);
    }
    print_message("killed %u times\n", kills);
}

/* ---- what does not go well --------------------------------------------------------------- */

static void a_store_that_is_down_leaves_everything_for_later(void **state) {
    struct world *w = *state;
    struct ms_recover_result result = {.processes = 77};
    kill_after(w, "sync", "/files/kept.bin", 's');
    gate_refuse(w, MS_UNAVAILABLE);
    assert_code(ms_recover(w->svc, &result, &test_err), MS_UNAVAILABLE);
    assert_int_equal(result.processes, 77);
    gate_refuse(w, MS_OK);
    check_findings(w->svc);
    result = recover_now(w);
    assert_int_equal(result.completed, 1);
    check_synced(w, "/files/kept.bin");
    check_all_settled(w);
}

static void remove_uploads(struct world *w) {
    char command[1200];
    snprintf(command, sizeof command, "%s/objects/.uploads", w->dir);
    DIR *dir = opendir(command);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        char path[1024];
        if (e->d_name[0] == '.')
            continue;
        for (unsigned i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "%s/%s", e->d_name, i ? "log" : "data");
            (void)unlinkat(dirfd(dir), path, 0);
        }
        (void)unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
    }
    closedir(dir);
}

static void listed_parts_that_are_gone_are_said_to_be_lost(void **state) {
    struct world *w = *state;
    struct ms_recover_result result;
    kill_after(w, "sync", "/files/kept.bin", 's');
    remove_uploads(w);
    assert_ok(ms_recover(w->svc, &result, &test_err));
    assert_int_equal(result.lost, 1);
    assert_int_equal(result.dropped, 1);
    assert_int_equal(result.completed, 0);
    assert_false(is_there(w, "/files/kept.bin"));
    check_all_settled(w);
}

static void what_may_not_be_sealed_now_waits(void **state) {
    struct world *w = *state;
    struct ms_recover_result result;
    struct said *said = calloc(1, sizeof *said);
    kill_after(w, "sync", "/files/kept.bin", 's');
    assert_ok(ms_tenant_hold(w->svc, &w->admin, MS_HOLD_ADMIN, true, "complaint", &test_err));
    assert_ok(ms_recover(w->svc, &result, &test_err));
    assert_int_equal(result.deferred, 1);
    assert_int_equal(result.processes, 0);
    collect_garbage(w); /* takes nothing of it */
    run_fsck(w->svc, true, true, said);
    assert_int_equal(said->findings, 0);
    assert_int_equal(pending_of(said, "intent"), 1);
    assert_int_equal(pending_of(said, "lease"), 1);
    free(said);
    assert_ok(ms_tenant_hold(w->svc, &w->admin, MS_HOLD_ADMIN, false, "", &test_err));
    result = recover_now(w);
    assert_int_equal(result.completed, 1);
    assert_int_equal(result.processes, 1);
    check_synced(w, "/files/kept.bin");
    check_all_settled(w);
}

static void bytes_that_were_sealed_later_win(void **state) {
    struct world *w = *state;
    struct ms_recover_result result;
    struct ms_handle *h;
    make_base(w, story_of("overwrite"), "/files/two.bin");
    struct child_plan plan = {
        .work = "overwrite", .path = "/files/two.bin", .kill_at = 6, .after = true};
    struct child_end end = child_run(w, &plan);
    assert_true(child_said(&end, 's') && !child_said(&end, 'c'));
    ms_clock_fake_advance(&w->clock, 5);
    h = open_file(w, "/files/two.bin", 't');
    put_bytes(h, 0, "newer", 5);
    seal_file(h);
    result = recover_now(w);
    assert_int_equal(result.completed, 0);
    assert_int_equal(result.dropped, 1);
    check_file(w, "/files/two.bin", "newer", 5);
    check_all_settled(w);
}

static void a_file_that_was_unlinked_meanwhile_is_gone(void **state) {
    struct world *w = *state;
    kill_after(w, "sync", "/files/gone.bin", 's');
    unlink_path(w, "/files/gone.bin");
    check_findings(w->svc);
    assert_int_equal(recover_now(w).completed, 0);
    assert_false(is_there(w, "/files/gone.bin"));
    check_all_settled(w);
}

static void a_file_that_was_renamed_meanwhile_is_completed(void **state) {
    struct world *w = *state;
    uint64_t files = ino_of(w, "/files");
    struct ms_rename rename = {
        .parent = files, .new_parent = files, .name = "a.bin", .new_name = "b.bin"};
    struct ms_node node;
    struct ms_gone gone;
    kill_after(w, "sync", "/files/a.bin", 's');
    assert_ok(ms_tree_rename(w->svc, &w->ctx, &rename, &node, &gone, &test_err));
    assert_int_equal(recover_now(w).completed, 1);
    check_synced(w, "/files/b.bin");
    check_all_settled(w);
}

static void content_that_breaks_a_rule_is_sealed_as_failed(void **state) {
    struct world *w = *state;
    struct behind b;
    kill_after(w, "sync", "/videos/film.mp4", 's');
    assert_int_equal(recover_now(w).completed, 1);
    look_behind(w, "/videos/film.mp4", &b);
    assert_int_equal(b.asset.rest, MS_STATE_FAILED);
    assert_int_equal(b.asset.fail, MS_FAIL_CONTENT);
    assert_true(b.asset.reason[0] != 0);
    check_all_settled(w);
}

/* ---- opening a store --------------------------------------------------------------------- */

static void opening_settles_what_rows_alone_can_settle(void **state) {
    struct world *w = *state;
    struct said *said = calloc(1, sizeof *said);
    kill_after(w, "write", "/files/lost.bin", 'w');
    world_reopen(w);
    run_fsck(w->svc, false, false, said);
    assert_int_equal(said->findings, 0);
    assert_int_equal(said->pending, 0);
    assert_false(is_there(w, "/files/lost.bin"));
    kill_after(w, "sync", "/files/kept.bin", 's');
    world_reopen(w);
    run_fsck(w->svc, false, false, said);
    assert_int_equal(said->findings, 0);
    assert_int_equal(pending_of(said, "process"), 1);
    free(said);
    assert_int_equal(recover_now(w).completed, 1);
    check_synced(w, "/files/kept.bin");
    check_all_settled(w);
}

/* The store fails at close, after an fsync: the promise outlives the process, which ends well. */
static void a_promise_outlives_a_process_that_closes(void **state) {
    struct world *w = *state;
    struct ms_handle *h = make_file(w, "/files/kept.bin");
    struct image want = image_of(story_of("new-small"), false, true, false);
    for (size_t at = 0; at < want.n; at += 10000)
        put_bytes(h, at, want.p + at, 10000);
    assert_ok(sync_file(h, &test_err));
    put_bytes(h, 0, want.p, 1);
    gate_refuse(w, MS_UNAVAILABLE);
    assert_code(flush_file(h, &test_err), MS_UNAVAILABLE);
    assert_code(release_file(h, &test_err), MS_UNAVAILABLE);
    gate_refuse(w, MS_OK);
    world_reopen(w);
    check_findings(w->svc);
    assert_int_equal(recover_now(w).completed, 1);
    check_file(w, "/files/kept.bin", want.p, want.n);
    check_all_settled(w);
    free(want.p);
}

int main(int argc, char **argv) {
    child_main(argc, argv, works, MS_ARRAY_LEN(works));
#define ON_DIR(test) cmocka_unit_test_setup_teardown(test, world_setup_dir, world_teardown)
    const struct CMUnitTest tests[] = {
        ON_DIR(an_fsynced_file_is_completed_and_counted),
        ON_DIR(an_unsynced_file_vanishes_with_its_lease),
        ON_DIR(orphans_of_every_kind_are_forgotten),
        ON_DIR(several_recoverers_settle_each_once),
        ON_DIR(a_store_that_is_down_leaves_everything_for_later),
        ON_DIR(listed_parts_that_are_gone_are_said_to_be_lost),
        ON_DIR(what_may_not_be_sealed_now_waits),
        ON_DIR(bytes_that_were_sealed_later_win),
        ON_DIR(a_file_that_was_unlinked_meanwhile_is_gone),
        ON_DIR(a_file_that_was_renamed_meanwhile_is_completed),
        ON_DIR(content_that_breaks_a_rule_is_sealed_as_failed),
        ON_DIR(opening_settles_what_rows_alone_can_settle),
        ON_DIR(a_promise_outlives_a_process_that_closes),
        ON_DIR(a_new_small_file_killed_at_every_request),
        ON_DIR(a_new_large_file_killed_at_every_request),
        ON_DIR(a_file_without_fsync_killed_at_every_request),
        ON_DIR(an_overwrite_killed_at_every_request),
        ON_DIR(a_shortened_file_killed_at_every_request),
        ON_DIR(a_file_cut_to_nothing_killed_at_every_request),
        ON_DIR(without_multipart_killed_at_every_request),
        ON_DIR(a_recoverer_killed_at_every_request),
        ON_DIR(killed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
