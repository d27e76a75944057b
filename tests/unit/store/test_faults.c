/* Disks that fail: this program answers for the system calls that write, and fails the ones that a test names. */
#include "store_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum call { PWRITE_META = 1, PWRITE_DATA = 2, WRITEV = 4, FDATASYNC = 8, FSYNC = 16, MKDIRAT = 32, RENAMEAT = 64 };
#define WRITES (PWRITE_META | PWRITE_DATA | WRITEV)
#define ALL 127

static struct {
    _Atomic unsigned calls;  /* which ones fail */
    _Atomic int after;       /* how many of them still succeed */
    _Atomic int times;       /* how many fail, -1: all */
    _Atomic int err;         /* 0: a short write */
    _Atomic unsigned fired, seen;
    _Atomic int disk_full; /* statvfs says so */
    _Atomic int real_statvfs;
} fault;

static void inject(unsigned calls, int after, int times, int err) {
    atomic_store(&fault.after, after);
    atomic_store(&fault.times, times);
    atomic_store(&fault.err, err);
    atomic_store(&fault.fired, 0);
    atomic_store(&fault.seen, 0);
    atomic_store(&fault.disk_full, 0);
    atomic_store(&fault.calls, calls);
}

static void heal(void) { inject(0, 0, 0, 0); }

static bool fails(enum call call) {
    if (!(atomic_load(&fault.calls) & call))
        return false;
    atomic_fetch_add(&fault.seen, 1);
    if (atomic_fetch_sub(&fault.after, 1) > 0)
        return false;
    if (atomic_load(&fault.times) == 0)
        return false;
    if (atomic_load(&fault.times) > 0)
        atomic_fetch_sub(&fault.times, 1);
    atomic_fetch_add(&fault.fired, 1);
    errno = atomic_load(&fault.err);
    return true;
}

/* LMDB asks for "pwrite"; with 64-bit offsets that word means another symbol here. */
ssize_t hooked_pwrite(int fd, const void *buf, size_t n, off_t at) __asm__("pwrite");

ssize_t hooked_pwrite(int fd, const void *buf, size_t n, off_t at) {
    /* LMDB writes its meta page as a hundred bytes of it, data in whole pages. */
    if (fails(n < 4096 ? PWRITE_META : PWRITE_DATA))
        return errno ? -1 : (ssize_t)(n / 2);
    return syscall(SYS_pwrite64, fd, buf, n, at);
}

ssize_t writev(int fd, const struct iovec *iov, int n) {
    if (fails(WRITEV))
        return errno ? -1 : (ssize_t)iov[0].iov_len / 2;
    return syscall(SYS_writev, fd, iov, n);
}

int fdatasync(int fd) { return fails(FDATASYNC) ? -1 : (int)syscall(SYS_fdatasync, fd); }
int fsync(int fd) { return fails(FSYNC) ? -1 : (int)syscall(SYS_fsync, fd); }

int mkdirat(int fd, const char *path, mode_t mode) {
    return fails(MKDIRAT) ? -1 : (int)syscall(SYS_mkdirat, fd, path, mode);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
    return fails(RENAMEAT) ? -1 : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int fstatvfs(int fd, struct statvfs *ret) {
    struct statfs fs;

    if (atomic_load(&fault.real_statvfs)) {
        if (fstatfs(fd, &fs) != 0)
            return -1;
        *ret = (struct statvfs){
            .f_frsize = (unsigned long)fs.f_frsize, .f_blocks = fs.f_blocks, .f_bavail = fs.f_bavail};
        return 0;
    }
    *ret = (struct statvfs){.f_frsize = 4096, .f_bavail = atomic_load(&fault.disk_full) ? 1 : 1 << 20};
    return 0;
}

/* ---- rule 8: EIO ends it ----------------------------------------------------------------------------------------- */

static void assert_all_panics(struct ms_store *store) {
    struct ms_txn *txn;

    assert_code(store_test_put(store, "k9", "later", &test_err), MS_PANIC);
    assert_code(ms_read_begin(store, &txn, &test_err), MS_PANIC);
    assert_code(ms_store_check(store, NULL, NULL, &test_err), MS_PANIC);
}

static void an_error_of_the_disk_at_commit_ends_all_use_and_loses_nothing(void **state) {
    static const unsigned calls[] = {FDATASYNC, PWRITE_META, PWRITE_DATA | WRITEV, ALL};
    struct store_test *t = *state;
    char *text;

    for (size_t i = 0; i < MS_ARRAY_LEN(calls); i++) {
        char key[8];

        snprintf(key, sizeof key, "k%zu", i);
        assert_ok(store_test_put(t->store, "k-good", key, &test_err));
        inject(calls[i], 0, i == 3 ? -1 : 1, EIO);
        assert_code(store_test_put(t->store, key, "must not be half", &test_err), MS_PANIC);
        assert_true(atomic_load(&fault.fired) > 0);
        assert_non_null(strstr(test_err.message, "restart"));
        if (i < 3)
            heal(); /* the disk is well again: no matter */
        assert_all_panics(t->store);
        store_test_close(t);
        heal();
        store_test_open(t);
        text = store_test_get(t->store, "k-good");
        assert_string_equal(text, key);
        free(text);
        text = store_test_get(t->store, key);
        assert_true(!text || strcmp(text, "must not be half") == 0); /* not acknowledged: either way */
        free(text);
        assert_null(store_test_get(t->store, "k9"));
        assert_ok(ms_store_check(t->store, NULL, NULL, &test_err));
    }
}

/* ---- full disks -------------------------------------------------------------------------------------------------- */

static void a_full_disk_refuses_writes_and_goes_on_reading(void **state) {
    static const int errs[] = {ENOSPC, EDQUOT, EFBIG};
    struct store_test *t = *state;
    char *text;

    assert_ok(store_test_put(t->store, "k1", "one", &test_err));
    for (size_t i = 0; i < MS_ARRAY_LEN(errs); i++)
        for (unsigned j = 0; j < 2; j++) {
            inject(j ? FDATASYNC : PWRITE_DATA | WRITEV, 0, -1, errs[i]);
            assert_code(store_test_put(t->store, "k2", "two", &test_err), MS_NO_SPACE);
            assert_code(store_test_del(t->store, "k1", &test_err), MS_NO_SPACE);
            assert_true(atomic_load(&fault.fired) >= 2);
            text = store_test_get(t->store, "k1");
            assert_string_equal(text, "one");
            free(text);
            assert_null(store_test_get(t->store, "k2"));
            heal(); /* somebody made room: no restart is needed */
            assert_ok(store_test_put(t->store, "k2", "two", &test_err));
            assert_ok(store_test_del(t->store, "k2", &test_err));
        }
}

static void a_write_cut_short_on_a_full_disk_is_no_panic(void **state) {
    struct store_test *t = *state;

    inject(PWRITE_DATA | WRITEV, 0, 1, 0);
    atomic_store(&fault.disk_full, 1);
    assert_code(store_test_put(t->store, "k1", "one", &test_err), MS_NO_SPACE);
    assert_int_equal(atomic_load(&fault.fired), 1);
    assert_ok(store_test_put(t->store, "k1", "one", &test_err));
}

struct queued {
    struct ms_write_request request;
    char key[8];
    _Atomic unsigned *done;
};

static enum ms_code put_key_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    (void)out;
    return ms_txn_put(txn, ms_view_str(in), ms_view_str("x"), reterr);
}

static void count_done(struct ms_write_request *request) {
    atomic_fetch_add(((struct queued *)request->priv)->done, 1);
}

static void a_batch_that_does_not_fit_the_disk_is_tried_one_by_one(void **state) {
    struct store_test *t = *state;
    struct ms_store_stats before, after;
    struct queued q[40];
    _Atomic unsigned done = 0;
    unsigned good = 0;

    ms_store_stats(t->store, &before);
    inject(FDATASYNC, 1, 1, ENOSPC); /* the first operation commits alone, then a batch fails */
    for (unsigned i = 0; i < 40; i++) {
        q[i] = (struct queued){.done = &done};
        snprintf(q[i].key, sizeof q[i].key, "k%u", i);
        q[i].request = (struct ms_write_request){
            .write = {.fn = put_key_op, .in = q[i].key}, .done = count_done, .priv = &q[i]};
        ms_store_submit(t->store, &q[i].request);
    }
    while (atomic_load(&done) < 40)
        ms_clock_sleep_ns(100000);
    for (unsigned i = 0; i < 40; i++) {
        char *text = store_test_get(t->store, q[i].key);

        assert_int_equal(q[i].request.code == MS_OK, text != NULL);
        assert_true(q[i].request.code == MS_OK || q[i].request.code == MS_NO_SPACE);
        good += q[i].request.code == MS_OK;
        free(text);
    }
    ms_store_stats(t->store, &after);
    assert_true(good >= 39 || after.batches_taken_apart == before.batches_taken_apart);
    heal();
}

static void a_store_is_opened_and_read_on_a_full_disk(void **state) {
    struct store_test *t = *state;
    char *text;

    assert_ok(store_test_put(t->store, "k1", "one", &test_err));
    store_test_close(t);
    inject(PWRITE_DATA | WRITEV, 0, -1, ENOSPC);
    store_test_open(t);
    assert_int_equal(ms_store_fence(t->store), 0); /* not registered yet */
    text = store_test_get(t->store, "k1");
    assert_string_equal(text, "one");
    free(text);
    assert_code(store_test_put(t->store, "k2", "two", &test_err), MS_NO_SPACE);
    heal();
    assert_ok(store_test_put(t->store, "k2", "two", &test_err));
    assert_int_not_equal(ms_store_fence(t->store), 0);
}

static bool has(struct ms_store *store, const char *key) {
    char *text = store_test_get(store, key);
    bool there = text != NULL;

    free(text);
    return there;
}

/* Write until nothing more goes in; 0, or where it went wrong. The last key that went in: *ret_n. */
static int fill_store(struct ms_store_options *o, const char *value, unsigned *ret_n) {
    struct ms_store *store = NULL;
    enum ms_code code = MS_OK;
    unsigned n = 0;
    char key[16];

    if (ms_store_open(o, &store, NULL) != MS_OK)
        return 2;
    while (code == MS_OK && n < 4000) {
        snprintf(key, sizeof key, "k%u", n++);
        code = store_test_put(store, key, value, NULL);
    }
    snprintf(key, sizeof key, "k%u", n - 2);
    if (code != MS_NO_SPACE || n < 100 || !has(store, key)) /* reads go on */
        return 3;
    ms_store_close(store); /* leaves its row behind */
    *ret_n = n - 2;
    return 0;
}

/* As a deletion does: one row goes, others say so in other places. */
static enum ms_code delete_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    static const char row[600];
    enum ms_code code = ms_txn_del(txn, ms_view_str(in), reterr);

    (void)out;
    for (char table = 'a'; code == MS_OK && table <= 'j'; table++) {
        char key[24];

        snprintf(key, sizeof key, "%c-%s", table, (const char *)in);
        code = ms_txn_put(txn, ms_view_str(key), ms_view_of(row, sizeof row), reterr);
    }
    return code;
}

static enum ms_code delete_freeing(struct ms_store *store, const char *key) {
    return ms_store_write(store, &(struct ms_write){.fn = delete_op, .in = key, .frees = true}, NULL);
}

/* Not one block left: what is there is read, nothing else is taken, and a new store is not half made. */
static int use_full_disk(struct ms_store_options *o, const char *top, const char *value, const char *key) {
    struct ms_store *store = NULL;
    const char *dir = o->dir;
    enum ms_code code = MS_OK;
    unsigned more = 0;
    char path[4200];
    FILE *f;

    snprintf(path, sizeof path, "%s/filler", top);
    f = fopen(path, "w");
    while (f && fwrite(value, 1, 512, f) == 512 && fflush(f) == 0)
        ;
    if (!f || (fclose(f) != 0 && errno != ENOSPC))
        return 4;
    if (ms_store_open(o, &store, NULL) != MS_OK || !has(store, key))
        return 5;
    while (code == MS_OK && more < 100) { /* a few pages of the file may be free */
        snprintf(path, sizeof path, "more%u", more++);
        code = store_test_put(store, path, value, NULL);
    }
    if (code != MS_NO_SPACE || ms_store_check(store, NULL, NULL, NULL) != MS_OK)
        return 6;
    for (unsigned i = 0; i < 5; i++) { /* room was kept for that */
        snprintf(path, sizeof path, "k%u", i * 3);
        if (delete_freeing(store, path) != MS_OK || has(store, path) || !has(store, key))
            return 12;
    }
    ms_store_close(store);
    store = NULL;
    snprintf(path, sizeof path, "%s/t", top);
    o->dir = path;
    if (ms_store_open(o, &store, NULL) != MS_NO_SPACE || access(path, F_OK) == 0)
        return 7;
    o->dir = dir;
    snprintf(path, sizeof path, "%s/filler", top);
    return unlink(path) == 0 ? 0 : 8;
}

static int delete_and_write(struct ms_store_options *o, const char *value) {
    struct ms_store *store = NULL;
    char key[16];

    if (ms_store_open(o, &store, NULL) != MS_OK)
        return 9;
    for (unsigned i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%u", i);
        if (store_test_del(store, key, NULL) != MS_OK)
            return 10;
    }
    if (store_test_put(store, "k-more", value, NULL) != MS_OK)
        return 11;
    ms_store_close(store);
    return 0;
}

/* A real disk: a file system of eight megabytes in a mount namespace of its own. 77: not allowed here. */
static int tiny_disk_child(struct ms_store_options *o, unsigned place, unsigned n) {
    char top[4096], key[16], path[4200], value[3000];
    unsigned last = 0;
    int status;

    (void)place, (void)n;
    atomic_store(&fault.real_statvfs, 1);
    snprintf(top, sizeof top, "%s.disk", o->dir);
    if (mkdir(top, 0700) != 0)
        return 1;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", top, "tmpfs", 0, "size=8m") != 0)
        return 77;
    snprintf(path, sizeof path, "%s/s", top);
    o->dir = path;
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    status = fill_store(o, value, &last);
    snprintf(key, sizeof key, "k%u", last);
    if (status == 0)
        status = use_full_disk(o, top, value, key);
    return status == 0 ? delete_and_write(o, value) : status;
}

static void a_small_disk_fills_up_and_recovers(void **state) {
    struct store_test *t = *state;
    int status = store_test_run(t, "tiny-disk", 0, 0);

    if (status == 77)
        skip();
    assert_int_equal(status, 0);
}

/* ---- making a store --------------------------------------------------------------------------------------------- */

static void a_creation_that_fails_anywhere_leaves_nothing_and_can_be_repeated(void **state) {
    struct store_test *t = *state;
    unsigned fired = 0, n;

    store_test_close(t);
    for (n = 0; n < 200; n++) {
        char name[16];
        struct stat st;
        enum ms_code code;
        char *meta, *half;

        free(t->store_dir);
        snprintf(name, sizeof name, "n%u", n);
        t->store_dir = ms_test_path(t->dir, name);
        t->options.dir = t->store_dir;
        meta = ms_test_path(t->store_dir, "meta");
        half = ms_test_path(t->store_dir, "meta.new");
        inject(ALL, (int)n, 1, EIO);
        code = ms_store_open(&t->options, &t->store, NULL);
        if (atomic_load(&fault.fired) == 0) {
            heal();
            assert_int_equal(code, MS_OK);
            free(meta), free(half);
            break;
        }
        fired++;
        heal();
        assert_int_not_equal(stat(half, &st), 0);
        if (stat(meta, &st) != 0)
            assert_int_not_equal(stat(t->store_dir, &st), 0); /* nor the folder that was made for it */
        if (code == MS_OK)
            store_test_close(t);
        store_test_open(t);
        assert_ok(store_test_put(t->store, "k", "v", &test_err));
        store_test_close(t);
        free(meta), free(half);
    }
    assert_true(fired >= 10);
    print_message("%u places\n", fired);
}

/* ---- copies ------------------------------------------------------------------------------------------------------ */

static void a_copy_that_cannot_be_synced_leaves_nothing(void **state) {
    struct store_test *t = *state;
    char *to = ms_test_path(t->dir, "copy");

    assert_int_equal(mkdir(to, 0700), 0);
    inject(FSYNC, 0, 1, EIO);
    assert_code(ms_store_copy(t->store, to, &test_err), MS_IO);
    heal();
    assert_ok(ms_store_copy(t->store, to, &test_err)); /* it is still empty */
    free(to);
}

/* ---- rule 9: SIGBUS -------------------------------------------------------------------------------------------- */

static int truncated_child(struct ms_store_options *o, unsigned place, unsigned n) {
    char key[16], path[4096];
    struct ms_store *store = NULL;

    (void)place, (void)n;
    if (ms_store_open(o, &store, NULL) != MS_OK)
        return 1;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "k%u", i);
        if (store_test_put(store, key, "some text that fills a few pages in the end, line by line", NULL) != MS_OK)
            return 2;
    }
    snprintf(path, sizeof path, "%s/meta/data.mdb", o->dir);
    if (truncate(path, 8192) != 0)
        return 3;
    free(store_test_get(store, "k199"));
    return 4;
}

static void a_file_truncated_under_the_map_ends_the_process_with_a_line(void **state) {
    struct store_test *t = *state;
    int out[2], kept = dup(STDERR_FILENO), status;
    char text[2048] = "";
    ssize_t n;

    store_test_close(t);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    dup2(out[1], STDERR_FILENO);
    status = store_test_run(t, "truncated", 0, 0);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(out[1]);
    n = read(out[0], text, sizeof text - 1);
    close(out[0]);
    assert_int_equal(status, 70);
    assert_true(n > 0);
    assert_non_null(strstr(text, "SIGBUS"));
}

static const struct store_test_child children[] = {
    {"truncated", truncated_child}, {"tiny-disk", tiny_disk_child}, {NULL, NULL}};

int main(int argc, char **argv) {
#define T(f) cmocka_unit_test_setup_teardown(f, store_test_setup, store_test_teardown)
    const struct CMUnitTest tests[] = {
        T(an_error_of_the_disk_at_commit_ends_all_use_and_loses_nothing),
        T(a_full_disk_refuses_writes_and_goes_on_reading),
        T(a_write_cut_short_on_a_full_disk_is_no_panic),
        T(a_batch_that_does_not_fit_the_disk_is_tried_one_by_one),
        T(a_store_is_opened_and_read_on_a_full_disk),
        T(a_small_disk_fills_up_and_recovers),
        T(a_creation_that_fails_anywhere_leaves_nothing_and_can_be_repeated),
        T(a_copy_that_cannot_be_synced_leaves_nothing),
        T(a_file_truncated_under_the_map_ends_the_process_with_a_line),
    };
    int status;

    if (store_test_main(argc, argv, children, &status))
        return status;
    return cmocka_run_group_tests_name("store faults", tests, NULL, NULL);
}
