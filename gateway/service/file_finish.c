/* close: judge, send what is missing, and seal in one commit; or drop what may not be. */
#include "service/file_image.h"
#include "service/writeback.h"

#include <stdlib.h>
#include <string.h>

static void attempt(struct ms_file_job *job);

static void set_state(struct ms_file *file, enum ms_image_state state) {
    pthread_mutex_lock(&file->mutex);
    file->locked.state = state;
    pthread_cond_broadcast(&file->changed);
    pthread_mutex_unlock(&file->mutex);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* The store failed, or the file went on changing: what was written stays, the next close tries
 * again. */
static void give_up(struct ms_file_job *job, enum ms_code code) {
    set_state(job->file, MS_IMAGE_UNSEALED);
    (void)ms_file_job_fail(job, code);
    if (job->kind == MS_FILE_JOB_RELEASE && code != MS_OK)
        ms_file_job_drop(job);
    else
        ms_file_job_end(job);
}

/* A rule was broken. It is this close's error and stays with the open file, whose duplicates may go
 * on writing. */
static void refuse(struct ms_file_job *job, enum ms_code code) {
    struct ms_file *file = job->file;

    pthread_mutex_lock(&file->mutex);
    file->locked.state = MS_IMAGE_REFUSED;
    file->locked.refused_touches = job->touches;
    file->locked.refused_code = code;
    file->locked.refused = job->err;
    pthread_cond_broadcast(&file->changed);
    pthread_mutex_unlock(&file->mutex);
    (void)ms_file_job_fail(job, code);
    if (job->kind == MS_FILE_JOB_RELEASE)
        ms_file_job_drop(job);
    else
        ms_file_job_end(job);
}

bool ms_file_is_refusal(enum ms_code code) {
    return code == MS_WRONG_KIND || code == MS_TOO_LARGE || code == MS_QUOTA ||
           code == MS_WRONG_STATE || code == MS_NOT_PERMITTED || code == MS_NOT_READABLE ||
           code == MS_REVIEW;
}

static void fail(struct ms_file_job *job, enum ms_code code) {
    if (ms_file_is_refusal(code))
        refuse(job, code);
    else
        give_up(job, code);
}

/* Nothing names it any more: what was written ends with the last handle. */
static void orphaned(struct ms_file_job *job) {
    struct ms_file *file = job->file;

    pthread_mutex_lock(&file->mutex);
    file->locked.orphan = true;
    file->locked.state = MS_IMAGE_UNSEALED;
    pthread_cond_broadcast(&file->changed);
    pthread_mutex_unlock(&file->mutex);
    job->code = MS_OK;
    if (job->kind == MS_FILE_JOB_RELEASE)
        ms_file_job_drop(job);
    else
        ms_file_job_end(job);
}

/* ---- the commit ------------------------------------------------------------------------------ */

/* What the image rests on when the commit is through. */
static enum ms_code make_basis(struct ms_file_job *job) {
    if (job->basis)
        return MS_OK;
    job->basis = calloc(1, sizeof *job->basis);
    if (!job->basis)
        return ms_fail(&job->err, MS_NO_MEMORY, "no memory to finish a file");
    atomic_init(&job->basis->refs, 1);
    job->basis->source.block_log2 = MS_BLOCK_LOG2_DEFAULT;
    return MS_OK;
}

static struct ms_basis *sealed_basis(struct ms_file_job *job, struct ms_slot *slot) {
    struct ms_basis *basis = MS_TAKE(job->basis);

    basis->version = job->op.seal.out.version;
    basis->source.size = job->op.seal.in.size;
    if (basis->source.size == 0)
        return basis;
    basis->source.object = slot->object;
    memcpy(basis->source.key, slot->key, sizeof slot->key);
    basis->source.hashes = slot->finished.hashes;
    slot->finished.hashes = (struct ms_hashes){0};
    return basis;
}

static void rest_on(struct ms_file *file, struct ms_basis *basis, uint64_t generation) {
    ms_basis_unref(file->locked.basis);
    ms_patch_unref(file->locked.patch);
    file->locked.basis = basis;
    file->locked.patch = NULL;
    file->locked.generation = generation;
    file->locked.metered = basis->source.size;
    file->locked.needed = file->locked.leased = 0;
    file->locked.attr.which = 0;
    file->locked.fresh = file->locked.modified = file->locked.truncated = false;
    file->locked.birth_intent = (struct ms_intent_id){{{0}}};
    file->locked.state = MS_IMAGE_SEALED;
}

/* Slots that are over, for dropping outside the lock. */
static void take_slots(struct ms_file_job *job) {
    struct ms_file *file = job->file;

    job->drops = MS_TAKE(file->locked.retired);
    if (file->locked.slot) {
        file->locked.slot->next = job->drops;
        job->drops = MS_TAKE(file->locked.slot);
    }
}

static void end_commit_locked(struct ms_file *file) {
    file->locked.lease_busy = false;
    pthread_cond_broadcast(&file->changed);
}

/* What a failed close kept alive is safe now. */
static void leave_limbo(struct ms_file *file) {
    bool kept;

    pthread_mutex_lock(&file->mutex);
    kept = file->locked.limbo;
    file->locked.limbo = false;
    pthread_mutex_unlock(&file->mutex);
    if (kept)
        ms_image_unref(file);
}

static void end_sealed(struct ms_file_job *job) {
    struct ms_sealed *out = &job->op.seal.out;

    leave_limbo(job->file);
    if (ms_image_ask(job->file, NULL, NULL) != MS_OK)
        ms_log_event(job->file->svc->log, MS_LOG_DEBUG, "sealed-file-without-inode", NULL);
    job->code = out->verdict;
    if (out->verdict != MS_OK)
        job->code = ms_fail(&job->err, out->verdict, "%s", out->reason);
    ms_file_job_end(job);
}

/* Told before the image rests on it: until then nobody is shown the new generation. */
static void sealed(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    uint64_t to = job->op.seal.out.generation;

    ms_image_tell(file, MS_FILE_SEALED, file->locked.generation, to);
    pthread_mutex_lock(&file->mutex);
    rest_on(file, sealed_basis(job, file->locked.slot), to);
    end_commit_locked(file);
    take_slots(job);
    pthread_mutex_unlock(&file->mutex);
    ms_image_tell(file, MS_FILE_RESTS, to, to);
    ms_file_job_drop_slots(job);
    if (job->op.seal.in.local)
        ms_writeback_wake(file->svc);
    end_sealed(job);
}

/* The commit found no inode and has settled lease and intents. */
static void sealed_nothing(struct ms_file_job *job) {
    struct ms_file *file = job->file;

    pthread_mutex_lock(&file->mutex);
    file->locked.needed = file->locked.leased = 0;
    file->locked.birth_intent = (struct ms_intent_id){{{0}}};
    end_commit_locked(file);
    take_slots(job);
    pthread_mutex_unlock(&file->mutex);
    ms_file_job_drop_slots(job);
    orphaned(job);
}

static void rebase(struct ms_file_job *job) {
    enum ms_code code = MS_OK;

    set_state(job->file, MS_IMAGE_SEALING);
    if (++job->tries > MS_REBASE_TRIES)
        code = ms_fail(&job->err, MS_CONFLICT,
                       "other writers seal this file all the time: close it again");
    if (code == MS_OK)
        code = ms_image_rebase(job->file, &job->err);
    if (code == MS_OK)
        attempt(job);
    else if (code == MS_NOT_FOUND)
        orphaned(job);
    else
        give_up(job, code);
}

static void committed(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    enum ms_code code = job->request.code;

    if (code == MS_OK && !job->op.seal.out.gone) {
        sealed(job);
        return;
    }
    if (code == MS_OK) {
        sealed_nothing(job);
        return;
    }
    job->err = job->request.error;
    pthread_mutex_lock(&file->mutex);
    end_commit_locked(file);
    pthread_mutex_unlock(&file->mutex);
    if (code == MS_CONFLICT)
        rebase(job);
    else
        fail(job, code);
}

static void fill_sealing(struct ms_file_job *job, struct ms_sealing *in) {
    struct ms_file *file = job->file;
    struct ms_slot *slot = file->locked.slot;

    memset(in, 0, sizeof *in);
    ms_file_job_call(job, &in->call);
    in->ino = file->ino;
    if (file->locked.basis)
        in->basis = file->locked.basis->version;
    in->replaces = file->locked.truncated && file->locked.truncated_to == 0;
    in->version = ms_version_id_new(file->svc->random);
    in->size = job->size;
    in->attr = file->locked.attr;
    in->intents = job->intents;
    in->intents_n = job->intents_n;
    memcpy(in->media_type, job->media_type, sizeof job->media_type);
    in->facts = job->probed ? &job->probe.facts : NULL;
    if (job->size == 0)
        return;
    in->object = slot->object;
    in->local = slot->local;
    memcpy(in->key, slot->key, sizeof slot->key);
    memcpy(in->etag, slot->finished.etag, sizeof slot->finished.etag);
    memcpy(in->root, slot->finished.root, sizeof in->root);
    in->hashes = &slot->finished.hashes;
}

/* Nobody writes and nothing changed since the attempt began: from here writers wait for one commit.
 */
static bool enter_commit(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    bool entered;

    pthread_mutex_lock(&file->mutex);
    while (file->locked.lease_busy)
        pthread_cond_wait(&file->changed, &file->mutex);
    entered = file->locked.active == 0 && file->locked.touches == job->touches;
    if (entered) {
        file->locked.lease_busy = true;
        file->locked.state = MS_IMAGE_COMMITTING;
    }
    pthread_mutex_unlock(&file->mutex);
    return entered;
}

/* A duplicate went on writing while this close was sending: it is durable as after fsync, and the
 * last close seals. */
static void changed_meanwhile(struct ms_file_job *job) {
    set_state(job->file, MS_IMAGE_UNSEALED);
    if (job->kind == MS_FILE_JOB_FLUSH)
        ms_file_job_sync(job);
    else
        ms_file_job_end(job);
}

static enum ms_code cancelled(struct ms_error *reterr) {
    return ms_fail(reterr, MS_CANCELLED, "given up before it was finished");
}

static bool is_abandoned(struct ms_file *file) {
    bool abandoned;

    pthread_mutex_lock(&file->mutex);
    abandoned = ms_image_is_abandoned_locked(file);
    pthread_mutex_unlock(&file->mutex);
    return abandoned;
}

static void commit(struct ms_file_job *job) {
    struct ms_sealing *in = &job->op.seal.in;

    if (is_abandoned(job->file)) {
        refuse(job, cancelled(&job->err));
        return;
    }
    if (make_basis(job) != MS_OK || ms_file_job_intents(job, NULL) != MS_OK) {
        give_up(job, MS_NO_MEMORY);
        return;
    }
    if (!enter_commit(job)) {
        changed_meanwhile(job);
        return;
    }
    fill_sealing(job, in);
    ms_file_job_write(job, ms_seal_op, in, &job->op.seal.out, sizeof job->op.seal.out, committed);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void sent(struct ms_file_job *job) {
    struct ms_slot *slot = job->file->locked.slot;

    if (job->request.code != MS_OK) {
        job->err = job->request.error;
        give_up(job, job->request.code);
        return;
    }
    slot->finished.touches = job->touches;
    slot->finished.size = job->uploaded.size;
    memcpy(slot->finished.root, job->uploaded.root, sizeof slot->finished.root);
    memcpy(slot->finished.etag, job->uploaded.etag, sizeof slot->finished.etag);
    ms_hashes_fini(&slot->finished.hashes);
    slot->finished.hashes = job->uploaded.hashes;
    job->uploaded.hashes = (struct ms_hashes){0};
    pthread_mutex_lock(&job->file->mutex);
    slot->finished.done = true;
    pthread_mutex_unlock(&job->file->mutex);
    if (slot->finished.size == job->size)
        commit(job);
    else
        changed_meanwhile(job);
}

static void send(struct ms_file_job *job) {
    struct ms_slot *slot = job->file->locked.slot;

    if (job->code != MS_OK) {
        fail(job, job->code);
    } else if (!slot) {
        orphaned(job);
    } else if (slot->finished.done && slot->finished.touches == job->touches) {
        commit(job); /* only the commit failed last time */
    } else if (slot->finished.done || slot->dropped) {
        ms_file_job_retire_slot(job->file);
        ms_file_job_slot(job, send);
    } else {
        job->step = sent;
        ms_upload_finish(slot->upload, ms_file_job_upload_done, job);
    }
}

/* ---- judging --------------------------------------------------------------------------------- */

static enum ms_code ask_rules(struct ms_file_job *job, const char *media_type,
                              struct ms_judging *j) {
    struct ms_tree t;
    enum ms_code code = ms_tree_read(&t, job->file->svc, &job->ctx, &job->err);

    if (code != MS_OK)
        return code;
    code = ms_seal_judge(&t, job->file->ino, job->size, media_type,
                         job->probed ? &job->probe.facts : NULL, j, &job->err);
    ms_tree_read_end(&t);
    return code;
}

static bool has_moved(struct ms_file *file, const struct ms_inode_record *inode) {
    struct ms_version_id mine = {{{0}}};
    bool replaces;

    pthread_mutex_lock(&file->mutex);
    if (file->locked.basis)
        mine = file->locked.basis->version;
    replaces = file->locked.truncated && file->locked.truncated_to == 0;
    pthread_mutex_unlock(&file->mutex);
    return !replaces && !ms_version_id_equal(mine, (struct ms_version_id){inode->version});
}

/* An overwrite that breaks a rule need not be sent; a new file that does is kept as FAILED with its
 * bytes. */
static void judged(struct ms_file_job *job, const struct ms_judging *j,
                   void (*next)(struct ms_file_job *job)) {
    if (j->gone) {
        orphaned(job);
    } else if (has_moved(job->file, &j->inode)) {
        rebase(job);
    } else if (j->verdict != MS_OK && !j->creation) {
        job->err = j->why;
        refuse(job, j->verdict);
    } else {
        next(job);
    }
}

static void send_slot(struct ms_file_job *job) { ms_file_job_slot(job, send); }

static void judge_content(struct ms_file_job *job) {
    struct ms_judging *j = calloc(1, sizeof *j); /* too large for a stack */
    enum ms_code code = job->code;

    if (code == MS_OK && !j)
        code = ms_fail(&job->err, MS_NO_MEMORY, "no memory to judge a file");
    if (code == MS_OK)
        code = ask_rules(job, job->media_type, j);
    if (code != MS_OK)
        fail(job, code);
    else if (job->size == 0)
        judged(job, j, commit);
    else
        judged(job, j, send_slot);
    free(j);
}

static void probe_content(struct ms_file_job *job) { ms_file_job_probe(job, judge_content); }

/* ---- dropping -------------------------------------------------------------------------------- */

/* The last handle of an orphan: its rows go. With several images of one inode the last of them does
 * it. */
static void forget(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    struct ms_error err;
    bool orphan;
    enum ms_code code;

    pthread_mutex_lock(&file->mutex);
    orphan = file->locked.orphan;
    pthread_mutex_unlock(&file->mutex);
    if (job->kind != MS_FILE_JOB_RELEASE || !orphan ||
        ms_file_handles(file->svc, &job->ctx, file->ino) > 0)
        return;
    code = ms_tree_forget(file->svc, &job->ctx, file->ino, &err);
    if (code != MS_OK && code != MS_NOT_FOUND)
        ms_log_failure(file->svc->log, MS_LOG_WARN, "orphan-not-forgotten", &err, NULL);
}

static void end_dropped(struct ms_file_job *job) {
    forget(job);
    leave_limbo(job->file);
    ms_file_job_end(job);
}

/* An fsync has promised these bytes, so a failed close does not end them: they are tried again by
 * and by, who opens the file goes on with them, and when this process ends recovery completes the
 * list. */
static void keep(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    bool kept;

    pthread_mutex_lock(&file->mutex);
    kept = file->locked.limbo;
    file->locked.limbo = true;
    file->locked.state = MS_IMAGE_UNSEALED;
    pthread_cond_broadcast(&file->changed);
    pthread_mutex_unlock(&file->mutex);
    if (!kept)
        (void)ms_image_ref(file);
    ms_image_retry_later(file, job->ctx.who);
    ms_file_job_end(job);
}

static bool is_promised(struct ms_file *file, enum ms_code code) {
    bool content = code == MS_WRONG_KIND || code == MS_TOO_LARGE, promised;

    pthread_mutex_lock(&file->mutex);
    promised = file->locked.slot && file->locked.slot->fsynced;
    for (const struct ms_slot *slot = file->locked.retired; slot; slot = slot->next)
        promised |= slot->fsynced;
    promised &= !file->locked.orphan && (file->locked.fresh || !content) &&
                !ms_image_is_abandoned_locked(file);
    pthread_mutex_unlock(&file->mutex);
    return promised;
}

static void dropped(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    uint64_t generation;
    bool lost;

    if (job->request.code != MS_OK) {
        ms_log_failure(file->svc->log, MS_LOG_WARN, "unfinished-file-not-dropped",
                       &job->request.error, NULL);
        pthread_mutex_lock(&file->mutex);
        end_commit_locked(file);
        pthread_mutex_unlock(&file->mutex);
        keep(job); /* its rows are still there: so must it be */
        return;
    }
    pthread_mutex_lock(&file->mutex);
    lost = file->locked.modified || file->locked.fresh;
    ms_patch_unref(file->locked.patch);
    file->locked.patch = NULL;
    file->locked.needed = file->locked.leased = 0;
    file->locked.attr.which = 0;
    file->locked.fresh = file->locked.modified = file->locked.truncated = false;
    file->locked.birth_intent = (struct ms_intent_id){{{0}}};
    file->locked.state = MS_IMAGE_SEALED;
    end_commit_locked(file);
    take_slots(job);
    generation = file->locked.generation;
    pthread_mutex_unlock(&file->mutex);
    if (lost)
        ms_image_tell(file, MS_FILE_DROPPED, generation, generation);
    ms_file_job_drop_slots(job);
    end_dropped(job);
}

/* job->code is what the close says, also after this. */
void ms_file_job_drop(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    struct ms_drop_in *in = &job->op.drop.in;
    enum ms_code code = job->code;

    if (code != MS_OK && is_promised(file, code)) {
        keep(job);
        return;
    }
    if (ms_file_job_intents(job, NULL) != MS_OK || !enter_commit(job)) {
        set_state(
            file,
            MS_IMAGE_UNSEALED); /* somebody has opened it again and writes: his close decides */
        ms_file_job_end(job);
        return;
    }
    memset(in, 0, sizeof *in);
    ms_file_job_call(job, &in->call);
    in->ino = file->ino;
    in->intents = job->intents;
    in->intents_n = job->intents_n;
    in->vanish = file->locked.fresh;
    in->attr = file->locked.attr;
    ms_file_job_write(job, ms_drop_op, in, NULL, 0, dropped);
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* It lost its name, or never had one: but a file made without a name may have got one since. */
static bool is_orphan(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    struct ms_inode_record inode;
    struct ms_tree t;
    bool orphan = true;

    if (ms_tree_read(&t, file->svc, &job->ctx, NULL) == MS_OK) {
        orphan = ms_tree_inode(&t, file->ino, &inode, NULL) != MS_OK || inode.orphan;
        ms_tree_read_end(&t);
    }
    pthread_mutex_lock(&file->mutex);
    file->locked.orphan = orphan;
    pthread_mutex_unlock(&file->mutex);
    return orphan;
}

/* One try to seal what there is now. */
static void attempt(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    bool orphan, unchanged;

    pthread_mutex_lock(&file->mutex);
    job->code = MS_OK;
    job->sniffed = job->probed = false;
    job->media_type[0] = '\0';
    job->touches = file->locked.touches;
    job->size = ms_image_size_locked(file);
    file->locked.state = MS_IMAGE_SEALING;
    orphan = file->locked.orphan;
    unchanged = !file->locked.fresh && !file->locked.modified;
    pthread_mutex_unlock(&file->mutex);
    if (orphan && is_orphan(job))
        orphaned(job);
    else if (unchanged)
        ms_file_job_drop(job); /* a write that was refused left nothing but an open patch */
    else
        ms_file_job_sniff(job, probe_content);
}

/* Whether this close is one that decides, and what was decided already. */
enum close { CLOSE_NOTHING, CLOSE_AS_SYNC, CLOSE_REFUSED, CLOSE_SEALS };
static enum close what_close(struct ms_file_job *job) {
    struct ms_file *file = job->file;
    unsigned busy, handles = ms_image_handles(file, &busy);
    enum close what = CLOSE_SEALS;

    pthread_mutex_lock(&file->mutex);
    job->touches = file->locked.touches;
    if (file->locked.state == MS_IMAGE_SEALED || (job->kind == MS_FILE_JOB_RELEASE && handles > 0))
        what = CLOSE_NOTHING;
    else if (job->kind == MS_FILE_JOB_FLUSH && busy > 0)
        what = CLOSE_AS_SYNC;
    else if (file->locked.state == MS_IMAGE_REFUSED && file->locked.refused_touches == job->touches)
        what = CLOSE_REFUSED;
    if (what == CLOSE_REFUSED) {
        job->code = file->locked.refused_code;
        job->err = file->locked.refused;
    } else if (what == CLOSE_SEALS && ms_image_is_abandoned_locked(file)) {
        what = CLOSE_REFUSED;
        job->code = cancelled(&job->err);
    }
    pthread_mutex_unlock(&file->mutex);
    return what;
}

void ms_file_job_finish(struct ms_file_job *job) {
    switch (what_close(job)) {
    case CLOSE_NOTHING:
        forget(job);
        ms_file_job_end(job);
        break;
    case CLOSE_AS_SYNC:
        ms_file_job_sync(job);
        break;
    case CLOSE_REFUSED:
        if (job->kind == MS_FILE_JOB_RELEASE)
            ms_file_job_drop(job);
        else
            ms_file_job_end(job);
        break;
    case CLOSE_SEALS:
    default:
        attempt(job);
        break;
    }
}
