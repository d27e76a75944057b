/* What the directory store is on disk: plain files, what a kill leaves, a full or read-only disk. */
#include "dir_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define UPLOADS ".uploads"

static void touch(struct dir_rig *rig, const char *name) {
    char *path = dir_path(rig, name);

    ms_test_write_file(path, "left", 4);
    free(path);
}

static void make_folder(struct dir_rig *rig, const char *name) {
    char *path = dir_path(rig, name);

    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
}

/* ---- plain files ---- */

static void an_object_is_a_plain_file(void **state) {
    struct dir_rig *rig = *state;
    char *path = dir_path(rig, "p/asset/file.1.mp4"), *text;
    size_t n;

    assert_ok(dir_put(rig, "p/asset/file.1.mp4", "hello", 5));
    text = ms_test_read_file(path, &n);
    assert_int_equal(n, 5);
    assert_string_equal(text, "hello");
    free(text);
    free(path);
    assert_int_equal(dir_count(rig, UPLOADS), 0);
    assert_int_equal(dir_count(rig, ""), 2); /* p and .uploads */
}

static void an_uploaded_object_is_a_plain_file(void **state) {
    struct dir_rig *rig = *state;
    char id[MS_UPLOAD_ID_MAX + 1], *path = dir_path(rig, "p/f"), *text;
    struct ms_obj_part part[2];

    assert_ok(dir_mp_create(rig, "p/f", id));
    assert_ok(dir_mp_put(rig, "p/f", id, 2, 3, "def", 3, &part[1]));
    assert_ok(dir_mp_put(rig, "p/f", id, 1, 0, "abc", 3, &part[0]));
    assert_ok(dir_mp_complete(rig, "p/f", id, part, 2));
    text = ms_test_read_file(path, NULL);
    assert_string_equal(text, "abcdef");
    free(text);
    free(path);
    assert_int_equal(dir_count(rig, UPLOADS), 0);
}

static void a_file_of_another_tool_is_an_object(void **state) {
    struct dir_rig *rig = *state;
    char *folder = dir_path(rig, "copied"), *path = dir_path(rig, "copied/in");
    struct ms_obj_request head = {.op = MS_OBJ_HEAD, .key = "copied/in"};

    mkdir(folder, 0755);
    ms_test_write_file(path, "bytes", 5);
    assert_true(dir_has(rig, "copied/in", "bytes", 5));
    assert_ok(dir_op(rig, &head));
    assert_int_equal(strncmp(head.ret_etag, "file-5-", 7), 0);
    assert_string_equal((char *)head.ret_meta.data, "content-type=application/octet-stream\n");
    ms_buf_fini(&head.ret_meta);
    assert_int_equal(dir_list(rig), 1);
    free(folder);
    free(path);
}

static void what_is_no_file_is_no_object(void **state) {
    struct dir_rig *rig = *state;
    char *fifo = dir_path(rig, "fifo"), *link = dir_path(rig, "link"), *up = dir_path(rig, "up");
    char byte;

    assert_ok(dir_put(rig, "real/object", "x", 1));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink("real/object", link), 0);
    assert_int_equal(symlink("..", up), 0);
    assert_code(dir_get(rig, "fifo", &byte, 1), MS_NOT_FOUND);
    assert_code(dir_get(rig, "link", &byte, 1), MS_NOT_FOUND);
    assert_code(dir_get(rig, "up/objects/real/object", &byte, 1), MS_NOT_FOUND);
    assert_code(dir_put(rig, "up/escaped", "x", 1), MS_EXISTS);
    assert_int_equal(dir_list(rig), 1);
    /* A link at the key itself is replaced, never written through. */
    assert_ok(dir_put(rig, "link", "y", 1));
    assert_true(dir_has(rig, "real/object", "x", 1));
    free(fifo);
    free(link);
    free(up);
}

static void an_object_cut_by_another_program_is_never_filled_up(void **state) {
    struct dir_rig *rig = *state;
    char *path = dir_path(rig, "o"), into[10];

    assert_ok(dir_put(rig, "o", "0123456789", 10));
    assert_int_equal(truncate(path, 4), 0);
    assert_code(dir_get(rig, "o", into, 10), MS_RANGE);
    assert_ok(dir_get(rig, "o", into, 4));
    free(path);
}

static void a_deleted_object_takes_its_empty_folders_along(void **state) {
    struct dir_rig *rig = *state;
    struct ms_obj_request r = {.op = MS_OBJ_DELETE, .key = "p/asset/file"};

    assert_ok(dir_put(rig, "p/asset/file", "x", 1));
    assert_ok(dir_put(rig, "p/other", "x", 1));
    assert_ok(dir_op(rig, &r));
    assert_int_equal(dir_count(rig, "p"), 1);
    r.key = "p/other";
    assert_ok(dir_op(rig, &r));
    assert_int_equal(dir_count(rig, ""), 1); /* .uploads */
}

/* Another tool's empty folders fill no page: the list goes on behind them. */
static void a_list_finds_objects_behind_many_empty_folders(void **state) {
    struct dir_rig *rig = *state;
    struct ms_obj_request r = {.op = MS_OBJ_LIST, .list_max = 2};
    char name[32];

    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "empty%02d", i);
        make_folder(rig, name);
    }
    assert_ok(dir_put(rig, "empty20/x", "1", 1));
    assert_ok(dir_put(rig, "z", "3", 1));
    assert_ok(dir_op(rig, &r));
    assert_int_equal(r.ret_n, 2);
    assert_false(r.ret_more);
    assert_string_equal(r.ret_entries[0].key, "empty20/x");
    assert_string_equal(r.ret_entries[1].key, "z");
    r.list_max = 1;
    assert_ok(dir_op(rig, &r));
    assert_int_equal(r.ret_n, 1);
    assert_true(r.ret_more);
    ms_obj_drop_results(&r);
}

/* ---- parts ---- */

static void an_upload_survives_its_process(void **state) {
    struct dir_rig *rig = *state;
    char id[MS_UPLOAD_ID_MAX + 1];
    struct ms_obj_part part[2];

    assert_ok(dir_mp_create(rig, "k", id));
    assert_ok(dir_mp_put(rig, "k", id, 1, 0, "abc", 3, &part[0]));
    dir_reopen(rig);
    assert_ok(dir_mp_put(rig, "k", id, 2, 3, "def", 3, &part[1]));
    dir_reopen(rig);
    assert_ok(dir_mp_complete(rig, "k", id, part, 2));
    assert_true(dir_has(rig, "k", "abcdef", 6));
}

/* A part that breaks off while it replaces another: both may be in the file, so it is neither. */
static void a_half_replaced_part_is_listed_under_a_new_etag(void **state) {
    struct dir_rig *rig = *state;
    struct ms_obj_request parts = {.op = MS_OBJ_MP_PARTS, .key = "k"};
    struct ms_obj_request put = {.op = MS_OBJ_MP_PUT, .key = "k", .part_no = 1};
    char id[MS_UPLOAD_ID_MAX + 1], *path = ms_test_path(rig->tmp, "short");
    struct ms_obj_part part;
    enum ms_code code;

    assert_ok(dir_mp_create(rig, "k", id));
    assert_ok(dir_mp_put(rig, "k", id, 1, 0, "abcdefgh", 8, &part));
    ms_test_write_file(path, "1234", 4);
    put.upload_id = parts.upload_id = id;
    put.body = (struct ms_obj_body){.fd = open(path, O_RDONLY), .length = 8};
    code = dir_op(rig, &put);
    close(put.body.fd);
    free(path);
    assert_int_equal(code, MS_MISMATCH);
    assert_code(dir_mp_complete(rig, "k", id, &part, 1), MS_CONFLICT);
    assert_ok(dir_op(rig, &parts));
    assert_int_equal(parts.ret_n, 1);
    assert_int_equal(parts.ret_parts[0].size, 8);
    assert_string_not_equal(parts.ret_parts[0].etag, part.etag);
    /* Recovery may take what is there now: it hashes such a part anew. */
    assert_ok(dir_mp_complete(rig, "k", id, parts.ret_parts, 1));
    ms_obj_drop_results(&parts);
}

static void append_to_log(struct dir_rig *rig, const char *id, const void *p, size_t n) {
    char name[400], *path;
    int fd;

    snprintf(name, sizeof name, UPLOADS "/%s/log", id);
    path = dir_path(rig, name);
    fd = open(path, O_WRONLY | O_APPEND);
    free(path);
    assert_int_equal(write(fd, p, n), n);
    close(fd);
}

static void a_torn_line_in_the_log_spoils_only_itself(void **state) {
    struct dir_rig *rig = *state;
#define TORN(text) {text, sizeof text - 1}
    static const struct {
        const char *p;
        size_t n;
    } torn[] = {TORN("\npart 1 0 99 "),
                TORN("\n\0\0\0\0\0\0\0\0"),
                TORN("garbage"),
                TORN("\npart 1 0 3 forged 0123456789abcdef\n"),
                TORN("\npart 0 0 3 e 0000000000000000\n"),
                TORN("\npart 99999999999999999999999 0 3 e 0000000000000000\n"),
                TORN("\npart"),
                TORN("\n\n\n")};
#undef TORN
    char id[MS_UPLOAD_ID_MAX + 1];
    struct ms_obj_part part[16];
    uint32_t n = 0;

    assert_ok(dir_mp_create(rig, "k", id));
    for (size_t i = 0; i < MS_ARRAY_LEN(torn); i++, n++) {
        assert_ok(dir_mp_put(rig, "k", id, n + 1, n * 3, "abc", 3, &part[n]));
        append_to_log(rig, id, torn[i].p, torn[i].n);
    }
    dir_reopen(rig);
    assert_ok(dir_mp_complete(rig, "k", id, part, n));
    assert_true(dir_has(rig, "k", "abcabcabcabcabcabcabcabc", 24));
}

static void an_upload_whose_file_was_cut_is_damaged(void **state) {
    struct dir_rig *rig = *state;
    char id[MS_UPLOAD_ID_MAX + 1], name[400], *path;
    struct ms_obj_part part;

    assert_ok(dir_mp_create(rig, "k", id));
    assert_ok(dir_mp_put(rig, "k", id, 1, 0, "abcdef", 6, &part));
    snprintf(name, sizeof name, UPLOADS "/%s/data", id);
    path = dir_path(rig, name);
    assert_int_equal(truncate(path, 3), 0);
    free(path);
    assert_code(dir_mp_complete(rig, "k", id, &part, 1), MS_CORRUPT);
    assert_int_equal(dir_list(rig), 0);
}

/* ---- what a kill leaves ---- */

static void leftovers_are_not_listed_and_go_at_the_next_open(void **state) {
    struct dir_rig *rig = *state;
    struct ms_obj_request uploads = {.op = MS_OBJ_MP_LIST, .list_max = 100};

    touch(rig, UPLOADS "/put-0123");
    make_folder(rig, UPLOADS "/new-0123");
    touch(rig, UPLOADS "/new-0123/log");
    make_folder(rig, UPLOADS "/gone-0123");
    touch(rig, UPLOADS "/gone-0123/data");
    make_folder(rig, UPLOADS "/0123456789abcdef0123456789abcdef"); /* completed, not removed */
    touch(rig, UPLOADS "/0123456789abcdef0123456789abcdef/log");
    make_folder(rig, UPLOADS "/ffffffffffffffffffffffffffffffff"); /* lost its head in a power cut */
    touch(rig, UPLOADS "/ffffffffffffffffffffffffffffffff/log");
    touch(rig, UPLOADS "/ffffffffffffffffffffffffffffffff/data");
    make_folder(rig, UPLOADS "/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"); /* or its log */
    touch(rig, UPLOADS "/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee/data");
    assert_int_equal(dir_list(rig), 0);
    assert_ok(dir_op(rig, &uploads));
    assert_int_equal(uploads.ret_n, 0);
    ms_obj_drop_results(&uploads);
    dir_reopen(rig);
    assert_int_equal(dir_count(rig, UPLOADS), 0);
}

static void what_a_living_process_works_on_stays(void **state) {
    struct dir_rig *rig = *state;
    char id[MS_UPLOAD_ID_MAX + 1], *path = dir_path(rig, UPLOADS "/put-living");
    struct ms_obj_part part;
    int fd;

    assert_ok(dir_mp_create(rig, "k", id));
    touch(rig, UPLOADS "/put-living");
    fd = open(path, O_RDWR);
    free(path);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    ms_obj_close(dir_open(rig)); /* another process starts */
    assert_int_equal(dir_count(rig, UPLOADS), 2);
    assert_ok(dir_mp_put(rig, "k", id, 1, 0, "x", 1, &part));
    close(fd);
    ms_obj_close(dir_open(rig));
    assert_int_equal(dir_count(rig, UPLOADS), 1);
    assert_ok(dir_mp_complete(rig, "k", id, &part, 1));
}

/* Writes objects and finished uploads, one after the other, and says which are done. */
static _Noreturn void write_until_killed(struct dir_rig *rig, int pipe_fd, const char *bytes, size_t n) {
    struct ms_obj_part part;
    char key[32], id[MS_UPLOAD_ID_MAX + 1];

    rig->engine = NULL;
    if (ms_engine_new(2, &rig->engine, NULL) != MS_OK)
        _exit(1);
    rig->obj = dir_open(rig);
    for (unsigned i = 0;; i++) {
        snprintf(key, sizeof key, "k/%u/o", i);
        if (i % 2 == 0 && dir_put(rig, key, bytes, n) != MS_OK)
            _exit(2);
        if (i % 2 == 1 && (dir_mp_create(rig, key, id) != MS_OK ||
                           dir_mp_put(rig, key, id, 1, 0, bytes, n, &part) != MS_OK ||
                           dir_mp_complete(rig, key, id, &part, 1) != MS_OK))
            _exit(3);
        if (write(pipe_fd, &i, sizeof i) != sizeof i)
            _exit(4);
    }
}

static void after_a_kill_what_was_acknowledged_is_there_and_whole(void **state) {
    static char bytes[300000];
    struct dir_rig rig = {0};
    unsigned acked, i, bad = 0;
    char key[32];

    (void)state;
    memset(bytes, 'b', sizeof bytes);
    rig.tmp = ms_test_tmpdir_new();
    snprintf(rig.root, sizeof rig.root, "%s/objects", rig.tmp);
    for (unsigned round = 0; round < ms_test_rounds(8); round++) {
        int fds[2];
        pid_t pid;

        assert_int_equal(pipe(fds), 0);
        pid = fork(); /* this process has no threads now */
        assert_true(pid >= 0);
        if (pid == 0)
            write_until_killed(&rig, fds[1], bytes, sizeof bytes);
        close(fds[1]);
        acked = 0;
        while (acked < 3 + round && read(fds[0], &i, sizeof i) == sizeof i)
            acked++;
        ms_clock_sleep_ns((int64_t)(round * 1100000));
        kill(pid, SIGKILL);
        while (read(fds[0], &i, sizeof i) == sizeof i)
            acked++;
        close(fds[0]);
        waitpid(pid, NULL, 0);
        assert_true(acked >= 3);

        rig.engine = engine_new(2);
        rig.obj = dir_open(&rig);
        for (i = 0; i < acked; i++) {
            snprintf(key, sizeof key, "k/%u/o", i);
            bad += !dir_has(&rig, key, bytes, sizeof bytes);
        }
        snprintf(key, sizeof key, "k/%u/o", acked); /* the one it was at: whole or not there */
        bad += dir_list(&rig) > acked && !dir_has(&rig, key, bytes, sizeof bytes);
        bad += dir_list(&rig) > acked + 1;
        bad += dir_count(&rig, UPLOADS) > 1; /* an upload that could be gone on with */
        ms_obj_close(rig.obj);
        ms_engine_free(rig.engine);
        ms_test_tmpdir_remove(rig.tmp);
        rig.tmp = ms_test_tmpdir_new();
        snprintf(rig.root, sizeof rig.root, "%s/objects", rig.tmp);
    }
    ms_test_tmpdir_remove(rig.tmp);
    assert_int_equal(bad, 0);
}

/* ---- full, read-only ---- */

static void assert_full_disk_is_clean(struct dir_rig *rig, const char *bytes, size_t too_much,
                                      enum ms_code want) {
    char id[MS_UPLOAD_ID_MAX + 1];
    struct ms_obj_part part[2];

    assert_ok(dir_put(rig, "small", "x", 1));
    assert_code(dir_put(rig, "big", bytes, too_much), want);
    assert_int_equal(dir_list(rig), 1);
    assert_int_equal(dir_count(rig, UPLOADS), 0);
    assert_code(dir_put(rig, "small", bytes, too_much), want); /* an overwrite leaves the old one */
    assert_true(dir_has(rig, "small", "x", 1));
    assert_ok(dir_mp_create(rig, "up", id));
    assert_ok(dir_mp_put(rig, "up", id, 1, 0, bytes, 1000, &part[0]));
    assert_code(dir_mp_put(rig, "up", id, 2, 1000, bytes, too_much, &part[1]), want);
    assert_ok(dir_mp_complete(rig, "up", id, part, 1)); /* the first part is not touched by that */
    assert_true(dir_has(rig, "up", bytes, 1000));
    assert_ok(dir_put(rig, "small too", "y", 1));
}

static void a_full_disk_refuses_and_leaves_nothing(void **state) {
    static char bytes[3 << 20];
    struct dir_rig *rig = *state;

    memset(bytes, 'b', sizeof bytes);
    ms_obj_close(rig->obj);
    rig->obj = NULL;
    if (mount("none", rig->root, "tmpfs", 0, "size=2m") != 0) {
        print_message("no right to mount: skipped\n");
        rig->obj = dir_open(rig);
        skip();
    }
    rig->obj = dir_open(rig);
    assert_full_disk_is_clean(rig, bytes, sizeof bytes, MS_NO_SPACE);
    ms_obj_close(rig->obj);
    rig->obj = NULL;
    umount2(rig->root, MNT_DETACH);
}

static void a_limit_on_file_sizes_refuses_and_leaves_nothing(void **state) {
    static char bytes[3 << 20];
    struct rlimit old, limit;
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    memset(bytes, 'b', sizeof bytes);
    sigaction(SIGXFSZ, &ignore, NULL);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = (struct rlimit){2 << 20, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_full_disk_is_clean(*state, bytes, sizeof bytes, MS_TOO_LARGE);
    setrlimit(RLIMIT_FSIZE, &old);
}

static void a_read_only_disk_serves_reads(void **state) {
    struct dir_rig *rig = *state;
    struct ms_obj_request uploads = {.op = MS_OBJ_MP_LIST, .list_max = 100};
    char id[MS_UPLOAD_ID_MAX + 1];

    ms_obj_close(rig->obj);
    rig->obj = NULL;
    if (mount("none", rig->root, "tmpfs", 0, "size=2m") != 0) {
        print_message("no right to mount: skipped\n");
        rig->obj = dir_open(rig);
        skip();
    }
    rig->obj = dir_open(rig);
    assert_ok(dir_put(rig, "k/o", "x", 1));
    ms_obj_close(rig->obj);
    rig->obj = NULL;
    assert_int_equal(mount("none", rig->root, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    rig->obj = dir_open(rig);
    assert_true(dir_has(rig, "k/o", "x", 1));
    assert_int_equal(dir_list(rig), 1);
    assert_ok(dir_op(rig, &uploads));
    assert_code(dir_put(rig, "k/p", "x", 1), MS_READ_ONLY);
    assert_code(dir_mp_create(rig, "k/p", id), MS_READ_ONLY);
    ms_obj_close(rig->obj);
    rig->obj = NULL;
    umount2(rig->root, MNT_DETACH);
}

/* ---- several processes ---- */

static void two_stores_on_one_folder_see_each_other(void **state) {
    struct dir_rig *rig = *state;
    struct ms_obj *mine = rig->obj, *other = dir_open(rig);
    char id[MS_UPLOAD_ID_MAX + 1];
    struct ms_obj_part part;

    assert_ok(dir_put(rig, "a", "1", 1));
    assert_ok(dir_mp_create(rig, "b", id));
    rig->obj = other;
    assert_true(dir_has(rig, "a", "1", 1));
    assert_ok(dir_mp_put(rig, "b", id, 1, 0, "2", 1, &part));
    rig->obj = mine;
    assert_ok(dir_mp_complete(rig, "b", id, &part, 1));
    rig->obj = other;
    assert_true(dir_has(rig, "b", "2", 1));
    rig->obj = mine;
    ms_obj_close(other);
}

/* Parts are written while it completes: either they are in, or they find no upload; never into the object. */
struct late_part {
    struct dir_rig *rig;
    const char *id;
    pthread_t thread;
    enum ms_code code;
};

static void *send_late(void *arg) {
    static const char bytes[64 * 1024] = "late";
    struct late_part *late = arg;
    struct ms_obj_request r = {.op = MS_OBJ_MP_PUT,
                               .key = "k",
                               .upload_id = late->id,
                               .part_no = 1,
                               .body = {.memory = {bytes, sizeof bytes}, .length = sizeof bytes}};

    late->code = ms_obj_run(late->rig->obj, &r, NULL);
    return NULL;
}

static void a_part_that_comes_while_it_completes_never_lands_in_the_object(void **state) {
    static char bytes[64 * 1024];
    struct dir_rig *rig = *state;
    char id[MS_UPLOAD_ID_MAX + 1];
    struct ms_obj_part part;
    struct late_part late;
    enum ms_code code;
    unsigned bad = 0;

    memset(bytes, 'b', sizeof bytes);
    for (int i = 0; i < 30; i++) {
        assert_ok(dir_mp_create(rig, "k", id));
        assert_ok(dir_mp_put(rig, "k", id, 1, 0, bytes, sizeof bytes, &part));
        late = (struct late_part){.rig = rig, .id = id};
        assert_int_equal(pthread_create(&late.thread, NULL, send_late, &late), 0);
        code = dir_mp_complete(rig, "k", id, &part, 1);
        pthread_join(late.thread, NULL);
        if (code == MS_OK)
            bad += late.code != MS_NOT_FOUND || !dir_has(rig, "k", bytes, sizeof bytes);
        else
            bad += code != MS_CONFLICT || late.code != MS_OK;
    }
    assert_int_equal(bad, 0);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, dir_rig_new, dir_rig_free)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_kill_what_was_acknowledged_is_there_and_whole),
        T(an_object_is_a_plain_file),
        T(an_uploaded_object_is_a_plain_file),
        T(a_file_of_another_tool_is_an_object),
        T(what_is_no_file_is_no_object),
        T(an_object_cut_by_another_program_is_never_filled_up),
        T(a_deleted_object_takes_its_empty_folders_along),
        T(a_list_finds_objects_behind_many_empty_folders),
        T(an_upload_survives_its_process),
        T(a_half_replaced_part_is_listed_under_a_new_etag),
        T(a_torn_line_in_the_log_spoils_only_itself),
        T(an_upload_whose_file_was_cut_is_damaged),
        T(leftovers_are_not_listed_and_go_at_the_next_open),
        T(what_a_living_process_works_on_stays),
        T(a_full_disk_refuses_and_leaves_nothing),
        T(a_limit_on_file_sizes_refuses_and_leaves_nothing),
        T(a_read_only_disk_serves_reads),
        T(two_stores_on_one_folder_see_each_other),
        T(a_part_that_comes_while_it_completes_never_lands_in_the_object),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
