/* blocked.c — what an unrelated caller waits while other files hang in close().
 *
 *   ms_blocked DIR GATE FILES ROUNDS
 *
 * The store of the mount is held while the file GATE exists. FILES files are written and closed,
 * each on a thread of its own; once all of them are in close(), ROUNDS times a stat of a file that
 * nobody has asked for yet, a listing, a new folder and a new name are timed. Then the gate opens,
 * and every close must succeed. Prints microseconds.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 256
#define OPS 4
#define WAIT_MS 60000

struct shared {
    const char *dir;
    atomic_uint closing, closed, failed;
};
struct closer {
    struct shared *shared;
    pthread_t thread;
    unsigned number;
};

static uint64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void pause_ms(unsigned ms) {
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&ts, &ts) != 0)
        continue;
}

static void *write_and_close(void *priv) {
    struct closer *c = priv;
    struct shared *s = c->shared;
    char path[4096];
    static const char block[100000];
    (void)snprintf(path, sizeof path, "%s/closing%u", s->dir, c->number);
    int fd = open(path, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0644);
    size_t blocks = c->number % 4 == 3 ? 200 : 1; /* every fourth one has several parts */
    int bad = fd < 0;
    for (size_t i = 0; i < blocks && !bad; i++)
        bad = write(fd, block, sizeof block) != (ssize_t)sizeof block;
    atomic_fetch_add(&s->closing, 1);
    bad |= close(fd) != 0;
    atomic_fetch_add(&s->failed, (unsigned)bad);
    atomic_fetch_add(&s->closed, 1);
    return NULL;
}

static int list(const char *dir) {
    DIR *d = opendir(dir);
    if (!d)
        return -1;
    while (readdir(d))
        continue;
    return closedir(d);
}

static int one(const char *dir, unsigned op, unsigned n) {
    char path[4096];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s%u", dir,
                   op == 0   ? "there"
                   : op == 2 ? "folder"
                             : "name",
                   n);
    switch (op) {
    case 0:
        return stat(path, &st);
    case 1:
        return list(dir);
    case 2:
        return mkdir(path, 0755);
    default:
        return mknod(path, S_IFIFO | 0644, 0);
    }
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int measure(const char *dir, unsigned rounds) {
    static const char *const names[OPS] = {"stat", "list", "mkdir", "mkfifo"};
    uint64_t *us = calloc(rounds, sizeof *us);
    if (!us)
        return -1;
    for (unsigned op = 0; op < OPS; op++) {
        for (unsigned i = 0; i < rounds; i++) {
            uint64_t begin = now_ns();
            if (one(dir, op, i) != 0) {
                fprintf(stderr, "%s %u: %s\n", names[op], i, strerror(errno));
                free(us);
                return -1;
            }
            us[i] = (now_ns() - begin) / 1000;
        }
        qsort(us, rounds, sizeof *us, by_size);
        printf("%-6s p50 %" PRIu64 " us, p99 %" PRIu64 " us, max %" PRIu64 " us\n", names[op],
               us[rounds / 2], us[rounds * 99 / 100], us[rounds - 1]);
    }
    free(us);
    return 0;
}

static int judge(struct shared *s, const char *gate, unsigned files, unsigned rounds) {
    for (unsigned i = 0; i < WAIT_MS && atomic_load(&s->closing) < files; i++)
        pause_ms(1);
    pause_ms(300); /* from "about to close" into close() */
    int bad = measure(s->dir, rounds);
    unsigned closed = atomic_load(&s->closed);
    printf("%u files were in close() all the time, %u were not\n", files - closed, closed);
    return unlink(gate) != 0 || bad || closed != 0;
}

int main(int argc, char **argv) {
    static struct closer closers[FILES_MAX];
    if (argc != 5)
        return 64;
    struct shared shared = {.dir = argv[1]};
    unsigned files = (unsigned)strtoul(argv[3], NULL, 10),
             rounds = (unsigned)strtoul(argv[4], NULL, 10);
    if (files < 1 || files > FILES_MAX || rounds < 1)
        return 64;
    for (unsigned i = 0; i < files; i++) {
        closers[i] = (struct closer){.shared = &shared, .number = i};
        if (pthread_create(&closers[i].thread, NULL, write_and_close, &closers[i]) != 0)
            return 71;
    }
    int bad = judge(&shared, argv[2], files, rounds);
    for (unsigned i = 0; i < files; i++)
        pthread_join(closers[i].thread, NULL);
    printf("%u closes failed\n", atomic_load(&shared.failed));
    return bad || atomic_load(&shared.failed) ? 1 : 0;
}
