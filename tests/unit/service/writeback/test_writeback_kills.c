/* kill -9 in writeback mode: at every sync of the disk while files are made, and at every request
 * of the store and every sync while they are uploaded. Acknowledged is there, whole, afterwards;
 * nothing is left over. */
#include "near.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- while files are made ---------------------------------------------------------------- */

static unsigned kill_making(struct world *w, const struct story *s, bool after) {
    struct child_end end = {.killed = true};
    unsigned kills = 0;

    for (unsigned at = 1; end.killed; at++) {
        char path[64];
        struct child_plan plan = {.work = s->name,
                                  .path = path,
                                  .kill_at = at,
                                  .after = after,
                                  .syncs = true,
                                  .writeback = true};
        snprintf(path, sizeof path, "/files/%s-%u", s->name, at);
        if (s->exists)
            make_base(w, s, path);
        end = child_run(w, &plan);
        kills += end.killed;
        check_findings(w->svc);
        (void)recover_now(w);
        check_story(w, s, path, &end);
        assert_int_equal(pending_of_svc(w->svc).files, 0);
        if (is_there(w, path))
            unlink_path(w, path);
        check_all_settled(w);
        assert_int_equal(near_files(w), 0);
    }
    return kills;
}

static void making(struct world *w, const char *name) {
    unsigned kills = kill_making(w, story_of(name), false);

    kills += kill_making(w, story_of(name), true);
    print_message("%s: killed at %u syncs\n", name, kills);
    assert_true(kills >= 4);
}

static void a_small_file(void **state) { making(*state, "new-small"); }
static void a_large_file(void **state) { making(*state, "new-large"); }
static void an_overwrite(void **state) { making(*state, "overwrite"); }
static void a_shortened_file(void **state) { making(*state, "shorten"); }

/* ---- while they are uploaded ------------------------------------------------------------- */

#define LARGE (17 * MIB)

static void move(struct child *c) {
    const struct ms_drain how = {.others = true};
    struct ms_error err;

    child_says('m');
    if (ms_writeback_drain(c->svc, &how, &err) == MS_OK)
        child_says('d');
}
static const struct child_work works[] = {{"move", move}};

struct bytes {
    uint8_t *p;
};

static void acknowledge(struct world *w, const struct bytes *b) {
    w->svc->writeback = true;
    write_file(w, "/files/small.bin", b->p, 100000);
    write_file(w, "/files/large.bin", b->p, LARGE);
    w->svc->writeback = false;
    assert_int_equal(pending_of_svc(w->svc).files, 2);
}

static void check_and_remove(struct world *w, const struct bytes *b) {
    check_file(w, "/files/small.bin", b->p, 100000);
    check_file(w, "/files/large.bin", b->p, LARGE);
    unlink_path(w, "/files/small.bin");
    unlink_path(w, "/files/large.bin");
    check_all_settled(w);
    assert_int_equal(near_files(w), 0);
}

static void uploading(struct world *w, bool syncs, bool plain) {
    struct bytes b = {malloc(LARGE)};
    struct ms_random_seeded random;
    unsigned kills = 0;

    assert_non_null(b.p);
    ms_random_seeded_init(&random, ms_test_seed());
    fill_random(&random.random, b.p, LARGE);
    for (unsigned after = 0; after < 2; after++) {
        struct child_end end = {.killed = true};

        for (unsigned at = 1; end.killed; at++) {
            struct child_plan plan = {
                .work = "move", .kill_at = at, .after = after, .syncs = syncs, .plain = plain};

            acknowledge(w, &b);
            end = child_run(w, &plan);
            kills += end.killed;
            check_findings(w->svc);
            check_file(w, "/files/large.bin", b.p, LARGE); /* before anything is settled */
            assert_true(end.killed || child_said(&end, 'd'));
            (void)recover_now(w);
            assert_int_equal(pending_of_svc(w->svc).files, 0);
            check_and_remove(w, &b);
        }
    }
    print_message("uploads killed at %u %s\n", kills, syncs ? "syncs" : "requests");
    assert_true(kills >= 4);
    free(b.p);
}

static void uploads_killed_at_every_request(void **state) { uploading(*state, false, false); }
static void uploads_without_multipart(void **state) { uploading(*state, false, true); }
static void uploads_killed_at_every_sync(void **state) { uploading(*state, true, false); }

/* ---- at any time ------------------------------------------------------------------------- */

/* It makes files and uploads them at the same time. */
static void both(struct child *c) {
    struct ms_error err;

    if (ms_writeback_start(c->svc, &err) != MS_OK)
        return;
    for (size_t i = 0; i < story_works_n; i++)
        if (strcmp(story_works[i].name, "new-large") == 0)
            story_works[i].fn(c);
    for (;;) /* until it is killed, uploads go on */
        ms_clock_sleep_ns(1000000);
}
static const struct child_work both_works[] = {{"both", both}};

static void killed_at_any_time(void **state) {
    struct world *w = *state;
    const struct story *s = story_of("new-large");
    unsigned rounds = ms_test_rounds(12), kills = 0;

    for (unsigned i = 0; i < rounds; i++) {
        char path[64];
        struct child_plan plan = {
            .work = "both", .path = path, .kill_ms = 1 + 29 * i % 331, .writeback = true};

        snprintf(path, sizeof path, "/files/any-%u", i);
        struct child_end end = child_run(w, &plan);
        kills += end.killed;
        check_findings(w->svc);
        (void)recover_now(w);
        check_story(w, s, path, &end);
        if (is_there(w, path))
            unlink_path(w, path);
        check_all_settled(w);
        assert_int_equal(near_files(w), 0);
    }
    assert_int_equal(kills, rounds);
}

int main(int argc, char **argv) {
    if (argc > 5 && strcmp(argv[5], "move") == 0)
        child_main(argc, argv, works, MS_ARRAY_LEN(works));
    if (argc > 5 && strcmp(argv[5], "both") == 0)
        child_main(argc, argv, both_works, MS_ARRAY_LEN(both_works));
    child_main(argc, argv, story_works, story_works_n);
#define ON_DIR(test) cmocka_unit_test_setup_teardown(test, world_setup_dir, world_teardown)
    const struct CMUnitTest tests[] = {
        ON_DIR(a_small_file),
        ON_DIR(a_large_file),
        ON_DIR(an_overwrite),
        ON_DIR(a_shortened_file),
        ON_DIR(uploads_killed_at_every_request),
        ON_DIR(uploads_without_multipart),
        ON_DIR(uploads_killed_at_every_sync),
        ON_DIR(killed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
