/* core.c — PUT, GET, HEAD, DELETE, COPY, DELETE_MANY; keys, metadata, cancelling, undeclared operations. */
#include "contract.h"

#include "base/assert.h"
#include "object/wrap_fault.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* ---- bytes ---- */

static void an_empty_object_is_an_object(void **state) {
    struct subject *s = *state;

    assert_ok(do_put(s, "a/empty", "", 0));
    assert_object(s, "a/empty", "", 0);
    assert_ok(do_get(s, "a/empty", 0, NULL, 0));
}

static void an_empty_body_may_have_no_memory(void **state) {
    struct subject *s = *state;

    assert_ok(do_put(s, "a/empty", NULL, 0));
    assert_object(s, "a/empty", "", 0);
}

static void one_byte_comes_back(void **state) {
    struct subject *s = *state;

    assert_ok(do_put(s, "one", "x", 1));
    assert_object(s, "one", "x", 1);
}

static void sizes_at_the_edges_of_blocks_come_back(void **state) {
    static const size_t edges[] = {4096, 65536, 256 * 1024, MIB, 8 * MIB};
    struct subject *s = *state;
    char key[64];

    for (size_t i = 0; i < MS_ARRAY_LEN(edges); i++)
        for (int d = -1; d <= 1; d++) {
            size_t n = edges[i] + (size_t)d;

            snprintf(key, sizeof key, "edges/%zu", n);
            assert_ok(do_put(s, key, s->bytes + i, n));
            assert_object(s, key, s->bytes + i, n);
        }
}

static void a_large_object_comes_back(void **state) {
    struct subject *s = *state;

    assert_ok(do_put(s, "large", s->bytes, BYTES_N));
    assert_object(s, "large", s->bytes, BYTES_N);
}

static void a_range_of_a_file_is_a_body(void **state) {
    struct subject *s = *state;
    char *path = ms_test_path(s->tmpdir, "source");
    struct ms_obj_request r = {.op = MS_OBJ_PUT, .key = "from/file"};
    int fd;

    ms_test_write_file(path, s->bytes, 5 * MIB);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    r.body = (struct ms_obj_body){.fd = fd, .fd_offset = 12345, .length = 3 * MIB + 7};
    assert_ok(do_op(s, &r));
    close(fd);
    free(path);
    assert_object(s, "from/file", s->bytes + 12345, 3 * MIB + 7);
}

static void a_file_that_ends_early_is_refused_and_changes_nothing(void **state) {
    struct subject *s = *state;
    char *path = ms_test_path(s->tmpdir, "source");
    struct ms_obj_request r = {.op = MS_OBJ_PUT, .key = "from/file"};
    enum ms_code code;
    int fd;

    ms_test_write_file(path, s->bytes, 2 * MIB);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    r.body = (struct ms_obj_body){.fd = fd, .length = 2 * MIB + 1};
    code = do_op(s, &r);
    close(fd);
    free(path);
    assert_int_equal(code, MS_MISMATCH);
    assert_no_object(s, "from/file");
}

static void the_same_bytes_have_the_same_etag_and_others_another(void **state) {
    struct subject *s = *state;
    char a[MS_ETAG_MAX + 1], b[MS_ETAG_MAX + 1], c[MS_ETAG_MAX + 1], h[MS_ETAG_MAX + 1];

    assert_ok(do_put_meta(s, "a", s->bytes, 1000, NULL, a));
    assert_ok(do_put_meta(s, "b", s->bytes, 1000, NULL, b));
    assert_ok(do_put_meta(s, "c", s->bytes + 1, 1000, NULL, c));
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    assert_ok(do_head(s, "a", NULL, h, NULL));
    assert_string_equal(a, h);
}

/* ---- ranges ---- */

static void ranges_give_exactly_their_bytes(void **state) {
    static const struct {
        uint64_t offset;
        size_t n;
    } ranges[] = {{0, 1},         {0, 100000},     {99999, 1},          {1, 99999},
                  {4095, 2},      {50000, 256},    {65536, 1024},       {99744, 256},
                  {100000, 0},    {0, 0},          {77, 0}};
    struct subject *s = *state;
    unsigned char *into = malloc(100002);

    assert_ok(do_put(s, "r", s->bytes, 100000));
    for (size_t i = 0; i < MS_ARRAY_LEN(ranges); i++) {
        memset(into, 0x5a, 100002);
        assert_ok(do_get(s, "r", ranges[i].offset, into + 1, ranges[i].n));
        assert_int_equal(into[0], 0x5a);
        assert_int_equal(into[ranges[i].n + 1], 0x5a);
        assert_memory_equal(into + 1, s->bytes + ranges[i].offset, ranges[i].n ? ranges[i].n : 0);
    }
    free(into);
}

static void a_range_beyond_the_end_is_refused(void **state) {
    struct subject *s = *state;
    char into[8];

    assert_ok(do_put(s, "r", "12345", 5));
    assert_code(do_get(s, "r", 0, into, 6), MS_RANGE);
    assert_code(do_get(s, "r", 5, into, 1), MS_RANGE);
    assert_code(do_get(s, "r", 6, into, 0), MS_RANGE);
    assert_code(do_get(s, "r", INT64_MAX - 1, into, 1), MS_RANGE);
    assert_ok(do_put(s, "e", "", 0));
    assert_code(do_get(s, "e", 0, into, 1), MS_RANGE);
}

static void a_range_that_overflows_is_invalid(void **state) {
    struct subject *s = *state;
    char into[8];

    assert_ok(do_put(s, "r", "12345", 5));
    assert_code(do_get(s, "r", UINT64_MAX, into, 1), MS_INVALID);
    assert_code(do_get(s, "r", INT64_MAX, into, 1), MS_INVALID);
}

/* ---- absence, overwriting, deleting ---- */

static void what_is_not_there_is_not_found(void **state) {
    struct subject *s = *state;

    assert_no_object(s, "nothing");
    assert_no_object(s, "no/thing/at/all");
    assert_ok(do_put(s, "folder/object", "x", 1));
    assert_no_object(s, "folder");
    assert_no_object(s, "folder/object/below");
}

static void an_overwrite_replaces_bytes_size_and_metadata(void **state) {
    struct subject *s = *state;
    struct ms_obj_meta meta = {.content_type = "text/plain", .pair = {{"n", "1"}}, .pairs = 1};
    char *text = NULL;

    assert_ok(do_put_meta(s, "o", s->bytes, 5000, &meta, NULL));
    meta.pair[0].value = "2";
    assert_ok(do_put_meta(s, "o", s->bytes + 9, 17, &meta, NULL));
    assert_object(s, "o", s->bytes + 9, 17);
    assert_ok(do_head(s, "o", NULL, NULL, &text));
    assert_string_equal(text, "content-type=text/plain\nn=2\n");
    free(text);
}

static void delete_removes_and_may_be_repeated(void **state) {
    struct subject *s = *state;

    assert_ok(do_put(s, "d/x", "x", 1));
    assert_ok(do_put(s, "d/y", "y", 1));
    assert_ok(do_delete(s, "d/x"));
    assert_no_object(s, "d/x");
    assert_object(s, "d/y", "y", 1);
    assert_ok(do_delete(s, "d/x"));
    assert_ok(do_delete(s, "never/was"));
    assert_ok(do_delete(s, "d/y"));
    assert_no_object(s, "d/y");
}

static void a_deleted_key_can_be_written_again(void **state) {
    struct subject *s = *state;

    for (int i = 0; i < 3; i++) {
        assert_ok(do_put(s, "again/and/again", s->bytes + i, 100));
        assert_object(s, "again/and/again", s->bytes + i, 100);
        assert_ok(do_delete(s, "again/and/again"));
        assert_no_object(s, "again/and/again");
    }
}

static void deleting_a_folder_of_objects_deletes_none(void **state) {
    struct subject *s = *state;

    assert_ok(do_put(s, "f/x", "x", 1));
    assert_ok(do_delete(s, "f"));
    assert_object(s, "f/x", "x", 1);
}

/* ---- metadata ---- */

static void metadata_comes_back_as_it_was(void **state) {
    struct subject *s = *state;
    struct ms_obj_meta meta = {
        .content_type = "video/mp4; codecs=\"avc1\"",
        .pair = {{"object", "0123456789abcdef0123456789abcdef"},
                 {"name", "%E6%98%A0%E5%83%8F%20%231%3D%25.mp4"},
                 {"empty", ""},
                 {"equals", "a=b=c"},
                 {"spaces", "two  blanks"}},
        .pairs = 5};
    char *text = NULL;

    assert_ok(do_put_meta(s, "m", "x", 1, &meta, NULL));
    assert_ok(do_head(s, "m", NULL, NULL, &text));
    assert_string_equal(text, "content-type=video/mp4; codecs=\"avc1\"\n"
                              "object=0123456789abcdef0123456789abcdef\n"
                              "name=%E6%98%A0%E5%83%8F%20%231%3D%25.mp4\n"
                              "empty=\nequals=a=b=c\nspaces=two  blanks\n");
    free(text);
}

static void without_metadata_the_type_is_bytes(void **state) {
    struct subject *s = *state;
    char *text = NULL;

    assert_ok(do_put(s, "m", "x", 1));
    assert_ok(do_head(s, "m", NULL, NULL, &text));
    assert_string_equal(text, "content-type=application/octet-stream\n");
    free(text);
}

static void the_most_metadata_comes_back(void **state) {
    struct subject *s = *state;
    struct ms_obj_meta meta = {.content_type = "a/b", .pairs = MS_OBJ_META_MAX};
    static const char *const keys[MS_OBJ_META_MAX] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"};
    size_t most = s->obj->caps.meta_bytes_max, n = most ? most / MS_OBJ_META_MAX - 2 : 1024;
    char value[1025], *text = NULL;

    memset(value, '~', n);
    value[n] = '\0';
    for (size_t i = 0; i < MS_OBJ_META_MAX; i++) {
        meta.pair[i].key = keys[i];
        meta.pair[i].value = value;
    }
    assert_ok(do_put_meta(s, "most", "x", 1, &meta, NULL));
    assert_ok(do_head(s, "most", NULL, NULL, &text));
    assert_int_equal(strlen(text), strlen("content-type=a/b\n") + 8 * (3 + n + 1));
    assert_non_null(strstr(text, "\nk7=~~"));
    free(text);
    assert_ok(do_put(s, "most", "y", 1)); /* and less replaces it */
    assert_ok(do_head(s, "most", NULL, NULL, &text));
    assert_string_equal(text, "content-type=application/octet-stream\n");
    free(text);
    assert_ok(do_delete(s, "most"));
    assert_no_object(s, "most");
}

static void metadata_outside_its_alphabet_is_invalid(void **state) {
    struct subject *s = *state;
    static const struct {
        const char *type, *key, *value;
    } bad[] = {{"a\nb", "k", "v"}, {NULL, "K", "v"},  {NULL, "", "v"},       {NULL, "k=", "v"},
               {NULL, "k", "a\n"}, {NULL, "k", "ü"}, {NULL, "content-type", "v"},
               {NULL, "a-key-of-thirty-three-characters-x", "v"}};
    struct ms_obj_meta meta = {.pairs = 1};

    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        meta.content_type = bad[i].type;
        meta.pair[0].key = bad[i].key;
        meta.pair[0].value = bad[i].value;
        assert_code(do_put_meta(s, "m", "x", 1, &meta, NULL), MS_INVALID);
    }
    assert_no_object(s, "m");
}

/* ---- keys ---- */

static void keys_of_all_allowed_kinds_work(void **state) {
    struct subject *s = *state;
    char longest[MS_OBJECT_KEY_MAX + 1], component[256];
    const char *keys[] = {"a",       "a.b",          "..c/..d",      "x/.hidden", "with blank/and more",
                          "ünï/cødé", "quote\"'&<>?*", "%2e%2e/%00", "-dash",     "映像/ファイル.mp4",
                          "p/.catalogue/1", "~",     component,      longest};

    memset(component, 'c', 255);
    component[255] = '\0';
    memset(longest, 'l', MS_OBJECT_KEY_MAX);
    for (size_t i = 100; i < MS_OBJECT_KEY_MAX; i += 100)
        longest[i] = '/';
    longest[MS_OBJECT_KEY_MAX] = '\0';
    for (size_t i = 0; i < MS_ARRAY_LEN(keys); i++)
        assert_ok(do_put(s, keys[i], s->bytes + i, 64));
    for (size_t i = 0; i < MS_ARRAY_LEN(keys); i++)
        assert_object(s, keys[i], s->bytes + i, 64);
}

static void keys_that_lead_elsewhere_are_invalid(void **state) {
    struct subject *s = *state;
    char component[257], longest[MS_OBJECT_KEY_MAX + 2], byte = 0;
    const char *keys[] = {"",       "/",       "/a",      "a/",     "a//b",      ".",        "..",
                          "../a",   "a/../b",  "a/..",    "a/./b",  "./a",       "a\nb",     "a\tb",
                          "a\x7f",  "\x01",    "\xff",    "\xc3(",  "\xed\xa0\x80", "\xc0\xaf", "\xf5\x80\x80\x80",
                          ".uploads", ".uploads/x", ".uploads2", ".sidecar/x", component, longest, NULL};

    memset(component, 'c', 256);
    component[256] = '\0';
    memset(longest, 'l', sizeof longest - 1);
    for (size_t i = 100; i < sizeof longest - 1; i += 100)
        longest[i] = '/';
    longest[sizeof longest - 1] = '\0';
    for (size_t i = 0; i < MS_ARRAY_LEN(keys); i++) {
        assert_code(do_put(s, keys[i], "x", 1), MS_INVALID);
        assert_code(do_get(s, keys[i], 0, &byte, 1), MS_INVALID);
        assert_code(do_head(s, keys[i], NULL, NULL, NULL), MS_INVALID);
        assert_code(do_delete(s, keys[i]), MS_INVALID);
    }
}

static void a_key_that_is_a_folder_of_another_is_stored_or_refused(void **state) {
    struct subject *s = *state;
    enum ms_code code;

    assert_ok(do_put(s, "k/object", "1", 1));
    code = do_put(s, "k", "2", 1);
    assert_true(code == MS_OK || code == MS_EXISTS);
    assert_object(s, "k/object", "1", 1);
    assert_ok(do_put(s, "j", "3", 1));
    code = do_put(s, "j/object", "4", 1);
    assert_true(code == MS_OK || code == MS_EXISTS);
    assert_object(s, "j", "3", 1);
}

/* ---- many at once ---- */

struct many {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    unsigned open, failed;
};

static void many_done(struct ms_obj_request *r) {
    struct many *m = r->priv;

    pthread_mutex_lock(&m->mutex);
    m->open--;
    m->failed += r->code != MS_OK;
    pthread_cond_signal(&m->cond);
    pthread_mutex_unlock(&m->mutex);
}

static void many_submit(struct subject *s, struct many *m, struct ms_obj_request *r) {
    pthread_mutex_lock(&m->mutex);
    m->open++;
    pthread_mutex_unlock(&m->mutex);
    r->done = many_done;
    r->priv = m;
    ms_obj_submit(s->obj, r);
}

static unsigned many_wait(struct many *m) {
    unsigned failed;

    pthread_mutex_lock(&m->mutex);
    while (m->open > 0)
        pthread_cond_wait(&m->cond, &m->mutex);
    failed = m->failed;
    pthread_mutex_unlock(&m->mutex);
    return failed;
}

#define MANY 200
static void many_requests_at_once_all_end(void **state) {
    struct subject *s = *state;
    struct many m = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    struct ms_obj_request *r = calloc(MANY, sizeof *r);
    char (*keys)[32] = calloc(MANY, sizeof *keys);
    unsigned char *into = calloc(MANY, 1000);

    for (size_t i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof *keys, "many/%zu/o%zu", i % 7, i);
        r[i] = (struct ms_obj_request){
            .op = MS_OBJ_PUT,
            .key = keys[i],
            .body = {.memory = ms_view_of(s->bytes + i, 1000), .length = 1000}};
        many_submit(s, &m, &r[i]);
    }
    assert_int_equal(many_wait(&m), 0);
    for (size_t i = 0; i < MANY; i++) {
        r[i] = (struct ms_obj_request){
            .op = MS_OBJ_GET, .key = keys[i], .into = into + i * 1000, .length = 1000};
        many_submit(s, &m, &r[i]);
    }
    assert_int_equal(many_wait(&m), 0);
    for (size_t i = 0; i < MANY; i++)
        assert_memory_equal(into + i * 1000, s->bytes + i, 1000);
    for (size_t i = 0; i < MANY; i++) {
        r[i] = (struct ms_obj_request){.op = MS_OBJ_DELETE, .key = keys[i]};
        many_submit(s, &m, &r[i]);
    }
    assert_int_equal(many_wait(&m), 0);
    assert_no_object(s, keys[0]);
    free(r);
    free(keys);
    free(into);
}

static void puts_and_deletes_in_one_folder_do_not_disturb_each_other(void **state) {
    struct subject *s = *state;
    struct many m = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    struct ms_obj_request r[8];
    char keys[8][32];

    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 8; i++) {
            snprintf(keys[i], sizeof keys[i], "busy/folder/%d", i);
            r[i] = (struct ms_obj_request){
                .op = (i + round) % 2 ? MS_OBJ_PUT : MS_OBJ_DELETE,
                .key = keys[i],
                .body = {.memory = ms_view_of("x", 1), .length = 1}};
            many_submit(s, &m, &r[i]);
        }
        assert_int_equal(many_wait(&m), 0);
    }
}

/* Readers see all of one version: each is one byte repeated. */
struct reader {
    struct subject *s;
    pthread_t thread;
    int *stop;
    unsigned mixed, failed, reads;
};

static void *read_on(void *arg) {
    struct reader *r = arg;
    unsigned char *into = malloc(100000);
    struct ms_obj_request get;
    enum ms_code code;

    while (!__atomic_load_n(r->stop, __ATOMIC_SEQ_CST) || r->reads == 0) {
        get = (struct ms_obj_request){.op = MS_OBJ_GET, .key = "o", .into = into, .length = 100000};
        code = ms_obj_run(r->s->obj, &get, NULL);
        /* RGW answers 500 to a read that a write overtook: to be tried again, as the wrapper does. */
        if (code == MS_UNAVAILABLE && r->s->instance->dress == BARE)
            continue;
        r->failed += code != MS_OK;
        for (size_t i = 1; i < 100000; i++)
            if (into[i] != into[0]) {
                r->mixed++;
                break;
            }
        r->reads++;
    }
    free(into);
    return NULL;
}

static void readers_see_the_old_bytes_or_the_new_ones(void **state) {
    struct subject *s = *state;
    unsigned char *bytes = malloc(100000);
    struct reader readers[3];
    int stop = 0;
    unsigned bad = 0;

    memset(bytes, 0, 100000);
    assert_ok(do_put(s, "o", bytes, 100000));
    for (size_t i = 0; i < 3; i++) {
        readers[i] = (struct reader){.s = s, .stop = &stop};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
    }
    for (int i = 1; i <= 40; i++) {
        memset(bytes, i, 100000);
        bad += do_put(s, "o", bytes, 100000) != MS_OK;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(readers[i].thread, NULL);
        bad += readers[i].mixed + readers[i].failed;
    }
    assert_int_equal(bad, 0);
    assert_object(s, "o", bytes, 100000);
    free(bytes);
}

/* ---- ending early ---- */

static void a_cancelled_request_still_ends_once(void **state) {
    struct subject *s = *state;
    struct many m = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    struct ms_obj_request *r = calloc(32, sizeof *r);
    char keys[32][16];
    unsigned wrong = 0;

    for (size_t i = 0; i < 32; i++) {
        snprintf(keys[i], sizeof keys[i], "c/%zu", i);
        r[i] = (struct ms_obj_request){
            .op = MS_OBJ_PUT,
            .key = keys[i],
            .body = {.memory = ms_view_of(s->bytes, 2 * MIB), .length = 2 * MIB}};
        many_submit(s, &m, &r[i]);
    }
    for (size_t i = 0; i < 32; i++)
        ms_obj_cancel(s->obj, &r[i]);
    many_wait(&m);
    for (size_t i = 0; i < 32; i++)
        wrong += r[i].code != MS_OK && r[i].code != MS_CANCELLED;
    assert_int_equal(wrong, 0);
    for (size_t i = 0; i < 32; i++) {
        /* Applied in whole or not at all. */
        if (r[i].code == MS_OK || do_head(s, keys[i], NULL, NULL, NULL) != MS_NOT_FOUND)
            assert_object(s, keys[i], s->bytes, 2 * MIB);
        else
            assert_no_object(s, keys[i]);
    }
    free(r);
}

static void a_request_that_is_cancelled_before_it_begins_changes_nothing(void **state) {
    struct subject *s = *state;
    struct ms_obj_request r = {.op = MS_OBJ_PUT,
                               .key = "c",
                               .body = {.memory = ms_view_of("x", 1), .length = 1},
                               .cancelled = 1};

    assert_code(do_op(s, &r), MS_CANCELLED);
    assert_no_object(s, "c");
}

static void a_request_can_be_used_again(void **state) {
    struct subject *s = *state;
    struct ms_obj_request r = {.op = MS_OBJ_HEAD, .key = "h"};

    assert_code(do_op(s, &r), MS_NOT_FOUND);
    assert_ok(do_put(s, "h", "x", 1));
    for (int i = 0; i < 3; i++) {
        assert_ok(do_op(s, &r));
        assert_int_equal(r.code, MS_OK);
        assert_int_equal(r.error.code, MS_OK);
        assert_int_equal(r.ret_size, 1);
        assert_string_equal((char *)r.ret_meta.data, "content-type=application/octet-stream\n");
    }
    ms_buf_fini(&r.ret_meta);
}

static void more_than_the_store_takes_at_once_is_too_large(void **state) {
    struct subject *s = *state;
    struct ms_obj_request r = {.op = MS_OBJ_PUT, .key = "big"};

    r.body = (struct ms_obj_body){.fd = -1, .length = s->obj->caps.put_bytes_max + 1};
    assert_true(s->obj->caps.put_bytes_max >= 5 * MS_GB);
    assert_code(do_op(s, &r), MS_TOO_LARGE);
    assert_no_object(s, "big");
}

/* ---- what is declared, and what is not ---- */

static void undeclared_operations_are_unsupported_and_change_nothing(void **state) {
    struct subject *s = *state;
    const struct ms_obj_caps *caps = &s->obj->caps;
    struct ms_obj_part part = {.part_no = 1, .etag = "e"};
    const char *keys[] = {"x"};
    const struct {
        enum ms_obj_op op;
        bool declared;
    } ops[] = {{MS_OBJ_MP_CREATE, caps->multipart},   {MS_OBJ_MP_PUT, caps->multipart},
               {MS_OBJ_MP_COMPLETE, caps->multipart}, {MS_OBJ_MP_ABORT, caps->multipart},
               {MS_OBJ_MP_LIST, caps->multipart},     {MS_OBJ_MP_PARTS, caps->multipart},
               {MS_OBJ_COPY, caps->copy},             {MS_OBJ_MP_COPY, caps->part_copy},
               {MS_OBJ_DELETE_MANY, caps->batch_delete}, {MS_OBJ_OP_COUNT, false}};

    assert_ok(do_put(s, "x", "x", 1));
    for (size_t i = 0; i < MS_ARRAY_LEN(ops); i++) {
        struct ms_obj_request r = {.op = ops[i].op, .key = "y", .source_key = "x", .upload_id = "u",
                                   .part_no = 1, .parts = &part, .parts_n = 1, .keys = keys,
                                   .keys_n = 1, .list_max = 10};

        if (ops[i].declared)
            continue;
        assert_code(do_op(s, &r), MS_UNSUPPORTED);
        assert_non_null(strstr(s->err.message, "no "));
    }
    assert_object(s, "x", "x", 1);
    assert_no_object(s, "y");
}

static void copy_gives_bytes_and_metadata(void **state) {
    struct subject *s = *state;
    struct ms_obj_meta meta = {.content_type = "a/b", .pair = {{"k", "v"}}, .pairs = 1};
    struct ms_obj_request r = {.op = MS_OBJ_COPY, .source_key = "from/a", .key = "to/b"};
    char *text = NULL;

    assert_ok(do_put_meta(s, "from/a", s->bytes, 3 * MIB + 1, &meta, NULL));
    assert_ok(do_op(s, &r));
    assert_true(r.ret_etag[0] != '\0');
    assert_ok(do_delete(s, "from/a"));
    assert_object(s, "to/b", s->bytes, 3 * MIB + 1);
    assert_ok(do_head(s, "to/b", NULL, NULL, &text));
    assert_string_equal(text, "content-type=a/b\nk=v\n");
    free(text);
}

static void copy_of_nothing_is_not_found(void **state) {
    struct subject *s = *state;
    struct ms_obj_request r = {.op = MS_OBJ_COPY, .source_key = "from/a", .key = "to/b"};

    assert_code(do_op(s, &r), MS_NOT_FOUND);
    assert_no_object(s, "to/b");
    r.source_key = "../a";
    assert_code(do_op(s, &r), MS_INVALID);
}

static void many_keys_are_deleted_by_one_request(void **state) {
    struct subject *s = *state;
    const char *keys[] = {"b/1", "b/2", "never", "b/3"};
    struct ms_obj_request r = {.op = MS_OBJ_DELETE_MANY, .keys = keys, .keys_n = 4};

    assert_ok(do_put(s, "b/1", "x", 1));
    assert_ok(do_put(s, "b/2", "x", 1));
    assert_ok(do_put(s, "b/3", "x", 1));
    assert_ok(do_put(s, "b/4", "x", 1));
    assert_ok(do_op(s, &r));
    assert_ok(do_op(s, &r));
    for (size_t i = 0; i < 4; i++)
        assert_no_object(s, keys[i]);
    assert_object(s, "b/4", "x", 1);
}

static void one_bad_key_among_many_deletes_nothing(void **state) {
    struct subject *s = *state;
    const char *keys[] = {"b/1", "../b"};
    struct ms_obj_request r = {.op = MS_OBJ_DELETE_MANY, .keys = keys, .keys_n = 2};

    assert_ok(do_put(s, "b/1", "x", 1));
    assert_code(do_op(s, &r), MS_INVALID);
    assert_object(s, "b/1", "x", 1);
    r.keys_n = 0;
    assert_code(do_op(s, &r), MS_INVALID);
}

/* ---- O9: with a store that does not answer ---- */

static void every_operation_ends_by_its_deadline(void **state) {
    struct subject *s = *state;
    struct ms_obj_part part = {.part_no = 1, .etag = "e"};
    const char *keys[] = {"k"};
    char into[1];

    assert_ok(ms_fault_script(ms_obj_fault_of(s->obj), "*:*:hang", &test_err));
    for (unsigned op = 0; op < MS_OBJ_OP_COUNT; op++) {
        struct ms_obj_request r = {.op = op, .key = "k", .source_key = "x", .upload_id = "u",
                                   .part_no = 1, .parts = &part, .parts_n = 1, .keys = keys,
                                   .keys_n = 1, .list_max = 10, .into = into, .length = 1,
                                   .timeout_ms = 15};
        enum ms_code code = do_op(s, &r);

        assert_true(code == MS_TIMEOUT || code == MS_UNSUPPORTED);
        ms_obj_drop_results(&r);
    }
}

static void a_request_that_hangs_is_cancelled(void **state) {
    struct subject *s = *state;
    struct many m = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    struct ms_obj *fault = ms_obj_fault_of(s->obj);
    struct ms_obj_request r[12];

    assert_ok(do_put(s, "k", "x", 1));
    ms_fault_gate(fault, MS_OBJ_HEAD, true);
    for (size_t i = 0; i < 12; i++) {
        r[i] = (struct ms_obj_request){.op = MS_OBJ_HEAD, .key = "k"};
        many_submit(s, &m, &r[i]);
    }
    ms_fault_wait_held(fault, 12);
    assert_ok(do_put(s, "l", "y", 1)); /* others go on meanwhile */
    for (size_t i = 0; i < 12; i++)
        ms_obj_cancel(s->obj, &r[i]);
    assert_int_equal(many_wait(&m), 12);
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(r[i].code, MS_CANCELLED);
    ms_fault_gate(fault, MS_OBJ_HEAD, false);
    assert_object(s, "k", "x", 1);
}

const struct contract_case core_cases[] = {
    CASE(CORE, an_empty_object_is_an_object),
    CASE(CORE, an_empty_body_may_have_no_memory),
    CASE(CORE, one_byte_comes_back),
    CASE(CORE, sizes_at_the_edges_of_blocks_come_back),
    CASE(CORE, a_large_object_comes_back),
    CASE(CORE, a_range_of_a_file_is_a_body),
    CASE(CORE, a_file_that_ends_early_is_refused_and_changes_nothing),
    CASE(CORE, the_same_bytes_have_the_same_etag_and_others_another),
    CASE(CORE, ranges_give_exactly_their_bytes),
    CASE(CORE, a_range_beyond_the_end_is_refused),
    CASE(CORE, a_range_that_overflows_is_invalid),
    CASE(CORE, what_is_not_there_is_not_found),
    CASE(CORE, an_overwrite_replaces_bytes_size_and_metadata),
    CASE(CORE, delete_removes_and_may_be_repeated),
    CASE(CORE, a_deleted_key_can_be_written_again),
    CASE(CORE, deleting_a_folder_of_objects_deletes_none),
    CASE(CORE, metadata_comes_back_as_it_was),
    CASE(CORE, without_metadata_the_type_is_bytes),
    CASE(CORE, the_most_metadata_comes_back),
    CASE(CORE, metadata_outside_its_alphabet_is_invalid),
    CASE(CORE, keys_of_all_allowed_kinds_work),
    CASE(CORE, keys_that_lead_elsewhere_are_invalid),
    CASE(CORE, a_key_that_is_a_folder_of_another_is_stored_or_refused),
    CASE(CORE, many_requests_at_once_all_end),
    CASE(CORE, puts_and_deletes_in_one_folder_do_not_disturb_each_other),
    CASE(CORE, readers_see_the_old_bytes_or_the_new_ones),
    CASE(CORE, a_cancelled_request_still_ends_once),
    CASE(CORE, a_request_that_is_cancelled_before_it_begins_changes_nothing),
    CASE(CORE, a_request_can_be_used_again),
    CASE(CORE, more_than_the_store_takes_at_once_is_too_large),
    CASE(CORE, undeclared_operations_are_unsupported_and_change_nothing),
    CASE(FAULTS, every_operation_ends_by_its_deadline),
    CASE(FAULTS, a_request_that_hangs_is_cancelled),
    CASE(COPY, copy_gives_bytes_and_metadata),
    CASE(COPY, copy_of_nothing_is_not_found),
    CASE(BATCH, many_keys_are_deleted_by_one_request),
    CASE(BATCH, one_bad_key_among_many_deletes_nothing),
};
const size_t core_cases_n = MS_ARRAY_LEN(core_cases);
