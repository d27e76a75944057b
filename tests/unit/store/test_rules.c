/* The fourteen rules for LMDB, each with the test that holds it; those without a name here stand below.
 *
 *   1 no flag but MDB_NOTLS        rule_1
 *   2 one environment per process  rule_2
 *   3 none across fork             rule_3, rule_3_files
 *   4 transactions of one thread,  rule_4_*; test_store.c: a_read_has_a_cap_of_one_second
 *     reads of at most a second
 *   5 reader checks                test_room.c: the_slot_of_a_killed_reader_..., a_full_reader_table_...
 *   6 room in the map              test_room.c: a_full_map_grows, four_processes_grow_one_map_...,
 *                                  a_map_at_its_limit_alarms_refuses_and_still_deletes; rule_6
 *   7 local file systems           test_folder.c: file_systems_that_are_not_local_are_refused_by_name
 *   8 stop after EIO or panic      test_faults.c: an_error_of_the_disk_at_commit_ends_all_use_...
 *   9 SIGBUS                       test_faults.c: a_file_truncated_under_the_map_...
 *  10 copies are verified          test_rot.c: a_copy_of_a_damaged_store_...; test_store.c: a_copy_is_a_store
 *  11 keys                         rule_11
 *  12 a checksum per record        test_rot.c: every_flipped_byte_...; test_folder.c: a_store_of_format_2_...
 *  13 group commit                 test_group.c
 *  14 the files stay               rule_14
 */
#include "store_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void rule_1_no_flag_gives_durability_away(void **state) {
    struct store_test *t = *state;
    unsigned flags = 0;

    assert_int_equal(mdb_env_get_flags(t->store->env, &flags), 0);
    assert_int_equal(flags & (MDB_WRITEMAP | MDB_MAPASYNC | MDB_NOSYNC | MDB_NOMETASYNC), 0);
    assert_int_equal(flags & (MDB_NOLOCK | MDB_NOMEMINIT), 0);
    assert_int_equal(flags & MDB_NOTLS, MDB_NOTLS);
}

/* 0 when another process finds the reader table of this one in use, so its locks are still there. */
static int excl_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    char path[4096];
    int fd;

    (void)place, (void)n;
    snprintf(path, sizeof path, "%s/meta/lock.mdb", o->dir);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fcntl(fd, F_GETLK, &lock) != 0)
        return 1;
    return lock.l_type == F_UNLCK ? 2 : 0;
}

static void rule_2_a_process_opens_a_store_once(void **state) {
    struct store_test *t = *state;
    struct ms_store *second = NULL;

    assert_int_equal(store_test_run(t, "excl", 0, 0), 0);
    assert_code(ms_store_open(&t->options, &second, &test_err), MS_BUSY);
    t->options.read_only = true;
    assert_code(ms_store_open(&t->options, &second, &test_err), MS_BUSY);
    assert_int_equal(store_test_run(t, "excl", 0, 0), 0); /* the refusal has not dropped the locks */
    assert_ok(store_test_put(t->store, "k1", "one", &test_err));
    t->options.read_only = false;
    store_test_close(t);
    store_test_open(t);
}

static void no_core(void) { setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); }

/* How a child of fork ends that runs fn. */
static int in_fork(void (*fn)(struct store_test *t), struct store_test *t) {
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        no_core();
        signal(SIGABRT, SIG_DFL);
        dup2(null, STDERR_FILENO);
        fn(t);
        _exit(0);
    }
    return store_test_wait(pid);
}

static void read_in_child(struct store_test *t) {
    struct ms_txn *txn;

    if (ms_read_begin(t->store, &txn, NULL) == MS_OK)
        _exit(1);
}

static void write_in_child(struct store_test *t) {
    if (store_test_put(t->store, "k1", "from a child", NULL) == MS_OK)
        _exit(1);
}

static void rule_3_a_forked_child_cannot_use_the_store(void **state) {
    struct store_test *t = *state;

    assert_int_equal(in_fork(read_in_child, t), -SIGABRT);
    assert_int_equal(in_fork(write_in_child, t), -SIGABRT);
    assert_ok(store_test_put(t->store, "k1", "one", &test_err));
}

static void rule_3_files_of_the_store_close_on_exec(void **state) {
    struct store_test *t = *state;
    DIR *d = opendir("/proc/self/fd");
    unsigned ours = 0;
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d))) {
        char path[4096] = "";
        int fd = (int)strtol(e->d_name, NULL, 10);

        if (e->d_name[0] == '.' || readlinkat(dirfd(d), e->d_name, path, sizeof path - 1) < 0 ||
            strncmp(path, t->store_dir, strlen(t->store_dir)) != 0)
            continue;
        ours++;
        if (!(fcntl(fd, F_GETFD) & FD_CLOEXEC))
            fail_msg("%s stays open across exec", path);
    }
    closedir(d);
    assert_true(ours >= 5); /* data twice, lock, run file, folders */
}

static void nested_read(struct store_test *t) {
    struct ms_txn *txn;

    if (ms_read_begin(t->store, &txn, NULL) == MS_OK && ms_read_begin(t->store, &txn, NULL) == MS_OK)
        _exit(1);
}

static void write_inside_read(struct store_test *t) {
    struct ms_txn *txn;

    if (ms_read_begin(t->store, &txn, NULL) == MS_OK && store_test_put(t->store, "k", "v", NULL) == MS_OK)
        _exit(1);
}

static void scan_left_open(struct store_test *t) {
    struct ms_txn *txn;
    struct ms_scan scan;

    if (ms_read_begin(t->store, &txn, NULL) != MS_OK)
        _exit(1);
    ms_scan_prefix(&scan, txn, ms_view_of("\0", 0));
    if (ms_scan_next(&scan, NULL, NULL, NULL) == MS_OK)
        ms_read_end(txn);
}

static enum ms_code own_key_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    (void)in, (void)out;
    return ms_txn_put(txn, ms_view_of("\0x", 2), ms_view_str("v"), reterr);
}

static void put_own_key(struct store_test *t) {
    if (ms_store_write(t->store, &(struct ms_write){.fn = own_key_op}, NULL) == MS_OK)
        _exit(1);
}

static enum ms_code redate_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    (void)in, (void)out, (void)reterr;
    ms_txn_not_before(txn, ms_instant_add_ms(ms_txn_instant(txn), 1));
    return MS_OK;
}

static void date_twice(struct store_test *t) {
    if (ms_store_write(t->store, &(struct ms_write){.fn = redate_op}, NULL) == MS_OK)
        _exit(1);
}

/* What the program itself does wrong stops it. Each child opens a store of its own: it was forked without one. */
static void (*wrong)(struct store_test *t);

static void open_and_do_wrong(struct store_test *t) {
    t->options.clock = ms_clock_system();
    t->options.random = ms_random_system();
    if (ms_store_open(&t->options, &t->store, NULL) != MS_OK ||
        store_test_put(t->store, "k", "v", NULL) != MS_OK)
        _exit(2);
    wrong(t);
}

static void rule_4_misuse_of_transactions_stops_the_program(void **state) {
    static void (*const all[])(struct store_test *t) = {nested_read, write_inside_read, scan_left_open, put_own_key,
                                                        date_twice};
    struct store_test *t = *state;

    store_test_close(t);
    for (size_t i = 0; i < MS_ARRAY_LEN(all); i++) {
        wrong = all[i];
        assert_int_equal(in_fork(open_and_do_wrong, t), -SIGABRT);
    }
}

static void log_line(struct ms_log *log, enum ms_log_level level, const char *line) {
    (void)level;
    if (strstr(line, "store.long_reads"))
        __atomic_fetch_add((unsigned *)log->priv, 1, __ATOMIC_SEQ_CST);
}

static void rule_4_a_read_that_stays_open_is_reported(void **state) {
    struct store_test *t = *state;
    unsigned lines = 0;
    struct ms_log log = {log_line, MS_LOG_WARN, &lines};
    struct ms_txn *txn;

    store_test_close(t);
    t->options.log = &log;
    store_test_open(t);
    assert_ok(ms_read_begin(t->store, &txn, &test_err));
    ms_clock_fake_advance(&t->clock, 1500);
    ms_writer_tick(t->store);
    for (unsigned i = 0; i < 60000 && __atomic_load_n(&lines, __ATOMIC_SEQ_CST) == 0; i++)
        ms_clock_sleep_ns(1000000);
    ms_read_end(txn);
    store_test_close(t);
    assert_int_equal(lines, 1);
}

static void rule_6_the_map_is_reserved_large_and_the_file_small(void **state) {
    struct store_test *t = *state;
    char *path = ms_test_path(t->store_dir, "meta/data.mdb");
    struct ms_store_stats s;
    struct stat st;

    store_test_close(t);
    t->options.map_bytes = t->options.map_bytes_max = 0;
    store_test_open(t);
    ms_store_stats(t->store, &s);
    assert_true(s.map_bytes == (uint64_t)64 << 30);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size < 1 << 20);
    assert_true(s.readers_max >= 512);
    free(path);
}

struct sized {
    size_t key, value;
};

static enum ms_code sized_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    static const uint8_t bytes[MS_VALUE_MAX + 1] = {'k'};
    const struct sized *s = in;
    struct ms_view v;
    enum ms_code code = ms_txn_put(txn, ms_view_of(bytes, s->key), ms_view_of(bytes, s->value), reterr);

    (void)out;
    if (code == MS_OK)
        code = ms_txn_get(txn, ms_view_of(bytes, s->key), &v, reterr);
    return code == MS_OK && v.n != s->value ? MS_INTERNAL : code;
}

static void rule_11_keys_have_1_to_500_bytes_and_sort_by_them(void **state) {
    static const struct {
        struct sized s;
        enum ms_code want;
    } rows[] = {
        {{1, 0}, MS_OK},   {{500, 1}, MS_OK}, {{501, 1}, MS_RANGE},           {{511, 1}, MS_RANGE},
        {{0, 1}, MS_RANGE}, {{5000, 1}, MS_RANGE}, {{2, MS_VALUE_MAX}, MS_OK}, {{2, MS_VALUE_MAX + 1}, MS_RANGE},
    };
    struct store_test *t = *state;
    struct ms_txn *txn;
    struct ms_view v;

    assert_true(mdb_env_get_maxkeysize(t->store->env) >= MS_KEY_MAX);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        assert_code(ms_store_write(t->store, &(struct ms_write){.fn = sized_op, .in = &rows[i].s}, &test_err),
                    rows[i].want);
    assert_ok(ms_read_begin(t->store, &txn, &test_err));
    assert_code(ms_txn_get(txn, ms_view_of("", 0), &v, &test_err), MS_RANGE);
    ms_read_end(txn);
}

static ino_t inode_of(const char *dir, const char *name) {
    char *path = ms_test_path(dir, name);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_nlink, 1);
    free(path);
    return st.st_ino;
}

static void rule_14_the_files_are_never_replaced(void **state) {
    struct store_test *t = *state;
    ino_t data = inode_of(t->store_dir, "meta/data.mdb"), lock = inode_of(t->store_dir, "meta/lock.mdb");
    char *copy = ms_test_path(t->dir, "copy");

    assert_int_equal(mkdir(copy, 0700), 0);
    assert_ok(ms_store_copy(t->store, copy, &test_err));
    store_test_close(t);
    assert_int_equal(store_test_run(t, "excl", 0, 0), 2);
    t->options.map_bytes = (uint64_t)1 << 20;
    store_test_open(t);
    assert_ok(ms_map_grow(t->store, &test_err));
    assert_ok(store_test_put(t->store, "k", "v", &test_err));
    assert_int_equal(inode_of(t->store_dir, "meta/data.mdb"), data);
    assert_int_equal(inode_of(t->store_dir, "meta/lock.mdb"), lock);
    store_test_close(t);
    assert_int_equal(inode_of(t->store_dir, "meta/data.mdb"), data);
    assert_int_equal(inode_of(t->store_dir, "meta/lock.mdb"), lock);
    free(copy);
}

static const struct store_test_child children[] = {{"excl", excl_child}, {NULL, NULL}};

int main(int argc, char **argv) {
#define T(f) cmocka_unit_test_setup_teardown(f, store_test_setup, store_test_teardown)
    const struct CMUnitTest tests[] = {
        T(rule_1_no_flag_gives_durability_away),
        T(rule_2_a_process_opens_a_store_once),
        T(rule_3_a_forked_child_cannot_use_the_store),
        T(rule_3_files_of_the_store_close_on_exec),
        T(rule_4_misuse_of_transactions_stops_the_program),
        T(rule_4_a_read_that_stays_open_is_reported),
        T(rule_6_the_map_is_reserved_large_and_the_file_small),
        T(rule_11_keys_have_1_to_500_bytes_and_sort_by_them),
        T(rule_14_the_files_are_never_replaced),
    };
    int status;

    if (store_test_main(argc, argv, children, &status))
        return status;
    return cmocka_run_group_tests_name("store rules", tests, NULL, NULL);
}
