/* URLs, and whose store it is. */
#include "fake.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct rig {
    char *tmp, url[600], path[512];
    struct ms_engine *engine;
    struct ms_obj_options o;
    struct ms_obj *obj;
};

static void open_latch(struct ms_obj_request *request) { ms_latch_open(request->priv); }

static int rig_new(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);

    rig->tmp = ms_test_tmpdir_new();
    rig->engine = engine_new(2);
    snprintf(rig->path, sizeof rig->path, "%s/objects", rig->tmp);
    snprintf(rig->url, sizeof rig->url, "dir:%s", rig->path);
    rig->o = (struct ms_obj_options){.url = rig->url,
                                     .engine = rig->engine,
                                     .random = ms_random_system(),
                                     .create = true,
                                     .tries_max = 1,
                                     .store_id = {{1, 2, 3}}};
    *state = rig;
    return 0;
}

static int rig_free(void **state) {
    struct rig *rig = *state;

    ms_obj_close(rig->obj);
    ms_engine_free(rig->engine);
    ms_test_tmpdir_remove(rig->tmp);
    free(rig);
    return 0;
}

static enum ms_code open_it(struct rig *rig) {
    ms_obj_close(rig->obj);
    rig->obj = NULL;
    return ms_obj_open(&rig->o, &rig->obj, &test_err);
}

static void urls_that_say_nothing_are_refused(void **state) {
    static const char *const urls[] = {"", "dir", "dir:", "dir:relative", "dir:/", "mem:other", "s4:bucket",
                                       "/a/path", ":", "di:/x", "dirr:/x"};
    struct rig *rig = *state;

    for (size_t i = 0; i < MS_ARRAY_LEN(urls); i++) {
        rig->o.url = urls[i];
        assert_code(open_it(rig), MS_CONFIG);
    }
    rig->o.url = NULL;
    assert_code(open_it(rig), MS_CONFIG);
}

static void a_store_is_made_and_opened_again(void **state) {
    struct rig *rig = *state;
    struct stat st;
    char path[600], *text;

    assert_ok(open_it(rig));
    assert_int_equal(stat(rig->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    snprintf(path, sizeof path, "%s/" MS_OBJ_MARKER_KEY, rig->path);
    text = ms_test_read_file(path, NULL);
    assert_string_equal(text, "msasset object store\nstore=01020300000000000000000000000000\n");
    free(text);
    rig->o.create = false;
    assert_ok(open_it(rig));
    rig->o.create = true;
    assert_ok(open_it(rig));
}

static void a_folder_that_is_not_there_is_unavailable(void **state) {
    struct rig *rig = *state;

    rig->o.create = false;
    assert_code(open_it(rig), MS_UNAVAILABLE);
    assert_non_null(strstr(test_err.message, rig->path));
    assert_int_equal(access(rig->path, F_OK), -1);
}

static void the_folder_of_a_folder_is_not_made(void **state) {
    struct rig *rig = *state;

    strcat(rig->url, "/deeper/still");
    assert_code(open_it(rig), MS_NOT_FOUND);
}

static void another_stores_folder_is_foreign(void **state) {
    struct rig *rig = *state;

    assert_ok(open_it(rig));
    rig->o.store_id.b[15] = 9;
    assert_code(open_it(rig), MS_FOREIGN);
    assert_non_null(strstr(test_err.message, "01020300000000000000000000000000"));
    assert_non_null(strstr(test_err.message, "01020300000000000000000000000009"));
    rig->o.create = false;
    assert_code(open_it(rig), MS_FOREIGN);
}

static enum ms_code put_one(struct rig *rig, const char *key) {
    struct ms_obj_request put = {
        .op = MS_OBJ_PUT, .key = key, .body = {.memory = ms_view_of("x", 1), .length = 1}};

    return ms_obj_run(rig->obj, &put, &test_err);
}

static enum ms_code head_one(struct rig *rig, const char *key) {
    struct ms_obj_request head = {.op = MS_OBJ_HEAD, .key = key};
    enum ms_code code = ms_obj_run(rig->obj, &head, &test_err);

    ms_buf_fini(&head.ret_meta);
    return code;
}

/* It is down when it is opened, and up again when it is asked; not behind the second one's first question. */
static void a_store_that_was_down_is_asked_before_it_is_changed(void **state) {
    struct rig *rig = *state;
    bool unchecked = false;

    assert_ok(open_it(rig));
    rig->o.create = false;
    rig->o.may_be_down = true;
    rig->o.ret_unchecked = &unchecked;
    rig->o.faults = "HEAD:1:fail-before=UNAVAILABLE,GET:1:fail-before=UNAVAILABLE";
    assert_ok(open_it(rig));
    assert_true(unchecked);
    assert_code(head_one(rig, "a"), MS_NOT_FOUND); /* reads harm nobody */
    assert_code(put_one(rig, "a"), MS_UNAVAILABLE);
    assert_true(unchecked);
    assert_ok(put_one(rig, "a"));
    assert_false(unchecked);
    assert_ok(head_one(rig, "a"));

    rig->o.store_id.b[15] = 9; /* another one's, as it turns out */
    rig->o.faults = "HEAD:1:fail-before=UNAVAILABLE";
    assert_ok(open_it(rig));
    assert_true(unchecked);
    assert_code(put_one(rig, "b"), MS_FOREIGN);
    struct ms_obj_request delete = {.op = MS_OBJ_DELETE, .key = "a"};
    assert_code(ms_obj_run(rig->obj, &delete, &test_err), MS_FOREIGN);
    assert_true(unchecked);
    assert_ok(head_one(rig, "a"));
    assert_code(head_one(rig, "b"), MS_NOT_FOUND);
}

static void a_change_that_is_cancelled_while_the_store_is_asked_ends(void **state) {
    struct rig *rig = *state;
    bool unchecked = false;
    struct ms_obj_request put = {
        .op = MS_OBJ_PUT, .key = "a", .body = {.memory = ms_view_of("x", 1), .length = 1}};
    struct ms_latch latch;

    assert_ok(open_it(rig));
    rig->o.create = false;
    rig->o.unasked = true;
    rig->o.ret_unchecked = &unchecked;
    rig->o.faults = "GET:1:hang";
    assert_ok(open_it(rig));
    ms_latch_init(&latch);
    put.done = open_latch;
    put.priv = &latch;
    ms_obj_submit(rig->obj, &put);
    ms_obj_cancel(rig->obj, &put);
    ms_latch_wait(&latch);
    assert_int_equal(put.code, MS_CANCELLED);
    assert_code(head_one(rig, "a"), MS_NOT_FOUND);
}

static void a_folder_with_other_files_is_foreign(void **state) {
    struct rig *rig = *state;
    char path[600];

    mkdir(rig->path, 0700);
    snprintf(path, sizeof path, "%s/holiday.jpg", rig->path);
    ms_test_write_file(path, "x", 1);
    assert_code(open_it(rig), MS_FOREIGN);
    assert_non_null(strstr(test_err.message, "holiday.jpg"));
    unlink(path);
    assert_ok(open_it(rig));
}

/* An unmounted disk: the folder is there and empty. It must not become a store, or what was acknowledged is gone. */
static void an_empty_folder_is_foreign_unless_a_store_is_made(void **state) {
    struct rig *rig = *state;

    mkdir(rig->path, 0700);
    rig->o.create = false;
    assert_code(open_it(rig), MS_FOREIGN);
    rig->o.create = true;
    assert_ok(open_it(rig));
}

static void a_marker_of_another_program_is_foreign(void **state) {
    struct rig *rig = *state;
    static const char *const texts[] = {"", "something else\n", "msasset object store\n",
                                        "msasset object store\nstore=01020300000000000000000000000000\nx"};
    char path[600], big[1000];

    mkdir(rig->path, 0700);
    snprintf(path, sizeof path, "%s/" MS_OBJ_MARKER_KEY, rig->path);
    for (size_t i = 0; i < MS_ARRAY_LEN(texts); i++) {
        ms_test_write_file(path, texts[i], strlen(texts[i]));
        assert_code(open_it(rig), MS_FOREIGN);
    }
    memset(big, 'x', sizeof big);
    ms_test_write_file(path, big, sizeof big);
    assert_code(open_it(rig), MS_FOREIGN);
}

static void a_file_in_place_of_the_folder_is_refused(void **state) {
    struct rig *rig = *state;

    ms_test_write_file(rig->path, "x", 1);
    assert_code(open_it(rig), MS_NOT_DIR);
}

static void without_a_store_id_nothing_is_marked(void **state) {
    struct rig *rig = *state;
    char path[600];

    rig->o.store_id = (struct ms_id){{0}};
    assert_ok(open_it(rig));
    snprintf(path, sizeof path, "%s/" MS_OBJ_MARKER_KEY, rig->path);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_store_in_memory_is_marked_too(void **state) {
    struct rig *rig = *state;
    struct ms_obj_request r = {.op = MS_OBJ_HEAD, .key = MS_OBJ_MARKER_KEY};

    rig->o.url = "mem:";
    assert_ok(open_it(rig));
    assert_ok(ms_obj_run(rig->obj, &r, &test_err));
    ms_buf_fini(&r.ret_meta);
}

static void names_of_operations_are_those_of_the_list(void **state) {
    (void)state;
    assert_string_equal(ms_obj_op_name(MS_OBJ_PUT), "PUT");
    assert_string_equal(ms_obj_op_name(MS_OBJ_DELETE_MANY), "DELETE_MANY");
}

static void nothing_is_closed_without_harm(void **state) {
    (void)state;
    ms_obj_close(NULL);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_new, rig_free)
    const struct CMUnitTest tests[] = {
        T(urls_that_say_nothing_are_refused),
        T(a_store_is_made_and_opened_again),
        T(a_folder_that_is_not_there_is_unavailable),
        T(the_folder_of_a_folder_is_not_made),
        T(another_stores_folder_is_foreign),
        T(a_store_that_was_down_is_asked_before_it_is_changed),
        T(a_change_that_is_cancelled_while_the_store_is_asked_ends),
        T(a_folder_with_other_files_is_foreign),
        T(an_empty_folder_is_foreign_unless_a_store_is_made),
        T(a_marker_of_another_program_is_foreign),
        T(a_file_in_place_of_the_folder_is_refused),
        T(without_a_store_id_nothing_is_marked),
        T(a_store_in_memory_is_marked_too),
        T(names_of_operations_are_those_of_the_list),
        T(nothing_is_closed_without_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
