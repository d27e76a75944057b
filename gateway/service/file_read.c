/* Reads: the patch over the basis. What is staged is copied at once, the rest comes from the store
 * through the cache. A sealed file's bytes may be lent as they lie there. */
#include "service/file_image.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(MS_FILE_LENT_MAX >= MS_READ_LENT_MAX, "what the cache lends is lent on");

/* One absent range. */
struct piece {
    struct ms_read read;
    struct piece *next;
};
struct ms_image_read {
    struct ms_image_read *prev, *next; /* of the image's list */
    bool listed;
    bool cancelled; /* under the file's mutex */
    struct ms_file_io *io;
    struct ms_file *file;
    struct ms_patch *patch;
    struct ms_basis *basis;
    struct ms_cursors *cursors; /* of the handle; NULL: nothing is read ahead */
    struct ms_file_lent *lent;  /* NULL: copied into the caller's memory */
    uint8_t *own;               /* memory of a lent read that is no loan of the cache's */
    uint8_t *into;              /* NULL: the cache lends */
    uint64_t offset;
    size_t length;
    bool check, admin;           /* ask again at the end whether it may be read */
    struct piece *pieces, first; /* the first one needs no memory of its own */
    atomic_uint pending;
    pthread_mutex_t mutex;
    enum ms_code code;
    struct ms_error error;
};
static void fail_read(struct ms_image_read *r, enum ms_code code, const struct ms_error *err) {
    pthread_mutex_lock(&r->mutex);
    if (r->code == MS_OK) {
        r->code = code;
        r->error = *err;
    }
    pthread_mutex_unlock(&r->mutex);
}

/* From then on a freeze can end it. Needs: every piece has been started. */
static void enlist(struct ms_image_read *r) {
    struct ms_file *file = r->file;

    pthread_mutex_lock(&file->mutex);
    r->next = file->locked.reads;
    if (r->next)
        r->next->prev = r;
    file->locked.reads = r;
    pthread_mutex_unlock(&file->mutex);
    r->listed = true;
}

static void delist(struct ms_image_read *r) {
    struct ms_file *file = r->file;

    pthread_mutex_lock(&file->mutex);
    if (r->prev)
        r->prev->next = r->next;
    else
        file->locked.reads = r->next;
    if (r->next)
        r->next->prev = r->prev;
    pthread_mutex_unlock(&file->mutex);
}

static void free_pieces(struct ms_image_read *r) {
    while (r->pieces) {
        struct piece *next = r->pieces->next;

        if (!r->into && r->length > 0)
            ms_read_release(r->file->svc->cache, &r->pieces->read);
        if (r->pieces != &r->first)
            free(r->pieces);
        r->pieces = next;
    }
}

static void free_read(struct ms_image_read *r) {
    free_pieces(r);
    ms_patch_unref(r->patch);
    ms_basis_unref(r->basis);
    ms_image_unref(r->file);
    pthread_mutex_destroy(&r->mutex);
    free(r->own);
    free(r);
}

/* What the caller gets to see. False: nothing, and the read is over. */
static bool lend(struct ms_image_read *r) {
    struct ms_file_lent *lent = r->lent;

    if (!lent || r->io->code != MS_OK)
        return false;
    lent->read = r;
    lent->iov_n = 0;
    if (r->length > 0 && r->into)
        lent->iov[lent->iov_n++] = (struct iovec){r->into, r->length};
    else if (r->length > 0)
        lent->iov_n = ms_read_lent(&r->first.read, lent->iov);
    return true;
}

void ms_file_return(struct ms_file_lent *lent) { free_read(MS_TAKE(lent->read)); }

static void finish(struct ms_image_read *r) {
    struct ms_file_io *io = r->io;
    struct ms_error err;
    enum ms_code code = r->code;

    if (r->listed)
        delist(r);
    /* frozen meanwhile: what was read is not given away */
    err = r->error;
    if ((code == MS_OK || code == MS_CANCELLED) && r->check) {
        enum ms_code may = ms_image_may(r->file, r->admin, MS_RIGHT_READ, &err);

        code = may ? may : code;
    }
    io->code = code;
    io->error = err;
    io->n = code == MS_OK ? r->length : 0;
    if (!lend(r))
        free_read(r);
    io->done(io);
}

static void settle_one(struct ms_image_read *r) {
    if (atomic_fetch_sub(&r->pending, 1) == 1)
        finish(r);
}

static void piece_done(struct ms_read *read) {
    struct ms_image_read *r = read->priv;

    if (read->code != MS_OK)
        fail_read(r, read->code, &read->error);
    settle_one(r);
}

static void fetch(struct ms_image_read *r, uint64_t offset, size_t length) {
    struct ms_source *source = &r->basis->source;
    struct piece *piece = r->pieces ? calloc(1, sizeof *piece) : &r->first;
    struct ms_error err;

    MS_ASSERT(offset + length <= source->size);
    if (!piece) {
        fail_read(r, ms_fail(&err, MS_NO_MEMORY, "no memory for a read"), &err);
        return;
    }
    piece->next = r->pieces;
    r->pieces = piece;
    piece->read = (struct ms_read){.source = source,
                                   .offset = offset,
                                   .length = length,
                                   .into = r->into ? r->into + (offset - r->offset) : NULL,
                                   .cursors = r->cursors,
                                   .done = piece_done,
                                   .priv = r};
    atomic_fetch_add(&r->pending, 1);
}

/* Copy what is staged and note what is not. The file may shrink meanwhile: then less is given. */
static void split(struct ms_image_read *r) {
    size_t at = 0;

    if (!r->patch) {
        fetch(r, r->offset, r->length);
        return;
    }
    while (at < r->length && r->code == MS_OK) {
        struct ms_extent extent;
        struct ms_error err;
        enum ms_code code = ms_stage_pull(r->patch->stage, r->offset + at, r->into + at,
                                          r->length - at, &extent, &err);

        if (code != MS_OK)
            fail_read(r, code, &err);
        else if (extent.length == 0)
            r->length = at;
        else if (!extent.present)
            fetch(r, extent.offset, extent.length);
        at += code == MS_OK ? extent.length : 0;
    }
}

static void start(struct ms_image_read *r) {
    struct piece *next;

    for (struct piece *piece = r->pieces; piece; piece = next) {
        next = piece->next; /* the last one that is done frees them all, but not before settle_one
                               below */
        ms_read_start(r->file->svc->cache, &piece->read);
    }
}

static void nothing_read(struct ms_file_io *io, enum ms_code code) {
    io->code = code;
    io->n = 0;
    io->done(io);
}

/* What the image is right now. Length 0: the end of the file. */
static void snapshot(struct ms_image_read *r) {
    struct ms_file *file = r->file;
    uint64_t size;

    pthread_mutex_lock(&file->mutex);
    size = ms_image_size_locked(file);
    r->patch = ms_patch_ref(file->locked.patch);
    r->basis = ms_basis_ref(file->locked.basis);
    pthread_mutex_unlock(&file->mutex);
    if (r->offset >= size)
        r->length = 0;
    else if (r->length > size - r->offset)
        r->length = (size_t)(size - r->offset);
}

/* Memory for a lent read that the cache cannot lend: what is staged is no block of the store. */
static void find_memory(struct ms_image_read *r) {
    const struct ms_cache *cache = r->file->svc->cache;
    struct ms_error err;

    if (!r->lent || r->length == 0)
        return;
    if (!r->patch && r->basis && ms_read_may_lend(cache, &r->basis->source, r->offset, r->length))
        return;
    r->own = r->into = malloc(r->length);
    if (!r->own)
        fail_read(r, ms_fail(&err, MS_NO_MEMORY, "no memory for a read"), &err);
}

static struct ms_image_read *read_new(struct ms_file *file, uint64_t offset, size_t length,
                                      struct ms_file_io *io) {
    struct ms_image_read *r = calloc(1, sizeof *r);

    io->error = (struct ms_error){0};
    if (!r) {
        nothing_read(io, ms_fail(&io->error, MS_NO_MEMORY, "no memory for a read"));
        return NULL;
    }
    r->io = io;
    r->file = ms_image_ref(file);
    r->offset = offset;
    r->length = length;
    atomic_init(&r->pending, 1);
    pthread_mutex_init(&r->mutex, NULL);
    return r;
}

static void read_start(struct ms_image_read *r) {
    snapshot(r);
    find_memory(r);
    if (r->length > 0 && r->code == MS_OK)
        split(r);
    start(r);
    if (r->pieces && r->check)
        enlist(r);
    settle_one(r);
}

/* A share of a read that has not ended: it stays until settle_one(). */
static bool hold(struct ms_image_read *r) {
    unsigned pending = atomic_load(&r->pending);

    while (pending > 0)
        if (atomic_compare_exchange_weak(&r->pending, &pending, pending + 1))
            return true;
    return false;
}

#define CANCEL_MAX 64

/* False: there were fewer than can be held at once. */
static bool cancel_some(struct ms_file *file) {
    struct ms_image_read *held[CANCEL_MAX];
    size_t n = 0;

    pthread_mutex_lock(&file->mutex);
    for (struct ms_image_read *r = file->locked.reads; r && n < CANCEL_MAX; r = r->next)
        if (!r->cancelled && hold(r)) {
            r->cancelled = true;
            held[n++] = r;
        }
    pthread_mutex_unlock(&file->mutex);
    for (size_t i = 0; i < n; i++) {
        for (struct piece *piece = held[i]->pieces; piece; piece = piece->next)
            ms_read_cancel(file->svc->cache, &piece->read);
        settle_one(held[i]);
    }
    return n == CANCEL_MAX;
}

void ms_image_cancel_reads(struct ms_file *file) {
    while (cancel_some(file))
        ;
}

void ms_image_read(struct ms_file *file, uint64_t offset, size_t length, void *into,
                   struct ms_file_io *io) {
    struct ms_image_read *r = read_new(file, offset, length, io);

    if (!r)
        return;
    r->into = into;
    read_start(r);
}

static void read_through(struct ms_handle *handle, uint64_t offset, size_t length, void *into,
                         struct ms_file_lent *lent, struct ms_file_io *io) {
    enum ms_code code = ms_image_may(handle->file, handle->admin, MS_RIGHT_READ, &io->error);
    struct ms_image_read *r;

    if (code != MS_OK) {
        nothing_read(io, code);
        return;
    }
    r = read_new(handle->file, offset, length, io);
    if (!r)
        return;
    r->into = into;
    r->lent = lent;
    r->cursors = &handle->cursors;
    r->check = true;
    r->admin = handle->admin;
    read_start(r);
}

void ms_file_read(struct ms_handle *handle, uint64_t offset, size_t length, void *into,
                  struct ms_file_io *io) {
    MS_ASSERT(into || length == 0);
    read_through(handle, offset, length, into, NULL, io);
}

void ms_file_lend(struct ms_handle *handle, uint64_t offset, size_t length,
                  struct ms_file_lent *lent) {
    read_through(handle, offset, length, NULL, lent, &lent->io);
}
