#include "peer.h"

#include "service/change.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DATA_MAX 4096
#define HANDLES 16

enum op { OPEN, PUT, READ, TRUNCATE, SYNC, FLUSH, RELEASE, UNLINK, GENERATION, COUNT, FILL, CHURN };
struct message {
    enum op op;
    int handle;
    char how, path[64];
    uint64_t offset, n, seed;
    uint8_t data[DATA_MAX];
};
struct answer {
    enum ms_code code;
    struct ms_error err;
    uint64_t n;
    struct peer_churned churned;
    uint8_t data[DATA_MAX + 1];
};

static bool transfer(int fd, void *p, size_t n, bool out) {
    for (size_t at = 0; at < n;) {
        ssize_t got = out ? write(fd, (char *)p + at, n - at) : read(fd, (char *)p + at, n - at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

/* ---- both sides -------------------------------------------------------------------------- */

enum ms_code fill_until_refused(struct ms_handle *h, uint64_t from, uint64_t seed,
                                uint64_t *ret_size, struct ms_error *reterr) {
    static const uint8_t bytes[9000];
    struct ms_random_seeded random;
    uint64_t size = from;
    enum ms_code code = MS_OK;

    ms_random_seeded_init(&random, seed);
    while (code == MS_OK) {
        size_t n = 0, want = 1 + (size_t)ms_random_below(&random.random, sizeof bytes);

        code = ms_file_write(h, size, bytes, want, &n, reterr);
        size += code == MS_OK ? n : 0;
    }
    ms_random_seeded_fini(&random);
    *ret_size = size;
    return code;
}

static void changed(void *priv, struct ms_view change) {
    struct ms_svc *svc = priv;
    struct ms_feed_row row;

    if (ms_feed_decode(change, &row, NULL) != MS_OK)
        return;
    if (row.kind == MS_FEED_RECALL)
        ms_file_recall(svc, row.tenant);
    if (row.kind == MS_FEED_FREEZE || row.kind == MS_FEED_INODE || row.kind == MS_FEED_TENANT)
        ms_file_revalidate(svc, row.tenant, row.kind == MS_FEED_TENANT ? 0 : row.ino);
}

static void lost(void *priv) { (void)priv; }

struct ms_follower *follow_feed(struct ms_svc *svc) {
    const struct ms_follow follow = {.each = changed, .lost = lost, .priv = svc};
    struct ms_follower *follower = NULL;

    assert_ok(ms_store_follow(svc->store, &follow, &follower, &test_err));
    return follower;
}

/* ---- the peer ---------------------------------------------------------------------------- */

struct peer {
    struct ms_svc *svc;
    struct ms_ctx ctx;
    struct ms_handle *handle[HANDLES];
};

static enum ms_code do_open(struct peer *p, const struct message *m, struct ms_error *err) {
    struct ms_open open = {.read = true};
    struct ms_node node;
    enum ms_code code = ms_tree_walk(p->svc, &p->ctx, m->path, &node, err);

    open.ino = node.inode.ino;
    open.write = m->how != 'r';
    open.append = m->how == 'a';
    open.truncate = m->how == 't';
    return code ? code : ms_file_open(p->svc, &p->ctx, &open, &p->handle[m->handle], err);
}

static enum ms_code do_unlink(struct peer *p, const struct message *m, struct ms_error *err) {
    struct ms_node parent;
    struct ms_gone gone;
    char name[MS_NAME_BYTES_MAX + 1];
    enum ms_code code = ms_tree_walk_parent(p->svc, &p->ctx, m->path, &parent, name, err);

    return code ? code : ms_tree_unlink(p->svc, &p->ctx, parent.inode.ino, name, false, &gone, err);
}

/* One step of a churn: mostly it grows, until the quota says no, and then it gives back. */
static enum ms_code churn_step(struct peer *p, struct ms_handle *h, struct ms_random *random,
                               struct peer_churned *c, struct ms_error *err) {
    static const uint8_t bytes[60000];
    uint64_t what = ms_random_below(random, 64), cut = ms_random_below(random, c->size + 1);
    size_t n = 0, want = 1 + (size_t)ms_random_below(random, sizeof bytes);
    enum ms_code code;

    if (what == 0) {
        code = flush_file(h, err);
        c->sealed = code == MS_OK ? c->size : c->sealed;
        return code;
    }
    if (what < 4) {
        code = ms_file_allocate(h, 0, c->size, want, err);
        n = code == MS_OK ? want : 0;
    } else {
        code = ms_file_write(h, c->size, bytes, want, &n, err);
    }
    if (code == MS_OK) {
        c->size += n;
        c->accepted += n;
        return MS_OK;
    }
    if (code != MS_QUOTA)
        return code;
    c->refused++;
    if (ms_random_below(random, 2) == 0)
        return MS_OK;
    c->size = cut;
    return ms_file_truncate(p->svc, &p->ctx, ms_file_ino(h), h, cut, err);
}

static void churn(struct peer *p, const struct message *m, struct answer *a) {
    struct ms_random_seeded random;
    const struct ms_clock *clock = ms_clock_system();
    int64_t until = ms_clock_now(clock).ms + (int64_t)m->n;

    ms_random_seeded_init(&random, m->seed);
    a->churned.size = a->churned.sealed = m->offset;
    while (a->code == MS_OK && ms_clock_now(clock).ms < until)
        a->code = churn_step(p, p->handle[m->handle], &random.random, &a->churned, &a->err);
    ms_random_seeded_fini(&random);
}

static void obey(struct peer *p, const struct message *m, struct answer *a) {
    struct ms_handle *h = p->handle[m->handle];
    size_t n = 0;

    switch (m->op) {
    case OPEN:
        a->code = do_open(p, m, &a->err);
        break;
    case PUT:
        a->code = ms_file_write(h, m->offset, m->data, (size_t)m->n, &n, &a->err);
        a->n = n;
        break;
    case READ:
        a->code = read_file(h, m->offset, (size_t)m->n, a->data, &n, &a->err);
        a->n = n;
        break;
    case TRUNCATE:
        a->code = ms_file_truncate(p->svc, &p->ctx, ms_file_ino(h), h, m->n, &a->err);
        break;
    case SYNC:
        a->code = sync_file(h, &a->err);
        break;
    case FLUSH:
        a->code = flush_file(h, &a->err);
        break;
    case RELEASE:
        a->code = release_file(h, &a->err);
        break;
    case UNLINK:
        a->code = do_unlink(p, m, &a->err);
        break;
    case GENERATION:
        a->n = ms_file_generation(h);
        break;
    case COUNT:
        a->n = ms_file_handles(p->svc, &p->ctx, ms_file_ino(h));
        break;
    case CHURN:
        churn(p, m, a);
        break;
    case FILL:
    default:
        a->code = fill_until_refused(h, m->offset, m->seed, &a->n, &a->err);
        break;
    }
}

/* peer DIR TENANT FD INSTANT */
void peer_main(int argc, char **argv) {
    static struct message m;
    static struct answer a;
    static struct ms_clock_fake clock;
    struct peer p = {.ctx = {.who = "bob"}};
    struct ms_svc_options options = {.dir = argc > 2 ? argv[2] : "",
                                     .label = "peer",
                                     .clock = &clock.clock,
                                     .journal_bytes_max = UINT64_C(1) << 40};
    struct ms_follower *follower;
    struct ms_error err = {0};
    int fd;

    if (argc < 6 || strcmp(argv[1], "peer") != 0)
        return;
    fd = (int)strtol(argv[4], NULL, 10);
    ms_clock_fake_init(&clock, ms_instant_of(strtoll(argv[5], NULL, 10)));
    if (ms_id_parse(argv[3], &p.ctx.tenant.id, &err) != MS_OK ||
        ms_svc_open(&options, &p.svc, &err) != MS_OK) {
        (void)fprintf(stderr, "peer: %s\n", err.message);
        _exit(1);
    }
    follower = follow_feed(p.svc);
    while (transfer(fd, &m, sizeof m, false)) {
        memset(&a, 0, sizeof a);
        obey(&p, &m, &a);
        if (!transfer(fd, &a, sizeof a, true))
            break;
    }
    ms_store_unfollow(follower);
    ms_svc_close(p.svc);
    _exit(0);
}

/* ---- who tells it what to do ------------------------------------------------------------- */

void peer_start(struct world *w) {
    char id[MS_ID_TEXT_LEN + 1], number[16], instant[32];
    int fd[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    assert_int_equal(fcntl(fd[1], F_SETFD, 0), 0);
    ms_id_format(w->ctx.tenant.id, id);
    (void)snprintf(number, sizeof number, "%d", fd[1]);
    (void)snprintf(instant, sizeof instant, "%lld", (long long)ms_clock_now(&w->clock.clock).ms);
    char *const argv[] = {(char *)"peer", (char *)"peer", w->dir, id, number, instant, NULL};
    assert_int_equal(posix_spawn(&w->peer_pid, "/proc/self/exe", NULL, NULL, argv, environ), 0);
    close(fd[1]);
    w->peer_fd = fd[0];
}

void peer_stop(struct world *w) {
    if (w->peer_pid <= 0)
        return;
    close(w->peer_fd);
    while (waitpid(w->peer_pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    w->peer_pid = 0;
}

void peer_kill(struct world *w) {
    assert_int_equal(kill(w->peer_pid, SIGKILL), 0);
    peer_stop(w);
}

static void tell(struct world *w, struct message *m) {
    if (w->peer_pid <= 0)
        peer_start(w);
    if (!transfer(w->peer_fd, m, sizeof *m, true))
        fail_msg("the peer has gone");
}

static const struct answer *hear(struct world *w, enum ms_code want) {
    static struct answer a;

    if (!transfer(w->peer_fd, &a, sizeof a, false))
        fail_msg("the peer has gone");
    if (a.code != want)
        fail_msg("the peer got %s, not %s: %s", ms_code_name(a.code), ms_code_name(want),
                 a.err.message);
    return &a;
}

static const struct answer *ask(struct world *w, struct message *m, enum ms_code want) {
    tell(w, m);
    return hear(w, want);
}

void peer_open(struct world *w, int h, const char *path, char how, enum ms_code want) {
    struct message m = {.op = OPEN, .handle = h, .how = how};

    (void)snprintf(m.path, sizeof m.path, "%s", path);
    ask(w, &m, want);
}

void peer_put(struct world *w, int h, uint64_t offset, const void *p, size_t n, enum ms_code want) {
    struct message m = {.op = PUT, .handle = h, .offset = offset, .n = n};
    const struct answer *a;

    assert_true(n <= DATA_MAX);
    memcpy(m.data, p, n);
    a = ask(w, &m, want);
    if (want == MS_OK)
        assert_int_equal(a->n, n);
}

void peer_check(struct world *w, int h, uint64_t offset, const void *p, size_t n, bool end) {
    struct message m = {.op = READ, .handle = h, .offset = offset, .n = n + end};
    const struct answer *a = ask(w, &m, MS_OK);

    assert_int_equal(a->n, n);
    assert_memory_equal(a->data, p, n);
}

void peer_truncate(struct world *w, int h, uint64_t size, enum ms_code want) {
    ask(w, &(struct message){.op = TRUNCATE, .handle = h, .n = size}, want);
}

void peer_sync(struct world *w, int h, enum ms_code want) {
    ask(w, &(struct message){.op = SYNC, .handle = h}, want);
}

void peer_flush(struct world *w, int h, enum ms_code want) {
    ask(w, &(struct message){.op = FLUSH, .handle = h}, want);
}

void peer_release(struct world *w, int h, enum ms_code want) {
    ask(w, &(struct message){.op = RELEASE, .handle = h}, want);
}

void peer_seal(struct world *w, int h) {
    peer_flush(w, h, MS_OK);
    peer_release(w, h, MS_OK);
}

void peer_check_file(struct world *w, const char *path, const void *p, size_t n) {
    peer_open(w, HANDLES - 1, path, 'r', MS_OK);
    peer_check(w, HANDLES - 1, 0, p, n, true);
    peer_release(w, HANDLES - 1, MS_OK);
}

void peer_unlink(struct world *w, const char *path) {
    struct message m = {.op = UNLINK};

    (void)snprintf(m.path, sizeof m.path, "%s", path);
    ask(w, &m, MS_OK);
}

uint64_t peer_generation(struct world *w, int h) {
    return ask(w, &(struct message){.op = GENERATION, .handle = h}, MS_OK)->n;
}

uint64_t peer_handles(struct world *w, int h) {
    return ask(w, &(struct message){.op = COUNT, .handle = h}, MS_OK)->n;
}

void peer_fill_begin(struct world *w, int h, uint64_t from, uint64_t seed) {
    tell(w, &(struct message){.op = FILL, .handle = h, .offset = from, .seed = seed});
}

uint64_t peer_fill_end(struct world *w) { return hear(w, MS_QUOTA)->n; }

void peer_churn_begin(struct world *w, int h, uint64_t from, uint64_t seed, unsigned ms) {
    tell(w, &(struct message){.op = CHURN, .handle = h, .offset = from, .seed = seed, .n = ms});
}

struct peer_churned peer_churn_end(struct world *w) {
    return hear(w, MS_OK)->churned;
}
