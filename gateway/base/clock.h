/* clock.h — the only source of time.
 *
 * A program reads the clock through this seam so that tests can jump two years. clock.c is the only
 * caller of clock_gettime. A request reads `now` once, for its guards; facts get the commit instant
 * (store/store.h). Threads: a clock may be read by any thread.
 */
#ifndef MS_BASE_CLOCK_H
#define MS_BASE_CLOCK_H

#include "base/time.h"

#include <pthread.h>
#include <time.h>

struct ms_clock {
    /* Wall time, UTC. May jump. */
    struct ms_instant (*now)(const struct ms_clock *clock);
    /* Nanoseconds that only ever grow, from an arbitrary origin; for deadlines and back-off. */
    int64_t (*mono_ns)(const struct ms_clock *clock);
    void *priv;
};

static inline struct ms_instant ms_clock_now(const struct ms_clock *c) { return c->now(c); }
static inline int64_t ms_clock_mono_ns(const struct ms_clock *c) { return c->mono_ns(c); }

/* The machine's clock. Never freed. In a build with MS_TESTING it starts at MS_TEST_NOW (RFC 3339)
 * when that variable is set, or follows the instant written in the file named by MS_TEST_NOW_FILE;
 * a release build obeys neither, because a bill must not depend on an environment variable. */
const struct ms_clock *ms_clock_system(void);

/* A clock that moves only when told; mono_ns follows it. */
struct ms_clock_fake {
    struct ms_clock clock;
    int64_t now_ms;  /* atomic */
    int64_t mono_ns; /* atomic */
};
void ms_clock_fake_init(struct ms_clock_fake *fake, struct ms_instant start);
void ms_clock_fake_set(struct ms_clock_fake *fake, struct ms_instant now);
void ms_clock_fake_advance(struct ms_clock_fake *fake, int64_t ms);

/* Sleep on the real machine; for the engine's timer and the writer's pause only. */
void ms_clock_sleep_ns(int64_t ns);
/* The kernel's own time, whatever the tests say: only for comparing with times that the kernel
 * gave, such as a file's st_mtim. */
struct ms_instant ms_clock_kernel_now(void);
/* The instant of CLOCK_MONOTONIC that lies ns (>= 0) ahead: what pthread_cond_clockwait wants. */
struct timespec ms_clock_mono_deadline(int64_t ns);
/* CLOCK_REALTIME as timespec for file times (st_atim …) of the injected clock. */
struct timespec ms_clock_timespec(const struct ms_clock *clock);

#endif
