/* What .trash/ shows, under which names. */
#include "bin.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void the_root_has_two_folders_more(void **state) {
    struct bin *b = *state;
    struct ms_node n[4];
    uint64_t root = b->w->tenant.root_ino;
    size_t count;
    assert_ok(ms_vtree_list(b->vt, &b->w->ctx, root, 1000, false, n, 4, &count, &test_err));
    assert_int_equal(count, 2);
    assert_string_equal(n[0].spelling, ".trash");
    assert_string_equal(n[1].spelling, ".msasset");
    assert_true(n[0].seq > (UINT64_C(1) << 61) && n[1].seq > n[0].seq && n[1].seq <= INT64_MAX);
    assert_true(ms_vtree_is(n[0].inode.ino) && S_ISDIR(n[0].inode.mode));
    assert_int_equal(n[0].inode.parent, root);
    assert_ok(ms_vtree_list(b->vt, &b->w->ctx, root, n[0].seq, false, n, 4, &count, &test_err));
    assert_int_equal(count, 1);
    assert_tree(b, ".trash", "");
}

static void a_deleted_file_is_where_it_was(void **state) {
    struct bin *b = *state;
    struct ms_node node;
    bin_mkdir(b, "a");
    bin_mkdir(b, "a/b");
    bin_deleted(b, "a/b/one.txt", "first");
    bin_deleted(b, "files/two.txt", "second");
    bin_deleted(b, "top.txt", "third");
    assert_tree(b, ".trash", "a/ a/b/ a/b/one.txt files/ files/two.txt top.txt ");
    assert_ok(bin_look(b, ".trash/a/b/one.txt", &node, &test_err));
    assert_false(ms_vtree_is(node.inode.ino));
    assert_int_equal(node.inode.size, 5);
    assert_int_equal(node.state, MS_STATE_DELETING);
    assert_int_equal(node.inode.uid, 1000);
    assert_ok(bin_look(b, ".trash/a", &node, &test_err));
    assert_int_equal(node.inode.mode, S_IFDIR | 0750); /* the folder's own */
    assert_int_equal(node.inode.uid, 7);
    ms_vtree_forget(b->vt, node.inode.ino, 1);
    assert_code(bin_look(b, ".trash/a/c", &node, &test_err), MS_NOT_FOUND);
    assert_code(bin_look(b, ".trash/top.txt/x", &node, &test_err), MS_NOT_DIR);
    assert_code(bin_look(b, ".trash/\xff", &node, &test_err), MS_BAD_NAME);
}

static void its_bytes_can_be_read_and_not_written(void **state) {
    struct bin *b = *state;
    struct ms_handle *h;
    bin_deleted(b, "files/x.txt", "some bytes");
    struct ms_open open = {.ino = bin_ino(b, ".trash/files/x.txt"), .read = true};
    assert_ok(ms_file_open(b->w->svc, &b->w->ctx, &open, &h, &test_err));
    check_bytes(h, 0, "some bytes", 10, true);
    assert_ok(release_file(h, &test_err));
    open.write = true;
    assert_code(ms_file_open(b->w->svc, &b->w->ctx, &open, &h, &test_err), MS_WRONG_STATE);
}

static void its_attributes_and_links_are_refused(void **state) {
    struct bin *b = *state;
    struct ms_node node;
    bin_deleted(b, "files/x.txt", "some bytes");
    struct ms_setattr set = {
        .ino = bin_ino(b, ".trash/files/x.txt"), .which = MS_ATTR_MODE, .mode = 0600};
    assert_code(ms_tree_setattr(b->w->svc, &b->w->ctx, &set, &node, &test_err), MS_WRONG_STATE);
    assert_code(ms_tree_xattr_set(b->w->svc, &b->w->ctx, set.ino, "user.a", ms_view_str("b"),
                                  MS_XATTR_ANY, &test_err),
                MS_WRONG_STATE);
    assert_code(ms_tree_link(b->w->svc, &b->w->ctx, set.ino, b->w->tenant.root_ino, "again", &node,
                             &test_err),
                MS_WRONG_STATE);
}

static void files_of_one_path_are_numbered_and_keep_their_numbers(void **state) {
    struct bin *b = *state;
    bin_deleted(b, "files/x.txt", "1");
    bin_deleted(b, "files/x.txt", "22");
    bin_deleted(b, "files/x.txt", "333");
    assert_tree(b, ".trash", "files/ files/x.txt files/x (2).txt files/x (3).txt ");
    assert_ok(bin_purge(b, ".trash/files/x.txt", &test_err));
    assert_tree(b, ".trash", "files/ files/x (2).txt files/x (3).txt ");
    bin_deleted(b, "files/x.txt", "4444");
    struct ms_node node;
    assert_ok(bin_look(b, ".trash/files/x (2).txt", &node, &test_err));
    assert_int_equal(node.inode.size, 2);
    assert_ok(bin_look(b, ".trash/files/x.txt", &node, &test_err));
    assert_int_equal(node.inode.size, 4);
}

static void a_name_like_a_numbered_one_is_no_trouble(void **state) {
    struct bin *b = *state;
    bin_deleted(b, "files/x.txt", "1");
    bin_deleted(b, "files/x (2).txt", "22");
    bin_deleted(b, "files/x.txt", "333");
    bin_deleted(b, "files/x (2).txt", "4444");
    assert_tree(b, ".trash",
                "files/ files/x.txt files/x (2).txt files/x (3).txt files/x (2) (2).txt ");
}

static void spellings_of_one_name_are_one_name(void **state) {
    struct bin *b = *state;
    bin_deleted(b, "files/caf\xc3\xa9", "1");
    bin_deleted(b, "files/cafe\xcc\x81", "22");
    assert_tree(b, ".trash", "files/ files/caf\xc3\xa9 files/cafe\xcc\x81 (2) ");
    assert_true(bin_shows(b, ".trash/files/cafe\xcc\x81"));
}

static void removed_folders_are_there_and_those_of_one_path_are_one(void **state) {
    struct bin *b = *state;
    bin_mkdir(b, "a");
    bin_mkdir(b, "a/b");
    bin_deleted(b, "a/b/x", "1");
    bin_rmdir(b, "a/b");
    bin_rmdir(b, "a");
    assert_tree(b, ".trash", "a/ a/b/ a/b/x ");
    bin_mkdir(b, "a");
    bin_mkdir(b, "a/b");
    bin_deleted(b, "a/b/x", "22");
    bin_deleted(b, "a/b/y", "333");
    assert_tree(b, ".trash", "a/ a/b/ a/b/x a/b/x (2) a/b/y ");
}

static void a_folder_has_its_name_before_a_file(void **state) {
    struct bin *b = *state;
    bin_deleted(b, "thing", "a file");
    assert_tree(b, ".trash", "thing ");
    bin_mkdir(b, "thing");
    bin_deleted(b, "thing/x", "below");
    assert_tree(b, ".trash", "thing/ thing/x thing (2) ");
    assert_true(bin_shows(b, ".trash/thing/x"));
}

static void a_renamed_folder_takes_its_part_of_the_bin_along(void **state) {
    struct bin *b = *state;
    bin_mkdir(b, "a");
    bin_mkdir(b, "a/b");
    bin_mkdir(b, "c");
    bin_deleted(b, "a/b/x", "1");
    bin_deleted(b, "a/y", "2");
    assert_tree(b, ".trash", "a/ a/b/ a/b/x a/y ");
    bin_rename(b, "a/b", "c/d");
    assert_tree(b, ".trash", "a/ a/y c/ c/d/ c/d/x ");
    bin_rename(b, "a", "z");
    assert_tree(b, ".trash", "c/ c/d/ c/d/x z/ z/y ");
    assert_false(bin_shows(b, ".trash/a"));
}

static void a_folder_that_comes_back_beside_its_name_takes_the_rest_along(void **state) {
    struct bin *b = *state;
    struct ms_node node;
    bin_mkdir(b, "a");
    bin_deleted(b, "a/x", "1");
    bin_deleted(b, "a/y", "2");
    bin_rmdir(b, "a");
    bin_file(b, "a", "a file has the name now");
    assert_tree(b, ".trash", "a/ a/x a/y ");
    assert_ok(bin_look(b, ".trash/a/x", &node, &test_err));
    struct ms_asset_event e = {.id = {node.inode.asset}, .event = MS_EVENT_RESTORE};
    assert_ok(ms_asset_apply(b->w->svc, &b->w->ctx, &e, NULL, &test_err));
    bin_check(b, "a (2)/x", "1");
    assert_tree(b, ".trash", "a (2)/ a (2)/y ");
}

static void what_time_deletes_is_not_shown_swept_or_not(void **state) {
    struct bin *b = *state;
    bin_deleted(b, "files/x", "1");
    ms_clock_fake_advance(&b->w->clock, 1000);
    bin_deleted(b, "files/y", "2");
    ms_clock_fake_advance(&b->w->clock, MS_BIN_RETENTION_MS - 61000 - 1);
    assert_tree(b, ".trash", "files/ files/x files/y ");
    ms_clock_fake_advance(&b->w->clock, 1);
    assert_tree(b, ".trash", "files/ files/y ");
    assert_false(bin_shows(b, ".trash/files/x"));
    ms_clock_fake_advance(&b->w->clock, 61000);
    assert_tree(b, ".trash", "files/ "); /* until it is swept */
    assert_ok(bin_drop_folder(b, ".trash/files", &test_err));
}

static void a_whole_reading_gives_the_same_tree_and_the_same_names(void **state) {
    struct bin *b = *state;
    bin_deleted(b, "files/x", "1");
    bin_deleted(b, "files/x", "2");
    bin_deleted(b, "files/x", "3");
    assert_tree(b, ".trash", "files/ files/x files/x (2) files/x (3) ");
    assert_ok(bin_purge(b, ".trash/files/x", &test_err));
    b->vt->at = 0; /* as if the feed had run away */
    assert_tree(b, ".trash", "files/ files/x (2) files/x (3) ");
    uint64_t ino = bin_ino(b, ".trash/files");
    struct ms_vtree *other;
    assert_ok(ms_vtree_new(b->w->svc, b->w->ctx.tenant, b->w->tenant.root_ino, &other, &test_err));
    struct ms_vtree *mine = b->vt;
    b->vt = other;
    assert_tree(b, ".trash", "files/ files/x files/x (2) "); /* another mount numbers for itself */
    assert_int_equal(bin_ino(b, ".trash/files"), ino);
    b->vt = mine;
    ms_vtree_free(other);
}

static void numbers_are_told_apart(void **state) {
    struct bin *b = *state;
    uint64_t first = ms_vtree_number(b->vt, 12345);
    struct ms_vnode *node = calloc(1, sizeof *node);
    assert_non_null(node);
    *node = (struct ms_vnode){.kind = MS_V_ASSET, .ino = first, .lookups = 1};
    assert_ok(ms_vmap_add(&b->vt->numbers, &node->link, first, &test_err));
    uint64_t second = ms_vtree_number(b->vt, 12345);
    assert_true(ms_vtree_is(first) && ms_vtree_is(second));
    assert_int_not_equal(first, second);
    ms_vtree_forget(b->vt, first, 1);
    assert_int_equal(ms_vtree_number(b->vt, 12345), first);
    assert_int_not_equal(bin_ino(b, ".trash"), bin_ino(b, ".msasset"));
}

static void many_files_in_one_folder_are_listed_once_each(void **state) {
    struct bin *b = *state;
    char path[64];
    const unsigned count = 300;
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "files/f%u", i);
        bin_deleted(b, path, "x");
    }
    for (unsigned i = 0; i < count; i += 2) {
        (void)snprintf(path, sizeof path, ".trash/files/f%u", i);
        assert_ok(bin_purge(b, path, &test_err));
    }
    char *tree = bin_tree(b, ".trash"), *p = tree;
    unsigned seen = 0;
    while ((p = strchr(p, ' ')) != NULL) {
        seen++;
        p++;
    }
    free(tree);
    assert_int_equal(seen, 1 + count / 2);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, bin_setup, bin_teardown)
    const struct CMUnitTest tests[] = {
        T(the_root_has_two_folders_more),
        T(a_deleted_file_is_where_it_was),
        T(its_bytes_can_be_read_and_not_written),
        T(its_attributes_and_links_are_refused),
        T(files_of_one_path_are_numbered_and_keep_their_numbers),
        T(a_name_like_a_numbered_one_is_no_trouble),
        T(spellings_of_one_name_are_one_name),
        T(removed_folders_are_there_and_those_of_one_path_are_one),
        T(a_folder_has_its_name_before_a_file),
        T(a_renamed_folder_takes_its_part_of_the_bin_along),
        T(a_folder_that_comes_back_beside_its_name_takes_the_rest_along),
        T(what_time_deletes_is_not_shown_swept_or_not),
        T(a_whole_reading_gives_the_same_tree_and_the_same_names),
        T(numbers_are_told_apart),
        T(many_files_in_one_folder_are_listed_once_each),
    };
    return cmocka_run_group_tests_name("vtree names", tests, NULL, NULL);
}
