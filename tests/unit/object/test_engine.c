#include "fake.h"

#define NS_PER_MS INT64_C(1000000)

/* ---- tasks ---- */

struct job {
    struct ms_task task;
    int *ran, *left;
    struct ms_latch *last;
};

static void count_job(struct ms_task *task) {
    struct job *job = MS_CONTAINER_OF(task, struct job, task);

    __atomic_add_fetch(job->ran, 1, __ATOMIC_SEQ_CST);
    if (__atomic_sub_fetch(job->left, 1, __ATOMIC_SEQ_CST) == 0)
        ms_latch_open(job->last);
}

static void every_task_runs_once(void **state) {
    struct ms_engine *engine = engine_new(3);
    struct job *jobs = calloc(1000, sizeof *jobs);
    int ran = 0, left = 1000;
    struct ms_latch last;

    (void)state;
    ms_latch_init(&last);
    for (int i = 0; i < 1000; i++) {
        jobs[i] = (struct job){{.run = count_job}, &ran, &left, &last};
        ms_engine_post(engine, &jobs[i].task);
    }
    ms_latch_wait(&last);
    ms_engine_free(engine);
    free(jobs);
    assert_int_equal(ran, 1000);
}

static void freeing_runs_what_is_queued(void **state) {
    struct ms_engine *engine = engine_new(1);
    struct job jobs[100];
    int ran = 0, left = 1000;

    (void)state;
    for (int i = 0; i < 100; i++) {
        jobs[i] = (struct job){{.run = count_job}, &ran, &left, NULL};
        ms_engine_post(engine, &jobs[i].task);
    }
    ms_engine_free(engine);
    assert_int_equal(ran, 100);
}

/* A task that posts the next one. */
struct chain {
    struct ms_task task;
    struct ms_engine *engine;
    int left;
    int ran;
};

static void post_next(struct ms_task *task) {
    struct chain *chain = MS_CONTAINER_OF(task, struct chain, task);

    chain->ran++;
    if (--chain->left > 0)
        ms_engine_post(chain->engine, task);
}

static void a_task_may_post_and_freeing_waits_for_that(void **state) {
    struct ms_engine *engine = engine_new(2);
    struct chain chain = {.task = {.run = post_next}, .engine = engine, .left = 500};

    (void)state;
    ms_engine_post(engine, &chain.task);
    ms_engine_free(engine);
    assert_int_equal(chain.ran, 500);
}

/* Keeps a thread busy until it is let go. */
struct block {
    struct ms_task task;
    struct ms_latch began, go;
};

static void block_thread(struct ms_task *task) {
    struct block *block = MS_CONTAINER_OF(task, struct block, task);

    ms_latch_open(&block->began);
    ms_latch_wait(&block->go);
}

static void block_start(struct block *block, struct ms_engine *engine) {
    block->task = (struct ms_task){.run = block_thread};
    ms_latch_init(&block->began);
    ms_latch_init(&block->go);
    ms_engine_post(engine, &block->task);
    ms_latch_wait(&block->began);
}

static void a_queued_task_can_be_withdrawn_and_others_stay(void **state) {
    struct ms_engine *engine = engine_new(1);
    int ran = 0, left = 100;
    struct job jobs[4];
    struct block block;

    (void)state;
    block_start(&block, engine);
    for (int i = 0; i < 4; i++) {
        jobs[i] = (struct job){{.run = count_job}, &ran, &left, NULL};
        ms_engine_post(engine, &jobs[i].task);
    }
    assert_false(ms_engine_withdraw(engine, &block.task)); /* it runs */
    assert_true(ms_engine_withdraw(engine, &jobs[1].task));
    assert_false(ms_engine_withdraw(engine, &jobs[1].task));
    assert_true(ms_engine_withdraw(engine, &jobs[3].task)); /* the last: the tail moves */
    ms_engine_post(engine, &jobs[3].task);
    assert_true(ms_engine_withdraw(engine, &jobs[0].task));
    ms_latch_open(&block.go);
    ms_engine_free(engine);
    assert_int_equal(ran, 2);
}

/* ---- timers ---- */

struct order {
    pthread_mutex_t mutex;
    int at[16], n;
    struct ms_latch all;
    int want;
};

struct tick {
    struct ms_timer timer;
    struct order *order;
    int number;
};

static void note_tick(struct ms_timer *timer) {
    struct tick *tick = MS_CONTAINER_OF(timer, struct tick, timer);
    struct order *order = tick->order;
    bool last;

    pthread_mutex_lock(&order->mutex);
    order->at[order->n++] = tick->number;
    last = order->n == order->want;
    pthread_mutex_unlock(&order->mutex);
    if (last)
        ms_latch_open(&order->all);
}

static void order_init(struct order *order, int want) {
    *order = (struct order){.mutex = PTHREAD_MUTEX_INITIALIZER, .want = want};
    ms_latch_init(&order->all);
}

/* With the pool busy one thread fires them all, so the order can be seen. */
static void timers_fire_in_the_order_of_their_instants(void **state) {
    static const int64_t delays_ms[] = {50, 10, 30, 10, 0, 40};
    struct ms_engine *engine = engine_new(1);
    struct tick ticks[6];
    struct order order;
    struct block block;

    (void)state;
    order_init(&order, 6);
    block_start(&block, engine);
    for (int i = 0; i < 6; i++) {
        ticks[i] = (struct tick){{.fire = note_tick}, &order, i};
        ms_engine_after(engine, &ticks[i].timer, (delays_ms[i] + 200) * NS_PER_MS);
    }
    ms_latch_wait(&order.all);
    ms_latch_open(&block.go);
    ms_engine_free(engine);
    for (int i = 1; i < 6; i++) {
        int before = order.at[i - 1], here = order.at[i];
        int64_t a = ticks[before].timer.due_mono_ns, b = ticks[here].timer.due_mono_ns;

        assert_true(a < b || (a == b && before < here));
    }
}

static void a_timer_never_fires_early(void **state) {
    struct ms_engine *engine = engine_new(1);
    int64_t begun = ms_clock_mono_ns(ms_clock_system()), took;
    struct tick tick;
    struct order order;

    (void)state;
    order_init(&order, 1);
    tick = (struct tick){{.fire = note_tick}, &order, 0};
    ms_engine_after(engine, &tick.timer, 30 * NS_PER_MS);
    ms_latch_wait(&order.all);
    took = ms_clock_mono_ns(ms_clock_system()) - begun;
    ms_engine_free(engine);
    assert_true(took >= 30 * NS_PER_MS);
}

static void timers_fire_while_the_whole_pool_is_busy(void **state) {
    struct ms_engine *engine = engine_new(2);
    struct block blocks[2];
    struct tick tick;
    struct order order;

    (void)state;
    order_init(&order, 1);
    block_start(&blocks[0], engine);
    block_start(&blocks[1], engine);
    tick = (struct tick){{.fire = note_tick}, &order, 0};
    ms_engine_after(engine, &tick.timer, NS_PER_MS);
    ms_latch_wait(&order.all);
    ms_latch_open(&blocks[0].go);
    ms_latch_open(&blocks[1].go);
    ms_engine_free(engine);
    assert_int_equal(order.n, 1);
}

static void a_cancelled_timer_does_not_fire(void **state) {
    struct ms_engine *engine = engine_new(1);
    struct tick ticks[3];
    struct order order;

    (void)state;
    order_init(&order, 2);
    for (int i = 0; i < 3; i++) {
        ticks[i] = (struct tick){{.fire = note_tick}, &order, i};
        ms_engine_after(engine, &ticks[i].timer, (i + 1) * 60000 * NS_PER_MS);
    }
    assert_true(ms_engine_cancel(engine, &ticks[1].timer));
    assert_false(ms_engine_cancel(engine, &ticks[1].timer));
    ms_engine_free(engine); /* the others fire at once */
    assert_int_equal(order.n, 2);
    assert_int_equal(order.at[0] + order.at[1], 2);
}

static void a_timer_that_was_never_set_is_not_cancelled(void **state) {
    struct ms_engine *engine = engine_new(1);
    struct ms_timer timer = {.fire = NULL};

    (void)state;
    assert_false(ms_engine_cancel(engine, &timer));
    ms_engine_free(engine);
}

/* Sets itself again from its own callback. */
struct again {
    struct ms_timer timer;
    struct ms_engine *engine;
    int left;
    struct ms_latch done;
};

static void set_again(struct ms_timer *timer) {
    struct again *again = MS_CONTAINER_OF(timer, struct again, timer);

    if (--again->left > 0)
        ms_engine_after(again->engine, timer, NS_PER_MS);
    else
        ms_latch_open(&again->done);
}

static void a_timer_may_be_set_again_when_it_fires(void **state) {
    struct again again = {.timer = {.fire = set_again}, .engine = engine_new(2), .left = 20};

    (void)state;
    ms_latch_init(&again.done);
    ms_engine_after(again.engine, &again.timer, 0);
    ms_latch_wait(&again.done);
    ms_engine_free(again.engine);
    assert_int_equal(again.left, 0);
}

static void an_earlier_timer_overtakes_one_that_is_waited_for(void **state) {
    struct ms_engine *engine = engine_new(1);
    struct tick late, early;
    struct order order;

    (void)state;
    order_init(&order, 1);
    late = (struct tick){{.fire = note_tick}, &order, 0};
    early = (struct tick){{.fire = note_tick}, &order, 1};
    ms_engine_after(engine, &late.timer, 3600 * 1000 * NS_PER_MS);
    ms_clock_sleep_ns(5 * NS_PER_MS); /* the timer thread waits for the late one by now, mostly */
    ms_engine_after(engine, &early.timer, NS_PER_MS);
    ms_latch_wait(&order.all);
    assert_int_equal(order.at[0], 1);
    assert_true(ms_engine_cancel(engine, &late.timer));
    ms_engine_free(engine);
}

/* Cancel and fire meet: each timer ends exactly one way. */
static void cancel_and_fire_never_both_win(void **state) {
    struct ms_engine *engine = engine_new(3);
    struct tick *ticks = calloc(16, sizeof *ticks);
    struct order order;
    int cancelled;

    (void)state;
    for (int round = 0; round < 200; round++) {
        order_init(&order, -1);
        cancelled = 0;
        for (int i = 0; i < 16; i++) {
            ticks[i] = (struct tick){{.fire = note_tick}, &order, i};
            ms_engine_after(engine, &ticks[i].timer, (i % 3) * 20000);
        }
        for (int i = 0; i < 16; i++)
            cancelled += ms_engine_cancel(engine, &ticks[i].timer);
        for (;;) {
            int fired;

            pthread_mutex_lock(&order.mutex);
            fired = order.n;
            pthread_mutex_unlock(&order.mutex);
            if (fired + cancelled >= 16) {
                assert_int_equal(fired + cancelled, 16);
                break;
            }
            ms_clock_sleep_ns(100000);
        }
    }
    ms_engine_free(engine);
    free(ticks);
}

static void nothing_is_freed_without_harm(void **state) {
    (void)state;
    ms_engine_free(NULL);
    ms_engine_free(engine_new(1));
    ms_engine_free(engine_new(64));
}

/* ---- tasks that follow ---- */

struct follower {
    struct ms_task task;
    struct ms_engine *engine;
    struct ms_latch done, *wait_for;
    struct follower *next, *other;
    pthread_t thread;
};

static void run_follower(struct ms_task *task) {
    struct follower *f = MS_CONTAINER_OF(task, struct follower, task);

    f->thread = pthread_self();
    if (f->next)
        ms_engine_follow(f->engine, &f->next->task);
    if (f->other)
        ms_engine_follow(f->engine, &f->other->task);
    if (f->wait_for)
        ms_latch_wait(f->wait_for);
    ms_latch_open(&f->done);
}

static void follower_init(struct follower *f, struct ms_engine *engine) {
    *f = (struct follower){.task = {.run = run_follower}, .engine = engine};
    ms_latch_init(&f->done);
}

static void a_chain_of_tasks_that_follow_stays_on_its_thread(void **state) {
    struct ms_engine *engine = engine_new(1);
    struct follower f[8];

    (void)state;
    for (int i = 0; i < 8; i++) {
        follower_init(&f[i], engine);
        f[i].next = i < 7 ? &f[i + 1] : NULL;
    }
    ms_engine_follow(engine, &f[0].task);
    for (int i = 0; i < 8; i++)
        ms_latch_wait(&f[i].done);
    for (int i = 1; i < 8; i++)
        assert_true(pthread_equal(f[i].thread, f[0].thread));
    ms_engine_free(engine);
}

/* Nobody was woken for the task that follows; its caller waits for it all the same. */
static void a_task_may_wait_for_the_one_that_follows_it(void **state) {
    struct ms_engine *engine = engine_new(2);

    (void)state;
    for (int i = 0; i < 200; i++) {
        struct follower first, second;

        follower_init(&first, engine);
        follower_init(&second, engine);
        first.next = &second;
        first.wait_for = &second.done;
        ms_engine_post(engine, &first.task);
        ms_latch_wait(&first.done);
    }
    ms_engine_free(engine);
}

/* Of two that follow one task the second has somebody woken for it. */
static void two_may_follow_one(void **state) {
    struct ms_engine *engine = engine_new(3);

    (void)state;
    for (int i = 0; i < 200; i++) {
        struct follower first, a, b;

        follower_init(&first, engine);
        follower_init(&a, engine);
        follower_init(&b, engine);
        first.next = &a;
        first.other = &b;
        a.wait_for = &b.done; /* on another thread, then */
        ms_engine_post(engine, &first.task);
        ms_latch_wait(&a.done);
        ms_latch_wait(&first.done);
        assert_false(pthread_equal(a.thread, b.thread));
    }
    ms_engine_free(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once),
        cmocka_unit_test(freeing_runs_what_is_queued),
        cmocka_unit_test(a_task_may_post_and_freeing_waits_for_that),
        cmocka_unit_test(a_queued_task_can_be_withdrawn_and_others_stay),
        cmocka_unit_test(timers_fire_in_the_order_of_their_instants),
        cmocka_unit_test(a_timer_never_fires_early),
        cmocka_unit_test(timers_fire_while_the_whole_pool_is_busy),
        cmocka_unit_test(a_cancelled_timer_does_not_fire),
        cmocka_unit_test(a_timer_that_was_never_set_is_not_cancelled),
        cmocka_unit_test(a_timer_may_be_set_again_when_it_fires),
        cmocka_unit_test(an_earlier_timer_overtakes_one_that_is_waited_for),
        cmocka_unit_test(cancel_and_fire_never_both_win),
        cmocka_unit_test(a_chain_of_tasks_that_follow_stays_on_its_thread),
        cmocka_unit_test(a_task_may_wait_for_the_one_that_follows_it),
        cmocka_unit_test(two_may_follow_one),
        cmocka_unit_test(nothing_is_freed_without_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
