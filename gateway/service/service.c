/* A store's folder: made in steps of which the marker is the last, opened and closed in one order.
 */
#include "service/service.h"

#include "service/file.h"
#include "service/tree_rows.h"
#include "service/upkeep.h"
#include "service/writeback.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MARKER "msasset.store"
#define MARKER_NEW "msasset.store.new"
#define MARKER_HEAD "This folder is a store of msasset. Do not change anything in it by hand."
#define ENGINE_THREADS 16
#define CACHE_BYTES (256 * MS_MB)
#define CACHE_DISK_BYTES (10 * MS_GB)

/* ---- the folder ------------------------------------------------------------------------------ */

/* What an init that was cut short leaves; all but the last are there before the marker. */
static bool is_ours(const char *name) {
    static const char *const names[] = {".",       "..",      "meta",       "meta.new", "run",
                                        "journal", "objects", "writeback", "lost+found", MARKER_NEW};
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void close_dir(DIR **dir) {
    if (*dir)
        closedir(*dir);
}
static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
}

/* Errors: MS_FOREIGN something that is not ours lies there. */
static enum ms_code only_ours(int dir_fd, const char *path, struct ms_error *reterr) {
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MS_AUTO(close_dir) DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir)
        return ms_fail_errno(reterr, errno, "cannot look into %s", path);
    for (struct dirent *e; (e = readdir(dir));)
        if (!is_ours(e->d_name))
            return ms_fail(reterr, MS_FOREIGN,
                           "%s has \"%s\" in it: a store wants a folder of its own, empty or new",
                           path, e->d_name);
    return MS_OK;
}

static enum ms_code check_dir(const char *dir, struct ms_error *reterr) {
    if (!dir || dir[0] != '/')
        return ms_fail(reterr, MS_INVALID,
                       "the store's folder must be an absolute path, not \"%s\"", dir ? dir : "");
    if (strlen(dir) >= sizeof((struct ms_svc *)NULL)->dir - 64)
        return ms_fail(reterr, MS_NAME_TOO_LONG, "the store's path has %zu bytes", strlen(dir));
    return MS_OK;
}

static enum ms_code sync_folder(const char *path, struct ms_error *reterr) {
    MS_AUTO(close_fd) int fd = open(path[0] ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return ms_fail_errno(reterr, errno, "cannot make names in %s durable", path);
    return MS_OK;
}

/* The folder and those above it that are missing. Their names are durable on return, also when a
 * cut left one made but not synced: that is why the last one's parent is synced either way. */
static enum ms_code make_folders(const char *dir, struct ms_error *reterr) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s", dir);
    if (n < 0 || (size_t)n >= sizeof path)
        return ms_fail(reterr, MS_INVALID, "the path %.60s... is too long", dir);
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        bool made = mkdir(path, 0700) == 0;
        if (!made && errno != EEXIST)
            return ms_fail_errno(reterr, errno, "cannot make %s", path);
        char *last = strrchr(path, '/');
        *last = '\0';
        if (made || !slash)
            MS_TRY(sync_folder(path, reterr));
        *last = '/';
        if (!slash)
            return MS_OK;
        *slash = '/';
    }
}

static enum ms_code open_dir(const char *dir, bool make, int *ret_fd, struct ms_error *reterr) {
    if (make)
        MS_TRY(make_folders(dir, reterr));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return ms_fail(reterr, MS_NOT_FOUND, "there is no %s: make a store with msasset init", dir);
    if (fd < 0)
        return ms_fail_errno(reterr, errno, "cannot open %s", dir);
    *ret_fd = fd;
    return MS_OK;
}

/* ---- the marker ------------------------------------------------------------------------------ */

struct marker {
    struct ms_id store_id;
};

static enum ms_code sync_write(int fd, const char *text, size_t n, const char *path,
                               struct ms_error *reterr) {
    for (size_t at = 0; at < n;) {
        ssize_t w = write(fd, text + at, n - at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return ms_fail_errno(reterr, errno, "cannot write %s/" MARKER, path);
        at += (size_t)w;
    }
    return fsync(fd) == 0 ? MS_OK : ms_fail_errno(reterr, errno, "cannot write %s/" MARKER, path);
}

/* Last step of init: after it the folder is a store, before it it is one that init takes up again.
 */
static enum ms_code write_marker(int dir_fd, const char *path, struct ms_id id,
                                 struct ms_error *reterr) {
    char text[256];
    int n = snprintf(text, sizeof text, MARKER_HEAD "\nformat %u\nstore %s\n", MS_STORE_FORMAT,
                     ms_id_text(id).s);
    MS_ASSERT(n > 0 && (size_t)n < sizeof text);
    MS_AUTO(close_fd)
    int fd = openat(dir_fd, MARKER_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return ms_fail_errno(reterr, errno, "cannot write %s/" MARKER_NEW, path);
    MS_TRY(sync_write(fd, text, (size_t)n, path, reterr));
    if (renameat(dir_fd, MARKER_NEW, dir_fd, MARKER) != 0 || fsync(dir_fd) != 0)
        return ms_fail_errno(reterr, errno, "cannot write %s/" MARKER, path);
    return MS_OK;
}

/* What stands on the line that begins with key, up to its end; NULL: there is no such line. */
static const char *marker_line(const char *text, const char *key, char ret_value[64]) {
    const char *line = strstr(text, key);
    size_t n = line ? strcspn(line + strlen(key), "\n") : 0;
    if (!line || n == 0 || n >= 64)
        return NULL;
    memcpy(ret_value, line + strlen(key), n);
    ret_value[n] = '\0';
    return ret_value;
}

static enum ms_code parse_marker(const char *text, const char *path, struct marker *ret_marker,
                                 struct ms_error *reterr) {
    struct marker m;
    char value[64], *end;
    if (strncmp(text, MARKER_HEAD, strlen(MARKER_HEAD)) != 0 ||
        !marker_line(text, "\nformat ", value))
        return ms_fail(reterr, MS_FOREIGN, "%s/" MARKER " is not a marker of msasset", path);
    unsigned long format = strtoul(value, &end, 10);
    if (*end || format == 0)
        return ms_fail(reterr, MS_CORRUPT, "%s/" MARKER " names format \"%s\"", path, value);
    if (format > MS_STORE_FORMAT)
        return ms_fail(reterr, MS_NEWER_FORMAT,
                       "%s has format %lu, made by a newer msasset; this one knows up to %u: "
                       "install the newer one",
                       path, format, MS_STORE_FORMAT);
    if (!marker_line(text, "\nstore ", value) || ms_id_parse(value, &m.store_id, NULL) != MS_OK)
        return ms_fail(reterr, MS_CORRUPT, "%s/" MARKER " names no store", path);
    *ret_marker = m;
    return MS_OK;
}

/* Errors: MS_NOT_FOUND there is none; MS_FOREIGN; MS_NEWER_FORMAT. */
static enum ms_code read_marker(int dir_fd, const char *path, struct marker *ret_marker,
                                struct ms_error *reterr) {
    char text[512];
    MS_AUTO(close_fd) int fd = openat(dir_fd, MARKER, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return ms_fail(reterr, MS_NOT_FOUND,
                       "%s is not a store of msasset, or its init was cut short: "
                       "run msasset init",
                       path);
    if (fd < 0)
        return ms_fail_errno(reterr, errno, "cannot read %s/" MARKER, path);
    ssize_t n = read(fd, text, sizeof text - 1);
    if (n < 0)
        return ms_fail_errno(reterr, errno, "cannot read %s/" MARKER, path);
    text[n] = '\0';
    return parse_marker(text, path, ret_marker, reterr);
}

/* ---- parts ----------------------------------------------------------------------------------- */

static struct ms_svc *svc_new(const struct ms_svc_options *o) {
    struct ms_svc *svc = calloc(1, sizeof *svc);
    if (!svc)
        return NULL;
    svc->clock = o->clock ? o->clock : ms_clock_system();
    svc->random = o->random ? o->random : ms_random_system();
    svc->log = o->log;
    svc->read_only = o->read_only;
    svc->writeback = o->writeback && !o->read_only;
    (void)snprintf(svc->dir, sizeof svc->dir, "%s", o->dir);
    (void)snprintf(svc->review_words, sizeof svc->review_words, "%s",
                   o->review_words ? o->review_words : "");
    (void)snprintf(svc->review_command, sizeof svc->review_command, "%s",
                   o->review_command ? o->review_command : "");
    (void)snprintf(svc->review_webhook, sizeof svc->review_webhook, "%s",
                   o->review_webhook ? o->review_webhook : "");
    (void)snprintf(svc->review_webhook_secret, sizeof svc->review_webhook_secret, "%s",
                   o->review_webhook_secret ? o->review_webhook_secret : "");
    svc->review_timeout_ms = o->review_timeout_ms > 0 ? o->review_timeout_ms : MS_MINUTE_MS;
    (void)snprintf(svc->payment_command, sizeof svc->payment_command, "%s",
                   o->payment_command ? o->payment_command : "");
    svc->payment_timeout_ms = o->payment_timeout_ms > 0 ? o->payment_timeout_ms : MS_MINUTE_MS;
    (void)snprintf(svc->replication_keys, sizeof svc->replication_keys, "%s",
                   o->replication_keys ? o->replication_keys : "");
    svc->tries_max = o->tries_max;
    return svc;
}

static enum ms_code open_meta(struct ms_svc *svc, const struct ms_svc_options *o, bool create,
                              struct ms_error *reterr) {
    struct ms_store_options options = {
        .dir = svc->dir,
        .clock = svc->clock,
        .random = svc->random,
        .log = svc->log,
        .map_bytes = o->map_bytes,
        .create = create,
        .store_id = o->store_id,
        .read_only = o->read_only,
        .label = o->label ? o->label : "msasset",
    };
    MS_TRY(ms_store_open(&options, &svc->store, reterr));
    svc->store_id = ms_store_id(svc->store);
    return MS_OK;
}

static enum ms_code open_objects(struct ms_svc *svc, const struct ms_svc_options *o, bool create,
                                 struct ms_error *reterr) {
    struct ms_obj_options options = {
        .url = svc->object_url,
        .engine = svc->engine,
        .random = svc->random,
        .log = svc->log,
        .create = create,
        .tries_max = o->tries_max,
        .trace = o->trace,
        .faults = o->faults,
        .store_id = svc->store_id,
        .may_be_down = o->store_may_be_down,
        .unasked = o->store_unasked,
        .ret_unchecked = &svc->unchecked,
        .cache_dir = create ? NULL : o->cache_dir,
        .cache_disk_bytes = o->cache_disk_bytes ? o->cache_disk_bytes : CACHE_DISK_BYTES,
    };
    MS_TRY(ms_engine_new(o->engine_threads ? o->engine_threads : ENGINE_THREADS, &svc->engine,
                         reterr));
    options.engine = svc->engine;
    return ms_obj_open(&options, &svc->obj, reterr);
}

enum ms_code ms_svc_check_owner(struct ms_svc *svc, struct ms_error *reterr) {
    if (!__atomic_load_n(&svc->unchecked, __ATOMIC_SEQ_CST))
        return MS_OK;
    MS_TRY(ms_obj_check_owner(svc->obj, svc->object_url, svc->store_id, reterr));
    __atomic_store_n(&svc->unchecked, false, __ATOMIC_SEQ_CST);
    return MS_OK;
}

/* What the disk has, less 5 % of it. */
static enum ms_code journal_limit(const struct ms_svc *svc, const struct ms_svc_options *o,
                                  uint64_t *ret_bytes, struct ms_error *reterr) {
    struct statvfs fs;
    if (o->journal_bytes_max) {
        *ret_bytes = o->journal_bytes_max;
        return MS_OK;
    }
    if (statvfs(svc->dir, &fs) != 0)
        return ms_fail_errno(reterr, errno, "cannot see how much room %s has", svc->dir);
    uint64_t unit = fs.f_frsize, keep = fs.f_blocks / 20;
    *ret_bytes = fs.f_bavail > keep ? (fs.f_bavail - keep) * unit : MS_MB;
    return MS_OK;
}

static enum ms_code make_subdir(const char *path, struct ms_error *reterr) {
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return MS_OK;
    return ms_fail_errno(reterr, errno, "cannot make %s", path);
}

static enum ms_code open_journal(struct ms_svc *svc, const struct ms_svc_options *o,
                                 struct ms_error *reterr) {
    char path[sizeof svc->dir + 64];
    uint64_t limit = 0;
    MS_TRY(journal_limit(svc, o, &limit, reterr));
    (void)snprintf(path, sizeof path, "%s/journal", svc->dir);
    MS_TRY(make_subdir(path, reterr));
    (void)snprintf(path, sizeof path, "%s/journal/%s", svc->dir,
                   ms_id_text(ms_store_instance(svc->store).id).s);
    MS_TRY(ms_journal_open(path, limit, &svc->journal, reterr));
    ms_journal_join(svc->journal, svc->memory);
    return MS_OK;
}

/* recorded "": the embedded default, inside the store's own folder wherever that is now: a store
 * may be moved or copied. */
static enum ms_code object_url(struct ms_svc *svc, const char *recorded, struct ms_error *reterr) {
    int n = recorded[0]
                ? snprintf(svc->object_url, sizeof svc->object_url, "%s", recorded)
                : snprintf(svc->object_url, sizeof svc->object_url, "dir:%s/objects", svc->dir);
    if (n < 0 || (size_t)n >= sizeof svc->object_url)
        return ms_fail(reterr, MS_CONFIG,
                       "the object store's URL has %d bytes; at most %zu are allowed", n,
                       sizeof svc->object_url - 1);
    return MS_OK;
}

static enum ms_code read_meta(struct ms_svc *svc, struct ms_error *reterr) {
    struct ms_meta_record meta;
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(svc->store, &txn, reterr));
    enum ms_code code = ms_row_get_meta(txn, ms_key_meta(), &meta, reterr);
    ms_read_end(txn);
    if (code == MS_NOT_FOUND)
        return ms_fail(reterr, MS_CORRUPT, "the store in %s has no record about itself", svc->dir);
    if (code != MS_OK)
        return code;
    return object_url(svc, meta.object_url, reterr);
}

/* ---- init ------------------------------------------------------------------------------------ */

static enum ms_code meta_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    struct ms_meta_record meta = *(const struct ms_meta_record *)in;
    (void)out;
    meta.created = ms_txn_instant(txn);
    return ms_row_put_meta(txn, ms_key_meta(), &meta, reterr);
}

static enum ms_code write_meta(struct ms_svc *svc, const struct ms_svc_options *o,
                               struct ms_error *reterr) {
    struct ms_meta_record meta = {
        .store_id = svc->store_id,
        .free_bytes = o->free_bytes ? o->free_bytes : MS_FREE_QUOTA_BYTES,
        .retention_ms = o->retention_ms ? o->retention_ms : MS_BIN_RETENTION_MS,
    };
    if (o->object_url)
        (void)snprintf(meta.object_url, sizeof meta.object_url, "%s", o->object_url);
    struct ms_write write = {.fn = meta_op, .in = &meta};
    return ms_store_write(svc->store, &write, reterr);
}

static enum ms_code init_parts(struct ms_svc *svc, const struct ms_svc_options *o, int dir_fd,
                               struct ms_error *reterr) {
    char path[sizeof svc->dir + 16];
    MS_TRY(object_url(svc, o->object_url ? o->object_url : "", reterr));
    MS_TRY(open_meta(svc, o, true, reterr));
    MS_TRY(open_objects(svc, o, true, reterr));
    (void)snprintf(path, sizeof path, "%s/journal", svc->dir);
    MS_TRY(make_subdir(path, reterr));
    MS_TRY(write_meta(svc, o, reterr));
    return write_marker(dir_fd, svc->dir, svc->store_id, reterr);
}

/* Errors: MS_EXISTS it is a store; MS_FOREIGN it is something else. */
static enum ms_code may_become_store(int dir_fd, const char *path, struct ms_error *reterr) {
    struct marker marker;
    enum ms_code code = read_marker(dir_fd, path, &marker, reterr);
    if (code == MS_OK)
        return ms_fail(reterr, MS_EXISTS, "%s is a store already", path);
    MS_TRY(ms_absent_is_fine(code, reterr));
    return only_ours(dir_fd, path, reterr);
}

/* One init at a time: the second would write its settings over the first one's. The lock is on a
 * folder that the metadata store wants anyway. */
static enum ms_code lock_init(int dir_fd, const char *path, int *ret_fd, struct ms_error *reterr) {
    if (mkdirat(dir_fd, "run", 0770) != 0 && errno != EEXIST)
        return ms_fail_errno(reterr, errno, "cannot make %s/run", path);
    *ret_fd = openat(dir_fd, "run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd < 0)
        return ms_fail_errno(reterr, errno, "cannot open %s/run", path);
    if (flock(*ret_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK
                   ? ms_fail(reterr, MS_BUSY, "another init of %s is at work", path)
                   : ms_fail_errno(reterr, errno, "cannot lock %s/run", path);
    return MS_OK;
}

static enum ms_code init_in(const struct ms_svc_options *o, int dir_fd, struct ms_error *reterr) {
    MS_AUTO(close_fd) int lock_fd = -1;
    MS_TRY(may_become_store(dir_fd, o->dir, reterr));
    MS_TRY(lock_init(dir_fd, o->dir, &lock_fd, reterr));
    MS_TRY(may_become_store(dir_fd, o->dir,
                            reterr)); /* the one before us may have been done just now */
    struct ms_svc *svc = svc_new(o);
    if (!svc)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to make a store");
    enum ms_code code = init_parts(svc, o, dir_fd, reterr);
    ms_svc_close(svc);
    return code;
}

static enum ms_code check_init(const struct ms_svc_options *o, struct ms_error *reterr) {
    MS_TRY(check_dir(o->dir, reterr));
    if (o->read_only)
        return ms_fail(reterr, MS_READ_ONLY, "a store cannot be made read-only");
    if (o->free_bytes > INT64_MAX)
        return ms_fail(reterr, MS_RANGE, "a free quota is at most 2^63 - 1 bytes");
    if (o->retention_ms < 0 || o->retention_ms > MS_RETENTION_MS_MAX)
        return ms_fail(reterr, MS_RANGE, "the bin keeps 1 ms to 100 years, not %" PRId64 " ms",
                       o->retention_ms);
    return MS_OK;
}

enum ms_code ms_svc_init(const struct ms_svc_options *options, struct ms_error *reterr) {
    MS_AUTO(close_fd) int dir_fd = -1;
    MS_TRY(check_init(options, reterr));
    MS_TRY(open_dir(options->dir, true, &dir_fd, reterr));
    return init_in(options, dir_fd, reterr);
}

/* ---- open and close -------------------------------------------------------------------------- */

/* No process is started before the first content comes. */
static enum ms_code open_prober(struct ms_svc *svc, const struct ms_svc_options *o,
                                struct ms_error *reterr) {
    const struct ms_prober_options options = {.program = o->probe_program,
                                              .argument = o->probe_argument};
    svc->limits = o->limits;
    return o->probe_program ? ms_prober_new(&options, &svc->prober, reterr) : MS_OK;
}

static enum ms_code open_memory(struct ms_svc *svc, uint64_t bytes, struct ms_error *reterr) {
    MS_TRY(ms_budget_new(bytes, &svc->memory, reterr));
    MS_TRY(ms_cache_new(svc->reads, svc->log, bytes, &svc->cache, reterr));
    ms_budget_add_cache(svc->memory, svc->cache);
    return MS_OK;
}

static enum ms_code open_parts(struct ms_svc *svc, const struct ms_svc_options *o,
                               const struct marker *marker, struct ms_error *reterr) {
    MS_TRY(open_meta(svc, o, false, reterr));
    if (memcmp(marker->store_id.b, svc->store_id.b, MS_ID_BYTES) != 0)
        return ms_fail(reterr, MS_FOREIGN,
                       "%s/meta belongs to store %s, the marker beside it to store %s", svc->dir,
                       ms_id_text(svc->store_id).s, ms_id_text(marker->store_id).s);
    MS_TRY(read_meta(svc, reterr));
    MS_TRY(open_objects(svc, o, false, reterr));
    MS_TRY(ms_near_open(svc, reterr));
    MS_TRY(open_memory(svc, o->cache_bytes ? o->cache_bytes : CACHE_BYTES, reterr));
    if (!svc->read_only)
        MS_TRY(open_journal(svc, o, reterr));
    MS_TRY(open_prober(svc, o, reterr));
    return ms_files_new(svc, &svc->files, reterr);
}

/* Whatever it cannot settle waits for msasset recover; that is no reason not to open. */
static void recover_quick(struct ms_svc *svc) {
    struct ms_recover_result result;
    struct ms_error err;
    if (!svc->read_only && ms_recover_quick(svc, &result, &err) != MS_OK)
        ms_log_failure(svc->log, MS_LOG_WARN, "dead-processes-not-settled", &err, NULL);
}

enum ms_code ms_svc_open(const struct ms_svc_options *options, struct ms_svc **ret_svc,
                         struct ms_error *reterr) {
    MS_AUTO(close_fd) int dir_fd = -1;
    struct marker marker;
    MS_TRY(check_dir(options->dir, reterr));
    MS_TRY(open_dir(options->dir, false, &dir_fd, reterr));
    MS_TRY(read_marker(dir_fd, options->dir, &marker, reterr));
    struct ms_svc *svc = svc_new(options);
    if (!svc)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory to open a store");
    enum ms_code code = open_parts(svc, options, &marker, reterr);
    if (code != MS_OK) {
        ms_svc_close(svc);
        return code;
    }
    recover_quick(svc);
    *ret_svc = svc;
    return MS_OK;
}

enum ms_code ms_svc_lock(struct ms_svc *svc, const char *name, int *ret_fd,
                         struct ms_error *reterr) {
    char path[sizeof svc->dir + 32], holder[24] = "?";
    (void)snprintf(path, sizeof path, "%s/%s", svc->dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return ms_fail_errno(reterr, errno, "%s cannot be opened", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        int n = snprintf(holder, sizeof holder, "%-20ld\n", (long)getpid());
        if (pwrite(fd, holder, (size_t)n, 0) < 0)
            ms_log_event(svc->log, MS_LOG_DEBUG, "lock-note-not-written", NULL);
        *ret_fd = fd;
        return MS_OK;
    }
    ssize_t n = pread(fd, holder, sizeof holder - 1, 0);
    holder[n > 0 ? strcspn(holder, " \n") : 1] = '\0';
    close(fd);
    return ms_fail(reterr, MS_BUSY, "process %s", holder);
}

void ms_svc_close(struct ms_svc *svc) {
    if (!svc)
        return;
    if (svc->files)
        ms_files_free(svc->files);
    ms_prober_free(svc->prober);
    ms_writeback_stop(svc);
    ms_journal_close(svc->journal);
    if (svc->cache)
        ms_cache_free(svc->cache);
    ms_budget_free(svc->memory);
    ms_near_close(svc);
    ms_obj_close(svc->obj);
    ms_store_close(svc->store);
    ms_engine_free(svc->engine);
    free(svc);
}

enum ms_code ms_svc_await_mounts(struct ms_svc *svc, struct ms_mounts_seen *ret_seen,
                                 struct ms_error *reterr) {
    const struct ms_clock *clock = ms_clock_system();
    int64_t begun = ms_clock_mono_ns(clock);
    struct ms_mounts_seen seen = {0};

    MS_TRY(ms_store_await_answers(svc->store, MS_MOUNTS_WAIT_MS, &seen.late, &seen.n, reterr));
    seen.took_ms = (ms_clock_mono_ns(clock) - begun) / 1000000;
    *ret_seen = seen;
    return MS_OK;
}
