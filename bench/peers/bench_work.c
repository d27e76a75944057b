/* bench_work — the one workload of bench/run: every contestant serves the very same system calls.
 *
 *   bench_work write FILE BYTES [sync]             in a row, pieces of 1 MiB, then close
 *   bench_work read FILE                           in a row, pieces of 1 MiB, every page checked
 *   bench_work forget FILE...                      drop the kernel's pages of these files, and no others
 *   bench_work read-streams FILE N BYTES           N threads, each with a handle of its own, read BYTES from its place
 *   bench_work write-streams DIR N BYTES [sync]    N threads, each writes a file of BYTES, then all are removed
 *   bench_work small DIR N BYTES WRITERS SECONDS [sync]   N small files, fewer when SECONDS have passed
 *   bench_work first FILE...                       open, read one byte, close: each on its own
 *   bench_work seeks FILE N BYTES PAUSE_MS RATE    N jumps to places not yet read, while a stream plays RATE bytes/s
 *   bench_work list DIR                            names and attributes of a folder
 *
 * "sync" calls fsync(2) before close(2). One line of JSON on stdout: bytes, count, seconds, cpu (user + system of this
 * program), and for single steps their milliseconds. Each page written begins with its own place in the file; a read
 * that finds something else is an error, because a figure for wrong bytes is worth nothing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096u
#define PIECE (1u << 20)
#define THREADS_MAX 256u
#define STEPS_MAX 4096u

static _Noreturn void die(const char *what) {
    fprintf(stderr, "bench_work: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_until(int64_t ns) {
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        continue;
}

static double cpu_s(void) {
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static uint64_t number(const char *text) {
    char *end;
    uint64_t n = strtoull(text, &end, 10);

    if (end == text || *end) {
        errno = EINVAL;
        die(text);
    }
    return n;
}

/* ---- bytes that know their place -------------------------------------------------------------- */

/* Noise, so that nobody gets anything for compressing; each thread has its own. */
static uint8_t *new_piece(uint64_t seed) {
    uint8_t *piece = aligned_alloc(PAGE, PIECE);

    if (!piece)
        die("memory");
    for (size_t i = 0; i < PIECE; i += sizeof seed) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        memcpy(piece + i, &seed, sizeof seed);
    }
    return piece;
}

static void stamp(uint8_t *piece, uint64_t at, size_t n) {
    for (size_t i = 0; i + sizeof at <= n; i += PAGE, at += PAGE)
        memcpy(piece + i, &at, sizeof at);
}

static void check(const char *path, const uint8_t *piece, uint64_t at, size_t n) {
    for (size_t i = 0; i < n; i += PAGE)
        if (n - i >= sizeof at) {
            uint64_t found;

            memcpy(&found, piece + i, sizeof found);
            if (found != at + i) {
                fprintf(stderr, "bench_work: %s: wrong bytes at %" PRIu64 "\n", path, at + i);
                exit(2);
            }
        }
}

static void write_file(const char *path, uint64_t bytes, bool sync, uint8_t *piece) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0)
        die(path);
    for (uint64_t at = 0; at < bytes; at += PIECE) {
        size_t n = bytes - at < PIECE ? (size_t)(bytes - at) : PIECE;

        stamp(piece, at, n);
        for (size_t done = 0; done < n;) {
            ssize_t m = write(fd, piece + done, n - done);

            if (m < 0)
                die(path);
            done += (size_t)m;
        }
    }
    if (sync && fsync(fd) != 0)
        die(path);
    if (close(fd) != 0)
        die(path);
}

static int open_to_read(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        die(path);
    return fd;
}

/* At most n bytes from a place; how many there were. */
static size_t read_at(int fd, const char *path, uint8_t *to, uint64_t at, size_t n) {
    size_t done = 0;

    while (done < n) {
        ssize_t m = pread(fd, to + done, n - done, (off_t)(at + done));

        if (m < 0)
            die(path);
        if (m == 0)
            break;
        done += (size_t)m;
    }
    check(path, to, at, done);
    return done;
}

static uint64_t read_run(int fd, const char *path, uint64_t at, uint64_t bytes, uint8_t *piece) {
    uint64_t done = 0;

    while (done < bytes) {
        size_t want = bytes - done < PIECE ? (size_t)(bytes - done) : PIECE;
        size_t n = read_at(fd, path, piece, at + done, want);

        done += n;
        if (n < want)
            break;
    }
    return done;
}

/* ---- what is said at the end ------------------------------------------------------------------ */

struct result {
    int64_t begun_ns, ended_ns;
    double begun_cpu;
    uint64_t bytes, count;
    double step_ms[STEPS_MAX];
    unsigned steps;
};

static void begin(struct result *r) {
    r->begun_cpu = cpu_s();
    r->begun_ns = now_ns();
}

static void add_step(struct result *r, int64_t begun_ns) {
    if (r->steps < STEPS_MAX)
        r->step_ms[r->steps++] = (double)(now_ns() - begun_ns) / 1e6;
}

static void say(const struct result *r) {
    int64_t ended_ns = r->ended_ns ? r->ended_ns : now_ns();

    printf("{\"bytes\": %" PRIu64 ", \"count\": %" PRIu64
           ", \"seconds\": %.6f, \"cpu\": %.6f, \"steps_ms\": [",
           r->bytes, r->count, (double)(ended_ns - r->begun_ns) / 1e9, cpu_s() - r->begun_cpu);
    for (unsigned i = 0; i < r->steps; i++)
        printf("%s%.3f", i ? ", " : "", r->step_ms[i]);
    printf("]}\n");
}

/* ---- threads ---------------------------------------------------------------------------------- */

struct thread {
    pthread_t id;
    void (*run)(struct thread *t);
    const char *path;
    uint64_t at, bytes, done;
    unsigned number, of;
    bool sync;
    int64_t until_ns;
    atomic_uint_fast64_t *next;
};

static void *thread_main(void *arg) {
    struct thread *t = arg;

    t->run(t);
    return NULL;
}

/* n threads like the pattern; their work is summed. */
static uint64_t run_threads(const struct thread *pattern, unsigned n) {
    struct thread *threads = calloc(n, sizeof *threads);
    uint64_t done = 0;

    if (!threads || n > THREADS_MAX)
        die("threads");
    for (unsigned i = 0; i < n; i++) {
        threads[i] = *pattern;
        threads[i].number = i;
        threads[i].of = n;
        if (pthread_create(&threads[i].id, NULL, thread_main, &threads[i]) != 0)
            die("thread");
    }
    for (unsigned i = 0; i < n; i++) {
        pthread_join(threads[i].id, NULL);
        done += threads[i].done;
    }
    free(threads);
    return done;
}

static void name_of(char name[4096], const char *dir, const char *what, uint64_t n) {
    (void)snprintf(name, 4096, "%s/%s-%05" PRIu64 ".bin", dir, what, n);
}

/* ---- operations ------------------------------------------------------------------------------- */

static bool is_sync(int argc, char **argv, int at) {
    return argc > at && strcmp(argv[at], "sync") == 0;
}

static void do_write(struct result *r, int argc, char **argv) {
    uint8_t *piece = new_piece(1);

    begin(r);
    r->bytes = number(argv[3]);
    write_file(argv[2], r->bytes, is_sync(argc, argv, 4), piece);
    free(piece);
}

static void do_read(struct result *r, int argc, char **argv) {
    uint8_t *piece = new_piece(1);

    (void)argc;
    begin(r);
    int fd = open_to_read(argv[2]);
    r->bytes = read_run(fd, argv[2], 0, UINT64_MAX, piece);
    close(fd);
    free(piece);
}

static void do_forget(struct result *r, int argc, char **argv) {
    begin(r);
    for (int i = 2; i < argc; i++, r->count++) {
        int fd = open_to_read(argv[i]);

        if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
            die(argv[i]);
        close(fd);
    }
}

static void read_stream(struct thread *t) {
    uint8_t *piece = new_piece(t->number + 1);
    int fd = open_to_read(t->path);
    struct stat st;

    if (fstat(fd, &st) != 0)
        die(t->path);
    t->at = (uint64_t)st.st_size / t->of / PIECE * PIECE * t->number;
    t->done = read_run(fd, t->path, t->at, t->bytes, piece);
    close(fd);
    free(piece);
}

static void do_read_streams(struct result *r, int argc, char **argv) {
    struct thread pattern = {.run = read_stream, .path = argv[2], .bytes = number(argv[4])};

    (void)argc;
    begin(r);
    r->bytes = run_threads(&pattern, (unsigned)number(argv[3]));
}

static void write_stream(struct thread *t) {
    uint8_t *piece = new_piece(t->number + 1);
    char name[4096];

    name_of(name, t->path, "stream", t->number);
    write_file(name, t->bytes, t->sync, piece);
    t->done = t->bytes;
    free(piece);
}

static void do_write_streams(struct result *r, int argc, char **argv) {
    struct thread pattern = {.run = write_stream,
                             .path = argv[2],
                             .bytes = number(argv[4]),
                             .sync = is_sync(argc, argv, 5)};
    unsigned n = (unsigned)number(argv[3]);
    char name[4096];

    begin(r);
    r->bytes = run_threads(&pattern, n);
    r->ended_ns = now_ns();
    for (unsigned i = 0; i < n; i++) {
        name_of(name, argv[2], "stream", i);
        if (unlink(name) != 0)
            die(name);
    }
}

static void write_small(struct thread *t) {
    uint8_t *piece = new_piece(t->number + 1);
    char name[4096];
    uint64_t n;

    while ((n = atomic_fetch_add(t->next, 1)) < t->at && now_ns() < t->until_ns) {
        name_of(name, t->path, "small", n);
        write_file(name, t->bytes, t->sync, piece);
        t->done++;
    }
    free(piece);
}

static void do_small(struct result *r, int argc, char **argv) {
    atomic_uint_fast64_t next = 0;
    struct thread pattern = {.run = write_small,
                             .path = argv[2],
                             .at = number(argv[3]),
                             .bytes = number(argv[4]),
                             .sync = is_sync(argc, argv, 7),
                             .next = &next};

    begin(r);
    pattern.until_ns = r->begun_ns + (int64_t)number(argv[6]) * 1000000000;
    r->count = run_threads(&pattern, (unsigned)number(argv[5]));
    r->bytes = r->count * pattern.bytes;
}

static void do_first(struct result *r, int argc, char **argv) {
    begin(r);
    for (int i = 2; i < argc; i++, r->count++) {
        int64_t begun = now_ns();
        int fd = open_to_read(argv[i]);
        uint8_t byte;

        if (pread(fd, &byte, 1, 0) != 1)
            die(argv[i]);
        add_step(r, begun);
        close(fd);
    }
}

/* Plays: reads 128 KiB at the pace of a film, from the beginning, until told to stop. */
static void play(struct thread *t) {
    uint8_t *piece = new_piece(7);
    int fd = open_to_read(t->path);
    int64_t begun = now_ns();

    while (atomic_load(t->next) == 0) {
        size_t n = read_at(fd, t->path, piece, t->done, PIECE / 8);

        t->done += n;
        if (n < PIECE / 8)
            break;
        sleep_until(begun + (int64_t)((double)t->done * 1e9 / (double)t->bytes));
    }
    close(fd);
    free(piece);
}

/* Slots 0..n-1 in an order without any, the same in each run: whoever reads ahead gains nothing by it. */
static uint64_t *shuffled(uint64_t n) {
    uint64_t *slot = calloc(n, sizeof *slot), seed = 88172645463325252;

    if (!slot)
        die("memory");
    for (uint64_t i = 0; i < n; i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        uint64_t j = seed % (i + 1);
        slot[i] = slot[j];
        slot[j] = i;
    }
    return slot;
}

/* The second half of the file in n slots: the stream never gets there. */
static void do_seeks(struct result *r, int argc, char **argv) {
    uint64_t n = number(argv[3]), bytes = number(argv[4]), pause = number(argv[5]) * 1000000;
    atomic_uint_fast64_t stop = 0;
    struct thread player = {.run = play, .path = argv[2], .bytes = number(argv[6]), .next = &stop};
    uint8_t *piece = new_piece(9);
    int fd = open_to_read(argv[2]);
    uint64_t *slots = shuffled(n);
    struct stat st;

    (void)argc;
    if (fstat(fd, &st) != 0 || n == 0 || bytes > PIECE)
        die(argv[2]);
    begin(r);
    if (pthread_create(&player.id, NULL, thread_main, &player) != 0)
        die("thread");
    sleep_until(now_ns() + 300000000);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t half = (uint64_t)st.st_size / 2;
        uint64_t at = (half + half / n * slots[i]) / bytes * bytes;
        int64_t begun = now_ns();

        r->bytes += read_at(fd, argv[2], piece, at, bytes);
        add_step(r, begun);
        sleep_until(now_ns() + (int64_t)pause);
    }
    atomic_store(&stop, 1);
    pthread_join(player.id, NULL);
    r->count = n;
    close(fd);
    free(slots);
    free(piece);
}

static void do_list(struct result *r, int argc, char **argv) {
    struct dirent *e;
    struct stat st;

    (void)argc;
    begin(r);
    DIR *dir = opendir(argv[2]);
    if (!dir)
        die(argv[2]);
    while ((e = readdir(dir)))
        if (e->d_name[0] != '.') {
            if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
                die(e->d_name);
            r->bytes += (uint64_t)st.st_size;
            r->count++;
        }
    closedir(dir);
}

static const struct {
    const char *name;
    int argc;
    void (*run)(struct result *r, int argc, char **argv);
} operations[] = {
    {"write", 4, do_write},
    {"read", 3, do_read},
    {"forget", 3, do_forget},
    {"read-streams", 5, do_read_streams},
    {"write-streams", 5, do_write_streams},
    {"small", 7, do_small},
    {"first", 3, do_first},
    {"seeks", 7, do_seeks},
    {"list", 3, do_list},
};

int main(int argc, char **argv) {
    static struct result r;

    for (size_t i = 0; argc > 1 && i < sizeof operations / sizeof operations[0]; i++)
        if (strcmp(argv[1], operations[i].name) == 0 && argc >= operations[i].argc) {
            operations[i].run(&r, argc, argv);
            say(&r);
            return 0;
        }
    fprintf(stderr, "bench_work: see the head of bench_work.c for its operations\n");
    return 64;
}
