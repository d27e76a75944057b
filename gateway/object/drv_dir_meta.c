/* drv_dir_meta.c — metadata of the directory driver: an extended attribute, or a text beside the file.
 *
 * The attribute travels with the rename, so object and metadata appear as one. ext4 keeps about 4 KiB of them per
 * file, tmpfs none before Linux 6.6: then a sidecar is written first. It names the size and the modification time
 * of the file it describes, so that one which was left behind by a crash or an overwrite is not believed.
 */
#include "base/assert.h"
#include "object/drv_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/xattr.h>

#define ATTRIBUTE "user.msasset"

void ms_dir_meta_fini(struct ms_dir_meta *meta) { ms_buf_fini(&meta->text); }

static enum ms_code encode(const struct ms_dir_meta *meta, struct ms_buf *buf,
                           struct ms_error *reterr) {
    enum ms_code code = ms_buf_addf(buf, reterr, "etag=%s\n", meta->etag);

    if (code == MS_OK && meta->upload_id[0])
        code = ms_buf_addf(buf, reterr, "upload=%s\n", meta->upload_id);
    return code != MS_OK ? code : ms_buf_add(buf, meta->text.data, meta->text.len, reterr);
}

/* Takes "name=value\n" from the front of *p. */
static bool take_line(const char **p, const char *name, char *ret_value, size_t size) {
    size_t n = strlen(name), len;

    if (strncmp(*p, name, n) != 0 || (*p)[n] != '=')
        return false;
    len = strcspn(*p + n + 1, "\n");
    if (len >= size || (*p)[n + 1 + len] != '\n')
        return false;
    memcpy(ret_value, *p + n + 1, len);
    ret_value[len] = '\0';
    *p += n + 1 + len + 1;
    return true;
}

/* False when it is not ours: then it is as if there were none. */
static bool decode(const char *p, struct ms_dir_meta *meta, enum ms_code *ret_code,
                   struct ms_error *reterr) {
    struct ms_dir_meta m = {0};

    if (!take_line(&p, "etag", m.etag, sizeof m.etag))
        return false;
    (void)take_line(&p, "upload", m.upload_id, sizeof m.upload_id);
    if (strncmp(p, "content-type=", 13) != 0)
        return false;
    *ret_code = ms_buf_addf(&m.text, reterr, "%s", p);
    *meta = m;
    return true;
}

/* ---- sidecar --------------------------------------------------------------------------------- */

static int64_t mtime_ns(const struct stat *st) {
    return (int64_t)st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec;
}

static enum ms_code sidecar_folder(const struct ms_dir *d, bool make, int *ret_fd,
                                   struct ms_error *reterr) {
    if (make && mkdirat(d->root, MS_DIR_SIDECAR, MS_DIR_FOLDER_MODE) == 0 && fsync(d->root) != 0)
        return ms_fail_errno(reterr, errno, "cannot sync the object folder");
    return ms_dir_open_folder(d->root, MS_DIR_SIDECAR, strlen(MS_DIR_SIDECAR), ret_fd, reterr);
}

static enum ms_code sidecar_write(const struct ms_dir *d, int fd, const char *key,
                                  const struct ms_buf *text, struct ms_error *reterr) {
    MS_AUTO(ms_dir_temp_fini) struct ms_dir_temp temp = {.fd = -1};
    MS_AUTO(ms_buf_fini) struct ms_buf buf = MS_BUF_MAX(MS_DIR_META_MAX);
    MS_AUTO_FD folder = -1;
    struct stat st;
    enum ms_code code = sidecar_folder(d, true, &folder, reterr);

    if (code == MS_OK)
        code = ms_dir_temp_new(d, &temp, reterr);
    /* Synced, so that the time is the last one. */
    if (code == MS_OK && (fsync(fd) != 0 || fstat(fd, &st) != 0))
        code = ms_fail_errno(reterr, errno, "cannot look at the file of object %s", key);
    if (code == MS_OK)
        code = ms_buf_addf(&buf, reterr, "size=%lld\nmtime=%" PRId64 "\n%s", (long long)st.st_size,
                           mtime_ns(&st), (const char *)text->data);
    if (code == MS_OK)
        code = ms_dir_write_all(temp.fd, buf.data, buf.len, 0, reterr);
    if (code == MS_OK && fsync(temp.fd) != 0)
        code = ms_fail_errno(reterr, errno, "cannot sync the metadata of object %s", key);
    if (code == MS_OK)
        code = ms_dir_place(folder, d->uploads, temp.name, key, reterr);
    if (code == MS_OK)
        temp.name[0] = '\0';
    return code;
}

static bool sidecar_fits(const char **p, const struct stat *st) {
    char text[32], want[32];

    snprintf(want, sizeof want, "%lld", (long long)st->st_size);
    if (!take_line(p, "size", text, sizeof text) || strcmp(text, want) != 0)
        return false;
    snprintf(want, sizeof want, "%" PRId64, mtime_ns(st));
    return take_line(p, "mtime", text, sizeof text) && strcmp(text, want) == 0;
}

static bool sidecar_read(const struct ms_dir *d, const char *key, const struct stat *st,
                         struct ms_dir_meta *meta, enum ms_code *ret_code,
                         struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf buf = MS_BUF_MAX(MS_DIR_META_MAX);
    char path[sizeof MS_DIR_SIDECAR + 1 + MS_OBJECT_KEY_MAX];
    MS_AUTO_FD fd = -1;
    struct stat own;
    const char *p;

    snprintf(path, sizeof path, "%s/%s", MS_DIR_SIDECAR, key);
    if (ms_dir_open_file(d, path, &fd, &own, NULL) != MS_OK ||
        ms_dir_read_all(fd, &buf, NULL) != MS_OK || buf.len == 0)
        return false;
    p = (const char *)buf.data;
    return sidecar_fits(&p, st) && decode(p, meta, ret_code, reterr);
}

/* ---- both ------------------------------------------------------------------------------------ */

enum ms_code ms_dir_meta_write(const struct ms_dir *d, int fd, const char *key,
                               const struct ms_dir_meta *meta, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf text = MS_BUF_MAX(MS_DIR_META_MAX);
    enum ms_code code = encode(meta, &text, reterr);

    if (code != MS_OK)
        return code;
    /* Whatever keeps the attribute out (no support, no room), a sidecar may still do. */
    if (fsetxattr(fd, ATTRIBUTE, text.data, text.len, 0) != 0) {
        code = sidecar_write(d, fd, key, &text, reterr);
        if (code != MS_OK)
            return code;
    }
    /* Not fdatasync: that may leave the attribute out. */
    if (fsync(fd) != 0)
        return ms_fail_errno(reterr, errno, "cannot sync object %s", key);
    return MS_OK;
}

enum ms_code ms_dir_meta_read(const struct ms_dir *d, int fd, const char *key,
                              const struct stat *st, struct ms_dir_meta *ret_meta,
                              struct ms_error *reterr) {
    struct ms_dir_meta meta = {0};
    enum ms_code code = MS_OK;
    char text[MS_DIR_META_MAX];
    ssize_t n = fgetxattr(fd, ATTRIBUTE, text, sizeof text - 1);

    if (n > 0)
        text[n] = '\0';
    if ((n <= 0 || !decode(text, &meta, &code, reterr)) &&
        !sidecar_read(d, key, st, &meta, &code, reterr)) {
        snprintf(meta.etag, sizeof meta.etag, MS_ETAG_MADE_UP "%llx-%" PRIx64, (long long)st->st_size,
                 (uint64_t)mtime_ns(st));
        code = ms_obj_meta_text(NULL, &meta.text, reterr);
    }
    if (code != MS_OK) {
        ms_dir_meta_fini(&meta);
        return code;
    }
    *ret_meta = meta;
    return MS_OK;
}
