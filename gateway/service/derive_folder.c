/* The folder in which a converter works: made, measured while it works, and removed whatever it has left there. */
#include "service/derive_part.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DEPTH_MAX 32u      /* of folders in it that are measured */
#define ENTRIES_MAX 10000u /* and of what lies in them */
#define PASSES_MAX 1000u
#define NAMES_MAX 1000u

static bool is_dots(const char *name) { return strcmp(name, ".") == 0 || strcmp(name, "..") == 0; }

static bool path_of(const struct ms_svc *svc, char ret_folder[MS_DERIVE_PATH_MAX]) {
    return snprintf(ret_folder, MS_DERIVE_PATH_MAX, "%s/derive", svc->dir) < MS_DERIVE_PATH_MAX;
}

/* Its own folder only, never what a link leads to. -1: it is none, or is gone. */
static int open_folder(int at, const char *name) {
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static DIR *list(int fd) {
    int own = dup(fd);
    DIR *d = own >= 0 ? fdopendir(own) : NULL;
    if (!d && own >= 0)
        close(own);
    if (d)
        rewinddir(d);
    return d;
}

/* ---- removing -------------------------------------------------------------------------------- */

/* Who made a folder may have taken its rights away. */
static void open_up(int at, const char *name) {
    char link[32];
    struct stat st;
    int fd = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (fstat(fd, &st) == 0 && (st.st_mode & 0700) != 0700)
        (void)chmod(link, 0700);
    close(fd);
}

/* A folder goes to the top under a name that nothing has: so it takes no more descriptors and no longer paths, however
 * deep it lies. */
static void lift(int from, const char *name, int top, unsigned long *number) {
    char moved[32];
    open_up(from, name);
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        (void)snprintf(moved, sizeof moved, "lifted-%lu", ++*number);
        if (renameat(from, name, top, moved) == 0 || (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR))
            return;
    }
}

static void remove_folder(int top, const char *name, unsigned long *number) {
    struct dirent *e;
    open_up(top, name);
    int fd = open_folder(top, name);
    DIR *d = fd >= 0 ? list(fd) : NULL;
    while (d && (e = readdir(d)))
        if (!is_dots(e->d_name) && unlinkat(fd, e->d_name, 0) != 0)
            lift(fd, e->d_name, top, number);
    if (d)
        closedir(d);
    if (fd >= 0)
        close(fd);
    (void)unlinkat(top, name, AT_REMOVEDIR);
}

/* One pass over the top. False: nothing is left. */
static bool remove_some(int top, unsigned long *number) {
    struct dirent *e;
    bool some = false;
    DIR *d = list(top);
    while (d && (e = readdir(d))) {
        if (is_dots(e->d_name))
            continue;
        some = true;
        if (unlinkat(top, e->d_name, 0) != 0)
            remove_folder(top, e->d_name, number);
    }
    if (d)
        closedir(d);
    return some;
}

void ms_derive_folder_drop(const struct ms_svc *svc) {
    char folder[MS_DERIVE_PATH_MAX];
    unsigned long number = 0;
    if (!path_of(svc, folder) || unlink(folder) == 0)
        return;
    open_up(AT_FDCWD, folder);
    int top = open_folder(AT_FDCWD, folder);
    for (unsigned i = 0; top >= 0 && i < PASSES_MAX && remove_some(top, &number); i++)
        continue;
    if (top >= 0)
        close(top);
    (void)rmdir(folder);
}

enum ms_code ms_derive_folder_fresh(const struct ms_svc *svc, char ret_folder[MS_DERIVE_PATH_MAX],
                                    struct ms_error *reterr) {
    if (!path_of(svc, ret_folder))
        return ms_fail(reterr, MS_NAME_TOO_LONG, "the path of the store is too long");
    ms_derive_folder_drop(svc);
    if (mkdir(ret_folder, 0700) != 0)
        return ms_fail(reterr, MS_CANT_CREATE, "%.150s cannot be made: %s", ret_folder, strerror(errno));
    return MS_OK;
}

/* ---- measuring ------------------------------------------------------------------------------- */

struct measure {
    uint64_t bytes;
    unsigned entries;
    bool hidden; /* too deep, too many, or shut */
};

static void measure(struct measure *m, int at, const char *name, unsigned depth) { /* NOLINT(misc-no-recursion) */
    struct dirent *e;
    struct stat st;
    int fd = open_folder(at, name);
    DIR *d = fd >= 0 ? list(fd) : NULL;
    m->hidden |= fd < 0 && errno != ENOENT && errno != ENOTDIR;
    while (d && !m->hidden && (e = readdir(d))) {
        if (is_dots(e->d_name) || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        m->bytes += (uint64_t)st.st_blocks * 512;
        m->hidden = ++m->entries > ENTRIES_MAX || (S_ISDIR(st.st_mode) && depth == DEPTH_MAX);
        if (S_ISDIR(st.st_mode) && !m->hidden)
            measure(m, fd, e->d_name, depth + 1);
    }
    if (d)
        closedir(d);
    if (fd >= 0)
        close(fd);
}

uint64_t ms_derive_folder_bytes(const char *folder) {
    struct measure m = {.bytes = 0};
    measure(&m, AT_FDCWD, folder, 1);
    return m.hidden ? UINT64_MAX : m.bytes;
}

uint64_t ms_derive_folder_free(const char *folder) {
    struct statvfs vfs;
    return statvfs(folder, &vfs) == 0 ? (uint64_t)vfs.f_bavail * vfs.f_frsize : UINT64_MAX;
}
