/* child.h — another process on the same store that is killed at a chosen point.
 *
 * It is this program started again. Its object store counts requests, and kills the process before
 * the n-th is handed on or after the n-th was answered. What the process has been promised it
 * writes to a pipe first, so the test knows what must be there afterwards.
 */
#ifndef MS_TESTS_SERVICE_CHILD_H
#define MS_TESTS_SERVICE_CHILD_H

#include "keep.h"

struct child {
    struct ms_svc *svc;
    struct ms_clock_fake clock;
    struct ms_ctx ctx;
    const char *path; /* what it works on */
};
/* What a child does; it is named in a table that main() gives to child_main(). */
struct child_work {
    const char *name;
    void (*fn)(struct child *c);
};
/* First in main(): does not return in a child. */
void child_main(int argc, char **argv, const struct child_work *works, size_t n);
/* From work: this has been promised now. */
void child_says(char what);

struct child_plan {
    const char *work, *path;
    unsigned kill_at; /* 0: never */
    bool after;       /* the n-th answer instead of the n-th request */
    bool syncs;       /* count syncs of the disk instead of requests: around commits too */
    bool writes;      /* ... and every write to a file, those that make up a commit among them */
    bool plain;       /* a store without multipart uploads */
    bool writeback;   /* it acknowledges from the local disk */
    unsigned kill_ms; /* kill it from outside so long after its first word; 0: do not */
};
struct child_end {
    bool killed;
    char said[16]; /* in order */
};
struct child_end child_run(struct world *w, const struct child_plan *plan);
/* In two steps, so that something else happens meanwhile. */
struct child_running {
    int pid, fd;
};
struct child_running child_start(struct world *w, const struct child_plan *plan);
void child_await(struct child_running *running, char word); /* until it has said that */
void child_kill(const struct child_running *running);
struct child_end child_wait(struct child_running *running);
static inline bool child_said(const struct child_end *end, char what) {
    return strchr(end->said, what) != NULL;
}

#endif
