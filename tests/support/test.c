#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void ms_test_check_code(enum ms_code got, enum ms_code want, const struct ms_error *err,
                        const char *call, const char *file, int line) {
    if (got != want) {
        print_error("%s:%d: %s\n  gave %s, wanted %s: %s\n", file, line, call, ms_code_name(got),
                    ms_code_name(want), err->message);
        _fail(file, line);
    }
    if (err->code != MS_OK && (err->code != got || !err->message[0])) {
        print_error("%s:%d: %s\n  returned %s but filled %s '%s'\n", file, line, call,
                    ms_code_name(got), ms_code_name(err->code), err->message);
        _fail(file, line);
    }
}

static void must(int ok, const char *what, const char *path) {
    if (!ok)
        fail_msg("cannot %s %s: %s", what, path, strerror(errno));
}

char *ms_test_tmpdir_new(void) {
    const char *top = getenv("TMPDIR");
    char *path = NULL;

    must(asprintf(&path, "%s/msasset-test.XXXXXX", top && *top ? top : "/tmp") > 0, "name", "");
    must(mkdtemp(path) != NULL, "make", path);
    return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* A test may have taken away the right to look into a folder. */
static int open_up(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)ftw;
    if (type == FTW_D || type == FTW_DNR)
        return chmod(path, 0700);
    return 0;
}

void ms_test_tmpdir_remove(char *path) {
    if (!path)
        return;
    nftw(path, open_up, 16, FTW_PHYS);
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
        print_error("cannot remove %s: %s\n", path, strerror(errno));
    free(path);
}

char *ms_test_path(const char *dir, const char *name) {
    char *path = NULL;

    must(asprintf(&path, "%s/%s", dir, name) > 0, "name", name);
    return path;
}

void ms_test_write_file(const char *path, const void *bytes, size_t len) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t at = 0;

    must(fd >= 0, "write", path);
    while (at < len) {
        ssize_t n = write(fd, (const char *)bytes + at, len - at);

        must(n > 0, "write", path);
        at += (size_t)n;
    }
    must(close(fd) == 0, "close", path);
}

char *ms_test_read_file(const char *path, size_t *ret_len) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    size_t at = 0;
    char *bytes;

    must(fd >= 0 && fstat(fd, &st) == 0, "read", path);
    bytes = malloc((size_t)st.st_size + 1);
    must(bytes != NULL, "hold", path);
    while (at < (size_t)st.st_size) {
        ssize_t n = read(fd, bytes + at, (size_t)st.st_size - at);

        must(n >= 0, "read", path);
        if (n == 0)
            break;
        at += (size_t)n;
    }
    close(fd);
    bytes[at] = '\0';
    if (ret_len)
        *ret_len = at;
    return bytes;
}

uint64_t ms_test_seed(void) {
    const char *text = getenv("MS_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : ms_random_u64(ms_random_system());

    print_message("seed: MS_TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

/* A round under the thread sanitizer costs some ten plain ones, under the address sanitizer three.
 */
#if defined(__SANITIZE_THREAD__)
#define ROUNDS_SHARE 8
#elif defined(__SANITIZE_ADDRESS__)
#define ROUNDS_SHARE 3
#else
#define ROUNDS_SHARE 1
#endif

unsigned ms_test_rounds(unsigned usual) {
    const char *text = getenv("MS_TEST_ROUNDS");
    unsigned long rounds = text ? strtoul(text, NULL, 10) : 0;

    if (rounds > 0 && rounds <= UINT32_MAX)
        return (unsigned)rounds;
    return usual > ROUNDS_SHARE ? usual / ROUNDS_SHARE : 1;
}
