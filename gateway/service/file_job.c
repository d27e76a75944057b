/* Jobs: one at a time per image, step by step on the engine's threads. No step waits for the store.
 */
#include "service/file_image.h"
#include "service/payment.h"
#include "service/writeback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the queue ------------------------------------------------------------------------------- */

static void run_step(struct ms_task *task) {
    struct ms_file_job *job = MS_CONTAINER_OF(task, struct ms_file_job, task);

    job->step(job);
}

static void prepare(struct ms_file_job *job, void (*step)(struct ms_file_job *job)) {
    job->step = step;
    job->task = (struct ms_task){.run = run_step};
}

void ms_file_job_go(struct ms_file_job *job, void (*step)(struct ms_file_job *job)) {
    prepare(job, step);
    ms_engine_follow(job->file->svc->engine, &job->task);
}

static void start_begin(struct ms_file_job *job);

static void begin(struct ms_file_job *job) {
    switch (job->kind) {
    case MS_FILE_JOB_START:
        start_begin(job);
        break;
    case MS_FILE_JOB_SYNC:
        ms_file_job_sync(job);
        break;
    case MS_FILE_JOB_FLUSH:
    case MS_FILE_JOB_RELEASE:
    default:
        ms_file_job_finish(job);
        break;
    }
}

static void answer(struct ms_file_io *io, enum ms_code code, const struct ms_error *err) {
    if (!io)
        return;
    io->code = code;
    io->error = code ? *err : (struct ms_error){0};
    io->n = 0;
    io->done(io);
}

/* Nothing was written and nothing is left to do: most closes are so. */
static bool is_nothing(struct ms_file *file, enum ms_file_job_kind kind,
                       const struct ms_file_job_by *by) {
    unsigned busy;
    bool last = kind == MS_FILE_JOB_RELEASE && ms_image_handles(file, &busy) == 0;
    bool nothing, fresh;

    if (kind == MS_FILE_JOB_START)
        return false;
    pthread_mutex_lock(&file->mutex);
    nothing = !file->locked.first && file->locked.state == MS_IMAGE_SEALED &&
              !(last && file->locked.orphan);
    fresh = file->locked.fresh;
    pthread_mutex_unlock(&file->mutex);
    return nothing || (kind == MS_FILE_JOB_RELEASE && !last) ||
           (kind == MS_FILE_JOB_FLUSH && !by->writer && !fresh);
}

static void enqueue(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    bool alone;

    pthread_mutex_lock(&file->mutex);
    alone = !file->locked.first;
    if (alone)
        file->locked.first = job;
    else
        file->locked.last->next = job;
    file->locked.last = job;
    pthread_mutex_unlock(&file->mutex);
    if (alone)
        ms_file_job_go(job, begin);
}

/* The reference goes before done is called: whoever waits for it may end the service. */
static void answer_at_once(struct ms_file *file, struct ms_file_io *io, enum ms_code code,
                           const struct ms_error *err) {
    ms_image_unref(file);
    answer(io, code, err);
}

struct ms_file_job *ms_file_job_new(void) {
    return calloc(1, sizeof(struct ms_file_job));
}

static void fill(struct ms_file_job *job, struct ms_file *file, enum ms_file_job_kind kind,
                 const struct ms_file_job_by *by, struct ms_file_io *io) {
    job->file = file;
    job->kind = kind;
    job->ctx = (struct ms_ctx){.tenant = file->tenant, .admin = by->admin};
    memcpy(job->ctx.who, by->who, strnlen(by->who, MS_WHO_MAX));
    job->io = io;
}

void ms_file_job_submit(struct ms_file *file, enum ms_file_job_kind kind,
                        const struct ms_file_job_by *by, struct ms_file_io *io,
                        struct ms_file_job *ready) {
    struct ms_file_job *job = ready;
    struct ms_error err;

    if (is_nothing(file, kind, by)) {
        free(ready);
        answer_at_once(file, io, MS_OK, NULL);
        return;
    }
    if (!job)
        job = ms_file_job_new();
    if (!job) {
        answer_at_once(file, io, ms_fail(&err, MS_NO_MEMORY, "no memory to finish a file"), &err);
        return;
    }
    fill(job, file, kind, by, io);
    enqueue(job);
}

void ms_uploaded_fini(struct ms_uploaded *uploaded) {
    free(uploaded->list.parts);
    ms_hashes_fini(&uploaded->hashes);
    memset(uploaded, 0, sizeof *uploaded);
}

static void free_job(struct ms_file_job *job) {
    MS_ASSERT(!job->drops);
    free(job->head);
    ms_uploaded_fini(&job->uploaded);
    ms_basis_unref(job->basis);
    free(job->intents);
    free(job);
}

void ms_file_job_end(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    struct ms_file_io *io = job->io;
    struct ms_error err = job->err;
    enum ms_code code = job->code;
    struct ms_file_job *next;

    pthread_mutex_lock(&file->mutex);
    MS_ASSERT(file->locked.first == job);
    next = file->locked.first = job->next;
    if (job->kind == MS_FILE_JOB_START)
        file->locked.start_queued = false;
    pthread_mutex_unlock(&file->mutex);
    if (next)
        ms_file_job_go(next, begin);
    free_job(job);
    answer_at_once(file, io, code, &err);
}

enum ms_code ms_file_job_fail(struct ms_file_job *job, enum ms_code code) {
    job->code = code;
    return code;
}

/* ---- one step after another ------------------------------------------------------------------ */

/* The thread that made the batch goes on with its own job. Other jobs of the batch are for others: it may be in the
 * midst of something that waits. */
static void written(struct ms_write_request *request) {
    struct ms_file_job *job = request->priv;

    prepare(job, job->step);
    if (pthread_equal(job->writer, pthread_self()))
        ms_engine_follow(job->file->svc->engine, &job->task);
    else
        ms_engine_post(job->file->svc->engine, &job->task);
}

void ms_file_job_call(struct ms_file_job *job, struct ms_tree_call *call) {
    call->ctx = &job->ctx;
    call->ts = ms_clock_timespec(job->file->svc->clock);
    call->instance = ms_store_instance(job->file->svc->store);
    call->limits = &job->file->svc->limits;
    call->unasked = ms_payments_unasked(job->file->svc);
}

void ms_file_job_write(struct ms_file_job *job, ms_write_fn *fn, const void *in, void *out,
                       size_t out_size, void (*step)(struct ms_file_job *job)) {
    struct ms_store *store = job->file->svc->store;

    job->step = step;
    job->writer = pthread_self();
    job->request = (struct ms_write_request){
        .write =
            {.fn = fn, .in = in, .out = out, .out_size = out_size, .fence = ms_store_fence(store)},
        .done = written,
        .priv = job,
    };
    ms_store_submit_here(store, &job->request);
}

static enum ms_code copy_result(struct ms_uploaded *to, const struct ms_upload_result *from,
                                struct ms_error *err) {
    size_t bytes = from->parts_n * sizeof *from->parts;
    enum ms_code code = MS_OK;

    free(to->list.parts);
    to->list = (struct ms_listed){.parts = malloc(bytes ? bytes : 1), .n = from->parts_n};
    if (!to->list.parts)
        return ms_fail(err, MS_NO_MEMORY, "no memory for the parts of an upload");
    if (bytes)
        memcpy(to->list.parts, from->parts, bytes);
    to->size = from->size;
    memcpy(to->root, from->root, sizeof to->root);
    (void)snprintf(to->upload_id, sizeof to->upload_id, "%s",
                   from->upload_id ? from->upload_id : "");
    (void)snprintf(to->etag, sizeof to->etag, "%s", from->etag ? from->etag : "");
    if (from->hashes)
        code = ms_hashes_resize(&to->hashes, from->hashes->count, err);
    if (code == MS_OK && from->hashes && from->hashes->count)
        memcpy(to->hashes.hash, from->hashes->hash,
               from->hashes->count * sizeof from->hashes->hash[0]);
    return code;
}

/* The result stays only until this returns: copied. */
void ms_file_job_upload_done(void *priv, enum ms_code code, const struct ms_error *err,
                             const struct ms_upload_result *result) {
    struct ms_file_job *job = priv;

    job->request.code = code;
    if (code != MS_OK)
        job->request.error = *err;
    else if (result)
        job->request.code = copy_result(&job->uploaded, result, &job->request.error);
    ms_file_job_go(job, job->step);
}

/* ---- what kind of content -------------------------------------------------------------------- */

enum ms_code ms_files_identify(struct ms_files *files, const void *head, size_t n,
                               char ret_type[MS_MEDIA_TYPE_MAX + 1], struct ms_error *reterr) {
    enum ms_code code = MS_OK;

    pthread_mutex_lock(&files->sniffing);
    if (!files->media)
        code = ms_media_new(&files->media, reterr);
    pthread_mutex_unlock(&files->sniffing);
    return code ? code : ms_media_identify(files->media, head, n, ret_type, reterr);
}

static void identified(struct ms_file_job *job) {
    enum ms_code code = job->read.code;

    if (code != MS_OK)
        job->err = job->read.error;
    else
        code = ms_files_identify(job->file->files, job->head, job->read.n, job->media_type,
                                 &job->err);
    job->sniffed = code == MS_OK;
    free(MS_TAKE(job->head));
    (void)ms_file_job_fail(job, code);
    job->then(job);
}

static void head_read(struct ms_file_io *io) {
    struct ms_file_job *job = io->priv;

    ms_file_job_go(job, identified);
}

/* Behind it job->code says whether it worked. */
void ms_file_job_sniff(struct ms_file_job *job, void (*then)(struct ms_file_job *job)) {
    job->code = MS_OK;
    if (job->sniffed || job->size == 0) {
        then(job);
        return;
    }
    job->then = then;
    job->head = malloc(MS_MEDIA_BYTES);
    if (!job->head) {
        (void)ms_file_job_fail(job,
                               ms_fail(&job->err, MS_NO_MEMORY, "no memory to look at a file"));
        then(job);
        return;
    }
    job->read = (struct ms_file_io){.done = head_read, .priv = job};
    ms_image_read(job->file, 0, MS_MEDIA_BYTES, job->head, &job->read);
}

/* ---- slots ----------------------------------------------------------------------------------- */

static struct ms_slot *new_slot(struct ms_file *file, const struct ms_slot_out *out) {
    struct ms_slot *slot = calloc(1, sizeof *slot);

    if (!slot)
        return NULL;
    atomic_init(&slot->refs, 1);
    slot->intent = out->intent;
    slot->object = out->object;
    memcpy(slot->key, out->key, sizeof slot->key);
    pthread_mutex_lock(&file->mutex);
    slot->next = NULL;
    file->locked.slot = slot;
    pthread_mutex_unlock(&file->mutex);
    return slot;
}

/* What the object says of its birth: enough to rebuild the catalogue. */
struct birth {
    char object[MS_ID_TEXT_LEN + 1], asset[MS_ID_TEXT_LEN + 1], tenant[MS_ID_TEXT_LEN + 1];
    char name[3 * MS_NAME_BYTES_MAX + 1], at[MS_RFC3339_MS_LEN + 1], suffix[16];
};

void ms_birth_name(const char *text, char *ret, size_t size) {
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;

    for (const unsigned char *c = (const unsigned char *)text; *c && n + 4 <= size; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || strchr("-_.~", *c) != NULL;

        if (plain) {
            ret[n++] = (char)*c;
            continue;
        }
        ret[n++] = '%';
        ret[n++] = hex[*c >> 4];
        ret[n++] = hex[*c & 15];
    }
    ret[n] = '\0';
}

static void birth_facts(struct ms_file_job *job, const struct ms_slot *slot, struct birth *b) {
    struct ms_file *file = job->file;
    struct ms_named named = {.name = "unnamed"};
    struct ms_tree t;

    ms_id_format(slot->object.id, b->object);
    ms_id_format(file->tenant.id, b->tenant);
    (void)snprintf(b->asset, sizeof b->asset, "%.32s",
                   slot->key); /* keys begin with the asset they are born for */
    ms_instant_format_ms(ms_clock_now(file->svc->clock), b->at);
    if (ms_tree_read(&t, file->svc, &job->ctx, NULL) == MS_OK) {
        if (ms_image_named(&t, file->ino, &named, NULL) != MS_OK)
            (void)snprintf(named.name, sizeof named.name, "unnamed");
        ms_tree_read_end(&t);
    }
    ms_birth_name(named.name, b->name, sizeof b->name);
    ms_name_suffix(named.name, b->suffix);
}

static enum ms_code open_upload(struct ms_file_job *job, struct ms_slot *slot,
                                struct ms_upload **ret_upload) {
    struct ms_svc *svc = job->file->svc;
    struct birth b;

    birth_facts(job, slot, &b);
    slot->local = ms_near_takes(svc, ms_stage_size(slot->patch->stage));
    const struct ms_upload_options options = {
        .obj = slot->local ? svc->near : svc->obj,
        .cache = svc->cache,
        .stage = slot->patch->stage,
        .base = slot->basis && slot->basis->source.size > 0 ? &slot->basis->source : NULL,
        .key = slot->key,
        .block_log2 = MS_BLOCK_LOG2_DEFAULT,
        .meta = {.content_type = ms_content_type(job->media_type, b.suffix),
                 .pair = {{"object", b.object},
                          {"asset", b.asset},
                          {"tenant", b.tenant},
                          {"name", b.name},
                          {"created", b.at}},
                 .pairs = 5},
    };

    return ms_upload_new(&options, ret_upload, &job->err);
}

/* Bytes may go out from here on: the intent row is committed. */
static void slot_upload(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    struct ms_slot *slot = file->locked.slot; /* only this job changes it */
    struct ms_upload *upload = NULL;
    enum ms_code code = MS_OK;
    uint64_t size = 0;

    pthread_mutex_lock(&file->mutex);
    if (file->locked.patch) {
        ms_patch_unref(slot->patch); /* of an attempt that failed */
        ms_basis_unref(slot->basis);
        slot->patch = ms_patch_ref(file->locked.patch);
        slot->basis = ms_basis_ref(file->locked.basis);
        size = ms_stage_size(slot->patch->stage);
    }
    pthread_mutex_unlock(&file->mutex);
    if (slot->patch)
        code = open_upload(job, slot, &upload);
    pthread_mutex_lock(&file->mutex);
    slot->upload = upload;
    pthread_mutex_unlock(&file->mutex);
    if (upload && size > 0)
        ms_upload_written(upload, 0, size);
    (void)ms_file_job_fail(job, code);
    job->then2(job);
}

static void slot_opened(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    enum ms_code code = job->request.code;

    if (code != MS_OK) {
        job->err = job->request.error;
    } else if (job->op.slot.out.gone) {
        pthread_mutex_lock(&file->mutex);
        file->locked.orphan = true;
        pthread_mutex_unlock(&file->mutex);
    } else if (!new_slot(file, &job->op.slot.out)) {
        code = ms_fail(&job->err, MS_NO_MEMORY, "no memory for an upload");
    } else {
        slot_upload(job);
        return;
    }
    (void)ms_file_job_fail(job, code);
    job->then2(job);
}

/* The intent of the creation serves the first slot; each further one needs a commit of its own. */
static bool take_birth(struct ms_file *file, struct ms_slot_out *out) {
    bool has;

    pthread_mutex_lock(&file->mutex);
    has = !ms_intent_id_is_none(file->locked.birth_intent);
    out->intent = file->locked.birth_intent;
    out->object = file->locked.birth_object;
    memcpy(out->key, file->locked.birth_key, sizeof out->key);
    file->locked.birth_intent = (struct ms_intent_id){{{0}}};
    pthread_mutex_unlock(&file->mutex);
    return has;
}

static void slot_sniffed(struct ms_file_job *job) {
    struct ms_slot_in *in = &job->op.slot.in;

    if (job->code != MS_OK) {
        job->then2(job);
        return;
    }
    memset(&job->op.slot, 0, sizeof job->op.slot);
    if (take_birth(job->file, &job->op.slot.out)) {
        job->request.code = MS_OK;
        slot_opened(job);
        return;
    }
    ms_file_job_call(job, &in->call);
    in->ino = job->file->ino;
    ms_file_job_write(job, ms_slot_op, in, &job->op.slot.out, sizeof job->op.slot.out, slot_opened);
}

static void slot_sniffed_again(struct ms_file_job *job) {
    if (job->code == MS_OK)
        slot_upload(job);
    else
        job->then2(job);
}

void ms_file_job_slot(struct ms_file_job *job, void (*then)(struct ms_file_job *job)) {
    struct ms_file *file = job->file;
    struct ms_slot *slot = file->locked.slot;

    job->then2 = then;
    job->code = MS_OK;
    if (!slot)
        ms_file_job_sniff(job, slot_sniffed);
    else if (slot->upload || job->size == 0)
        then(job);
    else
        ms_file_job_sniff(job, slot_sniffed_again); /* it was taken when the file was still empty */
}

void ms_file_job_retire_slot(struct ms_file *file) {
    pthread_mutex_lock(&file->mutex);
    if (file->locked.slot) {
        file->locked.slot->next = file->locked.retired;
        file->locked.retired = file->locked.slot;
        file->locked.slot = NULL;
    }
    pthread_mutex_unlock(&file->mutex);
}

enum ms_code ms_file_job_intents(struct ms_file_job *job, const struct ms_slot *keep) {
    struct ms_file *file = job->file;
    size_t n = 0, cap = 2;

    pthread_mutex_lock(&file->mutex);
    for (const struct ms_slot *slot = file->locked.retired; slot; slot = slot->next)
        cap++;
    free(job->intents);
    job->intents = calloc(cap, sizeof *job->intents);
    if (job->intents) {
        for (const struct ms_slot *slot = file->locked.retired; slot; slot = slot->next)
            job->intents[n++] = slot->intent;
        if (file->locked.slot && file->locked.slot != keep)
            job->intents[n++] = file->locked.slot->intent;
        if (!ms_intent_id_is_none(file->locked.birth_intent))
            job->intents[n++] = file->locked.birth_intent;
    }
    pthread_mutex_unlock(&file->mutex);
    job->intents_n = n;
    if (!job->intents)
        return ms_file_job_fail(job,
                                ms_fail(&job->err, MS_NO_MEMORY, "no memory to finish a file"));
    return MS_OK;
}

/* ---- dropping uploads ------------------------------------------------------------------------ */

/* Their rows are gone already. */
void ms_file_job_drop_slots(struct ms_file_job *job) {
    while (job->drops) {
        struct ms_slot *slot = job->drops;

        job->drops = slot->next;
        ms_slot_drop_later(job->file->files, slot);
    }
}

/* ---- start: send what is complete while the writer goes on ----------------------------------- */

static void start_begin(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    bool idle;

    pthread_mutex_lock(&file->mutex);
    idle = file->locked.slot || file->locked.orphan || !file->locked.patch;
    job->size = ms_image_size_locked(file);
    pthread_mutex_unlock(&file->mutex);
    if (idle || job->size == 0)
        ms_file_job_end(job);
    else
        ms_file_job_slot(job, ms_file_job_end); /* a failure is told by the next sync or close */
}
