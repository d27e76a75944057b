#include "fault/wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- sockets --------------------------------------------------------------------------------- */

bool wire_connect(struct wire *wire, const char *host, uint16_t port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    const int one = 1;

    wire->at = wire->n = 0;
    wire->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1 || wire->fd < 0 ||
        connect(wire->fd, (struct sockaddr *)&to, sizeof to) != 0) {
        wire_close(wire);
        return false;
    }
    (void)setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return true;
}

void wire_close(struct wire *wire) {
    if (wire->fd >= 0)
        close(wire->fd);
    wire->fd = -1;
}

void wire_reset(struct wire *wire) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (wire->fd >= 0)
        (void)setsockopt(wire->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    wire_close(wire);
}

bool wire_is_open(const struct wire *wire) {
    struct pollfd look = {.fd = wire->fd, .events = POLLIN | POLLRDHUP};

    return wire->fd >= 0 && (poll(&look, 1, 0) == 0 || !(look.revents & (POLLRDHUP | POLLHUP | POLLERR)));
}

bool wire_send(const struct wire *wire, const void *bytes, size_t n) {
    const char *p = bytes;

    while (n > 0) {
        ssize_t sent = send(wire->fd, p, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool fill(struct wire *wire) {
    ssize_t got;

    if (wire->at == wire->n)
        wire->at = wire->n = 0;
    if (wire->fd < 0 || wire->n == sizeof wire->bytes)
        return false;
    got = recv(wire->fd, wire->bytes + wire->n, sizeof wire->bytes - wire->n, 0);
    if (got <= 0)
        return false;
    wire->n += (size_t)got;
    return true;
}

/* ---- heads ----------------------------------------------------------------------------------- */

static bool read_head(struct wire *wire, struct wire_head *head) {
    memset(head, 0, sizeof *head);
    for (;;) {
        while (wire->at < wire->n) {
            if (head->n + 1 == sizeof head->text)
                return false;
            head->text[head->n++] = wire->bytes[wire->at++];
            if (head->n >= 4 && memcmp(head->text + head->n - 4, "\r\n\r\n", 4) == 0)
                return true;
        }
        if (!fill(wire))
            return false;
    }
}

static const char *header(const struct wire_head *head, const char *name) {
    size_t n = strlen(name);

    for (const char *p = strchr(head->text, '\n'); p; p = strchr(p, '\n')) {
        p++;
        if (strncasecmp(p, name, n) == 0 && p[n] == ':')
            return p + n + 1 + strspn(p + n + 1, " ");
    }
    return NULL;
}

static void read_headers(struct wire_head *head) {
    const char *value = header(head, "content-length");

    head->length = value ? strtoull(value, NULL, 10) : 0;
    value = header(head, "transfer-encoding");
    head->chunked = value && strncasecmp(value, "chunked", 7) == 0;
    value = header(head, "connection");
    head->closes = value && strncasecmp(value, "close", 5) == 0;
    head->copies = header(head, "x-amz-copy-source") != NULL;
}

bool wire_read_request(struct wire *wire, struct wire_head *ret_head) {
    const char *space, *end;

    if (!read_head(wire, ret_head))
        return false;
    space = strchr(ret_head->text, ' ');
    end = space ? strpbrk(space + 1, " \r") : NULL;
    if (!end)
        return false;
    (void)snprintf(ret_head->method, sizeof ret_head->method, "%.*s", (int)(space - ret_head->text), ret_head->text);
    (void)snprintf(ret_head->target, sizeof ret_head->target, "%.*s", (int)(end - space - 1), space + 1);
    read_headers(ret_head);
    return true;
}

bool wire_read_answer(struct wire *wire, struct wire_head *ret_head) {
    do {
        if (!read_head(wire, ret_head) || strncmp(ret_head->text, "HTTP/1.", 7) != 0)
            return false;
        ret_head->status = (unsigned)strtoul(ret_head->text + 9, NULL, 10);
    } while (ret_head->status == 100);
    read_headers(ret_head);
    return true;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

struct passing {
    struct wire *from, *to;
    const struct wire_body *how;
    uint64_t passed; /* bytes of the body; the frames of chunks do not count */
};

static void wait_for(uint64_t bytes, uint64_t bytes_a_second) {
    uint64_t ns = bytes * UINT64_C(1000000000) / bytes_a_second;
    struct timespec pause = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};

    (void)nanosleep(&pause, NULL);
}

static bool pass_piece(struct passing *p, char *bytes, size_t n) {
    const struct wire_body *how = p->how;
    bool is_cut = n > how->cut_at - p->passed;

    if (is_cut)
        n = (size_t)(how->cut_at - p->passed);
    if (how->flip_at >= p->passed && how->flip_at - p->passed < n)
        bytes[how->flip_at - p->passed] ^= (char)(1 << (how->flip_at % 8));
    if (how->bytes_a_second)
        wait_for(n, how->bytes_a_second);
    p->passed += n;
    return (!p->to || n == 0 || wire_send(p->to, bytes, n)) && !is_cut;
}

static bool pass_bytes(struct passing *p, uint64_t left) {
    while (left > 0) {
        size_t n;

        if (p->from->at == p->from->n && !fill(p->from))
            return false;
        n = p->from->n - p->from->at;
        n = n < left ? n : (size_t)left;
        if (p->how->bytes_a_second && n > 4096)
            n = 4096;
        if (!pass_piece(p, p->from->bytes + p->from->at, n))
            return false;
        p->from->at += n;
        left -= n;
    }
    return true;
}

/* A line of the frame, passed on as it is. */
static bool pass_line(struct passing *p, char *ret_line, size_t size) {
    size_t n = 0;

    do {
        if (n + 1 == size || (p->from->at == p->from->n && !fill(p->from)))
            return false;
        ret_line[n] = p->from->bytes[p->from->at++];
    } while (ret_line[n++] != '\n');
    ret_line[n] = '\0';
    return !p->to || wire_send(p->to, ret_line, n);
}

static bool pass_chunks(struct passing *p) {
    char line[1024];
    uint64_t n;

    do {
        if (!pass_line(p, line, sizeof line))
            return false;
        n = strtoull(line, NULL, 16);
        if (n > 0 && (!pass_bytes(p, n) || !pass_line(p, line, sizeof line)))
            return false;
    } while (n > 0);
    do /* trailers, and the line behind them */
        if (!pass_line(p, line, sizeof line))
            return false;
    while (line[0] != '\r' && line[0] != '\n');
    return true;
}

bool wire_pass(struct wire *from, struct wire *to, const struct wire_head *head, const struct wire_body *how,
               uint64_t *ret_passed) {
    struct passing p = {.from = from, .to = to, .how = how};
    bool is_whole = head->chunked ? pass_chunks(&p) : pass_bytes(&p, head->length);

    if (ret_passed)
        *ret_passed = p.passed;
    return is_whole;
}
