/* drv_mem.c — the reference driver: the contract as a program, in memory.
 *
 * It behaves like an S3 store: parts are kept apart until MP_COMPLETE, so part_offset is not used. "mem:plain" is
 * the same without multipart, copies and batch delete: a store of the kind that libs3 reaches.
 *
 * Bytes are immutable once they are in a blob, and a blob is counted: a GET copies outside the mutex, and reads
 * all of the old or all of the new one.
 */
#define XXH_STATIC_LINKING_ONLY
#include "base/assert.h"
#include "object/driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define PUT_BYTES_MAX (5 * MS_GB)

struct blob {
    int refs; /* atomic */
    uint64_t size;
    char etag[MS_ETAG_MAX + 1];
    struct ms_instant modified;
    char upload_id[MS_ID_TEXT_LEN + 1]; /* that it was completed from */
    char *meta;                         /* NUL at the end */
    uint8_t data[];
};

struct object {
    char *key;
    struct blob *blob;
};

struct upload {
    struct upload *next;
    char id[MS_ID_TEXT_LEN + 1];
    char *key, *meta;
    struct ms_instant created;
    struct blob *parts[MS_PARTS_MAX + 1]; /* by number */
};

struct mem {
    struct ms_job_obj job;
    struct ms_random *random;
    pthread_mutex_t mutex;
    struct {
        struct object *objects; /* ascending keys */
        size_t objects_n, objects_cap;
        struct upload *uploads;
    } locked;
};

static struct mem *mem_of(struct ms_obj *obj) { return MS_CONTAINER_OF(obj, struct mem, job.obj); }

/* ---- blobs ----------------------------------------------------------------------------------- */

static void blob_put(struct blob *blob) {
    if (!blob || __atomic_sub_fetch(&blob->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(blob->meta);
    free(blob);
}
static void blob_auto(struct blob **blob) { blob_put(*blob); }

static struct blob *blob_get(struct blob *blob) {
    __atomic_add_fetch(&blob->refs, 1, __ATOMIC_RELAXED);
    return blob;
}

static enum ms_code blob_new(uint64_t size, const char *meta, struct blob **ret_blob,
                             struct ms_error *reterr) {
    struct blob *blob = calloc(1, sizeof *blob + size);

    if (blob)
        blob->meta = strdup(meta);
    if (!blob || !blob->meta) {
        free(blob);
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an object of %" PRIu64 " bytes", size);
    }
    blob->refs = 1;
    blob->size = size;
    blob->modified = ms_clock_now(ms_clock_system());
    *ret_blob = blob;
    return MS_OK;
}

static void hash_blob(struct blob *blob) {
    XXH128_hash_t hash = XXH3_128bits(blob->data, blob->size);

    snprintf(blob->etag, sizeof blob->etag, "%016" PRIx64 "%016" PRIx64, hash.high64, hash.low64);
}

static enum ms_code blob_from_body(const struct ms_obj_request *r, const char *meta,
                                   struct blob **ret_blob, struct ms_error *reterr) {
    MS_AUTO(ms_body_fini) struct ms_body_reader reader = {.body = &r->body};
    MS_AUTO(blob_auto) struct blob *blob = NULL;
    enum ms_code code = blob_new(r->body.length, meta, &blob, reterr);
    struct ms_view bytes = {0};
    uint64_t at = 0;

    while (code == MS_OK) {
        code = ms_body_next(&reader, &bytes, reterr);
        if (code == MS_OK && bytes.n == 0)
            break;
        if (code == MS_OK) {
            memcpy(blob->data + at, bytes.p, bytes.n);
            at += bytes.n;
            code = ms_job_go_on(r, reterr);
        }
    }
    if (code != MS_OK)
        return code;
    hash_blob(blob);
    *ret_blob = MS_TAKE(blob);
    return MS_OK;
}

/* ---- objects --------------------------------------------------------------------------------- */

/* The index of key, or of the first one behind it. */
static size_t find_locked(const struct mem *m, const char *key, bool *ret_found) {
    size_t lo = 0, hi = m->locked.objects_n, mid;

    while (lo < hi) {
        mid = lo + (hi - lo) / 2;
        if (strcmp(m->locked.objects[mid].key, key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *ret_found = lo < m->locked.objects_n && strcmp(m->locked.objects[lo].key, key) == 0;
    return lo;
}

static enum ms_code fail_no_object(const char *key, struct ms_error *reterr) {
    return ms_fail(reterr, MS_NOT_FOUND, "no object %s", key);
}

static enum ms_code get_blob(struct mem *m, const char *key, struct blob **ret_blob,
                             struct ms_error *reterr) {
    bool found;
    size_t i;

    pthread_mutex_lock(&m->mutex);
    i = find_locked(m, key, &found);
    if (found)
        *ret_blob = blob_get(m->locked.objects[i].blob);
    pthread_mutex_unlock(&m->mutex);
    return found ? MS_OK : fail_no_object(key, reterr);
}

static bool grow_locked(struct mem *m) {
    size_t cap = m->locked.objects_cap ? m->locked.objects_cap * 2 : 64;
    struct object *objects;

    if (m->locked.objects_n < m->locked.objects_cap)
        return true;
    objects = realloc(m->locked.objects, cap * sizeof *objects);
    if (!objects)
        return false;
    m->locked.objects = objects;
    m->locked.objects_cap = cap;
    return true;
}

/* Takes over the reference. */
static enum ms_code store_locked(struct mem *m, const char *key, struct blob *blob,
                                 struct ms_error *reterr) {
    bool found;
    size_t i = find_locked(m, key, &found);
    char *copy;

    if (found) {
        blob_put(m->locked.objects[i].blob);
        m->locked.objects[i].blob = blob;
        return MS_OK;
    }
    copy = strdup(key);
    if (!copy || !grow_locked(m)) {
        free(copy);
        blob_put(blob);
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for one more object");
    }
    memmove(m->locked.objects + i + 1, m->locked.objects + i,
            (m->locked.objects_n - i) * sizeof *m->locked.objects);
    m->locked.objects[i] = (struct object){copy, blob};
    m->locked.objects_n++;
    return MS_OK;
}

static enum ms_code store(struct mem *m, struct ms_obj_request *r, struct blob *blob,
                          struct ms_error *reterr) {
    enum ms_code code;

    snprintf(r->ret_etag, sizeof r->ret_etag, "%s", blob->etag);
    pthread_mutex_lock(&m->mutex);
    code = store_locked(m, r->key, blob, reterr);
    pthread_mutex_unlock(&m->mutex);
    return code;
}

static enum ms_code mem_put(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf meta = {0};
    enum ms_code code = ms_obj_meta_text(r->meta, &meta, reterr);
    struct blob *blob = NULL;

    if (code == MS_OK)
        code = blob_from_body(r, (const char *)meta.data, &blob, reterr);
    return code != MS_OK ? code : store(mem_of(obj), r, blob, reterr);
}

static enum ms_code check_inside(const struct ms_obj_request *r, const char *key, uint64_t size,
                                 struct ms_error *reterr) {
    if (r->offset <= size && r->length <= size - r->offset)
        return MS_OK;
    return ms_fail(reterr, MS_RANGE, "bytes %" PRIu64 "+%" PRIu64 " of %s, which has %" PRIu64,
                   r->offset, r->length, key, size);
}

static enum ms_code mem_get(struct ms_obj *obj, struct ms_obj_request *r, struct ms_error *reterr) {
    MS_AUTO(blob_auto) struct blob *blob = NULL;
    enum ms_code code = get_blob(mem_of(obj), r->key, &blob, reterr);

    if (code == MS_OK)
        code = check_inside(r, r->key, blob->size, reterr);
    if (code != MS_OK)
        return code;
    if (r->length > 0)
        memcpy(r->into, blob->data + r->offset, r->length);
    r->ret_n = r->length;
    r->ret_size = blob->size;
    snprintf(r->ret_etag, sizeof r->ret_etag, "%s", blob->etag);
    return MS_OK;
}

static enum ms_code mem_head(struct ms_obj *obj, struct ms_obj_request *r,
                             struct ms_error *reterr) {
    MS_AUTO(blob_auto) struct blob *blob = NULL;
    enum ms_code code = get_blob(mem_of(obj), r->key, &blob, reterr);

    if (code == MS_OK)
        code = ms_buf_addf(&r->ret_meta, reterr, "%s", blob->meta);
    if (code != MS_OK)
        return code;
    r->ret_size = blob->size;
    snprintf(r->ret_etag, sizeof r->ret_etag, "%s", blob->etag);
    return MS_OK;
}

static void delete_key(struct mem *m, const char *key) {
    bool found;
    size_t i;

    pthread_mutex_lock(&m->mutex);
    i = find_locked(m, key, &found);
    if (found) {
        free(m->locked.objects[i].key);
        blob_put(m->locked.objects[i].blob);
        m->locked.objects_n--;
        memmove(m->locked.objects + i, m->locked.objects + i + 1,
                (m->locked.objects_n - i) * sizeof *m->locked.objects);
    }
    pthread_mutex_unlock(&m->mutex);
}

static enum ms_code mem_delete(struct ms_obj *obj, struct ms_obj_request *r,
                               struct ms_error *reterr) {
    (void)reterr;
    delete_key(mem_of(obj), r->key);
    return MS_OK;
}

static enum ms_code mem_delete_many(struct ms_obj *obj, struct ms_obj_request *r,
                                    struct ms_error *reterr) {
    (void)reterr;
    for (size_t i = 0; i < r->keys_n; i++)
        delete_key(mem_of(obj), r->keys[i]);
    return MS_OK;
}

static enum ms_code mem_copy(struct ms_obj *obj, struct ms_obj_request *r,
                             struct ms_error *reterr) {
    struct blob *blob = NULL;
    enum ms_code code = get_blob(mem_of(obj), r->source_key, &blob, reterr);

    return code != MS_OK ? code : store(mem_of(obj), r, blob, reterr);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static bool has_prefix(const char *key, const char *prefix) {
    return !prefix || strncmp(key, prefix, strlen(prefix)) == 0;
}

static void list_locked(struct mem *m, struct ms_obj_request *r) {
    const char *prefix = r->key ? r->key : "";
    const struct object *o;
    bool found;
    size_t i = find_locked(m, r->after && strcmp(r->after, prefix) > 0 ? r->after : prefix, &found);

    for (; i < m->locked.objects_n && has_prefix(m->locked.objects[i].key, prefix); i++) {
        o = &m->locked.objects[i];
        if (r->after && strcmp(o->key, r->after) <= 0)
            continue;
        r->ret_more = r->ret_n == r->list_max;
        if (r->ret_more)
            return;
        snprintf(r->ret_entries[r->ret_n].key, sizeof r->ret_entries->key, "%s", o->key);
        snprintf(r->ret_entries[r->ret_n].etag, sizeof r->ret_entries->etag, "%s", o->blob->etag);
        r->ret_entries[r->ret_n].size = o->blob->size;
        r->ret_entries[r->ret_n].modified = o->blob->modified;
        r->ret_n++;
    }
}

static enum ms_code alloc_entries(struct ms_obj_request *r, struct ms_error *reterr) {
    r->ret_entries = calloc(r->list_max, sizeof *r->ret_entries);
    if (!r->ret_entries)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of %zu", r->list_max);
    return MS_OK;
}

static enum ms_code mem_list(struct ms_obj *obj, struct ms_obj_request *r,
                             struct ms_error *reterr) {
    struct mem *m = mem_of(obj);
    enum ms_code code = alloc_entries(r, reterr);

    if (code != MS_OK)
        return code;
    pthread_mutex_lock(&m->mutex);
    list_locked(m, r);
    pthread_mutex_unlock(&m->mutex);
    return MS_OK;
}

/* ---- uploads --------------------------------------------------------------------------------- */

static void upload_free(struct upload *upload) {
    if (!upload)
        return;
    for (size_t i = 0; i <= MS_PARTS_MAX; i++)
        blob_put(upload->parts[i]);
    free(upload->key);
    free(upload->meta);
    free(upload);
}

static struct upload **find_upload_locked(struct mem *m, const struct ms_obj_request *r) {
    struct upload **at = &m->locked.uploads;

    while (*at && (strcmp((*at)->id, r->upload_id) != 0 || strcmp((*at)->key, r->key) != 0))
        at = &(*at)->next;
    return at;
}

static enum ms_code fail_no_upload(const struct ms_obj_request *r, struct ms_error *reterr) {
    return ms_fail(reterr, MS_NOT_FOUND,
                   "no upload %s of %s: it was completed or aborted, or "
                   "never made",
                   r->upload_id, r->key);
}

static enum ms_code mem_mp_create(struct ms_obj *obj, struct ms_obj_request *r,
                                  struct ms_error *reterr) {
    struct mem *m = mem_of(obj);
    MS_AUTO(ms_buf_fini) struct ms_buf meta = {0};
    enum ms_code code = ms_obj_meta_text(r->meta, &meta, reterr);
    struct upload *upload = calloc(1, sizeof *upload);

    if (upload) {
        upload->key = strdup(r->key);
        upload->meta = code == MS_OK ? strdup((const char *)meta.data) : NULL;
    }
    if (code == MS_OK && (!upload || !upload->key || !upload->meta))
        code = ms_fail(reterr, MS_NO_MEMORY, "no memory for an upload of %s", r->key);
    if (code != MS_OK) {
        upload_free(upload);
        return code;
    }
    ms_id_format(ms_id_new(m->random), upload->id);
    upload->created = ms_clock_now(ms_clock_system());
    snprintf(r->ret_upload_id, sizeof r->ret_upload_id, "%s", upload->id);
    pthread_mutex_lock(&m->mutex);
    upload->next = m->locked.uploads;
    m->locked.uploads = upload;
    pthread_mutex_unlock(&m->mutex);
    return MS_OK;
}

/* Takes over the reference. */
static enum ms_code keep_part(struct mem *m, struct ms_obj_request *r, struct blob *blob,
                              struct ms_error *reterr) {
    struct upload *upload;
    struct blob *old = blob;

    pthread_mutex_lock(&m->mutex);
    upload = *find_upload_locked(m, r);
    if (upload) {
        snprintf(r->ret_etag, sizeof r->ret_etag, "%s", blob->etag);
        old = upload->parts[r->part_no];
        upload->parts[r->part_no] = blob;
    }
    pthread_mutex_unlock(&m->mutex);
    blob_put(old);
    return upload ? MS_OK : fail_no_upload(r, reterr);
}

static enum ms_code mem_mp_put(struct ms_obj *obj, struct ms_obj_request *r,
                               struct ms_error *reterr) {
    struct blob *blob = NULL;
    enum ms_code code = blob_from_body(r, "", &blob, reterr);

    return code != MS_OK ? code : keep_part(mem_of(obj), r, blob, reterr);
}

static enum ms_code mem_mp_copy(struct ms_obj *obj, struct ms_obj_request *r,
                                struct ms_error *reterr) {
    MS_AUTO(blob_auto) struct blob *source = NULL;
    struct blob *part = NULL;
    enum ms_code code = get_blob(mem_of(obj), r->source_key, &source, reterr);

    if (code == MS_OK)
        code = check_inside(r, r->source_key, source->size, reterr);
    if (code == MS_OK)
        code = blob_new(r->length, "", &part, reterr);
    if (code != MS_OK)
        return code;
    memcpy(part->data, source->data + r->offset, r->length);
    hash_blob(part);
    return keep_part(mem_of(obj), r, part, reterr);
}

static enum ms_code check_part_locked(const struct upload *u, const struct ms_obj_part *named,
                                      struct ms_error *reterr) {
    const struct blob *part = u->parts[named->part_no];

    if (!part)
        return ms_fail(reterr, MS_CONFLICT, "part %" PRIu32 " of upload %s was never sent",
                       named->part_no, u->id);
    if (strcmp(part->etag, named->etag) != 0)
        return ms_fail(reterr, MS_CONFLICT,
                       "part %" PRIu32 " of upload %s has ETag %s, not %s: it "
                       "was sent again since",
                       named->part_no, u->id, part->etag, named->etag);
    if (part->size != named->size)
        return ms_fail(reterr, MS_CONFLICT,
                       "part %" PRIu32 " of upload %s has %" PRIu64 " bytes, "
                       "not %" PRIu64,
                       named->part_no, u->id, part->size, named->size);
    return MS_OK;
}

static enum ms_code join_locked(const struct upload *u, const struct ms_obj_request *r,
                                struct blob **ret_blob, struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    struct blob *blob = NULL;
    uint64_t total = 0;

    for (size_t i = 0; i < r->parts_n && code == MS_OK; i++) {
        code = check_part_locked(u, &r->parts[i], reterr);
        total += r->parts[i].size;
    }
    if (code == MS_OK)
        code = blob_new(total, u->meta, &blob, reterr);
    if (code != MS_OK)
        return code;
    total = 0;
    for (size_t i = 0; i < r->parts_n; i++) {
        memcpy(blob->data + total, u->parts[r->parts[i].part_no]->data, r->parts[i].size);
        total += r->parts[i].size;
    }
    ms_obj_etag_of_parts(r->parts, r->parts_n, blob->etag);
    snprintf(blob->upload_id, sizeof blob->upload_id, "%s", u->id);
    *ret_blob = blob;
    return MS_OK;
}

/* O6: completed before, and the answer was lost. */
static enum ms_code was_completed_locked(struct mem *m, struct ms_obj_request *r,
                                         struct ms_error *reterr) {
    bool found;
    size_t i = find_locked(m, r->key, &found);

    if (!found || strcmp(m->locked.objects[i].blob->upload_id, r->upload_id) != 0)
        return fail_no_upload(r, reterr);
    snprintf(r->ret_etag, sizeof r->ret_etag, "%s", m->locked.objects[i].blob->etag);
    return MS_OK;
}

static enum ms_code complete_locked(struct mem *m, struct ms_obj_request *r,
                                    struct ms_error *reterr) {
    struct upload **at = find_upload_locked(m, r), *upload = *at;
    struct blob *blob = NULL;
    enum ms_code code;

    if (!upload)
        return was_completed_locked(m, r, reterr);
    code = join_locked(upload, r, &blob, reterr);
    if (code != MS_OK)
        return code;
    snprintf(r->ret_etag, sizeof r->ret_etag, "%s", blob->etag);
    code = store_locked(m, r->key, blob, reterr);
    if (code != MS_OK)
        return code;
    *at = upload->next;
    upload_free(upload);
    return MS_OK;
}

static enum ms_code mem_mp_complete(struct ms_obj *obj, struct ms_obj_request *r,
                                    struct ms_error *reterr) {
    struct mem *m = mem_of(obj);
    enum ms_code code;

    pthread_mutex_lock(&m->mutex);
    code = complete_locked(m, r, reterr);
    pthread_mutex_unlock(&m->mutex);
    return code;
}

static enum ms_code mem_mp_abort(struct ms_obj *obj, struct ms_obj_request *r,
                                 struct ms_error *reterr) {
    struct mem *m = mem_of(obj);
    struct upload **at, *upload;

    (void)reterr;
    pthread_mutex_lock(&m->mutex);
    at = find_upload_locked(m, r);
    upload = *at;
    if (upload)
        *at = upload->next;
    pthread_mutex_unlock(&m->mutex);
    upload_free(upload);
    return MS_OK;
}

static int by_key_and_id(const void *a, const void *b) {
    const struct upload *x = *(const struct upload *const *)a,
                        *y = *(const struct upload *const *)b;
    int order = strcmp(x->key, y->key);

    return order ? order : strcmp(x->id, y->id);
}

static bool is_behind(const struct ms_obj_request *r, const struct upload *u) {
    int order = r->after ? strcmp(u->key, r->after) : 1;

    return order > 0 || (order == 0 && r->upload_id && strcmp(u->id, r->upload_id) > 0);
}

static void add_upload(struct ms_obj_request *r, const struct upload *u) {
    struct ms_obj_entry *e = &r->ret_entries[r->ret_n++];

    snprintf(e->key, sizeof e->key, "%s", u->key);
    snprintf(e->upload_id, sizeof e->upload_id, "%s", u->id);
    e->modified = u->created;
}

static enum ms_code list_uploads_locked(struct mem *m, struct ms_obj_request *r,
                                        struct ms_error *reterr) {
    const struct upload **sorted;
    size_t n = 0;

    for (const struct upload *u = m->locked.uploads; u; u = u->next)
        n += has_prefix(u->key, r->key) && is_behind(r, u);
    sorted = calloc(n + 1, sizeof *sorted);
    if (!sorted)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of %zu uploads", n);
    n = 0;
    for (const struct upload *u = m->locked.uploads; u; u = u->next)
        if (has_prefix(u->key, r->key) && is_behind(r, u))
            sorted[n++] = u;
    qsort(sorted, n, sizeof *sorted, by_key_and_id);
    r->ret_more = n > r->list_max;
    for (size_t i = 0; i < n && i < r->list_max; i++)
        add_upload(r, sorted[i]);
    free(sorted);
    return MS_OK;
}

static enum ms_code mem_mp_list(struct ms_obj *obj, struct ms_obj_request *r,
                                struct ms_error *reterr) {
    struct mem *m = mem_of(obj);
    enum ms_code code = alloc_entries(r, reterr);

    if (code != MS_OK)
        return code;
    pthread_mutex_lock(&m->mutex);
    code = list_uploads_locked(m, r, reterr);
    pthread_mutex_unlock(&m->mutex);
    return code;
}

static enum ms_code list_parts_locked(const struct upload *u, struct ms_obj_request *r,
                                      struct ms_error *reterr) {
    struct ms_obj_part *part;
    size_t n = 0;

    for (size_t i = 1; i <= MS_PARTS_MAX; i++)
        n += u->parts[i] != NULL;
    r->ret_parts = calloc(n + 1, sizeof *r->ret_parts);
    if (!r->ret_parts)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of %zu parts", n);
    for (uint32_t i = 1; i <= MS_PARTS_MAX; i++) {
        if (!u->parts[i])
            continue;
        part = &r->ret_parts[r->ret_n++];
        part->part_no = i;
        part->size = u->parts[i]->size;
        snprintf(part->etag, sizeof part->etag, "%s", u->parts[i]->etag);
    }
    return MS_OK;
}

static enum ms_code mem_mp_parts(struct ms_obj *obj, struct ms_obj_request *r,
                                 struct ms_error *reterr) {
    struct mem *m = mem_of(obj);
    const struct upload *upload;
    enum ms_code code;

    pthread_mutex_lock(&m->mutex);
    upload = *find_upload_locked(m, r);
    code = upload ? list_parts_locked(upload, r, reterr) : fail_no_upload(r, reterr);
    pthread_mutex_unlock(&m->mutex);
    return code;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void mem_close(struct ms_obj *obj) {
    struct mem *m = mem_of(obj);
    struct upload *upload;

    for (size_t i = 0; i < m->locked.objects_n; i++) {
        free(m->locked.objects[i].key);
        blob_put(m->locked.objects[i].blob);
    }
    free(m->locked.objects);
    while ((upload = m->locked.uploads)) {
        m->locked.uploads = upload->next;
        upload_free(upload);
    }
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

static const struct ms_obj_ops *mem_ops(void) {
    static const struct ms_obj_ops ops = {"mem", ms_job_submit, ms_job_cancel, mem_close};

    return &ops;
}

static const struct ms_job_obj *mem_job(void) {
    static const struct ms_job_obj job = {
        .run = {[MS_OBJ_PUT] = mem_put,
                [MS_OBJ_GET] = mem_get,
                [MS_OBJ_HEAD] = mem_head,
                [MS_OBJ_DELETE] = mem_delete,
                [MS_OBJ_LIST] = mem_list,
                [MS_OBJ_MP_CREATE] = mem_mp_create,
                [MS_OBJ_MP_PUT] = mem_mp_put,
                [MS_OBJ_MP_COMPLETE] = mem_mp_complete,
                [MS_OBJ_MP_ABORT] = mem_mp_abort,
                [MS_OBJ_MP_LIST] = mem_mp_list,
                [MS_OBJ_MP_PARTS] = mem_mp_parts,
                [MS_OBJ_COPY] = mem_copy,
                [MS_OBJ_MP_COPY] = mem_mp_copy,
                [MS_OBJ_DELETE_MANY] = mem_delete_many},
    };

    return &job;
}

enum ms_code ms_drv_mem_open(const struct ms_obj_options *options, const char *address,
                             struct ms_obj **ret_obj, struct ms_error *reterr) {
    bool plain = strcmp(address, "plain") == 0;
    struct mem *m;

    if (*address && !plain)
        return ms_fail(reterr, MS_CONFIG, "object store 'mem:%s': the forms are mem: and mem:plain",
                       address);
    m = calloc(1, sizeof *m);
    if (!m)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an object store");
    m->job = *mem_job();
    m->job.obj.ops = mem_ops();
    m->job.obj.engine = options->engine;
    m->job.obj.caps = (struct ms_obj_caps){.multipart = !plain,
                                           .part_copy = !plain,
                                           .copy = !plain,
                                           .batch_delete = !plain,
                                           .put_bytes_max = PUT_BYTES_MAX};
    m->random = options->random;
    pthread_mutex_init(&m->mutex, NULL);
    *ret_obj = &m->job.obj;
    return MS_OK;
}
