/* A clock that is 20 minutes ahead, for a program that is started with this in LD_PRELOAD. */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *ret_time) {
    int status = (int)syscall(SYS_clock_gettime, id, ret_time);

    if (status == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        ret_time->tv_sec += 20 * 60;
    return status;
}
