/* upload.c — multipart uploads. */
#include "contract.h"

#include <fcntl.h>
#include <unistd.h>

#define KIB ((size_t)1024)
#define PART (5 * 1024 * KIB) /* what S3 wants of every part but the last */
#define KEY "up/asset/file.1.mp4"

struct made {
    char id[MS_UPLOAD_ID_MAX + 1];
    struct ms_obj_part part[8];
};

static void make(struct subject *s, struct made *m) {
    *m = (struct made){0};
    assert_ok(mp_create(s, KEY, m->id));
    assert_true(m->id[0] != '\0');
}

/* n parts of the noise, the last one a short one. */
static size_t send(struct subject *s, struct made *m, uint32_t n) {
    size_t total = 0, size;

    for (uint32_t i = 0; i < n; i++) {
        size = i + 1 < n ? PART : 777;
        assert_ok(mp_put(s, KEY, m->id, i + 1, total, s->bytes + total, size, &m->part[i]));
        assert_true(m->part[i].etag[0] != '\0');
        total += size;
    }
    return total;
}

static void parts_become_an_object(void **state) {
    struct subject *s = *state;
    char etag[MS_ETAG_MAX + 1], head[MS_ETAG_MAX + 1];
    struct made m;
    size_t total;

    make(s, &m);
    assert_no_object(s, KEY);
    total = send(s, &m, 3);
    assert_no_object(s, KEY);
    assert_ok(mp_complete(s, KEY, m.id, m.part, 3, etag));
    assert_object(s, KEY, s->bytes, total);
    assert_ok(do_head(s, KEY, NULL, head, NULL));
    assert_true(head[0] != '\0');
    assert_true(etag[0] == '\0' || strcmp(etag, head) == 0); /* RGW answers with an empty one */
}

static void one_short_part_is_an_object(void **state) {
    struct subject *s = *state;
    struct made m;

    make(s, &m);
    assert_ok(mp_put(s, KEY, m.id, 1, 0, "x", 1, &m.part[0]));
    assert_ok(mp_complete(s, KEY, m.id, m.part, 1, NULL));
    assert_object(s, KEY, "x", 1);
}

static void one_empty_part_is_an_empty_object(void **state) {
    struct subject *s = *state;
    struct made m;

    make(s, &m);
    assert_ok(mp_put(s, KEY, m.id, 1, 0, "", 0, &m.part[0]));
    assert_ok(mp_complete(s, KEY, m.id, m.part, 1, NULL));
    assert_object(s, KEY, "", 0);
}

static void parts_may_be_sent_in_any_order(void **state) {
    struct subject *s = *state;
    struct made m;

    make(s, &m);
    assert_ok(mp_put(s, KEY, m.id, 3, 2 * PART, s->bytes + 2 * PART, 100, &m.part[2]));
    assert_ok(mp_put(s, KEY, m.id, 1, 0, s->bytes, PART, &m.part[0]));
    assert_ok(mp_put(s, KEY, m.id, 2, PART, s->bytes + PART, PART, &m.part[1]));
    assert_ok(mp_complete(s, KEY, m.id, m.part, 3, NULL));
    assert_object(s, KEY, s->bytes, 2 * PART + 100);
}

static void numbers_may_have_gaps(void **state) {
    struct subject *s = *state;
    struct made m;

    make(s, &m);
    assert_ok(mp_put(s, KEY, m.id, 17, 0, s->bytes, PART, &m.part[0]));
    assert_ok(mp_put(s, KEY, m.id, MS_PARTS_MAX, PART, s->bytes + PART, 5, &m.part[1]));
    assert_ok(mp_complete(s, KEY, m.id, m.part, 2, NULL));
    assert_object(s, KEY, s->bytes, PART + 5);
}

static void a_part_from_a_file_is_a_part(void **state) {
    struct subject *s = *state;
    char *path = ms_test_path(s->tmpdir, "source");
    struct ms_obj_request r = {.op = MS_OBJ_MP_PUT, .key = KEY, .part_no = 1};
    struct made m;
    int fd;

    make(s, &m);
    ms_test_write_file(path, s->bytes, PART);
    fd = open(path, O_RDONLY);
    r.upload_id = m.id;
    r.body = (struct ms_obj_body){.fd = fd, .fd_offset = 1000, .length = PART - 1000};
    assert_ok(do_op(s, &r));
    close(fd);
    free(path);
    m.part[0] = (struct ms_obj_part){.part_no = 1, .size = PART - 1000};
    strcpy(m.part[0].etag, r.ret_etag);
    assert_ok(mp_complete(s, KEY, m.id, m.part, 1, NULL));
    assert_object(s, KEY, s->bytes + 1000, PART - 1000);
}

static void a_part_sent_again_replaces_the_first(void **state) {
    struct subject *s = *state;
    struct made m;
    size_t total;

    make(s, &m);
    assert_ok(mp_put(s, KEY, m.id, 1, 0, s->bytes + 99, PART, &m.part[0]));
    total = send(s, &m, 2);
    assert_ok(mp_complete(s, KEY, m.id, m.part, 2, NULL));
    assert_object(s, KEY, s->bytes, total);
}

static void the_last_part_may_grow_and_shrink(void **state) {
    struct subject *s = *state;
    struct made m;

    make(s, &m);
    assert_ok(mp_put(s, KEY, m.id, 1, 0, s->bytes, 1000, &m.part[0]));
    assert_ok(mp_put(s, KEY, m.id, 1, 0, s->bytes, 9000, &m.part[0]));
    assert_ok(mp_put(s, KEY, m.id, 1, 0, s->bytes + 3, 500, &m.part[0]));
    assert_ok(mp_complete(s, KEY, m.id, m.part, 1, NULL));
    assert_object(s, KEY, s->bytes + 3, 500);
}

static void metadata_of_an_upload_is_that_of_its_object(void **state) {
    struct subject *s = *state;
    struct ms_obj_meta meta = {.content_type = "video/mp4",
                               .pair = {{"name", "%C3%A4=%25 x"}, {"asset", "0f"}},
                               .pairs = 2};
    struct ms_obj_request r = {.op = MS_OBJ_MP_CREATE, .key = KEY, .meta = &meta};
    struct made m = {0};
    char *text = NULL;

    assert_ok(do_op(s, &r));
    strcpy(m.id, r.ret_upload_id);
    assert_ok(mp_put(s, KEY, m.id, 1, 0, "x", 1, &m.part[0]));
    assert_ok(mp_complete(s, KEY, m.id, m.part, 1, NULL));
    assert_ok(do_head(s, KEY, NULL, NULL, &text));
    assert_string_equal(text, "content-type=video/mp4\nname=%C3%A4=%25 x\nasset=0f\n");
    free(text);
}

/* ---- O7: what is completed is what was named ---- */

static void the_etag_of_a_replaced_part_is_a_conflict(void **state) {
    struct subject *s = *state;
    struct ms_obj_part old;
    struct made m;
    size_t total;

    make(s, &m);
    total = send(s, &m, 2);
    old = m.part[0];
    assert_ok(mp_put(s, KEY, m.id, 1, 0, s->bytes + 1, PART, &m.part[0]));
    assert_string_not_equal(old.etag, m.part[0].etag);
    assert_code(mp_complete(s, KEY, m.id, (struct ms_obj_part[]){old, m.part[1]}, 2, NULL),
                MS_CONFLICT);
    assert_no_object(s, KEY);
    /* It can be mended, as InvalidPart is. */
    assert_ok(mp_put(s, KEY, m.id, 1, 0, s->bytes, PART, &m.part[0]));
    assert_ok(mp_complete(s, KEY, m.id, m.part, 2, NULL));
    assert_object(s, KEY, s->bytes, total);
}

static void a_part_that_was_never_sent_is_a_conflict(void **state) {
    struct subject *s = *state;
    struct made m;

    make(s, &m);
    send(s, &m, 2);
    m.part[2] = m.part[1];
    m.part[2].part_no = 3;
    assert_code(mp_complete(s, KEY, m.id, m.part, 3, NULL), MS_CONFLICT);
    assert_no_object(s, KEY);
}

static void a_wrong_size_is_a_conflict(void **state) {
    struct subject *s = *state;
    struct made m;

    make(s, &m);
    send(s, &m, 2);
    m.part[1].size++;
    assert_code(mp_complete(s, KEY, m.id, m.part, 2, NULL), MS_CONFLICT);
    assert_no_object(s, KEY);
}

static void parts_out_of_order_or_none_are_invalid(void **state) {
    struct subject *s = *state;
    struct made m;

    make(s, &m);
    send(s, &m, 2);
    assert_code(mp_complete(s, KEY, m.id, (struct ms_obj_part[]){m.part[1], m.part[0]}, 2, NULL),
                MS_INVALID);
    assert_code(mp_complete(s, KEY, m.id, (struct ms_obj_part[]){m.part[0], m.part[0]}, 2, NULL),
                MS_INVALID);
    assert_code(mp_complete(s, KEY, m.id, m.part, 0, NULL), MS_INVALID);
    assert_no_object(s, KEY);
}

static void part_numbers_outside_1_to_10000_are_invalid(void **state) {
    struct subject *s = *state;
    struct made m;

    make(s, &m);
    assert_code(mp_put(s, KEY, m.id, 0, 0, "x", 1, NULL), MS_INVALID);
    assert_code(mp_put(s, KEY, m.id, MS_PARTS_MAX + 1, 0, "x", 1, NULL), MS_INVALID);
}

/* ---- O6, O8: endings ---- */

static void complete_may_be_repeated(void **state) {
    struct subject *s = *state;
    struct made m;
    size_t total;

    make(s, &m);
    total = send(s, &m, 2);
    assert_ok(mp_complete(s, KEY, m.id, m.part, 2, NULL));
    assert_ok(mp_complete(s, KEY, m.id, m.part, 2, NULL));
    assert_object(s, KEY, s->bytes, total);
}

static void a_part_after_complete_is_not_found_and_changes_nothing(void **state) {
    struct subject *s = *state;
    struct made m;
    size_t total;

    make(s, &m);
    total = send(s, &m, 2);
    assert_ok(mp_complete(s, KEY, m.id, m.part, 2, NULL));
    assert_code(mp_put(s, KEY, m.id, 1, 0, s->bytes + 5, PART, NULL), MS_NOT_FOUND);
    assert_code(mp_put(s, KEY, m.id, 3, total, "x", 1, NULL), MS_NOT_FOUND);
    assert_object(s, KEY, s->bytes, total);
}

static void a_part_after_abort_is_not_found(void **state) {
    struct subject *s = *state;
    struct made m;

    make(s, &m);
    send(s, &m, 2);
    assert_ok(mp_abort(s, KEY, m.id));
    assert_code(mp_put(s, KEY, m.id, 1, 0, s->bytes, PART, NULL), MS_NOT_FOUND);
    assert_code(mp_complete(s, KEY, m.id, m.part, 2, NULL), MS_NOT_FOUND);
    assert_no_object(s, KEY);
}

static void abort_may_be_repeated(void **state) {
    struct subject *s = *state;
    struct made m;

    make(s, &m);
    assert_ok(mp_abort(s, KEY, m.id));
    assert_ok(mp_abort(s, KEY, m.id));
    assert_ok(mp_abort(s, KEY, "0123456789abcdef0123456789abcdef"));
    assert_ok(mp_abort(s, KEY, "../../etc"));
}

static void abort_after_complete_leaves_the_object(void **state) {
    struct subject *s = *state;
    struct made m;
    size_t total;

    make(s, &m);
    total = send(s, &m, 2);
    assert_ok(mp_complete(s, KEY, m.id, m.part, 2, NULL));
    assert_ok(mp_abort(s, KEY, m.id));
    assert_object(s, KEY, s->bytes, total);
}

static void an_upload_belongs_to_its_key(void **state) {
    struct subject *s = *state;
    struct made m;
    size_t total;

    make(s, &m);
    total = send(s, &m, 2);
    assert_code(mp_put(s, "other", m.id, 1, 0, "x", 1, NULL), MS_NOT_FOUND);
    assert_code(mp_complete(s, "other", m.id, m.part, 2, NULL), MS_NOT_FOUND);
    assert_ok(mp_abort(s, "other", m.id));
    assert_ok(mp_complete(s, KEY, m.id, m.part, 2, NULL));
    assert_object(s, KEY, s->bytes, total);
    assert_no_object(s, "other");
}

static void an_upload_that_never_was_is_not_found(void **state) {
    struct subject *s = *state;
    static const char *const ids[] = {"0123456789abcdef0123456789abcdef", "x", "..", "../a", "/etc",
                                      "0123456789ABCDEF0123456789ABCDEF", "put-0123"};
    struct ms_obj_part part = {.part_no = 1, .size = 1, .etag = "e"};

    for (size_t i = 0; i < MS_ARRAY_LEN(ids); i++) {
        assert_code(mp_put(s, KEY, ids[i], 1, 0, "x", 1, NULL), MS_NOT_FOUND);
        assert_code(mp_complete(s, KEY, ids[i], &part, 1, NULL), MS_NOT_FOUND);
        assert_ok(mp_abort(s, KEY, ids[i]));
    }
    assert_code(mp_put(s, KEY, "", 1, 0, "x", 1, NULL), MS_INVALID);
    assert_code(mp_put(s, KEY, NULL, 1, 0, "x", 1, NULL), MS_INVALID);
}

static void two_uploads_of_one_key_do_not_mix(void **state) {
    struct subject *s = *state;
    struct made a, b;

    make(s, &a);
    make(s, &b);
    assert_string_not_equal(a.id, b.id);
    assert_ok(mp_put(s, KEY, a.id, 1, 0, "aaaa", 4, &a.part[0]));
    assert_ok(mp_put(s, KEY, b.id, 1, 0, "bb", 2, &b.part[0]));
    assert_ok(mp_complete(s, KEY, a.id, a.part, 1, NULL));
    assert_object(s, KEY, "aaaa", 4);
    assert_ok(mp_complete(s, KEY, b.id, b.part, 1, NULL));
    assert_object(s, KEY, "bb", 2);
}

static void an_object_stays_until_its_replacement_is_complete(void **state) {
    struct subject *s = *state;
    struct made m;

    assert_ok(do_put(s, KEY, "old", 3));
    make(s, &m);
    send(s, &m, 2);
    assert_object(s, KEY, "old", 3);
    assert_ok(mp_abort(s, KEY, m.id));
    assert_object(s, KEY, "old", 3);
    make(s, &m);
    assert_ok(mp_put(s, KEY, m.id, 1, 0, "newer", 5, &m.part[0]));
    assert_ok(mp_complete(s, KEY, m.id, m.part, 1, NULL));
    assert_object(s, KEY, "newer", 5);
}

/* ---- lists ---- */

static void parts_are_listed_with_what_they_hold(void **state) {
    struct subject *s = *state;
    struct ms_obj_request r = {.op = MS_OBJ_MP_PARTS, .key = KEY};
    struct made m;

    make(s, &m);
    r.upload_id = m.id;
    assert_ok(do_op(s, &r));
    assert_int_equal(r.ret_n, 0);
    send(s, &m, 3);
    assert_ok(mp_put(s, KEY, m.id, 2, PART, s->bytes + 1, PART, &m.part[1]));
    assert_ok(do_op(s, &r));
    assert_int_equal(r.ret_n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(r.ret_parts[i].part_no, i + 1);
        assert_int_equal(r.ret_parts[i].size, m.part[i].size);
        assert_string_equal(r.ret_parts[i].etag, m.part[i].etag);
    }
    assert_ok(mp_complete(s, KEY, m.id, r.ret_parts, r.ret_n, NULL));
    assert_code(do_op(s, &r), MS_NOT_FOUND);
    ms_obj_drop_results(&r);
}

static bool is_listed(struct subject *s, const char *prefix, const char *key, const char *id) {
    struct ms_obj_request r = {.op = MS_OBJ_MP_LIST, .key = prefix, .list_max = 1000};
    bool found = false;

    assert_ok(do_op(s, &r));
    for (size_t i = 0; i < r.ret_n; i++)
        found = found || (strcmp(r.ret_entries[i].key, key) == 0 &&
                          strcmp(r.ret_entries[i].upload_id, id) == 0);
    ms_obj_drop_results(&r);
    return found;
}

static void open_uploads_are_listed_until_they_end(void **state) {
    struct subject *s = *state;
    struct made a, b;

    make(s, &a);
    make(s, &b);
    assert_true(is_listed(s, NULL, KEY, a.id));
    assert_true(is_listed(s, "up/", KEY, b.id));
    assert_false(is_listed(s, "down/", KEY, b.id));
    send(s, &a, 1);
    assert_ok(mp_complete(s, KEY, a.id, a.part, 1, NULL));
    assert_ok(mp_abort(s, KEY, b.id));
    assert_false(is_listed(s, NULL, KEY, a.id));
    assert_false(is_listed(s, NULL, KEY, b.id));
}

static void uploads_are_listed_page_by_page(void **state) {
    struct subject *s = *state;
    char after[MS_OBJECT_KEY_MAX + 1] = "", id[MS_UPLOAD_ID_MAX + 1] = "", made[MS_UPLOAD_ID_MAX + 1];
    struct ms_obj_request r = {.op = MS_OBJ_MP_LIST, .key = "pages/", .after = after, .upload_id = id};
    char key[32];

    for (int i = 0; i < 9; i++) {
        snprintf(key, sizeof key, "pages/%d", i / 3); /* three uploads for each key */
        assert_ok(mp_create(s, key, made));
    }
    for (size_t max = 1; max <= 10; max++) {
        size_t n = 0;

        after[0] = id[0] = '\0';
        r.list_max = max;
        do {
            assert_ok(do_op(s, &r));
            for (size_t i = 0; i < r.ret_n; i++, n++) {
                int order = strcmp(after, r.ret_entries[i].key);

                assert_true(order < 0 || (order == 0 && strcmp(id, r.ret_entries[i].upload_id) < 0));
                strcpy(after, r.ret_entries[i].key);
                strcpy(id, r.ret_entries[i].upload_id);
            }
        } while (r.ret_more);
        assert_int_equal(n, 9);
    }
    ms_obj_drop_results(&r);
}

static void uploads_are_not_in_the_list_of_objects(void **state) {
    struct subject *s = *state;
    struct ms_obj_request r = {.op = MS_OBJ_LIST, .key = "up/", .list_max = 10};
    struct made m;

    make(s, &m);
    send(s, &m, 2);
    assert_ok(do_op(s, &r));
    assert_int_equal(r.ret_n, 0);
    ms_obj_drop_results(&r);
}

/* ---- parts in place, of any size ---- */

static void parts_in_place_have_any_size(void **state) {
    static const size_t sizes[] = {1, 4095, 100000, 3, 70000};
    struct subject *s = *state;
    struct made m;
    size_t total = 0;

    make(s, &m);
    for (uint32_t i = 0; i < MS_ARRAY_LEN(sizes); i++) {
        assert_ok(mp_put(s, KEY, m.id, i + 1, total, s->bytes + total, sizes[i], &m.part[i]));
        total += sizes[i];
    }
    assert_ok(mp_complete(s, KEY, m.id, m.part, MS_ARRAY_LEN(sizes), NULL));
    assert_object(s, KEY, s->bytes, total);
}

static void a_hole_between_parts_is_a_conflict(void **state) {
    struct subject *s = *state;
    struct made m;

    make(s, &m);
    assert_ok(mp_put(s, KEY, m.id, 1, 0, s->bytes, 1000, &m.part[0]));
    assert_ok(mp_put(s, KEY, m.id, 2, 1001, s->bytes, 1000, &m.part[1]));
    assert_code(mp_complete(s, KEY, m.id, m.part, 2, NULL), MS_CONFLICT);
    assert_no_object(s, KEY);
    assert_ok(mp_complete(s, KEY, m.id, m.part, 1, NULL));
    assert_object(s, KEY, s->bytes, 1000);
}

static void parts_that_overlap_are_invalid(void **state) {
    struct subject *s = *state;
    struct made m;

    make(s, &m);
    assert_ok(mp_put(s, KEY, m.id, 2, 1000, s->bytes, 1000, &m.part[1]));
    assert_code(mp_put(s, KEY, m.id, 1, 0, s->bytes, 1001, NULL), MS_INVALID);
    assert_code(mp_put(s, KEY, m.id, 3, 1999, s->bytes, 1, NULL), MS_INVALID);
    assert_ok(mp_put(s, KEY, m.id, 1, 0, s->bytes, 1000, &m.part[0]));
    assert_ok(mp_complete(s, KEY, m.id, m.part, 2, NULL));
}

/* ---- parts from another object ---- */

static void a_range_of_an_object_becomes_a_part(void **state) {
    struct subject *s = *state;
    struct ms_obj_request r = {.op = MS_OBJ_MP_COPY,
                               .key = KEY,
                               .source_key = "source",
                               .part_no = 1,
                               .offset = 1234,
                               .length = PART};
    struct made m;

    assert_ok(do_put(s, "source", s->bytes, PART + 5000));
    make(s, &m);
    r.upload_id = m.id;
    assert_ok(do_op(s, &r));
    m.part[0] = (struct ms_obj_part){.part_no = 1, .size = PART};
    strcpy(m.part[0].etag, r.ret_etag);
    assert_ok(mp_put(s, KEY, m.id, 2, PART, s->bytes + 1234 + PART, 10, &m.part[1]));
    assert_ok(mp_complete(s, KEY, m.id, m.part, 2, NULL));
    assert_object(s, KEY, s->bytes + 1234, PART + 10);
}

static void a_part_from_beyond_the_source_is_refused(void **state) {
    struct subject *s = *state;
    struct ms_obj_request r = {
        .op = MS_OBJ_MP_COPY, .key = KEY, .source_key = "source", .part_no = 1, .length = 6};
    struct made m;

    assert_ok(do_put(s, "source", "12345", 5));
    make(s, &m);
    r.upload_id = m.id;
    assert_code(do_op(s, &r), MS_RANGE);
    r.source_key = "nothing";
    assert_code(do_op(s, &r), MS_NOT_FOUND);
}

const struct contract_case upload_cases[] = {
    CASE(MULTIPART, parts_become_an_object),
    CASE(MULTIPART, one_short_part_is_an_object),
    CASE(MULTIPART, one_empty_part_is_an_empty_object),
    CASE(MULTIPART, parts_may_be_sent_in_any_order),
    CASE(MULTIPART, numbers_may_have_gaps),
    CASE(MULTIPART, a_part_from_a_file_is_a_part),
    CASE(MULTIPART, a_part_sent_again_replaces_the_first),
    CASE(MULTIPART, the_last_part_may_grow_and_shrink),
    CASE(MULTIPART, metadata_of_an_upload_is_that_of_its_object),
    CASE(MULTIPART, the_etag_of_a_replaced_part_is_a_conflict),
    CASE(MULTIPART, a_part_that_was_never_sent_is_a_conflict),
    CASE(MULTIPART, a_wrong_size_is_a_conflict),
    CASE(MULTIPART, parts_out_of_order_or_none_are_invalid),
    CASE(MULTIPART, part_numbers_outside_1_to_10000_are_invalid),
    CASE(MULTIPART, complete_may_be_repeated),
    CASE(MULTIPART, a_part_after_complete_is_not_found_and_changes_nothing),
    CASE(MULTIPART, a_part_after_abort_is_not_found),
    CASE(MULTIPART, abort_may_be_repeated),
    CASE(MULTIPART, abort_after_complete_leaves_the_object),
    CASE(MULTIPART, an_upload_belongs_to_its_key),
    CASE(MULTIPART, an_upload_that_never_was_is_not_found),
    CASE(MULTIPART, two_uploads_of_one_key_do_not_mix),
    CASE(MULTIPART, an_object_stays_until_its_replacement_is_complete),
    CASE(MULTIPART, parts_are_listed_with_what_they_hold),
    CASE(MULTIPART, open_uploads_are_listed_until_they_end),
    CASE(MULTIPART, uploads_are_listed_page_by_page),
    CASE(MULTIPART, uploads_are_not_in_the_list_of_objects),
    CASE(IN_PLACE, parts_in_place_have_any_size),
    CASE(IN_PLACE, a_hole_between_parts_is_a_conflict),
    CASE(IN_PLACE, parts_that_overlap_are_invalid),
    CASE(PART_COPY, a_range_of_an_object_becomes_a_part),
    CASE(PART_COPY, a_part_from_beyond_the_source_is_refused),
};
const size_t upload_cases_n = MS_ARRAY_LEN(upload_cases);
