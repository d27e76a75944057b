#include "support/fake_s3.h"

#include "base/assert.h"
#include "base/clock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    struct fake_s3 *fake;
    int fd;
    char text[FAKE_S3_HEAD_MAX * 2];
    size_t n;
};

bool fake_s3_header(const struct fake_s3_request *request, const char *name, char *ret, size_t size) {
    size_t name_n = strlen(name), n;

    for (const char *p = request->head; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        if (strncasecmp(p, name, name_n) != 0 || p[name_n] != ':')
            continue;
        p += name_n + 1;
        p += strspn(p, " ");
        n = strcspn(p, "\r\n");
        (void)snprintf(ret, size, "%.*s", (int)n, p);
        return true;
    }
    return false;
}

/* The head of the next request; what came behind it stays in the buffer. False: the peer is gone. */
static bool read_head(struct connection *c, struct fake_s3_request *r) {
    char *end, *line_end, *blank;
    ssize_t got;

    while (!(end = memmem(c->text, c->n, "\r\n\r\n", 4))) {
        if (c->n == sizeof c->text)
            return false;
        got = read(c->fd, c->text + c->n, sizeof c->text - c->n);
        if (got <= 0)
            return false;
        c->n += (size_t)got;
    }
    end[2] = '\0';
    line_end = strstr(c->text, "\r\n");
    *line_end = '\0';
    (void)snprintf(r->head, sizeof r->head, "%s", line_end + 2);
    blank = strchr(c->text, ' ');
    if (!blank)
        return false;
    *blank = '\0';
    (void)snprintf(r->method, sizeof r->method, "%.15s", c->text);
    (void)snprintf(r->target, sizeof r->target, "%.*s", (int)strcspn(blank + 1, " "), blank + 1);
    c->n -= (size_t)(end + 4 - c->text);
    memmove(c->text, end + 4, c->n);
    return true;
}

static void note_body(struct fake_s3_request *r, size_t *at, const char *p, size_t n) {
    size_t room = FAKE_S3_BODY_MAX - *at;

    n = n < room ? n : room;
    memcpy(r->body + *at, p, n);
    *at += n;
    r->body[*at] = '\0';
}

static bool read_body(struct connection *c, struct fake_s3_request *r, uint64_t n) {
    uint64_t had = c->n < n ? c->n : n;
    size_t noted = 0;
    ssize_t got;

    r->body[0] = '\0';
    note_body(r, &noted, c->text, (size_t)had);
    c->n -= (size_t)had;
    memmove(c->text, c->text + had, c->n);
    for (n -= had; n > 0; n -= (uint64_t)got) {
        got = read(c->fd, c->text, n < sizeof c->text ? (size_t)n : sizeof c->text);
        if (got <= 0)
            return false;
        note_body(r, &noted, c->text, (size_t)got);
    }
    return true;
}

static void date_text(int64_t skew_s, char *ret, size_t size) {
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct ms_civil c = ms_instant_civil(ms_instant_add_ms(ms_clock_kernel_now(), skew_s * 1000));

    /* Nobody looks at the day of the week. */
    (void)snprintf(ret, size, "Date: Mon, %02d %s %04d %02d:%02d:%02d GMT\r\n", c.day,
                   months[(c.month - 1) % 12], c.year, c.hour, c.minute, c.second);
}

static bool send_all(int fd, const char *p, size_t n) {
    ssize_t sent;

    for (; n > 0; p += sent, n -= (size_t)sent) {
        sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
    }
    return true;
}

static bool send_answer(struct connection *c, const struct fake_s3_request *r,
                        const struct fake_s3_answer *a) {
    char head[2048], date[64] = "";
    size_t body_n = a->body_n ? a->body_n : a->body ? strlen(a->body) : 0;
    int n;

    if (!a->no_date)
        date_text(a->skew_s, date, sizeof date);
    n = snprintf(head, sizeof head, "HTTP/1.1 %d Told\r\n%s%sContent-Length: %zu\r\n\r\n", a->status,
                 date, a->head, body_n);
    if (strcmp(r->method, "HEAD") == 0)
        body_n = 0;
    return send_all(c->fd, head, (size_t)n) && (body_n == 0 || send_all(c->fd, a->body, body_n));
}

static bool serve_one(struct connection *c, struct fake_s3_request *r) {
    struct fake_s3 *f = c->fake;
    struct fake_s3_answer a = {.status = 200, .body = ""};
    unsigned busy, most;
    char length[32];

    if (!read_head(c, r))
        return false;
    r->body_n = fake_s3_header(r, "content-length", length, sizeof length) ? strtoull(length, NULL, 10) : 0;
    if (!read_body(c, r, r->body_n))
        return false;
    __atomic_add_fetch(&f->unsent, 1, __ATOMIC_SEQ_CST);
    r->number = __atomic_add_fetch(&f->requests, 1, __ATOMIC_SEQ_CST);
    busy = __atomic_add_fetch(&f->busy, 1, __ATOMIC_SEQ_CST);
    most = __atomic_load_n(&f->busy_max, __ATOMIC_SEQ_CST);
    while (busy > most &&
           !__atomic_compare_exchange_n(&f->busy_max, &most, busy, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        ;
    f->answer(f, r, &a);
    __atomic_sub_fetch(&f->busy, 1, __ATOMIC_SEQ_CST);
    bool goes_on = !a.raw && a.status != 0 && send_answer(c, r, &a);
    if (a.raw)
        (void)send_all(c->fd, a.raw, a.raw_n);
    __atomic_sub_fetch(&f->unsent, 1, __ATOMIC_SEQ_CST);
    return goes_on;
}

static void *serve(void *arg) {
    struct connection *c = arg;
    struct fake_s3_request *r = calloc(1, sizeof *r);

    while (r && serve_one(c, r))
        ;
    free(r);
    shutdown(c->fd, SHUT_RDWR); /* closed by _stop, so that its number is not another's meanwhile */
    free(c);
    return NULL;
}

static bool take_connection(struct fake_s3 *f, int fd) {
    struct connection *c = calloc(1, sizeof *c);
    bool taken = false;
    int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    pthread_mutex_lock(&f->mutex);
    if (c && !f->locked.stopping && f->locked.n < FAKE_S3_CONNECTIONS_MAX) {
        *c = (struct connection){.fake = f, .fd = fd};
        f->locked.fds[f->locked.n] = fd;
        taken = pthread_create(&f->locked.threads[f->locked.n], NULL, serve, c) == 0;
        f->locked.n += taken;
    }
    pthread_mutex_unlock(&f->mutex);
    if (!taken)
        free(c);
    return taken;
}

static void *accept_all(void *arg) {
    struct fake_s3 *f = arg;
    int fd;

    while ((fd = accept(f->listening, NULL, NULL)) >= 0)
        if (!take_connection(f, fd))
            close(fd);
    return NULL;
}

/* An exchange, so that it orders both ways with those around answer(). */
void fake_s3_settle(struct fake_s3 *fake) {
    while (__atomic_fetch_add(&fake->unsent, 0, __ATOMIC_SEQ_CST) > 0)
        usleep(100);
}

bool fake_s3_start(struct fake_s3 *fake) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fake->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int one = 1;

    fake->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MS_ASSERT(fake->listening >= 0);
    (void)setsockopt(fake->listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fake->listening, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fake->listening, (struct sockaddr *)&address, &n) != 0 ||
        listen(fake->listening, 256) != 0) {
        close(fake->listening);
        return false;
    }
    fake->port = ntohs(address.sin_port);
    pthread_mutex_init(&fake->mutex, NULL);
    fake->locked.n = 0;
    fake->locked.stopping = false;
    MS_ASSERT(pthread_create(&fake->thread, NULL, accept_all, fake) == 0);
    return true;
}

void fake_s3_stop(struct fake_s3 *fake) {
    pthread_mutex_lock(&fake->mutex);
    fake->locked.stopping = true;
    pthread_mutex_unlock(&fake->mutex);
    shutdown(fake->listening, SHUT_RDWR);
    pthread_join(fake->thread, NULL);
    close(fake->listening);
    for (size_t i = 0; i < fake->locked.n; i++)
        shutdown(fake->locked.fds[i], SHUT_RDWR);
    for (size_t i = 0; i < fake->locked.n; i++) {
        pthread_join(fake->locked.threads[i], NULL);
        close(fake->locked.fds[i]);
    }
    pthread_mutex_destroy(&fake->mutex);
}
