/* wrap_disk_set.h — one set of the disk cache: 64 blocks, what is known of each, and which one goes. Pure.
 *
 * A block has one set in which it may lie (by its hash), and a set's index is one page of 64 entries. So a look-up
 * reads one page whatever the size of the cache, nothing has to be read at the start, and a cache that grows or
 * shrinks keeps what lies in the sets that stay (jump hash).
 *
 * Who goes is decided within the set, by S3-FIFO (Yang et al., SOSP 2023): what is new is "small" and goes first,
 * unless it was read again meanwhile: then it becomes "main". What went and comes back soon is main at once. So one
 * pass over a film that is larger than the cache costs the hot blocks nothing.
 *
 * Entries are written without a sync and may be torn or older than the bytes: each has a checksum of itself, salted
 * with the cache and its place, and one of the block's bytes.
 */
#ifndef MS_OBJECT_WRAP_DISK_SET_H
#define MS_OBJECT_WRAP_DISK_SET_H

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MS_DISK_BLOCK ((size_t)256 << 10)
#define MS_DISK_WAYS 64
#define MS_DISK_SMALL 6 /* blocks of a full set that are on trial: a tenth */

/* Which block: hash of the object's key, and its place in the object in units of MS_DISK_BLOCK. */
struct ms_disk_id {
    uint64_t key[2];
    uint64_t block;
};

enum ms_disk_kind { MS_DISK_FREE, MS_DISK_IS_SMALL, MS_DISK_IS_MAIN };

/* As it lies on the disk, in the machine's byte order (the marker says which). */
struct ms_disk_entry {
    uint64_t check; /* of what follows */
    struct ms_disk_id id;
    uint64_t size;    /* of the whole object */
    uint64_t sum;     /* of the block's bytes */
    uint64_t born_ms; /* when it joined its queue */
    uint32_t length;  /* of the block: shorter at the object's end */
    uint16_t day;     /* since 1970, when it was last read */
    uint8_t kind;     /* enum ms_disk_kind */
    uint8_t zero;
};
struct ms_disk_page {
    struct ms_disk_entry way[MS_DISK_WAYS];
};
MS_STATIC_ASSERT(sizeof(struct ms_disk_entry) == 64, "no entry crosses a sector");
MS_STATIC_ASSERT(sizeof(struct ms_disk_page) == 4096, "a set is one page");

/* What is known of a set in memory only; zero is "nothing". Reads count into freq while others decide. */
#define MS_DISK_BAD 0xff /* the disk cannot read it: never used again by this process */
struct ms_disk_memory {
    uint8_t freq[MS_DISK_WAYS]; /* atomic: reads since it joined its queue, at most 3 */
    uint32_t ghost[MS_DISK_WAYS];
    uint8_t ghost_at;
};

/* sets >= 1. The same id and salt give the same set, or the new last ones when sets grows. */
uint32_t ms_disk_set_of(const struct ms_disk_id *id, uint32_t sets);
/* Way of the block, or -1. Entries that are not whole are not found. */
int ms_disk_find(const struct ms_disk_page *page, uint32_t set, uint64_t salt,
                 const struct ms_disk_id *id);
/* Free the entries that are not whole. */
void ms_disk_clean(struct ms_disk_page *page, uint32_t set, uint64_t salt);

/* A way for a block that is not there; free on return (what it held is freed, *ret_was_used). -1: all are bad.
 * *ret_kind is what it is to become. Needs: a clean page. */
int ms_disk_place(struct ms_disk_page *page, struct ms_disk_memory *memory,
                  const struct ms_disk_id *id, uint64_t now_ms, uint32_t set, uint64_t salt,
                  enum ms_disk_kind *ret_kind, bool *ret_was_used);
/* The way that would go first, freed; -1: none is in use. Needs: a clean page. */
int ms_disk_give_up(struct ms_disk_page *page, struct ms_disk_memory *memory, uint64_t now_ms,
                    uint32_t set, uint64_t salt);
void ms_disk_free_way(struct ms_disk_page *page, int way);
/* Make the entry whole. */
void ms_disk_seal(struct ms_disk_entry *entry, uint32_t set, int way, uint64_t salt);
void ms_disk_count_read(struct ms_disk_memory *memory, int way);
void ms_disk_set_bad(struct ms_disk_memory *memory, int way);

#endif
