/* A thread that keeps the catalogue near: every interval it writes what is marked. */
#include "service/catalogue_part.h"

#include <pthread.h>
#include <stdlib.h>

void ms_catalogue_tend(struct ms_svc *svc) {
    struct ms_catalogue_options options = {.min_age_ms = MS_CATALOGUE_INTERVAL_MS};
    struct ms_catalogue_result result;
    struct ms_error err = {0};
    if (__atomic_load_n(&svc->unchecked, __ATOMIC_SEQ_CST))
        return;
    if (!svc->read_only && ms_catalogue_flush(svc, &options, &result, &err) != MS_OK)
        ms_log_failure(svc->log, MS_LOG_WARN, "catalogue-not-written", &err, NULL);
}

struct ms_catalogue_keeper {
    struct ms_svc *svc;
    int64_t interval_ms;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop; /* under mutex */
};

static bool go_on(void *priv, uint64_t lines) {
    struct ms_catalogue_keeper *k = priv;
    (void)lines;
    pthread_mutex_lock(&k->mutex);
    bool stop = k->stop;
    pthread_mutex_unlock(&k->mutex);
    return !stop;
}

static void flush(struct ms_catalogue_keeper *k) {
    struct ms_catalogue_options options = {
        .min_age_ms = k->interval_ms, .progress = go_on, .priv = k};
    struct ms_catalogue_result result;
    struct ms_error err = {0};
    enum ms_code code = ms_catalogue_flush(k->svc, &options, &result, &err);
    if (code != MS_OK && code != MS_CANCELLED)
        ms_log_failure(k->svc->log, MS_LOG_WARN, "catalogue-not-written", &err, NULL);
}

/* By the kernel's clock: a wait is no fact. */
static bool wait_interval(struct ms_catalogue_keeper *k) {
    int64_t at = ms_clock_mono_ns(ms_clock_system()) + k->interval_ms * 1000000;
    struct timespec until = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
    int err = 0;
    pthread_mutex_lock(&k->mutex);
    while (!k->stop && err == 0)
        err = pthread_cond_timedwait(&k->wake, &k->mutex, &until);
    bool stop = k->stop;
    pthread_mutex_unlock(&k->mutex);
    return !stop;
}

static void *run(void *priv) {
    struct ms_catalogue_keeper *k = priv;
    while (wait_interval(k))
        flush(k);
    return NULL;
}

enum ms_code ms_catalogue_start(struct ms_svc *svc, int64_t interval_ms,
                                struct ms_catalogue_keeper **ret_keeper,
                                struct ms_error *reterr) {
    pthread_condattr_t attr;
    struct ms_catalogue_keeper *k = calloc(1, sizeof *k);
    if (!k)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to keep the catalogue");
    k->svc = svc;
    k->interval_ms = interval_ms;
    pthread_mutex_init(&k->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&k->wake, &attr);
    pthread_condattr_destroy(&attr);
    int err = pthread_create(&k->thread, NULL, run, k);
    if (err != 0) {
        free(k);
        return ms_fail_errno(reterr, err, "cannot start the catalogue's thread");
    }
    *ret_keeper = k;
    return MS_OK;
}

void ms_catalogue_stop(struct ms_catalogue_keeper *k) {
    if (!k)
        return;
    pthread_mutex_lock(&k->mutex);
    k->stop = true;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->mutex);
    (void)pthread_join(k->thread, NULL);
    pthread_cond_destroy(&k->wake);
    pthread_mutex_destroy(&k->mutex);
    free(k);
}
