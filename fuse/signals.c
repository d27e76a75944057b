#include "fuse/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_NS (100 * 1000 * 1000)

struct ms_signals {
    struct fuse_session *session;
    pthread_t loop, thread;
    atomic_bool loop_ended, end;
};

static sigset_t set_of_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

void ms_signals_block(void) {
    sigset_t set = set_of_signals();
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int next_signal(bool stopping) {
    const struct timespec again = {.tv_nsec = AGAIN_NS};
    sigset_t set = set_of_signals();
    return stopping ? sigtimedwait(&set, NULL, &again) : sigwaitinfo(&set, NULL);
}

/* The loop looks at its flag when its wait is interrupted, and the interruption may come just
 * before the wait: so it is repeated until the loop has ended. */
static void *run(void *priv) {
    struct ms_signals *signals = priv;
    bool stopping = false;
    for (;;) {
        int number = next_signal(stopping);
        if (atomic_load(&signals->end))
            return NULL;
        if (number > 0 && stopping)
            _exit(128 + number);
        stopping |= number > 0;
        if (stopping && !atomic_load(&signals->loop_ended)) {
            fuse_session_exit(signals->session);
            (void)pthread_kill(signals->loop, SIGUSR1);
        }
    }
}

static void on_wake(int number) { (void)number; }

enum ms_code ms_signals_new(struct fuse_session *session, struct ms_signals **ret_signals,
                            struct ms_error *reterr) {
    struct sigaction wake = {.sa_handler = on_wake};
    struct ms_signals *signals = calloc(1, sizeof *signals);
    if (!signals)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the thread that waits for signals");
    signals->session = session;
    signals->loop = pthread_self();
    sigemptyset(&wake.sa_mask);
    (void)sigaction(SIGUSR1, &wake, NULL);
    int err = pthread_create(&signals->thread, NULL, run, signals);
    if (err != 0) {
        free(signals);
        return ms_fail_errno(reterr, err, "the thread that waits for signals cannot be started");
    }
    *ret_signals = signals;
    return MS_OK;
}

void ms_signals_loop_ended(struct ms_signals *signals) { atomic_store(&signals->loop_ended, true); }

void ms_signals_free(struct ms_signals *signals) {
    if (!signals)
        return;
    atomic_store(&signals->end, true);
    (void)pthread_kill(signals->thread, SIGTERM);
    pthread_join(signals->thread, NULL);
    free(signals);
}
