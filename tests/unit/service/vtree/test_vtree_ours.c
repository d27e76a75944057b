/* .msasset/: what it lists, and that its texts are what the commands print. */
#include "bin.h"

#include "service/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static json_t *parse(struct bin *b, const char *path) {
    struct ms_buf text = bin_text(b, path);
    json_t *value = json_loads((const char *)text.data, JSON_REJECT_DUPLICATES, NULL);
    ms_buf_fini(&text);
    assert_non_null(value);
    return value;
}

static void id_path(struct bin *b, const char *file, const char *rest, char ret_path[512]) {
    struct ms_node node;
    assert_ok(ms_tree_walk(b->w->svc, &b->w->ctx, file, &node, &test_err));
    (void)snprintf(ret_path, 512, ".msasset/assets/%s%s", ms_id_text(node.inode.asset).s, rest);
}

static void it_lists_texts_and_assets(void **state) {
    struct bin *b = *state;
    char want[512], path[512];
    assert_tree(b, ".msasset", "usage.json pending.json stats assets/ ");
    bin_file(b, "files/x.txt", "bytes");
    id_path(b, "files/x.txt", "", path);
    const char *id = strrchr(path, '/') + 1;
    (void)snprintf(want, sizeof want, "%s/ %s/asset.json %s/MAIN/ %s/MAIN/x.txt ", id, id, id, id);
    assert_tree(b, ".msasset/assets", want);
}

static void many_assets_are_listed_once_each(void **state) {
    struct bin *b = *state;
    struct ms_node nodes[7];
    uint64_t dir = bin_ino(b, ".msasset/assets"), after = 0;
    size_t n, seen = 0;
    char path[64];
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(path, sizeof path, "files/%u", i);
        write_file(b->w, path, "x", 1);
    }
    do {
        assert_ok(ms_vtree_list(b->vt, &b->w->ctx, dir, after, false, nodes, 7, &n, &test_err));
        for (size_t i = 0; i < n; i++) {
            assert_true(nodes[i].seq > after && nodes[i].seq <= INT64_MAX);
            after = nodes[i].seq;
        }
        seen += n;
    } while (n > 0);
    assert_int_equal(seen, 50);
}

static void usage_is_the_quota(void **state) {
    struct bin *b = *state;
    bin_file(b, "files/x", "12345");
    bin_deleted(b, "files/y", "123");
    struct ms_quota_info info = quota_of(b->w);
    json_t *want = ms_show_quota(&info), *got = parse(b, ".msasset/usage.json");
    bool same = json_equal(want, got);
    json_decref(want);
    json_decref(got);
    assert_true(same);
}

static void asset_json_is_the_asset_and_its_files(void **state) {
    struct bin *b = *state;
    struct ms_asset_info info;
    char path[512];
    bin_file(b, "files/x\"\\.txt", "bytes"); /* what JSON must escape */
    id_path(b, "files/x\"\\.txt", "/asset.json", path);
    assert_ok(ms_asset_find(b->w->svc, &b->w->ctx, "files/x\"\\.txt", &info, &test_err));
    json_t *want = ms_show_asset(&info), *got = parse(b, path);
    json_t *files = json_incref(json_object_get(got, "files"));
    (void)json_object_del(got, "files");
    bool same = json_equal(want, got);
    bool one = json_array_size(files) == 1;
    json_decref(want);
    json_decref(got);
    json_decref(files);
    assert_true(same && one);
}

static void a_size_is_that_of_the_text(void **state) {
    struct bin *b = *state;
    static const char *const names[] = {"usage.json", "pending.json"};
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++) {
        char path[64];
        struct ms_node node;
        (void)snprintf(path, sizeof path, ".msasset/%s", names[i]);
        assert_ok(bin_look(b, path, &node, &test_err));
        struct ms_buf text = bin_text(b, path);
        size_t len = text.len;
        ms_buf_fini(&text);
        assert_int_equal(node.inode.size, len);
        assert_int_equal(node.inode.mode, S_IFREG | 0444);
    }
}

static void stats_are_names_and_numbers(void **state) {
    struct bin *b = *state;
    struct ms_buf text = bin_text(b, ".msasset/stats");
    char copy[2048];
    (void)snprintf(copy, sizeof copy, "%s", (const char *)text.data);
    ms_buf_fini(&text);
    unsigned lines = 0;
    for (char *line = copy, *end; *line; line = end + 1, lines++) {
        end = strchr(line, '\n');
        assert_non_null(end);
        size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
        assert_true(name > 0 && line[name] == ' ');
        size_t digits = strspn(line + name + 1, "0123456789");
        assert_true(digits > 0 && line + name + 1 + digits == end);
    }
    assert_true(lines >= 16);
    assert_non_null(strstr(copy, "\ncache_bytes_max 16777216\n"));
}

static json_t *pending_of(struct bin *b) {
    json_t *all = parse(b, ".msasset/pending.json");
    json_t *files = json_incref(json_object_get(all, "files"));
    json_decref(all);
    return files;
}

static void a_file_that_is_being_written_is_pending(void **state) {
    struct bin *b = *state;
    char bytes[100000] = "";
    struct ms_handle *h = make_file(b->w, "files/new"), *over;
    put_bytes(h, 0, bytes, sizeof bytes);
    write_file(b->w, "files/old", "bytes", 5);
    over = open_file(b->w, "files/old", 'w');
    put_bytes(over, 0, bytes, sizeof bytes);
    assert_ok(sync_file(over, &test_err));
    json_t *files = pending_of(b);
    bool two = json_array_size(files) == 2;
    json_t *first = json_array_get(files, 0), *second = json_array_get(files, 1);
    char kinds[64], paths[64];
    (void)snprintf(kinds, sizeof kinds, "%s %s", json_string_value(json_object_get(first, "kind")),
                   json_string_value(json_object_get(second, "kind")));
    (void)snprintf(paths, sizeof paths, "%s %s", json_string_value(json_object_get(first, "path")),
                   json_string_value(json_object_get(second, "path")));
    bool fsynced = json_is_false(json_object_get(first, "fsynced")) &&
                   json_is_true(json_object_get(second, "fsynced"));
    bool leased = json_integer_value(json_object_get(first, "leased_bytes")) >= 100000;
    json_decref(files);
    seal_file(h);
    seal_file(over);
    assert_true(two && fsynced && leased);
    assert_string_equal(kinds, "NEW_FILE OVERWRITE");
    assert_string_equal(paths, "/files/new /files/old");
    files = pending_of(b);
    size_t left = json_array_size(files);
    json_decref(files);
    assert_int_equal(left, 0);
}

static void pending_files_of_others_are_not_shown(void **state) {
    struct bin *b = *state;
    struct ms_tenant_options options = {.name = "t2", .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record other;
    struct ms_vtree *theirs, *mine = b->vt;
    assert_ok(ms_tenant_add(b->w->svc, "root@test", &options, &other, &test_err));
    struct ms_handle *h = make_file(b->w, "files/new");
    put_bytes(h, 0, "x", 1);
    assert_ok(ms_vtree_new(b->w->svc, (struct ms_tenant_id){other.id}, other.root_ino, &theirs,
                           &test_err));
    struct ms_tenant_record own = b->w->tenant;
    b->vt = theirs;
    b->w->ctx.tenant.id = other.id;
    b->w->tenant = other;
    json_t *files = pending_of(b);
    size_t n = json_array_size(files);
    json_decref(files);
    b->vt = mine;
    b->w->ctx.tenant.id = own.id;
    b->w->tenant = own;
    ms_vtree_free(theirs);
    seal_file(h);
    assert_int_equal(n, 0);
}

static void an_assets_file_is_its_inode_read_only(void **state) {
    struct bin *b = *state;
    struct ms_node node;
    struct ms_buf text = {0};
    char path[512];
    uint64_t ino = 0;
    bin_file(b, "files/x.txt", "bytes");
    id_path(b, "files/x.txt", "/MAIN/x.txt", path);
    assert_ok(bin_look(b, path, &node, &test_err));
    assert_true(ms_vtree_is(node.inode.ino));
    assert_int_equal(node.inode.size, 5);
    assert_int_equal(node.inode.mode, S_IFREG | 0444);
    assert_int_equal(node.inode.uid, 1000);
    assert_ok(ms_vtree_open(b->vt, &b->w->ctx, node.inode.ino, false, &text, &ino, &test_err));
    assert_int_equal(ino, ino_of(b->w, "files/x.txt"));
    assert_code(ms_vtree_open(b->vt, &b->w->ctx, node.inode.ino, true, &text, &ino, &test_err),
                MS_READ_ONLY);
    ms_vtree_forget(b->vt, node.inode.ino, 1);
    assert_code(ms_vtree_node(b->vt, &b->w->ctx, node.inode.ino, &node, &test_err), MS_STALE);
    bin_unlink(b, "files/x.txt"); /* in the bin its bytes lie behind another inode */
    assert_ok(bin_look(b, path, &node, &test_err));
    assert_ok(ms_vtree_open(b->vt, &b->w->ctx, node.inode.ino, false, &text, &ino, &test_err));
    assert_int_equal(ino, bin_ino(b, ".trash/files/x.txt"));
    assert_ok(bin_purge(b, ".trash/files/x.txt", &test_err));
    assert_code(ms_vtree_open(b->vt, &b->w->ctx, node.inode.ino, false, &text, &ino, &test_err),
                MS_NOT_FOUND);
    ms_vtree_forget(b->vt, node.inode.ino, 1);
}

static void an_id_has_one_spelling_and_one_owner(void **state) {
    struct bin *b = *state;
    struct ms_node node;
    char path[512];
    bin_file(b, "files/x", "bytes");
    id_path(b, "files/x", "", path);
    assert_ok(bin_look(b, path, &node, &test_err));
    assert_int_equal(node.inode.parent, bin_ino(b, ".msasset/assets"));
    ms_vtree_forget(b->vt, node.inode.ino, 1);
    for (char *p = strrchr(path, '/'); *p; p++)
        if (*p >= 'a' && *p <= 'f')
            *p = (char)(*p - 'a' + 'A');
    assert_code(bin_look(b, path, &node, &test_err), MS_NOT_FOUND);
    assert_code(bin_look(b, ".msasset/assets/0123456789abcdef0123456789abcdef", &node, &test_err),
                MS_NOT_FOUND);
    assert_code(bin_look(b, ".msasset/assets/x", &node, &test_err), MS_NOT_FOUND);
    assert_code(bin_look(b, ".msasset/nothing", &node, &test_err), MS_NOT_FOUND);
    assert_code(bin_look(b, ".msasset/stats/x", &node, &test_err), MS_NOT_DIR);
}

static void the_time_of_a_text_moves_with_changes_only(void **state) {
    struct bin *b = *state;
    struct ms_node first, second, third;
    assert_ok(bin_look(b, ".msasset/usage.json", &first, &test_err));
    ms_clock_fake_advance(&b->w->clock, 5000);
    assert_ok(bin_look(b, ".msasset/usage.json", &second, &test_err));
    assert_int_equal(first.inode.mtime_s, second.inode.mtime_s);
    write_file(b->w, "files/x", "bytes", 5);
    assert_ok(bin_look(b, ".msasset/usage.json", &third, &test_err));
    assert_int_equal(third.inode.mtime_s, first.inode.mtime_s + 5);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, bin_setup, bin_teardown)
    const struct CMUnitTest tests[] = {
        T(it_lists_texts_and_assets),
        T(many_assets_are_listed_once_each),
        T(usage_is_the_quota),
        T(asset_json_is_the_asset_and_its_files),
        T(a_size_is_that_of_the_text),
        T(stats_are_names_and_numbers),
        T(a_file_that_is_being_written_is_pending),
        T(pending_files_of_others_are_not_shown),
        T(an_assets_file_is_its_inode_read_only),
        T(an_id_has_one_spelling_and_one_owner),
        T(the_time_of_a_text_moves_with_changes_only),
    };
    return cmocka_run_group_tests_name("vtree .msasset", tests, NULL, NULL);
}
