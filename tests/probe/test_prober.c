/* The gateway's side of a prober against one that lies, hangs and dies, and against none at all. */
#include "support/test.h"

#include "base/scope.h"
#include "probe/prober.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *liar, *truth;

struct content {
    struct ms_probe_request request;
    enum ms_code fails; /* what reading it says */
    unsigned reads;     /* on one thread */
};

/* Byte i of a content is i + 1. */
static enum ms_code read_content(struct ms_probe_request *r, uint64_t offset, void *into, size_t n,
                                 struct ms_error *reterr) {
    struct content *c = r->priv;
    uint8_t *bytes = into;

    c->reads++;
    if (c->fails)
        return ms_fail(reterr, c->fails, "the store is away");
    if (offset > r->size || n > r->size - offset)
        abort();
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(offset + i + 1);
    return MS_OK;
}

static struct ms_prober *prober;

static void use(const char *program, const char *part, int64_t wait_ms) {
    const struct ms_prober_options options = {
        .program = program, .argument = part, .threads = 1, .wait_ms = wait_ms, .reads_max = 100};

    ms_prober_free(MS_TAKE(prober));
    assert_ok(ms_prober_new(&options, &prober, &test_err));
}

static enum ms_code examine(struct content *c, uint64_t size, struct ms_error *err) {
    c->request = (struct ms_probe_request){.size = size, .read = read_content, .priv = c};
    return ms_prober_run(prober, &c->request, err);
}

static void assert_served(void) {
    struct content c = {.fails = MS_OK};

    assert_ok(examine(&c, 42, &test_err));
    assert_int_equal(c.request.facts.outcome, MS_FACTS_READ);
    assert_string_equal(c.request.facts.container, "png");
    assert_int_equal(c.request.facts.height, 42);
}

/* Whoever misbehaves over a content fails that content, with a reason, and the next one is served. */
static void each_misdeed_fails_its_content_only(void **state) {
    static const struct {
        const char *part, *reason;
    } misdeeds[] = {
        {"killed", "ended by signal 9"},
        {"exit", "ended with status 5"},
        {"noise", "nonsense"},
        {"lie", "nonsense"},
        {"huge", "4294967295 bytes"},
        {"short", "without an answer"},
        {"beyond", "that there are not"},
        {"wrap", "that there are not"},
        {"large", "that there are not"},
        {"none", "that there are not"},
        {"reads", "more than 100 reads"},
        {"group", "without an answer"},
    };

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(misdeeds); i++) {
        struct content c = {.fails = MS_OK};

        print_message("%s\n", misdeeds[i].part);
        use(liar, misdeeds[i].part, 60000);
        assert_served();
        assert_ok(examine(&c, 41, &test_err));
        assert_int_equal(c.request.facts.outcome, MS_FACTS_GIVEN_UP);
        assert_null(ms_facts_broken(&c.request.facts));
        if (!strstr(c.request.facts.reason, misdeeds[i].reason))
            fail_msg("%s: the reason is \"%s\"", misdeeds[i].part, c.request.facts.reason);
        assert_served();
    }
}

/* With a limit so short that even a good program might miss it, only the misdeed itself is asked about. */
static void whoever_hangs_is_ended(void **state) {
    static const char *const parts[] = {"hang", "deaf"};

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(parts); i++) {
        struct content c = {.fails = MS_OK};

        use(liar, parts[i], 200);
        assert_ok(examine(&c, (1 << 20) + 1, &test_err));
        assert_int_equal(c.request.facts.outcome, MS_FACTS_GIVEN_UP);
        assert_non_null(strstr(c.request.facts.reason, "longer than 200 ms"));
    }
}

/* Good facts hold, whatever the examiner does behind them; the next content is not disturbed by it. */
static void what_comes_behind_an_answer_changes_nothing(void **state) {
    static const char *const parts[] = {"lives", "chatters"};

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(parts); i++) {
        struct content c = {.fails = MS_OK};

        use(liar, parts[i], 60000);
        for (unsigned k = 0; k < 2; k++) {
            assert_ok(examine(&c, 41, &test_err));
            assert_int_equal(c.request.facts.outcome, MS_FACTS_READ);
            assert_int_equal(c.request.facts.height, 0);
            assert_served();
        }
    }
}

static void a_store_that_is_away_is_no_fact_about_a_content(void **state) {
    struct content c = {.fails = MS_UNAVAILABLE};

    (void)state;
    use(liar, "", 60000);
    assert_code(examine(&c, 42, &test_err), MS_UNAVAILABLE);
    assert_non_null(strstr(test_err.message, "the store is away"));
    assert_served();
}

static void a_program_that_is_missing_is_no_fact_about_a_content(void **state) {
    struct content c = {.fails = MS_OK};

    (void)state;
    use("/nowhere/msasset-probe", NULL, 60000);
    assert_code(examine(&c, 42, &test_err), MS_UNAVAILABLE);
    assert_non_null(strstr(test_err.message, "/nowhere/msasset-probe"));
    assert_int_equal(c.reads, 0);
    use(liar, "unready", 60000);
    assert_code(examine(&c, 42, &test_err), MS_UNAVAILABLE);
    assert_non_null(strstr(test_err.message, "cannot shut itself in"));
    use("/bin/true", NULL, 60000);
    assert_code(examine(&c, 42, &test_err), MS_UNAVAILABLE);
}

/* ---- many at once, and the real program -------------------------------------------------------- */

#define MANY 200
static struct content many[MANY];
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned done;
} counted = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

static void count(struct ms_probe_request *r) {
    (void)r;
    pthread_mutex_lock(&counted.mutex);
    counted.done++;
    pthread_cond_signal(&counted.changed);
    pthread_mutex_unlock(&counted.mutex);
}

static void many_contents_are_served_by_a_few_programs(void **state) {
    const struct ms_prober_options options = {
        .program = liar, .argument = "killed", .threads = 3, .contents_max = 7};

    (void)state;
    ms_prober_free(MS_TAKE(prober));
    assert_ok(ms_prober_new(&options, &prober, &test_err));
    counted.done = 0;
    for (unsigned i = 0; i < MANY; i++) {
        many[i] = (struct content){.request = {.size = i % 10 == 3 ? 43 : 2 * i + 2,
                                               .read = read_content,
                                               .done = count,
                                               .priv = &many[i]}};
        ms_prober_submit(prober, &many[i].request);
    }
    pthread_mutex_lock(&counted.mutex);
    while (counted.done < MANY)
        pthread_cond_wait(&counted.changed, &counted.mutex);
    pthread_mutex_unlock(&counted.mutex);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(many[i].request.code, MS_OK);
        assert_int_equal(many[i].request.facts.outcome,
                         i % 10 == 3 ? MS_FACTS_GIVEN_UP : MS_FACTS_READ);
        if (i % 10 != 3)
            assert_int_equal(many[i].request.facts.height, (uint8_t)(2 * i + 2));
    }
}

/* 5 GB of a content that is nothing: a few blocks at the most are asked for. */
static void a_large_content_costs_a_few_reads(void **state) {
    struct content c = {.fails = MS_OK};

    (void)state;
    use(truth, NULL, 60000);
    assert_ok(examine(&c, UINT64_C(5) << 30, &test_err));
    assert_int_equal(c.request.facts.outcome, MS_FACTS_UNREADABLE);
    assert_true(c.reads <= 8);
    assert_ok(examine(&c, 0, &test_err));
    assert_int_equal(c.request.facts.outcome, MS_FACTS_UNREADABLE);
    assert_string_equal(c.request.facts.reason, "it is empty");
}

static unsigned descriptors(void) {
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    for (struct dirent *e; (e = readdir(dir));)
        n++;
    closedir(dir);
    return n;
}

static void nothing_is_left_behind(void **state) {
    unsigned before, after;

    (void)state;
    ms_prober_free(MS_TAKE(prober));
    before = descriptors();
    each_misdeed_fails_its_content_only(state);
    ms_prober_free(MS_TAKE(prober));
    after = descriptors();
    assert_int_equal(before, after);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child */
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_misdeed_fails_its_content_only),
        cmocka_unit_test(whoever_hangs_is_ended),
        cmocka_unit_test(what_comes_behind_an_answer_changes_nothing),
        cmocka_unit_test(a_store_that_is_away_is_no_fact_about_a_content),
        cmocka_unit_test(a_program_that_is_missing_is_no_fact_about_a_content),
        cmocka_unit_test(many_contents_are_served_by_a_few_programs),
        cmocka_unit_test(a_large_content_costs_a_few_reads),
        cmocka_unit_test(nothing_is_left_behind),
    };
    int failed;

    if (argc != 3) {
        fprintf(stderr, "usage: %s LIAR MSASSET-PROBE\n", argv[0]);
        return 2;
    }
    liar = argv[1];
    truth = argv[2];
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ms_prober_free(prober);
    return failed;
}
