/* engine.h — the threads on which bytes move: a bounded pool for blocking work and one timer.
 *
 * Front ends hand work over and are called back, so a libfuse thread never waits for the store (design.md
 * section 4: with blocking callbacks 12 files in close() stalled an unrelated stat for 3.5 s). A driver with an
 * event loop of its own (curl) uses the timer only.
 *
 * Timers run on a free pool thread, or on a thread of their own when all are busy: a deadline passes even while
 * every pool thread waits for a disk. So fire() must not wait; long work goes to ms_engine_post().
 *
 * Threads: every function may be called by any thread, callbacks included, except _free.
 */
#ifndef MS_OBJECT_ENGINE_H
#define MS_OBJECT_ENGINE_H

#include "base/clock.h"
#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>

struct ms_engine;

/* threads 1..256. Errors: MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_engine_new(unsigned threads, struct ms_engine **ret_engine,
                                        struct ms_error *reterr);
/* Runs what is queued and due, then joins. Timers that are not due fire at once. NULL is fine. */
void ms_engine_free(struct ms_engine *engine);

/* A piece of work in the caller's memory until run() begins; run() may free it. */
struct ms_task {
    void (*run)(struct ms_task *task);
    struct ms_task *next; /* the engine's */
};
void ms_engine_post(struct ms_engine *engine, struct ms_task *task);
/* The same, for a caller that has nothing long to do any more: on a thread of the pool it wakes no
 * other one for the first such task, because this thread comes to it itself as soon as it returns.
 * A chain of steps then stays on one thread: waking another for each was most of what a small file
 * waited for. Elsewhere it is ms_engine_post(). */
void ms_engine_follow(struct ms_engine *engine, struct ms_task *task);
/* True when it was still queued: it will not run and belongs to the caller again. Only compares the address, so
 * a task that is gone may be named. Cost: O(queue). */
bool ms_engine_withdraw(struct ms_engine *engine, const struct ms_task *task);

struct ms_timer {
    void (*fire)(struct ms_timer *timer); /* on a thread of the engine */
    int64_t due_mono_ns;                  /* the engine's */
    struct ms_timer *prev, *next;         /* the engine's */
    bool armed;                           /* the engine's */
};
/* Fires once, delay_ns from now on the machine's monotonic clock. The timer is not armed. Timers with the same
 * instant fire in the order in which they were set. */
void ms_engine_after(struct ms_engine *engine, struct ms_timer *timer, int64_t delay_ns);
/* True when it was armed and will not fire. False: it fires now, has fired, or was never set. */
bool ms_engine_cancel(struct ms_engine *engine, struct ms_timer *timer);

/* Wait for something that a callback will set: the blocking form for commands and tests. */
struct ms_latch {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool open;
};
void ms_latch_init(struct ms_latch *latch);
void ms_latch_open(struct ms_latch *latch);
void ms_latch_wait(struct ms_latch *latch); /* and destroys it */

#endif
