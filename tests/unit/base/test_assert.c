#include "support/test.h"

#include "base/assert.h"
#include "base/scope.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_broken_assertion_names_its_place_and_aborts(void **state) {
    char text[600] = {0};
    int pipe_fd[2], status;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(pipe_fd), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit no_core = {0, 0};

        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(pipe_fd[1], STDERR_FILENO);
        MS_ASSERT(1 + 1 == 3);
        _exit(0);
    }
    close(pipe_fd[1]);
    assert_true(read(pipe_fd[0], text, sizeof text - 1) > 0);
    close(pipe_fd[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "test_assert.c:"));
    assert_non_null(strstr(text, "a_broken_assertion_names_its_place_and_aborts"));
    assert_non_null(strstr(text, "1 + 1 == 3"));
}

static void an_assertion_looks_once(void **state) {
    int looks = 0;

    (void)state;
    MS_ASSERT(++looks == 1);
    assert_int_equal(looks, 1);
}

static void count_free(char **p) {
    if (*p)
        (*p)[0]++;
}

static void a_taken_pointer_is_not_freed_at_the_end(void **state) {
    char kept[] = "a", left[] = "a";
    char *taken;

    (void)state;
    {
        MS_AUTO(count_free) char *p = kept;
        MS_AUTO(count_free) char *q = left;

        taken = MS_TAKE(p);
        assert_null(p);
        assert_ptr_equal(q, left);
    }
    assert_ptr_equal(taken, kept);
    assert_string_equal(kept, "a");
    assert_string_equal(left, "b");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_assertion_names_its_place_and_aborts),
        cmocka_unit_test(an_assertion_looks_once),
        cmocka_unit_test(a_taken_pointer_is_not_freed_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
