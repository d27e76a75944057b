/* Random deletions, restores, removals and moves of folders: after each few steps .trash/ is what
 * the assets themselves say is in the bin, each exactly once, at its path. */
#include "bin.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define NAMES 4u

struct run {
    struct bin *b;
    struct ms_random_seeded random;
    struct ms_id seen[512];
    size_t n;
};

static unsigned pick(struct run *r, unsigned n) {
    return (unsigned)ms_random_below(&r->random.random, n);
}

/* A path of one to four components below "top". */
static void path_of(struct run *r, unsigned depth, char path[256]) {
    size_t at = (size_t)snprintf(path, 256, "top");
    for (unsigned i = 0; i < depth; i++)
        at += (size_t)snprintf(path + at, 256 - at, "/n%u", pick(r, NAMES));
}

static bool is_folder(struct bin *b, const char *path) {
    struct ms_node node;
    return ms_tree_walk(b->w->svc, &b->w->ctx, path, &node, NULL) == MS_OK &&
           S_ISDIR(node.inode.mode);
}

static void make_folders(struct bin *b, char *path) {
    for (char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        if (!bin_there(b, path))
            bin_mkdir(b, path);
        *p = '/';
    }
}

static bool above_are_folders(struct bin *b, const char *path) {
    char copy[256];
    for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        (void)snprintf(copy, sizeof copy, "%.*s", (int)(p - path), path);
        if (bin_there(b, copy) && !is_folder(b, copy))
            return false;
    }
    return true;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void delete_one(struct run *r) {
    char path[256];
    path_of(r, 1 + pick(r, 3), path);
    if (!above_are_folders(r->b, path) || bin_there(r->b, path))
        return;
    make_folders(r->b, path);
    write_file(r->b->w, path, "x", 1);
    if (pick(r, 2)) {
        assert_ok(bin_move(r->b, path, ".trash/in", false, &test_err));
    } else {
        ms_clock_fake_advance(&r->b->w->clock, MS_BIN_BYPASS_AGE_MS);
        bin_unlink(r->b, path);
    }
}

static void rename_folder(struct run *r) {
    char from[256], to[256];
    struct ms_node node;
    struct ms_gone gone;
    path_of(r, 1 + pick(r, 2), from);
    path_of(r, 1 + pick(r, 2), to);
    if (!is_folder(r->b, from) || !above_are_folders(r->b, to))
        return;
    make_folders(r->b, to);
    char name[MS_NAME_BYTES_MAX + 1], new_name[MS_NAME_BYTES_MAX + 1];
    struct ms_node p, q;
    assert_ok(ms_tree_walk_parent(r->b->w->svc, &r->b->w->ctx, from, &p, name, &test_err));
    assert_ok(ms_tree_walk_parent(r->b->w->svc, &r->b->w->ctx, to, &q, new_name, &test_err));
    struct ms_rename rename = {
        .parent = p.inode.ino, .new_parent = q.inode.ino, .name = name, .new_name = new_name};
    /* Into itself, or over a folder with something in it: refused, and that is fine. */
    enum ms_code code = ms_tree_rename(r->b->w->svc, &r->b->w->ctx, &rename, &node, &gone, NULL);
    (void)code;
}

static void remove_folder(struct run *r) {
    char path[256], name[MS_NAME_BYTES_MAX + 1];
    struct ms_node parent;
    struct ms_gone gone;
    path_of(r, 1 + pick(r, 3), path);
    if (!is_folder(r->b, path))
        return;
    assert_ok(ms_tree_walk_parent(r->b->w->svc, &r->b->w->ctx, path, &parent, name, &test_err));
    enum ms_code code =
        ms_tree_rmdir(r->b->w->svc, &r->b->w->ctx, parent.inode.ino, name, false, &gone, NULL);
    (void)code;
}

/* A random path of .trash/ as it is listed; false: it is empty. */
static bool pick_shown(struct run *r, char path[512], bool *ret_folder) {
    char *tree = bin_tree(r->b, ".trash"), *p;
    unsigned n = 0;
    /* Names of files end with a blank and have blanks inside: entries are told apart by their
     * beginning, which is that of all of them. */
    for (p = tree; (p = strstr(p, "top")) != NULL; p += 3)
        n++;
    if (n == 0) {
        free(tree);
        return false;
    }
    unsigned which = pick(r, n);
    p = strstr(tree, "top");
    for (unsigned i = 0; i < which; i++)
        p = strstr(p + 3, "top");
    char *next = strstr(p + 3, "top");
    size_t len = (next ? (size_t)(next - p) : strlen(p)) - 1;
    (void)snprintf(path, 512, ".trash/%.*s", (int)len, p);
    free(tree);
    len = strlen(path);
    *ret_folder = path[len - 1] == '/';
    if (*ret_folder)
        path[len - 1] = '\0';
    return true;
}

/* As the command does it: removed folders come back, beside what has taken their names. */
static void restore_there(struct run *r, const char *path) {
    struct ms_node node;
    assert_ok(bin_look(r->b, path, &node, &test_err));
    struct ms_asset_event e = {.id = {node.inode.asset}, .event = MS_EVENT_RESTORE};
    enum ms_code code = ms_asset_apply(r->b->w->svc, &r->b->w->ctx, &e, NULL, NULL);
    assert_true(code == MS_OK || code == MS_EXISTS);
}

static void take_out(struct run *r, bool for_good) {
    char path[512], to[256];
    bool folder;
    if (!pick_shown(r, path, &folder))
        return;
    if (for_good && folder) {
        assert_code(bin_drop_folder(r->b, path, &test_err), MS_NOT_EMPTY);
        return;
    }
    if (for_good) {
        assert_ok(bin_purge(r->b, path, &test_err));
        return;
    }
    if (!folder && pick(r, 2)) {
        restore_there(r, path);
        return;
    }
    path_of(r, 1 + pick(r, 2), to);
    if (!above_are_folders(r->b, to))
        return;
    make_folders(r->b, to);
    enum ms_code code = bin_move(r->b, path, to, pick(r, 2), NULL);
    (void)code; /* refused over a folder: fine */
}

static void step(struct run *r) {
    switch (pick(r, 8)) {
    case 0:
    case 1:
    case 2:
        delete_one(r);
        break;
    case 3:
        rename_folder(r);
        break;
    case 4:
        remove_folder(r);
        break;
    case 5:
        take_out(r, true);
        break;
    case 6:
        take_out(r, false);
        break;
    default:
        r->b->vt->at = pick(r, 4) ? r->b->vt->at : 0; /* the feed is lost now and then */
        break;
    }
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void see_all(struct run *r, uint64_t dir, const char *prefix) {
    struct ms_node nodes[5];
    uint64_t after = 0;
    size_t n = 1;
    while (n > 0) {
        assert_ok(
            ms_vtree_list(r->b->vt, &r->b->w->ctx, dir, after, true, nodes, 5, &n, &test_err));
        for (size_t i = 0; i < n; i++) {
            char path[1024];
            struct ms_asset_info info;
            after = nodes[i].seq;
            (void)snprintf(path, sizeof path, "%s/%s", prefix, nodes[i].spelling);
            if (S_ISDIR(nodes[i].inode.mode)) {
                see_all(r, nodes[i].inode.ino, path);
                ms_vtree_forget(r->b->vt, nodes[i].inode.ino, 1);
                continue;
            }
            struct ms_asset_id id = {nodes[i].inode.asset};
            assert_ok(ms_asset_get(r->b->w->svc, &r->b->w->ctx, id, &info, &test_err));
            assert_int_equal(info.state, MS_STATE_DELETING);
            /* In the folder where it was; its own name may have got a number. */
            *strrchr(info.path, '/') = '\0';
            assert_string_equal(info.path, prefix);
            assert_true(r->n < MS_ARRAY_LEN(r->seen));
            for (size_t k = 0; k < r->n; k++)
                assert_memory_not_equal(&r->seen[k], &id, sizeof id);
            r->seen[r->n++] = id.id;
        }
    }
}

static void compare(struct run *r) {
    r->n = 0;
    see_all(r, bin_ino(r->b, ".trash"), "");
    assert_int_equal(r->n, quota_of(r->b->w).usage.binned_assets);
}

static void the_folders_are_always_what_the_assets_say(void **state) {
    struct run *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->b = *state;
    uint64_t seed = ms_test_seed();
    ms_random_seeded_init(&r->random, seed);
    bin_mkdir(r->b, "top");
    unsigned steps = ms_test_rounds(600);
    for (unsigned i = 0; i < steps; i++) {
        step(r);
        if (i % 5 == 0)
            compare(r);
    }
    compare(r);
    ms_random_seeded_fini(&r->random);
    free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_folders_are_always_what_the_assets_say, bin_setup,
                                        bin_teardown),
    };
    return cmocka_run_group_tests_name("vtree model", tests, NULL, NULL);
}
