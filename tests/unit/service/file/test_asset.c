/* Assets as commands see them: put, get, find, list, and the events of the life cycle. */
#include "world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint8_t bytes[20 * 1024 * 1024];
static struct ms_asset_info info;

static int local_file(struct world *w, const char *name, const void *p, size_t n) {
    char *path = ms_test_path(w->tmp, name);
    int fd;

    ms_test_write_file(path, p, n);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    assert_true(fd >= 0);
    return fd;
}

static enum ms_code put_as(struct world *w, const char *path, size_t n, bool replace,
                           struct ms_error *reterr) {
    int fd = local_file(w, "in", bytes, n);
    const struct ms_put put = {
        .fd = fd, .path = path, .mode = 0640, .replace = replace, .mtime = {.tv_sec = 99}};
    enum ms_code code = ms_asset_put(w->svc, &w->ctx, &put, &info, reterr);

    close(fd);
    return code;
}

static enum ms_code event_as(struct world *w, const struct ms_ctx *ctx, struct ms_asset_id id,
                             enum ms_event event, struct ms_error *reterr) {
    const struct ms_asset_event e = {
        .id = id, .event = event, .why = "a test", .reason_code = "T1"};

    return ms_asset_apply(w->svc, ctx, &e, &info, reterr);
}

static void put_and_fetch_are_the_same_bytes(void **state) {
    struct world *w = *state;
    char *path = ms_test_path(w->tmp, "out"), *got;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    size_t n;

    fill_like(bytes, sizeof bytes, "mp4");
    for (size_t i = 64; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 >> 3);
    assert_ok(put_as(w, "videos/a.mp4", sizeof bytes - 7, false, &test_err));
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    assert_int_equal(info.size, sizeof bytes - 7);
    assert_string_equal(info.path, "/videos/a.mp4");
    const struct ms_get get = {.id = {info.asset.id}, .fd = fd};
    assert_ok(ms_asset_fetch(w->svc, &w->ctx, &get, &test_err));
    close(fd);
    got = ms_test_read_file(path, &n);
    assert_int_equal(n, sizeof bytes - 7);
    assert_memory_equal(got, bytes, n);
    free(got);
    free(path);
    check_settled(w);
}

static void put_sets_the_time_and_refuses_or_replaces_what_is_there(void **state) {
    struct world *w = *state;
    struct ms_asset_id id;
    struct ms_node node;

    fill_like(bytes, 1000, "txt");
    assert_ok(put_as(w, "/files/a.txt", 1000, false, &test_err));
    id.id = info.asset.id;
    assert_ok(ms_tree_walk(w->svc, &w->ctx, "/files/a.txt", &node, &test_err));
    assert_int_equal(node.inode.mtime_s, 99);
    assert_code(put_as(w, "/files/a.txt", 500, false, &test_err), MS_EXISTS);
    assert_ok(put_as(w, "/files/a.txt", 500, true, &test_err));
    assert_memory_equal(&info.asset.id, &id.id, sizeof id.id);
    assert_int_equal(info.size, 500);
    assert_code(put_as(w, "/nowhere/a.txt", 500, false, &test_err), MS_NOT_FOUND);
    assert_code(put_as(w, "/files", 500, true, &test_err), MS_IS_DIR);
    check_settled(w);
}

static void a_put_over_the_quota_leaves_nothing(void **state) {
    struct world *w = *state;
    struct ms_node node;

    fill_like(bytes, 1000, "txt");
    assert_ok(put_as(w, "/files/old.txt", 1000, false, &test_err));
    assert_ok(ms_tenant_set_quota(w->svc, &w->admin, 5000, &test_err));
    assert_code(put_as(w, "/files/new.txt", 10000, false, &test_err), MS_QUOTA);
    assert_code(ms_tree_walk(w->svc, &w->ctx, "/files/new.txt", &node, &test_err), MS_NOT_FOUND);
    assert_code(put_as(w, "/files/old.txt", 10000, true, &test_err), MS_QUOTA);
    check_file(w, "/files/old.txt", bytes, 1000);
    check_settled(w);
}

/* The answer to the last request is lost: the release sends it again. Whole and well, or failed and nothing there. */
static void a_put_that_fails_leaves_nothing_and_one_that_does_not_says_so(void **state) {
    struct world *w = *state;
    struct ms_node node;

    fill_like(bytes, 1000, "txt");
    gate_refuse_once(w, MS_OBJ_PUT, MS_PROTOCOL);
    assert_ok(put_as(w, "/files/a.txt", 1000, false, &test_err));
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    check_file(w, "/files/a.txt", bytes, 1000);
    gate_refuse_once(w, MS_OBJ_MP_COMPLETE, MS_PROTOCOL);
    assert_ok(put_as(w, "/files/b.bin", 9 * 1024 * 1024, false, &test_err));
    gate_refuse_once(w, MS_OBJ_PUT, MS_UNAVAILABLE);
    assert_ok(put_as(w, "/files/a.txt", 500, true, &test_err));
    check_file(w, "/files/a.txt", bytes, 500);
    gate_refuse_key(w, MS_OBJ_PUT, "", MS_UNAVAILABLE);
    assert_code(put_as(w, "/files/c.txt", 1000, false, &test_err), MS_UNAVAILABLE);
    assert_code(put_as(w, "/files/a.txt", 700, true, &test_err), MS_UNAVAILABLE);
    gate_refuse(w, MS_OK);
    assert_code(ms_tree_walk(w->svc, &w->ctx, "/files/c.txt", &node, &test_err), MS_NOT_FOUND);
    check_file(w, "/files/a.txt", bytes, 500);
    /* a broken rule stays an error, although the file is there with its reason */
    memset(bytes, 'x', 2000);
    assert_code(put_as(w, "/videos/text.mp4", 2000, false, &test_err), MS_WRONG_KIND);
    assert_ok(ms_tree_walk(w->svc, &w->ctx, "/videos/text.mp4", &node, &test_err));
    check_settled(w);
}

struct patience {
    unsigned asked, limit;
};
static bool lose_patience(void *priv, uint64_t done, uint64_t total) {
    struct patience *patience = priv;

    (void)done, (void)total;
    return ++patience->asked < patience->limit;
}

static void a_put_can_be_cancelled_while_it_copies_and_while_it_sends(void **state) {
    struct world *w = *state;
    struct ms_node node;

    for (unsigned round = 0; round < 2; round++) {
        struct patience patience = {.limit =
                                        round == 0 ? 3 : 25}; /* asked once a MiB, then a tick */
        int fd = local_file(w, "in", bytes, sizeof bytes);
        const struct ms_put put = {.fd = fd,
                                   .path = "/files/a",
                                   .mode = 0644,
                                   .progress = lose_patience,
                                   .priv = &patience};

        gate_hold(w); /* the store takes nothing */
        assert_code(ms_asset_put(w->svc, &w->ctx, &put, &info, &test_err), MS_CANCELLED);
        gate_release(w);
        assert_code(ms_tree_walk(w->svc, &w->ctx, "/files/a", &node, &test_err), MS_NOT_FOUND);
        close(fd);
    }
    check_settled(w);
}

static void a_cancelled_replacement_leaves_the_old_bytes(void **state) {
    struct world *w = *state;
    struct patience patience = {.limit = 3};
    int fd = local_file(w, "in", bytes, sizeof bytes);
    const struct ms_put put = {.fd = fd,
                               .path = "/files/a",
                               .replace = true,
                               .progress = lose_patience,
                               .priv = &patience};

    write_file(w, "/files/a", "old", 3);
    gate_hold(w);
    assert_code(ms_asset_put(w->svc, &w->ctx, &put, &info, &test_err), MS_CANCELLED);
    gate_release(w);
    close(fd);
    check_file(w, "/files/a", "old", 3);
    check_settled(w);
}

static bool rises_to_the_end(void *priv, uint64_t done, uint64_t total) {
    uint64_t *last = priv;

    if (done < last[0] || done > total)
        last[1]++; /* wrong */
    last[0] = done;
    return true;
}

static void progress_rises_to_the_end(void **state) {
    struct world *w = *state;
    uint64_t last[2] = {0, 0};
    int fd = local_file(w, "in", bytes, sizeof bytes),
        out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    const struct ms_put put = {
        .fd = fd, .path = "/files/a", .mode = 0644, .progress = rises_to_the_end, .priv = last};

    assert_ok(ms_asset_put(w->svc, &w->ctx, &put, &info, &test_err));
    assert_int_equal(last[0], sizeof bytes);
    last[0] = 0;
    const struct ms_get get = {
        .id = {info.asset.id}, .fd = out, .progress = rises_to_the_end, .priv = last};
    assert_ok(ms_asset_fetch(w->svc, &w->ctx, &get, &test_err));
    assert_int_equal(last[0], sizeof bytes);
    assert_int_equal(last[1], 0);
    close(fd);
    close(out);
}

static void a_cancelled_fetch_ends(void **state) {
    struct world *w = *state;
    struct patience patience = {.limit = 3};
    int out = open("/dev/null", O_WRONLY | O_CLOEXEC);

    assert_ok(put_as(w, "/files/a", sizeof bytes, false, &test_err));
    const struct ms_get get = {
        .id = {info.asset.id}, .fd = out, .progress = lose_patience, .priv = &patience};
    assert_code(ms_asset_fetch(w->svc, &w->ctx, &get, &test_err), MS_CANCELLED);
    assert_int_equal(patience.asked, 3);
    close(out);
    check_settled(w);
}

static void find_takes_paths_and_ids(void **state) {
    struct world *w = *state;
    char id[MS_ID_TEXT_LEN + 1];

    fill_like(bytes, 1000, "txt");
    assert_ok(put_as(w, "/files/a.txt", 1000, false, &test_err));
    ms_id_format(info.asset.id, id);
    assert_ok(ms_asset_find(w->svc, &w->ctx, id, &info, &test_err));
    assert_string_equal(info.path, "/files/a.txt");
    assert_ok(ms_asset_find(w->svc, &w->ctx, "files/a.txt", &info, &test_err));
    assert_code(ms_asset_find(w->svc, &w->ctx, "/files", &info, &test_err), MS_NOT_FOUND);
    assert_code(
        ms_asset_find(w->svc, &w->ctx, "0123456789abcdef0123456789abcdef", &info, &test_err),
        MS_NOT_FOUND);
    assert_non_null(strstr(test_err.message, "neither"));
}

static void list_gives_pages_in_order_and_by_state(void **state) {
    struct world *w = *state;
    struct ms_asset_info *page = calloc(4, sizeof *page);
    struct ms_asset_id after = {{{0}}}, gone;
    unsigned seen = 0;
    size_t n = 1;

    assert_non_null(page);
    for (unsigned i = 0; i < 10; i++) {
        char path[32];

        (void)snprintf(path, sizeof path, "/files/f%u", i);
        write_file(w, path, "x", 1);
    }
    assert_ok(ms_asset_find(w->svc, &w->ctx, "/files/f3", &info, &test_err));
    gone.id = info.asset.id;
    assert_ok(event_as(w, &w->ctx, gone, MS_EVENT_DELETE, &test_err));
    assert_int_equal(info.state, MS_STATE_DELETING);
    assert_string_equal(info.path, "/files/f3"); /* where it was */
    for (; n > 0; seen += (unsigned)n) {
        assert_ok(ms_asset_list(w->svc, &w->ctx, after, 0, page, 4, &n, &test_err));
        for (size_t i = 0; i < n; i++) {
            assert_true(memcmp(after.id.b, page[i].asset.id.b, MS_ID_BYTES) < 0);
            after.id = page[i].asset.id;
        }
    }
    assert_int_equal(seen, 10);
    after = (struct ms_asset_id){{{0}}};
    assert_ok(
        ms_asset_list(w->svc, &w->ctx, after, 1u << MS_STATE_DELETING, page, 4, &n, &test_err));
    assert_int_equal(n, 1);
    assert_memory_equal(&page[0].asset.id, &gone.id, sizeof gone.id);
    free(page);
}

static void delete_and_restore_bring_it_back_with_missing_folders(void **state) {
    struct world *w = *state;
    struct ms_make make = {.parent = ino_of(w, "/files"), .name = "sub", .mode = S_IFDIR | 0755};
    struct ms_made made;
    struct ms_gone gone;
    struct ms_asset_id id;

    assert_ok(ms_tree_make(w->svc, &w->ctx, &make, &made, &test_err));
    write_file(w, "/files/sub/a", "kept", 4);
    assert_ok(ms_asset_find(w->svc, &w->ctx, "/files/sub/a", &info, &test_err));
    id.id = info.asset.id;
    assert_ok(event_as(w, &w->ctx, id, MS_EVENT_DELETE, &test_err));
    assert_ok(ms_tree_rmdir(w->svc, &w->ctx, make.parent, "sub", false, &gone, &test_err));
    assert_int_equal(quota_of(w).usage.binned_bytes, 4);
    assert_ok(event_as(w, &w->ctx, id, MS_EVENT_RESTORE, &test_err));
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    assert_string_equal(info.path, "/files/sub/a");
    check_file(w, "/files/sub/a", "kept", 4);
    assert_int_equal(quota_of(w).usage.binned_bytes, 0);
    check_settled(w);
}

static void restore_to_a_taken_name_is_refused_and_restore_to_works(void **state) {
    struct world *w = *state;
    struct ms_asset_event e = {.event = MS_EVENT_RESTORE};

    write_file(w, "/files/a", "first", 5);
    assert_ok(ms_asset_find(w->svc, &w->ctx, "/files/a", &info, &test_err));
    e.id.id = info.asset.id;
    assert_ok(event_as(w, &w->ctx, e.id, MS_EVENT_DELETE, &test_err));
    write_file(w, "/files/a", "second", 6);
    assert_code(event_as(w, &w->ctx, e.id, MS_EVENT_RESTORE, &test_err), MS_EXISTS);
    assert_non_null(strstr(test_err.message, "another path"));
    e.restore_to = "/files/deep/er/b";
    assert_ok(ms_asset_apply(w->svc, &w->ctx, &e, &info, &test_err));
    assert_string_equal(info.path, "/files/deep/er/b");
    check_file(w, "/files/deep/er/b", "first", 5);
    check_file(w, "/files/a", "second", 6);
    check_settled(w);
}

static void force_delete_frees_the_bytes_for_good(void **state) {
    struct world *w = *state;
    struct ms_asset_id id;

    write_file(w, "/files/a", "first", 5);
    assert_ok(ms_asset_find(w->svc, &w->ctx, "/files/a", &info, &test_err));
    id.id = info.asset.id;
    assert_ok(event_as(w, &w->ctx, id, MS_EVENT_FORCE_DELETE, &test_err));
    assert_int_equal(info.state, MS_STATE_DELETED);
    assert_int_equal(quota_of(w).metered, 0);
    assert_code(event_as(w, &w->ctx, id, MS_EVENT_RESTORE, &test_err), MS_NOT_FOUND);
    assert_code(ms_asset_get(w->svc, &w->ctx, id, &info, &test_err), MS_NOT_FOUND);
    check_settled(w);
}

static void freeze_reaches_open_handles_and_tells_why(void **state) {
    struct world *w = *state;
    struct ms_handle *a;
    struct ms_asset_id id;
    uint8_t byte;
    size_t n;

    write_file(w, "/files/a", "first", 5);
    a = open_file(w, "/files/a", 'w');
    assert_ok(ms_asset_find(w->svc, &w->ctx, "/files/a", &info, &test_err));
    id.id = info.asset.id;
    assert_code(event_as(w, &w->ctx, id, MS_EVENT_FREEZE, &test_err), MS_WRONG_STATE);
    assert_ok(event_as(w, &w->admin, id, MS_EVENT_FREEZE, &test_err));
    assert_int_equal(info.state, MS_STATE_BLOCK);
    assert_string_equal(info.asset.reason_code, "T1");
    assert_code(read_file(a, 0, 1, &byte, &n, &test_err), MS_NOT_READABLE);
    assert_non_null(strstr(test_err.message, "a test"));
    assert_code(ms_file_write(a, 0, "x", 1, &n, &test_err), MS_WRONG_STATE);
    assert_ok(event_as(w, &w->admin, id, MS_EVENT_UNFREEZE, &test_err));
    assert_string_equal(info.asset.reason, "");
    check_bytes(a, 0, "first", 5, true);
    seal_file(a);
    check_settled(w);
}

static void deleting_what_is_being_written_ends_it(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");
    struct ms_node node;
    struct ms_asset_id id;

    put_bytes(a, 0, "never", 5);
    assert_ok(ms_tree_walk(w->svc, &w->ctx, "/files/a", &node, &test_err));
    id.id = node.inode.asset;
    assert_ok(event_as(w, &w->ctx, id, MS_EVENT_DELETE, &test_err));
    assert_int_equal(info.state, MS_STATE_DELETED); /* nothing of it was ever sealed */
    seal_file(a);
    check_settled(w);
}

static void what_is_in_the_bin_can_be_fetched_but_not_written(void **state) {
    struct world *w = *state;
    struct ms_open open_write = {.write = true};
    struct ms_handle *handle;
    int out = open("/dev/null", O_WRONLY | O_CLOEXEC);

    write_file(w, "/files/a", "first", 5);
    assert_ok(ms_asset_find(w->svc, &w->ctx, "/files/a", &info, &test_err));
    assert_ok(
        event_as(w, &w->ctx, (struct ms_asset_id){info.asset.id}, MS_EVENT_DELETE, &test_err));
    const struct ms_get get = {.id = {info.asset.id}, .fd = out};
    assert_ok(ms_asset_fetch(w->svc, &w->ctx, &get, &test_err));
    open_write.ino = info.asset.ino;
    assert_code(ms_file_open(w->svc, &w->ctx, &open_write, &handle, &test_err), MS_WRONG_STATE);
    close(out);
    check_settled(w);
}

static void events_that_make_no_sense_are_refused(void **state) {
    struct world *w = *state;
    struct ms_asset_event e = {.event = MS_EVENT_EXPIRE};

    write_file(w, "/files/a", "first", 5);
    assert_ok(ms_asset_find(w->svc, &w->ctx, "/files/a", &info, &test_err));
    e.id.id = info.asset.id;
    assert_code(ms_asset_apply(w->svc, &w->ctx, &e, NULL, &test_err), MS_INVALID);
    e.event = MS_EVENT_RESTORE;
    assert_code(ms_asset_apply(w->svc, &w->ctx, &e, NULL, &test_err), MS_WRONG_STATE);
    e.event = MS_EVENT_SCHEDULE;
    assert_code(ms_asset_apply(w->svc, &w->ctx, &e, NULL, &test_err), MS_INVALID);
}

static void a_deadline_reaches_an_open_handle_at_its_instant(void **state) {
    struct world *w = *state;
    struct ms_asset_event e = {.event = MS_EVENT_SCHEDULE, .scheduled_op = MS_SCHEDULED_BLOCK};
    struct ms_handle *a;
    uint8_t byte;
    size_t n;

    write_file(w, "/files/a", "first", 5);
    assert_ok(ms_asset_find(w->svc, &w->ctx, "/files/a", &info, &test_err));
    e.id.id = info.asset.id;
    e.at = ms_instant_add_ms(ms_clock_now(&w->clock.clock), 60000);
    assert_ok(ms_asset_apply(w->svc, &w->ctx, &e, NULL, &test_err));
    a = open_file(w, "/files/a", 'r');
    ms_clock_fake_set(&w->clock, ms_instant_add_ms(e.at, -1));
    check_bytes(a, 0, "first", 5, true);
    ms_clock_fake_set(&w->clock, e.at); /* nobody has swept */
    assert_code(read_file(a, 0, 1, &byte, &n, &test_err), MS_NOT_READABLE);
    assert_ok(release_file(a, &test_err));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_mem, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(put_and_fetch_are_the_same_bytes),
        TEST(put_sets_the_time_and_refuses_or_replaces_what_is_there),
        TEST(a_put_over_the_quota_leaves_nothing),
        TEST(a_put_that_fails_leaves_nothing_and_one_that_does_not_says_so),
        TEST(a_put_can_be_cancelled_while_it_copies_and_while_it_sends),
        TEST(a_cancelled_replacement_leaves_the_old_bytes),
        TEST(progress_rises_to_the_end),
        TEST(a_cancelled_fetch_ends),
        TEST(find_takes_paths_and_ids),
        TEST(list_gives_pages_in_order_and_by_state),
        TEST(delete_and_restore_bring_it_back_with_missing_folders),
        TEST(restore_to_a_taken_name_is_refused_and_restore_to_works),
        TEST(force_delete_frees_the_bytes_for_good),
        TEST(freeze_reaches_open_handles_and_tells_why),
        TEST(deleting_what_is_being_written_ends_it),
        TEST(what_is_in_the_bin_can_be_fetched_but_not_written),
        TEST(events_that_make_no_sense_are_refused),
        TEST(a_deadline_reaches_an_open_handle_at_its_instant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
