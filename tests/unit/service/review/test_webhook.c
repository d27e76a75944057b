/* A reviewer at a URL: signature, verdicts, and servers that are down, slow, broken or lie. */
#include "confirm/parcel.h"
#include "support/fake_s3.h"

#include "service/review.h"
#include "service/webhook.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "0123456789abcdef-secret"
#define SIGNED_OBJECT "v1=23f5eaae2e35c6e6253936e032680203aff60241c3930a1a9a2a38db27362aa7"
#define SIGNED_NOTHING "v1=da2bdbab6988c6382fef5cb9416c8b2fc759a1c597775b69cf40655de594b869"

/* ---- pure ----------------------------------------------------------------------------------- */

/* Made with: openssl dgst -sha256 -hmac SECRET. */
static void the_signature_is_the_hmac_of_timestamp_dot_body(void **state) {
    struct ms_secret secret = {.text = SECRET};
    char text[MS_WEBHOOK_SIGNATURE_LEN + 1];
    (void)state;
    ms_webhook_sign(&secret, 1785542400, ms_view_str("{\"a\": 1}"), text);
    assert_string_equal(text, SIGNED_OBJECT);
    ms_webhook_sign(&secret, 0, ms_view_of("", 0), text);
    assert_string_equal(text, SIGNED_NOTHING);
}

static void only_a_verdict_is_a_verdict(void **state) {
    static const struct {
        long status;
        const char *body;
        int verdict; /* -1: none */
        const char *reason;
    } rows[] = {
        {200, "{\"verdict\": \"pass\"}", MS_VERDICT_PASS, ""},
        {200, "{\"verdict\": \"reject\", \"reason\": \"no\\nline two\"}", MS_VERDICT_REJECT, "no"},
        {200, "{\"verdict\": \"human\", \"reason\": null, \"more\": [1]}", MS_VERDICT_HUMAN, ""},
        {200, "{\"verdict\": \"reject\", \"reason\": \"a\\tb\"}", MS_VERDICT_REJECT, "a b"},
        {200, "{\"verdict\": \"PASS\"}", -1, NULL},
        {200, "{\"verdict\": \"passed\"}", -1, NULL},
        {200, "{\"verdict\": 1}", -1, NULL},
        {200, "{\"verdict\": \"pass\", \"verdict\": \"reject\"}", -1, NULL},
        {200, "{\"verdict\": \"pass\", \"reason\": 5}", -1, NULL},
        {200, "{\"verdict\": \"pass\"} x", -1, NULL},
        {200, "{\"verdict\": \"pass\"", -1, NULL},
        {200, "{}", -1, NULL},
        {200, "[\"pass\"]", -1, NULL},
        {200, "\"pass\"", -1, NULL},
        {200, "pass", -1, NULL},
        {200, "", -1, NULL},
        {200, "{\"verdict\": \"pass\", \"reason\": \"\xff\"}", -1, NULL},
        {201, "{\"verdict\": \"pass\"}", -1, NULL},
        {204, "", -1, NULL},
        {301, "{\"verdict\": \"pass\"}", -1, NULL},
        {403, "{\"verdict\": \"pass\"}", -1, NULL},
        {500, "{\"verdict\": \"pass\"}", -1, NULL},
    };
    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct ms_webhook_answer answer;
        struct ms_error err = {0};
        enum ms_code code = ms_webhook_read(rows[i].status, ms_view_str(rows[i].body), &answer, &err);
        if (rows[i].verdict < 0) {
            assert_code(code, MS_PROTOCOL);
            assert_string_not_equal(err.message, "");
            continue;
        }
        assert_ok(code);
        assert_int_equal(answer.verdict, rows[i].verdict);
        assert_string_equal(answer.reason, rows[i].reason);
    }
}

/* A reason that is longer than a record takes is cut at a character. */
static void a_long_reason_is_cut(void **state) {
    char body[2048] = "{\"verdict\": \"reject\", \"reason\": \"x";
    struct ms_webhook_answer answer;
    (void)state;
    for (unsigned i = 0; i < 300; i++)
        strcat(body, "\xe7\xa6\x81");
    strcat(body, "\"}");
    assert_ok(ms_webhook_read(200, ms_view_str(body), &answer, &test_err));
    size_t n = strlen(answer.reason);
    assert_true(n > MS_REASON_MAX - 4 && n <= MS_REASON_MAX);
    assert_int_equal((n - 1) % 3, 0);
}

/* ---- against a server ------------------------------------------------------------------------ */

enum manner { SAY, WAIT, HANG_UP, HALF, ENDLESS };

static struct hook {
    struct world *w;
    struct fake_s3 server;
    enum manner manner;
    int status;
    const char *body, *head;
    char seen[FAKE_S3_BODY_MAX + 1], method[16], target[128], timestamp[64], signature[128];
    bool stop; /* atomic: whoever waits may go */
} hook;

static void answer(struct fake_s3 *fake, const struct fake_s3_request *r, struct fake_s3_answer *a) {
    struct hook *h = fake->priv;
    (void)snprintf(h->seen, sizeof h->seen, "%s", r->body);
    (void)snprintf(h->method, sizeof h->method, "%s", r->method);
    (void)snprintf(h->target, sizeof h->target, "%.127s", r->target);
    (void)fake_s3_header(r, "x-msasset-timestamp", h->timestamp, sizeof h->timestamp);
    (void)fake_s3_header(r, "x-msasset-signature", h->signature, sizeof h->signature);
    a->status = h->status;
    a->body = h->body;
    (void)snprintf(a->head, sizeof a->head, "%s", h->head ? h->head : "");
    while (h->manner == WAIT && !__atomic_load_n(&h->stop, __ATOMIC_SEQ_CST))
        usleep(1000);
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"verdict\": \"pass\"}";
    static char big[200000];
    if (h->manner == HANG_UP)
        a->status = 0;
    if (h->manner == HALF) {
        a->raw = half;
        a->raw_n = sizeof half - 1;
    }
    if (h->manner == ENDLESS) {
        memset(big, ' ', sizeof big);
        a->body = big;
        a->body_n = sizeof big;
    }
}

static void write_secret(struct world *w, const char *text, mode_t mode) {
    char *path = ms_test_path(w->tmp, "secret");
    ms_test_write_file(path, text, strlen(text));
    assert_int_equal(chmod(path, mode), 0);
    (void)snprintf(w->svc->review_webhook_secret, sizeof w->svc->review_webhook_secret, "%s", path);
    free(path);
}

static int setup(void **state) {
    struct world *w = world_new(false, 0);
    hook = (struct hook){.w = w, .status = 200, .body = "{\"verdict\": \"pass\"}"};
    *state = w;
    hook.server.answer = answer;
    hook.server.priv = &hook;
    assert_true(fake_s3_start(&hook.server));
    assert_ok(ms_review_set(w->svc, &w->admin, true, &test_err));
    write_secret(w, SECRET "\n", 0640);
    (void)snprintf(w->svc->review_webhook, sizeof w->svc->review_webhook, "http://127.0.0.1:%d/review",
                   hook.server.port);
    return 0;
}

static int teardown(void **state) {
    __atomic_store_n(&hook.stop, true, __ATOMIC_SEQ_CST);
    fake_s3_stop(&hook.server);
    return world_teardown(state);
}

static struct ms_asset_id bring(struct world *w, const char *name) {
    struct parcel p;
    parcel_init(&p, "f.mp4", MS_CATEGORY_MAIN, 1000, 1);
    struct ms_asset_id id = create_asset(w, MS_TYPE_VIDEO, name);
    (void)bring_parcel(w, id, &p);
    parcel_fini(&p);
    return id;
}

static void say(enum manner manner, int status, const char *body, const char *head) {
    fake_s3_settle(&hook.server);
    hook.manner = manner;
    hook.status = status;
    hook.body = body;
    hook.head = head;
    fake_s3_settle(&hook.server);
}

static struct ms_reviewed run(struct world *w) {
    struct ms_reviewed r = {.passed = 0};
    assert_ok(ms_review_run(w->svc, w->ctx.tenant, &r, &test_err));
    return r;
}

static void a_case_is_posted_signed_and_the_verdict_taken(void **state) {
    struct world *w = *state;
    struct ms_secret secret = {.text = SECRET};
    char want[MS_WEBHOOK_SIGNATURE_LEN + 1];
    struct ms_asset_id id = bring(w, "a \"name\"");
    int64_t now_s = ms_clock_now(&w->clock.clock).ms / 1000;
    assert_int_equal(run(w).passed, 1);
    assert_int_equal(info_of(w, id).state, MS_STATE_ACTIVED);
    fake_s3_settle(&hook.server);
    assert_string_equal(hook.method, "POST");
    assert_string_equal(hook.target, "/review");
    assert_non_null(strstr(hook.seen, "\"asset_name\": \"a \\\"name\\\"\""));
    assert_non_null(strstr(hook.seen, ms_id_text(id.id).s));
    char stamp[32];
    (void)snprintf(stamp, sizeof stamp, "%" PRId64, now_s);
    assert_string_equal(hook.timestamp, stamp);
    ms_webhook_sign(&secret, now_s, ms_view_str(hook.seen), want);
    assert_string_equal(hook.signature, want);
    say(SAY, 200, "{\"verdict\": \"reject\", \"reason\": \"not ours\"}", "");
    id = bring(w, "b");
    assert_int_equal(run(w).rejected, 1);
    assert_int_equal(info_of(w, id).asset.fail, MS_FAIL_AUTOMATIC_REVIEW_REJECT);
    assert_string_equal(info_of(w, id).asset.reason, "not ours");
    say(SAY, 200, "{\"verdict\": \"human\"}", "");
    id = bring(w, "c");
    assert_int_equal(run(w).human, 1);
    assert_int_equal(info_of(w, id).main.state, MS_FILE_REVIEW);
    check_clean(w->svc);
}

/* Nothing is lost and nothing goes live; it is asked again after one minute, two, four ... */
static void without_a_verdict_it_is_asked_again(void **state) {
    static const struct {
        enum manner manner;
        int status;
        const char *body, *head;
    } bad[] = {
        {SAY, 500, "{\"verdict\": \"pass\"}", ""},
        {SAY, 200, "<html>", ""},
        {SAY, 302, "", "Location: /elsewhere\r\n"},
        {HANG_UP, 200, "", ""},
        {HALF, 200, "", ""},
        {ENDLESS, 200, "", ""},
    };
    struct world *w = *state;
    struct ms_review_case c;
    struct ms_asset_id id = bring(w, "one");
    int64_t wait = MS_MINUTE_MS;
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++, wait *= 2) {
        wait = wait < MS_HOUR_MS ? wait : MS_HOUR_MS;
        say(bad[i].manner, bad[i].status, bad[i].body, bad[i].head);
        unsigned requests = fake_s3_requests(&hook.server);
        assert_int_equal(run(w).unanswered, 1);
        assert_int_equal(fake_s3_requests(&hook.server), requests + 1); /* no redirect, no retry of its own */
        assert_int_equal(run(w).unanswered, 0);                        /* not before its time */
        assert_ok(ms_review_get(w->svc, &w->ctx, id, &c, &test_err));
        assert_int_equal(c.row.retry_at.ms, ms_clock_now(&w->clock.clock).ms + wait);
        assert_string_not_equal(c.row.note, "");
        assert_int_equal(info_of(w, id).state, MS_STATE_CREATING);
        ms_clock_fake_advance(&w->clock, wait);
    }
    say(SAY, 200, "{\"verdict\": \"pass\"}", "");
    assert_int_equal(run(w).passed, 1);
    check_clean(w->svc);
}

static void one_that_never_answers_ends_with_its_time(void **state) {
    struct world *w = *state;
    struct ms_asset_id id = bring(w, "one");
    w->svc->review_timeout_ms = 100;
    say(WAIT, 200, "{\"verdict\": \"pass\"}", "");
    assert_int_equal(run(w).unanswered, 1);
    assert_int_equal(info_of(w, id).state, MS_STATE_CREATING);
    check_clean(w->svc);
}

/* It is down: three cases find out, the others wait for the next run. */
static void one_that_is_down_does_not_hold_a_run_up(void **state) {
    struct world *w = *state;
    fake_s3_stop(&hook.server);
    for (unsigned i = 0; i < 5; i++)
        (void)bring(w, "one of five");
    assert_int_equal(run(w).unanswered, 3);
    assert_int_equal(run(w).unanswered, 2);
    assert_int_equal(run(w).unanswered, 0);
    check_clean(w->svc);
    assert_true(fake_s3_start(&hook.server)); /* for the teardown */
}

static void words_come_first(void **state) {
    struct world *w = *state;
    char *path = ms_test_path(w->tmp, "words");
    ms_test_write_file(path, "badword\n", 8);
    (void)snprintf(w->svc->review_words, sizeof w->svc->review_words, "%s", path);
    free(path);
    (void)bring(w, "badword");
    assert_int_equal(run(w).rejected, 1);
    assert_int_equal(fake_s3_requests(&hook.server), 0);
    (void)bring(w, "good");
    assert_int_equal(run(w).passed, 1);
    assert_int_equal(fake_s3_requests(&hook.server), 1);
}

static void a_configuration_that_cannot_work_keeps_every_case(void **state) {
    struct world *w = *state;
    struct ms_reviewed r;
    struct ms_asset_id id = bring(w, "one");
    write_secret(w, "short", 0600);
    assert_code(ms_review_run(w->svc, w->ctx.tenant, &r, &test_err), MS_CONFIG);
    write_secret(w, SECRET, 0644);
    assert_code(ms_review_run(w->svc, w->ctx.tenant, &r, &test_err), MS_CONFIG);
    (void)snprintf(w->svc->review_webhook_secret, sizeof w->svc->review_webhook_secret, "/nowhere");
    assert_code(ms_review_run(w->svc, w->ctx.tenant, &r, &test_err), MS_NO_INPUT);
    w->svc->review_webhook_secret[0] = '\0';
    assert_code(ms_review_run(w->svc, w->ctx.tenant, &r, &test_err), MS_CONFIG);
    static const char *const urls[] = {"file:///etc/passwd", "127.0.0.1:80", "http://", "http:///x", "http://a b/"};
    for (size_t i = 0; i < MS_ARRAY_LEN(urls); i++) {
        (void)snprintf(w->svc->review_webhook, sizeof w->svc->review_webhook, "%s", urls[i]);
        assert_code(ms_review_run(w->svc, w->ctx.tenant, &r, &test_err), MS_INVALID);
    }
    assert_int_equal(info_of(w, id).state, MS_STATE_CREATING);
    assert_int_equal(fake_s3_requests(&hook.server), 0);
    check_clean(w->svc);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_signature_is_the_hmac_of_timestamp_dot_body),
        cmocka_unit_test(only_a_verdict_is_a_verdict),
        cmocka_unit_test(a_long_reason_is_cut),
        TEST(a_case_is_posted_signed_and_the_verdict_taken),
        TEST(without_a_verdict_it_is_asked_again),
        TEST(one_that_never_answers_ends_with_its_time),
        TEST(one_that_is_down_does_not_hold_a_run_up),
        TEST(words_come_first),
        TEST(a_configuration_that_cannot_work_keeps_every_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
