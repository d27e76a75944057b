/* wait.h — inside msasset-probe, and inside the liars that tests put in its place: waits for contents and
 * has each of them examined by a fork. */
#ifndef MS_PROBE_WAIT_H
#define MS_PROBE_WAIT_H

#include <stdbool.h>

/* Until the gateway is gone. examine runs in a fork that has fd as its only descriptor, and that ends
 * when it returns. ready is told first, and may shut the process in; false ends it. */
struct ms_probe_waiter {
    bool (*ready)(void *priv);
    void (*examine)(void *priv, int fd);
    void *priv;
};
/* The exit status of the program. */
int ms_probe_wait(int control, const struct ms_probe_waiter *waiter);

#endif
