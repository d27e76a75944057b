/* frozen.c — how long readers of a frozen file go on reading.
 *
 *   ms_frozen GATE FILE...
 *
 * On each FILE (the same one, seen through several mounts) a handle is opened, and a mapping is made;
 * all of their pages are read, so that the kernel has them. Then GATE is made: whoever waits for it
 * makes GATE.begun, freezes the file, and makes GATE.frozen when that has returned. All the while handle and
 * mapping are read over and over until the handle gets EACCES and the mapping SIGBUS. Prints when that was,
 * counted from GATE.begun. A freeze returns when nobody reads any longer: who still does once GATE.frozen
 * is there is a failure.
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
    int64_t handle_ns, map_ns; /* of CLOCK_REALTIME, which files have too; -1: still reads */
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

static int64_t real_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
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

/* When GATE<suffix> was made; 0: it is not there. */
static int64_t made_ns(const char *gate, const char *suffix) {
    char path[4096];
    struct stat st;
    snprintf(path, sizeof path, "%s%s", gate, suffix);
    return stat(path, &st) == 0 ? (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec : 0;
}

static void tell(const struct reader *r, const char *gate) {
    int64_t begun = made_ns(gate, ".begun");
    printf("%s: handle shut after %lld ms, mapping after %lld ms\n", r->path,
           (long long)((r->handle_ns - begun) / 1000000), (long long)((r->map_ns - begun) / 1000000));
    fflush(stdout);
}

/* One look at both; true when neither reads any longer. */
static bool look(struct reader *r) {
    int err = r->handle_ns < 0 ? read_all(r) : 0;
    if (err != 0 && err != EACCES)
        die("a read failed, but not with EACCES:", r->path);
    if (err != 0)
        r->handle_ns = real_ns();
    if (r->map_ns < 0 && !touch_all(r))
        r->map_ns = real_ns();
    return r->handle_ns >= 0 && r->map_ns >= 0;
}

static void until_shut(struct reader *readers, int n, const char *gate) {
    int64_t since = now_ns();
    for (int shut = 0; shut < n;) {
        bool over = is_there(gate, ".frozen"); /* before the look, which must find nothing then */
        for (int i = shut = 0; i < n; i++) {
            bool was = readers[i].handle_ns >= 0 && readers[i].map_ns >= 0;
            bool is = was || look(&readers[i]);
            if (is && !was)
                tell(&readers[i], gate);
            shut += is;
        }
        if (shut < n && (over || now_ns() - since > WAIT_NS)) {
            fprintf(stderr, over ? "the freeze has returned, and a reader goes on reading\n"
                                 : "a reader goes on reading\n");
            exit(1);
        }
        if (shut < n)
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
    until_shut(readers, n, argv[1]);
    wait_for(argv[1], ".thawed");
    for (int i = 0; i < n; i++)
        until_open(&readers[i]);
    return 0;
}
