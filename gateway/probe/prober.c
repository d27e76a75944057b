#include "probe/prober.h"

#include "base/clock.h"
#include "base/scope.h"
#include "probe/program.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 2
#define CONTENTS_MAX 1000
#define READS_MAX 20000
#define WAIT_MS 60000
#define TRIES 2 /* one that a machine out of memory killed is no fact about a content */

struct ms_prober {
    struct ms_prober_options options;
    char program[4096], argument[64];
    unsigned threads_n;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct {
        struct ms_probe_request *first, *last;
        pthread_t thread[16];
        unsigned started, idle;
        bool closing;
    } locked;
};

/* ---- one request ----------------------------------------------------------------------------- */

/* Crashes and nonsense are tried once more; the caller's own failures and a missing program are not. */
static void probe(const struct ms_prober *p, struct ms_probe_program *program,
                  struct ms_probe_request *r) {
    char reason[128] = "";

    for (unsigned tries = 0; tries < TRIES; tries++) {
        enum ms_probe_end end;

        r->reads = 0;
        r->code = ms_probe_program_start(program, &p->options, &r->error);
        if (r->code != MS_OK)
            return;
        end = ms_probe_program_examine(program, &p->options, r, reason, sizeof reason);
        if (end == MS_PROBE_END_ANSWERED || end == MS_PROBE_END_FAILED)
            return;
    }
    r->facts = ms_facts_without(MS_FACTS_GIVEN_UP, reason);
    r->code = MS_OK;
}

static struct ms_probe_request *take(struct ms_prober *p) {
    struct ms_probe_request *r;

    pthread_mutex_lock(&p->mutex);
    p->locked.idle++;
    while (!p->locked.first && !p->locked.closing)
        pthread_cond_wait(&p->changed, &p->mutex);
    p->locked.idle--;
    r = p->locked.first;
    if (r)
        p->locked.first = r->next;
    pthread_mutex_unlock(&p->mutex);
    return r;
}

static void *work(void *arg) {
    struct ms_prober *p = arg;
    struct ms_probe_program program = MS_PROBE_PROGRAM_NONE;
    struct ms_probe_request *r;

    while ((r = take(p))) {
        probe(p, &program, r);
        r->done(r); /* it may be gone now */
    }
    ms_probe_program_end(&program);
    return NULL;
}

/* ---- all of it ------------------------------------------------------------------------------- */

enum ms_code ms_prober_new(const struct ms_prober_options *options, struct ms_prober **ret_prober,
                           struct ms_error *reterr) {
    struct ms_prober *p = calloc(1, sizeof *p);
    struct ms_prober_options *o = p ? &p->options : NULL;

    if (!p)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to examine contents");
    *o = *options;
    (void)snprintf(p->program, sizeof p->program, "%s", options->program);
    (void)snprintf(p->argument, sizeof p->argument, "%s",
                   options->argument ? options->argument : "");
    o->program = p->program;
    o->argument = options->argument ? p->argument : NULL;
    o->contents_max = o->contents_max ? o->contents_max : CONTENTS_MAX;
    o->reads_max = o->reads_max ? o->reads_max : READS_MAX;
    o->wait_ms = o->wait_ms ? o->wait_ms : WAIT_MS;
    p->threads_n = o->threads ? o->threads : THREADS;
    MS_ASSERT(p->threads_n <= MS_ARRAY_LEN(p->locked.thread));
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->changed, NULL);
    *ret_prober = p;
    return MS_OK;
}

void ms_prober_free(struct ms_prober *p) {
    if (!p)
        return;
    pthread_mutex_lock(&p->mutex);
    MS_ASSERT(!p->locked.first);
    p->locked.closing = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
    for (unsigned i = 0; i < p->locked.started; i++)
        pthread_join(p->locked.thread[i], NULL);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

static void push_locked(struct ms_prober *p, struct ms_probe_request *r) {
    r->next = NULL;
    if (p->locked.first)
        p->locked.last->next = r;
    else
        p->locked.first = r;
    p->locked.last = r;
}

void ms_prober_submit(struct ms_prober *p, struct ms_probe_request *r) {
    bool served = true;

    r->code = MS_OK;
    pthread_mutex_lock(&p->mutex);
    if (p->locked.idle == 0 && p->locked.started < p->threads_n &&
        pthread_create(&p->locked.thread[p->locked.started], NULL, work, p) == 0)
        p->locked.started++;
    served = p->locked.started > 0;
    if (served) {
        push_locked(p, r);
        pthread_cond_signal(&p->changed);
    }
    pthread_mutex_unlock(&p->mutex);
    if (served)
        return;
    r->code = ms_fail(&r->error, MS_NO_MEMORY, "no thread to examine a content");
    r->done(r);
}

struct ms_probe_gate {
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    bool open;
};

static void open_gate(struct ms_probe_request *r) {
    struct ms_probe_gate *gate = r->gate;

    pthread_mutex_lock(&gate->mutex);
    gate->open = true;
    pthread_cond_signal(&gate->opened);
    pthread_mutex_unlock(&gate->mutex);
}

enum ms_code ms_prober_run(struct ms_prober *p, struct ms_probe_request *r,
                           struct ms_error *reterr) {
    struct ms_probe_gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};

    r->gate = &gate;
    r->done = open_gate;
    ms_prober_submit(p, r);
    pthread_mutex_lock(&gate.mutex);
    while (!gate.open)
        pthread_cond_wait(&gate.opened, &gate.mutex);
    pthread_mutex_unlock(&gate.mutex);
    pthread_cond_destroy(&gate.opened);
    pthread_mutex_destroy(&gate.mutex);
    if (r->code != MS_OK && reterr)
        *reterr = r->error;
    return r->code;
}

void ms_prober_program(char ret_path[4096]) {
    char self[3000];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    self[n > 0 ? n : 0] = '\0';
    slash = strrchr(self, '/');
    if (slash) {
        slash[1] = '\0';
        (void)snprintf(ret_path, 4096, "%smsasset-probe", self);
        if (access(ret_path, X_OK) == 0)
            return;
    }
    (void)snprintf(ret_path, 4096, "%s", MS_PROBE_INSTALLED);
}
