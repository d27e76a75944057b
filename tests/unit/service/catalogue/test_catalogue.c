#include "again.h"
#include "child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct ms_catalogue_result result;

static unsigned segments_of(struct world *w) {
    unsigned n = 0;
    for (char *path; (path = segment_path(w, n)); n++)
        free(path);
    return n;
}

/* ---- marks ------------------------------------------------------------------------------- */

static void a_change_is_marked_until_it_is_written(void **state) {
    struct world *w = *state;
    fill_world(w);
    assert_true(marks_of(w->svc) > 0);
    (void)flush_now(w, false);
    assert_int_equal(marks_of(w->svc), 0);
    unsigned n = segments_of(w);
    result = flush_now(w, false); /* nothing to tell: nothing is stored */
    assert_int_equal(result.segments, 0);
    assert_int_equal(segments_of(w), n);
    write_file(w, "/files/new.txt", "one", 3);
    assert_true(marks_of(w->svc) > 0);
    result = flush_now(w, false);
    assert_int_equal(result.segments, 1);
    assert_int_equal(result.snapshots, 0);
    assert_int_equal(segments_of(w), n + 1);
    (void)check_rebuild(w);
}

static void a_store_that_refuses_leaves_the_marks(void **state) {
    struct world *w = *state;
    struct ms_catalogue_options options = {.snapshot = false};
    fill_world(w);
    uint64_t n = marks_of(w->svc);
    gate_refuse(w, MS_UNAVAILABLE);
    assert_code(ms_catalogue_flush(w->svc, &options, &result, &test_err), MS_UNAVAILABLE);
    gate_refuse(w, MS_OK);
    assert_int_equal(marks_of(w->svc), n);
    (void)flush_now(w, false); /* and nobody holds the tenant */
    (void)check_rebuild(w);
}

/* The file changes while its segment is under way: what was written is not all. */
struct late {
    struct world *w;
    unsigned calls;
};

static bool change_meanwhile(void *priv, uint64_t lines) {
    struct late *late = priv;
    (void)lines;
    if (late->calls++ == 0)
        write_file(late->w, "/files/late.txt", "late", 4);
    return true;
}

/* Opened while it was down: this process, which uploads nothing, asks whose it is, and writes. */
static void a_store_that_was_down_is_asked_whose_it_is(void **state) {
    struct world *w = *state;
    const struct ms_catalogue_options options = {0};
    struct ms_catalogue_result got;

    w->svc->unchecked = true;
    gate_refuse(w, MS_UNAVAILABLE);
    assert_code(ms_catalogue_flush(w->svc, &options, &got, &test_err), MS_UNAVAILABLE);
    assert_true(w->svc->unchecked);
    gate_refuse(w, MS_OK);
    assert_ok(ms_catalogue_flush(w->svc, &options, &got, &test_err));
    assert_int_equal(got.tenants, 1);
    assert_false(w->svc->unchecked);
}

static void a_change_during_a_flush_stays_marked(void **state) {
    struct world *w = *state;
    struct late late = {.w = w};
    struct ms_catalogue_options options = {.progress = change_meanwhile, .priv = &late};
    fill_world(w);
    assert_ok(ms_catalogue_flush(w->svc, &options, &result, &test_err));
    (void)flush_now(w, false);
    assert_int_equal(marks_of(w->svc), 0);
    (void)check_rebuild(w);
}

static void young_segments_are_left_alone(void **state) {
    struct world *w = *state;
    struct ms_catalogue_options options = {.min_age_ms = 60000};
    fill_world(w);
    (void)flush_now(w, false);
    write_file(w, "/files/new.txt", "one", 3);
    assert_ok(ms_catalogue_flush(w->svc, &options, &result, &test_err));
    assert_int_equal(result.segments, 0);
    ms_clock_fake_advance(&w->clock, 60000);
    assert_ok(ms_catalogue_flush(w->svc, &options, &result, &test_err));
    assert_int_equal(result.segments, 1);
}

/* ---- size -------------------------------------------------------------------------------- */

static void segments_stay_few(void **state) {
    struct world *w = *state;
    unsigned most = 0;
    for (unsigned i = 0; i < 150; i++) {
        char text[32];
        snprintf(text, sizeof text, "turn %u", i);
        if (i == 0)
            write_file(w, "/files/a.txt", text, strlen(text));
        struct ms_handle *h = open_file(w, "/files/a.txt", 't');
        put_bytes(h, 0, text, strlen(text));
        seal_file(h);
        (void)flush_now(w, false);
        most = segments_of(w) > most ? segments_of(w) : most;
    }
    assert_in_range(most, 10, 70);
    (void)check_rebuild(w);
    (void)flush_now(w, true);
    assert_int_equal(segments_of(w), 1);
    (void)check_rebuild(w);
}

/* ---- kills ------------------------------------------------------------------------------- */

static void flush_in_child(struct child *c) {
    struct ms_catalogue_options options = {.snapshot = strcmp(c->path, "all") == 0};
    struct ms_catalogue_result r;
    struct ms_error err = {0};
    child_says('f');
    if (ms_catalogue_flush(c->svc, &options, &r, &err) != MS_OK) {
        fprintf(stderr, "child: %s\n", err.message);
        _exit(9);
    }
    child_says('d');
}

static const struct child_work works[] = {{"flush", flush_in_child}};

static void killed_at_every_request_and_commit(void **state) {
    struct world *w = *state;
    unsigned kills = 0, turn = 0;
    struct ms_recover_result recovered;
    fill_world(w);
    for (unsigned how = 0; how < 6; how++) {
        struct child_end end = {.killed = true};
        for (unsigned at = 1; end.killed; at++) {
            char text[32];
            snprintf(text, sizeof text, "turn %u", turn++);
            struct ms_handle *h = open_file(w, "/files/b.txt", 't');
            put_bytes(h, 0, text, strlen(text));
            seal_file(h);
            struct child_plan plan = {.work = "flush",
                                      .path = how % 2 ? "all" : "marked",
                                      .kill_at = at,
                                      .after = how / 2 == 1,
                                      .syncs = how / 2 == 2};
            end = child_run(w, &plan);
            kills += end.killed;
            (void)flush_now(w, false); /* takes over from the dead */
            assert_int_equal(marks_of(w->svc), 0);
            assert_ok(ms_recover(w->svc, &recovered, &test_err));
        }
        (void)check_rebuild(w);
    }
    print_message("%u kills\n", kills);
    assert_true(kills > 10);
}

/* ---- in the background ------------------------------------------------------------------- */

static void a_keeper_writes_by_itself(void **state) {
    struct world *w = *state;
    struct ms_catalogue_keeper *keeper;
    fill_world(w);
    assert_ok(ms_catalogue_start(w->svc, 1, &keeper, &test_err));
    while (marks_of(w->svc) > 0) {
        ms_clock_fake_advance(&w->clock, 10);
        usleep(1000);
    }
    ms_catalogue_stop(keeper);
    (void)check_rebuild(w);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_change_is_marked_until_it_is_written, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_store_that_refuses_leaves_the_marks, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_store_that_was_down_is_asked_whose_it_is, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_change_during_a_flush_stays_marked, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(young_segments_are_left_alone, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(segments_stay_few, world_setup_dir, world_teardown),
        cmocka_unit_test_setup_teardown(killed_at_every_request_and_commit, world_setup_dir,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_keeper_writes_by_itself, world_setup_dir,
                                        world_teardown),
    };
    child_main(argc, argv, works, MS_ARRAY_LEN(works));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
