/* A store's folder: made, taken up again, refused, opened, closed. With the real metadata and
 * object stores. */
#include "support/test.h"

#include "service/service.h"
#include "service/tenant.h"
#include "service/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct home {
    char *top, *dir; /* dir does not exist yet */
};

static int home_setup(void **state) {
    struct home *h = calloc(1, sizeof *h);
    assert_non_null(h);
    h->top = ms_test_tmpdir_new();
    h->dir = ms_test_path(h->top, "store");
    *state = h;
    return 0;
}

static int home_teardown(void **state) {
    struct home *h = *state;
    ms_test_tmpdir_remove(h->top);
    free(h->dir);
    free(h);
    return 0;
}

static struct ms_svc_options options(const struct home *h) {
    return (struct ms_svc_options){
        .dir = h->dir, .label = "test", .engine_threads = 2, .cache_bytes = MS_MB};
}

static bool there(const struct home *h, const char *name) {
    char *path = ms_test_path(h->dir, name);
    struct stat st;
    bool is = lstat(path, &st) == 0;
    free(path);
    return is;
}

static void write_in(const struct home *h, const char *name, const char *text) {
    char *path = ms_test_path(h->dir, name);
    ms_test_write_file(path, text, strlen(text));
    free(path);
}

static void remove_in(const struct home *h, const char *name) {
    char *path = ms_test_path(h->dir, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static void a_new_store_opens_with_its_settings(void **state) {
    struct home *h = *state;
    struct ms_svc_options o = options(h);
    struct ms_svc *svc;
    struct ms_tenant_options t = {.name = "t1", .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record tenant;
    char url[4200], journal[100];
    o.free_bytes = 12345;
    o.retention_ms = 777;
    assert_ok(ms_svc_init(&o, &test_err));
    assert_true(there(h, "msasset.store") && there(h, "meta") && there(h, "journal") &&
                there(h, "objects"));
    assert_false(there(h, "msasset.store.new"));
    assert_ok(ms_svc_open(&o, &svc, &test_err));
    snprintf(url, sizeof url, "dir:%s/objects", h->dir);
    assert_string_equal(svc->object_url, url);
    assert_string_equal(svc->dir, h->dir);
    snprintf(journal, sizeof journal, "journal/%s", ms_id_text(ms_store_instance(svc->store).id).s);
    assert_true(there(h, journal));
    assert_ok(ms_tenant_add(svc, "root@cli", &t, &tenant, &test_err));
    assert_int_equal(tenant.free_bytes, 12345);
    assert_int_equal(tenant.retention_ms, 777);
    ms_svc_close(svc);
    assert_false(there(h, journal));
    assert_ok(ms_svc_open(&o, &svc, &test_err)); /* what was made is there */
    assert_ok(ms_tenant_find(svc, "t1", &tenant, &test_err));
    ms_svc_close(svc);
    ms_svc_close(NULL);
}

static void a_store_is_made_once(void **state) {
    struct home *h = *state;
    struct ms_svc_options o = options(h);
    o.object_url = "mem:";
    assert_ok(ms_svc_init(&o, &test_err));
    assert_code(ms_svc_init(&o, &test_err), MS_EXISTS);
    assert_non_null(strstr(test_err.message, h->dir));
}

static void bad_options_are_refused(void **state) {
    struct home *h = *state;
    struct ms_svc_options o = options(h);
    struct ms_svc *svc;
    o.dir = "store";
    assert_code(ms_svc_init(&o, &test_err), MS_INVALID);
    assert_code(ms_svc_open(&o, &svc, &test_err), MS_INVALID);
    o = options(h);
    o.retention_ms = -1;
    assert_code(ms_svc_init(&o, &test_err), MS_RANGE);
    o = options(h);
    o.free_bytes = UINT64_MAX;
    assert_code(ms_svc_init(&o, &test_err), MS_RANGE);
    o = options(h);
    o.read_only = true;
    assert_code(ms_svc_init(&o, &test_err), MS_READ_ONLY);
    assert_code(ms_svc_open(&o, &svc, &test_err), MS_NOT_FOUND);
    assert_int_equal(access(h->dir, F_OK), -1); /* none of them left anything */
}

static void other_peoples_folders_are_left_alone(void **state) {
    struct home *h = *state;
    struct ms_svc_options o = options(h);
    struct ms_svc *svc;
    assert_int_equal(mkdir(h->dir, 0700), 0);
    write_in(h, "thesis.doc", "x");
    assert_code(ms_svc_init(&o, &test_err), MS_FOREIGN);
    assert_non_null(strstr(test_err.message, "thesis.doc"));
    assert_false(there(h, "run") || there(h, "meta"));
    assert_code(ms_svc_open(&o, &svc, &test_err), MS_NOT_FOUND);
    remove_in(h, "thesis.doc");
    write_in(h, "msasset.store", "something else\n");
    assert_code(ms_svc_init(&o, &test_err), MS_FOREIGN);
    assert_code(ms_svc_open(&o, &svc, &test_err), MS_FOREIGN);
}

static void an_init_that_was_cut_short_is_taken_up_again(void **state) {
    struct home *h = *state;
    struct ms_svc_options o = options(h);
    struct ms_svc *svc;
    assert_int_equal(mkdir(h->dir, 0700), 0);
    char *run = ms_test_path(h->dir, "run");
    assert_int_equal(mkdir(run, 0770), 0); /* cut before anything stood */
    free(run);
    assert_ok(ms_svc_init(&o, &test_err));
    remove_in(h, "msasset.store"); /* cut before the marker */
    write_in(h, "msasset.store.new", "This folder is");
    assert_code(ms_svc_open(&o, &svc, &test_err), MS_NOT_FOUND);
    assert_non_null(strstr(test_err.message, "init"));
    o.free_bytes = 99;
    assert_ok(ms_svc_init(&o, &test_err));
    assert_ok(ms_svc_open(&o, &svc, &test_err));
    ms_svc_close(svc);
    assert_code(ms_svc_init(&o, &test_err), MS_EXISTS);
}

static void two_inits_do_not_mix(void **state) {
    struct home *h = *state;
    struct ms_svc_options o = options(h);
    assert_int_equal(mkdir(h->dir, 0700), 0);
    char *run = ms_test_path(h->dir, "run");
    assert_int_equal(mkdir(run, 0770), 0);
    int fd = open(run, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_code(ms_svc_init(&o, &test_err), MS_BUSY);
    close(fd);
    free(run);
    assert_ok(ms_svc_init(&o, &test_err));
}

static void markers_are_believed_only_when_they_fit(void **state) {
    struct home *h = *state;
    struct ms_svc_options o = options(h);
    struct ms_svc *svc;
    static const char head[] =
        "This folder is a store of msasset. Do not change anything in it by hand.\n";
    static const struct {
        const char *text;
        enum ms_code code;
    } rows[] = {
        {"format 2\nstore 00112233445566778899aabbccddeeff\n", MS_NEWER_FORMAT},
        {"format 1\nstore 00112233445566778899aabbccddeeff\n", MS_FOREIGN}, /* of another store */
        {"format 1\nstore xyz\n", MS_CORRUPT},
        {"format 1\n", MS_CORRUPT},
        {"format one\nstore 00112233445566778899aabbccddeeff\n", MS_CORRUPT},
        {"", MS_FOREIGN},
    };
    assert_ok(ms_svc_init(&o, &test_err));
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        char text[300];
        snprintf(text, sizeof text, "%s%s", head, rows[i].text);
        write_in(h, "msasset.store", text);
        assert_code(ms_svc_open(&o, &svc, &test_err), rows[i].code);
    }
}

static void a_store_open_read_only_is_only_read(void **state) {
    struct home *h = *state;
    struct ms_svc_options o = options(h);
    struct ms_svc *svc;
    struct ms_tenant_options t = {.name = "t1", .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record tenant, *list;
    struct ms_ctx ctx = {.who = "test"};
    struct ms_node node;
    size_t n;
    assert_ok(ms_svc_init(&o, &test_err));
    assert_ok(ms_svc_open(&o, &svc, &test_err));
    assert_ok(ms_tenant_add(svc, "root@cli", &t, &tenant, &test_err));
    ms_svc_close(svc);
    o.read_only = true;
    assert_ok(ms_svc_open(&o, &svc, &test_err));
    assert_ok(ms_tenant_list(svc, &list, &n, &test_err));
    assert_int_equal(n, 1);
    free(list);
    ctx.tenant.id = tenant.id;
    assert_ok(ms_tree_walk(svc, &ctx, "/videos", &node, &test_err));
    t.name = "t2";
    assert_code(ms_tenant_add(svc, "root@cli", &t, &tenant, &test_err), MS_READ_ONLY);
    struct ms_make make = {.parent = node.inode.ino, .name = "a", .mode = S_IFREG | 0644};
    struct ms_made made;
    assert_code(ms_tree_make(svc, &ctx, &make, &made, &test_err), MS_READ_ONLY);
    ms_svc_close(svc);
}

static void a_folder_that_cannot_be_written_is_told(void **state) {
    struct home *h = *state;
    struct ms_svc_options o = options(h);
    uid_t me = geteuid();
    assert_int_equal(mkdir(h->dir, 0555), 0);
    if (me == 0) /* root may write anywhere: be nobody meanwhile */
        assert_int_equal(seteuid(65534), 0);
    enum ms_code code = ms_svc_init(&o, &test_err);
    assert_int_equal(seteuid(me), 0);
    assert_int_not_equal(code, MS_OK);
    assert_non_null(strstr(test_err.message, h->dir));
}

#define HOME(test) cmocka_unit_test_setup_teardown(test, home_setup, home_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        HOME(a_new_store_opens_with_its_settings),
        HOME(a_store_is_made_once),
        HOME(bad_options_are_refused),
        HOME(other_peoples_folders_are_left_alone),
        HOME(an_init_that_was_cut_short_is_taken_up_again),
        HOME(two_inits_do_not_mix),
        HOME(markers_are_believed_only_when_they_fit),
        HOME(a_store_open_read_only_is_only_read),
        HOME(a_folder_that_cannot_be_written_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
