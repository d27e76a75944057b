/* s3_http.h — HTTP for the driver s3: one thread with one curl-multi handle, many transfers at once.
 *
 * Who prepared a transfer (hashed, signed) hands it over and is called back; nobody waits. Connections are kept, their
 * number is bounded, and small transfers do not starve behind big ones (s3_turns.h). Every transfer ends: by its
 * deadline, when the store does not answer, or when bytes stop moving. The thread sleeps until a socket, a limit or a
 * new transfer wakes it; a cancel wakes it too. A name that nobody resolves holds up its own transfer only: libcurl
 * resolves in threads. Redirects are not followed: the signature names the host. Headers are never logged, for they
 * hold the credentials.
 *
 * One per open store, and a process opens one store. Threads: _start, _poke: any; _free: when nothing runs.
 */
#ifndef MS_OBJECT_S3_HTTP_H
#define MS_OBJECT_S3_HTTP_H

#include "object/driver.h"
#include "object/s3_turns.h"

#include <curl/curl.h>

struct ms_s3_http;

struct ms_s3_limits {
    int64_t connect_ms;
    int64_t first_byte_ms;      /* from the last byte sent to the first one of the answer */
    int64_t stall_ms;           /* while less than stall_bytes move in it, the transfer is stuck */
    uint64_t stall_bytes;
    int64_t settle_ms;          /* how long a cancelled change is waited for once all of it was sent */
    unsigned connections_max;   /* transfers at once; more wait for their turn */
};
struct ms_s3_limits ms_s3_limits_default(void);

#define MS_S3_REPLY_MAX ((size_t)4 << 20) /* of a reply that is no object's bytes */
#define MS_S3_HEADERS_MAX ((size_t)64 << 10)

struct ms_s3_transfer {
    /* input, borrowed until done */
    const char *method, *url;
    struct curl_slist *headers; /* signed ones, and the signature */
    const struct ms_obj_body *body; /* NULL: none */
    void *into;                 /* the body of a 2xx answer goes here, else into reply */
    uint64_t into_n;            /* more than that is MS_PROTOCOL */
    const struct ms_obj_request *request; /* its cancelled is watched */
    int64_t deadline_mono_ns;
    bool may_last; /* the deadline is for what does not move. Under way, the limits alone judge it; and it waits for
                    * its turn as long as others move. Each of them ends, since no body is endless. */
    int64_t first_byte_ms; /* 0: the limit's */
    bool changes;          /* a cancel waits for the outcome once all is sent (settle_ms) */
    /* On the thread of HTTP, which it must not hold up; the transfer is the caller's again. */
    void (*on_done)(struct ms_s3_transfer *transfer);

    /* output. MS_OK: there was a whole answer, of any status. Else MS_UNAVAILABLE not reached; MS_TIMEOUT;
     * MS_CANCELLED; MS_IO broken off; MS_MISMATCH the file of the body ends early; MS_PROTOCOL more bytes than asked
     * for; MS_DENIED certificate not trusted. */
    enum ms_code code;
    struct ms_error error;
    long status;       /* 0: there was no answer */
    bool is_unreached; /* there was not even a connection */
    uint64_t got;      /* bytes in into */
    struct ms_buf reply;         /* owned by the caller: ms_s3_transfer_fini */
    struct ms_buf reply_headers; /* lines "name: value\n", names in small letters */

    /* the thread's */
    struct ms_s3_transfer *prev, *next;
    enum ms_s3_class class;
    CURL *easy; /* NULL: it waits for its turn */
    int socket; /* -1: none yet, or no more */
    uint64_t sent, moved_before;
    int64_t sent_ns, window_ns; /* when all was sent, 0: not yet; when the present window began */
    int64_t cancelled_ns;
    bool answered, head_ended; /* the first bytes came; the last of its headers */
    char message[CURL_ERROR_SIZE];
};

MS_NODISCARD enum ms_code ms_s3_http_new(const struct ms_s3_limits *limits, const char *ca_file,
                                         struct ms_s3_http **ret_http, struct ms_error *reterr);
void ms_s3_http_free(struct ms_s3_http *http); /* NULL is fine */

/* Never blocks; on_done comes once. A transfer may be started again when it is done, with the same input: its output
 * is made anew. */
void ms_s3_http_start(struct ms_s3_http *http, struct ms_s3_transfer *transfer);
/* Some request was cancelled: look. */
void ms_s3_http_poke(struct ms_s3_http *http);

/* The value of a header of the answer (name in small letters), trimmed; false: it has none. */
bool ms_s3_header(const struct ms_s3_transfer *transfer, const char *name, char *ret_value,
                  size_t size);
void ms_s3_transfer_fini(struct ms_s3_transfer *transfer);

#endif
