/* wire.h — as much of HTTP/1.1 as the fault proxy needs: heads, and bodies of known length or in chunks.
 *
 * Blocking sockets, one thread a connection. Nothing is judged: what a peer says is passed on as it came.
 */
#ifndef MS_TESTS_FAULT_WIRE_H
#define MS_TESTS_FAULT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_BUFFER ((size_t)64 << 10)

/* A socket and what was read from it and not used yet. */
struct wire {
    int fd; /* -1: none */
    size_t at, n;
    char bytes[WIRE_BUFFER];
};

struct wire_head {
    char text[WIRE_BUFFER]; /* with the blank line, and a NUL */
    size_t n;
    char method[16], target[4096]; /* of a request */
    unsigned status;               /* of an answer */
    uint64_t length;
    bool chunked, copies, closes;
};

bool wire_connect(struct wire *wire, const char *host, uint16_t port);
void wire_close(struct wire *wire);
void wire_reset(struct wire *wire); /* close it with a RST */
bool wire_is_open(const struct wire *wire); /* the other end has not closed it */

bool wire_send(const struct wire *wire, const void *bytes, size_t n);
/* false: the connection ended, or it is no head of HTTP. */
bool wire_read_request(struct wire *wire, struct wire_head *ret_head);
bool wire_read_answer(struct wire *wire, struct wire_head *ret_head);

/* What happens to a body on its way. */
struct wire_body {
    uint64_t cut_at;         /* pass so many bytes and stop; UINT64_MAX: all */
    uint64_t flip_at;        /* a bit of the byte there; UINT64_MAX: none */
    uint64_t bytes_a_second; /* 0: as fast as it goes */
};
#define WIRE_WHOLE ((struct wire_body){.cut_at = UINT64_MAX, .flip_at = UINT64_MAX})
/* Pass the body behind a head on; to NULL: read it and forget it. has: whether there is one (HEAD, 204 have none).
 * ret_passed: how much went through. false: it was cut, or a connection ended. */
bool wire_pass(struct wire *from, struct wire *to, const struct wire_head *head, const struct wire_body *how,
               uint64_t *ret_passed);

#endif
