/* Two mounts of one store: what one seals the other sees, and two writers do not undo each other.
 */
#include "peer.h"

#include <string.h>

static void an_unsealed_file_is_empty_for_others(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");

    put_bytes(a, 0, "mine", 4);
    peer_check_file(w, "/files/a", "", 0);
    seal_file(a);
    peer_check_file(w, "/files/a", "mine", 4);
    check_settled(w);
}

static void old_handles_keep_old_bytes_and_new_ones_get_new_bytes(void **state) {
    struct world *w = *state;
    struct ms_handle *writer;

    write_file(w, "/files/a", "version one", 11);
    peer_open(w, 0, "/files/a", 'r', MS_OK);
    peer_check(w, 0, 0, "version one", 11, true);
    writer = open_file(w, "/files/a", 't');
    put_bytes(writer, 0, "version two", 11);
    seal_file(writer);
    peer_open(w, 1, "/files/a", 'r', MS_OK);
    peer_check(w, 1, 0, "version two", 11, true);
    peer_check(w, 0, 0, "version one", 11, true);
    assert_int_not_equal(peer_generation(w, 0), peer_generation(w, 1));
    assert_int_equal(peer_handles(w, 0), 2);
    peer_release(w, 0, MS_OK);
    peer_release(w, 1, MS_OK);
    check_settled(w);
}

static void the_later_seal_applies_its_patch_to_what_the_earlier_one_made(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    write_file(w, "/files/a", "0123456789", 10);
    a = open_file(w, "/files/a", 'w');
    peer_open(w, 0, "/files/a", 'w', MS_OK);
    put_bytes(a, 0, "AA", 2);
    peer_put(w, 0, 8, "BBBB", 4, MS_OK);
    seal_file(a);
    peer_seal(w, 0);
    check_file(w, "/files/a", "AA234567BBBB", 12);
    peer_check_file(w, "/files/a", "AA234567BBBB", 12);
    assert_int_equal(quota_of(w).metered, 12);
    check_settled(w);
}

static void appends_of_both_are_kept(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    write_file(w, "/files/log", "start\n", 6);
    a = open_file(w, "/files/log", 'a');
    peer_open(w, 0, "/files/log", 'a', MS_OK);
    put_bytes(a, 0, "a1\n", 3);
    peer_put(w, 0, 0, "b1\n", 3, MS_OK);
    put_bytes(a, 0, "a2\n", 3);
    peer_put(w, 0, 0, "b2\n", 3, MS_OK);
    peer_sync(w, 0, MS_OK);
    seal_file(a);
    peer_put(w, 0, 0, "b3\n", 3, MS_OK);
    peer_seal(w, 0);
    check_file(w, "/files/log", "start\na1\na2\nb1\nb2\nb3\n", 21);
    check_settled(w);
}

static void a_file_that_was_begun_anew_replaces_the_others_version(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    write_file(w, "/files/a", "0123456789", 10);
    a = open_file(w, "/files/a", 'w');
    peer_open(w, 0, "/files/a", 't', MS_OK);
    put_bytes(a, 0, "AA", 2);
    peer_put(w, 0, 0, "b", 1, MS_OK);
    seal_file(a);
    peer_seal(w, 0);
    check_file(w, "/files/a", "b", 1);
    check_settled(w);
}

static void a_truncation_is_applied_before_what_was_written(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    write_file(w, "/files/a", "0123456789", 10);
    a = open_file(w, "/files/a", 'w');
    peer_open(w, 0, "/files/a", 'w', MS_OK);
    put_bytes(a, 0, "AAAAAAAAAAAA", 12);
    peer_truncate(w, 0, 4, MS_OK);
    peer_put(w, 0, 6, "bb", 2, MS_OK);
    seal_file(a);
    peer_seal(w, 0);
    check_file(w, "/files/a", "AAAA\0\0bb", 8);
    check_settled(w);
}

static void a_file_that_the_other_deletes_while_it_is_written_ends_quietly(void **state) {
    struct world *w = *state;
    struct ms_handle *a = make_file(w, "/files/a");
    uint64_t ino = ms_file_ino(a);
    struct ms_node node;

    put_bytes(a, 0, "gone", 4);
    peer_unlink(w, "/files/a");
    check_bytes(a, 0, "gone", 4, true);
    seal_file(a);
    assert_code(ms_tree_node(w->svc, &w->ctx, ino, &node, &test_err), MS_NOT_FOUND);
    check_settled(w);
}

static void a_sealed_file_that_the_other_deletes_is_read_to_the_end(void **state) {
    struct world *w = *state;
    struct ms_handle *a;

    write_file(w, "/files/a", "still here", 10);
    a = open_file(w, "/files/a", 'w');
    peer_unlink(w, "/files/a");
    ms_file_revalidate(w->svc, w->ctx.tenant, ms_file_ino(a));
    check_bytes(a, 0, "still here", 10, true);
    put_bytes(a, 0, "S", 1);
    check_bytes(a, 0, "Still here", 10, true);
    seal_file(a);
    check_settled(w);
}

static void a_growth_that_the_other_took_away_is_checked_again_at_the_seal(void **state) {
    struct world *w = *state;
    struct ms_handle *a, *c;
    uint8_t bytes[1000] = {1};

    write_file(w, "/files/a", bytes, 1000);
    assert_ok(ms_tenant_set_quota(w->svc, &w->admin, 1000, &test_err));
    a = open_file(w, "/files/a", 't');
    put_bytes(a, 0, bytes, 1000); /* no growth: nothing is reserved */
    peer_open(w, 0, "/files/a", 't', MS_OK);
    peer_put(w, 0, 0, bytes, 1, MS_OK);
    peer_seal(w, 0);
    c = make_file(w, "/files/c");
    put_bytes(c, 0, bytes, 900);
    assert_code(flush_file(a, &test_err), MS_QUOTA);
    assert_code(release_file(a, &test_err), MS_QUOTA);
    seal_file(c);
    check_file(w, "/files/a", bytes, 1);
    assert_int_equal(quota_of(w).metered, 901);
    check_settled(w);
}

int main(int argc, char **argv) {
    peer_main(argc, argv);
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_dir, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_unsealed_file_is_empty_for_others),
        TEST(old_handles_keep_old_bytes_and_new_ones_get_new_bytes),
        TEST(the_later_seal_applies_its_patch_to_what_the_earlier_one_made),
        TEST(appends_of_both_are_kept),
        TEST(a_file_that_was_begun_anew_replaces_the_others_version),
        TEST(a_truncation_is_applied_before_what_was_written),
        TEST(a_file_that_the_other_deletes_while_it_is_written_ends_quietly),
        TEST(a_sealed_file_that_the_other_deletes_is_read_to_the_end),
        TEST(a_growth_that_the_other_took_away_is_checked_again_at_the_seal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
