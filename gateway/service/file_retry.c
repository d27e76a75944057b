/* A close failed although an fsync had promised the bytes: the seal is tried again, without anybody
 * waiting for it. A store that was down for an hour leaves nothing half-done behind it. */
#include "service/file_image.h"

#include <stdio.h>
#include <stdlib.h>

/* One set timer, then one release of the image. Owns a reference of it. */
struct ms_retry {
    struct ms_timer timer;
    struct ms_file *file;
    struct ms_files *files;
    struct ms_file_io io;
    char who[MS_WHO_MAX + 1];
};

void ms_files_one_done(struct ms_files *files) {
    pthread_mutex_lock(&files->mutex);
    files->retries--;
    pthread_cond_broadcast(&files->retried);
    pthread_mutex_unlock(&files->mutex);
}

static void tried(struct ms_file_io *io) {
    struct ms_retry *retry = io->priv;
    struct ms_files *files = retry->files;

    free(retry);
    ms_files_one_done(files);
}

static void fire(struct ms_timer *timer) {
    struct ms_retry *retry = MS_CONTAINER_OF(timer, struct ms_retry, timer);
    const struct ms_file_job_by by = {.who = retry->who};

    pthread_mutex_lock(&retry->files->mutex);
    retry->file->retry = NULL; /* a try that fails sets the next one */
    pthread_mutex_unlock(&retry->files->mutex);
    ms_file_job_submit(retry->file, MS_FILE_JOB_RELEASE, &by, &retry->io, NULL);
}

void ms_image_retry_later(struct ms_file *file, const char *who) {
    struct ms_files *files = file->files;
    struct ms_retry *retry = calloc(1, sizeof *retry);
    bool set;

    if (!retry)
        return; /* then it waits for whoever opens it, or for recovery */
    retry->files = files;
    retry->file = file;
    retry->timer.fire = fire;
    retry->io = (struct ms_file_io){.done = tried, .priv = retry};
    (void)snprintf(retry->who, sizeof retry->who, "%s", who);
    pthread_mutex_lock(&files->mutex);
    set = !files->closing && !file->retry;
    if (set) {
        file->retry = retry;
        file->refs++;
        files->retries++;
        ms_engine_after(files->svc->engine, &retry->timer, files->retry_ms * 1000000);
    }
    pthread_mutex_unlock(&files->mutex);
    if (!set)
        free(retry);
}

/* Take back the timers that have not fired; what has fired is waited for. */
static void cancel_timers(struct ms_files *files) {
    for (size_t b = 0; b < MS_FILE_BUCKETS; b++) {
        for (struct ms_file *file = files->bucket[b]; file; file = file->next) {
            if (!file->retry || !ms_engine_cancel(files->svc->engine, &file->retry->timer))
                continue;
            free(MS_TAKE(file->retry));
            file->refs--; /* limbo has one of its own */
            files->retries--;
        }
    }
}

void ms_files_end_retries(struct ms_files *files) {
    pthread_mutex_lock(&files->mutex);
    files->closing = true;
    cancel_timers(files);
    while (files->retries > 0)
        pthread_cond_wait(&files->retried, &files->mutex);
    pthread_mutex_unlock(&files->mutex);
}
