/* window.h — what to fetch ahead of a reader, and how much: cursors of one handle, pace of a store.
 *
 * A handle has several cursors, because players and tools do not read in one line: sound and
 * picture apart, an index at the end and then the film, many threads on one descriptor. A read
 * belongs to the cursor that it lies next to; the kernel's read-ahead comes out of order, so "next
 * to" is within MS_CURSOR_SLACK on either side. A cursor that has asked for two thirds of the blocks
 * that it went over is a stream, and what lies before it is fetched:
 *
 *   window = least of    4 x what the cursor went over (so little is fetched for nothing),
 *                        its share of the memory,
 *                        MS_PACE_GAIN x bandwidth x delay of the store (least 16 MiB; 8 MiB until
 *                        that is known)
 *
 * A jump fetches nothing but what it asks for; backwards and with a stride longer than a block
 * nothing is fetched ahead at all. The window is fetched in pieces of a quarter of it.
 *
 * The pace of a store is measured from its answers. Bandwidth is the most that came while a request
 * of the larger sizes was under way, over the last 5 to 10 seconds in which something came. Delay is
 * the least that a request of a size ever took, or what the last one took that was alone: one that
 * waits behind our own others must not count, or the queue would feed itself.
 *
 * Pure: no clock, no lock.
 */
#ifndef MS_CONTENT_WINDOW_H
#define MS_CONTENT_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- pace ------------------------------------------------------------------------------------ */

#define MS_PACE_CLASSES 16 /* of sizes: up to 64 KiB, 128 KiB, ... */
#define MS_PACE_GAIN 3

struct ms_pace_span {
    uint64_t bytes_per_s; /* most; 0: nothing came */
    uint64_t bytes_max;   /* of a request */
};
/* {0}: nothing is known. */
struct ms_pace {
    uint64_t delivered; /* bytes, ever */
    unsigned flying;    /* requests */
    int64_t began_ns;
    struct ms_pace_span now, before;
    int64_t delay_ns[MS_PACE_CLASSES]; /* by size; 0: none of it came */
};
/* A request on its way. */
struct ms_pace_mark {
    uint64_t delivered;
    int64_t at_ns;
    bool alone;
};
struct ms_pace_mark ms_pace_sent(struct ms_pace *pace, int64_t now_ns);
/* Every request that was sent: its answer brought so many bytes; 0: it failed. */
void ms_pace_came(struct ms_pace *pace, const struct ms_pace_mark *mark, uint64_t bytes,
                  int64_t now_ns);
/* MS_PACE_GAIN x bandwidth x delay for requests of so many bytes; 0: not known. */
uint64_t ms_pace_window(const struct ms_pace *pace, uint64_t request_bytes);

/* ---- cursors --------------------------------------------------------------------------------- */

#define MS_CURSORS 8
#define MS_CURSOR_SLACK (UINT64_C(4) << 20)

/* One reader's way through the blocks of a file. Invariant: got <= next - begin, begin <= next. */
struct ms_cursor {
    uint64_t begin, next; /* blocks that it went over */
    uint64_t got;         /* ... and those of them that it asked for */
    uint64_t ahead;       /* bytes: what is before this was arranged for */
    uint64_t used;        /* when, in reads of this handle; 0: free */
    uint64_t epoch;       /* the caller's: when it last counted as a stream */
};
/* {0}: no read yet. */
struct ms_cursors {
    struct ms_cursor cursor[MS_CURSORS];
    uint64_t reads;
};

struct ms_look {
    uint64_t offset, length; /* the read; length > 0, inside the size */
    uint64_t size;           /* of the file */
    unsigned block_log2;
    bool missed; /* something of it was neither there nor under way */
    uint64_t share_bytes, piece_bytes_max;
    const struct ms_pace *pace;
};
/* Fetch [from, to), in pieces that do not cross multiples of piece_bytes, a power of two that is
 * at least a block; from == to: nothing. */
struct ms_ahead {
    struct ms_cursor *cursor; /* valid until the next read; its ahead is to be set to where the
                                 arranging ended */
    bool is_stream;
    uint64_t from, to, piece_bytes;
};
struct ms_ahead ms_cursors_note(struct ms_cursors *cursors, const struct ms_look *look);

#endif
