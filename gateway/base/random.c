#include "base/random.h"

#include "base/assert.h"
#include "base/scope.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static void system_fill(struct ms_random *random, void *bytes, size_t n) {
    unsigned char *at = bytes;

    (void)random;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);

        if (got < 0) {
            MS_ASSERT(errno == EINTR);
            continue;
        }
        at += got;
        n -= (size_t)got;
    }
}

struct ms_random *ms_random_system(void) {
    static struct ms_random random = {system_fill};

    return &random;
}

uint64_t ms_random_u64(struct ms_random *random) {
    uint8_t b[8];
    uint64_t v = 0;

    ms_random_fill(random, b, sizeof b);
    for (size_t i = 0; i < sizeof b; i++)
        v = v << 8 | b[i];
    return v;
}

uint64_t ms_random_below(struct ms_random *random, uint64_t bound) {
    uint64_t v, floor;

    MS_ASSERT(bound > 0);
    /* Drop the lowest 2^64 mod bound values: what is left divides evenly. */
    floor = (0 - bound) % bound;
    do
        v = ms_random_u64(random);
    while (v < floor);
    return v % bound;
}

static uint64_t rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }

/* xoshiro256**: the same bytes on every machine for the same seed. */
static uint64_t next(uint64_t s[4]) {
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

static void seeded_fill(struct ms_random *random, void *bytes, size_t n) {
    struct ms_random_seeded *r = MS_CONTAINER_OF(random, struct ms_random_seeded, random);
    uint8_t *at = bytes;

    MS_ASSERT(pthread_mutex_lock(&r->mutex) == 0);
    while (n > 0) {
        uint64_t v = next(r->state);

        for (size_t i = 0; i < 8 && n > 0; i++, n--) {
            *at++ = (uint8_t)(v >> 56);
            v <<= 8;
        }
    }
    MS_ASSERT(pthread_mutex_unlock(&r->mutex) == 0);
}

void ms_random_seeded_init(struct ms_random_seeded *r, uint64_t seed) {
    *r = (struct ms_random_seeded){.random = {seeded_fill}};
    MS_ASSERT(pthread_mutex_init(&r->mutex, NULL) == 0);
    for (size_t i = 0; i < 4; i++) { /* splitmix64, so that near seeds give far states */
        uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        r->state[i] = z ^ z >> 31;
    }
}

void ms_random_seeded_fini(struct ms_random_seeded *r) {
    MS_ASSERT(pthread_mutex_destroy(&r->mutex) == 0);
}
