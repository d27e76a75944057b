/* self — workloads whose fate after a power cut is known, to judge the judge.
 *
 *   self run MODE DIR              write generations 1..ROUNDS, acknowledge each
 *   self check MODE IMAGE ACKS     0, 1 lost, 2 half (as store_check answers)
 *
 * replace    temporary file, fsync, rename, fsync of the folder: nothing may be lost
 * no-fsync   without the fsync of the file
 * no-dirsync without the fsync of the folder
 * in-place   overwritten in place, then fsync: half of it can be on the disk before
 * dsync      a record within a sector, written through O_DSYNC: never half, never lost
 * dsync-page eight sectors through O_DSYNC: half of them can be there before the call returns
 * append     records with a check, fdatasync: whole up to the last acknowledged
 * map        a shared map, msync: as in-place, one sector, never lost */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROUNDS 40u
#define WORDS 512u /* of a file: 4096 bytes, eight sectors */

static bool is(const char *a, const char *b) { return strcmp(a, b) == 0; }

static _Noreturn void die(const char *what) {
    perror(what);
    exit(64);
}

static void ack(uint64_t generation) {
    char line[64];
    int n = snprintf(line, sizeof line, "ack %" PRIu64 "\n", generation);

    if (write(STDOUT_FILENO, line, (size_t)n) != n)
        die("ack");
}

static void fill(uint64_t words[WORDS], uint64_t generation) {
    for (unsigned i = 0; i < WORDS; i++)
        words[i] = generation;
}

static void sync_folder(int dir_fd) {
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0 || close(fd) != 0)
        die("folder");
}

static void replace(int dir_fd, const char *mode, uint64_t generation) {
    int fd = openat(dir_fd, "f.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint64_t words[WORDS];

    fill(words, generation);
    if (fd < 0 || write(fd, words, sizeof words) != (ssize_t)sizeof words)
        die("f.new");
    if (!is(mode, "no-fsync") && fsync(fd) != 0)
        die("fsync");
    if (close(fd) != 0 || renameat(dir_fd, "f.new", dir_fd, "f") != 0)
        die("rename");
    if (!is(mode, "no-dirsync"))
        sync_folder(dir_fd);
}

/* The file is there, whole and synced, before the first generation. */
static int open_whole(int dir_fd, const char *mode) {
    int how = strncmp(mode, "dsync", 5) == 0 ? O_DSYNC : is(mode, "append") ? O_APPEND : 0;
    int fd = openat(dir_fd, "f", O_RDWR | O_CREAT | O_CLOEXEC | how, 0600);
    uint64_t words[WORDS];

    fill(words, 0);
    if (fd < 0 || (!is(mode, "append") && write(fd, words, sizeof words) != (ssize_t)sizeof words) || fsync(fd) != 0)
        die("f");
    sync_folder(dir_fd);
    return fd;
}

static void put(int fd, const char *mode, uint64_t *map, uint64_t generation) {
    uint64_t words[WORDS], pair[2] = {generation, ~generation};

    fill(words, generation);
    if (is(mode, "map")) {
        memcpy(map, words, 512);
        if (msync(map, 4096, MS_SYNC) != 0)
            die("msync");
    } else if (is(mode, "append")) {
        if (write(fd, pair, sizeof pair) != (ssize_t)sizeof pair || fdatasync(fd) != 0)
            die("append");
    } else if (is(mode, "dsync")) {
        if (pwrite(fd, words, 120, 32) != 120)
            die("pwrite");
    } else if (pwrite(fd, words, sizeof words, 0) != (ssize_t)sizeof words || fsync(fd) != 0) {
        die("pwrite");
    }
}

static int run(const char *mode, const char *dir) {
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
    bool whole = !is(mode, "replace") && !is(mode, "no-fsync") && !is(mode, "no-dirsync");
    uint64_t *map = NULL;

    if (dir_fd < 0)
        die(dir);
    if (whole)
        fd = open_whole(dir_fd, mode);
    if (is(mode, "map")) {
        map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
            die("mmap");
    }
    for (uint64_t g = 1; g <= ROUNDS; g++) {
        if (whole)
            put(fd, mode, map, g);
        else
            replace(dir_fd, mode, g);
        ack(g);
    }
    return 0;
}

/* ---- check ------------------------------------------------------------------------------------------------------- */

static uint64_t last_ack(const char *path) {
    FILE *f = fopen(path, "r");
    uint64_t g = 0;

    if (!f)
        die(path);
    while (fscanf(f, " ack %" SCNu64, &g) == 1)
        ;
    fclose(f);
    return g;
}

static int check(const char *mode, const char *image, const char *acks) {
    uint64_t words[WORDS] = {0}, acked = last_ack(acks), have = 0;
    size_t from = 0, to = WORDS;
    char path[4096];
    ssize_t n = 0;
    int fd;

    snprintf(path, sizeof path, "%s/f", image);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        n = read(fd, words, sizeof words);
    if (is(mode, "append")) {
        while (16 * (have + 1) <= (size_t)n && words[2 * have] == have + 1 && words[2 * have + 1] == ~(have + 1))
            have++;
        return have < acked ? 1 : 0;
    }
    if (fd < 0)
        return acked > 0 ? 1 : 0;
    if (is(mode, "dsync"))
        from = 4, to = from + 15;
    if (is(mode, "map"))
        to = 64;
    for (size_t i = from; i < to; i++)
        if (words[i] != words[from])
            return 2;
    return words[from] < acked ? 1 : 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && is(argv[1], "run"))
        return run(argv[2], argv[3]);
    if (argc == 5 && is(argv[1], "check"))
        return check(argv[2], argv[3], argv[4]);
    return 64;
}
