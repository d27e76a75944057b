/* SIGKILL before and after every request to the store and every sync of the disk, in the middle of
 * declare, send, confirm, replace and cancel: before or after, never between, and what was left is
 * taken up again. */
#include "parcel.h"
#include "upkeep/child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES ((size_t)9 * MS_MB) /* two parts */

static void init_main(struct parcel *p) {
    parcel_init(p, "f.mp4", MS_CATEGORY_MAIN, BYTES, 1);
}

static void init_temporary(struct parcel *p) {
    parcel_init(p, "f.mp4", MS_CATEGORY_TEMPORARY, 5000, 2);
}

/* ---- the child: parcel.h works on a world ------------------------------------------------ */

static void must(enum ms_code code) {
    if (code != MS_OK) {
        fprintf(stderr, "child: %s\n", test_err.message);
        _Exit(9);
    }
}

static struct world world_of(struct child *c) {
    return (struct world){.svc = c->svc, .ctx = c->ctx};
}

static void bring(struct child *c, void (*init)(struct parcel *p), enum ms_confirm_as as) {
    struct world w = world_of(c);
    struct ms_confirmed done;
    struct ms_asset_id asset;
    struct parcel p;
    init(&p);
    must(ms_id_parse(c->path, &asset.id, &test_err));
    must(declare_parcel(&w, asset, &p, &test_err));
    child_says('d');
    must(send_parcel(&w, &p, &test_err));
    child_says('s');
    must(confirm_parcel(&w, p.file, as, &done, &test_err));
    child_says('c');
    parcel_fini(&p);
}

static void bring_main(struct child *c) { bring(c, init_main, MS_CONFIRM_CREATED); }
static void cancel_main(struct child *c) { bring(c, init_main, MS_CONFIRM_CANCELLED); }
static void replace_main(struct child *c) { bring(c, init_temporary, MS_CONFIRM_CREATED); }

static const struct child_work works[] = {
    {"main", bring_main}, {"cancel", cancel_main}, {"replace", replace_main}};

/* ---- the parent -------------------------------------------------------------------------- */

/* The file that the child declared and that waits still; false: none. */
static bool waiting_of(struct world *w, struct ms_asset_id asset, struct ms_file_id *ret_file,
                       bool *ret_opened) {
    struct ms_file_record *files = calloc(MS_FILES_MAX, sizeof *files);
    bool found = false;
    size_t n;
    assert_non_null(files);
    assert_ok(ms_file_list(w->svc, &w->ctx, asset, files, MS_FILES_MAX, &n, &test_err));
    for (size_t i = 0; i < n; i++)
        if (files[i].state == MS_FILE_CREATING) {
            found = true;
            ret_file->id = files[i].id;
        }
    free(files);
    if (found)
        *ret_opened = upload_of(w, *ret_file).upload_id[0] != '\0';
    return found;
}

/* Whoever comes next finishes it: by the upload that is there, or by another one. */
static void go_on(struct world *w, struct ms_asset_id asset, struct parcel *p) {
    struct ms_confirmed done;
    bool opened = false;
    bool waits = waiting_of(w, asset, &p->file, &opened);
    if (waits && !opened) {
        assert_ok(confirm_parcel(w, p->file, MS_CONFIRM_CANCELLED, &done, &test_err));
        waits = false;
    }
    if (!waits)
        assert_ok(declare_parcel(w, asset, p, &test_err));
    enum ms_code code = send_parcel(w, p, &test_err);
    /* its bytes were joined before the kill */
    assert_true(code == MS_OK || (waits && code == MS_WRONG_STATE));
    assert_ok(confirm_parcel(w, p->file, MS_CONFIRM_CREATED, &done, &test_err));
    assert_int_equal(done.verdict, MS_OK);
}

static void settle(struct world *w) {
    struct ms_recover_result recovered;
    struct ms_gc_result collected;
    assert_ok(ms_recover(w->svc, &recovered, &test_err));
    (void)sweep_world(w);
    assert_ok(ms_gc(w->svc, 0, false, &collected, &test_err));
}

struct story {
    const char *work;
    void (*init)(struct parcel *p);
    bool replaces;
};

static void after_kill(struct world *w, const struct story *s, struct ms_asset_id asset,
                       const struct child_end *end, const struct parcel *old) {
    struct parcel p;
    s->init(&p);
    check_findings(w->svc);
    struct ms_asset_info info = info_of(w, asset);
    bool is_new = info.asset.bytes == p.n;
    assert_true(!child_said(end, 'c') || is_new || strcmp(s->work, "cancel") == 0);
    if (s->replaces) {
        assert_int_equal(info.state, MS_STATE_ACTIVED);
        check_file(w, info.path, is_new ? p.p : old->p, is_new ? p.n : old->n);
    } else {
        assert_int_equal(info.state, is_new ? MS_STATE_ACTIVED : MS_STATE_CREATING);
    }
    if (!is_new)
        go_on(w, asset, &p);
    info = info_of(w, asset);
    check_file(w, info.path, p.p, p.n);
    settle(w);
    check_settled(w);
    check_clean(w->svc);
    apply_event(w, asset, MS_EVENT_FORCE_DELETE, (struct ms_instant){0}, 0);
    settle(w);
    check_clean(w->svc);
    parcel_fini(&p);
}

static void killed(struct world *w, const struct story *s, bool syncs) {
    unsigned kills = 0;
    for (unsigned after = 0; after < 2; after++) {
        struct child_end end = {.killed = true};
        for (unsigned at = 1; end.killed; at++) {
            char text[MS_ID_TEXT_LEN + 1];
            struct parcel old;
            struct ms_asset_id asset = create_asset(w, MS_TYPE_VIDEO, "f");
            parcel_init(&old, "f.mp4", MS_CATEGORY_MAIN, 3000, 7);
            if (s->replaces)
                (void)bring_parcel(w, asset, &old);
            ms_id_format(asset.id, text);
            struct child_plan plan = {
                .work = s->work, .path = text, .kill_at = at, .after = after, .syncs = syncs};
            end = child_run(w, &plan);
            kills += end.killed;
            after_kill(w, s, asset, &end, &old);
            parcel_fini(&old);
        }
    }
    print_message("%s: killed at %u %s\n", s->work, kills, syncs ? "syncs" : "requests");
    assert_true(kills >= 6);
}

static const struct story main_story = {"main", init_main, false};
static const struct story cancel_story = {"cancel", init_main, false};
static const struct story replace_story = {"replace", init_temporary, true};

#define KILLED(name, story, syncs)                                                                 \
    static void name(void **state) { killed(*state, &story, syncs); }
KILLED(an_upload_killed_at_every_request, main_story, false)
KILLED(an_upload_killed_at_every_sync, main_story, true)
KILLED(a_cancelled_upload_killed_at_every_request, cancel_story, false)
KILLED(a_replacement_killed_at_every_request, replace_story, false)
KILLED(a_replacement_killed_at_every_sync, replace_story, true)

#define DIR_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_dir, world_teardown)
int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        DIR_TEST(an_upload_killed_at_every_request),
        DIR_TEST(an_upload_killed_at_every_sync),
        DIR_TEST(a_cancelled_upload_killed_at_every_request),
        DIR_TEST(a_replacement_killed_at_every_request),
        DIR_TEST(a_replacement_killed_at_every_sync),
    };
    child_main(argc, argv, works, MS_ARRAY_LEN(works));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
