#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- the store that kills ---------------------------------------------------------------- */

struct killer {
    struct ms_obj obj;
    struct ms_obj *inner;
    unsigned at;
    bool after;
    atomic_uint seen;
};

struct passed_on {
    struct killer *killer;
    void (*done)(struct ms_obj_request *request);
    void *priv;
};

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static void count(struct killer *k, bool after) {
    if (after == k->after && k->at != 0 && atomic_fetch_add(&k->seen, 1) + 1 == k->at)
        die();
}

static void answered(struct ms_obj_request *request) {
    struct passed_on *p = request->priv;
    struct passed_on was = *p;
    free(p);
    count(was.killer, true);
    request->done = was.done;
    request->priv = was.priv;
    was.done(request);
}

static void submit(struct ms_obj *obj, struct ms_obj_request *request) {
    struct killer *k = MS_CONTAINER_OF(obj, struct killer, obj);
    struct passed_on *p = malloc(sizeof *p);
    if (!p)
        die();
    count(k, false);
    *p = (struct passed_on){k, request->done, request->priv};
    request->done = answered;
    request->priv = p;
    ms_obj_submit(k->inner, request);
}

static void cancel(struct ms_obj *obj, struct ms_obj_request *request) {
    ms_obj_cancel(MS_CONTAINER_OF(obj, struct killer, obj)->inner, request);
}

static void close_nothing(struct ms_obj *obj) { (void)obj; }

static const struct ms_obj_ops killer_ops = {
    .name = "killer", .submit = submit, .cancel = cancel, .close = close_nothing};

/* ---- the disk that kills ----------------------------------------------------------------- */

static struct {
    atomic_uint seen, at; /* at 0: off */
    bool after, writes;
} syncs;

static void count_sync(bool after) {
    if (after == syncs.after && atomic_load(&syncs.at) != 0 &&
        atomic_fetch_add(&syncs.seen, 1) + 1 == atomic_load(&syncs.at))
        die();
}

/* In the place of the C library's: LMDB calls it once a commit, the directory of objects before it
 * answers. */
int fdatasync(int fd) {
    count_sync(false);
    int rc = (int)syscall(SYS_fdatasync, fd);
    count_sync(true);
    return rc;
}

/* Likewise; what calls them is the map of the store, journals, and the directory of objects. */
static void count_write(bool after) {
    if (syncs.writes)
        count_sync(after);
}

ssize_t write(int fd, const void *p, size_t n) {
    count_write(false);
    ssize_t rc = syscall(SYS_write, fd, p, n);
    count_write(true);
    return rc;
}

ssize_t writev(int fd, const struct iovec *iov, int n) {
    count_write(false);
    ssize_t rc = syscall(SYS_writev, fd, iov, n);
    count_write(true);
    return rc;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at) {
    count_write(false);
    ssize_t rc = syscall(SYS_pwrite64, fd, p, n, at);
    count_write(true);
    return rc;
}

/* What programs call that were not compiled for large files: LMDB. */
ssize_t short_pwrite(int fd, const void *p, size_t n, off_t at) __asm__("pwrite");
ssize_t short_pwrite(int fd, const void *p, size_t n, off_t at) { return pwrite(fd, p, n, at); }

/* ---- the child --------------------------------------------------------------------------- */

void child_says(char what) {
    if (write(STDOUT_FILENO, &what, 1) != 1)
        die();
}

static void complain(const struct ms_error *err) {
    fprintf(stderr, "child: %s: %s\n", ms_code_name(err->code), err->message);
    _exit(9);
}

/* argv: program, "child", folder, now, tenant, work, path, kill_at, after, plain, syncs,
 * writeback */
static void be_child(char **argv, const struct child_work *works, size_t n) {
    struct child c = {.path = argv[6]};
    struct killer killer = {.at = (unsigned)strtoul(argv[7], NULL, 10), .after = argv[8][0] == '1'};
    struct ms_error err = {0};
    ms_clock_fake_init(&c.clock, ms_instant_of(strtoll(argv[3], NULL, 10)));
    struct ms_svc_options options = {.dir = argv[2],
                                     .clock = &c.clock.clock,
                                     .label = "child",
                                     .engine_threads = 4,
                                     .cache_bytes = 16 * MS_MB,
                                     .journal_bytes_max = UINT64_C(1) << 40,
                                     .writeback = argv[11][0] == '1'};
    if (ms_svc_open(&options, &c.svc, &err) != MS_OK)
        complain(&err);
    c.ctx = (struct ms_ctx){.who = "child"};
    if (ms_id_parse(argv[4], &c.ctx.tenant.id, &err) != MS_OK)
        complain(&err);
    killer.inner = c.svc->obj;
    killer.obj =
        (struct ms_obj){.ops = &killer_ops, .caps = killer.inner->caps, .engine = c.svc->engine};
    if (argv[10][0] != '0') {
        syncs.after = killer.after;
        syncs.writes = argv[10][0] == '2';
        atomic_store(&syncs.at, killer.at);
        killer.at = 0;
    }
    if (argv[9][0] == '1')
        killer.obj.caps.multipart = killer.obj.caps.part_in_place = false;
    c.svc->obj = &killer.obj;
    child_says('r');
    for (size_t i = 0; i < n; i++)
        if (strcmp(works[i].name, argv[5]) == 0)
            works[i].fn(&c);
    atomic_store(&syncs.at, 0);
    c.svc->obj = killer.inner;
    ms_svc_close(c.svc);
}

void child_main(int argc, char **argv, const struct child_work *works, size_t n) {
    if (argc != 12 || strcmp(argv[1], "child") != 0)
        return;
    be_child(argv, works, n);
    exit(0);
}

/* ---- the parent -------------------------------------------------------------------------- */

static pid_t start(struct world *w, const struct child_plan *plan, int out) {
    char now[32], kill_at[16], tenant[MS_ID_TEXT_LEN + 1];
    posix_spawn_file_actions_t actions;
    pid_t pid;
    snprintf(now, sizeof now, "%lld", (long long)ms_clock_now(&w->clock.clock).ms);
    snprintf(kill_at, sizeof kill_at, "%u", plan->kill_at);
    ms_id_format(w->ctx.tenant.id, tenant);
    char *argv[] = {(char *)"/proc/self/exe",
                    (char *)"child",
                    w->dir,
                    now,
                    tenant,
                    (char *)(uintptr_t)plan->work,
                    (char *)(uintptr_t)(plan->path ? plan->path : ""),
                    kill_at,
                    (char *)(uintptr_t)(plan->after ? "1" : "0"),
                    (char *)(uintptr_t)(plan->plain ? "1" : "0"),
                    (char *)(uintptr_t)(plan->writes ? "2" : plan->syncs ? "1" : "0"),
                    (char *)(uintptr_t)(plan->writeback ? "1" : "0"),
                    NULL};
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO), 0);
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

/* Until it ends; after its first word at most kill_ms, when that is set. */
static void listen_to(int in, pid_t pid, unsigned kill_ms, struct child_end *end) {
    size_t n = 0;
    struct pollfd p = {.fd = in, .events = POLLIN};
    for (;;) {
        char c;
        if (kill_ms > 0 && n > 0 && poll(&p, 1, (int)kill_ms) == 0) {
            kill(pid, SIGKILL);
            kill_ms = 0;
        }
        ssize_t got = read(in, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        if (n + 1 < sizeof end->said)
            end->said[n++] = c;
    }
    end->said[n] = '\0';
}

struct child_running child_start(struct world *w, const struct child_plan *plan) {
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct child_running running = {.pid = start(w, plan, fds[1]), .fd = fds[0]};
    close(fds[1]);
    return running;
}

void child_await(struct child_running *running, char word) {
    char c = 0;
    while (c != word)
        assert_int_equal(read(running->fd, &c, 1), 1);
}

void child_kill(const struct child_running *running) {
    assert_int_equal(kill(running->pid, SIGKILL), 0);
}

static struct child_end hear_out(struct child_running *running, unsigned kill_ms) {
    struct child_end end = {.killed = false};
    int status;
    listen_to(running->fd, running->pid, kill_ms, &end);
    close(running->fd);
    while (waitpid(running->pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    end.killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    assert_true(end.killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return end;
}

struct child_end child_wait(struct child_running *running) {
    return hear_out(running, 0);
}

struct child_end child_run(struct world *w, const struct child_plan *plan) {
    struct child_running running = child_start(w, plan);
    return hear_out(&running, plan->kill_ms);
}
