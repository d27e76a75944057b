#include "content/window.h"

#include "base/assert.h"

#define MIB (UINT64_C(1) << 20)
#define PACE_PERIOD_NS INT64_C(5000000000)
#define NS_PER_US 1000
#define US_PER_S UINT64_C(1000000)
#define GROWTH 4
#define WINDOW_UNKNOWN (8 * MIB)
#define WINDOW_LEAST (16 * MIB)
#define PIECES_IN_WINDOW 4

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t most(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* ---- pace ------------------------------------------------------------------------------------ */

static unsigned class_of(uint64_t bytes) {
    unsigned class = 0;

    while (class + 1 < MS_PACE_CLASSES && bytes > (UINT64_C(64) << 10 << class))
        class ++;
    return class;
}

struct ms_pace_mark ms_pace_sent(struct ms_pace *pace, int64_t now_ns) {
    return (struct ms_pace_mark){pace->delivered, now_ns, pace->flying++ == 0};
}

static void note_rate(struct ms_pace *pace, const struct ms_pace_mark *mark, uint64_t bytes,
                      int64_t now_ns, int64_t took_ns) {
    uint64_t took_us = (uint64_t)(took_ns + NS_PER_US - 1) / NS_PER_US;

    if (now_ns - pace->began_ns >= PACE_PERIOD_NS) {
        pace->before = pace->now;
        pace->now = (struct ms_pace_span){0};
        pace->began_ns = now_ns;
    }
    /* While a small one was under way, large ones may have ended that came long before. */
    pace->now.bytes_max = most(pace->now.bytes_max, bytes);
    if (2 * bytes < pace->now.bytes_max)
        return;
    pace->now.bytes_per_s =
        most(pace->now.bytes_per_s, (pace->delivered - mark->delivered) * US_PER_S / took_us);
}

void ms_pace_came(struct ms_pace *pace, const struct ms_pace_mark *mark, uint64_t bytes,
                  int64_t now_ns) {
    int64_t took_ns = now_ns > mark->at_ns ? now_ns - mark->at_ns : 1;
    int64_t *delay_ns = &pace->delay_ns[class_of(bytes)];

    MS_ASSERT(pace->flying > 0);
    pace->flying--;
    if (bytes == 0)
        return;
    pace->delivered += bytes;
    note_rate(pace, mark, bytes, now_ns, took_ns);
    if (*delay_ns == 0 || took_ns < *delay_ns || (mark->alone && pace->flying == 0))
        *delay_ns = took_ns;
}

/* Of requests of that size, no longer than by a smaller one as if the time were all of it transfer,
 * or than a larger one takes. */
static int64_t delay_of(const struct ms_pace *pace, uint64_t bytes) {
    unsigned class = class_of(bytes);
    int64_t delay_ns = 0;

    for (unsigned c = 0; c < MS_PACE_CLASSES; c++) {
        int64_t by_c = pace->delay_ns[c] << (c < class ? class - c : 0);

        if (by_c > 0 && (delay_ns == 0 || by_c < delay_ns))
            delay_ns = by_c;
    }
    return delay_ns;
}

uint64_t ms_pace_window(const struct ms_pace *pace, uint64_t request_bytes) {
    uint64_t bytes_per_ms = most(pace->now.bytes_per_s, pace->before.bytes_per_s) / 1000;
    uint64_t delay_us = (uint64_t)delay_of(pace, request_bytes) / NS_PER_US;

    return bytes_per_ms * delay_us / 1000 * MS_PACE_GAIN;
}

/* ---- cursors --------------------------------------------------------------------------------- */

static bool is_near(const struct ms_cursor *c, uint64_t first, uint64_t end, unsigned block_log2) {
    uint64_t slack = most(MS_CURSOR_SLACK >> block_log2, 1);

    return c->used && first <= c->next + slack && end + slack >= c->begin;
}

static uint64_t distance(const struct ms_cursor *c, uint64_t first) {
    return first > c->next ? first - c->next : c->next - first;
}

/* The cursor that a read continues, else the one that was not used for longest, begun anew. */
static struct ms_cursor *find(struct ms_cursors *cursors, uint64_t first, uint64_t end,
                              unsigned block_log2) {
    struct ms_cursor *best = NULL, *oldest = &cursors->cursor[0];

    for (size_t i = 0; i < MS_CURSORS; i++) {
        struct ms_cursor *c = &cursors->cursor[i];

        if (is_near(c, first, end, block_log2) &&
            (!best || distance(c, first) < distance(best, first)))
            best = c;
        if (c->used < oldest->used)
            oldest = c;
    }
    if (best)
        return best;
    *oldest = (struct ms_cursor){.begin = first, .next = first};
    return oldest;
}

/* Go over a read's blocks. True: the cursor is a stream that went on. */
static bool advance(struct ms_cursor *c, uint64_t first, uint64_t end) {
    bool begins = c->next == c->begin, goes_on = end > c->next;
    uint64_t from = first > c->next ? first : c->next;

    if (!goes_on) { /* what was left out comes late, or again */
        c->got = least(c->got + (end - first), c->next - c->begin);
        return false;
    }
    c->got += end - from;
    c->next = end;
    if (3 * c->got < 2 * (c->next - c->begin)) { /* strides: who knows what comes now */
        *c = (struct ms_cursor){.begin = first, .next = end, .got = end - first};
        return false;
    }
    return !begins;
}

static uint64_t piece_of(const struct ms_look *look, uint64_t window) {
    uint64_t piece = UINT64_C(1) << look->block_log2;

    while (2 * piece <= look->piece_bytes_max && 2 * piece * PIECES_IN_WINDOW <= window)
        piece *= 2;
    return piece;
}

static uint64_t window_of(const struct ms_look *look, const struct ms_cursor *c) {
    uint64_t over = (c->next - c->begin) << look->block_log2;
    uint64_t window = least(GROWTH * over, look->share_bytes);
    uint64_t pace = ms_pace_window(look->pace, piece_of(look, window));

    return least(window, pace ? most(pace, WINDOW_LEAST) : WINDOW_UNKNOWN);
}

struct ms_ahead ms_cursors_note(struct ms_cursors *cursors, const struct ms_look *look) {
    uint64_t first = look->offset >> look->block_log2;
    uint64_t end = ((look->offset + look->length - 1) >> look->block_log2) + 1;
    struct ms_cursor *c = find(cursors, first, end, look->block_log2);
    struct ms_ahead ahead = {.cursor = c};
    bool is_stream = advance(c, first, end);
    uint64_t next = c->next << look->block_log2, window;

    MS_ASSERT(look->length > 0 && look->offset + look->length <= look->size);
    c->used = ++cursors->reads;
    if (!is_stream || next >= look->size)
        return ahead;
    ahead.is_stream = true;
    window = window_of(look, c);
    ahead.piece_bytes = piece_of(look, window);
    /* What was arranged for may have had to make room: then again. */
    ahead.from = look->missed || c->ahead < next ? next : c->ahead;
    ahead.to = next + window;
    /* Whole pieces, so that a slow reader makes few requests. */
    ahead.to =
        ahead.to >= look->size ? look->size : ahead.to / ahead.piece_bytes * ahead.piece_bytes;
    if (ahead.to < ahead.from)
        ahead.to = ahead.from;
    return ahead;
}
