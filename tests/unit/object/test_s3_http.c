/* test_s3_http.c — every transfer ends: against peers that refuse, hang, dribble, break off or lie. */
#include "support/test.h"

#include "base/scope.h"
#include "object/s3_http.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIP_BODY (400u << 10)
#define FAR_NS (INT64_C(600) * 1000 * 1000 * 1000)

/* Accepts one connection, reads until the end of the headers, sends its text, and waits to be closed. */
struct peer {
    int listening;
    char url[64];
    const char *text;
    bool hangs_up;
    pthread_t thread;
};

static void *serve(void *arg) {
    struct peer *p = arg;
    int fd = accept(p->listening, NULL, NULL);
    char buffer[4096];
    size_t n = 0;
    ssize_t got = 1;

    while (fd >= 0 && got > 0 && n < sizeof buffer - 1) {
        got = read(fd, buffer + n, sizeof buffer - 1 - n);
        n += got > 0 ? (size_t)got : 0;
        buffer[n] = '\0';
        if (strstr(buffer, "\r\n\r\n"))
            break;
    }
    if (fd >= 0 && p->text)
        (void)send(fd, p->text, strlen(p->text), MSG_NOSIGNAL);
    while (fd >= 0 && !p->hangs_up && read(fd, buffer, sizeof buffer) > 0)
        ;
    if (fd >= 0)
        close(fd);
    return NULL;
}

#define DRIBBLE "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
/* Answers each request of one connection, a byte every 20 ms. */
static void *dribble(void *arg) {
    struct peer *p = arg;
    int fd = accept(p->listening, NULL, NULL);
    char buffer[4096];

    while (fd >= 0 && read(fd, buffer, sizeof buffer) > 0) /* requests without a body: each comes at once */
        for (const char *at = DRIBBLE; *at && send(fd, at, 1, MSG_NOSIGNAL) == 1; at++)
            usleep(20000);
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* Reads little, and 50 ms later a little more; then it answers. */
static void *sip(void *arg) {
    struct peer *p = arg;
    int fd = accept(p->listening, NULL, NULL);
    char buffer[8192];
    ssize_t got = 1;

    for (size_t n = 0; fd >= 0 && got > 0 && n < SIP_BODY; n += (size_t)got) {
        usleep(50000);
        got = read(fd, buffer, sizeof buffer);
    }
    if (fd >= 0)
        (void)send(fd, DRIBBLE, strlen(DRIBBLE), MSG_NOSIGNAL);
    while (fd >= 0 && read(fd, buffer, sizeof buffer) > 0)
        ;
    if (fd >= 0)
        close(fd);
    return NULL;
}

struct rig {
    struct ms_s3_http *http;
    struct peer peer;
    struct ms_obj_request request;
    char into[16];
    struct ms_s3_transfer transfer;
    struct ms_latch latch;
    int fillers[4];
};

static void open_peer(struct peer *p) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;

    p->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(p->listening >= 0);
    assert_int_equal(bind(p->listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(p->listening, (struct sockaddr *)&address, &n), 0);
    snprintf(p->url, sizeof p->url, "http://127.0.0.1:%u/b/k", (unsigned)ntohs(address.sin_port));
}

static int setup_with(void **state, int64_t limit_ms) {
    struct rig *r = calloc(1, sizeof *r);
    struct ms_s3_limits limits = ms_s3_limits_default();

    open_peer(&r->peer);
    limits.first_byte_ms = limit_ms;
    limits.stall_ms = limit_ms;
    limits.stall_bytes = 1;
    limits.connections_max = 1;
    if (limit_ms < limits.connect_ms)
        limits.connect_ms = limit_ms;
    r->request = (struct ms_obj_request){.op = MS_OBJ_GET, .key = "k"};
    r->transfer = (struct ms_s3_transfer){.method = "GET",
                                          .url = r->peer.url,
                                          .into = r->into,
                                          .into_n = 10,
                                          .request = &r->request,
                                          .deadline_mono_ns = ms_clock_mono_ns(ms_clock_system()) + FAR_NS};
    *state = r;
    return ms_s3_http_new(&limits, NULL, &r->http, &test_err) != MS_OK;
}

/* A peer whose queue is full: to connect takes as long as anybody has patience. */
static int setup_full(void **state) {
    struct rig *r;
    struct sockaddr_in address;
    socklen_t n = sizeof address;
    int failed = setup_with(state, 300);

    r = *state;
    failed += listen(r->peer.listening, 0) != 0;
    failed += getsockname(r->peer.listening, (struct sockaddr *)&address, &n) != 0;
    for (size_t i = 0; i < MS_ARRAY_LEN(r->fillers); i++) {
        r->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(r->fillers[i], (struct sockaddr *)&address, n);
    }
    return failed;
}

static int setup(void **state) { return setup_with(state, 600000); }
static int setup_short(void **state) { return setup_with(state, 300); }
static int setup_second(void **state) { return setup_with(state, 1000); }

static int teardown(void **state) {
    struct rig *r = *state;

    ms_s3_transfer_fini(&r->transfer);
    ms_s3_http_free(r->http);
    close(r->peer.listening);
    for (size_t i = 0; i < MS_ARRAY_LEN(r->fillers); i++)
        if (r->fillers[i] > 0)
            close(r->fillers[i]);
    free(r);
    return 0;
}

static void open_latch(struct ms_s3_transfer *transfer) {
    struct rig *r = MS_CONTAINER_OF(transfer, struct rig, transfer);

    ms_latch_open(&r->latch);
}

static void start_transfer(struct rig *r) {
    ms_latch_init(&r->latch);
    r->transfer.on_done = open_latch;
    ms_s3_http_start(r->http, &r->transfer);
}

static enum ms_code run_transfer(struct rig *r) {
    start_transfer(r);
    ms_latch_wait(&r->latch);
    test_err = r->transfer.error;
    return r->transfer.code;
}

static void begin_with(struct rig *r, void *(*peer)(void *)) {
    assert_int_equal(listen(r->peer.listening, 1), 0);
    assert_int_equal(pthread_create(&r->peer.thread, NULL, peer, &r->peer), 0);
}

static void begin(struct rig *r, const char *text, bool hangs_up) {
    r->peer.text = text;
    r->peer.hangs_up = hangs_up;
    begin_with(r, serve);
}

static void run_and_expect(struct rig *r, enum ms_code want) {
    enum ms_code code = run_transfer(r);

    /* The connection may be kept: the peer ends when the engine closes it. */
    ms_s3_http_free(r->http);
    r->http = NULL;
    pthread_join(r->peer.thread, NULL);
    if (code != want)
        print_message("%s\n", test_err.message);
    assert_int_equal(code, want);
}

static void an_answer_lands_in_the_buffer_asked_for(void **state) {
    struct rig *r = *state;
    char value[32];

    begin(r, "HTTP/1.1 200 OK\r\nETag:  \"e\" \r\nContent-Length: 10\r\n\r\n0123456789", false);
    run_and_expect(r, MS_OK);
    assert_int_equal(r->transfer.status, 200);
    assert_int_equal(r->transfer.got, 10);
    assert_memory_equal(r->into, "0123456789", 10);
    assert_true(ms_s3_header(&r->transfer, "etag", value, sizeof value));
    assert_string_equal(value, "\"e\"");
    assert_false(ms_s3_header(&r->transfer, "etagx", value, sizeof value));
}

static void an_error_does_not_land_in_the_buffer(void **state) {
    struct rig *r = *state;

    begin(r, "HTTP/1.1 404 Not\r\nContent-Length: 4\r\n\r\n<E/>", false);
    run_and_expect(r, MS_OK);
    assert_int_equal(r->transfer.status, 404);
    assert_int_equal(r->transfer.got, 0);
    assert_int_equal(r->transfer.reply.len, 4);
}

static void more_bytes_than_asked_for_are_refused(void **state) {
    begin(*state, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a", false);
    run_and_expect(*state, MS_PROTOCOL);
}

static void a_peer_that_breaks_off_is_an_io_error(void **state) {
    begin(*state, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234", true);
    run_and_expect(*state, MS_IO);
}

static void a_peer_that_never_answers_times_out(void **state) {
    begin(*state, NULL, false);
    run_and_expect(*state, MS_TIMEOUT);
}

static void a_peer_that_stops_within_the_body_times_out(void **state) {
    begin(*state, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234", false);
    run_and_expect(*state, MS_TIMEOUT);
}

static void the_deadline_holds_before_all_other_limits(void **state) {
    struct rig *r = *state;

    r->transfer.first_byte_ms = 600000;
    r->transfer.deadline_mono_ns = ms_clock_mono_ns(ms_clock_system()) + 50 * 1000 * 1000;
    begin(r, NULL, false);
    run_and_expect(r, MS_TIMEOUT);
}

static void deadline_soon(struct rig *r, bool may_last) {
    r->transfer.deadline_mono_ns = ms_clock_mono_ns(ms_clock_system()) + 50 * 1000 * 1000;
    r->transfer.may_last = may_last;
}

static void what_moves_and_may_last_outlasts_its_deadline(void **state) {
    struct rig *r = *state;

    deadline_soon(r, true);
    begin_with(r, dribble);
    run_and_expect(r, MS_OK);
    assert_memory_equal(r->into, "0123456789", 10);
}

static void what_moves_and_may_not_last_ends_by_its_deadline(void **state) {
    deadline_soon(*state, false);
    begin_with(*state, dribble);
    run_and_expect(*state, MS_TIMEOUT);
}

static void what_may_last_and_does_not_move_ends(void **state) {
    deadline_soon(*state, true);
    begin(*state, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234", false);
    run_and_expect(*state, MS_TIMEOUT);
}

/* One connection is all there is: the second transfer's deadline passes while the first one moves. */
static void what_may_last_waits_for_its_turn_while_others_move(void **state) {
    struct rig *r = *state, second = {.http = r->http, .request = r->request};

    second.transfer = r->transfer;
    second.transfer.request = &second.request;
    second.transfer.into = second.into;
    deadline_soon(r, true);
    deadline_soon(&second, true);
    begin_with(r, dribble);
    start_transfer(r);
    assert_int_equal(run_transfer(&second), MS_OK);
    assert_memory_equal(second.into, "0123456789", 10);
    ms_latch_wait(&r->latch);
    ms_s3_transfer_fini(&second.transfer);
    assert_int_equal(r->transfer.code, MS_OK);
    ms_s3_http_free(MS_TAKE(r->http));
    pthread_join(r->peer.thread, NULL);
}

/* All of the body is in the socket at once; the peer, with room for little, takes more than the limit to read it. */
static void the_answer_is_waited_for_from_when_the_peer_has_the_body(void **state) {
    struct rig *r = *state;
    uint8_t *bytes = calloc(1, SIP_BODY);
    struct ms_obj_body body = {.memory = ms_view_of(bytes, SIP_BODY), .length = SIP_BODY};
    int room = 4096;

    r->transfer.method = "PUT";
    r->transfer.body = &body;
    assert_int_equal(setsockopt(r->peer.listening, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
    begin_with(r, sip);
    run_and_expect(r, MS_OK);
    free(bytes);
}

static void a_cancelled_transfer_ends(void **state) {
    struct rig *r = *state;

    r->transfer.first_byte_ms = 600000;
    __atomic_store_n(&r->request.cancelled, 1, __ATOMIC_SEQ_CST);
    begin(r, NULL, true);
    assert_int_equal(run_transfer(r), MS_CANCELLED);
    shutdown(r->peer.listening, SHUT_RDWR); /* it may never have connected */
    pthread_join(r->peer.thread, NULL);
}

static void nobody_there_is_unavailable(void **state) {
    struct rig *r = *state;

    assert_int_equal(run_transfer(r), MS_UNAVAILABLE);
    assert_int_equal(r->transfer.status, 0);
}

static void a_peer_that_takes_no_connection_is_unavailable(void **state) {
    struct rig *r = *state;

    assert_int_equal(run_transfer(r), MS_UNAVAILABLE);
    assert_true(r->transfer.is_unreached);
    assert_non_null(strcasestr(test_err.message, "timeout")); /* curl has two ways to say it */
}

static void a_peer_that_never_shakes_hands_is_unavailable(void **state) {
    struct rig *r = *state;
    char url[80];

    snprintf(url, sizeof url, "https%s", r->peer.url + 4);
    r->transfer.url = url;
    begin(r, NULL, false); /* reads, and says nothing */
    run_and_expect(r, MS_UNAVAILABLE);
}

static void a_peer_that_speaks_no_http_is_an_io_error(void **state) {
    begin(*state, "220 smtp.example.org ready\r\n\r\n", true);
    run_and_expect(*state, MS_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
        CASE(an_answer_lands_in_the_buffer_asked_for),
        CASE(an_error_does_not_land_in_the_buffer),
        CASE(more_bytes_than_asked_for_are_refused),
        CASE(a_peer_that_breaks_off_is_an_io_error),
        cmocka_unit_test_setup_teardown(a_peer_that_never_answers_times_out, setup_short, teardown),
        cmocka_unit_test_setup_teardown(a_peer_that_stops_within_the_body_times_out, setup_short, teardown),
        CASE(the_deadline_holds_before_all_other_limits),
        CASE(what_moves_and_may_last_outlasts_its_deadline),
        CASE(what_moves_and_may_not_last_ends_by_its_deadline),
        cmocka_unit_test_setup_teardown(what_may_last_and_does_not_move_ends, setup_short, teardown),
        CASE(what_may_last_waits_for_its_turn_while_others_move),
        cmocka_unit_test_setup_teardown(the_answer_is_waited_for_from_when_the_peer_has_the_body, setup_second,
                                        teardown),
        CASE(a_cancelled_transfer_ends),
        CASE(nobody_there_is_unavailable),
        cmocka_unit_test_setup_teardown(a_peer_that_takes_no_connection_is_unavailable, setup_full, teardown),
        cmocka_unit_test_setup_teardown(a_peer_that_never_shakes_hands_is_unavailable, setup_short, teardown),
        CASE(a_peer_that_speaks_no_http_is_an_io_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
