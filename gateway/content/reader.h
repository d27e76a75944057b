/* reader.h — verified reads of sealed versions.
 *
 * Every block that leaves the store is compared with its hash once, when it arrives; a block that
 * fails is fetched once more, alone and past every cache (fresh), then the reads that want it are
 * MS_CORRUPT (EIO) and the damage is logged with object and block; its neighbours are served. A
 * damaged block is not kept: the next read asks the store again. Blocks are kept in one cache per
 * process under a hard byte limit, in one mapping (content/arena.h); readers of one block share one
 * fetch; missing neighbours are fetched by one GET of at most 4 MiB (and at most a 32nd of the
 * limit). A read for which there is no memory waits in line.
 *
 * In a budget (content/budget.h) the limit goes up and down, never below a least one; what the text
 * here says of the limit holds for the least one where it is about the size of blocks and fetches.
 *
 * What is fetched together is kept and dropped together (a chunk), the least recently used first;
 * what was fetched ahead and not read yet goes last. It may hold three quarters of the limit, which
 * the streams share evenly; how much is fetched ahead of each is content/window.h's.
 *
 * A read copies into the caller's memory, or is lent the blocks themselves: they stay where they
 * are until it is released. No deadlock: whatever holds memory ends without more of it. Fetches and
 * lent reads that are whole do; a lent read that must wait for memory lets go of what it holds
 * first, begins again, and fits beside its own chunks because it may span MS_READ_LENT_MAX blocks
 * at most, none larger than a 32nd of the limit.
 *
 * Threads: any; done may come on any thread, also before ms_read_start returns, with no lock held.
 * A done that starts the next read inside itself may nest as deep as blocks are cached: hand over
 * to the engine instead.
 */
#ifndef MS_CONTENT_READER_H
#define MS_CONTENT_READER_H

#include "base/id.h"
#include "content/hash.h"
#include "content/window.h"
#include "object/object.h"

#include <sys/uio.h>

struct ms_cache;
/* bytes_max: hard limit over all blocks, in flight and kept. Reads of a version whose block is
 * larger than the limit fail with MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_cache_new(struct ms_obj *obj, struct ms_log *log, uint64_t bytes_max,
                                       struct ms_cache **ret_cache, struct ms_error *reterr);
/* The budget's calls. From now on ask it for more when reads find no room; its limits are bytes_least
 * to bytes_max. Needs: nothing was read yet. */
struct ms_budget;
void ms_cache_join(struct ms_cache *cache, struct ms_budget *budget, uint64_t bytes_least);
/* How much it may hold from now on. Beyond that the least recently used blocks go and their pages
 * are the system's. True: it has no more than that; false: what is pinned or on its way does not let
 * it, and nothing comes to it. No read is done in here. */
bool ms_cache_limit(struct ms_cache *cache, uint64_t bytes);
/* Needs: no read in flight; not on a thread of the engine. Waits for what was read ahead. NULL is
 * fine. */
void ms_cache_free(struct ms_cache *cache);

/* An open sealed version. Copied from the records by the service; size 0 never gets here. */
struct ms_source {
    struct ms_object_id object;
    char key[MS_OBJECT_KEY_MAX + 1];
    uint64_t size;
    unsigned block_log2;
    struct ms_hashes
        hashes; /* owned; empty when the version is not hashed yet: reads are then unverified */
};
void ms_source_fini(struct ms_source *source);

struct ms_read_wait; /* a read's share of one chunk */

#define MS_READ_LENT_MAX 8

/* One read of [offset, offset + length), inside the size. The caller's memory until done. */
struct ms_read {
    const struct ms_source *source; /* stays until done */
    uint64_t offset;
    size_t length;
    void *into;                 /* NULL: lent, see ms_read_may_lend() */
    struct ms_cursors *cursors; /* of the handle; NULL: nothing is fetched ahead. Used until
                                   ms_read_start() returns, under the cache's lock */
    void (*done)(struct ms_read *read);
    void *priv;
    enum ms_code code;
    struct ms_error error;
    /* the reader's, under its lock */
    uint64_t next;              /* first block that nothing was arranged for yet */
    unsigned pending;           /* what must still come before done */
    struct ms_read_wait *waits; /* chunks in flight */
    struct ms_read_wait *held;  /* lent: chunks that are there, by offset */
    struct ms_read *link;       /* in line for memory, then in a list of finished ones */
    bool in_line, cancelled;
};
/* Errors, in read->code: MS_CORRUPT damaged or missing in the store; MS_CANCELLED; MS_NO_MEMORY;
 * what the store said. Nothing is promised about the bytes of a failed read. */
void ms_read_start(struct ms_cache *cache, struct ms_read *read);
/* End it early with MS_CANCELLED; done still comes, with whichever result won. What it wanted is
 * fetched all the same. One that is done is left alone; one that was not started yet (its memory is
 * zeroed but for the caller's members) will end at its start. */
void ms_read_cancel(struct ms_cache *cache, struct ms_read *read);
/* Whether a range may be lent: it does not span too many blocks for this cache. */
bool ms_read_may_lend(const struct ms_cache *cache, const struct ms_source *source, uint64_t offset,
                      size_t length);
/* Lent and MS_OK: the bytes, in order. They stay until ms_read_release(). Returns how many pieces. */
size_t ms_read_lent(const struct ms_read *read, struct iovec ret_iov[MS_READ_LENT_MAX]);
/* Every lent read, once it is done, whatever became of it. */
void ms_read_release(struct ms_cache *cache, struct ms_read *read);
/* Answer from the cache alone: true when all of it was there. */
bool ms_read_cached(struct ms_cache *cache, const struct ms_source *source, uint64_t offset,
                    size_t length, void *into);
/* The blocking form; not on a thread of the engine. */
MS_NODISCARD enum ms_code ms_read_run(struct ms_cache *cache, const struct ms_source *source,
                                      uint64_t offset, size_t length, void *into,
                                      struct ms_error *reterr);
/* Blocks that will be wanted next: fetched as far as memory for what is ahead allows. The range is
 * cut at the end of the version; source may go when it returns. */
void ms_read_ahead(struct ms_cache *cache, const struct ms_source *source, uint64_t offset,
                   size_t length);

struct ms_cache_stats {
    uint64_t bytes, bytes_max; /* held now; the limit */
    uint64_t bytes_peak;
    uint64_t limit;   /* that holds now: bytes_max, less what the budget gave to others */
    uint64_t touched; /* memory that the system has given for it: at least bytes */
    uint64_t hits, misses; /* blocks */
    uint64_t fetches, fetched_bytes;
    uint64_t unread;  /* of bytes: fetched ahead, or being so, for nobody yet */
    uint64_t corrupt; /* blocks that were wrong twice, or whose object is gone */
};
void ms_cache_stats(struct ms_cache *cache, struct ms_cache_stats *ret_stats);

#endif
