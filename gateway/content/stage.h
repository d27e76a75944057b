/* stage.h — the local staging file of one open file: what was written and is not sealed yet.
 *
 * A sparse file without a name in the journal folder, the same offsets as the file itself, and in
 * memory the runs that were written (dirty) or fetched from the base version (clean). Every written
 * byte is kept until the seal, because parts cannot be read back from every store; fetched ones may
 * be dropped and fetched again. The folder's limit is shared by all stages of a process: beyond it
 * a write is MS_NO_SPACE naming the limit.
 *
 * A body of an upload is read from the staging file while a writer may go on. So each change counts
 * a generation up and leaves its number at every 8 MiB grain that it touches, *before* the first
 * byte changes: who read a range after generation g and finds ms_stage_touched() <= g afterwards
 * has read one state of it, never a torn one.
 *
 * Invariants: extents are disjoint, sorted, merged when they touch and are of one kind; none
 * reaches behind size; what is a hole here is a hole of the file; the file is as long as size.
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
int ms_stage_fd(struct ms_stage *stage); /* for bodies of part uploads; the stage's */
/* A frozen copy of a present range in a file without a name, made under the lock; its bytes are at
 * the same offsets. ret_fd  owned by the caller: close(). Not counted against the limit: it lives
 * as long as one send. Errors: MS_CONFLICT not all present or behind size; MS_IO, MS_NO_SPACE. */
MS_NODISCARD enum ms_code ms_stage_freeze(struct ms_stage *stage, uint64_t offset, uint64_t n,
                                          int *ret_fd, uint64_t *ret_generation,
                                          struct ms_error *reterr);

#endif
