#include "content/upload_impl.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT_MAX 64
#define ROUNDS_MAX 16  /* how often a call starts again because the file got shorter */
#define RENEWALS_MAX 3 /* upload ids that the store may lose in one call */
#define SYNC_SUFFIX ".fsync"

void ms_upload_call_fail(struct ms_upload *u, enum ms_code code, const struct ms_error *error) {
    struct ms_upload_call *c = u->call;

    if (c->code)
        return;
    c->code = code;
    c->error = *error;
}

void ms_upload_lost_id(struct ms_upload *u) {
    struct ms_error error;

    if (u->call && u->rounds > RENEWALS_MAX)
        ms_upload_call_fail(u,
                            ms_fail(&error, MS_UNAVAILABLE,
                                    "the store lost the upload of %s %u times", u->key, u->rounds),
                            &error);
    else
        u->renew = true;
}

static bool is_idle(const struct ms_upload *u) { return u->in_flight == 0 && !u->control_busy; }

static bool ensure_parts(struct ms_upload *u, uint32_t n) {
    uint32_t cap = n < 16 ? 16 : n + n / 2;
    struct ms_upload_part *part;
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

/* ---- requests about the upload as a whole ---------------------------------------------------- */

static void control_ended(struct ms_task *task);

static void control_request(struct ms_upload *u) {
    struct ms_obj_request *r = &u->control.request;

    *r = (struct ms_obj_request){.key = u->key};
    switch (u->order) {
    case CREATE:
        ms_upload_find_type(u);
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
    ms_upload_wire_submit(&u->control, false); /* short, and whether it took effect must be known */
}

static void give_order(struct ms_upload *u, enum ms_upload_order order) {
    MS_ASSERT(!u->control_busy);
    u->control_busy = true;
    u->order = order;
    u->order_for_call = u->call != NULL;
    u->control.task.run = control_run;
    ms_engine_follow(u->obj->engine, &u->control.task);
}

static void created(struct ms_upload *u, enum ms_code code, struct ms_error *error) {
    const char *id = u->control.request.ret_upload_id;

    if (!code && !id[0])
        code = ms_fail(error, MS_PROTOCOL, "the store gave no upload id for %s", u->key);
    if (!code)
        memcpy(u->upload_id, id, sizeof u->upload_id);
    else if (u->order_for_call)
        ms_upload_call_fail(u, code, error);
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
        ms_upload_lost_id(u);
    } else if (code == MS_CONFLICT) { /* a late duplicate of an older send replaced some part */
        for (uint32_t i = 0; i < u->parts; i++)
            u->part[i].length = 0;
        u->again = true;
    } else {
        ms_upload_call_fail(u, code, error);
    }
}

static void asked(struct ms_upload *u, enum ms_code code, const struct ms_error *error) {
    u->phase = code ? SENDING : CLEANING;
    if (code)
        ms_upload_call_fail(u, code, error);
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
    ms_upload_advance(u); /* what is left of ABORT and REMOVE, gc finds */
    ms_upload_leave(u);
}

/* ---- calls ----------------------------------------------------------------------------------- */

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
    if (u->call->kind != CALL_FINISH)
        return;
    u->result.hashes = &u->hashes;
    ms_hashes_root(&u->hashes, u->goal_size, u->result.root);
}

static void send_ahead(struct ms_upload *u);

/* The call is over; ms_upload_leave() tells. */
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
        ms_upload_call_fail(u, code, &error);
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
        ms_upload_call_fail(u, MS_NO_MEMORY, &error);
        conclude(u);
    } else if (u->call->kind == CALL_SYNC) {
        synced(u);
    } else if (u->goal_parts == 0) { /* size 0 has no object */
        u->etag[0] = '\0';
        u->phase = CLEANING;
        ms_upload_advance(u);
    } else if (u->goal_whole) {
        have_etag(u, u->whole_etag);
        ms_upload_advance(u);
    } else {
        u->phase = COMPLETING;
        give_order(u, COMPLETE);
    }
}

static bool is_creating(const struct ms_upload *u) { return u->control_busy && u->order == CREATE; }

static void goal_of_parts(struct ms_upload *u) {
    for (uint32_t i = 0; i < u->goal_parts; i++) {
        struct ms_upload_part *p = &u->part[i];

        /* it would cut a listed part while the list is all that a crash leaves: another upload
         * takes over */
        if (p->listed > ms_upload_length_wanted(u, ms_part_no(i + 1)))
            u->renew = true;
        p->fits = ms_upload_fits(u, i);
        u->goal_missing += !p->fits;
    }
    /* No part can be taken back, and Ceph's RGW completes an upload only by all of its parts. */
    for (uint32_t i = u->goal_parts; i < u->parts; i++)
        u->renew |= u->part[i].sent;
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
    u->goal_whole = !caps->multipart || (u->call->kind == CALL_FINISH && u->goal_parts <= 1 &&
                                         !u->upload_id[0] && !is_creating(u));
    if (++u->rounds > ROUNDS_MAX)
        ms_upload_call_fail(
            u, ms_fail(&error, MS_CONFLICT, "%s kept changing while it was uploaded", u->key),
            &error);
    if (u->goal_parts == 0)
        return;
    if (!u->goal_whole && !ensure_parts(u, u->goal_parts)) {
        ms_upload_call_fail(
            u, ms_fail(&error, MS_NO_MEMORY, "no memory for the parts of %s", u->key), &error);
    } else if (!u->goal_whole) {
        goal_of_parts(u);
    } else if (now.size > caps->put_bytes_max) {
        ms_upload_call_fail(u,
                            ms_fail(&error, MS_TOO_LARGE,
                                    "%s has %" PRIu64 " bytes; this store takes at most %" PRIu64
                                    " at once and has no multipart uploads",
                                    u->key, now.size, caps->put_bytes_max),
                            &error);
    } else {
        u->goal_missing = !ms_upload_fits(u, WHOLE);
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
        u->part[i] = (struct ms_upload_part){0};
}

/* While a list is all that a crash leaves, parts behind it go out one after the other: recovery can complete an upload
 * only by all of its parts (RGW), so every byte before them must be there. */
static bool may_go(const struct ms_upload *u, uint32_t i) {
    const struct ms_upload_part *before = i > 0 ? &u->part[i - 1] : NULL;

    return !before || u->part[0].listed == 0 || u->part[i].listed > 0 ||
           (before->length == ms_part_no(i).length && !before->busy);
}

static void start_sends(struct ms_upload *u) {
    bool sync = u->call->kind == CALL_SYNC;
    struct ms_upload_send *s = ms_upload_free_send(u);

    if (u->goal_whole) {
        struct ms_upload_part *p = ms_upload_part_of(u, WHOLE, sync);

        if (s && !p->busy && u->goal_missing > 0)
            ms_upload_start_send(u, s, WHOLE, sync, u->goal_size);
        return;
    }
    while (s && u->cursor < u->goal_parts && !(u->tight && u->in_flight > 0)) {
        const struct ms_upload_part *p = &u->part[u->cursor];

        if (!may_go(u, u->cursor))
            return; /* the end of the one before comes here again */
        if (!p->fits && !p->busy) {
            ms_upload_start_send(u, s, u->cursor, sync,
                                 ms_upload_length_wanted(u, ms_part_no(u->cursor + 1)));
            s = ms_upload_free_send(u);
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

        ms_upload_call_fail(
            u, ms_fail(&error, MS_CANCELLED, "the upload of %s was dropped", u->key), &error);
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
        ms_upload_call_fail(u, code, &error);
    } else {
        u->finished = true;
        result_make(u);
    }
    conclude(u);
}

static void begin(struct ms_upload *u) {
    struct ms_upload_call *c = u->queue;

    u->queue = c->next;
    u->call = c;
    if (c->kind == CALL_DROP)
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

void ms_upload_advance(struct ms_upload *u) {
    if (u->reporting || u->concluded)
        return;
    if (!u->call && u->queue)
        begin(u);
    if (u->concluded)
        return;
    if (!u->call) {
        send_ahead(u);
    } else if (u->call->kind == CALL_DROP) {
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

static enum ms_code copy_result(struct ms_upload_call *c, const struct ms_upload *u) {
    const struct ms_upload_result *r = &u->result;

    c->result = *r;
    snprintf(c->upload_id, sizeof c->upload_id, "%s", r->upload_id);
    snprintf(c->etag, sizeof c->etag, "%s", r->etag);
    c->result.upload_id = c->upload_id;
    c->result.etag = c->etag;
    if (r->parts_n > 0) {
        c->parts = calloc(r->parts_n, sizeof *c->parts);
        if (!c->parts)
            return ms_fail(&c->error, MS_NO_MEMORY, "no memory for a list of %zu parts",
                           r->parts_n);
        memcpy(c->parts, r->parts, r->parts_n * sizeof *c->parts);
        c->result.parts = c->parts;
    }
    if (r->hashes && r->hashes->count > 0) {
        MS_TRY(ms_hashes_resize(&c->hashes, r->hashes->count, &c->error));
        memcpy(c->hashes.hash, r->hashes->hash, r->hashes->count * sizeof *c->hashes.hash);
    }
    c->result.hashes = r->hashes ? &c->hashes : NULL;
    return MS_OK;
}

void ms_upload_leave(struct ms_upload *u) {
    struct ms_upload_call *c;

    while ((c = MS_TAKE(u->concluded)) != NULL) {
        bool more = u->queue != NULL;

        if (!c->code && c->kind != CALL_DROP)
            c->code = copy_result(c, u);
        u->reporting = more;
        pthread_mutex_unlock(&u->mutex);
        c->done(c->priv, c->code, c->code ? &c->error : NULL,
                c->code || c->kind == CALL_DROP ? NULL : &c->result);
        ms_hashes_fini(&c->hashes);
        free(c->parts);
        free(c);
        if (!more) /* the upload may be gone */
            return;
        pthread_mutex_lock(&u->mutex);
        u->reporting = false;
        ms_upload_advance(u);
    }
    pthread_mutex_unlock(&u->mutex);
}

/* ---- ahead of any call ----------------------------------------------------------------------- */

static void send_ahead(struct ms_upload *u) {
    struct ms_upload_send *s = ms_upload_free_send(u);

    if (u->finished || u->dropping || u->ahead_off || u->renew)
        return;
    for (uint32_t i = 1; s && i < u->parts; i++) {
        struct ms_upload_part *p = &u->part[i];

        p->ready = p->ready && p->length == 0; /* a call may have sent it */
        if (!p->ready || p->busy || !may_go(u, i))
            continue;
        if (!u->upload_id[0]) {
            if (!u->control_busy)
                give_order(u, CREATE);
            return;
        }
        p->ready = false;
        p->ahead = true;
        ms_upload_start_send(u, s, i, false, ms_part_no(i + 1).length);
        s = ms_upload_free_send(u);
    }
}

/* Whether a part may go before anybody asks: not part 1, written from end to end, never sent. */
static bool becomes_ready(struct ms_upload *u, struct ms_part_range range) {
    uint32_t i = range.part_no - 1;
    struct ms_upload_part *p;

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
        ms_upload_advance(u);
    ms_upload_leave(u);
}

static void enqueue(struct ms_upload *u, enum ms_upload_kind kind, ms_upload_done_fn *done,
                    void *priv) {
    struct ms_upload_call *c = calloc(1, sizeof *c), **at = &u->queue;
    struct ms_error error;

    if (!c) {
        done(priv, ms_fail(&error, MS_NO_MEMORY, "no memory for a call"), &error, NULL);
        return;
    }
    *c = (struct ms_upload_call){.kind = kind, .done = done, .priv = priv};
    pthread_mutex_lock(&u->mutex);
    while (*at)
        at = &(*at)->next;
    *at = c;
    if (kind == CALL_DROP && !u->finished) {
        u->dropping = true;
        for (unsigned i = 0; i < u->sends_n; i++)
            if (u->send[i].used)
                ms_upload_wire_cancel(&u->send[i].wire);
    }
    ms_upload_advance(u);
    ms_upload_leave(u);
}

void ms_upload_sync(struct ms_upload *u, ms_upload_done_fn *done, void *priv) {
    enqueue(u, CALL_SYNC, done, priv);
}
void ms_upload_finish(struct ms_upload *u, ms_upload_done_fn *done, void *priv) {
    enqueue(u, CALL_FINISH, done, priv);
}
void ms_upload_drop(struct ms_upload *u, ms_upload_done_fn *done, void *priv) {
    enqueue(u, CALL_DROP, done, priv);
}

uint64_t ms_upload_sent(struct ms_upload *u, bool *ret_busy) {
    uint64_t sent = 0;

    pthread_mutex_lock(&u->mutex);
    for (uint32_t i = 0; i < u->parts; i++)
        sent += u->part[i].busy ? 0 : u->part[i].length;
    *ret_busy = !is_idle(u);
    pthread_mutex_unlock(&u->mutex);
    return sent;
}

/* ---- life ------------------------------------------------------------------------------------ */

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
        u->sends_n = o->parts_in_flight_max ? o->parts_in_flight_max : IN_FLIGHT_TUNED;
        u->sends_n = u->sends_n > IN_FLIGHT_MAX ? IN_FLIGHT_MAX : u->sends_n;
        u->in_flight_fixed = o->parts_in_flight_max > 0;
        u->in_flight_max = u->in_flight_fixed ? u->sends_n : IN_FLIGHT_USUAL;
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
