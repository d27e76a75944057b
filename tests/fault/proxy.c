/* fault_proxy — a proxy of S3 over HTTP that injects faults by a script and a seed (script.h).
 *
 *   fault_proxy HOST:PORT [--listen PORT] [--seed N] [--log FILE]
 *
 * Listens on 127.0.0.1, prints its port and passes everything to HOST:PORT; HOST is an address. It obeys, on the same
 * port:
 *   PUT /-/script    the body is the new script ("" is none); what hangs is let go of with a reset, and the numbers
 *                    of the requests begin anew
 *   GET /-/counts    "ACTION N" for each action that happened, and "requests N"
 * Each fault is a line of FILE. It ends with the process that started it, and by SIGTERM.
 */
#include "fault/script.h"
#include "fault/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#define HANG_STEP_MS 20

struct proxy {
    char host[64];
    uint16_t port;
    uint64_t seed;
    FILE *log; /* NULL: none */
    pthread_mutex_t mutex;
    struct {
        struct fault_script script;
        uint64_t scripts; /* how many there were */
        uint64_t requests[FAULT_OP_COUNT];
        uint64_t actions[FAULT_ACTION_COUNT], all;
    } locked;
};

/* One client, and the connection to the store that serves it. */
struct link {
    struct proxy *proxy;
    struct wire client, store;
    struct wire_head request, answer;
    uint64_t scripts; /* when the request came */
};

static int64_t now_ms(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_ms(uint64_t ms) {
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

    while (nanosleep(&t, &t) != 0)
        ;
}

/* ---- control --------------------------------------------------------------------------------- */

static bool answer(struct link *l, const char *status, const char *more, const char *body) {
    char text[8192];
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 %s\r\n%sContent-Type: application/xml\r\nContent-Length: %zu\r\n\r\n%s", status, more,
                     strlen(body), strcmp(l->request.method, "HEAD") == 0 ? "" : body);

    return n > 0 && (size_t)n < sizeof text && wire_send(&l->client, text, (size_t)n);
}

static bool read_text(struct link *l, char *text, size_t size) {
    size_t n = 0;

    if (l->request.length >= size)
        return false;
    while (n < l->request.length) {
        if (l->client.at == l->client.n) {
            l->client.at = l->client.n = 0;
            ssize_t got = recv(l->client.fd, l->client.bytes, sizeof l->client.bytes, 0);
            if (got <= 0)
                return false;
            l->client.n = (size_t)got;
        }
        text[n++] = l->client.bytes[l->client.at++];
    }
    text[n] = '\0';
    return true;
}

static bool set_script(struct link *l) {
    struct proxy *p = l->proxy;
    struct fault_script script;
    char text[4096], why[256];

    if (!read_text(l, text, sizeof text))
        return false;
    if (!fault_script_parse(text, &script, why, sizeof why))
        return answer(l, "400 Bad Request", "", why);
    pthread_mutex_lock(&p->mutex);
    p->locked.script = script;
    p->locked.scripts++;
    memset(p->locked.requests, 0, sizeof p->locked.requests);
    if (p->log)
        (void)fprintf(p->log, "%" PRId64 " script: %s\n", now_ms(), text);
    pthread_mutex_unlock(&p->mutex);
    return answer(l, "200 OK", "", "");
}

static bool tell_counts(struct link *l) {
    struct proxy *p = l->proxy;
    char text[2048];
    size_t n;

    pthread_mutex_lock(&p->mutex);
    n = (size_t)snprintf(text, sizeof text, "requests %" PRIu64 "\n", p->locked.all);
    for (unsigned a = 1; a < FAULT_ACTION_COUNT; a++)
        if (p->locked.actions[a])
            n += (size_t)snprintf(text + n, sizeof text - n, "%s %" PRIu64 "\n", fault_action_name(a),
                                  p->locked.actions[a]);
    pthread_mutex_unlock(&p->mutex);
    return answer(l, "200 OK", "", text);
}

static bool control(struct link *l) {
    if (strcmp(l->request.target, "/-/script") == 0 && strcmp(l->request.method, "PUT") == 0)
        return set_script(l);
    if (strcmp(l->request.target, "/-/counts") == 0)
        return tell_counts(l);
    return answer(l, "404 Not Found", "", "PUT /-/script or GET /-/counts\n");
}

/* ---- faults ---------------------------------------------------------------------------------- */

static struct fault_plan plan_of(struct link *l) {
    struct proxy *p = l->proxy;
    enum fault_op op = fault_op_of(l->request.method, l->request.target, l->request.copies);
    struct fault_plan plan;
    uint64_t nth;

    pthread_mutex_lock(&p->mutex);
    nth = ++p->locked.requests[op];
    plan = fault_script_plan(&p->locked.script, p->seed, op, nth);
    l->scripts = p->locked.scripts;
    p->locked.all++;
    if (plan.action != FAULT_DO_NONE)
        p->locked.actions[plan.action]++;
    if (plan.delay_ms)
        p->locked.actions[FAULT_DO_DELAY]++;
    if (p->log && (plan.action != FAULT_DO_NONE || plan.delay_ms))
        (void)fprintf(p->log, "%" PRId64 " %s %" PRIu64 ": %s=%" PRIu64 " delay=%" PRIu64 " %s %s\n", now_ms(),
                      fault_op_name(op), nth, fault_action_name(plan.action), plan.value, plan.delay_ms,
                      l->request.method, l->request.target);
    pthread_mutex_unlock(&p->mutex);
    return plan;
}

static bool is_of_this_script(struct link *l) {
    bool is;

    pthread_mutex_lock(&l->proxy->mutex);
    is = l->proxy->locked.scripts == l->scripts;
    pthread_mutex_unlock(&l->proxy->mutex);
    return is;
}

/* Until the time is over, the script is another one, or the client has had enough. */
static void hang(struct link *l, uint64_t ms) {
    int64_t until = ms ? now_ms() + (int64_t)ms : INT64_MAX;

    while (now_ms() < until && is_of_this_script(l)) {
        struct pollfd gone = {.fd = l->client.fd, .events = POLLRDHUP};

        if (poll(&gone, 1, HANG_STEP_MS) > 0)
            break;
    }
}

static bool refuse(struct link *l, const char *status, const char *more, const char *code) {
    char body[512];

    if (!wire_pass(&l->client, NULL, &l->request, &WIRE_WHOLE, NULL))
        return false;
    (void)snprintf(body, sizeof body,
                   "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>%s</Code><Message>the fault proxy says so"
                   "</Message></Error>",
                   code);
    return answer(l, status, more, body);
}

static bool slow_down(struct link *l, uint64_t after_s) {
    char more[64] = "";

    if (after_s)
        (void)snprintf(more, sizeof more, "Retry-After: %" PRIu64 "\r\n", after_s);
    return refuse(l, "503 Slow Down", more, "SlowDown");
}

static bool fail(struct link *l, uint64_t status) {
    char line[64];

    (void)snprintf(line, sizeof line, "%" PRIu64 " Failed", status ? status : 500);
    return refuse(l, line, "", status == 0 || status == 500 ? "InternalError" : "Failed");
}

/* ---- passing on ------------------------------------------------------------------------------ */

/* A place inside a body; of one in chunks the length is not known, so near its begin. */
static uint64_t place_in(const struct wire_head *head, uint64_t where) {
    uint64_t n = head->chunked ? 256 : head->length;

    return n ? where % n : UINT64_MAX;
}

/* The store may have said no before it had read everything: then its answer is there all the same. */
static bool ask_store(struct link *l, const struct fault_plan *plan) {
    struct wire_body how = WIRE_WHOLE;
    bool cuts = plan->action == FAULT_DO_RESET_REQUEST;

    if (!wire_is_open(&l->store)) {
        wire_close(&l->store);
        if (!wire_connect(&l->store, l->proxy->host, l->proxy->port))
            return false;
    }
    if (plan->action == FAULT_DO_FLIP_REQUEST)
        how.flip_at = place_in(&l->request, plan->where);
    if (cuts)
        how.cut_at = l->request.length ? plan->where % l->request.length : 0;
    if (!wire_send(&l->store, l->request.text, cuts && l->request.length == 0 ? l->request.n / 2 : l->request.n))
        return false;
    if (!wire_pass(&l->client, &l->store, &l->request, &how, NULL) && cuts)
        return false;
    return !cuts && wire_read_answer(&l->store, &l->answer);
}

static bool has_body(const struct link *l) {
    return strcmp(l->request.method, "HEAD") != 0 && l->answer.status != 204 && l->answer.status != 304 &&
           (l->answer.chunked || l->answer.length > 0);
}

static bool forget_answer(struct link *l) {
    return !has_body(l) || wire_pass(&l->store, NULL, &l->answer, &WIRE_WHOLE, NULL);
}

static bool give_answer(struct link *l, const struct fault_plan *plan) {
    bool cuts = plan->action == FAULT_DO_RESET_ANSWER || plan->action == FAULT_DO_TRUNCATE;
    struct wire_body how = WIRE_WHOLE;

    if (!has_body(l))
        return wire_send(&l->client, l->answer.text, cuts ? plan->where % l->answer.n : l->answer.n) && !cuts;
    if (cuts)
        how.cut_at = place_in(&l->answer, plan->where);
    if (plan->action == FAULT_DO_FLIP)
        how.flip_at = place_in(&l->answer, plan->where);
    if (plan->action == FAULT_DO_TRICKLE)
        how.bytes_a_second = plan->value;
    return wire_send(&l->client, l->answer.text, l->answer.n) &&
           wire_pass(&l->store, &l->client, &l->answer, &how, NULL);
}

/* false: the connection ends with a reset. */
static bool pass_on(struct link *l, const struct fault_plan *plan) {
    if (!ask_store(l, plan))
        return false;
    if (plan->action == FAULT_DO_LOST || plan->action == FAULT_DO_MUTE) {
        if (forget_answer(l) && plan->action == FAULT_DO_MUTE)
            hang(l, plan->value);
        return false;
    }
    if (!give_answer(l, plan)) {
        if (plan->action == FAULT_DO_TRUNCATE)
            wire_close(&l->client);
        return false;
    }
    if (l->answer.closes)
        wire_close(&l->store);
    return !l->answer.closes;
}

static bool serve(struct link *l) {
    struct fault_plan plan;

    if (strncmp(l->request.target, "/-/", 3) == 0)
        return control(l);
    plan = plan_of(l);
    if (plan.delay_ms)
        pause_ms(plan.delay_ms);
    if (plan.action == FAULT_DO_SLOWDOWN)
        return slow_down(l, plan.value);
    if (plan.action == FAULT_DO_ERROR)
        return fail(l, plan.value);
    if (plan.action == FAULT_DO_REFUSE)
        return refuse(l, "403 Forbidden", "", "AccessDenied");
    if (plan.action == FAULT_DO_HANG)
        hang(l, plan.value);
    if (plan.action == FAULT_DO_HANG || plan.action == FAULT_DO_RESET)
        return false;
    return pass_on(l, &plan);
}

static void *run_link(void *arg) {
    struct link *l = arg;

    while (wire_read_request(&l->client, &l->request) && serve(l))
        ;
    wire_reset(&l->client);
    wire_reset(&l->store);
    free(l);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void accept_one(struct proxy *proxy, int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    const int one = 1;
    struct link *l;
    pthread_t thread;

    if (fd < 0)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    l = calloc(1, sizeof *l);
    if (!l)
        abort();
    l->proxy = proxy;
    l->client.fd = fd;
    l->store.fd = -1;
    if (pthread_create(&thread, NULL, run_link, l) != 0)
        abort();
    pthread_detach(thread);
}

static int listen_on(uint16_t port, uint16_t *ret_port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    const int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 256) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &n) != 0)
        return -1;
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static bool read_place(const char *text, struct proxy *proxy) {
    const char *colon = strrchr(text, ':');
    char *end;
    unsigned long port;

    if (!colon || (size_t)(colon - text) >= sizeof proxy->host)
        return false;
    (void)snprintf(proxy->host, sizeof proxy->host, "%.*s", (int)(colon - text), text);
    port = strtoul(colon + 1, &end, 10);
    proxy->port = (uint16_t)port;
    return *end == '\0' && port > 0 && port < 65536;
}

static bool read_options(int argc, char **argv, struct proxy *proxy, uint16_t *ret_listen) {
    for (int i = 2; i < argc; i += 2) {
        if (i + 1 == argc)
            return false;
        if (strcmp(argv[i], "--listen") == 0)
            *ret_listen = (uint16_t)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            proxy->seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--log") == 0)
            proxy->log = fopen(argv[i + 1], "ae");
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv) {
    static struct proxy proxy = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    uint16_t port = 0;
    int listener;

    if (argc < 2 || !read_place(argv[1], &proxy) || !read_options(argc, argv, &proxy, &port)) {
        (void)fprintf(stderr, "fault_proxy HOST:PORT [--listen PORT] [--seed N] [--log FILE]\n");
        return 64;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (proxy.log)
        (void)setvbuf(proxy.log, NULL, _IOLBF, 0);
    listener = listen_on(port, &port);
    if (listener < 0) {
        (void)fprintf(stderr, "fault_proxy: cannot listen: %s\n", strerror(errno));
        return 1;
    }
    (void)printf("%u\n", port);
    (void)fflush(stdout);
    for (;;)
        accept_one(&proxy, listener);
}
