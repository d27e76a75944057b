/* drv_dir_path.c — names in the directory driver: walking to them, placing files there, making that durable. */
#define XXH_STATIC_LINKING_ONLY
#include "base/assert.h"
#include "object/drv_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <xxhash.h>

#define COMPONENT_SIZE 256
#define PLACE_TRIES 16
#define SYNC_LATER_MAX 4
/* After this long a folder's own entry is on disk whoever made it: journals commit within seconds. */
#define SETTLED_S 60
#define WRITEBACK_STEP ((uint64_t)8 << 20)

/* ---- walking --------------------------------------------------------------------------------- */

static int open_child(int folder, const char *name) {
    return openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The next component of *p up to end, which moves behind it. */
static void next_component(const char **p, const char *end, char ret_name[COMPONENT_SIZE]) {
    const char *slash = memchr(*p, '/', (size_t)(end - *p));
    size_t n = (size_t)((slash ? slash : end) - *p);

    MS_ASSERT(n > 0);
    MS_ASSERT(n < COMPONENT_SIZE);
    memcpy(ret_name, *p, n);
    ret_name[n] = '\0';
    *p += n + (slash != NULL);
}

static bool is_absent(int err) { return err == ENOENT || err == ENOTDIR || err == ELOOP; }

/* errno still tells what went wrong before. */
static void close_quietly(int fd) {
    int err = errno;

    close(fd);
    errno = err;
}

enum ms_code ms_dir_open_folder(int root, const char *path, size_t n, int *ret_fd,
                                struct ms_error *reterr) {
    const char *p = path, *end = path + n;
    char name[COMPONENT_SIZE];
    int fd = open_child(root, "."), parent;

    while (fd >= 0 && p < end) {
        next_component(&p, end, name);
        parent = fd;
        fd = open_child(parent, name);
        close_quietly(parent);
    }
    if (fd < 0 && is_absent(errno))
        return ms_fail(reterr, MS_NOT_FOUND, "no folder %.*s", (int)n, path);
    if (fd < 0)
        return ms_fail_errno(reterr, errno, "cannot open the object folder '%.*s'", (int)n, path);
    *ret_fd = fd;
    return MS_OK;
}

static const char *leaf_of(const char *key) {
    const char *slash = strrchr(key, '/');

    return slash ? slash + 1 : key;
}

static enum ms_code open_parent(int root, const char *key, int *ret_fd, struct ms_error *reterr) {
    const char *leaf = leaf_of(key);

    return ms_dir_open_folder(root, key, leaf == key ? 0 : (size_t)(leaf - key) - 1, ret_fd,
                              reterr);
}

enum ms_code ms_dir_open_file(const struct ms_dir *d, const char *key, int *ret_fd,
                              struct stat *ret_st, struct ms_error *reterr) {
    MS_AUTO_FD folder = -1;
    MS_AUTO_FD fd = -1;
    enum ms_code code = open_parent(d->root, key, &folder, reterr);

    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, MS_NOT_FOUND, "no object %s", key);
    if (code != MS_OK)
        return code;
    /* NONBLOCK: somebody may have put a fifo there. */
    fd = openat(folder, leaf_of(key), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && !is_absent(errno))
        return ms_fail_errno(reterr, errno, "cannot open object %s", key);
    if (fd < 0 || fstat(fd, ret_st) != 0 || !S_ISREG(ret_st->st_mode))
        return ms_fail(reterr, MS_NOT_FOUND, "no object %s", key);
    *ret_fd = fd;
    fd = -1;
    return MS_OK;
}

/* ---- making folders, and what has to be synced for that -------------------------------------- */

struct place {
    int64_t now_s; /* by the file system's clock; INT64_MIN: not known */
    int folder;    /* of the leaf */
    int later
        [SYNC_LATER_MAX]; /* folders whose new entries are synced after the rename: one journal commit */
    size_t later_n;
};

static void place_fini(struct place *place) {
    ms_fd_close(&place->folder);
    while (place->later_n > 0)
        close(place->later[--place->later_n]);
}

static enum ms_code sync_folder(int fd, const char *key, struct ms_error *reterr) {
    if (fsync(fd) != 0)
        return ms_fail_errno(reterr, errno, "cannot sync a folder of object %s", key);
    return MS_OK;
}

/* Takes over fd. */
static enum ms_code sync_later(struct place *place, int fd, const char *key,
                               struct ms_error *reterr) {
    enum ms_code code;

    if (place->later_n < SYNC_LATER_MAX) {
        place->later[place->later_n++] = fd;
        return MS_OK;
    }
    code = sync_folder(fd, key, reterr);
    close(fd);
    return code;
}

/* Another thread or process may have made the folder a moment ago and not synced its parent yet. */
static bool is_settled(const struct place *place, int fd) {
    struct statx stx;

    if (place->now_s == INT64_MIN || statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx) != 0)
        return false;
    return (stx.stx_mask & STATX_BTIME) && place->now_s - stx.stx_btime.tv_sec > SETTLED_S;
}

/* One step down, making the folder when it is missing. */
static enum ms_code step_down(struct place *place, const char *name, const char *key,
                              struct ms_error *reterr) {
    bool made = mkdirat(place->folder, name, MS_DIR_FOLDER_MODE) == 0;
    int parent = place->folder, child;

    if (!made && errno != EEXIST)
        return ms_fail_errno(reterr, errno, "cannot make folder '%s' of object %s", name, key);
    child = open_child(parent, name);
    if (child < 0 && (errno == ENOTDIR || errno == ELOOP))
        return ms_fail(reterr, MS_EXISTS, "'%s' of object %s is not a folder", name, key);
    if (child < 0)
        return ms_fail_errno(reterr, errno, "cannot open folder '%s' of object %s", name, key);
    place->folder = child;
    if (made || !is_settled(place, child))
        return sync_later(place, parent, key, reterr);
    close(parent);
    return MS_OK;
}

static enum ms_code place_open(int root, const char *key, struct place *place,
                               struct ms_error *reterr) {
    const char *p = key, *leaf = leaf_of(key);
    char name[COMPONENT_SIZE];
    enum ms_code code = MS_OK;

    place->folder = open_child(root, ".");
    if (place->folder < 0)
        return ms_fail_errno(reterr, errno, "cannot open the object store's folder");
    while (p < leaf && code == MS_OK) {
        next_component(&p, leaf, name);
        code = step_down(place, name, key, reterr);
    }
    return code;
}

static enum ms_code place_sync(const struct place *place, const char *key,
                               struct ms_error *reterr) {
    enum ms_code code = sync_folder(place->folder, key, reterr);

    for (size_t i = place->later_n; i > 0 && code == MS_OK; i--)
        code = sync_folder(place->later[i - 1], key, reterr);
    return code;
}

static enum ms_code place_once(int root, int folder, const char *name, const char *key,
                               struct ms_error *reterr) {
    MS_AUTO(place_fini) struct place place = {.folder = -1, .now_s = INT64_MIN};
    enum ms_code code;
    struct stat st;

    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        place.now_s = st.st_ctim.tv_sec; /* it was changed a moment ago */
    code = place_open(root, key, &place, reterr);
    if (code != MS_OK)
        return code;
    if (renameat(folder, name, place.folder, leaf_of(key)) != 0) {
        if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST)
            return ms_fail(reterr, MS_EXISTS, "object key %s is a folder of other objects", key);
        return ms_fail_errno(reterr, errno, "cannot put object %s in its place", key);
    }
    return place_sync(&place, key, reterr);
}

enum ms_code ms_dir_place(int root, int folder, const char *name, const char *key,
                          struct ms_error *reterr) {
    enum ms_code code = MS_NOT_FOUND;

    /* A DELETE beside us may have removed the folder between our step into it and the rename. */
    for (int i = 0; i < PLACE_TRIES && code == MS_NOT_FOUND; i++)
        code = place_once(root, folder, name, key, reterr);
    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, MS_IO,
                       "cannot put object %s in its place: its folder vanished %d "
                       "times",
                       key, PLACE_TRIES);
    return code;
}

enum ms_code ms_dir_sync_place(int root, const char *key, struct ms_error *reterr) {
    MS_AUTO(place_fini) struct place place = {.folder = -1, .now_s = INT64_MIN};
    enum ms_code code = place_open(root, key, &place, reterr);

    return code != MS_OK ? code : place_sync(&place, key, reterr);
}

/* A folder that is left empty would stay for ever: each asset has one of its own. */
static void remove_empty_folders(int root, const char *key) {
    char path[sizeof MS_DIR_SIDECAR + 1 + MS_OBJECT_KEY_MAX];
    char *slash;

    snprintf(path, sizeof path, "%s", key);
    while ((slash = strrchr(path, '/'))) {
        *slash = '\0';
        if (strcmp(path, MS_DIR_SIDECAR) == 0 || unlinkat(root, path, AT_REMOVEDIR) != 0)
            return;
    }
}

enum ms_code ms_dir_unplace(int root, const char *key, struct ms_error *reterr) {
    MS_AUTO_FD folder = -1;
    enum ms_code code = open_parent(root, key, &folder, reterr);

    if (code == MS_NOT_FOUND)
        return MS_OK;
    if (code != MS_OK)
        return code;
    if (unlinkat(folder, leaf_of(key), 0) != 0) {
        if (is_absent(errno) || errno == EISDIR)
            return MS_OK;
        return ms_fail_errno(reterr, errno, "cannot delete object %s", key);
    }
    code = sync_folder(folder, key, reterr);
    remove_empty_folders(root, key);
    return code;
}

/* ---- temporary files ------------------------------------------------------------------------- */

/* Locked, and still there: a cleaner may have taken it for a dead process's between the two calls. */
static bool own_temp(int fd) {
    struct stat st;

    return flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0;
}

enum ms_code ms_dir_temp_new(const struct ms_dir *d, struct ms_dir_temp *ret_temp,
                             struct ms_error *reterr) {
    struct ms_dir_temp temp = {.folder = d->uploads};

    if (d->uploads < 0)
        return ms_fail_errno(reterr, d->uploads_errno, "the object folder %s cannot be written",
                             d->path);
    for (int i = 0; i < PLACE_TRIES; i++) {
        snprintf(temp.name, sizeof temp.name, "put-%s", ms_id_text(ms_id_new(d->random)).s);
        temp.fd =
            openat(d->uploads, temp.name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, MS_DIR_FILE_MODE);
        if (temp.fd < 0)
            return ms_fail_errno(reterr, errno, "cannot make a file in %s/" MS_DIR_UPLOADS,
                                 d->path);
        if (own_temp(temp.fd)) {
            *ret_temp = temp;
            return MS_OK;
        }
        close(temp.fd);
    }
    return ms_fail(reterr, MS_IO, "files made in %s/" MS_DIR_UPLOADS " vanish", d->path);
}

void ms_dir_temp_fini(struct ms_dir_temp *temp) {
    if (temp->fd < 0)
        return;
    if (temp->name[0])
        unlinkat(temp->folder, temp->name, 0);
    ms_fd_close(&temp->fd);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

enum ms_code ms_dir_write_all(int fd, const void *p, size_t n, uint64_t offset,
                              struct ms_error *reterr) {
    size_t done = 0;
    ssize_t got;

    while (done < n) {
        got = pwrite(fd, (const char *)p + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ms_fail_errno(reterr, errno,
                                 "cannot write %zu bytes at %" PRIu64 " into the object folder",
                                 n - done, offset + done);
        done += (size_t)got;
    }
    return MS_OK;
}

enum ms_code ms_dir_read_all(int fd, struct ms_buf *buf, struct ms_error *reterr) {
    enum ms_code code;
    ssize_t n;

    for (;;) {
        code = ms_buf_reserve(buf, 4096, reterr);
        if (code != MS_OK)
            return code;
        n = pread(fd, buf->data + buf->len, buf->cap - buf->len, (off_t)buf->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ms_fail_errno(reterr, errno, "cannot read in the object folder");
        if (n == 0)
            return MS_OK;
        buf->len += (size_t)n;
        buf->data[buf->len] = '\0';
    }
}

/* Let the disk begin while we go on: the sync at the end then waits for the last piece only. */
static void start_writeback(int fd, uint64_t offset, uint64_t *from, uint64_t to) {
    if (to - *from < WRITEBACK_STEP)
        return;
    (void)sync_file_range(fd, (off_t)(offset + *from), (off_t)(to - *from), SYNC_FILE_RANGE_WRITE);
    *from = to;
}

enum ms_code ms_dir_write_body(const struct ms_obj_request *r, const struct ms_obj_body *body,
                               int fd, uint64_t offset, char ret_etag[MS_ETAG_MAX + 1],
                               struct ms_error *reterr) {
    MS_AUTO(ms_body_fini) struct ms_body_reader reader = {.body = body};
    enum ms_code code = MS_OK;
    struct ms_view bytes;
    uint64_t started = 0;
    XXH3_state_t state;
    XXH128_hash_t hash;

    XXH3_128bits_reset(&state);
    while (code == MS_OK) {
        code = ms_body_next(&reader, &bytes, reterr);
        if (code != MS_OK || bytes.n == 0)
            break;
        XXH3_128bits_update(&state, bytes.p, bytes.n);
        code = ms_dir_write_all(fd, bytes.p, bytes.n, offset + reader.at - bytes.n, reterr);
        start_writeback(fd, offset, &started, reader.at);
        if (code == MS_OK)
            code = ms_job_go_on(r, reterr);
    }
    if (code != MS_OK)
        return code;
    hash = XXH3_128bits_digest(&state);
    snprintf(ret_etag, MS_ETAG_MAX + 1, "%016" PRIx64 "%016" PRIx64, hash.high64, hash.low64);
    return MS_OK;
}

enum ms_code ms_dir_each_name(int folder, bool (*each)(void *arg, const char *name), void *arg,
                              struct ms_error *reterr) {
    int fd = open_child(folder, ".");
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int err;

    if (!dir) {
        err = errno;
        ms_fd_close(&fd);
        return ms_fail_errno(reterr, err, "cannot list the object folder");
    }
    do {
        errno = 0;
        entry = readdir(dir);
        err = errno;
    } while (entry && each(arg, entry->d_name));
    closedir(dir);
    if (!entry && err)
        return ms_fail_errno(reterr, err, "cannot list the object folder");
    return MS_OK;
}
