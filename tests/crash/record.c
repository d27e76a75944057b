/* record.c — LD_PRELOAD library: log what a program asks of the file system below one folder.
 *
 *   MS_CRASH_DIR      the folder; must exist and be empty when the first program starts
 *   MS_CRASH_LOG      the log, outside of it; appended to by every process of the workload
 *   MS_CRASH_SWALLOW  1: syncs answer "done" and do nothing, as MDB_NOSYNC would have it; a tester that then still
 *                     finds nothing lost proves nothing
 *
 * A call is logged when it has been carried out and before it returns: so the log is an order in which the calls may
 * have happened, and a sync covers what was logged before it began. Not seen: what stdio and the C library write by
 * themselves, io_uring, splice, and memory maps between two msync. */
#include "crash_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define IOV_PARTS 1000
#define LOG_FD_FROM 900
#define MAPS_MAX 64

static struct {
    char dir[PATH_MAX];
    size_t dir_len;
    int log;
    bool swallow;
    _Atomic(uintptr_t) map_at[MAPS_MAX];
    size_t map_len[MAPS_MAX];
    off_t map_off[MAPS_MAX];
    uint64_t map_ino[MAPS_MAX];
} rec = {.log = -1};

/* ---- the log --------------------------------------------------------------------------------------------------- */

static _Noreturn void give_up(const char *why) {
    static const char head[] = "crash recorder: ";

    if (syscall(SYS_write, 2, head, sizeof head - 1) < 0 || syscall(SYS_write, 2, why, strlen(why)) < 0)
        _exit(99);
    _exit(99);
}

static void log_parts(struct crash_event *e, const char *name, const char *name2, const struct iovec *parts, int n,
                      size_t len) {
    struct iovec iov[IOV_PARTS + 3];
    int saved = errno, used = 0;
    size_t want;

    if (n > IOV_PARTS)
        give_up("too many parts in one write\n");
    e->magic = CRASH_MAGIC;
    e->name_len = (uint32_t)(name ? strlen(name) : 0);
    e->name2_len = (uint32_t)(name2 ? strlen(name2) : 0);
    e->len = (uint32_t)len;
    iov[used++] = (struct iovec){e, sizeof *e};
    iov[used++] = (struct iovec){(void *)(uintptr_t)name, e->name_len};
    iov[used++] = (struct iovec){(void *)(uintptr_t)name2, e->name2_len};
    want = sizeof *e + e->name_len + e->name2_len + len;
    for (int i = 0; i < n && len > 0; i++) {
        size_t part = parts[i].iov_len < len ? parts[i].iov_len : len;

        iov[used++] = (struct iovec){parts[i].iov_base, part};
        len -= part;
    }
    /* One write to a file opened with O_APPEND: whole, and in order between processes. */
    if (syscall(SYS_writev, rec.log, iov, used) != (ssize_t)want)
        give_up("cannot write the log\n");
    errno = saved;
}

static void log_event(struct crash_event e, const char *name, const char *name2, const void *bytes, size_t len) {
    struct iovec part = {(void *)(uintptr_t)bytes, len};

    log_parts(&e, name, name2, &part, 1, len);
}

/* A name is changed and logged under one lock of all processes: else another one that sees the change already may log
 * a sync of the folder first, which has covered it and would not say so. Files need none: who writes to one of ours
 * together with others has a lock of its own. */
static pthread_mutex_t names = PTHREAD_MUTEX_INITIALIZER;

static void names_lock(void) {
    int saved = errno;

    pthread_mutex_lock(&names);
    if (rec.log >= 0)
        while (flock(rec.log, LOCK_EX) != 0 && errno == EINTR)
            continue;
    errno = saved;
}

static void names_unlock(void) {
    int saved = errno;

    if (rec.log >= 0)
        flock(rec.log, LOCK_UN);
    pthread_mutex_unlock(&names);
    errno = saved;
}

/* How much of the log a sync covers that begins now. */
static uint64_t log_end(void) {
    uint64_t end;

    names_lock();
    end = (uint64_t)lseek(rec.log, 0, SEEK_END);
    names_unlock();
    return end;
}

__attribute__((constructor)) static void start(void) {
    const char *dir = getenv("MS_CRASH_DIR"), *log = getenv("MS_CRASH_LOG"), *swallow = getenv("MS_CRASH_SWALLOW");
    struct stat st;
    int fd;

    if (!dir || !log)
        return;
    if (!realpath(dir, rec.dir) || stat(rec.dir, &st) != 0)
        give_up("MS_CRASH_DIR is no folder\n");
    rec.dir_len = strlen(rec.dir);
    rec.swallow = swallow && strcmp(swallow, "1") == 0;
    fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    rec.log = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, LOG_FD_FROM) : -1;
    if (rec.log < 0)
        give_up("cannot open MS_CRASH_LOG\n");
    syscall(SYS_close, fd);
    log_event((struct crash_event){.type = CRASH_START, .ino = st.st_ino}, NULL, NULL, NULL, 0);
}

/* ---- what is ours ------------------------------------------------------------------------------------------------ */

static bool is_below(int fd) {
    char link[64], path[PATH_MAX];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    if (n < (ssize_t)rec.dir_len || memcmp(path, rec.dir, rec.dir_len) != 0)
        return false;
    return (size_t)n == rec.dir_len || path[rec.dir_len] == '/';
}

/* The inode behind a descriptor when it lies below the folder, else 0. */
static uint64_t ours(int fd) {
    struct stat st;
    int saved = errno;
    uint64_t ino = 0;

    if (rec.log >= 0 && fd != rec.log && is_below(fd) && fstat(fd, &st) == 0 &&
        (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        ino = st.st_ino;
    errno = saved;
    return ino;
}

static uint32_t sync_flag(int fd) {
    return !rec.swallow && (fcntl(fd, F_GETFL) & (O_DSYNC | O_SYNC)) ? CRASH_DSYNC : 0;
}

/* Where a path points: the inode of its folder, 0 when that is not ours, and its last name. */
static uint64_t place_of(int dir_fd, const char *path, char name[NAME_MAX + 1]) {
    char parent[PATH_MAX];
    const char *slash;
    struct stat st;
    uint64_t ino = 0;
    int saved = errno, fd;
    size_t len = strlen(path);

    if (rec.log < 0)
        return 0;
    while (len > 1 && path[len - 1] == '/')
        len--;
    snprintf(parent, sizeof parent, "%.*s", (int)len, path);
    slash = strrchr(parent, '/');
    snprintf(name, NAME_MAX + 1, "%.*s", NAME_MAX, slash ? slash + 1 : parent);
    if (!slash)
        snprintf(parent, sizeof parent, ".");
    else
        parent[slash == parent ? 1 : slash - parent] = '\0';
    fd = (int)syscall(SYS_openat, dir_fd, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd >= 0 && is_below(fd) && fstat(fd, &st) == 0)
        ino = st.st_ino;
    if (fd >= 0)
        syscall(SYS_close, fd);
    errno = saved;
    return ino;
}

static uint64_t inode_at(int dir_fd, const char *path, off_t *ret_size) {
    struct stat st;
    int saved = errno;
    bool there = fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;

    errno = saved;
    if (there && ret_size)
        *ret_size = st.st_size;
    return there ? st.st_ino : 0;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static int do_open(int dir_fd, const char *path, int flags, mode_t mode) {
    char name[NAME_MAX + 1];
    uint64_t dir = flags & (O_CREAT | O_TRUNC) ? place_of(dir_fd, path, name) : 0;
    off_t size = 0;
    bool there;
    int fd;

    if (dir)
        names_lock();
    there = dir && inode_at(dir_fd, path, &size) != 0;
    fd = (int)syscall(SYS_openat, dir_fd, path, flags, mode);
    if (fd >= 0 && dir && !there)
        log_event((struct crash_event){.type = CRASH_CREATE, .ino = ours(fd), .dir = dir}, name, NULL, NULL, 0);
    if (fd >= 0 && dir && there && (flags & O_TRUNC) && size > 0)
        log_event((struct crash_event){.type = CRASH_SIZE, .ino = ours(fd)}, NULL, NULL, NULL, 0);
    if (dir)
        names_unlock();
    return fd;
}

static mode_t mode_of(int flags, va_list ap) { return flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(ap, int) : 0; }

int open(const char *path, int flags, ...) {
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = mode_of(flags, ap);
    va_end(ap);
    return do_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = mode_of(flags, ap);
    va_end(ap);
    return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int dir_fd, const char *path, int flags, ...) {
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = mode_of(flags, ap);
    va_end(ap);
    return do_open(dir_fd, path, flags, mode);
}

int openat64(int dir_fd, const char *path, int flags, ...) {
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = mode_of(flags, ap);
    va_end(ap);
    return do_open(dir_fd, path, flags, mode);
}

int creat(const char *path, mode_t mode) { return do_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int mkdirat(int dir_fd, const char *path, mode_t mode) {
    char name[NAME_MAX + 1];
    uint64_t dir = place_of(dir_fd, path, name);
    int rc;

    names_lock();
    rc = (int)syscall(SYS_mkdirat, dir_fd, path, mode);
    if (rc == 0 && dir)
        log_event((struct crash_event){.type = CRASH_MKDIR, .ino = inode_at(dir_fd, path, NULL), .dir = dir}, name,
                  NULL, NULL, 0);
    names_unlock();
    return rc;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int unlinkat(int dir_fd, const char *path, int flags) {
    char name[NAME_MAX + 1];
    uint64_t dir = place_of(dir_fd, path, name);
    int rc;

    names_lock();
    rc = (int)syscall(SYS_unlinkat, dir_fd, path, flags);
    if (rc == 0 && dir)
        log_event((struct crash_event){.type = CRASH_UNLINK, .dir = dir}, name, NULL, NULL, 0);
    names_unlock();
    return rc;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int remove(const char *path) {
    int rc = unlink(path);

    return rc != 0 && errno == EISDIR ? rmdir(path) : rc;
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
    char name[NAME_MAX + 1], name2[NAME_MAX + 1];
    uint64_t dir = place_of(from_fd, from, name), dir2 = place_of(to_fd, to, name2);
    uint64_t ino;
    int rc;

    names_lock();
    ino = inode_at(from_fd, from, NULL);
    rc = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
    if (rc == 0 && (dir || dir2) && (!dir || !dir2 || flags > 1))
        give_up("a rename in or out of the folder, or an exchange: not known here\n");
    if (rc == 0 && dir)
        log_event((struct crash_event){.type = CRASH_RENAME, .ino = ino, .dir = dir, .dir2 = dir2}, name, name2, NULL,
                  0);
    names_unlock();
    return rc;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
    return renameat2(from_fd, from, to_fd, to, 0);
}

int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    char name[NAME_MAX + 1];
    uint64_t dir = place_of(to_fd, to, name);
    int rc;

    names_lock();
    rc = (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
    if (rc == 0 && dir)
        log_event((struct crash_event){.type = CRASH_LINK, .ino = inode_at(to_fd, to, NULL), .dir = dir}, name, NULL,
                  NULL, 0);
    names_unlock();
    return rc;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlinkat(const char *target, int dir_fd, const char *path) {
    char name[NAME_MAX + 1];
    uint64_t dir = place_of(dir_fd, path, name);
    int rc;

    names_lock();
    rc = (int)syscall(SYS_symlinkat, target, dir_fd, path);
    if (rc == 0 && dir)
        log_event((struct crash_event){.type = CRASH_SYMLINK, .ino = inode_at(dir_fd, path, NULL), .dir = dir}, name,
                  NULL, target, strlen(target));
    names_unlock();
    return rc;
}

int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

static void log_write(int fd, uint64_t ino, off_t off, const struct iovec *parts, int n, size_t len) {
    struct crash_event e = {.type = CRASH_WRITE, .ino = ino, .off = (uint64_t)off, .flags = sync_flag(fd)};

    log_parts(&e, NULL, NULL, parts, n, len);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int n, off_t off, int flags) {
    uint64_t ino = ours(fd);
    ssize_t len = off == -1 ? syscall(SYS_writev, fd, parts, n) : syscall(SYS_pwritev2, fd, parts, n, off, 0, flags);

    if (len > 0 && ino)
        log_write(fd, ino, off == -1 ? lseek(fd, 0, SEEK_CUR) - len : off, parts, n, (size_t)len);
    else if (len > 0 && fd == STDOUT_FILENO && rec.log >= 0) {
        struct crash_event e = {.type = CRASH_ACK};

        log_parts(&e, NULL, NULL, parts, n, (size_t)len);
    }
    return len;
}

ssize_t writev(int fd, const struct iovec *parts, int n) { return pwritev2(fd, parts, n, -1, 0); }
ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t off) { return pwritev2(fd, parts, n, off, 0); }
ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t off) { return pwritev2(fd, parts, n, off, 0); }

ssize_t write(int fd, const void *bytes, size_t len) {
    struct iovec part = {(void *)(uintptr_t)bytes, len};

    return pwritev2(fd, &part, 1, -1, 0);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t off) {
    struct iovec part = {(void *)(uintptr_t)bytes, len};

    return pwritev2(fd, &part, 1, off, 0);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t off) { return pwrite(fd, bytes, len, off); }

/* Bytes that the kernel moved: read back what came to lie there. */
static void log_copied(int fd, uint64_t ino, off_t off, size_t len) {
    static const size_t step = 1 << 20;
    char path[64];
    void *bytes = malloc(step);
    int in;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    in = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    while (len > 0) {
        ssize_t n = bytes && in >= 0 ? pread(in, bytes, len < step ? len : step, off) : -1;
        struct iovec part = {bytes, n > 0 ? (size_t)n : 0};

        if (n <= 0)
            give_up("cannot read back what was copied\n");
        log_write(fd, ino, off, &part, 1, (size_t)n);
        off += n;
        len -= (size_t)n;
    }
    syscall(SYS_close, in);
    free(bytes);
}

ssize_t copy_file_range(int in, off64_t *in_off, int out, off64_t *out_off, size_t len, unsigned flags) {
    uint64_t ino = ours(out);
    ssize_t n = syscall(SYS_copy_file_range, in, in_off, out, out_off, len, flags);

    if (n > 0 && ino)
        log_copied(out, ino, (out_off ? *out_off : lseek(out, 0, SEEK_CUR)) - n, (size_t)n);
    return n;
}

ssize_t sendfile(int out, int in, off_t *off, size_t len) {
    uint64_t ino = ours(out);
    ssize_t n = syscall(SYS_sendfile, out, in, off, len);

    if (n > 0 && ino)
        log_copied(out, ino, lseek(out, 0, SEEK_CUR) - n, (size_t)n);
    return n;
}

ssize_t sendfile64(int out, int in, off64_t *off, size_t len) { return sendfile(out, in, off, len); }

int ftruncate(int fd, off_t size) {
    uint64_t ino = ours(fd);
    int rc = (int)syscall(SYS_ftruncate, fd, size);

    if (rc == 0 && ino)
        log_event((struct crash_event){.type = CRASH_SIZE, .ino = ino, .off = (uint64_t)size}, NULL, NULL, NULL, 0);
    return rc;
}

int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

int truncate(const char *path, off_t size) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0), rc;

    if (fd < 0)
        return -1;
    rc = ftruncate(fd, size);
    syscall(SYS_close, fd);
    return rc;
}

int truncate64(const char *path, off64_t size) { return truncate(path, size); }

int fallocate(int fd, int mode, off_t off, off_t len) {
    uint64_t ino = ours(fd);
    struct stat before, after;
    int rc;

    if (ino && fstat(fd, &before) != 0)
        ino = 0;
    rc = (int)syscall(SYS_fallocate, fd, mode, off, len);
    if (rc != 0 || !ino || fstat(fd, &after) != 0)
        return rc;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        give_up("a kind of fallocate that is not known here\n");
    if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        log_event((struct crash_event){.type = CRASH_ZERO, .ino = ino, .off = (uint64_t)off, .dir2 = (uint64_t)len},
                  NULL, NULL, NULL, 0);
    /* It never makes a file shorter, and another process may have made it longer since. */
    if (!(mode & FALLOC_FL_KEEP_SIZE) && after.st_size > before.st_size)
        log_event((struct crash_event){.type = CRASH_GROW, .ino = ino, .off = (uint64_t)(off + len)}, NULL, NULL,
                  NULL, 0);
    return rc;
}

int fallocate64(int fd, int mode, off64_t off, off64_t len) { return fallocate(fd, mode, off, len); }
int posix_fallocate(int fd, off_t off, off_t len) { return fallocate(fd, 0, off, len) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off64_t off, off64_t len) { return posix_fallocate(fd, off, len); }

/* ---- syncs ------------------------------------------------------------------------------------------------------- */

static int do_sync(int fd, long call) {
    uint64_t ino = ours(fd), begin;
    int rc;

    if (ino && rec.swallow)
        return 0;
    begin = ino ? log_end() : 0;
    rc = (int)syscall(call, fd);
    if (rc == 0 && ino)
        log_event((struct crash_event){.type = CRASH_SYNC, .ino = ino, .off = begin}, NULL, NULL, NULL, 0);
    return rc;
}

int fsync(int fd) { return do_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return do_sync(fd, SYS_fdatasync); }

int syncfs(int fd) {
    uint64_t begin = rec.log >= 0 ? log_end() : 0;
    int rc = rec.swallow ? 0 : (int)syscall(SYS_syncfs, fd);

    if (rc == 0 && rec.log >= 0 && !rec.swallow)
        log_event((struct crash_event){.type = CRASH_SYNC_ALL, .off = begin}, NULL, NULL, NULL, 0);
    return rc;
}

/* ---- shared maps ------------------------------------------------------------------------------------------------- */

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t off) {
    void *p = (void *)syscall(SYS_mmap, at, len, prot, flags, fd, off);
    uint64_t ino = p != MAP_FAILED && (flags & MAP_SHARED) && (prot & PROT_WRITE) && fd >= 0 ? ours(fd) : 0;

    for (int i = 0; ino && i < MAPS_MAX; i++) {
        uintptr_t none = 0;

        if (atomic_compare_exchange_strong(&rec.map_at[i], &none, (uintptr_t)p)) {
            rec.map_len[i] = len;
            rec.map_off[i] = off;
            rec.map_ino[i] = ino;
            ino = 0;
        }
    }
    return p;
}

void *mmap64(void *at, size_t len, int prot, int flags, int fd, off64_t off) {
    return mmap(at, len, prot, flags, fd, off);
}

int munmap(void *at, size_t len) {
    for (int i = 0; i < MAPS_MAX; i++) {
        uintptr_t p = (uintptr_t)at;

        atomic_compare_exchange_strong(&rec.map_at[i], &p, 0);
    }
    return (int)syscall(SYS_munmap, at, len);
}

int msync(void *at, size_t len, int flags) {
    uint64_t begin = rec.log >= 0 ? log_end() : 0;
    int rc = rec.swallow ? 0 : (int)syscall(SYS_msync, at, len, flags);

    for (int i = 0; rc == 0 && rec.log >= 0 && i < MAPS_MAX; i++) {
        uintptr_t p = atomic_load(&rec.map_at[i]), a = (uintptr_t)at;
        struct iovec part = {at, len};
        struct crash_event e = {.type = CRASH_WRITE, .ino = rec.map_ino[i]};

        if (!p || a < p || a + len > p + rec.map_len[i])
            continue;
        e.off = (uint64_t)(rec.map_off[i] + (off_t)(a - p));
        e.flags = rec.swallow || !(flags & MS_SYNC) ? 0 : CRASH_DSYNC;
        log_parts(&e, NULL, NULL, &part, 1, len);
        if (!rec.swallow && (flags & MS_SYNC))
            log_event((struct crash_event){.type = CRASH_SYNC, .ino = e.ino, .off = begin}, NULL, NULL, NULL, 0);
    }
    return rc;
}
