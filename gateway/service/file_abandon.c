/* Uploads that are over, and giving up: what was written shall not be sealed, what is being sent
 * need not be sent. Nobody waits for the store to clean up; what it keeps is gc's. */
#include "service/file_image.h"

#include <stdlib.h>

struct drop {
    struct ms_task task;
    struct ms_slot *slot;
    struct ms_files *files;
};

static void dropped(struct ms_task *task) {
    struct drop *drop = MS_CONTAINER_OF(task, struct drop, task);
    struct ms_files *files = drop->files;

    ms_slot_unref(drop->slot);
    free(drop);
    ms_files_one_done(files);
}

static void upload_dropped(void *priv, enum ms_code code, const struct ms_error *err,
                           const struct ms_upload_result *result) {
    struct drop *drop = priv;

    (void)code, (void)err, (void)result;
    drop->task.run = dropped;
    ms_engine_follow(drop->files->svc->engine, &drop->task);
}

/* A running call of it ends with MS_CANCELLED. */
void ms_slot_drop_later(struct ms_files *files, struct ms_slot *slot) {
    struct drop *drop = slot->upload && !slot->finished.done ? calloc(1, sizeof *drop) : NULL;

    if (!drop) {
        ms_slot_unref(slot);
        return;
    }
    *drop = (struct drop){.slot = slot, .files = files};
    pthread_mutex_lock(&files->mutex);
    files->retries++;
    pthread_mutex_unlock(&files->mutex);
    ms_upload_drop(slot->upload, upload_dropped, drop);
}

bool ms_image_is_abandoned_locked(const struct ms_file *file) {
    return file->locked.abandoned && file->locked.abandoned_touches == file->locked.touches;
}

void ms_file_abandon(struct ms_handle *handle) {
    struct ms_file *file = handle->file;
    struct ms_slot *slot = NULL;

    pthread_mutex_lock(&file->mutex);
    ms_image_settle_locked(file);
    if (file->locked.state != MS_IMAGE_SEALED) {
        file->locked.abandoned = true;
        file->locked.abandoned_touches = file->locked.touches;
        slot = file->locked.slot;
    }
    if (slot && (!slot->upload || slot->dropped || slot->finished.done))
        slot = NULL;
    if (slot) {
        slot->dropped = true;
        slot = ms_slot_ref(slot);
    }
    pthread_mutex_unlock(&file->mutex);
    if (slot)
        ms_slot_drop_later(file->files, slot);
}

uint64_t ms_file_sent(struct ms_handle *handle, bool *ret_busy) {
    struct ms_file *file = handle->file;
    struct ms_slot *slot = NULL;
    uint64_t sent = 0;

    *ret_busy = false;
    pthread_mutex_lock(&file->mutex);
    if (file->locked.slot && file->locked.slot->upload)
        slot = ms_slot_ref(file->locked.slot);
    *ret_busy = file->locked.start_queued;
    pthread_mutex_unlock(&file->mutex);
    if (slot)
        sent = ms_upload_sent(slot->upload, ret_busy);
    ms_slot_unref(slot);
    return sent;
}
