/* random.h — injectable randomness: getrandom() for programs, a seeded generator for tests and
 * campaigns. Threads: both may be used by any thread. */
#ifndef MS_BASE_RANDOM_H
#define MS_BASE_RANDOM_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct ms_random {
    void (*fill)(struct ms_random *random, void *bytes, size_t n); /* cannot fail: aborts instead */
};

static inline void ms_random_fill(struct ms_random *r, void *bytes, size_t n) {
    r->fill(r, bytes, n);
}
uint64_t ms_random_u64(struct ms_random *random);
/* Uniform in [0, bound), bound > 0. */
uint64_t ms_random_below(struct ms_random *random, uint64_t bound);

struct ms_random *ms_random_system(void); /* never freed */

struct ms_random_seeded {
    struct ms_random random;
    pthread_mutex_t mutex;
    uint64_t state[4];
};
void ms_random_seeded_init(struct ms_random_seeded *r, uint64_t seed);
void ms_random_seeded_fini(struct ms_random_seeded *r);

#endif
