#include "object/s3_http.h"

#include "base/assert.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NS_PER_MS INT64_C(1000000)
/* Each transfer that is under way has them, whether it needs them or not: 48 of 768 KiB were more than the rest. */
#define GET_BUFFER ((uint64_t)256 << 10)
#define PUT_BUFFER ((uint64_t)256 << 10)
#define LEAST_BUFFER ((uint64_t)16 << 10)
#define SMALL_MAX ((uint64_t)256 << 10)
/* How exactly limits are kept: each look costs a few steps for each transfer. */
#define CHECK_NS (50 * NS_PER_MS)
#define CHECK_CANCELLED_NS (20 * NS_PER_MS)
#define EVENTS_MAX 64
/* Stores close what is idle for a minute or so; reusing it would cost a failed try. */
#define IDLE_S_MAX 50L

struct list {
    struct ms_s3_transfer *first, *last;
};

struct ms_s3_http {
    struct ms_s3_limits limits;
    char *ca_file; /* NULL: the system's */
    CURLM *multi;
    int epoll, wake; /* wake: an eventfd */
    pthread_t thread;
    /* the thread's own */
    struct list running, waiting[MS_S3_CLASSES];
    struct ms_s3_turns turns;
    int64_t curl_due_ns, check_due_ns; /* INT64_MAX: never */
    int64_t moved_ns; /* when some transfer last got on, or ended well */
    pthread_mutex_t mutex;
    struct {
        struct list fresh; /* handed over, not looked at */
        bool poked, woken, stopping;
    } locked;
};

struct ms_s3_limits ms_s3_limits_default(void) {
    return (struct ms_s3_limits){.connect_ms = 3000,
                                 .first_byte_ms = 30000,
                                 .stall_ms = 20000,
                                 .stall_bytes = 20 << 10,
                                 .settle_ms = 10000,
                                 .connections_max = 64};
}

static int64_t mono_ns(void) { return ms_clock_mono_ns(ms_clock_system()); }

/* ---- lists ----------------------------------------------------------------------------------- */

static void append(struct list *list, struct ms_s3_transfer *t) {
    t->prev = list->last;
    t->next = NULL;
    if (list->last)
        list->last->next = t;
    else
        list->first = t;
    list->last = t;
}

static void take_out(struct list *list, struct ms_s3_transfer *t) {
    if (t->prev)
        t->prev->next = t->next;
    else
        list->first = t->next;
    if (t->next)
        t->next->prev = t->prev;
    else
        list->last = t->prev;
    t->prev = t->next = NULL;
}

/* ---- bytes: on the engine's thread ----------------------------------------------------------- */

static ssize_t read_file(struct ms_s3_transfer *t, char *to, size_t n) {
    ssize_t got;

    do
        got = pread(t->body->fd, to, n, (off_t)(t->body->fd_offset + t->sent));
    while (got < 0 && errno == EINTR);
    if (got < 0)
        t->code = ms_fail_errno(&t->error, errno, "cannot read the bytes to send at offset %" PRIu64,
                                t->body->fd_offset + t->sent);
    else if (got == 0)
        t->code = ms_fail(&t->error, MS_MISMATCH,
                          "the file to send ends at %" PRIu64 " of %" PRIu64 " bytes", t->sent,
                          t->body->length);
    return got;
}

static size_t on_read(char *to, size_t size, size_t n, void *priv) {
    struct ms_s3_transfer *t = priv;
    uint64_t left = t->body->length - t->sent;
    size_t want = size * n < left ? size * n : (size_t)left;
    ssize_t got;

    if (want == 0)
        return 0;
    if (t->body->memory.p) {
        memcpy(to, (const char *)t->body->memory.p + t->sent, want);
        t->sent += want;
        return want;
    }
    got = read_file(t, to, want);
    if (got <= 0)
        return CURL_READFUNC_ABORT;
    t->sent += (uint64_t)got;
    return (size_t)got;
}

/* A kept connection turned out to be dead: curl sends again from the start. */
static int on_seek(void *priv, curl_off_t offset, int origin) {
    struct ms_s3_transfer *t = priv;

    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->body->length)
        return CURL_SEEKFUNC_CANTSEEK;
    t->sent = (uint64_t)offset;
    t->sent_ns = 0;
    return CURL_SEEKFUNC_OK;
}

static bool is_success(struct ms_s3_transfer *t) {
    if (t->status == 0)
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
    return t->status >= 200 && t->status < 300;
}

static size_t on_write(char *bytes, size_t size, size_t n, void *priv) {
    struct ms_s3_transfer *t = priv;

    n *= size;
    t->answered = true;
    if (!t->into || !is_success(t)) {
        t->code = ms_buf_add(&t->reply, bytes, n, NULL);
        if (t->code != MS_OK)
            t->code = ms_fail(&t->error, MS_PROTOCOL, "the store's reply has more than %zu bytes",
                              t->reply.max);
        return t->code == MS_OK ? n : 0;
    }
    if (n > t->into_n - t->got) {
        t->code = ms_fail(&t->error, MS_PROTOCOL,
                          "the store sends more than the %" PRIu64 " bytes that "
                          "were asked for",
                          t->into_n);
        return 0;
    }
    memcpy((char *)t->into + t->got, bytes, n);
    t->got += n;
    return n;
}

static size_t on_header(char *line, size_t size, size_t n, void *priv) {
    struct ms_s3_transfer *t = priv;
    size_t name_n;

    n *= size;
    t->answered = true;
    if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
        ms_buf_clear(&t->reply_headers); /* behind "100 Continue" comes the true one */
        t->status = 0;
        t->head_ended = false;
        return n;
    }
    if (n > 0 && (line[0] == '\r' || line[0] == '\n'))
        t->head_ended = true;
    name_n = strcspn(line, ":\r\n");
    for (size_t i = 0; i < name_n && i < n; i++)
        line[i] = (char)tolower((unsigned char)line[i]);
    t->code = ms_buf_add(&t->reply_headers, line, n, NULL);
    if (t->code != MS_OK)
        t->code =
            ms_fail(&t->error, MS_PROTOCOL, "the store's reply has more than %zu bytes of headers",
                    t->reply_headers.max);
    return t->code == MS_OK ? n : 0;
}

bool ms_s3_header(const struct ms_s3_transfer *transfer, const char *name, char *ret_value,
                  size_t size) {
    const char *p = transfer->reply_headers.data ? (const char *)transfer->reply_headers.data : "";
    size_t name_n = strlen(name);

    for (; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        if (strncmp(p, name, name_n) != 0 || p[name_n] != ':')
            continue;
        p += name_n + 1;
        p += strspn(p, " \t");
        name_n = strcspn(p, "\r\n");
        while (name_n > 0 && (p[name_n - 1] == ' ' || p[name_n - 1] == '\t'))
            name_n--;
        (void)snprintf(ret_value, size, "%.*s", (int)name_n, p);
        return name_n < size;
    }
    return false;
}

void ms_s3_transfer_fini(struct ms_s3_transfer *transfer) {
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    ms_buf_fini(&transfer->reply);
    ms_buf_fini(&transfer->reply_headers);
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* What all transfers have in common. A handle is for one transfer only; connections are the multi handle's and are
 * kept. libcurl 7.88 keeps a pointer to the last header of a handle's former transfer, which it has freed, and follows
 * it when the next answer begins with a continuation line: a damaged answer would end the process. */
static CURL *new_easy(const struct ms_s3_http *h) {
    CURL *e = curl_easy_init();

    if (!e)
        return NULL;
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L); /* keys are no paths: what is signed is sent */
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)h->limits.connect_ms);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, IDLE_S_MAX);
    /* Else giving up on a name that does not resolve waits for the resolver, and with it every other transfer. */
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
    if (h->ca_file)
        curl_easy_setopt(e, CURLOPT_CAINFO, h->ca_file);
    return e;
}

static long buffer_for(uint64_t bytes, uint64_t max) {
    bytes = bytes < max ? bytes : max;
    return (long)(bytes > LEAST_BUFFER ? bytes : LEAST_BUFFER);
}

/* What a PUT is answered is short; what is longer than the buffer comes in pieces. */
static void set_buffers(const struct ms_s3_transfer *t) {
    uint64_t comes = t->body ? 0 : t->into ? t->into_n : GET_BUFFER;

    curl_easy_setopt(t->easy, CURLOPT_BUFFERSIZE, buffer_for(comes, GET_BUFFER));
    curl_easy_setopt(t->easy, CURLOPT_UPLOAD_BUFFERSIZE,
                     buffer_for(t->body ? t->body->length : 0, PUT_BUFFER));
}

static void set_options(struct ms_s3_transfer *t) {
    CURL *e = t->easy;

    set_buffers(t);
    if (t->body) {
        curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->body->length);
    } else if (strcmp(t->method, "HEAD") == 0) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    } else {
        curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, t->method);
    curl_easy_setopt(e, CURLOPT_URL, t->url);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->message);
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_READDATA, t);
    curl_easy_setopt(e, CURLOPT_SEEKDATA, t);
}

/* A transfer that is in no list any more; the last touch. */
static void finish(struct ms_s3_http *h, struct ms_s3_transfer *t) {
    if (t->easy) {
        curl_multi_remove_handle(h->multi, t->easy);
        curl_easy_cleanup(MS_TAKE(t->easy));
    }
    t->on_done(t);
}

static void end_running(struct ms_s3_http *h, struct ms_s3_transfer *t) {
    take_out(&h->running, t);
    ms_s3_turns_end(&h->turns, t->class);
    finish(h, t);
}

static void begin(struct ms_s3_http *h, struct ms_s3_transfer *t) {
    append(&h->running, t);
    t->easy = new_easy(h);
    if (t->easy) {
        set_options(t);
        t->window_ns = mono_ns();
    }
    if (!t->easy || curl_multi_add_handle(h->multi, t->easy) != CURLM_OK) {
        t->code = ms_fail(&t->error, MS_NO_MEMORY, "no memory for a transfer");
        end_running(h, t);
    }
}

static void begin_waiting(struct ms_s3_http *h) {
    for (;;) {
        const bool waits[MS_S3_CLASSES] = {h->waiting[MS_S3_SMALL].first != NULL,
                                           h->waiting[MS_S3_BIG].first != NULL};
        enum ms_s3_class which = ms_s3_turns_next(&h->turns, waits);
        struct ms_s3_transfer *t;

        if (which == MS_S3_CLASSES)
            return;
        t = h->waiting[which].first;
        take_out(&h->waiting[which], t);
        begin(h, t);
    }
}

/* ---- ending ---------------------------------------------------------------------------------- */

static enum ms_code code_of_curl(CURLcode result) {
    if (result == CURLE_COULDNT_CONNECT || result == CURLE_COULDNT_RESOLVE_HOST ||
        result == CURLE_OPERATION_TIMEDOUT || result == CURLE_SSL_CONNECT_ERROR)
        return MS_UNAVAILABLE;
    if (result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE)
        return MS_DENIED;
    if (result == CURLE_OUT_OF_MEMORY)
        return MS_NO_MEMORY;
    if (result == CURLE_URL_MALFORMAT)
        return MS_CONFIG;
    return MS_IO; /* broken off, or bytes that are no HTTP: what came may be damaged */
}

static void fail_as_curl(struct ms_s3_transfer *t, CURLcode result) {
    enum ms_code code = code_of_curl(result);

    t->is_unreached = code == MS_UNAVAILABLE && result != CURLE_SSL_CONNECT_ERROR;
    if (t->code != MS_OK) /* a callback has said why */
        return;
    t->code = ms_fail(&t->error, code, "the object store: %s%s",
                      t->message[0] ? t->message : curl_easy_strerror(result),
                      result == CURLE_PEER_FAILED_VERIFICATION
                          ? "; a certificate of one's own is named by ca= in the URL of the store"
                          : "");
}

static void end_done(struct ms_s3_http *h) {
    struct ms_s3_transfer *t = NULL;
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(h->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        if (message->data.result == CURLE_OK)
            h->moved_ns = mono_ns();
        if (message->data.result != CURLE_OK)
            fail_as_curl(t, message->data.result);
        else if (!t->head_ended) /* for curl, that is an answer with fewer headers */
            t->code = ms_fail(&t->error, MS_IO, "the object store's answer broke off in its headers");
        else
            curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
        end_running(h, t);
    }
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* Of the body, by the peer's acknowledgement: on a slow line megabytes wait in the socket for a minute. */
static uint64_t left_us(const struct ms_s3_transfer *t) {
    int queued = 0;

    if (t->sent == 0 || t->socket < 0 || ioctl(t->socket, SIOCOUTQ, &queued) != 0 || queued < 0)
        return t->sent;
    return t->sent > (uint64_t)queued ? t->sent - (uint64_t)queued : 0;
}

static bool is_all_sent(const struct ms_s3_transfer *t) {
    curl_off_t bytes = 0;

    if (!t->easy)
        return false;
    if (t->body && t->body->length > 0)
        return t->sent == t->body->length && left_us(t) == t->sent;
    curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &bytes);
    return bytes > 0;
}

static void check_cancel(const struct ms_s3_http *h, struct ms_s3_transfer *t, int64_t now) {
    if (!ms_obj_is_cancelled(t->request))
        return;
    if (t->cancelled_ns == 0)
        t->cancelled_ns = now;
    /* The store has it all and may do it: so that the caller is told what became true. */
    if (t->changes && is_all_sent(t) && now - t->cancelled_ns < h->limits.settle_ms * NS_PER_MS)
        return;
    t->code = ms_fail(&t->error, MS_CANCELLED, "%s was cancelled", ms_obj_op_name(t->request->op));
}

static void check_progress(struct ms_s3_http *h, struct ms_s3_transfer *t, int64_t now) {
    int64_t first_byte_ms = t->first_byte_ms ? t->first_byte_ms : h->limits.first_byte_ms;
    uint64_t moved = left_us(t) + t->got + t->reply.len;

    if (is_all_sent(t) && !t->answered) {
        if (t->sent_ns == 0)
            t->sent_ns = now;
        if (now - t->sent_ns >= first_byte_ms * NS_PER_MS)
            t->code = ms_fail(&t->error, MS_TIMEOUT,
                              "the object store did not begin to answer within "
                              "%" PRId64 " ms",
                              first_byte_ms);
        t->window_ns = now;
        return;
    }
    if (moved - t->moved_before >= h->limits.stall_bytes || moved < t->moved_before) {
        t->moved_before = moved;
        t->window_ns = now;
        h->moved_ns = now;
    } else if (now - t->window_ns >= h->limits.stall_ms * NS_PER_MS) {
        t->code = ms_fail(&t->error, MS_TIMEOUT,
                          "only %" PRIu64 " bytes moved to or from the object "
                          "store within %" PRId64 " ms",
                          moved - t->moved_before, h->limits.stall_ms);
    }
}

static bool is_late(const struct ms_s3_http *h, const struct ms_s3_transfer *t, int64_t now) {
    if (now < t->deadline_mono_ns)
        return false;
    return !t->may_last || (!t->easy && now - h->moved_ns >= h->limits.stall_ms * NS_PER_MS);
}

static void check(struct ms_s3_http *h, struct ms_s3_transfer *t, int64_t now) {
    check_cancel(h, t, now);
    if (t->code == MS_OK && is_late(h, t, now))
        t->code = ms_fail(&t->error, MS_TIMEOUT, "%s was not done in its time%s",
                          ms_obj_op_name(t->request->op),
                          t->easy ? "" : ": too many transfers were before it");
    if (t->code == MS_OK && t->easy)
        check_progress(h, t, now);
}

static void check_list(struct ms_s3_http *h, struct list *list, int64_t now) {
    struct ms_s3_transfer *t, *next;
    int64_t due;

    for (t = list->first; t; t = next) {
        next = t->next;
        check(h, t, now);
        if (t->code != MS_OK && t->easy) {
            end_running(h, t);
        } else if (t->code != MS_OK) {
            take_out(list, t);
            finish(h, t);
        } else {
            due = now + (t->cancelled_ns != 0 ? CHECK_CANCELLED_NS : CHECK_NS);
            if (t->deadline_mono_ns > now && t->deadline_mono_ns < due)
                due = t->deadline_mono_ns;
            h->check_due_ns = due < h->check_due_ns ? due : h->check_due_ns;
        }
    }
}

static void check_all(struct ms_s3_http *h, int64_t now) {
    h->check_due_ns = INT64_MAX;
    check_list(h, &h->running, now);
    for (unsigned i = 0; i < MS_S3_CLASSES; i++)
        check_list(h, &h->waiting[i], now);
    begin_waiting(h);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static enum ms_s3_class class_of(const struct ms_s3_transfer *t) {
    bool is_big = t->into_n > SMALL_MAX || (t->body && t->body->length > SMALL_MAX);

    return is_big ? MS_S3_BIG : MS_S3_SMALL;
}

/* What other threads have left for this one. True: go on. */
static bool take_fresh(struct ms_s3_http *h) {
    struct ms_s3_transfer *t, *next;
    struct list fresh;
    int64_t now = mono_ns();
    bool stopping;

    pthread_mutex_lock(&h->mutex);
    fresh = h->locked.fresh;
    h->locked.fresh = (struct list){0};
    if (h->locked.poked)
        h->check_due_ns = 0;
    h->locked.poked = h->locked.woken = false;
    stopping = h->locked.stopping;
    pthread_mutex_unlock(&h->mutex);
    for (t = fresh.first; t; t = next) {
        next = t->next;
        t->class = class_of(t);
        check(h, t, now);
        if (t->code != MS_OK) {
            finish(h, t);
            continue;
        }
        if (t->deadline_mono_ns < h->check_due_ns)
            h->check_due_ns = t->deadline_mono_ns;
        append(&h->waiting[t->class], t);
    }
    begin_waiting(h);
    if (h->running.first && now + CHECK_NS < h->check_due_ns)
        h->check_due_ns = now + CHECK_NS;
    return !stopping || h->running.first;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *priv, void *known) {
    struct ms_s3_http *h = priv;
    struct epoll_event event = {.data.fd = fd};
    struct ms_s3_transfer *t = NULL;

    /* What curl tells of a transfer's socket while it runs. */
    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t) == CURLE_OK && t)
        t->socket = what == CURL_POLL_REMOVE ? -1 : fd;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(h->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? (unsigned)EPOLLIN : 0u) |
                   (what & CURL_POLL_OUT ? (unsigned)EPOLLOUT : 0u);
    if (epoll_ctl(h->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0)
        return -1;
    curl_multi_assign(h->multi, fd, h); /* anything but NULL: it is known */
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *priv) {
    struct ms_s3_http *h = priv;

    (void)multi;
    h->curl_due_ns = ms < 0 ? INT64_MAX : mono_ns() + ms * NS_PER_MS;
    return 0;
}

static int sleep_ms(const struct ms_s3_http *h) {
    int64_t due = h->curl_due_ns < h->check_due_ns ? h->curl_due_ns : h->check_due_ns, left;

    if (due == INT64_MAX)
        return -1;
    left = due - mono_ns();
    return left <= 0 ? 0 : (int)((left + NS_PER_MS - 1) / NS_PER_MS);
}

static void serve(struct ms_s3_http *h, const struct epoll_event *event) {
    uint64_t count;
    int bits = 0, running;

    if (event->data.fd == h->wake) {
        while (read(h->wake, &count, sizeof count) < 0 && errno == EINTR)
            ;
        return;
    }
    if (event->events & EPOLLIN)
        bits |= CURL_CSELECT_IN;
    if (event->events & EPOLLOUT)
        bits |= CURL_CSELECT_OUT;
    if (event->events & (EPOLLERR | EPOLLHUP))
        bits |= CURL_CSELECT_ERR;
    curl_multi_socket_action(h->multi, event->data.fd, bits, &running);
}

/* Signals are for the program's own threads; a TLS connection that breaks off must not raise SIGPIPE. */
static void block_signals(void) {
    sigset_t all;

    sigfillset(&all);
    MS_ASSERT(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
}

static void *run(void *arg) {
    struct ms_s3_http *h = arg;
    struct epoll_event events[EVENTS_MAX];
    int n, running;
    int64_t now;

    block_signals();
    while (take_fresh(h)) {
        n = epoll_wait(h->epoll, events, EVENTS_MAX, sleep_ms(h));
        for (int i = 0; i < n; i++)
            serve(h, &events[i]);
        now = mono_ns();
        if (h->curl_due_ns <= now) {
            h->curl_due_ns = INT64_MAX;
            curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        end_done(h);
        if (h->check_due_ns <= now)
            check_all(h, now);
    }
    return NULL;
}

/* ---- use ------------------------------------------------------------------------------------- */

static void wake_locked(struct ms_s3_http *h) {
    const uint64_t one = 1;

    if (!h->locked.woken)
        MS_ASSERT(write(h->wake, &one, sizeof one) == sizeof one);
    h->locked.woken = true;
}

void ms_s3_http_poke(struct ms_s3_http *http) {
    pthread_mutex_lock(&http->mutex);
    http->locked.poked = true;
    wake_locked(http);
    pthread_mutex_unlock(&http->mutex);
}

void ms_s3_http_start(struct ms_s3_http *http, struct ms_s3_transfer *transfer) {
    struct ms_s3_transfer *t = transfer;

    MS_ASSERT(t->request);
    MS_ASSERT(t->deadline_mono_ns > 0);
    MS_ASSERT(t->on_done);
    ms_buf_clear(&t->reply);
    ms_buf_clear(&t->reply_headers);
    t->reply.max = MS_S3_REPLY_MAX;
    t->reply_headers.max = MS_S3_HEADERS_MAX;
    t->code = MS_OK;
    t->error = (struct ms_error){0};
    t->status = 0;
    t->is_unreached = t->answered = t->head_ended = false;
    t->got = t->sent = t->moved_before = 0;
    t->sent_ns = t->cancelled_ns = 0;
    t->message[0] = '\0';
    t->easy = NULL;
    t->socket = -1;
    pthread_mutex_lock(&http->mutex);
    MS_ASSERT(!http->locked.stopping);
    append(&http->locked.fresh, t);
    wake_locked(http);
    pthread_mutex_unlock(&http->mutex);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void free_parts(struct ms_s3_http *h) {
    if (h->multi)
        curl_multi_cleanup(h->multi);
    if (h->epoll >= 0)
        close(h->epoll);
    if (h->wake >= 0)
        close(h->wake);
    curl_global_cleanup();
    pthread_mutex_destroy(&h->mutex);
    free(h->ca_file);
    free(h);
}

void ms_s3_http_free(struct ms_s3_http *http) {
    if (!http)
        return;
    pthread_mutex_lock(&http->mutex);
    http->locked.stopping = true;
    wake_locked(http);
    pthread_mutex_unlock(&http->mutex);
    MS_ASSERT(pthread_join(http->thread, NULL) == 0);
    free_parts(http);
}

static enum ms_code set_up(struct ms_s3_http *h, const char *ca_file, struct ms_error *reterr) {
    struct epoll_event event = {.events = EPOLLIN};

    h->multi = curl_multi_init();
    if (ca_file && *ca_file)
        h->ca_file = strdup(ca_file);
    if (!h->multi || (ca_file && *ca_file && !h->ca_file))
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an HTTP client");
    h->epoll = epoll_create1(EPOLL_CLOEXEC);
    h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    event.data.fd = h->wake;
    if (h->epoll < 0 || h->wake < 0 || epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->wake, &event) != 0)
        return ms_fail_errno(reterr, errno, "cannot wait for the sockets of the object store");
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)h->limits.connections_max);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    if (pthread_create(&h->thread, NULL, run, h) == 0)
        return MS_OK;
    return ms_fail(reterr, MS_NO_MEMORY,
                   "cannot start the thread that talks to the object store");
}

enum ms_code ms_s3_http_new(const struct ms_s3_limits *limits, const char *ca_file,
                            struct ms_s3_http **ret_http, struct ms_error *reterr) {
    struct ms_s3_http *h = calloc(1, sizeof *h);
    enum ms_code code;

    if (!h)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an HTTP client");
    /* Counted, and safe between threads since curl 7.84. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(h);
        return ms_fail(reterr, MS_NO_MEMORY, "libcurl cannot start");
    }
    h->limits = *limits;
    h->moved_ns = mono_ns();
    h->epoll = h->wake = -1;
    h->curl_due_ns = h->check_due_ns = INT64_MAX;
    h->locked.fresh = (struct list){0};
    ms_s3_turns_init(&h->turns, limits->connections_max);
    pthread_mutex_init(&h->mutex, NULL);
    code = set_up(h, ca_file, reterr);
    if (code == MS_OK &&
        !(curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS)) {
        ms_s3_http_free(h);
        return ms_fail(reterr, MS_UNSUPPORTED,
                       "this libcurl resolves names in the way of all transfers; one with a "
                       "threaded resolver is needed");
    }
    if (code != MS_OK) {
        free_parts(h);
        return code;
    }
    *ret_http = h;
    return MS_OK;
}
