#include "cli/cmd.h"

#include <signal.h>
#include <unistd.h>

/* A handler can be given nothing, so its flag stands at file scope, alone in this file. */
static volatile sig_atomic_t stop_signal;

static void on_signal(int number) {
    if (stop_signal)
        _exit(128 + number); /* the second one does not wait for anything */
    stop_signal = number;
}

void ms_cli_catch_signals(void) {
    struct sigaction stop = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&stop.sa_mask);
    sigemptyset(&ignore.sa_mask);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

bool ms_cli_stopped(void) { return stop_signal != 0; }
