/* fsync: every byte is in the store and the list of its parts is committed; nobody else sees it
 * yet. */
#include "service/file_image.h"

#include <stdlib.h>
#include <string.h>

/* True when there is something to list. What was deleted needs no promise; what was made without a
 * name does: it may get one. */
static bool begin_attempt(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    const struct ms_slot *slot;
    bool done;

    pthread_mutex_lock(&file->mutex);
    slot = file->locked.slot;
    job->touches = file->locked.touches;
    job->size = ms_image_size_locked(file);
    job->attr = file->locked.attr;
    done = file->locked.state == MS_IMAGE_SEALED || (file->locked.orphan && !file->locked.fresh) ||
           (!file->locked.modified && !file->locked.fresh) ||
           (slot && slot->fsynced && slot->synced_touches == job->touches &&
            file->locked.active == 0 && job->attr.which == 0);
    pthread_mutex_unlock(&file->mutex);
    return !done;
}

/* Take what another commit has stored out of what is still to be stored. */
static void attr_stored(struct ms_file *file, const struct ms_setattr *stored) {
    struct ms_setattr *attr = &file->locked.attr;

    if (memcmp(attr, stored, sizeof *attr) == 0)
        attr->which = 0;
}

static void listed(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    struct ms_slot *slot = file->locked.slot;

    if (job->request.code != MS_OK) {
        job->err = job->request.error;
        (void)ms_file_job_fail(job, job->request.code);
        ms_file_job_end(job);
        return;
    }
    pthread_mutex_lock(&file->mutex);
    free(slot->listed.parts);
    slot->listed = job->uploaded.list;
    job->uploaded.list = (struct ms_listed){0};
    memcpy(slot->upload_id, job->uploaded.upload_id, sizeof slot->upload_id);
    slot->fsynced = true;
    slot->synced_touches = job->touches;
    attr_stored(file, &job->attr);
    job->drops = MS_TAKE(file->locked.retired); /* this list keeps their promise now */
    pthread_mutex_unlock(&file->mutex);
    ms_file_job_drop_slots(job);
    ms_file_job_end(job);
}

static void list(struct ms_file_job *job) {
    struct ms_slot *slot = job->file->locked.slot;
    struct ms_list_in *in = &job->op.list.in;

    if (ms_file_job_intents(job, slot) != MS_OK) {
        ms_file_job_end(job);
        return;
    }
    memset(in, 0, sizeof *in);
    ms_file_job_call(job, &in->call);
    in->ino = job->file->ino;
    in->size = job->uploaded.size;
    in->intent = slot->intent;
    in->local = slot->local;
    memcpy(in->upload_id, job->uploaded.upload_id, sizeof in->upload_id);
    in->before = &slot->listed;
    in->after = &job->uploaded.list;
    in->retired = job->intents;
    in->retired_n = job->intents_n;
    in->attr = job->attr;
    ms_file_job_write(job, ms_list_op, in, NULL, 0, listed);
}

static void sent(struct ms_file_job *job) {
    if (job->request.code == MS_OK) {
        list(job);
        return;
    }
    job->err = job->request.error;
    (void)ms_file_job_fail(job, job->request.code);
    ms_file_job_end(job);
}

static void send(struct ms_file_job *job) {
    struct ms_slot *slot = job->file->locked.slot;

    if (job->code != MS_OK || !slot) {
        ms_file_job_end(job); /* without a slot: it was deleted, nothing is promised any more */
        return;
    }
    if (slot->finished.done ||
        slot->dropped) { /* used up; the file has changed since, or it would be sealed */
        ms_file_job_retire_slot(job->file);
        ms_file_job_slot(job, send);
        return;
    }
    if (job->size == 0) {
        ms_uploaded_fini(&job->uploaded);
        list(job);
        return;
    }
    job->step = sent;
    ms_upload_sync(slot->upload, ms_file_job_upload_done, job);
}

void ms_file_job_sync(struct ms_file_job *job) {
    job->code = MS_OK;
    if (begin_attempt(job))
        ms_file_job_slot(job, send);
    else
        ms_file_job_end(job);
}
