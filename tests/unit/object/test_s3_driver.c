/* test_s3_driver.c — the driver s3 against a store that answers as it is told: many at once, and what goes wrong. */
#include "fake.h"

#include "object/drv_s3.h"
#include "support/fake_s3.h"

#define SECRET "secret-that-nobody-may-see"
#define TOKEN "token-that-nobody-may-see"

struct rig {
    struct fake_s3 store;
    struct ms_engine *engine;
    struct ms_random_seeded random;
    struct ms_obj *obj; /* the driver, bare */
    char url[256];
    /* of the answers */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    unsigned held; /* answers that wait */
    bool open;     /* they go */
    int status;
    const char *body, *head;
    int64_t store_ahead_s, forgives_s;
    unsigned wrong; /* atomic: what a request should not have been */
};

static int rig_open(void **state, unsigned threads, const char *options,
                    void (*answer)(struct fake_s3 *, const struct fake_s3_request *, struct fake_s3_answer *)) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct ms_obj_options o = {.url = rig->url};

    setenv("AWS_ACCESS_KEY_ID", "key-id", 1);
    setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
    setenv("AWS_SESSION_TOKEN", TOKEN, 1);
    pthread_mutex_init(&rig->mutex, NULL);
    pthread_cond_init(&rig->cond, NULL);
    rig->engine = engine_new(threads);
    ms_random_seeded_init(&rig->random, 3);
    rig->store.answer = answer;
    rig->store.priv = rig;
    *state = rig;
    if (!fake_s3_start(&rig->store))
        return -1;
    snprintf(rig->url, sizeof rig->url, "s3://bucket/p?endpoint=http://127.0.0.1:%d%s", rig->store.port, options);
    o.engine = rig->engine;
    o.random = &rig->random.random;
    return ms_drv_s3_open(&o, rig->url + 3, &rig->obj, &test_err) != MS_OK;
}

static int teardown(void **state) {
    struct rig *rig = *state;

    ms_obj_close(rig->obj);
    ms_engine_free(rig->engine);
    fake_s3_stop(&rig->store);
    ms_random_seeded_fini(&rig->random);
    pthread_cond_destroy(&rig->cond);
    pthread_mutex_destroy(&rig->mutex);
    free(rig);
    return 0;
}

/* Every request gets the same. */
static void as_told(struct fake_s3 *store, const struct fake_s3_request *r, struct fake_s3_answer *a) {
    struct rig *rig = store->priv;

    (void)r;
    a->status = rig->status;
    a->body = rig->body ? rig->body : "";
    snprintf(a->head, sizeof a->head, "%s", rig->head ? rig->head : "ETag: \"e\"\r\n");
}

static int setup(void **state) { return rig_open(state, 2, "", as_told); }

static enum ms_code run_op(struct rig *rig, struct ms_obj_request *r) {
    enum ms_code code = ms_obj_run(rig->obj, r, &test_err);

    ms_obj_drop_results(r);
    ms_buf_fini(&r->ret_meta);
    return code;
}

static enum ms_code put(struct rig *rig) {
    struct ms_obj_request r = put_request("k", "bytes");

    return run_op(rig, &r);
}

static enum ms_code head(struct rig *rig) {
    struct ms_obj_request r = {.op = MS_OBJ_HEAD, .key = "k"};

    return run_op(rig, &r);
}

static void assert_told(const char *part) {
    if (!strstr(test_err.message, part))
        print_message("'%s' is not in: %s\n", part, test_err.message);
    assert_non_null(strstr(test_err.message, part));
}

/* ---- many at once ---- */

/* An answer waits until the gate is open. */
static void at_the_gate(struct fake_s3 *store, const struct fake_s3_request *r, struct fake_s3_answer *a) {
    struct rig *rig = store->priv;
    char range[64] = "";
    static const char zeros[1 << 20];
    unsigned long first = 0, last = 0;

    if (fake_s3_header(r, "range", range, sizeof range)) {
        first = strtoul(range + 6, NULL, 10);
        last = strtoul(strchr(range, '-') + 1, NULL, 10);
        a->status = 206;
        a->body = zeros;
        a->body_n = last - first + 1;
        snprintf(a->head, sizeof a->head, "ETag: \"e\"\r\nContent-Range: bytes %lu-%lu/10000000\r\n", first, last);
    }
    if (strcmp(r->method, "HEAD") == 0)
        return; /* these never wait */
    pthread_mutex_lock(&rig->mutex);
    rig->held++;
    pthread_cond_broadcast(&rig->cond);
    while (!rig->open)
        pthread_cond_wait(&rig->cond, &rig->mutex);
    rig->held--;
    pthread_mutex_unlock(&rig->mutex);
}

static int setup_gate(void **state) { return rig_open(state, 1, "&connections=200", at_the_gate); }
static int setup_narrow(void **state) { return rig_open(state, 1, "&connections=4", at_the_gate); }

static void wait_held(struct rig *rig, unsigned n) {
    pthread_mutex_lock(&rig->mutex);
    while (rig->held < n)
        pthread_cond_wait(&rig->cond, &rig->mutex);
    pthread_mutex_unlock(&rig->mutex);
}

static void open_gate(struct rig *rig) {
    pthread_mutex_lock(&rig->mutex);
    rig->open = true;
    pthread_cond_broadcast(&rig->cond);
    pthread_mutex_unlock(&rig->mutex);
}

static struct run *start_gets(struct rig *rig, size_t n, size_t length, unsigned char *into) {
    struct run *runs = calloc(n, sizeof *runs);

    for (size_t i = 0; i < n; i++) {
        runs[i].r = (struct ms_obj_request){
            .op = MS_OBJ_GET, .key = "k", .offset = i, .length = length, .into = into + i * length};
        run_start(&runs[i], rig->obj);
    }
    return runs;
}

static void no_operation_holds_a_thread_while_it_waits(void **state) {
    const size_t n = 150;
    unsigned char *into = malloc(n * 1000);
    struct rig *rig = *state;
    struct run *runs = start_gets(rig, n, 1000, into);

    wait_held(rig, (unsigned)n); /* with one thread in the pool */
    open_gate(rig);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(run_wait(&runs[i]), MS_OK);
    free(runs);
    free(into);
}

static void connections_are_bounded_and_small_ones_pass_big_ones(void **state) {
    const size_t n = 20, length = 400 << 10;
    unsigned char *into = malloc(n * length);
    struct rig *rig = *state;
    struct run *runs = start_gets(rig, n, length, into);

    wait_held(rig, 3);
    assert_int_equal(head(rig), MS_OK); /* behind 20 big ones, of which none gets an answer */
    assert_int_equal(head(rig), MS_OK);
    open_gate(rig);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(run_wait(&runs[i]), MS_OK);
    assert_true(rig->store.busy_max <= 4);
    assert_true(rig->store.busy_max >= 3);
    free(runs);
    free(into);
}

static void what_waits_for_its_turn_can_be_cancelled_and_has_its_deadline(void **state) {
    const size_t n = 6, length = 400 << 10;
    unsigned char *into = malloc(n * length), other[1 << 10];
    struct rig *rig = *state;
    struct run *runs, late = {.r = {.op = MS_OBJ_GET, .key = "k", .timeout_ms = 100}};

    runs = start_gets(rig, n, length, into);
    wait_held(rig, 3);
    ms_obj_cancel(rig->obj, &runs[n - 1].r);
    assert_int_equal(run_wait(&runs[n - 1]), MS_CANCELLED);
    late.r.into = into;
    late.r.length = 300 << 10;
    run_start(&late, rig->obj);
    assert_int_equal(run_wait(&late), MS_TIMEOUT);
    (void)other;
    open_gate(rig);
    for (size_t i = 0; i + 1 < n; i++)
        assert_int_equal(run_wait(&runs[i]), MS_OK);
    free(runs);
    free(into);
}

struct slow_caller {
    struct run run;
    struct ms_latch came, go;
};

static void slow_done(struct ms_obj_request *r) {
    struct slow_caller *s = r->priv;

    ms_latch_open(&s->came);
    ms_latch_wait(&s->go);
    ms_latch_open(&s->run.latch);
}

static void a_slow_caller_does_not_stall_the_sockets(void **state) {
    struct rig *rig = *state;
    struct slow_caller slow = {.run = {.r = {.op = MS_OBJ_HEAD, .key = "k", .done = slow_done}}};

    rig->status = 200;
    ms_latch_init(&slow.came);
    ms_latch_init(&slow.go);
    ms_latch_init(&slow.run.latch);
    slow.run.r.priv = &slow;
    ms_obj_submit(rig->obj, &slow.run.r);
    ms_latch_wait(&slow.came);
    assert_int_equal(put(rig), MS_OK); /* while done of the other one runs */
    ms_latch_open(&slow.go);
    ms_latch_wait(&slow.run.latch);
    ms_buf_fini(&slow.run.r.ret_meta);
}

/* Bodies of a file and large ones are hashed on the pool, which is busy: the cancel takes it out of the queue. */
static void a_body_that_waits_to_be_hashed_can_be_cancelled(void **state) {
    struct rig *rig = *state;
    struct slow_caller slow[2];
    unsigned char *bytes = calloc(1, 1 << 20);
    struct run run = {.r = {.op = MS_OBJ_PUT, .key = "k", .body = {.length = 1 << 20}}};

    rig->status = 200;
    for (size_t i = 0; i < 2; i++) {
        slow[i] = (struct slow_caller){.run = {.r = {.op = MS_OBJ_HEAD, .key = "k", .done = slow_done}}};
        ms_latch_init(&slow[i].came);
        ms_latch_init(&slow[i].go);
        ms_latch_init(&slow[i].run.latch);
        slow[i].run.r.priv = &slow[i];
        ms_obj_submit(rig->obj, &slow[i].run.r);
        ms_latch_wait(&slow[i].came);
    }
    run.r.body.memory = ms_view_of(bytes, 1 << 20);
    run_start(&run, rig->obj);
    ms_obj_cancel(rig->obj, &run.r);
    assert_int_equal(run_wait(&run), MS_CANCELLED);
    assert_int_equal(fake_s3_requests(&rig->store), 2);
    for (size_t i = 0; i < 2; i++) {
        ms_latch_open(&slow[i].go);
        ms_latch_wait(&slow[i].run.latch);
        ms_buf_fini(&slow[i].run.r.ret_meta);
    }
    free(bytes);
}

/* Cancels, deadlines and answers meet in every order; the sanitizers look on. */
static void cancels_meet_answers(void **state) {
    struct rig *rig = *state;
    unsigned rounds = ms_test_rounds(60), other = 0;
    struct run runs[16];
    unsigned char *bytes = calloc(1, 100 << 10);

    rig->status = 200;
    for (unsigned i = 0; i < rounds; i++) {
        for (size_t k = 0; k < MS_ARRAY_LEN(runs); k++) {
            runs[k] = (struct run){.r = {.op = k % 2 ? MS_OBJ_PUT : MS_OBJ_DELETE, .key = "k"}};
            runs[k].r.body = (struct ms_obj_body){.memory = ms_view_of(bytes, 100 << 10), .length = 100 << 10};
            if (runs[k].r.op == MS_OBJ_DELETE)
                runs[k].r.body = (struct ms_obj_body){0};
            runs[k].r.timeout_ms = 1 + (int64_t)ms_random_below(&rig->random.random, 20);
            run_start(&runs[k], rig->obj);
        }
        for (size_t k = 0; k < MS_ARRAY_LEN(runs); k += 3)
            ms_obj_cancel(rig->obj, &runs[k].r);
        for (size_t k = 0; k < MS_ARRAY_LEN(runs); k++) {
            enum ms_code code = run_wait(&runs[k]);

            other += code != MS_OK && code != MS_CANCELLED && code != MS_TIMEOUT;
        }
    }
    free(bytes);
    assert_int_equal(other, 0);
    assert_int_equal(put(rig), MS_OK);
}

/* ---- refusals ---- */

static void refusals_have_their_code_and_the_words_of_the_store(void **state) {
    static const struct {
        int status;
        const char *body, *head, *told[2];
        enum ms_code code;
    } rows[] = {
        {403, "<Error><Code>InvalidAccessKeyId</Code><Message>no such key</Message></Error>", "",
         {"InvalidAccessKeyId", "no such key"}, MS_DENIED},
        {403, "<Error><Code>SignatureDoesNotMatch</Code></Error>", "", {"SignatureDoesNotMatch", "HTTP 403"},
         MS_DENIED},
        {403, "<Error><Code>ExpiredToken</Code></Error>", "", {"ExpiredToken", ""}, MS_DENIED},
        {403, "<Error><Code>QuotaExceeded</Code><Message>bucket is full</Message></Error>", "",
         {"QuotaExceeded", "bucket is full"}, MS_NO_SPACE},
        {507, "", "", {"HTTP 507", ""}, MS_NO_SPACE},
        {507, "<Error><Code>XMinioStorageFull</Code></Error>", "", {"XMinioStorageFull", ""}, MS_NO_SPACE},
        {400, "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-7</Region></Error>", "",
         {"region eu-west-7", "region= says us-east-1"}, MS_CONFIG},
        {301, "<Error><Code>PermanentRedirect</Code></Error>",
         "x-amz-bucket-region: eu-west-7\r\nLocation: http://127.0.0.1:1/\r\n", {"region eu-west-7", "HTTP 301"},
         MS_CONFIG},
        {404, "<Error><Code>NoSuchBucket</Code></Error>", "", {"bucket bucket must be made", ""}, MS_CONFIG},
        {400, "<Error><Code>InvalidBucketName</Code></Error>", "", {"InvalidBucketName", ""}, MS_CONFIG},
        {503, "<Error><Code>SlowDown</Code></Error>", "", {"SlowDown", ""}, MS_THROTTLED},
        {503, "<html>a proxy</html>", "", {"HTTP 503", ""}, MS_UNAVAILABLE},
        {502, "", "", {"HTTP 502", ""}, MS_UNAVAILABLE},
        {429, "", "", {"HTTP 429", ""}, MS_THROTTLED},
        {400, "<Error><Code>RequestTimeout</Code></Error>", "", {"RequestTimeout", ""}, MS_TIMEOUT},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        rig->status = rows[i].status;
        rig->body = rows[i].body;
        rig->head = rows[i].head;
        assert_int_equal(put(rig), rows[i].code);
        assert_told(rows[i].told[0]);
        assert_told(rows[i].told[1]);
        assert_int_equal(fake_s3_requests(&rig->store), i + 1); /* never followed, nor tried again here */
    }
}

static void a_refusal_without_a_body_is_asked_for(void **state) {
    struct rig *rig = *state;

    rig->status = 403;
    rig->body = "<Error><Code>InvalidAccessKeyId</Code><Message>no such key</Message></Error>";
    assert_int_equal(head(rig), MS_DENIED);
    assert_told("no such key");
    assert_int_equal(fake_s3_requests(&rig->store), 2);
}

static void an_error_within_200_is_one(void **state) {
    struct rig *rig = *state;
    struct ms_obj_request r = {.op = MS_OBJ_COPY, .key = "k", .source_key = "s"};

    rig->status = 200;
    rig->body = "  <Error><Code>InternalError</Code></Error>";
    assert_int_equal(run_op(rig, &r), MS_UNAVAILABLE);
}

static void a_store_without_parts_says_what_to_do(void **state) {
    struct rig *rig = *state;
    struct ms_obj_request r = {.op = MS_OBJ_MP_CREATE, .key = "k"};

    rig->status = 501;
    rig->body = "<Error><Code>NotImplemented</Code></Error>";
    assert_int_equal(run_op(rig, &r), MS_UNSUPPORTED);
    assert_told("multipart=no");
}

static int setup_no_parts(void **state) { return rig_open(state, 2, "&multipart=no", as_told); }

static void without_parts_none_are_declared(void **state) {
    struct rig *rig = *state;
    struct ms_obj_request r = {.op = MS_OBJ_MP_CREATE, .key = "k"};

    assert_false(rig->obj->caps.multipart || rig->obj->caps.part_copy || rig->obj->caps.presign_put);
    assert_int_equal(run_op(rig, &r), MS_UNSUPPORTED);
    assert_int_equal(fake_s3_requests(&rig->store), 0);
    rig->status = 200;
    assert_int_equal(put(rig), MS_OK);
}

static void patience_that_is_asked_for_is_told(void **state) {
    static const struct {
        const char *head;
        int64_t least_ms, most_ms;
    } rows[] = {
        {"Retry-After: 3\r\n", 3000, 3000},   {"Retry-After: 100000\r\n", 20000, 20000},
        {"Retry-After: -3\r\n", 0, 0},        {"Retry-After: soon\r\n", 0, 0},
        {"Retry-After: 3x\r\n", 0, 0},        {"", 0, 0},
        {"Retry-After: 99999999999999999999999\r\n", 20000, 20000},
        {"Retry-After: Fri, 01 Jan 2100 00:00:00 GMT\r\n", 20000, 20000},
        {"Retry-After: Fri, 01 Jan 2010 00:00:00 GMT\r\n", 0, 0},
    };
    struct rig *rig = *state;

    rig->status = 503;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct ms_obj_request r = put_request("k", "x");

        rig->head = rows[i].head;
        assert_int_not_equal(run_op(rig, &r), MS_OK);
        assert_true(r.ret_retry_after_ms >= rows[i].least_ms && r.ret_retry_after_ms <= rows[i].most_ms);
    }
}

/* ---- clocks ---- */

/* Refuses what is dated too far from its own clock; a list is what a HEAD is asked about. */
static void by_its_clock(struct fake_s3 *store, const struct fake_s3_request *r, struct fake_s3_answer *a) {
    struct rig *rig = store->priv;
    struct ms_civil c = {0};
    char date[64] = "";
    int64_t apart_ms;

    (void)fake_s3_header(r, "x-amz-date", date, sizeof date);
    if (strlen(date) == 16) {
        c.year = (int)strtol((char[]){date[0], date[1], date[2], date[3], 0}, NULL, 10);
        c.month = (date[4] - '0') * 10 + date[5] - '0';
        c.day = (date[6] - '0') * 10 + date[7] - '0';
        c.hour = (date[9] - '0') * 10 + date[10] - '0';
        c.minute = (date[11] - '0') * 10 + date[12] - '0';
        c.second = (date[13] - '0') * 10 + date[14] - '0';
    }
    if (!ms_civil_is_valid(c)) {
        a->status = 400;
        return;
    }
    a->skew_s = rig->store_ahead_s;
    apart_ms = ms_civil_instant(c).ms - ms_clock_kernel_now().ms - rig->store_ahead_s * 1000;
    a->status = llabs(apart_ms) > rig->forgives_s * 1000 ? 403 : 200;
    a->body = a->status == 200 ? ""
                               : "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the "
                                 "request time and the current time is too large.</Message></Error>";
    snprintf(a->head, sizeof a->head, "ETag: \"e\"\r\n");
}

static int setup_clock(void **state) {
    int failed = rig_open(state, 2, "", by_its_clock);

    ((struct rig *)*state)->forgives_s = 900;
    return failed;
}

static void a_clock_that_is_off_is_corrected_once_and_for_all(void **state) {
    static const int64_t offs[] = {1200, -1200, 86400 * 400, -86400 * 400};
    struct rig *rig = *state;
    unsigned before;

    for (size_t i = 0; i < MS_ARRAY_LEN(offs); i++) {
        rig->store_ahead_s = offs[i];
        before = fake_s3_requests(&rig->store);
        assert_int_equal(put(rig), MS_OK);
        assert_int_equal(fake_s3_requests(&rig->store), before + 2);
        assert_int_equal(put(rig), MS_OK);
        assert_int_equal(fake_s3_requests(&rig->store), before + 3);
    }
}

static void a_clock_that_is_off_is_seen_where_no_reason_is_given(void **state) {
    struct rig *rig = *state;

    rig->store_ahead_s = 1200;
    assert_int_equal(head(rig), MS_OK);
    assert_int_equal(fake_s3_requests(&rig->store), 2);
}

static void a_clock_that_cannot_be_corrected_shows_both_times(void **state) {
    struct rig *rig = *state;
    char today[MS_RFC3339_S_LEN + 1];

    rig->forgives_s = -1; /* nothing pleases it */
    rig->store_ahead_s = -86400 * 3650;
    assert_int_equal(put(rig), MS_DENIED);
    assert_int_equal(fake_s3_requests(&rig->store), 2);
    assert_told("difference between the request time and the current time is too large");
    assert_told("the store's clock says Mon, ");
    ms_instant_format_s(ms_clock_kernel_now(), today);
    today[10] = '\0';
    assert_told(today);
}

/* ---- a store that is not there ---- */

static void a_store_that_is_away_is_left_alone_and_comes_back_by_itself(void **state) {
    struct rig *rig = *state;
    struct ms_obj_request r = put_request("k", "x");
    unsigned tries = 0;

    rig->status = 200;
    fake_s3_stop(&rig->store);
    for (int i = 0; i < MS_S3_BREAKER_FAILURES; i++) {
        assert_int_equal(put(rig), MS_UNAVAILABLE);
        assert_null(strstr(test_err.message, "in a row"));
    }
    assert_int_equal(run_op(rig, &r), MS_UNAVAILABLE);
    assert_told("5 times in a row");
    assert_true(r.ret_retry_after_ms > 0 && r.ret_retry_after_ms <= MS_S3_BREAKER_MAX_MS + 1);
    assert_true(fake_s3_start(&rig->store));
    while (put(rig) != MS_OK && tries++ < 1000)
        ms_clock_sleep_ns(50 * 1000 * 1000);
    assert_true(tries < 1000);
    for (int i = 0; i < 10; i++)
        assert_int_equal(put(rig), MS_OK);
}

/* ---- credentials ---- */

static void token_and_no_secret(struct fake_s3 *store, const struct fake_s3_request *r, struct fake_s3_answer *a) {
    struct rig *rig = store->priv;
    char value[1024];

    as_told(store, r, a);
    if (!fake_s3_header(r, "x-amz-security-token", value, sizeof value) || strcmp(value, TOKEN) != 0 ||
        !fake_s3_header(r, "authorization", value, sizeof value) || !strstr(value, "x-amz-security-token") ||
        strstr(r->head, SECRET) || strstr(r->target, SECRET))
        __atomic_add_fetch(&rig->wrong, 1, __ATOMIC_SEQ_CST);
}

static int setup_token(void **state) { return rig_open(state, 2, "", token_and_no_secret); }

static void a_session_token_is_sent_and_signed(void **state) {
    struct rig *rig = *state;

    rig->status = 200;
    assert_int_equal(put(rig), MS_OK);
    assert_int_equal(head(rig), MS_OK);
    assert_int_equal(rig->wrong, 0);
}

struct spy {
    struct ms_log log;
    pthread_mutex_t mutex;
    char text[1 << 16];
    size_t n;
};

static void keep_line(struct ms_log *log, enum ms_log_level level, const char *line) {
    struct spy *spy = MS_CONTAINER_OF(log, struct spy, log);

    (void)level;
    pthread_mutex_lock(&spy->mutex);
    if (spy->n + strlen(line) + 2 < sizeof spy->text)
        spy->n += (size_t)snprintf(spy->text + spy->n, sizeof spy->text - spy->n, "%s\n", line);
    pthread_mutex_unlock(&spy->mutex);
}

static void assert_no_secret(const char *text) {
    assert_null(strstr(text, SECRET));
    assert_null(strstr(text, TOKEN));
    assert_null(strstr(text, "Signature="));
    assert_null(strstr(text, "Authorization"));
}

static void credentials_are_in_no_log_and_no_message(void **state) {
    struct rig *rig = *state;
    static const int statuses[] = {200, 301, 400, 403, 404, 500, 503};
    struct spy *spy = calloc(1, sizeof *spy);
    struct ms_obj_options o = {.url = rig->url, .engine = rig->engine, .trace = true, .tries_max = 1};
    struct ms_obj *obj = NULL;

    spy->log = (struct ms_log){.write = keep_line, .level = MS_LOG_DEBUG};
    pthread_mutex_init(&spy->mutex, NULL);
    o.log = &spy->log;
    o.random = &rig->random.random;
    assert_ok(ms_obj_open(&o, &obj, &test_err));
    for (size_t i = 0; i < MS_ARRAY_LEN(statuses); i++) {
        rig->status = statuses[i];
        for (enum ms_obj_op op = 0; op < MS_OBJ_OP_COUNT; op++) {
            static const char *const keys[] = {"k"};
            static const struct ms_obj_part part = {.part_no = 1, .size = 1, .etag = "e"};
            char byte;
            struct ms_obj_request r = {.op = op, .key = "k", .source_key = "s", .upload_id = "u", .part_no = 1,
                                       .into = &byte, .length = 1, .keys = keys, .keys_n = 1, .parts = &part,
                                       .parts_n = 1, .list_max = 1};

            if (ms_obj_run(obj, &r, &test_err) != MS_OK)
                assert_no_secret(r.error.message);
            ms_obj_drop_results(&r);
            ms_buf_fini(&r.ret_meta);
        }
    }
    ms_obj_close(obj);
    assert_true(spy->n > 1000);
    assert_no_secret(spy->text);
    pthread_mutex_destroy(&spy->mutex);
    free(spy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(fn, setup) cmocka_unit_test_setup_teardown(fn, setup, teardown)
        CASE(no_operation_holds_a_thread_while_it_waits, setup_gate),
        CASE(connections_are_bounded_and_small_ones_pass_big_ones, setup_narrow),
        CASE(what_waits_for_its_turn_can_be_cancelled_and_has_its_deadline, setup_narrow),
        CASE(a_slow_caller_does_not_stall_the_sockets, setup),
        CASE(a_body_that_waits_to_be_hashed_can_be_cancelled, setup),
        CASE(cancels_meet_answers, setup),
        CASE(refusals_have_their_code_and_the_words_of_the_store, setup),
        CASE(a_refusal_without_a_body_is_asked_for, setup),
        CASE(an_error_within_200_is_one, setup),
        CASE(a_store_without_parts_says_what_to_do, setup),
        CASE(without_parts_none_are_declared, setup_no_parts),
        CASE(patience_that_is_asked_for_is_told, setup),
        CASE(a_clock_that_is_off_is_corrected_once_and_for_all, setup_clock),
        CASE(a_clock_that_is_off_is_seen_where_no_reason_is_given, setup_clock),
        CASE(a_clock_that_cannot_be_corrected_shows_both_times, setup_clock),
        CASE(a_store_that_is_away_is_left_alone_and_comes_back_by_itself, setup),
        CASE(a_session_token_is_sent_and_signed, setup_token),
        CASE(credentials_are_in_no_log_and_no_message, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
