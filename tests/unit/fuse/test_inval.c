/* What a mount answers for, without a kernel: it has said nothing of what it could not do. */
#include "world.h"

#include "support/alloc.h"

#include "fuse/inval.h"
#include "fuse/node.h"
#include "store/internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONG_MS 5000

static void handed_nothing(void *priv, uint64_t to) { (void)priv, (void)to; }
static void each_nothing(void *priv, struct ms_view change) { (void)priv, (void)change; }
static void lost_nothing(void *priv) { (void)priv; }

/* Up to which row this process has answered, as others read it. */
static uint64_t answered(struct world *w) {
    struct ms_store *store = w->svc->store;
    pthread_mutex_lock(&store->answered.mutex);
    assert_true(store->answered.active);
    uint64_t to = store->answered.to;
    pthread_mutex_unlock(&store->answered.mutex);
    return to;
}

static bool answers_within(struct world *w, uint64_t to, unsigned ms) {
    for (unsigned i = 0; i < ms && answered(w) < to; i++)
        usleep(1000);
    return answered(w) >= to;
}

static void what_cannot_be_asked_is_not_answered_for(void **state) {
    struct world *w = *state;
    struct ms_mount mount = {.svc = w->svc, .ctx = w->ctx, .root_ino = w->tenant.root_ino};
    const struct ms_follow follow = {.each = each_nothing, .lost = lost_nothing, .handed = handed_nothing};
    struct ms_follower *follower;
    write_file(w, "/files/a", "12345", 5);
    struct ms_handle *a = open_file(w, "/files/a", 'r');
    assert_ok(ms_store_follow(w->svc->store, &follow, &follower, &test_err));
    assert_ok(ms_nodes_new(mount.root_ino, &mount.nodes, &test_err));
    assert_ok(ms_inval_new(&mount, &mount.inval, &test_err));
    uint64_t to = answered(w) + 1;
    ms_inval_lost(mount.inval);
    ms_inval_handed(mount.inval, to);
    assert_true(answers_within(w, to, LONG_MS));
    if (ms_test_alloc_works()) {
        ms_test_alloc_starve_others(true);
        ms_inval_lost(mount.inval);
        ms_inval_handed(mount.inval, to + 1);
        bool early = answers_within(w, to + 1, 200);
        ms_test_alloc_starve_others(false);
        assert_false(early);
        assert_true(answers_within(w, to + 1, LONG_MS));

        ms_test_alloc_starve_others(true); /* an end does not wait for memory */
        ms_inval_lost(mount.inval);
        ms_inval_handed(mount.inval, to + 2);
        usleep(20000);
        ms_inval_free(mount.inval);
        ms_test_alloc_starve_others(false);
        assert_int_equal(answered(w), to + 1);
    } else {
        ms_inval_free(mount.inval);
    }
    ms_nodes_free(mount.nodes);
    ms_store_unfollow(follower);
    seal_file(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_cannot_be_asked_is_not_answered_for, world_setup_mem, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
