/* A thread that writes the rows of assets that went into the recycle bin with their folder. */
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"

#include <pthread.h>
#include <stdlib.h>

struct ms_tree_worker {
    struct ms_svc *svc;
    int64_t interval_ms;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop, woken; /* under mutex */
};

static bool is_stopped(struct ms_tree_worker *w) {
    pthread_mutex_lock(&w->mutex);
    bool stop = w->stop;
    pthread_mutex_unlock(&w->mutex);
    return stop;
}

/* What cannot be done stays for a later round: the log says why. */
static void settle(struct ms_tree_worker *w, struct ms_tenant_id tenant) {
    struct ms_ctx ctx = {.tenant = tenant, .who = "msasset", .admin = true};
    struct ms_error err = {0};
    enum ms_code code = MS_OK;
    bool more = true;
    while (more && code == MS_OK && !is_stopped(w))
        code = ms_tree_settle_some(w->svc, &ctx, &more, &err);
    if (code != MS_OK)
        ms_log_failure(w->svc->log, MS_LOG_WARN, "folder-not-settled", &err, "tenant",
                       ms_id_text(tenant.id).s, NULL);
}

static void settle_all(struct ms_tree_worker *w) {
    struct ms_tenant_record tenant;
    struct ms_tenant_id id = {{{0}}};
    struct ms_error err = {0};
    enum ms_code code;
    while (!is_stopped(w) && ((code = ms_tenant_behind(w->svc, id, &tenant, &err)) == MS_OK ||
                              code == MS_CORRUPT)) {
        id = (struct ms_tenant_id){tenant.id};
        if (code == MS_OK && tenant.treeops > 0)
            settle(w, id);
    }
}

/* By the kernel's clock: a wait is no fact. */
static bool wait_for_work(struct ms_tree_worker *w) {
    int64_t at = ms_clock_mono_ns(ms_clock_system()) + w->interval_ms * 1000000;
    struct timespec until = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
    int err = 0;
    pthread_mutex_lock(&w->mutex);
    while (!w->stop && !w->woken && err == 0)
        err = pthread_cond_timedwait(&w->wake, &w->mutex, &until);
    w->woken = false;
    bool stop = w->stop;
    pthread_mutex_unlock(&w->mutex);
    return !stop;
}

static void *run(void *priv) {
    struct ms_tree_worker *w = priv;
    do
        settle_all(w);
    while (wait_for_work(w));
    return NULL;
}

enum ms_code ms_tree_worker_start(struct ms_svc *svc, int64_t interval_ms, struct ms_error *reterr) {
    pthread_condattr_t attr;
    struct ms_tree_worker *w = calloc(1, sizeof *w);
    MS_ASSERT(!svc->worker && !svc->read_only);
    if (!w)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a thread that follows folders");
    w->svc = svc;
    w->interval_ms = interval_ms;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    int err = pthread_create(&w->thread, NULL, run, w);
    if (err != 0) {
        free(w);
        return ms_fail_errno(reterr, err, "cannot start the thread that follows folders");
    }
    svc->worker = w;
    return MS_OK;
}

void ms_tree_worker_wake(struct ms_svc *svc) {
    struct ms_tree_worker *w = svc->worker;
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->woken = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->mutex);
}

void ms_tree_worker_stop(struct ms_svc *svc) {
    struct ms_tree_worker *w = svc->worker;
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->mutex);
    (void)pthread_join(w->thread, NULL);
    svc->worker = NULL;
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}
