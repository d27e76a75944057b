/* check.c — walk every record, and make a verified copy.
 *
 * LMDB trusts its file: a damaged one can stop the process. So a copy is read back in a child, and only a copy that
 * was read through gets its name. */
#include "store/internal.h"

#include "base/assert.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_RECORDS 512
#define CHECK_NS INT64_C(100000000)
#define COPY_HEADROOM_PERCENT 80u

struct walk {
    uint8_t last[MS_KEY_MAX]; /* the last key that was looked at */
    size_t last_len;
    uint64_t records;
    bool done;
    void (*each)(void *priv, struct ms_view key, const struct ms_error *err);
    void *priv;
};

static void report(struct walk *w, struct ms_view key, const struct ms_error *err) {
    if (w->each)
        w->each(w->priv, key, err);
}

/* From the last key on, until the time of one read is used up. */
static enum ms_code walk_some(struct walk *w, struct ms_txn *txn, struct ms_error *reterr) {
    static const uint8_t first = 0x00;
    int64_t begun = ms_store_mono(txn->store);
    struct ms_error err = {0};
    enum ms_code code = MS_OK;
    struct ms_scan scan;

    ms_scan_begin_any(&scan, txn, ms_view_of(&first, 1), ms_view_of(NULL, 0));
    if (w->last_len > 0) {
        memcpy(scan.last, w->last, w->last_len);
        scan.last_len = w->last_len;
        scan.started = true;
    }
    for (unsigned i = 0; i < CHECK_RECORDS && ms_store_mono(txn->store) - begun < CHECK_NS; i++) {
        struct ms_view key = {NULL, 0}, value;

        code = ms_scan_next(&scan, &key, &value, &err);
        if (code != MS_OK && (code != MS_CORRUPT || !key.p))
            break;
        if (code == MS_CORRUPT)
            report(w, key, &err);
        code = MS_OK;
        w->records++;
        memcpy(w->last, key.p, key.n);
        w->last_len = key.n;
    }
    ms_scan_end(&scan);
    if (code == MS_CORRUPT) /* a page, not a record: what lies behind it cannot be reached */
        report(w, ms_view_of(w->last, w->last_len), &err);
    w->done = code == MS_NOT_FOUND || code == MS_CORRUPT;
    return w->done || code == MS_OK ? MS_OK : ms_fail(reterr, code, "%s", err.message);
}

static enum ms_code walk_all(struct ms_store *store, struct walk *w, struct ms_error *reterr) {
    enum ms_code code = MS_OK;

    while (code == MS_OK && !w->done) {
        struct ms_txn *txn;

        code = ms_read_begin(store, &txn, reterr);
        if (code != MS_OK)
            return code;
        code = walk_some(w, txn, reterr);
        ms_read_end(txn);
    }
    return code;
}

enum ms_code ms_store_check(struct ms_store *store,
                            void (*each)(void *priv, struct ms_view key,
                                         const struct ms_error *err),
                            void *priv, struct ms_error *reterr) {
    struct walk *w = calloc(1, sizeof *w);
    enum ms_code code;

    if (!w)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for checking %s", store->dir);
    w->each = each;
    w->priv = priv;
    code = walk_all(store, w, reterr);
    free(w);
    return code;
}

/* ---- copy ------------------------------------------------------------------------------------ */

static void count_damage(void *priv, struct ms_view key, const struct ms_error *err) {
    (void)key, (void)err;
    ++*(uint64_t *)priv;
}

/* In the child: 0 when every record is whole and there are as many as the file says. */
static int verify(struct ms_store *store, const char *path) {
    struct ms_store *copy = calloc(1, sizeof *copy);
    uint64_t damage = 0;
    struct walk w = {.each = count_damage, .priv = &damage};
    static const uint32_t one = 1;
    MDB_stat stat;

    if (!copy)
        return 3;
    copy->options = store->options;
    copy->options.log = NULL;
    copy->dir = (char *)(uintptr_t)path;
    copy->same_process = &one;
    pthread_mutex_init(&copy->map_mutex, NULL);
    pthread_mutex_init(&copy->threads.mutex, NULL);
    pthread_cond_init(&copy->threads.grown, NULL);
    if (pthread_key_create(&copy->thread_key, NULL) != 0 ||
        ms_store_env_open(copy, path, true, NULL) != MS_OK)
        return 2;
    if (ms_store_header_check(copy, NULL) != MS_OK || walk_all(copy, &w, NULL) != MS_OK ||
        mdb_env_stat(copy->env, &stat) != 0)
        return 2;
    return damage == 0 && w.records == stat.ms_entries ? 0 : 1;
}

static enum ms_code verify_in_child(struct ms_store *store, const char *path,
                                    struct ms_error *reterr) {
    int status = 0;
    pid_t pid = fork();

    if (pid < 0)
        return ms_fail_errno(reterr, errno, "cannot start the check of %s", path);
    if (pid == 0) {
        _exit(verify(store, path));
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return ms_fail_errno(reterr, errno, "lost the check of %s", path);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return MS_OK;
    return ms_fail(reterr, MS_CORRUPT,
                   "the copy in %s does not read back (%s %d); the disk of the copy or the store "
                   "itself is damaged: "
                   "run fsck",
                   path, WIFEXITED(status) ? "code" : "signal",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

static enum ms_code need_empty(const char *dir, struct ms_error *reterr) {
    DIR *d = opendir(dir);
    unsigned entries = 0;

    if (!d)
        return ms_fail_errno(reterr, errno, "cannot copy to %s", dir);
    while (readdir(d))
        entries++;
    closedir(d);
    if (entries > 2)
        return ms_fail(reterr, MS_NOT_EMPTY, "%s is not empty; a copy needs an empty folder", dir);
    return MS_OK;
}

/* The one read that may be long: it pins the pages that are freed meanwhile, hence the headroom; and the map stays
 * as it is, because a transaction of this process is open. */
static enum ms_code copy_to(struct ms_store *store, const char *path, struct ms_error *reterr) {
    struct ms_txn *txn;
    enum ms_code code = ms_read_begin(store, &txn, reterr);
    int rc;

    if (code != MS_OK)
        return code;
    rc = mdb_env_copy2(store->env, path, MDB_CP_COMPACT);
    ms_read_end(txn);
    return rc == 0 ? MS_OK : ms_store_fail(store, reterr, rc, "copying the metadata");
}

static enum ms_code sync_path(const char *dir, const char *name, struct ms_error *reterr) {
    char *path = NULL;
    int fd = -1, rc = -1, err;

    if (asprintf(&path, "%s/%s", dir, name) >= 0) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        rc = fd >= 0 ? fsync(fd) : -1;
    }
    err = errno;
    if (fd >= 0)
        close(fd);
    free(path);
    return rc == 0 ? MS_OK : ms_fail_errno(reterr, err, "cannot sync %s/%s", dir, name);
}

static enum ms_code copy_and_verify(struct ms_store *store, const char *to_dir, const char *temp,
                                    const char *final, struct ms_error *reterr) {
    enum ms_code code;

    if (mkdir(temp, 0770) != 0)
        return ms_fail_errno(reterr, errno, "cannot make %s", temp);
    code = copy_to(store, temp, reterr);
    if (code == MS_OK)
        code = sync_path(temp, "data.mdb", reterr);
    if (code == MS_OK)
        code = verify_in_child(store, temp, reterr);
    if (code == MS_OK)
        code = sync_path(temp, ".", reterr);
    if (code == MS_OK && rename(temp, final) != 0)
        code = ms_fail_errno(reterr, errno, "cannot rename %s", temp);
    return code == MS_OK ? sync_path(to_dir, ".", reterr) : code;
}

static void remove_copy(const char *temp) {
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    int fd = open(temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (size_t i = 0; fd >= 0 && i < MS_ARRAY_LEN(names); i++)
        unlinkat(fd, names[i], 0);
    if (fd >= 0)
        close(fd);
    rmdir(temp);
}

static enum ms_code need_headroom(struct ms_store *store, struct ms_error *reterr) {
    struct ms_store_stats stats;
    uint64_t max = store->options.map_bytes_max;

    ms_store_stats(store, &stats);
    if (stats.used_bytes / (max / 100) < COPY_HEADROOM_PERCENT)
        return MS_OK;
    return ms_fail(reterr, MS_NO_SPACE,
                   "the metadata of %s uses %" PRIu64 " of %" PRIu64
                   " bytes; a copy needs %u %% free, because what is "
                   "freed meanwhile cannot be used: raise the limit first",
                   store->dir, stats.used_bytes, max, 100 - COPY_HEADROOM_PERCENT);
}

enum ms_code ms_store_copy(struct ms_store *store, const char *to_dir, struct ms_error *reterr) {
    char *temp = NULL, *final = NULL;
    enum ms_code code = need_headroom(store, reterr);

    if (code == MS_OK)
        code = need_empty(to_dir, reterr);
    if (code != MS_OK)
        return code;
    if (asprintf(&temp, "%s/meta.new", to_dir) < 0 || asprintf(&final, "%s/meta", to_dir) < 0)
        code = ms_fail(reterr, MS_NO_MEMORY, "no memory for a copy");
    else
        code = copy_and_verify(store, to_dir, temp, final, reterr);
    if (code != MS_OK && temp)
        remove_copy(temp);
    free(temp);
    free(final);
    return code;
}
