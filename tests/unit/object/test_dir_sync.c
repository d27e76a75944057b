/* What is on disk when the directory store says that it is, and what stays when the system refuses a call.
 *
 * The test's own definitions of a few system calls stand before libc's: they note what was called on which file,
 * fail the Nth call, or act as a file system without extended attributes. No strace, no hook in the store.
 */
#include "dir_rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#define EVENTS_MAX 256

struct event {
    const char *call;
    char path[256];
};

/* The system calls below have no other way to know their test. */
static struct {
    pthread_mutex_t mutex;
    bool on;
    struct event events[EVENTS_MAX];
    size_t n;
    unsigned fail_at, calls; /* fail_at 0: none */
    bool failed, no_attributes;
    bool lazy; /* syncs are noted and not done: nobody pulls the plug here, and they take the time */
} watch = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void name_of(int fd, char *ret_path, size_t size) {
    char proc[64], *upto;
    ssize_t n;

    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    n = readlink(proc, ret_path, size - 1);
    ret_path[n > 0 ? n : 0] = '\0';
    upto = strstr(ret_path, "/objects");
    if (upto)
        memmove(ret_path, upto + 8, strlen(upto + 8) + 1);
}

/* False: the call is to fail. */
static bool note(const char *call, int fd, const char *name) {
    char path[200] = "";
    bool go_on = true;
    int err = errno;

    pthread_mutex_lock(&watch.mutex);
    if (watch.on) {
        name_of(fd, path, sizeof path);
        if (watch.n < EVENTS_MAX) {
            watch.events[watch.n].call = call;
            snprintf(watch.events[watch.n].path, sizeof watch.events->path, "%s%s%s", path,
                     name ? "/" : "", name ? name : "");
            watch.n++;
        }
        watch.calls++;
        go_on = watch.calls != watch.fail_at;
        watch.failed = watch.failed || !go_on;
    }
    pthread_mutex_unlock(&watch.mutex);
    errno = err;
    return go_on;
}

static int fail_with(int err) {
    errno = err;
    return -1;
}

static int sync_it(const char *call, long number, int fd) {
    if (!note(call, fd, NULL))
        return fail_with(EIO);
    return watch.lazy ? 0 : (int)syscall(number, fd);
}

int fsync(int fd) { return sync_it("fsync", SYS_fsync, fd); }

int fdatasync(int fd) { return sync_it("fdatasync", SYS_fdatasync, fd); }

ssize_t pwrite(int fd, const void *p, size_t n, off_t offset) {
    return note("pwrite", fd, NULL) ? syscall(SYS_pwrite64, fd, p, n, offset) : fail_with(ENOSPC);
}

ssize_t write(int fd, const void *p, size_t n) {
    return note("write", fd, NULL) ? syscall(SYS_write, fd, p, n) : fail_with(ENOSPC);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
    return note("rename", to_fd, to) ? (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0)
                                     : fail_with(EIO);
}

int mkdirat(int fd, const char *name, mode_t mode) {
    return note("mkdir", fd, name) ? (int)syscall(SYS_mkdirat, fd, name, mode) : fail_with(ENOSPC);
}

int unlinkat(int fd, const char *name, int flags) {
    return note("unlink", fd, name) ? (int)syscall(SYS_unlinkat, fd, name, flags) : fail_with(EIO);
}

int ftruncate(int fd, off_t size) {
    return note("ftruncate", fd, NULL) ? (int)syscall(SYS_ftruncate, fd, size) : fail_with(EIO);
}

int fsetxattr(int fd, const char *name, const void *value, size_t n, int flags) {
    bool go_on = note("fsetxattr", fd, NULL);

    return go_on && !watch.no_attributes ? (int)syscall(SYS_fsetxattr, fd, name, value, n, flags)
                                         : fail_with(ENOTSUP);
}

ssize_t fgetxattr(int fd, const char *name, void *value, size_t n) {
    return watch.no_attributes ? fail_with(ENOTSUP) : syscall(SYS_fgetxattr, fd, name, value, n);
}

static void watch_start(unsigned fail_at) {
    pthread_mutex_lock(&watch.mutex);
    watch.n = watch.calls = 0;
    watch.fail_at = fail_at;
    watch.failed = false;
    watch.on = true;
    pthread_mutex_unlock(&watch.mutex);
}

static bool watch_stop(void) {
    bool failed;

    pthread_mutex_lock(&watch.mutex);
    watch.on = false;
    failed = watch.failed;
    pthread_mutex_unlock(&watch.mutex);
    return failed;
}

/* ---- what was done in which order ---- */

static bool is_like(const struct event *e, const char *call, const char *path) {
    size_t n = strlen(path);
    bool open_end = n > 0 && path[n - 1] == '*';

    return strcmp(e->call, call) == 0 &&
           (open_end ? strncmp(e->path, path, n - 1) == 0 : strcmp(e->path, path) == 0);
}

/* The first such event at or behind `from`; fails the test when there is none. */
static size_t find(size_t from, const char *call, const char *path) {
    for (size_t i = from; i < watch.n; i++)
        if (is_like(&watch.events[i], call, path))
            return i;
    print_message("no %s of '%s' behind event %zu of:\n", call, path, from);
    for (size_t i = 0; i < watch.n; i++)
        print_message("  %2zu %s %s\n", i, watch.events[i].call, watch.events[i].path);
    fail();
    return 0;
}

static void a_put_is_synced_before_it_is_renamed_and_its_folders_after(void **state) {
    struct dir_rig *rig = *state;
    size_t written, synced, renamed;

    watch_start(0);
    assert_ok(dir_put(rig, "a/b/c", "x", 1));
    watch_stop();
    written = find(0, "pwrite", "/.uploads/put-*");
    find(0, "fsetxattr", "/.uploads/put-*");
    synced = find(written, "fsync", "/.uploads/put-*");
    assert_true(find(0, "fsetxattr", "/.uploads/put-*") < synced);
    renamed = find(synced, "rename", "/a/b/c");
    find(renamed, "fsync", "/a/b");
    find(renamed, "fsync", "/a"); /* the entry b is new */
    find(renamed, "fsync", "");   /* the entry a too */
}

static void an_empty_put_is_synced_too(void **state) {
    struct dir_rig *rig = *state;

    watch_start(0);
    assert_ok(dir_put(rig, "e", "", 0));
    watch_stop();
    find(find(find(0, "fsync", "/.uploads/put-*"), "rename", "/e"), "fsync", "");
}

static void a_part_is_synced_before_it_is_noted_and_the_note_too(void **state) {
    struct dir_rig *rig = *state;
    char id[MS_UPLOAD_ID_MAX + 1], data[400], log[400], folder[300];
    struct ms_obj_part part;
    size_t at;

    assert_ok(dir_mp_create(rig, "k", id));
    snprintf(folder, sizeof folder, "/.uploads/%s", id);
    snprintf(data, sizeof data, "%s/data", folder);
    snprintf(log, sizeof log, "%s/log", folder);
    watch_start(0);
    assert_ok(dir_mp_put(rig, "k", id, 1, 0, "abc", 3, &part));
    watch_stop();
    find(0, "fsync", log); /* the first part makes the upload itself durable */
    find(0, "fsync", folder);
    find(0, "fsync", "/.uploads");
    at = find(find(0, "pwrite", data), "fdatasync", data);
    find(find(at, "write", log), "fdatasync", log);

    watch_start(0); /* the same part again: first it is made another one */
    assert_ok(dir_mp_put(rig, "k", id, 1, 0, "def", 3, &part));
    watch_stop();
    at = find(find(0, "write", log), "fdatasync", log);
    assert_true(at < find(0, "pwrite", data));
    at = find(find(at, "pwrite", data), "fdatasync", data);
    find(find(at, "write", log), "fdatasync", log);
}

static void a_completed_upload_is_synced_around_its_rename(void **state) {
    struct dir_rig *rig = *state;
    char id[MS_UPLOAD_ID_MAX + 1], data[300];
    struct ms_obj_part part;
    size_t renamed;

    assert_ok(dir_mp_create(rig, "a/k", id));
    assert_ok(dir_mp_put(rig, "a/k", id, 1, 0, "abc", 3, &part));
    snprintf(data, sizeof data, "/.uploads/%s/data", id);
    watch_start(0);
    assert_ok(dir_mp_complete(rig, "a/k", id, &part, 1));
    watch_stop();
    renamed = find(find(0, "fsync", data), "rename", "/a/k");
    find(renamed, "fsync", "/a");
    find(renamed, "fsync", "");
    watch_start(0); /* repeated after a lost answer: whoever renamed it may have died before his sync */
    assert_ok(dir_mp_complete(rig, "a/k", id, &part, 1));
    watch_stop();
    find(0, "fsync", "/a");
}

static void a_delete_is_synced(void **state) {
    struct dir_rig *rig = *state;
    struct ms_obj_request r = {.op = MS_OBJ_DELETE, .key = "a/b"};

    assert_ok(dir_put(rig, "a/b", "x", 1));
    watch_start(0);
    assert_ok(dir_op(rig, &r));
    watch_stop();
    find(find(0, "unlink", "/a/b"), "fsync", "/a");
}

/* ---- the Nth call fails ---- */

struct work {
    const char *name;
    void (*prepare)(struct dir_rig *rig, struct work *w);
    enum ms_code (*run)(struct dir_rig *rig, struct work *w);
    bool (*before)(struct dir_rig *rig), (*after)(struct dir_rig *rig); /* is the store so? */
    char id[MS_UPLOAD_ID_MAX + 1];
    struct ms_obj_part part[2];
};

static bool is_absent(struct dir_rig *rig) { return !dir_has(rig, "k/o", "new", 3) && dir_list(rig) == 0; }
static bool is_new(struct dir_rig *rig) { return dir_has(rig, "k/o", "new", 3) && dir_list(rig) == 1; }
static bool is_old(struct dir_rig *rig) { return dir_has(rig, "k/o", "older", 5) && dir_list(rig) == 1; }

static void prepare_old(struct dir_rig *rig, struct work *w) {
    (void)w;
    assert_ok(dir_put(rig, "k/o", "older", 5));
}

static enum ms_code run_put(struct dir_rig *rig, struct work *w) {
    (void)w;
    return dir_put(rig, "k/o", "new", 3);
}

static enum ms_code run_delete(struct dir_rig *rig, struct work *w) {
    struct ms_obj_request r = {.op = MS_OBJ_DELETE, .key = "k/o"};

    (void)w;
    return dir_op(rig, &r);
}

static enum ms_code run_upload(struct dir_rig *rig, struct work *w) {
    enum ms_code code = dir_mp_create(rig, "k/o", w->id);

    if (code == MS_OK)
        code = dir_mp_put(rig, "k/o", w->id, 1, 0, "ne", 2, &w->part[0]);
    if (code == MS_OK)
        code = dir_mp_put(rig, "k/o", w->id, 2, 2, "w", 1, &w->part[1]);
    return code == MS_OK ? dir_mp_complete(rig, "k/o", w->id, w->part, 2) : code;
}

static void prepare_parts(struct dir_rig *rig, struct work *w) {
    assert_ok(dir_mp_create(rig, "k/o", w->id));
    assert_ok(dir_mp_put(rig, "k/o", w->id, 1, 0, "other", 5, &w->part[0]));
}

/* Send a part again, shorter, and complete: both may be repeated as a whole. */
static enum ms_code run_replace(struct dir_rig *rig, struct work *w) {
    enum ms_code code = dir_mp_put(rig, "k/o", w->id, 1, 0, "new", 3, &w->part[0]);

    if (code == MS_NOT_FOUND) /* completed by the run before, which then failed */
        snprintf(w->part[0].etag, sizeof w->part[0].etag, "any");
    else if (code != MS_OK)
        return code;
    return dir_mp_complete(rig, "k/o", w->id, w->part, 1);
}

static enum ms_code run_copy(struct dir_rig *rig, struct work *w) {
    struct ms_obj_request r = {.op = MS_OBJ_COPY, .source_key = "k/o", .key = "copied/o"};

    (void)w;
    return dir_op(rig, &r);
}

static bool is_copied(struct dir_rig *rig) {
    return dir_has(rig, "copied/o", "older", 5) && dir_has(rig, "k/o", "older", 5) && dir_list(rig) == 2;
}

static void fail_each_call(struct work *w) {
    unsigned failures = 0, kept = 0;
    bool failed = true;

    for (unsigned n = 1; failed; n++) {
        void *state = NULL;
        struct dir_rig *rig;
        enum ms_code code;

        dir_rig_new(&state);
        rig = state;
        if (w->prepare)
            w->prepare(rig, w);
        watch_start(n);
        code = w->run(rig, w);
        failed = watch_stop();
        if (failed && code != MS_OK) {
            failures++;
            kept += !w->before(rig);
            if (!w->before(rig) && !w->after(rig))
                print_message("%s: call %u failed and left neither\n", w->name, n);
            assert_true(w->before(rig) || w->after(rig));
        } else {
            assert_int_equal(code, MS_OK); /* a failure that does not matter, or none */
            assert_true(w->after(rig));
        }
        assert_ok(w->run(rig, w));
        assert_true(w->after(rig));
        dir_reopen(rig);
        assert_true(w->after(rig));
        dir_rig_free(&state);
    }
    print_message("%s: %u calls failed, %u of them after it was done\n", w->name, failures, kept);
    assert_true(failures >= 2);
}

static void any_call_may_fail_and_nothing_is_half_done(void **state) {
    static struct work works[] = {
        {.name = "PUT", .run = run_put, .before = is_absent, .after = is_new},
        {.name = "PUT over another", .prepare = prepare_old, .run = run_put, .before = is_old, .after = is_new},
        {.name = "DELETE", .prepare = prepare_old, .run = run_delete, .before = is_old, .after = is_absent},
        {.name = "upload", .run = run_upload, .before = is_absent, .after = is_new},
        {.name = "part again", .prepare = prepare_parts, .run = run_replace, .before = is_absent, .after = is_new},
        {.name = "COPY", .prepare = prepare_old, .run = run_copy, .before = is_old, .after = is_copied},
    };

    (void)state;
    watch.lazy = true;
    for (size_t i = 0; i < MS_ARRAY_LEN(works); i++)
        fail_each_call(&works[i]);
    watch.lazy = false;
}

/* ---- file systems without extended attributes ---- */

static void without_attributes_metadata_stands_beside(void **state) {
    struct dir_rig *rig = *state;
    struct ms_obj_meta meta = {.content_type = "a/b", .pair = {{"k", "v"}}, .pairs = 1};
    struct ms_obj_request put = put_request("d/o", "bytes"), head = {.op = MS_OBJ_HEAD, .key = "d/o"};
    struct ms_obj_request delete = {.op = MS_OBJ_DELETE, .key = "d/o"};
    size_t written;

    watch.no_attributes = true;
    put.meta = &meta;
    watch_start(0);
    assert_ok(dir_op(rig, &put));
    watch_stop();
    written = find(0, "rename", "/.sidecar/d/o"); /* before the object itself */
    find(find(written, "fsync", "/.sidecar/d"), "rename", "/d/o");
    assert_ok(dir_op(rig, &head));
    assert_string_equal(head.ret_etag, put.ret_etag);
    assert_string_equal((char *)head.ret_meta.data, "content-type=a/b\nk=v\n");
    assert_int_equal(dir_list(rig), 1);
    assert_ok(dir_op(rig, &delete));
    assert_int_equal(dir_count(rig, ".sidecar"), 0);
    watch.no_attributes = false;
    ms_buf_fini(&head.ret_meta);
}

static void a_sidecar_of_other_bytes_is_not_believed(void **state) {
    struct dir_rig *rig = *state;
    struct ms_obj_request head = {.op = MS_OBJ_HEAD, .key = "o"};
    char *path = dir_path(rig, "o");

    watch.no_attributes = true;
    assert_ok(dir_put(rig, "o", "bytes", 5));
    ms_test_write_file(path, "other bytes", 11); /* by another tool */
    free(path);
    assert_ok(dir_op(rig, &head));
    assert_int_equal(strncmp(head.ret_etag, "file-b-", 7), 0);
    watch.no_attributes = false;
    ms_buf_fini(&head.ret_meta);
}

static void uploads_work_without_attributes(void **state) {
    struct dir_rig *rig = *state;
    struct work w = {0};

    watch.no_attributes = true;
    assert_ok(run_upload(rig, &w));
    assert_true(is_new(rig));
    assert_ok(dir_mp_complete(rig, "k/o", w.id, w.part, 2)); /* knows its upload from the sidecar */
    watch.no_attributes = false;
}

static void without_attributes_nothing_is_half_done_either(void **state) {
    watch.no_attributes = true;
    any_call_may_fail_and_nothing_is_half_done(state);
    watch.no_attributes = false;
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, dir_rig_new, dir_rig_free)
    const struct CMUnitTest tests[] = {
        T(a_put_is_synced_before_it_is_renamed_and_its_folders_after),
        T(an_empty_put_is_synced_too),
        T(a_part_is_synced_before_it_is_noted_and_the_note_too),
        T(a_completed_upload_is_synced_around_its_rename),
        T(a_delete_is_synced),
        cmocka_unit_test(any_call_may_fail_and_nothing_is_half_done),
        T(without_attributes_metadata_stands_beside),
        T(a_sidecar_of_other_bytes_is_not_believed),
        T(uploads_work_without_attributes),
        cmocka_unit_test(without_attributes_nothing_is_half_done_either),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
