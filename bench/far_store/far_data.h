/* far_data.h — what the far store holds: buckets of keys in order, objects of extents, one memory file of bytes.
 *
 * Bytes lie in one memfd, so that sendfile(2) hands them out without a copy: the store's own CPU must not be what
 * is measured. An object is immutable and counted; a copy shares its bytes. Threads: all functions, any thread; one
 * lock inside. */
#ifndef MS_BENCH_FAR_DATA_H
#define MS_BENCH_FAR_DATA_H

#include "base/buf.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define FAR_KEY_MAX 1024
#define FAR_BUCKETS_MAX 64
#define FAR_PARTS_MAX 10000u
#define FAR_ETAG_MAX 48

/* Bytes in the memory file, from their own page on. */
struct far_blob {
    atomic_uint refs;
    uint64_t at, bytes;
};
struct far_extent {
    struct far_blob *blob;
    uint64_t at, bytes; /* within the blob */
};

struct far_object {
    atomic_uint refs;
    char *key;
    char *headers; /* "Content-Type: ...\r\nx-amz-meta-...\r\n" as they are answered */
    char etag[FAR_ETAG_MAX];
    uint64_t bytes;
    time_t modified;
    unsigned extents_n;
    struct far_extent extents[];
};

struct far_upload {
    char id[33];
    char *key, *headers;
    struct far_object **parts; /* FAR_PARTS_MAX + 1, by number */
};

struct far_bucket {
    char name[64];
    struct far_object **objects; /* in order of key */
    size_t objects_n, objects_cap;
    struct far_upload **uploads;
    size_t uploads_n, uploads_cap;
};

struct far_data {
    int memory;
    uint64_t bytes_max;
    pthread_mutex_t lock;
    uint64_t end, used; /* of the memory file */
    uint64_t next_upload;
    struct far_bucket buckets[FAR_BUCKETS_MAX];
    size_t buckets_n;
};

/* false: no memory file. */
bool far_data_init(struct far_data *d, uint64_t bytes_max);

/* NULL: the store is full. Its bytes are written by the caller at blob->at. */
struct far_blob *far_blob_new(struct far_data *d, uint64_t bytes);
void far_blob_unref(struct far_data *d, struct far_blob *blob);

/* An object with room for extents; key and headers are copied. It has one reference, and takes one of each blob that
 * far_object_add is given. */
struct far_object *far_object_new(const char *key, const char *headers, unsigned extents);
void far_object_add(struct far_object *o, struct far_blob *blob, uint64_t at, uint64_t bytes);
/* The extents of a range of another object. */
void far_object_add_range(struct far_object *o, const struct far_object *from, uint64_t at,
                          uint64_t bytes);
void far_object_unref(struct far_data *d, struct far_object *o);

/* The rest needs d->lock. */
struct far_bucket *far_bucket_find(struct far_data *d, const char *name);
struct far_bucket *far_bucket_make(struct far_data *d, const char *name);
/* The first object whose key is not less than this one. */
size_t far_place(const struct far_bucket *b, const char *key);
struct far_object *far_find(const struct far_bucket *b, const char *key);
/* Takes the reference over; what it replaces is returned, to be let go of without the lock. */
struct far_object *far_put(struct far_bucket *b, struct far_object *o);
struct far_object *far_remove(struct far_bucket *b, const char *key);
struct far_upload *far_upload_make(struct far_data *d, struct far_bucket *b, const char *key,
                                   const char *headers);
struct far_upload *far_upload_find(const struct far_bucket *b, const char *id, const char *key);
/* Out of the bucket; the caller frees it with far_upload_free, without the lock. */
void far_upload_take(struct far_bucket *b, struct far_upload *u);
void far_upload_free(struct far_data *d, struct far_upload *u);

#endif
