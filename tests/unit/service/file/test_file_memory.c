/* Every allocation of a caller's thread is refused once: the call says so, and nothing stays
 * behind. */
#include "world.h"

#include "support/alloc.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void opening_and_reading(void **state) {
    struct world *w = *state;
    struct ms_open open = {.read = true, .write = true};
    struct ms_handle *a;
    uint8_t bytes[5];
    size_t n_read;

    write_file(w, "/files/a", "12345", 5);
    open.ino = ino_of(w, "/files/a");
    MS_TEST_TORTURE(ms_file_open(w->svc, &w->ctx, &open, &a, &test_err), seal_file(a));
    a = open_file(w, "/files/a", 'r');
    MS_TEST_TORTURE(read_file(a, 0, 5, bytes, &n_read, &test_err), assert_memory_equal(bytes, "12345", 5));
    seal_file(a);
    check_settled(w);
}

static void forget(struct world *w, struct ms_handle *a) {
    struct ms_gone gone;

    seal_file(a);
    assert_ok(ms_tree_unlink(w->svc, &w->ctx, ino_of(w, "/files"), "x", false, &gone, &test_err));
}

static void creating(void **state) {
    struct world *w = *state;
    const struct ms_make make = {
        .parent = ino_of(w, "/files"), .name = "x", .mode = S_IFREG | 0644};
    const struct ms_open open = {.read = true, .write = true};
    struct ms_handle *a;
    struct ms_node node;

    MS_TEST_TORTURE(ms_file_create(w->svc, &w->ctx, &make, &open, &node, &a, &test_err), forget(w, a));
    check_settled(w);
}

static void writing_and_closing(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");
    size_t done;

    MS_TEST_TORTURE(ms_file_write(a, 0, "12345", 5, &done, &test_err), assert_int_equal(done, 5));
    MS_TEST_TORTURE(ms_file_truncate(w->svc, &w->ctx, ms_file_ino(a), a, 3, &test_err), (void)0);
    MS_TEST_TORTURE(ms_file_allocate(a, 0, 0, 9, &test_err), (void)0);
    MS_TEST_TORTURE(sync_file(a, &test_err), (void)0);
    MS_TEST_TORTURE(flush_file(a, &test_err), (void)0);
    check_bytes(a, 0, "123\0\0\0\0\0\0", 9, true);
    put_bytes(a, 0, "x", 1);
    ms_test_alloc_fail_at(1); /* a release has what it needs */
    assert_int_equal(release_file(a, NULL), MS_OK);
    ms_test_alloc_stop();
    check_file(w, "/files/a", "x23\0\0\0\0\0\0", 9);
    check_settled(w);
}

static void commands(void **state) {
    static struct ms_asset_info info;
    struct world *w = *state;
    char *path = ms_test_path(w->tmp, "in");
    struct ms_put put = {.path = "/files/a", .mode = 0644, .replace = true};
    struct ms_get get;
    size_t n_listed;

    ms_test_write_file(path, "12345", 5);
    put.fd = open(path, O_RDONLY | O_CLOEXEC);
    MS_TEST_TORTURE((lseek(put.fd, 0, SEEK_SET), ms_asset_put(w->svc, &w->ctx, &put, &info, &test_err)),
            check_file(w, "/files/a", "12345", 5));
    close(put.fd);
    get = (struct ms_get){.id = {info.asset.id}, .fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    MS_TEST_TORTURE(ms_asset_fetch(w->svc, &w->ctx, &get, &test_err), (void)0);
    close(get.fd);
    MS_TEST_TORTURE(ms_asset_find(w->svc, &w->ctx, "/files/a", &info, &test_err), (void)0);
    MS_TEST_TORTURE(ms_asset_list(w->svc, &w->ctx, (struct ms_asset_id){{{0}}}, 0, &info, 1, &n_listed,
                          &test_err),
            assert_int_equal(n_listed, 1));
    check_settled(w);
    free(path);
}

/* It says whether everything was asked: who freezes relies on it. */
static void asking_again(void **state) {
    struct world *w = *state;
    struct ms_handle *a;
    write_file(w, "/files/a", "12345", 5);
    a = open_file(w, "/files/a", 'r');
    uint64_t ino = ino_of(w, "/files/a");
    for (unsigned n = 1; n == 1 || ms_test_alloc_failed(); n++) {
        bool asked, refused;
        ms_test_alloc_fail_at(n);
        asked = ms_file_revalidate(w->svc, w->ctx.tenant, n % 2 ? 0 : ino);
        refused = ms_test_alloc_stop();
        assert_true(asked || refused);
        assert_true(n > 1 || asked != refused); /* the list of what is open cannot be done without */
    }
    check_bytes(a, 0, "12345", 5, true);
    seal_file(a);
    check_settled(w);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_mem, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(opening_and_reading),
        TEST(creating),
        TEST(writing_and_closing),
        TEST(commands),
        TEST(asking_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
