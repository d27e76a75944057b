/* drv_dir.c — objects as plain files in a local directory: the embedded default. See drv_dir.h for the layout.
 *
 * PUT: write a temporary file, sync it, rename it, sync the folder. So a reader sees the old bytes or the new
 * ones, also after a power cut. Several processes may use one folder.
 */
#include "object/drv_dir.h"

#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define GET_STEP ((uint64_t)4 << 20)

/* ---- operations on whole objects ------------------------------------------------------------- */

static enum ms_code put_body(struct ms_dir *d, struct ms_obj_request *r,
                             const struct ms_obj_body *body, struct ms_dir_meta *meta,
                             struct ms_error *reterr) {
    MS_AUTO(ms_dir_temp_fini) struct ms_dir_temp temp = {.fd = -1};
    enum ms_code code = ms_dir_temp_new(d, &temp, reterr);

    if (code == MS_OK)
        code = ms_dir_write_body(r, body, temp.fd, 0, meta->etag, reterr);
    if (code == MS_OK)
        code = ms_dir_meta_write(d, temp.fd, r->key, meta, reterr);
    if (code == MS_OK)
        code = ms_dir_place(d->root, temp.folder, temp.name, r->key, reterr);
    if (code != MS_OK)
        return code;
    temp.name[0] = '\0';
    snprintf(r->ret_etag, sizeof r->ret_etag, "%s", meta->etag);
    return MS_OK;
}

static enum ms_code dir_put(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    MS_AUTO(ms_dir_meta_fini) struct ms_dir_meta meta = {.text = MS_BUF_MAX(MS_DIR_META_MAX)};
    enum ms_code code = ms_obj_meta_text(r->meta, &meta.text, reterr);

    return code != MS_OK ? code : put_body(ms_dir_of(obj), r, &r->body, &meta, reterr);
}

static enum ms_code dir_copy(struct ms_obj *obj, struct ms_obj_request *r,
                             struct ms_error *reterr) {
    MS_AUTO(ms_dir_meta_fini) struct ms_dir_meta meta = {0};
    struct ms_dir *d = ms_dir_of(obj);
    MS_AUTO_FD fd = -1;
    struct stat st;
    enum ms_code code = ms_dir_open_file(d, r->source_key, &fd, &st, reterr);

    if (code == MS_OK)
        code = ms_dir_meta_read(d, fd, r->source_key, &st, &meta, reterr);
    if (code != MS_OK)
        return code;
    meta.upload_id[0] = '\0';
    return put_body(d, r, &(struct ms_obj_body){.fd = fd, .length = (uint64_t)st.st_size}, &meta,
                    reterr);
}

static enum ms_code read_range(struct ms_obj_request *r, int fd, struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    uint64_t done = 0;
    size_t want;
    ssize_t n;

    while (done < r->length && code == MS_OK) {
        want = (size_t)(r->length - done < GET_STEP ? r->length - done : GET_STEP);
        n = pread(fd, (char *)r->into + done, want, (off_t)(r->offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ms_fail_errno(reterr, errno, "cannot read object %s at %" PRIu64, r->key,
                                 r->offset + done);
        if (n == 0)
            return ms_fail(reterr, MS_IO,
                           "object %s was cut to %" PRIu64 " bytes while it was read", r->key,
                           r->offset + done);
        done += (uint64_t)n;
        code = done < r->length ? ms_job_go_on(r, reterr) : MS_OK;
    }
    return code;
}

static enum ms_code dir_get(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    MS_AUTO(ms_dir_meta_fini) struct ms_dir_meta meta = {0};
    struct ms_dir *d = ms_dir_of(obj);
    MS_AUTO_FD fd = -1;
    struct stat st;
    uint64_t size;
    enum ms_code code = ms_dir_open_file(d, r->key, &fd, &st, reterr);

    if (code != MS_OK)
        return code;
    size = (uint64_t)st.st_size;
    if (r->offset > size || r->length > size - r->offset)
        return ms_fail(reterr, MS_RANGE, "bytes %" PRIu64 "+%" PRIu64 " of %s, which has %" PRIu64,
                       r->offset, r->length, r->key, size);
    code = ms_dir_meta_read(d, fd, r->key, &st, &meta, reterr);
    if (code == MS_OK)
        code = read_range(r, fd, reterr);
    if (code != MS_OK)
        return code;
    r->ret_n = r->length;
    r->ret_size = size;
    snprintf(r->ret_etag, sizeof r->ret_etag, "%s", meta.etag);
    return MS_OK;
}

static enum ms_code dir_head(struct ms_obj *obj, struct ms_obj_request *r,
                             struct ms_error *reterr) {
    MS_AUTO(ms_dir_meta_fini) struct ms_dir_meta meta = {0};
    struct ms_dir *d = ms_dir_of(obj);
    MS_AUTO_FD fd = -1;
    struct stat st;
    enum ms_code code = ms_dir_open_file(d, r->key, &fd, &st, reterr);

    if (code == MS_OK)
        code = ms_dir_meta_read(d, fd, r->key, &st, &meta, reterr);
    if (code == MS_OK)
        code = ms_buf_add(&r->ret_meta, meta.text.data, meta.text.len, reterr);
    if (code != MS_OK)
        return code;
    r->ret_size = (uint64_t)st.st_size;
    snprintf(r->ret_etag, sizeof r->ret_etag, "%s", meta.etag);
    return MS_OK;
}

static enum ms_code delete_key(const struct ms_dir *d, const char *key, struct ms_error *reterr) {
    char sidecar[sizeof MS_DIR_SIDECAR + 1 + MS_OBJECT_KEY_MAX];
    enum ms_code code = ms_dir_unplace(d->root, key, reterr);

    if (code != MS_OK)
        return code;
    snprintf(sidecar, sizeof sidecar, "%s/%s", MS_DIR_SIDECAR, key);
    return ms_dir_unplace(d->root, sidecar, reterr);
}

static enum ms_code dir_delete(struct ms_obj *obj, struct ms_obj_request *r,
                               struct ms_error *reterr) {
    return delete_key(ms_dir_of(obj), r->key, reterr);
}

static enum ms_code dir_delete_many(struct ms_obj *obj, struct ms_obj_request *r,
                                    struct ms_error *reterr) {
    enum ms_code code = MS_OK;

    for (size_t i = 0; i < r->keys_n && code == MS_OK; i++) {
        code = ms_job_go_on(r, reterr);
        if (code == MS_OK)
            code = delete_key(ms_dir_of(obj), r->keys[i], reterr);
    }
    return code;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void dir_close(struct ms_obj *obj) {
    struct ms_dir *d = ms_dir_of(obj);

    ms_fd_close(&d->uploads);
    ms_fd_close(&d->root);
    free(d->path);
    free(d);
}

static const struct ms_obj_ops *dir_ops(void) {
    static const struct ms_obj_ops ops = {"dir", ms_job_submit, ms_job_cancel, dir_close};

    return &ops;
}

static const struct ms_job_obj *dir_job(void) {
    static const struct ms_job_obj job = {
        .obj = {.caps = {.multipart = true,
                         .part_copy = true,
                         .copy = true,
                         .batch_delete = true,
                         .part_in_place = true,
                         .put_bytes_max = MS_FILE_BYTES_MAX}},
        .run = {[MS_OBJ_PUT] = dir_put,
                [MS_OBJ_GET] = dir_get,
                [MS_OBJ_HEAD] = dir_head,
                [MS_OBJ_DELETE] = dir_delete,
                [MS_OBJ_LIST] = ms_dir_list,
                [MS_OBJ_MP_CREATE] = ms_dir_mp_create,
                [MS_OBJ_MP_PUT] = ms_dir_mp_put,
                [MS_OBJ_MP_COMPLETE] = ms_dir_mp_complete,
                [MS_OBJ_MP_ABORT] = ms_dir_mp_abort,
                [MS_OBJ_MP_LIST] = ms_dir_mp_list,
                [MS_OBJ_MP_PARTS] = ms_dir_mp_parts,
                [MS_OBJ_COPY] = dir_copy,
                [MS_OBJ_MP_COPY] = ms_dir_mp_copy,
                [MS_OBJ_DELETE_MANY] = dir_delete_many},
    };

    return &job;
}

/* The folder's own entry, or the store would be lost with the next power cut. */
static enum ms_code sync_parent_of(const char *path, struct ms_error *reterr) {
    char *parent = strdup(path), *slash;
    int fd, err;

    if (!parent)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a path");
    slash = strrchr(parent, '/');
    slash[slash == parent] = '\0';
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err = fd < 0 || fsync(fd) != 0 ? errno : 0;
    ms_fd_close(&fd);
    free(parent);
    return err == 0 ? MS_OK : ms_fail_errno(reterr, err, "cannot sync the folder of %s", path);
}

static enum ms_code make_root(const char *path, struct ms_error *reterr) {
    if (mkdir(path, 0700) == 0)
        return sync_parent_of(path, reterr);
    if (errno == EEXIST)
        return MS_OK;
    return ms_fail_errno(reterr, errno, "cannot make the object folder %s", path);
}

static enum ms_code open_root(struct ms_dir *d, struct ms_error *reterr) {
    d->root = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->root < 0 && errno == ENOENT)
        return ms_fail(reterr, MS_UNAVAILABLE,
                       "the object folder %s is not there: is its disk "
                       "mounted?",
                       d->path);
    if (d->root < 0)
        return ms_fail_errno(reterr, errno, "cannot open the object folder %s", d->path);
    /* A folder that can only be read serves reads. */
    if (mkdirat(d->root, MS_DIR_UPLOADS, MS_DIR_FOLDER_MODE) == 0)
        d->uploads_errno = fsync(d->root) != 0 ? errno : 0;
    else
        d->uploads_errno = errno == EEXIST ? 0 : errno;
    if (d->uploads_errno == 0 && faccessat(d->root, MS_DIR_UPLOADS, W_OK | X_OK, AT_EACCESS) != 0)
        d->uploads_errno = errno;
    if (d->uploads_errno == 0) {
        d->uploads =
            openat(d->root, MS_DIR_UPLOADS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        d->uploads_errno = d->uploads < 0 ? errno : 0;
    }
    return MS_OK;
}

enum ms_code ms_drv_dir_open(const struct ms_obj_options *options, const char *address,
                             struct ms_obj **ret_obj, struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    struct ms_dir *d;

    if (address[0] != '/' || address[1] == '\0')
        return ms_fail(reterr, MS_CONFIG,
                       "object store 'dir:%s': an absolute path of a folder must "
                       "follow 'dir:'",
                       address);
    if (options->create)
        code = make_root(address, reterr);
    if (code != MS_OK)
        return code;
    d = calloc(1, sizeof *d);
    if (!d)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an object store");
    d->job = *dir_job();
    d->job.obj.ops = dir_ops();
    d->job.obj.engine = options->engine;
    d->random = options->random;
    d->root = d->uploads = -1;
    d->path = strdup(address);
    code = d->path ? open_root(d, reterr) : ms_fail(reterr, MS_NO_MEMORY, "no memory for a path");
    if (code != MS_OK) {
        dir_close(&d->job.obj);
        return code;
    }
    if (d->uploads >= 0)
        ms_dir_clean_uploads(d);
    *ret_obj = &d->job.obj;
    return MS_OK;
}
