/* stage.h — the local staging area of one open file: what was written and is not sealed yet.
 *
 * The bytes, in memory as far as it goes (MS_STAGE_MEMORY_BYTES for all stages) and beyond that in a
 * sparse file without a name in the journal folder at the same offsets; and the runs that were
 * written (dirty) or fetched from the base version (clean). Every written
 * byte is kept until the seal, because parts cannot be read back from every store; fetched ones may
 * be dropped and fetched again. The folder's limit is shared by all stages of a process: beyond it
 * a write is MS_NO_SPACE naming the limit.
 *
 * A body that is sent from memory is a view, which never changes. From the file it is read while a
 * writer may go on. So each change counts
 * a generation up and leaves its number at every 8 MiB grain that it touches, *before* the first
 * byte changes: who read a range after generation g and finds ms_stage_touched() <= g afterwards
 * has read one state of it, never a torn one.
 *
 * Invariants: extents are disjoint, sorted, merged when they touch and are of one kind; none
 * reaches behind size.
 * Threads: one lock of its own; any thread. See: design.md sections 4 and 5.
 */
#ifndef MS_CONTENT_STAGE_H
#define MS_CONTENT_STAGE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The journal folder of a process: <store>/journal/<instance>/, made when missing (0700), locked by
 * its owner, removed with its last stage. Stages leave no names in it: after a crash nothing is
 * left to clean up. bytes_max  of all stages, in pages of 4 KiB that hold data; holes are free
 * Errors: MS_BUSY another process has it; MS_IO, MS_READ_ONLY, MS_DENIED from the file system. On a
 * full disk the folder is made with the first stage: who only deletes needs none. */
struct ms_journal;
MS_NODISCARD enum ms_code ms_journal_open(const char *dir, uint64_t bytes_max,
                                          struct ms_journal **ret_journal, struct ms_error *reterr);
void ms_journal_close(struct ms_journal *journal); /* its stages may live on; NULL is fine */
uint64_t ms_journal_bytes(struct ms_journal *journal);

/* A file without a name in the folder, for bytes on their way that are no stage: all of them are counted
 * against the limit at once, so that what the disk cannot hold is refused before it comes. Errors:
 * MS_NO_SPACE naming the limit; what the file system says. */
struct ms_scratch {
    struct ms_journal *journal; /* NULL: none is open */
    uint64_t bytes;
    int fd;
};
MS_NODISCARD enum ms_code ms_scratch_open(struct ms_journal *journal, uint64_t bytes,
                                          struct ms_scratch *ret_scratch, struct ms_error *reterr);
void ms_scratch_close(struct ms_scratch *scratch); /* {0} is fine */

/* What stages may hold in memory, all together: thirteen parts, enough for a store of 1 GB/s that is
 * 100 ms away. */
#define MS_STAGE_MEMORY_BYTES (UINT64_C(104) << 20)
/* Within a budget for memory, before the first stage; it must live as long as the stages do. */
struct ms_budget;
void ms_journal_join(struct ms_journal *journal, struct ms_budget *budget);
void ms_journal_limit_memory(struct ms_journal *journal,
                             uint64_t bytes_max);       /* for tests; 0: none */
uint64_t ms_journal_memory(struct ms_journal *journal); /* that is held now */

struct ms_stage;
/* Empty, size 0. */
MS_NODISCARD enum ms_code ms_stage_open(struct ms_journal *journal, struct ms_stage **ret_stage,
                                        struct ms_error *reterr);
void ms_stage_close(struct ms_stage *stage); /* bytes are gone; NULL is fine */
/* The file rests on a base version of that size: until written, [0, size) is absent here and to be
 * had there. Needs: an untouched stage. Errors: MS_IO. */
MS_NODISCARD enum ms_code ms_stage_set_base(struct ms_stage *stage, uint64_t size,
                                            struct ms_error *reterr);

/* Write bytes as dirty. size grows to offset + n at least; a gap before offset becomes a dirty
 * hole. Errors: MS_NO_SPACE, MS_TOO_LARGE, MS_IO, MS_NO_MEMORY; then size is as before, and of the
 * range within size a first part may have been written, as with write(2). */
MS_NODISCARD enum ms_code ms_stage_write(struct ms_stage *stage, uint64_t offset, const void *p,
                                         size_t n, struct ms_error *reterr);
/* Bytes of the base version, kept so that a part is whole: only where nothing was written
 * meanwhile. */
MS_NODISCARD enum ms_code ms_stage_fill(struct ms_stage *stage, uint64_t offset, const void *p,
                                        size_t n, struct ms_error *reterr);
/* Forget filled bytes of a range: they are absent again and their space is free. */
void ms_stage_unfill(struct ms_stage *stage, uint64_t offset, uint64_t n);
/* Change the size; what is cut off is forgotten, what is gained is a dirty hole of zeros. Errors:
 * MS_IO, MS_TOO_LARGE, MS_NO_MEMORY; nothing changed. */
MS_NODISCARD enum ms_code ms_stage_truncate(struct ms_stage *stage, uint64_t size,
                                            struct ms_error *reterr);
/* A dirty range of zeros that takes no space; size grows to offset + n at least. */
MS_NODISCARD enum ms_code ms_stage_zero(struct ms_stage *stage, uint64_t offset, uint64_t n,
                                        struct ms_error *reterr);

uint64_t ms_stage_size(struct ms_stage *stage); /* never waits */
/* Counts up with every write, zero and truncate: who sealed generation g knows whether there is
 * more. Never waits. */
uint64_t ms_stage_generation(struct ms_stage *stage);
/* The highest generation that touched the grains of a range; 0: none. */
uint64_t ms_stage_touched(struct ms_stage *stage, uint64_t offset, uint64_t length);

struct ms_extent {
    uint64_t offset, length;
    bool present, dirty; /* present: in the stage; else the base version has it */
    bool hole;           /* present, zeros that take no space */
};
/* The extent that holds offset, cut to at most length bytes; length 0 at the end of the file. */
struct ms_extent ms_stage_extent(struct ms_stage *stage, uint64_t offset, uint64_t length);
/* Whether any dirty byte lies in the range. */
bool ms_stage_dirty_in(struct ms_stage *stage, uint64_t offset, uint64_t length);

/* Whether every byte of the range is dirty data: no hole, none absent, none behind size. Cost:
 * O(log n). */
bool ms_stage_written_in(struct ms_stage *stage, uint64_t offset, uint64_t length);

/* One moment of a range. */
struct ms_stage_state {
    uint64_t generation, size;
    uint64_t touched; /* ms_stage_touched of the range */
    bool whole;       /* no byte of the range (within size) is absent */
};
struct ms_stage_state ms_stage_state(struct ms_stage *stage, uint64_t offset, uint64_t length);

/* Read bytes that are present. Errors: MS_IO; MS_CONFLICT: not all of them are (any more), ask for
 * the extent. */
MS_NODISCARD enum ms_code ms_stage_read(struct ms_stage *stage, uint64_t offset, void *p, size_t n,
                                        struct ms_error *reterr);
/* Extent and bytes in one step: the extent that holds offset, cut to n, and its bytes in p when it
 * is present. This is how an open file is read: between ms_stage_extent and ms_stage_read the range
 * may change. Errors: MS_IO. */
MS_NODISCARD enum ms_code ms_stage_pull(struct ms_stage *stage, uint64_t offset, void *p, size_t n,
                                        struct ms_extent *ret_extent, struct ms_error *reterr);
/* Bytes of one grain, as they are now, if they are in memory: they do not change until the view
 * ends, because who writes there meanwhile gets a copy. Errors: MS_CONFLICT not all present or behind
 * size; MS_UNSUPPORTED not in memory, or in more than one grain. */
struct ms_slab;
struct ms_stage_view {
    const uint8_t *bytes;
    uint64_t generation;
    struct ms_slab *slab;
};
MS_NODISCARD enum ms_code ms_stage_view(struct ms_stage *stage, uint64_t offset, uint64_t n,
                                        struct ms_stage_view *ret_view, struct ms_error *reterr);
/* The same of bytes that are in the file, read into memory. Errors: MS_CONFLICT; MS_IO; MS_UNSUPPORTED
 * there is no memory, or more than a grain. Waits for the disk. */
MS_NODISCARD enum ms_code ms_stage_load(struct ms_stage *stage, uint64_t offset, uint64_t n,
                                        struct ms_stage_view *ret_view, struct ms_error *reterr);
void ms_stage_view_end(struct ms_stage_view *view); /* {0} is fine */
/* Have the bytes of a range in the file, for a body that is read from there; the fd is the stage's.
 * Errors: MS_IO, MS_NO_SPACE. */
MS_NODISCARD enum ms_code ms_stage_file(struct ms_stage *stage, uint64_t offset, uint64_t n,
                                        int *ret_fd, struct ms_error *reterr);
/* It holds its share of the memory: more bytes push some into the file. Never waits: who asks may hold
 * a lock or be a timer, while a writer brings bytes to the disk. */
bool ms_stage_is_crowded(struct ms_stage *stage);
unsigned ms_stage_share(struct ms_stage *stage); /* grains; at least 2. Never waits */
/* The store has a range: it will hardly be looked at again, so it goes to the file when memory gets
 * short. Waits for the disk; writers do not wait for it. */
void ms_stage_rest(struct ms_stage *stage, uint64_t offset, uint64_t n);
/* A frozen copy of a present range in a file without a name, made under the lock; its bytes are at
 * the same offsets. ret_fd  owned by the caller: close(). Not counted against the limit: it lives
 * as long as one send. Errors: MS_CONFLICT not all present or behind size; MS_IO, MS_NO_SPACE. */
MS_NODISCARD enum ms_code ms_stage_freeze(struct ms_stage *stage, uint64_t offset, uint64_t n,
                                          int *ret_fd, uint64_t *ret_generation,
                                          struct ms_error *reterr);

#endif
