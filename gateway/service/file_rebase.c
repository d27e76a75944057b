/* Two writers in two processes: the later seal applies its patch to what the earlier one made. */
#include "service/file_image.h"

#include <stdlib.h>
#include <string.h>

#define COPY_BYTES (1024 * 1024)

struct rebase {
    struct ms_file *file;
    struct ms_stage *from, *to;
    uint8_t *buffer;
    struct ms_appended moved;
};

static enum ms_code copy(struct rebase *r, uint64_t from, uint64_t to, uint64_t n,
                         struct ms_error *reterr) {
    for (uint64_t at = 0; at < n;) {
        size_t piece = n - at < COPY_BYTES ? (size_t)(n - at) : COPY_BYTES;
        struct ms_extent extent;

        MS_TRY(ms_stage_pull(r->from, from + at, r->buffer, piece, &extent, reterr));
        MS_ASSERT(extent.length > 0 &&
                  extent.present); /* nobody writes meanwhile: `writing` is held */
        if (extent.hole)
            MS_TRY(ms_stage_zero(r->to, to + at, extent.length, reterr));
        else
            MS_TRY(ms_stage_write(r->to, to + at, r->buffer, (size_t)extent.length, reterr));
        at += extent.length;
    }
    return MS_OK;
}

/* The end of a range at offset that is wholly appended, or wholly not. */
static uint64_t same_kind_to(const struct ms_appended *a, uint64_t offset, bool *ret_appended) {
    uint64_t to = UINT64_MAX;

    *ret_appended = false;
    for (size_t i = 0; i < a->n; i++) {
        uint64_t end = a->range[i].offset + a->range[i].length;

        if (offset >= a->range[i].offset && offset < end) {
            *ret_appended = true;
            return end;
        }
        if (a->range[i].offset > offset && a->range[i].offset < to)
            to = a->range[i].offset;
    }
    return to;
}

/* What was written at an offset goes to that offset. */
static enum ms_code move_written(struct rebase *r, struct ms_error *reterr) {
    uint64_t size = ms_stage_size(r->from);

    for (uint64_t at = 0; at < size;) {
        struct ms_extent extent = ms_stage_extent(r->from, at, size - at);
        bool appended;
        uint64_t end = same_kind_to(&r->file->locked.appended, at, &appended), n = extent.length;

        if (n > end - at)
            n = end - at;
        if (extent.dirty && !appended)
            MS_TRY(copy(r, at, at, n, reterr));
        at += n;
    }
    return MS_OK;
}

/* What was appended goes to the end, in its order. */
static enum ms_code move_appended(struct rebase *r, struct ms_error *reterr) {
    const struct ms_appended *a = &r->file->locked.appended;

    for (size_t i = 0; i < a->n; i++) {
        uint64_t end = ms_stage_size(r->to);

        MS_TRY(copy(r, a->range[i].offset, end, a->range[i].length, reterr));
        r->moved.range[r->moved.n++] = (struct ms_append_range){end, a->range[i].length};
    }
    return MS_OK;
}

static enum ms_code apply(struct rebase *r, const struct ms_basis *basis, struct ms_error *reterr) {
    const struct ms_file *file = r->file;
    uint64_t size = basis->source.size;

    if (size > 0)
        MS_TRY(ms_stage_set_base(r->to, size, reterr));
    if (file->locked.truncated && file->locked.truncated_to < size)
        MS_TRY(ms_stage_truncate(r->to, file->locked.truncated_to, reterr));
    MS_TRY(move_written(r, reterr));
    return move_appended(r, reterr);
}

static void install_basis_locked(struct ms_file *file, struct ms_loaded *loaded) {
    ms_basis_unref(file->locked.basis);
    file->locked.basis = MS_TAKE(loaded->basis);
    file->locked.generation = loaded->inode.generation;
    file->locked.metered = loaded->metered;
    file->locked.fresh = false; /* whoever was faster has sealed it */
    file->locked.touches++;
}

static void install(struct ms_file *file, struct ms_patch *patch, struct ms_loaded *loaded,
                    struct ms_appended moved) {
    uint64_t size = ms_stage_size(patch->stage), growth;

    pthread_mutex_lock(&file->mutex);
    install_basis_locked(file, loaded);
    ms_patch_unref(file->locked.patch);
    file->locked.patch = patch;
    growth = size > file->locked.metered ? size - file->locked.metered : 0;
    /* what the lease does not cover now the seal reserves, or refuses */
    file->locked.needed = growth < file->locked.leased ? growth : file->locked.leased;
    free(file->locked.appended.range);
    file->locked.appended = moved;
    pthread_mutex_unlock(&file->mutex);
}

static enum ms_code load(struct ms_file *file, struct ms_loaded *loaded, struct ms_error *reterr) {
    const struct ms_ctx ctx = {.tenant = file->tenant, .who = "msasset"};
    struct ms_tree t;
    enum ms_code code;

    MS_TRY(ms_tree_read(&t, file->svc, &ctx, reterr));
    code = ms_image_rows(&t, file->ino, NULL, loaded, reterr);
    ms_tree_read_end(&t);
    return code;
}

static enum ms_code rebase_on(struct ms_file *file, struct ms_loaded *loaded,
                              struct ms_error *reterr) {
    struct ms_patch *patch = calloc(1, sizeof *patch);
    struct rebase r = {.file = file, .buffer = malloc(COPY_BYTES)};
    enum ms_code code = MS_OK;

    r.moved.cap = file->locked.appended.n;
    r.moved.range = calloc(r.moved.cap + 1, sizeof *r.moved.range);
    if (!patch || !r.buffer || !r.moved.range)
        code = ms_fail(reterr, MS_NO_MEMORY, "no memory to apply a change to a newer version");
    if (code == MS_OK) {
        atomic_init(&patch->refs, 1);
        code = ms_stage_open(file->svc->journal, &patch->stage, reterr);
    }
    if (code == MS_OK) {
        r.from = file->locked.patch->stage;
        r.to = patch->stage;
        code = apply(&r, loaded->basis, reterr);
    }
    free(r.buffer);
    if (code == MS_OK) {
        install(file, patch, loaded, r.moved);
        return MS_OK;
    }
    free(r.moved.range);
    if (patch && patch->stage)
        ms_patch_unref(patch);
    else
        free(patch);
    return code;
}

enum ms_code ms_image_rebase(struct ms_file *file, struct ms_error *reterr) {
    struct ms_loaded loaded = {0};
    uint64_t from = file->locked.generation; /* changes in this job only */
    enum ms_code code;

    pthread_mutex_lock(&file->writing);
    code = load(file, &loaded, reterr);
    if (code == MS_OK && file->locked.patch) {
        code = rebase_on(file, &loaded, reterr);
    } else if (code == MS_OK) { /* new, and nothing was written to it here */
        pthread_mutex_lock(&file->mutex);
        install_basis_locked(file, &loaded);
        pthread_mutex_unlock(&file->mutex);
    }
    if (code == MS_OK)
        ms_file_job_retire_slot(file); /* its object would hold the old basis' bytes */
    pthread_mutex_unlock(&file->writing);
    if (code == MS_OK)
        ms_image_tell(file, MS_FILE_REBASED, from, loaded.inode.generation);
    ms_basis_unref(loaded.basis);
    return code;
}
