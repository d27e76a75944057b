#include "object/s3_breaker.h"

#define NS_PER_MS INT64_C(1000000)
#define PROBE_WAIT_MS 200
#define PROBE_MAX_MS 4000

void ms_s3_breaker_init(struct ms_s3_breaker *breaker) {
    *breaker = (struct ms_s3_breaker){0};
    pthread_mutex_init(&breaker->mutex, NULL);
}

void ms_s3_breaker_fini(struct ms_s3_breaker *breaker) { pthread_mutex_destroy(&breaker->mutex); }

static bool enter_locked(struct ms_s3_breaker *b, int64_t now_ns, bool *ret_probe,
                         int64_t *ret_wait_ms) {
    if (b->locked.pause_ms == 0) {
        *ret_probe = false;
        return true;
    }
    if (now_ns < b->locked.until_ns) {
        *ret_wait_ms = (b->locked.until_ns - now_ns) / NS_PER_MS + 1;
        return false;
    }
    *ret_wait_ms = PROBE_WAIT_MS;
    if (now_ns < b->locked.probe_until_ns)
        return false;
    b->locked.probe_until_ns = now_ns + PROBE_MAX_MS * NS_PER_MS;
    *ret_probe = true;
    return true;
}

bool ms_s3_breaker_enter(struct ms_s3_breaker *breaker, int64_t now_ns, bool *ret_probe,
                         int64_t *ret_wait_ms) {
    bool may;

    pthread_mutex_lock(&breaker->mutex);
    may = enter_locked(breaker, now_ns, ret_probe, ret_wait_ms);
    pthread_mutex_unlock(&breaker->mutex);
    return may;
}

static void open_locked(struct ms_s3_breaker *b, int64_t now_ns) {
    int64_t pause_ms = b->locked.pause_ms == 0 ? MS_S3_BREAKER_FIRST_MS : 2 * b->locked.pause_ms;

    b->locked.pause_ms = pause_ms < MS_S3_BREAKER_MAX_MS ? pause_ms : MS_S3_BREAKER_MAX_MS;
    b->locked.until_ns = now_ns + b->locked.pause_ms * NS_PER_MS;
}

void ms_s3_breaker_leave(struct ms_s3_breaker *breaker, int64_t now_ns, bool is_probe,
                         enum ms_s3_reach reach) {
    struct ms_s3_breaker *b = breaker;

    pthread_mutex_lock(&b->mutex);
    if (is_probe)
        b->locked.probe_until_ns = 0;
    if (reach == MS_S3_REACHED) {
        b->locked.failures = 0;
        b->locked.pause_ms = 0;
    } else if (reach == MS_S3_UNREACHED) {
        b->locked.failures += b->locked.failures < MS_S3_BREAKER_FAILURES;
        /* Those that went before the pause began say nothing new. */
        if (is_probe ||
            (b->locked.pause_ms == 0 && b->locked.failures == MS_S3_BREAKER_FAILURES))
            open_locked(b, now_ns);
    }
    pthread_mutex_unlock(&b->mutex);
}
