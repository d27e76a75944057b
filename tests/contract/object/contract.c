/* contract.c — object.h as a program: every case against every driver, bare and wrapped. */
#include "contract.h"

/* ---- requests ---- */

enum ms_code do_op(struct subject *s, struct ms_obj_request *r) {
    s->err = (struct ms_error){0};
    return ms_obj_run(s->obj, r, &s->err);
}

static enum ms_code do_op_and_drop(struct subject *s, struct ms_obj_request *r) {
    enum ms_code code = do_op(s, r);

    ms_obj_drop_results(r);
    ms_buf_fini(&r->ret_meta);
    return code;
}

enum ms_code do_put_meta(struct subject *s, const char *key, const void *p, size_t n,
                         const struct ms_obj_meta *meta, char *ret_etag) {
    struct ms_obj_request r = {.op = MS_OBJ_PUT,
                               .key = key,
                               .meta = meta,
                               .body = {.memory = ms_view_of(p, n), .length = n}};
    enum ms_code code = do_op(s, &r);

    if (code == MS_OK) {
        assert_true(r.ret_etag[0] != '\0');
        if (ret_etag)
            snprintf(ret_etag, MS_ETAG_MAX + 1, "%s", r.ret_etag);
    }
    return code;
}

enum ms_code do_put(struct subject *s, const char *key, const void *p, size_t n) {
    return do_put_meta(s, key, p, n, NULL, NULL);
}

enum ms_code do_get(struct subject *s, const char *key, uint64_t offset, void *into, size_t n) {
    struct ms_obj_request r = {
        .op = MS_OBJ_GET, .key = key, .offset = offset, .length = n, .into = into};
    enum ms_code code = do_op(s, &r);

    if (code == MS_OK) {
        assert_int_equal(r.ret_n, n);
        assert_true(r.ret_size >= offset + n);
    }
    return code;
}

enum ms_code do_head(struct subject *s, const char *key, uint64_t *ret_size, char *ret_etag,
                     char **ret_meta) {
    struct ms_obj_request r = {.op = MS_OBJ_HEAD, .key = key};
    enum ms_code code = do_op(s, &r);

    if (code == MS_OK) {
        if (ret_size)
            *ret_size = r.ret_size;
        if (ret_etag)
            snprintf(ret_etag, MS_ETAG_MAX + 1, "%s", r.ret_etag);
        if (ret_meta)
            *ret_meta = strdup((const char *)r.ret_meta.data);
    }
    ms_buf_fini(&r.ret_meta);
    return code;
}

enum ms_code do_delete(struct subject *s, const char *key) {
    struct ms_obj_request r = {.op = MS_OBJ_DELETE, .key = key};

    return do_op(s, &r);
}

enum ms_code mp_create(struct subject *s, const char *key, char *ret_id) {
    struct ms_obj_request r = {.op = MS_OBJ_MP_CREATE, .key = key};
    enum ms_code code = do_op(s, &r);

    if (code == MS_OK)
        snprintf(ret_id, MS_UPLOAD_ID_MAX + 1, "%s", r.ret_upload_id);
    return code;
}

enum ms_code mp_put(struct subject *s, const char *key, const char *id, uint32_t no,
                    uint64_t offset, const void *p, size_t n, struct ms_obj_part *ret_part) {
    struct ms_obj_request r = {.op = MS_OBJ_MP_PUT,
                               .key = key,
                               .upload_id = id,
                               .part_no = no,
                               .part_offset = offset,
                               .body = {.memory = ms_view_of(p, n), .length = n}};
    enum ms_code code = do_op(s, &r);

    if (code == MS_OK && ret_part) {
        *ret_part = (struct ms_obj_part){.part_no = no, .size = n};
        snprintf(ret_part->etag, sizeof ret_part->etag, "%s", r.ret_etag);
    }
    return code;
}

enum ms_code mp_complete(struct subject *s, const char *key, const char *id,
                         const struct ms_obj_part *parts, size_t n, char *ret_etag) {
    struct ms_obj_request r = {
        .op = MS_OBJ_MP_COMPLETE, .key = key, .upload_id = id, .parts = parts, .parts_n = n};
    enum ms_code code = do_op(s, &r);

    if (code == MS_OK && ret_etag)
        snprintf(ret_etag, MS_ETAG_MAX + 1, "%s", r.ret_etag);
    return code;
}

enum ms_code mp_abort(struct subject *s, const char *key, const char *id) {
    struct ms_obj_request r = {.op = MS_OBJ_MP_ABORT, .key = key, .upload_id = id};

    return do_op_and_drop(s, &r);
}

void assert_object(struct subject *s, const char *key, const void *p, size_t n) {
    unsigned char *into = malloc(n + 1);
    uint64_t size = UINT64_MAX;
    int differs;

    assert_non_null(into);
    assert_ok(do_head(s, key, &size, NULL, NULL));
    assert_int_equal(size, n);
    into[n] = 0x5a;
    assert_ok(do_get(s, key, 0, into, n));
    differs = n > 0 && memcmp(into, p, n) != 0;
    assert_int_equal(into[n], 0x5a);
    free(into);
    assert_false(differs);
}

void assert_no_object(struct subject *s, const char *key) {
    char byte;

    assert_code(do_head(s, key, NULL, NULL, NULL), MS_NOT_FOUND);
    assert_code(do_get(s, key, 0, &byte, 1), MS_NOT_FOUND);
}

/* ---- instances: a new driver needs its url_<name> here ---- */

static const char *url_mem(const char *tmpdir, char *ret_url, size_t size) {
    (void)tmpdir;
    snprintf(ret_url, size, "mem:");
    return ret_url;
}

static const char *url_mem_plain(const char *tmpdir, char *ret_url, size_t size) {
    (void)tmpdir;
    snprintf(ret_url, size, "mem:plain");
    return ret_url;
}

static const char *url_dir(const char *tmpdir, char *ret_url, size_t size) {
    snprintf(ret_url, size, "dir:%s/objects", tmpdir);
    return ret_url;
}

/* Each case has a prefix of its own in one bucket. */
static const char *url_ceph(const char *scheme, const char *tmpdir, char *ret_url, size_t size) {
    const char *name = strrchr(tmpdir, '/');

    snprintf(ret_url, size, "%s://%s/contract%s?endpoint=%s", scheme, getenv("MS_CEPH_BUCKET"),
             name ? name : "/", getenv("MS_CEPH_ENDPOINT"));
    return ret_url;
}

static const char *url_s3(const char *tmpdir, char *ret_url, size_t size) {
    return url_ceph("s3", tmpdir, ret_url, size);
}

static const char *url_libs3(const char *tmpdir, char *ret_url, size_t size) {
    return url_ceph("libs3", tmpdir, ret_url, size);
}

static void ignore_line(struct ms_log *log, enum ms_log_level level, const char *line) {
    (void)log;
    (void)level;
    (void)line;
}

static int open_bare(struct subject *s, const struct ms_obj_options *o) {
#define MS_DRIVER(name)                                                                            \
    if (strncmp(o->url, #name ":", strlen(#name) + 1) == 0)                                        \
        return ms_drv_##name##_open(o, o->url + strlen(#name) + 1, &s->obj, &test_err) != MS_OK;
#include "object/drivers.def"
#undef MS_DRIVER
    return -1;
}

static bool needs_ceph(const struct instance *instance) {
    return strcmp(instance->driver, "s3") == 0 || strcmp(instance->driver, "libs3") == 0;
}

/* The same for every case, so that it is made once. */
static const unsigned char *noise(void) {
    static unsigned char bytes[BYTES_N];
    struct ms_random_seeded random;

    if (bytes[0] == 0 && bytes[1] == 0) {
        ms_random_seeded_init(&random, 1);
        ms_random_fill(&random.random, bytes, sizeof bytes);
        ms_random_seeded_fini(&random);
    }
    return bytes;
}

/* An MP_CREATE whose answer is lost leaves an upload that nobody knows; all else may be repeated. */
static const char *faults(void) {
    return "*:3%:fail-before PUT:2%:fail-after=IO GET:2%:short DELETE:2%:fail-after=TIMEOUT "
           "MP_PUT:3%:fail-after=THROTTLED MP_COMPLETE:10%:fail-after MP_ABORT:10%:fail-after "
           "COPY:10%:fail-after MP_COPY:10%:fail-after DELETE_MANY:10%:fail-after *:2%:delay=3ms "
           "seed=42";
}

static int setup(void **state) {
    struct subject *s = calloc(1, sizeof *s);
    char url[512];
    struct ms_obj_options o = {.create = true, .trace = true, .faults = "", .tries_max = 20};

    s->instance = *state;
    *state = s;
    s->tmpdir = ms_test_tmpdir_new();
    ms_random_seeded_init(&s->random, 1);
    s->log = (struct ms_log){.write = ignore_line, .level = MS_LOG_DEBUG};
    s->bytes = noise();
    if (ms_engine_new(4, &s->engine, &test_err) != MS_OK)
        return -1;
    o.url = s->instance->url(s->tmpdir, url, sizeof url);
    o.engine = s->engine;
    o.random = &s->random.random;
    o.log = &s->log;
    if (s->instance->dress == BARE)
        return open_bare(s, &o);
    if (s->instance->dress == FAULTY)
        o.faults = faults();
    o.store_id = ms_id_new(&s->random.random);
    return ms_obj_open(&o, &s->obj, &test_err) != MS_OK;
}

/* What a case leaves in a store of many cases would fill it. Not through the wrappers, which may still be failing. */
static void remove_objects(struct subject *s) {
    struct ms_obj *all = s->obj;
    struct ms_obj_request list = {.op = MS_OBJ_LIST, .list_max = 1000};
    struct ms_obj_request uploads = {.op = MS_OBJ_MP_LIST, .list_max = 1000};

    while (s->obj->inner)
        s->obj = s->obj->inner;
    if (do_op(s, &list) == MS_OK)
        for (size_t i = 0; i < list.ret_n; i++)
            (void)do_delete(s, list.ret_entries[i].key);
    if (s->obj->caps.multipart && do_op(s, &uploads) == MS_OK)
        for (size_t i = 0; i < uploads.ret_n; i++)
            (void)mp_abort(s, uploads.ret_entries[i].key, uploads.ret_entries[i].upload_id);
    ms_obj_drop_results(&list);
    ms_obj_drop_results(&uploads);
    s->obj = all;
}

static int teardown(void **state) {
    struct subject *s = *state;

    if (s->obj && needs_ceph(s->instance))
        remove_objects(s);
    ms_obj_close(s->obj);
    ms_engine_free(s->engine);
    ms_test_tmpdir_remove(s->tmpdir);
    ms_random_seeded_fini(&s->random);
    free(s);
    return 0;
}

/* ---- running ---- */

static bool declares(const struct ms_obj_caps *caps, enum dress dress, enum group group) {
    switch (group) {
    case CORE:
        return true;
    case MULTIPART:
        return caps->multipart;
    case IN_PLACE:
        return caps->multipart && caps->part_in_place;
    case COPY:
        return caps->copy;
    case PART_COPY:
        return caps->multipart && caps->part_copy;
    case BATCH:
        return caps->batch_delete;
    case FAULTS:
        return dress == WRAPPED;
    case PRESIGN:
        return caps->presign_get && caps->presign_put;
    case GROUPS:
        break;
    }
    return false;
}

static size_t add_cases(struct CMUnitTest *tests, size_t n, const struct contract_case *cases,
                        size_t cases_n, const struct ms_obj_caps *caps,
                        const struct instance *instance) {
    for (size_t i = 0; i < cases_n; i++)
        if (declares(caps, instance->dress, cases[i].group))
            tests[n++] = (struct CMUnitTest){cases[i].name, cases[i].run, setup, teardown,
                                             (void *)(uintptr_t)instance};
    return n;
}

static int run_instance(const struct instance *instance, const char *label) {
    struct CMUnitTest *tests =
        calloc(core_cases_n + list_cases_n + upload_cases_n + presign_cases_n, sizeof *tests);
    void *state = (void *)(uintptr_t)instance;
    struct ms_obj_caps caps;
    size_t n = 0;
    int failed;

    if (setup(&state) != 0) {
        printf("contract: cannot open %s: %s\n", label, test_err.message);
        return 1;
    }
    caps = ((struct subject *)state)->obj->caps;
    teardown(&state);
    n = add_cases(tests, n, core_cases, core_cases_n, &caps, instance);
    n = add_cases(tests, n, list_cases, list_cases_n, &caps, instance);
    n = add_cases(tests, n, upload_cases, upload_cases_n, &caps, instance);
    n = add_cases(tests, n, presign_cases, presign_cases_n, &caps, instance);
    failed = _cmocka_run_group_tests(label, tests, n, NULL, NULL);
    printf("contract: %-20s %3zu cases, %d failed\n", label, n, failed);
    fflush(stdout);
    free(tests);
    return failed;
}

/* Drivers named ask for these only; without any, those that need nothing but this machine. */
static bool is_asked_for(const struct instance *instance, const char *dress, int argc, char **argv) {
    bool dressed = false, any_dress = false, driven = false, any_driver = false;

    for (int i = 1; i < argc; i++) {
        bool is_dress = strcmp(argv[i], "bare") == 0 || strcmp(argv[i], "wrapped") == 0 ||
                        strcmp(argv[i], "faulty") == 0;

        any_dress = any_dress || is_dress;
        any_driver = any_driver || !is_dress;
        dressed = dressed || strcmp(argv[i], dress) == 0;
        driven = driven || strcmp(argv[i], instance->driver) == 0;
    }
    return (dressed || !any_dress) && (any_driver ? driven : !needs_ceph(instance));
}

/* Arguments: the dresses and drivers to run. */
int main(int argc, char **argv) {
    static const struct instance instances[] = {
#define MS_DRIVER(name)                                                                            \
    {#name, url_##name, BARE}, {#name, url_##name, WRAPPED}, {#name, url_##name, FAULTY},
#include "object/drivers.def"
#undef MS_DRIVER
        {"mem:plain", url_mem_plain, BARE}, /* a store that can do little */
        {"mem:plain", url_mem_plain, WRAPPED},
    };
    static const char *const dresses[DRESSES] = {"bare", "wrapped", "faulty"};
    char label[64];
    int failed = 0, ran = 0;

    for (size_t i = 0; i < MS_ARRAY_LEN(instances); i++) {
        snprintf(label, sizeof label, "%s, %s", instances[i].driver, dresses[instances[i].dress]);
        if (!is_asked_for(&instances[i], dresses[instances[i].dress], argc, argv))
            continue;
        failed += run_instance(&instances[i], label);
        ran++;
    }
    return failed != 0 || ran == 0;
}
