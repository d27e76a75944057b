#include "content/upload.h"

#include "base/assert.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IN_FLIGHT_USUAL 4
#define IN_FLIGHT_MAX 64
#define HASH_BYTES ((size_t)1 << 20) /* read at a time; also what is sent from memory */
#define FILL_BYTES ((size_t)4 << 20) /* of the base version at a time */
#define TORN_MAX 3     /* sends of a part in a row that a writer touched, before it is frozen */
#define ROUNDS_MAX 16  /* how often a call starts again because the file got shorter */
#define RENEWALS_MAX 3 /* upload ids that the store may lose in one call */
#define SYNC_SUFFIX ".fsync"

enum kind { SYNC, FINISH, DROP };
struct call {
    enum kind kind;
    ms_upload_done_fn *done;
    void *priv;
    struct call *next;
    enum ms_code code;
    struct ms_error error;
};

/* One request and the two rules that make it safe to cancel: done is not acted upon while submit()
 * or cancel() still runs, and what follows from it happens on a thread of the engine. */
enum wire_state { AT_HOME, LEAVING, OUT, CALLED_BACK };
struct wire {
    struct ms_upload *upload;
    struct ms_obj_request request;
    struct ms_task task; /* queued: run is what comes next */
    void (*end)(struct ms_task *task);
    enum wire_state state; /* under the upload's lock, as is the next */
    bool answered;         /* while it was LEAVING or CALLED_BACK */
};

/* What the store has of a part. */
struct part {
    uint64_t length;     /* 0: nothing that may be used */
    uint64_t generation; /* of the stage when the send began */
    uint64_t listed;     /* the largest length in a list of this upload id */
    bool intact;         /* the bytes are one state of the part and the hashes are theirs */
    bool busy;
    bool fits;         /* what the running call wants */
    bool ready, ahead; /* written from end to end; was sent before any call wanted it */
    unsigned torn;
};

#define WHOLE UINT32_MAX /* instead of an index: the file in one PUT */
struct send {
    struct wire wire;
    bool used;
    uint32_t index;
    uint64_t offset, length, generation;
    bool sync;       /* WHOLE: under the key of a sync */
    bool for_call;   /* not ahead of any */
    bool alone;      /* no other send takes staging space */
    bool freeze;     /* the body cannot change under the transfer */
    int fd;          /* a frozen copy; -1 */
    uint8_t *memory; /* of a small body, or for filling */
    struct ms_hashes hashes;
    struct ms_read read;
    enum ms_code code;
    struct ms_error error;
    bool shrunk; /* the file ends before the part does */
};

enum phase { SENDING, COMPLETING, ASKING, CLEANING };
enum order { CREATE, COMPLETE, ASK, ABORT, REMOVE };

struct ms_upload {
    struct ms_obj *obj;
    struct ms_cache *cache;
    struct ms_stage *stage;
    const struct ms_source *base;
    char key[MS_OBJECT_KEY_MAX + 1], sync_key[MS_OBJECT_KEY_MAX + 1];
    unsigned block_log2;
    struct ms_obj_meta meta; /* its strings are ours */
    void (*content_type)(void *priv, struct ms_stage *stage, char ret_type[MS_UPLOAD_TYPE_MAX + 1]);
    void *content_type_priv;
    char type[MS_UPLOAD_TYPE_MAX + 1];
    unsigned sends_n;

    pthread_mutex_t mutex;
    pthread_cond_t idle;
    /* under the mutex */
    struct call *call, *queue, *concluded;
    enum phase phase;
    bool reporting; /* a done is being called and more calls wait */
    bool dropping, dropped, finished, ahead_off, typed;

    uint64_t goal_size, goal_generation; /* of the call */
    uint32_t goal_parts, goal_missing, cursor;
    bool goal_whole;   /* one PUT */
    bool again, renew; /* as soon as nothing is in flight: new goal; new upload id */
    bool tight;        /* the staging area has room to fill one part at a time only */
    unsigned rounds;

    char upload_id[MS_UPLOAD_ID_MAX + 1];
    char **old_ids; /* given up, but perhaps named by a committed list: aborted at the end */
    size_t old_ids_n;
    struct part *part;
    struct ms_obj_part *sent; /* beside part */
    uint32_t parts;
    struct part whole, whole_sync;
    char whole_etag[MS_ETAG_MAX + 1], sync_etag[MS_ETAG_MAX + 1];
    bool sync_object;
    struct ms_hashes hashes;

    struct send *send;
    unsigned in_flight;
    struct wire control;
    enum order order;
    bool control_busy, order_for_call;
    char control_id[MS_UPLOAD_ID_MAX + 1];

    struct ms_obj_part *list; /* what the last result shows */
    char etag[MS_ETAG_MAX + 1];
    struct ms_upload_result result;
};

static void advance(struct ms_upload *u);
static void leave(struct ms_upload *u);

/* ---- a request and its way ------------------------------------------------------------------ */

static void wire_ended(struct wire *w) {
    w->state = AT_HOME;
    w->task.run = w->end;
    ms_engine_post(w->upload->obj->engine, &w->task);
}

static void on_answer(struct ms_obj_request *request) {
    struct wire *w = MS_CONTAINER_OF(request, struct wire, request);
    struct ms_upload *u = w->upload;

    pthread_mutex_lock(&u->mutex);
    if (w->state == OUT)
        wire_ended(w);
    else
        w->answered = true;
    pthread_mutex_unlock(&u->mutex);
}

/* Back from submit or cancel. Needs: the lock. */
static void wire_returned(struct wire *w) {
    w->state = OUT;
    if (w->answered)
        wire_ended(w);
}

static void wire_cancel_locked(struct wire *w) {
    struct ms_upload *u = w->upload;

    if (w->state != OUT)
        return;
    w->state = CALLED_BACK;
    pthread_mutex_unlock(&u->mutex);
    ms_obj_cancel(u->obj, &w->request);
    pthread_mutex_lock(&u->mutex);
    wire_returned(w);
}

static void wire_submit(struct wire *w, bool may_cancel) {
    struct ms_upload *u = w->upload;

    w->request.done = on_answer;
    pthread_mutex_lock(&u->mutex);
    w->state = LEAVING;
    w->answered = false;
    pthread_mutex_unlock(&u->mutex);
    ms_obj_submit(u->obj, &w->request);
    pthread_mutex_lock(&u->mutex);
    wire_returned(w);
    if (u->dropping && may_cancel)
        wire_cancel_locked(w);
    pthread_mutex_unlock(&u->mutex);
}

/* ---- sending a part: on threads of the engine, the lock not held ---------------------------- */

static struct part *part_of(struct ms_upload *u, uint32_t index, bool sync) {
    if (index != WHOLE)
        return &u->part[index];
    return sync ? &u->whole_sync : &u->whole;
}

static void send_step(struct ms_task *task);
static void send_filled(struct ms_task *task);
static void send_ended(struct ms_task *task);

static void on_filled(struct ms_read *read) {
    struct send *s = read->priv;

    s->wire.task.run = send_filled;
    ms_engine_post(s->wire.upload->obj->engine, &s->wire.task);
}

static void send_failed(struct send *s, enum ms_code code) {
    s->code = code;
    send_ended(&s->wire.task);
}

/* The first byte of the part that is not here. False: all are. */
static bool first_absent(const struct send *s, struct ms_extent *ret_extent) {
    uint64_t end = s->offset + s->length;

    for (uint64_t at = s->offset; at < end; at = ret_extent->offset + ret_extent->length) {
        *ret_extent = ms_stage_extent(s->wire.upload->stage, at, end - at);
        if (ret_extent->length == 0)
            return false; /* shorter meanwhile: send_load sees it */
        if (!ret_extent->present)
            return true;
    }
    return false;
}

/* Fetch what is missing of the base version; true: a read is on its way. */
static bool send_fill(struct send *s) {
    struct ms_upload *u = s->wire.upload;
    struct ms_extent absent;

    if (!first_absent(s, &absent))
        return false;
    MS_ASSERT(u->base && u->cache);
    if (!s->memory)
        s->memory = malloc(FILL_BYTES);
    if (!s->memory) {
        send_failed(
            s, ms_fail(&s->error, MS_NO_MEMORY, "no memory to fetch a part of %s", u->base->key));
        return true;
    }
    s->read =
        (struct ms_read){.source = u->base,
                         .offset = absent.offset,
                         .length = absent.length < FILL_BYTES ? (size_t)absent.length : FILL_BYTES,
                         .into = s->memory,
                         .done = on_filled,
                         .priv = s};
    ms_read_start(u->cache, &s->read);
    return true;
}

static void send_filled(struct ms_task *task) {
    struct send *s = MS_CONTAINER_OF(task, struct send, wire.task);
    enum ms_code code = s->read.code;

    if (code)
        s->error = s->read.error;
    else
        code = ms_stage_fill(s->wire.upload->stage, s->read.offset, s->memory, s->read.length,
                             &s->error);
    if (code)
        send_failed(s, code);
    else
        send_step(task);
}

static void free_bytes(uint8_t **p) { free(*p); }

static enum ms_code hash_blocks(struct send *s, const uint8_t *p, size_t n) {
    size_t block = (size_t)1 << s->wire.upload->block_log2;

    for (size_t at = 0; at < n; at += block) {
        enum ms_code code = ms_hashes_resize(&s->hashes, s->hashes.count + 1, &s->error);

        if (code)
            return code;
        s->hashes.hash[s->hashes.count - 1] =
            ms_block_hash(p + at, n - at < block ? n - at : block);
    }
    return MS_OK;
}

/* Hash what the body will be read from. A writer may go on: whether it did is asked after the send.
 */
static enum ms_code hash_file(struct send *s, int fd) {
    size_t block = (size_t)1 << s->wire.upload->block_log2,
           piece = block > HASH_BYTES ? block : HASH_BYTES;
    MS_AUTO(free_bytes) uint8_t *p = malloc(piece);
    enum ms_code code = MS_OK;

    if (!p)
        return ms_fail(&s->error, MS_NO_MEMORY, "no memory to hash a part");
    for (uint64_t at = 0; !code && at < s->length;) {
        size_t n = s->length - at < piece ? (size_t)(s->length - at) : piece, got = 0;

        while (got < n) {
            ssize_t r = pread(fd, p + got, n - got, (off_t)(s->offset + at + got));

            if (r < 0 && errno == EINTR)
                continue;
            if (r <= 0)
                return ms_fail_errno(&s->error, r < 0 ? errno : EIO,
                                     "cannot read a staged part at %" PRIu64, s->offset + at + got);
            got += (size_t)r;
        }
        code = hash_blocks(s, p, n);
        at += n;
    }
    return code;
}

/* Small: one copy under the stage's lock cannot be torn. */
static enum ms_code load_memory(struct send *s) {
    enum ms_code code;

    if (!s->memory) /* the one for filling is larger */
        s->memory = malloc((size_t)s->length);
    if (!s->memory)
        return ms_fail(&s->error, MS_NO_MEMORY, "no memory to send %" PRIu64 " bytes", s->length);
    code = ms_stage_read(s->wire.upload->stage, s->offset, s->memory, (size_t)s->length, &s->error);
    s->freeze = true;
    s->shrunk = code == MS_CONFLICT;
    return code ? code : hash_blocks(s, s->memory, (size_t)s->length);
}

/* Decide where the body comes from and hash it. Afterwards s->generation is the state that it
 * covers at least. */
static enum ms_code send_load(struct send *s) {
    struct ms_upload *u = s->wire.upload;
    struct ms_stage_state state = ms_stage_state(u->stage, s->offset, s->length);
    struct ms_obj_body *body = &s->wire.request.body;
    enum ms_code code = MS_OK;

    s->hashes.count = 0;
    s->generation = state.generation;
    s->shrunk = state.size < s->offset + s->length;
    if (s->shrunk)
        return ms_fail(&s->error, MS_CONFLICT, "the file was cut to %" PRIu64 " bytes meanwhile",
                       state.size);
    body->length = s->length;
    if (s->length <= HASH_BYTES) {
        code = load_memory(s);
        body->memory = ms_view_of(s->memory, (size_t)s->length);
        return code;
    }
    if (s->freeze)
        code = ms_stage_freeze(u->stage, s->offset, s->length, &s->fd, &s->generation, &s->error);
    s->shrunk = code == MS_CONFLICT;
    body->fd = s->freeze ? s->fd : ms_stage_fd(u->stage);
    body->fd_offset = s->offset;
    return code ? code : hash_file(s, body->fd);
}

/* What kind of content it is, found out once, when the object is born. */
static void find_type(struct ms_upload *u) {
    char type[MS_UPLOAD_TYPE_MAX + 1] = "";
    bool known;

    pthread_mutex_lock(&u->mutex);
    known = u->typed || !u->content_type;
    pthread_mutex_unlock(&u->mutex);
    if (known)
        return;
    u->content_type(u->content_type_priv, u->stage, type);
    pthread_mutex_lock(&u->mutex);
    if (!u->typed && type[0]) {
        memcpy(u->type, type, sizeof u->type);
        u->meta.content_type = u->type;
    }
    u->typed = true;
    pthread_mutex_unlock(&u->mutex);
}

static void send_request(struct send *s) {
    struct ms_upload *u = s->wire.upload;
    struct ms_obj_request *r = &s->wire.request;

    *r = (struct ms_obj_request){.op = MS_OBJ_PUT, .key = u->key, .meta = &u->meta};
    if (s->index == WHOLE) {
        r->key = s->sync ? u->sync_key : u->key;
        find_type(u);
        return;
    }
    r->op = MS_OBJ_MP_PUT;
    r->meta = NULL;
    r->upload_id = u->upload_id; /* does not change while anything is in flight */
    r->part_no = s->index + 1;
    r->part_offset = s->offset;
}

static bool is_dropping(struct ms_upload *u) {
    bool dropping;

    pthread_mutex_lock(&u->mutex);
    dropping = u->dropping;
    pthread_mutex_unlock(&u->mutex);
    return dropping;
}

static void send_step(struct ms_task *task) {
    struct send *s = MS_CONTAINER_OF(task, struct send, wire.task);
    struct ms_upload *u = s->wire.upload;
    enum ms_code code;

    if (is_dropping(u)) {
        send_failed(s, ms_fail(&s->error, MS_CANCELLED, "the upload of %s was dropped", u->key));
        return;
    }
    if (send_fill(s))
        return;
    send_request(s);
    code = send_load(s);
    if (code) {
        send_failed(s, code);
        return;
    }
    s->wire.end = send_ended;
    wire_submit(&s->wire, true);
}

/* ---- what the store has: under the lock ----------------------------------------------------- */

static void call_fail(struct ms_upload *u, enum ms_code code, const struct ms_error *error) {
    struct call *c = u->call;

    if (c->code)
        return;
    c->code = code;
    c->error = *error;
}

static bool ensure_parts(struct ms_upload *u, uint32_t n) {
    uint32_t cap = n < 16 ? 16 : n + n / 2;
    struct part *part;
    struct ms_obj_part *sent;

    if (n <= u->parts)
        return true;
    part = realloc(u->part, cap * sizeof *part);
    u->part = part ? part : u->part;
    sent = realloc(u->sent, cap * sizeof *sent);
    u->sent = sent ? sent : u->sent;
    if (!part || !sent)
        return false;
    memset(part + u->parts, 0, (cap - u->parts) * sizeof *part);
    memset(sent + u->parts, 0, (cap - u->parts) * sizeof *sent);
    u->parts = cap;
    return true;
}

/* The range in which a change makes a part another one: its whole step, also behind the end of the
 * file. */
static struct ms_part_range range_of(const struct ms_upload *u, uint32_t index) {
    if (index == WHOLE)
        return (struct ms_part_range){0, 0, u->goal_size};
    return ms_part_no(index + 1);
}

static uint64_t length_wanted(const struct ms_upload *u, struct ms_part_range range) {
    uint64_t left = u->goal_size - range.offset;

    return left < range.length ? left : range.length;
}

/* Whether what the store has of a part is what the call wants. Once it is, it stays so for this
 * call: what a writer does after the call's generation need not be in it. */
static bool fits(struct ms_upload *u, uint32_t index) {
    const struct part *p = part_of(u, index, u->call->kind == SYNC);
    struct ms_part_range range = range_of(u, index);

    if (p->busy || p->length != length_wanted(u, range))
        return false;
    if (u->call->kind == FINISH && !p->intact)
        return false;
    return p->generation >= u->goal_generation ||
           ms_stage_touched(u->stage, range.offset, range.length) <= p->generation;
}

static enum ms_code keep_hashes(struct ms_upload *u, const struct send *s,
                                struct ms_error *reterr) {
    uint64_t first = s->offset >> u->block_log2, end = first + s->hashes.count;
    enum ms_code code = end > u->hashes.count ? ms_hashes_resize(&u->hashes, end, reterr) : MS_OK;

    if (!code)
        memcpy(u->hashes.hash + first, s->hashes.hash, s->hashes.count * sizeof *s->hashes.hash);
    return code;
}

/* The store has the part. */
static void accept(struct send *s, struct part *p, bool touched) {
    struct ms_upload *u = s->wire.upload;
    const char *etag = s->wire.request.ret_etag;
    struct ms_error error;

    p->length = s->length;
    p->generation = s->generation;
    p->intact = !touched;
    p->torn = touched ? p->torn + 1 : 0;
    if (s->index != WHOLE) {
        u->sent[s->index] = (struct ms_obj_part){.part_no = s->index + 1, .size = s->length};
        memcpy(u->sent[s->index].etag, etag, sizeof u->sent[s->index].etag);
    } else if (p == &u->whole_sync) {
        u->sync_object = true;
        memcpy(u->sync_etag, etag, sizeof u->sync_etag);
        return; /* finish sends it all again */
    } else {
        memcpy(u->whole_etag, etag, sizeof u->whole_etag);
    }
    if (!touched && keep_hashes(u, s, &error) != MS_OK) {
        p->intact = false;
        if (u->call)
            call_fail(u, MS_NO_MEMORY, &error);
    }
}

/* The store does not know the upload id any more: its reply to a completion was lost, or somebody
 * aborted it. */
static void lost_id(struct ms_upload *u) {
    struct ms_error error;

    if (u->call && u->rounds > RENEWALS_MAX)
        call_fail(u,
                  ms_fail(&error, MS_UNAVAILABLE, "the store lost the upload of %s %u times",
                          u->key, u->rounds),
                  &error);
    else
        u->renew = true;
}

/* It has not, or not surely: a part that was there may be replaced, too. */
static void reject(struct send *s, struct part *p, bool touched) {
    struct ms_upload *u = s->wire.upload;

    p->length = 0;
    p->intact = false;
    if (s->shrunk)
        u->again = true;
    else if (s->code == MS_NO_SPACE && u->call && !s->alone)
        u->tight = true; /* what the others have filled comes free: once more, one by one */
    else if (touched && s->code != MS_CANCELLED)
        p->torn++; /* the body changed under the transfer: it could not succeed */
    else if (s->code == MS_NOT_FOUND && s->index != WHOLE)
        lost_id(u);
    else if (s->for_call)
        call_fail(u, s->code, &s->error);
    else
        u->ahead_off = true; /* nobody's error: the next call sends it again */
}

static void send_settle(struct send *s) {
    struct ms_upload *u = s->wire.upload;
    struct part *p = part_of(u, s->index, s->sync);
    uint64_t length = s->index == WHOLE ? s->length : ms_part_no(s->index + 1).length;
    bool touched = !s->freeze && ms_stage_touched(u->stage, s->offset, length) > s->generation;

    MS_ASSERT(s->used && p->busy && u->in_flight > 0);
    s->used = false;
    p->busy = false;
    u->in_flight--;
    pthread_cond_broadcast(&u->idle);
    if (s->code)
        reject(s, p, touched);
    else
        accept(s, p, touched);
    if (!u->call || u->call->kind == DROP || u->goal_whole != (s->index == WHOLE))
        return;
    if (s->index != WHOLE && s->index >= u->goal_parts)
        return;
    p->fits = fits(u, s->index);
    if (p->fits)
        u->goal_missing--;
    else if (s->index < u->cursor)
        u->cursor = s->index;
}

static bool is_idle(const struct ms_upload *u) { return u->in_flight == 0 && !u->control_busy; }

static struct send *free_send(struct ms_upload *u) {
    for (unsigned i = 0; i < u->sends_n; i++)
        if (!u->send[i].used)
            return &u->send[i];
    return NULL;
}

static void start_send(struct ms_upload *u, struct send *s, uint32_t index, bool sync,
                       uint64_t length) {
    struct part *p = part_of(u, index, sync);

    MS_ASSERT(!p->busy && length > 0);
    MS_ASSERT(length >= p->listed);
    s->used = true;
    s->index = index;
    s->sync = sync;
    s->offset = index == WHOLE ? 0 : ms_part_no(index + 1).offset;
    s->length = length;
    s->freeze = p->torn >= TORN_MAX;
    s->alone = u->tight && u->in_flight == 0;
    s->for_call = u->call != NULL;
    s->shrunk = false;
    s->code = MS_OK;
    p->busy = true;
    u->in_flight++;
    s->wire.task.run = send_step;
    ms_engine_post(u->obj->engine, &s->wire.task);
}

/* The store answered, or it did not come to that. */
static void send_ended(struct ms_task *task) {
    struct send *s = MS_CONTAINER_OF(task, struct send, wire.task);
    struct ms_upload *u = s->wire.upload;

    if (!s->code) {
        s->code = s->wire.request.code;
        s->error = s->wire.request.error;
    }
    if (u->base) /* can be had again; the limit is for what cannot */
        ms_stage_unfill(u->stage, s->offset, s->length);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    free(MS_TAKE(s->memory));
    pthread_mutex_lock(&u->mutex);
    send_settle(s);
    advance(u);
    leave(u);
}

/* ---- requests about the upload as a whole --------------------------------------------------- */

static void control_ended(struct ms_task *task);

static void control_request(struct ms_upload *u) {
    struct ms_obj_request *r = &u->control.request;

    *r = (struct ms_obj_request){.key = u->key};
    switch (u->order) {
    case CREATE:
        find_type(u);
        r->op = MS_OBJ_MP_CREATE;
        r->meta = &u->meta;
        break;
    case COMPLETE:
        r->op = MS_OBJ_MP_COMPLETE;
        r->upload_id = u->upload_id;
        r->parts = u->list;
        r->parts_n = u->goal_parts;
        break;
    case ASK:
        r->op = MS_OBJ_HEAD;
        break;
    case ABORT:
        r->op = MS_OBJ_MP_ABORT;
        r->upload_id = u->control_id;
        break;
    case REMOVE:
        r->op = MS_OBJ_DELETE;
        r->key = u->sync_key;
        break;
    }
}

static void control_run(struct ms_task *task) {
    struct ms_upload *u = MS_CONTAINER_OF(task, struct ms_upload, control.task);

    control_request(u);
    u->control.end = control_ended;
    wire_submit(&u->control, false); /* short, and whether it took effect must be known */
}

static void give_order(struct ms_upload *u, enum order order) {
    MS_ASSERT(!u->control_busy);
    u->control_busy = true;
    u->order = order;
    u->order_for_call = u->call != NULL;
    u->control.task.run = control_run;
    ms_engine_post(u->obj->engine, &u->control.task);
}

static void created(struct ms_upload *u, enum ms_code code, struct ms_error *error) {
    const char *id = u->control.request.ret_upload_id;

    if (!code && !id[0])
        code = ms_fail(error, MS_PROTOCOL, "the store gave no upload id for %s", u->key);
    if (!code)
        memcpy(u->upload_id, id, sizeof u->upload_id);
    else if (u->order_for_call)
        call_fail(u, code, error);
    else
        u->ahead_off = true;
}

static void have_etag(struct ms_upload *u, const char *etag) {
    snprintf(u->etag, sizeof u->etag, "%s", etag);
    u->phase = CLEANING;
    if (u->etag[0])
        return;
    u->phase = ASKING; /* RGW completes without naming it */
    give_order(u, ASK);
}

static void completed(struct ms_upload *u, enum ms_code code, const struct ms_error *error) {
    if (!code) {
        have_etag(u, u->control.request.ret_etag);
        return;
    }
    u->phase = SENDING;
    if (code == MS_NOT_FOUND) {
        lost_id(u);
    } else if (code == MS_CONFLICT) { /* a late duplicate of an older send replaced some part */
        for (uint32_t i = 0; i < u->parts; i++)
            u->part[i].length = 0;
        u->again = true;
    } else {
        call_fail(u, code, error);
    }
}

static void asked(struct ms_upload *u, enum ms_code code, const struct ms_error *error) {
    u->phase = code ? SENDING : CLEANING;
    if (code)
        call_fail(u, code, error);
    else
        snprintf(u->etag, sizeof u->etag, "%s", u->control.request.ret_etag);
    ms_buf_fini(&u->control.request.ret_meta);
}

static void control_ended(struct ms_task *task) {
    struct ms_upload *u = MS_CONTAINER_OF(task, struct ms_upload, control.task);
    struct ms_obj_request *r = &u->control.request;

    pthread_mutex_lock(&u->mutex);
    u->control_busy = false;
    pthread_cond_broadcast(&u->idle);
    if (u->order == CREATE)
        created(u, r->code, &r->error);
    else if (u->order == COMPLETE)
        completed(u, r->code, &r->error);
    else if (u->order == ASK)
        asked(u, r->code, &r->error);
    advance(u); /* what is left of ABORT and REMOVE, gc finds */
    leave(u);
}

/* ---- calls ---------------------------------------------------------------------------------- */

/* What the finished object does not need any more, one request after the other. False: nothing is
 * left. */
static bool clean_next(struct ms_upload *u, bool and_current) {
    if (u->old_ids_n > 0) {
        char *id = u->old_ids[--u->old_ids_n];

        snprintf(u->control_id, sizeof u->control_id, "%s", id);
        free(id);
        give_order(u, ABORT);
    } else if (and_current && u->upload_id[0]) {
        memcpy(u->control_id, u->upload_id, sizeof u->control_id);
        u->upload_id[0] = '\0';
        give_order(u, ABORT);
    } else if (u->sync_object) {
        u->sync_object = false;
        give_order(u, REMOVE);
    } else {
        return false;
    }
    return true;
}

static void result_make(struct ms_upload *u) {
    bool multi = !u->goal_whole && u->goal_parts > 0;

    u->result = (struct ms_upload_result){.size = u->goal_size,
                                          .generation = u->goal_generation,
                                          .upload_id = multi ? u->upload_id : "",
                                          .parts = multi ? u->list : NULL,
                                          .parts_n = multi ? u->goal_parts : 0,
                                          .etag = u->etag};
    if (u->call->kind != FINISH)
        return;
    u->result.hashes = &u->hashes;
    ms_hashes_root(&u->hashes, u->goal_size, u->result.root);
}

static void send_ahead(struct ms_upload *u);

/* The call is over; leave() tells. */
static void conclude(struct ms_upload *u) {
    MS_ASSERT(!u->concluded);
    u->concluded = MS_TAKE(u->call);
    if (!u->queue)
        send_ahead(u);
}

static void conclude_with(struct ms_upload *u, enum ms_code code, const char *what) {
    struct ms_error error = {0};

    if (code) {
        ms_fail(&error, code, "the upload of %s %s", u->key, what);
        call_fail(u, code, &error);
    }
    conclude(u);
}

/* The parts as they are, for the store and for the caller. */
static enum ms_code list_make(struct ms_upload *u, struct ms_error *reterr) {
    struct ms_obj_part *list = realloc(u->list, (u->goal_parts + 1) * sizeof *list);

    if (!list)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a list of %" PRIu32 " parts",
                       u->goal_parts);
    memcpy(list, u->sent, u->goal_parts * sizeof *list);
    u->list = list;
    return MS_OK;
}

static void synced(struct ms_upload *u) {
    u->etag[0] = '\0';
    for (uint32_t i = 0; i < u->goal_parts && !u->goal_whole; i++)
        if (u->part[i].length > u->part[i].listed)
            u->part[i].listed = u->part[i].length;
    if (u->goal_whole)
        memcpy(u->etag, u->sync_etag, sizeof u->etag);
    result_make(u);
    conclude(u);
}

/* Everything that the call wants is in the store. */
static void sent_all(struct ms_upload *u) {
    struct ms_error error;

    if (!u->goal_whole && u->goal_parts > 0 && list_make(u, &error) != MS_OK) {
        call_fail(u, MS_NO_MEMORY, &error);
        conclude(u);
    } else if (u->call->kind == SYNC) {
        synced(u);
    } else if (u->goal_parts == 0) { /* size 0 has no object */
        u->etag[0] = '\0';
        u->phase = CLEANING;
        advance(u);
    } else if (u->goal_whole) {
        have_etag(u, u->whole_etag);
        advance(u);
    } else {
        u->phase = COMPLETING;
        give_order(u, COMPLETE);
    }
}

static bool is_creating(const struct ms_upload *u) { return u->control_busy && u->order == CREATE; }

static void goal_of_parts(struct ms_upload *u) {
    for (uint32_t i = 0; i < u->goal_parts; i++) {
        struct part *p = &u->part[i];

        /* it would cut a listed part while the list is all that a crash leaves: another upload
         * takes over */
        if (p->listed > length_wanted(u, ms_part_no(i + 1)))
            u->renew = true;
        p->fits = fits(u, i);
        u->goal_missing += !p->fits;
    }
}

/* What the call is about: the file as it is now. */
static void set_goal(struct ms_upload *u) {
    struct ms_stage_state now = ms_stage_state(u->stage, 0, 0);
    const struct ms_obj_caps *caps = &u->obj->caps;
    struct ms_error error;

    u->goal_size = now.size;
    u->goal_generation = now.generation;
    u->goal_parts = ms_part_count(now.size);
    u->goal_missing = u->cursor = 0;
    u->goal_whole = !caps->multipart || (u->call->kind == FINISH && u->goal_parts <= 1 &&
                                         !u->upload_id[0] && !is_creating(u));
    if (++u->rounds > ROUNDS_MAX)
        call_fail(u, ms_fail(&error, MS_CONFLICT, "%s kept changing while it was uploaded", u->key),
                  &error);
    if (u->goal_parts == 0)
        return;
    if (!u->goal_whole && !ensure_parts(u, u->goal_parts)) {
        call_fail(u, ms_fail(&error, MS_NO_MEMORY, "no memory for the parts of %s", u->key),
                  &error);
    } else if (!u->goal_whole) {
        goal_of_parts(u);
    } else if (now.size > caps->put_bytes_max) {
        call_fail(u,
                  ms_fail(&error, MS_TOO_LARGE,
                          "%s has %" PRIu64 " bytes; this store takes at most %" PRIu64
                          " at once and has no multipart uploads",
                          u->key, now.size, caps->put_bytes_max),
                  &error);
    } else {
        u->goal_missing = !fits(u, WHOLE);
    }
}

/* Leave an upload id that must not be used any more and start anew: every byte is still staged. */
static void give_up_id(struct ms_upload *u) {
    char **ids = realloc(u->old_ids, (u->old_ids_n + 1) * sizeof *ids);
    char *id = u->upload_id[0] ? strdup(u->upload_id) : NULL;

    u->old_ids = ids ? ids : u->old_ids;
    if (ids && id)
        u->old_ids[u->old_ids_n++] = MS_TAKE(id);
    free(id); /* no memory: gc will find it */
    u->upload_id[0] = '\0';
    for (uint32_t i = 0; i < u->parts; i++)
        u->part[i] = (struct part){0};
}

static void start_sends(struct ms_upload *u) {
    bool sync = u->call->kind == SYNC;
    struct send *s = free_send(u);

    if (u->goal_whole) {
        struct part *p = part_of(u, WHOLE, sync);

        if (s && !p->busy && u->goal_missing > 0)
            start_send(u, s, WHOLE, sync, u->goal_size);
        return;
    }
    while (s && u->cursor < u->goal_parts && !(u->tight && u->in_flight > 0)) {
        const struct part *p = &u->part[u->cursor];

        if (!p->fits && !p->busy) {
            start_send(u, s, u->cursor, sync, length_wanted(u, ms_part_no(u->cursor + 1)));
            s = free_send(u);
        }
        u->cursor++;
    }
}

/* True: something was changed, look again. */
static bool start_over(struct ms_upload *u) {
    if (!u->renew && !u->again)
        return false;
    if (!is_idle(u))
        return true;
    if (u->renew)
        give_up_id(u);
    u->renew = u->again = false;
    set_goal(u);
    return false;
}

static void step_sending(struct ms_upload *u) {
    if (u->dropping && !u->call->code) {
        struct ms_error error;

        call_fail(u, ms_fail(&error, MS_CANCELLED, "the upload of %s was dropped", u->key), &error);
    }
    if (!u->call->code && start_over(u))
        return;
    if (u->call->code) {
        if (is_idle(u))
            conclude(u);
        return;
    }
    if (u->renew) { /* the new goal wants another upload id */
        step_sending(u);
        return;
    }
    if (u->goal_parts > 0 && !u->goal_whole && !u->upload_id[0]) {
        if (!u->control_busy)
            give_order(u, CREATE);
        return;
    }
    if (u->goal_parts > 0)
        start_sends(u);
    if (u->goal_missing == 0 && is_idle(u))
        sent_all(u);
}

static void finished(struct ms_upload *u) {
    struct ms_error error;
    enum ms_code code =
        ms_hashes_resize(&u->hashes, ms_block_count(u->goal_size, u->block_log2), &error);

    if (code) {
        call_fail(u, code, &error);
    } else {
        u->finished = true;
        result_make(u);
    }
    conclude(u);
}

static void begin(struct ms_upload *u) {
    struct call *c = u->queue;

    u->queue = c->next;
    u->call = c;
    if (c->kind == DROP)
        return;
    if (u->dropping) {
        conclude_with(u, MS_CANCELLED, "was dropped");
    } else if (u->finished) { /* two closes at once may both ask for it */
        bool same = ms_stage_generation(u->stage) == u->result.generation;

        conclude_with(u, same ? MS_OK : MS_CONFLICT,
                      "is finished; what was written since needs another one");
    } else {
        u->phase = SENDING;
        u->rounds = 0;
        u->ahead_off = u->again = u->tight = false;
        for (uint32_t i = 0; i < u->parts; i++)
            u->part[i].torn = 0;
        set_goal(u);
    }
}

/* Go on as far as nothing must be waited for. */
static void advance(struct ms_upload *u) {
    if (u->reporting || u->concluded)
        return;
    if (!u->call && u->queue)
        begin(u);
    if (u->concluded)
        return;
    if (!u->call) {
        send_ahead(u);
    } else if (u->call->kind == DROP) {
        if (is_idle(u) && !clean_next(u, !u->finished)) {
            u->dropped = true;
            conclude(u);
        }
    } else if (u->phase == SENDING) {
        step_sending(u);
    } else if (u->phase == CLEANING) {
        if (!u->control_busy && !clean_next(u, u->goal_parts == 0))
            finished(u);
    }
}

/* Give up the lock and tell what was concluded. A caller may free the upload in its last done, so
 * nothing is touched after that one. */
static void leave(struct ms_upload *u) {
    struct call *c;

    while ((c = MS_TAKE(u->concluded)) != NULL) {
        bool more = u->queue != NULL;
        const struct ms_upload_result *result = c->code || c->kind == DROP ? NULL : &u->result;

        u->reporting = more; /* the result stays until then */
        pthread_mutex_unlock(&u->mutex);
        c->done(c->priv, c->code, c->code ? &c->error : NULL, result);
        free(c);
        if (!more)
            return;
        pthread_mutex_lock(&u->mutex);
        u->reporting = false;
        advance(u);
    }
    pthread_mutex_unlock(&u->mutex);
}

/* ---- ahead of any call ---------------------------------------------------------------------- */

static void send_ahead(struct ms_upload *u) {
    struct send *s = free_send(u);

    if (u->finished || u->dropping || u->ahead_off || u->renew)
        return;
    for (uint32_t i = 1; s && i < u->parts; i++) {
        struct part *p = &u->part[i];

        p->ready = p->ready && p->length == 0; /* a call may have sent it */
        if (!p->ready || p->busy)
            continue;
        if (!u->upload_id[0]) {
            if (!u->control_busy)
                give_order(u, CREATE);
            return;
        }
        p->ready = false;
        p->ahead = true;
        start_send(u, s, i, false, ms_part_no(i + 1).length);
        s = free_send(u);
    }
}

/* Whether a part may go before anybody asks: not part 1, written from end to end, never sent. */
static bool becomes_ready(struct ms_upload *u, struct ms_part_range range) {
    uint32_t i = range.part_no - 1;
    struct part *p;

    if (i == 0 || (i < u->parts && (u->part[i].ready || u->part[i].ahead || u->part[i].busy ||
                                    u->part[i].length > 0)))
        return false;
    if (!ms_stage_written_in(u->stage, range.offset, range.length) || !ensure_parts(u, i + 1))
        return false;
    p = &u->part[i];
    p->ready = true;
    return true;
}

void ms_upload_written(struct ms_upload *u, uint64_t offset, uint64_t length) {
    uint64_t end = offset + length;
    bool news = false;

    if (!u->obj->caps.multipart || end <= MS_PART_GRAIN)
        return;
    pthread_mutex_lock(&u->mutex);
    while (offset < end && !u->finished && !u->dropping) {
        struct ms_part_range range = ms_part_at(offset);

        news = becomes_ready(u, range) || news;
        offset = range.offset + range.length;
    }
    if (news)
        advance(u);
    leave(u);
}

static void enqueue(struct ms_upload *u, enum kind kind, ms_upload_done_fn *done, void *priv) {
    struct call *c = calloc(1, sizeof *c), **at = &u->queue;
    struct ms_error error;

    if (!c) {
        done(priv, ms_fail(&error, MS_NO_MEMORY, "no memory for a call"), &error, NULL);
        return;
    }
    *c = (struct call){.kind = kind, .done = done, .priv = priv};
    pthread_mutex_lock(&u->mutex);
    while (*at)
        at = &(*at)->next;
    *at = c;
    if (kind == DROP && !u->finished) {
        u->dropping = true;
        for (unsigned i = 0; i < u->sends_n; i++)
            if (u->send[i].used)
                wire_cancel_locked(&u->send[i].wire);
    }
    advance(u);
    leave(u);
}

void ms_upload_sync(struct ms_upload *u, ms_upload_done_fn *done, void *priv) {
    enqueue(u, SYNC, done, priv);
}
void ms_upload_finish(struct ms_upload *u, ms_upload_done_fn *done, void *priv) {
    enqueue(u, FINISH, done, priv);
}
void ms_upload_drop(struct ms_upload *u, ms_upload_done_fn *done, void *priv) {
    enqueue(u, DROP, done, priv);
}

/* ---- life ----------------------------------------------------------------------------------- */

static enum ms_code copy_meta(struct ms_upload *u, const struct ms_obj_meta *from) {
    MS_ASSERT(from->pairs <= MS_OBJ_META_MAX);
    snprintf(u->type, sizeof u->type, "%s", from->content_type ? from->content_type : "");
    u->meta.content_type = u->type[0] ? u->type : NULL;
    for (size_t i = 0; i < from->pairs; i++) {
        u->meta.pair[i].key = strdup(from->pair[i].key);
        u->meta.pair[i].value = strdup(from->pair[i].value);
        u->meta.pairs = i + 1;
        if (!u->meta.pair[i].key || !u->meta.pair[i].value)
            return MS_NO_MEMORY;
    }
    return MS_OK;
}

static enum ms_code check_options(const struct ms_upload_options *o, struct ms_error *reterr) {
    MS_ASSERT(o->obj && o->stage && o->key);
    MS_ASSERT(!o->base || o->cache);
    if (o->block_log2 < MS_BLOCK_LOG2_MIN || UINT64_C(1) << o->block_log2 > MS_PART_GRAIN)
        return ms_fail(reterr, MS_INVALID,
                       "blocks of 2^%u bytes do not divide the parts of an upload", o->block_log2);
    if (strlen(o->key) + strlen(SYNC_SUFFIX) > MS_OBJECT_KEY_MAX)
        return ms_fail(reterr, MS_INVALID, "the object key %s is longer than %zu bytes", o->key,
                       MS_OBJECT_KEY_MAX - strlen(SYNC_SUFFIX));
    return MS_OK;
}

static void upload_release(struct ms_upload *u) {
    for (size_t i = 0; i < u->meta.pairs; i++) {
        free((char *)u->meta.pair[i].key);
        free((char *)u->meta.pair[i].value);
    }
    for (unsigned i = 0; u->send && i < u->sends_n; i++)
        ms_hashes_fini(&u->send[i].hashes);
    for (size_t i = 0; i < u->old_ids_n; i++)
        free(u->old_ids[i]);
    free(u->old_ids);
    free(u->part);
    free(u->sent);
    free(u->list);
    free(u->send);
    ms_hashes_fini(&u->hashes);
    free(u);
}

static void upload_discard(struct ms_upload **u) {
    if (*u)
        upload_release(*u);
}

void ms_upload_free(struct ms_upload *u) {
    if (!u)
        return;
    pthread_mutex_lock(&u->mutex);
    MS_ASSERT(!u->call && !u->queue && !u->concluded);
    u->ahead_off = true;
    while (!is_idle(u)) /* not after a finish or a drop */
        pthread_cond_wait(&u->idle, &u->mutex);
    pthread_mutex_unlock(&u->mutex);
    pthread_cond_destroy(&u->idle);
    pthread_mutex_destroy(&u->mutex);
    upload_release(u);
}

enum ms_code ms_upload_new(const struct ms_upload_options *o, struct ms_upload **ret_upload,
                           struct ms_error *reterr) {
    enum ms_code code = check_options(o, reterr);
    MS_AUTO(upload_discard) struct ms_upload *u = code ? NULL : calloc(1, sizeof *u);

    if (code)
        return code;
    if (u) {
        u->sends_n = o->parts_in_flight_max ? o->parts_in_flight_max : IN_FLIGHT_USUAL;
        u->sends_n = u->sends_n > IN_FLIGHT_MAX ? IN_FLIGHT_MAX : u->sends_n;
        u->send = calloc(u->sends_n, sizeof *u->send);
    }
    if (!u || !u->send || copy_meta(u, &o->meta) != MS_OK)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an upload");
    u->obj = o->obj;
    u->cache = o->cache;
    u->stage = o->stage;
    u->base = o->base;
    u->block_log2 = o->block_log2;
    u->content_type = o->content_type;
    u->content_type_priv = o->content_type_priv;
    snprintf(u->key, sizeof u->key, "%s", o->key);
    snprintf(u->sync_key, sizeof u->sync_key, "%s%s", o->key, SYNC_SUFFIX); /* there is room */
    u->control.upload = u;
    for (unsigned i = 0; i < u->sends_n; i++) {
        u->send[i].wire.upload = u;
        u->send[i].fd = -1;
    }
    pthread_mutex_init(&u->mutex, NULL);
    pthread_cond_init(&u->idle, NULL);
    *ret_upload = MS_TAKE(u);
    return MS_OK;
}
