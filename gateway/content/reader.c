#include "content/reader.h"

#include "base/assert.h"
#include "base/clock.h"
#include "content/arena.h"
#include "content/budget.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FETCH_BYTES_MAX (4 * MS_MB)
#define FETCH_PART 32 /* of the limit: see the header about deadlocks */
#define AHEAD_LEAST (16 * MS_MB)
#define EPOCH_NS INT64_C(1000000000) /* a stream that was not read from for so long has no share */
#define WISH_NS INT64_C(1000000000)  /* how often the budget is asked for more */
#define BUCKETS 16384
#define HITS_AT_ONCE 64 /* chunks that ms_read_cached looks at */

/* One block of a chunk. */
struct slot {
    struct slot *next; /* of its bucket */
    struct chunk *chunk;
    uint64_t hash;
    bool indexed;
    bool suspect;      /* differed once: to be fetched alone */
    enum ms_code code; /* of a block that did not come */
};

/* Neighbouring blocks of one object that were fetched together and lie in one piece of memory.
 *
 *   FETCHING --last answer--> READY --no pin and least recently used, or nothing left of it-->
 * freed
 *
 * Invariants: FETCHING: all slots are indexed, in no list. READY: in one of the lists; damaged
 * slots are not indexed. Memory goes only with pins == 0. unread: fetched ahead and wanted by
 * nobody so far; READY: in the list of those. */
struct chunk {
    struct chunk *newer, *older; /* LRU */
    struct ms_object_id object;
    uint64_t first; /* block */
    uint32_t blocks, indexed;
    unsigned block_log2;
    bool verified, fetching, ahead, unread;
    unsigned pins;
    uint64_t offset; /* in the object */
    size_t length;
    uint8_t *bytes;
    struct ms_read_wait *waits; /* FETCHING */
    struct ms_error error;      /* why slots have a code that is not MS_CORRUPT */
    struct slot slot[];
};

/* A read's share of a chunk. */
struct ms_read_wait {
    struct ms_read *read;
    struct chunk *chunk;
    uint64_t from, to;         /* blocks */
    struct ms_read_wait *next; /* of the chunk, of a list of hits, or of what a read holds */
    struct ms_read_wait *next_of_read;
    enum ms_code code; /* found while copying */
    uint64_t bad;      /* block */
};

/* A chunk's way through the store: gone when it is READY. */
struct flight {
    struct ms_cache *cache;
    struct chunk *chunk;
    struct flight *next;
    struct ms_obj_request request;
    struct ms_task task;
    struct ms_pace_mark mark;
    int64_t came_ns;
    bool is_new;      /* its memory was never used */
    uint64_t size;    /* of the version */
    int64_t retrying; /* slot; -1: the whole chunk */
    char key[MS_OBJECT_KEY_MAX + 1];
};

struct lru {
    struct chunk *newest, *oldest;
};

struct ms_cache {
    struct ms_obj *obj;
    struct ms_log *log;
    uint64_t bytes_max, bytes_least, fetch_max; /* least: what the limit never goes below */
    struct ms_budget *budget;                   /* NULL: the limit stays bytes_max */
    pthread_mutex_t mutex;
    pthread_cond_t idle;
    struct {
        struct slot *bucket[BUCKETS];
        struct ms_arena *arena;
        uint64_t limit;
        int64_t wished_ns;
        struct lru used, unread;
        struct ms_read *line, **line_end; /* reads that wait for memory, first come first served */
        uint64_t ahead_bytes;             /* in flight that were fetched ahead */
        unsigned flights;
        struct ms_pace pace;
        struct { /* streams are counted by the second */
            uint64_t number;
            int64_t began_ns;
            unsigned streams, streams_before;
        } epoch;
        struct ms_cache_stats stats;
    } locked;
};

/* What is to be done when the lock is given up. */
struct work {
    struct flight *submit, **submit_end; /* in the order in which they were made */
    struct ms_read_wait *hits;           /* their chunks are pinned */
    struct ms_read *done;
    bool wish; /* the budget may have more for us */
};

void ms_source_fini(struct ms_source *source) {
    if (source)
        ms_hashes_fini(&source->hashes);
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static struct slot **bucket_of(struct ms_cache *cache, const struct ms_object_id *object,
                               uint64_t block) {
    uint64_t key[3] = {0, 0, block};

    memcpy(key, object->id.b, MS_ID_BYTES);
    return &cache->locked.bucket[ms_block_hash(key, sizeof key) % BUCKETS];
}

static uint64_t block_of(const struct slot *slot) {
    return slot->chunk->first + (uint64_t)(slot - slot->chunk->slot);
}

static bool is_verified(const struct ms_source *source) { return source->hashes.count > 0; }

/* Blocks that were fetched without a hash are not for a reader that has one. */
static struct slot *find(struct ms_cache *cache, const struct ms_source *source, uint64_t block) {
    for (struct slot *s = *bucket_of(cache, &source->object, block); s; s = s->next) {
        const struct chunk *c = s->chunk;

        if (block_of(s) == block && c->verified == is_verified(source) &&
            c->block_log2 == source->block_log2 && ms_object_id_equal(c->object, source->object))
            return s;
    }
    return NULL;
}

static void index_slot(struct ms_cache *cache, struct slot *slot) {
    struct slot **bucket = bucket_of(cache, &slot->chunk->object, block_of(slot));

    slot->next = *bucket;
    *bucket = slot;
    slot->indexed = true;
    slot->chunk->indexed++;
}

static void unindex_slot(struct ms_cache *cache, struct slot *slot) {
    struct slot **at = bucket_of(cache, &slot->chunk->object, block_of(slot));

    while (*at != slot)
        at = &(*at)->next;
    *at = slot->next;
    slot->indexed = false;
    slot->chunk->indexed--;
}

static struct lru *lru_of(struct ms_cache *cache, const struct chunk *chunk) {
    return chunk->unread ? &cache->locked.unread : &cache->locked.used;
}

static void lru_add(struct ms_cache *cache, struct chunk *chunk) {
    struct lru *lru = lru_of(cache, chunk);

    chunk->newer = NULL;
    chunk->older = lru->newest;
    if (chunk->older)
        chunk->older->newer = chunk;
    else
        lru->oldest = chunk;
    lru->newest = chunk;
}

static void lru_remove(struct ms_cache *cache, struct chunk *chunk) {
    struct lru *lru = lru_of(cache, chunk);

    *(chunk->newer ? &chunk->newer->older : &lru->newest) = chunk->older;
    *(chunk->older ? &chunk->older->newer : &lru->oldest) = chunk->newer;
}

/* Somebody wants it, or nobody is expected to any more. */
static void no_longer_unread(struct ms_cache *cache, struct chunk *chunk) {
    if (!chunk->unread)
        return;
    MS_ASSERT(cache->locked.stats.unread >= chunk->length);
    if (!chunk->fetching)
        lru_remove(cache, chunk);
    chunk->unread = false;
    cache->locked.stats.unread -= chunk->length;
    if (!chunk->fetching)
        lru_add(cache, chunk);
}

static void chunk_free(struct ms_cache *cache, struct chunk *chunk) {
    MS_ASSERT(chunk->pins == 0 && !chunk->fetching);
    no_longer_unread(cache, chunk);
    for (uint32_t i = 0; i < chunk->blocks; i++)
        if (chunk->slot[i].indexed)
            unindex_slot(cache, &chunk->slot[i]);
    lru_remove(cache, chunk);
    MS_ASSERT(cache->locked.stats.bytes >= chunk->length);
    cache->locked.stats.bytes -= chunk->length;
    ms_arena_give(cache->locked.arena, chunk->bytes, chunk->length);
    free(chunk);
}

static void unpin(struct ms_cache *cache, struct chunk *chunk) {
    MS_ASSERT(chunk->pins > 0);
    chunk->pins--;
    if (chunk->pins == 0 && chunk->indexed == 0)
        chunk_free(cache, chunk);
}

static struct chunk *victim(const struct lru *lru) {
    struct chunk *chunk = lru->oldest;

    while (chunk && chunk->pins > 0)
        chunk = chunk->newer;
    return chunk;
}

/* Of what was fetched ahead and not read yet, there may be so much. */
static uint64_t unread_max(const struct ms_cache *cache) { return cache->locked.limit / 4 * 3; }

static int64_t now_ns(void) { return ms_clock_mono_ns(ms_clock_system()); }

static void wish_for_more(struct ms_cache *cache, struct work *work) {
    int64_t now;

    if (work->wish || cache->locked.limit == cache->bytes_max) /* once: it is taken off once */
        return;
    now = now_ns();
    if (now - cache->locked.wished_ns < WISH_NS)
        return;
    cache->locked.wished_ns = now;
    cache->locked.flights++; /* until perform() is through: what it submits may be the last that keeps the cache */
    work->wish = true;
}

/* Memory for a chunk, if need be of others. What was fetched ahead makes room for what is wanted
 * only. A run of more than a block is not worth everything that there is. NULL: what is held is
 * pinned or in flight, or the run is not to be had at that price. */
static uint8_t *room_for(struct ms_cache *cache, uint64_t bytes, bool ahead, bool is_block,
                         struct work *work) {
    uint64_t freed = 0;
    uint8_t *p;

    while (!(p = ms_arena_take(cache->locked.arena, bytes))) {
        struct chunk *chunk = victim(&cache->locked.used);

        wish_for_more(cache, work);
        if (!chunk && !ahead)
            chunk = victim(&cache->locked.unread);
        if (!chunk || (!is_block && freed > 4 * bytes))
            return NULL;
        freed += chunk->length;
        chunk_free(cache, chunk);
    }
    return p;
}

static uint64_t bytes_of(const struct ms_source *source, uint64_t block, uint64_t blocks) {
    uint64_t from = block << source->block_log2, to = (block + blocks) << source->block_log2;

    return (to < source->size ? to : source->size) - from;
}

static void on_answer(struct ms_obj_request *request);

static struct flight *flight_new(struct ms_cache *cache, struct chunk *chunk,
                                 const struct ms_source *source) {
    struct flight *f = calloc(1, sizeof *f);

    if (!f)
        return NULL;
    f->cache = cache;
    f->chunk = chunk;
    f->size = source->size;
    f->retrying = -1;
    memcpy(f->key, source->key, sizeof f->key);
    f->request = (struct ms_obj_request){.op = MS_OBJ_GET,
                                         .key = f->key,
                                         .offset = chunk->offset,
                                         .length = chunk->length,
                                         .into = chunk->bytes,
                                         .done = on_answer};
    return f;
}

static void submit_later(struct work *work, struct flight *f) {
    if (!work->submit)
        work->submit_end = &work->submit;
    *work->submit_end = f;
    work->submit_end = &f->next;
}

/* A chunk in flight, in room that was made. NULL: no memory of the machine; the room is given
 * back. */
static struct chunk *chunk_new(struct ms_cache *cache, const struct ms_source *source,
                               uint64_t first, uint64_t blocks, uint8_t *room, struct work *work) {
    struct chunk *c = calloc(1, sizeof *c + blocks * sizeof c->slot[0]);
    struct flight *f;

    if (!c) {
        ms_arena_give(cache->locked.arena, room, (size_t)bytes_of(source, first, blocks));
        return NULL;
    }
    c->object = source->object;
    c->first = first;
    c->blocks = (uint32_t)blocks;
    c->block_log2 = source->block_log2;
    c->verified = is_verified(source);
    c->offset = first << source->block_log2;
    c->length = (size_t)bytes_of(source, first, blocks);
    c->bytes = room;
    f = flight_new(cache, c, source);
    if (!f) {
        ms_arena_give(cache->locked.arena, room, c->length);
        free(c);
        return NULL;
    }
    c->fetching = true;
    for (uint64_t i = 0; i < blocks; i++) {
        c->slot[i].chunk = c;
        c->slot[i].hash = c->verified ? source->hashes.hash[first + i] : 0;
        index_slot(cache, &c->slot[i]);
    }
    cache->locked.stats.bytes += c->length;
    if (cache->locked.stats.bytes > cache->locked.stats.bytes_peak)
        cache->locked.stats.bytes_peak = cache->locked.stats.bytes;
    cache->locked.stats.misses += blocks;
    cache->locked.flights++;
    f->is_new = ms_arena_is_new(cache->locked.arena, room);
    f->mark = ms_pace_sent(&cache->locked.pace, now_ns());
    submit_later(work, f);
    return c;
}

/* ---- reads ----------------------------------------------------------------------------------- */

static uint64_t last_block(const struct ms_read *read) {
    return (read->offset + read->length - 1) >> read->source->block_log2;
}

static void fail_read(struct ms_read *read, enum ms_code code, const char *why) {
    if (!read->code)
        read->code = ms_fail(&read->error, code, "%s, reading %zu bytes at %" PRIu64 " of %s", why,
                             read->length, read->offset, read->source->key);
}

/* One thing less to wait for. */
static void settle(struct ms_read *read, struct work *work) {
    MS_ASSERT(read->pending > 0);
    if (--read->pending > 0)
        return;
    MS_ASSERT(!read->waits && !read->in_line);
    MS_ASSERT(!read->held || !read->into);
    read->link = work->done;
    work->done = read;
}

/* How many blocks from slot on can be had of its chunk. */
static uint64_t good_from(const struct slot *slot) {
    const struct chunk *c = slot->chunk;
    uint32_t i = (uint32_t)(slot - c->slot), n = 0;

    while (i + n < c->blocks && slot[n].indexed)
        n++;
    return n;
}

/* A lent read keeps its share, in the order of the blocks, unless some of it did not come. */
static void hold(struct ms_read *read, struct ms_read_wait *w) {
    struct ms_read_wait **at = &read->held;

    while (*at && (*at)->from < w->from)
        at = &(*at)->next;
    w->next = *at;
    *at = w;
}

/* A share of what is there. The chunk gets a pin. */
static void take_ready(struct ms_cache *cache, struct ms_read_wait *w, struct work *work) {
    struct chunk *c = w->chunk;

    c->pins++;
    lru_remove(cache, c);
    lru_add(cache, c);
    if (!w->read->into) {
        hold(w->read, w);
        settle(w->read, work);
        return;
    }
    w->next = work->hits;
    work->hits = w;
}

/* Take a read's share of the chunk that has its next block. */
static void take_share(struct ms_cache *cache, struct ms_read *read, struct slot *slot, bool is_new,
                       struct work *work) {
    struct chunk *c = slot->chunk;
    uint64_t to = read->next + good_from(slot), end = last_block(read) + 1;
    struct ms_read_wait *w = calloc(1, sizeof *w);

    if (!w) {
        fail_read(read, MS_NO_MEMORY, "out of memory");
        return;
    }
    *w = (struct ms_read_wait){
        .read = read, .chunk = c, .from = read->next, .to = to < end ? to : end};
    if (!is_new)
        cache->locked.stats.hits += w->to - w->from;
    no_longer_unread(cache, c);
    read->pending++;
    read->next = w->to;
    if (!c->fetching) {
        take_ready(cache, w, work);
        return;
    }
    w->next = c->waits;
    c->waits = w;
    w->next_of_read = read->waits;
    read->waits = w;
}

/* Missing neighbours from a block on, up to end and to what one fetch may carry. */
static uint64_t missing_from(struct ms_cache *cache, const struct ms_source *source, uint64_t block,
                             uint64_t end) {
    uint64_t max = cache->fetch_max >> source->block_log2, n = 1;

    while (n < max && block + n < end && !find(cache, source, block + n))
        n++;
    return n;
}

/* Start the fetch of a read's next blocks. False: it must wait in line. */
static bool fetch_next(struct ms_cache *cache, struct ms_read *read, struct work *work) {
    const struct ms_source *source = read->source;
    uint64_t n = missing_from(cache, source, read->next, last_block(read) + 1);
    struct chunk *chunk;
    uint8_t *room;

    while (!(room = room_for(cache, bytes_of(source, read->next, n), false, n == 1, work)) && n > 1)
        n /= 2;
    if (!room)
        return false;
    chunk = chunk_new(cache, source, read->next, n, room, work);
    if (!chunk)
        fail_read(read, MS_NO_MEMORY, "out of memory");
    else
        take_share(cache, read, &chunk->slot[0], true, work);
    return true;
}

static void drop_wait(struct ms_read_wait *w) {
    struct ms_read_wait **at = &w->chunk->waits;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    free(w);
}

static void drop_waits(struct ms_read *read, struct work *work) {
    while (read->waits) {
        struct ms_read_wait *w = read->waits;

        read->waits = w->next_of_read;
        drop_wait(w);
        settle(read, work);
    }
}

static void drop_held(struct ms_cache *cache, struct ms_read *read) {
    while (read->held) {
        struct ms_read_wait *w = read->held;

        read->held = w->next;
        unpin(cache, w->chunk);
        free(w);
    }
}

/* A lent read must not wait for memory while it holds some. Needs: its walk is not over. */
static void begin_again(struct ms_cache *cache, struct ms_read *read, struct work *work) {
    drop_waits(read, work);
    drop_held(cache, read);
    read->next = read->offset >> read->source->block_log2;
}

/* Arrange for all blocks of a read, as far as memory goes. True: its walk is over; false: it waits
 * in line. */
static bool walk(struct ms_cache *cache, struct ms_read *read, bool may_fetch, struct work *work) {
    while (!read->code && read->next <= last_block(read)) {
        struct slot *slot = find(cache, read->source, read->next);

        if (slot)
            take_share(cache, read, slot, false, work);
        else if (!may_fetch || !fetch_next(cache, read, work)) {
            if (!read->into)
                begin_again(cache, read, work);
            return false;
        }
    }
    return true;
}

/* Memory may have come free: go on with those in line. */
static void serve_line(struct ms_cache *cache, struct work *work) {
    struct ms_read *read;

    while ((read = cache->locked.line) != NULL && walk(cache, read, true, work)) {
        cache->locked.line = read->link;
        if (!read->link)
            cache->locked.line_end = &cache->locked.line;
        read->in_line = false;
        settle(read, work);
    }
}

static void stand_in_line(struct ms_cache *cache, struct ms_read *read) {
    read->link = NULL;
    read->in_line = true;
    *cache->locked.line_end = read;
    cache->locked.line_end = &read->link;
}

static void leave_line(struct ms_cache *cache, struct ms_read *read) {
    struct ms_read **at = &cache->locked.line;

    while (*at != read)
        at = &(*at)->link;
    *at = read->link;
    if (!*at)
        cache->locked.line_end = at;
    read->in_line = false;
}

/* Note the first block of a share that did not come. */
static void judge_share(struct ms_read_wait *w) {
    const struct chunk *c = w->chunk;

    for (uint64_t block = w->from; block < w->to && !w->code; block++) {
        w->code = c->slot[block - c->first].code;
        w->bad = block;
    }
}

/* The bytes of a share, as far as the read wants them. The chunk is pinned. */
static struct iovec bytes_of_share(const struct ms_read_wait *w, const struct ms_read *read) {
    const struct chunk *c = w->chunk;
    uint64_t from = w->from << c->block_log2, to = w->to << c->block_log2;

    from = from > read->offset ? from : read->offset;
    to = to < read->offset + read->length ? to : read->offset + read->length;
    return (struct iovec){c->bytes + (from - c->offset), (size_t)(to - from)};
}

static void copy_share(struct ms_read_wait *w) {
    const struct ms_read *read = w->read;
    struct iovec bytes;
    uint64_t from = w->from << w->chunk->block_log2;

    judge_share(w);
    if (w->code)
        return;
    bytes = bytes_of_share(w, read);
    from = from > read->offset ? from - read->offset : 0;
    memcpy((uint8_t *)read->into + from, bytes.iov_base, bytes.iov_len);
}

static void fail_share(struct ms_read_wait *w) {
    struct ms_read *read = w->read;

    if (w->code == MS_CORRUPT && !read->code)
        read->code = ms_fail(&read->error, MS_CORRUPT,
                             "block %" PRIu64 " (%" PRIu64 " bytes at %" PRIu64
                             ") of %s is damaged in the store, fetched twice",
                             w->bad, bytes_of(read->source, w->bad, 1),
                             w->bad << read->source->block_log2, read->source->key);
    else if (w->code && !read->code) {
        read->error = w->chunk->error;
        read->code = w->code;
    }
}

static void settle_share(struct ms_cache *cache, struct ms_read_wait *w, struct work *work) {
    struct ms_read *read = w->read;

    fail_share(w);
    unpin(cache, w->chunk);
    free(w);
    settle(read, work);
}

/* Do what was arranged under the lock, and what that sets free, until nothing is left. Calls done
 * last: after that the cache may be gone. */
static void perform(struct ms_cache *cache, struct work *work) {
    while (work->submit || work->hits || work->wish) {
        struct flight *f = MS_TAKE(work->submit);
        struct ms_read_wait *hits = MS_TAKE(work->hits);

        while (f) {
            struct flight *next = f->next;

            if (f->is_new)
                ms_arena_touch(f->request.into, f->request.length);
            ms_obj_submit(cache->obj, &f->request);
            f = next;
        }
        for (struct ms_read_wait *w = hits; w; w = w->next)
            copy_share(w);
        bool wished = work->wish;
        work->wish = false;
        if (wished)
            ms_budget_wish(cache->budget, now_ns());
        else if (!hits)
            break;
        pthread_mutex_lock(&cache->mutex);
        while (hits) {
            struct ms_read_wait *next = hits->next;

            settle_share(cache, hits, work);
            hits = next;
        }
        serve_line(cache, work);
        if (wished && --cache->locked.flights == 0)
            pthread_cond_broadcast(&cache->idle);
        pthread_mutex_unlock(&cache->mutex);
    }
    while (work->done) {
        struct ms_read *read = work->done;

        work->done = read->link;
        read->done(read);
    }
}

/* ---- ahead ----------------------------------------------------------------------------------- */

/* Whether so much more may be on its way ahead; what nobody came for in all this time gives up its
 * place. */
static bool may_fetch_ahead(struct ms_cache *cache, uint64_t bytes, uint64_t flying_max) {
    if (cache->locked.line || cache->locked.ahead_bytes + bytes > flying_max)
        return false;
    while (cache->locked.stats.unread + bytes > unread_max(cache) && cache->locked.unread.oldest)
        no_longer_unread(cache, cache->locked.unread.oldest);
    return cache->locked.stats.unread + bytes <= unread_max(cache);
}

/* Fetch what is missing of a plan. Returns the byte up to which it is there or on its way. */
static uint64_t fetch_ahead(struct ms_cache *cache, const struct ms_source *source,
                            const struct ms_ahead *plan, uint64_t flying_max, struct work *work) {
    uint64_t piece = plan->piece_bytes >> source->block_log2;
    uint64_t block = plan->from >> source->block_log2;
    uint64_t end = plan->from < plan->to ? ((plan->to - 1) >> source->block_log2) + 1 : block;

    piece = piece ? piece : 1;
    while (block < end) {
        uint64_t cut = (block / piece + 1) * piece, n, bytes;
        struct chunk *chunk;
        uint8_t *room;

        if (find(cache, source, block)) {
            block++;
            continue;
        }
        n = missing_from(cache, source, block, cut < end ? cut : end);
        bytes = bytes_of(source, block, n);
        if (!may_fetch_ahead(cache, bytes, flying_max) ||
            !(room = room_for(cache, bytes, true, n == 1, work)) ||
            !(chunk = chunk_new(cache, source, block, n, room, work)))
            break;
        chunk->ahead = chunk->unread = true;
        cache->locked.ahead_bytes += bytes;
        cache->locked.stats.unread += bytes;
        block += n;
    }
    return block < end ? block << source->block_log2 : plan->to;
}

/* How many streams there are: those that were seen in this second or the one before. */
static uint64_t count_stream(struct ms_cache *cache, struct ms_cursor *cursor) {
    int64_t now = now_ns(), age = now - cache->locked.epoch.began_ns;

    if (age >= EPOCH_NS) {
        cache->locked.epoch.streams_before = age < 2 * EPOCH_NS ? cache->locked.epoch.streams : 0;
        cache->locked.epoch.streams = 0;
        cache->locked.epoch.number++;
        cache->locked.epoch.began_ns = now;
    }
    if (cursor && cursor->epoch != cache->locked.epoch.number) {
        cursor->epoch = cache->locked.epoch.number;
        cache->locked.epoch.streams++;
    }
    return cache->locked.epoch.streams > cache->locked.epoch.streams_before
               ? cache->locked.epoch.streams
               : cache->locked.epoch.streams_before;
}

/* What lies before a stream is fetched, within its share, and within what the store has under way
 * at once: more would make everybody wait for what nobody needs yet. */
static void follow(struct ms_cache *cache, struct ms_read *read, bool missed, struct work *work) {
    const struct ms_source *source = read->source;
    uint64_t streams = count_stream(cache, NULL), flying_max, reached;
    struct ms_ahead plan = ms_cursors_note(
        read->cursors, &(struct ms_look){.offset = read->offset,
                                         .length = read->length,
                                         .size = source->size,
                                         .block_log2 = source->block_log2,
                                         .missed = missed,
                                         .share_bytes = unread_max(cache) / (streams ? streams : 1),
                                         .piece_bytes_max = cache->fetch_max,
                                         .pace = &cache->locked.pace});

    if (!plan.is_stream)
        return;
    streams = count_stream(cache, plan.cursor);
    flying_max = ms_pace_window(&cache->locked.pace, plan.piece_bytes);
    flying_max = flying_max > AHEAD_LEAST ? flying_max : AHEAD_LEAST;
    if (flying_max < streams * plan.piece_bytes)
        flying_max = streams * plan.piece_bytes;
    reached = fetch_ahead(cache, source, &plan, flying_max, work);
    if (reached > plan.cursor->ahead || missed)
        plan.cursor->ahead = reached;
}

static enum ms_code check_read(const struct ms_cache *cache, const struct ms_source *source,
                               struct ms_error *reterr) {
    uint64_t blocks = ms_block_count(source->size, source->block_log2);

    if (is_verified(source) && source->hashes.count != blocks)
        return ms_fail(reterr, MS_CORRUPT,
                       "%" PRIu64 " block hashes are kept for %s, which has %" PRIu64,
                       source->hashes.count, source->key, blocks);
    if (UINT64_C(1) << source->block_log2 > cache->bytes_least)
        return ms_fail(reterr, MS_NO_MEMORY,
                       "a block of %s is larger than the %" PRIu64
                       " bytes that the cache may hold at any time",
                       source->key, cache->bytes_least);
    return MS_OK;
}

void ms_read_start(struct ms_cache *cache, struct ms_read *read) {
    const struct ms_source *source = read->source;
    struct work work = {0};
    uint64_t before;
    bool is_whole;

    MS_ASSERT(read->into || read->length == 0 ||
              ms_read_may_lend(cache, source, read->offset, read->length));
    MS_ASSERT(read->offset <= source->size && read->length <= source->size - read->offset);
    pthread_mutex_lock(&cache->mutex);
    read->code = MS_OK;
    read->error = (struct ms_error){0};
    read->next = read->offset >> source->block_log2;
    read->pending = 1; /* the walk */
    read->waits = read->held = NULL;
    read->in_line = false;
    if (read->cancelled)
        fail_read(read, MS_CANCELLED, "cancelled");
    else if (read->length > 0)
        read->code = check_read(cache, source, &read->error);
    before = cache->locked.stats.misses;
    is_whole = read->length == 0 || walk(cache, read, !cache->locked.line, &work);
    if (read->cursors && read->length > 0 && !read->code)
        follow(cache, read, !is_whole || cache->locked.stats.misses > before, &work);
    if (is_whole)
        settle(read, &work);
    else
        stand_in_line(cache, read);
    pthread_mutex_unlock(&cache->mutex);
    perform(cache, &work);
}

bool ms_read_may_lend(const struct ms_cache *cache, const struct ms_source *source, uint64_t offset,
                      size_t length) {
    uint64_t first = offset >> source->block_log2;

    return length > 0 && ((offset + length - 1) >> source->block_log2) - first < MS_READ_LENT_MAX &&
           UINT64_C(1) << source->block_log2 <= cache->bytes_least / FETCH_PART;
}

size_t ms_read_lent(const struct ms_read *read, struct iovec ret_iov[MS_READ_LENT_MAX]) {
    size_t n = 0;

    MS_ASSERT(!read->into && !read->code);
    for (const struct ms_read_wait *w = read->held; w; w = w->next) {
        MS_ASSERT(n < MS_READ_LENT_MAX);
        ret_iov[n++] = bytes_of_share(w, read);
    }
    return n;
}

void ms_read_release(struct ms_cache *cache, struct ms_read *read) {
    struct work work = {0};

    pthread_mutex_lock(&cache->mutex);
    MS_ASSERT(read->pending == 0);
    drop_held(cache, read);
    serve_line(cache, &work);
    pthread_mutex_unlock(&cache->mutex);
    perform(cache, &work);
}

void ms_read_cancel(struct ms_cache *cache, struct ms_read *read) {
    struct work work = {0};

    pthread_mutex_lock(&cache->mutex);
    read->cancelled = true; /* for a start that comes later */
    if (read->pending > 0)
        fail_read(read, MS_CANCELLED, "cancelled");
    drop_waits(read, &work);
    if (read->in_line) {
        leave_line(cache, read);
        settle(read, &work);
        serve_line(cache, &work); /* the next one may want less */
    }
    pthread_mutex_unlock(&cache->mutex);
    perform(cache, &work);
}

static void open_latch(struct ms_read *read) { ms_latch_open(read->priv); }

enum ms_code ms_read_run(struct ms_cache *cache, const struct ms_source *source, uint64_t offset,
                         size_t length, void *into, struct ms_error *reterr) {
    struct ms_latch latch;
    struct ms_read read = {.source = source,
                           .offset = offset,
                           .length = length,
                           .into = into,
                           .done = open_latch,
                           .priv = &latch};

    ms_latch_init(&latch);
    ms_read_start(cache, &read);
    ms_latch_wait(&latch);
    if (read.code && reterr)
        *reterr = read.error;
    return read.code;
}

/* Pin the chunks that hold [*first, end). True when all are READY and fit into the list. */
static bool pin_all(struct ms_cache *cache, const struct ms_source *source, uint64_t first,
                    uint64_t end, struct ms_read_wait *hits, size_t *ret_n) {
    while (first < end) {
        struct slot *slot = find(cache, source, first);
        uint64_t to;

        if (!slot || slot->chunk->fetching || *ret_n == HITS_AT_ONCE)
            return false;
        to = first + good_from(slot);
        hits[*ret_n] =
            (struct ms_read_wait){.chunk = slot->chunk, .from = first, .to = to < end ? to : end};
        (*ret_n)++;
        slot->chunk->pins++;
        first = to;
    }
    return true;
}

bool ms_read_cached(struct ms_cache *cache, const struct ms_source *source, uint64_t offset,
                    size_t length, void *into) {
    struct ms_read read = {.source = source, .offset = offset, .length = length, .into = into};
    uint64_t first = offset >> source->block_log2;
    struct ms_read_wait hits[HITS_AT_ONCE];
    struct work work = {0};
    size_t n = 0;
    bool all;

    MS_ASSERT(offset <= source->size && length <= source->size - offset);
    if (length == 0)
        return true;
    pthread_mutex_lock(&cache->mutex);
    all = pin_all(cache, source, first, last_block(&read) + 1, hits, &n);
    if (all) {
        cache->locked.stats.hits += last_block(&read) + 1 - first;
        pthread_mutex_unlock(&cache->mutex);
        for (size_t i = 0; i < n; i++) {
            hits[i].read = &read;
            copy_share(&hits[i]);
            MS_ASSERT(!hits[i].code);
        }
        pthread_mutex_lock(&cache->mutex);
    }
    for (size_t i = 0; i < n; i++) {
        if (all) {
            no_longer_unread(cache, hits[i].chunk);
            lru_remove(cache, hits[i].chunk);
            lru_add(cache, hits[i].chunk);
        }
        unpin(cache, hits[i].chunk);
    }
    serve_line(cache, &work);
    pthread_mutex_unlock(&cache->mutex);
    perform(cache, &work);
    return all;
}

void ms_read_ahead(struct ms_cache *cache, const struct ms_source *source, uint64_t offset,
                   size_t length) {
    struct work work = {0};
    struct ms_ahead ahead = {.from = offset, .piece_bytes = cache->fetch_max};

    if (offset >= source->size || length == 0 || check_read(cache, source, NULL) != MS_OK)
        return;
    ahead.to = length < source->size - offset ? offset + length : source->size;
    pthread_mutex_lock(&cache->mutex);
    (void)fetch_ahead(cache, source, &ahead, unread_max(cache), &work);
    pthread_mutex_unlock(&cache->mutex);
    perform(cache, &work);
}

/* ---- what comes back ------------------------------------------------------------------------- */

static void on_chunk(struct ms_task *task);

/* Hashing is not for the driver's thread, which may serve all transfers. */
static void on_answer(struct ms_obj_request *request) {
    struct flight *f = MS_CONTAINER_OF(request, struct flight, request);

    f->came_ns = now_ns();
    f->task.run = on_chunk;
    ms_engine_post(f->cache->obj->engine, &f->task);
}

static void log_block(const struct flight *f, uint32_t i, enum ms_log_level level,
                      const char *event) {
    const struct chunk *c = f->chunk;
    char block[24], offset[24];

    snprintf(block, sizeof block, "%" PRIu64, c->first + i);
    snprintf(offset, sizeof offset, "%" PRIu64, c->offset + ((uint64_t)i << c->block_log2));
    ms_log_event(f->cache->log, level, event, "object", ms_id_text(c->object.id).s, "key", f->key,
                 "block", block, "offset", offset, "reason",
                 f->request.code ? f->request.error.message : "bytes differ from their hash", NULL);
}

static size_t slot_bytes(const struct chunk *c, uint32_t i) {
    size_t from = (size_t)i << c->block_log2, block = (size_t)1 << c->block_log2;

    return c->length - from < block ? c->length - from : block;
}

static bool slot_is_right(const struct flight *f, uint32_t i) {
    const struct chunk *c = f->chunk;

    if (c->verified)
        return ms_block_hash(c->bytes + ((size_t)i << c->block_log2), slot_bytes(c, i)) ==
               c->slot[i].hash;
    return f->request.ret_size == f->size; /* all that is known of it */
}

/* The answer says that the bytes themselves are wrong. */
static bool is_damage(enum ms_code code) {
    return code == MS_RANGE || code == MS_CORRUPT || code == MS_MISMATCH;
}

/* A smaller question may not meet it: a short object, a bad sector, an answer that was cut off. */
static bool may_be_partial(enum ms_code code) {
    return is_damage(code) || code == MS_PROTOCOL || code == MS_IO;
}

/* The first answer, for a block among others. */
static void judge_first(struct flight *f, uint32_t i) {
    struct slot *slot = &f->chunk->slot[i];
    enum ms_code code = f->request.code;

    if (!code && slot_is_right(f, i))
        return;
    if (!code || may_be_partial(code)) {
        slot->suspect = true;
        if (!code)
            log_block(f, i, MS_LOG_WARN, "block_differs");
    } else if (code == MS_NOT_FOUND) { /* a sealed version's object is never gone */
        slot->code = MS_CORRUPT;
        log_block(f, i, MS_LOG_ERROR, "object_missing");
    } else {
        slot->code = code;
        f->chunk->error = f->request.error;
    }
}

/* The second answer, for this block alone. */
static void judge_second(struct flight *f, uint32_t i) {
    struct slot *slot = &f->chunk->slot[i];
    enum ms_code code = f->request.code;

    slot->suspect = false;
    if (!code && slot_is_right(f, i))
        return;
    if (!code || is_damage(code) || code == MS_NOT_FOUND) {
        slot->code = MS_CORRUPT;
        log_block(f, i, MS_LOG_ERROR, "block_damaged");
    } else {
        slot->code = code;
        f->chunk->error = f->request.error;
    }
}

/* Ask again for the next block that differed. False: there is none. */
static bool refetch(struct flight *f) {
    struct chunk *c = f->chunk;

    for (uint32_t i = 0; i < c->blocks; i++) {
        if (!c->slot[i].suspect)
            continue;
        f->retrying = i;
        f->request = (struct ms_obj_request){.op = MS_OBJ_GET,
                                             .key = f->key,
                                             .offset = c->offset + ((uint64_t)i << c->block_log2),
                                             .length = slot_bytes(c, i),
                                             .into = c->bytes + ((size_t)i << c->block_log2),
                                             .fresh = true, /* a disk cache has the wrong bytes now */
                                             .done = on_answer};
        ms_obj_submit(f->cache->obj, &f->request);
        return true;
    }
    return false;
}

/* The share of a read that waited for the chunk. */
static void hand_out(struct chunk *c, struct ms_read_wait *w, struct work *work) {
    struct ms_read_wait **of_read = &w->read->waits;

    while (*of_read != w)
        of_read = &(*of_read)->next_of_read;
    *of_read = w->next_of_read; /* no cancelling from here on: its bytes are copied now */
    c->pins++;
    if (w->read->into) {
        w->next = work->hits;
        work->hits = w;
        return;
    }
    judge_share(w);
    fail_share(w);
    hold(w->read, w);
    settle(w->read, work);
}

/* All answers are in: hand out what came, forget what did not. */
static void chunk_ready(struct ms_cache *cache, struct chunk *c, struct work *work) {
    c->fetching = false;
    lru_add(cache, c);
    c->pins++;
    if (c->ahead)
        cache->locked.ahead_bytes -= c->length;
    for (uint32_t i = 0; i < c->blocks; i++) {
        if (c->slot[i].code == MS_OK)
            continue;
        cache->locked.stats.corrupt += c->slot[i].code == MS_CORRUPT;
        unindex_slot(cache, &c->slot[i]);
    }
    while (c->waits) {
        struct ms_read_wait *w = c->waits;

        c->waits = w->next;
        hand_out(c, w, work);
    }
    unpin(cache, c);
    serve_line(cache, work);
}

static void on_chunk(struct ms_task *task) {
    struct flight *f = MS_CONTAINER_OF(task, struct flight, task);
    struct ms_cache *cache = f->cache;
    struct chunk *c = f->chunk;
    struct work work = {0};
    uint64_t got = f->request.code ? 0 : f->request.length;

    if (f->retrying >= 0)
        judge_second(f, (uint32_t)f->retrying);
    for (uint32_t i = 0; f->retrying < 0 && i < c->blocks; i++)
        judge_first(f, i);
    pthread_mutex_lock(&cache->mutex);
    cache->locked.stats.fetches++;
    cache->locked.stats.fetched_bytes += got;
    if (f->retrying < 0)
        ms_pace_came(&cache->locked.pace, &f->mark, got, f->came_ns);
    pthread_mutex_unlock(&cache->mutex);
    if (refetch(f))
        return;
    free(f);
    pthread_mutex_lock(&cache->mutex);
    chunk_ready(cache, c, &work);
    pthread_mutex_unlock(&cache->mutex);
    perform(cache, &work);
    pthread_mutex_lock(&cache->mutex);
    if (--cache->locked.flights == 0)
        pthread_cond_broadcast(&cache->idle);
    pthread_mutex_unlock(&cache->mutex);
}

/* ---- the cache ------------------------------------------------------------------------------- */

static void set_least(struct ms_cache *cache, uint64_t bytes) {
    cache->bytes_least = bytes;
    cache->fetch_max = FETCH_BYTES_MAX;
    while (cache->fetch_max > bytes / FETCH_PART && cache->fetch_max > 1)
        cache->fetch_max /= 2;
}

void ms_cache_join(struct ms_cache *cache, struct ms_budget *budget, uint64_t bytes_least) {
    MS_ASSERT(!cache->budget && bytes_least > 0 && bytes_least <= cache->bytes_max);
    cache->budget = budget;
    set_least(cache, bytes_least);
}

/* The least recently used ones first; those fetched ahead last. What is pinned or in flight stays. */
static void evict(struct ms_cache *cache) {
    struct chunk *chunk;

    while (ms_arena_used(cache->locked.arena) > cache->locked.limit) {
        chunk = victim(&cache->locked.used);
        if (!chunk)
            chunk = victim(&cache->locked.unread);
        if (!chunk)
            return;
        chunk_free(cache, chunk);
    }
}

/* The lock is given up while the system takes pages. */
static void trim(struct ms_cache *cache) {
    struct ms_arena *arena = cache->locked.arena;
    bool dropped = true;
    size_t n;
    void *run;

    while (dropped && (n = ms_arena_spare(arena, &run)) > 0) {
        pthread_mutex_unlock(&cache->mutex);
        dropped = ms_arena_drop(run, n);
        pthread_mutex_lock(&cache->mutex);
        ms_arena_give_spare(arena, run, n, dropped);
    }
}

bool ms_cache_limit(struct ms_cache *cache, uint64_t bytes) {
    bool is_within;

    MS_ASSERT(bytes >= cache->bytes_least && bytes <= cache->bytes_max);
    pthread_mutex_lock(&cache->mutex);
    cache->locked.limit = bytes;
    ms_arena_limit(cache->locked.arena, bytes);
    evict(cache);
    trim(cache);
    is_within = ms_arena_touched(cache->locked.arena) <= bytes;
    pthread_mutex_unlock(&cache->mutex);
    return is_within;
}

enum ms_code ms_cache_new(struct ms_obj *obj, struct ms_log *log, uint64_t bytes_max,
                          struct ms_cache **ret_cache, struct ms_error *reterr) {
    struct ms_cache *cache = calloc(1, sizeof *cache);

    MS_ASSERT(obj && obj->engine);
    if (!cache)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a cache");
    cache->obj = obj;
    cache->log = log;
    if (ms_arena_new(bytes_max, &cache->locked.arena, reterr) != MS_OK) {
        free(cache);
        return MS_NO_MEMORY;
    }
    cache->bytes_max = cache->locked.limit = bytes_max;
    set_least(cache, bytes_max);
    cache->locked.line_end = &cache->locked.line;
    pthread_mutex_init(&cache->mutex, NULL);
    pthread_cond_init(&cache->idle, NULL);
    *ret_cache = cache;
    return MS_OK;
}

void ms_cache_free(struct ms_cache *cache) {
    if (!cache)
        return;
    pthread_mutex_lock(&cache->mutex);
    while (cache->locked.flights > 0)
        pthread_cond_wait(&cache->idle, &cache->mutex);
    MS_ASSERT(!cache->locked.line);
    pthread_mutex_unlock(&cache->mutex);
    if (cache->budget)
        ms_budget_remove_cache(cache->budget);
    pthread_mutex_lock(&cache->mutex);
    while (cache->locked.used.oldest)
        chunk_free(cache, cache->locked.used.oldest);
    while (cache->locked.unread.oldest)
        chunk_free(cache, cache->locked.unread.oldest);
    MS_ASSERT(cache->locked.stats.bytes == 0 && ms_arena_used(cache->locked.arena) == 0);
    ms_arena_free(cache->locked.arena);
    pthread_mutex_unlock(&cache->mutex);
    pthread_cond_destroy(&cache->idle);
    pthread_mutex_destroy(&cache->mutex);
    free(cache);
}

void ms_cache_stats(struct ms_cache *cache, struct ms_cache_stats *ret_stats) {
    pthread_mutex_lock(&cache->mutex);
    *ret_stats = cache->locked.stats;
    ret_stats->limit = cache->locked.limit;
    ret_stats->touched = ms_arena_touched(cache->locked.arena);
    pthread_mutex_unlock(&cache->mutex);
    ret_stats->bytes_max = cache->bytes_max;
}
