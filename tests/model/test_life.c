/* Random operations over fifty tenants and two years, the model beside them. MS_TEST_ROUNDS is the
 * number of operations of each test. */
#include "play.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void live(void **state, enum play_sweeps sweeps) {
    struct play *p = *state;
    struct ms_random_seeded random;
    uint64_t steps = ms_test_rounds(5000);
    ms_random_seeded_init(&random, ms_test_seed());
    play_begin(p, &random.random, sweeps, steps);
    while (p->step < steps)
        play_step(p);
    play_end(p);
    print_message("%" PRIu64 " steps, %" PRIu64 " operations, %" PRIu64 " refused, %" PRIu64
                  " comparisons of everything\n",
                  p->step, p->done, p->refused, p->deep);
    assert_true(p->done > steps / 2);
    assert_true(p->refused > p->done / 20 && p->refused < p->done / 4 * 3);
    ms_random_seeded_fini(&random);
}

static int set_up(void **state) {
    *state = calloc(1, sizeof(struct play));
    return *state ? 0 : -1;
}

/* A failed assertion leaves the store behind. */
static int tear_down(void **state) {
    struct play *p = *state;
    world_free(p->w);
    free(p);
    return 0;
}

static void never_swept(void **state) { live(state, PLAY_NEVER); }
static void swept_at_random_times(void **state) { live(state, PLAY_SOMETIMES); }
static void swept_whenever_time_goes_on(void **state) { live(state, PLAY_ALWAYS); }

/* Nothing here is about the disk: where there is memory that looks like one, that. */
static void use_memory(void) {
    struct stat st;
    if (!getenv("TMPDIR") && stat("/dev/shm", &st) == 0 && S_ISDIR(st.st_mode))
        (void)setenv("TMPDIR", "/dev/shm", 1);
}

/* With a name: that test alone. */
int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(never_swept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(swept_at_random_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(swept_whenever_time_goes_on, set_up, tear_down),
    };
    use_memory();
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
