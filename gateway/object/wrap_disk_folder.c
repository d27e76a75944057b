#include "object/wrap_disk_folder.h"

#include "object/wrap_disk_set.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKER "msasset.cache"
#define MARKER_NEW "msasset.cache.new"
#define MARKER_HEAD                                                                                \
    "This folder is a disk cache of msasset. It may be removed while no mount uses it."
#define MARKER_MAX 512

/* ---- whose it is ----------------------------------------------------------------------------- */

static bool is_ours(const char *name) {
    static const char *const names[] = {".",     "..",     MARKER,      MARKER_NEW,
                                        "index", "blocks", "lost+found"};

    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static enum ms_code only_ours(const struct ms_disk_folder *f, struct ms_error *reterr) {
    int fd = openat(f->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    enum ms_code code = MS_OK;

    if (!dir) {
        code = ms_fail_errno(reterr, errno, "cannot look into %s", f->path);
        if (fd >= 0)
            close(fd);
        return code;
    }
    for (struct dirent *e; code == MS_OK && (e = readdir(dir));)
        if (!is_ours(e->d_name))
            code = ms_fail(reterr, MS_FOREIGN,
                           "%s has \"%s\" in it: a disk cache wants a folder of its own, empty "
                           "or new",
                           f->path, e->d_name);
    closedir(dir);
    return code;
}

static void marker_text(struct ms_id store_id, char ret_text[MARKER_MAX]) {
    const uint32_t one = 1;

    (void)snprintf(ret_text, MARKER_MAX,
                   MARKER_HEAD "\nformat %d\nstore %s\nblock %zu\nways %d\norder %s\n",
                   MS_DISK_FORMAT, ms_id_text(store_id).s, MS_DISK_BLOCK, MS_DISK_WAYS,
                   *(const uint8_t *)&one == 1 ? "little" : "big");
}

static enum ms_code read_marker(const struct ms_disk_folder *f, char ret_text[MARKER_MAX],
                                struct ms_error *reterr) {
    int fd = openat(f->dir_fd, MARKER, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = 0;

    ret_text[0] = '\0';
    if (fd < 0 && errno == ENOENT)
        return MS_OK;
    if (fd >= 0)
        n = read(fd, ret_text, MARKER_MAX - 1);
    if (fd < 0 || n < 0) {
        enum ms_code code = ms_fail_errno(reterr, errno, "cannot read %s/" MARKER, f->path);
        if (fd >= 0)
            close(fd);
        return code;
    }
    close(fd);
    ret_text[n] = '\0';
    return MS_OK;
}

/* The number behind a word that begins a line; -1: there is none. */
static long line_number(const char *text, const char *word) {
    const char *line = strstr(text, word);

    return line ? strtol(line + strlen(word), NULL, 10) : -1;
}

/* *ret_same: it is a cache of this store and this format; else it is to be made anew. */
static enum ms_code judge_marker(const struct ms_disk_folder *f, const char *text,
                                 struct ms_id store_id, bool *ret_same, struct ms_error *reterr) {
    char own[MARKER_MAX], store[64];

    marker_text(store_id, own);
    *ret_same = strcmp(text, own) == 0;
    if (*ret_same || !text[0])
        return MS_OK;
    if (strncmp(text, MARKER_HEAD, strlen(MARKER_HEAD)) != 0)
        return ms_fail(reterr, MS_FOREIGN, "%s/" MARKER " is not of msasset: give another folder",
                       f->path);
    if (line_number(text, "\nformat ") > MS_DISK_FORMAT)
        return ms_fail(reterr, MS_NEWER_FORMAT,
                       "the disk cache %s was made by a newer msasset: remove it, or give another "
                       "folder",
                       f->path);
    (void)snprintf(store, sizeof store, "\nstore %s\n", ms_id_text(store_id).s);
    if (!strstr(text, store))
        return ms_fail(reterr, MS_FOREIGN,
                       "%s is the disk cache of another store; this one is %s: remove it, or give "
                       "another folder",
                       f->path, ms_id_text(store_id).s);
    return MS_OK;
}

/* ---- open ------------------------------------------------------------------------------------ */

static enum ms_code open_dir(const char *path, struct ms_disk_folder *f, struct ms_error *reterr) {
    if (strlen(path) >= sizeof f->path - 64)
        return ms_fail(reterr, MS_NAME_TOO_LONG, "the path of the disk cache has %zu bytes",
                       strlen(path));
    (void)snprintf(f->path, sizeof f->path, "%s", path);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return ms_fail_errno(reterr, errno, "cannot make the disk cache %s", path);
    f->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir_fd < 0)
        return ms_fail_errno(reterr, errno, "cannot open the disk cache %s", path);
    if (flock(f->dir_fd, LOCK_EX | LOCK_NB) == 0)
        return MS_OK;
    if (errno == EWOULDBLOCK)
        return ms_fail(reterr, MS_BUSY, "another mount uses the disk cache %s", path);
    return ms_fail_errno(reterr, errno, "cannot lock the disk cache %s", path);
}

static enum ms_code open_file(const struct ms_disk_folder *f, const char *name, int *ret_fd,
                              struct ms_error *reterr) {
    *ret_fd = openat(f->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*ret_fd < 0)
        return ms_fail_errno(reterr, errno, "cannot open %s/%s", f->path, name);
    return MS_OK;
}

/* Once in a cache's life, so this one is synced: a folder without its marker is made anew. */
static enum ms_code write_marker(const struct ms_disk_folder *f, struct ms_id store_id,
                                 struct ms_error *reterr) {
    char text[MARKER_MAX];
    int fd = openat(f->dir_fd, MARKER_NEW,
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = fd >= 0;

    marker_text(store_id, text);
    ok = ok && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fsync(fd) == 0;
    ok = ok && renameat(f->dir_fd, MARKER_NEW, f->dir_fd, MARKER) == 0;
    enum ms_code code = MS_OK;
    if (!ok)
        code = ms_fail_errno(reterr, errno ? errno : EIO, "cannot write %s/" MARKER, f->path);
    if (fd >= 0)
        close(fd);
    return code;
}

enum ms_code ms_disk_folder_open(const char *path, struct ms_id store_id,
                                 struct ms_disk_folder *folder, struct ms_error *reterr) {
    char text[MARKER_MAX];
    bool same = false;

    MS_TRY(open_dir(path, folder, reterr));
    MS_TRY(only_ours(folder, reterr));
    MS_TRY(read_marker(folder, text, reterr));
    MS_TRY(judge_marker(folder, text, store_id, &same, reterr));
    (void)!fchmod(folder->dir_fd, 0700);
    MS_TRY(open_file(folder, "index", &folder->index_fd, reterr));
    MS_TRY(open_file(folder, "blocks", &folder->blocks_fd, reterr));
    if (same)
        return MS_OK;
    MS_TRY(ms_disk_folder_resize(folder, 0, 0, reterr));
    return write_marker(folder, store_id, reterr);
}

void ms_disk_folder_close(struct ms_disk_folder *folder) {
    const int fds[] = {folder->index_fd, folder->blocks_fd, folder->dir_fd};

    for (size_t i = 0; i < MS_ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    *folder = (struct ms_disk_folder)MS_DISK_FOLDER_NONE;
}

enum ms_code ms_disk_folder_resize(struct ms_disk_folder *folder, uint64_t index_bytes,
                                   uint64_t blocks_bytes, struct ms_error *reterr) {
    if (ftruncate(folder->blocks_fd, (off_t)blocks_bytes) != 0)
        return ms_fail_errno(reterr, errno, "cannot make %s/blocks %" PRIu64 " bytes long",
                             folder->path, blocks_bytes);
    if (ftruncate(folder->index_fd, (off_t)index_bytes) != 0)
        return ms_fail_errno(reterr, errno, "cannot make %s/index %" PRIu64 " bytes long",
                             folder->path, index_bytes);
    return MS_OK;
}

/* ---- while it is open ------------------------------------------------------------------------ */

enum ms_code ms_disk_folder_check(const struct ms_disk_folder *folder, struct ms_error *reterr) {
    const int fds[] = {folder->dir_fd, folder->index_fd, folder->blocks_fd};
    struct stat st;

    for (size_t i = 0; i < MS_ARRAY_LEN(fds); i++) {
        if (fstat(fds[i], &st) != 0)
            return ms_fail_errno(reterr, errno, "cannot look at the disk cache %s", folder->path);
        if (st.st_nlink == 0)
            return ms_fail(reterr, MS_STALE, "the disk cache %s was removed", folder->path);
    }
    return MS_OK;
}

uint64_t ms_disk_folder_bytes(const struct ms_disk_folder *folder) {
    const int fds[] = {folder->dir_fd, folder->index_fd, folder->blocks_fd};
    uint64_t bytes = 4096; /* the marker */
    struct stat st;

    for (size_t i = 0; i < MS_ARRAY_LEN(fds); i++)
        if (fstat(fds[i], &st) == 0)
            bytes += (uint64_t)st.st_blocks * 512;
    return bytes;
}
