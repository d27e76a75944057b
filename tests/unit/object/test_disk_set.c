/* The policy of one set, and how sets are found: pure. */
#include "support/test.h"

#include "object/wrap_disk_set.h"

#include <stdlib.h>
#include <string.h>

#define SALT UINT64_C(77)
#define SET 5

static struct ms_disk_id id_of(uint64_t n) {
    return (struct ms_disk_id){{n * UINT64_C(0x9e3779b97f4a7c15), n}, n % 7};
}

struct set {
    struct ms_disk_page page;
    struct ms_disk_memory memory;
    uint64_t now_ms;
};

static int set_new(void **state) {
    *state = calloc(1, sizeof(struct set));
    return *state == NULL;
}
static int set_free(void **state) {
    free(*state);
    return 0;
}

static bool read_block(struct set *s, uint64_t n) {
    struct ms_disk_id id = id_of(n);
    int way = ms_disk_find(&s->page, SET, SALT, &id);

    if (way >= 0)
        ms_disk_count_read(&s->memory, way);
    return way >= 0;
}

static void put_block(struct set *s, uint64_t n) {
    struct ms_disk_id id = id_of(n);
    enum ms_disk_kind kind;
    bool was_used;
    int way = ms_disk_place(&s->page, &s->memory, &id, ++s->now_ms, SET, SALT, &kind, &was_used);

    assert_in_range(way, 0, MS_DISK_WAYS - 1);
    assert_int_equal(s->page.way[way].kind, MS_DISK_FREE);
    s->page.way[way] = (struct ms_disk_entry){
        .id = id, .size = 1, .length = 1, .born_ms = s->now_ms, .kind = (uint8_t)kind};
    ms_disk_seal(&s->page.way[way], SET, way, SALT);
    assert_int_equal(ms_disk_find(&s->page, SET, SALT, &id), way);
}

/* As a cache is used: what is missing is put in. True: it was there. */
static bool use(struct set *s, uint64_t n) {
    if (read_block(s, n))
        return true;
    put_block(s, n);
    return false;
}

static void what_was_put_in_is_found_until_the_set_is_full(void **state) {
    struct set *s = *state;

    for (uint64_t n = 0; n < MS_DISK_WAYS; n++)
        assert_false(use(s, n));
    for (uint64_t n = 0; n < MS_DISK_WAYS; n++)
        assert_true(use(s, n));
    assert_false(use(s, 1000));
    assert_true(use(s, 1000));
}

static void the_oldest_unread_goes_first(void **state) {
    struct set *s = *state;

    for (uint64_t n = 0; n < MS_DISK_WAYS; n++)
        use(s, n);
    use(s, 0);
    use(s, 1000);
    assert_true(read_block(s, 0));
    assert_false(read_block(s, 1));
    for (uint64_t n = 2; n < MS_DISK_WAYS; n++)
        assert_true(read_block(s, n));
}

static void one_pass_over_a_film_leaves_the_hot_blocks(void **state) {
    struct set *s = *state;
    unsigned there = 0;

    for (int turn = 0; turn < 2; turn++)
        for (uint64_t n = 0; n < 50; n++)
            use(s, n);
    for (uint64_t n = 1000; n < 3000; n++)
        use(s, n);
    for (uint64_t n = 0; n < 50; n++)
        there += read_block(s, n);
    assert_int_equal(there, 50);
}

static void hot_blocks_that_nobody_reads_any_more_go_in_the_end(void **state) {
    struct set *s = *state;
    unsigned there = 0;

    for (int turn = 0; turn < 5; turn++)
        for (uint64_t n = 0; n < 50; n++)
            use(s, n);
    /* The new hot ones are read in turns, with a scan between them. */
    for (int turn = 0; turn < 20; turn++) {
        for (uint64_t n = 100; n < 140; n++)
            use(s, n);
        use(s, (uint64_t)(5000 + turn));
    }
    for (uint64_t n = 100; n < 140; n++)
        there += read_block(s, n);
    assert_in_range(there, 36, 40);
}

static void what_comes_back_soon_stays(void **state) {
    struct set *s = *state;
    struct ms_disk_id id = id_of(1);
    int way;

    for (uint64_t n = 0; n < MS_DISK_WAYS + 10; n++)
        use(s, n);
    assert_false(use(s, 1)); /* it went, and is back */
    way = ms_disk_find(&s->page, SET, SALT, &id);
    assert_int_equal(s->page.way[way].kind, MS_DISK_IS_MAIN);
    for (uint64_t n = 1000; n < 2000; n++)
        use(s, n);
    assert_true(read_block(s, 1));
}

static void an_entry_that_is_not_whole_is_not_found(void **state) {
    struct set *s = *state;
    struct ms_disk_id id = id_of(1);
    unsigned char *bytes;

    use(s, 1);
    int way = ms_disk_find(&s->page, SET, SALT, &id);
    bytes = (unsigned char *)&s->page.way[way];
    for (size_t bit = 0; bit < sizeof s->page.way[0] * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_int_equal(ms_disk_find(&s->page, SET, SALT, &id), -1);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    assert_int_equal(ms_disk_find(&s->page, SET, SALT, &id), way);
    assert_int_equal(ms_disk_find(&s->page, SET + 1, SALT, &id), -1);
    assert_int_equal(ms_disk_find(&s->page, SET, SALT + 1, &id), -1);
    /* Nor in another place of the same set. */
    s->page.way[way + 1] = s->page.way[way];
    ms_disk_free_way(&s->page, way);
    assert_int_equal(ms_disk_find(&s->page, SET, SALT, &id), -1);
    ms_disk_clean(&s->page, SET, SALT);
    assert_int_equal(s->page.way[way + 1].kind, MS_DISK_FREE);
}

static void a_bad_place_is_never_used_again(void **state) {
    struct set *s = *state;
    struct ms_disk_id id = id_of(3);

    for (uint64_t n = 0; n < MS_DISK_WAYS; n++)
        use(s, n);
    int bad = ms_disk_find(&s->page, SET, SALT, &id);
    ms_disk_set_bad(&s->memory, bad);
    ms_disk_free_way(&s->page, bad);
    for (uint64_t n = 1000; n < 1300; n++) {
        use(s, n);
        assert_int_equal(s->page.way[bad].kind, MS_DISK_FREE);
    }
    for (int way = 0; way < MS_DISK_WAYS; way++)
        ms_disk_set_bad(&s->memory, way);
    enum ms_disk_kind kind;
    bool was_used;
    id = id_of(4000);
    assert_int_equal(ms_disk_place(&s->page, &s->memory, &id, 1, SET, SALT, &kind, &was_used), -1);
}

static void a_set_gives_up_all_it_has(void **state) {
    struct set *s = *state;

    for (int turn = 0; turn < 4; turn++)
        for (uint64_t n = 0; n < MS_DISK_WAYS; n++)
            use(s, n);
    for (int i = 0; i < MS_DISK_WAYS; i++)
        assert_in_range(ms_disk_give_up(&s->page, &s->memory, s->now_ms, SET, SALT), 0, MS_DISK_WAYS - 1);
    assert_int_equal(ms_disk_give_up(&s->page, &s->memory, s->now_ms, SET, SALT), -1);
}

static void sets_are_even_and_most_blocks_stay_when_their_number_changes(void **state) {
    enum { SETS = 64, MORE = 80, N = 64000 };
    unsigned count[MORE] = {0}, moved = 0;

    (void)state;
    for (uint64_t n = 0; n < N; n++) {
        struct ms_disk_id id = id_of(n);
        uint32_t a = ms_disk_set_of(&id, SETS), b = ms_disk_set_of(&id, MORE);

        assert_true(a < SETS && b < MORE);
        assert_true(b == a || b >= SETS);
        count[b]++;
        moved += a != b;
        assert_int_equal(ms_disk_set_of(&id, 1), 0);
        assert_true(ms_disk_set_of(&id, UINT32_MAX / MS_DISK_WAYS) < UINT32_MAX / MS_DISK_WAYS);
    }
    for (int i = 0; i < MORE; i++)
        assert_in_range(count[i], 640, 960); /* 800 each; 28 is one sigma */
    assert_in_range(moved, N / 5 - 600, N / 5 + 600);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_new, set_free)
    const struct CMUnitTest tests[] = {
        TEST(what_was_put_in_is_found_until_the_set_is_full),
        TEST(the_oldest_unread_goes_first),
        TEST(one_pass_over_a_film_leaves_the_hot_blocks),
        TEST(hot_blocks_that_nobody_reads_any_more_go_in_the_end),
        TEST(what_comes_back_soon_stays),
        TEST(an_entry_that_is_not_whole_is_not_found),
        TEST(a_bad_place_is_never_used_again),
        TEST(a_set_gives_up_all_it_has),
        TEST(sets_are_even_and_most_blocks_stay_when_their_number_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
