#include "far_store.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define NS INT64_C(1000000000)
/* How much a taker that slept too long may catch up. */
#define CATCH_UP_NS INT64_C(4000000)

/* ---- pace ------------------------------------------------------------------------------------- */

static int64_t now_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS + t.tv_nsec;
}

static void sleep_until(int64_t ns) {
    struct timespec t = {.tv_sec = ns / NS, .tv_nsec = ns % NS};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        continue;
}

int64_t far_pace_take(struct far_pace *pace, size_t n) {
    int64_t cost = (int64_t)((double)n * 1e9 / (double)pace->rate),
            earliest = now_ns() - CATCH_UP_NS;
    int64_t next = atomic_load(&pace->next_ns), then;

    do
        then = (next > earliest ? next : earliest) + cost;
    while (!atomic_compare_exchange_weak(&pace->next_ns, &next, then));
    return then;
}

static void pace_both(struct far_pace *own, struct far_pace *link, size_t n) {
    int64_t a = far_pace_take(own, n), b = far_pace_take(link, n), later = a > b ? a : b;

    if (later > now_ns())
        sleep_until(later);
}

/* ---- bytes in --------------------------------------------------------------------------------- */

/* At most n bytes, those first that came with the head; 0: lost. */
static size_t receive_some(struct far_conn *c, void *to, size_t n) {
    if (c->head_at < c->head_n) {
        size_t have = c->head_n - c->head_at;

        n = n < have ? n : have;
        memcpy(to, c->head + c->head_at, n);
        c->head_at += n;
        return n;
    }
    for (;;) {
        ssize_t m = recv(c->fd, to, n, 0);

        if (m >= 0)
            return (size_t)m;
        if (errno != EINTR)
            return 0;
    }
}

static bool receive_all(struct far_conn *c, uint8_t *to, size_t n) {
    while (n > 0) {
        size_t m = receive_some(c, to, n);

        if (m == 0)
            return false;
        to += m;
        n -= m;
    }
    return true;
}

static bool say_continue(struct far_conn *c) {
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

    return !c->request.expects ||
           send(c->fd, text, sizeof text - 1, MSG_NOSIGNAL) == sizeof text - 1;
}

struct far_blob *far_conn_receive(struct far_conn *c, bool *ret_lost) {
    uint64_t bytes = c->request.body_bytes;
    struct far_blob *blob = far_blob_new(&c->store->data, bytes);

    *ret_lost = !blob || !say_continue(c);
    for (uint64_t at = 0; blob && !*ret_lost && at < bytes;) {
        size_t n = bytes - at < FAR_PIECE ? (size_t)(bytes - at) : FAR_PIECE;

        *ret_lost = !receive_all(c, c->piece, n) || pwrite(c->store->data.memory, c->piece, n,
                                                           (off_t)(blob->at + at)) != (ssize_t)n;
        pace_both(&c->in, &c->store->in, n);
        at += n;
    }
    if (*ret_lost) {
        far_blob_unref(&c->store->data, blob);
        return NULL;
    }
    return blob;
}

/* A body that is text. */
static bool receive_text(struct far_conn *c) {
    size_t n = (size_t)c->request.body_bytes;

    if (n > MS_BUF_MAX_DEFAULT / 2 || ms_buf_reserve(&c->body, n + 1, NULL) != MS_OK ||
        !say_continue(c) || !receive_all(c, c->body.data, n))
        return false;
    c->body.len = n;
    c->body.data[n] = '\0';
    return true;
}

/* ---- heads ------------------------------------------------------------------------------------ */

static void keep_header(struct far_request *r, const char *name, const char *value) {
    if (r->headers_n + strlen(name) + strlen(value) + 5 < FAR_HEAD_MAX)
        r->headers_n += (size_t)snprintf(r->headers + r->headers_n, FAR_HEAD_MAX - r->headers_n,
                                         "%s: %s\r\n", name, value);
}

static void take_header(struct far_request *r, const char *name, const char *value) {
    if (strcasecmp(name, "content-length") == 0)
        r->body_bytes = far_number(value, 0);
    else if (strcasecmp(name, "authorization") == 0)
        r->has_keys = true;
    else if (strcasecmp(name, "range") == 0)
        (void)snprintf(r->range, sizeof r->range, "%s", value);
    else if (strcasecmp(name, "x-amz-copy-source") == 0)
        (void)snprintf(r->copy_source, sizeof r->copy_source, "%s", value);
    else if (strcasecmp(name, "x-amz-copy-source-range") == 0)
        (void)snprintf(r->copy_range, sizeof r->copy_range, "%s", value);
    else if (strcasecmp(name, "x-amz-metadata-directive") == 0)
        r->copy_replaces = strcasecmp(value, "REPLACE") == 0;
    else if (strcasecmp(name, "if-none-match") == 0)
        (void)snprintf(r->if_none_match, sizeof r->if_none_match, "%s", value);
    else if (strcasecmp(name, "content-md5") == 0)
        (void)snprintf(r->content_md5, sizeof r->content_md5, "%s", value);
    else if (strcasecmp(name, "expect") == 0)
        r->expects = true;
    else if (strcasecmp(name, "connection") == 0)
        r->closes = strcasecmp(value, "close") == 0;
    else if (strcasecmp(name, "transfer-encoding") == 0)
        r->refuses_body = true;
    else if (strcasecmp(name, "x-amz-content-sha256") == 0 && strncmp(value, "STREAMING", 9) == 0)
        r->refuses_body = true;
    else if (strcasecmp(name, "content-type") == 0 || strncasecmp(name, "x-amz-meta-", 11) == 0)
        keep_header(r, name, value);
}

/* "METHOD /bucket/key?query HTTP/1.1" */
static bool take_first_line(struct far_request *r, char *line) {
    char *target = strchr(line, ' '), *end = target ? strchr(target + 1, ' ') : NULL, *key;

    if (!end || target - line >= (ptrdiff_t)sizeof r->method || target[1] != '/')
        return false;
    *target = *end = '\0';
    (void)snprintf(r->method, sizeof r->method, "%s", line);
    target += 2;
    r->query = strchr(target, '?');
    if (r->query)
        *r->query++ = '\0';
    key = strchr(target, '/');
    if (key)
        *key++ = '\0';
    (void)snprintf(r->bucket, sizeof r->bucket, "%s", target);
    if (key) {
        far_url_decode(key);
        if (strlen(key) > FAR_KEY_MAX)
            return false;
        (void)snprintf(r->key, sizeof r->key, "%s", key);
    }
    return true;
}

static bool parse_head(struct far_conn *c, char *text) {
    struct far_request *r = &c->request;
    char *next, *line = text, *headers = r->headers;
    char found[16];

    *r = (struct far_request){.headers = headers};
    headers[0] = '\0';
    for (; line; line = next) {
        next = strstr(line, "\r\n");
        if (next) {
            *next = '\0';
            next += 2;
        }
        if (line == text) {
            if (!take_first_line(r, line))
                return false;
            continue;
        }
        char *value = strchr(line, ':');
        if (value) {
            *value++ = '\0';
            take_header(r, line, value + strspn(value, " \t"));
        }
    }
    if (far_query(r, "Signature", found, sizeof found) ||
        far_query(r, "X-Amz-Signature", found, sizeof found))
        r->has_keys = true;
    return true;
}

/* The next head, with a NUL in place of its last line; NULL: the connection ends. */
static char *receive_head(struct far_conn *c) {
    char *end;

    memmove(c->head, c->head + c->head_at, c->head_n - c->head_at);
    c->head_n -= c->head_at;
    c->head_at = 0;
    for (;;) {
        c->head[c->head_n] = '\0';
        end = strstr(c->head, "\r\n\r\n");
        if (end)
            break;
        if (c->head_n + 1 >= sizeof c->head)
            return NULL;
        ssize_t n = recv(c->fd, c->head + c->head_n, sizeof c->head - 1 - c->head_n, 0);
        if (n <= 0)
            return NULL;
        c->head_n += (size_t)n;
    }
    c->head_at = (size_t)(end - c->head) + 4;
    *end = '\0';
    return c->head;
}

/* ---- answers ---------------------------------------------------------------------------------- */

static bool send_all(struct far_conn *c, const void *from, size_t n, int flags) {
    const char *p = from;

    while (n > 0) {
        ssize_t m = send(c->fd, p, n, MSG_NOSIGNAL | flags);

        if (m < 0 && errno == EINTR)
            continue;
        if (m <= 0)
            return false;
        p += m;
        n -= (size_t)m;
    }
    return true;
}

static bool send_extent(struct far_conn *c, off_t at, uint64_t bytes) {
    while (bytes > 0) {
        size_t n = bytes < FAR_PIECE ? (size_t)bytes : FAR_PIECE;

        for (size_t left = n; left > 0;) {
            ssize_t m = sendfile(c->fd, c->store->data.memory, &at, left);

            if (m < 0 && errno == EINTR)
                continue;
            if (m <= 0)
                return false;
            left -= (size_t)m;
        }
        pace_both(&c->out, &c->store->out, n);
        bytes -= n;
    }
    return true;
}

static bool send_object(struct far_conn *c, const struct far_answer *a) {
    uint64_t skip = a->at, left = a->bytes;

    for (unsigned i = 0; i < a->object->extents_n && left > 0; i++) {
        const struct far_extent *e = &a->object->extents[i];
        uint64_t n;

        if (skip >= e->bytes) {
            skip -= e->bytes;
            continue;
        }
        n = e->bytes - skip < left ? e->bytes - skip : left;
        if (!send_extent(c, (off_t)(e->blob->at + e->at + skip), n))
            return false;
        skip = 0;
        left -= n;
    }
    return true;
}

static const char *reason_of(int status) {
    switch (status) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 206:
        return "Partial Content";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    default:
        return "Refused";
    }
}

static void add_object_headers(struct ms_buf *head, const struct far_answer *a) {
    const struct far_object *o = a->object;
    char date[FAR_DATE];

    far_date(o->modified, true, date);
    far_text(head, "ETag: \"%s\"\r\nLast-Modified: %s\r\nAccept-Ranges: bytes\r\n%s", o->etag, date,
             o->headers);
    if (!strcasestr(o->headers, "content-type:"))
        far_text(head, "Content-Type: binary/octet-stream\r\n");
    if (a->partial)
        far_text(head, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", a->at,
                 a->at + a->bytes - 1, o->bytes);
}

bool far_conn_answer(struct far_conn *c, struct far_answer *a) {
    struct ms_buf head = {0};
    uint64_t bytes = a->object ? a->bytes : c->body.len;
    char date[FAR_DATE];
    bool ok;

    far_date(time(NULL), true, date);
    far_text(&head,
             "HTTP/1.1 %d %s\r\nServer: far_store\r\nDate: %s\r\nx-amz-request-id: far\r\n%s",
             a->status, reason_of(a->status), date, a->extra);
    if (a->status != 204)
        far_text(&head, "Content-Length: %" PRIu64 "\r\n", bytes);
    if (a->object)
        add_object_headers(&head, a);
    else if (c->body.len > 0)
        far_text(&head, "Content-Type: application/xml\r\n");
    if (c->request.closes)
        far_text(&head, "Connection: close\r\n");
    far_text(&head, "\r\n");
    sleep_until(now_ns() + c->store->latency_ns);
    bool more = !a->head_only && bytes > 0;
    ok = send_all(c, head.data, head.len, more ? MSG_MORE : 0);
    if (ok && more)
        ok = a->object ? send_object(c, a) : send_all(c, c->body.data, c->body.len, 0);
    ms_buf_fini(&head);
    far_object_unref(&c->store->data, a->object);
    return ok && !c->request.closes;
}

void *far_conn_main(void *conn) {
    struct far_conn *c = conn;
    char *text;

    c->request.headers = malloc(FAR_HEAD_MAX);
    c->piece = malloc(FAR_PIECE);
    c->in.rate = c->out.rate = c->store->connection_rate;
    while (c->request.headers && c->piece && (text = receive_head(c)) && parse_head(c, text)) {
        const struct far_request *r = &c->request;
        bool is_text = strcmp(r->method, "POST") == 0 || !r->key[0];

        ms_buf_clear(&c->body);
        if (is_text && r->body_bytes > 0 && !receive_text(c))
            break;
        if (!far_serve(c))
            break;
    }
    close(c->fd);
    ms_buf_fini(&c->body);
    free(c->request.headers);
    free(c->piece);
    free(c);
    return NULL;
}
