/* A writer that is far ahead of the store: its bytes are taken, the answer waits a little.
 *
 * Bytes that leave memory before they were sent are written to the disk and read again, so a writer
 * that is as fast as the store is better off. Who waits is only told so later: no thread stands
 * still. A store that is away must not hold writers up: an answer waits for two seconds at most, and
 * when nothing was sent meanwhile, no further one does until something is. */
#include "service/file_image.h"

#include <stdlib.h>

#define LOOK_NS INT64_C(5000000)
#define LOOKS_MAX 400u

struct pace {
    struct ms_timer timer;
    struct ms_file *file;
    struct ms_file_io *io;
    uint64_t sent; /* when it began */
    unsigned looks;
};

static struct ms_slot *sending_slot(struct ms_file *file) {
    struct ms_slot *slot = NULL;

    pthread_mutex_lock(&file->mutex);
    if (file->locked.patch && file->locked.slot && file->locked.slot->upload &&
        !file->locked.slot->dropped && !file->locked.slot->finished.done &&
        ms_stage_is_crowded(file->locked.patch->stage))
        slot = ms_slot_ref(file->locked.slot);
    pthread_mutex_unlock(&file->mutex);
    return slot;
}

/* More is staged in memory than the file's share, and some of it is on its way to the store. */
static bool is_ahead(struct ms_file *file, uint64_t *ret_sent) {
    struct ms_slot *slot = sending_slot(file);
    bool busy = false;

    if (slot)
        *ret_sent = ms_upload_sent(slot->upload, &busy);
    ms_slot_unref(slot);
    return busy;
}

static void look(struct ms_timer *timer) {
    struct pace *p = MS_CONTAINER_OF(timer, struct pace, timer);
    struct ms_file *file = p->file;
    struct ms_file_io *io = p->io;
    uint64_t sent = p->sent;
    bool ahead = is_ahead(file, &sent);

    if (ahead && ++p->looks < LOOKS_MAX) {
        ms_engine_after(file->svc->engine, &p->timer, LOOK_NS);
        return;
    }
    if (ahead && sent == p->sent)
        atomic_store(&file->paced_in_vain, sent + 1);
    free(p);
    ms_image_unref(file); /* before done: whoever waits for it may end the service */
    io->done(io);
}

bool ms_file_pace(struct ms_handle *handle, struct ms_file_io *io) {
    struct ms_file *file = handle->file;
    uint64_t sent = 0;
    struct pace *p;

    if (!is_ahead(file, &sent) || atomic_load(&file->paced_in_vain) == sent + 1)
        return false;
    p = calloc(1, sizeof *p);
    if (!p)
        return false;
    io->code = MS_OK;
    *p = (struct pace){.timer = {.fire = look}, .file = ms_image_ref(file), .io = io, .sent = sent};
    ms_engine_after(file->svc->engine, &p->timer, LOOK_NS);
    return true;
}
