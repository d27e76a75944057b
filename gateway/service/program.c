#include "service/program.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define ASK_MS INT64_C(50) /* between two questions whether it goes on */

extern char **environ;

/* A file without a name: a program that does not read it stops nobody. */
static enum ms_code input_of(const struct ms_program *p, int *ret_fd, struct ms_error *reterr) {
    int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, p->input.p, p->input.n) == (ssize_t)p->input.n &&
        lseek(fd, 0, SEEK_SET) == 0) {
        *ret_fd = fd;
        return MS_OK;
    }
    enum ms_code code = ms_fail_errno(reterr, errno, "cannot hand its input to the %s", p->what);
    if (fd >= 0)
        close(fd);
    return code;
}

static enum ms_code start(const struct ms_program *p, int in, int out, pid_t *ret_pid,
                          struct ms_error *reterr) {
    char copy[3001], argument[1024];
    char *own[] = {copy, p->argument ? argument : NULL, NULL};
    char *const *argv = p->words ? (char *const *)(uintptr_t)p->words : own;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all; /* a shell cannot take back that SIGPIPE is ignored, as it is here */
    sigemptyset(&none);
    sigfillset(&all);
    (void)snprintf(copy, sizeof copy, "%s", p->path);
    (void)snprintf(argument, sizeof argument, "%s", p->argument ? p->argument : "");
    int err = posix_spawn_file_actions_init(&actions);
    if (err == 0)
        err = posix_spawnattr_init(&attr);
    if (err == 0)
        err = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    if (err == 0)
        err = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (err == 0 && p->hears_errors)
        err = posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
    if (err == 0)
        err = posix_spawnattr_setflags(
            &attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (err == 0)
        err = posix_spawnattr_setsigmask(&attr, &none);
    if (err == 0)
        err = posix_spawnattr_setsigdefault(&attr, &all);
    if (err == 0)
        err = posix_spawn(ret_pid, p->path, &actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    if (err == 0)
        return MS_OK;
    return ms_fail_errno(reterr, err, "the %s %s cannot be started", p->what, p->path);
}

/* How long it is waited for. */
struct patience {
    const struct ms_program *p;
    int64_t end_ns, ask_ns; /* ask_ns: when goes_on is asked next */
    bool stopped;           /* it said no */
};

static bool may_go_on(struct patience *w, int64_t now_ns) {
    if (!w->p->goes_on || now_ns < w->ask_ns)
        return true;
    w->stopped = !w->p->goes_on(w->p->priv);
    w->ask_ns = ms_clock_mono_ns(ms_clock_system()) + ASK_MS * 1000000;
    return !w->stopped;
}

/* False: the time is over, or it does not go on. */
static bool wait_for(int fd, struct patience *w) {
    const struct ms_clock *clock = ms_clock_system(); /* the program lives in real time */
    const int64_t most_ms = w->p->goes_on ? ASK_MS : 60000;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (;;) {
        int64_t now_ns = ms_clock_mono_ns(clock), left_ms = (w->end_ns - now_ns) / 1000000;
        if (left_ms <= 0 || !may_go_on(w, now_ns))
            return false;
        int n = poll(&p, 1, (int)(left_ms < most_ms ? left_ms : most_ms));
        if (n > 0 || (n < 0 && errno != EINTR))
            return n > 0;
    }
}

/* What it says until it closes its output, and then its end. False: its time was over before. */
static bool hear_out(int fd, int pidfd, struct patience *w, char said[MS_PROGRAM_SAID_MAX + 1]) {
    char piece[1024];
    size_t n = 0;
    ssize_t got = 1;
    while (got > 0) {
        if (!wait_for(fd, w))
            return false;
        got = read(fd, piece, sizeof piece);
        size_t take = got > 0 ? (size_t)got : 0;
        take = take < MS_PROGRAM_SAID_MAX - n ? take : MS_PROGRAM_SAID_MAX - n;
        memcpy(said + n, piece, take);
        n += take;
    }
    said[n] = '\0';
    return wait_for(pidfd, w);
}

static enum ms_code judge_end(const struct patience *w, bool in_time, int status,
                              struct ms_program_answer *answer, struct ms_error *reterr) {
    const struct ms_program *p = w->p;
    if (w->stopped)
        return ms_fail(reterr, MS_CANCELLED, "the %s %.100s was stopped", p->what, p->path);
    if (!in_time)
        return ms_fail(reterr, MS_TIMEOUT, "the %s %.100s did not answer in its time", p->what,
                       p->path);
    if (!WIFEXITED(status))
        return ms_fail(reterr, MS_PROTOCOL, "the %s %.100s was ended by signal %d", p->what,
                       p->path, WTERMSIG(status));
    answer->status = WEXITSTATUS(status);
    return MS_OK;
}

static enum ms_code run(const struct ms_program *p, int in, struct ms_program_answer *answer,
                        struct ms_error *reterr) {
    int fds[2], status = 0;
    pid_t pid;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return ms_fail_errno(reterr, errno, "cannot hear the %s", p->what);
    enum ms_code code = start(p, in, fds[1], &pid, reterr);
    close(fds[1]);
    if (code != MS_OK) {
        close(fds[0]);
        return code;
    }
    int pidfd = pidfd_open(pid, 0);
    int64_t now_ns = ms_clock_mono_ns(ms_clock_system());
    struct patience w = {.p = p, .end_ns = now_ns + p->timeout_ms * 1000000, .ask_ns = now_ns};
    bool in_time = pidfd >= 0 && hear_out(fds[0], pidfd, &w, answer->said);
    close(fds[0]);
    if (pidfd >= 0)
        close(pidfd);
    if (!in_time || p->ends_group)
        (void)kill(-pid, SIGKILL); /* with all that it has started; its number is ours until it is waited for */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return judge_end(&w, in_time, status, answer, reterr);
}

enum ms_code ms_program_ask(const struct ms_program *program, struct ms_program_answer *ret_answer,
                            struct ms_error *reterr) {
    int in;
    ret_answer->said[0] = '\0';
    MS_TRY(input_of(program, &in, reterr));
    enum ms_code code = run(program, in, ret_answer, reterr);
    close(in);
    return code;
}
