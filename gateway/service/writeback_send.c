/* One object's way from the local disk to the store: read, compared with its hashes, sent from
 * memory, so that what goes out is what was compared. */
#include "content/hash.h"
#include "service/hash_rows.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"
#include "service/writeback_part.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PARTS_AT_ONCE 2

/* ---- requests -------------------------------------------------------------------------------- */

struct ms_sending {
    struct ms_obj_request request;
    struct ms_latch latch;
    struct ms_sending *prev, *next;
    uint8_t *bytes; /* its body */
    size_t n;
};

void ms_sender_init(struct ms_sender *sender, struct ms_svc *svc) {
    memset(sender, 0, sizeof *sender);
    sender->svc = svc;
    atomic_init(&sender->stop, false);
    pthread_mutex_init(&sender->mutex, NULL);
    pthread_cond_init(&sender->changed, NULL);
}

void ms_sender_fini(struct ms_sender *sender) {
    MS_ASSERT(!sender->first && sender->memory == 0);
    pthread_cond_destroy(&sender->changed);
    pthread_mutex_destroy(&sender->mutex);
}

/* A request stays listed, and so in memory, until its cancel has returned: unlisting wants the same
 * lock. done only opens a latch, so it may come inside the cancel. */
void ms_sender_stop(struct ms_sender *sender) {
    atomic_store(&sender->stop, true);
    pthread_mutex_lock(&sender->mutex);
    for (struct ms_sending *s = sender->first; s; s = s->next)
        ms_obj_cancel(sender->svc->obj, &s->request);
    pthread_cond_broadcast(&sender->changed);
    pthread_mutex_unlock(&sender->mutex);
}

static void sending_done(struct ms_obj_request *request) {
    struct ms_sending *s = request->priv;

    ms_latch_open(&s->latch);
}

static enum ms_code stopped(struct ms_error *reterr) {
    return ms_fail(reterr, MS_CANCELLED, "the process ends: the upload goes on elsewhere, or later");
}

static enum ms_code sending_start(struct ms_sender *sender, struct ms_sending *s,
                                  struct ms_error *reterr) {
    s->request.done = sending_done;
    s->request.priv = s;
    s->prev = NULL;
    ms_latch_init(&s->latch);
    pthread_mutex_lock(&sender->mutex);
    bool stop = atomic_load(&sender->stop);
    if (!stop) {
        s->next = sender->first;
        if (s->next)
            s->next->prev = s;
        sender->first = s;
    }
    pthread_mutex_unlock(&sender->mutex);
    if (!stop) {
        ms_obj_submit(sender->svc->obj, &s->request);
        return MS_OK;
    }
    ms_latch_open(&s->latch);
    ms_latch_wait(&s->latch);
    return stopped(reterr);
}

static enum ms_code sending_wait(struct ms_sender *sender, struct ms_sending *s,
                                 struct ms_error *reterr) {
    ms_latch_wait(&s->latch);
    pthread_mutex_lock(&sender->mutex);
    if (s->prev)
        s->prev->next = s->next;
    else
        sender->first = s->next;
    if (s->next)
        s->next->prev = s->prev;
    pthread_mutex_unlock(&sender->mutex);
    if (s->request.code == MS_OK)
        atomic_fetch_add(&sender->sent, s->request.body.length);
    else if (reterr)
        *reterr = s->request.error;
    return s->request.code;
}

static enum ms_code run(struct ms_sender *sender, struct ms_sending *s, struct ms_error *reterr) {
    MS_TRY(sending_start(sender, s, reterr));
    return sending_wait(sender, s, reterr);
}

/* Memory for a body is waited for: many objects go at once, and none needs more than its parts. */
static bool has_memory_locked(const struct ms_sender *sender, size_t n) {
    return sender->memory == 0 || sender->memory + n <= MS_SENDER_MEMORY_MAX || atomic_load(&sender->stop);
}

static void take_memory(struct ms_sender *sender, struct ms_sending *s, size_t n) {
    pthread_mutex_lock(&sender->mutex);
    sender->waiting++;
    while (!has_memory_locked(sender, n))
        pthread_cond_wait(&sender->changed, &sender->mutex);
    sender->waiting--;
    sender->memory += s->n = n;
    pthread_mutex_unlock(&sender->mutex);
}

/* More of it for an object that has some: never waited for, since those who wait are waiting for what
 * such objects have, and not taken before them. */
static bool try_memory(struct ms_sender *sender, struct ms_sending *s, size_t n) {
    pthread_mutex_lock(&sender->mutex);
    bool taken = sender->waiting == 0 && has_memory_locked(sender, n);
    if (taken)
        sender->memory += s->n = n;
    pthread_mutex_unlock(&sender->mutex);
    return taken;
}

static enum ms_code make_body(struct ms_sending *s, struct ms_error *reterr) {
    s->bytes = malloc(s->n);
    return s->bytes ? MS_OK : ms_fail(reterr, MS_NO_MEMORY, "no memory to send %zu bytes", s->n);
}

static void give_memory(struct ms_sender *sender, struct ms_sending *s) {
    if (s->n == 0)
        return;
    free(MS_TAKE(s->bytes));
    pthread_mutex_lock(&sender->mutex);
    sender->memory -= s->n;
    pthread_cond_broadcast(&sender->changed);
    pthread_mutex_unlock(&sender->mutex);
    s->n = 0;
}

/* ---- the object ------------------------------------------------------------------------------ */

struct sent {
    struct ms_sender *sender;
    const struct ms_local_record *row;
    unsigned block_log2;
    int fd;
    struct ms_buf meta_text;
    struct ms_obj_meta meta;
    uint64_t part_bytes;
    char upload_id[MS_UPLOAD_ID_MAX + 1], etag[MS_ETAG_MAX + 1];
    struct ms_obj_part *part;
    uint32_t parts;
};

static void sent_fini(struct sent *o) {
    if (o->fd >= 0)
        close(o->fd);
    ms_buf_fini(&o->meta_text);
    free(o->part);
}

/* Birth facts as the local file has them: lines "key=value". */
static void read_meta(struct sent *o) {
    char *line = (char *)o->meta_text.data;

    while (line && *line) {
        char *end = strchr(line, '\n'), *value = strchr(line, '=');

        if (!end || !value || value > end)
            return;
        *end = *value = '\0';
        if (strcmp(line, "content-type") == 0) {
            o->meta.content_type = value + 1;
        } else if (o->meta.pairs < MS_OBJ_META_MAX) {
            o->meta.pair[o->meta.pairs].key = line;
            o->meta.pair[o->meta.pairs++].value = value + 1;
        }
        line = end + 1;
    }
}

static enum ms_code open_local(struct sent *o, struct ms_error *reterr) {
    struct ms_svc *svc = o->sender->svc;
    struct ms_obj_request head = {.op = MS_OBJ_HEAD, .key = o->row->key};
    uint64_t size = 0;

    enum ms_code code = ms_near_open_file(svc, o->row->key, &o->fd, &size, reterr);
    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, MS_CORRUPT,
                       "the local file of %s is gone before it was uploaded: its bytes are lost",
                       o->row->key);
    if (code != MS_OK)
        return code;
    if (size != o->row->size)
        return ms_fail(reterr, MS_CORRUPT,
                       "the local file of %s has %" PRIu64 " bytes; %" PRIu64 " were acknowledged",
                       o->row->key, size, o->row->size);
    MS_TRY(ms_obj_run(svc->near, &head, reterr));
    o->meta_text = head.ret_meta;
    MS_TRY(ms_buf_add(&o->meta_text, "", 1, reterr));
    read_meta(o);
    return MS_OK;
}

/* ---- its bytes ------------------------------------------------------------------------------- */

static enum ms_code load_hashes(const struct sent *o, uint64_t first, uint64_t n, uint64_t *ret_hash,
                                struct ms_error *reterr) {
    struct ms_txn *txn;
    enum ms_code code = ms_read_begin(o->sender->svc->store, &txn, reterr);

    if (code != MS_OK)
        return code;
    code = ms_hash_rows_get(txn, (struct ms_object_id){o->row->object}, first, n, ret_hash, reterr);
    ms_read_end(txn);
    return code;
}

static enum ms_code compare(const struct sent *o, uint64_t offset, const uint8_t *p, size_t n,
                            struct ms_error *reterr) {
    uint64_t block = UINT64_C(1) << o->block_log2, first = offset / block,
             count = (n + block - 1) / block;
    uint64_t *hash = calloc((size_t)count, sizeof *hash);
    enum ms_code code = hash ? load_hashes(o, first, count, hash, reterr)
                             : ms_fail(reterr, MS_NO_MEMORY, "no memory for block hashes");

    for (uint64_t i = 0; code == MS_OK && i < count; i++) {
        size_t at = (size_t)(i * block), length = n - at < block ? n - at : (size_t)block;

        if (ms_block_hash(p + at, length) != hash[i])
            code = ms_fail(reterr, MS_CORRUPT,
                           "block %" PRIu64 " of %s on the local disk is not what was "
                           "acknowledged: the file is kept and not uploaded",
                           first + i, o->row->key);
    }
    free(hash);
    return code;
}

/* n bytes at offset into memory, compared. */
static enum ms_code load(struct sent *o, uint64_t offset, uint8_t *p, size_t n,
                         struct ms_error *reterr) {
    for (size_t at = 0; at < n;) {
        ssize_t got = pread(o->fd, p + at, n - at, (off_t)(offset + at));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ms_fail_errno(reterr, errno, "cannot read the local file of %s", o->row->key);
        if (got == 0)
            return ms_fail(reterr, MS_CORRUPT, "the local file of %s ends early", o->row->key);
        at += (size_t)got;
    }
    return compare(o, offset, p, n, reterr);
}

/* s has the memory for it. */
static enum ms_code load_body(struct sent *o, struct ms_sending *s, uint64_t offset,
                              struct ms_error *reterr) {
    MS_TRY(make_body(s, reterr));
    MS_TRY(load(o, offset, s->bytes, s->n, reterr));
    s->request.body = (struct ms_obj_body){.memory = ms_view_of(s->bytes, s->n), .length = s->n};
    return MS_OK;
}

/* ---- in one piece ---------------------------------------------------------------------------- */

/* A store without multipart takes it from the file, of which every block was compared before. */
static enum ms_code compare_all(struct sent *o, struct ms_sending *s, struct ms_error *reterr) {
    take_memory(o->sender, s, (size_t)o->part_bytes);
    MS_TRY(make_body(s, reterr));
    for (uint64_t at = 0; at < o->row->size; at += o->part_bytes) {
        uint64_t left = o->row->size - at;

        if (atomic_load(&o->sender->stop))
            return stopped(reterr);
        MS_TRY(load(o, at, s->bytes, (size_t)(left < o->part_bytes ? left : o->part_bytes), reterr));
    }
    give_memory(o->sender, s);
    s->request.body = (struct ms_obj_body){.fd = o->fd, .length = o->row->size};
    return MS_OK;
}

static enum ms_code put_body(struct sent *o, struct ms_sending *s, struct ms_error *reterr) {
    s->request = (struct ms_obj_request){.op = MS_OBJ_PUT, .key = o->row->key, .meta = &o->meta};
    if (o->row->size <= o->part_bytes) {
        take_memory(o->sender, s, (size_t)o->row->size);
        MS_TRY(load_body(o, s, 0, reterr));
    } else {
        MS_TRY(compare_all(o, s, reterr));
    }
    MS_TRY(run(o->sender, s, reterr));
    memcpy(o->etag, s->request.ret_etag, sizeof o->etag);
    return MS_OK;
}

static enum ms_code put(struct sent *o, struct ms_error *reterr) {
    struct ms_sending s = {.n = 0};
    enum ms_code code = put_body(o, &s, reterr);

    give_memory(o->sender, &s);
    return code;
}

/* ---- in parts -------------------------------------------------------------------------------- */

static enum ms_code create(struct sent *o, struct ms_error *reterr) {
    struct ms_sending s = {
        .request = {.op = MS_OBJ_MP_CREATE, .key = o->row->key, .meta = &o->meta}};

    MS_TRY(run(o->sender, &s, reterr));
    memcpy(o->upload_id, s.request.ret_upload_id, sizeof o->upload_id);
    return MS_OK;
}

/* False: there is none while others of its parts are on their way. */
static bool part_memory(struct sent *o, struct ms_sending *s, uint32_t index, bool others) {
    uint64_t left = o->row->size - index * o->part_bytes;
    size_t n = (size_t)(left < o->part_bytes ? left : o->part_bytes);

    if (others)
        return try_memory(o->sender, s, n);
    take_memory(o->sender, s, n);
    return true;
}

static enum ms_code part_start(struct sent *o, struct ms_sending *s, uint32_t index,
                               struct ms_error *reterr) {
    uint64_t offset = index * o->part_bytes;

    s->request = (struct ms_obj_request){.op = MS_OBJ_MP_PUT,
                                         .key = o->row->key,
                                         .upload_id = o->upload_id,
                                         .part_no = index + 1,
                                         .part_offset = offset};
    MS_TRY(load_body(o, s, offset, reterr));
    return sending_start(o->sender, s, reterr);
}

static enum ms_code part_wait(struct sent *o, struct ms_sending *s, struct ms_error *reterr) {
    struct ms_obj_part *part = &o->part[s->request.part_no - 1];

    MS_TRY(sending_wait(o->sender, s, reterr));
    part->part_no = s->request.part_no;
    part->size = s->request.body.length;
    memcpy(part->etag, s->request.ret_etag, sizeof part->etag);
    return MS_OK;
}

/* A window over the parts. What is in flight is waited for on every path. */
static enum ms_code send_parts(struct sent *o, struct ms_error *reterr) {
    struct ms_sending window[PARTS_AT_ONCE] = {{.n = 0}};
    enum ms_code code = MS_OK;
    uint32_t begun = 0, ended = 0;

    while (ended < begun || (code == MS_OK && begun < o->parts)) {
        struct ms_sending *s = &window[begun % PARTS_AT_ONCE];

        if (code == MS_OK && begun < o->parts && begun - ended < PARTS_AT_ONCE &&
            part_memory(o, s, begun, begun > ended)) {
            code = part_start(o, s, begun, reterr);
            begun += code == MS_OK;
            if (code != MS_OK)
                give_memory(o->sender, s);
            continue;
        }
        s = &window[ended++ % PARTS_AT_ONCE];
        enum ms_code one = part_wait(o, s, code == MS_OK ? reterr : NULL);
        give_memory(o->sender, s);
        code = code != MS_OK ? code : one;
    }
    return code;
}

static enum ms_code complete(struct sent *o, struct ms_error *reterr) {
    struct ms_sending s = {.request = {.op = MS_OBJ_MP_COMPLETE,
                                       .key = o->row->key,
                                       .upload_id = o->upload_id,
                                       .parts = o->part,
                                       .parts_n = o->parts}};

    MS_TRY(run(o->sender, &s, reterr));
    memcpy(o->etag, s.request.ret_etag, sizeof o->etag);
    return MS_OK;
}

static enum ms_code send_in_parts(struct sent *o, struct ms_error *reterr) {
    o->parts = (uint32_t)((o->row->size + o->part_bytes - 1) / o->part_bytes);
    o->part = calloc(o->parts, sizeof *o->part);
    if (!o->part)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for %" PRIu32 " parts", o->parts);
    MS_TRY(create(o, reterr));
    enum ms_code code = send_parts(o, reterr);
    if (code == MS_OK)
        code = complete(o, reterr);
    if (code != MS_OK) { /* when that fails too, gc finds it */
        struct ms_sending s = {.request = {.op = MS_OBJ_MP_ABORT,
                                           .key = o->row->key,
                                           .upload_id = o->upload_id}};
        (void)!run(o->sender, &s, NULL);
    }
    return code;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* After parts, and after a try that failed with the store perhaps having done it. */
static enum ms_code check_size(struct sent *o, struct ms_error *reterr) {
    struct ms_sending s = {.request = {.op = MS_OBJ_HEAD, .key = o->row->key}};

    if (o->parts == 0 && o->row->tries == 0)
        return MS_OK;
    MS_TRY(run(o->sender, &s, reterr));
    ms_buf_fini(&s.request.ret_meta);
    if (s.request.ret_size != o->row->size)
        return ms_fail(reterr, MS_MISMATCH,
                       "%s has %" PRIu64 " bytes in the store after an upload of %" PRIu64,
                       o->row->key, s.request.ret_size, o->row->size);
    memcpy(o->etag, s.request.ret_etag, sizeof o->etag);
    return MS_OK;
}

/* Every boundary of a part is one of a block, and the last part no is allowed. */
static uint64_t part_bytes(uint64_t size, unsigned block_log2) {
    uint64_t block = UINT64_C(1) << block_log2,
             grain = MS_SENDER_PART_BYTES > block ? MS_SENDER_PART_BYTES : block;

    return (size / grain / MS_PARTS_MAX + 1) * grain;
}

static enum ms_code send(struct sent *o, struct ms_error *reterr) {
    MS_TRY(open_local(o, reterr));
    o->part_bytes = part_bytes(o->row->size, o->block_log2);
    if (o->row->size <= o->part_bytes || !o->sender->svc->obj->caps.multipart)
        MS_TRY(put(o, reterr));
    else
        MS_TRY(send_in_parts(o, reterr));
    return check_size(o, reterr);
}

/* The row was read a while ago. */
static enum ms_code find_object(struct sent *o, bool *ret_skip, struct ms_error *reterr) {
    struct ms_object_record object;
    struct ms_txn *txn;

    MS_TRY(ms_read_begin(o->sender->svc->store, &txn, reterr));
    enum ms_code code = ms_row_get_object(
        txn, ms_key_object((struct ms_object_id){o->row->object}), &object, reterr);
    ms_read_end(txn);
    *ret_skip = code == MS_NOT_FOUND || (code == MS_OK && object.local.ms != o->row->since.ms);
    if (code == MS_OK)
        o->block_log2 = object.block_log2;
    return ms_absent_is_fine(code, reterr);
}

enum ms_code ms_send_object(struct ms_sender *sender, const struct ms_local_record *row,
                            char ret_etag[MS_ETAG_MAX + 1], bool *ret_skip,
                            struct ms_error *reterr) {
    struct sent o = {.sender = sender, .row = row, .fd = -1};
    enum ms_code code = find_object(&o, ret_skip, reterr);

    if (code == MS_OK && !*ret_skip)
        code = send(&o, reterr);
    memcpy(ret_etag, o.etag, sizeof o.etag);
    sent_fini(&o);
    return code;
}

enum ms_code ms_send_delete(struct ms_sender *sender, const char *key, struct ms_error *reterr) {
    struct ms_sending s = {.request = {.op = MS_OBJ_DELETE, .key = key}};

    return run(sender, &s, reterr);
}
