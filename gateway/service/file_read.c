/* Reads: the patch over the basis. What is staged is copied at once, the rest comes from the store
 * through the cache. */
#include "service/file_image.h"

#include <stdlib.h>
#include <string.h>

#define READ_AHEAD_BYTES (2 * 1024 * 1024)

struct piece;
struct ms_image_read {
    struct ms_image_read *prev, *next; /* of the image's list */
    bool listed;
    struct ms_file_io *io;
    struct ms_file *file;
    struct ms_patch *patch;
    struct ms_basis *basis;
    uint8_t *into;
    uint64_t offset;
    size_t length;
    bool check, admin; /* ask again at the end whether it may be read */
    struct piece *pieces;
    atomic_uint pending;
    pthread_mutex_t mutex;
    enum ms_code code;
    struct ms_error error;
};
/* One absent range. */
struct piece {
    struct ms_read read;
    struct piece *next;
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
    while (r->pieces) {
        struct piece *next = r->pieces->next;

        free(r->pieces);
        r->pieces = next;
    }
    ms_patch_unref(r->patch);
    ms_basis_unref(r->basis);
    ms_image_unref(r->file);
    pthread_mutex_destroy(&r->mutex);
    free(r);
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
    void *into = r->into + (offset - r->offset);
    struct piece *piece;
    struct ms_error err;

    MS_ASSERT(offset + length <= source->size);
    if (ms_read_cached(r->file->svc->cache, source, offset, length, into))
        return;
    piece = calloc(1, sizeof *piece);
    if (!piece) {
        fail_read(r, ms_fail(&err, MS_NO_MEMORY, "no memory for a read"), &err);
        return;
    }
    piece->next = r->pieces;
    r->pieces = piece;
    piece->read = (struct ms_read){.source = source,
                                   .offset = offset,
                                   .length = length,
                                   .into = into,
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

static void read_as(struct ms_file *file, uint64_t offset, size_t length, void *into,
                    struct ms_file_io *io, bool check, bool admin) {
    struct ms_image_read *r = calloc(1, sizeof *r);

    io->error = (struct ms_error){0};
    if (!r) {
        nothing_read(io, ms_fail(&io->error, MS_NO_MEMORY, "no memory for a read"));
        return;
    }
    r->io = io;
    r->file = ms_image_ref(file);
    r->into = into;
    r->offset = offset;
    r->length = length;
    r->check = check;
    r->admin = admin;
    atomic_init(&r->pending, 1);
    pthread_mutex_init(&r->mutex, NULL);
    snapshot(r);
    if (r->length > 0)
        split(r);
    start(r);
    if (r->pieces && check)
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

void ms_image_cancel_reads(struct ms_file *file) {
    struct ms_image_read *held[CANCEL_MAX];
    size_t n = 0;

    pthread_mutex_lock(&file->mutex);
    for (struct ms_image_read *r = file->locked.reads; r && n < CANCEL_MAX; r = r->next)
        if (hold(r))
            held[n++] = r;
    pthread_mutex_unlock(&file->mutex);
    for (size_t i = 0; i < n; i++) {
        for (struct piece *piece = held[i]->pieces; piece; piece = piece->next)
            ms_read_cancel(file->svc->cache, &piece->read);
        settle_one(held[i]);
    }
}

void ms_image_read(struct ms_file *file, uint64_t offset, size_t length, void *into,
                   struct ms_file_io *io) {
    read_as(file, offset, length, into, io, false, false);
}

/* The second of two reads in a row, and each further one, fetches what comes behind it. */
static void read_ahead(struct ms_handle *handle, uint64_t offset, size_t length) {
    struct ms_file *file = handle->file;
    struct ms_basis *basis = NULL;
    uint64_t end = offset + length;
    bool in_row = atomic_exchange(&handle->next_offset, end) == offset && offset > 0;

    if (!in_row)
        return;
    pthread_mutex_lock(&file->mutex);
    if (!file->locked.patch)
        basis = ms_basis_ref(file->locked.basis);
    pthread_mutex_unlock(&file->mutex);
    if (basis && end < basis->source.size) {
        uint64_t left = basis->source.size - end;

        ms_read_ahead(file->svc->cache, &basis->source, end,
                      left < READ_AHEAD_BYTES ? left : READ_AHEAD_BYTES);
    }
    ms_basis_unref(basis);
}

void ms_file_read(struct ms_handle *handle, uint64_t offset, size_t length, void *into,
                  struct ms_file_io *io) {
    enum ms_code code = ms_image_may(handle->file, handle->admin, MS_RIGHT_READ, &io->error);

    if (code != MS_OK) {
        nothing_read(io, code);
        return;
    }
    read_ahead(handle, offset, length);
    read_as(handle->file, offset, length, into, io, true, handle->admin);
}
