/* frozen.c — how long readers of a frozen file go on reading.
 *
 *   ms_frozen GATE FILE...
 *
 * On each FILE (the same one, seen through several mounts) a handle is opened, and a mapping is made;
 * all of their pages are read, so that the kernel has them. Then GATE is made: whoever waits for it
 * freezes the file, and makes GATE.frozen when that has returned. From then on handle and mapping are read
 * over and over until the handle gets EACCES and the mapping SIGBUS. Prints how long each took, counted
 * from when the freeze had returned; the bound is that of a hung machine, not a verdict.
 * Then GATE.thawed is waited for, and the same handles must read again.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 8
#define WAIT_NS INT64_C(120000000000)

struct reader {
    const char *path;
    int fd;
    const volatile uint8_t *map;
    size_t size;
    int64_t handle_ns, map_ns; /* -1: still reads */
};

static sigjmp_buf fault;

static void on_bus(int number) {
    (void)number;
    siglongjmp(fault, 1);
}

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void die(const char *what, const char *path) {
    fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
    exit(1);
}

static void nap(void) { nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); }

static bool is_there(const char *gate, const char *suffix) {
    char path[4096];
    snprintf(path, sizeof path, "%s%s", gate, suffix);
    return access(path, F_OK) == 0;
}

static void wait_for(const char *gate, const char *suffix) {
    int64_t until = now_ns() + WAIT_NS;
    while (!is_there(gate, suffix)) {
        if (now_ns() > until) {
            fprintf(stderr, "%s%s does not come\n", gate, suffix);
            exit(1);
        }
        nap();
    }
}

/* Errno of the first read that fails, 0 when all of the file is read. */
static int read_all(const struct reader *r) {
    char bytes[65536];
    for (size_t at = 0; at < r->size;) {
        ssize_t n = pread(r->fd, bytes, sizeof bytes, (off_t)at);
        if (n < 0)
            return errno;
        if (n == 0)
            return EIO;
        at += (size_t)n;
    }
    return 0;
}

/* False: SIGBUS. */
static bool touch_all(const struct reader *r) {
    volatile unsigned sum = 0;
    if (sigsetjmp(fault, 1) != 0)
        return false;
    for (size_t at = 0; at < r->size; at += 4096)
        sum += r->map[at];
    return true;
}

static void open_reader(struct reader *r, const char *path) {
    struct stat st;
    *r = (struct reader){.path = path, .handle_ns = -1, .map_ns = -1};
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0 || fstat(r->fd, &st) != 0)
        die("cannot open", path);
    r->size = (size_t)st.st_size;
    r->map = mmap(NULL, r->size, PROT_READ, MAP_SHARED, r->fd, 0);
    if (r->map == MAP_FAILED)
        die("cannot map", path);
    errno = read_all(r);
    if (errno || !touch_all(r))
        die("cannot read", path);
}

/* One look at both; true when neither reads any longer. */
static bool look(struct reader *r, int64_t since) {
    int err = r->handle_ns < 0 ? read_all(r) : 0;
    if (err != 0 && err != EACCES)
        die("a read failed, but not with EACCES:", r->path);
    if (err != 0)
        r->handle_ns = now_ns() - since;
    if (r->map_ns < 0 && !touch_all(r))
        r->map_ns = now_ns() - since;
    return r->handle_ns >= 0 && r->map_ns >= 0;
}

static void until_shut(struct reader *readers, int n) {
    int64_t since = now_ns();
    for (bool all = false; !all;) {
        all = true;
        for (int i = 0; i < n; i++)
            all &= look(&readers[i], since);
        if (!all && now_ns() - since > WAIT_NS) {
            fprintf(stderr, "a reader goes on reading\n");
            exit(1);
        }
        if (!all)
            nap();
    }
}

static void until_open(const struct reader *r) {
    int64_t until = now_ns() + WAIT_NS;
    while (read_all(r) != 0 || !touch_all(r)) {
        if (now_ns() > until)
            die("does not read again:", r->path);
        nap();
    }
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = on_bus};
    struct reader readers[FILES_MAX];
    int n = argc - 2;
    if (n < 1 || n > FILES_MAX) {
        fprintf(stderr, "usage: ms_frozen GATE FILE...\n");
        return 64;
    }
    sigaction(SIGBUS, &action, NULL);
    for (int i = 0; i < n; i++)
        open_reader(&readers[i], argv[2 + i]);
    int gate = open(argv[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (gate < 0)
        die("cannot make", argv[1]);
    close(gate);
    wait_for(argv[1], ".frozen");
    until_shut(readers, n);
    for (int i = 0; i < n; i++)
        printf("%s: handle shut after %lld ms, mapping after %lld ms\n", readers[i].path,
               (long long)(readers[i].handle_ns / 1000000),
               (long long)(readers[i].map_ns / 1000000));
    fflush(stdout);
    wait_for(argv[1], ".thawed");
    for (int i = 0; i < n; i++)
        until_open(&readers[i]);
    return 0;
}
