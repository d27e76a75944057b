/* process.c — who uses the store: a row and a locked file per process.
 *
 * The row says what a process holds under which fencing number; the lock on <dir>/run/<instance> says that it
 * lives, and the kernel drops it however the process ends. Instance ids are never used twice, so dead stays dead. */
#include "store/internal.h"

#include "base/assert.h"
#include "base/codec.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LABEL_MAX (sizeof((struct ms_process_info *)0)->label - 1)
#define RUN_TEXT_MAX (MS_RUN_TEXT_BYTES - 1)

struct process_row {
    uint64_t fence;
    struct ms_instance_id adopter; /* none: nobody took over */
    struct ms_instant started;
    int64_t pid;
    uint8_t boot_id[MS_ID_BYTES];
    char label[LABEL_MAX + 1];
};

/* ---- the row --------------------------------------------------------------------------------- */

static enum ms_code decode(struct ms_view v, struct process_row *ret_row, struct ms_error *reterr) {
    struct ms_reader r = ms_reader_on(v);
    struct process_row row = {0};

    row.fence = ms_read_u64(&r);
    ms_read_bytes(&r, row.adopter.id.b, sizeof row.adopter.id.b);
    row.started = ms_instant_of(ms_read_i64(&r));
    row.pid = ms_read_i64(&r);
    ms_read_bytes(&r, row.boot_id, sizeof row.boot_id);
    ms_read_str(&r, row.label, LABEL_MAX);
    if (!ms_reader_done(&r) || row.fence == 0)
        return ms_fail(reterr, MS_CORRUPT, "a process row makes no sense; run fsck");
    *ret_row = row;
    return MS_OK;
}

static size_t encode(const struct process_row *row, uint8_t *ret_bytes, size_t cap) {
    struct ms_writer w = ms_writer_on(ret_bytes, cap);

    ms_write_u64(&w, row->fence);
    ms_write_bytes(&w, row->adopter.id.b, sizeof row->adopter.id.b);
    ms_write_i64(&w, row->started.ms);
    ms_write_i64(&w, row->pid);
    ms_write_bytes(&w, row->boot_id, sizeof row->boot_id);
    ms_write_str(&w, row->label, LABEL_MAX);
    MS_ASSERT(!w.failed);
    return w.len;
}

enum ms_code ms_process_register(struct ms_store *store, MDB_txn *mdb, uint64_t *ret_fence,
                                 struct ms_error *reterr) {
    struct ms_store_key key = ms_store_key_id(MS_ROW_PROCESS, store->instance.id);
    struct process_row row = {.started = store->started, .pid = getpid()};
    uint8_t b[256];
    enum ms_code code = ms_store_row_count_up(store, mdb, "fence", 1, &row.fence, reterr);

    if (code != MS_OK)
        return code;
    memcpy(row.boot_id, store->boot_id, sizeof row.boot_id);
    snprintf(row.label, sizeof row.label, "%s", store->label);
    *ret_fence = row.fence;
    return ms_store_row_put(store, mdb, &key, ms_view_of(b, encode(&row, b, sizeof b)), reterr);
}

enum ms_code ms_process_check(struct ms_store *store, MDB_txn *mdb, struct ms_error *reterr) {
    struct ms_store_key key = ms_store_key_id(MS_ROW_PROCESS, store->instance.id);
    uint64_t fence = 0;
    struct ms_error err = {0};
    struct ms_view v;
    enum ms_code code = ms_store_row_get(store, mdb, &key, &v, &err);

    if (code == MS_OK) {
        struct ms_reader r = ms_reader_on(v);

        fence = ms_read_u64(&r);
    } else if (code != MS_NOT_FOUND) {
        return ms_fail(reterr, code, "%s", err.message);
    }
    if (fence != 0 && fence == atomic_load(&store->fence))
        return MS_OK;
    atomic_store(&store->fenced, 1);
    return ms_fail(reterr, MS_FENCED,
                   "another process took over from this one (its number was %" PRIu64
                   ", now %" PRIu64 "); nothing "
                   "of it is committed any more: restart it",
                   atomic_load(&store->fence), fence);
}

/* ---- run files ------------------------------------------------------------------------------- */

/* What makes a live process unique on a host: its number, when it began, and whose numbers these are. */
static void process_text(char ret_text[RUN_TEXT_MAX + 1]) {
    char stat_line[1024] = "";
    unsigned long long start = 0;
    struct stat ns = {0};
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    const char *at;

    if (fd >= 0) {
        ssize_t n = read(fd, stat_line, sizeof stat_line - 1);

        stat_line[n > 0 ? n : 0] = '\0';
        close(fd);
    }
    at = strrchr(stat_line, ')'); /* the name may hold anything; field 22 is the start */
    for (unsigned field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (at)
        start = strtoull(at, NULL, 10);
    if (stat("/proc/self/ns/pid", &ns) != 0)
        ns.st_ino = 0;
    snprintf(ret_text, RUN_TEXT_MAX + 1, "%ld %llu %llu\n", (long)getpid(), start,
             (unsigned long long)ns.st_ino);
}

static bool locked(int run_fd, const char *name) {
    int fd = openat(run_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool held;

    if (fd < 0)
        return false;
    held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return held;
}

static bool says(int run_fd, const char *name, const char *text) {
    char have[RUN_TEXT_MAX + 1] = "";
    int fd = openat(run_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd >= 0 ? read(fd, have, RUN_TEXT_MAX) : -1;

    if (fd >= 0)
        close(fd);
    have[n > 0 ? n : 0] = '\0';
    return n > 0 && strcmp(have, text) == 0;
}

/* LMDB: closing a second environment of the same file in one process drops the locks of the first. */
static enum ms_code refuse_second(struct ms_store *store, const char *text,
                                  struct ms_error *reterr) {
    int fd = openat(store->run_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    bool second = false;
    struct dirent *e;

    if (!d) {
        int err = errno;

        if (fd >= 0)
            close(fd);
        return ms_fail_errno(reterr, err, "cannot list %s/run", store->dir);
    }
    while (!second && (e = readdir(d)))
        second = e->d_name[0] != '.' && says(store->run_fd, e->d_name, text) &&
                 locked(store->run_fd, e->d_name);
    closedir(d);
    if (second)
        return ms_fail(reterr, MS_BUSY,
                       "%s is open in this process already; a process opens a store once",
                       store->dir);
    return MS_OK;
}

/* Made and locked under another name first, so that nobody ever sees it unlocked. On a full disk it may stay empty:
 * its lock is what matters, the text only finds a second opening by the same process. */
static enum ms_code make_run_file(struct ms_store *store, const char *text,
                                  struct ms_error *reterr) {
    char name[MS_ID_TEXT_LEN + 1], temp[MS_ID_TEXT_LEN + 8];
    int fd;

    ms_id_format(store->instance.id, name);
    snprintf(temp, sizeof temp, ".%s", name);
    fd = openat(store->run_fd, temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
    if (fd < 0)
        return ms_fail_errno(reterr, errno, "cannot make %s/run/%s", store->dir, temp);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 ||
        (write(fd, text, strlen(text)) < 0 && errno != ENOSPC && errno != EDQUOT) ||
        renameat(store->run_fd, temp, store->run_fd, name) != 0) {
        int err = errno;

        unlinkat(store->run_fd, temp, 0);
        close(fd);
        return ms_fail_errno(reterr, err, "cannot make %s/run/%s", store->dir, name);
    }
    store->run_file = fd;
    return MS_OK;
}

static void read_boot_id(struct ms_store *store) {
    char text[64] = "";
    struct ms_id id = {{0}};
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

    if (fd >= 0)
        close(fd);
    if (n > 0) {
        text[strcspn(text, "\n")] = '\0';
        if (ms_id_parse(text, &id, NULL) == MS_OK)
            memcpy(store->boot_id, id.b, sizeof store->boot_id);
    }
}

enum ms_code ms_process_begin(struct ms_store *store, struct ms_error *reterr) {
    char text[RUN_TEXT_MAX + 1];
    enum ms_code code;

    if (mkdirat(store->dir_fd, "run", 0770) != 0 && errno != EEXIST)
        return ms_fail_errno(reterr, errno, "cannot make %s/run", store->dir);
    store->run_fd = openat(store->dir_fd, "run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->run_fd < 0)
        return ms_fail_errno(reterr, errno, "cannot open %s/run", store->dir);
    process_text(text);
    read_boot_id(store);
    code = refuse_second(store, text, reterr);
    return code == MS_OK ? make_run_file(store, text, reterr) : code;
}

static void drop_run_file(struct ms_store *store, struct ms_instance_id instance) {
    char name[MS_ID_TEXT_LEN + 1];

    ms_id_format(instance.id, name);
    unlinkat(store->run_fd, name, 0);
}

static bool has_row(struct ms_txn *txn, const char *name) {
    struct ms_store_key key;
    struct ms_id id;

    if (ms_id_parse(name, &id, NULL) != MS_OK)
        return false;
    key = ms_store_key_id(MS_ROW_PROCESS, id);
    return ms_txn_has(txn, ms_store_key_view(&key)) || txn->failure.code != MS_OK;
}

/* Files of processes that died before their row was there, or after it went. Needs the lock on the folder, under
 * which every run file gets its own lock. */
void ms_process_sweep(struct ms_store *store) {
    int fd = openat(store->run_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct ms_txn *txn = NULL;
    struct dirent *e;

    if (!d && fd >= 0)
        close(fd);
    if (!d || ms_read_begin(store, &txn, NULL) != MS_OK) {
        if (d)
            closedir(d);
        return;
    }
    while ((e = readdir(d))) {
        const char *id = e->d_name + (e->d_name[0] == '.');

        if (strlen(id) == MS_ID_TEXT_LEN && !locked(store->run_fd, e->d_name) && !has_row(txn, id))
            unlinkat(store->run_fd, e->d_name, 0);
    }
    ms_read_end(txn);
    closedir(d);
}

void ms_process_end(struct ms_store *store) {
    if (store->run_file >= 0 && store->options.read_only)
        drop_run_file(store, store->instance); /* it never had a row */
    if (store->run_file >= 0)
        close(store->run_file);
    if (store->run_fd >= 0)
        close(store->run_fd);
    store->run_file = store->run_fd = -1;
}

bool ms_store_instance_alive(struct ms_store *store, struct ms_instance_id instance) {
    char name[MS_ID_TEXT_LEN + 1];

    if (store->run_fd < 0)
        return false;
    if (ms_instance_id_equal(instance, store->instance))
        return !atomic_load(&store->fenced);
    ms_id_format(instance.id, name);
    return locked(store->run_fd, name);
}

/* ---- listing --------------------------------------------------------------------------------- */

struct process_list {
    struct ms_process_info *items;
    size_t n, cap;
};

static enum ms_code list_add(struct process_list *list, struct ms_view key,
                             const struct process_row *row, struct ms_error *reterr) {
    struct ms_process_info *info;

    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 16;
        struct ms_process_info *items = realloc(list->items, cap * sizeof *items);

        if (!items)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for the list of %zu processes", cap);
        list->items = items;
        list->cap = cap;
    }
    info = &list->items[list->n++];
    *info = (struct ms_process_info){.started = row->started, .pid = row->pid};
    memcpy(info->instance.id.b, (const uint8_t *)key.p + 2, MS_ID_BYTES);
    snprintf(info->label, sizeof info->label, "%s", row->label);
    return MS_OK;
}

static enum ms_code list_rows(struct ms_txn *txn, struct process_list *list,
                              struct ms_error *reterr) {
    struct ms_store_key from = ms_store_key(MS_ROW_PROCESS), to = ms_store_key(MS_ROW_PROCESS + 1);
    struct ms_view key, value;
    struct process_row row;
    struct ms_scan scan;
    enum ms_code code;

    ms_scan_begin_any(&scan, txn, ms_store_key_view(&from), ms_store_key_view(&to));
    while ((code = ms_scan_next(&scan, &key, &value, reterr)) == MS_OK) {
        if (key.n != 2 + MS_ID_BYTES)
            code = ms_fail(reterr, MS_CORRUPT, "a process row has a key of %zu bytes; run fsck",
                           key.n);
        if (code == MS_OK)
            code = decode(value, &row, reterr);
        if (code == MS_OK)
            code = list_add(list, key, &row, reterr);
        if (code != MS_OK)
            break;
    }
    ms_scan_end(&scan);
    return code;
}

enum ms_code ms_store_processes(struct ms_store *store, struct ms_process_info **ret_list,
                                size_t *ret_n, struct ms_error *reterr) {
    struct process_list list = {0};
    struct ms_error err = {0};
    struct ms_txn *txn;
    enum ms_code code = ms_read_begin(store, &txn, reterr);

    if (code != MS_OK)
        return code;
    code = list_rows(txn, &list, &err);
    ms_read_end(txn);
    if (code != MS_NOT_FOUND) {
        free(list.items);
        return ms_fail(reterr, code, "%s", err.message);
    }
    for (size_t i = 0; i < list.n; i++)
        list.items[i].alive = ms_store_instance_alive(store, list.items[i].instance);
    *ret_list = list.items;
    *ret_n = list.n;
    return MS_OK;
}

/* ---- taking over ----------------------------------------------------------------------------- */

static enum ms_code get_row(struct ms_txn *txn, struct ms_instance_id instance,
                            struct process_row *ret_row, struct ms_error *reterr) {
    struct ms_store_key key = ms_store_key_id(MS_ROW_PROCESS, instance.id);
    struct ms_view v;
    enum ms_code code = ms_txn_get(txn, ms_store_key_view(&key), &v, reterr);

    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, code, "no process %s is registered", ms_id_text(instance.id).s);
    return code == MS_OK ? decode(v, ret_row, reterr) : code;
}

static enum ms_code look_up(struct ms_store *store, struct ms_instance_id instance,
                            struct process_row *ret_row, struct ms_error *reterr) {
    struct ms_txn *txn;
    enum ms_code code = ms_read_begin(store, &txn, reterr);

    if (code != MS_OK)
        return code;
    code = get_row(txn, instance, ret_row, reterr);
    ms_read_end(txn);
    return code;
}

struct take_over {
    struct ms_instance_id dead, by;
    uint64_t fence; /* as it was when the process was found dead */
};

static enum ms_code adopt_op(struct ms_txn *txn, const void *in, void *out,
                             struct ms_error *reterr) {
    const struct take_over *t = in;
    struct ms_store_key key = ms_store_key_id(MS_ROW_PROCESS, t->dead.id);
    struct process_row row = {0};
    uint8_t b[256];
    enum ms_code code = get_row(txn, t->dead, &row, reterr);

    (void)out;
    if (code != MS_OK)
        return code;
    if (row.fence != t->fence)
        return ms_fail(reterr, MS_BUSY, "process %s was taken over by %s at the same moment",
                       ms_id_text(t->dead.id).s, ms_id_text(row.adopter.id).s);
    code = ms_store_row_count_up(txn->store, txn->mdb, "fence", 1, &row.fence, reterr);
    if (code != MS_OK)
        return code;
    row.adopter = t->by;
    return ms_txn_put_any(txn, ms_store_key_view(&key), ms_view_of(b, encode(&row, b, sizeof b)),
                          reterr);
}

enum ms_code ms_store_adopt(struct ms_store *store, struct ms_instance_id dead,
                            struct ms_error *reterr) {
    struct take_over t = {.dead = dead, .by = store->instance};
    struct process_row row = {0};
    enum ms_code code = look_up(store, dead, &row, reterr);

    if (code != MS_OK)
        return code;
    if (ms_store_instance_alive(store, dead))
        return ms_fail(reterr, MS_BUSY, "process %s (%s, pid %" PRId64 ") is alive",
                       ms_id_text(dead.id).s, row.label, row.pid);
    if (ms_instance_id_equal(row.adopter, store->instance))
        return MS_OK; /* ours already: a recovery that goes on */
    if (!ms_instance_id_is_none(row.adopter) && ms_store_instance_alive(store, row.adopter))
        return ms_fail(reterr, MS_BUSY, "process %s was taken over by %s, which is settling it",
                       ms_id_text(dead.id).s, ms_id_text(row.adopter.id).s);
    t.fence = row.fence;
    return ms_store_write(store, &(struct ms_write){.fn = adopt_op, .in = &t}, reterr);
}

static enum ms_code forget_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct take_over *t = in;
    struct ms_store_key key = ms_store_key_id(MS_ROW_PROCESS, t->dead.id);
    struct process_row row = {0};
    struct ms_error err = {0};
    enum ms_code code = get_row(txn, t->dead, &row, &err);

    (void)out;
    if (code == MS_NOT_FOUND)
        return MS_OK;
    if (code != MS_OK)
        return ms_fail(reterr, code, "%s", err.message);
    if (!ms_instance_id_equal(row.adopter, t->by) && !ms_instance_id_equal(t->dead, t->by))
        return ms_fail(reterr, MS_BUSY, "process %s was not taken over by this one: adopt it first",
                       ms_id_text(t->dead.id).s);
    return ms_txn_del_any(txn, ms_store_key_view(&key), reterr);
}

enum ms_code ms_store_forget(struct ms_store *store, struct ms_instance_id dead,
                             struct ms_error *reterr) {
    struct take_over t = {.dead = dead, .by = store->instance};
    enum ms_code code;

    MS_ASSERT(!ms_instance_id_equal(dead, store->instance));
    code = ms_store_write(store, &(struct ms_write){.fn = forget_op, .in = &t}, reterr);
    if (code == MS_OK)
        drop_run_file(store, dead);
    return code;
}

enum ms_code ms_process_leave(struct ms_store *store, struct ms_error *reterr) {
    struct take_over t = {.dead = store->instance, .by = store->instance};
    enum ms_code code =
        ms_store_write(store, &(struct ms_write){.fn = forget_op, .in = &t}, reterr);

    if (code == MS_OK)
        drop_run_file(store, store->instance);
    return code;
}
