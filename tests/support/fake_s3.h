/* fake_s3.h — an HTTP server on loopback that answers as a test tells it: for what no real store does on order.
 *
 * One thread for each connection, which is kept alive. The test's function sees a request (its head, and how many
 * bytes of body came) and fills the answer; it may wait, and runs on several threads at once. Signatures are not
 * checked. Assertions are for the main thread only: functions count what went wrong.
 */
#ifndef MS_TESTS_SUPPORT_FAKE_S3_H
#define MS_TESTS_SUPPORT_FAKE_S3_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_S3_CONNECTIONS_MAX 4096
#define FAKE_S3_HEAD_MAX 16384
#define FAKE_S3_BODY_MAX 8191

struct fake_s3_request {
    char method[16];
    char target[4096]; /* "/bucket/key?query" */
    char head[FAKE_S3_HEAD_MAX]; /* the lines behind the first, names as they came */
    uint64_t body_n;
    char body[FAKE_S3_BODY_MAX + 1]; /* its first bytes, and a NUL */
    unsigned number; /* from 1, over all connections */
};
/* The value of a header, NUL-terminated in ret; false: it has none. */
bool fake_s3_header(const struct fake_s3_request *request, const char *name, char *ret, size_t size);

struct fake_s3_answer {
    int status;       /* 0: hang up without an answer */
    char head[1024];  /* more lines, each with its "\r\n" */
    const char *body; /* "": none; must stay until the server is stopped */
    size_t body_n;    /* 0: strlen(body) */
    const char *raw;  /* not NULL: these bytes (raw_n) and nothing else are sent, then the peer hangs up */
    size_t raw_n;
    bool no_date;     /* else the date of this machine, less or more skew_s */
    int64_t skew_s;
};

struct fake_s3 {
    void (*answer)(struct fake_s3 *fake, const struct fake_s3_request *request,
                   struct fake_s3_answer *answer);
    void *priv;
    int port;
    unsigned requests, busy, busy_max; /* atomic; busy: answers being made now */
    unsigned unsent; /* atomic: requests whose answers are not sent yet */

    int listening;
    pthread_t thread;
    pthread_mutex_t mutex;
    struct {
        int fds[FAKE_S3_CONNECTIONS_MAX];
        pthread_t threads[FAKE_S3_CONNECTIONS_MAX];
        size_t n;
        bool stopping;
    } locked;
};

/* answer and priv are set; port 0: any. False: the port is taken. */
bool fake_s3_start(struct fake_s3 *fake);
void fake_s3_stop(struct fake_s3 *fake);
static inline unsigned fake_s3_requests(const struct fake_s3 *fake) {
    return __atomic_load_n(&fake->requests, __ATOMIC_SEQ_CST);
}
/* Wait until no request is being answered. Between two calls, what answer() reads may be changed, and what it left
 * be looked at. */
void fake_s3_settle(struct fake_s3 *fake);

#endif
