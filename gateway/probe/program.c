#include "probe/program.h"

#include "base/clock.h"
#include "base/scope.h"
#include "probe/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_MS 60000
#define LEAVE_MS 2000 /* who has answered goes; who does not is ended with its program */

/* ---- starting -------------------------------------------------------------------------------- */

/* Nothing of ours but the control socket: no descriptor, no environment, no masked signal. */
static int spawn(const struct ms_prober_options *options, int control, pid_t *ret_pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    char *argv[] = {(char *)(uintptr_t)options->program, (char *)(uintptr_t)options->argument,
                    NULL};
    char *environment[] = {NULL};
    int error;

    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attr) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    error = posix_spawn_file_actions_adddup2(&actions, control, MS_PROBE_CONTROL_FD);
    for (int fd = 0; !error && fd < MS_PROBE_CONTROL_FD; fd++)
        error = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", fd ? 1 : 0, 0);
    if (!error)
        error = posix_spawn_file_actions_addclosefrom_np(&actions, MS_PROBE_CONTROL_FD + 1);
    if (!error)
        error = posix_spawn(ret_pid, options->program, &actions, &attr, argv, environment);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

void ms_probe_program_end(struct ms_probe_program *p) {
    if (p->pid > 0) {
        (void)kill(-p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    if (p->control >= 0)
        close(p->control);
    *p = (struct ms_probe_program)MS_PROBE_PROGRAM_NONE;
}

/* ---- talking, with a limit of time ------------------------------------------------------------ */

struct talk {
    int fd;
    int64_t left_ns; /* that the program may still let us wait */
};

static int64_t now_ns(void) { return ms_clock_mono_ns(ms_clock_system()); }

/* Errors: 0, or the errno of what went wrong; ETIMEDOUT; EPIPE the other end is gone. */
static int wait_for(struct talk *t, short events) {
    struct pollfd p = {t->fd, events, 0};
    int64_t began = now_ns();
    int got;

    if (t->left_ns <= 0)
        return ETIMEDOUT;
    got = poll(&p, 1, (int)(t->left_ns / 1000000) + 1);
    t->left_ns -= now_ns() - began;
    if (got < 0 && errno != EINTR)
        return errno;
    return got == 0 ? ETIMEDOUT : 0;
}

static int get(struct talk *t, void *p, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t got = recv(t->fd, (uint8_t *)p + at, n - at, MSG_DONTWAIT);
        int error = 0;

        if (got == 0)
            return EPIPE;
        if (got > 0)
            at += (size_t)got;
        else if (errno == EAGAIN || errno == EINTR)
            error = wait_for(t, POLLIN);
        else
            error = errno == ECONNRESET ? EPIPE : errno;
        if (error)
            return error;
    }
    return 0;
}

static int put(struct talk *t, const void *p, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t sent = send(t->fd, (const uint8_t *)p + at, n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        int error = 0;

        if (sent >= 0)
            at += (size_t)sent;
        else if (errno == EAGAIN || errno == EINTR)
            error = wait_for(t, POLLOUT);
        else
            error = errno == ECONNRESET ? EPIPE : errno;
        if (error)
            return error;
    }
    return 0;
}

static bool is_ready(int control) {
    struct talk t = {control, READY_MS * INT64_C(1000000)};
    uint8_t word[4];

    return get(&t, word, sizeof word) == 0 && ms_probe_u32_decode(word) == 0;
}

enum ms_code ms_probe_program_start(struct ms_probe_program *p,
                                    const struct ms_prober_options *options,
                                    struct ms_error *reterr) {
    int pair[2], error;

    if (p->pid > 0 && p->contents < options->contents_max)
        return MS_OK;
    ms_probe_program_end(p);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return ms_fail(reterr, MS_UNAVAILABLE, "contents cannot be examined: no socket: %s",
                       strerror(errno));
    error = spawn(options, pair[1], &p->pid);
    close(pair[1]);
    p->control = pair[0];
    if (error)
        p->pid = 0;
    if (!error && is_ready(p->control))
        return MS_OK;
    ms_probe_program_end(p);
    return ms_fail(reterr, MS_UNAVAILABLE, "contents cannot be examined: %s %s%s; install it anew",
                   options->program, error ? "cannot be started: " : "cannot shut itself in",
                   error ? strerror(error) : "");
}

/* ---- one content ----------------------------------------------------------------------------- */

struct exam {
    struct talk talk;
    const struct ms_prober_options *options;
    struct ms_probe_request *request;
    uint8_t *bytes; /* of a READ */
    char *reason;
    size_t reason_size;
    bool vanished; /* it ended without an answer: its status says why */
};

static enum ms_probe_end MS_PRINTF(2, 3) give_up(struct exam *e, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(e->reason, e->reason_size, fmt, ap);
    va_end(ap);
    return MS_PROBE_END_GAVE_UP;
}

static enum ms_probe_end broken_talk(struct exam *e, int error) {
    if (error == ETIMEDOUT)
        return give_up(e, "its examination took longer than %" PRId64 " ms", e->options->wait_ms);
    e->vanished = true;
    return give_up(e, "its examination ended without an answer");
}

/* *ret_more: it goes on. */
static enum ms_probe_end serve_read(struct exam *e, const struct ms_probe_head *head,
                                    bool *ret_more) {
    struct ms_probe_request *r = e->request;
    uint8_t n[4];
    int error;

    if (head->n == 0 || head->n > MS_PROBE_READ_MAX || head->offset > r->size ||
        head->n > r->size - head->offset)
        return give_up(e, "its examiner asked for bytes that there are not");
    if (++r->reads > e->options->reads_max)
        return give_up(e, "its examination needs more than %" PRIu64 " reads",
                       e->options->reads_max);
    r->code = r->read(r, head->offset, e->bytes, head->n, &r->error);
    if (r->code != MS_OK)
        return MS_PROBE_END_FAILED;
    ms_probe_u32_encode(head->n, n);
    error = put(&e->talk, n, sizeof n);
    if (!error)
        error = put(&e->talk, e->bytes, head->n);
    *ret_more = !error;
    return error ? broken_talk(e, error) : MS_PROBE_END_ANSWERED;
}

static enum ms_probe_end take_facts(struct exam *e, const struct ms_probe_head *head) {
    uint8_t record[MS_PROBE_FACTS_MAX];
    struct ms_error err;
    int error;

    if (head->n > sizeof record)
        return give_up(e, "its examiner answered %" PRIu32 " bytes", head->n);
    error = get(&e->talk, record, head->n);
    if (error)
        return broken_talk(e, error);
    if (ms_facts_decode(ms_view_of(record, head->n), &e->request->facts, &err) != MS_OK)
        return give_up(e, "its examiner answered nonsense: %.80s", err.message);
    return MS_PROBE_END_ANSWERED;
}

static enum ms_probe_end converse(struct exam *e) {
    uint8_t bytes[MS_PROBE_HEAD_BYTES], size[8];
    enum ms_probe_end end = MS_PROBE_END_ANSWERED;
    int error;
    bool more = true;

    ms_probe_u64_encode(e->request->size, size);
    error = put(&e->talk, size, sizeof size);
    while (!error && more) {
        struct ms_probe_head head;

        more = false;
        error = get(&e->talk, bytes, sizeof bytes);
        if (error)
            break;
        head = ms_probe_head_decode(bytes);
        if (head.kind == MS_PROBE_FACTS)
            end = take_facts(e, &head);
        else if (head.kind == MS_PROBE_READ)
            end = serve_read(e, &head, &more);
        else
            end = give_up(e, "its examiner spoke nonsense");
    }
    return error ? broken_talk(e, error) : end;
}

/* The examiner has ended, or ends now that nobody hears it. False: it does not. */
static bool is_over(struct ms_probe_program *p, uint32_t *ret_status) {
    struct talk t = {p->control, LEAVE_MS * INT64_C(1000000)};
    uint8_t word[4];

    if (get(&t, word, sizeof word) != 0)
        return false;
    *ret_status = ms_probe_u32_decode(word);
    return true;
}

/* What a status of wait(2) says, when there was no answer. */
static void explain(struct exam *e, uint32_t status) {
    int s = (int)status;

    if (WIFSIGNALED(s) && WTERMSIG(s) == SIGXCPU)
        (void)give_up(e, "its examination used up its processor time");
    else if (WIFSIGNALED(s))
        (void)give_up(e, "its examiner was ended by signal %d", WTERMSIG(s));
    else if (WIFEXITED(s) && WEXITSTATUS(s) != 0)
        (void)give_up(e, "its examiner ended with status %d", WEXITSTATUS(s));
}

/* That says nothing about the content. */
static enum ms_probe_end no_fork(struct exam *e) {
    e->request->code = ms_fail(&e->request->error, MS_UNAVAILABLE,
                               "contents cannot be examined: there is no process to be had");
    return MS_PROBE_END_FAILED;
}

static enum ms_probe_end talk_over(struct ms_probe_program *p, struct exam *e, int fd) {
    enum ms_probe_end end;
    uint32_t status = 0;
    bool over;

    e->talk.fd = fd;
    end = converse(e);
    close(fd);
    over = (end != MS_PROBE_END_GAVE_UP || e->vanished) && is_over(p, &status);
    if (over && e->vanished && status == UINT32_MAX)
        end = no_fork(e);
    else if (over && e->vanished)
        explain(e, status);
    if (!over || end == MS_PROBE_END_GAVE_UP)
        ms_probe_program_end(p);
    return end;
}

enum ms_probe_end ms_probe_program_examine(struct ms_probe_program *p,
                                           const struct ms_prober_options *options,
                                           struct ms_probe_request *request, char *ret_reason,
                                           size_t reason_size) {
    struct exam e = {.talk = {-1, options->wait_ms * 1000000},
                     .options = options,
                     .request = request,
                     .bytes = malloc(MS_PROBE_READ_MAX),
                     .reason = ret_reason,
                     .reason_size = reason_size};
    enum ms_probe_end end = MS_PROBE_END_FAILED;
    int pair[2] = {-1, -1};

    p->contents++;
    if (!e.bytes || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        request->code =
            ms_fail(&request->error, MS_NO_MEMORY, "no memory or socket to examine a content");
    } else if (!ms_probe_send_fd(p->control, pair[1])) {
        close(pair[0]);
        close(pair[1]);
        end = give_up(&e, "its examiner was gone");
        ms_probe_program_end(p);
    } else {
        close(pair[1]);
        end = talk_over(p, &e, pair[0]);
    }
    free(e.bytes);
    return end;
}
