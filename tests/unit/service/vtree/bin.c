#include "bin.h"

#include "service/upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void print_finding(void *priv, const char *invariant, const char *text) {
    struct bin *b = priv;
    print_error("%s: %s\n", invariant, text);
    b->findings++;
}

int bin_setup(void **state) {
    struct bin *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->w = world_new(true, 0);
    assert_ok(ms_vtree_new(b->w->svc, b->w->ctx.tenant, b->w->tenant.root_ino, &b->vt, &test_err));
    *state = b;
    return 0;
}

int bin_teardown(void **state) {
    struct bin *b = *state;
    struct ms_fsck_options options = {
        .finding = print_finding, .pending = print_finding, .priv = b};
    struct ms_fsck_result result;
    ms_vtree_free(b->vt);
    enum ms_code code = ms_fsck(b->w->svc, &options, &result, NULL);
    unsigned findings = b->findings;
    world_free(b->w);
    free(b);
    return code == MS_OK && findings == 0 ? 0 : -1;
}

/* ---- the tree -------------------------------------------------------------------------------- */

static uint64_t parent_of(struct bin *b, const char *path, char name[MS_NAME_BYTES_MAX + 1]) {
    struct ms_node parent;
    assert_ok(ms_tree_walk_parent(b->w->svc, &b->w->ctx, path, &parent, name, &test_err));
    return parent.inode.ino;
}

void bin_file(struct bin *b, const char *path, const char *text) {
    write_file(b->w, path, text, strlen(text));
    ms_clock_fake_advance(&b->w->clock, MS_BIN_BYPASS_AGE_MS);
}

void bin_mkdir(struct bin *b, const char *path) {
    char name[MS_NAME_BYTES_MAX + 1];
    struct ms_made made;
    struct ms_make make = {.parent = parent_of(b, path, name), .mode = S_IFDIR | 0750, .uid = 7};
    make.name = name;
    assert_ok(ms_tree_make(b->w->svc, &b->w->ctx, &make, &made, &test_err));
}

void bin_rmdir(struct bin *b, const char *path) {
    char name[MS_NAME_BYTES_MAX + 1];
    struct ms_gone gone;
    uint64_t dir = parent_of(b, path, name);
    assert_ok(ms_tree_rmdir(b->w->svc, &b->w->ctx, dir, name, false, &gone, &test_err));
}

void bin_unlink(struct bin *b, const char *path) {
    char name[MS_NAME_BYTES_MAX + 1];
    struct ms_gone gone;
    uint64_t dir = parent_of(b, path, name);
    assert_ok(ms_tree_unlink(b->w->svc, &b->w->ctx, dir, name, false, &gone, &test_err));
}

void bin_rename(struct bin *b, const char *from, const char *to) {
    char name[MS_NAME_BYTES_MAX + 1], new_name[MS_NAME_BYTES_MAX + 1];
    struct ms_node node;
    struct ms_gone gone;
    struct ms_rename r = {.parent = parent_of(b, from, name),
                          .new_parent = parent_of(b, to, new_name),
                          .name = name,
                          .new_name = new_name};
    assert_ok(ms_tree_rename(b->w->svc, &b->w->ctx, &r, &node, &gone, &test_err));
}

void bin_deleted(struct bin *b, const char *path, const char *text) {
    bin_file(b, path, text);
    bin_unlink(b, path);
}

bool bin_there(struct bin *b, const char *path) {
    struct ms_node node;
    return ms_tree_walk(b->w->svc, &b->w->ctx, path, &node, NULL) == MS_OK;
}

void bin_check(struct bin *b, const char *path, const char *text) {
    check_file(b->w, path, text, strlen(text));
}

/* ---- virtual paths --------------------------------------------------------------------------- */

static bool is_virtual(const char *path) {
    return strncmp(path, ".trash", 6) == 0 || strncmp(path, ".msasset", 8) == 0;
}

/* One lookup is counted for each step, but for the folders on the way it is taken back, as a kernel
 * that is short of memory would. */
enum ms_code bin_look(struct bin *b, const char *path, struct ms_node *ret_node,
                      struct ms_error *reterr) {
    uint64_t dir = b->w->tenant.root_ino;
    char name[MS_NAME_BYTES_MAX + 1];
    for (;;) {
        size_t n = strcspn(path, "/");
        (void)snprintf(name, sizeof name, "%.*s", (int)n, path);
        enum ms_code code = ms_vtree_lookup(b->vt, &b->w->ctx, dir, name, ret_node, reterr);
        if (ms_vtree_is(dir))
            ms_vtree_forget(b->vt, dir, 1);
        if (code != MS_OK || !path[n])
            return code;
        dir = ret_node->inode.ino;
        if (!ms_vtree_is(dir))
            return ms_fail(reterr, MS_NOT_DIR, "a file on the way");
        path += n + 1;
    }
}

uint64_t bin_ino(struct bin *b, const char *path) {
    struct ms_node node;
    assert_ok(bin_look(b, path, &node, &test_err));
    if (ms_vtree_is(node.inode.ino))
        ms_vtree_forget(b->vt, node.inode.ino, 1);
    return node.inode.ino;
}

bool bin_shows(struct bin *b, const char *path) {
    struct ms_node node;
    enum ms_code code = bin_look(b, path, &node, NULL);
    if (code == MS_OK && ms_vtree_is(node.inode.ino))
        ms_vtree_forget(b->vt, node.inode.ino, 1);
    return code == MS_OK;
}

static void add_tree(struct bin *b, uint64_t dir, const char *prefix, struct ms_buf *text) {
    struct ms_node nodes[3]; /* small pages: offsets are used */
    uint64_t after = 0;
    size_t n = 1;
    while (n > 0) {
        assert_ok(ms_vtree_list(b->vt, &b->w->ctx, dir, after, true, nodes, 3, &n, &test_err));
        for (size_t i = 0; i < n; i++) {
            char path[1024];
            bool folder = S_ISDIR(nodes[i].inode.mode);
            assert_true(nodes[i].seq > after);
            after = nodes[i].seq;
            (void)snprintf(path, sizeof path, "%s%s%s", prefix, nodes[i].spelling,
                           folder ? "/" : "");
            assert_ok(ms_buf_addf(text, &test_err, "%s ", path));
            if (folder)
                add_tree(b, nodes[i].inode.ino, path, text);
            if (ms_vtree_is(nodes[i].inode.ino))
                ms_vtree_forget(b->vt, nodes[i].inode.ino, 1);
        }
    }
}

char *bin_tree(struct bin *b, const char *path) {
    struct ms_buf text = {0};
    uint64_t dir = bin_ino(b, path);
    assert_ok(ms_buf_add(&text, "", 0, &test_err));
    assert_ok(ms_buf_reserve(&text, 1, &test_err));
    add_tree(b, dir, "", &text);
    text.data[text.len] = '\0';
    return (char *)text.data;
}

/* Number of the folder of a path, and its last component. */
static uint64_t place_of(struct bin *b, const char *path, char name[MS_NAME_BYTES_MAX + 1]) {
    const char *slash = strrchr(path, '/');
    if (!is_virtual(path))
        return parent_of(b, path, name);
    if (!slash) {
        (void)snprintf(name, MS_NAME_BYTES_MAX + 1, "%s", path);
        return b->w->tenant.root_ino;
    }
    char dir[1024];
    (void)snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
    (void)snprintf(name, MS_NAME_BYTES_MAX + 1, "%s", slash + 1);
    return bin_ino(b, dir);
}

enum ms_code bin_move(struct bin *b, const char *from, const char *to, bool no_replace,
                      struct ms_error *reterr) {
    char name[MS_NAME_BYTES_MAX + 1], new_name[MS_NAME_BYTES_MAX + 1];
    struct ms_vmoved moved;
    struct ms_rename r = {.parent = place_of(b, from, name),
                          .new_parent = place_of(b, to, new_name),
                          .name = name,
                          .new_name = new_name,
                          .no_replace = no_replace};
    return ms_vtree_rename(b->vt, &b->w->ctx, &r, &moved, reterr);
}

enum ms_code bin_purge(struct bin *b, const char *path, struct ms_error *reterr) {
    char name[MS_NAME_BYTES_MAX + 1];
    uint64_t dir = place_of(b, path, name);
    return ms_vtree_unlink(b->vt, &b->w->ctx, dir, name, reterr);
}

enum ms_code bin_drop_folder(struct bin *b, const char *path, struct ms_error *reterr) {
    char name[MS_NAME_BYTES_MAX + 1];
    uint64_t dir = place_of(b, path, name);
    return ms_vtree_rmdir(b->vt, &b->w->ctx, dir, name, reterr);
}

struct ms_buf bin_text(struct bin *b, const char *path) {
    struct ms_buf text = {0};
    struct ms_node node;
    uint64_t ino;
    assert_ok(bin_look(b, path, &node, &test_err));
    assert_ok(ms_vtree_open(b->vt, &b->w->ctx, node.inode.ino, false, &text, &ino, &test_err));
    ms_vtree_forget(b->vt, node.inode.ino, 1);
    assert_int_equal(ino, 0);
    assert_non_null(text.data);
    return text;
}
