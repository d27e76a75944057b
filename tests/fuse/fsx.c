/* fsx.c — random operations on one file against a model in memory; the oldest trick of file
 * systems.
 *
 *   ms_fsx [-s SEED] [-t SECONDS] [-m BYTES] PATH [PATH...]
 *
 * Several paths are the same file seen through several mounts: each open takes one of them, and
 * what was closed through one must be there when it is opened through another (close-to-open).
 * Every byte that is read, by read() or through a map, is compared; a difference prints the seed
 * and the operations before it. The same seed does the same operations.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HISTORY 60
#define LINE 100
#define IO_MAX (300 * 1024)

struct fsx {
    uint64_t seed, state, ops;
    char **paths;
    int paths_n;
    const char *path; /* of the open descriptor */
    int fd;
    bool append, dirty_map;
    uint8_t *model, *buffer;
    size_t size, size_max;
    char history[HISTORY][LINE];
};

/* splitmix64 */
static uint64_t draw(struct fsx *f, uint64_t below) {
    uint64_t z = f->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}

static void __attribute__((format(printf, 2, 3))) note(struct fsx *f, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(f->history[f->ops++ % HISTORY], LINE, fmt, ap);
    va_end(ap);
}

static void __attribute__((format(printf, 2, 3), noreturn))
die(struct fsx *f, const char *fmt, ...) {
    va_list ap;
    for (uint64_t i = f->ops > HISTORY ? f->ops - HISTORY : 0; i < f->ops; i++)
        printf("%8" PRIu64 "  %s\n", i, f->history[i % HISTORY]);
    printf("fsx: ");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf(" (errno %d %s)\nfsx: again with -s %" PRIu64 "\n", errno, strerror(errno), f->seed);
    exit(1);
}

static void compare(struct fsx *f, const uint8_t *found, size_t offset, size_t n) {
    if (memcmp(found, f->model + offset, n) == 0)
        return;
    size_t first = 0, last = n - 1;
    while (found[first] == f->model[offset + first])
        first++;
    while (found[last] == f->model[offset + last])
        last--;
    die(f, "bytes 0x%zx to 0x%zx of 0x%zx differ: first is 0x%02x, should be 0x%02x",
        offset + first, offset + last, f->size, found[first], f->model[offset + first]);
}

/* A range that begins in the file (or anywhere below the maximum), mostly small, sometimes at a
 * border of a block. */
static void range(struct fsx *f, size_t limit, size_t *ret_offset, size_t *ret_n) {
    size_t offset = draw(f, limit), n = 1 + draw(f, draw(f, 4) ? 5000 : IO_MAX);
    if (draw(f, 6) == 0)
        offset &= ~(size_t)4095;
    if (draw(f, 12) == 0)
        offset &= ~(size_t)262143;
    if (n > limit - offset)
        n = limit - offset;
    *ret_offset = offset;
    *ret_n = n;
}

static void check_size(struct fsx *f) {
    struct stat st;
    if (fstat(f->fd, &st) != 0)
        die(f, "fstat");
    if ((size_t)st.st_size != f->size)
        die(f, "fstat says 0x%zx bytes, should be 0x%zx", (size_t)st.st_size, f->size);
}

static void do_open(struct fsx *f) {
    static const int modes[] = {0, 0, 0, O_APPEND, O_TRUNC};
    int mode = modes[draw(f, sizeof modes / sizeof modes[0])];
    f->path = f->paths[draw(f, (uint64_t)f->paths_n)];
    if (mode == O_TRUNC && draw(f, 3))
        mode = 0;
    note(f, "open %s%s%s", f->path, mode == O_APPEND ? " append" : "",
         mode == O_TRUNC ? " truncate" : "");
    f->fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC | mode, 0644);
    if (f->fd < 0)
        die(f, "open %s", f->path);
    f->append = mode == O_APPEND;
    if (mode == O_TRUNC)
        f->size = 0;
    check_size(f);
}

static void do_close(struct fsx *f) {
    note(f, "close");
    if (close(f->fd) != 0)
        die(f, "close");
    if (draw(f, 4) == 0)
        do_open(f);
    else { /* closed, and read as a stranger would */
        f->path = f->paths[draw(f, (uint64_t)f->paths_n)];
        note(f, "read all by %s", f->path);
        int fd = open(f->path, O_RDONLY | O_CLOEXEC);
        uint8_t *all = malloc(f->size_max + 1);
        if (fd < 0 || !all)
            die(f, "open to read");
        size_t n = 0;
        for (ssize_t r = 1; r > 0; n += (size_t)r)
            if ((r = pread(fd, all + n, f->size_max + 1 - n, (off_t)n)) < 0)
                die(f, "read all at 0x%zx", n);
        if (n != f->size)
            die(f, "read 0x%zx bytes to the end, should be 0x%zx", n, f->size);
        compare(f, all, 0, n);
        free(all);
        close(fd);
        do_open(f);
    }
}

static void do_write(struct fsx *f) {
    size_t offset, n;
    range(f, f->size_max, &offset, &n);
    if (f->append)
        offset = f->size;
    if (n > f->size_max - offset)
        n = f->size_max - offset;
    if (n == 0)
        return;
    note(f, "write 0x%zx..0x%zx of 0x%zx", offset, offset + n, f->size);
    for (size_t i = 0; i < n; i++)
        f->buffer[i] = (uint8_t)(f->ops + i * 7 + (i >> 8));
    if (pwrite(f->fd, f->buffer, n, (off_t)offset) != (ssize_t)n)
        die(f, "write");
    if (offset > f->size)
        memset(f->model + f->size, 0, offset - f->size);
    memcpy(f->model + offset, f->buffer, n);
    if (offset + n > f->size)
        f->size = offset + n;
}

static void do_read(struct fsx *f) {
    size_t offset, n;
    if (f->size == 0)
        return;
    range(f, f->size, &offset, &n);
    note(f, "read 0x%zx..0x%zx", offset, offset + n);
    if (pread(f->fd, f->buffer, n, (off_t)offset) != (ssize_t)n)
        die(f, "read");
    compare(f, f->buffer, offset, n);
}

static void do_map(struct fsx *f) {
    size_t offset, n;
    bool write = draw(f, 2);
    if (f->size == 0)
        return;
    range(f, f->size, &offset, &n);
    size_t skip = offset & 4095;
    note(f, "map to %s 0x%zx..0x%zx", write ? "write" : "read", offset, offset + n);
    uint8_t *map =
        mmap(NULL, n + skip, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, (off_t)(offset - skip));
    if (map == MAP_FAILED)
        die(f, "mmap");
    if (write) {
        for (size_t i = 0; i < n; i++)
            map[skip + i] = f->model[offset + i] = (uint8_t)(f->ops * 3 + i * 5);
        if (draw(f, 2) && msync(map, n + skip, MS_SYNC) != 0)
            die(f, "msync");
    }
    compare(f, map + skip, offset, n);
    if (munmap(map, n + skip) != 0)
        die(f, "munmap");
}

static void set_size(struct fsx *f, size_t size) {
    if (size > f->size)
        memset(f->model + f->size, 0, size - f->size);
    f->size = size;
}

static void do_truncate(struct fsx *f) {
    size_t size = draw(f, draw(f, 3) ? f->size + 1 : f->size_max);
    bool by_name = draw(f, 4) == 0;
    note(f, "%struncate 0x%zx to 0x%zx", by_name ? "" : "f", f->size, size);
    if ((by_name ? truncate(f->path, (off_t)size) : ftruncate(f->fd, (off_t)size)) != 0)
        die(f, "truncate");
    set_size(f, size);
    check_size(f);
}

static void do_allocate(struct fsx *f) {
    static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
    static const char *const names[] = {"allocate", "allocate beyond", "punch", "zero",
                                        "zero within"};
    size_t which = draw(f, 5), offset, n;
    range(f, f->size_max, &offset, &n);
    note(f, "%s 0x%zx..0x%zx of 0x%zx", names[which], offset, offset + n, f->size);
    if (fallocate(f->fd, modes[which], (off_t)offset, (off_t)n) != 0)
        die(f, "fallocate");
    if (!(modes[which] & FALLOC_FL_KEEP_SIZE) && offset + n > f->size)
        set_size(f, offset + n);
    if (which >= 2 && offset < f->size)
        memset(f->model + offset, 0, offset + n < f->size ? n : f->size - offset);
    check_size(f);
}

static void do_sync(struct fsx *f) {
    bool data = draw(f, 2);
    note(f, "f%ssync", data ? "data" : "");
    if ((data ? fdatasync(f->fd) : fsync(f->fd)) != 0)
        die(f, "fsync");
}

/* A duplicate's close is a FLUSH while the file stays open. */
static void do_duplicate(struct fsx *f) {
    int fd = dup(f->fd);
    note(f, "close of a duplicate");
    if (fd < 0 || close(fd) != 0)
        die(f, "dup and close");
}

/* A second descriptor sees the same bytes while the first goes on. */
static void do_second(struct fsx *f) {
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    size_t offset, n;
    if (fd < 0)
        die(f, "open a second time");
    if (f->size > 0) {
        range(f, f->size, &offset, &n);
        note(f, "read by a second descriptor 0x%zx..0x%zx", offset, offset + n);
        if (pread(fd, f->buffer, n, (off_t)offset) != (ssize_t)n)
            die(f, "read by a second descriptor");
        compare(f, f->buffer, offset, n);
    }
    if (close(fd) != 0)
        die(f, "close of the second descriptor");
}

static void do_forget(struct fsx *f) {
    note(f, "drop cached pages");
    (void)posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void do_rename(struct fsx *f) {
    char other[4096];
    (void)snprintf(other, sizeof other, "%s.other", f->path);
    note(f, "rename there and back");
    if (rename(f->path, other) != 0 || rename(other, f->path) != 0)
        die(f, "rename");
}

static void do_attributes(struct fsx *f) {
    note(f, "fchmod");
    if (fchmod(f->fd, 0600 | (mode_t)draw(f, 64)) != 0)
        die(f, "fchmod");
    check_size(f);
}

struct choice {
    void (*run)(struct fsx *f);
    unsigned weight;
};
static const struct choice choices[] = {
    {do_write, 26},   {do_read, 24},  {do_map, 14},       {do_truncate, 8},
    {do_allocate, 7}, {do_close, 7},  {do_second, 4},     {do_duplicate, 3},
    {do_sync, 3},     {do_forget, 3}, {do_attributes, 2}, {do_rename, 1},
};

static void step(struct fsx *f) {
    unsigned total = 0;
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++)
        total += choices[i].weight;
    uint64_t n = draw(f, total);
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        if (n < choices[i].weight) {
            choices[i].run(f);
            return;
        }
        n -= choices[i].weight;
    }
}

static uint64_t now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool number(const char *text, uint64_t *ret_n) {
    char *end;
    *ret_n = strtoull(text, &end, 10);
    return *text && !*end;
}

static int usage(void) {
    fprintf(stderr,
            "usage: ms_fsx [-s SEED] [-t SECONDS] [-n OPERATIONS] [-m BYTES] PATH [PATH...]\n");
    return 64;
}

int main(int argc, char **argv) {
    uint64_t seconds = 5, max = 3 << 20, ops_max = UINT64_MAX, *into;
    struct fsx f = {.seed = now_ms() * 7919 + (uint64_t)getpid()};
    for (int opt; (opt = getopt(argc, argv, "s:t:n:m:")) != -1;) {
        into = opt == 's'   ? &f.seed
               : opt == 't' ? &seconds
               : opt == 'n' ? &ops_max
               : opt == 'm' ? &max
                            : NULL;
        if (!into || !number(optarg, into))
            return usage();
    }
    f.paths = argv + optind;
    f.paths_n = argc - optind;
    if (f.paths_n < 1 || max < 1)
        return usage();
    f.state = f.seed;
    f.size_max = max;
    f.model = calloc(1, max);
    f.buffer = malloc(IO_MAX + 1);
    if (!f.model || !f.buffer)
        return 70;
    do_open(&f);
    set_size(&f, 0);
    if (ftruncate(f.fd, 0) != 0)
        die(&f, "first truncate");
    for (uint64_t end = now_ms() + seconds * 1000; now_ms() < end && f.ops < ops_max;)
        step(&f);
    do_close(&f);
    close(f.fd);
    printf("fsx: %" PRIu64 " operations on %d mount(s), seed %" PRIu64 "\n", f.ops, f.paths_n,
           f.seed);
    free(f.model);
    free(f.buffer);
    return 0;
}
