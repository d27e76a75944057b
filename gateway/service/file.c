/* The registry of live images, and handles on them. States and rules: file_image.h. */
#include "service/file_image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- shared bytes ---------------------------------------------------------------------------- */

struct ms_basis *ms_basis_ref(struct ms_basis *basis) {
    if (basis)
        atomic_fetch_add(&basis->refs, 1);
    return basis;
}

void ms_basis_unref(struct ms_basis *basis) {
    if (!basis || atomic_fetch_sub(&basis->refs, 1) != 1)
        return;
    ms_source_fini(&basis->source);
    free(basis);
}

struct ms_patch *ms_patch_ref(struct ms_patch *patch) {
    if (patch)
        atomic_fetch_add(&patch->refs, 1);
    return patch;
}

void ms_patch_unref(struct ms_patch *patch) {
    if (!patch || atomic_fetch_sub(&patch->refs, 1) != 1)
        return;
    ms_stage_close(patch->stage);
    free(patch);
}

struct ms_slot *ms_slot_ref(struct ms_slot *slot) {
    atomic_fetch_add(&slot->refs, 1);
    return slot;
}

void ms_slot_unref(struct ms_slot *slot) {
    if (!slot || atomic_fetch_sub(&slot->refs, 1) != 1)
        return;
    ms_upload_free(slot->upload);
    ms_patch_unref(slot->patch);
    ms_basis_unref(slot->basis);
    free(slot->listed.parts);
    ms_hashes_fini(&slot->finished.hashes);
    free(slot);
}

/* ---- the registry ---------------------------------------------------------------------------- */

enum ms_code ms_files_new(struct ms_svc *svc, struct ms_files **ret_files,
                          struct ms_error *reterr) {
    struct ms_files *files = calloc(1, sizeof *files);

    if (!files)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the table of open files");
    files->svc = svc;
    pthread_mutex_init(&files->mutex, NULL);
    pthread_cond_init(&files->retried, NULL);
    files->retry_ms = MS_RETRY_MS;
    pthread_mutex_init(&files->recalling, NULL);
    pthread_mutex_init(&files->watching, NULL);
    pthread_mutex_init(&files->sniffing, NULL);
    *ret_files = files;
    return MS_OK;
}

static struct ms_file **bucket_of(struct ms_files *files, struct ms_tenant_id tenant,
                                  uint64_t ino) {
    uint64_t mix =
        ino * UINT64_C(0x9e3779b97f4a7c15) ^ tenant.id.b[0] ^ (uint64_t)tenant.id.b[1] << 8;

    return &files->bucket[(mix ^ mix >> 32) % MS_FILE_BUCKETS];
}

static bool is_of(const struct ms_file *file, struct ms_tenant_id tenant, uint64_t ino) {
    return file->ino == ino && ms_tenant_id_equal(file->tenant, tenant);
}

static struct ms_file *find(struct ms_files *files, struct ms_tenant_id tenant, uint64_t ino) {
    struct ms_file *file = *bucket_of(files, tenant, ino);

    while (file && (file->stale || !is_of(file, tenant, ino)))
        file = file->next;
    return file;
}

static struct ms_file *new_image(struct ms_files *files, struct ms_tenant_id tenant) {
    struct ms_file *file = calloc(1, sizeof *file);

    if (!file)
        return NULL;
    file->svc = files->svc;
    file->files = files;
    file->tenant = tenant;
    pthread_mutex_init(&file->writing, NULL);
    pthread_mutex_init(&file->asking, NULL);
    pthread_mutex_init(&file->mutex, NULL);
    pthread_cond_init(&file->changed, NULL);
    return file;
}

static void list(struct ms_file *file, uint64_t ino) {
    struct ms_file **bucket = bucket_of(file->files, file->tenant, ino);

    file->ino = ino;
    file->next = *bucket;
    *bucket = file;
}

static void free_image(struct ms_file *file);

/* The image of an inode, referenced: the one that is there, or spare. */
static struct ms_file *get_or_list(struct ms_files *files, struct ms_tenant_id tenant, uint64_t ino,
                                   struct ms_file *spare) {
    struct ms_file *file;

    pthread_mutex_lock(&files->mutex);
    file = find(files, tenant, ino);
    if (!file && spare) {
        list(spare, ino);
        file = MS_TAKE(spare);
    }
    if (file)
        file->refs++;
    pthread_mutex_unlock(&files->mutex);
    if (spare)
        free_image(spare);
    return file;
}

struct ms_file *ms_image_get(struct ms_svc *svc, struct ms_tenant_id tenant, uint64_t ino) {
    struct ms_file *file = ms_image_find(svc, tenant, ino);

    return file ? file : get_or_list(svc->files, tenant, ino, new_image(svc->files, tenant));
}

struct ms_file *ms_image_find(struct ms_svc *svc, struct ms_tenant_id tenant, uint64_t ino) {
    struct ms_file *file;

    pthread_mutex_lock(&svc->files->mutex);
    file = find(svc->files, tenant, ino);
    if (file)
        file->refs++;
    pthread_mutex_unlock(&svc->files->mutex);
    return file;
}

struct ms_file *ms_image_ref(struct ms_file *file) {
    pthread_mutex_lock(&file->files->mutex);
    MS_ASSERT(file->refs > 0);
    file->refs++;
    pthread_mutex_unlock(&file->files->mutex);
    return file;
}

static void unlist(struct ms_file *file) {
    struct ms_file **at = bucket_of(file->files, file->tenant, file->ino);

    while (*at != file)
        at = &(*at)->next;
    *at = file->next;
}

static void free_image(struct ms_file *file) {
    MS_ASSERT(!file->locked.first && file->handles == 0);
    ms_slot_unref(file->locked.slot);
    while (file->locked.retired) {
        struct ms_slot *next = file->locked.retired->next;

        ms_slot_unref(file->locked.retired);
        file->locked.retired = next;
    }
    ms_patch_unref(file->locked.patch);
    ms_basis_unref(file->locked.basis);
    free(file->locked.appended.range);
    pthread_mutex_destroy(&file->writing);
    pthread_mutex_destroy(&file->mutex);
    pthread_mutex_destroy(&file->asking);
    pthread_cond_destroy(&file->changed);
    free(file);
}

void ms_image_unref(struct ms_file *file) {
    struct ms_files *files = file->files;
    bool gone;

    pthread_mutex_lock(&files->mutex);
    MS_ASSERT(file->refs > 0);
    gone = --file->refs == 0;
    if (gone)
        unlist(file);
    pthread_mutex_unlock(&files->mutex);
    if (gone)
        free_image(file);
}

static bool is_wanted(const struct ms_file *file, struct ms_tenant_id tenant, uint64_t ino_or_0) {
    return ms_tenant_id_equal(file->tenant, tenant) && (ino_or_0 == 0 || file->ino == ino_or_0);
}

/* Of one bucket: counted, or referenced and stored as far as there is room. */
static size_t collect(struct ms_file *file, struct ms_tenant_id tenant, uint64_t ino_or_0,
                      struct ms_file **all, size_t n, size_t cap) {
    for (; file; file = file->next) {
        if (!is_wanted(file, tenant, ino_or_0))
            continue;
        if (all && n < cap) {
            all[n] = file;
            file->refs++;
        }
        n++;
    }
    return n;
}

static size_t collect_all(struct ms_files *files, struct ms_tenant_id tenant, uint64_t ino_or_0,
                          struct ms_file **all, size_t cap) {
    size_t n = 0;

    if (ino_or_0 != 0)
        return collect(*bucket_of(files, tenant, ino_or_0), tenant, ino_or_0, all, 0, cap);
    for (size_t b = 0; b < MS_FILE_BUCKETS; b++)
        n = collect(files->bucket[b], tenant, 0, all, n, cap);
    return n;
}

struct ms_file **ms_image_all(struct ms_files *files, struct ms_tenant_id tenant, uint64_t ino_or_0,
                              size_t *ret_n) {
    struct ms_file **all = NULL;
    size_t n;

    pthread_mutex_lock(&files->mutex);
    n = collect_all(files, tenant, ino_or_0, NULL, 0);
    all = calloc(n + 1, sizeof(struct ms_file *));
    *ret_n = all ? collect_all(files, tenant, ino_or_0, all, n) : 0;
    pthread_mutex_unlock(&files->mutex);
    return all;
}

/* What a failed close left behind although an fsync had promised it stays here until the process
 * ends: its rows are then a dead process's, and recovery completes them. */
void ms_files_free(struct ms_files *files) {
    if (!files)
        return;
    ms_files_end_retries(files);
    for (size_t b = 0; b < MS_FILE_BUCKETS; b++) {
        while (files->bucket[b]) {
            struct ms_file *file = files->bucket[b];

            MS_ASSERT(file->handles == 0);
            if (file->locked.limbo)
                ms_store_stay_registered(files->svc->store);
            files->bucket[b] = file->next;
            free_image(file);
        }
    }
    pthread_mutex_destroy(&files->mutex);
    pthread_cond_destroy(&files->retried);
    pthread_mutex_destroy(&files->recalling);
    pthread_mutex_destroy(&files->watching);
    pthread_mutex_destroy(&files->sniffing);
    ms_media_free(files->media);
    free(files);
}

/* ---- images ---------------------------------------------------------------------------------- */

uint64_t ms_image_size_locked(const struct ms_file *file) {
    if (file->locked.patch)
        return ms_stage_size(file->locked.patch->stage);
    return file->locked.basis ? file->locked.basis->source.size : 0;
}

void ms_image_settle_locked(struct ms_file *file) {
    while (file->locked.state == MS_IMAGE_COMMITTING)
        pthread_cond_wait(&file->changed, &file->mutex);
}

unsigned ms_image_handles(struct ms_file *file, unsigned *ret_busy_writers) {
    unsigned n;

    pthread_mutex_lock(&file->files->mutex);
    n = file->handles;
    *ret_busy_writers = file->writers - file->idle_writers;
    pthread_mutex_unlock(&file->files->mutex);
    return n;
}

/* ---- handles --------------------------------------------------------------------------------- */

static struct ms_handle *new_handle(const struct ms_ctx *ctx, const struct ms_open *open) {
    struct ms_handle *handle = calloc(1, sizeof *handle);
    struct ms_file_job *release = ms_file_job_new();

    if (!handle || !release) {
        free(handle);
        free(release);
        return NULL;
    }
    handle->release = release;
    handle->read = open->read;
    handle->write = open->write || open->truncate;
    handle->append = open->append;
    handle->admin = ctx->admin;
    memcpy(handle->who, ctx->who, sizeof handle->who);
    return handle;
}

/* It takes over the caller's reference. */
static void attach(struct ms_handle *handle, struct ms_file *file) {
    handle->file = file;
    pthread_mutex_lock(&file->files->mutex);
    file->handles++;
    file->writers += handle->write;
    pthread_mutex_unlock(&file->files->mutex);
}

void ms_handle_idle(struct ms_handle *handle, bool idle) {
    struct ms_file *file = handle->file;

    if (!handle->write || atomic_load(&handle->idle) == idle)
        return;
    pthread_mutex_lock(&file->files->mutex);
    if (atomic_exchange(&handle->idle, idle) != idle)
        file->idle_writers = idle ? file->idle_writers + 1 : file->idle_writers - 1;
    pthread_mutex_unlock(&file->files->mutex);
}

/* Its reference, and what it has ready for the release, are the caller's now. */
static void free_handle(struct ms_handle *handle) {
    struct ms_file *file = handle->file;

    pthread_mutex_lock(&file->files->mutex);
    MS_ASSERT(file->handles > 0 && file->writers >= handle->write);
    file->handles--;
    file->writers -= handle->write;
    file->idle_writers -= atomic_load(&handle->idle);
    pthread_mutex_unlock(&file->files->mutex);
    free(handle);
}

static void discard_handle(struct ms_handle *handle) {
    struct ms_file *file = handle->file;

    free(handle->release);
    free_handle(handle);
    ms_image_unref(file);
}

/* Another process has sealed a newer version and nothing was written here: this image is for its
 * old handles only. */
static bool is_outdated(struct ms_file *file, const struct ms_inode_record *inode) {
    struct ms_version_id now = {inode->version}, mine = {{{0}}};
    bool outdated;

    pthread_mutex_lock(&file->mutex);
    ms_image_settle_locked(file);
    pthread_mutex_unlock(&file->mutex);
    pthread_mutex_lock(&file->files->mutex);
    pthread_mutex_lock(&file->mutex);
    if (file->locked.basis)
        mine = file->locked.basis->version;
    outdated = file->locked.state == MS_IMAGE_SEALED &&
               inode->generation > file->locked.generation && !ms_version_id_equal(mine, now);
    file->stale |= outdated;
    pthread_mutex_unlock(&file->mutex);
    pthread_mutex_unlock(&file->files->mutex);
    return outdated;
}

static enum ms_code check_inode(const struct ms_inode_record *inode, struct ms_error *reterr) {
    if (S_ISDIR(inode->mode))
        return ms_fail(reterr, MS_IS_DIR, "inode %" PRIu64 " is a folder", inode->ino);
    if (!S_ISREG(inode->mode))
        return ms_fail(reterr, MS_INVALID,
                       "inode %" PRIu64 " is not a regular file: it has no bytes", inode->ino);
    return MS_OK;
}

/* The handle is registered first, then the state is read: so a freeze in between reaches it either
 * way. */
static enum ms_code admit(struct ms_handle *handle, bool *ret_outdated, struct ms_error *reterr) {
    struct ms_file *file = handle->file;
    struct ms_inode_record inode;

    MS_TRY(ms_image_ask(file, &inode, reterr));
    MS_TRY(check_inode(&inode, reterr));
    MS_TRY(ms_image_load(file, reterr));
    if (handle->read)
        MS_TRY(ms_image_may(file, handle->admin, MS_RIGHT_READ, reterr));
    if (handle->write)
        MS_TRY(ms_image_may(file, handle->admin, MS_RIGHT_WRITE, reterr));
    *ret_outdated = is_outdated(file, &inode);
    return MS_OK;
}

static enum ms_code no_memory(struct ms_error *reterr) {
    return ms_fail(reterr, MS_NO_MEMORY, "no memory for another open file");
}

static enum ms_code open_image(struct ms_handle *handle, const struct ms_ctx *ctx,
                               const struct ms_open *open, bool *ret_outdated,
                               struct ms_error *reterr) {
    enum ms_code code = admit(handle, ret_outdated, reterr);

    if (code != MS_OK || *ret_outdated || !open->truncate)
        return code;
    return ms_file_truncate(handle->file->svc, ctx, open->ino, handle, 0, reterr);
}

enum ms_code ms_file_open(struct ms_svc *svc, const struct ms_ctx *ctx, const struct ms_open *open,
                          struct ms_handle **ret_handle, struct ms_error *reterr) {
    bool outdated = true;

    while (outdated) {
        struct ms_handle *handle = new_handle(ctx, open);
        struct ms_file *file = handle ? ms_image_get(svc, ctx->tenant, open->ino) : NULL;
        enum ms_code code;

        if (!file) {
            free(handle ? handle->release : NULL);
            free(handle);
            return no_memory(reterr);
        }
        attach(handle, file);
        code = open_image(handle, ctx, open, &outdated, reterr);
        if (code == MS_OK && !outdated)
            *ret_handle = handle;
        else
            discard_handle(handle);
        if (code != MS_OK)
            return code;
    }
    return MS_OK;
}

/* What ms_tree_make has committed becomes the live image. Somebody may have looked the name up and
 * opened it before we get here: then that image takes the intent and the lease over. */
static void adopt_birth(struct ms_file *file, const struct ms_made *made) {
    pthread_mutex_lock(&file->mutex);
    file->locked.loaded = true;
    file->locked.fresh = true;
    file->locked.orphan = made->node.inode.orphan;
    if (file->locked.state == MS_IMAGE_SEALED)
        file->locked.state = MS_IMAGE_UNSEALED;
    file->locked.generation = made->node.inode.generation;
    file->locked.rights[0] = file->locked.rights[1] = made->node.rights;
    file->locked.asset = (struct ms_asset_id){made->node.inode.asset};
    file->locked.birth_intent = made->intent;
    file->locked.birth_object = made->object;
    memcpy(file->locked.birth_key, made->key, sizeof file->locked.birth_key);
    file->locked.leased += made->leased;
    file->locked.unmetered = made->unmetered;
    pthread_mutex_unlock(&file->mutex);
}

/* All memory is there before the commit: a file that nobody holds would stay unsealed as long as
 * this process lives. */
enum ms_code ms_file_create(struct ms_svc *svc, const struct ms_ctx *ctx,
                            const struct ms_make *make, const struct ms_open *open,
                            struct ms_node *ret_node, struct ms_handle **ret_handle,
                            struct ms_error *reterr) {
    struct ms_handle *handle = new_handle(ctx, open);
    struct ms_file *spare = new_image(svc->files, ctx->tenant);
    struct ms_made made;
    enum ms_code code;

    if (handle && spare)
        code = ms_tree_make(svc, ctx, make, &made, reterr);
    else
        code = no_memory(reterr);
    if (code == MS_OK) {
        struct ms_file *file =
            get_or_list(svc->files, ctx->tenant, made.node.inode.ino, MS_TAKE(spare));

        adopt_birth(file, &made);
        attach(handle, file);
        *ret_node = made.node;
        *ret_handle = MS_TAKE(handle);
    }
    if (spare)
        free_image(spare);
    if (handle)
        free(handle->release);
    free(handle);
    return code;
}

uint64_t ms_file_ino(const struct ms_handle *handle) { return handle->file->ino; }

uint64_t ms_file_generation(const struct ms_handle *handle) {
    struct ms_file *file = handle->file;
    uint64_t generation;

    pthread_mutex_lock(&file->mutex);
    generation = file->locked.generation;
    pthread_mutex_unlock(&file->mutex);
    return generation;
}

uint64_t ms_file_size(struct ms_handle *handle) {
    struct ms_file *file = handle->file;
    uint64_t size;

    pthread_mutex_lock(&file->mutex);
    size = ms_image_size_locked(file);
    pthread_mutex_unlock(&file->mutex);
    return size;
}

static struct ms_file_job_by asked_by(const struct ms_handle *handle) {
    return (struct ms_file_job_by){
        .who = handle->who, .admin = handle->admin, .writer = handle->write};
}

void ms_file_sync(struct ms_handle *handle, struct ms_file_io *io) {
    const struct ms_file_job_by by = asked_by(handle);

    ms_file_job_submit(ms_image_ref(handle->file), MS_FILE_JOB_SYNC, &by, io, NULL);
}

/* The kernel tells of the last close late. Of two writers that close at the same time none must take
 * the other for one that goes on, or both closes end before anybody has sealed. */
void ms_file_flush(struct ms_handle *handle, struct ms_file_io *io) {
    const struct ms_file_job_by by = asked_by(handle);

    ms_handle_idle(handle, true);
    ms_file_job_submit(ms_image_ref(handle->file), MS_FILE_JOB_FLUSH, &by, io, NULL);
}

void ms_file_release(struct ms_handle *handle, struct ms_file_io *io) {
    struct ms_file *file = handle->file;
    struct ms_handle copy = *handle;
    const struct ms_file_job_by by = asked_by(&copy);

    free_handle(handle); /* its reference and its memory are the job's now */
    ms_file_job_submit(file, MS_FILE_JOB_RELEASE, &by, io, copy.release);
}

/* ---- what this process sees ------------------------------------------------------------------ */

void ms_image_fold(struct ms_inode_record *inode, const struct ms_setattr *attr) {
    if (attr->which & MS_ATTR_MODE)
        inode->mode = (inode->mode & ~07777u) | (attr->mode & 07777u);
    if (attr->which & MS_ATTR_UID)
        inode->uid = attr->uid;
    if (attr->which & MS_ATTR_GID)
        inode->gid = attr->gid;
    if (attr->which & MS_ATTR_ATIME) {
        inode->atime_s = attr->atime.tv_sec;
        inode->atime_ns = (uint32_t)attr->atime.tv_nsec;
    }
    if (attr->which & MS_ATTR_MTIME) {
        inode->mtime_s = attr->mtime.tv_sec;
        inode->mtime_ns = (uint32_t)attr->mtime.tv_nsec;
    }
    if (attr->which & MS_ATTR_CTIME) {
        inode->ctime_s = attr->ctime.tv_sec;
        inode->ctime_ns = (uint32_t)attr->ctime.tv_nsec;
    }
}

static bool is_live_locked(const struct ms_file *file) {
    return file->locked.loaded && file->locked.state != MS_IMAGE_SEALED;
}

bool ms_file_overlay(struct ms_svc *svc, const struct ms_ctx *ctx, struct ms_node *node) {
    struct ms_file *file = ms_image_find(svc, ctx->tenant, node->inode.ino);
    bool live;

    if (!file)
        return false;
    pthread_mutex_lock(&file->mutex);
    live = is_live_locked(file);
    if (live) {
        node->inode.size = ms_image_size_locked(file);
        node->inode.generation = file->locked.generation;
        ms_image_fold(&node->inode, &file->locked.attr);
    }
    pthread_mutex_unlock(&file->mutex);
    ms_image_unref(file);
    return live;
}

static void merge_attr(struct ms_setattr *to, const struct ms_setattr *set, struct timespec now) {
    uint32_t which =
        set->which & (MS_ATTR_MODE | MS_ATTR_UID | MS_ATTR_GID | MS_ATTR_ATIME | MS_ATTR_MTIME);

    to->which |= which | MS_ATTR_CTIME;
    if (which & MS_ATTR_MODE)
        to->mode = set->mode;
    if (which & MS_ATTR_UID)
        to->uid = set->uid;
    if (which & MS_ATTR_GID)
        to->gid = set->gid;
    if (which & MS_ATTR_ATIME)
        to->atime = set->atime;
    if (which & MS_ATTR_MTIME)
        to->mtime = set->mtime;
    to->ctime = set->which & MS_ATTR_CTIME ? set->ctime : now;
}

bool ms_file_setattr(struct ms_svc *svc, const struct ms_ctx *ctx, const struct ms_setattr *set,
                     struct ms_node *ret_node) {
    struct ms_file *file = ms_image_find(svc, ctx->tenant, set->ino);
    struct ms_node node;
    bool taken = false;

    if (!file)
        return false;
    if (ms_tree_node(svc, ctx, set->ino, &node, NULL) == MS_OK && (node.rights & MS_RIGHT_RENAME)) {
        pthread_mutex_lock(&file->mutex);
        ms_image_settle_locked(file);
        taken = is_live_locked(file);
        if (taken) {
            merge_attr(&file->locked.attr, set, ms_clock_timespec(svc->clock));
            node.inode.size = ms_image_size_locked(file);
            ms_image_fold(&node.inode, &file->locked.attr);
            *ret_node = node;
        }
        pthread_mutex_unlock(&file->mutex);
    }
    ms_image_unref(file);
    return taken;
}

unsigned ms_file_handles(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino) {
    unsigned n = 0;

    pthread_mutex_lock(&svc->files->mutex);
    for (struct ms_file *file = *bucket_of(svc->files, ctx->tenant, ino); file; file = file->next)
        if (is_of(file, ctx->tenant, ino))
            n += file->handles;
    pthread_mutex_unlock(&svc->files->mutex);
    return n;
}

void ms_file_orphaned(struct ms_svc *svc, const struct ms_ctx *ctx, uint64_t ino) {
    pthread_mutex_lock(&svc->files->mutex);
    for (struct ms_file *file = *bucket_of(svc->files, ctx->tenant, ino); file; file = file->next) {
        if (!is_of(file, ctx->tenant, ino))
            continue;
        pthread_mutex_lock(&file->mutex);
        file->locked.orphan = true;
        pthread_mutex_unlock(&file->mutex);
    }
    pthread_mutex_unlock(&svc->files->mutex);
}

/* ---- the watcher ----------------------------------------------------------------------------- */

void ms_files_watch(struct ms_svc *svc, ms_file_watch_fn *fn, void *priv) {
    pthread_mutex_lock(&svc->files->watching);
    svc->files->watch = fn;
    svc->files->watch_priv = priv;
    pthread_mutex_unlock(&svc->files->watching);
}

void ms_image_tell(struct ms_file *file, enum ms_file_fate fate, uint64_t from, uint64_t to) {
    const struct ms_file_event event = {
        .tenant = file->tenant, .ino = file->ino, .from = from, .to = to, .fate = fate};

    pthread_mutex_lock(&file->files->watching);
    if (file->files->watch)
        file->files->watch(file->files->watch_priv, &event);
    pthread_mutex_unlock(&file->files->watching);
}

/* ---- the feed -------------------------------------------------------------------------------- */

/* An inode that is gone keeps what it allowed, unless its bytes' asset says otherwise: its handles hold on to what was
 * unlinked. One whose record cannot be read any more allows nothing. */
static bool revalidate(struct ms_file *file) {
    enum ms_code code = ms_image_ask(file, NULL, NULL);
    bool readable;

    if (code != MS_OK && code != MS_CORRUPT && code != MS_NOT_FOUND)
        return false;
    pthread_mutex_lock(&file->mutex);
    if (code == MS_CORRUPT)
        memset(file->locked.rights, 0, sizeof file->locked.rights);
    readable = ((file->locked.rights[0] | file->locked.rights[1]) & MS_RIGHT_READ) != 0;
    pthread_mutex_unlock(&file->mutex);
    if (!readable)
        ms_image_cancel_reads(file);
    return true;
}

bool ms_file_revalidate(struct ms_svc *svc, struct ms_tenant_id tenant, uint64_t ino_or_0) {
    size_t n = 0;
    struct ms_file **all = ms_image_all(svc->files, tenant, ino_or_0, &n);
    bool asked = all != NULL;

    for (size_t i = 0; i < n; i++) {
        asked &= revalidate(all[i]);
        ms_image_unref(all[i]);
    }
    free(all);
    return asked;
}

static bool has_bytes_of(struct ms_file *file, struct ms_asset_id asset) {
    pthread_mutex_lock(&file->mutex);
    bool has = ms_asset_id_equal(file->locked.asset, asset);
    pthread_mutex_unlock(&file->mutex);
    return has;
}

uint64_t *ms_file_inodes(struct ms_svc *svc, struct ms_tenant_id tenant, struct ms_asset_id asset, size_t *ret_n) {
    size_t n = 0, count = 0;
    struct ms_file **all = ms_image_all(svc->files, tenant, 0, &n);
    uint64_t *inos = all ? calloc(n + 1, sizeof *inos) : NULL;

    for (size_t i = 0; i < n; i++) {
        if (inos && has_bytes_of(all[i], asset))
            inos[count++] = all[i]->ino;
        ms_image_unref(all[i]);
    }
    free(all);
    *ret_n = count;
    return inos;
}

void ms_file_revalidate_asset(struct ms_svc *svc, struct ms_tenant_id tenant, struct ms_asset_id asset) {
    size_t n = 0;
    struct ms_file **all = ms_image_all(svc->files, tenant, 0, &n);

    for (size_t i = 0; i < n; i++) {
        if (has_bytes_of(all[i], asset))
            revalidate(all[i]);
        ms_image_unref(all[i]);
    }
    free(all);
}

/* ---- the blocking form ----------------------------------------------------------------------- */

static void wake(struct ms_file_io *io) {
    struct ms_file_wait *wait = io->priv;

    ms_latch_open(&wait->latch);
}

struct ms_file_io *ms_file_wait_begin(struct ms_file_wait *wait) {
    ms_latch_init(&wait->latch);
    wait->io = (struct ms_file_io){.done = wake, .priv = wait};
    return &wait->io;
}

enum ms_code ms_file_wait_end(struct ms_file_wait *wait, size_t *ret_n_or_null,
                              struct ms_error *reterr) {
    ms_latch_wait(&wait->latch);
    if (wait->io.code != MS_OK && reterr)
        *reterr = wait->io.error;
    if (wait->io.code == MS_OK && ret_n_or_null)
        *ret_n_or_null = wait->io.n;
    return wait->io.code;
}
