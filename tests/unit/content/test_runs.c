#include "support/test.h"

#include "content/runs.h"

#include <string.h>

/* The model: one kind for each offset. */
#define LINE 4096
struct model {
    unsigned char kind[LINE];
    unsigned char tail; /* of all that follows */
};

static void model_set(struct model *m, uint64_t from, uint64_t to, unsigned kind) {
    for (uint64_t i = from; i < to && i < LINE; i++)
        m->kind[i] = (unsigned char)kind;
    if (to == MS_RUNS_END)
        m->tail = (unsigned char)kind;
}

static void set(struct ms_runs *runs, struct model *m, uint64_t from, uint64_t to, unsigned kind) {
    assert_ok(ms_runs_reserve(runs, &test_err));
    ms_runs_set(runs, from, to, kind);
    model_set(m, from, to, kind);
}

static void compare(const struct ms_runs *runs, const struct model *m, uint64_t line) {
    uint64_t at = 0;

    assert_true(ms_runs_is_valid(runs));
    while (at < line) {
        struct ms_run run = ms_runs_at(runs, at);
        struct ms_run end = ms_runs_at(runs, (run.to < line ? run.to : line) - 1);

        assert_int_equal(run.from, at); /* runs are whole */
        assert_true(end.from == run.from && end.to == run.to && end.kind == run.kind);
        for (; at < line && at < run.to; at++)
            assert_int_equal(run.kind, m->kind[at]);
    }
    assert_int_equal(ms_runs_at(runs, MS_RUNS_END - 1).kind, m->tail);
}

static void every_two_changes_of_a_short_line_do_what_the_model_does(void **state) {
    enum { SHORT = 5 };

    (void)state;
    for (unsigned code = 0; code < 60 * 60 * 60; code++) {
        struct ms_runs runs = {0};
        struct model m = {{0}, 0};
        unsigned c = code;

        for (int i = 0; i < 3; i++, c /= 60) { /* 15 ranges x 4 kinds */
            unsigned range = c % 60 / 4, from = 0, to;

            while (range >= SHORT - from)
                range -= SHORT - from++;
            to = from + 1 + range;
            set(&runs, &m, from, to, c % 4);
        }
        compare(&runs, &m, SHORT + 1);
        ms_runs_fini(&runs);
    }
}

static void random_changes_over_many_leaves_do_what_the_model_does(void **state) {
    struct ms_random_seeded random;
    uint64_t seed = ms_test_seed();

    (void)state;
    for (unsigned round = 0; round < ms_test_rounds(20); round++) {
        struct ms_runs runs = {0};
        struct model m = {{0}, 0};

        ms_random_seeded_init(&random, seed + round);
        for (int i = 0; i < 6000; i++) {
            uint64_t from = ms_random_below(&random.random, LINE - 1), length = 1;

            if (ms_random_below(&random.random, 50) == 0)
                length = 1 + ms_random_below(&random.random, LINE - 1 - from);
            set(&runs, &m, from, from + length, (unsigned)ms_random_below(&random.random, 4));
            if (ms_random_below(&random.random, 1000) == 0)
                set(&runs, &m, from, MS_RUNS_END, (unsigned)ms_random_below(&random.random, 2));
            if (i % 100 == 0)
                compare(&runs, &m, LINE);
        }
        compare(&runs, &m, LINE);
        set(&runs, &m, 0, MS_RUNS_END, 0);
        assert_int_equal(ms_runs_changes(&runs), 0);
        ms_runs_fini(&runs);
        ms_random_seeded_fini(&random);
    }
}

static void an_append_keeps_one_run_and_islands_that_meet_become_one(void **state) {
    struct ms_runs runs = {0};

    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        assert_ok(ms_runs_reserve(&runs, &test_err));
        ms_runs_set(&runs, i * 4096, (i + 1) * 4096, 2);
        assert_int_equal(ms_runs_changes(&runs), 2);
    }
    ms_runs_fini(&runs);
    for (uint64_t i = 0; i < 100000; i++) { /* every second page, from the end */
        assert_ok(ms_runs_reserve(&runs, &test_err));
        ms_runs_set(&runs, (200000 - 2 * i) * 4096, (200001 - 2 * i) * 4096, 2);
    }
    assert_int_equal(ms_runs_changes(&runs), 200000);
    assert_true(ms_runs_is_valid(&runs));
    for (uint64_t i = 0; i < 100000; i++) {
        assert_ok(ms_runs_reserve(&runs, &test_err));
        ms_runs_set(&runs, (2 * i + 1) * 4096, (2 * i + 2) * 4096, 2);
    }
    assert_int_equal(ms_runs_changes(&runs), 2);
    ms_runs_fini(&runs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_two_changes_of_a_short_line_do_what_the_model_does),
        cmocka_unit_test(random_changes_over_many_leaves_do_what_the_model_does),
        cmocka_unit_test(an_append_keeps_one_run_and_islands_that_meet_become_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
