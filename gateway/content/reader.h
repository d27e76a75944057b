/* reader.h — verified reads of sealed versions.
 *
 * Every block that leaves the store is compared with its hash; a block that fails is fetched once more, then the
 * read is MS_CORRUPT (EIO) and the damage is logged with object and block. Blocks are kept in one cache per
 * process under a hard byte limit; readers of one block share one fetch.
 *
 * Threads: any; done may come on any thread, also before ms_read_start returns.
 */
#ifndef MS_CONTENT_READER_H
#define MS_CONTENT_READER_H

#include "content/hash.h"
#include "object/object.h"

struct ms_cache;
/* bytes_max: hard limit over all blocks, in flight and kept. */
MS_NODISCARD enum ms_code ms_cache_new(struct ms_obj *obj, struct ms_log *log, uint64_t bytes_max,
                                       struct ms_cache **ret_cache, struct ms_error *reterr);
void ms_cache_free(struct ms_cache *cache); /* needs: no read in flight */

/* An open sealed version. Copied from the records by the service; size 0 never gets here. */
struct ms_source {
    struct ms_object_id object;
    char key[MS_OBJECT_KEY_MAX + 1];
    uint64_t size;
    unsigned block_log2;
    struct ms_hashes hashes; /* owned; empty when the version is not hashed yet: reads are then unverified */
};
void ms_source_fini(struct ms_source *source);

/* One read of [offset, offset + length), inside the size. The caller's memory until done. */
struct ms_read {
    const struct ms_source *source; /* stays until done */
    uint64_t offset;
    size_t length;
    void *into;
    void (*done)(struct ms_read *read);
    void *priv;
    enum ms_code code;
    struct ms_error error;
    /* the reader's */
    size_t missing;
    int pending;
    pthread_mutex_t mutex;
};
void ms_read_start(struct ms_cache *cache, struct ms_read *read);
/* Answer from the cache alone: true when all of it was there. */
bool ms_read_cached(struct ms_cache *cache, const struct ms_source *source, uint64_t offset,
                    size_t length, void *into);
/* The blocking form. */
MS_NODISCARD enum ms_code ms_read_run(struct ms_cache *cache, const struct ms_source *source,
                                      uint64_t offset, size_t length, void *into,
                                      struct ms_error *reterr);
/* Blocks that will likely be wanted next: fetched when memory allows. */
void ms_read_ahead(struct ms_cache *cache, const struct ms_source *source, uint64_t offset,
                   size_t length);

struct ms_cache_stats {
    uint64_t bytes, bytes_max, hits, misses, fetched_bytes, corrupt;
};
void ms_cache_stats(struct ms_cache *cache, struct ms_cache_stats *ret_stats);

#endif
