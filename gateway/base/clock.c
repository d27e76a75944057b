#include "base/clock.h"

#include "base/assert.h"

#include <time.h>

#ifdef MS_TESTING
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#endif

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

static struct timespec read_clock(clockid_t id) {
    struct timespec ts;

    MS_ASSERT(clock_gettime(id, &ts) == 0);
    return ts;
}

static int64_t real_ms(void) {
    struct timespec ts = read_clock(CLOCK_REALTIME);

    return (int64_t)ts.tv_sec * MS_SECOND_MS + ts.tv_nsec / NS_PER_MS;
}

static int64_t system_mono_ns(const struct ms_clock *clock) {
    struct timespec ts = read_clock(CLOCK_MONOTONIC);

    (void)clock;
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

#ifdef MS_TESTING

/* What MS_TEST_NOW and MS_TEST_NOW_FILE said when the clock was first asked for. */
struct test_time {
    struct ms_clock clock;
    int64_t offset_ms;
    const char *file;
    int64_t last_ms; /* atomic: the last good reading of the file; a writer may be replacing it */
};

/* A test that set its time wrongly must not go on with the real one and pass by chance. */
static _Noreturn void refuse(const char *what, const char *value) {
    fprintf(stderr, "msasset: %s=%s holds no time of the form 2026-01-31T00:00:00Z\n", what, value);
    abort();
}

static bool read_instant(const char *path, int64_t *ret_ms) {
    char text[MS_RFC3339_MS_LEN + 2];
    struct ms_instant t;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (ms_instant_parse(text, &t, NULL) != MS_OK)
        return false;
    *ret_ms = t.ms;
    return true;
}

static struct ms_instant test_now(const struct ms_clock *clock) {
    struct test_time *t = clock->priv;
    int64_t ms;

    if (!t->file)
        return ms_instant_of(real_ms() + t->offset_ms);
    if (!read_instant(t->file, &ms))
        return ms_instant_of(__atomic_load_n(&t->last_ms, __ATOMIC_RELAXED));
    __atomic_store_n(&t->last_ms, ms, __ATOMIC_RELAXED);
    return ms_instant_of(ms);
}

static struct test_time *test_time(void) {
    static struct test_time t;

    return &t;
}

static void test_time_init(void) {
    struct test_time *t = test_time();
    const char *start = getenv("MS_TEST_NOW");
    struct ms_instant at;

    t->clock = (struct ms_clock){test_now, system_mono_ns, t};
    t->file = getenv("MS_TEST_NOW_FILE");
    if (t->file && !read_instant(t->file, &t->last_ms))
        refuse("MS_TEST_NOW_FILE", t->file);
    if (start && ms_instant_parse(start, &at, NULL) != MS_OK)
        refuse("MS_TEST_NOW", start);
    if (start)
        t->offset_ms = at.ms - real_ms();
}

const struct ms_clock *ms_clock_system(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    MS_ASSERT(pthread_once(&once, test_time_init) == 0);
    return &test_time()->clock;
}

#else

static struct ms_instant system_now(const struct ms_clock *clock) {
    (void)clock;
    return ms_instant_of(real_ms());
}

const struct ms_clock *ms_clock_system(void) {
    static const struct ms_clock clock = {system_now, system_mono_ns, NULL};

    return &clock;
}

#endif

struct ms_instant ms_clock_kernel_now(void) { return ms_instant_of(real_ms()); }

static struct ms_instant fake_now(const struct ms_clock *clock) {
    struct ms_clock_fake *fake = clock->priv;

    return ms_instant_of(__atomic_load_n(&fake->now_ms, __ATOMIC_SEQ_CST));
}

static int64_t fake_mono_ns(const struct ms_clock *clock) {
    struct ms_clock_fake *fake = clock->priv;

    return __atomic_load_n(&fake->mono_ns, __ATOMIC_SEQ_CST);
}

void ms_clock_fake_init(struct ms_clock_fake *fake, struct ms_instant start) {
    *fake = (struct ms_clock_fake){
        .clock = {fake_now, fake_mono_ns, fake}, .now_ms = start.ms, .mono_ns = NS_PER_S};
}

void ms_clock_fake_set(struct ms_clock_fake *fake, struct ms_instant now) {
    int64_t before = __atomic_exchange_n(&fake->now_ms, now.ms, __ATOMIC_SEQ_CST);

    /* Wall time may be set back; the monotonic one stands still then. */
    if (now.ms > before)
        __atomic_add_fetch(&fake->mono_ns, (now.ms - before) * NS_PER_MS, __ATOMIC_SEQ_CST);
}

void ms_clock_fake_advance(struct ms_clock_fake *fake, int64_t ms) {
    MS_ASSERT(ms >= 0);
    __atomic_add_fetch(&fake->now_ms, ms, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&fake->mono_ns, ms * NS_PER_MS, __ATOMIC_SEQ_CST);
}

void ms_clock_sleep_ns(int64_t ns) {
    struct timespec until;
    int err;

    if (ns <= 0)
        return;
    until = ms_clock_mono_deadline(ns);
    do
        err = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    while (err == EINTR);
    MS_ASSERT(err == 0);
}

struct timespec ms_clock_mono_deadline(int64_t ns) {
    int64_t at = system_mono_ns(NULL);

    MS_ASSERT(ns >= 0);
    at = ns > INT64_MAX - at ? INT64_MAX : at + ns;
    return (struct timespec){.tv_sec = at / NS_PER_S, .tv_nsec = at % NS_PER_S};
}

struct timespec ms_clock_timespec(const struct ms_clock *clock) {
    int64_t ms = ms_clock_now(clock).ms;

    return (struct timespec){.tv_sec = ms / MS_SECOND_MS, .tv_nsec = ms % MS_SECOND_MS * NS_PER_MS};
}
