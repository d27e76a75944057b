#include "probe/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void encode(uint64_t v, uint8_t *p, size_t n) {
    for (size_t i = n; i-- > 0; v >>= 8)
        p[i] = (uint8_t)v;
}

static uint64_t decode(const uint8_t *p, size_t n) {
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

void ms_probe_u32_encode(uint32_t v, uint8_t ret_bytes[4]) { encode(v, ret_bytes, 4); }
uint32_t ms_probe_u32_decode(const uint8_t bytes[4]) { return (uint32_t)decode(bytes, 4); }
void ms_probe_u64_encode(uint64_t v, uint8_t ret_bytes[8]) { encode(v, ret_bytes, 8); }
uint64_t ms_probe_u64_decode(const uint8_t bytes[8]) { return decode(bytes, 8); }

void ms_probe_head_encode(const struct ms_probe_head *head,
                          uint8_t ret_bytes[MS_PROBE_HEAD_BYTES]) {
    ret_bytes[0] = head->kind;
    encode(head->offset, ret_bytes + 1, 8);
    encode(head->n, ret_bytes + 9, 4);
}

struct ms_probe_head ms_probe_head_decode(const uint8_t bytes[MS_PROBE_HEAD_BYTES]) {
    return (struct ms_probe_head){bytes[0], decode(bytes + 1, 8), (uint32_t)decode(bytes + 9, 4)};
}

bool ms_probe_get(int fd, void *p, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, (uint8_t *)p + at, n - at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

bool ms_probe_put(int fd, const void *p, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t put = write(fd, (const uint8_t *)p + at, n - at);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        at += (size_t)put;
    }
    return true;
}

union fd_room {
    struct cmsghdr head; /* for its alignment */
    char bytes[CMSG_SPACE(sizeof(int))];
};

bool ms_probe_send_fd(int control, int fd) {
    union fd_room room;
    char byte = 'P';
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room};
    struct cmsghdr *head;

    memset(&room, 0, sizeof room);
    head = CMSG_FIRSTHDR(&msg);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    return sendmsg(control, &msg, MSG_NOSIGNAL) == 1;
}

bool ms_probe_receive_fd(int control, int *ret_fd) {
    union fd_room room;
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room};
    struct cmsghdr *head;
    ssize_t got;

    do
        got = recvmsg(control, &msg, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    head = got == 1 ? CMSG_FIRSTHDR(&msg) : NULL;
    if (!head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int)))
        return false;
    memcpy(ret_fd, CMSG_DATA(head), sizeof *ret_fd);
    return true;
}
