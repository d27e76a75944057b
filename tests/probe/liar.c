/* liar.c — stands in the place of msasset-probe and does what a crashed, hanging or malicious one might. Its argument
 * says what; see test_prober.c. */
#include "model/facts.h"
#include "probe/wait.h"
#include "probe/wire.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void say(int fd, uint8_t kind, uint64_t offset, uint32_t n) {
    uint8_t head[MS_PROBE_HEAD_BYTES];

    ms_probe_head_encode(&(struct ms_probe_head){kind, offset, n}, head);
    if (!ms_probe_put(fd, head, sizeof head))
        _exit(9);
}

/* A READ that is answered as it should be, or the end. */
static void read_well(int fd, uint64_t offset, uint32_t n, uint8_t *into) {
    uint8_t count[4];

    say(fd, MS_PROBE_READ, offset, n);
    if (!ms_probe_get(fd, count, 4) || ms_probe_u32_decode(count) != n ||
        !ms_probe_get(fd, into, n))
        _exit(9);
}

static void facts(int fd, const struct ms_facts_record *f, uint32_t n_more) {
    uint8_t record[MS_PROBE_FACTS_MAX];
    struct ms_writer w = ms_writer_on(record, sizeof record);

    ms_facts_encode(f, &w);
    say(fd, MS_PROBE_FACTS, 0, (uint32_t)w.len + n_more);
    (void)ms_probe_put(fd, record, w.len);
}

static struct ms_facts_record good_facts(void) {
    struct ms_facts_record f = {.video_tracks = 1, .width = 7};

    (void)snprintf(f.container, sizeof f.container, "png");
    return f;
}

/* The byte at 3 of a record is the first of the reason's length; what is behind is no plain word. */
static void lie(int fd) {
    uint8_t record[MS_PROBE_FACTS_MAX];
    struct ms_writer w = ms_writer_on(record, sizeof record);
    struct ms_facts_record f = good_facts();

    ms_facts_encode(&f, &w);
    for (size_t i = 0; i + 3 <= w.len; i++)
        if (memcmp(record + i, "png", 3) == 0)
            record[i] = '\n';
    say(fd, MS_PROBE_FACTS, 0, (uint32_t)w.len);
    (void)ms_probe_put(fd, record, w.len);
}

static void misbehave(const char *how, int fd, uint64_t size) {
    static uint8_t bytes[MS_PROBE_READ_MAX];
    struct ms_facts_record f = good_facts();

    if (strcmp(how, "killed") == 0)
        raise(SIGKILL);
    else if (strcmp(how, "exit") == 0)
        _exit(5);
    else if (strcmp(how, "hang") == 0)
        pause();
    else if (strcmp(how, "noise") == 0)
        say(fd, 77, UINT64_MAX, UINT32_MAX);
    else if (strcmp(how, "lie") == 0)
        lie(fd);
    else if (strcmp(how, "huge") == 0)
        say(fd, MS_PROBE_FACTS, 0, UINT32_MAX);
    else if (strcmp(how, "short") == 0)
        facts(fd, &f, 1), _exit(0);
    else if (strcmp(how, "beyond") == 0)
        say(fd, MS_PROBE_READ, size, 1);
    else if (strcmp(how, "wrap") == 0)
        say(fd, MS_PROBE_READ, UINT64_MAX, MS_PROBE_READ_MAX);
    else if (strcmp(how, "large") == 0)
        say(fd, MS_PROBE_READ, 0, MS_PROBE_READ_MAX + 1);
    else if (strcmp(how, "none") == 0)
        say(fd, MS_PROBE_READ, 0, 0);
    while (strcmp(how, "reads") == 0)
        read_well(fd, 0, 1, bytes);
    if (strcmp(how, "deaf") == 0) { /* asks, and takes nothing of the answer */
        say(fd, MS_PROBE_READ, 0, MS_PROBE_READ_MAX);
        pause();
    }
    if (strcmp(how, "group") == 0) { /* the whole program, as the kernel might when memory ends */
        (void)kill(getppid(), SIGKILL);
        _exit(0);
    }
    if (strcmp(how, "lives") == 0) { /* answers well, and does not go */
        facts(fd, &f, 0);
        pause();
    }
    if (strcmp(how, "chatters") == 0) { /* answers well, and goes on */
        facts(fd, &f, 0);
        facts(fd, &f, 0);
    }
}

struct part {
    const char *how;
};

static bool ready(void *priv) {
    const struct part *part = priv;

    return strcmp(part->how, "unready") != 0;
}

/* Contents of odd sizes are the ones that somebody misbehaves over. */
static void examine(void *priv, int fd) {
    const struct part *part = priv;
    struct ms_facts_record f = good_facts();
    uint8_t size[8], byte = 0;

    if (!ms_probe_get(fd, size, sizeof size))
        _exit(9);
    if (ms_probe_u64_decode(size) % 2 == 1)
        misbehave(part->how, fd, ms_probe_u64_decode(size));
    read_well(fd, ms_probe_u64_decode(size) - 1, 1, &byte);
    f.height = byte;
    facts(fd, &f, 0);
}

int main(int argc, char **argv) {
    struct part part = {argc > 1 ? argv[1] : ""};
    const struct ms_probe_waiter waiter = {ready, examine, &part};

    return ms_probe_wait(MS_PROBE_CONTROL_FD, &waiter);
}
