#include "support/test.h"

#include <string.h>

static void the_same_seed_gives_the_same_bytes_everywhere(void **state) {
    /* xoshiro256** after splitmix64(1), from the reference definitions; the bytes are those of the
     * numbers, highest first. A change here would make every recorded seed worthless. */
    struct ms_random_seeded a, b;
    uint64_t first[4];

    (void)state;
    ms_random_seeded_init(&a, 1);
    ms_random_seeded_init(&b, 1);
    for (size_t i = 0; i < MS_ARRAY_LEN(first); i++)
        first[i] = ms_random_u64(&a.random);
    assert_true(first[0] == UINT64_C(0xb3f2af6d0fc710c5));
    assert_true(first[1] == UINT64_C(0x853b559647364cea));
    assert_true(first[2] == UINT64_C(0x92f89756082a4514));
    assert_true(first[3] == UINT64_C(0x642e1c7bc266a3a7));
    for (size_t i = 0; i < MS_ARRAY_LEN(first); i++)
        assert_true(ms_random_u64(&b.random) == first[i]);
    ms_random_seeded_fini(&a);
    ms_random_seeded_fini(&b);
}

static void near_seeds_give_different_bytes(void **state) {
    uint64_t seen[64];

    (void)state;
    for (uint64_t seed = 0; seed < MS_ARRAY_LEN(seen); seed++) {
        struct ms_random_seeded r;

        ms_random_seeded_init(&r, seed);
        seen[seed] = ms_random_u64(&r.random);
        ms_random_seeded_fini(&r);
        for (uint64_t i = 0; i < seed; i++)
            assert_true(seen[i] != seen[seed]);
    }
}

static void filling_writes_exactly_the_asked_bytes(void **state) {
    struct ms_random_seeded r;
    uint8_t bytes[40];

    (void)state;
    ms_random_seeded_init(&r, 7);
    for (size_t n = 0; n <= 32; n++) {
        memset(bytes, 0xee, sizeof bytes);
        ms_random_fill(&r.random, bytes, n);
        for (size_t i = n; i < sizeof bytes; i++)
            assert_int_equal(bytes[i], 0xee);
    }
    ms_random_seeded_fini(&r);
}

static void below_stays_below_and_reaches_everything(void **state) {
    struct ms_random_seeded r;
    unsigned count[7] = {0};

    (void)state;
    ms_random_seeded_init(&r, 42);
    for (int i = 0; i < 7000; i++)
        count[ms_random_below(&r.random, 7)]++;
    for (size_t i = 0; i < MS_ARRAY_LEN(count); i++)
        assert_in_range(count[i], 850, 1150);
    assert_int_equal(ms_random_below(&r.random, 1), 0);
    for (int i = 0; i < 100; i++)
        assert_true(ms_random_below(&r.random, UINT64_MAX) < UINT64_MAX);
    ms_random_seeded_fini(&r);
}

static void the_systems_randomness_does_not_repeat(void **state) {
    uint8_t a[600] = {0}, b[600] = {0};

    (void)state;
    ms_random_fill(ms_random_system(), a, sizeof a);
    ms_random_fill(ms_random_system(), b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + 584, (uint8_t[16]){0}, 16);
}

static void *draw(void *arg) {
    struct ms_random_seeded *r = arg;
    uint8_t bytes[1000];

    for (int i = 0; i < 100; i++)
        ms_random_fill(&r->random, bytes, sizeof bytes);
    return NULL;
}

static void threads_share_one_generator(void **state) {
    struct ms_random_seeded r, alone;
    pthread_t threads[4];

    (void)state;
    ms_random_seeded_init(&r, 3);
    ms_random_seeded_init(&alone, 3);
    for (size_t i = 0; i < MS_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, draw, &r), 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        draw(&alone);
    }
    /* Whatever the order, the same amount was drawn: both stand at the same place. */
    assert_true(ms_random_u64(&r.random) == ms_random_u64(&alone.random));
    ms_random_seeded_fini(&r);
    ms_random_seeded_fini(&alone);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_bytes_everywhere),
        cmocka_unit_test(near_seeds_give_different_bytes),
        cmocka_unit_test(filling_writes_exactly_the_asked_bytes),
        cmocka_unit_test(below_stays_below_and_reaches_everything),
        cmocka_unit_test(the_systems_randomness_does_not_repeat),
        cmocka_unit_test(threads_share_one_generator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
