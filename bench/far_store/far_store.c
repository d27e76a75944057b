/* far_store — an S3 store in memory with the latency and the link of a store that is far away.
 *
 *   far_store [-p PORT] [-l MS] [-c MB/S] [-t MB/S] [-m MIB] [-b BUCKET]
 *
 *   -p  port on 127.0.0.1; default 0: any, which is printed       -l  to the first byte of each answer; default 20
 *   -c  most on one connection, each way; default 90              -t  most in all, each way; default 1000
 *   -m  memory; default 8192                                      -b  bucket that is there; default bench
 *
 * Signatures are not checked, but a request without any is refused. Prints "http://127.0.0.1:PORT" when it listens, and
 * ends with SIGTERM. It is for measuring: it keeps nothing. */
#include "far_store.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MB UINT64_C(1000000)

static _Noreturn void die(const char *what) {
    perror(what);
    exit(1);
}

static int listen_on(uint16_t port) {
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (const struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &n) != 0)
        die("far_store: listen");
    printf("http://127.0.0.1:%u\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static void accept_one(struct far_store *store, int fd, const pthread_attr_t *attr) {
    struct far_conn *c = calloc(1, sizeof *c);
    pthread_t thread;
    int one = 1;

    if (!c)
        die("far_store: memory");
    c->store = store;
    c->fd = fd;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (pthread_create(&thread, attr, far_conn_main, c) != 0) {
        close(fd);
        free(c);
    }
}

static uint64_t number(const char *text, const char *name) {
    uint64_t n = far_number(text, UINT64_MAX);

    if (n == UINT64_MAX || n > 1000000) {
        fprintf(stderr, "far_store: -%s %s: not a number up to 1000000\n", name, text);
        exit(64);
    }
    return n;
}

int main(int argc, char **argv) {
    static struct far_store store = {.latency_ns = 20000000, .connection_rate = 90 * MB};
    uint64_t link = 1000, memory = 8192;
    const char *bucket = "bench";
    pthread_attr_t attr;
    uint16_t port = 0;
    int opt;

    while ((opt = getopt(argc, argv, "p:l:c:t:m:b:")) != -1) {
        char name[2] = {(char)opt, '\0'};

        switch (opt) {
        case 'p':
            port = (uint16_t)number(optarg, name);
            break;
        case 'l':
            store.latency_ns = (int64_t)number(optarg, name) * 1000000;
            break;
        case 'c':
            store.connection_rate = number(optarg, name) * MB;
            break;
        case 't':
            link = number(optarg, name);
            break;
        case 'm':
            memory = number(optarg, name);
            break;
        case 'b':
            bucket = optarg;
            break;
        default:
            return 64;
        }
    }
    if (link == 0 || store.connection_rate == 0 || optind != argc)
        return 64;
    store.in.rate = store.out.rate = link * MB;
    signal(SIGPIPE, SIG_IGN);
    if (!far_data_init(&store.data, memory << 20))
        die("far_store: memory file");
    (void)far_bucket_make(&store.data, bucket);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, (size_t)256 << 10);
    for (int at = listen_on(port);;) {
        int fd = accept4(at, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0)
            accept_one(&store, fd, &attr);
    }
}
