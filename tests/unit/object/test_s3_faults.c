/* test_s3_faults.c — each operation of the driver s3 against each way in which an answer can be wrong.
 *
 * Every one ends with the code that the rows name, leaves nothing behind (the sanitizers look on), and the next
 * operation works.
 */
#include "fake.h"

#include "support/fake_s3.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\nETag: \"0123456789abcdef0123456789abcdef\"\r\n"
#define LONG_N ((size_t)5 << 20)

/* How an operation reads: its answer as XML; the bytes of an object; the headers only; nothing but the status. */
enum reads { XML, BYTES, HEADERS, STATUS, READS };

struct fault {
    const char *name, *raw;
    enum ms_code want[READS]; /* MS_CODE_COUNT: anything but MS_OK */
};
#define ANY MS_CODE_COUNT

static const struct fault faults[] = {
    {"no answer", "", {MS_IO, MS_IO, MS_IO, MS_IO}},
    {"half a status", "HTTP/1.", {MS_IO, MS_IO, MS_IO, MS_IO}},
    {"half of the headers", "HTTP/1.1 200 OK\r\nETag: \"", {MS_IO, MS_IO, MS_IO, MS_IO}},
    {"no HTTP", "hello\r\n\r\n", {MS_IO, MS_IO, MS_IO, MS_IO}},
    {"continue, and then nothing", "HTTP/1.1 100 Continue\r\n\r\n", {MS_IO, MS_IO, MS_IO, MS_IO}},
    {"a body cut off", OK_HEAD "Content-Length: 100\r\n\r\n<ListBucketRes", {MS_IO, ANY, MS_OK, MS_IO}},
    {"a chunk cut off", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n20\r\n<ListB", {MS_IO, ANY, ANY, MS_IO}},
    {"a chunk without a size", OK_HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", {MS_IO, MS_IO, ANY, MS_IO}},
    {"an empty body", OK_HEAD "Content-Length: 0\r\n\r\n", {MS_PROTOCOL, MS_RANGE, MS_OK, MS_OK}},
    {"no XML", OK_HEAD "Content-Length: 5\r\n\r\nhello", {MS_PROTOCOL, MS_RANGE, MS_OK, MS_OK}},
    {"XML that does not end",
     OK_HEAD "Content-Length: 19\r\n\r\n<ListBucketResult><", {MS_PROTOCOL, ANY, MS_OK, MS_OK}},
    {"entities",
     OK_HEAD "Content-Length: 108\r\n\r\n<!DOCTYPE a [<!ENTITY b \"bbbbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;&b;\">]>"
             "<ListBucketResult>&c;</ListBucketResult>",
     {MS_PROTOCOL, ANY, MS_OK, MS_OK}},
    {"an error within success",
     OK_HEAD "Content-Length: 52\r\n\r\n\n\n\n<Error><Code>InternalError</Code>        </Error>",
     {MS_UNAVAILABLE, ANY, MS_OK, MS_OK}},
    {"no length of an object", "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: x\r\n\r\n", {ANY, ANY, ANY, ANY}},
    {"a length beyond numbers", "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 99999999999999999999999\r\n\r\n",
     {ANY, ANY, ANY, MS_OK}},
    {"another range",
     "HTTP/1.1 206 P\r\nETag: \"e\"\r\nContent-Range: bytes 1-10/100\r\nContent-Length: 10\r\n\r\n0123456789",
     {MS_PROTOCOL, MS_PROTOCOL, MS_OK, MS_OK}},
    {"a range that is none",
     "HTTP/1.1 206 P\r\nETag: \"e\"\r\nContent-Range: bytes */x\r\nContent-Length: 10\r\n\r\n0123456789",
     {MS_PROTOCOL, MS_PROTOCOL, MS_OK, MS_OK}},
    {"a part without its range", "HTTP/1.1 206 P\r\nETag: \"e\"\r\nContent-Length: 10\r\n\r\n0123456789",
     {MS_PROTOCOL, MS_PROTOCOL, MS_OK, MS_OK}},
    {"more than asked for",
     "HTTP/1.1 206 P\r\nETag: \"e\"\r\nContent-Range: bytes 0-10/100\r\nContent-Length: 11\r\n\r\n01234567890",
     {MS_PROTOCOL, MS_PROTOCOL, MS_OK, MS_OK}},
    {"less than asked for",
     "HTTP/1.1 206 P\r\nETag: \"e\"\r\nContent-Range: bytes 0-8/100\r\nContent-Length: 9\r\n\r\n012345678",
     {MS_PROTOCOL, MS_IO, MS_OK, MS_OK}},
    {"elsewhere", "HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
     {MS_CONFIG, MS_CONFIG, MS_CONFIG, MS_CONFIG}},
    {"not modified", "HTTP/1.1 304 N\r\n\r\n", {ANY, ANY, ANY, ANY}},
    {"a gateway's page", "HTTP/1.1 502 B\r\nContent-Length: 13\r\n\r\n<html></html>",
     {MS_UNAVAILABLE, MS_UNAVAILABLE, MS_UNAVAILABLE, MS_UNAVAILABLE}},
    {"slow down", "HTTP/1.1 503 S\r\nContent-Length: 36\r\n\r\n<Error><Code>SlowDown</Code></Error>",
     {MS_THROTTLED, MS_THROTTLED, MS_UNAVAILABLE, MS_THROTTLED}},
    {"gone while it was read", "HTTP/1.1 500 I\r\nContent-Length: 0\r\n\r\n",
     {MS_UNAVAILABLE, MS_UNAVAILABLE, MS_UNAVAILABLE, MS_UNAVAILABLE}},
    {"a status of nobody", "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", {ANY, ANY, ANY, ANY}},
};

static const struct {
    enum ms_obj_op op;
    enum reads reads;
} ops[] = {{MS_OBJ_PUT, STATUS},      {MS_OBJ_GET, BYTES},    {MS_OBJ_HEAD, HEADERS},     {MS_OBJ_DELETE, STATUS},
           {MS_OBJ_LIST, XML},        {MS_OBJ_MP_CREATE, XML}, {MS_OBJ_MP_PUT, STATUS},   {MS_OBJ_MP_COMPLETE, XML},
           {MS_OBJ_MP_ABORT, STATUS}, {MS_OBJ_MP_LIST, XML},  {MS_OBJ_MP_PARTS, XML},     {MS_OBJ_COPY, XML},
           {MS_OBJ_DELETE_MANY, XML}};

struct told;
struct rig {
    struct fake_s3 store;
    struct ms_engine *engine;
    struct ms_obj *obj;
    pthread_mutex_t mutex;
    struct told *told; /* the first one is what is answered */
};

/* Kept to the end: it may still be on its way when the driver has read enough. */
struct told {
    struct told *next;
    size_t n; /* 0: an answer of 204 */
    bool is_raw;
    char raw[];
};

static void tell(struct rig *rig, const void *raw, size_t n) {
    struct told *told = malloc(sizeof *told + n);

    told->n = n;
    told->is_raw = raw != NULL;
    if (n > 0)
        memcpy(told->raw, raw, n);
    pthread_mutex_lock(&rig->mutex);
    told->next = rig->told;
    rig->told = told;
    pthread_mutex_unlock(&rig->mutex);
}

static void tell_text(struct rig *rig, const char *raw) { tell(rig, raw, strlen(raw)); }
static void tell_good(struct rig *rig) { tell(rig, NULL, 0); }

static void answer(struct fake_s3 *store, const struct fake_s3_request *r, struct fake_s3_answer *a) {
    struct rig *rig = store->priv;

    (void)r;
    a->status = 204;
    pthread_mutex_lock(&rig->mutex);
    a->raw = rig->told && rig->told->is_raw ? rig->told->raw : NULL;
    a->raw_n = rig->told ? rig->told->n : 0;
    pthread_mutex_unlock(&rig->mutex);
}

static int setup(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct ms_obj_options o = {.random = ms_random_system()};
    char url[128];

    setenv("AWS_ACCESS_KEY_ID", "id", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    unsetenv("AWS_SESSION_TOKEN");
    *state = rig;
    pthread_mutex_init(&rig->mutex, NULL);
    rig->engine = engine_new(2);
    rig->store.answer = answer;
    rig->store.priv = rig;
    if (!fake_s3_start(&rig->store))
        return -1;
    snprintf(url, sizeof url, "//bucket?endpoint=http://127.0.0.1:%d", rig->store.port);
    o.engine = rig->engine;
    return ms_drv_s3_open(&o, url, &rig->obj, &test_err) != MS_OK;
}

static int teardown(void **state) {
    struct rig *rig = *state;

    ms_obj_close(rig->obj);
    ms_engine_free(rig->engine);
    fake_s3_stop(&rig->store);
    for (struct told *t = rig->told, *next; t; t = next) {
        next = t->next;
        free(t);
    }
    pthread_mutex_destroy(&rig->mutex);
    free(rig);
    return 0;
}

static enum ms_code run_op(struct rig *rig, enum ms_obj_op op) {
    static const char *const keys[] = {"k"};
    static const struct ms_obj_part part = {.part_no = 1, .size = 1, .etag = "e"};
    static const unsigned char bytes[5000];
    char into[10];
    struct ms_obj_request r = {.op = op, .key = "k", .source_key = "s", .upload_id = "u", .part_no = 1, .into = into,
                               .length = 10, .keys = keys, .keys_n = 1, .parts = &part, .parts_n = 1,
                               .list_max = 1, .timeout_ms = 60000};
    enum ms_code code;

    if (op == MS_OBJ_PUT || op == MS_OBJ_MP_PUT)
        r.body = (struct ms_obj_body){.memory = ms_view_of(bytes, sizeof bytes), .length = sizeof bytes};
    code = ms_obj_run(rig->obj, &r, &test_err);
    assert_true(code == MS_OK || test_err.message[0]);
    assert_true(code == MS_OK || (!r.ret_entries && !r.ret_parts && r.ret_n == 0));
    ms_obj_drop_results(&r);
    ms_buf_fini(&r.ret_meta);
    return code;
}

static bool is_as_wanted(enum ms_code got, enum ms_code want) {
    return want == ANY ? got != MS_OK : got == want;
}

static void every_operation_ends_as_it_should(void **state) {
    struct rig *rig = *state;
    unsigned wrong = 0;

    for (size_t i = 0; i < MS_ARRAY_LEN(faults); i++)
        for (size_t k = 0; k < MS_ARRAY_LEN(ops); k++) {
            enum ms_code code, want = faults[i].want[ops[k].reads];

            tell_text(rig, faults[i].raw);
            code = run_op(rig, ops[k].op);
            if (!is_as_wanted(code, want)) {
                print_message("%s of '%s': %s (%s)\n", ms_obj_op_name(ops[k].op), faults[i].name, ms_code_name(code),
                              test_err.message);
                wrong++;
            }
            tell_good(rig);
            assert_int_equal(run_op(rig, MS_OBJ_DELETE), MS_OK);
        }
    assert_int_equal(wrong, 0);
    print_message("%zu cells\n", MS_ARRAY_LEN(faults) * MS_ARRAY_LEN(ops));
}

/* A copy of a part looks at its source first. */
static void a_copy_fails_as_its_look_does(void **state) {
    struct rig *rig = *state;

    tell_text(rig, "HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(run_op(rig, MS_OBJ_MP_COPY), MS_NOT_FOUND);
    tell_text(rig, OK_HEAD "Content-Length: 9\r\n\r\n");
    assert_int_equal(run_op(rig, MS_OBJ_MP_COPY), MS_RANGE);
}

static void an_answer_without_end_is_cut_short(void **state) {
    struct rig *rig = *state;
    char *text = malloc(LONG_N);
    size_t n = (size_t)snprintf(text, LONG_N, OK_HEAD "\r\n<ListBucketResult>");

    memset(text + n, ' ', LONG_N - n);
    tell(rig, text, LONG_N);
    assert_int_equal(run_op(rig, MS_OBJ_LIST), MS_PROTOCOL);
    assert_non_null(strstr(test_err.message, "more than"));
    assert_int_equal(run_op(rig, MS_OBJ_GET), MS_PROTOCOL);
    /* And so are headers. */
    n = (size_t)snprintf(text, LONG_N, "HTTP/1.1 200 OK\r\n");
    while (n < 200000)
        n += (size_t)snprintf(text + n, LONG_N - n, "X-Long: %080d\r\n", 1);
    tell(rig, text, n);
    for (size_t k = 0; k < MS_ARRAY_LEN(ops); k++)
        assert_int_equal(run_op(rig, ops[k].op), MS_PROTOCOL);
    tell_good(rig);
    free(text);
    assert_int_equal(run_op(rig, MS_OBJ_DELETE), MS_OK);
}

/* libcurl follows a stale pointer there when its handle had an answer before. */
static void an_answer_that_begins_with_a_continuation_line_ends_nobody(void **state) {
    struct rig *rig = *state;

    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(run_op(rig, MS_OBJ_DELETE), MS_OK);
        tell_text(rig, "HTTP/1.1 200 OK\r\n folded: into nothing\r\nContent-Length: 0\r\n\r\n");
        for (size_t k = 0; k < MS_ARRAY_LEN(ops); k++)
            (void)run_op(rig, ops[k].op);
        tell_good(rig);
    }
    assert_int_equal(run_op(rig, MS_OBJ_DELETE), MS_OK);
}

/* Bytes of a good answer changed at random: whatever comes of it, it ends, and the driver goes on. */
static void damaged_answers_do_no_harm(void **state) {
    static const char good[] =
        OK_HEAD "Content-Length: 210\r\n\r\n<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key>"
                "<Size>1</Size><ETag>&quot;e&quot;</ETag>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                "<UploadId>u</UploadId></ListBucketResult>    ";
    struct rig *rig = *state;
    struct ms_random_seeded random;
    char text[sizeof good];
    unsigned rounds = ms_test_rounds(800);

    ms_random_seeded_init(&random, ms_test_seed());
    for (unsigned i = 0; i < rounds; i++) {
        memcpy(text, good, sizeof good);
        for (uint64_t n = 1 + ms_random_below(&random.random, 4); n > 0; n--)
            text[ms_random_below(&random.random, sizeof good - 1)] = (char)ms_random_below(&random.random, 256);
        tell(rig, text, sizeof good - 1 - (i % 3 == 0 ? (size_t)ms_random_below(&random.random, sizeof good - 1) : 0));
        (void)run_op(rig, ops[ms_random_below(&random.random, MS_ARRAY_LEN(ops))].op);
        tell_good(rig);
    }
    ms_random_seeded_fini(&random);
    assert_int_equal(run_op(rig, MS_OBJ_DELETE), MS_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
        CASE(every_operation_ends_as_it_should),
        CASE(a_copy_fails_as_its_look_does),
        CASE(an_answer_without_end_is_cut_short),
        CASE(an_answer_that_begins_with_a_continuation_line_ends_nobody),
        CASE(damaged_answers_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
