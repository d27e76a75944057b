/* stage.h — the local staging file of one open file: what was written and is not sealed yet.
 *
 * A sparse file in the journal folder, the same offsets as the file itself, and in memory the list of extents that
 * were written (dirty) or fetched from the base version (clean). Every byte is kept until the seal, because parts
 * cannot be read back from every store. The folder's limit is shared by all stages of a process: beyond it a write
 * is MS_NO_SPACE naming the limit.
 *
 * Invariants: extents are disjoint, sorted, merged when they touch and are of one kind; none reaches behind size.
 * Threads: one lock of its own; any thread. See: design.md sections 4 and 5.
 */
#ifndef MS_CONTENT_STAGE_H
#define MS_CONTENT_STAGE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* The journal folder of a process: <store>/journal/<instance>/, locked by its owner, removed with its last stage. */
struct ms_journal;
MS_NODISCARD enum ms_code ms_journal_open(const char *dir, uint64_t bytes_max,
                                          struct ms_journal **ret_journal, struct ms_error *reterr);
void ms_journal_close(struct ms_journal *journal); /* NULL is fine */
uint64_t ms_journal_bytes(struct ms_journal *journal);

struct ms_stage;
MS_NODISCARD enum ms_code ms_stage_open(struct ms_journal *journal, struct ms_stage **ret_stage,
                                        struct ms_error *reterr);
void ms_stage_close(struct ms_stage *stage); /* bytes are gone; NULL is fine */

/* Write bytes as dirty. size grows to offset + n at least. Errors: MS_NO_SPACE, MS_IO. */
MS_NODISCARD enum ms_code ms_stage_write(struct ms_stage *stage, uint64_t offset, const void *p,
                                         size_t n, struct ms_error *reterr);
/* Bytes of the base version, kept so that a part is whole: only where nothing was written meanwhile. */
MS_NODISCARD enum ms_code ms_stage_fill(struct ms_stage *stage, uint64_t offset, const void *p,
                                        size_t n, struct ms_error *reterr);
/* Change the size; what is cut off is forgotten, what is gained is a dirty hole of zeros. */
MS_NODISCARD enum ms_code ms_stage_truncate(struct ms_stage *stage, uint64_t size, struct ms_error *reterr);
/* A dirty range of zeros that takes no space. */
MS_NODISCARD enum ms_code ms_stage_zero(struct ms_stage *stage, uint64_t offset, uint64_t n,
                                        struct ms_error *reterr);

uint64_t ms_stage_size(struct ms_stage *stage);
/* Counts up with every write and truncate: who sealed generation g knows whether there is more. */
uint64_t ms_stage_generation(struct ms_stage *stage);

struct ms_extent {
    uint64_t offset, length;
    bool present, dirty; /* present: in the stage; else the base version has it */
};
/* The extent that holds offset, cut to at most length bytes. */
struct ms_extent ms_stage_extent(struct ms_stage *stage, uint64_t offset, uint64_t length);
/* Whether any dirty byte lies in the range. */
bool ms_stage_dirty_in(struct ms_stage *stage, uint64_t offset, uint64_t length);

/* Read bytes that are present. Errors: MS_IO. */
MS_NODISCARD enum ms_code ms_stage_read(struct ms_stage *stage, uint64_t offset, void *p, size_t n,
                                        struct ms_error *reterr);
int ms_stage_fd(struct ms_stage *stage); /* for bodies of part uploads; the stage's */

#endif
