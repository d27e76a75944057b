/* The change feed: what other processes commit arrives, in order, once, or is said to be lost. */
#include "store_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct change {
    const char *text;
    size_t size; /* 0: the text's */
    bool fail;
};

static enum ms_code feed_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    const struct change *c = in;
    char bytes[2048] = "";
    size_t n = c->size ? c->size : strlen(c->text);
    enum ms_code code;

    (void)out;
    memcpy(bytes, c->text, strlen(c->text));
    code = ms_txn_feed(txn, ms_view_of(bytes, n), reterr);
    if (code == MS_OK && c->fail)
        return ms_fail(reterr, MS_WRONG_STATE, "rolled back");
    return code;
}

static enum ms_code feed(struct ms_store *store, const char *text, bool fail, struct ms_error *reterr) {
    struct change c = {text, 0, fail};

    return ms_store_write(store, &(struct ms_write){.fn = feed_op, .in = &c}, reterr);
}

/* n changes "<place>:<i>", some of them in operations that fail. */
static int feed_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct ms_store *store = NULL;
    char text[32];

    o->feed_rows_max = n > 5000 ? 16 : 0;
    if (ms_store_open(o, &store, NULL) != MS_OK)
        return 1;
    for (unsigned i = 0; i < n % 5000; i++) {
        snprintf(text, sizeof text, "%u:%u", place, i);
        if (feed(store, text, false, NULL) != MS_OK || (i % 7 == 0 && feed(store, "no", true, NULL) != MS_WRONG_STATE))
            return 2;
    }
    ms_store_close(store);
    return 0;
}

struct heard {
    _Atomic unsigned changes, lost, bad;
    unsigned next[8]; /* of each place */
    _Atomic unsigned held; /* while 1, each call waits */
    _Atomic unsigned waiting;
};

static void hear(void *priv, struct ms_view change) {
    struct heard *h = priv;
    char text[32] = "";
    unsigned place = 0, i = 0;

    atomic_store(&h->waiting, 1);
    while (atomic_load(&h->held))
        ms_clock_sleep_ns(100000);
    if (change.n < sizeof text)
        memcpy(text, change.p, change.n);
    if (sscanf(text, "%u:%u", &place, &i) != 2 || place >= 8 || (i != h->next[place] && !atomic_load(&h->lost)))
        atomic_fetch_add(&h->bad, 1);
    else
        h->next[place] = i + 1;
    atomic_fetch_add(&h->changes, 1);
}

static void hear_lost(void *priv) { atomic_fetch_add(&((struct heard *)priv)->lost, 1); }

static struct ms_follower *follow(struct store_test *t, struct heard *h) {
    struct ms_follow f = {hear, hear_lost, h};
    struct ms_follower *follower = NULL;

    assert_ok(ms_store_follow(t->store, &f, &follower, &test_err));
    return follower;
}

static void changes_of_other_processes_arrive_in_order_and_our_own_do_not(void **state) {
    struct store_test *t = *state;
    struct heard h = {0}, second = {0};
    struct ms_follower *f = follow(t, &h), *g = follow(t, &second);
    int pids[3];

    for (unsigned i = 0; i < 3; i++)
        pids[i] = store_test_start(t, "feed", i, 100);
    for (unsigned i = 0; i < 50; i++)
        assert_ok(feed(t->store, "our own", false, &test_err));
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(store_test_wait(pids[i]), 0);
    assert_true(ms_follower_catch_up(f, 60000));
    assert_true(ms_follower_catch_up(g, 60000));
    ms_store_unfollow(f);
    ms_store_unfollow(g);
    assert_int_equal(atomic_load(&h.changes), 300);
    assert_int_equal(atomic_load(&second.changes), 300);
    assert_int_equal(atomic_load(&h.bad) + atomic_load(&second.bad), 0);
    assert_int_equal(atomic_load(&h.lost), 0);
    ms_store_unfollow(NULL);
}

static void a_follower_hears_only_what_comes_after_it(void **state) {
    struct store_test *t = *state;
    struct heard h = {0};
    struct ms_follower *f;

    assert_int_equal(store_test_run(t, "feed", 0, 20), 0);
    f = follow(t, &h);
    assert_true(ms_follower_catch_up(f, 60000));
    assert_int_equal(store_test_run(t, "feed", 1, 5), 0);
    assert_true(ms_follower_catch_up(f, 60000));
    ms_store_unfollow(f);
    assert_int_equal(atomic_load(&h.changes), 5);
}

static void a_follower_behind_the_trim_is_told_and_goes_on(void **state) {
    struct store_test *t = *state;
    struct heard h = {.held = 1};
    struct ms_follower *f = follow(t, &h);

    assert_int_equal(store_test_run(t, "feed", 0, 3), 0);
    while (!atomic_load(&h.waiting))
        ms_clock_sleep_ns(100000);
    assert_false(ms_follower_catch_up(f, 1));
    assert_int_equal(store_test_run(t, "feed", 0, 5000 + 200), 0); /* keeps 16 */
    atomic_store(&h.held, 0);
    assert_true(ms_follower_catch_up(f, 60000));
    assert_int_equal(atomic_load(&h.lost), 1);
    assert_true(atomic_load(&h.changes) < 203);
    assert_int_equal(store_test_run(t, "feed", 1, 10), 0);
    assert_true(ms_follower_catch_up(f, 60000));
    ms_store_unfollow(f);
    assert_int_equal(h.next[1], 10);
    assert_int_equal(atomic_load(&h.lost), 1);
}

static struct ms_store_state state_of(struct ms_store *store) {
    struct ms_store_state s = {0};
    struct ms_txn *txn;

    assert_ok(ms_read_begin(store, &txn, &test_err));
    assert_ok(ms_store_row_state_get(store, txn->mdb, &s, &test_err));
    ms_read_end(txn);
    return s;
}

static void the_feed_is_trimmed_by_number_and_by_age(void **state) {
    struct store_test *t = *state;
    struct ms_store_state s;
    struct ms_store_stats before, after;

    store_test_close(t);
    t->options.feed_rows_max = 100;
    store_test_open(t);
    ms_store_stats(t->store, &before);
    for (unsigned i = 0; i < 400; i++) {
        assert_ok(feed(t->store, "x", false, &test_err));
        s = state_of(t->store);
        assert_true(s.feed_next - s.feed_first <= 125);
    }
    assert_true(s.feed_next - s.feed_first >= 100);
    ms_store_stats(t->store, &after);
    assert_true(after.entries - before.entries <= 125);
    ms_clock_fake_advance(&t->clock, 10 * 60 * 1000 + 11000);
    ms_writer_tick(t->store);
    while (atomic_load(&t->store->queue.tick))
        ms_clock_sleep_ns(100000);
    assert_ok(feed(t->store, "x", false, &test_err));
    s = state_of(t->store);
    assert_true(s.feed_next - s.feed_first <= 2);
}

static void what_rolls_back_is_not_in_the_feed(void **state) {
    struct store_test *t = *state;
    struct ms_store_state before = state_of(t->store), after;

    assert_code(feed(t->store, "x", true, &test_err), MS_WRONG_STATE);
    assert_ok(feed(t->store, "x", false, &test_err));
    after = state_of(t->store);
    assert_int_equal(after.feed_next, before.feed_next + 1);
}

static void a_change_has_at_most_a_kibibyte(void **state) {
    struct store_test *t = *state;
    struct change c = {"x", 1024, false};

    assert_ok(ms_store_write(t->store, &(struct ms_write){.fn = feed_op, .in = &c}, &test_err));
    c.size++;
    assert_code(ms_store_write(t->store, &(struct ms_write){.fn = feed_op, .in = &c}, &test_err), MS_RANGE);
}

static void many_large_changes_arrive_whole(void **state) {
    struct store_test *t = *state;
    struct heard h = {.held = 1};
    struct ms_follower *f = follow(t, &h);

    assert_int_equal(store_test_run(t, "large", 0, 200), 0); /* more than one read takes */
    atomic_store(&h.held, 0);
    assert_true(ms_follower_catch_up(f, 60000));
    ms_store_unfollow(f);
    assert_int_equal(atomic_load(&h.changes), 200);
}

static int large_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct change c = {"large", 1024, false};
    struct ms_store *store = NULL;

    (void)place;
    if (ms_store_open(o, &store, NULL) != MS_OK)
        return 1;
    for (unsigned i = 0; i < n; i++)
        if (ms_store_write(store, &(struct ms_write){.fn = feed_op, .in = &c}, NULL) != MS_OK)
            return 2;
    ms_store_close(store);
    return 0;
}

static void a_damaged_feed_is_lost_not_wrong(void **state) {
    struct store_test *t = *state;
    struct heard h = {.held = 1};
    struct ms_follower *f = follow(t, &h);
    struct ms_store_state s;
    MDB_txn *mdb;
    struct ms_store_key key;
    MDB_val k, v = {5, (void *)(uintptr_t)"wrong"};

    assert_int_equal(store_test_run(t, "feed", 0, 1), 0);
    while (!atomic_load(&h.waiting))
        ms_clock_sleep_ns(100000);
    assert_int_equal(store_test_run(t, "feed", 0, 3), 0);
    s = state_of(t->store);
    key = ms_store_key_seq(MS_ROW_FEED, s.feed_next - 2);
    k = ms_val_of(ms_store_key_view(&key));
    assert_int_equal(mdb_txn_begin(t->store->env, NULL, 0, &mdb), 0);
    assert_int_equal(mdb_put(mdb, t->store->dbi, &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(mdb), 0);
    atomic_store(&h.held, 0);
    assert_true(ms_follower_catch_up(f, 60000));
    ms_store_unfollow(f);
    assert_int_equal(atomic_load(&h.lost), 1);
}

/* Not followers' polling: one wait of a minute ends when another process commits. */
static void a_wake_up_crosses_processes(void **state) {
    struct store_test *t = *state;
    const struct ms_clock *clock = ms_clock_system();
    struct ms_store_page *page = t->store->page;
    uint32_t seen = atomic_load(&page->changes);
    int64_t begun = ms_clock_mono_ns(clock);
    int pid = store_test_start(t, "late-feed", 0, 0);

    ms_page_wait_change(t->store, seen, INT64_C(60000000000));
    assert_true(ms_clock_mono_ns(clock) - begun < INT64_C(50000000000));
    assert_int_not_equal(atomic_load(&page->changes), seen);
    assert_int_equal(store_test_wait(pid), 0);
}

static void *feed_later(void *arg) {
    ms_clock_sleep_ns(20000000);
    assert_ok(feed(arg, "0:0", false, NULL));
    return NULL;
}

/* True: a wait of 200 ms lasted that long although we committed meanwhile. Once is enough: a commit before the wait
 * has begun ends it, too. */
static bool sleeps_through_our_own_commit(struct ms_store *store) {
    const struct ms_clock *clock = ms_clock_system();
    uint32_t seen = atomic_load(&store->page->changes);
    int64_t begun = ms_clock_mono_ns(clock);
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, feed_later, store), 0);
    ms_page_wait_change(store, seen, INT64_C(200000000));
    bool slept = ms_clock_mono_ns(clock) - begun >= INT64_C(200000000);
    pthread_join(thread, NULL);
    return slept && atomic_load(&store->page->changes) != seen;
}

static void our_own_commits_wake_nobody_of_ours(void **state) {
    struct store_test *t = *state;
    struct ms_store_waiter *place = t->store->waiter;
    bool slept = false;

    assert_non_null(place);
    for (unsigned i = 0; i < 20 && !slept; i++)
        slept = sleeps_through_our_own_commit(t->store);
    assert_true(slept);
    uint64_t own = atomic_exchange(&place->tag, 77); /* somebody else's now: the bit is no longer ours alone */
    for (unsigned i = 0; i < 20 && slept; i++)
        slept = sleeps_through_our_own_commit(t->store);
    atomic_store(&place->tag, own);
    assert_false(slept);
}

static int late_feed_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct ms_store *store = NULL;

    (void)place, (void)n;
    ms_clock_sleep_ns(100000000); /* let the other one go to sleep first */
    if (ms_store_open(o, &store, NULL) != MS_OK || feed(store, "0:0", false, NULL) != MS_OK)
        return 1;
    ms_store_close(store);
    return 0;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* A process that answers: at once, or when the flag "go" is there; and one that never does. */
enum { AT_ONCE, ON_GO, NEVER };

struct answering {
    struct ms_store *store;
    _Atomic uint64_t to;
    unsigned when;
};

static void hear_nothing(void *priv, struct ms_view change) { (void)priv, (void)change; }
static void lose_nothing(void *priv) { (void)priv; }
static void handed(void *priv, uint64_t to) {
    struct answering *a = priv;

    atomic_store(&a->to, to);
    if (a->when == AT_ONCE)
        ms_store_answer(a->store, to);
}

static int answer_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct answering a = {.when = n};
    struct ms_follow follow = {.each = hear_nothing, .lost = lose_nothing, .priv = &a, .handed = handed};
    struct ms_follower *follower = NULL;
    char name[32];

    o->label = "mount /somewhere";
    if (ms_store_open(o, &a.store, NULL) != MS_OK || ms_store_follow(a.store, &follow, &follower, NULL) != MS_OK)
        return 1;
    snprintf(name, sizeof name, "up%u", place);
    store_test_make_flag(o->dir, name);
    if (!store_test_await_flag(o->dir, "go"))
        return 2;
    ms_store_answer(a.store, 1); /* less than was said: nothing */
    if (n == ON_GO)
        ms_store_answer(a.store, atomic_load(&a.to));
    if (!store_test_await_flag(o->dir, "end"))
        return 3;
    ms_store_unfollow(follower);
    snprintf(name, sizeof name, "left%u", place);
    store_test_make_flag(o->dir, name);
    if (!store_test_await_flag(o->dir, "close"))
        return 4;
    ms_store_close(a.store);
    return 0;
}

static size_t await_answers(struct store_test *t, int64_t ms, struct ms_process_info *ret_first) {
    struct ms_process_info *late = NULL;
    size_t n = 0;

    assert_ok(ms_store_await_answers(t->store, ms, &late, &n, &test_err));
    if (n > 0)
        *ret_first = late[0];
    free(late);
    return n;
}

static void who_waits_for_answers_hears_who_owes_one(void **state) {
    struct store_test *t = *state;
    struct ms_process_info first = {0};
    int prompt, owes, dead;

    assert_int_equal(await_answers(t, 60000, &first), 0); /* nobody there */
    prompt = store_test_start(t, "answer", 0, AT_ONCE);
    owes = store_test_start(t, "answer", 1, ON_GO);
    assert_true(store_test_await_flag(t->store_dir, "up0") && store_test_await_flag(t->store_dir, "up1"));
    assert_int_equal(await_answers(t, 60000, &first), 0); /* nothing came since they follow */

    assert_ok(feed(t->store, "0:0", false, &test_err));
    assert_int_equal(await_answers(t, 300, &first), 1);
    assert_int_equal(first.pid, owes);
    assert_string_equal(first.label, "mount /somewhere");
    assert_true(first.alive);
    store_test_make_flag(t->store_dir, "go");
    assert_int_equal(await_answers(t, 60000, &first), 0);

    dead = store_test_start(t, "answer", 2, NEVER);
    assert_true(store_test_await_flag(t->store_dir, "up2"));
    assert_ok(feed(t->store, "0:1", false, &test_err));
    assert_int_equal(await_answers(t, 300, &first), 2); /* ON_GO said it once only */
    kill(dead, SIGKILL);
    assert_int_equal(store_test_wait(dead), -SIGKILL);
    assert_int_equal(await_answers(t, 1, &first), 1);
    assert_int_equal(first.pid, owes);

    store_test_make_flag(t->store_dir, "end"); /* who no longer follows owes nothing */
    assert_true(store_test_await_flag(t->store_dir, "left0") && store_test_await_flag(t->store_dir, "left1"));
    assert_int_equal(await_answers(t, 1, &first), 0);
    store_test_make_flag(t->store_dir, "close");
    assert_int_equal(store_test_wait(prompt), 0);
    assert_int_equal(store_test_wait(owes), 0);
}

/* Its file has no text, so whether it owes an answer cannot be known. */
static void a_process_without_text_is_named_too(void **state) {
    struct store_test *t = *state;
    struct ms_process_info first = {.pid = 1};
    int pid = store_test_start(t, "answer", 0, AT_ONCE);
    char name[MS_ID_TEXT_LEN + 1];
    struct dirent *e;
    DIR *d;

    assert_true(store_test_await_flag(t->store_dir, "up0"));
    ms_id_format(t->store->instance.id, name);
    d = fdopendir(openat(t->store->run_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    assert_non_null(d);
    while ((e = readdir(d)))
        if (e->d_name[0] != '.' && strcmp(e->d_name, name) != 0) {
            int fd = openat(t->store->run_fd, e->d_name, O_WRONLY | O_CLOEXEC);

            assert_int_equal(ftruncate(fd, 0), 0);
            close(fd);
        }
    closedir(d);
    assert_int_equal(await_answers(t, 1, &first), 1);
    assert_int_equal(first.pid, 0);
    for (const char *const *flag = (const char *const[]){"go", "end", "close", NULL}; *flag; flag++)
        store_test_make_flag(t->store_dir, *flag);
    assert_int_equal(store_test_wait(pid), 0);
}

static const struct store_test_child children[] = {
    {"answer", answer_child},       {"feed", feed_child}, {"large", large_child},
    {"late-feed", late_feed_child}, {NULL, NULL}};

int main(int argc, char **argv) {
#define T(f) cmocka_unit_test_setup_teardown(f, store_test_setup, store_test_teardown)
    const struct CMUnitTest tests[] = {
        T(changes_of_other_processes_arrive_in_order_and_our_own_do_not),
        T(a_follower_hears_only_what_comes_after_it),
        T(a_follower_behind_the_trim_is_told_and_goes_on),
        T(the_feed_is_trimmed_by_number_and_by_age),
        T(what_rolls_back_is_not_in_the_feed),
        T(a_change_has_at_most_a_kibibyte),
        T(many_large_changes_arrive_whole),
        T(a_damaged_feed_is_lost_not_wrong),
        T(a_wake_up_crosses_processes),
        T(our_own_commits_wake_nobody_of_ours),
        T(who_waits_for_answers_hears_who_owes_one),
        T(a_process_without_text_is_named_too),
    };
    int status;

    if (store_test_main(argc, argv, children, &status))
        return status;
    return cmocka_run_group_tests_name("store feed", tests, NULL, NULL);
}
