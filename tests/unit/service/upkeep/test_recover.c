#include "stories.h"

#include "service/file_image.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what it says it did ----------------------------------------------------------------- */

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

/* ---- several at once -------------------------------------------------------------------- */

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
    kill_after(w, "overwrite", "/files/two.bin", 's');
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
    child_main(argc, argv, story_works, story_works_n);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
