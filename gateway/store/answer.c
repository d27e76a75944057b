/* answer.c — who has done what the change feed asks for: a few bytes behind the text of each run file.
 *
 * Not in the shared page, whose words are hints: an answer that is not true would let a freeze return while somebody
 * still reads. Here the file's lock says that the answerer lives, and its name whose answer it is. */
#include "store/internal.h"

#include "base/assert.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLL_NS INT64_C(1000000)
#define PLACE MS_RUN_TEXT_BYTES

/* The number twice, so that a read that meets a write is noticed; all zero: answers nothing. */
struct answer {
    uint64_t to, check;
    char label[sizeof((struct ms_process_info *)0)->label];
};

/* ---- answering ------------------------------------------------------------------------------- */

static enum ms_code write_answer(struct ms_store *store, const struct answer *a, size_t n,
                                 struct ms_error *reterr) {
    ssize_t written = pwrite(store->run_file, a, n, PLACE);

    if (written == (ssize_t)n)
        return MS_OK;
    return ms_fail_errno(reterr, written < 0 ? errno : ENOSPC,
                         "cannot write into this process's file in %s/run", store->dir);
}

enum ms_code ms_answer_begin(struct ms_store *store, uint64_t to, struct ms_error *reterr) {
    struct answer a = {.to = to, .check = ~to};
    enum ms_code code;

    (void)snprintf(a.label, sizeof a.label, "%s", store->label);
    pthread_mutex_lock(&store->answered.mutex);
    MS_ASSERT(!store->answered.active);
    code = write_answer(store, &a, sizeof a, reterr);
    store->answered.active = code == MS_OK;
    if (code != MS_OK) /* nobody may take silence for "nothing to answer for" */
        (void)!ftruncate(store->run_file, 0);
    store->answered.to = to;
    pthread_mutex_unlock(&store->answered.mutex);
    return code;
}

void ms_answer_end(struct ms_store *store) {
    const struct answer none = {0};

    pthread_mutex_lock(&store->answered.mutex);
    if (store->answered.active)
        (void)write_answer(store, &none, sizeof none, NULL);
    store->answered.active = false;
    pthread_mutex_unlock(&store->answered.mutex);
}

void ms_store_answer(struct ms_store *store, uint64_t to) {
    const struct answer a = {.to = to, .check = ~to};

    pthread_mutex_lock(&store->answered.mutex);
    if (store->answered.active && to > store->answered.to &&
        write_answer(store, &a, offsetof(struct answer, label), NULL) == MS_OK)
        store->answered.to = to; /* else the next one says it */
    pthread_mutex_unlock(&store->answered.mutex);
}

/* ---- waiting for answers --------------------------------------------------------------------- */

struct waiting {
    struct ms_store *store;
    uint64_t to;
    struct ms_process_info *late; /* instance, pid, label */
    size_t n, cap;
};

/* What the file of a live process says. Without any text, and so without an answer, are those that began on a full
 * disk: whether they have something to answer for is not known. */
static bool is_late(const struct waiting *w, const char *name, struct ms_process_info *ret_info) {
    char text[MS_RUN_TEXT_BYTES] = "";
    struct answer a = {0};
    int fd = openat(w->store->run_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd >= 0 ? pread(fd, text, sizeof text - 1, 0) : -1;

    if (fd >= 0) {
        ssize_t got = pread(fd, &a, sizeof a, PLACE);
        close(fd);
        if (got != 0 && got != (ssize_t)sizeof a)
            a.to = a.check = 0;
    }
    if (n < 0)
        return false; /* it has ended meanwhile */
    *ret_info = (struct ms_process_info){.alive = true, .pid = strtoll(text, NULL, 10)};
    memcpy(ret_info->label, a.label, sizeof ret_info->label - 1);
    if (n > 0 && a.to == 0 && a.check == 0)
        return false;
    return a.check != ~a.to || a.to < w->to;
}

static enum ms_code add_late(struct waiting *w, const struct ms_process_info *info,
                             struct ms_error *reterr) {
    if (w->n == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 16;
        struct ms_process_info *late = realloc(w->late, cap * sizeof *late);

        if (!late)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for the list of %zu processes", cap);
        w->late = late;
        w->cap = cap;
    }
    w->late[w->n++] = *info;
    return MS_OK;
}

/* All live processes but this one that have to answer, and have not. */
static enum ms_code list_late(struct waiting *w, struct ms_error *reterr) {
    int fd = openat(w->store->run_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    enum ms_code code = MS_OK;
    struct ms_process_info info;
    struct ms_instance_id id;
    struct dirent *e;

    if (!d) {
        int err = errno;

        if (fd >= 0)
            close(fd);
        return ms_fail_errno(reterr, err, "cannot list %s/run", w->store->dir);
    }
    while (code == MS_OK && (e = readdir(d))) {
        if (strlen(e->d_name) != MS_ID_TEXT_LEN || ms_id_parse(e->d_name, &id.id, NULL) != MS_OK ||
            ms_instance_id_equal(id, w->store->instance) || !is_late(w, e->d_name, &info) ||
            !ms_store_instance_alive(w->store, id))
            continue;
        info.instance = id;
        code = add_late(w, &info, reterr);
    }
    closedir(d);
    return code;
}

static void look_again(struct waiting *w) {
    char name[MS_ID_TEXT_LEN + 1];
    size_t n = 0;

    for (size_t i = 0; i < w->n; i++) {
        struct ms_instance_id id = w->late[i].instance;
        struct ms_process_info info;

        ms_id_format(id.id, name);
        if (is_late(w, name, &info) && ms_store_instance_alive(w->store, id))
            w->late[n++] = w->late[i];
    }
    w->n = n;
}

enum ms_code ms_store_await_answers(struct ms_store *store, int64_t timeout_ms,
                                    struct ms_process_info **ret_late, size_t *ret_n,
                                    struct ms_error *reterr) {
    const struct ms_clock *clock = ms_clock_system(); /* the machine's patience, in tests too */
    int64_t until = ms_clock_mono_ns(clock) + timeout_ms * 1000000;
    struct waiting w = {.store = store};
    enum ms_code code = ms_feed_end(store, &w.to, reterr);

    if (code == MS_OK)
        code = list_late(&w, reterr);
    while (code == MS_OK && w.n > 0 && ms_clock_mono_ns(clock) < until) {
        ms_clock_sleep_ns(POLL_NS);
        look_again(&w);
    }
    if (code != MS_OK || w.n == 0) {
        free(w.late);
        w = (struct waiting){0};
    }
    *ret_late = w.late;
    *ret_n = w.n;
    return code;
}
