/* The folder of the stages, and how much they may hold. */
#include "content/stage_impl.h"

#include "base/assert.h"
#include "content/budget.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

void ms_journal_unref(struct ms_journal *journal) {
    if (atomic_fetch_sub(&journal->refs, 1) != 1)
        return;
    MS_ASSERT(atomic_load(&journal->bytes) == 0);
    ms_slabs_free(journal->slabs);
    if (journal->fd >= 0) {
        rmdir(journal->dir); /* somebody else's files in it keep it: not ours to judge */
        close(journal->fd);
    }
    pthread_mutex_destroy(&journal->entering);
    free(journal->dir);
    free(journal);
}

static enum ms_code enter_locked(struct ms_journal *j, struct ms_error *reterr) {
    if (j->fd >= 0)
        return MS_OK;
    if (mkdir(j->dir, 0700) != 0 && errno != EEXIST)
        return ms_fail_errno(reterr, errno, "cannot make the staging area %s", j->dir);
    int fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ms_fail_errno(reterr, errno, "cannot open the staging area %s", j->dir);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int err = errno;
        close(fd);
        if (err == EWOULDBLOCK)
            return ms_fail(reterr, MS_BUSY, "the staging area %s belongs to a running process",
                           j->dir);
        return ms_fail_errno(reterr, err, "cannot lock the staging area %s", j->dir);
    }
    j->fd = fd;
    return MS_OK;
}

enum ms_code ms_journal_enter(struct ms_journal *j, struct ms_error *reterr) {
    pthread_mutex_lock(&j->entering);
    enum ms_code code = enter_locked(j, reterr);
    pthread_mutex_unlock(&j->entering);
    return code;
}

enum ms_code ms_journal_open(const char *dir, uint64_t bytes_max, struct ms_journal **ret_journal,
                             struct ms_error *reterr) {
    struct ms_journal *j = calloc(1, sizeof *j);

    MS_ASSERT(dir && ret_journal);
    if (!j || (j->fd = -1, j->dir = strdup(dir), !j->dir) ||
        (j->slabs = ms_slabs_new(MS_STAGE_MEMORY_BYTES), !j->slabs)) {
        free(j ? j->dir : NULL);
        free(j);
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for the staging area %s", dir);
    }
    pthread_mutex_init(&j->entering, NULL);
    j->bytes_max = bytes_max;
    atomic_init(&j->bytes, 0);
    atomic_init(&j->refs, 1);
    enum ms_code code = ms_journal_enter(j, reterr);
    if (code != MS_OK && code != MS_NO_SPACE) {
        ms_journal_unref(j);
        return code;
    }
    *ret_journal = j;
    return MS_OK;
}

void ms_journal_close(struct ms_journal *journal) {
    if (journal)
        ms_journal_unref(journal);
}

void ms_journal_join(struct ms_journal *journal, struct ms_budget *budget) {
    ms_budget_add_slabs(budget, journal->slabs);
}

void ms_journal_limit_memory(struct ms_journal *journal, uint64_t bytes_max) {
    ms_slabs_limit(journal->slabs, bytes_max);
}

uint64_t ms_journal_memory(struct ms_journal *journal) { return ms_slabs_used(journal->slabs); }

uint64_t ms_journal_bytes(struct ms_journal *journal) { return atomic_load(&journal->bytes); }

enum ms_code ms_journal_take(struct ms_journal *j, uint64_t bytes, struct ms_error *reterr) {
    uint_fast64_t held = atomic_load(&j->bytes);

    do {
        if (held > j->bytes_max || bytes > j->bytes_max - held)
            return ms_fail(reterr, MS_NO_SPACE,
                           "the staging area %s is full: %" PRIuFAST64 " of %" PRIu64
                           " bytes held, %" PRIu64
                           " more wanted; close files that are being written or raise its limit",
                           j->dir, held, j->bytes_max, bytes);
    } while (!atomic_compare_exchange_weak(&j->bytes, &held, held + bytes));
    return MS_OK;
}

void ms_journal_give(struct ms_journal *j, uint64_t bytes) {
    uint_fast64_t held = atomic_fetch_sub(&j->bytes, bytes);

    MS_ASSERT(held >= bytes);
}

/* A file without a name. Not every file system knows O_TMPFILE. */
int ms_journal_nameless_file(const struct ms_journal *j) {
    char path[4096];
    int fd = openat(j->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT))
        return fd;
    if (snprintf(path, sizeof path, "%s/stage.XXXXXX", j->dir) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

enum ms_code ms_scratch_open(struct ms_journal *journal, uint64_t bytes,
                             struct ms_scratch *ret_scratch, struct ms_error *reterr) {
    MS_TRY(ms_journal_enter(journal, reterr));
    MS_TRY(ms_journal_take(journal, bytes, reterr));
    int fd = ms_journal_nameless_file(journal);
    if (fd < 0) {
        ms_journal_give(journal, bytes);
        return ms_fail_errno(reterr, errno, "cannot make a file in the staging area %s",
                             journal->dir);
    }
    atomic_fetch_add(&journal->refs, 1);
    *ret_scratch = (struct ms_scratch){journal, bytes, fd};
    return MS_OK;
}

void ms_scratch_close(struct ms_scratch *scratch) {
    if (!scratch->journal)
        return;
    close(scratch->fd);
    ms_journal_give(scratch->journal, scratch->bytes);
    ms_journal_unref(scratch->journal);
    *scratch = (struct ms_scratch){.journal = NULL};
}
