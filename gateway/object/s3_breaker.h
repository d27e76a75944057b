/* s3_breaker.h — a store that cannot be reached is left alone for a while, and asked by one.
 *
 * After MS_S3_BREAKER_FAILURES failures to connect in a row, calls fail at once until a pause has passed; then one
 * call goes as a probe while the others still fail. If it reaches the store all go on, else the pause doubles. So an
 * outage costs a connect timeout in each pause, not one in each call, and nothing must be done to recover.
 * Time is handed in. Threads: any.
 */
#ifndef MS_OBJECT_S3_BREAKER_H
#define MS_OBJECT_S3_BREAKER_H

#include "base/scope.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define MS_S3_BREAKER_FAILURES 5
#define MS_S3_BREAKER_FIRST_MS 500
#define MS_S3_BREAKER_MAX_MS 4000

enum ms_s3_reach {
    MS_S3_REACHED,   /* it answered, or at least took the connection */
    MS_S3_UNREACHED, /* no connection */
    MS_S3_UNKNOWN,   /* ended before that was clear */
};

struct ms_s3_breaker {
    pthread_mutex_t mutex;
    struct {
        unsigned failures; /* in a row */
        int64_t pause_ms;  /* 0: closed, all may go */
        int64_t until_ns;  /* end of the pause */
        int64_t probe_until_ns; /* 0: none is under way; what takes longer does not keep others back */
    } locked;
};

void ms_s3_breaker_init(struct ms_s3_breaker *breaker);
void ms_s3_breaker_fini(struct ms_s3_breaker *breaker);
/* True: the call may go, and _leave comes when it has ended; *ret_probe is handed to that. False: not now, and
 * *ret_wait_ms (at least 1) is when another attempt makes sense. */
bool ms_s3_breaker_enter(struct ms_s3_breaker *breaker, int64_t now_ns, bool *ret_probe,
                         int64_t *ret_wait_ms);
void ms_s3_breaker_leave(struct ms_s3_breaker *breaker, int64_t now_ns, bool is_probe,
                         enum ms_s3_reach reach);

#endif
