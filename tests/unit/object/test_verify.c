/* Answers that no store should give. */
#include "fake.h"

#include "object/wrap.h"

struct rig {
    struct ms_engine *engine;
    struct fake fake;
    struct ms_obj *obj;
};

static int rig_new(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct ms_obj_options o = {0};

    rig->engine = engine_new(1);
    fake_init(&rig->fake, rig->engine);
    *state = rig;
    return ms_wrap_verify(&o, &rig->fake.obj, &rig->obj, NULL) != MS_OK;
}

static int rig_free(void **state) {
    struct rig *rig = *state;

    ms_obj_close(rig->obj);
    ms_engine_free(rig->engine);
    free(rig);
    return 0;
}

struct told {
    size_t n;
    uint64_t size, head_size;
    const char *etag, *meta;
    const char *keys[4], *ids[4];
    uint32_t parts[4];
    bool more;
    enum ms_code head;
};

static enum ms_code tell(struct fake *fake, struct ms_obj_request *r) {
    const struct told *told = fake->priv;

    r->ret_n = told->n;
    r->ret_size = told->size;
    r->ret_more = told->more;
    if (told->etag)
        snprintf(r->ret_etag, sizeof r->ret_etag, "%s", told->etag);
    if (r->op == MS_OBJ_LIST || r->op == MS_OBJ_MP_LIST) {
        r->ret_entries = calloc(4, sizeof *r->ret_entries);
        for (size_t i = 0; i < told->n && i < 4; i++) {
            snprintf(r->ret_entries[i].key, sizeof r->ret_entries->key, "%s", told->keys[i]);
            if (told->ids[i])
                snprintf(r->ret_entries[i].upload_id, 8, "%s", told->ids[i]);
        }
    }
    if (r->op == MS_OBJ_MP_PARTS) {
        r->ret_parts = calloc(4, sizeof *r->ret_parts);
        for (size_t i = 0; i < told->n; i++) {
            r->ret_parts[i].part_no = told->parts[i];
            snprintf(r->ret_parts[i].etag, 8, "%s", told->etag);
        }
    }
    if (r->op == MS_OBJ_HEAD) {
        if (told->head != MS_OK)
            return told->head;
        if (told->meta)
            assert_int_equal(ms_buf_addf(&r->ret_meta, NULL, "%s", told->meta), MS_OK);
        r->ret_size = told->head_size;
    }
    return MS_OK;
}

static enum ms_code ask(struct rig *rig, struct ms_obj_request *r, struct told told) {
    enum ms_code code;

    rig->fake.answer = tell;
    rig->fake.priv = &told;
    rig->fake.calls = 0;
    code = ms_obj_run(rig->obj, r, &test_err);
    rig->fake.priv = NULL;
    return code;
}

static enum ms_code ask_and_drop(struct rig *rig, struct ms_obj_request r, struct told told) {
    enum ms_code code = ask(rig, &r, told);

    ms_obj_drop_results(&r);
    ms_buf_fini(&r.ret_meta);
    return code;
}

static void a_get_gives_all_its_bytes(void **state) {
    struct rig *rig = *state;
    char into[8];
    struct ms_obj_request r = {.op = MS_OBJ_GET, .key = "k", .offset = 2, .length = 8, .into = into};

    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 8, .size = 10}), MS_OK);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 7, .size = 10}), MS_IO);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 0, .size = 10}), MS_IO);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 8, .size = 9}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 8, .size = 0}), MS_PROTOCOL);
}

static void writes_need_an_etag(void **state) {
    struct rig *rig = *state;
    struct ms_obj_request put = put_request("k", "x");
    struct ms_obj_request part = put_request("k", "x");

    part.op = MS_OBJ_MP_PUT;
    part.upload_id = "u";
    part.part_no = 1;
    assert_int_equal(ask_and_drop(rig, put, (struct told){.etag = "e"}), MS_OK);
    assert_int_equal(ask_and_drop(rig, put, (struct told){.etag = ""}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, put, (struct told){.etag = "a b"}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, put, (struct told){.etag = "a\n"}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, part, (struct told){.etag = ""}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, part, (struct told){.etag = "e"}), MS_OK);
}

static void an_upload_needs_an_id(void **state) {
    struct ms_obj_request r = {.op = MS_OBJ_MP_CREATE, .key = "k"};

    assert_int_equal(ask_and_drop(*state, r, (struct told){0}), MS_PROTOCOL);
}

static void a_head_needs_a_type_and_an_etag(void **state) {
    struct rig *rig = *state;
    struct ms_obj_request r = {.op = MS_OBJ_HEAD, .key = "k"};

    assert_int_equal(ask_and_drop(rig, r, (struct told){.etag = "e", .meta = "content-type=a\n"}), MS_OK);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.meta = "content-type=a\n"}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.etag = "e"}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.etag = "e", .meta = "x=y\n"}), MS_PROTOCOL);
}

static void lists_ascend_and_keep_to_what_was_asked(void **state) {
    struct rig *rig = *state;
    struct ms_obj_request r = {.op = MS_OBJ_LIST, .key = "p/", .after = "p/b", .list_max = 3};

    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 2, .keys = {"p/c", "p/d"}}), MS_OK);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 0}), MS_OK);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 0, .more = true}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 4, .keys = {"p/c", "p/d", "p/e", "p/f"}}),
                     MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 2, .keys = {"p/d", "p/c"}}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 2, .keys = {"p/c", "p/c"}}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 1, .keys = {"p/b"}}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 1, .keys = {"q/c"}}), MS_PROTOCOL);
}

static void uploads_ascend_by_key_and_id(void **state) {
    struct rig *rig = *state;
    struct ms_obj_request r = {.op = MS_OBJ_MP_LIST, .after = "b", .upload_id = "2", .list_max = 9};

    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 2, .keys = {"b", "b"}, .ids = {"3", "4"}}), MS_OK);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 2, .keys = {"b", "c"}, .ids = {"3", "1"}}), MS_OK);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 1, .keys = {"b"}, .ids = {"2"}}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 2, .keys = {"c", "c"}, .ids = {"2", "1"}}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 1, .keys = {"c"}}), MS_PROTOCOL);
}

static void parts_ascend(void **state) {
    struct rig *rig = *state;
    struct ms_obj_request r = {.op = MS_OBJ_MP_PARTS, .key = "k", .upload_id = "u"};

    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 2, .parts = {1, 3}, .etag = "e"}), MS_OK);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 2, .parts = {3, 1}, .etag = "e"}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 1, .parts = {0}, .etag = "e"}), MS_PROTOCOL);
    assert_int_equal(ask_and_drop(rig, r, (struct told){.n = 1, .parts = {1}, .etag = ""}), MS_PROTOCOL);
}

static void a_completed_upload_is_looked_at(void **state) {
    struct rig *rig = *state;
    struct ms_obj_part parts[] = {{1, 10, "a"}, {2, 5, "b"}};
    struct ms_obj_request r = {
        .op = MS_OBJ_MP_COMPLETE, .key = "k", .upload_id = "u", .parts = parts, .parts_n = 2};

    assert_int_equal(ask(rig, &r, (struct told){.etag = "of-head", .head_size = 15}), MS_OK);
    assert_string_equal(r.ret_etag, "of-head");
    assert_int_equal(fake_calls(&rig->fake), 2);
    assert_int_equal(ask(rig, &r, (struct told){.etag = "e", .head_size = 14}), MS_CORRUPT);
    assert_non_null(strstr(test_err.message, "14 bytes"));
    assert_int_equal(ask(rig, &r, (struct told){.etag = "e", .head = MS_NOT_FOUND}), MS_CORRUPT);
    /* Not known is not wrong: it may be tried again. */
    assert_int_equal(ask(rig, &r, (struct told){.etag = "e", .head = MS_UNAVAILABLE}), MS_UNAVAILABLE);
    ms_obj_drop_results(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_get_gives_all_its_bytes, rig_new, rig_free),
        cmocka_unit_test_setup_teardown(writes_need_an_etag, rig_new, rig_free),
        cmocka_unit_test_setup_teardown(an_upload_needs_an_id, rig_new, rig_free),
        cmocka_unit_test_setup_teardown(a_head_needs_a_type_and_an_etag, rig_new, rig_free),
        cmocka_unit_test_setup_teardown(lists_ascend_and_keep_to_what_was_asked, rig_new, rig_free),
        cmocka_unit_test_setup_teardown(uploads_ascend_by_key_and_id, rig_new, rig_free),
        cmocka_unit_test_setup_teardown(parts_ascend, rig_new, rig_free),
        cmocka_unit_test_setup_teardown(a_completed_upload_is_looked_at, rig_new, rig_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
