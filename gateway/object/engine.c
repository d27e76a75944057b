#include "object/engine.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

#define NS_PER_S INT64_C(1000000000)
#define THREADS_MAX 256

struct ms_engine {
    pthread_mutex_t mutex;
    pthread_cond_t work;  /* the pool: a task, a timer handed over, the end */
    pthread_cond_t timer; /* the timer thread: an earlier first timer, the end */
    pthread_t *threads;   /* the pool, then the timer thread */
    unsigned threads_n;
    struct {
        struct ms_task *first, **last;
        size_t tasks;
        struct ms_timer waiting; /* ring, by instant */
        struct ms_timer due;     /* ring: handed to the pool */
        size_t dues;
        unsigned idle;   /* pool threads that wait */
        unsigned active; /* callbacks that run now: each may post more */
        bool stopping;
    } locked;
};

/* Of a thread of a pool: which one, and whether a task waits that nobody was woken for. */
static _Thread_local struct {
    struct ms_engine *engine;
    bool follows;
} here;

/* ---- rings of timers ------------------------------------------------------------------------- */

static void ring_init(struct ms_timer *head) { head->prev = head->next = head; }
static bool ring_is_empty(const struct ms_timer *head) { return head->next == head; }

static void ring_insert_behind(struct ms_timer *place, struct ms_timer *timer) {
    timer->prev = place;
    timer->next = place->next;
    place->next->prev = timer;
    place->next = timer;
}

static void ring_remove(struct ms_timer *timer) {
    timer->prev->next = timer->next;
    timer->next->prev = timer->prev;
    timer->prev = timer->next = NULL;
}

/* ---- what the threads do --------------------------------------------------------------------- */

static bool is_drained_locked(const struct ms_engine *e) {
    return e->locked.stopping && !e->locked.first && ring_is_empty(&e->locked.waiting) &&
           ring_is_empty(&e->locked.due) && e->locked.active == 0;
}

/* The last callback of a stopping engine lets everybody go. */
static void leave_callback_locked(struct ms_engine *e) {
    MS_ASSERT(e->locked.active > 0);
    e->locked.active--;
    if (!is_drained_locked(e))
        return;
    pthread_cond_broadcast(&e->work);
    pthread_cond_broadcast(&e->timer);
}

static void fire_locked(struct ms_engine *e, struct ms_timer *timer) {
    ring_remove(timer);
    timer->armed = false;
    e->locked.active++;
    pthread_mutex_unlock(&e->mutex);
    timer->fire(timer);
    pthread_mutex_lock(&e->mutex);
    leave_callback_locked(e);
}

static void run_task_locked(struct ms_engine *e) {
    struct ms_task *task = e->locked.first;

    e->locked.first = task->next;
    if (!e->locked.first)
        e->locked.last = &e->locked.first;
    MS_ASSERT(e->locked.tasks > 0);
    e->locked.tasks--;
    e->locked.active++;
    pthread_mutex_unlock(&e->mutex);
    task->run(task);
    pthread_mutex_lock(&e->mutex);
    leave_callback_locked(e);
}

static void *pool_main(void *arg) {
    struct ms_engine *e = arg;

    here.engine = e;
    pthread_mutex_lock(&e->mutex);
    while (!is_drained_locked(e)) {
        here.follows = false;
        if (!ring_is_empty(&e->locked.due)) {
            e->locked.dues--;
            fire_locked(e, e->locked.due.next);
        } else if (e->locked.first) {
            run_task_locked(e);
        } else {
            e->locked.idle++;
            pthread_cond_wait(&e->work, &e->mutex);
            e->locked.idle--;
        }
    }
    pthread_mutex_unlock(&e->mutex);
    return NULL;
}

static int64_t mono_ns(void) { return ms_clock_mono_ns(ms_clock_system()); }

/* Hand the timer to an idle thread if one is not spoken for yet, else fire it here. */
static void dispatch_locked(struct ms_engine *e, struct ms_timer *timer) {
    if (e->locked.idle <= e->locked.tasks + e->locked.dues) {
        fire_locked(e, timer);
        return;
    }
    ring_remove(timer);
    ring_insert_behind(e->locked.due.prev, timer);
    e->locked.dues++;
    pthread_cond_signal(&e->work);
}

static void *timer_main(void *arg) {
    struct ms_engine *e = arg;
    struct ms_timer *first;
    struct timespec until;

    pthread_mutex_lock(&e->mutex);
    while (!is_drained_locked(e)) {
        first = e->locked.waiting.next;
        if (first == &e->locked.waiting) {
            pthread_cond_wait(&e->timer, &e->mutex);
        } else if (e->locked.stopping || first->due_mono_ns <= mono_ns()) {
            dispatch_locked(e, first);
        } else {
            until = (struct timespec){.tv_sec = first->due_mono_ns / NS_PER_S,
                                      .tv_nsec = first->due_mono_ns % NS_PER_S};
            pthread_cond_timedwait(&e->timer, &e->mutex, &until);
        }
    }
    pthread_mutex_unlock(&e->mutex);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void stop(struct ms_engine *e) {
    pthread_mutex_lock(&e->mutex);
    e->locked.stopping = true;
    pthread_cond_broadcast(&e->work);
    pthread_cond_broadcast(&e->timer);
    pthread_mutex_unlock(&e->mutex);
    for (unsigned i = 0; i < e->threads_n; i++)
        MS_ASSERT(pthread_join(e->threads[i], NULL) == 0);
}

void ms_engine_free(struct ms_engine *engine) {
    if (!engine)
        return;
    stop(engine);
    MS_ASSERT(!engine->locked.first);
    MS_ASSERT(ring_is_empty(&engine->locked.waiting));
    pthread_cond_destroy(&engine->work);
    pthread_cond_destroy(&engine->timer);
    pthread_mutex_destroy(&engine->mutex);
    free(engine->threads);
    free(engine);
}

static void init_sync(struct ms_engine *e) {
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    MS_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->work, NULL);
    pthread_cond_init(&e->timer, &attr);
    pthread_condattr_destroy(&attr);
}

enum ms_code ms_engine_new(unsigned threads, struct ms_engine **ret_engine,
                           struct ms_error *reterr) {
    struct ms_engine *e;
    int err;

    MS_ASSERT(threads >= 1 && threads <= THREADS_MAX);
    e = calloc(1, sizeof *e);
    if (!e)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for an engine");
    init_sync(e);
    e->locked.last = &e->locked.first;
    ring_init(&e->locked.waiting);
    ring_init(&e->locked.due);
    e->threads = calloc(threads + 1, sizeof *e->threads);
    err = e->threads ? 0 : ENOMEM;
    while (err == 0 && e->threads_n <= threads) {
        err = pthread_create(&e->threads[e->threads_n], NULL,
                             e->threads_n < threads ? pool_main : timer_main, e);
        e->threads_n += err == 0;
    }
    if (err != 0) {
        ms_engine_free(e);
        return ms_fail(reterr, MS_NO_MEMORY,
                       "cannot start %u threads (error %d); raise the limit "
                       "of processes or lower the number of threads",
                       threads + 1, err);
    }
    *ret_engine = e;
    return MS_OK;
}

/* ---- work ------------------------------------------------------------------------------------ */

static void append_locked(struct ms_engine *e, struct ms_task *task) {
    MS_ASSERT(task->run);
    task->next = NULL;
    *e->locked.last = task;
    e->locked.last = &task->next;
    e->locked.tasks++;
}

void ms_engine_post(struct ms_engine *engine, struct ms_task *task) {
    pthread_mutex_lock(&engine->mutex);
    append_locked(engine, task);
    pthread_cond_signal(&engine->work);
    pthread_mutex_unlock(&engine->mutex);
}

void ms_engine_follow(struct ms_engine *engine, struct ms_task *task) {
    bool mine = here.engine == engine && !here.follows;

    pthread_mutex_lock(&engine->mutex);
    append_locked(engine, task);
    if (!mine)
        pthread_cond_signal(&engine->work);
    pthread_mutex_unlock(&engine->mutex);
    here.follows = here.follows || mine;
}

/* This thread is about to wait after all: somebody else must come to the task. */
static void give_up_following(void) {
    if (!here.follows)
        return;
    here.follows = false;
    pthread_mutex_lock(&here.engine->mutex);
    pthread_cond_signal(&here.engine->work);
    pthread_mutex_unlock(&here.engine->mutex);
}

static bool withdraw_locked(struct ms_engine *e, const struct ms_task *task) {
    struct ms_task **at = &e->locked.first;

    while (*at && *at != task)
        at = &(*at)->next;
    if (!*at)
        return false;
    *at = (*at)->next;
    if (!*at)
        e->locked.last = at;
    e->locked.tasks--;
    return true;
}

bool ms_engine_withdraw(struct ms_engine *engine, const struct ms_task *task) {
    bool found;

    pthread_mutex_lock(&engine->mutex);
    found = withdraw_locked(engine, task);
    pthread_mutex_unlock(&engine->mutex);
    return found;
}

static int64_t due_after(int64_t delay_ns) {
    int64_t now = mono_ns();

    if (delay_ns < 0)
        delay_ns = 0;
    return delay_ns > INT64_MAX - now ? INT64_MAX : now + delay_ns;
}

void ms_engine_after(struct ms_engine *engine, struct ms_timer *timer, int64_t delay_ns) {
    struct ms_timer *place;

    MS_ASSERT(timer->fire);
    MS_ASSERT(!timer->armed);
    pthread_mutex_lock(&engine->mutex);
    timer->due_mono_ns = due_after(delay_ns);
    timer->armed = true;
    /* From the end: most are deadlines and lie behind all others. */
    place = engine->locked.waiting.prev;
    while (place != &engine->locked.waiting && place->due_mono_ns > timer->due_mono_ns)
        place = place->prev;
    ring_insert_behind(place, timer);
    if (engine->locked.waiting.next == timer)
        pthread_cond_signal(&engine->timer);
    pthread_mutex_unlock(&engine->mutex);
}

/* Handed to the pool or still waiting: in which of the two rings does not matter but for the count. */
static void disarm_locked(struct ms_engine *e, struct ms_timer *timer) {
    for (const struct ms_timer *t = e->locked.due.next; t != &e->locked.due; t = t->next)
        e->locked.dues -= t == timer;
    ring_remove(timer);
    timer->armed = false;
}

bool ms_engine_cancel(struct ms_engine *engine, struct ms_timer *timer) {
    bool armed;

    pthread_mutex_lock(&engine->mutex);
    armed = timer->armed;
    if (armed)
        disarm_locked(engine, timer);
    pthread_mutex_unlock(&engine->mutex);
    return armed;
}

/* ---- latch ----------------------------------------------------------------------------------- */

void ms_latch_init(struct ms_latch *latch) {
    pthread_mutex_init(&latch->mutex, NULL);
    pthread_cond_init(&latch->cond, NULL);
    latch->open = false;
}

void ms_latch_open(struct ms_latch *latch) {
    pthread_mutex_lock(&latch->mutex);
    latch->open = true;
    /* Under the lock: the waiter destroys the latch as soon as it can take it. */
    pthread_cond_signal(&latch->cond);
    pthread_mutex_unlock(&latch->mutex);
}

void ms_latch_wait(struct ms_latch *latch) {
    give_up_following();
    pthread_mutex_lock(&latch->mutex);
    while (!latch->open)
        pthread_cond_wait(&latch->cond, &latch->mutex);
    pthread_mutex_unlock(&latch->mutex);
    pthread_cond_destroy(&latch->cond);
    pthread_mutex_destroy(&latch->mutex);
}
