/* A run of the bill killed at random points and run again: every row of the store and every export is
 * what an undisturbed run leaves.
 *
 *   unit_service_bill_kills [KILLS]     default 16
 *
 * The run is this program started again on a copy of the store; it is killed by a timer at any
 * instruction, or before or after the n-th sync of the disk, which is around the commits. */
#include "story.h"

#include "service/bill_export.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static unsigned kills_wanted = 16;

/* ---- the process that is killed --------------------------------------------------------------- */

static struct {
    atomic_uint seen, at; /* at 0: never */
    bool after;
} syncs;

static void count_sync(bool after) {
    if (after != syncs.after)
        return;
    unsigned n = atomic_fetch_add(&syncs.seen, 1) + 1;
    if (n == atomic_load(&syncs.at))
        kill(getpid(), SIGKILL);
}

/* In the place of the C library's: the store calls it once a commit. */
int fdatasync(int fd) {
    count_sync(false);
    int rc = (int)syscall(SYS_fdatasync, fd);
    count_sync(true);
    return rc;
}

struct opened {
    struct ms_clock_fake clock;
    struct ms_svc svc;
};

static enum ms_code open_store(struct opened *o, const char *dir, int64_t now,
                               struct ms_error *err) {
    struct ms_store_options options = {
        .dir = dir, .clock = &o->clock.clock, .random = ms_random_system(), .label = "bill run"};
    ms_clock_fake_init(&o->clock, ms_instant_of(now));
    o->svc = (struct ms_svc){.clock = &o->clock.clock, .random = ms_random_system()};
    (void)snprintf(o->svc.dir, sizeof o->svc.dir, "%s", dir);
    return ms_store_open(&options, &o->svc.store, err);
}

static int64_t monotonic_us(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void kill_in_us(int64_t us) {
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec at = {
        .it_value = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 + 1}};
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &e, &timer) != 0 || timer_settime(timer, 0, &at, NULL) != 0)
        _exit(8);
}

/* How long a whole run took and how often it synced, for who chooses the points. */
static void tell(int64_t us) {
    char text[64];
    int n = snprintf(text, sizeof text, "%" PRId64 " %u\n", us, atomic_load(&syncs.seen));
    if (write(STDOUT_FILENO, text, (size_t)n) != n)
        _exit(7);
}

/* argv: program, "child", folder, now, how ('t'imer, 'b'efore or 'a'fter a sync, '-'), when */
static void be_child(char **argv) {
    static struct opened o;
    struct ms_error err = {0};
    struct ms_rates rates;
    struct ms_bill_result result;
    struct ms_bill_options options = {.rates = &rates};
    char how = argv[4][0];
    int64_t when = strtoll(argv[5], NULL, 10);
    if (ms_rates_parse(bill_cards, strlen(bill_cards), &rates, &err) != MS_OK ||
        open_store(&o, argv[2], strtoll(argv[3], NULL, 10), &err) != MS_OK) {
        fprintf(stderr, "child: %s\n", err.message);
        _exit(9);
    }
    atomic_store(&syncs.seen, 0);
    syncs.after = how == 'a';
    if (how == 't')
        kill_in_us(when);
    else if (how != '-')
        atomic_store(&syncs.at, (unsigned)when);
    int64_t begun = monotonic_us();
    if (ms_bill_run(&o.svc, &options, &result, &err) != MS_OK) {
        fprintf(stderr, "child: %s: %s\n", ms_code_name(err.code), err.message);
        _exit(9);
    }
    tell(monotonic_us() - begun);
    atomic_store(&syncs.at, 0);
    ms_rates_fini(&rates);
    ms_store_close(o.svc.store);
    exit(0);
}

/* ---- who starts it ---------------------------------------------------------------------------- */

struct plan {
    char how;
    int64_t when;
};
struct ended {
    bool killed;
    int64_t us;
    unsigned syncs;
};

static void hear(int fd, struct ended *ret_ended) {
    char text[64] = "", *rest;
    size_t n = 0;
    for (ssize_t got; n + 1 < sizeof text && (got = read(fd, text + n, sizeof text - 1 - n)) != 0;)
        n += got > 0 ? (size_t)got : 0;
    ret_ended->us = strtoll(text, &rest, 10);
    ret_ended->syncs = (unsigned)strtoul(rest, NULL, 10);
}

static void wait_for(pid_t pid, int *ret_status) {
    while (waitpid(pid, ret_status, 0) < 0)
        assert_int_equal(errno, EINTR);
}

static struct ended run_child(const char *dir, int64_t now, struct plan plan) {
    char at[32], how[2] = {plan.how, '\0'}, when[32];
    char *argv[] = {(char *)"child", (char *)"child", (char *)(uintptr_t)dir, at, how, when, NULL};
    posix_spawn_file_actions_t actions;
    struct ended ended = {.killed = false};
    int fds[2], status;
    pid_t pid;
    (void)snprintf(at, sizeof at, "%" PRId64, now);
    (void)snprintf(when, sizeof when, "%" PRId64, plan.when);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO), 0);
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    hear(fds[0], &ended);
    close(fds[0]);
    wait_for(pid, &status);
    ended.killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    assert_true(ended.killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return ended;
}

/* ---- copies and what is in them --------------------------------------------------------------- */

static char *copy_of(const char *dir) {
    char *to = ms_test_tmpdir_new(), from[4096];
    (void)snprintf(from, sizeof from, "%s/.", dir);
    char *argv[] = {(char *)"cp", (char *)"-a", (char *)"--sparse=always", from, to, NULL};
    int status;
    pid_t pid;
    assert_int_equal(posix_spawnp(&pid, "cp", NULL, NULL, argv, environ), 0);
    wait_for(pid, &status);
    assert_int_equal(status, 0);
    return to;
}

static bool keep(void *priv, const void *p, size_t n) {
    assert_ok(ms_buf_add(priv, p, n, &test_err));
    return true;
}

/* Every row but the marks of the catalogue, whose values are random. */
static void dump_rows(struct ms_svc *svc, struct ms_buf *rows) {
    const struct ms_key marks = ms_key_marks();
    struct ms_scan scan;
    struct ms_view key, value;
    struct ms_txn *txn;
    assert_ok(ms_read_begin(svc->store, &txn, &test_err));
    ms_scan_begin(&scan, txn, (struct ms_view){0}, (struct ms_view){0});
    while (ms_scan_next(&scan, &key, &value, NULL) == MS_OK) {
        uint32_t sizes[2] = {(uint32_t)key.n, (uint32_t)value.n};
        if (*(const uint8_t *)key.p == marks.bytes[0])
            continue;
        assert_ok(ms_buf_add(rows, sizes, sizeof sizes, NULL));
        assert_ok(ms_buf_add(rows, key.p, key.n, NULL));
        assert_ok(ms_buf_add(rows, value.p, value.n, NULL));
    }
    ms_scan_end(&scan);
    ms_read_end(txn);
}

struct dump {
    struct ms_buf rows, exports;
    uint64_t findings;
};

static void print_finding(void *priv, const char *text) {
    (void)priv;
    print_error("finding: %s\n", text);
}

static struct dump dump_of(const char *dir, int64_t now, const struct ms_rates *rates) {
    static struct opened o;
    struct dump d = {.rows = MS_BUF_MAX(1 << 28), .exports = MS_BUF_MAX(1 << 28)};
    struct ms_bill_check check;
    uint64_t n;
    assert_ok(open_store(&o, dir, now, &test_err));
    dump_rows(&o.svc, &d.rows);
    for (unsigned format = 0; format < MS_BILL_FORMAT_COUNT; format++) {
        struct ms_bill_export e = {.format = (enum ms_bill_format)format,
                                   .provider = "ACME",
                                   .write = keep,
                                   .priv = &d.exports};
        assert_ok(ms_bill_export(&o.svc, &e, &n, &test_err));
        assert_true(n > 0);
    }
    assert_ok(ms_bill_verify(&o.svc, rates, (struct ms_tenant_id){{{0}}}, print_finding, NULL,
                             &check, &test_err));
    d.findings = check.findings;
    ms_store_close(o.svc.store);
    return d;
}

static void dump_fini(struct dump *d) {
    ms_buf_fini(&d->rows);
    ms_buf_fini(&d->exports);
}

/* The table of the first row that differs. */
static char table_of_difference(const struct ms_buf *a, const struct ms_buf *b) {
    for (size_t at = 0; at < a->len && at < b->len;) {
        uint32_t sizes[2];
        memcpy(sizes, a->data + at, sizeof sizes);
        size_t n = sizeof sizes + sizes[0] + sizes[1];
        if (b->len - at < n || memcmp(a->data + at, b->data + at, n) != 0)
            return (char)a->data[at + sizeof sizes];
        at += n;
    }
    return '?';
}

static void same(const struct dump *a, const struct dump *b) {
    if (a->rows.len != b->rows.len || memcmp(a->rows.data, b->rows.data, a->rows.len) != 0)
        fail_msg("rows differ, first in table '%c'", table_of_difference(&a->rows, &b->rows));
    assert_int_equal(a->exports.len, b->exports.len);
    assert_memory_equal(a->exports.data, b->exports.data, a->exports.len);
    assert_int_equal(b->findings, 0);
}

/* ---- the test --------------------------------------------------------------------------------- */

struct killing {
    const char *dir; /* the store before the run */
    int64_t now;
    const struct ms_rates *rates;
    struct dump whole;
    struct ended undisturbed;
    struct ms_random_seeded random;
    unsigned kills, runs;
};

static struct plan some_plan(struct killing *k) {
    struct plan plan = {.how = "ttba"[ms_random_below(&k->random.random, 4)]};
    plan.when = plan.how == 't'
                    ? (int64_t)ms_random_below(&k->random.random, (uint64_t)k->undisturbed.us)
                    : 1 + (int64_t)ms_random_below(&k->random.random, k->undisturbed.syncs);
    return plan;
}

/* Killed once, sometimes twice or more, then let run. */
static void kill_and_repeat(struct killing *k) {
    char *dir = copy_of(k->dir);
    for (bool again = true; again; again = ms_random_below(&k->random.random, 3) == 0) {
        k->kills += run_child(dir, k->now, some_plan(k)).killed;
        k->runs++;
    }
    assert_false(run_child(dir, k->now, (struct plan){'-', 0}).killed);
    struct dump d = dump_of(dir, k->now, k->rates);
    same(&k->whole, &d);
    dump_fini(&d);
    ms_test_tmpdir_remove(dir);
}

/* Months of three tenants, of which nobody has closed or swept more than the first days. */
static void tell_story(struct story *s, struct fx *f, const struct ms_rates *rates, uint64_t seed) {
    story_begin(s, f, rates, seed);
    int64_t begun = ms_clock_now(&f->clock.clock).ms, at = begun;
    while (at < begun + 130 * MS_DAY_MS) {
        s->runs = at < begun + 20 * MS_DAY_MS;
        story_step(s);
        at = ms_clock_now(&f->clock.clock).ms;
    }
    story_end(s);
}

static void undisturbed(struct killing *k) {
    char *dir = copy_of(k->dir);
    k->undisturbed = run_child(dir, k->now, (struct plan){'-', 0});
    assert_false(k->undisturbed.killed);
    assert_true(k->undisturbed.syncs > 3 && k->undisturbed.us > 0);
    k->whole = dump_of(dir, k->now, k->rates);
    assert_int_equal(k->whole.findings, 0);
    ms_test_tmpdir_remove(dir);
}

static void kills_of_one_story(const struct ms_rates *rates, uint64_t seed, unsigned wanted,
                               unsigned *kills) {
    static struct story s;
    void *state;
    assert_int_equal(story_setup(&state), 0);
    struct fx *f = state;
    tell_story(&s, f, rates, seed);
    struct killing k = {.dir = f->dir, .now = ms_clock_now(&f->clock.clock).ms, .rates = rates};
    ms_store_close(f->svc.store);
    f->svc.store = NULL;
    ms_random_seeded_init(&k.random, seed);
    undisturbed(&k);
    while (k.kills < wanted && k.runs < 4 * wanted + 20)
        kill_and_repeat(&k);
    print_message("seed %" PRIu64 ": %u kills in %u runs of %u commits\n", seed, k.kills, k.runs,
                  k.undisturbed.syncs);
    assert_true(k.kills >= wanted);
    *kills += k.kills;
    dump_fini(&k.whole);
    ms_random_seeded_fini(&k.random);
    assert_int_equal(story_teardown(&state), 0);
}

/* A new story after so many kills. */
#define KILLS_A_STORY 16u

static void a_run_that_was_killed_and_repeated_leaves_what_an_undisturbed_one_does(void **state) {
    struct ms_rates rates = bill_rates(bill_cards);
    uint64_t seed = ms_test_seed();
    unsigned kills = 0;
    (void)state;
    while (kills < kills_wanted) {
        unsigned rest = kills_wanted - kills;
        kills_of_one_story(&rates, seed++, rest < KILLS_A_STORY ? rest : KILLS_A_STORY, &kills);
    }
    print_message("%u kills\n", kills);
    ms_rates_fini(&rates);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_that_was_killed_and_repeated_leaves_what_an_undisturbed_one_does)};
    if (argc == 6 && strcmp(argv[1], "child") == 0)
        be_child(argv);
    if (argc > 1)
        kills_wanted = (unsigned)strtoul(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
