#include "object/s3_http.h"

#include "base/assert.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define NS_PER_MS INT64_C(1000000)
#define IO_BUFFER (512L << 10)
#define POLL_MAX_MS 1000

struct ms_s3_http {
    struct ms_s3_limits limits;
    char *ca_file; /* NULL: the system's */
    CURLM *multi;
    pthread_t thread;
    struct ms_s3_transfer *running; /* the thread's own list */
    pthread_mutex_t mutex;
    struct {
        struct ms_s3_transfer *first, **last; /* handed over, not begun */
        bool stopping;
    } locked;
};

struct ms_s3_limits ms_s3_limits_default(void) {
    return (struct ms_s3_limits){.connect_ms = 3000,
                                 .first_byte_ms = 30000,
                                 .stall_ms = 20000,
                                 .stall_bytes = 20 << 10,
                                 .settle_ms = 10000,
                                 .connections_max = 256};
}

static int64_t mono_ns(void) { return ms_clock_mono_ns(ms_clock_system()); }

/* ---- bytes: on the engine's thread ----------------------------------------------------------- */

static ssize_t read_file(struct ms_s3_transfer *t, char *to, size_t n) {
    ssize_t got;

    do
        got = pread(t->body->fd, to, n, (off_t)(t->body->fd_offset + t->sent));
    while (got < 0 && errno == EINTR);
    if (got < 0)
        t->code = ms_fail_errno(t->error, errno, "cannot read the bytes to send at offset %" PRIu64,
                                t->body->fd_offset + t->sent);
    else if (got == 0)
        t->code = ms_fail(t->error, MS_MISMATCH,
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
            t->code = ms_fail(t->error, MS_PROTOCOL, "the store's reply has more than %zu bytes",
                              t->reply.max);
        return t->code == MS_OK ? n : 0;
    }
    if (n > t->into_n - t->got) {
        t->code = ms_fail(t->error, MS_PROTOCOL,
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
        return n;
    }
    name_n = strcspn(line, ":\r\n");
    for (size_t i = 0; i < name_n && i < n; i++)
        line[i] = (char)tolower((unsigned char)line[i]);
    t->code = ms_buf_add(&t->reply_headers, line, n, NULL);
    if (t->code != MS_OK)
        t->code =
            ms_fail(t->error, MS_PROTOCOL, "the store's reply has more than %zu bytes of headers",
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

static void set_body(struct ms_s3_transfer *t) {
    CURL *e = t->easy;

    if (!t->body) {
        if (strcmp(t->method, "HEAD") == 0)
            curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
        return;
    }
    curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->body->length);
    curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(e, CURLOPT_READDATA, t);
    curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(e, CURLOPT_SEEKDATA, t);
    curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, IO_BUFFER);
}

static void set_options(struct ms_s3_http *h, struct ms_s3_transfer *t) {
    CURL *e = t->easy;

    curl_easy_setopt(e, CURLOPT_URL, t->url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L); /* keys are no paths: what is signed is sent */
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, t->method);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)h->limits.connect_ms);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, IO_BUFFER);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->message);
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    if (h->ca_file)
        curl_easy_setopt(e, CURLOPT_CAINFO, h->ca_file);
    set_body(t);
}

static void finish(struct ms_s3_http *h, struct ms_s3_transfer *t) {
    if (t->easy) {
        curl_multi_remove_handle(h->multi, t->easy);
        curl_easy_cleanup(t->easy);
        t->easy = NULL;
    }
    ms_latch_open(&t->latch); /* the last touch */
}

static void begin(struct ms_s3_http *h, struct ms_s3_transfer *t) {
    t->easy = curl_easy_init();
    if (t->easy) {
        set_options(h, t);
        t->window_ns = mono_ns();
    }
    if (!t->easy || curl_multi_add_handle(h->multi, t->easy) != CURLM_OK) {
        t->code = ms_fail(t->error, MS_NO_MEMORY, "no memory for a transfer");
        finish(h, t);
        return;
    }
    t->next = h->running;
    h->running = t;
}

static void begin_new(struct ms_s3_http *h) {
    struct ms_s3_transfer *list, *next;

    pthread_mutex_lock(&h->mutex);
    list = MS_TAKE(h->locked.first);
    h->locked.last = &h->locked.first;
    pthread_mutex_unlock(&h->mutex);
    for (; list; list = next) {
        next = list->next;
        begin(h, list);
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
    if (result == CURLE_URL_MALFORMAT || result == CURLE_UNSUPPORTED_PROTOCOL)
        return MS_CONFIG;
    return MS_IO;
}

static void unlink_running(struct ms_s3_http *h, const struct ms_s3_transfer *t) {
    struct ms_s3_transfer **at = &h->running;

    while (*at && *at != t)
        at = &(*at)->next;
    MS_ASSERT(*at);
    *at = (*at)->next;
}

static void end(struct ms_s3_http *h, struct ms_s3_transfer *t, CURLcode result) {
    const char *why = t->message[0] ? t->message : curl_easy_strerror(result);

    if (result == CURLE_OK)
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
    else if (t->code == MS_OK)
        t->code = ms_fail(t->error, code_of_curl(result), "the object store: %s", why);
    unlink_running(h, t);
    finish(h, t);
}

static void end_done(struct ms_s3_http *h) {
    struct ms_s3_transfer *t = NULL;
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(h->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        end(h, t, message->data.result);
    }
}

/* ---- limits ---------------------------------------------------------------------------------- */

static bool is_all_sent(const struct ms_s3_transfer *t) {
    curl_off_t bytes = 0;

    if (t->body && t->body->length > 0)
        return t->sent == t->body->length;
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
    t->code = ms_fail(t->error, MS_CANCELLED, "%s was cancelled", ms_obj_op_name(t->request->op));
}

static void check_progress(const struct ms_s3_http *h, struct ms_s3_transfer *t, int64_t now) {
    int64_t first_byte_ms = t->first_byte_ms ? t->first_byte_ms : h->limits.first_byte_ms;
    uint64_t moved = t->sent + t->got + t->reply.len;

    if (is_all_sent(t) && !t->answered) {
        if (t->sent_ns == 0)
            t->sent_ns = now;
        if (now - t->sent_ns >= first_byte_ms * NS_PER_MS)
            t->code = ms_fail(t->error, MS_TIMEOUT,
                              "the object store did not begin to answer within "
                              "%" PRId64 " ms",
                              first_byte_ms);
        t->window_ns = now;
        return;
    }
    if (moved - t->moved_before >= h->limits.stall_bytes || moved < t->moved_before) {
        t->moved_before = moved;
        t->window_ns = now;
    } else if (now - t->window_ns >= h->limits.stall_ms * NS_PER_MS) {
        t->code = ms_fail(t->error, MS_TIMEOUT,
                          "only %" PRIu64 " bytes moved to or from the object "
                          "store within %" PRId64 " ms",
                          moved - t->moved_before, h->limits.stall_ms);
    }
}

static void check(const struct ms_s3_http *h, struct ms_s3_transfer *t, int64_t now) {
    check_cancel(h, t, now);
    if (t->code == MS_OK && now >= t->deadline_mono_ns)
        t->code = ms_fail(t->error, MS_TIMEOUT, "%s was not done in its time",
                          ms_obj_op_name(t->request->op));
    if (t->code == MS_OK)
        check_progress(h, t, now);
}

/* How long the thread may sleep. */
static int check_all(struct ms_s3_http *h) {
    struct ms_s3_transfer *t, *next;
    int64_t now = mono_ns(), least_ms = POLL_MAX_MS, left_ms;

    for (t = h->running; t; t = next) {
        next = t->next;
        check(h, t, now);
        if (t->code != MS_OK) {
            unlink_running(h, t);
            finish(h, t);
            continue;
        }
        left_ms = (t->deadline_mono_ns - now) / NS_PER_MS + 1;
        if (left_ms < least_ms)
            least_ms = left_ms;
        if (t->cancelled_ns != 0 && least_ms > 20)
            least_ms = 20;
    }
    return (int)least_ms;
}

/* Signals are for the program's own threads; a TLS connection that breaks off must not raise SIGPIPE. */
static void block_signals(void) {
    sigset_t all;

    sigfillset(&all);
    MS_ASSERT(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
}

static void *run(void *arg) {
    struct ms_s3_http *h = arg;
    int running;
    bool stopping;

    block_signals();
    do {
        begin_new(h);
        curl_multi_perform(h->multi, &running);
        end_done(h);
        curl_multi_poll(h->multi, NULL, 0, check_all(h), NULL);
        pthread_mutex_lock(&h->mutex);
        stopping = h->locked.stopping && !h->locked.first;
        pthread_mutex_unlock(&h->mutex);
    } while (!stopping || h->running);
    return NULL;
}

/* ---- use ------------------------------------------------------------------------------------- */

void ms_s3_http_poke(struct ms_s3_http *http) { curl_multi_wakeup(http->multi); }

enum ms_code ms_s3_http_run(struct ms_s3_http *http, struct ms_s3_transfer *transfer,
                            struct ms_error *reterr) {
    struct ms_error error = {0};

    MS_ASSERT(transfer->request);
    MS_ASSERT(transfer->deadline_mono_ns > 0);
    transfer->error = &error;
    transfer->code = MS_OK;
    transfer->reply.max = MS_S3_REPLY_MAX;
    transfer->reply_headers.max = MS_S3_HEADERS_MAX;
    transfer->next = NULL;
    ms_latch_init(&transfer->latch);
    pthread_mutex_lock(&http->mutex);
    MS_ASSERT(!http->locked.stopping);
    *http->locked.last = transfer;
    http->locked.last = &transfer->next;
    pthread_mutex_unlock(&http->mutex);
    ms_s3_http_poke(http);
    ms_latch_wait(&transfer->latch);
    transfer->error = NULL;
    if (transfer->code != MS_OK && reterr)
        *reterr = error;
    return transfer->code;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void free_parts(struct ms_s3_http *h) {
    if (h->multi)
        curl_multi_cleanup(h->multi);
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
    pthread_mutex_unlock(&http->mutex);
    ms_s3_http_poke(http);
    MS_ASSERT(pthread_join(http->thread, NULL) == 0);
    free_parts(http);
}

enum ms_code ms_s3_http_new(const struct ms_s3_limits *limits, const char *ca_file,
                            struct ms_s3_http **ret_http, struct ms_error *reterr) {
    struct ms_s3_http *h = calloc(1, sizeof *h);

    if (!h)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an HTTP client");
    /* Counted, and safe between threads since curl 7.84. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(h);
        return ms_fail(reterr, MS_NO_MEMORY, "libcurl cannot start");
    }
    h->limits = *limits;
    pthread_mutex_init(&h->mutex, NULL);
    h->locked.last = &h->locked.first;
    h->multi = curl_multi_init();
    if (ca_file && *ca_file)
        h->ca_file = strdup(ca_file);
    if (!h->multi || (ca_file && *ca_file && !h->ca_file)) {
        free_parts(h);
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an HTTP client");
    }
    curl_multi_setopt(h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, limits->connections_max);
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, limits->connections_max);
    if (pthread_create(&h->thread, NULL, run, h) != 0) {
        free_parts(h);
        return ms_fail(reterr, MS_NO_MEMORY,
                       "cannot start the thread that talks to the object store");
    }
    *ret_http = h;
    return MS_OK;
}
