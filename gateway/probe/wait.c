#include "probe/wait.h"

#include "probe/wire.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

static bool tell(int control, uint32_t v) {
    uint8_t bytes[4];

    ms_probe_u32_encode(v, bytes);
    return ms_probe_put(control, bytes, sizeof bytes);
}

/* A status that is not 0 also stands for a fork that was not to be had. */
static uint32_t examine(int control, int fd, const struct ms_probe_waiter *waiter) {
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        close(control);
        waiter->examine(waiter->priv, fd);
        _exit(0);
    }
    close(fd);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return (uint32_t)status;
}

int ms_probe_wait(int control, const struct ms_probe_waiter *waiter) {
    int fd;

    if (!waiter->ready(waiter->priv) || !tell(control, 0))
        return 1;
    while (ms_probe_receive_fd(control, &fd))
        if (!tell(control, examine(control, fd, waiter)))
            return 1;
    return 0;
}
