#include "support/test.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_fake_clock_moves_only_when_told(void **state) {
    struct ms_clock_fake fake;
    int64_t mono;

    (void)state;
    ms_clock_fake_init(&fake, ms_instant_of(5000));
    mono = ms_clock_mono_ns(&fake.clock);
    assert_int_equal(ms_clock_now(&fake.clock).ms, 5000);
    assert_int_equal(ms_clock_now(&fake.clock).ms, 5000);
    ms_clock_fake_advance(&fake, 7);
    assert_int_equal(ms_clock_now(&fake.clock).ms, 5007);
    assert_int_equal(ms_clock_mono_ns(&fake.clock), mono + 7000000);
    ms_clock_fake_set(&fake, ms_instant_of(6007));
    assert_int_equal(ms_clock_mono_ns(&fake.clock), mono + 1007000000);
}

static void setting_the_wall_clock_back_does_not_turn_the_monotonic_one(void **state) {
    struct ms_clock_fake fake;
    int64_t mono;

    (void)state;
    ms_clock_fake_init(&fake, ms_instant_of(5000));
    mono = ms_clock_mono_ns(&fake.clock);
    ms_clock_fake_set(&fake, ms_instant_of(1000));
    assert_int_equal(ms_clock_now(&fake.clock).ms, 1000);
    assert_int_equal(ms_clock_mono_ns(&fake.clock), mono);
}

static void file_times_come_from_the_injected_clock(void **state) {
    struct ms_clock_fake fake;
    struct timespec ts;

    (void)state;
    ms_clock_fake_init(&fake, ms_instant_of(1234567));
    ts = ms_clock_timespec(&fake.clock);
    assert_int_equal(ts.tv_sec, 1234);
    assert_int_equal(ts.tv_nsec, 567000000);
}

static void the_monotonic_clock_never_goes_back_and_sleep_waits(void **state) {
    const struct ms_clock *clock = ms_clock_system();
    int64_t before = ms_clock_mono_ns(clock);
    struct timespec until;

    (void)state;
    ms_clock_sleep_ns(0);
    ms_clock_sleep_ns(-5);
    ms_clock_sleep_ns(2000000);
    assert_true(ms_clock_mono_ns(clock) >= before + 2000000);
    until = ms_clock_mono_deadline(3000000000);
    assert_true(until.tv_sec * INT64_C(1000000000) + until.tv_nsec >= before + 3000000000);
    assert_true(ms_clock_mono_deadline(INT64_MAX).tv_sec > until.tv_sec);
    assert_true(ms_clock_kernel_now().ms > 0);
}

/* In a child, because a process decides once what its clock is. Prints now, twice, around a change.
 */
struct child {
    const char *now, *file, *later;
};

static _Noreturn void tell_time(const struct child *c, int out) {
    char first[MS_RFC3339_MS_LEN + 1], second[MS_RFC3339_MS_LEN + 1], text[64];
    int n;

    if (c->now)
        setenv("MS_TEST_NOW", c->now, 1);
    if (c->file)
        setenv("MS_TEST_NOW_FILE", c->file, 1);
    ms_instant_format_ms(ms_clock_now(ms_clock_system()), first);
    if (c->later)
        ms_test_write_file(c->file, c->later, strlen(c->later));
    ms_instant_format_ms(ms_clock_now(ms_clock_system()), second);
    n = snprintf(text, sizeof text, "%s %s", first, second);
    _exit(write(out, text, (size_t)n) == n ? 0 : 1);
}

/* The child's two times in text, or "" when it died. */
static void run_child(const struct child *c, char text[64]) {
    int pipe_fd[2], status;
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(pipe_fd), 0);
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(2);
        tell_time(c, pipe_fd[1]);
    }
    close(pipe_fd[1]);
    n = read(pipe_fd[0], text, 63);
    close(pipe_fd[0]);
    text[n > 0 ? n : 0] = '\0';
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        text[0] = '\0';
}

static int make_dir(void **state) {
    *state = ms_test_tmpdir_new();
    return 0;
}

static int remove_dir(void **state) {
    ms_test_tmpdir_remove(*state);
    return 0;
}

#ifdef MS_TESTING
static void a_testing_build_starts_at_ms_test_now(void **state) {
    char text[64];

    (void)state;
    run_child(&(struct child){.now = "2031-02-03T04:05:06.000Z"}, text);
    assert_memory_equal(text, "2031-02-03T04:", 14);
    run_child(&(struct child){.now = "tomorrow"}, text);
    assert_string_equal(text, "");
}

static void a_testing_build_follows_the_file(void **state) {
    char text[64];
    char *path = ms_test_path(*state, "now");

    ms_test_write_file(path, "2031-02-03T04:05:06Z\n", 21);
    run_child(&(struct child){.file = path, .later = "2033-01-01T00:00:00.007Z"}, text);
    assert_string_equal(text, "2031-02-03T04:05:06.000Z 2033-01-01T00:00:00.007Z");
    run_child(&(struct child){.file = path, .later = ""}, text); /* a writer between two writes */
    assert_string_equal(text, "2033-01-01T00:00:00.007Z 2033-01-01T00:00:00.007Z");
    run_child(&(struct child){.file = path}, text);
    assert_string_equal(text, "");
    free(path);
}
#else
static void a_release_build_obeys_no_variable(void **state) {
    char text[64];
    char *path = ms_test_path(*state, "now");

    ms_test_write_file(path, "2071-02-03T04:05:06Z", 20);
    run_child(&(struct child){.now = "2071-02-03T04:05:06Z", .file = path}, text);
    assert_memory_equal(text, "20", 2);
    assert_memory_not_equal(text, "2071", 4);
    free(path);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fake_clock_moves_only_when_told),
        cmocka_unit_test(setting_the_wall_clock_back_does_not_turn_the_monotonic_one),
        cmocka_unit_test(file_times_come_from_the_injected_clock),
#ifdef MS_TESTING
        cmocka_unit_test_setup_teardown(a_testing_build_starts_at_ms_test_now, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_testing_build_follows_the_file, make_dir, remove_dir),
#else
        cmocka_unit_test_setup_teardown(a_release_build_obeys_no_variable, make_dir, remove_dir),
#endif
        /* last: from here on this process has asked for the system's clock */
        cmocka_unit_test(the_monotonic_clock_never_goes_back_and_sleep_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
