/* feed.c — what other processes committed: rows in commit order, a futex in the shared page, a thread per follower. */
#include "store/internal.h"

#include "base/assert.h"
#include "base/codec.h"

#include <stdlib.h>

#define ROW_HEAD_BYTES (MS_ID_BYTES + 8)
#define TRIM_ROWS_MAX 4096u
/* A process may die between its commit and its wake-up; and nobody wakes us for our own rows. */
#define FOLLOW_POLL_NS INT64_C(500000000)
#define FOLLOW_BYTES 65536u

enum ms_code ms_feed_append(struct ms_txn *txn, struct ms_view change, struct ms_error *reterr) {
    struct ms_store_op *op = txn->op;
    struct ms_store_key key;
    uint8_t b[ROW_HEAD_BYTES + MS_STORE_FEED_BYTES];
    struct ms_writer w = ms_writer_on(b, sizeof b);
    enum ms_code code;

    MS_ASSERT(op);
    if (change.n > MS_STORE_FEED_BYTES)
        return ms_txn_stick(txn, reterr, MS_RANGE,
                            "a change of %zu bytes for the feed; %u are possible", change.n,
                            MS_STORE_FEED_BYTES);
    key = ms_store_key_seq(MS_ROW_FEED, op->state.feed_next);
    ms_write_bytes(&w, txn->store->instance.id.b, MS_ID_BYTES);
    ms_write_i64(&w, op->instant.ms);
    ms_write_bytes(&w, change.p, change.n);
    MS_ASSERT(!w.failed);
    code = ms_txn_put_any(txn, ms_store_key_view(&key), ms_writer_view(&w), reterr);
    if (code == MS_OK)
        op->state.feed_next++;
    return code;
}

/* ---- trimming -------------------------------------------------------------------------------- */

static enum ms_code is_old(struct ms_store *store, struct ms_store_batch *batch,
                           const struct ms_store_key *key, bool *ret_old, struct ms_error *reterr) {
    struct ms_error err = {0};
    struct ms_reader r;
    struct ms_view v;
    enum ms_code code = ms_store_row_get(store, batch->top, key, &v, &err);

    if (code != MS_OK && code != MS_NOT_FOUND && code != MS_CORRUPT)
        return ms_fail(reterr, code, "%s", err.message);
    *ret_old = true;
    if (code != MS_OK)
        return MS_OK; /* a damaged row goes; fsck has seen it or not, followers call it lost */
    r = ms_reader_on(v);
    r.at = v.n < MS_ID_BYTES ? v.n : MS_ID_BYTES;
    *ret_old = ms_read_i64(&r) + store->options.feed_age_ms <= batch->state.last.ms;
    return MS_OK;
}

enum ms_code ms_feed_trim(struct ms_store *store, struct ms_store_batch *batch,
                          struct ms_error *reterr) {
    struct ms_store_state *s = &batch->state;
    uint64_t max = store->options.feed_rows_max, n = s->feed_next - s->feed_first;
    uint64_t over = n > max + max / 4
                        ? n - max
                        : 0; /* in one go now and then: fewer pages than one each time */
    unsigned left = TRIM_ROWS_MAX;
    enum ms_code code;

    for (; left > 0 && s->feed_first < s->feed_next; left--) {
        struct ms_store_key key = ms_store_key_seq(MS_ROW_FEED, s->feed_first);
        MDB_val k = ms_val_of(ms_store_key_view(&key));
        bool old = over > 0;
        int rc;

        if (!old && store->w.trim_age) {
            code = is_old(store, batch, &key, &old, reterr);
            if (code != MS_OK)
                return code;
        }
        if (!old)
            break;
        rc = mdb_del(batch->top, store->dbi, &k, NULL);
        if (rc != 0 && rc != MDB_NOTFOUND)
            return ms_store_fail(store, reterr, rc, "trimming the feed");
        s->feed_first++;
        over -= over > 0;
    }
    if (left > 0)
        store->w.trim_age = false;
    return MS_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum ms_code check_row(struct ms_view row, struct ms_error *reterr) {
    if (row.n < ROW_HEAD_BYTES || row.n > ROW_HEAD_BYTES + MS_STORE_FEED_BYTES)
        return ms_fail(reterr, MS_CORRUPT, "a row of the feed has %zu bytes; run fsck", row.n);
    return MS_OK;
}

enum ms_code ms_txn_feed_read(struct ms_txn *txn, uint64_t *at,
                              void (*each)(void *priv, struct ms_view change), void *priv,
                              bool *ret_lost, struct ms_error *reterr) {
    struct ms_store_state state;
    struct ms_store_key from, to;
    struct ms_view row;
    struct ms_scan scan;
    enum ms_code code = ms_store_row_state_get(txn->store, txn->mdb, &state, reterr);

    MS_ASSERT(!txn->op); /* a batch keeps its state in memory until it commits */
    if (code != MS_OK)
        return code;
    *ret_lost = *at == 0 || *at < state.feed_first;
    if (*ret_lost || *at >= state.feed_next) { /* the usual case: nothing new, and no cursor for it */
        *at = state.feed_next;
        return MS_OK;
    }
    from = ms_store_key_seq(MS_ROW_FEED, *at);
    to = ms_store_key_seq(MS_ROW_FEED, state.feed_next);
    ms_scan_begin_any(&scan, txn, ms_store_key_view(&from), ms_store_key_view(&to));
    while ((code = ms_scan_next(&scan, NULL, &row, reterr)) == MS_OK &&
           (code = check_row(row, reterr)) == MS_OK)
        each(priv, ms_view_of((const uint8_t *)row.p + ROW_HEAD_BYTES, row.n - ROW_HEAD_BYTES));
    ms_scan_end(&scan);
    if (code != MS_NOT_FOUND)
        return code;
    *at = state.feed_next;
    if (reterr)
        *reterr = (struct ms_error){.code = MS_OK};
    return MS_OK;
}

/* ---- followers ------------------------------------------------------------------------------- */

struct ms_follower {
    struct ms_store *store;
    struct ms_follow follow;
    pthread_t thread;
    _Atomic uint32_t closing;
    _Atomic uint64_t handed; /* every row below it was handed on or skipped */
    _Atomic uint32_t moved;  /* futex for the above */
    uint64_t next;
    size_t len;
    uint8_t bytes[FOLLOW_BYTES]; /* u16 length, change */
};

static enum ms_code read_state(struct ms_store *store, struct ms_store_state *ret_state,
                               struct ms_error *reterr) {
    struct ms_txn *txn;
    enum ms_code code = ms_read_begin(store, &txn, reterr);

    if (code != MS_OK)
        return code;
    code = ms_store_row_state_get(store, txn->mdb, ret_state, reterr);
    ms_read_end(txn);
    return code;
}

enum ms_code ms_feed_end(struct ms_store *store, uint64_t *ret_end, struct ms_error *reterr) {
    struct ms_store_state state;
    enum ms_code code = read_state(store, &state, reterr);

    if (code == MS_OK)
        *ret_end = state.feed_next;
    return code;
}

/* Copy one row, unless it is our own; false when there is no room. */
static bool take_row(struct ms_follower *f, struct ms_view row) {
    size_t n = row.n - ROW_HEAD_BYTES;

    if (memcmp(row.p, f->store->instance.id.b, MS_ID_BYTES) == 0)
        return true;
    if (f->len + 2 + n > sizeof f->bytes)
        return false;
    f->bytes[f->len] = (uint8_t)(n >> 8);
    f->bytes[f->len + 1] = (uint8_t)n;
    memcpy(f->bytes + f->len + 2, (const uint8_t *)row.p + ROW_HEAD_BYTES, n);
    f->len += 2 + n;
    return true;
}

static enum ms_code take_rows(struct ms_follower *f, struct ms_txn *txn,
                              const struct ms_store_state *state, struct ms_error *reterr) {
    struct ms_store_key from = ms_store_key_seq(MS_ROW_FEED, f->next);
    struct ms_store_key to = ms_store_key_seq(MS_ROW_FEED, state->feed_next);
    struct ms_view row;
    struct ms_scan scan;
    enum ms_code code;

    ms_scan_begin_any(&scan, txn, ms_store_key_view(&from), ms_store_key_view(&to));
    while ((code = ms_scan_next(&scan, NULL, &row, reterr)) == MS_OK) {
        code = check_row(row, reterr);
        if (code != MS_OK || !take_row(f, row))
            break;
        f->next++;
    }
    ms_scan_end(&scan);
    if (code == MS_NOT_FOUND)
        f->next = state->feed_next;
    return code == MS_NOT_FOUND ? MS_OK : code;
}

static void hand_on(struct ms_follower *f, bool lost) {
    size_t at = 0;

    if (lost)
        f->follow.lost(f->follow.priv);
    while (at < f->len) {
        size_t n = (size_t)f->bytes[at] << 8 | f->bytes[at + 1];

        f->follow.each(f->follow.priv, ms_view_of(f->bytes + at + 2, n));
        at += 2 + n;
    }
    if (f->follow.handed)
        f->follow.handed(f->follow.priv, f->next);
    atomic_store(&f->handed, f->next);
    atomic_fetch_add(&f->moved, 1);
    ms_futex_wake(&f->moved, false);
}

/* One bounded read and its calls; true when there may be more. */
static bool follow_once(struct ms_follower *f) {
    struct ms_store_state state;
    struct ms_error err = {0};
    struct ms_txn *txn;
    bool lost = false;
    uint64_t was = f->next;
    enum ms_code code = ms_read_begin(f->store, &txn, &err);

    if (code != MS_OK)
        return false;
    f->len = 0;
    code = ms_store_row_state_get(f->store, txn->mdb, &state, &err);
    if (code == MS_OK && f->next < state.feed_first)
        lost = true;
    else if (code == MS_OK && f->next < state.feed_next)
        code = take_rows(f, txn, &state, &err);
    ms_read_end(txn);
    if (code == MS_CORRUPT) {
        ms_log_failure(f->store->options.log, MS_LOG_ERROR, "store.feed", &err, (char *)NULL);
        lost = true;
        code = read_state(f->store, &state, &err);
    }
    if (code != MS_OK) { /* a read that took too long, say: what was taken is taken again */
        f->next = was;
        return false;
    }
    if (lost) {
        f->next = state.feed_next;
        f->len = 0;
    }
    hand_on(f, lost);
    return f->next < state.feed_next;
}

static void *follow_main(void *arg) {
    struct ms_follower *f = arg;
    struct ms_store_page *page = f->store->page;

    while (!atomic_load(&f->closing)) {
        uint32_t seen = atomic_load(&page->changes);

        while (follow_once(f) && !atomic_load(&f->closing))
            ;
        if (!atomic_load(&f->closing))
            ms_page_wait_change(f->store, seen, FOLLOW_POLL_NS);
    }
    return NULL;
}

/* A disk so full that its few bytes do not fit is no reason not to follow: its file has no text then, and
 * whoever waits for answers says that it cannot know. */
static enum ms_code begin_answers(struct ms_follower *f, struct ms_error *reterr) {
    struct ms_error err = {0};
    enum ms_code code = f->follow.handed ? ms_answer_begin(f->store, f->next, &err) : MS_OK;

    if (code == MS_OK || code == MS_NO_SPACE)
        return MS_OK;
    return ms_fail(reterr, code, "%s", err.message);
}

static void end_answers(struct ms_follower *f) {
    if (f->follow.handed)
        ms_answer_end(f->store);
}

static void wake_followers(struct ms_store *store) {
    atomic_fetch_add(&store->page->changes, 1);
    ms_futex_wake(&store->page->changes, true);
}

enum ms_code ms_store_follow(struct ms_store *store, const struct ms_follow *follow,
                             struct ms_follower **ret_follower, struct ms_error *reterr) {
    struct ms_store_state state;
    struct ms_follower *f;
    enum ms_code code;

    MS_ASSERT(follow->each && follow->lost);
    if (!store->page)
        return ms_fail(reterr, MS_READ_ONLY,
                       "a store that was opened read-only has no change feed");
    code = read_state(store, &state, reterr);
    if (code != MS_OK)
        return code;
    f = calloc(1, sizeof *f);
    if (!f)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a follower");
    f->store = store;
    f->follow = *follow;
    f->next = state.feed_next;
    atomic_store(&f->handed, state.feed_next);
    code = begin_answers(f, reterr);
    if (code != MS_OK) {
        free(f);
        return code;
    }
    if (pthread_create(&f->thread, NULL, follow_main, f) != 0) {
        end_answers(f);
        free(f);
        return ms_fail(reterr, MS_NO_MEMORY, "no thread for a follower");
    }
    atomic_fetch_add(&store->followers, 1);
    *ret_follower = f;
    return MS_OK;
}

void ms_store_unfollow(struct ms_follower *follower) {
    if (!follower)
        return;
    MS_ASSERT(!pthread_equal(pthread_self(), follower->thread));
    atomic_store(&follower->closing, 1);
    wake_followers(follower->store);
    pthread_join(follower->thread, NULL);
    atomic_fetch_sub(&follower->store->followers, 1);
    end_answers(follower);
    free(follower);
}

bool ms_follower_catch_up(struct ms_follower *follower, int64_t timeout_ms) {
    const struct ms_clock *clock = ms_clock_system(); /* the machine's patience, in tests too */
    int64_t until = ms_clock_mono_ns(clock) + timeout_ms * 1000000;
    struct ms_store_state state;

    MS_ASSERT(!pthread_equal(pthread_self(), follower->thread));
    if (read_state(follower->store, &state, NULL) != MS_OK)
        return false;
    wake_followers(follower->store);
    for (;;) {
        uint32_t seen = atomic_load(&follower->moved);
        int64_t left = until - ms_clock_mono_ns(clock);

        if (atomic_load(&follower->handed) >= state.feed_next)
            return true;
        if (left <= 0)
            return false;
        ms_futex_wait(&follower->moved, seen, left);
    }
}
