/* Writing: into the patch, under the quota and the limit of the type; never to the store. */
#include "service/file_image.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

/* ---- entering and leaving a change ----------------------------------------------------------- */

static enum ms_code new_patch(struct ms_file *file, struct ms_patch **ret_patch,
                              struct ms_error *reterr) {
    struct ms_patch *patch = calloc(1, sizeof *patch);
    struct ms_basis *basis = file->locked.basis; /* changes under writing only */
    enum ms_code code;

    if (!patch)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a file that is being written");
    atomic_init(&patch->refs, 1);
    code = ms_stage_open(file->svc->journal, &patch->stage, reterr);
    if (code == MS_OK && basis && basis->source.size > 0)
        code = ms_stage_set_base(patch->stage, basis->source.size, reterr);
    if (code == MS_OK)
        *ret_patch = patch;
    else
        ms_patch_unref(patch);
    return code;
}

static void end_change(struct ms_file *file) {
    pthread_mutex_lock(&file->mutex);
    MS_ASSERT(file->locked.active > 0);
    file->locked.active--;
    file->locked.touches++;
    pthread_mutex_unlock(&file->mutex);
}

static void install_patch(struct ms_file *file, struct ms_patch *patch) {
    pthread_mutex_lock(&file->mutex);
    if (patch) {
        file->locked.patch = patch;
        file->locked.modified = file->locked.truncated = false;
        file->locked.appended.n = 0;
        file->locked.written_bytes = 0;
    }
    if (file->locked.state == MS_IMAGE_SEALED || file->locked.state == MS_IMAGE_REFUSED)
        file->locked.state = MS_IMAGE_UNSEALED;
    pthread_mutex_unlock(&file->mutex);
}

/* Between begin and end no seal is committed: a job that sees an active writer, or other touches
 * than when it began, has not sent what there is. Leaves SEALED and REFUSED. Needs: writing held.
 */
static enum ms_code begin_change(struct ms_file *file, struct ms_error *reterr) {
    struct ms_patch *patch = NULL;
    enum ms_code code = MS_OK;
    bool has_patch;

    pthread_mutex_lock(&file->mutex);
    ms_image_settle_locked(file);
    file->locked.active++;
    file->locked.touches++;
    has_patch = file->locked.patch != NULL;
    pthread_mutex_unlock(&file->mutex);
    if (!has_patch)
        code = new_patch(file, &patch, reterr);
    if (code == MS_OK)
        install_patch(file, patch);
    else
        end_change(file);
    return code;
}

/* Something was changed: there is something to seal, and mtime is now. */
static void note_change(struct ms_file *file) {
    struct timespec now = ms_clock_timespec(file->svc->clock);

    pthread_mutex_lock(&file->mutex);
    file->locked.modified = true;
    file->locked.attr.which |= MS_ATTR_MTIME | MS_ATTR_CTIME;
    file->locked.attr.mtime = file->locked.attr.ctime = now;
    pthread_mutex_unlock(&file->mutex);
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* The smallest limit of any type at or above size: up to there a known limit need not be asked for
 * again. */
static uint64_t next_limit(uint64_t size) {
    uint64_t next = UINT64_MAX;

    for (int t = 0; t < MS_TYPE_COUNT; t++) {
        uint64_t max = ms_asset_type_bytes_max((enum ms_asset_type)t, true);

        if (max >= size && max < next)
            next = max;
    }
    return next;
}

static uint64_t ask_limit(struct ms_file *file) {
    const struct ms_ctx ctx = {.tenant = file->tenant, .who = "msasset"};
    struct ms_named named;
    struct ms_tree t;
    uint64_t max = MS_FILE_BYTES_MAX; /* nameless: nothing judges it */

    if (ms_tree_read(&t, file->svc, &ctx, NULL) != MS_OK)
        return max;
    if (ms_image_named(&t, file->ino, &named, NULL) == MS_OK)
        max = ms_asset_type_bytes_max(ms_asset_type_of_name(named.name, named.top, false), true);
    ms_tree_read_end(&t);
    return max;
}

/* How long the file may be by its type: the name decides, and the name may change while it is open.
 */
static uint64_t size_limit(struct ms_file *file, uint64_t end) {
    if (end <= file->bytes_max && end <= file->bytes_max_known_to)
        return file->bytes_max;
    file->bytes_max = ask_limit(file);
    file->bytes_max_known_to = next_limit(end);
    return file->bytes_max;
}

static enum ms_code too_large(uint64_t end, uint64_t max, struct ms_error *reterr) {
    return ms_fail(reterr, MS_TOO_LARGE,
                   "the file would grow to %" PRIu64 " bytes, its type may have %" PRIu64
                   ": choose a name of another type or split it",
                   end, max);
}

/* The end that a growth to `end` may have; at_least or nothing. EFBIG is tested before EDQUOT. */
static enum ms_code grow(struct ms_file *file, uint64_t at_least, uint64_t end, uint64_t *ret_end,
                         struct ms_error *reterr) {
    uint64_t max = size_limit(file, end);

    if (at_least > max)
        return too_large(end, max, reterr);
    return ms_lease_grow(file, at_least, end < max ? end : max, ret_end, reterr);
}

/* ---- write ----------------------------------------------------------------------------------- */

/* Ranges that touch become one. */
static enum ms_code note_append(struct ms_file *file, uint64_t offset, uint64_t length,
                                struct ms_error *reterr) {
    struct ms_appended *a = &file->locked.appended;

    if (a->n > 0 && a->range[a->n - 1].offset + a->range[a->n - 1].length == offset) {
        a->range[a->n - 1].length += length;
        return MS_OK;
    }
    if (a->n == a->cap) {
        size_t cap = a->cap ? a->cap * 2 : 4;
        struct ms_append_range *range = realloc(a->range, cap * sizeof *range);

        if (!range)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for an appending writer");
        a->range = range;
        a->cap = cap;
    }
    a->range[a->n++] = (struct ms_append_range){offset, length};
    return MS_OK;
}

static enum ms_code stage_bytes(struct ms_file *file, bool append, uint64_t offset, const void *p,
                                size_t n, struct ms_error *reterr) {
    enum ms_code code = ms_stage_write(file->locked.patch->stage, offset, p, n, reterr);

    if (code == MS_OK && append)
        code = note_append(file, offset, n, reterr);
    if (code == MS_OK)
        note_change(file);
    return code;
}

static enum ms_code write_changing(struct ms_file *file, bool append, uint64_t *offset,
                                   const void *p, size_t *n, struct ms_error *reterr) {
    uint64_t size = ms_stage_size(file->locked.patch->stage), end;
    enum ms_code code = MS_OK;

    if (append)
        *offset = size;
    if (*offset > MS_FILE_BYTES_MAX)
        return too_large(*offset, MS_FILE_BYTES_MAX, reterr);
    end = *offset + *n;
    if (end > size)
        code = grow(file, *offset + 1 > size ? *offset + 1 : size, end, &end, reterr);
    if (code != MS_OK)
        return code;
    *n = (size_t)(end - *offset);
    return stage_bytes(file, append, *offset, p, *n, reterr);
}

/* Tell the upload; when there is none yet and enough was written, have one started. */
static void tell_upload(struct ms_file *file, uint64_t offset, size_t n) {
    struct ms_slot *slot = NULL;
    bool start = false;

    pthread_mutex_lock(&file->mutex);
    file->locked.written_bytes += n;
    if (file->locked.slot && file->locked.slot->upload && !file->locked.slot->finished.done &&
        !file->locked.slot->dropped)
        slot = ms_slot_ref(file->locked.slot);
    else if (!file->locked.slot && !file->locked.start_queued && !file->locked.orphan)
        start = file->locked.start_queued = file->locked.written_bytes >= MS_EAGER_BYTES;
    pthread_mutex_unlock(&file->mutex);
    if (slot)
        ms_upload_written(slot->upload, offset, n);
    ms_slot_unref(slot);
    if (start)
        ms_file_job_submit(ms_image_ref(file), MS_FILE_JOB_START,
                           &(struct ms_file_job_by){.who = "msasset"}, NULL, NULL);
}

static enum ms_code check_writer(struct ms_handle *handle, struct ms_error *reterr) {
    if (!handle->write)
        return ms_fail(reterr, MS_DENIED, "inode %" PRIu64 " was not opened for writing",
                       handle->file->ino);
    ms_handle_idle(handle, false);
    return ms_image_may(handle->file, handle->admin, MS_RIGHT_WRITE, reterr);
}

static enum ms_code write_as(struct ms_handle *handle, bool append, uint64_t offset, const void *p,
                             size_t n, size_t *ret_n, struct ms_error *reterr) {
    struct ms_file *file = handle->file;
    enum ms_code code = check_writer(handle, reterr);

    if (code != MS_OK || n == 0) {
        *ret_n = 0;
        return code;
    }
    pthread_mutex_lock(&file->writing);
    code = begin_change(file, reterr);
    if (code == MS_OK) {
        code = write_changing(file, append, &offset, p, &n, reterr);
        end_change(file);
    }
    if (code == MS_OK)
        tell_upload(file, offset, n);
    pthread_mutex_unlock(&file->writing);
    if (code == MS_OK)
        *ret_n = n;
    return code;
}

enum ms_code ms_file_write(struct ms_handle *handle, uint64_t offset, const void *p, size_t n,
                           size_t *ret_n, struct ms_error *reterr) {
    return write_as(handle, handle->append, offset, p, n, ret_n, reterr);
}

enum ms_code ms_file_write_back(struct ms_handle *handle, uint64_t offset, const void *p, size_t n,
                                size_t *ret_n, struct ms_error *reterr) {
    return write_as(handle, false, offset, p, n, ret_n, reterr);
}

/* ---- truncate and allocate ------------------------------------------------------------------- */

/* What a rebase must know; what was cut off needs no promise any more. */
static void note_truncate(struct ms_file *file, uint64_t size) {
    struct ms_appended *a = &file->locked.appended;

    pthread_mutex_lock(&file->mutex);
    if (!file->locked.truncated || size < file->locked.truncated_to)
        file->locked.truncated_to = size;
    file->locked.truncated = true;
    while (a->n > 0 && a->range[a->n - 1].offset >= size)
        a->n--;
    if (a->n > 0 && a->range[a->n - 1].offset + a->range[a->n - 1].length > size)
        a->range[a->n - 1].length = size - a->range[a->n - 1].offset;
    file->locked.needed = size > file->locked.metered ? size - file->locked.metered : 0;
    pthread_mutex_unlock(&file->mutex);
}

static enum ms_code truncate_changing(struct ms_file *file, uint64_t size,
                                      struct ms_error *reterr) {
    struct ms_stage *stage = file->locked.patch->stage;
    uint64_t before = ms_stage_size(stage), granted;
    enum ms_code code = MS_OK;

    if (size > before)
        code = grow(file, size, size, &granted, reterr);
    if (code == MS_OK)
        code = ms_stage_truncate(stage, size, reterr);
    if (code != MS_OK)
        return code;
    if (size < before)
        note_truncate(file, size);
    note_change(file);
    return MS_OK;
}

static enum ms_code truncate_image(struct ms_file *file, uint64_t size, struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    uint64_t before;

    pthread_mutex_lock(&file->writing);
    pthread_mutex_lock(&file->mutex);
    before = ms_image_size_locked(file);
    pthread_mutex_unlock(&file->mutex);
    if (size != before) {
        code = begin_change(file, reterr);
        if (code == MS_OK) {
            code = truncate_changing(file, size, reterr);
            end_change(file);
        }
        if (code == MS_OK)
            tell_upload(file, size < before ? size : before, 0);
    }
    pthread_mutex_unlock(&file->writing);
    return code;
}

enum ms_code ms_file_truncate(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                              struct ms_handle *handle, uint64_t size, struct ms_error *reterr) {
    struct ms_file_wait wait;
    enum ms_code code;

    if (!handle) {
        ms_file_truncate_start(svc, ctx, ino, size, ms_file_wait_begin(&wait));
        return ms_file_wait_end(&wait, NULL, reterr);
    }
    MS_ASSERT(handle->file->ino == ino);
    code = check_writer(handle, reterr);
    return code ? code : truncate_image(handle->file, size, reterr);
}

static enum ms_code zero_range(struct ms_file *file, uint64_t offset, uint64_t length,
                               bool keep_size, struct ms_error *reterr) {
    uint64_t size = ms_stage_size(file->locked.patch->stage), end = offset + length, granted;
    enum ms_code code = MS_OK;

    if (keep_size && end > size)
        end = size;
    if (offset >= end)
        return MS_OK;
    if (end > size)
        code = grow(file, end, end, &granted, reterr);
    if (code == MS_OK)
        code = ms_stage_zero(file->locked.patch->stage, offset, end - offset, reterr);
    if (code == MS_OK)
        note_change(file);
    return code;
}

static enum ms_code allocate_image(struct ms_file *file, int mode, uint64_t offset, uint64_t length,
                                   struct ms_error *reterr) {
    bool zero = (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0;
    enum ms_code code;

    pthread_mutex_lock(&file->writing);
    code = begin_change(file, reterr);
    if (code == MS_OK) {
        if (zero)
            code = zero_range(file, offset, length, (mode & FALLOC_FL_KEEP_SIZE) != 0, reterr);
        else if (offset + length > ms_stage_size(file->locked.patch->stage))
            code = truncate_changing(file, offset + length, reterr);
        end_change(file);
    }
    if (code == MS_OK)
        tell_upload(file, offset, 0);
    pthread_mutex_unlock(&file->writing);
    return code;
}

enum ms_code ms_file_allocate(struct ms_handle *handle, int mode, uint64_t offset, uint64_t length,
                              struct ms_error *reterr) {
    int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    enum ms_code code = check_writer(handle, reterr);

    if (code != MS_OK)
        return code;
    if (mode != 0 && mode != FALLOC_FL_KEEP_SIZE && mode != hole && mode != FALLOC_FL_ZERO_RANGE &&
        mode != (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE))
        return ms_fail(reterr, MS_UNSUPPORTED, "fallocate mode 0x%x is not supported",
                       (unsigned)mode);
    if (length == 0 || offset > MS_FILE_BYTES_MAX || length > MS_FILE_BYTES_MAX - offset)
        return ms_fail(reterr, length ? MS_TOO_LARGE : MS_INVALID,
                       "fallocate of %" PRIu64 " bytes at offset %" PRIu64
                       " is outside of any file",
                       length, offset);
    if (mode == FALLOC_FL_KEEP_SIZE) /* space is the store's: there is nothing to prepare */
        return MS_OK;
    return allocate_image(handle->file, mode, offset, length, reterr);
}

/* ---- truncate without a handle --------------------------------------------------------------- */

struct truncation {
    struct ms_file_io io;
    struct ms_file_io *user;
    struct ms_handle *handle;
};

static void truncation_done(struct ms_file_io *io) {
    struct truncation *t = io->priv;
    struct ms_file_io *user = t->user;

    free(t); /* the seal's result stands in user already; releasing a sealed file says nothing more
              */
    user->done(user);
}

static void truncation_sealed(struct ms_file_io *io) {
    struct truncation *t = io->priv;

    t->user->code = io->code;
    t->user->error = io->error;
    t->io.done = truncation_done;
    ms_file_release(t->handle, &t->io);
}

static enum ms_code truncate_alone(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                                   uint64_t size, struct truncation *t, struct ms_error *reterr) {
    const struct ms_open open = {.ino = ino, .write = true};
    enum ms_code code = ms_file_open(svc, ctx, &open, &t->handle, reterr);

    return code ? code : ms_file_truncate(svc, ctx, ino, t->handle, size, reterr);
}

void ms_file_truncate_start(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino,
                            uint64_t size, struct ms_file_io *io) {
    struct truncation *t = calloc(1, sizeof *t);
    enum ms_code code = t ? truncate_alone(svc, ctx, ino, size, t, &io->error)
                          : ms_fail(&io->error, MS_NO_MEMORY, "no memory to truncate a file");

    io->code = code;
    if (code != MS_OK && !(t && t->handle)) {
        free(t);
        io->done(io);
        return;
    }
    t->user = io;
    t->io = (struct ms_file_io){.done = code ? truncation_done : truncation_sealed, .priv = t};
    if (code != MS_OK)
        ms_file_release(t->handle, &t->io);
    else
        ms_file_flush(t->handle, &t->io);
}
