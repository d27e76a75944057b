/* The folder of a store: what is taken for one, what is refused, and how one is made. */
#include "store_test.h"

#include "base/codec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static enum ms_code try_open(struct store_test *t, struct ms_error *reterr) {
    return ms_store_open(&t->options, &t->store, reterr);
}

static void make_store(struct store_test *t) {
    store_test_open(t);
    assert_ok(store_test_put(t->store, "k1", "one", &test_err));
    store_test_close(t);
}

/* ---- refused --------------------------------------------------------------------------------------------------- */

static void no_folder_and_an_empty_folder_are_no_store(void **state) {
    struct store_test *t = *state;

    t->options.create = false;
    assert_code(try_open(t, &test_err), MS_NOT_FOUND);
    assert_int_equal(mkdir(t->store_dir, 0700), 0);
    assert_code(try_open(t, &test_err), MS_NOT_FOUND);
    assert_non_null(strstr(test_err.message, "msasset init"));
    t->options.create = true;
    assert_ok(try_open(t, &test_err));
}

static void a_folder_of_another_program_is_refused_and_left_alone(void **state) {
    struct store_test *t = *state;
    char *path = ms_test_path(t->store_dir, "report.doc");
    struct stat st;

    assert_int_equal(mkdir(t->store_dir, 0700), 0);
    ms_test_write_file(path, "x", 1);
    assert_code(try_open(t, &test_err), MS_FOREIGN);
    assert_non_null(strstr(test_err.message, "report.doc"));
    t->options.create = false;
    assert_code(try_open(t, &test_err), MS_FOREIGN);
    assert_int_equal(stat(path, &st), 0);
    free(path);
    path = ms_test_path(t->store_dir, "meta");
    assert_int_not_equal(stat(path, &st), 0);
    free(path);
}

static void make_foreign_env(const char *store_dir) {
    char *path = ms_test_path(store_dir, "meta");
    MDB_val k = {3, (void *)(uintptr_t)"key"}, v = {5, (void *)(uintptr_t)"value"};
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    assert_int_equal(mkdir(store_dir, 0700), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    free(path);
}

static void a_database_of_another_program_is_refused(void **state) {
    struct store_test *t = *state;

    make_foreign_env(t->store_dir);
    assert_code(try_open(t, &test_err), MS_FOREIGN);
}

/* Overwrite the header row with another format. */
static void set_format(struct store_test *t, uint32_t format) {
    struct ms_store_key key = ms_store_key(MS_ROW_HEADER);
    uint8_t bytes[64] = {0};
    struct ms_writer w = ms_writer_on(bytes, sizeof bytes);
    MDB_txn *mdb;

    store_test_open(t);
    ms_write_bytes(&w, "msasset", 8);
    ms_write_u32(&w, format);
    ms_write_bytes(&w, ms_store_id(t->store).b, MS_ID_BYTES);
    ms_write_i64(&w, 5);
    ms_write_bytes(&w, "what a later format adds", 24);
    assert_int_equal(mdb_txn_begin(t->store->env, NULL, 0, &mdb), 0);
    assert_ok(ms_store_row_put(t->store, mdb, &key, ms_writer_view(&w), &test_err));
    assert_int_equal(mdb_txn_commit(mdb), 0);
    store_test_close(t);
}

static void a_store_of_format_2_is_refused_with_both_numbers(void **state) {
    struct store_test *t = *state;

    set_format(t, 2);
    assert_code(try_open(t, &test_err), MS_NEWER_FORMAT);
    assert_non_null(strstr(test_err.message, "format 2"));
    assert_non_null(strstr(test_err.message, "up to 1"));
    t->options.read_only = true;
    assert_code(try_open(t, &test_err), MS_NEWER_FORMAT);
}

static void a_store_of_format_0_is_damaged(void **state) {
    struct store_test *t = *state;

    set_format(t, 0);
    assert_code(try_open(t, &test_err), MS_CORRUPT);
}

static void a_file_that_lost_its_content_is_not_made_anew(void **state) {
    struct store_test *t = *state;
    char *path = ms_test_path(t->store_dir, "meta/data.mdb");
    struct stat st;

    make_store(t);
    assert_int_equal(truncate(path, 0), 0);
    assert_code(try_open(t, &test_err), MS_CORRUPT);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 0);
    ms_test_write_file(path, "this is no database, but it is long enough to be read as the head of one, is it not? "
                             "one hundred and fifty-two bytes are what LMDB reads of a file to judge it by.", 160);
    assert_code(try_open(t, &test_err), MS_CORRUPT);
    free(path);
}

static void file_systems_that_are_not_local_are_refused_by_name(void **state) {
    const struct {
        long type;
        const char *name;
    } types[] = {
        {0x6969, "NFS"}, {0x65735546, "FUSE"}, {0x01021997, "9p"}, {(int)0xff534d42, "CIFS"}, {0xff534d42, "CIFS"},
    };

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(types); i++) {
        assert_code(ms_folder_check_fs(types[i].type, "/x", &test_err), MS_UNSUPPORTED);
        assert_non_null(strstr(test_err.message, types[i].name));
    }
    assert_ok(ms_folder_check_fs(0xef53, "/x", &test_err));     /* ext4 */
    assert_ok(ms_folder_check_fs(0x58465342, "/x", &test_err)); /* XFS */
    assert_ok(ms_folder_check_fs(0x9123683e, "/x", &test_err)); /* btrfs */
    assert_ok(ms_folder_check_fs(0x01021994, "/x", &test_err)); /* tmpfs */
}

/* As a user without the right to write: 0 when opening says so. */
static int open_as_nobody(struct store_test *t) {
    struct ms_store *store = NULL;
    struct ms_error err = {0};

    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 9;
    t->options.create = false;
    if (ms_store_open(&t->options, &store, &err) != MS_READ_ONLY || !err.message[0])
        return 1;
    t->options.create = true;
    return ms_store_open(&t->options, &store, &err) == MS_READ_ONLY ? 0 : 2;
}

static int in_fork(int (*fn)(struct store_test *t), struct store_test *t) {
    pid_t pid = fork(); /* no store is open: nothing of it is used behind the fork */

    if (pid == 0)
        _exit(fn(t));
    return store_test_wait(pid);
}

static void a_read_only_folder_is_refused(void **state) {
    struct store_test *t = *state;
    char *meta = ms_test_path(t->store_dir, "meta"), *run = ms_test_path(t->store_dir, "run");
    char *data = ms_test_path(t->store_dir, "meta/data.mdb"), *lock = ms_test_path(t->store_dir, "meta/lock.mdb");

    make_store(t);
    chmod(t->dir, 0755);
    chmod(data, 0444);
    chmod(lock, 0444);
    chmod(meta, 0555);
    chmod(run, 0555);
    chmod(t->store_dir, 0555);
    assert_int_equal(in_fork(open_as_nobody, t), 0);
    free(meta), free(run), free(data), free(lock);
}

static int create_as_nobody(struct store_test *t) {
    struct ms_store *store = NULL;

    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 9;
    return ms_store_open(&t->options, &store, NULL) == MS_READ_ONLY ? 0 : 1;
}

static void nothing_is_made_where_nothing_may_be_written(void **state) {
    struct store_test *t = *state;

    chmod(t->dir, 0555);
    assert_int_equal(in_fork(create_as_nobody, t), 0); /* the folder itself cannot be made */
    chmod(t->dir, 0755);
    assert_int_equal(mkdir(t->store_dir, 0555), 0);
    assert_int_equal(in_fork(create_as_nobody, t), 0); /* nothing in the folder */
}

/* ---- read-only ------------------------------------------------------------------------------------------------- */

static void a_store_opened_read_only_reads_and_refuses_writes(void **state) {
    struct store_test *t = *state;
    struct ms_follow f = {.priv = NULL};
    struct ms_process_info *list = NULL;
    struct ms_follower *follower;
    size_t n = 0;
    char *text;

    make_store(t);
    t->options.read_only = true;
    store_test_open(t);
    text = store_test_get(t->store, "k1");
    assert_string_equal(text, "one");
    free(text);
    assert_code(store_test_put(t->store, "k1", "two", &test_err), MS_READ_ONLY);
    f.each = (void (*)(void *, struct ms_view))(uintptr_t)1;
    f.lost = (void (*)(void *))(uintptr_t)1;
    assert_code(ms_store_follow(t->store, &f, &follower, &test_err), MS_READ_ONLY);
    assert_ok(ms_store_processes(t->store, &list, &n, &test_err));
    assert_int_equal(n, 0);
    free(list);
    assert_ok(ms_store_check(t->store, NULL, NULL, &test_err));
}

/* ---- made ------------------------------------------------------------------------------------------------------ */

static void what_an_interrupted_creation_left_is_made_anew(void **state) {
    static const char *const half[] = {"meta.new/data.mdb", "meta.new/lock.mdb"};
    struct store_test *t = *state;
    char *path = ms_test_path(t->store_dir, "meta.new");
    struct stat st;

    assert_int_equal(mkdir(t->store_dir, 0700), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    for (unsigned i = 0; i < 2; i++) {
        char *file = ms_test_path(t->store_dir, half[i]);

        ms_test_write_file(file, "half", 4);
        free(file);
    }
    t->options.create = false;
    assert_code(try_open(t, &test_err), MS_NOT_FOUND);
    t->options.create = true;
    assert_ok(try_open(t, &test_err));
    assert_int_not_equal(stat(path, &st), 0);
    free(path);
}

static int open_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct ms_store *store = NULL;
    char key[16];

    (void)n;
    if (ms_store_open(o, &store, NULL) != MS_OK)
        return 1;
    snprintf(key, sizeof key, "k%u", place);
    if (store_test_put(store, key, "x", NULL) != MS_OK)
        return 2;
    ms_store_close(store);
    return 0;
}

static void processes_that_make_it_at_the_same_time_make_one(void **state) {
    struct store_test *t = *state;
    int pids[6];
    char *text;

    for (unsigned i = 0; i < 6; i++)
        pids[i] = store_test_start(t, "open", i, 0);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(store_test_wait(pids[i]), 0);
    store_test_open(t);
    text = store_test_dump(t->store, false);
    assert_string_equal(text, "k0=x k1=x k2=x k3=x k4=x k5=x");
    free(text);
}

static void other_folders_may_lie_beside_the_metadata(void **state) {
    struct store_test *t = *state;
    char *path;

    make_store(t);
    path = ms_test_path(t->store_dir, "objects");
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
    t->options.create = false;
    store_test_open(t);
}

static void the_id_of_a_store_stays(void **state) {
    struct store_test *t = *state;
    struct ms_id id;

    store_test_open(t);
    id = ms_store_id(t->store);
    store_test_close(t);
    store_test_open(t);
    assert_memory_equal(ms_store_id(t->store).b, id.b, MS_ID_BYTES);
}

/* ---- the fixture of format 1 ------------------------------------------------------------------------------------- */

static enum ms_code fixture_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    static const uint8_t large[20000] = {[0] = 'a', [19999] = 'z'};
    uint64_t n = 0;
    enum ms_code code = MS_OK;

    (void)in, (void)out;
    for (unsigned i = 0; i < 100 && code == MS_OK; i++) {
        char key[16], value[32];

        code = ms_txn_number(txn, "inode", &n, reterr);
        snprintf(key, sizeof key, "k%03u", i);
        snprintf(value, sizeof value, "value %u, number %u", i, (unsigned)n);
        if (code == MS_OK)
            code = ms_txn_put(txn, ms_view_str(key), ms_view_str(value), reterr);
    }
    if (code == MS_OK)
        code = ms_txn_put(txn, ms_view_str("large"), ms_view_of(large, sizeof large), reterr);
    if (code == MS_OK)
        code = ms_txn_put(txn, ms_view_str("empty"), ms_view_of(NULL, 0), reterr);
    return code == MS_OK ? ms_txn_feed(txn, ms_view_str("a change"), reterr) : code;
}

/* By hand, when a format is new: test_store_folder fixture DIR 0 0 0 0 makes DIR.out/meta/data.mdb. */
static int fixture_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct ms_clock_fake clock;
    struct ms_store *store = NULL;
    struct ms_error err;
    char to[4096];

    (void)place, (void)n;
    ms_clock_fake_init(&clock, ms_instant_of(INT64_C(1767225600000)));
    o->clock = &clock.clock;
    o->label = "fixture of format 1";
    snprintf(to, sizeof to, "%s.out", o->dir);
    if (mkdir(to, 0700) != 0 || ms_store_open(o, &store, &err) != MS_OK ||
        ms_store_write(store, &(struct ms_write){.fn = fixture_op}, &err) != MS_OK ||
        ms_store_copy(store, to, &err) != MS_OK)
        return 1;
    ms_store_close(store);
    return 0;
}

static void copy_fixture(struct store_test *t) {
    char *meta = ms_test_path(t->store_dir, "meta"), *to = ms_test_path(t->store_dir, "meta/data.mdb"), *bytes;
    size_t n;

    assert_int_equal(mkdir(t->store_dir, 0700), 0);
    assert_int_equal(mkdir(meta, 0700), 0);
    bytes = ms_test_read_file(FIXTURES "/format1/data.mdb", &n);
    assert_true(n < 65536);
    ms_test_write_file(to, bytes, n);
    free(bytes), free(meta), free(to);
}

static enum ms_code next_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    struct ms_instant *ret_at = out;
    uint64_t n = 0;
    enum ms_code code = ms_txn_number(txn, "inode", &n, reterr);

    (void)in;
    if (code == MS_OK && n <= 100)
        return ms_fail(reterr, MS_INTERNAL, "the number %u again", (unsigned)n);
    *ret_at = ms_txn_instant(txn);
    return code;
}

static void the_fixture_of_format_1_is_read(void **state) {
    struct store_test *t = *state;
    struct ms_process_info *list = NULL;
    struct ms_instant at;
    struct ms_view v;
    struct ms_txn *txn;
    size_t n = 0;
    char *text;

    copy_fixture(t);
    t->options.create = false;
    ms_clock_fake_set(&t->clock, ms_instant_of(5)); /* the store's last instant holds */
    store_test_open(t);
    assert_ok(ms_store_check(t->store, NULL, NULL, &test_err));
    text = store_test_get(t->store, "k041");
    assert_string_equal(text, "value 41, number 42");
    free(text);
    assert_ok(ms_read_begin(t->store, &txn, &test_err));
    assert_ok(ms_txn_get(txn, ms_view_str("large"), &v, &test_err));
    assert_int_equal(v.n, 20000);
    assert_int_equal(((const char *)v.p)[19999], 'z');
    assert_ok(ms_txn_get(txn, ms_view_str("empty"), &v, &test_err));
    assert_int_equal(v.n, 0);
    ms_read_end(txn);
    assert_ok(ms_store_write(t->store, &(struct ms_write){.fn = next_op, .out = &at, .out_size = sizeof at},
                             &test_err));
    assert_int_equal(at.ms, INT64_C(1767225600000));
    assert_ok(ms_store_processes(t->store, &list, &n, &test_err));
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(strcmp(list[i].label, "fixture of format 1") == 0, !list[i].alive);
    free(list);
}

static const struct store_test_child children[] = {{"open", open_child}, {"fixture", fixture_child}, {NULL, NULL}};

int main(int argc, char **argv) {
#define T(f) cmocka_unit_test_setup_teardown(f, store_test_setup_folder, store_test_teardown)
    const struct CMUnitTest tests[] = {
        T(no_folder_and_an_empty_folder_are_no_store),
        T(a_folder_of_another_program_is_refused_and_left_alone),
        T(a_database_of_another_program_is_refused),
        T(a_store_of_format_2_is_refused_with_both_numbers),
        T(a_store_of_format_0_is_damaged),
        T(a_file_that_lost_its_content_is_not_made_anew),
        T(file_systems_that_are_not_local_are_refused_by_name),
        T(a_read_only_folder_is_refused),
        T(nothing_is_made_where_nothing_may_be_written),
        T(a_store_opened_read_only_reads_and_refuses_writes),
        T(what_an_interrupted_creation_left_is_made_anew),
        T(processes_that_make_it_at_the_same_time_make_one),
        T(other_folders_may_lie_beside_the_metadata),
        T(the_id_of_a_store_stays),
        T(the_fixture_of_format_1_is_read),
    };
    int status;

    if (store_test_main(argc, argv, children, &status))
        return status;
    return cmocka_run_group_tests_name("store folder", tests, NULL, NULL);
}
