/* drv_dir.h — inside of the directory driver: an object is a plain file, readable by any tool.
 *
 *   <root>/a/b/c             object "a/b/c"; its metadata is the extended attribute user.msasset
 *   <root>/.sidecar/a/b/c    the same as text, where the file system has no room for the attribute
 *   <root>/.uploads/put-ID   bytes of a PUT under way, flock'ed by its maker
 *   <root>/.uploads/ID/data  the file that an upload becomes, its parts written in place
 *   <root>/.uploads/ID/log   key, metadata, and a line for each part that is durable
 *
 * A kill leaves put-, new- and gone- names, which no list shows; the next open removes those without an owner.
 */
#ifndef MS_OBJECT_DRV_DIR_H
#define MS_OBJECT_DRV_DIR_H

#include "object/driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS_DIR_UPLOADS ".uploads"
#define MS_DIR_SIDECAR ".sidecar"
#define MS_DIR_FILE_MODE 0640
#define MS_DIR_FOLDER_MODE 0750
#define MS_DIR_META_MAX ((size_t)16 * 1024)

struct ms_dir {
    struct ms_job_obj job;
    struct ms_random *random;
    int root;    /* the folder */
    int uploads; /* -1: cannot be written, uploads_errno says why */
    int uploads_errno;
    char *path; /* for messages */
};

static inline struct ms_dir *ms_dir_of(struct ms_obj *obj) {
    return MS_CONTAINER_OF(obj, struct ms_dir, job.obj);
}
static inline void ms_fd_close(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
#define MS_AUTO_FD MS_AUTO(ms_fd_close) int

/* ---- drv_dir_path.c: names, and what makes them durable -------------------------------------- */

/* Open the object's file for reading. Errors: MS_NOT_FOUND, also for a folder or a symbolic link. */
MS_NODISCARD enum ms_code ms_dir_open_file(const struct ms_dir *d, const char *key, int *ret_fd,
                                           struct stat *ret_st, struct ms_error *reterr);
/* Open the folder path[0..n), "" the root; no link is followed. Errors: MS_NOT_FOUND. */
MS_NODISCARD enum ms_code ms_dir_open_folder(int root, const char *path, size_t n, int *ret_fd,
                                             struct ms_error *reterr);

/* A file of ours that is to become an object. */
struct ms_dir_temp {
    int fd, folder; /* folder is borrowed */
    char name[64];
};
MS_NODISCARD enum ms_code ms_dir_temp_new(const struct ms_dir *d, struct ms_dir_temp *ret_temp,
                                          struct ms_error *reterr);
void ms_dir_temp_fini(struct ms_dir_temp *temp); /* unlinks what was not placed */

/* Rename a synced file to its key below root, making folders; durable afterwards, replaces atomically.
 * Errors: MS_EXISTS the key is a folder, or a component of it an object. */
MS_NODISCARD enum ms_code ms_dir_place(int root, int folder, const char *name, const char *key,
                                       struct ms_error *reterr);
/* Make an object durable that was placed by somebody who may have died before he synced. */
MS_NODISCARD enum ms_code ms_dir_sync_place(int root, const char *key, struct ms_error *reterr);
/* Remove the key and folders left empty by that; durable. Nothing there is success. */
MS_NODISCARD enum ms_code ms_dir_unplace(int root, const char *key, struct ms_error *reterr);

/* Write a body at offset; the ETag is the hash of its bytes, made in the same pass. Not synced. */
MS_NODISCARD enum ms_code ms_dir_write_body(const struct ms_obj_request *r,
                                            const struct ms_obj_body *body, int fd, uint64_t offset,
                                            char ret_etag[MS_ETAG_MAX + 1],
                                            struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_dir_write_all(int fd, const void *p, size_t n, uint64_t offset,
                                           struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_dir_read_all(int fd, struct ms_buf *buf, struct ms_error *reterr);

/* ---- drv_dir_meta.c -------------------------------------------------------------------------- */

/* Lines "etag=", "upload=" (of multipart), then those of HEAD. */
struct ms_dir_meta {
    char etag[MS_ETAG_MAX + 1];
    char upload_id[MS_ID_TEXT_LEN + 1];
    struct ms_buf text; /* ms_dir_meta_fini() */
};
void ms_dir_meta_fini(struct ms_dir_meta *meta);
/* Attach it to a file that is about to be placed at key, and sync both. */
MS_NODISCARD enum ms_code ms_dir_meta_write(const struct ms_dir *d, int fd, const char *key,
                                            const struct ms_dir_meta *meta,
                                            struct ms_error *reterr);
/* Of a file that another tool put there: an ETag from size and time, the default content type. */
MS_NODISCARD enum ms_code ms_dir_meta_read(const struct ms_dir *d, int fd, const char *key,
                                           const struct stat *st, struct ms_dir_meta *ret_meta,
                                           struct ms_error *reterr);

/* ---- drv_dir_list.c, drv_dir_upload.c -------------------------------------------------------- */

ms_job_fn ms_dir_list;
ms_job_fn ms_dir_mp_create, ms_dir_mp_put, ms_dir_mp_copy, ms_dir_mp_complete, ms_dir_mp_abort,
    ms_dir_mp_list, ms_dir_mp_parts;
/* Names below .uploads; false from the callback ends the walk. */
MS_NODISCARD enum ms_code ms_dir_each_name(int folder, bool (*each)(void *arg, const char *name),
                                           void *arg, struct ms_error *reterr);
void ms_dir_clean_uploads(const struct ms_dir *d);

#endif
