/* A content is examined by another process (probe/prober.h), which asks for ranges of it. */
#include "service/file_image.h"

#include <string.h>

/* On a thread of the prober, which may wait for the store. What a writer cuts off meanwhile reads as
 * zeros: the facts will not be used, because the image has been touched. */
static enum ms_code read_image(struct ms_probe_request *request, uint64_t offset, void *into,
                               size_t n, struct ms_error *reterr) {
    struct ms_file_job *job = request->priv;
    struct ms_file_wait wait;
    size_t got = 0;

    ms_image_read(job->file, offset, n, into, ms_file_wait_begin(&wait));
    MS_TRY(ms_file_wait_end(&wait, &got, reterr));
    memset((uint8_t *)into + got, 0, n - got);
    return MS_OK;
}

static void examined(struct ms_file_job *job) {
    if (job->probe.code != MS_OK)
        job->err = job->probe.error;
    job->probed = job->probe.code == MS_OK;
    (void)ms_file_job_fail(job, job->probe.code);
    job->then(job);
}

static void done(struct ms_probe_request *request) { ms_file_job_go(request->priv, examined); }

/* By what it is, not by its name: it may get another one, and is not read again for that. */
static bool is_examined(const struct ms_file_job *job) {
    return job->file->svc->prober && job->size > 0 && ms_media_type_is_listed(job->media_type);
}

void ms_file_job_probe(struct ms_file_job *job, void (*then)(struct ms_file_job *job)) {
    if (job->code != MS_OK || job->probed || !is_examined(job)) {
        then(job);
        return;
    }
    job->then = then;
    job->probe =
        (struct ms_probe_request){.size = job->size, .read = read_image, .done = done, .priv = job};
    ms_prober_submit(job->file->svc->prober, &job->probe);
}
