/* The mover: who holds the lock brings what is pending to the store, oldest first, several objects
 * at once.
 *
 * One coordinator thread takes the lock and keeps a short queue filled from LOCAL; lanes take from
 * it. When the store as a whole fails, all pause, and then one lane alone tries first: a store that
 * is down for hours costs a request every half minute. An object that fails for itself has its own
 * time in its row.
 *
 * While files are acknowledged one after the other, uploads wait a little: they want the same
 * processors and the same disk, and who copies a folder into the mount wants it back soon.
 */
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"
#include "service/writeback_part.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LANES 8
#define QUEUE_MAX 64
#define QUEUE_LOW 16
#define POLL_MS 500 /* what other processes acknowledge is seen within this */
#define PAUSE_STEP_MS 100
#define PAUSE_MS_MIN 500
#define PAUSE_MS_MAX 30000
#define RETRY_MS_MIN 1000
#define RETRY_MS_MAX 60000
#define NS_PER_MS INT64_C(1000000)
#define CALM_MS 100   /* without an acknowledgement: the burst is over */
#define BURST_MS 5000 /* who writes without end does not keep the store waiting longer */

struct ms_mover {
    struct ms_svc *svc;
    struct ms_sender sender;
    pthread_t coordinator, lane[LANES];
    unsigned lanes;
    atomic_int lock_fd; /* -1: another process is the mover, or nobody yet */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct {
        bool stop, woken;
        struct ms_local_record *queue[QUEUE_MAX]; /* in order; the lanes' from the front */
        unsigned queued;
        struct ms_id taken[QUEUE_MAX + LANES]; /* queued, or in a lane */
        unsigned taken_n, busy;
        int64_t pause_ms, resume_ns; /* 0: the store answers */
        int64_t burst_ns, last_ns; /* acknowledgements: the first of a burst, the last; 0: none */
        uint64_t failures;
        struct ms_error failure; /* the last one */
    } locked;
    int64_t told_ns; /* the coordinator's: when the note was written, and what it was then */
    uint64_t told_sent;
};

static int64_t mono_ns(const struct ms_mover *m) { return ms_clock_mono_ns(m->svc->clock); }

static void wait_locked(struct ms_mover *m, int64_t ns) {
    struct timespec until = ms_clock_mono_deadline(ns);

    (void)pthread_cond_clockwait(&m->changed, &m->mutex, CLOCK_MONOTONIC, &until);
}

/* ---- the lock, and the note in it ------------------------------------------------------------ */

static int open_mover_file(struct ms_svc *svc, int flags) {
    char path[sizeof svc->dir + 32];

    (void)snprintf(path, sizeof path, "%s/writeback/" MS_MOVER_FILE, svc->dir);
    return open(path, flags | O_CLOEXEC, 0600);
}

static bool take_lock(struct ms_mover *m) {
    if (m->lock_fd >= 0)
        return true;
    int fd = open_mover_file(m->svc, O_RDWR | O_CREAT);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return false;
    }
    m->lock_fd = fd;
    return fd >= 0;
}

/* Bytes a second, for whoever looks at the queue; a torn note is a wrong estimate and nothing
 * else. */
static void tell_speed(struct ms_mover *m) {
    uint64_t sent = atomic_load(&m->sender.sent);
    int64_t now = mono_ns(m), ms = (now - m->told_ns) / NS_PER_MS;
    char text[32];

    if (ms < 1000)
        return;
    int n = snprintf(text, sizeof text, "%-20" PRIu64 "\n",
                     (sent - m->told_sent) * 1000 / (uint64_t)ms);
    if (n > 0 && pwrite(m->lock_fd, text, (size_t)n, 0) < 0)
        ms_log_event(m->svc->log, MS_LOG_DEBUG, "writeback-note-not-written", NULL);
    m->told_ns = now;
    m->told_sent = sent;
}

void ms_mover_note(struct ms_svc *svc, struct ms_pending_sum *sum) {
    char text[32] = "";
    int fd = open_mover_file(svc, O_RDONLY);

    if (fd < 0)
        return;
    sum->moving = flock(fd, LOCK_SH | LOCK_NB) != 0;
    if (sum->moving && pread(fd, text, sizeof text - 1, 0) > 0)
        sum->bytes_per_s = strtoull(text, NULL, 10);
    close(fd);
}

/* ---- the queue ------------------------------------------------------------------------------- */

struct fill {
    struct ms_mover *m;
    struct ms_instant now;
    struct ms_local_record *found[QUEUE_MAX];
    unsigned n, max;
};

static bool is_taken_locked(const struct ms_mover *m, struct ms_id object) {
    for (unsigned i = 0; i < m->locked.taken_n; i++)
        if (memcmp(m->locked.taken[i].b, object.b, MS_ID_BYTES) == 0)
            return true;
    return false;
}

static enum ms_code consider(void *priv, struct ms_txn *txn, struct ms_view key,
                             struct ms_view value, struct ms_error *reterr) {
    struct fill *f = priv;
    struct ms_local_record row;

    (void)txn, (void)key;
    if (f->n == f->max)
        return MS_OK;
    MS_TRY(ms_local_decode(value, &row, reterr));
    pthread_mutex_lock(&f->m->mutex);
    bool taken = is_taken_locked(f->m, row.object);
    pthread_mutex_unlock(&f->m->mutex);
    if (taken || row.retry_at.ms > f->now.ms)
        return MS_OK;
    f->found[f->n] = malloc(sizeof row);
    if (!f->found[f->n])
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the writeback queue");
    *f->found[f->n++] = row;
    return MS_OK;
}

static void skip_damaged(void *priv, struct ms_view key, const struct ms_error *err) {
    struct fill *f = priv;

    (void)key;
    ms_log_failure(f->m->svc->log, MS_LOG_ERROR, "writeback-row", err, NULL);
}

static void enqueue(struct ms_mover *m, struct fill *f) {
    pthread_mutex_lock(&m->mutex);
    for (unsigned i = 0; i < f->n; i++) {
        m->locked.taken[m->locked.taken_n++] = f->found[i]->object;
        m->locked.queue[m->locked.queued++] = f->found[i];
    }
    if (f->n > 0)
        pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->mutex);
}

static void fill(struct ms_mover *m) {
    struct fill f = {.m = m, .now = ms_clock_now(m->svc->clock)};
    struct ms_walk walk = {
        .prefix = ms_key_locals(), .each = consider, .damaged = skip_damaged, .priv = &f};
    struct ms_error err;

    pthread_mutex_lock(&m->mutex);
    f.max = m->locked.queued < QUEUE_LOW ? QUEUE_MAX - m->locked.queued : 0;
    pthread_mutex_unlock(&m->mutex);
    while (f.n < f.max && !walk.ended)
        if (ms_walk_some(m->svc, &walk, &err) != MS_OK) {
            ms_log_failure(m->svc->log, MS_LOG_WARN, "writeback-queue", &err, NULL);
            break;
        }
    enqueue(m, &f);
}

static void *coordinate(void *arg) {
    struct ms_mover *m = arg;

    pthread_mutex_lock(&m->mutex);
    while (!m->locked.stop) {
        m->locked.woken = false;
        pthread_mutex_unlock(&m->mutex);
        if (take_lock(m)) {
            fill(m);
            tell_speed(m);
        }
        pthread_mutex_lock(&m->mutex);
        if (!m->locked.stop && !m->locked.woken)
            wait_locked(m, POLL_MS * NS_PER_MS);
    }
    pthread_mutex_unlock(&m->mutex);
    return NULL;
}

/* ---- lanes ----------------------------------------------------------------------------------- */

static bool is_of_store(enum ms_code code) {
    return code == MS_UNAVAILABLE || code == MS_TIMEOUT || code == MS_THROTTLED ||
           code == MS_DENIED || code == MS_NO_SPACE || code == MS_NO_MEMORY || code == MS_FOREIGN;
}

static int64_t doubled(int64_t ms, int64_t least, int64_t most) {
    if (ms < least)
        return least;
    return ms * 2 < most ? ms * 2 : most;
}

static int64_t retry_ms(uint32_t tries) {
    return tries >= 6 ? RETRY_MS_MAX : (int64_t)RETRY_MS_MIN << tries;
}

static void note_failure(struct ms_mover *m, const struct ms_local_record *row,
                         const struct ms_error *why) {
    bool store = is_of_store(why->code);
    struct ms_error err;

    ms_log_failure(m->svc->log, MS_LOG_WARN, "writeback-upload", why, "key", row->key, NULL);
    if (ms_local_failed(m->svc, row, why, store ? 0 : retry_ms(row->tries), &err) != MS_OK) {
        ms_log_failure(m->svc->log, MS_LOG_WARN, "writeback-row", &err, "key", row->key, NULL);
        store = true;
    }
    pthread_mutex_lock(&m->mutex);
    m->locked.failures++;
    m->locked.failure = *why;
    if (store) {
        m->locked.pause_ms = doubled(m->locked.pause_ms, PAUSE_MS_MIN, PAUSE_MS_MAX);
        m->locked.resume_ns = mono_ns(m) + m->locked.pause_ms * NS_PER_MS;
    }
    pthread_mutex_unlock(&m->mutex);
}

/* What nobody refers to any more goes, wherever it is by now. */
static void bury(struct ms_mover *m, const struct ms_local_record *row) {
    struct ms_error err;

    if (ms_send_delete(&m->sender, row->key, &err) != MS_OK)
        ms_log_failure(m->svc->log, MS_LOG_INFO, "writeback-stray", &err, "key", row->key, NULL);
}

static enum ms_code move(struct ms_mover *m, const struct ms_local_record *row,
                         struct ms_error *reterr) {
    char etag[MS_ETAG_MAX + 1];
    struct ms_local_stored stored;
    bool skip = false;

    MS_TRY(ms_svc_check_owner(m->svc, reterr));
    MS_TRY(ms_send_object(&m->sender, row, etag, &skip, reterr));
    if (skip)
        return MS_OK;
    MS_TRY(ms_local_stored(m->svc, row, etag, &stored, reterr));
    if (stored.gone)
        bury(m, row);
    ms_near_remove(m->svc, row->key);
    return MS_OK;
}

static void untake_locked(struct ms_mover *m, struct ms_id object) {
    for (unsigned i = 0; i < m->locked.taken_n; i++)
        if (memcmp(m->locked.taken[i].b, object.b, MS_ID_BYTES) == 0) {
            m->locked.taken[i] = m->locked.taken[--m->locked.taken_n];
            return;
        }
}

/* Pace, not a rule's time: the machine's clock, as for all waits. */
static int64_t pace_ns(void) { return ms_clock_mono_ns(ms_clock_system()); }

static bool is_held_locked(const struct ms_mover *m) {
    int64_t now = pace_ns();

    return m->locked.last_ns > 0 && now - m->locked.last_ns < CALM_MS * NS_PER_MS &&
           now - m->locked.burst_ns < BURST_MS * NS_PER_MS;
}

/* True: it is the first one of a burst. */
static bool note_acknowledgement_locked(struct ms_mover *m) {
    int64_t now = pace_ns();
    bool first = m->locked.last_ns == 0 || now - m->locked.last_ns >= CALM_MS * NS_PER_MS;

    /* With something that waits since the last one it goes on: else pauses of 100 ms would hold it for ever. */
    if (first && m->locked.queued == 0 && m->locked.busy == 0)
        m->locked.burst_ns = now;
    m->locked.last_ns = now;
    return first;
}

/* While the store fails only one lane tries, and not before its time. */
static bool may_begin_locked(const struct ms_mover *m) {
    if (is_held_locked(m))
        return false;
    return m->locked.pause_ms == 0 ||
           (m->locked.busy == 0 && mono_ns(m) >= m->locked.resume_ns);
}

static struct ms_local_record *next_locked(struct ms_mover *m) {
    struct ms_local_record *row = m->locked.queue[0];

    m->locked.queued--;
    memmove(m->locked.queue, m->locked.queue + 1, m->locked.queued * sizeof m->locked.queue[0]);
    if (m->locked.queued < QUEUE_LOW) {
        m->locked.woken = true;
        pthread_cond_broadcast(&m->changed);
    }
    return row;
}

static void serve_locked(struct ms_mover *m) {
    struct ms_local_record *row = next_locked(m);
    struct ms_error err = {0};

    m->locked.busy++;
    pthread_mutex_unlock(&m->mutex);
    enum ms_code code = move(m, row, &err);
    if (code != MS_OK && !atomic_load(&m->sender.stop))
        note_failure(m, row, &err);
    pthread_mutex_lock(&m->mutex);
    if (code == MS_OK)
        m->locked.pause_ms = 0;
    m->locked.busy--;
    untake_locked(m, row->object);
    free(row);
    pthread_cond_broadcast(&m->changed);
}

static void *lane(void *arg) {
    struct ms_mover *m = arg;

    pthread_mutex_lock(&m->mutex);
    while (!m->locked.stop) {
        if (m->locked.queued == 0)
            (void)pthread_cond_wait(&m->changed, &m->mutex);
        else if (may_begin_locked(m))
            serve_locked(m);
        else
            wait_locked(m, PAUSE_STEP_MS * NS_PER_MS);
    }
    pthread_mutex_unlock(&m->mutex);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void stop_threads(struct ms_mover *m, bool coordinator) {
    pthread_mutex_lock(&m->mutex);
    m->locked.stop = true;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->mutex);
    ms_sender_stop(&m->sender);
    if (coordinator)
        (void)pthread_join(m->coordinator, NULL);
    for (unsigned i = 0; i < m->lanes; i++)
        (void)pthread_join(m->lane[i], NULL);
}

static void mover_free(struct ms_mover *m) {
    for (unsigned i = 0; i < m->locked.queued; i++)
        free(m->locked.queue[i]);
    if (m->lock_fd >= 0)
        close(m->lock_fd); /* the lock goes with it */
    ms_sender_fini(&m->sender);
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

enum ms_code ms_writeback_start(struct ms_svc *svc, struct ms_error *reterr) {
    if (svc->mover || svc->read_only || !svc->near)
        return MS_OK;
    struct ms_mover *m = calloc(1, sizeof *m);
    if (!m)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to upload in the background");
    m->svc = svc;
    m->lock_fd = -1;
    m->told_ns = mono_ns(m);
    ms_sender_init(&m->sender, svc);
    pthread_mutex_init(&m->mutex, NULL);
    pthread_cond_init(&m->changed, NULL);
    bool ok = true;
    for (; ok && m->lanes < LANES; m->lanes += ok)
        ok = pthread_create(&m->lane[m->lanes], NULL, lane, m) == 0;
    if (ok && pthread_create(&m->coordinator, NULL, coordinate, m) == 0) {
        svc->mover = m;
        return MS_OK;
    }
    stop_threads(m, false);
    mover_free(m);
    return ms_fail(reterr, MS_NO_MEMORY, "no thread to upload in the background");
}

void ms_writeback_stop(struct ms_svc *svc) {
    struct ms_mover *m = MS_TAKE(svc->mover);

    if (!m)
        return;
    stop_threads(m, true);
    mover_free(m);
}

void ms_writeback_wake(struct ms_svc *svc) {
    struct ms_mover *m = svc->mover;

    if (!m)
        return;
    pthread_mutex_lock(&m->mutex);
    bool first = note_acknowledgement_locked(m);
    if ((first || !is_held_locked(m)) && !m->locked.woken && m->locked.queued < QUEUE_LOW) {
        m->locked.woken = true;
        pthread_cond_broadcast(&m->changed);
    }
    pthread_mutex_unlock(&m->mutex);
}

/* ---- to the end ------------------------------------------------------------------------------ */

struct drain {
    struct ms_mover *m;
    struct ms_pending_sum left;
    uint64_t failures; /* before */
};

/* False: there is nothing to wait for. */
static bool wait_more(struct drain *d, bool for_ever, struct ms_error *ret_why) {
    struct ms_mover *m = d->m;
    bool failed = false;

    if (d->left.files == 0)
        return false;
    pthread_mutex_lock(&m->mutex);
    if (m->locked.failures > d->failures) {
        *ret_why = m->locked.failure;
        failed = m->locked.pause_ms > 0 || d->left.failing == d->left.files;
    }
    if (for_ever || !failed)
        wait_locked(m, POLL_MS / 5 * NS_PER_MS);
    pthread_mutex_unlock(&m->mutex);
    return for_ever || !failed;
}

static enum ms_code drain(struct ms_svc *svc, struct drain *d, const struct ms_drain *how,
                          struct ms_error *reterr) {
    struct ms_error why = {0};
    bool more = true;

    while (more) {
        MS_TRY(ms_pending(svc, NULL, NULL, &d->left, reterr));
        if (how->go_on && !how->go_on(how->priv, &d->left) && d->left.files > 0)
            return ms_fail(reterr, MS_CANCELLED, "%" PRIu64 " files are still to be uploaded",
                           d->left.files);
        if (!how->others && d->m->lock_fd < 0 && d->left.moving)
            return MS_OK; /* whoever is at it goes on with it */
        more = wait_more(d, how->for_ever, &why);
    }
    if (d->left.files == 0)
        return MS_OK;
    return ms_fail(reterr, why.code, "%" PRIu64 " files are still to be uploaded: %s",
                   d->left.files, why.message);
}

enum ms_code ms_writeback_drain(struct ms_svc *svc, const struct ms_drain *how,
                                struct ms_error *reterr) {
    struct drain d = {.m = NULL};
    bool ours = !svc->mover;

    MS_TRY(ms_pending(svc, NULL, NULL, &d.left, reterr));
    if (d.left.files == 0 && !how->go_on)
        return MS_OK;
    MS_TRY(ms_writeback_start(svc, reterr));
    d.m = svc->mover;
    if (!d.m)
        return ms_fail(reterr, MS_READ_ONLY, "the store %s is open read-only: nothing is uploaded",
                       svc->dir);
    enum ms_code code = drain(svc, &d, how, reterr);
    if (ours)
        ms_writeback_stop(svc);
    return code;
}
