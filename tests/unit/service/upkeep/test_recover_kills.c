#include "stories.h"

#include <stdio.h>

/* ---- killed at every request of the store ------------------------------------------------ */

struct where {
    bool after, plain, syncs;
};

static unsigned kill_everywhere(struct world *w, const struct story *s, struct where where) {
    unsigned kills = 0;
    struct child_end end = {.killed = true};
    for (unsigned at = 1; end.killed; at++) {
        char path[64];
        snprintf(path, sizeof path, "/files/%s-%u", s->name, at);
        if (s->exists)
            make_base(w, s, path);
        struct child_plan plan = {.work = s->name,
                                  .path = path,
                                  .kill_at = at,
                                  .after = where.after,
                                  .plain = where.plain,
                                  .syncs = where.syncs};
        end = child_run(w, &plan);
        kills += end.killed;
        check_findings(w->svc);
        (void)recover_now(w);
        check_story(w, s, path, &end);
        if (is_there(w, path))
            unlink_path(w, path);
        check_all_settled(w);
    }
    return kills;
}

static void killed_everywhere(struct world *w, const char *name, struct where where) {
    unsigned kills = 0;
    for (unsigned after = 0; after < 2; after++) {
        where.after = after;
        kills += kill_everywhere(w, story_of(name), where);
    }
    print_message("%s: killed at %u %s\n", name, kills, where.syncs ? "syncs" : "requests");
    assert_true(kills >= 2);
}

#define KILLED(test, name, ...)                                                                    \
    static void test(void **state) { killed_everywhere(*state, name, (struct where){__VA_ARGS__}); }
KILLED(a_new_small_file_killed_at_every_request, "new-small", 0)
KILLED(a_new_large_file_killed_at_every_request, "new-large", 0)
KILLED(a_file_without_fsync_killed_at_every_request, "new-unsynced", 0)
KILLED(an_overwrite_killed_at_every_request, "overwrite", 0)
KILLED(a_shortened_file_killed_at_every_request, "shorten", 0)
KILLED(a_file_cut_to_nothing_killed_at_every_request, "to-nothing", 0)
KILLED(a_new_file_without_multipart_killed_at_every_request, "new-small", .plain = true)
KILLED(an_overwrite_without_multipart_killed_at_every_request, "overwrite", .plain = true)
KILLED(a_new_small_file_killed_at_every_sync_of_the_disk, "new-small", .syncs = true)
KILLED(a_shortened_file_killed_at_every_sync_of_the_disk, "shorten", .syncs = true)
KILLED(a_file_cut_to_nothing_killed_at_every_sync_of_the_disk, "to-nothing", .syncs = true)

/* ---- recoverers that die ----------------------------------------------------------------- */

static void kill_recoverers(struct world *w, bool syncs) {
    unsigned kills = 0;
    for (unsigned after = 0; after < 2; after++) {
        struct child_end end = {.killed = true};
        for (unsigned at = 1; end.killed; at++) {
            struct child_plan plan = {
                .work = "recover", .kill_at = at, .after = after, .syncs = syncs};
            kill_after(w, "sync", "/files/kept.bin", 's');
            end = child_run(w, &plan);
            kills += end.killed;
            check_findings(w->svc);
            struct ms_recover_result result = recover_now(w);
            assert_true(result.processes <= (end.killed ? 2 : 0));
            check_synced(w, "/files/kept.bin");
            unlink_path(w, "/files/kept.bin");
            check_all_settled(w);
        }
    }
    print_message("recovery killed at %u %s\n", kills, syncs ? "syncs" : "requests");
    assert_true(kills >= 6);
}

static void a_recoverer_killed_at_every_request(void **state) { kill_recoverers(*state, false); }
static void a_recoverer_killed_at_every_sync_of_the_disk(void **state) {
    kill_recoverers(*state, true);
}

static void killed_at_any_time(void **state) {
    struct world *w = *state;
    static const char *const names[] = {"new-large", "overwrite", "new-unsynced", "shorten"};
    unsigned rounds = ms_test_rounds(16), kills = 0;
    for (unsigned i = 0; i < rounds; i++) {
        const struct story *s = story_of(names[i % MS_ARRAY_LEN(names)]);
        char path[64];
        snprintf(path, sizeof path, "/files/%s-%u", s->name, i);
        if (s->exists)
            make_base(w, s, path);
        struct child_plan plan = {.work = s->name, .path = path, .kill_ms = 1 + 13 * i % 97};
        struct child_end end = child_run(w, &plan);
        kills += end.killed;
        check_findings(w->svc);
        (void)recover_now(w);
        check_story(w, s, path, &end);
        check_all_settled(w);
    }
    print_message("killed %u times\n", kills);
}

int main(int argc, char **argv) {
    child_main(argc, argv, story_works, story_works_n);
#define ON_DIR(test) cmocka_unit_test_setup_teardown(test, world_setup_dir, world_teardown)
    const struct CMUnitTest tests[] = {
        ON_DIR(a_new_small_file_killed_at_every_request),
        ON_DIR(a_new_large_file_killed_at_every_request),
        ON_DIR(a_file_without_fsync_killed_at_every_request),
        ON_DIR(an_overwrite_killed_at_every_request),
        ON_DIR(a_shortened_file_killed_at_every_request),
        ON_DIR(a_file_cut_to_nothing_killed_at_every_request),
        ON_DIR(a_new_file_without_multipart_killed_at_every_request),
        ON_DIR(an_overwrite_without_multipart_killed_at_every_request),
        ON_DIR(a_new_small_file_killed_at_every_sync_of_the_disk),
        ON_DIR(a_shortened_file_killed_at_every_sync_of_the_disk),
        ON_DIR(a_file_cut_to_nothing_killed_at_every_sync_of_the_disk),
        ON_DIR(a_recoverer_killed_at_every_request),
        ON_DIR(a_recoverer_killed_at_every_sync_of_the_disk),
        ON_DIR(killed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
