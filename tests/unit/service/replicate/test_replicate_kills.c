/* SIGKILL before and after every request to the store and every sync of the disk, in the middle of a pull: the copy is
 * there as a whole, or there is an asset in CREATING that is in no folder, cannot be read, fails after 24 h and leaves
 * nothing. */
#include "copies.h"

#include "upkeep/child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void pull(struct child *c) {
    struct ms_asset_info info;
    (void)snprintf(c->svc->replication_keys, sizeof c->svc->replication_keys, "%s/keys", c->path);
    if (copies_pull(c->svc, &c->ctx, c->path, &info, &test_err) != MS_OK) {
        fprintf(stderr, "child: %s\n", test_err.message);
        _Exit(9);
    }
    child_says('p');
}

static const struct child_work works[] = {{"pull", pull}};

/* Assets other than the source: none or one. */
static bool other(struct world *w, const struct copies *c, struct ms_asset_info *ret_info) {
    struct ms_asset_info *infos = calloc(8, sizeof *infos);
    size_t n, found = 0;
    assert_non_null(infos);
    assert_ok(ms_asset_list(w->svc, &w->ctx, (struct ms_asset_id){{{0}}}, 0, infos, 8, &n, &test_err));
    for (size_t i = 0; i < n; i++)
        if (memcmp(infos[i].asset.id.b, c->asset.id.b, MS_ID_BYTES) != 0) {
            *ret_info = infos[i];
            found++;
        }
    free(infos);
    assert_true(found <= 1);
    return found == 1;
}

static void settle(struct world *w) {
    struct ms_recover_result recovered;
    struct ms_gc_result collected;
    assert_ok(ms_recover(w->svc, &recovered, &test_err));
    (void)sweep_world(w);
    assert_ok(ms_gc(w->svc, 0, false, &collected, &test_err));
}

/* true: the copy was there. */
static bool after_kill(struct world *w, const struct copies *c, const struct child_end *end) {
    struct ms_asset_info info;
    bool whole = false;
    check_findings(w->svc);
    bool is = other(w, c, &info);
    if (is && info.state == MS_STATE_ACTIVED) {
        whole = true;
        copies_same(w, c, &info);
    } else if (is) {
        assert_int_equal(info.state, MS_STATE_CREATING);
        assert_string_equal(info.path, "");
        assert_int_equal(info.asset.ino, 0);
    }
    assert_true(whole || !child_said(end, 'p'));
    settle(w);
    ms_clock_fake_advance(&w->clock, MS_DAY_MS);
    settle(w);
    if (is && !whole) {
        info = info_of(w, (struct ms_asset_id){info.asset.id});
        assert_int_equal(info.state, MS_STATE_FAILED);
        assert_int_equal(info.asset.bytes, 0);
    }
    if (is)
        apply_event(w, (struct ms_asset_id){info.asset.id}, MS_EVENT_FORCE_DELETE,
                    (struct ms_instant){0}, 0);
    settle(w);
    assert_int_equal(quota_of(w).metered, c->main.n + c->cover.n);
    check_settled(w);
    check_clean(w->svc);
    return whole;
}

static void killed(struct world *w, bool syncs) {
    unsigned kills = 0, whole = 0;
    copies_keys(w);
    for (unsigned after = 0; after < 2; after++) {
        struct child_end end = {.killed = true};
        for (unsigned at = 1; end.killed; at++) {
            struct copies c;
            copies_make(w, &c);
            struct child_plan plan = {
                .work = "pull", .path = w->tmp, .kill_at = at, .after = after, .syncs = syncs};
            end = child_run(w, &plan);
            kills += end.killed;
            whole += after_kill(w, &c, &end);
            apply_event(w, c.asset, MS_EVENT_FORCE_DELETE, (struct ms_instant){0}, 0);
            settle(w);
            copies_fini(&c);
        }
    }
    print_message("pull: killed at %u %s, whole %u times\n", kills, syncs ? "syncs" : "requests", whole);
    assert_true(kills >= 20);
    assert_true(whole >= 2); /* the two that ran to their end */
}

static void a_pull_killed_at_every_request(void **state) { killed(*state, false); }
static void a_pull_killed_at_every_sync(void **state) { killed(*state, true); }

#define DIR_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_dir, world_teardown)
int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {DIR_TEST(a_pull_killed_at_every_request),
                                       DIR_TEST(a_pull_killed_at_every_sync)};
    child_main(argc, argv, works, MS_ARRAY_LEN(works));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
