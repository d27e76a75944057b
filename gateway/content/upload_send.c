#include "content/upload_impl.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HASH_BYTES ((size_t)1 << 20) /* read at a time; also what is sent from memory */
#define FILL_BYTES ((size_t)4 << 20) /* of the base version at a time */
#define KEPT_BACK                                                                                  \
    3 /* grains of a share that are not on their way: the first, and where the writer is */
#define IN_FLIGHT_LEAST 4
#define QUIET_LOOKS 16
#define TORN_MAX 3 /* sends of a part in a row that a writer touched, before it is frozen */

/* ---- a request and its way ------------------------------------------------------------------- */

static void wire_ended(struct ms_upload_wire *w) {
    w->state = AT_HOME;
    w->task.run = w->end;
    ms_engine_follow(w->upload->obj->engine, &w->task);
}

static void on_answer(struct ms_obj_request *request) {
    struct ms_upload_wire *w = MS_CONTAINER_OF(request, struct ms_upload_wire, request);
    struct ms_upload *u = w->upload;

    pthread_mutex_lock(&u->mutex);
    if (w->state == OUT)
        wire_ended(w);
    else
        w->answered = true;
    pthread_mutex_unlock(&u->mutex);
}

/* Back from submit or cancel. Needs: the lock. */
static void wire_returned(struct ms_upload_wire *w) {
    w->state = OUT;
    if (w->answered)
        wire_ended(w);
}

void ms_upload_wire_cancel(struct ms_upload_wire *w) {
    struct ms_upload *u = w->upload;

    if (w->state != OUT)
        return;
    w->state = CALLED_BACK;
    pthread_mutex_unlock(&u->mutex);
    ms_obj_cancel(u->obj, &w->request);
    pthread_mutex_lock(&u->mutex);
    wire_returned(w);
}

void ms_upload_wire_submit(struct ms_upload_wire *w, bool may_cancel) {
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
        ms_upload_wire_cancel(w);
    pthread_mutex_unlock(&u->mutex);
}

/* ---- sending a part: on threads of the engine, the lock not held ----------------------------- */

struct ms_upload_part *ms_upload_part_of(struct ms_upload *u, uint32_t index, bool sync) {
    if (index != WHOLE)
        return &u->part[index];
    return sync ? &u->whole_sync : &u->whole;
}

static void send_step(struct ms_task *task);
static void send_filled(struct ms_task *task);
static void send_ended(struct ms_task *task);

static void on_filled(struct ms_read *read) {
    struct ms_upload_send *s = read->priv;

    s->wire.task.run = send_filled;
    ms_engine_post(s->wire.upload->obj->engine, &s->wire.task);
}

static void send_failed(struct ms_upload_send *s, enum ms_code code) {
    s->code = code;
    send_ended(&s->wire.task);
}

/* The first byte of the part that is not here. False: all are. */
static bool first_absent(const struct ms_upload_send *s, struct ms_extent *ret_extent) {
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
static bool send_fill(struct ms_upload_send *s) {
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
    struct ms_upload_send *s = MS_CONTAINER_OF(task, struct ms_upload_send, wire.task);
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

static enum ms_code hash_blocks(struct ms_upload_send *s, const uint8_t *p, size_t n) {
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

/* Hash what the body will be read from. A writer may go on: if it did, the answer tells. */
static enum ms_code hash_file(struct ms_upload_send *s, int fd) {
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
static enum ms_code load_memory(struct ms_upload_send *s) {
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
static enum ms_code send_load(struct ms_upload_send *s) {
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
    code = ms_stage_view(u->stage, s->offset, s->length, &s->view, &s->error);
    if (code == MS_UNSUPPORTED)
        code = ms_stage_load(u->stage, s->offset, s->length, &s->view, &s->error);
    s->shrunk = code == MS_CONFLICT;
    if (code == MS_OK) {
        s->freeze = true;
        s->generation = s->view.generation;
        body->memory = ms_view_of(s->view.bytes, (size_t)s->length);
        return hash_blocks(s, s->view.bytes, (size_t)s->length);
    }
    if (code != MS_UNSUPPORTED)
        return code;
    if (s->length <= HASH_BYTES) {
        code = load_memory(s);
        body->memory = ms_view_of(s->memory, (size_t)s->length);
        return code;
    }
    if (s->freeze) {
        code = ms_stage_freeze(u->stage, s->offset, s->length, &s->fd, &s->generation, &s->error);
        body->fd = s->fd;
    } else {
        code = ms_stage_file(u->stage, s->offset, s->length, &body->fd, &s->error);
    }
    s->shrunk = code == MS_CONFLICT;
    body->fd_offset = s->offset;
    return code ? code : hash_file(s, body->fd);
}

/* What kind of content it is, found out once, when the object is born. */
void ms_upload_find_type(struct ms_upload *u) {
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

static void send_request(struct ms_upload_send *s) {
    struct ms_upload *u = s->wire.upload;
    struct ms_obj_request *r = &s->wire.request;

    *r = (struct ms_obj_request){.op = MS_OBJ_PUT, .key = u->key, .meta = &u->meta};
    if (s->index == WHOLE) {
        r->key = s->sync ? u->sync_key : u->key;
        ms_upload_find_type(u);
        return;
    }
    r->op = MS_OBJ_MP_PUT;
    r->meta = NULL;
    r->upload_id = u->upload_id; /* does not change while anything is in flight */
    r->part_no = s->index + 1;
    r->part_offset = s->offset;
}

static bool is_dropping(struct ms_upload *u, bool *ret_copy_off) {
    bool dropping;

    pthread_mutex_lock(&u->mutex);
    dropping = u->dropping;
    *ret_copy_off = u->copy_off;
    pthread_mutex_unlock(&u->mutex);
    return dropping;
}

/* ---- a part that nobody wrote into: the store copies it from the base ------------------------ */

/* Whether the base's hashes of a range are those of the part. The last block of a file that was
 * cut is another one. */
static bool hashes_fit(const struct ms_upload *u, uint64_t end) {
    uint64_t blocks = ms_block_count(end, u->block_log2);

    return u->base->block_log2 == u->block_log2 && u->base->hashes.count >= blocks &&
           (end == u->base->size || end % (UINT64_C(1) << u->block_log2) == 0);
}

/* The state is noted before anybody looks whether something was written: if it is meanwhile, the
 * answer tells. */
static bool is_untouched(struct ms_upload_send *s) {
    const struct ms_upload *u = s->wire.upload;
    struct ms_stage_state state = ms_stage_state(u->stage, s->offset, s->length);
    uint64_t end = s->offset + s->length;

    s->generation = state.generation;
    return s->index != WHOLE && u->base && u->obj->caps.part_copy &&
           u->base->size > u->obj->caps.part_bytes_min && end <= state.size &&
           end <= u->base->size && !ms_stage_dirty_in(u->stage, s->offset, s->length) &&
           hashes_fit(u, end);
}

static enum ms_code inherit_hashes(struct ms_upload_send *s) {
    const struct ms_upload *u = s->wire.upload;
    uint64_t first = s->offset >> u->block_log2,
             n = ms_block_count(s->length, u->block_log2); /* parts begin with a block */
    enum ms_code code = ms_hashes_resize(&s->hashes, n, &s->error);

    if (!code)
        memcpy(s->hashes.hash, u->base->hashes.hash + first, n * sizeof *s->hashes.hash);
    return code;
}

static void send_copy(struct ms_upload_send *s) {
    const struct ms_upload *u = s->wire.upload;
    struct ms_obj_request *r = &s->wire.request;
    enum ms_code code = inherit_hashes(s);

    if (code) {
        send_failed(s, code);
        return;
    }
    s->copy = true;
    *r = (struct ms_obj_request){.op = MS_OBJ_MP_COPY,
                                 .key = u->key,
                                 .upload_id = u->upload_id,
                                 .part_no = s->index + 1,
                                 .part_offset = s->offset,
                                 .source_key = u->base->key,
                                 .offset = s->offset,
                                 .length = s->length};
    s->wire.end = send_ended;
    ms_upload_wire_submit(&s->wire, true);
}

/* Whether the same bytes, sent by us, may succeed where the copy did not. Whether it was the base
 * or the upload that was not found, the bytes will tell. */
static bool only_copies_fail(enum ms_code code) {
    return code != MS_CANCELLED && code != MS_UNAVAILABLE && code != MS_TIMEOUT &&
           code != MS_NO_MEMORY && code != MS_NO_SPACE;
}

static void send_step(struct ms_task *task) {
    struct ms_upload_send *s = MS_CONTAINER_OF(task, struct ms_upload_send, wire.task);
    struct ms_upload *u = s->wire.upload;
    enum ms_code code;
    bool copy_off;

    if (is_dropping(u, &copy_off)) {
        send_failed(s, ms_fail(&s->error, MS_CANCELLED, "the upload of %s was dropped", u->key));
        return;
    }
    if (!copy_off && is_untouched(s)) {
        send_copy(s);
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
    ms_upload_wire_submit(&s->wire, true);
}

/* ---- what the store has: under the lock ------------------------------------------------------ */

/* The range in which a change makes a part another one: its whole step, also behind the end of the
 * file. */
static struct ms_part_range range_of(const struct ms_upload *u, uint32_t index) {
    if (index == WHOLE)
        return (struct ms_part_range){0, 0, u->goal_size};
    return ms_part_no(index + 1);
}

uint64_t ms_upload_length_wanted(const struct ms_upload *u, struct ms_part_range range) {
    uint64_t left = u->goal_size - range.offset;

    return left < range.length ? left : range.length;
}

bool ms_upload_fits(struct ms_upload *u, uint32_t index) {
    const struct ms_upload_part *p = ms_upload_part_of(u, index, u->call->kind == CALL_SYNC);
    struct ms_part_range range = range_of(u, index);

    if (p->busy || p->length != ms_upload_length_wanted(u, range))
        return false;
    if (u->call->kind == CALL_FINISH && !p->intact)
        return false;
    return p->generation >= u->goal_generation ||
           ms_stage_touched(u->stage, range.offset, range.length) <= p->generation;
}

static enum ms_code keep_hashes(struct ms_upload *u, const struct ms_upload_send *s,
                                struct ms_error *reterr) {
    uint64_t first = s->offset >> u->block_log2, end = first + s->hashes.count;
    enum ms_code code = end > u->hashes.count ? ms_hashes_resize(&u->hashes, end, reterr) : MS_OK;

    if (!code)
        memcpy(u->hashes.hash + first, s->hashes.hash, s->hashes.count * sizeof *s->hashes.hash);
    return code;
}

/* Two more at a time, as far as the memory of the file's share goes. */
static bool try_more(struct ms_upload *u) {
    unsigned share = ms_stage_share(u->stage);

    if (u->in_flight_max + 2 > u->sends_n || u->in_flight_max + 2 + KEPT_BACK > share)
        return false;
    u->in_flight_max += 2;
    return true;
}

/* Bandwidth times delay, found by trying: two more parts at a time as long as a tenth more bytes come
 * through for it; else back, and no other try for a while. A store on this machine stays at eight; one
 * that is 20 ms away and gives 90 MB/s a connection goes to ten. */
static void tune(struct ms_upload *u, uint64_t bytes) {
    int64_t now = ms_clock_mono_ns(ms_clock_system());
    uint64_t rate, us = (uint64_t)(now - u->pace.since_ns) / 1000 + 1;

    u->pace.bytes += bytes;
    u->pace.full = u->pace.full && u->in_flight + 1 >= u->in_flight_max;
    if (++u->pace.parts < u->in_flight_max)
        return;
    rate = u->pace.bytes * 1000 / us;
    if (u->pace.full && u->pace.tried && rate < u->pace.rate + u->pace.rate / 10) {
        u->in_flight_max -= 2;
        u->pace.tried = false;
        u->pace.quiet = QUIET_LOOKS;
    } else if (u->pace.full && u->pace.quiet > 0) {
        u->pace.quiet--;
    } else if (u->pace.full && u->pace.since_ns > 0) {
        u->pace.rate = rate;
        u->pace.tried = try_more(u);
    }
    u->pace.parts = 0;
    u->pace.bytes = 0;
    u->pace.full = true;
    u->pace.since_ns = now;
}

/* The store has the part. */
static void accept(struct ms_upload_send *s, struct ms_upload_part *p, bool touched) {
    struct ms_upload *u = s->wire.upload;
    const char *etag = s->wire.request.ret_etag;
    struct ms_error error;

    p->length = s->length;
    p->generation = s->generation;
    p->intact = !touched;
    p->torn = touched ? p->torn + 1 : 0;
    if (s->index != WHOLE) {
        if (!u->in_flight_fixed)
            tune(u, s->length);
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
            ms_upload_call_fail(u, MS_NO_MEMORY, &error);
    }
}

/* It has not, or not surely: a part that was there may be replaced, too. */
static void reject(struct ms_upload_send *s, struct ms_upload_part *p, bool touched) {
    struct ms_upload *u = s->wire.upload;

    p->length = 0;
    p->intact = false;
    if (s->shrunk)
        u->again = true;
    else if (s->copy && only_copies_fail(s->code))
        u->copy_off = true;
    else if (s->code == MS_NO_SPACE && u->call && !s->alone)
        u->tight = true; /* what the others have filled comes free: once more, one by one */
    else if (touched && s->code != MS_CANCELLED)
        p->torn++; /* the body changed under the transfer: it could not succeed */
    else if (s->code == MS_NOT_FOUND && s->index != WHOLE)
        ms_upload_lost_id(u);
    else if (s->for_call)
        ms_upload_call_fail(u, s->code, &s->error);
    else
        u->ahead_off = true; /* nobody's error: the next call sends it again */
}

static void send_settle(struct ms_upload_send *s) {
    struct ms_upload *u = s->wire.upload;
    struct ms_upload_part *p = ms_upload_part_of(u, s->index, s->sync);
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
    if (!u->call || u->call->kind == CALL_DROP || u->goal_whole != (s->index == WHOLE))
        return;
    if (s->index != WHOLE && s->index >= u->goal_parts)
        return;
    p->fits = ms_upload_fits(u, s->index);
    if (p->fits)
        u->goal_missing--;
    else if (s->index < u->cursor)
        u->cursor = s->index;
}

/* What is on its way holds memory that cannot go to the disk meanwhile: no more than the file's
 * share, nor fewer than a store needs to be busy. */
static unsigned in_flight_now(const struct ms_upload *u) {
    unsigned share = ms_stage_share(u->stage), most;

    most = share > IN_FLIGHT_LEAST + KEPT_BACK ? share - KEPT_BACK : IN_FLIGHT_LEAST;
    return u->in_flight_fixed || u->in_flight_max < most ? u->in_flight_max : most;
}

struct ms_upload_send *ms_upload_free_send(struct ms_upload *u) {
    if (u->in_flight >= in_flight_now(u))
        return NULL;
    for (unsigned i = 0; i < u->sends_n; i++)
        if (!u->send[i].used)
            return &u->send[i];
    return NULL;
}

void ms_upload_start_send(struct ms_upload *u, struct ms_upload_send *s, uint32_t index, bool sync,
                          uint64_t length) {
    struct ms_upload_part *p = ms_upload_part_of(u, index, sync);

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
    s->copy = s->shrunk = false;
    s->code = MS_OK;
    p->busy = p->sent = true;
    u->in_flight++;
    s->wire.task.run = send_step;
    ms_engine_follow(u->obj->engine, &s->wire.task);
}

/* The store answered, or it did not come to that. */
static void send_ended(struct ms_task *task) {
    struct ms_upload_send *s = MS_CONTAINER_OF(task, struct ms_upload_send, wire.task);
    struct ms_upload *u = s->wire.upload;

    if (!s->code) {
        s->code = s->wire.request.code;
        s->error = s->wire.request.error;
    }
    ms_stage_view_end(&s->view);
    if (!s->code && !s->for_call && s->index != WHOLE) /* else the stage will soon be gone */
        ms_stage_rest(u->stage, s->offset, s->length);
    if (u->base) /* can be had again; the limit is for what cannot */
        ms_stage_unfill(u->stage, s->offset, s->length);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    free(MS_TAKE(s->memory));
    pthread_mutex_lock(&u->mutex);
    send_settle(s);
    ms_upload_advance(u);
    ms_upload_leave(u);
}
