#include "far_data.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE UINT64_C(4096)

static void *must(void *p) {
    if (!p)
        abort();
    return p;
}

bool far_data_init(struct far_data *d, uint64_t bytes_max) {
    pthread_mutex_init(&d->lock, NULL);
    d->bytes_max = bytes_max;
    d->memory = memfd_create("far-store", MFD_CLOEXEC);
    return d->memory >= 0;
}

/* ---- bytes ------------------------------------------------------------------------------------ */

static uint64_t pages_of(uint64_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

struct far_blob *far_blob_new(struct far_data *d, uint64_t bytes) {
    struct far_blob *blob = NULL;
    uint64_t room = pages_of(bytes);

    pthread_mutex_lock(&d->lock);
    if (room <= d->bytes_max - d->used) {
        blob = must(calloc(1, sizeof *blob));
        *blob = (struct far_blob){.refs = 1, .at = d->end, .bytes = bytes};
        d->end += room;
        d->used += room;
    }
    pthread_mutex_unlock(&d->lock);
    return blob;
}

void far_blob_unref(struct far_data *d, struct far_blob *blob) {
    if (!blob || atomic_fetch_sub(&blob->refs, 1) > 1)
        return;
    if (blob->bytes > 0)
        (void)fallocate(d->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)blob->at,
                        (off_t)pages_of(blob->bytes));
    pthread_mutex_lock(&d->lock);
    d->used -= pages_of(blob->bytes);
    pthread_mutex_unlock(&d->lock);
    free(blob);
}

/* ---- objects ---------------------------------------------------------------------------------- */

struct far_object *far_object_new(const char *key, const char *headers, unsigned extents) {
    struct far_object *o = must(calloc(1, sizeof *o + extents * sizeof o->extents[0]));

    o->refs = 1;
    o->key = must(strdup(key));
    o->headers = must(strdup(headers));
    o->modified = time(NULL);
    return o;
}

void far_object_add(struct far_object *o, struct far_blob *blob, uint64_t at, uint64_t bytes) {
    atomic_fetch_add(&blob->refs, 1);
    o->extents[o->extents_n++] = (struct far_extent){blob, at, bytes};
    o->bytes += bytes;
}

void far_object_add_range(struct far_object *o, const struct far_object *from, uint64_t at,
                          uint64_t bytes) {
    for (unsigned i = 0; i < from->extents_n && bytes > 0; i++) {
        const struct far_extent *e = &from->extents[i];
        uint64_t n;

        if (at >= e->bytes) {
            at -= e->bytes;
            continue;
        }
        n = e->bytes - at < bytes ? e->bytes - at : bytes;
        far_object_add(o, e->blob, e->at + at, n);
        at = 0;
        bytes -= n;
    }
}

void far_object_unref(struct far_data *d, struct far_object *o) {
    if (!o || atomic_fetch_sub(&o->refs, 1) > 1)
        return;
    for (unsigned i = 0; i < o->extents_n; i++)
        far_blob_unref(d, o->extents[i].blob);
    free(o->key);
    free(o->headers);
    free(o);
}

/* ---- buckets ---------------------------------------------------------------------------------- */

struct far_bucket *far_bucket_find(struct far_data *d, const char *name) {
    for (size_t i = 0; i < d->buckets_n; i++)
        if (strcmp(d->buckets[i].name, name) == 0)
            return &d->buckets[i];
    return NULL;
}

struct far_bucket *far_bucket_make(struct far_data *d, const char *name) {
    struct far_bucket *b = far_bucket_find(d, name);

    if (b || d->buckets_n == FAR_BUCKETS_MAX || strlen(name) >= sizeof b->name)
        return b;
    b = &d->buckets[d->buckets_n++];
    (void)snprintf(b->name, sizeof b->name, "%s", name);
    return b;
}

size_t far_place(const struct far_bucket *b, const char *key) {
    size_t low = 0, high = b->objects_n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(b->objects[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct far_object *far_find(const struct far_bucket *b, const char *key) {
    size_t at = far_place(b, key);

    return at < b->objects_n && strcmp(b->objects[at]->key, key) == 0 ? b->objects[at] : NULL;
}

struct far_object *far_put(struct far_bucket *b, struct far_object *o) {
    size_t at = far_place(b, o->key);

    if (at < b->objects_n && strcmp(b->objects[at]->key, o->key) == 0) {
        struct far_object *old = b->objects[at];

        b->objects[at] = o;
        return old;
    }
    if (b->objects_n == b->objects_cap) {
        b->objects_cap = b->objects_cap ? 2 * b->objects_cap : 256;
        b->objects = must(realloc(b->objects, b->objects_cap * sizeof *b->objects));
    }
    memmove(b->objects + at + 1, b->objects + at, (b->objects_n - at) * sizeof *b->objects);
    b->objects[at] = o;
    b->objects_n++;
    return NULL;
}

struct far_object *far_remove(struct far_bucket *b, const char *key) {
    size_t at = far_place(b, key);
    struct far_object *o;

    if (at == b->objects_n || strcmp(b->objects[at]->key, key) != 0)
        return NULL;
    o = b->objects[at];
    b->objects_n--;
    memmove(b->objects + at, b->objects + at + 1, (b->objects_n - at) * sizeof *b->objects);
    return o;
}

/* ---- uploads in parts ------------------------------------------------------------------------- */

struct far_upload *far_upload_make(struct far_data *d, struct far_bucket *b, const char *key,
                                   const char *headers) {
    struct far_upload *u = must(calloc(1, sizeof *u));

    (void)snprintf(u->id, sizeof u->id, "%032" PRIx64, ++d->next_upload);
    u->key = must(strdup(key));
    u->headers = must(strdup(headers));
    u->parts = must(calloc(FAR_PARTS_MAX + 1, sizeof *u->parts));
    if (b->uploads_n == b->uploads_cap) {
        b->uploads_cap = b->uploads_cap ? 2 * b->uploads_cap : 16;
        b->uploads = must(realloc(b->uploads, b->uploads_cap * sizeof *b->uploads));
    }
    b->uploads[b->uploads_n++] = u;
    return u;
}

struct far_upload *far_upload_find(const struct far_bucket *b, const char *id, const char *key) {
    for (size_t i = 0; i < b->uploads_n; i++)
        if (strcmp(b->uploads[i]->id, id) == 0 && strcmp(b->uploads[i]->key, key) == 0)
            return b->uploads[i];
    return NULL;
}

void far_upload_take(struct far_bucket *b, struct far_upload *u) {
    for (size_t i = 0; i < b->uploads_n; i++)
        if (b->uploads[i] == u) {
            b->uploads[i] = b->uploads[--b->uploads_n];
            return;
        }
}

void far_upload_free(struct far_data *d, struct far_upload *u) {
    for (unsigned i = 1; i <= FAR_PARTS_MAX; i++)
        far_object_unref(d, u->parts[i]);
    free(u->parts);
    free(u->key);
    free(u->headers);
    free(u);
}
